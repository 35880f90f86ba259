#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Known classes of vulnerabilities, each as a hostile bundle seen from outside.

The letter and number before the colon is the row of the catalogue of such classes; the CVE numbers
name public cases. A test accepts either a clean refusal or a container for which the property holds.
RACES sets how often each race is run (default 20).
"""
import fcntl
import hashlib
import termios

from davit import *

RACES = int(os.environ.get("RACES", "20"))


class Canary:
    """A host directory that no container may change or show."""

    def __init__(self, b):
        self.dir = b.side("canary")
        for name in ("ptmx", "null", "x"):
            write(f"{self.dir}/{name}", "canary " + name, 0o640)
        self.before = self.look()

    def look(self):
        rows = [(n, tuple(os.lstat(f"{self.dir}/{n}"))[:7] + (os.lstat(f"{self.dir}/{n}").st_mtime_ns,),
                 read(f"{self.dir}/{n}") if os.path.isfile(f"{self.dir}/{n}") else "")
                for n in sorted(os.listdir(self.dir))]
        return rows, os.lstat(self.dir).st_mode, [l for l in read("/proc/self/mountinfo").splitlines() if self.dir in l]

    def intact(self, what=""):
        now = self.look()
        assert now == self.before, f"canary changed {what}: {self.before} -> {now}"


def attempt(b, *words, over=None, flags=()):
    """Runs the probe; returns its facts, or None when the runtime refused cleanly."""
    b.save(command_args(*words), over or {})
    r = b.run(*flags)
    if r.rc != 0:
        assert r.err.strip() and r.rc > 0, r
        return None
    return Facts(r.out)


def bind(source, destination, *options):
    return {"source": source, "destination": destination, "type": "bind", "options": list(options or ("rbind",))}


def replace(b, inside, target):
    """Puts a symlink in the place of a directory of the rootfs."""
    path = b.path(inside)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


# ---- A: paths and mounts in a hostile root ----

@test("A1: /proc or /sys as a symlink never moves the mount or loses the masks (CVE-2019-19921, CVE-2023-27561)")
def a1_links():
    for name, kind in (("proc", "proc"), ("sys", "sysfs")):
        for target in ("{canary}", "../../canary", "/tmp", "tmp/", "/nowhere", "/etc/link"):
            with Bundle() as b:
                c = Canary(b)
                os.symlink("/tmp", b.path("/etc/link"))
                replace(b, "/" + name, target.format(canary=c.dir))
                facts = attempt(b, "mounts", "+", "read", "/proc/keys")
                c.intact((name, target))
                if facts and facts.all("mount"):
                    m = facts.mount_at("/" + name)
                    assert m and m["type"] == kind, facts.text
                    assert facts.get("read:/proc/keys", "") == "", facts.text


@test("A1: volumes over /proc, /proc/self/attr and /proc/sys are refused or harmless")
def a1_volumes():
    for destination in ("/proc", "/proc/self/attr", "/proc/sys", "/proc/self/fd", "/proc/self/attr/exec"):
        with Bundle({"process": {"capabilities": privileged()}}) as b:
            c = Canary(b)
            source = b.side("volume") if not destination.endswith("exec") else b.side("vfile", "x")
            facts = attempt(b, "mounts", over={"mounts": MOUNTS + [bind(source, destination)]})
            c.intact(destination)
            if facts and destination != "/proc" and facts.all("mount"):
                assert facts.mount_at("/proc")["type"] == "proc", facts.text


@test("A1: masked and read-only paths hold when the image has links in their place")
def a1_masks():
    with Bundle() as b:
        c = Canary(b)
        replace(b, "/etc/secret", c.dir + "/x")
        replace(b, "/etc/dir", c.dir)
        for key in ("maskedPaths", "readonlyPaths"):
            attempt(b, "true", over={"linux": {key: ["/etc/secret", "/etc/dir", "/etc/dir/x"]}})
            c.intact(key)


RACER = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None)
a, b = (p.encode() for p in sys.argv[1:3])
while True:
    libc.renameat2(-100, a, -100, b, 2)
"""


@contextlib.contextmanager
def racer(a, b):
    """Swaps two names as fast as it can."""
    p = subprocess.Popen([sys.executable, "-c", RACER, a, b])
    try:
        yield
    finally:
        p.kill()
        p.wait()


