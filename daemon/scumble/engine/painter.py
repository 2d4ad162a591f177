"""The loop that joins it all: content, recipe and pictures in, a painting out.

A `Painter` keeps networks and style statistics warm from job to job; `paint` is for a single one.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scumble.engine import canvas as easel_canvas
from scumble.engine import fast
from scumble.engine.accelerator import accelerator
from scumble.engine.box import Box, bounds
from scumble.engine.candidates import Candidates
from scumble.engine.canvas import Canvas, to_tensor
from scumble.engine.checkpoint import Checkpoint
from scumble.engine.compose import Composer, Easel, Matrices, Weighting, weighting
from scumble.engine.features import Profile, describe, profile, resolve
from scumble.engine.frame import Frame
from scumble.engine.job import Job, bind
from scumble.engine.machine import device_of, dtype_of, held_pages, is_gpu, is_out_of_memory
from scumble.engine.objective import Objective
from scumble.engine.outline import Outline, features_name, outline
from scumble.engine.packed import pack_candidates, pack_matrices, unpack_candidates, unpack_matrices
from scumble.engine.run import OnStep, Run, Step
from scumble.engine.schedule import Level, Plan, available_bytes, plan
from scumble.engine.shelf import Drawer, Shelf
from scumble.engine.strips import Enlarged, Repainted
from scumble.engine.targets import Kept, bytes_of, wanted_above_own
from scumble.engine.tiles import Tiling
from scumble.engine.transformation import GRID
from scumble.engine.vgg import Trunk, normalized
from scumble.engine.weights import Description, Weights
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import Engine, Output, Recipe, Start

__all__ = ["OnStep", "Painter", "Painting", "Step", "paint"]


@dataclass(frozen=True)
class Painting:
    """A finished picture, as the recipe's `output` says, and how it came about.

    `mix` (height, width) is how much of the painting is shown where, `losses` holds one mapping per iteration.
    """

    picture: Picture
    recipe: Recipe
    features: str
    box: Box
    mix: np.ndarray
    losses: tuple[Mapping[str, float], ...]
    warnings: tuple[str, ...]
    seconds: float
    stopped: bool
    plan: Plan | None


def paint(
    content: Picture,
    recipe: Recipe,
    pictures: Mapping[str, Picture],
    on_step: OnStep | None = None,
    *,
    device: str = "auto",
) -> Painting:
    """Paint one picture. `pictures` holds styles and masks by the names that the recipe uses; see `Painter.paint`."""
    return Painter(device).paint(content, recipe, pictures, on_step)


SMALLEST_TILE = 64
"""In px: below it most of a window would be halo."""


STEADY_BYTES = 32
"""Per pixel, what stays of a video's last frame, with its trust, as it is and as the networks see it."""


