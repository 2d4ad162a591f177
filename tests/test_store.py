"""Jobs on the disk: nothing that was accepted is lost, whatever happens to the process, the disk or the database."""

import hashlib
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scumble.errors import ScumbleError
from scumble.home import private_folder, write_private
from scumble.protocol import Kind, Problem, Rectangle, State, TrainRequest
from scumble.recipe import Recipe
from scumble.service import blobs, store
from scumble.service.orders import Input, Order, Training
from scumble.service.records import Record, Result
from scumble.service.settings import Limits
from scumble.service.store import Store

# ------------------------------------------------------------------------------------------------------------- helpers


def order(digest="d" * 64, **fields):
    given = {"recipe": Recipe(seed=1), "content": Input("content", digest), "pictures": (), "width": 8, "height": 6}
    return Order(**{**given, "bounds": None, **fields})


def record(id="job-1", **fields):
    return Record(**{"id": id, "number": 0, "order": order(), "rank": 0.0, **fields})


def opened(folder, **limits):
    return closing(Store(folder / "store", Limits(**limits)))


def fill(store, count):
    """So many jobs, with pictures, results, and a change that came later."""
    added = []
    for n in range(count):
        with store.batch() as batch:
            digest = batch.put(b"picture %d" % n)
            job = store.add(record(f"job-{n}", order=order(digest, key=f"key {n}")))
        (store.job_folder(job.id) / "result.png").write_bytes(b"result %d" % n)
        job = job.changed(state=State.DONE, result=Result("result.png", "x", 8), warnings=("w" * 1000,))
        store.update([job])
        added.append(job)
    return added


