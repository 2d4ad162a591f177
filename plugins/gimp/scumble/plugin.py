"""What GIMP is told of Scumble: the procedure `plug-in-scumble`, and what each way of calling it does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gi.repository import GObject

from .arguments import TABLE, Argument, settings_of
from .batch import paint
from .canvas import GimpCanvas
from .config import read
from .gimp import Gimp, Gio, GLib
from .link import text
from .link.errors import LinkError
from .link.steps import internal
from .link.studio import Studio
from .link.text import mark, tr
from .loop import GLibLoop
from .progress import Progress

NAME = "plug-in-scumble"
FOLDER = Path(__file__).resolve().parent

_OF_THE_CALL = frozenset({"bad-recipe", "missing-file", "no-style", "no-layer", "several-layers"})
"""The errors that are in what the procedure was given."""
_MENU = "<Image>/Filters/Artistic"
_AUTHORS, _YEAR = "The Scumble authors", "2026"
_WHAT = mark("Repaint the selected part of a layer in the manner of one or several pictures, as a new layer above it")
_HELP = mark(
    "Scumble's daemon paints it, a program on this machine that is started where it is not running. The layer itself "
    "is not changed; one undo takes the new one away."
)


class ScumblePlugIn(Gimp.PlugIn):
    """One process for each call."""

    def do_query_procedures(self) -> list[str]:
        # its Help buttons and F1 then look for the procedure in LANGUAGE/gimp-help.xml there
        self.set_help_domain(NAME, Gio.File.new_for_path(str(FOLDER / "help")))
        return [NAME]

    def do_set_i18n(self, name: str) -> bool:
        return False  # the texts come translated already

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        text.use(GLib.get_language_names()[0])
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, _run, None)
        procedure.set_image_types("*")
        # also where there is nothing to paint on: a sentence says more than a grey entry
        mask = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(mask.DRAWABLE | mask.DRAWABLES | mask.NO_DRAWABLES)
        procedure.set_menu_label(tr("Scumble…"))
        procedure.add_menu_path(_MENU)
        procedure.set_documentation(tr(_WHAT), tr(_HELP), name)
        procedure.set_attribution(_AUTHORS, _AUTHORS, _YEAR)
        procedure.set_icon_file(Gio.File.new_for_path(str(FOLDER / "scumble.svg")))
        for argument in TABLE:
            _add(procedure, argument)
        procedure.add_layer_return_value(
            "layer", tr("New layer"), tr("The layer that was painted"), True, GObject.ParamFlags.READWRITE
        )
        return procedure


def _add(procedure: Gimp.Procedure, argument: Argument) -> None:
    """Register an argument."""
    about = (argument.name, argument.label, argument.blurb)
    default, flags = argument.default, GObject.ParamFlags.READWRITE
    if isinstance(default, int):
        procedure.add_int_argument(*about, *argument.limits, default, flags)
    elif isinstance(default, tuple):
        procedure.add_string_array_argument(*about, flags)
    elif argument.control.choices:
        choices = Gimp.Choice.new()
        for number, (value, label) in enumerate(argument.control.choices):
            choices.add(value, number, tr(label), "")
        procedure.add_choice_argument(*about, choices, default, flags)
    else:
        procedure.add_string_argument(*about, default, flags)


def _run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: Any,
) -> Gimp.ValueArray:
    """Every call of the procedure ends here, with a layer or with a sentence."""
    way = _converse if run_mode == Gimp.RunMode.INTERACTIVE else _paint
    try:
        layer = way(procedure, image, drawables, config)
    except LinkError as error:
        return _failed(procedure, error)
    except Exception as mistake:
        return _failed(procedure, internal(mistake))
    if layer is None:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.Layer, layer))
    return values


def _failed(procedure: Gimp.Procedure, error: LinkError) -> Gimp.ValueArray:
    status = Gimp.PDBStatusType.CALLING_ERROR if error.code in _OF_THE_CALL else Gimp.PDBStatusType.EXECUTION_ERROR
    return procedure.new_return_values(status, GLib.Error.new_literal(Gimp.PlugIn.error_quark(), error.text, 0))


def _converse(
    procedure: Gimp.Procedure,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> Gimp.Layer | None:
    """Show the dialog; the last new layer, or None. What was set stands in the config, which GIMP then remembers."""
    # GTK, which calls without a dialog do not need
    from .dialog import converse
    from .gtk import Gdk

    if Gdk.Display.get_default() is None:  # on which GTK would end the process
        detail = tr("There is no screen to show the dialog on.")
        raise LinkError("host-refused", detail, tr("Call it with the run mode NONINTERACTIVE."))
    loop = GLibLoop()
    canvas = GimpCanvas(image)
    studio = Studio(canvas, loop)
    loop.on_error = studio.report
    try:
        layer = canvas.item(converse(procedure, config, canvas, studio))
    finally:
        studio.close()
    # After a success GIMP notes the settings in the image, and complains where that was closed meanwhile.
    return layer if image.is_valid() else None


def _paint(
    procedure: Gimp.Procedure,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> Gimp.Layer:
    """Paint without a dialog, on the one drawable that is given."""
    settings = settings_of(read(config))
    if not drawables:
        raise LinkError("no-layer", tr("No layer is given."))
    canvas = GimpCanvas(image, drawables)
    progress = Progress()
    try:
        painted = paint(canvas, settings, GLibLoop(), progress.show)
    finally:
        progress.end()
    if painted.notice:
        Gimp.message(painted.notice)
    return canvas.item(painted.layer)


def main() -> None:
    """Serve GIMP's one request, which is in the command line."""
    Gimp.main(ScumblePlugIn.__gtype__, sys.argv)
