#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The state directory: damaged, hostile, full, and used by many at once."""
import random

from davit import *

STRESS = bool(os.environ.get("DAVIT_STRESS"))


def state_dir(b):
    return os.path.join(root, b.id)


def remade(b, change):
    """Copies the state directory of a created container and changes the copy's record."""
    path = os.path.join(state_dir(b), "state.json")
    text = read(path)
    os.unlink(path)
    write(path, change(text))


def init_gone(pid):
    eventually(lambda: reap() is not None and not alive(pid), f"init {pid} gone", 3)


def damage(b, what):
    """Whatever the record is: the others are listed, commands fail with one line, --force removes."""
    for verb in (["state", b.id], ["start", b.id], ["kill", b.id, "KILL"], ["exec", b.id, "/init", "true"]):
        r = run_davit(*verb)
        assert r.rc in (1, 255) and r.err.count("\n") == 1, (what, verb, r)
    r = run_davit("list")
    assert r.rc == 0 and b.id not in r.out, (what, r)
    r = run_davit("delete", "--force", b.id)
    assert r.rc == 0, (what, r)


@test("a damaged record: named errors, list goes on, delete --force ends init and removes all", limit=120)
def damaged():
    with Bundle(command_args("pause")) as other, Bundle(command_args("pause")) as b:
        other.create()
        b.create()
        pid = b.pid()
        whole = read(os.path.join(state_dir(b), "state.json"))
        b.delete("--force")
        rng = random.Random(7)
        cuts = range(len(whole)) if STRESS else sorted(rng.sample(range(len(whole)), 12))
        kinds = [("cut at %d" % n, whole[:n]) for n in cuts]
        kinds += [("empty", ""), ("blank", " "), ("null", "null"), ("list", "[]"), ("format", whole.replace(
            '"format":1', '"format":2')), ("noise", "\0\xff" * 99), ("twice", whole + whole),
            ("deep", "[" * 100000), ("types", re.sub(r'"id":"[^"]*"', '"id":[]', whole))]
        for what, text in kinds:
            b.create()
            pid = b.pid()
            remade(b, lambda _: text)
            damage(b, what)
            init_gone(pid)
            assert other.state()["status"] == "created"
            b.nothing_left()
        other.delete("--force")


@test("a record that is a link, fifo, directory, socket or device is refused, and removed by --force")
def planted():
    with Bundle(command_args("pause")) as b:
        for kind in ("link", "dangling", "fifo", "directory", "socket", "device"):
            b.create()
            pid = b.pid()
            path = os.path.join(state_dir(b), "state.json")
            moved = b.side("moved.json", read(path))
            os.unlink(path)
            if kind == "link":
                os.symlink(moved, path)
            elif kind == "dangling":
                os.symlink("/nowhere", path)
            elif kind == "fifo":
                os.mkfifo(path)
            elif kind == "directory":
                os.mkdir(path)
            elif kind == "socket":
                with socket.socket(socket.AF_UNIX) as s:
                    s.bind(path)
            else:
                os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
            damage(b, kind)
            init_gone(pid)
            b.nothing_left()
            assert os.path.exists(moved)


@test("the state directory of an id is a link, a file or belongs to others: refused, untouched")
def planted_dir():
    with Bundle(command_args("pause")) as b:
        victim = b.side("victim")
        keep = write(victim + "/state.json", "{}")
        os.symlink(victim, state_dir(b))
        for verb in (["state", b.id], ["delete", b.id], ["delete", "--force", b.id], ["start", b.id]):
            r = run_davit(*verb)
            assert r.rc == 1, r
        b.save()
        r = run_davit("create", "--bundle", b.dir, b.id)
        assert r.rc == 1 and "exists" in r.err, r
        assert run_davit("list").rc == 0
        assert read(keep) == "{}"
        os.unlink(state_dir(b))
        write(state_dir(b), "x")
        assert run_davit("create", "--bundle", b.dir, b.id).rc == 1
        assert run_davit("list").rc == 0
        os.unlink(state_dir(b))