@contextmanager
def small_disk(folder, size="1m", options=""):
    """A file system of its own, as large as that."""
    private_folder(folder)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700{options}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or os.geteuid() != 0 or subprocess.run(mounting, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def stuff(folder):
    """Fill a disk to the last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return filler


def open_to_others(folder):
    """Everything in the folder, itself included, that anybody but its user may look at."""
    return [path for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------------------- records

SIDES = st.integers(1, 10**6)
RECTANGLES = st.builds(Rectangle, x=st.integers(0, 10**6), y=st.integers(0, 10**6), width=SIDES, height=SIDES)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=20)
INPUTS = st.builds(Input, TEXTS, TEXTS, st.none() | RECTANGLES)
RECIPES = st.builds(
    lambda strength, iterations, seed, names: Recipe.parse(
        {"strength": strength, "iterations": iterations, "seed": seed, "styles": [{"picture": name} for name in names]}
    ),
    st.floats(0, 100),
    st.none() | st.lists(st.integers(1, 100), min_size=1, max_size=3),
    st.integers(0, 2**63 - 1),
    st.lists(st.text(min_size=1, max_size=9), max_size=3),
)
TRAININGS = st.builds(
    Training,
    request=st.builds(TrainRequest, name=st.none() | st.just("night"), steps=st.integers(1, 9), lease_s=st.none()),
    labels=st.lists(TEXTS, max_size=3).map(tuple),
)
ORDERS = st.builds(
    Order,
    recipe=RECIPES,
    content=INPUTS,
    pictures=st.lists(INPUTS, max_size=3).map(tuple),
    width=SIDES,
    height=SIDES,
    bounds=st.none() | RECTANGLES,
    lease_s=st.none() | FLOATS,
    key=st.none() | TEXTS,
    continues=st.none() | TEXTS,
    training=st.none() | TRAININGS,
)
PROBLEMS = st.builds(Problem, title=TEXTS, status=st.integers(400, 599), detail=TEXTS, code=TEXTS, hint=TEXTS)
RECORDS = st.builds(
    Record,
    id=TEXTS,
    number=st.integers(0, 2**60),
    order=ORDERS,
    rank=FLOATS,
    created=st.datetimes(timezones=st.just(UTC) | st.just(datetime.now().astimezone().tzinfo)),
    state=st.sampled_from(State),
    result=st.none() | st.builds(Result, TEXTS, TEXTS, st.integers(0)),
    features=st.none() | TEXTS,
    device=st.none() | TEXTS,
    seconds=FLOATS,
    iteration=st.integers(0),
    iterations=st.integers(0),
    losses=st.dictionaries(TEXTS, FLOATS, max_size=3),
    warnings=st.lists(TEXTS, max_size=3).map(tuple),
    problem=st.none() | PROBLEMS,
    previews=st.integers(0),
    preview_bounds=st.none() | RECTANGLES,
    was_fetched=st.booleans(),
    is_kept=st.booleans(),
    crashes=st.integers(0, 3),
    is_ending=st.booleans(),
    model=st.none() | TEXTS,
)
JUNK = st.sampled_from([None, [], {}, 7, "x", [[]], True, -1.5])


LATER = {"training", "found", "is_ending", "model"}
"""What older records do not say."""


@given(RECORDS)
def test_a_record_comes_back_from_json_as_it_went(given):
    if given.order.training is not None:
        given = given.changed(order=replace(given.order, content=None))
    found = Record.from_dict(json.loads(json.dumps(given.as_dict())))
    assert found == given
    assert found.order.fingerprint == given.order.fingerprint


@given(RECORDS)
def test_a_record_from_before_there_were_trainings_is_a_painting(given):
    old = given.changed(order=replace(given.order, training=None), model=None, is_ending=False)
    written = old.as_dict()
    for name in LATER:
        written.pop(name, None)
        written["order"].pop(name, None)
    found = Record.from_dict(json.loads(json.dumps(written)))
    assert found == old
    assert found.order.kind is Kind.PAINT


@given(RECORDS, st.data())
def test_a_damaged_record_is_refused_with_the_errors_that_are_announced(given, data):
    damaged = given.as_dict()
    part = data.draw(st.sampled_from([damaged, damaged["order"], damaged["order"]["content"]]))
    name = data.draw(st.sampled_from(sorted(part)))
    if data.draw(st.booleans()) and name not in LATER:
        del part[name]
        with pytest.raises((KeyError, TypeError, ValueError, ScumbleError)):
            Record.from_dict(damaged)
    else:
        part[name] = data.draw(JUNK)
        store._record(json.dumps(damaged))  # raises nothing


@pytest.mark.parametrize("text", ["", "7", "null", "[]", "{}", '{"id": 1}', "[" * 100_000, "\x00"])
def test_what_is_no_record_is_none(text):
    assert store._record(text) is None


def test_the_fingerprint_tells_orders_apart_and_nothing_else():
    assert order().fingerprint == order(lease_s=3.0, key="k").fingerprint
    others = [
        order("e" * 64),
        order(recipe=Recipe(seed=2)),
        order(pictures=(Input("s", "d" * 64),)),
        order(content=Input("content", "d" * 64, Rectangle(x=0, y=0, width=1, height=1))),
    ]
    assert len({each.fingerprint for each in [order(), *others]}) == 5


# -------------------------------------------------------------------------------------------------------------- folders


def test_a_private_folder_is_private_all_the_way(tmp_path):
    with umask(0):
        private_folder(tmp_path / "a" / "b" / "c")
    assert open_to_others(tmp_path / "a") == []
    (tmp_path / "a").chmod(0o755)
    private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755  # what was there before is not its business
    private_folder(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path):
    (tmp_path / "a").touch()
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(ScumbleError, match="cannot be made") as caught:
            private_folder(path)
        assert caught.value.code == "cannot-write"


def test_a_private_file_is_whole_or_not_there(tmp_path, monkeypatch):
    with umask(0):
        write_private(tmp_path / "a", b"one")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600

    def broken(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        write_private(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_a_private_file_replaces_a_link_and_does_not_follow_it(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    write_private(tmp_path / "a", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"
    assert not (tmp_path / "a").is_symlink()


# ---------------------------------------------------------------------------------------------------------------- blobs


def test_a_picture_is_kept_once_under_its_digest(tmp_path):
    with opened(tmp_path) as store:
        with store.batch() as batch:
            first, second = batch.put(b"pixels"), batch.put(b"pixels")
            incoming = batch.incoming()
            incoming.write(b"pix")
            incoming.write(memoryview(bytearray(b"els")))
            assert (incoming.size, incoming.seek(0), incoming.read()) == (6, 0, b"pixels")
            third = batch.adopt(incoming)
            assert batch.blob(third).read_bytes() == b"pixels"
        assert first == second == third == hashlib.sha256(b"pixels").hexdigest()
        assert names(tmp_path / "store" / "pictures") == [first]
        assert names(tmp_path / "store" / "incoming") == []


def test_what_was_not_adopted_vanishes_also_when_the_request_fails(tmp_path):
    with opened(tmp_path) as store:
        with pytest.raises(ZeroDivisionError), store.batch() as batch:
            batch.put(b"kept until somebody sweeps")
            batch.incoming().write(b"unfinished")
            closed = batch.incoming()
            closed.close()
            assert len(names(tmp_path / "store" / "incoming")) == 2
            raise ZeroDivisionError
        assert names(tmp_path / "store" / "incoming") == []


def test_a_pinned_picture_survives_a_sweep_until_the_last_batch_ends(tmp_path):
    with opened(tmp_path) as store:
        with store.batch() as first:
            digest = first.put(b"pixels")
            with store.batch() as second:
                second.put(b"pixels")
                second.put(b"pixels")
            store.sweep(list)
            assert first.blob(digest).exists()
        with store.batch() as third:
            third.hold([digest])
            store.sweep(list)
            assert first.blob(digest).exists()
        store.sweep(list)
        assert not first.blob(digest).exists()


def test_a_picture_is_not_swept_while_a_job_takes_it_over_from_its_batch(tmp_path):
    """The jobs are looked at, then the last batch with the picture ends, then the sweep goes on."""
    with opened(tmp_path) as store:
        batch = blobs.Batch(store.blobs)
        digest = batch.put(b"pixels")
        ending = threading.Thread(target=batch.end)

        def no_jobs_yet():
            ending.start()
            ending.join(0.2)
            return []

        store.sweep(no_jobs_yet)
        ending.join()
        assert store.blobs.path(digest).exists()


def test_only_pictures_of_kept_jobs_are_wanted(tmp_path):
    with opened(tmp_path) as store:
        with store.batch() as batch:
            kept, gone = batch.put(b"kept"), batch.put(b"gone")
        jobs = [record("a", order=order(kept)), record("b", order=order(gone), is_kept=False)]
        (tmp_path / "store" / "pictures" / "a-folder").mkdir()
        store.sweep(lambda: jobs)
        assert names(tmp_path / "store" / "pictures") == sorted([kept, "a-folder"])  # which stops nobody


def test_a_damaged_picture_is_healed_by_the_same_one(tmp_path):
    with opened(tmp_path) as store, store.batch() as batch:
        digest = batch.put(b"pixels")
        batch.blob(digest).write_bytes(b"rot")
        assert batch.put(b"pixels") == digest
        assert batch.blob(digest).read_bytes() == b"pixels"


def test_a_picture_that_cannot_be_adopted_is_not_pinned_for_ever(tmp_path, monkeypatch):
    with opened(tmp_path) as store, store.batch() as batch:
        digest = hashlib.sha256(b"pixels").hexdigest()
        store.blobs.path(digest).write_bytes(b"pixels")

        def broken(path):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(blobs, "sync_folder", broken)
        with pytest.raises(ScumbleError, match="Input/output error"):
            batch.put(b"pixels")
        store.sweep(list)
        assert not store.blobs.path(digest).exists()


def test_sizes_count_what_is_there(tmp_path):
    with opened(tmp_path) as store, store.batch() as batch:
        digest = batch.put(b"pixels")
        assert store.blobs.sizes({digest, "f" * 64}) == 6


def test_what_is_read_and_swept_at_the_same_time_is_no_error(tmp_path, monkeypatch):
    with opened(tmp_path) as store:
        job = fill(store, 1)[0]
        path_type = type(tmp_path)
        whole = path_type.stat

        def gone(path, **rest):
            if path.name in {"result.png", job.order.content.digest}:
                path.unlink(missing_ok=True)
            return whole(path, **rest)

        monkeypatch.setattr(path_type, "stat", gone)
        assert store.bytes_of(job) == whole(store.job_folder(job.id) / "job.json").st_size
        assert store.blobs.sizes(job.order.digests) == 0
        assert store.bytes_of(record("unknown")) == 0


def test_an_earlier_life_leaves_nothing_half_done(tmp_path):
    with opened(tmp_path) as store:
        kept = fill(store, 1)[0]
        lost = store.blobs.receive()
        lost.write(b"half")
        lost.close()
        with store.batch() as batch:
            batch.put(b"of no job")
        stray = private_folder(store.job_folder("stray"))
        (stray / "result.part").touch()
        (store.job_folder(kept.id) / ".preview.jpg-00.tmp").touch()
    with opened(tmp_path) as store:
        store.tidy()
        assert names(tmp_path / "store" / "incoming") == []
        assert names(tmp_path / "store" / "pictures") == [kept.order.content.digest]
        assert names(tmp_path / "store" / "jobs") == [kept.id]
        assert names(store.job_folder(kept.id)) == ["job.json", "result.png"]
        assert store.records() == [kept]


def test_all_that_is_made_is_for_its_user_alone(tmp_path):
    with umask(0), opened(tmp_path / "home") as store:
        fill(store, 2)
        with store.batch() as batch:
            batch.incoming().write(b"unfinished")
            assert any("wal" in path.name for path in (tmp_path / "home" / "store").iterdir())
            for path in (tmp_path / "home").rglob("result.png"):  # which a worker makes
                path.chmod(0o600)
            assert open_to_others(tmp_path / "home") == []


# ----------------------------------------------------------------------------------------------------------- full disks


def test_a_full_disk_keeps_nothing_by_halves(tmp_path):
    with small_disk(tmp_path / "disk") as disk, opened(disk) as store:
        before = fill(store, 2)
        pictures, jobs = disk / "store" / "pictures", disk / "store" / "jobs"
        there = names(pictures), names(jobs)
        with pytest.raises(ScumbleError, match="full") as caught, store.batch() as batch:
            batch.put(b"x" * 2**21)
        assert caught.value.code == "disk-full"
        assert (names(pictures), names(jobs)) == there
        assert names(disk / "store" / "incoming") == []

        filler = stuff(disk)
        with pytest.raises(ScumbleError) as caught:
            store.add(record("one-too-many"))
        assert caught.value.code == "disk-full"
        with pytest.raises(ScumbleError) as caught:
            store.update([before[0].changed(warnings=("long " * 10_000,))])
        assert caught.value.code == "disk-full"
        assert (names(pictures), names(jobs)) == there
        assert store.records() == before
        with pytest.raises(ScumbleError) as caught:
            store.check_room()
        assert caught.value.code == "disk-full"

        filler.unlink()
        added = store.add(record("now-it-fits"))
        assert store.records() == [*before, added]


def test_a_job_can_be_forgotten_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk") as disk, opened(disk) as store:
        first, second = fill(store, 2)
        (store.job_folder(first.id) / "result.png").write_bytes(b"x" * 2**17)
        stuff(disk)
        store.forget([first.id])
        assert store.records() == [second]
        assert names(disk / "store" / "jobs") == [second.id]


def test_a_full_disk_is_told_when_the_store_is_opened(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        with opened(disk) as store:
            fill(store, 2)
        filler = stuff(disk)
        with pytest.raises(ScumbleError) as caught:
            Store(disk / "store", Limits())
        assert caught.value.code == "disk-full"
        filler.unlink()
        with opened(disk) as store:
            assert len(store.records()) == 2
        assert not list((disk / "store").glob("*damaged*"))


def test_a_write_that_finds_no_room_is_told_by_name(tmp_path, monkeypatch):
    with opened(tmp_path) as store:

        def full(*rest, **others):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ScumbleError) as caught, store.batch() as batch:
            batch.put(b"pixels")
        assert caught.value.code == "disk-full"
        with pytest.raises(ScumbleError) as caught:
            store.add(record())
        assert caught.value.code == "disk-full"
        monkeypatch.undo()
        assert store.records() == []
        assert not list((tmp_path / "store").rglob("*job*/*"))
        monkeypatch.setattr(os, "open", full)
        with pytest.raises(ScumbleError) as caught, store.batch() as batch:
            batch.incoming()
        assert caught.value.code == "disk-full"
        monkeypatch.undo()


def test_room_is_wanted_beyond_the_spare(tmp_path, monkeypatch):
    with opened(tmp_path, spare_bytes=1000) as store:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 0, 1500))
        store.check_room(500)
        with pytest.raises(ScumbleError, match="are needed"):
            store.check_room(501)


def test_a_folder_that_cannot_be_written_gives_a_sentence(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        with opened(disk) as store:
            fill(store, 2)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for folder in (disk / "store", disk / "new"):
            with pytest.raises(ScumbleError, match=r"[Rr]ead-?only") as caught:
                Store(folder, Limits())
            assert caught.value.code == "cannot-write"
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        with opened(disk) as store:
            assert len(store.records()) == 2


def test_a_database_that_another_holds_is_not_put_aside(tmp_path, monkeypatch):
    with opened(tmp_path) as store:
        fill(store, 1)
    whole = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **rest: whole(path, timeout=0.01, **rest))
    with closing(whole(tmp_path / "store" / "jobs.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ScumbleError, match="locked") as caught:
            Store(tmp_path / "store", Limits())
        assert caught.value.code == "cannot-write"
        other.execute("ROLLBACK")
    with opened(tmp_path) as store:
        assert len(store.records()) == 1
    assert not list((tmp_path / "store").glob("*damaged*"))


# ------------------------------------------------------------------------------------------------- durable and in order

CHILD = """
import sys, time
from pathlib import Path
from scumble.recipe import Recipe
from scumble.service.orders import Input, Order
from scumble.service.records import Record
from scumble.service.settings import Limits
from scumble.service.store import Store

store = Store(Path(sys.argv[1]), Limits())
for n in range(3):
    with store.batch() as batch:
        order = Order(Recipe(seed=n), Input("content", batch.put(b"picture %d" % n)), (), 8, 6, None)
        print(store.add(Record(f"job-{n}", 0, order, 0.0)).id, flush=True)
        if n == 2:
            time.sleep(1000)
"""


def test_an_added_job_survives_that_its_process_is_killed_at_once(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "store")], stdout=subprocess.PIPE)
    with child:
        told = [child.stdout.readline().decode().strip() for _ in range(3)]
        child.kill()
    with opened(tmp_path) as store:
        store.tidy()
        found = store.records()
        assert [each.id for each in found] == told == ["job-0", "job-1", "job-2"]
        assert [each.order.recipe.seed for each in found] == [0, 1, 2]
        for n, each in enumerate(found):
            assert store.blobs.path(each.order.content.digest).read_bytes() == b"picture %d" % n


def test_what_is_told_is_on_the_disk_before(tmp_path, monkeypatch):
    """Files and folders that were made are synced before the record is, and all of it before `add` returns."""
    synced = []
    whole = os.fsync

    def noted(handle):
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        whole(handle)

    with opened(tmp_path) as store:
        monkeypatch.setattr(os, "fsync", noted)
        with store.batch() as batch:
            digest = batch.put(b"pixels")
            store.add(record("job-1", order=order(digest)))
        (synchronous,) = store._database.execute("PRAGMA synchronous").fetchone()
    folder = tmp_path / "store"
    assert [path.replace(str(folder), "").split("/")[1] for path in synced] == ["incoming", "pictures", *["jobs"] * 3]
    assert synced[1] == str(folder / "pictures")
    assert synced[3:] == [str(folder / "jobs" / "job-1"), str(folder / "jobs")]
    assert synchronous == 2  # FULL


def test_numbers_grow_also_after_forgetting(tmp_path):
    with opened(tmp_path) as store:
        jobs = fill(store, 3)
        assert [(each.number, each.rank) for each in jobs] == [(1, 1.0), (2, 2.0), (3, 3.0)]
        store.forget([jobs[1].id, jobs[2].id, "unknown"])
        assert not store.job_folder(jobs[2].id).exists()
        assert store.add(record("next")).number == 4
    with opened(tmp_path) as store:
        assert [each.number for each in store.records()] == [1, 4]
        assert store.add(record("after")).number == 5


def test_two_jobs_of_one_name_are_not_kept(tmp_path):
    with opened(tmp_path) as store:
        first = store.add(record("same"))
        with pytest.raises(ScumbleError):
            store.add(record("same"))
        assert store.records() == [first]


def test_an_update_changes_both_copies_all_or_none(tmp_path):
    with opened(tmp_path) as store:
        first, second = fill(store, 2)
        store.update([first.changed(features="a"), second.changed(features="b"), record("unknown", features="c")])
        assert [each.features for each in store.records()] == ["a", "b"]
        copies = [json.loads((store.job_folder(id) / "job.json").read_text()) for id in ("job-0", "job-1")]
        assert [copy["features"] for copy in copies] == ["a", "b"]
        assert not store.job_folder("unknown").exists()

        class Broken(Record):
            def as_dict(self):
                raise ScumbleError("internal", "broken")

        with pytest.raises(ScumbleError):
            store.update([first.changed(features="c"), Broken("job-1", 2, order(), 2.0)])
        assert [each.features for each in store.records()] == ["a", "b"]


def test_clearing_leaves_what_is_known(tmp_path):
    with opened(tmp_path) as store:
        first, second = fill(store, 2)
        store.clear(first.id)
        assert names(store.job_folder(first.id)) == ["job.json"]
        assert names(store.job_folder(second.id)) == ["job.json", "result.png"]
        store.clear("unknown")


# --------------------------------------------------------------------------------------------------------------- damage


def damaged_copies(tmp_path, count=30):
    """A folder with a store of so many jobs, and how to have it as it was again."""
    with opened(tmp_path) as store:
        jobs = fill(store, count)
        store.forget([jobs.pop(0).id, jobs.pop().id])
        jobs[3] = jobs[3].changed(rank=jobs[5].rank)
        jobs[5] = jobs[5].changed(rank=4.0)
        store.update([jobs[3], jobs[5]])
    shutil.copytree(tmp_path / "store", tmp_path / "whole")

    def again():
        shutil.rmtree(tmp_path / "store")
        shutil.copytree(tmp_path / "whole", tmp_path / "store")
        return tmp_path / "store" / "jobs.db"

    return jobs, again


def assert_all_there(tmp_path, jobs):
    with opened(tmp_path) as store:
        assert store.records() == jobs
        store.tidy()
        assert names(tmp_path / "store" / "jobs") == sorted(each.id for each in jobs)
        assert {each.order.content.digest for each in jobs} == set(names(tmp_path / "store" / "pictures"))
        new = store.add(record("new"))
        assert new.number > jobs[-1].number
        assert new.rank > max(each.rank for each in jobs)
        store.forget(["new"])
    with opened(tmp_path) as store:  # and it stays so
        assert store.records() == jobs


@pytest.fixture
def quiet(caplog):
    caplog.set_level(logging.CRITICAL)


@pytest.mark.usefixtures("quiet")
def test_a_truncated_database_is_made_again(tmp_path):
    jobs, again = damaged_copies(tmp_path)
    size = again().stat().st_size
    for length in {0, 1, 99, 100, 511, 512, 4095, 4096, 4097, 8192, size // 2, size - 4096, size - 1}:
        database = again()
        os.truncate(database, length)
        assert_all_there(tmp_path, jobs)


@pytest.mark.usefixtures("quiet")
def test_a_database_with_any_page_damaged_is_made_again(tmp_path):
    jobs, again = damaged_copies(tmp_path)
    pages = again().stat().st_size // 4096
    assert pages > 5
    for page in range(pages):
        database = again()
        data = bytearray(database.read_bytes())
        where = slice(page * 4096, (page + 1) * 4096)
        data[where] = bytes(value ^ 0xFF for value in data[where])
        database.write_bytes(data)
        assert_all_there(tmp_path, jobs)
        assert (database.parent / "jobs-damaged-1.db").read_bytes() == bytes(data)


@pytest.mark.usefixtures("quiet")
def test_a_damaged_header_is_found_whichever_byte_it_is(tmp_path):
    jobs, again = damaged_copies(tmp_path, 12)
    for place in (0, 16, 17, 18, 19, 20, 21, 22, 23, 28, 31, 44, 47, 56, 59, 100, 101, 103, 105, 108):
        for value in (0x00, 0xFF):
            database = again()
            data = bytearray(database.read_bytes())
            data[place] = value
            database.write_bytes(data)
            assert_all_there(tmp_path, jobs)


@pytest.mark.usefixtures("quiet")
def test_random_bytes_are_no_database(tmp_path):
    jobs, again = damaged_copies(tmp_path, 12)
    for number in (1, 2):
        database = again() if number == 1 else tmp_path / "store" / "jobs.db"
        database.write_bytes(os.urandom(20_000))
        assert_all_there(tmp_path, jobs)
        assert (database.parent / f"jobs-damaged-{number}.db").exists()


def altered(path, statement, *values):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE jobs SET record = '{\"id\": 1}' WHERE number = 5",
        "UPDATE jobs SET record = '' WHERE number = 5",
        "UPDATE jobs SET record = CAST(x'ff00fe' AS TEXT) WHERE number = 5",
        "UPDATE jobs SET record = replace(record, '\"queued\"', '\"baked\"'), number = number + 100",
        "ALTER TABLE jobs RENAME COLUMN record TO disc",
        "DROP TABLE jobs",
        "ALTER TABLE counter RENAME COLUMN last TO least",
    ],
)
def test_a_record_that_cannot_be_read_is_taken_from_its_folder(tmp_path, statement):
    jobs, again = damaged_copies(tmp_path, 12)
    if "baked" in statement:
        statement = statement.replace("queued", "done")
    altered(again(), statement)
    if statement.startswith("DROP"):
        altered(tmp_path / "store" / "jobs.db", "UPDATE counter SET last = 0")
    assert_all_there(tmp_path, jobs)


@pytest.mark.usefixtures("quiet")
def test_an_index_that_does_not_fit_is_found(tmp_path):
    """A job that is not found by its id would never be saved again."""
    jobs, again = damaged_copies(tmp_path, 12)
    database = again()
    data = database.read_bytes()
    needle = b"job-7"
    places = [at for at in range(len(data)) if data.startswith(needle, at)]
    for place in places:
        again().write_bytes(data[:place] + b"joc-7" + data[place + len(needle) :])
        with opened(tmp_path) as store:
            changed = [each.changed(features="new") for each in store.records()]
            store.update(changed)
            assert len(changed) == len(jobs)
            assert store.records() == changed


@pytest.mark.usefixtures("quiet")
def test_a_counter_that_fell_behind_catches_up(tmp_path):
    jobs, again = damaged_copies(tmp_path, 12)
    for statement in ("UPDATE counter SET last = 3", "DELETE FROM counter"):
        altered(again(), statement)
        assert_all_there(tmp_path, jobs)


@pytest.mark.usefixtures("quiet")
def test_jobs_of_a_lost_journal_are_taken_from_their_folders_and_forgotten_ones_are_not(tmp_path):
    with opened(tmp_path) as store:
        old = fill(store, 3)
        store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        late = store.add(record("late"))
        shutil.copytree(store.job_folder(old[1].id), tmp_path / "rest")
        store.forget([old[1].id])
        store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        later = store.add(record("later"))
        for file in (tmp_path / "store").glob("jobs.db*"):
            shutil.copy(file, tmp_path / file.name)
    shutil.rmtree(tmp_path / "store" / "jobs" / old[1].id, ignore_errors=True)
    shutil.copytree(tmp_path / "rest", tmp_path / "store" / "jobs" / old[1].id)  # it was not removed to its end
    for file in (tmp_path / "store").glob("jobs.db*"):
        file.unlink()
    shutil.copy(tmp_path / "jobs.db", tmp_path / "store" / "jobs.db")
    with opened(tmp_path) as store:
        assert store.records() == [old[0], old[2], late, later]
        store.tidy()
        assert names(tmp_path / "store" / "jobs") == sorted(["job-0", "job-2", "late", "later"])


def test_making_it_again_is_all_or_nothing(tmp_path, monkeypatch, caplog):
    jobs, again = damaged_copies(tmp_path, 12)
    again().write_bytes(b"no database at all" * 1000)
    whole = Store._insert

    def interrupted(database, each):
        if each.number == 7:
            raise KeyboardInterrupt
        whole(database, each)

    monkeypatch.setattr(Store, "_insert", staticmethod(interrupted))
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path / "store", Limits())
    monkeypatch.undo()
    assert_all_there(tmp_path, jobs)
    assert "jobs-damaged-1.db" in caplog.text


@pytest.mark.usefixtures("quiet")
def test_folders_that_make_no_sense_do_not_stop_the_others(tmp_path):
    jobs, again = damaged_copies(tmp_path, 12)
    again().unlink()
    folder = tmp_path / "store" / "jobs"
    shutil.copytree(folder / jobs[0].id, folder / "a-copy")
    (folder / "empty").mkdir()
    (folder / "rot").mkdir()
    (folder / "rot" / "job.json").write_bytes(b"\xff\x00{")
    (folder / "a-file").touch()
    with opened(tmp_path) as store:
        assert store.records() == jobs
        store.tidy()
        assert names(folder) == sorted(["a-file", *(each.id for each in jobs)])


def test_a_database_that_breaks_while_it_is_used_is_told(tmp_path, caplog):
    with opened(tmp_path) as store:
        fill(store, 2)
        store._database.execute("DROP TABLE jobs")
        with pytest.raises(ScumbleError) as caught:
            store.add(record("new"))
        assert caught.value.code == "cannot-write"
        assert not store.job_folder("new").exists()
        store.close()
        with pytest.raises(ScumbleError) as caught:
            store.update([record("job-1")])
        assert caught.value.code == "internal"


def test_created_is_kept_to_the_microsecond(tmp_path):
    with opened(tmp_path) as store:
        added = store.add(record(created=datetime.now(UTC) - timedelta(days=1)))
        assert store.records()[0].created == added.created
