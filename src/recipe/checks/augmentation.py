"""Augmentation: random, only for train, and of a kind that leaves the input readable and its label true."""

import multiprocessing
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from recipe.checks.examples import MappedExamples, same
from recipe.checks.measurements.batch_capture import has_numeric_inputs
from recipe.checks.measurements.scoring import probabilities
from recipe.checks.measurements.short_run import model_without_augmentation
from recipe.checks.parts import main
from recipe.checks.setup import Setup
from recipe.rng import seeded
from recipe.verdict import DoesNotApply, Verdict, above, below, check, exactly, skip

NO_AUGMENTATION = "there is no augmentation"
OTHER_SHAPE = "augmented inputs have another shape"


def _is_augmented(s: Setup) -> bool:
    return s.augment is not None or s.train_augmented is not None


def _augmented(s: Setup, index: int) -> Tensor:
    """A training example as the augmented data set gives it."""
    if s.train_augmented is not None:
        return _tensor(s.example(s.train_augmented, index)[0])
    assert s.augment is not None
    return _tensor(s.augment(s.example(s.train, index)[0]))


def _tensor(value: Any) -> Tensor:
    """Raises DoesNotApply where the input is no single array of numbers."""
    if isinstance(value, Mapping | tuple):
        raise DoesNotApply("the inputs have several parts")
    return torch.as_tensor(value)


def _views(s: Setup, example: int, times: int) -> list[Tensor]:
    """The same training example, augmented again and again."""
    index = list(s.index(s.train))[example]
    return [_augmented(s, index) for _ in range(times)]


@check(source="Recipe 4, data augmentation")
def augmentation_pairs_inputs_with_labels(s: Setup) -> Verdict:
    """The augmented data set has the examples of the plain one, in the same order, with the same targets.

    An index that is drawn twice, once for the input and once for the target; a list that was shuffled or filtered in
    one of the two. The value counts examples that differ.
    """
    augmented = s.train_augmented
    if augmented is None:
        return skip("no augmented data set")
    with seeded(s.seed, "pairs"):
        index = list(s.index(s.train))[:256]
        pairs = [(s.example(s.train, i)[1], s.example(augmented, i)[1]) for i in index]
    wrong = sum(not same(a, b) for a, b in pairs)
    return exactly(wrong + abs(len(augmented) - len(s.train)), 0)


@check(source="Pärnamaa 2021, data loading randomness; pytorch/pytorch#5059")
def augmentation_is_random(s: Setup) -> Verdict:
    """The same example is augmented differently each time.

    A seed that is set inside the transform or by the index, parameters drawn once when the transform was built, a cache
    behind the augmentation. The value is the largest number of distinct views of one example, of 24.
    """
    if not _is_augmented(s):
        return skip(NO_AUGMENTATION)
    with seeded(s.seed, "views"):
        counts = [len({v.numpy(force=True).tobytes() for v in _views(s, i, 24)}) for i in range(min(8, len(s.train)))]
    return above(max(counts), 1)


@check(source="Recipe 2, visualize just before the net; Recipe 4, data augmentation")
def augmentation_keeps_the_input(s: Setup, blank: float = 0.05, ratio: float = 4.0) -> Verdict:
    """Augmented inputs have the same kind and scale as plain ones, and still have content.

    A crop or erasing of everything, scaling that is repeated after the augmentation, a clamp to 0..1 of standardised
    values. The value is the spread of the augmented inputs over that of the plain ones, or the share of blank inputs.
    """
    if not _is_augmented(s) or not has_numeric_inputs(s):
        return skip(NO_AUGMENTATION if not _is_augmented(s) else "the inputs are indices")
    count = min(64, len(s.index(s.train)))
    with seeded(s.seed, "kept"):
        views = [view.float() for i in range(count) for view in _views(s, i, 4)]
    plain = main(s.train_tensors[0])[:count].float().cpu()
    if any(v.dtype != plain.dtype or v.shape != plain[0].shape for v in views):
        return skip(OTHER_SHAPE)
    rows, before = torch.stack(views).flatten(1), plain.flatten(1)
    if not rows.isfinite().all():
        return exactly(int((~rows.isfinite()).any(1).sum()), 0)
    blanked = max(0.0, (rows.std(1) < 1e-6).float().mean().item() - (before.std(1) < 1e-6).float().mean().item())
    if before.shape[1] >= 4 and blanked > blank:
        return below(blanked, blank)
    # around the plain mean, so that a large change of brightness counts as well
    scale = ((rows - before.mean()).square().mean().sqrt() / before.std().clamp_min(1e-12)).item()
    verdict = above(scale, 1 / ratio)
    return below(scale, ratio) if verdict.ok else verdict


