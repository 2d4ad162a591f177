"""Jobs from the host's side: a ticket's life with all that can come between, and questions."""

import threading
import time

import plugins
import pytest
from daemons import PATIENCE_S as BUSY_S
from daemons import QUICK, soft_mask
from daemons import running as running_daemon
from fake_link import (
    PATIENCE_S,
    FakeDaemonApi,
    FakeLoop,
    done,
    failed,
    plane,
    queued,
    refused,
    running,
    stopped,
    unreachable,
)

plugins.link()
from krita_scumble.link import driver as driver_module  # noqa: E402
from krita_scumble.link.daemon import Daemon  # noqa: E402
from krita_scumble.link.desk import Desk  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.finder import Finder  # noqa: E402
from krita_scumble.link.pixels import Plane  # noqa: E402
from krita_scumble.link.tickets import Order, Stage  # noqa: E402

CONTENT = plane()
RECIPE = {"styles": [{"picture": "library:night"}], "output": "layer"}
ORDER = Order(RECIPE, {"content": CONTENT})


class Office:
    """A desk with a daemon and a loop, and what was seen of each ticket."""

    def __init__(self, daemon=None, patience_s=1.0):
        self.daemon, self.loop, self.seen, self.threads = daemon or FakeDaemonApi(), FakeLoop(), [], set()
        self.desk = Desk(self.daemon, self.loop.deliver, self._changed, patience_s=patience_s)

    def _changed(self, ticket):
        self.threads.add(threading.current_thread())
        self.seen.append((ticket.stage, ticket.job and ticket.job.iteration, ticket.preview, ticket.is_away))

    @property
    def stages(self):
        """The stages that were seen, each once in a row."""
        found = [stage for stage, *_ in self.seen]
        return [stage for index, stage in enumerate(found) if index == 0 or stage is not found[index - 1]]

    def send(self, order=ORDER, title="A run"):
        ticket = self.desk.open(title)
        self.desk.send(ticket, order if callable(order) else lambda: order)
        return ticket

    def until(self, ticket, *stages, timeout_s=PATIENCE_S):
        self.loop.run_until(lambda: ticket.stage in stages or ticket.is_final, timeout_s)
        assert ticket.stage in stages, ticket.error and ticket.error.report
        return ticket


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(driver_module, "_NEWS_PAUSE_S", 0.01)
    monkeypatch.setattr(driver_module, "_AWAY_PAUSE_S", 0.02)
    monkeypatch.setattr(driver_module, "PREVIEW_S", 0.0)


@pytest.fixture
def office():
    office = Office()
    yield office
    office.desk.close()


# ----------------------------------------------------------------------------------------------------------- a good day


def test_jobs_wait_in_the_order_of_the_presses():
    """However long the first one takes to be made: its pixels may be many."""
    office, gate = Office(), threading.Event()
    office.daemon.story = [queued()]

    def slow():
        assert gate.wait(PATIENCE_S)
        return Order({"styles": [], "strength": 1}, {"content": CONTENT})

    office.send(slow)
    office.send(Order({"styles": [], "strength": 2}, {"content": CONTENT}))
    office.send(lambda: 1 / 0)
    last = office.send(Order({"styles": [], "strength": 4}, {"content": CONTENT}))
    time.sleep(0.2)
    assert "submit" not in office.daemon.names
    gate.set()
    office.until(last, Stage.QUEUED)
    assert [each["recipe"]["strength"] for each in office.daemon.arguments("submit")] == [1, 2, 4]
    office.desk.close()


