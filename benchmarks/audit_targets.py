"""Wrong quantities and missing labels: what the audit finds of planted errors. Prints Markdown tables; one thread.

    python benchmarks/audit_targets.py                  # scikit-learn's and generated data, which need no download
    python benchmarks/audit_targets.py --data FOLDER    # also tabular/, where FOLDER has it

AP: average precision of ranking the wrong examples first. precision, recall: of the examples that are flagged. "flagged
of the others": the share of right examples that are flagged beside the planted ones. Each number is the mean of several
seeds, of the planted errors and of the folds. "instead" is what one would type otherwise: for quantities the absolute
residual of scikit-learn's cross-validated ridge regression, on the raw target; for labels self-confidence, which is
cleanlab's default, on the same cross-validated probabilities.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recipe.stages.audit.embeddings import of_columns, of_images
from recipe.stages.audit.label_sets import LabelSuspects, label_suspects
from recipe.stages.audit.quantities import Residuals, residuals

SHARE = 0.03  # of wrong quantities
KINDS = ("ten times too large", "ten times too small", "-999", "exchanged among each other")
ERRORS = {"5 % missing": (0.05, 0.0), "5 % missing, 2 % surplus": (0.05, 0.02)}
Rows = tuple[np.ndarray, np.ndarray]  # features, targets
TENTHS = np.linspace(0.1, 0.9, 9)


# ---- data --------------------------------------------------------------------------------------------------------


def quantities(folder: Path | None) -> Iterator[tuple[str, Rows]]:
    from sklearn.datasets import load_diabetes, make_friedman1

    if folder is not None:
        text = np.loadtxt(folder / "tabular/abalone.csv", delimiter=",", dtype=str)
        yield "abalone", (np.hstack([text[:, :1] == ["M", "F", "I"], text[:, 1:-1].astype(float)]), _last(text))
        text = np.loadtxt(folder / "tabular/winequality-white.csv", delimiter=",", dtype=str)
        yield "wine (white)", (text[:, :-1].astype(float), _last(text))
    yield "diabetes", load_diabetes(return_X_y=True)
    yield "Friedman 1, n = 3,000", make_friedman1(3000, 10, noise=1.0, random_state=0)
    yield "lognormal, n = 3,000", lognormal(3000)


def _last(text: np.ndarray) -> np.ndarray:
    return text[:, -1].astype(float)


def lognormal(count: int) -> Rows:
    """A skewed quantity, as prices are, with an interaction that neither neighbours nor a ridge know well."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, 8))
    return x, np.exp(1.2 * x[:, 0] + 0.6 * x[:, 1] * x[:, 2] + 0.4 * rng.normal(size=count) + 3)


def label_sets() -> Iterator[tuple[str, Rows]]:
    from sklearn.datasets import load_digits, make_multilabel_classification

    read = load_digits()
    t = read.target
    facts = [t % 2 == 0, np.isin(t, [0, 6, 8, 9]), t > 4, np.isin(t, [2, 3, 5, 7]), t == 7, np.isin(t, [1, 4, 7])]
    yield "digits, 6 labels", (of_images((read.images * 15.9375).astype(np.uint8)[:, None], 0), np.stack(facts, 1))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 10))
    scores = x @ rng.normal(size=(10, 6)) + 0.5 * rng.normal(size=(3000, 6))
    yield "linear, 6 labels of 6 to 50 %, n = 3,000", (of_columns(x), scores > np.arange(6.0))
    x, y = make_multilabel_classification(3000, 20, n_classes=8, n_labels=2, random_state=0)
    yield "counts of words, 8 labels that overlap, n = 3,000", (of_columns(x), y)


def wrong_quantities(values: np.ndarray, kind: str, seed: int) -> Rows:
    """(values, which of them are wrong)"""
    rows = np.random.default_rng(seed).choice(len(values), round(SHARE * len(values)), replace=False)
    new = values[rows] * 10, values[rows] / 10, np.full(len(rows), -999.0), values[np.roll(rows, 1)]
    changed = values.copy()
    changed[rows] = dict(zip(KINDS, new, strict=True))[kind]
    return changed, np.isin(np.arange(len(values)), rows)


def wrong_labels(labels: np.ndarray, missing: float, surplus: float, seed: int) -> Rows:
    """(labels, which entries are wrong): shares of the labels that are given, and of those that are not."""
    rng, changed = np.random.default_rng(seed), labels.astype(int)
    for given, share in ((1, missing), (0, surplus)):
        entries = np.argwhere(labels == given)
        chosen = entries[rng.choice(len(entries), round(share * len(entries)), replace=False)]
        changed[chosen[:, 0], chosen[:, 1]] = 1 - given
    return changed, changed != labels


# ---- measures ----------------------------------------------------------------------------------------------------


def judged_quantity(x: np.ndarray, values: np.ndarray, seed: int) -> Residuals:
    strata = [(int(b),) for b in np.searchsorted(np.quantile(values, TENTHS), values)]
    return residuals(of_columns(x), values[:, None], strata, copies(x), seed)[0]


