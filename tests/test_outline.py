"""The outline of a network: the same numbers as the network itself, without its weights."""

import threading
from dataclasses import replace
from functools import partial

import pytest
import torch
from helpers import recipe, rgb_picture
from safetensors.torch import save_file

from scumble.engine import embedded, painter
from scumble.engine import weights as store
from scumble.engine.features import describe, profile, resolve
from scumble.engine.footprint import footprint
from scumble.engine.geometry import Geometry, filter_values, halo
from scumble.engine.machine import dtype_of
from scumble.engine.outline import features_name, outline
from scumble.engine.painter import Painter
from scumble.engine.schedule import Box, plan
from scumble.engine.vgg import Trunk
from scumble.engine.weights import ARCHITECTURES, Training, conv_names, seeded
from scumble.errors import ScumbleError
from scumble.recipe import Pooling

PLENTY = 2.0**50


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "weights").mkdir(parents=True)
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "embedded")
    return tmp_path / "home"


def layers(architecture="vgg11", dtype=torch.float32, value=0.01):
    """The tensors of a network without any sense, by the names of the papers."""
    depth, tensors = 3, {}
    for name, width in zip(conv_names(architecture), sum(ARCHITECTURES[architecture], ()), strict=True):
        tensors[f"{name}.weight"] = torch.full((width, depth, 3, 3), value, dtype=dtype)
        tensors[f"{name}.bias"] = torch.zeros(width, dtype=dtype)
        depth = width
    return tensors


def torchvision_layers(batch_norm):
    """The same by torchvision's names."""
    units, tensors = iter(range(100)), {}
    for name, tensor in layers().items():
        if name.endswith("weight"):
            unit = next(units)
        tensors[f"features.{unit}.{name.partition('.')[2]}"] = tensor
        if name.endswith("bias") and batch_norm:
            unit = next(units)
            for part in ("weight", "bias", "running_mean", "running_var"):
                tensors[f"features.{unit}.{part}"] = torch.ones(len(tensor))
    return {**tensors, "classifier.0.weight": torch.zeros(2, 2)}


# ------------------------------------------------------------------------------------------------- beside the network


def planned_with_the_network(recipe, weights, dtype):
    """The plan as it follows from a real trunk."""
    device = torch.device("cpu")
    with_weights = Painter("cpu")
    with_weights._weights = {with_weights._weights_key(recipe): weights}
    easel = with_weights._easel(recipe, weights, profile(weights))
    trunk = easel.trunk
    filters = sum(
        w.nbytes + (2 * w.numel() * dtype.itemsize if name in trunk.steps else 0)
        for name, w in trunk.weights.filters.items()
    )
    asked = with_weights._weighting(recipe, weights, profile(weights))
    columns = sum(trunk.channels.get(tap.replace("preact", "conv"), 512) for tap in asked.neighbours)
    cost = footprint(trunk.channels_per_px, dtype.itemsize, recipe.optimizer, filters, columns)
    assert trunk.device == device
    return easel, plan(300, 200, Box(10, 20, 200, 100), recipe, cost, PLENTY, int(easel.halo))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_outline_has_the_numbers_of_the_network(architecture, monkeypatch):
    monkeypatch.setattr(painter, "available_bytes", lambda _: PLENTY)
    weights = seeded(architecture)
    assert filter_values(architecture) == sum(each.numel() for each in weights.filters.values())
    for fields in (
        {"style_loss": "gram", "pooling": "max"},
        {"style_loss": "neighbours", "precision": "bfloat16", "optimizer": "lbfgs"},
        {"style_loss": "neighbours", "style_weight": 0, "frame_weight": 1, "content_layers": "conv1_1"},
        {"style_loss": "gram", "style_layers": "preact1_1,pool1", "content_layers": "relu2_1", "frame_weight": 0},
        {"style_loss": "gram", "style_layers": "preact1_1", "content_layers": "conv1_1", "frame_weight": 1},
    ):
        asked = recipe(features=f"seeded-{architecture}", normalized=False, **fields)
        dtype = dtype_of(asked.precision, torch.device("cpu"))
        easel, wanted = planned_with_the_network(asked, weights, dtype)
        found = outline(asked, gpu=False)
        assert found.trunk.channels_per_px == easel.trunk.channels_per_px
        assert (found.trunk.taps, found.trunk.stride, found.trunk.radius) == (
            easel.trunk.taps,
            easel.trunk.stride,
            easel.trunk.radius,
        )
        assert found.halo == easel.halo
        assert (found.frame is None) == (easel.frame is None)
        assert Painter("cpu").plan((300, 200), Box(10, 20, 200, 100), asked) == wanted


