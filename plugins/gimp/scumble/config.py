"""GIMP's config of a procedure, which it keeps as the last values, as the procedure's arguments."""

from __future__ import annotations

from .arguments import TABLE, Arguments
from .gimp import Gimp


def read(config: Gimp.ProcedureConfig) -> Arguments:
    """What a procedure's config holds."""
    values = {each.control.name: config.get_property(each.name) for each in TABLE}
    return Arguments(**{**values, "styles": tuple(filter(None, values["styles"] or ()))})


def write(config: Gimp.ProcedureConfig, given: Arguments) -> None:
    """Have a procedure's config hold that."""
    for each in TABLE:
        value = getattr(given, each.control.name)
        config.set_property(each.name, list(value) if isinstance(value, tuple) else value)
