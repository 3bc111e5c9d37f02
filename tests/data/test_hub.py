"""Data sets of the Hub, fetched from a small server on this machine that answers as the Hub does."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from PIL import Image

pa = pytest.importorskip("pyarrow", reason="tables need pyarrow")
pytest.importorskip("huggingface_hub", reason="data sets of the Hub need huggingface_hub")
import pyarrow.parquet as pq  # noqa: E402

from zerosum.data.readers.hub import ADDRESS, hub  # noqa: E402
from zerosum.errors import UserError  # noqa: E402

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def png(value):
    file = io.BytesIO()
    Image.new("L", (3, 2), value).save(file, "PNG")
    return file.getvalue()


def parquet(first, count=3):
    rows = [{"bytes": png(first + row), "path": None} for row in range(count)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    file = io.BytesIO()
    pq.write_table(pa.table({"image": pa.array(rows, kind), "label": list(range(count))}), file)
    return file.getvalue()


def zipped(count=3):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(f"{'ab'[number % 2]}/{number}.png", png(number))
    return file.getvalue()


class Hub(BaseHTTPRequestHandler):
    """Answers from ``server.repositories``: name -> branch -> file -> bytes, or name -> a code for every request."""

    def log_message(self, *words):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.asked.append((self.command, self.path))
        path = unquote(self.path.split("?")[0])
        kind, _, rest = path.removeprefix("/api").removeprefix("/datasets/").partition("/")
        name, _, rest = f"{kind}/{rest}".partition("/revision/" if path.startswith("/api") else "/resolve/")
        branches = self.server.repositories.get(name, "RepoNotFound")
        if isinstance(branches, str):
            return self.refuse({"GatedRepo": 403, "Down": 500}.get(branches, 404), branches)
        branch = next((known for known in branches if rest == known or rest.startswith(f"{known}/")), None)
        if not rest:
            branch = "main"
        elif rest == COMMIT or rest.startswith(f"{COMMIT}/"):
            known = {file: content for files in branches.values() for file, content in files.items()}
            return self.answer(path, known, rest[len(COMMIT) + 1 :])
        if branch is None:
            return self.refuse(404, "RevisionNotFound")
        return self.answer(path, branches[branch], rest[len(branch) + 1 :])

    def answer(self, path, files, name):
        if path.startswith("/api"):
            about = {"id": "x/y", "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
            return self.send(json.dumps(about).encode(), {"Content-Type": "application/json"})
        if name not in files:
            return self.refuse(404, "EntryNotFound")
        etag = hashlib.sha256(files[name]).hexdigest()
        return self.send(files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def send(self, content, headers):
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def refuse(self, code, error):
        self.send_response(code)
        self.send_header("X-Error-Code", error)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def serve():
    """A function: repositories -> (address, list of what was asked)."""
    with contextlib.ExitStack() as stack:

        def start(repositories):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Hub))
            server.daemon_threads = True
            server.repositories, server.asked = repositories, []
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}", server.asked

        yield start


TRAIN, TEST = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"
PLAIN = {"me/digits": {"main": {TRAIN: parquet(0), TEST: parquet(50, 2), "README.md": b"about"}}}


def everything(source):
    return [source.read(index) for index in range(len(source))]


def expect(endpoint, folder, address, *words):
    with pytest.raises(UserError) as caught:
        hub(address, endpoint, folder)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parquet_files(serve, tmp_path):
    endpoint, asked = serve(PLAIN)
    source = hub("hf:me/digits", endpoint, tmp_path)
    assert source.name == "digits"
    assert source.place == "hf:me/digits"
    assert everything(source) == [png(0), png(1), png(2), png(50), png(51)]
    assert source.test.tolist() == [3, 4]
    assert source.labels.tolist() == [0, 1, 2, 0, 1]
    assert not any("README" in path for _, path in asked)
    before = sum(command == "GET" and "/resolve/" in path for command, path in asked)
    again = hub("me/digits", endpoint, tmp_path)
    assert again.stamps == source.stamps
    assert sum(command == "GET" and "/resolve/" in path for command, path in asked) == before  # nothing fetched twice


def test_a_revision_and_a_table(serve, tmp_path):
    files = {f"{table}/train-0-of-1.parquet": parquet(first) for table, first in (("big", 0), ("small", 20))}
    endpoint, _ = serve({"me/two": {"main": {}, "v1.0": files}})
    source = hub("hf:me/two@v1.0:small", endpoint, tmp_path)
    assert source.name == "two-small"
    assert source.read(0) == png(20)
    expect(endpoint, tmp_path, "hf:me/two@v1.0", "big, small", "hf:me/two@v1.0:NAME")
    expect(endpoint, tmp_path, "hf:me/two@v1.0:smal", "did you mean small")
    expect(endpoint, tmp_path, "hf:me/two@v2", "no branch")
    assert hub(f"hf:me/two@{COMMIT}:big", endpoint, tmp_path).read(0) == png(0)


def test_the_default_table(serve, tmp_path):
    files = {"plain_text/train-0-of-1.parquet": parquet(0), "extra/train-0-of-1.parquet": parquet(9)}
    endpoint, _ = serve({"me/x": {"main": files}})
    assert hub("hf:me/x", endpoint, tmp_path).read(0) == png(0)


def test_what_the_hub_converted(serve, tmp_path):
    converted = {"default/train/0000.parquet": parquet(0), "default/test/0000.parquet": parquet(7, 1)}
    pictures = {"cat/0.png": png(0), "metadata.parquet": b"no table of pictures"}
    endpoint, _ = serve({"me/loose": {"main": pictures, "refs/convert/parquet": converted}})
    source = hub("hf:me/loose", endpoint, tmp_path)
    assert everything(source) == [png(0), png(1), png(2), png(7)]
    assert source.test.tolist() == [3]


def test_one_zip(serve, tmp_path):
    endpoint, _ = serve({"me/packed": {"main": {"all.zip": zipped()}}})
    source = hub("hf:me/packed", endpoint, tmp_path)
    assert source.name == "packed"
    assert sorted(everything(source)) == sorted(png(number) for number in range(3))
    assert source.classes == ("a", "b")


def test_nothing_to_read(serve, tmp_path):
    endpoint, _ = serve({"me/loose": {"main": {"cat/0.png": png(0), "a.zip": b"", "b.zip": b""}}})
    expect(endpoint, tmp_path, "hf:me/loose", "2 zips and 1 pictures", "hf download", "folder")


def test_files_that_are_no_tables(serve, tmp_path):
    endpoint, _ = serve({"me/bad": {"main": {TRAIN: b"PAR1 no"}}})
    expect(endpoint, tmp_path, "hf:me/bad", "damaged")


def test_names_that_lead_outside(serve, tmp_path):
    endpoint, asked = serve({"me/bad": {"main": {"../../out.parquet": parquet(0), "/etc/x.parquet": parquet(0)}}})
    expect(endpoint, tmp_path, "hf:me/bad", "no Parquet files")
    assert not any("resolve" in path for _, path in asked)


def test_no_is_an_answer(serve, tmp_path):
    endpoint, _ = serve({"me/gated": "GatedRepo"})
    expect(endpoint, tmp_path, "hf:me/unknown", "hf:me/unknown is not there", "private")
    expect(endpoint, tmp_path, "hf:me/gated", "accepted its terms", "by hand")


def test_without_a_network(serve, tmp_path):
    nowhere = "http://127.0.0.1:9"
    expect(nowhere, tmp_path, "hf:me/digits", "could not be fetched", "by hand", "give the folder")
    endpoint, _ = serve({**PLAIN, "me/down": "Down"})
    expect(endpoint, tmp_path, "hf:me/down", "could not be fetched")
    hub("hf:me/digits", endpoint, tmp_path)
    kept = hub("hf:me/digits", nowhere, tmp_path)
    assert everything(kept) == [png(0), png(1), png(2), png(50), png(51)]
    assert any("kept earlier" in note for note in kept.notes)
    for file in tmp_path.glob("*/snapshots/*/data/train-*"):
        file.rename(file.with_name("train-00001-of-00002.parquet"))
    expect(nowhere, tmp_path, "hf:me/digits", "could not be fetched")


@pytest.mark.parametrize("address", ["hf:", "hf:name", "hf:a/b/c", "hf:a b/c", "hf:me/x@", "hf:../x", "hf:me/--x"])
def test_addresses_that_are_none(tmp_path, address):
    expect("http://127.0.0.1:9", tmp_path, address, "hf:owner/name")


@pytest.mark.parametrize("missing", ["pyarrow", "huggingface_hub"])
def test_without_a_library(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    expect("http://127.0.0.1:9", tmp_path, "hf:me/x", "pip install 'zerosum[data]'")


def test_addresses():
    found = ADDRESS.fullmatch("hf:me/x@refs/convert/parquet:a/b")
    assert found.groupdict() == {"repo": "me/x", "revision": "refs/convert/parquet", "table": "a/b"}


def test_the_librarys_own_settings(serve, tmp_path):
    """``HF_ENDPOINT`` and ``HF_HOME`` are read by the library when it is imported."""
    endpoint, _ = serve(PLAIN)
    code = "from zerosum.data.readers.hub import hub; print(len(hub('hf:me/digits')))"
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "h")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "5\n", done.stderr
    assert list((tmp_path / "h").glob("datasets--me--digits"))
