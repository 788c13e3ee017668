"""Bring faults into runs of ``geosr upscale`` and tell in a table what became of them.

    python benchmarks/faults.py --out benchmarks/faults.md

The faults are those of ``tests/faults``, which says how each is made; this runs them and collects
what they tell. A row stands there only if all that its test checks is so: the run ended with a
sentence and a hint, or went through; nothing that looked finished was not; and the same command
again made, to the byte, the file of an undisturbed run.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("kills", "stops", "disk", "sources", "two_runs", "clocks", "workers", "memory")
TESTS += ("power_loss",)
COLUMNS = ("fault", "sink", "happened", "left", "identical")
HEAD = ("fault", "sink", "what happened", "left over", "identical")
BAD = ("failure", "error")


def main() -> None:
    """Run all faults and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file for the table; else standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", "-o", "junit_family=xunit1"]  # it keeps properties
        command += [f"tests/faults/test_{name}.py" for name in TESTS]
        status = subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr).returncode
        suite = ElementTree.parse(report).getroot()  # noqa: S314 - it was written just now
    text = "\n".join(lines(suite)) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    sys.exit(status)


def lines(suite: ElementTree.Element) -> Iterator[str]:
    """Yield the lines of the table and what it needs to be understood."""
    cases = list(suite.iter("testcase"))
    failed = [case for case in cases if any(case.find(kind) is not None for kind in BAD)]
    skipped = [case for case in cases if case.find("skipped") is not None]
    yield "# Faults, and what becomes of them"
    yield ""
    yield (
        f"{len(cases)} tests of `tests/faults` on {platform.system()}, Python "
        f"{platform.python_version()}: {len(failed)} failed, {len(skipped)} skipped. "
        "Reproduced by `python benchmarks/faults.py --out benchmarks/faults.md`."
    )
    yield ""
    yield (
        "Each output has six blocks. After each fault the same command was run again; the last "
        "two columns tell what lay in the folder then besides the output, and whether the output "
        "was that of an undisturbed run to the byte. `parts` is the `append` sink with blocks "
        "from the workers of a Dask scheduler."
    )
    yield ""
    yield table_row(HEAD)
    yield table_row(["---"] * len(HEAD))
    for case in cases:
        told = {item.get("name"): item.get("value", "") for item in case.iter("property")}
        if case in failed:
            yield table_row([str(case.get("name")), "", "**FAILED**", "?", "?"])
        elif told:
            yield table_row([told[name] for name in COLUMNS])
    for case in skipped:
        yield ""
        yield f"Skipped: {case.get('name')}: {case.find('skipped').get('message')}"


def table_row(cells) -> str:
    """Return a row of a table in Markdown."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    main()
