"""Claims about the features of a frozen network."""

from collections import defaultdict

import numpy as np

from recipe.inputs.images import share_of_size
from recipe.stages.embed.embed import Embedded
from recipe.verdict import Verdict, above, below, check, exactly, skip

NOTHING = "the model has no pretrained network"


@check(source="Recipe 2, visualize just before the net")
def every_feature_is_finite(e: Embedded) -> Verdict:
    """No feature of an input is NaN or infinite, unless the input is. Counted: the inputs with one that is.

    The weights are damaged, or the network overflows. Inputs that are not finite are counted by the audit.
    """
    if not e.backbone:
        return skip(NOTHING)
    return exactly(e.damaged, 0)


@check(source="Recipe 3, pretrained networks")
def other_inputs_have_other_features(e: Embedded, share: float = 0.9) -> Verdict:
    """Different inputs have different features. The value: how many different features there are, as a share of the
    different inputs.

    A network that answers the same whatever it sees: its weights do not belong to it, or its inputs are all but
    constant, as of bytes that are taken for numbers from 0 to 1.
    """
    if not e.backbone:
        return skip(NOTHING)
    return above(len(set(e.outputs)) / max(1, len(set(e.inputs))), share)


@check(source="Recipe 2, fix random seed")
def equal_inputs_have_equal_features(e: Embedded) -> Verdict:
    """Copies of an input have the same features, bit for bit. Counted: the inputs with copies whose features differ.

    The network draws random numbers (it is not in evaluation mode), or what it gives depends on the other inputs of its
    batch.
    """
    of = defaultdict(set)
    for image, features in zip(e.inputs, e.outputs, strict=True):
        of[image].add(features)
    if len(of) == len(e.inputs):
        return skip("no input has a copy" if e.backbone else NOTHING)
    return exactly(sum(len(features) > 1 for features in of.values()), 0)


@check(source="Recipe 2, fix random seed")
def features_do_not_depend_on_the_batch(e: Embedded, limit: float = 1e-4) -> Verdict:
    """Computed once more in other batches, a sample of inputs has the same features. The value: their largest
    difference, in standard deviations.

    The network draws random numbers, or batch norm uses the statistics of the batch: it is not in evaluation mode.
    """
    if not e.backbone:
        return skip(NOTHING)
    before = np.asarray(e.values[e.sample], np.float64)
    spread = max(float(before.std()), 1e-12)
    return below(float(np.abs(before - e.again).max()) / spread, limit)


@check(source="Recipe 3, pretrained networks", gate=False)
def images_are_large_enough(e: Embedded, share: float = 0.8) -> Verdict:
    """Images enter at about the size that the network was trained with, or larger. The value: the shorter side, as a
    share of that.

    A network knows things at the size that they had in its training. `data: {size: ...}` in params.yaml.
    """
    if not e.backbone or e.entering is None:
        return skip("the inputs are not images" if e.backbone else NOTHING)
    height, width = e.entering
    finding = (
        f"The images are stored with {height} x {width} pixels, and {e.backbone.name} was trained with "
        f"{e.trained_with}. On photographs of ants and bees, the accuracy of a linear head on an EfficientNet-lite0, "
        "trained with 224, fell from 0.95 at 192 to 0.91 at 128 and 0.82 at 64. Set `data: {size: "
        f"{e.trained_with}}}` in params.yaml, if the files have that many."
    )
    return above(share_of_size(e.entering, (e.trained_with, e.trained_with)), share, finding=finding)


@check(source="Recipe 3, pretrained networks", gate=False)
def texts_fit_the_network(e: Embedded, share: float = 0.01) -> Verdict:
    """Hardly any text is longer than what the network reads of it. The value: the share of the texts that are cut.

    What follows the last token that is read is not seen.
    """
    if not e.backbone or e.entering is not None:
        return skip("the inputs are not texts" if e.backbone else NOTHING)
    cut = e.cut / max(1, len(e.values))
    finding = (
        f"{cut:.1%} of the {len(e.values):,} texts have more than the {e.trained_with:,} tokens that "
        f"{e.backbone.name} reads, and what follows is not seen."
    )
    return below(cut, share, finding=finding)
