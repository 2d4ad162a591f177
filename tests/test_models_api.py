"""Trained styles over HTTP: models kept, shown and refused, recipes that paint with them, and trainings; by a real
daemon and its worker."""

import hashlib
import io
import json
import os
import pickle
import signal
import struct
import zipfile
from pathlib import Path

import jsonschema_rs
import pytest
import torch
from daemons import CONTENT, STYLE, picture_file, running
from made_models import model

from scumble.engine import models
from scumble.engine.sealed import seal
from scumble.errors import ScumbleError
from scumble.picture import decode

SMALL = {"features": "seeded-vgg11", "size": 64, "square": 32, "batch": 1, "width": 4, "blocks": 1, "steps": 3}
OTHER = picture_file(width=40, seed=5)
DATA = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running(tmp_path_factory.mktemp("models")) as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def cleared(daemon):
    yield
    for file in kept(daemon):
        file.unlink()
    for job in daemon.ask("GET", "/v1/jobs?limit=100").json["jobs"]:
        daemon.ask("DELETE", f"/v1/jobs/{job['id']}")


def kept(daemon):
    """The files of all models, whatever they are called."""
    folder = daemon.home / "models"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def add(daemon, data, name="night"):
    return daemon.ask("POST", f"/v1/models?name={name}", data, DATA)


def keep(daemon, *styles, name="night", **more):
    answer = add(daemon, model(*styles, **more).data(), name)
    assert answer.status == 201, answer.body
    return answer.json


def listed(daemon):
    return [each["name"] for each in daemon.ask("GET", "/v1/models").json["models"]]


def fast(daemon, styles=None, parts=(), engine="fast", **recipe):
    """Post a job that paints with models; the answer."""
    told = {"engine": engine, "size": 64, "features": "seeded-vgg11", **recipe}
    if styles is not None:
        told["styles"] = styles
    sent = parts or (("style", STYLE, "style"),)
    return daemon.post(("recipe", json.dumps(told)), ("content", CONTENT, "content"), *sent)


def train(daemon, *parts, **options):
    """Post a training; the job."""
    sent = parts or (("style", STYLE, "style"),)
    answer = daemon.post(("options", json.dumps({**SMALL, **options})), *sent, path="/v1/train")
    assert answer.status == 202, answer.body
    assert answer.header("location") == f"/v1/jobs/{answer.json['id']}"
    return answer.json


def learning(daemon, id, steps=3):
    return daemon.wait(id, lambda job: job["phase"] == "training" and job["iteration"] >= steps)


# ------------------------------------------------------------------------------------------------------------- kept


def test_a_model_is_kept_shown_and_removed(daemon):
    data = model(STYLE, (OTHER, models.Part(x=1, y=2, width=30, height=20))).data()
    answer = add(daemon, data, "Two%20styles")
    assert (answer.status, answer.header("location")) == (201, "/v1/models/Two%20styles")
    told = answer.json
    assert told == {
        "name": "Two styles",
        "styles": [
            {"name": "style 1", "digest": hashlib.sha256(STYLE).hexdigest(), "part": None},
            {
                "name": "style 2",
                "digest": hashlib.sha256(OTHER).hexdigest(),
                "part": {"x": 1, "y": 2, "width": 30, "height": 20},
            },
        ],
        "size": 64,
        "steps": 3,
        "minutes": 0.5,
        "features": "seeded-vgg11",
        "bytes": len(data),
    }
    assert daemon.ask("GET", "/v1/models").json == {"models": [told]}
    assert daemon.ask("GET", answer.header("location")).json == told
    assert [file.read_bytes() for file in kept(daemon)] == [data]
    assert daemon.ask("DELETE", answer.header("location")).status == 204
    assert kept(daemon) == []
    for method in ("GET", "DELETE"):
        assert daemon.ask(method, answer.header("location")).code == "not-found"


def test_each_style_of_a_model_has_a_thumbnail(daemon):
    keep(daemon, STYLE, OTHER)
    for number, value in ((1, 20), (2, 40)):
        answer = daemon.ask("GET", f"/v1/models/night/thumbnail?style={number}")
        assert (answer.status, answer.header("content-type")) == (200, "image/jpeg")
        shown = decode(answer.body).pixels
        assert shown.shape == (6, 8, 3)
        assert abs(int(shown.mean()) - value) < 4
        again = daemon.ask(
            "GET", f"/v1/models/night/thumbnail?style={number}", headers={"If-None-Match": answer.header("etag")}
        )
        assert (again.status, again.body) == (304, b"")
    assert daemon.ask("GET", "/v1/models/night/thumbnail").body != answer.body
    assert daemon.ask("GET", "/v1/models/night/thumbnail?style=3").code == "not-found"
    assert daemon.ask("GET", "/v1/models/night/thumbnail?style=0").code == "bad-request"


