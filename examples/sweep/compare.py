"""Mean validation loss over the seeds of each setting of the latest multirun, with a 95 % CI (t, n = seeds).

python examples/sweep/compare.py                       # the latest multirun of the baseline stage
python examples/sweep/compare.py outputs/baseline/3    # another one
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import yaml
from scipy.stats import t


def latest() -> Path:
    """The folder of the multirun that started last."""
    return max(Path("outputs/baseline").iterdir(), key=lambda folder: int(folder.name))


def losses(sweep: Path) -> dict[tuple[str, ...], list[float]]:
    """{overrides other than the seed: validation loss of each seed}. Jobs that failed have no report."""
    by_setting = defaultdict(list)
    for report in sorted(sweep.glob("*/report.json")):
        overrides = yaml.safe_load((report.parent / ".hydra/overrides.yaml").read_text())
        setting = tuple(sorted(word for word in overrides if not word.startswith("seed=")))
        (metrics,) = json.loads(report.read_text())["metrics"]
        by_setting[setting].append(metrics["val_loss"])
    return by_setting


def half_width(values: list[float]) -> float:
    """Of the 95 % CI of the mean."""
    if len(values) < 2:
        return float("nan")
    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5


if __name__ == "__main__":
    sweep = Path(sys.argv[1]) if len(sys.argv) > 1 else latest()
    rows = sorted((statistics.mean(v), half_width(v), len(v), setting) for setting, v in losses(sweep).items())
    for mean, width, seeds, setting in rows:
        interval = f"95 % CI {mean - width:.4f} to {mean + width:.4f}"
        print(f"val_loss {mean:.4f} ({interval}, {seeds} seeds)  {' '.join(setting)}")
