"""Claims about reading the source."""

from dataclasses import dataclass

from recipe.checks.verdict import Verdict, check, exactly


@dataclass(frozen=True)
class Reading:
    """How many examples of the source have which problem; each one is listed in problems.csv."""

    unreadable: int
    unknown_label: int
    odd_shape: int
    unrepeatable: int


@check(source="Recipe 1, corrupted inputs")
def every_example_is_readable(r: Reading) -> Verdict:
    """Every example of the source can be read as an image.

    problems.csv lists each one that cannot, with the error: a cut download, a file that is no image, a missing file.
    Mend or remove them at the source.
    """
    return exactly(r.unreadable, 0)


@check(source="Recipe 1, corrupted labels")
def every_label_is_known(r: Reading) -> Verdict:
    """Every label is a whole number from 0 to the number of classes minus 1.

    Often the labels start at 1, -1 stands for "unknown", or d.classes lacks a name. problems.csv lists them.
    """
    return exactly(r.unknown_label, 0)


@check(source="Recipe 1, variation that can be preprocessed out")
def one_shape(r: Reading) -> Verdict:
    """All images have the same channels, height, width and type.

    For images of different sizes give the data set a transform in its file in conf/data/, as
    `transform: {_target_: torchvision.transforms.v2.Resize, size: [32, 32]}`; for grey among colour add
    torchvision.transforms.v2.Grayscale or RGB. problems.csv lists those that differ from most.
    """
    return exactly(r.odd_shape, 0)


@check(source="Recipe 2, fix the random seed")
def reading_is_repeatable(r: Reading) -> Verdict:
    """Examples that are read a second time are the same.

    A transform in conf/data/ draws random numbers: augmentation belongs to conf/augment/, where it touches train only.
    """
    return exactly(r.unrepeatable, 0)
