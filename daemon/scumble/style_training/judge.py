"""The judge of strokes: a small network that learns to tell the styles' strokes from those that are painted, while the
other learns to paint such as it cannot tell.

No loss that is written down knows what a stroke is: Gram matrices and neighbours were pleased by a regular hatching,
and the spectrum of a style by drops like dew. The judge looks at places of 38 px, one answer each, and sees details
alone, so that neither colours nor what a picture shows give it away.

Sources: Goodfellow et al. 2014, "Generative Adversarial Nets"; Li and Wand 2016, "Precomputed Real-Time Texture
Synthesis with Markovian Generative Adversarial Networks" (judging places, for styles); Miyato et al. 2018, "Spectral
Normalization for Generative Adversarial Networks" (its layers and the hinge of its losses).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from scumble.engine.resample import resize
from scumble.style_training.slope import with_slope

LEAST = 16
"""The least side in px of what it can judge."""
WIDTH = 32
"""Channels of its first layer."""
RATE = 4e-4
"""Its learning rate."""
SCALES = (0.8, 1.0)
"""It is shown the styles so much smaller than they are seen otherwise; larger they would be softer than strokes are."""
_BLUR, _BLURS, _CONTRAST = 7, 3, 5.0


class Judge(nn.Module):
    """It judges strokes after styles, pictures (1, 3, height, width) in 0..1 with sides of `LEAST` or more."""

    def __init__(self, styles: Sequence[Tensor], generator: torch.Generator) -> None:
        super().__init__()
        self._styles, self._generator = styles, generator
        channels = (3, WIDTH, 2 * WIDTH, 4 * WIDTH)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            layers: list[nn.Module] = []
            for before, after in pairwise(channels):
                layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
            layers.append(spectral_norm(nn.Conv2d(channels[-1], len(styles), 3, 1, 1)))
        self.network = nn.Sequential(*layers).to(styles[0].device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=RATE, betas=(0.5, 0.99))

    def learn(self, painted: Tensor, mixtures: Tensor) -> None:
        """Look at what was painted, (n, 3, height, width), after `mixtures` (n, styles), and at as many places of
        styles."""
        self.optimizer.zero_grad()
        for picture, mixture in zip(painted.detach(), mixtures, strict=True):
            index = int(mixture.argmax())
            real = self._answers(self._shown(index, max(picture.shape[1:])), _only(mixture, index))
            made = self._answers(picture[None], mixture)
            torch.autograd.backward(nnf.relu(1 - real).mean() + nnf.relu(1 + made).mean())
        self.optimizer.step()

    def pull(self, painted: Tensor, mixture: Tensor) -> tuple[float, Tensor]:
        """How far what was painted, (1, 3, height, width), is from being taken for the mixture (styles,), 0 where no
        place is doubted; and its gradient."""
        return with_slope(lambda seen: nnf.relu(1 - self._answers(seen, mixture)).mean(), painted)

    def _answers(self, picture: Tensor, mixture: Tensor) -> Tensor:
        """At every place: 1 and more says a style, −1 and less says painted."""
        answers = self.network(details(picture).contiguous(memory_format=torch.channels_last))
        return torch.einsum("nshw,s->nhw", answers, mixture.to(answers.device))

    def _shown(self, index: int, side: int) -> Tensor:
        """A place of a style of up to `side` px at some scale."""
        style = self._styles[index]
        least, most = SCALES
        scale = least + (most - least) * float(torch.rand((), generator=self._generator))
        scaled = resize(style, *(max(LEAST, round(scale * each)) for each in style.shape[2:])).clamp(0, 1)
        height, width = (min(side, each) for each in scaled.shape[2:])
        top = int(torch.randint(scaled.shape[2] - height + 1, (), generator=self._generator))
        left = int(torch.randint(scaled.shape[3] - width + 1, (), generator=self._generator))
        return scaled[:, :, top : top + height, left : left + width]


def details(picture: Tensor) -> Tensor:
    """A picture (1, 3, height, width) less what is left of it when it is blurred: strokes and edges."""
    blurred = picture
    for _ in range(_BLURS):
        blurred = nnf.avg_pool2d(nnf.pad(blurred, (_BLUR // 2,) * 4, mode="reflect"), _BLUR, 1)
    return _CONTRAST * (picture - blurred)


def _only(mixture: Tensor, index: int) -> Tensor:
    return nnf.one_hot(torch.tensor(index), len(mixture)).to(mixture)
