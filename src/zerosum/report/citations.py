"""BibTeX for exactly the parts that a run used: its recipe's own, then losses, penalties, terms, layers and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources

from zerosum.report.facts import Facts, number
from zerosum.report.html import said, text

Pair = tuple[str, object]

# A part is used where the recipe has this field with this value, or the metrics one of this name. Labels count where
# there are classes; numbers, true here, where they are above what leaves a part out.
USED: Mapping[Pair, str] = {
    ("loss", "saturating"): "goodfellow2014gan",
    ("loss", "non_saturating"): "goodfellow2014gan",
    ("loss", "least_squares"): "mao2017lsgan",
    ("loss", "wasserstein"): "arjovsky2017wgan",
    ("loss", "hinge"): "lim2017geometric",
    ("loss", "rpgan"): "jolicoeur2019relativistic",
    ("loss", "ragan"): "jolicoeur2019relativistic",
    ("loss", "rals"): "jolicoeur2019relativistic",
    ("loss", "rahinge"): "jolicoeur2019relativistic",
    ("loss", "fgan"): "nowozin2016fgan",
    ("top", True): "sinha2020topk",
    ("pack", True): "lin2018pacgan",
    ("noise", True): "sonderby2017amortised",
    ("at", "real"): "mescheder2018converge",
    ("at", "fake"): "mescheder2018converge",
    ("at", "between"): "gulrajani2017wgangp",
    ("at", "around"): "kodali2017dragan",
    ("kind", "DiffAugment"): "zhao2020diffaugment",
    ("kind", "LeCam"): "tseng2021lecam",
    ("kind", "AuxiliaryClassifier"): "odena2017acgan",
    ("kind", "FeatureMatching"): "salimans2016improved",
    ("kind", "LabelSmoothing"): "salimans2016improved",
    ("minibatch", "discrimination"): "salimans2016improved",
    ("minibatch", "deviation"): "karras2018progressive",
    ("kind", "Consistency"): "zhang2020consistency",
    ("kind", "LatentConsistency"): "zhao2021consistency",
    ("norm", "spectral"): "miyato2018spectral",
    ("norm", "batch"): "ioffe2015batchnorm",
    ("norm", "layer"): "ba2016layernorm",
    ("kind", "DCGANGenerator"): "radford2016dcgan",
    ("kind", "DCGANDiscriminator"): "radford2016dcgan",
    ("kind", "SNDCGANGenerator"): "miyato2018spectral",
    ("kind", "SNDCGANDiscriminator"): "miyato2018spectral",
    ("kind", "ResNetGenerator"): "gulrajani2017wgangp",
    ("kind", "ResNetCritic"): "gulrajani2017wgangp",
    ("kind", "ResidualGenerator"): "zhang2019fixup",
    ("kind", "ResidualCritic"): "zhang2019fixup",
    ("labelled", "ResidualCritic"): "miyato2018projection",
    ("labels", "concat"): "mirza2014conditional",
    ("labels", "norm"): "dumoulin2017learned",
    ("labels", "projection"): "miyato2018projection",
    ("labels", "classifier"): "odena2017acgan",
    ("checkpoint", True): "chen2016sublinear",
    ("kind", "Adam"): "kingma2015adam",
    ("kind", "EMA"): "yazici2019averaging",
    ("metric", "precision"): "kynkaanniemi2019precision",
    ("metric", "recall"): "kynkaanniemi2019precision",
    ("metric", "density"): "naeem2020reliable",
    ("metric", "coverage"): "naeem2020reliable",
    ("metric", "kernel"): "binkowski2018mmd",
    ("metric", "kid"): "binkowski2018mmd",
    ("metric", "fid"): "heusel2017fid",
}
BEYOND = {"pack": 1.0, "noise": 0.0}  # numbers up to which a part is left out


def html(facts: Facts) -> str:
    """The recipe's own citation, and those of further parts."""
    own, more = facts.says("resolved", "citation"), further(facts)
    if not own and not more:
        return ""
    found = "\n".join([str(own)] * bool(own) + more)
    return said("For exactly the parts that this run used.") + f"<pre><code>{text(found, 20_000)}</code></pre>"


def further(facts: Facts) -> list[str]:
    """The entries that the recipe's own citation lacks, in the order of the table."""
    own = _letters(str(facts.says("resolved", "citation") or ""))
    pairs = set(_pairs(facts.says("resolved")))
    pairs |= {("metric", str(record.get("metric")).split(".")[0]) for record in facts.metrics}
    known = entries()
    found = [known[name] for name in dict.fromkeys(name for pair, name in USED.items() if pair in pairs)]
    return [entry for entry in found if _letters(entry.partition("title={")[2].partition("},")[0]) not in own]


def entries() -> dict[str, str]:
    """All BibTeX that is known, by key."""
    content = resources.files("zerosum.report").joinpath("citations.bib").read_text(encoding="utf-8")
    return {entry.partition("{")[2].partition(",")[0]: entry for entry in content.strip().split("\n\n")}


def _letters(words: str) -> str:
    return re.sub(r"[^a-z]", "", words.lower())


def _pairs(value: object, depth: int = 0) -> Iterator[Pair]:
    """Fields and their plain values, anywhere inside JSON."""
    if isinstance(value, Mapping) and depth < 20:
        labelled = (number(value.get("classes")) or 0) > 0
        if labelled:
            yield "labelled", value.get("kind")
        for name, item in value.items():
            if isinstance(item, str | bool) and (name != "labels" or labelled):
                yield str(name), "fgan" if name == "loss" and str(item).startswith("fgan_") else item
            if name in BEYOND and (number(item) or 0) > BEYOND[name]:
                yield str(name), True
            if name == "top" and item != 1:
                yield "top", True
            yield from _pairs(item, depth + 1)
    elif isinstance(value, list) and depth < 20:
        for item in value[:1000]:
            yield from _pairs(item, depth + 1)
