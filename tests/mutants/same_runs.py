#!/usr/bin/env python3
"""Two simulators, the same seeds: every run must end alike, trace included. usage: same_runs.py ONE OTHER"""
import subprocess
import sys

SEEDS = ["--seed", "1", "--runs", "3", "--steps", "120", "--no-minimise"]


def runs(program, mode):
    """What is said of each run; the time that it took is none of it."""
    done = subprocess.run([program, "--mode", mode, *SEEDS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120,
                          check=False, text=True)
    return [done.returncode] + [line for line in done.stdout.splitlines() if "trace" in line]


for each in ("honest", "adversary", "rollback"):
    first, second = runs(sys.argv[1], each), runs(sys.argv[2], each)
    if len(first) < 2:
        sys.exit(f"{each}: the simulator prints no trace")
    if first != second:
        sys.exit(f"{each}: coffer_sim and coffer_sim_mutants with all mutants asleep do not run alike:\n{first}\n{second}")
    print(f"{each}: {len(first) - 1} runs are the same")
