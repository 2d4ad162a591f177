import io
import itertools
import json
import logging
import re
from datetime import UTC, datetime

import jsonschema_rs
import numpy as np
import pytest

from scumble import __version__
from scumble.errors import CATALOGUE, ScumbleError
from scumble.picture import Picture, decode, encode
from scumble.protocol import PROTOCOL, Estimate, Health, Job, State
from scumble.recipe import PRESETS, Recipe
from scumble.service.app import create_app
from scumble.service.guard import Guard
from scumble.service.library import Library
from scumble.service.settings import Limits
from scumble.service.store import Store

TOKEN, PORT = "a-secret", 8123
LIMITS = Limits(body_bytes=2_000_000, pixels=10_000, parts=8, form_bytes=5_000)


def png(width=12, height=8, value=128, dtype=np.uint8, channels=3):
    return encode(Picture(np.full((height, width, channels), value, dtype)), "png")


CONTENT, STYLE = png(), png(6, 6, 30)
MASK = Picture(np.arange(96, dtype=np.uint8).reshape(8, 12, 1))


class FakeJobs:
    """Jobs that are only remembered."""

    def __init__(self, store, library):
        self.store, self.library, self.closing = store, library, False
        self.orders, self.jobs, self.keys, self.calls, self.sent = {}, {}, {}, [], []
        self.results, self.previews, self.gone = {}, {}, set()
        self.numbers = itertools.count(1)
        self.fails_with = None

    def _add(self, recipe, key=None, **fields):
        self._trouble()
        if key in self.keys:
            return self.jobs[self.keys[key]], True
        id = f"job{next(self.numbers)}"
        self.jobs[id] = Job(
            id=id,
            state=State.QUEUED,
            phase="waiting",
            width=12,
            height=8,
            recipe=recipe,
            created=datetime.now(UTC),
            **fields,
        )
        if key:
            self.keys[key] = id
        return self.jobs[id], False

    def _trouble(self):
        if self.fails_with:
            raise self.fails_with

    def submit(self, order):
        job, again = self._add(order.recipe.as_dict(), order.key, bounds=order.bounds, lease_s=order.lease_s)
        self.orders[job.id] = order
        return job, again

    def get(self, id):
        self._trouble()
        if id not in self.jobs:
            raise ScumbleError("not-found", f"There is no job {id!r}.")
        return self.jobs[id]

    def wait(self, id, after, seconds):
        self.calls.append(("wait", id, after, seconds))
        return self.get(id)

    def list(self, limit=20, state=None):
        return [job for job in reversed(self.jobs.values()) if state in (None, job.state)][:limit]

    def stop(self, id, keep):
        self.calls.append(("stop", id, keep))
        return self.get(id)

    def move(self, id, position):
        self.calls.append(("move", id, position))
        return self.get(id)

    def forget(self, id):
        del self.jobs[self.get(id).id]

    def go_on(self, id, request, key):
        self.calls.append(("go_on", id, request.changes))
        return self._add(self.get(id).recipe, key, continues=id)

    def result(self, id):
        self.get(id)
        if id not in self.results:
            raise ScumbleError("wrong-state", "It has no result.")
        return self.results[id], "5eed" * 16

    def fetched(self, id):
        self.sent.append(id)

    def order(self, id):
        self.get(id)
        if id in self.gone:
            raise ScumbleError("result-gone", "It was let go.")
        return self.orders[id]

    def mask(self, id):
        self.calls.append(("mask", id))
        return MASK

    def preview(self, id):
        if id not in self.previews:
            raise ScumbleError("not-found", "There is no preview.")
        return self.previews[id]

    def estimate(self, request):
        Recipe.parse(request.recipe)
        return Estimate(
            width=request.width,
            height=request.height,
            iterations=9,
            scales=1,
            tile_px=None,
            memory_mb=1.0,
            seconds=2.0,
            is_measured=False,
            features="vgg19-lite",
            device="cpu",
            warnings=[],
        )

    def health(self):
        return Health(name="scumble", version=__version__, protocol=PROTOCOL, pid=77, queued=len(self.jobs))


