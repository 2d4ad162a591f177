"""The Krita panel without Krita or a screen: what it shows of a studio, and what it asks of it.

Under PyQt6, or PyQt5 with `SCUMBLE_QT=5`; the last test runs this file with the other one.
"""

# ruff: noqa: E402 - the widgets can be imported only where there is a Qt
import ast
import dataclasses
import importlib
import os
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("SCUMBLE_QT", "6")
VERSION = os.environ["SCUMBLE_QT"]


def _qt_or_skip():
    try:
        importlib.import_module(f"PyQt{VERSION}.QtWidgets")
    except ImportError as error:
        pytest.skip(f"PyQt{VERSION} cannot be loaded: {error}", allow_module_level=True)


_qt_or_skip()

import fake_studio
import plugins
from fake_studio import FakeStudio, LinkError, StyleRow, picture, result, running, training

plugins.krita()
from krita_scumble import files, status_bar, widget
from krita_scumble.link import text as texts
from krita_scumble.link.colors import contrast
from krita_scumble.link.fields import CONTROLS, FIELDS
from krita_scumble.link.settings import Settings
from krita_scumble.link.studio import PresetChoice, Status
from krita_scumble.link.tickets import Stage, Ticket
from krita_scumble.link.topics import Topic
from krita_scumble.look import decode
from krita_scumble.panel import Panel
from krita_scumble.qt import Qt, QtCore, QtGui, QtLoop, QtWidgets

QtTest = importlib.import_module(f"PyQt{VERSION}.QtTest")
QTest = QtTest.QTest
FOLDER = plugins.PLUGINS / "krita" / "scumble"
TWO = (StyleRow("library:night", "Swirling night"), StyleRow("library:glass", "Stained glass", 60, "mask-1", "Sky"))


@pytest.fixture(scope="module")
def app():
    app = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["tests"])
    app.setStyle("Fusion")
    font = app.font()
    font.setPointSizeF(9)
    app.setFont(font)
    return app


@pytest.fixture
def studio():
    return FakeStudio(settings=Settings(styles=TWO))


@pytest.fixture
def panel(app, studio):
    made = Panel(studio)
    made.resize(300, 900)
    made.show()
    QTest.qWaitForWindowExposed(made)
    app.processEvents()
    studio.asked.clear()
    yield made
    made.hide()
    made.deleteLater()
    app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    app.processEvents()
    # a mistake in a slot is told to the studio; a test that expects one clears it
    for error in studio.reported:
        raise error


def find(panel, name, kind=None):
    found = panel.findChild(kind or QtWidgets.QWidget, name)
    assert found is not None, name
    return found


def click(button):
    assert button.isEnabled(), button.objectName()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    QtWidgets.QApplication.processEvents()


def type_into(line, text):
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, text)


def changes(studio):
    """What was asked to be changed, name by name: the last value of each."""
    found = {}
    for what, *values in studio.asked:
        if what == "change":
            found.update(values[0])
    return found


