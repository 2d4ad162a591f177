"""The daemon as its clients meet it: a real server on a real port, asked by `curl`, by a plug-in's few lines of
standard library, and by Scumble's own client.

The plug-in's client (`Daemon.ask`, `form` and the `.npy` below) knows nothing of Scumble but the protocol; what
pictures hold is looked at with libraries of their own.
"""

import io
import json
import re
import shutil
import signal
import stat
import struct
import subprocess
import threading
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from daemons import (
    CONTENT,
    PATIENCE_S,
    QUICK,
    STYLE,
    form,
    mask_file,
    picture_file,
    pixels,
    running,
    soft_mask,
    unborn,
)
from made_models import model
from PIL import Image

from scumble.client import Client
from scumble.errors import ScumbleError
from scumble.picture import decode
from scumble.protocol import State
from scumble.recipe import PRESETS, Recipe

curl = shutil.which("curl")
needs_curl = pytest.mark.skipif(curl is None, reason="curl is not installed")
LONG = {"size": 64, "scales": 1, "iterations": [100_000]}
"""Fields of a recipe for a job that goes on until it is stopped."""
OUTPUTS = ("picture", "layer", "unmasked")


@pytest.fixture(scope="module")
def description(daemon):
    return daemon.ask("GET", "/v1/openapi.json").json


@pytest.fixture(scope="module")
def done(daemon):
    """A job that has ended; nobody changes it."""
    job = daemon.submit(None, None, ("mask", mask_file(soft_mask()), "m"))
    return daemon.wait(job["id"])


@pytest.fixture
def long_job(daemon):
    """A job that is being painted, until the test has ended."""
    job = daemon.submit(**LONG)
    yield daemon.wait(job["id"], lambda job: job["iteration"] > 0)
    daemon.ask("DELETE", f"/v1/jobs/{job['id']}")


# ----------------------------------------------------------------------------------------- a plug-in's arrays and files


def npy(values, code):
    """A .npy file as a plug-in writes it: a header and the plane."""
    height, width, channels = values.shape
    head = f"{{'descr': '{code}', 'fortran_order': False, 'shape': ({height}, {width}, {channels}), }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + values.tobytes()


def from_npy(data):
    """The plane of a .npy file, by hand."""
    assert data[:8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack_from("<H", data, 8)
    head = data[10 : 10 + length].decode()
    code = re.search(r"'descr': '([^']+)'", head)[1]
    assert "'fortran_order': False" in head
    shape = tuple(int(side) for side in re.search(r"'shape': \(([^)]+)\)", head)[1].split(",") if side.strip())
    return np.frombuffer(data, code, offset=10 + length).reshape(shape)


def from_png(data):
    values = imagecodecs.png_decode(data)
    return values if values.ndim == 3 else values[..., None]


def coloured(values):
    """A picture as its result is: gray has become RGB."""
    if values.shape[2] in (1, 2):
        values = np.concatenate([np.repeat(values[..., :1], 3, axis=2), values[..., 1:]], axis=2)
    return values


# ------------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("code", ["|u1", "<u2", "<f4"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_are_painted_inside_the_mask_alone(daemon, code, channels):
    depth = {"|u1": "uint8", "<u2": "uint16", "<f4": "float32"}[code]
    values = pixels(channels=channels, depth=depth)
    mask = soft_mask()
    parts = (
        ("recipe", json.dumps(QUICK)),
        ("content", npy(values, code), "content.npy"),
        ("mask", npy(mask[..., None], "|u1"), "mask.npy"),
        ("style", npy(pixels(seed=3, depth=depth), code), "style.npy"),
    )
    job = daemon.post(*parts)
    assert job.status == 202, job.body
    result = from_npy(daemon.result(job.json["id"], "application/x-npy"))
    truth = coloured(values)
    assert result.dtype == truth.dtype
    assert result.shape == truth.shape
    outside = mask == 0
    assert 0.3 < outside.mean() < 0.9
    assert result[outside].tobytes() == truth[outside].tobytes()
    changed = (result[..., :3] != truth[..., :3]).any(axis=2)
    assert changed[mask == 255].mean() > 0.9
    assert changed[(mask > 40) & (mask < 255)].mean() > 0.5  # the edge is soft: it is painted too
    if channels == 4:
        assert (result[..., 3] == truth[..., 3]).all()
    # the softer, the less
    full = 1 if depth == "float32" else np.iinfo(depth).max
    change = np.abs(result[..., :3].astype(float) - truth[..., :3]).mean(axis=2) / full
    assert change[(mask > 0) & (mask < 60)].mean() < 0.5 * change[mask == 255].mean()


def test_16_bits_in_a_png_stay(daemon):
    values = pixels(depth="uint16", channels=4)
    mask = soft_mask()
    content = imagecodecs.png_encode(values)
    job = daemon.submit(bytes(content), None, ("mask", mask_file(mask), "m"))
    data = daemon.result(job["id"])
    result = from_png(data)
    assert result.dtype == np.uint16
    assert (result[mask == 0] == values[mask == 0]).all()
    assert (result[..., 3] == values[..., 3]).all()
    assert (result[mask == 255] != values[mask == 255]).any()


def test_float32_in_a_tiff_stays(daemon):
    values = pixels(depth="float32") * np.float32(1.5) - np.float32(0.2)  # outside 0 to 1 as well
    mask = soft_mask()
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb")
    job = daemon.submit(file.getvalue(), None, ("mask", mask_file(mask), "m"))
    result = tifffile.imread(io.BytesIO(daemon.result(job["id"], "image/tiff")))
    assert result.dtype == np.float32
    assert (result[mask == 0] == values[mask == 0]).all()
    assert (result[mask == 255] != values[mask == 255]).any()


def pillow_file(format, channels=3, **how):
    image = Image.fromarray(pixels(channels=channels))
    file = io.BytesIO()
    image.save(file, format, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "channels", "how"),
    [
        ("PNG", 3, {}),
        ("PNG", 4, {}),
        ("JPEG", 3, {"quality": 95}),
        ("WEBP", 3, {"lossless": True}),
        ("WEBP", 4, {"lossless": True, "exact": True}),
        ("TIFF", 3, {"compression": "tiff_lzw"}),
        ("TIFF", 4, {}),
    ],
)
def test_files_of_other_programs(daemon, format, channels, how):
    profile = Image.open(io.BytesIO(picture_file())).info.get("icc_profile") or imagecodecs.cms_profile("adobergb")
    data = pillow_file(format, channels, icc_profile=bytes(profile), **how)
    truth = np.asarray(Image.open(io.BytesIO(data)))
    mask = soft_mask()
    job = daemon.submit(data, None, ("mask", mask_file(mask), "m"))
    with Image.open(io.BytesIO(daemon.result(job["id"]))) as image:
        result = np.asarray(image)
        assert image.info["icc_profile"] == bytes(profile)
    assert result.shape == truth.shape
    assert (result[mask == 0] == truth[mask == 0]).all()
    assert (result[mask == 255] != truth[mask == 255]).any()
    if channels == 4:
        assert (result[..., 3] == truth[..., 3]).all()