def test_a_run_from_the_button_to_the_layer(office):
    office.daemon.story = [
        queued(1),
        running(1),
        running(2, preview=1),
        running(3, preview=2),
        done(warnings=("It is hot.",)),
    ]
    ticket = office.send()
    assert ticket.stage is Stage.READING  # nothing changes but by what was delivered
    office.until(ticket, Stage.INSERTING)
    assert bytes(ticket.result.data) == bytes(255 - value for value in bytes(CONTENT.data))
    assert (ticket.mask, ticket.kept, ticket.error, ticket.warnings) == (None, False, None, ("It is hot.",))
    assert (ticket.preview, ticket.preview_number) == (b"preview 2", 2)
    assert ticket.job.state == "done"
    assert office.desk.tickets == [ticket]
    office.desk.finish(ticket)
    office.loop.run()
    assert (ticket.stage, office.desk.tickets) == (Stage.DONE, [])
    order = [Stage.STARTING, Stage.SENDING, Stage.QUEUED, Stage.RUNNING, Stage.FETCHING, Stage.INSERTING, Stage.DONE]
    assert office.stages == [stage for stage in order if stage in office.stages]
    assert {Stage.RUNNING, Stage.INSERTING, Stage.DONE} <= set(office.stages)


def test_all_changes_happen_on_the_hosts_thread(office):
    office.until(office.send(), Stage.INSERTING)
    assert office.threads == {threading.current_thread()}


def test_it_is_sent_with_a_key_and_a_lease(office):
    office.until(office.send(), Stage.INSERTING)
    (sent,) = office.daemon.arguments("submit")
    assert (sent["recipe"], sent["parts"], sent["lease_s"]) == (RECIPE, {"content": CONTENT}, 120)
    assert len(sent["key"]) >= 32


def test_a_masked_result_comes_with_its_mask(office):
    mask = plane(channels=1)
    parts = {"content": CONTENT, "mask": mask}
    ticket = office.until(office.send(Order({**RECIPE, "output": "unmasked"}, parts)), Stage.INSERTING)
    assert ticket.mask == mask


def test_the_loop_need_not_turn_for_the_job_to_go_on(office):
    """A host that is busy for long, as with a menu held open, gets one word on all that has happened."""
    ticket = office.send()
    deadline = time.monotonic() + 20
    while "result" not in office.daemon.names and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (ticket.stage, office.seen) == (Stage.READING, [])
    office.until(ticket, Stage.INSERTING)
    assert len(office.seen) <= 2


def test_several_run_side_by_side(office):
    office.daemon.story = [queued(), running(1)]
    tickets = [office.send(title=f"Run {number}") for number in range(3)]
    office.loop.run_until(lambda: all(ticket.stage is Stage.RUNNING for ticket in tickets))
    assert [ticket.number for ticket in tickets] == [1, 2, 3]
    assert len({ticket.job.id for ticket in tickets}) == 3
    office.daemon.say(done())
    for ticket in tickets:
        office.until(ticket, Stage.INSERTING)


