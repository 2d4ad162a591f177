"""How fast this machine paints: `scumble bench`.

A **step** is one evaluation of loss and gradient with Gram matrices: of VGG19, five style layers and one content layer,
as the published settings have them, and of the lite network. It is set against the machine's own **peak**, the best
rate of a lone 3 × 3 convolution in the same type, and VGG19's is timed in turn with a plain **eager** loop over
torchvision's (frozen, autograd, float32), so that their ratio holds on a noisy machine. Speed does not depend on what
filters hold, so seeded ones serve. A **job** is an everyday painting from beginning to end, with the features that came
with Scumble.
"""

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as nnf
from rich.console import Console
from rich.table import Table
from torch import Tensor

from scumble.drawn import painting, scene
from scumble.engine.accelerator import Accelerator, Repeated, accelerator
from scumble.engine.features import OURS, PHOTOGRAPHS, Profile
from scumble.engine.footprint import Footprint, footprint
from scumble.engine.geometry import Geometry
from scumble.engine.machine import device_of, dtype_of, held_pages, processor_name
from scumble.engine.objective import Evaluation, Objective, PictureTerms
from scumble.engine.painter import Painter
from scumble.engine.regions import region_weights
from scumble.engine.schedule import Box, plan
from scumble.engine.terms import ContentTerm, Statistic, StyleTarget, StyleTerm, survey
from scumble.engine.tiles import windows
from scumble.engine.vgg import Convolution, Trunk
from scumble.engine.weights import seeded
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import ContentForm, Optimizer, Padding, Precision, Recipe

NETWORKS: Mapping[str, Profile] = {"vgg19-lite": OURS, "vgg19": PHOTOGRAPHS}
"""What is measured: architectures, and what suits the features that have them."""
FLOP_PER_PX = 1.4446e6
"""Of a step of VGG19: forward, and the gradient with respect to the picture; Gram matrices not counted."""
PRESETS = ("draft", "normal")
JOB_SIZE = 512, 384
ROUNDS = 5
_SHORT = {"bfloat16": "bf16", "float32": "fp32"}


@dataclass(frozen=True)
class Row:
    """A step of one network, size and precision: medians over `ROUNDS`, ratios of medians taken in turn.

    `memory_kb_per_px` is what it adds to the network; `times_faster_than_eager` is of VGG19 only.
    """

    network: str
    size_px: int
    precision: str
    step_s: float
    peak_gflops: float
    share_of_peak: float
    times_faster_than_eager: float | None
    four_regions_cost: float
    memory_kb_per_px: float


@dataclass(frozen=True)
class Job:
    """An everyday painting in a process that has painted before: seconds to its first step and in all, and the peak of
    memory that it adds."""

    preset: str
    features: str
    width: int
    height: int
    iterations: int
    first_step_s: float
    seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Report:
    """Everything `scumble bench` found, and on which machine."""

    machine: str
    threads: int
    torch: str
    rows: list[Row]
    jobs: list[Job]
    selection_share: float


class _Plainly:
    """The picture is seen as it is."""

    def see(self, x: Tensor) -> Tensor:
        return x

    def unsee(self, gradient: Tensor) -> Tensor:
        return gradient


def run(sizes: Sequence[int], precisions: Sequence[str], json_path: Path | None) -> None:
    """Measure every network at every size (px, square) in every precision, and everyday jobs; print tables, and write
    JSON if asked to."""
    if json_path is not None and not json_path.parent.is_dir():
        raise ScumbleError("cannot-write", f"There is no folder {json_path.parent}.", "Make it first.")
    report = measure(sizes, precisions, lambda what: Console(stderr=True).print(f"[dim]{what} …[/dim]"))
    for table in (_steps_table(report), _jobs_table(report)):
        Console().print(table)
    if json_path is not None:
        try:
            json_path.write_text(json.dumps(asdict(report), indent=2) + "\n")
        except OSError as error:
            raise ScumbleError("cannot-write", f"{json_path} cannot be written: {error.strerror or error}.") from error


def measure(sizes: Sequence[int], precisions: Sequence[str], on_begin: Callable[[str], object]) -> Report:
    """Measure; `on_begin` hears of each thing before it is."""
    device = device_of("auto")
    rows = []
    for name in precisions:
        dtype = dtype_of(Precision(name), device)
        for network in NETWORKS:
            for size in sizes:
                on_begin(f"A step of {network} at {size} px in {_name(dtype)}")
                rows.append(_row(network, size, dtype, device))
    painter = Painter(str(device))
    _job(painter, "draft")  # the first one loads the features
    jobs = []
    for preset in PRESETS:
        on_begin(f"A painting with the preset {preset}")
        jobs.append(_job(painter, preset))
    threads, version = torch.get_num_threads(), str(torch.__version__)
    return Report(processor_name(device), threads, version, rows, jobs, _selection_share())