def test_two_styles_in_two_regions(daemon):
    flat = {"red": (230, 20, 20), "blue": (20, 20, 230)}
    styles = {}
    for name, colour in flat.items():
        grain = np.random.default_rng(1).normal(0, 6, (48, 48, 1))
        styles[name] = bytes(imagecodecs.png_encode(np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)))
    left = np.zeros((48, 64), np.uint8)
    left[:, :28] = 255
    right = np.zeros((48, 64), np.uint8)
    right[:, 36:] = 255
    recipe = {
        **QUICK,
        "iterations": [8],
        "strength": 100,
        "styles": [{"picture": "red", "region": "west"}, {"picture": "blue", "region": "east"}],
        "regions": [{"name": "west", "mask": "left half"}, {"name": "east", "mask": "right half"}],
    }
    answer = daemon.post(
        ("recipe", json.dumps(recipe)),
        ("content", CONTENT, "c"),
        ("red", styles["red"], "1"),
        ("blue", styles["blue"], "2"),
        ("left half", mask_file(left), "3"),
        ("right half", mask_file(right), "4"),
    )
    assert answer.status == 202, answer.body
    result = from_png(daemon.result(answer.json["id"])).astype(float)
    content = from_png(CONTENT)
    between = (left == 0) & (right == 0)
    assert (result[between] == content[between]).all()
    redder = (result - content)[..., 0] - (result - content)[..., 2]
    assert redder[left == 255].mean() > redder[right == 255].mean() + 5


def test_several_styles_without_a_recipe(daemon):
    answer = daemon.post(
        ("content", CONTENT, "c"), ("style", STYLE, "1"), ("style", picture_file(seed=4), "2"), ("lease_s", "30")
    )
    assert answer.status == 202, answer.body
    job = answer.json
    assert [style["picture"] for style in job["recipe"]["styles"]] == ["style", "style-2"]
    assert job["lease_s"] == 30
    assert daemon.ask("DELETE", f"/v1/jobs/{job['id']}").status == 204


def test_a_style_of_the_library(tmp_path):
    recipe = {**QUICK, "styles": [{"picture": "library:night"}]}
    with running(tmp_path / "daemon", draws=True) as daemon:
        answer = daemon.post(("recipe", json.dumps(recipe)), ("content", CONTENT, "c"))
        assert answer.status == 202, answer.body
        assert (from_png(daemon.result(answer.json["id"])) != from_png(CONTENT)).mean() > 0.5
        assert Image.open(io.BytesIO(daemon.ask("GET", "/v1/styles/night/picture").body)).size == (768, 768)


# ------------------------------------------------------------------------------------------------- results and previews


