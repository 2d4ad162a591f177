"""What a host does for Scumble: the interface between the studio and Krita, GIMP, or a test.

Places are px of the document, from its upper left corner; a layer may lie partly outside. A document and a layer are
known by ids that outlive the host's own objects; what has gone meanwhile is a `LinkError`, never a crash. What takes
long is a generator: it does about a tenth of a second's work, yields, and goes on when it is asked for more, so that
the host stays usable. Everything here is called on the host's own thread.
"""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .pixels import Plane, Rect

Steps = typing.Generator[None, None, Any]
"""A long piece of work in short steps; what it returns is its result."""


@dataclass(frozen=True)
class Subject:
    """What would be painted on now: the active layer of the active document."""

    document: str
    layer: str
    name: str
    """What the user calls the layer."""
    canvas: Rect
    """The document's own rectangle."""
    bounds: Rect
    """Where the layer has pixels; may be empty, may exceed the canvas."""
    selection: Rect | None = None
    """The bounds of what is selected; None where nothing is."""
    document_name: str = ""
    note: str = ""
    """What the user should know of this document, such as that its colours are CMYK; empty: nothing."""


@dataclass(frozen=True)
class Taken:
    """Pixels taken from a document: all planes have the size of `box`."""

    subject: Subject
    box: Rect
    content: Plane
    """RGBA, sRGB-encoded, straight alpha; depth 1 for 8-bit documents, else 2."""
    mask: Plane | None = None
    """The selection, one channel of 8 bits; None: everything."""
    regions: Mapping[str, Plane] = field(default_factory=dict)
    """Region id → mask, one channel of 8 bits."""


@dataclass(frozen=True)
class Region:
    """Something that can say where a style goes: a selection mask, a channel, or what a layer covers."""

    id: str
    name: str
    kind: str
    """"mask" or "layer"."""


@dataclass(frozen=True)
class LayerName:
    """A layer of any open document, to take a style from."""

    id: str
    name: str
    document_name: str


@dataclass(frozen=True)
class Layer:
    """A finished picture on its way into a document."""

    document: str
    above: str
    """The layer that it was made from; the new one goes directly above, into the same group."""
    title: str
    box: Rect
    pixels: Plane
    """RGBA, sRGB-encoded, straight alpha, of the box's size."""
    mask: Plane | None = None
    """An editable mask for it, of the box's size; None: its alpha says all."""
    recipe: str = ""
    """JSON to be stored with the layer, so that it survives saving and opening again."""


@dataclass(frozen=True)
class Placed:
    """A layer that was added. `notice` is a sentence for the user where not all could be done as asked."""

    layer: str
    notice: str = ""


class Canvas(ABC):
    """One host."""

    host: str
    """Its name and version, such as "Krita 5.2.9"."""

    # ------------------------------------------------------------------------------------------------ looking

    @abstractmethod
    def subject(self) -> Subject:
        """What is active now; cheap. `LinkError` no-document, no-layer."""

    @abstractmethod
    def regions(self, document: str) -> Sequence[Region]:
        """What in a document can be a style's region: masks first, then layers, in the order of the layers' list."""

    @abstractmethod
    def layers(self) -> Sequence[LayerName]:
        """The layers of all open documents."""

    @abstractmethod
    def has_document(self, document: str) -> bool:
        """Whether it is still open."""

    @abstractmethod
    def is_shown(self, document: str, layer: str) -> bool | None:
        """Whether a layer is visible; None where it is gone."""

    @abstractmethod
    def show(self, document: str, layer: str, shown: bool) -> None:
        """Show or hide a layer. `LinkError` document-closed, layer-gone."""

    @abstractmethod
    def recipe(self) -> str | None:
        """The recipe stored with the active layer; None where there is none."""

    # ------------------------------------------------------------------------------------------------ pixels

    @abstractmethod
    def take(self, subject: Subject, box: Rect, regions: Sequence[str], use_selection: bool) -> Steps:
        """Read the layer, the selection and regions within a box; returns `Taken`. The document is not changed.

        `LinkError` document-closed, layer-gone, host-refused.
        """

    @abstractmethod
    def insert(self, layer: Layer) -> Steps:
        """Add a layer, as one step of undo; the active layer stays what it was. Returns `Placed`.

        Where the layer that it belongs above is gone it goes on top, with a notice. `LinkError` document-closed.
        """

    @abstractmethod
    def picture_of(self, layer: str) -> Steps:
        """A layer of any open document (an id of `layers`) as a PNG; returns bytes. `LinkError` layer-gone,
        nothing-there."""

    @abstractmethod
    def clipboard(self) -> bytes | None:
        """The picture in the clipboard as a PNG; None where there is none."""

    @abstractmethod
    def as_png(self, path: str) -> bytes | None:
        """A picture file that only the host can read, as a PNG; None where it cannot either. Not on the host's thread
        alone: it may be called on any."""

    @abstractmethod
    def shrunk(self, plane: Plane, longest: int) -> Plane:
        """A plane scaled down smoothly so that its longest side is at most that, in px; may be called on any thread."""

    # ------------------------------------------------------------------------------------------------ memory

    @abstractmethod
    def remembered(self, name: str) -> str:
        """A text kept for this user; empty where there is none."""

    @abstractmethod
    def remember(self, name: str, text: str) -> None:
        """Keep a text for this user."""

    @abstractmethod
    def noted(self, document: str, name: str) -> str:
        """A text kept in a document; empty where there is none."""

    @abstractmethod
    def note(self, document: str, name: str, text: str) -> None:
        """Keep a text in a document; it is saved with it."""


class Loop(ABC):
    """The host's event loop."""

    @abstractmethod
    def deliver(self, action: Callable[[], None]) -> None:
        """Have this done on the host's thread, soon. May be called on any thread."""

    @abstractmethod
    def after(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have this done on the host's thread after that time; what comes back calls it off."""
