"""Bugs of pretrained networks, on small ones: one that was trained here on digits in colour, prepared in its own way,
and one of texts with random weights."""

from functools import cache

import torch
from backbones import wordpiece
from healthy import digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from bugs.reference import on_digits, split
from bugs.registry import bug
from recipe.checks.declare import Declare
from recipe.checks.setup import Setup
from recipe.rng import seeded

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # its own; ImageNet has others
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, TRAINED, AT = 16, 900, 700


@cache
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Digits (1797, 3, 16, 16) in 0..1, of one colour on another, reds brighter and blues darker."""
    x, y = digits()
    strokes = (x - x.min()) / (x.max() - x.min())
    strokes = F.interpolate(strokes, scale_factor=SIZE // strokes.shape[-1], mode="bilinear")
    random = torch.Generator().manual_seed(6)
    shades = (1.2 * torch.rand(2, len(x), 3, 1, 1, generator=random) - 0.1).clamp(0, 1)  # some black, some full
    shades = shades ** torch.tensor([0.6, 1.0, 1.6]).view(3, 1, 1)
    return strokes * shades[0] + (1 - strokes) * shades[1], y


def prepared(x: torch.Tensor, mean=MEAN, std=STD) -> torch.Tensor:
    m, s = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    return (x - m) / s


def body(norm: bool = True) -> nn.Sequential:
    """(B, 3, H, W) -> (B, 32), with what timm's networks say of their pretraining."""
    norms = [nn.BatchNorm2d(16), nn.BatchNorm2d(32)] if norm else [nn.GroupNorm(4, 16), nn.GroupNorm(4, 32)]
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), norms[0], nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), norms[1], nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 32), nn.ReLU(),
    )  # fmt: skip
    net.pretrained_cfg = {"mean": MEAN, "std": STD, "input_size": (3, SIZE, SIZE)}
    return net


@cache
def weights(norm: bool = True) -> dict[str, torch.Tensor]:
    """Of a body that was trained to tell the first digits apart."""
    x, y = (t[:TRAINED] for t in pictures())
    with seeded(0, "pretraining"):
        net = nn.Sequential(body(norm), nn.Linear(32, 10))
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        for _ in range(8):
            for rows in torch.randperm(TRAINED).split(50):
                optimizer.zero_grad()
                F.cross_entropy(net(prepared(x[rows])), y[rows]).backward()
                optimizer.step()
    return {name: value.detach() for name, value in net[0].state_dict().items()}


class Finetuned(nn.Module):
    """A pretrained body and a new head. frozen: without gradients, and in eval mode whatever the rest is in."""

    def __init__(self, frozen: bool = True, state=None, norm: bool = True, still: bool = True):
        super().__init__()
        self.body, self.head = body(norm), nn.Linear(32, 5)
        self.body.load_state_dict(weights(norm) if state is None else state, strict=False)
        self.body.requires_grad_(not frozen)
        self.still = frozen and still

    def train(self, mode: bool = True):
        super().train(mode)
        if self.still:
            self.body.eval()
        return self

    def forward(self, x):
        return self.head(self.body(x))


