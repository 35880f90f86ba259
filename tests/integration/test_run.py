#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""run: exit status, standard streams, signals, --detach, --keep, global options."""
import signal

from davit import *


@test("the exit status of the program is passed through")
def exit_status():
    with Bundle() as b:
        for code in (0, 1, 42, 126, 255):
            b.probe("exit", code, rc=code)


@test("a program killed by signal n gives 128+n")
def exit_signal():
    with Bundle({"linux": {"namespaces": namespaces("mount", "ipc", "uts")}}) as b:
        for sig in (9, 15, 6):
            b.probe("die", sig, rc=128 + sig)


@test("standard output and standard error are kept apart")
def stdout_stderr():
    with Bundle(busybox=True) as b:
        b.save({"process": {"args": ["/bin/sh", "-c", "echo out; echo err >&2"]}})
        r = b.run(check=True)
        assert r.out == "out\n" and r.err == "err\n", r


@test("standard input reaches the program, and its end too")
def stdin():
    with Bundle() as b:
        b.save(command_args("cat"))
        text = "line\n" * 20000
        assert b.run(stdin=text, check=True).out == text


@test("large output passes unchanged through a pipe")
def big_output():
    with Bundle() as b:
        b.save(command_args("cat"))
        data = os.urandom(1 << 20)
        with open(b.dir + "/in", "wb") as f:
            f.write(data)
        with open(b.dir + "/in", "rb") as f:
            p = b.spawn(stdin=f)
            out, err = p.communicate(timeout=20)
        assert p.returncode == 0 and out == data, err


@test("run removes the container when the program ends")
def removes():
    with Bundle() as b:
        b.probe("exit", 5, rc=5)
        fails(run_davit("state", b.id), "does not exist")


@test("run --keep leaves it stopped until delete; the cgroup stays")
def keep():
    with Bundle({"linux": {"cgroupsPath": "/" + unique("keep")}}) as b:
        b.probe("exit", 3, flags=["--keep"], rc=3)
        assert b.state()["status"] == "stopped"
        assert cgroups_tagged(), "cgroup is gone before delete"
        b.delete()


@test("run --detach returns while the program runs; --pid-file is written")
def detach():
    with Bundle() as b:
        b.save(command_args("pause"))
        with open(b.stdout, "wb") as out:
            r = run_davit("run", "--detach", "--pid-file", b.dir + "/pid", "--bundle", b.dir, b.id,
                          stdout=out, check=True)
        st = b.state()
        assert st["status"] == "running" and str(st["pid"]) == read(b.dir + "/pid"), st
        b.wait_output("ready=1")
        b.delete("--force")


@test("signals sent to run reach the program")
def forward_signals():
    with Bundle() as b:
        b.save(command_args("pause"))
        with open(b.stdout, "wb") as out:
            p = b.spawn(stdout=out)
            b.wait_output("ready=1")
            for sig in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGUSR2):
                p.send_signal(sig)
                b.wait_output(f"signal={int(sig):02d}")
            p.send_signal(signal.SIGTERM)
            assert p.wait(10) == 0, p.stderr.read()
            p.stderr.close()


@test("run ends with 143 when a forwarded SIGTERM kills the program")
def forward_term():
    with Bundle({"linux": {"namespaces": namespaces("mount", "ipc", "uts")}}) as b:
        b.save(command_args("echo", "ready=1", "+", "sleep", "60"))
        with open(b.stdout, "wb") as out:
            p = b.spawn(stdout=out)
            b.wait_output("ready=1")
            p.send_signal(signal.SIGTERM)
            assert p.wait(10) == 143, p.stderr.read()
            p.stderr.close()


@test("kill from another process ends run with 128+n")
def killed_by_kill():
    with Bundle() as b:
        b.save(command_args("pause"))
        with open(b.stdout, "wb") as out:
            p = b.spawn(stdout=out)
            b.wait_output("ready=1")
            run_davit("kill", b.id, "KILL", check=True)
            assert p.wait(10) == 137, p.stderr.read()
            p.stderr.close()


@test("children left by the program do not keep run waiting")
def orphans():
    with Bundle() as b:
        b.save(command_args("daemon", "30", "+", "exit", "4"))
        r = b.run()
        assert r.rc == 4 and r.seconds < 5, r


@test("without a pid namespace children left by the program are killed by run")
def orphans_host_pidns():
    with Bundle({"linux": {"namespaces": namespaces("mount", "ipc", "uts")}}) as b:
        b.save(command_args("daemon", "30", "+", "exit", "4"))
        r = b.run()
        assert r.rc == 4 and r.seconds < 5, r
        eventually(lambda: reap() is not None and not descendants(), "orphans killed")


@test("the program's pid is 1 and run's session is not the program's")
def pid_one():
    with Bundle() as b:
        facts = b.probe("status")
        assert facts["pid"] == "1" and facts["ppid"] == "0" and facts["sid"] == "1", facts.text


@test("a caller that ignores SIGCHLD and blocks signals still gets the exit status")
def odd_caller():
    def spoil():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
    with Bundle() as b:
        b.save(command_args("status", "+", "exit", "9"))
        r = b.run(preexec=spoil)
        assert r.rc == 9, r
        facts = Facts(r.out)
        assert int(facts["sigblk"], 16) == 0, facts.text
        assert int(facts["sigign"], 16) == 0, facts.text


