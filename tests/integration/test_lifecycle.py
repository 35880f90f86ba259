#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""create, start, state, kill, delete: effects and errors of each operation."""
import re
import signal

from davit import *


@test("create makes the process but does not run the program; start does")
def create_start():
    with Bundle() as b:
        b.save(command_args("echo", "started", "+", "pause"))
        b.create()
        st = b.state()
        assert st["status"] == "created", st
        time.sleep(0.2)
        assert "started" not in b.output(), "program ran before start"
        assert alive(st["pid"]), "no process"
        assert read(f"/proc/{st['pid']}/status").splitlines()[0] != "Name:\tinit-never"
        b.start()
        b.wait_output("ready=1")
        assert b.state()["status"] == "running"
        assert b.state()["pid"] == st["pid"], "pid changed by start"
        b.kill("KILL")
        b.wait_stopped()
        b.delete()
        fails(b.state(check=False))


@test("state holds every field with its type")
def state_fields():
    with Bundle({"annotations": {"org.example.a": "1", "org.example.empty": ""}}) as b:
        b.up()
        st = b.state()
        assert isinstance(st["ociVersion"], str) and re.match(r"\d+\.\d+\.\d+", st["ociVersion"]), st
        assert st["id"] == b.id and st["status"] == "running", st
        assert type(st["pid"]) is int and st["pid"] > 1, st
        assert st["bundle"] == b.dir and os.path.isabs(st["bundle"]), st
        assert st["annotations"] == {"org.example.a": "1", "org.example.empty": ""}, st
        b.kill("KILL")
        b.wait_stopped()
        st = b.state()
        assert st["status"] == "stopped" and st.get("pid", 0) == 0, st
        assert st["annotations"]["org.example.a"] == "1", st
        b.delete()


@test("state has rootfs, created (RFC 3339) and owner")
def state_extra():
    with Bundle() as b:
        b.create()
        st = b.state()
        assert st["rootfs"] == b.rootfs, st
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
                            st["created"]), st
        assert "owner" in st, st
        b.delete("--force")


@test("state prints one JSON object and nothing on stderr")
def state_clean():
    with Bundle() as b:
        b.create()
        r = run_davit("state", b.id, check=True)
        json.loads(r.out)
        assert r.err == "", r
        b.delete("--force")


@test("a relative bundle path becomes absolute in state")
def relative_bundle():
    with Bundle() as b:
        b.save()
        run_davit("create", "--bundle", "./" + b.id, b.id, cwd=work, check=True)
        assert b.state()["bundle"] == b.dir, b.state()
        b.delete("--force")


@test("without --bundle the current directory is the bundle")
def default_bundle():
    with Bundle() as b:
        b.save(command_args("exit", "7"))
        assert run_davit("run", b.id, cwd=b.dir).rc == 7


@test("--pid-file holds the pid, no newline, and is there when create returns")
def pid_file():
    with Bundle() as b:
        path = os.path.join(b.dir, "pid")
        b.create("--pid-file", path)
        with open(path, "rb") as f:
            raw = f.read()
        assert re.fullmatch(rb"[1-9][0-9]*", raw), raw
        assert int(raw) == b.pid()
        b.delete("--force")


@test("a duplicate id fails and leaves the first container alone")
def duplicate_id():
    with Bundle() as b, Bundle() as other:
        b.up()
        pid = b.pid()
        other.save()
        fails(run_davit("create", "--bundle", other.dir, b.id), b.id)
        fails(run_davit("run", "--bundle", other.dir, b.id), b.id)
        assert b.state()["status"] == "running" and b.pid() == pid
        assert b.state()["bundle"] == b.dir
        b.delete("--force")


@test("an id can be used again after delete")
def reuse_id():
    with Bundle() as b:
        for _ in range(3):
            b.create()
            b.delete("--force")


@test("invalid ids are refused: path parts, blanks, control characters, too long")
def bad_ids():
    with Bundle() as b:
        b.save()
        before, state = (set(os.listdir(d)) for d in (work, root))
        for name in ("", ".", "..", "../" + TAG, "a/b", "/" + TAG, TAG + "\n", TAG + " x", TAG + "\t",
                     "x" * 1025, TAG + "é", TAG + "*", TAG + ":"):
            for verb in (["create", "--bundle", b.dir], ["run", "--bundle", b.dir], ["state"],
                         ["start"], ["kill"], ["delete"]):
                r = run_davit(*verb, "--", name) if name.startswith("-") else run_davit(*verb, name)
                assert r.rc != 0, f"id {name!r} accepted: {r}"
        assert set(os.listdir(work)) == before and set(os.listdir(root)) == state, os.listdir(root)


