import io
import json
import threading
import tracemalloc

import numpy as np
import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from scumble.errors import ScumbleError
from scumble.picture import Picture, encode
from scumble.protocol import Rectangle
from scumble.service import intake as module
from scumble.service.intake import Intake, model_file, model_name, new_style, receive, refuse_path, whole
from scumble.service.library import Library
from scumble.service.settings import Limits
from scumble.service.store import Store

LIMITS = Limits(pixels=10_000, parts=8, form_bytes=5_000)


def png(width=12, height=8, value=128, channels=3, dtype=np.uint8):
    return encode(Picture(np.full((height, width, channels), value, dtype)), "png")


def half(width=12, height=8):
    pixels = np.zeros((height, width, 1), np.uint8)
    pixels[2:5, 3:9] = 255
    return encode(Picture(pixels), "png")


CONTENT, STYLE, MASK = png(), png(6, 6, 30), half()


class Desk:
    """An intake with a store and a library of its own."""

    def __init__(self, folder, limits=LIMITS):
        self.limits = limits
        self.store = Store(folder / "store", limits)
        self.library = Library(folder / "styles", limits.pixels)
        self.intake = Intake(self.library, limits, threading.Lock())

    def order(self, *parts, key=None, **named):
        """Parts are (name, value) or given by name: bytes are files, anything else fields."""
        with self.store.batch() as batch:
            order = self.intake.order(request(*parts, **named), batch, key)
            self.blobs = {given.digest: batch.blob(given.digest).read_bytes() for given in inputs(order)}
            self.left = self.incoming()
            return order

    def refused(self, *parts, **named):
        with pytest.raises(ScumbleError) as refused:
            self.order(*parts, **named)
        assert self.incoming() == [] == self.pictures()
        return refused.value

    def incoming(self):
        return list((self.store.folder / "incoming").iterdir())

    def pictures(self):
        return list((self.store.folder / "pictures").iterdir())

    def close(self):
        self.store.close()


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def request(*parts, **named):
    body = b""
    for name, value in (*parts, *named.items()):
        if value is None:
            continue
        file = '; filename="../../etc/passwd"' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
        body += f'--limit\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    return raw(body + b"--limit--\r\n")


def raw(body, content_type="multipart/form-data; boundary=limit"):
    builder = EnvironBuilder(method="POST", input_stream=io.BytesIO(body), content_type=content_type)
    builder.content_length = len(body)
    return Request(builder.get_environ())


def inputs(order):
    return {each.name: each for each in (order.content, *order.pictures)}.values()


def names(order):
    return [each.name for each in order.pictures]


# --------------------------------------------------------------------------------------------------------- completing


def test_one_style_is_the_least(desk):
    order = desk.order(content=CONTENT, style=STYLE, key="k")
    assert order.recipe.as_dict() == {"styles": [{"picture": "style"}]}
    assert (order.width, order.height, order.key, order.lease_s) == (12, 8, "k", None)
    assert order.bounds == Rectangle(x=0, y=0, width=12, height=8)
    assert names(order) == ["style"]
    assert desk.blobs[order.content.digest] == CONTENT
    assert desk.blobs[order.pictures[0].digest] == STYLE
    assert desk.left == []


def test_styles_that_nobody_lists_are_taken_in_order(desk):
    order = desk.order(("style", STYLE), ("content", CONTENT), ("style", png(5, 5, 1)), ("style", png(5, 5, 2)))
    assert [style.picture for style in order.recipe.styles] == ["style", "style-2", "style-3"]
    assert desk.blobs[order.pictures[2].digest] == png(5, 5, 2)


def test_a_mask_is_the_selection(desk):
    order = desk.order(content=CONTENT, style=STYLE, mask=MASK, recipe={"strength": 70})
    assert (order.recipe.selection, order.recipe.strength) == ("mask", 70)
    assert order.bounds == Rectangle(x=3, y=2, width=6, height=3)
    assert names(order) == ["style", "mask"]


def test_a_mask_that_a_region_names_is_not_the_selection_too(desk):
    recipe = {"styles": [{"picture": "style", "region": "r"}], "regions": [{"name": "r", "mask": "mask"}]}
    order = desk.order(content=CONTENT, style=STYLE, mask=MASK, recipe=recipe)
    assert order.recipe.selection is None


def test_the_recipe_may_be_a_file(desk):
    order = desk.order(content=CONTENT, style=STYLE, recipe=json.dumps({"strength": 30}).encode())
    assert order.recipe.strength == 30