def test_a_result_comes_in_the_form_that_is_accepted(daemon, done):
    path = f"/v1/jobs/{done['id']}/result"
    plain = daemon.ask("GET", path)
    assert plain.header("content-type") == "image/png"
    assert plain.header("vary") == "Accept"
    truth = from_png(plain.body)
    for media, magic in (
        ("image/png", b"\x89PNG"),
        ("image/tiff", b"II"),
        ("image/webp", b"RIFF"),
        ("image/jpeg", b"\xff\xd8"),
        ("application/x-npy", b"\x93NUMPY"),
    ):
        answer = daemon.ask("GET", path, headers={"Accept": media})
        assert answer.status == 200
        assert answer.header("content-type") == media
        assert answer.body.startswith(magic)
        assert int(answer.header("content-length")) == len(answer.body)
        if media == "application/x-npy":
            values = from_npy(answer.body)
        elif media == "image/tiff":
            values = tifffile.imread(io.BytesIO(answer.body))
        else:
            values = np.asarray(Image.open(io.BytesIO(answer.body)))
        assert np.abs(values.astype(int) - truth).max() <= (40 if media == "image/jpeg" else 0)
    for accept, media in (
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("text/html, image/webp;q=0.9, */*;q=0.1", "image/webp"),
        ("image/png;q=0, image/tiff", "image/tiff"),
    ):
        assert daemon.ask("GET", path, headers={"Accept": accept}).header("content-type") == media
    for accept in ("text/html", "image/gif", "image/png;q=0"):
        answer = daemon.ask("GET", path, headers={"Accept": accept})
        assert (answer.status, answer.code) == (406, "not-acceptable")


def test_a_result_that_is_there_already_is_not_sent_again(daemon, done):
    path = f"/v1/jobs/{done['id']}/result"
    tags = {}
    for media in ("image/png", "image/webp"):
        answer = daemon.ask("GET", path, headers={"Accept": media})
        tag = tags[media] = answer.header("etag")
        again = daemon.ask("GET", path, headers={"Accept": media, "If-None-Match": tag})
        assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
        assert daemon.ask("GET", path, headers={"Accept": media, "If-None-Match": '"other"'}).status == 200
        head = daemon.ask("HEAD", path, headers={"Accept": media})
        assert (head.status, head.header("content-length")) == (200, str(len(answer.body)))
    assert tags["image/png"] != tags["image/webp"]


def test_a_preview_is_a_small_jpeg(daemon):
    content = picture_file("jpeg", width=900, height=300)
    job = daemon.submit(content, None, **{**QUICK, "size": 640, "iterations": [1]})
    job = daemon.wait(job["id"])
    assert job["preview"] > 0
    answer = daemon.ask("GET", f"/v1/jobs/{job['id']}/preview")
    assert answer.header("content-type") == "image/jpeg"
    with Image.open(io.BytesIO(answer.body)) as image:
        assert image.format == "JPEG"
        assert max(image.size) == 512
        shown = job["preview_bounds"]
        assert abs(image.width / image.height - shown["width"] / shown["height"]) < 0.05
    again = daemon.ask("GET", f"/v1/jobs/{job['id']}/preview", headers={"If-None-Match": answer.header("etag")})
    assert (again.status, again.body) == (304, b"")


def test_a_result_carries_its_recipe(daemon, done, tmp_path):
    data = daemon.ask("GET", f"/v1/jobs/{done['id']}/result").body
    text = Image.open(io.BytesIO(data)).text
    recipe = json.loads(text["scumble:recipe"])
    assert recipe["iterations"] == [2]
    assert recipe["selection"] == "mask"
    assert text["scumble:features"] == done["features"]
    # and the command line paints by it
    for name, file in (("result.png", data), ("content", CONTENT), ("style", STYLE), ("mask", mask_file(soft_mask()))):
        (tmp_path / name).write_bytes(file)
    again = daemon.folder / "again.png"
    daemon.scumble(
        "paint", tmp_path / "content", "--recipe", tmp_path / "result.png", "--daemon", "-o", again, env={"PWD": ""}
    )
    difference = np.abs(from_png(again.read_bytes()).astype(int) - from_png(data))
    assert difference.max() <= 2
    again.unlink()


# --------------------------------------------------------------------------------------------------------- a job's life


