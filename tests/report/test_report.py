"""``zerosum report``: one file that says everything about a run, whatever state its folder is in."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import making
import pytest
import torch
from PIL import Image

from zerosum import files, report
from zerosum.errors import UserError
from zerosum.game.losses import CATALOGUE as LOSSES
from zerosum.listing import home
from zerosum.networks.dcgan import DCGANGenerator
from zerosum.networks.latent import Latent
from zerosum.recipe import describe
from zerosum.recipes import CATALOGUE as RECIPES
from zerosum.report import (
    citations,
    comparison,
    defaults,
    equilibrium,
    measured,
    pictures,
    setup,
    signals,
    timeline,
    walk,
)
from zerosum.report.curves import Level, Line, chart
from zerosum.report.embedding import Embedded
from zerosum.report.facts import Facts, Moment, life, read
from zerosum.report.live import views
from zerosum.report.panel import Panel, panels
from zerosum.report.style import STYLE
from zerosum.report.thinned import Series

VOID = {"meta", "img", "input", "br"}
ADDRESSES = {"src", "href", "action", "formaction", "data", "srcset", "xlink:href", "poster", "background"}


class Page(HTMLParser):
    """Elements that were opened and closed, and what a browser would run or load."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self.suspicious: list[str] = []
        self.feed(content)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            local = (value or "").startswith(("#", "data:image/webp;base64,"))
            if name.startswith("on") or (name in ADDRESSES and not local):
                self.suspicious.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words += data


def written(*runs: Path) -> Page:
    """The page about runs, which is well-formed and neither runs nor loads anything of theirs."""
    content = report.write(list(runs), runs[0].parent / "page.html").read_text(encoding="utf-8")
    page = Page(content)
    assert page.suspicious == []
    assert page.tags.count("script") == 1  # our own, named by its hash
    assert not {"iframe", "object", "embed", "link", "form", "base"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    return page


def by_key(facts: Facts) -> dict[str, Panel]:
    found = panels(facts, lambda path: f"data:image/webp;base64,{path.stem}", walk="a walk", recipe="a recipe")
    return {panel.key: panel for panel in found}


def test_everything_about_a_run(tmp_path: Path) -> None:
    page = written(making.whole(tmp_path / "run"))
    for words in (
        "dcgan on shapes: 70,000 pictures, 28 x 28 grey. Seed 3. The training is finished.",
        "2 log 2 = 1.386",
        "log 2 = 0.693",
        "The critic knows the training pictures by heart.",
        "zerosum train shapes --set strength=0.5",
        "since 40,000 images, confidence 90%",
        "1 - 2^-n after n checks in a row",
        "from 10,000 to 30,000 images",
        "rolled back",
        "[0.51, 0.61]",
        "players.generator.net.width",  # which differs from the recipe's own
        "radford2015dcgan",
        "naeem2020reliable",
        "up to 4.2",  # the spike, beyond the frame
    ):
        assert words in page.words, words
    assert page.tags.count("fieldset") == 1


def test_the_command_starts_the_same_training(tmp_path: Path) -> None:
    run = making.run(tmp_path / "run", data={"name": "my pictures; rm -rf", "identity": "0", "pictures": 3})
    command = setup.command(read(run)).replace("\\\n", "")
    assert command.split() == [
        *("zerosum", "train", "'my", "pictures;", "rm", "-rf'", "--recipe", "dcgan", "--images", "64000"),
        *("--seed", "3", "--device", "cpu", "--resolution", "28x28", "--set", "channels=1", "--set", "classes=0"),
        *("--set", "width=32", "--set", "players.critic.optimizer.beta1=0.3"),
    ]
    timed = making.run(tmp_path / "timed", budget={"images": 5, "since": 1, "seconds": 600.0})
    assert "--images 5 " in setup.command(read(timed))
    young = making.run(tmp_path / "young", budget={"images": None, "since": 0, "seconds": 600.0}, asked={"act": True})
    assert "--for 600s" in setup.command(read(young))
    assert setup.command(read(young)).endswith(" --act")


def test_all_but_walk_and_comparison_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from zerosum.report import facts, page, panel, setup\n"
        "run = facts.read(Path(sys.argv[1])); found = setup.given(run)\n"
        "assert panel.panels(run, str, walk='', recipe=found) and 'differs from what was published' in found\n"
        "sys.exit('torch' in sys.modules)"
    )
    run = making.whole(tmp_path / "run")
    assert subprocess.run([sys.executable, "-c", code, str(run)], check=False).returncode == 0