def wheel(widget, steps=1):
    place = QtCore.QPointF(widget.rect().center())
    event = QtGui.QWheelEvent(
        place,
        QtCore.QPointF(widget.mapToGlobal(place.toPoint())),
        QtCore.QPoint(),
        QtCore.QPoint(0, 120 * steps),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QtWidgets.QApplication.sendEvent(widget, event)
    return event.isAccepted()


def choose(combo, value):
    """Choose as a user does."""
    index = next(index for index in range(combo.count()) if combo.itemData(index) == value)
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def menu_entry(owner, name):
    owner.menu().aboutToShow.emit()
    entries = {each.objectName(): each for each in owner.menu().actions()}
    return entries[name]


# ---------------------------------------------------------------------------------------------------------- all of it


def test_every_control_has_a_name_a_tooltip_and_words_for_a_screen_reader(panel):
    panel.more.set_open(True)
    kinds = (
        QtWidgets.QAbstractButton,
        QtWidgets.QAbstractSpinBox,
        QtWidgets.QAbstractSlider,
        QtWidgets.QComboBox,
        QtWidgets.QLineEdit,
    )
    seen = []
    for kind in kinds:
        for each in panel.findChildren(kind):
            is_inner = each.objectName().startswith("qt_") or isinstance(
                each.parentWidget(), QtWidgets.QAbstractSpinBox | QtWidgets.QComboBox | QtWidgets.QAbstractScrollArea
            )
            if is_inner or isinstance(each, QtWidgets.QScrollBar) or each.objectName() == "preset-ok":
                continue
            assert each.objectName(), each
            seen.append(each.objectName())
            if each.objectName() not in ("results-head",):
                assert each.toolTip(), each.objectName()
                assert each.accessibleName(), each.objectName()
    assert len(seen) == len(set(seen))
    assert {"stylise", "stop", "keep", "strength", "style-0-weight", "style-1-region", "help", "status"} <= set(seen)


@pytest.mark.parametrize("width", [260, 700])
def test_it_is_usable_at_any_width_without_scrolling_sideways(panel, studio, app, width):
    studio.set(
        *Topic,
        tickets=(running(preview=picture(300, 200)), Ticket(2, "W" * 60)),
        trainings=(training(preview=picture(300, 200), name="T" * 60), training(8)),
        models={"/" + "n" * 90: "n", TWO[0].source: "night"},
        results=tuple(result(n) for n in range(1, 8)),
        error=LinkError("unreachable", f"/home/{'x' * 80}/{'y' * 80} is not there"),
        why_not=LinkError("missing-style", "The file " + "z" * 90 + " is gone."),
        area_line="Selection " + "8" * 70,
        settings=Settings(styles=(StyleRow("/" + "n" * 90, "n" * 90, 50, "gone", "r" * 90), *TWO), quality="custom"),
        status=Status("error", "e" * 200),
    )
    panel.more.set_open(True)
    panel.message.details.setChecked(True)
    panel.resize(width, 900)
    for _ in range(3):
        app.processEvents()
    assert panel.minimumSizeHint().width() <= 260
    assert panel.width() == width
    right = panel.scroll.viewport().width()
    assert panel.scroll.widget().width() <= right
    for each in panel.scroll.widget().findChildren(QtWidgets.QWidget):
        if each.isVisible() and each.parentWidget() is not None:
            edge = each.mapTo(panel.scroll.widget(), QtCore.QPoint(each.width(), 0)).x()
            assert edge <= right, each.objectName() or each


def test_the_main_controls_stand_in_the_order_of_the_manual(panel):
    names = (
        "preset",
        "style-0-weight",
        "strength",
        "stroke-scale",
        "keep-colors",
        "quality",
        "area",
        "feather",
        "result",
    )
    heights = [
        find(panel, name).mapTo(panel, QtCore.QPoint(0, 0)).y() for name in (*names, "more", "stylise", "status")
    ]
    assert heights == sorted(heights)


def test_the_tab_key_goes_through_the_controls_from_top_to_bottom(panel, studio, app):
    panel.activateWindow()
    studio.set(Topic.SETTINGS, settings=Settings(styles=TWO[:1]))
    studio.set(Topic.SETTINGS, settings=Settings(styles=TWO))
    app.processEvents()
    find(panel, "preset").setFocus()
    seen = []
    while app.focusWidget() is not None and app.focusWidget().objectName() not in seen and len(seen) < 60:
        seen.append(app.focusWidget().objectName())
        panel.focusNextChild()
    wanted = [
        "preset",
        "style-0-weight",
        "style-0-region",
        "style-1-weight",
        "add-style",
        "strength-slider",
        "strength",
    ]
    wanted += [
        "keep-colors",
        "quality",
        "area",
        "feather",
        "feather-auto",
        "result",
        "more",
        "stylise",
        "variations",
        "status",
    ]
    assert [name for name in seen if name in wanted] == wanted


def test_keys_that_are_the_panels_do_not_reach_the_hosts_shortcuts(panel, studio, app):
    reached = []
    for key in ("Tab", "Shift+Backtab", "Del", "Return", "Esc", "F9"):
        shortcut = getattr(QtGui, "QShortcut", None) or QtWidgets.QShortcut
        made = shortcut(QtGui.QKeySequence(key), panel)
        made.activated.connect(lambda key=key: reached.append(key))
    studio.set(Topic.RESULTS, results=(result(1),))
    click(find(panel, "preset-save"))
    panel.activateWindow()
    app.processEvents()
    for name, key in (("quality", "Tab"), ("results", "Delete"), ("results", "Return"), ("preset-name", "Escape")):
        widget = find(panel, name)
        widget.setFocus()
        QTest.keyClick(widget, getattr(Qt.Key, f"Key_{key}"))
    assert reached == []
    # others do, or this would show nothing
    QTest.keyClick(find(panel, "quality"), Qt.Key.Key_F9)
    assert reached == ["F9"]
    assert [name for name, *_ in studio.asked] == ["discard", "toggle"]


def test_no_text_has_a_mnemonic(panel):
    for button in panel.findChildren(QtWidgets.QAbstractButton):
        assert "&" not in button.text().replace("&&", ""), button.text()
    assert find(panel, "keep").text() == "Stop && keep"


def test_the_wheel_changes_nothing_until_a_control_has_the_focus(panel, studio, app):
    panel.activateWindow()
    find(panel, "stylise").setFocus()
    for name in (
        "strength",
        "strength-slider",
        "stroke-scale",
        "quality",
        "style-0-weight",
        "style-0-region",
        "feather",
    ):
        assert not wheel(find(panel, name)), name
    assert studio.asked == []
    strength = find(panel, "strength")
    strength.setFocus()
    assert wheel(strength)
    assert changes(studio) == {"strength": 61}


def test_it_listens_no_more_when_it_is_gone(app, studio):
    made = Panel(studio)
    made.deleteLater()
    app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    studio.tell(*Topic)
    assert studio.reported == []
    assert all(not actions for actions in studio._listeners._by_topic.values())


def test_a_mistake_in_a_slot_goes_to_the_studio(panel, studio):
    def wrong():
        raise RuntimeError("that was wrong")

    studio.open_sheet = lambda kind: wrong()
    click(find(panel, "variations"))
    assert [str(error) for error in studio.reported] == ["that was wrong"]
    studio.reported.clear()


def test_it_opens_the_studio_once_and_looks_while_it_is_shown(app, studio, monkeypatch):
    made = Panel(studio)
    made._clock.setInterval(10)
    made.show()
    for _ in range(20):
        app.processEvents()
        time.sleep(0.005)
    names = [name for name, *_ in studio.asked]
    assert names.count("open") == 1
    assert names.count("look") >= 2
    made.hide()
    studio.asked.clear()
    time.sleep(0.03)
    app.processEvents()
    assert studio.asked == []
    made.show()
    app.processEvents()
    assert ("open",) not in studio.asked
    made.deleteLater()
    app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


# ---------------------------------------------------------------------------------------------------------- controls


@pytest.mark.parametrize(("name", "value"), [("strength", 83), ("stroke_scale", 237)])
def test_numbers_can_be_typed(panel, studio, name, value):
    spin = find(panel, name.replace("_", "-"))
    type_into(spin, str(value))
    assert changes(studio) == {name: value}
    assert (spin.minimum(), spin.maximum()) == (CONTROLS[name].low, CONTROLS[name].high)


def test_the_sliders_reach_all_values_and_the_middle_of_the_stroke_scale_is_100(panel, studio):
    slider = find(panel, "stroke-scale-slider")
    for place, value in ((slider.minimum(), 25), (slider.maximum(), 400), ((slider.maximum()) // 2, 100)):
        slider.setValue(place)
        assert studio.settings.stroke_scale == value
    strength = find(panel, "strength-slider")
    strength.setValue(0)
    assert studio.settings.strength == 0
    strength.setValue(strength.maximum())
    assert studio.settings.strength == 100


def test_a_typed_number_moves_the_slider_but_the_slider_does_not_round_it(panel, studio):
    type_into(find(panel, "stroke-scale"), "237")
    assert find(panel, "stroke-scale").value() == 237
    assert studio.settings.stroke_scale == 237
    slider = find(panel, "stroke-scale-slider")
    # 237 % is log(237/25) / log(16) of the way
    assert slider.value() / slider.maximum() == pytest.approx(0.811, abs=0.01)


@pytest.mark.parametrize("name", ["keep_colors", "quality", "area", "result"])
def test_choices_have_the_words_of_the_design_and_set_their_values(panel, studio, name):
    words = {
        "keep_colors": ["Off", "Luminance", "Match palette"],
        "quality": ["Draft", "Normal", "Fine", "Custom"],
        "area": ["Selection", "Whole layer"],
        "result": ["New layer", "New layer + mask"],
    }
    combo = find(panel, name.replace("_", "-"))
    assert [combo.itemText(index) for index in range(combo.count())] == words[name]
    for index in reversed(range(combo.count())):
        choose(combo, combo.itemData(index))
        assert getattr(studio.settings, name) == combo.itemData(index)


def test_showing_settings_asks_for_nothing(panel, studio):
    other = Settings(TWO[:1], 10, 50, "match", "custom", 700, "80, 50", "layer", 12, "layer", more={"seed": 5})
    studio.set(*Topic, settings=other)
    panel.more.set_open(True)
    studio.set(*Topic, settings=Settings(styles=TWO))
    assert studio.asked == []
    studio.set(*Topic, settings=other)
    shown = {name: find(panel, name).value() for name in ("strength", "stroke-scale", "size", "feather")}
    assert shown == {"strength": 10, "stroke-scale": 50, "size": 700, "feather": 12}
    assert find(panel, "iterations").text() == "80, 50"
    assert find(panel, "quality").currentText() == "Custom"


def test_custom_opens_size_and_iterations(panel, studio):
    assert not find(panel, "size").isVisible()
    assert not find(panel, "iterations").isVisible()
    choose(find(panel, "quality"), "custom")
    assert find(panel, "size").isVisible()
    assert find(panel, "iterations").isVisible()
    type_into(find(panel, "iterations"), "80, 50")
    assert studio.settings.iterations == "80, 50"


def test_typing_is_not_disturbed_by_a_refresh(panel, studio, app):
    panel.activateWindow()
    choose(find(panel, "quality"), "custom")
    line = find(panel, "iterations")
    line.setFocus()
    for letter in "80, ":
        QTest.keyClicks(line, letter)
        studio.tell(*Topic)
    assert line.text() == "80, "
    assert line.cursorPosition() == 4
    spin = find(panel, "style-0-weight")
    spin.setFocus()
    spin.selectAll()
    QTest.keyClick(spin, Qt.Key.Key_Backspace)
    row = panel.styles.rows[0]
    studio.tell(*Topic)
    assert spin.lineEdit().text().strip(" %") == ""
    assert panel.styles.rows[0] is row


def test_feather_is_auto_or_a_number(panel, studio):
    spin, auto = find(panel, "feather"), find(panel, "feather-auto")
    assert auto.isChecked()
    assert spin.text() == "Auto"
    type_into(spin, "24")
    assert studio.settings.feather == 24
    assert not auto.isChecked()
    click(auto)
    assert studio.settings.feather is None
    assert spin.text() == "Auto"
    click(auto)
    assert studio.settings.feather == 0
    spin.stepDown()
    assert studio.settings.feather is None


def test_the_area_line_says_what_the_studio_knows(panel, studio):
    line = find(panel, "area-line")
    assert line.text() == "Selection 812 × 640 at 300, 120; works at 512 × 404; about 14 s; 2.1 GB"
    subject = dataclasses.replace(fake_studio.SUBJECT, note="CMYK: colours may shift.")
    studio.set(Topic.SUBJECT, subject=subject)
    assert line.text().splitlines()[1] == "CMYK: colours may shift."
    studio.set(Topic.SUBJECT, subject=None, area_line="")
    assert not line.isVisible()


# ------------------------------------------------------------------------------------------------------------ styles


def test_a_row_shows_its_style_and_changes_it(panel, studio):
    assert find(panel, "style-1-name").text() == "Stained glass"
    assert find(panel, "style-1-weight").value() == 60
    region = find(panel, "style-1-region")
    assert region.currentText() == "Sky"
    words = [region.itemText(index) for index in range(region.count()) if region.itemText(index)]
    assert words[:3] == ["Whole selection", "Sky", "Face"]
    type_into(find(panel, "style-1-weight"), "35")
    choose(region, "layer-2")
    row = studio.settings.styles[1]
    assert (row.weight, row.region) == (35, "layer-2")
    assert row.region_name == "Trees in the far background of the picture"
    assert studio.settings.styles[0] == TWO[0]


def test_a_region_that_is_gone_is_still_named(panel, studio):
    studio.set(Topic.SUBJECT, regions=())
    assert find(panel, "style-1-region").currentText() == "Sky (gone)"
    assert studio.asked == []


def test_the_cross_takes_a_style_away(panel, studio):
    click(find(panel, "style-0-remove"))
    assert [row.name for row in studio.settings.styles] == ["Stained glass"]
    assert find(panel, "style-0-name").text() == "Stained glass"
    assert len(panel.styles.rows) == 1
    click(find(panel, "style-0-remove"))
    assert find(panel, "no-style").isVisible()


def test_there_are_four_styles_at_most(panel, studio):
    studio.set(Topic.SETTINGS, settings=Settings(styles=TWO * 2))
    assert not find(panel, "add-style").isEnabled()
    studio.set(Topic.SETTINGS, settings=Settings(styles=TWO))
    assert find(panel, "add-style").isEnabled()


def test_a_trained_style_has_a_flash(panel, studio):
    flash = find(panel, "style-1-flash")
    assert not flash.isVisible()
    studio.set(Topic.TRAINED, models={"library:glass": "glass"})
    assert flash.isVisible() and not find(panel, "style-0-flash").isVisible()
    assert flash.toolTip() == "Trained: Draft paints with it in an instant."
    studio.set(Topic.SETTINGS, settings=Settings(styles=TWO[::-1]))
    assert find(panel, "style-0-flash").isVisible() and not flash.isVisible()
    studio.set(Topic.TRAINED, models={})
    assert not find(panel, "style-0-flash").isVisible()


@pytest.mark.parametrize("ground", ["#313131", "#d4d4d4"])
def test_a_flash_can_be_told_from_the_window(panel, studio, app, ground):
    studio.set(Topic.TRAINED, models={"library:night": "night"})
    panel.setPalette(QtGui.QPalette(QtGui.QColor(ground)))
    app.processEvents()
    image = find(panel, "style-0-flash").grab().toImage()
    # in the midst of the mark, and in its corner, where there is none
    places = ((image.width() // 2, image.height() // 2), (0, 0))
    flash, window = ((each.red(), each.green(), each.blue()) for each in (image.pixelColor(*at) for at in places))
    assert contrast(flash, window) >= 3
    assert flash[0] > flash[1] > flash[2], "amber"


def test_the_menu_of_a_style_trains_and_forgets_it(panel, studio):
    menu = find(panel, "style-1-menu")
    menu_entry(menu, "style-1-train").trigger()
    assert studio.asked == [("train_style", 1)]
    assert len(menu.menu().actions()) == 1
    studio.set(Topic.TRAINED, models={"library:glass": "glass"})
    menu_entry(menu, "style-1-forget").trigger()
    assert studio.asked[1:] == [("forget_trained", 1)]
    studio.set(Topic.TRAINED, learning={"library:glass"})
    assert not menu_entry(menu, "style-1-train").isEnabled()
    assert menu_entry(find(panel, "style-0-menu"), "style-0-train").isEnabled()


def test_the_engine_stands_under_more(panel, studio):
    panel.more.set_open(True)
    engine = find(panel, "more-engine")
    assert engine.currentText() == "Auto"
    choose(engine, "fast")
    assert changes(studio)["more"] == {"engine": "fast"}
    choose(engine, None)
    assert changes(studio)["more"] == {}


def test_the_button_hears_of_what_is_trained(panel, studio):
    studio.set(Topic.TRAINED, why_not=LinkError("missing-model", "The style glass is not trained."))
    assert not find(panel, "stylise").isEnabled()
    assert find(panel, "why-not").text().startswith("The style glass is not trained.")
    studio.set(Topic.TRAINED, why_not=None)
    assert find(panel, "stylise").isEnabled()


def test_a_missing_file_has_a_red_border_until_it_is_back(panel, studio, tmp_path, app):
    path = tmp_path / "style.png"
    studio.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow(str(path), "style"),)))
    thumbnail = find(panel, "style-0-thumbnail")

    def edge():
        color = thumbnail.grab().toImage().pixelColor(1, 20)
        return color.red() - max(color.green(), color.blue())

    assert edge() > 80
    assert str(path) in thumbnail.toolTip()
    path.write_bytes(picture())
    studio.pictures[str(path)] = picture()
    panel.look()
    assert edge() < 40
    assert thumbnail.has_picture


def test_a_thumbnail_that_comes_late_goes_to_the_style_that_it_belongs_to(panel, studio):
    asked = []
    studio.thumbnail = lambda source, on_bytes: asked.append((source, on_bytes))
    studio.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow("library:a", "A"),)))
    studio.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow("library:b", "B"),)))
    thumbnail = find(panel, "style-0-thumbnail")
    assert [source for source, _ in asked] == ["library:a", "library:b"]
    asked[0][1](picture())
    assert not thumbnail.has_picture
    asked[1][1](picture())
    assert thumbnail.has_picture
    studio.set(Topic.SETTINGS, settings=Settings(styles=()))
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    asked[1][1](picture())