def test_a_network_ends_at_its_deepest_tap_and_the_frame_looks_farther_than_a_shallow_one():
    shallow, frame = Geometry.of("vgg11", ["relu2_1", "conv1_1"]), Geometry.of_frame((1, 4))
    assert shallow.taps == ("conv1_1", "conv2_1")
    assert shallow.stride == {"conv1_1": 1, "pool1": 2, "conv2_1": 2}
    assert shallow.radius == {"conv1_1": 1.5, "pool1": 2, "conv2_1": 4}
    assert shallow.channels_per_px == {"conv1_1": 64, "conv2_1": 32}
    assert (frame.stride, frame.radius) == ({"frame1": 1, "frame4": 4}, {"frame1": 1.5, "frame4": 6})
    assert halo([shallow]) == 4
    assert halo([shallow, frame]) == halo([frame, shallow]) == 6


@pytest.mark.parametrize("pooling", Pooling)
def test_the_geometry_is_where_maps_change(pooling):
    """The stride is seen in a map's size, the radius in how far a change of one pixel reaches."""
    weights = replace(seeded("vgg11"), filters={k: w.abs() for k, w in seeded("vgg11").filters.items()})
    trunk = Trunk(weights, ["conv3_2"], pooling=pooling)
    geometry = Geometry.of("vgg11", ["relu3_2"])
    x = torch.rand(1, 3, 64, 64)
    y = x.clone()
    y[..., 32, 32] += 10
    before, after = trunk.forward(x), trunk.forward(y)
    for name in geometry.channels:
        assert before[name].shape == (
            1,
            geometry.channels[name],
            64 // geometry.stride[name],
            64 // geometry.stride[name],
        )
        touched = (before[name] != after[name]).any(1)[0].any(0).nonzero()
        reach = (int(touched[-1] - touched[0]) + 1) * geometry.stride[name]
        assert reach <= 2 * geometry.radius[name] + geometry.stride[name]
        assert pooling is Pooling.MAX or reach > 2 * geometry.radius[name] - 2 * geometry.stride[name]


def test_a_trained_network_is_planned_as_such(home):
    store.save(replace(seeded("vgg11"), training=Training.PHOTOGRAPHS), home / "weights" / "vgg11.safetensors")
    asked = recipe(features="vgg11", normalized=False, style_loss=None)
    _, wanted = planned_with_the_network(asked, resolve("vgg11", gpu=False), torch.float32)
    found = Painter("cpu").plan((300, 200), Box(10, 20, 200, 100), asked)
    assert found == wanted
    assert found != Painter("cpu").plan((300, 200), Box(10, 20, 200, 100), asked.changed(features="seeded-vgg11"))


# ------------------------------------------------------------------------------------------------------ without weights


def test_a_plan_loads_nothing(home, monkeypatch):
    store.save(seeded("vgg11"), home / "weights" / "vgg11.safetensors")

    def forbidden(*_, **__):
        raise AssertionError("loaded")

    for place, name in ((store, "seeded"), (store, "from_file"), (painter, "Trunk"), (painter, "normalized")):
        monkeypatch.setattr(place, name, forbidden)
    for name in ("auto", "embedded", "seeded-vgg16", "vgg11"):
        asked = recipe(features=name)
        one = Painter("cpu")
        assert one.plan((64, 48), Box(0, 0, 64, 48), asked).levels
        assert one.features_name(asked)
        assert not one._weights
        assert not one._trunks


def test_a_plan_can_be_asked_for_while_something_is_painted():
    one, found = Painter("cpu"), []
    selected = Box(0, 0, 48, 40)

    def ask(step):
        asker = threading.Thread(target=lambda: found.append(one.plan((48, 40), selected, recipe(features="embedded"))))
        asker.start()
        asker.join()

    one.paint(rgb_picture(40, 48), recipe(scales=1), {"style": rgb_picture(40, 40, seed=1)}, ask)
    assert len(found) == 2
    assert [each.levels for each in found] == [one.plan((48, 40), selected, recipe(features="embedded")).levels] * 2


# ------------------------------------------------------------------------------------------------------------ of files


