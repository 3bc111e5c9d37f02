"""Every recipe, in every form it comes in, does what every recipe must do."""

from __future__ import annotations

import pytest

from zerosum import conformance
from zerosum.listing import home
from zerosum.recipe import Recipe
from zerosum.recipes import CATALOGUE

FAMILY = ("goodfellow2014", "dcgan", "lsgan", "wgan", "wgan_gp", "dragan", "sngan", "sndcgan", "relativistic", "fgan")
LABELS = {"classes": 3}
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in CATALOGUE},
    **{f"{name}, labels": (name, LABELS) for name in (*FAMILY, "modern", "compose")},
    **{f"{name}, classifier": (name, LABELS | {"critic_labels": "classifier"}) for name in FAMILY},
    **{f"{name}, projection": (name, LABELS | {"critic_labels": "projection"}) for name in ("dcgan", "goodfellow2014")},
    **{f"{name}, conditional norm": (name, LABELS | {"generator_labels": "norm"}) for name in ("dcgan", "sndcgan")},
    **{f"relativistic, {loss}": ("relativistic", {"loss": loss}) for loss in ("rpgan", "rals", "rahinge")},
    **{
        f"fgan, {name}": ("fgan", {"divergence": name})
        for name in ("kl", "reverse_kl", "pearson", "neyman", "hellinger", "jeffrey", "gan", "total_variation")
    },
    "fgan, minimax": ("fgan", {"form": "minimax"}),
    "goodfellow2014, algorithm 1": ("goodfellow2014", {"play": "alternating", "critic_turns": 2, "loss": "saturating"}),
    "goodfellow2014, convolutional": ("goodfellow2014", {"form": "convolutional", "resolution": (14, 14)}),
    "wgan_gp, dcgan": ("wgan_gp", {"form": "dcgan"}),
    "wgan_gp, 64": ("wgan_gp", {"resolution": (48, 48), "width": 2}),
    "sngan, 48": ("sngan", {"resolution": (48, 48), "width": 2}),
    "pacgan, 4": ("pacgan", {"pack": 4}),
    "compose, all terms": (
        "compose",
        {
            "smoothing": 0.1,
            "lecam": 0.1,
            "consistency": ("real", "fake", "latent"),
            "top": 0.5,
            "penalties": ("r1", "dragan"),
            "minibatch": "deviation",
            "instance_noise": 0.1,
            "augment": ("color", "translation", "cutout"),
        },
    ),
    "compose, matching": (
        "compose",
        {"matching": 1.0, "networks": "sndcgan", "norm": "spectral", "play": "simultaneous"},
    ),
    "compose, resnet": (
        "compose",
        {"networks": "resnet", "norm": "layer", "loss": "rahinge", "penalties": ("wgan_gp",), "pack": 2},
    ),
    "compose, discrimination": ("compose", {"minibatch": "discrimination", "norm": "batch", "generator_turns": 2}),
}


def small(form: str) -> Recipe:
    name, dials = FORMS[form]
    size = {"resolution": (16, 16), "channels": 1, "width": 4, "batch": 8, "images": 800}
    size |= {"generator_batch": 12} if name in ("wgan_gp", "sngan") else {}
    size |= {"long_turns": 8} if name == "wgan" else {}
    size |= {"width": 10} if name == "goodfellow2014" else {}
    size = {key: value for key, value in size.items() if not (key == "width" and dials.get("form") == "convolutional")}
    return CATALOGUE[name](**size | dials)


@pytest.mark.parametrize("name", CATALOGUE)
def test_built_at_every_size_it_can_do(name):
    """Published widths, without memory; 1, 3 and 4 channels; sizes it cannot do are refused in words."""
    able = conformance.builds(CATALOGUE[name])
    assert set(able) == set(conformance.SIZES)


@pytest.mark.parametrize("name", CATALOGUE)
def test_published_forms_play_a_round_at_their_full_width(name):
    for dials in home(CATALOGUE[name]).FORMS.values():
        conformance.waits_for_nothing(CATALOGUE[name](**dials), rounds=(501,))


@pytest.mark.parametrize("labels", ["concat", "projection", "classifier"])
def test_built_with_labels(labels):
    for name in FAMILY:
        assert len(conformance.builds(CATALOGUE[name], [(32, 32)], classes=5, critic_labels=labels)) == 1


def test_the_convolutional_form_of_2014_says_which_sizes_it_can_do():
    able = conformance.builds(CATALOGUE["goodfellow2014"], form="convolutional")
    assert able == [(32, 32), (128, 128)]  # 3 n + 2


# forms that differ from another one in a pure function, or in how labels enter networks that were checked with labels,
# need not be resumed and repeated too
WITH_LABELS = ("dcgan, labels", "sngan, labels", "wgan_gp, classifier", "modern, labels", "goodfellow2014, projection")
LIKE_ANOTHER = [
    form
    for form in FORMS
    if form.startswith(("fgan, ", "relativistic, r"))
    or (form.endswith(("labels", "classifier", "projection")) and form not in WITH_LABELS)
]
QUICK = (conformance.moves_who_moves, conformance.reaches_every_weight, conformance.stops_in_time)


@pytest.mark.parametrize(
    ("form", "one"),
    [(form, one) for form in FORMS for one in (QUICK if form in LIKE_ANOTHER else conformance.CHECKS)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_conformance(form, one):
    one(small(form))
