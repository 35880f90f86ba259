# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the rows of cgroup_table.py with one cgroup manager: a property of linux.resources is in the kernel's
file, after create and after update, and after an update that fails the old value is; or davit says
that it cannot be had, and trying by hand shows why."""
import fnmatch

from cgroup_table import *
from davit import *

MACHINE = os.environ.get("DAVIT_VM")


# ---- block devices

def numbers(name):
    return read(f"/sys/block/{name}/dev").strip()


def scheduler(name):
    path = f"/sys/block/{name}/queue/scheduler"
    return read(path) if os.path.exists(path) else ""


def disk(kind):
    """MAJOR:MINOR of a block device of the kind; where there is none, of any. A test machine gets them."""
    names = sorted(n for n in os.listdir("/sys/block") if not n.startswith(("ram", "zram")))
    if not names:
        raise Skip("this host has no block device")
    if MACHINE and kind == BFQ:
        write("/sys/block/nullb0/queue/scheduler", "bfq")
    if MACHINE and kind == COST and v2_only():
        write("/sys/fs/cgroup/io.cost.qos", numbers("nullb1") + " enable=1")
    if kind == COST:
        return numbers("nullb1" if "nullb1" in names else names[0])
    return numbers(next((n for n in names if kind == BFQ and "[bfq]" in scheduler(n)), names[0]))


def with_disks(value, found):
    """The value with the numbers of devices in place of their kinds."""
    if isinstance(value, dict):
        value = {k: with_disks(v, found) for k, v in value.items()}
        if value.get("major") in (DISK, BFQ, COST):
            major, minor = found.setdefault(value["major"], disk(value["major"])).split(":")
            value.update(major=int(major), minor=int(minor))
    elif isinstance(value, list):
        value = [with_disks(v, found) for v in value]
    return value


def text_with_disks(text, found):
    for kind, name in found.items():
        text = text.replace(kind + ":", name)
    return text


# ---- what a file reads

def reads(path, want, found):
    """Whether the file is there and reads as wanted."""
    if not os.path.exists(path):
        return False
    got = read(path).strip()
    if not isinstance(want, Line):
        return got == want
    words = set(text_with_disks(want.text, found).split())
    return any(words <= set(line.split()) for line in got.splitlines())


def by_hand(path, want, found):
    """None when the kernel takes the value, else why not."""
    text = text_with_disks(want.text if isinstance(want, Line) else want, found)
    if os.path.basename(path) == "memory.oom_control":
        text = text.split()[1]
    try:
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as e:
        return f"{os.path.basename(path)}: {e.strerror}"
    return None if reads(path, want, found) else f"{os.path.basename(path)}: the kernel takes it and does nothing"


def place(pid, controller):
    """The process's group for a controller ("" is the unified tree) and its version, or None and that of
    the host."""
    if controller == "" and "" in cgroup_hierarchies():
        own = [x for x in read(f"/proc/{pid}/cgroup").splitlines() if x.startswith("0::")]
        return cgroup_hierarchies()[""] + own[0][3:], 2
    try:
        return group_of(pid, controller)
    except Skip:
        return None, 1 if set(cgroup_hierarchies()) - {""} else 2


# ---- updates that fail

COUNTERS = re.compile(r"cgroup\.|tasks|notify|.*(event|pressure|usage|failcnt|stat|reset|peak|reclaim|force_empty)")


def settings(path):
    """{path: contents} of the files of a group that hold settings."""
    found = {}
    for name in os.listdir(path) if path else ():
        file = f"{path}/{name}"
        if COUNTERS.match(name) or not os.path.isfile(file) or not os.stat(file).st_mode & 0o600 == 0o600:
            continue
        with contextlib.suppress(OSError):
            found[file] = read(file)
            if not found[file].strip() and os.path.exists(file + ".effective"):
                found[file] = read(file + ".effective")  # nothing: what the group above has
    return found


def spoiled(resources):
    """The resources and one more that the kernel refuses, as near to the end of davit's list as can be."""
    disk_ = {"major": 250, "minor": 77, "rate": 5}
    ends = [{"blockIO": {"throttleWriteIOPSDevice": [*resources.get("blockIO", {}).get(
        "throttleWriteIOPSDevice", []), disk_]}}]
    controllers = set(cgroup_hierarchies())
    if "net_prio" in controllers:
        ends.append({"network": {"priorities": [*resources.get("network", {}).get("priorities", []),
                                                {"name": "dvtnone", "priority": 1}]}})
    if "rdma" in controllers:
        ends.append({"rdma": {"dvtnone": {"hcaHandles": 1}}})
    if v2_only():
        ends.append({"unified": {"cgroup.max.depth": "-5"}})
    return merge(resources, ends[-1])


# ---- one row

