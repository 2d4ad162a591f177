"""Pictures by which results are told apart: each has a border that no other has, and that is not painted."""

import numpy as np
from daemons import pixels

from scumble.picture import Picture, decode, encode

WIDTH, HEIGHT = 64, 48
INSIDE = np.zeros((HEIGHT, WIDTH), np.uint8)
INSIDE[12:-12, 16:-16] = 255
MASK = ("mask", encode(Picture(np.repeat(INSIDE[..., None], 3, axis=-1)), "png"), "mask")
"""The part of a form that selects what is not border."""


def bordered(number):
    """The values of the picture of that number."""
    values = pixels(WIDTH, HEIGHT, seed=number % 7)
    values[INSIDE == 0] = (number % 256, number * 7 % 256, 255 - number // 256)
    return values


def content(number, form="png"):
    """The picture of that number, as a file."""
    return encode(Picture(bordered(number)), form)


def is_of(number, result):
    """Whether a result, as a file, is of the picture of that number, and painted."""
    painted, values = decode(result).pixels[..., :3], bordered(number)
    outside = INSIDE == 0
    return np.array_equal(painted[outside], values[outside]) and not np.array_equal(painted, values)
