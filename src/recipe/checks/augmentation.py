"""Augmentation: random, for train alone, and of a kind that leaves the input legible and its label true."""

import multiprocessing

import torch
from torch import Tensor

from recipe.checks.inputs import numbers
from recipe.checks.measurements.short_run import train
from recipe.checks.setup import Mapped, Setup, once
from recipe.rng import seeded
from recipe.verdict import Verdict, above, below, check, exactly, skip

NONE = "there is no augmentation"


def _given(s: Setup) -> bool:
    return s.augment is not None or s.train_augmented is not None


def _views(s: Setup, example: int, times: int) -> list[Tensor]:
    """The same training example as the augmented data set gives it, again and again."""
    index = list(s.index(s.train))[example]
    if s.train_augmented is not None:
        return [torch.as_tensor(s.train_augmented[index][0]) for _ in range(times)]
    return [torch.as_tensor(s.augment(s.train[index][0])) for _ in range(times)]


@check(source="Recipe 4, data augmentation")
def augmentation_pairs_inputs_with_labels(s: Setup) -> Verdict:
    """The augmented data set has the examples of the plain one, in the same order, with the same targets.

    An index that is drawn twice, once for the input and once for the target; a list that was shuffled or filtered in
    one of the two.
    """
    if s.train_augmented is None:
        return skip("no augmented data set")
    with seeded(s.seed, "pairs"):
        index = list(s.index(s.train))[:256]
        pairs = [(torch.as_tensor(s.train[i][1]), torch.as_tensor(s.train_augmented[i][1])) for i in index]
    wrong = sum(a.shape != b.shape or not torch.equal(a, b) for a, b in pairs)
    return exactly(wrong + abs(len(s.train_augmented) - len(s.train)), 0)


@check(source="Pärnamaa 2021, data loading randomness; pytorch/pytorch#5059")
def augmentation_is_random(s: Setup) -> Verdict:
    """The same example comes out differently when it is drawn again.

    A seed that is set inside the transform or by the index, parameters drawn once when the transform was built, a cache
    behind the augmentation. The value is the largest number of distinct views of one example, of 24.
    """
    if not _given(s):
        return skip(NONE)
    with seeded(s.seed, "views"):
        counts = [len({v.numpy(force=True).tobytes() for v in _views(s, i, 24)}) for i in range(min(8, len(s.train)))]
    return above(max(counts), 1)


@check(source="Recipe 2, visualize just before the net; Recipe 4, data augmentation")
def augmentation_keeps_the_input(s: Setup, blank: float = 0.05, ratio: float = 4.0) -> Verdict:
    """Augmented inputs are inputs still: of the same kind and scale, and not wiped out.

    A crop or erasing of everything, scaling that is done again after the augmentation, a clamp to 0..1 of standardised
    values. The value is the spread of the augmented inputs over that of the plain ones.
    """
    if not _given(s) or not numbers(s):
        return skip(NONE if not _given(s) else "the inputs are indices")
    count = min(64, len(s.index(s.train)))
    with seeded(s.seed, "kept"):
        views = [view.float() for i in range(count) for view in _views(s, i, 4)]
    plain = s.seen[0][:count].float().cpu()
    if any(v.dtype != plain.dtype or v.shape != plain[0].shape for v in views):
        return skip("augmented inputs have a shape of their own")
    rows, before = torch.stack(views).flatten(1), plain.flatten(1)
    if not rows.isfinite().all():
        return exactly(int((~rows.isfinite()).any(1).sum()), 0)
    wiped = max(0.0, (rows.std(1) < 1e-6).float().mean().item() - (before.std(1) < 1e-6).float().mean().item())
    if before.shape[1] >= 4 and wiped > blank:
        return below(wiped, blank)
    # around the plain mean, so that a brightness far off counts as well
    scale = ((rows - before.mean()).square().mean().sqrt() / before.std().clamp_min(1e-12)).item()
    verdict = above(scale, 1 / ratio)
    return below(scale, ratio) if verdict.ok else verdict


