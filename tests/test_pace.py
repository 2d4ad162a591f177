"""Paces: one job tells how long another takes, up and down in size; nothing that cannot be true does harm."""

import json
import math
import threading

import numpy as np
import pytest

from scumble.service import pace
from scumble.service.pace import JobTime, LevelTime, Paces, Stopwatch

LITE, GRAM, VGG = "cpu X|vgg19-lite|neighbours|adam", "cpu X|vgg19-lite|gram|adam", "cpu X|vgg19|gram|adam"
TWO = f"{LITE}|2 styles"

MEASURED = {
    # kind, levels as (pixels, iterations, step, extra), content, around, the whole: two cores, other work beside it
    "256": (LITE, [(4096, 40, 0.0267, 1.4), (16384, 25, 0.0741, 0.691), (65536, 15, 0.218, 10.1)], 65536, 0.064, 18.47),
    "384": (LITE, [(9216, 40, 0.0544, 0.731), (36864, 25, 0.144, 3.49), (147456, 15, 0.324, 3.36)], 147456, 0.14, 18.4),
    "512": (LITE, [(16384, 40, 0.0819, 1.09), (65536, 25, 0.251, 13.6), (262144, 15, 0.566, 10.9)], 262144, 0.16, 43.8),
    "512 fine": (LITE, [(16384, 80, 0.0778, 0.93), (65536, 50, 0.24, 6.6), (262144, 30, 0.543, 11)], 262144, 0.2, 53.2),
    "two, 256": (TWO, [(3072, 40, 0.04, 0.689), (12288, 25, 0.0752, 1.12), (49152, 15, 0.19, 4.01)], 49152, 0.1, 12.2),
    "two, 640": (TWO, [(17920, 40, 0.0914, 1.58), (71680, 25, 0.18, 1.96), (286720, 15, 0.616, 8.8)], 286720, 0.2, 30),
    "gram 256": (GRAM, [(4096, 40, 0.0344, 0.22), (16384, 25, 0.0569, 0.14), (65536, 15, 0.154, 0.23)], 65536, 0, 5.8),
    "gram 512": (GRAM, [(16384, 40, 0.053, 0.242), (65536, 25, 0.145, 0.1), (262144, 15, 0.418, 0.8)], 262144, 0, 13.3),
    "vgg 128": (VGG, [(4096, 3, 0.0675, 0.911), (16384, 3, 0.181, 0.232)], 16384, 0.024, 1.91),
    "vgg 256": (VGG, [(4096, 3, 0.0665, 1.18), (16384, 3, 0.161, 0.257), (65536, 3, 0.451, 0.826)], 65536, 0.035, 4.33),
    "vgg 384": (VGG, [(9216, 3, 0.0913, 0.92), (36864, 3, 0.257, 0.333), (147456, 3, 0.786, 2.16)], 147456, 0.06, 6.87),
}  # fmt: skip


def job(name, factor=1.0, kind=None):
    own, levels, content_px, around_s, _ = MEASURED[name]
    times = tuple(LevelTime(px, n, factor * step, factor * extra) for px, n, step, extra in levels)
    return JobTime(kind or own, times, content_px, factor * around_s)


def asked(name, kind=None):
    own, levels, content_px, _, _ = MEASURED[name]
    return kind or own, [(px, n) for px, n, _, _ in levels], content_px


@pytest.fixture
def paces(tmp_path):
    return Paces(tmp_path / "pace.json")


PAIRS = [(a, b) for a in MEASURED for b in MEASURED if MEASURED[a][0] == MEASURED[b][0]]


@pytest.mark.parametrize("factor", [1.0, 0.03, 20.0])
@pytest.mark.parametrize(("seen", "wanted"), PAIRS)
def test_one_job_tells_the_other_sizes(paces, seen, wanted, factor):
    paces.learn(job(seen, factor))
    seconds, is_measured = paces.seconds(*asked(wanted))
    assert is_measured
    assert 1 / 1.5 < seconds / (factor * MEASURED[wanted][4]) < 1.5


def test_without_any_job_the_built_in_pace_is_told(paces):
    for name in MEASURED:
        seconds, is_measured = paces.seconds(*asked(name))
        assert not is_measured and 0.5 < seconds / MEASURED[name][4] < 2


def test_the_grid_is_the_engines():
    from scumble.engine import candidates

    for name in ("FINE_GRID", "COARSE_GRID", "FINE_GRID_PX", "MOST_CANDIDATES"):
        assert getattr(pace, name) == getattr(candidates, name)


def exact(kind, px, factors, iterations=10, first=True):
    """A level of a machine that keeps to the model."""
    grid = px / (4 if px <= 65536 else 16)
    a, b, g, c, d, e = factors
    extra = c * first + d * px + e * grid * min(2 * grid, 2**17)
    return LevelTime(px, iterations, a + b * px + g * grid, extra)


