"""The kinds of pixels that an image of GIMP can have, in the names that the tests' titles have."""

_DEPTHS = ("u8", "u16", "u32", "half", "float", "double")
_CURVES = ("linear", "non_linear", "perceptual")

KINDS = [(base, depth, curve) for base in ("rgb", "gray") for depth in _DEPTHS for curve in _CURVES]
"""Base type, depth and curve; indexed images have none of their own."""
