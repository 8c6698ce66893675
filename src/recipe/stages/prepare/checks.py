"""Claims about reading the source. Each kind of problem belongs to one of them; problems.csv lists each problem."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from recipe import problems as kinds
from recipe.decode.value_range import DatasetValues
from recipe.stages.prepare.write_store import Prepared
from recipe.verdict import FAIL, Verdict, above, check, checks_of, exactly, skip

UNREADABLE = (
    kinds.UNREADABLE, "missing", "not a file", "unreadable", "empty", "only zeros", "not an image", "unknown format",
    "truncated", "damaged", "no range", "decoder crashed",
)  # fmt: skip
TOO_LARGE = ("too large", "too slow", "out of memory")
SEVERAL = ("several pictures",)
DISAGREES = (kinds.NO_FILE, kinds.NO_ROW, kinds.CONTRADICTION)


@dataclass(frozen=True)
class Reading:
    """What came of reading the source."""

    problems: Mapping[str, int]  # {kind: how often}; every kind, also of the decoder
    noted: Mapping[str, int]  # {kind of note: examples}: what was converted, or is odd in a way that closes no gate
    unrepeatable: int
    values: DatasetValues | None = None  # where the stored values of images lie
    level: str = ""  # why the classes may be at another level of folders than the first, and at which

    def count(self, *wanted: str) -> int:
        return sum(self.problems.get(kind, 0) for kind in set(wanted))


@check(source="Recipe 1, corrupted inputs")
def every_example_is_readable(r: Reading) -> Verdict:
    """Every example of the source can be read.

    problems.csv lists each one that cannot, with what was found: a cut download, a file that is no image, a missing
    file, a text among numbers. Mend or remove them at the source. Where this is waived they are left out.
    """
    return exactly(r.count(*UNREADABLE), 0)


@check(source="Recipe 1, corrupted inputs")
def no_example_is_too_large(r: Reading) -> Verdict:
    """Every file can be decoded within the limits of conf/prepare.yaml for pixels, time and memory.

    A file of a few bytes may hold a picture that fills the memory. Make it smaller, or raise the limit if it is meant.
    """
    return exactly(r.count(*TOO_LARGE), 0)


@check(source="Recipe 1, corrupted inputs")
def every_file_is_one_picture(r: Reading) -> Verdict:
    """Every file holds one picture: no animation, no pages.

    Which of its frames is meant is for a person to say: store it as a file of its own.
    """
    return exactly(r.count(*SEVERAL), 0)


@check(source="Recipe 1, corrupted inputs")
def every_value_is_finite(r: Reading) -> Verdict:
    """No value that was read is a NaN or an infinity, but for the missing cells of a table.

    problems.csv names each row and the place in it. One such value makes every loss NaN.
    """
    return exactly(r.count(kinds.NOT_FINITE), 0)


@check(source="Recipe 1, corrupted labels")
def every_label_is_known(r: Reading) -> Verdict:
    """Every label is one of the source's classes.

    Often the labels start at 1, -1 stands for "unknown", or the list of classes lacks a name. problems.csv lists them.
    """
    return exactly(r.count(kinds.UNKNOWN_LABEL), 0)


@check(source="Recipe 2, a full evaluation that can be trusted")
def every_split_is_known(r: Reading) -> Verdict:
    """Where the source names splits, every example is in train, val or test.

    An empty or misspelt one may be a test example, so it is guessed for none: problems.csv lists them with their rows.
    Correct them at the source. Where this is waived these examples are left out.
    """
    return exactly(r.count(kinds.UNKNOWN_SPLIT), 0)


@check(source="Recipe 1, corrupted labels")
def every_class_has_one_spelling(r: Reading) -> Verdict:
    """No two class names differ only in case, blanks, underscores, a dash between letters or the form of an accent.

    They are one class, of which a part of the examples counts as another: rename or merge them at the source.
    """
    return exactly(r.count(kinds.CLASS_SPELLING), 0)


@check(source="Recipe 1, corrupted labels")
def classes_are_at_a_known_level(r: Reading) -> Verdict:
    """Class folders do not all hold the same subfolders, or conf says which level of folders the classes are.

    siteA/{cat,dog} and siteB/{cat,dog} hold cats and dogs, and not two classes of sites. `classes_at` of the data in
    params.yaml says it: data: {name: folder, classes_at: 2}. The other levels become metadata (level_1, ...), which
    `group` may name so that a site stays in one split.
    """
    verdict = exactly(r.count(kinds.CLASS_LEVEL), 0)
    return verdict if verdict.ok or not r.level else replace(verdict, value=r.level, bound="chosen by `classes_at`")


@check(source="Recipe 1, variation that can be preprocessed out")
def one_shape(r: Reading) -> Verdict:
    """All examples have the same shape and type: channels, height and width of images, columns of rows.

    For images of different sizes give the data set `size` or a transform in its file in conf/data/, as
    `transform: {_target_: torchvision.transforms.v2.Resize, size: [32, 32]}`; for grey among colour add
    torchvision.transforms.v2.Grayscale or RGB. problems.csv lists those that differ from most.
    """
    return exactly(r.count(kinds.ODD_SHAPE), 0)


@check(source="Recipe 1, corrupted inputs")
def every_row_has_all_its_cells(r: Reading) -> Verdict:
    """Every line of a table has one cell for each column.

    A comma within a text that is not in quotes, a cut file. problems.csv names each line and what is odd there. Where
    this is waived these lines are left out.
    """
    return exactly(r.count(kinds.RAGGED), 0)


@check(source="Recipe 1, corrupted inputs")
def columns_have_one_reading(r: Reading) -> Verdict:
    """No column of a table can be read in two ways that give other values.

    03/04/2020 may be in March or in April, 1,234 one or a thousand. problems.csv names the column and the line of its
    file in conf/data/ that decides. Where this is waived the column is metadata.
    """
    return exactly(r.count(kinds.AMBIGUOUS), 0)


@check(source="Recipe 1, biases, corrupted labels")
def metadata_agrees_with_the_files(r: Reading) -> Verdict:
    """Metadata and annotations have one row for every file, and say nothing else than the files do.

    problems.csv names the line of each row without a file, each file without a row, and each contradiction.
    """
    return exactly(r.count(*DISAGREES), 0)


@check(source="Recipe 2, fix the random seed")
def reading_is_repeatable(r: Reading) -> Verdict:
    """Examples that are read a second time are the same.

    A transform in conf/data/ draws random numbers: augmentation belongs to conf/augment/, where it touches train only.
    """
    return exactly(r.unrepeatable, 0)


@check(source="Recipe 1, corrupted inputs", gate=False)
def examples_are_read_as_stored(r: Reading) -> Verdict:
    """No example had to be converted, and none is odd in a way that its decoder noticed.

    Other colours, alpha, 16 bits, a rotation by EXIF, a wrong ending, no contrast: problems.csv lists each, at the
    level of a note, with what was done; the value names the commonest. If a conversion goes with the label, it is a
    bias.
    """
    commonest = sorted(r.noted.items(), key=lambda item: (-item[1], item[0]))
    most = ", ".join(f"{kind}: {count:,}" for kind, count in commonest[:3])
    return exactly(most + (", ..." if len(commonest) > 3 else "") or 0, 0)


@check(source="Recipe 1, biases", gate=False)
def every_column_is_a_feature(r: Reading) -> Verdict:
    """Every column of a table that has no other role is a feature.

    An index, ids, texts and empty columns are not: they tell rows apart and measure nothing. problems.csv names them.
    """
    return exactly(r.count(kinds.ASIDE), 0)


@check(source="Recipe 1, corrupted inputs", gate=False)
def tables_are_read_as_written(r: Reading) -> Verdict:
    """Nothing about a table had to be recognised: encoding, delimiter, dates, money, decimal commas, rare names.

    problems.csv says what each was read as. Where it is wrong, the file in conf/data/ takes what is right.
    """
    return exactly(r.count(kinds.ASSUMED), 0)


@check(source="Recipe 1, variation that can be preprocessed out", gate=False)
def names_have_one_spelling(r: Reading) -> Verdict:
    """No two names within a column of a table differ only in case or blanks.

    `red` and `Red` are two features. problems.csv counts their rows: write them alike where they are one.
    """
    return exactly(r.count(kinds.LEVEL_SPELLING), 0)


@check(source="Recipe 1, corrupted inputs", gate=False)
def no_number_stands_for_a_gap(r: Reading) -> Verdict:
    """No column holds -999, 9999 or the like far from all its other values.

    Such codes often mean "not measured", and pull the mean away. problems.csv names column and lines.
    """
    return exactly(r.count(kinds.ODD_VALUE), 0)


@check(source="Recipe 1, variation that can be preprocessed out", gate=False)
def values_fill_their_range(r: Reading, share: float = 0.25, of_bytes: float = 0.125) -> Verdict:
    """The values of images fill the range that their files have for them.

    12 bits in files of 16, a mask of 0 and 1 or digits of 0 to 16 in bytes, floats of no range: such pictures are shown
    black, or clipped, and enter the net so. `value_range: [black, white]` beside the data's name in params.yaml sets
    it, once for all examples and splits and for predictions; the finding says what was measured. The value is the
    share of the range that is used, without a thousandth of each picture's values (none, of bytes) and 1 % of the
    pictures at either end. Where the numbers are classes, as in a label map, nothing is to be done.
    """
    if r.values is None:
        return skip("the inputs are no images")
    if math.isnan(r.values.share):
        return Verdict(FAIL, r.values.shown, "a known range")
    verdict = above(r.values.share, of_bytes if r.values.bytes else share)
    return replace(verdict, value=f"{r.values.share:.3f} ({r.values.shown})")


@check(source="Recipe 1, corrupted inputs", gate=False)
def nothing_lies_beside_the_examples(r: Reading) -> Verdict:
    """The source holds nothing but examples and what speaks of them.

    Hidden files, what programs leave behind, files in no class folder and links to what is read in another place are
    not read; problems.csv lists them.
    """
    return exactly(r.count(kinds.STRAY, kinds.LINK), 0)


@check(source="Recipe 1, imbalance", gate=False)
def every_class_folder_holds_a_file(r: Reading) -> Verdict:
    """Every class folder holds a file.

    problems.csv names those that hold none. They count as classes, and the audit's gate closes for a class without an
    example: put its files there, or remove the folder.
    """
    return exactly(r.count(kinds.NO_EXAMPLE), 0)


@check(source="Recipe 1, corrupted inputs", gate=False)
def names_are_plain(r: Reading) -> Verdict:
    """Every file's name is read alike by every system.

    Decomposed accents, invisible characters, blanks or dots at an end, characters and names that Windows keeps for
    itself, and two names in one folder that differ in case alone: such files get lost when they are copied to another
    system. Other letters, blanks and signs are fine.
    """
    return exactly(r.count(kinds.ODD_NAME), 0)


@check(source="Recipe 1, corrupted labels", gate=False)
def class_names_are_apart(r: Reading) -> Verdict:
    """No class is named as the plural of another.

    `cat` and `cats` are most often one class that two people named.
    """
    return exactly(r.count(kinds.CLASS_ALIKE), 0)


def sentences(r: Reading, verdicts: list[Verdict]) -> list[str]:
    """What the notes cannot say in a number."""
    failed = {v.check for v in verdicts if not v.ok}
    return [r.values.sentence()] if r.values and values_fill_their_range.__name__ in failed else []


def reading(found: Prepared) -> Reading:
    """What the checks look at."""
    return Reading(found.counts, found.converted, found.unrepeatable, found.values, found.level)


def evidence() -> dict[str, list[str]]:
    """Every claim of this file is about lines of problems.csv."""
    return {name: ["problems.csv"] for name in checks_of(sys.modules[__name__])}
