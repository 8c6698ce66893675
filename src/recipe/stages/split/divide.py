"""The division that conf/split.yaml asks for: given splits obeyed, missing ones carved out of train, rare classes."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from recipe.data.groups import linked_groups
from recipe.data.split_names import NAMES
from recipe.data.splits import assign, group_ids, shares
from recipe.errors import RecipeError
from recipe.problems import shown
from recipe.stages.split import timeline

ENOUGH = 3  # sets of examples that stay together: a class with fewer cannot be in train, val and test


@dataclass(frozen=True)
class Plan:
    """conf/split.yaml, whose words recipe.config checks. val, test: shares of the examples that are divided."""

    val: float
    test: float
    seed: int = 0
    given: str = "obey"
    by: str = "random"
    column: str | None = None
    rare: str = "ask"


@dataclass(frozen=True)
class Division:
    """The examples in train, val and test, and how they came there."""

    plan: Plan
    parts: dict[str, list[dict]]  # by row
    kept: list[dict]  # all of them
    classes: list[str]  # what the labels number
    shares: dict[str, float]  # asked of each split that was made here; empty where the source gives all three
    divided: frozenset[str]  # ids of the examples that were divided here: all, or those of a given train
    rare: dict[str, int]  # {class: examples} that was left out, or is in train alone, as `plan.rare` says
    empty: list[str]  # classes of which no example is left, as decisions.csv may do: no classes any more
    moments: dict[str, object]  # {id: the latest moment among the examples it stays with}; empty unless by time

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
        """Examples that are elsewhere than where the source puts them, but for what an obeyed train gave away."""
        carved = self.divided if self.obeyed else ()
        placed = [(e, name) for name, rows in self.parts.items() for e in rows if e["given_split"]]
        return sum(e["given_split"] != name and e["id"] not in carved for e, name in placed)

    @cached_property
    def dated(self) -> dict[str, tuple[str, str]]:
        return timeline.dated(self.kept)


def divide(examples: Sequence[dict], classes: Sequence[str], plan: Plan) -> Division:
    """The examples as decisions.csv leaves them: id, row, label, class, group, dup_group, given_split, name, meta_*.

    Copies and groups stay whole wherever the division is made here. Raises RecipeError where `plan` asks for what the
    examples cannot give: no train, no groups, no such column, no moment for an example.
    """
    _check(plan)
    if plan.by == "group":
        examples = _grouped(examples, plan.column)
    present = {e["class"] for e in examples}
    empty = [name for name in classes if name not in present]
    examples, classes, rare = _rare(list(examples), list(classes), plan)
    given = _given(examples) if plan.given == "obey" else set()
    asked = shares(plan.val, plan.test, [name for name in NAMES[1:] if name not in given])
    units = group_ids(examples)
    latest = _latest(examples, units, plan) if plan.by == "time" else {}
    names = [e["given_split"] for e in examples] if given else ["train"] * len(examples)
    alone = rare if plan.rare == "train" else {}
    elsewhere = {unit for unit, name in zip(units, names, strict=True) if name != "train"}
    # a copy of what is given to val or test, or one of its group, stays in train: what is made here shares nothing
    pool = [i for i, e in enumerate(examples) if units[i] not in elsewhere and e["class"] not in alone] if asked else []
    if pool:
        of_pool = [units[i] for i in pool]
        if latest:
            made = timeline.cut(latest, of_pool, asked)
        else:
            made = assign([examples[i]["label"] for i in pool], of_pool, asked, plan.seed)
        for i, name in zip(pool, made, strict=True):
            names[i] = name
    parts = {name: [] for name in NAMES}
    for example, name in zip(examples, names, strict=True):
        parts[name].append(example)
    parts = {name: sorted(rows, key=lambda e: e["row"]) for name, rows in parts.items()}
    moments = {e["id"]: latest[unit] for e, unit in zip(examples, units, strict=True)} if latest else {}
    divided = frozenset(examples[i]["id"] for i in pool)
    return Division(plan, parts, examples, classes, asked, divided, rare, empty, moments)


# ---- what is asked ---------------------------------------------------------------------------------------------------


def _check(plan: Plan) -> None:
    if plan.by == "time" and plan.column is None:
        raise RecipeError(
            "`by: time` needs `column`, the metadata column that holds the time: in params.yaml, "
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


def _column(examples: Sequence[dict], column: str, by: str) -> str:
    """The name in examples.parquet; raises RecipeError that lists the metadata columns."""
    known = [name for name in examples[0] if name.startswith("meta_")] if examples else []
    for name in (f"meta_{column}", column):
        if name in known:
            return name
    there = ", ".join(shown(name.removeprefix("meta_")) for name in known) or "none"
    raise RecipeError(
        f"`by: {by}`: no metadata column `{column}`; there are: {there}. Of a table only the columns that `metadata` "
        f"names are metadata: in params.yaml, `data: {{name: table, metadata: [{column}]}}`. Of a folder all columns "
        "of its metadata.csv are."
    )


def _given(examples: Sequence[dict]) -> set[str]:
    """The splits that the source gives; raises RecipeError where train is not among them, or an example has none."""
    count = Counter(e["given_split"] for e in examples)
    given = {name for name in NAMES if count[name]}
    told = " and ".join(f"{name} ({count[name]:,})" for name in NAMES if count[name])
    if given and "train" not in given:
        raise RecipeError(
            f"The source gives {told} and no train: there is nothing to learn from. Give it a train split, or "
            "divide all examples anew: `split: {given: ignore}` in params.yaml."
        )
    if given and (lacking := [e for e in examples if e["given_split"] not in NAMES]):
        where = lacking[0].get("name") or lacking[0]["id"]
        raise RecipeError(
            f"The source gives {told}, and {len(lacking):,} examples are in none of them, the first is {where}. Give "
            "each one a split, or divide all examples anew: `split: {given: ignore}` in params.yaml."
        )
    return given


def _grouped(examples: Sequence[dict], column: str | None) -> list[dict]:
    """The examples with what must stay whole as their `group`: the source's own groups, and the values of a column."""
    if column is None:
        if not any(e["group"] for e in examples):
            raise RecipeError(
                "conf/split.yaml: `by: group` needs groups, and the source names none. Set `group` of the data, or "
                "`column` here to a metadata column, in params.yaml."
            )
        return list(examples)
    name = _column(examples, column, "group")
    values = ["" if e[name] is None or e[name] != e[name] else str(e[name]) for e in examples]
    if max(Counter(v for v in values if v).values(), default=0) < 2:
        raise RecipeError(f"conf/split.yaml, `by: group`: no two examples have the same `{column}`, so it groups none.")
    # an example without a value is a group by itself, unless the source's own group ties it to others
    own = [f"group {e['group']}" if e["group"] else f"alone {e['id']}" for e in examples]
    mine = [f"{column} {value}" if value else first for first, value in zip(own, values, strict=True)]
    top = linked_groups([*own, *mine], zip(own, mine, strict=True))
    called = {}
    for first, group, value in zip(own, mine, values, strict=True):
        if value:
            called[top[first]] = min(group, called.get(top[first], group))
    return [e | {"group": called.get(top[first], e["group"])} for e, first in zip(examples, own, strict=True)]


