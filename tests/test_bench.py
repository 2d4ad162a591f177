"""`scumble bench`: what it counts and how it times; not how fast this machine is."""

import importlib
import json
import mmap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from scumble import bench
from scumble.cli import cli
from scumble.engine.accelerator import Accelerator, accelerator
from scumble.engine.geometry import Geometry

CPU = torch.device("cpu")


def test_the_work_of_a_step():
    """Of VGG19 up to conv5_1, by hand: two FLOP for each filter value at each position, there and back."""
    blocks = [(1, [3 * 64, 64 * 64]), (4, [64 * 128, 128 * 128]), (16, [128 * 256, *3 * [256 * 256]])]
    blocks += [(64, [256 * 512, *3 * [512 * 512]]), (256, [512 * 512])]
    wanted = sum(2 * 2 * 9 * each / pixels for pixels, pairs in blocks for each in pairs)
    assert bench.flop_per_px(Geometry.of("vgg19", ["conv5_1"])) == pytest.approx(wanted, rel=1e-12)
    assert wanted == pytest.approx(bench.FLOP_PER_PX, rel=1e-4)


def test_times_are_medians_of_what_was_run_in_turn(monkeypatch):
    clock, ran, waited = [0.0], [], []
    monkeypatch.setattr(bench, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    durations = {"A": iter([50, 60, 1, 9, 3, 2, 5]), "B": iter([70, 80, 10, 90, 30, 20, 50])}

    class Host(Accelerator):
        def wait(self):
            waited.append(len(ran))

    def job(name):
        def run():
            ran.append(name)
            clock[0] += next(durations[name])

        return run

    assert bench.in_turn([job("A"), job("B")], Host(CPU)) == [3, 30]
    assert "".join(ran) == "AB" * 7
    assert waited == list(range(1, 15))


def test_a_step_has_all_its_layers():
    trunk = bench.trunk_of("vgg19", torch.float32, CPU)
    assert trunk.taps == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1")
    step = bench.step_of(trunk, 64, [torch.ones(1, 1, 64, 64)])
    found = step(torch.rand(1, 3, 64, 64))
    assert found.kinds == (*["style"] * 5, "content")
    assert found.gradient.shape == (1, 3, 64, 64)
    assert found.gradient.any()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """One whole run, as small as it can be; what was written and what was said."""
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "ROUNDS", 1)
        patch.setattr(bench, "JOB_SIZE", (64, 48))
        patch.setattr(bench, "device_of", lambda _: CPU)
        result = CliRunner().invoke(cli, ["bench", "--size", "32", "--precision", "float32", "--json", str(path)])
    assert result.exit_code == 0, result.output
    return json.loads(path.read_text()), result


def test_everything_is_written(told):
    figures, _ = told
    assert [(row["network"], row["size_px"], row["precision"]) for row in figures["rows"]] == [
        ("vgg19-lite", 32, "float32"),
        ("vgg19", 32, "float32"),
    ]
    lite, full = figures["rows"]
    assert lite["times_faster_than_eager"] is None
    assert full["times_faster_than_eager"] > 0
    for row in (lite, full):
        assert 0 < row["share_of_peak"] < 5
        assert row["step_s"] > 0
        assert row["four_regions_cost"] > 0
    rate = bench.FLOP_PER_PX * 32 * 32 / full["step_s"] / 1e9
    assert full["share_of_peak"] == pytest.approx(rate / full["peak_gflops"], rel=1e-3)
    assert [job["preset"] for job in figures["jobs"]] == ["draft", "normal"]
    for job in figures["jobs"]:
        assert 0 < job["first_step_s"] < job["seconds"]
        assert (job["width"], job["height"]) == (64, 48)
        assert job["iterations"] > 0
        assert job["features"]
    assert figures["selection_share"] == pytest.approx(0.155, abs=0.03)


def test_everything_is_shown(told):
    figures, result = told
    for words in ("vgg19-lite", "vgg19 ", "32²", "fp32", "draft", "normal", "of peak", figures["machine"]):
        assert words in result.stdout
    assert "draft" in result.stderr
    assert "A step of vgg19 at 32 px in float32" in result.stderr
    assert "A step of" not in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--precision", "float16"], "float16"),
        (["--size", "8"], "8"),
        (["--json", "nowhere/figures.json"], "There is no folder nowhere."),
    ],
)
def test_what_cannot_be_is_refused_at_once(monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("it measures"))
    result = CliRunner().invoke(cli, ["bench", *words])
    assert result.exit_code != 0
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_the_peak_of_memory_is_that_of_what_was_taken_and_let_go():
    host = accelerator(CPU)
    idle = host.reset_peak()
    with mmap.mmap(-1, 2**26) as held:
        piece = bytes(range(256)) * 2**8
        for _ in range(2**10):
            held.write(piece)
    assert 60 * 2**20 < host.peak_bytes() - idle < 160 * 2**20
    assert host.reset_peak() < idle + 30 * 2**20
    assert host.peak_bytes() < idle + 30 * 2**20


# ---------------------------------------------------------------------------------------------- the figures of a GPU


@pytest.fixture
def gpu(monkeypatch):
    """`benchmarks/gpu.py`, on a CPU and as small as it can be."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "benchmarks"))
    found = importlib.import_module("gpu")
    monkeypatch.setattr(found, "MATRIX", 64)
    monkeypatch.setattr(found, "_MANY", 1)
    monkeypatch.setattr(bench, "ROUNDS", 1)
    return found


def test_without_a_gpu_a_sentence_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "device_of", lambda: CPU)
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "There is no GPU here that torch can use, so nothing was measured.\n"


def test_the_figures_of_a_step_fit_together(gpu):
    found = gpu.step(CPU, 64)
    assert found["times_eager"] == pytest.approx(found["eager_tf32_s"] / found["step_s"])
    assert found["tflops"] == pytest.approx(bench.FLOP_PER_PX * 64**2 / found["step_s"] / 1e12, rel=1e-3)
    assert found["share_of_convolution"] == pytest.approx(found["tflops"] / found["convolution_tflops"])
    shares = [found["tflops"] / found[each] for each in ("convolution_tflops", "product_tflops")]
    assert found["share_of_peak"] == pytest.approx(min(shares))


def test_the_figures_of_jobs(gpu):
    found = gpu.paintings(CPU, "embedded", 1, [("draft", 64)])
    assert list(found) == ["first job", "draft 64"]
    for each in found.values():
        assert 0 < each["first_preview_s"] < each["seconds"]
        assert each["tile_px"] == 0
