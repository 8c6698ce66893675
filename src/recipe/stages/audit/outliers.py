"""Outliers: examples unlike all others, by their values; of images, also by their style, and by a network's features.

A score is a robust z of the log distance to the nearest examples. Its scale is that of the upper half of the data set:
in a set of several modes, or with a heavy tail, a distant part of the set does not count as outliers. Placeholders,
charts and icons among photographs (and a photograph among drawings) differ in style, whatever they show: few colours, a
few sharp edges on flat areas, little that could not be compressed.
"""

from collections.abc import Mapping

import numpy as np

from recipe.stages.audit.neighbours import K, Neighbours
from recipe.stages.audit.statistics import BINS

UPPER, UPPER_Z = 0.95, 1.645  # a quantile, and its z in a normal distribution: at most that share are outliers
LEAST = 0.25  # least scale of a column of STYLE, in logarithms or logits
SAME_STYLE = 0.1  # distance below which images count as of one style
# Of the mean over the nearest: the farther count for more, so that up to five placeholders, which resemble each other,
# do not hide each other. With 1, 44 of 1,500 sets of three to five among 500 images of CIFAR-10 had one below 4.0; with
# 1.5, none.
POWER = 1.5
FEW = 20  # examples below which the scale is unknown
SMALL = 16  # pixels of the shorter side; smaller images have too few pixels to judge their style
NOTABLE = 2.0  # z of a column that is named in the reason
UNLIKE_ALL = "looks like nothing else"
SHOWS_ELSE = "shows nothing that another shows"  # to a pretrained network
STYLE = {  # column: in words, where it is low and where it is high
    "colours": ("few colours", "many colours"),
    "edges": ("no flat areas", "a few sharp edges on flat areas"),
    "detail": ("little detail", "as much detail as noise"),
    "entropy": ("few levels of brightness", "all levels of brightness alike"),
}


def outliers(
    columns: Mapping[str, np.ndarray], near: Neighbours, first: np.ndarray, which: np.ndarray, side: int, limit: float,
    by_features: Neighbours | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The columns `outlier`, the highest score, and `outlier_reason`, empty where it is not above `limit`.

    first: row of each distinct input; which: the distinct input of each row; side: the shorter one of images, else 0.
    by_features: by those of a pretrained network, where there is one; their score is also the column `feature_outlier`.
    """
    label = columns["label"]
    same_class = np.bincount(label[first])[label[first]] - 1
    by_values = isolation(near, same_class)[which]
    by_style = style_outliers(columns, columns["dup_group"]) if side >= SMALL else np.zeros(len(label))
    reasons = [[UNLIKE_ALL] if score > limit else [] for score in by_values]
    for row, words in _style_words(columns, np.flatnonzero(by_style > limit)).items():
        reasons[row] += words
    highest, own = np.maximum(by_values, by_style), dict[str, np.ndarray]()
    if by_features is not None:
        score = isolation(by_features, same_class)[which]
        for row in np.flatnonzero(score > limit).tolist():
            reasons[row].append(SHOWS_ELSE)
        highest, own = np.maximum(highest, score), {"feature_outlier": score.astype(np.float32)}
    texts = np.array(["; ".join(words) for words in reasons], dtype=str)
    return own | {"outlier": highest.astype(np.float32), "outlier_reason": texts}


def isolation(near: Neighbours, same_class: np.ndarray) -> np.ndarray:
    """(M,) how far each of M distinct inputs lies from its nearest, as the robust z of the log mean distance.

    same_class: (M,) how many other inputs have the same label. Where they are fewer than the neighbours, only so many
    neighbours count: a class of five examples cannot have ten near ones.
    """
    count = np.clip(same_class, 1, near.distance.shape[1])
    mean = np.cumsum(near.distance, axis=1)[np.arange(len(count)), count - 1] / count
    return upper_z(np.log(np.maximum(np.hypot(mean, near.residual), 1e-9)))


def upper_z(values: np.ndarray) -> np.ndarray:
    """Distance from the median, over the larger of two robust scales: of the middle, and of the upper half."""
    middle = np.median(values)
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    # "lower": of 20 examples, one outlier does not set the scale that it is measured by
    upper = (float(np.quantile(values, UPPER, method="lower")) - middle) / UPPER_Z
    return (values - middle) / max(spread, upper, 1e-9)


def style_outliers(columns: Mapping[str, np.ndarray], copies: np.ndarray) -> np.ndarray:
    """(N,) as `isolation`, by the columns of STYLE. copies: (N,) a name for each set of copies, which count once.

    0 for all where there are too few examples.
    """
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    _, first, which = np.unique(copies, return_index=True, return_inverse=True)
    if len(first) < FEW:
        return np.zeros(len(copies))
    points = style_z({name: columns[name][first] for name in STYLE})
    distance, _ = NearestNeighbors(n_neighbors=K, algorithm="kd_tree").fit(points).kneighbors()
    typical = (distance**POWER).mean(1) ** (1 / POWER)
    return upper_z(np.log(np.hypot(typical, SAME_STYLE)))[which]


def style_z(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, columns of STYLE) robust z of each: counts by their logarithm, shares by their logit."""
    scaled = []
    for name in STYLE:
        values = columns[name].astype(np.float64)
        share = np.clip(values / (np.log2(BINS) if name == "entropy" else 1), 0.01, 0.99)
        values = np.log(np.maximum(values, 1)) if name == "colours" else np.log(share / (1 - share))
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
        scaled.append((values - middle) / max((high - low) / 2.563, LEAST))  # 2.563: of a normal distribution
    return np.stack(scaled, axis=1)


def _style_words(columns: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[int, list[str]]:
    """{row: how its style differs, the largest difference first}"""
    if not len(rows):
        return {}
    z = style_z({name: columns[name] for name in STYLE})
    usual = np.quantile(columns["colours"], (0.05, 0.95))
    words = {}
    for row in rows.tolist():
        by_size = sorted(zip(-np.abs(z[row]), STYLE, z[row], strict=True))
        notable = [(name, value > 0) for size, name, value in by_size if -size > NOTABLE or -size == -by_size[0][0]]
        words[row] = [STYLE[name][int(high)] + _count(name, columns[name][row], usual) for name, high in notable]
    return words


def _count(name: str, value: float, usual: np.ndarray) -> str:
    return f" ({value:.0f}, where most have {usual[0]:.0f} to {usual[1]:.0f})" if name == "colours" else ""
