#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks: order, namespaces, state on stdin, environment, time limits, failures."""
from davit import *

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


class Hooks:
    """A log directory and scripts that write to it; also visible in the container as /log."""

    def __init__(self, b):
        self.b = b
        self.dir = b.side("log")
        os.chmod(self.dir, 0o777)
        self.conf = {}
        b.save({"mounts": MOUNTS + [{"destination": "/log", "type": "bind", "source": self.dir,
                                     "options": ["bind"]}]})

    def add(self, kind, script, name=None, **more):
        """A shell script as hook; $L is the log directory as the hook sees it."""
        name = name or f"{kind}-{len(self.conf.get(kind, []))}"
        inside = kind == "startContainer"
        text = f"#!/bin/sh\nL={'/log' if inside else self.dir}\n{script}\n"
        if inside:
            path, real = "/" + name + ".sh", self.b.path("/" + name + ".sh")
        else:
            path = real = os.path.join(self.b.dir, name + ".sh")
        write(real, text, 0o755)
        self.conf.setdefault(kind, []).append({"path": path, **more})
        self.b.save({"hooks": self.conf})
        return path

    def read(self, name):
        path = os.path.join(self.dir, name)
        return read(path) if os.path.exists(path) else None

    def lines(self):
        return (self.read("order") or "").split()


@contextlib.contextmanager
def hooked():
    with Bundle(busybox=True) as b:
        yield b, Hooks(b)


@test("each kind runs once, in the order of the specification")
def order():
    with hooked() as (b, h):
        for kind in KINDS:
            for n in (1, 2):
                h.add(kind, f"echo {kind}{n} >> $L/order")
        b.save({"process": {"args": ["/bin/sh", "-c", "echo process >> /log/order"]}})
        b.create()
        created = [k + n for k in KINDS[:3] for n in "12"]
        assert h.lines() == created, h.lines()
        b.start()
        b.wait_stopped()
        got = h.lines()
        assert [w for w in got if w not in ("process", "poststart1", "poststart2")] == \
            created + ["startContainer1", "startContainer2"], got
        assert got.index("startContainer2") < got.index("process"), got
        assert got.index("poststart1") < got.index("poststart2"), got
        b.delete()
        assert h.lines()[-2:] == ["poststop1", "poststop2"] and len(h.lines()) == 13, h.lines()


@test("run calls all six kinds too")
def order_run():
    with hooked() as (b, h):
        for kind in KINDS:
            h.add(kind, f"echo {kind} >> $L/order")
        b.save(command_args("sleep", "0.2"))
        b.run(check=True)
        assert h.lines() == KINDS, h.lines()


@test("the state comes on stdin: id, bundle, pid, annotations, status")
def state_stdin():
    with hooked() as (b, h):
        for kind in KINDS:
            h.add(kind, f"cat > $L/{kind}")
        b.save({"annotations": {"org.example.k": "v"}}, command_args("pause"))
        b.create()
        pid = b.pid()
        b.start()
        b.kill("KILL")
        b.wait_stopped()
        b.delete()
        for kind in KINDS:
            st = json.loads(h.read(kind))
            assert st["id"] == b.id and st["bundle"] == b.dir, (kind, st)
            assert st["annotations"] == {"org.example.k": "v"} and st["ociVersion"], (kind, st)
            want = {"poststart": ["running"], "poststop": ["stopped"], "startContainer": ["created"]}
            assert st["status"] in want.get(kind, ["creating", "created"]), (kind, st)
            if kind in ("createContainer", "startContainer"):
                assert st["pid"] == 1, (kind, st)
            elif kind != "poststop":
                assert st["pid"] == pid, (kind, st)


@test("without a pid namespace of its own every hook is told the same pid")
def state_pid_shared():
    with hooked() as (b, h):
        for kind in KINDS[:-1]:
            h.add(kind, f"cat > $L/{kind}")
        b.save(command_args("pause"), {"linux": {"namespaces": namespaces("mount", "ipc")}, "hostname": None})
        b.create()
        pid = b.pid()
        b.start()
        b.delete("--force")
        assert [json.loads(h.read(kind))["pid"] for kind in KINDS[:-1]] == [pid] * 5, pid


