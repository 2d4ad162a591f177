"""The shelf: style statistics outlive the process, and nothing that goes wrong with a file fails a job."""

import errno
import logging
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import noise, recipe, rgb_picture

from scumble.engine import shelf as module
from scumble.engine.candidates import Candidates
from scumble.engine.packed import pack_candidates, pack_matrices, unpack_candidates, unpack_matrices
from scumble.engine.painter import Painter
from scumble.engine.sealed import seal, unseal
from scumble.engine.shelf import Drawer, Shelf
from scumble.engine.terms import Statistic
from scumble.engine.tiles import Tiling

CONTENT, STYLE = rgb_picture(32, 40), rgb_picture(40, 32, seed=100)
CPU = torch.device("cpu")


def painted(painter, **fields):
    return painter.paint(CONTENT, recipe(**{"style_loss": "gram", **fields}), {"style": STYLE})


def computed(painter):
    return painter.targets.computed + painter.candidates.computed


def equal(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)


def drawer(folder, limit=2**20, kind="numbers"):
    """A drawer for single tensors."""
    return Drawer(Shelf(folder, limit), kind, CPU, lambda x: ({}, {"x": x}), lambda facts, tensors: tensors["x"])


def files(folder):
    return sorted(folder.glob("*.safetensors"))


# ---------------------------------------------------------------------------------------------------------- painting


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("style_loss", ["gram", "neighbours"])
def test_another_painter_computes_nothing_and_paints_the_same_bits(tmp_path, style_loss, precision):
    fields = {"style_loss": style_loss, "precision": precision}
    first, second = (Painter("cpu", cache=tmp_path / "cache") for _ in range(2))
    one = painted(first, **fields)
    assert computed(first) == len(files(tmp_path / "cache")) > 0
    other = painted(second, **fields)
    assert computed(second) == 0
    assert np.array_equal(one.picture.pixels, other.picture.pixels)
    assert one.losses == other.losses
    assert np.array_equal(painted(Painter("cpu"), **fields).picture.pixels, one.picture.pixels)


def test_another_process_computes_nothing(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_shelf import Painter, Path, painted
for style_loss in ("gram", "neighbours"):
    painted(Painter("cpu", cache=Path({str(tmp_path)!r})), style_loss=style_loss)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    here = Painter("cpu", cache=tmp_path)
    for style_loss in ("gram", "neighbours"):
        painted(here, style_loss=style_loss)
    assert computed(here) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"pooling": "max"},
        {"padding": "zeros"},
        {"precision": "bfloat16"},
        {"normalized": False},
        {"stroke_scale": 0.5},
        {"features": "seeded-vgg13"},
        {"activation_shift": -1},
        {"chain": True},
        {"style_layers": "conv2_1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_the_statistics_changes_the_key(tmp_path, change):
    painted(Painter("cpu", cache=tmp_path), frame_weight=0)
    other = Painter("cpu", cache=tmp_path)
    painted(other, frame_weight=0, **change)
    assert computed(other) > 0


def test_the_frames_statistics_depend_on_the_grid_of_the_trunk(tmp_path):
    """A style whose sides are no multiples of the grid is padded to it, and the frame sees that."""
    deep, shallow = (Painter("cpu", cache=tmp_path) for _ in range(2))
    painted(deep, frame_weight=1, style_layers="conv4_1", content_layers="conv3_2")
    painted(shallow, frame_weight=1, style_layers="conv2_1", content_layers="conv2_1")
    assert computed(shallow) == computed(deep) == 2


def test_tiles_have_keys_of_their_own(tmp_path, monkeypatch):
    """What was added up in another order differs in the last digits."""
    plan = Painter.plan
    for tile in (None, 32):
        monkeypatch.setattr(Painter, "plan", lambda *asked, tile=tile: replace(plan(*asked), tiling=Tiling(tile)))
        painter = Painter("cpu", cache=tmp_path)
        painted(painter)
        assert computed(painter) > 0


def test_keys_hold_no_addresses():
    painter = Painter("cpu")
    for style_loss in ("gram", "neighbours"):
        painted(painter, style_loss=style_loss)
    keys = [*painter.targets._values, *painter.candidates._values]
    assert len(keys) >= 3
    assert not any(" at 0x" in repr(key) for key in keys)


def test_clear_forgets_only_what_is_in_memory(tmp_path):
    painter = Painter("cpu", cache=tmp_path)
    painted(painter)
    once = computed(painter)
    painter.targets.clear()
    assert not painter.targets._values
    painted(painter)
    assert computed(painter) == once


def test_without_a_cache_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path))
    painted(Painter("cpu"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"garbage" * 100,
        lambda data: data[:-3] + b"abc",
        lambda data: seal("something else", {}, {}),
    ],
    ids=["empty", "cut", "garbage", "changed", "foreign"],
)
def test_a_damaged_file_goes_and_is_computed_anew(tmp_path, caplog, damage):
    one = painted(Painter("cpu", cache=tmp_path))
    whole = {path: path.read_bytes() for path in files(tmp_path)}
    for path, data in whole.items():
        path.write_bytes(damage(data))
    again = Painter("cpu", cache=tmp_path)
    with caplog.at_level(logging.WARNING, logger=module.__name__):
        other = painted(again)
    assert computed(again) == len(whole) == len(caplog.records)
    assert np.array_equal(one.picture.pixels, other.picture.pixels)
    last = Painter("cpu", cache=tmp_path)
    painted(last)
    assert computed(last) == 0


