"""The catalogues of `plugins/link/locale`: they have every text that users see, and no other one."""

import ast
import json
import re
from pathlib import Path

import plugins
import pytest

from scumble.recipe import PRESET_NOTES, PRESETS

plugins.link()
from krita_scumble.link import errors, fields  # noqa: E402
from krita_scumble.link.text import placeholders, tr, use  # noqa: E402

LOCALE = plugins.PLUGINS / "link" / "locale"
TRANSLATING = {"tr": 1, "tr_n": 2, "mark": 1}
"""What translates a text or says that it will be, and how many of its arguments are texts."""

OF_THE_DAEMON = {*PRESETS, *PRESET_NOTES.values()}
"""What the daemon says word for word, and the panel shows through `tr`."""

_WIDGETS = ("QLabel", "QPushButton", "QCheckBox", "QRadioButton", "QGroupBox", "QMenu", "Elided", "FaintLabel", "Fold")
_SETTERS = (
    *("setText", "setToolTip", "setWindowTitle", "setTitle", "setPlaceholderText", "setFormat", "setPlainText"),
    *("setAccessibleName", "setAccessibleDescription", "setSpecialValueText", "setHtml", "setNameFilters"),
    *("addItem", "addMenu", "plain", "breakable", "hint", "_heading", "set_title", "_say", "tell"),
)
SHOWING = {
    **dict.fromkeys((*_WIDGETS, *_SETTERS), (0,)),
    **dict.fromkeys(("addAction", "QAction"), (0, 1)),
    **dict.fromkeys(("LinkError", "_button", "_entry", "createAction"), (1, 2)),
    **dict.fromkeys(("QFileDialog", "Status"), (1,)),
    "named": (2, 3),
    "labelled": (2,),
    "IconButton": (3, 4),
    "Check": (0, 2),
}
"""Which arguments of what is called are shown to users."""
KEYWORDS = ("title", "detail", "hint", "description", "text", "tip")

ENGLISH = {
    # a report is for whoever helps, in the language of the code
    "link/diagnostics.py": {"Scumble plug-in ", "Daemon: it has not answered", "Last error:", "Started by: "},
    # these are compared with what the daemon says
    "link/errors.py": set(errors._THEIRS.values()),
    # the name of a picture, as the daemon has it
    "link/settings.py": {"Swirling night"},
}
"""Sentences and the like that are not to be translated."""


def sources():
    for path in sorted(plugins.PLUGINS.rglob("*.py")):
        yield path.relative_to(plugins.PLUGINS).as_posix(), ast.parse(path.read_text("utf-8"))


MODULES = list(sources())


