"""The routes: one thin function for each call of the HTTP API, declared with what it takes and what it can answer."""

import io
import json
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache
from typing import Annotated
from urllib.parse import quote

from flask import Flask, Response, request
from pydantic import Field
from werkzeug.wsgi import wrap_file

from scumble import __version__
from scumble.engine import models
from scumble.errors import ScumbleError
from scumble.picture import encode
from scumble.protocol import (
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
    State,
    StopRequest,
    Style,
    StyleChange,
    StyleList,
)
from scumble.recipe import PRESET_NOTES, PRESETS, Recipe
from scumble.service import intake, trained
from scumble.service.guard import Guard
from scumble.service.jobs import Jobs
from scumble.service.library import Library
from scumble.service.media import FORMATS, MASKS, PICTURES, converted, media_type, wanted
from scumble.service.openapi import JSON, Answer, Header, Registry
from scumble.service.page import page, policy
from scumble.service.questions import LONGEST_KEY, Query, idempotency_key
from scumble.service.settings import Limits
from scumble.service.wiring import answered, empty, not_modified, tagged, wired, with_tag

_PICTURE_FAULTS = ("bad-picture", "picture-too-large", "out-of-memory")
_ORDER_FAULTS = ("bad-recipe", "missing-picture", "key-reused", "queue-full", "stopping", "cannot-write")
_JOB_FAULTS = (*_ORDER_FAULTS, "missing-model", "bad-model")
_UNCHANGED = Answer(304, "It is as the client has it already.")
_KEY = Header(
    "Idempotency-Key",
    "A repeat with the same key gives the same job.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]*$"},
)
_IF_NONE_MATCH = Header("If-None-Match", "The ETag of what the client has.")
_ETAG = {"ETag": "What tells it from another one."}
_ACCEPTED = Answer(
    202,
    "The job, which is in the queue; it survives whatever happens to the daemon.",
    Job,
    headers={"Location": "The job's address.", "Idempotency-Replayed": "`true`, if the job was there already."},
)


class JobsQuery(Query):
    """Which jobs to list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many at most."""
    state: State | None = None
    """Only those in this state."""


class JobQuery(Query):
    """What to wait for."""

    after: Annotated[int, Field(ge=0)] | None = None
    """Answer as soon as the job's sequence number is another one."""
    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 0.0
    """With `after`: answer after so many seconds in any case. Under load it is answered at once."""


class StylesQuery(Query):
    """Which styles to list."""

    tag: str | None = None
    """Only those with this tag."""


class NewModelQuery(Query):
    """How to keep a model."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$")]
    """What to call it; where there is another of that name it is kept as `NAME-2`, …"""


class ThumbnailQuery(Query):
    """Which of a model's styles to show."""

    style: Annotated[int, Field(ge=1, le=16)] = 1
    """Its number, from 1."""


def create_app(
    jobs: Jobs, library: Library, guard: Guard, limits: Limits, shutdown: Callable[[], None] = lambda: None
) -> Flask:
    """The daemon as a WSGI application; `shutdown` is called when a client asks for the daemon's end."""
    registry = Registry()
    turn = threading.Lock()  # pictures are decoded for one request at a time, or memory could run out
    _about(registry, jobs, shutdown)
    _jobs(registry, jobs, intake.Intake(library, limits, turn))
    _one_job(registry, jobs, turn)
    _styles(registry, jobs, library, limits, turn)
    _models(registry, jobs, turn)
    return wired(registry, guard, limits)


