"""Trained styles in the studio: which styles are, what paints with them, how one is learnt and forgotten."""

import hashlib
import os
import threading
import time
import zipfile
from dataclasses import replace

import pytest
from fake_canvas import FakeCanvas
from fake_link import PIXEL, FakeLoop, done, failed, queued, refused, running
from krita_scumble.link import shown, trained
from krita_scumble.link import trainings as trainings_module
from krita_scumble.link.daemon import Lore, Model, Style
from krita_scumble.link.settings import Settings, StyleRow
from krita_scumble.link.studio import Studio
from krita_scumble.link.tickets import Stage
from krita_scumble.link.topics import Topic
from krita_scumble.link.wording import progress_line
from test_link_studio import House

DIGEST = hashlib.sha256(PIXEL).hexdigest()
STARRY = Model("starry", (Lore("starry", DIGEST),))
NIGHT = Style("night", "Swirling night", "library:night", is_bundled=True)
LEARNT_NIGHT = replace(NIGHT, model="night")


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    house = House(tmp_path)
    house.canvas.select(10, 5, 20, 10)
    house.studio.open()
    house.until(lambda: house.studio.library and house.studio.presets and house.studio._watch.models is not None)
    yield house
    house.studio.close()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "starry.png"
    path.write_bytes(PIXEL)
    return path


def have(house, models, library=(NIGHT,)):
    """Let these be what the daemon has, and the studio know it."""
    house.daemon.trained, house.daemon.library = tuple(models), tuple(library)
    house.studio._watch.refresh()
    house.until(lambda: house.studio._watch.models == tuple(models) and house.studio.library == tuple(library))


def model_of(house, row):
    """What the studio knows of a row in the end."""
    house.until(lambda: house.studio.model_of(row) is not None)
    return house.studio.model_of(row)


# ------------------------------------------------------------------------------------------------------- which ones are


def test_a_style_of_the_library_says_it_itself(house):
    row = StyleRow("library:night", "Swirling night")
    assert model_of(house, row) == ""
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    assert model_of(house, row) == "night"
    assert model_of(house, StyleRow("library:other", "Other")) == ""


def test_a_picture_file_is_known_again_by_its_bytes(house, picture, tmp_path):
    row = StyleRow(str(picture), "anything")
    other = tmp_path / "other.png"
    other.write_bytes(PIXEL + b"more")
    have(house, [STARRY])
    assert model_of(house, row) == "starry"
    assert model_of(house, StyleRow(str(other), "starry")) == ""
    assert model_of(house, StyleRow(str(tmp_path / "gone.png"), "gone")) == ""


def test_a_file_with_layers_is_known_by_the_picture_that_is_sent_of_it(house, tmp_path):
    path = tmp_path / "starry.kra"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mergedimage.png", PIXEL)
    have(house, [STARRY])
    assert model_of(house, StyleRow(str(path), "starry")) == "starry"


def test_one_of_several_styles_is_called_by_its_number_and_a_part_is_not_the_picture():
    several = Model("pair", (Lore("a", "0" * 64), Lore("b", DIGEST)))
    assert trained.file_model(DIGEST, [several]) == "pair#2"
    assert trained.file_model(DIGEST, [Model("part", (Lore("a", DIGEST, is_whole=False),))]) == ""
    assert trained.file_model("", [Model("unknown", (Lore("a", ""),))]) == ""


def test_files_are_read_on_another_thread_and_once_until_they_change(house, picture, monkeypatch):
    threads = []
    plain = trained.digest_of
    monkeypatch.setattr(trained, "digest_of", lambda data: threads.append(threading.current_thread()) or plain(data))
    row = StyleRow(str(picture), "starry")
    have(house, [STARRY])
    assert house.studio.model_of(row) is None, "it is not known at once"
    assert model_of(house, row) == "starry"
    for _ in range(5):
        assert house.studio.model_of(row) == "starry"
        time.sleep(0.02)
        house.loop.run()
    assert len(threads) == 1 and threads[0] is not threading.main_thread()
    picture.write_bytes(PIXEL + b"more")
    assert house.studio.model_of(row) == "starry", "what was known, until it has been read"
    house.until(lambda: house.studio.model_of(row) == "")
    assert len(threads) == 2


