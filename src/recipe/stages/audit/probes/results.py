"""The result of a probe: a sentence with a number, its 95 % CI and n, and what follows for the model or the data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recipe.stages.audit.probes.linear_probe import FOLDS, Examples, ProbeEstimate

TOLERANCE = 2.0  # points that a smaller size, or the removal of a factor, may cost
MARGIN = 5.0  # points; smaller gains do not justify a design decision
FEWEST = 200  # examples; with fewer, every interval is too wide to decide anything

QUESTIONS = {
    "local": "Do local parts predict the class, wherever they are?",
    "context": "Does the arrangement of the parts matter?",
    "position": "Does the position in the image matter?",
    "resolution": "Can the images be made smaller?",
    "label gain": "Does this factor alone predict the class?",
    "variance": "Is this factor a large part of how the images vary?",
    "removal": "Can this factor be removed?",
}
OF_TEXTS = {
    "words": "Do the words predict the class, in whatever order?",
    "order": "Does the order of the words matter?",
    "length": "Are the first words of a text enough?",
}
OF_TABLES = {
    "interaction": "Does an interaction of columns matter?",
    "column": "Do predictions rely on this column?",
}
EVERY_QUESTION = QUESTIONS | OF_TEXTS | OF_TABLES

UNDECIDED = "More examples are needed to decide; or compare both in training."
ADVICE = {
    "local": {
        "yes": "Small filters and pooling already get this far: a plain convolutional net is a good first model.",
        "no": "Local parts hardly predict the class: the net needs a large receptive field, or the position.",
    },
    "context": {
        "yes": "The receptive field should span several parts: use more layers, strides or attention.",
        "no": "A small receptive field may suffice: try a shallow net first.",
    },
    "position": {
        "yes": "Global average pooling discards this: compare it with a flattened head or coordinates, and be careful "
        "with shifts, flips and crops as augmentation.",
        "no": "Average pooling, and shifts as augmentation, should cost little.",
    },
    "resolution": {
        "yes": "Train the first nets at {pixels} pixels, which is cheaper, and compare the full size later.",
        "no": "Keep the full size; larger images may help, if there are any.",
    },
    "label gain": {
        "yes": "This is either signal or a shortcut: check whether the classes should differ in it where the model "
        "will be used, and how much its removal costs.",
        "no": "It is not a shortcut on its own.",
    },
    "variance": {
        "yes": "If it does not predict the class, remove it in preprocessing, or vary it as augmentation.",
        "no": "It is too small a part of the variation to need a preprocessing step.",
    },
    "words": {
        "yes": "A bag of words is a good first model, and TF-IDF is hard to beat.",
        "no": "Single words hardly predict the class: look at the labels, or at what lies between the words.",
    },
    "order": {
        "yes": "Compare a network that sees the order (textcnn) with a bag of words.",
        "no": "A bag of words may suffice: try it first.",
    },
    "length": {
        "yes": "`tokenizer: {{name: words, length: {pixels}}}` makes training cheaper; compare the full length later.",
        "no": "Keep the full length.",
    },
    "column": {
        "yes": "It is either signal or a shortcut: check that `{factor}` is known where the model will be used.",
        "no": "Beside the others it hardly matters; a column that says the same may take its place.",
    },
    "interaction": {
        "yes": "A model of single columns misses this: use a network or trees.",
        "no": "A model of single columns may suffice: try the linear one first, with columns as quantiles.",
    },
    "removal": {
        "yes": "Differences in {factor} look spurious: remove them in preprocessing, or vary them as augmentation.",
        "no": "Differences in {factor} carry signal, or a shortcut: check which before removing them.",
    },
}

REMOVED_BY = {"saturation": "colour", "red-green": "colour", "blue-yellow": "colour"} | {
    "centre x": "position",
    "centre y": "position",
}


@dataclass(frozen=True)
class ProbeResult:
    """An answer with its number, in percentage points; for `resolution`, in pixels of the longer side.

    value, low and high are None where nothing was measured. For `resolution` they are the smallest size that is enough
    by its measured accuracy, the smallest that is not excluded, and the smallest that is proven; curve: (size,
    accuracy, low, high) of each size, where low and high are the 95 % CI of the change from full size, added to the
    accuracy at full size.
    """

    probe: str  # of QUESTIONS
    question: str
    verdict: str  # yes, no, undecided
    value: float | None
    low: float | None
    high: float | None
    n: int  # examples in the sample
    sentence: str
    suggests: str  # for the architecture or the preprocessing
    factor: str = ""  # of label gain, variance and removal; of column, its name
    curve: tuple[tuple[float, float, float, float], ...] = ()

    def with_note(self, note: str) -> "ProbeResult":
        """The sentence followed by one on how the sample differs from the data set."""
        return replace(self, sentence=f"{self.sentence} {note}") if note else self


def result(
    probe: str, verdict: str, e: ProbeEstimate, n: int, sentence: str, *, factor: str = "", pixels: int = 0
) -> ProbeResult:
    """With the advice for its verdict; `factor` and `pixels` are names in it."""
    advice = ADVICE[probe].get(verdict, UNDECIDED).format(factor=factor, pixels=pixels)
    value, low, high = (round(float(v), 4) for v in (e.value, e.low, e.high))
    return ProbeResult(probe, EVERY_QUESTION[probe], verdict, value, low, high, n, sentence, advice, factor)


def unmeasured(probe: str, n: int, reason: str) -> ProbeResult:
    return ProbeResult(probe, EVERY_QUESTION[probe], "undecided", None, None, None, n, reason, "Nothing.")


def too_few(questions: Iterable[str], n: int, examples: Examples) -> list[ProbeResult]:
    """A result for each question where there are not enough examples."""
    classes = len(np.unique(examples.labels))
    reason = (
        f"Not enough data: there are {n:,} examples in {classes} classes with a group for each of {FOLDS} folds, and "
        f"{FEWEST} examples in 2 classes are needed."
    )
    return [unmeasured(name, n, reason) for name in questions]


def interval(e: ProbeEstimate, n: int) -> str:
    """`95 % CI 1.5 to 3.5, n = 1,200`"""
    return f"95 % CI {_decimal(e.low)} to {_decimal(e.high)}, n = {n:,}"


def change(e: ProbeEstimate, n: int) -> str:
    """`+2.5 points (95 % CI 1.5 to 3.5, n = 1,200)`"""
    return f"{_decimal(e.value, '+')} points ({interval(e, n)})"


def _decimal(value: float, sign: str = "") -> str:
    return f"{round(value, 1) + 0.0:{sign}.1f}"  # + 0.0: -0.0 becomes 0.0


def variation_rows(results: Sequence[ProbeResult]) -> list[tuple[str, float, float, float | None]]:
    """(name, share of the pixels' variance, label gain, change by its removal or None) of each factor."""
    values = {(r.probe, r.factor): r.value for r in results}
    rows = []
    for name in (r.factor for r in results if r.probe == "variance" and r.factor):
        share, gain = values["variance", name], values["label gain", name]
        if share is not None and gain is not None:
            rows.append((name, share, gain, values.get(("removal", REMOVED_BY.get(name, name)))))
    return rows
