# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands whose n-th system call goes wrong (kill.c), and what must be true afterwards."""
from davit import *

STRESS = bool(os.environ.get("DAVIT_STRESS"))
HANG = 10  # seconds after which a command counts as hanging

FULL = {
    "process": {
        "args": ["/init", "pause"],
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64}],
        "oomScoreAdj": 500,
    },
    "root": {"readonly": True},
    "linux": {
        "namespaces": namespaces(*NAMESPACES, "cgroup"),
        "resources": {"pids": {"limit": 20}, "memory": {"limit": 64 << 20}},
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
        },
    },
}


def tool():
    """The tracer; skips where processes may not be traced."""
    if is_sanitized():
        raise Skip("a program with sanitizers cannot be traced")
    needs_program()
    built = os.environ.get("BUILD")
    path = os.path.join(built, "tests", "kill") if built else os.path.join(work, "kill")
    if not os.path.exists(path):
        subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O1", "-static", "-o", path,
                        os.path.join(HERE, "kill.c")], check=True, timeout=60)
    probe = subprocess.run([path, "true"], stderr=subprocess.PIPE, timeout=20)
    if probe.returncode:
        raise Skip(f"processes cannot be traced here: {probe.stderr.decode().strip()}")
    return path


class Faults:
    """A container whose commands are made to go wrong."""

    def __init__(self, bundle):
        self.b, self.kill = bundle, tool()
        self.hierarchies = sorted(set(cgroup_hierarchies().values()))
        self.log = os.path.join(work, "calls")
        self.pid_file = bundle.side("pid") + "/pid"
        bundle.save()
        self.before = self.host()

    def host(self):
        return {
            "mounts": read("/proc/self/mountinfo"),
            "processes": sorted(f"{p} {c} {s}" for p, (s, c) in descendants().items()),
            "files": sorted(os.listdir(self.b.dir)) + sorted(os.listdir(self.b.side("pid"))),
            "state": sorted(n for n in os.listdir(root) if not n.startswith(".")),
            "cache": sorted(n for d in os.listdir(root) if d.startswith(".")
                            for n in os.listdir(os.path.join(root, d)) if n.startswith("new.")),
            "cgroups": [p for h in self.hierarchies for p in (f"{h}/davit/{self.b.id}",)
                        if os.path.isdir(p)],
        }

    def command(self, verb, *args):
        """The arguments of a command on this container."""
        flags = {"create": ["--bundle", self.b.dir, "--pid-file", self.pid_file],
                 "run": ["--bundle", self.b.dir, "--pid-file", self.pid_file]}.get(verb, [])
        return command(verb, *flags, *([args[0]] if args and args[0][0] == "-" else []), self.b.id,
                       *[a for a in args if a[0] != "-"])

    def trace(self, argv, n=0, error=0, child=0):
        """Runs a command whose n-th call goes wrong: (result, calls until then, whether it did)."""
        with open(self.b.stdout, "wb") as out, open(self.b.stderr, "wb") as err:
            begin = time.monotonic()
            rc = subprocess.Popen(
                [self.kill, "-c", str(child), "-n", str(n), "-e", str(error), "-o", self.log,
                 "-t", str(int(HANG * FACTOR)), *argv], stdin=subprocess.DEVNULL, stdout=out,
                stderr=err).wait(HANG * FACTOR + 10)
            seconds = time.monotonic() - begin
        lines = read(self.log).split("\n")
        calls = [line[5:] for line in lines if line.startswith("call ")]
        return (Result(argv[3:], rc, read(self.b.stdout), read(self.b.stderr), seconds), calls,
                "hit" in lines)

    def points(self, argv, want, child=0):
        """Numbers of the calls that are to go wrong: all of them, or some from all over."""
        result, calls, _ = self.trace(argv, 0, 0, child)
        assert result.rc == 0, result
        self.total = len(calls)
        if STRESS or len(calls) <= want:
            return range(1, len(calls) + 1)
        return sorted({1 + i * (len(calls) - 1) // (want - 1) for i in range(want)})

    def name(self, calls):
        return calls[-1] if calls else "?"

    def answers(self):
        """state and list must not fail, whatever has happened."""
        state = run_davit("state", self.b.id)
        listed = run_davit("list", "--format", "json", check=True)
        for _ in range(50):  # a payload may end in between
            if state.rc == 0 and f'"status":"{state.json["status"]}"' not in listed.out:
                state, listed = run_davit("state", self.b.id), run_davit("list", "--format", "json")
        assert state.rc == 0 or "does not exist" in state.err, state
        known = [c for c in json.loads(listed.out) or [] if c["id"] == self.b.id]
        if state.rc == 0:
            assert known and known[0]["status"] == state.json["status"], (listed, state)
        else:
            assert not known, (listed, state)
        return state.json["status"] if state.rc == 0 else None

    def clean(self, seconds=5.0):
        """Nothing of the container is left."""
        end = time.monotonic() + seconds * FACTOR
        while True:
            reap()
            with contextlib.suppress(OSError):
                os.unlink(self.pid_file)  # it is complete, and the caller's
            now = self.host()
            if now == self.before:
                return
            assert time.monotonic() < end, "left: " + "; ".join(
                f"{k}: {[x for x in now[k] if x not in self.before[k]] if k != 'mounts' else ''}"
                for k in now if now[k] != self.before[k])
            time.sleep(0.005)

    def again(self):
        """A container with this id can be made and removed."""
        result = run_davit("create", "--bundle", self.b.dir, self.b.id, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        assert result.rc == 0, result
        run_davit("delete", "--force", self.b.id, check=True)
        self.clean()

    def recover(self):
        """Takes away what a failed point left."""
        run_davit("delete", "--force", self.b.id)
        with contextlib.suppress(AssertionError):
            self.clean()

    def sweep(self, points, one):
        """Calls one(n) for every point; tells of all that went wrong."""
        bad, done = [], 0
        for n in points:
            done += 1
            try:
                one(n)
            except AssertionError as e:
                bad.append(f"call {n}: {e}"[:1500])
                self.recover()
                if len(bad) > 20:
                    break
        assert not bad, f"{len(bad)} of {done} points:\n" + "\n".join(bad)
