"""The training of a transformation network by the engine's own losses, that can be stopped and gone on with.

Each step repaints some squares, every one at a strength and after a style or two of its own, asks the engine for losses
and their gradient with respect to what was painted, as an optimisation would, and hands that gradient on to the network
(Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer"); beside it that of what is asked of strokes,
and of a judge that learns along.
"""

import hashlib
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scumble.engine.fast import WEAKEST
from scumble.engine.job import bind
from scumble.engine.models import THUMBNAIL_PX, About, Model, TrainedStyle
from scumble.engine.noise import ORIGIN, place
from scumble.engine.painter import Painter
from scumble.engine.sealed import seal, unseal
from scumble.engine.targets import at_size, style_size
from scumble.engine.transformation import Transformation
from scumble.errors import ScumbleError
from scumble.home import write_private
from scumble.picture import Picture
from scumble.recipe import Recipe
from scumble.sheet import fitted
from scumble.style_training.contents import Contents, Source
from scumble.style_training.course import STRONGEST, Course, Note
from scumble.style_training.judge import LEAST, Judge
from scumble.style_training.strokes import KINDS, SMALLEST, Strokes

ALONE = 0.7
"""With several styles so many squares are after one of them, the others after two."""
OUTLIER = 10.0
"""Losses of a square beyond this count no more than this."""
STRONGEST_PULL = 2.0
"""A square pulls at most so many times as strongly as the squares of its style do in the mean: one that is much like
the style by itself would pull fifty times as strongly, and undo what was learnt of the others."""
JUDGE_PULL = 1.0
"""The judge pulls at a square so many times as strongly as all losses do together."""
REMEMBERED = 0.9
"""Of how strongly a style pulls, what is remembered from one square to the next."""
OWN_RATE = 5.0
"""Of the gains, shifts and shares of several styles, in learning rates."""
RISE = 50
"""Steps in which the learning rate rises, and the pull of the judge, who knows nothing at first."""
_KIND = "scumble training 5"


@dataclass(frozen=True, eq=False)
class Studied:
    """A style that is learnt: its picture, and how the model will know it again."""

    picture: Picture
    style: TrainedStyle


