"""What a step costs on this machine: `scumble bench`.

A **step** is one evaluation of loss and gradient with VGG19, five style layers and one content layer, as the published
settings have them. It is timed in turn with a plain **eager** loop (torchvision's VGG19, frozen, autograd, float32), so
that their ratio holds on a noisy machine, and set against the machine's own **peak**: the best rate of a lone 3 × 3
convolution in the same type. Speed does not depend on what the filters hold, so seeded ones serve.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as nnf
from rich.console import Console
from rich.table import Table
from torch import Tensor

from scumble.engine.machine import device_of, dtype_of, held_pages, peak_resident_bytes, processor_name, reset_peak
from scumble.engine.objective import Objective, PictureTerms
from scumble.engine.regions import region_weights
from scumble.engine.schedule import footprint
from scumble.engine.terms import ContentTerm, Statistic, StyleTarget, StyleTerm, survey
from scumble.engine.tiles import windows
from scumble.engine.vgg import Trunk
from scumble.engine.weights import seeded
from scumble.recipe import ContentForm, Optimizer, Precision

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT_LAYER = "conv4_2"
FLOP_PER_PX = 1.4446e6
"""Of one step: forward, and the gradient with respect to the picture; Gram matrices not counted."""
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One size and precision: medians over `ROUNDS`, ratios of medians taken in turn."""

    size_px: int
    precision: str
    step_s: float
    peak_gflops: float
    share_of_peak: float
    times_faster_than_eager: float
    four_regions_cost: float
    memory_kb_per_px: float


class _Plainly:
    """The picture is seen as it is."""

    def see(self, x: Tensor) -> Tensor:
        return x

    def unsee(self, gradient: Tensor) -> Tensor:
        return gradient


@dataclass(frozen=True)
class Report:
    """Everything `scumble bench` found, and on which machine."""

    machine: str
    threads: int
    torch: str
    rows: list[Row]
    selection_share: float


def run(sizes: Sequence[int], precisions: Sequence[str], json_path: Path | None) -> None:
    """Measure every size (px, square) in every precision, print a table, and write JSON if asked to."""
    console = Console()
    device = device_of("auto")
    rows = []
    for name in precisions:
        for size in sizes:
            console.print(f"[dim]{size} px, {name} …[/dim]", highlight=False)
            dtype = dtype_of(Precision(name), device)
            trunk = Trunk(seeded("vgg19"), (*STYLE_LAYERS, CONTENT_LAYER), device=device, dtype=dtype)
            expected = footprint(trunk.channels_per_px, dtype.itemsize, Optimizer.ADAM, 0.0).bytes(size**2, size**2)
            with held_pages(expected):
                rows.append(_row(size, trunk, device))
    report = Report(processor_name(device), torch.get_num_threads(), torch.__version__, rows, _selection_share())
    console.print(_table(report))
    if json_path is not None:
        json_path.write_text(json.dumps(asdict(report), indent=2) + "\n")


def _row(size: int, trunk: Trunk, device: torch.device) -> Row:
    picture = torch.rand(1, 3, size, size, device=device)
    whole, quarters = torch.ones(1, 1, size, size, device=device), _quarters(size, device)
    idle = reset_peak()
    one = _objective(trunk, size, [whole])
    one.evaluate(picture)
    memory = peak_resident_bytes(device) - idle
    four = _objective(trunk, size, quarters)
    eager = _eager_step(size, device)
    conv, flop = _lone_convolution(size, trunk.dtype, device)
    times = _in_turn([lambda: one.evaluate(picture), eager, lambda: four.evaluate(picture), conv], device)
    peak = flop / times[3] / 1e9
    return Row(
        size_px=size,
        precision=str(trunk.dtype).removeprefix("torch."),
        step_s=times[0],
        peak_gflops=peak,
        share_of_peak=FLOP_PER_PX * size * size / times[0] / 1e9 / peak,
        times_faster_than_eager=times[1] / times[0],
        four_regions_cost=times[2] / times[0],
        memory_kb_per_px=memory / 1000 / size**2,
    )


def _in_turn(jobs: Sequence[Callable[[], object]], device: torch.device) -> list[float]:
    """Median seconds of each job, after one warm-up, A B C … A B C …."""
    found: list[list[float]] = [[] for _ in jobs]
    for round_ in range(ROUNDS + 1):
        for job, seconds in zip(jobs, found, strict=True):
            began = time.perf_counter()
            job()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if round_:
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


def _objective(trunk: Trunk, size: int, masks: Sequence[Tensor]) -> Objective:
    around = windows(size, size, None, 0, 16)
    regions = [region_weights(mask, trunk.taps, trunk.stride, trunk.radius) for mask in masks]
    whole = region_weights(torch.ones_like(masks[0]), trunk.taps, trunk.stride, trunk.radius)
    statistics_ = [Statistic(tap, tap) for tap in STYLE_LAYERS]
    target = survey(
        trunk, torch.rand(1, 3, size, size, device=trunk.device), around, [whole], statistics_, (CONTENT_LAYER,)
    )
    terms = [
        StyleTerm(
            "style", statistic, [(region, [StyleTarget(target.statistics[0][statistic], 1.0)]) for region in regions]
        )
        for statistic in statistics_
    ]
    content = ContentTerm(CONTENT_LAYER, target.maps[CONTENT_LAYER], whole, ContentForm.MEAN, 1.0)
    return Objective([(trunk, [*terms, content])], around, _Plainly(), PictureTerms())


def _eager_step(size: int, device: torch.device) -> Callable[[], object]:
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


def _lone_convolution(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], object], float]:
    """A 256 → 256 convolution at a quarter of the size, several times over, and its FLOP: the shape that runs
    fastest."""
    from scumble.engine.vgg import Convolution
    from scumble.recipe import Padding

    side = max(32, size // 4)
    convolution = Convolution.of(torch.randn(256, 256, 3, 3) * 0.01, torch.zeros(256), Padding.ZEROS, device, dtype)
    x = torch.rand(1, 256, side, side, device=device).to(dtype).contiguous(memory_format=torch.channels_last)

    def job() -> None:
        for _ in range(4):
            convolution.forward(x)

    return job, 4 * 2 * 9 * 256 * 256 * side * side


def _selection_share() -> float:
    """What a selection of a tenth of 2048 × 2048 px costs beside the whole: the share of pixels that are computed."""
    from scumble.engine.schedule import Box, Footprint, plan
    from scumble.recipe import Recipe

    free, side = Footprint(0, 0, 0), round(2048 * 0.1**0.5)
    recipe = Recipe(size=side)
    found = plan(2048, 2048, Box(700, 700, side, side), recipe, free, 1e12, 96)
    return found.levels[-1].width * found.levels[-1].height / 2048**2


def _table(report: Report) -> Table:
    table = Table(title=f"{report.machine}, {report.threads} threads, torch {report.torch}")
    for heading in ("size", "type", "s / step", "of conv peak", "× eager fp32", "4 regions", "kB / px"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        table.add_row(
            f"{row.size_px}²",
            row.precision,
            f"{row.step_s:.3f}",
            f"{row.share_of_peak:.0%}",
            f"{row.times_faster_than_eager:.2f}",
            f"{row.four_regions_cost:.2f} ×",
            f"{row.memory_kb_per_px:.2f}",
        )
    table.caption = f"A selection of 10 % of 2048² computes {report.selection_share:.0%} of its pixels."
    return table
