"""How soon a painter sees something: from the post of a job to its first preview.

    python tests/benchmarks/first_light.py [--rounds 3] [--most 4096] [--json FILE]

Starts a daemon of its own, in a folder that is gone afterwards, with a worker that is awake. The picture is posted as
PNG, as JPEG and as raw pixels; the job is an everyday one. Every figure is the median of the rounds.
"""

import argparse
import json
import statistics
from pathlib import Path

from daemon_of_its_own import first_preview, own_daemon
from squares import square

from scumble.client import Client
from scumble.drawn import painting, scene
from scumble.picture import Picture, encode

SIDES = (512, 1024, 2048, 4096)
FORMS = ("png", "jpeg", "npy")


def measure(client: Client, rounds: int = 3, most: int = SIDES[-1]) -> list[dict[str, float]]:
    """By `side` of a square picture in px, the seconds for each of `FORMS`."""
    style = Picture.from_rgb(painting("dabs", 256, 256))
    first_preview(client, encode(Picture.from_rgb(scene(320, 320).rgb), "png"), style)
    rows = []
    for side in (side for side in SIDES if side <= most):
        whole = square(side)
        forms = {"png": encode(whole, "png"), "jpeg": encode(whole, "jpeg"), "npy": whole.pixels}
        took = [{form: first_preview(client, forms[form], style) for form in FORMS} for _ in range(rounds)]
        rows.append({"side": side, **{form: statistics.median(each[form] for each in took) for form in FORMS}})
    return rows


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--most", type=int, default=SIDES[-1], metavar="PX", help="the largest side")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    with own_daemon() as client:
        rows = measure(client, asked.rounds, asked.most)
    print(f"{'first preview after':20}" + "".join(f"{form:>10}" for form in FORMS))
    for row in rows:
        print(f"{row['side']:>18}² " + "".join(f"{row[form]:8.2f} s" for form in FORMS))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
