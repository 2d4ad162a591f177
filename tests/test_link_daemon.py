"""The daemon as the plug-ins ask it: every call, what comes back, and what happens when it goes away."""

import hashlib
import io
import json
import threading
import time

import numpy as np
import plugins
import pytest
from daemons import QUICK, STYLE, picture_file, soft_mask, unborn
from daemons import pixels as painted
from daemons import running as running_daemon
from fake_daemon import TOKEN, FakeDaemon, answer, done, failed, hang_up, problem, queued, running, words
from PIL import Image

from scumble import protocol
from scumble.picture import decode
from scumble.recipe import PRESETS, Recipe

plugins.link()
from krita_scumble.link import daemon as module  # noqa: E402
from krita_scumble.link.daemon import Daemon, Device, Job, Style, new_key  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.finder import Address, Finder  # noqa: E402
from krita_scumble.link.pixels import Plane, Rect  # noqa: E402

PIXELS = painted(8, 6, 4)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    """No daemon but the test's own, and one that is gone is given up soon."""
    monkeypatch.delenv("SCUMBLE_URL", raising=False)
    monkeypatch.setattr(module, "_GRACE_S", 0.5)


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "scumble"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def fake(home):
    with FakeDaemon(home) as fake:
        yield fake


@pytest.fixture
def daemon(fake, home):
    """A plug-in's daemon that has found the fake one already."""
    made = Daemon(Finder(home), patience_s=5)
    made.connect()
    fake.asked.clear()
    return made


def plane(values, is_bgr=False):
    height, width, channels = values.shape
    return Plane(width, height, channels, values.dtype.itemsize, values.tobytes(), is_bgr)


def values(of):
    return np.frombuffer(bytes(of.data), {1: "u1", 2: "<u2", 4: "<f4"}[of.depth]).reshape(of.height, of.width, -1)


def submit(daemon, **how):
    parts = {"content": plane(PIXELS), "style": STYLE}
    return daemon.submit({"strength": 70, "styles": [{"picture": "style"}]}, parts, **how)


def questions(fake):
    return [str(asked) for asked in fake.asked]


def code_of(call):
    with pytest.raises(LinkError) as caught:
        call()
    return caught.value.code


# -------------------------------------------------------------------------------------------------------- what is said


def test_a_job_is_posted_followed_and_fetched(fake, daemon):
    fake.story = [queued(), running(1), running(2, preview=1), done(warnings=["It was slow."])]
    job = submit(daemon, key="one", lease_s=90.5)
    asked = fake.asked[0]
    assert json.loads(asked.parts["recipe"]) == {"strength": 70, "styles": [{"picture": "style"}]}
    assert asked.parts["lease_s"] == "90.5"
    assert asked.headers["idempotency-key"] == "one"
    assert np.array_equal(np.load(io.BytesIO(asked.files["content"])), PIXELS)
    assert asked.files["style"] == STYLE
    assert (job.state, job.position, job.is_final, job.has_result) == ("queued", 1, False, False)
    assert (job.width, job.height, job.bounds) == (8, 6, Rect(0, 0, 8, 6))
    assert daemon.preview(job.id) is None
    job = daemon.job(job.id, after=job.seq, wait_s=2.5)
    assert fake.asked[-1].query == {"after": "1", "wait": "2.5"}
    assert (job.phase, job.iteration, job.iterations, job.progress, job.seconds_left) == ("painting", 1, 4, 0.25, 3)
    assert job.scale == (64, 48, 1, 1)
    assert job.losses == {"total": 1.5, "content": 0.5, "style": 1.0}
    job = daemon.job(job.id, after=job.seq)
    assert job.preview == 1
    assert daemon.preview(job.id) == b"a small picture"
    assert daemon.job(job.id).state == "running"
    assert fake.asked[-1].query == {}
    job = daemon.job(job.id, after=job.seq)
    assert (job.state, job.is_final, job.has_result, job.warnings) == ("done", True, True, ("It was slow.",))
    assert (job.features, job.seconds, job.problem) == ("fake", 1.5, None)
    result = daemon.result(job.id)
    assert np.array_equal(values(result), 255 - PIXELS)
    assert fake.asked[-1].headers["accept"].startswith("application/x-npy")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(daemon.result_png(job.id)))), 255 - PIXELS)
    mask = daemon.mask(job.id)
    assert mask.channels == 1 and (values(mask) == 77).all() and (mask.width, mask.height) == (8, 6)
    daemon.forget(job.id)
    assert code_of(lambda: daemon.job(job.id)) == "not-found"
    daemon.forget(job.id)


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_planes_go_there_and_back(fake, daemon, depth, channels):
    fake.story = [done()]
    given = painted(5, 4, channels, depth)
    job = daemon.submit({}, {"content": plane(given)})
    full = 1 if depth == "float32" else np.iinfo(depth).max
    assert np.array_equal(values(daemon.result(job.id)), full - given)


