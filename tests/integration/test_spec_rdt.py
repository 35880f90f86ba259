#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""linux.intelRdt against a directory that stands in for resctrl, and the error of a host without it."""
from davit import *

L3, MB = "L3:0=f0;1=f", "MB:0=20;1=70"


class Tree:
    """A directory with what the root of resctrl has; $DAVIT_RESCTRL names it."""

    def __init__(self):
        self.path = os.path.join(work, unique("resctrl"))

    def __enter__(self):
        os.makedirs(self.path + "/mon_groups", mode=0o755)
        os.mkdir(self.path + "/info")
        os.chmod(self.path, 0o755)
        for name, text in (("tasks", ""), ("schemata", "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n")):
            write(f"{self.path}/{name}", text)
        os.environ["DAVIT_RESCTRL"] = self.path
        return self

    def __exit__(self, *exc):
        del os.environ["DAVIT_RESCTRL"]
        shutil.rmtree(self.path)

    def group(self, name, schemata="L3:0=7ff;1=7ff\n"):
        os.makedirs(f"{self.path}/{name}/mon_groups")
        write(f"{self.path}/{name}/schemata", schemata)
        write(f"{self.path}/{name}/tasks", "")

    def read(self, name):
        path = f"{self.path}/{name}"
        return read(path) if os.path.exists(path) else None

    def everything(self):
        return {os.path.relpath(p, self.path): None if os.path.isdir(p) else read(p)
                for base, dirs, files in os.walk(self.path) for p in (os.path.join(base, n) for n in dirs + files)}


def rdt(**conf):
    return {"linux": {"intelRdt": conf}}


@test("without closID the container has a group of its own name, which goes at delete")
def default_group():
    with Tree() as t, Bundle(rdt(l3CacheSchema=L3)) as b:
        before = t.everything()
        b.up()
        assert t.read(b.id + "/schemata") == L3 + "\n", t.everything()
        assert t.read(b.id + "/tasks").split() == [str(b.pid())], t.everything()
        b.delete("--force")
        assert t.everything() == before, t.everything()
        b.probe("true")
        assert t.everything() == before, t.everything()


@test("closID alone takes the process into that group, writes no schemata, and leaves the group")
def named_group():
    with Tree() as t, Bundle(rdt(closID="gold")) as b:
        t.group("gold")
        b.up()
        assert t.read("gold/tasks") == str(b.pid()), t.everything()
        assert t.read("gold/schemata") == "L3:0=7ff;1=7ff\n" and t.read("tasks") == "", t.everything()
        child = b.exec("true")
        assert child.rc == 0 and t.read("gold/tasks") != str(b.pid()), "exec did not enter the group"
        b.delete("--force")
        assert os.path.isdir(t.path + "/gold")


@test("closID that does not exist is made when there are schemata, and stays")
def named_made():
    with Tree() as t, Bundle(rdt(closID="new", memBwSchema=MB)) as b:
        b.up()
        assert t.read("new/schemata") == MB + "\n" and t.read("new/tasks") == str(b.pid()), t.everything()
        b.delete("--force")
        assert os.path.isdir(t.path + "/new")


@test("closID / is the root group")
def root_group():
    with Tree() as t, Bundle(rdt(closID="/")) as b:
        before = set(t.everything())
        b.up()
        assert t.read("tasks") == str(b.pid()) and set(t.everything()) == before, t.everything()
        b.delete("--force")
        assert set(t.everything()) == before


@test("closID alone that does not exist is an error")
def missing_group():
    with Tree() as t, Bundle(rdt(closID="nowhere")) as b:
        before = t.everything()
        fails(b.create(check=False), "nowhere", "/linux/intelRdt/closID")
        assert t.everything() == before


@test("the cache is written first, then bandwidth, then the lines of schemata")
def schemata_order():
    with Tree() as t, Bundle(rdt(schemata=["L2:0=ff", "MB:1=50"], memBwSchema=MB, l3CacheSchema=L3)) as b:
        b.up()
        assert t.read(b.id + "/schemata") == f"{L3}\n{MB}\nL2:0=ff\nMB:1=50\n", t.everything()
        b.delete("--force")


@test("each of the three alone is written as it is")
def schemata_single():
    for conf, want in (({"l3CacheSchema": L3}, L3), ({"memBwSchema": MB}, MB), ({"schemata": ["L3:0=3"]}, "L3:0=3")):
        with Tree() as t, Bundle(rdt(**conf)) as b:
            b.create()
            assert t.read(b.id + "/schemata") == want + "\n", t.everything()
            b.delete("--force")


@test("a group that exists must have the same schemata; blanks, zeros and the order of domains do not matter")
def existing():
    for text in (f"    {L3}\n    {MB}\n", "L3:1=00f;0=0F0\nMB:1=70;0=20\n", f"L3:0=f0;1=f;2=7ff\n{MB}\n"):
        with Tree() as t, Bundle(rdt(closID="gold", l3CacheSchema=L3, memBwSchema=MB)) as b:
            t.group("gold", text)
            b.create()
            assert t.read("gold/tasks") == str(b.pid()), t.everything()
            b.delete("--force")
            assert os.path.isdir(t.path + "/gold")
    for text, word in ((f"L3:0=f0;1=ff\n{MB}\n", "l3CacheSchema"), (f"{L3}\nMB:0=20\n", "memBwSchema"),
                       (f"{MB}\n", "l3CacheSchema"), ("", "l3CacheSchema"), (f"{L3}\nMB:0=32;1=112\n", "memBwSchema")):
        with Tree() as t, Bundle(rdt(closID="gold", l3CacheSchema=L3, memBwSchema=MB)) as b:
            t.group("gold", text)
            before = t.everything()
            fails(b.create(check=False), word)
            assert t.everything() == before, t.everything()


