"""Small patches of images, whitened and coded by their distances to centres.

Coates, Lee and Ng, *An analysis of single-layer networks in unsupervised feature learning* (AISTATS 2011). The probes
(`patch_codes`) and the features for suspect labels (`embeddings`) differ in how they normalise the contrast, learn the
centres and pool.
"""

import numpy as np

REGULARIZER = 0.1  # added to the variance of each direction: one with a smaller variance is not amplified


def windows(images: np.ndarray, side: int, stride: int) -> np.ndarray:
    """(N, h, w, C, side, side): the patch at every `stride`-th position of (N, C, H, W), as a view."""
    views = np.lib.stride_tricks.sliding_window_view(images, (side, side), (2, 3))[:, :, ::stride, ::stride]
    return views.transpose(0, 2, 3, 1, 4, 5)


def whitening(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) of patches (n, d), and the (d, d) matrix that gives the centred patches about unit variance (ZCA)."""
    mean = patches.mean(0)
    sizes, axes = np.linalg.eigh(np.cov(patches - mean, rowvar=False).reshape(len(mean), len(mean)))
    return mean, (axes / np.sqrt(np.maximum(sizes, 0) + REGULARIZER)) @ axes.T


def triangle(white: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n, k): how much nearer than the average centre each centre (k, d) is to a patch, at least 0."""
    squares = (white**2).sum(1, keepdims=True) + (centres**2).sum(1) - white @ (2 * centres.T)
    distance = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
    codes = np.subtract(distance.mean(1, keepdims=True), distance, out=distance)
    return np.maximum(codes, 0, out=codes)
