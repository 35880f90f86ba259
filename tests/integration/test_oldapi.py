#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole life on kernels, and below filters, without newer system calls: each is refused in turn.

test_fallback.py compares what containers look like; `make check-old` runs all other files so."""
from hostile import *

CALLS = ["pidfd_send_signal", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
         "pidfd_open", "clone3", "close_range", "openat2", "pidfd_getfd", "faccessat2", "mount_setattr",
         "open_tree_attr", "statmount"]
ERRORS = ["ENOSYS", "EPERM"]


def deny_path():
    """The program built from deny.c."""
    path = os.path.join(os.path.dirname(os.environ.get("DAVIT_INIT", "")) or "/nonexistent", "deny")
    if os.path.exists(path):
        return path
    path = os.path.join(work, "deny")
    if not os.path.exists(path):
        subprocess.run([os.environ.get("CC", "gcc"), "-O1", "-static", "-o", path, os.path.join(HERE, "deny.c")],
                       check=True, timeout=60)
    return path


class Old:
    """run(): davit without some calls."""

    def __init__(self, error, calls):
        self.prefix = [deny_path(), error, calls]
        self.what = f"without {calls}, {error}"

    def run(self, *args, check=True, **kw):
        result = run_command(self.prefix + command(*args), **kw)
        assert not check or result.rc == 0, f"{self.what}: {result}"
        return result


def life(error, calls, over=None):
    """create, start, exec, pause, resume, ps, update, kill, delete; then run."""
    old = Old(error, calls)
    with Bundle(over) as b:
        if over and "uidMappings" in over["linux"]:
            b.owned(100000)
        b.file("/etc/secret", "x")
        b.save(command_args("read", "/etc/secret", "+", "pause"),
               {"linux": {"maskedPaths": ["/etc/secret", "/proc/kcore"]}})
        with open(b.stdout, "ab") as out, open(b.stderr, "wb+") as err:
            old.run("create", "--bundle", b.dir, "--pid-file", b.dir + "/pid", b.id, stdout=out, stderr=err,
                    check=False)
        assert os.path.lexists(os.path.join(root, b.id)), f"{old.what}: {read(b.stderr)}"
        assert read(b.dir + "/pid") == str(b.pid()), old.what
        old.run("start", b.id)
        b.wait_output("ready=1")
        assert b.facts()["read:/etc/secret"] in ("", "EACCES"), (old.what, b.output())
        facts = Facts(old.run("exec", b.id, "/init", "status", "+", "fds", "+", "ns").out)
        assert facts["ns_mnt"] == os.readlink(f"/proc/{b.pid()}/ns/mnt"), (old.what, facts.text)
        assert old.run("exec", b.id, "/init", "exit", "7", check=False).rc == 7, old.what
        old.run("pause", b.id)
        assert json.loads(old.run("state", b.id).out)["status"] == "paused", old.what
        old.run("resume", b.id)
        assert b.id in old.run("list", "-q").out, old.what
        assert str(b.pid()) in old.run("ps", b.id).out, old.what
        old.run("kill", b.id, "KILL")
        b.wait_stopped()
        old.run("delete", b.id)
        b.nothing_left()
        b.save(command_args("exit", "5"))
        assert old.run("run", "--bundle", b.dir, b.id, check=False).rc == 5, old.what
        old.run("create", "--bundle", b.dir, b.id)
        old.run("delete", "--force", b.id)
        b.nothing_left()


MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
USERNS = {"linux": {"namespaces": namespaces(*NAMESPACES, "user", "cgroup"), "uidMappings": MAPS,
                    "gidMappings": MAPS}}


@test("each call missing: a container lives from create to delete", limit=180)
def each_missing():
    for call in CALLS:
        life("ENOSYS", call)


@test("each call forbidden: the same", limit=180)
def each_forbidden():
    for call in CALLS:
        life("EPERM", call)


@test("a flag that a kernel does not know yet: that of close_range, nosymfollow for new file systems")
def flag_missing():
    life("EINVAL", "close_range/2/4")
    needs_calls("fsopen", "fsmount")
    with Bundle() as b:
        b.save({"mounts": MOUNTS + [{"destination": "/t", "type": "tmpfs", "source": "t",
                                     "options": ["nosymfollow", "nosuid"]}]}, command_args("mounts"))
        old = Old("EINVAL", "fsmount/2/0x200000")
        facts = Facts(old.run("run", "--bundle", b.dir, b.id).out)
        assert {"nosymfollow", "nosuid"} <= set(facts.mount_at("/t")["options"]), facts.text
        b.save({"mounts": [{"destination": "/t", "type": "tmpfs", "source": "t",
                            "options": ["nosymfollow", "size=x"]}]})
        fails(old.run("run", "--bundle", b.dir, b.id, check=False), '"/t"', "size")


@test("all of them missing or forbidden: the same, with a user namespace too")
def all_gone():
    for error in ERRORS:
        life(error, "old")
        life(error, "old", USERNS)


@test("joined namespaces, time offsets and a filter without the newer calls")
def joined():
    for error in ERRORS:
        old = Old(error, "old")
        with Bundle() as first:
            first.up()
            paths = {"network": f"/proc/{first.pid()}/ns/net", "pid": f"/proc/{first.pid()}/ns/pid"}
            with Bundle({"linux": {"namespaces": namespaces("mount", "ipc", "uts", **paths), "seccomp": {
                    "defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_ERRNO"}]}}}) as b:
                b.save(command_args("ns", "+", "syscall", "sync"))
                facts = Facts(old.run("run", "--bundle", b.dir, b.id).out)
                assert facts["ns_net"] == os.readlink(paths["network"]), (old.what, facts.text)
                assert facts["ns_pid"] == os.readlink(paths["pid"]), (old.what, facts.text)
                assert facts["syscall:sync"] == "EPERM", (old.what, facts.text)
            first.delete("--force")
        with Bundle({"linux": {"namespaces": namespaces(*NAMESPACES, "time"),
                               "timeOffsets": {"monotonic": {"secs": 100000, "nanosecs": 0}}}}) as b:
            b.save(command_args("clock"))
            facts = Facts(old.run("run", "--bundle", b.dir, b.id).out)
            assert abs(int(facts["monotonic"]) - time.monotonic() - 100000) < 30, (old.what, facts.text)


@test("the flags of a mount reach that mount, though its destination is swapped meanwhile", limit=180)
def swapped_destination():
    for error in ERRORS:
        old = Old(error, "mount")
        with Bundle() as b:
            volume, source = b.side("volume"), b.side("source")
            os.mkdir(volume + "/dir")
            os.symlink("/decoy", volume + "/link")
            over = {"mounts": MOUNTS + [
                {"destination": "/decoy", "type": "tmpfs", "source": "tmpfs"}, bind(volume, "/vol"),
                bind(source, "/vol/dir", "bind", "ro", "nosuid", "nodev", "noexec"),
                {"destination": "/vol/dir", "type": "tmpfs", "source": "late", "options": ["ro", "nosuid", "noexec"]}]}
            b.save(over, command_args("mounts"))
            seen = 0
            with racer(volume + "/dir", volume + "/link"):
                for _ in range(RACES):
                    result = old.run("run", "--bundle", b.dir, b.id, check=False)
                    assert result.rc >= 0, result
                    for m in Facts(result.out).mounts():
                        if m["source"] == "late" or m["root"].endswith("/source"):
                            seen += 1
                            missing = {"ro", "nosuid", "noexec"} - set(m["options"])
                            assert not missing, (old.what, m)
            assert seen, result


@test("what is not a procfs is not bound over /proc without the newer calls either")
def bind_over_proc():
    with Bundle() as b:
        b.save({"mounts": [bind(b.side("fake"), "/proc")]}, command_args("true"))
        for calls in ("openat2", "mount", "old"):
            fails(Old("ENOSYS", calls).run("run", "--bundle", b.dir, b.id, check=False), "procfs", "/proc")


@test("src-nofollow binds the link itself without the newer calls too")
def source_link():
    with Bundle() as b:
        os.symlink("/etc", b.dir + "/link")
        b.file("/there")
        b.save({"mounts": MOUNTS + [bind(b.dir + "/link", "/there", "bind", "src-nofollow")]},
               command_args("stat", "/there"))
        for calls in ("openat2", "mount"):
            facts = Facts(Old("ENOSYS", calls).run("run", "--bundle", b.dir, b.id).out)
            assert facts.stat("/there")["type"] == "lnk", facts.text


@test("without a procfs in the container, read-only mounts are read-only without the newer calls too")
def no_procfs():
    fake = ["/proc/self/fd"] + [f"/proc/self/fd/{n}" for n in range(3, 20)]
    with Bundle() as b:
        for path in fake:  # what would mislead who takes it for the kernel's
            os.makedirs(b.path(path))
        b.save({"mounts": [{"destination": "/t", "type": "tmpfs", "source": "t", "options": ["ro", "nosuid"]},
                           {"destination": "/t/sub", "type": "tmpfs", "source": "t"}],
                "root": {"readonly": True}, "linux": {"maskedPaths": [], "readonlyPaths": []}},
               command_args("write", "/x", "x", "+", "write", "/t/x", "x", "+", "write", "/t/sub/x", "x"))
        for error in ERRORS:
            for calls in ("mount_setattr", "mount", "old"):
                old = Old(error, calls)
                facts = Facts(old.run("run", "--bundle", b.dir, b.id).out)
                said = [facts[f"write:{path}"] for path in ("/x", "/t/x", "/t/sub/x")]
                assert said == ["EROFS", "EROFS", "ok"], (old.what, said)


def without_kill_file(b, how, *args):
    """A command that cannot have the group's cgroup.kill: how is what strace(1) injects."""
    groups = {c for c in cgroups_tagged() if os.path.exists(c + "/cgroup.kill") and os.path.basename(c) == b.id}
    if not groups:
        raise Skip("this kernel has no cgroup.kill")
    log = os.path.join(work, unique("trace"))
    result = run_command(["strace", "-f", "-o", log, *[word for c in groups for word in ("-P", c + "/cgroup.kill")],
                          "-e", f"inject={how}", *command(*args)])
    assert "INJECTED" in read(log), (read(log), result)
    os.unlink(log)
    return result