def name_of(call):
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def calls(tree):
    return ((name_of(node), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def texts(tree):
    """The texts that the code of a module translates or marks."""
    for name, call in calls(tree):
        for argument in call.args[: TRANSLATING.get(name, 0)]:
            if is_text(argument):
                yield argument.value


def unmarked(node):
    """Letters in an expression that nothing translates; names within a call, such as a key, are none."""
    if is_text(node):
        if re.search(r"[^\W\d_]{2}", re.sub(r"\*\.\w+", "", node.value)):
            yield node.value
        return
    if isinstance(node, ast.Call) and name_of(node) in TRANSLATING:
        return
    if isinstance(node, (ast.Subscript, ast.Lambda, ast.Compare)):
        return
    if isinstance(node, ast.Call) and name_of(node) not in {"join", "format", "filter", *SHOWING}:
        return
    for each in ast.iter_child_nodes(node):
        yield from unmarked(each)


def loose(tree):
    """Texts that are shown and that nothing translates."""
    for name, call in calls(tree):
        shown = [call.args[place] for place in SHOWING.get(name, ()) if place < len(call.args)]
        shown += [each.value for each in call.keywords if name in SHOWING and each.arg in KEYWORDS]
        for argument in shown:
            yield from unmarked(argument)


def sentences(tree):
    """What reads like a sentence or a label of several words, is no documentation, and nothing translates."""
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    marked = {argument for name, call in calls(tree) if name in TRANSLATING for argument in call.args}
    for node in set(ast.walk(tree)) - documentation - marked:
        if is_text(node) and re.match(r"[A-Z][a-z]+[:,]? [a-z]{2,}", node.value):
            yield node.value


def catalogue(language):
    pairs = json.loads((LOCALE / f"{language}.json").read_text("utf-8"), object_pairs_hook=list)
    assert len({key for key, _ in pairs}) == len(pairs), "a text stands there twice"
    return dict(pairs)


def all_texts():
    return {text for _, tree in MODULES for text in texts(tree)} | OF_THE_DAEMON


LANGUAGES = sorted(path.stem for path in LOCALE.glob("*.json"))


@pytest.fixture(params=LANGUAGES)
def translations(request):
    return catalogue(request.param)


def test_there_is_german():
    assert "de" in LANGUAGES


def test_every_text_has_a_translation(translations):
    assert sorted(all_texts() - set(translations)) == []


def test_no_translation_is_left_over(translations):
    assert sorted(set(translations) - all_texts()) == []


def test_translations_say_something(translations):
    assert [text for text, shown in translations.items() if not isinstance(shown, str) or not shown.strip()] == []


def test_translations_have_the_same_placeholders(translations):
    wrong = {text: shown for text, shown in translations.items() if placeholders(text) != placeholders(shown)}
    assert wrong == {}
    # what reads these is the same `format`, with nothing but names in the braces
    assert [shown for shown in translations.values() if re.search(r"\{[^{}]*[^a-z_{}][^{}]*\}", shown)] == []


def test_translations_end_as_their_texts_do(translations):
    """A sentence stays a sentence, a label a label, and what opens a window keeps its dots."""

    def end(text):
        return text[-1] if text[-1] in ".:?…" else ""

    assert {text: shown for text, shown in translations.items() if end(text) != end(shown)} == {}


def test_commands_and_names_are_not_translated(translations):
    for text, shown in translations.items():
        for each in re.findall(r"`[^`]*`|\b(?:SCUMBLE_\w+|conv\d_\d|pool\d|[A-Z]{3,})\b", text):
            if text not in OF_THE_DAEMON:
                assert each in shown, text


@pytest.mark.parametrize(("module", "tree"), MODULES, ids=[name for name, _ in MODULES])
def test_what_users_see_is_translated(module, tree):
    assert [*loose(tree)] == []
    assert {*sentences(tree)} - ENGLISH.get(module, set()) == set()


def test_only_texts_are_translated_not_what_is_made_of_them():
    for module, tree in MODULES:
        for name, call in calls(tree):
            for argument in call.args[: TRANSLATING.get(name, 0)]:
                assert is_text(argument) or not [*unmarked(argument)], f"{module}: {ast.unparse(argument)}"


def test_what_the_tables_say_is_marked():
    """What is shown by `tr(variable)` is a text of the catalogue, or a name that is the same in every language."""
    names = {"L-BFGS", "Adam", "SGD"}
    said = {text for entry in errors.CATALOGUE.values() for text in (entry.title, entry.hint)}
    for each in (*fields.CONTROLS.values(), *fields.FIELDS):
        said |= {each.label, each.tip, getattr(each, "group", "")}
        said |= {words for value, words in each.choices if words != value}
    assert sorted(said - names - {""} - all_texts()) == []


def test_numbers_and_names_come_into_the_german_text():
    try:
        use("de_DE")
        assert tr("{whole}.{tenth} GB", whole=2, tenth=1) == "2,1 GB"
        assert tr("Weights of {first} and {second}", first="Öl", second="{x}") == "Gewichte von Öl und {x}"
        assert tr("draft") == "Entwurf"
    finally:
        use("en")


@pytest.fixture(params=["krita", "gimp"])
def manuals(request):
    folder = plugins.PLUGINS / request.param / "scumble"
    return {path.name: path.read_text("utf-8") for path in folder.glob("manual*.html")}


def test_the_manual_is_there_in_each_language(translations, manuals):
    assert translations["manual.html"] in manuals


def test_the_manuals_lead_to_each_other_and_have_the_same_parts(manuals):
    assert sorted(manuals) == ["manual.de.html", "manual.html"]
    assert re.search(r'(?:action|href)="manual.de.html"', manuals["manual.html"])
    assert 'href="manual.html"' in manuals["manual.de.html"]
    parts = {name: re.findall(r"<(h[1-6]|dt|li|ol|dl)>", text) for name, text in manuals.items()}
    assert parts["manual.de.html"] == parts["manual.html"]
    assert all(
        Path(link).name in manuals for text in manuals.values() for link in re.findall(r'(?:href|action)="(.*?)"', text)
    )


def test_the_manual_uses_the_words_of_the_panel(manuals):
    german, words = manuals["manual.de.html"], catalogue("de")
    bold = set(re.findall(r"<dt><b>(.*?)</b></dt>", german))
    english = set(re.findall(r"<dt><b>(.*?)</b></dt>", manuals["manual.html"]))
    assert bold == {words[text] for text in english}
    for text in ("Stylise", "Stop", "Stop & keep"):
        assert f"<b>{words[text].replace('&', '&amp;')}</b>" in german
    for text in ("Settings of the layer", "Luminance", "Match palette"):
        assert f"<i>{words[text]}</i>" in german


def test_gimp_finds_the_manual_of_each_language():
    """GIMP looks for LANGUAGE/gimp-help.xml, and for the page that it names from there; English is its default."""
    folder = plugins.PLUGINS / "gimp" / "scumble" / "help"
    for language in ("en", *LANGUAGES):
        text = (folder / language / "gimp-help.xml").read_text("utf-8")
        (page,) = re.findall(r'<help-item id="plug-in-scumble" ref="(.*?)"', text)
        page = folder / language / page
        assert f'<html lang="{language}">' in page.read_text("utf-8")


def test_the_script_in_gimps_manuals_is_the_same():
    folder = plugins.PLUGINS / "gimp" / "scumble"
    scripts = [re.findall("<pre>.*?</pre>", path.read_text("utf-8"), re.DOTALL) for path in folder.glob("*.html")]
    assert len(scripts) == 2 and scripts[0] == scripts[1] != []
