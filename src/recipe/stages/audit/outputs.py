"""The audit's files: a row per example, a row per pair of copies, the answers of the probes, the explorer."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from recipe.data.store import Store
from recipe.files import write_json, write_table, write_text
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.duplicates.search import Pair
from recipe.stages.audit.explorer import explore

PAIRS = {
    "a": "id",
    "b": "id of its copy",
    "similarity": "correlation of what both show, 0 to 1; of texts, the share of their pieces that both have",
    "inliers": "corners that lie alike in both; 0 where they were compared as a whole",
    "kind": "exact, or what was done to the one to make the other",
}


def write(found: Audit, store: Store, name: str, seed: int, out: Path) -> None:
    """examples.parquet, pairs.parquet, probes.json, explorer.html; `name` is that of the data set."""
    write_table(out / "examples.parquet", found.columns, found.meanings)
    write_pairs(found.pairs, found.columns["id"], out / "pairs.parquet")
    write_probes(found, out / "probes.json")
    write_text(out / "explorer.html", explore(found, store, name, seed))


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
