#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: options, help, version, features, spec, and what engines probe for."""
import glob
import re

from davit import *

ENGINE_WORDS = re.compile(r"permission denied|operation not permitted|no such file or directory|"
                          r"executable file not found|not a directory", re.I)


def davit_bare(*args, **kw):
    """Without --root, for what must work on its own."""
    return run_command([DAVIT, *map(str, args)], **kw)


def help_commands():
    text = davit_bare("--help", check=True).out
    block = text[text.index("commands:"):text.index("\n\n", text.index("commands:"))]
    return re.findall(r"^  ([a-z]+) ", block, re.M)


def help_options(*cmd):
    text = davit_bare(*cmd, "--help", check=True).out
    return [m for m in re.findall(r"^  (?:-\w, |    )--([a-z0-9-]+)", text, re.M) if m != "help"]


def refused(*args, says, rc=1):
    """The command fails with one line that says so."""
    result = run_davit(*args)
    assert result.rc == rc, f"exit {rc} expected: {result}"
    assert result.out == "", f"nothing on stdout expected: {result}"
    assert result.err.endswith("\n") and result.err.count("\n") == 1, f"one line expected: {result}"
    assert says in result.err, f"must say {says!r}: {result}"
    return result.err


@test("--version starts with the name, and the word version is in no other line")
def version():
    for flag in ("--version", "-v", "-V"):
        result = davit_bare(flag, check=True)
        lines = result.out.splitlines()
        assert re.fullmatch(r"\w+ version \d+\.\d+\.\d+\S*", lines[0]), lines
        assert lines[1].startswith("commit: ") and lines[2].startswith("spec: "), lines
        assert not any("version" in line for line in lines[1:]), lines
        assert result.err == "", result


@test("called runc or crun, the version begins with that name, which tools look for")
def version_names():
    for name, shown in (("runc", "runc"), ("crun", "crun"), ("other", NAME)):
        path = os.path.join(work, name)
        os.symlink(DAVIT, path)
        first = run_command([path, "--version"], check=True).out.splitlines()[0]
        os.unlink(path)
        assert first.split()[:2] == [shown, "version"], first


@test("--help lists every command, and each explains itself on stdout with status 0")
def helps():
    commands = help_commands()
    for needed in ("create start run state list ps exec kill delete pause resume update events "
                   "checkpoint restore spec features").split():
        assert needed in commands, f"{needed} is missing in {commands}"
    for cmd in commands:
        if cmd in ("checkpoint", "restore"):
            continue
        for flag in ("--help", "-h"):
            result = davit_bare(cmd, flag, check=True)
            assert f" {cmd} " in result.out.splitlines()[0] + " ", result
            assert result.err == "", result


def man_sections():
    """{command or "": text} of man/davit.1."""
    path = os.path.join(TOP, "man", "davit.1")
    if not os.path.exists(path):
        raise Skip("the source tree is not there")
    text = read(path)
    parts = re.split(r"^\.Ss (.*)$", text, flags=re.M)
    return {parts[i].replace("Global options", ""): parts[i + 1] for i in range(1, len(parts), 2)}


def man_options(sections, name):
    text = sections[name]
    found = set(re.findall(r"Fl Fl ([a-z0-9-]+)", text))
    if re.search(r"options of\n\.Cm create", text):
        found |= man_options(sections, "create")
    return found


@test("the man page has every command and every option")
def man_page():
    sections = man_sections()
    missing = [f"davit --{o}" for o in help_options() if o not in man_options(sections, "")]
    for cmd in help_commands():
        if cmd not in sections:
            missing.append(cmd)
        elif cmd not in ("checkpoint", "restore"):
            missing += [f"{cmd} --{o}" for o in help_options(cmd)
                        if o not in man_options(sections, cmd)]
    assert not missing, f"not in man/davit.1: {missing}"


@test("the completion for bash offers all commands and options")
def completion():
    path = os.path.join(TOP, "contrib", "completion", "davit")
    if not os.path.exists(path) or not shutil.which("bash"):
        raise Skip("needs bash and the source tree")
    script = (f'davit() {{ "{DAVIT}" "$@"; }}; . "{path}"; COMP_WORDS=("$@"); '
              'COMP_CWORD=$(($# - 1)); _davit; printf "%s\\n" "${COMPREPLY[@]}"')

    def offered(*words):
        got = run_command(["bash", "-c", script, "bash", "davit", *words], check=True)
        return set(got.out.split())
    assert offered("") == set(help_commands()), offered("")
    assert offered("exec", "--") == {f"--{o}" for o in help_options("exec")} | {"--help"}
    assert offered("--log-format", "") == {"text", "json"}


