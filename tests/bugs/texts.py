"""Bugs of texts as tokens, on texts that are made: words of a class, common words, short texts that repeat."""

from functools import cache

import torch
from torch import nn
from torch.utils.data import TensorDataset

from bugs.reference import on_digits
from bugs.registry import bug
from recipe.checks.setup import Setup
from recipe.models.text import bag, textcnn
from recipe.rng import generator

PADDING, UNKNOWN = 0, 1
KINDS, LENGTH, TRAIN = 1500, 16, 1000
Texts = list[tuple[list[int], int]]


@cache
def written() -> tuple[Texts, Texts]:
    """(train, val): words, 0 the commonest, and a class. One text of eight is one of 40 short ones, as `ok` or `thanks`
    are, and those that are equal are in one split."""
    random = torch.Generator().manual_seed(4)
    chances = 1 / torch.arange(3, KINDS + 3)  # as Zipf's law has them
    short = [chances.multinomial(2, generator=random).tolist() for _ in range(40)]
    parts: tuple[Texts, Texts] = ([], [])
    while len(parts[0]) < TRAIN or len(parts[1]) < TRAIN // 2:
        y = int(torch.randint(2, (), generator=random))
        if torch.rand((), generator=random) < 0.12:
            which = int(torch.randint(40, (), generator=random))
            words, place = short[which], int(which % 3 == 0)
        else:
            length = int(torch.randint(4, LENGTH + 1, (), generator=random))
            words, place = chances.multinomial(length, True, generator=random).tolist(), int(len(parts[0]) >= TRAIN)
            words[: length // 3] = [5 + y + 2 * (w % 9) for w in words[: length // 3]]
        if len(parts[place]) < (TRAIN, TRAIN // 2)[place]:
            parts[place].append((words, y))
    return parts


def numbered(texts: Texts, counted: Texts, least: int = 2, capitals: bool = False) -> TensorDataset:
    """By the words that are in at least so many of the counted texts; capitals: every fifth is another word."""
    times = torch.zeros(2 * KINDS, dtype=torch.long)
    for words, _ in counted:
        times[list(set(words))] += 1
    known = (times >= least).nonzero().flatten().tolist()
    number = {word: i for i, word in enumerate(known, UNKNOWN + 1)}
    x = torch.full((len(texts), LENGTH), PADDING)
    for row, (words, _) in zip(x, texts, strict=True):
        said = [w + KINDS * (capitals and i % 5 == 0) for i, w in enumerate(words)]
        row[: len(words)] = torch.tensor([number.get(word, UNKNOWN) for word in said])
    return TensorDataset(x, torch.tensor([y for _, y in texts]))


def on_texts(seed: int, size: int = KINDS + 2, **changes) -> Setup:
    train, val = written()
    parts = {"train": numbered(train, train), "val": numbered(val, train), "model": lambda: bag(2, size, width=16)}
    return on_digits(seed, **parts | changes)


HEALTHY = {
    "texts, some of which repeat": on_texts,
    "texts, filters": lambda s: on_texts(s, model=lambda: textcnn(2, KINDS + 2, width=8)),
}


class Mean(nn.Module):
    """The mean over all positions, padding among them."""

    def __init__(self):
        super().__init__()
        self.vectors, self.head = nn.Embedding(KINDS + 2, 16, padding_idx=PADDING), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.vectors(x).mean(1))


class Last(nn.Module):
    """A recurrent net of which the last position is read, padding or not."""

    def __init__(self):
        super().__init__()
        self.vectors, self.net = nn.Embedding(KINDS + 2, 16), nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.net(self.vectors(x))[0][:, -1])


@bug("R75", "a mean over padding", "padding_reaches_no_output")
def mean_over_padding(seed):
    """word vectors are averaged over the padding, too"""
    return on_texts(seed, model=Mean)


@bug("R76", "PyTorch documentation, torch.nn.utils.rnn.pack_padded_sequence", "padding_reaches_no_output")
def reads_the_last_position(seed):
    """a recurrent net reads its last position, which is padding"""
    return on_texts(seed, model=Last)


@bug("R77", "Kapoor and Narayanan 2023, pre-processing on training and test set", "vocabulary_is_of_train")
def vocabulary_of_both(seed):
    """words are counted over train and val before the split"""
    train, val = written()
    both = {"train": numbered(train, train + val, 1), "val": numbered(val, train + val, 1)}
    return on_texts(seed, size=int(both["train"].tensors[0].max()) + 1, **both)


@bug("R78", "a text file listed twice", "inputs_are_not_repeated")
def listed_twice(seed):
    """a third of the training texts are read from two files"""
    train, _ = written()
    again = torch.randperm(TRAIN, generator=generator(seed))[: TRAIN // 3].tolist()
    return on_texts(seed, train=numbered(train + [train[i] for i in again], train))


@bug("R79", "val_is_prepared_like_train, for tokens", "val_is_prepared_like_train")
def capitals_in_val(seed):
    """val keeps its capitals, which train has not, so that its words are unknown"""
    train, val = written()
    return on_texts(seed, val=numbered(val, train, capitals=True))


@bug("R80", "every word of train is known", "val_is_prepared_like_train")
def no_unknown_word(seed):
    """every word of train has a number, so that the vector of unknown words is first met in val"""
    train, val = written()
    return on_texts(seed, train=numbered(train, train, 1), val=numbered(val, train, 1))


@bug("R81", "Northcutt et al. 2021", "labels_are_clean")
def wrong_labels_of_texts(seed):
    """a fifth of the training texts have another label (a note)"""
    train, _ = written()
    wrong = set(torch.randperm(TRAIN, generator=generator(seed))[: TRAIN // 5].tolist())
    flipped = [(words, 1 - y if i in wrong else y) for i, (words, y) in enumerate(train)]
    return on_texts(seed, train=numbered(flipped, train))


@bug("R82", "R02, of texts", "val_is_labelled_like_train")
def other_numbers_in_val(seed):
    """val numbers its classes the other way round"""
    train, val = written()
    return on_texts(seed, val=numbered([(words, 1 - y) for words, y in val], train))