def test_a_hosts_order_of_colours_is_not_sent(fake, daemon):
    daemon.submit({}, {"content": plane(PIXELS, is_bgr=True)})
    assert np.array_equal(np.load(io.BytesIO(fake.asked[0].files["content"])), PIXELS[..., [2, 1, 0, 3]])


def test_a_job_without_a_lease_says_none(fake, daemon):
    submit(daemon, lease_s=None)
    submit(daemon)
    assert "lease_s" not in fake.asked[0].parts
    assert fake.asked[1].parts["lease_s"] == "120"


def test_every_job_has_a_key_of_its_own(fake, daemon):
    assert submit(daemon).id != submit(daemon).id
    assert submit(daemon, key="k").id == submit(daemon, key="k").id
    assert len({new_key() for _ in range(50)}) == 50


def test_a_job_that_failed_says_why(fake, daemon):
    fake.story = [failed("out-of-memory", "It needs 9 GB.")]
    job = submit(daemon)
    assert job.is_final and not job.has_result
    assert (job.problem.code, job.problem.detail, job.problem.hint) == ("out-of-memory", "It needs 9 GB.", "Buy more.")


def test_stopping(fake, daemon):
    fake.story = [running(1)]
    job = submit(daemon)
    assert daemon.stop(job.id, keep=True).phase == "stopping"
    assert fake.asked[-1].said == {"keep": True}
    ended = submit(daemon)
    fake.jobs[ended.id][0] = fake.jobs[ended.id][0].model_copy(update=done())
    assert daemon.stop(ended.id).state == "done"
    assert code_of(lambda: daemon.stop("none")) == "not-found"


def test_the_other_calls_go_where_they_belong(fake, daemon):
    job = submit(daemon)
    fake.asked.clear()
    assert daemon.move(job.id, 2).id == job.id
    assert daemon.continue_(job.id, 50, {"strength": 3}, "key", 7).id == job.id
    assert daemon.continue_(job.id).id == job.id
    daemon.shutdown()
    assert [(str(asked), json.loads(asked.body or "null")) for asked in fake.asked] == [
        ("POST /v1/jobs/job-1/move", {"position": 2}),
        ("POST /v1/jobs/job-1/continue", {"iterations": 50, "changes": {"strength": 3}, "lease_s": 7}),
        ("POST /v1/jobs/job-1/continue", {"changes": {}, "lease_s": 120}),
        ("POST /v1/shutdown", None),
    ]
    assert fake.asked[1].headers["idempotency-key"] == "key"
    assert fake.asked[2].headers["idempotency-key"]


def test_choices(fake, daemon):
    assert daemon.presets()[0].recipe == {"quality": "fine"}
    night = Style("night", "Swirling night", "library:night", ("oil",), 768, 768, is_bundled=True)
    assert daemon.styles() == (night,)
    assert daemon.thumbnail("night") == daemon.thumbnail("library:night") == b"a thumbnail of night"
    assert code_of(lambda: daemon.thumbnail("none")) == "not-found"
    own = daemon.add_style(STYLE, "Mein Bild")
    assert fake.asked[-1].files == {"picture": STYLE}
    assert (own.name, own.picture, own.is_bundled) == ("Mein Bild", f"library:{own.id}", False)
    assert daemon.styles() == (own, night)


