#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""podman and conmon with the cgroupfs manager, as root: what users do with it."""
from engine import *

IMAGE = "localhost/box:latest"


def begin():
    need("podman", "conmon", "busybox", "script")
    own_host()
    os.environ["CONTAINERS_CONF"] = containers_conf("containers.conf", ["crun", "runc", "davit"])
    storage_conf("overlay", f"{store}/root", f"{store}/run")
    podman("import", image_tree(), IMAGE, check=True)
    # The first container makes what stays: the parent's cgroup, locks, directories.
    run("true", check=True)


def defaults(flags):
    parent = [] if any(f.startswith(("--pod=", "--cgroups=", "--cgroup-parent")) for f in flags) else \
        [f"--cgroup-parent={PARENT}"]
    return parent + ([] if any(f.startswith("--pod=") for f in flags) else network_none(flags))


client = Client("podman", "--tmpdir", f"{store}/tmp/libpod", "--runtime", RUNTIME, image=IMAGE, defaults=defaults,
                remove=("rm", "-f", "-t", "0"))
podman, command_line, run_args = client.call, client.line, client.run_args
run, shell, running, inspect = client.run, client.shell, client.running, client.inspect


def sh(name, script, *flags, check=True):
    return podman("exec", *flags, name, "sh", "-c", script, check=check).out


# ---- run ----

@test("output, status and standard input pass through a foreground run")
def run_output():
    r = run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.rc, r.out) == (7, "out\n") and r.err == "err\n", r
    assert run("-i", "cat", stdin="hello").out == "hello"


@test("a large input and output pass whole")
def run_large():
    data = "0123456789abcdef" * (1 << 16)
    assert run("-i", "cat", stdin=data).out == data


@test("status 127 for what is missing, 126 for what cannot be executed; the message names it")
def run_codes():
    for path, code in (("nosuch", 127), ("/no/such", 127), ("/etc/plain", 126), ("/etc", 126)):
        r = run(path)
        assert r.rc == code and path in r.err, (path, r)
        assert len(r.err.strip().splitlines()) == 1, r
    # Found by execve, at start: podman then tells the command that failed.
    r = run("/bin/lost")
    assert r.rc == 126 and "/bin/lost" in r.err and "interpreter" in r.err, r
    assert run("--no-such-flag").rc == 125


@test("the same without JSON errors: an engine that does not know the runtime's name")
def run_codes_text():
    containers_conf("text.conf", ["crun", "runc"])
    env = dict(os.environ, CONTAINERS_CONF=f"{store}/text.conf")
    for path, code in (("nosuch", 127), ("/no/such", 127), ("/etc/plain", 126), ("/etc", 126)):
        r = run(path, env=env)
        assert r.rc == code and path in r.err, (path, r)
    assert run("echo", "fine", env=env).out == "fine\n"


@test("a payload killed by a signal gives 128 and its number")
def run_signal():
    assert run("--init", "sh", "-c", "kill -9 $$").rc == 137
    assert run("--init", "sh", "-c", "kill -TERM $$").rc == 143