@test("an unknown option or command is named in the error, exit 1")
def unknown():
    refused("--frobnicate", "list", says="--frobnicate")
    refused("list", "--frobnicate", says="--frobnicate")
    refused("list", "-Z", says="-Z")
    refused("frobnicate", says='"frobnicate"')
    refused(says="command")


@test("a missing value is told in the words engines look for")
def missing_value():
    refused("--log", says="flag needs an argument: --log")
    refused("create", "--bundle", says="flag needs an argument: --bundle")
    refused("create", "-b", says="flag needs an argument: -b")
    refused("restore", "--lsm-mount-context", says="flag needs an argument: --lsm-mount-context")


@test("too few and too many arguments are errors")
def arguments():
    for cmd in ("create", "run", "start", "state", "kill", "delete", "pause", "resume", "update",
                "events", "ps"):
        refused(cmd, says="argument")
    refused("state", "a", "b", says='"b"')
    refused("list", "a", says='"a"')
    assert run_davit("exec").rc == 255


@test("usage errors hold none of the words that engines classify by")
def neutral_words():
    for args in (["--frob"], ["create"], ["create", "--frob"], ["kill", "x", "NOPE"],
                 ["--log-level", "x", "list"], ["checkpoint", "x"]):
        text = fails(run_davit(*args)).err
        assert not ENGINE_WORDS.search(text), text


@test("checkpoint --help succeeds only if checkpoint works; restore likewise")
def probes():
    works = "org.opencontainers.runc.checkpoint.enabled"
    enabled = run_davit("features", check=True).json.get("annotations", {}).get(works) == "true"
    result = run_davit("checkpoint", "--help")
    assert (result.rc == 0) == enabled, result
    if not enabled:
        fails(run_davit("checkpoint", "--image-path", work, "--leave-running", "x"), "checkpoint")
        fails(run_davit("restore", "--image-path", work, "--tcp-close", "--bundle", work, "x"),
              "restore")


@test("invalid words are refused by name")
def invalid_words():
    refused("--log-format", "xml", "list", says='"xml"')
    refused("--log-level", "loud", "list", says='"loud"')
    refused("--cgroup-manager", "me", "list", says='"me"')
    refused("--on-unsupported", "cry", "list", says='"cry"')
    refused("list", "--format", "xml", says='"xml"')
    refused("kill", "x", "SIGFOO", says='"SIGFOO"')
    refused("events", "--interval", "0", "x", says='"0"')
    refused("events", "--interval", "soon", "x", says='"soon"')
    refused("update", "--memory", "lots", "x", says='"lots"')
    refused("update", "--cpuset-cpus", 'a"b', "x", says="--cpuset-cpus")
    refused("create", "--preserve-fds", "-1", "x", says="--preserve-fds")
    refused("delete", "--regex", "(", says='"("')


@test("an error in the JSON log is one object with level, msg and time")
def json_log():
    path = os.path.join(work, unique("log"))
    result = fails(run_davit("--log", path, "--log-format", "json", "state", "nosuch"))
    lines = read(path).splitlines()
    assert len(lines) == 1, lines
    entry = json.loads(lines[0])
    assert entry["level"] == "error" and "does not exist" in entry["msg"], entry
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", entry["time"])
    assert "does not exist" in result.err, result
    fails(run_davit("--log", path, "--log-format", "json", "state", "nosuch"))
    assert len(read(path).splitlines()) == 2, "the log must be appended to"
    os.unlink(path)


@test("closed standard streams do not let output run into the log or the state")
def closed_streams():
    for closed in ([0], [1], [2], [0, 1, 2]):
        path = os.path.join(work, unique("log"))
        pid = os.fork()
        if pid == 0:
            for fd in range(3):
                os.close(fd) if fd in closed else os.dup2(os.open(os.devnull, os.O_RDWR), fd)
            os.closerange(3, 64)
            os.execv(DAVIT, command("--log", path, "--debug", "list"))
        os.waitpid(pid, 0)
        assert "STATUS" not in read(path), f"with {closed} closed: {read(path)}"
        os.unlink(path)


