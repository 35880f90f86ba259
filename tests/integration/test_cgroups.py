#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Control groups: where the container is put, and every limit that this host can show."""
from davit import *


def resources(**res):
    return {"linux": {"cgroupsPath": "/" + unique("cg"), "resources": res}}


def check(b, controller, expected_v1, expected_v2):
    """Compares files of the running container's group with what is wanted."""
    path, version = group_of(b.pid(), controller)
    for name, want in (expected_v1 if version == 1 else expected_v2).items():
        got = read(f"{path}/{name}").strip()
        if callable(want):
            assert want(got), (name, got)
        else:
            assert got == str(want), (name, got, want)


def need(controller):
    h = cgroup_hierarchies()
    if controller not in h and not ("" in h and controller in read(h[""] + "/cgroup.controllers").split()):
        raise Skip(f"this host has no {controller} cgroup controller")


MIB = 1 << 20


@test("an absolute cgroupsPath is below the hierarchy's root, in every hierarchy, and goes at delete")
def absolute_path():
    name = unique("abs")
    with Bundle({"linux": {"cgroupsPath": "/" + name}}) as b:
        b.up()
        for kind in ("pids", "cpu", "memory", "devices", "freezer"):
            with contextlib.suppress(Skip):
                path = group_of(b.pid(), kind)[0]
                assert path == cgroup_dir(name, kind), (path, cgroup_dir(name, kind))
        b.delete("--force")
    assert not [c for c in cgroups_tagged() if name in c], cgroups_tagged()


