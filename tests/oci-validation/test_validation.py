#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the OCI runtime validation suite asks of a runtime, demand by demand, without the suite.

The suite is a set of ready-built programs (see run-suite and README.md); these are our own tests of
the same interface: its commands, its standard streams, its bundle, its configuration.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from davit import *


def dot_bundle(*over):
    """A bundle that is itself the root file system."""
    b = Bundle(rootfs=False)
    for name in ("dev", "proc", "sys", "tmp"):
        os.mkdir(f"{b.dir}/{name}")
    shutil.copy2(probe_path(), b.dir + "/init")
    b.rootfs = b.dir
    b.save({"root": {"path": "."}, "ociVersion": "1.0.2-dev"}, *over)
    return b


def suite(*args, stdout=None, stderr=None):
    """Runs a command as the suite does: no --root by flag order, plain positional arguments."""
    return run_davit(*args, stdout=stdout, stderr=stderr)


def suite_create(b, *flags):
    with open(b.stdout, "wb") as out, open(b.stderr, "wb") as err:
        return suite("create", *flags, "--bundle", b.dir, b.id, stdout=out, stderr=err)


@test("commands as the suite gives them: create --pid-file --bundle, start, state, kill, delete")
def commands():
    with dot_bundle() as b:
        b.save(command_args("pause"))
        assert suite_create(b, "--pid-file", b.dir + "/pid").rc == 0, read(b.stderr)
        for argv in (["start", b.id], ["state", b.id], ["kill", b.id, "KILL"]):
            assert suite(*argv).rc == 0, argv
        b.wait_stopped()
        assert suite("delete", b.id).rc == 0


@test("KILL, TERM, USR1, USR2 without prefix reach the process")
def signals():
    with dot_bundle() as b:
        b.save(command_args("pause"))
        suite_create(b)
        suite("start", b.id)
        b.wait_output("ready=1")
        for name, number in (("USR1", 10), ("USR2", 12), ("TERM", 15)):
            assert suite("kill", b.id, name).rc == 0
            b.wait_output(f"signal={number}")
        b.wait_stopped()
        b.delete()


@test("a missing id fails for every command, with a message on stderr")
def missing_id():
    with dot_bundle() as b:
        for argv in (["create", "--bundle", b.dir], ["start"], ["state"], ["kill"], ["delete"]):
            fails(suite(*argv))


@test("the container's output goes to the files that create was given")
def output_files():
    with dot_bundle() as b:
        b.save(command_args("echo", "report"))
        assert suite_create(b).rc == 0
        assert suite("start", b.id).rc == 0
        b.wait_output("arg=report")
        b.wait_stopped()
        b.delete()


@test("start, state, kill, delete end although their pipes are read to the end while the container lives")
def pipes():
    with dot_bundle() as b:
        b.save(command_args("pause"))
        suite_create(b)
        for argv in (["start", b.id], ["state", b.id], ["kill", b.id, "USR1"], ["delete", "--force", b.id]):
            r = subprocess.run(command(*argv), stdin=subprocess.PIPE, capture_output=True, timeout=10)
            assert r.returncode == 0, (argv, r)


@test("the bundle is the root: config.json is visible inside")
def bundle_is_root():
    with dot_bundle() as b:
        facts = b.probe("stat", "/config.json", "/init")
        assert facts.stat("/config.json")["type"] == "reg", facts.text


@test("ociVersion 1.0.2-dev and 1.3.0 are accepted, \"invalid\" is not")
def versions():
    for version, good in (("1.0.2-dev", True), ("1.3.0", True), ("invalid", False)):
        with dot_bundle({"ociVersion": version}) as b:
            b.save(command_args("true"))
            r = suite_create(b)
            assert (r.rc == 0) == good, (version, r, read(b.stderr))
            if good:
                assert suite("delete", "--force", b.id).rc == 0


