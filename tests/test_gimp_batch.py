"""GIMP's runs without a dialog, on a canvas and with a daemon that are made up."""

import json

import numpy as np
import plugins
import pytest
from fake_canvas import FakeCanvas
from fake_link import PIXEL, FakeDaemonApi, FakeLoop, done, failed, queued, refused, running, stopped

plugins.gimp()
from gimp_scumble import batch  # noqa: E402
from gimp_scumble.link.errors import LinkError  # noqa: E402
from gimp_scumble.link.settings import Settings, StyleRow  # noqa: E402


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))


@pytest.fixture
def canvas():
    return FakeCanvas()


@pytest.fixture
def daemon():
    return FakeDaemonApi()


class Caller:
    """Who calls the procedure: has a picture painted, and hears how far it is."""

    def __init__(self, canvas, daemon):
        self.canvas, self.daemon = canvas, daemon
        self.stages, self.parts = [], []

    def paint(self, settings=None):
        return batch.paint(self.canvas, settings or Settings(), FakeLoop(), self.hear, self.daemon)

    def hear(self, ticket):
        if ticket.stage.value not in self.stages[-1:]:
            self.stages.append(ticket.stage.value)
        self.parts.append(ticket.job.progress if ticket.job else None)

    def refused(self, code, settings=None):
        before = [layer.id for layer in self.canvas.document.layers] if self.canvas.active else []
        with pytest.raises(LinkError) as caught:
            self.paint(settings)
        assert caught.value.code == code, caught.value.text
        if self.canvas.active:
            assert [layer.id for layer in self.canvas.document.layers] == before
        return caught.value


@pytest.fixture
def caller(canvas, daemon):
    return Caller(canvas, daemon)


def test_a_call_paints_and_tells_the_new_layer(caller, canvas, daemon):
    canvas.select(5, 5, 20, 10)
    painted = caller.paint(Settings(strength=42))
    new = canvas.document.layers[-1]
    assert painted == batch.Painted(new.id)
    assert new.name == "Swirling night 42"
    # the made-up daemon turns all values upside down
    source = canvas.document.layers[0].pixels[new.y :, new.x :][: new.pixels.shape[0], : new.pixels.shape[1]]
    assert np.array_equal(new.pixels, 255 - source)
    (order,) = daemon.arguments("submit")
    assert order["recipe"]["strength"] == 42
    assert json.loads(canvas.document.notes[f"recipe {new.id}"])["strength"] == 42
    canvas.document.undo()
    assert [layer.name for layer in canvas.document.layers] == ["paint"]


def test_the_caller_hears_how_far_it_is(caller, daemon):
    daemon.story = [queued(1), running(1), running(3), done()]
    gate, hear = daemon.block("connect"), caller.hear

    def hear_and_let_go(ticket):
        hear(ticket)
        gate.set()

    caller.hear = hear_and_let_go
    caller.paint()
    assert caller.stages[0] == "starting"
    assert caller.stages[-1] == "done"
    assert "running" in caller.stages
    assert {0.25, 0.75} <= set(caller.parts)


def test_the_daemon_is_started_where_there_is_none(caller, daemon):
    daemon.die()
    assert caller.paint().layer
    assert daemon.starts == 1


def test_without_a_daemon_there_is_a_sentence(caller, daemon):
    daemon.die(can_start=False)
    assert caller.refused("not-installed").text.count(".") >= 2


def test_a_daemon_that_refuses_or_fails_is_quoted(caller, daemon):
    daemon.once("submit", refused("queue-full", "Ten jobs wait."))
    assert caller.refused("queue-full").detail == "Ten jobs wait."
    daemon.story = [running(1), failed("out-of-memory", "Painting needs 9 GB.")]
    assert caller.refused("out-of-memory").detail == "Painting needs 9 GB."


def test_styles_are_quoted_by_their_names(caller, daemon, tmp_path):
    (tmp_path / "wave.png").write_bytes(PIXEL)
    daemon.once("submit", refused("bad-picture", "style-1 cannot be read."))
    error = caller.refused("bad-picture", Settings((StyleRow(str(tmp_path / "wave.png"), "Great wave"),)))
    assert error.detail == "Great wave cannot be read."


