#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/vm/check and run when a guest's kernel fails: with stubs for the machines, so none is booted."""
from davit import *

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOCKUP = "[   70.1] watchdog: BUG: soft lockup - CPU#1 stuck for 134s! [cat:77]\r\n"
PANIC = "[   70.2] Kernel panic - not syncing: softlockup: hung tasks\r\n"
FELL = "vm/run: the guest's kernel failed: no sign of life for 180 s\n", 123
GOOD = "ok   a: 2 passed, 0 failed, 1 skipped (1 s)\n2 passed, 0 failed, 1 skipped\n", 0
FAILED = "FAIL a: 1 passed, 1 failed, 0 skipped (1 s)\n1 passed, 1 failed, 0 skipped\n", 1


def verdict(text):
    path = os.path.join(work, unique("console"))
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    r = run_command([f"{TOP}/tests/vm/verdict", path])
    assert r.rc == (0 if r.out else 1) and not r.err, r
    return r.out.strip()


@test("a panic and a lockup of the kernel are told by its messages; a killed PID 1 is not the kernel's")
def messages():
    assert verdict("[    1.0] Run /init as init process\r\n[    9.0] random: crng init done\r\n") == ""
    assert verdict("") == ""
    assert run_command([f"{TOP}/tests/vm/verdict", "/nonexistent"]).rc == 1
    assert verdict(LOCKUP + PANIC + "[   70.3] Rebooting\r\n") == "panic: softlockup: hung tasks"
    assert verdict("x\r\n" + LOCKUP + LOCKUP) == "BUG: soft lockup - CPU#1 stuck for 134s! [cat:77]"
    assert verdict("INFO: task cat:9 blocked for more than 240 seconds.\n") == \
        "INFO: task cat:9 blocked for more than 240 seconds."
    assert verdict("[  5.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009\r\n") == ""