def test_an_estimate(fake, daemon):
    assert daemon.estimate({"strength": 3}, 10, 20, Rect(1, 2, 3, 4)).memory_mb == 99
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    assert fake.asked[-1].said == {"recipe": {"strength": 3}, "width": 10, "height": 20, "bounds": box}
    told = daemon.estimate({}, 10, 20)
    assert fake.asked[-1].said == {"recipe": {}, "width": 10, "height": 20}
    assert (told.width, told.height, told.seconds, told.is_measured, told.tile_px) == (64, 48, 2, False, None)


def test_health(fake, daemon):
    device = {"name": "cpu", "description": "A processor", "state": "ready", "memory_free_mb": 8.5}
    told = {"name": "scumble", "version": "3", "protocol": 1, "instance": "fake", "devices": [device], "queued": 2}
    fake.once("GET /v1/health", lambda asked: answer(told))
    health = daemon.health()
    assert health.devices == (Device("cpu", "A processor", "ready", "", 8.5),)
    assert (health.version, health.queued, health.running, health.pid) == ("3", 2, 0, None)


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_means_another_path_is_not_asked(fake, daemon, id):
    for call in (daemon.job, daemon.forget, daemon.thumbnail):
        if call != daemon.forget:
            assert code_of(lambda call=call: call(id)) == "not-found"
        else:
            call(id)
    assert not fake.asked


def test_an_id_is_one_step_of_the_path(fake, daemon):
    assert code_of(lambda: daemon.job("a/../b?c")) == "not-found"
    assert questions(fake) == ["GET /v1/jobs/a%2F..%2Fb%3Fc"]


@pytest.mark.parametrize("told", [[], {}, {"id": "a"}, None, 3, {"jobs": []}])
def test_what_speaks_differently_is_told_so(fake, daemon, told):
    fake.once("GET /v1/jobs/a", lambda asked: answer(told))
    assert code_of(lambda: daemon.job("a")) == "incompatible-daemon"
    fake.once("GET /v1/styles", lambda asked: answer(told))
    assert code_of(daemon.styles) == "incompatible-daemon"


def test_what_is_unknown_is_ignored(fake, daemon):
    job = submit(daemon)
    told = {**json.loads(fake.jobs[job.id][0].model_dump_json()), "new": {"x": 1}}
    fake.once(f"GET /v1/jobs/{job.id}", lambda asked: answer(told))
    assert daemon.job(job.id) == job


def test_a_result_that_is_no_array_is_told_so(fake, daemon):
    fake.story = [done()]
    job = submit(daemon)
    fake.once(f"GET /v1/jobs/{job.id}/result", words("<html>"))
    assert code_of(lambda: daemon.result(job.id)) == "not-a-picture"


def test_a_style_is_learnt_and_forgotten(fake, daemon):
    fake.story = [running(1), done(has_result=False)]
    assert daemon.models() == ()
    job = daemon.train("style", b"the bytes of a file", "starry")
    (asked,) = (asked for asked in fake.asked if str(asked) == "POST /v1/train")
    assert json.loads(asked.parts["options"]) == {"styles": ["style"], "name": "starry"}
    assert asked.files == {"style": b"the bytes of a file"}
    assert "lease_s" not in asked.parts, "it goes on without its host"
    assert (job.kind, job.model, job.is_training) == ("train", "starry", True)
    paint = submit(daemon)
    assert not paint.is_training
    assert [each.id for each in daemon.trainings()] == [job.id]
    daemon.job(job.id, after=job.seq)
    assert daemon.trainings() == (), "it has ended"
    (model,) = daemon.models()
    digest = hashlib.sha256(b"the bytes of a file").hexdigest()
    assert model == module.Model("starry", (module.Lore("style", digest),))
    fake.story = [queued()]
    trained = [daemon.train(f"library:{name}", None, name).id for name in ("night", "bands")]
    assert fake.asked[-1].files == {}
    assert [each.id for each in daemon.trainings()] == trained, "oldest first"
    daemon.forget_model("starry")
    daemon.forget_model("starry")
    assert [model.name for model in daemon.models()] == ["night", "bands"]


