"""The division that conf/split.yaml requests: given splits obeyed, missing ones taken out of train, rare classes."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from recipe.data.groups import linked_groups
from recipe.data.split_names import NAMES
from recipe.data.splits import assign, group_ids, shares
from recipe.errors import RecipeError
from recipe.problems import shown
from recipe.stages.split import timeline
from recipe.stages.split.folds import FOLDS_NEED, fold_numbers
from recipe.stages.split.timeline import Moment
from recipe.tasks.task import Task

FEWEST = 3  # sets of examples that stay together; a class with fewer cannot be in train, val and test


Example = dict[str, Any]  # a row of examples.parquet


@dataclass(frozen=True)
class Plan:
    """conf/split.yaml, whose values recipe.config checks. val, test: shares of the examples that are divided.

    folds: of a cross-validation of train and val; None: there are none.
    """

    val: float
    test: float
    seed: int = 0
    given: str = "obey"
    by: str = "random"
    column: str | None = None
    rare: str = "ask"
    folds: int | None = None

    @property
    def fewest(self) -> int:
        """Sets of examples that stay together; a class with fewer cannot be in test and in each part validated on."""
        return self.folds + 1 if self.folds else FEWEST


@dataclass(frozen=True)
class Division:
    """The examples in train, val and test, and how they were divided."""

    plan: Plan
    parts: dict[str, list[Example]]  # by row
    kept: list[Example]  # the examples of all three
    task: Task  # with the classes that are left
    shares: dict[str, float]  # requested share of each split that was made here; empty where the source gives all three
    divided: frozenset[str]  # ids of the examples that were divided here: all, or those of a given train
    rare: dict[str, int]  # {class: examples} that was left out, or is only in train, as `plan.rare` requests
    empty: list[str]  # classes that decisions.csv left without an example, and that were removed
    moments: dict[str, Moment]  # {id: the latest time among the examples it stays with}; empty unless by time
    folds: dict[str, int | None] = field(default_factory=dict)  # {id: fold that validates it; None: always in train}

    @cached_property
    def strata(self) -> dict[str, tuple[int, ...]]:
        """{id: strata, each of which every split should hold in the same share}"""
        form = self.task.labels
        strata = self.task.strata([form.parsed(e["label"]) for e in self.kept])
        return {e["id"]: inside for e, inside in zip(self.kept, strata, strict=True)}

    @cached_property
    def given(self) -> dict[str, int]:
        """{split: examples that the source gives it}, of those that are kept"""
        count = Counter(e["given_split"] for e in self.kept)
        return {name: count[name] for name in NAMES if count[name]}

    @property
    def obeyed(self) -> bool:
        return bool(self.given) and self.plan.given == "obey"

    @cached_property
    def moved(self) -> int:
        """Examples in another split than the source puts them, not counting those taken out of an obeyed train."""
        taken = self.divided if self.obeyed else ()
        placed = [(e, name) for name, rows in self.parts.items() for e in rows if e["given_split"]]
        return sum(e["given_split"] != name and e["id"] not in taken for e, name in placed)

    @cached_property
    def dated(self) -> dict[str, tuple[str, str]]:
        """{metadata column of dates or times: (the earliest, the latest) value}"""
        return timeline.dated_columns(self.kept)


def divide(examples: Sequence[Example], task: Task, plan: Plan) -> Division:
    """The examples as decisions.csv leaves them: id, row, label, class, group, dup_group, given_split, name, meta_*.

    Copies and groups stay whole wherever the division is made here. Raises RecipeError where `plan` requests what the
    examples do not allow: no train, no groups, no such column, no time for an example.
    """
    _check(plan)
    if plan.by == "group":
        examples = _grouped(examples, plan.column)
    present = {e["class"] for e in examples}
    empty = [name for name in task.classes if name not in present]
    examples, task, rare = _rare(list(examples), task, plan)
    given = _given(examples) if plan.given == "obey" else set()
    if plan.folds and "val" in given:
        raise RecipeError(
            f"conf/split.yaml: `folds: {plan.folds}` divides train and val anew, but the source gives a val split, "
            f"which is obeyed. {FOLDS_NEED}"
        )
    requested = shares(plan.val, plan.test, [name for name in NAMES[1:] if name not in given])
    units = group_ids(examples)
    latest = _latest(examples, units, plan.column) if plan.by == "time" and plan.column else {}
    names = [e["given_split"] for e in examples] if given else ["train"] * len(examples)
    only_train = rare if plan.rare == "train" else {}
    fixed = {unit for unit, name in zip(units, names, strict=True) if name != "train"}
    # a copy of what is given to val or test, or one of its group, stays in train: a split made here shares nothing
    pool = [i for i, e in enumerate(examples) if units[i] not in fixed and e["class"] not in only_train]
    pool = pool if requested else []
    if pool:
        of_pool = [units[i] for i in pool]
        if latest:
            made = timeline.cut(latest, of_pool, requested)
        else:
            labels = [task.labels.parsed(examples[i]["label"]) for i in pool]
            made = assign(task.strata(labels), of_pool, requested, plan.seed)
        for i, name in zip(pool, made, strict=True):
            names[i] = name
    fold_of: dict[int, int] = {}
    if plan.folds:
        validated = [i for i in pool if names[i] != "test"]
        strata = task.strata([task.labels.parsed(examples[i]["label"]) for i in validated])
        numbers = fold_numbers(strata, [units[i] for i in validated], plan.folds, plan.seed)
        fold_of = dict(zip(validated, numbers, strict=True))
        for i, number in fold_of.items():
            names[i] = "train" if number else "val"
        requested = _with_folds(requested, plan.folds)
    parts: dict[str, list[Example]] = {name: [] for name in NAMES}
    for example, name in zip(examples, names, strict=True):
        parts[name].append(example)
    parts = {name: sorted(rows, key=lambda e: e["row"]) for name, rows in parts.items()}
    moments = {e["id"]: latest[unit] for e, unit in zip(examples, units, strict=True)} if latest else {}
    divided = frozenset(examples[i]["id"] for i in pool)
    folds = {e["id"]: fold_of.get(i) for i, e in enumerate(examples) if plan.folds and names[i] != "test"}
    return Division(plan, parts, examples, task, requested, divided, rare, empty, moments, folds)


def _with_folds(requested: Mapping[str, float], folds: int) -> dict[str, float]:
    """The shares of the splits where val is the first of `folds` equal parts of train and val."""
    val = (requested["train"] + requested["val"]) / folds
    return {**requested, "train": (folds - 1) * val, "val": val}


def in_several_splits(
    parts: Mapping[str, Sequence[Example]], kept: Sequence[Example], column: str
) -> dict[str, dict[str, list[str]]]:
    """{value of a column of `kept`: {split: ids}} of the values that are in more than one split; empty values aside."""
    value = {e["id"]: e[column] for e in kept}
    splits_of: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, rows in parts.items():
        for row in rows:
            if value.get(row["id"]):
                splits_of[value[row["id"]]][name].append(row["id"])
    return {key: dict(splits) for key, splits in sorted(splits_of.items()) if len(splits) > 1}


# ---- what the plan requests ------------------------------------------------------------------------------------------


def _check(plan: Plan) -> None:
    if plan.by == "time" and plan.column is None:
        raise RecipeError(
            "`by: time` needs `column`, the metadata column that contains the time: in params.yaml, "
            "`split: {by: time, column: its name}`."
        )
    if plan.by == "random" and plan.column is not None:
        raise RecipeError(
            f"conf/split.yaml: `column: {plan.column}` has no effect with `by: random`; set `by: time` or `by: group`."
        )
    if plan.by == "time" and plan.rare == "train":
        raise RecipeError(
            "conf/split.yaml: `rare: train` would put examples into train that are later than val and test; with "
            "`by: time` set `rare` to ask or drop."
        )
    if plan.folds and plan.by == "time":
        raise RecipeError(
            f"conf/split.yaml: `folds: {plan.folds}` would validate networks on examples that are earlier than those "
            f"they were trained on. {FOLDS_NEED}"
        )


def _column(examples: Sequence[Example], column: str, by: str) -> str:
    """The name in examples.parquet; raises RecipeError that lists the metadata columns."""
    known = [name for name in examples[0] if name.startswith("meta_")] if examples else []
    for name in (f"meta_{column}", column):
        if name in known:
            return name
    there = ", ".join(shown(name.removeprefix("meta_")) for name in known) or "none"
    raise RecipeError(
        f"`by: {by}`: no metadata column has the name `{column}`; the metadata columns are: {there}. Of a table, only "
        f"columns that `metadata` lists are metadata: in params.yaml, `data: {{name: table, metadata: [{column}]}}`. "
        "In a folder, all columns of its metadata.csv are."
    )


def _given(examples: Sequence[Example]) -> set[str]:
    """The splits that the source gives; raises RecipeError where train is not among them, or an example has none."""
    count = Counter(e["given_split"] for e in examples)
    given = {name for name in NAMES if count[name]}
    listed = " and ".join(f"{name} ({count[name]:,})" for name in NAMES if count[name])
    if given and "train" not in given:
        raise RecipeError(
            f"The source gives {listed} and no train: there is nothing to learn from. Give it a train split, or "
            "divide all examples anew: `split: {given: ignore}` in params.yaml."
        )
    if given and (lacking := [e for e in examples if e["given_split"] not in NAMES]):
        where = lacking[0].get("name") or lacking[0]["id"]
        raise RecipeError(
            f"The source gives {listed}, and {len(lacking):,} examples are in none of them; the first is {where}. Give "
            "each one a split, or divide all examples anew: `split: {given: ignore}` in params.yaml."
        )
    return given


def _grouped(examples: Sequence[Example], column: str | None) -> list[Example]:
    """The examples with `group` set to what must stay whole: the groups of the source, and the values of a column."""
    if column is None:
        if not any(e["group"] for e in examples):
            raise RecipeError(
                "conf/split.yaml: `by: group` needs groups, but the source has none. Set `group` of the data, or "
                "`column` here to a metadata column, in params.yaml."
            )
        return list(examples)
    name = _column(examples, column, "group")
    values = ["" if e[name] is None or e[name] != e[name] else str(e[name]) for e in examples]
    if max(Counter(v for v in values if v).values(), default=0) < 2:
        raise RecipeError(
            f"conf/split.yaml, `by: group`: no two examples have the same `{column}`, so it does not group them."
        )
    # an example without a value is a group of one, unless the source's group links it to others
    of_source = [f"group {e['group']}" if e["group"] else f"alone {e['id']}" for e in examples]
    of_column = [f"{column} {value}" if value else group for group, value in zip(of_source, values, strict=True)]
    linked = linked_groups([*of_source, *of_column], zip(of_source, of_column, strict=True))
    name_of: dict[str, str] = {}
    for group, named, value in zip(of_source, of_column, values, strict=True):
        if value:
            name_of[linked[group]] = min(named, name_of.get(linked[group], named))
    return [e | {"group": name_of.get(linked[g], e["group"])} for e, g in zip(examples, of_source, strict=True)]


def _latest(examples: Sequence[Example], units: Sequence[str], column: str) -> dict[str, Moment]:
    """{unit: its latest time}"""
    name = _column(examples, column, "time")
    places = [e.get("name") or f"example {e['id']}" for e in examples]
    return timeline.latest_of(units, timeline.moments([e[name] for e in examples], places, column))


# ---- rare classes ----------------------------------------------------------------------------------------------------


def _rare(examples: list[Example], task: Task, plan: Plan) -> tuple[list[Example], Task, dict[str, int]]:
    """(examples, task, {rare class: its examples}); labels are renumbered without the classes that are left out.

    Classes are left out that have no example after decisions.csv, and with `drop` the rare ones. Raises RecipeError
    where there are no classes and `plan` says what to do with rare ones.
    """
    if not task.classes:
        if plan.rare != "ask":
            raise RecipeError(
                f"conf/split.yaml: `rare: {plan.rare}` is of classes, and there are none: set `rare: ask`."
            )
        return examples, task, {}
    sets, count = defaultdict(set), Counter(e["class"] for e in examples)
    for example, unit in zip(examples, group_ids(examples), strict=True):
        sets[example["class"]].add(unit)
    few = [name for name in task.classes if 0 < len(sets[name]) < plan.fewest]
    rare = {name: count[name] for name in few} if plan.rare != "ask" else {}
    left = [name for name in task.classes if count[name] and (plan.rare != "drop" or name not in rare)]
    number = {name: label for label, name in enumerate(left)}
    kept = [e | {"label": number[e["class"]]} for e in examples if e["class"] in number]
    return kept, task.with_names(left), rare
