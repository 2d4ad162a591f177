"""The studio: what a user does, from the button to the new layer, with a made-up host and a scripted daemon."""

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from fake_canvas import FakeCanvas, FakeLayer, painted
from fake_link import PIXEL, FakeDaemonApi, FakeLoop, done, failed, queued, refused, running
from krita_scumble.link import sheets
from krita_scumble.link.daemon import Job, Preset
from krita_scumble.link.errors import LinkError
from krita_scumble.link.pixels import Plane, Rect
from krita_scumble.link.runs import box_of, order_of, target_of
from krita_scumble.link.settings import Settings, StyleRow
from krita_scumble.link.studio import Studio
from krita_scumble.link.tickets import Stage
from krita_scumble.link.topics import Topic
from PIL import Image


class House:
    """A studio with all that it needs."""

    def __init__(self, home):
        self.canvas, self.loop, self.daemon = FakeCanvas(), FakeLoop(), FakeDaemonApi()
        self.studio = Studio(self.canvas, self.loop, self.daemon)
        self.told = []
        for topic in Topic:
            self.studio.listen(topic, lambda topic=topic: self.told.append(topic))

    def settle(self):
        """Until nothing is under way."""
        self.loop.run_until(lambda: not self.studio.tickets)
        self.loop.run()

    def until(self, condition):
        self.loop.run_until(condition)

    def paint(self):
        self.studio.run()
        self.settle()

    @property
    def order(self):
        """The newest order: its recipe and its parts."""
        asked = self.daemon.arguments("submit")[-1]
        return asked["recipe"], asked["parts"]


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    house = House(tmp_path)
    house.canvas.select(10, 5, 20, 10)
    house.studio.open()
    house.until(lambda: house.studio.library and house.studio.presets)
    yield house
    house.studio.close()


# ------------------------------------------------------------------------------------------------- from button to layer


def test_a_run_becomes_a_layer_above_its_source(house):
    house.paint()
    assert house.studio.error is None
    document = house.canvas.document
    assert [each.name for each in document.layers] == ["paint", "Swirling night 60"]
    new = document.layers[1]
    recipe, _ = house.order
    assert recipe["output"] == "unmasked" and new.mask is not None
    # what the fake daemon makes of it: every value upside down
    box = new.box
    source = document.layers[0].pixels[box.y : box.bottom, box.x : box.right]
    assert np.array_equal(new.pixels, 255 - source)
    assert np.array_equal(new.mask, document.selection[box.y : box.bottom, box.x : box.right])


def test_only_the_selection_and_its_surroundings_are_sent(house):
    house.canvas.add("large", 3000, 2000)
    house.canvas.select(1000, 800, 400, 300)
    house.studio.look()
    house.paint()
    _, parts = house.order
    settings = house.studio.settings
    margin = settings.margin_px(400)
    wanted = Rect(1000, 800, 400, 300).grown(margin).intersected(Rect(0, 0, 3000, 2000))
    assert (parts["content"].width, parts["content"].height) == (wanted.width, wanted.height) != (3000, 2000)
    mask = np.frombuffer(parts["mask"].data, np.uint8).reshape(wanted.height, wanted.width)
    assert mask.sum() == 255 * 400 * 300
    assert mask[margin : margin + 300, margin : margin + 400].all()


def test_a_layer_partly_off_the_canvas(house):
    layer = house.canvas.document.layers[0]
    layer.x, layer.y = -15, -4
    house.canvas.document.selection = None
    house.paint()
    new = house.canvas.document.layers[1]
    assert new.box == layer.box and np.array_equal(new.pixels, 255 - layer.pixels)


def test_the_selection_only_counts_where_the_layer_is(house):
    subject = replace(house.canvas.subject(), bounds=Rect(0, 0, 15, 12), selection=Rect(10, 5, 20, 10))
    assert target_of(Settings(), subject) == Rect(10, 5, 5, 7)
    assert target_of(Settings(area="layer"), subject) == Rect(0, 0, 15, 12)
    assert target_of(Settings(), replace(subject, selection=None)) == Rect(0, 0, 15, 12)
    assert box_of(Settings(), subject) == Rect(0, 0, 15, 12)


