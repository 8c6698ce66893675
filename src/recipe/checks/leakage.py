"""Train against val: nothing in both, prepared alike, and nothing in train twice."""

import math
from collections import Counter

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from recipe.checks import examples
from recipe.checks.measurements.batch_capture import has_numeric_inputs, repeats_are_natural
from recipe.checks.measurements.distributions import kolmogorov_smirnov
from recipe.checks.measurements.neighbours import MAX_FEATURES, nearest_in_train, standardised_vectors
from recipe.checks.measurements.padding import padding_index
from recipe.checks.parts import main
from recipe.checks.repeated_rows import rows_repeat
from recipe.checks.setup import Setup
from recipe.data import expected_repeats
from recipe.metrics import power
from recipe.rng import generator, seeded
from recipe.verdict import PASS, Verdict, below, check, exactly, skip

COMMON = 64  # tokens whose shares are compared
READABLE = 20_000  # examples of a data set that are read one by one


def _contents(x: Tensor) -> list[bytes]:
    """The bytes of each example, for comparison."""
    return [row.tobytes() for row in x.flatten(1).cpu().contiguous().float().numpy()]


def _share_of_repeats(x: Tensor) -> float:
    """The share of examples that equal an earlier one."""
    contents = _contents(x)
    return 1 - len(set(contents)) / len(contents)


def _share_with_a_twin(x: Tensor) -> float:
    """The share of examples that equal another one."""
    counts = Counter(_contents(x))
    return sum(n for n in counts.values() if n > 1) / max(1, counts.total())


def _inputs(s: Setup) -> tuple[Tensor, Tensor]:
    """The inputs of train and of val that can be computed with."""
    return main(s.train_tensors[0]), main(s.val_tensors[0])


def _share_in_both(s: Setup) -> float:
    """The share of val inputs that are exactly equal to one in train."""
    train, val = set(_contents(main(s.train_tensors[0]))), _contents(main(s.val_tensors[0]))
    return sum(content in train for content in val) / len(val)


@check(source="Recipe 4, data augmentation; torchvision, transforms for train and for evaluation")
def val_is_not_augmented(s: Setup) -> Verdict:
    """A validation example is the same each time it is read.

    The training transform is used for val as well; a random crop or noise is part of the data set itself. The value
    counts examples that change.
    """
    with seeded(s.seed, "val twice"):
        index = list(s.index(s.val))[:16]
        pairs = [(s.example(s.val, i)[0], s.example(s.val, i)[0]) for i in index]
    return exactly(sum(not examples.same(a, b) for a, b in pairs), 0)


@check(source="Recipe 1, duplicate examples; Barz and Denzler 2020, near-duplicates in CIFAR")
def inputs_are_not_repeated(s: Setup, share: float = 0.01) -> Verdict:
    """Hardly any training input occurs twice, beyond repeats that occur by nature.

    A file listed twice, folders merged with their own copy, blank or broken images that all became the same tensor, an
    index that wraps around. Rows of a table repeat by nature where columns take few values: only repeats that the
    columns do not explain count, and they close the gate where most rows occur again; short texts repeat as often as
    they do in val. Oversampled on purpose? Write `declare: {resampled_train: true}` in params.yaml. The value is the
    share of repeats, or counts repeated rows.
    """
    if s.declare.resampled_train:
        return skip("train is resampled, as declared")
    x = main(s.train_tensors[0])
    if has_numeric_inputs(s) and x.ndim == 2:
        return rows_repeat(expected_repeats.count_repeats(x.cpu().numpy()), gate=True)
    limit = share
    if repeats_are_natural(s):
        natural, n = _natural_repeats(s), len(s.val_tensors[0])
        limit = max(share, natural + 3 * power.share(round(natural * n), n).error)
    return below(_share_of_repeats(x), limit)


def _natural_repeats(s: Setup) -> float:
    """The share of repeats that the data have by nature, as seen in val, which is read as it is.

    Two draws are as often equal within train as between val and train. Where a split keeps copies together there are
    none between the two, and as many within val as within train; unless most inputs of train have a copy, which is the
    work of a list that is read twice, and then val may have been, too.
    """
    counts = Counter(_contents(main(s.train_tensors[0])))
    twice = sum(n > 1 for n in counts.values()) > 0.5 * len(counts)
    return max(_share_in_both(s), 0.0 if twice else _share_of_repeats(main(s.val_tensors[0])))


