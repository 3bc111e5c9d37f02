"""The page's addresses: what they answer, to whom, and what they never give away; and the stream of changes."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from live_pages import PATIENCE, Page, add_stats, key_of, quicken, served, wait_for, write_grid, write_run

from zerosum.errors import UserError
from zerosum.report.facts import read
from zerosum.report.live import serve
from zerosum.report.live.follow import Following
from zerosum.report.live.hall import Hall
from zerosum.report.live.hosts import may_ask
from zerosum.report.live.serving import listen, server_of

HOSTILE = "<img src=x onerror=alert(1)>&\"'"
LOCAL = {"Host": "localhost"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("all") / "runs"
    write_run(top / "001-digits-dcgan")
    run = write_run(top / "002-digits-modern", recipe="modern")
    write_grid(run, 0, "real.png")
    write_run(top / HOSTILE, recipe="<script>alert(2)</script>", data="</title><b>")
    (top / "no run").mkdir()
    secret = top.parent / "secret"
    secret.mkdir()
    (secret / "real.png").write_bytes(b"secret")
    (run.folder / "samples" / f"{7:012d}.png").symlink_to(secret / "real.png")
    (run.folder / "samples" / "notes.txt").write_text("secret")
    write_run(top.parent / "outside")
    (top / "link").symlink_to(top.parent / "outside")
    return top


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    with served(folder) as found:
        yield found


def test_all_runs_are_on_the_first_view(page: Page) -> None:
    status, _, text = page.get("/")
    assert status == 200
    assert text.count('class="card') == 3
    assert f'<a href="/run/{key_of("001-digits-dcgan")}">001-digits-dcgan</a>' in text
    assert "modern on digits" in text
    assert ">link</a>" not in text  # it leads out of the folder


def test_a_run_has_its_panels_on_the_first_view(page: Page) -> None:
    key = key_of("002-digits-modern")
    status, _, text = page.get(f"/run/{key}")
    assert status == 200
    assert "Real and generated" in text
    assert "Critic&#x27;s loss" in text
    assert f"/file/{key}/samples/real.png?v=" in text
    assert 'rel="up"' in text
    assert ' style="' not in text  # the page's own policy forbids it


def test_each_number_is_given_once(page: Page) -> None:
    """The report's cards would repeat those above them; its sentence does not."""
    _, _, text = page.get(f"/run/{key_of('001-digits-dcgan')}")
    short = text.partition("<h2>In short</h2>")[2].partition("<h2>")[0]
    assert "dcgan on digits" in short
    assert "cards" not in short


def test_names_are_text(page: Page) -> None:
    for path in ("/", f"/run/{key_of(HOSTILE)}"):
        text = page.get(path)[2]
        assert "&lt;img src=x" in text
        assert "<img src=x" not in text
        assert "<script>alert" not in text
        assert "</title><b>" not in text


@pytest.mark.parametrize(
    "path", ["/", "/page.css", "/page.js", "/run/nothing", "/nothing", "/events?of=nothing", "/walk/nothing"]
)
def test_every_answer_says_how_little_it_may_do(page: Page, path: str) -> None:
    headers = page.get(path)[1]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


def test_pictures_of_samples_are_given(page: Page, folder: Path) -> None:
    key = key_of("002-digits-modern")
    status, headers, _ = page.get(f"/file/{key}/samples/real.png")
    assert (status, headers["content-type"]) == (200, "image/png")
    assert page.get(f"/file/{key}/samples/{0:012d}.png?v=1")[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt", "000000000007.png", "nearest.png", "..", "../recipe.json", "..%2frecipe.json",
        "%2e%2e/recipe.json",
        "..%5crecipe.json", "real.png%00", "real.png%0a", "REAL.PNG", "0.png", "%2fetc%2fpasswd", "٠٠٠٠٠٠٠٠٠٠٠٠.png",
    ],
)  # fmt: skip
def test_nothing_else_is_given(page: Page, name: str) -> None:
    key = key_of("002-digits-modern")
    status, _, text = page.get(f"/file/{key}/samples/{quote(name, safe='%/.')}")
    assert status == 404
    assert "secret" not in text


@pytest.mark.parametrize("path", ["/file/../../etc/passwd", "//etc/passwd", "/file/x/samples/real.png", "/recipe.json"])
def test_no_other_path_is_known(page: Page, path: str) -> None:
    assert page.get(path)[0] == 404