def test_a_large_picture_is_read_on_another_thread(panel, studio, app, monkeypatch):
    from krita_scumble import look

    threads = []
    plain = look.decode
    monkeypatch.setattr(look, "decode", lambda *given: threads.append(threading.current_thread()) or plain(*given))
    thumbnail = find(panel, "style-0-thumbnail")
    thumbnail.show_picture(picture() + bytes(look._SMALL), "x")
    assert not thumbnail.has_picture
    end = time.monotonic() + 5
    while not thumbnail.has_picture and time.monotonic() < end:
        app.processEvents()
    assert thumbnail.has_picture
    assert threads[0] is not threading.main_thread()


def test_styles_are_added_from_everywhere(panel, studio, monkeypatch):
    add = find(panel, "add-style")
    menu_entry(add, "add-from-clipboard").trigger()
    layers = find(add.menu(), "add-from-layer", QtWidgets.QMenu)
    assert [entry.text() for entry in layers.actions()] == ["Background – Lake.kra", "Sketch && ink – Other.kra"]
    layers.actions()[1].trigger()
    monkeypatch.setattr(
        "krita_scumble.style_rows.choose_pictures", lambda parent, studio, on_paths: on_paths(["/a.png"])
    )
    menu_entry(add, "add-from-file").trigger()
    assert studio.asked == [("add_style_clipboard",), ("add_style_layer", "layer-9"), ("add_style_file", "/a.png")]