def test_previews_come_about_once_a_second(office, monkeypatch):
    monkeypatch.setattr(driver_module, "PREVIEW_S", 0.4)
    office.daemon.story = [running(0)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    began = time.monotonic()
    for number in range(1, 21):
        office.daemon.say(running(number, 20, preview=number))
    office.loop.run_until(lambda: ticket.preview_number == 20)  # the last one is not forgotten, though nothing follows
    took = time.monotonic() - began
    assert office.daemon.names.count("preview") <= took / 0.4 + 2 < 12


def test_a_job_that_says_nothing_new_is_not_asked_after_all_the_time(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    before = len(office.daemon.asked)
    time.sleep(0.5)
    assert len(office.daemon.asked) - before <= 2


def test_an_answer_at_once_without_news_is_no_reason_to_spin(office, monkeypatch):
    """A busy daemon does not hold questions open."""
    monkeypatch.setattr(office.daemon, "_has_news", lambda id, after: False)
    monkeypatch.setattr(office.daemon._news, "wait_for", lambda condition, timeout: None)
    office.send()
    time.sleep(0.7)
    assert 1 <= office.daemon.names.count("job") <= 5


def test_going_on_from_a_result(office):
    first = office.until(office.send(), Stage.INSERTING)
    office.desk.finish(first)
    second = office.desk.open("More")
    office.desk.go_on(second, first.job.id, 40, {"strength": 80})
    office.until(second, Stage.INSERTING)
    (asked,) = office.daemon.arguments("continue_")
    assert (asked["id"], asked["iterations"], asked["changes"]) == (first.job.id, 40, {"strength": 80})
    assert asked["lease_s"] == 120
    assert second.job.id != first.job.id
    assert second.result is not None


# ------------------------------------------------------------------------------------------------------------- stopping


def test_stop_and_keep_what_is_there(office):
    office.daemon.story = [running(1, preview=1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.preview is not None)
    office.desk.stop(ticket, keep=True)
    office.loop.run_until(lambda: ticket.stage is Stage.INSERTING, timeout_s=5)  # at once, in spite of the long poll
    assert (ticket.kept, ticket.is_stopping) == (True, False)
    assert ticket.result is not None
    office.desk.finish(ticket)
    office.loop.run()
    assert ticket.stage is Stage.DONE
    assert "forget" not in office.daemon.names  # it may be gone on from


def test_stop_ends_at_once_even_if_the_daemon_says_nothing(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    gate = office.daemon.block("forget")
    office.desk.stop(ticket, keep=False)
    office.loop.run()
    assert ticket.stage is Stage.STOPPED
    gate.set()
    office.loop.run_until(lambda: not office.daemon.jobs, timeout_s=5)
    assert (ticket.stage, ticket.error) == (Stage.STOPPED, None)


def test_a_waiting_run_is_taken_back(office):
    office.daemon.story = [queued(3)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.QUEUED)
    office.desk.withdraw(ticket)
    office.loop.run_until(lambda: not office.daemon.jobs)
    assert ticket.stage is Stage.STOPPED


def test_nothing_is_kept_of_what_has_not_begun(office):
    office.daemon.story = [queued(3)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.QUEUED)
    office.desk.stop(ticket, keep=True)
    office.until(ticket, Stage.STOPPED)
    assert ticket.error is None


def test_stopped_before_it_was_sent_it_is_not_sent(office):
    ticket = office.desk.open("Too early")
    office.desk.stop(ticket, keep=False)
    office.loop.run()
    assert ticket.stage is Stage.STOPPED
    office.desk.send(ticket, lambda: ORDER)  # the host had read on
    time.sleep(0.1)
    office.loop.run()
    assert (ticket.stage, office.daemon.asked) == (Stage.STOPPED, [])


@pytest.mark.parametrize("keep", [True, False])
def test_stopped_while_the_daemon_starts(office, keep):
    gate = office.daemon.block("connect")
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.STARTING)
    office.desk.stop(ticket, keep)
    office.loop.run()
    assert ticket.stage is Stage.STOPPED
    gate.set()
    time.sleep(0.1)
    assert "submit" not in office.daemon.names


def test_stopped_while_it_is_sent_no_job_stays(office):
    gate = office.daemon.block("submit")
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.SENDING)
    office.desk.stop(ticket, keep=False)
    office.loop.run()
    assert ticket.stage is Stage.STOPPED
    gate.set()
    office.loop.run_until(lambda: "forget" in office.daemon.names and not office.daemon.jobs)
    time.sleep(0.1)
    office.loop.run()
    assert [stage for stage, *_ in office.seen][-2:] == [Stage.SENDING, Stage.STOPPED]  # and nothing after that


def test_stopped_while_the_result_is_fetched(office):
    gate = office.daemon.block("result")
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.FETCHING)
    office.desk.stop(ticket, keep=False)
    gate.set()
    office.loop.run_until(lambda: not office.daemon.jobs)
    assert (ticket.stage, ticket.result) == (Stage.STOPPED, None)


def test_what_is_being_inserted_is_not_stopped(office):
    ticket = office.until(office.send(), Stage.INSERTING)
    office.desk.stop(ticket, keep=False)
    office.loop.run()
    assert ticket.stage is Stage.INSERTING
    office.desk.finish(ticket)
    office.loop.run()
    assert ticket.stage is Stage.DONE


def test_somebody_else_stops_it(office):
    office.daemon.story = [running(1), stopped()]
    assert office.until(office.send(), Stage.STOPPED).error is None
    office.daemon.story = [running(1), stopped(has_result=True)]
    assert office.until(office.send(), Stage.INSERTING).kept


def test_stop_and_keep_is_said_again_to_a_daemon_that_did_not_hear_it(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    office.daemon.once("stop", unreachable)
    office.desk.stop(ticket, keep=True)
    office.loop.run_until(lambda: ticket.is_stopping)
    office.daemon.say(running(2))  # it goes on as if nothing had been said
    office.until(ticket, Stage.INSERTING)
    assert ticket.kept


# ------------------------------------------------------------------------------------------------------------- bad days


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("connect", "not-installed"),
        ("connect", "no-daemon"),
        ("submit", "queue-full"),
        ("job", "not-found"),
        ("result", "result-gone"),
    ],
)
def test_what_is_refused_is_told(office, call, code):
    office.daemon.once(call, refused(code, "For a reason."))
    ticket = office.send()
    office.loop.run_until(lambda: ticket.is_final)
    assert (ticket.stage, ticket.error.code, ticket.error.detail) == (Stage.FAILED, code, "For a reason.")
    assert office.desk.tickets == []


