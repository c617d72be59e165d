#!/usr/bin/env python3
"""Plants each bug of the catalogue in turn and counts the seeds that the simulator needs to catch it.

Prints a table: mutant, the rule that caught it, seeds needed. Fails when one is not caught within the seeds that the catalogue
states, and when the program without a planted bug does not hold on the same seeds.
"""
import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from catalogue import MODES, ROOT, CatalogueError, load

FAILED = re.compile(r"^FAILED: (.*)$", re.MULTILINE)
CHECK = re.compile(r"broken invariant: (.*) \(")
REACHED = re.compile(r"^mutant reached (\d+) times$", re.MULTILINE)
# Of real time: a planted bug can make a run go on for ever, and that is no rule that caught it.
TIMEOUT_SECONDS = 120


@dataclass
class Run:
    caught: str = ""   # the sentence of the rule
    reached: int = 0   # how often the planted code was asked for, as far as known
    trouble: str = ""  # neither held nor caught by a rule


def simulate(program, mode, seed, extra, mutant=None):
    command = [program, "--mode", mode, "--no-minimise", "--seed", str(seed), "--runs", "1", *extra]
    if mutant:
        command += ["--mutant", mutant]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Run(trouble=f"seed {seed}: no end after {TIMEOUT_SECONDS} s")
    output = done.stdout + done.stderr
    reached = REACHED.search(output)
    run = Run(reached=int(reached[1]) if reached else 0)
    if done.returncode == 0:
        return run
    failed, check = FAILED.search(output), CHECK.search(output)
    if failed:
        run.caught = failed[1]
    elif check:
        run.caught = f"check: {check[1]}"
    else:
        run.trouble = f"seed {seed}: exit {done.returncode} and no rule named: {output.strip()[-200:]}"
    return run


@dataclass
class Result:
    mutant: object
    seeds: int = 0
    caught: str = ""
    reached: int = 0
    trouble: str = ""

    @property
    def rule(self):
        return self.caught.split(":")[0] if not self.caught.startswith("check: ") else self.caught[len("check: "):].split(":")[0]

    @property
    def verdict(self):
        if self.caught:
            return "caught"
        return self.trouble or ("not caught" if self.reached else "not caught: no run came to its code")


def hunt(program, mutant, extra, limit):
    result = Result(mutant)
    for seed in range(1, (limit or mutant.seeds) + 1):
        run = simulate(program, mutant.mode, seed, extra, mutant.name)
        result.seeds = seed
        result.reached += run.reached
        result.caught, result.trouble = run.caught, run.trouble
        if run.caught or run.trouble:
            break
    return result


def holds(program, mode, seed, extra):
    run = simulate(program, mode, seed, extra)
    return f"{mode} seed {seed}: {run.caught or run.trouble}" if run.caught or run.trouble else ""


def row(result):
    m = result.mutant
    needed = str(result.seeds) if result.caught else "-"
    return f"{m.name:42} {m.mode:9} {needed:>5} of {m.seeds:<3} {(result.caught or result.verdict)[:110]}"


def markdown(results):
    lines = ["| mutant | mode | seeds needed | of | caught by |", "|---|---|---|---|---|"]
    for r in results:
        said = (r.caught or "**" + r.verdict + "**").replace("|", "\\|")
        lines.append(f"| {r.mutant.name} | {r.mutant.mode} | {r.seeds if r.caught else '-'} | {r.mutant.seeds} | {said[:160]} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these mutants, or those whose name holds one of these texts")
    parser.add_argument("--program", default=str(ROOT / "build/dev/bin/coffer_sim_mutants"))
    parser.add_argument("--mode", choices=MODES, help="only the mutants of this mode")
    parser.add_argument("--seeds", type=int, help="another limit than the catalogue states")
    parser.add_argument("--steps", help="another length of the runs than the default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--markdown", type=Path, help="writes the table to this file as well")
    parser.add_argument("--counts", type=Path, help="writes \"passed failed skipped\" to this file, for ./dev test")
    args = parser.parse_args()
    mutants = [m for m in load() if not args.mode or m.mode == args.mode]
    exact = [m for m in mutants if m.name in args.names]
    if args.names:
        mutants = exact or [m for m in mutants if any(name in m.name for name in args.names)]
    if not mutants:
        sys.exit("mutants: the catalogue has no such mutant")
    extra = ["--steps", args.steps] if args.steps else []
    start = time.monotonic()
    results = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda m: hunt(args.program, m, extra, args.seeds), mutants):
            results.append(result)
            print(row(result), flush=True)
        # What needed no more seeds says nothing about more.
        used = {(r.mutant.mode, seed) for r in results for seed in range(1, r.seeds + 1)}
        broken = [said for said in pool.map(lambda use: holds(args.program, *use, extra), sorted(used)) if said]
    if args.markdown:
        args.markdown.write_text(markdown(results))
    missed = [r.mutant.name for r in results if not r.caught]
    other = [f"{r.mutant.name} ({r.rule})" for r in results if r.caught and not any(
        r.caught.removeprefix("check: ").startswith(rule) for rule in r.mutant.rules)]
    print(f"\n{len(results) - len(missed)} of {len(results)} planted bugs caught in {time.monotonic() - start:.0f} s; "
          f"{sum(r.seeds for r in results)} runs with a bug, {len(used)} without")
    if other:
        print("caught by another rule than the catalogue expects: " + ", ".join(other))
    if broken:
        print("without a planted bug, and it did not hold:\n  " + "\n  ".join(broken))
    if missed:
        print("NOT CAUGHT: " + ", ".join(missed))
    if args.counts:
        args.counts.write_text(f"{len(results) - len(missed)} {len(missed) + len(broken)} 0\n")
    return 1 if missed or broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CatalogueError as error:
        sys.exit(f"mutants: {error}")
