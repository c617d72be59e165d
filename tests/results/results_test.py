"""results.py on files as node, gtest and ctest write them: what is counted, which failures are named and how much is said of each."""
import os
import tempfile
import unittest
from pathlib import Path

import results

TAP = r"""TAP version 13
# Subtest: outer
    # Subtest: inner \# one
    not ok 1 - inner \# one
      ---
      failureType: 'testCodeFailure'
      error: '1 == 2'
      ...
    1..1
not ok 1 - outer
  ---
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  ...
ok 2 - fine
not ok 3 - waits # SKIP
1..3
# tests 3
# pass 1
# fail 2
# cancelled 1
# skipped 2
# todo 0
"""
GTEST = """<?xml version="1.0"?>
<testsuites><testsuite name="A">
<testcase name="Bad" classname="A" status="run" result="completed">
<failure message="g.cc:2 one"><![CDATA[g.cc:2
why & <x>]]></failure><failure message="g.cc:3"><![CDATA[g.cc:3
also]]></failure></testcase>
<testcase name="Good" classname="A" status="run" result="completed"/>
<testcase name="Skip" classname="A" status="run" result="skipped"><skipped message="no"/></testcase>
</testsuite></testsuites>
"""
CTEST = """<testsuite><testcase name="lint.x" classname="lint.x" status="fail"><failure message=""/><system-out>noise
the reason</system-out></testcase><testcase name="b" classname="b" status="run"/></testsuite>
"""


class ResultsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)

    def tally(self, **files):
        names = []
        for name, text in files.items():
            names.append(name.replace("_", "."))
            Path(names[-1]).write_text(text)
        results.main("stage", names)
        return Path("stage.counts").read_text().split(), Path("stage.failed").read_text()

    def test_tap_names_the_innermost_that_failed(self):
        counts, failed = self.tally(kill_tap=TAP)
        self.assertEqual(counts, ["1", "3", "2"])
        self.assertIn("FAILED  kill: inner \\# one\n    failureType: 'testCodeFailure'\n    error: '1 == 2'\n", failed)
        self.assertNotIn("outer", failed)
        self.assertNotIn("waits", failed)

    def test_a_runner_that_was_killed_is_a_failure_with_what_it_was_at(self):
        counts, failed = self.tally(hung_tap="TAP version 13\n# Subtest: the slow one\n")
        self.assertEqual(counts, ["0", "1", "0"])
        self.assertIn("FAILED  hung: ended without a summary\n", failed)
        self.assertIn("the slow one", failed)

    def test_a_runner_that_wrote_nothing_is_a_failure(self):
        self.assertEqual(self.tally(empty_tap="")[0], ["0", "1", "0"])

    def test_gtest_names_each_expectation(self):
        counts, failed = self.tally(unit_xml=GTEST)
        self.assertEqual(counts, ["1", "1", "1"])
        self.assertEqual(failed, "FAILED  unit: A.Bad\n    g.cc:2\n    why & <x>\n    g.cc:3\n    also\n")

    def test_ctest_shows_what_the_program_printed(self):
        counts, failed = self.tally(ctest_xml=CTEST)
        self.assertEqual(counts, ["1", "1", "0"])
        self.assertEqual(failed, "FAILED  ctest: lint.x\n    noise\n    the reason\n")

    def test_a_program_that_wrote_no_results_shows_the_end_of_its_log(self):
        Path("unit_a_test.log").write_text("".join(f"line {n}\n" for n in range(100)))
        counts, failed = self.tally(crashed_xml="<t><testcase name='unit_a_test'><failure/></testcase></t>")
        self.assertEqual(counts, ["0", "1", "0"])
        self.assertEqual(len(failed.splitlines()), 1 + results.REASON_LINES)
        self.assertTrue(failed.endswith("line 99\n"))

    def test_results_that_end_in_the_middle_are_a_failure(self):
        counts, failed = self.tally(half_xml=GTEST[:200])
        self.assertEqual(counts, ["0", "1", "0"])
        self.assertIn("FAILED  half: its results can't be read", failed)

    def test_a_long_reason_is_cut_and_says_so(self):
        reason = "\n".join(f"<![CDATA[{n} {'x' * 9999}]]>" for n in range(50))
        _, failed = self.tally(a_xml=f"<t><testcase name='n'><failure>{reason}</failure></testcase></t>")
        self.assertLess(len(failed), 32 * (results.REASON_WIDTH + 10))
        self.assertTrue(failed.endswith("    ... and 20 lines more\n"))

    def test_nothing_to_add_up_is_nothing(self):
        self.assertEqual(self.tally(), (["0", "0", "0"], ""))

    def test_other_files_are_refused(self):
        with self.assertRaisesRegex(SystemExit, "neither"):
            self.tally(a_txt="")


if __name__ == "__main__":
    unittest.main()
