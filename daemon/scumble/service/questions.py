"""What clients say, read: JSON objects, query strings and forms, checked against the wire models."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from scumble.errors import ScumbleError

Model = TypeVar("Model", bound=BaseModel)

LONGEST_KEY = 200
"""Characters of an idempotency key."""


class Query(BaseModel):
    """A query string; as it stands, one in which nothing may be asked."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, extra="forbid", allow_inf_nan=False)


def json_object(data: bytes | str, name: str, code: str = "bad-request") -> dict[str, Any]:
    """The JSON object in the data; `name` is what errors call it, `code` the error."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant, parse_float=_number)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ScumbleError(code, f"{name} holds half a character (a lone surrogate).") from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise ScumbleError(code, f"{name} is not JSON: {reason}.") from None
    if not isinstance(value, dict):
        raise ScumbleError(code, f"{name} is not a JSON object.")
    return value


def validated(model: type[Model], data: Mapping[str, Any], *, is_text: bool = False) -> Model:
    """The model of JSON values, whose types have to be right; or (`is_text`) of texts that stand for them.

    `ScumbleError("bad-request")` names the field that is wrong.
    """
    try:
        return model.model_validate(dict(data)) if is_text else model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise ScumbleError("bad-request", sentence(error)) from None


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong, with its field."""
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    if first["type"] == "extra_forbidden":
        return f"{place}: there is no such field."
    given = "" if first["type"] == "missing" else f", not {first['input']!r:.60}"
    return f"{place or 'The request'}: {first['msg'].removeprefix('Value error, ')}{given}."


def once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names and values as a mapping; a name that is there twice is refused."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise ScumbleError("bad-request", f"{name}: it is there twice.")
        found[name] = value
    return found


def idempotency_key(value: str | None) -> str | None:
    """The header of that name, checked."""
    if value is not None and not (1 <= len(value) <= LONGEST_KEY and value.isascii() and value.isprintable()):
        detail = f"Idempotency-Key: it is not 1 to {LONGEST_KEY} printable characters."
        raise ScumbleError("bad-request", detail)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _number(text: str) -> int | float:
    """JSON does not tell 3.0 from 3, and so a whole number may be written with a point."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is too large a number")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
