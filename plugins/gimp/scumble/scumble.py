#!/usr/bin/env python3
"""Where GIMP comes in: it runs plug-ins/scumble/scumble.py with a Python of its own choice.

The folder becomes the package `scumble_gimp`, so that its modules are found by no other name: not those of another
plug-in or of an installed Scumble here, nor these where Python looks for its own.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gimp  # noqa: E402

PACKAGE = "scumble_gimp"


def load(folder: Path) -> None:
    """Make a folder the package, and have Python look there for nothing else."""
    sys.path[:] = [each for each in sys.path if Path(each).resolve() != folder]
    spec = spec_from_file_location(PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None, "a Python file has a loader"
    sys.modules[PACKAGE] = module = module_from_spec(spec)
    spec.loader.exec_module(module)


load(Path(__file__).resolve().parent)
Gimp.main(import_module(f"{PACKAGE}.plugin").ScumblePlugIn.__gtype__, sys.argv)