@test("A2: a mount target swapped for a link to / shows nothing of the host (CVE-2021-30465)", limit=300)
def a2_race():
    with Bundle() as b:
        c = Canary(b)
        volume = b.side("volume")
        os.mkdir(volume + "/dir")
        os.symlink("/", volume + "/link")
        marker = write(os.path.join(work, unique("hostfile")), "host")
        over = {"mounts": MOUNTS + [bind(volume, "/vol"), bind(volume, "/vol/dir/nested"),
                                    {"destination": "/vol/dir/t", "type": "tmpfs", "source": "tmpfs"}]}
        with racer(volume + "/dir", volume + "/link"):
            for _ in range(RACES):
                facts = attempt(b, "stat", "/vol/dir" + marker, "/vol/dir/nested" + marker, "/vol/link" + marker,
                                marker, "+", "mounts", over=over)
                c.intact()
                if facts:
                    for key, values in facts.values.items():
                        if key.startswith("stat:"):
                            assert values[0] in ("ENOENT", "ENOTDIR", "ELOOP"), facts.text
        os.unlink(marker)


@test("A3: making a missing mount point under a race makes nothing outside (CVE-2024-45310)", limit=300)
def a3_race():
    with Bundle() as b:
        c = Canary(b)
        volume = b.side("volume")
        os.mkdir(volume + "/dir")
        os.symlink(c.dir, volume + "/link")
        b.side("file", "x")
        over = {"mounts": MOUNTS + [bind(volume, "/vol"), bind("file", "/vol/dir/new/file"),
                                    {"destination": "/vol/dir/newdir/deep", "type": "tmpfs", "source": "tmpfs"}]}
        with racer(volume + "/dir", volume + "/link"):
            for _ in range(RACES):
                attempt(b, "true", over=over)
                c.intact()


@test("A4: links, chains and dot-dot in destinations and device paths stay inside (CVE-2019-18837)")
def a4_links():
    with Bundle() as b:
        c = Canary(b)
        b.side("file", "x")
        os.symlink(c.dir, b.path("/abs"))
        os.symlink("../../canary", b.path("/rel"))
        os.symlink("../../../../../../../../.." + c.dir, b.path("/up"))
        os.mkdir(b.path("/chain"))
        os.symlink(c.dir, b.path("/chain/l0"))
        for n in range(1, 60):
            os.symlink(f"l{n - 1}", b.path(f"/chain/l{n}"))
        for path in ("/abs", "/abs/x", "/abs/new", "/rel/new", "/up/new", "/chain/l20/new", "/chain/l59/new",
                     "/tmp/../../canary/new", "/../canary/new", "/tmp/../../../../" + c.dir + "/new"):
            attempt(b, "true", over={"mounts": MOUNTS + [bind("file", path)]})
            c.intact(path)
            attempt(b, "true", over={"mounts": MOUNTS + [{"destination": path, "type": "tmpfs", "source": "tmpfs"}]})
            c.intact(path)
            attempt(b, "true", over={"mounts": MOUNTS, "linux": {"devices": [
                {"path": path, "type": "c", "major": 1, "minor": 3}]}})
            c.intact(path)
            b.save({"linux": {"devices": []}})


@test("A5: an image whose /dev is a link to the host changes nothing there (CVE-2026-41579, CVE-2026-47766)")
def a5_dev():
    for target in ("{canary}", "../../canary"):
        for mounts in ([MOUNT_PROC], MOUNTS):
            for verb in ("run", "create"):
                with Bundle({"mounts": mounts}) as b:
                    c = Canary(b)
                    replace(b, "/dev", target.format(canary=c.dir))
                    if verb == "run":
                        attempt(b, "true")
                    else:
                        b.create(check=False)
                        run_davit("delete", "--force", b.id)
                    c.intact((target, verb))


@test("A6: masks do not use the container's /dev/null (CVE-2025-31133)")
def a6_null():
    for kind in ("link", "file", "device", "missing", "loop"):
        with Bundle() as b:
            dev = b.side("dev")
            for name in ("zero", "full", "random", "urandom", "tty"):
                write(f"{dev}/{name}", "")
            b.file("/etc/secret", "secret")
            if kind == "link":
                os.symlink("/proc/sys/kernel/core_pattern", dev + "/null")
            elif kind == "file":
                write(dev + "/null", "fake")
            elif kind == "device":
                os.mknod(dev + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 5))
            elif kind == "loop":
                os.symlink("null", dev + "/null")
            before = read("/proc/sys/kernel/core_pattern")
            facts = attempt(b, "stat", "/etc/secret", "+", "read", "/etc/secret", "+", "mounts", over={
                "mounts": [MOUNT_PROC, bind(dev, "/dev")], "linux": {"maskedPaths": ["/etc/secret"]}})
            if facts:
                st = facts.stat("/etc/secret")
                assert (st["type"], st["rdev"]) == ("chr", "1:3"), (kind, st)
                assert facts["read:/etc/secret"] == "", facts.text
                procs = [m for m in facts.mounts() if m["type"] == "proc" and not m["point"].startswith("/proc")]
                assert not procs, procs
            assert read("/proc/sys/kernel/core_pattern") == before


