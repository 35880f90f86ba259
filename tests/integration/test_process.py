#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The process object: user, environment, capabilities, limits, scheduling, terminal."""
import fcntl
import struct
import termios

from davit import *


def process(**over):
    return {"process": over}


@test("uid, gid and additional groups are exactly those of the config")
def user():
    with Bundle(process(user={"uid": 1234, "gid": 567, "additionalGids": [5, 10, 5000]})) as b:
        facts = b.probe("status")
        assert (facts["uid"], facts["euid"], facts["suid"]) == ("1234",) * 3, facts.text
        assert (facts["gid"], facts["egid"], facts["sgid"]) == ("567",) * 3, facts.text
        assert set(facts["groups"].split(",")) - {"567"} == {"5", "10", "5000"}, facts.text


@test("groups of the caller are dropped")
def no_caller_groups():
    with Bundle() as b:
        b.save(command_args("status"))
        r = b.run(preexec=lambda: os.setgroups([111, 222, 333, 444, 555]), check=True)
        assert Facts(r.out)["groups"] in ("", "0"), r


@test("umask is set; without it that of the caller stays, unless it is 0")
def umask():
    for configured, callers, want in ((0o27, 0o77, "0027"), (0, 0o77, "0000"), (0o1777, 0o22, "0777"),
                                      (None, 0o13, "0013"), (None, 0o77, "0077"), (None, 0, "0022")):
        with Bundle(process(user={"umask": configured})) as b:
            b.save({"mounts": MOUNTS + [{"destination": "/made/here", "type": "tmpfs", "source": "t"}]})
            facts = b.probe("status", "+", "write", "/new", "x", "+", "stat", "/new",
                            preexec=lambda callers=callers: os.umask(callers))
            assert facts["umask"] == want, (configured, callers, facts.text)
            assert int(facts.stat("/new")["mode"], 8) == 0o666 & ~int(want, 8), (want, facts.text)
            assert os.stat(b.rootfs + "/new").st_mode & 0o777 == 0o666 & ~int(want, 8)
            # what the runtime makes does not depend on it
            assert os.stat(b.rootfs + "/made").st_mode & 0o777 == 0o755


@test("the umask of exec's caller holds for a process without one of its own")
def umask_exec():
    with Bundle() as b:
        b.up()
        for callers, want in ((0o27, "0027"), (0, "0022")):
            r = b.exec("status", preexec=lambda callers=callers: os.umask(callers))
            assert Facts(r.out)["umask"] == want, r
        b.delete("--force")


@test("cwd is used; a missing one is made or an error, a relative one an error")
def cwd():
    with Bundle(process(cwd="/etc")) as b:
        assert b.probe("status")["cwd"] == "/etc"
    with Bundle(process(cwd="/not/there")) as b:
        b.save(command_args("status"))
        r = b.run()
        assert (r.rc == 0 and Facts(r.out)["cwd"] == "/not/there") or "/not/there" in r.err, r
    for path in ("etc", ""):
        with Bundle(process(cwd=path)) as b:
            fails(b.create(check=False))


@test("env is passed literally and in order")
def env():
    want = ["PATH=/bin", "A=1", "B=", "C=a=b", "D=two words", "E=späße", "A2=\ttab"]
    with Bundle(process(env=want)) as b:
        got = [e for e in b.probe("env").all("env") if not e.startswith("HOME=")]
        assert got == want, got


@test("an env entry without = never takes the caller's value")
def env_no_value():
    with Bundle(process(env=["PATH=/bin", "HOSTSECRET"])) as b:
        b.save(command_args("env"))
        r = b.run(env=dict(os.environ, HOSTSECRET="leaked"))
        assert "leaked" not in r.out, r


@test("args[0] without a slash is looked up in the PATH of the config")
def path_search():
    with Bundle(process(env=["PATH=/nowhere:/opt/bin:/bin"])) as b:
        b.mkdir("/opt/bin")
        os.rename(b.path("/init"), b.path("/opt/bin/tool"))
        b.file("/nowhere/tool", "not executable", 0o644)
        b.save(process(args=["tool", "echo", "found"]))
        assert Facts(b.run(check=True).out)["arg"] == "found"


