# SPDX-License-Identifier: GPL-2.0-or-later
"""Harness of the integration tests: bundles, commands, a leak check, TAP.

A test is a function marked with @test("what must be true"); it takes no argument and raises
AssertionError, or Skip with a reason. A file ends with main(); `test_x.py NAME...` runs single
tests, `test_x.py -l` lists them. After each test the harness compares mounts, processes, cgroups
and the state directory with those before it: a difference fails the test.

Environment:
  DAVIT        the runtime to test (default: davit in the top directory, then in PATH)
  DAVIT_INIT   the probe built from init.c (default: built on demand)
  DAVIT_ARGS   further global arguments, separated by blanks
  DAVIT_KEEP   keep the temporary directory
  TEST_FACTOR  how much slower than usual this machine is: lengthens all time limits
"""
import array
import copy
import errno
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from host import *


class Result:
    def __init__(self, args, rc, out, err, seconds):
        self.args, self.rc, self.out, self.err, self.seconds = args, rc, out, err, seconds

    def __repr__(self):
        return (f"`{' '.join(map(str, self.args))}` exit {self.rc}, stdout {self.out[-600:]!r}, "
                f"stderr {self.err[-600:]!r}")

    @property
    def json(self):
        return json.loads(self.out)


def command(*args, rootdir=None):
    extra = os.environ.get("DAVIT_ARGS", "").split()
    return [DAVIT, "--root", rootdir or root, *extra, *map(str, args)]


def run_command(argv, timeout=TIMEOUT, stdin=None, env=None, cwd=None, check=False, pass_fds=(),
                preexec=None, stdout=None, stderr=None):
    """Runs one command; its output goes to files, so nobody holding it open can block us."""
    with tempfile.TemporaryFile(dir=work) as out, tempfile.TemporaryFile(dir=work) as err, \
            tempfile.TemporaryFile(dir=work) as given:
        source = subprocess.DEVNULL
        if isinstance(stdin, (str, bytes)):
            given.write(stdin.encode() if isinstance(stdin, str) else stdin)
            given.seek(0)
            source = given
        elif stdin is not None:
            source = stdin
        # preexec may place descriptors: keep Popen's own pipe from having those numbers
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(16)] if preexec and pass_fds else []
        begin = time.monotonic()
        child = subprocess.Popen(argv, stdin=source, stdout=stdout or out, stderr=stderr or err,
                                 env=env, cwd=cwd, pass_fds=pass_fds, preexec_fn=preexec)
        for fd in taken:
            os.close(fd)
        rc = None
        while rc is None and time.monotonic() < begin + timeout:
            try:
                rc = child.wait(0.3)
            except subprocess.TimeoutExpired:
                reap()  # a pid namespace does not end before its orphans are collected
        if rc is None:
            child.kill()
            child.wait()
            rc = "timeout"
        seconds = time.monotonic() - begin
        out.seek(0)
        err.seek(0)
        result = Result(argv, rc, out.read().decode(errors="replace"),
                        err.read().decode(errors="replace"), seconds)
    if check:
        assert rc == 0, f"must succeed: {result}"
    else:
        assert rc != "timeout", f"timed out: {result}"
    return result


def run_davit(*args, **kw):
    """Runs the runtime with its own --root. Keywords: check, timeout, stdin, env, cwd, pass_fds."""
    rootdir = kw.pop("rootdir", None)
    return run_command(command(*args, rootdir=rootdir), **kw)


def fails(result, *words, says=True):
    """The command must have failed with a message that holds all words."""
    assert result.rc not in (0, "timeout"), f"must fail: {result}"
    assert result.rc > 0, f"killed by a signal: {result}"
    if says:
        assert result.err.strip(), f"no message: {result}"
    for word in words:
        assert word in result.err, f"stderr must hold {word!r}: {result}"
    return result


# ---- configuration ----

CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
ALL_CAPS = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()


def capbits(names):
    return sum(1 << ALL_CAPS.index(n.replace("CAP_", "")) for n in names)