class Daemon:
    """The application; every answer is held against its own description."""

    def __init__(self, folder):
        self.store, self.library = Store(folder / "store", LIMITS), Library(folder / "styles", LIMITS.pixels)
        self.jobs = FakeJobs(self.store, self.library)
        self.ends = []
        guard = Guard(TOKEN, (), False)
        guard.port = PORT
        self.app = create_app(self.jobs, self.library, guard, LIMITS, lambda: self.ends.append(1))
        self.client = self.app.test_client()
        self.document = json.loads(self._open("GET", "/v1/openapi.json", token=TOKEN).data)

    def _open(self, method, path, *, token, headers=(), **options):
        named = {"Host": f"127.0.0.1:{PORT}"} | ({"Authorization": f"Bearer {token}"} if token else {}) | dict(headers)
        return self.client.open(path, method=method, headers=named, **options)

    def ask(self, method, path, status=None, *, token=TOKEN, is_described=True, **options):
        response = self._open(method, path, token=token, **options)
        assert status in (None, response.status_code), response.data[:300]
        if is_described:
            self.check(method, path, response)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if response.mimetype in {"application/json", "application/problem+json"}:
            assert response.headers["Cache-Control"] == "no-store"
        return response

    def refused(self, method, path, code, **options):
        response = self.ask(method, path, CATALOGUE[code].http_status, **options)
        assert response.json["code"] == code
        assert response.json["title"] == CATALOGUE[code].title
        assert TOKEN not in response.text
        return response.json

    def post_job(self, status=202, headers=(), **parts):
        parts = {"content": CONTENT, "style": STYLE} | parts
        return self.ask("POST", "/v1/jobs", status, headers=headers, **form(**parts))

    def job(self):
        return self.post_job().json["id"]

    def check(self, method, path, response):
        """The status, media type and body are among those that the description names."""
        path = path.partition("?")[0]
        template = next(
            each for each in self.document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path)
        )
        operation = self.document["paths"][template][method.lower()]
        answer = operation["responses"][str(response.status_code)]
        if "content" not in answer:
            assert response.data == b""
            if method != "HEAD":
                assert "Content-Type" not in response.headers
            return
        schema = answer["content"][response.mimetype]["schema"]
        if response.mimetype.endswith("json"):
            whole = {**schema, "components": self.document["components"]}
            jsonschema_rs.validator_for(whole).validate(response.json)
        for name in answer.get("headers", ()):
            assert name in response.headers or name == "Idempotency-Replayed"


def form(**parts):
    data = {}
    for name, value in parts.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            data[name] = [(io.BytesIO(each), "x.png") if isinstance(each, bytes) else each for each in values]
    return {"data": data, "content_type": "multipart/form-data"}


@pytest.fixture
def daemon(tmp_path):
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.store.close()


# ---------------------------------------------------------------------------------------------------------- who may ask


def test_strangers_learn_little(daemon):
    health = daemon.ask("GET", "/v1/health", 200, token=None).json
    assert health == {"name": "scumble", "version": __version__, "protocol": PROTOCOL}
    assert daemon.ask("GET", "/v1/health", 200).json["pid"] == 77
    daemon.refused("GET", "/v1/health", "unauthorized", token="wrong")


def test_no_call_but_two_is_answered_without_the_token(daemon):
    for path, operations in daemon.document["paths"].items():
        for method, operation in operations.items():
            if "security" not in operation:
                address = path.replace("{id}", "x")
                response = daemon.ask(method.upper(), address, 401, token=None)
                assert response.headers["WWW-Authenticate"] == "Bearer"
    daemon.ask("GET", "/nothing", 401, token=None, is_described=False)
    assert daemon.ends == []