def judged_labels(x: np.ndarray, labels: np.ndarray, seed: int) -> LabelSuspects:
    strata = [tuple(np.flatnonzero(row)) or (labels.shape[1],) for row in labels]
    return label_suspects(x, labels, strata, copies(x), seed)


def copies(x: np.ndarray) -> list[str]:
    """A name per row, the same for equal rows, which are in one fold."""
    return [str(i) for i in np.unique(x, axis=0, return_inverse=True)[1]]


def ap(wrong: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wrong, score))


def ridge_residual(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 6)))
    return np.abs(values - cross_val_predict(model, x, values, cv=5))


def flags(flagged: np.ndarray, wrong: np.ndarray) -> tuple[float, float, float]:
    """(precision, recall, share of the others that is flagged)"""
    precision = wrong[flagged].mean() if flagged.any() else np.nan
    return float(precision), float(flagged[wrong].mean()), float(flagged[~wrong].mean())


def mean(rows: list[tuple[float, ...]]) -> list[float]:
    """NaN of a precision counts only where all are: no example was flagged."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(rows, axis=0).tolist()


def shown(value: float, form: str) -> str:
    return "none flagged" if np.isnan(value) else format(value, form)


# ---- tables ------------------------------------------------------------------------------------------------------


def on_quantities(folder: Path | None, seeds: int) -> None:
    print(f"\n## Quantities, {SHARE:.0%} of them wrong, mean of {seeds} seeds\n")
    print("| data | variance explained | wrong values | AP | instead | precision | recall | flagged of the others |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (x, values) in quantities(folder):
        clean = [judged_quantity(x, values, seed) for seed in range(seeds)]
        explained = np.mean([found.explained for found in clean])
        share = np.mean([found.flagged.mean() for found in clean])
        odd = np.mean([found.odd.mean() for found in clean])
        print(f"| {name} | {explained:.2f} | none | | | | | {share:.2%}, as outliers {odd:.2%} |")
        for kind in KINDS:
            rows = []
            for seed in range(seeds):
                changed, wrong = wrong_quantities(values, kind, seed)
                found = judged_quantity(x, changed, seed)
                aps = ap(wrong, found.score), ap(wrong, ridge_residual(x, changed))
                rows.append((*aps, *flags(found.flagged, wrong)))
            ours, theirs, precision, recall, others = mean(rows)
            aps = f"**{ours:.3f}** | {theirs:.3f}"
            print(f"| | | {kind} | {aps} | {shown(precision, '.2f')} | {recall:.2f} | {others:.2%} |")


def on_labels(seeds: int) -> None:
    print(f"\n## Several labels, wrong entries, mean of {seeds} seeds: AP of the examples with a wrong entry\n")
    print("| data | wrong labels | AP | instead | precision | recall | flagged of the others | estimated, true |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (x, labels) in label_sets():
        labels = labels.astype(int)
        share = np.mean([judged_labels(x, labels, seed).flagged.mean() for seed in range(seeds)])
        print(f"| {name} | none | | | | | {share:.2%} | |")
        for kind, (missing, surplus) in ERRORS.items():
            rows = []
            for seed in range(seeds):
                changed, wrong = wrong_labels(labels, missing, surplus, seed)
                found = judged_labels(x, changed, seed)
                confidence = np.where(changed == 1, found.probability, 1 - found.probability).min(1)
                aps = ap(wrong.any(1), found.score), ap(wrong.any(1), -confidence)
                entries = flags(found.missing | found.surplus, wrong)
                rows.append((*aps, *entries, *found.rate, wrong.mean()))
            ours, theirs, precision, recall, others, low, high, true = mean(rows)
            aps = f"**{ours:.3f}** | {theirs:.3f}"
            rate = f"{low:.1%} to {high:.1%}, {true:.1%}"
            print(f"| | {kind} | {aps} | {shown(precision, '.2f')} | {recall:.2f} | {others:.2%} | {rate} |")


def on_costs() -> None:
    print("\n## CPU seconds of judging, by examples\n\n| examples | a quantity, 12 columns | 10 labels, 12 columns |")
    print("|---:|---:|---:|")
    for count in (5_000, 20_000, 60_000):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(count, 12))
        seconds = []
        for judge, y in (
            (judged_quantity, x[:, 0] + rng.normal(size=count)),
            (judged_labels, (x[:, :10] + rng.normal(size=(count, 10)) > 1).astype(int)),
        ):
            begun = time.process_time()
            judge(x, y, 0)
            seconds.append(time.process_time() - begun)
        print(f"| {count:,} | {seconds[0]:.1f} | {seconds[1]:.1f} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--seeds", type=int, default=5)
    chosen = arguments.parse_args()
    if chosen.data is None:
        print("Abalone and wine are left out: no --data.", file=sys.stderr)
    on_quantities(chosen.data, chosen.seeds)
    on_labels(chosen.seeds)
    on_costs()


if __name__ == "__main__":
    main()