def capsets(names, inheritable=(), ambient=()):
    return {"bounding": list(names), "effective": list(names), "permitted": list(names),
            "inheritable": list(inheritable), "ambient": list(ambient)}


def privileged():
    """Capability sets with everything this process may give away."""
    mine = int(re.search(r"CapEff:\s*(\w+)", read("/proc/self/status"))[1], 16)
    return capsets(["CAP_" + n for i, n in enumerate(ALL_CAPS) if mine >> i & 1])


MOUNT_PROC = {"destination": "/proc", "type": "proc", "source": "proc",
              "options": ["nosuid", "noexec", "nodev"]}
MOUNT_DEV = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}
MOUNT_PTS = {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]}
MOUNT_SHM = {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]}
MOUNT_MQUEUE = {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
                "options": ["nosuid", "noexec", "nodev"]}
MOUNT_SYS = {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]}
MOUNTS = [MOUNT_PROC, MOUNT_DEV, MOUNT_PTS, MOUNT_SHM, MOUNT_MQUEUE, MOUNT_SYS]
NAMESPACES = ["pid", "ipc", "uts", "mount", "network"]


def namespaces(*types, **paths):
    return [{"type": t} for t in types] + [{"type": t, "path": p} for t, p in paths.items()]


DEFAULT = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["/init", "true"],
        "env": ["PATH=/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": capsets(CAPS),
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "probe",
    "mounts": MOUNTS,
    "linux": {
        "namespaces": namespaces(*NAMESPACES),
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
        "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
    },
}


def merge(base, over):
    """Deep merge of objects; None removes a key; anything else replaces."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return copy.deepcopy(over)
    result = dict(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(base.get(key), value)
    return result


def config(*overrides):
    result = copy.deepcopy(DEFAULT)
    for over in overrides:
        result = merge(result, over)
    return result


def command_args(*args):
    """Override: run the probe with these commands."""
    return {"process": {"args": ["/init", *map(str, args)]}}


# ---- facts from the probe ----

class Facts:
    """The probe's "key=value" lines: facts["uid"], facts.all("mount"), "key" in facts."""

    def __init__(self, text):
        self.text = text
        self.values = {}
        for line in text.splitlines():
            key, sep, value = line.rstrip("\r").partition("=")
            if sep:
                self.values.setdefault(key, []).append(value)

    def __getitem__(self, key):
        assert key in self.values, f"the probe did not print {key!r}: {self.text[-800:]!r}"
        return self.values[key][0]

    def __contains__(self, key):
        return key in self.values

    def get(self, key, default=None):
        return self.values.get(key, [default])[0]

    def all(self, key):
        return self.values.get(key, [])

    def stat(self, path):
        """Fields of `stat PATH`; {"error": NAME} when it failed."""
        value = self[f"stat:{path}"]
        if "=" not in value:
            return {"error": value}
        return dict(f.split("=", 1) for f in value.split(" "))

    def mounts(self):
        return parse_mountinfo("\n".join(self.all("mount")))

    def mount_at(self, point):
        """The topmost mount on a path, or None."""
        found = [m for m in self.mounts() if m["point"] == point]
        return found[-1] if found else None


def parse_mountinfo(text):
    result = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        f, (fstype, source, data) = left.split(), (right.split(" ") + ["", ""])[:3]
        result.append({"id": f[0], "parent": f[1], "dev": f[2], "root": f[3], "point": f[4],
                       "options": f[5].split(","), "tags": f[6:], "type": fstype,
                       "source": source, "data": data.split(",")})
    return result


# ---- bundles ----

def probe_path():
    built = os.environ.get("DAVIT_INIT")
    if built:
        return built
    path = os.path.join(work, "probe")
    if not os.path.exists(path):
        cc = os.environ.get("CC", "gcc")
        subprocess.run([cc, "-O1", "-static", "-s", "-o", path, os.path.join(HERE, "init.c")],
                       check=True, timeout=60)
    return path


