"""Each example as a vector: the features that labels are judged by, of a pretrained network or without one."""

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.stages.audit.neighbours import pixel_components
from recipe.stages.audit.patches import triangle, whitening, windows
from recipe.stages.audit.statistics import blocks

SMALL = 16  # pixels; of smaller images the principal components of the pixels predict better than codes of patches
SIDE = 32  # larger images are averaged down to at most this
PATCH, STRIDE, CENTRES = 6, 2, 256
LEARN = 5_000  # images that the codes are learned from
PATCHES = 40_000  # of those images
COMPONENTS = 256
WORDS = 1 << 16  # hash buckets of words and pairs of words
TOPICS = 128
STEP = 250  # images coded at a time: 170 MB


def of_images(inputs: np.ndarray, seed: int) -> np.ndarray:
    """(N, <= 256) float32 of (N, C, H, W): patches coded by their distances to centres, summed by quarter.

    Coates and Ng, 2011 and 2012: whitened patches, k-means, triangle activation; then principal components, half
    whitened. Small images give the principal components of their pixels. Values that are not finite count as zeros.
    """
    with threadpool_limits(1):
        if min(inputs.shape[2:]) < SMALL:
            return pixel_components(inputs, np.arange(len(inputs)))[0]
        rng = np.random.default_rng(seed)
        learn = np.sort(rng.choice(len(inputs), min(LEARN, len(inputs)), replace=False))
        some = np.concatenate([_averaged(block) for _, block in blocks(inputs[learn])])
        dictionary = _dictionary(some, rng)
        middle, directions = _components(np.concatenate([_codes(part, dictionary) for part in _steps(some)]))
        vectors = np.empty((len(inputs), directions.shape[1]), np.float32)
        for at, block in blocks(inputs):
            for start, part in zip(range(at, at + len(block), STEP), _steps(_averaged(block)), strict=True):
                vectors[start : start + len(part)] = (_codes(part, dictionary) - middle) @ directions
    return vectors


