#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An ordinary user's containers without systemd: limits in a group that was handed over, and what is said of one
that was not."""
from davit import *

USER = 12345
MIB = 1 << 20
GIVEN = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")
LIMITS = {"memory": {"limit": 24 * MIB}, "pids": {"limit": 20}}


def need_v2():
    if not v2_only():
        raise Skip("needs cgroup version 2 alone")
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv(1)")
    have = read("/sys/fs/cgroup/cgroup.controllers").split()
    if not {"memory", "pids"} <= set(have):
        raise Skip(f"this host has only these controllers: {have}")


def must(result):
    assert result.rc == 0, result


class Delegated:
    """/TOP/user belongs to the user, with these controllers; the user's shell would be in /TOP/user/shell."""

    def __init__(self, controllers="memory pids", owner=USER):
        need_v2()
        self.name = unique("own")
        self.top = f"/sys/fs/cgroup/{self.name}"
        self.group, self.shell = self.top + "/user", self.top + "/user/shell"
        self.controllers, self.owner = controllers, owner

    def __enter__(self):
        os.makedirs(self.group)
        write("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids")
        if self.controllers:
            write(self.top + "/cgroup.subtree_control", " ".join("+" + c for c in self.controllers.split()))
        os.mkdir(self.shell)
        for group in (self.group, self.shell):
            for name in (".", *GIVEN):
                os.chown(f"{group}/{name}", self.owner, self.owner)
        return self

    def __exit__(self, *exc):
        for left in sorted((c for c in cgroups_tagged() if self.name in c), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(left)


class User:
    """A bundle of the user, and commands of the user in a group."""

    def __init__(self, inside, resources=None, path=None):
        self.inside = inside  # the group that the commands run in, None: ours
        self.b = Bundle()
        mine = [{"containerID": 0, "hostID": USER, "size": 1}]
        self.b.conf = merge(self.b.conf, {
            "mounts": [MOUNT_PROC, MOUNT_DEV, MOUNT_PTS, MOUNT_SHM],
            "linux": {"namespaces": namespaces(*NAMESPACES, "user"), "uidMappings": mine, "gidMappings": mine,
                      "resources": resources}})
        self.b.conf["linux"].pop("cgroupsPath", None)
        if path:
            self.b.conf["linux"]["cgroupsPath"] = path
        self.home = self.b.side("home")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.davit("delete", "--force", self.b.id)
        self.b.__exit__(*exc)

    def davit(self, *args, check=False):
        for base, dirs, files in os.walk(self.b.dir):
            for name in dirs + files + ["."]:
                os.lchown(os.path.join(base, name), USER, USER)
        argv = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all"]
        group = self.inside

        def enter():
            if group:
                with open(group + "/cgroup.procs", "w") as f:
                    f.write("0")
        return run_command(argv + command(*args, rootdir=self.home + "/root"), check=check, preexec=enter,
                           env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": self.home, "HOME": self.home})

    def run(self, *args):
        self.b.save(command_args(*args))
        return self.davit("run", "--bundle", self.b.dir, self.b.id)

    def up(self):
        self.b.save(command_args("sleep", "60"))
        self.davit("run", "-d", "--bundle", self.b.dir, self.b.id, check=True)
        pid = self.davit("state", self.b.id, check=True).json["pid"]
        own = [x for x in read(f"/proc/{pid}/cgroup").splitlines() if x.startswith("0::")]
        return "/sys/fs/cgroup" + own[0][3:]


@test("limits of memory and processes hold in a group that was handed over; update, pause, exec, delete")
def limits():
    with Delegated() as d:
        for path in ("sub/box", f"/{d.name}/user/abs", None):
            with User(d.shell, LIMITS, path) as u:
                group = u.up()
                assert group.startswith(d.group + "/") and group != d.shell, group
                assert read(group + "/memory.max").strip() == str(24 * MIB)
                assert read(group + "/pids.max").strip() == "20"
                if path is None:
                    at_work(u, group)
                u.davit("delete", "--force", u.b.id, check=True)
                assert not os.path.exists(group), group
        with User(d.shell, LIMITS) as u:
            r = u.run("hog", "40")
            assert r.rc == 137, r


def at_work(u, group):
    """Limits hold, and the other commands work."""
    assert u.davit("exec", u.b.id, "/init", "hog", "40").rc == 137
    forks = Facts(u.davit("exec", u.b.id, "/init", "forks", "25", check=True).out)
    assert int(forks["forks"]) < 20 and forks["forks_errno"] == "EAGAIN", forks.text
    u.davit("update", "--pids-limit", "7", u.b.id, check=True)
    assert read(group + "/pids.max").strip() == "7"
    u.davit("pause", u.b.id, check=True)
    assert read(group + "/cgroup.freeze").strip() == "1"
    u.davit("resume", u.b.id, check=True)


@test("a controller that the user was not given: the error names it, the level and the cure")
def not_given():
    with Delegated("pids") as d:
        with User(d.shell, LIMITS) as u:
            fails(u.run("true"), '"memory"', f'"/{d.name}"', "hint: ", "memory/limit")
        with User(d.shell, {"pids": {"limit": 20}}) as u:
            must(u.run("true"))


@test("processes in the group that was handed over keep controllers from those below: the error says so")
def in_the_way():
    with Delegated() as d:
        with User(d.group, LIMITS) as u:
            fails(u.run("true"), f'"/{d.name}/user"', "must move to a group below it")
            assert read(d.group + "/cgroup.type").strip() == "domain"
        with User(d.group) as u:
            must(u.run("true"))


@test("nothing was handed over: a limit is an error with the cure, without one the container runs")
def nothing_given():
    with Delegated(owner=0) as d:
        with User(d.shell, LIMITS) as u:
            fails(u.run("true"), d.top, "belongs to you")
        with User(d.shell) as u:
            must(u.run("true"))
        with User(d.shell, LIMITS, f"/{d.name}/other") as u:
            fails(u.run("true"), f"{d.name}/other", "belongs to you")


@test("on version 1 users have no groups: a limit is an error that names the controller")
def version_1():
    if "pids" not in cgroup_hierarchies():
        raise Skip("needs version 1")
    with User(None, {"pids": {"limit": 20}}) as u:
        fails(u.run("true"), '"pids"', "hint: ")
    with User(None) as u:
        assert u.run("true").rc == 0


main()
