"""The plug-ins as packages of this process: `krita_scumble` is what Krita imports as `scumble`, `gimp_scumble` GIMP's.

In the repository the shared `link` stands beside the hosts' folders; installing copies it into each. Here both have the
same one, so that one fake canvas or daemon serves both.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PLUGINS = Path(__file__).parents[1] / "plugins"


def _package(name, folder):
    if name not in sys.modules:
        places = [str(folder), str(PLUGINS)]
        spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=places)
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def krita():
    """The Krita plug-in, `krita_scumble`; its `__init__` does nothing where there is no Krita."""
    return _package("krita_scumble", PLUGINS / "krita" / "scumble")


def gimp():
    """The GIMP plug-in, `gimp_scumble`; of its modules those can be imported that need no GIMP."""
    if "gimp_scumble" not in sys.modules:
        package = _package("gimp_scumble", PLUGINS / "gimp" / "scumble")
        package.link = sys.modules["gimp_scumble.link"] = link()
        for path in (PLUGINS / "link").glob("[!_]*.py"):
            sys.modules[f"gimp_scumble.link.{path.stem}"] = import_module(f"krita_scumble.link.{path.stem}")
    return sys.modules["gimp_scumble"]


def link():
    """The shared part, `krita_scumble.link`."""
    krita()
    return import_module("krita_scumble.link")
