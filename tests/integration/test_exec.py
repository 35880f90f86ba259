#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""exec: where it runs, with which rights, its flags, its exit status."""
from davit import *


@test("exec runs in the namespaces and the root of the container")
def where():
    with Bundle() as b:
        b.up()
        b.file("/etc/marker", "inside")
        pid = b.pid()
        facts = b.exec_facts("ns", "+", "read", "/etc/marker", "+", "status")
        assert facts["read:/etc/marker"] == "inside"
        for ns in ("ipc", "mnt", "net", "pid", "uts", "user"):
            assert facts["ns_" + ns] == os.readlink(f"/proc/{pid}/ns/{ns}"), ns
        assert facts["cwd"] == "/"
        b.delete("--force")


@test("exec passes the exit status through, signals as 128+n")
def status():
    with Bundle() as b:
        b.up()
        for code in (0, 1, 77, 255):
            r = b.exec("exit", code)
            assert r.rc == code, r
        for sig in (9, 15, 6):
            r = b.exec("die", sig)
            assert r.rc == 128 + sig, r
        b.delete("--force")


@test("exec that cannot start the program gives 255, says why, and leaves the container")
def failure():
    with Bundle() as b:
        b.up()
        b.file("/plain", "text", 0o644)
        r = run_davit("exec", b.id, "/nowhere")
        assert r.rc == 255, r
        assert "no such file or directory" in r.err.lower() and "/nowhere" in r.err, r
        r = run_davit("exec", b.id, "nowhere-in-path")
        assert r.rc == 255 and "executable file not found" in r.err, r
        r = run_davit("exec", b.id, "/plain")
        assert r.rc == 255 and "permission denied" in r.err.lower(), r
        assert b.state()["status"] == "running"
        assert b.exec("exit", 3).rc == 3
        b.delete("--force")


@test("exec is refused for unknown, created-less, stopped containers")
def refused():
    with Bundle() as b:
        fails(b.exec("true"), "does not exist")
        b.up("true")
        b.wait_stopped()
        r = fails(b.exec("true"))
        assert "not running" in r.err or "stopped" in r.err, r
        b.delete()


@test("exec works in a created container")
def created():
    with Bundle() as b:
        b.create()
        assert b.exec("exit", 5).rc == 5
        assert b.state()["status"] == "created"
        b.delete("--force")


@test("exec in a paused container is refused; --ignore-paused waits for resume")
def paused():
    with Bundle() as b:
        b.up()
        run_davit("pause", b.id, check=True)
        fails(b.exec("true"), "paused")
        p = b.spawn("--ignore-paused", verb="exec", args=["/init", "exit", "4"])
        time.sleep(0.3)
        early = p.poll()
        run_davit("resume", b.id, check=True)
        out, err = p.communicate(timeout=10)
        assert early is None and p.returncode == 4, (early, p.returncode, err)
        b.delete("--force")


@test("exec has the container's environment; -e adds and replaces")
def env():
    with Bundle({"process": {"env": ["PATH=/bin", "A=1", "B=2"]}}) as b:
        b.up()
        got = b.exec_facts("env", flags=["-e", "B=3", "--env", "C=4 5"]).all("env")
        values = dict(e.split("=", 1) for e in got)
        values.pop("HOME", None)
        assert values == {"PATH": "/bin", "A": "1", "B": "3", "C": "4 5"}, got
        b.delete("--force")


@test("--cwd sets the directory; one that is missing is an error or is made")
def cwd():
    with Bundle() as b:
        b.up()
        assert b.exec_facts("status", flags=["--cwd", "/tmp"])["cwd"] == "/tmp"
        fails(b.exec("true", flags=["--cwd", "tmp"]))
        b.delete("--force")


@test("the container's cwd is the default")
def default_cwd():
    with Bundle({"process": {"cwd": "/etc"}}) as b:
        b.up()
        assert b.exec_facts("status")["cwd"] == "/etc"
        b.delete("--force")


@test("-u takes UID and UID:GID")
def user():
    with Bundle() as b:
        b.up()
        for arg, uid, gid in (("1000", "1000", "0"), ("7:8", "7", "8"), ("0:5", "0", "5")):
            facts = b.exec_facts("status", flags=["-u", arg])
            assert (facts["uid"], facts["euid"], facts["gid"]) == (uid, uid, gid), (arg, facts.text)
            assert facts["groups"] in ("", gid), facts.text
        b.delete("--force")


@test("-g adds groups, also when repeated")
def groups():
    with Bundle() as b:
        b.up()
        facts = b.exec_facts("status", flags=["-u", "1000:1000", "-g", "12", "--additional-gids", "34"])
        assert {"12", "34"} <= set(facts["groups"].split(",")), facts.text
        b.delete("--force")


