"""A workbench: what Krita can only do to nodes of some document is done in one of our own, which nobody sees.

Krita makes each `Node.setColorSpace` and each `Node.addChildNode` a step of undo of the document that the node was
created by, even if the node is in no document at all (5.1.5 to 5.3.4: "Convert Layer Color Space" stands in the
history). Here these steps go into copies of a tiny document, which are thrown away at once.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

from .link.canvas import Steps
from .link.errors import LinkError
from .link.text import tr
from .qt import QtCore
from .waiter import Waiter

SRGB_PROFILE = "sRGB-elle-V2-srgbtrc.icc"
_SIDE = 8
_LAID_OUT = 512


class Space(NamedTuple):
    """A colour space by Krita's names, such as ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")."""

    model: str
    depth: str
    profile: str


_COARSE = {"LABA", "XYZA"}
"""Models whose integers Krita converts by a coarse table, up to 4 of 255 wrong; to and from floats it is exact."""
_DEPTHS = {1: "U8", 2: "U16", 4: "F32"}


def srgb(depth: int) -> Space:
    """sRGB with `depth` bytes a channel: 1, 2, or 4 for float. Integers lie in memory as BGRA, floats as RGBA."""
    return Space("RGBA", _DEPTHS[depth], SRGB_PROFILE)


def space_of(node: Any) -> Space:
    """That of a node's projection."""
    return Space(node.colorModel(), node.colorDepth(), node.colorProfile())


class Bench:
    """`krita` is Krita's instance. All of it is called on Krita's own thread."""

    def __init__(self, krita: Any, waiter: Waiter) -> None:
        self._krita = krita
        self._waiter = waiter
        self._pattern: Any = None
        self._mask_pattern: Any = None

    def converted(self, data: bytes, pixels: int, source: Space, target: Space) -> Generator[None, None, bytes]:
        """That many raw pixels in another colour space. `LinkError` host-refused where Krita cannot.

        Krita converts whole tiles of 64 × 64 px: they are laid out to fill these, whatever shape they came in.
        """
        if source == target:
            return data
        yield from self._prepare()
        copy = self._pattern.clone()
        node = copy.createNode("pixels", "paintlayer")
        yield from self._change(copy, node, source)
        width, height = _LAID_OUT, -(-pixels // _LAID_OUT)
        whole = len(data) // pixels * width * height
        node.setPixelData(QtCore.QByteArray(data.ljust(whole, b"\0")), 0, 0, width, height)
        if any(space.model in _COARSE and space.depth in ("U8", "U16") for space in (source, target)):
            yield from self._change(copy, node, srgb(4))
        yield from self._change(copy, node, target)
        found = bytes(node.pixelData(0, 0, width, height))
        return found[: len(found) // (width * height) * pixels]

    def _change(self, document: Any, node: Any, space: Space) -> Steps:
        if space_of(node) == space:
            return
        yield from self._waiter.change(document, node, space)
        # Nothing has changed where a profile is not found; 5.1 takes another one.
        if space_of(node)[:2] != space[:2]:
            raise LinkError("host-refused", tr("Krita cannot convert the colours {space}.", space=" ".join(space)))

    def prepared(self) -> Steps:
        """Make ready for `masked`: the first time that takes a quarter of a second and more."""
        yield from self._prepare()
        if self._mask_pattern is None and not _makes_masks(self._pattern):
            self._mask_pattern = yield from _hidden(self._with_mask())

    def masked(self, document: Any, layer: Any, name: str) -> Any:
        """A layer like one that was just created by a document, but with a transparency mask that hides all.

        What it needs has been `prepared`.
        """
        copy = self._pattern.clone()
        root = copy.rootNode()
        root.addChildNode(layer, None)
        mine = next(each for each in root.childNodes() if each.uniqueId() == layer.uniqueId())
        mine.addChildNode(self._mask(document, name), None)
        # Its wrapper says that it belongs to the copy, and so the mask became a step there. What is duplicated has
        # both, is in no document, and everything below its wrapper belongs to the user's document.
        duplicate = mine.duplicate()
        duplicate.setName(layer.name())
        return duplicate

    def _mask(self, document: Any, name: str) -> Any:
        if not _makes_masks(document):
            mask = self._mask_pattern.rootNode().childNodes()[0].childNodes()[0].duplicate()
            mask.setName(name)
            return mask
        from krita import Selection

        mask = document.createTransparencyMask(name)
        mask.setSelection(Selection())
        return mask

    def _prepare(self) -> Steps:
        if self._pattern is None:
            plain = self._krita.createDocument(_SIDE, _SIDE, "Scumble", *srgb(1), 72.0)
            self._pattern = yield from _hidden(plain)

    def _with_mask(self) -> Any:
        """A document whose only layer has a transparency mask: 5.1 has no other way to one that can be written to."""
        with tempfile.TemporaryDirectory(prefix="scumble-") as folder:
            path = Path(folder) / "mask.kra"
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in _MASK_FILES.items():
                    archive.writestr(name, content)
            found = self._opened(path)
        if found is None:
            raise LinkError("host-refused", tr("Krita did not make a mask."))
        return found

    def _opened(self, path: Path) -> Any:
        """A document, or None; without the window in which Krita says what it misses in a file."""
        before = self._krita.batchmode()
        self._krita.setBatchmode(True)
        try:
            return self._krita.openDocument(str(path))
        finally:
            self._krita.setBatchmode(before)


def _makes_masks(document: Any) -> bool:
    """Whether a document has a call that makes a transparency mask, as from 5.2 on."""
    return hasattr(document, "createTransparencyMask")


def _hidden(document: Any) -> Generator[None, None, Any]:
    """A copy that Krita has in no list; the document itself is closed. To make it and to close it are long steps."""
    try:
        yield
        copy = document.clone()
    finally:
        document.close()
    yield
    return copy


_MASK_DOCUMENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE DOC PUBLIC '-//KDE//DTD krita 2.0//EN' 'http://www.calligra.org/DTD/krita-2.0.dtd'>
<DOC xmlns="http://www.calligra.org/DTD/krita" editor="Krita" syntaxVersion="2.0" kritaVersion="5.1.5">
<IMAGE mime="application/x-kra" name="Scumble" width="{_SIDE}" height="{_SIDE}" colorspacename="RGBA"
 profile="{SRGB_PROFILE}" x-res="72" y-res="72" description=""><layers>
<layer nodetype="paintlayer" name="layer" filename="layer1" uuid="{{5d8a1f30-7c06-4c6b-9f0e-0f6a3c1e2b01}}"
 colorspacename="RGBA" x="0" y="0" visible="1" opacity="255" compositeop="normal"><masks>
<mask nodetype="transparencymask" name="mask" filename="mask2" uuid="{{5d8a1f30-7c06-4c6b-9f0e-0f6a3c1e2b02}}"
 visible="1" x="0" y="0"/></masks></layer></layers></IMAGE></DOC>
"""
_NO_TILES = "VERSION 2\nTILEWIDTH 64\nTILEHEIGHT 64\nPIXELSIZE {size}\nDATA 0\n"
_MASK_FILES: dict[str, str | bytes] = {
    "mimetype": "application/x-krita",
    "maindoc.xml": _MASK_DOCUMENT,
    "Scumble/layers/layer1": _NO_TILES.format(size=4),
    "Scumble/layers/layer1.defaultpixel": b"\0\0\0\0",
    "Scumble/layers/mask2.pixelselection": _NO_TILES.format(size=1),
    "Scumble/layers/mask2.pixelselection.defaultpixel": b"\0",
}
