"""Questions about texts that a linear probe answers before any network is trained.

Do the words predict the class, in whatever order? Does their order matter? How many of the first words are enough?
"""

from collections.abc import Callable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.stages.audit.probes.linear_probe import Examples, correct, estimate
from recipe.stages.audit.probes.resolution import SizeAccuracy, sufficient_sizes
from recipe.stages.audit.probes.results import (
    FEWEST,
    MARGIN,
    OF_TEXTS,
    TOLERANCE,
    ProbeResult,
    change,
    interval,
    result,
    too_few,
)
from recipe.stages.audit.probes.sample import balanced
from recipe.stages.audit.texts import words

REPEATS = 3  # divisions into folds, each with its own shuffles
HASHED = 1 << 15  # buckets of words, or of pairs of words
LONGEST = 512  # words; what follows is not asked about


def run_text_probes(
    texts: Sequence[str], labels: np.ndarray, groups: np.ndarray, seed: int, most: int = 900,
    say: Callable[[str], None] = lambda line: None,
) -> list[ProbeResult]:  # fmt: skip
    """All results about texts with labels (N,) and groups (N,), as `run_probes` has them of images.

    The classifier is ridge regression on TF-IDF of words, and of pairs of neighbouring words.
    """
    rows, examples, left_out = balanced(np.asarray(labels), np.asarray(groups), np.ones(len(texts), bool), seed, most)
    if len(rows) < FEWEST or examples.classes < 2:
        return too_few(OF_TEXTS, len(rows), examples)
    with threadpool_limits(1):
        said = [words(texts[row])[:LONGEST] for row in rows]
        say("probes: the words, their order, the first of them")
        single = _kernel(said, 1)
        hits = _hits([single] * REPEATS, examples)
        results = [_words(hits, examples), _order(said, single, examples), _length(said, hits, examples)]
    return [r.with_note(left_out) for r in results]


def _words(hits: np.ndarray, examples: Examples) -> ProbeResult:
    e, n, chance = estimate(hits, examples), hits.shape[1], 100 / examples.classes
    return result(
        "words", e.verdict(chance + MARGIN), e, n,
        f"From its words, in whatever order, a linear probe predicts the class with {e.value:.1f} % accuracy "
        f"({interval(e, n)}; chance is {chance:.1f} %).",
    )  # fmt: skip


def _order(said: list[list[str]], single: np.ndarray, examples: Examples) -> ProbeResult:
    """Pairs of neighbours are added to the words; the control has those of the shuffled text."""
    pairs, n = single + _kernel(said, 2), len(said)
    shuffled = []
    for repeat in range(REPEATS):
        rng = np.random.default_rng([examples.seed, repeat])
        shuffled.append(single + _kernel([list(rng.permutation(each)) if each else each for each in said], 2))
    e = estimate(_hits([pairs] * REPEATS, examples) - _hits(shuffled, examples), examples)
    return result(
        "order", e.verdict(MARGIN), e, n,
        f"Pairs of neighbouring words, compared with those of shuffled texts, change linear-probe accuracy by "
        f"{change(e, n)}.",
    )  # fmt: skip


def _length(said: list[list[str]], full: np.ndarray, examples: Examples) -> ProbeResult:
    """How many of the first words are enough: halves of the length of the longest, down to one word."""
    n, longest = len(said), max(map(len, said))
    steps, everything = [longest], estimate(full, examples)
    usual = int(np.quantile([len(each) for each in said], 0.9))
    curve = [SizeAccuracy(longest, everything, estimate(full - full, examples))]
    while steps[-1] > 1:
        steps.append(max(1, min(steps[-1], usual * 2) // 2))  # hardly any text is longer than twice the usual
        hits = _hits([_kernel([each[: steps[-1]] for each in said], 1)] * REPEATS, examples)
        curve.append(SizeAccuracy(steps[-1], estimate(hits, examples), estimate(hits - full, examples)))
        if curve[-1].change.high < -TOLERANCE:
            break
    value, low, high = sufficient_sizes(curve, TOLERANCE)
    if everything.verdict(100 / examples.classes + MARGIN) != "yes":
        verdict = "undecided"
    else:
        verdict = "no" if low == longest else "yes" if high < longest else "undecided"
    shown = next((s for s in curve[1:] if s.pixels <= high), curve[-1])
    sentence = (
        f"Cutting texts at {shown.pixels} words (the longest of the sample has {longest}) changes linear-probe "
        f"accuracy by {change(shown.change, n)}."
    )
    e = type(everything)(value, low, high)
    return result("length", verdict, e, n, sentence, pixels=high)


def _hits(products: Sequence[np.ndarray], examples: Examples) -> np.ndarray:
    """(REPEATS, n) 1 where the linear probe is right, with the kernel of each repeat."""
    return np.array([correct([k], examples, examples.folds[repeat]) for repeat, k in enumerate(products)])


def _kernel(said: Sequence[Sequence[str]], size: int) -> np.ndarray:
    """(n, n) inner products of TF-IDF of runs of `size` words, centred, of mean diagonal 1; and the intercept."""
    from sklearn.feature_extraction.text import FeatureHasher, TfidfTransformer  # takes a second to import

    runs = [[" ".join(each[i : i + size]) for i in range(len(each) - size + 1)] for each in said]
    counts = FeatureHasher(HASHED, input_type="string", alternate_sign=False).transform(runs)
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    products = np.asarray((weighted @ weighted.T).todense(), np.float64)
    products += products.mean() - products.mean(0) - products.mean(1)[:, None]
    scaled: np.ndarray = products / max(float(products.diagonal().mean()), 1e-12) + 1
    return scaled