def test_other_hosts_and_pages_are_refused(daemon):
    daemon.refused("GET", "/v1/jobs", "foreign-host", headers={"Host": "evil.example"})
    daemon.refused("GET", "/", "foreign-host", headers={"Host": "evil.example"}, token=None)
    daemon.refused("POST", "/v1/shutdown", "foreign-origin", headers={"Origin": "http://evil.example"})
    assert daemon.ends == []


# ---------------------------------------------------------------------------------------------------------------- about


def test_the_page_is_closed_to_everything_else(daemon):
    response = daemon.ask("GET", "/", 200, token=None)
    assert response.mimetype == "text/html"
    assert __version__ in response.text
    assert "/v1/openapi.json" in response.text
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert TOKEN not in response.text


def test_the_policy_admits_the_style_of_the_page(daemon):
    import base64
    import hashlib

    response = daemon.ask("GET", "/", 200, token=None)
    (style,) = re.findall("<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in response.headers["Content-Security-Policy"]


def test_presets(daemon):
    presets = daemon.ask("GET", "/v1/presets", 200).json["presets"]
    assert [each["name"] for each in presets] == list(PRESETS)
    assert all(each["description"] for each in presets)
    assert presets[0]["recipe"] == {"preset": "draft", "quality": "draft"}


def test_an_estimate(daemon):
    asked = {"recipe": {"strength": 3}, "width": 50, "height": 40}
    assert daemon.ask("POST", "/v1/estimate", 200, json=asked).json["width"] == 50
    daemon.refused("POST", "/v1/estimate", "bad-recipe", json=asked | {"recipe": {"strength": 1000}})
    daemon.refused("POST", "/v1/estimate", "bad-recipe", json=asked | {"recipe": {"features": "/etc/passwd"}})
    problem = daemon.refused("POST", "/v1/estimate", "bad-request", json=asked | {"width": 0})
    assert problem["detail"].startswith("width: ")
    assert "recipe" in daemon.refused("POST", "/v1/estimate", "bad-request", data=b"")["detail"]


def test_the_end(daemon):
    daemon.ask("POST", "/v1/shutdown", 202)
    assert daemon.ends == [1]
    daemon.refused("GET", "/v1/shutdown", "wrong-method", is_described=False)
    assert daemon.ends == [1]


# ----------------------------------------------------------------------------------------------------------------- jobs


def test_a_job_is_taken_in(daemon):
    response = daemon.post_job(recipe=json.dumps({"strength": 33}), lease_s="30")
    job = response.json
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["recipe"]["strength"], job["lease_s"]) == ("queued", 33, 30)
    assert job["bounds"] == {"x": 0, "y": 0, "width": 12, "height": 8}
    assert daemon.ask("GET", response.headers["Location"], 200).json == job
    order = daemon.jobs.orders[job["id"]]
    assert daemon.store.blobs.path(order.content.digest).read_bytes() == CONTENT
    assert "Idempotency-Replayed" not in response.headers


def test_several_styles(daemon):
    job = daemon.post_job(style=[STYLE, png(5, 5)]).json
    assert [each["picture"] for each in job["recipe"]["styles"]] == ["style", "style-2"]


def test_a_repeat_gives_the_same_job(daemon):
    first = daemon.post_job(headers={"Idempotency-Key": "abc 1"})
    again = daemon.post_job(headers={"Idempotency-Key": "abc 1"})
    assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (first.json["id"], "true")
    on = [
        daemon.ask("POST", f"/v1/jobs/{first.json['id']}/continue", 202, headers={"Idempotency-Key": "k"}) for _ in "12"
    ]
    assert [each.headers.get("Idempotency-Replayed") for each in on] == [None, "true"]
    assert on[0].headers["Location"] == f"/v1/jobs/{on[1].json['id']}"