@test("a deeper path is made; groups that were there before stay")
def deep_path():
    need("pids")
    parent = cgroup_dir(unique("par"), "pids")
    os.mkdir(parent)
    try:
        name = os.path.basename(parent)
        with Bundle({"linux": {"cgroupsPath": f"/{name}/a"}}) as b:
            b.up()
            assert group_of(b.pid(), "pids")[0] == parent + "/a"
            b.delete("--force")
        assert os.path.isdir(parent) and not os.path.exists(parent + "/a")
    finally:
        for path in sorted(cgroups_tagged(), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(path)


@test("a relative cgroupsPath gives the same place each time")
def relative_path():
    need("pids")
    name = unique("rel") + "/sub"
    seen = set()
    for _ in range(2):
        with Bundle({"linux": {"cgroupsPath": name}}) as b:
            b.up()
            path = group_of(b.pid(), "pids")[0]
            assert path.endswith(name), path
            seen.add(path)
            b.delete("--force")
            assert not os.path.exists(path), path
    assert len(seen) == 1, seen
    for path in sorted(cgroups_tagged(), key=len, reverse=True):
        os.rmdir(path)


@test("without cgroupsPath the container has a group of its own")
def default_path():
    need("pids")
    with Bundle() as b:
        b.up()
        assert b.id in group_of(b.pid(), "pids")[0], group_of(b.pid(), "pids")
        assert group_of(b.pid(), "pids")[0] != group_of(os.getpid(), "pids")[0]
        b.delete("--force")


@test("paths that climb out of the hierarchy are refused or kept inside")
def confined():
    canary = os.path.join(work, unique("canary"))
    up = "/.." * 12
    for path in (up + canary, ".." + up + canary, "/a/../.." + up + canary):
        with Bundle({"linux": {"cgroupsPath": path}}) as b:
            b.create(check=False)
            assert not os.path.exists(canary), path
            run_davit("delete", "--force", b.id)
        for left in sorted(cgroups_tagged(), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(left)


@test("every process of the container is in the group, from its first instruction")
def children():
    need("pids")
    with Bundle() as b:
        b.up("daemon", "60", "+", "pause")
        b.wait_output("ready=1")
        path = group_of(b.pid(), "pids")[0]
        procs = set(map(int, read(path + "/cgroup.procs").split()))
        assert len(procs) == 2 and b.pid() in procs, procs
        b.delete("--force")


@test("pids.limit is set and enforced; -1 is unlimited")
def pids():
    need("pids")
    with Bundle(resources(pids={"limit": 20})) as b:
        b.up()
        check(b, "pids", {"pids.max": 20}, {"pids.max": 20})
        assert int(b.exec_facts("forks", "50")["forks"]) < 20
        b.delete("--force")
    with Bundle(resources(pids={"limit": -1})) as b:
        b.up()
        check(b, "pids", {"pids.max": "max"}, {"pids.max": "max"})
        b.delete("--force")


@test("a container starts with pids.limit 1")
def pids_one():
    need("pids")
    with Bundle(resources(pids={"limit": 1})) as b:
        facts = b.probe("forks", "3", "+", "echo", "alive")
        assert facts["forks"] == "0" and facts["arg"] == "alive", facts.text


@test("memory limit, reservation and swap are set")
def memory():
    need("memory")
    with Bundle(resources(memory={"limit": 64 * MIB, "reservation": 32 * MIB})) as b:
        b.up()
        check(b, "memory", {"memory.limit_in_bytes": 64 * MIB, "memory.soft_limit_in_bytes": 32 * MIB},
              {"memory.max": 64 * MIB, "memory.low": 32 * MIB})
        b.delete("--force")
    with Bundle(resources(memory={"limit": 64 * MIB, "swap": 96 * MIB})) as b:
        r = b.create(check=False)
        if r.rc != 0 and "memsw" in r.err:
            raise Skip("this kernel counts no swap")
        assert r.rc == 0, r
        path, version = group_of(b.pid(), "memory")
        name, want = ("memory.memsw.limit_in_bytes", 96 * MIB) if version == 1 else ("memory.swap.max", 32 * MIB)
        if os.path.exists(f"{path}/{name}"):
            assert read(f"{path}/{name}").strip() == str(want), name
        b.delete("--force")


@test("memory swappiness and disableOOMKiller on v1")
def memory_v1():
    if "memory" not in cgroup_hierarchies():
        raise Skip("no v1 memory controller")
    with Bundle(resources(memory={"limit": 64 * MIB, "swappiness": 20, "disableOOMKiller": True})) as b:
        b.up()
        check(b, "memory", {"memory.swappiness": 20,
                            "memory.oom_control": lambda t: "oom_kill_disable 1" in t}, {})
        b.delete("--force")


@test("a process over the memory limit is killed: 137")
def memory_kill():
    need("memory")
    with Bundle(resources(memory={"limit": 16 * MIB, "swap": 16 * MIB})) as b:
        b.save(command_args("hog", "64"))
        r = b.run()
        if "memsw" in r.err:
            raise Skip("this kernel counts no swap")
        assert r.rc == 137, r


@test("a container starts in a small memory group, or the error names memory")
def memory_small():
    need("memory")
    for size in (4 * MIB, 2 * MIB, 1 * MIB, 512 * 1024, 256 * 1024, 64 * 1024, 4096):
        with Bundle(resources(memory={"limit": size})) as b:
            b.save(command_args("echo", "alive"))
            r = b.run()
            assert (r.rc == 0 and "arg=alive" in r.out) or r.rc == 137 or "memory" in r.err.lower(), (size, r)
            if size >= 2 * MIB:
                assert r.rc == 0, (size, r)


@test("a kernel memory limit that the kernel lost is a warning; kernelTCP is set where it exists")
def memory_kernel():
    need("memory")
    with Bundle(resources(memory={"limit": 64 * MIB, "kernel": 32 * MIB, "kernelTCP": 8 * MIB})) as b:
        b.up()
        path, version = group_of(b.pid(), "memory")
        if version == 1 and os.path.exists(path + "/memory.kmem.tcp.limit_in_bytes"):
            assert read(path + "/memory.kmem.tcp.limit_in_bytes").strip() == str(8 * MIB)
        b.delete("--force")


@test("cpu shares, quota, period, burst are set; 1024 shares are weight 100")
def cpu():
    need("cpu")
    with Bundle(resources(cpu={"shares": 1024, "quota": 50000, "period": 200000})) as b:
        b.up()
        check(b, "cpu", {"cpu.shares": 1024, "cpu.cfs_quota_us": 50000, "cpu.cfs_period_us": 200000},
              {"cpu.weight": 100, "cpu.max": "50000 200000"})
        b.delete("--force")
    for over, v1, v2 in (({"quota": 30000}, {"cpu.cfs_quota_us": 30000}, {"cpu.max": "30000 100000"}),
                         ({"period": 50000}, {"cpu.cfs_period_us": 50000}, {"cpu.max": "max 50000"}),
                         ({"quota": -1}, {"cpu.cfs_quota_us": -1}, {"cpu.max": "max 100000"}),
                         ({"shares": 2}, {"cpu.shares": 2}, {"cpu.weight": 1})):
        with Bundle(resources(cpu=over)) as b:
            b.up()
            check(b, "cpu", v1, v2)
            b.delete("--force")


@test("cpu burst and idle are set where the kernel has them")
def cpu_more():
    need("cpu")
    with Bundle(resources(cpu={"quota": 50000, "period": 100000, "burst": 20000})) as b:
        b.up()
        path, version = group_of(b.pid(), "cpu")
        name = "cpu.cfs_burst_us" if version == 1 else "cpu.max.burst"
        if not os.path.exists(f"{path}/{name}"):
            raise Skip(f"no {name} in this kernel")
        assert read(f"{path}/{name}").strip() == "20000"
        b.delete("--force")
    with Bundle(resources(cpu={"idle": 1})) as b:
        b.up()
        check(b, "cpu", {"cpu.idle": 1}, {"cpu.idle": 1})
        b.delete("--force")


@test("the quota holds: a tenth of a CPU gives a tenth of the time")
def cpu_enforced():
    need("cpu")
    with Bundle(resources(cpu={"quota": 10000, "period": 100000})) as b:
        used = int(b.probe("spin", "1")["cpu_ms"])
        assert used < 350, used


@test("cpuset cpus and mems are set and the process is bound to them")
def cpuset():
    need("cpuset")
    with Bundle(resources(cpu={"cpus": "0", "mems": "0"})) as b:
        b.up("affinity", "+", "pause")
        b.wait_output("ready=1")
        check(b, "cpuset", {"cpuset.cpus": 0, "cpuset.mems": 0}, {"cpuset.cpus": 0, "cpuset.mems": 0})
        assert b.facts()["affinity"] == "0", b.output()
        assert b.exec_facts("affinity")["affinity"] == "0"
        b.delete("--force")


@test("cpus that do not exist are an error")
def cpuset_bad():
    need("cpuset")
    for over in ({"cpus": "9999"}, {"cpus": "x"}, {"mems": "77"}):
        with Bundle(resources(cpu=over)) as b:
            fails(b.create(check=False))


@test("device rules are applied in the listed order")
def devices():
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
             {"allow": True, "type": "b", "major": 8, "minor": 5, "access": "rwm"},
             {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"},
             {"allow": False, "type": "c", "major": 10, "minor": 200, "access": "w"}]
    with Bundle(resources(devices=rules)) as b:
        b.up()
        path, version = group_of(b.pid(), "devices") if "devices" in cgroup_hierarchies() else (None, 2)
        if version == 1:
            lines = read(path + "/devices.list").splitlines()
            assert "a *:* rwm" not in lines, lines
            for want in ("c 10:229 rw", "b 8:5 rwm", "c 10:200 r"):
                assert want in lines, (want, lines)
            for line in ("c 1:3 ", "c 1:5 ", "c 1:7 ", "c 1:8 ", "c 1:9 ", "c 5:0 ", "c 5:2 ", "c 136:* "):
                assert any(l.startswith(line) for l in lines), f"default device {line} missing: {lines}"
        b.delete("--force")


@test("the device rules are enforced for init and exec")
def devices_enforced():
    over = merge(resources(devices=[{"allow": False, "access": "rwm"},
                                    {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}]),
                 {"process": {"capabilities": privileged()},
                  "linux": {"devices": [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666},
                                        {"path": "/dev/mem2", "type": "c", "major": 1, "minor": 1,
                                                "fileMode": 0o666}]}})
    with Bundle(over) as b:
        words = ["open", "/dev/kmsg", "r", "/dev/kmsg", "w", "/dev/mem2", "r", "/dev/null", "rw"]
        b.up(*words, "+", "pause")
        b.wait_output("ready=1")
        for facts in (b.facts(), b.exec_facts(*words)):
            assert facts.all("open:/dev/kmsg")[1] == "EPERM", facts.text
            assert facts.all("open:/dev/kmsg")[0] != "EPERM", facts.text
            assert facts["open:/dev/mem2"] == "EPERM", facts.text
            assert facts["open:/dev/null"] == "ok", facts.text
        b.delete("--force")


@test("block I/O weight and throttling are set where the kernel has them")
def block_io():
    need("blkio" if "blkio" in cgroup_hierarchies() else "io")
    rate = [{"major": 254, "minor": 0, "rate": 1048576}]
    st = os.stat("/")
    rate[0]["major"], rate[0]["minor"] = os.major(st.st_dev), os.minor(st.st_dev)
    if not os.path.exists(f"/sys/dev/block/{rate[0]['major']}:{rate[0]['minor']}"):
        raise Skip("the root file system is on no block device")
    with Bundle(resources(blockIO={"throttleReadBpsDevice": rate, "throttleWriteIOPSDevice": rate})) as b:
        b.up()
        path, version = group_of(b.pid(), "blkio" if "blkio" in cgroup_hierarchies() else "io")
        want = f"{rate[0]['major']}:{rate[0]['minor']}"
        if version == 1:
            for name in ("blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device"):
                assert read(f"{path}/{name}").split() == [want, "1048576"], name
        else:
            text = read(path + "/io.max")
            assert want in text and "rbps=1048576" in text and "wiops=1048576" in text, text
        b.delete("--force")


@test("an unknown huge page size is an error")
def hugetlb_bad():
    for size in ("3MB", "../x", "2MB/../x", ""):
        with Bundle(resources(hugepageLimits=[{"pageSize": size, "limit": 1}])) as b:
            fails(b.create(check=False))


@test("huge page limits are set where the controller is")
def hugetlb():
    need("hugetlb")
    sizes = [n[10:-2] for n in os.listdir("/sys/kernel/mm/hugepages")] if \
        os.path.isdir("/sys/kernel/mm/hugepages") else []
    if "2048" not in sizes:
        raise Skip("no huge pages of 2 MB")
    with Bundle(resources(hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MIB}])) as b:
        r = b.create(check=False)
        assert r.rc == 0, r
        check(b, "hugetlb", {"hugetlb.2MB.limit_in_bytes": 4 * MIB}, {"hugetlb.2MB.max": 4 * MIB})
        b.delete("--force")


