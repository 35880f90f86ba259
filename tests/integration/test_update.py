#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""update: each flag and field, what a failure leaves, containers in other states."""
from davit import *

MB = 1 << 20


def files(b, controller, *names):
    """Values of the first of the container's cgroup files that exist, as text."""
    path, version = group_of(b.pid(), controller)
    name = names[0] if version == 1 else names[-1]
    if not os.path.exists(f"{path}/{name}"):
        raise Skip(f"this host has no {name}")
    return read(f"{path}/{name}").strip()


def update(b, *args, **kw):
    return run_davit("update", *args, b.id, check=True, **kw)


def apply(b, resources, **kw):
    return update(b, "--resources", "-", stdin=json.dumps(resources), **kw)


def limits(**resources):
    return {"linux": {"resources": resources}}


# flag, value, controller, file of version 1 and what it reads, file of version 2 and what it reads
FLAGS = [
    ("--memory", "96m", "memory", "memory.limit_in_bytes", str(96 * MB), "memory.max", str(96 * MB)),
    ("--memory", str(80 * MB), "memory", "memory.limit_in_bytes", str(80 * MB), "memory.max", str(80 * MB)),
    ("--memory-reservation", "32m", "memory", "memory.soft_limit_in_bytes", str(32 * MB),
     "memory.low", str(32 * MB)),
    ("--cpu-share", "512", "cpu", "cpu.shares", "512", "cpu.weight", None),
    ("--cpu-period", "50000", "cpu", "cpu.cfs_period_us", "50000", "cpu.max", "max 50000"),
    ("--cpu-quota", "20000", "cpu", "cpu.cfs_quota_us", "20000", "cpu.max", "20000 50000"),
    ("--cpu-burst", "5000", "cpu", "cpu.cfs_burst_us", "5000", "cpu.max.burst", "5000"),
    ("--cpu-burst", "0", "cpu", "cpu.cfs_burst_us", "0", "cpu.max.burst", "0"),
    ("--cpu-quota", "-1", "cpu", "cpu.cfs_quota_us", "-1", "cpu.max", "max 50000"),
    ("--cpu-idle", "1", "cpu", "cpu.idle", "1", "cpu.idle", "1"),
    ("--cpu-idle", "0", "cpu", "cpu.idle", "0", "cpu.idle", "0"),
    ("--cpuset-cpus", "0", "cpuset", "cpuset.cpus", "0", "cpuset.cpus", "0"),
    ("--cpuset-mems", "0", "cpuset", "cpuset.mems", "0", "cpuset.mems", "0"),
    ("--pids-limit", "23", "pids", "pids.max", "23", "pids.max", "23"),
    ("--pids-limit", "-1", "pids", "pids.max", "max", "pids.max", "max"),
    ("--blkio-weight", "200", "blkio", "blkio.bfq.weight", "200", "io.bfq.weight", "default 200"),
    ("--memory", "-1", "memory", "memory.limit_in_bytes", None, "memory.max", "max"),
]


@test("each flag reaches its file, and the process goes on", limit=120)
def flags():
    with Bundle(limits(memory={"limit": 64 * MB})) as b:
        b.up()
        shown = []
        for flag, value, controller, file1, want1, file2, want2 in FLAGS:
            try:
                path, version = group_of(b.pid(), "io" if controller == "blkio" and v2_only()
                                         else controller)
            except Skip:
                continue
            name, want = (file1, want1) if version == 1 else (file2, want2)
            if not os.path.exists(f"{path}/{name}"):
                continue
            before = read(f"{path}/{name}").strip()
            update(b, flag, value)
            got = read(f"{path}/{name}").strip()
            if want and want.startswith("max "):  # of systemd: a period needs a quota
                got, want = got.split()[0], "max"
            assert got == want if want else got != before, (flag, value, name, got, want)
            shown.append(flag)
        if not {"--memory", "--pids-limit", "--cpu-quota"} <= set(shown):
            raise Skip(f"only shown here: {shown}")
        assert b.state()["status"] == "running"
        b.exec("true", check=True)