def test_a_machine_that_keeps_to_the_model_is_known_exactly(paces, monkeypatch):
    monkeypatch.setattr(pace, "_BELIEF", 1e-9)
    factors = (0.03, 5e-6, 2e-6, 0.1, 3e-5, 4e-9)
    sides = (64, 128, 256, 512, 1024)
    levels = tuple(exact(LITE, side**2, factors, first=side == 64) for side in sides)
    paces.learn(JobTime(LITE, levels, 1000, 0.5))
    paces.learn(JobTime(LITE, levels, 10**6, 1.5))
    for px in (90_000, 2048 * 2048):
        level = exact(LITE, px, factors, 7)
        wanted = 7 * level.step_s + level.extra_s + 0.5 + (10**5 - 1000) / (10**6 - 1000)
        assert paces.seconds(LITE, [(px, 7)], 10**5)[0] == pytest.approx(wanted, rel=0.01)


def test_another_shape_than_the_built_in_is_learnt(paces):
    factors = (0.03, 5e-6, 1e-6, 0.1, 3e-5, 4e-9)
    levels = tuple(exact(LITE, side**2, factors, first=side == 64) for side in (64, 128, 256, 512))
    for _ in range(6):
        paces.learn(JobTime(LITE, levels, 0, 0.5))
    wanted = sum(level.iterations * level.step_s + level.extra_s for level in levels) + 0.5
    assert paces.seconds(LITE, [(level.pixels, 10) for level in levels], 0)[0] == pytest.approx(wanted, rel=0.1)
    level = exact(LITE, 1024**2, factors, 100, first=False)
    assert 0.7 < paces.seconds(LITE, [(1024**2, 100)], 0)[0] / (100 * level.step_s + level.extra_s) < 1.4


def test_a_single_level_is_enough(paces):
    whole = job("vgg 128")
    paces.learn(JobTime(VGG, whole.levels[-1:], whole.content_px, whole.around_s))
    assert 1 / 1.6 < paces.seconds(*asked("vgg 384"))[0] / MEASURED["vgg 384"][4] < 1.6


def test_factors_are_never_negative():
    matrix, wanted = np.array([[1.0, 1], [1, 2], [1, 3]]), np.array([1, 0.5, 0])
    assert pace._positive_least_squares(matrix, wanted) == pytest.approx([0.5, 0])
    assert pace._positive_least_squares(matrix, -wanted) == pytest.approx([0, 0])


def test_levels_that_nothing_is_done_at_cost_nothing(paces):
    paces.learn(job("256"))
    assert paces.seconds(LITE, [(4096, 0), (0, 7), (65536, 15)], 9) == paces.seconds(LITE, [(65536, 15)], 9)


def test_recent_jobs_count_more(paces):
    for factor in (1, 1, 1, 10, 10, 10):
        paces.learn(job("256", factor))
        paces.seconds(*asked("256"))
    seconds, _ = paces.seconds(*asked("256"))
    assert seconds > 6 * MEASURED["256"][4]


def test_one_slow_job_does_not_spoil_the_rest(paces):
    for factor in (1, 1, 1, 1, 1, 1, 50, 1):
        paces.learn(job("256", factor))
    seconds, _ = paces.seconds(*asked("256"))
    assert 0.6 < seconds / MEASURED["256"][4] < 1.6


