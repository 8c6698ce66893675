"""Train against val: nothing in both, prepared alike, and nothing in train twice."""

from collections import Counter

import torch
from torch import Tensor

from recipe.checks.inputs import coincide, numbers
from recipe.checks.labels import kolmogorov
from recipe.checks.repeated_rows import rows_repeat
from recipe.checks.setup import Setup, once
from recipe.data import expected_repeats
from recipe.metrics import power
from recipe.rng import generator, seeded
from recipe.verdict import Verdict, below, check, exactly, skip

WIDTH = 1024  # features in which distances are measured


def vectors(x: Tensor) -> Tensor:
    """(N, at most about 1024 features) in which near inputs are near: larger images are averaged down."""
    x = x.float()
    if x.ndim == 4 and x[0].numel() > WIDTH:
        side = max(2, int((WIDTH / x.shape[1]) ** 0.5))
        x = torch.nn.functional.adaptive_avg_pool2d(x, (min(side, x.shape[2]), min(side, x.shape[3])))
    x = x.flatten(1)
    return x[:, :: -(-x.shape[1] // WIDTH)] if x.shape[1] > WIDTH else x


def nearest(of: Tensor, among: Tensor, k: int = 1, itself: bool = False) -> tuple[Tensor, Tensor]:
    """(distances, indices) (N, k) of the nearest neighbours; `itself`: both are the same rows, each left out."""
    distance = torch.cdist(of, among)
    if itself:
        distance.fill_diagonal_(torch.inf)
    return distance.topk(min(k, distance.shape[1] - itself), largest=False)


@once
def spaced(s: Setup) -> tuple[Tensor, Tensor]:
    """(train, val) as vectors, each column by its spread over train."""
    seen, unseen = vectors(s.seen[0]), vectors(s.unseen[0])
    width = min(seen.shape[1], unseen.shape[1])
    seen, unseen = seen[:, :width], unseen[:, :width]
    mean, spread = seen.mean(0), seen.std(0)
    # pixels share a unit; columns have their own
    spread = spread.clamp_min(1e-3 * spread.max().item() + 1e-12) if s.seen[0].ndim == 2 else spread.mean() + 1e-12
    return ((seen - mean) / spread).nan_to_num(), ((unseen - mean) / spread).nan_to_num()


@once
def neighbours(s: Setup) -> dict[str, tuple[Tensor, Tensor]]:
    """Five nearest in train: of train examples (themselves left out) and of val examples."""
    seen, unseen = spaced(s)
    return {"train": nearest(seen, seen, 5, itself=True), "val": nearest(unseen, seen, 5)}


def hashes(x: Tensor) -> list[bytes]:
    return [row.tobytes() for row in x.flatten(1).cpu().contiguous().float().numpy()]


def _repeats(x: Tensor) -> float:
    """The share of examples that an earlier one equals."""
    every = hashes(x)
    return 1 - len(set(every)) / len(every)


def _twins(x: Tensor) -> float:
    """The share of examples that another one equals."""
    every = Counter(hashes(x))
    return sum(n for n in every.values() if n > 1) / max(1, every.total())


def _shared(s: Setup) -> float:
    """The share of val inputs that train has as well, exactly."""
    known, unseen = set(hashes(s.seen[0])), hashes(s.unseen[0])
    return sum(h in known for h in unseen) / len(unseen)


@check(source="Recipe 4, data augmentation; torchvision, transforms for train and for evaluation")
def val_is_not_augmented(s: Setup) -> Verdict:
    """A validation example is the same each time it is read.

    The training transform is used for val as well; a random crop or noise stands in the data set itself. The value
    counts examples that change.
    """
    with seeded(s.seed, "val twice"):
        index = list(s.index(s.val))[:16]
        pairs = [(torch.as_tensor(s.val[i][0]), torch.as_tensor(s.val[i][0])) for i in index]
    return exactly(sum(a.shape != b.shape or not torch.equal(a, b) for a, b in pairs), 0)


@check(source="Recipe 1, duplicate examples; Barz and Denzler 2020, near-duplicates in CIFAR")
def inputs_are_not_repeated(s: Setup, share: float = 0.01) -> Verdict:
    """Hardly any training input is there twice, beyond the twins that there are by nature.

    A file listed twice, folders merged with their own copy, blank or broken images that all became the same tensor, an
    index that wraps around. Rows of a table repeat by nature where columns take few values: only what the columns do
    not explain counts, and it closes the gate where most rows are there again. Oversampled on purpose? Write
    `declare: {resampled_train: true}` in params.yaml.
    """
    if s.declare.resampled_train:
        return skip("train is resampled, as declared")
    if numbers(s) and s.seen[0].ndim == 2:
        return rows_repeat(expected_repeats.count_repeats(s.seen[0].cpu().numpy()), gate=True)
    found, natural = _repeats(s.seen[0]), _shared(s)
    # two draws of tokens coincide as often within train as between val and train
    n = len(s.unseen[0])
    limit = max(share, natural + 3 * power.share(round(natural * n), n).error) if coincide(s) else share
    return below(found, limit)


@check(source="zalandoresearch/fashion-mnist#44; Barz and Denzler 2020, near-duplicates in CIFAR")
def val_is_not_in_train(s: Setup, share: float = 0.005, near: float = 0.1) -> Verdict:
    """No validation input is in train as well, exact or all but: beyond the share of twins inside train.

    The split was drawn after copies were made (oversampling, augmentation, several crops or frames of one scene), or
    val was taken out of the whole data and train was left as it was.
    """
    found, n = _shared(s), len(s.unseen[1])
    natural = 0.0 if s.declare.resampled_train else _twins(s.seen[0])
    if numbers(s) and spaced(s)[0].shape[1] >= 8:
        (close, _), (between, _) = (neighbours(s)[part] for part in ("val", "train"))
        # a copy with a little noise, shift of brightness or compression is far nearer than neighbours are by nature
        limit = near * between[:, 0].median()
        found = max(found, (close[:, 0] < limit).float().mean().item())
        natural = max(natural, (between[:, 0] < limit).float().mean().item())
    if not coincide(s):
        natural = min(natural, 0.02)  # more than that was copied before the split was drawn
    return below(found, max(share, natural + 3 * power.share(round(natural * n), n).error if natural else share))


@check(source="Kapoor and Narayanan 2023, leakage between groups")
def groups_do_not_meet(s: Setup) -> Verdict:
    """No group (writer, patient, scene) has examples in both train and val.

    The split was drawn over examples, not over groups.
    """
    if s.groups is None:
        return skip("no groups were given")
    ours, theirs = (set(torch.as_tensor(g).tolist()) if isinstance(g, Tensor) else set(map(str, g)) for g in s.groups)
    return exactly(len(ours & theirs), 0)


def _statistics(x: Tensor) -> dict[str, Tensor]:
    """What one input looks like: (N,) per statistic, and per channel of an image its mean."""
    rows = x.float().flatten(1)
    found = {"mean": rows.mean(1), "spread": rows.std(1), "least": rows.amin(1), "most": rows.amax(1)}
    if x.ndim == 4:
        for c in range(x.shape[1] if 1 < x.shape[1] <= 4 else 0):
            found[f"mean of channel {c}"] = x[:, c].float().flatten(1).mean(1)
        rough = (x[..., 1:].float() - x[..., :-1].float()).abs().flatten(1).mean(1)
        found["roughness"] = rough / rows.std(1).clamp_min(1e-12)
    if rows.shape[1] <= 2 * WIDTH:
        found |= {f"column {i}": rows[:, i] for i in range(rows.shape[1])}
    return found


def different(x: Tensor) -> Tensor:
    """Indices of inputs that none before them equals."""
    first = {}
    for i, content in enumerate(hashes(x)):
        first.setdefault(content, i)
    return torch.tensor(list(first.values()), device=x.device)


def _like_val(s: Setup) -> Tensor:
    """Indices of train examples that have val's share of each class, so that the mix of classes is no difference."""
    seen, unseen = s.seen[1], s.unseen[1]
    if s.kind not in ("classification", "binary") or seen.ndim > 1:
        return torch.arange(len(seen))
    chance = generator(s.seed, "alike")
    weights = torch.zeros(len(seen), dtype=torch.double)
    for c in unseen.unique():
        weights[(seen == c).cpu()] = float((unseen == c).double().mean() / (seen == c).double().mean().clamp_min(1e-12))
    if not weights.sum() > 0:
        return torch.arange(len(seen))
    return weights.multinomial(len(seen), replacement=True, generator=chance)


@check(source="PolymathicAI/the_well#68; nttcslab/byol-a#5; JeasunLok/ResNet-pytorch#1")
def val_is_prepared_like_train(s: Setup, gap: float = 0.2, p: float = 1e-5, effect: float = 0.5) -> Verdict:
    """Train and val look alike: by mean, spread, extremes, roughness, channel and column of the inputs.

    Val is normalised otherwise or twice, with statistics of its own, in another channel order, size, crop or
    orientation;
    or augmentation stands in only one of them without being declared. The value is the largest gap between the two
    distributions (Kolmogorov-Smirnov) of a statistic whose median also moves.
    """
    if not numbers(s):
        return skip("the inputs are indices")
    index = _like_val(s).to(s.seen[0].device)
    # a row that occurs often stands in one of the two where a split keeps copies together: it counts once
    train, val = (_statistics(x[different(x)]) for x in (s.seen[0][index], s.unseen[0]))
    spread = s.seen[0].float().std().item()
    seen, unseen = len(train["mean"]), len(val["mean"])
    n = seen * unseen / (seen + unseen)
    worst, where = 0.0, ""
    for name in train.keys() & val.keys():
        a, b = train[name].double(), val[name].double()
        column = name.startswith("column")
        moved = abs(a.mean() - b.mean()) if column else abs(a.median() - b.median())
        # a constant that moves by a hair has the largest gap there is: the move must be one that matters, too
        if column:
            matters = effect * max(a.std().item(), b.std().item(), 1e-3 * spread)
        else:
            matters = 0.25 * a.median().abs() if name == "roughness" else 0.05 * spread
        if moved < matters:
            continue
        found = kolmogorov(a, b)
        chance = 2 * len(train) * float(torch.exp(torch.tensor(-2 * found**2 * n)))
        if chance < p and (found, name) > (worst, where):
            worst, where = found, name
    verdict = below(worst, gap)
    return Verdict(verdict.verdict, f"{worst:.4g} ({where})" if where else worst, verdict.bound)


@check(source="Recipe 1, become one with the data")
def val_is_labelled_like_train(s: Setup, gap: float = 0.15, errors: float = 4.0) -> Verdict:
    """The nearest training neighbours know the labels of val as well as those of train.

    Val has a mapping from class to number of its own (sorted folders, another csv), its labels are shifted against its
    inputs, or its inputs are prepared otherwise. The value is the accuracy lost.
    """
    if s.kind not in ("classification", "binary") or s.seen[1].ndim > 1 or s.declare.resampled_train:
        return skip("one label per example is needed, and a train that is not resampled")
    (_, inside), (_, outside) = (neighbours(s)[part] for part in ("train", "val"))
    y, z = s.seen[1].long(), s.unseen[1].long()
    seen, unseen = (
        power.share(int((y[near].mode(1).values == t).sum()), len(t)) for near, t in ((inside, y), (outside, z))
    )
    lost, largest = power.difference(seen, unseen), seen.value - power.commonest(y)
    return power.stays_below(lost, limit=gap, largest=largest, errors=errors, what="validation examples")
