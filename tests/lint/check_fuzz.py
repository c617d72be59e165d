#!/usr/bin/env python3
"""Every fuzzer is built, and has a corpus, a dictionary and a line in docs/fuzzing.md; nothing is left of one that is gone."""
import re
import sys
from pathlib import Path

FOLDER = "tests/fuzz"
ENTRY = re.compile(rb'^(?:"(?:[ !#-\[\]-~]|\\\\|\\"|\\x[0-9a-fA-F]{2})+"|#.*|)$')


def check_dictionary(path, name):
    findings, entries = [], 0
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not ENTRY.match(line):
            findings.append(f"{FOLDER}/dict/{name}.dict:{number}: not a dictionary's line; libFuzzer would refuse all of it")
        entries += line.startswith(b'"')
    if entries == 0:
        findings.append(f"{FOLDER}/dict/{name}.dict:1: has no entry")
    return findings


def check(root):
    folder = Path(root) / FOLDER
    named = lambda pattern, end: {p.name.removesuffix(end) for p in folder.glob(pattern)}
    sources = named("*_fuzz.cc", "_fuzz.cc")
    built = set(re.findall(r"^coffer_fuzz\((\w+) ", (folder / "CMakeLists.txt").read_text(), re.MULTILINE))
    docs = Path(root) / "docs" / "fuzzing.md"
    described = set(re.findall(r"^\| `(\w+)` \|", docs.read_text(), re.MULTILINE)) if docs.exists() else set()
    findings = []
    for name in sorted(sources | built):
        source = f"{FOLDER}/{name}_fuzz.cc:1"
        if name not in sources:
            findings.append(f"{source}: {FOLDER}/CMakeLists.txt builds it, and it is not there")
            continue
        if name not in built:
            findings.append(f"{source}: {FOLDER}/CMakeLists.txt does not build it")
        corpus = folder / "corpus" / name
        if not corpus.is_dir() or not any(corpus.iterdir()):
            findings.append(f"{source}: has no input in {FOLDER}/corpus/{name}")
        dictionary = folder / "dict" / f"{name}.dict"
        if not dictionary.exists():
            findings.append(f"{source}: has no {FOLDER}/dict/{name}.dict")
        else:
            findings += check_dictionary(dictionary, name)
        if name not in described:
            findings.append(f"{source}: has no line in the table of docs/fuzzing.md")
    for name in sorted((named("corpus/*", "") | named("dict/*.dict", ".dict") | described) - sources):
        findings.append(f"{FOLDER}/{name}_fuzz.cc:1: has a corpus, a dictionary or a line in docs/fuzzing.md, and is not there")
    return findings


if __name__ == "__main__":
    found = check(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)