@test("A7: /dev/console is the pty that was sent, also with links in its place (CVE-2025-52565)")
def a7_console():
    for how in ("link", "volume", "file"):
        with Bundle({"process": {"terminal": True}}) as b, FdReceiver() as s:
            c = Canary(b)
            b.save(command_args("stat", "/dev/console", "+", "tty"))
            if how == "link":
                dev = b.side("dev")
                os.symlink(c.dir + "/x", dev + "/console")
                b.save({"mounts": [MOUNT_PROC, bind(dev, "/dev"), MOUNT_PTS]})
                os.mkdir(dev + "/pts")
            elif how == "volume":
                pts = b.side("pts")
                for n in range(10):
                    os.symlink(c.dir + "/x", f"{pts}/{n}")
                b.save({"mounts": [MOUNT_PROC, MOUNT_DEV, MOUNT_PTS, bind(pts, "/dev/pts")]})
            else:
                dev = b.side("dev")
                write(dev + "/console", "keep me")
                os.mkdir(dev + "/pts")
                b.save({"mounts": [MOUNT_PROC, bind(dev, "/dev"), MOUNT_PTS]})
            r = b.create("--console-socket", s.path, check=False)
            if r.rc == 0:
                fd = s.receive()[1][0]
                b.start()
                facts = Facts(read_tty(fd, None))
                rdev = facts["tty0"].split()[1]
                assert rdev.startswith("136:") and facts.stat("/dev/console").get("rdev") == rdev, facts.text
                b.delete("--force")
            c.intact(how)
            if how == "file":
                assert read(b.dir + "/dev/console") == "keep me", "console was truncated"


@test("A8: every path the runtime makes, planted as a link, leaves the target alone (CVE-2025-24965)")
def a8_planted():
    with Bundle() as b:
        c = Canary(b)
        dev = b.side("dev")
        for name in ("null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "fd", "stdin", "stdout",
                     "stderr", "core", "pts", "shm", "mqueue"):
            os.symlink(c.dir + ("/x" if name not in ("pts", "shm", "mqueue") else ""), f"{dev}/{name}")
        for mounts in ([MOUNT_PROC, bind(dev, "/dev")], [MOUNT_PROC, bind(dev, "/dev"), MOUNT_PTS, MOUNT_SHM]):
            attempt(b, "true", over={"mounts": mounts})
            c.intact("dev volume")
        shutil.rmtree(b.path("/dev"))
        shutil.copytree(dev, b.path("/dev"), symlinks=True)
        attempt(b, "true", over={"mounts": [MOUNT_PROC]})
        c.intact("dev in the image")
        for name in (".pivot_root", "oldroot", ".oldroot", "run", "etc/hostname", "etc/mtab", "etc/resolv.conf"):
            with contextlib.suppress(OSError):
                os.symlink(c.dir, b.path("/" + name))
        attempt(b, "true", over={"mounts": MOUNTS})
        c.intact("others")


# ---- B, C: labels, descriptors, directories ----

@test("B1: a label is not written through a fake /proc of the container (CVE-2025-52881)")
def b1_label():
    with Bundle({"process": {"apparmorProfile": "acme", "selinuxLabel": "a:b:c:s0"}}) as b:
        fake = b.side("fake")
        for name in ("self/attr/exec", "self/attr/current", "self/attr/apparmor/exec", "thread-self/attr/exec"):
            write(f"{fake}/{name}", "untouched")
        attempt(b, "true", over={"mounts": [bind(fake, "/proc"), MOUNT_DEV]})
        for base, _, files in os.walk(fake):
            for name in files:
                assert read(f"{base}/{name}") == "untouched", f"{base}/{name}"


@test("B3: hostile sysctl writes do not reach the host through volumes")
def b3_sysctl():
    with Bundle({"linux": {"sysctl": {"net.core.somaxconn": "128"}}}) as b:
        fake = b.side("fake")
        write(fake + "/sys/net/core/somaxconn", "untouched")
        attempt(b, "true", over={"mounts": [MOUNT_PROC, bind(fake + "/sys", "/proc/sys")]})
        assert read(fake + "/sys/net/core/somaxconn") == "untouched"


@test("C1: processes of exec show the container no directory of the host (CVE-2016-9962)")
def c1_spy():
    with Bundle({"process": {"capabilities": privileged()}}) as b:
        b.up("procspy", "5")
        b.wait_output("ready=1")
        for _ in range(RACES * 3):
            b.exec("true", check=True)
        b.wait_output("spied=1", 12)
        facts = b.facts()
        bad = [v for v in facts.all("spydir") if not v.endswith("(unreachable)") or True]
        assert not [v for v in facts.all("spy") + bad if work in v or "/sys/fs/cgroup" in v or v.endswith("-> /")], \
            facts.text[-1500:]
        b.delete("--force")