@test("ids with every allowed character work")
def good_ids():
    with Bundle() as b:
        b.save(command_args("exit", "3"))
        for name in (TAG + "_a.b-c+D9", TAG + "x" * 100):
            b.ids.add(name)
            assert run_davit("run", "--bundle", b.dir, name).rc == 3, name


@test("every operation fails without an id")
def missing_id():
    for verb in ("create", "start", "state", "kill", "delete", "run", "exec", "pause", "resume"):
        fails(run_davit(verb))


@test("every operation fails on an unknown id and says that it does not exist")
def unknown_id():
    for argv in (["start"], ["state"], ["kill"], ["delete"], ["pause"], ["resume"], ["ps"]):
        r = fails(run_davit(*argv, TAG + "nope"))
        assert "does not exist" in r.err, r
    fails(run_davit("exec", TAG + "nope", "/init", "true"), "does not exist")


@test("an unknown command or flag fails with usage on stderr, not stdout")
def unknown_command():
    for argv in (["frobnicate"], ["state", "--frobnicate", "x"], ["--frobnicate", "list"]):
        r = fails(run_davit(*argv))
        assert r.out == "", r


@test("create fails without a bundle, with a missing one, and with one without config.json")
def missing_bundle():
    with Bundle() as b:
        b.save()
        os.unlink(b.dir + "/config.json")
        for path in (b.dir, b.dir + "/nowhere", b.dir + "/rootfs/init"):
            r = fails(run_davit("create", "--bundle", path, b.id))
            assert path in r.err or "config.json" in r.err, r
        b.nothing_left()


@test("start of a running or stopped container fails without effect")
def start_twice():
    with Bundle() as b:
        b.up()
        pid = b.pid()
        fails(run_davit("start", b.id))
        assert b.state()["status"] == "running" and b.pid() == pid
        assert b.output().count("ready=1") == 1
        b.kill("KILL")
        b.wait_stopped()
        fails(run_davit("start", b.id))
        assert b.state()["status"] == "stopped"
        b.delete()


@test("start fails when config has no process; create does not")
def start_without_process():
    with Bundle({"process": None}) as b:
        b.create()
        before = b.state()
        assert before["status"] == "created"
        for _ in range(2):
            fails(run_davit("start", b.id), "/process")
            assert b.state() == before, "an error leaves all as if it had never been tried"
        b.kill("KILL")
        b.wait_stopped()
        b.delete()


@test("config.json is not read again after create")
def config_changes():
    with Bundle() as b:
        b.save(command_args("echo", "first"))
        b.create()
        b.save(command_args("echo", "second"))
        b.start()
        b.wait_stopped()
        assert Facts(b.output()).all("arg") == ["first"], b.output()
        b.save(raw="{ broken")
        assert b.state()["status"] == "stopped"
        b.delete()


@test("kill takes a number, a name and a name with SIG")
def kill_forms():
    with Bundle() as b:
        b.up()
        for arg, number in (("10", 10), ("USR2", 12), ("SIGHUP", 1), ("SIGRTMIN+1", 35)):
            b.kill(arg)
            b.wait_output(f"signal={number:02d}")
        b.kill("SIGTERM")
        b.wait_stopped()
        b.delete()


@test("kill without a signal sends SIGTERM")
def kill_default():
    with Bundle() as b:
        b.up()
        b.kill()
        b.wait_output("signal=15")
        b.wait_stopped()
        b.delete()


@test("kill refuses unknown signals and does not touch the container")
def kill_bad_signal():
    with Bundle() as b:
        b.up()
        for sig in ("SIGNOPE", "99", "-5", "9x", "", "65"):
            fails(run_davit("kill", b.id, sig))
        assert b.state()["status"] == "running"
        assert "signal=" not in b.output(), b.output()
        b.delete("--force")


@test("kill works on a created container")
def kill_created():
    with Bundle() as b:
        b.create()
        b.kill("KILL")
        b.wait_stopped()
        b.delete()


@test("kill of a stopped container fails with \"container not running\"")
def kill_stopped():
    with Bundle() as b:
        b.up("true")
        b.wait_stopped()
        for sig in ("TERM", "KILL", "0"):
            fails(b.kill(sig, check=False), "container not running")
        assert b.state()["status"] == "stopped"
        b.delete()


@test("kill of a container that is being created fails and does not touch it")
def kill_creating():
    with Bundle() as b:
        here, go = b.dir + "/here", b.dir + "/go"
        hook = write(b.dir + "/hook", f"#!/bin/sh\ntouch {here}\nuntil [ -e {go} ]; do sleep 0.1; done\n", 0o755)
        b.save({"hooks": {"createRuntime": [{"path": hook}]}}, command_args("pause"))
        creating = b.spawn("--bundle", b.dir, verb="create", stdout=subprocess.DEVNULL)
        eventually(lambda: os.path.exists(here), "the hook to run")
        for argv in (["KILL"], ["TERM"], ["--all", "KILL"]):
            fails(b.kill(*argv, check=False), "creating")
        assert b.state()["status"] == "creating", b.state()
        write(go, "")
        assert creating.wait(10 * FACTOR) == 0, creating.stderr.read()
        creating.stderr.close()
        assert b.state()["status"] == "created", b.state()
        b.delete("--force")


