#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors: broken configurations, missing programs; one line, the cause in it, nothing left."""
import datetime
import re

from davit import *


def create_fails(b, *words, glob=()):
    r = fails(b.create(check=False, keep_config=True, glob=glob), *words)
    lines = [l for l in r.err.splitlines() if l.strip()]
    assert len(lines) == 1, f"one line wanted: {r}"
    assert not [p for p in descendants() if alive(p)], descendants()
    return r


def good():
    return json.dumps(config())


def mutated(pointer, value):
    doc = config()
    *path, last = pointer.strip("/").split("/")
    node = doc
    for p in path:
        node = node[int(p)] if isinstance(node, list) else node.setdefault(p, {})
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return json.dumps(doc)


@test("a configuration cut at any place is an error", limit=120)
def truncated():
    text = good()
    with Bundle() as b:
        step = max(1, len(text) // 60)
        for end in list(range(0, len(text) - 1, step)) + [len(text) - 1]:
            b.save(raw=text[:end])
            create_fails(b)


@test("no JSON, an array, a number, null, two documents, trailing commas, comments are errors")
def not_an_object():
    with Bundle() as b:
        for text in ("", " ", "nonsense", "[]", "5", "null", '"x"', good() + "{}", good() + "x", "{,}",
                     good()[:-1] + ",}", "{'a': 1}", "/* c */" + good(), "\ufeff\ufeff{}", "{\"a\":01}", "{\"a\":1e}",
                     "\x00", "{\"a\": tru}", "{\"a\": NaN}"):
            b.save(raw=text)
            create_fails(b)


@test("a duplicate key is an error")
def duplicate_key():
    with Bundle() as b:
        text = good()
        other = json.dumps(merge(config(), command_args("echo", "second"))["process"])
        b.save(raw=text[:-1] + f', "process": {other}}}')
        create_fails(b, "process")
        b.save(raw=text.replace('"terminal": false', '"terminal": false, "cwd": "/"', 1))
        create_fails(b, "cwd")


@test("a NUL in a string is an error, wherever it stands")
def nul():
    with Bundle() as b:
        for pointer, value in (("/process/args", ["/init\0x", "true"]), ("/process/cwd", "/\0x"),
                               ("/process/env/0", "A=\0"), ("/root/path", "rootfs\0x"), ("/hostname", "a\0b"),
                               ("/mounts/0/destination", "/etc\0/x"), ("/mounts/0/type", "proc\0"),
                               ("/linux/cgroupsPath", "/a\0b"), ("/annotations/x", "a\0b")):
            b.save(raw=mutated(pointer, value))
            create_fails(b)


@test("a value of the wrong type is an error that gives the JSON pointer")
def wrong_type():
    with Bundle() as b:
        for pointer, value in (
                ("/process/user/uid", "0"), ("/process/user/uid", 1.5), ("/process/user/uid", -1),
                ("/process/user/uid", 4294967296), ("/process/terminal", "no"), ("/process/args", "true"),
                ("/process/args/0", 5), ("/process/cwd", 5), ("/process/env", {}), ("/process/capabilities", []),
                ("/process/capabilities/bounding", "CAP_KILL"), ("/process/noNewPrivileges", 1),
                ("/process/rlimits", {}), ("/process/oomScoreAdj", "5"), ("/root", "rootfs"), ("/root/path", 1),
                ("/root/readonly", "yes"), ("/hostname", 5), ("/mounts", {}), ("/mounts/0", "x"),
                ("/mounts/0/destination", 1), ("/mounts/0/options", "ro"), ("/hooks", []), ("/annotations", []),
                ("/annotations/a", 5), ("/linux", []), ("/linux/namespaces", {}), ("/linux/namespaces/0/type", 5),
                ("/linux/uidMappings", 5), ("/linux/resources", []), ("/linux/resources/memory/limit", "64M"),
                ("/linux/resources/pids/limit", "x"), ("/linux/resources/devices", {}), ("/linux/seccomp", []),
                ("/linux/sysctl", []), ("/linux/sysctl/net.core.somaxconn", 5), ("/linux/maskedPaths", "x"),
                ("/ociVersion", 1)):
            b.save(raw=mutated(pointer, value))
            r = create_fails(b)
            assert pointer.rsplit("/", 1)[-1] in r.err or pointer.rsplit("/", 2)[-2] in r.err, (pointer, r)


@test("required properties that are missing are errors that name them")
def required():
    with Bundle() as b:
        for pointer in ("/ociVersion", "/process/cwd", "/root/path", "/mounts/0/destination",
                "/linux/namespaces/0/type"):
            doc = config()
            *path, last = pointer.strip("/").split("/")
            node = doc
            for p in path:
                node = node[int(p)] if isinstance(node, list) else node[p]
            del node[last]
            b.save(raw=json.dumps(doc))
            create_fails(b, last)


@test("ociVersion: 1.x is accepted, with a suffix too; others and nonsense are refused")
def oci_version():
    with Bundle() as b:
        for version in ("1.0.0", "1.0.2-dev", "1.0.2", "1.1.0", "1.2.1", "1.3.0", "1.0.0-rc5"):
            b.save({"ociVersion": version}, command_args("true"))
            r = b.run()
            assert r.rc == 0, (version, r)
        for version in ("invalid", "", "1", "1.x.0", "9.9.9", "2.0.0"):
            b.save({"ociVersion": version})
            create_fails(b, "ociVersion")


@test("unknown properties at every level are ignored")
def unknown_properties():
    with Bundle() as b:
        b.save({"x": {"y": [1, 2, {"z": None}]}, "process": {"x": 1, "user": {"x": "y"}}, "linux": {"x": [],
                "windows": {}},
                "root": {"x": 1}, "hooks": {"x": []}, "solaris": {}, "windows": {"layerFolders": []}},
               command_args("exit", "3"))
        assert b.run().rc == 3


@test("nesting of a hundred thousand levels is an error, not a crash")
def deep():
    with Bundle() as b:
        for text in ("[" * 100000, '{"x": ' + "[" * 100000 + "]" * 100000 + "}", '{"a":' * 100000):
            b.save(raw=text)
            create_fails(b)


@test("a configuration of 64 MiB is refused or read, within seconds")
def huge():
    with Bundle() as b:
        b.save(raw=good()[:-1] + ', "x": "' + "y" * (64 << 20) + '"}')
        r = b.create(check=False, keep_config=True)
        assert r.seconds < 10, r.seconds
        if r.rc == 0:
            b.delete("--force")


@test("config.json that is a directory, a fifo, unreadable or a dangling link is an error")
def odd_file():
    with Bundle() as b:
        path = b.dir + "/config.json"
        os.mkdir(path)
        create_fails(b, "config.json")
        os.rmdir(path)
        os.mkfifo(path)
        create_fails(b, "config.json")
        os.unlink(path)
        os.symlink("nowhere", path)
        create_fails(b, "config.json")


@test("escapes and UTF-8 in strings are decoded; broken ones are errors")
def strings():
    with Bundle() as b:
        raw = json.dumps(config(command_args("echo", "@@")))
        b.save(raw=raw.replace("@@", "\\u00e4\\ud83d\\ude00\\/\\t\\\""))
        r = b.run(keep_config=True, check=True)
        assert "arg=ä😀/\t\"" in r.out, r
        for bad in ("\\x41", "\\u12", "\\ud800", "a\nb", "a\tb"):
            b.save(raw=raw.replace("@@", bad))
            r = b.run(keep_config=True)
            assert r.rc != 0 or bad in ("\\ud800",), (bad, r)


# ---- programs ----

@test("a missing program: \"no such file or directory\" and its name, from create or run")
def no_program():
    with Bundle({"process": {"args": ["/no/such/program"]}}) as b:
        b.save()
        r = fails(b.run(), "/no/such/program")
        assert "no such file or directory" in r.err.lower(), r
        b.nothing_left()


@test("a missing program without a slash: \"executable file not found\"")
def no_program_in_path():
    with Bundle({"process": {"args": ["nosuchprogram"]}}) as b:
        b.save()
        r = fails(b.run(), "nosuchprogram", "executable file not found")
        assert len(r.err.strip().splitlines()) == 1, r


@test("create itself fails for a missing program, so that engines see it")
def no_program_create():
    with Bundle({"process": {"args": ["/no/such/program"]}}) as b:
        b.save()
        create_fails(b, "/no/such/program")


@test("a program that is not executable, or a directory: \"permission denied\"")
def not_executable():
    with Bundle() as b:
        b.file("/plain", "#!/init\n", 0o644)
        for path in ("/plain", "/etc"):
            b.save({"process": {"args": [path]}})
            r = fails(b.run(), path)
            assert "permission denied" in r.err.lower() or (path == "/etc" and "is a directory" in r.err.lower()), r
            assert "no such file" not in r.err.lower(), r


@test("a script whose interpreter is missing, and a file of no known format, are errors with a name")
def no_interpreter():
    with Bundle() as b:
        b.file("/script", "#!/no/interpreter\n", 0o755)
        b.file("/garbage", "\x01\x02garbage", 0o755)
        for path, word in (("/script", "no such file or directory"), ("/garbage", "exec format error")):
            b.save({"process": {"args": [path]}})
            r = fails(b.run(), path)
            assert word in r.err.lower(), r
            b.nothing_left()


# ---- the log ----

@test("--log with json: exactly one line, keys level, msg and time; the same text on stderr")
def log_json():
    with Bundle({"process": {"args": ["/no/such/program"]}}) as b:
        for verb in ("create", "run"):
            log = os.path.join(b.dir, verb + ".json")
            b.save()
            r = run_davit("--log", log, "--log-format", "json", verb, "--bundle", b.dir, b.id)
            fails(r, "/no/such/program")
            text = read(log)
            assert len(text.strip().splitlines()) == 1 and text.endswith("\n"), text
            doc = json.loads(text)
            assert doc["level"] == "error" and "/no/such/program" in doc["msg"], doc
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", doc["time"]), doc
            when = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", doc["time"].replace("Z", "+00:00")))
            assert abs(when.timestamp() - time.time()) < 60, doc
            assert doc["msg"] in r.err or r.err.strip().split(": ", 1)[-1] in doc["msg"], (doc, r)
            b.nothing_left()


@test("--log text works; the log is appended to; success writes nothing at the default level")
def log_append():
    with Bundle() as b:
        log = write(b.dir + "/log", "before\n")
        b.save(command_args("true"))
        run_davit("--log", log, "--log-format", "json", "run", "--bundle", b.dir, b.id, check=True)
        assert read(log) == "before\n", read(log)
        fails(run_davit("--log", log, "--log-format", "text", "state", TAG + "x"))
        assert read(log).startswith("before\n") and "does not exist" in read(log), read(log)
        before = read(log)
        fails(run_davit("--log", log, "--log-format", "json", "start", TAG + "x"))
        assert read(log).startswith(before)
        assert json.loads(read(log)[len(before):])["level"] == "error"


@test("a log line stays one decodable line when the text holds quotes, newlines and bad bytes")
def log_escapes():
    with Bundle() as b:
        log = b.dir + "/log"
        for name in ('/a "quoted"\nline', "/tab\tand\x01ctl", "/ünïcode"):
            b.save({"process": {"args": [name]}})
            fails(run_davit("--log", log, "--log-format", "json", "run", "--bundle", b.dir, b.id))
            b.nothing_left()
        for line in read(log).splitlines():
            assert json.loads(line)["level"] == "error"
        assert len(read(log).splitlines()) == 3, read(log)


@test("a log file that cannot be opened and an unknown format are errors")
def log_bad():
    with Bundle() as b:
        b.save()
        fails(run_davit("--log", "/no/such/dir/log", "state", "x"), "/no/such/dir/log")
        fails(run_davit("--log-format", "xml", "state", "x"), "xml")


@test("--debug writes more to the log, none of it at level error, and keeps stdout clean")
def debug():
    with Bundle() as b:
        log = b.dir + "/log"
        b.save(command_args("echo", "out"))
        r = run_davit("--debug", "--log", log, "--log-format", "json", "run", "--bundle", b.dir, b.id, check=True)
        assert r.out == "arg=out\n", r
        lines = [json.loads(l) for l in read(log).splitlines()]
        assert lines and all(l["level"] not in ("error", "fatal") for l in lines), lines


@test("the state directory: missing parents are made, a file or an unwritable place is an error")
def root_dir():
    with Bundle() as b:
        b.save(command_args("exit", "3"))
        assert run_davit("run", "--bundle", b.dir, b.id, rootdir=b.dir + "/new/deep/root").rc == 3
        afile = b.side("afile", "x")
        fails(run_davit("run", "--bundle", b.dir, b.id, rootdir=afile), "afile")
        fails(run_davit("run", "--bundle", b.dir, b.id, rootdir=afile + "/sub"), "afile")


@test("a full disk below --root fails create cleanly; state, kill and delete still work")
def disk_full():
    with Bundle() as a, Bundle() as b:
        small = a.side("small")
        mount("tmpfs", small, "tmpfs", 0, "size=64k,mode=700")
        try:
            a.save(command_args("pause"))
            run_davit("create", "--bundle", a.dir, a.id, rootdir=small, check=True)
            with contextlib.suppress(OSError), open(small + "/fill", "wb") as f:
                while True:
                    f.write(b"x" * 4096)
                    f.flush()
            b.save({"annotations": {"x": "y" * 100000}})
            fails(run_davit("create", "--bundle", b.dir, b.id, rootdir=small))
            assert run_davit("state", a.id, rootdir=small, check=True).json["status"] == "created"
            run_davit("kill", a.id, "KILL", rootdir=small, check=True)
            eventually(lambda: reap() is not None and
                       run_davit("state", a.id, rootdir=small).json["status"] == "stopped", "stopped")
            run_davit("delete", a.id, rootdir=small, check=True)
            run_davit("delete", "--force", b.id, rootdir=small, check=True)
        finally:
            umount(small)


@test("a signal that kills create half way leaves something that delete --force removes", limit=120)
def killed_create():
    with Bundle() as b:
        b.save(command_args("pause"))
        for n in range(25):
            p = subprocess.Popen(command("create", "--bundle", b.dir, b.id), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(n * 0.0008)
            p.kill()
            p.wait()
            run_davit("delete", "--force", b.id, check=True)
            eventually(lambda: reap() is not None and not [q for q in descendants() if alive(q)],
                       f"processes gone after a kill at {n * 0.8:.1f} ms", 3)
            b.nothing_left()


main()
