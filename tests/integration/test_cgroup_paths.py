#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which groups a container gets, and what happens to groups that are not only its own."""
from davit import *


def hierarchies():
    """Mount points of all hierarchies, each once."""
    return sorted(set(cgroup_hierarchies().values()))


def everywhere(name):
    """The group's directory in each hierarchy."""
    return [f"{point}/{name.strip('/')}" for point in hierarchies()]


def placed(path):
    return {"linux": {"cgroupsPath": path}}


def groups_left(name):
    return [c for c in cgroups_tagged() if name in c]


def group_make(path):
    """Makes a group that takes processes: in version 1 its cpuset is that of the group above."""
    os.makedirs(path, exist_ok=True)
    for file in ("cpuset.cpus", "cpuset.mems"):
        if not v2_only() and os.path.exists(f"{path}/{file}"):
            write(f"{path}/{file}", read(f"{os.path.dirname(path)}/{file}"))


class Made:
    """A group that was there before, in every hierarchy; whatever is left below goes at the end."""

    def __init__(self):
        self.name = unique("mine")
        self.paths = everywhere(self.name)

    def __enter__(self):
        for path in self.paths:
            group_make(path)
        return self

    def __exit__(self, *exc):
        for left in sorted(groups_left(self.name), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(left)


def groups_of(pid):
    """{hierarchy line: path} of a process."""
    return dict(line.rsplit(":", 1) for line in read(f"/proc/{pid}/cgroup").splitlines())


def mounted_groups(pid):
    """The same of the hierarchies that are mounted."""
    return {k: v for k, v in groups_of(pid).items() if k.split(":")[1] in cgroup_hierarchies()}


@test("a group that is there and empty is used in every hierarchy, and stays, empty, after delete")
def adopted():
    for sub in ("", "/deep/er"):
        with Made() as made, Bundle(placed(f"/{made.name}{sub}")) as b:
            b.up()
            mounted = mounted_groups(b.pid())
            assert set(mounted.values()) == {f"/{made.name}{sub}"}, mounted
            for path in made.paths:
                os.makedirs(f"{path}{sub}/payload/x")
            b.delete("--force")
            for path in made.paths:
                assert os.path.isdir(path) and not [n for n in os.listdir(path) if os.path.isdir(f"{path}/{n}")], path
                assert not read(path + "/cgroup.procs")


@test("a group with somebody's process, in it or below, in one hierarchy, is refused and left alone")
def busy():
    last = len(hierarchies()) - 1
    for sub in ("", "/below"):
        for number in sorted({0, last // 2, last}):
            with Made() as made:
                path = made.paths[number] + sub
                group_make(path)
                p = subprocess.Popen(["sleep", "60"])
                try:
                    write(path + "/cgroup.procs", str(p.pid))
                    with Bundle(placed("/" + made.name)) as b:
                        result = run_and_delete(b)
                        fails(result, made.name, str(p.pid))
                    assert p.poll() is None, "a foreign process was killed"
                    assert str(p.pid) in read(path + "/cgroup.procs").split()
                finally:
                    p.kill()
                    p.wait()


def run_and_delete(b):
    b.save()
    result = run_davit("create", "--bundle", b.dir, b.id)
    run_davit("delete", "--force", b.id)
    return result


@test("paths with .., of the hierarchy's root, of a file, with control characters are refused")
def refused():
    for path, word in (("..", ".."), ("/../x", ".."), ("/a/../b", ".."), ("a/./b", "."), ("/", ""), ("//", ""),
                       ("/cgroup.procs", ""), ("/cgroup.procs/x", ""), ("/a\nb", ""), ("/a\tb", ""),
                       ("/" + "x" * 256, ""), ("/x" * 3000, "")):
        with Bundle(placed(path)) as b:
            fails(b.create(check=False), word)
            assert not groups_left(b.id)


@test("slashes more than one and at the end make no difference")
def slashes():
    name = unique("sl")
    with Bundle(placed(f"//{name}///a//")) as b:
        b.up()
        assert groups_of(b.pid())
        path = cgroup_dir(f"{name}/a", "pids")
        assert str(b.pid()) in read(path + "/cgroup.procs").split()
        b.delete("--force")
    assert not groups_left(name)


@test("a directory that only looks like a group, for another file system lies over it, is refused")
def covered():
    def inside():
        name = unique("plain")
        target = unique("target")
        victim = os.path.join(work, target)
        os.mkdir(victim)
        for kind in ("tmpfs", "link"):
            with Made() as made, Bundle(placed(f"/{made.name}/{name}")) as b:
                for path in made.paths:
                    mount("tmpfs", path, "tmpfs")
                    if kind == "link":
                        os.symlink(victim, f"{path}/{name}")
                b.conf["linux"]["cgroupsPath"] += "/box"
                b.save()
                result = run_davit("create", "--bundle", b.dir, b.id)
                fails(result, "not in cgroupfs", made.name)
                assert os.listdir(victim) == []
                for path in made.paths:
                    assert kind == "link" or os.listdir(path) == [], os.listdir(path)
                    umount(path)
        os.rmdir(victim)
    isolated(inside)


@test("a group that a stopped container still has is not given to another, which its delete would kill")
def claimed():
    name = unique("cl")
    with Bundle(placed("/" + name)) as one, Bundle(placed("/" + name)) as two, \
            Bundle(placed(f"/{name}/below")) as three:
        one.up("true")
        one.wait_stopped()
        fails(two.create(check=False), one.id)
        fails(run_and_delete(two), one.id)
        for path in everywhere(name):
            os.mkdir(path + "/below")
        fails(three.create(check=False), one.id)
        assert one.state()["status"] == "stopped"
        one.delete()
        two.up()
        assert two.state()["status"] == "running"
        two.delete("--force")
    assert not groups_left(name), groups_left(name)


@test("a deep tree of groups that the payload made goes with the container", limit=120)
def deep_tree():
    name = unique("deep")
    with Bundle(placed("/" + name)) as b:
        b.up()
        for point in everywhere(name):
            fd = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
            for _ in range(110 if point in (everywhere(name)[0], everywhere(name)[-1]) else 3):
                os.mkdir("d" * 40, dir_fd=fd)
                os.mkdir("e", dir_fd=fd)
                below = os.open("d" * 40, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            os.close(fd)
        ps = run_davit("ps", "-f", "json", b.id, check=True).json
        assert ps == [b.pid()], ps
        b.delete("--force")
    assert not groups_left(name), groups_left(name)[:3]


@test("processes in groups below, frozen there by the payload, are killed and nothing stays frozen")
def frozen_below():
    for how in ("delete", "kill"):
        name = unique("ice")
        with Bundle(placed("/" + name)) as b:
            b.up("daemon", "60", "+", "pause")
            child = [p for p in run_davit("ps", "-f", "json", b.id, check=True).json if p != b.pid()][0]
            v1 = "freezer" in cgroup_hierarchies()
            path = (cgroup_hierarchies()["freezer"] if v1 else cgroup_hierarchies()[""]) + f"/{name}/a/b"
            os.makedirs(path)
            write(path + "/cgroup.procs", str(child))
            write(path + ("/freezer.state" if v1 else "/cgroup.freeze"), "FROZEN" if v1 else "1")
            if how == "kill":
                b.kill("--all", "KILL")
                b.wait_stopped()
                b.delete()
            else:
                b.delete("--force")
            eventually(lambda child=child: not alive(child), "the frozen process is gone")
        assert not groups_left(name), groups_left(name)


def is_sleep(pid):
    with contextlib.suppress(OSError):
        return read(f"/proc/{pid}/cmdline").startswith("/init\0sleep")
    return False


@test("exec --cgroup PATH joins a group below the container's in every hierarchy, CONTROLLER:PATH in one")
def exec_forms():
    name = unique("ex")
    with Bundle(placed("/" + name)) as b:
        b.up()
        for point in everywhere(name):
            group_make(point + "/inner")

        def where(*flags):
            p = subprocess.Popen(command("exec", *flags, b.id, "/init", "sleep", "60"), stdin=subprocess.DEVNULL)
            pids = eventually(lambda: [q for q in run_davit("ps", "-f", "json", b.id, check=True).json
                                       if q != b.pid() and is_sleep(q)], "exec runs")
            found = mounted_groups(pids[0])
            os.kill(pids[0], signal.SIGKILL)
            p.wait()
            eventually(lambda: not alive(pids[0]))
            return found
        assert set(where().values()) == {"/" + name}
        for flag in ("inner", "/inner", "inner/"):
            assert set(where("--cgroup", flag).values()) == {f"/{name}/inner"}, flag
        if "pids" in cgroup_hierarchies():
            got = where("--cgroup", "pids,memory:/inner")
            for key, path in got.items():
                inside = {"pids", "memory"} & set(key.split(":")[1].split(","))
                assert path == (f"/{name}/inner" if inside else f"/{name}"), got
        else:
            fails(b.exec("true", flags=("--cgroup", "pids:/inner")), "pids")
        for bad in ("..", "inner/../..", "/inner/..", "nowhere", "nosuch:inner", "cgroup.procs"):
            fails(b.exec("true", flags=("--cgroup", bad)))
        b.delete("--force")
    assert not groups_left(name)


@test("exec works after the payload has moved init to a group below, and joins it where it must")
def exec_after_move():
    name = unique("mv")
    with Bundle(placed("/" + name)) as b:
        b.up()
        for point in everywhere(name):
            group_make(point + "/init.scope")
            write(point + "/init.scope/cgroup.procs", str(b.pid()))
        assert set(mounted_groups(b.pid()).values()) == {f"/{name}/init.scope"}
        assert b.exec("true").rc == 0
        if v2_only():
            write(everywhere(name)[0] + "/cgroup.subtree_control", "+pids +memory")
            assert f"/{name}/init.scope" in read(f"/proc/{b.pid()}/cgroup")
            assert b.exec("true").rc == 0
        assert len(run_davit("ps", "-f", "json", b.id, check=True).json) == 1
        run_davit("pause", b.id, check=True)
        assert b.state()["status"] == "paused"
        run_davit("resume", b.id, check=True)
        run_davit("update", "--pids-limit", "77", b.id, check=True)
        b.delete("--force")
    assert not groups_left(name)


main()