def test_what_was_published_is_what_the_recipes_say(tmp_path: Path) -> None:
    for name, function in RECIPES.items():
        found = defaults.published(read(making.run(tmp_path / name, recipe=name)))
        assert found == (home(function).DIFFERENCES, home(function).NUMBERS)
    for name in ("__init__", "../run", "nonsense", None):
        assert defaults.published(read(making.run(tmp_path / "other", recipe=name))) is None


def test_the_live_page_has_the_same_panels(tmp_path: Path) -> None:
    run = making.whole(tmp_path / "run")
    (run / "snapshots").mkdir()
    (run / "snapshots" / "000000000005.safetensors").write_bytes(b"")
    facts = read(run)
    drawn = views.drawn(facts, lambda path: path.name, "key")
    assert [key for key in drawn if key != "contents"] == list(by_key(facts))
    assert "differs from what was published" in drawn["recipe"].html
    assert "The training is finished." in drawn["overview"].html


def test_every_number_of_the_checks_has_a_place(tmp_path: Path) -> None:
    found = by_key(read(making.whole(tmp_path / "run")))
    titles = {key: re.findall("<figcaption><b>(.*?)</b>", panel.html) for key, panel in found.items()}
    raw = {*making.check(1, 0.5), "critic.penalty_real"} - {"mystery"}
    assert not raw & {title for own in titles.values() for title in own}
    for key, odd in (("networks", "mystery"), ("curves", "critic.oddity")):
        shown, _, folded = found[key].html.partition("<summary>Other numbers")
        assert f"<b>{odd}</b>" in folded
        assert f"<b>{odd}</b>" not in shown
    assert "A training picture scores above a held-out one" in titles["critic"]
    assert {"Grid of the strides in the mean picture", "The look of changed pictures"} <= set(titles["networks"])
    assert "Gradient penalties" in titles["curves"]
    for words in ("waiting for pictures", "2.0%", "memory left", "50.0%", "49 GiB", "30 MiB"):
        assert words in found["cost"].html, words
    assert f"counts from {signals.COUNTS['checkerboard']:g} on" in found["spectrum"].html


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ("started verdict", "Not finished."),
        ("started finished recovered verdict", "The training is finished."),
        ("started stopped verdict", "The training was stopped."),
        ("started stopped resumed", "Not finished."),
        ("started finished rolled-back amended", "Not finished."),
        ("finished forked", "Not finished."),
    ],
)
def test_what_became_of_it(tmp_path: Path, events: str, said: str) -> None:
    run = making.run(tmp_path / "run")
    names = [name.replace("-", " ") for name in events.split()]
    making.write_lines(run / "events.jsonl", ({"images": 1, "event": name} for name in names))
    assert setup.sentence(read(run)).endswith(said)
    assert life([{"event": []}, {"event": "verdict"}]) == ""


def test_what_the_critic_sees(tmp_path: Path) -> None:
    augment = {"kind": "DiffAugment", "kinds": ["color", "cutout"], "strength": 0.3}
    for sight, words in (
        ({"augment": augment, "noise": 0.0, "pack": 1}, "changed by DiffAugment (kinds color + cutout, strength 0.3)"),
        ({"augment": None, "noise": 0.1, "pack": 2}, "with normal noise of deviation 0.1, 2 together, with one score"),
        ({"augment": None, "noise": 0.0, "pack": 1}, "as they are"),
    ):
        turn = {"player": "critic", "loss": {"game": {"loss": "hinge"}, "sight": sight}}
        run = making.run(tmp_path / "run", resolved={"moves": [[turn]]})
        assert f"<td>pictures {words}</td>" in setup.given(read(run))


def test_the_time_line_names_what_goes_back(tmp_path: Path) -> None:
    run = making.run(tmp_path / "run")
    early = [{"images": images, "event": "resumed"} for images in range(200)]
    back = [{"images": images, "event": "rolled back", "from": images + 9} for images in (900, 500, 700)]
    making.write_lines(run / "events.jsonl", [*early, making.verdict(600, "a"), *back])
    line = timeline.html(read(run)).partition("</div>")[0]
    assert ">rolled back</text>" in line
    assert ">resumed</text>" in line
    assert re.findall(r"<title>rolled back, (\d+)", line) == ["500", "700", "900"]
    assert line.count('<rect class="act"') == 3
    assert re.findall(r"<title>resumed, (\d+)", line) == [str(images) for images in range(140, 200)]
    assert line.count(">✖</text>") == 1


