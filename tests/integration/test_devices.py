#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices: the default ones, configured ones, links, console."""
from davit import *

DEFAULTS = {"/dev/null": "1:3", "/dev/zero": "1:5", "/dev/full": "1:7", "/dev/random": "1:8",
            "/dev/urandom": "1:9", "/dev/tty": "5:0"}


def device(path, kind, major=None, minor=None, **more):
    d = {"path": path, "type": kind, **more}
    if major is not None:
        d.update(major=major, minor=minor)
    return d


@test("the default devices are there, usable by everyone")
def defaults():
    with Bundle() as b:
        facts = b.probe("stat", *DEFAULTS, "+", "open", "/dev/null", "rw", "/dev/zero", "r", "/dev/full",
                        "r", "/dev/urandom", "r", "/dev/random", "r",
                        over={"process": {"user": {"uid": 1000, "gid": 1000}}})
        for path, rdev in DEFAULTS.items():
            st = facts.stat(path)
            assert (st["type"], st["rdev"], st["mode"]) == ("chr", rdev, "0666"), (path, st)
            assert (st["uid"], st["gid"]) == ("0", "0"), (path, st)
        for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random"):
            assert facts["open:" + path] == "ok", facts.text


@test("/dev/ptmx leads to the container's own devpts")
def ptmx():
    with Bundle() as b:
        facts = b.probe("stat", "/dev/ptmx", "/dev/pts/ptmx", "+", "open", "/dev/ptmx", "rw", "+", "ls",
                        "/dev/pts")
        st = facts.stat("/dev/ptmx")
        if st["type"] == "lnk":
            assert st["target"] in ("pts/ptmx", "/dev/pts/ptmx"), st
        else:
            assert st["ino"] == facts.stat("/dev/pts/ptmx")["ino"], facts.text
        assert facts["open:/dev/ptmx"] == "ok", facts.text
        assert facts.all("ls:/dev/pts") == ["ptmx"], facts.text


