"""Every error that geosr raises on purpose."""

from __future__ import annotations


class GeosrError(Exception):
    """Base of every error geosr raises on purpose.

    ``hint`` says what to change, ``code`` names the kind of mistake for programs and
    ``exit_status`` is what a command ends with: 1 failed, 2 wrong usage.
    """

    code = "failed"
    exit_status = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)  # only the message: the error must pickle
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n{self.hint}" if self.hint else message

    @property
    def message(self) -> str:
        """The sentence without the hint."""
        return super().__str__()


class OptionError(GeosrError, ValueError):
    """An option's value makes no sense, or does not apply here."""

    code = "usage"
    exit_status = 2


class PlanError(OptionError):
    """The tiles asked for cannot be laid."""

    code = "usage.plan"


class BandError(OptionError):
    """A band is missing, or their number does not fit the model."""

    code = "input.bands"


class BoundsError(OptionError):
    """The bounds asked for do not meet the raster."""

    code = "input.bounds"


class InputFileError(GeosrError, OSError):
    """The input is missing, unreadable or damaged."""

    code = "input.unreadable"

    __str__ = GeosrError.__str__  # OSError's own would hide the hint


class InputChangedError(InputFileError):
    """The input was changed while it was read; what was made of it is of no use."""

    code = "input.changed"


class UnsupportedRasterError(GeosrError, ValueError):
    """The raster holds something that cannot be super-resolved."""

    code = "input.unsupported"


class OutputExistsError(GeosrError, FileExistsError):
    """The output is there already and may not be replaced."""

    code = "output.exists"

    __str__ = GeosrError.__str__


class OutputError(GeosrError, OSError):
    """The output cannot be written."""

    code = "output.unwritable"

    __str__ = GeosrError.__str__


class OutputBusyError(OutputError):
    """Another run is writing the output."""

    code = "output.busy"


class UnknownModelError(OptionError):
    """No model has this name."""

    code = "model.unknown"


class ModelFileError(GeosrError, ValueError):
    """A model's files are missing, damaged, or not what its card says."""

    code = "model.damaged"


class DeviceError(GeosrError, RuntimeError):
    """The device, precision or runtime asked for is not here."""

    code = "device"


class NotEnoughMemoryError(GeosrError, MemoryError):
    """Not even one tile fits into memory."""

    code = "memory"


class MissingDependencyError(GeosrError, ImportError):
    """An optional package is needed and not installed."""

    code = "dependency"

    __str__ = GeosrError.__str__


class PredictionError(GeosrError, ArithmeticError):
    """The network returned something that is no picture."""

    code = "model.output"


class TrainingError(GeosrError, ArithmeticError):
    """Training came to nothing: its loss is no number, or the network collapsed."""

    code = "training"


class CancelledError(GeosrError):
    """The run was stopped from outside, before it was done."""

    code = "cancelled"


class GeosrDeprecationWarning(FutureWarning):
    """Something will go in a named version."""


def in_words(
    error: BaseException,
    *,
    memory: str = "Lower --tile-size or --workers.",
    where: str = "Run it again with -v -v to see where it happened.",
) -> GeosrError:
    """Return the error that says in a sentence what happened.

    ``memory`` is the hint when there is too little of it, ``where`` tells where to find more.

    >>> in_words(KeyError("x")).message
    "This is a bug in geosr: KeyError: 'x'"
    """
    if isinstance(error, GeosrError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CancelledError("Stopped.")
    if isinstance(error, MemoryError):
        return NotEnoughMemoryError("There is not enough memory.", hint=memory)
    if isinstance(error, OSError) and error.strerror:
        file = f": {error.filename}" if error.filename else ""
        return GeosrError(f"The system says: {error.strerror}{file}.", hint=where)
    text = " ".join(str(error).split()) or "no message"
    return GeosrError(
        f"This is a bug in geosr: {type(error).__name__}: {text}",
        hint=f"{where} Please report it with what that prints.",
    )