def test_what_a_model_is_told_to_be(fake, daemon):
    part = {"x": 0, "y": 0, "width": 9, "height": 9}
    styles = [{"name": "a", "digest": "ab", "part": None}, {"name": "b", "digest": "", "part": part}]
    fake.models = [{"name": "pair", "styles": styles}]
    lores = module.Lore("a", "ab", is_whole=True), module.Lore("b", "", is_whole=False)
    assert daemon.models() == (module.Model("pair", lores),)
    fake.styles[0]["model"] = "pair#2"
    assert daemon.styles()[0].model == "pair#2"
    fake.styles[0]["model"] = None
    assert daemon.styles()[0].model == ""


def test_a_daemon_that_knows_of_no_models_has_none(fake, daemon):
    fake.once("GET /v1/models", problem("not-found"))
    assert daemon.models() == ()
    assert daemon.styles()[0].model == "", "and its styles do not speak of them"
    fake.once("GET /v1/models", problem("internal"))
    assert code_of(daemon.models) == "internal"


def test_every_field_of_the_daemons_answers_is_there_by_its_name():
    fields = {
        Job: protocol.Job,
        module.Health: protocol.Health,
        Device: protocol.Device,
        module.Estimate: protocol.Estimate,
        Style: protocol.Style,
        module.Preset: protocol.Preset,
    }
    unused = {"continues", "lease_s", "created", "name", "crop"}
    for ours, theirs in fields.items():
        names = set(ours.__dataclass_fields__)
        # of a daemon that trains styles
        assert names - {"kind", "model"} <= set(theirs.model_fields)
        assert set(theirs.model_fields) - names <= unused


# --------------------------------------------------------------------------------------------------- when it goes away


def test_a_daemon_under_another_address_is_found_again(fake, daemon):
    fake.story = [done()]
    job = submit(daemon)
    fake.restart()
    assert daemon.job(job.id).id == job.id
    fake.restart()
    assert daemon.health().version == "0"
    fake.restart()
    assert daemon.styles()
    fake.restart()
    assert submit(daemon).id == "job-2"


@pytest.mark.parametrize("what", ["job", "submit", "result", "stop", "continue_"])
def test_what_can_be_repeated_is_repeated(fake, daemon, what):
    fake.story = [done()] if what == "result" else [running(1)]
    job = submit(daemon)
    calls = {
        "job": ("GET /v1/jobs/job-1", lambda: daemon.job(job.id)),
        "submit": ("POST /v1/jobs", lambda: submit(daemon)),
        "result": ("GET /v1/jobs/job-1/result", lambda: daemon.result(job.id)),
        "stop": ("POST /v1/jobs/job-1/stop", lambda: daemon.stop(job.id)),
        "continue_": ("POST /v1/jobs/job-1/continue", lambda: daemon.continue_(job.id)),
    }
    question, call = calls[what]
    fake.asked.clear()
    fake.once(question, hang_up, problem("stopping"), fake.restart, hang_up)
    call()
    repeated = [asked for asked in fake.asked if str(asked) == question]
    assert len(repeated) == 5
    assert len({asked.headers.get("idempotency-key") for asked in repeated}) == 1


def test_what_cannot_be_repeated_is_not(fake, daemon):
    fake.once("POST /v1/styles", hang_up)
    assert code_of(lambda: daemon.add_style(STYLE, "A")) == "unreachable"
    assert fake.count("POST /v1/styles") == 1
    fake.restart()  # nobody heard it under the old address
    assert daemon.add_style(STYLE, "A").name == "A"


@pytest.mark.parametrize("code", ["queue-full", "bad-recipe", "not-found", "out-of-memory", "internal"])
def test_a_refusal_is_told_at_once(fake, daemon, code):
    fake.once("POST /v1/jobs", problem(code))
    assert code_of(lambda: submit(daemon)) == code
    assert fake.count("POST /v1/jobs") == 1


def test_a_wrong_token_is_not_tried_for_ever(fake, daemon):
    fake.once("GET /v1/jobs/a", *[problem("unauthorized")] * 9)
    assert code_of(lambda: daemon.job("a")) == "unauthorized"
    assert fake.count("GET /v1/jobs/a") == 2