@test("C2: cwd through /proc/self/fd never reaches the host (CVE-2024-21626)")
def c2_cwd():
    with Bundle() as b:
        os.mkdir(b.path("/work"))
        os.symlink("/proc/self/fd/9", b.path("/link"))
        host = os.open("/", os.O_PATH)
        try:
            for path in [f"/proc/self/fd/{n}" for n in range(3, 20)] + ["/link", "/proc/self/cwd", "/proc/1/cwd"]:
                b.save(command_args("status", "+", "ls", "."), {"process": {"cwd": path}})
                r = b.run(preexec=lambda: os.dup2(host, 9), pass_fds=(9,))
                if r.rc == 0:
                    facts = Facts(r.out)
                    assert facts["cwd"].startswith("/") and "home" not in facts.all("ls:."), (path, r)
        finally:
            os.close(host)


@test("C2: exec --cwd through /proc/self/fd, and programs named so, never reach the host")
def c2_exec():
    with Bundle() as b:
        b.up()
        host = os.open("/", os.O_PATH)
        try:
            for n in range(3, 14):
                r = b.exec("status", "+", "ls", ".", flags=["--cwd", f"/proc/self/fd/{n}"],
                           preexec=lambda: os.dup2(host, 9), pass_fds=(9,))
                if r.rc == 0:
                    facts = Facts(r.out)
                    assert facts["cwd"].startswith("/") and "home" not in facts.all("ls:."), r
                r = run_davit("exec", b.id, f"/proc/self/fd/{n}/bin/true", preexec=lambda: os.dup2(host, 9),
                              pass_fds=(9,))
                assert r.rc != 0, r
        finally:
            os.close(host)
        b.delete("--force")


@test("C3: init, exec and hooks see exactly the descriptors they should, with 0 to 1000 extra ones")
def c3_descriptors():
    with Bundle(busybox=True) as b:
        log = b.side("log")
        hook = write(b.dir + "/hook.sh", f"#!/bin/sh\nls /proc/self/fd > {log}/fds\n", 0o755)
        b.save({"hooks": {"createRuntime": [{"path": hook, "env": ["PATH=/bin:/usr/bin"]}]}}, command_args("fds", "+", "pause"))
        for extra in (0, 100, 900):
            fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(extra)]
            with open(b.stdout, "wb"):
                pass
            b.create(pass_fds=fds)
            b.start()
            b.wait_output("ready=1")
            assert [f.split()[0] for f in b.facts().all("fd")] == ["0", "1", "2"], (extra, b.output())
            r = b.exec("fds", pass_fds=fds, check=True)
            assert [f.split()[0] for f in Facts(r.out).all("fd")] == ["0", "1", "2"], (extra, r.out)
            # ls(1) itself holds the directory
            assert set(read(log + "/fds").split()) <= {"0", "1", "2", "3", "10", "255"}, (extra, read(log + "/fds"))
            assert len(read(log + "/fds").split()) <= 5, read(log + "/fds")
            for fd in fds:
                os.close(fd)
            b.delete("--force")


@test("C4: --preserve-fds keeps exactly its range; a closed one in it is an error")
def c4_range():
    with Bundle() as b:
        b.save(command_args("fds"))
        null = os.open("/dev/null", os.O_RDONLY)

        def place(numbers):
            for n in (3, 4, 5, 9):
                with contextlib.suppress(OSError):
                    os.close(n)
            for n in numbers:
                os.dup2(0, n)
        r = b.run("--preserve-fds", "2", preexec=lambda: place((3, 4, 9)), pass_fds=(3, 4, 9), check=True)
        assert [f.split()[0] for f in Facts(r.out).all("fd")] == ["0", "1", "2", "3", "4"], r
        os.close(null)
        for value in ("-1", "x", "99999999999", ""):
            fails(b.run("--preserve-fds", value))


# ---- D: the runtime's own binary, host code for the container ----