def _latest(examples: Sequence[dict], units: Sequence[str], plan: Plan) -> dict:
    """{unit: its latest moment}"""
    name = _column(examples, plan.column, "time")
    places = [e.get("name") or f"example {e['id']}" for e in examples]
    return timeline.latest_of(units, timeline.moments([e[name] for e in examples], places, plan.column))


# ---- rare classes ----------------------------------------------------------------------------------------------------


def _rare(examples: list[dict], classes: list[str], plan: Plan) -> tuple[list[dict], list[str], dict[str, int]]:
    """(examples, classes, {rare class: its examples}); labels are numbered anew without the classes that are left out.

    Left out is a class without an example, which decisions.csv emptied, and under `drop` a rare one.
    """
    sets, count = defaultdict(set), Counter(e["class"] for e in examples)
    for example, unit in zip(examples, group_ids(examples), strict=True):
        sets[example["class"]].add(unit)
    few = [name for name in classes if 0 < len(sets[name]) < ENOUGH]
    rare = {name: count[name] for name in few} if plan.rare != "ask" else {}
    left = [name for name in classes if count[name] and (plan.rare != "drop" or name not in rare)]
    number = {name: label for label, name in enumerate(left)}
    return [e | {"label": number[e["class"]]} for e in examples if e["class"] in number], left, rare
