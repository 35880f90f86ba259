#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts: kinds, options, propagation, targets."""
from davit import *


def bind(source, destination, *options, **more):
    return {"source": source, "destination": destination, "type": "bind",
            "options": list(options or ["bind"]), **more}


def tmpfs(destination, *options):
    return {"source": "tmpfs", "destination": destination, "type": "tmpfs", "options": list(options)}


def mounts(*entries):
    return {"mounts": MOUNTS + list(entries)}


@contextlib.contextmanager
def tree(b, bound=False):
    """Directory src with a tmpfs, or another directory, mounted on src/sub; both hold a file."""
    src = b.side("src")
    write(src + "/file", "outer")
    os.mkdir(src + "/sub")
    if bound:
        mount(b.side("other"), src + "/sub", None, MS_BIND)
    else:
        mount("tmpfs", src + "/sub", "tmpfs")
    write(src + "/sub/file", "inner")
    try:
        yield src
    finally:
        umount(src + "/sub")


@test("the default mounts are there with their types and options")
def defaults():
    with Bundle() as b:
        facts = b.probe("mounts")
        for m in MOUNTS:
            got = facts.mount_at(m["destination"])
            assert got and got["type"] == m["type"], (m, facts.text)
            for o in m["options"]:
                if o in ("nosuid", "noexec", "nodev", "ro"):
                    assert o in got["options"], (m["destination"], o, got)
        assert "mode=755" in facts.mount_at("/dev")["data"], facts.mount_at("/dev")
        assert "size=65536k" in facts.mount_at("/dev/shm")["data"], facts.mount_at("/dev/shm")


@test("mounts are made in the listed order")
def order():
    with Bundle() as b:
        facts = b.probe("mounts", over=mounts(tmpfs("/m/a"), tmpfs("/m/a/b"), tmpfs("/m")))
        points = [m["point"] for m in facts.mounts() if m["point"].startswith("/m")]
        assert points == ["/m/a", "/m/a/b", "/m"], points


@test("bind shows the source without its submounts, rbind with them")
def bind_rbind():
    with Bundle() as b, tree(b) as src:
        facts = b.probe("read", "/b/file", "/b/sub/file", "/r/file", "/r/sub/file",
                        over=mounts(bind(src, "/b", "bind"), bind(src, "/r", "rbind")))
        assert facts["read:/b/file"] == "outer" and facts["read:/r/file"] == "outer", facts.text
        assert facts["read_error:/b/sub/file"] == "ENOENT", facts.text
        assert facts["read:/r/sub/file"] == "inner", facts.text


@test("a relative source is relative to the bundle")
def relative_source():
    with Bundle() as b:
        b.side("data/file", "here")
        facts = b.probe("read", "/d/file", over=mounts(bind("data", "/d", "rbind")))
        assert facts["read:/d/file"] == "here", facts.text


@test("a relative destination is relative to the root")
def relative_destination():
    with Bundle() as b:
        b.side("data/file", "here")
        facts = b.probe("read", "/some/where/file", over=mounts(bind("data", "some/where", "rbind")))
        assert facts["read:/some/where/file"] == "here", facts.text


@test("ro makes a bind mount read-only, and only the top of an rbind")
def ro():
    with Bundle() as b, tree(b) as src:
        facts = b.probe("write", "/b/new", "x", "+", "write", "/b/sub/new", "x",
                        over=mounts(bind(src, "/b", "rbind", "ro")))
        assert facts["write:/b/new"] == "EROFS" and facts["write:/b/sub/new"] == "ok", facts.text
        assert not os.path.exists(src + "/new")


@test("rro makes the whole tree read-only")
def rro():
    with Bundle() as b, tree(b) as src:
        facts = b.probe("write", "/b/new", "x", "+", "write", "/b/sub/new", "x",
                        over=mounts(bind(src, "/b", "rbind", "rro")))
        assert facts["write:/b/new"] == "EROFS" and facts["write:/b/sub/new"] == "EROFS", facts.text
        write(src + "/sub/host", "still writable on the host")


@test("nosuid, nodev, noexec, noatime and friends are applied to bind mounts")
def bind_flags():
    with Bundle() as b:
        b.side("data")
        for options, want in ((["nosuid"], ["nosuid"]), (["nodev", "noexec"], ["nodev", "noexec"]),
                              (["noatime"], ["noatime"]), (["nodiratime"], ["nodiratime"]),
                              (["ro", "nosuid", "nodev", "noexec"], ["ro", "nosuid", "nodev", "noexec"])):
            facts = b.probe("mounts", over=mounts(bind("data", "/d", "bind", *options)))
            got = facts.mount_at("/d")["options"]
            assert set(want) <= set(got), (options, got)


