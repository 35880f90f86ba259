#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""podman with its default, the systemd cgroup manager, as root or in a user session."""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from davit import *  # noqa: E402

ROOTLESS = os.geteuid() != 0
store = os.path.join(work, "podman")
APPLETS = """cat chmod dd echo env false grep head id kill ls mkdir mknod mount ps sh sleep tail test
touch true umount wc""".split()


def setup():
    """Configuration of an own podman, and an image of busybox."""
    for need in ("podman", "conmon", "busybox"):
        if not shutil.which(need):
            raise Skip(f"needs {need}")
    if not os.path.isdir("/run/systemd/system"):
        raise Skip("systemd is not PID 1")
    if os.path.exists(store):
        return
    os.makedirs(store)
    # podman knows runtimes by their name; the program is copied, as an installed one would be.
    runtime = os.path.join(store, "davit")
    shutil.copy2(DAVIT, runtime)
    os.environ["CONTAINERS_CONF"] = write(store + "/containers.conf", f"""
[containers]
log_driver = "k8s-file"
init_path = "{shutil.which('catatonit')}"
[engine]
cgroup_manager = "systemd"
infra_image = "localhost/box"
infra_command = "/bin/sleep 1000"
events_logger = "file"
runtime = "davit"
runtime_supports_json = ["davit"]
runtime_supports_nocgroup = ["davit"]
[engine.runtimes]
davit = ["{runtime}"]
""")
    os.environ["CONTAINERS_STORAGE_CONF"] = write(store + "/storage.conf", f"""
[storage]
driver = "overlay"
graphroot = "{store}/root"
runroot = "{store}/run"
[storage.options.overlay]
skip_mount_home = "true"
""")
    os.environ["REGISTRIES_CONFIG_PATH"] = write(store + "/registries.conf", "")
    policy = os.path.expanduser("~/.config/containers/policy.json")
    if not os.path.exists(policy):
        write(policy, '{"default": [{"type": "insecureAcceptAnything"}]}')
    tree = store + "/tree"
    for name in ("bin", "etc", "tmp"):
        os.makedirs(f"{tree}/{name}")
    shutil.copy2(shutil.which("busybox"), tree + "/bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", f"{tree}/bin/{applet}")
    write(tree + "/etc/passwd", "root:x:0:0::/:/bin/sh\n")
    write(tree + "/etc/group", "root:x:0:\n")
    subprocess.run(["tar", "-C", tree, "-cf", store + "/image.tar", "."], check=True)
    podman("import", "--change", 'CMD ["/bin/sleep", "1000"]', store + "/image.tar", "box", check=True)


def podman(*args, check=False, timeout=60 * FACTOR, **kw):
    return run_command(["podman", "--tmpdir", store + "/tmp", *map(str, args)],
                       timeout=timeout, check=check, **kw)


def run(*args, **kw):
    return podman("run", "--rm", "--network", "none", *args, **kw)


@contextlib.contextmanager
def running(*flags, command=("sleep", "1000")):
    """The id of a container in the background."""
    setup()
    name = podman("run", "-d", "--network", "none", *flags, "box", *command, check=True).out.strip()
    try:
        yield name
    finally:
        podman("rm", "-f", "-t", "0", name, check=True)


def inspect(name, what):
    return podman("inspect", "--format", "{{" + what + "}}", name, check=True).out.strip()


def cgroup_of(name):
    pid = inspect(name, ".State.Pid")
    path = [l for l in read(f"/proc/{pid}/cgroup").splitlines() if l.startswith("0::")][0][3:]
    top = cgroup_hierarchies()[""]
    return top + path


def limit(name, file):
    """A limit of the container; some runtimes set it on the scope, some on a group below."""
    path = cgroup_of(name)
    paths = [path] + [os.path.dirname(path)] * (not path.endswith(".scope"))
    values = [read(f"{p}/{file}").strip() for p in paths]
    return next((v for v in values if v not in ("0", "max", "max 100000", "100")), values[0])


def v2():
    setup()
    if not v2_only():
        raise Skip("the files are those of cgroup v2")


@test("podman uses the systemd manager and this runtime", limit=200, needs_root=False)
def info():
    setup()
    out = podman("info", "--format",
                 "{{.Host.CgroupManager}} {{.Host.OCIRuntime.Name}}", check=True).out.split()
    assert out == ["systemd", "davit"], out


