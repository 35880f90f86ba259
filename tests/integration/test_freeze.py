#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pause and resume, and what they do to kill, delete and start: nothing may stay frozen."""
import mmap

from davit import *

USERFAULTFD = {"x86_64": 323, "aarch64": 282, "riscv64": 282}.get(os.uname().machine)
UFFDIO_API, UFFDIO_REGISTER = 0xC018AA3F, 0xC020AA00


def pause(b, **kw):
    return run_davit("pause", b.id, check=True, **kw)


def resume(b, **kw):
    return run_davit("resume", b.id, check=True, **kw)


def status(b):
    return b.state()["status"]


def freezer(b):
    """The file that freezes the container, and what it reads when it does not."""
    with contextlib.suppress(Skip):
        path, version = group_of(b.pid(), "freezer")
        if version == 1:
            return path + "/freezer.state", "THAWED"
    return group_of(b.pid(), "")[0] + "/cgroup.freeze", "0"


@test("a signal sent to a paused container comes after resume")
def signal_waits():
    with Bundle() as b:
        b.up()
        pause(b)
        b.kill("USR1")
        time.sleep(0.1)
        assert "signal=10" not in b.output() and status(b) == "paused"
        resume(b)
        b.wait_output("signal=10")
        assert status(b) == "running"


@test("kill --all sends each process one signal")
def kill_all():
    with Bundle() as b:
        b.up()
        b.kill("--all", "USR1")
        b.wait_output("signal=10")
        b.kill("USR2")
        b.wait_output("signal=12")
        assert b.output().count("signal=10") == 1, b.output()


@test("SIGKILL ends a paused container, with and without --all")
def kill_paused():
    for args in (["KILL"], ["--all", "KILL"]):
        with Bundle() as b:
            b.up("daemon", "60", "+", "pause")
            pause(b)
            b.kill(*args)
            b.wait_stopped()
            b.delete()


@test("SIGKILL ends a paused container without a pid namespace, and all its processes")
def kill_paused_shared():
    with Bundle({"linux": {"namespaces": namespaces("ipc", "uts", "mount")}}) as b:
        b.up("daemon", "60", "+", "pause")
        pids = run_davit("ps", "-f", "json", b.id, check=True).json
        assert len(pids) == 2, pids
        pause(b)
        b.kill("KILL")
        b.wait_stopped()
        eventually(lambda: not any(alive(p) for p in pids), "all gone")
        b.delete()


@test("a created container can be paused; it is created again after resume, and starts")
def created():
    with Bundle() as b:
        b.save(command_args("pause"))
        b.create()
        pause(b)
        assert status(b) == "paused"
        fails(b.start(check=False), "paused")
        resume(b)
        assert status(b) == "created"
        b.start()
        b.wait_output("ready=1")


@test("pause and resume of a container in the wrong state are errors")
def wrong_state():
    with Bundle() as b:
        b.up()
        fails(run_davit("resume", b.id), "running")
        pause(b)
        fails(run_davit("pause", b.id), "paused")
        fails(b.delete(check=False), "paused")
        assert status(b) == "paused"
        resume(b)
        b.kill("KILL")
        b.wait_stopped()
        for verb in ("pause", "resume"):
            fails(run_davit(verb, b.id), "container not running")
            fails(run_davit(verb, unique()), "does not exist")


@test("a runtime killed while it pauses leaves nothing that resume or delete cannot undo", limit=120)
def killed():
    import random
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    for n in range(12):
        with Bundle() as b:
            b.up("daemon", "60", "+", "pause")
            process = b.spawn(verb="pause")
            time.sleep(chance.random() * 0.015)
            process.kill()
            process.communicate()
            found = status(b)
            assert found in ("running", "paused"), (seed, found)
            if n % 3 == 0 and found == "paused":
                resume(b)
                assert status(b) == "running"
                b.kill("USR1")
                b.wait_output("signal=10")
            elif n % 3 == 1:
                b.kill("KILL")
                b.wait_stopped()
            b.delete("--force")


@test("frozen by another hand: state says paused, delete --force works")
def frozen_outside():
    with Bundle() as b:
        b.up()
        path, _ = freezer(b)
        with open(path, "w") as f:
            f.write("FROZEN" if path.endswith("state") else "1")
        eventually(lambda: status(b) == "paused", "paused")
        fails(b.exec("true"), "paused")
        b.delete("--force")


class Stuck:
    """A process in a sleep that only SIGKILL ends, nothing else: a page fault by proxy, on
    memory whose pager never answers."""

    def __enter__(self):
        if USERFAULTFD is None:
            raise Skip("no number of userfaultfd for this architecture")
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.block(tell)
            finally:
                os._exit(1)
        os.close(tell)
        Child.known.add(self.pid)
        said = os.read(ready, 100)
        os.close(ready)
        if said != b"ok":
            self.__exit__()
            raise Skip(f"cannot make a process that hangs: {said.decode()}")
        try:
            eventually(lambda: read(f"/proc/{self.pid}/stat").rsplit(") ", 1)[1][0] == "D", "hangs")
        except AssertionError:
            self.__exit__()
            raise Skip("this kernel's page fault can be interrupted") from None
        return self

    def block(self, tell):
        fd = libc.syscall(USERFAULTFD, os.O_CLOEXEC)
        if fd < 0:
            os.write(tell, b"userfaultfd: " + os.strerror(ctypes.get_errno()).encode())
            return
        api = (ctypes.c_uint64 * 3)(0xAA, 0, 0)
        memory = mmap.mmap(-1, mmap.PAGESIZE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        wanted = (ctypes.c_uint64 * 4)(address, mmap.PAGESIZE, 1, 0)
        if libc.ioctl(fd, ctypes.c_ulong(UFFDIO_API), api) < 0 or \
                libc.ioctl(fd, ctypes.c_ulong(UFFDIO_REGISTER), wanted) < 0:
            os.write(tell, b"ioctl: " + os.strerror(ctypes.get_errno()).encode())
            return
        os.write(tell, b"ok")
        os.close(tell)
        to = ctypes.create_string_buffer(8)
        vectors = (ctypes.c_size_t * 4)(ctypes.addressof(to), 1, address, 1)
        libc.process_vm_readv(os.getpid(), ctypes.byref(vectors), 1,
                              ctypes.byref(vectors, 2 * ctypes.sizeof(ctypes.c_size_t)), 1, 0)

    def __exit__(self, *exc):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@test("a process that cannot be frozen: an error within 5 s, and nothing stays frozen")
def unfreezable():
    with Stuck() as stuck, Bundle() as b:
        b.up()
        path, thawed = freezer(b)
        for group in {c for c in cgroups_tagged() if os.path.basename(c) == b.id}:
            with open(group + "/cgroup.procs", "w") as f:
                f.write(str(stuck.pid))
        result = run_davit("pause", b.id)
        fails(result, str(stuck.pid))
        assert result.seconds < 5.5 * FACTOR, result
        assert read(path).strip() == thawed, read(path)
        assert status(b) == "running"
        b.kill("USR1")
        b.wait_output("signal=10")
        b.exec("true", check=True)


main()
