"""run.py with programs that behave as fuzzers do: what it prints, when it ends them, and what it says by its own exit code."""
import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import run

QUIET = """
print("#7 DONE cov: 5 ft: 6 corp: 3/9b")
print("stat::number_of_executed_units: 1234")
"""
# The crash goes where -artifact_prefix says.
FINDING = """
prefix = next(a.split("=", 1)[1] for a in sys.argv if a.startswith("-artifact_prefix="))
open(prefix + "crash-1", "w").write("bad")
sys.exit(77)
"""
BROKEN = "sys.exit(3)"
# Works until it is asked to end, as libFuzzer does without -max_total_time.
BUSY = """
def end(*_):
    print("stat::number_of_executed_units: 99")
    sys.exit(0)
assert "-max_total_time=0" in sys.argv
signal.signal(signal.SIGUSR1, end)
while True: pass
"""


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = Path(folder.name)
        (self.build / "bin").mkdir()
        patched = mock.patch.object(run, "BUILD", self.build)
        patched.start()
        self.addCleanup(patched.stop)

    def fuzzer(self, name, text):
        program = self.build / "bin" / f"fuzz_{name}"
        program.write_text(f"#!{sys.executable}\nimport signal, sys\n{text}\n", encoding="utf-8")
        program.chmod(0o700)

    def main(self, *arguments):
        """(exit code, what was printed)"""
        out = io.StringIO()
        with mock.patch.object(sys, "argv", ["run.py", *arguments]), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            with self.assertRaises(SystemExit) as ended:
                run.main()
        return ended.exception.code, out.getvalue()

    def test_nothing_found(self):
        self.fuzzer("one", QUIET)
        self.fuzzer("two", QUIET)
        code, said = self.main("--jobs", "2", "one", "two")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"one .* 1,234 executions .* cov +5 ft +6 corpus +3\n")
        self.assertIn("2 of 2 fuzzers found nothing", said)
        rows = [row.split("\t") for row in (self.build / "runs.tsv").read_text().splitlines()]
        self.assertEqual(sorted((row[1], row[3]) for row in rows), [("one", "1234"), ("two", "1234")])

    def test_a_finding_is_named_and_fails(self):
        self.fuzzer("good", QUIET)
        self.fuzzer("bad", FINDING)
        code, said = self.main("good", "bad")
        self.assertEqual(code, 1, said)
        self.assertIn(f"FINDING {self.build}/findings/bad/crash-1", said)
        self.assertIn("1 of 2 fuzzers found nothing", said)

    def test_one_that_fails_without_a_finding_fails(self):
        self.fuzzer("broken", BROKEN)
        code, said = self.main("broken")
        self.assertEqual(code, 1, said)
        self.assertIn("failed with 3", said)

    def test_seconds_of_a_processor(self):
        self.fuzzer("busy", BUSY)
        code, said = self.main("--seconds", "1", "--of-processor", "busy")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"busy .* 99 executions")
        self.assertGreaterEqual(int((self.build / "runs.tsv").read_text().split("\t")[4]), 1)

    def test_no_seconds_are_refused(self):
        self.assertEqual(self.main("--seconds", "0", "one")[0], 2)


if __name__ == "__main__":
    unittest.main()