@test("a pid that another process has by now is stopped, and is never signalled", limit=60)
def pid_reuse():
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        stat_ = read(f"/proc/{stranger.pid}/stat").rsplit(") ", 1)[1].split()
        for text in (f"{stranger.pid} 1", f"{stranger.pid} {int(stat_[19]) + 1}", f"{os.getpid()} 5",
                     "0 0", "-1 5", "1 0", "x", "99999999999999999999 5", ""):
            with Bundle(command_args("pause")) as b:
                b.create()
                pid = b.pid()
                link = os.path.join(state_dir(b), "init")
                os.unlink(link)
                os.symlink(text or "-", link)
                assert b.state()["status"] == "stopped", text
                r = run_davit("kill", b.id, "KILL")
                fails(r, "not running")
                assert run_davit("list").rc == 0
                assert stranger.poll() is None, text
                r = run_davit("delete", b.id)
                assert r.rc == 0, r
                assert stranger.poll() is None, text
                init_gone(pid)  # its groups were the container's
                b.nothing_left()
        # the real pid of a stranger, but of another boot
        with Bundle(command_args("pause")) as b:
            b.create()
            pid = b.pid()
            link = os.path.join(state_dir(b), "init")
            os.unlink(link)
            os.symlink(f"{stranger.pid} {stat_[19]}", link)
            remade(b, lambda t: re.sub(r'"bootId":"[^"]*"',
                                       '"bootId":"00000000-0000-0000-0000-000000000000"', t))
            assert b.state()["status"] == "stopped"
            fails(run_davit("kill", b.id, "KILL"), "not running")
            b.delete("--force")
            assert stranger.poll() is None
            init_gone(pid)
    finally:
        stranger.kill()
        stranger.wait()


