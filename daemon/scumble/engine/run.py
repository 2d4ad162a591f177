"""One job on its way through the levels: its iterations, and what is told of them."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scumble.engine import canvas as easel_canvas
from scumble.engine import optimize
from scumble.engine.accelerator import Look, Repeated, accelerator
from scumble.engine.canvas import Canvas
from scumble.engine.checkpoint import Checkpoint
from scumble.engine.compose import Composer
from scumble.engine.job import Job
from scumble.engine.objective import Evaluation, Objective
from scumble.engine.optimize import Descent, Patience
from scumble.engine.schedule import Plan
from scumble.recipe import Optimizer, Start


@dataclass(frozen=True)
class Step:
    """What is known after an iteration. `iteration` counts over all levels from 1; `losses` by kind, and `total`."""

    iteration: int
    iterations: int
    level: int
    levels: int
    width: int
    height: int
    losses: Mapping[str, float]
    progress: float
    seconds_left: float
    look: Callable[[], Look]
    """Call it, only before the next iteration, to begin to fetch the box as it looks now, while the painting goes on;
    the answer waits for it: (height, width, 3) float32, 0..1."""
    save: Callable[[], Checkpoint]
    """Call it for what the job needs to go on from here; only before the next iteration."""

    def preview(self) -> np.ndarray:
        """The box as it looks now: `look`, and wait."""
        return self.look()()


LEAST_APART = 5
"""Iterations between two searches for neighbours, at least: fewer do not move the picture enough to find others."""

OnStep = Callable[[Step], bool | None]
"""Told after every iteration; a true answer stops the painting and keeps what is there."""


class Run:
    """The progress of one job over its levels; with `resumed` it goes on from there.

    A level that ends by itself takes what it did not need out of `plan`.
    """

    def __init__(self, job: Job, todo: Plan, on_step: OnStep, resumed: Checkpoint | None) -> None:
        self._job, self._todo, self._on_step, self._resumed = job, todo, on_step, resumed
        self.plan = replace(todo, levels=resumed.levels) if resumed else todo
        self._done = resumed.work if resumed else 0
        self._paces: deque[float] = deque(maxlen=5)
        self._matched: Tensor | None = None
        self.losses: list[Mapping[str, float]] = list(resumed.losses) if resumed else []
        self.stopped = False

    def mark(self) -> tuple[int, int]:
        """Where the job is now, for `return_to`."""
        return self._done, len(self.losses)

    def return_to(self, mark: tuple[int, int]) -> None:
        """Forget what was done since a mark."""
        self._done, count = mark
        del self.losses[count:]

    def descend(self, x: Tensor, canvas: Canvas, composer: Composer, index: int) -> Tensor:
        """One level's iterations from `x`, or from the checkpoint if that is in this level; the picture to keep."""
        level, recipe = self._todo.levels[index], self._job.recipe
        objective = composer.compose(canvas)
        evaluate = self._evaluation(objective, x)
        rounds = _rounds(level.iterations, recipe.matchings) if objective.matches else set()
        last_round = max(rounds, default=0)  # each is for another loss
        descent, patience = self._descent(canvas), Patience(recipe.least_gain)
        begin, self._matched = 0, None
        if self._resumed is not None and self._resumed.level == index:
            begin = self._resumed.iteration
            x = self._resumed.picture.to(x.device, copy=True)
            self._match_again(self._resumed, objective, rounds, x.device)
            descent.restore(self._resumed.state, x.device)
            for losses in self.losses[len(self.losses) - max(0, begin - last_round) :]:
                patience.ends(losses["total"])
        for iteration in range(begin, self.plan.levels[index].iterations):
            began = time.perf_counter()
            if iteration in rounds:
                x = self._match(x, objective, first=index == 0 and iteration == 0)
                evaluate.forget()
                if recipe.optimizer is Optimizer.LBFGS:  # what it learnt was of another loss
                    descent = self._descent(canvas)
            evaluation = evaluate(x)
            x = descent.step(x, evaluation.total, evaluation.gradient, iteration / level.iterations)
            if iteration >= last_round and patience.ends(evaluation.total):
                self._end(index, iteration + 1)
            self._tell(x, canvas, evaluation, descent, (index, iteration + 1), time.perf_counter() - began)
            if self.stopped or iteration + 1 == self.plan.levels[index].iterations:
                break
        evaluate.forget()  # a recording holds as much memory as a step
        x = descent.finish(x)
        return x if self.stopped else objective.lay(x)

    def _end(self, index: int, iterations: int) -> None:
        """Take from the plan what a level need not do after so many iterations."""
        levels = list(self.plan.levels)
        levels[index] = replace(levels[index], iterations=iterations)
        self.plan = replace(self.plan, levels=tuple(levels))

    def _evaluation(self, objective: Objective, x: Tensor) -> Repeated[Evaluation]:
        if not objective.in_one_piece:
            return Repeated(objective.evaluate)
        pixels = x.shape[2] * x.shape[3]
        return accelerator(x.device).repeated(objective.evaluate, Evaluation.copy, pixels)

    def _descent(self, canvas: Canvas) -> Descent:
        recipe = self._job.recipe
        return optimize.make(recipe.optimizer, recipe.learning_rate, canvas.low, canvas.high)

    def _match(self, x: Tensor, objective: Objective, *, first: bool) -> Tensor:
        start = self._job.recipe.start
        self._matched = x
        voted = objective.match(x, by_content_alone=first and start is Start.CONTENT)
        return x if first and start is Start.PICTURE else voted

    def _match_again(self, resumed: Checkpoint, objective: Objective, rounds: set[int], device: torch.device) -> None:
        """Find the neighbours of the last round before the checkpoint; the picture has long moved to their votes."""
        if resumed.matched is None:
            return
        last = max(each for each in rounds if each < resumed.iteration)
        self._match(resumed.matched.to(device, copy=True), objective, first=resumed.level == 0 and last == 0)

    def _tell(
        self,
        x: Tensor,
        canvas: Canvas,
        evaluation: Evaluation,
        descent: Descent,
        place: tuple[int, int],
        seconds: float,
    ) -> None:
        level = self.plan.levels[place[0]]
        work = sum(each.work for each in self.plan.levels)
        pixels = level.width * level.height
        self._done += pixels
        # the pace changes from minute to minute on a shared machine, and the first iteration is slow
        self._paces.append(seconds / pixels)
        losses = {**evaluation.parts, "total": evaluation.total}
        self.losses.append(losses)
        step = Step(
            iteration=len(self.losses),
            iterations=sum(each.iterations for each in self.plan.levels),
            level=place[0] + 1,
            levels=len(self.plan.levels),
            width=level.width,
            height=level.height,
            losses=losses,
            progress=self._done / work,
            seconds_left=(work - self._done) * statistics.median(self._paces),
            look=lambda: _look(canvas, x),
            save=lambda: self._checkpoint(x, descent, *place),
        )
        if self._on_step(step):
            self.stopped = True

    def _checkpoint(self, x: Tensor, descent: Descent, index: int, iteration: int) -> Checkpoint:
        return Checkpoint(
            level=index,
            iteration=iteration,
            picture=_own(x),
            optimizer=self._job.recipe.optimizer,
            state={name: _own(tensor) for name, tensor in descent.state().items()},
            losses=tuple(self.losses),
            levels=self.plan.levels,
            box=self.plan.box,
            matched=None if self._matched is None else _own(self._matched),
        )


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _rounds(iterations: int, count: int) -> set[int]:
    """The iterations before which neighbours are looked for: evenly spread, the first included, none soon after
    another."""
    count = min(count, max(1, iterations // LEAST_APART))
    return {iterations * each // count for each in range(count)}


def _look(canvas: Canvas, x: Tensor) -> Look:
    shown = easel_canvas.show(canvas.content, x.clamp(0, 1), canvas.keep)
    mix = torch.stack(canvas.regions).sum(0).clamp(max=1)
    shown = canvas.content + mix * (shown - canvas.content)
    return accelerator(x.device).look(shown[0].permute(1, 2, 0).contiguous())
