#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The exit record: how a container ended, what it had used, why it was killed."""
from davit import *

MB = 1 << 20


def limited(size):
    return {"linux": {"resources": {"memory": {"limit": size, "swap": size}}}}


def record(b, *flags, rc=0, **kw):
    """Runs the bundle in the foreground; its --exit-record."""
    path = b.side("exit.json", "")
    result = b.run("--exit-record", path, *flags, **kw)
    assert result.rc == rc, result
    return json.loads(read(path))


def memory_peak_known():
    h = cgroup_hierarchies()
    if "memory" not in h and not v2_only():
        raise Skip("this host has no memory cgroup controller")


def kept(b):
    """The record that `state` shows of a container that ended while nobody looked."""
    state = b.state()
    assert state["status"] == "stopped", state
    if "cpuTime" not in state.get("exit", {}) and "--systemd-cgroup" in os.environ.get("DAVIT_ARGS", ""):
        raise Skip("systemd removes a scope with its last process")
    return state["exit"]


def one_killed(run):
    """The record that run returns, of a container in which the kernel killed one process, not init. It may kill init
    as well before the first one's memory is free."""
    for _ in range(5):
        x = run()
        if x["oomKills"] == 1:
            return x
        print(f"# killed for want of memory: {x['oomKills']} processes, once more")
    raise AssertionError(x)


@test("run --exit-record tells exit code, memory, processor time and processes")
def run_code():
    with Bundle(command_args("hog", "8", "+", "spin", "0.2", "+", "exit", "7")) as b:
        x = record(b, rc=7)
        assert x["exitCode"] == 7 and "signal" not in x and "oomKilled" not in x, x
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", x["recorded"]), x
        memory_peak_known()
        assert 8 * MB <= x.get("memoryPeak", 8 * MB) < 64 * MB, x
        assert 0.005 < x["cpuTime"] / 1e9 < 5 * FACTOR, x
        assert x.get("pidsPeak", 1) >= 1 and x["oomKills"] == 0, x


@test("a signal is told from an exit status above 128")
def run_signal():
    with Bundle(command_args("die", "11")) as b:
        x = record(b, rc=139)
        assert x["signal"] == 11 and "exitCode" not in x, x
    with Bundle(command_args("exit", "139")) as b:
        x = record(b, rc=139)
        assert x["exitCode"] == 139 and "signal" not in x, x


@test("a container killed for want of memory says so, after its groups have gone")
def run_oom():
    memory_peak_known()
    with Bundle(limited(16 * MB), ) as b:
        b.save(command_args("hog", "64"))
        x = record(b, rc=137)
        assert x["oomKilled"] is True and x["oomKills"] >= 1 and x["signal"] == 9, x


@test("an OOM kill of another process is counted, but did not end the container")
def run_oom_child():
    memory_peak_known()

    def run():
        with Bundle(limited(16 * MB)) as b:
            b.up()
            b.exec("hog", "64")
            if b.state()["status"] == "running":
                b.kill("TERM")
            b.wait_stopped()
            return kept(b)

    x = one_killed(run)
    assert "oomKilled" not in x, x


@test("a bad --exit-record is an error before anything is done")
def bad_file():
    with Bundle() as b:
        missing = os.path.join(b.dir, "no", "such")
        fails(b.run("--exit-record", missing), missing)
        fails(b.run("--detach", "--exit-record", b.side("x", "")), "--exit-record")
        b.nothing_left()
        b.up()
        fails(b.delete("--force", "--exit-record", missing, check=False), missing)
        assert b.state()["status"] == "running"
        fails(b.delete("--exit-record", b.side("x", ""), check=False), "running")
        assert b.state()["status"] == "running"


@test("run --keep keeps the record; state shows it beside the engine's fields")
def keep():
    with Bundle(command_args("exit", "3")) as b:
        assert b.run("--keep").rc == 3
        state = b.state()
        assert state["exit"]["exitCode"] == 3, state
        assert state["status"] == "stopped" and state["pid"] == 0 and state["id"] == b.id
        assert os.path.exists(os.path.join(root, b.id, "exit.json"))
        first = state["exit"]
        time.sleep(0.02)
        assert b.state()["exit"] == first, "the record must not change"


@test("a container that has not ended has no record")
def alive_none():
    with Bundle() as b:
        b.save(command_args("pause"))
        b.create()
        assert "exit" not in b.state()
        b.start()
        assert "exit" not in b.state()
        run_davit("pause", b.id, check=True)
        assert "exit" not in b.state()
        run_davit("resume", b.id, check=True)
        assert not os.path.exists(os.path.join(root, b.id, "exit.json"))


@test("state of a detached container that has ended tells what its groups tell")
def detached():
    memory_peak_known()
    with Bundle() as b:
        b.up("hog", "8", "+", "exit", "5")
        b.wait_stopped()
        x = kept(b)
        assert x["cpuTime"] > 0 and x["oomKills"] == 0, x
        assert x.get("memoryPeak", 8 * MB) >= 8 * MB, x
        assert x.get("exitCode", 5) == 5 and "signal" not in x, x


