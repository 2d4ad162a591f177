"""The calls of the HTTP API, each declared once: what is declared here is what is served, checked and described.

A **call** is a method and a path. Its **answers** are what it says when all is well, the usual one first; its
**errors** are names in the table of errors. What every call can answer besides is added by `Registry`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from scumble.errors import CATALOGUE
from scumble.protocol import Problem
from scumble.service.problems import MEDIA_TYPE as PROBLEM
from scumble.service.questions import Query

JSON = "application/json"
FORM = "multipart/form-data"
DATA = "application/octet-stream"
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
TEXT: dict[str, Any] = {"type": "string"}

_EVERYWHERE = (
    *("bad-request", "unauthorized", "foreign-host", "foreign-origin", "wrong-method", "request-too-large"),
    *("disk-full", "internal"),
)
_REFERENCE = "#/components/schemas/{model}"
Function = TypeVar("Function", bound=Callable[..., Any])
_Models = Mapping[Any, dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What a call answers: a model, or data of some media types, or nothing. `headers` name and describe some."""

    status: int
    description: str
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A part of a form. With a `model` it is that as JSON."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: BINARY)
    model: type[BaseModel] | None = None
    is_required: bool = False
    is_repeatable: bool = False


@dataclass(frozen=True)
class Form:
    """A multipart body. `others` says what any further part is; without it there may be none."""

    parts: tuple[Part, ...]
    others: str = ""


@dataclass(frozen=True)
class Data:
    """A body that is a file by itself."""

    description: str


@dataclass(frozen=True)
class Header:
    """A header that a call heeds."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: TEXT)


@dataclass(frozen=True)
class Call:
    """One call. `function` takes the names in the path, and `query` and `body` if there are models of them."""

    method: str
    path: str
    summary: str
    function: Callable[..., Any]
    answers: tuple[Answer, ...]
    query: type[Query] | None = None
    body: type[BaseModel] | Form | Data | None = None
    headers: tuple[Header, ...] = ()
    errors: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def names(self) -> list[str]:
        """The names in its path."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def all_errors(self) -> tuple[str, ...]:
        """Everything that can go wrong."""
        of_body = ("unsupported-media",) if self.body is not None else ()
        return tuple(dict.fromkeys((*_EVERYWHERE, *of_body, *self.errors)))