def test_a_job_that_fails_says_why(office):
    office.daemon.story = [running(1), failed("out-of-memory", "It needs 9 GB.")]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.is_final)
    assert (ticket.error.code, ticket.error.detail) == ("out-of-memory", "It needs 9 GB.")


def test_an_order_that_cannot_be_made(office):
    def make_order():
        raise LinkError("missing-style", "The picture is gone.")

    ticket = office.send(make_order)
    office.loop.run_until(lambda: ticket.is_final)
    assert ticket.error.code == "missing-style"
    assert "submit" not in office.daemon.names


def test_a_mistake_of_ours_ends_in_an_error_too(office, caplog):
    ticket = office.send(lambda: {}["no such"])
    office.loop.run_until(lambda: ticket.is_final)
    assert (ticket.stage, ticket.error.code) == (Stage.FAILED, "internal")
    assert "KeyError" in ticket.error.report
    assert "Traceback" not in ticket.error.report


def test_what_the_host_cannot_read_or_insert(office):
    unread = office.desk.open("A run")
    office.desk.fail(unread, LinkError("layer-gone", "The layer is gone."))
    office.loop.run()
    assert (unread.stage, unread.error.code) == (Stage.FAILED, "layer-gone")
    closed = office.until(office.send(), Stage.INSERTING)
    office.desk.fail(closed, LinkError("document-closed", "The document was closed."))
    office.loop.run()
    assert (closed.stage, closed.error.code) == (Stage.FAILED, "document-closed")
    assert closed.result is not None  # it can be offered
    assert "forget" not in office.daemon.names


def test_after_the_end_nothing_changes(office):
    ticket = office.until(office.send(), Stage.INSERTING)
    office.desk.finish(ticket)
    office.loop.run()
    office.desk.fail(ticket, LinkError("internal", "Too late."))
    office.desk.stop(ticket, keep=False)
    office.desk.finish(ticket)
    office.desk.send(ticket, lambda: ORDER)
    office.loop.run()
    assert (ticket.stage, ticket.error) == (Stage.DONE, None)


def test_a_preview_that_cannot_be_had_is_done_without(office):
    office.daemon.once("preview", refused("internal"))
    assert office.until(office.send(), Stage.INSERTING).preview is None


# ------------------------------------------------------------------------------------------------ a daemon that is away