def test_pictures_are_found_by_the_names_of_the_recipe(desk):
    recipe = {
        "styles": [{"picture": "night", "region": "sky", "part": "some"}],
        "regions": [{"name": "sky", "mask": "above"}],
        "selection": "chosen",
        "start": "picture",
        "start_picture": "earlier",
    }
    files = {"night": STYLE, "some": half(6, 6), "above": MASK, "chosen": MASK, "earlier": png(value=7)}
    order = desk.order(content=CONTENT, recipe=recipe, **files)
    assert {each.name: desk.blobs[each.digest] for each in order.pictures} == files
    assert order.recipe.as_dict() == recipe


def test_the_content_may_be_its_own_style(desk):
    order = desk.order(content=CONTENT, recipe={"styles": [{"picture": "content"}]})
    assert order.pictures == (order.content,)


def test_nothing_may_be_to_be_painted(desk):
    order = desk.order(content=CONTENT, style=STYLE, recipe={"styles": [{"picture": "style", "weight": 0}]})
    assert order.bounds is None


def test_a_lease(desk):
    assert desk.order(content=CONTENT, style=STYLE, lease_s="12.5").lease_s == 12.5
    for wrong in ("0", "-1", "soon", "nan", "inf", "1e9", ""):
        with pytest.raises(ScumbleError) as refused:
            desk.order(content=CONTENT, style=STYLE, lease_s=wrong)
        assert (refused.value.code, refused.value.detail[:8]) == ("bad-request", "lease_s:")


# ------------------------------------------------------------------------------------------------------------ library


def test_a_style_of_the_library_needs_no_pixels(desk):
    crop = Rectangle(x=1, y=1, width=3, height=2)
    data = png(9, 9, 77)
    kept = desk.library.add(data, "Mine", [], crop)
    order = desk.order(content=CONTENT, recipe={"styles": [{"picture": kept.picture}]})
    assert order.pictures[0].name == kept.picture
    assert order.pictures[0].crop == crop
    assert desk.blobs[order.pictures[0].digest] == data


def test_the_crop_is_what_is_checked(desk):
    pixels = np.zeros((9, 9, 4), np.uint8)
    pixels[:4] = 255
    seen, unseen = (Rectangle(x=0, y=y, width=9, height=3) for y in (0, 5))
    for crop, code in ((seen, None), (unseen, "empty-mask")):
        kept = desk.library.add(encode(Picture(pixels), "png"), "Mine", [], crop)
        recipe = {"styles": [{"picture": kept.picture}]}
        if code is None:
            desk.order(content=CONTENT, recipe=recipe)
        else:
            with pytest.raises(ScumbleError) as refused:
                desk.order(content=CONTENT, recipe=recipe)
            assert refused.value.code == code


def test_a_style_that_the_library_does_not_have(desk):
    error = desk.refused(content=CONTENT, recipe={"styles": [{"picture": "library:../../x"}]})
    assert error.code == "missing-picture"
    assert "'library:../../x'" in error.detail


# ----------------------------------------------------------------------------------------------------------- refusals


def test_a_part_that_is_not_named_is_refused_with_what_was_meant(desk):
    recipe = {"styles": [{"picture": "night"}]}
    error = desk.refused(content=CONTENT, nigth=STYLE, recipe=recipe)
    assert (error.code, error.hint) == ("bad-request", "Did you mean 'night'?")
    assert "'nigth'" in error.detail
    error = desk.refused(content=CONTENT, night=STYLE, other=STYLE, recipe=recipe)
    assert error.hint == "It names: night."
    assert desk.refused(content=CONTENT, night=STYLE, style=STYLE, recipe=recipe).code == "bad-request"
    assert (
        "'mask'"
        in desk.refused(content=CONTENT, night=STYLE, mask=MASK, sel=MASK, recipe=recipe | {"selection": "sel"}).detail
    )


@pytest.mark.parametrize("name", ["content", "mask", "style-2"])
def test_the_same_name_twice_is_refused(desk, name):
    parts = [("style", STYLE), ("content", CONTENT), ("style-2", STYLE), ("mask", MASK), (name, STYLE)]
    assert f"'{name}'" in desk.refused(*parts).detail


def test_two_recipes_are_refused(desk):
    for recipes in ([{}, {}], [{"seed": 1}, b"{}"], [b"{}", b"{}"]):
        parts = [("recipe", each) for each in recipes]
        error = desk.refused(*parts, content=CONTENT, style=STYLE)
        assert (error.code, "recipe" in error.detail) == ("bad-request", True)


