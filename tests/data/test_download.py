"""Well-known data sets: local copies, and downloads from a small server on this machine that misbehaves."""

from __future__ import annotations

import contextlib
import hashlib
import io
import lzma
import os
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from zerosum.data.readers import download
from zerosum.data.readers.download import BATCHES, CATALOGUE, Batch, Download, File, fetch, local
from zerosum.errors import UserError

FIRST, SECOND = bytes(range(256)) * 2000, b"labels" * 9
CONTENT = {"images.gz": FIRST, "labels.gz": SECOND}


def small(files=CONTENT):
    listed = tuple(File(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items())
    return Download(("http://127.0.0.1:9/a/",), listed, ("small",), tuple(files), ("",))


@pytest.fixture(autouse=True)
def catalogue(monkeypatch):
    monkeypatch.setitem(CATALOGUE, "small", small())
    monkeypatch.setattr(download, "WAIT", 0)


class Mirror(BaseHTTPRequestHandler):
    """Answers as ``server.answer(handler, name, start)`` says; None means honestly, with ranges."""

    def log_message(self, *words):
        pass

    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        self.server.asked.append((self.path, start))
        if self.server.answer is None or not self.server.answer(self, name, start):
            self.honest(name, start)

    def honest(self, name, start):
        if name not in CONTENT:
            return self.send(404, b"", {})
        if start:
            total = len(CONTENT[name])
            return self.send(206, CONTENT[name][start:], {"Content-Range": f"bytes {start}-{total - 1}/{total}"})
        return self.send(200, CONTENT[name], {})

    def send(self, code, content, headers, length=None):
        self.send_response(code)
        for key, value in {**headers, "Content-Length": len(content) if length is None else length}.items():
            if value is not False:
                self.send_header(key, str(value))
        self.end_headers()
        with contextlib.suppress(OSError):  # a client that has heard enough
            self.wfile.write(content)
        return True


@pytest.fixture
def mirror():
    """A function: answer -> (address, list of (path, start) that was asked)."""
    with contextlib.ExitStack() as stack:

        def start(answer=None):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Mirror))
            server.answer, server.asked = answer, []
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}/files/", server.asked

        yield start


def take(folder, *mirrors, name="small"):
    """(what was said, the folder)."""
    said = []
    return said, fetch(name, folder, said.append, mirrors)


def expect(folder, *mirrors, words=(), name="small"):
    said = []
    with pytest.raises(UserError) as caught:
        fetch(name, folder, said.append, mirrors)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    return said


def assert_whole(folder):
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"} == CONTENT


def test_a_download(tmp_path, mirror):
    address, asked = mirror()
    seen = []
    folder = fetch("small", tmp_path, lambda text: None, [address], lambda *counts: seen.append(counts))
    assert folder == tmp_path / "data" / "small"
    assert_whole(folder)
    total = len(FIRST) + len(SECOND)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)
    assert asked == [("/files/images.gz", 0), ("/files/labels.gz", 0)]
    fetch("small", tmp_path, lambda text: None, [address])
    assert len(asked) == 2  # nothing is fetched twice
    (folder / "labels.gz").write_bytes(b"short")
    fetch("small", tmp_path, lambda text: None, [address])
    assert len(asked) == 3
    assert_whole(folder)


