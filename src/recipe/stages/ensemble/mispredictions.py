"""The mispredictions of the final system: an explorer page over val and test, and the labels that it contradicts.

Karpathy, "become one with the data": a net is a compressed version of the data set, so its mispredictions show where
they come from. Each one is shown with the training examples that the net considers the most similar. With folds, val
and train of the page are those of the first fold, predicted by its networks, and test is predicted by all; labels are
doubted in every fold, each by the networks that were not trained on it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from recipe.config.instantiate import data_name
from recipe.data.batches import Data, Split
from recipe.data.decisions import COLUMNS
from recipe.data.store import Store
from recipe.explorer import MAX_EXAMPLES, Column, Roles, explorer, sample_rows
from recipe.files import write_csv, write_text
from recipe.models.fine_tuned import FineTuned
from recipe.serve.system import BATCH, System
from recipe.stages.ensemble.final_system import FinalSystem
from recipe.stages.runner import Run
from recipe.tasks.answers import Answers

NEIGHBOURS = 5  # nearest training examples
DOUBTS = 500  # doubted training examples on the page, the greatest loss first
MAX_FEATURES = 2048  # more are projected down to PROJECTED
PROJECTED = 512
ROLES = Roles(
    id="id", label="label", suggested="predicted", suspect="loss", wrong="wrong", order="loss", caption="answer",
    guarded="test",
)  # fmt: skip
ROLES_OF_QUANTITIES = replace(ROLES, label="", suggested="", suspect="", wrong="")  # a page without confusions
WARNING = (
    "counts for the final score: a label that is changed here because the model disagrees makes that score too good. "
    "Judge it without seeing the prediction, together with correctly predicted examples, or leave it"
)


@dataclass(frozen=True)
class SplitPredictions:
    """What the system predicts for the N examples of a split."""

    split: str
    ids: list[str]
    p: Tensor  # (N, K) predictions
    actual: Tensor  # (N,) or (N, K) targets
    loss: np.ndarray  # (N,)
    agreement: np.ndarray  # (N,) of the members: see Answers.agreement
    answers: Answers

    @property
    def wrong(self) -> np.ndarray:
        return self.answers.wrong(self.p, self.actual).numpy()

    @property
    def trained_on(self) -> bool:
        return self.split == "train"

    @property
    def doubted(self) -> np.ndarray:
        """The examples whose label the system contradicts clearly, the greatest loss first."""
        contradicted = np.flatnonzero(self.answers.doubted(self.p, self.actual, self.trained_on).numpy())
        return contradicted[np.argsort(-self.loss[contradicted], kind="stable")]


def write(
    run: Run, final: FinalSystem, data: Data, test: Split, known: Mapping[str, Tensor] = MappingProxyType({})
) -> str:  # fmt: skip
    """Writes mispredictions.html and suspects.csv; gives a sentence on the labels that are in doubt.

    known: {split: each member's predictions (M, N, K)}, which need not be computed again.
    """
    whole, first = final.system, final.system.of_fold(0)
    predicted = [
        predict_split(whole if name == "test" else first, name, split, data, known.get(name))
        for name, split in splits(data, test).items()
    ]
    each_fold = [predict_split(whole.of_fold(k), "val", fold.val, data) for k, fold in enumerate(data.folds)]
    html = page(predicted, final, data, test, title=data_name(run.cfg), seed=run.cfg.seed)
    write_text(run.out / "mispredictions.html", html)
    write_csv(run.out / "suspects.csv", proposals(each_fold or predicted), COLUMNS)
    return sentence_of_folds(each_fold, predicted[1]) if each_fold else sentence(predicted)


def splits(data: Data, test: Split) -> dict[str, Split]:
    """In the order of the page."""
    return {"val": data.val, "test": test, "train": data.train}


def predict_split(
    system: System, name: str, split: Split, data: Data, known: Tensor | None = None
) -> SplitPredictions:  # fmt: skip
    answers, batches = system.answers, []
    for members in _member_predictions(system, split, data) if known is None else [known]:
        averaged = system.average(members)
        batches.append((averaged, answers.agreement(members, system.counts, averaged)))
    p, agreement = (torch.cat(parts) for parts in zip(*batches, strict=True))
    actual = system.task.actual(split.y.cpu())
    return SplitPredictions(
        split=name, ids=split.ids, p=p, actual=actual, loss=system.task.losses(p, actual).numpy(),
        agreement=agreement.numpy(), answers=answers,
    )  # fmt: skip


def _member_predictions(system: System, split: Split, data: Data) -> Iterator[Tensor]:
    """(M, n, K) of `BATCH` examples at a time."""
    raw = data.raw_of(split).x.split(BATCH) if system.fine_tuned else repeat(None)
    entering = zip(*(part.x.split(BATCH) for part in split.parts), strict=True)
    for x, unembedded in zip(entering, raw, strict=False):
        yield system.member_predictions(*x, raw=unembedded)


# ---- doubted labels ----------------------------------------------------------------------------------------------


def proposals(predicted: list[SplitPredictions]) -> list[dict]:
    """Lines for decisions.csv: the labels of train and val that the system contradicts, the greatest loss first.

    They are proposals: the user inspects them, deletes those whose label is right, and gives the rest to `recipe
    decide`. None is of test: labels corrected by the model's own predictions make its score too good. No weight was
    trained on val. The members were trained on train and may have memorised wrong labels there: a label that they
    contradict all the same is the more suspect.
    """
    trained_on = {"val": "no member was trained on it", "train": "the members were trained on this label"}
    doubts = [(-p.loss[i], p.split, i, p) for p in predicted if p.split in trained_on for i in p.doubted]
    lines = []
    for _, split, i, p in sorted(doubts, key=lambda doubt: doubt[:3]):
        label, reason = p.answers.proposal(p.p[i], p.actual[i])
        reason = f"{split}: {reason}; {trained_on[split]}"
        lines.append({"id": p.ids[i], "action": "relabel", "label": label, "reason": reason})
    return lines


def sentence(predicted: list[SplitPredictions]) -> str:
    counts, answers = {p.split: len(p.doubted) for p in predicted}, predicted[0].answers
    return (
        f"The ensemble contradicts {counts['train']} labels of train {answers.doubt(True)}, although it was trained on "
        f"them, and {counts['val']} of val {answers.doubt(False)}. They are in suspects.csv: inspect them, then give "
        f"the wrong ones to `recipe decide`. It also contradicts {counts['test']} labels of test, for inspection only."
    )


def sentence_of_folds(each: list[SplitPredictions], on_test: SplitPredictions) -> str:
    return (
        f"In {len(each)} folds, the networks contradict {sum(len(p.doubted) for p in each)} labels of train and val "
        f"{on_test.answers.doubt(False)}, on none of which they were trained. They are in suspects.csv: inspect them, "
        f"then give the wrong ones to `recipe decide`. All networks together also contradict {len(on_test.doubted)} "
        "labels of test, for inspection only."
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
    named = on_val.answers.right(on_val.p, on_val.actual) is not None
    initial_filter = {"wrong": ["yes"]} | ({"split": ["val", "test"]} if len(doubts) else {})
    rows = store.rows([i for p in predicted for i in p.ids])
    columns, texts = _columns(predicted, wrong), store.texts()
    return explorer(
        [*columns, *_store_columns(store, rows)],
        ROLES if named else ROLES_OF_QUANTITIES,
        title=f"{title}: mispredictions",
        summary=f"{on_val.wrong.sum():,} of {len(on_val.ids):,} predictions on val are {on_val.answers.wrong_word}, "
        f"{on_test.wrong.sum():,} of {len(on_test.ids):,} on test; {len(on_train.doubted):,} labels of train are in "
        f"doubt; {len(final.system.members)} members are averaged",
        picture=(lambda i: store.picture(rows[i])) if store.kind.has_pixels else None,
        text=None if store.kind.axes else [texts[row] for row in rows],
        classes=on_val.answers.names,
        entry=final.system.task.labels.entry,
        measured=on_val.answers.measured,
        neighbours=neighbours,
        neighbours_heading=f"Nearest training examples, by {space}",
        only_neighbours=neighbours_only,
        initial_filter=initial_filter,
        flagged=None if named else wrong,
        limit=MAX_EXAMPLES,
        seed=seed,
    )


def _columns(predicted: list[SplitPredictions], wrong: np.ndarray) -> list[Column]:
    answers = predicted[0].answers

    def joined(of: Callable[[SplitPredictions], Sequence | np.ndarray]) -> np.ndarray:
        values = [value for p in predicted for value in of(p)]
        return np.array(values, dtype=object if isinstance(values[0], str) else None)

    label = joined(lambda p: answers.shown(p.actual))
    suggested = joined(lambda p: answers.shown(answers.decided(p.p)))
    answer = np.where(wrong, label + " → " + suggested, label).astype(object)
    split = joined(lambda p: [p.split] * len(p.ids))
    details = [answers.details(p.p, p.actual) for p in predicted]
    return [
        Column("id", "the id in decisions.csv", joined(lambda p: p.ids)),
        Column("label", answers.label_meaning, label),
        Column("predicted", answers.predicted_meaning, suggested),
        Column("answer", "the label, and the prediction where it is wrong", answer),
        Column("wrong", answers.wrong_meaning, wrong),
        Column("loss", answers.loss_meaning, joined(lambda p: p.loss)),
        *(
            Column(name, meaning, np.concatenate([_array(values[name][1]) for values in details]))
            for name, (meaning, _) in details[0].items()
        ),
        Column("agreement", answers.agreement_meaning, joined(lambda p: p.agreement)),
        Column("doubted", "clearly contradicted; those of train and val are in suspects.csv", joined(_doubted)),
        Column("split", "val: used for choices alone; test: read once; train: where its label is in doubt", split),
        Column("test", WARNING, split == "test"),
    ]


def _array(values: list) -> np.ndarray:
    return np.array(values, dtype=object if values and isinstance(values[0], str) else None)


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
    if store.kind.has_columns:
        inputs = np.asarray(store.inputs)[rows]
        columns += [Column(f"x_{c}", f"the feature column `{c}`", inputs[:, i]) for i, c in enumerate(store.columns)]
    return columns


# ---- nearest training examples -----------------------------------------------------------------------------------


def _neighbours(chosen: np.ndarray, system: System, data: Data, test: Split) -> tuple[np.ndarray, str]:
    """((val + test + train, NEIGHBOURS) rows of these three in that order, -1 where not chosen; the space)."""
    first = system.of_fold(0)  # its networks take these inputs
    net = first.members[int(np.argmax(first.counts))]
    layer = (
        None if isinstance(net, FineTuned) else _last_matrix(net, data.val.x[:2])
    )  # it is far dearer than its features
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
    inputs = "the features of the pretrained network" if isinstance(net, FineTuned) else "the inputs"
    return index, "the input of the net's last matrix" if layer else inputs


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
