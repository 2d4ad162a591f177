"""Between Flask and the calls: who may ask, what was asked, how answers and errors look, and what the log says.

A call's function gets what it declared, checked, and returns a model (answered with its first status) or a response.
"""

import hashlib
import logging
import time
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from scumble.errors import ScumbleError
from scumble.service import problems
from scumble.service.guard import Guard
from scumble.service.openapi import JSON, Call, Data, Form, Registry
from scumble.service.questions import Query, json_object, once, validated
from scumble.service.settings import Limits

log = logging.getLogger("scumble.service")

_CODES = {
    404: "not-found",
    405: "wrong-method",
    406: "not-acceptable",
    413: "request-too-large",
    415: "unsupported-media",
}
_DETAILS = {
    "not-found": "There is nothing at this address.",
    "wrong-method": "This method is not for this address.",
    "request-too-large": "The request is larger than the limit.",
    "internal": "The daemon made a mistake while it answered.",
}


def wired(registry: Registry, guard: Guard, limits: Limits) -> Flask:
    """A WSGI application that serves the registry's calls."""
    app = Flask("scumble", static_folder=None)
    app.url_map.merge_slashes = False  # which would answer with a redirection
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.before_request(lambda: _let_in(guard))
    app.after_request(_finished)
    app.register_error_handler(Exception, _trouble)
    for number, call in enumerate(registry.calls):
        rule = call.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, f"call-{number}", _view(call, limits), methods=[call.method])
    return app


def _view(call: Call, limits: Limits) -> Any:
    def view(**names: str) -> Response:
        asked: dict[str, Any] = dict(names)
        query = validated(call.query or Query, once(request.args.items(multi=True)), is_text=True)
        if call.query is not None:
            asked["query"] = query
        if call.body is not None and not isinstance(call.body, Form | Data):
            asked["body"] = validated(call.body, _json_body(limits))
        answer = call.function(**asked)
        return answer if isinstance(answer, Response) else answered(answer, call.answers[0].status)

    return view


def answered(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A model as JSON."""
    return Response(model.model_dump_json(), status, headers, content_type=JSON)


def empty(status: int) -> Response:
    """An answer that is its status."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def tagged(data: bytes, media: str, tag: str | None = None) -> Response:
    """Bytes with an ETag (without `tag` their own hash), or 304 if the client has them already."""
    tag = tag or hashlib.sha256(data).hexdigest()
    response = not_modified(tag) or Response(data, content_type=media)
    return with_tag(response, tag)


def not_modified(tag: str) -> Response | None:
    """304, if the client has what is tagged so already."""
    return empty(304) if request.if_none_match.contains_weak(tag) else None


def with_tag(response: Response, tag: str) -> Response:
    """The response with an ETag; clients may keep it, and are to ask each time whether it still holds."""
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _json_body(limits: Limits) -> dict[str, Any]:
    if (request.content_length or 0) > limits.form_bytes:
        raise ScumbleError("request-too-large", f"The body is larger than the limit of {limits.form_bytes} bytes.")
    data = request.get_data()
    if not data:
        return {}
    if request.mimetype != JSON:
        raise ScumbleError("unsupported-media", f"The body is to be {JSON}.")
    return json_object(data, "The body")


# ---------------------------------------------------------------------------------------- before, after, and on trouble


def _let_in(guard: Guard) -> None:
    g.began = time.monotonic()
    headers = {name.lower(): value for name, value in request.headers.items()}
    if (error := guard.check(headers, request.path)) is not None:
        raise error


def _finished(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    # who follows a job asks all the time
    is_polling = request.method == "GET" and request.path.startswith(("/v1/health", "/v1/jobs"))
    log.log(
        logging.DEBUG if is_polling and response.status_code < 400 else logging.INFO,
        "%s %s %d, %.0f ms",
        request.method if request.method.isalpha() else "?",
        quote(request.path),
        response.status_code,
        (time.monotonic() - g.began) * 1000,
    )
    return response


def _trouble(trouble: Exception) -> Response:
    """The problem document of whatever was raised."""
    headers = {}
    if isinstance(trouble, ScumbleError):
        error = trouble
    elif isinstance(trouble, HTTPException):
        code = _CODES.get(trouble.code or 500, "bad-request" if (trouble.code or 500) < 500 else "internal")
        error = ScumbleError(code, _DETAILS.get(code, "The request cannot be understood."))
        headers = {name: value for name, value in trouble.get_headers() if name == "Allow"}
    else:
        error = ScumbleError("internal", _DETAILS["internal"])
    if error.code == "internal":
        log.error("%s %s failed", request.method, quote(request.path), exc_info=trouble)
    status, usual, body = problems.answer(error)
    return Response(body, status, usual | headers)
