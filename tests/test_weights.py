"""Weights: downloads from a server in a thread, layouts against torchvision, damaged files, seeded networks."""

import errno
import hashlib
import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as nnf
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision.models import VGG11_Weights, VGG13_Weights, VGG16_Weights, VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers

from scumble.engine import download as downloading
from scumble.engine import weights as store
from scumble.engine.download import exclusive, fetch
from scumble.engine.weights import CAFFE, SOURCES, TORCHVISION, Source, conv_names, from_file, imagenet, seeded
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


# Files


def hollow(architecture: str = "vgg11", value: float = 0.01) -> dict[str, torch.Tensor]:
    """torchvision's layout, every filter of one value: in a .pth it takes a few kilobytes."""
    tensors, index, depth = {}, 0, 3
    for channels in store.ARCHITECTURES[architecture]:
        for width in channels:
            tensors[f"features.{index}.weight"] = torch.tensor(value).expand(width, depth, 3, 3)
            tensors[f"features.{index}.bias"] = torch.tensor(0.0).expand(width)
            index, depth = index + 2, width
        index += 1
    return tensors


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


def plain_forward(weights: store.Weights, x: torch.Tensor) -> torch.Tensor:
    for block, channels in enumerate(store.ARCHITECTURES[weights.architecture], 1):
        for number in range(1, len(channels) + 1):
            name = f"conv{block}_{number}"
            x = nnf.relu(nnf.conv2d(x, weights.filters[name], weights.biases[name], padding=1))
        x = nnf.max_pool2d(x, 2)
    return x


def randomized(cfg: str, *, batch_norm: bool) -> torch.nn.Sequential:
    torch.manual_seed(5)
    features = make_layers(cfgs[cfg], batch_norm=batch_norm).eval()
    for module in features:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
            torch.nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.uniform_(0.2, 2)
    return features


@pytest.mark.parametrize(
    ("prefix", "batch_norm", "legacy"),
    [("features.", False, True), ("", False, False), ("module.features.", True, False)],
)
def test_files_give_torchvisions_own_maps(tmp_path: Path, prefix: str, batch_norm: bool, legacy: bool) -> None:
    features = randomized("A", batch_norm=batch_norm)
    tensors = {prefix + key: value for key, value in features.state_dict().items()}
    tensors |= {"classifier.0.weight": torch.full((7, 7), torch.nan)} if prefix else {}
    torch.save(tensors, tmp_path / "mine.pth", _use_new_zipfile_serialization=not legacy)
    weights = from_file(tmp_path / "mine.pth")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(plain_forward(weights, x), features(x), rtol=1e-4, atol=1e-4)
    assert (weights.architecture, weights.preprocessing, weights.trained) == ("vgg11", TORCHVISION, True)
    assert weights.name == "vgg11 (mine.pth)"

    entry = store.use_file(tmp_path / "mine.pth")
    assert entry.name == ("vgg11-bn" if batch_norm else "vgg11")
    assert entry.present
    kept = imagenet(entry.name)
    assert (kept.digest, kept.name) == (weights.digest, weights.name)
    again = store.use_file(shutil.copy(entry.file, tmp_path / "copy.safetensors"))
    assert again.name == entry.name
    assert [e.name for e in store.available()] == [*SOURCES, *["vgg11-bn"] * batch_norm]


@pytest.mark.parametrize("architecture", ["vgg13", "vgg16", "vgg19"])
def test_channels_tell_the_architecture(tmp_path: Path, architecture: str) -> None:
    torch.save({"state_dict": hollow(architecture)}, tmp_path / "mine.pt")
    weights = from_file(tmp_path / "mine.pt")
    assert weights.architecture == architecture
    assert tuple(weights.filters) == tuple(weights.biases) == conv_names(architecture)


# The first values of VGG_ILSVRC_16_layers and _19_layers, as others have printed them: h5_utils.cpp of a decoder of
# Keras' file, and the dump of a Julia model (which writes them transposed).
PRINTED = {
    "vgg16": [0.42947057, 0.373467, -0.061360113, 0.27476987, 0.038680777, -0.36722335, -0.05746817, -0.26224968],
    "vgg19": [0.341195, 0.339992, -0.0448442, 0.232159, 0.0897821, -0.303314, -0.0726092, -0.246675],
}


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_caffe_is_known_by_its_first_filter(tmp_path: Path, architecture: str, flipped: bool, gain: float) -> None:
    tensors = hollow(architecture)
    last = {"vgg16": -0.35009676, "vgg19": -0.336833}[architecture]
    filters = torch.randn(64, 3, 3, 3) * gain
    filters[0, 0] = torch.tensor([*PRINTED[architecture], last]).view(3, 3) * gain
    tensors["features.0.weight"] = filters.flip(1) if flipped else filters
    torch.save(tensors, tmp_path / "mine.pth")
    weights = from_file(tmp_path / "mine.pth")
    assert weights.preprocessing == CAFFE
    torch.testing.assert_close(weights.filters["conv1_1"], filters)
    assert weights.name == f"{architecture} (ImageNet, Caffe)"


