"""The daemon as a plug-in sees it: every call of its HTTP API that a host needs, and what comes back.

A daemon that was started anew has another address: it is looked for again, and what can be repeated without harm is.
Whoever waits does so on a thread of its own; a `Daemon` may be used by several at once.
"""

from __future__ import annotations

import json as json_text
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from .errors import LinkError, from_problem
from .finder import Address, Finder
from .pixels import Plane, Rect, from_npy, npy
from .text import tr
from .wire import FILE, NPY, Answer, Part, Unreachable, Wire

LIBRARY = "library:"
"""How a recipe names a style of the library: this and its id."""
TRAIN = "train"
"""The kind of job that learns a style."""
LEASE_S = 120.0
"""How long a job lives that nobody asks after any more."""

_GRACE_S = 3.0
"""How long a daemon may be away altogether, as while it is restarted."""
_TIMEOUT_S = 30.0
_PICTURE_S = 120.0
_FINAL = frozenset({"done", "stopped", "failed"})
_PASSING = frozenset({"no-daemon", "stopping", "unauthorized"})
T = TypeVar("T")


# ------------------------------------------------------------------------------------------------------- what it tells


@dataclass(frozen=True)
class Job:
    """One picture to be painted, and how far it is; sizes in px of what was sent, times in seconds."""

    id: str
    state: str
    """queued, running, done, stopped, or failed."""
    phase: str
    """waiting, preparing, painting, saving, or finished."""
    position: int | None = None
    """How many jobs are before it in the queue."""
    iteration: int = 0
    iterations: int = 0
    """Of all scales together; 0 until it is known."""
    progress: float = 0.0
    """From 0 to 1."""
    seconds: float = 0.0
    seconds_left: float | None = None
    scale: tuple[int, int, int, int] | None = None
    """Width and height in px of the working size, which of the scales this is from 1, of how many."""
    warnings: tuple[str, ...] = ()
    features: str = ""
    device: str = ""
    seq: int = 0
    """Changes whenever something about the job does."""
    preview: int = 0
    """The number of the newest preview; 0: there is none yet."""
    width: int = 0
    height: int = 0
    bounds: Rect | None = None
    """The part that is painted."""
    preview_bounds: Rect | None = None
    """The part that previews show."""
    has_result: bool = False
    problem: LinkError | None = None
    """Why it failed."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    kind: str = ""
    """TRAIN, or what it was that a daemon calls a painting."""
    model: str = ""
    """What a training has made, once there is something."""

    @property
    def is_training(self) -> bool:
        """Whether it learns a style instead of painting."""
        return self.kind == TRAIN

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in _FINAL


@dataclass(frozen=True)
class Device:
    """A device that paints."""

    name: str
    """As torch knows it: cpu, cuda:0, ..."""
    description: str = ""
    state: str = ""
    """asleep, starting, ready, painting, or failed."""
    job: str = ""
    memory_free_mb: float | None = None
    memory_used_mb: float | None = None


@dataclass(frozen=True)
class Health:
    """Who answers, and how it stands."""

    version: str
    protocol: int
    instance: str = ""
    pid: int | None = None
    uptime_s: float | None = None
    features: str = ""
    """Which features `auto` means there."""
    devices: tuple[Device, ...] = ()
    queued: int = 0
    running: int = 0
    queue_limit: int | None = None
    disk_free_mb: float | None = None
    disk_used_mb: float | None = None
    home: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a job would cost."""

    width: int
    """The size at which it would be painted, its context included, in px."""
    height: int
    iterations: int
    scales: int
    memory_mb: float
    seconds: float
    is_measured: bool
    """Whether the seconds come from jobs like it on that machine."""
    tile_px: int | None = None
    features: str = ""
    device: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Style:
    """A picture of the style library."""

    id: str
    name: str
    picture: str
    """What a recipe calls it: `library:ID`."""
    tags: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    is_bundled: bool = False
    model: str = ""
    """How a recipe calls the model that was trained for it; empty: there is none."""


@dataclass(frozen=True)
class Lore:
    """One style of a model: what it is called, the SHA-256 of its picture's file, and whether all of it was used."""

    name: str
    digest: str = ""
    is_whole: bool = True


