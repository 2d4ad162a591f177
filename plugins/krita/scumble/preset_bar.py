"""The preset: settings with a name. What asks for a name or for a yes stands beneath, never in a window of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .inputs import Combo, flat
from .link.fields import CONTROLS
from .link.shown import chosen_preset, preset_groups
from .link.text import tr
from .link.topics import Topic
from .look import IconButton, decode, fitted, icon
from .qt import Qt, QtCore, QtGui, QtWidgets
from .widget import call_on, call_with, guarded, keeps_key, listen, named, plain

_ICON = QtCore.QSize(24, 18)
_NAME_LENGTH = 60


class PresetBar(QtWidgets.QWidget):
    """The choice of a preset, the star that keeps the present settings as one, and a menu."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self._shown: tuple[Any, ...] = ()
        control = CONTROLS["preset"]
        self.combo = Combo()
        self.combo.setIconSize(_ICON)
        self.combo.setMaxVisibleItems(20)
        named(self.combo, "preset", tr(control.label), tr(control.tip))
        tip = tr("Keeps the present settings as a preset of your own.")
        self.star = IconButton("bookmarks", "★", "preset-save", tr("Save as…"), tip)
        tip = tr("Rename, delete, reset.")
        self.more = IconButton("hamburger_menu_dots", "⋮", "preset-menu", tr("Preset menu"), tip)
        self._menu = QtWidgets.QMenu(self.more)
        self._menu.setToolTipsVisible(True)
        self._menu.aboutToShow.connect(guarded(studio, self._fill_menu))
        self.more.setMenu(self._menu)
        self.more.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.question = _Question()
        column, row = flat(QtWidgets.QVBoxLayout(self)), flat(QtWidgets.QHBoxLayout())
        row.addWidget(self.combo, 1)
        row.addWidget(self.star)
        row.addWidget(self.more)
        column.addLayout(row)
        column.addWidget(self.question)
        call_with(studio, self.combo.chosen, self._use)
        call_on(studio, self.star.clicked, self._save)
        listen(self, studio, Topic.PRESETS, self._fill)
        listen(self, studio, Topic.SETTINGS, self._show)
        self._fill()

    def _fill(self) -> None:
        presets = tuple(self._studio.presets)
        if presets != self._shown or not self.combo.count():
            self._shown = presets
            self.combo.blockSignals(True)
            self.combo.clear()
            self.combo.addItem(tr("No preset"), "")
            for group in preset_groups(presets):
                self.combo.insertSeparator(self.combo.count())
                for preset in group:
                    self._add(preset)
            self.combo.blockSignals(False)
        self._show()

    def _add(self, preset: Any) -> None:
        self.combo.addItem(preset.label, preset.name)
        row, roles = self.combo.count() - 1, Qt.ItemDataRole
        self.combo.setItemData(row, preset.description, roles.ToolTipRole)
        if preset.thumbnail:
            ratio = self.devicePixelRatioF()
            pixmap = fitted(decode(preset.thumbnail, 256), _ICON.width(), _ICON.height(), ratio, fill=True)
            self.combo.setItemIcon(row, QtGui.QIcon(pixmap))

    def _show(self) -> None:
        self.combo.show_value(self._studio.settings.preset)
        if self.combo.currentIndex() < 0:
            self.combo.show_value("")
        chosen = self._chosen()
        self.combo.setToolTip((chosen.description if chosen else "") or tr(CONTROLS["preset"].tip))

    def _chosen(self) -> Any:
        return chosen_preset(self._shown, self._studio.settings.preset)

    def _use(self, name: str) -> None:
        if name:
            self._studio.use_preset(name)
        else:
            self._studio.change(preset="")

    # ---------------------------------------------------------------------------------------------------- the menu

    def _fill_menu(self) -> None:
        self._menu.clear()
        preset = self._chosen()
        is_own = preset is not None and preset.is_own
        tip = tr("For presets of your own.")
        self._entry("preset-save-as", tr("Save as…"), "", self._save, "bookmarks")
        self._entry("preset-rename", tr("Rename…"), tip, self._rename, "edit-rename", is_on=is_own)
        self._entry("preset-delete", tr("Delete"), tip, self._delete, "edit-delete", is_on=is_own)
        self._menu.addSeparator()
        tip = tr("Takes the settings that the active layer was painted with.")
        has = self._studio.has_layer_recipe
        self._entry(
            "use-layer-recipe", tr("Settings of the layer"), tip, self._studio.use_layer_recipe, "paintLayer", is_on=has
        )
        tip = tr("Puts all settings back to what they are in a new installation.")
        self._entry("reset", tr("Reset all settings"), tip, self._studio.reset, "reload-preset")

    def _entry(self, name: str, text: str, tip: str, action: Any, icon_name: str, *, is_on: bool = True) -> None:
        entry = self._menu.addAction(icon(icon_name), plain(text))
        entry.setObjectName(name)
        entry.setToolTip(tip or text)
        entry.setEnabled(is_on)
        call_on(self._studio, entry.triggered, action)

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
            self.question.ask(text, None, tr("Delete"), guarded(self._studio, lambda _: self._delete_it(preset)))

    def _delete_it(self, preset: Any) -> None:
        self._studio.delete_preset(preset.name)

    def _ask_name(self, verb: str, name: str, action: Callable[[str], None]) -> None:
        run = guarded(self._studio, action)
        self.question.ask(tr("Name of the preset:"), name, verb, run)


class _Question(QtWidgets.QFrame):
    """A line that asks for a name, or for a yes."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("preset-question")
        self._action: Callable[[str], None] = lambda _text: None
        self._is_name = False
        self.label = QtWidgets.QLabel()
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.line = QtWidgets.QLineEdit()
        self.line.setMaxLength(_NAME_LENGTH)
        named(self.line, "preset-name", tr("Name of the preset"), tr("What the preset is to be called."))
        self.yes, self.no = QtWidgets.QPushButton(), QtWidgets.QPushButton(plain(tr("Cancel")))
        named(self.yes, "preset-ok", "", "")
        named(self.no, "preset-cancel", tr("Cancel"), tr("Leaves the presets as they are."))
        column, row = flat(QtWidgets.QVBoxLayout(self)), flat(QtWidgets.QHBoxLayout())
        row.addStretch(1)
        row.addWidget(self.yes)
        row.addWidget(self.no)
        column.addWidget(self.label)
        column.addWidget(self.line)
        column.addLayout(row)
        self.line.returnPressed.connect(self._take)
        self.line.textChanged.connect(lambda *_: self._allow())
        self.yes.clicked.connect(lambda *_: self._take())
        self.no.clicked.connect(lambda *_: self.hide())
        self.hide()

    def ask(self, text: str, name: Any, verb: str, action: Callable[[str], None]) -> None:
        """Ask; `action` gets the name. `name` None: there is only a yes."""
        self._action, self._is_name = action, name is not None
        self.label.setText(text)
        self.line.setVisible(self._is_name)
        self.line.setText(name or "")
        self.yes.setText(plain(verb))
        self.yes.setAccessibleName(verb)
        self.yes.setToolTip(text)
        self._allow()
        self.show()
        if self._is_name:
            self.line.setFocus()
            self.line.selectAll()
        else:
            self.no.setFocus()

    def event(self, event: Any) -> bool:
        return keeps_key(event, (Qt.Key.Key_Escape,)) or bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
        else:
            super().keyPressEvent(event)

    def _allow(self) -> None:
        self.yes.setEnabled(not self._is_name or bool(self.line.text().strip()))

    def _take(self) -> None:
        if self.yes.isEnabled():
            self.hide()
            self._action(self.line.text().strip())
