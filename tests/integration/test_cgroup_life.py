#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Control groups from create to delete: payload's own groups, exec, freezing, updates taken back."""
import ctypes

from davit import *


def placed(name, **res):
    return {"linux": {"cgroupsPath": "/" + name, "resources": res}}


def groups_left(name):
    return [c for c in cgroups_tagged() if name in c]


def any_group(pid):
    """The container's group in some hierarchy, its mount point and whether that is version 2."""
    h = cgroup_hierarchies()
    kind = "pids" if "pids" in h else ""
    return group_of(pid, kind)[0], v2_only()


def feed(bundle, resources):
    return run_davit("update", "--resources", "-", bundle.id, stdin=json.dumps(resources))


@test("groups that the payload made are removed with the container")
def payload_groups():
    name = unique("sub")
    with Bundle(placed(name)) as b:
        b.up()
        for kind in ("pids", "memory", "freezer", ""):
            with contextlib.suppress(Skip):
                path, _ = group_of(b.pid(), kind)
                os.makedirs(path + "/x/y", exist_ok=True)
                os.makedirs(path + "/z", exist_ok=True)
        b.delete("--force")
    assert not groups_left(name), groups_left(name)


@test("a frozen group that is there is refused, and stays frozen")
def existing_frozen():
    path = cgroup_dir(unique("ice"), "freezer") if not v2_only() else "/sys/fs/cgroup/" + unique("ice")
    state, on, off = (path + "/cgroup.freeze", "1", "0") if v2_only() else (path + "/freezer.state", "FROZEN", "THAWED")
    os.mkdir(path)
    try:
        write(state, on)
        with Bundle({"linux": {"cgroupsPath": "/" + os.path.basename(path)}}) as b:
            fails(b.create(check=False), "frozen")
        assert read(state).strip() == on
        write(state, off)
    finally:
        for left in sorted(cgroups_tagged(), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(left)


def v1_groups(b):
    """{controller: the container's group} of all hierarchies of version 1."""
    found = {name: f"{point}/davit/{b.id}" for name, point in cgroup_hierarchies().items() if name}
    if not found:
        raise Skip("groups of version 2 alone are not systemd's to take away")
    return found


class Trimmer:
    """As systemd does with groups of version 1 that it did not make: takes away what is empty, again and again."""

    def __init__(self, paths, delay=0):
        self.paths, self.delay = paths, delay

    def __enter__(self):
        self.pid = os.fork()
        if self.pid == 0:
            time.sleep(self.delay)
        while self.pid == 0:
            time.sleep(0.0005 * FACTOR)
            for path in self.paths:
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        Child.known.add(self.pid)

    def __exit__(self, *exc):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@test("groups taken away before the container's process is in them are made again, with all values")
def trimmed():
    resources = {"pids": {"limit": 50}, "cpu": {"cpus": "0"}, "memory": {"limit": 64 << 20, "swap": -1},
                 "devices": [{"allow": False, "access": "rwm"}]}
    wanted = {"pids.max": "50", "cpuset.cpus": "0", "memory.limit_in_bytes": str(64 << 20)}
    for _ in range(10):
        with Bundle({"linux": {"resources": resources}}) as b:
            groups = v1_groups(b)
            with Trimmer(set(groups.values())):
                b.up()
            for name, path in groups.items():
                assert str(b.pid()) in read(path + "/cgroup.procs").split(), path
                for file, value in wanted.items():
                    if file.startswith(name + "."):
                        assert read(f"{path}/{file}").strip() == value, file
            assert "a *:* rwm" not in read(groups["devices"] + "/devices.list")
            b.delete("--force")


@test("a group that was there and is taken away is not made again without what was set there: an error that says so")
def trimmed_adopted():
    with Bundle() as b:
        groups = v1_groups(b)
        path = groups["pids"]
        os.makedirs(path)
        b.save(command_args("pause"))
        for turn in range(200):
            os.makedirs(path, exist_ok=True)
            with Trimmer([path], turn % 50 * 0.002 * FACTOR):  # after davit has looked, and before init is in it
                result = run_davit("create", "--bundle", b.dir, b.id)
            if result.rc and "since" in result.err:
                break
            run_davit("delete", "--force", b.id)
        fails(result, path, "somebody has removed")
        fails(run_davit("state", b.id), "does not exist")


@test("update of a container whose processes were taken out of a group, or that lost it, is an error that says so")
def update_gone():
    with Bundle({"linux": {"resources": {"pids": {"limit": 50}}}}) as b:
        path = v1_groups(b)["pids"]
        b.up()
        write(cgroup_hierarchies()["pids"] + "/cgroup.procs", str(b.pid()))
        for lost in (False, True):
            if lost:
                os.rmdir(path)
            for how in ("error", "warn"):
                result = run_davit("--on-unsupported", how, "update", "--pids-limit", "60", "--memory", 64 << 20, b.id)
                fails(result, path, "no more in", "/linux/resources/pids/limit", "systemd")
                assert lost or read(path + "/pids.max").strip() == "50"
                assert read(v1_groups(b)["memory"] + "/memory.limit_in_bytes").strip() != str(64 << 20)
        assert b.exec("true").rc == 0
        b.delete("--force")


@test("update of CPU period, quota and burst whose order the kernel minds, with little room above")
def update_three():
    parent = cgroup_dir(unique("half"), "cpu") if not v2_only() else f"/sys/fs/cgroup/{unique('half')}"
    if v2_only() or not os.path.exists(os.path.dirname(parent) + "/cpu.cfs_burst_us"):
        raise Skip("needs the cpu controller of version 1, with burst")
    name = os.path.basename(parent)
    os.mkdir(parent)
    try:
        write(parent + "/cpu.cfs_quota_us", "50000")
        times = ({"period": 50000, "quota": 25000, "burst": 20000}, {"period": 20000, "quota": 10000, "burst": 5000})
        with Bundle(placed(name + "/in", cpu=times[0])) as b:
            b.up()
            for new in (times[1], times[0]):
                result = feed(b, {"cpu": new})
                assert result.rc == 0, result
                got = {k: int(read(f"{parent}/in/cpu.cfs_{k}_us")) for k in new}
                assert got == new, got
            fails(feed(b, {"cpu": times[1], "blockIO": {"throttleReadBpsDevice": [
                {"major": 250, "minor": 77, "rate": 5}]}}), "250:77")
            assert {k: int(read(f"{parent}/in/cpu.cfs_{k}_us")) for k in new} == times[0]
            b.delete("--force")
    finally:
        for path in everywhere_left(name):
            os.rmdir(path)


def everywhere_left(name):
    return sorted(groups_left(name), key=len, reverse=True)


@test("the parents that a container made go with the last container")
def parents():
    top = unique("top")
    with Bundle({"linux": {"cgroupsPath": f"/{top}/a"}}) as one, Bundle({"linux": {"cgroupsPath": f"/{top}/b"}}) as two:
        one.up()
        two.up()
        one.delete("--force")
        assert two.state()["status"] == "running"
        two.delete("--force")
    for left in sorted(groups_left(top), key=len, reverse=True):
        assert os.path.basename(left) == top, left  # the first was its maker, the second its last user
        os.rmdir(left)


@test("exec --cgroup joins a group below the container's, and none above")
def exec_cgroup():
    with Bundle() as b:
        b.up()
        path, v2 = any_group(b.pid())
        os.mkdir(path + "/inner")
        flag = "inner" if v2 else "pids:/inner"
        r = b.exec("true", flags=("--cgroup", flag))
        assert r.rc == 0, r
        for bad in ("..", "../..", "inner/../..", "/../x", "pids:../.."):
            fails(b.exec("true", flags=("--cgroup", bad)), "..")
        fails(b.exec("true", flags=("--cgroup", "nowhere")))
        fails(b.exec("true", flags=("--cgroup", "nosuch:/inner")))
        b.delete("--force")


@test("exec finds its place when the payload moved init into a child group")
def exec_moved():
    if not v2_only():
        raise Skip("needs cgroup version 2 alone")
    with Bundle() as b:
        b.up()
        path, _ = any_group(b.pid())
        os.mkdir(path + "/init.scope")
        write(path + "/init.scope/cgroup.procs", str(b.pid()))
        write(path + "/cgroup.subtree_control", "+pids")
        assert b.exec("true").rc == 0
        b.delete("--force")


@test("a paused container is killed and deleted; nothing stays frozen")
def frozen_delete():
    for how in ("delete", "kill"):
        name = unique("frz")
        with Bundle(placed(name)) as b:
            b.up()
            pid = b.pid()
            run_davit("pause", b.id, check=True)
            assert b.state()["status"] == "paused"
            if how == "kill":
                b.kill("KILL")
                b.wait_stopped()
                b.delete()
            else:
                b.delete("--force")
            eventually(lambda: not alive(pid), "init is gone")
        assert not groups_left(name), groups_left(name)


@test("a failed update puts every old value back")
def update_undone():
    cgroup_dir("x", "pids")
    with Bundle({"linux": {"resources": {"pids": {"limit": 40}, "cpu": {"shares": 300}}}}) as b:
        b.up()
        path, _ = group_of(b.pid(), "pids")
        cpu, version = group_of(b.pid(), "cpu")
        weight = cpu + ("/cpu.weight" if version == 2 else "/cpu.shares")
        before = read(weight)
        fails(feed(b, {"pids": {"limit": 20}, "cpu": {"shares": 700},
                       "blockIO": {"throttleReadBpsDevice": [{"major": 999, "minor": 9, "rate": 5}]}}))
        assert read(path + "/pids.max").strip() == "40"
        assert read(weight) == before
        b.delete("--force")


@test("an update does not write what is there already")
def update_same():
    with Bundle({"linux": {"resources": {"memory": {"limit": 64 << 20}}}}) as b:
        b.up()
        path, version = group_of(b.pid(), "memory")
        value = path + ("/memory.max" if version == 2 else "/memory.limit_in_bytes")
        for limit in (64 << 20, (64 << 20) + 100):  # the kernel rounds to pages
            assert feed(b, {"memory": {"limit": limit}}).rc == 0
            assert read(value).strip() == str(64 << 20)
        b.delete("--force")


class QueryAttr(ctypes.Structure):
    _fields_ = [("target_fd", ctypes.c_uint32), ("attach_type", ctypes.c_uint32), ("query_flags", ctypes.c_uint32),
                ("attach_flags", ctypes.c_uint32), ("prog_ids", ctypes.c_uint64), ("prog_cnt", ctypes.c_uint32),
                ("pad", ctypes.c_uint32 * 27)]


def device_programs(path):
    """The numbers of the device programs that a group has."""
    if not v2_only() or os.uname().machine != "x86_64":
        raise Skip("needs cgroup version 2 alone, on x86_64")
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    ids = (ctypes.c_uint32 * 64)()
    attr = QueryAttr(target_fd=fd, attach_type=6, prog_ids=ctypes.addressof(ids), prog_cnt=64)
    try:
        if ctypes.CDLL(None, use_errno=True).syscall(321, 16, ctypes.byref(attr), ctypes.sizeof(attr)) != 0:
            raise Skip(f"bpf: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(fd)
    return ids[:attr.prog_cnt]


@test("200 updates of the device rules leave one program attached")
def one_program():
    with Bundle() as b:
        b.up()
        path, _ = any_group(b.pid())
        assert len(device_programs(path)) == 1
        rule = '{"devices":[{"allow":true,"type":"c","major":10,"minor":%d,"access":"rwm"}]}'
        run_command(["sh", "-c", f"""i=0; while [ $i -lt 200 ]; do
            printf '{rule}' $i | "$@" || exit 1; i=$((i + 1)); done""", "sh",
                     *command("update", "--resources", "-", b.id)], check=True, timeout=100 * FACTOR)
        assert len(device_programs(path)) == 1
        assert feed(b, {"devices": [{"allow": True, "access": "rwm"}]}).rc == 0
        assert not device_programs(path)
        b.delete("--force")


def device(minor):
    return {"devices": [{"allow": True, "type": "c", "major": 10, "minor": minor, "access": "rwm"}]}


def program(bundle):
    """The number of the container's device program."""
    found = device_programs(any_group(bundle.pid())[0])
    assert len(found) == 1, found
    return found[0]


@test("containers with the same device rules share a program, and an update changes one of them")
def program_shared():
    rules = device(os.getpid())  # nobody else's
    with Bundle({"linux": {"resources": rules}}) as a, Bundle({"linux": {"resources": rules}}) as b, \
            Bundle({"linux": {"resources": device(77)}}) as other:
        for bundle in (a, b, other):
            bundle.up()
        first = program(a)
        assert program(b) == first != program(other)
        assert feed(b, device(77)).rc == 0
        assert program(a) == first and program(b) == program(other)
        for _ in range(2):  # from another's program to the shared one, and once more
            assert feed(b, rules).rc == 0
            assert program(a) == program(b) == first
        for bundle in (a, b):
            bundle.delete("--force")
        time.sleep(0.1)  # the kernel forgets a program some time after its last group
        b.up()
        assert program(b) != program(other)
        b.delete("--force")
        other.delete("--force")


@test("a note about device programs that is not true is not believed")
def program_note():
    rules = device(os.getpid() + 1)
    notes = root + "/.devices"
    with Bundle({"linux": {"resources": rules}}) as a, Bundle({"linux": {"resources": rules}}) as b, \
            Bundle({"linux": {"resources": device(78)}}) as other:
        a.up()
        other.up()
        first, wrong = program(a), program(other)
        note = [n for n in os.listdir(notes) if os.readlink(f"{notes}/{n}").split()[0] == str(first)]
        where = f"{notes}/{note[0]}"
        target = os.readlink(where)
        number, key, tag = target.split()
        for bad in (f"{wrong} {key} {tag}", f"{number} {key} {tag}0", f"{number} {key[:-1]} {tag}", "x" * 300,
                    f"-1 {key} {tag}", f"0 {key} {tag}", None):
            os.unlink(where)
            if bad:
                os.symlink(bad, where)
            else:
                os.mkdir(where)
            b.up()
            assert program(b) not in (first, wrong), bad
            if bad:
                assert os.readlink(where).split()[0] == str(program(b)), bad
            b.delete("--force")
        os.rmdir(where)
        os.symlink(target, where)
        b.up()
        assert program(b) == first
        for bundle in (a, b, other):
            bundle.delete("--force")


@test("a group that has the device program already is as good")
def program_there():
    rules = device(os.getpid() + 2)
    name = unique("again")
    with Bundle({"linux": {"resources": rules}}) as keeper, Bundle(placed(name, **rules)) as b:
        keeper.up()
        os.mkdir(f"/sys/fs/cgroup/{name}") if v2_only() else None
        try:
            for _ in range(2):  # the second finds the first one's program
                b.up()
                assert program(b) == program(keeper)
                assert feed(b, device(79)).rc == 0
                assert program(b) != program(keeper)
                assert feed(b, rules).rc == 0
                assert program(b) == program(keeper)
                b.delete("--force")
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(f"/sys/fs/cgroup/{name}")
        keeper.delete("--force")


def delegated(uid, **annotations):
    return {"annotations": annotations,
            "linux": {"namespaces": namespaces(*NAMESPACES, "cgroup", "user"),
                      "uidMappings": [{"containerID": 0, "hostID": uid, "size": 1000}],
                      "gidMappings": [{"containerID": 0, "hostID": uid, "size": 1000}]},
            "mounts": MOUNTS + [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                 "options": ["rw", "nosuid", "noexec", "nodev"]}]}


@test("delegation: the payload makes groups and gives them controllers")
def delegate():
    if not v2_only():
        raise Skip("needs cgroup version 2 alone")
    with Bundle(delegated(70000, **{"org.davit.cgroup.delegate": "true"})) as b:
        b.owned(70000)
        b.up()
        path = os.path.dirname(any_group(b.pid())[0])
        assert os.stat(path).st_uid == 70000 and os.stat(path + "/cgroup.procs").st_uid == 70000
        assert os.stat(path + "/memory.max").st_uid == 0
        assert "pids" in read(path + "/cgroup.subtree_control").split()
        assert b.exec("mkdir", "/sys/fs/cgroup/child").rc == 0
        assert os.stat(path + "/child").st_uid == 70000
        assert os.path.exists(path + "/child/pids.max")
        b.delete("--force")
    assert not groups_left(b.id), groups_left(b.id)


@test("run.oci.delegate-cgroup: init and exec are in a group of that name below, which alone is the user's")
def delegate_leaf():
    if not v2_only():
        with Bundle(delegated(70000, **{"run.oci.delegate-cgroup": "leaf"})) as b:
            b.owned(70000)
            fails(b.create(check=False), "cgroup version 2", "run.oci.delegate-cgroup")
        return
    with Bundle(merge(delegated(70000, **{"run.oci.delegate-cgroup": "leaf"}),
                      {"linux": {"resources": {"pids": {"limit": 30}}}})) as b:
        b.owned(70000)
        b.up()
        leaf = any_group(b.pid())[0]
        path = os.path.dirname(leaf)
        assert os.path.basename(leaf) == "leaf", leaf
        assert os.stat(leaf).st_uid == 70000 and os.stat(leaf + "/cgroup.procs").st_uid == 70000
        assert os.stat(path).st_uid == 0 and os.stat(path + "/cgroup.procs").st_uid == 0
        assert read(path + "/pids.max").strip() == "30"
        assert not read(path + "/cgroup.procs")
        assert "0::/leaf" in b.exec_facts("cgroup").text, "the container sees its group as the root"
        assert b.exec("mkdir", "/sys/fs/cgroup/leaf/child").rc == 0
        assert os.path.isdir(leaf + "/child")
        run_davit("update", "--pids-limit", "20", b.id, check=True)
        assert read(path + "/pids.max").strip() == "20"
        b.delete("--force")
    assert not groups_left(b.id), groups_left(b.id)


@test("a group that the container may write to belongs to its user, as the specification says")
def ownership():
    if not v2_only():
        raise Skip("needs cgroup version 2 alone")
    with Bundle(delegated(70000)) as b:
        b.owned(70000)
        b.up()
        path, _ = any_group(b.pid())
        assert os.stat(path).st_uid == 70000, os.stat(path)
        assert os.stat(path + "/pids.max").st_uid == 0
        b.delete("--force")


@test("delegation is refused where it cannot be had")
def delegate_refused():
    with Bundle({"annotations": {"org.davit.cgroup.delegate": "true"}}) as b:
        fails(b.create(check=False), "deleg")
    with Bundle({"annotations": {"run.oci.delegate-cgroup": "../x"}}) as b:
        fails(b.create(check=False))


@test("events tells of OOM kills and ends with the container")
def oom_event():
    with Bundle({"linux": {"resources": {"memory": {"limit": 32 << 20, "swap": 32 << 20}}}}) as b:
        b.up()
        p = b.spawn("--interval", "200ms", verb="events")
        eventually(lambda: alive(p.pid))
        time.sleep(0.5)
        b.exec("hog", "64")
        time.sleep(0.3)
        b.delete("--force")
        out, _ = p.communicate(timeout=20)
        lines = [json.loads(x) for x in out.decode().splitlines()]
        assert {"type": "oom", "id": b.id} in lines, [x["type"] for x in lines]
        assert any(x["type"] == "stats" for x in lines)


@test("with the cgroup manager off, a limit is an error and no group is made")
def disabled():
    with Bundle({"linux": {"resources": {"pids": {"limit": 5}}}}) as b:
        fails(b.create(check=False, glob=("--cgroup-manager", "disabled")))
    with Bundle() as b:
        b.save(command_args("pause"))
        b.create(glob=("--cgroup-manager", "disabled"))
        b.start()
        assert read(f"/proc/{b.pid()}/cgroup") == read("/proc/self/cgroup")
        b.delete("--force")


main()
