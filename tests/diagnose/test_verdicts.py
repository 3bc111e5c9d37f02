"""When something is said: after a warm-up, at several checks in a row, and not beside what explains it."""

from __future__ import annotations

import pytest

from zerosum.diagnose import remedies
from zerosum.diagnose.rules import RULES, Rule
from zerosum.diagnose.symptoms import IN_A_ROW, WARM_UP
from zerosum.diagnose.verdicts import Diagnosis, News, numbers

HEALTHY = {
    "separates": 0.75,
    "accuracy_train": 0.7,
    "accuracy_held": 0.65,
    "accuracy_fake": 0.7,
    "remembers": 0.55,
    "r_v": 0.2,
    "diversity_raw": 0.95,
    "diversity_ema": 0.97,
    "crowding_raw": 1.0,
    "crowding_ema": 1.0,
    "coverage_raw": 0.8,
    "coverage_ema": 0.85,
    "precision_ema": 0.9,
    "nearest": 1.0,
    "nearest_train": 1.2,
    "copies": 0.0,
    "checkerboard": 0.005,
    "grid": 0.002,
    "moved": 0.3,
    "generator.gradient": 1.0,
    "critic.gradient": 1.0,
    "weights.critic": 10.0,
    "weights.generator": 10.0,
    "spread": 1.0,
    "images_per_second": 1000.0,
}
FAILING = {
    "diverged": {"coverage_raw": 0.0, "weights.generator": 400.0, "separates": 1.0},
    "vanished gradient": {"separates": 1.0, "coverage_raw": 0.0, "moved": 0.0, "generator.gradient": 1e-6},
    "generator stuck": {"separates": 1.0, "coverage_raw": 0.0, "moved": 0.0, "diversity_raw": 0.1},
    "critic too weak": {"separates": 0.4, "coverage_raw": 0.0, "coverage_ema": 0.0, "precision_ema": 0.0},
    "collapse": {"diversity_raw": 0.1, "diversity_ema": 0.1, "crowding_raw": 0.1, "coverage_raw": 0.02, "moved": 0.1},
    "hopping collapse": {"diversity_raw": 0.1, "crowding_raw": 0.1, "coverage_raw": 0.02, "moved": 1.2},
    "copies": {"nearest": 0.5, "copies": 0.4},
    "critic overfits": {"remembers": 0.95, "accuracy_train": 0.95, "accuracy_held": 0.3, "r_v": 1.0},
    "drops modes": {"precision_ema": 0.9, "coverage_ema": 0.2, "coverage_raw": 0.2},
    "checkerboard": {"checkerboard": 0.2},
    "augmentation leaks": {"leak_mirror": 0.8},
    "memory nearly full": {"memory_free": 0.01},
    "disk nearly full": {"disk_free_mib": 20.0},
}


def history(checks: int, failing: dict[str, float] | None = None, after: int = 10) -> list[dict[str, float]]:
    """Checks whose coverage rises, and which fail from one on."""
    found = []
    for number in range(checks):
        own = {
            **HEALTHY,
            "images": 1000.0 * number,
            "round": 100.0 * number,
            "share": number / checks,
            "coverage_ema": 0.5 + 0.01 * number,
        }
        found.append({**own, **(failing or {})} if number >= after else own)
    return found


def levelled(checks: list[dict[str, float]]) -> list[dict[str, float]]:
    """Coverage that stays, with the noise of a hundred pictures."""
    return [{**check, "coverage_ema": 0.8 + 0.02 * (-1) ** number} for number, check in enumerate(checks)]


def falling(checks: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{**check, "coverage_ema": 0.9 - 0.015 * max(0, number - 10)} for number, check in enumerate(checks)]


def slowed(checks: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{**check, "images_per_second": 1000.0 if number < 30 else 300.0} for number, check in enumerate(checks)]


def waiting(checks: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{**check, "waiting": 0.5 if number > 20 else 0.01} for number, check in enumerate(checks)]


