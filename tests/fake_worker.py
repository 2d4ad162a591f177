"""A worker that paints nothing: it turns every value of the content upside down, and misbehaves where it is told to.
Of a training it only counts the steps.

    Jobs(settings, library, worker_command=fake_worker.COMMAND)

A recipe's `iterations` are steps of 20 ms, its `seed` one of the deeds below. How a worker *starts* is the file `mood`
in the daemon's folder. What it did it adds to the file `diary` there: a line of words for each thing.
"""

import hashlib
import io
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path

from PIL import Image, ImageChops

from scumble.errors import ScumbleError
from scumble.home import write_private
from scumble.protocol import Rectangle, Scale
from scumble.recipe import Recipe
from scumble.service import messages as say
from scumble.service.pace import LevelTime
from scumble.service.problems import problem

COMMAND = (sys.executable, __file__)
STEP_S = 0.02
MEMORY_MB = 4000

(PAINT, CRASH, KILLED, FAIL, BABBLE, NO_ROOM, CRASH_ONCE, KILLED_ONCE, DEAF, LAST_WORDS, KILLED_TWICE) = range(11)
"""Deeds. CRASH: ends with status 3. KILLED: by SIGKILL. FAIL: says that the mask is bad. BABBLE: says what nobody
understands, then paints. NO_ROOM: finds the disk full until the file `room` is in the daemon's folder. DEAF: does
nothing and hears nothing. LAST_WORDS: paints on when it is to leave, and tells of it at the last moment."""


class Leaving(Exception):  # noqa: N818
    """The job is put away."""


