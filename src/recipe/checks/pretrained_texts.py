"""A pretrained network of texts gets tokens as in its training: of its own tokenizer, with its mask, its special tokens
and its padding.

What only a tokenizer can say needs the network's own one: `Setup(tokenizer=AutoTokenizer.from_pretrained(...))`.
"""

from recipe.checks.measurements.pretrained_texts import EnteringTokens, entering_tokens, round_trip, tokenizer_of
from recipe.checks.setup import Setup
from recipe.verdict import Verdict, above, below, check, skip

NO_TOKENS = "no tokens enter a pretrained part"
NO_TOKENIZER = "its own tokenizer is not given: Setup(tokenizer=...)"
FEW = 20  # texts below which a share says little


def _missing(s: Setup) -> str:
    """Why a check that needs the tokenizer has nothing to look at; empty where it has."""
    if entering_tokens(s) is None:
        return NO_TOKENS
    return "" if s.tokenizer is not None else NO_TOKENIZER


def _tokens(s: Setup) -> EnteringTokens:
    entering = entering_tokens(s)
    assert entering is not None
    return entering


@check(source="generative-computing/mellea#947; marin-community/marin#301")
def tokens_are_of_its_own_tokenizer(s: Setup, share: float = 0.98) -> Verdict:
    """The tokens are those that the pretrained network's own tokenizer gives for the text that it reads from them.

    The tokenizer of another model, or another vocabulary file: each vector is that of another word, and nothing raises
    an error. The value is the share of the tokens that come back.
    """
    if reason := _missing(s):
        return skip(reason)
    value = round_trip(s)
    if value is None:
        return skip("no token but special ones")
    text = tokenizer_of(s).decode(_tokens(s).texts()[0])
    finding = f"Read by its own tokenizer, the first text is `{text[:80]}`, of which it would make other tokens."
    return above(value, share, finding=finding)


@check(source="huggingface/transformers#92, capitals before a vocabulary without them")
def tokens_are_known(s: Setup, share: float = 0.05) -> Verdict:
    """Hardly any token is the unknown one.

    Capitals before a vocabulary without them, accents that its normalisation would remove, another language: the word
    is lost. The value is the share of the tokens.
    """
    if reason := _missing(s):
        return skip(reason)
    own, entering = tokenizer_of(s), _tokens(s)
    if own.unknown is None:
        return skip("its tokenizer has no unknown token")
    real = entering.real
    return below((entering.ids[real] == own.unknown).double().mean().item(), share)


@check(source="EmilyAlsentzer/clinicalBERT#26; dmis-lab/biobert#163; kermitt2/delft#156", gate=False)
def capitals_reach_a_cased_network(s: Setup) -> Verdict:
    """A network that was trained on text with capitals gets some.

    Its tokenizer keeps the case, and no text has a capital: they were made lower case before, or the tokenizer does so
    though the network's vocabulary has both. The value counts the texts with a capital.
    """
    if reason := _missing(s):
        return skip(reason)
    own, texts = tokenizer_of(s), _tokens(s).texts()
    if not own.keeps_case:
        return skip("its tokenizer makes everything lower case")
    if len(texts) < FEW:
        return skip(f"fewer than {FEW} texts")
    count = sum(own.decode(ids) != own.decode(ids).lower() for ids in texts)
    return above(count, 0, finding=f"None of {len(texts)} texts has a capital, and its tokenizer keeps the case.")


@check(source="Devlin et al. 2019, section 3, the input representation")
def special_tokens_surround_the_text(s: Setup, share: float = 0.99) -> Verdict:
    """Each text begins and ends with the special tokens that the own tokenizer adds.

    `add_special_tokens=False`, or texts cut after they were added: the network reads the first token as a summary, and
    learned where a text ends. The value is the share of the texts.
    """
    if reason := _missing(s):
        return skip(reason)
    own, texts = tokenizer_of(s), [ids for ids in _tokens(s).texts() if ids]
    if own.first is None and own.last is None:
        return skip("its tokenizer adds none")
    whole = [(own.first in (None, ids[0])) and (own.last in (None, ids[-1])) for ids in texts]
    return above(sum(whole) / max(1, len(texts)), share)


@check(source="transformers documentation, padding and truncation", gate=False)
def texts_are_rarely_cut(s: Setup, share: float = 0.1) -> Verdict:
    """Few texts fill the whole length, so that few were cut to it.

    What follows the last token is not seen. The value is the share of the texts that have no padding where others have.
    """
    entering = entering_tokens(s)
    if entering is None:
        return skip(NO_TOKENS)
    full = entering.real.all(1)
    if full.all() or len(full) < FEW:
        return skip("no text has padding" if full.all() else f"fewer than {FEW} texts")
    value = full.double().mean().item()
    finding = (
        f"{value:.0%} of the texts fill all {entering.ids.shape[1]} tokens: raise the maximum length, if memory allows."
    )
    return below(value, share, finding=finding)


@check(source="huggingface/transformers#278; CarryCKW/AES-NPCR#7")
def padding_is_masked(s: Setup) -> Verdict:
    """The pretrained network gets a mask that hides the padding.

    `attention_mask` was not passed, or is 1 everywhere: the network attends to what only fills up. The value counts the
    texts with padding that is not hidden.
    """
    entering = entering_tokens(s)
    if entering is None:
        return skip(NO_TOKENS)
    if entering.padding is None or entering.real.all():
        return skip("no padding")
    seen = ~entering.real if entering.mask is None else ~entering.real & entering.mask
    count = int(seen.any(1).sum())
    how = "gets no attention_mask" if entering.mask is None else "gets an attention_mask that is 1 there"
    return below(count, 1, finding=f"{count} texts have padding, and the network {how}.")


@check(source="transformers documentation, padding_side; Devlin et al. 2019, learned positions")
def padding_is_on_its_own_side(s: Setup) -> Verdict:
    """Padding is on the side on which the own tokenizer has it.

    On the left of a network with learned positions, each token has the position of another one; on the right of a
    decoder, the last position is padding. The value counts the texts with padding on the other side.
    """
    if reason := _missing(s):
        return skip(reason)
    entering, left = _tokens(s), tokenizer_of(s).left
    real = entering.real
    wrong = ~real[:, -1] if left else ~real[:, 0]
    if real.all():
        return skip("no padding")
    count = int((wrong & real.any(1)).sum())
    return below(count, 1, finding=f"{count} texts are padded on the {'right' if left else 'left'}.")
