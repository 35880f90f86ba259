#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Seccomp: actions, arguments, architectures, flags, the listener."""
import fcntl
import struct

from davit import *


def filter_(default="SCMP_ACT_ALLOW", *rules, **more):
    return {"linux": {"seccomp": {"defaultAction": default, "syscalls": list(rules), **more}}}


def rule(names, action="SCMP_ACT_ERRNO", args=None, errno_ret=None):
    r = {"names": names if isinstance(names, list) else [names], "action": action}
    if args is not None:
        r["args"] = args
    if errno_ret is not None:
        r["errnoRet"] = errno_ret
    return r


def arg(index, value, op="SCMP_CMP_EQ", two=None):
    a = {"index": index, "value": value, "op": op}
    if two is not None:
        a["valueTwo"] = two
    return a


# what a static program needs to start, print and end
NEEDED = """access arch_prctl brk close dup2 execve execveat exit exit_group faccessat faccessat2 fcntl fstat
futex getpid getrandom ioctl lseek mmap mprotect munmap newfstatat openat prctl pread64 prlimit64 read
readlink readlinkat rseq rt_sigaction rt_sigprocmask rt_sigreturn set_robust_list set_tid_address
uname write writev""".split()


@test("a rule with SCMP_ACT_ERRNO gives that errno; the default is EPERM")
def errno_action():
    over = filter_("SCMP_ACT_ALLOW", rule("getcwd"), rule("sethostname", errno_ret=38), rule("sync", errno_ret=0))
    with Bundle(over) as b:
        facts = b.probe("status", "+", "syscall", "getcwd", "0", "0", "+", "syscall", "sethostname", "0", "0",
                        "+", "syscall", "sync", "+", "syscall", "getpid")
        assert facts["seccomp"] == "2", facts.text
        assert facts["syscall:getcwd"] == "EPERM" and facts["syscall:sethostname"] == "ENOSYS", facts.text
        assert facts["syscall_ret:sync"] == "0" and facts["syscall_ret:getpid"] == "1", facts.text


@test("without a profile there is no filter")
def none():
    needs_calls()  # else there is the filter that takes them away
    with Bundle() as b:
        assert b.probe("status")["seccomp"] == "0"


@test("an allow list: everything else gets defaultErrnoRet")
def allow_list():
    over = filter_("SCMP_ACT_ERRNO", rule(NEEDED, "SCMP_ACT_ALLOW"), defaultErrnoRet=95)
    with Bundle(over) as b:
        facts = b.probe("syscall", "getppid", "+", "syscall", "getpid", "+", "echo", "alive")
        assert facts["syscall:getppid"] == "EOPNOTSUPP", facts.text
        assert facts["syscall:getpid"] == "ok" and facts["arg"] == "alive", facts.text


@test("the filter need not allow what only the runtime calls, with no_new_privs")
def tight():
    few = [n for n in NEEDED if n not in ("access", "dup2", "getpid", "prctl", "ioctl", "fcntl", "close",
                                          "openat", "lseek", "faccessat", "faccessat2", "readlinkat")]
    over = filter_("SCMP_ACT_ERRNO", rule(few, "SCMP_ACT_ALLOW"))
    with Bundle(over) as b:
        assert b.probe("echo", "alive")["arg"] == "alive"


@test("SCMP_ACT_KILL_PROCESS ends the program with SIGSYS: 128+31")
def kill_action():
    for action in ("SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD"):
        with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid", action))) as b:
            b.save(command_args("echo", "before", "+", "syscall", "getppid", "+", "echo", "after"))
            r = b.run()
            assert r.rc == 159 and "arg=before" in r.out and "arg=after" not in r.out, (action, r)


@test("a default action of kill kills calls that no rule allows")
def kill_default():
    with Bundle(filter_("SCMP_ACT_KILL_PROCESS", rule(NEEDED, "SCMP_ACT_ALLOW"))) as b:
        b.save(command_args("echo", "before", "+", "syscall", "getppid"))
        r = b.run()
        assert r.rc == 159 and "arg=before" in r.out, r


