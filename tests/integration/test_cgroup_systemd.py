#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The systemd cgroup manager: scopes, their properties, a bus that is slow or not there."""
from davit import *
from stub_bus import SYSTEMD as SYSTEMD_NAME, StubBus

SYSTEMD = ("--systemd-cgroup",)
MIB = 1 << 20


def need_systemd():
    if not os.path.isdir("/run/systemd/system"):
        raise Skip("PID 1 is not systemd")
    if not shutil.which("systemctl"):
        raise Skip("needs systemctl")


def need_manager():
    if not json.loads(run_davit("features", check=True).out)["linux"]["cgroup"].get("systemd"):
        raise Skip("davit was built without systemd")


def show(unit, *names):
    out = run_command(["systemctl", "show", unit, *(f"-p{n}" for n in names)], check=True).out
    return dict(line.split("=", 1) for line in out.splitlines() if line)


def loaded(unit):
    return show(unit, "LoadState")["LoadState"] == "loaded"


class Scope(Bundle):
    """A running container in a scope."""

    def __init__(self, *conf, slice_="", prefix="dvt"):
        super().__init__()
        for over in conf:
            self.conf = merge(self.conf, over)
        self.unit = f"{prefix}-{self.id}.scope"
        self.conf = merge(self.conf, {"linux": {"cgroupsPath": f"{slice_}:{prefix}:{self.id}"}})

    def go(self):
        self.save(command_args("pause"))
        self.create(glob=SYSTEMD)
        self.start()
        self.wait_output("ready=1")
        return self

    def group(self):
        for line in read(f"/proc/{self.pid()}/cgroup").splitlines():
            number, names, path = line.split(":", 2)
            if names == "name=systemd" or (number == "0" and v2_only()):
                return path
        return None


def res(**resources):
    return {"linux": {"resources": resources}}


@test("the container runs in a scope below the slice, which goes with it")
def scope():
    need_systemd()
    for slice_, parent in (("", "/system.slice"), ("dvt-one.slice", "/dvt.slice/dvt-one.slice"), ("-", "")):
        with Scope(slice_=slice_) as b:
            b.go()
            assert b.group() == f"{parent}/{b.unit}", b.group()
            got = show(b.unit, "Delegate", "DefaultDependencies", "ActiveState")
            assert got == {"Delegate": "yes", "DefaultDependencies": "no", "ActiveState": "active"}, got
            assert b.exec("true").rc == 0
            b.delete("--force")
            eventually(lambda b=b: not loaded(b.unit), "the scope is gone")


@test("without cgroupsPath the scope is named after the container")
def default_name():
    need_systemd()
    with Bundle() as b:
        b.save(command_args("pause"))
        b.create(glob=SYSTEMD)
        assert loaded(f"davit-{b.id}.scope")
        b.delete("--force")


@test("limits are systemd's properties and the kernel's files")
def limits():
    need_systemd()
    with Scope(res(memory={"limit": 64 * MIB, "swap": 64 * MIB, "reservation": 32 * MIB}, pids={"limit": 30},
                   cpu={"shares": 512, "quota": 50000, "period": 100000})) as b:
        b.go()
        got = show(b.unit, "MemoryMax", "MemoryLimit", "TasksMax", "CPUQuotaPerSecUSec", "CPUWeight", "CPUShares")
        assert got["TasksMax"] == "30" and got["CPUQuotaPerSecUSec"] == "500ms", got
        assert str(64 * MIB) in (got["MemoryMax"], got.get("MemoryLimit")), got
        assert got["CPUWeight"] == "59" or got["CPUShares"] == "512", got
        memory, version = group_of(b.pid(), "memory")
        assert memory.endswith(b.unit), memory
        assert read(memory + ("/memory.max" if version == 2 else "/memory.limit_in_bytes")).strip() == str(64 * MIB)
        if version == 2:
            assert read(memory + "/memory.swap.max").strip() == "0"
            assert read(memory + "/memory.low").strip() == str(32 * MIB)
        assert int(b.exec_facts("forks", "50")["forks"]) < 30
        b.delete("--force")


@test("update reaches systemd: a daemon-reload keeps the new limits")
def update():
    need_systemd()
    with Scope(res(pids={"limit": 30}, cpu={"quota": 50000, "period": 100000})) as b:
        b.go()
        run_davit("update", "--pids-limit", "20", "--cpu-quota", "12345", b.id, check=True)
        run_command(["systemctl", "daemon-reload"], check=True)
        pids, _ = group_of(b.pid(), "pids")
        cpu, version = group_of(b.pid(), "cpu")
        assert read(pids + "/pids.max").strip() == "20"
        quota = read(cpu + "/cpu.max").split()[0] if version == 2 else read(cpu + "/cpu.cfs_quota_us").strip()
        assert 12345 <= int(quota) <= 13000, quota  # systemd counts in percent
        assert show(b.unit, "TasksMax")["TasksMax"] == "20"
        b.delete("--force")