@test("runtime hooks run in the runtime's namespaces, container hooks in the container's")
def where():
    with hooked() as (b, h):
        for kind in KINDS:
            h.add(kind, f"for n in mnt net uts ipc; do readlink /proc/self/ns/$n; done > $L/{kind}")
        b.add_links = [os.symlink("busybox", b.path("/bin/readlink"))]
        b.save(command_args("pause"))
        b.create()
        pid = b.pid()
        inside = [os.readlink(f"/proc/{pid}/ns/{n}") for n in ("mnt", "net", "uts", "ipc")]
        outside = [os.readlink(f"/proc/self/ns/{n}") for n in ("mnt", "net", "uts", "ipc")]
        b.start()
        b.delete("--force")
        for kind in KINDS:
            want = inside if kind in ("createContainer", "startContainer") else outside
            assert h.read(kind).split() == want, (kind, h.read(kind), want)


@test("prestart and createRuntime see the container's mounts before pivot, in its mount namespace")
def sees_mounts():
    with hooked() as (b, h):
        h.add("createContainer", "cat /proc/self/mountinfo > $L/mounts")
        b.create()
        mounts = parse_mountinfo(h.read("mounts"))
        points = [m["point"] for m in mounts]
        assert any(p.endswith("/proc") and p != "/proc" for p in points), points
        assert "/proc" in points, "the host is gone already"
        b.delete("--force")


@test("a hook's environment is exactly its env; nothing of the caller or the container")
def environment():
    with hooked() as (b, h):
        os.symlink("busybox", b.path("/bin/tr"))
        script = "tr '\\0' '\\n' < /proc/self/environ > $L/"
        for kind in KINDS:
            h.add(kind, script + kind, env=["ONLY=this", "A=b c"])
        b.save(command_args("pause"), {"process": {"env": ["PATH=/bin", "LD_PRELOAD=/evil.so"]}})
        b.create(env=dict(os.environ, SECRET="1"))
        b.start()
        b.delete("--force")
        for kind in KINDS:
            got = [e for e in h.read(kind).splitlines() if not e.startswith(("PWD=", "SHLVL=", "_=", "OLDPWD="))]
            assert got == ["ONLY=this", "A=b c"], (kind, got)


@test("without env a hook's environment is empty")
def environment_empty():
    with hooked() as (b, h):
        os.symlink("busybox", b.path("/bin/tr"))
        for kind in KINDS:
            h.add(kind, f"tr '\\0' '\\n' < /proc/self/environ > $L/{kind}")
        b.save(command_args("pause"), {"process": {"env": ["PATH=/bin", "LD_PRELOAD=/evil.so"]}})
        b.create(env=dict(os.environ, SECRET="1"))
        b.start()
        b.delete("--force")
        for kind in KINDS:
            text = h.read(kind)
            assert "SECRET" not in text, (kind, text)
            if kind != "startContainer":
                assert "LD_PRELOAD" not in text, (kind, text)


@test("args are passed; args[0] is the program's name")
def args():
    with hooked() as (b, h):
        h.add("createRuntime", 'echo "$#:$1:$2" > $L/args', args=["name", "a b", ""])
        b.create()
        assert h.read("args") == "2:a b:\n", h.read("args")
        b.delete("--force")


@test("a failing create hook fails create, names itself, shows its stderr, leaves nothing")
def create_failure():
    for kind in KINDS[:3]:
        with hooked() as (b, h):
            path = h.add(kind, "echo the reason >&2; exit 23")
            h.add(kind, "echo never > $L/second")
            h.add("poststop", "echo ran > $L/poststop")
            r = fails(b.create(check=False), path)
            assert "23" in r.err and "the reason" in r.err, r
            assert h.read("second") is None, "a later hook ran"
            assert h.read("poststop") == "ran\n", f"poststop hooks must run after a failed {kind} hook"
            fails(b.state(check=False))


@test("a failing startContainer hook fails start; the program never runs")
def start_container_failure():
    with hooked() as (b, h):
        h.add("startContainer", "exit 1")
        b.save(command_args("write", "/log/ran", "x"))
        b.create()
        fails(b.start(check=False))
        assert h.read("ran") is None
        run_davit("delete", "--force", b.id)
        b.nothing_left()


@test("a failing poststart hook is an error or a warning, and leaves no half container")
def poststart_failure():
    with hooked() as (b, h):
        h.add("poststart", "exit 1")
        b.save(command_args("pause"))
        b.create()
        r = b.start(check=False)
        st = b.state(check=False)
        status = st["status"] if isinstance(st, dict) else "gone"
        assert (r.rc == 0 and status == "running") or (r.rc != 0 and status in ("stopped", "gone")), (r, st)
        run_davit("delete", "--force", b.id, check=True)