@test("podman run forwards its signals")
def run_forward():
    name = unique()
    p = subprocess.Popen(command_line("run", "--rm", *run_args(f"--name={name}", "sh", "-c",
                         "trap 'exit 5' USR1; echo ready; " + LOOP)), stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"ready\n"
        # Before that podman does not forward, and never begins to.
        eventually(lambda: inspect(name, ".State.Status") == "running", "running")
        time.sleep(0.3)
        p.send_signal(signal.SIGUSR1)
        assert p.wait(10 * FACTOR) == 5
    finally:
        p.stdout.close()
        podman("rm", "-f", "-i", "-t", "0", name)


@test("a container on a terminal has its size, and what is typed reaches it")
def run_terminal():
    r = terminal(command_line("run", "--rm", "-it", *run_args("sh")), "stty size; tty; echo $((40+2)); exit 5\n")
    assert "24 80" in r.out and "/dev/pts/0" in r.out and "\n42\n" in r.out and r.rc == 5, r


@test("in the background, started again, removed by itself")
def run_detached():
    with running("--name=" + unique(), "sh", "-c", "echo started; exec sleep 1000") as name:
        assert inspect(name, ".State.Status") == "running"
        podman("restart", "-t", "0", name, check=True)
        eventually(lambda: podman("logs", name).out == "started\nstarted\n", "two lines in the log")
        podman("stop", "-t", "0", name, check=True)
        podman("start", name, check=True)
        assert inspect(name, ".State.Status") == "running"
    name = podman("run", "-d", "--rm", *run_args("sleep", "0.2"), check=True).out.strip()
    eventually(lambda: podman("container", "exists", name).rc == 1, "removed", 15)


@test("restart policy: a failing container is started again")
def run_restart():
    with running("--restart=on-failure:2", "sh", "-c", "echo try; exit 3") as name:
        eventually(lambda: podman("logs", name).out == "try\n" * 3, "three tries", 20)


@test("logs, attach and a detached container's input")
def attach():
    with running("-i", "sh", "-c", "read a; echo got $a; sleep 1; exit 4") as name:
        p = subprocess.Popen(command_line("attach", name), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stdin.write(b"first\n")
        p.stdin.flush()
        assert p.stdout.readline() == b"got first\n"
        p.wait(SLOW)
        p.stdin.close()
        p.stdout.close()
        eventually(lambda: inspect(name, ".State.ExitCode") == "4", "status 4")
        assert podman("logs", name, check=True).out == "got first\n"


# ---- life ----

@test("exec: output, status, input, user, directory, environment, terminal, background")
def exec_all():
    with running("--env=OUTER=1") as name:
        r = podman("exec", name, "sh", "-c", "echo o; echo e >&2; exit 3")
        assert (r.rc, r.out, r.err) == (3, "o\n", "e\n"), r
        assert podman("exec", "-i", name, "cat", stdin="in").out == "in"
        out = podman("exec", "-u", "1000:3000", "-w", "/tmp", "-e", "K=v w", name, "sh", "-c",
                     'id -u; id -g; pwd; echo $K $OUTER', check=True).out
        assert out == "1000\n3000\n/tmp\nv w 1\n", out
        r = terminal(command_line("exec", "-it", name, "sh"), "stty size; tty; exit 6\n")
        assert r.rc == 6 and "24 80" in r.out and "/dev/pts/0" in r.out, r
        podman("exec", "-d", name, "sh", "-c", "touch /tmp/there; exec sleep 1000", check=True)
        eventually(lambda: podman("exec", name, "test", "-e", "/tmp/there").rc == 0, "the background process")
        assert podman("exec", "--privileged", name, "grep", "CapEff", "/proc/self/status").out != \
            podman("exec", name, "grep", "CapEff", "/proc/self/status").out


@test("exec: status 127 and 126, and an error for a stopped container")
def exec_codes():
    with running() as name:
        for path, code in (("nosuch", 127), ("/no/such", 127), ("/etc/plain", 126), ("/etc", 126)):
            r = podman("exec", name, path)
            assert r.rc == code and path in r.err, (path, r)
        podman("kill", name, check=True)
        podman("wait", name, check=True)
        fails(podman("exec", name, "true"))


@test("exec of a directory that does not exist is an error that names it")
def exec_cwd():
    with running() as name:
        r = fails(podman("exec", "-w", "/none/here", name, "true"), "/none/here")
        assert r.rc in (126, 127), r


@test("kill sends the signal, stop the stop signal and then SIGKILL")
def kill_stop():
    script = "trap 'echo usr1' USR1; trap 'exit 9' TERM; echo ready; " + LOOP
    with running("sh", "-c", script) as name:
        eventually(lambda: "ready" in podman("logs", name).out, "ready")
        podman("kill", "-s", "USR1", name, check=True)
        eventually(lambda: "usr1" in podman("logs", name).out, "usr1 in the log")
        podman("stop", "-t", "60", name, check=True)
        assert inspect(name, ".State.ExitCode") == "9"
        fails(podman("kill", name))
    with running("--stop-signal=INT", "sh", "-c", "trap '' INT; echo ready; " + LOOP) as name:
        eventually(lambda: "ready" in podman("logs", name).out, "ready")
        podman("stop", "-t", "1", name, check=True)
        assert inspect(name, ".State.ExitCode") == "137"


@test("pause freezes, unpause thaws; a paused container can be removed")
def pause():
    with running("sh", "-c", "while :; do echo tick; sleep 0.1; done") as name:
        podman("pause", name, check=True)
        assert inspect(name, ".State.Status") == "paused"
        before = podman("logs", name, check=True).out
        time.sleep(0.5)
        assert podman("logs", name, check=True).out == before
        fails(podman("exec", name, "true"))
        podman("unpause", name, check=True)
        eventually(lambda: len(podman("logs", name).out) > len(before), "more output", 10)
        podman("pause", name, check=True)


@test("stats, top, ps, diff, cp, commit and export see the container")
def look():
    with running("--memory=64m", "sh", "-c", "echo data >/tmp/file; exec sleep 1000") as name:
        r = podman("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", name, check=True)
        assert "67.11MB" in r.out and r.out.split()[-1] == "1", r
        assert "sleep 1000" in podman("top", name, "pid", "args", check=True).out
        assert name[:12] in podman("ps", check=True).out
        eventually(lambda: "/tmp/file" in podman("diff", name, check=True).out, "the file in diff")
        podman("cp", f"{name}:/tmp/file", f"{store}/copy", check=True)
        assert read(f"{store}/copy") == "data\n"
        podman("cp", f"{store}/copy", f"{name}:/root/back", check=True)
        assert sh(name, "cat /root/back") == "data\n"
        podman("commit", "-q", name, "localhost/saved", check=True)
        assert podman("run", "--rm", "--network=none", f"--cgroup-parent={PARENT}", "localhost/saved",
                      "cat", "/root/back", check=True).out == "data\n"
    podman("rmi", "localhost/saved", check=True)


@test("health checks run in the container")
def health():
    with running("--health-cmd=test -e /tmp/well", "--health-interval=disable", "--health-retries=1") as name:
        assert podman("healthcheck", "run", name).rc == 1
        sh(name, "touch /tmp/well")
        podman("healthcheck", "run", name, check=True)


@test("update-less limits, then checkpoint: without CRIU the message says so and the container goes on")
def checkpoint():
    with running() as name:
        r = podman("container", "checkpoint", name)
        if r.rc == 0:
            podman("container", "restore", name, check=True)
        else:
            assert len(r.err.strip().splitlines()) <= 2 and re.search("checkpoint|criu", r.err, re.I), r
        assert inspect(name, ".State.Status") == "running"


# ---- isolation ----

@test("a read-only root, with writable /tmp, /run, /dev/shm")
def read_only():
    out = shell("--read-only", "touch /x 2>&1; touch /tmp/a /run/a /dev/shm/a && echo fine")
    assert "Read-only file system" in out and "fine" in out, out
    out = shell("--read-only", "--read-only-tmpfs=false", "touch /tmp/x 2>&1; true")
    assert "Read-only file system" in out, out


@test("volumes: writable, read-only, of a file, with a label asked for, propagation, named, tmpfs")
def volumes():
    source = f"{store}/volume"
    os.makedirs(source + "/sub")
    write(source + "/file", "text\n")
    assert shell(f"-v={source}:/v", "echo new >/v/new; cat /v/file") == "text\n"
    assert read(source + "/new") == "new\n"
    assert "Read-only" in shell(f"-v={source}:/v:ro", "touch /v/x 2>&1; true")
    assert shell(f"-v={source}/file:/etc/one:ro", "cat /etc/one") == "text\n"
    assert shell(f"-v={source}:/v:Z", "cat /v/file") == "text\n"
    assert "text" in shell(f"-v={source}:/v:rslave,nosuid,nodev,noexec",
                           "cat /v/file; grep ' /v ' /proc/self/mountinfo")
    assert shell(f"-v={source}:/new/deep/dir", "cat /new/deep/dir/file") == "text\n"
    out = shell("--tmpfs=/t:rw,size=1m,mode=1777,noexec", "df -k /t | tail -1; stat -c %a /t; grep ' /t ' /proc/mounts")
    assert "1024" in out and "1777" in out and "noexec" in out, out
    podman("volume", "create", "vol", check=True)
    shell("-v=vol:/v", "echo kept >/v/kept")
    assert shell("-v=vol:/v", "cat /v/kept") == "kept\n"
    podman("volume", "rm", "vol", check=True)


@test("mounts of type bind, tmpfs and glob; a directory does not go on a file")
def mount_flag():
    source = f"{store}/source"
    os.makedirs(source)
    assert "ro" in shell(f"--mount=type=bind,src={source},dst=/m,ro=true", "grep ' /m ' /proc/self/mountinfo")
    assert "tmpfs" in shell("--mount=type=tmpfs,dst=/m,tmpfs-size=1m", "grep ' /m ' /proc/mounts")
    r = run(f"-v={source}:/etc/plain", "true")
    assert r.rc != 0 and "/etc/plain" in r.err and "not a directory" in r.err.lower(), r


def capabilities(*flags):
    return int(shell(*flags, "grep CapEff /proc/self/status").split()[1], 16)


@test("capabilities: dropped, added, all, of a user")
def caps():
    assert capabilities("--cap-drop=all") == 0
    assert capabilities("--cap-drop=all", "--cap-add=net_raw") == 1 << 13
    usual = capabilities()
    assert 0 < usual < capabilities("--cap-add=sys_admin") == usual | 1 << 21
    assert capabilities("--user=1000") == 0
    assert capabilities("--privileged") > usual


@test("privileged: all devices, a writable /sys, no masks")
def privileged_():
    out = shell("--privileged", "ls /dev | wc -l; grep ' /sys ' /proc/mounts; grep -c ' /proc/' /proc/mounts; "
                "grep Seccomp: /proc/self/status")
    lines = out.splitlines()
    assert int(lines[0]) > 20 and " rw," in lines[1] and lines[2] == "0" and lines[-1].split()[1] == "0", out


@test("limits: memory, swap, processors, shares, sets, processes, and they hold")
def limits():
    need_v1 = "memory" in cgroup_hierarchies()
    want = {"memory.limit_in_bytes": 32 << 20, "cpu.cfs_quota_us": 50000, "cpu.shares": 512, "cpuset.cpus": "0",
            "pids.max": 50} if need_v1 else {"memory.max": 32 << 20, "cpu.max": "50000 100000", "pids.max": 50,
                                             "cpuset.cpus": "0"}
    where = "/sys/fs/cgroup/%s/" if need_v1 else "/sys/fs/cgroup/"
    paths = [(where % f.split(".")[0] if need_v1 else where) + f for f in want]
    out = shell("--memory=32m", "--cpus=0.5", "--cpu-shares=512", "--cpuset-cpus=0", "--pids-limit=50",
                "cat " + " ".join(paths))
    assert out.split("\n")[:-1] == [str(v) for v in want.values()], out
    assert "all" not in run("--pids-limit=5", "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 3 & done; echo all").out
    assert run("--memory=16m", "--memory-swap=16m", "tail", "/dev/zero").rc == 137


@test("user: by number, by name, with further groups, with the caller's groups")
def user():
    assert shell("--user=1000", "id").startswith("uid=1000(user) gid=1000(user)")
    assert "3000" in shell("--user=user", "id")
    assert "groups=" in shell("--user=1000:1000", "--group-add=4000", "id") and \
        "4000" in shell("--user=1000:1000", "--group-add=4000", "id")
    r = run("--group-add=keep-groups", "id", preexec=lambda: os.setgroups([0, 4711]))
    # Only a runtime that podman knows as crun keeps groups; the others say so.
    assert (r.rc == 0 and "4711" in r.out) or "keep-groups" in r.err or "crun" in r.err, r
    r = run("--user=nobodyhere", "true")
    assert r.rc != 0 and "nobodyhere" in r.err, r


@test("user namespaces: by mapping, by --userns=auto, nested users own their files")
def userns():
    out = shell("--uidmap=0:100000:65536", "--gidmap=0:100000:65536",
                "cat /proc/self/uid_map; id -u; touch /root/f && stat -c %u /root/f")
    assert out.split() == ["0", "100000", "65536", "0", "0"], out
    subids = write(f"{store}/subid", "containers:200000:655360\nroot:900000:65536\n", 0o644)
    for path in ("/etc/subuid", "/etc/subgid"):
        mount(subids, path, None, MS_BIND)
    try:
        out = shell("--userns=auto", "cat /proc/self/uid_map; id -u")
        words = out.split()
        assert words[0] == "0" and int(words[1]) >= 200000 and words[-1] == "0", out
        out = shell("--userns=auto:size=2000", f"-v={store}/tree/etc:/v:ro", "--sysctl=kernel.msgmax=9000",
                    "cat /proc/self/uid_map /proc/sys/kernel/msgmax")
        assert out.split()[2:] == ["2000", "9000"], out
    finally:
        umount("/etc/subuid")
        umount("/etc/subgid")


@test("namespaces of the host: network, pid, ipc, uts, cgroup")
def namespaces_host():
    mine = {n: os.readlink("/proc/self/ns/" + n) for n in ("net", "pid", "ipc", "uts", "cgroup", "mnt")}
    for flag, name in (("--network=host", "net"), ("--pid=host", "pid"), ("--ipc=host", "ipc"),
                       ("--uts=host", "uts"), ("--cgroupns=host", "cgroup")):
        out = shell(flag, "for n in net pid ipc uts cgroup mnt; do readlink /proc/self/ns/$n; done").split()
        inside = dict(zip(("net", "pid", "ipc", "uts", "cgroup", "mnt"), out))
        same = {n for n in mine if mine[n] == inside[n]}
        assert name in same and "mnt" not in same, (flag, same)
        if name != "cgroup":
            assert same - {"cgroup"} == {name}, (flag, same)


@test("namespaces of another container: --network, --pid, --ipc container:ID")
def namespaces_container():
    with running("--ipc=shareable") as name:
        out = shell(f"--network=container:{name}", f"--pid=container:{name}", f"--ipc=container:{name}",
                    "ps; for n in net pid ipc; do readlink /proc/self/ns/$n; done")
        assert "sleep 1000" in out, out
        for n in ("net", "pid", "ipc"):
            assert sh(name, f"readlink /proc/self/ns/{n}").strip() in out, out


@test("an init process, a host name, environment, a directory, limits of files, sysctls")
def process():
    out = shell("--init", "ps -o pid,args")
    first = [line.split() for line in out.splitlines() if line.split()[0] == "1"][0]
    assert "init" in first[1] or "catatonit" in first[1], out
    out = shell("--hostname=somewhere", "--env=A=b c", "--workdir=/tmp", "--ulimit=nofile=100:200",
                "--ulimit=nproc=300:400", "--sysctl=kernel.msgmax=9000", "--umask=0077",
                "hostname; echo $A; pwd; ulimit -n; ulimit -Hn; cat /proc/sys/kernel/msgmax; umask")
    assert out.split("\n")[:-1] == ["somewhere", "b c", "/tmp", "100", "200", "9000", "0077"], out
    assert shell("--oom-score-adj=500", "cat /proc/self/oom_score_adj") == "500\n"
    assert "256k" in shell("--shm-size=256k", "grep shm /proc/mounts")


@test("devices: given, with rights, and none besides")
def devices():
    out = shell("--device=/dev/loop-control:/dev/given:r", "--cap-add=mknod", "ls -l /dev/given; "
                "(exec 3</dev/given) && echo readable; (exec 3>/dev/given) 2>&1; "
                "mknod /tmp/kmsg c 1 11; (exec 3</tmp/kmsg) 2>&1; echo x >/dev/null && echo null") \
        if os.path.exists("/dev/loop-control") else None
    if out is None:
        raise Skip("needs /dev/loop-control")
    assert "readable" in out and "null" in out and out.count("not permitted") == 2, out
    r = run("--device=/dev/nosuchdevice", "true")
    assert r.rc != 0 and "/dev/nosuchdevice" in r.err, r


@test("seccomp: the default filter, one of the user, none; no new privileges")
def seccomp():
    mode = "grep Seccomp: /proc/self/status"
    assert shell(mode).split()[1] == "2" and shell("--security-opt=seccomp=unconfined", mode).split()[1] == "0"
    profile = write(f"{store}/profile.json", json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXDEV}]}))
    out = shell(f"--security-opt=seccomp={profile}", "mkdir /tmp/d 2>&1; true")
    assert os.strerror(errno.EXDEV).lower() in out.lower(), out
    assert shell("--security-opt=no-new-privileges", "grep NoNewPrivs /proc/self/status").split()[1] == "1"
    out = shell("--security-opt=mask=/etc/plain", "--security-opt=unmask=/proc/keys",
                "cat /etc/plain | wc -c; grep -c ' /proc/keys ' /proc/self/mountinfo; true")
    assert out.split() == ["0", "0"], out