@test("-c adds a capability to the effective, permitted and bounding sets, never inheritable")
def cap():
    with Bundle() as b:
        b.up()
        base = capbits(CAPS)
        facts = b.exec_facts("status")
        assert int(facts["cap_eff"], 16) == base and int(facts["cap_bnd"], 16) == base, facts.text
        facts = b.exec_facts("status", flags=["-c", "CAP_SYS_CHROOT"])
        want = base | capbits(["SYS_CHROOT"])
        for name in ("cap_eff", "cap_prm", "cap_bnd"):
            assert int(facts[name], 16) == want, (name, facts.text)
        assert int(facts["cap_inh"], 16) == 0, facts.text
        b.delete("--force")


@test("exec keeps the container's no_new_privs, umask, rlimits, oom_score_adj, seccomp")
def same_rights():
    adj = int(read("/proc/self/oom_score_adj"))
    over = {"process": {"user": {"umask": 0o27}, "oomScoreAdj": min(adj + 100, 1000),
                        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]},
            "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]}}}
    with Bundle(over) as b:
        b.up("status", "+", "rlimits", "+", "oom", "+", "pause")
        init = b.facts()
        facts = b.exec_facts("status", "+", "rlimits", "+", "oom")
        for key in ("umask", "nnp", "seccomp", "rlimit_NOFILE", "oom_score_adj", "cap_eff", "cwd"):
            assert facts[key] == init[key], (key, facts[key], init[key])
        assert facts["nnp"] == "1" and facts["seccomp"] == "2" and facts["umask"] == "0027"
        assert facts["rlimit_NOFILE"] == "100 200", facts.text
        b.delete("--force")


@test("exec is in the container's cgroups")
def cgroup():
    with Bundle() as b:
        b.up()
        init = read(f"/proc/{b.pid()}/cgroup")
        b.exec("sleep", "30", flags=["--detach", "--pid-file", b.dir + "/pid"], check=True)
        pid = int(read(b.dir + "/pid"))
        # unified lines of a hybrid host hold no limits
        pick = lambda t: {l for l in t.splitlines() if not l.startswith("0::") or v2_only()}
        assert pick(read(f"/proc/{pid}/cgroup")) == pick(init)
        b.delete("--force")


@test("--process runs exactly that process object")
def process_file():
    with Bundle() as b:
        b.up()
        r = b.exec_process({"args": ["/init", "status", "+", "env", "+", "exit", "6"], "cwd": "/tmp",
                            "user": {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o77},
                            "env": ["PATH=/bin", "ONLY=1"],
                            "capabilities": capsets(["CAP_KILL"])})
        assert r.rc == 6, r
        facts = Facts(r.out)
        assert (facts["uid"], facts["gid"], facts["cwd"], facts["umask"]) == ("5", "6", "/tmp", "0077")
        assert facts["groups"] == "7,8", facts.text
        assert [e for e in facts.all("env") if not e.startswith("HOME=")] == ["PATH=/bin", "ONLY=1"]
        assert int(facts["cap_bnd"], 16) == capbits(["KILL"]), facts.text
        assert int(facts["cap_eff"], 16) == 0, "uid 5 without ambient has no effective caps"
        b.delete("--force")


@test("--process without capabilities never gives more than the container has")
def process_no_caps():
    with Bundle() as b:
        b.up()
        r = b.exec_process({"args": ["/init", "status"]}, check=True)
        facts = Facts(r.out)
        for name in ("cap_eff", "cap_prm", "cap_bnd"):
            assert int(facts[name], 16) & ~capbits(CAPS) == 0, facts.text
        assert int(facts["cap_inh"], 16) == 0, facts.text
        b.delete("--force")


@test("--process with broken JSON, without args, or missing is an error")
def process_bad():
    with Bundle() as b:
        b.up()
        for text in ("{", "[]", '{"args": "x", "cwd": "/"}', '{"cwd": "/"}', '{"args": [], "cwd": "/"}'):
            fails(run_davit("exec", "--process", b.side("p.json", text), b.id))
        fails(run_davit("exec", "--process", b.dir + "/absent", b.id), "absent")
        b.delete("--force")


@test("--detach returns at once; --pid-file names the process as the host sees it")
def detach():
    with Bundle() as b:
        b.up()
        path = b.dir + "/pid"
        r = b.exec("sleep", "30", flags=["--detach", "--pid-file", path], check=True)
        assert r.seconds < 5
        raw = open(path, "rb").read()
        assert raw.isdigit(), raw
        pid = int(raw)
        assert alive(pid) and os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{b.pid()}/ns/pid")
        b.delete("--force")
        reap()
        assert not alive(pid)


