#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""User namespaces: mappings, ownership, and runs without root."""
from davit import *

BASE = 100000
MAP = [{"containerID": 0, "hostID": BASE, "size": 65536}]


def conf(**over):
    return merge({"linux": {"namespaces": namespaces(*NAMESPACES, "user"),
                            "uidMappings": MAP, "gidMappings": MAP}}, over)


def owned(b):
    return b.owned(BASE)


def userns_only():
    if not os.path.exists("/proc/self/ns/user"):
        raise Skip("no user namespaces in this kernel")


@test("the configured mappings are those of the process")
def mappings():
    userns_only()
    with Bundle(conf()) as b:
        owned(b).up()
        pid = b.pid()
        for name in ("uid_map", "gid_map"):
            assert read(f"/proc/{pid}/{name}").split() == ["0", str(BASE), "65536"], name
        assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
        assert os.stat(f"/proc/{pid}").st_uid in (0, BASE)
        b.delete("--force")


@test("all that the runtime mounts belongs to the container's root, message queues too")
def mount_owners():
    userns_only()
    points = ("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/proc/sys/fs/mqueue/queues_max")
    for over in ({}, {"linux": {"namespaces": namespaces(*NAMESPACES, "user", "time")}}):
        with Bundle(conf(**over)) as b:
            facts = owned(b).probe("stat", *points, over=over)
            for point in points:
                st = facts.stat(point)
                assert (st["uid"], st["gid"]) == ("0", "0"), (point, st)


@test("several ranges are mapped in their order")
def ranges():
    userns_only()
    uids = [{"containerID": 0, "hostID": BASE, "size": 10},
            {"containerID": 10, "hostID": BASE + 1000, "size": 5},
            {"containerID": 1000, "hostID": 1000, "size": 1}]
    with Bundle(conf(linux={"uidMappings": uids, "gidMappings": uids})) as b:
        owned(b).up()
        rows = [tuple(map(int, l.split())) for l in read(f"/proc/{b.pid()}/uid_map").splitlines()]
        assert rows == [(m["containerID"], m["hostID"], m["size"]) for m in uids], rows
        b.delete("--force")


@test("inside it is root, on the host it is the mapped id")
def ids():
    userns_only()
    with Bundle(conf()) as b:
        facts = owned(b).probe("status", "+", "write", "/tmp/made", "x", "+", "stat", "/", "/init")
        assert facts["uid"] == "0" and facts["gid"] == "0", facts.text
        assert facts["write:/tmp/made"] == "ok", facts.text
        assert os.stat(b.path("/tmp/made")).st_uid == BASE
        assert facts.stat("/init")["uid"] == "0", facts.text


@test("a user other than root inside works too")
def other_user():
    userns_only()
    with Bundle(conf(process={"user": {"uid": 1000, "gid": 100, "additionalGids": [5, 6]}})) as b:
        owned(b).up("status", "+", "pause")
        b.wait_output("ready=1")
        facts = b.facts()
        assert (facts["uid"], facts["gid"]) == ("1000", "100"), facts.text
        assert facts["groups"] == "5,6", facts.text
        text = read(f"/proc/{b.pid()}/status")
        assert re.search(r"^Uid:\s+%d" % (BASE + 1000), text, re.M), text
        b.delete("--force")