@test("output that finds no place is an error: a full device, a closed standard output")
def output_lost():
    with Bundle() as b, open("/dev/full", "w", encoding="utf-8") as full:
        b.up()
        for args in (["--version"], ["--help"], ["list", "--help"], ["state", b.id], ["list"], ["list", "-q"],
                     ["list", "-f", "json"], ["events", "--stats", b.id], ["features"]):
            r = fails(run_davit(*args, stdout=full), "write to standard output", "no space left on device")
            assert r.err.count("\n") == 1, r
            r = fails(run_davit(*args, preexec=lambda: os.close(1)), "write to standard output", "bad file descriptor")
            assert r.err.count("\n") == 1, r
        for args in (["kill", b.id, "0"], ["pause", b.id], ["resume", b.id]):
            assert run_davit(*args, preexec=lambda: os.close(1), check=True).err == ""
        # what others write for davit has a place: a payload, a hook
        run_davit("exec", b.id, "/init", "echo", "x", preexec=lambda: os.close(1), check=True)
        b.delete("--force")
        where = b.side("hook", "#!/bin/sh\necho x\n")
        os.chmod(where, 0o755)
        b.save({"hooks": {"poststart": [{"path": where}]}}, command_args("pause"))
        b.create(keep_config=True)
        assert run_davit("start", b.id, preexec=lambda: os.close(1), check=True).err == ""


@test("exec: a --cap that there is none of is an error, in whatever case it is written")
def exec_cap_unknown():
    with Bundle() as b:
        b.up()
        fails(run_davit("exec", "--cap", "CAP_NOSUCH", b.id, "/init", "true"), "--cap", '"CAP_NOSUCH"')
        for known in ("CAP_KILL", "cap_kill", "kill"):
            run_davit("exec", "--cap", known, b.id, "/init", "true", check=True)


@test("a long option may have one dash, a value, a false; options may follow the ID")
def option_forms():
    # The container does not exist: reaching that error shows that the options were understood.
    for args in (["-force=false", "nosuch"], ["nosuch", "--force=false"], ["--", "nosuch"],
                 ["--force", "-force=false", "nosuch"]):
        fails(run_davit("delete", *args), "does not exist")
    for args in (["-f", "nosuch"], ["-force", "nosuch"], ["nosuch", "--force"]):
        run_davit("delete", *args, check=True)
    for flags in (["--rootless", "false"], ["--rootless=auto"], ["--systemd-cgroup=false"],
                  ["--cgroup-manager=cgroupfs", "--debug=false"]):
        run_davit(*flags, "list", check=True)


@test("features is one JSON document on stdout, and nothing on stderr")
def features():
    result = davit_bare("features", check=True)
    assert result.err == "", result
    f = result.json
    assert f["ociVersionMin"] == "1.0.0" and f["ociVersionMax"] == "1.3.0", f
    assert f["hooks"] == ["prestart", "createRuntime", "createContainer", "startContainer",
                          "poststart", "poststop"], f["hooks"]
    need = set("""async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand
        noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid
        nosymfollow private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev
        rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime
        rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave
        strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap""".split())
    assert not need - set(f["mountOptions"]), need - set(f["mountOptions"])
    lin = f["linux"]
    assert set(lin["namespaces"]) == {"cgroup", "ipc", "mount", "network", "pid", "time", "user",
                                      "uts"}, lin["namespaces"]
    assert set(lin["capabilities"]) >= {f"CAP_{c}" for c in ALL_CAPS}, lin["capabilities"]
    assert lin["cgroup"]["v1"] and lin["cgroup"]["v2"] and lin["cgroup"]["rdma"], lin["cgroup"]
    assert lin["mountExtensions"]["idmap"]["enabled"] is True, lin
    assert lin["netDevices"]["enabled"] is True, lin
    sec = lin["seccomp"]
    assert sec["enabled"] and "SCMP_ACT_NOTIFY" in sec["actions"], sec
    assert "SCMP_CMP_MASKED_EQ" in sec["operators"] and "SCMP_ARCH_X86_64" in sec["archs"], sec
    assert set(sec["supportedFlags"]) <= set(sec["knownFlags"]), sec
    assert len(lin["memoryPolicy"]["modes"]) == 7 and len(lin["memoryPolicy"]["flags"]) == 3, lin
    assert lin["intelRdt"] == {"enabled": True, "schemata": True, "monitoring": True}, lin
    unsafe = f["potentiallyUnsafeConfigAnnotations"]
    for name in ("run.oci.", "org.systemd.property.", "org.criu.config", "krun.",
                 "module.wasm.image/variant", "io.kubernetes.cri.container-type"):
        assert name in unsafe, unsafe
    for words in (f["mountOptions"], unsafe, lin["capabilities"], sec["archs"]):
        assert len(words) == len(set(words)), f"twice: {words}"