@dataclass(frozen=True)
class Model:
    """A network that was trained for some styles, which the daemon keeps."""

    name: str
    styles: tuple[Lore, ...]


@dataclass(frozen=True)
class Preset:
    """A recipe with a name."""

    name: str
    description: str
    recipe: Mapping[str, Any]


# ----------------------------------------------------------------------------------------------------------- the daemon


class Daemon:
    """The daemon that a finder finds. Every call may raise `LinkError`: what the daemon refuses; no-daemon and
    unreachable where it is away; unauthorized, bad-runtime-file, incompatible-daemon.

    A daemon that is silent or starting is waited for as long as `patience_s` by what concerns a job; one that has gone
    altogether for 3 seconds.
    """

    def __init__(self, finder: Finder, *, patience_s: float = 60.0) -> None:
        self.finder = finder
        self.patience_s = patience_s
        self._address: Address | None = None
        self._finding = threading.Lock()

    # -------------------------------------------------------------------------------------------------- where it is

    def connect(self, start: bool = True, on_wait: Callable[[], None] | None = None) -> Address:
        """Where the daemon is, which has just answered; with `start` one is started if there is none.

        `on_wait` is told, again and again, while it is starting. Errors: no-daemon, not-installed, and the above.
        """
        with self._finding:
            found = self.finder.find()
            if found is None:
                self._address = None
                if not start:
                    raise LinkError("no-daemon", tr("No daemon is running."))
                found = self.finder.start(on_wait=on_wait)
            self._address = found
            return found

    def health(self) -> Health:
        """Who answers, with which devices, features and queue."""
        return self._ask(_health, "GET", "/v1/health", patience_s=0)

    def shutdown(self) -> None:
        """End the daemon; running jobs are saved, and go on when it is started again. Returns before it has ended."""
        self._call("POST", "/v1/shutdown", patience_s=0, can_repeat=False)

    # -------------------------------------------------------------------------------------------------------- choices

    def presets(self) -> tuple[Preset, ...]:
        """The recipes with names."""
        return self._ask(lambda told: tuple(map(_preset, told["presets"])), "GET", "/v1/presets", patience_s=_GRACE_S)

    def styles(self) -> tuple[Style, ...]:
        """The style library."""
        return self._ask(lambda told: tuple(map(_style, told["styles"])), "GET", "/v1/styles", patience_s=_GRACE_S)

    def models(self) -> tuple[Model, ...]:
        """The trained styles that it keeps; none of a daemon that is too old to know of any."""
        try:
            return self._ask(lambda told: tuple(map(_model, told["models"])), "GET", "/v1/models", patience_s=_GRACE_S)
        except LinkError as error:
            if error.code not in ("not-found", "wrong-method"):
                raise
            return ()

    def forget_model(self, name: str) -> None:
        """Remove a trained style; one that is gone already is forgotten."""
        try:
            self._call("DELETE", f"/v1/models/{_step(name)}", patience_s=_GRACE_S)
        except LinkError as error:
            if error.code != "not-found":
                raise

    def thumbnail(self, style_id: str) -> bytes:
        """A small picture of a style, JPEG or PNG; the id may be as a recipe has it, `library:ID`."""
        path = f"/v1/styles/{_step(_bare(style_id))}/thumbnail"
        # A bundled painting may have to be drawn first.
        return self._call("GET", path, accept="image/jpeg, image/png", patience_s=_GRACE_S, timeout_s=_PICTURE_S).body

    def add_style(self, picture: bytes, name: str) -> Style:
        """Keep a picture, the bytes of a file, in the style library. Errors: bad-style, bad-picture, disk-full."""
        parts = [Part("picture", [picture], "picture"), Part("name", [name.encode()])]
        return self._ask(_style, "POST", "/v1/styles", parts=parts, can_repeat=False, timeout_s=_PICTURE_S)

    def estimate(self, recipe: Mapping[str, Any], width: int, height: int, bounds: Rect | None = None) -> Estimate:
        """What a job over `width` × `height` px would cost, `bounds` being the selection's; nothing runs.

        The pictures that the recipe names need not exist. Errors: bad-recipe, out-of-memory.
        """
        asked = {"recipe": dict(recipe), "width": width, "height": height}
        if bounds is not None:
            asked["bounds"] = bounds.as_dict()
        return self._ask(_estimate, "POST", "/v1/estimate", json=asked, patience_s=_GRACE_S)

    # ----------------------------------------------------------------------------------------------------------- a job

    def submit(
        self,
        recipe: Mapping[str, Any],
        parts: Mapping[str, Plane | bytes],
        key: str | None = None,
        lease_s: float | None = LEASE_S,
    ) -> Job:
        """Post a job: its recipe, `content`, and every picture that the recipe names, planes or the bytes of files.

        It is safe with the daemon when this returns; with the same `key` a second call gives the same job. Without
        `lease_s` it runs to its end even if nobody asks after it. Errors: bad-recipe, bad-picture, bad-mask,
        empty-mask, missing-picture, picture-too-large, queue-full, disk-full, …
        """
        form = [Part("recipe", [_json(recipe)])]
        if lease_s is not None:
            form.append(Part("lease_s", [f"{lease_s:g}".encode()]))
        form += [_picture(name, picture) for name, picture in parts.items()]
        return self._ask(_job, "POST", "/v1/jobs", parts=form, key=key or new_key(), timeout_s=_PICTURE_S)

    def train(self, picture: str, data: bytes | None, name: str, key: str | None = None) -> Job:
        """Post a training for one style: `library:ID`, or the name of a part whose file's bytes are `data`. What comes
        of it is kept as the model `name`. It has no lease: it goes on when its host has ended. Errors: as `submit`."""
        form = [Part("options", [_json({"styles": [picture], "name": name})])]
        if data is not None:
            form.append(_picture(picture, data))
        return self._ask(_job, "POST", "/v1/train", parts=form, key=key or new_key(), timeout_s=_PICTURE_S)

    def trainings(self) -> tuple[Job, ...]:
        """The trainings that have not ended, oldest first."""

        def parse(told: Any) -> tuple[Job, ...]:
            jobs = [_job(each) for each in told["jobs"] if each.get("kind") == TRAIN]
            return tuple(job for job in reversed(jobs) if not job.is_final)

        return self._ask(parse, "GET", "/v1/jobs", patience_s=_GRACE_S)

    def job(self, id: str, after: int | None = None, wait_s: float = 0.0) -> Job:
        """How far a job is. With `after`, a `seq`: as soon as there is something newer, or after `wait_s`; a busy
        daemon answers at once. Errors: not-found."""
        query = "" if after is None else f"?after={after}&wait={wait_s:g}"
        return self._ask(_job, "GET", f"{_path(id)}{query}", timeout_s=_TIMEOUT_S + wait_s)

    def preview(self, id: str) -> bytes | None:
        """The newest intermediate picture of the part `preview_bounds`, a JPEG with a long side of at most 512 px;
        None while there is none."""
        try:
            return self._call("GET", f"{_path(id)}/preview", accept="image/jpeg", patience_s=_GRACE_S).body
        except LinkError as error:
            if error.code == "not-found":
                return None
            raise

    def result(self, id: str) -> Plane:
        """The result, of the content's size, channels and depth. Errors: wrong-state, result-gone, not-found."""
        return self._plane(f"{_path(id)}/result")

    def result_png(self, id: str) -> bytes:
        """The result as a PNG of 8 or 16 bits, with its recipe."""
        return self._call("GET", f"{_path(id)}/result", accept="image/png", timeout_s=_PICTURE_S).body

    def mask(self, id: str) -> Plane:
        """How far each pixel of the result is painted: gray, of the content's size. Errors: as `result`."""
        return self._plane(f"{_path(id)}/mask")

    def stop(self, id: str, keep: bool = False) -> Job:
        """Stop a job within one iteration; with `keep`, what is there becomes its result. One that has ended already
        is told as it is."""
        try:
            return self._ask(_job, "POST", f"{_path(id)}/stop", json={"keep": keep})
        except LinkError as error:
            if error.code != "wrong-state":
                raise
        return self.job(id)

    def move(self, id: str, position: int) -> Job:
        """Let a queued job wait behind `position` others; 0: it is the next. Errors: wrong-state."""
        return self._ask(_job, "POST", f"{_path(id)}/move", json={"position": position}, patience_s=_GRACE_S)

    def continue_(
        self,
        id: str,
        iterations: int | None = None,
        changes: Mapping[str, Any] | None = None,
        key: str | None = None,
        lease_s: float | None = LEASE_S,
    ) -> Job:
        """A new job that goes on from the result of another: for more `iterations`, with some fields of the recipe
        changed. Errors: wrong-state, result-gone, bad-recipe, queue-full."""
        asked: dict[str, Any] = {"changes": dict(changes or {})}
        if iterations is not None:
            asked["iterations"] = iterations
        if lease_s is not None:
            asked["lease_s"] = lease_s
        return self._ask(_job, "POST", f"{_path(id)}/continue", json=asked, key=key or new_key())

    def forget(self, id: str) -> None:
        """Remove a job and its result; one that is under way is stopped, one that is gone already is forgotten."""
        try:
            self._call("DELETE", _path(id), patience_s=_GRACE_S)
        except LinkError as error:
            if error.code != "not-found":
                raise

    # --------------------------------------------------------------------------------------------------------- details

    def _plane(self, path: str) -> Plane:
        return from_npy(self._call("GET", path, accept=NPY, timeout_s=_PICTURE_S).body)

    def _ask(self, parse: Callable[[Any], T], method: str, path: str, **how: Any) -> T:
        told = self._call(method, path, **how).json
        try:
            return parse(told)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise LinkError("incompatible-daemon", tr("What answers does not speak as Scumble does.")) from None

    def _call(
        self,
        method: str,
        path: str,
        *,
        accept: str = "application/json",
        json: Any = None,
        parts: Sequence[Part] | None = None,
        key: str | None = None,
        timeout_s: float = _TIMEOUT_S,
        patience_s: float | None = None,
        can_repeat: bool = True,
    ) -> Answer:
        """One question and its answer, asked again as long as that can do no harm and there is hope."""
        headers = {"Accept": f"{accept}, application/problem+json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        patience = _Patience(self.patience_s if patience_s is None else patience_s)
        while True:
            address, was_known = None, False
            try:
                address, was_known = self._where()
                wire = Wire(address.url, address.token)
                return wire.ask(method, path, json=json, parts=parts, headers=headers, timeout_s=timeout_s)
            except LinkError as error:
                if not (_is_passing(error) and (can_repeat or address is None or not _was_heard(error))):
                    raise
                self._lose(address)
                if was_known:
                    continue  # it may have been started anew, elsewhere
                if error.code == "unauthorized" or not patience.wait(self.finder.is_held()):
                    raise

    def _where(self) -> tuple[Address, bool]:
        """Where the daemon is, and whether that was known from before."""
        with self._finding:
            if self._address is not None:
                return self._address, True
            self._address = self.finder.find()
            if self._address is None:
                raise LinkError("no-daemon", tr("No daemon is running."))
            return self._address, False

    def _lose(self, address: Address | None) -> None:
        with self._finding:
            if self._address == address:
                self._address = None


def _is_passing(error: LinkError) -> bool:
    """Whether it may be otherwise in a moment, or elsewhere."""
    return error.code in _PASSING or isinstance(error, Unreachable)


def _was_heard(error: LinkError) -> bool:
    """Whether a daemon may have done what was asked for."""
    return isinstance(error, Unreachable) and error.was_sent


class _Patience:
    """How long to go on asking: `seconds` in all, and no longer than the grace while nobody is there."""

    def __init__(self, seconds: float) -> None:
        self._began = self._seen = time.monotonic()
        self._seconds = seconds
        self._pause_s = 0.05

    def wait(self, is_there: bool) -> bool:
        """Wait a little, longer each time; False where it is over."""
        now = time.monotonic()
        if is_there:
            self._seen = now
        is_over = now + self._pause_s > self._began + self._seconds
        if is_over or (not is_there and now + self._pause_s > self._seen + _GRACE_S):
            return False
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, 1.0)
        return True


