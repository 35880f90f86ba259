#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What this host cannot do: an error, or with --on-unsupported=warn a line of the state; never silence."""
from davit import *

GO_ON = ("--on-unsupported", "warn")


def resources(**res):
    return {"linux": {"cgroupsPath": "/" + unique("cg"), "resources": res}}


def absent():
    """Configurations that this host cannot apply, and a word of the complaint."""
    found = []
    h = cgroup_hierarchies()
    controllers = set(h) | set(read(h[""] + "/cgroup.controllers").split() if "" in h else [])
    if "rdma" not in controllers:
        found.append((resources(rdma={"mlx5_1": {"hcaHandles": 3}}), "rdma"))
    if "net_cls" not in controllers:
        found.append((resources(network={"classID": 65537}), "class"))
    if "net_prio" not in controllers:
        found.append((resources(network={"priorities": [{"name": "lo", "priority": 1}]}), "prio"))
    if " - resctrl " not in read("/proc/self/mountinfo"):
        found.append(({"linux": {"intelRdt": {"closID": "gold"}}}, "resctrl"))
    found.append((resources(blockIO={"leafWeight": 500}), "eaf"))
    return found


@test("what would leave the container less confined is an error by default")
def error_default():
    for over, word in absent():
        for more in ((), ("--on-unsupported", "error")):
            with Bundle(over) as b:
                r = fails(b.create(check=False, glob=more))
                assert word in r.err, (word, r)


@test("with --on-unsupported=warn the container runs, a warning and the state say what is missing")
def warn():
    for over, word in absent():
        with Bundle(over) as b:
            r = b.create(glob=GO_ON)
            assert word in r.err and "warning" in r.err, (word, r)
            b.start()
            listed = b.state()["notApplied"]
            assert len(listed) == 1 and word in listed[0], (word, listed)
            b.wait_stopped()
            assert b.state()["notApplied"] == listed
            b.delete()
    with Bundle(resources(rdma={"a": {"hcaHandles": 1}, "b": {"hcaHandles": 1}}, blockIO={"leafWeight": 500},
                          pids={"limit": 99})) as b:
        b.up(glob=GO_ON)
        text = json.dumps(b.state()["notApplied"])
        assert "eaf" in text, text
        b.delete("--force")


@test("--on-unsupported takes error and warn, nothing else, and does not let bad values pass")
def other_words():
    fails(run_davit("--on-unsupported", "ignore", "list"), "ignore")
    for over, word in ((resources(blockIO={"weight": 5}), "weight"), ({"linux": {"rootfsPropagation": "x"}}, "rootfs"),
                       ({"mounts": MOUNTS + [{"destination": "/t", "type": "tmpfs", "source": "t",
                                              "options": ["nosuchoption"]}]}, "/t"),
                       (resources(cpu={"cpus": "9999"}), "9999"), ({"process": {"oomScoreAdj": 5000}}, "oom")):
        with Bundle(over) as b:
            fails(b.create(check=False, glob=GO_ON), word)


@test("what is ignored by the specification's leave is listed by state too")
def state_lists():
    h = cgroup_hierarchies()
    cases = [({"process": {"capabilities": capsets(CAPS + ["CAP_NO_SUCH"])}}, "CAP_NO_SUCH")]
    lsm = read("/sys/kernel/security/lsm") if os.path.exists("/sys/kernel/security/lsm") else ""
    if "apparmor" not in lsm:
        cases.append(({"process": {"apparmorProfile": "acme"}}, "acme"))
    if "selinux" not in lsm:
        cases.append(({"process": {"selinuxLabel": "a:b:c:s0"}}, "a:b:c:s0"))
        cases.append(({"linux": {"mountLabel": "a:b:d:s0"}}, "a:b:d:s0"))
    if "memory" not in h:
        cases.append((resources(memory={"limit": 64 << 20, "swappiness": 10}), "swappiness"))
    for over, word in cases:
        with Bundle(over) as b:
            b.create()
            listed = b.state()["notApplied"]
            assert any(word in line for line in listed), (word, listed)
            b.delete("--force")
    with Bundle() as b:
        b.create()
        assert "notApplied" not in b.state(), b.state()
        b.delete("--force")


@test("run warns of what is not applied; create, and run with a log, only if told to")
def run_warns():
    with Bundle({"process": {"capabilities": capsets(CAPS + ["CAP_NO_SUCH"])}}) as b:
        r = b.run(check=True)
        assert r.err and all("warning" in line and "CAP_NO_SUCH" in line for line in r.err.splitlines()), r
        assert not b.run(glob=("--log-level", "error"), check=True).err
        log = os.path.join(work, unique("log"))
        r = b.run(glob=("--log", log), check=True)
        assert not r.err and not read(log), (r, read(log))
        os.unlink(log)
        assert not b.create().err
        b.delete("--force")


@test("capabilities that are unknown or not ours are a warning, in the log and in the state")
def capabilities():
    with Bundle({"process": {"capabilities": capsets(CAPS + ["CAP_NO_SUCH", "SYS_NONSENSE"])}}) as b:
        log = os.path.join(work, unique("log"))
        b.create(glob=("--log", log, "--log-level", "warning"))
        assert "CAP_NO_SUCH" in read(log) and "SYS_NONSENSE" in read(log), read(log)
        text = json.dumps(b.state()["notApplied"])
        assert "CAP_NO_SUCH" in text and "SYS_NONSENSE" in text, text
        b.delete("--force")
        os.unlink(log)
    mine = int(re.search(r"CapBnd:\s*(\w+)", read("/proc/self/status"))[1], 16)
    lost = ["CAP_" + n for i, n in enumerate(ALL_CAPS) if not mine >> i & 1]
    if lost:
        with Bundle({"process": {"capabilities": capsets(CAPS + lost[:1])}}) as b:
            b.create()
            assert lost[0] in json.dumps(b.state()["notApplied"]), b.state()
            b.delete("--force")
        with Bundle({"process": {"capabilities": {"bounding": CAPS + lost[:1]}}}) as b:
            b.create()
            assert b.state()["notApplied"] == [
                f"cannot grant in the bounding set, davit does not hold them: {lost[0]}"], b.state()
            b.delete("--force")


main()