class Painter:
    """Paints jobs one after another on one device, keeping networks and style targets for the next.

    With `cache`, a folder, it keeps style targets there too, for the next process; together at most `cache_bytes`.
    """

    def __init__(self, device: str = "auto", *, cache: Path | None = None, cache_bytes: int = 512 * 2**20) -> None:
        self.device = device_of(device)
        self.gpu = is_gpu(self.device)
        self._weights: dict[tuple[Description, str, bool, str], Weights] = {}
        self._trunks: OrderedDict[str, Trunk] = OrderedDict()
        self._models: dict[torch.dtype, fast.Fast] = {}
        self.targets: Kept[Matrices] = Kept(bytes_of)
        self.candidates: Kept[Candidates] = Kept(lambda found: found.bytes)
        if cache is not None:
            shelf = Shelf(cache, cache_bytes)
            self.targets.drawer = Drawer(shelf, "matrices", self.device, pack_matrices, unpack_matrices)
            self.candidates.drawer = Drawer(shelf, "candidates", self.device, pack_candidates, unpack_candidates)

    def paint(
        self,
        content: Picture,
        recipe: Recipe,
        pictures: Mapping[str, Picture],
        on_step: OnStep | None = None,
        *,
        resume: Checkpoint | None = None,
    ) -> Painting:
        """Paint `content` as `recipe` says; what lies outside its regions comes back bit-identical.

        Raises `ScumbleError` for whatever cannot work, before anything is computed. `on_step` may stop the job at any
        iteration; an exception it raises ends the job and goes to the caller. `resume` is a checkpoint of the same job,
        to go on from; one that does not fit the plan is ignored.
        """
        began = time.perf_counter()
        job = bind(content, recipe, pictures)
        selected = bounds(job.mix)
        if recipe.strength == 0 or selected is None:
            empty = Box(0, 0, content.width, content.height)
            same = _result(job, None)
            return Painting(same, recipe, "none", empty, job.mix, (), (), time.perf_counter() - began, False, None)
        todo = self.plan(content.size, selected, recipe)
        if recipe.engine is Engine.FAST:
            return self._paint_fast(job, todo, on_step or (lambda _: None), began)
        with held_pages(all_maps=todo.keeps_maps), accelerator(self.device).painting():
            try:
                return self._paint(job, todo, on_step or (lambda _: None), began, resume)
            finally:
                for trunk in self._trunks.values():
                    trunk.release()

    def objective(self, content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> tuple[Canvas, Objective]:
        """What a recipe asks of the content's pixels as they are, in one piece: for networks to be trained by it."""
        job = bind(content, recipe, pictures)
        weights = self.features(recipe)
        suited = profile(weights)
        easel = self._easel(recipe, weights, suited)
        box = Box(0, 0, content.width, content.height)
        canvas = easel_canvas.make(job, box, Level(content.width, content.height, 1), easel.grid, self.device)
        composer = Composer(job, easel, self._weighting(recipe, weights, suited), Tiling(), self.device)
        return canvas, composer.compose(canvas)

    def features(self, recipe: Recipe) -> Weights:
        """The weights that a recipe would be painted with."""
        key = self._weights_key(recipe)
        if key not in self._weights:
            found = resolve(recipe.features, gpu=self.gpu)
            self._weights = {key: normalized(found, recipe.pooling) if recipe.normalized else found}
        return self._weights[key]

    def plan(self, content_size: tuple[int, int], selected: Box, recipe: Recipe) -> Plan:
        """What a job would do, without doing it. `content_size` is (width, height) in px.

        It takes milliseconds, loads nothing, and may be asked in another thread while `paint` runs.
        """
        if recipe.engine is Engine.FAST:
            dtype = dtype_of(recipe.precision, self.device)
            return fast.plan(*content_size, selected, recipe, dtype.itemsize, available_bytes(self.device))
        if recipe.engine is Engine.FAST_OPTIMISE:
            fast.abouts(recipe)
        seen = self.outline(recipe)
        cost = seen.footprint(dtype_of(recipe.precision, self.device), recipe.optimizer)
        if recipe.steady_picture is not None:
            cost = replace(cost, per_picture_px=cost.per_picture_px + STEADY_BYTES)
        return plan(*content_size, selected, recipe, cost, available_bytes(self.device), int(seen.halo))

    def features_name(self, recipe: Recipe) -> str:
        """The name of the features that a recipe would be painted with, without loading them."""
        if recipe.engine is Engine.FAST:
            return fast.name(recipe)
        found = features_name(recipe, gpu=self.gpu)
        return found if recipe.engine is Engine.OPTIMISE else f"{fast.name(recipe)}, then {found}"

    def outline(self, recipe: Recipe) -> Outline:
        """The outline of what a recipe would be painted with."""
        return outline(recipe, gpu=self.gpu)

    def _weights_key(self, recipe: Recipe) -> tuple[Description, str, bool, str]:
        # by its name alone, `auto` would stay what it was when weights have come meanwhile
        found = describe(recipe.features, gpu=self.gpu)
        return found, recipe.features, recipe.normalized, recipe.pooling.value

    def _paint(self, job: Job, todo: Plan, on_step: OnStep, began: float, resume: Checkpoint | None) -> Painting:
        recipe = job.recipe
        weights = self.features(recipe)
        suited = profile(weights)
        easel = self._easel(recipe, weights, suited)
        asked = self._weighting(recipe, weights, suited)
        if resume is not None and not resume.fits(todo, recipe.optimizer, matches=asked.matched):
            resume = None
        run = Run(job, todo, on_step, resume)
        composer = Composer(job, easel, asked, todo.tiling, self.device)
        x: Tensor | None = None if resume is None else resume.picture.to(self.device)
        for index, level in enumerate(todo.levels):
            if resume is not None and index < resume.level:
                continue
            canvas = easel_canvas.make(job, todo.box, level, easel.grid, self.device)
            if x is None and recipe.engine is Engine.FAST_OPTIMISE and recipe.start is not Start.PICTURE:
                x = self._fast(recipe).paint(canvas, job.regions, recipe)
            elif x is None:
                x = easel_canvas.first_picture(canvas, job, todo.box, self._first_style(job))
            x, composer = self._level(run, x, canvas, composer, index)
            if run.stopped:
                break
        assert x is not None
        is_tight = todo.is_tight or composer.tiling != todo.tiling
        todo = replace(run.plan, tiling=composer.tiling, is_tight=is_tight)
        return self._painting(job, todo, x, began, tuple(run.losses), _warnings(job, todo), stopped=run.stopped)

    def _paint_fast(self, job: Job, todo: Plan, on_step: OnStep, began: float) -> Painting:
        """In one pass, which is the only iteration and has no losses."""
        recipe = job.recipe
        canvas = easel_canvas.make(job, todo.box, todo.levels[0], GRID, self.device)
        x = self._fast(recipe).paint(canvas, job.regions, recipe)
        run = Run(job, todo, on_step, None)
        run.passed(x, canvas, time.perf_counter() - began)
        return self._painting(job, todo, x, began, (), (), stopped=False)

    def _painting(
        self,
        job: Job,
        done: Plan,
        x: Tensor,
        began: float,
        losses: tuple[Mapping[str, float], ...],
        warnings: tuple[str, ...],
        *,
        stopped: bool,
    ) -> Painting:
        return Painting(
            picture=self._finish(job, done.box, x),
            recipe=job.recipe,
            features=self.features_name(job.recipe),
            box=done.box,
            mix=job.mix,
            losses=losses,
            warnings=warnings,
            seconds=time.perf_counter() - began,
            stopped=stopped,
            plan=done,
        )

    def _fast(self, recipe: Recipe) -> fast.Fast:
        dtype = dtype_of(recipe.precision, self.device)
        return self._models.setdefault(dtype, fast.Fast(self.device, dtype))

    def _level(self, run: Run, x: Tensor, canvas: Canvas, composer: Composer, index: int) -> tuple[Tensor, Composer]:
        """One level's picture; in smaller tiles, from the level's start, each time that memory does not suffice."""
        done = run.mark()
        while True:
            try:
                return run.descend(x, canvas, composer, index), composer
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            sides = canvas.content.shape[2:]
            tile = (composer.tiling.of(*sides) or max(sides)) // 64 * 32
            if tile < SMALLEST_TILE:
                raise ScumbleError("out-of-memory", "The device ran out of memory, even in the smallest tiles.")
            composer = replace(composer, tiling=Tiling(tile))
            run.return_to(done)

    def _weighting(self, recipe: Recipe, weights: Weights, suited: Profile) -> Weighting:
        return weighting(recipe, suited, weights.architecture)

    def _easel(self, recipe: Recipe, weights: Weights, suited: Profile) -> Easel:
        asked = self._weighting(recipe, weights, suited)
        dtype = dtype_of(recipe.precision, self.device)
        key = f"{weights.digest} {asked.taps} {recipe.pooling} {recipe.padding} {dtype}"
        if key not in self._trunks:
            self._trunks[key] = Trunk(
                weights, asked.taps, pooling=recipe.pooling, padding=recipe.padding, device=self.device, dtype=dtype
            )
            while len(self._trunks) > 2:
                self._trunks.popitem(last=False)
        self._trunks.move_to_end(key)
        frame = Frame(suited.frame_scales, device=self.device, dtype=dtype) if asked.framed else None
        return Easel(self._trunks[key], key, frame, self.targets, self.candidates)

    def _first_style(self, job: Job) -> Tensor | None:
        if job.recipe.start is not Start.STYLE or not job.regions[0].styles:
            return None
        return to_tensor(job.regions[0].styles[0].rgb, self.device)

    def _finish(self, job: Job, box: Box, x: Tensor) -> Picture:
        painted = Enlarged(x.clamp(0, 1), box.height, box.width)

        def paint(content: Tensor, part: Box) -> Tensor:
            top = part.y - box.y
            masks = tuple(to_tensor(region.mask[part.slices], self.device) for region in job.regions)
            keep = easel_canvas.keep_mask(job.regions, masks)
            return easel_canvas.show(content, painted.rows(top, top + part.height).clamp(0, 1), keep)

        return _result(job, Repainted(job.content, box, paint, self.device))


def _result(job: Job, rgb: Repainted | None) -> Picture:
    """What comes of a painting, in the form that is asked for; None: of none."""
    output, painted = job.recipe.output, job.content
    if rgb is not None:
        painted = painted.repainted(rgb, job.mix if output is Output.PICTURE else job.mix > 0)
    return painted.cut_out(job.mix) if output is Output.LAYER else painted


def _warnings(job: Job, todo: Plan) -> tuple[str, ...]:
    found = []
    finest = todo.levels[-1]
    for region in job.regions:
        for style in region.styles:
            factor = wanted_above_own(style, job.recipe, finest.height, finest.width)
            if factor > 1.2:
                found.append(
                    f"The style picture {style.label!r} is small: strokes will be {factor:.1f} times finer than asked."
                )
    if todo.is_tight:
        found.append(f"Painted in tiles of {todo.tile_px} px to fit into memory; the picture is the same.")
    return tuple(found)
