"""Scumble repaints a selection of a layer in the manner of one or several pictures.

Importing this package loads nothing heavy: `scumble.paint` and the classes beside it are looked up on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scumble.client import Client
    from scumble.engine.painter import Painter, Painting, Step, paint
    from scumble.errors import ScumbleError
    from scumble.picture import Picture
    from scumble.recipe import Recipe, Region, Style

__version__ = "0.1.0"
__all__ = ["Client", "Painter", "Painting", "Picture", "Recipe", "Region", "ScumbleError", "Step", "Style", "paint"]

_HOMES = {
    "Client": "scumble.client",
    "Painter": "scumble.engine.painter",
    "Painting": "scumble.engine.painter",
    "Step": "scumble.engine.painter",
    "paint": "scumble.engine.painter",
    "Picture": "scumble.picture",
    "Recipe": "scumble.recipe",
    "Region": "scumble.recipe",
    "Style": "scumble.recipe",
    "ScumbleError": "scumble.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'scumble' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
