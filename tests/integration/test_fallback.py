#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels and filters without newer system calls: each is refused in turn, and all at once. The
container must come out the same; nothing that was asked for may be missing."""
import platform
import struct

from davit import *

# One number on every architecture.
CALLS = {"pidfd_send_signal": 424, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
         "fsmount": 432, "fspick": 433, "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437,
         "pidfd_getfd": 438, "mount_setattr": 442, "statmount": 457, "open_tree_attr": 467}
MOUNT_API = ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
             "open_tree_attr")
SECCOMP_SET_MODE_FILTER, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 1, 0x7fff0000, 0x00050000
NR_SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277, "s390x": 348, "ppc64le": 358}


def refuse(names, error):
    """For preexec: the system calls fail with this error from here on."""
    # seccomp_data starts with the number: load it, compare, return.
    code = [struct.pack("HBBI", 0x20, 0, 0, 0)]
    for name in names:
        code.append(struct.pack("HBBI", 0x15, 0, 1, CALLS[name]))
        code.append(struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ERRNO | error))
    code.append(struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ALLOW))
    text = b"".join(code)

    def install():
        rows = ctypes.create_string_buffer(text)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(rows)))
        if libc.syscall(NR_SECCOMP[platform.machine()], SECCOMP_SET_MODE_FILTER, 0, program):
            raise OSError(ctypes.get_errno(), "seccomp")
    return install


def full_config(b):
    source = b.side("src")
    write(source + "/file", "outer")
    b.file("/afile", "x")
    b.file("/cu/deep/file", "content")
    return {"root": {"readonly": True},
            "mounts": MOUNTS + [
                {"destination": "/b", "source": source, "options": ["rbind", "ro", "nosuid", "nodev", "rprivate"]},
                {"destination": "/afile", "source": source + "/file", "options": ["bind", "ro", "noexec"]},
                {"destination": "/t", "type": "tmpfs", "source": "t", "options": ["ro", "noexec", "size=1m"]},
                {"destination": "/t/sub", "type": "tmpfs", "source": "t", "options": ["noatime", "mode=750"]},
                {"destination": "/cu", "type": "tmpfs", "source": "t", "options": ["tmpcopyup", "ro"]},
                {"destination": "/b2", "source": source, "options": ["bind", "slave"]}],
            "linux": {"devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}]}}


WRITES = ("/b/file", "/afile", "/t/x", "/cu/x", "/x", "/proc/sys/kernel/hostname")
STATS = ("/dev/null", "/dev/fuse", "/dev/ptmx", "/proc/keys", "/sys/firmware", "/t", "/t/sub", "/cu/deep")
PROBE = ["mounts", "+", "read", "/b/file", "/afile", "/cu/deep/file"]
for _path in WRITES:
    PROBE += ["+", "poke", _path, "x"] if _path.startswith("/proc") else ["+", "write", _path, "x"]
PROBE += ["+", "stat", *STATS]


def seen(b, preexec=None):
    """What the container looks like, without what differs from run to run."""
    facts = b.probe(*PROBE, preexec=preexec)
    places = {}
    for m in facts.mounts():
        # The flags of a mask are those of the file system the null device was taken from.
        null = m["root"] == "/null"
        places.setdefault(m["point"], []).append("null" if null else (m["type"], sorted(m["options"])))
    kinds = {path: {k: facts.stat(path).get(k) for k in ("error", "type", "mode", "uid", "rdev")} for path in STATS}
    texts = {k: v for k, v in facts.values.items() if k.startswith(("read:", "write:", "poke:"))}
    return places, kinds, texts


def made_as_bound(got, want):
    """Where the device of a user namespace cannot be made it is the host's; else what is wanted."""
    places, kinds, texts = got
    st = os.stat("/dev/fuse")
    bound = {"error": None, "type": "chr", "mode": f"{st.st_mode & 0o7777:04o}", "uid": "65534", "rdev": "10:229"}
    assert kinds["/dev/fuse"] == bound and len(places["/dev/fuse"]) == 1, (kinds["/dev/fuse"], bound, places)
    return {**places, "/dev/fuse": want[0]["/dev/fuse"]}, {**kinds, "/dev/fuse": want[1]["/dev/fuse"]}, texts


def compare(names, error, over=None, bound=()):
    with Bundle() as b:
        b.save(full_config(b), over or {})
        if over:
            b.owned(over["linux"]["uidMappings"][0]["hostID"])
        want = seen(b)
        for group in names:
            got = seen(b, refuse(group, error))
            if group in bound:
                got = made_as_bound(got, want)
            for a, w in zip(got, want):
                odd = {k: (w.get(k), a.get(k)) for k in set(w) | set(a) if w.get(k) != a.get(k)}
                assert not odd, f"without {' '.join(group)}: want and got: {odd}"


EACH = [(name,) for name in CALLS]


@test("each newer call refused with ENOSYS: the same container", limit=120)
def each_enosys():
    compare(EACH, errno.ENOSYS)


@test("each newer call refused with EPERM: the same container", limit=120)
def each_eperm():
    compare(EACH, errno.EPERM)