@test("unknown properties and annotations are ignored")
def unknown():
    with dot_bundle({"unknown": "x", "annotations": {"org.unknown.one": "x"}}) as b:
        b.probe("true")


@test("config.json is not read again after create")
def config_once():
    with dot_bundle() as b:
        b.save(command_args("echo", "old"))
        suite_create(b)
        b.save(command_args("echo", "new"))
        suite("start", b.id)
        b.wait_output("arg=")
        assert "arg=old" in b.output(), b.output()
        b.wait_stopped()
        b.delete()


@test("create works without process; start is then an error, as the specification says")
def no_process():
    with dot_bundle({"process": None}) as b:
        assert suite_create(b).rc == 0, read(b.stderr)
        fails(suite("start", b.id))
        assert suite("delete", "--force", b.id).rc == 0


@test("--pid-file holds digits only, no newline, and is the pid of state")
def pid_file():
    with dot_bundle() as b:
        suite_create(b, "--pid-file", b.dir + "/pid")
        with open(b.dir + "/pid", "rb") as f:
            raw = f.read()
        assert raw.isdigit() and int(raw) == b.pid(), raw
        b.delete("--force")


@test("state is one JSON object; an exited init is stopped; an unknown id fails")
def state():
    with dot_bundle() as b:
        b.save(command_args("true"))
        suite_create(b)
        doc = json.loads(suite("state", b.id).out)
        assert isinstance(doc, dict) and doc["status"] == "created"
        suite("start", b.id)
        b.wait_stopped()
        b.delete()
        fails(suite("state", b.id))


@test("a duplicate id fails")
def duplicate():
    with dot_bundle() as b:
        suite_create(b)
        with open(os.devnull, "w") as null:
            assert suite("create", "--bundle", b.dir, b.id, stdout=null).rc != 0
        assert b.state()["status"] == "created"
        b.delete("--force")


@test("start of a stopped or missing container fails without effect")
def start_no_effect():
    with dot_bundle() as b:
        fails(suite("start", b.id))
        b.save(command_args("echo", "once"))
        suite_create(b)
        suite("start", b.id)
        b.wait_stopped()
        before = b.output()
        fails(suite("start", b.id))
        assert b.output() == before and b.state()["status"] == "stopped"
        b.delete()


@test("kill of a created container works; of a stopped or missing one it fails and changes nothing")
def kill():
    with dot_bundle() as b:
        fails(suite("kill", b.id, "KILL"))
        suite_create(b)
        assert suite("kill", b.id, "KILL").rc == 0
        b.wait_stopped()
        before = suite("state", b.id).out
        fails(suite("kill", b.id, "KILL"))
        assert suite("state", b.id).out == before
        b.delete()


@test("delete of a running container fails without effect; --force kills first")
def delete():
    with dot_bundle() as b:
        b.save(command_args("pause"))
        suite_create(b)
        suite("start", b.id)
        b.wait_output("ready=1")
        fails(suite("delete", b.id))
        assert b.state()["status"] == "running"
        assert suite("delete", "--force", b.id).rc == 0


@test("delete of a created container is allowed (our policy, against the letter of the suite)")
def delete_created():
    with dot_bundle() as b:
        suite_create(b)
        assert suite("delete", b.id).rc == 0
        fails(suite("state", b.id))


def hook(b, name, text):
    return {"path": write(f"{b.dir}/{name}.sh", "#!/bin/sh\n" + text + "\n", 0o755)}


@test("hooks get the state on stdin: exact id, bundle, pid, annotations and status")
def hook_state():
    with dot_bundle({"annotations": {"org.example.a": "b"}}) as b:
        kinds = ("prestart", "createRuntime", "poststart", "poststop")
        b.save({"hooks": {k: [hook(b, k, f"cat > {b.dir}/{k}.json")] for k in kinds}}, command_args("pause"))
        suite_create(b)
        pid = b.pid()
        suite("start", b.id)
        suite("kill", b.id, "KILL")
        b.wait_stopped()
        b.delete()
        for kind, status in (("prestart", ("created", "creating")), ("createRuntime", ("created", "creating")),
                             ("poststart", ("running",)), ("poststop", ("stopped",))):
            doc = json.loads(read(f"{b.dir}/{kind}.json"))
            assert (doc["id"], doc["bundle"], doc["annotations"]) == (b.id, b.dir, {"org.example.a": "b"}), (kind, doc)
            assert doc["status"] in status, (kind, doc)
            if kind != "poststop":
                assert doc["pid"] == pid, (kind, doc)


