#!/usr/bin/env python3
"""Checks the model of the pay-once protocol (docs/model) with spin.

Every good model is searched whole and must hold; every removed safeguard must break the rule that checks.py
names for it, with a trail. A statement of the model that no good model ever reaches is an error too: it
would be a safeguard that guards nothing. Exits with 77 where spin is not installed.
"""
import argparse
import concurrent.futures
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import checks

MODEL = Path(__file__).resolve().parents[2] / "docs" / "model"
MEMORY_MB = 900        # of one search; two run side by side
DEPTH = 400_000        # steps; a search that would go deeper is an error
# The guard of a proctype's empty last option, and the end of processes that never end.
NEVER_REACHED = ("(0)", "-end-")
Result = namedtuple("Result", "check ok why states seconds present unreached")


def run(command, folder, limit):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False)
    return done.stdout + done.stderr


def build(check, folder, coverage=False):
    defines = [f"-D{k}={v}" if v != "" else f"-D{k}" for k, v in check.sizes.items()]
    defines += [f"-D{switch}" for switch in check.without] + (["-DPROGRESS"] if check.progress else [])
    said = run(["spin", "-a", *defines, str(MODEL / "pay_once.pml")], folder, 60)
    if "rror" in said or not (folder / "pan.c").exists():
        raise RuntimeError("spin: " + said)
    kind = ["-DNFAIR=8"] if check.progress else ["-DSAFETY", "-DNOCLAIM"]
    # A search that stops at the first violation needs no fast program, a short compilation counts more.
    optimise = ["-O0", "--coverage"] if coverage else ["-O0"] if check.breaks else ["-O1"]
    said = run(["gcc", *optimise, "-w", *kind, "-DVECTORSZ=2048", f"-DMEMLIM={MEMORY_MB}",
                "-o", "pan", "pan.c"], folder, 120)
    if not (folder / "pan").exists():
        raise RuntimeError("gcc: " + said)


def statements(folder):
    """Every step of the model by (proctype, state): its place and text. A d_step is one."""
    found, proctype = {}, ""
    for line in (folder / "pan.m").read_text().splitlines():
        if header := re.match(r"\s*/\* (?:PROC|CLAIM) (\S+) \*/", line):
            proctype = header.group(1)
        if step := re.search(r"// STATE (\d+) - (\S+\.pml):(\d+) - \[(.*)\] \(", line):
            found[proctype, int(step.group(1))] = (Path(step.group(2)).name, int(step.group(3)), step.group(4))
    return found


def not_reached(output):
    found, proctype = set(), ""
    for line in output.splitlines():
        if header := re.match(r"unreached in (?:proctype |claim )?(\S+)", line):
            proctype = header.group(1)
        if step := re.match(r"\s*\S+\.pml:\d+, state (\d+),", line):
            found.add((proctype, int(step.group(1))))
    return found


def verdict(check, output, folder):
    violated = re.search(r"assertion violated (\S+)", output)
    trail = any(folder.glob("*.trail"))
    if check.breaks == checks.NO_PROGRESS:
        return "" if "acceptance cycle" in output and trail else "it makes progress all the same"
    if check.breaks:
        if not violated or not trail:
            return "nothing was violated"
        return "" if violated.group(1) == check.breaks else f"another rule broke first: {violated.group(1)}"
    if violated:
        return f"violated {violated.group(1)}"
    if "acceptance cycle" in output and "errors: 0" not in output:
        return "there is an execution without progress"
    if "errors: 0" not in output:
        return "the search did not end: " + output[:400]
    for cut in ("max search depth too small", "out of memory", "resource", "Search not completed", "truncated"):
        if cut in output:
            return f"the search was not complete: {cut}"
    return ""