def test_a_job_that_somebody_stops_is_no_success(caller, daemon):
    daemon.story = [running(1), stopped()]
    caller.refused("cancelled")


def test_a_style_file_that_is_not_there_is_named_by_its_path(caller, daemon, tmp_path):
    gone = tmp_path / "gone.png"
    assert str(gone) in caller.refused("missing-style", Settings((StyleRow(str(gone), "gone"),))).detail
    assert daemon.names == []


def test_settings_that_cannot_be_painted_are_refused(caller, daemon):
    caller.refused("no-style", Settings((StyleRow("library:night", "night", 0),)))
    caller.refused("bad-recipe", Settings(quality="custom", iterations="many"))
    assert daemon.names == []


def test_nothing_under_the_selection_is_a_sentence(caller, canvas):
    canvas.document.layers[0].x = 30
    canvas.select(0, 0, 10, 10)
    assert "paint" in caller.refused("nothing-there").detail


def test_a_region_that_is_not_there_is_a_sentence(caller):
    caller.refused("layer-gone", Settings((StyleRow("library:night", "night", 100, "layer:nowhere"),)))


def test_a_document_without_a_layer_or_none_is_a_sentence(caller, canvas):
    canvas.document.layers.clear()
    caller.refused("no-layer")
    canvas.close("document-1")
    caller.refused("no-document")


def test_a_document_that_is_closed_meanwhile_is_no_success(caller, canvas, daemon):
    gate = daemon.block("result")

    def hear(ticket):
        if ticket.stage.value == "fetching" and not gate.is_set():
            canvas.close("document-1")
            gate.set()

    caller.hear = hear
    caller.refused("document-closed")


def test_a_host_that_refuses_the_layer_is_a_sentence(caller, canvas, daemon):
    gate = daemon.block("result")

    def hear(ticket):
        if ticket.stage.value == "fetching":
            canvas.refuse = LinkError("host-refused", "No room.")
            gate.set()

    caller.hear = hear
    assert caller.refused("host-refused").detail == "No room."


def test_what_could_not_be_done_as_asked_is_told(caller, canvas, daemon):
    gate = daemon.block("result")

    def hear(ticket):
        if ticket.stage.value == "fetching" and not gate.is_set():
            canvas.document.layers.clear()
            gate.set()

    caller.hear = hear
    painted = caller.paint()
    assert painted.layer == canvas.document.layers[-1].id
    assert "on top" in painted.notice


def test_a_style_of_the_library_is_called_as_it_is_there(caller, canvas):
    caller.paint(Settings((StyleRow("library:night", "night"), StyleRow("library:other", "other"))))
    assert canvas.document.layers[-1].name == "Swirling night + other 60"


def test_the_daemon_is_started_to_say_what_a_style_is_called(caller, canvas, daemon):
    daemon.die()
    caller.paint(Settings((StyleRow("library:night", "night"),)))
    assert canvas.document.layers[-1].name == "Swirling night 60"


def test_a_style_that_has_a_name_is_not_asked_for(caller, canvas, daemon):
    caller.paint(Settings((StyleRow("library:night", "My night"),)))
    assert canvas.document.layers[-1].name == "My night 60"
    assert "styles" not in daemon.names


def test_a_library_that_does_not_answer_costs_the_name_only(caller, canvas, daemon):
    daemon.once("styles", refused("unreachable"))
    caller.paint(Settings((StyleRow("library:night", "night"),)))
    assert canvas.document.layers[-1].name == "night 60"


def test_nothing_is_left_under_way(caller, daemon):
    """Where the caller itself breaks down the daemon is told to forget the job."""

    def hear(ticket):
        if ticket.stage.value == "running":
            raise RuntimeError("the bar is gone")

    caller.hear = hear
    with pytest.raises(RuntimeError):
        caller.paint()
    assert daemon.jobs == {}
