"""The mispredictions of the final system: an explorer page over val and test, and the labels that it contradicts.

Karpathy, "become one with the data": a net is a compressed version of the data set, so its mispredictions show where
they come from. Each one is shown with the training examples that the net considers the most similar.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recipe.config.instantiate import data_name
from recipe.data.batches import Data, Split
from recipe.data.decisions import COLUMNS
from recipe.data.source import FEATURES, IMAGE
from recipe.data.store import Store
from recipe.explorer import MAX_EXAMPLES, Column, Roles, explorer, sample_rows
from recipe.files import write_csv, write_text
from recipe.serve.system import BATCH, System
from recipe.stages.ensemble.final_system import FinalSystem
from recipe.stages.runner import Run

# Confidence from which a contradicted label is worth inspecting. A label that was trained on needs less: of 49 wrong
# labels planted in the digits, 8 of val's 9 were among 10 lines, 32 of train's 40 among 37.
CONFIDENT = {"val": 0.9, "test": 0.9, "train": 0.5}
NEIGHBOURS = 5  # nearest training examples
DOUBTS = 500  # doubted training examples on the page, the greatest loss first
MAX_FEATURES = 2048  # more are projected down to PROJECTED
PROJECTED = 512
ROLES = Roles(
    id="id", label="label", suggested="predicted", suspect="loss", wrong="wrong", order="loss", caption="answer",
    guarded="test",
)  # fmt: skip
WARNING = (
    "counts for the final score: a label that is changed here because the model disagrees makes that score too good. "
    "Judge it without seeing the prediction, together with correctly predicted examples, or leave it"
)


@dataclass(frozen=True)
class SplitPredictions:
    """What the system predicts for the N examples of a split."""

    split: str
    ids: list[str]
    label: np.ndarray  # (N,) class number
    predicted: np.ndarray  # (N,) class number
    confidence: np.ndarray  # (N,) probability of the predicted class
    label_probability: np.ndarray  # (N,)
    agreement: np.ndarray  # (N,) share of the members, each as often as it counts, that predict the same class

    @property
    def wrong(self) -> np.ndarray:
        return self.predicted != self.label

    @property
    def loss(self) -> np.ndarray:
        """Nats."""
        return -np.log(np.maximum(self.label_probability, 1e-12))

    @property
    def doubted(self) -> np.ndarray:
        """The examples whose label the system contradicts with confidence, the greatest loss first."""
        contradicted = np.flatnonzero(self.wrong & (self.confidence >= CONFIDENT[self.split]))
        return contradicted[np.argsort(-self.loss[contradicted], kind="stable")]


def write(run: Run, final: FinalSystem, data: Data, test: Split) -> str:
    """Writes mispredictions.html and suspects.csv; gives a sentence on the labels that are in doubt."""
    predicted = [predict_split(final.system, name, split) for name, split in splits(data, test).items()]
    html = page(predicted, final, data, test, title=data_name(run.cfg), seed=run.cfg.seed)
    write_text(run.out / "mispredictions.html", html)
    write_csv(run.out / "suspects.csv", proposals(predicted, list(data.task.names)), COLUMNS)
    return sentence(predicted)


def splits(data: Data, test: Split) -> dict[str, Split]:
    """In the order of the page."""
    return {"val": data.val, "test": test, "train": data.train}


def predict_split(system: System, name: str, split: Split) -> SplitPredictions:
    label, share = split.y.cpu(), torch.tensor(system.counts, dtype=torch.float64) / sum(system.counts)
    batches, at = [], 0
    for x in split.x.split(BATCH):
        p, y = system.member_probabilities(x), label[at : at + len(x)]
        at += len(x)
        averaged = system.average(p)
        confidence, predicted = averaged.max(1)
        same = (p.argmax(2) == predicted).double() * share[:, None]
        batches.append((predicted, confidence, averaged[torch.arange(len(y)), y], same.sum(0)))
    predicted, confidence, label_probability, agreement = (torch.cat(c) for c in zip(*batches, strict=True))
    return SplitPredictions(
        split=name, ids=split.ids, label=label.numpy(), predicted=predicted.numpy(), confidence=confidence.numpy(),
        label_probability=label_probability.numpy(), agreement=agreement.numpy(),
    )  # fmt: skip


# ---- doubted labels ----------------------------------------------------------------------------------------------


def proposals(predicted: list[SplitPredictions], classes: list[str]) -> list[dict]:
    """Lines for decisions.csv: the labels of train and val that the system contradicts, the greatest loss first.

    They are proposals: the user inspects them, deletes those whose label is right, and gives the rest to `recipe
    decide`. None is of test: labels corrected by the model's own predictions make its score too good. No weight was
    trained on val. The members were trained on train and may have memorised wrong labels there: a label that they
    contradict all the same is the more suspect.
    """
    trained_on = {"val": "no member was trained on it", "train": "the members were trained on this label"}
    lines = [(-p.loss[i], p.split, i, p) for p in predicted if p.split in trained_on for i in p.doubted]
    return [
        {
            "id": p.ids[i],
            "action": "relabel",
            "label": classes[p.predicted[i]],
            "reason": f"{split}: the ensemble predicts {classes[p.predicted[i]]} with probability "
            f"{p.confidence[i]:.1%}, {classes[p.label[i]]} with {p.label_probability[i]:.1%}; {trained_on[split]}",
        }
        for _, split, i, p in sorted(lines, key=lambda line: line[:3])
    ]


def sentence(predicted: list[SplitPredictions]) -> str:
    counts = {p.split: len(p.doubted) for p in predicted}
    return (
        f"The ensemble contradicts {counts['train']} labels of train with a confidence of {CONFIDENT['train']:.0%} or "
        f"more, although it was trained on them, and {counts['val']} of val with {CONFIDENT['val']:.0%} or more. They "
        f"are in suspects.csv: inspect them, then give the wrong ones to `recipe decide`. It also contradicts "
        f"{counts['test']} labels of test, for inspection only."
    )


# ---- the page ----------------------------------------------------------------------------------------------------


def page(
    predicted: list[SplitPredictions], final: FinalSystem, data: Data, test: Split, *, title: str, seed: int
) -> str:  # fmt: skip
    """The explorer over val and test, the wrong predictions first; train is there as neighbours, and where doubted.

    predicted: of val, test and train. Of more than `MAX_EXAMPLES`, all wrong ones and a sample of the others are shown.
    """
    on_val, on_test, on_train = predicted
    store, before = final.store, len(on_val.ids) + len(on_test.ids)
    wrong = np.concatenate([p.wrong for p in predicted])
    doubts = before + on_train.doubted[:DOUBTS]
    neighbours_only = np.arange(len(wrong)) >= before
    neighbours_only[doubts] = False
    # only examples that will be shown are compared with train
    among = np.flatnonzero(~neighbours_only)
    neighbours, space = _neighbours(among[sample_rows(wrong[among], MAX_EXAMPLES, seed)], final.system, data, test)
    initial_filter = {"wrong": ["yes"]} | ({"split": ["val", "test"]} if len(doubts) else {})
    rows = store.rows([i for p in predicted for i in p.ids])
    return explorer(
        [*_columns(predicted, np.array(data.task.names, dtype=object), wrong), *_store_columns(store, rows)],
        ROLES,
        title=f"{title}: mispredictions",
        summary=f"{on_val.wrong.sum():,} of {len(on_val.ids):,} predictions on val are wrong, {on_test.wrong.sum():,} "
        f"of {len(on_test.ids):,} on test; {len(on_train.doubted):,} labels of train are in doubt; "
        f"{len(final.system.members)} members are averaged",
        picture=(lambda i: store.picture(rows[i])) if store.kind == IMAGE else None,
        classes=data.task.names,
        neighbours=neighbours,
        neighbours_heading=f"Nearest training examples, by {space}",
        only_neighbours=neighbours_only,
        initial_filter=initial_filter,
        limit=MAX_EXAMPLES,
        seed=seed,
    )


def _columns(predicted: list[SplitPredictions], classes: np.ndarray, wrong: np.ndarray) -> list[Column]:
    def joined(of: Callable[[SplitPredictions], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(p) for p in predicted])

    label, predicted_class = classes[joined(lambda p: p.label)], classes[joined(lambda p: p.predicted)]
    answer = np.where(wrong, label + " → " + predicted_class, label).astype(object)
    split = np.array([p.split for p in predicted for _ in p.ids], dtype=object)
    return [
        Column("id", "the id in decisions.csv", np.array([i for p in predicted for i in p.ids], dtype=object)),
        Column("label", "name of the class, after decisions.csv", label),
        Column("predicted", "the ensemble's most probable class", predicted_class),
        Column("answer", "the label, and the predicted class where it differs", answer),
        Column("wrong", "the predicted class is not the label", wrong),
        Column("loss", "-log p_label, nats: high for confident wrong predictions", joined(lambda p: p.loss)),
        Column("confidence", "the ensemble's probability of that class, 0 to 1", joined(lambda p: p.confidence)),
        Column("p_label", "the ensemble's probability of the label, 0 to 1", joined(lambda p: p.label_probability)),
        Column(
            "agreement",
            "share of the members that predict the same class as the ensemble, 0 to 1; each as often as it was chosen",
            joined(lambda p: p.agreement),
        ),
        Column("doubted", "contradicted with confidence; those of train and val are in suspects.csv", joined(_doubted)),
        Column("split", "val: used for choices alone; test: read once; train: where its label is in doubt", split),
        Column("test", WARNING, split == "test"),
    ]


def _doubted(predicted: SplitPredictions) -> np.ndarray:
    return np.isin(np.arange(len(predicted.ids)), predicted.doubted)


def _store_columns(store: Store, rows: list[int]) -> list[Column]:
    """The source's names, groups, metadata and features of each example; columns with one value alone are left out."""
    import pyarrow  # here, for it takes long to import

    table, columns = store.table(), []
    for field in table.schema:
        if field.name not in ("name", "group") and not field.name.startswith("meta_"):
            continue
        values, text = table[field.name], pyarrow.types.is_string(field.type)
        values = values.to_pylist() if text or not values.null_count else values.cast(pyarrow.float64()).to_numpy()
        values = np.array([("" if v is None else v) for v in values] if text else values, object if text else None)[
            rows
        ]
        if (values[1:] != values[:1]).any():
            columns.append(Column(field.name, field.metadata[b"meaning"].decode(), values))
    if store.kind == FEATURES:
        inputs = np.asarray(store.inputs)[rows]
        columns += [Column(f"x_{c}", f"the feature column `{c}`", inputs[:, i]) for i, c in enumerate(store.columns)]
    return columns