def test_a_model_never_takes_anothers_place_and_the_same_is_kept_once(daemon):
    first, second = model(STYLE, seed=1).data(), model(STYLE, seed=2).data()
    assert [add(daemon, data).json["name"] for data in (first, second, first, second)] == [
        "night",
        "night-2",
        "night",
        "night-2",
    ]
    assert listed(daemon) == ["night", "night-2"] or listed(daemon) == ["night-2", "night"]
    assert (daemon.home / "models" / "night.scumble").read_bytes() == first


class Bomb:
    """What a pickle may do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def zipped(data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("night.scumble", data)
    return file.getvalue()


def resealed(**changes):
    """A file whose seal is good, but not what it says."""
    good = model(STYLE)
    facts = {**good.about.model_dump(mode="json"), **changes.pop("facts", {})}
    tensors = dict(good.tensors)
    tensors |= {"thumbnail.0": changes.pop("thumbnail", _thumbnail())}
    tensors |= changes.pop("tensors", {})
    return seal(changes.pop("kind", models.KIND), facts, tensors)


def _thumbnail():
    return torch.zeros(4, 4, 3, dtype=torch.uint8)


def bad_files():
    good = model(STYLE).data()
    head = 8 + int.from_bytes(good[:8], "little")
    yield "empty", b""
    for length in (1, 7, 8, 100, head - 1, head, head + 1, len(good) // 2, len(good) - 1):
        yield f"cut at {length}", good[:length]
    yield "longer", good + b"\0"
    yield "one bit", good[:-5] + bytes([good[-5] ^ 1]) + good[-4:]
    yield "noise", os.urandom(5000)
    yield "pickle", None
    yield "zip", zipped(good)
    yield "picture", STYLE
    yield "huge head", struct.pack("<Q", 2**62) + good[8:]
    yield "head of brackets", struct.pack("<Q", 2**20) + b"[" * 2**20
    yield "another kind", resealed(kind="scumble training 1")
    yield "a number too many", resealed(tensors={"more": torch.zeros(3)})
    yield "not finite", resealed(tensors={"out.bias": torch.tensor([0.0, float("nan"), 0.0])})
    yield "whole numbers", resealed(tensors={"out.bias": torch.zeros(3, dtype=torch.uint8)})
    yield "no thumbnail", resealed(thumbnail=torch.zeros(4, 4, dtype=torch.uint8))
    yield "another width", resealed(facts={"width": 8})
    yield "no styles", resealed(facts={"styles": []})


@pytest.mark.parametrize(("what", "data"), [pytest.param(*each, id=each[0]) for each in bad_files()])
def test_what_is_no_model_is_refused_in_a_sentence_and_nothing_of_it_stays(daemon, tmp_path, what, data):
    if what == "pickle":
        data = pickle.dumps(Bomb(tmp_path / "boom"))
    answer = add(daemon, data)
    assert (answer.status, answer.code) == (422, "bad-model")
    detail = answer.json["detail"]
    assert detail.startswith("night.scumble cannot be used: ") and detail.endswith(".")
    assert "\n" not in detail and len(detail) < 200
    assert kept(daemon) == []
    assert not (tmp_path / "boom").exists()
    assert not list((daemon.home / "store" / "incoming").iterdir())
    assert "ERROR" not in daemon.log()


@pytest.mark.parametrize("name", ["", "..", "a/b", "a%2Fb", "a%00", "%C3%A9", ".hidden", "x" * 101])
def test_a_name_that_could_be_something_else_is_refused(daemon, name):
    assert add(daemon, model(STYLE).data(), name).code == "bad-request"
    assert kept(daemon) == []
    if name:
        assert daemon.ask("GET", f"/v1/models/{name}").code == "not-found"
        assert daemon.ask("DELETE", f"/v1/models/{name}").code == "not-found"


def test_a_model_is_not_sent_as_something_else(daemon):
    assert daemon.ask("POST", "/v1/models?name=a", b"{}", {"Content-Type": "application/json"}).status == 415
    assert daemon.ask("POST", "/v1/models", model(STYLE).data(), DATA).code == "bad-request"


def test_a_file_that_was_damaged_is_left_out_and_can_be_removed(daemon):
    keep(daemon, STYLE)
    file = daemon.home / "models" / "night.scumble"
    file.write_bytes(file.read_bytes()[:-1])
    assert listed(daemon) == []
    assert daemon.ask("GET", "/v1/models/night").code == "bad-model"
    assert daemon.ask("DELETE", "/v1/models/night").status == 204


def test_looking_at_models_loads_no_torch_into_the_daemon(daemon):
    keep(daemon, STYLE)
    assert daemon.result(fast(daemon).json["id"])
    daemon.ask("GET", "/v1/models/night/thumbnail")
    maps = Path(f"/proc/{daemon.pid}/maps")
    assert not maps.exists() or "torch" not in maps.read_text()


# -------------------------------------------------------------------------------------------------- painting with them


def test_a_job_is_painted_with_the_model_of_its_style(daemon):
    keep(daemon, OTHER, name="other")
    keep(daemon, OTHER, STYLE, name="both")
    answer = fast(daemon)
    assert answer.json["recipe"]["styles"] == [{"picture": "style", "model": "both#2"}]
    job = daemon.wait(answer.json["id"])
    assert (job["state"], job["features"], job["iterations"]) == ("done", "trained both", 1)
    assert decode(daemon.result(job["id"])).size == (64, 48)


def test_a_model_that_is_named_is_taken(daemon):
    keep(daemon, OTHER, STYLE)
    for name, meant in (("night", "night#2"), ("night#1", "night#1"), ("night#style 2", "night#style 2")):
        answer = fast(daemon, [{"picture": "style", "model": name}])
        assert answer.json["recipe"]["styles"][0]["model"] == meant  # the picture tells where the name leaves it open
        assert daemon.wait(answer.json["id"])["state"] == "done"
    for name in ("nigh", "night#3", "night#style"):
        assert fast(daemon, [{"picture": "style", "model": name}]).code == "missing-model"


@pytest.mark.parametrize("engine", ["fast", "fast+optimise"])
def test_a_style_without_a_model_is_named(daemon, engine):
    keep(daemon, STYLE)
    parts = ("style", STYLE, "style"), ("style", OTHER, "style")
    answer = fast(daemon, parts=parts, engine=engine)
    assert (answer.status, answer.code) == (422, "missing-model")
    assert "styles[1]" in answer.json["detail"] and "'style-2'" in answer.json["detail"]
    assert fast(daemon, parts=parts, engine="optimise", iterations=1).status == 202
    asked = {"recipe": {"engine": engine, "styles": [{"picture": "mine"}]}, "width": 64, "height": 48}
    answer = daemon.ask("POST", "/v1/estimate", asked)
    assert answer.code == "missing-model" and "'mine'" in answer.json["detail"]


@pytest.mark.parametrize("engine", ["optimise", "fast", "fast+optimise"])
@pytest.mark.parametrize("name", ["/etc/passwd", "./night", "night.scumble", "..", "a\\b", "a/b#1", "#1", "~"])
def test_a_model_that_is_a_path_is_refused(daemon, engine, name):
    keep(daemon, STYLE)
    styles = [{"picture": "style", "model": name}]
    assert fast(daemon, styles, engine=engine).code == "bad-recipe"
    asked = {"recipe": {"engine": engine, "styles": styles}, "width": 64, "height": 48}
    assert daemon.ask("POST", "/v1/estimate", asked).code == "bad-recipe"


def test_a_repeat_under_one_key_is_the_same_job_whatever_models_there_are_by_then(daemon):
    keep(daemon, STYLE)
    told = ("recipe", '{"engine": "fast", "size": 64}')
    parts = told, ("content", CONTENT, "content"), ("style", STYLE, "style")
    first = daemon.post(*parts, headers={"Idempotency-Key": "k"}).json["id"]
    daemon.wait(first)
    daemon.ask("DELETE", "/v1/models/night")
    assert daemon.post(*parts, headers={"Idempotency-Key": "k"}).json["id"] == first
    keep(daemon, STYLE, name="newer")
    daemon.restart()
    assert daemon.post(*parts, headers={"Idempotency-Key": "k"}).json["id"] == first
    named = "recipe", '{"engine": "fast", "size": 64, "styles": [{"picture": "style", "model": "newer"}]}'
    assert daemon.post(named, *parts[1:], headers={"Idempotency-Key": "k"}).code == "key-reused"


def test_a_job_goes_on_from_a_pass_by_optimising(daemon):
    keep(daemon, STYLE)
    job = daemon.wait(fast(daemon).json["id"])
    more = daemon.ask("POST", f"/v1/jobs/{job['id']}/continue", {"iterations": 2})
    assert (more.status, more.json["recipe"].get("engine", "optimise")) == (202, "optimise")
    assert daemon.wait(more.json["id"])["iterations"] == 2
    path = f"/v1/jobs/{job['id']}/continue"
    styles = [{"picture": "style", "model": "/etc/passwd"}]
    assert daemon.ask("POST", path, {"changes": {"styles": styles}}).code == "bad-recipe"
    again = daemon.ask("POST", path, {"changes": {"engine": "fast", "styles": [{"picture": "style"}]}})
    assert again.json["recipe"]["styles"] == [{"picture": "style", "model": "night"}]
    daemon.ask("DELETE", "/v1/models/night")
    again = daemon.ask("POST", path, {"changes": {"engine": "fast", "styles": [{"picture": "style"}]}})
    assert again.code == "missing-model"


def test_how_long_a_pass_takes_is_learnt(daemon):
    keep(daemon, STYLE, name="learnt")
    asked = {"recipe": {"engine": "fast", "styles": [{"picture": "x", "model": "learnt"}]}, "width": 64, "height": 48}
    before = daemon.ask("POST", "/v1/estimate", asked).json
    assert (before["is_measured"], before["iterations"], before["features"]) == (False, 1, "trained learnt")
    assert 0 < before["seconds"] < 5
    job = daemon.wait(fast(daemon).json["id"])
    after = daemon.ask("POST", "/v1/estimate", asked).json
    assert after["is_measured"]
    assert after["seconds"] < 10 * max(job["seconds"], 0.02)


def test_the_library_says_which_styles_have_a_model(daemon):
    client = daemon.client()
    crop = models.Part(x=4, y=4, width=20, height=20)
    whole = client.add_style(OTHER, "Whole")
    part = client.add_style(OTHER, "Part", crop=(4, 4, 20, 20))
    try:
        assert {style.model for style in client.styles()} == {None}
        keep(daemon, (OTHER, crop), (STYLE, None), name="cut")
        found = {style.id: style.model for style in client.styles()}
        assert (found[whole.id], found[part.id]) == (None, "cut#1")
        # the bundled paintings are all the same small picture here
        assert found["night"] == "cut#2"
        assert found["tides"] is None
        told = daemon.ask("GET", f"/v1/styles/{part.id}").json
        assert told["model"] == "cut#1"
        answer = fast(daemon, [{"picture": part.picture}], parts=(("mask", CONTENT, "mask"),))
        assert answer.json["recipe"]["styles"][0]["model"] == "cut#1"
        assert fast(daemon, [{"picture": whole.picture}], parts=(("mask", CONTENT, "mask"),)).code == "missing-model"
        asked = {"recipe": {"engine": "fast", "styles": [{"picture": part.picture}]}, "width": 64, "height": 48}
        assert daemon.ask("POST", "/v1/estimate", asked).json["features"] == "trained cut"
        changed = client.change_style(part, crop=None)
        assert changed.model is None
        client.remove_model("cut")
        assert {style.model for style in client.styles()} == {None}
    finally:
        client.remove_style(whole)
        client.remove_style(part)


# ------------------------------------------------------------------------------------------------------------ training


def test_a_training_ends_with_a_model_that_paints(daemon):
    job = train(daemon, name="mine")
    assert (job["kind"], job["model"], job["width"]) == ("train", None, 32)
    job = daemon.wait(job["id"])
    assert (job["state"], job["problem"], job["model"]) == ("done", None, "mine")
    assert (job["iteration"], job["iterations"], job["preview"]) == (3, 3, 1)
    assert job["features"] == "vgg11 (seeded)"
    assert job["losses"]["total"] > 0
    (told,) = daemon.ask("GET", "/v1/models").json["models"]
    digest = hashlib.sha256(STYLE).hexdigest()
    assert told["styles"] == [{"name": "mine", "digest": digest, "part": None}]
    assert (told["steps"], told["size"]) == (3, 64)
    report = daemon.result(job["id"])
    assert report.startswith(b"\x89PNG") and decode(report).height > 300
    preview = daemon.ask("GET", f"/v1/jobs/{job['id']}/preview").body
    assert max(decode(preview).size) <= 512
    left = {path.name for path in (daemon.home / "store" / "jobs" / job["id"]).iterdir()}
    assert left == {"job.json", "painted.json", "preview.jpg", "result.png"}
    assert daemon.wait(fast(daemon).json["id"])["features"] == "trained mine"
    description = daemon.ask("GET", "/v1/openapi.json").json
    schema = {"$ref": "#/components/schemas/Job", "components": description["components"]}
    jsonschema_rs.validator_for(schema).validate(job)
    assert daemon.ask("POST", f"/v1/jobs/{job['id']}/continue", {}).code == "wrong-state"


def test_several_styles_parts_and_the_librarys_are_learnt_by_one_model(daemon):
    client = daemon.client()
    style = client.add_style(OTHER, "Dunes: evening", crop=(4, 4, 20, 20))
    try:
        job = train(daemon, ("blue hour.png", STYLE, "x"), styles=[style.picture, "blue hour.png"])
        job = daemon.wait(job["id"])
        assert job["model"] == "Dunes- evening", job
        told = daemon.ask("GET", "/v1/models").json["models"][0]["styles"]
        assert [(each["name"], each["part"]) for each in told] == [
            ("Dunes: evening", {"x": 4, "y": 4, "width": 20, "height": 20}),
            ("blue hour", None),
        ]
        assert client.styles()[0].model == "Dunes- evening#1"
    finally:
        client.remove_style(style)


def test_a_model_that_was_trained_takes_no_others_place(daemon):
    keep(daemon, OTHER, name="mine")
    before = kept(daemon)[0].read_bytes()
    assert daemon.wait(train(daemon, name="mine")["id"])["model"] == "mine-2"
    assert (daemon.home / "models" / "mine.scumble").read_bytes() == before


def test_a_training_makes_way_for_a_painting_and_goes_on(daemon):
    training = train(daemon, steps=100_000, name="long")["id"]
    reached = learning(daemon, training)["iteration"]
    painting = daemon.submit()["id"]
    daemon.result(painting)
    job = learning(daemon, training, reached + 3)
    assert job["warnings"] == []
    stopped = daemon.ask("POST", f"/v1/jobs/{training}/stop", {"keep": True})
    assert stopped.status == 200
    job = daemon.wait(training)
    assert (job["state"], job["model"]) == ("stopped", "long")
    told = daemon.ask("GET", "/v1/models/long").json
    assert told["steps"] == job["iteration"] >= reached + 3
    assert daemon.ask("GET", f"/v1/jobs/{training}/result").body.startswith(b"\x89PNG")


def test_a_training_that_is_discarded_leaves_nothing(daemon):
    training = train(daemon, steps=100_000)["id"]
    learning(daemon, training)
    daemon.ask("POST", f"/v1/jobs/{training}/stop", {"keep": False})
    job = daemon.wait(training)
    assert (job["state"], job["model"], job["has_result"]) == ("stopped", None, False)
    assert kept(daemon) == []
    left = {path.name for path in (daemon.home / "store" / "jobs" / training).iterdir()}
    assert left <= {"job.json", "preview.jpg"}


def test_a_training_outlives_its_worker_and_its_daemon(tmp_path):
    with running(tmp_path / "daemon") as daemon:
        training = train(daemon, steps=100_000, name="long")["id"]
        learning(daemon, training)
        for worker in daemon.workers():
            worker.send_signal(signal.SIGKILL)
        daemon.wait(training, lambda job: job["warnings"])
        reached = learning(daemon, training, 5)["iteration"]
        daemon.restart()
        job = learning(daemon, training, 0)
        assert job["iteration"] >= reached
        learning(daemon, training, job["iteration"] + 2)
        daemon.kill()
        daemon.start()
        learning(daemon, training, reached)
        daemon.ask("POST", f"/v1/jobs/{training}/stop", {"keep": True})
        assert daemon.wait(training)["model"] == "long"
        assert listed(daemon) == ["long"]


@pytest.mark.parametrize(
    ("code", "options", "parts"),
    [
        ("bad-request", {"steps": 0}, None),
        ("bad-request", {"square": 33}, None),
        ("bad-request", {"name": "../x"}, None),
        ("bad-request", {"images": "/etc"}, None),
        ("bad-request", {"styles": ["style"] * 17}, None),
        ("bad-request", {"lease_s": 5}, [("lease_s", "5"), ("style", STYLE, "x")]),
        ("bad-request", {"styles": ["other"]}, [("other", STYLE, "x"), ("style", STYLE, "x")]),
        ("bad-recipe", {"features": "/etc/passwd"}, None),
        ("missing-picture", {"styles": ["other"]}, None),
        ("missing-picture", {"styles": ["library:none"]}, []),
        ("missing-picture", {}, []),
        ("bad-picture", {}, [("style", b"no picture", "x")]),
    ],
)
def test_what_cannot_be_trained_is_refused(daemon, code, options, parts):
    sent = [("style", STYLE, "style")] if parts is None else parts
    if code == "missing-picture" and options.get("styles") == ["other"]:
        sent = []
    answer = daemon.post(("options", json.dumps({**SMALL, **options})), *sent, path="/v1/train")
    assert answer.code == code, answer.json
    assert daemon.ask("GET", "/v1/jobs").json["jobs"] == []


def test_a_lease_of_a_training_can_be_a_field_as_a_paintings(daemon):
    answer = daemon.post(("lease_s", "77"), ("options", json.dumps(SMALL)), ("style", STYLE, "x"), path="/v1/train")
    assert answer.json["lease_s"] == 77
    assert train(daemon, lease_s=78)["lease_s"] == 78


def test_a_training_is_posted_once_under_one_key(daemon):
    parts = ("options", json.dumps({**SMALL, "steps": 100_000})), ("style", STYLE, "style")
    first, second = (daemon.post(*parts, path="/v1/train", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert second.header("idempotency-replayed") == "true"
    other = daemon.post(parts[1], path="/v1/train", headers={"Idempotency-Key": "k"})
    assert other.code == "key-reused"


# ------------------------------------------------------------------------------------------------------- from a script


def test_a_script_trains_keeps_and_removes(daemon, tmp_path):
    file = tmp_path / "blue hour.png"
    file.write_bytes(STYLE)
    with daemon.client() as client:
        job = client.wait(client.train([file, "library:tides", OTHER], **SMALL))
        assert job.model == "blue-hour"
        (found,) = client.models()
        assert [style.name for style in found.styles] == ["blue-hour", "Tides", "style-3"]
        assert found.styles[0].digest == hashlib.sha256(STYLE).hexdigest()
        data = (daemon.home / "models" / "blue-hour.scumble").read_bytes()
        client.remove_model(found)
        assert client.models() == []
        (tmp_path / "again.scumble").write_bytes(data)
        assert client.add_model(tmp_path / "again.scumble").name == "again"
        assert client.add_model(data, "third").styles == found.styles
        painted = client.paint(CONTENT, [STYLE], engine="fast", size=64)
        assert painted.size == (64, 48)
        for code, call in (
            ("missing-file", lambda: client.add_model(tmp_path / "none.scumble")),
            ("bad-model", lambda: client.add_model(STYLE, "x")),
            ("not-found", lambda: client.remove_model("none")),
            ("bad-request", lambda: client.train([STYLE], steps=0)),
            ("bad-request", lambda: client.train([STYLE], colour="red")),
        ):
            with pytest.raises(ScumbleError) as caught:
                call()
            assert caught.value.code == code


def test_the_command_line_leaves_the_model_to_the_daemon(daemon):
    keep(daemon, STYLE)
    (daemon.folder / "photo.png").write_bytes(CONTENT)
    (daemon.folder / "style.png").write_bytes(STYLE)
    paint = ("paint", "photo.png", "--style", "style.png", "--engine", "fast", "--daemon", "-o", "out.png")
    _, said = daemon.scumble(*paint)
    assert "trained night" in said
    assert decode((daemon.folder / "out.png").read_bytes()).size == (64, 48)
    daemon.ask("DELETE", "/v1/models/night")
    _, said = daemon.scumble(*paint, status=2)
    assert "no trained style" in said


def test_nothing_waits_for_a_model_that_was_removed_meanwhile(daemon):
    keep(daemon, STYLE)
    blocking = daemon.submit(iterations=[100_000])["id"]
    painting = fast(daemon).json["id"]
    daemon.ask("DELETE", "/v1/models/night")
    daemon.ask("POST", f"/v1/jobs/{blocking}/stop", {"keep": False})
    job = daemon.wait(painting)
    assert (job["state"], job["problem"]["code"]) == ("failed", "missing-model")
