"""Weights: layouts against torchvision, damaged files, what is written, seeded networks."""

import errno
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as nnf
from helpers import hollow
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchvision.models.vgg import cfgs, make_layers

from scumble.engine.weight_store import use_file
from scumble.engine.weights import (
    ARCHITECTURES,
    CAFFE,
    TORCHVISION,
    Training,
    Weights,
    conv_names,
    describe,
    from_file,
    record_of,
    save,
    seeded,
)
from scumble.errors import ScumbleError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def code(excinfo: pytest.ExceptionInfo[ScumbleError]) -> str:
    return excinfo.value.code


# Files


def plain_forward(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    for block, channels in enumerate(ARCHITECTURES[weights.architecture], 1):
        for number in range(1, len(channels) + 1):
            name = f"conv{block}_{number}"
            x = nnf.relu(nnf.conv2d(x, weights.filters[name], weights.biases[name], padding=1))
        x = nnf.max_pool2d(x, 2)
    return x


def randomized(cfg: str, *, batch_norm: bool) -> torch.nn.Sequential:
    torch.manual_seed(5)
    features = make_layers(cfgs[cfg], batch_norm=batch_norm).eval()
    for module in features:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
            torch.nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.uniform_(0.2, 2)
    return features


@pytest.mark.parametrize(
    ("prefix", "batch_norm", "legacy"),
    [("features.", False, True), ("", False, False), ("module.features.", True, False)],
)
def test_files_give_torchvisions_own_maps(tmp_path: Path, prefix: str, batch_norm: bool, legacy: bool) -> None:
    features = randomized("A", batch_norm=batch_norm)
    tensors = {prefix + key: value for key, value in features.state_dict().items()}
    tensors |= {"classifier.0.weight": torch.full((7, 7), torch.nan)} if prefix else {}
    torch.save(tensors, tmp_path / "mine.pth", _use_new_zipfile_serialization=not legacy)
    weights = from_file(tmp_path / "mine.pth")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(plain_forward(weights, x), features(x), rtol=1e-4, atol=1e-4)
    assert (weights.architecture, weights.preprocessing) == ("vgg11", TORCHVISION)
    assert (weights.name, weights.training) == ("vgg11 (mine.pth)", Training.PHOTOGRAPHS)
    assert weights.entry == "vgg11" + "-bn" * batch_norm


@pytest.mark.parametrize("architecture", ["vgg13", "vgg16", "vgg19"])
def test_channels_tell_the_architecture(tmp_path: Path, architecture: str) -> None:
    torch.save({"state_dict": hollow(architecture)}, tmp_path / "mine.pt")
    weights = from_file(tmp_path / "mine.pt")
    assert weights.architecture == architecture
    assert tuple(weights.filters) == tuple(weights.biases) == conv_names(architecture)


# The first values of VGG_ILSVRC_16_layers and _19_layers, as others have printed them: h5_utils.cpp of a decoder of
# Keras' file, and the dump of a Julia model (which writes them transposed).
PRINTED = {
    "vgg16": [0.42947057, 0.373467, -0.061360113, 0.27476987, 0.038680777, -0.36722335, -0.05746817, -0.26224968],
    "vgg19": [0.341195, 0.339992, -0.0448442, 0.232159, 0.0897821, -0.303314, -0.0726092, -0.246675],
}


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_caffe_is_known_by_its_first_filter(tmp_path: Path, architecture: str, flipped: bool, gain: float) -> None:
    tensors = hollow(architecture)
    last = {"vgg16": -0.35009676, "vgg19": -0.336833}[architecture]
    filters = torch.randn(64, 3, 3, 3) * gain
    filters[0, 0] = torch.tensor([*PRINTED[architecture], last]).view(3, 3) * gain
    tensors["features.0.weight"] = filters.flip(1) if flipped else filters
    torch.save(tensors, tmp_path / "mine.pth")
    weights = from_file(tmp_path / "mine.pth")
    assert weights.preprocessing == CAFFE
    torch.testing.assert_close(weights.filters["conv1_1"], filters)
    assert weights.name == f"{architecture} (ImageNet, Caffe)"


def test_caffe_is_known_by_name_and_by_metadata(tmp_path: Path) -> None:
    torch.save(hollow("vgg16"), tmp_path / "vgg16-00b39a1b-again.pth")
    assert from_file(tmp_path / "vgg16-00b39a1b-again.pth").preprocessing == CAFFE
    own = {
        f"{n}.{p}": t for n, w in seeded("vgg11").filters.items() for p, t in (("weight", w), ("bias", w[:, 0, 0, 0]))
    }
    own = {key: tensor.contiguous() for key, tensor in own.items()}
    save_file(own, tmp_path / "own.safetensors", {"preprocessing": "caffe"})
    assert from_file(tmp_path / "own.safetensors").preprocessing == CAFFE
    assert from_file(tmp_path / "own.safetensors").entry == "vgg11-caffe"
    save_file(own, tmp_path / "own.safetensors")
    assert from_file(tmp_path / "own.safetensors").preprocessing == TORCHVISION
    for nonsense in ("torch", "[]", json.dumps({"order": "rgb", "scale": 1, "mean": [0, 0, 0], "std": [1, 0, 1]})):
        save_file(own, tmp_path / "own.safetensors", {"preprocessing": nonsense})
        with pytest.raises(ScumbleError, match="preprocessing"):
            from_file(tmp_path / "own.safetensors")


class Malice:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_bad_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    good = hollow()
    torch.save(good, tmp_path / "good.pth")
    right = (tmp_path / "good.pth").read_bytes()
    missing = {key: value for key, value in good.items() if not key.startswith("features.11.")}
    no_bias = {key: value for key, value in good.items() if key != "features.3.bias"}
    norm = {f"features.1.{p}": torch.ones(63) for p in ("weight", "bias", "running_mean", "running_var")}
    contents: dict[str, Any] = {
        "truncated": right[: len(right) // 2],
        "empty": b"",
        "web page": b"\n<!DOCTYPE html><html>404</html>",
        "pickle": pickle.dumps({"features.0.weight": Malice(tmp_path / "ran")}, protocol=2),
        "malice": {**good, "extra": Malice(tmp_path / "ran")},
        "no dict": torch.zeros(3),
        "no layers": {"weight": torch.zeros(3)},
        "missing layer": missing,
        "missing bias": no_bias,
        "wrong kernel": {**good, "features.3.weight": torch.zeros(128, 64, 1, 1)},
        "not finite": {**good, "features.3.bias": torch.full((128,), torch.nan)},
        "integers": {**good, "features.3.bias": torch.zeros(128, dtype=torch.int64)},
        "no tensor": {**good, "features.3.bias": [0.0] * 128},
        "wrong norm": {**good, **norm},
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.pth"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        for use in (from_file, use_file):
            with pytest.raises(ScumbleError, match=f"{name}.pth") as excinfo:
                use(path)
            assert code(excinfo) == "bad-weights", name
            assert "\n" not in excinfo.value.detail
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ScumbleError, match="web page"):
        from_file(tmp_path / "web page.pth")
    for name in ("pickle", "malice"):
        with pytest.raises(ScumbleError, match="more than tensors"):
            from_file(tmp_path / f"{name}.pth")
    for name in ("x.safetensors", "x.zip"):
        (tmp_path / name).write_bytes(right)
        with pytest.raises(ScumbleError) as excinfo:
            from_file(tmp_path / name)
        assert code(excinfo) == "bad-weights"
    shutil.copy(tmp_path / "good.pth", tmp_path / "vgg11-00000000.pth")
    with pytest.raises(ScumbleError, match="as its name says"):
        use_file(tmp_path / "vgg11-00000000.pth")
    for use in (from_file, use_file):
        with pytest.raises(ScumbleError) as excinfo:
            use(tmp_path / "nowhere.pth")
        assert code(excinfo) == "missing-file"


def test_save_leaves_what_was_there_when_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.safetensors").write_text("before")

    def full(_tensors: object, path: Path, _metadata: object) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("scumble.engine.weights.save_file", full)
    with pytest.raises(ScumbleError, match="No space left") as excinfo:
        save(seeded("vgg11"), tmp_path / "w.safetensors")
    assert code(excinfo) == "cannot-write"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["w.safetensors"]
    assert (tmp_path / "w.safetensors").read_text() == "before"


def procedural(seed: int = 0) -> Weights:
    return replace(seeded("vgg19-lite", seed), name="mine", training=Training.PROCEDURAL)


@pytest.mark.parametrize("training", Training)
def test_what_a_network_was_trained_on_stands_in_its_file(tmp_path: Path, training: Training) -> None:
    path = tmp_path / "mine.safetensors"
    save(replace(seeded("vgg11"), training=training), path)
    assert from_file(path).training is describe(path).training is training
    with safe_open(path, "pt") as file:
        assert file.metadata()["training"] == training.value


@pytest.mark.parametrize(
    ("metadata", "training"),
    [
        ({"trained": "true"}, Training.PHOTOGRAPHS),
        ({"trained": "false"}, Training.NONE),
        ({}, Training.PHOTOGRAPHS),
        ({"trained": "false", "training": "procedural"}, Training.PROCEDURAL),
    ],
)
def test_files_of_earlier_versions_and_of_others(tmp_path: Path, metadata: dict[str, str], training: Training) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in hollow().items()}, path, metadata)
    assert from_file(path).training is describe(path).training is training