def digest():
    with open(DAVIT, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest(), os.stat(DAVIT)[:7], os.stat(DAVIT).st_mtime_ns


@test("D1: the runtime's binary cannot be run or opened for writing from inside (CVE-2019-5736)")
def d1_binary():
    before = digest()
    with Bundle({"process": {"capabilities": privileged(), "noNewPrivileges": False}}) as b:
        b.file("/script", "#!/proc/self/exe\n", 0o755)
        for path in ("/proc/self/exe", "/script"):
            b.save({"process": {"args": [path, "echo", "x"]}})
            r = b.run()
            assert digest() == before
            assert r.rc != 0 or NAME not in r.out, r
        b.save(command_args("exespy", "4"))
        b.create()
        b.start()
        b.wait_output("ready=1")
        for _ in range(RACES * 2):
            b.exec("true")
            run_davit("exec", b.id, "/proc/self/exe", "--version")
            run_davit("exec", b.id, "/script")
        b.wait_output("spied=1", 12)
        assert "WRITABLE" not in b.output(), b.output()[-800:]
        b.delete("--force")
    assert digest() == before


@test("D2: libraries, name service files and passwd of the image are not used by the runtime")
def d2_libraries():
    with Bundle() as b:
        b.file("/etc/ld.so.preload", "/evil.so\n")
        b.file("/etc/nsswitch.conf", "passwd: evil\n")
        os.mkfifo(b.path("/etc/passwd"))
        os.mkfifo(b.path("/etc/group"))
        r = b.run()
        assert r.rc == 0 and r.seconds < 8, r
        b.up()
        r = b.exec("status", flags=["-u", "1000:1000"])
        assert r.rc == 0 and Facts(r.out)["uid"] == "1000", r
        b.delete("--force")


@test("D3: hooks never get the container's environment (CVE-2025-23266)")
def d3_hook_env():
    with Bundle({"process": {"env": ["PATH=/bin", "LD_PRELOAD=/evil.so", "SECRET=1"]}}) as b:
        log = b.side("log")
        hooks = {}
        for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
            path = write(f"{b.dir}/{kind}.sh", f"#!/bin/sh\ncat /proc/$$/environ > {log}/{kind}\npwd > {log}/{kind}.cwd\n", 0o755)
            hooks[kind] = [{"path": path}]
        b.save({"hooks": hooks}, command_args("pause"))
        b.create()
        b.start()
        b.delete("--force")
        for kind in hooks:
            text = read(f"{log}/{kind}")
            assert "LD_PRELOAD" not in text and "SECRET" not in text, (kind, text)
            if kind != "createContainer":
                assert not read(f"{log}/{kind}.cwd").startswith(b.rootfs), read(f"{log}/{kind}.cwd")


# ---- E: credentials ----

@test("E1: a numeric user is never looked up as a name (CVE-2016-3697)")
def e1_numeric():
    with Bundle() as b:
        b.file("/etc/passwd", "1000:x:0:0:root:/:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
        b.file("/etc/group", "1000:x:0:\n")
        b.up()
        facts = b.exec_facts("status", flags=["-u", "1000"])
        assert (facts["uid"], facts["euid"]) == ("1000", "1000"), facts.text
        b.delete("--force")


@test("E2: user strings give exactly that id or an error, never 0 by default (CVE-2026-30892)")
def e2_strings():
    with Bundle() as b:
        b.up()
        for text, want in (("1", {("1", "0")}), ("1:2", {("1", "2")}), ("4294967294", {("4294967294", "0")}),
                           ("1:", {("1", "0")}), (":1", {("0", "1")}), ("0x1", set()), ("01", {("1", "0")}),
                           ("4294967295", set()), ("4294967296", set()), ("-1", set()), (" 1", set()), ("1 ", set()),
                           ("1:2:3", set()), ("1:x", set()), ("+1", set()), ("1e1", set()), ("99999999999999999999", set())):
            r = run_davit("exec", "--user=" + text, b.id, "/init", "status")
            if r.rc == 0:
                facts = Facts(r.out)
                assert (facts["uid"], facts["gid"]) in want, (text, facts["uid"], facts["gid"])
            else:
                assert r.err.strip(), (text, r)
        b.delete("--force")


@test("E3: no inheritable capabilities unless asked; exec --cap adds none (CVE-2022-29162, CVE-2022-27650)")
def e3_inheritable():
    with Bundle() as b:
        b.up("status", "+", "pause")
        b.wait_output("ready=1")
        assert int(b.facts()["cap_inh"], 16) == 0
        facts = b.exec_facts("status", flags=["--cap", "CAP_NET_RAW"])
        assert int(facts["cap_inh"], 16) == 0 and int(facts["cap_amb"], 16) == 0, facts.text
        b.delete("--force")
    with Bundle() as b:
        run_davit("spec", "--bundle", b.dir, check=True)
        doc = json.loads(read(b.dir + "/config.json"))
        assert not doc["process"]["capabilities"].get("inheritable"), doc["process"]["capabilities"]


@test("E4: another user than root has no capabilities without ambient ones")
def e4_user():
    with Bundle({"process": {"user": {"uid": 1000, "gid": 1000}}}) as b:
        facts = attempt(b, "status")
        assert all(int(facts[n], 16) == 0 for n in ("cap_eff", "cap_prm", "cap_amb", "cap_inh")), facts.text
        b.up()
        facts = b.exec_facts("status")
        assert facts["uid"] == "1000" and int(facts["cap_eff"], 16) == 0, facts.text
        b.delete("--force")


@test("E5: no capabilities object means none, the bounding set included")
def e5_none():
    with Bundle({"process": {"capabilities": None}}) as b:
        facts = attempt(b, "status")
        assert int(facts["cap_bnd"], 16) == 0 and int(facts["cap_eff"], 16) == 0, facts.text


@test("E6: supplementary groups of the caller are gone, for init and exec")
def e6_groups():
    with Bundle() as b:
        spoil = lambda: os.setgroups([1, 2, 3, 4, 27])
        b.save(command_args("status", "+", "pause"))
        b.create(preexec=spoil)
        b.start()
        b.wait_output("ready=1")
        assert b.facts()["groups"] in ("", "0"), b.output()
        facts = Facts(b.exec("status", preexec=spoil, check=True).out)
        assert facts["groups"] in ("", "0"), facts.text
        b.delete("--force")


@test("E7: exec has init's seccomp, capabilities, no_new_privs, cgroup and limits")
def e7_exec():
    over = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"}]}, "cgroupsPath": "/" + unique("e7")},
        "process": {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]}}
    with Bundle(over) as b:
        b.up("status", "+", "rlimits", "+", "cgroup", "+", "pause")
        b.wait_output("ready=1")
        init, other = b.facts(), b.exec_facts("status", "+", "rlimits", "+", "cgroup")
        for key in ("seccomp", "nnp", "cap_eff", "cap_prm", "cap_bnd", "cap_inh", "cap_amb", "rlimit_NOFILE"):
            assert init[key] == other[key], (key, init[key], other[key])
        limited = lambda f: {l for l in f.all("cgroup") if not l.startswith("0::") or v2_only()}
        assert limited(init) == limited(other), (init.all("cgroup"), other.all("cgroup"))
        b.delete("--force")


