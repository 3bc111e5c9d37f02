"""What a follower passes on: everything once, in order, whatever becomes of the logs meanwhile."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import VERDICT, Recorder, grid, metric, png, small_run, stats

from zerosum import files
from zerosum.errors import UserError
from zerosum.follow import follow as following
from zerosum.follow import track
from zerosum.follow.follow import Follower, follow
from zerosum.follow.items import Config, Item, Numbers, Pictures, Rewound, Words
from zerosum.follow.lines import numbers, sentence
from zerosum.follow.sent import Sent, read_sent
from zerosum.run import Run
from zerosum.tail import New


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return small_run(tmp_path / "001-digits-dcgan")


@pytest.fixture
def follower(run: Run) -> Follower:
    """One that has sent what is there."""
    found = Follower(run, Sent())
    assert list(found.new())
    return found


def restarted(follower: Follower, folder: Path) -> Follower:
    """The same in a new process, by its file."""
    follower.sent.write(folder / "cursor.json")
    return Follower(follower.run, read_sent(folder / "cursor.json"))


def losses(items: list[Item]) -> list[int]:
    return [item.step for item in items if isinstance(item, Numbers) and "critic.loss" in item.values]


def test_everything_comes_once_in_order(run: Run, tmp_path: Path) -> None:
    follower = Follower(run, Sent())
    items = list(follower.new())
    assert items[0] == Config(run.read())
    assert [item.step for item in items[1:-1] if not isinstance(item, Config)] == [
        0,
        100,
        200,
        200,
        200,
        200,
        *[300] * 3,
    ]
    assert Numbers(100, {"seconds": 10.0, "critic.loss": 0.6}) in items
    assert Numbers(200, {"kernel (track400, ema)": 0.25}) in items
    assert Numbers(200, {"kernel (track400, raw)": 0.5}) in items
    assert Numbers(200, {"signals/accuracy_held": 0.75, "signals/classes/cat": 0.5}) in items
    assert Pictures(300, "samples", png(300)) in items
    assert items[-1] == Pictures(0, "real", png(9))
    (words,) = [item for item in items if isinstance(item, Words)]
    assert words == Words(300, f"critic overfits (warn, since 300 images): {VERDICT['says']} {VERDICT['remedy']}")
    assert list(follower.new()) == []
    assert list(restarted(follower, tmp_path).new()) == []


def test_a_thing_counts_as_sent_when_the_next_one_is_asked_for(run: Run, tmp_path: Path) -> None:
    everything, follower = list(Follower(run, Sent()).new()), Follower(run, Sent())
    sent: list[Item] = []
    for _ in range(3 * len(everything)):  # a new process after each
        parts = follower.new()
        sent += [item for item in [next(parts, None)] if item is not None]
        next(parts, None)
        follower = restarted(follower, tmp_path)
    assert sent == everything


def test_only_what_is_new_comes_and_a_torn_line_when_it_is_whole(run: Run, follower: Follower) -> None:
    with open(run.stats, "ab") as file:
        file.write(b'{"images": 350, "critic.loss"')
    assert list(follower.new()) == []
    with open(run.stats, "ab") as file:
        file.write(b": 2.5}\nnonsense\n[1]\n")
    grid(run, 350)
    assert list(follower.new()) == [Numbers(350, {"critic.loss": 2.5}), Pictures(350, "samples", png(350))]


@pytest.mark.parametrize("again", [False, True])
def test_a_rewound_run_is_sent_again_from_there(run: Run, follower: Follower, tmp_path: Path, again: bool) -> None:
    """Also if nobody followed it meanwhile; the verdict comes again in the very same words."""
    run.rewind(200)
    if not again:
        assert list(follower.new()) == []  # the logs are cut and the event is still to come
    run.event("resumed", 200)
    stats(run, 300, 400, loss=0.7)
    files.append_line(run.events, VERDICT)
    grid(run, 300, png(7))
    follower = restarted(follower, tmp_path) if again else follower
    items = list(follower.new())
    assert items[0] == Rewound(200)
    assert losses(items) == [300, 400]
    assert items[1:] == [
        Words(300, str(sentence(VERDICT))),
        Numbers(300, {"seconds": 30.0, "critic.loss": 1.0}),
        Pictures(300, "samples", png(7)),
        Numbers(400, {"seconds": 40.0, "critic.loss": 1.1}),
    ]
    assert list(restarted(follower, tmp_path).new()) == []


def test_what_was_forgotten_is_forgotten_for_good(run: Run, follower: Follower, tmp_path: Path) -> None:
    for expected in ([Rewound(200)], []):
        run.rewind(200)
        run.event("resumed", 200)
        assert list(restarted(follower, tmp_path).new()) == expected
        follower = Follower(run, follower.sent)
        list(follower.new())


def test_a_log_that_is_rewritten_while_it_is_read(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = iter([New([metric(300, 1.0)], False), New([metric(300, 1.0), metric(300, 2.0)], True), New([], False)])
    monkeypatch.setitem(follower._tails, "metrics", SimpleNamespace(new=lambda: next(parts)))
    assert [item.values for item in follower.new()] == [{"kernel (track400, ema)": value} for value in (1.0, 2.0)]


def test_a_long_log_is_read_as_it_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not into memory at once, and without a digest of each line."""
    run.stats.write_text("".join(f'{{"images": {place}, "critic.loss": 0.5}}\n' for place in range(30_000)))
    hashed: list[object] = []
    monkeypatch.setattr(following, "digest", lambda record: hashed.append(record) or "0")
    follower = Follower(run, Sent())
    read = [follower._tails["stats"].offset for item in follower.new() if isinstance(item, Numbers)]
    assert read[0] < run.stats.stat().st_size / 3
    assert follower._tails["stats"].offset == run.stats.stat().st_size
    assert len(hashed) < 10
    assert follower.sent.upto["stats"] == 29_999


