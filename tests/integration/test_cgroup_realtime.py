#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Realtime budgets of version 1: what groups have together must fit in the group above; a new one has none."""
from davit import *

RUNTIME, PERIOD = "cpu.rt_runtime_us", "cpu.rt_period_us"


def need_budgets():
    if "cpu" not in cgroup_hierarchies():
        raise Skip("no version 1 hierarchy has the controller cpu")
    top = cgroup_hierarchies()["cpu"]
    probe = f"{top}/{unique('rtp')}"
    os.mkdir(probe)
    found = os.path.exists(f"{probe}/{RUNTIME}")
    os.rmdir(probe)
    if not found:
        raise Skip("this kernel has no realtime budgets of groups (CONFIG_RT_GROUP_SCHED)")
    return top


def budget(runtime, path=None, **more):
    linux = {"resources": {"cpu": {"realtimeRuntime": runtime, **more}}}
    return Bundle({"linux": {**linux, "cgroupsPath": path} if path else linux})


def runtime_of(b):
    return int(read(f"{group_of(b.pid(), 'cpu')[0]}/{RUNTIME}"))


class Parent:
    """A group of somebody else with a budget."""

    def __init__(self, runtime):
        self.name = unique("rt")
        self.path = f"{need_budgets()}/{self.name}"
        self.runtime = runtime

    def __enter__(self):
        os.mkdir(self.path)
        self.give(self.runtime)
        return self

    def give(self, runtime):
        write(f"{self.path}/{RUNTIME}", str(runtime))

    def __exit__(self, *exc):
        for left in sorted((c for c in cgroups_tagged() if self.name in c), key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(left)


@test("containers below davit's own group have their budgets side by side, and realtime processes run")
def default_parent():
    need_budgets()
    fifo = {"process": {"scheduler": {"policy": "SCHED_FIFO", "priority": 1}}}
    with budget(21000) as one, budget(7000, realtimePeriod=500000) as two, budget(3000) as three:
        for b, want in ((one, 21000), (two, 7000), (three, 3000)):
            b.up("sched", "+", "pause", over=fifo)
            assert runtime_of(b) == want, runtime_of(b)
            assert b.facts()["sched_policy"] == "1", b.output()
        assert runtime_of(one) == 21000
        parent = os.path.dirname(group_of(one.pid(), "cpu")[0])
        assert int(read(f"{parent}/{RUNTIME}")) >= 21000 + 14000 + 3000
        for b in (one, two, three):
            b.delete("--force")


@test("groups that davit makes above the container's get what it needs")
def made_parents():
    need_budgets()
    with budget(5000, f"/{unique('rtm')}/a/b") as b:
        b.up()
        path = group_of(b.pid(), "cpu")[0]
        for up in (path, os.path.dirname(path), os.path.dirname(os.path.dirname(path))):
            assert int(read(f"{up}/{RUNTIME}")) >= 5000, up
        b.delete("--force")


@test("below a group of others its budget is shared; when it lacks, the error names it and the cure")
def shared_parent():
    with Parent(30000) as parent, budget(20000, f"/{parent.name}/a") as one, \
            budget(20000, f"/{parent.name}/b") as two:
        one.up()
        assert runtime_of(one) == 20000
        result = two.create(check=False)
        fails(result, f'"/{parent.name}" has 30000 us', "40000", RUNTIME, "realtimeRuntime")
        assert int(read(f"{parent.path}/{RUNTIME}")) == 30000, "what others set stays"
        parent.give(40000)
        two.up()
        assert runtime_of(two) == 20000
        one.delete("--force")
        two.delete("--force")


@test("a group of others without any budget, and one above it, are named")
def empty_parent():
    with Parent(0) as parent:
        with budget(1000, f"/{parent.name}/a") as b:
            fails(b.create(check=False), f'"/{parent.name}" has 0 us')
        with budget(1000, f"/{parent.name}/x/y") as b:
            fails(b.create(check=False), f'"/{parent.name}" has 0 us')


@test("more than the host has is an error that names the root; so is more than the period")
def too_much():
    top = need_budgets()
    whole = int(read(f"{top}/{RUNTIME}"))
    if whole < 0:
        raise Skip("the root group has no limit")
    with budget(min(whole + 20000, 999999)) as b:
        fails(b.create(check=False), '"/" has')
    with budget(2000, realtimePeriod=1000) as b:
        fails(b.create(check=False), "realtime", "period")


@test("update takes and gives budget; one that cannot be had leaves the old one")
def update():
    with Parent(30000) as parent, budget(10000, f"/{parent.name}/a") as b:
        b.up()
        run_davit("update", "--cpu-rt-runtime", "25000", b.id, check=True)
        assert runtime_of(b) == 25000
        fails(run_davit("update", "--cpu-rt-runtime", "35000", "--pids-limit", "9", b.id), f'"/{parent.name}"')
        assert runtime_of(b) == 25000
        run_davit("update", "--cpu-rt-period", "500000", "--cpu-rt-runtime", "12000", b.id, check=True)
        assert runtime_of(b) == 12000
        run_davit("update", "--cpu-rt-runtime", "0", b.id, check=True)
        assert runtime_of(b) == 0
        b.delete("--force")


main()
