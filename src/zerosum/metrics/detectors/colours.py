"""Which digit is in each colour of a picture: the eye of Stacked MNIST."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from zerosum.data.pictures import Pictures
from zerosum.data.telling import Say, silent
from zerosum.metrics.classifier import LONG
from zerosum.metrics.detectors.detector import Detector, Seen
from zerosum.metrics.detectors.own import own_classifier, resized_by, view

LEAST = 0.992  # held-out accuracy of the classifiers with which numbers were published
COLOURS = 3


def of_colours(digits: Pictures, cache: Path, say: Say = silent) -> Detector:
    """A classifier of single digits that looks at each colour by itself (trained now, for minutes, or before).

    Its logits are those of the K^3 combinations, red first: with ten digits the likeliest is 100 a + 10 b + c.

    Args:
        digits: grey pictures with labels, at the size of the pictures to be looked at.
    """
    own = own_classifier(digits, cache, training=LONG, say=say)
    assert own is not None, "without a deadline there is always a classifier"
    net, size = own.net, own.size

    def see(pictures: Tensor) -> Seen:
        if pictures.shape[1] != COLOURS:
            raise ValueError(f"stacked pictures have three colours, not {pictures.shape[1]} channels")
        features = net.body(view(pictures.flatten(0, 1)[:, None], size))
        logits = net.head(F.leaky_relu(features, 0.1)).unflatten(0, (-1, COLOURS))
        red, green, blue = logits.unbind(dim=1)
        joint = red[:, :, None, None] + green[:, None, :, None] + blue[:, None, None, :]
        return Seen(features.unflatten(0, (-1, COLOURS)).flatten(1), joint.flatten(1))

    return Detector(
        name=f"classifier-{digits.name}-long",
        width=COLOURS * net.head.in_features,
        sha256=net.sha256(),
        resizer=resized_by(size),
        see=see,
        block=500,
        accuracy=own.accuracy,
    )
