"""The style library: what is kept, what is refused, what survives damage; bundled styles drawn once."""

import json
import logging
import shutil
import threading
import time

import numpy as np
import pytest

from scumble.drawn import PAINTINGS
from scumble.drawn.swatches import SWATCHES
from scumble.errors import ScumbleError
from scumble.picture import Picture, decode, encode
from scumble.protocol import Rectangle, StyleChange
from scumble.service import library as module
from scumble.service.library import BUNDLED, THUMBNAIL_PX, Library

RED, BLUE = (220, 20, 10), (10, 20, 220)


@pytest.fixture
def drawn(monkeypatch):
    """Instead of a painting, a flat picture at once; the names that were drawn."""
    names = []

    def draw(name, width, height):
        names.append(name)
        time.sleep(0.05)
        return np.full((height, width, 3), 0.5, np.float32)

    monkeypatch.setattr(module, "painting", draw)
    return names


@pytest.fixture
def library(tmp_path, drawn):
    return Library(tmp_path / "styles", 10_000_000)


def halves(width=60, height=40, format="png"):
    """Left half red, right half blue."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = RED, BLUE
    return encode(Picture(pixels), format)


def own(library):
    return [style.id for style in library.list() if not style.is_bundled]


def refused(code, call, *args):
    with pytest.raises(ScumbleError) as caught:
        call(*args)
    assert caught.value.code == code
    return caught.value.detail


def test_a_style_is_kept_as_it_came(library, tmp_path):
    data = halves(format="jpeg")
    added = library.add(data, " Two halves ", ["Red", "blue ", "RED"], None)
    assert added.id == "two-halves" and added.name == "Two halves" and added.tags == ["Red", "blue"]
    assert (added.width, added.height, added.crop, added.is_bundled) == (60, 40, None, False)
    assert added.picture == "library:two-halves"
    again = Library(tmp_path / "styles", 10_000_000)
    assert again.get("two-halves") == added and again.list()[0] == added
    assert again.picture("two-halves") == data


def test_files_are_open_to_their_user_alone(library, tmp_path):
    library.add(halves(), "one", [], None)
    library.thumbnail("one")
    library.thumbnail("glass")
    found = list((tmp_path / "styles").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}
    assert not [path for path in found if path.name.endswith(".tmp") or "half-done" in path.name]


def test_the_newest_come_first_and_the_bundled_last(library):
    names = list("kbxaczmyd")
    for name in names:
        library.add(halves(), name, [], None)
    library.remove("k")
    library.add(halves(), "e", [], None)
    assert [style.id for style in library.list()] == ["e", *reversed(names[1:]), *BUNDLED]


def test_tags_filter_whatever_their_case(library):
    library.add(halves(), "one", ["Ölbild"], None)
    library.add(halves(), "two", ["print"], None)
    assert [style.id for style in library.list("ÖLBILD ")] == ["one"]
    assert [style.id for style in library.list("Print")] == ["two", "woodcut", "sand-ripples"]
    assert library.list("nothing") == []


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("Café au lait!", "cafe-au-lait"),
        ("星空", "style"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "con-style"),
        ("night", "night-2"),
        ("x" * 100, "x" * 56),
        ("--", "style"),
    ],
)
def test_ids_are_made_of_names(library, name, id):
    assert library.add(halves(), name, [], None).id == id


def test_equal_names_get_ids_of_their_own(library):
    assert [library.add(halves(), "a b", [], None).id for _ in range(3)] == ["a-b", "a-b-2", "a-b-3"]


@pytest.mark.parametrize(
    "id", ["..", ".", "", "../x", "a/b", "A", "a\0", "night\n", "-a", "x" * 65, "nothing", ".half"]
)
def test_no_path_is_made_of_a_foreign_id(library, tmp_path, id):
    library.add(halves(), "one", [], None)
    for place in (tmp_path / "x", tmp_path / "styles" / "A", tmp_path / "styles" / ".half", tmp_path / "styles" / "-a"):
        shutil.copytree(tmp_path / "styles" / "one", place)
    for call in (library.get, library.picture, library.thumbnail, library.remove):
        refused("not-found", call, id)
    refused("not-found", library.change, id, StyleChange(name="x"))


@pytest.mark.parametrize(
    ("name", "tags", "crop", "field"),
    [
        ("", [], None, "name"),
        ("   ", [], None, "name"),
        ("a\x00b", [], None, "name"),
        ("x" * 101, [], None, "name"),
        ("one", ["fine", "a,b"], None, "tags[1]"),
        ("one", [""], None, "tags[0]"),
        ("one", "oil", None, "tags"),
        ("one", [7], None, "tags[0]"),
        ("one", [str(n) for n in range(33)], None, "tags"),
        ("one", [], Rectangle(x=30, y=0, width=31, height=10), "crop"),
        ("one", [], Rectangle(x=0, y=40, width=1, height=1), "crop"),
    ],
)
def test_what_cannot_be_kept_is_named(library, name, tags, crop, field):
    assert refused("bad-style", library.add, halves(), name, tags, crop).startswith(f"{field}:")
    assert own(library) == []


def test_a_crop_may_touch_every_edge(library):
    assert library.add(halves(), "one", [], Rectangle(x=0, y=0, width=60, height=40)).width == 60


def test_only_pictures_are_kept(tmp_path):
    library = Library(tmp_path, 2400)
    refused("bad-picture", library.add, b"no picture", "one", [], None)
    refused("bad-picture", library.add, halves()[:-40], "one", [], None)
    refused("picture-too-large", library.add, halves(61), "one", [], None)
    assert own(library) == [] and list(tmp_path.iterdir()) == []


def test_a_change_touches_only_what_it_sets(library):
    crop = Rectangle(x=1, y=2, width=30, height=20)
    first = library.add(halves(), "one", ["a"], crop)
    assert (first.width, first.height, first.crop) == (30, 20, crop)
    named = library.change("one", StyleChange(name="Another"))
    assert named == first.model_copy(update={"name": "Another"})
    tagged = library.change("one", StyleChange(tags=["b", "c"]))
    assert tagged == named.model_copy(update={"tags": ["b", "c"]})
    whole = library.change("one", StyleChange(crop=None))
    assert (whole.width, whole.height, whole.crop, whole.tags) == (60, 40, None, ["b", "c"])
    assert library.get("one") == whole


def test_a_bad_change_changes_nothing(library):
    first = library.add(halves(), "one", ["a"], None)
    change = StyleChange(name="Another", crop=Rectangle(x=0, y=0, width=61, height=1))
    assert refused("bad-style", library.change, "one", change).startswith("crop:")
    assert refused("bad-style", library.change, "one", StyleChange(name=None)).startswith("name:")
    assert refused("bad-style", library.change, "one", StyleChange(tags=None)).startswith("tags:")
    assert library.get("one") == first


def test_a_removed_style_is_gone(library, tmp_path):
    library.add(halves(), "one", [], None)
    library.remove("one")
    assert own(library) == [] and not (tmp_path / "styles" / "one").exists()
    refused("not-found", library.picture, "one")
    assert library.add(halves(), "one", [], None).id == "one"


# -------------------------------------------------------------------------------------------------------- thumbnails


def test_a_thumbnail_is_small_and_shows_the_crop(library):
    library.add(halves(1000, 500), "one", [], None)
    whole, tag = library.thumbnail("one")
    assert whole.startswith(b"\xff\xd8") and decode(whole).size == (THUMBNAIL_PX, 128)
    assert library.thumbnail("one") == (whole, tag)
    library.change("one", StyleChange(crop=Rectangle(x=600, y=100, width=100, height=200)))
    part, other = library.thumbnail("one")
    assert decode(part).size == (100, 200) and other != tag
    assert np.abs(decode(part).pixels.mean((0, 1)) - BLUE).max() < 4


def test_a_thumbnail_of_an_earlier_crop_is_not_shown(library, monkeypatch, tmp_path):
    library.add(halves(120, 50), "one", [], Rectangle(x=0, y=0, width=100, height=50))
    make = module._thumbnail

    def slowly(picture, crop):
        library.change("one", StyleChange(crop=Rectangle(x=60, y=0, width=20, height=30)))
        return make(picture, crop)

    monkeypatch.setattr(module, "_thumbnail", slowly)
    assert decode(library.thumbnail("one")[0]).size == (100, 50)
    monkeypatch.undo()
    assert decode(library.thumbnail("one")[0]).size == (20, 30)
    library.change("one", StyleChange(crop=None))
    assert not list((tmp_path / "styles" / "one").glob("thumbnail-*"))


def test_a_thumbnail_is_made_once(library, monkeypatch, tmp_path):
    library.add(halves(), "one", [], None)
    first = library.thumbnail("one")
    monkeypatch.setattr(module, "_thumbnail", lambda *_: pytest.fail("made again"))
    assert Library(tmp_path / "styles", 10_000_000).thumbnail("one") == first
    monkeypatch.undo()
    (file,) = (tmp_path / "styles" / "one").glob("thumbnail-*")
    file.write_bytes(first[0][:100])
    assert library.thumbnail("one") == first


def test_alpha_stays_in_a_thumbnail_and_does_not_bleed(library):
    pixels = np.full((1200, 1200, 4), (0, 255, 0, 0), np.uint8)  # green where nothing is to be seen
    pixels[301:901, 301:901] = (*RED, 255)
    library.add(encode(Picture(pixels), "png"), "one", [], None)
    data, _ = library.thumbnail("one")
    small = decode(data)
    assert data.startswith(b"\x89PNG") and small.size == (256, 256)
    seen = small.pixels[..., 3] > 64
    assert np.abs(small.pixels[seen][:, :3].astype(int) - RED).max() <= 30
    assert small.pixels[128, 128, 3] == 255 and small.pixels[5, 5, 3] == 0
    opaque = np.full((20, 20, 4), 255, np.uint8)
    assert library.thumbnail(library.add(encode(Picture(opaque), "png"), "two", [], None).id)[0].startswith(b"\xff\xd8")


@pytest.mark.parametrize(("depth", "format"), [("uint16", "png"), ("float32", "tiff"), ("uint8", "webp")])
@pytest.mark.parametrize("size", [(3000, 2), (1, 700), (30, 20)])
def test_every_depth_and_shape_has_a_thumbnail(library, depth, format, size):
    picture = Picture.from_rgb(np.full((size[1], size[0], 3), 0.25, np.float32), depth)
    library.add(encode(picture, format), "one", [], None)
    small = decode(library.thumbnail("one")[0])
    assert max(small.size) == min(256, max(size)) and abs(int(small.pixels.mean()) - 64) <= 1


def test_a_gray_picture_has_a_thumbnail(library):
    library.add(encode(Picture(np.full((50, 70, 1), 99, np.uint8)), "png"), "one", [], None)
    assert decode(library.thumbnail("one")[0]).pixels.shape == (50, 70, 3)


# ------------------------------------------------------------------------------------------------------------ damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "style.json").write_text("{"),
        lambda folder: (folder / "style.json").write_text("[]"),
        lambda folder: (folder / "style.json").write_bytes(b"\xff\xfe\0"),
        lambda folder: (folder / "style.json").unlink(),
        lambda folder: (folder / "picture").unlink(),
        lambda folder: edit(folder, crop={"x": 50, "y": 0, "width": 11, "height": 1}),
        lambda folder: edit(folder, tags=["a,b"]),
        lambda folder: edit(folder, name=""),
        lambda folder: edit(folder, width=0),
    ],
)
def test_a_damaged_style_is_left_out(library, tmp_path, damage, caplog):
    library.add(halves(), "good", [], None)
    library.add(halves(), "bad", [], None)
    damage(tmp_path / "styles" / "bad")
    with caplog.at_level(logging.WARNING):
        assert own(library) == ["good"]
    assert "bad" in caplog.text
    refused("not-found", library.picture, "bad")
    assert library.add(halves(), "bad", [], None).id == "bad-2"


def edit(folder, **fields):
    path = folder / "style.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_picture_damaged_on_the_disk_is_said_to_be(library, tmp_path):
    library.add(halves(), "one", [], None)
    (tmp_path / "styles" / "one" / "picture").write_bytes(halves()[:-40])
    assert "one" in refused("bad-picture", library.thumbnail, "one")


def test_what_lies_about_is_no_style(library, tmp_path):
    (tmp_path / "styles" / "Notes").mkdir()
    (tmp_path / "styles" / "readme").write_text("hello")
    assert own(library) == []
    # the user's own, from before there was a bundled style of that name
    library.add(halves(), "one", [], None)
    (tmp_path / "styles" / "one").rename(tmp_path / "styles" / "night")
    assert [style.id for style in library.list()] == list(BUNDLED)


def test_what_was_left_half_done_is_cleared(library, tmp_path):
    folder = tmp_path / "styles"
    library.picture("night")
    (folder / ".half-done-1").mkdir()
    (folder / ".bundled-0.0.1" / "night").mkdir(parents=True)
    Library(folder, 10_000)
    assert [path.name for path in folder.iterdir()] == [library._drawn.name]


def test_a_write_that_fails_leaves_nothing(library, tmp_path, monkeypatch):
    first = library.add(halves(), "one", ["a"], None)

    def full(path, data, **_):
        if path.name == "style.json":
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    monkeypatch.setattr(module, "write_private", full)
    refused("disk-full", library.add, halves(), "two", [], None)
    refused("disk-full", library.change, "one", StyleChange(name="x"))
    assert library.list()[0] == first and own(library) == ["one"]
    assert [path.name for path in (tmp_path / "styles").iterdir()] == ["one"]


# ----------------------------------------------------------------------------------------------------------- bundled


def test_bundled_styles_are_there_without_being_drawn(library, drawn):
    styles = library.list()
    assert [style.id for style in styles] == list(BUNDLED) == [*PAINTINGS, *SWATCHES]
    assert all(style.is_bundled and style.tags and style.name for style in styles)
    assert [style.width for style in styles] == [768] * len(PAINTINGS) + [512] * len(SWATCHES)
    assert library.get("glass") == styles[4] and drawn == []


@pytest.mark.parametrize("id", SWATCHES)
def test_swatches_came_with_the_program(id, library, drawn):
    picture = decode(library.picture(id))
    assert picture.size == (library.get(id).width, library.get(id).height)
    assert picture.rgb().std() > 0.05 and decode(library.thumbnail(id)[0]).size == (256, 256)
    assert drawn == []


def test_a_bundled_style_is_drawn_once(library, drawn, tmp_path):
    data = library.picture("glass")
    assert decode(data).size == (768, 768) and decode(library.thumbnail("glass")[0]).size == (256, 256)
    assert Library(tmp_path / "styles", 10_000_000).picture("glass") == data
    assert drawn == ["glass"]


def test_two_requests_do_not_draw_twice(library, drawn):
    found = []
    threads = [threading.Thread(target=lambda: found.append(library.picture("night"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == ["night"] and len(found) == 4 and len(set(found)) == 1


def test_a_drawing_cut_short_is_drawn_again(library, drawn):
    data = library.picture("night")
    (library._drawn / "night" / "picture.png").write_bytes(data[:-9])
    assert library.picture("night") == data and drawn == ["night", "night"]


def test_prepare_draws_all_and_survives_a_failure(library, drawn, monkeypatch, caplog):
    library.prepare(lambda: True)
    assert drawn == []
    good = module.painting
    monkeypatch.setattr(module, "painting", lambda name, *size: 1 / 0 if name == "dabs" else good(name, *size))
    library.prepare()
    assert drawn == [name for name in PAINTINGS if name != "dabs"] and "dabs" in caplog.text
    monkeypatch.setattr(module, "painting", good)
    library.prepare()
    assert sorted(drawn) == sorted(PAINTINGS)


def test_bundled_styles_stay_as_they_are(library):
    assert "night" in refused("wrong-state", library.remove, "night")
    refused("wrong-state", library.change, "night", StyleChange(name="x"))


def test_threads_may_add_at_once(library, monkeypatch):
    free_id = library._free_id

    def slowly(name):
        id = free_id(name)
        time.sleep(0.005)
        return id

    monkeypatch.setattr(library, "_free_id", slowly)

    def add():
        for _ in range(5):
            library.list()
            library.add(halves(8, 8), "same", [], None)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(own(library))) == 20 == len(own(library))
    assert own(library)[-1] == "same"


def test_a_real_painting_is_drawn(tmp_path):
    library = Library(tmp_path, 10_000_000)
    assert decode(library.picture("woodcut")).pixels.std() > 40
