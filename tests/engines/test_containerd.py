#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""containerd and its shim, driven by ctr."""
from engine import *

IMAGE = "docker.io/library/box:latest"
address = None


def begin():
    global address
    need("containerd", "ctr", "busybox", "script")
    own_host()
    address = containerd()
    host.root = davit.root = f"{store}/runtime"
    os.mkdir(host.root)
    ctr("images", "import", image_archive(IMAGE), check=True)
    r = run("sh", "-c", "exit 0")
    assert r.rc == 0, r


def command_line(*args):
    return ["ctr", "-a", address, *map(str, args)]


def ctr(*args, **kw):
    kw.setdefault("timeout", SLOW)
    return run_command(command_line(*args), **kw)


def run_args(name, *args):
    """FLAGS... [COMMAND...], flags of the form --x=y."""
    flags, rest = flags_split(args)
    return ["--runc-binary", RUNTIME, "--runc-root", host.root, f"--cgroup={PARENT}/{name}", *flags, IMAGE, name, *rest]


def run(*args, **kw):
    return ctr("run", "--rm", *run_args(unique(), *args), **kw)


def shell(*args):
    return run(*args[:-1], "sh", "-c", args[-1], check=True).out


@contextlib.contextmanager
def running(*args):
    name = unique()
    log = f"{store}/{name}.out"
    words = args if args and not args[-1].startswith("-") else (*args, "sleep", "1000")
    ctr("run", "-d", f"--log-uri=file://{log}", *run_args(name, *words), check=True)
    try:
        yield name
    finally:
        ctr("task", "delete", "-f", name)
        ctr("container", "delete", name, check=True)


def status(name):
    for line in ctr("task", "ls", check=True).out.splitlines():
        if line.split()[0] == name:
            return line.split()[2]
    return None


def execute(name, *args, **kw):
    return ctr("task", "exec", "--exec-id", unique("e"), name, *args, **kw)


@test("output and status pass through")
def run_output():
    r = run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.rc, r.out) == (7, "out\n") and "err\n" in r.err, r
    assert run("sh", "-c", "sh -c 'kill -9 $$'; exit $?").rc == 137


@test("a missing program and one that cannot run: the message is the runtime's, and nothing stays")
def run_missing():
    for path, word in (("nosuch", "executable file not found"), ("/no/such", "no such file or directory"),
                       ("/etc/plain", "permission denied"), ("/bin/lost", "interpreter")):
        name = unique()
        r = ctr("run", "--rm", *run_args(name, path))
        assert r.rc != 0 and path in r.err and word in r.err, (path, r)
        assert len(r.err.strip().splitlines()) == 1, r
        ctr("container", "delete", name)
        assert name not in ctr("container", "ls", "-q").out, name


@test("a container on a terminal")
def run_terminal():
    r = terminal(command_line("run", "--rm", "-t", *run_args(unique(), "sh")),
                 "tty; sleep 1; stty size; echo $((40+2)); exit 5\n")
    assert "/dev/pts/0" in r.out and "24 80" in r.out and "\n42\n" in r.out and r.rc == 5, r


@test("exec: output, status, errors, a terminal, in the background")
def exec_all():
    with running() as name:
        r = execute(name, "sh", "-c", "echo o; exit 3")
        assert (r.rc, r.out) == (3, "o\n"), r
        r = execute(name, "nosuch")
        assert r.rc != 0 and "nosuch" in r.err and "executable file not found" in r.err, r
        r = execute(name, "/etc/plain")
        assert r.rc != 0 and "permission denied" in r.err, r
        out = ctr("task", "exec", "--exec-id", unique("e"), "--cwd", "/tmp", "--user", "1000:3000", name,
                  "sh", "-c", "pwd; id -u; id -g", check=True).out
        assert out == "/tmp\n1000\n3000\n", out
        r = terminal(command_line("task", "exec", "-t", "--exec-id", unique("e"), name, "sh"), "tty; exit 6\n")
        assert "/dev/pts/0" in r.out and r.rc == 6, r
        ctr("task", "exec", "-d", "--exec-id", "back", name, "sleep", "1000", check=True)
        assert len(ctr("task", "ps", name, check=True).out.splitlines()) == 3


