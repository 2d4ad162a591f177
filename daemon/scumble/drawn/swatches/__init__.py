"""The bundled procedural paintings, as pictures: `scumble.training.swatches` drew them, and can again."""

from pathlib import Path

FOLDER = Path(__file__).parent
SIZE_PX = 512
"""Their side."""

SWATCHES: dict[str, int] = {
    "tides": 93,
    "sea-glass": 22,
    "blue-facets": 10,
    "moonlit-brush": 43,
    "sand-ripples": 45,
    "ember-dunes": 89,
    "ochre-cutouts": 25,
    "zebra": 55,
    "meadow-wind": 1,
    "torn-paper": 58,
    "charcoal-strokes": 53,
    "night-harbour": 52,
}
"""The number of the style that each was drawn in."""


def swatch(name: str) -> bytes:
    """A swatch as JPEG; `KeyError` for another name."""
    if name not in SWATCHES:
        raise KeyError(name)
    return (FOLDER / f"{name}.jpg").read_bytes()
