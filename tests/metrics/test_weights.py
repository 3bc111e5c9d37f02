"""Weights: found, downloaded, pinned, and refused in words; nothing in a file is executed."""

from __future__ import annotations

import hashlib
import http.server
import json
import pickle
import threading
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from zerosum.errors import Stopped, UserError
from zerosum.metrics.detectors import weights
from zerosum.metrics.detectors.weights import Published, download, fill, fits, obtain, read

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, 2.0])}


@pytest.fixture
def server(tmp_path):
    """A folder behind a local address; returns (folder, address, log of requests)."""
    folder, log = tmp_path / "server", []
    folder.mkdir()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            log.append(self.path)
            path = folder / self.path.strip("/")
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved"))
                self.end_headers()
            elif path.is_file():
                content = path.read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) + (100 if "cut" in self.path else 0)))
                self.end_headers()
                self.wfile.write(content)
            else:
                self.send_error(404)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}", log
        running.shutdown()


def published(address="http://127.0.0.1:1", file="net.pth"):
    return Published("the small net", file, f"{address}/{file}")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def the_same(tensors):
    assert set(tensors) == set(STATE)
    for name, tensor in STATE.items():
        assert torch.equal(tensors[name], tensor)


def test_downloaded_once_and_pinned(server, tmp_path):
    folder, address, log = server
    torch.save(STATE, folder / "net.pth")
    seen = []
    found = obtain(published(address), tmp_path / "cache", progress=lambda done, total: seen.append((done, total)))
    the_same(found.tensors)
    size = (folder / "net.pth").stat().st_size
    assert seen == [(size, size)]
    assert found.sha256 == sha256(folder / "net.pth")
    assert sorted(path.name for path in (tmp_path / "cache/weights").iterdir()) == ["net.pth", "pins.json"]
    assert json.loads((tmp_path / "cache/weights/pins.json").read_text()) == {"net.pth": found.sha256}
    (folder / "net.pth").unlink()
    assert obtain(published(address), tmp_path / "cache").sha256 == found.sha256
    assert log == ["/net.pth"]


def test_addresses_may_redirect(server, tmp_path):
    folder, address, _ = server
    torch.save(STATE, folder / "net.pth")
    the_same(obtain(Published("x", "net.pth", f"{address}/moved/net.pth"), tmp_path).tensors)


def test_a_given_file_comes_first(server, tmp_path):
    folder, address, log = server
    torch.save(STATE, tmp_path / "mine.pth")
    torch.save({"other": torch.zeros(1)}, folder / "net.pth")
    found = obtain(published(address), tmp_path / "cache", tmp_path / "mine.pth")
    the_same(found.tensors)
    assert not log
    assert json.loads((tmp_path / "cache/weights/pins.json").read_text()) == {"mine.pth": found.sha256}


def test_a_given_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"mine.pth is not there: expected the small net, the file net.pth"):
        obtain(published(), tmp_path, tmp_path / "mine.pth")


def test_no_network(tmp_path):
    with pytest.raises(UserError) as caught:
        obtain(published(), tmp_path)
    text = str(caught.value)
    assert "http://127.0.0.1:1/net.pth could not be downloaded" in text
    assert str(tmp_path / "weights" / "net.pth") in text
    for metric in ("classifier", "random", "pixels", "zerosum evaluate list"):
        assert metric in text
    assert list((tmp_path / "weights").iterdir()) == []


@pytest.mark.parametrize("name", ["gone.pth", "cut.pth", "page.pth"])
def test_a_failed_download_leaves_nothing(server, tmp_path, name):
    folder, address, _ = server
    torch.save(STATE, folder / "cut.pth")
    (folder / "page.pth").write_text("<html>please log in</html>")
    reason = {"gone.pth": "404", "cut.pth": "cut after|IncompleteRead", "page.pth": "no file of weights"}[name]
    with pytest.raises(UserError, match=reason):
        obtain(published(address, name), tmp_path)
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_file_without_end_is_given_up(server, tmp_path, monkeypatch):
    folder, address, _ = server
    torch.save(STATE, folder / "net.pth")
    monkeypatch.setattr(weights, "_LARGEST", 100)
    with pytest.raises(UserError, match="it does not end"):
        download(published(address), tmp_path / "net.pth")
    assert not (tmp_path / "net.pth").exists()


