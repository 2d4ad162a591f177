"""Carries the plug-ins along: into a wheel as `scumble/plugins`, into a source archive as they are."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "daemon"))

from scumble import bundle  # noqa: E402 - setuptools alone would not find it


class WithPlugins(build_py):
    """setuptools' step that collects the package."""

    def run(self) -> None:
        super().run()
        target = Path(self.build_lib) / "scumble" / bundle.PACKED
        if not self.editable_mode:
            # a build folder may hold what an earlier version had
            shutil.rmtree(target, ignore_errors=True)
            for source, copy in self._copies().items():
                Path(copy).parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(source, copy)

    def get_output_mapping(self) -> dict[str, str]:
        own = {copy: source for source, copy in self._copies().items()}
        return super().get_output_mapping() | ({} if self.editable_mode else own)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return super().get_outputs(include_bytecode) + ([] if self.editable_mode else list(self._copies().values()))

    def get_source_files(self) -> list[str]:
        return super().get_source_files() + list(self._copies())

    def _copies(self) -> dict[str, str]:
        """Every file of the plug-ins, and where it goes."""
        target = Path(self.build_lib) / "scumble" / bundle.PACKED
        plugins = HERE / "plugins"
        found = (path.relative_to(HERE) for path in bundle.shipped(plugins))
        return {str(path): str(target / path.relative_to("plugins")) for path in found}


setup(cmdclass={"build_py": WithPlugins})
