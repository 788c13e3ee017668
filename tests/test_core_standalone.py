"""`geosr.core` goes into QGIS unchanged: no third-party import, Python 3.9, any package name."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "geosr" / "core"
MODULES = sorted(CORE.glob("*.py"))

# Import and doctest each module of a copy; print what was loaded that is neither it nor
# standard library. Python 3.9 has no list of its library, but without site-packages nothing
# else can be found.
IMPORT_ALL = """
import doctest, importlib, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
for name in sys.argv[2:]:
    module = importlib.import_module("elsewhere.core." + name)
    doctest.testmod(module, raise_on_error=True)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before} - {"elsewhere"}
print(" ".join(sorted(loaded - getattr(sys, "stdlib_module_names", loaded))))
"""

TYPING_AFTER_3_9 = {
    "Concatenate", "LiteralString", "Never", "NotRequired", "ParamSpec", "Required", "Self",
    "TypeAlias", "TypeGuard", "Unpack", "assert_never", "override",
}  # fmt: skip


@pytest.fixture
def copy_of_core(tmp_path):
    shutil.copytree(CORE, tmp_path / "elsewhere" / "core", ignore=shutil.ignore_patterns("__py*"))
    (tmp_path / "elsewhere" / "__init__.py").touch()
    return tmp_path


def import_all(folder, python=sys.executable):
    """Return the strangers that a copy of core loads, and what went wrong."""
    names = [path.stem for path in sorted((folder / "elsewhere" / "core").glob("[a-z]*.py"))]
    # -I: no environment variables, no current folder; -S: no site-packages.
    command = [python, "-I", "-S", "-c", IMPORT_ALL, str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.stderr


def test_core_imports_alone_under_another_name(copy_of_core):
    assert len(MODULES) >= 6
    assert import_all(copy_of_core) == ("", "")


@pytest.mark.parametrize("line", ["import numpy", "from geosr.core import errors"])
def test_a_stranger_would_be_noticed(copy_of_core, line):
    module = copy_of_core / "elsewhere" / "core" / "errors.py"
    module.write_text(module.read_text() + f"\n{line}\n")
    strangers, problem = import_all(copy_of_core)
    assert strangers or "ModuleNotFoundError" in problem


def test_core_runs_on_python_3_9(copy_of_core):
    python = shutil.which("python3.9")
    if (
        python is None
        or subprocess.run([python, "-V"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no python3.9 here; the next test reads the syntax")
    assert import_all(copy_of_core, python) == ("", "")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_core_is_python_3_9(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert not {name for module, name in imported if module == "typing"} & TYPING_AFTER_3_9
    if len(tree.body) > 1:  # else `X | None` in an annotation would be evaluated
        assert ("__future__", "annotations") in imported
    keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert not keywords & {"slots", "kw_only"}  # of dataclass, from 3.10
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Match)]