def test_a_snapshot_that_is_painted_with_stays_trained(house):
    """Its file's time changes with each run."""
    house.studio.take(Settings(styles=(), quality="draft"))
    house.studio.add_style_picture(PIXEL, "Clipboard")
    (row,) = house.studio.settings.styles
    have(house, [STARRY])
    assert model_of(house, row) == "starry"
    os.utime(row.source, (1, 1))
    seen = {house.studio.model_of(row)}
    house.paint()
    seen.add(house.studio.model_of(row))
    assert seen == {"starry"}


def test_nobody_reads_files_where_nothing_is_trained(house, picture, monkeypatch):
    monkeypatch.setattr(trained, "digest_of", lambda data: pytest.fail("it was read"))
    assert house.studio.model_of(StyleRow(str(picture), "starry")) == ""


def test_who_listens_hears_of_it(house, picture):
    row = StyleRow(str(picture), "starry")
    have(house, [STARRY])
    house.told.clear()
    assert house.studio.model_of(row) is None
    house.until(lambda: Topic.TRAINED in house.told)
    assert house.studio.model_of(row) == "starry"


def test_what_is_trained_elsewhere_is_seen_in_time(house):
    house.daemon.trained, house.daemon.library = (Model("night", (Lore("night"),)),), (LEARNT_NIGHT,)
    for _ in range(trainings_module._LOOKS):
        house.studio.look()
    house.until(lambda: house.studio.model_of(StyleRow("library:night", "")) == "night")


# ----------------------------------------------------------------------------------------------------- painting with it


def test_a_draft_with_trained_styles_is_painted_in_one_pass(house, picture):
    have(house, [STARRY], [LEARNT_NIGHT])
    rows = (StyleRow("library:night", "Swirling night"), StyleRow(str(picture), "starry"))
    house.studio.take(Settings(styles=rows, quality="draft"))
    house.paint()
    assert house.studio.error is None
    recipe, _ = house.order
    assert recipe["engine"] == "fast"
    assert [style["picture"] for style in recipe["styles"]] == ["library:night", "style-2"]


@pytest.mark.parametrize(
    "changes", [{"quality": "normal"}, {"quality": "custom"}, {"quality": "draft", "more": {"engine": "optimise"}}]
)
def test_all_else_is_painted_step_by_step(house, changes):
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    house.studio.change(**changes)
    house.paint()
    assert "engine" not in house.order[0]


def test_a_draft_with_a_style_that_is_not_trained_is_painted_step_by_step(house, picture):
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    rows = (StyleRow("library:night", "Swirling night"), StyleRow(str(picture), "starry"))
    house.studio.take(Settings(styles=rows, quality="draft"))
    house.paint()
    assert house.studio.error is None and "engine" not in house.order[0]


def test_what_the_daemon_has_when_it_is_sent_decides(house, picture):
    """Not what was known of it before."""
    have(house, [STARRY])
    row = StyleRow(str(picture), "starry")
    assert model_of(house, row) == "starry"
    house.studio.take(Settings(styles=(row,), quality="draft"))
    house.daemon.trained = ()
    house.paint()
    assert "engine" not in house.order[0]


def test_a_daemon_that_says_nothing_of_models_paints_step_by_step(house):
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    house.studio.change(quality="draft")
    house.loop.run()
    house.daemon.once("models", refused("internal"))
    house.paint()
    assert house.studio.error is None and "engine" not in house.order[0]


