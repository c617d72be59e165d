#!/usr/bin/env python3
"""Runs libFuzzer programs of the fuzz preset and prints a line for each: executions, coverage, findings.

New inputs go to build/fuzz/corpus/NAME; copy the worthwhile ones to tests/fuzz/corpus/NAME, where ctest replays them. What was
run is added to build/fuzz/runs.tsv: date, fuzzer, seconds, executions, seconds of processor time."""
import argparse
import concurrent.futures
import datetime
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
SYMBOLIZER = "/usr/lib/llvm-14/bin/llvm-symbolizer"
LOOK_SECONDS = 0.2


def processor_seconds(pid):
    """What a process has used so far, by /proc/PID/stat; behind its name, which may have spaces and parentheses."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(process, processor_limit=None):
    """Waits until it ends; gives (exit code, what it used). When it has used its limit it is asked to end: libFuzzer does so after
    the input under way, with its figures and exit code 0 (-handle_usr1)."""
    asked = False
    while True:
        pid, status, used = os.wait4(process.pid, 0 if processor_limit is None else os.WNOHANG)
        if pid != 0:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, used
        if not asked and processor_seconds(process.pid) >= processor_limit:
            os.kill(process.pid, signal.SIGUSR1)
            asked = True
        time.sleep(LOOK_SECONDS)


def run(name, arguments):
    found, log = BUILD / "findings" / name, BUILD / "logs" / f"{name}.log"
    corpus, seeds = BUILD / "corpus" / name, ROOT / "tests" / "fuzz" / "corpus" / name
    for folder in (found, log.parent, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    environment = dict(os.environ, ASAN_SYMBOLIZER_PATH=SYMBOLIZER, UBSAN_OPTIONS="print_stacktrace=1")
    limit = arguments.seconds if arguments.of_processor else None
    command = [BUILD / "bin" / f"fuzz_{name}", f"-max_total_time={0 if limit else arguments.seconds}", "-print_final_stats=1",
               "-rss_limit_mb=2048", f"-timeout={arguments.timeout}", f"-report_slow_units={arguments.timeout}", "-max_len=16384",
               f"-dict={ROOT / 'tests' / 'fuzz' / 'dict' / name}.dict", f"-artifact_prefix={found}/", corpus, seeds]
    begun = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        code, used = wait_for(process, limit)
    text = log.read_text(errors="replace")
    number = lambda pattern: int(([0] + re.findall(pattern, text))[-1])
    spent = round(time.monotonic() - begun)
    processor = round(used.ru_utime + used.ru_stime)
    executions = number(r"stat::number_of_executed_units:\s+(\d+)") or number(r"#(\d+)\s")
    with open(BUILD / "runs.tsv", "a", encoding="utf-8") as runs:
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        runs.write(f"{now}\t{name}\t{spent}\t{executions}\t{processor}\n")
    cov, features, inputs = number(r"cov: (\d+)"), number(r"ft: (\d+)"), number(r"corp: (\d+)")
    coverage = f"cov {cov:6} ft {features:6} corpus {inputs:5}"
    print(f"{name:20} {spent:6} s, {processor:6} s of a processor, {executions:12,} executions {executions // max(1, spent):8,}/s  {coverage}", flush=True)
    fresh = sorted(set(found.iterdir()) - before)
    for file in fresh:
        print(f"  FINDING {file}\n  repeat: build/fuzz/bin/fuzz_{name} {file}   (log: {log})", flush=True)
    if code != 0 and not fresh:
        print(f"  failed with {code}, see {log}", flush=True)
    return code == 0 and not fresh


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--of-processor", action="store_true",
                        help="the seconds are those that a fuzzer was given a core for: on a machine with other work it takes longer, and does as much")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=10, help="seconds that one input may take: more on a machine with other work")
    parser.add_argument("names", nargs="+")
    arguments = parser.parse_args()
    if min(arguments.seconds, arguments.jobs, arguments.timeout) < 1:
        parser.error("--seconds, --jobs and --timeout are at least 1")
    with concurrent.futures.ThreadPoolExecutor(max_workers=arguments.jobs) as pool:
        good = list(pool.map(lambda name: run(name, arguments), arguments.names))
    print(f"{sum(good)} of {len(good)} fuzzers found nothing")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