@test("device rules hold before and after a daemon-reload, and an update of them too")
def devices():
    need_systemd()
    node = [{"path": f"/dev/{n}", "type": "c", "major": 1, "minor": m, "fileMode": 0o666}
            for n, m in (("kmsg", 11), ("mem", 1))]
    with Scope(res(devices=[{"allow": False, "access": "rwm"},
                            {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rw"}]),
               {"linux": {"devices": node}, "process": {"capabilities": privileged()}}) as b:
        b.go()
        for _ in range(2):
            assert b.exec_facts("open", "/dev/kmsg", "w")["open:/dev/kmsg"] == "ok"
            assert b.exec_facts("open", "/dev/mem", "r")["open:/dev/mem"] == "EPERM"
            run_command(["systemctl", "daemon-reload"], check=True)
        run_davit("update", "--resources", "-", b.id, check=True,
                  stdin=json.dumps({"devices": [{"allow": False, "access": "rwm"}]}))
        for _ in range(2):
            assert b.exec_facts("open", "/dev/kmsg", "w")["open:/dev/kmsg"] == "EPERM"
            assert b.exec_facts("open", "/dev/null", "rw")["open:/dev/null"] == "ok"
            run_command(["systemctl", "daemon-reload"], check=True)
        b.delete("--force")


@test("annotations set listed properties")
def annotations():
    need_systemd()
    prefix = "org.systemd.property."
    with Scope({"annotations": {prefix + "TimeoutStopUSec": "uint64 7000000", prefix + "CollectMode": "'inactive'",
                                prefix + "After": "['basic.target']", prefix + "Description": "'a b'"}}) as b:
        b.go()
        got = show(b.unit, "TimeoutStopUSec", "CollectMode", "After", "Description")
        assert got["TimeoutStopUSec"] == "7s" and got["CollectMode"] == "inactive", got
        assert "basic.target" in got["After"] and got["Description"] == "a b", got
        b.delete("--force")


@test("annotations that could run something are refused, as are other bad ones", needs_root=False)
def annotations_refused():
    prefix = "org.systemd.property."
    for name, value in (("ExecStartPre", "'/bin/true'"), ("ExecStart", "[]"), ("RootDirectory", "'/'"),
                        ("OnFailure", "['x.service']"), ("TimeoutStopUSec", "'x'"), ("CollectMode", "1")):
        with Scope({"annotations": {prefix + name: value}}) as b:
            fails(b.create(check=False, glob=SYSTEMD), name)


@test("paths that are not slice:prefix:name are refused", needs_root=False)
def paths_refused():
    for path in ("/a/b", "a:b", "a/b.slice:c:d", "a.slice:b:c:d", "a.slice:b:../../c", "x:y:z", "a--b.slice:p:n"):
        with Bundle({"linux": {"cgroupsPath": path}}) as b:
            fails(b.create(check=False, glob=SYSTEMD), "cgroupsPath")


@test("a group of its own below the scope, and controllers in it")
def subgroup():
    need_systemd()
    if not v2_only():
        raise Skip("needs cgroup version 2 alone")
    with Scope({"annotations": {"run.oci.systemd.subgroup": "inner"}}, res(pids={"limit": 25})) as b:
        b.go()
        assert b.group().endswith(f"/{b.unit}/inner"), b.group()
        assert read("/sys/fs/cgroup" + b.group() + "/pids.max").strip() == "25"
        assert b.exec("true").rc == 0
        b.delete("--force")
        eventually(lambda: not loaded(b.unit), "the scope is gone")


@test("pause, resume, kill and delete")
def life():
    need_systemd()
    with Scope() as b:
        b.go()
        run_davit("pause", b.id, check=True)
        assert b.state()["status"] == "paused"
        run_davit("resume", b.id, check=True)
        b.kill("KILL")
        b.wait_stopped()
        b.delete()
        eventually(lambda: not loaded(b.unit), "the scope is gone")


@test("a unit that failed before does not stand in the way")
def failed_before():
    need_systemd()
    with Scope({"annotations": {"org.systemd.property.CollectMode": "'inactive'"}}) as b:
        run_command(["systemd-run", "--scope", f"--unit={b.unit}", "-pRuntimeMaxSec=1", "sleep", "30"])
        b.go()
        b.delete("--force")


def bus(how, then=None):
    return StubBus(os.path.join(work, unique("bus")), how, then)


def groups_left(name):
    return [c for c in cgroups_tagged() if name in c]


def create_fails(b, stub, *words):
    """Within five seconds, with these words; neither state nor process nor group nor unit is left."""
    r = b.create(check=False, glob=SYSTEMD, env=stub.env)
    fails(r, *words)
    assert r.seconds < 5 * FACTOR, r
    eventually(lambda: not groups_left(b.id), f"no group: {groups_left(b.id)}")
    if os.path.isdir("/run/systemd/system"):
        assert not loaded(f"davit-{b.id}.scope")


@test("a bus that never answers, and one that dies in the middle, are errors; nothing is left")
def no_answer():
    need_manager()
    for how, words in (("silent", ("no answer on the system bus",)), ("dies", ("system bus", "onnection")),
                       ("refuses", ("system bus", "not today", "org.davit.Refused"))):
        with bus(how) as stub, Bundle() as b:
            create_fails(b, stub, "start systemd unit", f"davit-{b.id}.scope", *words)


@test("a job that systemd never ends is an error within five seconds; nothing is left")
def no_job():
    need_manager()
    with bus("forgets") as stub, Bundle() as b:
        create_fails(b, stub, "start systemd unit", "job", "system bus", "ms")
        assert (SYSTEMD_NAME, "StartTransientUnit") in stub.calls, stub.calls


def misplaced(b, stub):
    """The stub does not put init where systemd would: that is seen, but only when all is asked."""
    fails(b.create(check=False, glob=SYSTEMD, env=stub.env), "systemd put process", f"davit-{b.id}.scope")


@test("the end of the job may come before the answer that names it")
def early_end():
    need_manager()
    with bus("early") as stub, Bundle() as b:
        misplaced(b, stub)


@test("the end of a job is asked for by what dbus-broker compares, too: no argument behind a number")
def rule():
    need_manager()
    with bus("answers") as stub, Bundle() as b:
        misplaced(b, stub)
        assert stub.rules, stub.calls
        for asked in stub.rules:
            assert "member='JobRemoved'" in asked and "arg" not in asked, asked


@test("what others on the bus tell of jobs is not believed")
def forged():
    need_manager()
    with bus("forged") as stub, Bundle() as b:
        misplaced(b, stub)


@test("an old systemd that knows a failed unit of the name starts it all the same, without the newest properties")
def old():
    need_manager()
    with bus("old") as stub, Bundle(res(cpu={"quota": 50000, "period": 200000})) as b:
        misplaced(b, stub)
        asked = [m for to, m in stub.calls if to == SYSTEMD_NAME and m != "StopUnit"]
        first = asked.index("ResetFailedUnit")
        assert asked[:first] == ["StartTransientUnit"] and set(asked[first + 1:]) == {"StartTransientUnit"}, asked


@test("a unit that somebody else made meanwhile is left alone, with its processes")
def exists():
    need_manager()
    points = [point for key, point in cgroup_hierarchies().items() if key in ("", "name=systemd")]
    if not points:
        raise Skip("no hierarchy here is of version 2 or called systemd")
    name = unique("scope")
    process = subprocess.Popen(["sleep", "60"])

    def groups():
        return [point + path for path in (f"/{name}.slice/dvt-{name}.scope", f"/{name}.slice") for point in points]

    def then():
        for group in reversed(groups()):
            os.mkdir(group)
        for group in groups()[:len(points)]:
            with open(group + "/cgroup.procs", "w", encoding="ascii") as f:
                f.write(str(process.pid))

    try:
        with bus("exists", then) as stub, Bundle({"linux": {"cgroupsPath": f"{name}.slice:dvt:{name}"}}) as b:
            fails(b.create(check=False, glob=SYSTEMD, env=stub.env), f"dvt-{name}.scope", "UnitExists")
        assert process.poll() is None, "killed"
        for group in groups()[:len(points)]:
            assert read(group + "/cgroup.procs").split() == [str(process.pid)], group
    finally:
        process.kill()
        process.wait()
        for group in groups():
            eventually(lambda group=group: group_removed(group), f"{group} removed")


@test("one message to systemd starts a container; what comes before it is not waited for apart")
def one_round():
    need_manager()
    with bus("answers") as stub, Bundle() as b:
        misplaced(b, stub)
        assert [m for to, m in stub.calls if to == SYSTEMD_NAME][0] == "StartTransientUnit", stub.calls
        until = stub.calls.index((SYSTEMD_NAME, "StartTransientUnit"))
        assert sorted(m for _, m in stub.calls[:until]) == ["AddMatch", "Hello"], stub.calls
        assert [m for to, m in stub.calls if to == SYSTEMD_NAME].count("StartTransientUnit") == 1, stub.calls


@test("delete with a bus that never answers ends within five seconds, and nothing is frozen")
def delete_silent():
    need_systemd()
    with Scope() as b:
        b.go()
        run_davit("pause", b.id, check=True)
        pid = b.pid()
        with bus("silent") as stub:
            r = run_davit("delete", "--force", b.id, env=stub.env)
        assert r.seconds < 6 * FACTOR, r
        assert r.rc == 0 or "system bus" in r.err, r
        eventually(lambda: not alive(pid), "init has ended")
        if r.rc != 0:
            b.delete("--force")
        eventually(lambda: not loaded(b.unit), "the scope is gone")


@test("no bus at all is an error that says so")
def no_bus():
    need_manager()
    if os.path.isdir("/run/systemd/system"):
        raise Skip("systemd is there")
    with Bundle() as b:
        fails(b.create(check=False, glob=SYSTEMD), "bus")


main()
