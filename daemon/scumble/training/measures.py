"""How good a network's features are for style, measured on paintings that no training has seen.

An **exam** is the set of pictures that a measure shows, the same to every network. A **finding** is one figure with its
*error*, the standard error of the mean over independent units (styles, paintings or pairs of pictures), between what is
found *blind*, without looking, and what would be *best*. A **descriptor** says which layers a comparison reads, and how
it weighs them: the *profile*'s style layers, *all five* evenly, or a single one.

The styles come from the generator that training draws from, by another seed: the measures tell whether features hold
for styles not seen, not for paintings of another kind; only `drawn_painting` looks beyond.
"""

import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from scumble.drawn import PAINTINGS, painting
from scumble.engine import weights as store
from scumble.engine.canvas import to_array, to_tensor
from scumble.engine.features import profile, resolve
from scumble.engine.machine import device_of, processor_name
from scumble.engine.painter import Painter
from scumble.engine.regions import flatten
from scumble.engine.vgg import Trunk, normalized
from scumble.engine.weights import ARCHITECTURES, SEEDED, Description, Training, Weights, assembled, conv_names
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import Pooling, Recipe, Style
from scumble.training.comparing import LAYERS, colour_distance, distances, grams, maps_of, spectral_distances
from scumble.training.pictures import draw, recoloured
from scumble.training.styles import Styles

MATCHED_LAYERS = ("conv3_1", "conv4_1")
STYLES, STYLES_SEED = 200, 10_001
"""The styles of all measures: the first so many of `Styles.drawn(STYLES, STYLES_SEED)`; training keeps off that
seed."""
REFERENCE_SEED, QUERY_SEED, PAINTING_SEED, TEXTURE_SEED, PAIR_SEED, CONTENT_SEED, CROP_SEED = range(20_000, 20_700, 100)
"""Of the pictures; the ones after each are for further pictures of its kind."""
SIZE = 128
PAINTING, CROP = 192, 80
DRAWN_PAINTING, DRAWN_CROP = 320, 96
NEAR = 2
"""Positions of a map by which a match may miss its place."""
PROFILE, EVENLY = "profile", "all five"


@dataclass(frozen=True)
class Effort:
    """How much is shown: `styles` to be told apart by `queries` pictures each; `painted_styles` of which there are
    `paintings` each; `pairs` of pictures of the same content; `textures`, of so many iterations at 64 and 128 px."""

    styles: int = STYLES
    queries: int = 2
    painted_styles: int = 40
    paintings: int = 3
    pairs: int = 60
    textures: int = 8
    iterations: tuple[int, int] = (60, 40)
    drawn: bool = True


QUICK = Effort(styles=60, queries=1, painted_styles=12, pairs=16, textures=2, iterations=(40, 25), drawn=False)
"""For a first look; its chances are others than the full run's, so are its figures."""


@dataclass(frozen=True)
class Finding:
    """One figure: of which `measure`, in which `case`, by which `part` of the network or of the picture. `blind` is
    what guessing (or noise) gets, `best` what cannot or need not be surpassed."""

    measure: str
    case: str
    part: str
    value: float
    error: float
    blind: float
    best: float
    unit: str = "share"

    @classmethod
    def of(
        cls, place: tuple[str, str, str], units: Tensor, blind: float, best: float = 1.0, unit: str = "share"
    ) -> "Finding":
        """From one value for each independent unit, (units,); `place` is (measure, case, part)."""
        units = units.double().flatten()
        error = float(units.std() / math.sqrt(len(units))) if len(units) > 1 else math.nan
        return cls(*place, float(units.mean()), error, blind, best, unit)


@dataclass(frozen=True)
class NetworkFindings:
    """All that was found of one network."""

    network: str
    findings: tuple[Finding, ...]
    seconds: float


@dataclass(frozen=True)
class Report:
    """All that was found, with how much effort and on which machine."""

    machine: str
    torch: str
    effort: Effort
    networks: tuple[NetworkFindings, ...]


# Networks


def network(name: str) -> Weights:
    """Weights by name, as recipes name them, or `plain-vgg19-lite` and its like, see `plain`; `ScumbleError` if there
    are none."""
    architecture = name.removeprefix("plain-")
    return (
        plain(architecture) if name.startswith("plain-") and architecture in ARCHITECTURES else resolve(name, gpu=False)
    )


