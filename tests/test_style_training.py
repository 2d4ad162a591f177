"""Training a transformation network: what it sees, what it learns, and going on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import noise

from scumble.drawn import painting
from scumble.engine import features
from scumble.engine.models import TrainedStyle
from scumble.engine.noise import ORIGIN
from scumble.engine.painter import Painter
from scumble.engine.resample import resize
from scumble.engine.transformation import Shape, Transformation, Upsampling
from scumble.errors import ScumbleError
from scumble.picture import Picture, save
from scumble.recipe import Recipe, StyleLoss
from scumble.style_training import contents
from scumble.style_training import course as module
from scumble.style_training.coherence import coherence_loss, coherences
from scumble.style_training.contents import Contents, Drawn, Photographs, Turns
from scumble.style_training.course import Course, suited
from scumble.style_training.report import preview, report, smoothed, unseen
from scumble.style_training.spectrum import amplitudes, spectrum_loss
from scumble.style_training.strokes import COHERENCE_WEIGHT, KINDS, SPECTRUM_WEIGHT, Strokes
from scumble.style_training.trainer import (
    JUDGE_PULL,
    OUTLIER,
    OWN_RATE,
    RISE,
    STRONGEST_PULL,
    Studied,
    Trainer,
    asked,
)


class Sketches:
    """Bases that take no time."""

    def base(self, number, generator):
        return noise(1, 3, 48, 64, seed=number)


def course(*names, **fields):
    styles = [{"picture": name} for name in names]
    recipe = Recipe.parse({"styles": styles, "style_loss": "gram", "features": "seeded-vgg11", "precision": "float32"})
    return Course(recipe, **{"size": 64, "square": 32, "batch": 2, "steps": 6, "width": 4, "blocks": 1, **fields})


def trainer(*names, source=None, **fields):
    names = names or ("night",)
    styles = [Studied(Picture.from_rgb(painting(name, 48, 48)), TrainedStyle(name=name)) for name in names]
    return Trainer(course(*names, **fields), styles, source or Sketches(), Painter("cpu"))


def trained(made, steps=None):
    made.run(lambda note: None, until=steps)
    return made


def test_the_loss_falls():
    """The engine's own, of contents that it never saw, at strength 60; of noise, strokes ask for the opposite."""
    made = trainer(steps=60, learning_rate=4e-3)
    made._strokes = made._judge = None

    def loss():
        contents = [noise(1, 3, 32, 32, seed=1000 + number) for number in range(6)]
        shown = [made.repaint(content, [1.0], 60.0)[0] for content in contents]
        judged = [made._pull(at[0], torch.ones(1), 60.0, each)[1] for at, each in zip(contents, shown, strict=True)]
        return np.median([each["total"] for each in judged])

    before = loss()
    trained(made)
    assert loss() < 0.85 * before


def test_a_step_follows_the_losses_own_gradient():
    """The gradient that the network is given is that of its losses: by finite differences of the losses themselves."""
    made = trainer()
    content, painted = noise(3, 32, 32, seed=3), noise(3, 32, 32, seed=4)
    gradient, losses = made._pull(content, torch.ones(1), 60.0, painted)
    direction = noise(3, 32, 32, seed=5) - 0.5
    step = 1e-2
    ahead, behind = (made._pull(content, torch.ones(1), 60.0, painted + s * step * direction)[1] for s in (1, -1))
    slope = (ahead["total"] - behind["total"]) / (2 * step)
    assert slope == pytest.approx(float((gradient * direction).sum()), rel=2e-2)
    assert losses["total"] == pytest.approx(
        sum(value for kind, value in losses.items() if kind not in ("total", "judge")), rel=1e-5
    )


def test_a_style_is_seen_as_large_as_for_the_whole_picture():
    assert course("night", size=512, square=128).squares_recipe.stroke_scale == pytest.approx(4.0)


def test_what_suits_the_features_is_compared():
    recipe = Recipe.parse({"styles": [{"picture": "a"}], "features": "seeded-vgg11"})
    found = suited(recipe, gpu=False)
    assert (found.style_loss, found.vote_weight) == (StyleLoss.BOTH, 0.2)
    assert suited(recipe.changed(vote_weight=1.0), gpu=False).vote_weight == 1
    asked_for = recipe.changed(style_loss="neighbours")
    assert suited(asked_for, gpu=False) == asked_for
    photographs = replace(features.OURS, style_loss=StyleLoss.GRAM)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "profile", lambda found: photographs)
        assert suited(recipe, gpu=False) == recipe