def test_a_damaged_grid_is_told_in_words_and_the_one_before_stands_for_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / "001-a")
    write_grid(run, 100)
    damaged = write_grid(run, 200)
    damaged.write_bytes(damaged.read_bytes()[:-20])
    hall = Hall(tmp_path / "runs")
    card, one = hall.view(""), hall.view(key_of("001-a"))
    assert card is not None
    assert one is not None
    assert f"{100:012d}.png" in card.parts[key_of("001-a")].html
    pictures = one.parts["pictures"].html
    assert f"samples/{100:012d}.png" in pictures
    assert f"samples/{200:012d}.png" not in pictures
    assert f"{200:012d}.png cannot be shown: it is damaged" in pictures


def test_mistakes_do_not_say_where_the_folder_lies(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / "001-a")
    run.snapshot_file(100).parent.mkdir()
    run.snapshot_file(100).write_bytes(b"no model")
    run.recipe_file.write_text("{}")
    with served(tmp_path / "runs") as page:
        text = page.get(f"/walk/{key_of('001-a')}")[2]
        assert text.startswith("001-a/snapshots/")
        for found in (text, page.get("/")[2], page.get(f"/run/{key_of('001-a')}")[2]):
            assert str(tmp_path) not in found


def test_runs_take_turns_and_the_page_of_all_waits_for_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"00{place}-a" for place in range(6)]
    for name in names:
        write_run(tmp_path / name)
    inside, go, answered = threading.Semaphore(0), threading.Semaphore(0), list[str]()

    def slow(following: Following, seconds: float) -> None:
        inside.release()
        assert go.acquire(timeout=PATIENCE)

    monkeypatch.setattr(Following, "advance", slow)
    monkeypatch.setattr(Following, "facts", lambda following: read(following.folder))
    with served(tmp_path) as page:

        def ask(path: str) -> threading.Thread:
            thread = threading.Thread(target=lambda: answered.append(path if page.get(path)[0] == 200 else "no"))
            thread.start()
            return thread

        threads = [ask(f"/run/{key_of(name)}") for name in names]
        assert inside.acquire(timeout=PATIENCE)
        threads.append(ask("/"))
        time.sleep(0.2)  # until it waits
        go.release()
        wait_for(lambda: "/" in answered)
        assert len(answered) <= 2
        for _ in names:
            go.release()
        for thread in threads:
            thread.join(PATIENCE)
    assert len(answered) == 7


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(page: Page, method: str) -> None:
    for path in ("/", f"/run/{key_of('001-digits-dcgan')}", "/events"):
        assert page.get(path, method=method)[0] == 405


def test_only_this_machine_is_answered(page: Page) -> None:
    for host in ("localhost", "127.0.0.1:1234", "LOCALHOST:80", "[::1]:80"):
        assert page.get("/", {"Host": host})[0] == 200
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "192.168.0.7", "a b"):
        status, headers, text = page.get("/", {"Host": host})
        assert status == 403
        assert "digits" not in text
        assert "content-security-policy" in headers


def test_a_machine_that_serves_others_answers_to_addresses_and_its_own_name() -> None:
    own = socket.gethostname()
    assert may_ask(f"{own}:8000", "0.0.0.0")
    assert may_ask("192.168.0.7:8000", "0.0.0.0")
    assert may_ask("[fe80::1]:8000", "::")
    assert not may_ask("evil.example:8000", "0.0.0.0")
    assert not may_ask(f"{own}:8000", "127.0.0.1")