def test_the_library_is_searched_by_name_and_tag(panel, studio, app):
    menu_entry(find(panel, "add-style"), "add-from-library").trigger()
    popup = find(panel, "library-popup")
    search, grid = find(popup, "library-search"), find(popup, "library-list")
    assert grid.count() == 5
    assert not grid.item(0).icon().isNull()

    def found():
        return [grid.item(index).text() for index in range(grid.count()) if not grid.item(index).isHidden()]

    search.setText("blue")
    assert found() == ["Swirling night", "Tides"]
    search.setText("OIL night")
    assert found() == ["Swirling night"]
    QTest.keyClick(search, Qt.Key.Key_Return)
    assert studio.asked == [("add_style_library", fake_studio.LIBRARY[0])]


def drop(panel, data):
    place = QtCore.QPointF(50, 50) if VERSION == "6" else QtCore.QPoint(50, 50)
    given = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QtGui.QDragEnterEvent(QtCore.QPoint(50, 50), *given)
    QtWidgets.QApplication.sendEvent(panel, enter)
    is_shown = find(panel, "drop-border").isVisible()
    if enter.isAccepted():
        QtWidgets.QApplication.sendEvent(panel, QtGui.QDropEvent(place, *given))
    return enter.isAccepted(), is_shown


def test_files_and_pictures_are_dropped_on_the_panel(panel, studio, tmp_path):
    path = tmp_path / "a picture.png"
    path.write_bytes(picture())
    data = QtCore.QMimeData()
    data.setUrls([QtCore.QUrl.fromLocalFile(str(path)), QtCore.QUrl("https://example.org/b.png")])
    assert drop(panel, data) == (True, True)
    assert studio.asked == [("add_style_file", str(path))]
    assert not find(panel, "drop-border").isVisible()

    studio.asked.clear()
    data = QtCore.QMimeData()
    data.setImageData(decode(picture(20, 10)))
    assert drop(panel, data)[0]
    (what, png, name), *_ = studio.asked
    assert (what, name) == ("add_style_picture", "Dropped picture")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (decode(png).width(), decode(png).height()) == (20, 10)

    text = QtCore.QMimeData()
    text.setText("no picture")
    assert drop(panel, text) == (False, False)


# --------------------------------------------------------------------------------------------------------------- run


def test_the_button_paints_and_says_why_it_is_off(panel, studio):
    click(find(panel, "stylise"))
    assert studio.asked == [("run",)]
    why = LinkError("missing-style", "The picture of the style gone is not there.", "Choose it anew.")
    studio.set(Topic.SETTINGS, why_not=why)
    assert not find(panel, "stylise").isEnabled()
    assert find(panel, "why-not").text() == "The picture of the style gone is not there. Choose it anew."
    assert find(panel, "why-not").isVisible()
    studio.set(Topic.SUBJECT, why_not=None)
    assert find(panel, "stylise").isEnabled()
    assert not find(panel, "why-not").isVisible()


def test_a_run_shows_progress_with_the_time_left_and_a_picture(panel, studio, app):
    assert not find(panel, "progress").isVisible()
    studio.set(Topic.RUNS, tickets=(running(share=0.45, preview=picture(400, 200)),))
    bar = find(panel, "progress")
    assert bar.isVisible()
    assert bar.value() / bar.maximum() == pytest.approx(0.45, abs=0.002)
    assert bar.text() == "45 %"
    assert "12 s" in find(panel, "progress-line").text()
    preview = find(panel, "preview")
    app.processEvents()
    assert preview.isVisible()
    # as wide as the panel lets it, in its own proportions
    assert preview.height() == pytest.approx(preview.width() / 2, abs=1)
    studio.set(Topic.RUNS, tickets=(running(share=0.5, preview=picture(100, 2000)),))
    studio.tickets[0].preview_number = 2
    studio.tell(Topic.RUNS)
    app.processEvents()
    assert preview.height() == 300
    studio.set(Topic.RUNS, tickets=())
    assert not bar.isVisible()
    assert find(panel, "stylise").text() == "Stylise"