class Bundle:
    """A temporary bundle and the container made from it; leaves nothing behind.

        with Bundle(config({"process": {"cwd": "/tmp"}})) as b:
            facts = b.probe("status")
    """

    def __init__(self, conf=None, busybox=False, rootfs=True):
        self.id = unique()
        self.conf = config(conf) if conf is not None else config()
        self.dir = os.path.join(work, self.id)
        self.rootfs = os.path.join(self.dir, "rootfs")
        self.stdout = os.path.join(work, self.id + ".out")
        self.stderr = os.path.join(work, self.id + ".err")
        self.ids = {self.id}
        os.makedirs(self.dir)
        if rootfs:
            for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
                os.makedirs(os.path.join(self.rootfs, name))
            os.chmod(os.path.join(self.rootfs, "tmp"), 0o1777)
            shutil.copy2(probe_path(), os.path.join(self.rootfs, "init"))
            os.chmod(os.path.join(self.rootfs, "init"), 0o755)
        if busybox:
            self.add_busybox()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for name in self.ids:
            if os.path.lexists(os.path.join(root, name)):
                with contextlib.suppress(AssertionError):
                    run_davit("delete", "--force", name)
        if exc[0] is None or not os.environ.get("DAVIT_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
            for path in (self.stdout, self.stderr):
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def add_busybox(self):
        tool = shutil.which("busybox")
        if not tool:
            raise Skip("needs busybox (static)")
        shutil.copy2(tool, self.path("/bin/busybox"))
        for applet in ("sh", "cat", "sleep", "ls", "env", "kill", "ps", "stty", "true", "false"):
            os.symlink("busybox", self.path("/bin/" + applet))

    def path(self, inside):
        return self.rootfs + "/" + inside.lstrip("/")

    def file(self, inside, text="", mode=0o644):
        return write(self.path(inside), text, mode)

    def mkdir(self, inside, mode=0o755):
        os.makedirs(self.path(inside), exist_ok=True)
        os.chmod(self.path(inside), mode)
        return self.path(inside)

    def owned(self, uid):
        """Gives the root file system to a mapped user."""
        for base, dirs, files in os.walk(self.rootfs):
            for name in dirs + files + ["."]:
                os.lchown(os.path.join(base, name), uid, uid)
        return self

    def side(self, name, text=None):
        """A file (or, without text, a directory) in the bundle beside the rootfs."""
        path = os.path.join(self.dir, name)
        if text is None:
            os.makedirs(path, exist_ok=True)
            return path
        return write(path, text)

    def save(self, *overrides, raw=None):
        for over in overrides:
            self.conf = merge(self.conf, over)
        with open(os.path.join(self.dir, "config.json"), "w") as f:
            f.write(raw if raw is not None else json.dumps(self.conf, indent=1))

    def output(self):
        return read(self.stdout) if os.path.exists(self.stdout) else ""

    def facts(self):
        return Facts(self.output())

    def wait_output(self, text, seconds=8.0):
        eventually(lambda: text in self.output(), f"{text!r} in {self.output()!r}", seconds)

    # commands on the container of this bundle

    def run(self, *flags, check=False, **kw):
        """`run` in the foreground; the output of the container is in the result."""
        if not kw.pop("keep_config", False):
            self.save()
        glob = kw.pop("glob", ())
        result = run_davit(*glob, "run", "--bundle", self.dir, *flags, self.id, check=check, **kw)
        if not {"-d", "--detach", "--keep"} & set(flags):
            self.nothing_left()
        return result

    def nothing_left(self, name=None):
        """No state, cgroup or process of the container may be there (any more)."""
        name = name or self.id

        def gone():
            reap()
            left = [n for n in os.listdir(root) if name in n] if os.path.isdir(root) else []
            left += [c for c in cgroups_tagged() if os.path.basename(c) == name]
            return not left
        eventually(gone, f"state and cgroups of {name} gone", 2)

    def probe(self, *args, over=None, flags=(), rc=0, **kw):
        """Runs the probe with these commands in the foreground and returns its facts."""
        self.save(command_args(*args), over or {})
        result = self.run(*flags, **kw)
        assert result.rc == rc, f"exit {rc} expected: {result}"
        return Facts(result.out)

    def create(self, *flags, check=True, name=None, keep_config=False, glob=(), **kw):
        """`create`; output of the container and of the runtime go to self.stdout and .stderr."""
        if not keep_config:
            self.save()
        name = name or self.id
        self.ids.add(name)
        with open(self.stdout, "ab") as out, open(self.stderr, "wb+") as err:
            result = run_davit(*glob, "create", "--bundle", self.dir, *flags, name,
                               stdout=out, stderr=err, **kw)
        result.err = read(self.stderr)
        result.out = self.output()
        if check:
            assert result.rc == 0, f"create must succeed: {result}"
        elif result.rc != 0 and name == self.id:
            self.nothing_left()
        return result

    def start(self, check=True, **kw):
        return run_davit("start", self.id, check=check, **kw)

    def up(self, *args, over=None, flags=(), **kw):
        """create and start with a probe that stays (default: pause); waits until it is ready."""
        self.save(command_args(*(args or ("pause",))), over or {})
        self.create(*flags, **kw)
        self.start()
        if not args or args[-1] in ("pause", "stubborn"):
            self.wait_output("ready=1")
        return self

    def state(self, check=True):
        result = run_davit("state", self.id, check=check)
        return result.json if result.rc == 0 else result

    def pid(self):
        return self.state()["pid"]

    def wait_stopped(self, seconds=8.0):
        def stopped():
            reap()
            return self.state()["status"] == "stopped"
        eventually(stopped, "status stopped", seconds)

    def kill(self, *args, check=True):
        return run_davit("kill", self.id, *args, check=check)

    def delete(self, *flags, check=True):
        return run_davit("delete", *flags, self.id, check=check)

    def exec(self, *args, flags=(), check=False, **kw):
        """`exec` of the probe with these commands."""
        return run_davit("exec", *flags, self.id, "/init", *args, check=check, **kw)

    def exec_facts(self, *args, flags=(), **kw):
        return Facts(self.exec(*args, flags=flags, check=True, **kw).out)

    def exec_process(self, process, *flags, **kw):
        """`exec --process` with a process object."""
        base = {"args": ["/init", "true"], "cwd": "/", "user": {"uid": 0, "gid": 0},
                "env": ["PATH=/bin"]}
        path = self.side(unique("p") + ".json", json.dumps(merge(base, process)))
        return run_davit("exec", "--process", path, *flags, self.id, **kw)

    def spawn(self, *flags, verb="run", args=(), **kw):
        """Starts a command without waiting for it: a Popen with pipes."""
        if verb == "run":
            self.save()
            argv = command("run", "--bundle", self.dir, *flags, self.id)
        else:
            argv = command(verb, *flags, self.id, *args)
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(argv, **kw)

    def copies(self, place, bundles):
        """More live containers below place, {id: bundle}: this one's process and record under other names.
        Commands that only look cannot tell."""
        own = os.path.join(root, self.id)
        link, text = os.readlink(own + "/init"), read(own + "/state.json")
        record = json.loads(text)
        for name, bundle in bundles.items():
            os.mkdir(os.path.join(place, name), 0o700)
            os.symlink(link, os.path.join(place, name, "init"))
            changed = text.replace(f'"id":"{self.id}"', f'"id":"{name}"', 1)
            write(os.path.join(place, name, "state.json"), changed.replace(
                f'"bundle":{json.dumps(record["bundle"])}', f'"bundle":{json.dumps(bundle)}', 1))


# ---- sockets ----

# Newer system calls that davit has a way without: number and arguments that the kernel refuses at once.
CALLS = {"pidfd_send_signal": (424, -1, 0, 0, 0), "open_tree": (428, -1, 0, -1), "move_mount": (429, -1, 0, -1, 0, -1),
         "fsopen": (430, 0, -1), "fsconfig": (431, -1, 0, 0, 0, 0), "fsmount": (432, -1, -1, 0),
         "fspick": (433, -1, 0, -1), "pidfd_open": (434, -1, 0), "clone3": (435, 0, 0),
         "close_range": (436, 1, 0, 0), "openat2": (437, -1, 0, 0, 0), "pidfd_getfd": (438, -1, 0, 0),
         "mount_setattr": (442, -1, 0, -1, 0, 0)}


@functools.cache
def calls_gone():
    """{call: error} of those that are missing or forbidden, by the kernel or by what was put around DAVIT
    or around all of this. A container tells, since it inherits a filter and a tracer."""
    args = [word for row in CALLS.values() for word in ("+", "syscall", *row)][1:]
    with Bundle({"process": {"capabilities": privileged()}}) as b:
        facts = b.probe(*args)
    said = {name: facts[f"syscall:{row[0]}"] for name, row in CALLS.items()}
    # those that mount ask for the privilege first
    real = () if os.geteuid() == 0 else ("move_mount", "fsopen", "fsmount", "fspick")
    return {name: error for name, error in said.items()
            if error == "ENOSYS" or (error == "EPERM" and name not in real)}


def needs_calls(*calls):
    """Skips where one of these system calls cannot be had; without a name: any of CALLS."""
    found = [f"{name} ({error})" for name, error in calls_gone().items() if name in (calls or CALLS)]
    if found:
        raise Skip(f"needs all system calls, not to be had: {' '.join(found)}")


@functools.cache
def strace_tool():
    """strace(1); skips where davit cannot be traced."""
    tool = shutil.which("strace")
    if not tool:
        raise Skip("no strace")
    if is_sanitized():
        raise Skip("a program with sanitizers cannot be traced")
    if run_command([tool, "-o", os.path.join(work, unique("trace")), "true"]).rc != 0:
        raise Skip("strace may not trace here")
    return tool


class FdReceiver:
    """Listens on a UNIX socket and receives messages that carry descriptors."""

    def __init__(self, name="s"):
        self.path = os.path.join(work, unique(name) + ".sock")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(self.path)
        self.sock.listen(4)
        self.sock.settimeout(10)
        self.fds, self.data, self.conns = [], b"", []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for fd in self.fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        for s in self.conns + [self.sock]:
            s.close()
        os.unlink(self.path)

    def receive(self, to_eof=False):
        """Accepts one connection; returns (data, fds) of its message."""
        conn, _ = self.sock.accept()
        conn.settimeout(10)
        self.conns.append(conn)
        fds = array.array("i")
        data, anc, _, _ = conn.recvmsg(65536, socket.CMSG_LEN(16 * fds.itemsize))
        for level, kind, payload in anc:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[:len(payload) - len(payload) % fds.itemsize])
        while to_eof:
            more = conn.recv(65536)
            if not more:
                break
            data += more
        self.fds += list(fds)
        self.data = data
        return data, list(fds)


