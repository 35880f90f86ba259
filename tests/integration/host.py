# SPDX-License-Identifier: GPL-2.0-or-later
"""The host as the tests see it: mounts, cgroups, processes, and what a test left behind."""
import array
import atexit
import contextlib
import copy
import ctypes
import errno
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
FACTOR = float(os.environ.get("TEST_FACTOR", "1"))
TIMEOUT = 20 * FACTOR  # seconds for one command
libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = (
    1, 2, 4, 8, 32, 4096, 8192, 16384)
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


@atexit.register
def work_remove(owner=os.getpid()):
    if os.getpid() == owner and not os.environ.get("DAVIT_KEEP"):
        os.chdir("/")
        shutil.rmtree(work, ignore_errors=True)


class Skip(Exception):
    """This host cannot run the test; the text says why."""


class Timeout(Exception):
    """A test took longer than its limit."""


# ---- the runtime under test ----

def find_davit():
    named = os.environ.get("DAVIT")
    if named:
        return os.path.abspath(named) if "/" in named else shutil.which(named) or named
    for path in (os.path.join(TOP, "davit"), os.path.join(TOP, "build", "davit")):
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return shutil.which("davit") or os.path.join(TOP, "davit")


DAVIT = find_davit()
NAME = os.path.basename(DAVIT)


def is_sanitized():
    """LeakSanitizer traces the program itself, so others may not; its memory and calls are many."""
    with open(DAVIT, "rb") as f:
        return b"__asan_init" in f.read()


def needs_program():
    """Skips when DAVIT is something that runs the program: a script, a wrapper, a tracer."""
    with open(DAVIT, "rb") as f:
        if b"config.json" not in f.read():
            raise Skip(f"{DAVIT} is not the program itself but runs it")


TAG = "dvt" + os.urandom(4).hex()  # part of every id, path and cgroup that the tests make
work = tempfile.mkdtemp(prefix=f"davit-{TAG}-")  # of this run; removed at exit
root = os.path.join(work, "state")  # the runtime's state directory
_counter = 0


def unique(prefix="c"):
    global _counter
    _counter += 1
    return f"{TAG}{prefix}{_counter}"


# ---- the host ----

def mount(source, target, fstype=None, flags=0, data=None):
    enc = lambda s: None if s is None else os.fsencode(s)
    if libc.mount(enc(source), enc(target), enc(fstype), ctypes.c_ulong(flags), enc(data)) < 0:
        e = ctypes.get_errno()
        raise OSError(e, f"mount {source} on {target}: {os.strerror(e)}")


def umount(target, flags=MNT_DETACH):
    if libc.umount2(os.fsencode(target), flags) < 0:
        e = ctypes.get_errno()
        raise OSError(e, f"umount {target}: {os.strerror(e)}")


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def write(path, text, mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    if mode is not None:
        os.chmod(path, mode)
    return path


def have_cap(number):
    return bool(int(re.search(r"CapEff:\s*(\w+)", read("/proc/self/status"))[1], 16) >> number & 1)


def isolated(function):
    """Runs a function in a child with a private mount namespace that nobody else shares."""
    with tempfile.TemporaryFile("w+", dir=work) as report:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                if libc.unshare(CLONE_NEWNS) < 0:
                    raise OSError(ctypes.get_errno(), "unshare")
                mount(None, "/", None, MS_REC | MS_PRIVATE)
                function()
                code = 0
            except Skip as e:
                report.write(str(e))
                code = 2
            except BaseException:
                report.write(traceback.format_exc(limit=-3))
            report.flush()
            os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        report.seek(0)
        text = report.read()
    if status == 2:
        raise Skip(text)
    assert status == 0, text


def cgroup_hierarchies():
    """Mounted hierarchies as {controller: mount point}; the v2 one has the key ""."""
    found = {}
    for line in read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ")
        point, (fstype, _, opts) = left.split()[4], right.split(" ", 2)
        if fstype == "cgroup2":
            found.setdefault("", point)
        elif fstype == "cgroup":
            for o in opts.split(","):
                if o not in ("rw", "ro", "xattr", "noprefix", "clone_children"):
                    found.setdefault(o, point)
    return found


def v2_only():
    h = cgroup_hierarchies()
    return h.get("") == "/sys/fs/cgroup"


def cgroup_dir(path, controller):
    """Host directory of the cgroup PATH in the hierarchy that has the controller, or Skip."""
    h = cgroup_hierarchies()
    if controller in h:
        return h[controller] + "/" + path.strip("/")
    point = h.get("")
    if point and controller in read(point + "/cgroup.controllers").split():
        return point + "/" + path.strip("/")
    raise Skip(f"this host has no {controller} cgroup controller")


def group_of(pid, controller):
    """Host directory of the process's cgroup for a controller, or Skip."""
    h = cgroup_hierarchies()
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(",") and controller in h:
            return h[controller] + path, 1
        if names == "" and controller not in h and "" in h:
            if controller in read(h[""] + "/cgroup.controllers").split() or controller == "":
                unified = h[""] + path, 2
    try:
        return unified
    except UnboundLocalError:
        raise Skip(f"this host has no {controller} cgroup controller") from None


def group_removed(path):
    """Whether the group has gone, maybe by this."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def cgroups_tagged():
    found = set()
    for point in set(cgroup_hierarchies().values()):
        for base, dirs, _ in os.walk(point):
            found.update(os.path.join(base, d) for d in dirs if TAG in os.path.join(base, d))
    return found


def processes():
    """{pid: (ppid, state, command)} of the whole host."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                text = read(f"/proc/{name}/stat")
                comm, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:]
                fields = rest.split()
                table[int(name)] = (int(fields[1]), fields[0], comm)
    return table