@test("a group of the container's name that somebody else made is an error and stays")
def taken():
    with Tree() as t, Bundle(rdt(l3CacheSchema=L3)) as b:
        t.group(b.id)
        before = t.everything()
        fails(b.create(check=False), b.id)
        assert t.everything() == before


@test("enableMonitoring: a monitoring group of the container's name in its group, gone at delete")
def monitoring():
    for conf, parent in (({"closID": "gold"}, "gold/"), ({"closID": "/"}, ""), ({}, None)):
        with Tree() as t, Bundle(rdt(enableMonitoring=True, **conf)) as b:
            t.group("gold")
            before = set(t.everything())
            if parent is None:
                parent = b.id + "/"
            b.save(command_args("pause"))
            b.create()
            assert t.read(f"{parent}mon_groups/{b.id}/tasks") == str(b.pid()), t.everything()
            b.delete("--force")
            assert set(t.everything()) == before, t.everything()


@test("a monitoring group that cannot be made is an error; what was made before it goes again")
def monitoring_fails():
    with Tree() as t, Bundle(rdt(enableMonitoring=True, closID="gold")) as b:
        t.group("gold")
        os.rmdir(t.path + "/gold/mon_groups")
        write(t.path + "/gold/mon_groups", "")
        before = t.everything()
        fails(b.create(check=False), "monitoring group")
        assert set(t.everything()) == set(before), t.everything()


@test("when create fails later, nothing that was made stays, named groups neither")
def undone():
    for conf in ({"closID": "new"}, {}):
        with Tree() as t, Bundle(rdt(l3CacheSchema=L3, enableMonitoring=True, **conf)) as b:
            before = t.everything()
            b.save({"mounts": MOUNTS + [{"destination": "/x", "type": "bind", "source": "/nowhere"}]})
            fails(b.create(check=False), "/nowhere")
            assert t.everything() == before, t.everything()


@test("bad lines and bad names are errors")
def bad_values():
    with Tree() as t:
        before = t.everything()
        for conf, word in (({"memBwSchema": "L3:0=f"}, "memBwSchema"),
                           ({"memBwSchema": "MB:0=1\nL3:0=1"}, "memBwSchema"),
                           ({"l3CacheSchema": "L3:0=f\n"}, "l3CacheSchema"),
                           ({"schemata": ["L3:0=1", "x\ny"]}, "/schemata/1"),
                           ({"closID": "a/b"}, "closID"), ({"closID": ".."}, "closID"),
                           ({"closID": "info"}, "closID"), ({"closID": "mon_groups"}, "closID")):
            with Bundle(rdt(**merge({"l3CacheSchema": L3}, conf))) as b:
                fails(b.create(check=False), word)
        assert t.everything() == before, t.everything()


@test("a container without intelRdt does not touch resctrl")
def not_touched():
    with Tree() as t, Bundle() as b:
        before = {n: os.stat(f"{t.path}/{n}").st_mtime_ns for n in ("tasks", "schemata", "mon_groups")}
        b.up()
        b.delete("--force")
        assert {n: os.stat(f"{t.path}/{n}").st_mtime_ns for n in before} == before


@test("update writes the schemata of the group")
def update():
    with Tree() as t, Bundle(rdt(l3CacheSchema=L3)) as b:
        b.up()
        run_davit("update", "--l3-cache-schema", "L3:0=1;1=1", "--mem-bw-schema", MB, b.id, check=True)
        assert t.read(b.id + "/schemata") == f"L3:0=1;1=1\n{MB}\n", t.everything()
        fails(run_davit("update", "--mem-bw-schema", "XX:1", b.id), "memBwSchema")
        before = t.read(b.id + "/schemata")
        for resources in ("{", '{"cpu": {"cpus": "4000"}}'):
            fails(run_davit("update", "--l3-cache-schema", "L3:0=2;1=2", "-r", "-", b.id, stdin=resources))
            assert t.read(b.id + "/schemata") == before, t.everything()
        b.delete("--force")
    with Bundle() as b:
        b.up()
        fails(run_davit("update", "--l3-cache-schema", L3, b.id), "resctrl")
        b.delete("--force")


@test("a host without resctrl is a clear error; a stand-in that others can write to is not taken")
def no_resctrl():
    if " - resctrl " in read("/proc/self/mountinfo"):
        raise Skip("the host has resctrl")
    with Bundle(rdt(closID="gold")) as b:
        fails(b.create(check=False), "resctrl", "/linux/intelRdt")
    with Tree() as t, Bundle(rdt(closID="gold")) as b:
        t.group("gold")
        os.chmod(t.path, 0o777)
        fails(b.create(check=False), "resctrl")
        os.chmod(t.path, 0o755)
        os.chown(t.path, 1000, 1000)
        fails(b.create(check=False), "resctrl")


main()
