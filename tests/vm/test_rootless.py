#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An ordinary user: own and subordinate ids, delegated groups, the life cycle."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from davit import *  # noqa: E402

MB = 1 << 20


def user_namespace(subordinate=False):
    """One id, or also the user's range of /etc/subuid."""
    if os.geteuid() == 0:
        raise Skip("runs as an ordinary user")

    def rows(number, file):
        found = [{"containerID": 0, "hostID": number, "size": 1}]
        if subordinate:
            lines = [l.split(":") for l in read(file).splitlines() if l.startswith("user:")]
            found.append({"containerID": 1, "hostID": int(lines[0][1]), "size": int(lines[0][2]) - 1})
        return found
    return {"linux": {"namespaces": namespaces(*NAMESPACES, "user"),
                      "uidMappings": rows(os.getuid(), "/etc/subuid"),
                      "gidMappings": rows(os.getgid(), "/etc/subgid")}}


def own_group():
    return [l for l in read("/proc/self/cgroup").splitlines() if l.startswith("0::")][0][3:]


@test("one id: root inside, the user outside, setgroups denied", needs_root=False)
def one_id():
    with Bundle(user_namespace()) as b:
        facts = b.probe("status", "+", "write", "/tmp/made", "x", "+", "read", "/proc/self/setgroups")
        assert facts["uid"] == "0" and facts["write:/tmp/made"] == "ok", facts.text
        assert facts["read:/proc/self/setgroups"] == "deny", facts.text
        assert os.stat(b.path("/tmp/made")).st_uid == os.getuid()


@test("subordinate ids are mapped by newuidmap and newgidmap", needs_root=False)
def subordinate():
    with Bundle(user_namespace(True)) as b:
        facts = b.probe("status", "+", "write", "/tmp/made", "x",
                        over={"process": {"user": {"uid": 5, "gid": 6, "additionalGids": [7]}}})
        assert (facts["uid"], facts["gid"], facts["groups"]) == ("5", "6", "7"), facts.text
        assert os.stat(b.path("/tmp/made")).st_uid == 100004
        os.unlink(b.path("/tmp/made"))


@test("ids that are not the user's are refused", needs_root=False)
def foreign_ids():
    conf = user_namespace(True)
    conf["linux"]["uidMappings"][1]["hostID"] = 500000
    with Bundle(conf) as b:
        b.save()
        fails(b.run())


@test("without limits no cgroup is needed", needs_root=False)
def no_limits():
    with Bundle(user_namespace()) as b:
        assert b.probe("status")["uid"] == "0"


@test("limits of memory and processes in a delegated group, without systemd", needs_root=False)
def delegated():
    conf = user_namespace()
    with Bundle(conf) as b:
        b.up(over={"linux": {"resources": {"memory": {"limit": 64 * MB}, "pids": {"limit": 20}}}})
        group = [l for l in read(f"/proc/{b.pid()}/cgroup").splitlines() if l.startswith("0::")][0][3:]
        group = cgroup_hierarchies()[""] + group
        assert read(group + "/memory.max").strip() == str(64 * MB)
        assert read(group + "/pids.max").strip() == "20"
        b.delete("--force")
        eventually(lambda: not os.path.exists(group), f"{group} gone")


def managers():
    """What makes groups for a user here: the session's systemd, and davit itself."""
    return [(), ("--systemd-cgroup",)] if os.path.isdir("/run/systemd/system") else [()]


@test("the memory limit of a user's container kills, and the record says so", needs_root=False)
def memory_at_work():
    for flags in managers():
        with Bundle(user_namespace()) as b:
            b.save({"linux": {"resources": {"memory": {"limit": 32 * MB, "swap": 32 * MB}}}},
                   command_args("hog", "96"))
            path = b.side("exit.json", "")
            r = b.run("--exit-record", path, glob=flags)
            x = json.loads(read(path))
            assert r.rc == 137 and x["signal"] == 9, (r, x)
            # a scope may have gone with the process, and the kernel's log is root's
            assert flags or "out of memory" in r.err, r
            assert flags or (x["oomKilled"] is True and x["memoryPeak"] > 16 * MB), x
            b.save({"linux": {"resources": {"memory": {"limit": 96 * MB, "swap": 96 * MB}}}},
                   command_args("hog", "32"))
            b.run(glob=flags, check=True)