def test_numbers_of_images_have_bounds(tmp_path: Path) -> None:
    run = making.whole(tmp_path / "run")
    for name in ("stats", "metrics", "signals", "events"):
        with open(run / f"{name}.jsonl", "a") as file:
            for images in (1e299, -1e299, 10**25):
                line = {**making.verdict(3, "n" * 200), **making.check(3, 0.5), "critic.game": 1.0, "metric": "kernel"}
                line |= {"value": 1, "protocol": "track400", "weights": "ema", "confidence": 1e299}
                file.write(json.dumps(line | {"images": images}) + "\n")
    page = written(run)
    assert not re.search(r"\d{1,3}(,\d{3}){6}|e\+2\d", page.words)


def test_the_same_run_twice(tmp_path: Path) -> None:
    run = making.whole(tmp_path / "run")
    content = report.write([run, run], tmp_path / "page.html").read_text()
    groups = re.findall(r'name="(grid-\d)"[^>]*checked', content)
    assert groups == ["grid-0", "grid-1"]


def _seen(colour: str, cones: str) -> tuple[float, float, float]:
    """CIE L*a*b* of #rrggbb as seen by people with all cones, or without the red or the green (Machado et al. 2009)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = torch.tensor([part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts])
    kinds = {
        "all": [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
        "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    }
    to_xyz = torch.tensor([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])
    x, y, z = (to_xyz @ (torch.tensor(kinds[cones]) @ linear).clamp(0, 1)).tolist()
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_tell_the_colours_apart(dark: bool) -> None:
    sheet = STYLE.partition("prefers-color-scheme: dark")[2 if dark else 0]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", sheet.partition("box-sizing")[0]))
    light = {name: ((_seen(colour, "all")[0] + 16) / 116) ** 3 + 0.05 for name, colour in colours.items()}
    palette = [f"c{place}" for place in range(8)]
    for name in (*palette, "act", "warn", "info", "good", "soft"):
        assert max(light[name], light["card"]) / min(light[name], light["card"]) >= 4.5, name
    for cones in ("all", "no red", "no green"):
        for one, other in itertools.combinations(palette, 2):
            apart = torch.dist(*(torch.tensor(_seen(colours[name], cones)) for name in (one, other)))
            assert apart > 15, (cones, one, other)


def test_names_of_levels_stand_where_there_is_room() -> None:
    falls, rises = Series((0, 5, 10), (1.0, 1.0, 5.0)), Series((0, 5, 10), (5.0, 1.0, 1.0))
    for series, end in ((falls, False), (rises, True)):
        drawn = chart("t", [Line("a", series)], levels=[Level(3.0, "here")])
        assert ('text-anchor="end" y="' in drawn.partition('<text class="level"')[2].partition(">")[0]) == end
    assert 'data-axes="0,' in chart("t", [Line("a", Series((0, 1), (0.0, 0.0)))])  # no share is negative


def test_metrics_say_on_what_they_were_taken(tmp_path: Path) -> None:
    run = making.whole(tmp_path / "run")
    html = measured.html(read(run))
    assert html.count('scope="col"') == 3
    assert "averaged weights, at 64,000 images, 500 generated, 500 real, 5 draws, looked at by own@2" in html
    assert "zerosum evaluate RUN --against DATA" in measured.html(read(making.run(tmp_path / "young")))


def test_bold_is_what_chance_does_not_explain(tmp_path: Path) -> None:
    one = {"images": 1, "metric": "coverage", "protocol": "p", "weights": "ema"}

    def values(*records: dict[str, float]) -> str:
        runs = []
        for place, record in enumerate(records):
            runs.append(making.run(tmp_path / str(place)))
            making.write_lines(runs[-1] / "metrics.jsonl", [{**one, **record}])
        shown = {panel.key: panel.html for panel in comparison.panels([read(run) for run in runs], str)}["values"]
        return ",".join(re.findall("<td><b>([0-9.]+)", shown))

    assert values({"value": 0.9, "low": 0.8, "high": 0.95}, {"value": 0.5, "low": 0.4, "high": 0.6}) == "0.9"
    assert values({"value": 0.9, "low": 0.5, "high": 0.95}, {"value": 0.5, "low": 0.4, "high": 0.6}) == ""
    assert values({"value": 0.9}, {"value": 0.5}) == ""
    assert values({"value": 0.9, "low": 0.8, "high": 0.95}, {"value": 0.5}) == ""
    assert values(*[{"value": 0.9, "low": 0.9, "high": 0.9}] * 2) == ""
    assert comparison.clear([{"low": 1, "high": 2}, {"low": 3, "high": 4}], " ↓") == {"low": 1, "high": 2}


def test_before_the_first_round(tmp_path: Path) -> None:
    page = written(making.run(tmp_path / "run"))
    for words in ("No round has been logged yet", "There is no sample grid yet", "no snapshot yet", "Not finished"):
        assert words in page.words, words


def test_while_it_is_written(tmp_path: Path) -> None:
    """A torn last line, lines that are no JSON, numbers that are none, and fields of other types."""
    run = making.whole(tmp_path / "run")
    for name in ("stats", "metrics", "events", "signals"):
        with open(run / f"{name}.jsonl", "a") as file:
            file.write('{"images": 70000, "cri\n[1, 2]\nnull\n{"images": null, "critic.game": null}\n{"images": "x"}\n')
            file.write('{"images": 1e999, "critic.game": NaN, "event": 3, "verdict": [], "scores": 7, "metric": {}}\n')
            file.write(
                '{"images": 65000, "event": "verdict", "evidence": 3, "settings": 1, "spectrum": [], "classes": 1}\n'
            )
            file.write('{"images": 66000, "not_finite": ["critic.game"], "critic.game": null, "seconds": null}\n')
            file.write('{"images": 70000, "critic.loss": 0.')
    page = written(run)
    assert "critic.game from 66,000 images on" in page.words
    assert "2 log 2 = 1.386" in page.words


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 99, "resolved": 1}', "[" * 100_000])
def test_damaged_recipe(tmp_path: Path, content: str) -> None:
    run = making.whole(tmp_path / "run")
    (run / "recipe.json").write_text(content)
    assert "recipe" in written(run).words


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, {"kind": 3}, [[{"player": {}}]]])
def test_recipes_of_other_types(tmp_path: Path, value: object) -> None:
    names = ("recipe", "dials", "set", "resolved", "seed", "data", "budget", "choices", "versions")
    run = making.run(tmp_path / "run", **dict.fromkeys(names, value))
    making.add_stats(run)
    assert written(run, making.whole(tmp_path / "other"))
    for name in names:
        written(making.run(tmp_path / name, **{name: value}))


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        report.write([tmp_path / "nowhere"])
    with pytest.raises(UserError, match=r"has no recipe\.json"):
        report.write([tmp_path])
    with pytest.raises(UserError, match="report needs runs"):
        report.write([])


HOSTILE = (
    """<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{7*7}}javascript:alert(1)\u202e\x00\ud800</style>"""
)


def test_hostile_texts(tmp_path: Path) -> None:
    """Every text of a run, also in the names of things and of the folder."""
    run = making.whole(tmp_path / "a'\"><script>alert(1)<")
    making.run(
        run,
        recipe=HOSTILE,
        dials={HOSTILE: HOSTILE},
        set={HOSTILE: HOSTILE},
        data={"name": HOSTILE, "identity": HOSTILE, "pictures": HOSTILE},
        resolved={**making.RESOLVED, "citation": HOSTILE, HOSTILE: HOSTILE, "players": {HOSTILE: {"net": HOSTILE}}},
        versions={HOSTILE: HOSTILE},
        choices={HOSTILE: HOSTILE},
    )
    (run / "samples" / f"{HOSTILE.translate({0: None, 47: None, 0xD800: None})}.png").write_bytes(b"")
    logs = {
        "stats": {HOSTILE: 1.0, "not_finite": [HOSTILE]},
        "metrics": dict.fromkeys(("metric", "protocol", "weights", "detector", "beside", "data"), HOSTILE)
        | {"value": 1, "baseline": 2},
        "events": making.verdict(3, HOSTILE, level=HOSTILE, says=HOSTILE, remedy=HOSTILE, evidence={HOSTILE: HOSTILE}),
        "signals": {"classes": {HOSTILE: 0.5}, "classes_fake": {HOSTILE: 0.5}},
    }
    for name, record in logs.items():
        with open(run / f"{name}.jsonl", "a") as file:
            file.write(json.dumps({"images": 70_000, **record}) + "\n")
    with open(run / "events.jsonl", "a") as file:
        file.write(json.dumps({"images": 70_000, "event": "amended", "settings": {HOSTILE: HOSTILE}}) + "\n")
        file.write(json.dumps({"images": 70_000, "event": HOSTILE, "why": HOSTILE}) + "\n")
    page = written(run)
    assert page.words.count("<script>alert(1)") > 20  # as words
    assert "\u202e" not in page.words
    written(run, making.whole(tmp_path / "other"))


def test_thousands_of_grids(tmp_path: Path) -> None:
    run = making.run(tmp_path / "run")
    making.add_grids(run, count=3_000)
    facts = read(run)
    assert len(facts.grids) == 3_000
    assert by_key(facts)["pictures"].html.count('type="radio"') == pictures.FRAMES
    page = written(run)
    assert "3,000 grids were saved, 24 are shown" in page.words


def test_evenly_chosen_grids() -> None:
    grids = [Moment(images, Path(str(images))) for images in range(101)]
    assert [moment.images for moment in pictures.spread(grids, 5)] == [0, 25, 50, 75, 100]
    assert [moment.images for moment in pictures.spread(grids, 1)] == [100]
    assert pictures.spread(grids[:3], 5) == grids[:3]


def test_pictures_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = making.whole(tmp_path / "run")
    good = run / "samples" / "real.png"
    media = Embedded(100_000)
    assert media(good).startswith("data:image/webp;base64,")
    bad = tmp_path / "bad.png"
    for content in (b"", b"GIF89a", good.read_bytes()[:60], b"\x89PNG\r\n\x1a\n" + b"\0" * 100):
        bad.write_bytes(content)
        with pytest.raises(UserError, match=r"bad\.png cannot be shown"):
            media(bad)
    Image.new("1", (20_000, 9_000)).save(bad)  # a few kilobytes that become 180 million pixels
    with pytest.raises(UserError, match=r"bad\.png"):
        media(bad)
    Image.new("1", (8_001, 8_000)).save(bad)  # fewer than Pillow refuses
    with pytest.raises(UserError, match="is not opened"):
        media(bad)
    (run / "samples" / "000000000000.png").write_bytes(b"damaged")
    (run / "samples" / "nearest.png").write_bytes(bad.read_bytes())
    page = written(run)
    assert "000000000000.png cannot be shown: it is damaged" in page.words
    assert "nearest.png has 8,001 x 8,000 pixels" in page.words


def test_a_picture_is_made_small_enough(tmp_path: Path) -> None:
    file = tmp_path / "noise.png"
    Image.effect_noise((1500, 1500), 90).save(file)
    assert len(Embedded(60_000)(file)) < 60_000 * 4 / 3 + 100
    assert len(Embedded(10**9)(file)) > 200_000


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    run = making.whole(tmp_path / "run")
    secret = making.whole(tmp_path / "secret")
    for name in ("stats.jsonl", "metrics.jsonl", "events.jsonl", "signals.jsonl", "samples/real.png"):
        (run / name).unlink()
        (run / name).symlink_to(secret / name)
    (run / "samples" / "000000099999.png").symlink_to(secret / "samples" / "real.png")
    (run / "snapshots").symlink_to(secret)
    (secret / "000000000001.safetensors").write_bytes(b"")
    facts = read(run)
    found = (facts.stats, facts.metrics, facts.events, facts.signals, facts.real, facts.snapshots)
    assert not any(found)
    assert 99_999 not in [moment.images for moment in facts.grids]
    (run / "recipe.json").unlink()
    (run / "recipe.json").symlink_to(secret / "recipe.json")
    with pytest.raises(UserError, match="is not a run"):
        read(run)
    (run / "recipe.json").unlink()
    (run / "recipe.json").symlink_to("recipe.json")
    with pytest.raises(UserError, match="is not a run"):
        read(run)


def test_equilibria_are_those_of_the_losses() -> None:
    """At equal scores for real and fake, where the critic's loss is least."""
    scores = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    for name, (critic, generator) in equilibrium.CRITIC_AND_GENERATOR.items():
        loss = LOSSES[name]
        each = torch.stack([loss.critic(real=v.expand(2), fake=v.expand(2)).mean() for v in scores[::100]])
        assert float(each.min()) == pytest.approx(critic.value, abs=1e-6), name
        if generator is not None:
            lowest = scores[::100][(each - each.min()).abs() < 1e-9]
            best = lowest[lowest.abs().argmin()].expand(2)
            real = best if loss.uses_real else None
            assert float(loss.generator(real=real, fake=best).mean()) == pytest.approx(generator.value, abs=1e-6), name
    assert set(LOSSES) - set(equilibrium.CRITIC_AND_GENERATOR) == {"wasserstein"}