def test_one_that_is_gone_is_given_up_soon(fake, daemon):
    job = submit(daemon)
    fake.stop()
    began = time.monotonic()
    assert code_of(lambda: daemon.job(job.id)) == "no-daemon"
    assert 0.2 < time.monotonic() - began < 3
    began = time.monotonic()
    assert code_of(daemon.health) == "no-daemon"
    assert code_of(lambda: daemon.connect(start=False)) == "no-daemon"
    assert time.monotonic() - began < 2


def test_one_that_comes_back_is_waited_for(fake, daemon):
    job = submit(daemon)
    fake.stop()
    timer = threading.Timer(0.25, fake.start)
    timer.start()
    assert daemon.job(job.id).id == job.id
    timer.join()


def test_one_that_is_starting_is_waited_for_longer(fake, daemon, monkeypatch):
    monkeypatch.setattr(module, "_GRACE_S", 0.05)
    monkeypatch.setattr(Finder, "is_held", lambda self: True)
    job = submit(daemon)
    fake.stop()
    timer = threading.Timer(0.6, fake.start)
    timer.start()
    assert daemon.job(job.id).id == job.id
    timer.join()
    fake.stop()
    daemon.patience_s = 0.2
    assert code_of(lambda: daemon.job(job.id)) == "no-daemon"


def test_a_daemon_is_found_when_first_asked(fake, home):
    assert Daemon(Finder(home)).health().version == "0"


def test_a_bad_address_is_not_asked_for_long(monkeypatch, home):
    monkeypatch.setenv("SCUMBLE_URL", "nowhere")
    monkeypatch.setenv("SCUMBLE_TOKEN", TOKEN)
    began = time.monotonic()
    assert code_of(lambda: Daemon(Finder(home)).job("a")) == "unreachable"
    assert time.monotonic() - began < 1


class OneStart(Finder):
    """Finds nothing until it was started."""

    def __init__(self):
        super().__init__()
        self.starts, self.address = 0, None

    def find(self):
        return self.address

    def start(self, timeout_s=60.0, on_wait=None):
        self.starts += 1
        on_wait()
        time.sleep(0.1)
        self.address = Address("http://127.0.0.1:9", TOKEN)
        return self.address


def test_several_threads_start_one_daemon():
    finder, found, waits = OneStart(), [], []
    daemon = Daemon(finder)
    assert code_of(lambda: daemon.connect(start=False)) == "no-daemon"
    connect = lambda: found.append(daemon.connect(on_wait=lambda: waits.append(1)))  # noqa: E731
    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (finder.starts, len(found), len(set(found)), waits) == (1, 4, 1, [1])