def test_before_the_daemon_paints_the_bar_only_says_that_something_goes_on(panel, studio):
    studio.set(Topic.RUNS, tickets=(Ticket(1, "Tides 60", stage=Stage.STARTING),))
    bar = find(panel, "progress")
    assert (bar.minimum(), bar.maximum()) == (0, 0)
    assert "Starting…" in find(panel, "progress-line").text()
    assert find(panel, "stop").isEnabled()
    assert not find(panel, "keep").isEnabled()


def test_stop_and_stop_and_keep(panel, studio):
    ticket = running()
    studio.set(Topic.RUNS, tickets=(ticket,))
    click(find(panel, "stop"))
    click(find(panel, "keep"))
    assert studio.asked == [("stop", ticket, False), ("stop", ticket, True)]
    ticket.is_stopping = True
    studio.tell(Topic.RUNS)
    assert not find(panel, "stop").isEnabled()
    assert not find(panel, "keep").isEnabled()


def test_more_clicks_queue_up_and_are_taken_back_one_by_one(panel, studio):
    tickets = (running(1), Ticket(2, "Second 60"), Ticket(3, "Third 60"))
    studio.set(Topic.RUNS, tickets=tickets)
    assert find(panel, "stylise").text() == "Stylise (queue)"
    click(find(panel, "stylise"))
    assert studio.asked == [("run",)]
    click(find(panel, "queue-2-withdraw"))
    assert studio.asked[1:] == [("withdraw", tickets[2])]
    studio.set(Topic.RUNS, tickets=tickets[:2])
    assert panel.findChild(QtWidgets.QWidget, "queue-2-withdraw") is None
    click(find(panel, "queue-1-withdraw"))
    assert studio.asked[2:] == [("withdraw", tickets[1])]


def test_a_training_has_a_progress_of_its_own(panel, studio, app):
    assert not find(panel, "training-progress").isVisible()
    ticket = training(share=0.3, preview=picture(300, 200))
    studio.set(Topic.RUNS, trainings=(ticket,))
    app.processEvents()
    assert find(panel, "training-progress").text() == "30 %"
    words = "Training Stained glass\nLearning: 600 of 2000, about 9 min left"
    assert find(panel, "training-progress-line").text() == words
    assert find(panel, "training-preview").isVisible()
    assert 24 <= find(panel, "training-preview").height() <= 140
    assert not find(panel, "progress").isVisible()
    assert find(panel, "stylise").text() == "Stylise", "it is in nobody's way"
    click(find(panel, "training-stop"))
    click(find(panel, "training-keep"))
    assert studio.asked == [("stop", ticket, False), ("stop", ticket, True)]
    other = training(8, name="Woodcut", source="library:woodcut")
    studio.set(Topic.RUNS, tickets=(running(),), trainings=(ticket, other))
    app.processEvents()
    assert find(panel, "progress").isVisible() and find(panel, "training-progress").isVisible()
    assert not find(panel, "training-preview").isVisible(), "one picture is enough"
    click(find(panel, "queue-1-withdraw"))
    assert studio.asked[2:] == [("withdraw", other)]
    studio.set(Topic.RUNS, tickets=(), trainings=())
    assert not find(panel, "training-progress").isVisible()


def test_warnings_stand_under_the_progress(panel, studio):
    studio.set(Topic.RUNS, tickets=(running(warnings=("Out of memory; the size is 384.",)),))
    assert "Out of memory; the size is 384." in find(panel, "warnings").text()
    assert find(panel, "warnings").isVisible()


# --------------------------------------------------------------------------------------------------- message, status


def test_an_error_stands_in_the_panel_with_its_fix_and_details(panel, studio, app):
    assert not find(panel, "message").isVisible()
    error = LinkError("out-of-memory", "The device has 2 GB, 3 are needed.", "Choose a smaller size.")
    studio.set(Topic.ERROR, error=error)
    assert find(panel, "message-sentence").text() == "The device has 2 GB, 3 are needed."
    assert find(panel, "message-fix").text() == "Choose a smaller size."
    assert not find(panel, "message-report").isVisible()
    click(find(panel, "message-details"))
    assert find(panel, "message-report").isVisible()
    assert "out-of-memory" in find(panel, "message-report").toPlainText()
    click(find(panel, "message-copy"))
    assert app.clipboard().text() == error.report
    click(find(panel, "message-dismiss"))
    assert studio.asked == [("dismiss",)]
    studio.set(Topic.ERROR, error=None)
    assert not find(panel, "message").isVisible()
    assert app.activeModalWidget() is None


def test_a_notice_has_no_details(panel, studio):
    studio.set(Topic.ERROR, notice="The source layer is gone; the result is on top.")
    assert find(panel, "message").isVisible()
    assert not find(panel, "message-details").isVisible()
    assert not find(panel, "message-copy").isVisible()


def test_a_path_in_an_error_may_be_broken_but_is_copied_as_it_is(panel, studio, app):
    path = "/home/marie/" + "long" * 30 + "/file.json"
    studio.set(Topic.ERROR, error=LinkError("missing-file", path))
    assert "\u200b" in find(panel, "message-sentence").text()
    assert find(panel, "message-sentence").text().replace("\u200b", "") == path
    assert "\u200b" not in find(panel, "message-report").toPlainText()


def test_the_dot_says_how_the_daemon_stands(panel, studio, app):
    def dot():
        color = find(panel, "status").icon().pixmap(14, 10).toImage().pixelColor(5, 5)
        return color.red(), color.green(), color.blue()

    seen = {}
    for name in ("starting", "ready", "running", "error", "down"):
        studio.set(Topic.STATUS, status=Status(name, f"It is {name}"))
        seen[name] = dot()
        assert name in find(panel, "status").accessibleName()
    red, green = seen["error"], seen["ready"]
    assert red[0] > 1.5 * max(red[1:])
    assert green[1] > 1.5 * max(green[0], green[2])
    assert len(set(seen.values())) == 5


def test_a_click_on_the_status_opens_what_is_known(panel, studio, app, monkeypatch):
    opened = []
    monkeypatch.setattr(status_bar, "open_path", opened.append)
    click(find(panel, "status"))
    popup = find(panel, "status-popup")
    assert popup.isVisible()
    assert find(popup, "status-version").text() == "0.1.0"
    assert find(popup, "status-device").text() == "AMD Ryzen 7, 8 cores"
    assert find(popup, "status-memory").text() == "9.6 GB free"
    assert find(popup, "status-features").text() == "embedded"
    studio.checks = (Check("found", True, "it is there"), Check("paint", False, "it is not"))
    click(find(popup, "self-test"))
    assert find(popup, "self-test-result").text().splitlines() == ["✓ found: it is there", "✕ paint: it is not"]
    studio.self_test = lambda on_checks: None
    click(find(popup, "self-test"))
    assert find(popup, "self-test-result").text() == "Testing…"
    studio.set(Topic.ERROR, error=LinkError("no-daemon", "It does not run.", "Start it."))
    assert find(popup, "self-test-result").text() == "It does not run. Start it."
    click(find(popup, "diagnostics-copy"))
    assert app.clipboard().text() == studio.diagnostics()
    click(find(popup, "log-open"))
    assert opened == [studio.log_folder()]
    click(find(popup, "daemon-restart"))
    assert studio.asked[-1] == ("restart_daemon",)
    studio.set(Topic.STATUS, health=None)
    click(find(popup, "daemon-restart"))
    assert studio.asked[-1] == ("start_daemon",)
    popup.close()