@pytest.mark.parametrize("key", ["", "x" * 201, "ä", "a\tb"])
def test_a_bad_key_is_refused(daemon, key):
    daemon.refused(
        "POST", "/v1/jobs", "bad-request", headers={"Idempotency-Key": key}, **form(content=CONTENT, style=STYLE)
    )
    assert daemon.jobs.jobs == {}


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("bad-recipe", {"recipe": "{"}),
        ("bad-recipe", {"recipe": '{"features": "x.pth"}'}),
        ("missing-picture", {"content": None}),
        ("bad-picture", {"content": b"nonsense"}),
        ("bad-mask", {"mask": png(3, 3)}),
        ("empty-mask", {"mask": png(value=0)}),
        ("picture-too-large", {"content": png(101, 100)}),
        ("bad-request", {"other": STYLE}),
        ("bad-request", {"lease_s": "-1"}),
        ("request-too-large", {"style": [STYLE] * 9}),
    ],
)
def test_a_bad_job_is_refused_and_leaves_nothing(daemon, code, parts):
    daemon.refused("POST", "/v1/jobs", code, **form(**({"content": CONTENT, "style": STYLE} | parts)))
    assert not list((daemon.store.folder / "incoming").iterdir())
    assert not list((daemon.store.folder / "pictures").iterdir())


def test_a_job_is_a_form(daemon):
    daemon.refused("POST", "/v1/jobs", "unsupported-media", json={})
    daemon.refused("POST", "/v1/jobs", "unsupported-media", data=b"")


@pytest.mark.parametrize("code", ["queue-full", "stopping"])
def test_who_comes_at_a_bad_time_is_told_when_to_come_again(daemon, code):
    daemon.jobs.fails_with = ScumbleError(code, "Not now.")
    response = daemon.post_job(503)
    assert response.json["code"] == code
    assert int(response.headers["Retry-After"]) >= 1


def test_jobs_are_listed(daemon):
    ids = [daemon.job() for _ in range(3)]
    listed = daemon.ask("GET", "/v1/jobs", 200).json["jobs"]
    assert [each["id"] for each in listed] == ids[::-1]
    assert len(daemon.ask("GET", "/v1/jobs?limit=2&state=queued", 200).json["jobs"]) == 2
    assert daemon.ask("GET", "/v1/jobs?state=done", 200).json["jobs"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=", "state=asleep", "limit=1&limit=2", "colour=red", "state="]
)
def test_a_bad_query_is_refused_by_name(daemon, query):
    problem = daemon.refused("GET", f"/v1/jobs?{query}", "bad-request")
    assert query.partition("=")[0] in problem["detail"]


def test_waiting_for_a_job(daemon):
    id = daemon.job()
    daemon.ask("GET", f"/v1/jobs/{id}?after=3&wait=2.5", 200)
    daemon.ask("GET", f"/v1/jobs/{id}?after=0", 200)
    daemon.ask("GET", f"/v1/jobs/{id}?wait=5", 200)
    assert daemon.jobs.calls == [("wait", id, 3, 2.5), ("wait", id, 0, 0.0)]
    for query in ("after=-1&wait=1", "after=1&wait=61", "after=1&wait=nan", "after=1.5", "after=x"):
        daemon.refused("GET", f"/v1/jobs/{id}?{query}", "bad-request")


def test_a_job_that_is_not_there(daemon):
    for method, rest in [("GET", ""), ("DELETE", ""), ("GET", "/preview"), ("GET", "/result"), ("POST", "/stop")]:
        daemon.refused(method, f"/v1/jobs/nobody{rest}", "not-found")
    daemon.refused("POST", "/v1/jobs/nobody/move", "not-found", json={"position": 0})
    daemon.refused("POST", "/v1/jobs/nobody/continue", "not-found")
    for path in ("/v1/jobs/", "/v1//jobs", "/v1/jobs/a/b/c", "/v1/jobs/..%2Fx/y", "/v1/nothing", "/v2/jobs", "/v1"):
        daemon.refused("GET", path, "not-found", is_described=False)


def test_stopping(daemon):
    id = daemon.job()
    daemon.ask("POST", f"/v1/jobs/{id}/stop", 200)
    daemon.ask("POST", f"/v1/jobs/{id}/stop", 200, json={})
    daemon.ask("POST", f"/v1/jobs/{id}/stop", 200, json={"keep": True})
    assert [call[2] for call in daemon.jobs.calls] == [False, False, True]


