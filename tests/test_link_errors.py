"""The host's table of errors beside the daemon's, and errors as users read them."""

import plugins
import pytest

from scumble import errors as daemons
from scumble.service.problems import problem

plugins.link()
from krita_scumble.link import errors  # noqa: E402
from krita_scumble.link.errors import CATALOGUE, LinkError, from_problem  # noqa: E402

OWN = {
    "not-installed", "no-document", "no-layer", "no-style", "missing-style", "nothing-selected", "nothing-there",
    "document-closed", "layer-gone", "host-refused", "not-a-picture", "cannot-save", "several-layers",
    "floating-selection", "indexed-colors",
}  # fmt: skip
NEVER_MET = {"foreign-origin", "no-host", "foreign-plugin"}
"""What only a web page, or the command that installs the plug-ins, meets."""
TERMINAL = ("`GET ", "--", "scumble recipe", "scumble status", "scumble logs", "header", "array")


def test_every_code_of_the_daemons_is_there_and_a_few_more():
    assert set(CATALOGUE) == (set(daemons.CATALOGUE) - NEVER_MET) | OWN


@pytest.mark.parametrize("code", sorted(set(CATALOGUE) - OWN))
def test_the_daemons_codes_are_called_alike(code):
    theirs, ours = daemons.CATALOGUE[code], CATALOGUE[code]
    assert ours.title == theirs.title
    if ours.hint != theirs.hint:
        assert errors._THEIRS.get(code) == theirs.hint


@pytest.mark.parametrize("code", sorted(set(CATALOGUE) - {"foreign-host"}))
def test_no_hint_is_for_a_terminal_alone(code):
    assert not [words for words in TERMINAL if words in CATALOGUE[code].hint]


def test_the_daemons_hints_that_are_replaced_are_real():
    assert {code: daemons.CATALOGUE[code].hint for code in errors._THEIRS} == errors._THEIRS


@pytest.mark.parametrize("code", sorted(set(CATALOGUE) - OWN))
def test_a_general_hint_of_the_daemons_becomes_the_hosts(code):
    told = problem(daemons.ScumbleError(code, "So it is.")).model_dump()
    error = from_problem(told)
    assert (error.code, error.title, error.detail) == (code, CATALOGUE[code].title, "So it is.")
    assert error.hint == CATALOGUE[code].hint


def test_a_hint_on_the_case_at_hand_is_kept():
    told = problem(daemons.ScumbleError("bad-request", "There are two.", "Did you mean 'style-2'?")).model_dump()
    assert from_problem(told).hint == "Did you mean 'style-2'?"


def test_an_unknown_code_keeps_what_the_problem_says():
    told = {"code": "new-trouble", "title": "Something new", "detail": "It is new.", "hint": "Update."}
    error = from_problem(told)
    assert (error.code, error.title, error.detail, error.hint) == tuple(told.values())


@pytest.mark.parametrize("told", [{}, {"code": 3, "detail": None, "hint": []}, {"code": "", "title": ""}])
def test_a_problem_that_says_nothing_is_ours(told):
    error = from_problem(told)
    assert (error.code, error.title) == ("internal", "Scumble made a mistake")
    assert error.text


def test_texts():
    error = LinkError("no-style", "No style was chosen", "Drop a picture here.")
    assert str(error) == "No style was chosen"
    assert error.text == "No style was chosen. Drop a picture here."
    assert error.report == "There is no style (no-style)\nNo style was chosen\nDrop a picture here."
    assert LinkError("no-style", "None.").text == "None. Add a style picture."
    assert LinkError("no-style", "None.", "").text == "None."
    assert LinkError("no-style", "").detail == "There is no style"


def test_a_code_that_nobody_knows_is_still_an_error():
    assert LinkError("what", "So it is.").title == "Scumble made a mistake"