@test("unified keys with a slash or .. are refused; on v1 unified is refused or written")
def unified():
    for key in ("../x", "a/b", "", "..", "/etc/passwd"):
        with Bundle(resources(unified={key: "1"})) as b:
            fails(b.create(check=False))
    if v2_only():
        with Bundle(resources(unified={"memory.high": str(32 * MIB), "pids.max": "33"})) as b:
            b.up()
            path = group_of(b.pid(), "memory")[0]
            assert read(path + "/memory.high").strip() == str(32 * MIB)
            b.delete("--force")
        with Bundle(resources(unified={"nosuch.thing": "1"})) as b:
            fails(b.create(check=False))


@test("a value the kernel refuses is an error that names the file or the value; nothing is left")
def refused_value():
    need("cpu")
    for name in ("quota", "period"):
        with Bundle(resources(cpu={name: 5})) as b:
            r = fails(b.create(check=False))
            assert name in r.err or "cpu.max" in r.err, r


@test("update changes limits of a running container, by flags and by file")
def update():
    need("memory")
    with Bundle(resources(memory={"limit": 64 * MIB}, cpu={"shares": 512, "quota": 50000, "period": 100000},
                          pids={"limit": 50})) as b:
        b.up()
        run_davit("update", "--memory", str(96 * MIB), "--pids-limit", "30", "--cpu-share", "256", b.id, check=True)
        check(b, "memory", {"memory.limit_in_bytes": 96 * MIB}, {"memory.max": 96 * MIB})
        check(b, "pids", {"pids.max": 30}, {"pids.max": 30})
        check(b, "cpu", {"cpu.shares": 256, "cpu.cfs_quota_us": 50000}, {})
        run_davit("update", "--resources", "-", b.id, check=True,
                  stdin=json.dumps({"memory": {"limit": 80 * MIB}, "pids": {"limit": 25}}))
        check(b, "memory", {"memory.limit_in_bytes": 80 * MIB}, {"memory.max": 80 * MIB})
        check(b, "pids", {"pids.max": 25}, {"pids.max": 25})
        check(b, "cpu", {"cpu.shares": 256}, {})
        run_davit("update", "--cpu-quota", "20000", b.id, check=True)
        check(b, "cpu", {"cpu.cfs_quota_us": 20000, "cpu.cfs_period_us": 100000}, {"cpu.max": "20000 100000"})
        b.delete("--force")