def of_network(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(len(rows), <= 256) float32: principal components of the features (N, D) of a frozen network, at these rows.

    Each row is centred and scaled to length 1 first: how strongly a network answers says little about what it sees.
    Features that are not finite count as zeros.
    """
    with threadpool_limits(1):
        x = directions(_centred(values[rows]))
        x -= x.mean(0)
        scatter = np.zeros((x.shape[1],) * 2)
        for at in range(0, len(x), 4096):  # in float64 without a float64 copy of everything
            part = x[at : at + 4096].astype(np.float64)
            scatter += part.T @ part
        _, axes = np.linalg.eigh(scatter)
        return x @ axes[:, ::-1][:, :COMPONENTS].astype(np.float32)


def standard_features(values: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """(len(rows), <= 256) float32: each feature with variance 1, so that what a network rarely answers counts too.

    More are projected at random, which keeps distances (Johnson and Lindenstrauss 1984).
    """
    x = _centred(values[rows])
    x /= np.maximum(x.std(0), 1e-6)
    if x.shape[1] <= COMPONENTS:
        return x
    draw = np.random.default_rng(seed).standard_normal((x.shape[1], COMPONENTS), np.float32)
    with threadpool_limits(1):
        return x @ (draw / np.float32(np.sqrt(COMPONENTS)))


def _centred(values: np.ndarray) -> np.ndarray:
    x = np.nan_to_num(values, posinf=0, neginf=0)
    return x - x.mean(0, dtype=np.float64).astype(np.float32)


def directions(points: np.ndarray) -> np.ndarray:
    """Each row scaled to length 1."""
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def of_texts(texts: Sequence[str], seed: int) -> np.ndarray:
    """(N, <= 128) float32: hashed words and pairs of words, weighted by TF-IDF, reduced by a truncated SVD (LSA)."""
    # scikit-learn takes a second to import
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    vectorizer = HashingVectorizer(n_features=WORDS, ngram_range=(1, 2), alternate_sign=False, norm=None)
    counts = vectorizer.transform(texts)
    counts = counts[:, np.bincount(counts.indices, minlength=WORDS) > 1]  # a term of a single text predicts nothing
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    topics = min(TOPICS, *(n - 1 for n in counts.shape))
    if topics < 1:
        return np.zeros((len(texts), 1), np.float32)
    with threadpool_limits(1):
        return TruncatedSVD(topics, random_state=seed).fit_transform(weighted).astype(np.float32)


def of_columns(values: np.ndarray) -> np.ndarray:
    """(N, D') float32 of (N, D) numbers: each column scaled by its median and spread, and clipped at 5 deviations.

    A missing value (NaN or infinite) is replaced by the median, and marked by a 1 in an additional column.
    """
    values = np.asarray(values, np.float64)
    missing = ~np.isfinite(values)
    known = np.where(missing, np.nan, values)
    known[:, missing.all(0)] = 0
    middle = np.nanmedian(known, 0)
    spread = np.nanpercentile(known, 84, 0) - np.nanpercentile(known, 16, 0)
    spread = np.where(spread > 0, spread / 2, np.maximum(np.nanstd(known, 0), 1e-12))
    z = np.clip(np.where(missing, 0, (known - middle) / spread), -5, 5)
    return np.hstack([z, missing[:, missing.any(0)]]).astype(np.float32)


def _averaged(block: np.ndarray) -> np.ndarray:
    """(n, C, h, w) with h, w at most SIDE, each the mean of its area."""
    block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    for axis in (2, 3):
        if block.shape[axis] > SIDE:
            edges = np.linspace(0, block.shape[axis], SIDE + 1).astype(int)
            widths = np.diff(edges).reshape([-1 if a == axis else 1 for a in range(4)])
            block = np.add.reduceat(block, edges[:-1], axis=axis) / widths
    return block.astype(np.float32)


def _steps(images: np.ndarray) -> list[np.ndarray]:
    return [images[at : at + STEP] for at in range(0, len(images), STEP)]


def _patches(images: np.ndarray) -> np.ndarray:
    """(n, h, w, C * PATCH**2), each centred."""
    views = windows(images, PATCH, STRIDE)
    flat = views.reshape(*views.shape[:3], -1)
    return flat - flat.mean(-1, keepdims=True)


def _dictionary(images: np.ndarray, rng: np.random.Generator) -> tuple:
    """(floor added to the variance of a patch, mean, whitening, centres)"""
    from sklearn.cluster import MiniBatchKMeans  # takes a second to import

    some = _patches(images[rng.choice(len(images), min(2_000, len(images)), replace=False)])
    some = some.reshape(-1, some.shape[-1])
    some = some[rng.choice(len(some), min(PATCHES, len(some)), replace=False)]
    floor = max(0.01 * float(some.var(1).mean()), 1e-12)
    some /= np.sqrt(some.var(1, keepdims=True) + floor)
    mean, whiten = whitening(some)
    whiten = whiten.astype(np.float32)
    white = (some - mean) @ whiten
    seed = int(rng.integers(2**31))
    means = MiniBatchKMeans(min(CENTRES, len(white)), random_state=seed, batch_size=2048, n_init=1, max_iter=20)
    return floor, mean, whiten, means.fit(white).cluster_centers_.astype(np.float32)


def _codes(images: np.ndarray, dictionary: tuple) -> np.ndarray:
    """(n, 4 * CENTRES)"""
    floor, mean, whiten, centres = dictionary
    patches = _patches(images)
    patches /= np.sqrt(patches.var(-1, keepdims=True) + floor)
    active = triangle(((patches - mean) @ whiten).reshape(-1, len(mean)), centres).reshape(*patches.shape[:3], -1)
    middle, centre = (active.shape[1] + 1) // 2, (active.shape[2] + 1) // 2
    halves = [half.sum(1) for half in (active[:, :middle], active[:, middle:])]
    return np.concatenate([part.sum(1) for half in halves for part in (half[:, :centre], half[:, centre:])], 1)


def _components(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, directions (D, <= COMPONENTS)), half whitened: the strongest describe the scene rather than the object."""
    mean, spread = codes.mean(0), np.maximum(codes.std(0), 1e-12)
    standard = ((codes - mean) / spread).astype(np.float64)
    sizes, axes = np.linalg.eigh(standard.T @ standard / len(codes))
    kept = np.arange(len(sizes))[::-1][: min(COMPONENTS, len(codes) - 1)]
    kept = kept[sizes[kept] > 1e-6 * sizes[-1]]
    return mean, (axes[:, kept] / sizes[kept] ** 0.25 / spread[:, None]).astype(np.float32)