NOTED = {"flat": levelled, "declines": falling, "slower": slowed, "waits for data": waiting}


def said(checks: list[dict[str, float]]) -> dict[str, int]:
    diagnosis, found = Diagnosis(), {}
    for check in checks:
        found |= {verdict.name: verdict.images for verdict in diagnosis.see(check).verdicts if verdict.level != "note"}
    return found


def test_a_healthy_training_is_not_disturbed():
    assert said(history(40)) == {}


@pytest.mark.parametrize("name", FAILING)
def test_each_failure_is_named_and_nothing_else(name):
    late = {"hopping collapse": 1, "critic overfits": 3}.get(name, 0)  # whose symptoms are medians or means of a few
    assert said(history(24, FAILING[name])) == {name: (10 + IN_A_ROW - 1 + late) * 1000}


@pytest.mark.parametrize("name", FAILING)
def test_a_moment_is_no_verdict(name):
    checks = history(24)
    for number in (11, 12, 16, 20, 21):
        checks[number] |= FAILING[name]
    assert said(checks) == {}


def test_every_rule_is_tested_and_has_a_remedy():
    names = {rule.name for rule in RULES}
    assert names - set(NOTED) == set(FAILING)
    assert names <= set(remedies.REMEDIES)
    for remedy in remedies.REMEDIES.values():
        assert remedy.rates or remedy.dials or remedy.recipe or remedy.command or remedy.goes_on
    for rule in RULES:
        assert set(rule.explains) <= names


@pytest.mark.parametrize("name", NOTED)
def test_what_is_worth_a_note(name):
    noted = dict[str, int]()
    diagnosis = Diagnosis()
    for check in NOTED[name](history(40)):
        noted |= {verdict.name: verdict.images for verdict in diagnosis.see(check).verdicts}
    assert noted.keys() == {name}
    assert said(NOTED[name](history(40))) == {}


def test_nothing_is_said_while_it_warms_up_and_confidence_grows():
    rule = Rule("always", lambda now, past: {"x": 1.0}, "It is so.")
    diagnosis = Diagnosis(rules=(rule,))
    news = [diagnosis.see({"images": float(number)}) for number in range(WARM_UP + IN_A_ROW + 2)]
    assert [bool(one.verdicts) for one in news] == [False] * (WARM_UP + IN_A_ROW - 1) + [True, False, False]
    verdict = news[WARM_UP + IN_A_ROW - 1].verdicts[0]
    assert (verdict.since, verdict.images, verdict.confidence) == (WARM_UP, WARM_UP + 2, 1 - 0.5**3)
    assert diagnosis.standing["always"].confidence == 1 - 0.5**5


def test_what_is_over_is_said_to_be_over():
    checks = [*history(20, FAILING["copies"]), *history(26)[20:]]
    diagnosis = Diagnosis()
    news = [diagnosis.see(check) for check in checks]
    gone = [number for number, one in enumerate(news) if one.recovered]
    assert gone == [20 + IN_A_ROW - 1]
    assert news[gone[0]] == News((), ("copies",))
    assert not diagnosis.standing


def test_it_is_a_function_of_the_checks():
    """Read again from the log, whole or in two goes, it says the same."""
    checks = history(30, FAILING["critic overfits"])
    one, other = Diagnosis(), Diagnosis()
    first = [one.see(check) for check in checks]
    second = [other.see(check) for check in checks[:17]]
    again = Diagnosis()
    for check in checks[:17]:
        again.see(check)
    assert first == second + [again.see(check) for check in checks[17:]]


def test_checks_with_little_in_them_raise_nothing():
    diagnosis = Diagnosis()
    for number in range(20):
        assert diagnosis.see({"images": float(number)}) == News((), ())


def test_numbers_of_a_line():
    assert numbers({"images": 3, "a": 0.5, "b": None, "c": "x", "d": [1], "e": True}) == {"images": 3, "a": 0.5}


