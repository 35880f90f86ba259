#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""buildah: it starts the runtime itself, without conmon."""
from engine import *

IMAGE = "localhost/box:latest"


def begin():
    need("buildah", "busybox", "script")
    own_host()
    os.environ["CONTAINERS_CONF"] = write(f"{store}/containers.conf", """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
""")
    storage_conf("overlay", f"{store}/root", f"{store}/run")
    image_tree()
    # The root directory stays the host's root's also in a mapped container, which could make none of these.
    for path in ("proc", "sys", "dev", "run", "var/run"):
        os.makedirs(f"{store}/tree/{path}")
    name = buildah("from", "scratch", check=True).out.strip()
    buildah("copy", "-q", name, f"{store}/tree", "/", check=True)
    buildah("config", "--env", "PATH=/bin", "--cmd", "sh", name, check=True)
    buildah("commit", "-q", "--rm", name, IMAGE, check=True)
    with container() as name:
        run(name, "true", check=True)


def buildah(*args, **kw):
    kw.setdefault("timeout", SLOW)
    return run_command(["buildah", *map(str, args)], **kw)


def run_line(name, *args):
    flags, rest = flags_split(args)
    return ["buildah", "run", "--runtime", RUNTIME, "--isolation", "oci", *network_none(flags), *flags,
            name, "--", *rest]


def run(name, *args, **kw):
    return run_command(run_line(name, *args), timeout=SLOW, **kw)


@contextlib.contextmanager
def container(*flags):
    name = buildah("from", "--pull-never", f"--cgroup-parent={PARENT}/build", *flags, IMAGE, check=True).out.strip()
    try:
        yield name
    finally:
        buildah("rm", name, check=True)


def bud(text, *flags):
    context = f"{store}/context"
    write(f"{context}/Containerfile", text)
    write(f"{context}/file", "from the context\n")
    return buildah("bud", "--runtime", RUNTIME, "--isolation", "oci", "--network=none", "--pull-never",
                   f"--cgroup-parent={PARENT}/build", *flags, context)


@test("buildah run: output, status, input, changes stay")
def run_output():
    with container() as name:
        r = run(name, "sh", "-c", "echo out; echo err >&2; exit 7")
        assert r.rc == 7 and r.out == "out\n" and "err\n" in r.err, r
        assert run(name, "cat", stdin="hello").out == "hello"
        run(name, "sh", "-c", "echo kept >/kept", check=True)
        assert run(name, "cat", "/kept", check=True).out == "kept\n"
        assert run(name, "sh", "-c", "kill -9 $$ || exit 3; sh -c 'kill -9 $$'; exit $?").rc == 137


@test("what is missing or cannot be executed is told, and nothing stays")
def run_missing():
    with container() as name:
        for path, word in (("nosuch", "executable file not found"), ("/no/such", "no such file or directory"),
                           ("/etc/plain", "permission denied")):
            r = run(name, path)
            assert r.rc != 0 and path in r.err and word in r.err, (path, r)


@test("a terminal")
def run_terminal():
    with container() as name:
        r = terminal(run_line(name, "-t", "sh"), "tty; stty size; echo $((40+2)); exit 5\n")
        assert "/dev/pts/0" in r.out and "\n42\n" in r.out and r.rc == 5, r


@test("user, directory, volumes, capabilities, host name, host's network, isolation")
def run_flags():
    source = f"{store}/source"
    os.makedirs(source)
    write(source + "/file", "text\n")
    with container() as name:
        assert run(name, "--user=1000:1000", "id", "-u", check=True).out == "1000\n"
        assert run(name, "--workingdir=/tmp", "pwd", check=True).out == "/tmp\n"
        r = run(name, f"--volume={source}:/v:ro", "sh", "-c", "cat /v/file; touch /v/x 2>&1; true", check=True)
        assert r.out.startswith("text\n") and "Read-only" in r.out, r
        usual = run(name, "grep", "CapEff", "/proc/self/status", check=True).out
        assert usual != run(name, "--cap-add=CAP_SYS_ADMIN", "grep", "CapEff", "/proc/self/status", check=True).out
        assert run(name, "--hostname=somewhere", "hostname", check=True).out == "somewhere\n"
        assert run(name, "--network=host", "readlink", "/proc/self/ns/net").out.strip() == \
            os.readlink("/proc/self/ns/net")
        assert run(name, "readlink", "/proc/self/ns/pid").out.strip() != os.readlink("/proc/self/ns/pid")


@test("limits of the container hold")
def limits():
    with container("--memory=16m", "--memory-swap=16m") as name:
        r = run(name, "tail", "/dev/zero")
        assert r.rc != 0 and "killed" in r.err, r


@test("a mapped user namespace")
def userns():
    with container("--userns-uid-map=0:100000:65536", "--userns-gid-map=0:100000:65536") as name:
        out = run(name, "sh", "-c", "cat /proc/self/uid_map; id -u", check=True).out
        assert out.split() == ["0", "100000", "65536", "0"], out


@test("a build runs its steps, copies, changes user and directory")
def build():
    r = bud(f"FROM {IMAGE}\nARG X=1\nENV A=b\nRUN echo $A $X >/built && id -u >>/built\nCOPY file /copied\n"
            "USER 1000\nWORKDIR /tmp\nRUN [\"sh\", \"-c\", \"id -u >mine; pwd >>mine\"]\n", "-t", "localhost/built",
            "--build-arg", "X=2")
    assert r.rc == 0, r
    name = buildah("from", "--pull-never", "localhost/built", check=True).out.strip()
    place = buildah("mount", name, check=True).out.strip()
    assert read(place + "/built") == "b 2\n0\n" and read(place + "/tmp/mine") == "1000\n/tmp\n"
    assert read(place + "/copied") == "from the context\n"
    buildah("umount", name, check=True)
    buildah("rm", name, check=True)
    buildah("rmi", "-f", "localhost/built", check=True)


@test("a build of several stages with a mount and a secret")
def build_stages():
    secret = write(f"{store}/secret", "hush")
    r = bud(f"FROM {IMAGE} AS one\nRUN --mount=type=secret,id=s cat /run/secrets/s >/got\n"
            f"FROM {IMAGE}\nCOPY --from=one /got /got\nRUN --mount=type=tmpfs,target=/scratch touch /scratch/x && "
            "grep -q hush /got\n", "--secret", f"id=s,src={secret}")
    assert r.rc == 0, r


@test("a step that fails ends the build with its status")
def build_fails():
    r = bud(f"FROM {IMAGE}\nRUN exit 7\n")
    assert r.rc == 7 or "exit status 7" in r.err, r
    r = bud(f"FROM {IMAGE}\nRUN [\"nosuch\"]\n")
    assert r.rc != 0 and "nosuch" in r.err and "executable file not found" in r.err, r
    assert buildah("containers", "-q", check=True).out == ""


if __name__ == "__main__":
    engine_main(begin)
