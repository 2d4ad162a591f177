"""Every figure of speed and memory that the README has, in one command:

    python tests/benchmarks/speed.py [-o docs/speed] [--only PART …] [--quick]
                                     [--neural-style-pt DIR] [--style-transfer-pytorch DIR]

Each part is a script or command of its own, run after the others in a fresh process; what they find goes to `-o`.json
with the machine it was found on, and is drawn to `-o`.png. `--only` measures some parts and keeps the others from the
file. The two checkouts are of peers, measured with their own code where they are given. An hour; `--quick` takes a few
minutes, with fewer rounds and smaller sizes.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from scumble.engine.machine import device_of, processor_name

FOLDER = Path(__file__).parent
_SCUMBLE = ("-c", "from scumble.cli import main; main()")


def parts(asked: argparse.Namespace) -> dict[str, list[str]]:
    """By name, the arguments for Python."""

    def script(name: str, *given: str) -> list[str]:
        return [str(FOLDER / f"{name}.py"), *given]

    peers = []
    for name in ("neural-style-pt", "style-transfer-pytorch"):
        if folder := getattr(asked, name.replace("-", "_")):
            peers += [f"--{name}", str(folder)]
    rounds = ["--rounds", "1"] if asked.quick else []
    sizes = ["--size", "256"] if asked.quick else ["--size", "512", "--size", "1024"]
    return {
        "bench": [*_SCUMBLE, "bench", *sizes],
        "jobs": script("jobs", *rounds),
        "scaling": script("scaling", *rounds, *(["--most", "1024"] if asked.quick else [])),
        "memory": script("memory", *(["--quick"] if asked.quick else [])),
        "first_light": script("first_light", *rounds),
        "daemon": script("daemon", *rounds),
        "rivals": script("rivals", *peers, *(["--quick"] if asked.quick else [])),
    }


def main() -> None:
    """Measure, write, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="PART", help="measure these, and keep the others")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes")
    parser.add_argument("--neural-style-pt", type=Path, metavar="DIR", help="a checkout of ProGamerGov's")
    parser.add_argument("--style-transfer-pytorch", type=Path, metavar="DIR", help="a checkout of crowsonkb's")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/speed"), metavar="FILE")
    asked = parser.parse_args()
    known = parts(asked)
    for name in asked.only or ():
        if name not in known:
            parser.error(f"there is no part {name!r}; there are {', '.join(known)}")
    path = asked.output.with_suffix(".json")
    found = json.loads(path.read_text()) if asked.only and path.exists() else {}
    for name in asked.only or known:
        print(f"\n== {name}", flush=True)
        found[name] = {"machine": machine(), "figures": measured(known[name])}
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    from speed_plot import draw

    draw({name: part["figures"] for name, part in found.items()}, asked.output.with_suffix(".png"))
    print(f"\n{path} and {asked.output.with_suffix('.png')} written.")


def machine() -> Mapping[str, Any]:
    """Where and when it was measured."""
    device = device_of("auto")
    return {
        "device": processor_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def measured(arguments: Sequence[str]) -> Any:
    """What a part writes as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        subprocess.run([sys.executable, *arguments, "--json", str(file)], check=True)
        return json.loads(file.read_text())


if __name__ == "__main__":
    main()