@test("before init is reaped, its exit status is told as well")
def zombie():
    # its parent is a process of ours that collects nobody
    with Bundle(command_args("exit", "6")) as b:
        b.save()
        parent = os.fork()
        if parent == 0:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            code = subprocess.call(command("create", "--bundle", b.dir, b.id),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
            code = code or subprocess.call(command("start", b.id), stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL)
            if code:
                os._exit(1)
            time.sleep(60)
            os._exit(0)
        Child.known.add(parent)
        try:
            eventually(lambda: os.path.lexists(os.path.join(root, b.id, "init")), "created")
            eventually(lambda: b.state()["status"] == "stopped", "stopped")
            assert b.state()["exit"]["exitCode"] == 6, b.state()
        finally:
            os.kill(parent, signal.SIGKILL)
            os.waitpid(parent, 0)


@test("that it was killed for want of memory is told when its groups have gone, too")
def groups_gone():
    # as systemd does with the last process of a scope
    memory_peak_known()
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError as e:
        raise Skip(f"the kernel's log cannot be read: {e.strerror}")

    def run(over, *words):
        with Bundle(over) as b:
            b.save(command_args(*words))
            b.create()
            path = group_of(b.pid(), "memory")[0]
            b.start()
            if words[0] == "wait":
                b.exec("hog", "64")
                b.file("/go")
            eventually(lambda: not os.path.exists(path) or not read(path + "/cgroup.procs"), "no process")
            eventually(lambda: group_removed(path), f"{path} removed")
            state = b.state()
            assert state["status"] == "stopped", state
            assert b.state().get("exit") == state.get("exit"), "the record must not change"
            return state.get("exit", {})

    time.sleep(5)  # the kernel logs ten in five seconds, and the file may be run once more
    x = run(limited(16 * MB), "hog", "64")
    assert x["oomKills"] >= 1 and x["signal"] == 9 and x["oomKilled"] is True, x
    x = one_killed(lambda: run(limited(16 * MB), "wait", "/go"))
    assert "signal" not in x and "oomKilled" not in x, x
    x = run({}, "exit", "3")
    assert "oomKills" not in x, x


@test("events sees the end, and the exit status of a process that others have reaped")
def events_keeps():
    with Bundle(command_args("wait", "/go", "+", "exit", "4")) as b:
        b.up("wait", "/go", "+", "exit", "4")
        process = b.spawn("--interval", "60s", verb="events")
        with process:
            process.stdout.readline()
            b.file("/go")
            b.wait_stopped()
            process.communicate(timeout=10 * FACTOR)
        x = b.state()["exit"]
        if "exitCode" not in x:
            raise Skip("this kernel does not tell how a reaped process ended")
        assert x["exitCode"] == 4, x


@test("delete --force --exit-record keeps what is known of the killed container")
def delete_force():
    memory_peak_known()
    with Bundle() as b:
        b.up()
        path = b.side("exit.json", "")
        b.delete("--force", "--exit-record", path)
        x = json.loads(read(path))
        assert x.get("signal", 9) == 9 and x["cpuTime"] > 0 and x["oomKills"] == 0, x


@test("delete --exit-record of a stopped container gives the record that state gave")
def delete_stopped():
    with Bundle() as b:
        b.up("exit", "2")
        b.wait_stopped()
        shown = kept(b)
        path = b.side("exit.json", "")
        b.delete("--exit-record", path)
        assert json.loads(read(path)) == shown


@test("a damaged record is replaced by nothing worse: state and delete work")
def damaged():
    with Bundle() as b:
        b.up("true")
        b.wait_stopped()
        for text in ("", "{", "[]", '{"exitCode": "x"}', "x" * 10000):
            write(os.path.join(root, b.id, "exit.json"), text)
            assert b.state()["status"] == "stopped"
        b.delete()



@test("a memory limit too small for the set-up is the reason that create, start and run give")
def too_small():
    memory_peak_known()
    if v2_only():
        raise Skip("version 2 charges less to the container: see small")
    with Bundle(limited(4096)) as b:
        fails(b.create(check=False), "out of memory", "/linux/resources/memory/limit")
        b.nothing_left()
        fails(b.run(), "out of memory", "/linux/resources/memory/limit")
    for size in (32, 64, 96, 128):
        with Bundle(limited(size << 10)) as b:
            if b.create(check=False).rc:
                continue
            result = b.start(check=False)
            if result.rc == 0:  # the program itself had too little, or enough
                b.wait_stopped()
                x = b.state()["exit"]
                assert x["oomKills"] == 1 or x.get("exitCode", 0) == 0, x
            else:
                fails(result, "out of memory", "before step exec")


@test("a seccomp profile that kills execve is the reason that start and run give")
def seccomp_kills():
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["execve", "execveat"], "action": "SCMP_ACT_KILL_PROCESS"}]}
    with Bundle({"linux": {"seccomp": profile}}) as b:
        fails(b.run(), "signal 31", "before step exec", "seccomp")
        b.create()
        fails(b.start(check=False), "before step exec")
        b.wait_stopped()
        assert b.state().get("exit", {}).get("signal", 31) == 31, b.state()


@test("a small memory limit is enough for the set-up and a small program")
def small():
    memory_peak_known()
    if is_sanitized():
        raise Skip("a program with sanitizers needs more memory")
    with Bundle(limited(512 << 10)) as b:
        b.run(check=True)
        b.up()
        b.exec("true", check=True)


main()
