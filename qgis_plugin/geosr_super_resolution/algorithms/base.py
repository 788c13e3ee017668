# SPDX-License-Identifier: GPL-2.0-or-later
"""What all algorithms share: the environment, the run, its progress and its errors."""

from __future__ import annotations

import os
import re
from typing import Any, Callable

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QThread, QUrl, QVariant
from qgis.PyQt.QtGui import QIcon

from .. import settings
from ..probing import EnvironmentProblem
from ..runner import WorkerCancelled, WorkerError, run_worker
from ..said import said
from ..source import Source, SourceRefused, cli_path, source_of
from ..translation import tr
from .report import RunReport

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
Values = dict[str, Any]
_SEE_HELP = re.compile(r"See `geosr [\w-]+ --help`\.?")  # there is no terminal to type it in


class GeosrAlgorithm(QgsProcessingAlgorithm):
    """A command of geosr with a dialog.

    A subclass says what it is in `words`, and builds its command. It may keep text and numbers
    from `take` for `carry_out`, never a layer: one that outlives QGIS crashes it.

    Attributes
    ----------
    NAME
        Of the algorithm for scripts and saved models; it never changes.
    GROUP
        Of the algorithm in the toolbox; the same.
    TRAINS
        Whether it needs an environment with TensorFlow.
    """

    NAME = ""
    GROUP = ""
    TRAINS = False

    def words(self) -> dict[str, str]:
        """Return ``title``, ``short`` (a sentence) and ``about`` (paragraphs, HTML)."""
        raise NotImplementedError

    def add_all(self) -> None:
        """Add the parameters and outputs."""
        raise NotImplementedError

    def take(self, parameters: Values, context: QgsProcessingContext) -> None:
        """Take from the layers what is needed of them, as text; on the main thread."""

    def carry_out(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it and return the results; on any thread."""
        raise NotImplementedError

    def initAlgorithm(
        self,
        configuration: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Add the parameters and outputs."""
        self.add_all()

    def prepareAlgorithm(
        self,
        parameters: Values,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,  # noqa: ARG002
    ) -> bool:
        """Take what is needed; what is wrong is said by `processAlgorithm`.

        An error raised here would reach a script without its text.
        """
        self._problem = ""
        try:
            self.take(parameters, context)
        except QgsProcessingException as error:
            self._problem = str(error)
        return True

    def processAlgorithm(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it."""
        if self._problem:
            raise QgsProcessingException(self._problem)
        return self.carry_out(parameters, context, feedback)

    def tr(self, text: str) -> str:
        """Return ``text`` in the user's language."""
        return tr(text)

    def createInstance(self) -> GeosrAlgorithm:
        """Return another one of this kind."""
        return type(self)()

    def name(self) -> str:
        """Return the name for scripts."""
        return self.NAME

    def displayName(self) -> str:
        """Return the name for people."""
        return self.words()["title"]

    def groupId(self) -> str:
        """Return the group for scripts."""
        return self.GROUP

    def group(self) -> str:
        """Return the group for people."""
        groups = {
            "upscaling": self.tr("Super-resolution"),
            "quality": self.tr("Quality"),
            "models": self.tr("Models"),
        }
        return groups[self.GROUP]

    def shortDescription(self) -> str:
        """Return what it does, for the tooltip."""
        return self.words()["short"]

    def shortHelpString(self) -> str:
        """Return what it does and what each parameter is."""
        rows = [
            f"<b>{each.description()}</b> ({each.name()})<br>{each.help()}"
            for each in self.parameterDefinitions()
            if each.help()
        ]
        heading = "<h3>{}</h3>".format(self.tr("Parameters")) if rows else ""
        return self.words()["about"] + heading + "".join(f"<p>{row}</p>" for row in rows)

    def helpUrl(self) -> str:
        """Return the page that comes with the plugin, at this algorithm."""
        page = os.path.join(FOLDER, "help", "index.html")
        if not os.path.exists(page):
            return ""
        url = QUrl.fromLocalFile(page)
        url.setFragment(self.NAME)
        return str(url.toString())

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        """Return the icon's file, for the model designer."""
        return os.path.join(FOLDER, "icon.svg")

    def canExecute(self) -> tuple[bool, str]:
        """Return whether there may be an environment, and else what to do; nothing is started."""
        problem = settings.missing_environment()
        return not problem, problem

    def source(
        self, parameters: Values, name: str, context: QgsProcessingContext
    ) -> tuple[QgsRasterLayer, Source]:
        """Return a layer for the length of `take`, and where its pixels are."""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        if layer is None:
            raise QgsProcessingException(self.invalidRasterError(parameters, name))
        try:
            return layer, source_of(layer)
        except SourceRefused as error:
            raise QgsProcessingException(str(error)) from error

    def opened(self, source: Source) -> str:
        """Return a source as geosr's command takes it."""
        try:
            return cli_path(source)
        except SourceRefused as error:
            raise QgsProcessingException(str(error)) from error

    def run_geosr(self, arguments: list[str], feedback: QgsProcessingFeedback) -> RunReport | None:
        """Run a command; return what it reported, or None if it was cancelled.

        Raises
        ------
        QgsProcessingException
            If there is no environment, or the command fails: a sentence and what to do.
        """
        python = self.python(feedback)
        report = RunReport(feedback)
        feedback.pushCommandInfo(" ".join(["geosr", *map(_quoted, arguments)]))
        try:
            report.result = run_worker(
                python,
                arguments,
                on_event=report.take,
                is_cancelled=_asked(feedback),
                on_log=feedback.pushConsoleInfo,
            )
        except WorkerCancelled:
            return None
        except WorkerError as error:
            raise QgsProcessingException(self.in_words(error)) from error
        return report

    def python(self, feedback: QgsProcessingFeedback) -> str:
        """Return the interpreter of the environment."""
        try:
            found = settings.find_environment()
        except EnvironmentProblem as error:
            raise QgsProcessingException(_sentences(error.message, error.hint)) from error
        if self.TRAINS and not found.can_train:
            raise QgsProcessingException(
                self.tr(
                    "The environment {python} has no TensorFlow, which training needs. Create "
                    "one for training in Settings > Options > GeoSR, or install it there with: "
                    'pip install "geosr[tensorflow]"'
                ).format(python=found.python)
            )
        feedback.pushDebugInfo(f"geosr {found.version} in {found.python}")
        return str(found.python)

    def in_words(self, error: WorkerError) -> str:
        """Return an error with the parameters' names in place of the command's options."""
        text = _sentences(error.message, error.hint)
        for parameter in self.parameterDefinitions():
            option = parameter.metadata().get("geosr_option")
            if option:
                pattern = "['`]?" + re.escape(option) + "(?![\\w-])['`]?"
                title = f"'{parameter.description()}'".replace("\\", r"\\")
                text = re.sub(pattern, title, text)
        return _SEE_HELP.sub("", text).strip()


def given(parameters: Values, name: str) -> bool:
    """Return whether a parameter was given; dialogs and models have several ways to say no."""
    value = parameters.get(name)
    if isinstance(value, QVariant):
        return not value.isNull()
    return value is not None and value != ""


def needs_tensorflow() -> str:
    """Return what the help of a training algorithm says, HTML."""
    return tr("<p>Needs an environment with TensorFlow; the one for upscaling has none.</p>")


def for_option(parameter: Any, option: str) -> Any:
    """Return a parameter that stands for an option of the command, which errors speak of."""
    parameter.setMetadata(dict(parameter.metadata(), geosr_option=option))
    return parameter


def _asked(feedback: QgsProcessingFeedback) -> Callable[[], bool]:
    """Return what asks whether a run is cancelled, and keeps QGIS's window painted meanwhile.

    A batch, and a script in the Python console, run algorithms on the main thread.
    """
    application = QCoreApplication.instance()
    is_main = application is not None and QThread.currentThread() == application.thread()

    def asked() -> bool:
        if not is_main:
            return bool(feedback.isCanceled())
        # No clicks, as in QGIS's own QgsBlockingProcess: they would start what this run forbids.
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return bool(feedback.isCanceled())

    return asked


def _sentences(message: str, hint: str) -> str:
    return " ".join(said(part) for part in (message, hint) if part)


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument or not argument else argument