@test("a failing poststop hook: delete warns, runs the others, exits 0")
def poststop_failure():
    for log in (None, os.path.join(work, unique("log"))):
        with hooked() as (b, h):
            path = h.add("poststop", "echo the reason >&2; exit 17")
            h.add("poststop", "echo ran > $L/second")
            b.save(command_args("true"))
            b.create()
            b.start()
            b.wait_stopped()
            r = run_davit(*(("--log", log, "--log-format", "json") if log else ()), "delete", b.id)
            assert r.rc == 0, r
            assert h.read("second") == "ran\n"
            fails(b.state(check=False))
        told = r.err
        if log:
            line = json.loads(read(log))
            os.unlink(log)
            assert line["level"] == "warning", line
            told = line["msg"]
        for word in ("poststop hook 0", path, "17", "the reason"):
            assert word in told, (word, told)


@test("poststart and poststop run in the bundle, and in / where that is gone")
def bundle_gone():
    with hooked() as (b, _):
        log = os.path.join(work, unique("log"))
        hook = [{"path": "/bin/sh", "args": ["sh", "-c", f"pwd >> {log}"]}]
        b.save(command_args("true"), {"hooks": {"poststart": hook, "poststop": hook}})
        b.run(check=True)
        b.create()
        os.rename(b.dir, b.dir + ".away")
        started, deleted = b.start(check=False), b.delete("--force", check=False)
        os.rename(b.dir + ".away", b.dir)
        assert (started.rc, deleted.rc, deleted.err) == (0, 0, ""), (started, deleted)
        assert read(log).splitlines() == [b.dir, b.dir, "/", "/"], read(log)
        os.unlink(log)


@test("poststop runs after the container's resources are gone")
def poststop_late():
    with hooked() as (b, h):
        cg = unique("ph")
        b.save({"linux": {"cgroupsPath": "/" + cg}}, command_args("pause"))
        points = " ".join(p + "/" + cg for p in set(cgroup_hierarchies().values()))
        h.add("poststop", f"ls -d {points} > $L/left 2>/dev/null; test -d /proc/$(cat $L/pid) && "
                          "echo process >> $L/left")
        b.create()
        b.start()
        pid = b.pid()
        write(h.dir + "/pid", str(pid))
        b.kill("KILL")
        b.wait_stopped()
        eventually(lambda: reap() is not None and pid not in processes(), "init collected")
        b.delete()
        assert h.read("left") == "", h.read("left")


@test("timeout ends a hook with all its children, and fails create")
def timeout():
    with hooked() as (b, h):
        h.add("createRuntime", "echo $$ > $L/pid; sleep 60 & echo $! > $L/child; wait", timeout=1)
        r = fails(b.create(check=False))
        assert 0.9 < r.seconds < 8, r.seconds
        eventually(lambda: reap() is not None and not alive(h.read("pid").strip()), "hook gone")
        eventually(lambda: not alive(h.read("child").strip()), "its child gone")


def interrupted(b, h, verb, sig, ignored=()):
    """A command that gets a signal while a hook runs: its Popen, once it has ended, and its stderr."""
    def child():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # a shell ignores them for background jobs
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    with open(b.stderr, "wb") as err:
        p = subprocess.Popen(command(verb, "--bundle", b.dir, b.id), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=err, preexec_fn=child)
    try:
        eventually(lambda: h.read("child"), "the hook runs")
        p.send_signal(sig)
        p.wait(10 * FACTOR)
        return p, read(b.stderr)
    finally:
        p.kill()
        p.wait()