def test_the_whole_layer_goes_without_a_mask(house):
    house.studio.change(area="layer", feather=9)
    house.paint()
    recipe, parts = house.order
    assert set(parts) == {"content"} and "selection" not in recipe and "feather_px" not in recipe
    assert recipe["output"] == "layer" and house.canvas.document.layers[1].mask is None, "there is nothing to hide"


def test_a_layer_alone_has_its_edge_in_itself(house):
    house.studio.change(result="layer")
    house.paint()
    assert house.order[0]["output"] == "layer" and house.canvas.document.layers[1].mask is None


def test_styles_and_regions_go_along(house, tmp_path):
    picture = tmp_path / "Sunny day.png"
    picture.write_bytes(PIXEL)
    house.canvas.document.layers.append(FakeLayer("sky", "sky", painted(40, 8)))
    house.studio.add_style_file(str(picture))
    assert [row.name for row in house.studio.settings.styles] == ["Swirling night", "Sunny day"]
    house.studio.change_style(0, region="layer:sky", region_name="sky", weight=50)
    house.paint()
    recipe, parts = house.order
    assert recipe["styles"] == [
        {"picture": "library:night", "weight": 0.5, "region": "sky"},
        {"picture": "style-2"},
    ]
    assert parts["style-2"] == PIXEL
    mask = parts[recipe["regions"][0]["mask"]]
    assert np.frombuffer(mask.data, np.uint8).reshape(30, 40)[:8].all() and not np.any(
        np.frombuffer(mask.data, np.uint8).reshape(30, 40)[8:]
    )


def test_what_only_the_host_can_read_is_converted(house, tmp_path):
    picture = tmp_path / "sketch.psd"
    picture.write_bytes(b"8BPS...")
    house.studio.change(styles=(StyleRow(str(picture), "sketch"),))
    house.paint()
    assert house.studio.error.code == "not-a-picture"
    house.canvas.readable[str(picture)] = PIXEL
    house.paint()
    assert house.order[1]["style-1"] == PIXEL and house.studio.error is None


@pytest.mark.parametrize(("feather", "value", "wanted"), [(None, 255, 1), (None, 100, 0), (7, 100, 7), (0, 255, 0)])
def test_feather(house, feather, value, wanted):
    """Auto: a hard selection of 10 px gets a little, a soft one nothing; else what is set."""
    house.canvas.select(10, 5, 20, 10, value)
    house.studio.look()
    house.studio.change(feather=feather)
    house.paint()
    assert house.order[0].get("feather_px", 0) == wanted


def test_a_selection_that_became_empty_is_said(house):
    taken = next(iter([house.canvas.take(house.studio.subject, Rect(0, 0, 4, 4), (), True)]))
    with pytest.raises(StopIteration) as end:
        while True:
            next(taken)
    with pytest.raises(LinkError) as error:
        order_of(end.value.value, Settings(), lambda row: PIXEL)
    assert error.value.code == "nothing-selected"


# -------------------------------------------------------------------------------------------------------- what is wrong


def test_why_not(house):
    assert house.studio.why_not is None
    house.studio.change(styles=())
    assert house.studio.why_not.code == "no-style"
    house.studio.change(styles=(StyleRow("/nowhere/x.png", "x"),))
    assert house.studio.why_not.code == "missing-style"
    house.studio.change(styles=Settings().styles)
    house.canvas.document.layers[0].pixels[..., 3] = 0
    house.studio.look()
    assert house.studio.why_not.code == "nothing-there" and "empty" in house.studio.area_line
    house.canvas.close("document-1")
    house.studio.look()
    assert house.studio.why_not.code == "no-document" and house.studio.area_line == ""
    house.studio.run()
    assert house.studio.error.code == "no-document" and not house.studio.tickets