def test_pages_of_other_sites_cannot_make_it_work(page: Page) -> None:
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert page.get(f"/walk/{key_of('001-digits-dcgan')}", cross)[0] == 403
    assert page.get("/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})[0] == 200  # a link


def test_the_stream_begins_with_all_or_with_what_the_browser_lacks(page: Page) -> None:
    with page.events() as stream:
        name, token, content = stream.next()
    parts, order = content["parts"], content["order"]
    assert name == "parts"
    assert isinstance(parts, dict)
    assert isinstance(order, list)
    assert set(parts) == set(order) == {key_of(name) for name in ("001-digits-dcgan", "002-digits-modern", HOSTILE)}
    assert token in page.get("/")[2]  # so the first view lacks nothing
    with page.events(headers={"Last-Event-ID": "of another server"}) as stream:
        assert set(stream.next()[2]["parts"]) == set(parts)  # type: ignore[call-overload]


def test_changes_come_as_they_happen(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / "001-a")
    with served(tmp_path / "runs") as page:
        known = page.hall_view("")
        with page.events(since=known) as stream, page.events(of=key_of("001-a")) as other:
            assert "walk" not in other.next()[2]["order"]  # type: ignore[operator]
            add_stats(run, 700)
            content = stream.until(lambda content: "700 of 10k" in str(content))
            assert list(content["parts"]) == [key_of("001-a")]  # type: ignore[call-overload]
            content = other.until(lambda content: "700 of 10k" in str(content))
            write_run(tmp_path / "runs" / "002-b")
            content = stream.until(lambda content: len(content["order"]) == 2)  # type: ignore[arg-type]
            assert content["order"] == [key_of("002-b"), key_of("001-a")]
            assert list(content["parts"]) == [key_of("002-b")]  # type: ignore[call-overload]
            assert content["say"] == "002-b: running"
            run.event("verdict", 700, verdict="critic overfits", level="warn")
            content = other.until(lambda content: content["say"])
            assert content["say"] == "001-a: running, critic overfits"
            run.folder.rename(tmp_path / "away")
            content = stream.until(lambda content: len(content["order"]) == 1)  # type: ignore[arg-type]
            while (event := other.next())[0] != "gone":
                assert event[0] == "parts"


def test_files_that_go_away_between_two_looks_are_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "runs" / "001-a")
    hall = Hall(tmp_path / "runs")
    for key in ("", key_of("001-a")):
        view = hall.view(key)
        assert view is not None
        assert f"{0:012d}.png" in str(view.parts)
    monkeypatch.setattr("zerosum.report.live.hall.FRESH", 1e9)  # the run is known, and gone
    hall._views.clear()
    hall._drawn.clear()
    run.folder.rename(tmp_path / "away")
    for key in ("", key_of("001-a")):
        view = hall.view(key)
        assert view is not None
        assert ".png" not in str(view.parts)


def test_a_browser_that_leaves_ends_its_stream(page: Page) -> None:
    with page.events() as stream:
        stream.next()
        assert page.pages.streams == 1
    wait_for(lambda: page.pages.streams == 0)


def test_ending_the_server_ends_the_streams(folder: Path) -> None:
    with served(folder) as page, page.events() as stream:
        stream.next()
        page.server.should_exit = True
        assert stream.answer.read() == b""  # an end, and no error


def test_more_browsers_than_can_be_served_are_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerosum.report.live.server.STREAMS", 0)
    assert page.get("/events")[0] == 503


def test_one_run_is_shown_at_once(folder: Path) -> None:
    with served(folder / "001-digits-dcgan") as page:
        status, headers, _ = page.get("/")
        assert (status, headers["location"]) == (307, f"/run/{key_of('001-digits-dcgan')}")
        text = page.get(headers["location"])[2]
        assert 'rel="up"' not in text
        assert "Real and generated" in text


def test_a_folder_without_runs_is_served_until_there_is_one(tmp_path: Path) -> None:
    with served(tmp_path) as page:
        assert "No run here yet" in page.get("/")[2]
        with page.events() as stream:
            assert stream.next()[2]["order"] == ["empty"]
            write_run(tmp_path / "001-a")
            stream.until(lambda content: content["order"] == [key_of("001-a")])


def test_mistakes_are_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def say(text: str) -> None:
        raise AssertionError(text)

    with pytest.raises(UserError, match="There is no folder"):
        serve(tmp_path / "nothing", "127.0.0.1", 0, say)
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"Port {port} is in use .* --port"):
            serve(tmp_path, "127.0.0.1", port, say)
    with pytest.raises(UserError, match="--port 70000"):
        serve(tmp_path, "127.0.0.1", 70_000, say)
    with pytest.raises(UserError, match=r"not\.an\.address"):
        serve(tmp_path, "not.an.address.invalid", 0, say)
    with pytest.raises(UserError, match="cannot be had"):
        serve(tmp_path, "192.0.2.1", 0, say)  # an address that no machine has
    for name in [name for name in sys.modules if name.startswith(("uvicorn", "zerosum.report.live.server"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"pip install 'zerosum\[live\]'"):
        server_of(Hall(tmp_path), "127.0.0.1")


def test_the_command_opens_without_torch_and_ctrl_c_ends_it_quietly(folder: Path) -> None:
    code = (
        "import sys, threading, pathlib\n"
        "from zerosum.report.live import serve\n"
        "serve(pathlib.Path(sys.argv[1]), '127.0.0.1', 0, lambda text: print(text, flush=True))\n"
        "assert 'torch' not in sys.modules\n"
        "print('end')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("3 runs\n")
        address = process.stdout.readline().split()[0]
        port = int(address.rstrip("/").rpartition(":")[2])
        page = Page("127.0.0.1", port, None, None)  # type: ignore[arg-type]
        wait_for(lambda: page.get("/")[0] == 200)
        assert page.get(f"/run/{key_of('002-digits-modern')}")[0] == 200
        with page.events() as stream:
            stream.next()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "end\n", "")
