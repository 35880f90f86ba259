# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of each property of linux.resources, with cgroup version 1 and version 2.

One row a property, one cell a version; test_cgroup_table.py makes tests of the rows and runs them with
each cgroup manager that the host has. On a hybrid host a controller is in one of both trees, and the
cell of that tree counts. A cell is

  Shown   the kernel has files for it: after create, and after update, they read as the cell says. On a
          host that has not, davit must say so: `instead` is "error" or "warning". The test then tries
          by hand, so that davit cannot be wrong about it. `machine` says why the kernel of the test
          machines is such a host; there, nothing but what the cell says will do.
  Gone    no kernel has a file for it (the test looks for `files`): `instead` says what davit does, None
          that nothing is lost.
  Seen    no file tells: the function of that name in test_cgroup_table.py does.

In resources, {"major": DISK} stands for a block device's numbers, and "DISK:" in a value for the text
of them. DISK is any, BFQ one with that scheduler, COST one with the iocost controller switched on.

Run as a program it prints docs/cgroups.md.
"""
import json
import re

MIB = 1 << 20
DISK, BFQ, COST = "DISK", "BFQ", "COST"
ERROR, WARNING = "error", "warning"
UNLIMITED = 9223372036854771712  # of version 1: the biggest number of whole pages


class Shown:
    def __init__(self, controller, files, instead=ERROR, machine=None):
        self.controller, self.instead, self.machine = controller, instead, machine
        self.files = {name: text if isinstance(text, Line) else str(text) for name, text in files.items()}


class Gone:
    def __init__(self, controller, files, instead, why):
        self.controller, self.files, self.instead, self.why = controller, files, instead, why


class Seen:
    def __init__(self, function):
        self.function = function


class Line:
    """One line of the file has all these words; written by hand it is the line."""

    def __init__(self, text):
        self.text = text


class Row:
    """base: the resources that the container has before an update to the row's. same: a container without
    the property may read the same."""

    def __init__(self, name, resources, v1, v2, base=None, same=False):
        self.name, self.resources, self.v1, self.v2 = name, resources, v1, v2
        self.base, self.same = base or {}, same


def memory(**res):
    return {"memory": res}


def cpu(**res):
    return {"cpu": res}


def throttle(key, v1, v2):
    name = f"throttle{key}Device"
    return Row(f"blockIO.{name}", {"blockIO": {name: [{"major": DISK, "rate": 1048576}]}},
               Shown("blkio", {f"blkio.throttle.{v1}_device": Line("DISK: 1048576")}),
               Shown("io", {"io.max": Line(f"DISK: {v2}=1048576")}))


LIMIT, SWAP = 64 * MIB, 96 * MIB
NO_RT = "the kernel is built without CONFIG_RT_GROUP_SCHED"
NO_RDMA = "the kernel for clouds has no driver of RDMA devices"
NO_KMEM = "since 5.16 the kernel refuses the limit, or takes it and does nothing"
NO_FLAT = "since 5.11 all groups are hierarchical"
NO_LEAF = "went with the CFQ scheduler in 5.0"

ROWS = [
    Row("devices", {"devices": [{"allow": False, "access": "rwm"},
                                {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
                                {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "w"}]},
        Shown("devices", {"devices.list": Line("c 10:229 rm")}), Seen("device_order")),

    Row("memory.limit", memory(limit=LIMIT), Shown("memory", {"memory.limit_in_bytes": LIMIT}),
        Shown("memory", {"memory.max": LIMIT})),
    Row("memory.limit unlimited", memory(limit=-1), Shown("memory", {"memory.limit_in_bytes": UNLIMITED}, None),
        Shown("memory", {"memory.max": "max"}, None), base=memory(limit=LIMIT), same=True),
    Row("memory.reservation", memory(reservation=LIMIT), Shown("memory", {"memory.soft_limit_in_bytes": LIMIT}),
        Shown("memory", {"memory.low": LIMIT})),
    Row("memory.swap", memory(limit=LIMIT, swap=SWAP), Shown("memory", {"memory.memsw.limit_in_bytes": SWAP}),
        Shown("memory", {"memory.swap.max": SWAP - LIMIT})),
    Row("memory.swap unlimited", memory(limit=LIMIT, swap=-1),
        Shown("memory", {"memory.limit_in_bytes": LIMIT, "memory.memsw.limit_in_bytes": UNLIMITED}),
        Shown("memory", {"memory.max": LIMIT, "memory.swap.max": "max"}), base=memory(limit=LIMIT, swap=LIMIT),
        same=True),
    Row("memory.kernel", memory(limit=LIMIT, kernel=LIMIT // 2),
        Shown("memory", {"memory.kmem.limit_in_bytes": LIMIT // 2}, WARNING, machine=NO_KMEM),
        Gone("memory", "memory.kmem*", WARNING, "kernel memory counts within memory.max")),
    Row("memory.kernel alone", memory(kernel=LIMIT // 2),
        Shown("memory", {"memory.kmem.limit_in_bytes": LIMIT // 2}, ERROR, machine=NO_KMEM),
        Gone("memory", "memory.kmem*", ERROR, "there is no such limit")),
    Row("memory.kernelTCP", memory(limit=LIMIT, kernelTCP=LIMIT // 2),
        Shown("memory", {"memory.kmem.tcp.limit_in_bytes": LIMIT // 2}),
        Gone("memory", "memory.kmem*", WARNING, "socket buffers count within memory.max")),
    Row("memory.kernelTCP alone", memory(kernelTCP=LIMIT // 2),
        Shown("memory", {"memory.kmem.tcp.limit_in_bytes": LIMIT // 2}),
        Gone("memory", "memory.kmem*", ERROR, "there is no such limit")),
    Row("memory.swappiness", memory(swappiness=17), Shown("memory", {"memory.swappiness": 17}, WARNING),
        Gone("memory", "memory.swappiness", WARNING, "a setting of the host alone")),
    Row("memory.disableOOMKiller", memory(limit=LIMIT, disableOOMKiller=True),
        Shown("memory", {"memory.oom_control": Line("oom_kill_disable 1")}),
        Gone("memory", "memory.oom_control", WARNING, "cannot be switched off")),
    Row("memory.useHierarchy", memory(useHierarchy=True), Shown("memory", {"memory.use_hierarchy": 1}, WARNING),
        Gone("memory", "memory.use_hierarchy", None, "it always is"), same=True),
    Row("memory.useHierarchy off", memory(useHierarchy=False),
        Shown("memory", {"memory.use_hierarchy": 0}, WARNING, machine=NO_FLAT),
        Gone("memory", "memory.use_hierarchy", WARNING, "it always is")),
    Row("memory.checkBeforeUpdate", memory(limit=4 * MIB, checkBeforeUpdate=True), Seen("check_before_update"),
        Seen("check_before_update")),

    Row("cpu.shares", cpu(shares=512), Shown("cpu", {"cpu.shares": 512}), Shown("cpu", {"cpu.weight": 59})),
    Row("cpu.shares default", cpu(shares=1024), Shown("cpu", {"cpu.shares": 1024}), Shown("cpu", {"cpu.weight": 100}),
        base=cpu(shares=2), same=True),
    Row("cpu.quota", cpu(quota=40000), Shown("cpu", {"cpu.cfs_quota_us": 40000}),
        Shown("cpu", {"cpu.max": "40000 100000"})),
    Row("cpu.quota unlimited", cpu(quota=-1), Shown("cpu", {"cpu.cfs_quota_us": -1}, None),
        Shown("cpu", {"cpu.max": "max 100000"}, None), base=cpu(quota=40000), same=True),
    Row("cpu.period", cpu(quota=40000, period=50000),
        Shown("cpu", {"cpu.cfs_quota_us": 40000, "cpu.cfs_period_us": 50000}),
        Shown("cpu", {"cpu.max": "40000 50000"})),
    Row("cpu.period alone", cpu(period=50000), Shown("cpu", {"cpu.cfs_period_us": 50000}, WARNING),
        Shown("cpu", {"cpu.max": "max 50000"}, WARNING)),
    Row("cpu.burst", cpu(quota=40000, burst=20000), Shown("cpu", {"cpu.cfs_burst_us": 20000}),
        Shown("cpu", {"cpu.max.burst": 20000})),
    Row("cpu.realtimeRuntime", cpu(realtimeRuntime=2000), Shown("cpu", {"cpu.rt_runtime_us": 2000}, machine=NO_RT),
        Gone("cpu", "cpu.rt_*", ERROR, "there is no realtime budget")),
    Row("cpu.realtimePeriod", cpu(realtimeRuntime=2000, realtimePeriod=500000),
        Shown("cpu", {"cpu.rt_runtime_us": 2000, "cpu.rt_period_us": 500000}, machine=NO_RT),
        Gone("cpu", "cpu.rt_*", ERROR, "there is no realtime budget")),
    Row("cpu.cpus", cpu(cpus="0"), Shown("cpuset", {"cpuset.cpus": 0}), Shown("cpuset", {"cpuset.cpus": 0}),
        same=True),
    Row("cpu.mems", cpu(mems="0"), Shown("cpuset", {"cpuset.mems": 0}), Shown("cpuset", {"cpuset.mems": 0}),
        same=True),
    Row("cpu.idle", cpu(idle=1), Shown("cpu", {"cpu.idle": 1}, WARNING), Shown("cpu", {"cpu.idle": 1}, WARNING)),
    Row("cpu.idle off", cpu(idle=0), Shown("cpu", {"cpu.idle": 0}, None), Shown("cpu", {"cpu.idle": 0}, None),
        base=cpu(idle=1), same=True),

    Row("pids.limit", {"pids": {"limit": 33}}, Shown("pids", {"pids.max": 33}), Shown("pids", {"pids.max": 33})),
    Row("pids.limit zero", {"pids": {"limit": 0}}, Shown("pids", {"pids.max": 0}), Shown("pids", {"pids.max": 0})),
    Row("pids.limit unlimited", {"pids": {"limit": -1}}, Shown("pids", {"pids.max": "max"}, None),
        Shown("pids", {"pids.max": "max"}, None), base={"pids": {"limit": 33}}, same=True),

    Row("blockIO.weight", {"blockIO": {"weight": 200}}, Shown("blkio", {"blkio.bfq.weight": 200}),
        Shown("io", {"io.bfq.weight": Line("default 200")})),
    Row("blockIO.weight iocost", {"blockIO": {"weight": 200}}, Shown("blkio", {"blkio.bfq.weight": 200}),
        Shown("io", {"io.weight": Line("default 1920")})),
    Row("blockIO.leafWeight", {"blockIO": {"leafWeight": 200}},
        Shown("blkio", {"blkio.leaf_weight": 200}, machine=NO_LEAF), Gone("io", "*leaf*", ERROR, NO_LEAF)),
    Row("blockIO.weightDevice", {"blockIO": {"weightDevice": [{"major": BFQ, "weight": 300}]}},
        Shown("blkio", {"blkio.bfq.weight_device": Line("BFQ: 300")}),
        Shown("io", {"io.bfq.weight": Line("BFQ: 300")})),
    Row("blockIO.weightDevice iocost", {"blockIO": {"weightDevice": [{"major": COST, "weight": 300}]}},
        Shown("blkio", {"blkio.bfq.weight_device": Line("COST: 300")},
              machine="version 1 has no iocost, and the device not the scheduler bfq"),
        Shown("io", {"io.weight": Line("COST: 2930")})),
    Row("blockIO.weightDevice.leafWeight", {"blockIO": {"weightDevice": [{"major": BFQ, "leafWeight": 300}]}},
        Shown("blkio", {"blkio.leaf_weight_device": Line("BFQ: 300")}, machine=NO_LEAF),
        Gone("io", "*leaf*", ERROR, NO_LEAF)),
    throttle("ReadBps", "read_bps", "rbps"),
    throttle("WriteBps", "write_bps", "wbps"),
    throttle("ReadIOPS", "read_iops", "riops"),
    throttle("WriteIOPS", "write_iops", "wiops"),

    Row("hugepageLimits", {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]},
        Shown("hugetlb", {"hugetlb.2MB.limit_in_bytes": 4 * MIB, "hugetlb.2MB.rsvd.limit_in_bytes": 4 * MIB}),
        Shown("hugetlb", {"hugetlb.2MB.max": 4 * MIB, "hugetlb.2MB.rsvd.max": 4 * MIB})),

    Row("network.classID", {"network": {"classID": 1048577}}, Shown("net_cls", {"net_cls.classid": 1048577}),
        Gone("", "net_cls*", ERROR, "there is no such controller")),
    Row("network.classID zero", {"network": {"classID": 0}}, Shown("net_cls", {"net_cls.classid": 0}, None),
        Gone("", "net_cls*", None, "there is no such controller, and so no class"),
        base={"network": {"classID": 1048577}}, same=True),
    Row("network.priorities", {"network": {"priorities": [{"name": "lo", "priority": 7}]}},
        Shown("net_prio", {"net_prio.ifpriomap": Line("lo 7")}),
        Gone("", "net_prio*", ERROR, "there is no such controller")),

    Row("rdma.hcaHandles", {"rdma": {"rxe0": {"hcaHandles": 3}}},
        Shown("rdma", {"rdma.max": Line("rxe0 hca_handle=3")}, machine=NO_RDMA),
        Shown("rdma", {"rdma.max": Line("rxe0 hca_handle=3")}, machine=NO_RDMA)),
    Row("rdma.hcaObjects", {"rdma": {"rxe0": {"hcaObjects": 300}}},
        Shown("rdma", {"rdma.max": Line("rxe0 hca_object=300")}, machine=NO_RDMA),
        Shown("rdma", {"rdma.max": Line("rxe0 hca_object=300")}, machine=NO_RDMA)),

    Row("unified", {"unified": {"cgroup.max.depth": "5"}},
        Gone("", "cgroup.max.depth", ERROR, "version 1 has no such files"),
        Shown("", {"cgroup.max.depth": 5})),
    Row("unified of a controller", {"unified": {"memory.high": str(LIMIT)}},
        Gone("memory", "memory.high", ERROR, "the controller is in version 1"),
        Shown("memory", {"memory.high": LIMIT})),
    Row("unified wins", {"pids": {"limit": 50}, "unified": {"pids.max": "44"}},
        Gone("pids", None, ERROR, "the controller is in version 1"),
        Shown("pids", {"pids.max": 44})),
    Row("unified not a resource", {"unified": {"cgroup.freeze": "1"}},
        Seen("unified_confined"), Seen("unified_confined")),
]


# ---- docs/cgroups.md

HEAD = """# Resources