@test("SCMP_ACT_TRAP sends SIGSYS; SCMP_ACT_LOG and SCMP_ACT_ALLOW let the call through")
def other_actions():
    with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_TRAP"))) as b:
        b.save(command_args("syscall", "getppid"))
        assert b.run().rc == 159
    with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_LOG"))) as b:
        assert b.probe("syscall", "getppid")["syscall:getppid"] == "ok"


@test("every operator compares as it says, with 64 bits")
def operators():
    big = 1 << 32
    cases = [("SCMP_CMP_EQ", 5, None, {5: 1, 4: 0, big + 5: 0}), ("SCMP_CMP_NE", 5, None, {5: 0, 4: 1, big + 5: 1}),
             ("SCMP_CMP_LT", 5, None, {4: 1, 5: 0, big: 0}), ("SCMP_CMP_LE", 5, None, {5: 1, 6: 0, big + 1: 0}),
             ("SCMP_CMP_GT", 5, None, {6: 1, 5: 0, big: 1}), ("SCMP_CMP_GE", 5, None, {5: 1, 4: 0, big: 1}),
             ("SCMP_CMP_LT", big, None, {big - 1: 1, big: 0, big + 1: 0}),
             ("SCMP_CMP_GT", big, None, {big: 0, big + 1: 1, big - 1: 0}),
             ("SCMP_CMP_MASKED_EQ", 0xf0, 0x30, {0x35: 1, 0x30: 1, 0x45: 0, big + 0x30: 1})]
    for op, value, two, table in cases:
        # getsid takes one argument and fails with ESRCH for a pid that is not there
        with Bundle(filter_("SCMP_ACT_ALLOW", rule("getsid", args=[arg(0, value, op, two)], errno_ret=77))) as b:
            words = []
            for v in table:
                words += ["syscall", "getsid", v, "+"]
            got = [v == "EBADFD" for v in b.probe(*words[:-1]).all("syscall:getsid")]
            assert got == [bool(x) for x in table.values()], (op, value, table, got)


@test("several arguments of one rule must all match")
def arguments_and():
    over = filter_("SCMP_ACT_ALLOW", rule("kill", args=[arg(0, 1000), arg(1, 0)], errno_ret=77))
    with Bundle(over) as b:
        facts = b.probe("syscall", "kill", "1000", "0", "+", "syscall", "kill", "1001", "0", "+",
                        "syscall", "kill", "1000", "1")
        assert facts.all("syscall:kill") == ["EBADFD", "ESRCH", "ESRCH"], facts.text


@test("two rules for one call: either matches")
def rules_or():
    over = filter_("SCMP_ACT_ALLOW", rule("getsid", args=[arg(0, 1000)], errno_ret=77),
                   rule("getsid", args=[arg(0, 1001)], errno_ret=77))
    with Bundle(over) as b:
        facts = b.probe("syscall", "getsid", "1000", "+", "syscall", "getsid", "1001", "+", "syscall", "getsid", "1002")
        assert facts.all("syscall:getsid") == ["EBADFD", "EBADFD", "ESRCH"], facts.text


@test("the same argument twice in one rule keeps both comparisons (in range) or is split as peers do")
def arguments_same_index():
    over = filter_("SCMP_ACT_ALLOW", rule("getsid", args=[arg(0, 1000, "SCMP_CMP_EQ"), arg(0, 2000, "SCMP_CMP_EQ")],
                                          errno_ret=77))
    with Bundle(over) as b:
        b.save(command_args("syscall", "getsid", "1000", "+", "syscall", "getsid", "3000"))
        r = b.run()
        if r.rc == 0:
            assert Facts(r.out).all("syscall:getsid")[1] == "ESRCH", r
        else:
            assert r.err.strip(), r


