#!/usr/bin/env python3
"""Holds every #include against layers.json and prints the offending ones with the reason of the rule."""
import fnmatch
import json
import re
import sys
from pathlib import Path

import sources

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


class Rules:
    def __init__(self, path):
        spec = json.loads(Path(path).read_text())
        self.layers = spec["layers"]
        self.groups = spec["groups"]
        self.folders = {p.split("/")[0] for layer in self.layers.values() for p in layer["paths"]}

    def layer_of(self, path):
        """The name of the layer whose path matches longest, or None. A '*' in a path is a pattern."""
        best, best_length = None, -1
        for name, layer in self.layers.items():
            for pattern in layer["paths"]:
                matches = fnmatch.fnmatchcase(path, pattern) if "*" in pattern else path.startswith(pattern)
                if matches and len(pattern) > best_length:
                    best, best_length = name, len(pattern)
        return best

    def refusal(self, layer_name, include):
        """Why this layer may not include this, or None."""
        layer = self.layers[layer_name]
        if include.split("/")[0] in self.folders and "/" in include:
            target = self.layer_of(include)
            if target == layer_name or target in layer["may"] or "*" in layer["may"]:
                return None
            return f"{layer_name} may not include {target} ({layer['why']})"
        for group in layer.get("outside", []):
            if any(fnmatch.fnmatchcase(include, pattern) for pattern in self.groups[group]["headers"]):
                return f"{layer_name} may not include {group} ({layer['why']})"
        return None


def check(root, rules):
    findings = []
    for path in sources.files(root, ("*.h", "*.cc", "*.inc")):
        layer = rules.layer_of(path)
        if layer is None:
            findings.append(f"{path}:1: no layer has this folder; give it one in tests/lint/layers.json")
            continue
        text = sources.without_comments((Path(root) / path).read_text(errors="replace"))
        for match in INCLUDE.finditer(text):
            quote, include = match.groups()
            line = text.count("\n", 0, match.start(2)) + 1
            where = f'{path}:{line}: #include {quote}{include}{">" if quote == "<" else quote}'
            if ".." in include.split("/") or (
                    quote == '"' and include.split("/")[0] not in rules.folders
                    and (Path(root) / path).parent.joinpath(include).is_file()):
                findings.append(f"{where}: write the path from the root of the repository")
                continue
            refusal = rules.refusal(layer, include)
            if refusal:
                findings.append(f"{where}: {refusal}")
    return findings


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else sources.ROOT
    sources.finish("check_layers", check(root, Rules(Path(__file__).parent / "layers.json")))
