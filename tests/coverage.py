#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks spec-coverage.tsv: which test shows each property and each demand of the specification.

tests/coverage.py [--spec DIR]

Prints TAP. COVERAGE_RAN names a file with lines "FILE NAME VERDICT" of the points that ran, made by
tests/run when it ran all integration tests; without it that part is skipped. With --spec DIR the
rows are compared with the documents of the specification, sentence by sentence (by number, since
the rows hold no text of it).

Columns of the table, divided by tabs:
  kind       property, state, agent, features: a property of config.json, of the state, of the
             message to a seccomp agent, of the features document; must, should: a demand
  id         the property's path, or DOCUMENT#SECTION.NUMBER-OF-THE-SENTENCE
  tests      FILE:NAME of tests/integration, divided by blanks; - when nothing can be tested
  elsewhere  where it is shown when this host cannot; or - , why there is no test
  note       what the row is about, in our words
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "integration"))
import cgroup_table  # noqa: E402

TABLE = os.path.join(HERE, "spec-coverage.tsv")
DEFINITION = os.path.join(HERE, "..", "libocispec", "runtime-spec.def")
ROOTS = {"property": "config", "state": "state", "agent": "container_process_state", "features": "features"}
DOCUMENTS = ("spec bundle config config-linux config-vm runtime runtime-linux features "
             "features-linux").split()


def properties():
    """{(kind, path)} of every property that the description has."""
    objects, current = {}, None
    with open(DEFINITION, encoding="utf-8") as f:
        for line in f:
            words = line.split("#")[0].split()
            if not words or words[0] == "schema":
                continue
            if words[0] == "object":
                current = objects.setdefault(words[1], [])
            else:
                current.append(words[:2])

    def walk(name, prefix):
        for kind, key in objects[name]:
            base = re.sub(r"\W", "", kind)
            path = prefix + key + ("[]" if "[]" in kind else "{}" if "{}" in kind else "")
            yield path
            if base in objects:
                yield from walk(base, path + ".")
    return {(kind, path) for kind, root in ROOTS.items() for path in walk(root, "")}


def sentences(text):
    """Section and text of each sentence with a MUST or SHOULD, in order."""
    section, block, found, fenced = "", [], [], False

    def flush():
        joined = re.sub(r"\be\.g\.\s", "eg ", " ".join(block))
        block.clear()
        for part in re.split(r"(?<=[.:;])\s+(?=[A-Z*\[`(_])", joined):
            if re.search(r"\b(MUST|SHOULD)\b", part):
                found.append((section, part))
    for line in map(str.strip, text.splitlines()):
        head = re.match(r"#+\s*(.*)", line)
        if line.startswith("```"):
            fenced = not fenced
        if line.startswith("```") or fenced or head or not line:
            flush()
            if head and not fenced:
                section = re.sub(r"[^a-z0-9]+", "-", re.sub(r"<[^>]*>", "", head[1]).lower()).strip("-")
            continue
        row = re.match(r"\||`[a-z]+ *`\s*\|", line)
        if row or re.match(r"([*+-]|\d+\.)\s|\[\^?[^\]]*\]:|>", line):
            flush()
        block.append(line)
        if row:
            flush()
    flush()
    return found


def demands(directory):
    """{(kind, id)} of every such sentence of the documents."""
    result = set()
    for name in DOCUMENTS:
        count = {}
        with open(os.path.join(directory, name + ".md"), encoding="utf-8") as f:
            for section, text in sentences(f.read()):
                count[section] = count.get(section, 0) + 1
                kind = "must" if re.search(r"\bMUST\b", text) else "should"
                result.add((kind, f"{name}#{section}.{count[section]}"))
    return result


def read_table():
    with open(TABLE, encoding="utf-8") as f:
        lines = [line.rstrip("\n") for line in f if line.strip() and line[0] != "#"]
    return [line.split("\t") for line in lines]


def known_tests():
    """{"FILE:NAME"} of all test functions."""
    found = set()
    for path in glob.glob(os.path.join(HERE, "integration", "test_*.py")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for name in re.findall(r"^@test\((?:.|\n)*?\)\n(?:@\w+\n)?def (\w+)\(", text, re.M):
            found.add(f"{os.path.basename(path)}:{name}")
    return found | {f"test_cgroup_table.py:{cgroup_table.function_name(row)}" for row in cgroup_table.ROWS}


def ran_tests(path):
    with open(path, encoding="utf-8") as f:
        return {f"{file}.py:{name}" for file, name, verdict in map(str.split, f) if verdict != "skip"}


def form(rows):
    for row in rows:
        if len(row) != 5:
            yield f"not five columns: {row}"
        elif row[0] not in (*ROOTS, "must", "should"):
            yield f"unknown kind: {row}"
        elif row[2] == "-" and row[3] == "-":
            yield f"neither a test nor a reason: {row[1]}"
        elif not row[4]:
            yield f"no note: {row[1]}"
    seen = [tuple(row[:2]) for row in rows]
    yield from (f"twice: {key[1]}" for key in {k for k in seen if seen.count(k) > 1})


def compare(rows, wanted, kinds):
    have = {tuple(row[:2]) for row in rows if row[0] in kinds}
    yield from (f"no row: {key[0]} {key[1]}" for key in sorted(wanted - have))
    yield from (f"a row of nothing: {key[0]} {key[1]}" for key in sorted(have - wanted))


def unknown(rows, known):
    for row in rows:
        for name in row[2].split():
            if name not in known and name != "-":
                yield f"{row[1]}: no such test: {name}"


def not_run(rows, ran):
    for row in rows:
        names = row[2].split()
        if names != ["-"] and row[3] == "-" and not ran & set(names):
            yield f"{row[1]}: did not run: {row[2]}"


def resources():
    """What cgroup_table.py and docs/cgroups.md lack of linux.resources."""
    root = "linux.resources."
    wanted = {path[len(root):] for kind, path in properties() if kind == "property" and path.startswith(root)}
    have = {path for row in cgroup_table.ROWS for path in cgroup_table.paths(row.resources)}
    yield from (f"no row: {path}" for path in sorted(wanted - have))
    with open(os.path.join(HERE, "..", "docs", "cgroups.md"), encoding="utf-8") as f:
        if f.read() != cgroup_table.page():
            yield "docs/cgroups.md: run tests/integration/cgroup_table.py >docs/cgroups.md"


number = failed = 0


def point(what, complaints, skip=None):
    global number, failed
    number += 1
    complaints = list(complaints)
    failed += bool(complaints)
    print(("not " if complaints else "") + f"ok {number} - {what}" + (f" # SKIP {skip}" if skip else ""))
    for text in complaints[:50]:
        print(f"# {text}")


def main():
    rows = read_table()
    point("the table's rows are whole", form(rows))
    rows = [row for row in rows if len(row) == 5]
    point("each property of the description has its row", compare(rows, properties(), ROOTS))
    point("each resource has a row of cgroup_table.py, and docs/cgroups.md says what it says", resources())
    point("each test that is named exists", unknown(rows, known_tests()))
    ran = os.environ.get("COVERAGE_RAN")
    point("each row was shown by a test in this check, or says where it is shown",
          not_run(rows, ran_tests(ran)) if ran else (),
          None if ran else "needs all integration tests, as root, in the same run")
    if "--spec" in sys.argv:
        wanted = demands(sys.argv[sys.argv.index("--spec") + 1])
        point("each demand of the documents has its row", compare(rows, wanted, ("must", "should")))
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