@test("E8: a set-user-ID copy of the runtime refuses to work")
def e8_setuid():
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv(1)")
    copy_ = os.path.join(work, unique("suid"))
    shutil.copy2(DAVIT, copy_)
    os.chmod(copy_, 0o4755)
    with Bundle() as b:
        b.save(command_args("status"))
        argv = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", copy_, "--root", b.side("r"), "run",
                "--bundle", b.dir, b.id]
        fails(run_command(argv))
    os.unlink(copy_)


@test("E9: standard streams on the host's /dev/null are not given to the container's user")
def e9_null():
    before = os.stat("/dev/null")[:6]
    with Bundle({"process": {"user": {"uid": 1000, "gid": 1000}}}) as b:
        b.save(command_args("true"))
        with open("/dev/null", "r+b") as null:
            b.run(stdin=null, stdout=null, stderr=null, check=True)
            b.up()
            b.exec("true", stdin=null, stdout=null, stderr=null)
            b.delete("--force")
    assert os.stat("/dev/null")[:6] == before


# ---- F: seccomp ----

def errno_rule(name, *args):
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 77,
            "args": [{"index": i, "value": v, "op": op} for i, v, op in args]}


def filtered(*rules):
    return {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules)}}}


@test("F1: several arguments are AND-ed: the whole truth table of three (CVE-2017-18367)")
def f1_and():
    rule = errno_rule("socket", (0, 60, "SCMP_CMP_EQ"), (1, 61, "SCMP_CMP_EQ"), (2, 62, "SCMP_CMP_EQ"))
    with Bundle(filtered(rule)) as b:
        words, want = [], []
        for bits in range(8):
            words += ["syscall", "socket"] + [str(v if bits >> i & 1 else 50) for i, v in enumerate((60, 61, 62))] + ["+"]
            want.append(bits == 7)
        facts = attempt(b, *words[:-1])
        assert [v == "EBADFD" for v in facts.all("syscall:socket")] == want, facts.text


@test("F2: TIOCSTI with high bits set is still denied (CVE-2019-10063)")
def f2_high_bits():
    rule = errno_rule("ioctl", (1, 0x5412, "SCMP_CMP_EQ"))
    with Bundle(filtered(rule)) as b:
        facts = attempt(b, "syscall", "ioctl", "0", "0x5412", "0", "+", "syscall", "ioctl", "0", "0x100005412", "0")
        got = facts.all("syscall:ioctl")
        assert got[0] == "EBADFD", got
        if got[1] != "EBADFD":
            raise Skip("the profile, as written, compares 64 bits: a masked comparison is the profile's job")


@test("F3: foreign entry points are not a way round the filter")
def f3_foreign():
    rule = errno_rule("getpid")
    with Bundle(filtered(rule)) as b:
        b.save(command_args("sys32", "+", "syscall", str(0x40000000 + 39)))
        r = b.run()
        facts = Facts(r.out)
        assert "sys32=1\n" not in r.out, r
        if f"syscall_ret:{0x40000000 + 39}" in facts:
            assert facts[f"syscall_ret:{0x40000000 + 39}"] == "-1", r


