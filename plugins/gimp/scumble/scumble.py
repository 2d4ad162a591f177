#!/usr/bin/env python3
"""Where GIMP comes in: it runs plug-ins/scumble/scumble.py with a Python of its own choice.

The folder becomes the package `scumble_gimp`. Python does not look into it for anything else: not for its own modules,
which some here are called alike, and no other `scumble` is taken for this one.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PACKAGE = "scumble_gimp"
FOLDER = Path(__file__).resolve().parent


def load() -> None:
    """Make the folder the package."""
    sys.path[:] = [each for each in sys.path if Path(each).resolve() != FOLDER]
    spec = spec_from_file_location(PACKAGE, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
    assert spec is not None and spec.loader is not None, "a Python file has a loader"
    module = sys.modules[PACKAGE] = module_from_spec(spec)
    spec.loader.exec_module(module)


load()
import_module(f"{PACKAGE}.plugin").main()