@pytest.mark.parametrize(
    ("changes", "engine"),
    [
        ({"quality": "draft"}, "fast"),
        ({"quality": "normal"}, None),
        ({"quality": "draft", "more": {"engine": "optimise"}}, None),
        ({"quality": "normal", "more": {"engine": "fast"}}, "fast"),
    ],
)
def test_variations_are_painted_as_a_run_would_be(house, changes, engine):
    """In one pass where that is, whose strokes are as much smaller as the pictures are."""
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    house.canvas.add("large", 1500, 1000)
    house.studio.change(**changes)
    house.studio.look()
    full = house.studio.settings.working_size()
    house.studio.open_sheet("strength")
    house.until(lambda: all(cell.state == "done" for row in house.studio.sheet.cells for cell in row))
    asked = [each["recipe"] for each in house.daemon.arguments("submit")]
    assert [recipe.get("engine") for recipe in asked] == [engine] * 9
    shrink = 256 / full if engine else 1.0
    scales = [recipe.get("stroke_scale", 1.0) for recipe in asked]
    assert scales == pytest.approx([shrink * scale for scale in (0.5, 1.0, 2.0)] * 3)
    house.studio.close_sheet()


def test_an_engine_that_the_styles_are_not_trained_for_is_said_at_the_button(house, picture):
    house.studio.change(more={"engine": "fast"})
    assert house.studio.why_not.code == "missing-model"
    assert "Swirling night" in house.studio.why_not.detail
    house.studio.run()
    house.loop.run()
    assert house.studio.error.code == "missing-model" and "submit" not in house.daemon.names
    have(house, [STARRY], [LEARNT_NIGHT])
    assert house.studio.why_not is None
    row = StyleRow(str(picture), "starry")
    house.studio.take(Settings(styles=(row,), more={"engine": "fast+optimise"}))
    assert house.studio.why_not is None, "it is not known yet"
    assert model_of(house, row) == "starry"
    house.paint()
    assert house.order[0]["engine"] == "fast+optimise"


def test_the_estimate_is_of_what_would_be_painted(house):
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    house.studio.change(quality="draft")
    house.loop.advance(1)
    house.until(lambda: house.daemon.arguments("estimate")[-1]["recipe"].get("engine") == "fast")
    assert house.daemon.arguments("estimate")[-1]["recipe"]["styles"] == [
        {"picture": "library:night", "model": "night"}
    ]
    house.until(lambda: "about" in house.studio.area_line)
    have(house, [], [NIGHT])
    house.loop.advance(1)
    house.until(lambda: "engine" not in house.daemon.arguments("estimate")[-1]["recipe"])
    house.studio.change(quality="normal")
    house.loop.advance(1)
    house.until(lambda: "quality" not in house.daemon.arguments("estimate")[-1]["recipe"])
    count = house.daemon.names.count("estimate")
    have(house, [STARRY], [LEARNT_NIGHT])
    house.loop.advance(1)
    house.loop.run()
    assert house.daemon.names.count("estimate") == count, "it does not depend on it"


def test_what_was_painted_in_one_pass_goes_on_step_by_step(house):
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    house.studio.change(quality="draft")
    house.paint()
    assert house.studio.results[0].recipe["engine"] == "fast"
    house.studio.go_on(house.studio.results[0])
    house.settle()
    assert house.daemon.arguments("continue_")[-1]["changes"] == {"engine": "optimise"}
    house.studio.change(quality="normal")
    house.paint()
    house.studio.go_on(house.studio.results[0])
    house.settle()
    assert house.daemon.arguments("continue_")[-1]["changes"] == {}


# ------------------------------------------------------------------------------------------------------------- training


def test_a_style_is_learnt_and_then_marked(house, picture):
    house.daemon.story = [queued(), running(2, preview=1, phase="training")]
    row = StyleRow(str(picture), "Starry")
    house.studio.take(Settings(styles=(row,)))
    house.studio.train_style(0)
    (ticket,) = house.studio.trainings
    assert ticket.title == "Training Starry" and house.studio.tickets == ()
    assert house.studio.is_training(row)
    house.until(lambda: ticket.stage is Stage.RUNNING and ticket.preview)
    assert house.daemon.lessons == [("Starry", PIXEL, "Starry")]
    assert progress_line(ticket) == "Learning: 2 of 4, about 2 s left"
    assert house.studio.status.dot == "running"
    house.daemon.trained = (Model("Starry", (Lore("style", DIGEST),)),)
    house.daemon.say(done(has_result=False, model="Starry"))
    house.until(lambda: not house.studio.trainings)
    assert "Starry" in house.studio.notice and house.studio.error is None
    house.until(lambda: house.studio.model_of(row) == "Starry")
    assert not house.studio.is_training(row)
    assert not {"result", "forget"} & set(house.daemon.names)


