"""What weights of the VGG networks are, and how they are told apart.

An *architecture* is one of Simonyan & Zisserman's networks (2015, table 1), without its classifier. *Filters* are the
kernels of a convolution, (out, in, 3, 3), as `torch.nn.functional.conv2d` takes them. *Weights* are filters and biases
with the *preprocessing* that they were trained with. A *source* is an address on the web and the start of its
SHA-256: `vgg19` and its like as trained by torchvision, `vgg19-caffe` the authors' own, converted from Caffe by
J. Johnson. *Seeded* weights are not trained: they are computed from a number and always there.

Two layouts of names are read: torchvision's `features.N.weight` and the papers' `conv1_1.weight`. What is written is
the latter, as .safetensors with metadata. Where weights are kept is told in `scumble.engine.weight_store`.
"""

import hashlib
import json
import math
import pickle
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scumble.engine.download import cannot_write, digest
from scumble.errors import ScumbleError

ARCHITECTURES: dict[str, tuple[tuple[int, ...], ...]] = {
    "vgg11": ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    "vgg13": ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    "vgg16": ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
    "vgg19-lite": ((64, 16), (32,) * 2, (64,) * 4, (128,) * 4, (128,) * 4),
}
"""Channels of the convolutions, one tuple per block; a pooling follows every block. `vgg19-lite` is ours: VGG19 at a
quarter of its widths, but for the first layer, which must see all of a patch; a fifteenth of the work."""


@dataclass(frozen=True)
class Preprocessing:
    """What the network sees of a picture (RGB, 0..1): (picture[channels in `order`] · `scale` - `mean`) / `std`.

    `mean` and `std` are in the order of `order`.
    """

    order: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


