"""Padding of sequences of tokens: it is no word, and reaches no output."""

import torch
from torch import Tensor, nn

from recipe.checks.copies import copied
from recipe.checks.measurements.padding import padding_index, trailing
from recipe.checks.parts import main, without_last
from recipe.checks.setup import Setup
from recipe.verdict import Verdict, below, check, skip


@check(source="PyTorch documentation, torch.nn.Embedding, padding_idx: its row gets no gradient")
def padding_is_no_token(s: Setup, share: float = 0.05) -> Verdict:
    """The index that an embedding leaves untrained occurs only at the ends of sequences.

    `padding_idx=0` where 0 is a word of the vocabulary: its vector never learns. The value is the share of sequences
    with this index between other tokens.
    """
    model = s.new_model().eval()
    shares: list[float] = []

    def count(module, args):
        tokens = args[0] != module.padding_idx
        if tokens.ndim == 2:
            before, after = tokens.cummax(1).values, tokens.flip(1).cummax(1).values.flip(1)
            shares.append((~tokens & before & after).any(1).double().mean().item())

    for module in model.modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.padding_idx is not None:
            module.register_forward_pre_hook(count)
    with torch.no_grad():
        s.forward(model, s.sample[0])
    return below(max(shares), share) if shares else skip("no embedding with a padding index over sequences")


@check(source="PyTorch documentation, torch.nn.MultiheadAttention, key_padding_mask; Vaswani et al. 2017, masking")
def padding_reaches_no_output(s: Setup, moved: float = 1e-4) -> Verdict:
    """A sequence has the same outputs whether or not it is padded to the length of a longer one.

    A mean or a maximum over all positions, attention without its mask, a recurrent net of which the last position is
    read: what the model says of a text depends on the texts beside it. Divide by the number of tokens, mask, or read
    the last token. The value is the relative change of an output when padding that all examples of a batch share is cut
    off.
    """
    padding = padding_index(s)
    if padding is None:
        return skip("the inputs are not sequences of tokens with padding")
    x = s.sample[0]
    runs = trailing(main(x), padding)
    runs[runs == main(x).shape[1]] = 0  # nothing would be left of an empty one
    if not (runs > 0).any():
        return skip("no example has padding")
    cut = int(runs[runs > 0].median())
    x = x[runs >= cut][:32]
    model = _with_untrained_padding(s)
    with torch.no_grad():
        before = main(s.forward(model, x))
        try:
            after = main(s.forward(model, without_last(x, cut)))
        except (RuntimeError, IndexError):  # of sizes that do not fit, as of a matrix over all positions
            return skip("the model takes sequences of one length only")
    if before.shape != after.shape:  # an output for each position
        kept = main(x)[:, :-cut] != padding
        if before[:, :-cut].shape != after.shape or kept.shape != after.shape[:2]:
            return skip("the outputs follow the length in another way than the inputs")
        before, after = before[:, :-cut][kept], after[kept]
    return below(((before - after).abs().max() / before.abs().max().clamp_min(1e-6)).item(), moved)


def _with_untrained_padding(s: Setup) -> nn.Module:
    """The perturbed model, in which the vectors that no gradient reaches are as they were built."""
    model = copied(s.perturbed_model)
    for built, module in zip(s.new_model().modules(), model.modules(), strict=True):
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            weight: Tensor = built.weight  # type: ignore[assignment]
            module.weight.data[module.padding_idx] = weight.data[module.padding_idx]
    return model