@check(source="zalandoresearch/fashion-mnist#44; Barz and Denzler 2020, near-duplicates in CIFAR")
def val_is_not_in_train(s: Setup, share: float = 0.005, near: float = 0.1) -> Verdict:
    """No validation input is a copy or near-copy of a training input, beyond the share of copies within train.

    The split was drawn after copies were made (oversampling, augmentation, several crops or frames of one scene), or
    val was taken out of the whole data and train was left as it was. The value is the share of such inputs.
    """
    copies = _share_in_both(s)
    natural = 0.0 if s.declare.resampled_train else _share_with_a_twin(main(s.train_tensors[0]))
    if has_numeric_inputs(s) and standardised_vectors(s)[0].shape[1] >= 8:
        (from_val, _), (within, _) = (nearest_in_train(s)[part] for part in ("val", "train"))
        # a copy with a little noise, shift of brightness or compression is far closer than neighbours are by nature
        limit = near * within[:, 0].median()
        copies = max(copies, (from_val[:, 0] < limit).float().mean().item())
        natural = max(natural, (within[:, 0] < limit).float().mean().item())
    if not repeats_are_natural(s):
        natural = min(natural, 0.02)  # more than that was copied before the split was drawn
    return below(copies, max(share, natural + 3 * _error_of_copies(s, copies, natural) if natural else share))


def _error_of_copies(s: Setup, copies: float, natural: float) -> float:
    """The standard error of the difference of these shares of val and of train where they are equal in truth. Copies
    within train come in pairs, which doubles the variance of their number."""
    n, m = len(s.val_tensors[1]), len(s.train_tensors[1])
    both = min(0.02, (copies * n + natural * m) / (n + m))
    return math.hypot(power.share(round(both * n), n).error, math.sqrt(2) * power.share(round(both * m), m).error)


@check(source="Kapoor and Narayanan 2023, pre-processing on training and test set")
def vocabulary_is_of_train(s: Setup, share: float = 0.3, least: int = 10) -> Verdict:
    """The vocabulary was not learned from validation: val has hardly any token that train lacks.

    Words were counted over all texts before the split: the model gets a number for each word of val, of which it can
    learn nothing, and which a new text would not have. Fit the tokenizer to train. A vocabulary from elsewhere has many
    tokens that neither has. The value is the share, of the tokens that train lacks, that val has.
    """
    if has_numeric_inputs(s):
        return skip("the inputs are not indices")
    if (train := _every_input(s)) is None:
        return skip(f"train has over {READABLE:,} examples, and is not in memory")
    known, val = train.unique(), main(s.val_tensors[0]).unique()
    missing = val[~torch.isin(val, known.to(val))]
    sizes = [m.num_embeddings for m in s.new_model().modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)]
    size = max([*sizes, int(val.max()) + 1, int(known.max()) + 1])
    value = len(missing) / max(1, size - len(known))
    return below(value, share) if len(missing) >= least else Verdict(PASS, value, f"fewer than {least} such tokens")


def _every_input(s: Setup) -> Tensor | None:
    """The inputs of all of train, not of a sample; None where there are too many to read."""
    if isinstance(s.train, TensorDataset) and s.collate is None and s.form.pair:
        return s.train.tensors[0]
    if len(s.train) > READABLE:
        return None
    return main(s.unpacked(examples.collated([s.train[i] for i in range(len(s.train))], s.collate, "train"))[0])


@check(source="Kapoor and Narayanan 2023, leakage between groups")
def groups_do_not_meet(s: Setup) -> Verdict:
    """No group (writer, patient, scene) has examples in both train and val.

    The split was drawn over examples, not over groups. The value counts groups in both.
    """
    if s.groups is None:
        return skip("no groups were given")
    train, val = (set(torch.as_tensor(g).tolist()) if isinstance(g, Tensor) else set(map(str, g)) for g in s.groups)
    return exactly(len(train & val), 0)


def _statistics(x: Tensor) -> dict[str, Tensor]:
    """Of each input (N,): mean, standard deviation and extremes, of an image also each channel's mean and roughness."""
    rows = x.float().flatten(1)
    values = {"mean": rows.mean(1), "spread": rows.std(1), "least": rows.amin(1), "most": rows.amax(1)}
    if x.ndim == 4:
        for c in range(x.shape[1] if 1 < x.shape[1] <= 4 else 0):
            values[f"mean of channel {c}"] = x[:, c].float().flatten(1).mean(1)
        rough = (x[..., 1:].float() - x[..., :-1].float()).abs().flatten(1).mean(1)
        values["roughness"] = rough / rows.std(1).clamp_min(1e-12)
    if rows.shape[1] <= 2 * MAX_FEATURES:
        values |= {f"column {i}": rows[:, i] for i in range(rows.shape[1])}
    return values


def _token_shares(s: Setup, x: Tensor) -> dict[str, Tensor]:
    """Of each row (N, L) of tokens, padding left out: how many they are, and the share of each common one, (N,)."""
    rows = x.flatten(1)
    words = torch.ones_like(rows, dtype=torch.bool) if (padding := padding_index(s)) is None else rows != padding
    length = words.sum(1)
    common = torch.cat([part.flatten() for part in _inputs(s)]).bincount().argsort()
    shares = {f"token {t}": (rows == t).sum(1) / length.clamp_min(1) for t in common[-COMMON:].tolist() if t != padding}
    return shares | {"length": length.double()}


