# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of engines share: a host of their own, an image, a way in for terminals.

They use the harness of the integration tests, so each test is followed by the same leak check. All
that engines keep lies on a tmpfs in a private mount namespace, and their processes in a private pid
namespace: both end with the test file. Cgroups are outside; PARENT is removed at the end.

Environment, besides that of davit.py:
  ENGINE_RUNTIME  another runtime to compare with, say /usr/bin/crun
"""
import hashlib
import os
import shlex
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import davit  # noqa: E402
from davit import *  # noqa: E402
import host  # noqa: E402

store = os.path.join(work, "store")
PARENT = "/" + TAG  # cgroup of all containers
RUNTIME = os.path.join(store, "bin", os.path.basename(os.environ.get("ENGINE_RUNTIME", "davit")))
SLOW = 60 * FACTOR
LOOP = "while :; do sleep 0.1; done"  # a command for "sh -c" that takes signals
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


COMES_AND_GOES = {f"{store}/root/overlay"}  # podman binds it on itself as it likes


class Snapshot(host.Snapshot):
    def __init__(self):
        super().__init__()
        self.mounts = [m for m in self.mounts if m.split()[4] not in COMES_AND_GOES]


host.Snapshot = davit.Snapshot = Snapshot


def need(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        raise Skip(f"needs {' '.join(missing)}")


def own_host():
    """Places where engines keep state that no option moves are covered; so is the store."""
    os.makedirs(store)
    mount("tmpfs", store, "tmpfs", 0, "size=2g,mode=755")
    for path in ("/run", "/dev/shm"):
        mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" if path == "/dev/shm" else "mode=755")
    for path in ("/var/lib/containers", "/var/lib/cni", "/var/lib/docker"):
        if os.path.isdir(path):
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700")
    os.mkdir("/run/lock")
    # podman's clean-up drops --runtime-flag, so it is the default that is watched for leaks.
    host.root = davit.root = f"/run/{os.path.basename(RUNTIME)}"
    os.environ["PATH"] = PATH
    os.mkdir(f"{store}/bin")
    # Engines know runtimes by their name; the program is copied, as an installed one would be.
    shutil.copy2(os.environ.get("ENGINE_RUNTIME") or DAVIT, RUNTIME)
    # Files with a dot are no state of a container (see Snapshot).
    os.environ["TMPDIR"] = f"{store}/tmp"
    os.mkdir(f"{store}/tmp")
    os.chdir(store)  # conmon writes a file "oom" where it stands


    for point in sorted(set(cgroup_hierarchies().values())):
        os.mkdir(point + PARENT)
        for file in ("/cpuset.cpus", "/cpuset.mems"):
            if os.path.exists(point + file):
                write(point + PARENT + file, read(point + file))


def image_tree():
    """A root filesystem with all of busybox, and a tar archive of it."""
    tree = f"{store}/tree"
    for name in ("bin", "etc", "root"):
        os.makedirs(f"{tree}/{name}")
    os.mkdir(f"{tree}/tmp")
    os.chmod(f"{tree}/tmp", 0o1777)
    shutil.copy2(shutil.which("busybox"), f"{tree}/bin/busybox")
    for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True).stdout.split():
        if applet != "busybox":
            os.symlink("busybox", f"{tree}/bin/{applet}")
    write(f"{tree}/etc/passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
    write(f"{tree}/etc/group", "root:x:0:\nuser:x:1000:\nextra:x:3000:user\n")
    write(f"{tree}/etc/plain", "no program\n")
    write(f"{tree}/bin/lost", "#!/no/such/interpreter\n", 0o755)
    archive = f"{store}/image.tar"
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    return archive


def image_archive(name):
    """The same as an archive of docker's kind, with a name."""
    layer = image_tree()
    with open(layer, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config_json = json.dumps({"architecture": machine, "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
                              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}})
    write(f"{store}/config.json", config_json)
    write(f"{store}/manifest.json", json.dumps([
        {"Config": "config.json", "RepoTags": [name], "Layers": ["image.tar"]}]))
    archive = f"{store}/archive.tar"
    subprocess.run(["tar", "-C", store, "-cf", archive, "manifest.json", "config.json", "image.tar"], check=True)
    return archive


class Daemon:
    """A server that ends with the tests; log is what it prints."""
    running = []

    def __init__(self, name, argv, ready):
        self.name, self.log = name, f"{store}/{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        Daemon.running.insert(0, self)
        try:
            eventually(lambda: self.process.poll() is not None or ready(), f"{name} is ready", 30)
            assert self.process.poll() is None
        except AssertionError as e:
            raise AssertionError(f"{name} did not start: {read(self.log)[-2000:]}") from e

    def stop(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10 * FACTOR)


