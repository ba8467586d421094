"""Failures of the installation of a layer, each with the exit code of its kind (CONTRIBUTING.md)."""

from gens.errors import MonobaseError


class LayerPlaceError(MonobaseError):
    """The folder cannot become a layer: something else is there, or it is a mount."""

    exit_code = 2


class LayerBaseError(MonobaseError):
    """The base of a layer is unknown, of another lock, or cannot be installed."""

    exit_code = 3


class LayerIndexError(MonobaseError):
    """An index does not answer, or lacks a wheel."""

    exit_code = 4
    kind = "network"


class LayerDiskError(MonobaseError):
    """The disk is full, or cannot be written to."""

    exit_code = 5
    kind = "disk"


class LayerWheelError(MonobaseError):
    """A wheel is not the one that the lock names, or cannot be installed."""

    exit_code = 7
    kind = "wheel"


class LayerBuildError(MonobaseError):
    """A wheel cannot be built against the base of a layer, or needs what neither has."""

    exit_code = 7
    kind = "wheel"


class LayerInterpreterError(MonobaseError):
    """An interpreter does not run, or has another minor version."""

    exit_code = 8
    kind = "interpreter"


class LayerUvError(MonobaseError):
    """There is no uv, or it ended for an unknown reason."""

    exit_code = 11
    kind = "machine"