@test("all newer calls refused: the same container")
def together():
    for error in (errno.ENOSYS, errno.EPERM):
        compare([MOUNT_API, tuple(CALLS)], error)


USERNS = {"linux": {"namespaces": None, "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
                    "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}}


@test("a container with a user namespace without the mount calls")
def userns():
    over = copy.deepcopy(USERNS)
    over["linux"]["namespaces"] = namespaces("pid", "network", "ipc", "uts", "mount", "user")
    bound = [MOUNT_API, ("open_tree",), ("move_mount",)]
    compare([*bound, ("mount_setattr", "open_tree_attr")], errno.ENOSYS, over, bound)


@contextlib.contextmanager
def tree(b, covered=False):
    """Mounts below each other, one with a name that mountinfo has to escape."""
    src = b.side("tree")
    mount("tmpfs", src, "tmpfs")
    try:
        for point in ("a", "a/deep er", "a/deep er/\t\\x", "b"):
            os.makedirs(f"{src}/{point}", exist_ok=True)
            mount("tmpfs", f"{src}/{point}", "tmpfs", MS_NODEV)
        if covered:
            mount("tmpfs", src + "/b", "tmpfs")
        yield src
    finally:
        umount(src)


TREE = ("", "/a", "/a/deep er", "/a/deep er/\t\\x", "/b")


def recursive_seen(b, src, preexec=None):
    facts = b.probe("mounts", "+", "write", *(x for p in TREE for x in (f"/ro{p}/file", "1")), preexec=preexec, over={
        "mounts": MOUNTS + [
            {"destination": "/ro", "source": src, "options": ["rbind", "rro", "rnosuid", "rnoatime"]},
            {"destination": "/dev ices", "source": src, "options": ["rbind", "rdev", "rnoexec", "rslave"]},
            {"destination": "/later", "source": src, "options": ["rbind"]},
            {"destination": "/later", "options": ["remount", "rnosymfollow", "rro"]},
            {"destination": "/sealed", "source": src, "options": ["rbind"]}],
        "linux": {"readonlyPaths": ["/sealed"]}})
    points = ("/ro", "/dev\\040ices", "/later", "/sealed")
    found = {m["point"]: sorted(m["options"]) for m in facts.mounts() if m["point"].startswith(points)}
    return found, {k: v for k, v in facts.values.items() if k.startswith("write:")}


@test("recursive attributes without mount_setattr: each mount of the tree has them", limit=120)
def recursive():
    with Bundle() as b, tree(b) as src:
        want = recursive_seen(b, src)
        assert len(want[0]) == 4 * len(TREE), want
        assert set(v for values in want[1].values() for v in values) == {"EROFS"}, want
        for point, options in want[0].items():
            assert ("ro" in options) == (not point.startswith("/dev")), want
        for error in (errno.ENOSYS, errno.EPERM):
            for group in (("mount_setattr", "open_tree_attr"), MOUNT_API, tuple(CALLS)):
                got = recursive_seen(b, src, refuse(group, error))
                assert got == want, (group, got, want)


@test("recursive attributes without mount_setattr in a user namespace")
def recursive_userns():
    with Bundle(USERNS) as b, tree(b) as src:
        b.save({"linux": {"namespaces": namespaces(*NAMESPACES, "user")}})
        b.owned(100000)
        over = {"mounts": MOUNTS + [{"destination": "/ro", "source": src, "options": ["rbind", "rro", "rnosuid"]}]}
        for calls in (("mount_setattr", "open_tree_attr"), MOUNT_API):
            facts = b.probe("mounts", over=over, preexec=refuse(calls, errno.ENOSYS))
            found = [m for m in facts.mounts() if m["point"].startswith("/ro")]
            assert len(found) == len(TREE), facts.text
            for m in found:
                assert {"ro", "nosuid"} <= set(m["options"]) and ("nodev" in m["options"]) == (m["point"] != "/ro"), m


@test("a mount that is covered by another one cannot be changed that way: an error, not a half done tree")
def recursive_covered():
    needs_calls("mount_setattr", "open_tree", "move_mount")  # to compare with
    with Bundle() as b, tree(b, covered=True) as src:
        b.save({"mounts": MOUNTS + [{"destination": "/ro", "source": src, "options": ["rbind", "rro"]}]})
        assert b.run().rc == 0
        fails(b.run(preexec=refuse(("mount_setattr", "open_tree_attr"), errno.ENOSYS)), "/ro", "not supported")


@test("what only the newer calls can do is an error without them")
def refused():
    maps = [{"containerID": 0, "hostID": 9, "size": 1}]
    with Bundle() as b:
        source = b.side("src")
        for options in (["bind", "idmap"], ["rbind", "ridmap"]):
            b.save({"mounts": MOUNTS + [{"destination": "/b", "source": source, "options": options,
                                         "uidMappings": maps, "gidMappings": maps}]})
            for calls in (("mount_setattr", "open_tree_attr"), MOUNT_API):
                fails(b.run(preexec=refuse(calls, errno.ENOSYS)), "/b")


main()
