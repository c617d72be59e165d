#!/usr/bin/env python3
"""Two simulators, the same seeds: every byte of their output must be the same. usage: same_runs.py ONE OTHER"""
import subprocess
import sys

SEEDS = ["--seed", "1", "--runs", "3", "--steps", "120", "--no-minimise"]


def output(program):
    return subprocess.run([program, *SEEDS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=250, check=True).stdout


first, second = output(sys.argv[1]), output(sys.argv[2])
if b"trace" not in first:
    sys.exit("the simulator prints no trace")
if first != second:
    sys.exit("coffer_sim and coffer_sim_mutants with all mutants asleep do not run alike")
print(f"{len(first)} bytes of output are the same")