def test_moving(daemon):
    id = daemon.job()
    daemon.ask("POST", f"/v1/jobs/{id}/move", 200, json={"position": 3})
    daemon.ask("POST", f"/v1/jobs/{id}/move", 200, data=b'{"position": 2.0}', content_type="application/json")
    assert daemon.jobs.calls == [("move", id, 3), ("move", id, 2)]
    for wrong in ({}, {"position": -1}, {"position": "3"}, {"position": False}, {"position": 1.5}):
        problem = daemon.refused("POST", f"/v1/jobs/{id}/move", "bad-request", json=wrong)
        assert problem["detail"].startswith("position: ")


def test_going_on(daemon):
    id = daemon.job()
    job = daemon.ask("POST", f"/v1/jobs/{id}/continue", 202, json={"changes": {"strength": 5}}).json
    assert job["continues"] == id
    assert daemon.jobs.calls[0] == ("go_on", id, {"strength": 5})
    daemon.refused("POST", f"/v1/jobs/{id}/continue", "bad-recipe", json={"changes": {"features": "/x"}})


def test_forgetting(daemon):
    id = daemon.job()
    assert daemon.ask("DELETE", f"/v1/jobs/{id}", 204).data == b""
    daemon.refused("GET", f"/v1/jobs/{id}", "not-found")


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", "bad-request"),
        (b"[]", "application/json", "bad-request"),
        (b"null", "application/json", "bad-request"),
        (b"\xff\xfe", "application/json", "bad-request"),
        (b"[" * 4000, "application/json", "bad-request"),
        (b'{"keep": NaN}', "application/json", "bad-request"),
        (b'{"keep": "\\udead"}', "application/json", "bad-request"),
        (b'{"keep": 1}', "application/json", "bad-request"),
        (b'{"keep": "yes"}', "application/json", "bad-request"),
        (b'{"Keep": true}', "application/json", "bad-request"),
        (b"{}", "text/plain", "unsupported-media"),
        (b"{}", "application/x-www-form-urlencoded", "unsupported-media"),
        (b"{}", None, "unsupported-media"),
        (b'{"keep": true, "x": "' + b"x" * 6_000 + b'"}', "application/json", "request-too-large"),
    ],
)
def test_a_bad_body_is_refused(daemon, body, content_type, code):
    id = daemon.job()
    daemon.refused("POST", f"/v1/jobs/{id}/stop", code, data=body, content_type=content_type)
    assert daemon.jobs.calls == []


def test_the_charset_of_json_may_be_said(daemon):
    daemon.ask("POST", f"/v1/jobs/{daemon.job()}/stop", 200, data=b"{}", content_type="application/json; charset=utf-8")


# ------------------------------------------------------------------------------------------------------------- pictures


def test_a_preview(daemon):
    id = daemon.job()
    daemon.refused("GET", f"/v1/jobs/{id}/preview", "not-found")
    first = encode(decode(CONTENT), "jpeg")
    daemon.jobs.previews[id] = (1, first)
    response = daemon.ask("GET", f"/v1/jobs/{id}/preview", 200)
    assert (response.mimetype, response.data) == ("image/jpeg", first)
    seen = {"If-None-Match": response.headers["ETag"]}
    again = daemon.ask("GET", f"/v1/jobs/{id}/preview", 304, headers=seen)
    assert again.headers["ETag"] == response.headers["ETag"]
    daemon.ask("GET", f"/v1/jobs/{id}/preview", 304, headers={"If-None-Match": f'"x", W/{seen["If-None-Match"]}'})
    daemon.jobs.previews[id] = (2, encode(decode(STYLE), "jpeg"))
    daemon.ask("GET", f"/v1/jobs/{id}/preview", 200, headers=seen)


@pytest.fixture
def done(daemon):
    """The address of a result."""
    id = daemon.job()
    daemon.jobs.results[id] = CONTENT
    return f"/v1/jobs/{id}/result"


