"""What the GIMP dialog's panel shows of runs and of the daemon, and what comes of them."""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import dataclasses

import fake_studio
import plugins
from fake_studio import LinkError, picture, result, running, training
from gtk_play import FOLDER, entry, have_theme, keys, press_on, settle, wait, words_of

plugins.gimp()
from gimp_scumble import status_bar
from gimp_scumble.gtk import Gdk, Gtk
from gimp_scumble.link.settings import Settings
from gimp_scumble.link.studio import Status
from gimp_scumble.link.tickets import Stage, Ticket
from gimp_scumble.link.topics import Topic

# ------------------------------------------------------------------------------------------------------------------ run


def check_the_button_says_why_it_is_off(play):
    assert play.stylise.get_sensitive()
    why = LinkError("missing-style", "The picture of the style gone is not there.", "Choose it anew.")
    play.set(Topic.SETTINGS, why_not=why)
    assert not play.stylise.get_sensitive()
    assert not play.find("variations").is_sensitive()
    assert words_of(play.find("why-not")) == "The picture of the style gone is not there. Choose it anew."
    assert play.is_seen("why-not")
    assert play.stylise.get_tooltip_text() == why.text
    play.set(Topic.SUBJECT, why_not=None)
    assert play.stylise.get_sensitive()
    assert not play.is_seen("why-not")


def check_a_run_shows_progress_with_the_time_left_and_a_picture(play):
    assert not play.is_seen("progress")
    play.set(Topic.RUNS, tickets=(running(share=0.45, preview=picture(400, 100)),))
    bar, preview = play.find("progress"), play.find("preview")
    assert bar.get_mapped()
    assert abs(bar.get_fraction() - 0.45) < 0.002
    assert bar.get_text() == "45 %"
    assert "12 s" in words_of(play.find("progress-line"))
    wait(preview.get_mapped)
    settle(0.2)
    # as wide as the panel lets it, in its own proportions
    assert abs(preview.get_allocated_height() - preview.get_allocated_width() / 4) <= 1
    play.set(Topic.RUNS, tickets=(running(share=0.5, preview=picture(100, 2000)),))
    play.studio.tickets[0].preview_number = 2
    play.set(Topic.RUNS)
    wait(lambda: preview.get_allocated_height() == 190)
    play.set(Topic.RUNS, tickets=())
    assert not bar.get_mapped()
    assert play.stylise.get_label() == "S_tylise"


def check_no_button_moves_when_a_run_begins(play):
    play.set(Topic.RUNS, tickets=())
    width, before = play.window.get_size()[0], play.stylise.get_allocation().x
    play.set(Topic.RUNS, tickets=(running(), Ticket(2, "Second 60")))
    settle(0.3)
    assert play.stylise.get_label() == "S_tylise (queue)"
    assert play.window.get_size()[0] == width
    assert play.stylise.get_allocation().x == before


def check_before_the_daemon_paints_the_bar_only_says_that_something_goes_on(play):
    play.set(Topic.RUNS, tickets=(Ticket(1, "Tides 60", stage=Stage.STARTING),))
    progress = play.panel.run_bar.progress
    assert progress._pulse
    assert not progress.bar.get_text()
    assert "Starting…" in words_of(play.find("progress-line"))
    assert play.find("stop").get_sensitive()
    assert not play.find("keep").get_sensitive()
    play.set(Topic.RUNS, tickets=(running(),))
    assert not progress._pulse


def check_a_training_has_a_progress_of_its_own(play):
    assert not play.is_seen("training-progress")
    ticket = training(share=0.3, preview=picture(300, 200))
    play.set(Topic.RUNS, trainings=(ticket,))
    wait(play.find("training-preview").get_mapped)
    settle(0.2)
    assert play.find("training-progress").get_text() == "30 %"
    words = words_of(play.find("training-progress-line"))
    assert words == "Training Stained glass\nLearning: 600 of 2000, about 9 min left"
    assert play.find("training-preview").get_allocated_height() <= 140
    assert not play.is_seen("progress")
    assert play.stylise.get_label() == "S_tylise", "it is in nobody's way"
    play.click("training-stop")
    play.click("training-keep")
    assert play.studio.asked == [("stop", ticket, False), ("stop", ticket, True)]
    play.set(Topic.RUNS, tickets=(running(),))
    assert play.is_seen("progress") and play.is_seen("training-progress")
    assert not play.is_seen("training-preview"), "one picture is enough"
    play.set(Topic.RUNS, tickets=(), trainings=())
    assert not play.is_seen("training-progress")


