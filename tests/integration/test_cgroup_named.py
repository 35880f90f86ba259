#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""run.oci.systemd.force_cgroup_v1: a group of version 1 for an old systemd as the payload."""
from davit import *

ANNOTATION = "run.oci.systemd.force_cgroup_v1"
CGROUP2 = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
           "options": ["rw", "nosuid", "noexec", "nodev"]}


def named(place, *types, **over):
    return merge({"annotations": {ANNOTATION: place}, "mounts": MOUNTS + [CGROUP2],
                  "linux": {"namespaces": namespaces(*NAMESPACES, "cgroup", *types)}}, over)


def groups_left(name):
    """The groups that the hierarchy has for a container: it is mounted here for the moment."""
    point = os.path.join(work, unique("named"))
    os.mkdir(point)
    run_command(["mount", "-t", "cgroup", "-o", "none,name=systemd,xattr", "cgroup", point], check=True)
    try:
        return [g for g in os.listdir(point) if name in g]
    finally:
        run_command(["umount", point], check=True)
        os.rmdir(point)


def need_v2():
    if not v2_only():
        raise Skip("needs cgroup version 2 alone")


def own_line(pid):
    return [line for line in read(f"/proc/{pid}/cgroup").splitlines() if ":name=systemd:" in line][0]


@test("the container has a group of its own there, can make others, and all go with it")
def takes_place():
    need_v2()
    with Bundle(named("/sys/fs/cgroup")) as b:
        b.up()
        assert own_line(b.pid()).endswith(f":/davit-{b.id}"), own_line(b.pid())
        mount = b.exec_facts("mounts").mount_at("/sys/fs/cgroup")
        assert mount["type"] == "cgroup" and "name=systemd" in mount["data"], mount
        assert mount["root"] == "/", mount
        for group in ("init.scope", "system.slice", "system.slice/a.service"):
            assert b.exec("mkdir", "/sys/fs/cgroup/" + group).rc == 0
        write(f"/proc/{b.pid()}/root/sys/fs/cgroup/init.scope/cgroup.procs", str(b.pid()))
        assert own_line(b.pid()).endswith(f":/davit-{b.id}/init.scope"), own_line(b.pid())
        assert ":name=systemd:/\n" in b.exec_facts("cgroup").text + "\n", b.exec_facts("cgroup").text
        assert own_line("self").endswith(":/"), "the rest of the host stays where it is"
        b.delete("--force")
        assert groups_left(b.id) == []


@test("limits are those of version 2 as before, and a place of its own is possible")
def own_place():
    need_v2()
    if "pids" not in read("/sys/fs/cgroup/cgroup.controllers").split():
        raise Skip("version 2 has no pids controller here")
    with Bundle(named("/old/systemd", linux={"resources": {"pids": {"limit": 31}}})) as b:
        b.up()
        assert read(group_of(b.pid(), "pids")[0] + "/pids.max").strip() == "31"
        facts = b.exec_facts("mounts")
        assert facts.mount_at("/old/systemd")["type"] == "cgroup", facts.text
        assert facts.mount_at("/sys/fs/cgroup")["type"] == "cgroup2", facts.text
        b.kill("KILL")
        b.wait_stopped()
        b.delete()
        assert groups_left(b.id) == []


@test("the root of a user namespace owns the group")
def user_namespace():
    need_v2()
    ids = [{"containerID": 0, "hostID": 70000, "size": 1000}]
    with Bundle(merge(named("/sys/fs/cgroup", "user"), {"linux": {"uidMappings": ids, "gidMappings": ids}})) as b:
        b.owned(70000)
        b.up()
        assert b.exec("mkdir", "/sys/fs/cgroup/one").rc == 0
        assert os.stat(f"/proc/{b.pid()}/root/sys/fs/cgroup/one").st_uid == 70000
        b.delete("--force")
        assert groups_left(b.id) == []


@test("a create that fails later leaves no group")
def failure():
    need_v2()
    with Bundle(named("/sys/fs/cgroup", hooks={"createRuntime": [{"path": "/bin/false"}]})) as b:
        fails(b.create(check=False))
        assert groups_left(b.id) == []


@test("where the host has the hierarchy the container's own group is shown")
def known():
    if "name=systemd" not in cgroup_hierarchies():
        raise Skip("the host does not have the hierarchy name=systemd")
    with Bundle(named("/sys/fs/cgroup/systemd")) as b:
        b.up()
        mount = b.exec_facts("mounts").mount_at("/sys/fs/cgroup/systemd")
        assert mount["type"] == "cgroup" and "name=systemd" in mount["data"], mount
        assert b.exec("mkdir", "/sys/fs/cgroup/systemd/one").rc == 0
        b.delete("--force")
        assert not [c for c in cgroups_tagged() if b.id in c]


@test("a path that is none, and a missing cgroup namespace, are errors that name the annotation", needs_root=False)
def refused():
    for place in ("", "sys/fs/cgroup", "/a/../b"):
        with Bundle(named(place)) as b:
            fails(b.create(check=False), ANNOTATION)
    if v2_only() and os.geteuid() == 0:
        with Bundle(named("/sys/fs/cgroup")) as b:
            b.conf["linux"]["namespaces"] = namespaces(*NAMESPACES)
            fails(b.create(check=False), "cgroup namespace", ANNOTATION)


main()
