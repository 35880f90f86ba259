#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""dockerd with davit as its runtime, without any network of its own."""
from engine import *

IMAGE = "box:latest"
client = Client("docker", image=IMAGE)
docker, command_line, run_args = client.call, client.line, client.run_args
run, shell, running, inspect = client.run, client.shell, client.running, client.inspect


def begin():
    need("dockerd", "docker", "containerd", "busybox", "script")
    own_host()
    os.mkdir("/run/docker")
    conf = write(f"{store}/daemon.json", json.dumps({"experimental": True}))
    # As users have it: the runtime by its name, from a file in a place of their own.
    os.environ.update(DOCKER_HOST=f"unix://{store}/docker.sock", DOCKER_CONFIG=f"{store}/docker-client",
                      DOCKER_BUILDKIT="0")
    Daemon("dockerd", ["dockerd", "--config-file", conf, "--data-root", f"{store}/docker", "--exec-root",
                       f"{store}/docker-exec", "-p", f"{store}/docker.pid", "-H", f"unix://{store}/docker.sock",
                       "--containerd", containerd(), "--iptables=false", "--ip6tables=false", "--ip-forward=false",
                       "--ip-masq=false", "--bridge=none", "--userland-proxy=false", "--storage-driver", "overlay2",
                       "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", PARENT, "--add-runtime",
                       f"davit={RUNTIME}", "--default-runtime", "davit"],
           lambda: subprocess.run(["docker", "version"], capture_output=True).returncode == 0)
    docker("import", image_tree(), IMAGE, check=True)
    run("--network=host", "true", check=True)  # makes what stays
    host.root = davit.root = f"{store}/docker-exec/runtime-runc/moby"


@test("dockerd knows the runtime and asks for its version")
def info():
    assert docker("info", "--format", "{{.DefaultRuntime}}", check=True).out == "davit\n"


@test("output, status and standard input pass through")
def run_output():
    r = run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.rc, r.out, r.err) == (7, "out\n", "err\n"), r
    assert run("-i", "cat", stdin="hello").out == "hello"
    assert run("--init", "sh", "-c", "kill -9 $$").rc == 137


@test("status 127 for what is missing, 126 for what cannot be executed")
def run_codes():
    for path, code in (("nosuch", 127), ("/no/such", 127), ("/etc/plain", 126), ("/etc", 126), ("/bin/lost", 127)):
        r = run(path)
        assert r.rc == code and path in r.err, (path, r)


@test("exec of them fails with status 126, as with every runtime, and the runtime's message")
def exec_codes():
    with running() as name:
        for path, text in (("nosuch", "executable file not found"), ("/no/such", "no such file or directory"),
                           ("/etc/plain", "permission denied"), ("/etc", "")):
            r = docker("exec", name, path)
            assert r.rc == 126 and path in r.err + r.out and text in r.err + r.out, (path, r)


@test("a directory on a file is told with docker's hint")
def run_notdir():
    r = run(f"-v={store}/tree:/etc/plain", "true")
    assert r.rc != 0 and "Are you trying to mount a directory onto a file" in r.err, r


@test("a container on a terminal")
def run_terminal():
    r = terminal(command_line("run", "--rm", "-it", *run_args("sh")),
                 "tty; sleep 1; stty size; echo $((40+2)); exit 5\n")
    assert "/dev/pts/0" in r.out and "24 80" in r.out and "\n42\n" in r.out and r.rc == 5, r


@test("exec: output, status, user, directory, environment, terminal, background")
def exec_all():
    with running("--env=OUTER=1") as name:
        r = docker("exec", name, "sh", "-c", "echo o; echo e >&2; exit 3")
        assert (r.rc, r.out, r.err) == (3, "o\n", "e\n"), r
        assert docker("exec", "-i", name, "cat", stdin="in").out == "in"
        out = docker("exec", "-u", "1000:3000", "-w", "/tmp", "-e", "K=v w", name, "sh", "-c",
                     "id -u; id -g; pwd; echo $K $OUTER", check=True).out
        assert out == "1000\n3000\n/tmp\nv w 1\n", out
        r = terminal(command_line("exec", "-it", name, "sh"), "tty; exit 6\n")
        assert r.rc == 6 and "/dev/pts/0" in r.out, r
        docker("exec", "-d", name, "sleep", "1000", check=True)
        eventually(lambda: docker("top", name).out.count("sleep 1000") == 2, "two processes")
        docker("exec", "--privileged", name, "grep", "CapEff", "/proc/self/status", check=True)


