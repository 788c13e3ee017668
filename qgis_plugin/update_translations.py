# SPDX-License-Identifier: GPL-2.0-or-later
"""Bring the translations (i18n/geosr_*.ts) up to date with the sources of the plugin.

    python update_translations.py            # new texts come in as unfinished, old ones go
    python update_translations.py --check    # writes nothing; the status is 1 if one is not whole

Texts are what ``tr("...")`` and ``later("...")`` are called with, and the summaries of the models,
which are data. Qt's lupdate does not read Python, and pylupdate passes over calls of functions.
"""

from __future__ import annotations

import argparse
import ast
import html
import json
import re
import string
import sys
from pathlib import Path

PLUGIN = Path(__file__).resolve().parent / "geosr_super_resolution"
FOLDER = PLUGIN / "i18n"
CALLS = {"tr", "later"}
HEAD = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="{language}" sourcelanguage="en">
<context>
    <name>GeoSR</name>
"""
TAIL = "</context>\n</TS>\n"
MESSAGE = re.compile(
    r"<source>(?P<source>.*?)</source>\s*<translation[^>]*?(?:/>|>(?P<said>.*?)</translation>)",
    re.DOTALL,
)


def texts(plugin: Path = PLUGIN) -> dict[str, str]:
    """Return the texts to translate, each with the file that it is in first."""
    found: dict[str, str] = {}
    for path in sorted(plugin.rglob("*.py")):
        name = path.relative_to(plugin).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _called(node) in CALLS and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.setdefault(first.value, name)
    models = json.loads((plugin / "resources" / "models.json").read_text(encoding="utf-8"))
    for model in models:
        found.setdefault(model["summary"], "resources/models.json")
    return found


def read(path: Path) -> dict[str, str]:
    """Return the translations of a file by their texts; '' is an unfinished one."""
    if not path.exists():
        return {}
    found = MESSAGE.finditer(path.read_text(encoding="utf-8"))
    return {html.unescape(each["source"]): html.unescape(each["said"] or "") for each in found}


def written(language: str, wanted: dict[str, str], said: dict[str, str]) -> str:
    """Return the text of a file."""
    lines = [HEAD.format(language=language)]
    for text, place in sorted(wanted.items(), key=lambda each: (each[1], each[0])):
        translation = html.escape(said.get(text, ""), quote=False)
        state = "" if translation else ' type="unfinished"'
        lines.append(
            "    <message>\n"
            f'        <location filename="../{place}"/>\n'
            f"        <source>{html.escape(text, quote=False)}</source>\n"
            f"        <translation{state}>{translation}</translation>\n"
            "    </message>\n"
        )
    return "".join(lines) + TAIL


def problems(wanted: dict[str, str], said: dict[str, str]) -> list[str]:
    """Return what is wrong with translations, a line each."""
    lines = [f"not translated: {text!r}" for text in wanted if not said.get(text)]
    lines += [f"no longer in the plugin: {text!r}" for text in said if text not in wanted]
    for text in wanted:
        translation = said.get(text)
        if translation and _fields(text) != _fields(translation):
            lines.append(f"other fields: {text!r}")
        if translation and _tags(text) != _tags(translation):
            lines.append(f"other tags: {text!r}")
    return lines


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description="Bring the translations up to date.")
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted, bad = texts(), 0
    for path in sorted(FOLDER.glob("geosr_*.ts")):
        said = read(path)
        if not check:
            language = path.stem.partition("_")[2]
            path.write_text(written(language, wanted, said), encoding="utf-8")
            said = read(path)
        for line in problems(wanted, said):
            bad += 1
            print(f"{path.name}: {line}")
    return 1 if bad else 0


def _called(node: ast.Call) -> str:
    function = node.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _fields(text: str) -> list[str]:
    return sorted(
        f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(text) if name is not None
    )


def _tags(text: str) -> list[str]:
    return sorted(re.findall(r"</?\w+>", text))


if __name__ == "__main__":
    sys.exit(main())