class FakeWorker:
    def __init__(self, device, cache):
        self.device, self.home = device, cache.parent
        self.speaking = threading.Lock()
        self.voice = os.fdopen(os.dup(1), "wb", buffering=0)
        self.jobs = queue.Queue()
        self.stops = {}
        self.put_away = set()
        self.leaving = False

    def note(self, *words):
        with (self.home / "diary").open("a") as diary:
            diary.write(" ".join(map(str, words)) + "\n")

    def send(self, word):
        self.say(word.line())

    def say(self, line):
        with self.speaking:
            self.voice.write(line)

    def hear(self):
        for line in sys.stdin.buffer:
            message = say.Order.validate_json(line)
            if isinstance(message, say.Paint | say.Train):
                self.jobs.put(message)
            elif isinstance(message, say.PutAway):
                self.note("puts", message.job)
                self.put_away.add(message.job)
            elif isinstance(message, say.Stop):
                self.stops[message.job] = message.keep
            elif isinstance(message, say.Ask):
                self.answer(message)
            else:
                self.leaving = True
                self.jobs.put(None)
        os._exit(0)

    def answer(self, ask):
        if self.mood == "dies of questions":
            os._exit(4)
        recipe = Recipe.parse(ask.recipe)
        if recipe.seed == FAIL:
            error = ScumbleError("missing-weights", "There are none.")
            self.send(say.Answer(number=ask.number, problem=problem(error)))
            return
        levels = [(ask.bounds.width * ask.bounds.height, sum(recipe.iterations or (1,)))]
        self.send(
            say.Answer(
                number=ask.number,
                kind=self.kind,
                width=ask.bounds.width,
                height=ask.bounds.height,
                levels=levels,
                memory_mb=MEMORY_MB,
                features="fake",
                device=self.device,
            )
        )

    def run(self):
        self.mood = (self.home / "mood").read_text() if (self.home / "mood").exists() else ""
        self.note("woke", self.device)
        if self.mood == "broken":
            self.send(say.Broken(problem=problem(ScumbleError("no-device", "There is no such device here."))))
            return
        if self.mood == "crash":
            os._exit(5)
        if self.mood != "deaf":
            threading.Thread(target=self.hear, daemon=True).start()
        if self.mood == "silent":
            self.jobs.get()
            return
        if self.device == "auto":
            self.device = "fake:0"
        self.kind = f"{self.device}|fake|gram"
        devices = [self.device, *(["fake:1"] if self.mood == "two" and self.device == "fake:0" else [])]
        self.send(say.Ready(device=self.device, description="a fake", devices=devices, features="fake"))
        self.send(say.Memory(used_mb=1, free_mb=2))
        while not self.leaving and (order := self.jobs.get()) is not None:
            try:
                word = self.train(order) if isinstance(order, say.Train) else self.paint(order)
            except Leaving:
                word = say.Left(job=order.job)
            except ScumbleError as error:
                word = say.Failed(job=order.job, problem=problem(error))
            self.note("ended", order.job, word.say)
            self.send(word)
            self.stops.pop(order.job, None)
            self.put_away.discard(order.job)

    def train(self, order):
        seed, count = order.request.seed, order.request.steps
        checkpoint = order.folder / "checkpoint.safetensors"
        first = int(checkpoint.read_text()) if checkpoint.exists() else 0
        self.note("began", order.job, first, None, self.device)
        self.send(say.Began(job=order.job, features="fake", iterations=count, memory_mb=0))
        done, stopped = first, order.ends
        while done < count and not stopped:
            time.sleep(STEP_S)
            done += 1
            write_private(checkpoint, str(done).encode(), durable=False)
            if seed == KILLED_ONCE and done == 5 and first < 4:
                os.kill(os.getpid(), signal.SIGKILL)
            is_leaving = order.job in self.put_away or self.leaving
            if is_leaving and seed == LAST_WORDS:
                time.sleep(0.5)  # whatever is said meanwhile is not heard
                raise Leaving
            if order.job in self.stops:
                stopped = True
                if not self.stops[order.job]:
                    checkpoint.unlink()
                    return say.Painted(job=order.job, stopped=True, seconds=1, iteration=done, iterations=count)
            elif is_leaving:
                raise Leaving
            self.send(
                say.Progress(
                    job=order.job,
                    iteration=done,
                    iterations=count,
                    scale=Scale(width=8, height=8, number=1, count=1),
                    progress=done / count,
                    seconds_left=(count - done) * STEP_S,
                    losses={"total": 1 / done},
                )
            )
        data = inverted(Image.new("RGB", (8, 6)))
        write_private(order.folder / "result.png", data)
        painted = say.Painted(
            job=order.job,
            stopped=done < count,
            file="result.png",
            digest=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            features="fake",
            seconds=1,
            iteration=done,
            iterations=count,
            model=order.request.name,
        )
        write_private(order.folder / "painted.json", painted.line())
        checkpoint.unlink(missing_ok=True)
        return painted

    def paint(self, order):
        recipe = Recipe.parse(order.recipe)
        seed, count = recipe.seed, sum(recipe.iterations or (1,))
        checkpoint = order.folder / "checkpoint.safetensors"
        first = int(checkpoint.read_text()) if checkpoint.exists() else 0
        self.note("began", order.job, first, order.memory_mb, self.device)
        try:
            content = Image.open(order.content.path).convert("RGB")
            for source in order.pictures.values():
                Image.open(source.path).load()
        except OSError:
            raise ScumbleError("missing-file", "A picture of this job is gone.") from None
        if (crop := order.content.crop) is not None:
            content = content.crop((crop.x, crop.y, crop.x + crop.width, crop.y + crop.height))
        whole = Rectangle(x=0, y=0, width=content.width, height=content.height)
        memory_mb = min(MEMORY_MB, order.memory_mb or MEMORY_MB)
        self.send(
            say.Began(job=order.job, features="fake", preview_bounds=whole, iterations=count, memory_mb=memory_mb)
        )
        self.misbehave(seed, order)
        stopped, done = False, first
        for done in range(first + 1, count + 1):
            time.sleep(STEP_S)
            if order.job in self.stops:
                if not self.stops[order.job]:
                    return say.Painted(job=order.job, stopped=True, seconds=1, iteration=done, iterations=count)
                stopped = True
            elif self.leaving and seed != LAST_WORDS:
                write_private(checkpoint, str(done - 1).encode(), durable=False)
                raise Leaving
            scale = Scale(width=content.width, height=content.height, number=1, count=1)
            losses = {"total": 1 / done}
            self.send(
                say.Progress(
                    job=order.job,
                    iteration=done,
                    iterations=count,
                    scale=scale,
                    progress=done / count,
                    seconds_left=(count - done) * STEP_S,
                    losses=losses,
                )
            )
            if done % 5 == 1:
                self.show(order, content, done)
                write_private(checkpoint, str(done).encode(), durable=False)
            if stopped:
                break
        levels = () if stopped or first else (LevelTime(content.width * content.height, max(count, 2), STEP_S, 0.0),)
        data = inverted(content)
        name = "result.png"
        try:
            write_private(order.folder / name, data)
            painted = say.Painted(
                job=order.job,
                stopped=stopped,
                file=name,
                digest=hashlib.sha256(data).hexdigest(),
                bytes=len(data),
                features="fake",
                seconds=1,
                iteration=done,
                iterations=count,
                losses={"total": 1 / max(done, 1)},
                warnings=["It is a fake."],
                previews=1,
                preview_bounds=whole,
                kind=self.kind,
                levels=levels,
                content_px=content.width * content.height,
                around_s=0.1,
            )
            write_private(order.folder / "painted.json", painted.line())
        except OSError as error:
            raise ScumbleError("cannot-write", f"The result cannot be written: {error.strerror}.") from None
        checkpoint.unlink(missing_ok=True)
        return painted

    def misbehave(self, seed, order):
        is_first = not (order.folder / "been-here").exists()
        is_second = not (order.folder / "been-here-twice").exists()
        if seed in (CRASH_ONCE, KILLED_ONCE, KILLED_TWICE) and is_first:
            (order.folder / "been-here").touch(0o600)
        elif seed == KILLED_TWICE and is_second:
            (order.folder / "been-here-twice").touch(0o600)
        if seed == CRASH or (seed == CRASH_ONCE and is_first):
            os._exit(3)
        if seed == KILLED or (seed == KILLED_ONCE and is_first) or (seed == KILLED_TWICE and is_second):
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == FAIL:
            raise ScumbleError("bad-mask", "The mask does not fit.")
        if seed == NO_ROOM and not (self.home / "room").exists():
            raise ScumbleError("disk-full", "The disk is full.")
        if seed == BABBLE:
            print("babble", file=sys.stderr, flush=True)
            for line in (b"hello\n", b"{}\n", b'{"say": "paint"}\n', b"\xff\xfe\x00\n", b"\n"):
                self.say(line)
        if seed == DEAF:
            time.sleep(1e6)

    def show(self, order, content, number):
        file = io.BytesIO()
        content.save(file, "JPEG")
        write_private(order.folder / "preview.jpg", file.getvalue(), durable=False)
        self.send(say.Previewed(job=order.job, number=number))


def inverted(content):
    """The result: the content upside down in every value, as PNG."""
    file = io.BytesIO()
    ImageChops.invert(content.convert("RGB")).save(file, "PNG")
    return file.getvalue()


def main():
    os.umask(0o077)
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    FakeWorker(given["--device"], Path(given["--cache"])).run()
    os._exit(0)


if __name__ == "__main__":
    main()