def _about(registry: Registry, jobs: Jobs, shutdown: Callable[[], None]) -> None:
    @cache
    def description() -> str:
        return json.dumps(registry.document(__version__))

    @registry.call(
        "GET", "/", "A page that says what this is.", Answer(200, "The page.", media=("text/html",)), is_open=True
    )
    def about() -> Response:
        headers = {"Content-Security-Policy": policy(), "Referrer-Policy": "no-referrer"}
        return Response(page(__version__, PROTOCOL), headers=headers, content_type="text/html; charset=utf-8")

    @registry.call(
        "GET", "/v1/health", "Who answers; with the token also how it stands.", Answer(200, "It.", Health), is_open=True
    )
    def health() -> Health | Response:
        if "Authorization" in request.headers:
            return jobs.health()
        stranger = Health(name="scumble", version=__version__, protocol=PROTOCOL)
        return Response(stranger.model_dump_json(exclude_none=True), content_type=JSON)

    @registry.call("GET", "/v1/openapi.json", "This description.", Answer(200, "It.", media=(JSON,)))
    def openapi() -> Response:
        return Response(description(), content_type=JSON)

    @registry.call("GET", "/v1/presets", "The recipes with names.", Answer(200, "They.", PresetList))
    def presets() -> PresetList:
        return PresetList(
            presets=[
                Preset(name=name, description=PRESET_NOTES[name], recipe=Recipe.from_preset(name).as_dict())
                for name in PRESETS
            ]
        )

    @registry.call(
        "POST",
        "/v1/estimate",
        "What a job would cost; nothing is painted.",
        Answer(200, "The estimate.", Estimate),
        body=EstimateRequest,
        errors=(
            *("bad-recipe", "out-of-memory", "missing-weights", "bad-weights", "missing-model", "bad-model"),
            *("no-device", "stopping"),
        ),
    )
    def estimate(body: EstimateRequest) -> Estimate:
        intake.refuse_path(body.recipe.get("features"))
        return jobs.estimate(body)

    @registry.call(
        "POST", "/v1/shutdown", "End the daemon. Running jobs are saved.", Answer(202, "It is going to end.")
    )
    def end() -> Response:
        shutdown()
        return empty(202)


def _jobs(registry: Registry, jobs: Jobs, orders: intake.Intake) -> None:
    @registry.call(
        "POST",
        "/v1/jobs",
        "Have a picture painted.",
        _ACCEPTED,
        body=intake.ORDER,
        headers=(_KEY,),
        errors=(*_JOB_FAULTS, *_PICTURE_FAULTS, "bad-mask", "empty-mask"),
    )
    def post_job() -> Response:
        key = idempotency_key(request.headers.get(_KEY.name))
        with jobs.store.batch() as batch:
            return _accepted(*jobs.submit(orders.order(request, batch, key)))

    @registry.call(
        "POST",
        "/v1/train",
        "Have a model trained, when nothing is to be painted.",
        _ACCEPTED,
        body=intake.TRAINING,
        headers=(_KEY,),
        errors=(*_ORDER_FAULTS, *_PICTURE_FAULTS),
    )
    def post_training() -> Response:
        key = idempotency_key(request.headers.get(_KEY.name))
        with jobs.store.batch() as batch:
            return _accepted(*jobs.submit(orders.training(request, batch, key)))

    @registry.call("GET", "/v1/jobs", "The last jobs, newest first.", Answer(200, "They.", JobList), query=JobsQuery)
    def list_jobs(query: JobsQuery) -> JobList:
        return JobList(jobs=jobs.list(query.limit, query.state))

    @registry.call(
        "GET",
        "/v1/jobs/{id}",
        "A job, at once or as soon as there is something new.",
        Answer(200, "The job.", Job),
        query=JobQuery,
        errors=("not-found",),
    )
    def get_job(id: str, query: JobQuery) -> Job:
        return jobs.get(id) if query.after is None else jobs.wait(id, query.after, query.wait)

    @registry.call(
        "DELETE", "/v1/jobs/{id}", "Stop a job and forget it.", Answer(204, "It is gone."), errors=("not-found",)
    )
    def forget_job(id: str) -> Response:
        jobs.forget(id)
        return empty(204)


