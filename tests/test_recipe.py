"""Recipes as values: settings as text, changes by name, the JSON form."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import math
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zerosum.errors import UserError
from zerosum.game import losses
from zerosum.game.augment import DiffAugment
from zerosum.game.game import Game
from zerosum.game.penalties import WGANGP, GradientPenalty
from zerosum.game.rounds import alternating
from zerosum.game.schedules import Ramp, linear
from zerosum.game.sight import Sight
from zerosum.networks import CATALOGUE as NETWORKS
from zerosum.networks import DCGANDiscriminator, DCGANGenerator, ResidualCritic, ResidualGenerator
from zerosum.recipe import Adam, PlayerSpec, describe, network
from zerosum.recipes import CATALOGUE, dcgan, modern
from zerosum.settings import change, parse, parse_settings

SIZE = (16, 16)


def text_of(recipe):
    return json.dumps(describe(recipe), allow_nan=False, sort_keys=True)


# ---- text to values ----

GOOD = [
    ("true", bool, True),
    ("Yes", bool, True),
    ("1", bool, True),
    ("FALSE", bool, False),
    ("no", bool, False),
    ("0", bool, False),
    ("64", int, 64),
    ("-3", int, -3),
    ("50_000", int, 50_000),
    ("1e5", int, 100_000),
    ("2.0", int, 2),
    ("2e-4", float, 2e-4),
    ("3", float, 3.0),
    ("1_000.5", float, 1000.5),
    ("plain text", str, "plain text"),
    ("", str, ""),
    ("64", tuple[int, int], (64, 64)),
    ("256x384", tuple[int, int], (256, 384)),
    ("256X384", tuple[int, int], (256, 384)),
    ("5", Literal[4, 5], 5),
    ("feature", Literal["channel", "feature"], "feature"),
    ("color,cutout", tuple[Literal["color", "cutout"], ...], ("color", "cutout")),
    (" color , cutout ", tuple[Literal["color", "cutout"], ...], ("color", "cutout")),
    ("color", tuple[Literal["color", "cutout"], ...], ("color",)),
    ("", tuple[Literal["color", "cutout"], ...], ()),
    ("none", int | None, None),
    ("None", float | None, None),
    ("7", int | None, 7),
    ("0.5", float | Ramp, 0.5),
]


@pytest.mark.parametrize(("text", "kind", "value"), GOOD)
def test_settings_are_understood(text, kind, value):
    found = parse(text, kind, "dial")
    assert found == value
    assert type(found) is type(value)


BAD = [
    ("maybe", bool),
    ("", bool),
    ("2", bool),
    ("abc", int),
    ("2.5", int),
    ("nan", int),
    ("inf", int),
    ("", int),
    ("0x10", int),
    ("none", int),
    ("nan", float),
    ("inf", float),
    ("-inf", float),
    ("1e999", float),
    ("1,5", float),
    ("", tuple[int, int]),
    ("x", tuple[int, int]),
    ("64x", tuple[int, int]),
    ("64x64x3", tuple[int, int]),
    ("-64", tuple[int, int]),
    ("64.0", tuple[int, int]),
    ("²", tuple[int, int]),
    ("6", Literal[4, 5]),
    ("4.0", Literal[4, 5]),
    ("Feature", Literal["channel", "feature"]),
    ("color,colour", tuple[Literal["color", "cutout"], ...]),
    ("seven", int | None),
    ("nan", float | Ramp),
    ("anything", Adam),
]


@pytest.mark.parametrize(("text", "kind"), BAD)
def test_other_settings_are_refused_in_words(text, kind):
    with pytest.raises(UserError) as caught:
        parse(text, kind, "dial")
    assert str(caught.value).startswith(f"dial={text} is not possible: expected ")


def test_what_was_expected_is_said():
    for kind, words in [
        (Literal[4, 5], "one of 4, 5"),
        (tuple[int, int], "a size such as 64 or 256x384"),
        (int, "a whole number"),
        (float, "a number"),
        (bool, "true or false"),
        (int | None, "a whole number or none"),
        (tuple[Literal["a", "b"], ...], "a comma-separated list of one of a, b"),
    ]:
        with pytest.raises(UserError, match=words):
            parse("?", kind, "dial")


@settings(deadline=None, max_examples=200)
@given(st.integers(-(10**20), 10**20))
def test_whole_numbers_stay_exact(number):
    assert parse(str(number), int, "seed") == number


@settings(deadline=None, max_examples=200)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_stay_exact(number):
    assert parse(repr(number), float, "rate") == number


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=12), st.sampled_from([kind for _, kind in BAD]))
def test_any_text_is_a_value_or_refused_in_words(text, kind):
    try:
        parse(text, kind, "dial")
    except UserError as error:
        words = str(error)
    else:
        return
    assert words.startswith("dial=")


def test_dials_are_typed_by_the_recipe():
    typed, dotted = parse_settings(
        modern,
        {
            "width": "48",
            "rate": "1e-3",
            "resolution": "64x32",
            "augment": "color,cutout",
            "mirror": "yes",
            "images": "1e6",
            "players.critic.optimizer.rate": "1e-4",
        },
    )
    assert typed == {
        "width": 48,
        "rate": 1e-3,
        "resolution": (64, 32),
        "augment": ("color", "cutout"),
        "images": 1_000_000,
    }
    assert type(typed["images"]) is int
    assert dotted == {"mirror": "yes", "players.critic.optimizer.rate": "1e-4"}
    assert change(modern(**typed), "mirror", "yes").mirror
    assert modern(**typed).players["critic"].net.width == 48
    assert parse_settings(dcgan, {"kernel": "5", "first_norm": "feature"})[0] == {"kernel": 5, "first_norm": "feature"}


@pytest.mark.parametrize("recipe", CATALOGUE.values(), ids=CATALOGUE)
def test_a_misspelt_dial(recipe):
    with pytest.raises(UserError, match=r"Unknown setting 'widht' \(did you mean width\?\)"):
        parse_settings(recipe, {"widht": "3"})
    with pytest.raises(UserError, match=r"width=wide is not possible: expected a whole number"):
        parse_settings(recipe, {"width": "wide"})


@pytest.mark.parametrize("name", ["stats_every", "citation", "players", "ema"])
def test_a_field_that_is_no_dial_is_not_suggested_for_itself(name):
    try:
        typed, rest = parse_settings(dcgan, {name: "5"})
    except UserError as error:
        words = str(error)
    else:
        assert name in {**typed, **rest}
        return
    assert f"did you mean {name}?" not in words


@pytest.mark.parametrize("recipe", CATALOGUE.values(), ids=CATALOGUE)
def test_every_dial_can_be_given_as_text(recipe):
    for name, parameter in inspect.signature(recipe).parameters.items():
        if name == "resolution":
            continue
        default = parameter.default
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        assert parse_settings(recipe, {name: text})[0] == {name: default}


# ---- change ----


def test_change_by_dotted_name():
    before = dcgan(SIZE, 1)
    text = text_of(before)
    after = change(before, "players.critic.optimizer.rate", "1e-4")
    assert after.players["critic"].optimizer == Adam(1e-4, 0.5, 0.999)
    assert text_of(before) == text
    assert before.players["critic"].optimizer.rate == 2e-4
    assert after.players["generator"] is before.players["generator"]
    assert after.players["critic"].net is before.players["critic"].net
    assert after.moves is before.moves
    assert dataclasses.replace(after, players=before.players) == before


def test_change_in_tuples():
    before = dcgan(SIZE, 1)
    after = change(before, "moves.0.0.every", "2")
    assert after.moves[0][0].every == 2
    assert after.moves[1] is before.moves[1]
    assert isinstance(after.moves, tuple)
    assert type(after.moves[0][0]) is type(before.moves[0][0])
    assert before.moves[0][0].every == 1
    assert change(before, "moves.1.0.batch", "32").moves[1][0].batch == 32
    assert change(after, "moves.0.0.batch", "none").moves[0][0].batch is None


def test_a_loss_is_changed_by_its_name():
    before = dcgan(SIZE, 1)
    after = change(before, "moves.0.0.loss.game.loss", "hinge")
    assert after.moves[0][0].loss.game.loss is losses.hinge
    assert after.moves[1][0].loss.game.loss is losses.non_saturating
    assert before.moves[0][0].loss.game.loss is losses.non_saturating
    assert describe(after)["moves"][0][0]["loss"]["game"]["loss"] == "hinge"
    with pytest.raises(UserError, match=r"loss=hing.*did you mean hinge\?"):
        change(before, "moves.0.0.loss.game.loss", "hing")


def test_a_schedule_is_changed_to_a_number_or_in_its_parts():
    before = modern(SIZE, 1)
    assert change(before, "players.critic.optimizer.rate", "1e-4").players["critic"].optimizer.rate == 1e-4
    weight = "moves.0.0.loss.game.penalties.1.weight"
    assert change(before, weight, "3").moves[0][0].loss.game.penalties[1].weight == 3
    later = change(before, "players.critic.optimizer.rate.begin", "0.5")
    assert later.players["critic"].optimizer.rate == dataclasses.replace(
        before.players["critic"].optimizer.rate, begin=0.5
    )
    linear_one = change(before, "players.critic.optimizer.rate.shape", "linear")
    assert linear_one.players["critic"].optimizer.rate.shape == "linear"


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("batch.x", "1", "Unknown setting 'x'"),
        ("batsh", "1", r"Unknown setting 'batsh' \(did you mean batch\?\)"),
        ("players.criti.net.width", "1", r"did you mean critic\?"),
        ("players.critic.net.widht", "1", r"did you mean width\?"),
        ("players.critic.net.width", "wide", "width=wide is not possible: expected a whole number"),
        ("players.critic.net.kernel", "6", "expected one of 4, 5"),
        ("players.critic.optimizer.rate", "nan", "expected a number"),
        ("players.critic.optimizer", "1", "is not possible"),
        ("moves.7.0.every", "1", "Unknown setting '7"),
        ("moves.-1.0.every", "1", "Unknown setting '-1"),
        ("moves.0.0.loss.game.loss.critic", "1", "Unknown setting"),
        ("moves.0.0.loss", "hinge", "is not possible"),
        ("batch", "2.5", "expected a whole number"),
        ("mirror", "left", "expected true or false"),
        (".", "1", "Unknown setting"),
        ("", "1", "Unknown setting"),
    ],
)
def test_a_change_that_is_not_possible(path, text, words):
    before = dcgan(SIZE, 1)
    with pytest.raises(UserError, match=words):
        change(before, path, text)


@pytest.mark.parametrize(("name", "text"), [("until", "0"), ("begin", "1"), ("begin", "-0.5")])
def test_a_change_that_the_value_itself_refuses(name, text):
    with pytest.raises(UserError, match="0 <= begin < until"):
        change(modern(SIZE, 1), f"players.critic.optimizer.rate.{name}", text)


# ---- describe ----

OTHER = {
    "resolution": (32, 16),
    "channels": 3,
    "classes": 4,
    "width": 24,
    "kernel": 5,
    "bias": False,
    "first_norm": "feature",
    "latent": "normal",
    "latent_size": 50,
    "generator_turns": 2,
    "rate": 5e-4,
    "batch": 32,
    "images": 123_456,
    "blocks": 2,
    "gamma": 2.0,
    "penalty_every": 3,
    "final_rate": 0.5,
    "beta2": 0.95,
    "augment": ("color",),
    "strength": 0.1,
    "fill": -1.0,
    "ema": 1000.0,
    "generator_labels": "norm",
    "critic_labels": "classifier",
    "critic_turns": 3,
    "long_turns": 7,
    "clip": 0.5,
    "weight": 3.0,
    "generator_batch": 24,
    "pack": 3,
    "divergence": "kl",
    "form": "dcgan",
    "play": "simultaneous",
    "networks": "sndcgan",
    "norm": "layer",
    "minibatch": "deviation",
    "loss": "rahinge",
    "penalties": ("r2", "dragan"),
    "smoothing": 0.2,
    "matching": 0.5,
    "lecam": 0.01,
    "consistency": ("real", "latent"),
    "top": 0.5,
    "instance_noise": 0.2,
    "one_draw": True,
    "critic_rate": 1e-3,
    "beta1": 0.1,
}
OWN_OTHER = {  # where that is the default already
    ("wgan_gp", "generator_labels"): "concat",
    ("wgan_gp", "critic_labels"): "concat",
    ("sngan", "generator_labels"): "concat",
    ("goodfellow2014", "form"): "convolutional",
    ("goodfellow2014", "loss"): "saturating",
    ("goodfellow2014", "play"): "alternating",
    ("fgan", "form"): "minimax",
    ("relativistic", "batch"): 16,
    ("compose", "latent"): "uniform",
    ("pacgan", "generator_turns"): 1,
}
AROUND = {  # without which a dial means nothing
    ("goodfellow2014", "critic_turns"): {"play": "alternating"},
    ("goodfellow2014", "form"): {"resolution": (17, 17)},
    ("compose", "strength"): {"augment": ("color",)},
    ("compose", "weight"): {"penalties": ("r1",)},
}


@pytest.mark.parametrize("recipe", CATALOGUE.values(), ids=CATALOGUE)
def test_equal_recipes_are_described_equally_and_every_dial_shows(recipe):
    base = {"resolution": SIZE, "channels": 1}
    plain = text_of(recipe(**base))
    assert plain == text_of(recipe(**base))
    seen = {plain}
    for name in inspect.signature(recipe).parameters:
        assert name in OTHER, f"a new dial: give {name} another value here"
        other = OWN_OTHER.get((recipe.__name__, name), OTHER[name])
        around = AROUND.get((recipe.__name__, name), {})
        seen.add(text_of(recipe(**{**base, **around})))
        text = text_of(recipe(**{**base, **around, name: other}))
        assert text not in seen, f"{name} does not show in the description"
        seen.add(text)


@pytest.mark.parametrize("recipe", CATALOGUE.values(), ids=CATALOGUE)
def test_a_description_is_plain_json(recipe):
    found = describe(recipe(SIZE, 3))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["kind"] == "Recipe"
    assert set(found) == {"kind", *(field.name for field in dataclasses.fields(recipe(SIZE)))}
    assert set(found["players"]) == {"generator", "critic"}
    assert "custom" not in json.dumps(found)  # everything in ours is known by name


def test_what_is_said_of_a_recipe():
    found = describe(modern(SIZE, 1, classes=3))
    critic = found["players"]["critic"]
    assert critic["kind"] == "PlayerSpec"
    assert critic["net"] == {
        "kind": "ResidualCritic",
        "image_width": 16,
        "image_height": 16,
        "channels": 1,
        "width": 32,
        "blocks": 1,
        "classes": 3,
    }
    assert critic["optimizer"]["rate"]["kind"] == "Ramp"
    assert critic["optimizer"]["rate"]["unit"] == "budget"
    turn = found["moves"][0][0]
    assert (turn["kind"], turn["player"]) == ("Turn", "critic")
    assert turn["loss"]["game"]["loss"] == "rpgan"
    assert [penalty["at"] for penalty in turn["loss"]["game"]["penalties"]] == ["real", "fake"]


@pytest.mark.parametrize("name", losses.CATALOGUE)
def test_losses_go_by_name(name):
    assert describe(losses.CATALOGUE[name]) == name
    assert describe(losses.Loss(*losses.CATALOGUE[name])) == name  # an equal one is the same loss
    assert describe(Game(losses.CATALOGUE[name]))["loss"] == name


def own_loss(*, real, fake):
    return fake - real


def other_loss(*, real, fake):
    return real - fake


def test_functions_of_others_go_by_place_and_source():
    found = describe(losses.Loss(own_loss, losses.wasserstein.generator, uses_real=False))
    assert found["kind"] == "Loss"
    assert found["critic"] == {
        "custom": f"{__name__}:own_loss",
        "sha256": hashlib.sha256(inspect.getsource(own_loss).encode()).hexdigest(),
    }
    assert describe(own_loss) != describe(other_loss)
    json.dumps(found, allow_nan=False)


@dataclass(frozen=True)
class Own:
    size: int = 3
    deeper: tuple[float, ...] = (1.0, 2.0)
    extra: dict[str, int] = field(default_factory=dict)

    def build(self) -> nn.Module:
        return nn.Linear(self.size, 1)


class Plain:
    def build(self):
        return nn.Linear(3, 1)


def test_classes_of_others_go_by_place_and_source():
    recipe = dcgan(SIZE, 1)
    players = {**recipe.players, "critic": PlayerSpec(Own(), Adam()), "third": PlayerSpec(Plain(), Adam())}
    found = describe(dataclasses.replace(recipe, players=players))
    sha256 = hashlib.sha256(inspect.getsource(Own).encode()).hexdigest()
    assert found["players"]["critic"]["net"] == {
        "kind": "Own",
        "custom": f"{__name__}:Own",
        "sha256": sha256,
        "size": 3,
        "deeper": [1.0, 2.0],
        "extra": {},
    }
    third = found["players"]["third"]["net"]
    assert third["custom"] == f"{__name__}:Plain"
    assert third["sha256"] == hashlib.sha256(inspect.getsource(Plain).encode()).hexdigest()
    assert describe(Own()) != describe(Own(4))
    json.dumps(found, allow_nan=False)


class Weighted:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, *, real, fake):
        return self.weight * (fake - real)


def test_what_others_bring_along_is_part_of_it():
    """A resumed run must not go on with another loss than it began with."""
    assert describe(functools.partial(own_loss)) != describe(functools.partial(other_loss))
    assert describe(functools.partial(own_loss, real=1)) != describe(functools.partial(own_loss, real=2))
    assert describe(functools.partial(own_loss, real=1)) == describe(functools.partial(own_loss, real=1))
    assert describe(Weighted(1.0)) != describe(Weighted(2.0))
    assert describe(Weighted(1.0)) == describe(Weighted(1.0))


def test_what_has_no_source_is_described_all_the_same():
    for value in (math.sin, functools.partial(own_loss, real=1), len):
        json.dumps(describe(value), allow_nan=False)


def test_a_description_of_numbers():
    assert describe({"a": (1, 2.5, None, True, "x"), "b": [[]]}) == {"a": [1, 2.5, None, True, "x"], "b": [[]]}


# ---- network ----

SPECS = [
    DCGANGenerator(28, 28, 1),
    DCGANGenerator(64, 32, 3, latent=50, width=32, kernel=5, bias=False, first_norm="feature"),
    DCGANDiscriminator(64, 64, 4, width=16, kernel=5, bias=False),
    ResidualGenerator(16, 16, 1, latent=8, width=8, blocks=2, classes=10),
    ResidualCritic(32, 16, 3, width=8, blocks=2, classes=10),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_networks_from_their_description(spec):
    found = network(json.loads(json.dumps(describe(spec))))
    assert found == spec
    assert type(found) is type(spec)
    assert hash(found) == hash(spec)


@pytest.mark.parametrize("recipe", CATALOGUE.values(), ids=CATALOGUE)
def test_every_players_network_can_be_rebuilt(recipe):
    for player in recipe(SIZE, 1).players.values():
        assert type(player.net).__name__ in NETWORKS
        assert network(describe(player.net)) == player.net


@pytest.mark.parametrize(
    "kind", ["Linear", "os.system", "torch.nn:Linear", "", None, 3, ["ResidualCritic"], "residualcritic"]
)
def test_networks_of_other_names_are_refused(kind):
    with pytest.raises(UserError, match="is not one of zerosum's"):
        network({"kind": kind, "image_width": 16, "image_height": 16})


def test_descriptions_that_do_not_fit_are_refused():
    whole = describe(SPECS[0])
    with pytest.raises(UserError, match=r"DCGANGenerator does not fit.*depth"):
        network({**whole, "depth": 3})
    with pytest.raises(UserError, match=r"DCGANGenerator does not fit.*image_width"):
        network({key: value for key, value in whole.items() if key != "image_width"})
    with pytest.raises(UserError, match="is not one of zerosum's"):
        network({key: value for key, value in whole.items() if key != "kind"})


# ---- the budget ----


def test_which_recipes_depend_on_the_budget():
    assert modern(SIZE, 1).depends_on_budget()
    depending = {name for name, recipe in CATALOGUE.items() if recipe(SIZE).depends_on_budget()}
    assert depending == {"modern", "wgan_gp", "sngan"}  # the others' rates do not end with the budget


def test_every_ramp_counts():
    recipe = modern(SIZE, 1)
    ramps = [
        *(f"players.{player}.optimizer.rate" for player in ("generator", "critic")),
        *(f"moves.{move}.0.loss.game.penalties.{index}.weight" for move in (0, 1) for index in (0, 1)),
    ]
    for path in ramps:
        others = functools.reduce(lambda value, other: change(value, other, "1e-3"), set(ramps) - {path}, recipe)
        assert others.depends_on_budget(), path
        assert not change(others, path, "1e-3").depends_on_budget()


def test_ramps_in_images_do_not_depend_on_the_budget():
    recipe = dcgan(SIZE, 1)

    def with_rate(rate):
        generator = PlayerSpec(recipe.players["generator"].net, Adam(rate))
        return dataclasses.replace(recipe, players={**recipe.players, "generator": generator})

    assert not with_rate(linear(0, 1e-4, images=1000)).depends_on_budget()
    assert with_rate(Ramp(0, 1e-4)).depends_on_budget()
    strength = DiffAugment(strength=Ramp(0, 1))
    moves = alternating(Game(losses.hinge, (WGANGP(),)), sight=Sight(strength))
    assert dataclasses.replace(recipe, moves=moves).depends_on_budget()
    moves = alternating(Game(losses.hinge, (GradientPenalty("between", linear(0, 1, images=10)),)))
    assert not dataclasses.replace(recipe, moves=moves).depends_on_budget()


def test_pacgan_takes_no_labels():
    with pytest.raises(UserError, match="classes"):
        parse_settings(CATALOGUE["pacgan"], {"classes": "10"})