def test_what_the_host_refuses_is_said_and_nothing_is_sent(house):
    house.canvas.refuse = LinkError("host-refused", "It cannot be read.")
    house.paint()
    assert house.studio.error.detail == "It cannot be read." and "submit" not in house.daemon.names
    house.studio.dismiss()
    assert house.studio.error is None


def test_a_job_that_fails_is_said(house):
    house.daemon.story = [queued(), failed("out-of-memory", "It needs 9 GB.")]
    house.paint()
    assert (house.studio.error.code, house.studio.error.detail) == ("out-of-memory", "It needs 9 GB.")
    assert len(house.canvas.document.layers) == 1 and not house.studio.results


def test_the_daemons_words_name_styles_as_the_user_does(house, tmp_path):
    picture = tmp_path / "Sunny day.png"
    picture.write_bytes(PIXEL)
    house.studio.add_style_file(str(picture))
    house.daemon.once("submit", refused("bad-picture", "style-2 cannot be read; not 'library:night', not style-21."))
    house.paint()
    assert house.studio.error.detail == "Sunny day cannot be read; not Swirling night, not style-21."


def test_warnings_of_a_job_are_said(house):
    house.daemon.story = [running(1, warnings=("'library:night' is slow.",))]
    house.studio.run()
    house.until(lambda: house.studio.tickets and house.studio.tickets[0].job and house.studio.tickets[0].warnings)
    assert house.studio.warnings_of(house.studio.tickets[0]) == ("Swirling night is slow.",)
    house.daemon.say(done(warnings=("'library:night' was slow.",)))
    house.settle()
    assert house.studio.notice == "Swirling night was slow." and house.studio.error is None


def test_a_mistake_of_ours_is_an_error_in_the_panel(house, capsys):
    def broken(*_):
        yield
        raise ZeroDivisionError("oh")

    house.canvas.take = broken
    house.paint()
    assert house.studio.error.code == "internal" and "oh" in house.studio.error.detail
    assert "ZeroDivisionError" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------- documents that go away


def test_a_document_closed_during_the_run_keeps_its_result(house):
    house.daemon.story = [queued(), running(1)]
    house.studio.run()
    house.until(lambda: house.studio.tickets and house.studio.tickets[0].stage is Stage.RUNNING)
    other = house.canvas.add("document-2", 60, 50)
    house.canvas.close("document-1")
    house.daemon.say(done())
    house.settle()
    assert "closed" in house.studio.notice and house.studio.error is None
    assert len(house.studio.results) == 1 and len(other.layers) == 1
    house.studio.add_again(house.studio.results[0])
    house.until(lambda: len(other.layers) == 2)
    assert other.layers[1].mask.any() and not other.layers[1].mask.all(), "with its mask"
    assert house.studio.results[0].document == "document-2"
    assert house.studio.is_visible(house.studio.results[0]) is True


def test_a_layer_that_is_gone_is_said(house):
    house.daemon.story = [queued(), running(1)]
    house.studio.run()
    house.until(lambda: house.studio.tickets and house.studio.tickets[0].stage is Stage.RUNNING)
    house.canvas.document.layers[0] = FakeLayer("other", "other", painted(40, 30))
    house.daemon.say(done())
    house.settle()
    assert house.canvas.document.layers[-1].name == "Swirling night 60" and "on top" in house.studio.notice


# ---------------------------------------------------------------------------------------------------------- stop, queue


def test_stop_adds_nothing_and_stop_and_keep_does(house):
    house.daemon.story = [running(1)]
    for keep, count in ((False, 1), (True, 2)):
        house.studio.run()
        house.until(lambda: house.studio.tickets[0].stage is Stage.RUNNING)
        house.studio.stop(house.studio.tickets[0], keep)
        house.settle()
        assert len(house.canvas.document.layers) == count and house.studio.error is None


