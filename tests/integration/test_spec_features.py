#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the features document tells is what the runtime does: each word is tried in a container."""
from davit import *

DEFINITION = os.path.join(os.path.dirname(os.path.dirname(HERE)), "libocispec", "runtime-spec.def")


def features():
    return run_davit("features", check=True).json


def described():
    """{object: {property: type}} of the description of the specification."""
    objects, current = {}, None
    for line in read(DEFINITION).splitlines():
        words = line.split("#")[0].split()
        if words and words[0] == "object":
            current = objects.setdefault(words[1], {})
        elif words and words[0] != "schema":
            current[words[1]] = words[0]
    return objects


@test("every property of the specification is there, no other, and none is null")
def document():
    objects = described()
    simple = {"str": str, "bool": bool}

    def look(value, name, path):
        rows = objects[name]
        assert set(value) == set(rows), (path, set(value) ^ set(rows))
        for key, kind in rows.items():
            base, there = kind.rstrip("?"), f"{path}/{key}"
            if base.endswith("[]"):
                assert value[key] and all(isinstance(v, str) for v in value[key]), there
                assert len(set(value[key])) == len(value[key]), there
            elif base.endswith("{}"):
                assert all(isinstance(v, str) and k for k, v in value[key].items()), there
            elif base in simple:
                assert isinstance(value[key], simple[base]), (there, value[key])
            else:
                look(value[key], base, there)
    f = features()
    look(f, "features", "")
    for name in ("intelRdt", "netDevices"):
        assert f["linux"][name]["enabled"] is True, f["linux"][name]
    assert f["linux"]["mountExtensions"]["idmap"]["enabled"] is True
    assert f["linux"]["intelRdt"]["schemata"] is True and f["linux"]["intelRdt"]["monitoring"] is True


@test("an annotation tells engines, by the name they look for, whether checkpoint works")
def checkpoint_known():
    works = run_davit("checkpoint", "--help").rc == 0
    value = features()["annotations"]["org.opencontainers.runc.checkpoint.enabled"]
    assert value == ("true" if works else "false"), value


@test("the document does not depend on the host, the user or the environment")
def same_everywhere():
    needs_program()  # else its place matters
    want = run_davit("features", check=True).out
    assert run_davit("features", check=True, env={}).out == want
    assert run_davit("features", check=True, rootdir="/nonexistent/x").out == want

    def elsewhere():
        os.chmod(work, 0o755)
        program = os.path.join(work, "davit-elsewhere")  # the tree may be where this user may not look
        shutil.copy(DAVIT, program)
        os.chmod(program, 0o755)
        mount("tmpfs", "/sys", "tmpfs")
        mount("tmpfs", "/run", "tmpfs")
        os.setuid(65534)
        out = subprocess.run([program, *command("features")[1:]], stdout=subprocess.PIPE, check=True, timeout=TIMEOUT)
        assert out.stdout.decode() == want
    if os.geteuid() == 0:
        isolated(elsewhere)


@test("containers of the lowest and of the highest version run, beyond them they do not")
def versions():
    f = features()
    low, high = f["ociVersionMin"], f["ociVersionMax"]
    assert list(map(int, low.split("."))) <= list(map(int, high.split(".")))
    for version in (low, high):
        with Bundle({"ociVersion": version}) as b:
            b.probe("true")
            b.up()
            assert re.fullmatch(r"\d+\.\d+\.\d+", b.state()["ociVersion"]), b.state()
            b.delete("--force")
    for version in ("0.9.0", f"{int(high.split('.')[0]) + 1}.0.0"):
        with Bundle({"ociVersion": version}) as b:
            fails(b.create(check=False), version)


@test("a hook of each kind runs")
def hooks():
    with Bundle(busybox=True) as b:
        log = b.side("log")
        os.chmod(log, 0o777)
        conf = {}
        for kind in features()["hooks"]:
            inside = kind == "startContainer"
            place = b.path("/hook") if inside else os.path.join(b.dir, kind)
            write(place, f"#!/bin/sh\necho x > {'/log' if inside else log}/{kind}\n", 0o755)
            conf[kind] = [{"path": "/hook" if inside else place}]
        assert set(conf) == {k for k in described()["hooks"]}, conf
        b.save({"hooks": conf, "mounts": MOUNTS + [{"destination": "/log", "source": log, "options": ["bind"]}]})
        b.save(command_args("true"))
        b.run(check=True)
        assert set(os.listdir(log)) == set(conf), os.listdir(log)