@test("create and run that get SIGTERM, SIGINT or SIGHUP in a hook: hook and container are gone, the signal ends them")
def signalled():
    before = read("/proc/self/mountinfo")
    shared = namespaces(*[n for n in NAMESPACES if n != "pid"])
    for verb, kind, sig, spaces in (
            ("create", "createRuntime", "TERM", None), ("run", "prestart", "INT", None),
            ("create", "createContainer", "HUP", None), ("run", "createContainer", "TERM", shared)):
        with hooked() as (b, h):
            h.add(kind, "echo $$ > $L/pid; sleep 60 & echo $! > $L/child; wait")
            h.add("poststop", "echo $PPID > $L/poststop")
            if spaces:
                b.conf["linux"]["namespaces"] = spaces
            b.save(command_args("pause"))
            p, err = interrupted(b, h, verb, getattr(signal, "SIG" + sig))
            assert p.returncode == -getattr(signal, "SIG" + sig), (p.returncode, err)
            assert len(err.splitlines()) == 1 and err.startswith(f"davit: {verb}: ") and "signal" in err, err
            assert bool(h.read("poststop")) == (kind != "createContainer"), err
            own = kind != "createContainer" or spaces  # else the numbers are those of its pid namespace
            for name in ("pid", "child") if own else ():
                eventually(lambda name=name, h=h: not alive(h.read(name).strip()), f"{name} gone")
            reap()
            fails(run_davit("state", b.id), "does not exist")
            assert not [c for c in cgroups_tagged() if os.path.basename(c) == b.id]
            assert read("/proc/self/mountinfo") == before


@test("a SIGHUP that the caller of create ignores ends nothing")
def signal_ignored():
    with hooked() as (b, h):
        h.add("createRuntime", "echo $$ > $L/child; sleep 1")
        b.save(command_args("pause"))
        p, err = interrupted(b, h, "create", signal.SIGHUP, ignored=[signal.SIGHUP])
        assert p.returncode == 0, err
        assert b.state()["status"] == "created"
        b.delete("--force")


@test("a hook does not outlive a create that is killed")
def create_killed():
    with hooked() as (b, h):
        h.add("createRuntime", "echo $$ > $L/child; exec sleep 60")
        b.save(command_args("pause"))
        interrupted(b, h, "create", signal.SIGKILL)
        eventually(lambda: reap() is not None and not alive(h.read("child").strip()), "the hook is gone")
        b.delete("--force")


@test("a timeout of 0 or less is refused")
def timeout_zero():
    for value in (0, -1):
        with hooked() as (b, h):
            h.add("createRuntime", "true", timeout=value)
            fails(b.create(check=False))


@test("a hook that is missing, not executable, relative, or no program is an error that names it")
def bad_hooks():
    with hooked() as (b, _):
        b.side("plain", "text")
        for path in ("/no/such/hook", b.dir + "/plain", b.dir, "relative/hook"):
            b.save({"hooks": {"createRuntime": [{"path": path}]}})
            r = fails(b.create(check=False))
            assert path in r.err or "absolute" in r.err, (path, r)


@test("a hook killed by a signal is reported as such")
def hook_killed():
    with hooked() as (b, h):
        path = h.add("createRuntime", "kill -9 $$")
        r = fails(b.create(check=False), path)
        assert "signal" in r.err.lower() or "137" in r.err or "killed" in r.err.lower(), r


@test("a hook that does not read its stdin, or closes it, is fine")
def no_read():
    with hooked() as (b, h):
        h.add("createRuntime", "exec 0<&-; exit 0")
        b.save({"annotations": {f"org.example.{i}": "x" * 1000 for i in range(200)}})
        b.create()
        b.delete("--force")


@test("a hook that leaves a daemon behind does not hang create")
def daemon():
    with hooked() as (b, h):
        h.add("createRuntime", "sleep 30 & echo $! > $L/pid")
        r = b.create()
        assert r.seconds < 10
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(h.read("pid")), 9)
        b.delete("--force")


@test("a hook that floods stderr does not hang, and the error stays one short line")
def flood():
    with hooked() as (b, h):
        h.add("createRuntime", "i=0; while [ $i -lt 20000 ]; do echo line line line line line >&2; "
                               "i=$((i+1)); done; exit 1")
        r = fails(b.create(check=False))
        assert len(r.err) < 10000, len(r.err)


@test("a createRuntime hook can move a network device into the container's namespace")
def network_hook():
    if not shutil.which("ip"):
        raise Skip("needs ip(8)")
    if run_command(["unshare", "--net", "ip", "link", "add", "dvprobe", "type", "dummy"]).rc != 0:
        raise Skip("this kernel has no dummy network devices")
    with hooked() as (b, h):
        ip, name = shutil.which("ip"), "dv" + TAG[-6:]
        h.add("createRuntime", "pid=$(grep -o '\"pid\": *[0-9]*' | tr -dc 0-9)\n"
                               f"{ip} link add {name} type dummy && {ip} link set {name} netns $pid",
              env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
        b.save(command_args("ls", "/sys/class/net"))
        r = b.run()
        assert name in Facts(r.out).all("ls:/sys/class/net"), r


main()
