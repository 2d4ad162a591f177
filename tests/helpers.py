"""What several test files of the engine need: small networks, pictures and plain ways to measure a gradient."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as nnf

from scumble.engine.models import About, Model, TrainedStyle
from scumble.engine.regions import flatten
from scumble.engine.transformation import Shape, Transformation
from scumble.engine.weights import ARCHITECTURES, TORCHVISION, Training, Weights, conv_names, save, seeded
from scumble.picture import Picture
from scumble.recipe import Recipe

# Two threads that wait for each other take ten times as long over a small picture where the machine is busy.
torch.set_num_threads(1)


def narrow(architecture="vgg19", width=6, seed=0, preprocessing=TORCHVISION, bias=0.1):
    """A network of that architecture with few channels, trained on nothing: everything of it is small and quick."""
    generator = torch.Generator().manual_seed(seed)
    filters, biases, depth = {}, {}, 3
    for index, name in enumerate(conv_names(architecture)):
        channels = width + index % 3  # neighbouring layers differ, so that a transposed matrix is noticed
        filters[name] = torch.randn(channels, depth, 3, 3, generator=generator) * (2 / (9 * depth)) ** 0.5
        biases[name] = torch.randn(channels, generator=generator) * bias
        depth = channels
    name = f"narrow {architecture}"
    return Weights(name, architecture, preprocessing, filters, biases, f"{name} {seed} {width}", Training.NONE)


def hollow(architecture="vgg11", value=0.01):
    """torchvision's layout, every filter of one value: in a .pth it takes a few kilobytes."""
    tensors, index, depth = {}, 0, 3
    for channels in ARCHITECTURES[architecture]:
        for width in channels:
            tensors[f"features.{index}.weight"] = torch.tensor(value).expand(width, depth, 3, 3)
            tensors[f"features.{index}.bias"] = torch.tensor(0.0).expand(width)
            index, depth = index + 2, width
        index += 1
    return tensors


def ship(folder, name="scumble-lite", architecture="vgg19-lite", seed=0):
    """Write the file of a network as if it came with Scumble; the path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.safetensors"
    save(replace(seeded(architecture, seed), training=Training.PROCEDURAL), path, half=True)
    return path


def biased(architecture="vgg11"):
    """A seeded network with biases, which by themselves would be zero."""
    weights = seeded(architecture)
    generator = torch.Generator().manual_seed(7)
    biases = {name: torch.randn(len(bias), generator=generator) * 0.1 for name, bias in weights.biases.items()}
    return replace(weights, biases=biases)


def positive(architecture):
    """A network without a dead spot: every filter is positive, every bias zero."""
    weights = narrow(architecture, width=2, bias=0)
    return replace(weights, filters={name: filters.abs() + 0.1 for name, filters in weights.filters.items()})


def reference_maps(weights, x, last, padding="zeros", pooling="max"):
    """Every map up to the layer `last`, by plain torch in the type of `x`; keys as in `scumble.recipe`."""
    maps = {}
    for block, channels in enumerate(ARCHITECTURES[weights.architecture], 1):
        for number in range(1, len(channels) + 1):
            name = f"conv{block}_{number}"
            filters, bias = weights.filters[name].to(x.dtype), weights.biases[name].to(x.dtype)
            if padding == "zeros":
                x = nnf.conv2d(x, filters, bias, padding=1)
            else:
                x = nnf.conv2d(nnf.pad(x, (1, 1, 1, 1), mode=padding), filters, bias)
            maps[f"preact{block}_{number}"] = x
            x = maps[name] = x.relu()
            if name == last:
                return maps
        x = maps[f"pool{block}"] = nnf.max_pool2d(x, 2) if pooling == "max" else nnf.avg_pool2d(x, 2)
        if f"pool{block}" == last:
            return maps
    raise AssertionError(last)


def noise(*shape, seed=0, dtype=torch.float32):
    """Uniform in 0..1."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def hatching(side=96, period=6.0, contrast=0.2):
    """Regular slanting lines, (1, 3, side, side), `period` px apart."""
    y, x = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    return (0.5 + contrast * torch.sin(2 * np.pi * (x + y) / period / 2**0.5)).expand(1, 3, side, side)


def smooth(height, width, seed=0):
    """A picture (1, 3, height, width) in 0..1 with structure of several sizes."""
    size = (height, width)
    parts = [
        nnf.interpolate(noise(1, 3, max(1, height // n), max(1, width // n), seed=seed + n), size, mode="bilinear")
        for n in (1, 4, 16)
    ]
    return (0.2 * parts[0] + 0.3 * parts[1] + 0.5 * parts[2]).clamp(0, 1)


def channels_last(x):
    """As the networks keep their maps."""
    return x.contiguous(memory_format=torch.channels_last)


def relative(found, wanted):
    """The largest difference, in parts of the largest value."""
    found, wanted = torch.as_tensor(found).double(), torch.as_tensor(wanted).double()
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-300))


def rows_of(features):
    """A map (1, channels, height, width) as the NumPy matrix (positions, channels), float64."""
    return flatten(features).detach().double().numpy()


def gray_picture(mask):
    """A mask (height, width) in 0..1 as a picture of 8 bits."""
    return Picture(np.rint(np.asarray(mask) * 255).astype(np.uint8)[..., None])


def flat_picture(colour, size=48):
    """One colour, with the faintest grain, so that no statistic of it is zero."""
    grain = np.random.default_rng(1).normal(0, 0.02, (size, size, 1))
    return Picture.from_rgb(np.clip(np.asarray(colour) + grain, 0, 1).astype(np.float32))


def rgb_picture(height, width, seed=0, dtype="uint8"):
    """A picture with structure of several sizes."""
    return Picture.from_rgb(smooth(height, width, seed)[0].permute(1, 2, 0).numpy(), dtype)


def recipe(**fields):
    """A recipe for small and quick paintings."""
    quick = {"styles": [{"picture": "style"}], "features": "seeded-vgg11", "iterations": 2, "precision": "float32"}
    return Recipe.parse({**quick, **fields})


def trained(*names, digests=None, width=4, blocks=1, seed=0, own_filters=True, noise=True):
    """A model for styles of these names, of random numbers that all matter."""
    shape = Shape(len(names), width, blocks, own_filters=own_filters and len(names) > 1, noise=noise)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: tensor + (0.0 if name.endswith(".filters") else 0.3) * torch.randn(tensor.shape, generator=generator)
        for name, tensor in Transformation(shape, generator).tensors().items()
    }
    styles = tuple(
        TrainedStyle(name=name, digest=digest) for name, digest in zip(names, digests or [""] * len(names), strict=True)
    )
    about = About(
        styles=styles, width=width, blocks=blocks, upsampling=shape.upsampling, size=64, recipe={}, features="none",
        own_filters=shape.own_filters, noise=shape.noise, steps=1, minutes=0.1,
    )  # fmt: skip
    thumbnails = [np.full((8, 6, 3), 40 * index, np.uint8) for index in range(len(names))]
    return Model(about, tensors, thumbnails)