def test_a_full_disk_is_said(server, tmp_path, monkeypatch):
    folder, address, _ = server
    torch.save(STATE, folder / "net.pth")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "_copy", full)
    with pytest.raises(Stopped, match="disk is full"):
        download(published(address), tmp_path / "net.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["server"]


def test_another_file_than_the_first_is_refused(tmp_path):
    path = tmp_path / "weights" / "net.pth"
    path.parent.mkdir()
    torch.save(STATE, path)
    first = obtain(published(), tmp_path).sha256
    torch.save({**STATE, "bias": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="is not the file that was used first") as caught:
        obtain(published(), tmp_path)
    assert first in str(caught.value)
    assert sha256(path) in str(caught.value)
    assert "pins.json" in str(caught.value)
    assert json.loads((tmp_path / "weights/pins.json").read_text()) == {"net.pth": first}


@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_pins_are_said(tmp_path, text):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "pins.json").write_text(text)
    torch.save(STATE, tmp_path / "weights" / "net.pth")
    with pytest.raises(UserError, match=r"pins.json is damaged"):
        obtain(published(), tmp_path)


def test_three_formats(tmp_path):
    torch.save(STATE, tmp_path / "new.pth")
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(STATE, tmp_path / "net.safetensors")
    for name in ("new.pth", "old.pth", "net.safetensors"):
        the_same(read(tmp_path / name, published()))


class Evil:
    """Says that it was executed."""

    def __reduce__(self):
        return exec, ("import builtins; builtins.executed = True",)


def test_nothing_is_executed(tmp_path):
    import builtins

    torch.save({"weight": torch.zeros(1), "evil": Evil()}, tmp_path / "evil.pth")
    torch.save({"evil": Evil()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pth", "old.pth", "plain.pkl"):
        with pytest.raises(UserError, match=r"more than tensors|neither a safetensors file"):
            read(tmp_path / name, published())
    assert not hasattr(builtins, "executed")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "net.pt"))
    with pytest.raises(UserError, match="TorchScript archives and whole pickled models are refused"):
        read(tmp_path / "net.pt", published())


def test_other_files_are_refused(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("weights")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"0" * 10**6)
    for name in ("empty", "text", "zip", "bomb"):
        with pytest.raises(UserError, match="neither a safetensors file nor a torch state dict"):
            read(tmp_path / name, published())


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, {1: torch.zeros(1)}, torch.zeros(2), {"model": STATE}])
def test_other_contents_are_refused(tmp_path, value):
    torch.save(value, tmp_path / "net.pth")
    with pytest.raises(UserError, match="no plain state dict"):
        read(tmp_path / "net.pth", published())


@pytest.mark.parametrize("new", [True, False])
def test_a_damaged_file_is_said(tmp_path, new):
    path = tmp_path / "net.pth"
    torch.save({"weight": torch.zeros(10_000)}, path, _use_new_zipfile_serialization=new)
    content = path.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 50):
        path.write_bytes(content[:length])
        with pytest.raises(UserError):
            read(path, published())
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="cannot be read"):
        read(path, published())


def test_a_header_that_lies_about_sizes_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match="cannot be read"):
        read(path, published())


def empty():
    with torch.device("meta"):
        return nn.Linear(3, 2)


def test_filling():
    net = fill(empty(), {**STATE, "text.a": torch.zeros(1)}, published(), ("text.",))
    the_same(net.state_dict())
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    half = {name: tensor.half() for name, tensor in STATE.items()}
    assert fill(empty(), half, published()).weight.dtype == torch.float32


def test_wrong_contents_are_named():
    def refused(tensors, words):
        with pytest.raises(UserError) as caught:
            fill(empty(), tensors, published())
        for word in (*words, "expected net.pth of http"):
            assert word in str(caught.value)

    refused({"weight": STATE["weight"]}, ["it lacks bias"])
    refused({**STATE, "a": STATE["bias"]}, ["it has a;"])
    refused({**STATE, "weight": torch.zeros(3, 2)}, ["weight (3, 2) instead of (2, 3)"])
    refused({**STATE, **{letter: torch.zeros(1) for letter in "pqrst"}}, ["p, q, r and 2 more"])
    refused({**STATE, "weight": torch.zeros(1).expand(10**9, 10**9)}, ["weight (1000000000, 1000000000)"])


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="bias holds values that are not finite"):
        fill(empty(), {**STATE, "bias": torch.tensor([1.0, float("nan")])}, published())


def test_a_file_whose_name_promises_a_hash_must_have_it(tmp_path):
    """Names of published files end in the first digits of their SHA-256."""
    torch.save(STATE, tmp_path / "plain.pth")
    digits = sha256(tmp_path / "plain.pth")[:8]
    (tmp_path / f"net-{digits}.pth").write_bytes((tmp_path / "plain.pth").read_bytes())
    (tmp_path / "net-12345678.pth").write_bytes((tmp_path / "plain.pth").read_bytes())
    the_same(obtain(published(), tmp_path / "cache", tmp_path / f"net-{digits}.pth").tensors)
    with pytest.raises(UserError, match=r"net-12345678.pth is not the file of that name: its SHA-256 .* 12345678"):
        obtain(published(), tmp_path / "cache", tmp_path / "net-12345678.pth")


def test_the_first_use_is_said_once(tmp_path):
    """With the whole hash, and that it is not the published file where its hash shows that."""
    torch.save(STATE, tmp_path / "mine.pth")
    told = []
    for _ in range(2):
        obtain(published(file="net-12345678.pth"), tmp_path / "cache", tmp_path / "mine.pth", say=told.append)
    assert len(told) == 1
    assert sha256(tmp_path / "mine.pth") in told[0]
    assert "(not net-12345678.pth, whose hash is another)" in told[0]


def test_pins_that_cannot_be_written_cost_a_sentence(tmp_path):
    torch.save(STATE, tmp_path / "mine.pth")
    told = []
    the_same(obtain(published(), tmp_path / "mine.pth" / "cache", tmp_path / "mine.pth", say=told.append).tensors)
    assert "the hash is not noted" in told[1]


def test_networks_are_told_by_names_and_shapes():
    assert fits(nn.Linear(3, 2), STATE)
    assert fits(nn.Linear(3, 2), {**STATE, "more": torch.zeros(1)})
    assert not fits(nn.Linear(2, 3), STATE)
    assert not fits(nn.Linear(3, 2), {"weight": STATE["weight"]})
