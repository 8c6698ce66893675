"""Where the final system is wrong, to look at: the explorer over val and test, and the labels that it doubts.

Karpathy, "become one with the data": a net is a compressed version of the data set, so its mispredictions tell where
they come from. Each one stands beside the training examples that the net takes for the most similar.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recipe.data.batches import Data, Split
from recipe.data.decisions import COLUMNS
from recipe.data.source import FEATURES, IMAGE
from recipe.data.store import Store
from recipe.explorer import MAX_EXAMPLES, Column, Roles, explorer, sample_rows
from recipe.files import write_csv, write_text
from recipe.serve.system import BATCH, System

# Confidence from which a contradicted label is worth a look. One that was trained on, and is contradicted all the same,
# needs less: of 49 wrong labels planted in the digits, 8 of val's 9 were among 10 lines, 32 of train's 40 among 37.
SURE = {"val": 0.9, "test": 0.9, "train": 0.5}
SHOWN = 5  # nearest training examples
DOUBTS = 500  # doubted training examples on the page, the greatest loss first
WIDE = 2048  # features; more are projected down to NARROW
NARROW = 512
ROLES = Roles(
    id="id", label="label", suggested="predicted", suspect="loss", wrong="wrong", order="loss", caption="answer",
    guarded="test",
)  # fmt: skip
WARNING = (
    "counts for the final score: a label changed here because the model disagrees makes that score too good. "
    "Judge it without looking at the answer, by someone who judges right answers too, or leave it"
)


@dataclass(frozen=True)
class Judged:
    """What the system says of the N examples of a split."""

    split: str
    ids: list[str]
    label: np.ndarray  # (N,) class number
    predicted: np.ndarray  # (N,) class number
    confidence: np.ndarray  # (N,) probability of the predicted class
    given: np.ndarray  # (N,) probability of the label
    agreement: np.ndarray  # (N,) share of the members, as often as they count, that give the same answer

    @property
    def wrong(self) -> np.ndarray:
        return self.predicted != self.label

    @property
    def loss(self) -> np.ndarray:
        """Nats."""
        return -np.log(np.maximum(self.given, 1e-12))

    @property
    def doubted(self) -> np.ndarray:
        """The examples whose label the system contradicts with confidence, the greatest loss first."""
        found = np.flatnonzero(self.wrong & (self.confidence >= SURE[self.split]))
        return found[np.argsort(-self.loss[found], kind="stable")]


def look(out: Path, final: System, data: Data, test: Split, store: Store, name: str, seed: int) -> str:
    """Writes mispredictions.html and suspects.csv; gives a sentence on the labels that are in doubt."""
    parts = {"val": data.val, "test": test, "train": data.train}
    judged = [judge(final, split, part) for split, part in parts.items()]
    write_text(out / "mispredictions.html", page(judged, final, data, test, store, name, seed))
    write_csv(out / "suspects.csv", proposals(judged, data.classes), COLUMNS)
    return sentence(judged)


def judge(final: System, split: str, part: Split) -> Judged:
    label, share = part.y.cpu(), torch.tensor(final.counts, dtype=torch.float64) / sum(final.counts)
    columns, at = [], 0
    for x in part.x.split(BATCH):
        p, y = final.answers(x), label[at : at + len(x)]
        at += len(x)
        all_ = final.together(p)
        confidence, guess = all_.max(1)
        same = (p.argmax(2) == guess).double() * share[:, None]
        columns.append((guess, confidence, all_[torch.arange(len(y)), y], same.sum(0)))
    guess, confidence, given, agreement = (torch.cat(c).numpy() for c in zip(*columns, strict=True))
    return Judged(split, part.ids, label.numpy(), guess, confidence, given, agreement)


# ---- doubted labels ----------------------------------------------------------------------------------------------


def proposals(judged: list[Judged], classes: list[str]) -> list[dict]:
    """Lines for decisions.csv: the labels of train and val that the system contradicts, the greatest loss first.

    They propose; a person looks, deletes what is right, and hands the rest to `recipe decide`. None is of test: labels
    corrected by the model's own opinion make its score too good. No weight has seen val. Train has been learned from,
    so labels learned by heart hide there: what the members contradict all the same is the more suspect.
    """
    seen = {"val": "no member was trained on it", "train": "the members were trained on this label"}
    found = [(-j.loss[i], j.split, i, j) for j in judged if j.split in seen for i in j.doubted]
    return [
        {
            "id": j.ids[i],
            "action": "relabel",
            "label": classes[j.predicted[i]],
            "reason": f"{split}: the ensemble says {classes[j.predicted[i]]} at {j.confidence[i]:.1%}, "
            f"{classes[j.label[i]]} at {j.given[i]:.1%}; {seen[split]}",
        }
        for _, split, i, j in sorted(found, key=lambda f: f[:3])
    ]


def sentence(judged: list[Judged]) -> str:
    counts = {j.split: len(j.doubted) for j in judged}
    return (
        f"Labels that the ensemble contradicts: {counts['train']} of train (at {SURE['train']:.0%} or more, although "
        f"trained on them) and {counts['val']} of val (at {SURE['val']:.0%}), proposed in suspects.csv for `recipe "
        f"decide` once a person has looked; {counts['test']} of test, to look at alone."
    )


# ---- the page ----------------------------------------------------------------------------------------------------


def page(
    judged: list[Judged], final: System, data: Data, unseen: Split, store: Store, name: str, seed: int
) -> str:  # fmt: skip
    """The explorer over val and test, the wrong answers first; train is there as their neighbours, and where doubted.

    judged: of val, test and train. unseen: the test examples. Of more than `MAX_EXAMPLES`, every wrong one and a sample
    of the others are shown.
    """
    val, test, train = judged
    before, classes = len(val.ids) + len(test.ids), np.array(data.classes, dtype=object)
    wrong = np.concatenate([j.wrong for j in judged])
    doubts = before + train.doubted[:DOUBTS]
    beside = np.arange(len(wrong)) >= before
    beside[doubts] = False
    # only what will be shown is compared with train
    among = np.flatnonzero(~beside)
    neighbours, by = _neighbours(among[sample_rows(wrong[among], MAX_EXAMPLES, seed)], final, data, unseen)
    start = {"wrong": ["yes"]} | ({"split": ["val", "test"]} if len(doubts) else {})
    rows = store.rows([i for j in judged for i in j.ids])
    return explorer(
        [*_columns(judged, classes, wrong), *_known(store, rows)],
        ROLES,
        title=f"{name}: mispredictions",
        summary=f"{val.wrong.sum():,} of {len(val.ids):,} wrong on val, {test.wrong.sum():,} of {len(test.ids):,} on "
        f"test; {len(train.doubted):,} labels of train in doubt; {len(final.members)} members together",
        picture=(lambda i: store.picture(rows[i])) if store.kind == IMAGE else None,
        classes=data.classes,
        neighbours=neighbours,
        neighbours_heading=f"Nearest training examples, by {by}",
        only_neighbours=beside,
        initial_filter=start,
        limit=MAX_EXAMPLES,
        seed=seed,
    )


def _columns(judged: list[Judged], classes: np.ndarray, wrong: np.ndarray) -> list[Column]:
    def joined(of) -> np.ndarray:
        return np.concatenate([of(j) for j in judged])

    label, predicted = (classes[joined(of)] for of in (lambda j: j.label, lambda j: j.predicted))
    answer = np.where(wrong, label + " → " + predicted, label).astype(object)
    split = np.array([j.split for j in judged for _ in j.ids], dtype=object)
    return [
        Column("id", "what decisions.csv names", np.array([i for j in judged for i in j.ids], dtype=object)),
        Column("label", "name of the class, after decisions.csv", label),
        Column("predicted", "the ensemble's answer: its most probable class", predicted),
        Column("answer", "the label, and the ensemble's answer where it is another", answer),
        Column("wrong", "the ensemble's answer is not the label", wrong),
        Column("loss", "-log p_label, nats: high where the answer is wrong and confident", joined(lambda j: j.loss)),
        Column("confidence", "the ensemble's probability of its answer, 0 to 1", joined(lambda j: j.confidence)),
        Column("p_label", "the ensemble's probability of the label, 0 to 1", joined(lambda j: j.given)),
        Column(
            "agreement",
            "share of the members whose own answer is the ensemble's, 0 to 1; each counts as often as it was chosen",
            joined(lambda j: j.agreement),
        ),
        Column("doubted", "contradicted with confidence; of train and val, in suspects.csv", joined(_doubted)),
        Column("split", "val: chose, but trained nothing; test: read once; train: where its label is in doubt", split),
        Column("test", WARNING, split == "test"),
    ]


def _doubted(judged: Judged) -> np.ndarray:
    return np.isin(np.arange(len(judged.ids)), judged.doubted)


def _known(store: Store, rows: list[int]) -> list[Column]:
    """What the source says of each example: names, groups, metadata, features; columns that say something."""
    import pyarrow

    table, found = store.table(), []
    for field in table.schema:
        if field.name not in ("name", "group") and not field.name.startswith("meta_"):
            continue
        values, text = table[field.name], pyarrow.types.is_string(field.type)
        values = values.to_pylist() if text or not values.null_count else values.cast(pyarrow.float64()).to_numpy()
        values = np.array([("" if v is None else v) for v in values] if text else values, object if text else None)[
            rows
        ]
        if (values[1:] != values[:1]).any():
            found.append(Column(field.name, field.metadata[b"meaning"].decode(), values))
    if store.kind == FEATURES:
        inputs = np.asarray(store.inputs)[rows]
        found += [Column(f"x_{c}", f"the feature column `{c}`", inputs[:, i]) for i, c in enumerate(store.columns)]
    return found


# ---- nearest training examples -----------------------------------------------------------------------------------


def _neighbours(chosen: np.ndarray, final: System, data: Data, test: Split) -> tuple[np.ndarray, str]:
    """((val + test + train, SHOWN) rows of these three in that order, -1 where not asked for; by what)."""
    net = final.members[int(np.argmax(final.counts))]
    layer = _last_matrix(net, data.val.x[:2])
    before = len(data.val) + len(test)
    index = np.full((before + len(data.train), SHOWN), -1)
    base = _features(net, layer, data.train.x)
    for at, part in ((0, data.val), (len(data.val), test)):
        inside = chosen[(chosen >= at) & (chosen < at + len(part))]
        if len(inside):
            found = nearest(_features(net, layer, part.x, inside - at), base, SHOWN)
            index[inside, : found.shape[1]] = before + found
    if len(inside := chosen[chosen >= before]):
        found = before + nearest(base[inside - before], base, SHOWN + 1)
        for own, near in zip(inside, found, strict=True):
            others = near[near != own][:SHOWN]
            index[own, : len(others)] = others
    return index, "what enters the net's last matrix" if layer else "the inputs"


def _last_matrix(net: nn.Module, x: Tensor) -> nn.Module | None:
    """The last nn.Linear, where it is used once and on a row per input; None where there is none such."""
    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    if not layers:
        return None
    seen = []
    with layers[-1].register_forward_pre_hook(lambda _, args: seen.append(args[0])), torch.no_grad():
        net(x)
    return layers[-1] if len(seen) == 1 and len(seen[0]) == len(x) else None


def _features(net: nn.Module, layer: nn.Module | None, x, rows: np.ndarray | None = None) -> Tensor:
    """(N, D) float32 of all inputs, or of some rows: what enters `layer`, or the inputs themselves.

    More than WIDE of them are projected at random, which keeps distances (Johnson and Lindenstrauss 1984).
    """
    batches = x.split(BATCH) if rows is None else (x[rows[at : at + BATCH]] for at in range(0, len(rows), BATCH))
    found, projection = [], None
    for batch in batches:
        seen = [batch]
        if layer:
            with layer.register_forward_pre_hook(lambda _, args: seen.append(args[0])), torch.no_grad():  # noqa: B023
                net(batch)
        flat = seen[-1].flatten(1).float().cpu()
        if flat.shape[1] > WIDE:
            if projection is None:
                fixed = torch.Generator().manual_seed(0)
                projection = torch.randn(flat.shape[1], NARROW, generator=fixed) / NARROW**0.5
            flat = flat @ projection
        found.append(flat)
    return torch.cat(found)


def nearest(points: Tensor, base: Tensor, count: int) -> np.ndarray:
    """(N, <= count) rows of `base` (M, D), the nearest to each of `points` (N, D) first; of equals the first row."""
    count, found = min(count, len(base)), []
    for some in points.split(256):
        rough = torch.cdist(some, base).topk(min(2 * count, len(base)), largest=False).indices
        # again, pair by pair: the fast formula is inexact near zero, and differs with the number of threads
        exact = (some[:, None].double() - base[rough].double()).square().sum(-1)
        order = np.lexsort((rough.numpy(), exact.numpy()), axis=1)[:, :count]
        found.append(np.take_along_axis(rough.numpy(), order, 1))
    return np.concatenate(found)
