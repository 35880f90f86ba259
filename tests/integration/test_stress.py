#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many cycles and many containers at once: nothing leaks, nothing fails.

DAVIT_STRESS=1 runs 1000 cycles instead of 50."""
from davit import *

CYCLES = 1000 if os.environ.get("DAVIT_STRESS") else 50
LIMIT = 100 if CYCLES == 50 else 1800


@test(f"{CYCLES} cycles of create, start, kill, delete", limit=LIMIT)
def lifecycle():
    with Bundle() as b:
        b.save(command_args("pause"))
        for _ in range(CYCLES):
            b.create(keep_config=True)
            b.start()
            b.kill("KILL")
            eventually(lambda: reap() is not None and b.state()["status"] == "stopped", "stopped")
            b.delete()
        assert not os.listdir(root) or all(n.startswith(".") for n in os.listdir(root)), os.listdir(root)


@test(f"{CYCLES} runs", limit=LIMIT)
def runs():
    with Bundle() as b:
        b.save(command_args("exit", "3"))
        for _ in range(CYCLES):
            r = run_davit("run", "--bundle", b.dir, b.id)
            assert r.rc == 3, r


@test(f"{CYCLES} execs in one container", limit=LIMIT)
def execs():
    with Bundle() as b:
        b.up()
        for n in range(CYCLES):
            r = b.exec("exit", n % 256)
            assert r.rc == n % 256, r
        fds = len(os.listdir(f"/proc/{b.pid()}/fd"))
        assert fds == 3, f"init holds {fds} descriptors"
        b.delete("--force")


@test("20 containers at once", limit=LIMIT)
def parallel():
    bundles = [Bundle() for _ in range(20)]
    try:
        for b in bundles:
            b.save(command_args("sleep", "0.2", "+", "exit", "7"))
        procs = [subprocess.Popen(command("run", "--bundle", b.dir, b.id), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for b in bundles]
        for p in procs:
            err = p.communicate(timeout=60)[1]
            assert p.returncode == 7, (p.returncode, err)
    finally:
        for b in bundles:
            b.__exit__(None, None, None)


@test("start, kill, delete and state of one container at the same time: no hang, a clean end", limit=LIMIT)
def concurrent():
    for _ in range(10):
        with Bundle() as b:
            b.save(command_args("pause"))
            b.create()
            jobs = [["start", b.id], ["start", b.id], ["state", b.id], ["kill", b.id, "KILL"], ["delete",
                    "--force", b.id],
                    ["delete", "--force", b.id], ["list"]]
            procs = [subprocess.Popen(command(*j), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE) for j in jobs]
            for job, p in zip(jobs, procs):
                err = p.communicate(timeout=TIMEOUT)[1]
                assert p.returncode >= 0, (job, p.returncode, err)
                if job[0] == "list":
                    assert p.returncode == 0, err
            run_davit("delete", "--force", b.id, check=True)
            b.nothing_left()


@test("create and delete with 300 unrelated mounts on the host leave them alone", limit=LIMIT)
def many_host_mounts():
    hold = os.path.join(work, "mounts")
    os.mkdir(hold)
    mount("tmpfs", hold, "tmpfs")
    try:
        mount(None, hold, None, MS_PRIVATE)
        os.mkdir(hold + "/source")
        for n in range(300):
            os.mkdir(f"{hold}/{n}")
            mount(hold + "/source", f"{hold}/{n}", None, MS_BIND)
        before = read("/proc/self/mountinfo")
        with Bundle() as b:
            for _ in range(5):
                b.create()
                b.delete("--force")
        assert read("/proc/self/mountinfo") == before
    finally:
        for n in range(300):
            with contextlib.suppress(OSError):
                umount(f"{hold}/{n}")
        umount(hold)
        os.rmdir(hold)


main()