def read_tty(fd, until, seconds=8.0):
    """Reads from a pty master until the text has come, or the other side is gone."""
    import select
    text, end = b"", time.monotonic() + seconds * FACTOR
    while until is None or until.encode() not in text:
        left = end - time.monotonic()
        assert left > 0, f"terminal did not print {until!r}: {text!r}"
        if not select.select([fd], [], [], left)[0]:
            continue
        try:
            part = os.read(fd, 65536)
        except OSError as e:
            if e.errno == errno.EIO:
                break
            raise
        if not part:
            break
        text += part
    return text.decode(errors="replace").replace("\r\n", "\n")


# ---- running tests ----

tests = []


def test(what, limit=60, needs_root=True):
    """Registers a test; `what` is the line of TAP."""
    def register(function):
        tests.append((function.__name__, what, limit, needs_root, function))
        return function
    return register


def host_setup():
    """Own namespaces and a state directory.

    Mounts are shared, as on most hosts. The pid namespace keeps a runtime that kills too much from
    killing the host; its first process, which is us, inherits all orphans. In a virtual machine we
    do without: systemd knows processes by the numbers that they have outside.
    """
    os.umask(0o022)
    os.chmod(work, 0o755)
    os.mkdir(root, 0o700)
    machine = "DAVIT_VM" in os.environ
    if machine or os.geteuid() != 0:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.geteuid() != 0:
        return
    if libc.unshare(CLONE_NEWNS | (0 if machine else CLONE_NEWPID)) < 0:
        raise OSError(ctypes.get_errno(), "unshare of the mount and pid namespaces")
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    if not machine:
        pid_namespace()
    if NAME == "crun":
        hugetlb_setup()
    mount(None, "/", None, MS_REC | MS_SHARED)