def new_key() -> str:
    """A key for a new request, so that a repeat is known as one."""
    return str(uuid.uuid4())


# ------------------------------------------------------------------------------------------------------ what goes over


def _json(recipe: Mapping[str, Any]) -> bytes:
    return json_text.dumps(dict(recipe)).encode()


def _picture(name: str, picture: Plane | bytes) -> Part:
    if isinstance(picture, Plane):
        return Part(name, npy(picture), name, NPY)
    return Part(name, [picture], name, FILE)


def _path(id: str) -> str:
    return f"/v1/jobs/{_step(id)}"


def _bare(style_id: str) -> str:
    return style_id[len(LIBRARY) :] if style_id.startswith(LIBRARY) else style_id


def _step(id: str) -> str:
    if id in ("", ".", ".."):  # which in a path mean something else
        raise LinkError("not-found", tr("There is nothing with the id {id}.", id=repr(id)))
    return quote(id, safe="")


def _rect(told: Any) -> Rect | None:
    return None if told is None else Rect.from_dict(told)


def _job(told: Mapping[str, Any]) -> Job:
    scale, problem = told.get("scale"), told.get("problem")
    return Job(
        id=str(told["id"]),
        state=str(told["state"]),
        phase=str(told["phase"]),
        position=told.get("position"),
        iteration=int(told.get("iteration", 0)),
        iterations=int(told.get("iterations", 0)),
        progress=float(told.get("progress", 0)),
        seconds=float(told.get("seconds", 0)),
        seconds_left=told.get("seconds_left"),
        scale=scale and (int(scale["width"]), int(scale["height"]), int(scale["number"]), int(scale["count"])),
        warnings=tuple(map(str, told.get("warnings", ()))),
        features=told.get("features") or "",
        device=told.get("device") or "",
        seq=int(told.get("seq", 0)),
        preview=int(told.get("preview", 0)),
        width=int(told["width"] or 0),
        height=int(told["height"] or 0),
        bounds=_rect(told.get("bounds")),
        preview_bounds=_rect(told.get("preview_bounds")),
        has_result=bool(told.get("has_result")),
        problem=problem and from_problem(problem),
        recipe=dict(told["recipe"]),
        losses={str(name): float(value) for name, value in told.get("losses", {}).items()},
        kind=told.get("kind") or "",
        model=told.get("model") or "",
    )


