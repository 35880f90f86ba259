#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""linux.netDevices: devices that the container gets from the runtime's network namespace."""
import functools

from davit import *

def devices(**names):
    """netDevices: the name outside -> the name inside, or None for the same."""
    return {"linux": {"netDevices": {k: {"name": v} if v else {} for k, v in names.items()}},
            "process": {"capabilities": privileged()}}


def networked(function):
    """In a network namespace of its own that has the veth pair dv0 and dv1."""
    if not shutil.which("ip"):
        raise Skip("needs ip(8)")

    def body():
        if libc.unshare(0x40000000) < 0:
            raise AssertionError("unshare of the network namespace")
        if run_command(["ip", "link", "add", "dv0", "type", "veth", "peer", "name", "dv1"]).rc:
            raise Skip("this kernel has no veth devices")
        function()

    @functools.wraps(function)
    def run():
        isolated(body)
    return run


def ip(*args):
    return run_command(["ip", *args], check=True).out


def inside(b, *args):
    """ip(8) in the network namespace of the running container."""
    return run_command(["nsenter", "-n", "-t", str(b.pid()), "ip", *args], check=True).out


def here():
    return {l.split(":")[1].strip().split("@")[0] for l in ip("-o", "link").splitlines()}


def there(b):
    return {l.split(":")[1].strip().split("@")[0] for l in inside(b, "-o", "link").splitlines()}


@test("a device is moved, is up, keeps its permanent addresses, and is gone from the host")
@networked
def moved():
    ip("addr", "add", "192.0.2.1/24", "dev", "dv0")
    ip("addr", "add", "198.51.100.7/32", "dev", "dv0")
    ip("addr", "add", "2001:db8::7/64", "dev", "dv0", "nodad")
    ip("link", "set", "dv0", "mtu", "1400", "address", "02:00:00:00:00:07")
    with Bundle(devices(dv0=None)) as b:
        b.up()
        assert "dv0" not in here() and {"dv0", "lo"} <= there(b), (here(), there(b))
        text = inside(b, "addr", "show", "dv0")
        for want in ("192.0.2.1/24", "198.51.100.7/32", "2001:db8::7/64", "mtu 1400", "02:00:00:00:00:07"):
            assert want in text, (want, text)
        assert ",UP" in text or "<UP" in text, text
        b.delete("--force")


@test("a device gets the name that is asked for")
@networked
def renamed():
    ip("addr", "add", "192.0.2.1/24", "dev", "dv0")
    ip("link", "set", "dv0", "up")
    with Bundle(devices(dv0="eth0", dv1="a-name_15.chars")) as b:
        b.up()
        assert {"eth0", "a-name_15.chars"} <= there(b) and not {"dv0", "dv1"} & there(b), there(b)
        assert "192.0.2.1/24" in inside(b, "addr", "show", "eth0")
        b.delete("--force")


@test("a %d in the new name lets the kernel find a free number")
@networked
def template():
    with Bundle(devices(dv0="eth%d", dv1="eth%d")) as b:
        b.up()
        assert {"eth0", "eth1"} <= there(b), there(b)
        b.delete("--force")


@test("a name that is taken is an error, and the device stays where it was")
@networked
def taken():
    for over in (devices(dv0="lo"), devices(dv0="eth0", dv1="eth0")):
        with Bundle(over) as b:
            fails(b.create(check=False), "netDevices")
        assert "dv0" in here(), here()
        if "dv1" not in here():
            raise AssertionError(f"dv1 is gone: {here()}")


@test("a device that is not there, and a bad name, are errors that name it")
@networked
def missing():
    for over in (devices(nosuch=None), devices(dv0="a/b"), devices(dv0="x" * 16), devices(dv0=".."),
                 devices(**{"a b": None}), devices(**{"": None})):
        with Bundle(over) as b:
            fails(b.create(check=False), "netDevices")
        assert {"dv0", "dv1"} <= here(), here()


@test("devices without a network namespace of the container's own are refused")
@networked
def without_namespace():
    over = merge(devices(dv0=None), {"linux": {"namespaces": namespaces("pid", "ipc", "uts", "mount")}})
    with Bundle(over) as b:
        fails(b.create(check=False), "network namespace")
    assert "dv0" in here()


@test("a joined network namespace gets the device too")
@networked
def joined():
    with Bundle() as first:
        first.up()
        over = merge(devices(dv0="eth0"),
                     {"linux": {"namespaces": namespaces("pid", "ipc", "uts", "mount",
                                                         network=f"/proc/{first.pid()}/ns/net")}})
        with Bundle(over) as b:
            b.up()
            assert "eth0" in there(b) and "eth0" in there(first), there(b)
            b.delete("--force")
        assert "eth0" in there(first), there(first)
        first.delete("--force")


@test("after the start nothing is done to the device, and it is not taken back")
@networked
def left_alone():
    with Bundle(devices(dv0="eth0")) as b:
        b.up()
        inside(b, "link", "set", "eth0", "down")
        inside(b, "link", "set", "eth0", "name", "mine")
        assert "mine" in there(b) and "UP" not in inside(b, "-o", "link", "show", "mine").split(">")[0].split(",")
        b.delete("--force")
    eventually(lambda: "dv0" not in here(), "dv0 gone with its namespace")


main()
