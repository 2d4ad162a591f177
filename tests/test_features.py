"""Which features a name stands for, on which device, and what suits them."""

from dataclasses import replace

import pytest
from helpers import recipe, rgb_picture, ship

from scumble.engine import embedded
from scumble.engine.features import OURS, PHOTOGRAPHS, describe, profile, resolve
from scumble.engine.outline import features_name
from scumble.engine.painter import Painter
from scumble.engine.weights import ARCHITECTURES, Training, save, seeded
from scumble.errors import ScumbleError

GENERAL = ("auto", "auto-caffe", "embedded")
LITE, FULL = "scumble-lite (procedural paintings)", "scumble-full (procedural paintings)"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home without weights, and a package without features."""
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "embedded")
    (tmp_path / "home" / "weights").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def package(tmp_path):
    """The folder where a package keeps its features; there are none as yet."""
    return tmp_path / "embedded"


def keep(home, entry, architecture="vgg19"):
    """Weights as if downloaded."""
    trained = replace(seeded(architecture), name=entry, training=Training.PHOTOGRAPHS)
    save(trained, home / "weights" / f"{entry}.safetensors")


def found(name, *, gpu):
    """What a name stands for, by its own name; `describe` and `resolve` agree."""
    here, there = describe(name, gpu=gpu), resolve(name, gpu=gpu)
    for part in ("name", "architecture", "training", "preprocessing", "entry"):
        assert getattr(here, part) == getattr(there, part)
    assert features_name(recipe(features=name), gpu=gpu) == here.name
    return here.name


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("name", [*GENERAL, *(f"seeded-{each}" for each in ARCHITECTURES)])
def test_without_any_file_they_are_seeded(name, gpu):
    wanted = "vgg19-lite" if name in GENERAL else name.removeprefix("seeded-")
    assert found(name, gpu=gpu) == f"{wanted} (seeded)"


@pytest.mark.parametrize(("gpu", "wanted"), [(False, LITE), (True, FULL)])
def test_the_large_ones_are_for_a_gpu(package, gpu, wanted):
    ship(package)
    for name in GENERAL:
        assert found(name, gpu=gpu) == LITE
    ship(package, "scumble-full", "vgg11")
    for name in GENERAL:
        assert found(name, gpu=gpu) == wanted
    assert found("scumble-lite", gpu=gpu) == LITE
    assert found("scumble-full", gpu=gpu) == FULL


def test_the_large_ones_alone_are_not_for_a_cpu(package):
    ship(package, "scumble-full", "vgg11")
    assert found("auto", gpu=False) == "vgg19-lite (seeded)"
    assert found("auto", gpu=True) == FULL


def test_auto_takes_imagenets_where_there_is_a_gpu(home, package):
    ship(package)
    keep(home, "vgg19")
    assert [found(name, gpu=True) for name in GENERAL] == ["vgg19", "vgg19", LITE]
    assert [found(name, gpu=False) for name in GENERAL] == [LITE] * 3
    keep(home, "vgg19-caffe")
    assert [found(name, gpu=True) for name in GENERAL] == ["vgg19", "vgg19-caffe", LITE]
    (home / "weights" / "vgg19.safetensors").unlink()
    assert [found(name, gpu=True) for name in GENERAL] == [LITE, "vgg19-caffe", LITE]


@pytest.mark.parametrize("gpu", [False, True])
def test_who_names_a_network_gets_it(home, package, gpu):
    ship(package)
    with pytest.raises(ScumbleError) as refused:
        describe("vgg19", gpu=gpu)
    assert refused.value.code == "missing-weights"
    assert "`scumble weights download vgg19`" in refused.value.hint
    keep(home, "vgg19")
    assert found("vgg19", gpu=gpu) == "vgg19"


def test_features_that_did_not_come_with_it_are_refused_in_a_sentence(home, package):
    ship(package)
    with pytest.raises(ScumbleError, match="scumble-full did not come with this Scumble") as refused:
        resolve("scumble-full", gpu=True)
    assert refused.value.code == "missing-weights"
    assert "`embedded`" in refused.value.hint
    keep(home, "scumble-full", "vgg11")  # taken over from a file
    assert found("scumble-full", gpu=False) == "scumble-full"
    with pytest.raises(ScumbleError, match="no features 'scumble'") as refused:
        resolve("scumble", gpu=True)
    assert refused.value.code == "bad-recipe"
    assert "scumble-lite" in refused.value.hint


def test_what_is_in_the_package_is_ours_whatever_its_file_says(package):
    package.mkdir()
    save(replace(seeded("vgg19-lite"), name="vgg19-lite, run 3"), package / "scumble-lite.safetensors")
    assert found("embedded", gpu=False) == LITE
    assert describe("embedded", gpu=False).training is Training.PROCEDURAL


def test_each_kind_has_its_profile(home, package):
    ship(package)
    keep(home, "vgg19")
    for name, wanted in {"seeded-vgg11": OURS, "scumble-lite": OURS, "auto": OURS, "vgg19": PHOTOGRAPHS}.items():
        assert profile(describe(name, gpu=False)) is profile(resolve(name, gpu=False)) is wanted
    assert profile(describe(str(ship(home, "mine", "vgg11")), gpu=False)) is OURS


def test_the_painter_knows_its_device(home, package, monkeypatch):
    ship(package)
    keep(home, "vgg19")
    asked = recipe(features="auto")
    assert Painter("cpu").features_name(asked) == Painter("cpu").features(asked).name == LITE
    monkeypatch.setattr("scumble.engine.painter.is_gpu", lambda device: True)
    one = Painter("cpu")
    assert one.features_name(asked) == one.features(asked).name == one.outline(asked).found.name == "vgg19"


def test_a_painter_that_stays_takes_what_has_come_meanwhile(home, package, monkeypatch):
    monkeypatch.setattr("scumble.engine.painter.is_gpu", lambda device: True)
    one, asked = Painter("cpu"), recipe(features="auto")
    for wanted in ("vgg19-lite (seeded)", LITE, "vgg19"):
        assert one.features_name(asked) == one.features(asked).name == wanted
        ship(package)
        if wanted == LITE:
            keep(home, "vgg19")


def test_statistics_of_other_features_of_the_same_name_are_not_used(package):
    picture, style = rgb_picture(32, 40), {"style": rgb_picture(32, 32, seed=1)}
    asked = recipe(features="scumble-lite", scales=1, style_loss="gram")
    one, fresh = Painter("cpu"), Painter("cpu")
    ship(package)
    one.paint(picture, asked, style)
    ship(package, seed=1)
    one._weights.clear()
    again, wanted = one.paint(picture, asked, style), fresh.paint(picture, asked, style)
    assert again.features == wanted.features == LITE
    assert (again.picture.pixels == wanted.picture.pixels).all()