def check_the_button_hears_of_what_is_trained(play):
    play.set(Topic.TRAINED, why_not=LinkError("missing-model", "The style glass is not trained."))
    assert not play.stylise.get_sensitive()
    assert words_of(play.find("why-not")).startswith("The style glass is not trained.")
    play.set(Topic.TRAINED, why_not=None)
    assert play.stylise.get_sensitive()
    assert play.find("variations").is_sensitive()


def check_stop_and_stop_and_keep(play):
    ticket = running()
    play.set(Topic.RUNS, tickets=(ticket,))
    play.click("stop")
    play.click("keep")
    assert play.studio.asked == [("stop", ticket, False), ("stop", ticket, True)]
    ticket.is_stopping = True
    play.set(Topic.RUNS)
    assert not play.find("stop").get_sensitive()
    assert not play.find("keep").get_sensitive()


def check_more_clicks_queue_up_and_are_taken_back_one_by_one(play):
    tickets = (running(1), Ticket(2, "Second 60"), Ticket(3, "Third 60"))
    play.set(Topic.RUNS, tickets=tickets)
    assert play.stylise.get_accessible().get_name() == "Stylise (queue)"
    play.click("queue-2-withdraw")
    assert play.studio.asked == [("withdraw", tickets[2])]
    play.set(Topic.RUNS, tickets=tickets[:2])
    assert not play.has("queue-2-withdraw")
    play.click("queue-1-withdraw")
    assert play.studio.asked[1:] == [("withdraw", tickets[1])]


def check_warnings_stand_under_the_progress(play):
    play.set(Topic.RUNS, tickets=(running(warnings=("Out of memory; the size is 384.",)),))
    assert "Out of memory; the size is 384." in words_of(play.find("warnings"))
    assert play.is_seen("warnings")


# ------------------------------------------------------------------------------------------------------ message, status


def check_an_error_stands_in_the_panel_with_its_fix_and_details(play):
    assert not play.is_seen("message")
    error = LinkError("out-of-memory", "The device has 2 GB, 3 are needed.", "Choose a smaller size.")
    play.set(Topic.ERROR, error=error)
    assert words_of(play.find("message-sentence")) == "The device has 2 GB, 3 are needed."
    assert words_of(play.find("message-fix")) == "Choose a smaller size."
    assert play.find("message").get_accessible().get_name() == error.detail
    assert not play.is_seen("message-report")
    play.click("message-details")
    assert play.is_seen("message-report")
    buffer = play.find("message-report").get_buffer()
    assert "out-of-memory" in buffer.get_text(*buffer.get_bounds(), False)
    play.click("message-copy")
    assert Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text() == error.report
    red, green, blue = play.pixel("message", 1, 10)
    assert red > 1.5 * max(green, blue)
    play.click("message-dismiss")
    assert play.studio.asked == [("dismiss",)]
    play.set(Topic.ERROR, error=None)
    assert not play.is_seen("message")


def check_a_notice_has_no_details(play):
    play.set(Topic.ERROR, notice="The source layer is gone; the result is on top.")
    assert play.is_seen("message")
    assert not play.is_seen("message-details")
    assert not play.is_seen("message-copy")


def check_a_path_in_an_error_may_be_broken_but_is_copied_as_it_is(play):
    path = "/home/marie/<b>" + "long" * 30 + "/file&.json"
    play.set(Topic.ERROR, error=LinkError("missing-file", path))
    shown = words_of(play.find("message-sentence"))
    assert "\u200b" in shown
    assert shown.replace("\u200b", "") == path
    play.find("message-copy").clicked()
    assert Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text() == play.studio.error.report