@test("--detach of a program that cannot start fails and writes no pid file")
def detach_failure():
    with Bundle() as b:
        b.up()
        path = b.dir + "/pid"
        fails(run_davit("exec", "--detach", "--pid-file", path, b.id, "/nowhere"), "/nowhere")
        assert not os.path.exists(path), "pid file of a process that never was"
        b.delete("--force")


@test("-t --detach with a console socket: the process has that terminal")
def tty_detached():
    with Bundle() as b, FdReceiver("c") as s:
        b.up()
        p = b.exec_process({"args": ["/init", "tty"], "terminal": True,
                            "consoleSize": {"width": 91, "height": 17}},
                           "--detach", "--console-socket", s.path)
        data, fds = s.receive()
        assert p.rc == 0 and len(fds) == 1 and 0 < len(data) < 4096, (p, data)
        text = read_tty(fds[0], None)
        facts = Facts(text)
        assert facts["winsize"] == "91x17" and facts["ctty"] == "ok", text
        assert facts["tty0"].startswith("1 ") and facts["tty2"].startswith("1 "), text
        b.delete("--force")


@test("-t in the foreground relays the terminal, both ways")
def tty_foreground():
    import pty
    with Bundle(busybox=True) as b:
        b.up()
        master, slave = pty.openpty()
        p = subprocess.Popen(command("exec", "-t", b.id, "/bin/sh", "-c", "read x; echo got:$x; exit 3"),
                             stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        time.sleep(0.2)
        os.write(master, b"hello\n")
        text = read_tty(master, "got:hello")
        assert p.wait(10) == 3, text
        os.close(master)
        b.delete("--force")


@test("--preserve-fds passes descriptors to the process, nothing else")
def preserve():
    with Bundle() as b:
        b.up()
        with open(b.side("a", "text a"), "rb") as a, open(os.devnull) as null:
            r = b.exec("fds", "+", "readfd", "3", flags=["--preserve-fds", "1"],
                       preexec=lambda: [os.dup2(a.fileno(), 3), os.dup2(null.fileno(), 9)],
                       pass_fds=(3, 9), check=True)
        facts = Facts(r.out)
        assert facts["readfd:3"] == "text a", r
        assert [f.split()[0] for f in facts.all("fd")] == ["0", "1", "2", "3"], facts.text
        b.delete("--force")


@test("standard streams of exec work as those of run")
def streams():
    with Bundle() as b:
        b.up()
        r = b.exec("cat", stdin="through\n" * 1000, check=True)
        assert r.out == "through\n" * 1000
        b.delete("--force")


@test("exec forwards signals and ends with 128+n")
def signals():
    with Bundle() as b:
        b.up()
        p = b.spawn(verb="exec", args=["/init", "echo", "up", "+", "sleep", "60"])
        assert b"arg=up" in p.stdout.readline()
        p.terminate()
        rc = p.wait(10)
        p.communicate()
        assert rc == 143, rc
        b.delete("--force")


@test("exec ends when init is killed")
def init_dies():
    with Bundle() as b:
        b.up()
        p = b.spawn(verb="exec", args=["/init", "echo", "up", "+", "sleep", "60"])
        assert b"arg=up" in p.stdout.readline()
        b.kill("KILL")
        rc = p.wait(10)
        p.communicate()
        assert rc == 137, rc
        b.wait_stopped()  # the last of its namespace ends before it does
        b.delete()


@test("flags after the program name belong to the program")
def flags_end():
    with Bundle() as b:
        b.up()
        r = run_davit("exec", b.id, "/init", "echo", "-t", "--env", "-x", check=True)
        assert Facts(r.out).all("arg") == ["-t", "--env", "-x"], r
        b.delete("--force")


@test("--no-new-privs sets it for a container that has it off")
def no_new_privs():
    with Bundle({"process": {"noNewPrivileges": False}}) as b:
        b.up()
        assert b.exec_facts("status")["nnp"] == "0"
        assert b.exec_facts("status", flags=["--no-new-privs"])["nnp"] == "1"
        b.delete("--force")


@test("execCPUAffinity: the process has the final mask, init does not")
def affinity():
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("needs two CPUs")
    over = {"process": {"execCPUAffinity": {"initial": str(cpus[0]), "final": str(cpus[1])}}}
    with Bundle(over) as b:
        b.up("affinity", "+", "pause")
        b.wait_output("ready=1")
        assert b.facts()["affinity"] == ",".join(map(str, cpus)), b.output()
        assert b.exec_facts("affinity")["affinity"] == str(cpus[1])
        b.delete("--force")


@test("twenty execs at the same time all succeed")
def parallel():
    with Bundle() as b:
        b.up()
        ps = [b.spawn(verb="exec", args=["/init", "exit", str(i)]) for i in range(20)]
        for i, p in enumerate(ps):
            out, err = p.communicate(timeout=20)
            assert p.returncode == i, (i, p.returncode, err)
        b.delete("--force")


main()