@test("a failing prestart hook fails create and leaves no container")
def prestart_fails():
    with dot_bundle() as b:
        b.save({"hooks": {"prestart": [hook(b, "bad", "exit 1")]}})
        assert suite_create(b).rc != 0
        fails(suite("state", b.id))
        b.nothing_left()


@test("a timeout kills the hook")
def hook_timeout():
    with dot_bundle() as b:
        b.save({"hooks": {"prestart": [dict(hook(b, "slow", f"echo $$ > {b.dir}/pid; exec sleep 60"), timeout=1)]}})
        r = suite_create(b)
        assert r.rc != 0 and r.seconds < 10
        assert not alive(read(b.dir + "/pid").strip())


@test("a failing poststop hook: the others run, delete exits 0")
def poststop_fails():
    with dot_bundle() as b:
        b.save({"hooks": {"poststop": [hook(b, "bad", "exit 1"), hook(b, "good", f"echo ran > {b.dir}/ran")]}})
        suite_create(b)
        assert suite("delete", "--force", b.id).rc == 0
        assert read(b.dir + "/ran") == "ran\n"


@test("cgroupsPath /cgrouptest-like and testdir/cgrouptest/container-like paths work; only own groups are removed")
def cgroup_paths():
    if not {"pids"} & set(cgroup_hierarchies()) and not v2_only():
        raise Skip("no pids controller")
    for path in ("/" + unique("cgrouptest"), unique("testdir") + "/cgrouptest/container"):
        with dot_bundle({"linux": {"cgroupsPath": path, "resources": {"pids": {"limit": 1000}}}}) as b:
            b.save(command_args("pause"))
            assert suite_create(b).rc == 0, read(b.stderr)
            suite("start", b.id)
            b.wait_output("ready=1")
            assert any(line.split(":", 2)[2].endswith(path.split("/", 1)[-1] if path[0] == "/" else path)
                       for line in read(f"/proc/{b.pid()}/cgroup").splitlines()), read(f"/proc/{b.pid()}/cgroup")
            b.delete("--force")
    for left in sorted(cgroups_tagged(), key=len, reverse=True):
        os.rmdir(left)


def v1_group(pid, controller):
    """The directory of a process in the hierarchy of a controller, by what the process itself shows."""
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return cgroup_hierarchies()[controller] + path
    raise AssertionError(f"no {controller} in {read(f'/proc/{pid}/cgroup')}")


