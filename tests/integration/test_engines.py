#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What engines do and read: their command sequences, and the texts they search for."""
import re

from davit import *

# The order in which podman classifies a message; the first match wins.
PODMAN = [("126", re.compile(r"permission denied|operation not permitted", re.I)),
          ("127", re.compile(r"executable file not found in|no such file or directory|open executable", re.I))]


def podman_class(text):
    for code, pattern in PODMAN:
        if pattern.search(text):
            return code
    return None


def engine_config(*over):
    """Roughly what engines write."""
    return merge(config({
        "ociVersion": "1.0.2-dev",
        "process": {"terminal": False, "oomScoreAdj": int(read("/proc/self/oom_score_adj")),
                    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}]},
        "annotations": {"io.container.manager": "libpod", "org.opencontainers.image.stopSignal": "15"},
        "linux": {"namespaces": namespaces(*NAMESPACES, "cgroup"), "cgroupsPath": "/" + unique("engine"),
                  "resources": {"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": 2048}},
                  "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                                  "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
                  "readonlyPaths": ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                    "/proc/sysrq-trigger"]}}), merge({}, over[0] if over else {}))


@test("conmon's sequence: create with pid file, start, exec with pid file, kill by number, delete")
def conmon():
    with Bundle(engine_config()) as b:
        b.save(command_args("pause"))
        glob = ["--log", b.dir + "/oci.log", "--log-format", "json"]
        b.create("--pid-file", b.dir + "/pidfile", "--no-new-keyring", glob=glob)
        assert b.state()["pid"] == int(read(b.dir + "/pidfile"))
        run_davit(*glob, "start", b.id, check=True)
        b.wait_output("ready=1")
        r = b.exec_process({"args": ["/init", "exit", "9"]}, "--detach", "--pid-file", b.dir + "/execpid")
        assert r.rc == 0 and read(b.dir + "/execpid").isdigit(), r
        pid = int(read(b.dir + "/execpid"))
        done = {}

        def gone():
            done.update(reap())
            return pid in done
        eventually(gone, "the exec process is ours to wait for")
        assert os.waitstatus_to_exitcode(done[pid]) == 9, done
        run_davit("kill", b.id, "15", check=True)
        b.wait_stopped()
        run_davit("delete", b.id, check=True)
        assert not os.path.exists(b.dir + "/oci.log") or read(b.dir + "/oci.log") == ""


@test("the engine is the parent of init (subreaper) and gets its exit status")
def init_status():
    with Bundle(engine_config()) as b:
        b.save(command_args("exit", "42"))
        b.create()
        pid = b.pid()
        b.start()
        done = {}

        def gone():
            done.update(reap())
            return pid in done
        eventually(gone, "init is ours to wait for")
        assert os.waitstatus_to_exitcode(done[pid]) == 42
        assert b.state()["status"] == "stopped"
        b.delete()


@test("a zombie init that nobody has waited for counts as stopped")
def zombie():
    with Bundle(engine_config()) as b:
        b.save(command_args("true"))
        b.create()
        pid = b.pid()
        b.start()
        eventually(lambda: processes().get(pid, (0, "Z"))[1] == "Z", "zombie")
        assert b.state()["status"] == "stopped"
        fails(b.kill("TERM", check=False), "container not running")
        fails(b.exec("true"))
        run_davit("delete", b.id, check=True)
        reap()


@test("containerd's sequence: shim flags, state, exec, ps, kill --all, delete --force")
def containerd():
    with Bundle(engine_config()) as b:
        nsroot = os.path.join(work, unique("ctd"), "default")
        glob = ["--log", b.dir + "/log.json", "--log-format", "json"]
        b.save(command_args("pause"))

        def run(*argv, **kw):
            return run_command([DAVIT, "--root", nsroot, *glob, *argv], **kw)
        with open(b.stdout, "wb") as out:
            run("create", "--bundle", b.dir, "--pid-file", b.dir + "/init.pid", b.id, stdout=out, check=True)
        run("start", b.id, check=True)
        b.wait_output("ready=1")
        spec = b.side("exec.json", json.dumps({"args": ["/init", "sleep", "30"], "cwd": "/", "user": {"uid": 0,
                "gid": 0},
                                               "env": ["PATH=/bin"]}))
        run("exec", "--process", spec, "--detach", "--pid-file", b.dir + "/exec.pid", b.id, check=True)
        pids = json.loads(run("ps", "--format", "json", b.id, check=True).out)
        assert set(pids) == {int(read(b.dir + "/init.pid")), int(read(b.dir + "/exec.pid"))}, pids
        run("kill", "--all", b.id, "9", check=True)
        eventually(lambda: reap() is not None and json.loads(run("state", b.id).out)["status"] == "stopped", "stopped")
        run("kill", "--all", b.id, "9", check=True)
        run("delete", "--force", b.id, check=True)
        run("delete", "--force", b.id, check=True)
        r = run("delete", b.id)
        last = json.loads(read(b.dir + "/log.json").splitlines()[-1])
        assert r.rc != 0 and last["level"] == "error" and "does not exist" in last["msg"], (r, last)
        shutil.rmtree(os.path.dirname(nsroot))


