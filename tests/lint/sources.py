"""Which files the lints look at, and C++ text without its comments and literals."""
import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_FOLDERS = {".git", ".cache", "build", "node_modules", "__pycache__"}


def files(root, patterns=("*",)):
    """Paths relative to root: tracked or new by git, or found by walking where there is no git."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False)
    if listing.returncode == 0:
        names = [name for name in listing.stdout.decode().split("\0") if name]
    else:
        names = []
        for folder, folders, leaves in os.walk(root):
            folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
            names += [os.path.relpath(os.path.join(folder, leaf), root) for leaf in leaves]
    return sorted(name for name in set(names)
                  if any(fnmatch.fnmatchcase(name, p) for p in patterns)
                  and (Path(root) / name).is_file() and not (Path(root) / name).is_symlink())


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL)


def without_comments_and_literals(text):
    """The same text with comments and string literals blanked; line numbers stay."""
    return _TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def without_comments(text):
    """The same text with comments blanked; strings, so also the names of includes, stay."""
    def blank(match):
        found = match.group(0)
        return re.sub(r"[^\n]", " ", found) if found.startswith("/") else found
    return _TOKEN.sub(blank, text)


def finish(name, findings):
    """Prints the findings and ends the program as a lint should."""
    for finding in findings:
        print(finding)
    if findings:
        print(f"{name}: {len(findings)} finding{'s' if len(findings) != 1 else ''}")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    for found in files(ROOT, sys.argv[1:] or ("*",)):
        print(found)