@test("all default mounts and devices work in a user namespace")
def mounts_devices():
    userns_only()
    with Bundle(conf()) as b:
        facts = owned(b).probe("mounts", "+", "stat", "/dev/null", "/dev/zero", "/dev/tty",
                               "/dev/ptmx", "+", "open", "/dev/null", "rw", "/dev/zero", "r")
        for point, kind in (("/proc", "proc"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"),
                            ("/sys", "sysfs"), ("/dev/mqueue", "mqueue")):
            assert facts.mount_at(point) and facts.mount_at(point)["type"] == kind, facts.text
        assert facts.stat("/dev/null")["rdev"] == "1:3", facts.text
        assert facts["open:/dev/null"] == "ok" and facts["open:/dev/zero"] == "ok", facts.text


@test("configured devices have their type, number, mode and owner, and can be used")
def devices():
    userns_only()
    needs_calls("open_tree", "fsopen", "move_mount")  # without them only the host's nodes can be had
    devs = [{"path": "/dev/zz", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5, "gid": 6},
            {"path": "/sub/dir/blk", "type": "b", "major": 7, "minor": 0, "fileMode": 0o400, "uid": 65535},
            {"path": "/dev/u", "type": "u", "major": 10, "minor": 229},
            {"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o600},
            {"path": "/dev/pipe", "type": "p", "fileMode": 0o622, "uid": 7, "gid": 8}]
    want = {"/dev/zz": ("chr", "1:5", "0640", "5", "6"), "/sub/dir/blk": ("blk", "7:0", "0400", "65535", "0"),
            "/dev/u": ("chr", "10:229", "0666", "0", "0"), "/dev/full": ("chr", "1:7", "0600", "0", "0"),
            "/dev/pipe": ("fifo", "0:0", "0622", "7", "8")}
    with Bundle(conf(linux={"devices": devs}, process={"user": {"uid": 5, "gid": 5}})) as b:
        owned(b).up("stat", *want, "+", "open", "/dev/zz", "r", "/dev/full", "r", "+", "pause")
        for path, expected in want.items():
            st = b.facts().stat(path)
            assert (st["type"], st["rdev"], st["mode"], st["uid"], st["gid"]) == expected, (path, st)
        assert b.facts()["open:/dev/zz"] == "ok" and b.facts()["open:/dev/full"] == "EACCES", b.output()
        assert "notApplied" not in b.state(), b.state()
        b.delete("--force")
    with Bundle(conf(linux={"devices": [{**devs[0], "gid": 70000}]})) as b:
        fails(owned(b).create(check=False), "gid 70000", "(config.json /linux/devices/0)")


@test("capabilities inside do not reach the host")
def no_host_power():
    userns_only()
    with Bundle(conf(process={"capabilities": privileged()})) as b:
        secret = write(b.dir + "/secret", "x", 0o600)
        over = {"mounts": MOUNTS + [{"destination": "/tmp/secret", "source": secret, "type": "bind",
                                     "options": ["bind"]}]}
        facts = owned(b).probe("open", "/tmp/secret", "r", "+", "mknod", "/tmp/disk", "b", "8", "0",
                               "+", "chown", "/tmp/secret", "0", over=over)
        assert facts["open:/tmp/secret"] == "EACCES", facts.text
        assert facts["mknod:/tmp/disk"] == "EPERM", facts.text
        assert facts["chown:/tmp/secret"] == "EPERM", facts.text


@test("masked and read-only paths hold in a user namespace")
def masks():
    userns_only()
    with Bundle(conf()) as b:
        facts = owned(b).probe("read", "/proc/keys", "+", "open", "/proc/sysrq-trigger", "w", "+",
                               "poke", "/proc/sys/kernel/hostname", "x")
        assert facts.get("read:/proc/keys", "") == "", facts.text
        assert facts["open:/proc/sysrq-trigger"] in ("EROFS", "EACCES", "ENOENT"), facts.text
        assert facts["poke:/proc/sys/kernel/hostname"] in ("EROFS", "EACCES"), facts.text


@test("exec joins the user namespace")
def exec_joins():
    userns_only()
    with Bundle(conf()) as b:
        owned(b).up()
        facts = b.exec_facts("status", "+", "ns", flags=["-u", "5:6"])
        assert facts["ns_user"] == os.readlink(f"/proc/{b.pid()}/ns/user")
        assert (facts["uid"], facts["gid"]) == ("5", "6"), facts.text
        b.delete("--force")


@test("a user namespace is joined by path")
def joined():
    userns_only()
    with Bundle(conf()) as a:
        owned(a).up()
        path = f"/proc/{a.pid()}/ns/user"
        over = {"linux": {"namespaces": namespaces(*NAMESPACES, user=path)}}
        with Bundle(over) as b:
            facts = owned(b).probe("ns", "+", "status")
            assert facts["ns_user"] == os.readlink(path) and facts["uid"] == "0", facts.text
        a.delete("--force")


OFFSETS = {"monotonic": {"secs": 3000000, "nanosecs": 7}, "boottime": {"secs": 5000000, "nanosecs": 0}}


def shifted(b, pid):
    rows = [l.split() for l in read(f"/proc/{pid}/timens_offsets").splitlines()]
    assert rows == [["monotonic", "3000000", "7"], ["boottime", "5000000", "0"]], (rows, b.output())


@test("time offsets hold in a time namespace of the user namespace, a new one and one that is joined")
def time_offsets():
    userns_only()
    if not os.path.exists("/proc/self/ns/time"):
        raise Skip("no time namespaces in this kernel")
    with Bundle(conf(linux={"namespaces": namespaces(*NAMESPACES, "user", "time"), "timeOffsets": OFFSETS})) as a:
        owned(a).up("clock", "+", "pause")
        shifted(a, a.pid())
        assert int(a.facts()["monotonic"]) > 3000000, a.output()
        facts = a.exec_facts("clock")
        assert int(facts["boottime"]) > 5000000, facts.text
        with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "time", user=f"/proc/{a.pid()}/ns/user"),
                               "timeOffsets": OFFSETS}}) as b:
            owned(b).up()
            shifted(b, b.pid())
            b.delete("--force")
        a.delete("--force")


@test("mappings without a user namespace are refused")
def mappings_without_ns():
    with Bundle({"linux": {"uidMappings": MAP, "gidMappings": MAP}}) as b:
        fails(b.create(check=False))


@test("a user that is not mapped is refused")
def unmapped_user():
    userns_only()
    with Bundle(conf(process={"user": {"uid": 70000, "gid": 0}})) as b:
        fails(owned(b).create(check=False))