def test_two_styles_are_asked_for_as_they_are_mixed():
    recipe = asked(course("night", "glass").recipe, [0.25, 0.75], 33.0)
    assert [(style.picture, style.weight) for style in recipe.styles] == [("night", 0.25), ("glass", 0.75)]
    assert recipe.strength == 33


def test_mixtures_add_up_and_differ():
    made = trainer("night", "glass", "dabs")
    mixtures = torch.stack([made._mixture(number) for number in range(300)])
    torch.testing.assert_close(mixtures.sum(1), torch.ones(300))
    assert float(mixtures.min()) >= 0
    alone = (mixtures == 1).any(1)
    assert 0.6 < float(alone.float().mean()) < 0.8
    assert set(mixtures[alone].argmax(1).tolist()) == {0, 1, 2}
    assert int((mixtures[~alone] > 0).sum(1).max()) == 2
    turns = mixtures[alone].argmax(1), torch.arange(300)[alone] % 3
    assert torch.equal(*turns)  # each has its turn


def test_of_several_styles_none_pulls_more_strongly_than_the_others():
    made, one = trainer("night", "glass"), trainer("night")
    alone, sizes = torch.eye(2), (0.01, 3.0)

    def pull(number):
        style = number % 2
        return float(made._evened(sizes[style] * noise(3, 8, 8, seed=number), alone[style]).norm())

    soft, strong = [pull(number) for number in range(40)][-2:]
    assert soft == pytest.approx(strong, rel=0.1)
    both = made._evened(noise(3, 8, 8, seed=41) * sum(sizes) / 2, torch.tensor([0.5, 0.5]))
    assert float(both.norm()) == pytest.approx(soft, rel=0.2)
    assert float(trainer("night", "glass")._evened(torch.zeros(3, 8, 8), alone[0]).norm()) == 0
    gradient = noise(3, 8, 8, seed=1)
    torch.testing.assert_close(one._evened(gradient, torch.ones(1)), gradient)


@pytest.mark.parametrize("names", [("night",), ("night", "glass")])
def test_a_square_that_pulls_far_more_strongly_than_others_is_held_back(names):
    """It keeps its direction, and what is usual hardly changes."""
    made = trainer(*names)
    mixture = torch.eye(len(names))[0]
    usual = noise(3, 8, 8, seed=1) - 0.5
    for _ in range(5):
        made._evened(usual, mixture)
    held = made._evened(50 * usual, mixture)
    assert float(held.norm() / usual.norm()) == pytest.approx(STRONGEST_PULL, rel=0.1)
    torch.testing.assert_close(held / held.norm(), usual / usual.norm())
    for share in (0.3, 1.5):
        found = made._evened(share * usual, mixture)
        assert float(found.norm() / usual.norm()) == pytest.approx(share, rel=0.15)


def test_every_square_has_noise_of_its_own(monkeypatch):
    made, seen = trainer(), []
    forward = made.network.forward
    monkeypatch.setattr(made.network, "forward", lambda *given: seen.extend(given[-1]) or forward(*given))
    trained(made, 3)
    assert made.network.shape.noise
    assert len(set(seen)) == len(seen) == 6


def test_strokes_are_to_be_those_of_the_styles_as_they_are_seen():
    """Halved for a painting of 32 px, and mixed as the styles are."""
    made = trainer("night", "glass", size=32)
    styles = [torch.from_numpy(each.picture.rgb().transpose(2, 0, 1).copy())[None] for each in made.styles]
    seen = [resize(style, 32, 32) for style in styles]
    painted = noise(1, 3, 32, 32, seed=3)
    losses, gradient = made._strokes.pull(painted, torch.tensor([0.3, 0.7]))
    spectrum, first = spectrum_loss(painted, 0.3 * amplitudes(seen[0]) + 0.7 * amplitudes(seen[1]))
    coherence, second = coherence_loss(painted, 0.3 * coherences(seen[0]) + 0.7 * coherences(seen[1]))
    wanted = {"spectrum": SPECTRUM_WEIGHT * spectrum, "coherence": COHERENCE_WEIGHT * coherence}
    assert losses == pytest.approx(wanted, rel=1e-3)
    slope = SPECTRUM_WEIGHT * first + COHERENCE_WEIGHT * second
    torch.testing.assert_close(gradient, slope, atol=1e-6, rtol=1e-2)


