"""Claims about reading the source. Every kind of problem belongs to one claim; problems.csv lists each problem."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from recipe import problems as kinds
from recipe.decode.value_range import DatasetValues
from recipe.formatting import count
from recipe.stages.prepare.write_store import Prepared
from recipe.verdict import FAIL, Verdict, above, check, checks_of, exactly, skip

UNREADABLE = (
    kinds.UNREADABLE, "missing", "not a file", "unreadable", "empty", "only zeros", "not an image", "unknown format",
    "truncated", "damaged", "no range", "decoder crashed",
)  # fmt: skip
TOO_LARGE = ("too large", "too slow", "out of memory")
SEVERAL = ("several pictures",)
DISAGREEMENT = (kinds.NO_FILE, kinds.NO_ROW, kinds.CONTRADICTION)


@dataclass(frozen=True)
class Reading:
    """The outcome of reading the source, as the checks need it."""

    problems: Mapping[str, int]  # {kind: how often}, including the kinds of the decoder
    noted: Mapping[str, int]  # {kind of note: examples}: conversions, and oddities that close no gate
    unrepeatable: int
    values: DatasetValues | None = None  # where the stored values of images lie
    level: str = ""  # why the classes may be at another level of folders than the first, and at which


def reading(prepared: Prepared) -> Reading:
    return Reading(
        problems=prepared.counts,
        noted=prepared.converted,
        unrepeatable=prepared.unrepeatable,
        values=prepared.values,
        level=prepared.level,
    )


def evidence() -> dict[str, list[str]]:
    """Every claim of this file is about lines of problems.csv."""
    return {name: ["problems.csv"] for name in checks_of(sys.modules[__name__])}


def _no_problem(r: Reading, *problem_kinds: str, noun: str, what: str) -> Verdict:
    """Passes where there is no problem of these kinds. what: a sentence about `{n}`, the number with its noun."""
    counts = {kind: r.problems.get(kind, 0) for kind in dict.fromkeys(problem_kinds)}
    total = sum(counts.values())
    by_kind = ", ".join(f"{kind}: {n:,}" for kind, n in counts.items() if n)
    details = f" ({by_kind})" if len(counts) > 1 else ""
    return exactly(total, 0, finding=f"{what.format(n=count(total, noun))}{details}. problems.csv lists each one.")


@check(source="Recipe 1, corrupted inputs")
def every_example_is_readable(r: Reading) -> Verdict:
    """Every example of the source can be read.

    problems.csv lists each one that cannot, with the reason: a truncated download, a file that is not an image, a
    missing file, a text among numbers. Correct or remove them at the source. Where this is waived they are left out.
    """
    return _no_problem(r, *UNREADABLE, noun="example", what="{n} could not be read")


@check(source="Recipe 1, corrupted inputs")
def no_example_is_too_large(r: Reading) -> Verdict:
    """Every file can be decoded within the limits of conf/prepare.yaml for pixels, time and memory.

    A small file may hold a picture that fills the memory. Make the picture smaller, or raise the limit if it is meant.
    """
    return _no_problem(r, *TOO_LARGE, noun="file", what="{n} exceeded a limit of decoding")


@check(source="Recipe 1, corrupted inputs")
def every_file_is_one_picture(r: Reading) -> Verdict:
    """Every file holds one picture: no animation, no pages.

    Only you know which of the frames is meant: store it as a separate file.
    """
    return _no_problem(r, *SEVERAL, noun="file", what="Several pictures were found in {n}")


@check(source="Recipe 1, corrupted inputs")
def every_value_is_finite(r: Reading) -> Verdict:
    """No value is NaN or infinite, except for the missing cells of a table.

    problems.csv names each example and the place in it. One such value makes every loss NaN.
    """
    return _no_problem(r, kinds.NOT_FINITE, noun="example", what="NaN or infinite values were found in {n}")


@check(source="Recipe 1, corrupted labels")
def every_label_is_known(r: Reading) -> Verdict:
    """Of every example it is known what is to be predicted: a class or labels of the source, or finite quantities.

    Often the classes are numbered from 1, -1 means "unknown", the list of classes or labels lacks a name, or a cell of
    a quantity is empty. problems.csv lists these examples.
    """
    return _no_problem(r, kinds.UNKNOWN_LABEL, noun="example", what="No known label was found for {n}")


@check(source="Recipe 2, a full evaluation that can be trusted")
def every_split_is_known(r: Reading) -> Verdict:
    """Where the source names splits, every example is in train, val or test.

    An example with an empty or misspelt split may belong to test, so no split is guessed: problems.csv lists them with
    their rows. Correct them at the source. Where this is waived these examples are left out.
    """
    return _no_problem(r, kinds.UNKNOWN_SPLIT, noun="example", what="No known split was found for {n}")


@check(source="Recipe 1, corrupted labels")
def every_class_has_one_spelling(r: Reading) -> Verdict:
    """No names of two classes or labels differ only in case, blanks, underscores, a dash or the form of an accent.

    Such names are one class, or label, whose examples count as two: rename or merge them at the source.
    """
    return _no_problem(r, kinds.CLASS_SPELLING, noun="name", what="Another spelling was found of {n}")


@check(source="Recipe 1, corrupted labels")
def classes_are_at_a_known_level(r: Reading) -> Verdict:
    """Class folders do not all hold the same subfolders, or conf sets the level of folders that holds the classes.

    siteA/{cat,dog} and siteB/{cat,dog} hold cats and dogs, not two classes of sites. Set `classes_at` of the data in
    params.yaml: data: {name: folder, classes_at: 2}. The other levels become metadata (level_1, ...), which `group` may
    name so that a site stays in one split.
    """
    verdict = exactly(r.problems.get(kinds.CLASS_LEVEL, 0), 0)
    return verdict if verdict.ok or not r.level else replace(verdict, value=r.level, bound="chosen by `classes_at`")


@check(source="Recipe 1, variation that can be preprocessed out")
def one_shape(r: Reading) -> Verdict:
    """All examples have the same shape and type: channels, height and width of images, columns of rows.

    For images of different sizes set `size` or a transform in the data set's file in conf/data/, such as
    `transform: {_target_: torchvision.transforms.v2.Resize, size: [32, 32]}`; for grey among colour images add
    torchvision.transforms.v2.Grayscale or RGB. problems.csv lists the examples that differ from most.
    """
    return _no_problem(
        r, kinds.ODD_SHAPE, noun="example", what="Another shape or type than that of most was found for {n}"
    )


@check(source="Recipe 1, corrupted inputs")
def every_row_has_all_its_cells(r: Reading) -> Verdict:
    """Every line of a table has one cell for each column.

    Common causes are a comma in a text without quotes and a truncated file. problems.csv names each line and what is
    odd in it. Where this is waived these lines are left out.
    """
    return _no_problem(r, kinds.RAGGED, noun="line", what="Too many or too few cells were found in {n}")


@check(source="Recipe 1, corrupted inputs")
def columns_have_one_reading(r: Reading) -> Verdict:
    """No column of a table can be read in two ways that give different values.

    03/04/2020 may be in March or in April, 1,234 about one or about a thousand. problems.csv names the column and the
    setting in conf/data/ that decides. Where this is waived the column becomes metadata.
    """
    return _no_problem(r, kinds.AMBIGUOUS, noun="column", what="Two readings were possible for {n}")


@check(source="Recipe 1, biases, corrupted labels")
def metadata_agrees_with_the_files(r: Reading) -> Verdict:
    """Metadata and annotations have one row for every file, and agree with the files.

    problems.csv lists each row without a file, each file without a row, and each contradiction.
    """
    return _no_problem(r, *DISAGREEMENT, noun="place", what="Metadata and files disagreed in {n}")


@check(source="Recipe 2, fix the random seed")
def reading_is_repeatable(r: Reading) -> Verdict:
    """Examples are the same when they are read a second time.

    A transform in conf/data/ draws random numbers: augmentation belongs to conf/augment/, where it touches train only.
    """
    return exactly(r.unrepeatable, 0, finding=f"{count(r.unrepeatable, 'example')} changed when read a second time.")


@check(source="Recipe 1, corrupted inputs", gate=False)
def examples_are_read_as_stored(r: Reading) -> Verdict:
    """No example had to be converted, and its decoder found none odd.

    Other colours, alpha, 16 bits, a rotation by EXIF, a wrong ending, no contrast: problems.csv lists each at the level
    of a note, with what was done. A conversion that is associated with the label is a bias.
    """
    commonest = sorted(r.noted.items(), key=lambda item: (-item[1], item[0]))
    most = ", ".join(f"{kind}: {count:,}" for kind, count in commonest[:3])
    most += ", ..." if len(commonest) > 3 else ""
    return exactly(most or 0, 0, finding=f"Reading converted examples or found them odd ({most}).")


@check(source="Recipe 1, biases", gate=False)
def every_column_is_a_feature(r: Reading) -> Verdict:
    """Every column of a table that has no other role is a feature.

    An index, ids, texts and empty columns are not: they identify rows and measure nothing. problems.csv names them.
    """
    return _no_problem(r, kinds.ASIDE, noun="column", what="No feature was made of {n}")


@check(source="Recipe 1, corrupted inputs", gate=False)
def tables_are_read_as_written(r: Reading) -> Verdict:
    """Nothing about a table had to be recognised: encoding, delimiter, dates, money, decimal commas, rare names.

    problems.csv says how each was read. Where that is wrong, set the right value in the file in conf/data/.
    """
    return _no_problem(r, kinds.ASSUMED, noun="place", what="The format of a table was recognised in {n}")


@check(source="Recipe 1, become one with the data", gate=False)
def targets_are_read_as_written(r: Reading) -> Verdict:
    """Nothing about what is to be predicted had to be recognised: classes, several labels or quantities.

    Whole numbers may be classes or a quantity, and a cell may hold several labels. problems.csv says how the column was
    read, and the word of the data in params.yaml that says otherwise: `target: age` for a quantity,
    `labels: {column: tags, separator: ";"}` for several labels, `task: classification` for classes.
    """
    return _no_problem(r, kinds.TASK, noun="place", what="What is to be predicted was recognised in {n}")


@check(source="Recipe 1, variation that can be preprocessed out", gate=False)
def names_have_one_spelling(r: Reading) -> Verdict:
    """No two names within a column of a table differ only in case or blanks.

    `red` and `Red` become two features. problems.csv counts their rows: use one spelling where they mean the same.
    """
    return _no_problem(
        r, kinds.LEVEL_SPELLING, noun="case", what="Names of a column differed only in case or blanks in {n}"
    )


@check(source="Recipe 1, corrupted inputs", gate=False)
def no_number_stands_for_a_gap(r: Reading) -> Verdict:
    """No column holds -999, 9999 or the like far from all its other values.

    Such codes often mean "not measured", and distort the mean. problems.csv names column and lines.
    """
    return _no_problem(
        r, kinds.ODD_VALUE, noun="case", what="A number far from all others may stand for a missing value in {n}"
    )


@check(source="Recipe 1, variation that can be preprocessed out", gate=False)
def values_fill_their_range(r: Reading, share: float = 0.25, of_bytes: float = 0.125) -> Verdict:
    """The values of images fill the range of their files' type.

    12 bits in files of 16, a mask of 0 and 1 or digits of 0 to 16 in bytes, floats without a known range: such pictures
    are shown black, or clipped, and enter the net like that. `value_range: [black, white]` of the data in params.yaml
    sets the range for all examples, splits and predictions. The value is the share of the range that is used, without
    a thousandth of each picture's values (none for bytes) and 1 % of the pictures at either end. Where the numbers are
    classes, as in a label map, nothing needs to be done.
    """
    if r.values is None:
        return skip("the inputs are not images")
    if math.isnan(r.values.share):
        return Verdict(FAIL, r.values.shown, "a known range", finding=r.values.sentence())
    verdict = above(r.values.share, of_bytes if r.values.bytes else share, finding=r.values.sentence())
    return replace(verdict, value=f"{r.values.share:.3f} ({r.values.shown})")


@check(source="Recipe 1, corrupted inputs", gate=False)
def nothing_lies_beside_the_examples(r: Reading) -> Verdict:
    """The source holds nothing but examples and their metadata.

    Hidden files, files that programs leave behind, files outside all class folders and links to something that is read
    in another place are not read; problems.csv lists them.
    """
    return _no_problem(r, kinds.STRAY, kinds.LINK, noun="item", what="Reading the source skipped {n}")


@check(source="Recipe 1, imbalance", gate=False)
def every_class_folder_holds_a_file(r: Reading) -> Verdict:
    """Every class folder holds a file.

    problems.csv names the empty ones. They count as classes, and the audit's gate closes for a class without an
    example: put its files there, or remove the folder.
    """
    return _no_problem(r, kinds.NO_EXAMPLE, noun="class folder", what="No file was found in {n}")


@check(source="Recipe 1, corrupted inputs", gate=False)
def names_are_plain(r: Reading) -> Verdict:
    """Every file name is read alike by every system.

    Decomposed accents, invisible characters, blanks or dots at an end, characters and names that Windows reserves, and
    two names in one folder that differ only in case: such files get lost when they are copied to another system. Other
    letters, blanks and signs are fine.
    """
    return _no_problem(r, kinds.ODD_NAME, noun="file name", what="Other systems may read {n} differently")


@check(source="Recipe 1, corrupted labels", gate=False)
def class_names_are_apart(r: Reading) -> Verdict:
    """No class or label has the plural of another one's name.

    `cat` and `cats` are most often one class, or label, with two names.
    """
    return _no_problem(r, kinds.CLASS_ALIKE, noun="name", what="The plural of another class may be meant by {n}")
