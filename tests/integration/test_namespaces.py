#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Namespaces: new, joined by path, inherited, refused."""
from davit import *

LINKS = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts",
         "user": "user", "cgroup": "cgroup", "time": "time"}


def host(kind):
    return os.readlink("/proc/self/ns/" + LINKS[kind])


def conf(*types, **paths):
    return {"hostname": None, "linux": {"namespaces": namespaces(*types, **paths)}}


@contextlib.contextmanager
def holder(*flags):
    """A process with own namespaces (flags of unshare(1)); yields its pid."""
    tool = shutil.which("unshare")
    if not tool:
        raise Skip("needs unshare(1)")
    p = subprocess.Popen([tool, *flags, "--fork", "--kill-child", "sleep", "60"])
    try:
        child = eventually(lambda: [q for q, v in processes().items() if v[0] == p.pid
                                    and v[2] == "sleep"], "holder")[0]
        yield child
    finally:
        p.kill()
        p.wait()
        eventually(lambda: reap() is not None and not alive(child), "holder gone")


@test("each listed namespace is new")
def new():
    kinds = ["pid", "network", "mount", "ipc", "uts", "cgroup"]
    with Bundle(conf(*kinds)) as b:
        facts = b.probe("ns")
        for kind in kinds:
            assert facts["ns_" + LINKS[kind]] != host(kind), kind
        assert facts["ns_user"] == host("user")


@test("each namespace that is not listed is the runtime's")
def inherited():
    for kind in ("network", "ipc", "uts", "pid", "cgroup"):
        rest = [k for k in ("pid", "network", "mount", "ipc", "uts") if k != kind]
        over = conf(*rest)
        if kind == "ipc":
            over["mounts"] = [m for m in MOUNTS if m["type"] != "mqueue"]
        if kind == "network":
            over["mounts"] = [m for m in MOUNTS if m["type"] != "sysfs"]
        with Bundle(over) as b:
            assert b.probe("ns")["ns_" + LINKS[kind]] == host(kind), kind


@test("a namespace is joined by path")
def joined():
    flags = {"network": "--net", "ipc": "--ipc", "uts": "--uts"}
    for kind, flag in flags.items():
        with holder(flag) as pid:
            path = f"/proc/{pid}/ns/{LINKS[kind]}"
            rest = [k for k in ("pid", "network", "mount", "ipc", "uts") if k != kind]
            with Bundle(conf(*rest, **{kind: path})) as b:
                assert b.probe("ns")["ns_" + LINKS[kind]] == os.readlink(path), kind


@test("a pid namespace is joined by path")
def joined_pid():
    with holder("--pid") as pid:
        path = f"/proc/{pid}/ns/pid"
        want = os.readlink(path)
        with Bundle(conf("network", "mount", "ipc", "uts", pid=path)) as b:
            facts = b.probe("ns", "+", "status")
            assert facts["ns_pid"] == want and int(facts["pid"]) > 1, facts.text


@test("a bind-mounted namespace file is joined (as network set-ups keep them)")
def joined_file():
    with holder("--net") as pid:
        path = os.path.join(work, unique("netns"))
        write(path, "")
        mount(f"/proc/{pid}/ns/net", path, None, MS_BIND)
        try:
            with Bundle(conf("pid", "mount", "ipc", "uts", network=path)) as b:
                assert b.probe("ns")["ns_net"] == os.readlink(f"/proc/{pid}/ns/net")
        finally:
            umount(path)
            os.unlink(path)


@test("a second container joins all namespaces of the first")
def pod():
    with Bundle(conf("pid", "network", "mount", "ipc", "uts")) as a:
        a.up()
        pid = a.pid()
        paths = {k: f"/proc/{pid}/ns/{LINKS[k]}" for k in ("pid", "network", "ipc", "uts")}
        with Bundle(conf("mount", **paths)) as b:
            facts = b.probe("ns")
            for kind in paths:
                assert facts["ns_" + LINKS[kind]] == os.readlink(paths[kind]), kind
        a.delete("--force")


@test("a path of the wrong type is refused")
def wrong_type():
    for kind, link in (("network", "ipc"), ("ipc", "uts"), ("uts", "net"), ("pid", "mnt")):
        rest = [k for k in ("pid", "network", "mount", "ipc", "uts") if k != kind]
        with Bundle(conf(*rest, **{kind: f"/proc/self/ns/{link}"})) as b:
            r = fails(b.create(check=False), f"(config.json /linux/namespaces/{len(rest)}/path)")
            assert any(w in r.err for w in (link, kind, LINKS[kind])), r


@test("a path that is no namespace, is missing or relative is refused")
def bad_path():
    for path in ("/nowhere/ns", "/etc/passwd", "/dev/null", "/", "proc/self/ns/net"):
        with Bundle(conf("pid", "mount", "ipc", "uts", network=path)) as b:
            fails(b.create(check=False), "(config.json /linux/namespaces/4/path)")


@test("a namespace path that is a fifo does not hang")
def fifo_path():
    with Bundle() as b:
        os.mkfifo(b.dir + "/fifo")
        b.save(conf("pid", "mount", "ipc", "uts", network=b.dir + "/fifo"))
        fails(b.create(check=False))


