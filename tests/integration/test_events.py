#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""events: the statistics line, the stream, news of OOM kills."""
from davit import *

MB = 1 << 20


def limited(megabytes):
    return {"linux": {"resources": {"memory": {"limit": megabytes * MB, "swap": megabytes * MB}}}}


def stats(b):
    lines = run_davit("events", "--stats", b.id, check=True).out.splitlines()
    assert len(lines) == 1, lines
    return json.loads(lines[0])


def lines_of(process, seconds=15):
    """All lines of an ended stream."""
    out, err = process.communicate(timeout=seconds * FACTOR)
    assert process.returncode == 0, (process.returncode, out, err)
    return [json.loads(line) for line in out.decode().splitlines()]


@test("events --stats prints one line with the keys that readers expect")
def shape():
    with Bundle() as b:
        b.up()
        doc = stats(b)
        assert doc["type"] == "stats" and doc["id"] == b.id, doc
        assert set(doc) == {"type", "id", "data"}, doc
        data = doc["data"]
        assert set(data) == {"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt",
                             "network_interfaces"}, data
        assert {"total", "kernel", "user"} <= set(data["cpu"]["usage"]), data["cpu"]
        assert {"periods", "throttledPeriods", "throttledTime"} <= set(data["cpu"]["throttling"])
        for part in ("usage", "swap", "kernel", "kernelTCP"):
            assert {"limit", "usage", "failcnt"} <= set(data["memory"][part]), data["memory"]
        for entry in data["hugetlb"].values():
            assert set(entry) == {"usage", "max", "failcnt"}, entry


@test("the numbers are those of the kernel's files")
def numbers():
    with Bundle(limited(64)) as b:
        b.conf["linux"]["resources"]["pids"] = {"limit": 17}
        b.up()
        path = group_of(b.pid(), "memory")[0]
        data = stats(b)["data"]
        assert data["memory"]["usage"]["limit"] == 64 * MB, data["memory"]["usage"]
        assert data["memory"]["usage"]["usage"] > 0
        stat = dict(line.split() for line in read(path + "/memory.stat").splitlines())
        assert set(data["memory"]["raw"]) == set(stat), set(stat) ^ set(data["memory"]["raw"])
        assert data["pids"]["current"] == 1 and data["pids"]["limit"] == 17, data["pids"]
        assert data["memory"]["oomKills"] == 0


@test("peak memory is told after the memory was given back")
def peak():
    with Bundle(limited(64)) as b:
        b.up()
        b.exec("hog", "24", check=True)
        memory = stats(b)["data"]["memory"]
        if "peak" not in memory:
            raise Skip("this kernel does not tell the peak")
        assert memory["peak"] >= 24 * MB > memory["usage"]["usage"], memory


@test("pressure and the peak are those of the kernel's files, and grow when a limit bites")
def pressure():
    with Bundle({"linux": {"resources": {"cpu": {"quota": 10000, "period": 100000}}}}) as b:
        b.up()
        path, version = group_of(b.pid(), "cpu")
        if version == 1 or not os.path.exists(path + "/cpu.pressure"):
            raise Skip("this host's groups do not tell pressure")
        before = stats(b)["data"]
        b.exec("spin", "0.5", check=True)
        after = stats(b)["data"]
        for part in ("cpu", "memory", "blkio"):
            for line in ("some", "full"):
                psi = after[part]["psi"][line]
                assert set(psi) == {"avg10", "avg60", "avg300", "total"}, psi
        grown = [d["cpu"]["psi"]["some"]["total"] for d in (before, after)]
        assert grown[0] < grown[1], grown
        words = read(path + "/cpu.pressure").splitlines()[0].split()
        assert words[0] == "some" and int(words[-1].split("=")[1]) >= grown[1], (words, grown)
        assert after["cpu"]["throttling"]["throttledPeriods"] >= 1, after["cpu"]["throttling"]
        if os.path.exists(path + "/memory.peak"):
            assert after["memory"]["peak"] <= int(read(path + "/memory.peak")), after["memory"]["peak"]
            assert after["memory"]["peak"] >= after["memory"]["usage"]["usage"] > 0, after["memory"]


@test("processor time grows with use, in nanoseconds")
def cpu_time():
    with Bundle() as b:
        b.up()
        before = stats(b)["data"]["cpu"]["usage"]
        for _ in range(5):  # a busy machine may give little of the 0.3 s
            b.exec("spin", "0.3", check=True)
            after = stats(b)["data"]["cpu"]["usage"]
            grown = (after["total"] - before["total"]) / 1e9
            if grown > 0.05:
                break
        assert 0.05 < grown < 5 * FACTOR, (before, after)
        if "percpu" in after:
            assert sum(after["percpu"]) <= after["total"] * 1.01 + 1e6, after
            assert all(isinstance(n, int) for n in after["percpu"])


@test("a created and a paused container have statistics")
def created():
    with Bundle() as b:
        b.save(command_args("pause"))
        b.create()
        assert stats(b)["id"] == b.id
        b.start()
        run_davit("pause", b.id, check=True)
        assert stats(b)["data"]["pids"]["current"] >= 1
        run_davit("resume", b.id, check=True)


@test("a stopped container, an unknown one and a full device are errors")
def refused():
    with Bundle() as b:
        b.up("true")
        b.wait_stopped()
        for flags in (["--stats"], []):
            fails(run_davit("events", *flags, b.id), "container not running")
        fails(run_davit("events", "--stats", unique()), "does not exist")
    with Bundle() as b, open("/dev/full", "w") as full:
        b.up()
        fails(run_davit("events", "--stats", b.id, stdout=full), "no space left on device")
        fails(run_davit("events", b.id, stdout=full), "no space left on device")
        fails(run_davit("events", "--interval", "soon", b.id), "--interval")


@test("the stream repeats the statistics and ends with the container")
def stream():
    with Bundle() as b:
        b.up()
        process = b.spawn("--interval", "50ms", verb="events")
        time.sleep(0.6 * FACTOR)
        b.kill("KILL")
        b.wait_stopped()
        found = lines_of(process)
        assert len(found) >= 4, found
        assert {d["type"] for d in found} == {"stats"} and {d["id"] for d in found} == {b.id}


@test("an OOM kill in the container is a line of its own, also when it ends the container")
def oom():
    with Bundle(limited(16)) as b:
        b.up()
        process = b.spawn("--interval", "60s", verb="events")
        with process:
            assert json.loads(process.stdout.readline())["type"] == "stats"
            b.exec("hog", "64")
            line = json.loads(process.stdout.readline())
            assert line == {"type": "oom", "id": b.id}, line
            assert b.state()["status"] == "running"
            b.kill("KILL")
            b.wait_stopped()
            lines_of(process)
    with Bundle(limited(16)) as b:
        b.save(command_args("hog", "64"))
        b.create()
        process = b.spawn("--interval", "60s", verb="events")
        with process:
            assert json.loads(process.stdout.readline())["type"] == "stats"
            b.start()
            b.wait_stopped()
            found = lines_of(process)
            assert {"type": "oom", "id": b.id} in found, found


@test("a stream with nothing to tell does not use the processor")
def idle():
    with Bundle() as b:
        b.up()
        process = b.spawn("--interval", "30s", verb="events")
        with process:
            process.stdout.readline()
            time.sleep(0.3)
            used = lambda: sum(map(int, read(f"/proc/{process.pid}/stat").rsplit(") ", 1)[1]
                                   .split()[11:13]))
            before = used()
            time.sleep(0.7)
            assert used() - before <= 3, used() - before
            b.kill("KILL")
            b.wait_stopped()
            lines_of(process)


main()