def _device(told: Mapping[str, Any]) -> Device:
    return Device(
        name=str(told["name"]),
        description=told.get("description") or "",
        state=told.get("state") or "",
        job=told.get("job") or "",
        memory_free_mb=told.get("memory_free_mb"),
        memory_used_mb=told.get("memory_used_mb"),
    )


def _health(told: Mapping[str, Any]) -> Health:
    return Health(
        version=str(told["version"]),
        protocol=int(told["protocol"]),
        instance=told.get("instance") or "",
        pid=told.get("pid"),
        uptime_s=told.get("uptime_s"),
        features=told.get("features") or "",
        devices=tuple(map(_device, told.get("devices") or ())),
        queued=int(told.get("queued") or 0),
        running=int(told.get("running") or 0),
        queue_limit=told.get("queue_limit"),
        disk_free_mb=told.get("disk_free_mb"),
        disk_used_mb=told.get("disk_used_mb"),
        home=told.get("home") or "",
    )


def _estimate(told: Mapping[str, Any]) -> Estimate:
    return Estimate(
        width=int(told["width"]),
        height=int(told["height"]),
        iterations=int(told["iterations"]),
        scales=int(told["scales"]),
        memory_mb=float(told["memory_mb"]),
        seconds=float(told["seconds"]),
        is_measured=bool(told["is_measured"]),
        tile_px=told.get("tile_px"),
        features=told.get("features") or "",
        device=told.get("device") or "",
        warnings=tuple(map(str, told.get("warnings", ()))),
    )


def _style(told: Mapping[str, Any]) -> Style:
    return Style(
        id=str(told["id"]),
        name=str(told["name"]),
        picture=str(told["picture"]),
        tags=tuple(map(str, told.get("tags", ()))),
        width=int(told.get("width", 0)),
        height=int(told.get("height", 0)),
        is_bundled=bool(told.get("is_bundled")),
        model=told.get("model") or "",
    )


def _model(told: Mapping[str, Any]) -> Model:
    styles = (
        Lore(str(style["name"]), style.get("digest") or "", style.get("part") is None) for style in told["styles"]
    )
    return Model(str(told["name"]), tuple(styles))


def _preset(told: Mapping[str, Any]) -> Preset:
    return Preset(str(told["name"]), str(told.get("description", "")), dict(told["recipe"]))
