"""What sources call their splits, and which of train, val and test each name means; no other module reads them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from recipe.errors import RecipeError
from recipe.problems import shown

NAMES = ("train", "val", "test")
SYNONYMS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLIT_OF_SYNONYM = {synonym: name for name, names in SYNONYMS.items() for synonym in names}
LIKELY = ("split", "splits", "set", "subset", "partition")  # columns that probably hold splits
OF_A_SET = re.compile(r"[\s_-]*(set|data)$")  # training_set, test set, valset
KNOWN = ", ".join(f"{name} ({', '.join(names[1:])})" for name, names in SYNONYMS.items())


def split_of(name: Any) -> str:
    """train, val or test, whatever the case; "" for any other name."""
    return SPLIT_OF_SYNONYM.get(OF_A_SET.sub("", _text(name).casefold()), "")


def is_missing(value: Any) -> bool:
    """Whether a cell is None, NaN or NaT."""
    return value is None or value != value  # only these differ from themselves


def _text(name: Any) -> str:
    if is_missing(name):
        return ""
    return (name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)).strip()


def normalised(values: Sequence[Any]) -> tuple[list[str], dict[int, str]]:
    """(train, val or test per example, {index: what is wrong} of the values that name none of them).

    Where all values are empty the source gives no splits, and nothing is wrong. A few empty values among others are a
    mistake: their split cannot be known, and a guess may put a test example into train.
    """
    texts = [_text(value) for value in values]
    splits = [split_of(text) for text in texts]
    if not any(texts):
        return splits, {}
    named = sum(split != "" for split in splits)
    empty = f"its split is empty, and {named:,} other examples have one: write train, val or test"
    wrong = {
        index: f"its split is `{shown(text)}`; splits are {KNOWN}" if text else empty
        for index, (text, split) in enumerate(zip(texts, splits, strict=True))
        if not split
    }
    return splits, wrong


def required(values: Sequence[Any], where: str) -> list[Any]:
    """The values of the column that conf names in `split`; raises RecipeError where all of them are empty."""
    if not any(_text(value) for value in values):
        raise RecipeError(f"{where}: `split` names this column, and no row has a value: write {', '.join(NAMES)}.")
    return list(values)


def refuse_unnamed(columns: Mapping[str, Sequence[Any]], where: str) -> None:
    """Raises RecipeError where one of these columns holds splits, train among them, and conf does not name it.

    Otherwise a given test set would silently be divided among train, val and test.
    """
    for name, values in columns.items():
        counts: Counter[str] = Counter()
        for value in values:
            if not isinstance(value, str) or (value.strip() and not split_of(value)):
                break
            counts[split_of(value)] += 1
        else:
            del counts[""]
            if len(counts) > 1 and counts["train"]:
                sizes = ", ".join(f"{split} {counts[split]:,}" for split in NAMES if counts[split])
                raise RecipeError(
                    f"{where}: the column `{shown(name)}` names splits ({sizes}), and conf/data/ does not say so. "
                    f"Set `split: {shown(name)}` there; to divide the examples anew all the same, also set "
                    "`split: {given: ignore}` in params.yaml."
                )
