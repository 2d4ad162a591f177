"""Models for tests: small networks that were trained on nothing, as files."""

import hashlib

import numpy as np
import torch

from scumble.engine import models
from scumble.engine.shape import Shape
from scumble.engine.transformation import Transformation
from scumble.recipe import Recipe


def model(*styles, seed=0, **about):
    """A model of styles: each the bytes of a picture's file, or those and the part of it."""
    pairs = [each if isinstance(each, tuple) else (each, None) for each in styles]
    shape = Shape(len(pairs), 4, 1)
    network = Transformation(shape, torch.Generator().manual_seed(seed))
    told = {"size": 64, "features": "seeded-vgg11", "steps": 3, "minutes": 0.5, **about}
    trained = [
        models.TrainedStyle(name=f"style {number}", digest=hashlib.sha256(data).hexdigest(), part=part)
        for number, (data, part) in enumerate(pairs, 1)
    ]
    recipe = Recipe(styles=[{"picture": each.name} for each in trained]).as_dict()
    shown = models.About(
        styles=trained, width=shape.width, blocks=shape.blocks, upsampling=shape.upsampling, recipe=recipe, **told
    )
    thumbnails = [np.full((6, 8, 3), 20 * number, np.uint8) for number in range(1, len(pairs) + 1)]
    return models.Model(shown, network.tensors(), thumbnails)
