"""How near a picture is to the truth: one number per picture, never per batch.

Three views of every output. *raw*: the picture as it is. *composite*: known pixels from the truth, hidden ones
from the network, so nothing is gained or lost outside the mask. *hole*: the hidden pixels alone; the figure that binds,
since known pixels flatter the other two. *Hidden* is occlusion > 0, a hard map.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

# A perfect picture would be infinitely good and ruin every mean; no 8-bit picture that differs reaches this.
MAX_PSNR = 100.0


def is_masked(occlusion: np.ndarray) -> np.ndarray:
    """(B,) bool: whether anything is hidden, in (B, H, W, 1) maps; where nothing is, there is nothing to score."""
    return (occlusion > 0).any(axis=(1, 2, 3))


def psnr(truth: np.ndarray, image: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB for a peak of 1; higher is better.

    Args:
        truth, image: (B, H, W, C) float in [0, 1].
        where: (B, H, W, 1) bool, the pixels that count; all when left out.
    Returns: (B,) float64, at most 100; NaN where no pixel counts.
    """
    error = np.square(image.astype(np.float64) - truth).mean(-1, keepdims=True)
    if where is None:
        mean = error.mean(axis=(1, 2, 3))
    else:
        pixels = where.sum(axis=(1, 2, 3)).astype(np.float64)
        mean = np.full(len(truth), np.nan)
        np.divide((error * where).sum(axis=(1, 2, 3)), pixels, out=mean, where=pixels > 0)
    return np.minimum(-10 * np.log10(np.maximum(mean, 1e-30)), MAX_PSNR)


def ms_ssim(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """`tf.image.ssim_multiscale` with window 7 and as many scales as fit (5 at 128 px); higher is better.

    Args: (B, S, S, 3) float in [0, 1], S at least 32.
    Returns: (B,) float32. Figures of different sizes use different scales and must not be compared.
    """
    return _graph("ms_ssim", truth.shape[1:])(truth.astype(np.float32), image.astype(np.float32)).numpy()


def ssim(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """`tf.image.ssim` with its own settings, a Gaussian window of 11 taps and sigma 1.5; higher is better.

    Args: (B, H, W, 3) float in [0, 1], 11 px or more.
    Returns: (B,) float32.
    """
    return _graph("ssim", truth.shape[1:])(truth.astype(np.float32), image.astype(np.float32)).numpy()


@functools.cache
def _graph(name: str, shape: tuple[int, ...]):
    """One graph for every batch size; called eagerly, either figure takes several times as long as it need."""
    import tensorflow as tf

    from rac_unet.objectives.ssim import MS_SSIM_WINDOW, POWER_FACTORS, scales_that_fit

    def compute(truth, image):
        if name == "ssim":
            return tf.image.ssim(truth, image, 1.0)
        powers = POWER_FACTORS[: scales_that_fit(shape[0])]
        return tf.image.ssim_multiscale(truth, image, 1.0, power_factors=powers, filter_size=MS_SSIM_WINDOW)

    spec = tf.TensorSpec((None, *shape), tf.float32)
    return tf.function(compute, input_signature=[spec, spec], jit_compile=False)


def feature_distance(truth: np.ndarray, image: np.ndarray, extractor) -> np.ndarray:
    """What the perceptual loss minimises: L1 between feature maps, summed over depths; lower is better.

    Args:
        truth, image: (B, H, W, 3) float in [0, 1].
        extractor: of `rac_unet.objectives.features.load_extractor`; figures of different ones must not be compared.
    Returns: (B,) float32, 0 for equal pictures.
    """
    return distances_to(truth, extractor)(image)["feature_distance"]


def distances_to(truth: np.ndarray, extractor) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Both feature distances from one batch to many; the truth goes through the extractor once.

    Returns: function of (B, H, W, 3) to name -> (B,) float32: `feature_distance`, and `unit_feature_distance` (see
        `rac_unet.objectives.features`), 0 for equal pictures.
    """
    from rac_unet.objectives.features import map_distance, unit_map_distance

    true_maps = extractor.maps(truth)

    def measure(image: np.ndarray) -> dict[str, np.ndarray]:
        maps = extractor.maps(image)
        return {
            "feature_distance": map_distance(true_maps, maps).numpy(),
            "unit_feature_distance": unit_map_distance(true_maps, maps).numpy(),
        }

    return measure


def score_map(occlusion: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """How well a network has found the mask.

    Args:
        occlusion: (B, S, S, 1), > 0 where hidden.
        predicted: the same shape, in [0, 1]; from 0.5 on it claims the pixel.
    Returns: name -> (B,) float64: `map_iou`, intersection over union, NaN where neither holds a pixel; `map_claims`,
        the share of the seen pixels that are claimed.
    """
    hidden, claimed = occlusion > 0, predicted >= 0.5
    axes = (1, 2, 3)
    both, either = (hidden & claimed).sum(axes), (hidden | claimed).sum(axes)
    seen = np.maximum((~hidden).sum(axes), 1)
    iou = np.full(len(hidden), np.nan)
    np.divide(both, either, out=iou, where=either > 0)
    return {"map_iou": iou, "map_claims": (claimed & ~hidden).sum(axes) / seen}


def compose(truth: np.ndarray, image: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
    """Known pixels of `truth`, hidden ones (occlusion > 0) of `image`; (B, H, W, C)."""
    return np.where(occlusion > 0, image, truth)


def score_images(
    truth: np.ndarray,
    image: np.ndarray,
    occlusion: np.ndarray,
    distances: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None,
    naturalness: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """All figures of a batch.

    Args:
        truth: (B, S, S, 3) float in [0, 1].
        image: the same shape; clipped to [0, 1] here.
        occlusion: (B, S, S, 1), > 0 where hidden.
        distances: `distances_to(truth, extractor)`, where feature distances are wanted.
        naturalness: `rac_unet.scoring.brisque.brisque`, where that is wanted.
    Returns: name -> (B,): psnr_raw, psnr_composite, psnr_hole (dB), ssim_raw, ssim_composite, ms_ssim_raw,
        ms_ssim_composite; with `distances` also [unit_]feature_distance_raw and [unit_]feature_distance_composite, with
        `naturalness` brisque_raw and brisque_composite. Those of the composite and of the hole are NaN where nothing
        is hidden.
    """
    image = np.clip(image, 0, 1).astype(np.float32)
    composite = compose(truth, image, occlusion)
    measures = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}
    if naturalness:
        measures["brisque"] = lambda _, picture: naturalness(picture)
    # Of a masked input and of inpainting both views are one picture.
    same = np.array_equal(image, composite)
    scores = {"psnr_hole": psnr(truth, image, occlusion > 0)}
    for name, measure in measures.items():
        scores[f"{name}_raw"] = measure(truth, image)
        scores[f"{name}_composite"] = scores[f"{name}_raw"] if same else measure(truth, composite)
    if distances:
        raw = distances(image)
        for view, found in (("raw", raw), ("composite", raw if same else distances(composite))):
            scores |= {f"{name}_{view}": values for name, values in found.items()}
    # Where nothing is hidden the composite is the truth itself, which would flatter every mean.
    masked = is_masked(occlusion)
    if not masked.all():
        scores = {name: np.where(masked, v, np.nan) if "_composite" in name else v for name, v in scores.items()}
    return scores
