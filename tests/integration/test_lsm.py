#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels at work: AppArmor profiles, SELinux labels of processes and of mounts.

Needs a kernel that has the module switched on; tests/vm/check apparmor selinux boots such machines.
"""
from davit import *

APPARMOR = os.path.exists("/sys/module/apparmor/parameters/enabled") and read(
    "/sys/module/apparmor/parameters/enabled").startswith("Y")
SELINUX = os.path.exists("/sys/fs/selinux/enforce")
XATTR = "security.selinux"
CURRENT = "/proc/self/attr/current"
PROFILE = "/proc/self/attr/apparmor/current"


def process(**fields):
    return {"process": fields}


# ---- AppArmor ----

loaded = []


def profile_load(rules=""):
    """Loads a profile that allows all but what the rules deny; returns its name."""
    if not APPARMOR:
        raise Skip("no AppArmor on this host: tests/vm/check apparmor")
    tool = shutil.which("apparmor_parser")
    if not tool:
        raise Skip("needs apparmor_parser to load profiles")
    name = unique("davit-test")
    text = (f"profile {name} flags=(attach_disconnected,mediate_deleted) {{\n  capability,\n  network,\n  file,\n"
            f"  mount,\n  umount,\n  signal,\n  ptrace,\n  unix,\n{rules}}}\n")
    run_command([tool, "--replace", "--skip-cache"], stdin=text, check=True)
    loaded.append((tool, name))
    return name


@contextlib.contextmanager
def profiles(*rules):
    """The names of as many profiles; they are gone afterwards."""
    try:
        names = [profile_load(r) for r in rules]
        yield names if len(names) > 1 else names[0]
    finally:
        while loaded:
            tool, name = loaded.pop()
            run_command([tool, "--remove"], stdin=f"profile {name} {{ }}\n", check=True)


DENY = "  deny /secret rwklx,\n  deny capability chown,\n"


@test("apparmorProfile: init runs under it and is held to it, with and without noNewPrivileges and root")
def apparmor_init():
    with profiles(DENY) as name:
        for nnp, uid in ((True, 0), (False, 0), (True, 1000)):
            with Bundle(process(noNewPrivileges=nnp, user={"uid": uid, "gid": uid},
                                capabilities=capsets(CAPS + ["CAP_CHOWN"]))) as b:
                b.file("/secret", "x", 0o666)
                b.file("/open", "x", 0o666)
                work_ = ("read", PROFILE, "/secret", "/open", "+", "chown", "/open", "7", "7")
                free = b.probe(*work_)
                assert free["read:/secret"] == "x" and free[f"read:{PROFILE}"] == "unconfined", free.text
                if uid == 0:
                    assert free["chown:/open"] == "ok", free.text
                held = b.probe(*work_, over=process(apparmorProfile=name))
                assert held[f"read:{PROFILE}"] == f"{name} (enforce)", held.text
                assert held["read_error:/secret"] == "EACCES" and held["read:/open"] == "x", held.text
                assert held["chown:/open"] == "EPERM", held.text


@test("exec: the container's profile, another by --apparmor, the one of --process")
def apparmor_exec():
    with profiles(DENY, "") as (first, second):
        with Bundle(process(apparmorProfile=first)) as b:
            b.file("/secret", "x", 0o666)
            b.up()
            facts = b.exec_facts("read", PROFILE, "/secret")
            assert facts[f"read:{PROFILE}"] == f"{first} (enforce)", facts.text
            assert facts["read_error:/secret"] == "EACCES", facts.text
            facts = b.exec_facts("read", PROFILE, "/secret", flags=("--apparmor", second))
            assert facts[f"read:{PROFILE}"] == f"{second} (enforce)" and facts["read:/secret"] == "x", facts.text
            r = b.exec_process({"args": ["/init", "read", PROFILE], "apparmorProfile": second}, check=True)
            assert f"={second} (enforce)" in r.out, r
            r = b.exec_process({"args": ["/init", "read", PROFILE]}, check=True)
            assert "=unconfined" in r.out, r
            b.delete("--force")


@test("a profile that is not loaded: create, run and exec fail, name it, and run nothing")
def apparmor_unknown():
    with profiles("") as name, Bundle(process(apparmorProfile="davit-test-none")) as b:
        fails(b.create(check=False), "davit-test-none", "/process/apparmorProfile", "attr/", "no such file")
        b.save(command_args("echo", "ran"))
        r = fails(b.run(), "davit-test-none")
        assert "ran" not in r.out, r
        b.save(process(apparmorProfile=name))
        b.up()
        r = b.exec("echo", "ran", flags=("--apparmor", "davit-test-none"))
        assert r.rc == 255 and "davit-test-none" in r.err and "ran" not in r.out, r
        assert b.state()["status"] == "running"
        b.delete("--force")


@test("the profile \"unconfined\" and an empty one leave the process unconfined")
def apparmor_unconfined():
    with profiles(""):
        for name in ("unconfined", ""):
            with Bundle(process(apparmorProfile=name)) as b:
                assert b.probe("read", PROFILE)[f"read:{PROFILE}"] == "unconfined"


@test("a profile holds in a user namespace, and for startContainer hooks too")
def apparmor_userns():
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    with profiles(DENY) as name:
        with Bundle(process(apparmorProfile=name)) as b:
            b.owned(100000)
            os.chmod(b.file("/secret", "x"), 0o666)
            b.save({"linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": ids, "gidMappings": ids},
                    "hooks": {"startContainer": [{"path": "/init", "args": ["init", "read", PROFILE, "/secret"]}]}})
            facts = b.probe("read", PROFILE, "/secret")
            assert facts.all(f"read:{PROFILE}") == [f"{name} (enforce)"] * 2, facts.text
            assert facts.all("read_error:/secret") == ["EACCES"] * 2, facts.text


@test("without a profile of its own the process does not get one")
def apparmor_none():
    with profiles(""), Bundle() as b:
        assert b.probe("read", PROFILE)[f"read:{PROFILE}"] == "unconfined"


# ---- SELinux ----

def label(kind="container_t", categories="c1,c2"):
    return f"system_u:system_r:{kind}:s0:{categories}"


def file_label(kind="container_file_t", categories="c1,c2"):
    return f"system_u:object_r:{kind}:s0:{categories}"


def needs_selinux():
    if not SELINUX:
        raise Skip("no SELinux on this host: tests/vm/check selinux")


def needs_type(name):
    """Asks the policy, by having the kernel check a label."""
    needs_selinux()
    fd = os.open("/sys/fs/selinux/context", os.O_RDWR)
    try:
        os.write(fd, f"system_u:object_r:{name}:s0".encode() + b"\0")
    except OSError as e:
        raise Skip(f"the policy has no type {name}") from e
    finally:
        os.close(fd)


def xattr(path):
    return os.getxattr(path, XATTR, follow_symlinks=False).decode().rstrip("\0")


def relabel(b, value):
    for base, dirs, files in os.walk(b.rootfs):
        for name in dirs + files + ["."]:
            os.setxattr(os.path.join(base, name), XATTR, value.encode() + b"\0", follow_symlinks=False)


@test("selinuxLabel: init has it, with and without noNewPrivileges and root")
def selinux_init():
    needs_type("container_t")
    for nnp, uid in ((True, 0), (False, 0), (True, 1000)):
        with Bundle(process(noNewPrivileges=nnp, user={"uid": uid, "gid": uid}, selinuxLabel=label())) as b:
            assert b.probe("read", CURRENT)[f"read:{CURRENT}"] == label()
    with Bundle() as b:
        assert b.probe("read", CURRENT)[f"read:{CURRENT}"] == read(CURRENT).rstrip("\0\n")


@test("selinuxLabel: an enforced type is held to the policy")
def selinux_enforced():
    needs_type("container_confined_t")
    if not read("/sys/fs/selinux/enforce").startswith("1"):
        raise Skip("SELinux is permissive")
    for nnp in (True, False):
        with Bundle(process(noNewPrivileges=nnp)) as b:
            b.file("/secret", "x", 0o666)
            b.file("/open", "x", 0o666)
            relabel(b, file_label())
            os.setxattr(b.path("/secret"), XATTR, file_label("container_secret_t").encode() + b"\0")
            over = merge(process(selinuxLabel=label("container_confined_t")), {"linux": {"mountLabel": file_label()}})
            facts = b.probe("read", CURRENT, "/secret", "/open", over=over)
            assert facts[f"read:{CURRENT}"] == label("container_confined_t"), facts.text
            assert facts["read_error:/secret"] == "EACCES" and facts["read:/open"] == "x", facts.text
            facts = b.probe("read", "/secret", over=process(selinuxLabel=label("container_t")))
            assert facts["read:/secret"] == "x", facts.text


@test("exec: the container's label, another by --process-label, the one of --process")
def selinux_exec():
    needs_type("container_t")
    with Bundle(process(selinuxLabel=label())) as b:
        b.up()
        assert b.exec_facts("read", CURRENT)[f"read:{CURRENT}"] == label()
        other = label(categories="c7,c8")
        facts = b.exec_facts("read", CURRENT, flags=("--process-label", other))
        assert facts[f"read:{CURRENT}"] == other, facts.text
        r = b.exec_process({"args": ["/init", "read", CURRENT], "selinuxLabel": other}, check=True)
        assert other in r.out, r
        b.delete("--force")


@test("a label that the policy does not know: create, run and exec fail, name it, and run nothing")
def selinux_unknown():
    needs_type("container_t")
    bad = label("no_such_type_t")
    with Bundle(process(selinuxLabel=bad)) as b:
        fails(b.create(check=False), bad, "/process/selinuxLabel", "attr/")
        b.save(command_args("echo", "ran"))
        r = fails(b.run(), bad)
        assert "ran" not in r.out, r
        b.save(process(selinuxLabel=label()))
        b.up()
        r = b.exec("echo", "ran", flags=("--process-label", bad))
        assert r.rc == 255 and bad in r.err and "ran" not in r.out, r
        b.delete("--force")
    with Bundle({"linux": {"mountLabel": file_label("no_such_type_t")}}) as b:
        fails(b.create(check=False), "no_such_type_t", "/linux/mountLabel")


LABELLED = ("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")


def mount_labels(b):
    """The labels of the container's own mounts, as the host sees them."""
    pid = b.pid()
    return {point: xattr(f"/proc/{pid}/root{point}") for point in LABELLED}