@test("buildah's sequence: create, start, state every 100 ms, kill without signal, delete")
def buildah():
    with Bundle(engine_config()) as b:
        b.save(command_args("pause"))
        b.create("--pid-file", b.dir + "/pid", "--no-pivot")
        b.start()
        b.wait_output("ready=1")
        words = {b.state()["status"] for _ in range(5)}
        assert words == {"running"}, words
        run_davit("kill", b.id, check=True)
        b.wait_stopped()
        run_davit("delete", b.id, check=True)


@test("BuildKit's sequence: run --keep, then the cgroup is read, then delete")
def buildkit():
    with Bundle(engine_config()) as b:
        b.save(command_args("hog", "4", "+", "exit", "5"))
        r = b.run("--keep")
        assert r.rc == 5, r
        assert cgroups_tagged(), "the cgroup is gone"
        run_davit("delete", b.id, check=True)


@test("CRI-O: kill of a dead container says \"container not running\"; signals by name")
def crio_kill():
    with Bundle(engine_config()) as b:
        b.up()
        run_davit("kill", b.id, "USR1", check=True)
        b.wait_output("signal=10")
        run_davit("kill", b.id, "KILL", check=True)
        b.wait_stopped()
        assert "container not running" in fails(run_davit("kill", b.id, "KILL")).err
        b.delete()


@test("CRI-O: exec in the foreground with --process passes the exit status")
def crio_exec():
    with Bundle(engine_config()) as b:
        b.up()
        r = b.exec_process({"args": ["/init", "exit", "33"]})
        assert r.rc == 33, r
        r = b.exec_process({"args": ["/init", "die", "9"]})
        assert r.rc == 137, r
        b.delete("--force")


@test("podman's 126 and 127: the message is classified right, and names the program")
def podman_classes():
    with Bundle(engine_config()) as b:
        b.file("/plain", "x", 0o644)
        b.file("/script", "#!/no/interpreter\n", 0o755)
        for path, code in (("/plain", "126"), ("/no/such", "127"), ("nosuch", "127"), ("/etc", "126")):
            b.save({"process": {"args": [path]}})
            r = fails(b.create(check=False), path)
            assert podman_class(r.err) == code, (path, code, r)
        b.up()
        for path, code in (("/plain", "126"), ("/no/such", "127"), ("nosuch", "127")):
            r = run_davit("exec", b.id, path)
            assert r.rc not in (0, 1) or r.rc == 255 or podman_class(r.err) == code, r
            assert podman_class(r.err) == code, (path, r)
        b.delete("--force")


@test("docker's words for a missing and for a forbidden program, in lower case")
def docker_words():
    with Bundle(engine_config()) as b:
        b.file("/plain", "x", 0o644)
        for path, text in (("nosuch", "executable file not found"), ("/no/such", "no such file or directory"),
                           ("/plain", "permission denied")):
            b.save({"process": {"args": [path]}})
            r = fails(b.create(check=False))
            assert text in r.err, (path, r)


@test("docker: a directory mounted on a file is \"not a directory\"")
def docker_notdir():
    with Bundle(engine_config()) as b:
        b.file("/afile", "x")
        b.save({"mounts": MOUNTS + [{"destination": "/afile", "source": b.side("data"), "type": "bind",
                "options": ["rbind"]}]})
        r = fails(b.create(check=False))
        assert "not a directory" in r.err, r


@test("no unrelated error uses the words that engines classify by")
def other_errors():
    with Bundle(engine_config()) as b:
        for over in ({"ociVersion": "invalid"}, {"process": {"cwd": "relative"}},
                {"linux": {"namespaces": namespaces("colour")}},
                     {"linux": {"rootfsPropagation": "sideways"}}, {"hostname": "x" * 100}):
            b.conf = config(engine_config(), over)
            r = fails(b.create(check=False))
            assert podman_class(r.err) is None, r


