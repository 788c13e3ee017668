# SPDX-License-Identifier: GPL-2.0-or-later
"""All modules of the plugin under PyQt6: they import, and what they name of Qt 6 is there.

    python qt6_smoke.py [FOLDER OF THE PLUGIN]

For a Python that has PyQt6 and no QGIS: ``qgis`` is a stand-in, whose ``qgis.PyQt`` is PyQt6 as
QGIS 4 has it, and whose classes have whatever they are asked for. So nothing is said about QGIS 4's
own classes, and nothing is run but the modules' own lines.
"""

import ast
import importlib
import pkgutil
import sys
import types
from pathlib import Path

QT = ("QtCore", "QtGui", "QtNetwork", "QtSvg", "QtTest", "QtWidgets", "QtXml")
QGIS = ("qgis.core", "qgis.gui", "qgis.utils", "osgeo.gdal", "osgeo.osr", "processing")
OF_QT_5 = {"exec_", "print_"}
"""Methods that PyQt6 has not."""


class AnyClass(type):
    """A class of QGIS: it may be a base, and has what it is asked for."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return AnyClass(name, (), {})


class AnyModule(types.ModuleType):
    """A module of QGIS."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return AnyClass(name, (), {})


def stand_in():
    """Put ``qgis`` and what comes with it among the modules."""
    for name in QGIS:
        package = name.split(".")[0]
        sys.modules.setdefault(package, AnyModule(package)).__path__ = []
        sys.modules[name] = AnyModule(name)
    sys.modules["qgis.PyQt"] = types.ModuleType("qgis.PyQt")
    sys.modules["qgis.PyQt"].__path__ = []
    for name in QT:
        sys.modules["qgis.PyQt." + name] = importlib.import_module("PyQt6." + name)
    # QGIS 4 keeps what Qt 6 has moved where Qt 5 had it.
    for name in ("QAction", "QActionGroup", "QShortcut"):
        setattr(sys.modules["PyQt6.QtWidgets"], name, getattr(sys.modules["PyQt6.QtGui"], name))


def import_all(package):
    """Import all modules of a package and return how many there are."""
    names = [
        found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    ]
    for name in names:
        importlib.import_module(name)
    return len(names)


def problems(source):
    """Return what a module names of Qt that Qt 6 has not: unscoped enums, old methods."""
    tree = ast.parse(source)
    imported, found = {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("PyQt"):
            found.append(f"{node.lineno}: only qgis.PyQt")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            module = importlib.import_module(node.module)
            imported.update({each.asname or each.name: module for each in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if node.attr in OF_QT_5:
                found.append(f"{node.lineno}: {node.attr}")
            root, names = chain(node)
            if root in imported and not has(getattr(imported[root], root), names):
                found.append("{}: {}".format(node.lineno, ".".join([root, *names])))
    return found


def chain(node):
    """Return the name and the attributes of ``name.a.b``; None is no name."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else None), names


def has(value, names):
    """Return whether classes have these attributes; of other values nothing is known."""
    for name in names:
        if not isinstance(value, type):
            return True
        if not hasattr(value, name):
            return False
        value = getattr(value, name)
    return True


def main():
    """Return the exit status."""
    here = Path(__file__).resolve().parent.parent / "geosr_super_resolution"
    folder = Path(sys.argv[1]).resolve() if sys.argv[1:] else here
    stand_in()
    old = "from qgis.PyQt.QtCore import Qt\nfrom PyQt5 import sip\nQt.LeftButton\ndialog.exec_()"
    assert len(problems(old)) == 3, problems(old)
    sys.path.insert(0, str(folder.parent))
    count = import_all(importlib.import_module(folder.name))
    bad = []
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder)
        bad += [f"{name}:{each}" for each in problems(path.read_text("utf-8"))]
    for each in bad:
        print(each)
    version = sys.modules["PyQt6.QtCore"].PYQT_VERSION_STR
    print(f"{count} modules under PyQt6 {version}: {len(bad)} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
