# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in the dock, and where; what it does is in `dock`."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ..translation import tr


class DockWidgets(QStackedWidget):
    """The two pages of the dock: without an environment, and with one."""

    def __init__(self) -> None:
        super().__init__()
        self.setup_page = self._setup_page()
        self.work_page = self._work_page()
        for page in (self.setup_page, self.work_page):
            area = QScrollArea()
            area.setFrameShape(QScrollArea.Shape.NoFrame)
            area.setWidgetResizable(True)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setWidget(page)
            bar = area.verticalScrollBar().sizeHint().width()
            area.setMinimumWidth(page.minimumSizeHint().width() + bar)  # nothing is cut off
            self.addWidget(area)

    def show_setup(self, text: str) -> None:
        """Show what is missing."""
        self.setup_text.setText(text)
        self.setCurrentIndex(0)

    def show_work(self) -> None:
        """Show layer, model and buttons."""
        self.setCurrentIndex(1)

    def _setup_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        title = QLabel("<b>{}</b>".format(tr("GeoSR is not set up yet")))
        self.setup_text = _words()
        about = _words(
            tr(
                "GeoSR computes in a Python environment of its own, so that QGIS stays as it is. "
                "It is chosen or created once."
            )
        )
        self.setup_button = QPushButton(tr("Set up…"))
        self.check_button = QPushButton(tr("Check again"))
        for each in (title, about, self.setup_text, self.setup_button, self.check_button):
            column.addWidget(each)
        column.addStretch()
        return page

    def _work_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.addLayout(self._choices())
        self.description = _words()
        column.addWidget(self.description)
        column.addLayout(self._preview_row())
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(6)
        policy = self.progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # nothing jumps
        self.progress.setSizePolicy(policy)
        self.progress.hide()
        column.addWidget(self.progress)
        self.status = _words()
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(self.status)
        column.addWidget(self._comparison())
        self.run_button = QPushButton(tr("Run on the whole layer…"))
        self.run_button.setToolTip(tr("Opens the dialog of the algorithm, filled in as here."))
        column.addWidget(self.run_button)
        column.addStretch()
        return page

    def _choices(self) -> QFormLayout:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.layer_box = QgsMapLayerComboBox()
        self.layer_box.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.model_box = QComboBox()
        self.factor_box = QComboBox()
        for each in (self.layer_box, self.model_box, self.factor_box):
            _may_be_narrow(each)
        form.addRow(tr("Layer"), self.layer_box)
        form.addRow(tr("Model"), self.model_box)
        form.addRow(tr("Factor"), self.factor_box)
        return form

    def _preview_row(self) -> QVBoxLayout:
        column = QVBoxLayout()
        row = QHBoxLayout()
        self.preview_button = QPushButton(tr("Preview this view"))
        self.preview_button.setToolTip(
            tr("Makes what the map shows of the layer sharper, into a temporary layer.")
        )
        self.cancel_button = QPushButton(tr("Cancel"))
        self.cancel_button.setEnabled(False)
        row.addWidget(self.preview_button, 1)
        row.addWidget(self.cancel_button)
        self.follow = QCheckBox(tr("Follow the map"))
        self.follow.setToolTip(tr("Makes the preview anew whenever the map was moved."))
        column.addLayout(row)
        column.addWidget(self.follow)
        return column

    def _comparison(self) -> QGroupBox:
        group = QGroupBox(tr("Before and after"))
        column = QVBoxLayout(group)
        self.after_box = QgsMapLayerComboBox()
        self.after_box.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.after_box.setAllowEmptyLayer(True, tr("(a preview or a result)"))
        _may_be_narrow(self.after_box)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(tr("After"), self.after_box)
        column.addLayout(form)
        self.swipe_button = QPushButton(tr("Swipe on the map"))
        self.swipe_button.setCheckable(True)
        self.swipe_button.setEnabled(False)
        self.swipe_button.setToolTip(
            tr(
                "Left of the handle the map is as before. Drag it, or move it with the arrow "
                "keys; Esc ends."
            )
        )
        column.addWidget(self.swipe_button)
        return group


def _may_be_narrow(box: QComboBox) -> None:
    """Let a long name be cut rather than the dock."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)


def _words(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    return label
