"""The audit's tables besides that of the examples: a row per pair of copies, and the answers of the probes."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from recipe.files import write_json, write_table
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.duplicates.search import Pair

PAIRS = {
    "a": "id",
    "b": "id of its copy",
    "similarity": "correlation of what both show, 0 to 1; of texts, the share of their pieces that both have",
    "inliers": "corners that lie alike in both; 0 where they were compared as a whole",
    "kind": "exact, or what was done to the one to make the other",
}


def write_pairs(pairs: Sequence[Pair], ids: np.ndarray, path: Path) -> None:
    """Copies, the most similar first."""
    ranked = sorted(pairs, key=lambda p: (-p.similarity, p.a, p.b))
    columns = {
        "a": np.array([ids[p.a] for p in ranked], dtype=str),
        "b": np.array([ids[p.b] for p in ranked], dtype=str),
        "similarity": np.array([p.similarity for p in ranked], np.float32),
        "inliers": np.array([p.inliers for p in ranked], np.int32),
        "kind": np.array([p.kind for p in ranked], dtype=str),
    }
    write_table(path, columns, PAIRS)


def write_probes(found: Audit, path: Path) -> None:
    """probes.json: every answer with its number, interval and n."""
    biases = [b for b in (found.beside, found.looks, found.split) if b]
    gains = [{"target": b.target, **asdict(g)} for b in biases for g in (*b.columns, b.together)]
    write_json(path, {"probes": [asdict(p) for p in found.probes], "gains": _rounded(gains)})


def _rounded(rows: list[dict]) -> list[dict]:
    return [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