@test("without a cgroup of its own, and with conmon in none")
def cgroups_none():
    assert shell("--cgroups=disabled", "echo a") == "a\n"
    assert shell("--cgroups=no-conmon", f"--cgroup-parent={PARENT}", "echo b") == "b\n"


@test("hooks of an engine run with the state on their input, and a failing one fails the run")
def hooks():
    directory = f"{store}/hooks"
    os.mkdir(directory)

    def hook(stage, script):
        for f in os.listdir(directory):
            os.unlink(f"{directory}/{f}")
        program = write(f"{store}/hook", "#!/bin/sh\n" + script, 0o755)
        write(f"{directory}/h.json", json.dumps({"version": "1.0.0", "when": {"always": True}, "stages": [stage],
                                                 "hook": {"path": program}}))
        return podman("--hooks-dir", directory, "run", "--rm", *run_args("echo", "ran"))
    for stage in ("prestart", "createRuntime", "poststart", "poststop"):
        seen = f"{store}/{stage}"
        r = hook(stage, f"cat >{seen}")
        assert r.out == "ran\n", (stage, r)
        assert json.loads(read(seen))["status"] in ("creating", "created", "running", "stopped"), read(seen)
    r = hook("createRuntime", "echo hook trouble >&2; exit 3")
    assert r.rc != 0 and "ran" not in r.out and "hook" in r.err and "hook trouble" in r.err, r