@check(source="Pärnamaa 2021, data loading randomness; pytorch/pytorch#56488")
def workers_draw_their_own(s: Setup, share: float = 0.25) -> Verdict:
    """Several loader workers, and several epochs, repeat no augmentation beyond what one process does.

    A generator that the data set holds (`default_rng`, `RandomState`, `random.Random`): each worker gets a copy of
    it, and
    a new copy each epoch. Draw from torch's generator, or seed yours in `worker_init_fn`. The value is the share of
    repeated views beyond those of one process.
    """
    if not _given(s) or s.workers == 0:
        return skip("no augmentation by workers")
    if "fork" not in multiprocessing.get_all_start_methods() or torch.as_tensor(s.train[0][0]).is_cuda:
        return skip("needs workers that are forked, and data that is not on a GPU")
    alone, together = _repeated(s, 0), _repeated(s, max(2, s.workers))
    return below(together - alone, share)


def _repeated(s: Setup, workers: int) -> float:
    """The share of repeats among one example drawn 24 times in each of two epochs."""
    dataset = s.train_augmented
    index = s.index(s.train)[0]
    if dataset is None:
        views = Mapped(s.train, [index] * 24, lambda x, y: (s.augment(x), y))
    else:
        views = Mapped(dataset, [index] * 24, lambda x, y: (x, y))
    more = {"multiprocessing_context": "fork", "num_workers": workers} if workers else {}
    with seeded(s.seed, "workers"):
        loader = s.loader(views, batch_size=4, shuffle=False, collate_fn=None, **more)
        seen = [row.numpy(force=True).tobytes() for _ in range(2) for x, _ in loader for row in x]
    return 1 - len(set(seen)) / len(seen)


@once
def _plain(s: Setup):
    """A model that was trained without augmentation."""
    return train(s, augmented=False).model


@check(source="robertklee/COCO-Human-Pose#29; zllrunning/face-parsing.PyTorch#26; Recipe 4, data augmentation")
def augmentation_keeps_the_label(s: Setup, share: float = 0.25, sure: float = 0.8, least: int = 6) -> Verdict:
    """A model trained without augmentation does not surely take one class for another when inputs are augmented.

    A flip or a turn makes another class of it (6 and 9, left and right, b and d). Strong augmentation makes a model
    unsure
    or scatters its answers; a changed label sends one class to one other. The value is the largest share of a class.
    """
    if not _given(s) or s.kind not in ("classification", "binary") or s.seen[1].ndim > 1:
        return skip(NONE if not _given(s) else "not one label per example")
    model, (x, y) = _plain(s), s.seen
    index = list(s.index(s.train))
    few = torch.linspace(0, len(y) - 1, min(600, len(y))).long()
    with seeded(s.seed, "labels"):
        views = [(torch.as_tensor(v), int(y[i])) for i in few.tolist() for v in _views(s, i, 2)]
    if any(v.shape != x[0].shape for v, _ in views) or len(index) != len(y):
        return skip("augmented inputs have a shape of their own")
    labels = torch.tensor([label for _, label in views])
    p = _probabilities(s, s.outputs(model, torch.stack([v for v, _ in views]).to(s.device))).cpu()
    clean = _probabilities(s, s.outputs(model, x[few.to(x.device)])).argmax(1).cpu().repeat_interleave(2)
    # what the model does not know of the plain input it need not know here; a view that changed nothing says nothing
    plain = (x[i].cpu() for i in few.repeat_interleave(2).tolist())
    known = (clean == labels) & torch.tensor([not v.cpu().equal(p) for (v, _), p in zip(views, plain, strict=True)])
    confidence, answer = p.max(1)
    worst = 0.0
    for c in labels.unique():
        of = (labels == c) & known
        other = answer[of & (confidence > sure) & (answer != c)]
        if len(other) >= least:
            worst = max(worst, int(other.bincount().max()) / int(of.sum()))
    return below(worst, share)


def _probabilities(s: Setup, outputs: Tensor) -> Tensor:
    from recipe.checks import loss

    needed = loss.reach(s).needed
    if s.kind == "binary":
        p = outputs.reshape(len(outputs)) if needed else outputs.reshape(len(outputs)).sigmoid()
        return torch.stack([1 - p, p], 1)
    return (outputs.log().clamp_min(-50) if needed and outputs.min() >= 0 else outputs).softmax(1)