def check_the_dot_says_how_the_daemon_stands(play):
    seen = {}
    for theme in ("dark", "light"):
        have_theme(theme)
        for name in ("starting", "ready", "running", "error", "down"):
            play.set(Topic.STATUS, status=Status(name, f"It is {name}"))
            seen[name] = play.pixel("status-dot", 5, 5)
            assert name in play.find("status").get_accessible().get_name()
        red, green = seen["error"], seen["ready"]
        assert red[0] > 1.5 * max(red[1:]), red
        assert green[1] > 1.5 * max(green[0], green[2]), green
        assert len(set(seen.values())) == 5
    have_theme("dark")


def check_a_click_on_the_status_opens_what_is_known(play):
    opened = []
    status_bar.open_path = opened.append
    play.click("status")
    settle(0.4)
    assert play.is_seen("status-popup")
    shown = {name: words_of(play.find(f"status-{name}")) for name in ("version", "device", "memory", "features")}
    assert shown == {
        "version": "0.1.0",
        "device": "AMD Ryzen 7, 8 cores",
        "memory": "9.6 GB free",
        "features": "embedded",
    }
    play.studio.checks = (Check("found", True, "it is there"), Check("paint", False, "it is not"))
    play.click("self-test")
    assert words_of(play.find("self-test-result")).splitlines() == ["✓ found: it is there", "✕ paint: it is not"]
    play.studio.self_test = lambda on_checks: None
    play.click("self-test")
    assert words_of(play.find("self-test-result")) == "Testing…"
    play.set(Topic.ERROR, error=LinkError("no-daemon", "It does not run.", "Start it."))
    assert words_of(play.find("self-test-result")) == "It does not run. Start it."
    play.click("diagnostics-copy")
    assert Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text() == play.studio.diagnostics()
    play.click("log-open")
    assert opened == [play.studio.log_folder()]
    play.click("daemon-restart")
    assert play.studio.asked[-1] == ("restart_daemon",)
    play.set(Topic.STATUS, health=None)
    play.click("daemon-restart")
    assert play.studio.asked[-1] == ("start_daemon",)


@dataclasses.dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    text: str


# -------------------------------------------------------------------------------------------------------------- results


def check_the_results_are_shown_newest_first_and_the_newest_is_chosen(play):
    assert not play.is_seen("results-section")
    play.set(Topic.RESULTS, results=(result(1),))
    assert play.panel.results.chosen.number == 1
    play.set(Topic.RESULTS, results=(result(2), result(1)))
    assert play.panel.results.chosen.number == 2
    play.panel.results.choose(1)
    play.set(Topic.RESULTS, results=(result(3), result(2), result(1)))
    assert play.panel.results.chosen.number == 1
    play.set(Topic.RESULTS, results=(result(3), result(2)))
    assert play.panel.results.chosen.number == 2
    assert play.find("results-section").get_label() == "<b>Results (2)</b>"


def check_a_result_can_be_used_in_six_ways(play):
    one = result(1)
    play.set(Topic.RESULTS, results=(result(2), one))
    play.panel.results.choose(1)
    for name in ("toggle", "add-again", "use-settings", "go-on"):
        play.find(f"result-{name}").clicked()
    play.find("result-save").clicked()
    (dialog,) = [each for each in Gtk.Window.list_toplevels() if each.get_name() == "save-png"]
    assert dialog.get_current_name() == "Swirling night 60.png"
    assert not dialog.get_modal()
    dialog.set_current_folder(str(FOLDER))
    settle(0.5)
    dialog.set_current_name("kept")
    dialog.response(Gtk.ResponseType.ACCEPT)
    wait(lambda: "save" in play.asked())
    play.find("result-discard").clicked()
    assert play.studio.asked == [
        ("toggle", one),
        ("add_again", one),
        ("use_settings", one),
        ("go_on", one),
        ("save", one, str(FOLDER / "kept.png")),
        ("discard", one),
    ]
    words = ["Show/hide", "Add again", "Use these settings", "Go on", "Save as PNG…", "Discard"]
    assert [each.text for each in play.panel.results.entries()] == words