def test_a_long_poll_wakes_at_a_change(daemon, long_job):
    after = long_job["seq"]
    for _ in range(3):
        began = time.monotonic()
        job = daemon.ask("GET", f"/v1/jobs/{long_job['id']}?after={after}&wait=30").json
        assert job["seq"] != after
        assert time.monotonic() - began < 15
        after = job["seq"]
    # nothing new about a job that waits: it is answered in time
    waiting = daemon.submit()
    began = time.monotonic()
    job = daemon.ask("GET", f"/v1/jobs/{waiting['id']}?after={waiting['seq']}&wait=0.5").json
    assert (job["state"], job["position"]) == ("queued", 0)
    assert 0.4 < time.monotonic() - began < 10
    # and its end wakes those who wait
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(
            daemon.ask("GET", f"/v1/jobs/{waiting['id']}?after={waiting['seq']}&wait=60").json
        )
    )
    asking.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert daemon.ask("POST", f"/v1/jobs/{waiting['id']}/stop").json["state"] == "stopped"
    asking.join(30)
    assert answers[0]["state"] == "stopped"
    assert time.monotonic() - began < 15
    # an ended job is told at once
    began = time.monotonic()
    daemon.ask("GET", f"/v1/jobs/{waiting['id']}?after={answers[0]['seq']}&wait=60")
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("keep", [True, False])
def test_stopping(daemon, long_job, keep):
    answer = daemon.ask("POST", f"/v1/jobs/{long_job['id']}/stop", {"keep": keep})
    assert answer.status == 200
    job = daemon.wait(long_job["id"])
    assert job["has_result"] is keep
    assert job["state"] == "stopped"
    assert job["iteration"] < 100_000
    result = daemon.ask("GET", f"/v1/jobs/{long_job['id']}/result")
    if keep:
        assert from_png(result.body).shape == from_png(CONTENT).shape
    else:
        assert (result.status, result.code) == (409, "wrong-state")
    # stopping twice is harmless
    assert daemon.ask("POST", f"/v1/jobs/{long_job['id']}/stop", {"keep": keep}).json["state"] == job["state"]


def test_going_on_from_a_result(daemon, done):
    answer = daemon.ask("POST", f"/v1/jobs/{done['id']}/continue", {"iterations": 3, "changes": {"strength": 90}})
    assert answer.status == 202, answer.body
    assert answer.header("location") == f"/v1/jobs/{answer.json['id']}"
    job = daemon.wait(answer.json["id"])
    assert (job["continues"], job["iterations"], job["recipe"]["strength"]) == (done["id"], 3, 90)
    first = from_png(daemon.ask("GET", f"/v1/jobs/{done['id']}/result").body)
    second = from_png(daemon.result(job["id"]))
    mask = soft_mask()
    assert (second[mask == 0] == from_png(CONTENT)[mask == 0]).all()
    assert (second[mask == 255] != first[mask == 255]).any()


def test_a_layer_and_its_mask(daemon, long_job):
    """What a host needs that keeps the painting, the mask and the content apart; the mask before anything is painted"""
    content, mask = from_png(CONTENT).astype(int), ("mask", mask_file(soft_mask()), "m")
    jobs = {each: daemon.submit(None, None, mask, **QUICK, feather_px=5, output=each)["id"] for each in OUTPUTS}
    shown = from_png(daemon.ask("GET", f"/v1/jobs/{jobs['unmasked']}/mask").body)
    assert daemon.job(jobs["unmasked"])["state"] == "queued"
    daemon.ask("POST", f"/v1/jobs/{long_job['id']}/stop")
    picture, layer, unmasked = (from_png(daemon.result(id)).astype(int) for id in jobs.values())
    assert shown.dtype == np.uint8
    assert shown.shape == (*content.shape[:2], 1)
    assert (shown[soft_mask() == 0] == 0).all()
    assert len(np.unique(shown)) > 10
    assert (layer[..., 3:] == shown).all()
    assert (layer[..., :3] == unmasked).all()
    assert (unmasked[soft_mask() == 0] == content[soft_mask() == 0]).all()
    assert np.abs(content + shown / 255 * (unmasked - content) - picture).max() < 1.53
    assert np.abs(picture - content).max() > 20
    for media, values in (
        ("application/x-npy", from_npy),
        ("image/tiff", lambda data: tifffile.imread(io.BytesIO(data))),
    ):
        answer = daemon.ask("GET", f"/v1/jobs/{jobs['layer']}/mask", headers={"Accept": media})
        assert (values(answer.body).reshape(shown.shape) == shown).all()
    more = daemon.ask("POST", f"/v1/jobs/{jobs['layer']}/continue", {"iterations": 1}).json
    assert from_png(daemon.result(more["id"])).shape[2] == 4
    maps = Path(f"/proc/{daemon.pid}/maps")
    assert not maps.exists() or "torch" not in maps.read_text()


def test_the_queue_can_be_moved(daemon, long_job):
    jobs = [daemon.submit()["id"] for _ in range(3)]
    assert [daemon.job(id)["position"] for id in jobs] == [0, 1, 2]
    moved = daemon.ask("POST", f"/v1/jobs/{jobs[2]}/move", {"position": 0})
    assert (moved.status, moved.json["position"]) == (200, 0)
    assert [daemon.job(id)["position"] for id in jobs] == [1, 2, 0]
    answer = daemon.ask("POST", f"/v1/jobs/{long_job['id']}/move", {"position": 0})
    assert (answer.status, answer.code) == (409, "wrong-state")
    listed = daemon.ask("GET", "/v1/jobs?state=queued").json["jobs"]
    assert [job["id"] for job in listed] == jobs[::-1]
    daemon.ask("POST", f"/v1/jobs/{long_job['id']}/stop")
    for id in jobs:
        assert daemon.result(id)