def pid_of(b):
    """The container's first process, from the file that create wrote: each run of davit takes its time."""
    return int(read(os.path.join(b.dir, "pid")))



class Case:
    """One row with one manager."""

    def __init__(self, row, manager):
        self.row, self.disks = row, {}
        self.glob = ("--cgroup-manager", manager)
        self.base = {"linux": {"resources": with_disks(row.base, self.disks)}}
        self.resources = with_disks(row.resources, self.disks)
        self.words = {row.name.split(" ")[0].split(".")[-1].lower()}
        if manager == "systemd":
            self.base["linux"]["cgroupsPath"] = f":dvt:{unique('t')}"

    def container(self, resources=None, go_on=False):
        """A created container and what create said."""
        b = Bundle(merge(self.base, {"linux": {"resources": resources}}) if resources else self.base)
        if resources and self.row.base:
            b.conf["linux"]["resources"] = resources
        if self.glob[1] == "systemd":
            b.conf["linux"]["cgroupsPath"] = f":dvt:{b.id}"
        more = ("--on-unsupported", "warn") if go_on else ()
        flags = ("--pid-file", os.path.join(b.dir, "pid"))
        return b, b.create(*flags, check=False, glob=(*self.glob, "--log-level", "warning", *more))

    def cell(self, pid):
        """The cell for the tree that has the controller, and the container's group in it."""
        for cell in (self.row.v1, self.row.v2):
            if isinstance(cell, Seen):
                version = 2 if v2_only() else 1
            else:
                path, version = place(pid, cell.controller)
            if version == (1 if cell is self.row.v1 else 2):
                return cell, None if isinstance(cell, Seen) else path
        raise AssertionError("no cell for this host")

    def told(self, result, notes, instead):
        """davit said so, and named the property, its file or its controller."""
        text = (result.err + json.dumps(notes)).lower()
        assert (result.rc != 0) == (instead == ERROR), (instead, result)
        assert any(w in text for w in self.words), (self.words, result, notes)
        if instead == WARNING:
            assert "warning" in result.err, result

    def shown(self, cell, path):
        return bool(path) and all(reads(f"{path}/{n}", want, self.disks) for n, want in cell.files.items())

    def update(self, b):
        return run_davit("--log-level", "warning", "update", "--resources", "-", b.id,
                         stdin=json.dumps(self.resources))

    def update_fails(self, b, path):
        """An update that fails after the property was set leaves every file as it was."""
        before = settings(path)
        fails(run_davit("update", "--resources", "-", b.id, stdin=json.dumps(spoiled(self.resources))))
        after = settings(path)
        # A controller that the update needed may be on from now on; its files limit nothing.
        new = {k: after.pop(k) for k in set(after) - set(before)}
        assert after == before, {k: (v, after.get(k)) for k, v in before.items() if after.get(k) != v}
        assert all(set(v.split()) <= {"max", "0"} for v in new.values()), new

    def create(self, cell):
        """The container made with the property: what the group reads, or what davit said."""
        b, result = self.container(self.resources)
        with b:
            shown, notes = False, []
            if result.rc == 0:
                shown = isinstance(cell, Shown) and self.shown(cell, place(pid_of(b), cell.controller)[0])
                notes = [] if shown and "warning" not in result.err else b.state().get("notApplied", [])
                b.delete("--force")
            return shown, result, notes

    def create_going_on(self, cell):
        """With --on-unsupported=warn what is merely missing is a warning, and the state says so."""
        if cell.instead != ERROR:
            return
        b, result = self.container(self.resources, go_on=True)
        with b:
            if result.rc == 0:
                self.told(result, b.state()["notApplied"], WARNING)
                b.delete("--force")

    def run(self):
        first, result = self.container(go_on=True)
        with first:
            assert result.rc == 0, result
            cell, path = self.cell(pid_of(first))
            if isinstance(cell, Seen):
                first.delete("--force")
                return globals()[cell.function](self)
            self.words |= {cell.controller or "unified", *map(str.lower, getattr(cell, "files", None) or ())}
            if isinstance(cell, Gone):
                self.run_gone(cell, path, first)
            else:
                self.run_shown(cell, path, first)
            first.delete("--force")
        return None

    def run_gone(self, cell, path, first):
        if path and cell.files:
            assert not fnmatch.filter(os.listdir(path), cell.files), f"the kernel has {cell.files} in {path}"
        told = self.update(first)
        _, created, notes = self.create(cell)
        if cell.instead is None:
            assert told.rc == created.rc == 0 and not notes, (told, created, notes)
            return
        self.told(told, [], cell.instead)
        self.told(created, notes, cell.instead)
        self.create_going_on(cell)

    def run_shown(self, cell, path, first):
        before = {n: read(f"{path}/{n}") for n in cell.files if path and os.path.exists(f"{path}/{n}")}
        was = self.shown(cell, path)
        self.update_fails(first, path)
        told = self.update(first)
        updated = self.shown(cell, path)
        created, result, notes = self.create(cell)
        if updated and created:
            assert told.rc == 0 and result.rc == 0 and not notes, (told, result, notes)
            assert self.row.same or not was, f"reads the same without the property: {before}"
            assert not (MACHINE and cell.machine), f"the table says of this kernel: {cell.machine}"
            return
        reason = f"no controller {cell.controller}"
        if path:
            tries = [by_hand(f"{path}/{n}", want, self.disks) for n, want in cell.files.items()]
            reason = next((t for t in tries if t), None)
            assert reason, f"the kernel takes it, davit did not write it: {told}, {result}, {before}"
        assert not (updated or created), (updated, created, told, result)
        assert not MACHINE or cell.machine, f"the table says that this kernel has it: {reason}; {told}, {result}"
        if cell.instead is None:
            assert told.rc == result.rc == 0, (told, result)
            return
        self.told(told, [], cell.instead)
        self.told(result, notes, cell.instead)
        self.create_going_on(cell)
        print(f"# {self.row.name}: {cell.instead}: {reason}", flush=True)