def test_what_was_learnt_is_kept_and_bounded(tmp_path):
    path = tmp_path / "new" / "pace.json"
    paces = Paces(path)
    for _ in range(pace.KEPT_JOBS + 3):
        paces.learn(job("256"))
    again = Paces(path)
    assert again.seconds(*asked("512")) == paces.seconds(*asked("512"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(path.read_text())["kinds"][LITE]) == pace.KEPT_JOBS
    for n in range(pace.KEPT_KINDS):
        paces.learn(job("256", kind=f"cpu {n}"))
    assert len(json.loads(path.read_text())["kinds"]) == pace.KEPT_KINDS
    assert Paces(path).seconds(*asked("256"))[1] is False
    assert Paces(path).seconds("cpu 3", [(100, 1)], 100)[1] is True


def test_an_unknown_kind_is_told_by_its_nearest_of_the_same_device(paces):
    slow, quick = "cpu A|vgg19-lite|neighbours|adam|2 styles", "cpu A|vgg19|gram|adam|1 styles"
    paces.learn(job("256", 4, kind=slow))
    paces.learn(job("vgg 256", 0.1, kind=quick))
    lite = paces.seconds(*asked("256", kind="cpu A|vgg19-lite|neighbours|adam|1 styles"))
    assert not lite[1] and lite[0] == pytest.approx(paces.seconds(*asked("256", kind=slow))[0], rel=1e-6)
    full = paces.seconds(*asked("vgg 256", kind="cpu A|vgg19|gram|lbfgs|1 styles"))
    assert not full[1] and full[0] == pytest.approx(paces.seconds(*asked("vgg 256", kind=quick))[0], rel=1e-6)
    other = paces.seconds(*asked("256", kind="cpu B|vgg19-lite|neighbours|adam|2 styles"))
    assert other == Paces(paces._path.with_name("none")).seconds(*asked("256"))


def test_of_equally_near_kinds_the_last_one_tells(paces):
    for factor in (1, 8, 3):
        paces.learn(job("256", factor, kind=f"cpu X|vgg19-lite|neighbours|adam|{factor} styles"))
    seconds, _ = paces.seconds(*asked("256", kind="cpu X|vgg19-lite|neighbours|adam|2 styles"))
    assert seconds == pytest.approx(3 * MEASURED["256"][4], rel=0.2)


def test_a_slow_machine_is_slow_with_another_network_too(paces):
    paces.learn(job("256", 5))
    seconds, is_measured = paces.seconds(*asked("vgg 256"))
    assert not is_measured and 2.5 < seconds / MEASURED["vgg 256"][4] < 10


def test_our_own_features_are_taken_for_networks_of_their_size(paces):
    for ours, network in (("scumble-lite", "vgg19-lite"), ("scumble-full", "vgg19")):
        asked_for = (f"cpu X|{name}|gram|adam" for name in (f"{ours} (procedural paintings)", network))
        own, known = (paces.seconds(kind, [(65536, 50)], 0)[0] for kind in asked_for)
        assert own == known


def test_a_gpu_is_thought_to_be_faster(paces):
    levels = [(1024 * 1024, 50)]
    cpu, gpu = (paces.seconds(f"{device}|vgg19|gram", levels, 1024 * 1024)[0] for device in ("cpu X", "cuda:0 Y"))
    assert gpu < cpu / 10


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\0",
        b"[]",
        b"{}",
        b"null",
        b'{"version": 9, "kinds": {"k": [[[[100, 2, 3, 4]], 5, 6]]}}',
        b'{"version": 1, "kinds": []}',
        b'{"version": 1, "kinds": {"k": 7}}',
        b'{"version": 1, "kinds": {"k": [[[[1, 2, 3]], 5, 6], [], null, "x", [[["a", 1, 1, 1]], 1, 1]]}}',
        b'{"version": 1, "kinds": {"k": [[[[1e999, 2, 3, 4]], 5, 6]]}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_forgotten(tmp_path, text):
    path = tmp_path / "pace.json"
    path.write_bytes(text)
    paces = Paces(path)
    assert paces.seconds("k", [(1000, 10)], 1000)[1] is False
    paces.learn(job("256"))
    assert Paces(path).seconds(*asked("256"))[1] is True


def test_a_sound_job_beside_a_damaged_one_stays(tmp_path):
    path = tmp_path / "pace.json"
    Paces(path).learn(job("256"))
    data = json.loads(path.read_text())
    data["kinds"][LITE].append([["nonsense"], 1, 2])
    data["kinds"]["other"] = [None]
    path.write_text(json.dumps(data))
    assert Paces(path).seconds(*asked("256"))[1] is True
    assert Paces(path).seconds("other", [(1, 1)], 1)[1] is False


@pytest.mark.parametrize(
    "level",
    [
        LevelTime(0, 10, 1, 1),
        LevelTime(-5, 10, 1, 1),
        LevelTime(100, 0, 1, 1),
        LevelTime(100, 10, math.nan, 1),
        LevelTime(100, 10, math.inf, 1),
        LevelTime(100, 10, 1, math.nan),
        LevelTime(100, 10, 0, 1),
        LevelTime(100, 10, -1, 1),
        LevelTime(100, 10, 1e9, 1),
    ],
)
def test_what_cannot_be_is_not_learnt(paces, level):
    paces.learn(JobTime(LITE, (level,), 100, 1))
    assert paces.seconds(*asked("256"))[1] is False
    paces.learn(JobTime(LITE, (level, *job("256").levels), 65536, 0.064))
    assert 0.8 < paces.seconds(*asked("256"))[0] / MEASURED["256"][4] < 1.25


@pytest.mark.parametrize("around", [math.nan, math.inf, 1e9])
def test_a_job_around_which_time_stood_still_is_not_learnt(paces, around):
    paces.learn(JobTime(LITE, job("256").levels, 65536, around))
    assert paces.seconds(*asked("256"))[1] is False


def test_extremes_stay_finite(paces):
    for step, extra in ((1e-9, 0), (1e5, 0), (1e-6, 1e5), (0.1, -3)):
        paces.learn(JobTime(LITE, (LevelTime(1, 1, step, extra), LevelTime(2**39, 1, step, extra)), 0, -1))
        for levels in ([], [(1, 1)], [(2**40, 10**6)], [(100, 0), (0, 5)]):
            seconds, _ = paces.seconds(LITE, levels, 0)
            assert math.isfinite(seconds) and seconds >= 0


def test_a_larger_job_is_never_told_to_be_shorter(paces):
    paces.learn(job("384"))
    for side in (100, 200, 300, 600, 1200, 3000):  # on one grid, that is: 256 px on the fine one cost more than 300
        less, more = ([(side**2, 40)], [((side + 10) ** 2, 40)])
        assert paces.seconds(GRAM, less, 0)[0] < paces.seconds(GRAM, more, 0)[0]
        assert paces.seconds(LITE, less, 0)[0] < paces.seconds(LITE, more, 0)[0]
        assert paces.seconds(LITE, less, 0)[0] < paces.seconds(LITE, [(side**2, 41)], 10**7)[0]


def test_a_file_that_cannot_be_written_costs_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    paces = Paces(tmp_path / "file" / "pace.json")
    paces.learn(job("256"))
    assert paces.seconds(*asked("256"))[1] is True and "kept" in caplog.text


def test_threads_may_learn_and_ask_at_once(tmp_path):
    paces = Paces(tmp_path / "pace.json")
    failed = []

    def use(n):
        try:
            for _ in range(5):
                paces.learn(job("256", kind=f"cpu|{n}"))
                paces.seconds(*asked("512", kind=f"cpu|{n + 1}"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and all(Paces(tmp_path / "pace.json").seconds(f"cpu|{n}", [], 0)[1] for n in range(4))


# --------------------------------------------------------------------------------------------------------- stopwatch


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def run(clock, watch, level, width, height, seconds, start=1):
    for iteration, each in enumerate(seconds, start):
        clock[0] += each
        watch.step(level, iteration, width, height)


def test_a_stopwatch_tells_steps_from_extras(clock):
    watch = Stopwatch()
    run(clock, watch, 1, 10, 20, [3, 1, 1, 2.5, 1, 1])
    run(clock, watch, 2, 20, 40, [5, 2, 2])
    assert watch.levels == (LevelTime(200, 6, 1, 3.5), LevelTime(800, 3, 2, 3))


def test_half_the_steps_may_hold_a_search(clock):
    watch = Stopwatch()
    run(clock, watch, 1, 10, 20, [9, 9, 1, 9, 1])
    assert watch.levels == (LevelTime(200, 5, 1, 24),)


def test_a_level_that_starts_anew_is_timed_anew(clock):
    watch = Stopwatch()
    run(clock, watch, 1, 10, 20, [3, 1, 1])
    run(clock, watch, 1, 10, 20, [8, 2, 2, 2])
    assert watch.levels == (LevelTime(200, 4, 2, 6),)


def test_a_single_iteration_tells_nothing(clock):
    watch = Stopwatch()
    assert watch.levels == ()
    run(clock, watch, 1, 10, 20, [3])
    run(clock, watch, 2, 20, 40, [5, 2])
    assert watch.levels == (LevelTime(800, 2, 2, 3),)


def test_an_extra_is_never_negative(clock):
    watch = Stopwatch()
    run(clock, watch, 1, 10, 20, [0.1, 3, 3])
    assert watch.levels == (LevelTime(200, 3, 3, 0),)


def test_a_pass_is_a_level_of_a_single_step(clock):
    watch = Stopwatch(passes=True)
    run(clock, watch, 1, 10, 20, [3])
    assert watch.levels == (LevelTime(200, 1, 3, 0),)


def test_a_pass_is_learnt_and_told_for_other_sizes(paces):
    kind = f"cpu|X|trained night|{pace.PASS}|float32|1 styles"
    small, large = [(512 * 384, 1)], [(2048 * 1536, 1)]
    guess, is_measured = paces.seconds(kind, small, 512 * 384)
    assert 0.3 < guess < 3 and not is_measured
    for _ in range(3):
        paces.learn(JobTime(kind, (LevelTime(512 * 384, 1, 0.5, 0.0),), 512 * 384, 0.1))
    told, is_measured = paces.seconds(kind, small, 512 * 384)
    assert is_measured and told == pytest.approx(0.6, rel=0.1)
    assert 8 * told < paces.seconds(kind, large, 2048 * 1536)[0] < 17 * told
    # a machine on which one model is slow is slow with the next
    assert paces.seconds(kind.replace("night", "day"), small, 512 * 384)[0] == pytest.approx(told, rel=0.2)
