#!/usr/bin/env python3
"""Writes a source with its mutants in it: the original text and each mutated one, chosen at run time.

    generate.py --files                     the sources that mutants touch, one a line
    generate.py --source FILE --out FILE    the mutated copy of one of them
    generate.py --names FILE                all mutants' names as a C++ table

No line moves: the mutated text is put on the line where the original begins, and #line names the true file, so that the
compiler's errors and COFFER_CHECK point to where a person looks.
"""
import argparse
import sys
from pathlib import Path

from catalogue import ROOT, CatalogueError, edits_of, load, touched


def one_line(text):
    return " ".join(text.split())


def wrap(original, edits):
    """One text that is any of the mutated ones, or the original."""
    if edits[0].form == "expression":
        chain = "".join(f'::coffer::Mutant("{e.mutant}") ? ({one_line(e.mutated)}) : ' for e in edits)
        return f"({chain}({original}))"
    chain = "".join(f'if (::coffer::Mutant("{e.mutant}")) {{ {one_line(e.mutated)} }} else ' for e in edits)
    return f"{chain}{{ {original} }}"


def mutate(text, edits, path):
    by_span = {}
    for edit in edits:
        by_span.setdefault(edit.span(text), []).append(edit)
    spans = sorted(by_span)
    for before, after in zip(spans, spans[1:]):
        if before[1] > after[0]:
            raise CatalogueError(f"mutants {by_span[before][0].mutant} and {by_span[after][0].mutant}: their texts in "
                                 f"{edits[0].file} overlap; give both the same text")
    for span in spans:
        if len({e.form for e in by_span[span]}) > 1:
            raise CatalogueError(f"mutants {[e.mutant for e in by_span[span]]}: one text, two forms")
    for begin, end in reversed(spans):
        text = text[:begin] + wrap(text[begin:end], by_span[begin, end]) + text[end:]
    return f'#include "tests/mutants/switch.h"\n#line 1 "{path}"\n{text}'


def write_if_changed(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--source")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--names", type=Path)
    args = parser.parse_args()
    mutants = load()
    if args.files:
        print("\n".join(touched(mutants)))
    if args.source:
        path = ROOT / args.source
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(mutate(path.read_text(), edits_of(mutants, args.source), path))
    if args.names:
        rows = "".join(f'    "{m.name}",\n' for m in mutants)
        args.names.parent.mkdir(parents=True, exist_ok=True)
        args.names.write_text('#include "tests/mutants/switch.h"\n\nnamespace coffer {\n\n'
                              f"const char* const kMutants[] = {{\n{rows}    nullptr,\n}};\n\n}}  // namespace coffer\n")


if __name__ == "__main__":
    try:
        main()
    except CatalogueError as error:
        sys.exit(f"mutants: {error}")