def finetuning(seed: int, x=None, frozen: bool = True, model=None, declare=None, **changes) -> Setup:
    """The digits that the body has not seen, by their value over two. x: (897, 3, H, W) as they enter."""
    pictured, y = (t[TRAINED:] for t in pictures())
    parts = split(prepared(pictured) if x is None else x, y // 2, AT)
    declared = declare or Declare(frozen=("body",) if frozen else ())
    return on_digits(
        seed, **parts, model=model or (lambda: Finetuned(frozen)), declare=declared,
        **{"optimizer": lambda m: torch.optim.Adam([p for p in m.parameters() if p.requires_grad], 3e-3)} | changes,
    )  # fmt: skip


def shown() -> torch.Tensor:
    return pictures()[0][TRAINED:]


HEALTHY = {
    "pretrained, frozen": finetuning,
    "pretrained, all of it trained": lambda s: finetuning(s, frozen=False),
    "pretrained, layers without batch norm": lambda s: finetuning(s, model=lambda: Finetuned(norm=False)),
    "pretrained, pictures without white": lambda s: finetuning(s, prepared(0.7 * shown()), frozen=False),
    "pretrained, declared": lambda s: finetuning(s, declare=Declare(frozen=("body",), pretrained=("body",))),
}


@bug("R83", "mr-eggplant/FOA#2; mlfoundations/open_clip#311", "inputs_suit_the_pretrained_part")
def another_familys_mean_and_std(seed):
    """images are prepared with ImageNet's mean and std for a network that has its own"""
    return finetuning(seed, prepared(shown(), *IMAGENET))


@bug("R84", "creafz/pytorch-cnn-finetune#20", "inputs_suit_the_pretrained_part")
def bytes_in_place_of_shares(seed):
    """0..255 in place of 0..1 goes into the normalisation"""
    return finetuning(seed, prepared(255 * shown()))


@bug("R85", "geyan21/ManiFlow_Policy#20", "inputs_suit_the_pretrained_part")
def not_normalised(seed):
    """images in 0..1 enter a network that expects them normalised"""
    return finetuning(seed, shown())


@bug("R86", "R83, by a transform in the data set and another in the loop", "inputs_suit_the_pretrained_part")
def normalised_twice(seed):
    """images are normalised twice, all layers are trained"""
    return finetuning(seed, prepared(prepared(shown())), frozen=False)


@bug("R87", "R84, without a batch norm", "inputs_suit_the_pretrained_part")
def bytes_without_batch_norm(seed):
    """0..255 enters a network without batch norm, whose configuration alone says what it expects"""
    return finetuning(seed, prepared(255 * shown()), model=lambda: Finetuned(norm=False))


@bug("R88", "CondadosAI/modern-yolonas#7; xiaochus/YOLOv3#22", "colours_are_in_order")
def blue_green_red(seed):
    """images were read by OpenCV, and are in the order blue, green, red"""
    return finetuning(seed, prepared(shown().flip(1)))


@bug("R89", "Touvron et al. 2019", "images_have_the_size_of_pretraining")
def no_resize(seed):
    """small images enter without being enlarged"""
    return finetuning(seed, prepared(F.interpolate(shown(), 4, mode="area")))


@bug(
    "R90",
    "pytorch/pytorch#141256",
    "the_pretrained_part_is_loaded",
)
def names_that_do_not_match(seed):
    """a layer of the file has another name, and strict=False hides it"""
    renamed = {name.replace("3.", "layer2."): value for name, value in weights().items()}
    declare = Declare(frozen=("body",), pretrained=("body",))
    return finetuning(seed, model=lambda: Finetuned(state=renamed), declare=declare)


@bug("R91", "R90, by an initialisation after loading", "the_pretrained_part_is_loaded")
def initialised_after_loading(seed):
    """an `apply` of an initialisation, meant for the head, reaches the whole net"""

    def model():
        net = Finetuned(frozen=False)
        net.apply(lambda m: nn.init.kaiming_normal_(m.weight) if isinstance(m, nn.Conv2d | nn.Linear) else None)
        return net

    return finetuning(seed, frozen=False, model=model, declare=Declare(pretrained=("body",)))


@bug("R92", "R90, of buffers", "the_pretrained_part_is_loaded")
def statistics_left_behind(seed):
    """only the parameters were saved, so that batch norm has the statistics of a new one"""
    parameters = {name: value for name, value in weights().items() if "running" not in name}
    return finetuning(seed, model=lambda: Finetuned(state=parameters))


@bug("R93", "pytorch/pytorch#86590; lightly-ai/lightly#1438", "frozen_statistics_stay")
def statistics_move(seed):
    """a frozen body stays in train mode, and its batch norm goes on averaging"""
    return finetuning(seed, model=lambda: Finetuned(still=False))


# ---- texts -------------------------------------------------------------------------------------------------------

TEXTS, LENGTH, WIDTH = 600, 24, 48
COMMON = [f"{a}{b}" for a in ("ban", "dol", "fer", "gim", "lup", "mor", "ner", "pas", "rit", "tul") for b in "aeiou"]
OF_CLASS = [["good", "fine", "lovely", "great"], ["bad", "poor", "awful", "dull"]]
VOCABULARY = [*COMMON, *OF_CLASS[0], *OF_CLASS[1], "##s", "##ed"]
CAPITALS = [w.capitalize() for w in VOCABULARY] + list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@cache
def sentences() -> tuple[list[str], torch.Tensor]:
    """Of 4 to 14 words, the first with a capital, of which a third says the class."""
    random = torch.Generator().manual_seed(7)

    def one(y: int) -> str:
        count = int(torch.randint(4, 15, (), generator=random))
        draw = torch.randint(10**6, (count, 2), generator=random).tolist()
        words = [OF_CLASS[y][a % 4] if b % 3 == 0 else COMMON[a % len(COMMON)] for a, b in draw]
        return " ".join([words[0].capitalize(), *words[1:]])

    y = torch.randint(2, (TEXTS,), generator=random)
    return [one(label) for label in y.tolist()], y


@cache
def own(lowercase: bool = True):
    """The tokenizer of the pretrained network."""
    return wordpiece(VOCABULARY if lowercase else VOCABULARY + CAPITALS, lowercase)


def tokens(texts: list[str], tokenizer, length: int = LENGTH, special: bool = True, left: bool = False) -> torch.Tensor:
    rows = torch.zeros(len(texts), length, dtype=torch.long)
    for row, encoded in zip(rows, tokenizer.encode_batch(texts, add_special_tokens=special), strict=True):
        ids = torch.tensor(encoded.ids[:length])
        row[length - len(ids) if left else 0 :][: len(ids)] = ids
    return rows


class TextBody(nn.Module):
    """Tokens (B, L) -> (B, WIDTH), the mean over those that the mask lets through, each with what the mean says."""

    def __init__(self, rows: int):
        super().__init__()
        self.words, self.places = nn.Embedding(rows, WIDTH, padding_idx=0), nn.Embedding(LENGTH, WIDTH)
        self.norm, self.mix = nn.LayerNorm(WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, input_ids, attention_mask=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        shares = (mask / mask.sum(1, keepdim=True).clamp_min(1))[..., None]
        h = self.norm(self.words(input_ids) + 0.1 * self.places.weight[: input_ids.shape[1]])
        around = (shares * h).sum(1, keepdim=True).expand_as(h)
        return (shares * torch.tanh(self.mix(torch.cat([h, around], 2)))).sum(1)


class OnTexts(nn.Module):
    """A frozen body with the same weights for each seed, and a new head. masked: the padding is hidden."""

    def __init__(self, rows: int, masked: bool = True):
        super().__init__()
        with seeded(0, "pretraining"):
            self.body = TextBody(rows).requires_grad_(False)
        self.head, self.masked = nn.Linear(WIDTH, 2), masked

    def forward(self, ids):
        return self.head(self.body(input_ids=ids, attention_mask=(ids > 0).long() if self.masked else None))


def of_texts(seed: int, lowercase: bool = True, ids=None, masked: bool = True, **changes) -> Setup:
    """ids: (TEXTS, L) as they enter; by default those of the own tokenizer, which is given."""
    texts, y = sentences()
    x = tokens(texts, own(lowercase)) if ids is None else ids
    rows = own(lowercase).get_vocab_size()
    train, val = (TensorDataset(x[part], y[part]) for part in (slice(400), slice(400, None)))
    return on_digits(
        seed, **{
            "train": train, "val": val, "model": lambda: OnTexts(rows, masked), "declare": Declare(frozen=("body",)),
            "optimizer": lambda m: torch.optim.Adam(m.head.parameters(), 2e-2), "tokenizer": own(lowercase),
        } | changes,
    )  # fmt: skip


def written() -> list[str]:
    return sentences()[0]


HEALTHY |= {
    "pretrained, texts without capitals": of_texts,
    "pretrained, texts with capitals": lambda s: of_texts(s, lowercase=False),
    "pretrained, texts without a tokenizer": lambda s: of_texts(s, tokenizer=None),
    "pretrained, words that it has in pieces": lambda s: of_texts(
        s, ids=tokens([" ".join(text.replace("ban", "zi").split()[:5]) for text in written()], own())
    ),
}


@bug("R94", "generative-computing/mellea#947; marin-community/marin#301", "tokens_are_of_its_own_tokenizer")
def another_networks_tokenizer(seed):
    """the tokenizer is that of another network, whose vocabulary has other places"""
    other = wordpiece([f"{w}{e}" for w in reversed(VOCABULARY[:50]) for e in ("", "s")][:58])
    return of_texts(seed, ids=tokens(written(), other).clamp_max(own().get_vocab_size() - 1))


@bug("R95", "huggingface/transformers#92", "tokens_are_known")
def a_cased_tokenizer_on_an_uncased_network(seed):
    """the tokenizer keeps capitals, which the vocabulary does not have, and the words become unknown"""
    return of_texts(seed, ids=tokens([text.title() for text in written()], wordpiece(VOCABULARY, lowercase=False)))


@bug("R96", "EmilyAlsentzer/clinicalBERT#26; dmis-lab/biobert#163", "capitals_reach_a_cased_network")
def an_uncased_tokenizer_on_a_cased_network(seed):
    """the tokenizer makes everything lower case, and the network was trained with capitals"""
    return of_texts(seed, lowercase=False, ids=tokens(written(), wordpiece(VOCABULARY + CAPITALS)))


@bug("R97", "transformers, add_special_tokens=False", "special_tokens_surround_the_text")
def no_special_tokens(seed):
    """the texts have no special tokens around them"""
    return of_texts(seed, ids=tokens(written(), own(), special=False))


@bug("R98", "transformers, padding and truncation", "texts_are_rarely_cut")
def most_of_a_text_is_cut(seed):
    """the length is that of the shortest texts"""
    return of_texts(seed, ids=tokens(written(), own(), length=8))


@bug("R99", "huggingface/transformers#278; CarryCKW/AES-NPCR#7", "padding_is_masked", "padding_reaches_no_output")
def no_attention_mask(seed):
    """attention_mask is not passed on, and the network attends to the padding"""
    return of_texts(seed, masked=False)


@bug("R100", "transformers, padding_side", "padding_is_on_its_own_side")
def padded_on_the_left(seed):
    """padding is on the left, as for a decoder, and the positions of the words move"""
    return of_texts(seed, ids=tokens(written(), own(), left=True))