@test("memory and swap grow and shrink together, in one call")
def memory_swap():
    with Bundle(limits(memory={"limit": 64 * MB, "swap": 64 * MB})) as b:
        b.up()
        for limit, swap in ((128, 192), (32, 48), (256, 256), (-1, -1), (64, 128)):
            args = [f"{n}m" if n > 0 else n for n in (limit, swap)]
            update(b, "--memory", args[0], "--memory-swap", args[1])
            got = files(b, "memory", "memory.limit_in_bytes", "memory.max")
            if limit > 0:
                assert got == str(limit * MB), (limit, got)
            else:
                assert got == "max" or int(got) > 1 << 50, got
        path, version = group_of(b.pid(), "memory")
        name, want = (("memory.memsw.limit_in_bytes", 128) if version == 1 else
                      ("memory.swap.max", 64))
        if os.path.exists(f"{path}/{name}"):
            assert read(f"{path}/{name}").strip() == str(want * MB), read(f"{path}/{name}")


@test("an empty resources object changes nothing and is a success")
def nothing():
    with Bundle(limits(memory={"limit": 64 * MB}, pids={"limit": 50})) as b:
        b.up()
        for text in ("{}", '{"memory": {}, "cpu": {}, "devices": [], "pids": null}', " {} \n"):
            update(b, "--resources", "-", stdin=text)
        update(b, "-r", b.side("r.json", "{}"))
        update(b)
        assert files(b, "memory", "memory.limit_in_bytes", "memory.max") == str(64 * MB)
        assert files(b, "pids", "pids.max") == "50"


class Writes:
    """Counts writes to a file."""

    def __init__(self, path):
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self.fd, path.encode(), 2) >= 0  # IN_MODIFY

    def seen(self):
        try:
            return bool(os.read(self.fd, 4096))
        except BlockingIOError:
            return False

    def close(self):
        os.close(self.fd)


@test("a value that is there already is not written again")
def unchanged():
    if "--systemd-cgroup" in os.environ.get("DAVIT_ARGS", ""):
        raise Skip("systemd writes what it is told, changed or not")
    with Bundle(limits(memory={"limit": 64 * MB, "swap": 64 * MB}, pids={"limit": 50})) as b:
        b.up()
        for controller, name in (("memory", ("memory.limit_in_bytes", "memory.max")),
                                 ("pids", ("pids.max", "pids.max"))):
            path, version = group_of(b.pid(), controller)
            writes = Writes(f"{path}/{name[version - 1]}")
            apply(b, {"memory": {"limit": 64 * MB, "swap": 64 * MB}, "pids": {"limit": 50}})
            assert not writes.seen(), f"{name} was written"
            apply(b, {"memory": {"limit": 48 * MB}, "pids": {"limit": 51}})
            assert writes.seen(), "the watch must see a write"
            writes.close()
            apply(b, {"memory": {"limit": 64 * MB, "swap": 64 * MB}, "pids": {"limit": 50}})


@test("a failed update leaves the old values, whichever one fails")
def restored():
    with Bundle(limits(memory={"limit": 64 * MB, "swap": 64 * MB}, pids={"limit": 50},
                       cpu={"shares": 512})) as b:
        b.up()
        before = [files(b, "memory", "memory.limit_in_bytes", "memory.max"),
                  files(b, "cpu", "cpu.shares", "cpu.weight"), files(b, "pids", "pids.max")]
        other = {"memory": {"limit": 32 * MB, "swap": 48 * MB}, "pids": {"limit": 7},
                 "cpu": {"shares": 100}}
        for bad in ({"cpu": {"cpus": "4000"}}, {"cpu": {"mems": "60"}}, {"cpu": {"quota": 1}},
                    {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]},
                    {"blockIO": {"throttleReadBpsDevice": [{"major": 250, "minor": 77, "rate": 1}]}},
                    {"devices": [{"allow": True, "type": "q", "access": "rwm"}]},
                    {"memory": {"limit": 32 * MB, "swap": 8 * MB}}):
            wanted = merge(other, bad)
            result = run_davit("update", "-r", "-", b.id, stdin=json.dumps(wanted))
            fails(result)
            after = [files(b, "memory", "memory.limit_in_bytes", "memory.max"),
                     files(b, "cpu", "cpu.shares", "cpu.weight"), files(b, "pids", "pids.max")]
            assert after == before, (bad, before, after, result)
        assert b.state()["status"] == "running"


@test("a file that is no resources object is an error that names the place")
def bad_files():
    with Bundle() as b:
        b.up()
        for text, word in (("", ""), ("[]", ""), ("{", ""), ('{"pids": {"limit": "x"}}', "/pids/limit"),
                           ('{"memory": {"limit": 1.5}}', "/memory/limit"), ("{}{}", ""),
                           ("{}\0", "")):
            fails(run_davit("update", "-r", "-", b.id, stdin=text.encode()), word)
        fails(run_davit("update", "-r", b.side("r.json", "{}"), "--pids-limit", "3", b.id), "--resources")
        fails(run_davit("update", "-r", os.path.join(b.dir, "none"), b.id), "none")
        for flag, value in (("--memory", "much"), ("--memory", "-2"), ("--cpu-quota", "x"),
                            ("--cpu-share", "-1"), ("--cpu-idle", "2"), ("--cpuset-cpus", "a"),
                            ("--pids-limit", "1.5"), ("--blkio-weight", "5000")):
            fails(run_davit("update", flag, value, b.id))


