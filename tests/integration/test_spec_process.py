#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Properties of the process that few runtimes have: memory policy, personality flags, CPU lists."""
from davit import *

MPOL = {"MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
        "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6}
MPOL_F = {"MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_NUMA_BALANCING": 1 << 13}


def policy(**memory):
    return {"linux": {"memoryPolicy": memory}}


@test("properties for Windows have no effect")
def windows_only():
    with Bundle({"process": {"commandLine": "/init exit 9", "user": {"username": "nobody"}},
                 "windows": {"layerFolders": ["c:\\x"]}, "solaris": {"limitpriv": "x"}}) as b:
        facts = b.probe("status")
        assert facts["uid"].split()[0].split(",")[0] == "0", facts.text


@test("memoryPolicy: mode, nodes and flags are those of init and of exec")
def memory_policy():
    if not os.path.isdir("/sys/devices/system/node/node0"):
        raise Skip("a kernel without NUMA")
    for mode in ("MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL"):
        for flags in ([], ["MPOL_F_STATIC_NODES"], ["MPOL_F_RELATIVE_NODES"]):
            if mode == "MPOL_LOCAL" and flags:
                continue
            nodes = {} if mode == "MPOL_LOCAL" else {"nodes": "0"}
            with Bundle(policy(mode=mode, flags=flags, **nodes)) as b:
                facts = b.probe("mempolicy")
                want = MPOL[mode] | sum(MPOL_F[f] for f in flags)
                assert int(facts["mempolicy_mode"], 16) == want, (mode, flags, facts.text)
                assert facts["mempolicy_nodes"] == nodes.get("nodes", ""), (mode, facts.text)
    with Bundle(policy(mode="MPOL_BIND", nodes="0", flags=["MPOL_F_STATIC_NODES"])) as b:
        b.up()
        facts = b.exec_facts("mempolicy")
        assert int(facts["mempolicy_mode"], 16) == 2 | 1 << 15 and facts["mempolicy_nodes"] == "0", facts.text
        b.delete("--force")
    with Bundle() as b:
        assert b.probe("mempolicy")["mempolicy_mode"] in ("0", "0x0")


@test("memoryPolicy: the default, and what newer kernels have")
def memory_policy_newer():
    if not os.path.isdir("/sys/devices/system/node/node0"):
        raise Skip("a kernel without NUMA")
    with Bundle(policy(mode="MPOL_DEFAULT", nodes="")) as b:
        assert int(b.probe("mempolicy")["mempolicy_mode"], 16) == 0
    if tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 9):
        raise Skip("MPOL_WEIGHTED_INTERLEAVE came with Linux 6.9")
    for mode, flags in (("MPOL_WEIGHTED_INTERLEAVE", []), ("MPOL_BIND", ["MPOL_F_NUMA_BALANCING"])):
        with Bundle(policy(mode=mode, nodes="0", flags=flags)) as b:
            facts = b.probe("mempolicy")
            assert int(facts["mempolicy_mode"], 16) == MPOL[mode] | sum(MPOL_F[f] for f in flags), facts.text
            assert facts["mempolicy_nodes"] == "0", facts.text


@test("memoryPolicy: unknown words, bad lists and nodes that are not there are errors")
def memory_policy_refused():
    for memory, word in (({"mode": "MPOL_FAST", "nodes": "0"}, "MPOL_FAST"), ({"nodes": "0"}, "mode"),
                         ({"mode": "MPOL_BIND", "nodes": "0-"}, "nodes"), ({"mode": "MPOL_BIND"}, "node"),
                         ({"mode": "MPOL_BIND", "nodes": "x"}, "nodes"),
                         ({"mode": "MPOL_LOCAL", "nodes": "0"}, "MPOL_LOCAL"),
                         ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}, "MPOL_F_X"),
                         ({"mode": "MPOL_BIND", "nodes": "1000"}, "memoryPolicy")):
        with Bundle({"linux": {"memoryPolicy": memory}}) as b:
            fails(b.create(check=False), word)


@test("personality flags, of which the specification defines none, are refused by name")
def personality_flags():
    for flag in ("ADDR_NO_RANDOMIZE", "X"):
        with Bundle({"linux": {"personality": {"domain": "LINUX", "flags": [flag]}}}) as b:
            fails(b.create(check=False), flag)
    with Bundle({"linux": {"personality": {"domain": "LINUX32", "flags": []}}}) as b:
        assert int(b.probe("personality")["personality"], 16) & 0xff == 8


def affinity_of(conf):
    with Bundle({"process": {"execCPUAffinity": conf}}) as b:
        b.up()
        try:
            return b.exec_facts("affinity")["affinity"], Facts(b.exec("affinity").out)["affinity"]
        finally:
            b.delete("--force")


@test("execCPUAffinity.initial alone stays in force")
def affinity_initial():
    if tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2]) < (6, 2):
        raise Skip("before Linux 6.2 the CPUs are set anew when a process comes into a group with cpuset")
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("needs two CPUs")
    one = str(cpus[1])
    assert set(affinity_of({"initial": one})) == {one}
    assert set(affinity_of({"initial": one, "final": ""})) == {one}
    assert set(affinity_of({"initial": one, "final": str(cpus[0])})) == {str(cpus[0])}


@test("execCPUAffinity takes lists beyond 1,024 CPUs")
def affinity_many():
    first = str(min(os.sched_getaffinity(0)))
    for text in (f"{first},1024", f"{first},1500-1600,4000", f"{first},2047-2048"):
        assert set(affinity_of({"final": text})) == {first}, text
    with Bundle({"process": {"execCPUAffinity": {"final": "1500-1600"}}}) as b:
        b.up()
        fails(b.exec("true"), "affinity")
        b.delete("--force")


main()