What davit does with each property of `linux.resources`. This page is printed by
`tests/integration/cgroup_table.py`, and `test_cgroup_table.py` and `test_cgroup_table_systemd.py` make a test of
each row: on version 1, version 2 and hybrid hosts, with the managers cgroupfs and systemd. Each starts a container
with the property and reads the kernel's file, changes a running one with `update` and reads it again, and lets an
`update` fail to see the old values come back.

On a hybrid host a controller is in one of both trees, and what stands for that version holds. Where the kernel has
no such file, or refuses the value, davit does what stands in brackets: an **error**, which
`--on-unsupported=warn` makes a warning, where the container would be less confined than asked; else a **warning**,
which `state` lists as `notApplied`. The test tries by hand whether that is so. A note says why the kernel of the
test machines (Debian 12, 6.1) is such a one.

Device rules of an ordinary user's containers are left out: without privilege no device node can be made. An
ordinary user has groups on version 2 only, and only controllers that were handed over; a limit without its
controller is an error that names the level of the tree and the cure.

| property | example | version 1 | version 2 |
| --- | --- | --- | --- |
"""
SEEN = {"device_order": "an eBPF program; devices are opened",
        "check_before_update": "a limit below what is used is refused",
        "unified_confined": "refused: such files take or stop processes"}


def cell_text(cell):
    if isinstance(cell, Seen):
        return SEEN[cell.function]
    instead = f"**{cell.instead}**" if cell.instead else "nothing is lost"
    if isinstance(cell, Gone):
        return f"{instead}: {cell.why}"
    files = ", ".join(f"`{n}`: `{want.text if isinstance(want, Line) else want}`" for n, want in cell.files.items())
    return f"{files} [{instead}]" + (f" ({cell.machine})" if cell.machine else "")


def page():
    """The text of docs/cgroups.md."""
    text = HEAD
    for row in ROWS:
        example = json.dumps(row.resources[row.name.split(" ")[0].split(".")[0]])
        text += f"| {row.name} | `{example}` | {cell_text(row.v1)} | {cell_text(row.v2)} |\n"
    return text


def paths(value, path=""):
    """Paths of the properties that a value sets, as tests/spec-coverage.tsv writes them."""
    if isinstance(value, list):
        for each in value:
            yield from paths(each, path + "[]")
        return
    if path:
        yield path
    for key, each in value.items() if isinstance(value, dict) else ():
        if path in ("rdma", "unified"):
            yield from paths(each, path + "{}")
        else:
            yield from paths(each, f"{path}.{key}" if path else key)
            if key == "major":  # stands for both numbers
                yield f"{path}.minor"


def function_name(row):
    """Name of the row's test."""
    return re.sub(r"\W+", "_", row.name).lower()


if __name__ == "__main__":
    print(page(), end="")
