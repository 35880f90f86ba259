#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures davit beside floor.c, crun and runc, in turns, and prints one table.

bench.py [--quick] [--tsv FILE] [--only NAME]... [RUNTIME...]     (needs root)

Environment: DAVIT, CRUN, RUNC name other programs; BENCH_CPU the processor to pin to; TEST_FACTOR multiplies
the time limits.
docs/performance.md tells the method and how to read the table.
"""
import argparse
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import stand
from stand import TAG, bundle, call, lanes, live, median, pace, path, pin

INSIDE = """
for n in pid mnt net ipc uts cgroup user; do echo "ns $n $(readlink /proc/self/ns/$n)"; done
while read -r line; do echo "mount $line"; done </proc/self/mountinfo
while read -r line; do echo "status $line"; done </proc/self/status
for n in /dev/*; do echo "dev $(ls -ln "$n")"; done
echo "umask $(umask)"
"""
LIMITS = [*range(48, 512, 16), *range(512, 1024, 64), *(1024 * n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32))]
KEYS = "create start delete".split()
USER = 1000  # who runs the rootless bundle; it need not exist
PARTS = "run steps live bundles systemd calls limit parallel".split()
SYSTEMD = "--systemd-cgroup"


class Table:
    """Samples by (case, runtime); rows of the output."""

    def __init__(self, tsv):
        self.samples, self.calls, self.tsv = {}, {}, tsv
        self.tsv.write("case\truntime\tround\twall_ms\tcpu_ms\tmaxrss_kib\tstatus\n")

    def add(self, case, runtime, turn, rows):
        for wall, cpu, rss, status in rows:
            self.samples.setdefault((case, runtime.name), []).append((wall, cpu, rss))
            self.tsv.write(f"{case}\t{runtime.name}\t{turn}\t{wall:.4f}\t{cpu:.3f}\t{rss}\t{status}\n")
            if status:
                raise RuntimeError(f"{runtime.name}: {case}: exit status {status}")

    def summary(self, case, name):
        """Least wall time, median wall time, median CPU time."""
        rows = self.samples.get((case, name))
        return (min(r[0] for r in rows), median([r[0] for r in rows]), median([r[1] for r in rows])) if rows \
            else (None, None, None)


# ---- the same container? ----

def facts(runtime):
    """What a container of this runtime sees of itself."""
    where = bundle("inside", "/bin/sh", "-c", INSIDE)
    _, text = call(*[a.replace("@", "check") for a in runtime.run(where, "/bin/sh", "-c", INSIDE)])
    rows = [line.split() for line in text.splitlines() if line]
    status = {r[1].rstrip(":"): " ".join(r[2:]) for r in rows if r[0] == "status"}
    mounts = {}
    for row in (r for r in rows if r[0] == "mount"):
        mounts[row[5]] = (row[row.index("-") + 1], "ro" if "ro" in row[6].split(",") else "rw")
    return {
        "namespaces": sorted(r[1] for r in rows if r[0] == "ns" and
                             r[2] != os.readlink(f"/proc/self/ns/{r[1]}")),
        "capabilities": [status[k] for k in "CapInh CapPrm CapEff CapBnd CapAmb".split()],
        "seccomp": (status["Seccomp"], status.get("Seccomp_filters", "1")),
        "devices": sorted((r[10], r[1], r[5], r[6]) for r in rows if r[0] == "dev" and r[1][0] == "c"),
        "umask": [r[1] for r in rows if r[0] == "umask"],
        "mounts": mounts,
    }


def same_container(kinds):
    """Prints how many mounts each has; differences from floor that matter end the benchmark."""
    seen = {r.name: facts(r) for r in kinds}
    base = seen["floor"]
    bad = []
    for name, found in seen.items():
        lacks = sorted(set(base["mounts"]) - set(found["mounts"]))
        more = sorted(set(found["mounts"]) - set(base["mounts"]))
        print(f"# {name}: namespaces {','.join(found['namespaces'])}; {len(found['mounts'])} mounts"
              f"{'; not ' + ' '.join(lacks) if lacks else ''}{'; also ' + ' '.join(more) if more else ''}; "
              f"CapEff {found['capabilities'][2]}; Seccomp {found['seccomp'][0]}; "
              f"{len(found['devices'])} devices")
        bad += [f"{name}: {key} {found[key]}, floor has {base[key]}"
                for key in ("namespaces", "capabilities", "seccomp", "devices", "umask")
                if found[key] != base[key]]
        for p in sorted(set(base["mounts"]) & set(found["mounts"]) - {"/"}):
            if base["mounts"][p] != found["mounts"][p]:
                print(f"# {name}: {p} is {' '.join(found['mounts'][p])}, floor: {' '.join(base['mounts'][p])}")
    for line in bad:
        print(f"# DIFFERENT {line}")
    return not bad


# ---- cases ----

def turns(kinds, count):
    """(round, runtime), each round beginning with another one."""
    for turn in range(count):
        at = turn % len(kinds)
        for runtime in kinds[at:] + kinds[:at]:
            yield turn, runtime


def measure_run(table, kinds, rounds, cpu):
    where = bundle("true", "/bin/true", group="/" + TAG)
    small = bundle("nothing", "/bin/nothing", group="/" + TAG)
    every = os.sched_getaffinity(0)
    for turn, runtime in turns(kinds, rounds):
        pin({cpu})
        table.add("run", runtime, turn, pace(runtime.run(where, "/bin/true"), 1, 2))
        pin(every)
        table.add("run, 2 CPUs", runtime, turn, pace(runtime.run(where, "/bin/true"), 1, 2))
        if turn % 4 == 0:
            table.add("run, nothing", runtime, turn, pace(runtime.run(small, "/bin/nothing"), 0, 2))
    pin({cpu})
    for turn, runtime in turns(kinds, max(3, rounds // 2)):
        if runtime.name == "floor":
            rows = pace(runtime.run(where, "/bin/true"))
        else:
            rows = pace(runtime.run(where, root=path("states", "cold-@")))
        table.add("run, cold", runtime, turn, rows)


def measure_steps(table, kinds, rounds, where, flags=()):
    """create, start and delete of one container, the delete after its process has ended."""
    name, pidfile = TAG + "-steps", path("steps.pid")
    note = ", systemd" if flags else ""
    for turn, runtime in turns(kinds, rounds):
        for timed in (False, True):
            made = pace(runtime.cmd(*flags, "create", "--bundle", where, "--pid-file", pidfile, name))
            began = pace(runtime.cmd("start", name))
            if not stand.gone(int(stand.read(pidfile))):
                raise RuntimeError(f"{runtime.name}: the container of /bin/true does not end")
            over = pace(runtime.cmd("delete", name))
            if timed:
                for key, rows in zip(KEYS, (made, began, over)):
                    table.add(key + note, runtime, turn, rows)
                table.add("create+start+delete" + note, runtime, turn, [tuple(
                    max(part) if i > 1 else sum(part) for i, part in enumerate(zip(made[0], began[0], over[0])))])


def measure_shell(table, kinds, rounds, cpu):
    """The same from a shell, which does not wait for the process to end: delete has to kill it, or what is left."""
    where, name = bundle("true", "/bin/true", group="/" + TAG), TAG + "-shell"
    every = range(os.cpu_count())
    for turn, runtime in turns(kinds, rounds):
        line = " && ".join(shlex.join(runtime.cmd(*args)) for args in (
            ("create", "--bundle", where, name), ("start", name), ("delete", "--force", name)))
        for case, cpus in (("the same from sh", {cpu}), ("... 2 CPUs", every)):
            pin(cpus)
            table.add(case, runtime, turn, pace(["/bin/sh", "-c", line], 1))
    pin({cpu})


def measure_live(table, kinds, rounds):
    """Commands on one container that runs."""
    name = TAG + "-live"
    for turn, runtime in turns(kinds, max(2, rounds // 6)):
        where = bundle("live", "/bin/sleep", "1000", group=f"/{TAG}-live")
        with live(runtime, where, name):
            for case, args in (("exec", ("exec", name, "/bin/true")), ("state", ("state", name)),
                               ("list", ("list",)), ("--version", ("--version",))):
                table.add(case, runtime, turn, pace(runtime.cmd(*args), 1, 6))
            if runtime.name == "davit" or turn == 0:
                table.add("exec, nothing", runtime, turn, pace(runtime.cmd("exec", name, "/bin/nothing"), 0, 2))


# ---- other bundles ----

def many_mounts(conf):
    for i in range(200):
        os.makedirs(path("rootfs/m", str(i)), exist_ok=True)
        conf["mounts"].append({"destination": f"/m/{i}", "type": "bind", "source": path("rootfs/www"),
                               "options": ["bind", "ro", "nosuid", "nodev"]})


def long_environment(conf):
    conf["process"]["env"] += [f"VARIABLE_{i}={'x' * 1011}" for i in range(64)]


def user_namespace(conf):
    os.chmod(path(), 0o711)  # root of the namespace must reach the root file system
    conf["linux"]["namespaces"].append({"type": "user"})
    for key in ("uidMappings", "gidMappings"):
        conf["linux"][key] = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def rootless(conf):
    """As USER, who has no second id and no cgroups."""
    conf["linux"]["namespaces"] = [n for n in conf["linux"]["namespaces"] if n["type"] != "cgroup"]
    conf["linux"]["namespaces"].append({"type": "user"})
    for key in ("uidMappings", "gidMappings"):
        conf["linux"][key] = [{"containerID": 0, "hostID": USER, "size": 1}]
    conf["mounts"] = [m for m in conf["mounts"] if m["type"] != "cgroup"]
    for mount in conf["mounts"]:
        mount["options"] = [o for o in mount["options"] if o != "gid=5"]
    del conf["linux"]["resources"]


def measure_rootless(table, kinds, rounds):
    os.chmod(path(), 0o711)  # the user must reach the root file system
    where = bundle("rootless", "/bin/true", change=rootless)
    roots = {}
    for runtime in kinds:
        roots[runtime.name] = path("states", runtime.name + "-user")
        os.makedirs(roots[runtime.name], 0o700)
        os.chown(roots[runtime.name], USER, USER)
    for turn, runtime in turns(kinds, max(2, rounds // 3)):
        argv = runtime.run(where, root=roots[runtime.name])
        if runtime.name != "runc":
            argv.insert(1, "--cgroup-manager=disabled")
        table.add("rootless", runtime, turn, pace(argv, 1, 2, USER))


BUNDLES = {"200 mounts": many_mounts, "64 KiB of env": long_environment, "user namespace": user_namespace}


def measure_bundles(table, kinds, rounds):
    """`run` of bundles that floor cannot run."""
    wheres = {case: bundle("other" + str(i), "/bin/true", group="/" + TAG, change=change)
              for i, (case, change) in enumerate(BUNDLES.items())}
    for case, where in wheres.items():
        for turn, runtime in turns(kinds, max(2, rounds // 3)):
            table.add(case, runtime, turn, pace(runtime.run(where), 1, 2))
        for runtime in kinds if shutil.which("strace") else ():
            argv = [a.replace("@", "strace") for a in runtime.run(where)]
            table.calls[case, runtime.name] = strace_total(argv)
    measure_rootless(table, kinds, rounds)


# ---- the systemd cgroup manager ----

def measure_systemd(table, kinds, rounds):
    """run, the steps and exec; each container is a scope of its own."""
    if not os.path.isdir("/run/systemd/system"):
        print("# no systemd here: its manager is not measured")
        return
    where = bundle("systemd", "/bin/true", group=f"system.slice:{TAG}:sd")
    for turn, runtime in turns(kinds, max(2, rounds // 3)):
        table.add("run, systemd", runtime, turn, pace(runtime.run(where, flags=[SYSTEMD]), 1, 2))
    measure_steps(table, kinds, max(2, rounds // 3), where, [SYSTEMD])
    sleeps = bundle("systemd-live", "/bin/sleep", "1000", group=f"system.slice:{TAG}:live")
    enter = SYSTEMD, "exec", TAG + "-live", "/bin/true"
    for turn, runtime in turns(kinds, max(2, rounds // 6)):
        with live(runtime, sleeps, TAG + "-live", [SYSTEMD]):
            table.add("exec, systemd", runtime, turn, pace(runtime.cmd(*enter), 1, 3))
            if turn == 0 and shutil.which("strace"):
                table.calls["exec, systemd", runtime.name] = strace_total(runtime.cmd(*enter))
    for runtime in kinds if shutil.which("strace") else ():
        argv = [a.replace("@", "strace") for a in runtime.run(where, flags=[SYSTEMD])]
        table.calls["run, systemd", runtime.name] = strace_total(argv)


# ---- system calls ----

def strace_total(argv):
    log = path("strace")
    call("strace", "-f", "-qq", "-c", "-o", log, *argv)
    found = re.findall(r"^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)(?:\s+\d+)?\s+total", stand.read(log), re.M)
    return int(found[0])


def strace_create(runtime, where, name):
    """The init of the container waits for start, so it is killed when create has ended."""
    log, pidfile = path("strace"), path("strace.pid")
    with subprocess.Popen(["strace", "-f", "-o", log, *runtime.cmd(
            "create", "--bundle", where, "--pid-file", pidfile, name)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        end = time.monotonic() + 10 * stand.FACTOR
        while time.monotonic() < end and '"created"' not in call(*runtime.cmd("state", name), check=False)[1]:
            time.sleep(0.05)
        time.sleep(0.1)
        call(*runtime.cmd("delete", "--force", name), check=False)
        child.wait(10 * stand.FACTOR)
    return len([line for line in stand.read(log).splitlines()
                if "(" in line and not re.match(r"\d+\s+(<\.\.\.|\+\+\+|---)", line)])


def count_calls(table, kinds):
    where = bundle("true", "/bin/true", group="/" + TAG)
    for runtime in kinds:
        run = [a.replace("@", "strace") for a in runtime.run(where, "/bin/true")]
        strace_total(run)
        table.calls["run", runtime.name] = strace_total(run)
        if runtime.name == "floor":
            continue
        table.calls["create", runtime.name] = strace_create(runtime, where, TAG + "-strace")
        with live(runtime, bundle("live", "/bin/sleep", "1000", group=f"/{TAG}-live"), TAG + "-live"):
            for case, args in (("exec", ("exec", TAG + "-live", "/bin/true")), ("state", ("state", TAG + "-live")),
                               ("list", ("list",)), ("--version", ("--version",))):
                table.calls[case, runtime.name] = strace_total(runtime.cmd(*args))


# ---- memory limits, parallel starts ----

def works(runtime, kib):
    where = bundle("limit", "/bin/true", group=f"/{TAG}-limit", memory={"limit": kib * 1024})
    for i in range(2):
        status, _ = call(*[a.replace("@", f"limit{i}") for a in runtime.run(where)], check=False, timeout=10)
        if status != 0:
            call(*runtime.cmd("delete", "--force", f"{TAG}-limit{i}"), check=False)
            return False
    return True


def smallest_limit(runtime):
    low, high = 0, len(LIMITS) - 1
    while low < high:
        middle = (low + high) // 2
        if works(runtime, LIMITS[middle]):
            high = middle
        else:
            low = middle + 1
    return LIMITS[low]


def parallel(kinds, ms, rounds):
    """{(width, runtime): (runs a second, failures)}"""
    where = bundle("parallel", "/bin/true")
    rates = {}
    for (_, runtime), width in itertools.product(turns(kinds, rounds), (1, 2, 8, 64)):
        rates.setdefault((width, runtime.name), []).append(lanes(runtime.run(where, "/bin/true"), width, ms))
    return {k: (median([r for r, _ in v]), sum(f for _, f in v)) for k, v in rates.items()}


# ---- output ----

def ratio(a, b):
    return f"{a / b:.2f}" if a and b else "-"


def figures(table, kinds):
    print(f"\n{'':22}{'':7}{'min':>8}{'median':>8}{'CPU':>7}{'RSS':>7}{'calls':>7}"
          f" |{'ratio to floor':^21}|{'ratio to crun':^21}|{'to runc':^14}")
    print(f"{'':22}{'':7}{'ms':>8}{'ms':>8}{'ms':>7}{'KiB':>7}{'':7} |" +
          f"{'min':>7}{'median':>7}{'CPU':>7}|" * 2 + f"{'median':>7}{'CPU':>7}")
    for case in dict.fromkeys(c for c, _ in table.samples):
        label = case
        for runtime in kinds:
            rows = table.samples.get((case, runtime.name))
            if not rows:
                continue
            low, wall, cpu = table.summary(case, runtime.name)
            cells = []
            for other, which in (("floor", (0, 1, 2)), ("crun", (0, 1, 2)), ("runc", (1, 2))):
                base = table.summary(case, other)
                cells.append("".join(f"{ratio((low, wall, cpu)[i], base[i]):>7}" for i in which))
            print(f"{label:22}{runtime.name:7}{low:8.2f}{wall:8.2f}{cpu:7.2f}{max(r[2] for r in rows):7}"
                  f"{table.calls.get((case, runtime.name), '-'):>7} |{'|'.join(cells)}")
            label = ""


def extra(table, kinds, wanted, quick):
    """Memory limits and parallel starts, then the goals."""
    if wanted("limit"):
        small = {r.name: smallest_limit(r) for r in kinds if r.name != "floor"}
        print("\nsmallest memory limit of /bin/true, KiB: " +
              ", ".join(f"{name} {kib}" for name, kib in small.items()))
        for name, kib in small.items():
            table.tsv.write(f"memory limit KiB\t{name}\t0\t{kib}\t\t\t\n")
    if wanted("parallel"):
        rates = parallel(kinds, 300 if quick else 1000, 1 if quick else 3)
        print("\nstarts a second, so many at once:" + "".join(f"{n:>9}" for n in (1, 2, 8, 64)))
        for runtime in kinds:
            cells, failed = [], 0
            for width in (1, 2, 8, 64):
                rate, bad = rates[width, runtime.name]
                failed += bad
                cells.append(f"{rate:9.1f}")
                table.tsv.write(f"starts a second, {width} at once\t{runtime.name}\t0\t{rate:.2f}\t\t\t{bad}\n")
            print(f"{runtime.name:>32} {''.join(cells)}" + (f"  ({failed} FAILED)" if failed else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tsv", default=os.devnull)
    parser.add_argument("--only", action="append", default=[], choices=PARTS)
    parser.add_argument("runtime", nargs="*")
    args = parser.parse_args()
    wanted = lambda part: not args.only or part in args.only
    rounds = 6 if args.quick else 36
    cpu = int(os.environ.get("BENCH_CPU", max(os.sched_getaffinity(0))))
    stand.mount_namespace()
    stand.compile_tools()
    stand.rootfs_make()
    if not stand.filter_export(path("filter")):
        print("# libseccomp.so.2 is missing: floor runs without a filter")
    kinds = stand.runtimes(args.runtime)
    for line in stand.machine() + [f"{r.name}: {r.version}" for r in kinds]:
        print("# " + line)
    good = same_container(kinds)
    others = [r for r in kinds if r.name != "floor"]
    os.makedirs(os.path.dirname(os.path.abspath(args.tsv)), exist_ok=True)
    with open(args.tsv, "w", encoding="utf-8") as tsv:
        table = Table(tsv)
        if wanted("run"):
            measure_run(table, kinds, rounds, cpu)
        pin({cpu})
        if wanted("steps"):
            measure_steps(table, others, rounds // 2, bundle("true", "/bin/true", group="/" + TAG))
            measure_shell(table, others, rounds // 2, cpu)
        if wanted("live"):
            measure_live(table, others, rounds)
        if wanted("bundles"):
            measure_bundles(table, others, rounds)
        if wanted("systemd"):
            measure_systemd(table, others, rounds)
        if wanted("calls") and shutil.which("strace"):
            count_calls(table, kinds)
        figures(table, kinds)
        pin(range(os.cpu_count()))
        extra(table, kinds, wanted, args.quick)
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code = main()
    finally:
        stand.pin(range(os.cpu_count()))
        stand.clean()
    sys.exit(code)