def test_runs_queue_up_and_can_be_taken_back(house):
    house.daemon.story = [queued(), running(1)]
    for strength in (10, 20, 30):
        house.studio.change(strength=strength)
        house.studio.run()
    house.until(lambda: all(each.job for each in house.studio.tickets))
    first, second, _ = house.studio.tickets
    house.studio.withdraw(second)
    house.until(lambda: len(house.studio.tickets) == 2)
    house.daemon.say(done())
    house.settle()
    names = [each.name for each in house.canvas.document.layers]
    assert sorted(names[1:]) == ["Swirling night 10", "Swirling night 30"]
    assert first not in house.studio.tickets


# -------------------------------------------------------------------------------------------------------------- results


def test_results_can_be_used(house, tmp_path):
    house.studio.change(strength=70)
    house.paint()
    house.until(lambda: house.studio.results[0].thumbnail)
    result = house.studio.results[0]
    assert result.title == "Swirling night 70" and result.thumbnail.startswith(b"\x89PNG")
    house.studio.toggle(result)
    assert house.studio.is_visible(result) is False and not house.canvas.document.layers[1].shown
    house.studio.toggle(result)
    assert house.studio.is_visible(result) is True
    house.studio.change(strength=5)
    house.studio.use_settings(result)
    assert house.studio.settings.strength == 70
    path = tmp_path / "out.png"
    house.studio.save(result, str(path))
    house.until(lambda: house.studio.notice)
    assert path.read_bytes() == PIXEL
    house.studio.save(result, str(tmp_path / "no" / "out.png"))
    house.until(lambda: house.studio.error)
    assert house.studio.error.code == "cannot-save"
    house.studio.discard(result)
    assert not house.studio.results and len(house.canvas.document.layers) == 2


def test_a_result_whose_layer_was_deleted_goes_back_to_its_place(house):
    house.paint()
    result = house.studio.results[0]
    own = house.canvas.document
    del own.layers[1]
    house.canvas.add("document-2", 60, 50)
    house.studio.add_again(result)
    house.until(lambda: len(own.layers) == 2)
    assert own.layers[0].name == "paint" and not house.studio.notice
    del own.layers[1]
    house.studio.go_on(house.studio.results[0])
    house.settle()
    assert len(own.layers) == 2 and len(house.canvas.document.layers) == 1


def test_going_on_adds_a_layer_above_the_result(house):
    house.paint()
    result = house.studio.results[0]
    house.studio.go_on(result)
    house.settle()
    assert house.daemon.arguments("continue_")[0]["id"] == result.job_id
    layers = house.canvas.document.layers
    assert len(layers) == 3 and layers[1].id == result.layer and layers[2].id == house.studio.results[0].layer


def test_a_result_is_inserted_once(house):
    """Whatever is heard of a ticket while the host adds its layer."""
    house.daemon.story = [queued(), running(1)]
    house.studio.run()
    house.until(lambda: house.studio.tickets and house.studio.tickets[0].stage is Stage.RUNNING)
    ticket, again = house.studio.tickets[0], []

    def once_more():
        if ticket.stage is Stage.INSERTING and not again:
            again.append(ticket)
            house.studio._ticket_changed(ticket)

    house.studio.listen(Topic.RUNS, once_more)
    house.daemon.say(done())
    house.settle()
    assert again and len(house.canvas.document.layers) == 2


def test_a_result_that_is_gone_is_said(house):
    house.paint()
    house.daemon.once("result", refused("result-gone", "The result is no longer kept."))
    house.studio.add_again(house.studio.results[0])
    house.until(lambda: house.studio.error)
    assert house.studio.error.code == "result-gone"


def test_the_settings_survive_in_the_layer(house):
    house.studio.change(strength=42, feather=3, more={"seed": 7})
    house.paint()
    made_with = house.studio.settings
    house.studio.reset()
    assert house.studio.settings.strength == 60 and not house.studio.has_layer_recipe
    house.canvas.document.active = 1
    house.studio.look()
    assert house.studio.has_layer_recipe
    house.studio.use_layer_recipe()
    assert house.studio.settings == made_with