# ---- what no file tells

def device_order(case):
    """The rules of version 2 are a program: later ones win over earlier ones. There are no such devices: what
    the rules let through ends with ENXIO."""
    def rule(allow, access, minor=None):
        which = {"type": "c", "major": 250} if minor is None else {"type": "c", "major": 250, "minor": minor}
        return {"allow": allow, "access": access, **which}
    nodes = {"linux": {"devices": [{"path": f"/dev/t{n}", "type": "c", "major": 250, "minor": n, "fileMode": 0o666}
                                   for n in (1, 2, 3)]}, "process": {"capabilities": privileged()}}
    rules = [{"allow": False, "access": "rwm"}, rule(False, "r", 3), rule(True, "rw"), rule(False, "w", 2),
             rule(False, "r", 3), rule(True, "r", 3), rule(False, "w", 3)]
    wanted = {"/dev/t1": ["ENXIO", "ENXIO"], "/dev/t2": ["ENXIO", "EPERM"], "/dev/t3": ["ENXIO", "EPERM"]}
    for late in (False, True):
        with Bundle(merge(case.base, nodes)) as b:
            if case.glob[1] == "systemd":
                b.conf["linux"]["cgroupsPath"] = f":dvt:{b.id}"
            b.up(over=None if late else {"linux": {"resources": {"devices": rules}}}, glob=case.glob)
            if late:
                run_davit("update", "--resources", "-", b.id, stdin=json.dumps({"devices": rules}), check=True)
            facts = b.exec_facts("open", *(w for path in wanted for how in "rw" for w in (path, how)))
            got = {path: facts.all(f"open:{path}") for path in wanted}
            assert got == wanted, (late, got, wanted)
            b.delete("--force")


def check_before_update(case):
    """A limit below the usage is refused, and the old one stays."""
    b = Bundle(merge(case.base, {"linux": {"resources": {"memory": {"limit": 256 * MIB}}}}))
    with b:
        b.up("hog", "40", "+", "pause", glob=case.glob)
        path, version = place(b.pid(), "memory")
        if not path:
            raise Skip("this host has no memory controller")
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        for limit in (4 * MIB, 20 * MIB):
            refused = run_davit("update", "--resources", "-", b.id, stdin=json.dumps(
                {"memory": {"limit": limit, "checkBeforeUpdate": True}}))
            fails(refused, "memory")
            assert read(f"{path}/{name}").strip() == str(256 * MIB), read(f"{path}/{name}")
        assert b.state()["status"] == "running"
        b.delete("--force")


def unified_confined(case):
    """Keys that take or stop processes, or are no names of files, are refused."""
    for key in ("cgroup.freeze", "cgroup.kill", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control",
                "cgroup.type", "../x", "a/b", "", "..", "."):
        b, result = case.container({"unified": {key: "1"}})
        with b:
            fails(result, "unified")


# ---- the tests

def register(row, manager):
    def function():
        Case(row, manager).run()
    function.__name__ = function_name(row)
    test(f"{row.name}, manager {manager}", limit=120)(function)


def rows_main(manager):
    """Runs all rows."""
    if MACHINE and not os.path.exists("/sys/block/nullb1"):
        run_command(["modprobe", "bfq"])
        run_command(["modprobe", "null_blk", "nr_devices=2", "gb=1"])
    if MACHINE and run_command(["modprobe", "rdma_rxe"]).rc == 0:
        run_command(["ip", "link", "add", "dvtrdma", "type", "dummy"])
        run_command(["rdma", "link", "add", "rxe0", "type", "rxe", "netdev", "dvtrdma"])
    for row in ROWS:
        register(row, manager)
    main()
