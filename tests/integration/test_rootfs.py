#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Root file system: read-only, propagation, masked and read-only paths, odd roots."""
from davit import *


@test("the container sees the bundle's rootfs as /")
def is_root():
    with Bundle() as b:
        b.file("/etc/marker", "mine")
        facts = b.probe("read", "/etc/marker", "+", "ls", "/", "+", "stat", "/..")
        assert facts["read:/etc/marker"] == "mine"
        assert set(facts.all("ls:/")) == {"bin", "dev", "etc", "init", "proc", "sys", "tmp"}, facts.text
        assert facts.stat("/..")["ino"] == str(os.stat(b.rootfs).st_ino)


@test("readonly: writes fail with EROFS; mounts below stay writable")
def readonly():
    with Bundle({"root": {"readonly": True}}) as b:
        facts = b.probe("write", "/x", "1", "+", "write", "/etc/x", "1", "+", "mkdir", "/d", "+",
                        "write", "/dev/shm/x", "1", "+", "mounts")
        assert facts["write:/x"] == facts["write:/etc/x"] == facts["mkdir:/d"] == "EROFS", facts.text
        assert facts["write:/dev/shm/x"] == "ok", facts.text
        assert "ro" in facts.mount_at("/")["options"], facts.mount_at("/")
        assert os.access(b.rootfs, os.W_OK) and not os.path.exists(b.path("/x"))


@test("without readonly the root is writable and changes reach the bundle")
def writable():
    with Bundle() as b:
        assert b.probe("write", "/x", "text")["write:/x"] == "ok"
        assert read(b.path("/x")) == "text"


@test("an absolute root path works as a relative one")
def absolute():
    with Bundle() as b:
        b.save({"root": {"path": b.rootfs}})
        assert b.probe("true") is not None


@test("root path \".\" makes the bundle the root, with config.json in it")
def dot():
    with Bundle(rootfs=False) as b:
        for name in ("dev", "proc", "sys"):
            os.mkdir(f"{b.dir}/{name}")
        shutil.copy2(probe_path(), b.dir + "/init")
        facts = b.probe("stat", "/config.json", over={"root": {"path": "."}})
        assert facts.stat("/config.json")["type"] == "reg", facts.text


@test("a root path that is or passes a symlink leads to the directory, read-only if asked for")
def symlink():
    with Bundle() as b:
        os.rename(b.rootfs, b.dir + "/real")
        os.symlink("real", b.rootfs)
        os.symlink(b.dir, b.dir + "/around")
        write(b.dir + "/real/marker", "mine")
        for path, readonly in (("rootfs", False), ("rootfs", True), ("./around/real/", True), ("around/real", False)):
            facts = b.probe("read", "/marker", "+", "write", "/new", "x", "+", "mounts",
                            over={"root": {"path": path, "readonly": readonly}})
            assert facts["read:/marker"] == "mine", facts.text
            assert facts["write:/new"] == ("EROFS" if readonly else "ok"), facts.text
            assert facts.mount_at("/")["root"].endswith("/real"), facts.mount_at("/")


@test("a missing root, a file as root, and no root at all are errors that say so")
def bad_root():
    with Bundle() as b:
        b.side("afile", "x")
        for path, words in (("absent", "absent"), ("afile", "afile"), ("", "")):
            b.save({"root": {"path": path}})
            r = fails(b.create(check=False))
            assert words in r.err, r
        b.save({"root": None})
        fails(b.create(check=False))


@test("masked paths: files read empty and are /dev/null, directories are empty and read-only")
def masked():
    with Bundle() as b:
        b.file("/etc/secret", "secret")
        b.file("/etc/dir/secret", "secret")
        facts = b.probe("read", "/etc/secret", "/proc/keys", "+", "ls", "/etc/dir", "+", "stat",
                        "/etc/secret", "/etc/dir/secret", "+", "write", "/etc/dir/new", "x", "+", "mounts",
                        over={"linux": {"maskedPaths": ["/etc/secret", "/etc/dir", "/proc/keys",
                                                        "/no/such/path"]}})
        assert facts["read:/etc/secret"] == "" and facts["read:/proc/keys"] == "", facts.text
        st = facts.stat("/etc/secret")
        assert (st["type"], st["rdev"]) == ("chr", "1:3"), st
        assert facts["ls_count:/etc/dir"] == "0", facts.text
        assert facts["stat:/etc/dir/secret"] == "ENOENT", facts.text
        # ENOENT: the kernel's word in a directory of sysfs that can hold nothing
        assert facts["write:/etc/dir/new"] in ("EROFS", "EACCES", "ENOENT"), facts.text
        mounted = re.search(r"^mount=\S+ \S+ \S+ \S+ /etc/dir (\S+)", facts.text, re.M)
        assert mounted and {"ro", "nosuid", "nodev", "noexec"} <= set(mounted[1].split(",")), facts.text
        assert read(b.path("/etc/secret")) == "secret"