def plain(architecture: str, seed: int = 0) -> Weights:
    """A network as it is before any training: normal filters of deviation √(2 / fan-in), zero biases (He et al. 2015);
    no colour frame. `ScumbleError` `missing-weights` for an architecture that is not known."""
    names = conv_names(architecture)
    generator = torch.Generator().manual_seed(seed)
    filters, depth = {}, 3
    for name, width in zip(names, sum(ARCHITECTURES[architecture], ()), strict=True):
        filters[name] = torch.randn(width, depth, 3, 3, generator=generator) * math.sqrt(2 / (9 * depth))
        depth = width
    biases = {name: torch.zeros(len(filters[name])) for name in names}
    label = f"{architecture} (plain{f' {seed}' if seed else ''})"
    found = Description(label, architecture, SEEDED, Training.NONE, f"plain-{architecture}")
    return assembled(found, filters, biases)


def trunk_of(weights: Weights) -> Trunk:
    """The network as the measures look through it: normalised and pooled as in an everyday recipe, in float32."""
    return Trunk(normalized(weights, Pooling.AVERAGE), LAYERS)


def descriptors(weights: Weights) -> dict[str, Mapping[str, float]]:
    """What comparisons read: name → layer → weight, the weights of each adding up to one."""
    suited = profile(weights).style_layers
    total = sum(suited.values())
    return {
        PROFILE: {layer: weight / total for layer, weight in suited.items()},
        EVENLY: dict.fromkeys(LAYERS, 1 / len(LAYERS)),
        **{layer: {layer: 1.0} for layer in LAYERS},
    }


# Exams


@cache
def held_out() -> Styles:
    """The styles of all measures."""
    return Styles.drawn(STYLES, STYLES_SEED)


@cache
def pictures_of(first: int, count: int, seed: int, *, size: int = SIZE, jitter: bool = False) -> Tensor:
    """Pictures (`count`, 3, size, size) of the held-out styles from `first` on."""
    which = torch.arange(first, first + count)
    return draw(held_out(), which, size, torch.Generator().manual_seed(seed), jitter=jitter).pictures


