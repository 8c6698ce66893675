"""How many seeds an interval needs when two arms share them, and when each has its own. Prints a Markdown table.

    python benchmarks/engine_seeds.py                     # 32 seeds an arm, half a minute

Arms of one seed share initial weights, data order and, where both have it, the draws of augmentation and dropout. The
half-width of an interval for the difference of two arms goes with its standard deviation over the root of the number
of seeds: so the ratio of the variances is that of the seeds for the same interval. Independent arms: the sum of the
arms' own variances. The interval of the ratio: 95 %, by 10,000 bootstrap samples of the seeds. Validation loss in nats
on 300 digits; no times.
"""

import argparse
import functools

import numpy as np
import torch
from engine_cases import digits, table
from torch import nn

from recipe import rng
from recipe.models.plain import convnet, mlp
from recipe.train.engine import train
from recipe.train.lane import Lane

STEPS = 300
# name: (model, learning rate, label smoothing) of the one arm and of the other
COMPARED = {
    "mlp: dropout 0.25 for none": ((mlp, 1e-3, 0.0), (functools.partial(mlp, dropout=0.25), 1e-3, 0.0)),
    "mlp: learning rate 2e-3 for 1e-3": ((mlp, 1e-3, 0.0), (mlp, 2e-3, 0.0)),
    "mlp: label smoothing 0.1 for none": ((mlp, 1e-3, 0.0), (mlp, 1e-3, 0.1)),
    "conv net: dropout 0.25 for none": ((convnet, 1e-3, 0.0), (functools.partial(convnet, dropout=0.25), 1e-3, 0.0)),
}


def arm(make, lr: float, smoothing: float, seeds: int) -> list[Lane]:
    made = []
    for seed in range(seeds):
        with rng.seeded(seed, "init"), torch.no_grad():
            model = make(10)
            model(digits()[0].x[:2])
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
        made.append(Lane(model, optimizer, nn.CrossEntropyLoss(label_smoothing=smoothing), STEPS, 64, seed))
    return made


def losses(arms, seeds: int) -> np.ndarray:
    """(2, seeds): the validation loss after the last step."""
    group = [lane for settings in arms for lane in arm(*settings, seeds)]
    trained = train(group, *digits(), eval_every=STEPS)
    return np.array([t.curve[-1]["val_loss"] for t in trained]).reshape(2, seeds)


def variances(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(of the paired difference, of that of independent arms) for values (..., 2, seeds)."""
    return (values[..., 0, :] - values[..., 1, :]).var(-1, ddof=1), values.var(-1, ddof=1).sum(-1)


def row(name: str, seeds: int) -> list[str]:
    values = losses(COMPARED[name], seeds)
    difference = values[0] - values[1]
    drawn = np.random.default_rng(0).integers(seeds, size=(10_000, seeds))
    paired, apart = variances(np.moveaxis(values[:, drawn], 0, 1))
    low, high = np.quantile(apart / paired, (0.025, 0.975))
    paired, apart = variances(values)
    return [name, f"{difference.mean():+.4f}", f"{paired**0.5:.4f}", f"{apart**0.5:.4f}",
            f"{apart / paired:.1f} ({low:.1f} to {high:.1f})"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="8 seeds, the first two comparisons")
    args = parser.parse_args()
    names = list(COMPARED)[: 2 if args.quick else None]
    seeds = 8 if args.quick else args.seeds
    rows = [row(name, seeds) for name in names]
    table([f"{seeds} seeds an arm", "gain, nats", "sd, paired", "sd, independent", "times fewer seeds"], rows)


if __name__ == "__main__":
    main()