TORCHVISION = Preprocessing("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = Preprocessing("bgr", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
SEEDED = Preprocessing("rgb", 1.0, (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))


class Training(Enum):
    """What a network was trained on, which decides what suits it (`scumble.engine.features`)."""

    NONE = "none"
    """Nothing: its filters are seeded."""
    PROCEDURAL = "procedural"
    """Paintings drawn by a program: Scumble's own."""
    PHOTOGRAPHS = "photographs"
    """Photographs: ImageNet, and whatever does not say otherwise."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Filters (out, in, 3, 3) and biases (out,), float32 on the CPU, by the names of `conv_names(architecture)`."""

    name: str
    """What the user sees, for example "vgg19 (ImageNet, torchvision)"."""
    architecture: str
    preprocessing: Preprocessing
    filters: Mapping[str, Tensor]
    biases: Mapping[str, Tensor]
    digest: str
    """SHA-256 in hex over architecture, preprocessing, filters and biases: equal for equal networks."""
    training: Training
    entry: str = ""
    """The name to keep them under, for example "vgg19-caffe"."""


@dataclass(frozen=True)
class Description:
    """What is known of weights without their numbers; `name`, `architecture`, … as in `Weights`. `reversed` tells that
    conv1_1 takes its channels in the other order than `preprocessing` gives."""

    name: str
    architecture: str
    preprocessing: Preprocessing
    training: Training
    entry: str = ""
    reversed: bool = False


@dataclass(frozen=True)
class Source:
    """An address and the start of the SHA-256 of what is there, in hex."""

    url: str
    sha256: str


# By PyTorch's convention the eight hex digits in the name of a file are the start of its SHA-256.
SOURCES: dict[str, Source] = {
    name: Source(url, url[-12:-4])
    for name, url in {
        "vgg19": "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
        "vgg13": "https://download.pytorch.org/models/vgg13-19584684.pth",
        "vgg11": "https://download.pytorch.org/models/vgg11-8a719046.pth",
        "vgg19-caffe": "https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth",
        "vgg16-caffe": "https://web.eecs.umich.edu/~justincj/models/vgg16-00b39a1b.pth",
    }.items()
}

# What the first filter of conv1_1 of the authors' own networks sees of the blue channel. Every copy has it: converted
# to whatever container, rescaled ("normalised VGG"), or with its input channels reversed for RGB. Its size would tell
# nothing: both Caffe's and torchvision's filters of conv1_1 are about 0.3, what differs is the size of the maps.
_CAFFE_FIRST_FILTER = {
    "vgg16": (0.429471, 0.373467, -0.061360, 0.274770, 0.038681, -0.367223, -0.057468, -0.262250, -0.350097),
    "vgg19": (0.341195, 0.339992, -0.044844, 0.232159, 0.089782, -0.303314, -0.072609, -0.246675, -0.336833),
}


def conv_names(architecture: str) -> tuple[str, ...]:
    """The convolutions in order: ("conv1_1", "conv1_2", "conv2_1", …)."""
    return tuple(
        f"conv{block}_{number}"
        for block, channels in enumerate(_channels(architecture), 1)
        for number in range(1, len(channels) + 1)
    )


def seeded(architecture: str = "vgg19", seed: int = 0) -> Weights:
    """A network that is not trained: the same one, to the bit, on every machine, in a fraction of a second.

    conv1_1 holds a complete frame: the 3 × 3 cosine basis times three opponent colours, 27 orthonormal filters with
    both signs, so that no colour or edge is lost to the rectification; its other filters and all deeper ones are drawn
    uniformly, from Philox's raw bits (Salmon et al. 2011; numpy keeps that stream stable). Deeper ones are scaled as
    in He et al. 2015, and half of each filter's mean is taken away: rectified maps share a positive mean, which would
    make the features of all positions nearly parallel; without any of it they would be unrelated even where the
    picture looks much the same. Biases are zero. `seed` is in 0..2⁶⁴-1.
    """
    filters: dict[str, Tensor] = {}
    depth = 3
    for name, width in zip(conv_names(architecture), sum(_channels(architecture), ()), strict=True):
        filters[name] = torch.from_numpy(_draw(name, seed, width, depth))
        depth = width
    filters["conv1_1"][:54] = torch.from_numpy(_frame())
    biases = {name: torch.zeros(len(w)) for name, w in filters.items()}
    return assembled(describe_seeded(architecture, seed), filters, biases)


def describe_seeded(architecture: str, seed: int = 0) -> Description:
    """What `seeded` makes."""
    _channels(architecture)
    name = f"{architecture} (seeded{f' {seed}' if seed else ''})"
    return Description(name, architecture, SEEDED, Training.NONE, f"seeded-{architecture}")


def from_file(path: Path, known: str | None = None) -> Weights:
    """The weights in a .safetensors, .pth or .pt file, in torchvision's layout or with names like `conv1_1.weight`.

    Which network it is follows from the channels; a classifier is left out, batch norms are folded into the
    convolutions; values of any type become float32. The preprocessing is what the metadata key `preprocessing` says
    (`caffe`, `torchvision` or the fields as JSON), else Caffe's if the file's name or the first filter is that of a
    network converted from Caffe, else torchvision's; the training is what the key `training` says, else photographs.
    `known` is the source that the file came from, where that is known already. Nothing in the file is run. Raises
    ScumbleError `missing-file` or `bad-weights`.
    """
    _require(path)
    tensors, metadata = _read(path)
    layers, folded = _layers(path, tensors)
    found = _describe(path, layers, folded, metadata, known)
    names = conv_names(found.architecture)
    for name, layer in zip(names, layers, strict=True):
        if not all(part.isfinite().all() for part in layer):
            raise bad_weights(path, f"{name} holds values that are not finite")
    filters = {name: _plain(weight) for name, (weight, _) in zip(names, layers, strict=True)}
    biases = {name: _plain(bias) for name, (_, bias) in zip(names, layers, strict=True)}
    if found.reversed:
        filters["conv1_1"] = filters["conv1_1"].flip(1)
    return assembled(found, filters, biases)


def describe(path: Path) -> Description:
    """What `from_file` would read; of .safetensors only the header and a few kilobytes are looked at.

    Refuses what `from_file` does, as far as that can be seen there.
    """
    _require(path)
    state = path.stat()
    return _described(path, state.st_ino, state.st_mtime_ns, state.st_size)


def save(
    weights: Weights,
    path: Path,
    *,
    half: bool = False,
    about: Mapping[str, str] | None = None,
    sha256: str = "",
    url: str = "",
) -> None:
    """Write weights as .safetensors at once, and their SHA-256 beside.

    With `half` as float16, which is half the size and rounds the values: what `from_file` then reads is another
    network, with another digest. `about` is metadata of any other kind, such as how they were trained; `sha256` and
    `url` tell where they came from. Raises ScumbleError `cannot-write`; what was at `path` is then untouched.
    """
    tensors = {
        f"{name}.{part}": tensor.half() if half else tensor
        for part, tensors in (("weight", weights.filters), ("bias", weights.biases))
        for name, tensor in tensors.items()
    }
    for name, tensor in tensors.items():
        if half and tensor.isinf().any():
            raise ScumbleError("cannot-write", f"{path} cannot be written: {name} is too large for float16.")
    metadata = {
        **(about or {}),
        "layout": "scumble",
        "entry": path.stem,
        "name": weights.name,
        "architecture": weights.architecture,
        "preprocessing": json.dumps(asdict(weights.preprocessing)),
        "training": weights.training.value,
        "sha256": sha256,
        "url": url,
    }
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(tensors, fresh, metadata)
        record = f"{digest(fresh)}  {path.name}\n"
        fresh.replace(path)
        record_of(path).write_text(record)
    except SafetensorError as error:
        raise ScumbleError("cannot-write", f"{path} cannot be written: {error}.") from error
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        fresh.unlink(missing_ok=True)


def record_of(path: Path) -> Path:
    """Where `save` writes the SHA-256 of a file, in the form of `sha256sum`."""
    return path.with_name(path.name + ".sha256")


def bad_weights(path: Path, reason: str) -> ScumbleError:
    """The error for a file that is no weights, or not the right ones."""
    return ScumbleError("bad-weights", f"{path} cannot be used: {reason}.")


def _require(path: Path) -> None:
    if not path.is_file():
        raise ScumbleError("missing-file", f"There is no file {path}.")


def _channels(architecture: str) -> tuple[tuple[int, ...], ...]:
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ScumbleError("missing-weights", f"There is no network {architecture}; there are {known}.")
    return ARCHITECTURES[architecture]


@lru_cache(maxsize=16)
def _described(path: Path, *_state: int) -> Description:
    tensors, metadata = _read(path, whole=False)
    return _describe(path, *_layers(path, tensors), metadata)


def _describe(
    path: Path,
    layers: list[tuple[Tensor, Tensor]],
    folded: bool,
    metadata: Mapping[str, str],
    known: str | None = None,
) -> Description:
    architecture = _architecture(path, layers)
    known = known or metadata.get("entry")
    known = known or next((name for name, source in SOURCES.items() if source.sha256 in path.name), None)
    if known in SOURCES and known.removesuffix("-caffe") != architecture:
        raise bad_weights(path, f"it holds {architecture}, not {known}")
    order = _caffe_order(architecture, _plain(layers[0][0]))
    if "preprocessing" in metadata:
        preprocessing = _preprocessing(path, metadata["preprocessing"])
    elif order is not None:
        preprocessing = CAFFE
    else:
        preprocessing = CAFFE if known and known.endswith("-caffe") else TORCHVISION

    caffe = preprocessing == CAFFE
    published = order or known in SOURCES
    origin = f"ImageNet, {'Caffe' if caffe else 'torchvision'}" if published else path.name
    return Description(
        name=metadata.get("name", f"{architecture} ({origin})"),
        architecture=architecture,
        preprocessing=preprocessing,
        training=_training(path, metadata),
        entry=known or architecture + "-bn" * folded + "-caffe" * caffe,
        reversed="preprocessing" not in metadata and order == "rgb",
    )


def assembled(found: Description, filters: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> Weights:
    """Weights of a description, from filters (out, in, 3, 3) and biases (out,) by convolution, contiguous float32."""
    content = hashlib.sha256(json.dumps([found.architecture, asdict(found.preprocessing)]).encode())
    for conv in conv_names(found.architecture):
        content.update(filters[conv].numpy().data)
        content.update(biases[conv].numpy().data)
    return Weights(
        name=found.name,
        architecture=found.architecture,
        preprocessing=found.preprocessing,
        filters=filters,
        biases=biases,
        digest=content.hexdigest(),
        training=found.training,
        entry=found.entry,
    )


def _training(path: Path, metadata: Mapping[str, str]) -> Training:
    if "training" not in metadata:  # files of earlier versions say whether they were trained, others nothing
        return Training.NONE if metadata.get("trained") == "false" else Training.PHOTOGRAPHS
    try:
        return Training(metadata["training"])
    except ValueError as error:
        raise bad_weights(path, "its metadata does not tell what it was trained on") from error


def _read(path: Path, *, whole: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
    """What a file holds by name, and its metadata. Never runs what a pickle asks for. If not `whole`, large tensors of
    .safetensors are of the right shape and type, but hold zeros."""
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise bad_weights(path, "its name ends neither with .safetensors nor with .pth or .pt")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                wanted = [key for key in file.keys() if _KEY.fullmatch(key)]  # noqa: SIM118 (it is no dict)
                read = file.get_tensor if whole else partial(_sketched, file)
                return {key: read(key) for key in wanted}, file.metadata() or {}
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise bad_weights(path, _suspicion(path) or "it holds more than tensors, or it is damaged") from error
    # Damaged files make torch and safetensors fail in many ways, none of them documented.
    except Exception as error:
        raise bad_weights(path, _suspicion(path) or "it is damaged or not complete") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise bad_weights(path, "it does not hold tensors by name")
    return {key: value for key, value in content.items() if isinstance(key, str)}, {}


def _sketched(file: Any, key: str) -> Tensor:
    part = file.get_slice(key)
    shape = part.get_shape()
    if math.prod(shape) <= _SMALL:
        tensor: Tensor = file.get_tensor(key)
        return tensor
    zero: Tensor = part[:0].new_zeros(())
    return zero.expand(shape)


def _suspicion(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return "it is a web page, not weights" if file.read(64).lstrip().startswith(b"<") else None
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


_SMALL = 64 * 3 * 9  # conv1_1, by which published networks are known
_KEY = re.compile(r"(?:module\.)?((?:features\.)?\d+|conv\d_\d)\.(weight|bias|running_mean|running_var)")
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def _layers(path: Path, tensors: Mapping[str, Any]) -> tuple[list[tuple[Tensor, Tensor]], bool]:
    """Filters and biases of the convolutions in order, and whether batch norms were folded into them."""
    units: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if match := _KEY.fullmatch(key):
            dense = isinstance(tensor, Tensor) and tensor.layout is torch.strided and tensor.device.type == "cpu"
            if not dense or not tensor.is_floating_point():
                raise bad_weights(path, f"{key} is no tensor of floating-point numbers")
            units.setdefault(match[1], {})[match[2]] = tensor.detach()
    layers: list[tuple[Tensor, Tensor]] = []
    folded = False
    for unit in sorted(units, key=lambda unit: [int(number) for number in re.findall(r"\d+", unit)]):
        parts = units[unit]
        if "weight" not in parts or "bias" not in parts:
            raise bad_weights(path, f"{unit} has no {'bias' if 'weight' in parts else 'weight'}")
        if "running_mean" not in parts:
            layers.append((parts["weight"], parts["bias"]))
            continue
        width = layers[-1][1].shape if layers else None
        if any(part not in parts or parts[part].shape != width for part in _BATCH_NORM):
            raise bad_weights(path, f"the batch norm {unit} does not fit the convolution before it")
        layers[-1] = _fold(*layers[-1], *(parts[part] for part in _BATCH_NORM))
        folded = True
    return layers, folded


def _fold(
    weight: Tensor, bias: Tensor, gain: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    # The file does not tell what is added to the variance: it is the default of torch.nn.BatchNorm2d.
    factor = gain.double() / (variance.double() + 1e-5).sqrt()
    return weight * factor.view(-1, *[1] * (weight.ndim - 1)), (bias - mean) * factor + shift


def _architecture(path: Path, layers: list[tuple[Tensor, Tensor]]) -> str:
    if not layers:
        raise bad_weights(path, "it holds no layers named like features.0.weight or conv1_1.weight")
    widths = [len(bias) if bias.ndim == 1 else 0 for _, bias in layers]
    architecture = next((name for name, blocks in ARCHITECTURES.items() if list(sum(blocks, ())) == widths), None)
    if architecture is None:
        raise bad_weights(
            path, f"its layers have {', '.join(map(str, widths))} channels, which is none of the VGG networks"
        )
    for name, (weight, _), (depth, width) in zip(conv_names(architecture), layers, pairwise([3, *widths]), strict=True):
        if weight.shape != (width, depth, 3, 3):
            raise bad_weights(path, f"{name} has the shape {tuple(weight.shape)} instead of {(width, depth, 3, 3)}")
    return architecture


def _plain(tensor: Tensor) -> Tensor:
    # A copy of its own: a view would keep the classifier in memory, and cannot be saved.
    return tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)


def _caffe_order(architecture: str, conv1_1: Tensor) -> Literal["bgr", "rgb"] | None:
    """The order of the input channels if this is the authors' own network, else None."""
    if architecture not in _CAFFE_FIRST_FILTER:
        return None
    blue = torch.tensor(_CAFFE_FIRST_FILTER[architecture])
    cosines = torch.cosine_similarity(conv1_1[0].flatten(1), blue[None], dim=1)
    if cosines[0] > 0.999:
        return "bgr"
    return "rgb" if cosines[2] > 0.999 else None


def _preprocessing(path: Path, text: str) -> Preprocessing:
    if text in ("caffe", "torchvision"):
        return CAFFE if text == "caffe" else TORCHVISION
    try:
        fields = json.loads(text)
        order, scale, mean, std = (fields[key] for key in ("order", "scale", "mean", "std"))
        preprocessing = Preprocessing(order, float(scale), tuple(map(float, mean)), tuple(map(float, std)))  # type: ignore[arg-type]
    except (ValueError, TypeError, KeyError) as error:
        raise bad_weights(path, "its metadata does not tell the preprocessing") from error
    values = [preprocessing.scale, *preprocessing.mean, *preprocessing.std]
    if order not in ("rgb", "bgr") or len(values) != 7 or len(mean) != 3 or not np.isfinite(values).all() or 0 in std:
        raise bad_weights(path, "its metadata does not tell the preprocessing")
    return preprocessing


_REMOVED = 0.5  # of each deeper filter's mean, see `seeded`


def _draw(name: str, seed: int, width: int, depth: int) -> NDArray[np.float32]:
    """Filters (width, depth, 3, 3). Integers up to the last step: sums of floats would differ between machines."""
    fan = depth * 9
    stream = np.random.Philox(key=[seed, int(name[4] + name[6])])
    bits = np.asarray(stream.random_raw(width * fan // 8)).astype("<u8").view(np.int8)
    odd = 2 * bits.reshape(width, fan).astype(np.int16) + 1  # -255, -253 … 255: uniform with the mean zero
    removed = 1.0 if depth == 3 else _REMOVED
    means = (removed / fan * odd.sum(axis=1, dtype=np.int64)).astype(np.float32)
    # A rectified normal variable of variance 1 has the mean square 1/2, and the squared mean 1/2π.
    power = 1.0 if depth == 3 else 0.5 - (1 - (1 - removed) ** 2) / (2 * np.pi)
    scale = np.float32(1 / np.sqrt(fan * power * (256**2 - 1) / 3))
    filters: NDArray[np.float32] = (odd - means[:, None]) * scale
    return filters.reshape(width, depth, 3, 3)


def _frame() -> NDArray[np.float32]:
    """27 orthonormal filters and their negatives, (54, 3, 3, 3): cosines down × cosines across × opponent colours."""
    cosines = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
    colours = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
    down, across = cosines[:, None, None, None, :, None], cosines[None, :, None, None, None, :]
    half = (down * across * colours[None, None, :, :, None, None]).reshape(27, 3, 3, 3).astype(np.float32)
    return np.concatenate([half, -half])
