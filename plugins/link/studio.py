"""The conductor: what a user can do and see, whatever the host; the widgets show it and call it, and nothing else.

All of it runs on the host's thread. Who listens to a `Topic` is called when that has changed; see `topics`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import diagnostics, styles
from .canvas import Canvas, LayerName, Loop, Region, Subject
from .daemon import Daemon, Estimate, Style
from .desk import Desk
from .errors import LinkError
from .fields import MAX_STYLES
from .finder import Finder, home
from .presets import Presets, thumbnail_of
from .results import Result
from .runs import SETTINGS, Runs, box_of, nothing_there, target_of
from .settings import LIBRARY, Settings, StyleRow
from .sheets import Cell, Sheets, SheetView
from .steps import drive, internal
from .text import tr
from .tickets import Stage, Ticket
from .topics import Listeners, Topic
from .trained import Trained, with_engine
from .trainings import Trainings
from .watch import Status, Watch
from .wording import area_line

__all__ = ["Cell", "PresetChoice", "SheetView", "Status", "Studio", "Topic"]

_PAUSE_S = 0.4
"""How long settings must stay before an estimate is asked for, or they are written down."""


@dataclass(frozen=True)
class PresetChoice:
    """A preset to choose: `name` is what it is known by, `label` what is shown."""

    name: str
    label: str
    description: str
    is_own: bool
    thumbnail: bytes | None = None


class Studio:
    """One for each window of a host. `daemon` is another one in tests."""

    def __init__(self, canvas: Canvas, loop: Loop, daemon: Daemon | None = None) -> None:
        self.settings = Settings()
        self.subject: Subject | None = None
        self.regions: Sequence[Region] = ()
        self.has_layer_recipe = False
        self._canvas, self._loop = canvas, loop
        self._listeners = Listeners()
        self._daemon = daemon or Daemon(Finder())
        self._desk = Desk(self._daemon, loop.deliver, self._ticket_changed)
        self._snapshots = styles.Snapshots(home() / "plugin-styles")
        self._runs = Runs(canvas, loop, self._desk, self._listeners, self._snapshots)
        self._watch = Watch(self._desk, self._listeners, self._runs.fail, self._found)
        self._trained = Trained(self._desk, self._listeners, self._runs.read)
        self._trainings = Trainings(self._desk, self._listeners, self._runs, self._watch)
        self._sheets = Sheets(canvas, loop, self._desk, self._listeners, self._runs)
        self._presets = Presets(home() / "presets")
        self._no_subject: LinkError | None = None
        self._settings_of = ""
        """The document that the settings belong to."""
        self._estimate: Estimate | None = None
        self._estimated: Any = None
        self._call_off: dict[str, Callable[[], None]] = {}
        self._by_document: dict[str, Settings] = {}
        self._is_open = False
        self._listeners.listen(Topic.TRAINED, self._estimate_soon)

    # ------------------------------------------------------------------------------------------------ to be seen

    def listen(self, topic: Topic, action: Callable[[], None]) -> Callable[[], None]:
        """Have `action` called whenever that changes; what comes back ends it."""
        return self._listeners.listen(topic, action)

    @property
    def host(self) -> str:
        """The host's name and version."""
        return self._canvas.host

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """The runs that have not ended: the first is under way, the others wait."""
        return tuple(self._runs.tickets)

    @property
    def trainings(self) -> tuple[Ticket, ...]:
        """The styles that are being learnt, and those that wait for it; no painting waits for them."""
        return tuple(self._trainings.tickets)

    @property
    def results(self) -> tuple[Result, ...]:
        """The last results, newest first."""
        return tuple(self._runs.results)

    @property
    def health(self) -> Any:
        """How the daemon said that it stands; None where it is not there."""
        return self._watch.health

    @property
    def status(self) -> Status:
        """The status line."""
        starting = any(ticket.stage is Stage.STARTING for ticket in self._runs.tickets)
        return self._watch.status(bool(self._runs.tickets or self._trainings.tickets), starting)

    @property
    def error(self) -> LinkError | None:
        """The error that stands in the panel."""
        return self._runs.error

    @property
    def notice(self) -> str:
        """The notice that stands in the panel."""
        return self._runs.notice

    @property
    def library(self) -> tuple[Style, ...]:
        """The style library."""
        return self._watch.library

    @property
    def sheet(self) -> SheetView | None:
        """The sheet of variations; None where none is open."""
        return self._sheets.view

    @property
    def presets(self) -> tuple[PresetChoice, ...]:
        """The presets, the user's own first."""
        own = [
            PresetChoice(each.name, each.name, "", is_own=True, thumbnail=each.thumbnail)
            for each in self._presets.list()
        ]
        bundled = [
            PresetChoice(each.name, _label(each.name), tr(each.description), False, thumbnail_of(each.name))
            for each in self._watch.presets
        ]
        return (*own, *bundled)

    @property
    def area_line(self) -> str:
        """What would be painted, at what size, and what it costs; empty where nothing can be."""
        if self.subject is None:
            return ""
        target = target_of(self.settings, self.subject)
        if target.is_empty:
            return nothing_there(self.subject).detail
        is_selection = self.settings.area == "selection" and self.subject.selection is not None
        asked = self._question(self.subject)
        return area_line(target, is_selection, self._estimate if asked == self._estimated else None)

    @property
    def why_not(self) -> LinkError | None:
        """Why nothing can be painted now; None if it can."""
        if self.subject is None:
            return self._no_subject or LinkError("no-document", tr("No document is open."))
        error = self.settings.why_not()
        if error is None and target_of(self.settings, self.subject).is_empty:
            return nothing_there(self.subject)
        return error or self._lost_region() or self._untrained()

    def _untrained(self) -> LinkError | None:
        """An engine was chosen that a style is not trained for; what is not known yet is left to the daemon."""
        for row in self.settings.styles if self.settings.needs_trained else ():
            if self.model_of(row) == "":
                return LinkError("missing-model", tr("The style {name} is not trained.", name=row.name))
        return None

    def _lost_region(self) -> LinkError | None:
        known = {region.id for region in self.regions}
        for row in self.settings.styles:
            if row.region and row.region not in known:
                detail = tr(
                    "The region {region} of the style {name} is not in this document.",
                    region=row.region_name or row.region,
                    name=row.name,
                )
                return LinkError("layer-gone", detail, tr("Choose another region."))
        return None

    # ------------------------------------------------------------------------------------------------ life

    def open(self) -> None:
        """The panel is shown for the first time: remember what was set, find the daemon or start it."""
        if not self._is_open:
            self._is_open = True
            remembered = self._canvas.remembered(SETTINGS)
            if remembered:
                self.settings = Settings.from_json(remembered)
            self._listeners.tell(Topic.SETTINGS)
            self._watch.start()
        self.look()

    def close(self) -> None:
        """The host is closing: what is under way is stopped, what was set is remembered."""
        for call_off in self._call_off.values():
            call_off()
        if self._is_open:
            self._remember()
        self._sheets.close()
        self._desk.close()

    def look(self) -> None:
        """See what is active now."""
        before = self._seen()
        try:
            self.subject, self._no_subject = self._canvas.subject(), None
            self._turn_to(self.subject.document)
        except LinkError as error:
            self.subject, self._no_subject = None, error
        self.regions, self.has_layer_recipe = (), False
        if self.subject is not None:
            with suppress(LinkError):  # what went away between two questions is seen at the next look
                self.regions = tuple(self._canvas.regions(self.subject.document))
                self.has_layer_recipe = self._canvas.recipe() is not None
        if before != self._seen():
            self._listeners.tell(Topic.SUBJECT)
            self._estimate_soon()
        self._watch.look()
        self._trainings.look()

    def _found(self) -> None:
        self._trainings.find()
        self._ask_estimate()

    def _seen(self) -> tuple[Any, ...]:
        why = self._no_subject.detail if self._no_subject is not None else ""
        return self.subject, self.regions, why, self.has_layer_recipe

    def _turn_to(self, document: str) -> None:
        """Another document brings its last settings."""
        if document == self._settings_of:
            return
        if self._settings_of:
            self._by_document[self._settings_of] = self.settings
        self._settings_of = document
        if document not in self._by_document:
            noted = self._canvas.noted(document, SETTINGS)
            if not noted:
                return
            self._by_document[document] = Settings.from_json(noted)
        self._set(self._by_document[document])

    def dismiss(self) -> None:
        """Take the error or the notice away."""
        self._runs.dismiss()

    def report(self, mistake: Exception) -> None:
        """Say what went wrong in a widget or a timer: an error as it is, anything else as a mistake of ours."""
        self._runs.fail(mistake if isinstance(mistake, LinkError) else internal(mistake))

    # ------------------------------------------------------------------------------------------------ settings

    def change(self, **fields: Any) -> None:
        """Set some of the settings."""
        self._set(dataclasses.replace(self.settings, **fields))

    def take(self, settings: Settings) -> None:
        """Set all of them."""
        self._set(settings)

    def reset(self) -> None:
        """Set everything but the styles as it was at first."""
        self._set(Settings(styles=self.settings.styles))

    def _set(self, settings: Settings) -> None:
        if settings == self.settings:
            return
        self.settings = settings
        self._later("remember", self._remember)
        self._listeners.tell(Topic.SETTINGS, Topic.SUBJECT)
        self._estimate_soon()

    def _remember(self) -> None:
        self._canvas.remember(SETTINGS, self.settings.as_json)

    def _later(self, name: str, action: Callable[[], None]) -> None:
        if name in self._call_off:
            self._call_off[name]()
        self._call_off[name] = self._loop.after(_PAUSE_S, action)

    def _estimate_soon(self) -> None:
        self._later("estimate", self._ask_estimate)

    def _ask_estimate(self) -> None:
        subject, settings = self.subject, self.settings
        if subject is None or self._watch.health is None or settings.why_not() is not None:
            return
        target, box = target_of(settings, subject), box_of(settings, subject)
        asked = self._question(subject)
        if target.is_empty or asked == self._estimated:
            return
        recipe = self._to_estimate()
        within = target.moved(-box.x, -box.y)

        def heard(estimate: Estimate) -> None:
            self._estimate, self._estimated = estimate, asked
            self._listeners.tell(Topic.SUBJECT)

        def failed(error: LinkError) -> None:
            self._estimate = self._estimated = None
            self._listeners.tell(Topic.SUBJECT)

        self._desk.ask(
            lambda daemon: daemon.estimate(recipe, box.width, box.height, within), heard, failed, topic="estimate"
        )

    def _question(self, subject: Subject) -> Any:
        """What an estimate depends on."""
        settings = self.settings
        models = self._models if settings.needs_trained or settings.likes_trained else ()
        return settings, target_of(settings, subject), box_of(settings, subject), models

    def _to_estimate(self) -> dict[str, Any]:
        """The recipe to be estimated: it names the models, for the daemon is not sent the pictures."""
        recipe, models = with_engine(self.settings.recipe(selection=False), self.settings, self._models), self._models
        if "engine" in recipe and all(models):
            recipe["styles"] = [{**style, "model": model} for style, model in zip(recipe["styles"], models)]
        return recipe

    @property
    def _models(self) -> tuple[str | None, ...]:
        return tuple(map(self.model_of, self.settings.styles))

    # ------------------------------------------------------------------------------------------------ trained styles

    def model_of(self, row: StyleRow) -> str | None:
        """How a recipe calls the model that was trained for a style; empty: there is none, None: not known yet."""
        return self._trained.model_of(row, self._watch.library, self._watch.models)

    def is_training(self, row: StyleRow) -> bool:
        """Whether a style is being learnt, or waits for it."""
        return self._trainings.of(row) is not None

    def train_style(self, index: int) -> None:
        """Have a style learnt, so that Draft paints with it in one pass; it takes its time, and no painting waits."""
        row = self.settings.styles[index]
        if not row.is_there:
            detail = tr("The picture of the style {name} is gone.", name=row.name)
            self._runs.fail(LinkError("missing-style", detail))
            return
        self.dismiss()
        self._trainings.begin(row, self._runs.picture_of, self.model_of(row) or "")

    def forget_trained(self, index: int) -> None:
        """Have the daemon remove what was learnt of a style."""
        model = self.model_of(self.settings.styles[index])
        if model:
            self._trainings.forget(model)

    # ------------------------------------------------------------------------------------------------ styles

    def add_style_file(self, path: str) -> None:
        """A picture file as one more style."""
        self._add(StyleRow(str(path), Path(path).stem or path))

    def add_style_picture(self, png: bytes, name: str) -> None:
        """A picture that has no file as one more style; it is kept in Scumble's folder."""
        try:
            self._add(StyleRow(str(self._snapshots.keep(png)), name))
        except LinkError as error:
            self._runs.fail(error)

    def add_style_layer(self, layer: str) -> None:
        """A layer as it is now as one more style."""
        names = {each.id: each.name for each in self.layers()}
        drive(
            self._loop,
            self._canvas.picture_of(layer),
            lambda png: self.add_style_picture(png, names.get(layer, tr("Layer"))),
            self._runs.fail,
        )

    def add_style_clipboard(self) -> None:
        """What is in the clipboard as one more style."""
        png = self._canvas.clipboard()
        if png is None:
            self._runs.fail(LinkError("not-a-picture", tr("There is no picture in the clipboard.")))
        else:
            self.add_style_picture(png, tr("Clipboard"))

    def add_style_library(self, style: Style) -> None:
        """A style of the library."""
        self._add(StyleRow(LIBRARY + style.id, style.name))

    def _add(self, row: StyleRow) -> None:
        if len(self.settings.styles) >= MAX_STYLES:
            self._runs.tell(tr("There can be {count} styles at most; take one away first.", count=MAX_STYLES))
        else:
            self.change(styles=(*self.settings.styles, row))

    def change_style(self, index: int, **fields: Any) -> None:
        """Set something of a style."""
        rows = list(self.settings.styles)
        rows[index] = dataclasses.replace(rows[index], **fields)
        self.change(styles=tuple(rows))

    def remove_style(self, index: int) -> None:
        """Take a style away."""
        self.change(styles=self.settings.styles[:index] + self.settings.styles[index + 1 :])

    def layers(self) -> Sequence[LayerName]:
        """The layers that a style can be taken from."""
        return self._canvas.layers()

    def thumbnail(self, source: str, on_bytes: Callable[[bytes], None]) -> None:
        """The picture of a style, perhaps smaller, as the bytes of a file: now or later, or never."""
        if source.startswith(LIBRARY):
            self._watch.thumbnail(source[len(LIBRARY) :], on_bytes)
            return
        row = StyleRow(source, "")
        self._desk.ask(lambda _: self._runs.picture_of(row), on_bytes, lambda error: None)

    # ------------------------------------------------------------------------------------------------ presets

    def use_preset(self, name: str) -> None:
        """Set what a preset says; of the user's own, its styles too."""
        for own in self._presets.list():
            if own.name == name:
                self._set(dataclasses.replace(own.settings, preset=name))
                return
        for bundled in self._watch.presets:
            if bundled.name == name:
                self._set(self.settings.with_recipe(bundled.recipe, name))

    def save_preset(self, name: str) -> None:
        """Keep what is set under a name, with the picture of the last result."""
        thumbnail = next((each.thumbnail for each in self.results if each.thumbnail), None)
        self._presets_do(lambda: self.change(preset=self._presets.save(name, self.settings, thumbnail).name))

    def rename_preset(self, old: str, new: str) -> None:
        """Call one of the user's presets otherwise."""

        def rename() -> None:
            renamed = self._presets.rename(old, new)
            if self.settings.preset == old:
                self.change(preset=renamed.name)

        self._presets_do(rename)

    def delete_preset(self, name: str) -> None:
        """Remove one of the user's presets."""

        def delete() -> None:
            self._presets.delete(name)
            if self.settings.preset == name:
                self.change(preset="")

        self._presets_do(delete)

    def _presets_do(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except LinkError as error:
            self._runs.fail(error)
        self._listeners.tell(Topic.PRESETS)

    # ------------------------------------------------------------------------------------------------ runs

    def run(self) -> None:
        """Paint; while something is being painted, queue up."""
        self.open()
        error = self.why_not
        if error is not None or self.subject is None:
            self._runs.fail(error or LinkError("no-document", tr("No document is open.")))
            return
        self.dismiss()
        self._remember()
        self._by_document[self.subject.document] = self.settings
        self._runs.run(self.settings, self.subject)

    def stop(self, ticket: Ticket, keep: bool) -> None:
        """Stop a run; with `keep`, what is there becomes the result."""
        self._desk.stop(ticket, keep)

    def warnings_of(self, ticket: Ticket) -> tuple[str, ...]:
        """What the daemon warns of in a run."""
        return () if ticket.is_training else self._runs.warnings_of(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        """Take a run back that waits."""
        self._desk.withdraw(ticket)

    def _ticket_changed(self, ticket: Ticket) -> None:
        if ticket.is_training:
            self._trainings.changed(ticket)
        else:
            self._runs.changed(ticket)

    # ------------------------------------------------------------------------------------------------ results

    def is_visible(self, result: Result) -> bool | None:
        """Whether a result's layer is shown; None where it is gone."""
        return self._canvas.is_shown(result.document, result.layer)

    def toggle(self, result: Result) -> None:
        """Show or hide a result's layer."""
        shown = self.is_visible(result)
        try:
            self._canvas.show(result.document, result.layer, not shown)
        except LinkError as error:
            self._runs.fail(error)
        self._listeners.tell(Topic.RESULTS)

    def add_again(self, result: Result) -> None:
        """Add a result once more; to the active document, if its own is closed."""
        self._with_subject(lambda subject: self._runs.add_again(result, subject))

    def go_on(self, result: Result) -> None:
        """Paint on from a result."""
        self._with_subject(lambda subject: self._runs.go_on(result, subject))

    def _with_subject(self, action: Callable[[Subject], None]) -> None:
        try:
            action(self._canvas.subject())
        except LinkError as error:
            self._runs.fail(error)

    def use_settings(self, result: Result) -> None:
        """Set what a result was made with."""
        self._set(result.settings)

    def save(self, result: Result, path: str) -> None:
        """Save a result as a PNG."""
        self._runs.save(result, path)

    def discard(self, result: Result) -> None:
        """Take a result off the list; its layer stays."""
        self._runs.results.remove(result.number)
        self._listeners.tell(Topic.RESULTS)

    def use_layer_recipe(self) -> None:
        """Set what the active layer was made with."""
        stored = self._canvas.recipe()
        if stored is not None:
            self._set(Settings.from_recipe(stored))

    # ------------------------------------------------------------------------------------------------ the sheet

    def open_sheet(self, kind: str) -> None:
        """Paint small variations: over "strength" and stroke scale, or over the "weights" of two styles."""
        self.open()
        error = self.why_not
        if error is not None or self.subject is None:
            self._runs.fail(error or LinkError("no-document", tr("No document is open.")))
            return
        self._sheets.open(kind, self.settings, self.subject)

    def close_sheet(self) -> None:
        """Paint no more of them."""
        self._sheets.close()

    def pick(self, cell: Cell) -> None:
        """Take a variation's settings."""
        self._set(cell.settings)

    # ------------------------------------------------------------------------------------------------ the daemon

    def start_daemon(self) -> None:
        """Start the daemon if there is none."""
        self._watch.start()

    def restart_daemon(self) -> None:
        """End the daemon and start it again; what it was painting goes on."""
        self._watch.restart()

    def self_test(self, on_checks: Callable[[Sequence[diagnostics.Check]], None]) -> None:
        """Try everything from here to a painted picture; the answer comes later."""
        self._desk.ask(diagnostics.self_test, on_checks, self._runs.fail, topic="self-test")

    def diagnostics(self) -> str:
        """All that a helper needs to know, without a token or a name."""
        return diagnostics.report(self.host, self._watch.health, self.error or self._watch.problem)

    def log_folder(self) -> Path:
        """Where the daemon's logs are."""
        return diagnostics.log_folder()


def _label(preset: str) -> str:
    """What a preset of the daemon's is called, such as "Gatys 2015" for gatys-2015."""
    translated = tr(preset)
    return translated if translated != preset else preset.replace("-", " ").title()
