"""The host's own file dialogs, opened without stopping anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .link.shown import PICTURES, file_name
from .link.text import tr
from .qt import QtWidgets
from .widget import call_with

_PATTERNS = " ".join(f"*.{ending}" for ending in PICTURES)


def choose_pictures(parent: QtWidgets.QWidget, studio: Any, on_paths: Callable[[list[str]], None]) -> None:
    """Ask for picture files; `on_paths` gets them when the user has chosen."""
    dialog = QtWidgets.QFileDialog(parent, tr("Pictures to take a style from"))
    dialog.setNameFilters([f"{tr('Pictures')} ({_PATTERNS})", f"{tr('All files')} (*)"])
    dialog.setFileMode(QtWidgets.QFileDialog.FileMode.ExistingFiles)
    call_with(studio, dialog.filesSelected, on_paths)
    _open(dialog, "choose-pictures")


def save_png(parent: QtWidgets.QWidget, studio: Any, name: str, on_path: Callable[[str], None]) -> None:
    """Ask where to save a PNG; `on_path` gets the path when the user has chosen."""
    dialog = QtWidgets.QFileDialog(parent, tr("Save the result"))
    dialog.setNameFilters([f"{tr('PNG picture')} (*.png)"])
    dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix("png")
    dialog.selectFile(f"{file_name(name)}.png")
    call_with(studio, dialog.fileSelected, on_path)
    _open(dialog, "save-png")


def _open(dialog: QtWidgets.QFileDialog, name: str) -> None:
    dialog.setObjectName(name)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
