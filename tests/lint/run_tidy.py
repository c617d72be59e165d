#!/usr/bin/env python3
"""Runs clang-tidy in parallel and remembers clean files by the hash of all that the result depends on."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import sources

ROOT = sources.ROOT
CACHE = ROOT / "build/tidy"


def git(*arguments):
    run = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else ""


def changed_files():
    """Files changed in the work tree and since the branch left origin/main; on main itself, by the last commit."""
    base = os.environ.get("COFFER_TIDY_BASE") or git("merge-base", "HEAD", "origin/main") or git("merge-base", "HEAD", "main")
    if not base or base == git("rev-parse", "HEAD"):
        base = git("rev-parse", "--verify", "-q", "HEAD~1") or "HEAD"
    names = git("diff", "--name-only", base).split("\n") + git("ls-files", "--others", "--exclude-standard").split("\n")
    return {name for name in names if name}, base


def commands(build):
    """The compile commands of the project's own sources. clang cannot read GCC's precompiled headers, and need not."""
    entries = [e for e in json.loads((build / "compile_commands.json").read_text())
               if Path(e["file"]).is_relative_to(ROOT) and not Path(e["file"]).is_relative_to(ROOT / "build")]
    for entry in entries:
        entry["command"] = re.sub(r" (-Winvalid-pch|-fpch-preprocess|-include \S*/cmake_pch\.hxx)(?= )", "", entry["command"])
    return entries


def local_dependencies(build):
    """{object: project files it was made of}, from ninja's own dependency log."""
    listing = subprocess.run(["ninja", "-C", str(build), "-t", "deps"], capture_output=True, text=True, check=False).stdout
    found, current = {}, None
    for line in listing.splitlines():
        if line and not line.startswith(" "):
            current = found.setdefault(line.split(":")[0], [])
        elif line.strip() and current is not None:
            path = Path(os.path.normpath(build / line.strip()))
            if path.is_relative_to(ROOT):
                current.append(path)
    return found


class Job:
    def __init__(self, entry, dependencies, salt):
        self.source = Path(entry["file"])
        self.name = str(self.source.relative_to(ROOT))
        output = re.search(r" -o (\S+\.o)", entry["command"])
        # Not compiled yet: any header of the project may matter.
        files = dependencies.get(output.group(1) if output else "") or [
            ROOT / f for f in sources.files(ROOT, ("*.h", "*.proto"))] + [self.source]
        self.headers = {str(f.relative_to(ROOT)) for f in files}
        digest = hashlib.sha256(salt + entry["command"].encode())
        for file in sorted(files):
            digest.update(str(file).encode() + b"\0" + (file.read_bytes() if file.is_file() else b""))
        self.stamp = CACHE / digest.hexdigest()

    def run(self, tidy, database):
        """The findings as text; empty when clean."""
        run = subprocess.run([tidy, "-p", str(database), "--quiet", str(self.source)],
                             cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode == 0:
            self.stamp.touch()
            return ""
        return run.stdout.strip() or run.stderr.strip() or f"{self.name}: clang-tidy ended with {run.returncode}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--changed", action="store_true")
    options = parser.parse_args()
    build = ROOT / options.build
    tidy = shutil.which("clang-tidy-14")
    if not tidy:
        sys.exit("run_tidy: clang-tidy-14 is not installed; run ./dev setup")
    entries = commands(build)
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "compile_commands.json").write_text(json.dumps(entries))
    version = subprocess.run([tidy, "--version"], capture_output=True, check=True).stdout
    salt = version + (ROOT / ".clang-tidy").read_bytes()
    dependencies = local_dependencies(build)
    jobs = [Job(entry, dependencies, salt) for entry in entries]
    if not options.all:
        changed, base = changed_files()
        if ".clang-tidy" not in changed:
            jobs = [job for job in jobs if job.headers & changed]
        print(f"clang-tidy: {len(jobs)} of {len(entries)} files touched since {base[:12]} (--all for every file)")
    todo = [job for job in jobs if not job.stamp.exists()]
    print(f"clang-tidy: {len(jobs) - len(todo)} known clean, {len(todo)} to look at", flush=True)
    findings, start = {}, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(job.run, tidy, CACHE): job for job in todo}
        for done, future in enumerate(concurrent.futures.as_completed(running), 1):
            found = future.result()
            print(f"clang-tidy: {done}/{len(todo)} {running[future].name} {'FOUND' if found else 'ok'}"
                  f" ({time.monotonic() - start:.0f} s)", flush=True)
            if found:
                # One header's finding turns up in each file that includes it: say it once.
                findings.update(dict.fromkeys(re.split(r"\n(?=/\S+:\d+:\d+: (?:error|warning))", found)))
    print("\n".join(findings).replace(f"{ROOT}/", ""))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
