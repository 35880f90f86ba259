#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile bundles: labels, descriptors, the runtime's own binary, hooks.

The letter and number before the colon is the row of the catalogue of such classes; the CVE numbers
name public cases. A test accepts either a clean refusal or a container for which the property holds.
RACES sets how often each race is run (default 20).
"""
import hashlib

from hostile import *


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


def spied(capabilities):
    """What a container's root finds in /proc of the processes of exec."""
    with Bundle({"process": {"capabilities": capabilities}}) as b:
        b.up("procspy", "600")  # longer than all of the execs, however slow
        b.wait_output("ready=1")
        for _ in range(RACES * 3):
            b.exec("true", check=True)
        assert b.state()["status"] == "running", b.output()[-800:]
        found = [v for v in b.facts().all("spy") + b.facts().all("spydir") if v.split(" -> ")[1] != "/"]
        b.delete("--force")
    return found


@test("C1: processes of exec show the container's root nothing of the host (CVE-2016-9962)")
def c1_spy():
    found = spied(capsets(CAPS + ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]))
    assert not found, found[:5]


@test("C1: nor one with CAP_SYS_PTRACE: whatever enters holds no directory of the host")
def c1_spy_ptrace():
    # what it opened below its new /proc is no secret
    # nor a sealed copy of davit, where no read-only clone of its mount can be made
    found = [v for v in spied(privileged()) if " -> /proc/" not in v and " -> /memfd:davit (deleted)" not in v]
    assert not found, found[:5]


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
        b.save({"hooks": {"createRuntime": [{"path": hook, "env": ["PATH=/bin:/usr/bin"]}]}},
                command_args("fds", "+", "pause"))
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
            script = f"#!/bin/sh\ncat /proc/$$/environ > {log}/{kind}\npwd > {log}/{kind}.cwd\n"
            path = write(f"{b.dir}/{kind}.sh", script, 0o755)
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


main()
