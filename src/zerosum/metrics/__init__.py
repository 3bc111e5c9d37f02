"""How good is it: distances as pure functions of features, and the judgement at the end of a run."""

from zerosum.metrics.copying import Copying, authenticity, data_copying, rank_score
from zerosum.metrics.diversity import class_diversity, lpips_diversity, ms_ssim_diversity
from zerosum.metrics.draws import Interval, different, interval
from zerosum.metrics.frechet import (
    ClassDistances,
    Gaussian,
    Moments,
    class_frechet_distance,
    frechet_between,
    frechet_distance,
    gaussian_of,
    moments_of,
)
from zerosum.metrics.kernels import KernelDistance, full_kernel_distance, kernel_distance, maximum_mean_discrepancy
from zerosum.metrics.neighbours import Coverage, Nearest, k_nearest, neighbour_measures
from zerosum.metrics.paths import path_length, path_length_of
from zerosum.metrics.scores import (
    Accuracy,
    InceptionScore,
    Labelled,
    Mixture,
    Modes,
    classification_accuracy_score,
    inception_score,
    inception_score_of_logits,
    mixture_quality,
    modes,
)
from zerosum.metrics.structural import ms_ssim, ssim
from zerosum.metrics.wasserstein import SlicedWasserstein, sliced_wasserstein

__all__ = [
    "Accuracy",
    "ClassDistances",
    "Copying",
    "Coverage",
    "Gaussian",
    "InceptionScore",
    "Interval",
    "KernelDistance",
    "Labelled",
    "Mixture",
    "Modes",
    "Moments",
    "Nearest",
    "SlicedWasserstein",
    "authenticity",
    "class_diversity",
    "class_frechet_distance",
    "classification_accuracy_score",
    "data_copying",
    "different",
    "frechet_between",
    "frechet_distance",
    "full_kernel_distance",
    "gaussian_of",
    "inception_score",
    "inception_score_of_logits",
    "interval",
    "k_nearest",
    "kernel_distance",
    "lpips_diversity",
    "maximum_mean_discrepancy",
    "mixture_quality",
    "modes",
    "moments_of",
    "ms_ssim",
    "ms_ssim_diversity",
    "neighbour_measures",
    "path_length",
    "path_length_of",
    "rank_score",
    "sliced_wasserstein",
    "ssim",
]
