#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""systemd as the manager of cgroups: units, limits, reload, a bus that does not answer."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from davit import *  # noqa: E402
from stub_bus import RelayBus  # noqa: E402

ROOTLESS = os.geteuid() != 0
SYSTEMD = ("--systemd-cgroup",)
MB = 1 << 20


def systemctl(*args, check=True):
    return run_command(["systemctl", *["--user"][:ROOTLESS], *args], check=check).out.strip()


def active(unit):
    return systemctl("is-active", unit, check=False)


def show(unit, name):
    return systemctl("show", "-P", name, unit)


@contextlib.contextmanager
def container(over=None, path=None, resources=None, args=(), flags=SYSTEMD):
    """A running container; (bundle, unit, directory of its group)."""
    if not os.path.isdir("/run/systemd/system"):
        raise Skip("systemd is not PID 1")
    with Bundle() as b:
        conf = merge({"linux": {"cgroupsPath": path, "resources": resources}}, over or {})
        if ROOTLESS:
            conf = merge(conf, user_namespace())
        b.up(*args, over=conf, glob=flags)
        yield b, b.unit(), b.group()
        b.delete("--force")


def user_namespace():
    mine = lambda number: [{"containerID": 0, "hostID": number, "size": 1}]
    return {"linux": {"namespaces": namespaces(*NAMESPACES, "user"),
                      "uidMappings": mine(os.getuid()), "gidMappings": mine(os.getgid())}}