def test_large_downloads_say_how_far_they_are(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(download, "TOLD", 1000)
    said, _ = take(tmp_path, mirror()[0])
    told = [text for text in said if text.startswith("small: ")]
    assert 1 <= len(told) <= 10
    assert told[-1] == "small: 1 of 1 MB"


def cut(at):
    """Cuts the first file once, after ``at`` bytes."""
    done = []

    def answer(handler, name, start):
        if name == "images.gz" and not done:
            done.append(True)
            return handler.send(200, FIRST[:at], {}, length=len(FIRST))
        return False

    return answer


def test_a_cut_connection_goes_on(tmp_path, mirror):
    address, asked = mirror(cut(300_000))
    _, folder = take(tmp_path, address)
    assert_whole(folder)
    assert [start for path, start in asked if "images" in path] == [0, 300_000]


def test_a_kill_goes_on_in_the_next_run(tmp_path, mirror):
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    (folder / ".part-images.gz").write_bytes(FIRST[:1000])
    address, asked = mirror()
    take(tmp_path, address)
    assert asked[0] == ("/files/images.gz", 1000)
    assert_whole(folder)


def test_a_server_without_ranges(tmp_path, mirror):
    def whole_only(handler, name, start):
        return handler.send(200, CONTENT[name], {})

    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    (folder / ".part-images.gz").write_bytes(b"?" * 1000)
    address, _ = mirror(whole_only)
    take(tmp_path, address)
    assert_whole(folder)


@pytest.mark.parametrize("length", [1000, len(FIRST), len(FIRST) + 5])
def test_a_beginning_that_does_not_belong_to_the_rest(tmp_path, mirror, length):
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    (folder / ".part-images.gz").write_bytes(b"?" * length)
    address, _ = mirror()
    take(tmp_path, address)
    assert_whole(folder)


def test_a_server_that_answers_another_part(tmp_path, mirror):
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    (folder / ".part-images.gz").write_bytes(FIRST[:1000])

    def other(handler, name, start):
        return start and handler.send(206, FIRST[5:], {"Content-Range": "bytes 5-9/10"})

    expect(tmp_path, mirror(other)[0], words=["another part"])
    refuses, _ = mirror(lambda handler, name, start: start and handler.send(416, b"", {}))
    said = expect(tmp_path, refuses, words=["answers 416"])
    assert len(said) == 2
    take(tmp_path, refuses)  # its beginning was dropped
    assert_whole(folder)


def test_a_wrong_checksum_then_another_mirror(tmp_path, mirror):
    bad, asked = mirror(lambda handler, name, start: handler.send(200, b"x" * len(CONTENT[name]), {}))
    good, _ = mirror()
    said, folder = take(tmp_path, bad, good)
    assert_whole(folder)
    assert len(asked) == 2
    assert sum("wrong SHA-256" in text for text in said) == 2
    said = expect(tmp_path / "other", bad, words=["wrong SHA-256", "images.gz"])
    assert list((tmp_path / "other" / "data" / "small").iterdir()) == [tmp_path / "other" / "data" / "small" / ".lock"]


@pytest.mark.parametrize("told", [True, False])
def test_more_than_expected(tmp_path, mirror, told):
    sent = []

    def more(handler, name, start):
        headers = {} if told else {"Content-Length": False}
        content = b"x" * (len(CONTENT[name]) + 2**20)
        sent.append(name)
        if told:
            return handler.send(200, content, headers)
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(content)
        handler.close_connection = True
        return True

    address, _ = mirror(more)
    expect(tmp_path, address, words=["offers" if told else "sends more than", str(len(FIRST))])
    partial = tmp_path / "data" / "small" / ".part-images.gz"
    assert not partial.exists() or partial.stat().st_size == 0
    assert not (tmp_path / "data" / "small" / "images.gz").exists()
    assert len(sent) == 1


def test_a_page_about_an_error(tmp_path, mirror):
    expect(tmp_path, mirror(lambda handler, *_: handler.send(200, b"<html>", {}))[0], words=["offers 6 bytes"])
    expect(tmp_path, mirror(lambda handler, *_: handler.send(503, b"", {}))[0], words=["answers 503"])
    expect(
        tmp_path, mirror(lambda handler, *_: handler.wfile.write(b"garbage") or True)[0], words=["cannot be reached"]
    )


def test_a_server_that_never_gets_far(tmp_path, mirror):
    def slowly(handler, name, start):
        return handler.send(206 if start else 200, FIRST[start : start + 10], {"Content-Range": f"bytes {start}-"}, 0)

    def honest_length(handler, name, start):
        headers = {"Content-Range": f"bytes {start}-"} if start else {}
        return handler.send(206 if start else 200, FIRST[start : start + 10], headers, len(FIRST) - start)

    expect(tmp_path, mirror(slowly)[0], words=["offers 0 bytes"])
    address, asked = mirror(honest_length)
    expect(tmp_path, address, words=["was cut after 30 of"])
    assert len(asked) == 3
    good, asked = mirror()
    take(tmp_path, address, good)
    assert asked[0][1] > 30  # another mirror goes on as well


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:text/plain,x"])
def test_redirects_leave_the_web_never(tmp_path, mirror, target):
    address, _ = mirror(lambda handler, *_: handler.send(302, b"", {"Location": target}))
    expect(tmp_path, address, words=[target.split(":")[0]])
    assert not list((tmp_path / "data" / "small").glob("*.gz"))


def test_redirects_to_another_server(tmp_path, mirror):
    good, _ = mirror()
    address, _ = mirror(lambda handler, name, _: handler.send(302, b"", {"Location": good + name}))
    assert_whole(take(tmp_path, address)[1])


def test_no_mirror(tmp_path):
    said = expect(tmp_path, "http://127.0.0.1:9/a/", "file:///etc/", words=["images.gz, labels.gz", "by hand"])
    assert len(said) == 4
    folder = tmp_path / "data" / "small"
    with pytest.raises(UserError) as caught:
        fetch("small", tmp_path, said.append)
    for word in (str(folder), "http://127.0.0.1:9/a/", "ZEROSUM_DATA", "--data-root"):
        assert word in str(caught.value)
    assert not list(folder.glob("*.gz"))
    expect(tmp_path, name="smal", words=["did you mean small"])


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "data").write_text("a file")
    expect(tmp_path, "http://127.0.0.1:9/a/", words=["may not be written to", "ZEROSUM_CACHE"])


