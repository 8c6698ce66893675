"""Codes of small patches of an image, learned without labels: what its parts look like, and where they are."""

import numpy as np

from recipe.stages.audit.patches import triangle, whitening, windows

CENTRES = 48
TILES = 4  # per side
CELLS = 3 * TILES  # per side; the codes of an image are averaged over at most CELLS x CELLS cells
SAMPLE = 12_000  # patches from which the centres are learned
FLOOR = 0.1  # of the mean variance of a patch, added to the variance of each: nearly flat patches are not amplified
STRIDE_FROM = 24  # pixels; from this size on, every second position in each direction is coded
BLOCK = 1 << 18  # numbers of patches coded at a time: they stay in the processor's cache


def area(out: int, side: int) -> np.ndarray:
    """(out, side) weights that average `side` pixels over `out` equal stretches of them; out > side repeats pixels."""
    edges = np.arange(out + 1) * side / out
    ends, starts = edges[1:, None], edges[:-1, None]
    pixels = np.arange(side)
    overlap = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    return (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)


def resized(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, C, H, W) averaged over areas to (N, C, height, width); where that is larger, the pixels are repeated."""
    return area(height, images.shape[2]) @ images @ area(width, images.shape[3]).T


def cells(images: np.ndarray, seed: int | list[int]) -> np.ndarray:
    """(N, rows, columns, CENTRES or fewer) codes of the patches of float images (N, C, H, W) on a scale of 0 to 1.

    Patches are scaled to one mean and contrast, whitened, coded by how much nearer than average each k-means centre is
    (triangle activation), and averaged over at most CELLS x CELLS cells. Rows and columns are fewer where the image has
    fewer positions. Two images that differ only in brightness have the same codes.
    """
    views = windows(images, *_window(images))
    count, height, width = views.shape[:3]
    rng = np.random.default_rng(seed)
    some = views[tuple(rng.integers(0, size, SAMPLE) for size in (count, height, width))].reshape(SAMPLE, -1)
    floor = FLOOR * float(some.var(1).mean()) + 1e-12
    mean, whiten, centres = _dictionary(_normalised(some, floor), int(rng.integers(2**31)))
    down = area(_cells(height), height), area(_cells(width), width)
    pooled = np.empty((count, len(down[0]), len(down[1]), len(centres)), np.float32)
    step = max(1, BLOCK // (height * width * len(mean)))
    for at in range(0, count, step):
        block = views[at : at + step].reshape(-1, len(mean))
        codes = triangle((_normalised(block, floor) - mean) @ whiten, centres)
        codes = codes.reshape(-1, height, width * len(centres))
        rows = (down[0] @ codes).reshape(-1, len(down[0]), width, len(centres))
        pooled[at : at + step] = down[1] @ rows
    return pooled


def tiled(cells: np.ndarray) -> np.ndarray:
    """(n, <= TILES, <= TILES, K) means over the cells of each tile."""
    rows, columns = cells.shape[1:3]
    down, across = area(min(TILES, rows), rows), area(min(TILES, columns), columns)
    return np.einsum("tr,nrck,uc->ntuk", down, cells, across, optimize=True)


def reach(images: np.ndarray) -> float:
    """Pixels that the code of a cell spans."""
    patch, stride = _window(images)
    positions = (min(images.shape[2:]) - patch) // stride + 1
    return patch + stride * (positions / _cells(positions) - 1)


def _window(images: np.ndarray) -> tuple[int, int]:
    """Side of a patch and distance between patches, pixels."""
    side = min(images.shape[2:])
    return min(side, int(np.clip(side // 5, 3, 6))), 2 if side >= STRIDE_FROM else 1


def _cells(positions: int) -> int:
    """A multiple of TILES where there are at least TILES positions."""
    return min(CELLS, positions - positions % TILES or positions)


def _normalised(patches: np.ndarray, eps: float) -> np.ndarray:
    patches = patches - patches.mean(1, keepdims=True)
    patches /= np.sqrt(np.einsum("nd,nd->n", patches, patches)[:, None] / patches.shape[1] + eps)
    return patches


def _dictionary(patches: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (d,), whitening (d, d) and centres (k, d) of whitened patches."""
    from sklearn.cluster import KMeans  # takes a second to import

    mean, whiten = whitening(patches)
    white = ((patches - mean) @ whiten).astype(np.float32)
    means = KMeans(_distinct(white.round(4), CENTRES), n_init=1, max_iter=20, random_state=seed).fit(white)
    return mean.astype(np.float32), whiten.astype(np.float32), means.cluster_centers_


def _distinct(rows: np.ndarray, most: int) -> int:
    """The number of distinct rows, counted up to `most`."""
    known: set[bytes] = set()
    for row in rows + 0.0:  # -0.0 is 0.0
        known.add(row.tobytes())
        if len(known) == most:
            break
    return len(known)