def pid_namespace():
    """Goes on as the first process of the pid namespace."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.exit(code if code >= 0 else 128 - code)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def hugetlb_setup():
    """crun refuses a hybrid host whose v2 tree holds a controller; only it needs this."""
    h = cgroup_hierarchies()
    if "" not in h or h[""] == "/sys/fs/cgroup" or "hugetlb" in h:
        return
    if "hugetlb" in read(h[""] + "/cgroup.controllers"):
        stage = os.path.join(work, "cgroup")
        os.mkdir(stage)
        mount("tmpfs", stage, "tmpfs")
        for name in os.listdir("/sys/fs/cgroup"):
            if os.path.isdir("/sys/fs/cgroup/" + name):
                os.mkdir(f"{stage}/{name}")
                mount(f"/sys/fs/cgroup/{name}", f"{stage}/{name}", None, MS_BIND)
        os.makedirs(f"{stage}/hugetlb", exist_ok=True)
        mount("cgroup", f"{stage}/hugetlb", "cgroup", 0, "hugetlb")
        mount(stage, "/sys/fs/cgroup", None, MS_BIND | MS_REC)
        umount(stage)
        os.rmdir(stage)


def on_alarm(signum, frame):
    raise Timeout("test took too long")


def run_one(function, limit):
    """Returns ("ok" | "skip" | "fail", detail)."""
    before = Snapshot()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(int(limit * FACTOR))
    verdict, detail = "ok", ""
    try:
        function()
    except Skip as e:
        verdict, detail = "skip", str(e)
    except (AssertionError, Timeout) as e:
        frames = [f for f in traceback.extract_tb(e.__traceback__) if HERE in f.filename
                  or "test_" in f.filename]
        where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(frames))
        verdict, detail = "fail", f"{e or 'assertion'} [{frames[-1].line if frames else ''}] at {where}"
    except Exception:
        verdict, detail = "fail", traceback.format_exc()
    finally:
        signal.alarm(0)
    leaks = before.leaks()
    if leaks:
        before.restore()
        if verdict != "fail":
            verdict, detail = "fail", ""
        detail = "\n".join([detail] + leaks).strip()
    return verdict, detail


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    if "-l" in sys.argv:
        for name, what, *_ in tests:
            print(f"{name:32} {what}")
        return
    unknown = set(names) - {t[0] for t in tests}
    if unknown:
        sys.exit(f"no such test: {' '.join(sorted(unknown))}")
    if not os.access(DAVIT, os.X_OK):
        print(f"Bail out! cannot run \"{DAVIT}\": set DAVIT")
        sys.exit(2)
    host_setup()
    number = failed = 0
    for name, what, limit, needs_root, function in tests:
        if names and name not in names:
            continue
        number += 1
        if needs_root and os.geteuid() != 0:
            verdict, detail = "skip", "needs root"
        else:
            verdict, detail = run_one(function, limit)
        if verdict == "skip":
            print(f"ok {number} - {name}: {what} # SKIP {detail}", flush=True)
        elif verdict == "ok":
            print(f"ok {number} - {name}: {what}", flush=True)
        else:
            failed += 1
            print(f"not ok {number} - {name}: {what}")
            for line in detail.splitlines():
                print(f"#   {line}")
            sys.stdout.flush()
    print(f"1..{number}")
    sys.exit(1 if failed else 0)
