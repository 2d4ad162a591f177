"""How good features are for style, side by side: seeded, plain random, and trained networks.

    python tests/benchmarks/features.py [--features NAME …] [--json FILE] [--quick]

NAME is what a recipe's `features` takes, or `plain-vgg19-lite` and its like for plain random filters. What is measured,
and how, is told in `scumble.training.measures`. A small network takes some two minutes on two cores, half a minute with
--quick, whose figures are not to be set beside those of a full run.
"""

import argparse
import sys
from pathlib import Path

from scumble.engine import embedded
from scumble.errors import ScumbleError
from scumble.training.measures import QUICK, Effort, run

ALWAYS = ["plain-vgg19-lite", "seeded-vgg19-lite"]


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", nargs="+", metavar="NAME", help="default: the random ones, and ours if there")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    names = asked.features or [*ALWAYS, *embedded.shipped()]
    try:
        run(names, QUICK if asked.quick else Effort(), asked.json)
    except ScumbleError as error:
        print(error, *([error.hint] if error.hint else []), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