# ------------------------------------------------------------------------------------------------------------- settings


def test_settings_are_remembered(house):
    house.studio.change(strength=12)
    house.loop.advance(1.0)
    assert json.loads(house.canvas.memory["settings"])["strength"] == 12
    other = Studio(house.canvas, house.loop, house.daemon)
    other.open()
    assert other.settings.strength == 12
    other.close()


def test_a_run_by_its_shortcut_has_the_remembered_settings(tmp_path, monkeypatch):
    """The panel may never have been shown."""
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path))
    house = House(tmp_path)
    house.canvas.memory["settings"] = Settings(strength=12).as_json
    house.paint()
    assert house.order[0]["strength"] == 12 and Settings.from_json(house.canvas.memory["settings"]).strength == 12
    house.studio.close()


def test_a_moment_without_a_layer_changes_no_settings(house):
    house.paint()
    house.studio.change(strength=88)
    layers, house.canvas.document.layers = house.canvas.document.layers, []
    house.studio.look()
    assert house.studio.why_not.code == "no-layer"
    house.canvas.document.layers = layers
    house.studio.look()
    assert house.studio.settings.strength == 88


def test_a_region_of_another_document_is_said_before_the_run(house):
    house.studio.change_style(0, region="layer:elsewhere", region_name="sky")
    assert house.studio.why_not.code == "layer-gone" and "sky" in house.studio.why_not.detail
    house.studio.change_style(0, region="layer:document-1-paint")
    assert house.studio.why_not is None


def test_each_document_brings_its_last_settings(house):
    house.studio.change(strength=12)
    house.paint()
    house.canvas.add("document-2", 20, 20)
    house.studio.look()
    house.studio.change(strength=88)
    house.canvas.active = "document-1"
    house.studio.look()
    assert house.studio.settings.strength == 12
    house.canvas.active = "document-2"
    house.studio.look()
    assert house.studio.settings.strength == 88


def test_a_document_saved_with_settings_brings_them(house):
    document = house.canvas.add("document-3", 20, 20)
    document.notes["settings"] = Settings(strength=31).as_json
    house.studio.look()
    assert house.studio.settings.strength == 31


def test_a_run_leaves_its_settings_in_the_document(house):
    house.studio.change(strength=23)
    house.paint()
    assert Settings.from_json(house.canvas.document.notes["settings"]).strength == 23


def test_estimates(house):
    house.loop.advance(1.0)
    house.until(lambda: "14 s" in house.studio.area_line)
    assert house.studio.area_line.startswith("Selection 20 × 10 at 10, 5; works at 768 × 605; about 14 s; 2.1 GB")
    asked = house.daemon.arguments("estimate")[-1]
    assert (asked["width"], asked["height"], asked["bounds"]) == (40, 30, Rect(10, 5, 20, 10))
    house.canvas.add("large", 3000, 2000)
    house.canvas.select(1000, 800, 400, 300)
    house.studio.look()
    house.loop.advance(1.0)
    house.until(lambda: house.daemon.arguments("estimate")[-1]["width"] < 3000)
    margin = house.studio.settings.margin_px(400)
    assert house.daemon.arguments("estimate")[-1]["bounds"] == Rect(margin, margin, 400, 300), "within what is sent"
    count = house.daemon.names.count("estimate")
    for strength in range(10, 20):
        house.studio.change(strength=strength)
    house.loop.advance(1.0)
    house.until(lambda: house.daemon.names.count("estimate") > count)
    house.loop.run()
    assert house.daemon.names.count("estimate") == count + 1


def test_at_most_four_styles(house):
    for number in range(5):
        house.studio.add_style_picture(PIXEL + bytes([number]), f"{number}")
    assert len(house.studio.settings.styles) == 4 and "4 styles" in house.studio.notice
    house.studio.remove_style(0)
    assert [row.name for row in house.studio.settings.styles] == ["0", "1", "2"]


