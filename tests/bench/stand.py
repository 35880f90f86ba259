# SPDX-License-Identifier: GPL-2.0-or-later
"""What both benchmarks stand on: tools, bundles, runtimes, live containers, samples.

Everything lives in one temporary directory and carries one tag in its name, so that clean() finds
what a failing runtime left. The runtimes get a private mount namespace.
"""
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import stat
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
TAG = f"bench{os.getpid()}"
FACTOR = float(os.environ.get("TEST_FACTOR", 1))  # of all time limits: emulated machines are slow
FLAGS = {"server": ["-nostdlib", "-fno-stack-protector"]}
APPLETS = "sh true sleep httpd cat ls readlink hostname".split()
libc = ctypes.CDLL(None, use_errno=True)
work = tempfile.mkdtemp(prefix="davit-bench-")


def path(*names):
    return os.path.join(work, *names)


def read(name):
    with open(name, encoding="utf-8", errors="replace") as f:
        return f.read()


def call(*argv, timeout=60, check=True, **kw):
    """Runs a command in a process group of its own; on a timeout the group is killed."""
    with tempfile.TemporaryFile(dir=work) as out:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True, **kw)
        try:
            status = child.wait(timeout * FACTOR)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            status = "timeout"
        out.seek(0)
        text = out.read().decode(errors="replace")
    if check and status != 0:
        raise RuntimeError(f"{' '.join(argv)}: {status}: {text[-800:].strip()}")
    return status, text


# ---- the machine ----

def mount_namespace():
    """Private mounts, state directories included. crun refuses a hybrid host whose v2 hierarchy has a
    controller: for all of them, this namespace has no v2 hierarchy then."""
    libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: inits of containers become ours
    if libc.unshare(0x00020000) < 0:  # CLONE_NEWNS
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}: the benchmark needs root")
    call("mount", "--make-rprivate", "/")
    os.mkdir(path("states"))  # like /run: a state directory on a disk would measure the disk
    call("mount", "-t", "tmpfs", "tmpfs", path("states"))
    # a runtime may give its standard input to the container's root: not the host's device
    null = path("states", "null")
    os.mknod(null, 0o666 | stat.S_IFCHR, os.stat("/dev/null").st_rdev)
    os.chmod(null, 0o666)
    call("mount", "--bind", null, "/dev/null")
    if shutil.which("crun") and os.path.ismount("/sys/fs/cgroup/unified"):
        call("umount", "/sys/fs/cgroup/unified")


def cgroup_points():
    lines = [line.split(" - ") for line in read("/proc/self/mountinfo").splitlines()]
    return sorted({a.split()[4] for a, b in lines if b.split()[0] in ("cgroup", "cgroup2")})


def machine():
    """Lines that say where the figures come from."""
    model = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    kinds = "v2" if cgroup_points() == ["/sys/fs/cgroup"] else f"v1, {len(cgroup_points())} hierarchies"
    return [f"{model[1] if model else os.uname().machine}, {os.cpu_count()} CPUs, "
            f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 20} MiB",
            f"Linux {os.uname().release}, cgroup {kinds}, {time.strftime('%Y-%m-%d')}"]


def reap():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def gone(pid, seconds=5):
    """Waits until a process, a child of ours or not, is dead."""
    end = time.monotonic() + seconds * FACTOR
    while time.monotonic() < end:
        reap()
        try:
            if read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.001)
    return False