def test_a_result_is_sent_as_it_is_kept(daemon, done):
    response = daemon.ask("GET", done, 200)
    assert (response.mimetype, response.data) == ("image/png", CONTENT)
    assert int(response.headers["Content-Length"]) == len(CONTENT)
    assert response.headers["Vary"] == "Accept"
    assert "no-store" not in response.headers["Cache-Control"]
    response.close()
    assert daemon.jobs.sent == [done.split("/")[3]]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/tiff", "image/tiff"),
        ("image/webp", "image/webp"),
        ("image/jpeg", "image/jpeg"),
        ("application/x-npy", "application/x-npy"),
        ("application/x-npy, application/problem+json", "application/x-npy"),
        ("image/png;q=0.2, image/webp;q=0.8", "image/webp"),
        ("image/*;q=0.5, image/tiff", "image/tiff"),
        ("image/png;q=0, */*", "image/tiff"),
        ("image/*, image/png;q=0.1", "image/tiff"),
        ("text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8", "image/webp"),
    ],
)
def test_a_result_in_the_form_that_is_liked_best(daemon, done, accept, media):
    response = daemon.ask("GET", done, 200, headers={"Accept": accept})
    assert response.mimetype == media
    difference = decode(response.data).pixels.astype(int) - decode(CONTENT).pixels
    assert abs(difference).max() <= (3 if media == "image/jpeg" else 0)


@pytest.mark.parametrize("accept", ["text/html", "application/json", "image/png;q=0", "image/gif", "*/*;q=0"])
def test_a_result_in_a_form_that_there_is_not(daemon, done, accept):
    daemon.refused("GET", done, "not-acceptable", headers={"Accept": accept})
    assert daemon.jobs.sent == []


def test_depth_is_kept_as_far_as_the_form_has_it(daemon, done):
    id = done.split("/")[3]
    daemon.jobs.results[id] = png(value=40_000, dtype=np.uint16)
    response = daemon.ask("GET", done, 200)
    assert response.data == daemon.jobs.results[id]
    floats = Picture(np.full((4, 5, 3), 0.3, np.float32))
    daemon.jobs.results[id] = encode(floats, "tiff")
    for media, depth in (("image/png", "uint16"), ("image/tiff", "float32"), ("application/x-npy", "float32")):
        response = daemon.ask("GET", done, 200, headers={"Accept": media})
        assert decode(response.data).depth == depth
    response = daemon.ask("GET", done, 200, headers={"Accept": "image/tiff"})
    assert response.data == daemon.jobs.results[id]


def test_each_form_of_a_result_has_its_own_tag(daemon, done):
    tags = {
        media: daemon.ask("GET", done, 200, headers={"Accept": media}).headers["ETag"]
        for media in ("image/png", "image/tiff", "image/webp")
    }
    assert len(set(tags.values())) == 3
    daemon.jobs.sent.clear()
    for media, tag in tags.items():
        daemon.ask("GET", done, 304, headers={"Accept": media, "If-None-Match": tag})
        daemon.ask("GET", done, 200, headers={"Accept": "image/jpeg", "If-None-Match": tag}).close()
    daemon.ask("GET", done, 304, headers={"If-None-Match": "*"})
    assert len(daemon.jobs.sent) == 3


def test_a_result_that_nobody_read_is_not_said_to_be_sent(daemon, done):
    response = daemon.ask("HEAD", done, 200)
    assert (response.data, int(response.headers["Content-Length"])) == (b"", len(CONTENT))
    response.close()
    assert daemon.jobs.sent == []


