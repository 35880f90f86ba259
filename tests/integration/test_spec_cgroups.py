#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Resources that few hosts can show: each is in its file, or an error or a warning says why not."""
from davit import *

MIB = 1 << 20
WARN = ("--log-level", "warning")


def resources(**res):
    return {"linux": {"cgroupsPath": "/" + unique("cg"), "resources": res}}


def group(b, controller):
    """(directory of the container's group, version of the hierarchy), or (None, 0)."""
    h = cgroup_hierarchies()
    path = b.conf["linux"]["cgroupsPath"]
    if controller in h:
        return cgroup_dir(path, controller), 1
    if "" in h and controller in read(h[""] + "/cgroup.controllers").split():
        return h[""] + path, 2
    return None, 0


def entry(b, controller, name):
    """Contents of a file of the group, or None when the kernel has none."""
    path, _ = group(b, controller)
    return read(f"{path}/{name}").strip() if path and os.path.exists(f"{path}/{name}") else None


def shown_or_told(over, controller, files, words):
    """The container has the values in the files of one version ({version: {file: want}}), or create
    fails and names one of the words. Returns whether it was shown."""
    with Bundle(over) as b:
        r = b.create(check=False, glob=WARN)
        if r.rc != 0:
            assert any(w in r.err for w in words), (words, r)
            return False
        _, version = group(b, controller)
        shown = False
        for name, want in files.get(version, {}).items():
            got = entry(b, controller, name)
            if got is not None:
                assert want(got) if callable(want) else got == str(want), (name, got, want)
                shown = True
        if not shown:
            listed = json.dumps(b.state().get("notApplied", []))
            assert any(w in listed for w in words), f"neither shown nor told: {words}, {listed}, {r}"
        b.delete("--force")
        return shown


@test("useHierarchy is set on version 1, where the file still is")
def use_hierarchy():
    with Bundle(resources(memory={"useHierarchy": True, "limit": 64 * MIB})) as b:
        b.create(glob=WARN)
        assert entry(b, "memory", "memory.use_hierarchy") in (None, "1")
        b.delete("--force")
    if not group(b, "memory")[0]:
        raise Skip("this host has no memory controller")