@test("closed standard streams do not break run")
def closed_streams():
    with Bundle() as b:
        b.save(command_args("write", "/tmp/done", "1", "+", "exit", "6"))
        for fds in ((0,), (0, 1, 2)):
            r = b.run(preexec=lambda: [os.close(fd) for fd in fds])
            assert r.rc == 6, r
            assert os.path.exists(b.path("/tmp/done"))
            os.unlink(b.path("/tmp/done"))


@test("--preserve-fds passes exactly 3..2+N")
def preserve_fds():
    with Bundle() as b:
        b.save(command_args("fds", "+", "readfd", "3", "4"))
        files = [b.side(n, "text " + n) for n in "acd"]
        # by a shell: dup2 between fork and exec could hit a descriptor that subprocess needs
        r = run_command(["sh", "-c", 'a=$1 c=$2 d=$3; shift 3; exec "$@" 3<"$a" 4<"$c" 9<"$d"', "sh", *files,
                         *command("run", "--preserve-fds", "2", "--bundle", b.dir, b.id)], check=True)
        facts = Facts(r.out)
        assert facts["readfd:3"] == "text a" and facts["readfd:4"] == "text c", r
        assert [f.split()[0] for f in facts.all("fd")] == ["0", "1", "2", "3", "4"], facts.text


@test("descriptors of the caller are not inherited")
def no_inherited_fds():
    with Bundle() as b:
        b.save(command_args("fds"))
        with open(os.devnull) as null:
            extra = [os.dup(null.fileno()) for _ in range(100)]
            r = b.run(pass_fds=extra, check=True)
            for fd in extra:
                os.close(fd)
        assert [f.split()[0] for f in Facts(r.out).all("fd")] == ["0", "1", "2"], r


@test("--preserve-fds with a descriptor that is not open is an error")
def preserve_missing():
    with Bundle() as b:
        b.save()
        fails(b.run("--preserve-fds", "3"))


@test("LISTEN_FDS adds descriptors and sets LISTEN_PID to 1")
def listen_fds():
    with Bundle() as b:
        b.save(command_args("env", "+", "fds", "+", "readfd", "3"))
        with open(b.side("a", "socket a"), "rb") as a:
            argv = ["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh"]
            r = run_command(argv + command("run", "--bundle", b.dir, b.id), pass_fds=(3,),
                            preexec=lambda: os.dup2(a.fileno(), 3), check=True)
        facts = Facts(r.out)
        assert "LISTEN_FDS=1" in facts.all("env") and "LISTEN_PID=1" in facts.all("env"), r
        assert facts["readfd:3"] == "socket a", r


def memory_limit(size):
    if "memory" not in cgroup_hierarchies() and not v2_only():
        raise Skip("this host has no memory cgroup controller")
    return {"linux": {"resources": {"memory": {"limit": size, "swap": size}}}}


@test("a payload that the kernel kills for want of memory: a line says so")
def out_of_memory():
    with Bundle(memory_limit(16 << 20)) as b:
        b.save(command_args("hog", "64"))
        r = b.run()
        assert r.rc == 137 and len(r.err.splitlines()) == 1, r
        assert "out of memory at 16384 KiB" in r.err and "small program" not in r.err, r
        b.save(command_args("exit", "137"))
        r = b.run()
        assert r.rc == 137 and not r.err, r


@test("a memory limit that is too small even for the set-up: the message tells how much is needed")
def no_memory():
    with Bundle(memory_limit(64 << 10)) as b:
        r = b.run()
        assert r.rc in (1, 137) and len(r.err.splitlines()) == 1, r
        assert "/linux/resources/memory/limit" in r.err and "need 256 KiB" in r.err, r


@test("--no-pivot, --no-new-keyring and --no-subreaper are accepted")
def other_flags():
    with Bundle() as b:
        b.probe("exit", 3, flags=["--no-pivot", "--no-new-keyring", "--no-subreaper"], rc=3)


@test("--config names another configuration file")
def config_flag():
    with Bundle() as b:
        b.save(command_args("exit", "8"))
        os.rename(b.dir + "/config.json", b.dir + "/other.json")
        r = run_davit("run", "--bundle", b.dir, "--config", b.dir + "/other.json", b.id)
        assert r.rc == 8, r


@test("--flag=value and -f forms are the same as --flag value")
def flag_forms():
    with Bundle() as b:
        b.save(command_args("exit", "8"))
        assert run_davit("run", "--bundle=" + b.dir, b.id).rc == 8
        assert run_davit("run", "-b", b.dir, b.id).rc == 8
        assert run_davit("run", "-bundle", b.dir, b.id).rc == 8


@test("environment of the caller does not leak into the program")
def no_host_env():
    with Bundle() as b:
        b.save(command_args("env"))
        r = b.run(env=dict(os.environ, SECRET_OF_HOST="1"), check=True)
        env = [e for e in Facts(r.out).all("env") if not e.startswith("HOME=")]
        assert env == ["PATH=/sbin:/bin", "TERM=xterm"], r


main()