# ---- nearest training examples -----------------------------------------------------------------------------------


def _neighbours(chosen: np.ndarray, system: System, data: Data, test: Split) -> tuple[np.ndarray, str]:
    """((val + test + train, NEIGHBOURS) rows of these three in that order, -1 where not chosen; the space)."""
    net = system.members[int(np.argmax(system.counts))]
    layer = _last_matrix(net, data.val.x[:2])
    before = len(data.val) + len(test)
    index = np.full((before + len(data.train), NEIGHBOURS), -1)
    base = _features(net, layer, data.train.x)
    for at, split in ((0, data.val), (len(data.val), test)):
        rows = chosen[(chosen >= at) & (chosen < at + len(split))]
        if len(rows):
            near = nearest(_features(net, layer, split.x, rows - at), base, NEIGHBOURS)
            index[rows, : near.shape[1]] = before + near
    if len(rows := chosen[chosen >= before]):
        for row, near in zip(rows, before + nearest(base[rows - before], base, NEIGHBOURS + 1), strict=True):
            others = near[near != row][:NEIGHBOURS]
            index[row, : len(others)] = others
    return index, "the input of the net's last matrix" if layer else "the inputs"


def _last_matrix(net: nn.Module, x: Tensor) -> nn.Module | None:
    """The last nn.Linear, if it is used once and on a row per input; otherwise None."""
    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    if not layers:
        return None
    entering: list[Tensor] = []
    with layers[-1].register_forward_pre_hook(lambda _, args: entering.append(args[0])), torch.no_grad():
        net(x)
    return layers[-1] if len(entering) == 1 and len(entering[0]) == len(x) else None