def test_processes_wait_for_each_other(tmp_path, mirror):
    address, asked = mirror()
    workers = [threading.Thread(target=take, args=(tmp_path, address)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(asked) == 2
    assert_whole(tmp_path / "data" / "small")


def packed(batches):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def test_an_archive_is_verified_by_what_is_inside(tmp_path, mirror, monkeypatch):
    batches = {name: name.encode() * 100 for name in BATCHES}
    good = packed(batches)
    known = {name: Batch(len(content), hashlib.md5(content).hexdigest()) for name, content in batches.items()}
    monkeypatch.setattr(download, "BATCHES", known)
    for name, content, words in (
        ("whole", good, None),
        ("changed", packed({**batches, "test_batch": b"x" * 1000}), "wrong MD5 of test_batch"),
        ("missing", packed({"data_batch_1": batches["data_batch_1"]}), "wrong MD5 of data_batch_2"),
        ("damaged", good[:-40] + bytes(40), "no archive of batches"),
        ("no archive", b"?" * 500, "no archive of batches"),
    ):
        monkeypatch.setitem(CONTENT, "cifar.tar.gz", content)
        file = File("cifar.tar.gz", len(content), None)
        monkeypatch.setitem(CATALOGUE, name, Download(("http://127.0.0.1:9/",), (file,), ("x",), (), ()))
        if words is None:
            path = take(tmp_path, mirror()[0], name=name)[1]
            assert path == tmp_path / "data" / name / "cifar.tar.gz"
            assert path.read_bytes() == content
        else:
            expect(tmp_path, mirror()[0], name=name, words=[words])
            assert not (tmp_path / "data" / name / "cifar.tar.gz").exists()


def fill(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_local_copies(tmp_path):
    needed = CATALOGUE["mnist"].needed
    empty, other, root = tmp_path / "empty", tmp_path / "other", tmp_path / "root"
    assert local("mnist", []) is None
    assert local("mnist", [empty]) is None
    fill(other / "mnist", *needed[:3])  # not whole
    folder = fill(root / "mnist", *(f"{name}.gz" for name in needed))
    assert local("mnist", [empty, other, root]) == folder
    assert local("fashion-mnist", [root]) is None
    plain = fill(root / "FashionMNIST" / "raw", *needed)
    assert local("fashion-mnist", [root]) == plain


@pytest.mark.parametrize("place", ["cifar-10/cifar-10-batches-py", "cifar-10-batches-py", "cifar10"])
@pytest.mark.parametrize("suffix", ["", ".xz"])
def test_local_batches(tmp_path, place, suffix):
    folder = fill(tmp_path / place, *(f"{name}{suffix}" for name in BATCHES))
    assert local("cifar10", [tmp_path]) == folder
    (folder / f"test_batch{suffix}").unlink()
    assert local("cifar10", [tmp_path]) is None


def test_a_local_archive(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"x")
    assert local("cifar10", [tmp_path]) == tmp_path / "cifar-10-python.tar.gz"


DATA = os.environ.get("ZEROSUM_DATA")


@pytest.mark.skipif(not DATA, reason="ZEROSUM_DATA names no folder of data")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_catalogue_knows_the_real_files(name):
    folder = local(name, [Path(DATA)])
    assert folder is not None
    for file in CATALOGUE[name].files:
        content = (folder / file.name).read_bytes()
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256


@pytest.mark.skipif(not DATA, reason="ZEROSUM_DATA names no folder of data")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in [*BATCHES][:-1]] + ["test_batch"]
)
def test_the_catalogue_knows_the_real_batches(name):
    folder = local("cifar10", [Path(DATA)])
    assert folder is not None
    packed = folder / f"{name}.xz"
    content = lzma.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    assert Batch(len(content), hashlib.md5(content).hexdigest()) == BATCHES[name]


def test_addresses_are_base_addresses():
    for entry in CATALOGUE.values():
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in entry.mirrors)