def test_what_is_missing_is_named(desk):
    assert desk.refused(style=STYLE).code == "missing-picture"
    error = desk.refused(content=CONTENT, recipe={"styles": [{"picture": "night"}]})
    assert (error.code, "'night'" in error.detail) == ("missing-picture", True)
    error = desk.refused(content=CONTENT)
    assert (error.code, "no style" in error.detail) == ("missing-picture", True)


def test_an_empty_content_is_refused(desk):
    error = desk.refused(content=b"", style=STYLE)
    assert (error.code, error.detail) == ("bad-picture", "content cannot be read: it is empty.")


def test_a_picture_that_is_a_field_is_refused_with_a_hint(desk):
    error = desk.refused(content="text", style=STYLE)
    assert (error.code, "as files" in error.hint) == ("bad-request", True)


def test_a_field_that_is_unknown_is_refused(desk):
    error = desk.refused(content=CONTENT, style=STYLE, lease="3")
    assert (error.code, error.detail) == ("bad-request", "lease: there is no such field.")


@pytest.mark.parametrize(
    ("recipe", "detail"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"strength": NaN}', "not JSON"),
        ('{"strength": 1e999}', "not JSON"),
        ('{"strength": 101}', "strength"),
        ('{"preset": "\\ud800"}', "surrogate"),
        ("[" * 4000, "nested"),
    ],
)
def test_a_bad_recipe_is_refused(desk, recipe, detail):
    error = desk.refused(content=CONTENT, style=STYLE, recipe=recipe)
    assert detail in error.detail
    assert error.code == "bad-recipe"


@pytest.mark.parametrize("features", ["/etc/passwd", "vgg.pth", "a\\b", "..", "~x", "C:x", "a\n"])
def test_a_client_does_not_choose_which_file_is_opened(desk, features):
    error = desk.refused(content=CONTENT, style=STYLE, recipe={"features": features})
    assert (error.code, "scumble weights use" in error.hint) == ("bad-recipe", True)


def test_names_of_features_are_no_files():
    for name in ("auto", "vgg19-caffe", "seeded-vgg11", None):
        refuse_path(name)


def test_what_cannot_be_painted_is_refused(desk):
    assert desk.refused(content=CONTENT, style=STYLE, mask=png(3, 3)).code == "bad-mask"
    assert desk.refused(content=CONTENT, style=STYLE, mask=png(value=0)).code == "empty-mask"
    error = desk.refused(content=CONTENT, style=b"nonsense")
    assert (error.code, error.detail[:5]) == ("bad-picture", "style")
    assert desk.refused(content=CONTENT, style=png(101, 100)).code == "picture-too-large"


# ------------------------------------------------------------------------------------------------------------- limits


def test_other_bodies_are_refused(desk):
    for content_type in (
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=limit",
        "",
    ):
        with desk.store.batch() as batch, pytest.raises(ScumbleError) as refused:
            receive(raw(b"{}", content_type), batch, LIMITS)
        assert refused.value.code == "unsupported-media"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"--limit\r\n",
        b'--limit\r\nContent-Disposition: form-data; name="content"; filename="x"\r\n\r\nhalf of',
        b"--limit\r\nContent-Disposition: form-data\r\n\r\nx\r\n--limit--\r\n",
        b'--limit\r\nContent-Disposition: form-data; name=""\r\n\r\nx\r\n--limit--\r\n',
    ],
)
def test_a_damaged_body_is_refused(desk, body):
    with pytest.raises(ScumbleError) as refused, desk.store.batch() as batch:
        desk.intake.order(raw(body), batch, None)
    assert refused.value.code in {"bad-request", "missing-picture"}
    assert desk.incoming() == []


def test_a_body_without_a_boundary_is_refused(desk):
    with pytest.raises(ScumbleError) as refused, desk.store.batch() as batch:
        receive(raw(b"--limit--", "multipart/form-data"), batch, LIMITS)
    assert refused.value.code == "bad-request"


def test_too_many_parts_are_refused(desk):
    error = desk.refused(*[("style", STYLE)] * 9)
    assert (error.code, "8 parts" in error.detail) == ("request-too-large", True)


def test_too_long_fields_are_refused(desk):
    error = desk.refused(content=CONTENT, style=STYLE, recipe=json.dumps({"preset": "x" * 5_000}))
    assert (error.code, "5000 bytes" in error.detail) == ("request-too-large", True)
    error = desk.refused(content=CONTENT, style=STYLE, recipe=json.dumps({"preset": "x" * 5_000}).encode())
    assert error.code == "request-too-large"
    assert desk.refused(content="x" * 600_000, style=STYLE).code == "request-too-large"