# ---- failures ----

@test("a container that cannot be made, whatever the cause, leaves nothing and says why")
def failures():
    directory = f"{store}/adir"
    os.makedirs(directory)
    bad = write(f"{store}/bad.json", '{"defaultAction": "SCMP_ACT_NONSENSE"}')
    for flags, word in ((["--sysctl=net.nonsense=1"], "net"), ([f"-v={directory}:/etc/plain"], "/etc/plain"),
                        (["--sysctl=kernel.shmmax=nonsense"], "shmmax"),
                        ([f"--security-opt=seccomp={bad}"], "NONSENSE"),
                        (["--memory=4k", "--memory-swap=4k"], "memory"),
                        (["--ulimit=nofile=99999999:99999999"], "NOFILE|nofile|rlimit|ulimit"),
                        (["--workdir=/etc/plain"], "/etc/plain"), (["--cpuset-cpus=999"], "CPUs|cpuset"),
                        (["--mount=type=tmpfs,dst=/etc/plain"], "/etc/plain")):
        r = run(*flags, "true")
        assert r.rc != 0 and re.search(word, r.err), (flags, r)
        assert len(r.err.strip().splitlines()) <= 2, r
    assert podman("ps", "-aq", check=True).out == ""


# ---- pods ----

@test("a pod shares network, ipc and uts; its containers come and go")
def pod():
    name = unique("pod")
    need("catatonit")
    # The infra container runs catatonit from the image.
    podman("pod", "create", "--name", name, "--network=none", f"--cgroup-parent={PARENT}", "--infra-image", IMAGE,
           "--infra-command", "/bin/sleep 1000", "--hostname", "podhost", check=True)
    try:
        script = "hostname; for n in net ipc uts pid; do readlink /proc/self/ns/$n; done"
        out = shell(f"--pod={name}", script).split()
        again = shell(f"--pod={name}", script).split()
        assert out[:4] == again[:4] and out[0] == "podhost", (out, again)
        podman("run", "-d", f"--pod={name}", IMAGE, "sleep", "1000", check=True)
        podman("pod", "pause", name, check=True)
        podman("pod", "unpause", name, check=True)
        podman("pod", "stop", "-t", "0", name, check=True)
        podman("pod", "start", name, check=True)
        assert podman("pod", "ps", "--format", "{{.Status}}", check=True).out == "Running\n"
    finally:
        podman("pod", "rm", "-f", "-t", "0", name)
        # podman does not know the hierarchies without a controller
        cgroups_remove("systemd", "unified", below=PARENT)


