"""The user's own presets: in files that survive whatever happens to them."""

import base64
import json
import os

import plugins
import pytest
from daemons import picture_file
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from scumble.recipe import PRESETS

plugins.link()
from krita_scumble.link import presets as presets_module  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.presets import Presets, thumbnail_of  # noqa: E402
from krita_scumble.link.settings import Settings, StyleRow  # noqa: E402

MINE = Settings((StyleRow("/a/heron.png", "heron", 40),), 35, more={"seed": 4})
PNG, JPEG = picture_file(), picture_file("jpeg")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home" / "presets"


@pytest.fixture
def presets(folder):
    return Presets(folder)


def names(presets):
    return [preset.name for preset in presets.list()]


def test_there_are_none_at_first(presets, folder):
    assert presets.list() == ()
    assert not folder.exists()


def test_what_was_saved_is_there_for_every_host(presets, folder):
    presets.save("Soft sky", MINE, PNG)
    presets.save("also", Settings(), JPEG)
    presets.save("Zest", Settings())
    other = Presets(folder)
    assert names(other) == names(presets) == ["also", "Soft sky", "Zest"]
    assert other.find("Soft sky").settings == MINE
    assert [preset.thumbnail for preset in other.list()] == [JPEG, PNG, None]


def test_saving_again_replaces(presets, folder):
    presets.save("Soft sky", MINE, PNG)
    presets.save(" Soft  sky ", Settings())
    assert len(list(folder.iterdir())) == 1
    assert presets.find("Soft sky").settings == Settings()


def test_what_another_host_saves_is_seen(presets, folder):
    assert names(presets) == []
    other = Presets(folder)
    other.save("From GIMP", MINE)
    assert names(presets) == ["From GIMP"]
    other.delete("From GIMP")
    assert names(presets) == []


def test_only_what_has_changed_is_read_again(presets, monkeypatch):
    presets.save("Soft sky", MINE)
    presets.list()
    monkeypatch.setattr(presets_module, "_preset", lambda path: pytest.fail("it is read again"))
    assert names(presets) == ["Soft sky"]


def test_renaming(presets, folder):
    presets.save("Soft sky", MINE, PNG)
    presets.save("Zest", Settings())
    assert presets.rename("Soft sky", "Hard sky").name == "Hard sky"
    assert names(presets) == ["Hard sky", "Zest"]
    assert (presets.find("Hard sky").settings, presets.find("Hard sky").thumbnail) == (MINE, PNG)
    assert presets.rename("Zest", "Zest ").name == "Zest"
    with pytest.raises(LinkError, match="Zest"):
        presets.rename("Hard sky", "Zest")
    with pytest.raises(LinkError, match="gone"):
        presets.rename("gone", "back")
    assert names(presets) == ["Hard sky", "Zest"]
    assert len(list(folder.iterdir())) == 2


def test_deleting(presets):
    presets.save("Soft sky", MINE)
    presets.delete("no such")
    presets.delete("Soft sky")
    presets.delete("Soft sky")
    assert names(presets) == []


@pytest.mark.parametrize("name", ["", "  ", "\n\0"])
def test_it_has_a_name(presets, name):
    with pytest.raises(LinkError) as raised:
        presets.save(name, MINE)
    assert raised.value.code == "cannot-save"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "CON", "a/b\\c:d", "Грозовое небо", "x" * 500, ".hidden", "été", "e\u0301te\u0301"]
)
def test_a_name_may_be_anything_and_its_file_is_safe(presets, folder, name):
    saved = presets.save(name, MINE)
    assert presets.find(saved.name).settings == MINE
    (path,) = folder.iterdir()
    assert path.name.isascii()
    assert path.name.replace("-", "").replace(".json", "").isalnum()
    assert len(path.name) < 64


@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=20), max_size=5))
def test_names_do_not_get_in_each_others_way(tmp_path_factory, given_names):
    presets, kept = Presets(tmp_path_factory.mktemp("presets")), {}
    for number, name in enumerate(given_names):
        try:
            kept[presets.save(name, Settings(strength=number)).name] = number
        except LinkError:
            continue
    assert {preset.name: preset.settings.strength for preset in presets.list()} == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        "null",
        '{"name": 3, "settings": {}}',
        '{"name": "", "settings": {}}',
        '{"name": "a", "settings": []}',
        '{"name": "a"}',
        "[" * 100_000,
        '{"name": "a", "settings": {}, "thumbnail": "' + "A" * 3_000_000 + '"}',
    ],
    ids=range(11),
)
def test_a_bad_file_is_passed_over(presets, folder, text):
    presets.save("Good", MINE)
    (folder / "bad.json").write_text(text)
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (folder / "folder.json").mkdir()
    assert names(presets) == ["Good"]


@pytest.mark.parametrize("thumbnail", [3, "!!", base64.b64encode(b"GIF89a").decode(), None])
def test_a_bad_picture_is_none(presets, folder, thumbnail):
    folder.mkdir(parents=True)
    told = {"name": "From afar", "settings": {"strength": 5, "new": 1}, "thumbnail": thumbnail}
    (folder / "any name.json").write_text(json.dumps(told))
    (preset,) = presets.list()
    assert (preset.name, preset.settings, preset.thumbnail) == ("From afar", Settings(strength=5), None)
    presets.save("From afar", MINE)
    assert [path.name for path in folder.iterdir()] == ["any name.json"]


def test_a_folder_that_cannot_be_written(presets, folder):
    folder.parent.mkdir()
    folder.touch()
    with pytest.raises(LinkError) as raised:
        presets.save("Soft sky", MINE)
    assert (raised.value.code, presets.list()) == ("cannot-save", ())


@pytest.mark.skipif(os.name != "posix", reason="has other permissions")
def test_presets_are_the_users_alone(presets, folder):
    presets.save("Soft sky", MINE)
    assert folder.stat().st_mode & 0o077 == 0
    assert next(folder.iterdir()).stat().st_mode & 0o077 == 0


def test_pictures_of_what_the_daemon_brings(tmp_path, monkeypatch):
    monkeypatch.setattr(presets_module, "_PICTURES", tmp_path)
    (tmp_path / "gatys-2015.jpg").write_bytes(JPEG)
    (tmp_path.parent / "secret.jpg").write_bytes(JPEG)
    assert thumbnail_of("gatys-2015") == JPEG
    assert thumbnail_of("../secret") is None
    assert thumbnail_of("no-such") is None


def test_those_that_there_are_belong_to_presets():
    pictures = {path.stem for path in presets_module._PICTURES.glob("*.jpg")}
    assert pictures <= set(PRESETS)
    assert all(thumbnail_of(name) for name in pictures)
