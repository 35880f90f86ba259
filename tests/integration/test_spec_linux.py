#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Demands of the Linux sections that no other file shows: every mount option, id maps of mounts, values
that must be refused."""
from davit import *


def has(*flags):
    return lambda m: set(flags) <= set(m["options"] + m["data"])


def lacks(*flags):
    return lambda m: not set(flags) & set(m["options"] + m["data"])


# option: the options of the mount, and what its line in mountinfo must show
OPTIONS = {
    "ro": (["ro"], has("ro")), "rw": (["ro", "rw"], lacks("ro")),
    "nosuid": (["nosuid"], has("nosuid")), "suid": (["nosuid", "suid"], lacks("nosuid")),
    "nodev": (["nodev"], has("nodev")), "dev": (["nodev", "dev"], lacks("nodev")),
    "noexec": (["noexec"], has("noexec")), "exec": (["noexec", "exec"], lacks("noexec")),
    "noatime": (["noatime"], has("noatime")), "atime": (["noatime", "atime"], lacks("noatime")),
    "nodiratime": (["nodiratime"], has("nodiratime")),
    "diratime": (["nodiratime", "diratime"], lacks("nodiratime")),
    "relatime": (["noatime", "relatime"], has("relatime")),
    "norelatime": (["relatime", "norelatime"], lacks("noatime")),
    "strictatime": (["strictatime"], lacks("relatime", "noatime")),
    "nostrictatime": (["strictatime", "nostrictatime"], has("relatime")),
    "nosymfollow": (["nosymfollow"], has("nosymfollow")),
    "symfollow": (["nosymfollow", "symfollow"], lacks("nosymfollow")),
    "sync": (["sync"], has("sync")), "async": (["sync", "async"], lacks("sync")),
    "dirsync": (["dirsync"], has("dirsync")),
    "lazytime": (["lazytime"], has("lazytime")), "nolazytime": (["lazytime", "nolazytime"], lacks("lazytime")),
    "defaults": (["defaults"], has("rw", "relatime")),
    # these have no mark in mountinfo: taken by a file system that knows no data
    "silent": (["silent"], has("rw")), "loud": (["silent", "loud"], has("rw")),
    "iversion": (["iversion"], has("rw")), "noiversion": (["iversion", "noiversion"], has("rw")),
    "private": (["shared", "private"], lambda m: not m["tags"]),
    "rprivate": (["shared", "rprivate"], lambda m: not m["tags"]),
    "shared": (["shared"], lambda m: any(t.startswith("shared:") for t in m["tags"])),
    "rshared": (["rshared"], lambda m: any(t.startswith("shared:") for t in m["tags"])),
    "slave": (["shared", "slave"], lambda m: not any(t.startswith("shared:") for t in m["tags"])),
    "rslave": (["rshared", "rslave"], lambda m: not any(t.startswith("shared:") for t in m["tags"])),
    "unbindable": (["unbindable"], lambda m: "unbindable" in m["tags"]),
    "runbindable": (["runbindable"], lambda m: "unbindable" in m["tags"]),
}
# recursive option: what the mount below the source has, and what its line must show
CLEARED = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
RECURSIVE = {
    "rro": (0, has("ro")), "rrw": (CLEARED, lacks("ro")),
    "rnosuid": (0, has("nosuid")), "rsuid": (CLEARED, lacks("nosuid")),
    "rnodev": (0, has("nodev")), "rdev": (CLEARED, lacks("nodev")),
    "rnoexec": (0, has("noexec")), "rexec": (CLEARED, lacks("noexec")),
    "rnoatime": (0, has("noatime")), "ratime": (1 << 10, lacks("noatime")),
    "rnodiratime": (0, has("nodiratime")), "rdiratime": (1 << 11, lacks("nodiratime")),
    "rrelatime": (1 << 10, has("relatime")), "rnorelatime": (0, lacks("noatime")),
    "rstrictatime": (0, lacks("relatime", "noatime")), "rnostrictatime": (1 << 24, has("relatime")),
    "rnosymfollow": (0, has("nosymfollow")), "rsymfollow": (256, lacks("nosymfollow")),
}


@test("each mount option of the specification has its effect, one at a time")
def mount_options_each():
    with Bundle() as b:
        source = b.side("src")
        entries = [{"destination": f"/o/{name}", "type": "tmpfs", "source": "t", "options": options}
                   for name, (options, _) in OPTIONS.items()]
        entries += [{"destination": "/o/remount", "type": "tmpfs", "source": "t", "options": ["size=1m"]},
                    {"destination": "/o/remount", "options": ["remount", "ro", "nodev"]},
                    {"destination": "/o/bind", "source": source, "options": ["bind"]},
                    {"destination": "/o/rbind", "source": source, "options": ["rbind"]}]
        mount("tmpfs", source, "tmpfs")
        try:
            for name, (flags, _) in RECURSIVE.items():
                os.makedirs(f"{source}/{name}/sub")
                mount("tmpfs", f"{source}/{name}/sub", "tmpfs")
                mount(None, f"{source}/{name}/sub", None, MS_REMOUNT | MS_BIND | flags)
                entries += [{"destination": f"/r/{name}", "source": f"{source}/{name}", "options": ["rbind", name]},
                            {"destination": f"/b/{name}", "source": f"{source}/{name}/sub", "options": ["bind", name]}]
            facts = b.probe("mounts", over={"mounts": MOUNTS + entries})
        finally:
            umount(source)
        for name, (options, want) in OPTIONS.items():
            found = facts.mount_at(f"/o/{name}")
            assert found and want(found), (name, options, found)
        for name, (flags, want) in RECURSIVE.items():
            for point in (f"/r/{name}", f"/r/{name}/sub", f"/b/{name}"):
                found = facts.mount_at(point)
                assert found and want(found), (name, flags, found)
        found = facts.mount_at("/o/remount")
        assert has("ro", "nodev", "size=1024k")(found), found
        assert not facts.mount_at("/o/bind/rro/sub") and facts.mount_at("/o/rbind/rro/sub"), facts.text
        assert set(run_davit("features").json["mountOptions"]) >= set(OPTIONS) | set(RECURSIVE)


@test("a file system by its type, with data options")
def type_with_data():
    entries = [{"destination": "/a", "type": "tmpfs", "source": "t",
                "options": ["size=64k", "mode=711", "uid=7", "gid=8"]},
               {"destination": "/b", "type": "ramfs", "source": "r", "options": ["mode=750"]},
               {"destination": "/p", "type": "proc", "source": "proc", "options": ["hidepid=2", "ro"]},
               {"destination": "/pts", "type": "devpts", "source": "d",
                "options": ["newinstance", "ptmxmode=0600", "max=3"]}]
    with Bundle() as b:
        facts = b.probe("mounts", "+", "stat", "/a", "/b", "/pts/ptmx", over={"mounts": MOUNTS + entries})
        assert facts.mount_at("/a")["type"] == "tmpfs" and "size=64k" in facts.mount_at("/a")["data"], facts.text
        st = facts.stat("/a")
        assert (int(st["mode"], 8) & 0o7777, st["uid"], st["gid"]) == (0o711, "7", "8"), st
        assert facts.mount_at("/b")["type"] == "ramfs", facts.text
        assert int(facts.stat("/b")["mode"], 8) & 0o777 == 0o750, facts.stat("/b")
        assert any(d.startswith("hidepid=") for d in facts.mount_at("/p")["data"]), facts.mount_at("/p")
        assert "max=3" in facts.mount_at("/pts")["data"], facts.mount_at("/pts")
        assert int(facts.stat("/pts/ptmx")["mode"], 8) & 0o777 == 0o600, facts.stat("/pts/ptmx")


def owned_files(b, *ids):
    source = b.side("ids")
    for number in ids:
        write(f"{source}/{number}", "x")
        os.chown(f"{source}/{number}", number, number)
    return source


@test("mappings of a mount: first and last of the range, and what is outside; with and without a user namespace")
def idmap_per_mount():
    needs_calls("mount_setattr", "open_tree")
    uids = [{"containerID": 1000, "hostID": 5000, "size": 10}, {"containerID": 0, "hostID": 7000, "size": 1}]
    gids = [{"containerID": 1000, "hostID": 6000, "size": 10}, {"containerID": 0, "hostID": 8000, "size": 1}]
    whole = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for userns in (False, True):
        over = {"linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": whole,
                          "gidMappings": whole}} if userns else {}
        with Bundle(over) as b:
            owned_files(b, 0, 999, 1000, 1009, 1010)
            if userns:
                b.owned(100000)
            shift = 100000 if userns else 0
            entry = {"destination": "/d", "source": "ids", "options": ["bind", "idmap"],
                     "uidMappings": [dict(m, hostID=m["hostID"] + shift) for m in uids],
                     "gidMappings": [dict(m, hostID=m["hostID"] + shift) for m in gids]}
            facts = b.probe("stat", *(f"/d/{n}" for n in (0, 999, 1000, 1009, 1010)),
                            over={"mounts": MOUNTS + [entry]})
            got = {n: (facts.stat(f"/d/{n}")["uid"], facts.stat(f"/d/{n}")["gid"])
                   for n in (0, 999, 1000, 1009, 1010)}
            assert got == {0: ("7000", "8000"), 999: ("65534", "65534"), 1000: ("5000", "6000"),
                           1009: ("5009", "6009"), 1010: ("65534", "65534")}, (userns, got)


@test("mappings of a mount hold without the option idmap too")
def idmap_option_absent():
    needs_calls("mount_setattr", "open_tree")
    maps = [{"containerID": 0, "hostID": 5000, "size": 2000}]
    with Bundle() as b:
        owned_files(b, 7)
        entry = {"destination": "/d", "source": "ids", "options": ["bind"], "uidMappings": maps, "gidMappings": maps}
        assert b.probe("stat", "/d/7", over={"mounts": MOUNTS + [entry]}).stat("/d/7")["uid"] == "5007"


@test("ridmap without mappings takes those of the user namespace, for the mounts below too")
def ridmap_userns():
    needs_calls("mount_setattr", "open_tree")
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": maps,
                           "gidMappings": maps}}) as b:
        b.owned(100000)
        source = owned_files(b, 7)
        os.mkdir(source + "/sub")
        mount(b.side("other"), source + "/sub", None, MS_BIND)  # before 6.3 a tmpfs has no ids to map
        try:
            write(source + "/sub/9", "x")
            os.chown(source + "/sub/9", 9, 9)
            entry = {"destination": "/d", "source": "ids", "options": ["rbind", "ridmap"]}
            facts = b.probe("stat", "/d/7", "/d/sub/9", over={"mounts": MOUNTS + [entry]})
            assert facts.stat("/d/7")["uid"] == "7" and facts.stat("/d/sub/9")["uid"] == "9", facts.text
        finally:
            umount(source + "/sub")


@test("a user namespace does not change who owns the files of the bundle")
def owner_unchanged():
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": maps,
                           "gidMappings": maps}}) as b:
        b.owned(100000)
        source = owned_files(b, 0, 7)
        before = {p: os.lstat(p)[4:6] for d, _, files in os.walk(b.dir) for p in [d, *(d + "/" + f for f in files)]}
        b.probe("true", over={"mounts": MOUNTS + [{"destination": "/d", "source": source, "options": ["bind"]}]})
        after = {p: os.lstat(p)[4:6] for p in before}
        assert after == before, {p: (before[p], after[p]) for p in before if before[p] != after[p]}


@test("masked and read-only paths must be absolute")
def absolute_paths():
    for key in ("maskedPaths", "readonlyPaths"):
        for path in ("proc/kcore", "./x", ".."):
            with Bundle({"linux": {key: [path]}}) as b:
                fails(b.create(check=False), f"/linux/{key}/0")


def profile(**more):
    return {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", **more}}}


@test("values that cannot be applied are errors that name them, and nothing is left")
def bad_values():
    for over, words in (
            (profile(syscalls=[{"names": [], "action": "SCMP_ACT_ERRNO"}]), "names"),
            (profile(flags=["SECCOMP_FILTER_FLAG_X"]), "SECCOMP_FILTER_FLAG_X"),
            (profile(architectures=["SCMP_ARCH_PDP11"]), "SCMP_ARCH_PDP11"),
            ({"linux": {"rootfsPropagation": "sometimes"}}, "rootfsPropagation"),
            ({"linux": {"rootfsPropagation": ""}}, "(config.json /linux/rootfsPropagation)"),
            ({"linux": {"namespaces": namespaces("pid", "mount", "fun")}}, "fun"),
            ({"linux": {"timeOffsets": {"yesterday": {"secs": 1}, "monotonic": {"secs": 1, "nanosecs": 5}}}}, "time"),
            ({"linux": {"devices": [{"path": "/dev/x", "type": "z", "major": 1, "minor": 1}]}}, "/linux/devices/0"),
            ({"linux": {"cgroupsPath": "/../../x/.."}}, "cgroupsPath"),
            ({"process": {"scheduler": {"policy": "SCHED_ISO"}}}, "SCHED_ISO"),
            ({"process": {"oomScoreAdj": 5000}}, "oomScoreAdj"),
            ({"process": {"user": {"uid": -1}}}, "/process/user/uid"),
            ({"process": {"cwd": "tmp"}}, "/process/cwd")):
        with Bundle(over) as b:
            fails(b.create(check=False), words)


@test("the flag that makes notified calls wait for the agent is taken with a listener")
def seccomp_flags():
    with FdReceiver("n") as s:
        with Bundle({"linux": {"seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": s.path,
                "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
                "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_NOTIFY"}]}}}) as b:
            b.save(command_args("status"))
            b.create()
            data, fds = s.receive()
            assert json.loads(data)["fds"] == ["seccompFd"] and len(fds) == 1, data
            b.delete("--force")


@test("offsets of both clocks, negative ones and fractions too, are those of the time namespace")
def time_offsets_exact():
    if not os.path.exists("/proc/self/ns/time"):
        raise Skip("no time namespaces in this kernel")
    for mono, boot in (((-1, 0), (7, 999999999)), ((500, 250000000), (-1, 500000000))):
        with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "time"),
                               "timeOffsets": {"monotonic": {"secs": mono[0], "nanosecs": mono[1]},
                                               "boottime": {"secs": boot[0], "nanosecs": boot[1]}}}}) as b:
            b.up()
            rows = [l.split() for l in read(f"/proc/{b.pid()}/timens_offsets").splitlines()]
            rows = {l[0]: tuple(map(int, l[1:])) for l in rows}
            assert rows.get("monotonic") == mono and rows.get("boottime") == boot, rows
            b.delete("--force")


main()