@dataclasses.dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    text: str


def test_help_opens_the_manual_that_krita_knows_too(panel, monkeypatch):
    opened = []
    monkeypatch.setattr(status_bar, "open_path", opened.append)
    click(find(panel, "help"))
    assert opened[0].is_file()
    desktop = (FOLDER.parent / "scumble.desktop").read_text("utf-8")
    assert f"X-Krita-Manual={opened[0].name}" in desktop


def test_help_opens_the_german_manual_where_german_is_shown(panel, monkeypatch):
    opened = []
    monkeypatch.setattr(status_bar, "open_path", opened.append)
    texts.use("de_DE")
    try:
        click(find(panel, "help"))
        assert [path.name for path in opened] == ["manual.de.html"]
        assert opened[0].is_file()
        monkeypatch.setitem(texts._SHOWN, "manual.html", "manual.nowhere.html")
        click(find(panel, "help"))
        assert opened[1].name == "manual.html"
    finally:
        texts.use("en")


# ----------------------------------------------------------------------------------------------------------- results


def test_the_results_are_shown_newest_first_and_the_newest_is_chosen(panel, studio):
    assert not find(panel, "results").isVisible()
    studio.set(Topic.RESULTS, results=(result(1),))
    assert panel.results.chosen.number == 1
    studio.set(Topic.RESULTS, results=(result(2), result(1)))
    assert panel.results.chosen.number == 2
    find(panel, "results").setCurrentRow(1)
    studio.set(Topic.RESULTS, results=(result(3), result(2), result(1)))
    assert panel.results.chosen.number == 1
    studio.set(Topic.RESULTS, results=(result(3), result(2)))
    assert panel.results.chosen.number == 2
    assert find(panel, "results-head").text() == "Results (2)"


def test_a_result_can_be_used_in_six_ways(panel, studio, monkeypatch):
    monkeypatch.setattr(
        "krita_scumble.result_list.save_png", lambda parent, studio, name, on_path: on_path(f"/{name}.png")
    )
    one = result(1)
    studio.set(Topic.RESULTS, results=(result(2), one))
    find(panel, "results").setCurrentRow(1)
    for name in ("toggle", "add-again", "use-settings", "go-on", "save", "discard"):
        click(find(panel, f"result-{name}"))
    assert studio.asked == [
        ("toggle", one),
        ("add_again", one),
        ("use_settings", one),
        ("go_on", one),
        ("save", one, "/Swirling night 60.png"),
        ("discard", one),
    ]


def test_results_are_reached_with_the_keyboard_and_a_context_menu(panel, studio, app):
    one = result(1)
    studio.set(Topic.RESULTS, results=(one,))
    grid = find(panel, "results")
    grid.setFocus()
    QTest.keyClick(grid, Qt.Key.Key_Return)
    QTest.keyClick(grid, Qt.Key.Key_Delete)
    assert studio.asked == [("toggle", one), ("discard", one)]
    grid.customContextMenuRequested.emit(QtCore.QPoint(20, 20))
    menu = find(panel, "result-menu", QtWidgets.QMenu)
    words = [entry.text() for entry in menu.actions()]
    assert words == ["Show/hide", "Add again", "Use these settings", "Go on", "Save as PNG…", "Discard"]
    menu.close()


def test_a_hidden_result_is_dimmed_and_one_whose_layer_is_gone_cannot_be_shown(panel, studio, app):
    studio.visible = {1: True}
    studio.set(Topic.RESULTS, results=(result(1, thumbnail=picture(64, 64, (255, 0, 0))),))

    def red():
        grid = find(panel, "results")
        image = grid.viewport().grab().toImage()
        middle = grid.visualItemRect(grid.item(0)).center()
        return image.pixelColor(middle.x() - 10, middle.y())

    shown = red()
    studio.visible = {1: False}
    studio.tell(Topic.RESULTS)
    hidden = red()
    assert shown.red() - shown.green() > 200
    assert 30 < hidden.red() - hidden.green() < 150
    assert find(panel, "result-toggle").isEnabled()
    studio.visible = {1: None}
    panel.results.look()
    assert not find(panel, "result-toggle").isEnabled()
    assert "gone" in find(panel, "result-about").text()


def test_a_thumbnail_that_comes_later_is_shown(panel, studio):
    studio.set(Topic.RESULTS, results=(result(1, thumbnail=b""),))
    assert find(panel, "results").item(0).icon().isNull()
    studio.set(Topic.RESULTS, results=(result(1),))
    assert not find(panel, "results").item(0).icon().isNull()


# ----------------------------------------------------------------------------------------------------------- presets


def test_presets_are_used_saved_renamed_and_deleted(panel, studio):
    combo = find(panel, "preset")
    words = [combo.itemText(index) for index in range(combo.count()) if combo.itemText(index)]
    assert words == ["No preset", "My own", "Draft", "Gatys 2016"]
    choose(combo, "gatys-2016")
    click(find(panel, "preset-save"))
    name = find(panel, "preset-name")
    assert name.isVisible()
    name.setText("  Evening sky ")
    click(find(panel, "preset-ok"))
    assert not name.isVisible()
    assert studio.asked == [("use_preset", "gatys-2016"), ("save_preset", "Evening sky")]

    menu = find(panel, "preset-menu")
    for name_of_none in ("", "draft"):
        studio.set(Topic.SETTINGS, settings=Settings(preset=name_of_none))
        assert not menu_entry(menu, "preset-rename").isEnabled()
        assert not menu_entry(menu, "preset-delete").isEnabled()
    studio.set(Topic.SETTINGS, settings=Settings(preset="My own"))
    assert combo.currentText() == "My own"
    studio.asked.clear()
    menu_entry(menu, "preset-rename").trigger()
    name.setText("Mine")
    QTest.keyClick(name, Qt.Key.Key_Return)
    menu_entry(menu, "preset-delete").trigger()
    assert not name.isVisible()
    click(find(panel, "preset-ok"))
    assert studio.asked == [("rename_preset", "My own", "Mine"), ("delete_preset", "My own")]