def test_a_bomb_is_found_by_its_header(tmp_path):
    """40 000 × 40 000 pixels in a few bytes, and then in a file that is long itself."""
    desk = Desk(tmp_path, Limits())
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (40_000, 40_000, 3)})
    for length in (0, 2 * module._LARGE_BYTES):
        incoming = request(content=header.getvalue() + bytes(length), style=STYLE)
        with desk.store.batch() as batch, pytest.raises(ScumbleError) as refused:
            tracemalloc.start()
            try:
                desk.intake.order(incoming, batch, None)
            finally:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
        assert refused.value.code == "picture-too-large"
        assert "40000 × 40000" in refused.value.detail
        assert peak < 20e6
    desk.close()


def test_a_large_file_whose_beginning_says_nothing_is_read(desk, monkeypatch):
    monkeypatch.setattr(module, "_LARGE_BYTES", 10)
    monkeypatch.setattr(module, "_HEAD_BYTES", 20)
    assert desk.order(content=CONTENT, style=STYLE).width == 12


def test_pictures_are_decoded_for_one_request_at_a_time(desk, monkeypatch):
    inside, most = 0, 0
    decode, lock = module.decode, threading.Lock()

    def counted(*args, **options):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        try:
            return decode(*args, **options)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(module, "decode", counted)
    threads = [threading.Thread(target=desk.order, kwargs={"content": CONTENT, "style": STYLE}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


# ---------------------------------------------------------------------------------------------------------- new styles


def style(desk, *parts, **named):
    with desk.store.batch() as batch:
        return new_style(request(*parts, **named), batch, LIMITS)


def test_a_new_style(desk):
    crop = {"x": 1, "y": 2, "width": 3, "height": 4}
    data, about = style(desk, ("tags", "a, b"), ("tags", "c,,"), picture=STYLE, name="Näme", crop=crop)
    assert data == STYLE
    assert (about.name, about.tags, about.crop) == ("Näme", ["a", "b", "c"], Rectangle(**crop))
    _, about = style(desk, picture=STYLE, name="N")
    assert (about.tags, about.crop) == ([], None)


@pytest.mark.parametrize(
    ("parts", "code", "word"),
    [
        ({"picture": STYLE}, "bad-request", "name"),
        ({"name": "N"}, "missing-picture", "picture"),
        ({"picture": "text", "name": "N"}, "bad-request", "picture"),
        ({"picture": STYLE, "name": ""}, "bad-request", "name"),
        ({"picture": STYLE, "name": "N", "crop": "[1]"}, "bad-request", "crop"),
        ({"picture": STYLE, "name": "N", "crop": {"x": -1, "y": 0, "width": 1, "height": 1}}, "bad-request", "crop.x"),
        ({"picture": STYLE, "name": "N", "tags": "x" * 41}, "bad-request", "tags[0]"),
        ({"picture": STYLE, "other": STYLE, "name": "N"}, "bad-request", "other"),
        ({"picture": STYLE, "name": "N", "colour": "red"}, "bad-request", "colour"),
    ],
)
def test_a_bad_style_is_refused_by_the_name_of_its_field(desk, parts, code, word):
    with pytest.raises(ScumbleError) as refused:
        style(desk, **parts)
    assert (refused.value.code, word in refused.value.detail) == (code, True)


# ------------------------------------------------------------------------------------------------------------ models


def test_a_model_comes_as_a_file_and_not_more_of_it_than_a_model_can_be(desk, monkeypatch):
    monkeypatch.setattr(module.models, "LARGEST", 1000)
    with desk.store.batch() as batch:
        assert whole(model_file(raw(b"x" * 1000, "application/octet-stream"), batch)) == b"x" * 1000
        for code, sent in (
            ("request-too-large", raw(b"x" * 1001, "application/octet-stream")),
            ("unsupported-media", raw(b"x", "application/json")),
        ):
            with pytest.raises(ScumbleError) as refused:
                model_file(sent, batch)
            assert refused.value.code == code
    assert desk.incoming() == [] == desk.pictures()


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("night", "night"),
        ("Dunes: evening", "Dunes- evening"),
        ("../..", "style"),
        ("夜", "style"),
        ("n" * 300, "n" * 80),
    ],
)
def test_a_model_is_called_as_its_style_as_far_as_that_can_be(label, name):
    assert model_name(label) == name
    assert module.models.NAME.fullmatch(name)