RESOLVED = {
    "players": {
        "generator": {"optimizer": {"kind": "Adam", "rate": 1e-3}},
        "critic": {"optimizer": {"kind": "Adam", "rate": {"kind": "Ramp", "start": 2e-3, "end": 2e-4, "begin": 0}}},
    }
}


def test_remedies_are_settings_that_a_command_takes():
    found = remedies.settings("diverged", RESOLVED)
    assert found == {
        "players.generator.optimizer.rate": "0.0005",
        "players.critic.optimizer.rate.start": "0.001",
        "players.critic.optimizer.rate.end": "0.0001",
    }
    content = {
        "recipe": "dcgan",
        "seed": 3,
        "resolved": {**RESOLVED, "batch": 64, "latent": {"size": 100}, "mirror": True},
        "budget": {"images": 6400, "since": 0, "seconds": None},
        "dials": {"width": 8, "resolution": [28, 28]},
        "asked": {"data": "my pictures; rm"},
    }
    start = "zerosum train 'my pictures; rm' --recipe dcgan --images 6400 --seed 3 --resolution 28x28 --set width=8 "
    command = remedies.advice("diverged", content, "runs/1")
    assert f"{start}--set players.generator.optimizer.rate=0.0005" in command
    assert command.endswith(" --out runs/1-mended")
    assert f"{start}--set latent_size=200 --set batch=128" in remedies.advice("drops modes", content, "runs/1")
    assert f"{start}--set mirror=false" in remedies.advice("augmentation leaks", content, "runs/1")
    assert "--recipe modern --images 6400" in remedies.advice("critic overfits", content, "runs/1")
    assert "zerosum data check 'my pictures; rm'" in remedies.advice("twins", content, "runs/1")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"resolved": []},
        {"resolved": {"players": []}},
        {"resolved": {}},
        {"resolved": {"players": {"critic": {"optimizer": {"rate": "x"}}}}},
    ],
)
def test_a_run_that_says_little_of_itself_gets_words(content):
    assert remedies.advice("diverged", content, "run").startswith("Lower")


def test_a_collapse_is_one_whether_it_hops_or_not():
    """What hops at some checks and rests at others is narrow at all of them."""
    checks = history(24, FAILING["collapse"])
    for check in checks[10::2]:
        check["moved"] = 1.2
    assert said(checks).keys() <= {"collapse", "hopping collapse"}
    assert said(checks)


LOST = {"coverage_raw": 0.0, "coverage_ema": 0.02, "precision_ema": 0.02}


def test_two_kinds_of_pictures_that_are_nothing_like_the_data_are_a_collapse():
    two = {"diversity_raw": 0.75, "crowding_raw": 0.42, "moved": 0.3, "separates": 0.95}
    assert said(history(24, {**two, **LOST})).keys() == {"collapse"}
    assert said(history(24, two)) == {}


def test_varied_pictures_that_come_no_nearer_are_named_however_the_critic_does():
    assert said(history(30, {**LOST, "separates": 0.9})).keys() == {"generator stuck"}
    young = [{**check, "share": 0.2} for check in history(30, {**LOST, "separates": 0.9})]
    assert said(young) == {}


@pytest.mark.parametrize("name", ["gap", "sigma.generator"])
def test_scores_and_layers_diverge_too(name):
    checks = [{**check, "gap": 1.0, "sigma.generator": 2.0} for check in history(10)]
    checks += [{**check, name: 1e6, "coverage_raw": 0.0, "moved": 0.3} for check in history(16)[10:]]
    assert "diverged" in said(checks)


def test_a_total_collapse_is_no_overwhelming_critic():
    """The critic is asleep and the generator has come to rest on one picture that it takes for real."""
    asleep = {"diversity_raw": 0.01, "crowding_raw": 0.01, "coverage_raw": 0.01, "coverage_ema": 0.0, "moved": 0.005}
    assert said(history(24, {**asleep, "separates": 0.4, "accuracy_fake": 0.0})).keys() == {"critic too weak"}