@test("a created and a paused container can be updated and stay what they are")
def other_states():
    with Bundle(limits(pids={"limit": 50}, memory={"limit": 64 * MB})) as b:
        b.save(command_args("pause"))
        b.create()
        update(b, "--pids-limit", "40")
        assert files(b, "pids", "pids.max") == "40" and b.state()["status"] == "created"
        b.start()
        b.wait_output("ready=1")
        assert files(b, "pids", "pids.max") == "40"
        run_davit("pause", b.id, check=True)
        update(b, "--pids-limit", "30", "--memory", "128m", "--memory-swap", "-1")
        assert files(b, "pids", "pids.max") == "30" and b.state()["status"] == "paused"
        assert files(b, "memory", "memory.limit_in_bytes", "memory.max") == str(128 * MB)
        run_davit("resume", b.id, check=True)
        b.exec("true", check=True)


@test("a stopped container cannot be updated")
def stopped():
    with Bundle() as b:
        b.up("true")
        b.wait_stopped()
        fails(run_davit("update", "--pids-limit", "5", b.id), "container not running")
        fails(run_davit("update", "--pids-limit", "5", unique()), "does not exist")


@test("new limits are at work at once")
def at_work():
    with Bundle(limits(memory={"limit": 128 * MB, "swap": 128 * MB}, pids={"limit": 100})) as b:
        b.up()
        assert b.exec_facts("forks", "20")["forks"] == "20"
        assert b.exec("hog", "48").rc == 0
        update(b, "--pids-limit", "8", "--memory", "24m", "--memory-swap", "24m")
        assert int(b.exec_facts("forks", "20")["forks"]) < 8
        assert b.exec("hog", "48").rc == 137
        update(b, "--pids-limit", "-1", "--memory", "-1")
        assert b.exec_facts("forks", "20")["forks"] == "20"
        assert b.exec("hog", "48").rc == 0


@test("obsolete flags are taken with a warning; a resctrl schema is not dropped silently")
def obsolete():
    with Bundle(limits(memory={"limit": 64 * MB})) as b:
        b.up()
        result = update(b, "--kernel-memory", "32m")
        assert "kernel-memory" in result.err, result
        if not os.path.ismount("/sys/fs/resctrl"):
            for flag in ("--l3-cache-schema", "--mem-bw-schema"):
                fails(run_davit("update", flag, "L3:0=f", "--memory", "32m", b.id))
            assert files(b, "memory", "memory.limit_in_bytes", "memory.max") == str(64 * MB)


@test("fields without a flag: huge pages, network classes")
def fields():
    with Bundle() as b:
        b.up()
        shown = 0
        with contextlib.suppress(Skip):
            path, version = group_of(b.pid(), "hugetlb")
            name = f"{path}/hugetlb.2MB." + ("limit_in_bytes" if version == 1 else "max")
            if os.path.exists(name):
                apply(b, {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MB}]})
                assert read(name).strip() == str(4 * MB), read(name)
                shown += 1
        with contextlib.suppress(Skip):
            path, version = group_of(b.pid(), "net_cls")
            if version == 1:
                apply(b, {"network": {"classID": 1048577}})
                assert read(path + "/net_cls.classid").strip() == "1048577"
                shown += 1
        with contextlib.suppress(Skip):
            path, version = group_of(b.pid(), "")
            if os.path.exists(path + "/cgroup.max.depth"):
                apply(b, {"unified": {"cgroup.max.depth": "7"}})
                assert read(path + "/cgroup.max.depth").strip() == "7"
                shown += 1
        if not shown:
            raise Skip("this host has none of the controllers")


@test("many updates leave one set of values and a container that works")
def many():
    with Bundle(limits(pids={"limit": 50})) as b:
        b.up()
        for n in range(20, 50):
            apply(b, {"pids": {"limit": n}, "devices": [{"allow": False, "access": "rwm"}]})
        assert files(b, "pids", "pids.max") == "49"
        assert b.exec_facts("open", "/dev/null", "rw")["open:/dev/null"] == "ok"


main()