@test("a full or read-only state root: create fails clean, the others still work", limit=60)
def full():
    for options in ("size=4k", "nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "size=8k"):
        place = os.path.join(work, "full")
        os.mkdir(place)
        mount("tmpfs", place, "tmpfs", 0, options + ",mode=700")
        try:
            with Bundle(command_args("pause")) as b:
                b.save()
                r = run_davit("create", "--bundle", b.dir, b.id, rootdir=place + "/r",
                              stdout=subprocess.DEVNULL, stderr=None)
                if r.rc == 0:
                    assert run_davit("state", b.id, rootdir=place + "/r").rc == 0
                    with contextlib.suppress(OSError):
                        with open(place + "/fill", "wb") as f:
                            f.write(b"x" * (1 << 20))
                    assert run_davit("start", b.id, rootdir=place + "/r").rc == 0
                    assert run_davit("list", rootdir=place + "/r").rc == 0
                    assert run_davit("kill", b.id, "KILL", rootdir=place + "/r").rc == 0
                    assert run_davit("delete", "--force", b.id, rootdir=place + "/r").rc == 0
                else:
                    assert r.err.count("\n") == 1, r
                    assert b.id not in "".join(os.listdir(place + "/r") if os.path.isdir(place + "/r")
                                               else []), (options, r)
                b.nothing_left()
        finally:
            umount(place)
            os.rmdir(place)


@test("a crowd, which several processes look at, is listed sorted, each once, without what is none", limit=90)
def crowd():
    with Bundle(command_args("pause")) as b, tempfile.TemporaryDirectory(dir=work) as place:
        b.create()
        names = [f"crowd-{n}" for n in range(300)]
        b.copies(place, {name: b.dir for name in names})
        write(os.path.join(place, "crowd-7", "state.json"), "{")  # damaged
        os.unlink(os.path.join(place, "crowd-8", "state.json"))
        os.unlink(os.path.join(place, "crowd-8", "init"))  # never made
        os.unlink(os.path.join(place, "crowd-9", "init"))  # stopped
        expected = sorted(set(names) - {"crowd-7", "crowd-8"})
        trace = place + "/.trace"
        try:
            traced = strace_tool()
        except Skip as e:
            traced = None
            print(f"# {e}: no call is made to fail")
        for what in ("", "one processor", "pipe2:error=EMFILE", "clone,clone3,fork:error=EAGAIN"):
            if not traced and ":" in what:
                continue
            tool = [traced, "-f", "--seccomp-bpf", "-e", "trace=pipe2,clone,clone3,fork,exit_group", "-o", trace]
            tool = tool + ["-e", "inject=" + what] * (":" in what) if traced else []
            cpus = {min(os.sched_getaffinity(0))} if what == "one processor" else os.sched_getaffinity(0)
            r = run_command([*tool, *command("list", "-f", "json", rootdir=place)], check=True,
                            preexec=lambda: os.sched_setaffinity(0, cpus))
            found = json.loads(r.out)
            assert [c["id"] for c in found] == expected, set(expected).symmetric_difference(c["id"] for c in found)
            assert [c["id"] for c in found if c["status"] != "running"] == ["crowd-9"]
            assert r.err.count("\n") == 1 and '"crowd-7" is damaged' in r.err and "leaving it out" in r.err, r.err
            if tool:
                several = len(set(re.findall(r"^\d+", read(trace), re.M))) > 1
                assert several == (not what and len(cpus) > 1), what
        assert run_davit("list", "-q", rootdir=place, check=True).out.split() == expected
        b.delete("--force")


@test("the table of list has a column for each property, as wide as the longest; a crowd's has the rows of each")
def table():
    with Bundle(command_args("pause")) as b, tempfile.TemporaryDirectory(dir=work) as place:
        b.create()
        bundles = {"a": "/a/a", "ab": "/run/ab", "b": "/", "c": "/x/" + "long/" * 50, "d": "/x/" + "long/" * 49,
                   "e-": "e-", "e-" + "f" * 100: "/run/e-" + "f" * 100 + "/e-", "g": "/\tß /g"}
        bundles |= {f"many-{n}": f"/run/{'many' * (n % 7)}-{n}/x" for n in range(300)}
        b.copies(place, bundles)
        write(place + "/d/notApplied", "a note that the table does not show\n")
        record = json.loads(read(state_dir(b) + "/state.json"))
        width = max(len(x.encode()) for x in bundles.values())
        rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
        rows += [(name, str(b.pid()), "running", bundles[name], record["created"], record["owner"])
                 for name in sorted(bundles)]
        expected = "".join(f"{i:<102}  {p:<10}  {s:<8}  {d}{' ' * (width - len(d.encode()))}  {c:<30}  {o}\n"
                           for i, p, s, d, c, o in rows)
        assert run_davit("list", rootdir=place, check=True).out == expected


@test("who reads the list may go away at any row: davit ends, and so do its helpers")
def reader_gone():
    with Bundle(command_args("pause")) as b, tempfile.TemporaryDirectory(dir=work) as place:
        b.create()
        b.copies(place, {f"crowd-{n}": b.dir for n in range(1500)})
        for ignored in (False, True):  # SIGPIPE, as Python and some engines hand it down
            with subprocess.Popen(command("list", "-f", "json", rootdir=place), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, restore_signals=not ignored) as p:
                assert p.stdout.read(2) == b"[{"
                p.stdout.close()
                err = p.stderr.read().decode()
                assert (p.wait(TIMEOUT), err) == ((1, "davit: list: write to standard output: broken pipe\n") if ignored
                                                  else (-signal.SIGPIPE, "")), (p.returncode, err)
            eventually(lambda: reap() is not None and set(descendants()) == {b.pid()}, "helpers gone", 5)


@test("a state root that became read-only: state, list, kill work; delete tells why it cannot", limit=60)
def read_only():
    place = os.path.join(work, "ro")
    os.mkdir(place)
    mount("tmpfs", place, "tmpfs", 0, "mode=700")
    try:
        with Bundle(command_args("pause")) as b:
            b.save()
            run_davit("create", "--bundle", b.dir, b.id, rootdir=place, stdout=subprocess.DEVNULL,
                      check=True)
            mount("tmpfs", place, None, MS_REMOUNT | MS_RDONLY)
            fails(run_davit("create", "--bundle", b.dir, b.id + "x", rootdir=place), "ead-only")
            assert run_davit("state", b.id, rootdir=place).json["status"] == "created"
            assert run_davit("list", rootdir=place).rc == 0
            run_davit("kill", b.id, "KILL", rootdir=place, check=True)
            eventually(lambda: reap() is not None and run_davit(
                "state", b.id, rootdir=place).json["status"] == "stopped", "stopped")
            fails(run_davit("delete", b.id, rootdir=place), "ead-only")
            mount("tmpfs", place, None, MS_REMOUNT)
            run_davit("delete", b.id, rootdir=place, check=True)
            b.nothing_left()
    finally:
        umount(place)
        os.rmdir(place)


# ---- many at once

def at_once(*commands):
    """Runs commands at the same time: their (exit status, stderr)."""
    procs = [subprocess.Popen(command(*c), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=open(os.path.join(work, f"err{n}"), "wb")) for n, c in enumerate(commands)]
    found = []
    for n, p in enumerate(procs):
        rc = p.wait(TIMEOUT)
        text = read(os.path.join(work, f"err{n}"))
        assert rc >= 0 and (rc != 1 or text.count("\n") == 1), (commands[n], rc, text)
        found.append((rc, text))
    reap()
    return found


@test("50 creates of one id at once: one wins, the others say so and leave it alone", limit=60)
def create_create():
    with Bundle(command_args("pause")) as b:
        b.save()
        for _ in range(20 if STRESS else 3):
            found = at_once(*[["create", "--bundle", b.dir, b.id]] * 50)
            assert sum(rc == 0 for rc, _ in found) == 1, found
            assert all(rc == 0 or "already exists" in err for rc, err in found), found
            assert b.state()["status"] == "created"
            b.delete("--force")
            b.nothing_left()


@test("two commands at once on one container: each succeeds or says why not, nothing is left", limit=60)
def races():
    bad = ("not created", "not stopped", "not running", "does not exist", "is stopped", "reach init", "ended",
           "killed", "is gone", "busy", "join", "no such process", "already exists")
    with Bundle(command_args("pause")) as b:
        b.save()
        for first, second in (("start", "start"), ("start", "delete"), ("start", "delete -f"),
                              ("kill", "delete -f"), ("exec", "delete -f"), ("delete -f", "delete -f"),
                              ("delete", "delete"), ("create", "delete -f"), ("state", "delete -f"),
                              ("list", "delete -f"), ("start", "kill"), ("pause", "delete -f")):
            for _ in range(20 if STRESS else 2):
                if first != "create":
                    b.create(keep_config=True)
                if first in ("exec", "kill", "pause"):
                    b.start()
                full_ = {"start": ["start", b.id], "delete": ["delete", b.id], "list": ["list"],
                         "delete -f": ["delete", "--force", b.id], "kill": ["kill", b.id, "KILL"],
                         "exec": ["exec", b.id, "/init", "true"], "state": ["state", b.id],
                         "create": ["create", "--bundle", b.dir, b.id], "pause": ["pause", b.id]}
                found = at_once(full_[first], full_[second])
                for rc, err in found:
                    # delete may kill exec's program, which is then its exit status
                    fine = (0, 137) if first == "exec" else (0,)
                    assert rc in fine or any(w in err for w in bad), (first, second, found)
                if first == second == "start":
                    assert sorted(rc for rc, _ in found) == [0, 1], found
                if first == "list":
                    assert found[0][0] == 0, found
                if second == "delete -f":
                    assert found[1][0] == 0, (first, found)
                run_davit("delete", "--force", b.id, check=True)
                b.nothing_left()


@test("delete twice: the second says that there is none; with --force it succeeds")
def delete_twice():
    with Bundle(command_args("pause")) as b:
        b.create()
        b.delete()
        fails(b.delete(check=False), "does not exist")
        b.delete("--force")


@test("64 runs at once: all succeed and leave nothing", limit=60)
def runs():
    bundles = [Bundle(command_args("exit", "7")) for _ in range(64)]
    try:
        for b in bundles:
            b.save({"linux": {"resources": {"pids": {"limit": 20}, "cpu": {"shares": 512}}}})
        found = at_once(*[["run", "--bundle", b.dir, b.id] for b in bundles])
        assert all(f == (7, "") for f in found), [f for f in found if f != (7, "")]
    finally:
        for b in bundles:
            b.__exit__(None, None, None)


@test("containers that come and go below one parent do not lose it to each other", limit=60)
def shared_parent():
    bundles = [Bundle(merge(command_args("exit", "7"), {"linux": {"cgroupsPath": f"/{TAG}p/q/{n}"}}))
               for n in range(2)]
    try:
        for b in bundles:
            b.save()
        for _ in range(300 if STRESS else 15):
            found = at_once(*[["run", "--bundle", b.dir, b.id] for b in bundles])
            assert all(f == (7, "") for f in found), found
    finally:
        for b in bundles:
            b.__exit__(None, None, None)
        for path in sorted(cgroups_tagged(), key=len, reverse=True):
            if f"{TAG}p" in path:  # who found the parents there leaves them
                os.rmdir(path)


main()