def descendants():
    """Orphans of ours come back to us, so everything that a runtime left is below us."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parents[int(name)] = int(read(f"/proc/{name}/stat").rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def clean():
    """Ends the processes and removes the groups and files that are left, none but our own."""
    end = time.monotonic() + 10 * FACTOR
    while (left := descendants()) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(0.01)
    for point in cgroup_points():
        if not point.startswith("/sys/fs/cgroup"):
            continue
        groups = [d for d, _, _ in os.walk(point) if any(n.startswith(TAG) for n in d.split("/")[4:])]
        for name in sorted(groups, key=len, reverse=True):
            try:
                os.rmdir(name)
            except OSError as e:
                print(f"left behind: {name}: {e.strerror}", file=sys.stderr)
    call("umount", "-l", path("states"), check=False)
    shutil.rmtree(work, ignore_errors=True)


# ---- programs and bundles ----

def compile_tools(*more):
    """Built here, or taken from BENCH_TOOLS, where `make bench-tools` has built them: for test machines."""
    cc, made = os.environ.get("CC", "cc").split(), os.environ.get("BENCH_TOOLS")
    for name in ("floor", "pace", "crowd", "nothing", *more):
        if made:
            shutil.copy(os.path.join(made, name), path(name))
        else:
            call(*cc, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", *FLAGS.get(name, []), "-o", path(name),
                 os.path.join(HERE, name + ".c"))


def rootfs_make():
    for name in "bin dev etc proc run sys tmp www".split():
        os.makedirs(path("rootfs", name))
    busybox = shutil.which("busybox")
    if not busybox or ".so" in subprocess.run(["ldd", busybox], capture_output=True, text=True,
                                              check=False).stdout:
        sys.exit("busybox is missing or not static: install busybox-static")
    shutil.copy(busybox, path("rootfs/bin/busybox"))
    for name in filter(os.path.exists, map(path, ("nothing", "server"))):
        shutil.copy(name, path("rootfs/bin"))
    for name in APPLETS:
        os.symlink("busybox", path("rootfs/bin", name))
    with open(path("rootfs/www/index.html"), "w", encoding="ascii") as f:
        f.write("hello\n")


def config():
    return json.loads(read(os.path.join(HERE, "config.json")))


def bundle(name, *args, group=None, change=None, **over):
    """A bundle directory on the common root file system. group None: the runtime picks the cgroup.
    change gets the configuration and may alter it."""
    made = config()
    made["process"]["args"] = list(args)
    made["root"]["path"] = path("rootfs")
    del made["linux"]["cgroupsPath"]
    if group:
        made["linux"]["cgroupsPath"] = group
    made["linux"]["resources"].update(over)
    if change:
        change(made)
    where = path("bundle-" + name)
    os.makedirs(where, exist_ok=True)
    with open(where + "/config.json", "w", encoding="utf-8") as f:
        json.dump(made, f)
    return where


class Compare(ctypes.Structure):
    """struct scmp_arg_cmp of libseccomp"""
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def filter_export(name):
    """Writes the program that libseccomp makes of the profile, for floor. False: no libseccomp."""
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    actions = {"SCMP_ACT_ALLOW": 0x7fff0000, "SCMP_ACT_ERRNO": 0x00050000}
    ops = ["", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
    lib.seccomp_init.restype = ctypes.c_void_p
    profile = config()["linux"]["seccomp"]
    ctx = ctypes.c_void_p(lib.seccomp_init(actions[profile["defaultAction"]] | profile["defaultErrnoRet"]))
    for word in profile["architectures"]:
        token = word[len("SCMP_ARCH_"):].lower().encode()
        lib.seccomp_arch_add(ctx, lib.seccomp_arch_resolve_name(token))
    for rule in profile["syscalls"]:
        action = actions[rule["action"]] | rule.get("errnoRet", 0)
        args = [Compare(a["index"], ops.index(a["op"][len("SCMP_CMP_"):]), a["value"],
                        a.get("valueTwo", 0)) for a in rule.get("args", [])]
        for word in rule["names"]:
            number = lib.seccomp_syscall_resolve_name(word.encode())
            if number != -1:
                lib.seccomp_rule_add_array(ctx, ctypes.c_uint32(action), number, len(args),
                                           (Compare * len(args))(*args))
    with open(name, "wb") as f:
        return lib.seccomp_export_bpf(ctx, f.fileno()) == 0


# ---- runtimes ----

class Floor:
    """The system calls alone: it can only run."""
    name = "floor"
    version = "what the kernel needs"

    def run(self, _bundle, *command):
        program = ["-s", path("filter")] if os.path.exists(path("filter")) else []
        return [path("floor"), path("rootfs"), *program, *command]


class Runtime:
    """A program with runc's command line."""

    def __init__(self, name, program):
        self.name, self.program = name, program
        self.version = call(program, "--version")[1].splitlines()[0]
        self.root = path("states", name)

    def cmd(self, *args, root=None):
        return [self.program, "--root", root or self.root, *args]

    def run(self, where, *_command, root=None, flags=()):
        return self.cmd(*flags, "run", "--bundle", where, TAG + "-@", root=root)


def runtimes(wanted):
    found = [Floor()]
    for name in ("davit", "crun", "runc"):
        program = os.environ.get(name.upper()) or (shutil.which(name) if name != "davit" else
                                                   os.path.join(TOP, "build", "davit"))
        if wanted and name not in wanted:
            continue
        if not program or not os.access(program, os.X_OK):
            print(f"# {name}: not here")
            continue
        try:
            runtime = Runtime(name, os.path.abspath(program))
            where = bundle("first", "/bin/true", group=f"/{TAG}-first")
            call(*[a.replace("@", "first") for a in runtime.run(where)], timeout=10)
            found.append(runtime)
        except RuntimeError as e:
            print(f"# {name} does not work here: {e}")
    return found


@contextlib.contextmanager
def live(runtime, where, name, flags=()):
    """A container that runs; yields the pid of its init."""
    pidfile = path(name + ".pid")
    try:
        call(*runtime.cmd(*flags, "create", "--bundle", where, "--pid-file", pidfile, name))
        call(*runtime.cmd("start", name))
        yield int(read(pidfile))
    finally:
        call(*runtime.cmd("delete", "--force", name), check=False)
        reap()


# ---- samples ----

def pace(argv, warm=0, runs=1, user=0):
    """[(wall ms, cpu ms, KiB, status)] of each run."""
    _, text = call(path("pace"), "-u", str(user), "-w", str(warm), "-n", str(runs), *argv)
    rows = [line.split() for line in text.splitlines() if re.fullmatch(r"\d+ \d+ \d+ \d+", line)]
    if len(rows) != runs:
        raise RuntimeError(f"{' '.join(argv)}: {text[-400:]}")
    if bad := [line for line in text.splitlines() if line.strip() and not line[0].isdigit()]:
        raise RuntimeError(f"{' '.join(argv)}: {bad[0]}")
    return [(int(a) / 1e6, int(b) / 1e3, int(c), int(d)) for a, b, c, d in rows]


def lanes(argv, width, ms):
    """(runs a second, failures) with so many at once."""
    _, text = call(path("pace"), "-p", str(width), "-t", str(ms), *argv, check=False)
    found = re.search(r"^(\d+) (\d+) (\d+)$", text, re.M)
    if not found:
        raise RuntimeError(f"{' '.join(argv)}: {text[-400:]}")
    return int(found[1]) / (int(found[3]) / 1e9), int(found[2])


def pin(cpus):
    os.sched_setaffinity(0, cpus)


def median(values):
    return statistics.median(values) if values else None


def disk_size(directory):
    """(files, KiB on disk) below a directory; what has many names counts once."""
    names = [os.path.join(d, n) for d, _, found in os.walk(directory) for n in found]
    return len(names), sum({st.st_ino: st.st_blocks for st in map(os.lstat, names)}.values()) / 2