def test_forgetting(daemon, long_job):
    for job in (long_job, daemon.submit()):
        path = f"/v1/jobs/{job['id']}"
        answer = daemon.ask("DELETE", path)
        assert (answer.status, answer.body) == (204, b"")
        for method, what in (("GET", ""), ("GET", "/result"), ("GET", "/preview"), ("POST", "/stop"), ("DELETE", "")):
            answer = daemon.ask(method, path + what)
            assert (answer.status, answer.code) == (404, "not-found")


def test_a_repeat_with_the_same_key_is_the_same_job(daemon):
    parts = ("recipe", json.dumps(QUICK)), ("content", CONTENT, "c"), ("style", STYLE, "s")
    first = daemon.post(*parts, headers={"Idempotency-Key": "a key, 1"})
    assert first.header("idempotency-replayed") is None
    again = daemon.post(*parts, headers={"Idempotency-Key": "a key, 1"})
    assert (again.status, again.header("idempotency-replayed")) == (202, "true")
    assert again.json["id"] == first.json["id"]
    assert again.header("location") == first.header("location")
    assert daemon.post(*parts).json["id"] != first.json["id"]
    other = daemon.post(parts[0], ("content", STYLE, "c"), parts[2], headers={"Idempotency-Key": "a key, 1"})
    assert (other.status, other.code) == (409, "key-reused")


def test_a_lease_that_nobody_renews_ends_the_job(daemon):
    asked = daemon.submit(None, None, ("lease_s", "1.5"), **LONG)
    daemon.wait(asked["id"], lambda job: job["state"] == "running")
    forgotten = daemon.submit(None, None, ("lease_s", "1.5"), **LONG)
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        assert daemon.job(asked["id"])["state"] == "running"
        time.sleep(0.2)
    listed = {job["id"]: job for job in daemon.ask("GET", "/v1/jobs").json["jobs"]}
    assert listed[forgotten["id"]]["state"] == "stopped"
    assert "Nobody asked" in " ".join(listed[forgotten["id"]]["warnings"])
    daemon.ask("DELETE", f"/v1/jobs/{asked['id']}")


def test_an_estimate_comes_true(daemon, done):
    recipe = {**QUICK, "iterations": [12]}
    # the first of its kind is learned from
    learned = [daemon.wait(daemon.submit(**recipe)["id"]) for _ in range(2)]
    shape = {"recipe": learned[-1]["recipe"], "width": 64, "height": 48}
    answer = daemon.ask("POST", "/v1/estimate", shape)
    assert answer.status == 200, answer.body
    cost = answer.json
    assert cost["is_measured"] is True
    assert (cost["iterations"], cost["scales"]) == (12, 1)
    assert (cost["width"], cost["height"]) == (64, 48)
    assert cost["memory_mb"] > 1
    later = [daemon.wait(daemon.submit(**recipe)["id"]) for _ in range(2)]
    # the machine may have become busier, or less so, since what it was learned from
    true = [job["seconds"] for job in learned + later]
    assert min(true) / 3 < cost["seconds"] < 3 * max(true), true


def test_every_preset_is_good_as_it_is(daemon):
    presets = daemon.ask("GET", "/v1/presets").json["presets"]
    assert {preset["name"] for preset in presets} == set(PRESETS)
    for preset in presets:
        assert preset["description"]
        recipe = preset["recipe"]
        answer = daemon.ask("POST", "/v1/estimate", {"recipe": recipe, "width": 64, "height": 48})
        if answer.status != 200:  # weights that are not on this machine
            assert answer.code == "missing-weights", (preset["name"], answer.body)
            continue
        quick = {**recipe, **QUICK}
        answer = daemon.post(("recipe", json.dumps(quick)), ("content", CONTENT, "c"), ("style", STYLE, "s"))
        assert answer.status == 202, answer.body
        assert daemon.wait(answer.json["id"])["state"] == "done"


# ------------------------------------------------------------------------------------------------------ the description


def resolved(schema, components):
    """A schema with its references followed, as far as the top."""
    return components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def conforms(description, method, path, answer):
    """Whether the description knows that answer: status, media type and the names of its fields."""
    template = next(
        template
        for template in description["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")), path)
    )
    response = description["paths"][template][method.lower()]["responses"].get(str(answer.status))
    assert response is not None, (method, template, answer.status)
    media = (answer.header("content-type") or "").partition(";")[0]
    content = response.get("content", {})
    assert (media in content) if answer.body else True, (method, template, answer.status, media)
    if answer.body and media.endswith("json"):
        schema = resolved(content[media]["schema"], description["components"]["schemas"])
        assert set(schema.get("required", ())) <= set(answer.json)
        if "properties" in schema:
            assert set(answer.json) <= set(schema["properties"])


