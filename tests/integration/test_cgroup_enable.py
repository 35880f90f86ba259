#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which controllers of version 2 a container's group gets."""
import ctypes

from davit import *

CLONE_NEWCGROUP = 0x02000000
POINT = "/sys/fs/cgroup"


def with_root(function, enabled=""):
    """Runs a function where a group of ours is the root of the hierarchy, and gives these controllers away."""
    if not v2_only():
        raise Skip("needs cgroup version 2 alone")
    missing = set("memory pids cpu".split()) - set(read(POINT + "/cgroup.subtree_control").split())
    if missing or os.geteuid() != 0:
        raise Skip(f"this host does not give groups the controllers {' '.join(sorted(missing))}")
    top = f"{POINT}/{unique('top')}"

    def inside():
        write(top + "/cgroup.procs", str(os.getpid()))
        if libc.unshare(CLONE_NEWCGROUP) < 0:
            raise OSError(ctypes.get_errno(), "unshare")
        umount(POINT)  # the kernel does not cover a file system by itself
        mount("cgroup2", POINT, "cgroup2")
        write(POINT + "/own/cgroup.procs", str(os.getpid()))
        if enabled:
            write(POINT + "/cgroup.subtree_control", enabled)
        function()
    os.makedirs(top + "/own")
    try:
        isolated(inside)
    finally:
        for path in (top + "/own", top):
            eventually(lambda p=path: not read(p + "/cgroup.procs"), "no process")
            os.rmdir(path)


def group(name, file="cgroup.controllers"):
    return set(read(f"{POINT}/parent/{name}/{file}").split())


def limited(name, annotations=None, **resources):
    return {"linux": {"cgroupsPath": f"/parent/{name}", "resources": resources}, "annotations": annotations or {}}


@test("a controller that nobody uses stays off until a limit needs it")
def unused():
    def check():
        name = unique()
        with Bundle(limited(name, pids={"limit": 50})) as b:
            b.up()
            assert group(name) == {"pids"} and group(name, "pids.max") == {"50"}, group(name)
            run_davit("update", "--memory", 64 << 20, b.id, check=True)
            assert group(name) == {"memory", "pids"}, group(name)
            assert group(name, "memory.max") == {str(64 << 20)} and group(name, "pids.max") == {"50"}
            run_davit("events", "--stats", b.id, check=True)
            b.delete("--force")
    with_root(check)


@test("without memory, exit record and stats leave out what nobody counted")
def uncounted():
    def check():
        with Bundle(limited(unique())) as b:
            b.up()
            data = run_davit("events", "--stats", b.id, check=True).json["data"]
            assert data["cpu"]["usage"]["total"] > 0 and not data.get("memory", {}).get("usage", {}).get("usage"), data
            b.kill("KILL")
            b.wait_stopped()
            x = b.state()["exit"]
            assert x["cpuTime"] > 0 and "memoryPeak" not in x and "oomKills" not in x, x
            b.delete()
    with_root(check)


@test("controllers that somebody on the host uses reach the container")
def used():
    def check():
        name = unique()
        with Bundle(limited(name)) as b:
            b.up()
            assert group(name) == {"cpu", "memory"}, group(name)
            b.delete("--force")
    with_root(check, "+cpu +memory")


@test("a payload that may make groups of its own has every controller")
def delegated():
    def check():
        name, all_of_them = unique(), set(read(POINT + "/cgroup.controllers").split())
        config = limited(name, {"run.oci.delegate-cgroup": "leaf"})
        config["linux"]["namespaces"] = namespaces(*NAMESPACES, "cgroup")
        with Bundle(config) as b:
            b.up()
            assert group(name) == all_of_them >= {"cpu", "memory", "pids"}, (group(name), all_of_them)
            b.delete("--force")
    with_root(check)


main()