@test("mountLabel: the container's own file systems have it, and what is made in them")
def mount_label():
    needs_type("container_file_t")
    with Bundle({"linux": {"mountLabel": file_label()}}) as b:
        b.up("write", "/dev/shm/new", "x", "+", "pause", over=process(selinuxLabel=label()))
        assert mount_labels(b) == {point: file_label() for point in LABELLED}, mount_labels(b)
        for name in ("/dev/null", "/dev/shm/new"):
            assert xattr(f"/proc/{b.pid()}/root{name}") == file_label(), name
        b.delete("--force")


@test("mountLabel: masked paths and the console are labelled, bind mounts keep theirs")
def mount_label_others():
    needs_type("container_file_t")
    with Bundle({"linux": {"mountLabel": file_label()}}) as b:
        source = b.side("source")
        before = xattr(source)
        b.up(over={"mounts": MOUNTS + [{"destination": "/tmp", "type": "bind", "source": source, "options": ["bind"]}],
                   "linux": {"maskedPaths": ["/proc/acpi", "/sys/firmware", "/proc/scsi"]}})
        base = f"/proc/{b.pid()}/root"
        assert xattr(base + "/tmp") == before == xattr(source), before
        masked = [p for p in ("/proc/acpi", "/sys/firmware", "/proc/scsi") if os.path.isdir(base + p)]
        assert masked, "nothing to mask here"
        for path in masked:
            assert xattr(base + path) == file_label(), path
        b.delete("--force")


