"""Trained styles as files, and the folder where they are kept."""

import pickle
import zipfile

import numpy as np
import pytest
import torch
from helpers import trained
from safetensors.torch import save, save_file

from scumble.engine import models
from scumble.engine.sealed import seal, unseal
from scumble.errors import ScumbleError

SHA = "ab" * 32


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))


def refusal(path, code="bad-model"):
    with pytest.raises(ScumbleError) as refused:
        models.read(path)
    assert refused.value.code == code
    assert path.name in refused.value.detail
    return refused.value.detail


def test_a_file_gives_back_what_was_written(tmp_path):
    model = trained("night", "glass")
    models.write(model, tmp_path / "both.scumble")
    found = models.read(tmp_path / "both.scumble")
    assert found.about == model.about == models.describe(tmp_path / "both.scumble")
    for name, tensor in model.tensors.items():
        exact = not name.endswith(".filters")
        torch.testing.assert_close(found.tensors[name], tensor, atol=0 if exact else 2e-3, rtol=0 if exact else 1e-3)
    for mine, theirs in zip(model.thumbnails, found.thumbnails, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_file_from_before_styles_had_filters_of_their_own_and_noise_is_read(tmp_path):
    model = trained("night", "glass", own_filters=False, noise=False)
    facts = model.about.model_dump(mode="json")
    del facts["own_filters"], facts["noise"]
    pictures = {f"thumbnail.{index}": torch.from_numpy(each) for index, each in enumerate(model.thumbnails)}
    (tmp_path / "x.scumble").write_bytes(seal(models.KIND, facts, {**model.tensors, **pictures}))
    assert models.read(tmp_path / "x.scumble").about == model.about


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_short_is_refused(tmp_path, share):
    data = trained("night").data()
    (tmp_path / "cut.scumble").write_bytes(data[: int(share * len(data))])
    assert "damaged" in refusal(tmp_path / "cut.scumble")


def test_a_changed_byte_is_seen(tmp_path):
    """Wherever it is in the description, and in the numbers after it."""
    data = trained("night").data()
    head = 8 + int.from_bytes(data[:8], "little")
    for where in (*range(head), (head + len(data)) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[where] ^= 1
        with pytest.raises(ScumbleError, match="cannot be used"):
            models.parse(bytes(changed), "bad.scumble")
        with pytest.raises(ValueError, match="damaged"):
            unseal(models.KIND, bytes(changed))


class Trap:
    def __reduce__(self):
        return (open, ("sprung", "w"))


def test_what_is_something_else_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.scumble"
    foreign = save({"in.filters": torch.zeros(4, 3, 9, 9)}, {"kind": "something"})
    for data in (
        b"",
        b"\0" * 64,
        b"\xff" * 4096,
        pickle.dumps(Trap()),
        foreign,
        b"<html>",
        (2**62).to_bytes(8, "little"),
    ):
        path.write_bytes(data)
        refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Trap()))
    refusal(path)
    save_file({"conv1_1.weight": torch.zeros(64, 3, 3, 3)}, path)
    refusal(path)
    assert not (tmp_path / "sprung").exists()
    assert "no file" in refusal(tmp_path / "none.scumble", "missing-file")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    model = trained("night")
    model.tensors["block1a.gain"][0, 0, 0] = float("nan")
    models.write(model, tmp_path / "x.scumble")
    assert "block1a.gain" in refusal(tmp_path / "x.scumble")


def test_numbers_of_another_network_are_refused(tmp_path):
    model = trained("night")
    model.tensors["up1.filters"] = torch.zeros(1, 1, 3, 3)
    models.write(model, tmp_path / "x.scumble")
    assert "network" in refusal(tmp_path / "x.scumble")


