#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of config.json that all platforms share: annotations, hooks' fields, the section vm, state."""
from davit import *

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
VM = {"hypervisor": {"path": "/usr/bin/hv", "parameters": ["opts=foo"]},
      "kernel": {"path": "/boot/k", "parameters": ["foo=bar"], "initrd": "/boot/i"},
      "image": {"path": "/img", "format": "raw"},
      "hwConfig": {"deviceTree": "/dt", "vcpus": 2, "memory": 1 << 30, "dtdevs": ["/d"], "irqs": [32],
                   "iomems": [{"firstGFN": 1, "firstMFN": 2, "nrMFNs": 3}]}}


@test("a container that asks for a virtual machine is refused, with the reason")
def vm_refused():
    for vm in (VM, {"kernel": {"path": "/boot/k"}}):
        with Bundle({"vm": vm}) as b:
            fails(b.create(check=False), "virtual machine", "/vm")


@test("the section vm is checked before it is refused")
def vm_checked():
    for over, where in (({"kernel": None}, "kernel"), ({"kernel": {"path": "k"}}, "/vm/kernel/path"),
                        ({"kernel": {"initrd": "i"}}, "/vm/kernel/initrd"),
                        ({"kernel": {"parameters": "x"}}, "/vm/kernel/parameters"),
                        ({"hypervisor": {"path": "hv"}}, "/vm/hypervisor/path"),
                        ({"hypervisor": {"path": None}}, "path"),
                        ({"hypervisor": {"parameters": [1]}}, "/vm/hypervisor/parameters"),
                        ({"image": {"path": "img"}}, "/vm/image/path"), ({"image": {"format": None}}, "format"),
                        ({"hwConfig": {"deviceTree": 5}}, "deviceTree"), ({"hwConfig": {"vcpus": -1}}, "vcpus"),
                        ({"hwConfig": {"memory": "1G"}}, "memory"), ({"hwConfig": {"dtdevs": "d"}}, "dtdevs"),
                        ({"hwConfig": {"irqs": ["1"]}}, "irqs"),
                        ({"hwConfig": {"iomems": [{"firstGFN": -1, "firstMFN": 2, "nrMFNs": 3}]}}, "firstGFN"),
                        ({"hwConfig": {"iomems": [{"nrMFNs": 3}]}}, "firstMFN"),
                        ({"hwConfig": {"iomems": [{"firstMFN": 3}]}}, "nrMFNs")):
        with Bundle({"vm": merge(VM, over)}) as b:
            b.save()
            b.save(raw=json.dumps(b.conf))
            r = fails(b.create(check=False, keep_config=True), where)
            assert "virtual machines" not in r.err, r


@test("annotations are kept in the state, those of the specification and unknown ones too")
def annotations_kept():
    notes = {"org.opencontainers.image.stopSignal": "SIGUSR1", "org.opencontainers.image.os": "plan9",
             "org.opencontainers.unheard.of": "x", "com.example.empty": "", "plain": "ünï \" \\ \n"}
    with Bundle({"annotations": notes}) as b:
        b.up()
        assert b.state()["annotations"] == notes, b.state()
        b.kill()  # an annotation does not change the default signal
        b.wait_stopped()
        assert b.state()["annotations"] == notes, b.state()
        b.delete()


@test("annotations with an empty name, or with values that are no text, are refused")
def annotations_wrong():
    for notes in ({"": "x"}, {"a": 5}, {"a": None}, {"a": ["x"]}, {"a": {"b": "c"}}, ["a"], "a"):
        with Bundle() as b:
            b.save(raw=json.dumps(dict(b.conf, annotations=notes)))
            fails(b.create(check=False, keep_config=True), "annotations")


@test("the state has the form of the specification's schema, in every status")
def state_schema():
    def look(status):
        st = b.state()
        assert st["status"] == status, st
        for key in ("ociVersion", "id", "status", "bundle"):
            assert isinstance(st[key], str) and st[key], (key, st)
        assert re.fullmatch(r"\d+\.\d+\.\d+(-\w+)?", st["ociVersion"]), st
        assert os.path.isabs(st["bundle"]), st
        assert isinstance(st.get("pid", 0), int) and st.get("pid", 0) >= 0, st
        assert status == "stopped" or st["pid"] > 0, st
        assert all(isinstance(v, str) for v in st.get("annotations", {}).values()), st
    with Bundle({"annotations": {"a": "b"}}) as b:
        b.save(command_args("pause"))
        b.create()
        look("created")
        b.start()
        look("running")
        b.kill("KILL")
        b.wait_stopped()
        look("stopped")
        b.delete()


def hooks_with(b, kind, script, **more):
    """One hook of a kind; its log directory is /log for startContainer."""
    log = b.side("log")
    os.chmod(log, 0o777)
    inside = kind == "startContainer"
    place = b.path("/hook.sh") if inside else os.path.join(b.dir, "hook.sh")
    write(place, f"#!/bin/sh\nL={'/log' if inside else log}\n{script}\n", 0o755)
    b.save({"hooks": {kind: [{"path": "/hook.sh" if inside else place, **more}]},
            "mounts": MOUNTS + [{"destination": "/log", "source": log, "options": ["bind"]}]})
    return log


@test("path, args and env of each kind of hook: what the program sees; it is looked for where it runs")
def hook_fields():
    for kind in KINDS:
        with Bundle(busybox=True) as b:
            # $0 of a script is its path: args[0] is not seen, the others are
            log = hooks_with(b, kind, 'echo "$@" > $L/args; env > $L/env',
                             args=["name", "one", "two three"], env=["K=v", "EMPTY=", "PATH=/usr/bin:/bin"])
            b.save(command_args("true"))
            b.run(check=True)
            assert read(log + "/args") == "one two three\n", (kind, read(log + "/args"))
            own = ("SHLVL=", "PWD=", "_=", "OLDPWD=")  # set by the shell
            env = {e for e in read(log + "/env").splitlines() if not e.startswith(own)}
            assert env == {"K=v", "EMPTY=", "PATH=/usr/bin:/bin"}, (kind, env)
        # the same name does not exist on the other side
        with Bundle(busybox=True) as b:
            hooks_with(b, kind, "true")
            path = b.conf["hooks"][kind][0]["path"]
            os.rename(b.path(path) if kind == "startContainer" else path,
                      os.path.join(b.dir, "moved") if kind == "startContainer" else b.path("/moved"))
            b.save(command_args("true"))
            result = b.run(glob=("--log-level", "warning"))
            if kind == "poststop":
                assert result.rc == 0 and path in result.err, (kind, result)
            else:
                fails(result, path)
        with Bundle() as b:
            b.save({"hooks": {kind: [{"path": "hook.sh"}]}})
            fails(b.create(check=False), f"/hooks/{kind}/0/path")


@test("the timeout of each kind of hook ends it")
def hook_timeouts():
    for kind in KINDS:
        with Bundle(busybox=True) as b:
            log = hooks_with(b, kind, "echo x > $L/began; exec sleep 30", timeout=1)
            b.save(command_args("true"))
            result = b.run(glob=("--log-level", "warning"))
            assert read(log + "/began") == "x\n" and result.seconds < 15 * FACTOR, (kind, result)
            if kind == "poststop":
                assert result.rc == 0 and "poststop" in result.err, (kind, result)
            else:
                fails(result, kind)


main()
