"""Font digits in training batches of few real digits. Prints a Markdown table; about 40 CPU s.

    python benchmarks/extra.py

The conv net of conf/, on 50 to 400 of scikit-learn's digits, for 8,000 examples and at least 20 passes; validated on
the 997 after the first 800. Gains in accuracy, in points, over training without font digits are paired over seeds.
"""

import statistics
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from recipe.config.compose import compose
from recipe.data.batches import Data, Split
from recipe.experiment import build
from recipe.experiment.arms import paired_gain
from recipe.metrics.classification import ACCURACY
from recipe.sources.digits import Digits
from recipe.tasks.classification import Classification
from recipe.train import engine

ROOT = Path(__file__).parents[1]
COUNTS, SHARES, SEEDS, HELD_OUT = (50, 100, 400), (0.25, 0.5), 8, 800


def data_of(count: int) -> Data:
    digits = Digits()
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    x, y = torch.tensor(digits.images)[order, None] / 255, torch.tensor(digits.targets)[order]
    mean, std = x[:count].mean().view(1, 1, 1), x[:count].std().view(1, 1, 1)
    train, val = (Split((x[rows] - mean) / std, y[rows], []) for rows in (slice(count), slice(HELD_OUT, None)))
    return Data(train, val, Classification(tuple(digits.classes)), ACCURACY, mean, std, f"{count} digits")


def accuracies(cfg: DictConfig, data: Data, changes: dict) -> list[float]:
    passes = {"train.epochs": max(20, 8000 / len(data.train)), "train.patience": None}
    lanes = [build.lane(cfg, data, seed, passes | changes) for seed in range(SEEDS)]
    trained = engine.train(lanes, data.train, data.val, eval_every=10**9, metric=data.metric)
    return [result.row(False)["val_accuracy"] for result in trained]


def main() -> None:
    torch.set_num_threads(1)
    cfg, fonts = compose("regularize", ROOT), OmegaConf.load(ROOT / "conf/augment/font_digits.yaml")
    named = OmegaConf.to_container(fonts)
    print("| real examples | without | " + " | ".join(f"{share:.0%} font digits" for share in SHARES) + " |")
    print("|---:|---:|" + "---:|" * len(SHARES))
    for count in COUNTS:
        data = data_of(count)
        without = accuracies(cfg, data, {})
        cells = [f"{statistics.fmean(without):.3f}"]
        for share in SHARES:
            found = accuracies(cfg, data, {"train.augment": True, "augment": named | {"share": share}})
            gain = paired_gain([100 * (a - b) for a, b in zip(found, without, strict=True)], 0.95)
            cells.append(f"{statistics.fmean(found):.3f} ({gain.mean:+.1f}, {gain.low:+.1f} to {gain.high:+.1f})")
        print(f"| {count} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