def caffe_like():
    """VGG16 with the first filter of the authors' own, its channels turned for RGB."""
    tensors = layers("vgg16", torch.float16)
    tensors["conv1_1.weight"][0] = 0
    tensors["conv1_1.weight"][0, 2] = torch.tensor(store._CAFFE_FIRST_FILTER["vgg16"]).view(3, 3)
    return tensors


@pytest.mark.parametrize(
    ("file", "tensors", "metadata"),
    [
        ("mine.safetensors", layers, {}),
        ("mine.safetensors", layers, {"name": "my own", "trained": "false"}),
        ("mine.safetensors", layers, {"training": "procedural", "entry": "mine"}),
        ("mine.safetensors", layers, {"preprocessing": "caffe"}),
        ("vgg11-8a719046.safetensors", layers, {}),
        ("mine.safetensors", lambda: torchvision_layers(False), {}),
        ("mine.safetensors", lambda: torchvision_layers(True), {}),
        ("mine.safetensors", lambda: layers(dtype=torch.bfloat16), {}),
        ("mine.safetensors", caffe_like, {}),
        ("mine.pth", lambda: torchvision_layers(True), None),
    ],
)
def test_files_are_described_as_they_are_read(tmp_path, file, tensors, metadata):
    path = tmp_path / file
    torch.save(tensors(), path) if metadata is None else save_file(tensors(), path, metadata)
    weights, found = resolve(str(path), gpu=False), describe(str(path), gpu=False)
    for part in ("name", "architecture", "training", "preprocessing", "entry"):
        assert getattr(found, part) == getattr(weights, part)
    assert features_name(recipe(features=str(path)), gpu=False) == weights.name


def test_a_file_that_changes_is_described_anew(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_file(layers(), path, {"name": "one"})
    assert describe(str(path), gpu=False).name == "one"
    save_file(layers(), path, {"name": "other"})
    assert describe(str(path), gpu=False).name == "other"


# ------------------------------------------------------------------------------------------------------------ refusals


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def broken(tmp_path):
    """Files that cannot be used, by what is wrong with them."""
    good = layers()
    cases = {
        "other shape": {**good, "conv2_1.weight": torch.zeros(128, 63, 3, 3)},
        "other width": {**good, "conv2_1.bias": torch.zeros(127)},
        "missing": {name: tensor for name, tensor in good.items() if name != "conv2_1.weight"},
        "integers": {**good, "conv2_1.weight": torch.zeros(128, 64, 3, 3, dtype=torch.int64)},
        "scalar": {**good, "conv2_1.weight": torch.tensor(1.0)},
        "nothing": {"something": torch.zeros(3)},
        "cut": good,
    }
    for name, tensors in cases.items():
        path = tmp_path / f"{name}.safetensors"
        save_file(tensors, path)
        if name == "cut":
            cut(path)
        yield str(path)
    save_file(good, tmp_path / "wrong.safetensors", {"preprocessing": "nonsense"})
    save_file(good, tmp_path / "entry.safetensors", {"entry": "vgg19"})
    (tmp_path / "page.safetensors").write_text("<html>")
    (tmp_path / "page.pth").write_text("<html>")
    for name in ("wrong.safetensors", "entry.safetensors", "page.safetensors", "page.pth"):
        yield str(tmp_path / name)


def test_what_cannot_be_loaded_cannot_be_planned(tmp_path):
    (tmp_path / "mine.txt").write_text("weights")
    names = [
        *broken(tmp_path),
        "vgg19",
        "vgg99",
        str(tmp_path / "no.safetensors"),
        str(tmp_path),
        str(tmp_path / "mine.txt"),
    ]
    for name in names:
        refusals = []
        for ask in (
            partial(resolve, gpu=False),
            partial(describe, gpu=False),
            lambda name: Painter("cpu").plan((8, 8), Box(0, 0, 8, 8), recipe(features=name)),
        ):
            with pytest.raises(ScumbleError) as refused:
                ask(name)
            refusals.append((refused.value.code, refused.value.detail, refused.value.hint))
        assert refusals == [refusals[0]] * 3


def test_a_layer_that_the_network_lacks_is_refused():
    with pytest.raises(ScumbleError, match="conv3_4"):
        Painter("cpu").plan((8, 8), Box(0, 0, 8, 8), recipe(style_layers="conv3_4"))


def test_too_little_memory_is_refused():
    with pytest.raises(ScumbleError) as refused:
        Painter("cpu").plan((8000, 8000), Box(0, 0, 8000, 8000), recipe(size=8000, memory_mb=64))
    assert refused.value.code == "out-of-memory"
