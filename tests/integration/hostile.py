# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of hostile bundles share: a canary on the host, an attempt, a racer."""
import os

from davit import *

RACES = int(os.environ.get("RACES", "20"))  # how often a race is run


class Canary:
    """A host directory that no container may change or show."""

    def __init__(self, b):
        self.dir = b.side("canary")
        for name in ("ptmx", "null", "x"):
            write(f"{self.dir}/{name}", "canary " + name, 0o640)
        self.before = self.look()

    def look(self):
        rows = [(n, tuple(os.lstat(f"{self.dir}/{n}"))[:7] + (os.lstat(f"{self.dir}/{n}").st_mtime_ns,),
                 read(f"{self.dir}/{n}") if os.path.isfile(f"{self.dir}/{n}") else "")
                for n in sorted(os.listdir(self.dir))]
        return rows, os.lstat(self.dir).st_mode, [l for l in read("/proc/self/mountinfo").splitlines() if self.dir in l]

    def intact(self, what=""):
        now = self.look()
        assert now == self.before, f"canary changed {what}: {self.before} -> {now}"


def attempt(b, *words, over=None, flags=()):
    """Runs the probe; returns its facts, or None when the runtime refused cleanly."""
    b.save(command_args(*words), over or {})
    r = b.run(*flags)
    if r.rc != 0:
        assert r.err.strip() and r.rc > 0, r
        return None
    return Facts(r.out)


def bind(source, destination, *options):
    return {"source": source, "destination": destination, "type": "bind", "options": list(options or ("rbind",))}


def replace(b, inside, target):
    """Puts a symlink in the place of a directory of the rootfs."""
    path = b.path(inside)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


RACER = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None)
a, b = (p.encode() for p in sys.argv[1:3])
while True:
    libc.renameat2(-100, a, -100, b, 2)
"""


@contextlib.contextmanager
def racer(a, b):
    """Swaps two names as fast as it can."""
    p = subprocess.Popen([sys.executable, "-c", RACER, a, b])
    try:
        yield
    finally:
        p.kill()
        p.wait()
