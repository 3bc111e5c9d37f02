"""What was trained on what, with which settings, what it cost, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from zerosum.again import words as again_words
from zerosum.report import defaults
from zerosum.report.equilibrium import games, turns
from zerosum.report.facts import Facts, at, life, number
from zerosum.report.html import duration, folded, said, table, text
from zerosum.report.measured import best
from zerosum.report.timeline import episodes, level

MOST = 300  # characters of a value
WRAP = 90  # of a line of the command


def overview(facts: Facts) -> str:
    """The most important numbers, and what is wrong now."""
    if facts.recipe is None:
        return said(facts.why)
    done, whole = facts.images, number(facts.says("budget", "images"))
    seconds, speed = number(facts.latest.get("seconds")), facts.stats.get("images_per_second")
    cards = [(f"{done:,}", f"of {whole:,.0f} images" if whole else "images seen")]
    if seconds is not None:
        cards.append((duration(seconds), "of training"))
    if speed is not None:
        cards.append((f"{sorted(speed.value)[len(speed.value) // 2]:,.0f}", "images per second"))
    at_best = best(facts)
    if at_best is not None:
        cards.append((f"{at_best:,}", "images at the best tracking metric"))
    open_now = [episode for episode in episodes(facts) if episode.until is None]
    worst = [text(episode.name, 60) for episode in open_now if level(episode) != "info"]
    if facts.signals or open_now:
        cards.append((", ".join(worst[:2]) or "nothing wrong", "the diagnosis says now"))
    boxes = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for value, name in cards)
    return f'<p>{text(sentence(facts))}</p><div class="cards">{boxes}</div>'


def sentence(facts: Facts) -> str:
    """What was trained on what."""
    width, height, channels = (facts.says("resolved", name) for name in ("width", "height", "channels"))
    pictures, classes = number(facts.says("data", "pictures")), number(facts.says("resolved", "classes"))
    many = f"{pictures:,.0f} pictures" if pictures else "pictures"
    labels = f" of {classes:.0f} classes" if classes else ""
    colours = {1: "grey", 3: "colour", 4: "colour and transparency"}.get(
        channels if isinstance(channels, int) else 0, ""
    )
    size = f", {width} x {height}{' ' + colours if colours else ''}" if width and height else ""
    ends = {"finished": "The training is finished.", "stopped": "The training was stopped."}
    now = ends.get(life(facts.events), "Not finished.")
    what = f"{facts.says('recipe')} on {facts.says('data', 'name')}"
    return f"{what}: {many}{labels}{size}. Seed {facts.says('seed')}. {now}"


def html(facts: Facts) -> str:
    """The parts of the recipe, the dials beside their defaults, and all fields that differ from the recipe's own."""
    if facts.recipe is None:
        return said(facts.why)
    rows = [[name, text(value, MOST)] for name, value in _parts(facts) if value]
    return table(rows, kind="facts") + _dials(facts) + _differences(facts) + _published(facts)


def given(facts: Facts) -> str:
    """As ``html``, but dials and settings as they were given: to compare them with the recipe's own takes torch."""
    if facts.recipe is None:
        return said(facts.why)
    rows = [[name, text(value, MOST)] for name, value in _parts(facts) if value]
    parts = [facts.says("dials"), facts.says("set")]
    pairs = [pair for part in parts if isinstance(part, Mapping) for pair in part.items()]
    dials = table([[text(name, 120), text(_words(value), MOST)] for name, value in pairs], kind="facts")
    more = said("zerosum report RUN compares them with the recipe's own.")
    return table(rows, kind="facts") + folded("Dials and settings as they were given", dials + more) + _published(facts)