def _distinct(x: Tensor) -> Tensor:
    """Indices of inputs that equal no earlier one."""
    first: dict[bytes, int] = {}
    for i, content in enumerate(_contents(x)):
        first.setdefault(content, i)
    return torch.tensor(list(first.values()), device=x.device)


def _with_class_shares_of_val(s: Setup) -> Tensor:
    """Indices of train examples, drawn with val's share of each class, so that class shares make no difference."""
    if not s.one_label_per_example:
        return torch.arange(len(s.train_tensors[1]))
    train, val = main(s.train_tensors[1]), main(s.val_tensors[1])
    weights = torch.zeros(len(train), dtype=torch.double)
    for c in val.unique():
        weights[(train == c).cpu()] = float((val == c).double().mean() / (train == c).double().mean().clamp_min(1e-12))
    if not weights.sum() > 0:
        return torch.arange(len(train))
    return weights.multinomial(len(train), replacement=True, generator=generator(s.seed, "alike"))


@check(source="PolymathicAI/the_well#68; nttcslab/byol-a#5; JeasunLok/ResNet-pytorch#1")
def val_is_prepared_like_train(s: Setup, gap: float = 0.2, p: float = 1e-5, effect: float = 0.5) -> Verdict:
    """Inputs of train and val have the same distribution of mean, spread, extremes, roughness, channels and columns;
    of tokens, of their length and the share of each common token.

    Val is normalised differently or twice, by statistics of val itself, in another channel order, size, crop or
    orientation; or augmentation is part of only one of them without being declared. Tokens: val keeps its capitals or
    is cut to another length, a start token is missing, its unknown words are more. The value is the largest gap between
    the two distributions (Kolmogorov-Smirnov) of a statistic whose median also moves.
    """
    numeric = has_numeric_inputs(s)
    inputs, of_val = _inputs(s)
    index = _with_class_shares_of_val(s).to(inputs.device)
    # a split that keeps copies together puts all copies of a row into one part: each row counts once
    parts = (x[_distinct(x)] for x in (inputs[index], of_val))
    train, val = (_statistics(x) if numeric else _token_shares(s, x) for x in parts)
    spread = inputs.float().std().item()
    n_train, n_val = (len(next(iter(part.values()))) for part in (train, val))
    n = n_train * n_val / (n_train + n_val)
    worst, where = 0.0, ""
    for name in sorted(train.keys() & val.keys()):
        a, b = train[name].double(), val[name].double()
        if not _shift_matters(name, a, b, effect, spread):
            continue
        distance = kolmogorov_smirnov(a, b)
        p_value = 2 * len(train) * float(torch.exp(torch.tensor(-2 * distance**2 * n)))
        if p_value < p and (distance, name) > (worst, where):
            worst, where = distance, name
    verdict = below(worst, gap)
    return Verdict(verdict.verdict, f"{worst:.4g} ({where})" if where else worst, verdict.bound)


def _shift_matters(name: str, a: Tensor, b: Tensor, effect: float, spread: float) -> bool:
    """Whether a statistic moves noticeably: a constant that moves by very little has the largest gap of all."""
    if name.startswith("token"):
        # of words in less than `least` texts of train the unknown ones are up to 1.7 times as many in val: by Good 1953
        # (N1 + 2 N2) / N against N1 / N where N1 words occur once and N2 twice, and N2 = N1 / 3 by Zipf's law
        low, high = sorted((a.mean().item(), b.mean().item()))
        return high > 2.5 * low
    if name == "length":
        return not abs(a.mean() - b.mean()) < effect * max(a.std().item(), b.std().item())
    if name.startswith("column"):
        shift, least = abs(a.mean() - b.mean()), effect * max(a.std().item(), b.std().item(), 1e-3 * spread)
        return not shift < least
    shift = abs(a.median() - b.median())
    return not shift < (0.25 * a.median().abs() if name == "roughness" else 0.05 * spread)


@check(source="Recipe 1, become one with the data")
def val_is_labelled_like_train(s: Setup, gap: float = 0.15, errors: float = 4.0) -> Verdict:
    """Nearest training neighbours predict the labels of val as well as those of train.

    Val numbers its classes differently (sorted folders, another csv), its labels are shifted against its inputs, or its
    inputs are prepared differently. The value is the accuracy lost.
    """
    if not s.one_label_per_example or s.declare.resampled_train:
        return skip("one label per example is needed, and a train that is not resampled")
    (_, of_train), (_, of_val) = (nearest_in_train(s)[part] for part in ("train", "val"))
    y, z = main(s.train_tensors[1]).long(), main(s.val_tensors[1]).long()
    train, val = (
        power.share(int((y[near].mode(1).values == t).sum()), len(t)) for near, t in ((of_train, y), (of_val, z))
    )
    lost, largest = power.difference(train, val), train.value - power.commonest(y)
    return power.stays_below(lost, limit=gap, largest=largest, errors=errors, what="validation examples")
