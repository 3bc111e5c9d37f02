"""What is said about recipes, and the parameter counts that were published or logged elsewhere."""

from __future__ import annotations

import inspect
import re

import pytest

from zerosum.errors import UserError
from zerosum.listing import counts, home, page, table, year
from zerosum.recipes import CATALOGUE

# Published, or logged by the reference code: generator, critic.
PUBLISHED = {
    ("dcgan", "64x64, DCGAN-tensorflow"): (5_135_363, 4_316_545),
    ("dcgan", "64x64, the authors' own"): (18_885_760, 17_232_768),
    ("dcgan", "64x64, PyTorch's examples"): (3_576_704, 2_765_568),
    ("wgan", "64x64"): (3_576_704, 2_765_568),
    ("wgan_gp", "CIFAR-10, resnet"): (1_204_483, 1_053_825),
    ("sngan", "CIFAR-10"): (4_276_739, 1_053_824),
    ("sngan", "CIFAR-10, labels"): (4_304_387, 1_055_105),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_full_widths_have_the_published_counts(name):
    found = {form: (generator, critic) for form, generator, critic in counts(CATALOGUE[name])}
    assert found
    for (recipe, form), expected in PUBLISHED.items():
        if recipe == name:
            assert found[form] == expected


def test_packing_adds_to_the_first_layer_alone():
    by_form = {form: critic for form, _, critic in counts(CATALOGUE["pacgan"])}
    first, second = by_form.values()
    assert second - first == 64 * 4 * 4 * 3 * 2  # two more pictures of three channels


def test_the_table_has_a_line_for_each():
    lines = table()
    assert len(lines) == len(CATALOGUE)
    for name, line in zip(CATALOGUE, lines, strict=True):
        assert line.startswith(name)
        assert re.search(r" (19|20)\d\d  ", line)
        assert len(line) < 160


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_page_says_everything(name):
    text = "\n".join(page(name))
    function = CATALOGUE[name]
    assert f"def {name}(" in text  # the file itself
    assert home(function).CITATION in text
    assert all(line in text for line in home(function).NUMBERS.splitlines())
    for dial in ("resolution", "channels", "batch", "images"):
        assert re.search(rf"^  {dial} ", text, re.M)
    assert 2010 < int(year(function)) < 2030
    assert len(home(function).CITATION.split("@")) >= 2


def test_no_such_recipe():
    with pytest.raises(UserError, match="did you mean sngan"):
        page("sngam")


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_recipe_is_a_short_file(name):
    """The promise of the family: a recipe composes tested parts."""
    lines = inspect.getsource(CATALOGUE[name]).count("\n")
    assert lines <= (120 if name == "compose" else 85), f"{name} has {lines}"