def descendants():
    """We are a subreaper, so whatever a command leaves behind is our descendant."""
    table, found = processes(), {}
    grew = True
    while grew:
        grew = False
        for pid, (ppid, state, comm) in table.items():
            if pid not in found and (ppid == os.getpid() or ppid in found):
                found[pid] = (state, comm)
                grew = True
    return found


class Child(subprocess.Popen):
    """A Popen whose process is never collected behind its back."""
    known = set()

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        Child.known.add(self.pid)


subprocess.Popen = Child
collected = {}  # wait status of every orphan that was collected


def reap():
    """Collects dead orphans, as an engine does; returns {pid: wait status} of all so far."""
    for name in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            for pid in map(int, read(f"/proc/self/task/{name}/children").split()):
                if pid in Child.known:
                    continue
                with contextlib.suppress(ChildProcessError):
                    done, status = os.waitpid(pid, os.WNOHANG)
                    if done:
                        collected[pid] = status
    return collected


def eventually(condition, what="condition", seconds=5.0):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + seconds * FACTOR
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def alive(pid):
    with contextlib.suppress(OSError):
        return read(f"/proc/{pid}/stat").rsplit(") ", 1)[1][0] not in "ZX"
    return False


# ---- leak check ----

class Snapshot:
    def __init__(self):
        reap()
        self.mounts = read("/proc/self/mountinfo").splitlines()
        self.procs = set(descendants())
        self.cgroups = cgroups_tagged()
        kept = {".seccomp", ".devices"}  # the cache of filters and the notes of programs stay on purpose
        self.state = set(os.listdir(root)) - kept if os.path.isdir(root) else set()
        self.temp = {os.path.join(d, n) for d in ("/tmp", "/run", "/dev/shm") if os.path.isdir(d)
                     for n in os.listdir(d) if TAG in n}
        self.fds = set(os.listdir("/proc/self/fd"))

    def leaks(self):
        """Differences between then and now, as text."""
        end = time.monotonic() + 2 * FACTOR
        while True:
            found = self.compare()
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.05)

    def compare(self):
        now, found = Snapshot(), []
        for line in now.mounts:
            if line not in self.mounts:
                found.append(f"mount left: {line}")
        for line in self.mounts:
            # a mount point that somebody removed takes its mount along in every namespace
            if line not in now.mounts and os.path.lexists(line.split()[4]):
                found.append(f"mount gone: {line}")
        for pid, (state, comm) in descendants().items():
            if pid not in self.procs:
                found.append(f"process left: {pid} ({comm}) {state}")
        found += [f"cgroup left: {p}" for p in sorted(now.cgroups - self.cgroups)]
        # names with a dot are caches: no id begins so
        found += [f"state left: {p}" for p in sorted(now.state - self.state) if p[0] != "."]
        found += [f"file left: {p}" for p in sorted(now.temp - self.temp)]
        return found

    def restore(self):
        """Removes what a failed test left, so that the next one starts clean."""
        for _ in range(100):
            left = {p for p, (s, _) in descendants().items() if p not in self.procs}
            if not left:
                break
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            thaw(cgroups_tagged() - self.cgroups)
            reap()
            time.sleep(0.02)
        for path in sorted(cgroups_tagged() - self.cgroups, key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        before = list(self.mounts)
        for line in reversed(read("/proc/self/mountinfo").splitlines()):
            if line not in before:
                with contextlib.suppress(OSError):
                    umount(line.split()[4].encode().decode("unicode_escape"))
        for name in set(os.listdir(root)) - self.state if os.path.isdir(root) else ():
            path = os.path.join(root, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


def thaw(paths):
    for path in paths:
        for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                if os.path.exists(os.path.join(path, name)):
                    with open(os.path.join(path, name), "w") as f:
                        f.write(text)
