#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime, or init, is killed at a system call; whatever is left can be looked at and removed.

DAVIT_STRESS=1 kills at every system call instead of some from all over."""
from faults import *

WANT = 16
LIMIT = 3600 if STRESS else 60


def tell(f, what, points):
    print(f"# {what}: {len(points)} of {f.total} points", flush=True)


@test("create is killed: state and list answer, delete --force leaves nothing, create works again",
      limit=LIMIT)
def create():
    with Bundle(FULL) as b:
        f = Faults(b)
        argv = f.command("create")

        def one(n):
            result, calls, hit = f.trace(argv, n)
            assert hit or result.rc == 0, result
            status = f.answers()
            assert status in (None, "creating", "created", "stopped"), (status, f.name(calls))
            # every second time without --force: nothing runs, so it may be removed
            r = run_davit("delete", *(["--force"] if n % 2 else []), b.id)
            if not n % 2 and status is None and "does not exist" in r.err:
                assert not os.path.exists(os.path.join(root, b.id)), (f.name(calls), r)
            else:
                assert r.rc == 0, (f.name(calls), status, r)
            f.clean()
            f.again()
        points = f.points(argv, WANT)
        b.delete("--force")
        f.sweep(points, one)
        tell(f, "create", points)


@test("start is killed: the container is created or runs, delete --force leaves nothing", limit=LIMIT)
def start():
    with Bundle(FULL) as b:
        f = Faults(b)

        def one(n):
            b.create(keep_config=True)
            result, calls, hit = f.trace(f.command("start"), n)
            status = f.answers()
            assert status in ("created", "running"), (status, f.name(calls))
            if status == "created":
                again = run_davit("start", b.id)
                assert again.rc == 0 or f.answers() == "running", (f.name(calls), again)
            b.delete("--force")
            f.clean()
        b.create(keep_config=True)
        points = f.points(f.command("start"), WANT)
        b.delete("--force")
        f.sweep(points, one)
        tell(f, "start", points)


@test("delete is killed: deleting again leaves nothing", limit=LIMIT)
def delete():
    with Bundle(FULL) as b:
        f = Faults(b)

        def one(n):
            b.create(keep_config=True)
            b.start()
            result, calls, hit = f.trace(f.command("delete", "--force"), n)
            f.answers()
            again = run_davit("delete", "--force", b.id)
            assert again.rc == 0, (f.name(calls), again)
            f.clean()
            f.again()
        b.create(keep_config=True)
        b.start()
        points = f.points(f.command("delete", "--force"), WANT)
        f.sweep(points, one)
        tell(f, "delete", points)


def exec_sweep(conf, child):
    with Bundle(conf) as b:
        f = Faults(b)
        b.create(keep_config=True)
        b.start()
        b.wait_output("ready=1")
        argv = f.command("exec", "-d", "/init", "pause")

        def one(n):
            result, calls, hit = f.trace(argv, n, 0, child)
            assert result.rc != 124, ("hangs", f.name(calls))
            if child and hit and result.rc != 0:
                assert result.err.count("\n") == 1 and "EOF" not in result.err, (f.name(calls), result)
            assert f.answers() == "running", f.name(calls)

            def settled():
                # nobody half-way: all are init or payloads, and in the container's groups
                reap()
                inside = {p for h in f.hierarchies if os.path.isdir(f"{h}/davit/{b.id}")
                          for p in read(f"{h}/davit/{b.id}/cgroup.procs").split()}
                return all(c == "init" and str(p) in inside for p, (s, c) in descendants().items())
            eventually(settled, f"exec settled after {f.name(calls)}: {descendants()}", 2)
            # its last: take the payloads away
            for pid in [p for p in descendants() if p != first]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            eventually(lambda: reap() is not None and set(descendants()) == {first}, "init alone", 2)
        first = b.pid()
        points = f.points(argv, WANT, child)
        f.sweep(points, one)
        b.delete("--force")
        f.clean()
        tell(f, "exec", points)


@test("exec is killed: its process ends or is the container's", limit=LIMIT)
def exec_():
    exec_sweep(FULL, 0)


@test("exec's process is killed: exec tells the cause at once", limit=LIMIT)
def exec_process():
    exec_sweep(FULL, 1)


@test("run is killed: state and list answer, delete --force leaves nothing", limit=LIMIT)
def run():
    with Bundle(merge(FULL, command_args("true"))) as b:
        f = Faults(b)
        argv = f.command("run")

        def one(n):
            result, calls, hit = f.trace(argv, n)
            assert hit or result.rc == 0, result
            f.answers()
            r = run_davit("delete", "--force", b.id)
            assert r.rc == 0, (f.name(calls), r)
            f.clean()
            f.again()
        points = f.points(argv, WANT)
        f.sweep(points, one)
        tell(f, "run", points)


def init_sweep(verb, conf, child=1):
    with Bundle(conf) as b:
        f = Faults(b)
        argv = f.command(verb)

        def one(n):
            result, calls, hit = f.trace(argv, n, 0, child)
            assert result.rc != 124, ("hangs", f.name(calls))
            assert result.seconds < 5 * FACTOR, (result.seconds, f.name(calls))
            if verb == "create" and result.rc == 0:
                # killed when it was done: it waits for start
                assert f.answers() in ("stopped", "created"), f.name(calls)
                run_davit("delete", "--force", b.id, check=True)
            elif hit and not (verb == "run" and result.rc in (0, 137)):
                assert result.rc == 1, (f.name(calls), result)
                assert "killed" in result.err and "EOF" not in result.err, (f.name(calls), result)
                assert result.err.count("\n") == 1, (f.name(calls), result)
                assert run_davit("state", b.id).rc != 0
            f.clean()
        points = f.points(argv, WANT, child)
        run_davit("delete", "--force", b.id)
        f.clean()
        f.sweep(points, one)
        tell(f, f"init of {verb}", points)


@test("init is killed in create: create tells at once and leaves nothing", limit=LIMIT)
def init_create():
    init_sweep("create", FULL)


@test("init is killed in run: run tells at once and leaves nothing", limit=LIMIT)
def init_run():
    init_sweep("run", merge(FULL, command_args("true")))


@test("create with a stage process is killed: delete --force leaves nothing", limit=LIMIT)
def create_stage():
    target = subprocess.Popen(["unshare", "--pid", "--fork", "sleep", "1000"])
    try:
        eventually(lambda: read(f"/proc/{target.pid}/task/{target.pid}/children").strip(), "child")
        inner = read(f"/proc/{target.pid}/task/{target.pid}/children").split()[0]
        conf = merge(FULL, {"linux": {"sysctl": None, "namespaces": namespaces(
            "ipc", "uts", "mount", "cgroup", "network", pid=f"/proc/{inner}/ns/pid")}})
        with Bundle(conf) as b:
            f = Faults(b)
            argv = f.command("create")

            def one(n, child):
                result, calls, hit = f.trace(argv, n, 0, child)
                assert result.rc != 124, ("hangs", f.name(calls))
                if child and hit and result.rc:
                    assert "killed" in result.err, (f.name(calls), result)
                f.answers()
                r = run_davit("delete", "--force", b.id)
                assert r.rc == 0, (f.name(calls), r)
                f.clean()
            for child in (0, 1, 2):
                points = f.points(argv, WANT // 2, child)
                b.delete("--force")
                f.clean()
                f.sweep(points, lambda n: one(n, child))
                tell(f, f"create with a stage, process {child}", points)
    finally:
        with contextlib.suppress(OSError):
            os.kill(int(inner), signal.SIGKILL)
        target.kill()
        target.wait()


main()