# ---------------------------------------------------------------------------------------------------------- a real one


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A real daemon."""
    with running_daemon(tmp_path_factory.mktemp("link")) as daemon:
        yield daemon


def link_to(real):
    return Daemon(Finder(real.home))


def wait(daemon, job):
    deadline = time.monotonic() + 120
    while not job.is_final and time.monotonic() < deadline:
        job = daemon.job(job.id, after=job.seq, wait_s=5)
    return job


def test_a_real_daemon_paints_what_is_selected(real):
    daemon = link_to(real)
    address = daemon.connect(start=False)
    assert (address.url, address.pid) == (real.url, real.pid)
    content, mask = painted(64, 48, 4), soft_mask(64, 48)
    content[..., 3] = 255
    recipe = {**QUICK, "selection": "mask", "styles": [{"picture": "library:night"}, {"picture": "own"}]}
    parts = {"content": plane(content), "mask": plane(mask[..., None]), "own": picture_file(seed=5)}
    key = new_key()
    job = daemon.submit(recipe, parts, key)
    assert daemon.submit(recipe, parts, key).id == job.id
    job = wait(daemon, job)
    assert (job.state, job.problem) == ("done", None)
    ys, xs = np.nonzero(mask)
    assert job.bounds == Rect(xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
    result = values(daemon.result(job.id))
    assert np.array_equal(result[mask == 0], content[mask == 0])
    assert (result != content).any()
    assert np.array_equal(decode(daemon.result_png(job.id)).pixels, result)
    picture = daemon.preview(job.id)
    assert picture is None or Image.open(io.BytesIO(picture)).format == "JPEG"
    more = wait(daemon, daemon.continue_(job.id, 1, {"strength": 80}))
    assert more.state == "done" and more.recipe["strength"] == 80
    assert daemon.stop(job.id).state == "done"
    daemon.forget(job.id)
    assert code_of(lambda: daemon.job(job.id)) == "not-found"


def test_a_real_daemon_gives_layer_and_mask_apart(real):
    daemon = link_to(real)
    content, mask = painted(64, 48, 4), soft_mask(64, 48)
    recipe = {**QUICK, "selection": "mask", "styles": [{"picture": "library:night"}], "output": "unmasked"}
    job = wait(daemon, daemon.submit(recipe, {"content": plane(content), "mask": plane(mask[..., None])}))
    assert job.state == "done"
    assert np.array_equal(values(daemon.mask(job.id))[..., 0], mask)
    assert np.array_equal(values(daemon.result(job.id))[..., 3], content[..., 3])


def test_a_real_daemon_tells_its_choices(real):
    daemon = link_to(real)
    health = daemon.health()
    assert (health.pid, health.protocol, health.home) == (real.pid, 1, str(real.home))
    assert health.devices and health.devices[0].name == "cpu"
    assert {preset.name: preset.recipe for preset in daemon.presets()} == {
        name: Recipe.from_preset(name).as_dict() for name in PRESETS
    }
    styles = {style.id: style for style in daemon.styles()}
    assert styles["night"].is_bundled
    assert Image.open(io.BytesIO(daemon.thumbnail("library:night"))).width <= 256
    own = daemon.add_style(STYLE, "Mein Bild – ü")
    assert own.name == "Mein Bild – ü" and own.id in {style.id for style in daemon.styles()}
    estimate = daemon.estimate({"styles": [{"picture": "x"}]}, 4000, 3000, Rect(10, 20, 800, 600))
    assert estimate.seconds > 0 and estimate.width >= estimate.height


def test_a_real_daemons_refusals(real):
    daemon = link_to(real)
    content = {"content": plane(PIXELS)}
    refusals = {
        "bad-recipe": lambda: daemon.submit({"strength": 1000}, content),
        "missing-picture": lambda: daemon.submit({"styles": [{"picture": "style"}]}, content),
        "bad-picture": lambda: daemon.submit({}, {"content": b"no picture"}),
        "bad-mask": lambda: daemon.submit({}, {**content, "mask": plane(PIXELS[:2, :2, :1]), "style": STYLE}),
        "empty-mask": lambda: daemon.submit({}, {**content, "mask": plane(0 * PIXELS[..., :1]), "style": STYLE}),
        "not-found": lambda: daemon.job("nothing"),
        "bad-request": lambda: daemon.add_style(STYLE, ""),
    }
    for code, refused in refusals.items():
        with pytest.raises(LinkError) as caught:
            refused()
        assert caught.value.code == code, caught.value.report
        assert real.token not in caught.value.report


def test_twelve_megapixels_go_to_a_real_daemon(real):
    daemon = link_to(real)
    content = plane(np.full((3000, 4000, 4), 200, np.uint8))
    mask = np.zeros((3000, 4000, 1), np.uint8)
    mask[100:150, 100:160] = 255
    recipe = {**QUICK, "selection": "mask", "styles": [{"picture": "library:night"}]}
    job = daemon.submit(recipe, {"content": content, "mask": plane(mask)})
    daemon.stop(job.id)
    daemon.forget(job.id)


def test_a_real_daemon_that_is_killed_goes_on_with_the_job(tmp_path):
    with unborn(tmp_path) as real:
        daemon = link_to(real.start())
        job = submit(daemon)
        real.kill()
        assert code_of(lambda: daemon.job(job.id)) in ("no-daemon", "unreachable")
        real.start()
        assert daemon.job(job.id).id == job.id
        daemon.forget(job.id)
        daemon.shutdown()
        assert real.process.wait(60) == 0
        assert code_of(daemon.health) == "no-daemon"