def at_age(checks: list[dict[str, float]], share: float, rounds: float) -> list[dict[str, float]]:
    """All of the same age, however many there are."""
    return [{**check, "share": share, "round": rounds + number} for number, check in enumerate(checks)]


ALIKE = {"diversity_raw": 0.1, "crowding_raw": 0.1, "coverage_raw": 0.02, "moved": 0.001}


def test_a_young_generator_collapses_only_from_what_it_could():
    """One that was varied has lost it; one that was never anything like the data makes one picture at first."""
    young = at_age(history(80, ALIKE), 0.1, 250)
    assert said(young).keys() == {"collapse"}
    begun = [{**check, "coverage_raw": 0.0} for check in young]
    assert said(begun) == {}


def test_dim_pictures_that_all_differ_are_no_collapse():
    assert said(history(24, {"diversity_raw": 0.4, "crowding_raw": 0.6})) == {}
    assert said(history(24, {"diversity_raw": 0.4, "crowding_raw": 0.3})).keys() == {"collapse"}


@pytest.mark.parametrize("gradient", [1.0, 1e-6])
def test_a_grey_picture_that_never_changes_has_not_collapsed(gradient):
    """It lies among natural pictures, so some seem covered; but it was never varied, so there was nothing to lose."""
    grey = {"coverage_raw": 0.15, "diversity_raw": 0.08, "crowding_raw": 0.14, "moved": 1e-4, "separates": 1.0}
    checks = [{**check, **grey, "coverage_ema": 0.15} for check in history(24)]
    checks = [{**check, "generator.gradient": gradient if number > 5 else 1.0} for number, check in enumerate(checks)]
    assert said(checks).keys() == {"vanished gradient" if gradient < 1 else "generator stuck"}
    varied = [HEALTHY | {"images": 0.0, "round": 0.0, "share": 0.0}, *checks[1:]]
    assert said(varied).keys() == {"collapse"}


def test_where_a_single_picture_lies_is_chance():
    assert said(history(24, {"nearest": 0.6})).keys() == {"copies"}
    assert said(history(24, {"nearest": 0.6, "diversity_ema": 0.1})) == {}


def test_what_was_slow_to_start_and_becomes_varied_has_not_collapsed():
    checks = [
        {**check, "diversity_raw": 0.02 * number, "crowding_raw": 0.1, "coverage_raw": 0.2}
        for number, check in enumerate(history(30))
    ]
    assert said(checks) == {}
    assert said([{**check, "diversity_raw": 0.05} for check in checks]).keys() == {"collapse"}


def test_one_picture_that_covers_more_and_more_is_a_collapse_from_the_middle_on():
    """Coverage of what hops rises by chance: it excuses a young generator only."""
    checks = [{**check, **ALIKE, "coverage_raw": 0.01 * number} for number, check in enumerate(history(60))]
    assert said(checks).keys() == {"collapse"}
    assert min(said(checks).values()) > 30_000


def test_leaks_are_said_of_what_lasts_in_grown_generators():
    assert said(at_age(history(80, FAILING["augmentation leaks"]), 0.2, 250)) == {}
    odd = [{**check, "leak_augment": 0.9 if number % 3 == 0 else 0.2} for number, check in enumerate(history(30))]
    assert said(odd) == {}
    moments = [{**check, "leak_augment": 0.45 if number % 5 < 3 else 0.1} for number, check in enumerate(odd)]
    assert said(moments) == {}
    assert said([{**check, "leak_augment": 0.5, "leak_mirror": 0.0} for check in odd]).keys() == {"augmentation leaks"}


@pytest.mark.parametrize(("held", "named"), [(0.6, True), (0.68, False)])
def test_few_held_out_pictures_take_a_larger_gap(held, named):
    checks = history(30, {"remembers": 0.75, "accuracy_train": 0.95, "accuracy_held": held})
    assert ("critic overfits" in said(checks)) is named


