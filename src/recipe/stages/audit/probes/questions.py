"""Questions about the images that a linear probe answers before any network is trained.

Do local parts predict the class, or their arrangement? Does the position matter? How small can the images be? By which
factors do they vary, which of these predict the class, and what does it cost to remove one?
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.stages.audit.probes.factors import REMOVALS, between_classes, factors, label_gain, remove, variance_share
from recipe.stages.audit.probes.linear_probe import ProbeEstimate, estimate
from recipe.stages.audit.probes.patch_codes import reach
from recipe.stages.audit.probes.resolution import codes_of, hits_of, resolution, sizes, sufficient_sizes
from recipe.stages.audit.probes.results import (
    FEWEST,
    MARGIN,
    QUESTIONS,
    TOLERANCE,
    ProbeResult,
    change,
    interval,
    result,
    too_few,
    unmeasured,
)
from recipe.stages.audit.probes.sample import Sample, fitted, sample
from recipe.stages.audit.probes.structure import structure

SIDE = 32  # pixels; larger images are averaged down to it, except for the question of how small they can be
SMALLEST = 4  # pixels; smaller images have no distinguishable parts
REMOVING = {
    "brightness": "Equalising the brightness of all images",
    "contrast": "Equalising the contrast of all images",
    "colour": "Removing the colour of all images",
    "position": "Centring the content of all images (by a cyclic shift, which leaves a seam in full pictures)",
}


def run_probes(
    images: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
    most: int = 1200,
    say: Callable[[str], None] = lambda line: None,
) -> list[ProbeResult]:
    """All results about images (N, C, H, W), bytes or floats, with labels (N,) and groups (N,) of any type.

    The sample is at most `most` examples, as balanced as possible over the largest classes; accuracies are means over
    the classes. Examples of a group (copies, one writer) are in one fold. Where there are too few examples every
    verdict is `undecided`. `say` gets the progress.

    The classifier is ridge regression on codes of patches (Coates, Lee and Ng 2011). Every gain is relative to a
    control with the same number of features; intervals are of the paired difference. `seed` determines every bit.
    """
    with threadpool_limits(1):
        chosen = sample(images, np.asarray(labels), np.asarray(groups), seed, most)
        n, classes = len(chosen.examples.labels), len(np.unique(chosen.examples.labels))
        if n < FEWEST or classes < 2:
            return too_few(QUESTIONS, n, chosen.examples)
        small = fitted(chosen.images, SIDE)
        say("probes: arrangement and position of local parts")
        codes = codes_of(small, chosen.examples)
        results, hits = _structure(chosen, small, codes), hits_of(small, chosen.examples, codes)
        say("probes: smaller images")
        results.append(_resolution(chosen, hits if small is chosen.images else None))
        say("probes: factors of variation")
        results += _factors(chosen, small)
        say("probes: removal of factors")
        results += _removals(chosen, small, hits)
    return [replace(r, sentence=" ".join([r.sentence, *_conditions(r, chosen)])) for r in results]


def _conditions(r: ProbeResult, chosen: Sample) -> list[str]:
    """How the sample differs from the data set."""
    side = max(chosen.images.shape[2:]) if r.probe == "resolution" else SIDE
    smaller = [f"The images were downsampled from {chosen.side} to {side} pixels first."] if chosen.side > side else []
    return smaller + ([chosen.left_out] if chosen.left_out else [])


def _structure(chosen: Sample, small: np.ndarray, codes: list[np.ndarray]) -> list[ProbeResult]:
    n, chance = len(small), 100 / chosen.examples.classes
    if min(small.shape[2:]) < SMALLEST:
        return [unmeasured(p, n, "The images are too small to have parts.") for p in ("local", "context", "position")]
    e = structure(small, chosen.examples, codes)
    local, context, position = e["local"], e["context"], e["position"]
    parts = f"local parts ({100 * reach(small) / min(small.shape[2:]):.0f} % of the shorter side)"
    return [
        result(
            "local", local.verdict(chance + MARGIN), local, n,
            f"From {parts}, wherever they are, a linear probe predicts the class with {local.value:.1f} % accuracy "
            f"({interval(local, n)}; chance is {chance:.1f} %).",
        ),
        result(
            "context", context.verdict(MARGIN), context, n,
            f"The arrangement of {parts}, apart from their position, changes linear-probe accuracy by "
            f"{change(context, n)}.",
        ),
        result(
            "position", position.verdict(MARGIN), position, n,
            f"The position of the parts in the image changes linear-probe accuracy by {change(position, n)}.",
        ),
    ]  # fmt: skip


def _predicts(accuracy: ProbeEstimate, classes: int) -> bool:
    """Whether the probe predicts the class at all: where it does not, an unchanged accuracy means nothing."""
    return accuracy.verdict(100 / classes + MARGIN) == "yes"


def _resolution(chosen: Sample, hits: np.ndarray | None) -> ProbeResult:
    """`hits`: `hits_of` the images at full size, where they are known."""
    n, images = len(chosen.images), chosen.images
    if len(sizes(max(images.shape[2:]))) < 2:
        return unmeasured("resolution", n, "The images are too small to be made smaller.")
    curve = resolution(images, chosen.examples, hits_of(images, chosen.examples) if hits is None else hits)
    full, accuracy = curve[0].pixels, curve[0].accuracy
    value, low, high = sufficient_sizes(curve, TOLERANCE)
    verdict = "no" if low == full else "yes" if high < full else "undecided"
    shown = next(s for s in curve[1:] if s.pixels <= high)  # the proven size, else the next smaller than full
    sentence = (
        f"Downsampling from {full} to {shown.pixels} pixels changes linear-probe accuracy by "
        f"{change(shown.change, n)}; at {full} pixels it is {accuracy.value:.1f} %. {_sufficient(low, high, full)}"
    )
    predicts = _predicts(accuracy, chosen.examples.classes)
    e = ProbeEstimate(value, low, high)
    points = [
        (s.pixels, s.accuracy.value, accuracy.value + s.change.low, accuracy.value + s.change.high) for s in curve
    ]
    r = result("resolution", verdict if predicts else "undecided", e, n, sentence, pixels=high)
    return replace(r, curve=tuple((round(float(a), 4), round(b, 4), round(c, 4), round(d, 4)) for a, b, c, d in points))


def _sufficient(low: int, high: int, full: int) -> str:
    if low == full:
        return f"Every smaller size costs more than {TOLERANCE:.0f} points."
    proven = f"{high} pixels" if high < full else "No smaller size is shown to"
    return f"{proven} cost less than {TOLERANCE:.0f} points" + (f"; {low} pixels are undecided." if low < high else ".")


def _factors(chosen: Sample, small: np.ndarray) -> list[ProbeResult]:
    n, results = len(small), []
    for name, values in factors(small).items():
        gain = label_gain(values, chosen.examples)
        share = variance_share(values, small, chosen.examples)
        between = between_classes(values, chosen.examples.labels)
        results += [
            result(
                "label gain", gain.verdict(MARGIN), gain, n,
                f"Predicting the class from {name} alone changes balanced accuracy by {change(gain, n)} relative to "
                f"chance; {between:.0f} % of its variance is between the classes.",
                factor=name,
            ),
            result(
                "variance", share.verdict(MARGIN), share, n,
                f"A quadratic in {name} explains {share.value:.1f} % of the variance of the pixels "
                f"({interval(share, n)}, cross-validated).",
                factor=name,
            ),
        ]  # fmt: skip
    return results


def _removals(chosen: Sample, small: np.ndarray, before: np.ndarray) -> list[ProbeResult]:
    n, examples = len(small), chosen.examples
    predicts = _predicts(estimate(before, examples), examples.classes)
    results = []
    for name in REMOVALS:
        if name == "colour" and small.shape[1] != 3:
            continue
        e = estimate(hits_of(remove(name, small), examples) - before, examples)
        sentence = f"{REMOVING[name]} changes linear-probe accuracy by {change(e, n)}."
        if e.low > 0 and predicts:
            sentence += " It improves accuracy."
        verdict = e.verdict(-TOLERANCE) if predicts else "undecided"
        results.append(result("removal", verdict, e, n, sentence, factor=name))
    return results
