"""Texts in the user's language, and English wherever a catalogue fails."""

import json

import plugins
import pytest

plugins.link()
from krita_scumble.link import text  # noqa: E402
from krita_scumble.link.text import mark, placeholders, tr, tr_n, use  # noqa: E402


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """Writes a catalogue and shows it; afterwards all is English."""
    monkeypatch.setattr(text, "_FOLDER", tmp_path)

    def write(told, name="de.json", language="de_DE"):
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        (tmp_path / name).write_bytes(data)
        use(language)

    yield write
    use("en")


def test_english_is_the_key_and_the_default():
    use("en_GB")
    assert tr("Nothing is selected") == "Nothing is selected"
    assert tr("{count} jobs wait", count=3) == "3 jobs wait"
    assert tr("A brace { by itself") == "A brace { by itself"


@pytest.mark.parametrize("language", ["de", "de_DE", "de-AT", "de_DE.UTF-8", "DE"])
def test_a_language_is_found_by_however_it_is_called(catalogue, language):
    catalogue({"Stop": "Anhalten", "At {x}, {y}": "Bei {y} und {x}"}, language=language)
    assert tr("Stop") == "Anhalten"
    assert tr("At {x}, {y}", x=1, y=2) == "Bei 2 und 1"
    assert tr("Start") == "Start"


@pytest.mark.parametrize("language", ["fr", "", "../de", "C", "de/../de", "x" * 400])
def test_an_unknown_language_is_english(catalogue, language):
    catalogue({"Stop": "Anhalten"}, language=language)
    assert tr("Stop") == "Stop"


def test_a_new_language_takes_the_place_of_the_last(catalogue):
    catalogue({"Stop": "Anhalten"})
    use("en")
    assert tr("Stop") == "Stop"


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"Stop": 3}', b'{"Stop": ""}', b'{"Stop": null}']
)
def test_a_broken_catalogue_is_english(catalogue, broken):
    catalogue(broken)
    assert tr("Stop") == "Stop"


@pytest.mark.parametrize(
    "translation",
    ["Noch {second} s", "Noch {seconds s", "Noch s", "{0} {seconds}", "{seconds.__class__}", "{seconds!x}"],
)
def test_a_translation_whose_placeholders_do_not_fit_is_english(catalogue, translation):
    catalogue({"{seconds} s left": translation})
    assert tr("{seconds} s left", seconds=5) == "5 s left"


def test_a_form_that_the_value_does_not_have_is_english(catalogue):
    catalogue({"For {name}": "Für {name:d}"})
    assert tr("For {name}", name="you") == "For you"


def test_one_and_many(catalogue):
    forms = "{count} job of {all}", "{count} jobs of {all}"
    assert [tr_n(*forms, n, all=9) for n in (0, 1, 2)] == ["0 jobs of 9", "1 job of 9", "2 jobs of 9"]
    catalogue({forms[0]: "{count} Auftrag von {all}", forms[1]: "{count} Aufträge von {all}"})
    assert [tr_n(*forms, n, all=9) for n in (1, 2)] == ["1 Auftrag von 9", "2 Aufträge von 9"]


def test_a_mark_changes_nothing():
    assert mark("Of {it}") == "Of {it}"


def test_placeholders():
    assert placeholders("{a} and {b:.1f}, {{c}}") == {"a", "b"}
    with pytest.raises(ValueError, match=r"brace|expected"):
        placeholders("{a")
