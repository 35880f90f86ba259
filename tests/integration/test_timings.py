#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""--timings: where the time of each command goes, step by step, and that looking changes nothing."""
from davit import *

LINE = re.compile(r"davit: info: (\S+) +(runtime|init) +(\d+) us, waited +(\d+) us")


class Timed:
    """One command with --timings: rows of (name, process, us, us waited), and what it took by our clock."""

    def __init__(self, *args, **more):
        begin = time.monotonic()
        self.result = run_davit("--timings", *args, **more)
        self.wall = (time.monotonic() - begin) * 1e6
        lines = [line for line in self.result.err.splitlines() if line.startswith("davit: info: ")]
        self.rows = [(m[1], m[2], int(m[3]), int(m[4])) for m in map(LINE.fullmatch, lines) if m]
        assert len(self.rows) == len(lines), self.result.err

    def names(self, process="runtime"):
        return [name for name, who, *_ in self.rows if who == process]

    def check(self):
        """The parts of the runtime are its whole, to the microsecond, and no more than went by."""
        own = [row for row in self.rows if row[1] == "runtime"]
        assert own and own[-1][0] == "total" and own[0][0] == "entry" and own[-2][0] == "end", self.rows
        for column in (2, 3):
            parts = sum(row[column] for row in own[:-1])
            assert parts == own[-1][column], (parts, own)
        assert own[-1][2] + own[-1][3] <= self.wall, (own[-1], self.wall)
        init = [row for row in self.rows if row[1] == "init"]
        assert sum(row[2] + row[3] for row in init) <= self.wall, (init, self.wall)
        return self


def planned(*args):
    """[(step, runtime or init)] of the steps that --plan says will run."""
    table = [line.split() for line in run_davit("create", "--plan", *args, check=True).out.splitlines()]
    return [(row[0], row[1].split("-")[0]) for row in table if row[3] == "run"]


# nothing is timed once the payload's filter holds, nor can what execve(2) replaced tell
LAST = {"wait-start", "seccomp-late", "seccomp-notify", "hooks-start-container", "exec"}


def steps_of(timed, plan):
    known = [(name, who) for name, who, *_ in timed.rows]
    wanted = [step for step in plan if step[0] not in LAST]
    first, last = known.index(wanted[0]), known.index(wanted[-1])
    assert known[first:last + 1] == wanted, (known, wanted)
    return timed.names()[:timed.names().index(wanted[0][0])]


def bundle():
    return Bundle({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}},
                   "hooks": {kind: [{"path": shutil.which("true")}] for kind in ("createRuntime", "poststart",
                                                                                 "poststop")}})


@test("create, state, start, kill and delete show each of their steps, which add up to the whole")
def life():
    with bundle() as b:
        b.save(command_args("pause"))
        plan = planned("--bundle", b.dir, b.id)
        created = Timed("create", "--bundle", b.dir, b.id, check=True).check()
        b.ids.add(b.id)
        assert steps_of(created, [s for s in plan if s[0] != "exec-wait"]) == ["entry", "config", "plan"], created.rows
        assert created.names()[-3:] == ["state-created", "end", "total"], created.rows
        for args, names in ((["state"], ["container", "state"]),
                            (["start"], ["container", "release", "hooks-poststart"]),
                            (["kill"], ["container", "signal"]), (["pause"], []), (["resume"], []), (["ps"], []),
                            (["delete", "--force"],
                             ["container", "kill", "cgroup-remove", "hooks-poststop", "state-remove"])):
            if args[0] in ("pause", "resume") and not own_cgroup(b):
                continue
            more = ["0"] if args == ["kill"] else []
            timed = Timed(*args, b.id, *more, check=True).check()
            assert timed.names() == ["entry", *names, "end", "total"], timed.rows
            assert not timed.names("init"), timed.rows
        b.ids.discard(b.id)


def own_cgroup(b):
    return run_davit("pause", b.id).rc == 0 and run_davit("resume", b.id).rc == 0