@test("kube play makes a pod from YAML, kube down takes it away", limit=100)
def kube():
    need("catatonit")
    file = write(f"{store}/pod.yaml", json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kubepod"},
        "spec": {"hostNetwork": True, "containers": [{
            "name": "a", "image": IMAGE, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c"],
            "args": ["echo $GREETING; exec sleep 1000"], "env": [{"name": "GREETING", "value": "hello"}],
            "resources": {"limits": {"memory": "64Mi"}},
            "securityContext": {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}}]}}))
    podman("kube", "play", "--quiet", file, check=True)
    try:
        eventually(lambda: podman("logs", "kubepod-a").out == "hello\n", "hello in the log")
        assert int(sh("kubepod-a", "grep CapEff /proc/self/status").split()[1], 16) == 0
        assert "Read-only" in podman("exec", "kubepod-a", "touch", "/x").err
    finally:
        podman("kube", "down", file, check=True)
    assert podman("ps", "-aq", check=True).out == ""


# ---- build ----

@test("podman build runs its steps", limit=100)
def build():
    context = f"{store}/context"
    write(f"{context}/Containerfile", f"FROM {IMAGE}\nENV A=b\nRUN echo $A >/built && id -u >>/built\nUSER 1000\n"
          "WORKDIR /tmp\nRUN [\"sh\", \"-c\", \"id -u > mine\"]\nCMD cat /built /tmp/mine\n")
    # The group that is named becomes that of the container.
    flags = ["--isolation", "oci", "--network", "none", "--cgroup-parent", PARENT + "/build"]
    r = podman("build", *flags, "-t", "localhost/built", context)
    assert r.rc == 0, r
    out = podman("run", "--rm", "--network=none", f"--cgroup-parent={PARENT}", "localhost/built", check=True).out
    assert out == "b\n0\n1000\n", out
    write(f"{context}/Containerfile", f"FROM {IMAGE}\nRUN exit 7\n")
    r = podman("build", *flags, context)
    assert r.rc != 0 and "7" in r.err, r
    podman("rmi", "-f", "localhost/built", check=True)
    podman("image", "prune", "-f", check=True)


# ---- many ----

@test("twenty containers at once start and end", limit=150)
def many():
    names = [unique("many") for _ in range(20)]
    procs = [subprocess.Popen(command_line("run", "--rm", "--name", n, *run_args("echo", n)),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for n in names]
    out = [p.communicate(timeout=2 * SLOW)[0].decode().strip() for p in procs]
    assert out == names, out


if __name__ == "__main__":
    engine_main(begin)