# --------------------------------------------------------------------------------------------------------------- a step


def _row(network: str, size: int, dtype: torch.dtype, device: torch.device) -> Row:
    trunk = trunk_of(network, dtype, device)
    with at_work(trunk, size) as host:
        picture = torch.rand(1, 3, size, size, device=device)
        idle = host.reset_peak()
        one = step_of(trunk, size, [torch.ones(1, 1, size, size, device=device)])
        one(picture)
        host.wait()
        memory = host.peak_bytes() - idle
        four = step_of(trunk, size, _quarters(size, device))
        convolution, flop = lone_convolution(size, dtype, device)
        jobs = [lambda: one(picture), lambda: four(picture), convolution]
        if network == "vgg19":
            jobs.append(eager_step(size, device))
        step_s, four_s, convolution_s, *eager_s = in_turn(jobs, host)
    peak = flop / convolution_s / 1e9
    return Row(
        network=network,
        size_px=size,
        precision=_name(dtype),
        step_s=step_s,
        peak_gflops=peak,
        share_of_peak=flop_per_px(trunk.geometry) * size * size / step_s / 1e9 / peak,
        times_faster_than_eager=eager_s[0] / step_s if eager_s else None,
        four_regions_cost=four_s / step_s,
        memory_kb_per_px=memory / 1000 / size**2,
    )


def trunk_of(network: str, dtype: torch.dtype, device: torch.device) -> Trunk:
    """A seeded network with the layers that suit its architecture."""
    suited = NETWORKS[network]
    return Trunk(seeded(network), (*suited.style_layers, *suited.content_layers), device=device, dtype=dtype)


@contextlib.contextmanager
def at_work(trunk: Trunk, size: int) -> Iterator[Accelerator]:
    """The device as it is during a job of `size` × `size` px."""
    host, pixels = accelerator(trunk.device), size**2
    keeps = footprint(trunk.channels_per_px, trunk.dtype.itemsize, Optimizer.ADAM, 0).keeps(pixels, pixels)
    with held_pages(all_maps=keeps), host.painting():
        yield host


def step_of(trunk: Trunk, size: int, masks: Sequence[Tensor]) -> Repeated[Evaluation]:
    """A step with one style in each of some masks, (1, 1, size, size), as a job takes it again and again."""
    suited = next(profile for name, profile in NETWORKS.items() if name == trunk.weights.architecture)
    around = windows(size, size, None, 0, 16)
    regions = [region_weights(mask, trunk.taps, trunk.stride, trunk.radius) for mask in masks]
    whole = region_weights(torch.ones_like(masks[0]), trunk.taps, trunk.stride, trunk.radius)
    statistics_, kept = [Statistic(tap, tap) for tap in suited.style_layers], tuple(suited.content_layers)
    drawn = torch.rand(1, 3, size, size, device=trunk.device)
    target = survey(trunk, drawn, around, [whole], statistics_, kept)
    terms = [
        StyleTerm("style", statistic, [(region, [StyleTarget(matrix, 1.0)]) for region in regions])
        for statistic, matrix in target.statistics[0].items()
    ]
    content = [ContentTerm(tap, target.maps[tap], whole, ContentForm.MEAN, 1.0) for tap in kept if tap in whole.maps]
    objective = Objective([(trunk, [*terms, *content])], around, _Plainly(), PictureTerms())
    return accelerator(trunk.device).repeated(objective.evaluate, Evaluation.copy, size**2)


def flop_per_px(geometry: Geometry) -> float:
    """Of a step per pixel of the picture, forward and back, without the Gram matrices; an addition is one."""
    widths = [3, *geometry.channels.values()]
    return sum(
        2 * 2 * 9 * incoming * outgoing / geometry.stride[name] ** 2
        for name, (incoming, outgoing) in zip(geometry.channels, pairwise(widths), strict=True)
    )


def in_turn(jobs: Sequence[Callable[[], object]], host: Accelerator) -> list[float]:
    """Median seconds of each job, after two warm-ups (a recording is made in the second), A B C … A B C …."""
    found: list[list[float]] = [[] for _ in jobs]
    for round_ in range(-2, ROUNDS):
        for job, seconds in zip(jobs, found, strict=True):
            began = time.perf_counter()
            job()
            host.wait()
            if round_ >= 0:
                seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in found]