@test("run and exec show each of their steps, and the time of the payload as waiting")
def run_and_exec():
    with bundle() as b:
        b.save(command_args("sleep", "0.3"))
        plan = [s for s in planned("--bundle", b.dir, b.id) if s[0] not in ("start-listen", "init-ready", "wait-start")]
        timed = Timed("run", "--bundle", b.dir, b.id, check=True).check()
        assert steps_of(timed, plan + [("exec-wait", "runtime")]) == ["entry", "config", "plan"], timed.rows
        after = timed.names()[timed.names().index("exec-wait") + 1:]
        assert after == ["hooks-poststart", "payload", "cgroup-remove", "hooks-poststop", "state-remove", "end",
                         "total"], after
        payload = [row for row in timed.rows if row[0] == "payload"][0]
        assert payload[3] > 100000 > payload[2], payload
        b.save(command_args("pause"))
        b.up()
        timed = Timed("exec", b.id, "/init", "sleep", "0.3", check=True).check()
        names = timed.names()
        assert names[:4] == ["entry", "container", "plan", "exec-prepare"], names
        assert names[-5:] == ["exec-wait", "exec-started", "payload", "end", "total"], names
        assert "exec-resolve" in timed.names("init") and "fds-seal" in timed.names("init"), timed.rows
        b.delete("--force")


@test("what fails is timed as well, up to where it failed")
def failure():
    with bundle() as b:
        b.save({"mounts": b.conf["mounts"] + [{"destination": "/x", "type": "none", "source": "/nowhere",
                                               "options": ["bind"]}]}, command_args("pause"))
        timed = Timed("create", "--bundle", b.dir, b.id).check()
        assert timed.result.rc != 0 and "/nowhere" in timed.result.err, timed.result
        assert "state-reserve" in timed.names() and "state-created" not in timed.names(), timed.rows
        timed = Timed("state", b.id).check()
        assert timed.result.rc != 0 and timed.names() == ["entry", "end", "total"], timed.rows


@test("the lines go to the log, whatever its level; without the option there are none")
def where():
    with bundle() as b:
        b.save(command_args("pause"))
        b.up()
        log = b.side("log") + "/log"
        timed = Timed("--log", log, "--log-format", "json", "--log-level", "error", "state", b.id, check=True)
        assert not timed.rows, timed.rows
        lines = [json.loads(line) for line in read(log).splitlines()]
        assert [line["msg"].split()[0] for line in lines] == ["entry", "container", "state", "end", "total"], lines
        assert all(line["level"] == "info" for line in lines), lines
        for args in ([], ["--debug"]):
            assert "us, waited" not in run_davit(*args, "state", b.id, check=True).err
        b.delete("--force")


def strace_lines(*argv):
    log = os.path.join(work, unique("trace"))
    result = run_command([strace_tool(), "-f", "-o", log, *argv], check=True)
    return [line.split(None, 1)[1] for line in read(log).splitlines()], result


@test("it costs a write for each line, and nothing when it is off")
def cost():
    with bundle() as b:
        b.save(command_args("pause"))
        b.up()
        off, _ = strace_lines(*command("state", b.id))
        on, result = strace_lines(*command("--timings", "state", b.id))
        calls = [[line.split("(")[0] for line in lines] for lines in (off, on)]
        assert "clock_gettime" not in calls[0], off
        more = len(result.err.splitlines())
        on = [name for name in calls[1] if name != "clock_gettime"]  # a call only where the vDSO cannot tell
        assert sorted(on) == sorted(calls[0] + ["write"] * more), (on, calls[0])
        b.delete("--force")


@test("neither --timings nor --debug calls what the payload's filter forbids")
def tight():
    # not sendmsg, by which init's lines would go
    few = """access arch_prctl brk close dup2 execve execveat exit exit_group fstat futex getpid getrandom lseek mmap
        mprotect munmap newfstatat openat prctl pread64 prlimit64 read readlink readlinkat rseq rt_sigaction
        rt_sigprocmask rt_sigreturn set_robust_list set_tid_address uname write writev""".split()
    over = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_KILL_PROCESS",
                                  "syscalls": [{"names": few, "action": "SCMP_ACT_ALLOW"}]}}}
    with Bundle(over) as b:
        b.conf["process"]["noNewPrivileges"] = True
        b.save(command_args("echo", "alive"))
        for flags in ([], ["--timings"], ["--debug"], ["--timings", "--debug"]):
            result = run_davit(*flags, "run", "--bundle", b.dir, b.id)
            assert result.rc == 0 and "arg=alive" in result.out, (flags, result)


if __name__ == "__main__":
    main()