def check_results_are_reached_with_the_keyboard_and_a_context_menu(play):
    one = result(1)
    play.set(Topic.RESULTS, results=(one,))
    play.window.present()
    scroll = play.panel.scroll.get_vadjustment()
    scroll.set_value(scroll.get_upper())
    settle(0.3)
    play.find("results").get_child_at_index(0).grab_focus()
    settle(0.2)
    keys("Return", "Delete")
    assert play.studio.asked == [("toggle", one), ("discard", one)], play.studio.asked
    play.studio.asked.clear()
    press_on(play.find("results").get_child_at_index(0), 3)
    keys("Down", "Down", "Return")
    assert play.studio.asked == [("add_again", one)], play.studio.asked


def check_a_hidden_result_is_dimmed_and_one_whose_layer_is_gone_cannot_be_shown(play):
    play.studio.visible = {1: True}
    play.set(Topic.RESULTS, results=(result(1, thumbnail=picture(64, 64, (255, 0, 0))),))
    scroll = play.panel.scroll.get_vadjustment()
    settle(0.2)
    scroll.set_value(scroll.get_upper())
    tile = play.find("results").get_child_at_index(0)
    wait(lambda: tile.has_picture)
    tile.get_child().set_name("tile")

    def redness():
        red, green, _ = play.pixel("tile", 20, 32)
        return red - green

    assert redness() > 200
    play.studio.visible = {1: False}
    play.set(Topic.RESULTS)
    assert 30 < redness() < 150
    assert play.find("result-toggle").get_sensitive()
    play.studio.visible = {1: None}
    play.panel.results.look()
    assert not play.find("result-toggle").get_sensitive()
    assert "gone" in words_of(play.find("result-about"))


def check_a_thumbnail_that_comes_later_is_shown(play):
    play.set(Topic.RESULTS, results=(result(1, thumbnail=b""),))
    grid = play.find("results")
    settle(0.2)
    assert not grid.get_child_at_index(0).has_picture
    play.set(Topic.RESULTS, results=(result(1),))
    wait(lambda: grid.get_child_at_index(0).has_picture)


# ---------------------------------------------------------------------------------------------------------------- sheet


def check_one_click_makes_a_sheet_and_a_click_in_it_takes_the_settings(play):
    play.click("variations")
    assert play.studio.asked == [("open_sheet", "strength")]
    view = fake_studio.sheet()
    play.set(Topic.SHEET, sheet=view)
    window = play.panel.sheets.window
    settle(0.2)
    assert window.get_visible()
    assert not window.get_modal()
    assert play.find("cell-0-0").has_picture
    assert play.find("cell-1-2").words == "Painting…"
    assert play.find("cell-1-2").get_accessible().get_name().endswith("Painting…")
    play.click("cell-1-0")
    assert play.studio.asked[-1] == ("pick", view.cells[1][0])
    play.set(Topic.SETTINGS, settings=view.cells[1][0].settings)
    checked = [button.get_name() for row in window.buttons for button in row if button.get_active()]
    assert checked == ["cell-1-0"]
    play.click("cell-1-0")
    assert play.find("cell-1-0").get_active()
    play.set(Topic.SHEET, sheet=fake_studio.sheet(done=9))
    assert play.panel.sheets.window is window
    assert play.find("cell-2-2").has_picture
    window.close()
    settle(0.2)
    assert play.studio.asked[-1] == ("close_sheet",)
    assert play.panel.sheets.window is None


def check_a_sheet_that_the_studio_ends_is_closed_without_asking(play):
    play.set(Topic.SHEET, sheet=fake_studio.sheet())
    play.set(Topic.SHEET, sheet=None)
    assert play.studio.asked == []
    assert play.panel.sheets.window is None
    play.set(Topic.SHEET, sheet=fake_studio.sheet())
    play.window.destroy()
    settle()
    assert play.panel.sheets.window is None
    assert not [each for each in Gtk.Window.list_toplevels() if each.get_name() == "sheet"]


def check_weights_need_two_styles(play):
    weights = entry(play.panel.variations.entries(), "variations-weights")
    assert weights.is_on
    weights.action()
    assert play.studio.asked == [("open_sheet", "weights")]
    play.set(Topic.SETTINGS, settings=Settings())
    assert not entry(play.panel.variations.entries(), "variations-weights").is_on