@test("checkBeforeUpdate: a limit below the usage is refused and the old one stays")
def check_before_update():
    with Bundle(resources(memory={"limit": 256 * MIB})) as b:
        b.up("hog", "60", "+", "pause")
        path, version = group(b, "memory")
        if not path:
            raise Skip("this host has no memory controller")
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        usage = "memory.usage_in_bytes" if version == 1 else "memory.current"
        used = int(read(f"{path}/{usage}"))
        update = b.side("r.json", json.dumps({"memory": {"limit": max(used // 4, MIB), "checkBeforeUpdate": True}}))
        fails(run_davit("update", "--resources", update, b.id), "memory")
        assert read(f"{path}/{name}").strip() == str(256 * MIB), read(f"{path}/{name}")
        b.delete("--force")


@test("real-time runtime and period: in their files, or an error names them")
def realtime():
    shown_or_told(resources(cpu={"realtimePeriod": 1000000, "realtimeRuntime": 1000}), "cpu",
                  {1: {"cpu.rt_period_us": 1000000, "cpu.rt_runtime_us": 1000}},
                  ("realtime", "rt_runtime", "rt_period"))


@test("pids.limit 0 is a limit as the kernel sees it")
def pids_zero():
    with Bundle(resources(pids={"limit": 0})) as b:
        r = b.create(check=False)
        if r.rc == 0:
            assert entry(b, "pids", "pids.max") in ("0", "max", None)
            b.delete("--force")
        else:
            assert "pids" in r.err or "init" in r.err, r


@test("block I/O throttling: all four, for a device of this host")
def io_throttle():
    names = os.listdir("/sys/block") if os.path.isdir("/sys/block") else []
    disks = [f"/sys/block/{name}/dev" for name in names if not name.startswith(("ram", "zram"))]
    if not disks:
        raise Skip("no block device")
    major, minor = read(sorted(disks)[0]).strip().split(":")
    rate = [{"major": int(major), "minor": int(minor), "rate": 1048576}]
    keys = {"throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rbps"),
            "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "wbps"),
            "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "riops"),
            "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "wiops")}
    with Bundle(resources(blockIO={k: rate for k in keys})) as b:
        b.create()
        version = group(b, "blkio")[1] or group(b, "io")[1]
        if not version:
            raise Skip("this host has no controller of block I/O")
        for v1, v2 in keys.values():
            if version == 1:
                assert entry(b, "blkio", v1) == f"{major}:{minor} 1048576", (v1, entry(b, "blkio", v1))
            else:
                assert f"{v2}=1048576" in entry(b, "io", "io.max"), (v2, entry(b, "io", "io.max"))
        b.delete("--force")


def blkio():
    return "blkio" if "blkio" in cgroup_hierarchies() else "io"


@test("block I/O weights: in their files, or told by name")
def io_weight():
    shown_or_told(resources(blockIO={"weight": 500}), blkio(),
                  {1: {"blkio.weight": 500, "blkio.bfq.weight": 500},
                   2: {"io.weight": lambda t: "default" in t, "io.bfq.weight": lambda t: "500" in t}},
                  ("weight",))
    shown_or_told(resources(blockIO={"weightDevice": [{"major": 8, "minor": 0, "weight": 300}]}), blkio(),
                  {1: {"blkio.weight_device": lambda t: "8:0 300" in t,
                       "blkio.bfq.weight_device": lambda t: "8:0 300" in t}}, ("weight",))
    with Bundle(resources(blockIO={"weight": 5})) as b:
        fails(b.create(check=False), "weight")


@test("leaf weights, which no kernel has any more, are told by name")
def io_leaf_weight():
    shown_or_told(resources(blockIO={"leafWeight": 500}), blkio(), {1: {"blkio.leaf_weight": 500}}, ("eaf",))
    shown_or_told(resources(blockIO={"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 300}]}), blkio(),
                  {1: {"blkio.leaf_weight_device": lambda t: "8:0 300" in t}}, ("eaf",))


@test("a device entry without a weight is an error")
def io_entry_empty():
    with Bundle(resources(blockIO={"weightDevice": [{"major": 8, "minor": 0}]})) as b:
        fails(b.create(check=False), "weightDevice")


@test("huge page limits hold for reservations too, where the kernel counts them")
def hugepage_reserved():
    if not os.path.isdir("/sys/kernel/mm/hugepages/hugepages-2048kB"):
        raise Skip("no huge pages of 2 MB")
    if not shown_or_told(resources(hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MIB}]), "hugetlb",
                         {1: {"hugetlb.2MB.limit_in_bytes": 4 * MIB, "hugetlb.2MB.rsvd.limit_in_bytes": 4 * MIB},
                          2: {"hugetlb.2MB.max": 4 * MIB, "hugetlb.2MB.rsvd.max": 4 * MIB}}, ("hugetlb", "hugepage")):
        raise Skip("this host has no hugetlb controller")


@test("network class and priorities: in their files on version 1, else told by name")
def network():
    shown_or_told(resources(network={"classID": 1048577}), "net_cls", {1: {"net_cls.classid": 1048577}},
                  ("net_cls", "classID", "network"))
    shown_or_told(resources(network={"priorities": [{"name": "lo", "priority": 7}]}), "net_prio",
                  {1: {"net_prio.ifpriomap": lambda t: "lo 7" in t}}, ("net_prio", "priorities", "network"))


@test("rdma limits: in rdma.max, or told by name; an entry without a limit is an error")
def rdma():
    shown_or_told(resources(rdma={"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}), "rdma",
                  {1: {"rdma.max": lambda t: True}, 2: {"rdma.max": lambda t: True}}, ("rdma", "mlx5_1"))
    with Bundle(resources(rdma={"mlx5_1": {}})) as b:
        fails(b.create(check=False), "rdma")


@test("unified: the files named by the keys, with their controllers enabled; unknown keys too")
def unified_written():
    if not v2_only():
        raise Skip("needs a host with cgroup version 2 alone")
    with Bundle(resources(unified={"memory.high": str(32 * MIB), "pids.max": "33", "cgroup.max.depth": "5"})) as b:
        b.create()
        for name, want in (("memory.high", str(32 * MIB)), ("pids.max", "33"), ("cgroup.max.depth", "5")):
            assert read(f"{cgroup_hierarchies()['']}{b.conf['linux']['cgroupsPath']}/{name}").strip() == want, name
        b.delete("--force")


@test("unified with a controller that is not there is an error")
def unified_absent():
    for key in ("nosuch.max", "rdma2.max"):
        with Bundle(resources(unified={key: "1"})) as b:
            fails(b.create(check=False), key.split(".")[0])


@test("settings of version 1 that version 2 cannot say are errors")
def not_convertible():
    if not v2_only():
        raise Skip("needs a host with cgroup version 2 alone")
    for res, word in (({"cpu": {"realtimeRuntime": 1000}}, "realtime"),
                      ({"memory": {"limit": -1, "swap": MIB}}, "swap")):
        with Bundle(resources(**res)) as b:
            fails(b.create(check=False), word)


@test("a quota below the burst is the kernel's error")
def burst_over_quota():
    shown_or_told(resources(cpu={"quota": 10000, "period": 100000, "burst": 20000}), "cpu", {}, ("burst", "quota"))


def delegation(cgroupns=True, writable=True):
    kinds = NAMESPACES + ["user"] + (["cgroup"] if cgroupns else [])
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    entry_ = {"destination": "/sys/fs/cgroup", "type": "cgroup2" if v2_only() else "cgroup", "source": "cgroup",
              "options": ["nosuid", "nodev", "noexec"] + ([] if writable else ["ro"])}
    return {"linux": {"namespaces": namespaces(*kinds), "uidMappings": maps, "gidMappings": maps,
                      "cgroupsPath": "/" + unique("cg")},
            "process": {"user": {"uid": 1000, "gid": 1000}}, "mounts": MOUNTS + [entry_]}


@test("on version 1 the owner of the groups does not change")
def owner_v1():
    if "memory" not in cgroup_hierarchies():
        raise Skip("needs version 1")
    with Bundle(delegation()) as b:
        b.owned(100000)
        b.create()
        for kind in ("memory", "cpu", "pids"):
            path = cgroup_dir(b.conf["linux"]["cgroupsPath"], kind)
            owners = {os.stat(p).st_uid for p in [path] + [f"{path}/{n}" for n in os.listdir(path)]}
            assert owners == {0}, (kind, owners)
        b.delete("--force")


@test("on version 2 the group and the files of the kernel's list are the user's, with a cgroup namespace and a "
      "writable mount only")
def owner_v2():
    if not v2_only():
        raise Skip("needs a host with cgroup version 2 alone")
    listed = "/sys/kernel/cgroup/delegate"
    names = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
    if os.path.exists(listed):
        names = read(listed).split()
    for cgroupns, writable in ((True, True), (True, False), (False, True)):
        with Bundle(delegation(cgroupns, writable)) as b:
            b.owned(100000)
            b.create()
            path = cgroup_hierarchies()[""] + b.conf["linux"]["cgroupsPath"]
            own = 101000 if cgroupns and writable else 0
            assert os.stat(path).st_uid == own, (cgroupns, writable, os.stat(path))
            for name in os.listdir(path):
                if os.path.isfile(f"{path}/{name}"):
                    want = own if name in names else 0
                    assert os.stat(f"{path}/{name}").st_uid == want, (name, os.stat(f"{path}/{name}"))
            b.delete("--force")


main()