def test_styles_from_layers_and_the_clipboard(house):
    house.studio.add_style_clipboard()
    assert house.studio.error.code == "not-a-picture"
    house.canvas.picture = PIXEL
    house.studio.add_style_clipboard()
    house.studio.add_style_layer("document-1-paint")
    house.until(lambda: len(house.studio.settings.styles) == 3)
    house.studio.add_style_library(house.studio.library[0])
    rows = house.studio.settings.styles
    assert [row.name for row in rows[1:]] == ["Clipboard", "paint", "Swirling night"]
    assert rows[1].is_there and rows[2].is_there and rows[3].source == "library:night"
    seen = []
    house.studio.thumbnail(rows[1].source, seen.append)
    house.until(lambda: seen)
    house.studio.thumbnail("library:night", seen.append)
    house.until(lambda: len(seen) == 2)
    assert seen == [PIXEL, PIXEL]


def test_presets(house):
    house.studio.change(strength=15)
    assert [(each.name, each.label) for each in house.studio.presets] == [("fine", "Fine")]
    house.studio.use_preset("fine")
    assert (house.studio.settings.quality, house.studio.settings.strength) == ("fine", 60)
    house.studio.change(strength=77)
    house.studio.save_preset("mine")
    house.studio.reset()
    assert [each.name for each in house.studio.presets if each.is_own] == ["mine"]
    assert house.studio.settings.preset == ""
    house.studio.use_preset("mine")
    assert (house.studio.settings.strength, house.studio.settings.preset) == (77, "mine")
    house.studio.rename_preset("mine", "ours")
    assert house.studio.settings.preset == "ours"
    house.studio.rename_preset("nobody's", "x")
    assert house.studio.error.code == "cannot-save"
    house.studio.delete_preset("ours")
    assert not any(each.is_own for each in house.studio.presets) and house.studio.settings.preset == ""


# ------------------------------------------------------------------------------------------------------------ the sheet


def test_a_sheet_of_variations(house):
    house.studio.open_sheet("strength")
    assert [len(row) for row in house.studio.sheet.cells] == [3, 3, 3]
    house.until(lambda: all(cell.state == "done" for row in house.studio.sheet.cells for cell in row))
    cells = house.studio.sheet.cells
    strengths = [cells[row][0].settings.strength for row in range(3)]
    asked = [each["recipe"].get("strength", 60) for each in house.daemon.arguments("submit")]
    assert asked == [strength for strength in strengths for _ in range(3)]
    assert len(house.daemon.jobs) == 0, "the daemon keeps nothing of it"
    assert cells[0][0].picture.startswith(b"\x89PNG")
    house.studio.pick(cells[2][1])
    assert house.studio.settings == cells[2][1].settings and house.studio.settings.quality == "normal"
    house.studio.close_sheet()
    assert house.studio.sheet is None