@test("F4: a filter that allows next to nothing still starts the program, with no_new_privs")
def f4_nothing():
    allow = """execve exit exit_group write brk arch_prctl set_tid_address set_robust_list rseq prlimit64 readlinkat
    readlink getrandom mprotect newfstatat fstat uname mmap munmap readlink""".split()
    with Bundle({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": allow, "action": "SCMP_ACT_ALLOW"}]}}}) as b:
        b.save(command_args("echo", "alive"))
        r = b.run()
        assert (r.rc == 0 and "arg=alive" in r.out) or (r.rc != 0 and "seccomp" in r.err.lower()), r


# ---- G: terminal, keys, signals ----

@test("G1: input pushed into the terminal does not reach the caller (CVE-2017-5226)")
def g1_tiocsti():
    import pty
    for terminal in (False, True):
        with Bundle({"process": {"terminal": terminal, "capabilities": privileged()}}) as b:
            b.save(command_args("tiocsti", "x", "+", "status"))
            master, slave = pty.openpty()
            mode = termios.tcgetattr(slave)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(slave, termios.TCSANOW, mode)

            def control():
                os.setsid()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            p = subprocess.Popen(command("run", "--bundle", b.dir, b.id), stdin=slave, stdout=slave, stderr=slave,
                                 preexec_fn=control)
            text = read_tty(master, "pgid=")
            p.wait(10)
            waiting = fcntl.ioctl(slave, termios.FIONREAD, b"\0" * 4)
            assert int.from_bytes(waiting, "little") == 0, "a byte reached the caller's terminal queue"
            assert Facts(text)["sid"] == Facts(text)["pid"], text
            os.close(slave)
            os.close(master)


@test("G2: keys in the caller's session keyring are not visible inside, nor to exec")
def g2_keyring():
    if os.uname().machine != "x86_64":
        raise Skip("the numbers of the key calls here are those of x86_64")
    done = {}

    def give():
        ring = libc.syscall(250, 1, None)  # keyctl(JOIN_SESSION_KEYRING)
        key = libc.syscall(248, b"user", b"dvtsecret", b"payload", 7, -3)  # add_key
        done["ring"], done["key"] = ring, key
        os.write(report[1], f"{ring} {key}".encode())
    with Bundle() as b:
        report = os.pipe()
        b.save(command_args("keyring", "dvtsecret", "+", "pause"))
        b.create(preexec=give)
        ring, key = map(int, os.read(report[0], 100).split())
        if key < 0:
            raise Skip("this kernel has no keys")
        b.start()
        b.wait_output("ready=1")
        facts = b.facts()
        if facts["keyring"] in ("ENOSYS", "EPERM"):
            raise Skip("key calls are refused inside")
        assert facts["key_search"] != "ok" and facts["keyring"] != str(ring), facts.text
        r = b.exec("keyring", "dvtsecret", str(key), preexec=give)
        facts = Facts(r.out)
        assert facts["key_search"] != "ok" and facts["key_read"] != "ok", r
        for fd in report:
            os.close(fd)
        b.delete("--force")


@test("G3: a caller that ignores and blocks signals does not pass that on")
def g3_signals():
    def spoil():
        for sig in range(1, 32):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(sig, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 65)) - {32, 33})
    with Bundle() as b:
        b.save(command_args("status", "+", "exit", "4"))
        r = b.run(preexec=spoil)
        facts = Facts(r.out)
        assert r.rc == 4 and int(facts["sigblk"], 16) == 0 and int(facts["sigign"], 16) == 0, r
        b.up()
        r = b.exec("status", "+", "exit", "4", preexec=spoil)
        facts = Facts(r.out)
        assert r.rc == 4 and int(facts["sigblk"], 16) == 0 and int(facts["sigign"], 16) == 0, r
        b.delete("--force")


# ---- H: cgroups, state ----

@test("H2: with the default configuration no release_agent is writable (CVE-2022-0492)")
def h2_release_agent():
    with Bundle({"process": {"capabilities": privileged()}}) as b:
        facts = attempt(b, "mounts", "+", "open", "/sys/fs/cgroup/pids/release_agent", "w",
                        "/sys/fs/cgroup/memory/release_agent", "w", over={"mounts": MOUNTS + [
                            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                             "options": ["ro", "nosuid", "nodev", "noexec"]}]})
        if facts:
            for m in facts.mounts():
                if m["type"] == "cgroup":
                    assert {"ro", "nosuid", "nodev", "noexec"} <= set(m["options"]), m
            for key, values in facts.values.items():
                if key.startswith("open:"):
                    assert values[0] != "ok", facts.text


