#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Mount options together: contradictions, those of mount(8), those that a bind mount cannot have."""
from davit import *


def entry(dest, *options, **more):
    return {"destination": dest, "type": "tmpfs", "source": "t", "options": list(options), **more}


def bound(dest, *options):
    return {"destination": dest, "source": "src", "options": list(options)}


@contextlib.contextmanager
def tree(b):
    """A source with a mount below it; both can be written to."""
    src = b.side("src")
    mount("tmpfs", src, "tmpfs")
    try:
        os.mkdir(src + "/sub")
        mount("tmpfs", src + "/sub", "tmpfs")
        yield src
    finally:
        umount(src)


def shows(facts, dest, want, lacks=()):
    have = set(facts.mount_at(dest)["options"])
    assert set(want) <= have and not set(lacks) & have, (dest, want, lacks, sorted(have))


@test("a recursive option holds for the top mount too, whatever stands before or after it")
def recursive_wins():
    cases = ((["rw", "rro"], ["ro"], ["rw"]), (["rro", "rw"], ["ro"], ["rw"]),
             (["exec", "rnoexec"], ["noexec"], []), (["suid", "dev", "rnosuid", "rnodev"], ["nosuid", "nodev"], []),
             (["relatime", "rnoatime"], ["noatime"], ["relatime"]),
             (["noatime", "rstrictatime"], [], ["noatime", "relatime"]),
             (["ro", "rrw"], ["rw"], ["ro"]), (["rro", "rrw"], ["rw"], ["ro"]), (["rrw", "rro"], ["ro"], ["rw"]))
    with Bundle() as b, tree(b):
        entries = [bound(f"/b{i}", "rbind", *c[0]) for i, c in enumerate(cases)]
        entries += [bound(f"/one{i}", "bind", *c[0]) for i, c in enumerate(cases)]
        entries += [entry(f"/t{i}", *c[0]) for i, c in enumerate(cases)]
        facts = b.probe("mounts", "+", "write", "/b0/new", "x", "/b0/sub/new", "x", "+", "write", "/b0/sub/new", "x",
                        over={"mounts": MOUNTS + entries})
        for i, (_, want, lacks) in enumerate(cases):
            for point in (f"/b{i}", f"/b{i}/sub", f"/one{i}", f"/t{i}"):
                shows(facts, point, want, lacks)
        assert facts["write:/b0/new"] == "EROFS" and facts["write:/b0/sub/new"] == "EROFS", facts.text


@test("words of mount(8): those for fstab do nothing, those for users confine, =recursive reaches the mounts below")
def words_of_mount():
    fstab = ["auto", "noauto", "nofail", "nouser", "_netdev", "x-systemd.automount", "X-mount.mkdir=0755", "comment=x"]
    with Bundle() as b, tree(b):
        facts = b.probe("mounts", over={"mounts": MOUNTS + [
            entry("/fstab", *fstab), entry("/joined", ",".join(fstab)),
            entry("/user", "user"), entry("/users", "users", "exec"), entry("/owner", "owner"),
            entry("/group", "group"),
            bound("/rec", "rbind", "ro=recursive", "noatime=recursive"), bound("/vfs", "rbind", "ro=vfs")]})
        for point in ("/fstab", "/joined"):
            shows(facts, point, ["rw", "relatime"], ["nosuid", "nodev", "noexec"])
        shows(facts, "/user", ["nosuid", "nodev", "noexec"])
        shows(facts, "/users", ["nosuid", "nodev"], ["noexec"])
        for point in ("/owner", "/group"):
            shows(facts, point, ["nosuid", "nodev"], ["noexec"])
        for point in ("/rec", "/rec/sub"):
            shows(facts, point, ["ro", "noatime"])
        shows(facts, "/vfs", ["ro"])
        shows(facts, "/vfs/sub", ["rw"], ["ro"])


@test("what only a file system can have is no error on a bind mount, but a warning, and state lists it")
def bind_notes():
    with Bundle() as b:
        b.side("src/x", "y")
        b.save(command_args("true"), {"mounts": MOUNTS + [
            bound("/d", "bind", "ro", "size=1k", "no_such"),
            bound("/e", "rbind", "sync", "dirsync", "lazytime", "mand", "iversion"),
            bound("/f", "bind", "nosuid", "async", "defaults", "silent", "x-note=1", "nofail")]})
        r = b.run(check=True)
        for words in ('"/d"', "size=1k no_such", "sync dirsync lazytime mand iversion"):
            assert words in r.err, (words, r)
        assert '"/f"' not in r.err, r
        b.create()
        listed = b.state()["notApplied"]
        assert len(listed) == 2 and '"/d"' in listed[0] and '"/e"' in listed[1], listed
        b.delete("--force")