@pytest.mark.parametrize("change", [{"width": 10**9}, {"blocks": -1}, {"styles": ()}, {"size": 0}])
def test_a_description_that_cannot_be_is_refused(tmp_path, change):
    model = trained("night")
    models.write(models.Model(model.about.model_copy(update=change), model.tensors, []), tmp_path / "x.scumble")
    assert next(iter(change)) in refusal(tmp_path / "x.scumble")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    models.write(trained("night"), tmp_path / "x.scumble")
    monkeypatch.setattr(models, "LARGEST", 1000)
    assert "larger" in refusal(tmp_path / "x.scumble")


def test_what_is_kept_is_found_by_its_name_and_by_its_picture():
    assert models.entries() == []
    models.keep(trained("night", digests=[SHA]).data(), "night sky")
    models.keep(trained("glass", "dabs", digests=["cd" * 32, "ef" * 32]).data(), "two")
    assert [entry.name for entry in models.entries()] == ["night sky", "two"]
    assert models.find("night sky") == models.find(str(models.folder() / "night sky.scumble"))
    assert models.of_picture(SHA) == "night sky"
    assert models.of_picture("ef" * 32) == "two#2"
    assert models.of_picture(SHA, models.Part(x=0, y=0, width=3, height=3)) is None
    assert models.of_picture("00" * 32) is None
    models.forget("two")
    assert [entry.name for entry in models.entries()] == ["night sky"]
    with pytest.raises(ScumbleError, match="no model 'two'"):
        models.forget("two")
    with pytest.raises(ScumbleError) as refused:
        models.find("day")
    assert "night sky" in refused.value.hint


def test_which_of_a_models_styles_is_meant_is_told_by_the_picture(tmp_path):
    part = models.Part(x=0, y=0, width=3, height=3)
    models.keep(trained("glass", "dabs", digests=["cd" * 32, SHA]).data(), "two")
    models.keep(trained("night", digests=[SHA]).data(), "one")
    models.write(trained("glass", "dabs", digests=["cd" * 32, SHA]), tmp_path / "x.scumble")
    file = str(tmp_path / "x.scumble")
    assert models.with_style("two", SHA) == "two#2"
    assert models.with_style(file, SHA) == f"{file}#2"
    assert models.with_style("two#1", SHA) == "two#1"
    assert models.with_style("one", SHA) == "one"
    assert models.with_style("two", "00" * 32) == models.with_style("two", SHA, part) == "two"
    with pytest.raises(ScumbleError, match="no model 'three'"):
        models.with_style("three", SHA)


def test_a_picture_without_a_known_file_is_nobodys():
    models.keep(trained("night", digests=[""]).data(), "night")
    assert models.of_picture("") is None


def test_damaged_files_in_the_folder_are_left_out():
    models.keep(trained("night").data(), "night")
    (models.folder() / "bad.scumble").write_bytes(b"nothing")
    assert [entry.name for entry in models.entries()] == ["night"]


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "a\\b", ".hidden", "a\0b", "x" * 101, "ü"])
def test_a_name_cannot_lead_elsewhere(name):
    with pytest.raises(ScumbleError) as refused:
        models.keep(trained("night").data(), name)
    assert refused.value.code == "bad-request"
    assert not models.folder().exists() or not list(models.folder().iterdir())


def test_nothing_bad_is_kept():
    models.keep(trained("night").data(), "night")
    before = (models.folder() / "night.scumble").read_bytes()
    with pytest.raises(ScumbleError, match=r"night\.scumble cannot be used"):
        models.keep(b"nothing", "night")
    assert (models.folder() / "night.scumble").read_bytes() == before


@pytest.mark.parametrize(("asked", "index"), [(None, 0), ("night", 0), ("glass", 1), ("2", 1)])
def test_a_style_of_several_is_told_by_name_or_number(asked, index):
    assert models.style_index(trained("night", "glass").about, asked) == index


@pytest.mark.parametrize("asked", ["day", "0", "3", "-1"])
def test_a_style_that_it_has_not_is_refused(asked):
    with pytest.raises(ScumbleError) as refused:
        models.style_index(trained("night", "glass").about, asked)
    assert "night, glass" in refused.value.hint