@test("the same type twice is refused")
def duplicate():
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "network")}}) as b:
        fails(b.create(check=False), "network")


@test("an unknown type is refused")
def unknown():
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "colour")}}) as b:
        fails(b.create(check=False), "colour")


@test("the loopback interface of a new network namespace is up")
def loopback():
    with Bundle() as b:
        text = b.probe("read", "/sys/class/net/lo/flags")["read:/sys/class/net/lo/flags"]
        assert int(text, 16) & 1, f"lo is down: {text}"


@test("a joined network namespace is not touched")
def joined_net_untouched():
    with holder("--net") as pid:
        with Bundle(conf("pid", "mount", "ipc", "uts", network=f"/proc/{pid}/ns/net")) as b:
            text = b.probe("read", "/sys/class/net/lo/flags")["read:/sys/class/net/lo/flags"]
            assert not int(text, 16) & 1, "lo of a foreign namespace was brought up"


@test("with a cgroup namespace the container sees itself at the root")
def cgroupns():
    with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "cgroup"),
                           "cgroupsPath": "/" + unique("ns")}}) as b:
        lines = b.probe("cgroup").all("cgroup")
        limited = [l for l in lines if l.split(":")[1].split(",")[0] in ("memory", "pids", "cpu")
                   or v2_only()]
        assert limited and all(l.endswith(":/") for l in limited), lines


NO_MOUNT_NS = {"linux": {"namespaces": namespaces("pid", "ipc", "uts", "network"), "maskedPaths": None,
                         "readonlyPaths": None}}


@test("without a mount namespace the container has the runtime's, and nothing is mounted on the host")
def no_mount_ns():
    for mounts in ([], MOUNTS):
        with Bundle(merge(NO_MOUNT_NS, {"mounts": mounts})) as b:
            def check():
                before = read("/proc/self/mountinfo")
                b.up("stat", "/init", "/proc/self", "+", "pause")
                assert os.readlink(f"/proc/{b.pid()}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
                facts, left_out = b.facts(), b.state().get("notApplied", [])
                assert facts.stat("/init")["type"] == "reg" and facts.stat("/proc/self")["error"], facts.text
                assert bool(mounts) == any("mounts" in line for line in left_out), left_out
                assert read("/proc/self/mountinfo") == before, read("/proc/self/mountinfo")
                b.delete("--force")
                assert read("/proc/self/mountinfo") == before, read("/proc/self/mountinfo")
            isolated(check)


@test("protection that needs a mount namespace is an error without one, or is listed by state")
def no_mount_ns_protection():
    for over, word in (({"linux": {"maskedPaths": ["/etc"]}}, "maskedPaths"),
                       ({"root": {"readonly": True}}, "readonly"),
                       ({"linux": {"readonlyPaths": ["/etc"]}}, "readonlyPaths"),
                       ({"linux": {"rootfsPropagation": "private"}}, "rootfsPropagation")):
        with Bundle(merge(NO_MOUNT_NS, over)) as b:
            fails(b.create(check=False), word, "mount namespace")
            b.create(glob=("--on-unsupported", "warn"))
            assert any(word in line for line in b.state()["notApplied"]), b.state()
            b.delete("--force")


@test("a time namespace has its offsets")
def time_offsets():
    if not os.path.exists("/proc/self/ns/time"):
        raise Skip("no time namespaces in this kernel")
    over = {"linux": {"namespaces": namespaces(*NAMESPACES, "time"),
                      "timeOffsets": {"monotonic": {"secs": 100000, "nanosecs": 5},
                                      "boottime": {"secs": 200000, "nanosecs": 5}}}}
    with Bundle(over) as b:
        facts = b.probe("clock", "+", "ns")
        assert facts["ns_time"] != host("time")
        assert abs(int(facts["monotonic"]) - time.monotonic() - 100000) < 30, facts.text
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert abs(int(facts["boottime"]) - boot - 200000) < 30, facts.text


@test("an offset for a clock that a time namespace does not have is an error, not silence")
def time_unknown_clock():
    for clock in ("realtime", "tai", "Monotonic", ""):
        with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "time"),
                               "timeOffsets": {"monotonic": {"secs": 5}, clock: {"secs": 5}}}}) as b:
            fails(b.create(check=False), f"/linux/timeOffsets/{clock}")


@test("an offset that the kernel cannot have is an error that names the clock")
def time_out_of_range():
    if not os.path.exists("/proc/self/ns/time"):
        raise Skip("no time namespaces in this kernel")
    for offset, at in (({"secs": 1 << 62}, ""), ({"secs": -(1 << 40)}, ""), ({"nanosecs": 10**9}, "/nanosecs")):
        with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "time"),
                               "timeOffsets": {"monotonic": {"secs": 5}, "boottime": offset}}}) as b:
            r = fails(b.create(check=False), f"(config.json /linux/timeOffsets/boottime{at})")
            assert "?" not in r.err and "monotonic" not in r.err, r


@test("timeOffsets without a time namespace is refused")
def time_without_ns():
    with Bundle({"linux": {"timeOffsets": {"monotonic": {"secs": 5, "nanosecs": 0}}}}) as b:
        fails(b.create(check=False))


main()