@test("update of device rules acts at once")
def update_devices():
    need("devices")
    over = merge(resources(devices=[{"allow": False, "access": "rwm"}]),
                 {"linux": {"devices": [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11,
                         "fileMode": 0o666}]},
                  "process": {"capabilities": privileged()}})
    with Bundle(over) as b:
        b.up()
        rule = {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rw"}
        for allow in (True, False):
            run_davit("update", "--resources", "-", b.id, check=True,
                      stdin=json.dumps({"devices": [{"allow": False, "access": "rwm"}, dict(rule, allow=allow)]}))
            got = b.exec_facts("open", "/dev/kmsg", "w")["open:/dev/kmsg"]
            assert (got != "EPERM") == allow, (allow, got)
            assert b.exec_facts("open", "/dev/null", "rw")["open:/dev/null"] == "ok"
        b.delete("--force")


@test("update of an unknown or stopped container is an error; bad values change nothing")
def update_errors():
    need("pids")
    fails(run_davit("update", "--pids-limit", "5", TAG + "nope"), "does not exist")
    with Bundle(resources(pids={"limit": 50})) as b:
        b.up()
        for argv in (["--pids-limit", "x"], ["--memory", "lots"], ["--resources", "/nowhere"], ["--cpuset-cpus",
                "9999"]):
            fails(run_davit("update", *argv, b.id))
        check(b, "pids", {"pids.max": 50}, {"pids.max": 50})
        b.delete("--force")


@test("events --stats prints one line of JSON with the counters")
def events():
    with Bundle(resources(memory={"limit": 64 * MIB}, pids={"limit": 50})) as b:
        b.up()
        r = run_davit("events", "--stats", b.id, check=True)
        assert len(r.out.strip().splitlines()) == 1, r
        doc = json.loads(r.out)
        assert doc["type"] == "stats" and doc["id"] == b.id, doc
        assert doc["data"]["cpu"]["usage"]["total"] > 0, doc
        assert doc["data"]["memory"]["usage"]["limit"] == 64 * MIB, doc
        assert doc["data"]["pids"]["current"] == 1 and doc["data"]["pids"]["limit"] == 50, doc
        b.delete("--force")


@test("a cgroup that is there and empty is taken, and stays when the runtime did not make it")
def existing_empty():
    need("pids")
    path = cgroup_dir(unique("mine"), "pids")
    os.mkdir(path)
    with Bundle({"linux": {"cgroupsPath": "/" + os.path.basename(path)}}) as b:
        b.create()
        b.delete("--force")
    assert os.path.isdir(path)
    for left in sorted(cgroups_tagged(), key=len, reverse=True):
        os.rmdir(left)


@test("a cgroup with processes of others in it is not killed or removed")
def existing_busy():
    need("pids")
    path = cgroup_dir(unique("busy"), "pids")
    os.mkdir(path)
    p = subprocess.Popen(["sleep", "60"])
    try:
        with open(path + "/cgroup.procs", "w") as f:
            f.write(str(p.pid))
        with Bundle({"linux": {"cgroupsPath": "/" + os.path.basename(path)}}) as b:
            fails(b.create(check=False), "has processes", str(p.pid), "(config.json /linux/cgroupsPath)")
            run_davit("delete", "--force", b.id)
            assert p.poll() is None, "a foreign process was killed"
    finally:
        p.kill()
        p.wait()
        for left in sorted(cgroups_tagged(), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(left)


main()
