"""Data sets of torchvision as one source, whose train and test parts are given splits."""

from recipe.errors import RecipeError


class GivenSplits:
    """Data sets in torchvision's form, each of which is a given split: train, and optionally val and test, in order.

    Raises RecipeError where one is not such a data set (files to decode, tables), or where they number their classes
    differently, as folders that lack a class do.
    """

    def __init__(self, train, val=None, test=None):
        self.parts = {name: part for name, part in (("train", train), ("val", val), ("test", test)) if part is not None}
        for name, part in self.parts.items():
            if not hasattr(part, "__getitem__") or not hasattr(part, "classes") or hasattr(part, "kind"):
                raise RecipeError(
                    f"{name} is {type(part).__name__}, not a data set with d[i] -> (image, int) and d.classes. For "
                    "folders or tables choose data: folder or table, which read given splits, too."
                )
            if list(part.classes) != list(train.classes):
                raise RecipeError(
                    f"train has the classes {_first(train.classes)}, {name} has {_first(part.classes)}: one number "
                    "would mean two classes. Give both the same list."
                )
        self.classes = list(train.classes)
        self.given_split = [name for name, part in self.parts.items() for _ in range(len(part))]
        self.names = [f"{name}, row {i}" for name, part in self.parts.items() for i in range(len(part))]

    def __len__(self) -> int:
        return len(self.given_split)

    def __getitem__(self, index: int):
        for part in self.parts.values():
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(index)


def _first(classes) -> str:
    return ", ".join(map(str, classes[:5])) + (", ..." if len(classes) > 5 else "") + f" ({len(classes)})"