@test("kill --all and -a are accepted; a container already gone is success")
def kill_all():
    with Bundle() as b:
        b.up()
        b.kill("--all", "USR1")
        b.wait_output("signal=10")
        b.kill("-a", "KILL")
        b.wait_stopped()
        b.kill("--all", "KILL")
        b.delete()


@test("kill KILL ends a process that ignores every signal")
def kill_stubborn():
    with Bundle() as b:
        b.up("stubborn")
        b.kill("TERM")
        time.sleep(0.1)
        assert b.state()["status"] == "running"
        b.kill("KILL")
        b.wait_stopped()
        b.delete()


@test("delete of a running container fails without effect")
def delete_running():
    with Bundle() as b:
        b.up()
        fails(b.delete(check=False))
        assert b.state()["status"] == "running"
        b.kill("USR1")
        b.wait_output("signal=10")
        b.delete("--force")
        fails(b.state(check=False))


@test("delete --force kills first, also when signals are ignored")
def delete_force():
    with Bundle() as b:
        b.up("stubborn")
        pid = b.pid()
        b.delete("--force")
        reap()
        assert not alive(pid)
        fails(b.state(check=False), "does not exist")


@test("delete of a created container kills and removes it (as engines rely on)")
def delete_created():
    with Bundle() as b:
        b.create()
        pid = b.pid()
        b.delete()
        eventually(lambda: reap() is not None and not alive(pid), "init gone")
        fails(b.state(check=False))


@test("delete --force of an unknown container exits 0; -f is the same")
def delete_force_unknown():
    for flag in ("--force", "-f"):
        r = run_davit("delete", flag, TAG + "nope")
        assert r.rc == 0, r


@test("a second delete fails and says that the container does not exist")
def delete_twice():
    with Bundle() as b:
        b.up("true")
        b.wait_stopped()
        b.delete()
        fails(b.delete(check=False), "does not exist")


@test("delete leaves resources that the container did not make")
def delete_others():
    with Bundle() as b:
        outside = b.side("data")
        write(outside + "/keep", "kept")
        b.up(over={"mounts": MOUNTS + [{"destination": "/data", "source": outside,
                                        "type": "bind", "options": ["rbind"]}]})
        b.delete("--force")
        assert read(outside + "/keep") == "kept" and os.path.exists(b.path("/init"))


@test("a process killed from outside shows as stopped")
def killed_outside():
    with Bundle() as b:
        b.up()
        os.kill(b.pid(), signal.SIGKILL)
        b.wait_stopped()
        b.delete()


@test("a killed init takes the whole pid namespace with it")
def pidns_dies():
    with Bundle() as b:
        b.up("daemon", "60", "+", "pause")
        b.wait_output("ready=1")
        b.kill("KILL")
        b.wait_stopped()
        eventually(lambda: reap() is not None and not descendants(), "children gone")
        b.delete()


@test("without a pid namespace delete --force kills the children too")
def host_pidns_delete():
    with Bundle({"linux": {"namespaces": namespaces("mount", "ipc", "uts")}}) as b:
        b.up("daemon", "60", "+", "pause")
        b.wait_output("ready=1")
        assert len(descendants()) >= 2
        b.delete("--force")
        eventually(lambda: reap() is not None and not descendants(), "children gone")


@test("list shows the containers, -q only ids, -f json an array of states")
def list_containers():
    with Bundle() as a, Bundle() as b:
        a.up()
        b.create()
        text = run_davit("list", check=True).out
        assert a.id in text and b.id in text, text
        head = text.splitlines()[0].split()
        assert head[0] == "ID" and {"PID", "STATUS", "BUNDLE"} <= set(head), head
        quiet = run_davit("list", "-q", check=True).out.split()
        assert sorted(quiet) == sorted([a.id, b.id]), quiet
        rows = {r["id"]: r for r in run_davit("list", "-f", "json", check=True).json}
        assert rows[a.id]["status"] == "running" and rows[a.id]["pid"] == a.pid(), rows
        assert rows[b.id]["status"] == "created" and rows[b.id]["bundle"] == b.dir, rows
        a.delete("--force")
        b.delete("--force")
        assert run_davit("list", "-f", "json", check=True).out.strip() in ("[]", "null")


