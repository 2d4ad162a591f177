"""The weights on this machine: downloads from a server in a thread, files taken over, those that come with Scumble."""

import errno
import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from helpers import hollow, ship
from safetensors import safe_open
from torchvision.models import VGG11_Weights, VGG13_Weights, VGG16_Weights, VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers

from scumble.engine import download as downloading
from scumble.engine import embedded
from scumble.engine import weight_store as store
from scumble.engine.download import exclusive, fetch
from scumble.engine.weight_store import imagenet
from scumble.engine.weights import CAFFE, SOURCES, TORCHVISION, Source, Training, conv_names, from_file, save, seeded
from scumble.errors import ScumbleError


class Server:
    """Serves `content` at every path; the fields make it misbehave, `requests` holds the headers that came."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag: str | None = '"one"'
        self.ranges = True
        self.break_after: list[int] = []  # bytes after which the next answers break
        self.statuses: list[int] = []  # of the next answers
        self.requests: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/weights.pth"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = dict(handler.headers)
        self.requests.append(headers)
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        start, total = 0, len(self.content)
        if self.ranges and "Range" in headers and headers.get("If-Range") in (None, self.etag):
            start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{total}")
                handler.end_headers()
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(total - start))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        body = self.content[start:]
        handler.wfile.write(body[: self.break_after.pop(0)] if self.break_after else body)

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


CONTENT = bytes(torch.randint(256, (700_001,), generator=torch.Generator().manual_seed(3)).tolist())
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(CONTENT)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "embedded")
    monkeypatch.setattr(downloading.time, "sleep", lambda _: None)
    return tmp_path / "home"


def code(excinfo: pytest.ExceptionInfo[ScumbleError]) -> str:
    return excinfo.value.code


# The download


def test_fetch_brings_the_file_and_tells_the_progress(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    assert fetch(server.url, tmp_path / "f", SHA256[:8], lambda done, total: seen.append((done, total))) == SHA256
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 5
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f"]
    fetch(server.url, tmp_path / "f", SHA256[:8])
    assert len(server.requests) == 1, "a file that is there and right is not brought again"


def test_fetch_goes_on_after_the_connection_breaks(server: Server, tmp_path: Path) -> None:
    server.break_after = [300_000, 200_000]
    seen: list[int] = []
    assert fetch(server.url, tmp_path / "f", SHA256[:8], lambda done, _: seen.append(done)) == SHA256
    first, second, third = server.requests
    assert "Range" not in first
    assert 200_000 < int(second["Range"][6:-1]) <= 300_000
    assert int(third["Range"][6:-1]) > 400_000 - 70_000
    assert second["If-Range"] == '"one"'
    assert seen == sorted(seen), "progress never goes back"


def test_fetch_goes_on_in_a_later_call(server: Server, tmp_path: Path) -> None:
    def cancel(done: int, _: int | None) -> None:
        if done > 200_000:
            raise ScumbleError("cancelled", "You cancelled.")

    with pytest.raises(ScumbleError, match="cancelled"):
        fetch(server.url, tmp_path / "f", SHA256[:8], cancel)
    assert not (tmp_path / "f").exists()
    assert fetch(server.url, tmp_path / "f", SHA256[:8]) == SHA256
    assert int(server.requests[1]["Range"][6:-1]) > 200_000


def test_fetch_starts_again_where_the_server_has_no_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [300_000]
    assert fetch(server.url, tmp_path / "f", SHA256[:8]) == SHA256
    assert "Range" in server.requests[1]


def test_fetch_does_not_resume_what_the_server_cannot_name(server: Server, tmp_path: Path) -> None:
    server.etag = None
    server.break_after = [300_000]
    assert fetch(server.url, tmp_path / "f", SHA256[:8]) == SHA256
    assert "Range" not in server.requests[1]


def test_fetch_does_not_glue_two_versions_together(server: Server, tmp_path: Path) -> None:
    new = CONTENT[::-1]
    server.break_after = [300_000]
    with pytest.raises(ScumbleError):
        fetch(server.url, tmp_path / "f", SHA256[:8], attempts=1)
    server.content, server.etag = new, '"two"'
    fetch(server.url, tmp_path / "f", hashlib.sha256(new).hexdigest())
    assert server.requests[1]["If-Range"] == '"one"'
    assert (tmp_path / "f").read_bytes() == new


@pytest.mark.parametrize("surplus", [b"", b"more than the server has"])
def test_fetch_after_a_416_verifies_or_starts_again(server: Server, tmp_path: Path, surplus: bytes) -> None:
    (tmp_path / "f.part").write_bytes(CONTENT + surplus)
    (tmp_path / "f.part.version").write_text('"one"')
    assert fetch(server.url, tmp_path / "f", SHA256[:8]) == SHA256
    assert len(server.requests) == (2 if surplus else 1)


def test_fetch_removes_what_has_the_wrong_digest(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ScumbleError, match="SHA-256") as excinfo:
        fetch(server.url, tmp_path / "f", "00000000")
    assert code(excinfo) == "download-failed"
    assert list(tmp_path.iterdir()) == []


def test_fetch_gives_up_at_once_on_404_and_tries_again_on_503(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(ScumbleError, match="404") as excinfo:
        fetch(server.url, tmp_path / "f", SHA256[:8])
    assert code(excinfo) == "download-failed"
    assert len(server.requests) == 1
    server.statuses = [503, 503]
    assert fetch(server.url, tmp_path / "f", SHA256[:8]) == SHA256


def test_fetch_says_when_nobody_listens(server: Server, tmp_path: Path) -> None:
    port = server.http.server_port
    server.close()
    with pytest.raises(ScumbleError, match="connection") as excinfo:
        fetch(f"http://127.0.0.1:{port}/", tmp_path / "f", SHA256[:8])
    assert code(excinfo) == "download-failed"


def test_fetch_says_when_the_disk_is_full(server: Server, tmp_path: Path) -> None:
    def full(_done: int, _total: int | None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ScumbleError, match="No space left") as excinfo:
        fetch(server.url, tmp_path / "f", SHA256[:8], full)
    assert code(excinfo) == "cannot-write"
    with pytest.raises(ScumbleError) as excinfo:
        fetch(server.url, tmp_path / "no folder" / "f", SHA256[:8])
    assert code(excinfo) == "cannot-write"


def test_two_downloads_at_once_are_refused(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock"):
        with pytest.raises(ScumbleError, match="under way"), exclusive(tmp_path / "lock"):
            pass
        with exclusive(tmp_path / "other"):
            pass
    with exclusive(tmp_path / "lock"):
        pass


# The folder


def test_download_converts_records_and_removes_the_original(server: Server, tmp_path: Path, home: Path) -> None:
    torch.save({**hollow(), "classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "original.pth")
    server.content = (tmp_path / "original.pth").read_bytes()
    full = hashlib.sha256(server.content).hexdigest()
    server.break_after = [100]
    assert store.check("vgg11").state == "missing"
    with pytest.raises(ScumbleError) as excinfo:
        imagenet("vgg11")
    assert code(excinfo) == "missing-weights"

    seen: list[int] = []
    source = Source(server.url, full[:8])
    path = store.download("vgg11", lambda done, _: seen.append(done), source=source)
    assert seen[-1] == len(server.content)
    assert path == home / "weights" / "vgg11.safetensors"
    assert sorted(p.name for p in path.parent.iterdir() if p.name[0] != ".") == [path.name, path.name + ".sha256"]
    with safe_open(path, "pt") as file:
        assert sorted(file.keys()) == sorted(f"{n}.{p}" for n in conv_names("vgg11") for p in ("weight", "bias"))
        metadata = file.metadata()
    assert (metadata["sha256"], metadata["url"]) == (full, server.url)
    assert imagenet("vgg11").name == "vgg11 (ImageNet, torchvision)"
    assert store.check("vgg11").state == "ok"
    entry = next(entry for entry in store.available() if entry.name == "vgg11")
    assert (entry.present, entry.size, entry.kind) == (True, path.stat().st_size, "torchvision")

    requests = len(server.requests)
    store.download("vgg11", source=source)
    assert len(server.requests) == requests, "weights that are there and right are not brought again"
    with path.open("r+b") as file:
        file.truncate(1000)
    store.download("vgg11", source=source)
    assert store.check("vgg11").state == "ok"


def test_download_refuses_another_network_and_unknown_names(server: Server, tmp_path: Path) -> None:
    torch.save(hollow("vgg11"), tmp_path / "original.pth")
    server.content = (tmp_path / "original.pth").read_bytes()
    with pytest.raises(ScumbleError, match="holds vgg11, not vgg13") as excinfo:
        store.download("vgg13", source=Source(server.url, hashlib.sha256(server.content).hexdigest()[:8]))
    assert code(excinfo) == "bad-weights"
    for name in ("vgg12", "../vgg19", ""):
        with pytest.raises(ScumbleError) as excinfo:
            store.download(name)
        assert code(excinfo) == "missing-weights"


def test_check_tells_truncated_and_changed_files(tmp_path: Path) -> None:
    torch.save(hollow(), tmp_path / "mine.pth")
    file = store.use_file(tmp_path / "mine.pth").file
    right = file.read_bytes()
    for damaged in (right[:-1], right[:-1] + bytes([right[-1] ^ 1]), b""):
        file.write_bytes(damaged)
        check = store.check("vgg11")
        assert check.state == "damaged"
        assert check.expected == hashlib.sha256(right).hexdigest()
        assert check.found == hashlib.sha256(damaged).hexdigest()
    with pytest.raises(ScumbleError) as excinfo:
        imagenet("vgg11")
    assert code(excinfo) == "bad-weights"
    file.with_name(file.name + ".sha256").unlink()
    assert store.check("vgg11").state == "unrecorded"


def test_sources_are_torchvisions() -> None:
    published = {"vgg11": VGG11_Weights, "vgg13": VGG13_Weights, "vgg16": VGG16_Weights, "vgg19": VGG19_Weights}
    for name, weights in published.items():
        assert SOURCES[name].url == weights.IMAGENET1K_V1.url
        assert f"-{SOURCES[name].sha256}.pth" in SOURCES[name].url
    transforms = VGG19_Weights.IMAGENET1K_V1.transforms()
    assert (list(TORCHVISION.mean), list(TORCHVISION.std)) == (transforms.mean, transforms.std)
    assert SOURCES["vgg19-caffe"].sha256 == "d01eb7cb"


def test_use_file_knows_published_files_by_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(hollow("vgg16"), tmp_path / "renamed.pth")
    sha256 = hashlib.sha256((tmp_path / "renamed.pth").read_bytes()).hexdigest()
    monkeypatch.setitem(SOURCES, "vgg16-caffe", Source("https://example.org/", sha256[:8]))
    assert store.use_file(tmp_path / "renamed.pth").name == "vgg16-caffe"
    weights = imagenet("vgg16-caffe")
    assert (weights.preprocessing, weights.name) == (CAFFE, "vgg16 (ImageNet, Caffe)")


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_file_is_taken_over_under_the_name_of_its_network(tmp_path: Path, batch_norm: bool) -> None:
    torch.save(make_layers(cfgs["A"], batch_norm=batch_norm).state_dict(), tmp_path / "mine.pth")
    weights = from_file(tmp_path / "mine.pth")
    entry = store.use_file(tmp_path / "mine.pth")
    assert entry.name == ("vgg11-bn" if batch_norm else "vgg11")
    assert entry.present
    kept = imagenet(entry.name)
    assert (kept.digest, kept.name) == (weights.digest, weights.name)
    again = store.use_file(shutil.copy(entry.file, tmp_path / "copy.safetensors"))
    assert again.name == entry.name
    assert [e.name for e in store.available()] == [*SOURCES, *["vgg11-bn"] * batch_norm]


def test_what_is_not_trained_is_not_taken_over(tmp_path: Path) -> None:
    save(seeded("vgg11"), tmp_path / "seeded.safetensors")
    with pytest.raises(ScumbleError, match="not trained"):
        store.use_file(tmp_path / "seeded.safetensors")
    with pytest.raises(ScumbleError) as excinfo:
        imagenet(str(tmp_path / "seeded"))  # a name never leads out of the folder
    assert code(excinfo) == "missing-weights"


def test_what_is_missing_is_told_with_how_to_bring_it() -> None:
    with pytest.raises(ScumbleError, match="vgg16-caffe are not in") as excinfo:
        store.kept_file("vgg16-caffe")
    assert "`scumble weights download vgg16-caffe`" in excinfo.value.hint
    with pytest.raises(ScumbleError, match="mine are not in") as excinfo:
        store.kept_file("mine")
    assert "download" not in excinfo.value.hint
    assert "`scumble weights use FILE`" in excinfo.value.hint


# What comes with Scumble


@pytest.fixture
def lite(tmp_path: Path) -> Path:
    """A file where those that come with Scumble lie."""
    return ship(tmp_path / "embedded")


def test_what_comes_with_scumble_is_there(lite: Path, home: Path) -> None:
    assert embedded.shipped() == {"scumble-lite": lite}
    first, *others = store.available()
    assert (first.name, first.file, first.present, first.kind) == ("scumble-lite", lite, True, "shipped")
    assert (first.size, first.url) == (lite.stat().st_size, None)
    assert [entry.name for entry in others] == list(SOURCES)
    assert store.check("scumble-lite").state == "ok"
    assert not home.exists()


def test_damage_to_it_is_told_with_the_right_remedy(lite: Path) -> None:
    lite.write_bytes(lite.read_bytes()[:-1] + b"x")
    check = store.check("scumble-lite")
    assert check.state == "damaged"
    assert "install Scumble again" in check.detail
    with pytest.raises(ScumbleError, match="no source"):
        store.download("scumble-lite")


def test_it_is_not_hidden_by_a_file_of_the_same_name(lite: Path, tmp_path: Path, home: Path) -> None:
    other = ship(tmp_path / "other", seed=1)
    with pytest.raises(ScumbleError, match="scumble-lite comes with Scumble already") as excinfo:
        store.use_file(other)
    assert code(excinfo) == "bad-weights"
    (home / "weights").mkdir(parents=True)
    shutil.copy(other, home / "weights")
    assert [entry.file for entry in store.available() if entry.name == "scumble-lite"] == [lite]


def test_one_that_did_not_come_with_it_can_be_taken_over(lite: Path, tmp_path: Path) -> None:
    entry = store.use_file(ship(tmp_path / "other", "scumble-full", "vgg11"))
    assert (entry.name, entry.kind, entry.present) == ("scumble-full", "other", True)
    assert imagenet("scumble-full").training is Training.PROCEDURAL


def test_every_file_in_the_package_is_whole_and_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the real folder: `weights.save` writes a file there with its SHA-256 beside it."""
    monkeypatch.setattr(embedded, "FOLDER", Path(embedded.__file__).parent)
    for name, path in embedded.shipped().items():
        assert name in {embedded.LITE, embedded.FULL}
        assert store.check(name).state == "ok", name
        weights = from_file(path)
        assert weights.training is Training.PROCEDURAL, name
        assert weights.architecture == {embedded.LITE: "vgg19-lite", embedded.FULL: "vgg19"}[name]
        with safe_open(path, "pt") as file:
            assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}, name  # noqa: SIM118