def test_every_call_of_the_description(daemon, description):
    """One round through all of them, each once as it is meant to be used."""
    seen = set()

    def ask(method, path, body=None, headers=None, status=200):
        answer = daemon.ask(method, path, body, headers)
        assert answer.status == status, (method, path, answer.body[:300])
        assert answer.header("cache-control") is not None
        assert answer.header("x-content-type-options") == "nosniff"
        conforms(description, method, path.partition("?")[0], answer)
        plain = re.sub(r"^(/v1/models)/[^/]+", r"\1/{name}", path.partition("?")[0])
        seen.add((method, re.sub(r"^(/v1/(?!models)\w+)/[^/]+", r"\1/{id}", plain)))
        return answer

    for path in ("/", "/v1/health", "/v1/openapi.json", "/v1/presets", "/v1/jobs", "/v1/styles"):
        ask("HEAD", path)
        ask("GET", path)
    body, media = form(("picture", STYLE, "s"), ("name", "Mine"), ("tags", "a, b"))
    style = ask("POST", "/v1/styles", body, {"Content-Type": media}, 201).json
    assert ask("GET", "/v1/styles?tag=B").json["styles"] == [style]
    path = f"/v1/styles/{style['id']}"
    crop = {"x": 2, "y": 3, "width": 20, "height": 30}
    changed = ask("PATCH", path, {"name": "Ours", "crop": crop}).json
    assert (changed["name"], changed["width"], changed["height"], changed["tags"]) == ("Ours", 20, 30, ["a", "b"])
    for what in ("", "/picture", "/thumbnail"):
        ask("HEAD", path + what)
        ask("GET", path + what)
    assert ask("GET", path + "/picture").body == STYLE
    assert Image.open(io.BytesIO(ask("GET", path + "/thumbnail").body)).size == (20, 30)
    recipe = json.dumps({**QUICK, "styles": [{"picture": style["picture"]}]})
    body, media = form(("recipe", recipe), ("content", CONTENT, "c"))
    answer = ask("POST", "/v1/jobs", body, {"Content-Type": media}, 202)
    job = answer.header("location")
    daemon.wait(answer.json["id"])
    for what in ("", "/preview", "/result", "/mask"):
        ask("HEAD", job + what)
        ask("GET", job + what)
    ask("POST", job + "/stop", {"keep": True})
    ask("POST", job + "/move", {"position": 0}, status=409)
    more = ask("POST", job + "/continue", {"iterations": 1}, status=202).header("location")
    ask("DELETE", more, status=204)
    ask("DELETE", job, status=204)
    ask("DELETE", path, status=204)
    ask("DELETE", path, status=404)
    ask("DELETE", "/v1/styles/night", status=409)
    ask("POST", "/v1/estimate", {"recipe": {}, "width": 100, "height": 50})
    body, media = form(("options", '{"steps": 100000, "features": "seeded-vgg11"}'), ("style", STYLE, "s"))
    training = ask("POST", "/v1/train", body, {"Content-Type": media}, 202).header("location")
    ask("DELETE", training, status=204)
    data = model(STYLE).data()
    kept = ask("POST", "/v1/models?name=mine", data, {"Content-Type": "application/octet-stream"}, 201)
    for path in ("/v1/models", kept.header("location"), f"{kept.header('location')}/thumbnail?style=1"):
        ask("HEAD", path)
        ask("GET", path)
    ask("DELETE", kept.header("location"), status=204)
    wanted = {(method.upper(), path) for path, calls in description["paths"].items() for method in calls}
    assert seen == wanted - {("POST", "/v1/shutdown")}


def test_what_is_not_there(daemon):
    for method, path, status, code in (
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/v2/jobs", 404, "not-found"),
        ("PUT", "/v1/jobs", 405, "wrong-method"),
        ("DELETE", "/v1/health", 405, "wrong-method"),
        ("GET", "/v1/jobs?limit=0", 400, "bad-request"),
        ("GET", "/v1/jobs?unheard=1", 400, "bad-request"),
        ("GET", "/v1/jobs?state=asleep", 400, "bad-request"),
        ("POST", "/v1/jobs", 415, "unsupported-media"),
    ):
        answer = daemon.ask(method, path)
        assert (answer.status, answer.code) == (status, code)
        assert answer.json["hint"]
        assert answer.json["detail"].endswith(".")