@test("/dev/fd, stdin, stdout, stderr and core are links into /proc")
def links():
    with Bundle() as b:
        facts = b.probe("stat", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr")
        for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            assert facts.stat("/dev/" + name).get("target") == "/proc/self/fd" + target, facts.text


@test("configured devices have their type, number, mode and owner")
def configured():
    devs = [device("/dev/fuse", "c", 10, 229, fileMode=0o640, uid=3, gid=4),
            device("/dev/blk", "b", 8, 0, fileMode=0o600, uid=0, gid=6),
            device("/dev/sub/dir/u", "u", 1, 3, fileMode=0o666),
            device("/dev/pipe", "p", fileMode=0o622, uid=7, gid=8),
            device("/elsewhere/node", "c", 1, 5)]
    with Bundle({"linux": {"devices": devs}}) as b:
        facts = b.probe("stat", *(d["path"] for d in devs))
        want = {"/dev/fuse": ("chr", "10:229", "0640", "3", "4"),
                "/dev/blk": ("blk", "8:0", "0600", "0", "6"),
                "/dev/sub/dir/u": ("chr", "1:3", "0666", "0", "0"),
                "/dev/pipe": ("fifo", "0:0", "0622", "7", "8")}
        for path, expected in want.items():
            st = facts.stat(path)
            assert (st["type"], st["rdev"], st["mode"], st["uid"], st["gid"]) == expected, (path, st)
        assert facts.stat("/elsewhere/node")["rdev"] == "1:5", facts.text


@test("the caller's umask does not change the mode of devices")
def umask():
    with Bundle({"linux": {"devices": [device("/dev/x", "c", 1, 3, fileMode=0o777)]}}) as b:
        b.save(command_args("stat", "/dev/x", "/dev/null"))
        facts = Facts(b.run(preexec=lambda: os.umask(0o077), check=True).out)
        assert facts.stat("/dev/x")["mode"] == "0777" and facts.stat("/dev/null")["mode"] == "0666"


@test("a configured default device may change mode and owner")
def default_again():
    with Bundle({"linux": {"devices": [device("/dev/null", "c", 1, 3, fileMode=0o644, gid=5)]}}) as b:
        st = b.probe("stat", "/dev/null").stat("/dev/null")
        assert (st["rdev"], st["type"], st["mode"], st["gid"]) == ("1:3", "chr", "0644", "5"), st


@test("a node that is there already stays as it is, and another mode or owner than asked for is a note")
def existing_node():
    path = "/elsewhere/node"
    for more, notes in (({"fileMode": 0o640, "uid": 3}, ["keeps the mode 0600", "keeps the owner 7:0"]),
                        ({"fileMode": 0o600, "uid": 7}, []), ({}, [])):
        with Bundle({"linux": {"devices": [device(path, "c", 1, 3, **more)]}}) as b:
            b.mkdir("/elsewhere")
            os.mknod(b.path(path), 0o020600, os.makedev(1, 3))
            os.chown(b.path(path), 7, 0)
            b.create()
            assert b.state().get("notApplied", []) == [f'linux.devices: "{path}" {n}' for n in notes], b.state()
            b.delete("--force")
            st = os.stat(b.path(path))
            assert (st.st_mode & 0o7777, st.st_uid) == (0o600, 7), st


@test("an existing file of another kind at the path is an error")
def wrong_kind():
    with Bundle({"linux": {"devices": [device("/elsewhere/node", "c", 1, 3)]}}) as b:
        b.file("/elsewhere/node", "a file")
        fails(b.create(check=False), "/elsewhere/node")
        assert read(b.path("/elsewhere/node")) == "a file"


@test("an existing matching node at the path is accepted")
def same_kind():
    with Bundle({"linux": {"devices": [device("/elsewhere/node", "c", 1, 3)]}}) as b:
        b.mkdir("/elsewhere")
        os.mknod(b.path("/elsewhere/node"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        assert b.probe("stat", "/elsewhere/node").stat("/elsewhere/node")["rdev"] == "1:3"


@test("an existing node with other numbers is an error")
def other_numbers():
    with Bundle({"linux": {"devices": [device("/elsewhere/node", "c", 1, 3)]}}) as b:
        b.mkdir("/elsewhere")
        os.mknod(b.path("/elsewhere/node"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
        fails(b.create(check=False), "/elsewhere/node")


@test("a fifo with major and minor is accepted")
def fifo_numbers():
    with Bundle({"linux": {"devices": [device("/dev/pipe", "p", 0, 0, fileMode=0o644)]}}) as b:
        assert b.probe("stat", "/dev/pipe").stat("/dev/pipe")["type"] == "fifo"


@test("an unknown type, a missing number and a relative path are refused")
def bad_device():
    for d in (device("/dev/x", "q", 1, 3), device("/dev/x", "c"), device("dev/../x", "c", 1, 3)):
        with Bundle({"linux": {"devices": [d]}}) as b:
            fails(b.create(check=False))


@test("without a mount on /dev the devices are made in the root file system's /dev")
def no_dev_mount():
    with Bundle({"mounts": [MOUNT_PROC]}) as b:
        facts = b.probe("stat", "/dev/null", "+", "open", "/dev/null", "rw")
        assert facts.stat("/dev/null")["rdev"] == "1:3" and facts["open:/dev/null"] == "ok", facts.text


@test("a bind mount of the host's /dev is not populated or changed")
def host_dev():
    with Bundle({"mounts": [MOUNT_PROC, {"destination": "/dev", "type": "bind", "source": "/dev",
                                         "options": ["rbind", "rprivate"]}]}) as b:
        before = {n: os.lstat("/dev/" + n)[:6] for n in os.listdir("/dev")}
        facts = b.probe("stat", "/dev/null")
        assert facts.stat("/dev/null")["rdev"] == "1:3"
        assert {n: os.lstat("/dev/" + n)[:6] for n in os.listdir("/dev")} == before


@test("configured devices with a bound /dev: made elsewhere, found in it, or told to be missing")
def host_dev_configured():
    needs_calls("open_tree")  # without it files are masked by the container's null, which this /dev does not have
    bound = [MOUNT_PROC, {"destination": "/dev", "source": "hostdev", "options": ["bind"]}]
    with Bundle({"mounts": bound, "linux": {"devices": [
            device("/dev/nil", "c", 1, 3), device("/elsewhere/zero", "c", 1, 5, fileMode=0o640),
            device("/dev/gone", "c", 1, 7)]}}) as b:
        b.side("hostdev")
        os.mknod(b.dir + "/hostdev/nil", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        b.up()
        facts = b.exec_facts("stat", "/dev/nil", "/elsewhere/zero", "/dev/gone")
        assert facts.stat("/dev/nil")["rdev"] == "1:3" and facts.stat("/elsewhere/zero")["mode"] == "0640", facts.text
        assert os.listdir(b.dir + "/hostdev") == ["nil"]
        listed = b.state()["notApplied"]
        assert len(listed) == 1 and "/dev/gone" in listed[0], listed
        b.delete("--force")
        b.save({"linux": {"devices": [device("/dev/nil", "c", 1, 5)]}})
        fails(b.create(check=False), "/dev/nil", "/linux/devices/0")


@test("/dev/console exists only with a terminal, and then it is that terminal")
def console():
    with Bundle() as b:
        st = b.probe("stat", "/dev/console")["stat:/dev/console"]
        assert st == "ENOENT" or "rdev=5:1" not in st, st
    with Bundle({"process": {"terminal": True}}) as b, FdReceiver() as s:
        b.save(command_args("stat", "/dev/console", "+", "tty"))
        b.create("--console-socket", s.path)
        fd = s.receive()[1][0]
        b.start()
        facts = Facts(read_tty(fd, None))
        tty = facts["tty0"].split()[1]
        assert facts.stat("/dev/console")["rdev"] == tty, facts.text
        assert tty.startswith("136:"), facts.text
        b.wait_stopped()
        b.delete()


@test("the device rules hold: mknod of a disk is possible or not, opening it is not")
def rules():
    cgroup_dir("/", "devices")
    over = {"process": {"capabilities": privileged()},
            "linux": {"resources": {"devices": [{"allow": False, "access": "rwm"}]}}}
    with Bundle(over) as b:
        facts = b.probe("mknod", "/tmp/mem", "c", "1", "1", "+", "open", "/tmp/mem", "r", "/dev/null", "rw",
                        "/dev/zero", "r")
        assert facts["open:/tmp/mem"] in ("EPERM", "ENOENT"), facts.text
        assert facts["open:/dev/null"] == "ok" and facts["open:/dev/zero"] == "ok", facts.text


main()