def test_what_is_hidden_of_a_style_has_no_strokes():
    """Its colours under transparent pixels may be anything."""
    made, found = trainer(), []
    for seed in (1, 2):
        pixels = np.full((48, 48, 4), 120, np.uint8)
        pixels[:24, :, :3] = painting_bytes("night")[:24]
        pixels[24:, :, :3] = np.random.default_rng(seed).integers(0, 256, (24, 48, 3))
        pixels[..., 3] = np.arange(48)[:, None] < 24
        pixels[..., 3] *= 255
        made._pictures = {"night": Picture(pixels)}
        found.append(Strokes(made._seen_styles()).pull(noise(1, 3, 32, 32, seed=3), torch.ones(1)))
    (first, slope), (second, other) = found
    assert first == pytest.approx(second)
    torch.testing.assert_close(slope, other)


def test_what_is_smaller_than_a_window_has_no_strokes():
    made = trained(trainer(square=28), 1)
    assert [made.history[0][kind] for kind in KINDS] == [0, 0]
    assert min(trained(trainer(), 1).history[0][kind] for kind in KINDS) > 0


def test_strokes_pull_at_what_is_painted(monkeypatch):
    """The loss that a step reports is that whose gradient it hands on."""
    made = trainer("night")
    square, mixture = noise(1, 3, 32, 32, seed=5), torch.ones(1)
    with_strokes, losses = made._pull(square[0], mixture, 60.0, square[0])
    monkeypatch.setattr(made, "_strokes", None)
    without, fewer = made._pull(square[0], mixture, 60.0, square[0])
    share = 0.5 * min(1.0, OUTLIER / (2 * losses["total"]))
    assert losses["total"] == pytest.approx(fewer["total"] + losses["spectrum"] + losses["coherence"], rel=1e-4)
    _, slope = trainer("night")._strokes.pull(square, mixture)
    torch.testing.assert_close(with_strokes - without, share * slope[0], atol=1e-6, rtol=1e-2)