def test_a_name_is_needed_and_a_question_can_be_left(panel, studio):
    click(find(panel, "preset-save"))
    find(panel, "preset-name").setText("   ")
    assert not find(panel, "preset-ok").isEnabled()
    click(find(panel, "preset-cancel"))
    assert not find(panel, "preset-name").isVisible()
    click(find(panel, "preset-save"))
    QTest.keyClick(find(panel, "preset-name"), Qt.Key.Key_Escape)
    assert not find(panel, "preset-name").isVisible()
    assert studio.asked == []


def test_the_preset_menu_resets_and_takes_the_layers_settings(panel, studio):
    menu = find(panel, "preset-menu")
    menu_entry(menu, "reset").trigger()
    menu_entry(menu, "use-layer-recipe").trigger()
    assert studio.asked == [("reset",), ("use_layer_recipe",)]
    studio.has_layer_recipe = False
    assert not menu_entry(menu, "use-layer-recipe").isEnabled()


def test_presets_that_come_later_have_their_thumbnails(panel, studio):
    own = PresetChoice("x", "X & Y", "What it does.", True, picture())
    studio.set(Topic.PRESETS, presets=(own,), settings=Settings(preset="x"))
    combo = find(panel, "preset")
    assert combo.currentText() == "X & Y"
    assert not combo.itemIcon(combo.currentIndex()).isNull()
    assert combo.toolTip() == "What it does."
    assert studio.asked == []


# -------------------------------------------------------------------------------------------------------------- more


