"""Scumble beside its peers, on one loss: `python tests/benchmarks/rivals.py [--size PX] [--pairs N] [--json FILE]`
`[--neural-style-pt DIR] [--style-transfer-pytorch DIR]`, the last two checkouts of ProGamerGov's and crowsonkb's.

- *the race*: how long until a picture's loss is within 2 % of what neural-style-pt comes to in its default job (L-BFGS,
  1000 iterations from noise). Scumble paints for the same loss, from the content and with its own schedule; its total
  variation is isotropic, the peer's is not. The judge is the peer's own code, which is shown Scumble's pictures, within
  0..1; judging is not timed. Both take turns through the whole run. A plain torchvision loop from the content, with
  torch's L-BFGS and with its Adam, follows; without the checkout it is the peer as well.
- *a step*: seconds, share of the machine's convolution peak in float32 and bfloat16, peak resident memory; by turns.
- *style-transfer-pytorch* has another loss (Wasserstein), so only its steps are measured; what its default job takes is
  extrapolated from some of them at each of its sizes.

All have the network of `rivals_network.py`. At 512 px the race takes some 20 minutes a pair. With `--known FILE`, the
JSON of an earlier run, the losses that the peer came to are taken from there; it then makes only as many iterations as
Scumble does, by turns, and what all of them would take is extrapolated from these.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rivals_network
import rivals_plain as plain
from PIL import Image
from rivals_turns import Facts, Worker

from scumble.bench import FLOP_PER_PX
from scumble.drawn import PAINTINGS, painting, scene

PAIRS = tuple(PAINTINGS)
NEAR = 1.02
ITERATIONS = 1000
_WORKER = Path(__file__).with_name("rivals_worker.py")

LOSS: Mapping[str, Any] = {
    "styles": [{"picture": "style"}],
    "normalized": False,
    "pooling": "max",
    "padding": "zeros",
    "scaling": "paper",
    "style_loss": "gram",
    "content_form": "mean",
    "content_layers": {"conv4_2": 1.0},
    "content_weight": 5.0,
    # 100 · mean (G/C − A/C)², where ours is Σ (G − A)² / 4 C²
    "style_layers": {
        name: 400 / channels**2
        for name, channels in (("conv1_1", 64), ("conv2_1", 128), ("conv3_1", 256), ("conv4_1", 512), ("conv5_1", 512))
    },
    "style_weight": 1.0,
    # over all directions of an edge, |dx| + |dy| is 4/π times its length
    "tv_weight": 1e-3 * 255 * 4 / np.pi,
    "tv_exponent": 0.5,
    "frame_weight": 0.0,
}
"""neural-style-pt's loss as a recipe."""
SCHEDULE: Mapping[str, Any] = {"optimizer": "lbfgs", "scales": 1, "iterations": [100]}
"""What was found the cheapest road to it: see docs/speed.md."""