def test_a_mean_picture_with_power_everywhere_has_no_grid():
    assert said(history(30, {"grid": 0.1, "checkerboard": 0.01})) == {}
    assert said(history(30, {"grid": 0.1, "checkerboard": 0.05})).keys() == {"checkerboard"}


def test_a_young_generator_has_not_dropped_what_it_does_not_make_yet():
    assert said(at_age(history(80, FAILING["drops modes"]), 0.1, 250)) == {}


def test_what_still_rises_over_many_checks_is_not_dropped():
    """Of checks that are close to each other the last few say little."""
    rising = {number: 0.15 + 0.0045 * number + 0.02 * (-1) ** number for number in range(120)}
    checks = [{**check, "coverage_ema": rising[number]} for number, check in enumerate(history(120))]
    assert said(checks) == {}
    assert said([{**check, "coverage_ema": 0.2} for check in checks]).keys() == {"drops modes"}


@pytest.mark.parametrize(("saved", "named"), [(1000.0, True), (10.0, False)])
def test_the_room_that_is_needed_depends_on_what_is_saved(saved, named):
    assert ("disk nearly full" in said(history(24, {"disk_free_mib": 3000.0, "saved_mib": saved}))) is named


def test_a_critic_may_know_one_picture_by_heart():
    """Of a generator that makes a single one: the collapse is to be said, not what comes of it."""
    assert said(history(24, {**FAILING["collapse"], **FAILING["critic overfits"]})).keys() == {"collapse"}


@pytest.mark.parametrize(("name", "value"), [("checkerboard", 0.8), ("grid", 0.2)])
def test_a_grid_that_training_removes_is_none(name, value):
    checks = history(30)
    for number, check in enumerate(checks):
        check["checkerboard"] = 0.04
        check[name] = value * 0.87**number
    assert said(checks) == {}
    assert said([{**check, name: value} for check in checks]).keys() == {"checkerboard"}


def test_the_first_check_after_a_resume_breaks_no_row():
    checks = history(24, FAILING["generator stuck"])
    del checks[11]["moved"]
    assert said(checks) == {"generator stuck": 12_000}


def test_checks_that_are_close_to_each_other_must_go_on_for_longer():
    """Three checks within twenty rounds are a moment."""
    near = [{**check, "round": 1000 + 10.0 * number} for number, check in enumerate(history(24, FAILING["copies"]))]
    assert said(near) == {"copies": 16_000}
    young = [{**check, "round": 10.0 * number} for number, check in enumerate(history(40, FAILING["copies"]))]
    assert said(young) == {"copies": 26_000}


def test_a_generator_that_moves_little_between_checks_close_to_each_other_does_not_stand_still():
    slow = {"separates": 1.0, "coverage_raw": 0.0, "coverage_ema": 0.04, "precision_ema": 0.1}
    checks = [{**check, "round": 10.0 * number, "share": 0.1} for number, check in enumerate(history(40, slow))]
    assert said([{**check, "moved": 0.02} for check in checks]) == {}
    assert said([{**check, "moved": 0.001} for check in checks]).keys() == {"generator stuck"}


@pytest.mark.parametrize("grown", [False, True])
def test_unbounded_scores_that_grow_at_a_start_are_no_divergence(grown):
    young = {"coverage_raw": 0.0, "coverage_ema": 0.0, "precision_ema": 0.0, "separates": 1.0, "share": 0.1}
    checks = [{**check, **young, "round": 40.0 * number} for number, check in enumerate(history(30))]
    checks = [{**check, "gap": 0.01 if number < 10 else 60.0} for number, check in enumerate(checks)]
    if grown:
        checks = [{**check, "coverage_raw": 0.3 if number < 10 else 0.0} for number, check in enumerate(checks)]
    assert ("diverged" in said(checks)) is grown


def test_what_is_ill_is_known_before_it_is_said():
    diagnosis = Diagnosis()
    for check in history(12, FAILING["diverged"])[:11]:
        diagnosis.see(check)
    assert (diagnosis.ill_since(), diagnosis.standing) == (10_000, {})