class Trainer:
    """A course under way: `run` it until it ends; `save` and `load` let it go on elsewhere. `history` holds the mean
    losses of every step, `styles` are those that are learnt."""

    def __init__(self, course: Course, styles: Sequence[Studied], source: Source, painter: Painter) -> None:
        self.course, self.step, self.seconds = course, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.styles, self._painter = tuple(styles), painter
        names = [style.picture for style in course.recipe.styles]
        self._pictures = {name: each.picture for name, each in zip(names, styles, strict=True)}
        self._generator = torch.Generator().manual_seed(course.seed)
        self.network = Transformation(course.shape, self._generator).to(painter.device)
        self._contents = Contents(source, course.square, self._generator)
        self._optimizer = torch.optim.Adam(self._groups(), lr=course.learning_rate)
        self._pulls = [0.0] * len(self.styles)
        seen = self._seen_styles()
        least = min(course.square, *(min(style.shape[2:]) for style in seen))
        self._strokes = Strokes(seen) if least >= SMALLEST else None
        self._judge = Judge(seen, self._generator) if least >= LEAST else None

    @property
    def is_done(self) -> bool:
        """Whether the course has ended."""
        return self.step >= self.course.steps

    def run(self, on_note: Callable[[Note], bool | None], until: int | None = None) -> None:
        """Go on to step `until` or to the end, or until a step's note is answered with true."""
        while self.step < min(self.course.steps, until or self.course.steps):
            began = time.perf_counter()
            self._advance()
            self.seconds += time.perf_counter() - began
            if on_note(Note(self.step, self.course.steps, self.seconds, self.history[-1])):
                return

    def _advance(self) -> None:
        count, device = self.course.batch, self._painter.device
        contents = self._contents.take(count).to(device)
        mixtures = torch.stack([self._mixture(self.step * count + square) for square in range(count)])
        strengths = WEAKEST + (STRONGEST - WEAKEST) * torch.rand(count, generator=self._generator)
        places = [place(self._generator) for _ in range(count)]
        painted = self.network(contents, mixtures.to(device), strengths.to(device), places)
        if self._judge is not None:
            self._judge.learn(painted, mixtures)
        pulls = [
            self._pull(content, mixture, float(strength), shown)
            for content, mixture, strength, shown in zip(contents, mixtures, strengths, painted.detach(), strict=True)
        ]
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate() * group["times"]
        self._optimizer.zero_grad()
        gradients = [self._evened(gradient, mixture) for (gradient, _), mixture in zip(pulls, mixtures, strict=True)]
        painted.backward(torch.stack(gradients) / count)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self._optimizer.step()
        losses = [losses for _, losses in pulls]
        self.history.append({kind: float(np.mean([each[kind] for each in losses])) for kind in losses[0]})
        self.step += 1

    def _mixture(self, number: int) -> Tensor:
        """The styles' shares of a square: each style has its turn."""
        count, generator = len(self.styles), self._generator
        mixture = torch.zeros(count)
        first, away = number % count, int(torch.randint(0, max(1, count - 1), (), generator=generator))
        alone, share = (float(torch.rand((), generator=generator)) for _ in range(2))
        if count == 1 or alone < ALONE:
            share = 1.0
        mixture[first] = share
        mixture[(first + 1 + away) % count] += 1 - share
        return mixture

    def _pull(
        self, content: Tensor, mixture: Tensor, strength: float, painted: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Of the losses of what was painted, (3, height, width), the gradient, and what they are.

        Both are divided so that no strength counts for more than another.
        """
        square = Picture.from_rgb(content.permute(1, 2, 0).cpu().numpy(), "float32")
        recipe = asked(self.course.squares_recipe, mixture.tolist(), strength)
        _, objective = self._painter.objective(square, recipe, self._pictures)
        x = painted[None].contiguous()
        if objective.matches:
            objective.match(x, by_content_alone=False)
        found = objective.evaluate(x)
        strokes, slope = self._strokes.pull(x, mixture) if self._strokes else (dict.fromkeys(KINDS, 0.0), 0.0)
        slope = found.gradient + slope
        of_style = 1 / (1 + 10 ** ((60 - strength) / 20))
        doubt, judged = self._judged(x, mixture, float(slope.norm()) * min(1.0, 2 * of_style))
        total = found.total + sum(strokes.values())
        # a square that is nearly like the style by itself makes any loss look vast
        share = min(1.0, OUTLIER / max(total, 1e-9)) * of_style
        losses = {**found.parts, **strokes, "judge": doubt, "total": total}
        return (slope + judged)[0] * share, {kind: value * share for kind, value in losses.items()}

    def _seen_styles(self) -> list[Tensor]:
        """The styles as large as they are seen, each (1, 3, height, width)."""
        side, recipe = self.course.square, self.course.squares_recipe
        ground = Picture.from_rgb(np.zeros((side, side, 3), np.float32), "float32")
        (region,) = bind(ground, recipe, self._pictures).regions
        sizes = [style_size(style, recipe, side, side) for style in region.styles]
        device = self._painter.device
        return [at_size(style, size, device)[0] for style, size in zip(region.styles, sizes, strict=True)]

    def _judged(self, painted: Tensor, mixture: Tensor, usual: float) -> tuple[float, Tensor]:
        """What the judge says of what was painted, (1, 3, height, width), and its gradient, made as strong beside the
        `usual` norm of all other losses' as it may be by now."""
        if self._judge is None:
            return 0.0, torch.zeros_like(painted)
        doubt, gradient = self._judge.pull(painted, mixture)
        norm = JUDGE_PULL * min(1.0, self.step / RISE) * usual
        return doubt, gradient * (norm / max(float(gradient.norm()), 1e-12))

    def _evened(self, gradient: Tensor, mixture: Tensor) -> Tensor:
        """A square's gradient, so that no square pulls at the network much more strongly than the others of its style,
        and of several styles each as strongly as the others: what their losses are divided by, the style's own
        statistics, differs by orders of magnitude."""
        shares, found = mixture.tolist(), float(gradient.norm())
        if not found:
            return gradient
        before = [pull or found for pull in self._pulls]
        most = STRONGEST_PULL * sum(share * pull for share, pull in zip(shares, before, strict=True))
        pull = min(found, most)
        for index, share in enumerate(shares):
            if share:
                self._pulls[index] = before[index] + share * (1 - REMEMBERED) * (pull - before[index])
        usual = sum(share * each for share, each in zip(shares, self._pulls, strict=True))
        times = pull / found * statistics.mean(each for each in self._pulls if each) / usual
        return gradient * float(times)

    def _groups(self) -> list[dict[str, Any]]:
        """Gains, shifts and shares, which with several styles have to come further in their own steps, and all else."""
        own: list[nn.Parameter] = []
        shared: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            (own if name.rpartition("_")[2] in ("gain", "shift", "share") else shared).append(parameter)
        times = OWN_RATE if len(self.styles) > 1 else 1.0
        return [{"params": shared, "times": 1.0}, {"params": own, "times": times}]

    def _rate(self) -> float:
        """Rises over the first steps, then falls as a cosine."""
        fall = 0.5 + 0.5 * math.cos(math.pi * self.step / self.course.steps)
        return self.course.learning_rate * min(1.0, (self.step + 1) / RISE) * (0.02 + 0.98 * fall)

    # ------------------------------------------------------------------------------------------------- what comes of it

    def model(self) -> Model:
        """What was learnt so far."""
        last = self.history[-50:]
        course = self.course
        about = About(
            styles=tuple(each.style for each in self.styles),
            width=course.width,
            blocks=course.blocks,
            upsampling=course.upsampling,
            own_filters=course.shape.own_filters,
            noise=course.shape.noise,
            size=course.size,
            recipe=course.recipe.as_dict(),
            features=self._painter.features_name(course.recipe),
            steps=self.step,
            minutes=round(self.seconds / 60, 2),
            losses={kind: float(np.mean([each[kind] for each in last])) for kind in last[0]} if last else {},
        )
        tensors = {name: tensor.cpu() for name, tensor in self.network.tensors().items()}
        return Model(about, tensors, [thumbnail(each.picture) for each in self.styles])

    @torch.no_grad()
    def repaint(self, picture: Tensor, mixture: Sequence[float], strength: float) -> Tensor:
        """A picture (1, 3, height, width), sides multiples of four, as the network paints it now."""
        shares = torch.tensor([list(mixture)], device=self._painter.device)
        at = torch.tensor([strength], device=self._painter.device)
        shown: Tensor = self.network(picture.to(self._painter.device), shares, at, [ORIGIN])
        return shown.cpu()

    def save(self, path: Path) -> None:
        """Write all that is needed to go on but the squares' bases, which are made anew. Raises OSError."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= _remembered(self._optimizer, self.network, "")
        if self._judge is not None:
            tensors |= {f"judge.{name}": tensor for name, tensor in self._judge.state_dict().items()}
            tensors |= _remembered(self._judge.optimizer, self._judge, "judge.")
        tensors["generator"] = self._generator.get_state()
        facts = {
            **self._facts(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "pulls": self._pulls,
        }
        write_private(path, seal(_KIND, facts, tensors), durable=False)

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote; `ScumbleError("bad-model")` if it is damaged or of another course."""
        hint = "Give the same options as then, or remove it to begin anew."
        try:
            facts, tensors = unseal(_KIND, path.read_bytes())
        except (OSError, ValueError) as error:
            raise ScumbleError("bad-model", f"{path} is no training that can be gone on with.", hint) from error
        if {key: facts[key] for key in self._facts()} != self._facts():
            raise ScumbleError("bad-model", f"{path} is of a training with other settings or pictures.", hint)
        self.step, self.seconds, self.history = facts["step"], facts["seconds"], facts["history"]
        self._pulls = facts["pulls"]
        self.network.load_state_dict({name: tensors[f"network.{name}"] for name in self.network.state_dict()})
        _remember(self._optimizer, self.network, tensors, "")
        if self._judge is not None:
            self._judge.load_state_dict({name: tensors[f"judge.{name}"] for name in self._judge.state_dict()})
            _remember(self._judge.optimizer, self._judge, tensors, "judge.")
        self._generator.set_state(tensors["generator"])

    def _facts(self) -> dict[str, Any]:
        pixels = [hashlib.sha256(each.picture.rgb().tobytes()).hexdigest() for each in self.styles]
        return {"course": self.course.as_json(), "pictures": pixels}


def _remembered(adam: torch.optim.Adam, network: nn.Module, prefix: str) -> dict[str, Tensor]:
    """What Adam knows of a network's parameters, by names that begin with `prefix`."""
    named = network.named_parameters()
    known = ((name, adam.state.get(parameter, {})) for name, parameter in named)
    return {f"{prefix}{key}.{name}": value for name, state in known for key, value in state.items()}


def _remember(adam: torch.optim.Adam, network: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Let Adam go on with that."""
    for name, parameter in network.named_parameters():
        kept = {key: tensors[f"{prefix}{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        adam.state[parameter] = {
            key: value if key == "step" else value.to(parameter.device) for key, value in kept.items()
        }


def asked(recipe: Recipe, mixture: Sequence[float], strength: float) -> Recipe:
    """The recipe with the styles weighted so, at that strength."""
    styles = [
        {**style.model_dump(mode="json", exclude_defaults=True), "weight": share}
        for style, share in zip(recipe.styles, mixture, strict=True)
    ]
    return recipe.changed(styles=styles, strength=strength)


def thumbnail(picture: Picture) -> NDArray[np.uint8]:
    """The small picture of a style that a model holds."""
    return np.asarray(fitted(picture, THUMBNAIL_PX, THUMBNAIL_PX))
