"""One engine at work on a pair of pictures, in turns: `python rivals_worker.py ENGINE FOLDER [OPTION …]`.

The folder holds `content.png`, `style.png`, and the same network as `vgg19.pth` for the peers and
`vgg19.safetensors` for Scumble. Engines: `neural-style-pt`, `style-transfer-pytorch` (with `--checkout`), `plain`,
`scumble`; and `judge`, which gives back the loss of every picture whose file it is told.
"""

import argparse
import contextlib
import runpy
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import rivals_plain as plain
import torch
from PIL import Image
from rivals_turns import Turns
from torch import Tensor


def picture(path: Path) -> np.ndarray:
    """(height, width, 3), float32, 0..1."""
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


@contextlib.contextmanager
def _instead(descend: Any) -> Iterator[None]:
    """Run neural-style-pt with `descend(optimizer, closure)` in place of torch's own L-BFGS step."""
    with mock.patch.object(torch.optim.LBFGS, "step", descend):
        yield


def _neural_style_pt(asked: argparse.Namespace) -> None:
    """Its script, as it is, with its defaults."""
    folder: Path = asked.folder
    sys.path.insert(0, str(asked.checkout))
    given = {
        "content_image": folder / "content.png",
        "style_image": folder / "style.png",
        "model_file": folder / "vgg19.pth",
        "output_image": folder / "out.png",
        "image_size": asked.size,
        "num_iterations": asked.iterations,
        "gpu": "c",
        "print_iter": 0,
        "save_iter": 0,
        "seed": 0,
    }
    sys.argv = ["neural_style.py", "-disable_check"]  # there is no classifier in our file
    sys.argv += [word for name, value in given.items() for word in (f"-{name}", str(value))]
    runpy.run_path(str(Path(asked.checkout) / "neural_style.py"), run_name="__main__")


def neural_style_pt(asked: argparse.Namespace, turns: Turns) -> None:
    """A report per iteration; the last one with the picture that is kept."""
    own = torch.optim.LBFGS.step

    def step(optimizer: torch.optim.LBFGS, closure: Any) -> Any:
        count = 0

        def told() -> Any:
            nonlocal count
            loss = closure()
            count += 1
            turns.report(iteration=count, loss=float(loss.detach()))
            if count == asked.iterations:
                np.save(asked.folder / "rival.npy", plain.rgb(optimizer.param_groups[0]["params"][0]))
            return loss

        return own(optimizer, told)

    with _instead(step):
        _neural_style_pt(asked)


def judge(asked: argparse.Namespace, turns: Turns) -> None:
    """The loss of pictures by neural-style-pt's own code, or by the plain loop's where there is no checkout."""
    if asked.checkout is None:
        loss = _plain_loss(asked.folder)
        with torch.no_grad():
            said = turns.answer(loss=None)
            while True:
                said = turns.answer(loss=float(loss(plain.caffe(np.load(said)))))

    def step(optimizer: torch.optim.LBFGS, closure: Any) -> None:
        x = optimizer.param_groups[0]["params"][0]
        said = turns.answer(loss=None)
        while True:
            x.data.copy_(plain.caffe(np.load(said)))
            said = turns.answer(loss=float(closure().detach()))

    with _instead(step):
        _neural_style_pt(asked)


def _plain_loss(folder: Path) -> plain.Loss:
    state = torch.load(folder / "vgg19.pth")
    content, style = (plain.caffe(picture(folder / f"{name}.png")) for name in ("content", "style"))
    return plain.Loss(state, content, style)


def plain_loop(asked: argparse.Namespace, turns: Turns) -> None:
    """From the content, as PyTorch's tutorial does."""
    loss = _plain_loss(asked.folder)

    def each(iteration: int, value: float, x: Tensor) -> None:
        turns.report(iteration=iteration, loss=value)

    plain.descend(loss, plain.caffe(picture(asked.folder / "content.png")), asked.optimizer, asked.iterations, each)


def style_transfer_pytorch(asked: argparse.Namespace, turns: Turns) -> None:
    """Its defaults, but only `iterations` at each of its sizes."""
    import torchvision

    # the package itself wants a web server
    package = types.ModuleType("style_transfer")
    package.__path__ = [str(asked.checkout / "style_transfer")]
    sys.modules["style_transfer"] = package
    network = torchvision.models.vgg19

    def ours(**_: object) -> Any:
        found = network(weights=None)
        found.load_state_dict(torch.load(asked.folder / "vgg19.pth"), strict=False)
        return found

    with mock.patch.object(torchvision.models, "vgg19", ours):
        from style_transfer.style_transfer import StyleTransfer

        content, style = (Image.open(asked.folder / f"{name}.png").convert("RGB") for name in ("content", "style"))
        StyleTransfer().stylize(
            content,
            [style],
            end_scale=asked.size,
            iterations=asked.iterations,
            initial_iterations=asked.iterations,
            callback=lambda at: turns.report(iteration=at.i, loss=at.loss, width=at.w, height=at.h),
        )


def scumble(asked: argparse.Namespace, turns: Turns) -> None:
    """The recipe of `--recipe`; of every few iterations at the full size, and of the last, with the picture."""
    from scumble.engine.painter import Painter
    from scumble.engine.run import Step
    from scumble.picture import Picture
    from scumble.recipe import Recipe

    content, style = (Picture.from_rgb(picture(asked.folder / f"{name}.png")) for name in ("content", "style"))
    shown = asked.folder / "shown.npy"

    def on_step(step: Step) -> None:
        facts: dict[str, Any] = {"iteration": step.iteration, "own": step.losses["total"]}
        turns.pause()
        if step.level == step.levels and step.iteration % asked.every == 0:
            np.save(shown, step.preview())
            facts["picture"] = str(shown)
        turns.report(**facts)

    painting = Painter().paint(content, Recipe.parse(asked.recipe), {"style": style}, on_step)
    turns.pause()
    np.save(shown, painting.picture.rgb())
    turns.report(iteration=len(painting.losses), own=painting.losses[-1]["total"], picture=str(shown))


def peak(asked: argparse.Namespace, turns: Turns) -> None:
    """A lone convolution in float32 and in bfloat16, by turns; FLOP per second."""
    from scumble.bench import lone_convolution

    jobs = {kind: lone_convolution(asked.size, kind, torch.device("cpu")) for kind in (torch.float32, torch.bfloat16)}
    for _ in range(asked.iterations):
        found = {}
        for kind, (job, flop) in jobs.items():
            began = time.perf_counter()
            job()
            found[str(kind).removeprefix("torch.")] = flop / (time.perf_counter() - began)
        turns.report(**found)


ENGINES = {
    "neural-style-pt": neural_style_pt,
    "judge": judge,
    "plain": plain_loop,
    "style-transfer-pytorch": style_transfer_pytorch,
    "scumble": scumble,
    "peak": peak,
}


def main() -> None:
    """Work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkout", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--optimizer", choices=["lbfgs", "adam"], default="lbfgs")
    parser.add_argument("--every", type=int, default=3, help="iterations between two pictures that are shown")
    parser.add_argument("--recipe", default="{}", help="a recipe's JSON")
    asked = parser.parse_args()
    ENGINES[asked.engine](asked, Turns())


if __name__ == "__main__":
    main()