def measure(
    size: int = 512,
    pairs: Sequence[str] = PAIRS,
    iterations: int = ITERATIONS,
    neural_style_pt: Path | None = None,
    style_transfer_pytorch: Path | None = None,
    recipe: Mapping[str, Any] = SCHEDULE,
    known: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The races by pair, and the steps by engine; `size` is the longest side in px, a multiple of 128; `known` holds
    what the peer comes to by pair."""
    checkouts = {"neural-style-pt": neural_style_pt, "style-transfer-pytorch": style_transfer_pytorch}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = rivals_network.network(*(plain.caffe(each) for each in pictures(0, 512)))
        rivals_network.write(network, folder)
        found: dict[str, Any] = {"size": size, "iterations": iterations, "races": {}}
        for pair in pairs:
            _lay_out(folder, PAIRS.index(pair), size)
            found["races"][pair] = _race(folder, size, iterations, neural_style_pt, recipe, (known or {}).get(pair))
            _print_race(pair, found["races"][pair])
        found["steps"] = _steps(folder, size, checkouts)
        found["median_times"] = statistics.median(race["times"] or 0 for race in found["races"].values())
    return found


def pictures(index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Content and style, (height, width, 3) in 0..1 with 8 bits, of one shape: no engine has to resize any."""
    drawn = scene(size, size * 5 // 8, seed=index).rgb, painting(PAIRS[index], size, size * 5 // 8)
    content, style = ((np.asarray(each) * 255).round().clip(0, 255).astype(np.float32) / 255 for each in drawn)
    return content, style


def _lay_out(folder: Path, index: int, size: int) -> None:
    for name, pixels in zip(("content", "style"), pictures(index, size), strict=True):
        Image.fromarray((pixels * 255).round().astype(np.uint8)).save(folder / f"{name}.png")


def _worker(engine: str, folder: Path, size: int, checkout: Path | None = None, **options: Any) -> Worker:
    arguments = [str(_WORKER), engine, str(folder), "--size", str(size)]
    arguments += ["--checkout", str(checkout.resolve())] if checkout else []
    return Worker([*arguments, *(word for name, value in options.items() for word in (f"--{name}", str(value)))])


def _recipe(folder: Path, size: int, schedule: Mapping[str, Any]) -> str:
    return json.dumps({**LOSS, "features": str(folder / "vgg19.safetensors"), "size": size, **schedule})


# ----------------------------------------------------------------------------------------------------------- the race


def _race(
    folder: Path,
    size: int,
    iterations: int,
    checkout: Path | None,
    schedule: Mapping[str, Any],
    known: float | None,
) -> dict[str, Any]:
    own = sum(schedule["iterations"])
    run = own if known else iterations
    with ExitStack() as stack:
        peer = "neural-style-pt" if checkout else "plain"
        rival = stack.enter_context(_worker(peer, folder, size, checkout, iterations=run))
        ours = stack.enter_context(_worker("scumble", folder, size, recipe=_recipe(folder, size, schedule)))
        judge = stack.enter_context(_worker("judge", folder, size, checkout))
        judge.go()
        seen = _by_turns(rival, ours, judge, run, own)
        rivals = list(rival.found)
    arrival = _where(rivals[-1])
    if known:
        arrival = {**_extrapolated(rivals, iterations), "loss": known}
    goal = NEAR * arrival["loss"]
    arrived = next((each for each in seen if each["loss"] <= goal), None)
    plainly = {
        f"plain, {optimizer}": _plainly(folder, size, optimizer, goal, iterations) for optimizer in ("lbfgs", "adam")
    }
    return {
        "rival": {"name": peer, **arrival, "extrapolated": known is not None},
        "goal": goal,
        "scumble": _where(arrived) if arrived else None,
        "scumble at its end": _where(seen[-1]),
        "times": arrival["seconds"] / arrived["seconds"] if arrived else None,
        "times of processor": arrival["processor"] / arrived["processor"] if arrived else None,
        **plainly,
        "curves": {
            "rival": [(each["seconds"], each["loss"]) for each in rivals[:: max(1, len(rivals) // 100)]],
            "scumble": [(each["seconds"], each["loss"]) for each in seen],
        },
    }


def _by_turns(rival: Worker, ours: Worker, judge: Worker, iterations: int, own: int) -> list[Facts]:
    """Run both to their ends, evenly; what the judge says of Scumble's pictures."""
    seen: list[Facts] = []
    for at in iter(rival.go, None):
        while len(ours.found) * iterations < at["iteration"] * own and _judged(ours.go(), judge, seen):
            pass
    while _judged(ours.go(), judge, seen):
        pass
    return seen


def _extrapolated(reports: Sequence[Facts], iterations: int) -> dict[str, float]:
    """When it would have made all its iterations."""
    found: dict[str, float] = {"iteration": iterations}
    for clock in ("seconds", "processor"):
        step = statistics.median(after[clock] - before[clock] for before, after in pairwise(reports))
        found[clock] = reports[0][clock] + (iterations - 1) * step
    return found


def _judged(at: Facts | None, judge: Worker, seen: list[Facts]) -> bool:
    """Whether there was one more of Scumble's iterations."""
    if at is not None and "picture" in at:
        verdict = judge.go(at["picture"])
        assert verdict is not None
        seen.append({**at, "loss": verdict["loss"]})
    return at is not None


def _plainly(folder: Path, size: int, optimizer: str, goal: float, iterations: int) -> dict[str, float] | None:
    """Where a plain loop arrives, if it does."""
    with _worker("plain", folder, size, optimizer=optimizer, iterations=iterations) as worker:
        while at := worker.go():
            if at["loss"] <= goal:
                return _where(at)
    return None


def _where(at: Facts) -> dict[str, float]:
    return {name: at[name] for name in ("iteration", "seconds", "processor", "loss")}


# ------------------------------------------------------------------------------------------------------------- a step

_WARM_UP, _ROUNDS = 3, 7
_WASSERSTEIN = "style-transfer-pytorch"
_FIRST, _OTHERS = 1000, 500
"""Its iterations at the coarsest size, and at each other."""


def _steps(folder: Path, size: int, checkouts: Mapping[str, Path | None]) -> dict[str, dict[str, float]]:
    """By engine, medians of a step at the full size, all by turns."""
    count = {"iterations": 2 * (_WARM_UP + _ROUNDS)}
    with ExitStack() as stack:
        workers = {
            "plain, lbfgs": _worker("plain", folder, size, **count),
            "plain, adam": _worker("plain", folder, size, optimizer="adam", **count),
        }
        for optimizer in ("lbfgs", "adam"):
            one_size = {"scales": 1, "iterations": [count["iterations"]], "optimizer": optimizer}
            workers[f"scumble, {optimizer}"] = _worker("scumble", folder, size, recipe=_recipe(folder, size, one_size))
        if checkouts["neural-style-pt"]:
            workers["neural-style-pt"] = _worker("neural-style-pt", folder, size, checkouts["neural-style-pt"], **count)
        for worker in workers.values():
            stack.enter_context(worker)
        peak = stack.enter_context(_worker("peak", folder, size, **count))
        for _ in range(_WARM_UP + _ROUNDS):
            for worker in (peak, *workers.values()):
                worker.go()
        peaks = {
            kind: statistics.median(each[kind] for each in peak.found[_WARM_UP:]) for kind in ("float32", "bfloat16")
        }
        found = {name: _step(worker.found, size, peaks) for name, worker in workers.items()}
    if checkouts[_WASSERSTEIN]:
        found[_WASSERSTEIN] = _wasserstein(folder, size, checkouts[_WASSERSTEIN], peaks)
    return {"peak": {f"{kind} GFLOP/s": value / 1e9 for kind, value in peaks.items()}, **found}


def _step(reports: Sequence[Facts], size: int, peaks: Mapping[str, float]) -> dict[str, float]:
    """`reports` of consecutive iterations at one size."""
    seconds, processor = (
        statistics.median(
            after[clock] - before[clock] for before, after in pairwise(reports[min(_WARM_UP, len(reports) - 2) :])
        )
        for clock in ("seconds", "processor")
    )
    rate = FLOP_PER_PX * size * (size * 5 // 8) / seconds
    return {
        "seconds": seconds,
        "processor": processor,
        **{f"share of {kind}": rate / value for kind, value in peaks.items()},
        "peak_mb": reports[-1]["peak_mb"],
    }


def _wasserstein(folder: Path, size: int, checkout: Path | None, peaks: Mapping[str, float]) -> dict[str, float]:
    with _worker(_WASSERSTEIN, folder, size, checkout, iterations=_WARM_UP + 2) as worker:
        reports = list(iter(worker.go, None))
    by_size = [list(each) for _, each in groupby(reports, key=lambda at: at["width"])]
    steps = [_step(each, size, peaks) for each in by_size]
    counts = [_FIRST, *[_OTHERS] * (len(steps) - 1)]
    job = sum(count * step["seconds"] for count, step in zip(counts, steps, strict=True))
    return {**steps[-1], "default job, extrapolated": job}


# ---------------------------------------------------------------------------------------------------------- the table


def _print_race(pair: str, race: Mapping[str, Any]) -> None:
    ours, rival = race["scumble"], race["rival"]
    print(f"{pair}: {rival['name']} comes to {rival['loss']:.5g} in {rival['seconds']:.0f} s;", end=" ")
    if ours is None:
        print(f"Scumble only to {race['scumble at its end']['loss']:.5g}.", flush=True)
        return
    print(f"Scumble is within 2 % in {ours['seconds']:.1f} s: {race['times']:.1f} times sooner", end="")
    for name in ("plain, lbfgs", "plain, adam"):
        arrived = race[name]
        print(f"; {name} in {arrived['seconds']:.0f} s" if arrived else f"; {name} never", end="")
    print(".", flush=True)


def _print_steps(steps: Mapping[str, Mapping[str, float]]) -> None:
    peak = steps["peak"]
    print(f"\nPeak of a convolution: {', '.join(f'{value:.0f} {kind}' for kind, value in peak.items())}")
    print(f"{'':24}{'s a step':>10}{'of float32':>12}{'of bfloat16':>12}{'MB':>8}")
    for name, step in steps.items():
        if name != "peak":
            shares = f"{step['share of float32']:>12.0%}{step['share of bfloat16']:>12.0%}"
            print(f"{name:24}{step['seconds']:10.3f}{shares}{step['peak_mb']:8.0f}")
    if job := steps.get(_WASSERSTEIN, {}).get("default job, extrapolated"):
        print(f"{_WASSERSTEIN}'s default job, of another loss, would take {job:.0f} s (extrapolated).")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, metavar="PX")
    parser.add_argument("--pairs", type=int, default=len(PAIRS), metavar="N")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, metavar="N", help="of the peer")
    parser.add_argument("--neural-style-pt", type=Path, metavar="DIR")
    parser.add_argument("--style-transfer-pytorch", type=Path, metavar="DIR")
    parser.add_argument("--known", type=Path, metavar="FILE", help="an earlier run's JSON, of the same size")
    parser.add_argument("--quick", action="store_true", help="two pairs at 256 px")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    size, pairs = (256, 2) if asked.quick else (asked.size, asked.pairs)
    for name in ("neural_style_pt", "style_transfer_pytorch"):
        if getattr(asked, name) is None:
            print(f"Without --{name.replace('_', '-')} that peer is left out.")
    known: dict[str, float] = {}
    if asked.known:
        earlier = json.loads(asked.known.read_text())
        if (earlier["size"], earlier["iterations"]) != (size, asked.iterations):
            parser.error(f"{asked.known} is of {earlier['size']} px and {earlier['iterations']} iterations")
        known = {pair: race["rival"]["loss"] for pair, race in earlier["races"].items()}
    checkouts = (asked.neural_style_pt, asked.style_transfer_pytorch)
    found = measure(size, PAIRS[:pairs], asked.iterations, *checkouts, known=known)
    print(f"Median: {found['median_times']:.1f} times sooner.")
    _print_steps(found["steps"])
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