@check(source="Pärnamaa 2021, data loading randomness; pytorch/pytorch#56488")
def workers_draw_their_own(s: Setup, share: float = 0.25) -> Verdict:
    """Several loader workers, and several epochs, repeat augmentations no more often than one process does.

    A generator that the data set holds (`default_rng`, `RandomState`, `random.Random`): each worker gets a copy of it,
    and a new copy each epoch. Draw from torch's generator, or seed yours in `worker_init_fn`. The value is the share of
    repeated views beyond those of one process.
    """
    if not _is_augmented(s) or s.workers == 0:
        return skip("no augmentation by workers")
    forks = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"  # macOS: unsafe after torch
    if not forks or any(t.is_cuda for t in tree_leaves(s.train[0]) if isinstance(t, Tensor)):
        return skip("needs workers that are forked, and data that is not on a GPU")
    one_process, several = _share_of_repeats(s, 0), _share_of_repeats(s, max(2, s.workers))
    return below(several - one_process, share)


def _share_of_repeats(s: Setup, workers: int) -> float:
    """The share of repeats among one example drawn 24 times in each of two epochs."""
    dataset, augment = s.train_augmented, s.augment
    index = s.index(s.train)[0]
    if not s.form.pair:
        raise DoesNotApply("the examples are not pairs of an input and a target")
    if dataset is not None:
        views = MappedExamples(dataset, [index] * 24, lambda x, y: (x, y))
    else:
        assert augment is not None
        views = MappedExamples(s.train, [index] * 24, lambda x, y: (augment(x), y))
    more: dict[str, Any] = {"multiprocessing_context": "fork", "num_workers": workers} if workers else {}
    with seeded(s.seed, "workers"):
        loader = s.loader(views, batch_size=4, shuffle=False, collate_fn=None, **more)
        contents = [row.numpy(force=True).tobytes() for _ in range(2) for x, _ in loader for row in x]
    return 1 - len(set(contents)) / len(contents)


@check(source="robertklee/COCO-Human-Pose#29; zllrunning/face-parsing.PyTorch#26; Recipe 4, data augmentation")
def augmentation_keeps_the_label(s: Setup, share: float = 0.25, sure: float = 0.8, least: int = 6) -> Verdict:
    """A model trained without augmentation does not confidently take augmented inputs of one class for another class.

    A flip or a rotation turns an input into one of another class (6 and 9, left and right, b and d). Strong
    augmentation makes a model less confident or spreads its answers over classes; a changed label moves one class to
    one other. The value is the largest share of a class that moves.
    """
    if not _is_augmented(s) or not s.one_label_per_example:
        return skip(NO_AUGMENTATION if not _is_augmented(s) else "not one label per example")
    model, (x, y) = model_without_augmentation(s), [main(part) for part in s.train_tensors]
    index = list(s.index(s.train))
    few = torch.linspace(0, len(y) - 1, min(600, len(y))).long()
    with seeded(s.seed, "labels"):
        views = [(torch.as_tensor(v), int(y[i])) for i in few.tolist() for v in _views(s, i, 2)]
    if any(v.shape != x[0].shape for v, _ in views) or len(index) != len(y):
        return skip(OTHER_SHAPE)
    labels = torch.tensor([label for _, label in views])
    p = probabilities(s, s.outputs(model, torch.stack([v for v, _ in views]).to(s.device))).cpu()
    clean = probabilities(s, s.outputs(model, x[few.to(x.device)])).argmax(1).cpu().repeat_interleave(2)
    # only views of inputs that the model classifies correctly count, and only views that differ from the input
    plain = (x[i].cpu() for i in few.repeat_interleave(2).tolist())
    counted = (clean == labels) & torch.tensor([not v.cpu().equal(i) for (v, _), i in zip(views, plain, strict=True)])
    confidence, answer = p.max(1)
    worst = 0.0
    for c in labels.unique():
        of_class = (labels == c) & counted
        other = answer[of_class & (confidence > sure) & (answer != c)]
        if len(other) >= least:
            worst = max(worst, int(other.bincount().max()) / int(of_class.sum()))
    return below(worst, share)
