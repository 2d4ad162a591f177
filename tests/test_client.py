"""The client, against a daemon that does what a test tells it to."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from fake_daemon import TOKEN, FakeDaemon, answer, done, failed, hang_up, problem, queued, running, slow, words

from scumble import client as module
from scumble.cli import cli
from scumble.client import Client
from scumble.errors import ScumbleError
from scumble.picture import Picture, decode, encode, load, save
from scumble.protocol import State
from scumble.recipe import Quality, Recipe
from scumble.upload import Body, field, job_parts, picture_part

PIXELS = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
MASK = np.zeros((48, 64), bool)
MASK[:, :32] = True


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SCUMBLE_URL", raising=False)
    monkeypatch.delenv("SCUMBLE_TOKEN", raising=False)
    monkeypatch.setattr(module.runtime, "start", only_find)
    return tmp_path


def only_find(home, options=()):
    """In place of `runtime.start`: a test that is wrong shall not leave a daemon behind."""
    found = module.runtime.find(home)
    assert found, "a daemon would have been started"
    return found, False


@pytest.fixture
def daemon(place):
    with FakeDaemon(place / "home") as daemon:
        yield daemon


@pytest.fixture
def client(daemon):
    with Client(retries=2, timeout_s=5) as client:
        yield client


@pytest.fixture
def pauses(monkeypatch):
    """What the client waits between two questions, without the wait."""
    pauses = []
    monkeypatch.setattr(module, "_sleep", lambda seconds: pauses.append(seconds) if seconds > 0 else None)
    return pauses


@contextlib.contextmanager
def refused(code):
    with pytest.raises(ScumbleError) as caught:
        yield caught
    assert caught.value.code == code, caught.value


def array_of(data):
    return np.load(io.BytesIO(data), allow_pickle=False)


# --------------------------------------------------------------------------------------------------- finding the daemon


def test_without_a_daemon_it_says_so():
    with refused("no-daemon") as caught:
        Client()
    assert "scumble start" in caught.value.hint
    with refused("no-daemon"):
        Client.local(start=False)


def test_the_local_daemon_is_found_and_an_address_wins_over_it(daemon, monkeypatch):
    assert Client().health().name == "scumble"
    with FakeDaemon() as other:
        assert Client(other.url, TOKEN).health().name == "scumble"
        monkeypatch.setenv("SCUMBLE_URL", other.url + "/")
        with refused("unauthorized") as caught:
            Client()
        assert "SCUMBLE_TOKEN" in caught.value.hint
        monkeypatch.setenv("SCUMBLE_TOKEN", TOKEN)
        assert Client().url == other.url
        Client().health()
        assert other.count("GET /v1/health") == 4


def test_local_starts_one_and_says_whether_it_did(daemon, place, monkeypatch):
    found = module.runtime.read(place / "home")
    monkeypatch.setattr(module.runtime, "start", lambda home, options: (found, (home, options)))
    client = Client.local(options=["--device", "cpu"])
    assert client.was_started == (place / "home", ["--device", "cpu"])
    assert client.health().name == "scumble"


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x", "http://", "http://u:p@x", "http://x:port"])
def test_what_is_no_address_is_refused(url):
    with refused("unreachable") as caught:
        Client(url, TOKEN)
    assert "http://127.0.0.1:8765" in caught.value.hint


def test_the_token_is_never_shown(daemon, client):
    daemon.once("GET /v1/presets", problem("unauthorized"))
    with refused("unauthorized") as caught:
        client.presets()
    for text in (repr(client), repr(caught.value), str(caught.getrepr(style="long", showlocals=False))):
        assert TOKEN not in text
    assert TOKEN not in repr(vars(client))


def test_another_protocol_is_refused_before_anything_is_asked(daemon):
    client = Client()
    daemon.protocol = 2
    with refused("incompatible-daemon"):
        client.jobs()
    daemon.protocol = 1
    client.jobs()
    client.jobs()
    assert [str(asked) for asked in daemon.asked[1:]] == [*["GET /v1/health"] * 2, *["GET /v1/jobs"] * 2]


def test_proxies_are_not_asked_for_this_machine_and_netrc_says_no_other_password(daemon, place, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (place / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(place / "netrc"))
    assert Client(retries=0).health().name == "scumble"
    assert Client("http://example.org", TOKEN)._session.trust_env
    daemon.asked.clear()
    client = Client(retries=0)
    client._session.trust_env = True
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client.health()
    assert {asked.headers["authorization"] for asked in daemon.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("words", "heavy"),
    [("scumble; scumble.Client", {"torch", "flask", "rich", "click"}), ("scumble.remote", {"torch", "flask"})],
)
def test_nothing_heavy_is_loaded(words, heavy):
    code = f"import sys, {words}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "scumble.client" in loaded
    assert not heavy & set(loaded)
    assert not [name for name in loaded if name.startswith("scumble.service")]


# ------------------------------------------------------------------------------------------------------- what is sent


def sent(daemon):
    asked = next(asked for asked in daemon.asked if str(asked) == "POST /v1/jobs")
    return json.loads(asked.parts["recipe"]), asked.files


def test_a_job_of_paths_bytes_pictures_and_arrays(daemon, client, place):
    save(Picture(PIXELS), place / "photo.png")
    save(Picture(PIXELS[:9]), place / "a b.png")
    jpeg = encode(Picture(PIXELS), "jpeg")
    styles = [place / "a b.png", jpeg, Picture(PIXELS[:8]), PIXELS[:7].astype(np.uint16), "library:night", "a b.png"]
    job = client.submit("photo.png", styles, mask=MASK, strength=80, quality=Quality.DRAFT, lease_s=5)
    assert (job.id, job.state, job.width, job.height) == ("job-1", State.QUEUED, 64, 48)
    recipe, files = sent(daemon)
    names = [style["picture"] for style in recipe["styles"]]
    assert names == ["a-b.png", "style-2", "style-3", "style-4", "library:night", "a-b-2.png"]
    assert {key: recipe[key] for key in ("strength", "quality", "selection")} == {
        "strength": 80,
        "quality": "draft",
        "selection": "mask",
    }
    assert set(files) == {"content", "mask", *names} - {"library:night"}
    assert files["content"] == (place / "photo.png").read_bytes()
    assert files["style-2"] == jpeg
    assert (array_of(files["style-3"]) == PIXELS[:8]).all()
    assert array_of(files["style-4"]).dtype == np.uint16
    assert (array_of(files["mask"]) == MASK * np.uint8(255)).all()
    assert daemon.asked[-1].parts["lease_s"] == "5"


def test_regions_and_styles_with_fields_of_their_own(daemon, client):
    save(Picture(PIXELS), "night.png")
    styles = [
        {"picture": "night.png", "region": "sky", "weight": 2, "part": MASK},
        {"picture": "night.png", "region": "the sea"},
    ]
    client.submit(PIXELS, styles, regions={"sky": MASK, "the sea": ~MASK})
    recipe, files = sent(daemon)
    assert recipe["styles"] == [
        {"picture": "night.png", "region": "sky", "weight": 2.0, "part": "style-1-part"},
        {"picture": "night.png", "region": "the sea"},
    ]
    assert recipe["regions"] == [{"name": "sky", "mask": "sky"}, {"name": "the sea", "mask": "the-sea"}]
    assert set(files) == {"content", "night.png", "style-1-part", "sky", "the-sea"}
    assert (array_of(files["the-sea"]) == ~MASK * np.uint8(255)).all()


def test_the_names_of_a_recipe_become_safe_and_stay_apart(daemon, client):
    recipe = Recipe.parse(
        {
            "styles": [{"picture": "/x/m.png", "region": "r"}, {"picture": '../y/m.png"\r\nX: "', "part": "content"}],
            "regions": [{"name": "r", "mask": "mask"}],
            "selection": "library:sel",
            "start": "picture",
            "start_picture": "Ölbild.png",
            "steady_picture": "moved?",
            "steady_mask": "trust!",
        }
    )
    pictures = {name: np.full((2, 2), number, np.uint8) for number, name in enumerate(recipe.names)}
    client.submit(PIXELS, recipe=recipe, pictures={**pictures, "unused": "no such file"})
    told, files = sent(daemon)
    where = [(told["styles"][0], "picture"), (told["styles"][1], "picture"), (told["styles"][1], "part")]
    where += [(told["regions"][0], "mask"), (told, "start_picture")]
    where += [(told, "steady_picture"), (told, "steady_mask")]
    names = [place[key] for place, key in where]
    assert names == ["m.png", "m.png-X-", "content-2", "mask-2", "lbild.png", "moved-", "trust-"]
    assert told["selection"] == "library:sel"
    assert set(files) == {"content", *names}
    originals = ["/x/m.png", '../y/m.png"\r\nX: "', "content", "mask", "Ölbild.png", "moved?", "trust!"]
    for name, original in zip(names, originals, strict=True):
        assert (array_of(files[name]) == pictures[original]).all()


def test_a_preset_by_its_name(daemon, client):
    client.submit(PIXELS, [PIXELS], recipe="gatys-2016", strength=10)
    assert sent(daemon)[0] == Recipe.from_preset("gatys-2016", strength=10, styles=[{"picture": "style-1"}]).as_dict()


@pytest.mark.parametrize(
    ("code", "content", "how"),
    [
        ("missing-file", "nothing.png", {}),
        ("bad-picture", ".", {}),
        ("bad-picture", PIXELS.astype(float), {}),
        ("bad-picture", PIXELS[:0], {}),
        ("bad-picture", PIXELS[None], {}),
        ("bad-recipe", PIXELS, {"strenght": 3}),
        ("bad-recipe", PIXELS, {"recipe": "drft"}),
        ("bad-recipe", PIXELS, {"mask": MASK, "selection": "x"}),
        ("bad-recipe", PIXELS, {"styles": [PIXELS], "recipe": {"styles": [{"picture": "a"}]}}),
        ("missing-picture", PIXELS, {"recipe": {"styles": [{"picture": "a"}]}, "pictures": {"b": PIXELS}}),
    ],
)
def test_what_cannot_be_sent_is_refused_before_the_daemon_is_asked(daemon, client, code, content, how):
    daemon.asked.clear()
    with refused(code):
        client.submit(content, **how)
    assert not daemon.asked


def test_pictures_keep_what_an_array_cannot_say():
    icc = Picture(PIXELS, encode_icc()).icc
    assert icc is not None
    for pixels in (PIXELS, PIXELS.astype(np.uint16) * 256, (PIXELS / 255).astype(np.float32)):
        for picture in (Picture(pixels, icc), Picture(pixels, text={"a": "ü"}), Picture(pixels[..., :2])):
            part = picture_part("x", picture)
            again = decode(b"".join(part.blocks()))
            assert part.media_type == ("image/tiff" if pixels.dtype == np.float32 else "image/png")
            assert (again.pixels == picture.pixels).all()
            assert again.depth == picture.depth
            assert (again.icc, dict(again.text)) == (picture.icc, dict(picture.text))
        assert picture_part("x", Picture(pixels)).media_type == "application/x-npy"


def encode_icc():
    import imagecodecs

    return bytes(imagecodecs.cms_profile("adobergb"))


@pytest.mark.parametrize(
    "array",
    [PIXELS[::2, ::-1], np.asfortranarray(PIXELS), PIXELS[..., 0].astype(">u2"), np.zeros((700, 800, 3), np.float32)],
    ids=["strided", "fortran", "big-endian", "large"],
)
def test_arrays_arrive_as_they_are(array):
    part = picture_part("x", array)
    blocks = list(part.blocks())
    data = b"".join(blocks)
    assert len(data) == part.size
    assert max(map(len, blocks)) <= 2**20
    assert (array_of(data) == array).all()
    assert array_of(data).dtype == array.dtype


def test_a_body_is_as_long_as_it_says_can_be_sent_again_and_copies_no_array():
    large = np.zeros((1000, 1000, 4), np.float32)
    parts = job_parts(large, [large[:5]])
    body = Body([*parts, field("lease_s", "5")])
    once, again = b"".join(body), b"".join(body)
    assert len(body) == len(once)
    assert once == again
    assert any(np.shares_memory(np.frombuffer(block, np.uint8), large) for block in body)


def test_a_file_that_becomes_shorter_is_not_waited_for(place):
    (place / "x.png").write_bytes(b"12345")
    part = picture_part("x", place / "x.png")
    (place / "x.png").write_bytes(b"123")
    with refused("bad-picture"):
        list(part.blocks())
    (place / "x.png").unlink()
    with refused("bad-picture"):
        list(part.blocks())


# ------------------------------------------------------------------------------------------------------------- trouble


def test_a_refusal_keeps_its_code_sentence_and_hint(daemon, client):
    daemon.once("GET /v1/jobs/x", problem("result-gone", "It is gone."))
    with refused("result-gone") as caught:
        client.job("x")
    assert (caught.value.detail, caught.value.hint) == ("It is gone.", "Do something about it.")
    daemon.once("GET /v1/jobs/x", problem("made-up", status=418))
    with refused("internal") as caught:
        client.job("x")
    assert caught.value.detail == "It cannot be."


def test_what_is_no_daemon_is_told_from_one(daemon, client):
    elsewhere = (302, "text/html", b"", {"Location": f"{daemon.url}/v1/presets"})
    for mishap in (words("<h1>404</h1>", 404), lambda asked: elsewhere):
        daemon.once("GET /v1/jobs", mishap)
        with refused("unreachable") as caught:
            client.jobs()
        assert "it is no daemon" in caught.value.detail
    assert daemon.count("GET /v1/presets") == 0  # a redirection would be given the token
    daemon.once("GET /v1/jobs", words("{}"))
    with refused("incompatible-daemon"):
        client.jobs()


def test_a_job_whose_answer_was_lost_is_posted_again_and_is_one_job(daemon, client, pauses):
    daemon.once("POST /v1/jobs", lambda asked: daemon._submit(asked) and None, problem("queue-full", retry_after=3))
    job = client.submit(PIXELS, [PIXELS])
    posted = [asked for asked in daemon.asked if str(asked) == "POST /v1/jobs"]
    assert len(posted) == 3
    assert len({asked.headers["idempotency-key"] for asked in posted}) == 1
    assert len({asked.body for asked in posted}) == 1
    assert list(daemon.jobs) == [job.id]
    assert pauses == [0.2, 3.0]
    assert client.submit(PIXELS, [PIXELS]).id != job.id
    assert client.submit(PIXELS, [PIXELS], key="mine").id == client.submit(PIXELS, [PIXELS], key="mine").id == "job-3"


@pytest.mark.parametrize(
    ("mishap", "code"),
    [
        (hang_up, "unreachable"),
        (slow(0.4), "unreachable"),
        (words("", 504), "unreachable"),
        (problem("queue-full"), "queue-full"),
        (problem("bad-request", status=429), "bad-request"),
    ],
)
def test_retries_come_to_an_end(daemon, pauses, mishap, code):
    client = Client(daemon.url, TOKEN, timeout_s=0.2, retries=2)
    client.health()
    daemon.once("GET /v1/jobs", *[mishap] * 9)
    with refused(code):
        client.jobs()
    assert daemon.count("GET /v1/jobs") == 3
    assert pauses == [0.2, 0.4]


@pytest.mark.parametrize("mishap", [hang_up, problem("queue-full", retry_after=1)])
def test_what_may_do_harm_twice_is_asked_once(daemon, client, mishap):
    job = client.submit(PIXELS, [PIXELS])
    calls = {
        f"POST /v1/jobs/{job.id}/stop": lambda: client.stop(job),
        f"POST /v1/jobs/{job.id}/move": lambda: client.move(job, 0),
        f"DELETE /v1/jobs/{job.id}": lambda: client.forget(job),
        "POST /v1/shutdown": client.shutdown,
    }
    for what, call in calls.items():
        daemon.once(what, mishap)
        with pytest.raises(ScumbleError):
            call()
        assert daemon.count(what) == 1


def test_other_refusals_are_not_repeated(daemon, client):
    daemon.once("GET /v1/jobs", problem("internal"))
    with refused("internal"):
        client.jobs()
    assert daemon.count("GET /v1/jobs") == 1


def test_a_retry_after_of_an_hour_is_not_waited_for(daemon, client, pauses):
    daemon.once(
        "GET /v1/jobs", problem("queue-full", retry_after=3600), problem("queue-full", retry_after="Fri, 1 Jan")
    )
    client.jobs()
    assert pauses == [10.0, 1.0]


def test_nobody_there_is_told_with_a_hint(daemon, pauses):
    client = Client(daemon.url, TOKEN, retries=1)
    daemon.stop()
    with refused("unreachable") as caught:
        client.jobs()
    assert daemon.url in caught.value.detail
    assert "address" in caught.value.hint


# ----------------------------------------------------------------------------------------------------------- following


def test_following_tells_everything_once_and_ends(daemon, client):
    daemon.story = [queued(), running(1), running(2), done()]
    job = client.submit(PIXELS, [PIXELS])
    assert [each.seq for each in client.follow(job)] == [1, 2, 3, 4]
    told = [(asked.query.get("after"), asked.query.get("wait")) for asked in daemon.asked[-4:]]
    assert told == [(None, None), ("1", "10"), ("2", "10"), ("3", "10")]
    assert [each.seq for each in client.follow(job.id)] == [4]


def test_it_is_never_a_busy_loop(daemon, client):
    daemon.story = [running(1)]  # and answers at once, for ever
    job = client.submit(PIXELS, [PIXELS])
    began = time.monotonic()
    for number, each in enumerate(client.follow(job, every_s=0.01)):
        assert each.seq == 1
        if number == 3:
            break
    assert 0.9 <= time.monotonic() - began < 3


def test_a_daemon_that_restarts_elsewhere_is_found_again(daemon, client):
    daemon.story = [queued(), running(1), running(2), done()]
    job = client.submit(PIXELS, [PIXELS])
    before = daemon.url
    daemon.once(f"GET /v1/jobs/{job.id}", hang_up, daemon.restart)
    assert [each.state.value for each in client.follow(job)] == ["queued", "running", "running", "done"]
    assert client.url == daemon.url != before
    assert daemon.count("GET /v1/health") == 3  # of the new one its protocol is asked as well


def test_a_new_token_at_the_old_address_is_found_too(daemon, client, place):
    client.jobs()
    daemon.token = "another-token-than-before"
    daemon.stop()
    with refused("unreachable"):
        Client("http://127.0.0.1:9", TOKEN, retries=0).jobs()
    daemon.start()
    client._go_to(daemon.url, TOKEN)
    assert client.jobs() == []
    with refused("unauthorized"):
        Client(daemon.url, TOKEN).jobs()


def test_patience_ends(daemon, client, monkeypatch):
    job = client.submit(PIXELS, [PIXELS])
    daemon.stop()
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "_sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with refused("unreachable"):
        list(client.follow(job, patience_s=30))
    assert 27 < now[0] <= 30


# ------------------------------------------------------------------------------------------------------------ painting


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_paint_is_all_in_one_and_keeps_the_depth(daemon, client, dtype):
    content = (PIXELS / 255).astype(dtype) if dtype == "float32" else PIXELS.astype(dtype)
    heard = []
    painted = client.paint(content, [PIXELS], on_progress=lambda job: heard.append(job.phase))
    assert heard == ["waiting", "painting", "finished"]
    assert painted.depth == dtype
    assert (painted.pixels == (1 if dtype == "float32" else np.iinfo(dtype).max) - content).all()
    assert float(next(each for each in daemon.asked if str(each) == "POST /v1/jobs").parts["lease_s"]) > 60


def test_a_true_answer_stops_once_and_keeps(daemon, client):
    daemon.story = [running(1), running(2), running(3), done()]
    painted = client.paint(PIXELS, [PIXELS], on_progress=lambda job: job.iteration >= 2)
    assert (painted.pixels == 255 - PIXELS).all()
    stops = [asked.said for asked in daemon.asked if str(asked) == "POST /v1/jobs/job-1/stop"]
    assert stops == [{"keep": True}]


def test_a_job_that_ends_while_it_is_stopped_has_a_result_all_the_same(daemon, client):
    daemon.story = [running(1), done()]
    daemon.once("POST /v1/jobs/job-1/stop", problem("wrong-state"))
    assert client.paint(PIXELS, [PIXELS], on_progress=lambda job: True).size == (64, 48)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupt_stops_the_job_and_keeps_nothing(daemon, client, raised):
    def interrupted(job):
        raise raised

    with pytest.raises(raised):
        client.paint(PIXELS, [PIXELS], on_progress=interrupted)
    assert str(daemon.asked[-1]) == "POST /v1/jobs/job-1/stop"
    assert daemon.asked[-1].said == {"keep": False}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such timer")
def test_ctrl_c_is_heard_while_it_waits(daemon, client):
    daemon.story = [running(1)]

    def press(job):
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            client.paint(PIXELS, [PIXELS], on_progress=press)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert daemon.asked[-1].said == {"keep": False}


def test_a_job_that_fails_says_why(daemon, client):
    daemon.story = [running(1), failed("out-of-memory", "Too little.")]
    with refused("out-of-memory") as caught:
        client.paint(PIXELS, [PIXELS])
    assert (caught.value.detail, caught.value.hint) == ("Too little.", "Buy more.")
    assert daemon.count("POST /v1/jobs/job-1/stop") == 0


def test_a_job_that_somebody_else_stopped_is_cancelled(daemon, client):
    daemon.story = [running(1), done(State.STOPPED, has_result=False)]
    with refused("cancelled"):
        client.paint(PIXELS, [PIXELS])


# ----------------------------------------------------------------------------------------------------------- all calls


def test_what_a_job_has_to_show(daemon, client):
    daemon.story = [running(1), {**done(), "preview": 1}]
    job = client.submit(PIXELS, [PIXELS])
    assert client.preview(job) is None
    with refused("not-found"):
        client.preview("job-2")
    with refused("wrong-state"):
        client.result(job)
    list(client.follow(job))
    assert client.preview(job) == b"a small picture"
    for format in ("png", "tiff", "webp", "npy"):
        assert (client.result(job, format).pixels == 255 - PIXELS).all()
    assert decode(client.result_bytes(job, "image/tiff")).text == {"scumble:recipe": "of the daemon"}
    with refused("not-acceptable"):
        client.result(job, "bmp")
    mask = client.mask(job)
    assert (mask.size, mask.depth, mask.pixels.shape[2], mask.pixels.min()) == ((64, 48), "uint8", 1, 77)
    client.forget(job)
    for ask in (client.job, client.mask):
        with refused("not-found"):
            ask(job)


def test_every_call_goes_where_it_belongs(daemon, client):
    job = client.submit(PIXELS, [PIXELS])
    daemon.asked.clear()
    told = {"id": "s", "name": "S", "tags": [], "width": 2, "height": 2, "crop": None, "is_bundled": False}
    style = {**told, "picture": "library:s"}
    for what in ("POST /v1/styles", "PATCH /v1/styles/s", "PATCH /v1/styles/s"):
        daemon.once(what, lambda asked: answer(style))
    daemon.once("GET /v1/styles", lambda asked: answer({"styles": [style]}))
    daemon.once("GET /v1/presets", lambda asked: answer({"presets": [{"name": "a", "description": "b", "recipe": {}}]}))
    daemon.once("GET /v1/styles/s/picture", lambda asked: (200, "image/png", encode(Picture(PIXELS), "png"), {}))
    daemon.once("DELETE /v1/styles/s", lambda asked: (204, "text/plain", b"", {}))
    assert client.jobs(3, "queued")[0].id == job.id
    assert client.move(job, 2).id == job.id
    assert client.continue_(job, 5, strength=3, quality=Quality.FINE).id == job.id
    assert client.estimate({"strength": 3}, 10, 20, (1, 2, 3, 4)).memory_mb == 99
    assert client.styles("oil")[0].name == "S"
    added = client.add_style(PIXELS, "S", ["oil", "new"], (0, 1, 2, 3))
    client.change_style(added, crop=None)
    client.change_style(added.picture, name="T", tags=())
    assert (client.style_picture(added).pixels == PIXELS).all()
    client.remove_style(added)
    assert client.presets()[0].recipe == {}
    client.shutdown()
    assert [(str(asked), asked.query, asked.said if asked.body[:1] == b"{" else None) for asked in daemon.asked] == [
        ("GET /v1/jobs", {"limit": "3", "state": "queued"}, None),
        ("POST /v1/jobs/job-1/move", {}, {"position": 2}),
        (
            "POST /v1/jobs/job-1/continue",
            {},
            {"iterations": 5, "changes": {"strength": 3, "quality": "fine"}, "lease_s": None},
        ),
        (
            "POST /v1/estimate",
            {},
            {"recipe": {"strength": 3}, "width": 10, "height": 20, "bounds": {"x": 1, "y": 2, "width": 3, "height": 4}},
        ),
        ("GET /v1/styles", {"tag": "oil"}, None),
        ("POST /v1/styles", {}, None),
        ("PATCH /v1/styles/s", {}, {"crop": None}),
        ("PATCH /v1/styles/s", {}, {"name": "T", "tags": []}),
        ("GET /v1/styles/s/picture", {}, None),
        ("DELETE /v1/styles/s", {}, None),
        ("GET /v1/presets", {}, None),
        ("POST /v1/shutdown", {}, None),
    ]


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("bad-request", lambda client: client.move("x", -1)),
        ("bad-request", lambda client: client.continue_("x", 0)),
        ("bad-request", lambda client: client.estimate({}, 0, 1)),
        ("bad-request", lambda client: client.estimate({}, 1, 1, (0, 0, 0, 1))),
        ("bad-request", lambda client: client.submit(PIXELS, key="a\nb")),
        ("bad-style", lambda client: client.change_style("x", name="")),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(client, code, call):
    with refused(code):
        call(client)


def test_an_id_never_becomes_another_address(daemon, client):
    for id in ("", ".", ".."):
        with refused("not-found"):
            client.forget(id)
    assert not [asked for asked in daemon.asked if asked.method == "DELETE"]
    with refused("not-found"):
        client.job("../styles?x")
    assert str(daemon.asked[-1]) == "GET /v1/jobs/..%2Fstyles%3Fx"


# ---------------------------------------------------------------------------------------- scumble paint --daemon, demo


def scumble(*words, status=0):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == status, result.stderr
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def files(place):
    (place / "x").mkdir()
    save(Picture(PIXELS), "photo.png")
    save(Picture(PIXELS[:9]), "a.png")
    save(Picture(PIXELS[:8]), "x/a.png")
    save(Picture(MASK.astype(np.uint8)[..., None] * 255), "x/left.png")


PAINT = ["paint", "photo.png", "--style", "a.png", "--style", "x/a.png", "--region", "x/left.png"]


def test_paint_through_the_daemon_looks_as_it_does_without(daemon, files):
    daemon.story = [queued(2), running(1), running(2), done()]
    result = scumble(*PAINT, "--mask", "x/left.png", "--strength", "70", "--daemon", "--save-recipe", "r.json")
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "fake features · 64 × 48 px, 1 level, 4 iterations · cpu · about 99 MB",
        "  0%  waiting  2 jobs before it",
        " 25%  level 1 of 1 (64 × 48)  iteration 1 of 4  loss 1.5 (content 0.5, style 1)  0:03 left",
        "100%  finished",
        "photo-scumble.png written in 1.5 s.",
    ]
    told, parts = sent(daemon)
    assert [style["picture"] for style in told["styles"]] == ["a.png", "a-2.png"]
    assert (told["selection"], told["regions"]) == ("mask", [{"name": "left", "mask": "mask"}])
    assert parts["a-2.png"] == Path("x/a.png").read_bytes()
    painted = load("photo-scumble.png")
    assert (painted.pixels == 255 - PIXELS).all()
    recipe = json.loads(painted.text["scumble:recipe"])
    assert recipe["styles"] == [{"picture": "a.png"}, {"picture": "x/a.png", "region": "left"}]
    assert (recipe["selection"], recipe["strength"]) == ("x/left.png", 70.0)
    assert json.loads(Path("r.json").read_text()) == recipe
    assert (painted.text["scumble:content"], painted.text["scumble:features"]) == ("photo.png", "fake")
    again = scumble("paint", "--recipe", "photo-scumble.png", "--url", daemon.url, "-o", "again.png", status=4)
    assert "SCUMBLE_TOKEN" in again.stderr
    scumble("paint", "--recipe", "photo-scumble.png", "--daemon", "-o", "again.png")
    posts = [asked.files for asked in daemon.asked if str(asked) == "POST /v1/jobs"]
    assert posts[0] == posts[1]
    assert load("again.png").text == painted.text


def test_paint_at_an_address_and_with_a_style_of_the_library(files, monkeypatch):
    monkeypatch.setenv("SCUMBLE_TOKEN", TOKEN)
    with FakeDaemon() as other:
        scumble("paint", "photo.png", "--style", "library:night", "--url", other.url, "-o", "out.tif")
        assert set(sent(other)[1]) == {"content"}
        monkeypatch.setenv("SCUMBLE_URL", other.url)
        scumble("paint", "photo.png", "--style", "library:night", "--daemon")
        assert other.count("POST /v1/jobs") == 2


def test_floats_stay_floats_on_the_way(daemon, files):
    save(Picture((PIXELS / 255).astype(np.float32)), "deep.tif")
    scumble("paint", "deep.tif", "--style", "a.png", "--daemon", "-o", "out.tif")
    assert load("out.tif").depth == "float32"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--device", "cuda"], 2, "--device has no meaning with a daemon"),
        (["--threads", "2"], 2, "--threads has no meaning with a daemon"),
        (["--frames", "x"], 2, "--frames needs every iteration"),
        (["--plot", "x.png"], 2, "--plot needs every iteration"),
        (["--style", "nothing.png"], 2, "There is no file nothing.png."),
        (["-o", "x/left.png"], 2, "x/left.png is one of the pictures"),
    ],
)
def test_what_a_daemon_does_not_do_is_refused_before_one_is_started(files, words, status, sentence):
    first, second = scumble(*PAINT, "--daemon", *words, status=status).stderr.splitlines()
    assert sentence in first
    assert second.startswith("Hint: ")


def test_a_job_that_fails_is_a_sentence_and_a_hint(daemon, files):
    daemon.story = [failed("out-of-memory", "Too little.")]
    lines = scumble(*PAINT, "--daemon", status=3).stderr.splitlines()
    assert lines[-2:] == ["Error: Too little.", "Hint:  Buy more."]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to itself")
@pytest.mark.parametrize(("presses", "status", "keep"), [(1, 0, True), (2, 130, False)])
def test_ctrl_c_keeps_and_a_second_one_discards(daemon, files, presses, status, keep):
    daemon.story = [running(1), running(2), running(3), done()]
    pressed = []

    def press(asked):
        for _ in range(presses):
            pressed.append(os.kill(os.getpid(), signal.SIGINT))
            time.sleep(0.2)  # two that come at once are one
        return daemon._answer(asked)

    daemon.once("GET /v1/jobs/job-1", press)
    result = scumble(*PAINT, "--daemon", status=status)
    assert len(pressed) == presses
    stop = [asked.said["keep"] for asked in daemon.asked if str(asked) == "POST /v1/jobs/job-1/stop"]
    assert stop == [keep]
    assert Path("photo-scumble.png").exists() is keep
    assert ("Stopped after 1 of 4 iterations; what was there is kept." in result.stderr) is keep
    assert ("Error: The painting was discarded." in result.stderr) is not keep


def test_strength_zero_is_told(daemon, files):
    assert "Nothing to paint: the strength is 0." in scumble(*PAINT, "--daemon", "--strength", "0").stderr


@pytest.mark.parametrize("was_started", [True, False])
def test_the_demo_paints_through_the_daemon_and_stops_only_its_own(daemon, place, monkeypatch, was_started):
    found = module.runtime.read(place / "home")
    monkeypatch.setattr(module.runtime, "start", lambda home, options: (found, was_started))
    stopped = []
    monkeypatch.setattr(module.runtime, "stop", stopped.append)
    result = scumble("demo", "--size", "64", "--set", "iterations=2", "-o", "demo")
    assert "All is in demo" in result.stderr
    assert stopped == [place / "home"] * was_started
    told, parts = sent(daemon)
    assert told["styles"] == [{"picture": "bands.png", "region": "sky"}, {"picture": "night.png", "region": "water"}]
    assert (told["size"], told["iterations"], told["quality"]) == (64, [2], "draft")
    assert set(parts) == {"content", "bands.png", "night.png", "mask_sky.png", "mask_water.png"}
    painted = load("demo/result.png")
    assert (painted.pixels == 255 - load("demo/scene.png").pixels).all()
    assert painted.text["scumble:content"] == "scene.png"
    assert load("demo/contact_sheet.png").width > 1000
    assert json.loads(Path("demo/recipe.json").read_text()) == json.loads(painted.text["scumble:recipe"])