@test("recursive flags reach the submounts")
def recursive_flags():
    with Bundle() as b, tree(b) as src:
        for option, flag in (("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"),
                             ("rnoatime", "noatime"), ("rro", "ro")):
            facts = b.probe("mounts", over=mounts(bind(src, "/b", "rbind", option)))
            for point in ("/b", "/b/sub"):
                assert flag in facts.mount_at(point)["options"], (option, facts.mount_at(point))


@test("rw, suid, dev, exec undo the flags of the source")
def clear_flags():
    with Bundle() as b:
        src = b.side("data")
        mount("tmpfs", src, "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV)
        try:
            facts = b.probe("mounts", over=mounts(bind(src, "/d", "rbind", "suid", "exec", "dev")))
            got = set(facts.mount_at("/d")["options"])
            assert not got & {"nosuid", "noexec", "nodev"}, got
            facts = b.probe("mounts", over=mounts(bind(src, "/d", "rbind", "ro")))
            got = set(facts.mount_at("/d")["options"])
            assert {"ro", "nosuid", "noexec", "nodev"} <= got, f"flags of the source were lost: {got}"
        finally:
            umount(src)


@test("noexec on a bind mount stops execution")
def noexec():
    with Bundle() as b:
        shutil.copy2(b.path("/init"), b.side("data") + "/tool")
        facts = b.probe("exec", "/d/tool", "echo", "ran", over=mounts(bind("data", "/d", "bind", "noexec")),
                        rc=1)
        assert facts["exec"] == "EACCES", facts.text


@test("nosymfollow: symlinks on the mount are not followed")
def nosymfollow():
    with Bundle() as b:
        b.side("data/file", "x")
        os.symlink("file", b.dir + "/data/link")
        facts = b.probe("read", "/d/link", "/d/file",
                        over=mounts(bind("data", "/d", "bind", "nosymfollow")))
        assert facts["read_error:/d/link"] == "ELOOP" and facts["read:/d/file"] == "x", facts.text


@test("propagation options set the kind of the mount")
def propagation():
    with Bundle() as b:
        b.side("data")
        for option, prefix in (("rprivate", ""), ("private", ""), ("rslave", "master"),
                               ("slave", "master"), ("unbindable", "unbindable"),
                               ("runbindable", "unbindable")):
            kind = "rslave" if prefix == "master" else "rprivate"
            b.save({"linux": {"rootfsPropagation": kind}})  # as engines do for such volumes
            tags = b.probe("mounts", over=mounts(bind("data", "/d", "rbind", option)))
            tags = tags.mount_at("/d")["tags"]
            if prefix:
                assert any(t.startswith(prefix) for t in tags), (option, tags)
            else:
                assert not tags, (option, tags)


@test("rshared: a mount on the host appears inside, one inside appears on the host")
def shared():
    with Bundle({"process": {"capabilities": privileged()},
                 "linux": {"rootfsPropagation": "rshared"}}) as b:
        src = b.side("src")
        for name in ("a", "b"):
            os.mkdir(f"{src}/{name}")
        mount(src, src, None, MS_BIND)
        mount(None, src, None, MS_SHARED)
        try:
            b.up(over=mounts(bind(src, "/d", "rbind", "rshared")))
            mount("tmpfs", src + "/a", "tmpfs")
            write(src + "/a/file", "from host")
            assert b.exec_facts("read", "/d/a/file")["read:/d/a/file"] == "from host"
            facts = b.exec_facts("mount", "tmpfs", "/d/b", "tmpfs", "+", "write", "/d/b/file", "x")
            assert facts["mount:/d/b"] == "ok", facts.text
            assert os.path.exists(src + "/b/file"), "mount inside is not seen on the host"
            b.delete("--force")
        finally:
            for point in (src + "/b", src + "/a", src):
                with contextlib.suppress(OSError):
                    umount(point)


@test("rslave: mounts of the host appear inside, not the other way")
def slave():
    with Bundle({"process": {"capabilities": privileged()},
                 "linux": {"rootfsPropagation": "rslave"}}) as b:
        src = b.side("src")
        for name in ("a", "b"):
            os.mkdir(f"{src}/{name}")
        mount(src, src, None, MS_BIND)
        mount(None, src, None, MS_SHARED)
        try:
            b.up(over=mounts(bind(src, "/d", "rbind", "rslave")))
            mount("tmpfs", src + "/a", "tmpfs")
            write(src + "/a/file", "from host")
            assert b.exec_facts("read", "/d/a/file")["read:/d/a/file"] == "from host"
            facts = b.exec_facts("mount", "tmpfs", "/d/b", "tmpfs", "+", "write", "/d/b/file", "x")
            assert facts["mount:/d/b"] == "ok", facts.text
            assert not os.path.exists(src + "/b/file"), "mount inside is seen on the host"
            b.delete("--force")
        finally:
            for point in (src + "/a", src):
                with contextlib.suppress(OSError):
                    umount(point)


@test("by default mounts inside never reach the host")
def private_default():
    with Bundle({"process": {"capabilities": privileged()}}) as b:
        src = b.side("src/b") and b.dir + "/src"
        b.up(over=mounts(bind(src, "/d", "rbind")))
        b.exec_facts("mount", "tmpfs", "/d/b", "tmpfs", "+", "write", "/d/b/file", "x")
        assert not os.path.exists(src + "/b/file")
        b.delete("--force")


@test("tmpfs data: size, mode, nr_inodes, uid")
def tmpfs_data():
    with Bundle() as b:
        facts = b.probe("mounts", "+", "stat", "/t", "+", "statfs", "/t",
                        over=mounts(tmpfs("/t", "size=1m", "mode=0710", "nr_inodes=50", "uid=5")))
        st = facts.stat("/t")
        assert (st["mode"], st["uid"]) == ("0710", "5"), st
        assert "size=1048576 files=50" in facts["statfs:/t"], facts.text


@test("tmpcopyup: the contents of the directory appear in the tmpfs")
def tmpcopyup():
    with Bundle() as b:
        b.file("/data/file", "text", 0o640)
        b.file("/data/deep/er/file", "deeper")
        os.symlink("file", b.path("/data/link"))
        os.chown(b.path("/data/file"), 3, 4)
        facts = b.probe("mounts", "+", "read", "/data/deep/er/file", "+", "stat", "/data/file",
                        "/data/link", "+", "write", "/data/new", "x",
                        over=mounts(tmpfs("/data", "tmpcopyup")))
        assert facts.mount_at("/data")["type"] == "tmpfs", facts.text
        st = facts.stat("/data/file")
        assert (st["mode"], st["uid"], st["gid"]) == ("0640", "3", "4"), st
        assert facts.stat("/data/link")["target"] == "file", facts.text
        assert facts["read:/data/deep/er/file"] == "deeper", facts.text
        assert facts["write:/data/new"] == "ok" and not os.path.exists(b.path("/data/new"))


@test("tmpcopyup: the directory keeps owner and mode, but for what the options say")
def tmpcopyup_owner():
    with Bundle() as b:
        for name in ("a", "b"):
            b.mkdir("/" + name, 0o2750)
            os.chown(b.path(name), 3, 4)
            os.chmod(b.path(name), 0o2750)
        facts = b.probe("stat", "/a", "/b", over=mounts(
            tmpfs("/a", "tmpcopyup"), tmpfs("/b", "tmpcopyup", "uid=7", "mode=0711")))
        got = [tuple(facts.stat(p)[k] for k in ("mode", "uid", "gid")) for p in ("/a", "/b")]
        assert got == [("2750", "3", "4"), ("0711", "7", "4")], got


@test("a file, a socket, a fifo and a device are bind-mounted")
def special_sources():
    with Bundle() as b:
        b.side("file", "text")
        os.mkfifo(b.dir + "/fifo")
        s = socket.socket(socket.AF_UNIX)
        s.bind(b.dir + "/sock")
        facts = b.probe("stat", "/m/file", "/m/fifo", "/m/sock", "/m/null", over=mounts(
            *(bind(n, "/m/" + n) for n in ("file", "fifo", "sock")), bind("/dev/null", "/m/null")))
        s.close()
        kinds = [facts.stat("/m/" + n)["type"] for n in ("file", "fifo", "sock", "null")]
        assert kinds == ["reg", "fifo", "sock", "chr"], kinds


@test("a missing target is made: a directory for a directory, a file for a file")
def missing_target():
    with Bundle() as b:
        b.side("file", "text")
        b.side("data/x", "y")
        facts = b.probe("read", "/new/deep/file", "/new/deep/dir/x", over=mounts(
            bind("file", "/new/deep/file"), bind("data", "/new/deep/dir")))
        assert facts["read:/new/deep/file"] == "text" and facts["read:/new/deep/dir/x"] == "y", facts.text
        assert os.path.isfile(b.path("/new/deep/file")) and os.path.isdir(b.path("/new/deep/dir"))
        assert os.stat(b.path("/new")).st_mode & 0o777 == 0o755


@test("a missing target below a read-only root is made before the root is sealed")
def target_readonly_root():
    with Bundle({"root": {"readonly": True}}) as b:
        b.side("data/x", "y")
        facts = b.probe("read", "/new/x", "+", "write", "/top", "x", over=mounts(bind("data", "/new")))
        assert facts["read:/new/x"] == "y" and facts["write:/top"] == "EROFS", facts.text


@test("a symlink in the destination is resolved inside the root")
def symlink_target():
    with Bundle() as b:
        canary = b.side("canary")
        b.side("data/x", "y")
        os.symlink(canary, b.path("/abs"))
        os.symlink("../../canary", b.path("/rel"))
        b.mkdir("/real")
        os.symlink("/real", b.path("/good"))
        facts = b.probe("read", "/real/x", "/good/x", over=mounts(bind("data", "/good")))
        assert facts["read:/real/x"] == "y", facts.text
        for link in ("/abs", "/rel", "/abs/deeper", "/rel/deeper"):
            with contextlib.suppress(AssertionError):
                b.probe("true", over=mounts(bind("data", link)))
            assert os.listdir(canary) == [], link


@test("a source that does not exist is an error that names it")
def missing_source():
    with Bundle() as b:
        b.save(mounts(bind("/no/such/source", "/d")))
        fails(b.create(check=False), "/no/such/source")
        b.save(mounts(bind("/no/such/source", "/d")))
        r = b.create(check=False)
        assert "no such file or directory" in r.err.lower(), r


@test("a file on a directory and a directory on a file are errors, not silence")
def kind_mismatch():
    with Bundle() as b:
        b.side("file", "x")
        b.side("data")
        b.file("/afile")
        for entry in (bind("data", "/afile"), bind("file", "/etc")):
            b.save(mounts(entry))
            r = fails(b.create(check=False))
            assert "not a directory" in r.err.lower(), r


@test("an unknown file system type is an error that names it")
def unknown_type():
    with Bundle() as b:
        b.save(mounts({"destination": "/d", "type": "nofs", "source": "none"}))
        r = fails(b.create(check=False))
        assert "nofs" in r.err or "/d" in r.err, r


@test("an unknown option goes to the file system, which refuses it")
def unknown_option():
    with Bundle() as b:
        b.save(mounts(tmpfs("/d", "no_such_option=5")))
        fails(b.create(check=False))


@test("data options on a bind mount are ignored")
def bind_data():
    with Bundle() as b:
        b.side("data/x", "y")
        facts = b.probe("read", "/d/x", over=mounts(bind("data", "/d", "rbind", "mode=755", "size=1k")))
        assert facts["read:/d/x"] == "y", facts.text


@test("a mount without a type but with bind is a bind mount; type bind alone too")
def bind_by_option():
    with Bundle() as b:
        b.side("data/x", "y")
        facts = b.probe("read", "/d/x", over=mounts({"destination": "/d", "source": "data",
                                                     "options": ["rbind"]}))
        assert facts["read:/d/x"] == "y", facts.text


@test("overlay mounts work")
def overlay():
    with Bundle() as b:
        for name in ("lower", "upper", "work"):
            b.side(name)
        write(b.dir + "/lower/x", "low")
        data = ",".join(f"{k}dir={b.dir}/{v}" for k, v in
                        (("lower", "lower"), ("upper", "upper"), ("work", "work")))
        facts = b.probe("read", "/o/x", "+", "write", "/o/new", "n", over=mounts(
            {"destination": "/o", "type": "overlay", "source": "overlay", "options": data.split(",")}))
        assert facts["read:/o/x"] == "low" and facts["write:/o/new"] == "ok", facts.text
        assert os.path.exists(b.dir + "/upper/new") and not os.path.exists(b.dir + "/lower/new")


@test("a cgroup mount shows only the container's own groups, read-only when asked")
def cgroup_mount():
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "cgroup")}}) as b:
        facts = b.probe("mounts", "+", "mkdir", "/sys/fs/cgroup/x", "/sys/fs/cgroup/memory/x",
                        over=mounts({"destination": "/sys/fs/cgroup", "type": "cgroup",
                                     "source": "cgroup",
                                     "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}))
        groups = [m for m in facts.mounts() if m["type"] in ("cgroup", "cgroup2")]
        assert groups, facts.text
        for m in groups:
            assert m["root"] == "/", m
            assert "ro" in m["options"], m
        assert facts["mkdir:/sys/fs/cgroup/x"] != "ok", facts.text
        assert facts["mkdir:/sys/fs/cgroup/memory/x"] != "ok", facts.text


@test("a cgroup mount works without a cgroup namespace too, showing the own group only")
def cgroup_mount_no_ns():
    with Bundle({"linux": {"cgroupsPath": "/" + unique("cgm")}}) as b:
        facts = b.probe("mounts", "+", "ls", "/sys/fs/cgroup/pids", over=mounts(
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "ro"]}))
        groups = [m for m in facts.mounts() if m["type"] in ("cgroup", "cgroup2")]
        assert groups, facts.text
        for m in groups:
            if m["point"].split("/")[-1] in ("pids", "memory", "cpu", "devices", "freezer"):
                assert b.conf["linux"]["cgroupsPath"] in m["root"], m
        assert not [p for p in facts.all("ls:/sys/fs/cgroup/pids") if TAG in p], facts.text


def idmapped_source(b):
    src = b.side("ids")
    write(src + "/root", "r")
    write(src + "/user", "u")
    os.chown(src + "/user", 1000, 1000)
    return src


@test("idmap with mappings: owners appear shifted")
def idmap():
    needs_calls("mount_setattr", "open_tree")
    maps = [{"containerID": 0, "hostID": 5000, "size": 2000}]
    with Bundle() as b:
        idmapped_source(b)
        b.save(mounts(bind("ids", "/d", "bind", "idmap", uidMappings=maps, gidMappings=maps)))
        facts = b.probe("stat", "/d/root", "/d/user")
        assert facts.stat("/d/root")["uid"] == "5000", facts.text
        assert facts.stat("/d/user")["uid"] == "6000" and facts.stat("/d/user")["gid"] == "6000", facts.text


@test("ridmap maps the submounts too")
def ridmap():
    needs_calls("mount_setattr", "open_tree")
    maps = [{"containerID": 0, "hostID": 5000, "size": 2000}]
    with Bundle() as b, tree(b, bound=True) as src:  # before 6.3 a tmpfs has no ids to map
        b.save(mounts(bind(src, "/d", "rbind", "ridmap", uidMappings=maps, gidMappings=maps)))
        facts = b.probe("stat", "/d/file", "/d/sub/file")
        assert facts.stat("/d/file")["uid"] == "5000", facts.text
        assert facts.stat("/d/sub/file")["uid"] == "5000", facts.text


@test("idmap without mappings uses those of the user namespace")
def idmap_userns():
    needs_calls("mount_setattr", "open_tree")
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": maps,
                           "gidMappings": maps}}) as b:
        idmapped_source(b)
        b.owned(100000)
        facts = b.probe("stat", "/d/root", "/d/user", over=mounts(bind("ids", "/d", "bind", "idmap")))
        assert facts.stat("/d/root")["uid"] == "0", facts.text
        assert facts.stat("/d/user")["uid"] == "1000", facts.text


