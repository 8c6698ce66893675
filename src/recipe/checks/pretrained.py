"""A pretrained network: it was loaded, gets what it was trained on, and what is frozen stays as it is.

The part is the one that is declared (`Declare(pretrained=("body",))`), else what most of the weights belong to where
they do not depend on the seed.
"""

import math

import torch
from torch import nn

from recipe.checks.measurements.optimizer_steps import declared_frozen, first_steps, model_at_start
from recipe.checks.measurements.pretrained import (
    PREPARATIONS,
    BatchNorm,
    entering,
    mismatch,
    own_range,
    pretrained_part,
    ranges,
    stretched,
    swapped_over_given,
    trained,
)
from recipe.checks.setup import Setup
from recipe.checks.verdicts import none_listed
from recipe.inputs.images import share_of_size
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, skip

EDGE = 0.02  # of a range of values, within which two ends are equal
NONE = "no pretrained part: none is declared, and the weights depend on the seed"
NO_PICTURES = "no pictures of three channels enter the pretrained part"


@check(source="pytorch/pytorch#141256, load_state_dict with strict=False")
def the_pretrained_part_is_loaded(s: Setup) -> Verdict:
    """Every weight of the pretrained part is the same for each seed, and its batch norm has statistics of a training.

    A body that was initialised after it was loaded, names that do not match under `strict=False`, a file that holds a
    part of the weights alone: what is missing is drawn at random, and nothing raises an error. A new head comes at the
    end. Is another part meant? Write `declare: {pretrained: [body]}` in params.yaml.
    """
    part = pretrained_part(s)
    if part is None:
        return skip(NONE)
    model = s.new_model()
    order = [n for n, _ in model.named_parameters()]
    if part.prefixes:
        missing = sorted(n for n in part.drawn if n.startswith(part.prefixes))
    else:  # between what was loaded; a new layer for the input comes before it, the head after it
        places = [order.index(n) for n in part.loaded]
        missing = [n for n in order[min(places) : max(places)] if n in part.drawn]
    inside = f"{part.name}." if part.name else ""
    fresh = [
        f"{n} (statistics of a new one)"
        for n, m in model.named_modules()
        if f"{n}.".startswith(inside) and isinstance(m, BatchNorm) and m.running_mean is not None and not trained(m)
    ]
    if part.prefixes and not any(n.startswith(part.prefixes) for n in order):
        return Verdict(FAIL, f"no parameter begins with {' or '.join(part.prefixes)}", "a part of the model")
    return none_listed(missing + fresh, len(order))


@check(source="mr-eggplant/FOA#2; RobustBench/robustbench#106; geyan21/ManiFlow_Policy#20")
def inputs_suit_the_pretrained_part(s: Setup, mismatch_limit: float = 0.2, times: float = 3.0) -> Verdict:
    """Images reach the pretrained part with the range of values that it was trained on.

    Another family's mean and std, 0..255 in place of 0..1, no normalisation, or twice: its features become worse, and
    nothing raises an error. Where the first batch norm says so, the value is how far what arrives is from its running
    statistics (Kullback-Leibler, median over channels), and the bound follows from what it would be with images
    stretched to the right range. Else the value is how far values lie outside of that range.
    """
    part, x = pretrained_part(s), entering(s)
    if part is None or x is None:
        return skip(NONE if part is None else NO_PICTURES)
    known = [(part.mean, part.std)] if part.mean else list(PREPARATIONS)
    arrived = mismatch(s, x)
    if not arrived:
        return _outside(s, x.double().cpu()) if part.mean else skip("it has neither batch norm nor a configuration")
    best, preparation = min((mismatch(s, stretched(x, *each))[0], each) for each in known)
    finding = (
        f"What arrives differs from the pretrained part's own statistics by {arrived[0]:.3g}; with black and white at "
        f"the values of {_preparation(*preparation)} it would be {best:.3g}. {_ranges(x)} Prepare images as in its "
        "pretraining."
    )
    if part.mean and _possible(x, preparation):  # pictures of another kind than in its pretraining, dark ones perhaps
        return Verdict(PASS, arrived[0], "values in its own range")
    limit = times * best if part.mean else max(mismatch_limit, 3 * times * best)
    return below(arrived[0], limit, finding=finding)


def _outside(s: Setup, x: torch.Tensor, tolerance: float = 0.05) -> Verdict:
    """By how much values lie outside of the own range, as a share of its width, without a batch norm that could say."""
    part = pretrained_part(s)
    assert part is not None
    (low, high), (black, white) = ranges(x), own_range(part.mean, part.std)
    width = white - black
    beyond = torch.maximum((black - low) / width, (high - white) / width).max().item()
    finding = f"{_ranges(x)} {_preparation(part.mean, part.std)}, its own, gives none outside of these. Use it."
    return below(max(0.0, beyond), tolerance, finding=finding)


