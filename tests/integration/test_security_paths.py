#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile bundles: paths and mounts.

The letter and number before the colon is the row of the catalogue of such classes; the CVE numbers
name public cases. A test accepts either a clean refusal or a container for which the property holds.
RACES sets how often each race is run (default 20).
"""
from hostile import *


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


main()