@test("idmap without mappings and without a user namespace is an error")
def idmap_nothing():
    with Bundle() as b:
        idmapped_source(b)
        for option in ("idmap", "ridmap"):
            b.save(mounts(bind("ids", "/d", "rbind", option)))
            fails(b.create(check=False), "idmap without mappings", "/mounts/")


@test("uidMappings without gidMappings are an error")
def idmap_half():
    with Bundle() as b:
        idmapped_source(b)
        b.save(mounts(bind("ids", "/d", "bind", "idmap",
                           uidMappings=[{"containerID": 0, "hostID": 5, "size": 9}])))
        fails(b.create(check=False))


@test("the root mount is the bundle's rootfs and nothing of the host is left below it")
def only_own_mounts():
    with Bundle() as b:
        facts = b.probe("mounts")
        points = {m["point"] for m in facts.mounts()}
        allowed = {"/"} | {m["destination"] for m in MOUNTS} | {"/dev/console"}
        extra = {p for p in points - allowed if not p.startswith(("/proc/", "/sys/firmware", "/dev/"))}
        assert not extra, extra
        assert facts.mount_at("/")["root"].endswith(b.id + "/rootfs"), facts.mount_at("/")


@test("two hundred bind mounts work")
def many():
    with Bundle() as b:
        b.side("data/x", "y")
        facts = b.probe("mounts", "+", "read", "/m/199/x",
                        over=mounts(*(bind("data", f"/m/{i}", "rbind", "ro") for i in range(200))))
        assert facts["read:/m/199/x"] == "y"
        assert len([m for m in facts.mounts() if m["point"].startswith("/m/")]) == 200


main()