@test("podman reads the log of a failed create as one JSON object, also when warnings are due")
def one_object():
    with Bundle(engine_config()) as b:
        b.save({"process": {"args": ["/no/such"], "capabilities": capsets(CAPS + ["CAP_NO_SUCH"])},
                "linux": {"resources": {"memory": {"limit": 64 << 20, "kernel": 32 << 20}}, "unknown": 1}})
        log = b.dir + "/log"
        fails(b.create(check=False, glob=["--log", log, "--log-format", "json"]))
        doc = json.loads(read(log))
        assert doc["level"] == "error" and {"level", "msg", "time"} <= set(doc), doc


@test("conmon forwards stderr as it is: the first line tells all, and the log has the same")
def first_line():
    with Bundle(engine_config()) as b:
        b.save({"process": {"args": ["/no/such"]}})
        r = fails(b.create(check=False))
        assert len(r.err.strip().splitlines()) == 1 and len(r.err) < 1000, r


@test("create does not keep the caller's pipes when it fails or succeeds")
def pipes():
    with Bundle(engine_config()) as b:
        b.save({"process": {"args": ["/no/such"]}})
        p = subprocess.run(command("create", "--bundle", b.dir, b.id), stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=10)
        assert p.returncode != 0
        b.save(command_args("pause"))
        extra = os.pipe()
        os.set_inheritable(extra[1], True)
        with open(b.stdout, "wb") as out:
            q = subprocess.Popen(command("create", "--bundle", b.dir, b.id), stdin=subprocess.DEVNULL,
                    stdout=out, stderr=out,
                                 pass_fds=(extra[1],))
            assert q.wait(TIMEOUT) == 0, b.output()
        os.close(extra[1])
        os.set_blocking(extra[0], False)
        assert os.read(extra[0], 1) == b"", "somebody still holds the caller's descriptor"
        os.close(extra[0])
        b.delete("--force")


@test("--cgroup-manager cgroupfs and disabled, --rootless, --systemd-cgroup=false are accepted")
def global_flags():
    for glob in (["--cgroup-manager", "cgroupfs"], ["--cgroup-manager=disabled"], ["--rootless", "false"],
            ["--rootless=auto"],
                 ["--debug"], ["--log-level", "debug"]):
        with Bundle(engine_config()) as b:
            b.conf["linux"].pop("resources", None)
            b.save(command_args("exit", "3"))
            r = run_davit(*glob, "run", "--bundle", b.dir, b.id)
            assert r.rc == 3, (glob, r)
            b.nothing_left()


@test("with the cgroup manager disabled no cgroup is made")
def no_cgroups():
    with Bundle(engine_config()) as b:
        b.conf["linux"].pop("resources", None)
        b.save(command_args("pause"))
        before = cgroups_tagged()
        b.create(glob=["--cgroup-manager", "disabled"])
        b.start()
        b.wait_output("ready=1")
        assert cgroups_tagged() == before, cgroups_tagged() - before
        assert b.exec("exit", "4").rc == 4
        b.delete("--force")


@test("NOTIFY_SOCKET: READY=1 of the payload reaches the caller's socket, with MAINPID")
def notify():
    with Bundle(engine_config()) as b:
        path = os.path.join(work, unique("notify"))
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(path)
        s.settimeout(8)
        b.save(command_args("getenv", "NOTIFY_SOCKET", "+", "notify", "READY=1\nSTATUS=x", "+", "sleep", "0.5"))
        p = b.spawn(env=dict(os.environ, NOTIFY_SOCKET=path))
        try:
            text = s.recv(4096).decode()
        except TimeoutError:
            text = ""
        out, err = p.communicate(timeout=20)
        s.close()
        os.unlink(path)
        assert "READY=1" in text.split("\n"), (text, out, err)
        assert b"getenv:NOTIFY_SOCKET=(unset)" not in out, out


@test("--pidfd-socket hands over a pidfd of init")
def pidfd_socket():
    with Bundle(engine_config()) as b, FdReceiver("p") as s:
        b.save(command_args("pause"))
        b.create("--pidfd-socket", s.path)
        data, fds = s.receive()
        assert len(fds) == 1, (data, fds)
        info = read(f"/proc/self/fdinfo/{fds[0]}")
        assert re.search(rf"^Pid:\s*{b.pid()}$", info, re.M), info
        b.delete("--force")


@test("an engine's configuration with everything runs as runc's name and crun's name too")
def by_name():
    needs_program()  # else its name is not the one that davit sees
    with Bundle(engine_config()) as b:
        b.save(command_args("exit", "6"))
        for name in ("runc", "crun"):
            link = os.path.join(work, name)
            os.symlink(DAVIT, link)
            r = run_command([link, "--root", root, "run", "--bundle", b.dir, b.id])
            assert r.rc == 6, r
            first = run_command([link, "--version"], check=True).out.splitlines()[0]
            assert re.match(rf"({name}|{re.escape(NAME)}) version ", first), first
            os.unlink(link)


main()
