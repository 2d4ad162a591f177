"""The features that come with Scumble: networks of its own, one file each in this folder, named after them.

They were trained on paintings that a program drew, so that nothing in them is anybody else's. Beside each file lies its
SHA-256, as `scumble.engine.weights.save` writes both. This module needs no torch.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
LITE, FULL = "scumble-lite", "scumble-full"
"""A narrow network for every machine, and a wide one for those with a GPU."""


def shipped() -> dict[str, Path]:
    """The files that are here, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
