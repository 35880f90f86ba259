#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One system call of create or run fails: either the container has every protection, or there is one
line of error and nothing is left.

DAVIT_STRESS=1 tries every call with every error instead of some of them; it takes a quarter of an hour,
so tests/run needs TEST_TIMEOUT=2000."""
from faults import *

ERRORS = ["ENOMEM", "ENOSPC", "EMFILE", "EINTR", "EIO", "EPERM", "ENOSYS", "EAGAIN"]
WANT = 32
LIMIT = 7200 if STRESS else 60

# They have no such errors (brk answers with an address, close always closes), or are the C library's before main().
SURE = {"brk", "close", "exit", "exit_group", "rt_sigreturn", "arch_prctl", "getuid", "geteuid", "getgid", "getegid",
        "getpid", "getppid", "gettid", "umask", "set_tid_address", "rseq", "set_robust_list"}

PROBE = "status + ns + mounts + rlimits + uts + fds + keyring + oom + sched + env + syscall sync + " \
        "cat /proc/sys/net/ipv4/ip_forward + stat /dev/null"
CONF = merge(FULL, {"process": {
    "args": ["/init"] + PROBE.split(),
    "user": {"uid": 1000, "gid": 1000, "additionalGids": [7], "umask": 0o27},
    "capabilities": capsets(CAPS, CAPS, CAPS)}})


def protections(b, text):
    """What the payload saw of itself, without what differs between two containers."""
    facts, result = Facts(text), []
    for key, values in facts.values.items():
        for value in values:
            if key.startswith("ns_"):
                value = value == os.readlink("/proc/self/ns/" + key[3:])
            elif key == "mount":
                left, _, right = value.partition(" - ")
                f = left.split()
                if f[4] == "/dev" + f[3]:
                    continue  # where no node can be made, the host's is bound
                if f[3] == "/null":  # a masked file: which mount the device comes from is all the same
                    f[5] = ""
                flags = [o for o in f[5].split(",") if o in ("ro", "nosuid", "nodev", "noexec")]
                tags = [t.split(":")[0] for t in f[6:] if not t.startswith("master")]
                value = (f[3].replace(b.id, ""), f[4], flags, tags, right.split()[0] if f[5] else "")
            elif key == "fd":
                value = value.split()[0]
            elif key in ("sid", "pgid"):
                value = value == facts["pid"]
            elif key in ("keyring", "pid"):
                continue
            elif key == "keyring_desc":
                value = value.rpartition(";")[2]
            elif key.startswith("stat:"):
                value = value.partition(" ino=")[0]
            result.append((key, str(value)))
    return result


def limits(f, pid):
    """The groups of init, and their limits."""
    result = []
    for h in f.hierarchies:
        group = f"{h}/davit/{f.b.id}"
        result.append((h, str(pid) in read(group + "/cgroup.procs").split()
                       if os.path.isdir(group) else None))
    files = [("pids.max", "pids"), ("devices.list", "devices"), ("memory.max", "memory"),
             ("memory.limit_in_bytes", "memory")]
    if not v2_only():  # there it is only a controller that the payload may have
        files.append(("cpuset.cpus", "cpuset"))
    for name, controller in files:
        with contextlib.suppress(Skip, OSError):
            result.append((name, read(cgroup_dir("davit/" + f.b.id, controller) + "/" + name)))
    return result


def same(facts, wanted, what):
    # a kernel without keyrings has nothing to protect
    known = lambda x: what != "ENOSYS from keyctl" or x[0] != "keyring_desc"
    missing = [x for x in wanted if x not in facts and known(x)]
    added = [x for x in facts if x not in wanted and known(x)]
    assert not missing and not added, f"{what}: lost {missing}, got {added}"


class Moved(Exception):
    """The call that went wrong is none that can."""


class Errors(Faults):
    def __init__(self, b, verb, child=0, args=()):
        super().__init__(b)
        self.verb, self.child, self.argv = verb, child, self.command(verb, *args)

    def choose(self, calls, want=WANT):
        """(number of a call, error) of all that are to be tried."""
        # execve of the payload is the last that is ours
        last = max((i for i, c in enumerate(calls) if c.startswith("execve")), default=len(calls))
        calls = calls[:last + 1] if self.child else calls
        pairs = [(n + 1, e) for n, c in enumerate(calls) if c not in SURE for e in ERRORS]
        self.total = len(pairs)
        if not STRESS:
            pairs = sorted({pairs[int(i * len(pairs) / want)] for i in range(want)})
        self.pairs = pairs

    def begin(self):
        result, calls, _ = self.trace(self.argv, 0, 0, self.child)
        assert result.rc == 0, result
        self.wanted = self.succeeded(result)
        self.choose(calls)

    def succeeded(self, result):
        """Looks at the container, and takes it away."""
        limit = []
        if self.verb == "create":
            limit = limits(self, self.b.pid())
            start = run_davit("start", self.b.id)
            assert start.rc == 0, start
            self.b.wait_stopped()
            run_davit("delete", "--force", self.b.id, check=True)
        facts = protections(self.b, read(self.b.stdout))
        assert facts, result
        self.clean()
        return facts + limit

    def fail(self, pair):
        """Runs the command: its result, and what was done to it."""
        n, error = pair
        result, calls, hit = self.trace(self.argv, n, getattr(errno, error), self.child)
        what = f"{error} from {self.name(calls)}"
        if hit and self.name(calls) in SURE:
            raise Moved
        assert result.rc != 124, f"{what}: hangs"
        assert result.rc < 128 or result.rc == 255, f"{what}: crashes: {result}"
        if result.rc:
            lines = [line for line in result.err.splitlines() if "ignoring" not in line]
            assert len(lines) == 1 or "write" in what, f"{what}: {result}"
            assert "EOF" not in result.err, f"{what}: {result}"
        return result, what

    def one(self, pair):
        try:
            self.judge(pair)
        except Moved:  # not every time as many calls come before: it is none of those that were chosen
            print(f"# {pair}: another call this time")
            self.recover()

    def judge(self, pair):
        result, what = self.fail(pair)
        if result.rc == 0:
            try:
                same(self.succeeded(result), self.wanted, what)
            except AssertionError as e:
                raise AssertionError(f"{what}: {e}") from None
            return
        try:
            self.clean(3)
        except AssertionError as e:
            # when removing itself fails, the error says so, and the next delete succeeds
            removing = what.endswith(("rmdir", "unlinkat")) and "remove" in result.err
            # as if somebody else had come first
            removing |= what == "EAGAIN from flock"
            r = run_davit("delete", "--force", self.b.id)
            if not removing or r.rc:
                raise AssertionError(f"{what}: {e}: {result}") from None
            self.clean()


def sweep(verb, child):
    with Bundle(CONF) as b:
        f = Errors(b, verb, child)
        f.begin()
        f.sweep(f.pairs, f.one)
        print(f"# {verb}, {'init' if child else 'runtime'}: {len(f.pairs)} of {f.total}", flush=True)


class ExecErrors(Errors):
    """exec of a container that stays: it must be as before."""

    def recover(self):
        pass

    def succeeded(self, result):
        assert result.rc == 0, result
        return protections(self.b, result.out)

    def judge(self, pair):
        result, what = self.fail(pair)
        if result.rc == 0:
            same(self.succeeded(result), self.wanted, what)

        def alone():
            reap()
            return set(descendants()) == {self.first}
        eventually(alone, f"{what}: init alone: {self.first} {descendants()}", 1)
        assert self.b.state()["status"] == "running", what


def exec_sweep(child):
    with Bundle(merge(CONF, command_args("pause"))) as b:
        f = ExecErrors(b, "exec", child, ["/init"] + PROBE.split())
        b.create(keep_config=True)
        b.start()
        b.wait_output("ready=1")
        f.first = b.pid()
        f.begin()
        f.sweep(f.pairs, f.one)
        b.delete("--force")
        f.clean()
        print(f"# exec, {'process' if child else 'runtime'}: {len(f.pairs)} of {f.total}", flush=True)


@test("a system call of create fails", limit=LIMIT)
def create():
    sweep("create", 0)


@test("a system call of init fails in create", limit=LIMIT)
def create_init():
    sweep("create", 1)


@test("a system call of run fails", limit=LIMIT)
def run():
    sweep("run", 0)


@test("a system call of init fails in run", limit=LIMIT)
def run_init():
    sweep("run", 1)


@test("a system call of exec fails", limit=LIMIT)
def exec_():
    exec_sweep(0)


@test("a system call of exec's process fails", limit=LIMIT)
def exec_process():
    exec_sweep(1)


@test("delete, start and state of a running container fail: it runs on, and nobody takes it for stopped",
      limit=LIMIT)
def running():
    with Bundle(merge(CONF, command_args("pause"))) as b:
        f = ExecErrors(b, "delete")
        b.create(keep_config=True)
        b.start()
        b.wait_output("ready=1")
        pid = b.pid()

        def one(pair):
            result, what = f.fail(pair)
            if f.verb == "state":
                assert result.rc or json.loads(result.out)["status"] == "running", f"{what}: {result}"
            else:
                assert result.rc, f"{what}: {result}"
            assert alive(pid), f"{what}: {result}"
            if f.verb != "state":
                assert b.state()["pid"] == pid, what
        for f.verb in ("delete", "start", "state"):
            f.argv = f.command(f.verb)
            _, calls, _ = f.trace(f.argv)
            f.choose(calls, WANT // 3)
            f.sweep(f.pairs, one)
            print(f"# {f.verb}: {len(f.pairs)} of {f.total}", flush=True)
        b.delete("--force")
        f.clean()


main()