@test("run.oci.mount_context_type: the mount option that carries the label")
def mount_context_type():
    needs_type("container_file_t")

    def conf(kind):
        return Bundle({"annotations": {"run.oci.mount_context_type": kind}, "linux": {"mountLabel": file_label()},
                       "mounts": [MOUNT_PROC, MOUNT_DEV]})
    for kind in ("context", "fscontext", "rootcontext"):
        with conf(kind) as b:
            data = b.probe("mounts").mount_at("/dev")["data"]
            assert any(d.replace('"', "").startswith(f"{kind}={file_label('container_file_t', 'c1')}") for d in data), \
                (kind, data)
    # the kernel knows defcontext only for file systems that keep labels, which tmpfs is not to it
    for kind in ("defcontext", "nonsense"):
        with conf(kind) as b:
            fails(b.create(check=False), kind)


@test("a label that the policy does not allow davit to run: start fails, and the hint names it")
def selinux_forbidden():
    needs_selinux()
    if not read("/sys/fs/selinux/enforce").startswith("1"):
        raise Skip("SELinux is permissive")
    bad = label("kernel_t", "c1")
    for nnp in (True, False):
        with Bundle(process(selinuxLabel=bad, noNewPrivileges=nnp)) as b:
            b.save(command_args("echo", "ran"))
            r = fails(b.run(), bad, "SELinux")
            assert "ran" not in r.out, r


@test("labels work in a user namespace")
def selinux_userns():
    needs_type("container_t")
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": ids, "gidMappings": ids,
                           "mountLabel": file_label()}, "process": {"selinuxLabel": label()}}) as b:
        b.owned(100000)
        b.up()
        assert mount_labels(b) == {point: file_label() for point in LABELLED}, mount_labels(b)
        facts = b.exec_facts("read", CURRENT)
        assert facts[f"read:{CURRENT}"] == label(), facts.text
        b.delete("--force")


@test("the terminal has the mount label")
def selinux_terminal():
    needs_type("container_t")
    with Bundle({"process": {"terminal": True, "selinuxLabel": label()}, "linux": {"mountLabel": file_label()}}) as b, \
            FdReceiver("t") as s:
        b.save(command_args("pause"))
        b.create("--console-socket", s.path)
        s.receive()
        assert xattr(f"/proc/{b.pid()}/root/dev/console") == file_label()
        b.delete("--force")


# ---- not there ----

@test("a label for a module that this host lacks: the container runs, and state says so")
def absent():
    if APPARMOR and SELINUX:
        raise Skip("the host has both modules")
    cases = []
    if not APPARMOR:
        cases += [(process(apparmorProfile="acme"), "acme")]
    if not SELINUX:
        cases += [(process(selinuxLabel=label()), label()), ({"linux": {"mountLabel": file_label()}}, file_label())]
    for over, word in cases:
        with Bundle(over) as b:
            b.up()
            assert any(word in line for line in b.state()["notApplied"]), b.state()
            b.exec("true", check=True)
            b.delete("--force")


main()