@test("terminal in a user namespace: the tty belongs to the user")
def terminal():
    userns_only()
    with Bundle(conf(process={"terminal": True, "args": ["/init", "tty"]})) as b, FdReceiver() as s:
        owned(b).create("--console-socket", s.path)
        fd = s.receive()[1][0]
        b.start()
        facts = Facts(read_tty(fd, None))
        assert facts["ctty"] == "ok" and facts["tty0_uid"] == "0", facts.text
        b.delete("--force")


# ---- without root ----

USER = 12345


def rootless(b, *args, over=None, flags=(), verb="run"):
    """Runs a container as an unprivileged user that maps only itself."""
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv(1)")
    for path in ("/proc/sys/kernel/unprivileged_userns_clone",):
        if os.path.exists(path) and read(path).strip() == "0":
            raise Skip("unprivileged user namespaces are off")
    mine = [{"containerID": 0, "hostID": USER, "size": 1}]
    b.conf["linux"].pop("cgroupsPath", None)
    b.save(command_args(*args), {
        "mounts": [MOUNT_PROC, MOUNT_DEV, merge(MOUNT_PTS, {"options": MOUNT_PTS["options"]}),
                   MOUNT_SHM, MOUNT_MQUEUE,
                   {"destination": "/sys", "type": "none", "source": "/sys",
                    "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]}],
        "linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": mine,
                  "gidMappings": mine, "resources": None}}, over or {})
    for base, dirs, files in os.walk(b.dir):
        for name in dirs + files + ["."]:
            os.lchown(os.path.join(base, name), USER, USER)
    home = b.side("home-" + unique())
    os.chown(home, USER, USER)
    os.chmod(home, 0o700)
    argv = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all"]
    rest = ["run", "--bundle", b.dir, *flags, b.id] if verb == "run" else list(verb)
    return run_command(argv + command(*rest, rootdir=home + "/root"),
                       env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": home, "HOME": home})


@test("an unprivileged user runs a container in a user namespace")
def rootless_run():
    with Bundle() as b:
        r = rootless(b, "status", "+", "write", "/tmp/made", "x", "+", "exit", "7")
        assert r.rc == 7, r
        facts = Facts(r.out)
        assert facts["uid"] == "0" and facts["write:/tmp/made"] == "ok", r
        assert os.stat(b.path("/tmp/made")).st_uid == USER


@test("unprivileged: a device is the host's, and that its mode and owner are not as asked is a note")
def rootless_device():
    with Bundle() as b:
        r = rootless(b, "stat", "/dev/zz", "+", "open", "/dev/zz", "r", over={"linux": {"devices": [
            {"path": "/dev/zz", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 0, "gid": 0}]}})
        facts = Facts(r.out)
        assert r.rc == 0 and facts.stat("/dev/zz")["rdev"] == "1:5" and facts["open:/dev/zz"] == "ok", r
        assert '"/dev/zz" keeps the mode 0666' in r.err and '"/dev/zz" keeps the owner 65534:65534' in r.err, r


@test("unprivileged: time offsets hold")
def rootless_time():
    if not os.path.exists("/proc/self/ns/time"):
        raise Skip("no time namespaces in this kernel")
    with Bundle() as b:
        r = rootless(b, "clock", over={"linux": {"namespaces": namespaces(*NAMESPACES, "user", "time"),
                                                 "timeOffsets": OFFSETS}})
        assert r.rc == 0 and int(Facts(r.out)["monotonic"]) > 3000000, r


@test("unprivileged: setgroups is denied")
def rootless_setgroups():
    with Bundle() as b:
        r = rootless(b, "read", "/proc/self/setgroups", "/proc/self/uid_map")
        facts = Facts(r.out)
        assert facts["read:/proc/self/setgroups"] == "deny", r
        assert facts["read:/proc/self/uid_map"].split() == ["0", str(USER), "1"], r


@test("unprivileged with additionalGids is an error, not silently less")
def rootless_groups():
    with Bundle() as b:
        r = rootless(b, "status", over={"process": {"user": {"additionalGids": [5]}}})
        assert r.rc != 0 and r.err.strip(), r


@test("unprivileged without a mapping to 0 works")
def rootless_not_zero():
    with Bundle() as b:
        mine = [{"containerID": 1000, "hostID": USER, "size": 1}]
        r = rootless(b, "status", over={"process": {"user": {"uid": 1000, "gid": 1000},
                                                    "capabilities": None},
                                        "linux": {"uidMappings": mine, "gidMappings": mine}})
        assert r.rc == 0, r
        assert Facts(r.out)["uid"] == "1000", r


@test("unprivileged without a runtime directory: the error says what to set")
def rootless_no_directory():
    if os.stat("/run").st_mode & 0o002:
        raise Skip("everybody may write to this host's /run")
    with Bundle() as b:
        b.save()
        r = run_command(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", DAVIT, "run", "--bundle",
                         b.dir, b.id], env={"PATH": os.environ["PATH"]})
    fails(r, f"/run/user/{USER}/davit", "permission denied", "XDG_RUNTIME_DIR", "--root")


main()
