#!/usr/bin/env python3
"""File sizes, unfinished-work marks, header guards and stray white space. --fix mends the white space."""
import fnmatch
import re
import sys
from pathlib import Path

import sources

MAX_LINES = 500
SIZED = ("*.h", "*.cc", "*.inc", "*.proto", "*.py", "*.sh", "*.mjs", "*.js", "*.ts", "*.sol", "*.cmake", "*CMakeLists.txt",
         "dev")
CODE = SIZED + ("*.md", "*.json", "*.toml", "*.yaml", "*.yml", "*.txt", ".ci/run", ".clang-*", "*.service")
# Data whose bytes are the point: vectors, corpora, golden files, lock files.
DATA = ("tests/golden/*", "tests/*/corpus/*", "tests/*/vectors/*", "tests/vectors/*", "*package-lock.json", "LICENSE")
MARK = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def guard_of(path):
    return "COFFER_" + re.sub(r"[^A-Z0-9]", "_", path.upper()) + "_"


def check_file(root, path):
    findings = []
    try:
        text = (Path(root) / path).read_bytes().decode()
    except UnicodeDecodeError:
        return [f"{path}:1: is not UTF-8"]
    lines = text.split("\n")
    if any(fnmatch.fnmatchcase(path, p) for p in SIZED) and len(lines) - 1 > MAX_LINES:
        findings.append(f"{path}:{MAX_LINES + 1}: has {len(lines) - 1} lines, more than {MAX_LINES}: split it by what it does")
    for number, line in enumerate(lines, 1):
        if MARK.search(line):
            findings.append(f"{path}:{number}: '{MARK.search(line).group(0)}': finish it, or write it down as an issue")
        if line.endswith(("\r", " ", "\t")):
            findings.append(f"{path}:{number}: white space at the end of the line")
    if text and not text.endswith("\n"):
        findings.append(f"{path}:{len(lines)}: no newline at the end of the file")
    if path.endswith(".h"):
        found = re.search(r"^#ifndef (\S+)\n#define (\S+)$", text, re.MULTILINE)
        if not found or set(found.groups()) != {guard_of(path)}:
            findings.append(f"{path}:1: the header guard must be {guard_of(path)}")
    return findings


def check(root, fix=False):
    findings = []
    for path in sources.files(root, CODE):
        if any(fnmatch.fnmatchcase(path, p) for p in DATA):
            continue
        if fix:
            mend(Path(root) / path)
        findings += check_file(root, path)
    return findings


def mend(path):
    before = path.read_bytes()
    after = re.sub(rb"[ \t\r]+(?=\n|\Z)", b"", before)
    if after and not after.endswith(b"\n"):
        after += b"\n"
    if after != before:
        path.write_bytes(after)


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--fix"]
    sources.finish("check_text", check(Path(arguments[0]) if arguments else sources.ROOT, "--fix" in sys.argv))