def _one_job(registry: Registry, jobs: Jobs, turn: threading.Lock) -> None:
    @registry.call(
        "POST",
        "/v1/jobs/{id}/stop",
        "Stop a job within one iteration.",
        Answer(200, "The job.", Job),
        body=StopRequest,
        errors=("not-found", "wrong-state"),
    )
    def stop_job(id: str, body: StopRequest) -> Job:
        return jobs.stop(id, body.keep)

    @registry.call(
        "POST",
        "/v1/jobs/{id}/move",
        "Let a job wait at another place in the queue.",
        Answer(200, "The job.", Job),
        body=MoveRequest,
        errors=("not-found", "wrong-state"),
    )
    def move_job(id: str, body: MoveRequest) -> Job:
        return jobs.move(id, body.position)

    @registry.call(
        "POST",
        "/v1/jobs/{id}/continue",
        "Go on from a job's result, in a new job.",
        _ACCEPTED,
        body=ContinueRequest,
        headers=(_KEY,),
        errors=("not-found", "wrong-state", "result-gone", *_JOB_FAULTS),
    )
    def continue_job(id: str, body: ContinueRequest) -> Response:
        intake.refuse_path(body.changes.get("features"))
        key = idempotency_key(request.headers.get(_KEY.name))
        return _accepted(*jobs.go_on(id, body, key))

    @registry.call(
        "GET",
        "/v1/jobs/{id}/preview",
        "The newest intermediate picture.",
        (Answer(200, "The picture.", media=("image/jpeg",), headers=_ETAG), _UNCHANGED),
        headers=(_IF_NONE_MATCH,),
        errors=("not-found",),
    )
    def get_preview(id: str) -> Response:
        return tagged(jobs.preview(id)[1], "image/jpeg")

    @registry.call(
        "GET",
        "/v1/jobs/{id}/result",
        "The painted picture, or the report of a training, in the form that `Accept` asks for; PNG is the usual one.",
        (Answer(200, "The picture.", media=PICTURES, headers=_ETAG), _UNCHANGED),
        headers=(_IF_NONE_MATCH,),
        errors=("not-found", "wrong-state", "result-gone", "not-acceptable", "cannot-write", *_PICTURE_FAULTS),
    )
    def get_result(id: str) -> Response:
        media = wanted(request.accept_mimetypes)
        data, digest = jobs.result(id)
        tag = digest if media == media_type(data) else f"{digest}-{media.rpartition('/')[2]}"
        response = not_modified(tag)
        if response is None:
            with turn if tag != digest else nullcontext():
                data = converted(data, media)
            response = _sent(data, media, lambda: jobs.fetched(id))
        response.vary.add("Accept")
        return with_tag(response, tag)

    @registry.call(
        "GET",
        "/v1/jobs/{id}/mask",
        "How much of the painting is shown where: gray, of the content's size, in 8 bits.",
        (Answer(200, "The mask.", media=MASKS, headers=_ETAG), _UNCHANGED),
        headers=(_IF_NONE_MATCH,),
        errors=("not-found", "result-gone", "not-acceptable", "cannot-write", *_PICTURE_FAULTS),
    )
    def get_mask(id: str) -> Response:
        media = wanted(request.accept_mimetypes, MASKS)
        tag = f"{jobs.order(id).fingerprint}-{media.rpartition('/')[2]}"
        response = not_modified(tag)
        if response is None:
            with turn:
                data = encode(jobs.mask(id), FORMATS[media])
            response = _sent(data, media)
        response.vary.add("Accept")
        return with_tag(response, tag)


def _styles(registry: Registry, jobs: Jobs, library: Library, limits: Limits, turn: threading.Lock) -> None:
    @registry.call("GET", "/v1/styles", "The style library.", Answer(200, "The styles.", StyleList), query=StylesQuery)
    def list_styles(query: StylesQuery) -> StyleList:
        return StyleList(styles=library.list(query.tag))

    @registry.call(
        "POST",
        "/v1/styles",
        "Keep a picture as a style.",
        Answer(201, "The style.", Style, headers={"Location": "Its address."}),
        body=intake.NEW_STYLE,
        errors=("bad-style", "missing-picture", "cannot-write", *_PICTURE_FAULTS),
    )
    def post_style() -> Response:
        with jobs.store.batch() as batch:
            data, about = intake.new_style(request, batch, limits)
        with turn:
            style = library.add(data, about.name, about.tags, about.crop)
        return answered(style, 201, {"Location": f"/v1/styles/{style.id}"})

    @registry.call("GET", "/v1/styles/{id}", "A style.", Answer(200, "The style.", Style), errors=("not-found",))
    def get_style(id: str) -> Style:
        return library.get(id)

    @registry.call(
        "PATCH",
        "/v1/styles/{id}",
        "Change a style's name, tags or crop.",
        Answer(200, "The style.", Style),
        body=StyleChange,
        errors=("not-found", "wrong-state", "bad-style", "bad-picture", "cannot-write"),
    )
    def change_style(id: str, body: StyleChange) -> Style:
        return library.change(id, body)

    @registry.call(
        "DELETE",
        "/v1/styles/{id}",
        "Remove a style.",
        Answer(204, "It is gone."),
        errors=("not-found", "wrong-state", "cannot-write"),
    )
    def remove_style(id: str) -> Response:
        library.remove(id)
        return empty(204)

    @registry.call(
        "GET",
        "/v1/styles/{id}/picture",
        "A style's picture as it was given, not cropped.",
        (Answer(200, "The picture.", media=PICTURES, headers=_ETAG), _UNCHANGED),
        headers=(_IF_NONE_MATCH,),
        errors=("not-found", "bad-picture"),
    )
    def get_style_picture(id: str) -> Response:
        data = library.picture(id)
        return tagged(data, media_type(data))

    @registry.call(
        "GET",
        "/v1/styles/{id}/thumbnail",
        "A small picture of a style.",
        (Answer(200, "The picture.", media=("image/jpeg", "image/png"), headers=_ETAG), _UNCHANGED),
        headers=(_IF_NONE_MATCH,),
        errors=("not-found", "bad-picture"),
    )
    def get_style_thumbnail(id: str) -> Response:
        data, tag = library.thumbnail(id)
        return tagged(data, media_type(data), tag)