@test("what the cgroup programs set is in the v1 files, with an absolute and a relative path, and goes at delete")
def cgroup_values():
    sizes = [n[len("hugepages-"):-len("kB")] for n in os.listdir("/sys/kernel/mm/hugepages")] \
        if os.path.isdir("/sys/kernel/mm/hugepages") else []
    sizes = [(f"{int(s) >> 20}GB" if int(s) >> 20 else f"{int(s) >> 10}MB") for s in sizes]
    huge = 56892210544640
    cases = {"pids": ({"pids": {"limit": 1000}}, {"pids.max": "1000"}),
             "cpu": ({"cpu": {"shares": 1024, "quota": 50000, "period": 100000}},
                     {"cpu.shares": "1024", "cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}),
             "cpuset": ({"cpu": {"cpus": "0", "mems": "0"}}, {"cpuset.cpus": "0", "cpuset.mems": "0"}),
             "memory": ({"memory": {"limit": 50593792, "reservation": 33554432, "swappiness": 50}},
                        {"memory.limit_in_bytes": "50593792", "memory.soft_limit_in_bytes": "33554432",
                         "memory.swappiness": "50"}),
             "blkio": ({}, {}),
             "hugetlb": ({"hugepageLimits": [{"pageSize": s, "limit": huge} for s in sizes]},
                         {f"hugetlb.{s}.limit_in_bytes": str(huge) for s in sizes}),
             "net_cls": ({"network": {"classID": 255}}, {"net_cls.classid": "255"}),
             "net_prio": ({"network": {"priorities": [{"name": "lo", "priority": 10}]}}, {}),
             "perf_event": ({}, {})}
    there = [c for c in cases if c in cgroup_hierarchies()]
    if not there:
        raise Skip("no v1 controller")
    resources = {}
    for controller in there:
        resources = merge(resources, cases[controller][0])
    for path in ("/" + unique("cgrouptest"), unique("testdir") + "/cgrouptest/container"):
        with dot_bundle({"linux": {"cgroupsPath": path, "resources": resources}}) as b:
            assert suite_create(b).rc == 0, read(b.stderr)
            groups = {c: v1_group(b.pid(), c) for c in there}
            for controller in there:
                assert groups[controller].endswith(path), groups
                for name, want in cases[controller][1].items():
                    got = read(f"{groups[controller]}/{name}").strip()
                    assert got == want, (controller, name, got)
            if "net_prio" in there:
                assert "lo 10" in read(groups["net_prio"] + "/net_prio.ifpriomap").splitlines()
            assert suite("delete", "--force", b.id).rc == 0
            assert not any(os.path.isdir(g) for g in groups.values()), groups
    for left in sorted(cgroups_tagged(), key=len, reverse=True):
        os.rmdir(left)


@test("device rules are written one by one in the listed order")
def device_rules():
    if "devices" not in cgroup_hierarchies():
        raise Skip("no v1 devices controller")
    rules = [{"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
             {"allow": True, "type": "b", "major": 8, "minor": 20, "access": "rw"},
             {"allow": True, "type": "b", "major": 10, "minor": 200, "access": "r"}]
    deny = [{"allow": False, "access": "rwm"}]
    with dot_bundle({"linux": {"cgroupsPath": "/" + unique("dev"), "resources": {"devices": deny + rules}}}) as b:
        suite_create(b)
        path = cgroup_hierarchies()["devices"] + b.conf["linux"]["cgroupsPath"]
        lines = read(path + "/devices.list").splitlines()
        for want in ("c 10:229 rwm", "b 8:20 rw", "b 10:200 r"):
            assert want in lines, (want, lines)
        b.delete("--force")


@test("a kernel memory limit the kernel no longer has is tolerated; kmem.tcp is set")
def kernel_memory():
    if "memory" not in cgroup_hierarchies():
        raise Skip("no v1 memory controller")
    memory = {"limit": 50593792, "reservation": 33554432, "kernel": 50593792, "kernelTCP": 50593792, "swappiness": 50}
    with dot_bundle({"linux": {"cgroupsPath": "/" + unique("mem"), "resources": {"memory": memory}}}) as b:
        assert suite_create(b).rc == 0, read(b.stderr)
        path = cgroup_hierarchies()["memory"] + b.conf["linux"]["cgroupsPath"]
        assert read(path + "/memory.limit_in_bytes").strip() == "50593792"
        name = path + "/memory.kmem.tcp.limit_in_bytes"
        if os.path.exists(name):
            assert read(name).strip() == "50593792"
        b.delete("--force")


@test("an unknown huge page size is rejected")
def hugepages():
    with dot_bundle({"linux": {"resources": {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}}}) as b:
        assert suite_create(b).rc != 0
        b.nothing_left()


@test("a profile or label on a host without that module is ignored")
def labels():
    lsm = read("/sys/kernel/security/lsm") if os.path.exists("/sys/kernel/security/lsm") else ""
    if "apparmor" in lsm or "selinux" in lsm:
        raise Skip("the host has such a module")
    with dot_bundle({"process": {"apparmorProfile": "acme_secure_profile"},
                     "linux": {"mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"}}) as b:
        b.probe("true")
    with dot_bundle({"process": {"selinuxLabel": "system_u:system_r:svirt_lxc_net_t:s0:c124,c675"}}) as b:
        b.probe("true")


@test("file system data options on bind mounts are ignored")
def bind_options():
    with dot_bundle() as b:
        source = b.side("source")
        facts = b.probe("mounts", over={"mounts": MOUNTS + [
            {"destination": "/tmp/bind", "type": "bind", "source": source, "options": ["bind", "nosuid",
                    "mode=755", "size=1m"]}]})
        assert facts.mount_at("/tmp/bind"), facts.text


@test("a fifo device with major and minor is accepted; every device has its mode and owner")
def devices():
    devs = [{"path": "/dev/test1", "type": "c", "major": 10, "minor": 666, "fileMode": 0o640, "uid": 5, "gid": 6},
            {"path": "/dev/test2", "type": "b", "major": 8, "minor": 666, "fileMode": 0o600, "uid": 0, "gid": 0},
            {"path": "/dev/test3", "type": "p", "major": 8, "minor": 666, "fileMode": 0o644, "uid": 0, "gid": 0}]
    with dot_bundle({"linux": {"devices": devs}}) as b:
        facts = b.probe("stat", *(d["path"] for d in devs))
        for d in devs:
            st = facts.stat(d["path"])
            assert st["mode"] == f"{d['fileMode']:04o}" and st["uid"] == str(d["uid"]), (d, st)
        assert [facts.stat(d["path"])["type"] for d in devs] == ["chr", "blk", "fifo"]


@test("no getcwd after the filter is loaded: a profile that refuses it does not stop the start")
def seccomp_getcwd():
    for nnp in (True, False):
        with dot_bundle({"process": {"noNewPrivileges": nnp}, "linux": {"seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getcwd"],
                        "action": "SCMP_ACT_ERRNO"}]}}}) as b:
            assert b.probe("syscall", "getcwd", "0", "0")["syscall:getcwd"] == "EPERM"


