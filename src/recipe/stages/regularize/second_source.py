"""Whether the examples of a second source differ from the real ones in something trivial."""

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from recipe.config.changes import change
from recipe.data.batches import Data
from recipe.experiment.extra_examples import extra_examples
from recipe.stages.regularize.ablation import Ablation

FOLDS = 5
MOST = 1000  # examples of each source
FEW = 20  # of each, below which nothing is said


def separability_of(cfg: DictConfig, data: Data, result: Ablation) -> dict[str, float]:
    """{name of a candidate level that mixes in a second source: `separability` of its examples}"""
    found = {}
    for level in (level for candidate in result.candidates for level in candidate.levels):
        if not {"augment", "train.augment"} & set(level.change):
            continue
        tried = change(cfg, {k: v for k, v in level.change.items() if k.split(".")[0] in ("augment", "train")})
        if tried.train.augment and data.kind.has_pixels and (extra := extra_examples(tried, data)):
            real, other = _same_classes(data.train.y.cpu(), extra.y.cpu(), cfg.seed)
            if len(real) >= FEW:
                x = data.train.x[real.to(data.train.y.device)]
                found[level.name] = separability(x.cpu(), extra.x[other.to(extra.x.device)].cpu(), cfg.seed)
    return found


def _same_classes(real: Tensor, extra: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of both, as many of each class, so that shares of classes say nothing."""
    draw = torch.Generator().manual_seed(seed)
    rows: tuple[list[Tensor], list[Tensor]] = ([], [])
    for label in extra.unique():
        of = [(y == label).nonzero()[:, 0] for y in (real, extra)]
        count = min(len(of[0]), len(of[1]), max(1, MOST // len(extra.unique())))
        for chosen, each in zip(rows, of, strict=True):
            chosen.append(each[torch.randperm(len(each), generator=draw)[:count]])
    return torch.cat(rows[0]), torch.cat(rows[1])


def separability(real: Tensor, extra: Tensor, seed: int) -> float:
    """ROC AUC, 0.5 to 1, of a cross-validated logistic regression that sees of images (N, C, H, W) each channel's mean
    and standard deviation, and their squares."""
    # scikit-learn takes a second to import
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = torch.cat([real, extra]).double()
    z = StandardScaler().fit_transform(torch.cat([x.mean((2, 3)), x.std((2, 3))], 1).numpy())
    y = np.repeat([0, 1], [len(real), len(extra)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    p = cross_val_predict(model, np.hstack([z, z**2]), y, cv=folds, method="predict_proba")[:, 1]
    return max(0.5, float(roc_auc_score(y, p)))