def _models(registry: Registry, jobs: Jobs, turn: threading.Lock) -> None:
    @registry.call("GET", "/v1/models", "The models that are kept.", Answer(200, "They.", ModelList))
    def list_models() -> ModelList:
        return ModelList(models=trained.listed())

    @registry.call(
        "POST",
        "/v1/models",
        "Keep a model.",
        Answer(201, "The model.", Model, headers={"Location": "Its address."}),
        query=NewModelQuery,
        body=intake.MODEL,
        errors=("bad-model", "cannot-write"),
    )
    def post_model(query: NewModelQuery) -> Response:
        with jobs.store.batch() as batch:
            file = intake.model_file(request, batch)
            with turn:
                kept = trained.view(models.keep_beside(intake.whole(file), query.name))
        return answered(kept, 201, {"Location": f"/v1/models/{quote(kept.name)}"})

    @registry.call(
        "GET", "/v1/models/{name}", "A model.", Answer(200, "The model.", Model), errors=("not-found", "bad-model")
    )
    def get_model(name: str) -> Model:
        return trained.view(trained.entry(name))

    @registry.call(
        "DELETE",
        "/v1/models/{name}",
        "Remove a model.",
        Answer(204, "It is gone."),
        errors=("not-found", "cannot-write"),
    )
    def remove_model(name: str) -> Response:
        trained.forget(name)
        return empty(204)

    @registry.call(
        "GET",
        "/v1/models/{name}/thumbnail",
        "A small picture of a style that a model was trained for.",
        (Answer(200, "The picture.", media=("image/jpeg",), headers=_ETAG), _UNCHANGED),
        query=ThumbnailQuery,
        headers=(_IF_NONE_MATCH,),
        errors=("not-found", "bad-model"),
    )
    def get_model_thumbnail(name: str, query: ThumbnailQuery) -> Response:
        return tagged(trained.thumbnail(name, query.style), "image/jpeg")


def _accepted(job: Job, was_there: bool) -> Response:
    headers = {"Location": f"/v1/jobs/{job.id}"}
    if was_there:
        headers["Idempotency-Replayed"] = "true"
    return answered(job, 202, headers)


class _Outgoing(io.BytesIO):
    """Data on its way to a client; tells when all of it has been read."""

    def __init__(self, data: bytes, on_sent: Callable[[], None]) -> None:
        super().__init__(data)
        self._size = len(data)
        self._on_sent = on_sent

    def close(self) -> None:
        """Let go of it."""
        if not self.closed and self.tell() == self._size:
            with suppress(ScumbleError):  # the job was forgotten meanwhile
                self._on_sent()
        super().close()


def _sent(data: bytes, media: str, on_sent: Callable[[], None] = lambda: None) -> Response:
    """The data as a file, which the server sends without holding a thread however slow the client is."""
    file = wrap_file(request.environ, _Outgoing(data, on_sent))
    response = Response(file, content_type=media, direct_passthrough=True)
    response.content_length = len(data)
    return response