def spec_of(*flags):
    path = os.path.join(work, unique("spec"))
    os.mkdir(path)
    davit_bare("spec", *flags, cwd=path, check=True)
    conf = json.loads(read(os.path.join(path, "config.json")))
    shutil.rmtree(path)
    return conf


@test("spec writes a safe config.json")
def spec():
    conf = spec_of()
    assert conf["ociVersion"] == "1.3.0" and conf["process"]["terminal"] is True, conf
    assert conf["process"]["args"] == ["sh"] and conf["process"]["noNewPrivileges"] is True, conf
    caps = conf["process"]["capabilities"]
    assert not caps.get("inheritable") and not caps.get("ambient"), caps
    masked = set(conf["linux"]["maskedPaths"])
    for path in """/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats
            /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /proc/interrupts
            /sys/firmware /sys/devices/virtual/powercap""".split():
        assert path in masked, path
    for path in glob.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"):
        assert path in masked, path
    readonly = set(conf["linux"]["readonlyPaths"])
    assert readonly >= {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
    assert conf["linux"]["resources"]["devices"][0]["allow"] is False, conf["linux"]["resources"]


@test("spec --rootless maps the caller, binds /sys and leaves out what needs root")
def spec_rootless():
    conf = spec_of("--rootless")
    lin = conf["linux"]
    assert {"type": "user"} in lin["namespaces"] and {"type": "network"} not in lin["namespaces"]
    assert lin["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}], lin
    assert lin["gidMappings"] == [{"containerID": 0, "hostID": os.getegid(), "size": 1}], lin
    assert not lin.get("resources"), lin
    mounts = {m["destination"]: m for m in conf["mounts"]}
    assert not any(o.startswith(("gid=", "uid=")) for m in conf["mounts"]
                   for o in m.get("options", [])), mounts
    assert mounts["/sys"]["source"] == "/sys" and "rbind" in mounts["/sys"]["options"], mounts
    assert "/sys/fs/cgroup" not in mounts, mounts


@test("spec knows -b and -f, and never overwrites a file")
def spec_files():
    path = os.path.join(work, unique("spec"))
    os.mkdir(path)
    davit_bare("spec", "-b", path, check=True)
    before = read(os.path.join(path, "config.json"))
    refused("spec", "--bundle", path, says="exists")
    assert read(os.path.join(path, "config.json")) == before
    davit_bare("spec", "-b", path, "-f", "other.json", check=True)
    davit_bare("spec", "-b", path, "--file", "third.json", check=True)
    assert read(path + "/third.json") == read(path + "/other.json")
    assert read(os.path.join(path, "other.json")) == before
    fails(davit_bare("spec", "-b", path + "/nosuch"), "nosuch")
    shutil.rmtree(path)


@test("what spec writes runs (without its terminal)")
def spec_runs():
    conf = spec_of()
    conf["process"].update(terminal=False, args=["/init", "true"])
    conf["process"].pop("rlimits")
    with Bundle() as b:
        b.save(raw=json.dumps(conf))
        result = b.run(keep_config=True)
        assert result.rc == 0, result


@test("list of nothing is an empty array, an empty table or nothing")
def list_nothing():
    empty = os.path.join(work, unique("root"))
    assert run_davit("list", "-f", "json", rootdir=empty, check=True).json in ([], None)
    assert run_davit("list", "-q", rootdir=empty, check=True).out == ""
    out = run_davit("list", rootdir=empty, check=True).out
    assert out.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], out
    shutil.rmtree(empty, ignore_errors=True)


@test("list shows containers as a table, JSON and IDs")
def list_some():
    with Bundle() as b:
        b.up()
        pid = b.pid()
        rows = [line.split() for line in run_davit("list", check=True).out.splitlines()]
        assert rows[0][:3] == ["ID", "PID", "STATUS"], rows
        assert [b.id, str(pid), "running", b.dir] in [r[:4] for r in rows], rows
        objects = run_davit("list", "-f", "json", check=True).json
        assert [o["pid"] for o in objects if o["id"] == b.id] == [pid], objects
        assert b.id in run_davit("list", "--quiet", check=True).out.split()


@test("ps shows the container's processes only: table, own columns, JSON")
def ps():
    with Bundle() as b:
        b.up()
        pid = b.pid()
        assert run_davit("ps", "--format", "json", b.id, check=True).json == [pid]
        for args in ([], ["-o", "args,pid"], ["-ef"]) if shutil.which("ps") else ([],):
            lines = run_davit("ps", b.id, *args, check=True).out.splitlines()
            column = lines[0].split().index("PID")
            if args != ["-o", "args,pid"]:
                assert [line.split()[column] for line in lines[1:]] == [str(pid)], lines
            else:
                assert len(lines) == 2 and lines[1].split()[-1] == str(pid), lines
        if shutil.which("ps"):
            fails(run_davit("ps", b.id, "-o", "args"), "PID")


@test("ps has a table of its own where the host has no ps")
def ps_without():
    with Bundle() as b:
        b.up()
        pid = b.pid()

        def hidden():
            for path in {os.path.realpath(p) for p in ("/usr/bin/ps", "/bin/ps")
                         if os.path.exists(p)}:
                mount("/dev/null", path, flags=MS_BIND)
            lines = run_davit("ps", b.id, check=True).out.splitlines()
            assert lines[0].split() == ["PID", "STATE", "CMD"], lines
            assert len(lines) == 2 and lines[1].split()[0] == str(pid), lines
            assert "/init" in lines[1], lines
        isolated(hidden)


@test("kill and delete take a regular expression")
def regex():
    with Bundle() as one, Bundle() as two, Bundle() as other:
        for b in (one, two, other):
            b.up()
        pattern = f"^({one.id}|{two.id})$"
        fails(run_davit("kill", "--regex", "^none at all$", "NOSIGNAL"), '"NOSIGNAL"')
        run_davit("kill", "--regex", pattern, "KILL", check=True)
        one.wait_stopped()
        two.wait_stopped()
        assert other.state()["status"] == "running"
        run_davit("delete", "--regex", pattern, check=True)
        assert run_davit("list", "-q", check=True).out.split() == [other.id]


@test("exec passes what follows the program on, dashes and all")
def exec_payload():
    with Bundle() as b:
        b.up()
        result = run_davit("exec", b.id, "/init", "echo", "--cwd", "-d", "--", "-x", check=True)
        assert "--cwd" in result.out and "-x" in result.out, result
        fails(run_davit("exec", b.id), "COMMAND")


@test("--version, state and list cost at most 50 system calls")
def cheap():
    tool = strace_tool()
    needs_program()
    with Bundle() as b:
        b.up()
        for args in (["--version"], ["state", b.id], ["list"]):
            path = os.path.join(work, unique("trace"))
            run_command([tool, "-f", "-o", path, *command(*args)], check=True)
            calls = [line for line in read(path).splitlines() if "(" in line]
            os.unlink(path)
            assert len(calls) <= 50, f"{args[0]}: {len(calls)} calls"


@test("a set-user-ID copy refuses to run")
def setuid():
    needs_program()
    copy_path = os.path.join(work, "davit-setuid")
    shutil.copy(DAVIT, copy_path)
    os.chmod(copy_path, 0o4755)
    try:
        result = run_command([copy_path, "--version"],
                             preexec=lambda: (os.setgid(65534), os.setuid(65534)))
    finally:
        os.unlink(copy_path)
    if os.statvfs(work).f_flag & os.ST_NOSUID:
        raise Skip("the temporary directory is mounted nosuid")
    fails(result, "set-user-ID")
    assert "version" not in result.out, result


main()
