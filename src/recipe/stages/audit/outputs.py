"""The audit's files: a row per example, a row per pair of copies, the results of the probes, the explorer."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recipe.data.store import Store
from recipe.files import write_json, write_table, write_text
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.duplicates.search import Pair
from recipe.stages.audit.explorer import explorer_page

PAIRS = {
    "a": "id",
    "b": "id of its copy",
    "similarity": "correlation of the part that both show, 0 to 1; of texts, the Jaccard similarity of their shingles",
    "inliers": "number of matched keypoints that agree on one transformation; 0 where thumbnails were compared",
    "kind": "exact, or the change that makes one from the other",
}


def write(audit: Audit, store: Store, name: str, seed: int, out: Path) -> None:
    """examples.parquet, pairs.parquet, probes.json, explorer.html; `name` is that of the data set."""
    write_table(out / "examples.parquet", audit.columns, audit.meanings)
    write_pairs(audit.pairs, audit.columns["id"], out / "pairs.parquet")
    write_probes(audit, out / "probes.json")
    write_text(out / "explorer.html", explorer_page(audit, store, name, seed))


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


def write_probes(audit: Audit, path: Path) -> None:
    """probes.json: every result of a probe and of the search for biases, with its 95 % CI and n."""
    biases = [b for b in (audit.metadata_bias, audit.statistics_bias, audit.split_bias) if b]
    gains = [{"target": b.target, **asdict(g)} for b in biases for g in b.gains]
    write_json(path, {"probes": [asdict(p) for p in audit.probes], "gains": _rounded(gains)})


def _rounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
