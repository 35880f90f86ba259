#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that nothing can freeze or kill, for they wait for a disk: errors in time, and nothing stays frozen."""
import ctypes
import fcntl
import struct

from davit import *

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878


class Disk:
    """A file system whose writers sleep, deaf to all signals, while it is frozen."""

    def __init__(self):
        if not shutil.which("mkfs.ext4"):
            raise Skip("needs mkfs.ext4")
        self.image, self.dir = os.path.join(work, unique("disk")), os.path.join(work, unique("mnt"))
        self.fd = -1

    def __enter__(self):
        with open(self.image, "wb") as f:
            f.truncate(4 << 20)
        run_command(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", self.image], check=True)
        os.mkdir(self.dir)
        if os.environ.get("DAVIT_VM"):
            run_command(["modprobe", "loop"])
        r = run_command(["mount", "-o", "loop", self.image, self.dir])
        if r.rc != 0:
            os.rmdir(self.dir)
            os.unlink(self.image)
            raise Skip(f"no loop device: {r.err.strip()}")
        self.fd = os.open(self.dir, os.O_RDONLY)
        return self

    def freeze(self):
        fcntl.ioctl(self.fd, FIFREEZE, 0)

    def thaw(self):
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.fd, FITHAW, 0)

    def __exit__(self, *exc):
        self.thaw()
        os.close(self.fd)
        eventually(lambda: run_command(["umount", self.dir]).rc == 0, "unmounted")
        os.rmdir(self.dir)
        os.unlink(self.image)


def bundle(disk):
    return Bundle({"mounts": MOUNTS + [{"destination": "/stuck", "type": "bind", "source": disk.dir,
                                        "options": ["bind", "rw"]}]})


def deaf(b, disk):
    """Makes a process of the container wait for the disk; its number."""
    disk.freeze()
    before = set(run_davit("ps", "-f", "json", b.id, check=True).json)
    b.exec("write", "/stuck/file", "x", flags=("-d",), check=True)

    def found():
        for pid in set(run_davit("ps", "-f", "json", b.id, check=True).json) - before:
            with contextlib.suppress(OSError):
                if read(f"/proc/{pid}/stat").rsplit(") ", 1)[1][0] == "D":
                    return pid
        return 0
    return eventually(found, "a process that waits for the disk")


def thawed(b):
    """Whether no freezer holds the container."""
    for path in [c for c in cgroups_tagged() if os.path.basename(c) == b.id]:
        for name, free in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if os.path.exists(f"{path}/{name}") and read(f"{path}/{name}").strip() != free:
                return False
    return True


def in_time(result):
    assert result.seconds < 5 + 1.5 * FACTOR, result


@test("pause of a container with a process that waits for a disk: an error that names it, and all run on")
def pause():
    with Disk() as disk, bundle(disk) as b:
        b.up()
        pid = deaf(b, disk)
        result = run_davit("pause", b.id)
        in_time(result)
        if result.rc == 0:  # newer kernels freeze such a sleeper too
            assert b.state()["status"] == "paused" and not thawed(b)
            run_davit("resume", b.id, check=True)
        else:
            fails(result, "freeze", str(pid))
        assert thawed(b)
        assert b.state()["status"] == "running"
        b.kill("USR1")
        b.wait_output("signal=10")
        assert b.exec("true").rc == 0
        disk.thaw()
        eventually(lambda: not alive(pid), "it has written")
        run_davit("pause", b.id, check=True)
        run_davit("resume", b.id, check=True)
        b.delete("--force")


@test("delete and kill of it: errors in time that say what stays; afterwards they work")
def delete():
    for namespace in (True, False):
        with Disk() as disk, bundle(disk) as b:
            if not namespace:
                b.conf["linux"]["namespaces"] = namespaces(*[n for n in NAMESPACES if n != "pid"])
            b.up()
            pid = deaf(b, disk)
            result = run_davit("kill", "--all", b.id, "KILL")
            in_time(result)
            assert thawed(b)
            for _ in range(2):
                result = b.delete("--force", check=False)
                fails(result, "does not end" if namespace else str(pid))
                in_time(result)
                assert thawed(b) and alive(pid)
            disk.thaw()
            eventually(lambda pid=pid: not alive(pid), "it has ended")
            b.delete("--force")


def slow_down(pid):
    """SCHED_DEADLINE with 0.1 ms of 4 s, after more than that has been used. sched_setattr(2)"""
    if os.uname().machine != "x86_64":
        raise Skip("knows the number of sched_setattr on x86_64")
    attr = struct.pack("=IIQiIQQQ", 48, 6, 0, 0, 0, 100_000, 4_000_000_000, 4_000_000_000)
    if ctypes.CDLL(None, use_errno=True).syscall(314, pid, attr, 0) != 0:
        raise Skip(f"SCHED_DEADLINE: {os.strerror(ctypes.get_errno())}")
    time.sleep(0.2)


@test("a payload whose scheduling policy gives its killed processes no time to end: delete ends in time all the same")
def slow():
    loop = ["/bin/sh", "-c", "while :; do :; done"]
    for namespace in (True, False):
        for joined in (False, True):
            with Bundle(busybox=True) as b:
                if not namespace:
                    b.conf["linux"]["namespaces"] = namespaces(*[n for n in NAMESPACES if n != "pid"])
                b.up("without", over={"process": {"args": ["/bin/sleep", "60"] if joined else loop}})
                if joined:
                    run_davit("exec", "-d", b.id, *loop, check=True, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
                pid = [p for p in run_davit("ps", "-f", "json", b.id, check=True).json if p != b.pid()]
                slow_down([*pid, b.pid()][0])
                result = b.delete("--force")
                assert result.seconds < 2 * FACTOR, result


@test("somebody's process in the container's group that cannot end: the error names it, in time")
def foreign():
    with Disk() as disk, bundle(disk) as b:
        b.up()
        disk.freeze()
        child = os.fork()
        if child == 0:
            os.open(disk.dir + "/other", os.O_WRONLY | os.O_CREAT)
            os._exit(0)
        Child.known.add(child)
        try:
            eventually(lambda: read(f"/proc/{child}/stat").rsplit(") ", 1)[1][0] == "D", "it waits")
            for group in [c for c in cgroups_tagged() if os.path.basename(c) == b.id]:
                write(group + "/cgroup.procs", str(child))
            result = b.delete("--force", check=False)
            fails(result, str(child), "stay")
            in_time(result)
            assert thawed(b)
        finally:
            disk.thaw()
            os.waitpid(child, 0)
        b.delete("--force")


main()
