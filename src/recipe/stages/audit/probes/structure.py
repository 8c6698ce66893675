"""How much accuracy comes from local parts, from their arrangement, and from their position in the image."""

from collections.abc import Sequence

import numpy as np

from recipe.stages.audit.probes.linear_probe import REPEATS, Examples, ProbeEstimate, correct, estimate, kernel
from recipe.stages.audit.probes.patch_codes import TILES, cells, tiled

COMPONENTS = 16  # principal components of a cell's code, of which products are taken
HERE = ((0, 0),)
BESIDE = ((0, 1), (1, 0), (1, 1), (1, -1))  # tiles down and to the right


def structure(images: np.ndarray, examples: Examples, known: Sequence[np.ndarray] = ()) -> dict[str, ProbeEstimate]:
    """Accuracy from local parts of images (n, C, H, W), and what their arrangement and their position add to it.

    local: accuracy from the mean code of the image. context: accuracy with the products of the codes of neighbouring
    tiles added, minus that where the tiles of each image are shuffled. Neighbours wrap around the edges and tiles begin
    at every cell, so that the products do not depend on the position in the image; the products of each cell's code
    with itself are in both, so that better features of single parts do not count. position: accuracy with the codes of
    the tiles in order added to the mean, minus that where each image is shifted cyclically by a random number of tiles.
    The control of each has the same number of features. known: the codes of the first repeats (`codes_of`), if any.
    """
    seeds = [[examples.seed, repeat] for repeat in range(REPEATS)]
    repeats = [
        _once(known[repeat] if repeat < len(known) else cells(images, seed), examples, repeat)
        for repeat, seed in enumerate(seeds)
    ]
    return {name: estimate(np.array([values[name] for values in repeats]), examples) for name in repeats[0]}


def _once(codes: np.ndarray, examples: Examples, repeat: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([examples.seed, repeat])
    tile = max(1, codes.shape[1] // TILES), max(1, codes.shape[2] // TILES)  # cells
    bag, tiles, parts = kernel(codes.mean((1, 2))), tiled(codes), _components(codes)
    local = bag + kernel(_products(parts, HERE, 1, 1))
    neighbours, shuffled = (_products(p, BESIDE, *tile) for p in (parts, _shuffled(parts, rng)))

    def hits(base: np.ndarray, *blocks: np.ndarray) -> np.ndarray:
        return correct([base + sum(map(kernel, blocks))], examples, examples.folds[repeat])

    return {
        "local": hits(bag),
        "context": hits(local, neighbours) - hits(local, shuffled),
        "position": hits(bag, tiles) - hits(bag, _shifted(tiles, rng)),
    }


def _components(cells: np.ndarray) -> np.ndarray:
    """The cells' codes in the COMPONENTS principal directions of the tiles'."""
    flat = tiled(cells).reshape(-1, cells.shape[-1]).astype(np.float64)
    centred = flat - flat.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    return (cells - flat.mean(0, dtype=np.float32)) @ directions[:, ::-1][:, :COMPONENTS].astype(np.float32)


def _products(cells: np.ndarray, steps: tuple[tuple[int, int], ...], high: int, wide: int) -> np.ndarray:
    """(n, steps, k, k) mean products of the code of each tile of (high, wide) cells with that of one a step away."""
    count, rows, columns, _ = cells.shape
    tiles = np.zeros_like(cells)
    for i in range(high):
        for j in range(wide):
            tiles = tiles + np.roll(cells, (-i, -j), (1, 2))
    tiles /= high * wide
    flat = tiles.reshape(count, rows * columns, -1).transpose(0, 2, 1)
    moved = [np.roll(tiles, (-down * high, -right * wide), (1, 2)) for down, right in steps]
    return np.stack([flat @ other.reshape(count, rows * columns, -1) for other in moved], 1) / (rows * columns)


def _shuffled(cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The tiles of each image in a random order."""
    count, rows, columns, k = cells.shape
    high, wide = max(1, rows // TILES), max(1, columns // TILES)
    down, across = rows // high, columns // wide
    tiles = cells.reshape(count, down, high, across, wide, k).swapaxes(2, 3).reshape(count, down * across, -1)
    order = rng.permuted(np.tile(np.arange(down * across), (count, 1)), axis=1)
    tiles = np.take_along_axis(tiles, order[:, :, None], 1).reshape(count, down, across, high, wide, k)
    return tiles.swapaxes(2, 3).reshape(cells.shape)


def _shifted(tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image shifted cyclically by a random number of tiles, down and across."""
    count, rows, columns, _ = tiles.shape
    down = (np.arange(rows) + rng.integers(0, rows, (count, 1))) % rows
    across = (np.arange(columns) + rng.integers(0, columns, (count, 1))) % columns
    return tiles[np.arange(count)[:, None, None], down[:, :, None], across[:, None, :]]
