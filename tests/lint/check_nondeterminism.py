#!/usr/bin/env python3
"""Bans clocks, randomness and the environment outside the OS seam, runtime/os_*.

The simulator replays a run from its seed. One read of a clock or of a random number that did not come through a
port would make two runs with one seed differ, and would let the host steer trusted code unseen.
Exceptions, each with its reason: nondeterminism_allow.txt.
"""
import fnmatch
import re
import sys
from pathlib import Path

import sources

# name -> what it looks like in code. A call is matched by its bracket, so that members named alike pass.
FREE = r"(?<![\w.>])(?:(?<!:)(?:std)?::|(?<!:))"
BANNED = {
    "rand": re.compile(FREE + r"(?:s?rand|rand_r|srandom|[del]rand48|[jmn]rand48)\s*\(|(?<![\w:>])::random\s*\("),
    "random_device": re.compile(r"\brandom_device\b"),
    "mt19937": re.compile(r"\b(?:mt19937(?:_64)?|default_random_engine|minstd_rand0?|ranlux\w+)\b"),
    "absl_random": re.compile(r"\babsl::(?:Insecure)?BitGen\b"),
    "shuffle": re.compile(r"\bstd::(?:random_)?shuffle\b|\bstd::ranges::shuffle\b|\bstd::sample\b"),
    "getrandom": re.compile(r"\b(?:getrandom|getentropy|arc4random\w*)\s*\("),
    "RAND_bytes": re.compile(r"\bRAND_(?:priv_)?bytes(?:_ex)?\s*\("),
    "std_clock": re.compile(r"\b(?:system_clock|steady_clock|high_resolution_clock)\b"),
    "absl_now": re.compile(r"\babsl::(?:Now|GetCurrentTimeNanos|SleepFor)\b"),
    "time": re.compile(FREE + r"time\s*\("),
    "gettimeofday": re.compile(r"\b(?:gettimeofday|clock_gettime|timespec_get|ftime)\s*\("),
    "localtime": re.compile(r"\b(?:localtime|gmtime|mktime)(?:_r)?\s*\(|\babsl::LocalTimeZone\b"),
    "getenv": re.compile(r"\b(?:secure_)?getenv\s*\("),
}
CHECKED = ("runtime/*", "enclave_core/*", "actors/*", "host_proxy/*", "tools/*", "invariant/*")
SEAM = "runtime/os_*"


def read_allowances(path):
    """{(path, name)}: lines 'path name # reason'. A line without a reason is refused."""
    allowed, findings = {}, []
    if not path.exists():
        return allowed, findings
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)\s+(\S+)\s+#\s*(\S.{10,})", line)
        if not match or match.group(2) not in BANNED:
            findings.append(f"{path.name}:{number}: want 'path name # reason', with a name of {', '.join(BANNED)}")
            continue
        allowed[match.group(1), match.group(2)] = number
    return allowed, findings


def check(root, allow_file):
    allowed, findings = read_allowances(allow_file)
    used = set()
    for path in sources.files(root, ("*.h", "*.cc", "*.inc")):
        if not any(fnmatch.fnmatchcase(path, p) for p in CHECKED) or fnmatch.fnmatchcase(path, SEAM):
            continue
        text = sources.without_comments_and_literals((Path(root) / path).read_text(errors="replace"))
        for name, pattern in BANNED.items():
            for match in pattern.finditer(text):
                if (path, name) in allowed:
                    used.add((path, name))
                    continue
                line = text.count("\n", 0, match.start()) + 1
                findings.append(f"{path}:{line}: '{match.group(0).strip()}' [{name}]: clocks, randomness and the "
                                "environment come through the ports of runtime/os_*, so that a seed repeats a run")
    for (path, name), number in allowed.items():
        if (path, name) not in used:
            findings.append(f"{allow_file.name}:{number}: {path} no longer has '{name}'; remove the line")
    return findings


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else sources.ROOT
    sources.finish("check_nondeterminism", check(root, Path(root) / "tests/lint/nondeterminism_allow.txt"))