@test("each mount option is one of the runtime's own: a file system never sees it")
def mount_options():
    words = features()["mountOptions"]
    data = {"size", "mode", "uid", "gid", "nr_inodes", "lowerdir", "newinstance", "ptmxmode", "discard"}
    assert not data & set(words), data & set(words)
    for word in ("bind", "rbind", "ro", "rro", "nosuid", "noexec", "nosymfollow", "idmap", "ridmap", "rslave"):
        assert word in words, word
    # mqueue takes no data at all: an option that reached it would be refused.
    alone = [w for w in words if w not in ("bind", "rbind", "remount", "idmap", "ridmap", "tmpcopyup", "mand")]
    with Bundle() as b:
        for i, word in enumerate(alone):
            b.mkdir(f"/m/{i}")
        b.save({"mounts": MOUNTS + [{"destination": f"/m/{i}", "type": "mqueue", "source": "q", "options": [word]}
                                    for i, word in enumerate(alone)]})
        facts = b.probe("mounts")
        for i, word in enumerate(alone):
            assert facts.mount_at(f"/m/{i}"), word


@test("a container with a new namespace of each type runs")
def namespaces_each():
    words = features()["linux"]["namespaces"]
    assert len(words) == 8, words
    over = {"linux": {"namespaces": namespaces(*words),
                      "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
                      "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}}
    with Bundle(over) as b:
        b.owned(100000)
        facts = b.probe("ns")
        for word, link in {"mount": "mnt", "network": "net"}.items():
            words[words.index(word)] = link
        for word in words:
            assert facts["ns_" + word] != os.readlink("/proc/self/ns/" + word), (word, facts.text)


@test("each capability is known: none is a warning about its name")
def capabilities():
    words = features()["linux"]["capabilities"]
    assert len(words) >= 41 and all(w.startswith("CAP_") for w in words), words
    with Bundle({"process": {"capabilities": capsets(words)}}) as b:
        b.save(command_args("status"))
        r = b.run(glob=("--log-level", "warning"))
        assert r.rc == 0 and "unknown" not in r.err, r
        mine = int(re.search(r"CapBnd:\s*(\w+)", read("/proc/self/status"))[1], 16)
        assert int(Facts(r.out)["cap_bnd"], 16) == capbits(words) & mine, r


@test("cgroups of both versions; rdma; systemd as built")
def cgroup():
    c = features()["linux"]["cgroup"]
    assert c["v1"] is True and c["v2"] is True and c["rdma"] is True, c
    with Bundle() as b:
        b.save()
        r = run_davit("--systemd-cgroup", "run", "--bundle", b.dir, b.id)
        built = "built without systemd" not in r.err.lower()
        assert c["systemd"] is built or r.rc == 0, (c, r)


@test("a profile with each action, operator, architecture and flag is taken")
def seccomp():
    s = features()["linux"]["seccomp"]
    assert s["enabled"] is True
    assert set(s["supportedFlags"]) <= set(s["knownFlags"]), s
    for action in s["actions"]:
        if action == "SCMP_ACT_NOTIFY":
            continue  # test_seccomp.py: listener
        with Bundle({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["sync"], "action": action}]}}}) as b:
            b.probe("true")
    for operator in s["operators"]:
        with Bundle({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["sync"], "action": "SCMP_ACT_ERRNO",
                 "args": [{"index": 0, "value": 5, "valueTwo": 5, "op": operator}]}]}}}) as b:
            b.probe("true")
    with Bundle({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": s["archs"], "syscalls": [
            {"names": ["sync"], "action": "SCMP_ACT_ERRNO"}]}}}) as b:
        assert b.probe("syscall", "sync")["syscall:sync"] == "EPERM"
    for flag in s["supportedFlags"]:
        notify = flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"  # only with a listener
        if notify:
            continue  # test_spec_linux.py: seccomp_flags
        with Bundle({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag], "syscalls": [
                {"names": ["sync"], "action": "SCMP_ACT_ERRNO"}]}}}) as b:
            b.probe("true")


@test("each memory policy mode and flag is taken, or refused by the kernel and not for its name")
def memory_policy():
    m = features()["linux"]["memoryPolicy"]
    for mode in m["modes"]:
        for flag in [None, *m["flags"]]:
            nodes = {} if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"}
            with Bundle({"linux": {"memoryPolicy": {"mode": mode, **nodes, "flags": [flag] if flag else []}}}) as b:
                b.save(command_args("true"))
                r = b.run()
                assert r.rc == 0 or "set memory policy" in r.err and "unknown" not in r.err, (mode, flag, r)


@test("the annotations that can change what the runtime does are named")
def unsafe():
    words = features()["potentiallyUnsafeConfigAnnotations"]
    for name in ("run.oci.hooks.stderr", "run.oci.seccomp.receiver", "org.systemd.property.MemoryMax",
                 "run.oci.keep_original_groups", "run.oci.mount_context_type", "run.oci.systemd.force_cgroup_v1"):
        assert any(name == w or w.endswith(".") and name.startswith(w) for w in words), (name, words)


main()