def cost(facts: Facts) -> str:
    """Seconds of training, of measuring and of diagnosing, and on what."""
    seconds, speed = number(facts.latest.get("seconds")), facts.stats.get("images_per_second")
    if seconds is None:
        return said("No round has been logged yet, so nothing is known of the cost.")
    looked = {
        (str(record.get("images")), str(record.get("detector")), str(record.get("weights")), spent)
        for record in facts.metrics
        if (spent := number(record.get("seconds"))) is not None
    }
    measuring = sum(spent for *_, spent in looked)
    checks = sum(spent for record in facts.signals if (spent := number(record.get("seconds"))) is not None)
    rows = [["training", duration(seconds), f"{facts.images:,} images"]]
    if speed is not None:
        middle, ends = sorted(speed.value)[len(speed.value) // 2], (min(speed.value), max(speed.value))
        rows.append(["speed", f"{middle:,.0f} images/s", f"median of the log, from {ends[0]:,.0f} to {ends[1]:,.0f}"])
    if measuring:
        rows.append(
            [
                "measuring",
                duration(measuring),
                f"{len(looked)} times; {measuring / max(seconds, 1e-9):.1%} beside training",
            ]
        )
    if facts.signals:
        rows.append(
            [
                "diagnosis",
                duration(checks),
                f"{len(facts.signals)} checks; {checks / max(seconds, 1e-9):.1%} beside training",
            ]
        )
    choices = facts.says("choices")
    if isinstance(choices, Mapping):
        rows.append(["machine", text(facts.says("versions", "machine") or ""), text(_words(choices), MOST)])
    return table([*rows, *_room(facts)])


def _room(facts: Facts) -> list[list[str]]:
    """What the checks noted of the machine, at its worst."""
    found = []
    for name, title, worst, shown, more in NOTED:
        values = [value for record in facts.signals if (value := number(record.get(name))) is not None]
        if values:
            found.append([title, shown(worst(values)), more])
    return found


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _size(mib: float) -> str:
    return f"{mib:,.0f} MiB" if mib < 2048 else f"{mib / 1024:,.0f} GiB"


NOTED = (
    ("waiting", "waiting for pictures", max, _percent, "of the time between two checks, at most"),
    ("memory_free", "memory left", min, _percent, "of the machine's or the device's, at the least"),
    ("disk_free_mib", "disk left", min, _size, "where the run is saved, at the least"),
    ("saved_mib", "a saved state", max, _size, "on the disk"),
)


def again(facts: Facts) -> str:
    """The command, the versions and what the command cannot know."""
    if facts.recipe is None:
        return said(facts.why)
    versions = facts.says("versions")
    rows = (
        [[text(name, 80), text(value, 80)] for name, value in versions.items()] if isinstance(versions, Mapping) else []
    )
    identity = facts.says("data", "identity")
    words = (
        f"The data are called '{text(facts.says('data', 'name'), 200)}'; where they lie is not written down. Pixels, "
        f"labels and split are the same where their identity is <code>{text(identity, 80)}</code>."
    )
    return f'<pre><code>{text(command(facts))}</code></pre><p class="note">{words}</p>{table(rows, kind="facts")}'


def command(facts: Facts) -> str:
    """What starts this training again."""
    recipe = facts.recipe or {}
    words = again_words(recipe, str(facts.says("data", "name")))
    lines = [" ".join(map(shlex.quote, words[:3]))]
    for place in range(3, len(words), 2):
        pair = " ".join(map(shlex.quote, words[place : place + 2]))
        if len(lines[-1]) + len(pair) > WRAP:
            lines[-1] += " \\"
            lines.append(" ")
        lines[-1] += f" {pair}"
    return "\n".join(lines)


def _parts(facts: Facts) -> list[tuple[str, str]]:
    players = facts.says("resolved", "players")
    rows = [("Recipe", str(facts.says("recipe"))), ("Data", str(facts.says("data", "name")))]
    losses = dict.fromkeys(_game(game) for _, game in games(facts))
    rows.append(("Game", "; ".join(losses)))
    rows.append(("Round", _round(facts)))
    rows.append(("Critic sees", _sight(facts)))
    for name, player in players.items() if isinstance(players, Mapping) else ():
        rows.append((text(str(name).capitalize(), 60), _words(at(player, "net"))))
        rows.append(("moved by", _words(at(player, "optimizer"))))
    names = (
        ("latent", "Latent"),
        ("batch", "Batch"),
        ("ema", "Average of the weights"),
        ("mirror", "Mirrored"),
        ("balanced", "Balanced classes"),
        ("precision", "Precision"),
    )
    return rows + [
        (name, _words(value)) for key, name in names if (value := facts.says("resolved", key)) not in (None, False)
    ]


def _game(game: object) -> str:
    more: list[object] = []
    for part in ("penalties", "terms"):
        items = at(game, part)
        more += items if isinstance(items, list) else []
    return " + ".join([str(at(game, "loss")), *map(_words, more)])


def _sight(facts: Facts) -> str:
    """What stands between a picture, real or generated, and the critic."""
    sights = [sight for turn in turns(facts) if isinstance(sight := at(turn, "loss", "sight"), Mapping)]
    if not sights:
        return ""
    augment, noise, pack = (sights[0].get(name) for name in ("augment", "noise", "pack"))
    parts = [f"changed by {_words(augment)}"] if augment else []
    parts += [f"with normal noise of deviation {_words(noise)}"] if noise else []
    parts += [f"{pack} together, with one score"] if pack not in (None, 1) else []
    return "pictures " + (", ".join(parts) or "as they are")


def _round(facts: Facts) -> str:
    players = [player for player, _ in games(facts)]
    return ", ".join(f"{name} x {players.count(name)}" for name in dict.fromkeys(players))


def _words(value: object, depth: int = 0) -> str:
    """JSON of a recipe for people."""
    if isinstance(value, Mapping) and value.get("kind") == "Ramp":
        return f"{value.get('start')} to {value.get('end')} ({value.get('shape')})"
    if isinstance(value, Mapping) and depth < 4:
        inner = ", ".join(
            f"{key} {_words(item, depth + 1)}" for key, item in value.items() if key != "kind" and item is not None
        )
        return f"{value['kind']} ({inner})" if value.get("kind") else inner
    if isinstance(value, list) and depth < 4:
        return (" + " if all(isinstance(item, str) for item in value) else ", ").join(
            _words(item, depth + 1) for item in value
        )
    return str(value)


def _dials(facts: Facts) -> str:
    known, given = defaults.dials(facts), facts.says("dials")
    own = given if isinstance(given, Mapping) else {}
    fields = facts.says("set")
    rows = []
    for name in dict.fromkeys([*own, *known]):
        default, here = known.get(str(name)), own.get(name, known.get(str(name)))
        told = (
            "from the data"
            if name in defaults.GIVEN
            else text("by its rule" if default is None else _words(default), MOST)
        )
        changed = name in own and name not in defaults.GIVEN and here != default
        value = "by its rule" if here is None else _words(here)
        rows.append(
            [text(name, 80), f"<b>{text(value, MOST)}</b>" if changed else text(value, MOST), told if known else ""]
        )
    for name, value in fields.items() if isinstance(fields, Mapping) else ():
        rows.append([text(name, 120), f"<b>{text(_words(value), MOST)}</b>", "see below"])
    return folded("Dials of the recipe, and their defaults", table(rows, ("dial", "here", "default"))) if rows else ""


def _differences(facts: Facts) -> str:
    found = defaults.differences(facts)
    if found is None:
        return said("The recipe is not one of zerosum's in these sizes, so there is no default to compare it with.")
    if not found:
        return said("Every field is the recipe's own for pictures of this size.")
    rows = [
        [f"<code>{text(one.field, 120)}</code>{f' <small>x {one.places}</small>' if one.places > 1 else ''}"]
        + [text("-" if value is None else _words(value), MOST) for value in (one.default, one.here)]
        for one in found
    ]
    return "<h3>Fields that differ from the recipe's own</h3>" + table(rows, ("field", "the recipe's own", "here"))


def _published(facts: Facts) -> str:
    found = defaults.published(facts)
    if found is None:
        return ""
    return (
        f"<h3>How zerosum's recipe differs from what was published</h3><p>{text(found.differences)}</p>"
        f'<p class="note">Numbers to expect: {text(found.numbers)}</p>'
    )