@test("masked directories without a sysfs, or with one that others are mounted in, are empty and read-only as well")
def masked_elsewhere():
    sys_dirs = ("/sys/kernel/security", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf")
    covers = [{"destination": name, "type": "tmpfs", "source": "tmpfs"} for name in sys_dirs if os.path.isdir(name)]
    sysfs = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
    for mounts in ([], [sysfs, *covers]):
        with Bundle() as b:
            b.file("/etc/dir/secret", "secret")
            facts = b.probe("ls", "/etc/dir", "+", "write", "/etc/dir/new", "x", "+", "mounts",
                            over={"linux": {"maskedPaths": ["/etc/dir"]}, "mounts": [MOUNT_PROC, *mounts]})
            assert facts["ls_count:/etc/dir"] == "0" and facts["write:/etc/dir/new"] == "EROFS", facts.text
            assert re.search(r"^mount=.* /etc/dir ro,.* - tmpfs ", facts.text, re.M), facts.text


@test("a masked path cannot be unmasked by an ordinary container's root")
def masked_stays():
    with Bundle() as b:
        b.file("/etc/secret", "secret")
        facts = b.probe("umount", "/etc/secret", "+", "read", "/etc/secret",
                        over={"linux": {"maskedPaths": ["/etc/secret"]}})
        assert facts["umount:/etc/secret"] == "EPERM" and facts["read:/etc/secret"] == "", facts.text


@test("read-only paths cannot be written, also below a writable mount")
def readonly_paths():
    with Bundle() as b:
        b.file("/etc/file", "x")
        b.file("/etc/dir/file", "x")
        facts = b.probe("poke", "/etc/file", "y", "+", "poke", "/etc/dir/file", "y", "+", "write",
                        "/etc/dir/new", "y", "+", "poke", "/proc/sys/kernel/domainname", "z", "+",
                        "read", "/etc/file", "+", "mounts",
                        over={"linux": {"readonlyPaths": ["/etc/file", "/etc/dir", "/proc/sys", "/absent"]}})
        for path in ("/etc/file", "/etc/dir/file", "/proc/sys/kernel/domainname"):
            assert facts["poke:" + path] == "EROFS", facts.text
        assert facts["write:/etc/dir/new"] == "EROFS" and facts["read:/etc/file"] == "x", facts.text


@test("read-only paths keep nosuid, nodev, noexec of the mount below")
def readonly_keeps_flags():
    with Bundle() as b:
        facts = b.probe("mounts", over={"linux": {"readonlyPaths": ["/proc/sys", "/proc/fs"]}})
        got = facts.mount_at("/proc/sys")["options"]
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(got), got


@test("a masked path that is a symlink does not mask something outside")
def masked_symlink():
    with Bundle() as b:
        canary = b.side("canary", "alive")
        os.symlink(canary, b.path("/etc/link"))
        os.symlink("/etc/real", b.path("/etc/inner"))
        b.file("/etc/real", "text")
        b.save({"linux": {"maskedPaths": ["/etc/link", "/etc/inner"]}})
        before = read("/proc/self/mountinfo")
        b.run()
        assert read(canary) == "alive" and read("/proc/self/mountinfo") == before


@test("rootfsPropagation sets the kind of the root mount")
def propagation():
    for kind, prefix in (("private", None), ("rprivate", None), ("slave", "master"), ("rslave", "master"),
                         ("shared", "shared"), ("rshared", "shared"), ("unbindable", "unbindable")):
        with Bundle({"linux": {"rootfsPropagation": kind}}) as b:
            tags = b.probe("mounts").mount_at("/")["tags"]
            if prefix:
                assert any(t.startswith(prefix) for t in tags), (kind, tags)
            else:
                assert not tags, (kind, tags)


@test("an unknown rootfsPropagation is refused")
def bad_propagation():
    with Bundle({"linux": {"rootfsPropagation": "sideways"}}) as b:
        fails(b.create(check=False), "sideways")


@test("mounts that the host makes later appear with rslave and not with rprivate")
def later_mounts():
    for kind, want in (("rprivate", "ENOENT"), ("rslave", "reg")):
        with Bundle({"linux": {"rootfsPropagation": kind}}) as b:
            os.mkdir(b.path("/mnt"))
            b.up()
            mount("tmpfs", b.path("/mnt"), "tmpfs")
            try:
                write(b.path("/mnt/file"), "x")
                assert want in b.exec_facts("stat", "/mnt/file")["stat:/mnt/file"], kind
            finally:
                umount(b.path("/mnt"))
            b.delete("--force")


@test("the old root is not reachable and the mount table holds nothing of it")
def old_root_gone():
    with Bundle({"process": {"capabilities": privileged()}}) as b:
        marker = os.path.join(work, "marker")
        write(marker, "host")
        facts = b.probe("stat", marker, "/proc/1/root" + marker, "+", "umount", "/proc", "/dev", "/", "+",
                        "stat", marker, "+", "mounts")
        assert all(v == "ENOENT" for v in facts.all("stat:" + marker)), facts.text
        os.unlink(marker)


@test("--no-pivot gives the same view")
def no_pivot():
    with Bundle() as b:
        facts = b.probe("ls", "/", flags=["--no-pivot"])
        assert set(facts.all("ls:/")) == {"bin", "dev", "etc", "init", "proc", "sys", "tmp"}, facts.text


@test("a root file system on its own tmpfs works")
def tmpfs_root():
    with Bundle() as b:
        hold = b.side("hold")
        mount("tmpfs", hold, "tmpfs")
        try:
            shutil.copytree(b.rootfs, hold + "/rootfs")
            facts = b.probe("status", over={"root": {"path": hold + "/rootfs"}})
            assert facts["pid"] == "1"
            shutil.rmtree(hold + "/rootfs")
        finally:
            umount(hold)


main()