def containerd():
    """A containerd of our own; returns its socket."""
    need("containerd")
    sock = f"{store}/ctd.sock"
    conf = write(f"{store}/containerd.toml", f"""
version = 2
root = "{store}/ctd-root"
state = "{store}/ctd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{sock}"
[plugins."io.containerd.internal.v1.opt"]
path = "{store}/ctd-opt"
""")
    Daemon("containerd", ["containerd", "-c", conf], lambda: subprocess.run(
        ["ctr", "-a", sock, "version"], capture_output=True).returncode == 0)
    return sock


def flags_split(args):
    """FLAGS... [COMMAND...] with flags of the form --x=y: (flags, command)."""
    n = next((i for i, a in enumerate(args) if not a.startswith("-")), len(args))
    return list(args[:n]), list(args[n:])


def network_none(flags):
    return [] if any(f.startswith("--network") for f in flags) else ["--network=none"]


class Client:
    """A command line such as docker's and podman's; its containers are of one image.

    defaults(flags) gives the flags that "run" gets besides those of a test; remove is what ends a
    container; further keywords go to each run_command.
    """

    def __init__(self, *argv, image, defaults=network_none, remove=("rm", "-f"), **kw):
        self.argv, self.image, self.defaults, self.remove = argv, image, defaults, remove
        self.kw = {"timeout": SLOW, **kw}

    def line(self, *args):
        return [*self.argv, *map(str, args)]

    def call(self, *args, **kw):
        return run_command(self.line(*args), **{**self.kw, **kw})

    def run_args(self, *args):
        """FLAGS... [COMMAND...] with all that stands between "run" and the end."""
        flags, words = flags_split(args)
        return [*self.defaults(flags), *flags, self.image, *words]

    def run(self, *args, **kw):
        return self.call("run", "--rm", *self.run_args(*args), **kw)

    def shell(self, *args, **kw):
        """The output of a shell script in a container; the script comes last."""
        return self.run(*args[:-1], "sh", "-c", args[-1], check=True, **kw).out

    @contextlib.contextmanager
    def running(self, *args):
        """The id of a container in the background."""
        words = args if flags_split(args)[1] else (*args, "sleep", "1000")
        name = self.call("run", "-d", *self.run_args(*words), check=True).out.strip()
        try:
            yield name
        finally:
            self.call(*self.remove, name, check=True)

    def inspect(self, name, what):
        return self.call("inspect", "--format", "{{" + what + "}}", name, check=True).out.strip()


def storage_conf(driver, graphroot, runroot):
    """Where podman and buildah keep images and containers."""
    os.environ["CONTAINERS_STORAGE_CONF"] = write(f"{store}/storage.conf", f"""
[storage]
driver = "{driver}"
graphroot = "{graphroot}"
runroot = "{runroot}"
""")


def containers_conf(name, runtimes):
    """podman's configuration, and that it knows these runtimes; the file is not yet the one it uses."""
    return write(f"{store}/{name}", f"""
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
init_path = "{shutil.which('catatonit') or '/usr/libexec/podman/catatonit'}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = {runtimes}
runtime_supports_nocgroup = ["crun", "davit"]
runtime_supports_nocgroups = ["crun", "davit"]
""")


def cgroups_remove(*hierarchies, below=""):
    """The empty groups that engines leave: those of their monitors, and the parent of all."""
    for path in sorted(cgroups_tagged(), key=len, reverse=True):
        if (not hierarchies or path.split("/")[4] in hierarchies) and below + "/" in path:
            with contextlib.suppress(OSError):
                os.rmdir(path)


def terminal(argv, keys="", **kw):
    """Runs a command on a terminal of 24 lines and 80 columns; its output, as the terminal shows it."""
    line = "stty rows 24 cols 80; exec " + shlex.join(map(str, argv))
    r = run_command(["script", "-qec", line, "/dev/null"], timeout=SLOW,
                    stdin=keys or None, env=dict(os.environ, SHELL="/bin/sh"), **kw)
    r.out = r.out.replace("\r", "")
    return r


def engine_main(begin):
    """Runs the tests of a file on a host of their own, which begin() furnishes."""
    plain, inside = davit.host_setup, []

    def setup():
        plain()
        inside.append(os.getpid())
        if os.geteuid() != 0:
            print("1..0 # SKIP needs root")
            sys.exit(0)
        try:
            begin()
        except Skip as e:
            print(f"1..0 # SKIP {e}")
            sys.exit(0)
    davit.host_setup = setup
    try:
        davit.main()
    finally:
        if inside:
            for daemon in Daemon.running:
                daemon.stop()
            for pid in descendants():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(AssertionError):
                eventually(lambda: reap() is not None and not descendants(), "no process", 5)
            cgroups_remove()
            with contextlib.suppress(OSError):
                umount(store)