@test("without PATH a default one is searched, or the error says what was not found")
def path_default():
    with Bundle(process(env=["X=1"])) as b:
        os.rename(b.path("/init"), b.path("/bin/tool"))
        b.save(process(args=["tool", "echo", "found"]))
        r = b.run()
        assert "arg=found" in r.out or "executable file not found" in r.err, r


@test("args[0] with a slash is relative to cwd")
def path_relative():
    with Bundle(process(cwd="/opt")) as b:
        b.mkdir("/opt/bin")
        shutil.copy2(b.path("/init"), b.path("/opt/bin/tool"))
        b.save(process(args=["bin/tool", "echo", "found"]))
        assert Facts(b.run(check=True).out)["arg"] == "found"


@test("args are passed literally")
def args():
    want = ["a b", "", "*", "$X", "ü", "-x", "--", "\\", "'\""]
    with Bundle(process(args=["/init", "echo", *want])) as b:
        b.save()
        got = Facts(b.run(check=True).out).all("arg")
        assert got == want, got


@test("empty args and missing args are errors")
def no_args():
    for value in ([], None):
        with Bundle(process(args=value)) as b:
            fails(b.run())


@test("the five capability sets are exactly those of the config, for root")
def caps_root():
    sets = {"bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
            "effective": ["CAP_KILL"], "inheritable": [], "ambient": []}
    # exec by uid 0 raises permitted and effective to the bounding set
    with Bundle(process(capabilities=sets)) as b:
        facts = b.probe("status")
        assert int(facts["cap_bnd"], 16) == capbits(sets["bounding"]), facts.text
        assert int(facts["cap_inh"], 16) == 0 and int(facts["cap_amb"], 16) == 0, facts.text
        assert int(facts["cap_prm"], 16) & ~capbits(sets["bounding"]) == 0, facts.text


@test("without ambient capabilities another user has none after exec")
def caps_user():
    with Bundle(process(user={"uid": 1000, "gid": 1000}, capabilities=capsets(CAPS))) as b:
        facts = b.probe("status")
        for name in ("cap_eff", "cap_prm", "cap_amb", "cap_inh"):
            assert int(facts[name], 16) == 0, (name, facts.text)
        assert int(facts["cap_bnd"], 16) == capbits(CAPS), facts.text


@test("ambient capabilities survive exec of another user")
def caps_ambient():
    sets = capsets(CAPS, inheritable=["CAP_KILL"], ambient=["CAP_KILL"])
    with Bundle(process(user={"uid": 1000, "gid": 1000}, capabilities=sets)) as b:
        facts = b.probe("status")
        for name in ("cap_eff", "cap_prm", "cap_amb", "cap_inh"):
            assert int(facts[name], 16) == capbits(["KILL"]), (name, facts.text)


@test("without a capabilities object there are none, the bounding set included")
def caps_absent():
    with Bundle(process(capabilities=None)) as b:
        facts = b.probe("status")
        for name in ("cap_eff", "cap_prm", "cap_amb", "cap_inh", "cap_bnd"):
            assert int(facts[name], 16) == 0, (name, facts.text)


@test("a capability nobody knows is a warning at most: the container runs")
def caps_unknown():
    with Bundle(process(capabilities=capsets(CAPS + ["CAP_NO_SUCH"]))) as b:
        facts = b.probe("status")
        assert int(facts["cap_bnd"], 16) == capbits(CAPS), facts.text


@test("a capability that cannot be granted does not fail the container")
def caps_not_mine():
    if have_cap(24):
        raise Skip("this process has CAP_SYS_RESOURCE")
    with Bundle(process(capabilities=capsets(CAPS + ["CAP_SYS_RESOURCE"]))) as b:
        facts = b.probe("status")
        assert int(facts["cap_eff"], 16) == capbits(CAPS), facts.text


@test("noNewPrivileges is on when true and off when false")
def no_new_privileges():
    for value in (True, False):
        with Bundle(process(noNewPrivileges=value)) as b:
            assert b.probe("status")["nnp"] == str(int(value))