def executed(folder):
    """Statements inside d_steps, which spin itself does not tell apart: (proctype, C text) -> was it executed?"""
    run(["gcov", "pan.c"], folder, 120)
    found, proctype = {}, ""
    for line in (folder / "pan.m.gcov").read_text().splitlines():
        count, _, text = (part.strip() for part in line.split(":", 2))
        if header := re.match(r"/\* PROC (\S+) \*/", text):
            proctype = header.group(1)
        if re.match(r"(now\.|deposit|[a-z_]+_ = )", text) and count != "-":
            text = re.sub(r"Index\(\(*(?:int\)*)?\(*(.*?), \d+\) \]", r"\1]", text)
            text = re.sub(r"\(+int\)|now\.|[()]", "", text)   # sizes and places differ from model to model
            text = re.sub(r"Index|P\d+ \*_this->|, \d+(?= \])| ", "", text).replace("3*n", "0").replace("%2", "%1")
            found[proctype, text] = found.get((proctype, text), False) or not count.startswith("#")
    return found


def cover(wanted, limit):
    """Prints what no good model executes, statement by statement; slow, and read by a person."""
    total = {}
    for check in wanted:
        if check.breaks or check.progress:
            continue
        with tempfile.TemporaryDirectory(prefix="coffer_model_") as name:
            build(check, Path(name), coverage=True)
            run(["./pan", "-E", f"-m{DEPTH}", "-w20"], name, limit)
            for key, hit in executed(Path(name)).items():
                total[key] = total.get(key, False) or hit
    never = sorted(key for key, hit in total.items() if not hit)
    for proctype, text in never:
        print(f"never executed: {proctype}: {text}")
    print(f"{len(never)} of {len(total)} statements are never executed")
    return 1 if never else 0


def examine(check, limit):
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coffer_model_") as name:
        folder = Path(name)
        try:
            build(check, folder)
            options = ["-a", "-f"] if check.progress else ["-E"]
            output = run(["./pan", *options, f"-m{DEPTH}", "-w20"], folder, limit)
            why = verdict(check, output, folder)
            states = re.search(r"(\d+) states, stored", output)
            present, unreached = ({}, set()) if check.breaks else (statements(folder), not_reached(output))
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            why, states, present, unreached = str(error)[:600], None, {}, set()
        return Result(check, not why, why, int(states.group(1)) if states else 0, time.monotonic() - start, present, unreached)


def dead_statements(results):
    everywhere, reached = set(), set()
    for result in results:
        for where, statement in result.present.items():
            everywhere.add(statement)
            if where not in result.unreached:
                reached.add(statement)
    return sorted(s for s in everywhere - reached if s[2] not in NEVER_REACHED)


def report(result):
    check = result.check
    expected = check.breaks or "holds"
    print(f"{'ok    ' if result.ok else 'FAILED'} {check.name:38} {expected:42} {result.states:9,} states {result.seconds:6.1f} s", flush=True)
    if not result.ok:
        print(f"       {check.says}\n       {result.why}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the checks whose name contains this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--coverage", action="store_true", help="list the statements that no good model executes")
    parser.add_argument("--limit", type=int, default=300, help="seconds for one search")
    arguments = parser.parse_args()
    if not shutil.which("spin"):
        print("spin is not installed (apt-get install spin): the model is not checked")
        return 77
    wanted = [c for c in checks.GOOD + checks.BROKEN if arguments.only in c.name]
    if arguments.coverage:
        return cover(wanted, arguments.limit)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = []
        for result in pool.map(lambda c: examine(c, arguments.limit), wanted):
            report(result)
            results.append(result)
    failed = [r for r in results if not r.ok]
    dead = dead_statements(results) if not arguments.only else []
    for file, line, text in dead:
        print(f"FAILED no model ever reaches docs/model/{file}:{line}: {text}")
    print(f"{len(results) - len(failed)} of {len(results)} checks as expected, {len(dead)} statements never reached, "
          f"{sum(r.states for r in results):,} states")
    return 1 if failed or dead or not results else 0


if __name__ == "__main__":
    sys.exit(main())