def test_no_answer_is_packed(daemon):
    answer = daemon.ask("GET", "/v1/openapi.json", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert answer.header("content-encoding") is None


# ----------------------------------------------------------------------------------------------------------------- curl


@needs_curl
def test_curl_all_the_way(daemon, tmp_path):
    """What the README shows, word for word but for the names."""
    for name, data in (("photo.png", CONTENT), ("style.png", STYLE), ("mask.png", mask_file(soft_mask()))):
        (tmp_path / name).write_bytes(data)

    def run(*words):
        ended = subprocess.run(
            [curl, "-sS", "--fail-with-body", "--noproxy", "*", "-H", f"Authorization: Bearer {daemon.token}", *words],
            capture_output=True,
            cwd=tmp_path,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return ended.stdout

    job = json.loads(
        run(
            *("-F", f"recipe={json.dumps(QUICK)}", "-F", "content=@photo.png", "-F", "mask=@mask.png"),
            *("-F", "style=@style.png", f"{daemon.url}/v1/jobs"),
        )
    )
    while job["state"] not in {"done", "failed", "stopped"}:
        job = json.loads(run(f"{daemon.url}/v1/jobs/{job['id']}?after={job['seq']}&wait=30"))
    assert job["state"] == "done"
    run("-o", "result.png", f"{daemon.url}/v1/jobs/{job['id']}/result")
    run("-o", "result.webp", "-H", "Accept: image/webp", f"{daemon.url}/v1/jobs/{job['id']}/result")
    result = from_png((tmp_path / "result.png").read_bytes())
    mask = soft_mask()
    assert (result[mask == 0] == from_png(CONTENT)[mask == 0]).all()
    assert (np.asarray(Image.open(tmp_path / "result.webp")) == result).all()
    # recipe as a file, styles by name
    (tmp_path / "recipe.json").write_text(json.dumps({**QUICK, "styles": [{"picture": "mine"}]}))
    job = json.loads(
        run("-F", "recipe=@recipe.json", "-F", "content=@photo.png", "-F", "mine=@style.png", f"{daemon.url}/v1/jobs")
    )
    run("-X", "POST", f"{daemon.url}/v1/jobs/{job['id']}/stop")
    run("-H", "Content-Type: application/json", "-d", '{"keep": true}', f"{daemon.url}/v1/jobs/{job['id']}/stop")
    run("-X", "DELETE", f"{daemon.url}/v1/jobs/{job['id']}")
    estimate = {"recipe": QUICK, "width": 64, "height": 48}
    said = run("-H", "Content-Type: application/json", "-d", json.dumps(estimate), f"{daemon.url}/v1/estimate")
    assert json.loads(said)["iterations"] == 2
    style = json.loads(run("-F", "picture=@style.png", "-F", "name=By curl", f"{daemon.url}/v1/styles"))
    assert style["id"] == "by-curl"
    run("-X", "DELETE", f"{daemon.url}/v1/styles/{style['id']}")
    assert json.loads(run(f"{daemon.url}/v1/health"))["name"] == "scumble"


# ------------------------------------------------------------------------------------------------- Scumble's own client


def test_scumble_s_client(daemon):
    seen = []
    content, mask = pixels(depth="uint16"), soft_mask()
    with daemon.client() as client:
        assert client.health().pid == daemon.pid
        result = client.paint(content, [STYLE], mask=mask, on_progress=seen.append, **QUICK)
        assert (client.mask(seen[-1]).pixels[..., 0] == mask).all()
        assert result.pixels.dtype == np.uint16
        assert (result.pixels[mask == 0] == content[mask == 0]).all()
        assert (result.pixels[mask == 255] != content[mask == 255]).any()
        assert seen[-1].state is State.DONE
        assert len({job.seq for job in seen}) == len(seen)
        floats = client.paint(pixels(depth="float32"), ["library:night"], mask=mask, **QUICK)
        assert (floats.pixels[mask == 0] == pixels(depth="float32")[mask == 0]).all()
        job = client.submit(CONTENT, [STYLE], **LONG)
        more = client.submit(CONTENT, [STYLE], **QUICK)
        last = client.submit(CONTENT, [STYLE], **QUICK)
        assert client.move(last, 0).position == 0
        assert [each.id for each in client.jobs(limit=3)] == [last.id, more.id, job.id]
        with pytest.raises(ScumbleError, match="no result"):
            client.result(job)
        for each in client.follow(job):
            if each.iteration and client.preview(each):
                break
        client.stop(job, keep=True)
        ended = client.wait(job)
        assert (ended.state, ended.has_result) == (State.STOPPED, True)
        goes_on = client.continue_(job, iterations=1)
        assert client.wait(goes_on).continues == job.id
        client.forget(job)
        with pytest.raises(ScumbleError) as trouble:
            client.job(job)
        assert trouble.value.code == "not-found"
        assert client.estimate(Recipe(), 640, 480).iterations > 0
        style = client.add_style(STYLE, "mine", ["x"], (0, 0, 20, 10))
        assert client.change_style(style, name="ours").name == "ours"
        assert [each.id for each in client.styles("x")] == [style.id]
        assert client.style_picture(style).size == (48, 48)
        client.remove_style(style)
        assert {preset.name for preset in client.presets()} == set(PRESETS)
    with (
        pytest.raises(ScumbleError) as trouble,
        Client(daemon.url, "not-the-token-of-this-daemon") as stranger,
    ):
        stranger.jobs()
    assert trouble.value.code == "unauthorized"


# ----------------------------------------------------------------------------------------------------- the command line


def test_the_command_line_beside_it(daemon, tmp_path):
    (tmp_path / "photo.png").write_bytes(CONTENT)
    (tmp_path / "style.png").write_bytes(STYLE)
    (tmp_path / "mask.png").write_bytes(mask_file(soft_mask()))
    quick = [word for name, value in QUICK.items() for word in ("--set", f"{name}={json.dumps(value).strip('[]')}")]
    words = ["paint", tmp_path / "photo.png", "--style", tmp_path / "style.png", "--mask", tmp_path / "mask.png"]
    daemon.scumble(*words, *quick, "--daemon", "-o", tmp_path / "out.png")
    result = from_png((tmp_path / "out.png").read_bytes())
    mask = soft_mask()
    assert (result[mask == 0] == from_png(CONTENT)[mask == 0]).all()
    assert (result[mask == 255] != from_png(CONTENT)[mask == 255]).any()
    daemon.scumble(*words, *quick, "--url", daemon.url, "-o", tmp_path / "two.png", env={"SCUMBLE_TOKEN": daemon.token})
    assert np.abs(from_png((tmp_path / "two.png").read_bytes()).astype(int) - result).max() <= 2
    out, _ = daemon.scumble("status")
    assert daemon.url in out
    assert json.loads(daemon.scumble("status", "--json")[0])["pid"] == daemon.pid
    out, _ = daemon.scumble("jobs", "--limit", 3)
    newest = daemon.ask("GET", "/v1/jobs?limit=1").json["jobs"][0]["id"]
    assert out.splitlines()[1].startswith(newest)
    assert "64×48" in out
    out, _ = daemon.scumble("logs", "-n", 5)
    assert len(out.splitlines()) == 5
    assert f"{newest}: done" in daemon.scumble("logs", "-n", 200)[0]


def test_a_second_daemon_in_the_same_folder(daemon):
    with unborn(daemon.folder) as second:
        second.words = daemon.folder / "second.txt"
        second.start(wait=False)
        assert second.process.wait(PATIENCE_S) == 3
        assert f"process {daemon.pid}" in second.said()
        second.words.unlink()
    assert daemon.ask("GET", "/v1/health").json["pid"] == daemon.pid
    _, said = daemon.scumble("start")
    assert "running already" in said


def test_what_starts_it_is_told_to_its_user_alone(daemon):
    runtime, start = (json.loads((daemon.home / name).read_text()) for name in ("daemon.json", "start.json"))
    assert start == {name: runtime[name] for name in ("command", "version")}
    assert stat.S_IMODE((daemon.home / "start.json").stat().st_mode) == 0o600


# ------------------------------------------------------------------------------------------------------ ends and begins


def test_a_job_goes_on_after_the_daemon_was_stopped(tmp_path):
    """As a shutdown of the machine does it; the result is the one that there would have been."""
    recipe = {"size": 64, "scales": 2, "iterations": [40, 40], "precision": "float32", "seed": 5}
    with running(tmp_path / "daemon") as daemon:
        whole = from_png(daemon.result(daemon.submit(**recipe)["id"])).astype(float)
        job = daemon.submit(**recipe)
        queued = daemon.submit(**QUICK)
        daemon.wait(job["id"], lambda job: job["iteration"] >= 20)
        assert daemon.stop(signal.SIGTERM) == 0
        assert not (daemon.home / "daemon.json").exists()
        assert (daemon.home / "start.json").exists()  # what starts the next one stays
        assert daemon.workers() == []
        daemon.start()
        first = daemon.job(job["id"])
        seen = [first["iteration"]]

        def watch(job):
            seen.append(job["iteration"])
            return job["state"] == "done"

        daemon.wait(job["id"], watch)
        later = [iteration for iteration in seen if iteration]
        assert min(later) >= 20
        assert later == sorted(later)
        again = from_png(daemon.result(job["id"])).astype(float)
        assert np.abs(again - whole).max() / 255 < 1e-2
        assert (whole != from_png(CONTENT)).mean() > 0.5
        assert daemon.result(queued["id"])
        # and it is stopped by its own command
        _, said = daemon.scumble("stop")
        assert "has stopped" in said
        assert daemon.process.wait(PATIENCE_S) == 0
        daemon.scumble("status", status=3)
        daemon.scumble("stop")


def test_shutdown_answers_those_who_wait(tmp_path):
    with running(tmp_path / "daemon") as daemon:
        job = daemon.submit(**LONG)
        job = daemon.wait(job["id"], lambda job: job["iteration"] > 0)
        waiting = daemon.submit()
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(daemon.ask("GET", f"/v1/jobs/{waiting['id']}?after={waiting['seq']}&wait=60"))
        )
        asking.start()
        time.sleep(0.5)
        began = time.monotonic()
        answer = daemon.ask("POST", "/v1/shutdown")
        assert (answer.status, answer.body) == (202, b"")
        assert daemon.process.wait(PATIENCE_S) == 0
        asking.join(30)
        assert answers[0].status == 200
        assert time.monotonic() - began < 40


def test_results_outlive_the_daemon(tmp_path):
    with running(tmp_path / "daemon") as daemon:
        job = daemon.submit()
        before = daemon.result(job["id"])
        old = daemon.url, daemon.token, daemon.file.instance
        daemon.restart()
        assert daemon.token != old[1]
        assert daemon.file.instance != old[2]
        assert daemon.job(job["id"])["state"] == "done"
        assert daemon.result(job["id"]) == before
        assert decode(before).size == (64, 48)
