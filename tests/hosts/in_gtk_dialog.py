"""What the dialog does besides showing the panel: the procedure's config, the last layer, GIMP's progress bar."""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import plugins
from fake_studio import result, running
from gtk_play import TWO, settle

plugins.gimp()
from gimp_scumble import dialog
from gimp_scumble.arguments import TABLE
from gimp_scumble.gtk import GObject
from gimp_scumble.link.settings import Settings
from gimp_scumble.link.tickets import Ticket
from gimp_scumble.link.topics import Topic


class Config(GObject.Object):
    """What GIMP keeps a procedure's arguments in, as far as the dialog knows it."""

    __gproperties__ = {  # noqa: RUF012 - GObject's name
        each.name: (
            (int, each.name, "", *each.limits, each.default, GObject.ParamFlags.READWRITE)
            if isinstance(each.default, int)
            else (GObject.TYPE_PYOBJECT, each.name, "", GObject.ParamFlags.READWRITE)
        )
        for each in TABLE
    }

    def __init__(self):
        super().__init__()
        self.values = {each.name: each.default for each in TABLE}

    def do_get_property(self, about):
        return self.values[about.name]

    def do_set_property(self, about, value):
        self.values[about.name] = value


def check_what_is_set_goes_into_the_procedures_config(play):
    config = Config()
    dialog.Sync(config, play.studio, play.panel)
    play.type("strength", "17")
    play.choose("keep-colors", "luminance")
    play.type("style-1-weight", "35")
    assert config.values["strength"] == 17
    assert config.values["keep-colors"] == "luminance"
    assert config.values["styles"] == ["100||library:night", "35|mask-1|library:glass"]
    settle(0.1)
    # what is written there is not read again
    assert "take" not in play.asked()


def check_what_gimps_buttons_set_comes_into_the_panel_at_once(play):
    config = Config()
    dialog.Sync(config, play.studio, play.panel)
    play.set(Topic.SETTINGS, settings=Settings(styles=TWO, strength=17, quality="fine", feather=3))
    play.studio.asked.clear()
    for each in TABLE:  # as Reset does it
        config.set_property(each.name, each.default)
    assert play.studio.settings.strength == 17
    settle(0.1)
    assert play.asked() == ["take"]
    assert play.studio.settings == Settings()
    assert play.find("strength").value == 60
    assert play.find("quality").value == "normal"
    assert len(play.panel.styles.rows) == 1
    play.window.destroy()
    play.studio.asked.clear()
    config.set_property("strength", 50)
    settle(0.1)
    assert play.studio.asked == []


def check_what_a_config_cannot_say_is_told_in_the_panel(play):
    config = Config()
    dialog.Sync(config, play.studio, play.panel)
    config.set_property("recipe", "{ this is no recipe")
    settle(0.1)
    assert [error.code for error in play.studio.reported] == ["bad-recipe"]
    assert play.studio.settings.styles == TWO
    play.studio.reported.clear()
    # and the next one is taken
    config.set_property("recipe", "")
    settle(0.1)
    assert play.asked() == ["take"]


def check_the_last_new_layer_is_told(play):
    newest = dialog.Newest(play.studio, play.panel)
    assert newest.layer == ""
    play.set(Topic.RESULTS, results=(result(1, layer=""),))
    assert newest.layer == ""
    play.set(Topic.RESULTS, results=(result(2, layer="b"), result(1, layer="a")))
    assert newest.layer == "b"
    # taking one off the list does not make another one the last
    play.set(Topic.RESULTS, results=(result(1, layer="a"),))
    assert newest.layer == "b"
    # one that is added again is
    play.set(Topic.RESULTS, results=(result(2, layer="b"), result(1, layer="c")))
    assert newest.layer == "c"


def check_gimps_own_progress_bar_follows_one_run_after_another(play):
    bars = []

    class Progress:
        def __init__(self):
            self.seen = []
            bars.append(self)

        def show(self, ticket):
            self.seen.append(ticket.number)

        def end(self):
            self.seen.append("end")

    plain_one, dialog.Progress = dialog.Progress, Progress
    try:
        dialog.Bar(play.studio, play.panel)
        play.set(Topic.RUNS, tickets=(running(1), Ticket(2, "Second 60")))
        play.set(Topic.RUNS, tickets=(running(1), Ticket(2, "Second 60")))
        play.set(Topic.RUNS, tickets=(running(2),))
        play.set(Topic.RUNS, tickets=())
        play.set(Topic.RUNS, tickets=(running(3),))
        play.window.destroy()
    finally:
        dialog.Progress = plain_one
    assert [bar.seen for bar in bars] == [[1, 1, "end"], [2, "end"], [3, "end"]]