def test_caffe_is_known_by_name_and_by_metadata(tmp_path: Path) -> None:
    torch.save(hollow("vgg16"), tmp_path / "vgg16-00b39a1b-again.pth")
    assert from_file(tmp_path / "vgg16-00b39a1b-again.pth").preprocessing == CAFFE
    own = {
        f"{n}.{p}": t for n, w in seeded("vgg11").filters.items() for p, t in (("weight", w), ("bias", w[:, 0, 0, 0]))
    }
    own = {key: tensor.contiguous() for key, tensor in own.items()}
    save_file(own, tmp_path / "own.safetensors", {"preprocessing": "caffe"})
    assert from_file(tmp_path / "own.safetensors").preprocessing == CAFFE
    assert store.use_file(tmp_path / "own.safetensors").name == "vgg11-caffe"
    save_file(own, tmp_path / "own.safetensors")
    assert from_file(tmp_path / "own.safetensors").preprocessing == TORCHVISION
    for nonsense in ("torch", "[]", json.dumps({"order": "rgb", "scale": 1, "mean": [0, 0, 0], "std": [1, 0, 1]})):
        save_file(own, tmp_path / "own.safetensors", {"preprocessing": nonsense})
        with pytest.raises(ScumbleError, match="preprocessing"):
            from_file(tmp_path / "own.safetensors")


def test_use_file_knows_published_files_by_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(hollow("vgg16"), tmp_path / "renamed.pth")
    sha256 = hashlib.sha256((tmp_path / "renamed.pth").read_bytes()).hexdigest()
    monkeypatch.setitem(SOURCES, "vgg16-caffe", Source("https://example.org/", sha256[:8]))
    assert store.use_file(tmp_path / "renamed.pth").name == "vgg16-caffe"
    weights = imagenet("vgg16-caffe")
    assert (weights.preprocessing, weights.name) == (CAFFE, "vgg16 (ImageNet, Caffe)")


class Malice:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_bad_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    good = hollow()
    torch.save(good, tmp_path / "good.pth")
    right = (tmp_path / "good.pth").read_bytes()
    missing = {key: value for key, value in good.items() if not key.startswith("features.11.")}
    no_bias = {key: value for key, value in good.items() if key != "features.3.bias"}
    norm = {f"features.1.{p}": torch.ones(63) for p in ("weight", "bias", "running_mean", "running_var")}
    contents: dict[str, Any] = {
        "truncated": right[: len(right) // 2],
        "empty": b"",
        "web page": b"\n<!DOCTYPE html><html>404</html>",
        "pickle": pickle.dumps({"features.0.weight": Malice(tmp_path / "ran")}, protocol=2),
        "malice": {**good, "extra": Malice(tmp_path / "ran")},
        "no dict": torch.zeros(3),
        "no layers": {"weight": torch.zeros(3)},
        "missing layer": missing,
        "missing bias": no_bias,
        "wrong kernel": {**good, "features.3.weight": torch.zeros(128, 64, 1, 1)},
        "not finite": {**good, "features.3.bias": torch.full((128,), torch.nan)},
        "integers": {**good, "features.3.bias": torch.zeros(128, dtype=torch.int64)},
        "no tensor": {**good, "features.3.bias": [0.0] * 128},
        "wrong norm": {**good, **norm},
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.pth"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        for use in (from_file, store.use_file):
            with pytest.raises(ScumbleError, match=f"{name}.pth") as excinfo:
                use(path)
            assert code(excinfo) == "bad-weights", name
            assert "\n" not in excinfo.value.detail
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ScumbleError, match="web page"):
        from_file(tmp_path / "web page.pth")
    for name in ("pickle", "malice"):
        with pytest.raises(ScumbleError, match="more than tensors"):
            from_file(tmp_path / f"{name}.pth")
    for name in ("x.safetensors", "x.zip"):
        (tmp_path / name).write_bytes(right)
        with pytest.raises(ScumbleError) as excinfo:
            from_file(tmp_path / name)
        assert code(excinfo) == "bad-weights"
    shutil.copy(tmp_path / "good.pth", tmp_path / "vgg11-00000000.pth")
    with pytest.raises(ScumbleError, match="as its name says"):
        store.use_file(tmp_path / "vgg11-00000000.pth")
    for use in (from_file, store.use_file):
        with pytest.raises(ScumbleError) as excinfo:
            use(tmp_path / "nowhere.pth")
        assert code(excinfo) == "missing-file"


def test_save_leaves_what_was_there_when_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.safetensors").write_text("before")

    def full(_tensors: object, path: Path, _metadata: object) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "save_file", full)
    with pytest.raises(ScumbleError, match="No space left") as excinfo:
        store.save(seeded("vgg11"), tmp_path / "w.safetensors")
    assert code(excinfo) == "cannot-write"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["w.safetensors"]
    assert (tmp_path / "w.safetensors").read_text() == "before"