def test_a_run_that_is_rewound_while_a_long_log_is_sent_loses_nothing(
    run: Run, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new lines are passed over at first, as they are of images that were sent; then the event is read."""
    monkeypatch.setattr(following, "BITE", 100)
    stats(run, *range(400, 1_000, 100))
    items: list[Item] = []
    for item in follower.new():
        items.append(item)
        if isinstance(item, Numbers) and item.step == 800:
            run.rewind(300)
            run.event("resumed", 300)
            stats(run, *range(400, 1_100, 100), loss=7.0)
    items += list(follower.new())
    begin = items.index(Rewound(300))
    assert [item for item in items[begin + 1 :] if isinstance(item, Numbers)] == [
        Numbers(images, {"seconds": images / 10, "critic.loss": 7.0 + images / 1000})
        for images in range(400, 1_100, 100)
    ]
    assert list(follower.new()) == []


def test_a_rollback_is_a_rewind_and_is_said(run: Run, follower: Follower) -> None:
    run.rewind(100)
    files.append_line(run.events, {"images": 100, "event": "rolled back", "from": 300, "why": "it diverged"})
    assert list(follower.new()) == [Rewound(100), Words(100, "rolled back from 300 to 100 images: it diverged")]


def test_a_run_that_starts_anew_forgets_everything(run: Run, follower: Follower) -> None:
    run.rewind(-1)
    run.event("started", 0, recipe="dcgan", choices={})
    stats(run, 100)
    items = list(follower.new())
    assert items[0] == Rewound(-1)
    assert losses(items) == [100]


def test_a_run_that_goes_on_where_it_stopped_loses_nothing(run: Run, follower: Follower, tmp_path: Path) -> None:
    for _ in range(2):
        run.rewind(300)
        run.event("resumed", 300)  # twice in the same words
        assert list(follower.new()) == []
    stats(run, 400)
    assert losses(list(restarted(follower, tmp_path).new())) == [400]


def test_replaced_and_late_metrics(run: Run, follower: Follower) -> None:
    """An evaluation replaces lines, which rewrites the file, and may look at an earlier snapshot."""
    run.add_metrics([metric(300, 0.1), metric(200, 0.2)], lambda line: line.get("weights") == "raw")
    name = "kernel (track400, ema)"
    assert list(follower.new()) == [Numbers(200, {name: 0.2}), Numbers(300, {name: 0.1})]
    assert list(follower.new()) == []


def test_a_changed_recipe_is_sent_again(run: Run, follower: Follower) -> None:
    run.write({**run.read(), "budget": {"images": 400}})
    assert list(follower.new()) == [Config(run.read())]


@pytest.mark.parametrize("images", [None, True, -1, 1.5, "100", 10**30])
def test_a_line_at_no_possible_place_is_left_out(run: Run, follower: Follower, images: object) -> None:
    for log in ("stats", "metrics", "signals", "events"):
        files.append_line(run.folder / f"{log}.jsonl", {**VERDICT, "value": 1.0, "critic.loss": 1.0, "images": images})
    assert list(follower.new()) == []


def test_values_that_are_no_finite_numbers_are_left_out() -> None:
    text = (
        '{"images": 1, "a": null, "b": NaN, "c": 1e999, "d": true, "e": "1", "f": [1], "g": 2, "h": 1' + "0" * 400 + "}"
    )
    assert numbers("stats", json.loads(text)) == {"g": 2.0}
    assert numbers("metrics", {"metric": "fid", "value": None, "protocol": "x"}) == {}
    assert numbers("metrics", {"metric": "fid", "value": 3}) == {"fid": 3.0}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    st.sampled_from(["images", "event", "verdict", "level", "settings", "why", "from", "metric", "value"]) | st.text()
)
EVENTS = st.sampled_from(["verdict", "recovered", "amended", "rolled back", "not finite"])


@given(record=st.dictionaries(KEYS, ANYTHING, max_size=6), event=EVENTS)
def test_whatever_a_line_holds_names_and_sentences_are_plain(record: dict[str, object], event: str) -> None:
    for log in ("stats", "metrics", "signals"):
        for name, value in numbers(log, record).items():
            assert name
            assert name.isprintable()
            assert abs(value) < float("inf")
    assert str(sentence({**record, "event": event})).isprintable()


def test_sentences() -> None:
    amended = {"images": 12800, "event": "amended", "settings": {"rate": "0.0001", "b": "1"}, "why": "it overfits"}
    assert sentence(amended) == "amended at 12,800 images: rate=0.0001 b=1: it overfits"
    assert sentence({"images": 500, "event": "recovered", "verdict": "dead"}) == "dead no more (at 500 images)"
    assert sentence({"images": 500, "event": "not finite"}) == "a loss or gradient was not finite before 500 images"
    assert sentence({"images": 500, "event": "finished"}) is None
    late = {"images": 5_000, "since": 2_000, "event": "verdict", "verdict": "slow", "level": "note"}
    assert sentence(late) == "slow (note, since 2,000 images)"
    assert sentence({**late, "since": None}) == "slow (note, since 5,000 images)"
    assert sentence({"event": "verdict", "verdict": "a\x1b[2J\u202eb"}) == "a [2J b (since 0 images)"


def test_grids_that_cannot_be_shown_are_said_once(run: Run, tmp_path: Path) -> None:
    said: list[str] = []
    grid(run, 10, png()[:200])
    grid(run, 11, b"")
    run.sample_file(12).mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    run.sample_file(13).symlink_to(tmp_path / "secret.png")
    os.mkfifo(run.sample_file(14))
    follower = Follower(run, Sent(), said.append)
    steps = [item.step for item in follower.new() if isinstance(item, Pictures)]
    assert steps == [0, 300, 0]
    assert len(said) == 5
    assert "000000000010.png is left out: it is no whole PNG" in said[0]
    assert "leads out of the run's folder" in said[3]
    assert list(follower.new()) == []
    assert len(said) == 5


def test_a_sheet_that_changes_is_sent_again(run: Run, follower: Follower) -> None:
    files.write(run.folder / "samples" / "nearest.png", png(1))
    assert list(follower.new()) == [Pictures(300, "nearest", png(1))]
    os.utime(files.write(run.folder / "samples" / "nearest.png", png(2)), ns=(1, 1))
    assert list(follower.new()) == [Pictures(300, "nearest", png(2))]


def test_it_follows_until_the_run_is_finished_and_let_go(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, cursor, slept = Recorder(), tmp_path / "cursor.json", list[int]()
    lock = files.locked(run.folder)
    lock.__enter__()

    def sleep(seconds: float) -> None:
        slept.append(recorder.flushed)
        if len(slept) == 1:
            stats(run, 400)
            run.event("finished", 400)
        elif len(slept) == 3:  # the judgement's lines come after the event, while the lock is held
            run.add_metrics([metric(400, 0.125)])
            lock.__exit__(None, None, None)

    monkeypatch.setattr(following.time, "sleep", sleep)
    follow(Follower(run, Sent()), recorder, cursor, once=False)
    assert len(slept) == 3
    assert losses(recorder.items) == [100, 200, 300, 400]
    assert recorder.items[-1] == Numbers(400, {"kernel (track400, ema)": 0.125})
    assert slept[0] == 11
    assert list(Follower(run, read_sent(cursor)).new()) == []


@pytest.mark.parametrize("at", [0, 5, 10, "sleep"])
def test_ctrl_c_ends_it_and_nothing_is_lost_or_sent_twice(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: object
) -> None:
    everything, cursor, said = list(Follower(run, Sent()).new()), tmp_path / "cursor.json", list[str]()

    class Impatient(Recorder):
        def send(self, item: Item) -> None:
            if len(self.items) == at:
                raise KeyboardInterrupt
            super().send(item)

    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(following.time, "sleep", sleep)
    first, second = Impatient(), Recorder()
    follow(Follower(run, Sent(), said.append), first, cursor, once=False)
    assert said == ["Stopped: the same command goes on from here."]
    follow(Follower(run, read_sent(cursor)), second, cursor, once=True)
    assert first.items + second.items == everything
    assert second.flushed == len(second.items)


def test_mistakes_are_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="is not a run of zerosum"):
        track(tmp_path / "nothing", "tensorboard", once=True)
    with pytest.raises(UserError, match=r"'visdom' is no tracker: choose one of tensorboard, wandb, trackio, mlflow\."):
        track(run.folder, "visdom", once=True)
    for name in ("tensorboard", "wandb", "trackio", "mlflow"):
        monkeypatch.delitem(sys.modules, f"zerosum.follow.{name}", raising=False)
        for known in [known for known in sys.modules if known.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, known)
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UserError, match=rf"--to {name} needs the package {name} .*: pip install {name}"):
            track(run.folder, name, once=True)
    with (
        files.locked(run.folder, ".lock-follow-wandb"),
        pytest.raises(UserError, match="is being sent to wandb by another process"),
    ):
        track(run.folder, "wandb", once=True)
    (run.folder / ".follow-wandb.json").write_text('{"id": 3}')
    with pytest.raises(UserError, match=r"\.follow-wandb\.json is damaged: delete it"):
        track(run.folder, "wandb", once=True)