def _features(net: nn.Module, layer: nn.Module | None, x, rows: np.ndarray | None = None) -> Tensor:
    """(N, D) float32 of all inputs, or of some rows: the inputs of `layer`, or the inputs themselves.

    More than MAX_FEATURES are projected at random, which preserves distances (Johnson and Lindenstrauss 1984).
    """
    batches = x.split(BATCH) if rows is None else (x[rows[at : at + BATCH]] for at in range(0, len(rows), BATCH))
    features, projection = [], None
    for batch in batches:
        entering = [batch]
        if layer:
            with (
                layer.register_forward_pre_hook(lambda _, args: entering.append(args[0])),  # noqa: B023
                torch.no_grad(),
            ):
                net(batch)
        flat = entering[-1].flatten(1).float().cpu()
        if flat.shape[1] > MAX_FEATURES:
            if projection is None:
                fixed = torch.Generator().manual_seed(0)
                projection = torch.randn(flat.shape[1], PROJECTED, generator=fixed) / PROJECTED**0.5
            flat = flat @ projection
        features.append(flat)
    return torch.cat(features)


def nearest(points: Tensor, base: Tensor, count: int) -> np.ndarray:
    """(N, <= count) rows of `base` (M, D), the nearest to each of `points` (N, D) first; ties by row."""
    count, rows = min(count, len(base)), []
    for batch in points.split(256):
        rough = torch.cdist(batch, base).topk(min(2 * count, len(base)), largest=False).indices
        # exactly, pair by pair: the fast formula is inexact near zero, and depends on the number of threads
        exact = (batch[:, None].double() - base[rough].double()).square().sum(-1)
        order = np.lexsort((rough.numpy(), exact.numpy()), axis=1)[:, :count]
        rows.append(np.take_along_axis(rough.numpy(), order, 1))
    return np.concatenate(rows)