def _quarters(size: int, device: torch.device) -> list[Tensor]:
    half = size // 2
    masks = []
    for y in (0, half):
        for x in (0, half):
            mask = torch.zeros(1, 1, size, size, device=device)
            mask[..., y : y + half, x : x + half] = 1
            masks.append(mask)
    return masks


def eager_step(size: int, device: torch.device) -> Callable[[], Tensor]:
    """The plain loop's step: torchvision's VGG19 and autograd, in float32."""
    from torchvision.models import vgg19

    features = vgg19(weights=None).features[:30].eval().requires_grad_(False).to(device)
    for layer in features:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    taps = {1: 0, 6: 1, 11: 2, 20: 3, 29: 4}
    grams = [torch.rand(c, c, device=device) for c in (64, 128, 256, 512, 512)]
    content = torch.rand(1, 512, size // 8, size // 8, device=device)

    def step() -> Tensor:
        x = torch.rand(1, 3, size, size, device=device, requires_grad=True)
        h, loss = x, torch.zeros((), device=device)
        for index, layer in enumerate(features):
            h = layer(h)
            if index in taps:
                flat = h.flatten(2)[0]
                loss = loss + nnf.mse_loss(flat @ flat.T / flat.shape[1], grams[taps[index]])
            elif index == 22:
                loss = loss + nnf.mse_loss(h, content)
        torch.autograd.backward(loss)
        assert x.grad is not None
        return x.grad

    return step


def lone_convolution(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], object], float]:
    """A 256 → 256 convolution at a quarter of the size, several times over, and its FLOP: the shape that runs
    fastest."""
    side = max(32, size // 4)
    convolution = Convolution.of(torch.randn(256, 256, 3, 3) * 0.01, torch.zeros(256), Padding.ZEROS, device, dtype)
    x = torch.rand(1, 256, side, side, device=device).to(dtype).contiguous(memory_format=torch.channels_last)

    def job() -> None:
        for _ in range(4):
            convolution.forward(x)

    return job, 4 * 2 * 9 * 256 * 256 * side * side


# ---------------------------------------------------------------------------------------------------------------- a job


def _job(painter: Painter, preset: str) -> Job:
    width, height = JOB_SIZE
    content = Picture.from_rgb(scene(width, height).rgb)
    style = Picture.from_rgb(painting("night", width, width))
    recipe = Recipe.from_preset(preset, styles=[{"picture": "style"}], features="embedded")
    host, steps = accelerator(painter.device), list[float]()
    idle, began = host.reset_peak(), time.perf_counter()
    found = painter.paint(content, recipe, {"style": style}, lambda _: steps.append(time.perf_counter() - began))
    memory = (host.peak_bytes() - idle) / 1e6
    return Job(preset, found.features, width, height, len(steps), steps[0], found.seconds, memory)


def _selection_share() -> float:
    """What a selection of a tenth of 2048 × 2048 px costs beside the whole: the share of pixels that are computed."""
    free, side = Footprint(1, 1, 0), round(2048 * 0.1**0.5)
    found = plan(2048, 2048, Box(700, 700, side, side), Recipe(size=side), free, 1e12, 96)
    return found.levels[-1].width * found.levels[-1].height / 2048**2


# --------------------------------------------------------------------------------------------------------------- tables


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _steps_table(report: Report) -> Table:
    table = Table(title=f"{report.machine}, {report.threads} threads, torch {report.torch}")
    for heading in ("network", "size", "type", "s/step", "of peak", "× eager", "4 regions", "kB/px"):
        table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    for row in report.rows:
        eager = row.times_faster_than_eager
        table.add_row(
            row.network,
            f"{row.size_px}²",
            _SHORT.get(row.precision, row.precision),
            f"{row.step_s:.3g}",
            f"{row.share_of_peak:.0%}",
            "" if eager is None else f"{eager:.2f}",
            f"{row.four_regions_cost:.2f}",
            f"{row.memory_kb_per_px:.2f}",
        )
    table.caption = (
        "Of peak: of the rate of a lone 3 × 3 convolution. "
        f"A selection of 10 % of 2048² computes {report.selection_share:.0%} of its pixels."
    )
    return table


def _jobs_table(report: Report) -> Table:
    table = Table(title=f"A painting of {JOB_SIZE[0]} × {JOB_SIZE[1]} px")
    for heading in ("preset", "iterations", "first step, s", "in all, s", "MB"):
        table.add_column(heading, justify="left" if heading == "preset" else "right")
    for job in report.jobs:
        seconds = (f"{each:.2f}" for each in (job.first_step_s, job.seconds))
        table.add_row(job.preset, str(job.iterations), *seconds, f"{job.memory_mb:.0f}")
    table.caption = f"With {report.jobs[0].features}."
    return table