@test("noNewPrivileges stops a set-user-ID program from gaining rights")
def setuid_program():
    for value, uid in ((True, "1000"), (False, "0")):
        with Bundle(process(noNewPrivileges=value, user={"uid": 1000, "gid": 1000})) as b:
            shutil.copy2(b.path("/init"), b.path("/bin/su"))
            os.chmod(b.path("/bin/su"), 0o4755)
            assert b.probe("exec", "/bin/su", "status")["euid"] == uid


@test("rlimits are set, soft and hard, all that getrlimit(2) knows")
def rlimits():
    values = {"NOFILE": (111, 222), "CORE": (0, 0), "NPROC": (300, 400), "STACK": (1 << 22, 1 << 23),
              "AS": (1 << 30, 1 << 31), "FSIZE": (1 << 20, 1 << 20), "CPU": (100, 200), "DATA": (1 << 28, 1 << 29),
              "LOCKS": (5, 6), "MEMLOCK": (4096, 8192), "MSGQUEUE": (1000, 2000), "NICE": (0, 0), "RSS": (7, 1 << 20),
              "RTPRIO": (0, 0), "RTTIME": (1 << 20, 1 << 21), "SIGPENDING": (20, 30)}
    limits = [{"type": "RLIMIT_" + k, "soft": soft, "hard": hard} for k, (soft, hard) in values.items()]
    with Bundle(process(rlimits=limits)) as b:
        facts = b.probe("rlimits")
        for l in limits:
            assert facts["rlimit_" + l["type"][7:]] == f"{l['soft']} {l['hard']}", (l, facts.text)


@test("limits that are not named are the caller's")
def rlimits_kept():
    import resource
    with Bundle() as b:
        b.save(command_args("rlimits"))
        r = b.run(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (333, 444)), check=True)
        assert Facts(r.out)["rlimit_NOFILE"] == "333 444", r


@test("a small RLIMIT_AS and RLIMIT_NOFILE do not break the runtime's own work")
def rlimits_small():
    limits = [{"type": "RLIMIT_AS", "soft": 4 << 20, "hard": 4 << 20}, {"type": "RLIMIT_NOFILE", "soft": 4, "hard": 4}]
    with Bundle(process(rlimits=limits)) as b:
        assert b.probe("rlimits")["rlimit_NOFILE"] == "4 4"


@test("an unknown rlimit, a duplicate one, and soft above hard are refused")
def rlimits_bad():
    one = {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}
    for limits in ([{"type": "RLIMIT_WISHES", "soft": 1, "hard": 1}], [one, one],
                   [{"type": "RLIMIT_NOFILE", "soft": 30, "hard": 20}]):
        with Bundle(process(rlimits=limits)) as b:
            fails(b.create(check=False))