def test_a_full_disk_fails_no_job(tmp_path, caplog, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_private", full)
    painter = Painter("cpu", cache=tmp_path)
    assert painted(painter).losses
    assert "No space left" in caplog.text
    assert not files(tmp_path)


def test_a_folder_that_cannot_be_made_fails_no_job(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    assert painted(Painter("cpu", cache=tmp_path / "file")).losses
    assert painted(Painter("cpu", cache=tmp_path / "file" / "deeper")).losses
    assert "cannot be written" in caplog.text


# ------------------------------------------------------------------------------------------------------------ a drawer


def test_a_drawer_gives_back_what_was_kept(tmp_path):
    for value in (noise(3, 4), noise(3, 4).bfloat16(), torch.arange(5), noise(4, 6).T, noise(2, 8)[:, ::2]):
        drawer(tmp_path).keep(("key", 1), value)
        assert equal(drawer(tmp_path).find(("key", 1)), value)
    assert drawer(tmp_path).find(("key", 2)) is None
    assert drawer(tmp_path, kind="others").find(("key", 1)) is None


def test_a_damaged_file_is_removed_at_once(tmp_path):
    drawer(tmp_path).keep("key", noise(3))
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])
    assert drawer(tmp_path).find("key") is None
    assert not file.exists()


def test_another_format_is_another_key(tmp_path, monkeypatch):
    drawer(tmp_path).keep("key", noise(1))
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    assert drawer(tmp_path).find("key") is None


def test_only_the_user_may_read_it(tmp_path):
    drawer(tmp_path / "cache").keep("key", noise(3))
    (file,) = files(tmp_path / "cache")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_least_recently_used_goes_first(tmp_path):
    values = {key: noise(1000, seed=key) for key in range(4)}
    probe = drawer(tmp_path / "probe")
    probe.keep(0, values[0])
    size = files(tmp_path / "probe")[0].stat().st_size
    folder = tmp_path / "cache"
    kept = drawer(folder, limit=3 * size)
    for key in range(3):
        kept.keep(key, values[key])
        age = time.time() - 100 + key
        os.utime(kept.shelf._path(kept._name(key)), (age, age))
    assert equal(kept.find(0), values[0])  # and so it is the most recent
    kept.keep(3, values[3])
    assert [kept.find(key) is not None for key in range(4)] == [True, False, True, True]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3 * size
    kept.keep(3, values[3])  # what is replaced needs no more room
    assert [kept.find(key) is not None for key in range(4)] == [True, False, True, True]


def test_what_is_larger_than_the_shelf_is_not_kept(tmp_path):
    kept = drawer(tmp_path, limit=2000)
    kept.keep("small", noise(100))
    kept.keep("large", noise(10_000))
    kept.keep("barely", noise(499))  # with its header it is
    assert [kept.find(key) is not None for key in ("small", "large", "barely")] == [True, False, False]


def test_what_was_left_half_written_goes(tmp_path):
    old, new = tmp_path / ".a-1.tmp", tmp_path / ".b-2.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    drawer(tmp_path).keep("key", noise(3))
    assert not old.exists()
    assert new.exists()


# -------------------------------------------------------------------------------------------------------------- packed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matrices_come_back_bit_identical(dtype):
    wanted = {Statistic("conv1_1", "conv1_1"): noise(4, 4).to(dtype), Statistic("a", "b", -0.1): noise(2, 3)}
    facts, tensors = pack_matrices(wanted)
    found = unpack_matrices(*unseal("x", seal("x", facts, tensors)))
    assert list(found) == list(wanted)
    assert all(equal(found[statistic], wanted[statistic]) for statistic in wanted)
    assert unpack_matrices(*pack_matrices({})) == {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_candidates_come_back_bit_identical(dtype):
    shared = noise(9)
    wanted = Candidates(
        vectors=noise(5, 7),
        places=torch.arange(5),
        rgb=noise(1, 3, 4, 8),
        stride=2,
        means=(shared[:4], shared[4:]),
        scales=(1 / 3, 1e-300),
        basis=noise(7, 2).to(dtype),
        projected=noise(5, 2).to(dtype),
        at=torch.tensor([-1, 0, 4]),
    )
    facts, tensors = pack_candidates(wanted)
    found = unpack_candidates(*unseal("x", seal("x", facts, tensors)))
    assert (found.stride, found.scales) == (wanted.stride, wanted.scales)
    assert all(equal(a, b) for a, b in zip(found.means, wanted.means, strict=True))
    for name in ("vectors", "places", "rgb", "basis", "projected", "at"):
        assert equal(getattr(found, name), getattr(wanted, name))
