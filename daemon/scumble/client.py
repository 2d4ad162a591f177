"""The daemon from a script: post a job, follow it, fetch its result.

A `Client` talks to one daemon: the **local** one, found through its runtime file and found again when it has been
started anew, or any other by its address and token. A job may be given as a `Job` or by its id; pictures as described
in `scumble.upload`: a path, the bytes of a file, a `Picture`, an array.

Every refusal is a `ScumbleError`: the daemon's own problem documents keep their code, detail and hint; `unreachable` is
a daemon that does not answer, `incompatible-daemon` one of another protocol. What can be repeated without harm (asking,
and posting a job, which carries an idempotency key) is repeated a few times before it is given up.
"""

import contextlib
import ipaddress
import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import requests
from pydantic import BaseModel, ValidationError

from scumble import __version__, runtime
from scumble.errors import CATALOGUE, ScumbleError
from scumble.home import home as own_home
from scumble.picture import Picture, decode
from scumble.protocol import (
    LIBRARY,
    LONGEST_WAIT_S,
    PROTOCOL,
    ContinueRequest,
    Estimate,
    EstimateRequest,
    Health,
    Job,
    JobList,
    Model,
    ModelList,
    MoveRequest,
    Preset,
    PresetList,
    Problem,
    Rectangle,
    State,
    StopRequest,
    Style,
    StyleChange,
    StyleList,
    TrainRequest,
)
from scumble.upload import (
    MEDIA_TYPES,
    Body,
    RecipeSource,
    Source,
    StyleSource,
    field,
    is_deep,
    job_parts,
    picture_part,
    plain,
    style_parts,
)

OnProgress = Callable[[Job], bool | None]
"""Told how far a job is; a true answer stops it and keeps what is there."""
Box = Rectangle | tuple[int, int, int, int]
"""A part of a picture, in px: x, y, width, height."""
Given = TypeVar("Given", bound=BaseModel)

_CONNECT_S = 10.0
_LONGEST_PAUSE_S = 10.0
_PASSING = frozenset({429, 502, 503, 504})
LEASE_S = 120.0
"""Of a job that somebody waits for."""
_NEWS_PAUSE_S, _IDLE_PAUSE_S = 0.1, 0.3
"""The shortest time from one question for a job to the next, when there was something new, and when there was not."""


