#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""podman without privileges: a user with subordinate ids, who is made for this test alone."""
from engine import *

IMAGE = "localhost/box:latest"
USER = 47110


def begin():
    need("podman", "conmon", "newuidmap", "newgidmap", "busybox", "script")
    own_host()
    # podman refuses to clean up where the second path is long.
    home, runtime = f"{store}/home", f"/run/user/{USER}"
    for path in (home, runtime):
        os.makedirs(path, 0o700)
        os.chown(path, USER, USER)
    os.chmod(f"{store}/tmp", 0o1777)
    for file, line in (("passwd", f"tester:x:{USER}:{USER}::{home}:/bin/sh\n"), ("group", f"tester:x:{USER}:\n"),
                       ("subuid", "tester:300000:65536\n"), ("subgid", "tester:300000:65536\n")):
        if not os.path.exists(f"/etc/{file}"):
            raise Skip(f"needs /etc/{file}")
        mount(write(f"{store}/{file}", read(f"/etc/{file}") + line, 0o644), f"/etc/{file}", None, MS_BIND)
    os.chdir(home)
    os.environ.update(HOME=home, XDG_RUNTIME_DIR=runtime, USER="tester", LOGNAME="tester", TMPDIR=f"{store}/tmp")
    os.environ["CONTAINERS_CONF"] = containers_conf("containers.conf", ["davit"])
    storage_conf("vfs", f"{home}/root", f"{runtime}/run")
    write(home + "/.config/containers/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
    os.chmod(image_tree(), 0o644)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", home], check=True)
    host.root = davit.root = f"{runtime}/davit"
    r = podman("unshare", "cat", "/proc/self/uid_map")
    if r.rc != 0:
        raise Skip(f"this host gives users no namespace: {r.err.strip()[:200]}")
    podman("import", f"{store}/image.tar", IMAGE, check=True)
    run("true", check=True)


def drop():
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)


client = Client("podman", "--runtime", RUNTIME, image=IMAGE, remove=("rm", "-f", "-t", "0"), preexec=drop)
podman, run, shell, running, inspect = client.call, client.run, client.shell, client.running, client.inspect


@test("podman is rootless, and so is its runtime")
def info():
    assert podman("info", "--format", "{{.Host.Security.Rootless}}", check=True).out == "true\n"
    out = shell("id -u; cat /proc/self/uid_map")
    assert out.split() == ["0", "0", str(USER), "1", "1", "300000", "65536"], out


@test("output, status and standard input pass through; 126 and 127")
def run_output():
    r = run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.rc, r.out, r.err) == (7, "out\n", "err\n"), r
    assert run("-i", "cat", stdin="hello").out == "hello"
    for path, code in (("nosuch", 127), ("/no/such", 127), ("/etc/plain", 126), ("/etc", 126)):
        r = run(path)
        assert r.rc == code and path in r.err, (path, r)


@test("users inside, keep-id, files of volumes")
def users():
    source = f"{store}/home/volume"
    os.mkdir(source)
    os.chown(source, USER, USER)
    shell(f"-v={source}:/v", "touch /v/root; chown 1000:1000 /v/root; touch /v/plain")
    assert os.stat(source + "/plain").st_uid == USER and os.stat(source + "/root").st_uid == 300999
    assert shell("--userns=keep-id", "id -u") == f"{USER}\n"
    assert shell("--user=1000:1000", "id -u; id -g").split() == ["1000", "1000"]
    assert "Read-only" in shell(f"-v={source}:/v:ro", "touch /v/x 2>&1; true")


@test("exec, kill, stop, restart, logs")
def life():
    with running("sh", "-c", "trap 'exit 9' TERM; trap 'echo usr1' USR1; echo ready; " + LOOP) as name:
        eventually(lambda: podman("logs", name).out == "ready\n", "ready")
        r = podman("exec", name, "sh", "-c", "echo o; exit 3")
        assert (r.rc, r.out) == (3, "o\n"), r
        assert podman("exec", name, "nosuch").rc == 127
        podman("kill", "-s", "USR1", name, check=True)
        eventually(lambda: "usr1" in podman("logs", name).out, "usr1")
        podman("stop", "-t", "60", name, check=True)
        assert inspect(name, ".State.ExitCode") == "9"
        podman("start", name, check=True)
        podman("restart", "-t", "1", name, check=True)
        assert inspect(name, ".State.Status") == "running"
        assert len(podman("top", name, check=True).out.splitlines()) >= 2


@test("read-only, tmpfs, capabilities, privileged, host's network, sysctl, devices, seccomp, init")
def flags():
    assert "Read-only" in shell("--read-only", "touch /x 2>&1; true")
    assert "1024" in shell("--tmpfs=/t:size=1m", "df -k /t")
    assert int(shell("--cap-drop=all", "grep CapEff /proc/self/status").split()[1], 16) == 0
    assert int(shell("--privileged", "grep CapEff /proc/self/status").split()[1], 16) > 0
    assert shell("--network=host", "readlink /proc/self/ns/net").strip() == os.readlink("/proc/self/ns/net")
    out = shell("--hostname=somewhere", "--workdir=/tmp", "--sysctl=kernel.msgmax=9000", "--env=A=b",
                "hostname; pwd; cat /proc/sys/kernel/msgmax; echo $A")
    assert out.split() == ["somewhere", "/tmp", "9000", "b"], out
    assert "fuse" in shell("--device=/dev/fuse", "ls /dev") if os.path.exists("/dev/fuse") else True
    assert shell("grep Seccomp: /proc/self/status").split()[1] == "2"
    assert "init" in shell("--init", "cat /proc/1/cmdline")
    assert run("--group-add=keep-groups", "true").rc in (0, 125)
    assert shell("--pid=host", "readlink /proc/self/ns/pid").strip() == os.readlink("/proc/self/ns/pid")
    assert shell("--cgroups=disabled", "echo a") == "a\n"


@test("a limit that this user cannot set is refused or ignored by podman, not half done")
def limits():
    r = run("--memory=32m", "--pids-limit=50", "sh", "-c", "echo ran")
    assert r.out == "ran\n" or (r.rc != 0 and re.search("cgroup|memory|pids", r.err)), r


@test("podman build runs its steps", limit=100)
def build():
    context = f"{store}/home/context"
    write(f"{context}/Containerfile", f"FROM {IMAGE}\nRUN id -u >/built\nUSER 1000\nCMD cat /built\n")
    subprocess.run(["chown", "-R", f"{USER}:{USER}", context], check=True)
    podman("build", "--isolation", "oci", "--network", "none", "-t", "localhost/built", context, check=True)
    assert podman("run", "--rm", "--network=none", "localhost/built", check=True).out == "0\n"
    podman("rmi", "-f", "localhost/built", check=True)


@test("a pod shares its namespaces", limit=100)
def pod():
    name = unique("pod")
    podman("pod", "create", "--name", name, "--network=none", "--infra-image", IMAGE, "--infra-command",
           "/bin/sleep 1000", "--hostname", "podhost", check=True)
    try:
        assert podman("run", "--rm", f"--pod={name}", IMAGE, "hostname", check=True).out == "podhost\n"
    finally:
        podman("pod", "rm", "-f", "-t", "0", name)


if __name__ == "__main__":
    engine_main(begin)