def test_more_has_every_field_and_sets_it_as_the_recipe_takes_it(panel, studio, app):
    panel.more.set_open(True)
    for field in FIELDS:
        find(panel, f"more-{field.name.replace('_', '-')}")
    type_into(find(panel, "more-content-weight"), "2,5")
    type_into(find(panel, "more-seed"), str(2**63 - 1))
    type_into(find(panel, "more-style-layers"), "conv1_1, pool3:0.5")
    choose(find(panel, "more-optimizer"), "lbfgs")
    app.processEvents()
    QTest.mouseClick(
        find(panel, "more-chain"),
        Qt.MouseButton.LeftButton,
        pos=QtCore.QPoint(8, find(panel, "more-chain").height() // 2),
    )
    assert studio.settings.more == {
        "content_weight": 2.5,
        "seed": 2**63 - 1,
        "style_layers": {"conv1_1": 1.0, "pool3": 0.5},
        "optimizer": "lbfgs",
        "chain": True,
    }
    assert find(panel, "more").text() == "More (5 changed)"
    click(find(panel, "more-reset"))
    assert studio.settings.more == {}
    assert find(panel, "more-content-weight").text() == ""


def test_more_does_not_take_what_is_wrong_and_says_why(panel, studio):
    panel.more.set_open(True)
    line = find(panel, "more-start-noise")
    usual = line.palette().color(QtGui.QPalette.ColorRole.Text)
    type_into(line, "7")
    assert "start_noise" not in studio.settings.more
    assert line.palette().color(QtGui.QPalette.ColorRole.Text) != usual
    assert "0" in line.toolTip()
    type_into(line, "0.25")
    assert studio.settings.more == {"start_noise": 0.25}
    assert line.palette().color(QtGui.QPalette.ColorRole.Text) == usual
    type_into(line, "0.5")
    # the default is left out
    assert studio.settings.more == {}


def test_more_shows_settings_that_come_from_elsewhere(panel, studio):
    panel.more.set_open(True)
    studio.set(Topic.SETTINGS, settings=Settings(more={"features": "vgg16", "pooling": "max", "style_layers": "all"}))
    assert find(panel, "more-features").currentText() == "vgg16"
    assert find(panel, "more-pooling").currentText() == "Maximum"
    assert find(panel, "more-style-layers").text() == "all"
    assert studio.asked == []


# ------------------------------------------------------------------------------------------------------------- sheet


def test_one_click_makes_a_sheet_and_a_click_in_it_takes_the_settings(panel, studio, app):
    click(find(panel, "variations"))
    assert studio.asked == [("open_sheet", "strength")]
    view = fake_studio.sheet()
    studio.set(Topic.SHEET, sheet=view)
    window = panel.sheets.window
    assert window.isVisible()
    assert not window.isModal()
    assert not find(window, "cell-0-0").icon().isNull()
    assert find(window, "cell-1-2").text() == "Painting…"
    click(find(window, "cell-1-0"))
    assert studio.asked[-1] == ("pick", view.cells[1][0])
    studio.set(Topic.SETTINGS, settings=view.cells[1][0].settings)
    checked = [button.objectName() for row in window.buttons for button in row if button.isChecked()]
    assert checked == ["cell-1-0"]
    studio.set(Topic.SHEET, sheet=fake_studio.sheet(done=9))
    assert panel.sheets.window is window
    assert not find(window, "cell-2-2").icon().isNull()
    window.close()
    assert studio.asked[-1] == ("close_sheet",)


def test_a_sheet_that_the_studio_ends_is_closed_without_asking(panel, studio, app):
    studio.set(Topic.SHEET, sheet=fake_studio.sheet())
    studio.set(Topic.SHEET, sheet=None)
    app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    assert studio.asked == []
    assert panel.sheets.window is None


def test_weights_need_two_styles(panel, studio):
    button = find(panel, "variations")
    assert menu_entry(button, "variations-weights").isEnabled()
    menu_entry(button, "variations-weights").trigger()
    assert studio.asked == [("open_sheet", "weights")]
    studio.set(Topic.SETTINGS, settings=Settings())
    assert not menu_entry(button, "variations-weights").isEnabled()


# ------------------------------------------------------------------------------------------------------------ qt, look


def test_the_loop_delivers_from_any_thread_in_order_on_its_own(app):
    loop, seen = QtLoop(), []
    thread = threading.Thread(
        target=lambda: [loop.deliver(lambda n=n: seen.append((n, threading.current_thread()))) for n in range(50)]
    )
    thread.start()
    thread.join()
    assert seen == []
    app.processEvents()
    assert [number for number, _ in seen] == list(range(50))
    assert {on for _, on in seen} == {threading.current_thread()}


def test_the_loop_waits_and_can_be_called_off(app):
    loop, seen = QtLoop(), []
    loop.after(0.02, lambda: seen.append("late"))
    loop.after(0, lambda: seen.append("soon"))
    call_off = loop.after(0, lambda: seen.append("never"))
    call_off()
    call_off()
    assert seen == []
    end = time.monotonic() + 5
    while len(seen) < 2 and time.monotonic() < end:
        app.processEvents()
    assert seen == ["soon", "late"]


def test_what_an_action_raises_is_told(app):
    told = []
    loop = QtLoop(told.append)
    loop.deliver(lambda: 1 / 0)
    loop.after(0, lambda: {}["x"])
    end = time.monotonic() + 5
    while len(told) < 2 and time.monotonic() < end:
        app.processEvents()
    assert {type(error) for error in told} == {ZeroDivisionError, KeyError}


def test_pictures_are_read_at_the_size_that_is_needed_and_upright(tmp_path):
    assert max(decode(picture(400, 100), 100).width(), 0) == 100
    assert decode(b"no picture").isNull()
    assert decode(None).isNull()


def test_what_is_wrong_stays_readable_in_dark_and_light_themes():
    from krita_scumble.link.colors import contrast
    from krita_scumble.look import signal_color

    for window, text in (("#31363b", "#eff0f1"), ("#d4d4d4", "#2a2a2a"), ("#808080", "#121212")):
        palette = QtGui.QPalette()
        palette.setColor(QtGui.QPalette.ColorRole.Window, QtGui.QColor(window))
        palette.setColor(QtGui.QPalette.ColorRole.WindowText, QtGui.QColor(text))
        assert len({signal_color(palette, name).name() for name in ("red", "amber", "green")}) == 3
        for name in ("red", "amber", "green"):
            shown, ground = signal_color(palette, name), QtGui.QColor(window)
            assert contrast(shown.getRgb()[:3], ground.getRgb()[:3]) >= 3, (window, name)


def test_a_theme_changed_while_it_is_shown_is_followed(panel, app):
    line = find(panel, "area-line")
    before = line.palette().color(QtGui.QPalette.ColorRole.WindowText)
    old = app.palette()
    try:
        dark = QtGui.QPalette(QtGui.QColor("#31363b"))
        app.setPalette(dark)
        app.processEvents()
        after = line.palette().color(QtGui.QPalette.ColorRole.WindowText)
        assert after.lightness() > 128 > before.lightness()
    finally:
        app.setPalette(old)
        app.processEvents()


def test_file_dialogs_are_no_modal_loops_and_name_files_that_can_be(panel, studio, app):
    got = []
    started = time.monotonic()
    files.save_png(panel, studio, 'Night: "sky" 60/1', got.append)
    dialog = find(panel, "save-png", QtWidgets.QFileDialog)
    assert Path(dialog.selectedFiles()[0]).name == "Night_ _sky_ 60_1.png"
    assert time.monotonic() - started < 5
    dialog.fileSelected.emit("/tmp/x.png")
    assert got == ["/tmp/x.png"]
    dialog.reject()


def test_the_docker_shows_a_studio_of_its_own_and_ends_it(app, monkeypatch):
    class Krita:
        @staticmethod
        def instance():
            return Krita

        @staticmethod
        def icon(name):
            return QtGui.QIcon()

    monkeypatch.setitem(sys.modules, "krita", types.SimpleNamespace(DockWidget=QtWidgets.QDockWidget, Krita=Krita))
    monkeypatch.delitem(sys.modules, "krita_scumble.docker", raising=False)
    docker = importlib.import_module("krita_scumble.docker")
    made = []
    monkeypatch.setattr(docker, "KritaCanvas", lambda of: of)
    monkeypatch.setattr(docker, "Studio", lambda canvas, loop: made.append((canvas, loop)) or FakeStudio())
    one, other = docker.ScumbleDocker(), docker.ScumbleDocker()
    assert set(docker.ScumbleDocker.instances()) == {one, other}
    assert made[0][0] is one
    assert isinstance(made[0][1], QtLoop)
    assert one.windowTitle() == "Scumble"
    studio = one.studio
    assert studio is not other.studio
    studio.asked.clear()
    one.canvasChanged(None)
    assert studio.asked == []
    one.come_forward()
    app.processEvents()
    one.canvasChanged(None)
    assert ("look",) in studio.asked
    for each in (one, other):
        each.deleteLater()
    app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    assert docker.ScumbleDocker.instances() == ()
    app.aboutToQuit.emit()
    assert [what for what, *_ in studio.asked].count("close") == 1
    monkeypatch.delitem(sys.modules, "krita_scumble.docker", raising=False)


def test_krita_shows_the_language_that_its_interface_has(monkeypatch):
    krita = types.SimpleNamespace(
        DockWidget=QtWidgets.QDockWidget,
        DockWidgetFactory=lambda *given: given,
        DockWidgetFactoryBase=types.SimpleNamespace(DockRight=2),
        Extension=Host,
        Krita=types.SimpleNamespace(instance=Host),
    )
    monkeypatch.setitem(sys.modules, "krita", krita)
    names = [f"krita_scumble.{name}" for name in ("docker", "extension")]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    extension = importlib.import_module("krita_scumble.extension")
    assert extension.interface_language(["de-Latn-DE", "de", "en"]) == "de-Latn-DE"
    assert extension.interface_language([]) == ""
    before = QtCore.QLocale()
    try:
        # how Krita takes over what was chosen under Switch Application Language
        for chosen, shown in (("de", "Anhalten"), ("en_US", "Stop"), ("de_AT", "Anhalten"), ("fr", "Stop")):
            QtCore.QLocale.setDefault(QtCore.QLocale(chosen))
            extension.register()
            assert texts.tr("Stop") == shown
        # numbers as in Germany, words as in England: what Windows and macOS let one choose
        QtCore.QLocale.setDefault(QtCore.QLocale("de_DE"))
        monkeypatch.setattr(QtCore.QLocale, "uiLanguages", lambda *_: ["en-GB", "de-DE"])
        extension.register()
        assert texts.tr("Stop") == "Stop"
    finally:
        QtCore.QLocale.setDefault(before)
        texts.use("en")
        for name in names:
            sys.modules.pop(name, None)


class Host:
    """Krita, as far as a plug-in is told to it; also what an extension is made from."""

    def __init__(self, parent=None):
        self.parent = parent

    def addExtension(self, extension):  # noqa: N802 - Krita's name
        self.extension = extension

    def addDockWidgetFactory(self, factory):  # noqa: N802 - Krita's name
        self.factory = factory


def test_guarded_keeps_what_a_slot_raises(studio):
    widget.guarded(studio, lambda: [][0])()
    assert isinstance(studio.reported.pop(), IndexError)


# ------------------------------------------------------------------------------------------------------------ the code


def test_one_module_imports_pyqt_and_one_krita():
    found = {}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                found.setdefault(name.split(".")[0], set()).add(path.name)
    assert found["PyQt5"] == found["PyQt6"] == {"qt.py"}


def test_it_runs_with_the_other_qt_too():
    if os.environ.get("SCUMBLE_QT_OTHER"):
        pytest.skip("this is the other one")
    other = {"5": "6", "6": "5"}[VERSION]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", __file__]
    env = {**os.environ, "SCUMBLE_QT": other, "SCUMBLE_QT_OTHER": "1"}
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=env, cwd=root)
    if "cannot be loaded" in done.stdout:
        pytest.skip(f"PyQt{other} cannot be loaded")
    assert done.returncode == 0, done.stdout[-4000:]