class Unchanged(Enum):
    """The value of what is not to be changed."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


class Client:
    """One daemon. With `url` and `token` (or SCUMBLE_URL and SCUMBLE_TOKEN) any, else the one of this machine and user.

    `timeout_s` is how long an answer may take; `retries` how often what can be repeated is. Use it in `with`, or
    `close()` it. Errors: no-daemon where there is none on this machine, unauthorized where an address has no token.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout_s: float = 60.0, retries: int = 4
    ) -> None:
        url = url or os.environ.get("SCUMBLE_URL") or None
        self._home: Path | None = None
        if url is None:
            self._home = own_home()
            file = runtime.find(self._home)
            if file is None:
                raise ScumbleError("no-daemon", "No daemon is running.")
            url, token = file.url, file.token
        else:
            token = token or os.environ.get("SCUMBLE_TOKEN") or None
            if token is None:
                hint = "Give its token, or set SCUMBLE_TOKEN; it stands in the daemon's runtime file."
                raise ScumbleError("unauthorized", f"There is no token for {_address(url)}.", hint)
        self.timeout_s, self.retries = timeout_s, retries
        self.was_started = False
        """Whether the daemon was started for this client."""
        self._session = requests.Session()
        self._go_to(url, token)

    @classmethod
    def local(
        cls,
        *,
        start: bool = True,
        home: Path | None = None,
        options: Sequence[str] = (),
        timeout_s: float = 60.0,
        retries: int = 4,
    ) -> Self:
        """The daemon of this machine; with `start` one is started if there is none, with `options` of `scumble serve`.

        `home` is its folder, else $SCUMBLE_HOME or ~/.scumble. Errors: no-daemon, and those of `runtime.start`.
        """
        home = home or own_home()
        found, was_started = runtime.start(home, options) if start else (runtime.find(home), False)
        if found is None:
            raise ScumbleError("no-daemon", "No daemon is running.")
        client = cls(found.url, found.token, timeout_s=timeout_s, retries=retries)
        client._home, client.was_started = home, was_started
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        """End its connections; jobs go on."""
        self._session.close()

    # ------------------------------------------------------------------------------------------------ the daemon

    def health(self) -> Health:
        """Who answers, with which devices, features and queue."""
        return self._ask(Health, "GET", "/v1/health")

    def presets(self) -> list[Preset]:
        """The recipes with names."""
        return self._ask(PresetList, "GET", "/v1/presets").presets

    def shutdown(self) -> None:
        """End the daemon; running jobs are saved and go on when it is started again. Returns before it has ended."""
        self._call("POST", "/v1/shutdown")

    # ---------------------------------------------------------------------------------------------------- a job

    def submit(
        self,
        content: Source,
        styles: Sequence[StyleSource] = (),
        *,
        mask: Source | None = None,
        recipe: RecipeSource | None = None,
        regions: Mapping[str, Source] | None = None,
        pictures: Mapping[str, Source] | None = None,
        lease_s: float | None = None,
        key: str | None = None,
        **fields: Any,
    ) -> Job:
        """Post a job; it is in the queue, and safe on the daemon's disk, when this returns.

        `styles` are pictures, `library:ID`s, or mappings as in a recipe: `{"picture": …, "region": "sky"}`.
        `mask` is the selection and `regions` are masks by name, all of the content's size (white is inside). `recipe`
        and further `fields` of one (`strength=80`) say the rest. What `recipe` names is looked up in `pictures`;
        `library:ID` needs no pixels. With `lease_s` the job is stopped when nobody has asked after it for so long.
        With the same `key` a second call gives the same job; without one each call makes a new job.

        Errors: bad-recipe, missing-picture, missing-file, bad-picture, bad-mask, empty-mask, picture-too-large,
        request-too-large, queue-full, disk-full, key-reused, …
        """
        parts = job_parts(content, styles, mask=mask, recipe=recipe, regions=regions, pictures=pictures, **fields)
        if lease_s is not None:
            parts.append(field("lease_s", str(lease_s)))
        return self._ask(Job, "POST", "/v1/jobs", body=Body(parts), key=key or str(uuid.uuid4()))

    def job(self, job: Job | str) -> Job:
        """How far a job is. Errors: not-found."""
        return self._ask(Job, "GET", _path(job))

    def jobs(self, limit: int = 20, state: State | str | None = None) -> list[Job]:
        """The last jobs, newest first; only those in a `state`, if one is given."""
        params: dict[str, str] = {"limit": str(limit)}
        if state is not None:
            params["state"] = State(state).value
        return self._ask(JobList, "GET", "/v1/jobs", params=params).jobs

    def follow(self, job: Job | str, *, every_s: float = 10.0, patience_s: float = 60.0) -> Iterator[Job]:
        """The job as it is now, then whenever something about it is new, at least every `every_s`, until it has ended.

        The last one has a final state; nothing is raised for a job that failed. A daemon that goes away is waited for
        as long as `patience_s`: it may have been started again, under another address. Errors: not-found, unreachable.
        """
        latest = self._job(job, None, 0.0, patience_s)
        yield latest
        while not latest.state.is_final:
            asked = time.monotonic()
            newer = self._job(job, latest.seq, min(every_s, LONGEST_WAIT_S), patience_s)
            # under load the daemon answers at once
            shortest = _IDLE_PAUSE_S if newer.seq == latest.seq else 0.0 if newer.state.is_final else _NEWS_PAUSE_S
            _sleep(shortest - (time.monotonic() - asked))
            latest = newer
            yield latest

    def wait(
        self,
        job: Job | str,
        on_progress: OnProgress | None = None,
        *,
        every_s: float = 1.0,
        patience_s: float = 60.0,
    ) -> Job:
        """The job when it has ended and there is a result.

        `on_progress` hears of it as `follow` says; a true answer stops the job and keeps what is there. Ctrl-C, and
        whatever `on_progress` raises, stops it and keeps nothing. Errors: those of a job that failed, cancelled for one
        that was stopped without a result, and those of `follow`.
        """
        is_stopping = False
        latest: Job | None = None
        try:
            for latest in self.follow(job, every_s=every_s, patience_s=patience_s):
                if on_progress and on_progress(latest) and not is_stopping and not latest.state.is_final:
                    is_stopping = True
                    self._stop_unless_ended(job)
        except BaseException:
            if latest is None or not latest.state.is_final:
                with contextlib.suppress(ScumbleError):
                    self._call("POST", f"{_path(job)}/stop", json=StopRequest(keep=False), timeout_s=5.0)
            raise
        assert latest is not None  # it is always told once
        if latest.state is State.FAILED:
            raise _error(latest.problem)
        if not latest.has_result:
            raise ScumbleError("cancelled", f"The job {latest.id} was stopped; there is no result.")
        return latest

    def stop(self, job: Job | str, keep: bool = False) -> Job:
        """Stop a job within one iteration; with `keep`, what is there becomes its result. Errors: wrong-state."""
        return self._ask(Job, "POST", f"{_path(job)}/stop", json=StopRequest(keep=keep))

    def move(self, job: Job | str, position: int) -> Job:
        """Let a queued job wait behind `position` others; 0: it is the next. Errors: wrong-state."""
        return self._ask(Job, "POST", f"{_path(job)}/move", json=_question(MoveRequest, position=position))

    def continue_(
        self,
        job: Job | str,
        iterations: int | None = None,
        lease_s: float | None = None,
        *,
        key: str | None = None,
        **changes: Any,
    ) -> Job:
        """A new job that goes on from the result of another: for more `iterations`, with some fields changed.

        Errors: wrong-state, result-gone, bad-recipe, and those of `submit`.
        """
        request = _question(ContinueRequest, iterations=iterations, changes=changes, lease_s=lease_s)
        return self._ask(Job, "POST", f"{_path(job)}/continue", json=request, key=key or str(uuid.uuid4()))

    def forget(self, job: Job | str) -> None:
        """Remove a job and its result; one that is under way is stopped. Errors: not-found."""
        self._call("DELETE", _path(job))

    # ------------------------------------------------------------------------------------------------- pictures

    def preview(self, job: Job | str) -> bytes | None:
        """The newest intermediate picture, a JPEG with a long side of at most 512 px; None while there is none."""
        try:
            return self._call("GET", f"{_path(job)}/preview", accept="image/jpeg").content
        except ScumbleError as error:
            if error.code != "not-found":
                raise
        self.job(job)  # is it the preview that is not there, or the job?
        return None

    def result(self, job: Job | str, format: str = "png", *, patience_s: float = 0.0) -> Picture:
        """The result, of the content's size: outside the mask bit for bit as it was. "tiff" and "npy" keep float32.

        Errors: wrong-state while it is not there, result-gone, not-found.
        """
        if format not in MEDIA_TYPES:
            raise ScumbleError("not-acceptable", f"{format!r} is none of {', '.join(MEDIA_TYPES)}.")
        return decode(self.result_bytes(job, MEDIA_TYPES[format], patience_s=patience_s), name="the result")

    def result_bytes(self, job: Job | str, media_type: str = "image/png", *, patience_s: float = 0.0) -> bytes:
        """The result as a file: image/png, image/tiff, image/webp, image/jpeg or application/x-npy."""
        return self._call("GET", f"{_path(job)}/result", accept=media_type, patience_s=patience_s).content

    def mask(self, job: Job | str) -> Picture:
        """How much of the painting is shown where: gray, 8 bits, of the content's size; before it is painted, too.

        Errors: not-found, result-gone.
        """
        return decode(self._call("GET", f"{_path(job)}/mask", accept="image/png").content, name="the mask")

    def paint(
        self,
        content: Source,
        styles: Sequence[StyleSource] = (),
        *,
        mask: Source | None = None,
        recipe: RecipeSource | None = None,
        regions: Mapping[str, Source] | None = None,
        pictures: Mapping[str, Source] | None = None,
        on_progress: OnProgress | None = None,
        lease_s: float | None = LEASE_S,
        key: str | None = None,
        patience_s: float = 60.0,
        **fields: Any,
    ) -> Picture:
        """Post a job, follow it and fetch its result, in the content's depth; see `submit` and `wait`.

        When this process dies, the job is stopped after `lease_s`. Errors: those of `submit` and `wait`.
        """
        job = self.submit(
            content,
            styles,
            mask=mask,
            recipe=recipe,
            regions=regions,
            pictures=pictures,
            lease_s=lease_s,
            key=key,
            **fields,
        )
        ended = self.wait(job, on_progress, patience_s=patience_s)
        return self.result(ended, "tiff" if is_deep(content) else "png", patience_s=patience_s)

    # ------------------------------------------------------------------------------------------------- thinking

    def estimate(self, recipe: RecipeSource | None, width: int, height: int, bounds: Box | None = None) -> Estimate:
        """What a job over a content of `width` × `height` px would cost, `bounds` being the selection's; nothing runs.

        The pictures that the recipe names need not exist. Errors: bad-recipe.
        """
        request = _question(
            EstimateRequest, recipe=plain(recipe), width=width, height=height, bounds=_rectangle(bounds)
        )
        return self._ask(Estimate, "POST", "/v1/estimate", json=request)

    # ----------------------------------------------------------------------------------------- the style library

    def styles(self, tag: str | None = None) -> list[Style]:
        """The style library; only what has the `tag`, if one is given. A recipe names one by its `picture`."""
        return self._ask(StyleList, "GET", "/v1/styles", params={"tag": tag} if tag else None).styles

    def add_style(self, picture: Source, name: str, tags: Sequence[str] = (), crop: Box | None = None) -> Style:
        """Keep a picture, or the `crop` of it, in the style library. Errors: bad-style, bad-picture, disk-full."""
        parts = [picture_part("picture", picture), field("name", name)]
        if tags:
            parts.append(field("tags", ",".join(tags)))
        if rectangle := _rectangle(crop):
            parts.append(field("crop", rectangle.model_dump_json()))
        return self._ask(Style, "POST", "/v1/styles", body=Body(parts))

    def change_style(
        self,
        style: Style | str,
        *,
        name: str | Unchanged = UNCHANGED,
        tags: Sequence[str] | Unchanged = UNCHANGED,
        crop: Box | Unchanged | None = UNCHANGED,
    ) -> Style:
        """Change what is given about a style of the library; `crop=None` is all of it. Errors: not-found, bad-style."""
        changes: dict[str, Any] = {}
        if not isinstance(name, Unchanged):
            changes["name"] = name
        if not isinstance(tags, Unchanged):
            changes["tags"] = list(tags)
        if not isinstance(crop, Unchanged):
            changes["crop"] = _rectangle(crop)
        return self._ask(Style, "PATCH", _style_path(style), json=_question(StyleChange, "bad-style", **changes))

    def remove_style(self, style: Style | str) -> None:
        """Remove a style from the library. Errors: not-found, wrong-state for one that came with Scumble."""
        self._call("DELETE", _style_path(style))

    def style_picture(self, style: Style | str) -> Picture:
        """The picture of a style as it was given, its crop not applied. Errors: not-found."""
        return decode(self._call("GET", f"{_style_path(style)}/picture", accept="*/*").content, name="the style")

    # ------------------------------------------------------------------------------------------- trained styles

    def models(self) -> list[Model]:
        """The models that are kept; a recipe names one in a style's `model`."""
        return self._ask(ModelList, "GET", "/v1/models").models

    def add_model(self, file: str | os.PathLike[str] | bytes, name: str | None = None) -> Model:
        """Keep a .scumble file, given by its path or as bytes, under its own name or another; see what it answers: a
        model of that name that is there already stays. Errors: bad-model, missing-file, bad-request, disk-full."""
        data, stem = (file, "model") if isinstance(file, bytes) else _file(Path(file))
        params = {"name": name or stem}
        return self._ask(Model, "POST", "/v1/models", params=params, data=data)

    def remove_model(self, model: Model | str) -> None:
        """Remove a model that is kept. Errors: not-found."""
        self._call("DELETE", f"/v1/models/{_step(model.name if isinstance(model, Model) else model)}")

    def train(
        self,
        styles: Sequence[Source],
        *,
        name: str | None = None,
        lease_s: float | None = None,
        key: str | None = None,
        **options: Any,
    ) -> Job:
        """Have one model trained for one or several `styles`, pictures or `library:ID`s; it is in the queue when this
        returns. It waits for all paintings. Follow it as any job: its result is a report, its `model` the name under
        which it is kept then.

        `name` is that which is wished for, `options` are the other fields of `scumble.protocol.TrainRequest`: `steps`,
        `size`, `square`, … Errors: bad-request, bad-recipe, missing-picture, bad-picture, queue-full, …
        """
        names, parts = style_parts(styles)
        said: dict[str, Any] = {"name": name, "lease_s": lease_s}
        said = {each: value for each, value in said.items() if value is not None}
        request = _question(TrainRequest, styles=names, **said, **options)
        parts.insert(0, field("options", request.model_dump_json(exclude_unset=True), "application/json"))
        return self._ask(Job, "POST", "/v1/train", body=Body(parts), key=key or str(uuid.uuid4()))

    # --------------------------------------------------------------------------------------------------- details

    def _job(self, job: Job | str, after: int | None, wait_s: float, patience_s: float) -> Job:
        params = None if after is None else {"after": str(after), "wait": f"{wait_s:g}"}
        return self._ask(
            Job, "GET", _path(job), params=params, timeout_s=self.timeout_s + wait_s, patience_s=patience_s
        )

    def _stop_unless_ended(self, job: Job | str) -> None:
        try:
            self.stop(job, keep=True)
        except ScumbleError as error:
            if error.code != "wrong-state":
                raise

    def _go_to(self, url: str, token: str) -> None:
        self.url = _address(url)
        self._session.auth = _Bearer(token)
        # a proxy would not find this machine under its own loopback address
        self._session.trust_env = not _is_loopback(self.url)
        self._is_compatible = False

    def _look_again(self) -> bool:
        """Whether the runtime file says something else than before: a new daemon has another port and token."""
        if self._home is None:
            return False
        with contextlib.suppress(ScumbleError):
            file = runtime.read(self._home)
            if file is not None and (_address(file.url), _Bearer(file.token)) != (self.url, self._session.auth):
                self._go_to(file.url, file.token)
                return True
        return False

    def _ask(self, answer: type[Given], method: str, path: str, **how: Any) -> Given:
        response = self._call(method, path, **how)
        return _parsed(answer, response.content, self.url)

    def _call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        timeout_s: float | None = None,
        patience_s: float = 0.0,
        **what: Any,
    ) -> requests.Response:
        """One question and its answer, asked again as long as that can do no harm and there is hope."""
        can_repeat = method == "GET" or key is not None
        began = time.monotonic()
        for attempt in itertools.count():
            pause_s = min(0.2 * 2**attempt, 2.0)
            try:
                if not self._is_compatible:
                    self._check_protocol()
                response = self._send(method, path, key=key, timeout_s=timeout_s or self.timeout_s, **what)
            except requests.RequestException as error:
                trouble = self._unreachable(error)
                self._look_again()
            except _Refused as refused:
                trouble, response = refused.error, refused.response
                if (response.status_code == 401 or not refused.is_problem) and self._look_again():
                    continue
                if response.status_code not in _PASSING:
                    raise trouble from None
                pause_s = max(pause_s, _retry_after(response))
            else:
                return response
            if not can_repeat or (attempt >= self.retries and time.monotonic() + pause_s - began > patience_s):
                raise trouble
            _sleep(pause_s)
        raise AssertionError  # pragma: no cover

    def _check_protocol(self) -> None:
        response = self._send("GET", "/v1/health", timeout_s=self.timeout_s)
        health = _parsed(Health, response.content, self.url)
        if health.protocol != PROTOCOL:
            detail = (
                f"The daemon at {self.url} is version {health.version} and speaks protocol {health.protocol}, "
                f"not {PROTOCOL}."
            )
            raise ScumbleError("incompatible-daemon", detail, None if self._home else "Use a client of its version.")
        self._is_compatible = True

    def _send(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        key: str | None = None,
        params: Mapping[str, str] | None = None,
        json: BaseModel | None = None,
        body: Body | None = None,
        data: bytes | None = None,
        accept: str = "application/json",
    ) -> requests.Response:
        headers = {"Accept": f"{accept}, application/problem+json", "User-Agent": f"scumble/{__version__}"}
        if key is not None:
            if not (key.isascii() and key.isprintable()):
                raise ScumbleError("bad-request", "The key holds letters that are not printable ASCII.")
            headers["Idempotency-Key"] = key
        sent: Body | bytes | None = body if data is None else data
        if data is not None:
            headers["Content-Type"] = "application/octet-stream"
        elif json is not None:
            headers["Content-Type"] = "application/json"
            sent = json.model_dump_json(exclude_unset=True).encode()
        elif body is not None:
            headers["Content-Type"] = body.content_type
        response = self._session.request(
            method,
            self.url + path,
            params=params,
            data=sent,  # type: ignore[arg-type]  # requests streams whatever has a length and can be gone through
            headers=headers,
            timeout=(_CONNECT_S, timeout_s),
            allow_redirects=False,
        )
        if not 200 <= response.status_code < 300:
            raise _Refused(response, self.url)
        return response

    def _unreachable(self, error: requests.RequestException) -> ScumbleError:
        reason = "the connection was refused or broke"
        if isinstance(error, requests.Timeout):
            reason = "it takes too long"
        hint = None if self._home else "Check the address, and whether the daemon is running there."
        return ScumbleError("unreachable", f"{self.url} does not answer: {reason}.", hint)