def test_a_style_of_the_library_is_learnt_without_being_sent(house):
    house.daemon.story = [done(has_result=False, model="Swirling night")]
    house.studio.train_style(0)
    house.until(lambda: not house.studio.trainings)
    assert house.daemon.lessons == [("library:night", None, "Swirling night")]


def test_a_style_is_not_learnt_twice_at_once(house):
    house.daemon.story = [running(1)]
    house.studio.train_style(0)
    house.studio.train_style(0)
    assert len(house.studio.trainings) == 1


def test_a_training_is_not_in_the_way_of_painting(house):
    """Not even while its picture is read."""
    gate = house.daemon.block("train")
    house.daemon.story = [running(1), done()]
    house.studio.train_style(0)
    house.until(lambda: "train" in house.daemon.names)
    house.paint()
    assert len(house.studio.results) == 1
    (ticket,) = house.studio.trainings
    assert not ticket.is_final
    gate.set()


def test_stop_and_stop_and_keep(house):
    house.daemon.story = [running(1)]
    house.studio.train_style(0)
    (ticket,) = house.studio.trainings
    house.until(lambda: ticket.stage is Stage.RUNNING)
    house.studio.stop(ticket, keep=True)
    house.until(lambda: not house.studio.trainings)
    assert ticket.stage is Stage.DONE and ticket.kept
    assert "forget" not in house.daemon.names and "trained" in house.studio.notice
    house.studio.dismiss()
    house.studio.train_style(0)
    (ticket,) = house.studio.trainings
    house.until(lambda: ticket.stage is Stage.RUNNING)
    house.studio.stop(ticket, keep=False)
    house.until(lambda: not house.studio.trainings and "forget" in house.daemon.names)
    assert ticket.stage is Stage.STOPPED and house.studio.notice == ""


def test_one_that_is_stopped_while_it_is_sent_is_not_left_behind(house):
    gate = house.daemon.block("train")
    house.daemon.story = [running(1)]
    house.studio.train_style(0)
    house.until(lambda: "train" in house.daemon.names)
    house.studio.stop(house.studio.trainings[0], keep=False)
    house.until(lambda: not house.studio.trainings)
    gate.set()
    house.until(lambda: "forget" in house.daemon.names)
    assert not house.daemon.jobs


def test_a_training_outlives_the_host(house):
    house.daemon.story = [running(1)]
    house.studio.train_style(0)
    (ticket,) = house.studio.trainings
    house.until(lambda: ticket.stage is Stage.RUNNING)
    (id,) = house.daemon.jobs
    house.studio.close()
    house.daemon.say(running(2))
    other = Studio(FakeCanvas(), FakeLoop(), house.daemon)
    other.open()
    other._loop.run_until(lambda: other.trainings and other.trainings[0].stage is Stage.RUNNING)
    assert other.trainings[0].title == "Training Swirling night"
    assert other.is_training(StyleRow("library:night", ""))
    assert list(house.daemon.jobs) == [id] and "forget" not in house.daemon.names
    before = house.daemon.trainings()
    house.daemon.say(done(has_result=False, model="night"))
    other._loop.run_until(lambda: not other.trainings)
    other._trainings._adopt(before)
    assert other.trainings == (), "an answer that comes late brings nothing back"
    other.close()


def test_one_of_a_picture_file_is_known_again_by_its_name(house, picture):
    house.daemon.story = [running(1)]
    row = StyleRow(str(picture), "Käthe")
    house.studio.take(Settings(styles=(row,)))
    house.studio.train_style(0)
    house.until(lambda: house.studio.trainings[0].stage is Stage.RUNNING)
    house.studio.close()
    other = Studio(FakeCanvas(), FakeLoop(), house.daemon)
    other.open()
    other._loop.run_until(lambda: other.trainings)
    assert other.trainings[0].title == "Training K_the"
    assert other.is_training(row) and not other.is_training(StyleRow(str(picture), "another"))
    other.close()