def test_a_sheet_is_painted_small(house):
    house.canvas.add("large", 1500, 1000)
    house.canvas.select(200, 200, 900, 600)
    house.studio.look()
    house.studio.open_sheet("strength")
    house.until(lambda: house.daemon.arguments("submit"))
    recipe, parts = house.order
    mask = np.frombuffer(parts["mask"].data, np.uint8).reshape(parts["mask"].height, -1)
    rows, columns = np.nonzero(mask)
    painted = (np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert 200 < painted[0] <= 258 and recipe["size"] == 256
    assert (parts["content"].width, parts["content"].height) == mask.shape[::-1]
    house.until(lambda: house.studio.sheet.cells[0][0].picture)
    shown = Image.open(BytesIO(house.studio.sheet.cells[0][0].picture))
    assert shown.size == pytest.approx(painted, abs=2), "only what is painted is shown"
    house.studio.close_sheet()


def test_a_cell_that_fails_does_not_end_the_sheet(house):
    house.daemon.once("submit", refused("bad-recipe", "No."))
    house.studio.open_sheet("strength")
    house.until(lambda: house.studio.sheet.cells[2][2].state == "done")
    assert house.studio.sheet.cells[0][0].state == "failed"
    assert house.studio.sheet.cells[0][0].error.code == "bad-recipe"


def test_a_sheet_that_is_closed_paints_no_more(house, monkeypatch):
    monkeypatch.setattr(sheets, "_WAIT_S", 0.1)
    house.daemon.story = [running(1)]
    house.studio.open_sheet("strength")
    house.until(lambda: house.daemon.jobs)
    house.studio.close_sheet()
    house.until(lambda: not house.daemon.jobs)
    house.loop.run()
    assert house.daemon.names.count("submit") == 1
    house.studio.open_sheet("strength")
    house.studio.open_sheet("strength")
    house.until(lambda: house.daemon.jobs)
    house.loop.run()
    house.studio.close_sheet()
    house.until(lambda: not house.daemon.jobs)
    assert house.daemon.names.count("submit") == 2, "of two sheets only the second was painted"


def test_weights_need_two_styles(house):
    house.studio.open_sheet("weights")
    assert house.studio.sheet is None and house.studio.error.code == "no-style"


# ----------------------------------------------------------------------------------------------------------- the daemon


def test_the_daemon_is_started_and_its_state_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path))
    house = House(tmp_path)
    house.daemon.die()
    assert house.studio.status.dot == "down"
    house.studio.open()
    assert house.studio.status.dot == "starting"
    house.until(lambda: house.studio.status.dot == "ready")
    assert house.daemon.starts == 1 and "A processor" in house.studio.status.line
    house.daemon.story = [running(1)]
    house.studio.run()
    assert house.studio.status.dot == "running"
    house.studio.close()


def test_thumbnails_come_when_the_daemon_does(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path))
    house = House(tmp_path)
    house.daemon.die()
    seen = []
    house.studio.thumbnail("library:night", seen.append)
    house.until(lambda: "thumbnail" in house.daemon.names)
    house.loop.run()
    assert seen == []
    house.studio.open()
    house.until(lambda: seen)
    assert seen == [PIXEL]
    house.studio.close()


def test_a_daemon_that_is_not_installed_is_said_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path))
    house = House(tmp_path)
    house.daemon.die(can_start=False)
    house.studio.open()
    house.until(lambda: house.studio.status.dot == "error")
    assert house.studio.error.code == "not-installed"
    house.studio.dismiss()
    assert house.studio.why_not is None, "pressing the button tries again"
    house.paint()
    assert house.studio.error.code == "not-installed"
    house.studio.close()


def test_a_daemon_that_goes_away_is_seen(house):
    house.daemon.die()
    for _ in range(6):
        house.studio.look()
    house.until(lambda: house.studio.status.dot == "down")
    house.daemon.revive()
    house.daemon.state = replace(house.daemon.state, instance="two")
    house.daemon.recipes = (Preset("draft", "", {"quality": "draft"}),)
    for _ in range(6):
        house.studio.look()
    house.until(lambda: house.studio.presets and house.studio.presets[0].name == "draft")
    assert house.studio.status.dot == "ready"


def test_diagnostics_tell_no_secret(house):
    text = house.studio.diagnostics()
    assert "Fake 1.0" in text and "token" not in text.replace("token: ", "").lower()


def test_closing_stops_what_is_under_way(house):
    house.daemon.story = [running(1)]
    house.studio.run()
    house.until(lambda: house.studio.tickets[0].stage is Stage.RUNNING)
    house.studio.close()
    assert not house.daemon.jobs


def test_job_and_plane_are_what_the_link_says():
    """The fakes speak as the real ones do."""
    assert Job("1", "queued", "waiting").is_final is False and Plane(1, 1, 1, 1, b"\0").rect == Rect(0, 0, 1, 1)