def test_verdicts_that_are_repeated_are_one(tmp_path: Path) -> None:
    run = making.run(tmp_path / "run")
    making.write_lines(
        run / "events.jsonl",
        [
            making.verdict(10, "a"),
            making.verdict(20, "a", says="newer"),
            {"images": 30, "event": "recovered", "verdict": "a"},
            {"images": 35, "event": "recovered", "verdict": "a"},
            making.verdict(40, "a"),
        ],
    )
    found = timeline.episodes(read(run))
    assert [(one.since, one.until) for one in found] == [(10, 30), (40, None)]
    assert found[0].record["says"] == "newer"


def test_citations_are_those_of_the_parts(tmp_path: Path) -> None:
    game = {"kind": "Game", "loss": "hinge", "penalties": [{"kind": "GradientPenalty", "at": "between"}]}
    turn = {"player": "critic", "loss": {"game": game, "sight": {"augment": {"kind": "DiffAugment"}}}}
    own = "@inproceedings{x, title={Differentiable Augmentation for Data-Efficient {GAN} Training}}"
    run = making.run(tmp_path / "run", resolved={"moves": [[turn]], "citation": own})
    keys = [entry.partition("{")[2].partition(",")[0] for entry in citations.further(read(run))]
    assert keys == ["lim2017geometric", "gulrajani2017wgangp"]
    assert set(citations.USED.values()) == set(citations.entries())


