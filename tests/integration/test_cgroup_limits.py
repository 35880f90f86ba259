#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits at work: a payload that wants more than its group may have does not get it, and the kernel counts it."""
from davit import *

MIB = 1 << 20


def limited(**resources):
    return Bundle({"linux": {"resources": resources}})


def counter(b, controller, v1, v2):
    """The number after a key of a file of the container's group: (file, key) of each version."""
    path, version = group_of(b.pid(), controller)
    name, key = v1 if version == 1 else v2
    words = dict(line.split()[:2] for line in read(f"{path}/{name}").splitlines())
    return int(words[key])


def feed(b, resources):
    run_davit("update", "--resources", "-", b.id, stdin=json.dumps(resources), check=True)


@test("memory: a process over the limit is killed, counted, and the container goes on")
def memory():
    def kills():
        return counter(b, "memory", ("memory.oom_control", "oom_kill"), ("memory.events", "oom_kill"))
    with limited(memory={"limit": 48 * MIB}) as b:
        b.up()
        group_of(b.pid(), "memory")
        before = kills()
        assert b.exec("hog", "16").rc == 0
        assert kills() == before
        assert b.exec("hog", "96").rc == 137
        eventually(lambda: kills() > before, "an OOM kill is counted")
        assert b.state()["status"] == "running"
        b.delete("--force")


@test("cpu: a busy process gets its quota and no more, the throttled time grows")
def cpu():
    def throttled():
        return counter(b, "cpu", ("cpu.stat", "throttled_time"), ("cpu.stat", "throttled_usec"))
    with limited(cpu={"quota": 10000, "period": 50000}) as b:
        b.up()
        group_of(b.pid(), "cpu")
        before, begin = throttled(), time.monotonic()
        used = int(b.exec_facts("spin", "1")["cpu_ms"]) / 1000
        passed = time.monotonic() - begin
        assert throttled() > before, (before, throttled())
        assert used < passed * 0.2 + 0.1, (used, passed)
        b.delete("--force")


@test("pids: fork fails at the limit and is counted; zero lets none be made")
def pids():
    def refusals():
        return counter(b, "pids", ("pids.events", "max"), ("pids.events", "max"))
    with limited(pids={"limit": 12}) as b:
        b.up()
        group_of(b.pid(), "pids")
        facts = b.exec_facts("forks", "30")
        assert int(facts["forks"]) < 12 and facts["forks_errno"] == "EAGAIN", facts.text
        assert refusals() >= 1
        b.delete("--force")
    with limited(pids={"limit": 0}) as b:
        facts = b.probe("forks", "3", "+", "echo", "alive")
        assert facts["forks"] == "0" and facts["forks_errno"] == "EAGAIN" and facts["arg"] == "alive", facts.text


@test("cpuset: the payload runs on its CPUs and cannot leave them")
def cpuset():
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise Skip("this machine has one CPU")
    one, other = mine[0], mine[1]
    with limited(cpu={"cpus": str(other)}) as b:
        facts = b.probe("affinity", "+", "cpu", str(one), "+", "cpu", str(other))
        assert facts["affinity"] == str(other), facts.text
        assert facts.all("cpu") == ["EINVAL", "ok"], facts.text


def whole_disk(path):
    """MAJOR, MINOR of the disk that holds path; Skip if that is no block device."""
    number = os.stat(path).st_dev
    place = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
    if not os.path.exists(place):
        raise Skip(f"{path} is on no block device")
    if os.path.exists(place + "/partition"):
        place = os.path.dirname(os.path.realpath(place))
    return tuple(map(int, read(place + "/dev").strip().split(":")))


@test("block I/O: direct writes are slowed to the rate", limit=120)
def block_io():
    with limited() as b:
        b.up()
        group_of(b.pid(), "io" if v2_only() else "blkio")
        major, minor = whole_disk(b.rootfs)
        free = b.exec_facts("direct", "/tmp/x", "1024")
        if free["direct"] != "ok":
            raise Skip(f"no direct writes here: {free['direct']}")
        slow = max(1500, 4 * int(free["direct_ms"]))  # ms that a mebibyte is to take
        feed(b, {"blockIO": {"throttleWriteBpsDevice": [{"major": major, "minor": minor,
                                                         "rate": MIB * 1000 // slow}]}})
        took = int(b.exec_facts("direct", "/tmp/x", "1024")["direct_ms"])
        assert took > slow * 0.6, (free["direct_ms"], slow, took)
        feed(b, {"blockIO": {"throttleWriteBpsDevice": [{"major": major, "minor": minor, "rate": 0}]}})
        assert int(b.exec_facts("direct", "/tmp/x", "64")["direct_ms"]) < slow, "the limit can be lifted"
        b.delete("--force")


class HugePages:
    """Some free huge pages of 2 MB; made only on a test machine."""
    path = "/sys/kernel/mm/hugepages/hugepages-2048kB"

    def __enter__(self):
        if not os.path.isdir(self.path):
            raise Skip("this kernel has no huge pages of 2 MB")
        self.old = read(self.path + "/nr_hugepages")
        if "DAVIT_VM" in os.environ:
            write("/proc/sys/vm/compact_memory", "1")
            write(self.path + "/nr_hugepages", "8")
        if int(read(self.path + "/free_hugepages")) < 4:
            self.__exit__()
            raise Skip("this host has no free huge pages")

    def __exit__(self, *exc):
        if "DAVIT_VM" in os.environ:
            write(self.path + "/nr_hugepages", self.old)


@test("huge pages: the mapping over the limit fails")
def hugetlb():
    cgroup_dir("x", "hugetlb")
    with HugePages(), limited(hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MIB}]) as b:
        b.up()
        assert b.exec_facts("huge", "2")["huge"] == "ok"
        over = b.exec("huge", "3")
        assert over.rc != 0 and "huge=ok" not in over.out, over
        path, version = group_of(b.pid(), "hugetlb")
        if os.path.exists(path + "/hugetlb.2MB.rsvd." + ("limit_in_bytes" if version == 1 else "max")):
            assert "huge=ENOMEM" in over.out, over
        feed(b, {"hugepageLimits": [{"pageSize": "2MB", "limit": 8 * MIB}]})
        assert b.exec_facts("huge", "3")["huge"] == "ok"
        b.delete("--force")


main()