def group(b):
    """The unit's directory, in the hierarchy that systemd itself uses."""
    h = cgroup_hierarchies()
    own = h.get("name=systemd") if "name=systemd" in h else h[""]
    for line in read(f"/proc/{b.pid()}/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if (names == "name=systemd") if "name=systemd" in h else not names:
            return own + path
    raise AssertionError("no group of systemd's")


def unit(b):
    names = [n for n in group(b).split("/") if n.endswith(".scope")]
    return names[-1] if names else None


Bundle.group, Bundle.unit = group, unit


def value(b, controller, file):
    """A file of the container's group for a controller, from its own group or the unit's."""
    h = cgroup_hierarchies()
    for line in read(f"/proc/{b.pid()}/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return read(f"{h[controller]}{path}/{file}").strip()
    path = [l[3:] for l in read(f"/proc/{b.pid()}/cgroup").splitlines() if l.startswith("0::")][0]
    return read(f"{h['']}{path}/{file}").strip()


def v2():
    if not v2_only():
        raise Skip("the files are those of cgroup v2")


def gone(path, name):
    eventually(lambda: not os.path.exists(path), f"{path} gone")
    eventually(lambda: active(name) != "active", f"{name} gone")


@test("without cgroupsPath: a scope named after the container, that goes with it", needs_root=False)
def default_name():
    with container() as (b, name, path):
        assert name == f"davit-{b.id}.scope", path
        assert os.path.dirname(path).endswith("user.slice" if ROOTLESS else "system.slice"), path
        assert active(name) == "active" and show(name, "Delegate") == "yes"
    gone(path, name)


@test("slice:prefix:name, also with slices below slices", needs_root=False)
def names():
    tag = TAG[3:]
    with container(path=f"dvt-{tag}.slice:pre:{TAG}") as (b, name, path):
        assert path.endswith(f"/dvt.slice/dvt-{tag}.slice/pre-{TAG}.scope"), path
        assert show(name, "Slice") == f"dvt-{tag}.slice"
    gone(path, name)


@test("--cgroup-manager systemd is the same", needs_root=False)
def manager_flag():
    with container(flags=("--cgroup-manager", "systemd")) as (_, name, path):
        assert active(name) == "active"
    gone(path, name)


@test("a malformed cgroupsPath is an error", needs_root=False)
def bad_path():
    with Bundle() as b:
        for path in ("/absolute", "a:b", "a/b.slice:c:d", "x:y:z", "../x.slice:y:z"):
            b.save({"linux": {"cgroupsPath": path}}, user_namespace() if ROOTLESS else {})
            fails(b.run(glob=SYSTEMD))


@test("limits are in the kernel, in systemd, and stay after a reload", needs_root=False)
def limits():
    resources = {"memory": {"limit": 64 * MB, "reservation": 32 * MB}, "pids": {"limit": 50},
                 "cpu": {"quota": 50000, "period": 100000, "shares": 512}}
    with container(resources=resources) as (b, name, _):
        def check():
            assert value(b, "pids", "pids.max") == "50"
            if v2_only():
                assert value(b, "memory", "memory.max") == str(64 * MB)
                assert value(b, "memory", "memory.low") == str(32 * MB)
                assert value(b, "cpu", "cpu.max") == "50000 100000"
            else:
                assert value(b, "memory", "memory.limit_in_bytes") == str(64 * MB)
                assert value(b, "cpu", "cpu.cfs_quota_us") == "50000"
                assert value(b, "cpu", "cpu.shares") == "512"
        check()
        assert show(name, "TasksMax") == "50"
        assert show(name, "MemoryMax" if v2_only() else "MemoryLimit") == str(64 * MB)
        assert show(name, "CPUQuotaPerSecUSec") == "500ms"
        systemctl("daemon-reload")
        check()


@test("update tells systemd too", needs_root=False)
def update():
    v2()
    with container(resources={"memory": {"limit": 64 * MB}, "pids": {"limit": 50}}) as (b, name, _):
        run_davit("update", "--memory", 96 * MB, "--pids-limit", "70", "--cpu-quota", "20000",
                  "--cpu-period", "100000", b.id, check=True)
        systemctl("daemon-reload")
        assert value(b, "memory", "memory.max") == str(96 * MB)
        assert value(b, "pids", "pids.max") == "70"
        assert value(b, "cpu", "cpu.max") == "20000 100000"
        assert show(name, "MemoryMax") == str(96 * MB) and show(name, "TasksMax") == "70"


@test("cpus and unified keys survive a reload", needs_root=False)
def cpuset():
    v2()
    over = {"cpu": {"cpus": "0", "mems": "0"}, "unified": {"memory.high": str(48 * MB)}}
    with container(resources=over) as (b, _, path):
        systemctl("daemon-reload")
        assert value(b, "cpuset", "cpuset.cpus") == "0"
        assert value(b, "memory", "memory.high") == str(48 * MB)
        assert "Cpus_allowed_list:\t0\n" in read(f"/proc/{b.pid()}/status")


def disk():
    """Name and numbers of a whole disk."""
    names = sorted(n for n in os.listdir("/sys/block") if not n.startswith(("ram", "zram", "loop", "dm-")))
    if not names:
        raise Skip("this host has no block device")
    major, minor = read(f"/sys/block/{names[0]}/dev").strip().split(":")
    return names[0], int(major), int(minor)


def kept(b, files):
    """Checks the files of a group, as they are and after systemd has written what it knows."""
    for after in ("at first", "after a reload"):
        if after != "at first":
            systemctl("daemon-reload")
        have = {f: value(b, *f) for f in files}
        assert have == files, (after, have)


@test("rates of a disk are systemd's as well, and lifted there too", needs_root=False)
def throttles():
    if ROOTLESS and not v2_only():
        raise Skip("a user has no blkio group")
    name, major, minor = disk()
    rates = {f"throttle{what}Device": [{"major": major, "minor": minor, "rate": rate}] for what, rate in (
        ("ReadBps", 1 << 20), ("WriteBps", 2 << 20), ("ReadIOPS", 300), ("WriteIOPS", 400))}
    with container(resources={"blockIO": rates}) as (b, unit, _):
        if v2_only():
            kept(b, {("io", "io.max"): f"{major}:{minor} rbps=1048576 wbps=2097152 riops=300 wiops=400"})
            names = {"IOReadBandwidthMax": "1048576", "IOWriteBandwidthMax": "2097152", "IOReadIOPSMax": "300",
                     "IOWriteIOPSMax": "400"}
        else:
            kept(b, {("blkio", f"blkio.throttle.{file}_device"): f"{major}:{minor} {rate}" for file, rate in (
                ("read_bps", 1 << 20), ("write_bps", 2 << 20), ("read_iops", 300), ("write_iops", 400))})
            names = {}  # it is not told, and leaves them alone
        for key, rate in names.items():
            assert show(unit, key) == f"/dev/{name} {rate}", (key, show(unit, key))
        lifted = {key: [dict(rows[0], rate=0)] for key, rows in rates.items()}
        run_davit("update", "--resources", "-", b.id, stdin=json.dumps({"blockIO": lifted}), check=True)
        kept(b, {("io", "io.max"): ""} if v2_only() else {("blkio", "blkio.throttle.read_bps_device"): ""})
        for key in names:
            assert show(unit, key) == "", (key, show(unit, key))


@test("a weight of block I/O survives a reload", needs_root=False)
def io_weight():
    if ROOTLESS and not v2_only():
        raise Skip("a user has no blkio group")
    if not v2_only() and not os.path.exists("/sys/module/bfq"):
        raise Skip("the kernel has no bfq loaded, and so no weights")
    # 181 is the most that systemd can keep for bfq on version 1
    with container(resources={"blockIO": {"weight": 300 if v2_only() else 170}}) as (b, _, path):
        if v2_only():
            bfq = os.path.exists(path + "/io.bfq.weight")
            kept(b, {("io", "io.bfq.weight"): "default 300"} if bfq else {("io", "io.weight"): "default 2930"})
        else:
            kept(b, {("blkio", "blkio.bfq.weight"): "170"})
            run_davit("update", "--blkio-weight", "600", b.id, check=True)
            assert value(b, "blkio", "blkio.bfq.weight") == "600"
            systemctl("daemon-reload")
            assert value(b, "blkio", "blkio.bfq.weight") == "181"


@test("an idle group stays idle after a reload", needs_root=False)
def idle():
    v2()
    with container(resources={"cpu": {"idle": 1}}) as (b, unit, _):
        kept(b, {("cpu", "cpu.idle"): "1"})
        assert show(unit, "CPUWeight") in ("idle", "0"), show(unit, "CPUWeight")


@test("the end of being idle, and swap alone, survive a reload", needs_root=False)
def update_outcome():
    v2()
    with container(resources={"cpu": {"idle": 1}, "memory": {"limit": 64 * MB, "swap": 80 * MB}}) as (b, unit, _):
        run_davit("update", "--resources", "-", b.id, check=True,
                  stdin=json.dumps({"cpu": {"idle": 0}, "memory": {"swap": 96 * MB}}))
        kept(b, {("cpu", "cpu.idle"): "0", ("memory", "memory.swap.max"): str(32 * MB)})
        assert show(unit, "MemorySwapMax") == str(32 * MB), show(unit, "MemorySwapMax")


@test("unified keys that stand for more than they say survive a reload, and a failed update", needs_root=False)
def unified_outcome():
    v2()
    keys = {"cpu.max": "20000 50000", "cpu.weight.nice": "5"}
    with container(resources={"unified": keys}) as (b, _, _):
        kept(b, {("cpu", "cpu.max"): "20000 50000", ("cpu", "cpu.weight"): "33"})
        for update, files in (
                ({"cpu.max": "30000", "cpu.weight.nice": "7"}, {"cpu.max": "30000 50000", "cpu.weight": "21"}),
                ({"cpu.weight": "300"}, {"cpu.weight": "300"}), ({"cpu.idle": "1"}, {"cpu.idle": "1"}),
                ({"cpu.idle": "0"}, {"cpu.idle": "0", "cpu.weight": "100"}),
                ({"cpu.weight": "300"}, {"cpu.weight": "300"})):
            run_davit("update", "--resources", "-", b.id, check=True, stdin=json.dumps({"unified": update}))
            kept(b, {("cpu", file): text for file, text in files.items()})
        fails(run_davit("update", "--resources", "-", b.id, stdin=json.dumps({"unified": {
            "cpu.weight.nice": "7", "cgroup.max.depth": "-5"}})), "cgroup.max.depth")
        kept(b, {("cpu", "cpu.weight"): "300"})


@test("unified keys that are systemd's survive a reload", needs_root=False)
def unified():
    v2()
    keys = {"cpu.max": "30000 60000", "cpu.weight": "250", "cpuset.cpus": "0", "memory.max": str(80 * MB),
            "memory.min": str(4 * MB), "pids.max": "40"}
    with container(resources={"unified": keys}) as (b, unit, _):
        kept(b, {(file.split(".")[0], file): want for file, want in keys.items()})
        assert show(unit, "CPUWeight") == "250" and show(unit, "CPUQuotaPerSecUSec") == "500ms"


@test("update: a quota alone keeps the period, and so does its end", needs_root=False)
def update_quota():
    if ROOTLESS and not v2_only():
        raise Skip("a user has no cpu group")
    def cpu(quota):
        return {("cpu", "cpu.max"): f"{quota} 50000"} if v2_only() else {
            ("cpu", "cpu.cfs_quota_us"): quota.replace("max", "-1"), ("cpu", "cpu.cfs_period_us"): "50000"}
    with container(resources={"cpu": {"quota": 25000, "period": 50000}}) as (b, unit, _):
        kept(b, cpu("25000"))
        run_davit("update", "--cpu-quota", "10000", b.id, check=True)
        kept(b, cpu("10000"))
        run_davit("update", "--cpu-quota", "-1", b.id, check=True)
        assert show(unit, "CPUQuotaPerSecUSec") == "infinity"
        assert {f: value(b, *f) for f in cpu("max")} == cpu("max")  # without a quota systemd forgets it
        run_davit("update", "--cpu-quota", "20000", b.id, check=True)
        kept(b, cpu("20000"))


@contextlib.contextmanager
def bfq(name):
    """Gives a disk of a throw-away machine the scheduler that knows weights, for a while; False elsewhere."""
    file = f"/sys/block/{name}/queue/scheduler"
    if not os.environ.get("DAVIT_VM") or run_command(["modprobe", "bfq"]).rc != 0:
        yield False
        return
    old = re.search(r"\[(.*)\]", read(file))[1]
    write(file, "bfq")
    try:
        yield True
    finally:
        write(file, old)


@test("an update of the weight of all block I/O leaves those of single devices as they are")
def weights_of_devices():
    name, major, minor = disk()
    with bfq(name) as weights:
        if not weights:
            raise Skip("needs bfq, on a machine of the tests")
        io_ = {"weight": 120, "weightDevice": [{"major": major, "minor": minor, "weight": 150}]}
        # on version 1 systemd writes the weight too, and knows none of devices for bfq
        for manager in ("cgroupfs", "systemd") if v2_only() else ("cgroupfs",):
            with container(resources={"blockIO": io_}, flags=("--cgroup-manager", manager)) as (b, _, path):
                file, words = ("io", "io.bfq.weight"), f"{major}:{minor} 150"
                if not v2_only():
                    file = ("blkio", "blkio.bfq.weight_device")
                assert words in value(b, *file), value(b, *file)
                run_davit("update", "--blkio-weight", "170", b.id, check=True)
                assert words in value(b, *file), value(b, *file)


@test("an update that fails after systemd was told gives systemd the old values back")
def update_back():
    v2()
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv")
    name, major, minor = disk()
    with bfq(name) as weights:
        update_back_with(major, minor, weights)


def update_back_with(major, minor, weights):
    def io(number):
        where = {"major": major, "minor": minor}
        res = {"throttleReadBpsDevice": [dict(where, rate=number << 20)]}
        return dict(res, weight=number * 100, weightDevice=[dict(where, weight=number * 200)]) if weights else res
    old = {"memory": {"limit": 64 * MB}, "cpu": {"quota": 25000, "period": 50000, "shares": 2048},
           "pids": {"limit": 50}, "blockIO": io(1)}
    new = {"memory": {"limit": 96 * MB}, "cpu": {"quota": 10000, "shares": 512}, "pids": {"limit": 60},
           "blockIO": io(3), "devices": [{"allow": False, "access": "rwm"}]}
    with container(resources=old) as (b, unit, _):
        names = ("MemoryMax", "CPUQuotaPerSecUSec", "CPUWeight", "TasksMax", "IOReadBandwidthMax", "IOWeight",
                 "IODeviceWeight")
        files = [("memory", "memory.max"), ("cpu", "cpu.max"), ("cpu", "cpu.weight"), ("pids", "pids.max"),
                 ("io", "io.max"), *[("io", "io.bfq.weight")][:weights]]
        before = {n: show(unit, n) for n in names}
        want = {f: value(b, *f) for f in files}
        # What only the last part of the update needs, the program for the devices, is taken away.
        r = run_command(["setpriv", "--bounding-set", "-sys_admin,-bpf", *command("update",
                         "--resources", "-", b.id)], stdin=json.dumps(new))
        fails(r, "device program")
        assert {n: show(unit, n) for n in names} == before, (before, {n: show(unit, n) for n in names})
        kept(b, want)


def device_rules(b):
    """The rules that update_devices_back is about: systemd's, and on version 1 the kernel's."""
    lists = [show(b.unit(), "DeviceAllow"), "" if v2_only() else value(b, "devices", "devices.list")]
    return show(b.unit(), "DevicePolicy"), *(sorted(text.splitlines()) for text in lists)


@test("an update of the device rules that fails after systemd was told gives systemd and the kernel the old ones back")
def update_devices_back():
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv")
    rule = lambda minor: {"allow": True, "type": "c", "major": 10, "minor": minor, "access": "rw"}
    for old in ([rule(200), rule(229)], []):
        with container(resources={"devices": old}) as (b, unit, _):
            before = device_rules(b)
            assert before[0] == "strict" and ("/dev/char/10:229 rw" in before[1]) == bool(old), before
            for new in ([{"allow": False, "access": "rwm"}, rule(235)], [{"allow": True, "access": "rwm"}]):
                r = run_command(["setpriv", "--bounding-set", "-sys_admin,-bpf", *command(
                    "update", "--resources", "-", b.id)], stdin=json.dumps({"devices": new}))
                fails(r, "device")
                assert device_rules(b) == before, (device_rules(b), before)
            run_davit("update", "--resources", "-", b.id, stdin=json.dumps({"devices": [rule(235)]}), check=True)
            assert "char/10:235" in show(unit, "DeviceAllow"), show(unit, "DeviceAllow")


@test("more updates of the device rules than programs fit leave one of davit's")
def programs():
    v2()
    with container() as (b, _, path):
        rule = {"allow": True, "type": "c", "major": 10, "access": "rwm"}
        for minor in range(66):  # the kernel has place for 64
            run_davit("update", "--resources", "-", b.id, check=True,
                      stdin=json.dumps({"devices": [dict(rule, minor=minor)]}))
        assert b.exec_facts("open", "/dev/null", "rw")["open:/dev/null"] == "ok"


@test("a process over the memory limit is killed: 137", needs_root=False)
def memory_kills():
    with Bundle(busybox=True) as b:
        os.symlink("busybox", b.path("/bin/tail"))
        b.save({"process": {"args": ["/bin/tail", "/dev/zero"]},
                "linux": {"resources": {"memory": {"limit": 16 * MB, "swap": 16 * MB}}}},
               user_namespace() if ROOTLESS else {})
        r = b.run(glob=SYSTEMD)
        assert r.rc == 137, r


@test("the limit of processes holds", needs_root=False)
def pids_hold():
    with Bundle(busybox=True) as b:
        b.save({"process": {"args": ["/bin/sh", "-c",
                                     "for i in 1 2 3 4 5 6 7 8; do sleep 3 & done; echo all"]},
                "linux": {"resources": {"pids": {"limit": 4}}}}, user_namespace() if ROOTLESS else {})
        r = b.run(glob=SYSTEMD)
        assert "all" not in r.out, r


@test("a program that ends at once leaves no unit", needs_root=False)
def short():
    with Bundle() as b:
        b.save(command_args("exit", "3"), user_namespace() if ROOTLESS else {})
        for _ in range(3):
            r = b.run(glob=SYSTEMD, keep_config=True)
            assert r.rc == 3, r
            eventually(lambda: active(f"davit-{b.id}.scope") != "active", "scope gone")


@test("that it was killed for want of memory is known although the scope has gone", limit=120)
def oom_record():
    limits = {"memory": {"limit": 16 * MB, "swap": 16 * MB}}
    with Bundle() as b:
        b.save(merge({"linux": {"resources": limits}}, command_args("hog", "64")))
        b.create(glob=SYSTEMD)
        name, path = b.unit(), b.group()
        b.start()
        gone(path, name)
        x = b.state()["exit"]
        assert x["oomKills"] >= 1 and x["oomKilled"] is True and x["signal"] == 9, x


@test("kill keeps the numbers of a scope that goes with it", needs_root=False)
def kill_record():
    for flags in ((), ("--all",)):
        with container() as (b, name, path):
            run_davit("kill", *flags, b.id, "KILL", check=True)
            b.wait_stopped()
            gone(path, name)
            x = b.state()["exit"]
            assert x["cpuTime"] > 0 and x.get("signal", 9) == 9, x


@test("events: numbers of the scope, and the OOM kill that ends it", limit=150)
def events():
    limits = {"memory": {"limit": 16 * MB, "swap": 16 * MB}, "pids": {"limit": 30}}
    with Bundle() as b:
        b.save(merge({"linux": {"resources": limits}}, command_args("hog", "64")))
        b.create(glob=SYSTEMD)
        name, path = b.unit(), b.group()
        process = b.spawn("--interval", "60s", verb="events")
        with process:
            data = json.loads(process.stdout.readline())["data"]
            assert data["memory"]["usage"]["limit"] == 16 * MB, data["memory"]["usage"]
            assert data["pids"]["limit"] == 30, data["pids"]
            b.start()
            gone(path, name)
            out, err = process.communicate(timeout=30 * FACTOR)
        assert process.returncode == 0, err
        assert {"type": "oom", "id": b.id} in list(map(json.loads, out.splitlines())), out
        assert b.state()["exit"]["oomKilled"] is True, b.state()


@test("ps lists the processes of the scope, with options, and as JSON", needs_root=False)
def ps():
    with container() as (b, _, path):
        b.exec("sleep", "60", flags=["--detach", "--pid-file", b.dir + "/pid"], check=True)
        pids = sorted([b.pid(), int(read(b.dir + "/pid"))])
        assert sorted(run_davit("ps", "--format", "json", b.id, check=True).json) == pids
        assert sorted(map(int, read(path + "/cgroup.procs").split())) == pids
        for options in ([], ["-o", "pid,args"]):
            lines = run_davit("ps", b.id, *options, check=True).out.splitlines()
            assert "PID" in lines[0].split() and len(lines) == 3, lines


@test("exec joins the scope", needs_root=False)
def exec_joins():
    with container() as (b, _, path):
        b.exec("sleep", "30", flags=["--detach", "--pid-file", b.dir + "/pid"], check=True)
        pid = read(b.dir + "/pid")
        assert path.rsplit("/", 1)[1] in read(f"/proc/{pid}/cgroup")


@test("pause and resume; a paused container is removed", needs_root=False)
def pause():
    with container() as (b, name, path):
        run_davit("pause", b.id, check=True)
        assert b.state()["status"] == "paused"
        run_davit("resume", b.id, check=True)
        assert b.state()["status"] == "running"
        run_davit("pause", b.id, check=True)
    gone(path, name)


@test("groups that the payload makes go with the scope", needs_root=False)
def payload_groups():
    with container() as (_, name, path):
        os.makedirs(path + "/a/b")
    gone(path, name)


@test("device rules hold, also after systemd has reloaded")
def devices():
    rules = [{"allow": False, "access": "rwm"},
             {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
             {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "m"}]
    caps = capsets(CAPS + ["CAP_MKNOD"])
    over = {"process": {"capabilities": caps}}
    with container(over, resources={"devices": rules}) as (b, name, _):
        assert show(name, "DevicePolicy") == "strict"
        os.mknod(b.path("/tmp/kmsg"), 0o666 | stat.S_IFCHR, os.makedev(1, 11))
        os.mknod(b.path("/tmp/zero"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        for reload in (False, True, True):
            if reload:
                systemctl("daemon-reload")
            facts = b.exec_facts("open", "/tmp/zero", "rw", "+", "open", "/tmp/kmsg", "r")
            assert facts["open:/tmp/zero"] == "ok", facts.text
            assert facts["open:/tmp/kmsg"] == "EPERM", facts.text


@test("allowed properties by annotation are set, others refused", needs_root=False)
def properties():
    over = {"annotations": {"org.systemd.property.TimeoutStopUSec": "uint64 7000000",
                            "org.systemd.property.CollectMode": "'inactive-or-failed'"}}
    with container(over) as (_, name, _):
        assert show(name, "TimeoutStopUSec") == "7s"
    for bad in ({"org.systemd.property.ExecStop": "'x'"}, {"org.systemd.property.TimeoutStopUSec": "'"}):
        with Bundle() as b:
            b.save({"annotations": bad}, user_namespace() if ROOTLESS else {})
            fails(b.run(glob=SYSTEMD), "org.systemd.property")


def relay(*args):
    real = f"{os.environ['XDG_RUNTIME_DIR']}/bus" if ROOTLESS else "/run/dbus/system_bus_socket"
    return RelayBus(os.path.join(work, unique("bus")), real, *args)


@test("one call to systemd starts a container, none ends it", needs_root=False)
def one_call():
    with Bundle() as b, relay() as bus:
        b.save(command_args("exit", "3"), user_namespace() if ROOTLESS else {})
        assert b.run(glob=SYSTEMD, env=bus.env).rc == 3
        # The answers to the first two are not waited for one by one.
        assert bus.calls[:3] == ["Hello", "AddMatch", "StartTransientUnit"], bus.calls
        assert "StartTransientUnit" not in bus.calls[3:], bus.calls
        assert set(bus.calls[3:]) <= {"Hello", "AddMatch", "StopUnit", "ResetFailedUnit"}, bus.calls


@test("a bus that does not answer, or no more, is an error within its time, and leaves nothing",
      needs_root=False, limit=120)
def dead_bus():
    with Bundle() as b, FdReceiver("bus") as bus:
        b.save(user_namespace() if ROOTLESS else {})
        address = f"unix:path={bus.path}"
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=address, DBUS_SESSION_BUS_ADDRESS=address)
        r = fails(b.run(glob=SYSTEMD, env=env), "bus")
        assert r.seconds < 5 * FACTOR, r
    for late in (False, True):
        with Bundle() as b, relay("StartTransientUnit", late) as bus:
            b.save(command_args("pause"), user_namespace() if ROOTLESS else {})
            r = fails(b.run(glob=SYSTEMD, env=bus.env), "user bus" if ROOTLESS else "system bus")
            assert r.seconds < 5 * FACTOR, r
            assert bus.calls.count("StartTransientUnit") == 1, bus.calls
            fails(run_davit("state", b.id), "does not exist")
            name = f"davit-{b.id}.scope"
            eventually(lambda name=name: active(name) != "active", f"{name} gone")
            top = cgroup_hierarchies().get("name=systemd") or cgroup_hierarchies()[""]
            eventually(lambda name=name, top=top: not any(
                name in found for _, found, _ in os.walk(top)), f"the group of {name} gone")


@test("without a bus, root has systemd's own socket: all of a container's life")
def no_bus():
    if ROOTLESS:
        raise Skip("that socket is root's")
    env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent/bus")
    with Bundle() as b:
        b.save(command_args("pause"), {"linux": {"resources": {"pids": {"limit": 50}}}})
        try:
            b.create(glob=SYSTEMD, env=env, keep_config=True)
            run_davit("start", b.id, check=True, env=env)
            name = b.unit()
            assert active(name) == "active" and show(name, "TasksMax") == "50"
            run_davit("update", "--pids-limit", "60", b.id, check=True, env=env)
            assert show(name, "TasksMax") == "60"
        finally:
            run_davit("delete", "--force", b.id, check=True, env=env)
        eventually(lambda: active(name) != "active", f"{name} gone")


@test("an update that systemd does not answer fails in time; the old values are there", needs_root=False)
def dead_update():
    v2()
    with container(resources={"pids": {"limit": 50}}) as (b, name, _), relay("SetUnitProperties") as bus:
        r = fails(run_davit("update", "--pids-limit", "60", b.id, env=bus.env), "bus")
        assert r.seconds < 5 * FACTOR, r
        kept(b, {("pids", "pids.max"): "50"})
        assert show(name, "TasksMax") == "50" and b.state()["status"] == "running"


main()