@test("one unreadable state does not spoil list; delete --force removes it")
def list_broken():
    with Bundle() as a, Bundle() as b:
        a.up()
        b.create()
        pid = b.pid()
        home = os.path.join(root, b.id)
        damaged = 0
        for base, _, files in os.walk(home):
            for name in files:
                path = os.path.join(base, name)
                if os.path.isfile(path) and os.path.getsize(path) > 2:
                    write(path, "{")
                    damaged += 1
        if not damaged:
            raise Skip("the state is not made of files")
        r = run_davit("list", "-q")
        assert a.id in r.out, r
        a.delete("--force")
        os.kill(pid, signal.SIGKILL)
        b.delete("--force")
        assert not os.path.exists(home)
        # with its record destroyed nobody can know the cgroup any more
        eventually(lambda: reap() is not None and not alive(pid) and pid not in processes(), "init collected")
        for path in cgroups_tagged():
            os.rmdir(path)


@test("pause stops the processes, state says paused, resume goes on")
def pause_resume():
    with Bundle() as b:
        b.up()
        pid = b.pid()
        r = run_davit("pause", b.id)
        if r.rc != 0 and not {"freezer"} & set(cgroup_hierarchies()) and not v2_only():
            raise Skip("no freezer on this host")
        assert r.rc == 0, r
        assert b.state()["status"] == "paused"
        b.kill("USR1")
        time.sleep(0.2)
        assert "signal=10" not in b.output()
        fails(b.exec("true"), "paused")
        fails(run_davit("pause", b.id))
        run_davit("resume", b.id, check=True)
        b.wait_output("signal=10")
        assert b.state()["status"] == "running" and b.pid() == pid
        fails(run_davit("resume", b.id))
        b.delete("--force")


@test("delete --force of a paused container works")
def delete_paused():
    with Bundle() as b:
        b.up()
        run_davit("pause", b.id, check=True)
        pid = b.pid()
        b.delete("--force")
        reap()
        assert not alive(pid)


@test("ps lists the processes; -f json gives an array of numbers")
def ps():
    with Bundle() as b:
        b.up("daemon", "60", "+", "pause")
        b.wait_output("ready=1")
        pids = run_davit("ps", "-f", "json", b.id, check=True).json
        assert b.pid() in pids and len(pids) == 2 and all(type(p) is int for p in pids), pids
        text = run_davit("ps", b.id, check=True).out
        assert "PID" in text.splitlines()[0] and str(b.pid()) in text, text
        b.delete("--force")


@test("ps lists all processes where there is no cgroup, an exec's too if a pid namespace tells")
def ps_no_cgroup():
    for over in ({}, {"linux": {"namespaces": namespaces("ipc", "uts", "mount")}}):
        with Bundle() as b:
            b.up("daemon", "60", "+", "daemon", "60", "+", "pause", over=over,
                 glob=["--cgroup-manager", "disabled"])
            path = os.path.join(b.dir, "exec.pid")
            b.exec("sleep", "60", flags=["--detach", "--pid-file", path], check=True)
            pids = run_davit("ps", "-f", "json", b.id, check=True).json
            more = int(read(path))
            assert b.pid() in pids and all(alive(p) for p in pids), pids
            assert len(pids) == (3 if over else 4) and (more in pids) == (not over), pids
            for pid in {more, *pids}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            b.wait_stopped()


@test("start, state, kill and delete with pipes do not hang on a living container")
def pipes():
    with Bundle() as b:
        b.save(command_args("pause"))
        b.create()
        for argv in (["start", b.id], ["state", b.id], ["kill", b.id, "USR1"]):
            r = subprocess.run(command(*argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
            assert r.returncode == 0, (argv, r)
        r = subprocess.run(command("delete", "--force", b.id), capture_output=True, timeout=10)
        assert r.returncode == 0, r


@test("two creates of one id at the same time: exactly one wins")
def create_race():
    for _ in range(5):
        with Bundle() as b:
            b.save()
            racers = [subprocess.Popen(command("create", "--bundle", b.dir, b.id),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL) for _ in range(4)]
            codes = [p.wait(TIMEOUT) for p in racers]
            assert codes.count(0) == 1, codes
            assert b.state()["status"] == "created"
            b.delete("--force")


@test("a long bundle path and a long --root work")
def long_paths():
    with Bundle() as b:
        deep = b.dir + "/" + "/".join(["d" * 50] * 4)
        os.makedirs(deep + "/root", mode=0o700)
        os.symlink(b.rootfs, deep + "/rootfs")
        b.conf["root"]["path"] = b.rootfs
        write(deep + "/config.json", json.dumps(merge(b.conf, command_args("pause"))))
        for verb in (["create", "--bundle", deep], ["start"], ["delete", "--force"]):
            run_davit(*verb, b.id, rootdir=deep + "/root", check=True)


main()