def test_a_picture_is_never_called_like_a_field_of_the_form(house, picture):
    house.daemon.story = [running(1)]
    house.studio.take(Settings(styles=(StyleRow(str(picture), "options"),)))
    house.studio.train_style(0)
    house.until(lambda: house.daemon.lessons)
    assert house.daemon.lessons == [("style", PIXEL, "options")]


def test_one_that_is_stopped_elsewhere_just_ends(house):
    house.daemon.story = [running(1)]
    house.studio.train_style(0)
    (ticket,) = house.studio.trainings
    house.until(lambda: ticket.stage is Stage.RUNNING)
    house.daemon.forget(ticket.job.id)
    house.until(lambda: not house.studio.trainings)
    assert ticket.stage is Stage.STOPPED and house.studio.error is None


def test_one_that_fails_says_why(house):
    house.daemon.story = [running(1), failed("out-of-memory", "Learning needs more.")]
    house.studio.train_style(0)
    house.until(lambda: not house.studio.trainings)
    assert house.studio.error.detail == "Learning needs more."


def test_a_picture_that_is_gone_is_not_learnt(house, tmp_path):
    house.studio.take(Settings(styles=(StyleRow(str(tmp_path / "gone.png"), "gone"),)))
    house.studio.train_style(0)
    assert house.studio.error.code == "missing-style" and house.studio.trainings == ()


def test_what_was_learnt_is_forgotten(house):
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    house.daemon.library = (NIGHT,)
    house.studio.forget_trained(0)
    house.until(lambda: house.studio.model_of(house.studio.settings.styles[0]) == "")
    assert house.daemon.arguments("forget_model") == [{"name": "night"}]


def test_learnt_anew_it_keeps_its_name_and_another_gets_another(house, picture, tmp_path):
    house.daemon.story = [running(1)]
    other = tmp_path / "other.png"
    other.write_bytes(PIXEL + b"more")
    have(house, [STARRY])
    rows = (StyleRow(str(picture), "Starry"), StyleRow(str(other), "starry"), StyleRow("library:night", "starry"))
    assert model_of(house, rows[0]) == "starry"
    house.studio.take(Settings(styles=rows))
    for index in range(3):
        house.studio.train_style(index)
    house.until(lambda: len(house.daemon.lessons) == 3)
    names = {data or picture: name for picture, data, name in house.daemon.lessons}
    assert names == {PIXEL: "starry", PIXEL + b"more": "starry 2", "library:night": "starry 3"}


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Starry night", "Starry night"),
        ("Käthe's", "K_the_s"),
        ("..", "style"),
        ("日本", "style"),
        ("x" * 90, "x" * 60),
    ],
)
def test_names_are_such_as_the_daemon_takes(wanted, name):
    from scumble.engine.models import NAME

    assert trained.new_name(wanted, ()) == name
    assert NAME.fullmatch(trained.new_name(wanted, [name]))


# -------------------------------------------------------------------------------------------------------------- to read


def test_the_menu_of_a_style(house):
    deeds = shown.style_deeds(house.studio, 0)
    assert [deed.text for deed in deeds] == ["Train this style"]
    house.daemon.story = [running(1)]
    deeds[0].action()
    deeds = shown.style_deeds(house.studio, 0)
    assert [(deed.text, deed.action) for deed in deeds] == [("Is being trained", None)]
    house.studio.stop(house.studio.trainings[0], keep=False)
    house.until(lambda: not house.studio.trainings)
    have(house, [Model("night", (Lore("night"),))], [LEARNT_NIGHT])
    deeds = shown.style_deeds(house.studio, 0)
    assert [deed.text for deed in deeds] == ["Train this style anew", "Forget what was trained"]
    deeds[1].action()
    house.until(lambda: "forget_model" in house.daemon.names)