@test("stop, kill, restart, pause, unpause, wait, logs, cp, commit, rename")
def life():
    with running("sh", "-c", "trap 'exit 9' TERM; echo ready; echo data >/tmp/file; " + LOOP) as name:
        eventually(lambda: docker("logs", name).out == "ready\n", "ready in the log")
        docker("pause", name, check=True)
        assert inspect(name, ".State.Status") == "paused"
        fails(docker("exec", name, "true"))
        docker("unpause", name, check=True)
        assert inspect(name, ".State.Status") == "running"
        docker("cp", f"{name}:/tmp/file", f"{store}/copy", check=True)
        assert read(f"{store}/copy") == "data\n"
        docker("commit", name, "saved", check=True)
        docker("rmi", "saved", check=True)
        docker("stop", "-t", "60", name, check=True)
        assert inspect(name, ".State.ExitCode") == "9"
        docker("start", name, check=True)
        docker("restart", "-t", "1", name, check=True)
        docker("kill", "-s", "KILL", name, check=True)
        assert docker("wait", name, check=True).out == "137\n"


@test("limits: set, updated while it runs, and they hold")
def limits():
    with running("--memory=64m", "--memory-swap=128m", "--cpus=0.5", "--pids-limit=50", "--cpu-shares=512",
                 "--cpuset-cpus=0", "--blkio-weight=300") as name:
        if "memory" not in cgroup_hierarchies():
            raise Skip("the files are those of cgroup v1")

        def limit(controller, file):
            return read(cgroup_dir(f"{PARENT}/{name}", controller) + f"/{controller}.{file}").strip()
        assert limit("memory", "limit_in_bytes") == str(64 << 20) and limit("cpu", "cfs_quota_us") == "50000"
        assert limit("pids", "max") == "50" and limit("cpu", "shares") == "512" and limit("cpuset", "cpus") == "0"
        docker("update", "--cpus", "0.25", "--pids-limit", "60", name, check=True)
        assert limit("cpu", "cfs_quota_us") == "25000" and limit("pids", "max") == "60"
        docker("update", "--memory", "96m", "--memory-swap", "96m", name, check=True)
        assert limit("memory", "limit_in_bytes") == str(96 << 20)
        docker("update", "--memory", "256m", "--memory-swap", "512m", name, check=True)
        assert limit("memory", "limit_in_bytes") == str(256 << 20)
        docker("update", "--cpuset-cpus", "0-1", "--cpu-shares", "600", name, check=True)
        assert limit("cpu", "shares") == "600"
        assert docker("exec", name, "true").rc == 0
        out = docker("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", name, check=True).out
        assert "256MiB" in out and out.split()[-1] == "1", out
    assert run("--memory=16m", "--memory-swap=16m", "tail", "/dev/zero").rc == 137


@test("an OOM kill is seen")
def oom():
    name = unique("oom")
    try:
        docker("run", "--name", name, *run_args("--memory=16m", "--memory-swap=16m", "tail", "/dev/zero"))
        eventually(lambda: inspect(name, ".State.OOMKilled") == "true", "OOMKilled")
    finally:
        docker("rm", "-f", name)


