"""Adds up what the tests of a stage of ./dev test wrote, and names the tests that failed.

usage: results.py STAGE FILES...      (JUnit files end with .xml, those of `node --test` with .tap)

Writes STAGE.counts ("passed failed skipped") and STAGE.failed: each failed test by its name, with the first lines of why. A log of
an hour is read from its end, and often nothing but its end is kept; so ./dev test prints STAGE.failed there.
"""
import re
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

REASON_LINES = 30
REASON_WIDTH = 500


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []  # (name, reason)

    def fail(self, name, reason):
        self.failures.append((name, reason))

    def report(self):
        lines = []
        for name, reason in self.failures:
            lines.append(f"FAILED  {name}")
            said = [line.rstrip()[:REASON_WIDTH] for line in reason.splitlines() if line.strip()]
            lines += [f"    {line}" for line in said[:REASON_LINES]]
            if len(said) > REASON_LINES:
                lines.append(f"    ... and {len(said) - REASON_LINES} lines more")
        return "".join(line + "\n" for line in lines)


def add_junit(tally, path):
    """As written by ctest (a failed test has its whole output) and by gtest (a message for each expectation)."""
    try:
        cases = tree.parse(path).iter("testcase")
    except tree.ParseError as error:  # ended while it was written
        tally.failed += 1
        tally.fail(f"{Path(path).stem}: its results can't be read", str(error))
        return
    for case in cases:
        status = {case.get("status"), case.get("result")}
        wrong = case.findall("failure") + case.findall("error")
        if wrong or "fail" in status:
            tally.failed += 1
            reasons = [item.text or item.get("message") or "" for item in wrong]
            # What went wrong is at the end of what the program printed: ctest keeps that here, one_gtest in a file.
            printed = case.findtext("system-out") or ""
            log = Path(path).with_name(f"{case.get('name')}.log")
            if not any(reasons) and log.is_file():
                printed = log.read_text(errors="replace")
            # ctest gives a test its own name as its class.
            suite = case.get("classname")
            name = case.get("name") if suite in (None, case.get("name")) else f"{suite}.{case.get('name')}"
            tally.fail(f"{Path(path).stem}: {name}", "\n".join([*reasons, *printed.splitlines()[-REASON_LINES:]]))
        elif case.find("skipped") is not None or status & {"notrun", "disabled", "skipped", "suppressed"}:
            tally.skipped += 1
        else:
            tally.passed += 1


NOT_OK = re.compile(r"^( *)not ok \d+(?: - (.*))?$")


def add_tap(tally, path):
    """Node's reporter: a test inside another is indented, and what went wrong follows as YAML between --- and ... ."""
    lines = Path(path).read_text(errors="replace").splitlines()
    summary = [re.match(r"^# (pass|fail|cancelled|skipped|todo) (\d+)", line) for line in lines]
    sums = [(match[1], int(match[2])) for match in summary if match]
    tally.passed += sum(count for word, count in sums if word == "pass")
    tally.failed += sum(count for word, count in sums if word in ("fail", "cancelled"))
    tally.skipped += sum(count for word, count in sums if word in ("skipped", "todo"))
    for at, line in enumerate(lines):
        match = NOT_OK.match(line)
        if not match or re.search(r"(?<!\\)# (T[O]DO|SKIP)\b", match[2] or ""):
            continue
        reason = []
        if at + 1 < len(lines) and lines[at + 1].strip() == "---":
            for more in lines[at + 2 :]:
                if more == f"{match[1]}  ...":
                    break
                reason.append(more[len(match[1]) + 2 :])
        # What fails inside is named itself.
        if "failureType: 'subtestsFailed'" not in reason:
            tally.fail(f"{Path(path).stem}: {match[2]}", "\n".join(reason))
    if "pass" not in dict(sums):
        # The runner was killed before its summary: what it was at is the last it began.
        begun = [line.split("# Subtest: ", 1)[1] for line in lines if "# Subtest: " in line]
        tally.failed += 1
        tally.fail(f"{Path(path).stem}: ended without a summary",
                   f"the last test that is known to have begun or ended: {begun[-1]}" if begun else "")


def main(stage, files):
    tally = Tally()
    for name in files:
        if name.endswith(".xml"):
            add_junit(tally, name)
        elif name.endswith(".tap"):
            add_tap(tally, name)
        else:
            raise SystemExit(f"results.py: {name} is neither .xml nor .tap")
    Path(f"{stage}.counts").write_text(f"{tally.passed} {tally.failed} {tally.skipped}\n")
    Path(f"{stage}.failed").write_text(tally.report())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