@test("H3: cgroupsPath, unified keys, page sizes and exec --cgroup cannot leave the cgroup tree")
def h3_paths():
    canary = os.path.join(work, unique("canary"))
    up = "/.." * 14
    cases = [{"cgroupsPath": up + canary}, {"cgroupsPath": "x" + up + canary},
             {"resources": {"unified": {"../" * 14 + canary: "1"}}},
             {"resources": {"hugepageLimits": [{"pageSize": "../" * 14 + canary, "limit": 1}]}}]
    for over in cases:
        with Bundle({"linux": over}) as b:
            b.create(check=False)
            assert not os.path.exists(canary), over
            run_davit("delete", "--force", b.id)
        for left in sorted(cgroups_tagged(), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(left)
    with Bundle() as b:
        b.up()
        for path in ("../..", "/../../..", "x/../../y", up + canary):
            r = b.exec("cgroup", flags=["--cgroup", path])
            assert r.rc != 0 or all(b.id in l or l.startswith("0::") or l.endswith(":/") for l in
                                    Facts(r.out).all("cgroup")), r
        assert not os.path.exists(canary)
        b.delete("--force")


@test("H6: ids that are paths or hold odd characters never touch other directories")
def h6_ids():
    keep = os.path.join(work, unique("keep"))
    write(keep + "/file", "x")
    with Bundle() as b:
        b.save()
        for name in (f"../{os.path.basename(keep)}", "..", ".", "a/../../x", "-x", "x\ny", "x" * 2000, ".empty-directory", "~"):
            for argv in (["delete", "--force", name], ["kill", name], ["create", "--bundle", b.dir, name],
                         ["state", name], ["delete", "--force", "--", name]):
                run_davit(*argv)
            b.ids.add(name)
        assert read(keep + "/file") == "x"
    for name in os.listdir(root):
        run_davit("delete", "--force", "--", name)
    shutil.rmtree(keep)


@test("H7: a state directory of another user, or a link in its place, is refused")
def h7_state():
    with Bundle() as b:
        b.save(command_args("true"))
        foreign = b.side("foreign")
        os.chmod(foreign, 0o777)
        os.chown(foreign, 1000, 1000)
        fails(run_davit("run", "--bundle", b.dir, b.id, rootdir=foreign))
        os.symlink(b.side("real"), b.dir + "/link")
        r = run_davit("run", "--bundle", b.dir, b.id, rootdir=b.dir + "/link")
        assert r.rc == 0 or r.err.strip()


@test("H7: links, fifos and devices planted in the state directory do not hang or get followed")
def h7_planted():
    with Bundle() as b:
        c = Canary(b)
        for kind in ("link", "fifo", "file"):
            place = os.path.join(root, b.id)
            if kind == "link":
                os.symlink(c.dir, place)
            elif kind == "fifo":
                os.mkfifo(place)
            else:
                write(place, "x")
            for argv in (["state", b.id], ["kill", b.id, "KILL"], ["start", b.id], ["list"]):
                run_davit(*argv)
            r = run_davit("create", "--bundle", b.dir, b.id)
            assert r.rc != 0, (kind, r)
            run_davit("delete", "--force", b.id)
            c.intact(kind)
            with contextlib.suppress(OSError):
                os.unlink(place)


@test("the state directory's containers are readable by their owner only")
def state_mode():
    with Bundle() as b:
        b.save()
        fresh = b.dir + "/freshroot"
        run_davit("create", "--bundle", b.dir, b.id, rootdir=fresh, check=True)
        try:
            for path in [fresh] + [os.path.join(fresh, n) for n in os.listdir(fresh)]:
                assert os.stat(path).st_mode & 0o022 == 0, (path, oct(os.stat(path).st_mode))
            assert os.stat(fresh).st_mode & 0o077 == 0 or \
                all(os.stat(os.path.join(fresh, n)).st_mode & 0o007 == 0 for n in os.listdir(fresh))
        finally:
            run_davit("delete", "--force", b.id, rootdir=fresh)


@test("a stored pid that now belongs to a stranger is never signalled")
def pid_reuse():
    with Bundle() as b:
        b.up("true")
        b.wait_stopped()
        reap()
        stranger = subprocess.Popen(["sleep", "60"])
        try:
            changed = 0
            for base, _, files in os.walk(os.path.join(root, b.id)):
                for name in files:
                    path = os.path.join(base, name)
                    if not stat.S_ISREG(os.lstat(path).st_mode):
                        continue
                    text = read(path)
                    new = re.sub(r'("(?:pid|init_process_pid)"\s*:\s*)\d+', rf"\g<1>{stranger.pid}", text)
                    if new != text:
                        write(path, new)
                        changed += 1
            if not changed:
                raise Skip("the state holds no pid in JSON")
            run_davit("kill", b.id, "KILL")
            run_davit("delete", "--force", b.id)
            assert stranger.poll() is None, "a stranger was killed"
        finally:
            stranger.kill()
            stranger.wait()


main()