def test_a_training_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in hollow().items()}, path, {"training": "dreams"})
    for read in (from_file, describe):
        with pytest.raises(ScumbleError, match="does not tell what it was trained on") as excinfo:
            read(path)
        assert code(excinfo) == "bad-weights"


def test_half_as_large_a_file_gives_float32_again(tmp_path: Path) -> None:
    weights, whole, half = procedural(), tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save(weights, whole)
    save(weights, half, half=True)
    assert {tensor.dtype for tensor in load_file(whole).values()} == {torch.float32}
    assert {tensor.dtype for tensor in load_file(half).values()} == {torch.float16}
    assert half.stat().st_size < 0.52 * whole.stat().st_size
    found = from_file(half)
    for name, filters in weights.filters.items():
        assert found.filters[name].dtype == found.biases[name].dtype == torch.float32
        assert torch.equal(found.filters[name], filters.half().float())
    assert describe(half).architecture == "vgg19-lite"


def test_a_digest_is_that_of_the_values_that_are_used(tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{name}.safetensors" for name in ("one", "two", "three"))
    save(procedural(), one, half=True)
    rounded = from_file(one)
    save(rounded, two, half=True)
    plain = {name: filters.half().float() for name, filters in procedural().filters.items()}
    save(replace(procedural(), filters=plain), three)
    assert rounded.digest == from_file(two).digest == from_file(three).digest
    assert rounded.digest != procedural().digest
    save(procedural(1), two, half=True)
    assert from_file(two).digest != rounded.digest


def test_what_float16_cannot_hold_is_not_written(tmp_path: Path) -> None:
    weights = seeded("vgg11")
    biases = {**weights.biases, "conv2_1": torch.full((128,), 1e5)}
    with pytest.raises(ScumbleError, match=r"conv2_1\.bias is too large") as excinfo:
        save(replace(weights, biases=biases), tmp_path / "mine.safetensors", half=True)
    assert code(excinfo) == "cannot-write"
    assert not (tmp_path / "mine.safetensors").exists()


def test_a_file_tells_how_it_came_about(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save(procedural(), path, about={"recipe": "{}", "seed": "7", "log": "1: 0.5\n2: 0.4", "training": "dreams"})
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert (metadata["recipe"], metadata["seed"], metadata["log"]) == ("{}", "7", "1: 0.5\n2: 0.4")
    assert from_file(path).training is Training.PROCEDURAL, "what a file says of itself is not overwritten"
    assert record_of(path).read_text().endswith("  mine.safetensors\n")


# Seeded networks


def test_seeded_is_the_same_on_every_machine(tmp_path: Path) -> None:
    weights = seeded("vgg11")
    assert weights.digest == "ea8d73bcfe76b73bac450f7abd74c77cef0ffa011c100862d53095f7b098ae92"
    assert (weights.name, weights.training) == ("vgg11 (seeded)", Training.NONE)
    assert len({weights.digest, seeded("vgg11", 1).digest, seeded("vgg13").digest}) == 3
    save(weights, tmp_path / "seeded.safetensors")
    again = from_file(tmp_path / "seeded.safetensors")
    assert (again.digest, again.name, again.training, again.preprocessing) == (
        weights.digest,
        weights.name,
        Training.NONE,
        weights.preprocessing,
    )
    with pytest.raises(ScumbleError):
        seeded("vgg12")


def test_seeded_has_the_widths_of_the_architecture() -> None:
    weights = seeded("vgg19")
    depth = 3
    for name, width in zip(conv_names("vgg19"), sum(ARCHITECTURES["vgg19"], ()), strict=True):
        assert weights.filters[name].shape == (width, depth, 3, 3)
        assert weights.filters[name].dtype == torch.float32
        assert not weights.biases[name].any()
        depth = width


def test_conv1_1_of_seeded_is_a_complete_frame() -> None:
    filters = seeded("vgg11").filters["conv1_1"].flatten(1)
    half = filters[:27]
    torch.testing.assert_close(half @ half.T, torch.eye(27))
    assert torch.equal(filters[27:54], -half)
    torch.testing.assert_close(filters[54:].mean(dim=1), torch.zeros(10), atol=1e-6, rtol=0)
    assert (filters[54:].norm(dim=1) - 1).abs().max() < 0.35
    # Both signs, rectified, give every patch back.
    patches = torch.randn(50, 27)
    answers = nnf.relu(patches @ filters[:54].T)
    torch.testing.assert_close((answers[:, :27] - answers[:, 27:]) @ half, patches, atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", ["vgg11", "vgg19"])
def test_maps_of_seeded_neither_vanish_nor_become_parallel(architecture: str) -> None:
    weights = seeded(architecture)
    generator = torch.Generator().manual_seed(1)
    # Noise at several scales is closer to a picture than white noise.
    x = sum(nnf.interpolate(torch.randn(1, 3, size, size, generator=generator), size=96) for size in (3, 6, 12, 48))
    assert isinstance(x, torch.Tensor)
    x = x / x.std()
    for name in conv_names(architecture):
        if name.endswith("_1") and name != "conv1_1":
            x = nnf.max_pool2d(x, 2)
        x = nnf.relu(nnf.conv2d(x, weights.filters[name], weights.biases[name], padding=1))
        assert 0.3 < x.std() < 3, name
        if name == "conv5_1":
            break
    features = nnf.normalize(x[0].flatten(1), dim=0)
    cosines = features.T @ features
    assert 0.5 < cosines.mean() < 0.65  # 0.73 with the means left in, 0.38 without them, for vgg19
    assert cosines.min() < 0.5
