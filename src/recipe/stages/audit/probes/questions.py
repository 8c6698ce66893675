"""Questions that a linear probe answers before any network is trained, each as a sentence with a number.

Local parts or their arrangement? Does the place matter? How small may the images be? In which ways do they vary, which
of these tell the class, and what does it cost to take one out?
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from recipe.stages.audit.probes.factors import REMOVALS, between_classes, factors, label_gain, variance_share, without
from recipe.stages.audit.probes.linear_probe import FOLDS, Estimate, estimate
from recipe.stages.audit.probes.patch_codes import reach
from recipe.stages.audit.probes.resolution import Size, enough, resolution, seen, sizes
from recipe.stages.audit.probes.sample import Sample, fitted, sample
from recipe.stages.audit.probes.structure import structure

MARGIN = 5.0  # points: smaller gains are no reason to build anything
TOLERANCE = 2.0  # points: what a smaller size, or an image without a factor, may cost
FEWEST = 200  # examples; with fewer, every interval is wider than what it could tell
SIDE = 32  # pixels; larger images are averaged down to it, but where the question is how small they may be
SMALLEST = 4  # pixels; of smaller images no parts are told apart

QUESTIONS = {
    "local": "Are local parts enough, wherever they are?",
    "context": "Does it matter how parts are arranged?",
    "position": "Does it matter where in the image something is?",
    "resolution": "May the images be made smaller?",
    "label gain": "Does this variation alone tell the class?",
    "variance": "Is this a large part of how the images vary?",
    "removal": "May this variation be taken out?",
}


@dataclass(frozen=True)
class Finding:
    """An answer with its number. The values are in points of a hundred; of `resolution`, in pixels of the longer side.

    value, low and high are None where nothing was measured. resolution: the smallest size that is enough, the smallest
    that is not excluded, the smallest that is proven; curve: (size, accuracy, low, high) of each size, the interval
    being that of the difference to full size, moved to the accuracy there.
    """

    probe: str  # of QUESTIONS
    question: str
    verdict: str  # yes, no, undecided
    value: float | None
    low: float | None
    high: float | None
    n: int  # examples that the probe saw
    sentence: str
    suggests: str  # for the architecture or the preprocessing
    factor: str = ""  # of label gain, variance and removal
    curve: tuple[tuple[float, float, float, float], ...] = ()


REMOVED_BY = {"saturation": "colour", "red-green": "colour", "blue-yellow": "colour"} | {
    "centre x": "position",
    "centre y": "position",
}


def variation_rows(findings: list[Finding]) -> list[tuple[str, float, float, float | None]]:
    """(name, share of the pixels' variance, label gain, points that its removal adds or None), for the figure."""
    values = {(f.probe, f.factor): f.value for f in findings}
    names = [f.factor for f in findings if f.probe == "variance" and f.factor]
    removal = {name: values.get(("removal", REMOVED_BY.get(name, name))) for name in names}
    return [(name, values["variance", name], values["label gain", name], removal[name]) for name in names]


def probe(
    images: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
    most: int = 1200,
    say: Callable[[str], None] = lambda line: None,
) -> list[Finding]:
    """All findings about images (N, C, H, W), bytes or floats, with labels (N,) and groups (N,) of any type.

    At most `most` examples are looked at, as many of each class as there are, of the largest classes;
    accuracies are means over the classes. Members of a group (copies, one writer) are never on both sides of a fold.
    Where there are too few examples every verdict is `undecided`. `say` is told what is being measured.

    The classifier is ridge regression on codes of patches (Coates, Lee and Ng 2011); every gain is against a control
    with the same number of features; intervals are of the paired difference. All from `seed`, to the same bits.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        found = sample(images, np.asarray(labels), np.asarray(groups), seed, most)
        n, classes = len(found.examples.labels), len(np.unique(found.examples.labels))
        if n < FEWEST or classes < 2:
            why = (
                f"{n:,} examples in {classes} classes with a group for each of {FOLDS} folds; {FEWEST} in 2 are needed."
            )
            return [_unmeasured(name, n, f"Not enough data to say: {why}") for name in QUESTIONS]
        small = fitted(found.images, SIDE)
        say("how parts are arranged, and where")
        findings, before = _structure(found, small), seen(small, found.examples)
        say("how small the images may be")
        findings.append(_resolution(found, before if small is found.images else None))
        say("in which ways they vary")
        findings += _factors(found, small)
        say("what it costs to take a variation out")
        findings += _removals(found, small, before)
    return [replace(f, sentence=" ".join([f.sentence, *_conditions(f, found)])) for f in findings]


# ---- the sentences -----------------------------------------------------------------------------------------------


def _conditions(finding: Finding, found: Sample) -> list[str]:
    """What the reader must know about the images that were looked at, where it is not all of them as they are."""
    side = max(found.images.shape[2:]) if finding.probe == "resolution" else SIDE
    smaller = [f"The images were averaged down from {found.side} to {side} pixels first."] if found.side > side else []
    return smaller + ([found.left_out] if found.left_out else [])


def _numbers(e: Estimate, n: int, unit: str = "points") -> str:
    return f"{e.value:.1f} {unit} ({e.low:.1f} to {e.high:.1f}, n = {n:,})"


def _finding(name: str, verdict: str, e: Estimate, n: int, sentence: str, suggests: dict[str, str], **more) -> Finding:
    unsure = "Not enough data to say: look again with more examples, or compare both in training."
    values = (round(float(v), 4) for v in (e.value, e.low, e.high))
    return Finding(name, QUESTIONS[name], verdict, *values, n, sentence, suggests.get(verdict, unsure), **more)


def _unmeasured(name: str, n: int, sentence: str, **more) -> Finding:
    more = {"suggests": "Nothing.", **more}
    return Finding(name, QUESTIONS[name], "undecided", None, None, None, n, sentence, **more)


def _structure(found: Sample, small: np.ndarray) -> list[Finding]:
    n, chance = len(small), 100 / found.examples.classes
    if min(small.shape[2:]) < SMALLEST:
        return [
            _unmeasured(name, n, "The images are too small to have parts.") for name in ("local", "context", "position")
        ]
    e = structure(small, found.examples)
    local, context, position = e["local"], e["context"], e["position"]
    parts = f"parts of {100 * reach(small) / min(small.shape[2:]):.0f} % of the shorter side"
    return [
        _finding(
            "local",
            local.verdict(chance + MARGIN),
            local,
            n,
            f"A linear probe sees the class in {_numbers(local, n, '%')} of images from {parts}, wherever they are; "
            f"chance is {chance:.1f} %.",
            {
                "yes": "Small filters and pooling already get this far: a plain convolutional net is a fair start.",
                "no": "Parts alone tell next to nothing: leave room for a large receptive field, or keep the place.",
            },
        ),
        _finding(
            "context",
            context.verdict(MARGIN),
            context,
            n,
            f"A linear probe sees {_numbers(context, n)} from how {parts} are arranged, apart from where they are.",
            {
                "yes": "The receptive field should span several parts: more layers, strides or attention.",
                "no": "A small receptive field may do: a shallow net is worth trying first.",
            },
        ),
        _finding(
            "position",
            position.verdict(MARGIN),
            position,
            n,
            f"A linear probe sees {_numbers(position, n)} from where in the image things are.",
            {
                "yes": "Global average pooling may throw this away: compare it with a flattened head or coordinates, "
                "and be careful with shifts, flips and crops as augmentation.",
                "no": "Average pooling and shifts as augmentation should cost little.",
            },
        ),
    ]


def _sees(accuracy: Estimate, classes: int) -> bool:
    """Can the probe tell the classes at all? Where it cannot, that nothing is lost says nothing."""
    return accuracy.verdict(100 / classes + MARGIN) == "yes"


def _resolution(found: Sample, full: np.ndarray | None) -> Finding:
    """`full`: what is seen of the images as they are, where that is known."""
    n, images = len(found.images), found.images
    if len(sizes(max(images.shape[2:]))) < 2:
        return _unmeasured("resolution", n, "The images are too small to be made smaller.")
    curve = resolution(images, found.examples, seen(images, found.examples) if full is None else full)
    full = curve[0]
    at = [
        (s.pixels, s.accuracy.value, full.accuracy.value + s.loss.low, full.accuracy.value + s.loss.high) for s in curve
    ]
    points = tuple(tuple(round(float(v), 4) for v in point) for point in at)
    value, low, high = enough(curve, TOLERANCE)
    verdict = "no" if low == full.pixels else "yes" if high < full.pixels else "undecided"
    sees = _sees(full.accuracy, found.examples.classes)
    shown = next(s for s in curve[1:] if s.pixels <= high)  # the proven size, else the next smaller than full
    sentence = (
        f"A linear probe sees {_numbers(shown.loss, n)} from {shown.pixels} instead of {full.pixels} pixels on the "
        f"longer side ({_percent(full)} at {full.pixels}); " + _ladder(value, low, high, full.pixels)
    )
    return _finding(
        "resolution",
        verdict if sees else "undecided",
        Estimate(value, low, high),
        n,
        sentence,
        {
            "yes": f"Train the first nets at {high} pixels: cheaper, and the full size can be compared later.",
            "no": "Keep the full size; a larger one, where there is one, may help.",
        },
        curve=points,
    )


def _percent(size: Size) -> str:
    return f"{size.accuracy.value:.1f} % right"


def _ladder(value: int, low: int, high: int, full: int) -> str:
    if low == full:
        return f"every smaller size costs more than {TOLERANCE:.0f} points."
    proven = f"{high} is enough" if high < full else "no smaller size is proven to be enough"
    open_ = f", {low} is not excluded" if low < high else ""
    return f"within {TOLERANCE:.0f} points, {proven}{open_}."


def _factors(found: Sample, small: np.ndarray) -> list[Finding]:
    n, findings = len(small), []
    for name, values in factors(small).items():
        gain = label_gain(values, found.examples)
        share = variance_share(values, small, found.examples)
        apart = between_classes(values, found.examples.labels)
        findings.append(
            _finding(
                "label gain",
                gain.verdict(MARGIN),
                gain,
                n,
                f"A linear probe of {name} in bins sees {_numbers(gain, n)} over chance; {apart:.0f} % of its variance "
                "lies between the classes.",
                {
                    "yes": "Either signal or a shortcut: look whether the classes should differ in it where the model "
                    "will be used, and at what its removal costs.",
                    "no": "No shortcut by itself.",
                },
                factor=name,
            )
        )
        findings.append(
            _finding(
                "variance",
                share.verdict(MARGIN),
                share,
                n,
                f"A linear probe sees {_numbers(share, n, '%')} of the pixels' variance in a quadratic of {name}.",
                {
                    "yes": "Where it tells nothing of the class: take it out in preprocessing, or augment.",
                    "no": "Too small a part of the variation to be worth a step of its own.",
                },
                factor=name,
            )
        )
    return findings


def _removals(found: Sample, small: np.ndarray, before: np.ndarray) -> list[Finding]:
    n, examples = len(small), found.examples
    sees = _sees(estimate(before, examples), examples.classes)
    findings = []
    for name in REMOVALS:
        if name == "colour" and small.shape[1] != 3:
            continue
        after = seen(without(name, small), examples)
        change = estimate(after - before, examples)
        how = " (shifted round, which leaves a seam in full pictures)" if name == "position" else ""
        helps = " It even helps." if change.low > 0 and sees else ""
        findings.append(
            _finding(
                "removal",
                change.verdict(-TOLERANCE) if sees else "undecided",
                change,
                n,
                f"A linear probe sees {_numbers(change, n)} more without differences in {name}{how} than with "
                f"them.{helps}",
                {
                    "yes": f"Differences in {name} look spurious: take them out in preprocessing, or vary them as "
                    "augmentation.",
                    "no": f"Differences in {name} carry signal, or a shortcut: look which before taking them out.",
                },
                factor=name,
            )
        )
    return findings