@cache
def crops_of(painted_styles: int, paintings: int) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (n, 3, 80, 80), and for each the number of its painting and of its style, (n,).

    Two crops, side by side and 32 px apart, of each of some 192 px paintings of each of some styles. Every painting is
    in colours, a scale and a turn of its own: all else that two crops share, those of its kin share too.
    """
    style = torch.arange(painted_styles).repeat_interleave(paintings)
    generator = torch.Generator().manual_seed(PAINTING_SEED)
    found = draw(held_out(), style, PAINTING, generator).pictures
    crops = torch.stack([found[..., :CROP, :CROP], found[..., :CROP, -CROP:]], 1).flatten(0, 1)
    return crops, torch.arange(len(style)).repeat_interleave(2), style.repeat_interleave(2)


@cache
def drawn_crops() -> tuple[Tensor, Tensor]:
    """Nine crops (54, 3, 96, 96) of each of Scumble's six drawn paintings, side by side, each in other colours
    (`recoloured`); and the number of the painting, (54,)."""
    found = []
    for name in PAINTINGS:
        whole = to_tensor(painting(name, DRAWN_PAINTING, DRAWN_PAINTING), torch.device("cpu"))[0]
        starts = torch.linspace(0, DRAWN_PAINTING - DRAWN_CROP, 3).int().tolist()
        found += [whole[:, y : y + DRAWN_CROP, x : x + DRAWN_CROP] for y in starts for x in starts]
    crops = recoloured(torch.stack(found), torch.Generator().manual_seed(CROP_SEED))
    return crops, torch.arange(len(PAINTINGS)).repeat_interleave(9)


@cache
def pairs_of(pairs: int) -> tuple[Tensor, Tensor]:
    """Two sets of pictures (`pairs`, 3, 128, 128): each of one content in two styles, all of them others."""
    styles = torch.arange(2 * pairs) % STYLES
    found = []
    for own, which in enumerate((styles[0::2], styles[1::2])):
        generator = torch.Generator().manual_seed(PAIR_SEED + own)
        found.append(draw(held_out(), which, SIZE, generator, jitter=False, content_seed=CONTENT_SEED).pictures)
    return found[0], found[1]


# Measures


def style_recognition(weights: Weights, references: Tensor, queries: Tensor, case: str) -> list[Finding]:
    """Share of queries whose nearest reference is of the same style.

    `references` (styles, 3, height, width) holds one picture of each style, `queries` (styles · k, 3, height, width) k
    pictures of each in the same order, style by style. Nearest is by Euclidean distance of normalised Gram matrices.
    Chance: 1 / styles. Units are styles.
    """
    trunk, count = trunk_of(weights), len(references)
    of_styles = torch.arange(count).repeat_interleave(len(queries) // count)
    known = grams(trunk, references)
    parts = descriptors(weights)
    nearest: dict[str, list[Tensor]] = {part: [] for part in parts}
    for some in torch.split(queries, 50):  # a full VGG's matrices of all of them would fill the memory
        asked = grams(trunk, some)
        for part, layers in parts.items():
            nearest[part].append(distances(asked, known, layers).argmin(1))
    right = {part: (torch.cat(found) == of_styles).view(count, -1).double().mean(1) for part, found in nearest.items()}
    return [Finding.of(("style_recognition", case, part), found, 1 / count) for part, found in right.items()]


def same_painting(
    weights: Weights, crops: Tensor, of_painting: Tensor, of_style: Tensor, case: str, measure: str = "same_painting"
) -> list[Finding]:
    """Share of crops whose nearest other crop is of the same painting, by Gram matrices as in `style_recognition`.

    `crops` (n, 3, side, side), equally many of each painting; `of_painting` and `of_style` (n,) tell which. Only crops
    of the same style are candidates: where each style has several paintings these are the hard ones to tell apart, and
    a style that is recognised helps nothing. Chance: (crops of a painting - 1) / (crops of a style - 1). Units are
    paintings.
    """
    found = grams(trunk_of(weights), crops)
    kin = of_painting[:, None] == of_painting[None]
    barred = (of_style[:, None] != of_style[None]) | torch.eye(len(crops), dtype=torch.bool)
    blind = float(((kin & ~barred).sum(1) / (~barred).sum(1)).mean())
    answers = []
    for part, layers in descriptors(weights).items():
        nearest = distances(found, found, layers).masked_fill(barred, math.inf).argmin(1)
        right = kin[torch.arange(len(crops)), nearest].double()
        by_painting = torch.stack([right[of_painting == number].mean() for number in range(int(of_painting.max()) + 1)])
        answers.append(Finding.of((measure, case, part), by_painting, blind))
    return answers


def texture_distance(
    weights: Weights, sources: Tensor, again: Tensor, iterations: Sequence[int] = (60, 40), *, as_painted: bool = False
) -> list[Finding]:
    """How far textures synthesised from the Gram matrices of `sources` (n, 3, 128, 128) are from them.

    The engine's preset `texture`, from noise, at 64 and 128 px, in float32; read are all five layers, evenly, and no
    colour frame, so that the network alone answers for what comes; with `as_painted` the preset is as the engine would
    use it, layers and frame by the profile.

    Findings: the style loss that is left, as a part of that of noise, which tells whether the iterations sufficed and
    not how good the features are; `spectral_distances` (dB); `colour_distance` (0..1). `best` is the same between
    `sources` and `again`, other pictures of the same styles, `blind` between the sources and white noise of deviation
    0.2 about their mean colour. Contents differ between pictures of a style, so a texture may come nearer than `best`.
    Units are styles.
    """
    noise = 0.2 * torch.randn(sources.shape, generator=torch.Generator().manual_seed(TEXTURE_SEED))
    noise = (sources.mean((2, 3), keepdim=True) + noise).clamp(0, 1)
    made, left = _textures(weights, sources, noise, iterations, as_painted)
    found, best, blind = (_differences(sources, others) for others in (made, again, noise))
    case = "as painted" if as_painted else "network alone"
    parts = (("coarse spectrum", "dB"), ("fine spectrum", "dB"), ("colours", "0..1"))
    findings = [Finding.of(("texture_distance", case, "loss left"), left, 1.0, 0.0)]
    for (part, unit), units, lowest, highest in zip(parts, found.T, best.mean(0), blind.mean(0), strict=True):
        place = ("texture_distance", case, part)
        findings.append(Finding.of(place, units, float(highest), float(lowest), unit))
    return findings


def _differences(ones: Tensor, others: Tensor) -> Tensor:
    pairs = zip(ones, others, strict=True)
    return torch.tensor([(*spectral_distances(*pair), colour_distance(*pair)) for pair in pairs])


def _textures(
    weights: Weights, sources: Tensor, noise: Tensor, iterations: Sequence[int], as_painted: bool
) -> tuple[Tensor, Tensor]:
    """Textures of the shape of `sources`, and their style losses (n,) as a part of that of `noise`.

    Noise is the content, whose loss is the measure of every style distance and counts for nothing else here.
    """
    changes = {} if as_painted else {"style_layers": dict.fromkeys(LAYERS, 1 / len(LAYERS)), "frame_weight": 0.0}
    painter, side = Painter("cpu"), sources.shape[-1]
    made, left = [], []
    with tempfile.TemporaryDirectory() as folder:
        # recipes name features, they do not hold them; the file's name is the entry, after which the profile goes
        file = Path(folder) / f"{weights.entry or 'features'}.safetensors"
        store.save(weights, file)
        recipe = Recipe.from_preset(
            "texture",
            styles=[Style(picture="source").model_dump()],
            features=str(file),
            precision="float32",
            size=side,
            scales=len(iterations),
            iterations=list(iterations),
            **changes,
        )
        for source, start in zip(sources, noise, strict=True):
            content, style = (Picture.from_rgb(to_array(each[None]), "float32") for each in (start, source))
            finished = painter.paint(content, recipe, {"source": style})
            made.append(to_tensor(finished.picture.rgb(), torch.device("cpu"))[0])
            left.append(finished.losses[-1]["style"])
    return torch.stack(made), torch.tensor(left)


def same_content(weights: Weights, ones: Tensor, others: Tensor) -> list[Finding]:
    """Share of places of one picture whose best match in another, of the same content in another style, is near.

    `ones` and `others` are (pairs, 3, height, width). Matching is by the cosine between feature vectors, each channel
    brought to mean zero and deviation one over each picture; near is within two positions across and down, of 4 px at
    conv3_1 and 8 px at conv4_1. Both directions count. Chance: see `chance_near`. Units are pairs.
    """
    trunk = trunk_of(weights)
    shares: dict[str, list[float]] = {layer: [] for layer in MATCHED_LAYERS}
    sides: dict[str, tuple[int, int]] = {}
    for one, other in zip(ones, others, strict=True):
        first, second = maps_of(trunk, one), maps_of(trunk, other)
        for layer in MATCHED_LAYERS:
            sides[layer] = (first[layer].shape[2], first[layer].shape[3])
            cosine = _standardised(first[layer]) @ _standardised(second[layer]).T
            found = torch.cat([_near(matches.argmax(1), sides[layer][1]) for matches in (cosine, cosine.T)])
            shares[layer].append(float(found.double().mean()))
    return [
        Finding.of(("same_content", "", layer), torch.tensor(found), chance_near(*sides[layer]))
        for layer, found in shares.items()
    ]


def chance_near(height: int, width: int, near: int = NEAR) -> float:
    """Share of pairs of positions that are within `near` of each other, across and down."""

    def along(side: int) -> float:
        at = torch.arange(side)
        return float(((at[:, None] - at[None]).abs() <= near).double().mean())

    return along(height) * along(width)


def _standardised(features: Tensor) -> Tensor:
    """(positions, channels), every channel of deviation one, then every position of length one; dead channels stay
    zero."""
    flat = flatten(features)
    flat = flat - flat.mean(0)
    flat = flat / flat.std(0).clamp(min=1e-6)
    return torch.nn.functional.normalize(flat, dim=1)


def _near(match: Tensor, width: int) -> Tensor:
    at = torch.arange(len(match))
    down = (match // width - at // width).abs()
    across = (match % width - at % width).abs()
    return (down <= NEAR) & (across <= NEAR)


# Everything


def measure(weights: Weights, effort: Effort) -> list[Finding]:
    """All measures of one network, over the exams of this module's seeds."""
    found: list[Finding] = []
    for jitter in (False, True):
        case = "recoloured, turned, scaled" if jitter else "as they are"
        references = pictures_of(0, effort.styles, REFERENCE_SEED, jitter=jitter)
        queries = [pictures_of(0, effort.styles, QUERY_SEED + turn, jitter=jitter) for turn in range(effort.queries)]
        found += style_recognition(weights, references, torch.stack(queries, 1).flatten(0, 1), case)
    crops, of_painting, of_style = crops_of(effort.painted_styles, effort.paintings)
    everything = torch.zeros_like(of_style)
    found += same_painting(weights, crops, of_painting, everything, "among all")
    found += same_painting(weights, crops, of_painting, of_style, "among its style")
    crops = recoloured(crops, torch.Generator().manual_seed(CROP_SEED))
    found += same_painting(weights, crops, of_painting, everything, "each crop recoloured, among all")
    if effort.drawn:
        found += drawn_painting(weights)
    sources, again = (pictures_of(0, effort.textures, TEXTURE_SEED + own) for own in (1, 2))
    for as_painted in (False, True):
        found += texture_distance(weights, sources, again, effort.iterations, as_painted=as_painted)
    return found + same_content(weights, *pairs_of(effort.pairs))