@test("output and exit status pass through podman run", limit=120, needs_root=False)
def run_output():
    setup()
    r = run("box", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.rc, r.out) == (7, "out\n") and "err\n" in r.err, r
    assert run("-i", "box", "cat", stdin="hello").out == "hello"


@test("a missing program gives status 127, one that cannot run 126", limit=120, needs_root=False)
def run_missing():
    setup()
    r = run("box", "no-such-program")
    assert r.rc == 127, r
    r = run("box", "/etc/passwd")
    assert r.rc == 126, r


@test("the container is in a scope that is gone with it", limit=120, needs_root=False)
def scope():
    with running() as name:
        path = cgroup_of(name)
        assert f"libpod-{name}.scope" in path, path
        assert ("user.slice" if ROOTLESS else "machine.slice") in path, path
        unit = subprocess.run(["systemctl", *["--user"][:ROOTLESS], "is-active",
                               f"libpod-{name}.scope"], capture_output=True, text=True)
        assert unit.stdout.strip() == "active", unit
    eventually(lambda: not os.path.exists(path), f"{path} gone")


@test("limits of memory, processor and processes are set", limit=120, needs_root=False)
def limits():
    v2()
    with running("--memory", "64m", "--memory-swap", "96m", "--memory-reservation", "32m",
                 "--cpus", "0.5", "--pids-limit", "50", "--cpu-shares", "512") as name:
        want = {"memory.max": 64 << 20, "memory.swap.max": 32 << 20, "memory.low": 32 << 20,
                "pids.max": 50, "cpu.max": "50000 100000"}
        have = {k: limit(name, k) for k in want}
        assert have == {k: str(v) for k, v in want.items()}, have
        weight = int(limit(name, "cpu.weight"))
        assert 15 < weight < 65, weight
        inside = podman("exec", name, "cat", "/sys/fs/cgroup/memory.max", check=True).out.strip()
        assert inside == str(64 << 20), inside


@test("a process over the memory limit is killed", limit=150, needs_root=False)
def oom():
    # podman's OOMKilled stays false here, with crun too
    v2()
    r = run("--memory", "16m", "--memory-swap", "16m", "box", "sh", "-c",
            "tail /dev/zero; echo $?; grep oom_kill /sys/fs/cgroup/memory.events")
    assert r.out.startswith("137\noom_kill 1\n"), r


@test("the limit of processes holds", limit=120, needs_root=False)
def pids():
    setup()
    r = run("--pids-limit", "5", "box", "sh", "-c",
            "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo all")
    assert "all" not in r.out, r


@test("stats shows the limits and the processes", limit=120, needs_root=False)
def stats():
    v2()
    with running("--memory", "64m", "--pids-limit", "50") as name:
        r = podman("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", name, check=True)
        assert "67.11MB" in r.out and r.out.split()[-1] == "1", r.out


@test("pause freezes, unpause thaws", limit=120, needs_root=False)
def pause():
    with running(command=("sh", "-c", "while :; do echo tick; sleep 0.1; done")) as name:
        podman("pause", name, check=True)
        assert inspect(name, ".State.Status") == "paused"
        before = len(podman("logs", name, check=True).out)
        time.sleep(1)
        assert len(podman("logs", name, check=True).out) == before
        fails(podman("exec", name, "true"))
        podman("unpause", name, check=True)
        assert inspect(name, ".State.Status") == "running"
        eventually(lambda: len(podman("logs", name, check=True).out) > before, "more output", 10)


@test("a paused container can be removed", limit=120, needs_root=False)
def pause_remove():
    with running() as name:
        path = cgroup_of(name)
        podman("pause", name, check=True)
    eventually(lambda: not os.path.exists(path), f"{path} gone")


@test("exec joins the cgroup, returns output and status", limit=120, needs_root=False)
def exec_():
    with running() as name:
        r = podman("exec", name, "sh", "-c", "echo in; exit 3")
        assert (r.rc, r.out) == (3, "in\n"), r
        podman("exec", "-d", name, "sleep", "1000", check=True)

        def both():
            top = cgroup_of(name).split("/container")[0]
            return sum(len(read(os.path.join(base, "cgroup.procs")).split())
                       for base, _, _ in os.walk(top)) == 2
        eventually(both, "two processes in the cgroup", 10)
        assert podman("exec", name, "no-such-program").rc == 127