def script(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(f"#!/bin/bash\n{text}\n")
    os.chmod(path, 0o755)


def check(*boots, machines=("v1",), accel="tcg", **env):
    """What check does when the machines that it boots one after the other print this and end so."""
    top = os.path.join(work, unique("tree"))
    for name in ("tests/vm", "tests/bench", "tests/integration", "tests/oci-validation", "libocispec",
                 "build/tests", "boots"):
        os.makedirs(os.path.join(top, name))
    for name in ("tests/run", "build/davit", "libocispec/a.def"):
        with open(os.path.join(top, name), "w", encoding="ascii"):
            pass
    shutil.copy(f"{TOP}/tests/vm/check", f"{top}/tests/vm/check")
    for i, (text, status) in enumerate(boots):
        with open(f"{top}/boots/{i}", "w", encoding="ascii") as f:
            f.write(f"cat <<'END'\n{text}END\nexit {status}\n")
    for name, text in {"setup": "echo image", "accel": f"echo {accel}",
                       "run": f"n=$(ls {top}/boots | head -n 1)\nmv {top}/boots/$n {top}/$n\n. {top}/$n"}.items():
        script(f"{top}/tests/vm/{name}", text)
    r = run_command([f"{top}/tests/vm/check", *machines], env=dict(os.environ, TALLY=f"{top}/tally", **env))
    tally = "%s passed, %s failed, %s skipped" % tuple(read(f"{top}/tally").split())
    assert r.out.splitlines()[-1] == tally, r
    left = os.listdir(f"{top}/boots")
    assert not left, (left, r)
    return r


@test("what stubs print is not added to the sum of the tests that run here")
def apart():
    assert "TALLY" not in os.environ and "RETRY" not in os.environ


@test("a machine whose kernel fails is booted once more, says so, and counts once")
def again():
    r = check(GOOD)
    assert r.rc == 0 and "once more" not in r.out and "twice" not in r.out, r
    r = check(("ok   b: 1 passed, 0 failed, 0 skipped (1 s)\n" + FELL[0], 123), GOOD)
    assert r.rc == 0 and r.out.splitlines()[-1] == "2 passed, 0 failed, 1 skipped", r
    assert "=== v1: booted once more, as its kernel failed (no sign of life for 180 s)" in r.out, r
    assert "booted twice: v1 (no sign of life for 180 s)" in r.out and "ok   b" in r.out, r
    r = check(FELL, GOOD, GOOD, machines=("v1", "hybrid"))
    assert r.rc == 0 and r.out.splitlines()[-1] == "4 passed, 0 failed, 2 skipped", r
    r = check(FELL, FAILED)
    assert r.rc == 1 and r.out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped", r


@test("a kernel that fails twice is a failure; with VM_OPTIONAL, where it is emulated, a skip that says so")
def twice():
    r = check(FELL, FELL)
    assert r.rc == 1 and r.out.splitlines()[-1] == "0 passed, 1 failed, 0 skipped", r
    assert "failed machines: v1" in r.out, r
    r = check(FELL, FELL, VM_OPTIONAL="1")
    assert r.rc == 0 and r.out.splitlines()[-1] == "0 passed, 0 failed, 1 skipped", r
    assert "did not get through (status 123)" in r.out and "booted twice: v1" in r.out, r
    r = check(FELL, FAILED, VM_OPTIONAL="1")
    assert r.rc == 1 and "failed machines: v1" in r.out, r


@test("a failed test, a time-out or another end of the machine is not tried again")
def once():
    r = check(FAILED)
    assert r.rc == 1 and r.out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped", r
    for text, status in (("FAIL b: 0 passed, 1 failed, 0 skipped (1 s)\n" + FELL[0], 123),
                         ("vm/run: stopped after 1500 s\n", 124),
                         ("vm/run: the machine ended without the command's exit status\n", 125),
                         ("", 123)):  # an exit status of the command's own
        r = check((text, status))
        assert r.rc == 1 and r.out.splitlines()[-1] == "0 passed, 1 failed, 0 skipped", r
        assert "once more" not in r.out, r
    r = check(("vm/run: stopped after 1500 s\n", 124), VM_OPTIONAL="1")
    assert r.rc == 0 and "did not get through" in r.out, r
    r = check(("FAIL b\nvm/run: stopped after 1500 s\n", 124), VM_OPTIONAL="1")
    assert r.rc == 1, r


@test("where KVM runs accel's few instructions and no kernel, check emulates all machines")
def trial():
    r = check(("", 0), GOOD, accel="kvm")
    assert r.rc == 0 and "accelerator kvm" in r.out and r.out.splitlines()[-1] == "2 passed, 0 failed, 1 skipped", r
    r = check(("vm/run: KVM cannot\n", 125), GOOD, GOOD, machines=("v1", "hybrid"), accel="kvm")
    assert r.rc == 0 and "KVM cannot" in r.out and "accelerator tcg" in r.out, r
    assert r.out.splitlines()[-1] == "4 passed, 0 failed, 2 skipped", r


@test("a machine that KVM cannot execute is emulated, where no accelerator was asked for", limit=60)
def kvm_fails():
    top = os.path.join(work, unique("run"))
    shutil.copytree(f"{TOP}/tests/vm/guest", f"{top}/vm/guest")
    os.mkdir(f"{top}/bin")
    for name in ("run", "verdict"):
        shutil.copy(f"{TOP}/tests/vm/{name}", f"{top}/vm/{name}")
    script(f"{top}/vm/setup", "echo image")
    script(f"{top}/vm/accel", "echo kvm")
    script(f"{top}/bin/qemu-system-x86_64", """
case "$*" in
*"-accel kvm"*) echo "KVM internal error. Suberror: 1" >&2; exec sleep 60 ;;
esac
for word; do
	case $word in
	*id=status,path=*) echo 7 >"${word##*path=}" ;;
	esac
done
echo "of QEMU" >&2""")
    env = dict(os.environ, PATH=f"{top}/bin:{os.environ['PATH']}", TMPDIR=top)
    env.pop("VM_ACCEL", None)
    r = run_command([f"{top}/vm/run", "--mem", "64", "echo", "a b"], env=env)
    assert r.rc == 7 and "it is emulated" in r.err and "of QEMU" in r.err, r
    r = run_command([f"{top}/vm/run", "true"], env=dict(env, VM_ACCEL="kvm"))
    assert r.rc == 125 and "KVM cannot execute" in r.err and "it is emulated" not in r.err, r
    assert sorted(os.listdir(top)) == ["bin", "vm"], os.listdir(top)


main()
