#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Host name, domain name and sysctls."""
from davit import *


@test("hostname and domainname are set inside and not on the host")
def names():
    before = os.uname().nodename, read("/proc/sys/kernel/domainname")
    with Bundle({"hostname": "box.example", "domainname": "example.test"}) as b:
        facts = b.probe("uts", "+", "read", "/proc/sys/kernel/hostname")
        assert facts["hostname"] == "box.example" and facts["domainname"] == "example.test", facts.text
        assert facts["read:/proc/sys/kernel/hostname"] == "box.example", facts.text
    assert (os.uname().nodename, read("/proc/sys/kernel/domainname")) == before


@test("without hostname that of the host stays visible in a new uts namespace")
def no_hostname():
    with Bundle({"hostname": None}) as b:
        assert b.probe("uts")["hostname"] == os.uname().nodename


@test("a hostname without an own uts namespace is an error; the host keeps its name")
def hostname_host():
    before = os.uname().nodename
    for over in ({"hostname": "evil"}, {"hostname": None, "domainname": "evil"}):
        with Bundle(over) as b:
            b.save({"linux": {"namespaces": namespaces("pid", "ipc", "mount", "network")}})
            fails(b.create(check=False))
    assert os.uname().nodename == before


@test("a hostname that is too long is an error")
def hostname_long():
    with Bundle({"hostname": "x" * 65}) as b:
        fails(b.create(check=False))
    with Bundle({"hostname": "x" * 64}) as b:
        assert b.probe("uts")["hostname"] == "x" * 64


def sysctl(**values):
    return {"linux": {"sysctl": {k.replace("__", "."): v for k, v in values.items()}}}


@test("sysctls of the container's namespaces are set")
def sysctl_set():
    over = sysctl(net__core__somaxconn="256", kernel__shmmax="1048576", kernel__msgmax="4096",
                  fs__mqueue__msg_max="7", kernel__sem="10 100 5 20")
    with Bundle(over) as b:
        facts = b.probe("read", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/shmmax",
                        "/proc/sys/kernel/msgmax", "/proc/sys/fs/mqueue/msg_max", "/proc/sys/kernel/sem")
        assert facts["read:/proc/sys/net/core/somaxconn"] == "256", facts.text
        assert facts["read:/proc/sys/kernel/shmmax"] == "1048576", facts.text
        assert facts["read:/proc/sys/kernel/msgmax"] == "4096", facts.text
        assert facts["read:/proc/sys/fs/mqueue/msg_max"] == "7", facts.text
        assert facts["read:/proc/sys/kernel/sem"].split() == ["10", "100", "5", "20"], facts.text


@test("the slash form of a sysctl name works")
def sysctl_slash():
    with Bundle({"linux": {"sysctl": {"net/core/somaxconn": "300"}}}) as b:
        facts = b.probe("read", "/proc/sys/net/core/somaxconn")
        assert facts["read:/proc/sys/net/core/somaxconn"] == "300", facts.text


@test("sysctls work although /proc/sys is a read-only path")
def sysctl_readonly_proc():
    with Bundle(sysctl(net__core__somaxconn="256")) as b:
        assert "/proc/sys" in b.conf["linux"]["readonlyPaths"]
        facts = b.probe("read", "/proc/sys/net/core/somaxconn")
        assert facts["read:/proc/sys/net/core/somaxconn"] == "256"


@test("sysctls of the host, and of namespaces not owned, are refused and stay as they are")
def sysctl_refused():
    cases = [("kernel.core_pattern", "|/tmp/evil", NAMESPACES), ("kernel.sysrq", "0", NAMESPACES),
             ("vm.swappiness", "1", NAMESPACES), ("kernel.pid_max", "1000", ["network", "ipc", "uts", "mount"]),
             ("net.core.somaxconn", "5", ["pid", "ipc", "uts", "mount"]),
             ("kernel.shmmax", "5", ["pid", "network", "uts", "mount"]),
             ("fs.mqueue.msg_max", "5", ["pid", "network", "uts", "mount"]),
             ("fs.file-max", "5", NAMESPACES)]
    for key, value, kinds in cases:
        path = "/proc/sys/" + key.replace(".", "/")
        before = read(path) if os.path.exists(path) else None
        over = {"hostname": None, "linux": {"namespaces": namespaces(*kinds), "sysctl": {key: value}}}
        with Bundle(over) as b:
            b.conf["mounts"] = [m for m in MOUNTS if m["type"] not in ("mqueue", "sysfs")]
            r = b.create(check=False)
            assert r.rc != 0 and key in r.err, (key, kinds, r)
        if before is not None:
            assert read(path) == before, f"{key} of the host was changed"


@test("sysctl names that are paths or hold control characters are refused")
def sysctl_paths():
    for key in ("net.../../kernel.sysrq", "net/../kernel/sysrq", "../sys/kernel/sysrq", "/proc/sys/kernel/sysrq",
                "net.core.somaxconn\n", "kernel.shm_rmid_forced/../sysrq", "", ".", "net."):
        with Bundle({"linux": {"sysctl": {key: "1"}}}) as b:
            fails(b.create(check=False))


@test("an unknown sysctl and a refused value are errors that name the key")
def sysctl_bad_value():
    for key, value in (("net.no_such.key", "1"), ("net.core.somaxconn", "many")):
        with Bundle({"linux": {"sysctl": {key: value}}}) as b:
            r = fails(b.create(check=False))
            assert key in r.err or key.replace(".", "/") in r.err, r


main()