@test("unknown system call names are ignored, unknown actions and operators refused")
def unknown_words():
    with Bundle(filter_("SCMP_ACT_ALLOW", rule(["no_such_call", "getppid"]))) as b:
        assert b.probe("syscall", "getppid")["syscall:getppid"] == "EPERM"
    for over in (filter_("SCMP_ACT_MAYBE"), filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_MAYBE")),
                 filter_("SCMP_ACT_ALLOW", rule("getsid", args=[arg(0, 1, "SCMP_CMP_LIKE")])),
                 filter_("SCMP_ACT_ALLOW", architectures=["SCMP_ARCH_PDP11"]),
                 filter_("SCMP_ACT_ALLOW", rule([])), filter_("SCMP_ACT_ALLOW", flags=["SECCOMP_FILTER_FLAG_X"]),
                 filter_("SCMP_ACT_ALLOW", rule("getsid", args=[arg(6, 1)]))):
        with Bundle(over) as b:
            fails(b.create(check=False))


@test("an errno for an action that has none is refused")
def errno_without_action():
    for over in (filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_KILL", errno_ret=5)),
                 filter_("SCMP_ACT_ALLOW", defaultErrnoRet=5)):
        with Bundle(over) as b:
            fails(b.create(check=False))


@test("calls of an architecture that is not listed are stopped; a listed one is filtered too")
def architectures():
    if os.uname().machine != "x86_64":
        raise Skip("x86_64 only")
    with Bundle() as b:
        if b.probe("sys32")["sys32"] != "1":
            raise Skip("this kernel has no 32-bit calls")
    for archs, ok in ((["SCMP_ARCH_X86_64"], False), (["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], True)):
        with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid"), architectures=archs)) as b:
            b.save(command_args("sys32"))
            r = b.run()
            assert (r.rc == 0 and "sys32=1\n" in r.out) == ok, (archs, r)
    with Bundle(filter_("SCMP_ACT_ALLOW", rule("getpid"), architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])) as b:
        assert b.probe("sys32")["sys32"] == "-1"  # -EPERM


@test("flags LOG, SPEC_ALLOW and TSYNC are accepted")
def flags():
    for names in (["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"], ["SECCOMP_FILTER_FLAG_TSYNC"], []):
        with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid"), flags=names)) as b:
            b.save(command_args("syscall", "getppid"))
            r = b.run()
            assert r.rc == 0 and "EPERM" in r.out, (names, r)


@test("the filter works without noNewPrivileges, and for another user")
def without_nnp():
    for uid in (0, 1000):
        over = merge(filter_("SCMP_ACT_ALLOW", rule("getppid")),
                     {"process": {"noNewPrivileges": False, "user": {"uid": uid, "gid": uid}}})
        with Bundle(over) as b:
            facts = b.probe("status", "+", "syscall", "getppid")
            assert (facts["nnp"], facts["seccomp"], facts["syscall:getppid"]) == ("0", "2", "EPERM"), facts.text
            assert facts["uid"] == str(uid)


@test("exec is filtered as init is")
def exec_filtered():
    with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid"))) as b:
        b.up()
        facts = b.exec_facts("status", "+", "syscall", "getppid")
        assert facts["seccomp"] == "2" and facts["syscall:getppid"] == "EPERM", facts.text
        b.delete("--force")


@test("calls newer than the profile get ENOSYS or the default, never a crash")
def newer_calls():
    with Bundle(filter_("SCMP_ACT_ERRNO", rule(NEEDED, "SCMP_ACT_ALLOW"))) as b:
        facts = b.probe("syscall", "9999", "+", "syscall", "openat2", "0", "0", "0", "0")
        assert facts["syscall:9999"] in ("ENOSYS", "EPERM"), facts.text


# struct seccomp_notif is 80 bytes, seccomp_notif_resp 24
NOTIF_RECV, NOTIF_SEND = 0xc0502100, 0xc0182101


def serve(fd, error=0, value=0):
    """Answers one notification; returns (pid, syscall number, args)."""
    buf = bytearray(80)
    fcntl.ioctl(fd, NOTIF_RECV, buf)
    ident, pid, _, nr, _, _, *args = struct.unpack("=QIIiIQ6Q", buf)
    fcntl.ioctl(fd, NOTIF_SEND, bytearray(struct.pack("=QqiI", ident, value, -error, 0)))
    return pid, nr, args


@test("the listener gets the descriptor with the container process state, and can answer")
def listener():
    with Bundle({"annotations": {"org.example.k": "v"}}) as b, FdReceiver("n") as s:
        b.save(filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_NOTIFY"), listenerPath=s.path,
                       listenerMetadata="meta=1"), command_args("syscall", "getppid", "+", "syscall", "getppid"))
        p = b.spawn()
        data, fds = s.receive()
        state = json.loads(data)
        assert state["fds"] == ["seccompFd"] and len(fds) == 1, (state, fds)
        assert state["metadata"] == "meta=1" and state["pid"] > 1 and state["ociVersion"], state
        inner = state["state"]
        assert inner["id"] == b.id and inner["bundle"] == b.dir and inner["pid"] == state["pid"], state
        assert inner["status"] in ("creating", "created", "running"), state
        assert inner["annotations"]["org.example.k"] == "v", state
        serve(fds[0], value=4242)
        serve(fds[0], error=77)
        out, err = p.communicate(timeout=10)
        facts = Facts(out.decode())
        assert p.returncode == 0 and facts["syscall_ret:getppid"] == "4242", (out, err)
        assert facts.all("syscall:getppid") == ["ok", "EBADFD"], out


@test("the connection to the listener is closed after the state was sent")
def listener_closed():
    with Bundle() as b, FdReceiver("n") as s:
        b.save(filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_NOTIFY"), listenerPath=s.path),
               command_args("pause"))
        b.create()
        b.start()
        data, fds = s.receive(to_eof=True)
        assert json.loads(data)["fds"] == ["seccompFd"] and len(fds) == 1, data
        b.delete("--force")


@test("a notified call that the runtime itself needs does not hang it")
def listener_sendmsg():
    with Bundle() as b, FdReceiver("n") as s:
        b.save(filter_("SCMP_ACT_ALLOW", rule(["sendmsg", "getppid"], "SCMP_ACT_NOTIFY"), listenerPath=s.path),
               command_args("syscall", "getppid"))
        p = b.spawn()
        _, fds = s.receive()
        agent = os.fork()  # no thread: the C library makes none where clone3 is forbidden
        if agent == 0:
            with contextlib.suppress(OSError):
                while True:
                    buf = bytearray(80)
                    fcntl.ioctl(fds[0], NOTIF_RECV, buf)
                    ident = struct.unpack_from("=Q", buf)[0]
                    # SECCOMP_USER_NOTIF_FLAG_CONTINUE
                    fcntl.ioctl(fds[0], NOTIF_SEND, bytearray(struct.pack("=QqiI", ident, 0, 0, 1)))
            os._exit(0)
        try:
            out, err = p.communicate(timeout=15)
        finally:
            os.kill(agent, signal.SIGKILL)
            os.waitpid(agent, 0)
        assert p.returncode == 0 and b"syscall:getppid=ok" in out, (out, err)


@test("a listener that is not there is an error; without NOTIFY listenerPath is ignored")
def listener_missing():
    with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_NOTIFY"), listenerPath="/nowhere/s")) as b:
        b.save()
        r = b.run()
        assert r.rc != 0 and "/nowhere/s" in r.err, r
    with Bundle(filter_("SCMP_ACT_ALLOW", rule("getppid"), listenerPath="/nowhere/s")) as b:
        assert b.probe("syscall", "getppid")["syscall:getppid"] == "EPERM"
    for over, at in ((filter_("SCMP_ACT_ALLOW", rule("getppid", "SCMP_ACT_NOTIFY")), "listenerPath"),
                     (filter_("SCMP_ACT_ALLOW", rule("getppid"), listenerMetadata="x"), "listenerMetadata")):
        with Bundle(over) as b:
            b.save()
            fails(b.run(), f"(config.json /linux/seccomp/{at})")


@test("a container with a large profile (300 rules) starts and filters")
def large():
    rules = [rule("getsid", args=[arg(0, 1000 + i)], errno_ret=77) for i in range(300)]
    with Bundle(filter_("SCMP_ACT_ALLOW", *rules)) as b:
        facts = b.probe("syscall", "getsid", "1299", "+", "syscall", "getsid", "1300")
        assert facts.all("syscall:getsid") == ["EBADFD", "ESRCH"], facts.text


main()