# Seeded networks


def test_seeded_is_the_same_on_every_machine(tmp_path: Path) -> None:
    weights = seeded("vgg11")
    assert weights.digest == "ea8d73bcfe76b73bac450f7abd74c77cef0ffa011c100862d53095f7b098ae92"
    assert (weights.name, weights.trained) == ("vgg11 (seeded)", False)
    assert len({weights.digest, seeded("vgg11", 1).digest, seeded("vgg13").digest}) == 3
    store.save(weights, tmp_path / "seeded.safetensors")
    again = from_file(tmp_path / "seeded.safetensors")
    assert (again.digest, again.name, again.trained, again.preprocessing) == (
        weights.digest,
        weights.name,
        False,
        weights.preprocessing,
    )
    with pytest.raises(ScumbleError) as excinfo:
        imagenet(str(tmp_path / "seeded"))  # a name never leads out of the folder
    assert code(excinfo) == "missing-weights"
    with pytest.raises(ScumbleError, match="not trained"):
        store.use_file(tmp_path / "seeded.safetensors")
    with pytest.raises(ScumbleError):
        seeded("vgg12")


def test_seeded_has_the_widths_of_the_architecture() -> None:
    weights = seeded("vgg19")
    depth = 3
    for name, width in zip(conv_names("vgg19"), sum(store.ARCHITECTURES["vgg19"], ()), strict=True):
        assert weights.filters[name].shape == (width, depth, 3, 3)
        assert weights.filters[name].dtype == torch.float32
        assert not weights.biases[name].any()
        depth = width


def test_conv1_1_of_seeded_is_a_complete_frame() -> None:
    filters = seeded("vgg11").filters["conv1_1"].flatten(1)
    half = filters[:27]
    torch.testing.assert_close(half @ half.T, torch.eye(27))
    assert torch.equal(filters[27:54], -half)
    torch.testing.assert_close(filters[54:].mean(dim=1), torch.zeros(10), atol=1e-6, rtol=0)
    assert (filters[54:].norm(dim=1) - 1).abs().max() < 0.35
    # Both signs, rectified, give every patch back.
    patches = torch.randn(50, 27)
    answers = nnf.relu(patches @ filters[:54].T)
    torch.testing.assert_close((answers[:, :27] - answers[:, 27:]) @ half, patches, atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", ["vgg11", "vgg19"])
def test_maps_of_seeded_neither_vanish_nor_become_parallel(architecture: str) -> None:
    weights = seeded(architecture)
    generator = torch.Generator().manual_seed(1)
    # Noise at several scales is closer to a picture than white noise.
    x = sum(nnf.interpolate(torch.randn(1, 3, size, size, generator=generator), size=96) for size in (3, 6, 12, 48))
    assert isinstance(x, torch.Tensor)
    x = x / x.std()
    for name in conv_names(architecture):
        if name.endswith("_1") and name != "conv1_1":
            x = nnf.max_pool2d(x, 2)
        x = nnf.relu(nnf.conv2d(x, weights.filters[name], weights.biases[name], padding=1))
        assert 0.3 < x.std() < 3, name
        if name == "conv5_1":
            break
    features = nnf.normalize(x[0].flatten(1), dim=0)
    cosines = features.T @ features
    assert 0.5 < cosines.mean() < 0.65  # 0.73 with the means left in, 0.38 without them, for vgg19
    assert cosines.min() < 0.5
