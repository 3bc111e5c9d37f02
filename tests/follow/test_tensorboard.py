"""TensorBoard's own reader reads what was written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from small_runs import VERDICT, grid, png, small_run, stats
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from zerosum import files
from zerosum.errors import UserError
from zerosum.follow import track
from zerosum.follow.tensorboard import escaped


def read(folder: Path) -> Any:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it reports what it purges
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return found


def scalars(found: Any, name: str) -> dict[int, float]:
    return {event.step: round(event.tensor_proto.float_val[0], 6) for event in found.Tensors(name)}


def grids(found: Any, name: str) -> dict[int, bytes]:
    parts = {event.step: list(event.tensor_proto.string_val) for event in found.Tensors(name)}
    assert all((width, height) == (b"30", b"20") for width, height, _ in parts.values())
    return {step: content for step, (_, _, content) in parts.items()}


def texts(found: Any, name: str) -> list[tuple[int, str]]:
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in found.Tensors(name)]


def test_a_run_in_tensorboard(tmp_path: Path) -> None:
    run, said = small_run(tmp_path / "001-digits-dcgan"), list[str]()
    grid(run, 100, png(1, "RGB"))
    track(run.folder, "tensorboard", once=True, say=said.append)
    assert said == [f"To see it: tensorboard --logdir {run.folder / 'tensorboard'}"]
    found = read(run.folder / "tensorboard")
    assert scalars(found, "critic.loss") == {100: 0.6, 200: 0.7, 300: 0.8}
    assert scalars(found, "kernel (track400, ema)") == {200: 0.25}
    assert scalars(found, "signals/accuracy_held") == {200: 0.75}
    assert grids(found, "samples") == {0: png(0), 100: png(1, "RGB"), 300: png(300)}
    assert grids(found, "real") == {0: png(9)}
    ((step, text),) = texts(found, "diagnosis")
    assert step == 300
    assert "&lt;b&gt;99 %&lt;/b&gt;" in text
    assert '    "seed": 1,' in texts(found, "recipe")[0][1]


def test_followed_again_and_rewound(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    track(run.folder, "tensorboard", once=True)
    run.rewind(200)
    run.event("resumed", 200)
    stats(run, 250, 300, loss=0.7)
    for _ in range(2):
        track(run.folder, "tensorboard", once=True)
    found = read(run.folder / "tensorboard")
    assert [event.step for event in found.Tensors("critic.loss")] == [100, 200, 250, 300]
    assert scalars(found, "critic.loss") == {100: 0.6, 200: 0.7, 250: 0.95, 300: 1.0}
    assert list(grids(found, "samples")) == [0]


def test_hostile_lines(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    with open(run.stats, "ab") as file:
        file.write(b'{"images": 400, "a\\ud800\\u0000/../b": 1.5, "large": 1e300, "none": null, "": 2}\n')
    files.append_line(run.events, {**VERDICT, "says": "![x](http://example.com/x.png) <script>\ud800"})
    track(run.folder, "tensorboard", out=tmp_path / "all", project="x", once=True)
    found = read(tmp_path / "all" / "run")
    assert scalars(found, "a  /../b") == {400: 1.5}
    assert scalars(found, "unnamed") == {400: 2.0}
    assert "!\\[x\\]\\(http://example\\.com/x\\.png\\) &lt;script&gt;" in texts(found, "diagnosis")[-1][1]


def test_escaped_text_is_no_markdown() -> None:
    markdown = pytest.importorskip("markdown", reason="TensorBoard brings it to show texts").markdown
    for text in ("*a* _b_ `c` [d](e) ![f](g) <i>h</i> &amp; \\* - 1. # | |", "# title", "- item", "1. item", "> quote"):
        shown = markdown(escaped(text), extensions=["markdown.extensions.tables", "markdown.extensions.fenced_code"])
        plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert shown == f"<p>{plain}</p>"


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="may not be written to"):
        track(run.folder, "tensorboard", out=tmp_path / "file", once=True)
