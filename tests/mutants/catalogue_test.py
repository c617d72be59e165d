"""The catalogue and the generator: what a planted bug needs, and that one that no longer fits is refused by name."""
import unittest

from catalogue import ROOT, CatalogueError, Edit, edits_of, load, parse, touched
from generate import mutate

TABLE = {"name": "m", "why": "because", "mode": "honest", "rules": ["I3"], "seeds": 5,
         "file": "a.cc", "original": "a + b", "mutated": "a - b"}
SOURCE = "int f(int a, int b) {\n  return a + b;\n}\n"


def edits(*tables):
    return [edit for table in tables for edit in parse({**TABLE, **table}, "test").edits]


class GeneratorTest(unittest.TestCase):
    def test_expression_and_statement(self):
        out = mutate(SOURCE, edits({}), "/x/a.cc")
        self.assertIn('return (::coffer::Mutant("m") ? (a - b) : (a + b));', out)
        out = mutate(SOURCE, edits({"form": "statement", "original": "return a + b;", "mutated": "return\n  0;"}), "/x/a.cc")
        self.assertIn('if (::coffer::Mutant("m")) { return 0; } else { return a + b; }', out)

    def test_no_line_moves(self):
        out = mutate(SOURCE, edits({"original": "a + b", "mutated": "a\n-\nb"}), "/x/a.cc")
        head, body = out.split('#line 1 "/x/a.cc"\n')
        self.assertEqual(head, '#include "tests/mutants/switch.h"\n')
        self.assertEqual(body.count("\n"), SOURCE.count("\n"))

    def test_two_mutants_of_one_text(self):
        out = mutate(SOURCE, edits({}, {"name": "n", "mutated": "b"}), "/x/a.cc")
        self.assertIn('Mutant("m") ? (a - b) : ::coffer::Mutant("n") ? (b) : (a + b)', out)

    def test_refusals(self):
        refused = {
            "gone": ([{"original": "a * b"}], "m: its text occurs 0 times"),
            "twice": ([{"original": "a"}], "m: its text occurs [2-9] times"),
            "outside": ([{"within": "return a"}], "m: its text occurs 0 times in its `within`"),
            "overlap": ([{}, {"name": "n", "original": "return a + b;", "form": "statement"}], "m and n|n and m"),
            "two forms": ([{}, {"name": "n", "form": "statement"}], "two forms"),
        }
        for name, (tables, sentence) in refused.items():
            with self.subTest(name), self.assertRaisesRegex(CatalogueError, sentence):
                mutate(SOURCE, edits(*tables), "/x/a.cc")

    def test_fields(self):
        for change, sentence in (({"mode": "both"}, "mode must be"), ({"why": ""}, "`why` is missing"),
                                 ({"seed": 1}, "unknown fields"), ({"mutated": "a // b"}, "no // comment"),
                                 ({"form": "macro"}, "a form of")):
            with self.subTest(sentence), self.assertRaisesRegex(CatalogueError, sentence):
                parse({**TABLE, **change}, "test")


class CatalogueTest(unittest.TestCase):
    def test_every_mutant_fits_its_source(self):
        mutants = load()
        self.assertGreaterEqual(len(mutants), 25)
        for file in touched(mutants):
            with self.subTest(file):
                mutate((ROOT / file).read_text(), edits_of(mutants, file), file)

    def test_it_is_spread_over_both_sides(self):
        files = touched(load())
        for folder in ("enclave_core/authority", "enclave_core/ledger", "enclave_core/payouts", "enclave_core/policy",
                       "enclave_core/sealing", "enclave_core/audit", "actors/enclave", "actors/host", "actors/host/log"):
            self.assertTrue(any(f.startswith(folder + "/") for f in files), folder)

    def test_production_sources_have_no_switch(self):
        for edit in (e for m in load() for e in m.edits):
            self.assertIsInstance(edit, Edit)
            self.assertNotIn("tests/mutants", (ROOT / edit.file).read_text())


if __name__ == "__main__":
    unittest.main()