@test("remount changes what an earlier entry of the same destination made, read-only or not")
def remount_again():
    with Bundle() as b:
        facts = b.probe("mounts", "+", "write", "/w/x", "1", "+", "write", "/r/x", "1", over={"mounts": MOUNTS + [
            entry("/w", "ro", "noexec"), entry("/w", "remount", "rw", "exec"), entry("/w/below"),
            entry("/r"), entry("/r/below"), entry("/r", "remount", "ro"),
            entry("/kept", "ro"), entry("/kept", "remount", "nosuid"), entry("/kept/below")]})
        assert facts["write:/w/x"] == "ok" and facts["write:/r/x"] == "EROFS", facts.text
        shows(facts, "/w", ["rw"], ["noexec"])
        shows(facts, "/kept", ["ro", "nosuid"])


@test("a /dev that a later entry makes read-only has its devices all the same, bind or not")
def remount_dev():
    for options in (["remount", "ro"], ["bind", "remount", "ro"]):
        with Bundle() as b:
            facts = b.probe("mounts", "+", "write", "/dev/x", "1", "+", "stat", "/dev/zero", "/dev/fuse", over={
                "mounts": [*MOUNTS, {"destination": "/dev", "type": "tmpfs", "options": options}],
                "linux": {"devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}]}})
            shows(facts, "/dev", ["ro", "nosuid"])
            assert facts["write:/dev/x"] == "EROFS", facts.text
            assert facts.stat("/dev/zero")["type"] == facts.stat("/dev/fuse")["type"] == "chr", facts.text


@contextlib.contextmanager
def disk(b):
    """A file system on a loop device."""
    for tool in ("losetup", "mkfs.ext4"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    image = b.side("image", "")
    os.truncate(image, 8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, timeout=TIMEOUT, capture_output=True)
    r = subprocess.run(["losetup", "-f", "--show", image], timeout=TIMEOUT, capture_output=True, text=True)
    if r.returncode:
        raise Skip(f"no loop device to be had: {r.stderr.strip()}")
    device = r.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], check=True, timeout=TIMEOUT)


@test("a disk is mounted by its type, though the container's device rules forbid it")
def disk_by_type():
    needs_calls("fsopen", "fsconfig", "fsmount", "move_mount")
    for rules in ([], [{"allow": False, "access": "rwm"}]):
        with Bundle({"linux": {"resources": {"devices": rules}}}) as b, disk(b) as device:
            if "ext4" not in read("/proc/filesystems"):
                raise Skip("a kernel without ext4")
            over = [entry("/d", "noatime", "commit=7", "nosuid", source=device, type="ext4")]
            for _ in range(5):  # it depended on who was faster
                facts = b.probe("mounts", "+", "write", "/d/x", "1", over={"mounts": MOUNTS + over})
                assert facts["write:/d/x"] == "ok" and facts.mount_at("/d")["type"] == "ext4", facts.text
                shows(facts, "/d", ["rw", "noatime", "nosuid"])
                assert "commit=7" in facts.mount_at("/d")["data"], facts.mount_at("/d")
            over[0]["options"] = ["ro", "shared"]
            facts = b.probe("mounts", "+", "write", "/d/x", "1", over={"mounts": MOUNTS + over})
            assert facts["write:/d/x"] == "EROFS", facts.text
            assert any(t.startswith("shared:") for t in facts.mount_at("/d")["tags"]), facts.mount_at("/d")
            again = [over[0], {"destination": "/d", "type": "ext4", "options": ["remount", "rw", "nosuid"]}]
            facts = b.probe("mounts", "+", "write", "/d/x", "1", over={"mounts": MOUNTS + again})
            assert facts["write:/d/x"] == "ok", facts.text
            shows(facts, "/d", ["rw", "nosuid"])
            over[0]["options"] = ["commit=many"]
            b.save({"mounts": MOUNTS + over})
            fails(b.create(check=False), "commit", f"/mounts/{len(MOUNTS)}")


@test("an entry of a propagation alone, with type none or without one, changes the mount that is there")
def propagation_alone():
    with Bundle() as b:
        tags = b.probe("mounts", over={"mounts": MOUNTS + [
            entry("/a"), {"destination": "/a", "type": "none", "options": ["shared"]},
            entry("/b"), {"destination": "/b", "options": ["unbindable"]}]})
        assert any(t.startswith("shared:") for t in tags.mount_at("/a")["tags"]), tags.text
        assert "unbindable" in tags.mount_at("/b")["tags"], tags.text


main()