def test_a_daemon_that_dies_is_started_again_and_the_job_goes_on(office):
    office.daemon.story = [queued(), running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    id = ticket.job.id
    office.daemon.die()
    office.loop.run_until(lambda: office.daemon.starts == 1)
    office.daemon.say(running(2), done())
    office.until(ticket, Stage.INSERTING)
    assert (ticket.job.id, ticket.is_away) == (id, False)
    assert any(is_away for *_, is_away in office.seen)
    assert office.daemon.names.count("submit") == 1


def test_it_is_started_again_only_once(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    office.daemon.die()
    office.loop.run_until(lambda: office.daemon.starts == 1)
    office.loop.run_until(lambda: not ticket.is_away)
    office.daemon.die()
    office.loop.run_until(lambda: ticket.is_final)
    assert (ticket.stage, ticket.error.code, office.daemon.starts) == (Stage.FAILED, "no-daemon", 1)


def test_it_may_come_back_by_itself(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    for _ in range(2):  # the second time it is not started by the desk
        office.daemon.die()
        office.loop.run_until(lambda: ticket.is_away)
        office.daemon.revive()
        office.loop.run_until(lambda: not ticket.is_away, timeout_s=5)  # though it has nothing new to say
    office.daemon.say(done())
    office.until(ticket, Stage.INSERTING)


def test_a_daemon_that_is_gone_for_good_is_not_waited_for(office):
    office.desk.close()
    office = Office(patience_s=60)
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    office.daemon.die(can_start=False)
    office.loop.run_until(lambda: ticket.is_final, timeout_s=20)
    assert (ticket.stage, ticket.error.code) == (Stage.FAILED, "not-installed")


def test_a_daemon_that_does_not_start_again_may_yet_come_back(office):
    office.desk.close()
    office = Office(patience_s=60)
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    office.daemon.once("connect", refused("unreachable", "It said: the disk is full."))
    office.daemon.die()
    office.loop.run_until(lambda: ticket.is_away)
    time.sleep(0.2)
    assert [asked["start"] for asked in office.daemon.arguments("connect")][:3] == [True, True, False]
    assert office.daemon.starts == 0
    office.daemon.revive()
    office.daemon.say(done())
    office.until(ticket, Stage.INSERTING)


def test_in_the_end_it_is_told_why_the_daemon_did_not_start_again(office):
    office.desk.close()
    office = Office(patience_s=0.3)
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    office.daemon.once("connect", refused("unreachable", "It said: the disk is full."))
    office.daemon.die()
    office.loop.run_until(lambda: ticket.is_final)
    assert ticket.error.detail == "It said: the disk is full."


def test_a_daemon_that_is_about_to_end_is_started_when_it_has_ended(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    office.daemon.once("job", *[refused("stopping")] * 5, office.daemon.die)
    office.daemon.say(running(2))
    office.loop.run_until(lambda: office.daemon.starts == 1)
    office.daemon.say(done())
    office.until(ticket, Stage.INSERTING)


def test_silence_and_a_daemon_that_is_stopping_are_waited_out(office):
    office.daemon.once("submit", unreachable, refused("stopping"))
    office.daemon.once("job", unreachable)
    office.daemon.once("result", unreachable)
    ticket = office.until(office.send(), Stage.INSERTING)
    keys = {sent["key"] for sent in office.daemon.arguments("submit")}
    assert (len(office.daemon.arguments("submit")), len(keys)) == (3, 1)  # a repeat makes no second job
    assert len(office.daemon.jobs) == 1
    assert ticket.result is not None


def test_patience_has_an_end(office):
    office.desk.close()
    office = Office(patience_s=0.2)
    office.daemon.once("job", *[unreachable] * 100)
    ticket = office.send()
    office.loop.run_until(lambda: ticket.is_final)
    assert (ticket.stage, ticket.error.code) == (Stage.FAILED, "unreachable")


def test_stop_while_the_daemon_is_away(office):
    office.desk.close()
    office = Office(patience_s=60)
    office.daemon.once("job", *[unreachable] * 10_000)
    ticket = office.send()
    office.loop.run_until(lambda: ticket.is_away)
    office.desk.stop(ticket, keep=False)
    office.loop.run()
    assert ticket.stage is Stage.STOPPED
    office.loop.run_until(lambda: "forget" in office.daemon.names)
    asked = office.daemon.names.count("job")
    time.sleep(0.1)
    assert office.daemon.names.count("job") <= asked + 1  # its thread has ended


# -------------------------------------------------------------------------------------------------------------- closing


def test_when_the_host_ends_the_daemon_is_told(office):
    office.daemon.story = [running(1)]
    tickets = [office.send(), office.send()]
    office.loop.run_until(lambda: all(ticket.stage is Stage.RUNNING for ticket in tickets))
    office.desk.close()
    assert office.daemon.jobs == {}
    seen = len(office.seen)
    office.daemon.say(done())
    time.sleep(0.1)
    office.loop.run()
    assert len(office.seen) == seen


def test_closing_does_not_wait_for_a_daemon_that_is_silent(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    gate = office.daemon.block("forget")
    began = time.monotonic()
    office.desk.close()
    assert time.monotonic() - began < 2
    gate.set()


def test_a_result_that_was_inserted_is_not_forgotten_when_the_host_ends(office):
    office.until(office.send(), Stage.INSERTING)
    office.desk.close()
    assert "forget" not in office.daemon.names


def test_its_threads_do_not_hold_the_host_up(office):
    office.daemon.story = [running(1)]
    ticket = office.send()
    office.loop.run_until(lambda: ticket.stage is Stage.RUNNING)
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("scumble ")]
    assert ours
    assert all(thread.daemon for thread in ours)


# ------------------------------------------------------------------------------------------------------------ questions


def test_a_question_and_its_answer(office):
    heard = []

    def ask(daemon):
        heard.append(threading.current_thread())
        return daemon.health()

    office.desk.ask(ask, heard.append, heard.append)
    office.loop.run_until(lambda: len(heard) == 2)
    assert heard[0] is not threading.current_thread()
    assert heard[1] == office.daemon.state


def test_a_question_that_fails(office):
    errors = []
    office.daemon.once("health", refused("unreachable"))
    office.desk.ask(lambda daemon: daemon.health(), pytest.fail, errors.append)
    office.desk.ask(lambda daemon: 1 / 0, pytest.fail, errors.append)
    office.desk.ask(lambda daemon: 1 / 0, pytest.fail)  # nobody wants to know
    office.loop.run_until(lambda: len(errors) == 2)
    assert {error.code for error in errors} == {"unreachable", "internal"}


def test_of_several_questions_on_a_topic_the_latest_is_answered(office):
    gate, asked, answers = office.daemon.block("estimate"), [], []

    def ask(number):
        def question(daemon):
            asked.append(number)
            daemon.estimate({}, number, 1)
            return number

        return question

    for number in range(10):
        office.desk.ask(ask(number), answers.append, pytest.fail, topic="estimate")
        office.loop.run_until(lambda: asked)  # the first one is under way
    gate.set()
    office.loop.run_until(lambda: answers)
    time.sleep(0.1)
    office.loop.run()
    assert answers == [9]
    assert asked == [0, 9]  # the others were not even asked
    office.desk.ask(ask(10), answers.append, pytest.fail, topic="estimate")
    office.loop.run_until(lambda: answers == [9, 10])


def test_an_answer_that_was_delivered_already_gives_way_to_a_newer_question(office):
    answers = []
    office.desk.ask(lambda daemon: "old", answers.append, topic="health")
    time.sleep(0.2)  # it lies in the loop
    office.desk.ask(lambda daemon: "new", answers.append, topic="health")
    office.loop.run_until(lambda: answers)
    time.sleep(0.1)
    office.loop.run()
    assert answers == ["new"]


def test_topics_do_not_wait_for_each_other(office):
    gate, answers = office.daemon.block("estimate"), []
    office.desk.ask(lambda daemon: daemon.estimate({}, 1, 1), pytest.fail, topic="estimate")
    office.desk.ask(lambda daemon: "well", answers.append, topic="health")
    office.loop.run_until(lambda: answers == ["well"])
    office.desk.close()
    gate.set()


def test_a_desk_that_is_closed_answers_nothing(office):
    answers = []
    office.desk.ask(lambda daemon: "well", answers.append)
    office.desk.close()
    time.sleep(0.1)
    office.loop.run()
    assert answers == []


# -------------------------------------------------------------------------------------------------------- a real daemon


def picture(width, height, channels=4):
    return Plane(width, height, channels, 1, bytes(range(256)) * (width * height * channels // 256))


def real_order(**recipe):
    """Of a picture of 64 × 48 px the disc in the middle."""
    mask = Plane(64, 48, 1, 1, soft_mask(64, 48).tobytes())
    told = {**QUICK, "styles": [{"picture": "library:tides"}], "selection": "mask", "output": "unmasked", **recipe}
    return Order(told, {"content": picture(64, 48), "mask": mask})


def real_office(daemon, patience_s=60.0):
    return Office(Daemon(Finder(daemon.home)), patience_s)


def test_a_real_daemon_paints(daemon):
    office = real_office(daemon)
    order = real_order()
    ticket = office.until(office.send(order), Stage.INSERTING, timeout_s=BUSY_S)
    assert (ticket.result.width, ticket.result.height, ticket.result.channels) == (64, 48, 4)
    assert (ticket.mask.width, ticket.mask.height, ticket.mask.channels) == (64, 48, 1)
    assert bytes(ticket.result.data) != bytes(order.parts["content"].data)
    assert ticket.job.features
    again = office.desk.open("More")
    office.desk.go_on(again, ticket.job.id, 2, {"strength": 90})
    office.until(again, Stage.INSERTING, timeout_s=BUSY_S)
    assert bytes(again.result.data) != bytes(ticket.result.data)
    office.desk.close()


def test_a_real_job_is_stopped_and_kept_or_not(daemon):
    office = real_office(daemon)
    long = real_order(iterations=[100_000])
    kept = office.send(long)
    office.loop.run_until(lambda: kept.job is not None, timeout_s=BUSY_S)  # of two at once either may be the first
    stopped = office.send(long)
    office.loop.run_until(lambda: kept.job.iteration > 0, timeout_s=BUSY_S)
    office.desk.withdraw(stopped)
    office.desk.stop(kept, keep=True)
    office.until(kept, Stage.INSERTING, timeout_s=BUSY_S)
    assert kept.kept
    assert kept.result.width == 64
    assert stopped.stage is Stage.STOPPED
    office.loop.run_until(lambda: daemon.ask("GET", f"/v1/jobs/{kept.job.id}").status == 200)
    office.desk.close()


def test_a_real_daemon_refuses(daemon):
    office = real_office(daemon)
    ticket = office.send(
        Order({"strength": 1000, "styles": [{"picture": "library:tides"}]}, {"content": picture(64, 48)})
    )
    office.loop.run_until(lambda: ticket.is_final, timeout_s=BUSY_S)
    assert (ticket.error.code, ticket.stage) == ("bad-recipe", Stage.FAILED)
    assert "strength" in ticket.error.detail


def is_painted(job):
    return job["state"] == "running" and job["iteration"] > 0


def test_a_daemon_that_is_killed_comes_back_and_its_job_goes_on(tmp_path):
    with running_daemon(tmp_path) as daemon:
        office = real_office(daemon)
        ticket = office.send(real_order(iterations=[3000]))
        office.loop.run_until(lambda: ticket.job is not None and ticket.job.iteration > 0, timeout_s=BUSY_S)
        id = ticket.job.id
        daemon.kill()
        daemon.restart()
        seq = daemon.wait(id, until=is_painted)["seq"]
        office.loop.run_until(lambda: ticket.job.seq >= seq, timeout_s=BUSY_S)
        assert (ticket.job.id, ticket.is_away) == (id, False)
        office.desk.stop(ticket, keep=True)
        office.until(ticket, Stage.INSERTING, timeout_s=BUSY_S)
        assert ticket.result.width == 64
        office.desk.close()


def test_a_daemon_that_is_killed_and_that_nobody_starts_again_is_started(tmp_path):
    with running_daemon(tmp_path) as daemon:
        office = real_office(daemon)
        ticket = office.send(real_order(iterations=[3000]))
        office.loop.run_until(lambda: ticket.job is not None and ticket.job.iteration > 0, timeout_s=BUSY_S)
        id, first = ticket.job.id, daemon.pid
        daemon.kill()
        try:
            office.loop.run_until(lambda: ticket.is_away, timeout_s=BUSY_S)
            office.loop.run_until(lambda: not ticket.is_away, timeout_s=BUSY_S)
            assert office.daemon.connect(start=False).pid != first
            assert ticket.job.id == id
            assert ticket.stage in {Stage.QUEUED, Stage.RUNNING}
            office.desk.stop(ticket, keep=False)
            office.loop.run_until(lambda: ticket.is_final, timeout_s=BUSY_S)
            office.desk.close()
        finally:
            Finder(daemon.home).stop()