def test_a_result_that_is_not_there_yet(daemon):
    daemon.refused("GET", f"/v1/jobs/{daemon.job()}/result", "wrong-state")


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "image/png"),
        ("*/*", "image/png"),
        ("image/tiff", "image/tiff"),
        ("application/x-npy", "application/x-npy"),
        ("image/webp, image/jpeg, image/*;q=0.1", "image/png"),
    ],
)
def test_a_mask_is_there_before_the_result(daemon, accept, media):
    id = daemon.job()
    response = daemon.ask("GET", f"/v1/jobs/{id}/mask", 200, headers={"Accept": accept} if accept else {})
    assert response.mimetype == media
    assert decode(response.data).pixels.tolist() == MASK.pixels.tolist()
    assert int(response.headers["Content-Length"]) == len(response.data)
    assert response.headers["Vary"] == "Accept"
    assert daemon.jobs.sent == []


def test_a_mask_as_an_array_has_a_channel(daemon):
    response = daemon.ask("GET", f"/v1/jobs/{daemon.job()}/mask", 200, headers={"Accept": "application/x-npy"})
    array = np.load(io.BytesIO(response.data))
    assert (array.shape, array.dtype) == ((8, 12, 1), np.uint8)


def test_a_mask_that_the_client_has_is_not_computed_again(daemon):
    id, other = daemon.job(), daemon.post_job(recipe=json.dumps({"feather_px": 2})).json["id"]
    tag = daemon.ask("GET", f"/v1/jobs/{id}/mask", 200).headers["ETag"]
    has = {"If-None-Match": tag}
    before = len(daemon.jobs.calls)
    assert daemon.ask("GET", f"/v1/jobs/{id}/mask", 304, headers=has).headers["ETag"] == tag
    assert len(daemon.jobs.calls) == before
    daemon.ask("GET", f"/v1/jobs/{id}/mask", 200, headers={**has, "Accept": "image/tiff"})
    daemon.ask("GET", f"/v1/jobs/{other}/mask", 200, headers=has)


def test_a_mask_that_cannot_be_had(daemon):
    id = daemon.job()
    for accept in ("image/webp", "image/jpeg", "text/html"):
        problem = daemon.refused("GET", f"/v1/jobs/{id}/mask", "not-acceptable", headers={"Accept": accept})
        assert problem["hint"] == "Accept image/png, image/tiff or application/x-npy."
    daemon.jobs.gone.add(id)
    daemon.refused("GET", f"/v1/jobs/{id}/mask", "result-gone")
    daemon.refused("GET", "/v1/jobs/nobody/mask", "not-found")


# --------------------------------------------------------------------------------------------------------------- styles


def test_a_style_comes_and_goes(daemon):
    crop = json.dumps({"x": 1, "y": 1, "width": 4, "height": 3})
    parts = form(picture=STYLE, name="My night", tags=["dark, blue", "oil"], crop=crop)
    response = daemon.ask("POST", "/v1/styles", 201, **parts)
    style = response.json
    where = response.headers["Location"]
    assert where == f"/v1/styles/{style['id']}"
    assert (style["tags"], style["width"], style["crop"]["x"]) == (["dark", "blue", "oil"], 4, 1)
    assert daemon.ask("GET", where, 200).json == style
    assert style in daemon.ask("GET", "/v1/styles", 200).json["styles"]
    assert daemon.ask("GET", "/v1/styles?tag=oil", 200).json["styles"][0] == style
    changed = daemon.ask("PATCH", where, 200, json={"name": "Other", "crop": None}).json
    assert (changed["name"], changed["crop"], changed["tags"]) == ("Other", None, style["tags"])
    daemon.ask("DELETE", where, 204)
    daemon.refused("GET", where, "not-found")


def test_the_pictures_of_a_style(daemon):
    where = daemon.ask("POST", "/v1/styles", 201, **form(picture=STYLE, name="N")).headers["Location"]
    picture = daemon.ask("GET", f"{where}/picture", 200)
    assert (picture.mimetype, picture.data) == ("image/png", STYLE)
    thumbnail = daemon.ask("GET", f"{where}/thumbnail", 200)
    assert decode(thumbnail.data).size == (6, 6)
    for rest, answer in (("picture", picture), ("thumbnail", thumbnail)):
        daemon.ask("GET", f"{where}/{rest}", 304, headers={"If-None-Match": answer.headers["ETag"]})