class _Bearer(requests.auth.AuthBase):
    """Says the token; as an `auth`, nothing that the environment holds for that host is said instead."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bearer) and other._token == self._token

    def __hash__(self) -> int:
        return hash(self._token)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Refused(Exception):  # noqa: N818 - it carries the error
    """An answer that is none."""

    def __init__(self, response: requests.Response, url: str) -> None:
        self.response = response
        self.is_problem = True
        try:
            self.error = _error(Problem.model_validate_json(response.content))
        except ValidationError:
            self.is_problem = False
            detail = f"{url} answers with the status {response.status_code}: it is no daemon."
            self.error = ScumbleError("unreachable", detail, "Check the address.")


def _error(problem: Problem | None) -> ScumbleError:
    if problem is None:
        return ScumbleError("internal", "The job failed and does not say why.")
    return ScumbleError(problem.code if problem.code in CATALOGUE else "internal", problem.detail, problem.hint)


def _parsed(answer: type[Given], data: bytes, url: str) -> Given:
    try:
        return answer.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        detail = f"{url} does not answer as a daemon does: {first['msg']}."
        raise ScumbleError("incompatible-daemon", detail, "Check the address and the daemon's version.") from None


def _retry_after(response: requests.Response) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", "0")), 0.0), _LONGEST_PAUSE_S)
    except ValueError:  # a date
        return 1.0


def _sleep(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise ScumbleError("unreachable", "That is no daemon's address.", "Give one like http://127.0.0.1:8765.")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _path(job: Job | str) -> str:
    return f"/v1/jobs/{_step(job.id if isinstance(job, Job) else job)}"


def _style_path(style: Style | str) -> str:
    return f"/v1/styles/{_step(style.id if isinstance(style, Style) else style.removeprefix(LIBRARY))}"


def _file(path: Path) -> tuple[bytes, str]:
    """The bytes of a model's file, and its name."""
    try:
        return path.read_bytes(), path.stem
    except FileNotFoundError as error:
        raise ScumbleError("missing-file", f"There is no file {path}.") from error
    except OSError as error:
        raise ScumbleError("bad-model", f"{path} cannot be read: {error.strerror or error}.") from error


def _step(id: str) -> str:
    if id in {"", ".", ".."}:  # which in a path mean something else
        raise ScumbleError("not-found", f"There is nothing with the id {id!r}.")
    return quote(id, safe="")


def _rectangle(box: Box | None) -> Rectangle | None:
    if box is None or isinstance(box, Rectangle):
        return box
    x, y, width, height = box
    return _question(Rectangle, x=x, y=y, width=width, height=height)


def _question(model: type[Given], code: str = "bad-request", **values: Any) -> Given:
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ScumbleError(code, f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