def drawn_painting(weights: Weights) -> list[Finding]:
    """`same_painting` over Scumble's six drawn paintings, which no training draws; every crop in colours of its own.

    Chance: 8 / 53. The recolouring is training's own, so a trained network is at home in that. Six paintings are few:
    the error says how they differ, not how others would do.
    """
    crops, of_painting = drawn_crops()
    case = "each crop recoloured"
    return same_painting(weights, crops, of_painting, torch.zeros_like(of_painting), case, "drawn_painting")


def run(names: Sequence[str], effort: Effort, json_path: Path | None) -> Report:
    """Measure networks by name (see `network`), print a table, and write JSON if asked to."""
    console = Console()
    networks = [(name, network(name)) for name in names]  # a name that is wrong is to be told at once
    answers = []
    for name, weights in networks:
        console.print(f"[dim]{name} …[/dim]", highlight=False)
        began = time.perf_counter()
        found = tuple(measure(weights, effort))
        answers.append(NetworkFindings(name, found, time.perf_counter() - began))
    report = Report(processor_name(device_of("cpu")), torch.__version__, effort, tuple(answers))
    console.print(table(report))
    if json_path is not None:
        try:
            json_path.write_text(json.dumps(asdict(report), indent=2) + "\n")
        except OSError as error:
            raise ScumbleError("cannot-write", f"{json_path} cannot be written: {error.strerror}.") from error
    return report


def table(report: Report) -> Table:
    """One row a figure, one column a network."""
    found = Table(title=f"Features, {report.machine}, torch {report.torch}")
    for heading in ("measure", "case", "part"):
        found.add_column(heading)
    for heading in ("blind", *(each.network for each in report.networks), "best"):
        found.add_column(heading, justify="right")
    before = ("", "")
    for row in zip(*(each.findings for each in report.networks), strict=True):
        finding = row[0]
        place = (finding.measure, finding.case)
        if place != before:
            found.add_section()
        shown = place if place != before else ("", "")
        values = [_figure(each.value, each.unit, each.error) for each in row]
        blind, best = (_figure(value, finding.unit) for value in (finding.blind, finding.best))
        found.add_row(*shown, finding.part, blind, *values, best)
        before = place
    found.caption = "± one standard error. Shares: more is better; dB and 0..1 are distances: less is better."
    return found


def _figure(value: float, unit: str, error: float | None = None) -> str:
    factor, form, sign = {"share": (100, ".1f", " %"), "dB": (1, ".1f", " dB"), "0..1": (1, ".3f", "")}[unit]
    spread = "" if error is None else f" ± {format(error * factor, form)}"
    return f"{format(value * factor, form)}{spread}{sign}"
