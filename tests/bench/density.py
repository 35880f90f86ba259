#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts many containers at once, each with a web server in a network namespace of its own.

density.py [--tsv FILE] [--small] [N] [RUNTIME...]     (needs root)

For each runtime in turn: memory of the host per container, superblocks, state directory, the last 50
starts beside floor's in the same crowd, list and state, and whether all servers answer. Everything is
removed afterwards. A large crowd leaves every later memory cgroup of that boot dearer: run it last.

What a container takes is what MemFree loses. MemAvailable loses less: to it, half of the directory entries
and inodes are free again on demand, but those of a container that lives are in use.
"""
import argparse
import os
import signal
import subprocess
import sys
import time

import stand
from stand import TAG, bundle, call, median, pace, path

SERVER = ["/bin/httpd", "-f", "-p", "80", "-h", "/www"]
SMALL = ["/bin/server"]
LAST = 50
KINDS = "MemFree MemAvailable Slab SUnreclaim KernelStack PageTables Percpu AnonPages".split()
KERNEL = "SUnreclaim KernelStack PageTables Percpu".split()


def memory():
    """KiB by kind, after what dies has died."""
    time.sleep(1)
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")
    time.sleep(1)
    lines = dict(line.split(":") for line in stand.read("/proc/meminfo").splitlines())
    return {kind: int(lines[kind].split()[0]) for kind in KINDS}


def superblocks(pids):
    """File systems mounted in the containers and not here, by device number."""
    def mounted(pid):
        return {line.split()[2] for line in stand.read(f"/proc/{pid}/mountinfo").splitlines()}
    here = mounted("self")
    return len(set().union(*(mounted(pid) - here for pid in pids)))


def answers(pids):
    """(answered, complaints)"""
    done = subprocess.run([path("crowd")], input="\n".join(map(str, pids)) + "\n", text=True,
                          capture_output=True, check=False)
    return int(done.stdout.split()[0]), done.stderr.splitlines()[:3]


class Crowd:
    """Containers of one runtime."""

    def __init__(self, runtime):
        self.runtime, self.pids, self.children = runtime, [], []
        self.floor = runtime.name == "floor"

    def add(self, number):
        """Starts one; milliseconds of create and start, None for floor, which stays beside its own."""
        if self.floor:
            child = subprocess.Popen(self.runtime.run("", *SERVER), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL)
            self.children.append(child)
            return None
        name, pidfile = f"{TAG}-{number}", path("crowd.pid")
        where = bundle("crowd", *SERVER, group=f"/{TAG}-{number}")
        rows = pace(self.runtime.cmd("create", "--bundle", where, "--pid-file", pidfile, name))
        rows += pace(self.runtime.cmd("start", name))
        if any(row[3] for row in rows):
            raise RuntimeError(f"{self.runtime.name}: container {number} does not start")
        self.pids.append(int(stand.read(pidfile)))
        return sum(row[0] for row in rows)

    def settle(self):
        """For floor: finds the pids, when all have come as far as exec."""
        end = time.monotonic() + 20
        for child in self.children:
            while time.monotonic() < end:
                below = stand.read(f"/proc/{child.pid}/task/{child.pid}/children").split()
                if below and stand.read(f"/proc/{below[0]}/comm").strip() == os.path.basename(SERVER[0]):
                    self.pids.append(int(below[0]))
                    break
                time.sleep(0.01)

    def remove(self, count):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        for child in self.children:
            child.wait(20)
        if not self.floor:
            for number in range(count):
                call(*self.runtime.cmd("delete", "--force", f"{TAG}-{number}"), check=False)
        stand.reap()


def last_starts(crowd, base, count):
    """Median ms of davit's `run` of true and of floor's, in turns, in the crowd."""
    where = bundle("true", "/bin/true", group=f"/{TAG}-last")
    samples = {crowd.runtime: [], base: []}
    for _ in range(min(LAST, count)):
        for runtime, rows in samples.items():
            rows += pace(runtime.run(where, "/bin/true"))
    return [median([row[0] for row in rows]) for rows in samples.values()]


def measure(runtime, base, count, tsv):
    crowd = Crowd(runtime)
    before = memory()
    figures = {}
    try:
        times = [crowd.add(number) for number in range(count)]
        crowd.settle()
        answered, complaints = answers(crowd.pids)
        figures["answering"] = answered
        after = memory()
        for kind in KINDS:
            sign = -1 if kind.startswith("Mem") else 1
            figures[f"{kind} KiB each"] = sign * (after[kind] - before[kind]) / count
        figures["kernel KiB each"] = sum(after[k] - before[k] for k in KERNEL) / count
        figures["superblocks each"] = superblocks(crowd.pids) / count
        figures["processes each"] = len(stand.descendants()) / count
        if not crowd.floor:
            files, size = stand.disk_size(runtime.root)
            figures["state files each"], figures["state KiB each"] = files / count, size / count
            figures["first 20 starts ms"] = median(times[:20])
            figures["last 20 starts ms"] = median(times[-20:])
            one = f"{TAG}-{count // 2}"
            figures["list ms"] = median([r[0] for r in pace(runtime.cmd("list"), 1, 5)])
            figures["state ms"] = median([r[0] for r in pace(runtime.cmd("state", one), 1, 5)])
            mine, floor = last_starts(crowd, base, count)
            figures["run in the crowd ms"], figures["floor in the crowd ms"] = mine, floor
            figures["run / floor"] = mine / floor
        for line in complaints:
            print(f"# {runtime.name}: {line}")
    finally:
        crowd.remove(count)
    for key, value in figures.items():
        tsv.write(f"{runtime.name}\t{count}\t{key}\t{value:.3f}\n")
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tsv", default=os.devnull)
    parser.add_argument("--small", action="store_true", help="a server of two pages, not busybox's")
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("runtime", nargs="*")
    args = parser.parse_args()
    stand.mount_namespace()
    stand.compile_tools(*(["server"] if args.small else []))
    if args.small:
        SERVER[:] = SMALL
    stand.rootfs_make()
    stand.filter_export(path("filter"))
    kinds = stand.runtimes(args.runtime)
    for line in stand.machine() + [f"{r.name}: {r.version}" for r in kinds]:
        print("# " + line)
    good = True
    found = {}
    os.makedirs(os.path.dirname(os.path.abspath(args.tsv)), exist_ok=True)
    with open(args.tsv, "w", encoding="utf-8") as tsv:
        tsv.write("runtime\tcontainers\tfigure\tvalue\n")
        for runtime in kinds:
            found[runtime.name] = measure(runtime, kinds[0], args.count, tsv)
            good = good and found[runtime.name]["answering"] == args.count
    print(f"\n{str(args.count) + ' containers':26}" + "".join(f"{r.name:>10}" for r in kinds))
    for key in dict.fromkeys(k for f in found.values() for k in f):
        cells = [f"{f[key]:10.2f}" if key in f else f"{'-':>10}" for f in found.values()]
        print(f"{key:26}{''.join(cells)}")
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code = main()
    finally:
        stand.clean()
    sys.exit(code)