@test("stop sends the signal, then kills", limit=150, needs_root=False)
def stop():
    with running(command=("sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done")) as name:
        podman("stop", "-t", "60", name, check=True)
        assert inspect(name, ".State.ExitCode") == "9"
    with running(command=("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")) as name:
        podman("stop", "-t", "1", name, check=True)
        assert inspect(name, ".State.ExitCode") == "137"
        podman("start", name, check=True)
        assert inspect(name, ".State.Status") == "running"


@test("update changes the limits of a running container", limit=120, needs_root=False)
def update():
    v2()
    with running("--memory", "64m") as name:
        podman("update", "--memory", "128m", "--cpus", "0.25", name, check=True)
        assert limit(name, "memory.max") == str(128 << 20)
        assert limit(name, "cpu.max").split() == ["25000", "100000"]
        # systemd knows it too, so a reload keeps it
        subprocess.run(["systemctl", *["--user"][:ROOTLESS], "daemon-reload"], check=True)
        assert limit(name, "memory.max") == str(128 << 20)


@test("device rules hold, also after systemd has reloaded", limit=150)
def devices():
    with running("--device", "/dev/fuse", "--cap-add", "mknod") as name:
        podman("exec", name, "mknod", "/tmp/kmsg", "c", "1", "11", check=True)
        for reload in (False, True, True):
            if reload:
                subprocess.run(["systemctl", "daemon-reload"], check=True)
            r = podman("exec", name, "sh", "-c", "exec 3<>/dev/fuse && exec 4>/dev/null && echo fine")
            assert r.out == "fine\n", r
            r = podman("exec", name, "sh", "-c", "exec 3</tmp/kmsg && echo opened")
            assert "opened" not in r.out and "not permitted" in r.err, r


@test("a pod shares its namespaces and a slice", limit=200, needs_root=False)
def pod():
    setup()
    name = unique("pod")
    r = podman("pod", "create", "--name", name, "--network", "none", "--infra-command", "/bin/sleep 1000",
               "--infra-image", "localhost/box", "--share", "ipc,uts")
    if r.rc != 0 and "pause" in r.err:
        raise Skip("this podman has no infra image")
    try:
        assert r.rc == 0, r
        out = podman("run", "--rm", "--network", "none", "--pod", name, "box", "sh", "-c", "echo in pod",
                     check=True).out
        assert out == "in pod\n", out
    finally:
        podman("pod", "rm", "-f", "-t", "0", name, check=True)


@test("kube play makes a pod of containers with limits, in a slice; kube down ends them", limit=250,
      needs_root=False)
def kube():
    v2()
    name = unique("kube").replace("_", "-").lower()
    box = {"image": "localhost/box:latest", "imagePullPolicy": "Never", "command": ["sleep", "1000"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [
        dict(box, name="one", resources={"limits": {"memory": "64Mi", "cpu": "500m"}}), dict(box, name="two")]}}
    file = write(f"{store}/{name}.yaml", json.dumps(pod))
    path = None
    try:
        podman("kube", "play", "--network", "none", file, check=True)
        assert limit(f"{name}-one", "memory.max") == str(64 << 20)
        assert limit(f"{name}-one", "cpu.max") == "50000 100000"
        assert podman("exec", f"{name}-two", "echo", "in", check=True).out == "in\n"
        path = cgroup_of(f"{name}-one").split("/libpod-")[0]
        assert path.endswith(".slice"), path
    finally:
        podman("kube", "down", file, check=path is not None)
    eventually(lambda: not glob.glob(path + "/libpod-*"), "the pod is gone")


@test("containers without a cgroup of their own work", limit=150, needs_root=False)
def no_cgroup():
    setup()
    assert run("--cgroups", "disabled", "box", "echo", "a", check=True).out == "a\n"
    assert run("--cgroups", "no-conmon", "box", "echo", "b", check=True).out == "b\n"


@atexit.register
def pause_process_end():
    """Ends the process with which podman keeps a user's namespaces."""
    for path in (store + "/tmp/pause.pid", os.environ.get("XDG_RUNTIME_DIR", "") + "/libpod/tmp/pause.pid"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(read(path)), signal.SIGKILL)


if ROOTLESS and "-l" not in sys.argv:
    with contextlib.suppress(Skip):  # that process must be there before leaks are looked for
        setup()
main()
