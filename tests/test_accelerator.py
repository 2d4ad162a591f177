"""What the engine does on a GPU, on a CUDA that is none (`fake_cuda`); `test_gpu.py` asks the same of a real one."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_cuda import FakeCuda
from helpers import noise
from test_tiles import HEIGHT, WIDTH, objective, smooth

from scumble.drawn import painting, scene
from scumble.engine import accelerator as module
from scumble.engine.accelerator import Accelerator, Cuda, Mps, Recorded, Repeated, accelerator, tensor_cores
from scumble.engine.machine import dtype_of, in_double
from scumble.engine.objective import Evaluation
from scumble.engine.painter import Painter
from scumble.engine.tiles import Tiling
from scumble.picture import Picture
from scumble.recipe import Precision, Recipe
from scumble.service.worker import _devices

CPU = torch.device("cpu")
PICTURES = [noise(1, 3, 5, 4, seed=seed) for seed in range(6)]


def gpu(refuses=None, device=CPU):
    fake = FakeCuda(refuses)
    return fake, Cuda(device, cuda=fake, pinned=lambda shape, dtype: torch.empty(shape, dtype=dtype))


class Doubling:
    """A step that counts how often the host says what is to be done."""

    def __init__(self):
        self.said, self.factor = 0, torch.tensor(2.0)

    def __call__(self, x):
        self.said += 1
        return x.square() * self.factor


@pytest.fixture
def recorded():
    fake, cuda = gpu()
    step = Doubling()
    return fake, step, cuda.repeated(step, torch.clone, 20)


# ----------------------------------------------------------------------------------------------------------- recordings


def test_a_step_is_said_twice_and_replayed_then(recorded):
    fake, step, repeated = recorded
    for x in PICTURES:
        assert torch.equal(repeated(x), x.square() * 2)
    assert step.said == 2
    assert [graph.replays for graph in fake.graphs] == [len(PICTURES) - 1]


def test_what_a_replay_found_is_the_callers_to_keep(recorded):
    _, _, repeated = recorded
    found = [repeated(x) for x in PICTURES]
    for x, each in zip(PICTURES, found, strict=True):
        assert torch.equal(each, x.square() * 2)


def test_a_picture_is_not_written_into(recorded):
    _, _, repeated = recorded
    x = PICTURES[0].clone()
    for other in (x, *PICTURES[1:]):
        repeated(other)
    assert torch.equal(x, PICTURES[0])


def test_what_was_replaced_is_seen_after_forgetting(recorded):
    fake, step, repeated = recorded
    for x in PICTURES[:3]:
        repeated(x)
    step.factor = torch.tensor(7.0)
    repeated.forget()
    for x in PICTURES:
        assert torch.equal(repeated(x), x.square() * 7)
    assert len(fake.graphs) == 2


def test_another_shape_is_recorded_anew(recorded):
    fake, _, repeated = recorded
    larger = [noise(1, 3, 8, 8, seed=seed) for seed in range(3)]
    for x in (*PICTURES[:3], *larger):
        assert torch.equal(repeated(x), x.square() * 2)
    assert [graph.replays for graph in fake.graphs] == [2, 2]


def test_a_step_that_waits_for_the_device_is_taken_as_it_is(caplog):
    fake, cuda = gpu()

    def waiting(x):
        return x / float(x.max())

    repeated = cuda.repeated(waiting, torch.clone, 20)
    with caplog.at_level(logging.WARNING):
        for x in PICTURES:
            assert torch.equal(repeated(x), x / x.max())
    assert len(fake.graphs) == 1
    (line,) = caplog.messages
    assert line.startswith("A step cannot be recorded")
    assert "long story" not in line


def test_only_small_steps_are_recorded():
    _, cuda = gpu()
    assert isinstance(cuda.repeated(Doubling(), torch.clone, 2048**2), Recorded)
    assert not isinstance(cuda.repeated(Doubling(), torch.clone, 2048**2 + 1), Recorded)
    assert type(Accelerator(CPU).repeated(Doubling(), torch.clone, 1)) is Repeated


def test_an_evaluation_replayed_is_the_one_computed():
    """Every kind of term, masks, frame and all."""
    fake, cuda = gpu()
    evaluate, wanted = cuda.repeated(objective(None).evaluate, Evaluation.copy, 1), objective(None)
    for seed in range(3):
        x = smooth(HEIGHT, WIDTH, seed=seed)
        found, right = evaluate(x), wanted.evaluate(x)
        assert torch.equal(found.gradient, right.gradient)
        assert found.parts == right.parts
        assert found.total == right.total
    assert fake.graphs[0].replays == 2


def test_an_evaluation_that_was_broken_off_leaves_nothing_behind(monkeypatch):
    broken, whole = objective(None), objective(None)
    x = smooth(HEIGHT, WIDTH)

    def fails(*args):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(type(broken._networks[1][1][0]), "solve", fails)
        with pytest.raises(RuntimeError):
            broken.evaluate(x)
    assert broken.evaluate(x).parts == whole.evaluate(x).parts


# ------------------------------------------------------------------------------------------------------------ paintings

CONTENT = Picture.from_rgb(scene(128, 80).rgb)
STYLES = {"night": Picture.from_rgb(painting("night", 60, 50)), "dabs": Picture.from_rgb(painting("dabs", 50, 60))}
_LEFT = np.zeros((80, 128, 1), np.uint8)
_LEFT[:, :70] = 255
ONE = ({"picture": "night"},)
RECIPES = {
    "neighbours": {"styles": ONE},
    "gram": {"styles": ONE, "style_loss": "gram"},
    "luminance": {"styles": ONE, "keep_colors": "luminance"},
    "L-BFGS": {"styles": ONE, "optimizer": "lbfgs"},
    "regions": {
        "styles": ({"picture": "night", "region": "left"}, {"picture": "dabs"}),
        "regions": ({"name": "left", "mask": "mask"},),
    },
}


def painted(recipe, on_step=None):
    pictures = {**STYLES, "mask": Picture(_LEFT)}
    asked = Recipe(size=128, iterations=(10, 6), matchings=2, **recipe)
    return Painter("cpu").paint(CONTENT, asked, pictures, on_step)


@pytest.mark.parametrize("name", RECIPES)
def test_a_painting_from_recordings_is_the_same(monkeypatch, caplog, name):
    wanted = painted(RECIPES[name])
    fake, cuda = gpu()
    for user in ("painter", "run", "canvas"):
        monkeypatch.setattr(f"scumble.engine.{user}.accelerator", lambda _: cuda)
    found = painted(RECIPES[name])
    assert np.array_equal(found.picture.pixels, wanted.picture.pixels)
    assert found.losses == wanted.losses
    assert not caplog.messages
    # of two levels the first iterations were not replayed; neighbours are looked for twice at the first
    assert sum(graph.replays for graph in fake.graphs) == len(found.losses) - 2 == 14
    assert len(fake.graphs) == (2 if name == "gram" else 3)


def test_a_painting_goes_on_where_nothing_can_be_recorded(monkeypatch):
    wanted = painted(RECIPES["gram"])
    fake, cuda = gpu(refuses="no")
    for user in ("painter", "run", "canvas"):
        monkeypatch.setattr(f"scumble.engine.{user}.accelerator", lambda _: cuda)
    assert np.array_equal(painted(RECIPES["gram"]).picture.pixels, wanted.picture.pixels)
    assert len(fake.graphs) == 2


def test_a_picture_in_tiles_is_not_recorded(monkeypatch):
    fake, cuda = gpu()
    for user in ("painter", "run", "canvas"):
        monkeypatch.setattr(f"scumble.engine.{user}.accelerator", lambda _: cuda)
    monkeypatch.setattr("scumble.engine.schedule._tiling", lambda *_: (Tiling(32), True))
    painted(RECIPES["gram"])
    assert not fake.graphs


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_a_preview_shows_the_moment_it_was_asked_for(monkeypatch, kind):
    """However much later it is waited for."""
    at_once, looks = [], []
    painted(RECIPES["luminance"], lambda step: at_once.append(step.preview()))
    if kind == "cuda":
        _, cuda = gpu()
        for user in ("painter", "run", "canvas"):
            monkeypatch.setattr(f"scumble.engine.{user}.accelerator", lambda _: cuda)
    painted(RECIPES["luminance"], lambda step: looks.append(step.look()))
    assert len(looks) == len(at_once) == 16
    for look, wanted in zip(looks, at_once, strict=True):
        assert np.array_equal(look(), wanted)
    assert at_once[-1].shape == (80, 128, 3)


def test_what_is_painted_from_is_brought_once(monkeypatch):
    """The masks of both regions, and each style with what is visible of it, at two levels and at the end; of the
    content no more than each level sees."""
    brought = []
    _, cuda = gpu()
    cuda._pinned = lambda shape, dtype: brought.append(tuple(shape)) or torch.empty(shape, dtype=dtype)
    for user in ("painter", "run", "canvas"):
        monkeypatch.setattr(f"scumble.engine.{user}.accelerator", lambda _: cuda)
    painted(RECIPES["regions"])
    styles = [(50, 60, 3), (50, 60), (60, 50, 3), (60, 50)]
    assert sorted(brought) == sorted([(80, 128), (80, 128), *styles])


# ------------------------------------------------------------------------------------------------------------ transfers


def test_a_picture_is_copied_beside_the_work():
    """After the work that made it, before the work that comes; only who asks for it waits."""
    fake, cuda = gpu()
    picture = noise(4, 5, 3)
    with cuda.painting():
        del fake.said[:]
        look = cuda.look(picture)
        assert fake.said == ["copies waits for work", "in copies", "an event in copies"]
        assert np.array_equal(look(), picture.numpy())
        assert fake.said[3:] == ["the host waits for the event"]


def test_a_picture_is_as_it_was_when_it_was_looked_at():
    _, cuda = gpu()
    picture = noise(4, 5, 3)
    look, was = cuda.look(picture), picture.numpy().copy()
    picture.zero_()
    assert np.array_equal(look(), was)


def test_a_cpu_shows_what_it_has():
    picture = noise(4, 5, 3)
    assert np.array_equal(Accelerator(CPU).look(picture)(), picture.numpy())


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_an_array_comes_as_it_is(kind):
    cuda = gpu()[1] if kind == "cuda" else Accelerator(CPU)
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)
    array.flags.writeable = False
    for each in (array, array[1:3, 2:5], np.float32(array) / 7):
        found = cuda.bring(each)
        assert np.array_equal(found.numpy(), each)
        assert found.numpy().dtype == each.dtype


def test_an_array_is_brought_once_in_a_job():
    _, cuda = gpu()
    whole = np.random.default_rng(0).random((7, 8, 3), np.float32)
    with cuda.painting():
        first = cuda.bring(whole[1:4, 2:])
        assert cuda.bring(whole[1:4, 2:]) is first
        for other in (whole[2:5, 2:], whole[1:4, 2:7], whole[1::2, 2:][:3], whole.view(np.int32)[1:4, 2:]):
            assert np.array_equal(cuda.bring(other).numpy(), other)
            assert cuda.bring(other).numpy().dtype == other.dtype
    with cuda.painting():
        assert cuda.bring(whole[1:4, 2:]) is not first


def test_an_array_that_is_gone_is_not_taken_for_the_next_at_its_address():
    _, cuda = gpu()
    for value in range(20):
        assert (cuda.bring(np.full((64, 64), value, np.float32)) == value).all()


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(module, "BROUGHT_BYTES", 100)
    _, cuda = gpu()
    small, large = np.zeros(20, np.float32), np.ones(10, np.float32)
    assert cuda.bring(small) is cuda.bring(small)
    assert cuda.bring(large) is not cuda.bring(large)
    assert torch.equal(cuda.bring(large), torch.ones(10))


# ----------------------------------------------------------------------------------------------------------- the device


def test_a_job_has_its_device_and_its_stream():
    second = torch.device("cuda", 1)
    fake, cuda = gpu(device=second)
    assert fake.devices == [second, second]
    with cuda.painting():
        assert fake.said == ["work waits for default", "on cuda:1", "in work"]
    assert fake.said[3:] == ["the host waits for work", "emptied", "off cuda:1"]


def test_torchs_switches_are_as_before_after_a_job():
    def switches():
        return torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision

    torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = "tf32", "ieee"
    try:
        before = switches()
        assert before == ("ieee", "tf32")
        with pytest.raises(ZeroDivisionError), tensor_cores():
            assert switches() == ("tf32", "ieee")
            raise ZeroDivisionError
        assert switches() == before
    finally:
        torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = "none", "tf32"


def test_memory_that_torch_holds_for_later_is_free():
    fake, cuda = gpu(device=torch.device("cuda", 1))
    assert cuda.free_bytes() == 1000 + 300 - 100
    assert fake.devices[-1] == torch.device("cuda", 1)


@pytest.mark.parametrize(("recommended", "wanted"), [(10_000, 7_000), (2_000, 0), (2**60, None)])
def test_what_apples_gpus_may_take(monkeypatch, recommended, wanted):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: recommended)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 3_000)
    found = Mps(torch.device("mps")).free_bytes()
    if wanted is None:  # it is the processor's memory as well
        assert 0 < found < 2**50
    else:
        assert found == wanted


def test_each_device_has_its_own(monkeypatch):
    made = []
    monkeypatch.setattr(module, "Cuda", lambda device: made.append(device) or object())
    module._accelerator.cache_clear()
    try:
        first, second = accelerator(torch.device("cuda:0")), accelerator(torch.device("cuda:1"))
        assert accelerator(torch.device("cuda")) is first is not second
        assert accelerator(torch.device("cuda:1")) is second
        assert made == [torch.device("cuda:0"), torch.device("cuda:1")]
        assert type(accelerator(CPU)) is Accelerator
    finally:
        module._accelerator.cache_clear()


def test_a_painter_paints_on_its_own_device(monkeypatch):
    asked = []
    for user in ("painter", "run", "canvas", "schedule"):
        monkeypatch.setattr(
            f"scumble.engine.{user}.accelerator", lambda device: asked.append(device) or Accelerator(device)
        )
    painted(RECIPES["gram"])
    assert set(asked) == {CPU}


@pytest.mark.parametrize(
    ("device", "wanted"),
    [
        ("cuda", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", ["cuda:1", "cuda:0", "cuda:2"]),
        ("cpu", ["cpu"]),
        ("mps", ["mps"]),
    ],
)
def test_a_worker_tells_of_its_device_first_and_then_of_the_others(monkeypatch, device, wanted):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert _devices(SimpleNamespace(device=torch.device(device))) == wanted


@pytest.mark.parametrize(
    ("device", "capability", "wanted"),
    [("cuda:1", (8, 0), torch.bfloat16), ("cuda:1", (7, 5), torch.float32), ("mps", None, torch.float32)],
)
def test_the_type_that_a_device_computes_in_by_itself(monkeypatch, device, capability, wanted):
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: {torch.device("cuda:1"): capability}[device]
    )
    assert dtype_of(Precision.AUTO, torch.device(device)) is wanted
    assert dtype_of(Precision.BFLOAT16, torch.device(device)) is torch.bfloat16
    assert dtype_of(Precision.FLOAT32, torch.device(device)) is torch.float32


def test_double_precision_is_the_processors_where_a_device_has_none():
    """Apple's GPUs refuse it."""
    values = noise(3, 3)

    def refused():
        raise TypeError

    apples = SimpleNamespace(device=torch.device("mps"), cpu=lambda: values, double=refused)
    for each in (apples, values):
        assert torch.equal(in_double(each), values.double())
        assert in_double(each).dtype is torch.float64