@test("read-only, volumes, tmpfs, capabilities, privileged, user, host's namespaces, sysctl, ulimit, devices")
def flags():
    source = f"{store}/source"
    os.makedirs(source)
    write(source + "/file", "text\n")
    assert "Read-only" in shell("--read-only", "touch /x 2>&1; true")
    assert shell(f"-v={source}:/v", "echo new >/v/new; cat /v/file") == "text\n" and read(source + "/new") == "new\n"
    assert "Read-only" in shell(f"-v={source}:/v:ro", "touch /v/x 2>&1; true")
    assert "1024" in shell("--tmpfs=/t:size=1m", "df -k /t")
    assert int(shell("--cap-drop=all", "grep CapEff /proc/self/status").split()[1], 16) == 0
    assert int(shell("--cap-drop=all", "--cap-add=net_raw", "grep CapEff /proc/self/status").split()[1], 16) == 1 << 13
    out = shell("--privileged", "ls /dev | wc -l; grep ' /sys ' /proc/mounts; grep Seccomp: /proc/self/status")
    assert int(out.split()[0]) > 20 and " rw," in out and out.split()[-1] == "0", out
    assert shell("--user=1000:1000", "--group-add=4000", "id -G") == "1000 4000\n"
    for flag, name in (("--network=host", "net"), ("--pid=host", "pid"), ("--ipc=host", "ipc"), ("--uts=host", "uts")):
        assert shell(flag, f"readlink /proc/self/ns/{name}").strip() == os.readlink(f"/proc/self/ns/{name}"), flag
    out = shell("--hostname=somewhere", "--workdir=/made/by/docker", "--ulimit=nofile=100:200",
                "--sysctl=kernel.msgmax=9000", "hostname; pwd; ulimit -n; cat /proc/sys/kernel/msgmax")
    assert out.split() == ["somewhere", "/made/by/docker", "100", "9000"], out
    assert "fuse" in shell("--device=/dev/fuse", "ls /dev") if os.path.exists("/dev/fuse") else True
    assert shell("grep Seccomp: /proc/self/status").split()[1] == "2"
    assert shell("--security-opt=no-new-privileges", "grep NoNewPrivs /proc/self/status").split()[1] == "1"
    assert "init" in shell("--init", "cat /proc/1/cmdline")
    out = shell("--oom-score-adj=500", "--shm-size=256k", "cat /proc/self/oom_score_adj; grep shm /proc/mounts")
    assert out.startswith("500\n") and "256k" in out, out


@test("docker build runs its steps")
def build():
    context = f"{store}/context"
    write(f"{context}/Dockerfile", f"FROM {IMAGE}\nENV A=b\nRUN echo $A >/built && id -u >>/built\nUSER 1000\n"
          "RUN [\"sh\", \"-c\", \"id -u > /tmp/mine\"]\nCMD cat /built /tmp/mine\n")
    docker("build", "--network", "none", "-t", "built", context, check=True)
    assert docker("run", "--rm", "--network=none", "built", check=True).out == "b\n0\n1000\n"
    write(f"{context}/Dockerfile", f"FROM {IMAGE}\nRUN exit 7\n")
    r = docker("build", "--network", "none", context)
    assert r.rc != 0 and "non-zero code: 7" in r.err, r
    docker("rmi", "-f", "built", check=True)
    for name in docker("ps", "-aq").out.split():
        docker("rm", "-f", name)
    docker("image", "prune", "-f", check=True)


@test("restart policy, health checks, live restore of a container by name")
def restart():
    with running("--restart=on-failure:2", "sh", "-c", "echo try; exit 3") as name:
        eventually(lambda: docker("logs", name).out == "try\n" * 3, "three tries", 20)
    with running("--health-cmd=test -e /tmp/well", "--health-interval=200ms", "--health-retries=1") as name:
        eventually(lambda: inspect(name, ".State.Health.Status") == "unhealthy", "unhealthy", 10)
        docker("exec", name, "touch", "/tmp/well", check=True)
        eventually(lambda: inspect(name, ".State.Health.Status") == "healthy", "healthy", 10)


@test("a container that cannot be made leaves nothing and says why")
def failures():
    for flags_, word in ((["--sysctl=net.nonsense=1"], "nonsense"), (["--cpuset-cpus=999"], "cpus|CPUs"),
                         (["--ulimit=nofile=99999999:99999999"], "NOFILE|nofile"),
                         (["--device=/dev/nosuchdevice"], "nosuchdevice"), (["--workdir=/etc/plain"], "/etc/plain")):
        r = run(*flags_, "true")
        assert r.rc != 0 and re.search(word, r.err), (flags_, r)
    assert docker("ps", "-aq", check=True).out == ""


@test("a checkpoint without CRIU fails with a message, and the container goes on")
def checkpoint():
    if shutil.which("criu"):
        raise Skip("CRIU is installed")
    with running() as name:
        r = docker("checkpoint", "create", name, "one")
        assert r.rc != 0 and re.search("criu|checkpoint", r.err, re.I), r
        assert inspect(name, ".State.Status") == "running"


@test("ten containers at once")
def many():
    procs = [subprocess.Popen(command_line("run", "--rm", *run_args("echo", str(n))), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for n in range(10)]
    out = [p.communicate(timeout=SLOW)[0].decode().strip() for p in procs]
    assert out == [str(n) for n in range(10)], out


if __name__ == "__main__":
    engine_main(begin)