@test("kill by name and number, the task is stopped, then deleted")
def kill():
    with running("sh", "-c", "trap 'echo usr1' USR1; trap 'exit 9' TERM; echo ready; " + LOOP) as name:
        log = f"{store}/{name}.out"
        eventually(lambda: "ready" in read(log), "ready")
        ctr("task", "kill", "-s", "SIGUSR1", name, check=True)
        eventually(lambda: "usr1" in read(log), "usr1")
        ctr("task", "kill", "-s", "15", name, check=True)
        eventually(lambda: status(name) == "STOPPED", "stopped")
        r = ctr("task", "kill", name)
        assert r.rc != 0 and "not found" in r.err, r
        r = ctr("task", "delete", name, check=True)
        assert "exit code 9" in r.err, r
        assert status(name) is None
    with running() as name:
        execute(name, "sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
        ctr("task", "kill", "-a", "-s", "KILL", name, check=True)
        eventually(lambda: status(name) == "STOPPED", "stopped")


@test("pause freezes, resume thaws")
def pause():
    with running("sh", "-c", "while :; do echo tick; sleep 0.1; done") as name:
        log = f"{store}/{name}.out"
        eventually(lambda: "tick" in read(log), "tick")
        ctr("task", "pause", name, check=True)
        assert status(name) == "PAUSED"
        time.sleep(0.2)
        before = len(read(log))
        time.sleep(0.5)
        assert len(read(log)) == before
        ctr("task", "resume", name, check=True)
        assert status(name) == "RUNNING"
        eventually(lambda: len(read(log)) > before, "more ticks")


@test("metrics and processes of a task")
def metrics():
    with running("--memory-limit=67108864") as name:
        out = ctr("task", "metrics", name, check=True).out
        assert "memory" in out and "67108864" in out and "pids" in out, out
        assert len(ctr("task", "ps", name, check=True).out.splitlines()) == 2


@test("limits of memory and processors")
def limits():
    if "memory" not in cgroup_hierarchies():
        raise Skip("the files are those of cgroup v1")
    with running("--memory-limit=33554432", "--cpus=0.5") as name:
        path = f"{PARENT}/{name}"
        assert read(cgroup_dir(path, "memory") + "/memory.limit_in_bytes") == "33554432\n"
        assert read(cgroup_dir(path, "cpu") + "/cpu.cfs_quota_us") == "50000\n"
    assert run("--memory-limit=16777216", "tail", "/dev/zero").rc == 137


@test("read-only, privileged, mounts, environment, directory, host's network, capabilities, seccomp")
def flags():
    source = f"{store}/source"
    os.makedirs(source)
    write(source + "/file", "text\n")
    assert "Read-only" in shell("--read-only", "touch /x 2>&1; true")
    out = shell(f"--mount=type=bind,src={source},dst=/v,options=rbind:ro", "--env=A=b", "--cwd=/tmp",
                "cat /v/file; touch /v/x 2>&1; echo $A; pwd")
    assert out.startswith("text\n") and "Read-only" in out and out.endswith("b\n/tmp\n"), out
    assert os.readlink("/proc/self/ns/net") in shell("--net-host", "readlink /proc/self/ns/net")
    usual = shell("grep CapEff /proc/self/status")
    assert usual != shell("--cap-add=CAP_SYS_ADMIN", "grep CapEff /proc/self/status")
    assert " rw," in shell("--privileged", "grep ' /sys ' /proc/mounts")
    assert "2" in shell("--seccomp", "grep Seccomp: /proc/self/status")


@test("a shim that is killed: the container can be deleted, and nothing stays")
def shim_killed():
    name = unique()
    ctr("run", "-d", *run_args(name, "sleep", "1000"), check=True)
    pid = [p for p, (_, _, comm) in processes().items() if comm.startswith("containerd-shim")
           and name in read(f"/proc/{p}/cmdline")]
    assert len(pid) == 1, pid
    os.kill(pid[0], signal.SIGKILL)
    eventually(lambda: status(name) in (None, "UNKNOWN", "STOPPED"), "the task is gone", 20)
    ctr("task", "delete", "-f", name)
    ctr("container", "delete", name, check=True)


@test("a checkpoint without CRIU fails with one line, and the task goes on")
def checkpoint():
    if shutil.which("criu"):
        raise Skip("CRIU is installed")
    with running() as name:
        r = ctr("task", "checkpoint", name)
        assert r.rc != 0 and re.search("criu|checkpoint", r.err, re.I) and len(r.err.strip().splitlines()) <= 2, r
        assert status(name) == "RUNNING"


@test("ten containers at once")
def many():
    names = [unique("many") for _ in range(10)]
    procs = [subprocess.Popen(command_line("run", "--rm", *run_args(n, "echo", n)), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for n in names]
    out = [p.communicate(timeout=SLOW)[0].decode().strip() for p in procs]
    assert out == names, out


if __name__ == "__main__":
    engine_main(begin)