def _possible(x: torch.Tensor, own: tuple[tuple[float, ...], tuple[float, ...]]) -> bool:
    """Values lie within the own range, and do not fill just that of another preparation, as 0..1 in place of -1..1."""
    low, high = (t.double().cpu() for t in ranges(x))

    def ends(preparation: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        """How far the lowest lie above black and the highest above white, as shares of the range."""
        black, white = own_range(*preparation)
        return (low - black) / (white - black), (high - white) / (white - black)

    above_black, above_white = ends(own)
    if bool((above_black < -EDGE).any() or (above_white > EDGE).any()):
        return False
    others = (ends(each) for each in PREPARATIONS if each != own)
    return not any(bool((a.abs() < EDGE).all() and (b.abs() < EDGE).all()) for a, b in others)


def _ranges(x: torch.Tensor) -> str:
    low, high = ranges(x)
    shown = ", ".join(f"{a:.3g} to {b:.3g}" for a, b in zip(low.tolist(), high.tolist(), strict=True))
    return f"Its channels range over {shown}."


def _preparation(mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    m, s = (", ".join(f"{v:.4g}" for v in values) for values in (mean, std))
    return f"mean ({m}) and std ({s})"


@check(source="Touvron et al. 2019, fixing the train-test resolution discrepancy")
def images_have_the_size_of_pretraining(s: Setup, share: float = 0.3333) -> Verdict:
    """Images reach the pretrained part with at least a third of the height and width of its pretraining.

    A resize is missing: its filters look for details of another size. On ants and bees, a linear probe on an
    EfficientNet-lite0 made for 224 pixels has an accuracy of 0.95 at 224, 0.91 at 128 and 0.82 at 64. The value is the
    smaller share of the two sides.
    """
    part, x = pretrained_part(s), entering(s)
    if part is None or x is None or len(part.size) != 2:
        return skip(NONE if part is None else "the size of its pretraining is not known")
    smallest = share_of_size(x.shape[2:], part.size)
    finding = (
        f"Images of {x.shape[2]}x{x.shape[3]} pixels enter a network made for {part.size[0]}x{part.size[1]}. Enlarge "
        "them; from half of the size on, little is lost."
    )
    return above(smallest, share, finding=finding)


@check(source="CondadosAI/modern-yolonas#7; xiaochus/YOLOv3#22", gate=False)
def colours_are_in_order(s: Setup, least: float = 0.03) -> Verdict:
    """Red, green and blue reach the pretrained part in the order of its training.

    OpenCV's blue, green, red. Look at a picture: blue scenes, as ships and planes, may look like this as well, so it is
    a note. The value is the mean log ratio, over the first batch norms, of the mismatch with the channels in reverse to
    the mismatch as they are, in the better half of the examples; photographs in order have 0.05 to 0.3.
    """
    part, x = pretrained_part(s), entering(s)
    if part is None or x is None:
        return skip(NONE if part is None else NO_PICTURES)
    if x[:, 0].equal(x[:, 2]):
        return skip("the images are grey")
    half = len(x) // 2
    ratios = [swapped_over_given(s, each) for each in (x[:half], x[half:])]
    if not half or any(math.isnan(ratio) for ratio in ratios):
        return skip("no batch norm with statistics of a training")
    finding = "With red and blue exchanged, the images suit the pretrained part better. Look at one: is it BGR?"
    return above(max(ratios), -least, finding=finding)


@check(source="pytorch/pytorch#86590; lightly-ai/lightly#1438; pgniewko/gt-pyg#112", gate=False)
def frozen_statistics_stay(s: Setup) -> Verdict:
    """The statistics of a frozen part do not move in training.

    `requires_grad=False` freezes weights alone: batch norm in train mode goes on averaging. Put the part into eval mode
    after each `model.train()`. Some adapt the statistics on purpose, so this is a note. The value counts
    those that moved.
    """
    after, start = first_steps(s).model, model_at_start(s)
    frozen = [n for n, m in start.named_modules() if isinstance(m, BatchNorm) and trained(m) and _frozen(s, n, m)]
    if not frozen:
        return skip("no frozen batch norm with statistics of a training")
    before, now = start.state_dict(), after.state_dict()
    moved = [n for n in frozen if not before[f"{n}.running_mean"].equal(now[f"{n}.running_mean"])]
    return none_listed(moved, len(frozen))


def _frozen(s: Setup, name: str, norm: nn.Module) -> bool:
    weights = list(norm.named_parameters())
    return bool(weights) and all(not p.requires_grad or declared_frozen(s, f"{name}.{n}") for n, p in weights)