@test("rlimits are applied last: a small RLIMIT_AS does not break the runtime's own work")
def rlimits_last():
    limits = [{"type": "RLIMIT_AS", "soft": 1 << 22, "hard": 1 << 22}, {"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0}]
    with dot_bundle({"process": {"rlimits": limits}}) as b:
        b.save(command_args("exit", "5"))
        r = b.run()
        assert r.rc == 5, r


@test("a namespace path of the wrong type fails create")
def namespace_type():
    for kind, link in (("ipc", "uts"), ("uts", "ipc"), ("network", "ipc")):
        rest = [k for k in NAMESPACES if k != kind]
        with dot_bundle({"hostname": None, "linux": {"namespaces": namespaces(*rest,
                **{kind: "/proc/self/ns/" + link})}}) as b:
            assert suite_create(b).rc != 0, kind
            b.nothing_left()


@test("a namespace that is not listed is the runtime's; without the mount namespace nothing is mounted on the host")
def namespaces_inherited():
    links = {"pid": "pid", "ipc": "ipc", "uts": "uts", "mount": "mnt", "network": "net", "user": "user",
             "cgroup": "cgroup"}
    for kind, link in links.items():
        over = {"linux": {"namespaces": namespaces(*(k for k in NAMESPACES if k != kind)), "maskedPaths": None,
                          "readonlyPaths": None}, **({"hostname": None} if kind == "uts" else {})}
        with dot_bundle(over) as b:
            def check():
                before = read("/proc/self/mountinfo")
                assert suite_create(b).rc == 0, (kind, read(b.stderr))
                inside, outside = (os.readlink(f"/proc/{pid}/ns/{link}") for pid in (b.pid(), "self"))
                assert inside == outside, kind
                assert read("/proc/self/mountinfo") == before, (kind, read("/proc/self/mountinfo"))
                assert suite("delete", "--force", b.id).rc == 0
                assert read("/proc/self/mountinfo") == before, (kind, read("/proc/self/mountinfo"))
            isolated(check)


@test("a namespace that is listed without a path is new, one with a path is that one")
def namespaces_listed():
    for kind, link in (("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"), ("mount", "mnt"), ("network", "net"),
                       ("user", "user"), ("cgroup", "cgroup")):
        ids = [{"containerID": 0, "hostID": 1000, "size": 1000}]
        over = {"linux": {"namespaces": namespaces(*dict.fromkeys(NAMESPACES + [kind]))}}
        if kind == "user":
            over = merge(over, {"linux": {"uidMappings": ids, "gidMappings": ids}})
        with dot_bundle(over) as b:
            assert suite_create(b).rc == 0, (kind, read(b.stderr))
            inside = os.readlink(f"/proc/{b.pid()}/ns/{link}")
            assert inside != os.readlink(f"/proc/self/ns/{link}"), kind
            if kind not in ("mount", "user"):
                rest = [k for k in NAMESPACES if k != kind]
                with dot_bundle({"linux": {"namespaces": namespaces(*rest, **{kind: f"/proc/{b.pid()}/ns/{link}"})},
                                 **({"hostname": None} if kind == "uts" else {})}) as other:
                    assert suite_create(other).rc == 0, (kind, read(other.stderr))
                    assert os.readlink(f"/proc/{other.pid()}/ns/{link}") == inside, kind
                    assert suite("delete", "--force", other.id).rc == 0
            assert suite("delete", "--force", b.id).rc == 0


@test("masked and read-only paths: a directory, files, devices, a fifo, one that is missing")
def protected_paths():
    with dot_bundle() as b:
        write(b.dir + "/dir/file", "x")
        write(b.dir + "/top/sub/file", "x")
        write(b.dir + "/file", "x")
        for name, mode in (("blk", 0o60666), ("chr", 0o20666), ("fifo", 0o10666)):
            os.mknod(f"{b.dir}/{name}", mode, 0)
        paths = ["/dir", "/top/sub/file", "/file", "/blk", "/chr", "/fifo", "/missing"]
        facts = b.probe("ls", "/dir", "+", "read", "/top/sub/file", "/file", "/blk", "/chr", "/fifo",
                        over={"linux": {"maskedPaths": paths, "readonlyPaths": None}})
        assert facts.all("ls:/dir") in ([], [""]), facts.text
        assert all(facts[f"read:{p}"] == "" for p in paths[1:6]), facts.text
        facts = b.probe("write", "/dir/new", "y", "+", "write", "/top/sub/file", "y", "+", "write", "/file", "y",
                        "+", "write", "/top/sub/new", "y",
                        over={"linux": {"maskedPaths": None, "readonlyPaths": paths}})
        assert [facts["write:" + p] for p in ("/dir/new", "/top/sub/file", "/file", "/top/sub/new")] == \
            ["EROFS"] * 3 + ["ok"], facts.text


@test("the bundle as a read-only root, and below a user namespace that does not own it")
def root_kinds():
    with dot_bundle({"root": {"readonly": True}}) as b:
        assert b.probe("write", "/new", "x")["write:/new"] == "EROFS"
    ids = [{"containerID": 0, "hostID": 1000, "size": 2000}]
    with dot_bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": ids,
                               "gidMappings": ids}}) as b:
        os.chmod(b.dir, 0o755)
        facts = b.probe("status", "+", "lines", "/proc/self/uid_map", "+", "stat", "/dev/null")
        assert facts["uid"] == "0" and facts["line"].split() == ["0", "1000", "2000"], facts.text
        assert facts.stat("/dev/null")["rdev"] == "1:3", facts.text


main()