@test("without cgroup.kill, or where it is refused: kill --all and delete --force end those who flee by fork", limit=90)
def no_kill_file():
    strace_tool()
    over = {"linux": {"namespaces": namespaces("ipc", "uts", "mount"), "resources": {"pids": {"limit": 1000}}}}
    for how in ("openat:error=ENOENT", "write:error=EPERM", "write:error=EOPNOTSUPP"):
        for frozen in (False, True):
            with Bundle(over) as b:
                b.save(command_args("hydra", "8"))
                b.create(keep_config=True)
                b.start()
                b.wait_output("ready=1")
                groups = [c for c in cgroups_tagged() if os.path.basename(c) == b.id]
                if frozen:
                    run_davit("pause", b.id, check=True)
                result = without_kill_file(b, how, "kill", "--all", b.id, "KILL")
                assert result.rc == 0, (how, frozen, result)
                eventually(lambda: reap() is not None and not any(read(c + "/cgroup.procs") for c in groups),
                           f"all killed, {how}, frozen {frozen}", 5)
                b.delete()
                b.up("hydra", "8", keep_config=True)
                if frozen:
                    run_davit("pause", b.id, check=True)
                result = without_kill_file(b, how, "delete", "--force", b.id)
                assert result.rc == 0, (how, frozen, result)
                b.nothing_left()


main()
