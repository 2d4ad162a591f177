from typing import Annotated

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field

from scumble.errors import CATALOGUE
from scumble.protocol import Rectangle, State
from scumble.service.openapi import BINARY, TEXT, Answer, Data, Form, Header, Part, Registry
from scumble.service.questions import Query


class Wish(BaseModel):
    size: Annotated[int, Field(ge=1)]
    place: Rectangle | None = None


class Found(BaseModel):
    size: int = 3
    place: Rectangle | None = None


class Which(Query):
    limit: Annotated[int, Field(ge=1, le=9)] = 2
    """How many."""
    state: State | None = None
    """Which."""
    wait: Annotated[float, Field(ge=0)] | None = None
    name: str


def described(*args, **more):
    registry = Registry()

    @registry.call(*args, **more)
    def thing():
        pass

    document = registry.document("1.2")
    return document, document["paths"][args[1]][args[0].lower()]


def test_the_document_says_what_it_is():
    document, _ = described("GET", "/v1/things", "Things.", Answer(200, "They."))
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2"
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_questions_and_answers_have_schemas():
    document, call = described("POST", "/v1/things", "A thing.", Answer(201, "It.", Found), body=Wish)
    assert call["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}},
    }
    schema = {"$ref": "#/components/schemas/Found"}
    assert call["responses"]["201"] == {"description": "It.", "content": {"application/json": {"schema": schema}}}
    assert document["components"]["schemas"]["Wish"]["properties"]["size"]["minimum"] == 1
    assert "Rectangle" in document["components"]["schemas"]


def test_a_body_in_which_nothing_is_required_may_be_left_out():
    _, call = described("POST", "/v1/things", "A thing.", Answer(200, "It."), body=Found)
    assert call["requestBody"]["required"] is False


def test_names_in_the_path_are_parameters():
    _, call = described("GET", "/v1/things/{id}/parts/{part}", "A thing.", Answer(200, "It."))
    assert [(each["name"], each["in"], each["required"]) for each in call["parameters"]] == [
        ("id", "path", True),
        ("part", "path", True),
    ]


def test_the_query_is_described():
    _, call = described("GET", "/v1/things", "Things.", Answer(200, "They."), query=Which)
    limit, state, wait, name = call["parameters"]
    assert limit == {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "How many.",
        "schema": {"default": 2, "maximum": 9, "minimum": 1, "type": "integer"},
    }
    assert (state["schema"]["type"], state["schema"]["enum"]) == ("string", [each.value for each in State])
    assert wait["schema"] == {"type": "number", "minimum": 0}
    assert name["required"] is True


def test_headers_are_described():
    _, call = described("GET", "/v1/things", "Things.", Answer(200, "They.", headers={"ETag": "It."}), headers=(
        Header("If-None-Match", "What is there."),
    ))  # fmt: skip
    assert call["parameters"] == [
        {"name": "If-None-Match", "in": "header", "description": "What is there.", "schema": TEXT}
    ]
    assert call["responses"]["200"]["headers"] == {"ETag": {"description": "It.", "schema": TEXT}}


def test_a_form_is_described():
    form = Form(
        (
            Part("content", "A.", is_required=True),
            Part("style", "B.", is_repeatable=True),
            Part("place", "C.", model=Rectangle),
        ),
        others="D.",
    )
    _, call = described("POST", "/v1/things", "A thing.", Answer(200, "It."), body=form)
    media = call["requestBody"]["content"]["multipart/form-data"]
    assert media["schema"] == {
        "type": "object",
        "properties": {
            "content": {**BINARY, "description": "A."},
            "style": {"type": "array", "items": BINARY, "description": "B."},
            "place": {"$ref": "#/components/schemas/Rectangle", "description": "C."},
        },
        "additionalProperties": {**BINARY, "description": "D."},
        "required": ["content"],
    }
    assert media["encoding"] == {"place": {"contentType": "application/json"}}
    _, call = described("POST", "/v1/things", "A thing.", Answer(200, "It."), body=Form(()))
    assert call["requestBody"]["content"]["multipart/form-data"]["schema"]["additionalProperties"] is False


def test_a_file_is_described():
    _, call = described("POST", "/v1/things", "A thing.", Answer(200, "It."), body=Data("A file."))
    assert call["requestBody"] == {
        "required": True,
        "description": "A file.",
        "content": {"application/octet-stream": {"schema": BINARY}},
    }
    assert "415" in call["responses"]


def test_every_call_can_be_refused_in_the_usual_ways():
    _, call = described("GET", "/v1/things", "Things.", Answer(200, "They."), errors=("not-found",))
    assert {"400", "401", "403", "404", "405", "413", "500", "507"} == set(call["responses"]) - {"200"}
    assert "415" not in call["responses"]
    assert "`foreign-host`" in call["responses"]["403"]["description"]
    assert "`foreign-origin`" in call["responses"]["403"]["description"]
    assert list(call["responses"]["403"]["content"]) == ["application/problem+json"]
    _, call = described("POST", "/v1/things", "Things.", Answer(200, "They."), body=Wish)
    assert "415" in call["responses"]


def test_an_error_that_does_not_exist_cannot_be_declared():
    with pytest.raises(ValueError, match="no-such-error"):
        described("GET", "/v1/things", "Things.", Answer(200, "They."), errors=("no-such-error",))
    assert "no-such-error" not in CATALOGUE


def test_what_can_be_got_can_be_asked_for_its_headers():
    registry = Registry()
    registry.call("GET", "/v1/things", "Things.", Answer(200, "They.", Found))(lambda: None)
    registry.call("POST", "/v1/things", "A thing.", Answer(200, "It.", Found))(lambda: None)
    operations = registry.document("1")["paths"]["/v1/things"]
    assert set(operations) == {"get", "head", "post"}
    assert set(operations["head"]["responses"]) == set(operations["get"]["responses"])
    assert not any("content" in each for each in operations["head"]["responses"].values())


def test_what_needs_no_token_says_so():
    _, call = described("GET", "/v1/things", "Things.", Answer(200, "They."), is_open=True)
    assert call["security"] == [{"token": []}, {}]
    _, call = described("GET", "/v1/things", "Things.", Answer(200, "They."))
    assert "security" not in call