def test_a_bad_style_is_refused(daemon):
    daemon.refused("POST", "/v1/styles", "bad-request", **form(picture=STYLE))
    daemon.refused("POST", "/v1/styles", "missing-picture", **form(name="N"))
    daemon.refused("POST", "/v1/styles", "bad-picture", **form(picture=b"x", name="N"))
    daemon.refused("POST", "/v1/styles", "unsupported-media", json={})
    crop = json.dumps({"x": 1, "y": 1, "width": 400, "height": 3})
    daemon.refused("POST", "/v1/styles", "bad-style", **form(picture=STYLE, name="N", crop=crop))
    daemon.refused("DELETE", "/v1/styles/night", "wrong-state")
    for rest in ("", "/picture", "/thumbnail"):
        daemon.refused("GET", f"/v1/styles/..{rest}", "not-found")


# --------------------------------------------------------------------------------------------------- methods and errors


def test_other_methods_are_refused_with_those_that_there_are(daemon):
    for path, operations in daemon.document["paths"].items():
        address = path.replace("{id}", "x")
        known = {method.upper() for method in operations}
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - known:
            response = daemon.ask(method, address, 405, is_described=False)
            assert set(response.headers["Allow"].split(", ")) == known
            assert method == "HEAD" or response.json["code"] == "wrong-method"


def test_headers_alone_can_be_asked_for(daemon):
    id = daemon.job()
    for path in ("/v1/health", "/v1/jobs", f"/v1/jobs/{id}", "/v1/presets", "/", "/v1/openapi.json", "/v1/styles"):
        response = daemon.ask("HEAD", path, 200)
        assert response.data == b""
        assert response.mimetype == daemon.ask("GET", path, 200).mimetype
    assert daemon.ask("HEAD", "/v1/jobs/nobody", 404).data == b""


def test_a_mistake_is_logged_and_not_shown(daemon, caplog):
    daemon.jobs.fails_with = RuntimeError("the inside of it")
    problem = daemon.refused("GET", "/v1/jobs/x", "internal")
    assert "inside" not in json.dumps(problem)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "scumble.service"
    assert record.exc_info[1] is daemon.jobs.fails_with


def test_a_body_over_the_limit_is_a_problem_without_the_server_too(daemon):
    daemon.refused("POST", f"/v1/jobs/{daemon.job()}/stop", "request-too-large", data=b"x" * 6_000)


def test_each_request_has_its_line_in_the_log(daemon, caplog):
    id = daemon.job()
    caplog.set_level(logging.DEBUG, "scumble.service")
    caplog.clear()
    daemon.ask("GET", "/v1/presets", 200)
    daemon.ask("GET", "/v1/health", 200)
    daemon.ask("GET", f"/v1/jobs/{id}", 200)
    daemon.ask("GET", "/v1/a%0Ab", 404, is_described=False)
    daemon.ask("GET", "/v1/jobs", 401, token="wrong")
    found = [(record.levelname, re.sub(r", \d+ ms", "", record.message)) for record in caplog.records]
    assert found == [
        ("INFO", "GET /v1/presets 200"),
        ("DEBUG", "GET /v1/health 200"),
        ("DEBUG", f"GET /v1/jobs/{id} 200"),
        ("INFO", "GET /v1/a%0Ab 404"),
        ("INFO", "GET /v1/jobs 401"),
    ]
    assert TOKEN not in caplog.text


def test_the_description_names_what_is_served(daemon):
    paths = daemon.document["paths"]
    served = {
        (method, re.sub("<(.*?)>", r"{\1}", rule.rule))
        for rule in daemon.app.url_map.iter_rules()
        for method in rule.methods
    }
    assert served == {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert len({operation["operationId"] for each in paths.values() for operation in each.values()}) == len(served)
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(daemon.document)):
        assert reference in daemon.document["components"]["schemas"]
    assert TOKEN not in json.dumps(daemon.document)