def test_several_runs(tmp_path: Path) -> None:
    first, second = making.whole(tmp_path / "one"), making.whole(tmp_path / "two")
    making.run(second, seed=4, dials={"resolution": [28, 28], "width": 99})
    page = written(first, second)
    for words in ("2 runs beside each other", "Settings that differ", "dials.width", "A: one", "B: two"):
        assert words in page.words, words
    making.run(second, seed=4, resolved={**making.RESOLVED, "batch": 7, "channels": 3})
    shown, _, folded = comparison.panels([read(first), read(second)], str)[-1].html.partition("<details>")
    assert "seed" in shown
    assert "resolved." not in shown
    assert "resolved.batch" in folded
    assert "dials.resolution" not in page.words.partition("Settings that differ")[2].partition("In short")[0]
    alike = {panel.key: panel.html for panel in comparison.panels([read(first), read(first)], str)}
    assert "differ in nothing" in alike["differing"]


def test_a_walk_starts_and_ends_at_the_seeds_own_latents() -> None:
    one, other = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    for kind in ("normal", "uniform"):
        assert torch.allclose(walk.between(one, other, 0.0, kind), one, atol=1e-6)
        assert torch.allclose(walk.between(one, other, 1.0, kind), other, atol=1e-6)
    assert float(walk.between(one, other, 0.5, "normal").norm()) == pytest.approx(3.0)
    assert float(walk.between(one, other, 0.5, "uniform").norm()) < 2.2
    assert torch.allclose(walk.between(one, -one, 0.5, "normal"), torch.zeros(1, 2), atol=1e-6)


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
def test_a_walk_of_a_snapshot(tmp_path: Path, classes: tuple[str, ...]) -> None:
    run = making.run(tmp_path / "run")
    spec = DCGANGenerator(8, 8, 3, latent=5, width=4, classes=len(classes))
    tensors = {f"ema.{name}": tensor for name, tensor in spec.build().state_dict().items()}
    header = {
        "kind": "generator",
        "recipe": "dcgan",
        "network": describe(spec),
        "channels": 3,
        "width": 8,
        "height": 8,
        "latent": describe(Latent(5, "normal")),
        "classes": list(classes),
        "shares": [1.0] * len(classes),
    }
    files.write_tensors(run / "snapshots" / "000000000005.safetensors", tensors, header)
    found = walk.html(read(run))
    assert "Averaged weights at 5 images" in found
    assert ("Each row keeps one class" in found) == bool(classes)
    content = base64.b64decode(found.partition("base64,")[2].partition('"')[0])
    with Image.open(io.BytesIO(content)) as image:
        assert image.width == walk.STEPS * (56 + 2) + 2
        assert image.height == walk.ROWS * (56 + 2) + 2
    assert 'id="walk"' in report.write([run]).read_text()


def test_a_walk_of_a_snapshot_that_cannot_be_loaded(tmp_path: Path) -> None:
    run = making.run(tmp_path / "run")
    (run / "snapshots").mkdir()
    (run / "snapshots" / "000000000005.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    assert "There are no interpolations: " in walk.html(read(run))
