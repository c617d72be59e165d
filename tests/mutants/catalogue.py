"""Reads the catalogue of planted bugs (*.toml beside this file) and holds it against the sources.

A mutant is one or more edits of production sources. Each edit names a text that must occur exactly once in its file (or once
in a wider text, `within`, that does), and what a hurried person might have written instead. The sources themselves carry no
switch: generate.py makes a copy in which both texts stand side by side, for coffer_sim_mutants alone.
"""
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
MODES = ("honest", "adversary", "rollback")
FORMS = ("expression", "statement")


class CatalogueError(Exception):
    """A mistake in the catalogue, or a source that has moved on: a sentence for the person who builds."""


@dataclass(frozen=True)
class Edit:
    mutant: str
    file: str
    form: str
    original: str
    mutated: str
    within: str

    def span(self, text):
        """Where the original stands in the file's text: begin and end."""
        outer = self.within or self.original
        for needle, hay, where in ((outer, text, f"in {self.file}"), (self.original, outer, "in its `within`")):
            count = hay.count(needle)
            if count != 1:
                raise CatalogueError(
                    f"mutant {self.mutant}: its text occurs {count} times {where}, not once; the code has changed, so look "
                    f"whether the mistake can still be made there and adapt tests/mutants/*.toml:\n    {needle.strip()[:200]}")
        begin = text.index(outer) + outer.index(self.original)
        return begin, begin + len(self.original)


@dataclass(frozen=True)
class Mutant:
    name: str
    why: str
    mode: str
    rules: tuple
    seeds: int
    edits: tuple = field(repr=False)


def parse(table, source):
    def refuse(what):
        raise CatalogueError(f"{source}: mutant {table.get('name', '(without a name)')}: {what}")

    known = {"name", "why", "mode", "rules", "seeds", "edit", "file", "form", "original", "mutated", "within"}
    if set(table) - known:
        refuse(f"unknown fields {sorted(set(table) - known)}")
    for key in ("name", "why", "mode", "rules", "seeds"):
        if not table.get(key):
            refuse(f"`{key}` is missing")
    if table["mode"] not in MODES:
        refuse(f"mode must be one of {MODES}")
    edits = table.get("edit", [table])
    out = []
    for edit in edits:
        form = edit.get("form", "expression")
        if form not in FORMS or not edit.get("file") or not edit.get("original") or "mutated" not in edit:
            refuse(f"an edit needs file, original, mutated, and a form of {FORMS}")
        if "//" in edit["mutated"]:
            refuse("the mutated text becomes one line, so it can hold no // comment")
        out.append(Edit(table["name"], edit["file"], form, edit["original"].strip(), edit["mutated"].strip(),
                        edit.get("within", "").strip()))
    return Mutant(table["name"], table["why"], table["mode"], tuple(table["rules"]), table["seeds"], tuple(out))


def load(folder=FOLDER):
    mutants = []
    for path in sorted(folder.glob("*.toml")):
        with path.open("rb") as file:
            mutants += [parse(table, path.name) for table in tomllib.load(file).get("mutant", [])]
    names = [m.name for m in mutants]
    for name in names:
        if names.count(name) > 1:
            raise CatalogueError(f"there are two mutants called {name}")
    return mutants


def edits_of(mutants, file):
    return [edit for mutant in mutants for edit in mutant.edits if edit.file == file]


def touched(mutants):
    return sorted({edit.file for mutant in mutants for edit in mutant.edits})