class Registry:
    """All calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def call(
        self, method: str, path: str, summary: str, answers: Answer | Sequence[Answer], **more: Any
    ) -> Callable[[Function], Function]:
        """Declare the decorated function to be what serves a call; `more` are the other fields of `Call`."""

        def declare(function: Function) -> Function:
            given = (answers,) if isinstance(answers, Answer) else tuple(answers)
            call = Call(method, path, summary, function, given, **more)
            unknown = set(call.errors) - set(CATALOGUE)
            if unknown:
                raise ValueError(f"{method} {path}: there are no errors {unknown}")
            self.calls.append(call)
            return function

        return declare

    def document(self, version: str) -> dict[str, Any]:
        """The description of all calls, as OpenAPI 3.1."""
        models, schemas = _schemas(self.calls)
        paths: dict[str, dict[str, Any]] = {}
        for call in self.calls:
            operations = paths.setdefault(call.path, {})
            operations[call.method.lower()] = _operation(call, models)
            if call.method == "GET":
                operations["head"] = _operation(call, models, is_head=True)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Scumble",
                "version": version,
                "description": "Repaint a picture, or a part of it, in the manner of one or several others.",
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "The token in the daemon's runtime file.",
                    }
                },
            },
            "security": [{"token": []}],
        }


def _used(call: Call) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    for answer in call.answers:
        if answer.model:
            yield answer.model, "serialization"
    if isinstance(call.body, Form):
        for part in call.body.parts:
            if part.model:
                yield part.model, "validation"
    elif call.body is not None and not isinstance(call.body, Data):
        yield call.body, "validation"


def _schemas(calls: Sequence[Call]) -> tuple[_Models, dict[str, Any]]:
    """For each model and mode the reference to its schema, and all the schemas."""
    problem: tuple[type[BaseModel], JsonSchemaMode] = (Problem, "serialization")
    wanted = {problem, *(each for call in calls for each in _used(call))}
    in_order = sorted(wanted, key=lambda each: (each[0].__name__, each[0].__module__, each[1]))
    models, document = models_json_schema(in_order, ref_template=_REFERENCE)
    return models, document["$defs"]


def _operation(call: Call, models: _Models, *, is_head: bool = False) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": f"{call.summary} The headers only." if is_head else call.summary,
        "operationId": f"head_{call.function.__name__}" if is_head else call.function.__name__,
        "tags": [next((part for part in call.path.split("/")[2:] if part), "about")],
        "responses": _responses(call, models, is_head),
    }
    parameters = [*_path_parameters(call), *_query_parameters(call), *_header_parameters(call)]
    if parameters:
        operation["parameters"] = parameters
    if call.body is not None:
        operation["requestBody"] = _request_body(call.body, models)
    if call.is_open:
        operation["security"] = [{"token": []}, {}]
    return operation


def _path_parameters(call: Call) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in call.names]


def _query_parameters(call: Call) -> list[dict[str, Any]]:
    if call.query is None:
        return []
    schema = call.query.model_json_schema()
    found = []
    for name, of_field in schema["properties"].items():
        resolved = {key: _without_references(value, schema.get("$defs", {})) for key, value in of_field.items()}
        resolved.pop("title", None)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        found.append(parameter | {"description": resolved.pop("description", ""), "schema": _not_null(resolved)})
    return found


def _without_references(value: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_without_references(each, definitions) for each in value]
    if isinstance(value, dict):
        if "$ref" in value:
            return definitions[value["$ref"].rpartition("/")[2]]
        return {key: _without_references(each, definitions) for key, each in value.items()}
    return value


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query string has no null: what may be left out is simply not there."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**branches[0], **rest}


def _header_parameters(call: Call) -> list[dict[str, Any]]:
    return [
        {"name": header.name, "in": "header", "description": header.description, "schema": dict(header.schema)}
        for header in call.headers
    ]


def _request_body(body: type[BaseModel] | Form | Data, models: _Models) -> dict[str, Any]:
    if isinstance(body, Data):
        return {"required": True, "description": body.description, "content": {DATA: {"schema": BINARY}}}
    if isinstance(body, Form):
        return {"required": True, "content": {FORM: _form(body, models)}}
    is_required = any(each.is_required() for each in body.model_fields.values())
    return {"required": is_required, "content": {JSON: {"schema": models[body, "validation"]}}}


def _form(form: Form, models: _Models) -> dict[str, Any]:
    properties = {}
    for part in form.parts:
        schema = dict(models[part.model, "validation"] if part.model else part.schema)
        properties[part.name] = {**schema, "description": part.description}
        if part.is_repeatable:
            properties[part.name] = {"type": "array", "items": schema, "description": part.description}
    others: Any = {**BINARY, "description": form.others} if form.others else False
    schema = {"type": "object", "properties": properties, "additionalProperties": others}
    if required := [part.name for part in form.parts if part.is_required]:
        schema["required"] = required
    media: dict[str, Any] = {"schema": schema}
    if encoded := {part.name: {"contentType": JSON} for part in form.parts if part.model}:
        media["encoding"] = encoded
    return media


def _responses(call: Call, models: _Models, is_head: bool) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in call.answers:
        response: dict[str, Any] = {"description": answer.description}
        if answer.headers:
            response["headers"] = {name: {"description": text, "schema": TEXT} for name, text in answer.headers.items()}
        if not is_head and (content := _content(answer, models)):
            response["content"] = content
        responses[str(answer.status)] = response
    for status, codes in sorted(_by_status(call.all_errors).items()):
        response = {"description": f"{HTTPStatus(status).phrase}: " + "; ".join(map(_titled, codes))}
        if not is_head:
            response["content"] = {PROBLEM: {"schema": models[Problem, "serialization"]}}
        responses[str(status)] = response
    return responses


def _content(answer: Answer, models: _Models) -> dict[str, Any]:
    if answer.model is not None:
        return {JSON: {"schema": models[answer.model, "serialization"]}}
    return {media: {"schema": _raw(media)} for media in answer.media}


def _raw(media: str) -> dict[str, Any]:
    if media == JSON:
        return {"type": "object"}
    return TEXT if media.startswith("text/") else BINARY


def _by_status(codes: Sequence[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(CATALOGUE[code].http_status, []).append(code)
    return found


def _titled(code: str) -> str:
    title = CATALOGUE[code].title
    return f"{title[0].lower()}{title[1:]} (`{code}`)"
