# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be chosen about an environment to be made."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from .. import settings
from ..environment import BasePython
from ..translation import tr
from .qgis_proxy import qgis_proxy


class CreateFields(QWidget):
    """Light or with training, which Python, where to, and from where.

    Attributes
    ----------
    changed
        Signal: something was changed.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.light = QRadioButton(tr("Light: upscales on any processor (recommended)"))
        self.training = QRadioButton(
            tr("With TensorFlow: also trains models, and uses NVIDIA GPUs")
        )
        self.light.setChecked(True)
        self.python = QComboBox()
        self.python.addItem(tr("Looking for Python…"), "")
        self.folder = QgsFileWidget()
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setFilePath(settings.managed_folder())
        form = QFormLayout()
        form.addRow(tr("Python"), self.python)
        form.addRow(tr("Folder"), self.folder)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.light)
        column.addWidget(self.training)
        column.addLayout(form)
        self.network = self._network()
        column.addWidget(self.network)
        self.light.toggled.connect(self.changed)
        self.python.currentIndexChanged.connect(self.changed)
        for each in (self.folder, self.ca_bundle, self.wheel_folder):
            each.fileChanged.connect(self.changed)
        for each in (self.index_url, self.proxy):
            each.textChanged.connect(self.changed)

    def values(self) -> dict[str, Any]:
        """Return the arguments of `environment.plan_creation`."""
        return {
            "folder": self.folder.filePath().strip() or settings.managed_folder(),
            "base": str(self.python.currentData() or ""),
            "extra": "tensorflow" if self.training.isChecked() else "",
            "index_url": self.index_url.text().strip(),
            "proxy": self._proxy.resolved(self.proxy.text()),
            "ca_bundle": self.ca_bundle.filePath().strip(),
            "wheel_folder": self.wheel_folder.filePath().strip(),
        }

    def offer(self, pythons: list[BasePython]) -> None:
        """List the interpreters that were found, best first."""
        self.python.blockSignals(True)
        self.python.clear()
        for each in pythons:
            self.python.addItem("{}.{}: {}".format(*each.version, each.path), each.path)
        if not pythons:
            self.python.addItem(tr("None found: install Python 3.12"), "")
        self.python.blockSignals(False)
        self.changed.emit()

    def _network(self) -> QgsCollapsibleGroupBox:
        group = QgsCollapsibleGroupBox(tr("Network and offline installation"))
        group.setCollapsed(True)
        form = QFormLayout(group)
        about = QLabel(tr("Leave empty what your network does not need."))
        about.setWordWrap(True)
        form.addRow(about)
        self.index_url = QLineEdit()
        self.index_url.setPlaceholderText(tr("pip's own setting, or the public index"))
        self._proxy = qgis_proxy()
        self.proxy = QLineEdit(self._proxy.shown)
        self.proxy.setPlaceholderText("http://proxy.example.org:3128")
        self.ca_bundle = QgsFileWidget()
        self.ca_bundle.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.ca_bundle.setFilter("{} (*.pem *.crt *.cer);;* (*)".format(tr("Certificates")))
        self.wheel_folder = QgsFileWidget()
        self.wheel_folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.wheel_folder.setToolTip(
            tr("A folder that make_wheel_folder.py has filled; nothing is downloaded then.")
        )
        form.addRow(tr("Index address"), self.index_url)
        form.addRow(tr("Proxy"), self.proxy)
        form.addRow(tr("CA bundle"), self.ca_bundle)
        form.addRow(tr("Wheel folder"), self.wheel_folder)
        return group