@test("the limit of processes of a user's container holds", needs_root=False)
def pids_at_work():
    for flags in managers():
        with Bundle(user_namespace()) as b:
            b.up(over={"linux": {"resources": {"pids": {"limit": 9}}}}, glob=flags)
            facts = b.exec_facts("forks", "30")
            assert 1 <= int(facts["forks"]) < 9 and facts["forks_errno"] == "EAGAIN", facts.text
            run_davit("update", "--pids-limit", "5", b.id, check=True)
            assert int(b.exec_facts("forks", "30")["forks"]) < 5
            data = json.loads(run_davit("events", "--stats", b.id, check=True).out)["data"]
            assert data["pids"]["limit"] == 5, data["pids"]
            b.delete("--force")


@test("a controller that systemd did not delegate: its name, the level and the cure", needs_root=False)
def controller_missing():
    conf = user_namespace()
    if "hugetlb" in read(cgroup_hierarchies()[""] + own_group() + "/cgroup.controllers").split():
        raise Skip("hugetlb is delegated to this user")
    top = cgroup_hierarchies()[""]
    if "hugetlb" not in read(top + "/cgroup.controllers").split():
        raise Skip("this kernel has no hugetlb controller")
    above = own_group()
    while "hugetlb" not in read(f"{top}{above}/cgroup.controllers").split():
        above = os.path.dirname(above).rstrip("/")
    if os.access(f"{top}{above}/cgroup.subtree_control", os.W_OK):
        raise Skip("the group that could pass hugetlb on belongs to this user")
    for flags in managers():
        with Bundle(conf) as b:
            b.save({"linux": {"resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 * MB}]}}})
            r = fails(b.run(glob=flags), "hugetlb", "not delegated below", "Delegate=yes")
            level = re.search(r'not delegated below "([^"]*)"', r.err)[1]
            assert "hugetlb" in read(f"{top}/{level}/cgroup.controllers").split(), r.err
            assert "hugetlb" not in read(f"{top}/{level}/cgroup.subtree_control").split(), r.err
            b.nothing_left()


@test("limits where nothing is delegated are an error that names the controller", needs_root=False)
def not_delegated():
    conf = user_namespace()
    with Bundle(conf) as b:
        b.save({"linux": {"cgroupsPath": f"/system.slice/{b.id}",
                          "resources": {"memory": {"limit": 64 * MB}}}})
        fails(b.run(), "/system.slice")


@test("create, start, exec, pause, resume, kill, delete", needs_root=False)
def lifecycle():
    with Bundle(user_namespace()) as b:
        b.up()
        assert b.state()["status"] == "running"
        assert b.exec("exit", "6").rc == 6
        facts = b.exec_facts("status")
        assert facts["uid"] == "0", facts.text
        run_davit("pause", b.id, check=True)
        assert b.state()["status"] == "paused"
        run_davit("resume", b.id, check=True)
        run_davit("update", "--pids-limit", "33", b.id, check=True)
        b.kill("KILL")
        b.wait_stopped()
        b.delete()


@test("spec --rootless makes a configuration that runs", needs_root=False)
def spec():
    user_namespace()
    with Bundle(busybox=True) as b:
        os.unlink(b.dir + "/config.json") if os.path.exists(b.dir + "/config.json") else None
        run_davit("spec", "--rootless", "--bundle", b.dir, check=True)
        with open(b.dir + "/config.json") as f:
            conf = json.load(f)
        conf["process"].update(terminal=False, args=["/init", "status"])
        b.save(raw=json.dumps(conf))
        r = b.run(keep_config=True)
        assert r.rc == 0 and "uid=0" in r.out, r


main()
