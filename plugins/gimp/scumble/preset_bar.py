"""The preset: settings with a name. What asks for a name or for a yes stands beneath, never in a window of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .gtk import Gdk, GimpUi, Gtk
from .inputs import Choice, Combo, heading, label
from .link.fields import CONTROLS
from .link.guard import guarded
from .link.shown import LONGEST_NAME, chosen_preset, preset_groups
from .link.text import tr
from .link.topics import Topic
from .look import IconButton, decode, fitted
from .widget import GAP, Entry, call_on, listen, named, open_menu, row, say, shown

_WIDE, _HIGH = 24, 18


class PresetBar(Gtk.Box):
    """The choice of a preset, the button that keeps the present settings as one, and a menu."""

    def __init__(self, studio: Any) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=GAP)
        self._studio = studio
        self._shown: tuple[Any, ...] | None = None
        control = CONTROLS["preset"]
        title = heading(tr(control.label), tr(control.tip))
        self.combo = Combo(guarded(studio, self._use), has_pictures=True)
        named(self.combo, "preset", tr(control.label), tr(control.tip))
        title.set_mnemonic_widget(self.combo)
        tip = tr("Keeps the present settings as a preset of your own.")
        self.save = IconButton(GimpUi.ICON_DOCUMENT_SAVE, "preset-save", tr("Save as…"), tip)
        tip = tr("Rename, delete, reset.")
        self.more = IconButton(GimpUi.ICON_MENU_LEFT, "preset-menu", tr("Preset menu"), tip)
        self.question = _Question()
        bar = row()
        bar.pack_start(title, False, False, 0)
        bar.pack_start(self.combo, True, True, 0)
        bar.pack_start(self.save, False, False, 0)
        bar.pack_start(self.more, False, False, 0)
        self.add(bar)
        self.add(self.question)
        call_on(studio, self.save, "clicked", self._save)
        call_on(studio, self.more, "clicked", self._open_menu)
        listen(self, studio, Topic.PRESETS, self._fill)
        listen(self, studio, Topic.SETTINGS, self._show)
        self._fill()

    def _fill(self) -> None:
        presets = tuple(self._studio.presets)
        if presets != self._shown:
            self._shown = presets
            choices = [Choice("", tr("No preset"))]
            for group in preset_groups(presets):
                choices += [self._choice(preset, starts=preset is group[0]) for preset in group]
            self.combo.fill(choices)
        self._show()

    def _choice(self, preset: Any, *, starts: bool) -> Choice:
        picture = decode(preset.thumbnail, 256)
        surface = fitted(picture, _WIDE, _HIGH, self.get_scale_factor(), fill=True) if picture else None
        return Choice(preset.name, preset.label, surface=surface, starts=starts)

    def _show(self) -> None:
        if not self.combo.show_value(self._studio.settings.preset):
            self.combo.show_value("")
        chosen = self._chosen()
        tip = (chosen.description if chosen else "") or tr(CONTROLS["preset"].tip)
        if tip != self.combo.get_tooltip_text():
            self.combo.set_tooltip_text(tip)

    def _chosen(self) -> Any:
        return chosen_preset(self._shown or (), self._studio.settings.preset)

    def _use(self, name: str) -> None:
        if name:
            self._studio.use_preset(name)
        else:
            self._studio.change(preset="")

    # ---------------------------------------------------------------------------------------------------- the menu

    def entries(self) -> list[Entry | None]:
        """What the menu offers."""
        preset, studio = self._chosen(), self._studio
        is_own = preset is not None and preset.is_own
        own = tr("For presets of your own.")
        recipe = tr("Takes the settings that the active layer was painted with.")
        reset = tr("Puts all settings back to what they are in a new installation.")
        has = studio.has_layer_recipe
        return [
            Entry("preset-save-as", tr("Save as…"), self._save),
            Entry("preset-rename", tr("Rename…"), self._rename, own, is_own),
            Entry("preset-delete", tr("Delete"), self._delete, own, is_own),
            None,
            Entry("use-layer-recipe", tr("Settings of the layer"), studio.use_layer_recipe, recipe, has),
            Entry("reset", tr("Reset all settings"), studio.reset, reset),
        ]

    def _open_menu(self) -> None:
        open_menu(self._studio, self.more, "preset-entries", self.entries())

    def _save(self) -> None:
        self._ask_name(tr("Save as"), self._studio.settings.title(), self._studio.save_preset)

    def _rename(self) -> None:
        preset = self._chosen()
        if preset is not None:
            self._ask_name(tr("Rename"), preset.label, lambda name: self._studio.rename_preset(preset.name, name))

    def _delete(self) -> None:
        preset = self._chosen()
        if preset is not None:
            text = tr("Delete the preset {name}?", name=preset.label)
            delete = guarded(self._studio, lambda _: self._studio.delete_preset(preset.name))
            self.question.ask(text, None, tr("Delete"), delete)

    def _ask_name(self, verb: str, name: str, action: Callable[[str], None]) -> None:
        self.question.ask(tr("Name of the preset:"), name, verb, guarded(self._studio, action))


class _Question(Gtk.Box):
    """A line that asks for a name, or for a yes."""

    def __init__(self) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=GAP)
        self.set_name("preset-question")
        self._action: Callable[[str], None] = lambda _text: None
        self._is_name = False
        self.label = label()
        self.line = Gtk.Entry(max_length=LONGEST_NAME)
        named(self.line, "preset-name", tr("Name of the preset"), tr("What the preset is to be called."))
        self.yes, self.no = Gtk.Button(), Gtk.Button(label=tr("Cancel"))
        named(self.yes, "preset-ok", "", "")
        named(self.no, "preset-cancel", tr("Cancel"), tr("Leaves the presets as they are."))
        answers = row()
        answers.pack_end(self.yes, False, False, 0)
        answers.pack_end(self.no, False, False, 0)
        for widget in (self.label, self.line, answers):
            self.add(widget)
        self.show_all()
        self.line.connect("activate", lambda *_: self._take())
        self.line.connect("changed", lambda *_: self._allow())
        self.yes.connect("clicked", lambda *_: self._take())
        self.no.connect("clicked", lambda *_: self.hide())
        self.connect("key-press-event", self._press)
        shown(self, False)

    def ask(self, text: str, name: str | None, verb: str, action: Callable[[str], None]) -> None:
        """Ask; `action` gets the name. `name` None: there is only a yes."""
        self._action, self._is_name = action, name is not None
        self.label.set_text(text)
        shown(self.line, self._is_name)
        self.line.set_text(name or "")
        self.yes.set_label(verb)
        say(self.yes, verb)
        self.yes.set_tooltip_text(text)
        self._allow()
        shown(self, True)
        (self.line if self._is_name else self.no).grab_focus()

    def _press(self, _: Any, event: Gdk.EventKey) -> bool:
        # Escape would close the dialog
        is_left = event.keyval == Gdk.KEY_Escape
        if is_left:
            self.hide()
        return is_left

    def _allow(self) -> None:
        self.yes.set_sensitive(not self._is_name or bool(self.line.get_text().strip()))

    def _take(self) -> None:
        if self.yes.get_sensitive():
            self.hide()
            self._action(self.line.get_text().strip())