def test_the_judge_pulls_as_strongly_as_all_losses(monkeypatch):
    """Of a strength of 60 and more; where little style is asked for, only as strongly as that; and not at first, when
    he knows nothing."""
    made = trainer("night")
    square, mixture = noise(1, 3, 32, 32, seed=5), torch.ones(1)
    for strength, step, wanted in ((60.0, RISE, 1), (90.0, 2 * RISE, 1), (40.0, RISE, 2 / 11), (60.0, RISE // 2, 0.5)):
        made.step = step
        given, losses = made._pull(square[0], mixture, strength, square[0])
        with monkeypatch.context() as patch:
            patch.setattr(made, "_judge", None)
            without, fewer = made._pull(square[0], mixture, strength, square[0])
        doubt, gradient = made._judge.pull(square, mixture)
        pull = given - without
        assert float(pull.norm() / without.norm()) == pytest.approx(JUDGE_PULL * wanted, rel=1e-3)
        assert float((pull * gradient[0]).sum() / pull.norm() / gradient.norm()) == pytest.approx(1, abs=1e-3)
        assert losses["judge"] == pytest.approx(doubt / (1 + 10 ** ((60 - strength) / 20)), rel=0.1)
        assert losses["total"] == pytest.approx(fewer["total"])


def test_the_judge_learns_with_every_step():
    made = trainer("night", "glass")
    before = [parameter.clone() for parameter in made._judge.parameters()]
    trained(made, 1)
    assert any(not torch.equal(each, was) for each, was in zip(made._judge.parameters(), before, strict=True))
    assert made.history[0]["judge"] > 0


def test_what_is_too_small_is_not_judged():
    made = trained(trainer(square=12, size=12), 1)
    assert made.history[0]["judge"] == 0


def test_what_belongs_to_one_of_several_styles_learns_faster():
    def moved(*names):
        made = trainer(*names)
        before = {name: parameter.detach().clone() for name, parameter in made.network.named_parameters()}
        trained(made, 1)
        return [
            float((parameter.detach() - before[name]).abs().max())
            for name, parameter in made.network.named_parameters()
            if name in ("values.in_gain", "values.in_filters")
        ]

    # the first step of Adam is as long as its rate, whatever the gradient
    (filters, gain), (filters_of_two, gain_of_two) = moved("night"), moved("night", "glass")
    assert gain == pytest.approx(filters, rel=1e-2)
    assert filters_of_two == pytest.approx(filters, rel=1e-2)
    assert gain_of_two == pytest.approx(OWN_RATE * gain, rel=1e-2)


def test_each_of_several_styles_learns_filters_of_its_own_for_its_strokes():
    first, second = trained(trainer("night", "glass"), 2).network.tensor("out.filters")
    assert float((first != second).float().mean()) > 0.7, "but where a channel says nothing yet"
    assert trainer("night").network.tensor("out.filters").shape == first.shape


def test_it_goes_on_where_it_was(tmp_path):
    made = trained(trainer(), 3)
    made.save(tmp_path / "state")
    again = trainer()
    again.load(tmp_path / "state")
    assert (again.step, again.seconds, again.history) == (3, made.seconds, made.history)
    for mine, theirs in zip(made.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=0)
        for key, value in made._optimizer.state[mine].items():
            torch.testing.assert_close(again._optimizer.state[theirs][key], value, atol=0, rtol=0)
    for (name, mine), theirs in zip(made._judge.state_dict().items(), again._judge.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=0, msg=name)
    for mine, theirs in zip(made._judge.parameters(), again._judge.parameters(), strict=True):
        for key, value in made._judge.optimizer.state[mine].items():
            torch.testing.assert_close(again._judge.optimizer.state[theirs][key], value, atol=0, rtol=0)
    assert torch.equal(again._generator.get_state(), made._generator.get_state())
    assert trained(again).step == 6


def test_how_strongly_each_style_pulls_is_remembered(tmp_path):
    made, again = trained(trainer("night", "glass"), 2), trainer("night", "glass")
    made.save(tmp_path / "state")
    again.load(tmp_path / "state")
    assert again._pulls == made._pulls
    assert min(again._pulls) > 0


def test_a_training_of_something_else_is_not_gone_on_with(tmp_path):
    trained(trainer(), 1).save(tmp_path / "state")
    for other in (trainer(seed=1), trainer("glass"), trainer(steps=7)):
        with pytest.raises(ScumbleError, match="other settings or pictures"):
            other.load(tmp_path / "state")
    data = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ScumbleError, match="no training"):
        trainer().load(tmp_path / "state")


def test_a_note_may_end_it():
    made = trainer()
    made.run(lambda note: note.step == 2)
    assert made.step == 2
    assert not made.is_done


def test_the_model_is_what_was_learnt():
    made = trained(trainer("night", "glass"), 2)
    model = made.model()
    picture = noise(1, 3, 32, 32, seed=6)
    other = Transformation(model.about.shape)
    for name in model.about.shape.tensors():
        other.tensor(name).data.copy_(model.tensors[name])
    wanted = made.repaint(picture, [0.3, 0.7], 50.0)
    found = other(picture, torch.tensor([[0.3, 0.7]]), torch.tensor([50.0]), [ORIGIN]).detach()
    torch.testing.assert_close(found, wanted)
    assert [style.name for style in model.about.styles] == ["night", "glass"]
    assert (model.about.steps, model.about.size) == (2, 64)
    np.testing.assert_array_equal(model.thumbnails[1], painting_bytes("glass"))


def painting_bytes(name):
    return Picture.from_rgb(painting(name, 48, 48)).pixels


def test_pictures_of_how_it_went():
    made = trained(trainer("night", "glass"), 2)
    assert preview(made).width > 600
    assert report(made).height > 800


def test_curves_are_smoothed_over_a_fiftieth():
    history = [{"total": float(step % 2)} for step in range(100)]
    found = [each["total"] for each in smoothed(history)]
    assert found[0] == 0
    assert set(found[1:]) == {0.5}
    assert smoothed(history[:40]) == history[:40]


@pytest.mark.slow
def test_a_short_training_comes_more_than_half_the_way():
    """From the loss of contents that it never saw to that of 200 iterations of optimisation."""
    style = Picture.from_rgb(painting("night", 256, 256))
    recipe = Recipe.parse({"styles": [{"picture": "night"}], "style_loss": "gram", "features": "scumble-lite"})
    asked_for = Course(recipe, size=192, square=96, batch=2, steps=200, width=12, blocks=3)
    painter = Painter("cpu")
    made = trained(Trainer(asked_for, [Studied(style, TrainedStyle(name="night"))], Drawn(0), painter))
    ways = []
    for content in unseen((192, 144)):
        picture = Picture.from_rgb(content[0].permute(1, 2, 0).numpy(), "float32")
        at_60 = recipe.changed(size=max(picture.size), scales=1, iterations=(200,), least_gain=0)
        _, objective = painter.objective(picture, at_60, {"night": style})
        best = painter.paint(picture, at_60, {"night": style}).picture
        shown = made.repaint(content, [1.0], 60.0)
        losses = [objective.evaluate(x).total for x in (content, shown, as_tensor(best))]
        ways.append((losses[0] - losses[1]) / (losses[0] - losses[2]))
    assert min(ways) > 0.5, ways


def as_tensor(picture):
    return torch.from_numpy(picture.rgb().transpose(2, 0, 1).copy())[None]


def test_what_is_shown_is_never_learnt():
    shown = unseen((64, 48))
    learnt = [Drawn(0).base(number, torch.Generator().manual_seed(number)) for number in range(3)]
    assert all(side % 4 == 0 for each in shown for side in each.shape[2:])
    assert not any(a.shape == b.shape and torch.equal(a, b) for a in shown for b in learnt)


# ---- what it sees


def test_squares_are_the_same_for_the_same_seed():
    first, second, other = (Contents(Sketches(), 32, torch.Generator().manual_seed(seed)).take(6) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.shape == (6, 3, 32, 32)
    assert bool(((first >= 0) & (first <= 1)).all())


def test_new_bases_take_the_place_of_old_ones(monkeypatch):
    asked_for = []

    class Counted(Sketches):
        def base(self, number, generator):
            asked_for.append(number)
            return super().base(number, generator)

    monkeypatch.setattr(contents, "BASES", 3)
    monkeypatch.setattr(contents, "TAKES", 8)
    made = Contents(Counted(), 32, torch.Generator().manual_seed(1))
    made.take(40)
    assert asked_for == list(range(len(asked_for)))
    assert 5 <= len(asked_for) <= 9
    assert len(made._bases) == 3


def test_photographs_come_from_a_folder_and_those_below(tmp_path):
    (tmp_path / "below").mkdir()
    save(Picture.from_rgb(np.full((40, 60, 3), 0.25, np.float32)), tmp_path / "a.png")
    save(Picture.from_rgb(np.full((2000, 1000, 3), 0.75, np.float32)), tmp_path / "below" / "b.jpg")
    (tmp_path / "c.png").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_text("no picture")
    source = Photographs.of(tmp_path)
    generator = torch.Generator().manual_seed(0)
    bases = [source.base(number, generator) for number in range(6)]
    assert {round(float(base.mean()), 2) for base in bases} == {0.25, 0.75}
    assert {tuple(base.shape[2:]) for base in bases} == {(40, 60), (1536, 768)}


def test_photographs_and_drawn_pictures_take_turns():
    class Plain:
        def __init__(self, light):
            self.light = light

        def base(self, number, generator):
            return torch.full((1, 3, 8, 8), self.light + number)

    source = Turns(Plain(100.0), Plain(200.0))
    shown = [float(source.base(number, torch.Generator())[0, 0, 0, 0]) for number in range(5)]
    assert shown == [100, 200, 101, 201, 102]


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ScumbleError, match="no picture in"):
        Photographs.of(tmp_path)
    (tmp_path / "c.png").write_bytes(b"nothing")
    with pytest.raises(ScumbleError) as refused:
        Photographs.of(tmp_path).base(0, torch.Generator())
    assert refused.value.code == "bad-picture"


# ---- how it doubles the sides


def lines(picture, period):
    """The share of a picture's energy, less its mean, that lies at the frequencies of a grid of so many px: columns,
    rows and checks that come again after each."""
    spectrum = torch.fft.fft2(picture[0] - picture[0].mean((1, 2), keepdim=True)).abs().square()
    height, width = picture.shape[2:]
    energy = spectrum[:, height // period, :].sum() + spectrum[:, :, width // period].sum()
    return float(energy / spectrum.sum())


@pytest.mark.parametrize(
    ("kind", "other", "period"),
    [(Upsampling.NEAREST, Upsampling.TRANSPOSED, 2), (Upsampling.BILINEAR, Upsampling.NEAREST, 4)],
)
def test_what_is_doubled_evenly_has_fewer_lines(kind, other, period):
    """Odena et al. 2016: at the start of a training, where all filters are random. Nearest neighbours leave no
    checkerboard, but steps, of which the convolution after next makes lines of four px."""
    smooth = torch.nn.functional.interpolate(noise(1, 3, 8, 8, seed=1), size=(64, 64), mode="bicubic").clamp(0, 1)
    found = {kind: [], other: []}
    for each in found:
        for seed in range(8):
            made = Transformation(Shape(width=8, blocks=1, upsampling=each), torch.Generator().manual_seed(seed))
            painted = made(smooth, torch.ones(1, 1), torch.tensor([60.0]), [ORIGIN]).detach()
            found[each].append(lines(painted[:, :, 8:-8, 8:-8], period))
    assert np.median(found[other]) > 3 * np.median(found[kind])