@test("a limit above the caller's hard limit is an error without CAP_SYS_RESOURCE")
def rlimits_raise():
    if have_cap(24):
        raise Skip("this process has CAP_SYS_RESOURCE")
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with Bundle(process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": hard + 1, "hard": hard + 1}])) as b:
        r = fails(b.create(check=False))
        assert "RLIMIT_NOFILE" in r.err and "operation not permitted" in r.err.lower(), r


@test("oomScoreAdj is set; without it the caller's value stays")
def oom():
    mine = int(read("/proc/self/oom_score_adj"))
    with Bundle() as b:
        assert b.probe("oom")["oom_score_adj"] == str(mine)
    with Bundle(process(oomScoreAdj=min(mine + 123, 1000))) as b:
        assert b.probe("oom")["oom_score_adj"] == str(min(mine + 123, 1000))


@test("an oomScoreAdj out of range is an error")
def oom_bad():
    with Bundle(process(oomScoreAdj=1001)) as b:
        fails(b.create(check=False))


@test("scheduler: SCHED_BATCH, SCHED_IDLE, nice")
def scheduler():
    for conf, policy, nice in (({"policy": "SCHED_BATCH", "nice": 5}, "3", "5"),
                               ({"policy": "SCHED_IDLE"}, "5", "0"),
                               ({"policy": "SCHED_OTHER", "nice": 7}, "0", "7")):
        with Bundle(process(scheduler=conf)) as b:
            facts = b.probe("sched")
            assert facts["sched_policy"] == policy and facts["sched_nice"] == nice, facts.text


@test("scheduler.nice holds for every policy, and is 0 when it is not given, whatever the caller's")
def scheduler_nice():
    # enough of a processor for its end, too: on an emulated one that takes milliseconds
    rest = {"runtime": 100000000, "deadline": 500000000, "period": 500000000}
    for conf, callers, want in (({"policy": "SCHED_IDLE", "nice": 3}, 0, 3), ({"policy": "SCHED_IDLE"}, 5, 0),
                                ({"policy": "SCHED_OTHER"}, 5, 0), ({"policy": "SCHED_BATCH"}, 5, 0),
                                ({"policy": "SCHED_DEADLINE", "nice": 4, **rest}, 0, 4)):
        with Bundle(process(scheduler=conf)) as b:
            b.save(command_args("pause"))
            r = b.create(check=False, preexec=lambda callers=callers: os.nice(callers))
            if r.rc != 0 and "SCHED_DEADLINE: " in r.err:
                continue  # no bandwidth left, or none for groups: scheduler_deadline says so
            assert r.rc == 0, (conf, r)
            assert os.getpriority(os.PRIO_PROCESS, b.pid()) == want, (conf, callers)
            b.delete("--force")


@test("scheduler: flags without real time: inheritance is reset, the policy or all of it stays as it was")
def scheduler_flags():
    own = str(os.getpriority(os.PRIO_PROCESS, 0))
    for conf, want in (({"policy": "SCHED_BATCH", "nice": 2, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, ("3", "2", "1")),
                       ({"policy": "SCHED_BATCH", "nice": 2, "flags": ["SCHED_FLAG_KEEP_POLICY"]}, ("0", "2", "0")),
                       ({"policy": "SCHED_BATCH", "nice": 2, "flags": ["SCHED_FLAG_KEEP_PARAMS"]}, ("0", own, "0"))):
        with Bundle(process(scheduler=conf)) as b:
            b.save(command_args("sched"))
            facts = Facts(b.run(check=True).out)
            got = tuple(facts["sched_" + k] for k in ("policy", "nice", "flags"))
            assert got == want, (conf, got)


def refused(r, policy):
    if r.rc != 0 and "operation not permitted" in r.err.lower():
        raise Skip(f"the host refuses {policy}")
    if r.rc != 0 and policy == "SCHED_DEADLINE" and "busy" in r.err.lower():
        raise Skip("other deadlines have the time of the CPUs")
    assert r.rc == 0, r


@test("scheduler: SCHED_DEADLINE with its times and flags")
def scheduler_deadline():
    times = {"runtime": 1000000, "deadline": 200000000, "period": 300000000}
    for flags, bits in (([], 0), (["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"], 6),
                        (["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM"], 3)):
        with Bundle(process(scheduler={"policy": "SCHED_DEADLINE", "flags": flags, **times})) as b:
            b.save(command_args("sched"))
            r = b.run()
            refused(r, "SCHED_DEADLINE")
            facts = Facts(r.out)
            assert facts["sched_policy"] == "6" and int(facts["sched_flags"], 0) == bits, facts.text
            for key, value in times.items():
                assert facts["sched_" + key] == str(value), (key, facts.text)


@test("scheduler: SCHED_FIFO, SCHED_RR with priority")
def scheduler_rt():
    for conf, want in (({"policy": "SCHED_FIFO", "priority": 10}, {"policy": "1", "priority": "10"}),
                       ({"policy": "SCHED_RR", "priority": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
                        {"policy": "2", "priority": "5", "flags": "1"})):
        with Bundle(process(scheduler=conf)) as b:
            b.save(command_args("sched"))
            r = b.run()
            refused(r, conf["policy"])
            facts = Facts(r.out)
            for key, value in want.items():
                assert facts["sched_" + key] == value, (key, facts.text)


@test("an unknown scheduler policy or flag is refused")
def scheduler_bad():
    for conf in ({"policy": "SCHED_LAZY"}, {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NONE"]}):
        with Bundle(process(scheduler=conf)) as b:
            fails(b.create(check=False))


@test("ioPriority is set")
def io_priority():
    for name, number, prio in (("IOPRIO_CLASS_BE", "2", 6), ("IOPRIO_CLASS_RT", "1", 3),
                               ("IOPRIO_CLASS_IDLE", "3", 0)):
        with Bundle(process(ioPriority={"class": name, "priority": prio})) as b:
            facts = b.probe("ioprio")
            assert (facts["ioprio_class"], facts["ioprio_data"]) == (number, str(prio)), facts.text


@test("an unknown I/O class is refused")
def io_priority_bad():
    with Bundle(process(ioPriority={"class": "IOPRIO_CLASS_FAST", "priority": 1})) as b:
        fails(b.create(check=False))


@test("personality LINUX32 shows a 32-bit machine")
def personality():
    with Bundle({"linux": {"personality": {"domain": "LINUX32"}}}) as b:
        facts = b.probe("personality", "+", "uts")
        assert int(facts["personality"], 16) & 0xff == 8, facts.text
        assert facts["machine"] != os.uname().machine, facts.text
    with Bundle({"linux": {"personality": {"domain": "LINUX"}}}) as b:
        assert b.probe("personality")["personality"] in ("0", "0x0")


@test("an unknown personality is refused")
def personality_bad():
    with Bundle({"linux": {"personality": {"domain": "LINUX128"}}}) as b:
        fails(b.create(check=False))


@test("the process leads its own session and has default signal handling")
def session():
    with Bundle() as b:
        facts = b.probe("status")
        assert facts["sid"] == facts["pid"] and facts["pgid"] == facts["pid"], facts.text
        assert int(facts["sigblk"], 16) == 0 and int(facts["sigign"], 16) == 0, facts.text
        assert facts["securebits"] == "0" and facts["pdeathsig"] == "0", facts.text
        assert facts["subreaper"] == "0", facts.text


# ---- terminal ----

def size_of(fd):
    rows, cols, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
    return cols, rows


@test("terminal: one descriptor comes over the console socket, with data, before create returns")
def console_socket():
    with Bundle(process(terminal=True)) as b, FdReceiver() as s:
        b.save(command_args("tty", "+", "status"))
        b.create("--console-socket", s.path)
        data, fds = s.receive()
        assert len(fds) == 1 and 0 < len(data) < 4096, (data, fds)
        assert os.isatty(fds[0])
        b.start()
        facts = Facts(read_tty(fds[0], None))
        for n in range(3):
            assert facts[f"tty{n}"].startswith("1 136:"), facts.text
        assert facts["ctty"] == "ok" and facts["tcpgrp"] == facts["pid"], facts.text
        assert facts["tty0"].split()[2].startswith("/dev/pts/") or "console" in facts["tty0"], facts.text
        b.wait_stopped()
        b.delete()


@test("consoleSize sets the size of the terminal")
def console_size():
    with Bundle(process(terminal=True, consoleSize={"width": 123, "height": 45})) as b, FdReceiver() as s:
        b.save(command_args("tty"))
        b.create("--console-socket", s.path)
        fd = s.receive()[1][0]
        assert size_of(fd) == (123, 45)
        b.start()
        assert Facts(read_tty(fd, None))["winsize"] == "123x45"
        b.delete("--force")


@test("consoleSize without a terminal is ignored")
def console_size_alone():
    with Bundle(process(consoleSize={"width": 123, "height": 45})) as b:
        b.probe("true")


@test("input typed on the master reaches the process; output comes back")
def console_io():
    with Bundle(process(terminal=True), busybox=True) as b, FdReceiver() as s:
        b.save(process(args=["/bin/sh", "-c", "read a; echo got $a"]))
        b.create("--console-socket", s.path)
        fd = s.receive()[1][0]
        b.start()
        os.write(fd, b"words\n")
        assert "got words" in read_tty(fd, "got words")
        b.delete("--force")


@test("the terminal's owner is the user of the process")
def console_owner():
    with Bundle(process(terminal=True, user={"uid": 1000, "gid": 1000})) as b, FdReceiver() as s:
        b.save(command_args("tty", "+", "open", "/dev/console", "rw"))
        b.create("--console-socket", s.path)
        fd = s.receive()[1][0]
        b.start()
        facts = Facts(read_tty(fd, None))
        assert facts["tty0_uid"] == "1000" and facts["open:/dev/console"] == "ok", facts.text
        b.delete("--force")


@test("a long console socket path works")
def console_long():
    with Bundle(process(terminal=True)) as b:
        deep = b.side("/".join(["p" * 60] * 3))
        here = os.open(deep, os.O_PATH)
        s = socket.socket(socket.AF_UNIX)
        s.bind(f"/proc/self/fd/{here}/s")
        os.close(here)
        s.listen()
        s.settimeout(10)
        b.save(command_args("true"))
        b.create("--console-socket", deep + "/s")
        s.close()
        b.delete("--force")


@test("terminal with create but without a console socket is an error; a socket without terminal too")
def console_mismatch():
    with Bundle(process(terminal=True)) as b:
        fails(b.create(check=False))
    with Bundle() as b, FdReceiver() as s:
        fails(b.create("--console-socket", s.path, check=False))


@test("a console socket that nobody listens on is an error, nothing is left")
def console_dead():
    with Bundle(process(terminal=True)) as b:
        fails(b.create("--console-socket", b.dir + "/none", check=False))
        s = socket.socket(socket.AF_UNIX)
        s.bind(b.dir + "/dead")
        fails(b.create("--console-socket", b.dir + "/dead", check=False))
        s.close()


@test("run in the foreground with a terminal relays it and gives the exit status")
def foreground_terminal():
    import pty
    with Bundle(process(terminal=True)) as b:
        b.save(command_args("tty", "+", "exit", "5"))
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        before = termios.tcgetattr(slave)
        p = subprocess.Popen(command("run", "--bundle", b.dir, b.id), stdin=slave, stdout=slave,
                             stderr=slave, start_new_session=True)
        text = read_tty(master, "tcpgrp=")
        assert p.wait(10) == 5, text
        assert termios.tcgetattr(slave) == before, "terminal settings were not restored"
        facts = Facts(text)
        assert facts["winsize"] == "77x33" and facts["ctty"] == "ok", text
        os.close(slave)
        os.close(master)


@test("a change of the terminal's size reaches the process")
def resize():
    import pty
    with Bundle(process(terminal=True)) as b:
        b.save(command_args("pause"))
        master, slave = pty.openpty()

        def control():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        p = subprocess.Popen(command("run", "--bundle", b.dir, b.id), stdin=slave, stdout=slave,
                             stderr=slave, preexec_fn=control)
        read_tty(master, "ready=1")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 66, 0, 0))
        assert "winsize=66x20" in read_tty(master, "winsize=66x20")
        run_davit("kill", b.id, "KILL", check=True)
        assert p.wait(10) == 137
        os.close(slave)
        os.close(master)


@test("apparmorProfile and selinuxLabel on a host without that module do not stop the container")
def labels():
    lsm = read("/sys/kernel/security/lsm") if os.path.exists("/sys/kernel/security/lsm") else ""
    if "apparmor" in lsm or "selinux" in lsm:
        raise Skip("the host has such a module")
    for over in (process(apparmorProfile="acme"), process(selinuxLabel="a:b:c:s0"),
                 {"linux": {"mountLabel": "a:b:c:s0"}}):
        with Bundle(over) as b:
            b.probe("true")


@test("execCPUAffinity with a bad list is refused")
def affinity_bad():
    for text in ("x", "0-", "5-3", "99999999999"):
        with Bundle(process(execCPUAffinity={"initial": text})) as b:
            fails(b.create(check=False))


main()
