"""How examples are divided: given splits are obeyed, time and groups are kept, rare classes are named."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sources import put, stored

from recipe.data.decisions import decide, parse
from recipe.data.split_names import NAMES
from recipe.data.splits import group_ids
from recipe.errors import RecipeError
from recipe.sources.tables import Table
from recipe.stages.split import captions as split_captions
from recipe.stages.split import checks as claims
from recipe.stages.split import timeline
from recipe.stages.split.divide import Plan, divide
from recipe.tasks.classification import Classification
from recipe.tasks.labels import ClassNumbers
from recipe.verdict import checks_of

CLASSES = ["a", "b", "c"]
TASK, OF_TWO = Classification(("a", "b", "c")), Classification(("a", "b"))
CHECKS = checks_of(claims)


def example(n: int, label: int = 0, given: str = "", copy=None, group: str = "", **meta) -> dict:
    own = {
        "dup_group": f"d{n if copy is None else copy}",
        "group": group,
        "given_split": given,
        "name": f"t.csv, line {n + 2}",
    }
    return {
        "id": f"i{n}",
        "row": n,
        "label": label,
        "class": CLASSES[label],
        **own,
        **{f"meta_{k}": v for k, v in meta.items()},
    }


def where(division) -> dict[str, str]:
    return {e["id"]: name for name, rows in division.parts.items() for e in rows}


def judged(division) -> dict:
    return {name: check(claims.Written(division.parts, division)) for name, check in CHECKS.items()}


def closed(division) -> dict[str, str]:
    return {name: v.shown for name, v in judged(division).items() if v.closes}


labels, copies = st.integers(0, 2), st.integers(0, 60)


# ---- given splits ----------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(labels, copies, st.sampled_from(NAMES)), min_size=12, max_size=100),
    st.sets(st.sampled_from(["val", "test"])),
    st.integers(0, 3),
)
def test_given_splits_are_obeyed_and_missing_ones_are_taken_out_of_train_only(drawn, gives, seed):
    rows = [
        example(n, label, split if split in gives else "train", copy) for n, (label, copy, split) in enumerate(drawn)
    ]
    assume(any(e["given_split"] == "train" for e in rows))
    gives = {e["given_split"] for e in rows} - {"train"}  # those of which an example was drawn
    made = divide(rows, TASK, Plan(0.2, 0.2, seed))
    got = where(made)
    assert len(got) == len(rows)
    for e in rows:
        if e["given_split"] in ("val", "test"):
            assert got[e["id"]] == e["given_split"]
        else:
            assert got[e["id"]] == "train" or got[e["id"]] not in gives
    of_train = defaultdict(set)
    for e, unit in zip(rows, group_ids(rows), strict=True):
        if e["given_split"] == "train":
            of_train[unit].add(got[e["id"]])
    assert all(len(splits) == 1 for splits in of_train.values())
    given_away = {unit for e, unit in zip(rows, group_ids(rows), strict=True) if e["given_split"] != "train"}
    assert all(of_train[unit] <= {"train"} for unit in given_away)  # no example taken out is a copy of a given one
    assert judged(made)["given_splits_are_obeyed"].verdict in ("pass", "skip")
    assert set(made.shares) == ({"train", "val", "test"} - gives if gives < {"val", "test"} else set())


def source(train: int, val: int = 0, test: int = 0) -> list[dict]:
    names = ["train"] * train + ["val"] * val + ["test"] * test
    return [example(n, n % 2, name) for n, name in enumerate(names)]


def test_what_was_taken_out_of_train_is_reported_with_counts():
    made = divide(source(100, 40), OF_TWO, Plan(0.2, 0.3))
    assert {name: len(rows) for name, rows in made.parts.items()} == {"train": 70, "val": 40, "test": 30}
    assert split_captions.sentences(made) == [
        "The source gives train 100 and val 40; these splits are obeyed. test is missing and taken out of the given "
        "train: test (30, 30% requested); 70 remain in train."
    ]
    assert closed(made) == {}
    assert judged(made)["sizes_are_as_asked"].verdict == judged(made)["class_shares_agree"].verdict == "pass"


def test_three_given_splits_are_judged_for_nothing_that_was_chosen_here():
    rows = [example(n, n % 2 if n < 90 else 0, "train" if n < 80 else "val" if n < 90 else "test") for n in range(140)]
    made = divide(rows, OF_TWO, Plan(0.2, 0.2))
    verdicts = judged(made)
    assert [verdicts[name].verdict for name in ("sizes_are_as_asked", "class_shares_agree")] == ["skip", "skip"]
    assert closed(made) == {"every_class_is_in_every_split": "1: b (45 examples) is not in test"}
    assert split_captions.sentences(made) == ["The source gives train 80, val 10 and test 50; these splits are obeyed."]


def test_given_splits_without_train_are_refused():
    with pytest.raises(
        RecipeError, match=r"gives val \(3\) and test \(2\) and no train: there is nothing to learn from"
    ):
        divide(source(0, 3, 2), TASK, Plan(0.2, 0.2))


def test_an_example_in_none_of_the_given_splits_is_refused():
    with pytest.raises(RecipeError, match=r"1 examples are in none of them; the first is t\.csv, line 11"):
        divide([*source(9), example(9)], TASK, Plan(0.2, 0.2))


def test_ignored_splits_are_divided_anew_and_reported():
    made = divide(source(60, 20, 20), OF_TWO, Plan(0.2, 0.2, given="ignore"))
    verdict = judged(made)["given_splits_are_obeyed"]
    moved = sum(where(made)[e["id"]] != e["given_split"] for e in made.kept)
    assert moved > 20
    assert (verdict.verdict, verdict.value, verdict.closes) == ("fail", moved, False)
    assert (
        f"are ignored because of `given: ignore`: all examples were divided anew, and {moved} are"
        in (split_captions.sentences(made)[0])
    )
    assert closed(made) == {}


CROSSING = [*source(40, 10, 10), example(60, 0, "train", 45), example(61, 1, "val", 55), example(62, 0, "train", 55)]


def test_copies_across_given_splits_close_the_gate_and_name_themselves():
    made = divide(CROSSING, OF_TWO, Plan(0.2, 0.2))
    assert closed(made) == {
        "no_copies_across_splits": "2: i60 in train, i45 in val; i62 in train, i61 in val, i55 in test"
    }
    assert closed(divide(CROSSING, OF_TWO, Plan(0.2, 0.2, given="ignore"))) == {}


def test_the_proposed_lines_are_decisions_that_open_the_gate_and_leave_test_whole():
    lines = split_captions.proposals(divide(CROSSING, OF_TWO, Plan(0.2, 0.2)))
    assert [(line["id"], line["action"]) for line in lines] == [("i60", "drop"), ("i62", "drop"), ("i61", "drop")]
    text = "\n".join(",".join([r["id"], r["action"], "", f'"{r["reason"]}"']) for r in lines)
    decided = parse(text, "copies.csv", {e["id"] for e in CROSSING}, ClassNumbers(CLASSES))
    left = [e for e in CROSSING if e["id"] not in decided]
    made = divide(left, OF_TWO, Plan(0.2, 0.2))
    assert closed(made) == {}
    assert {e["id"] for e in made.parts["test"]} == {e["id"] for e in CROSSING if e["given_split"] == "test"}


# ---- time ------------------------------------------------------------------------------------------------------------

times = st.integers(0, 25)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(labels, copies, times), min_size=5, max_size=90),
    st.sampled_from([(0.2, 0.2), (0.1, 0.3), (0.45, 0.45)]),
)
def test_a_split_by_time_never_puts_the_future_into_train(drawn, shares):
    rows = [example(n, label, copy=copy, t=time) for n, (label, copy, time) in enumerate(drawn)]
    latest = defaultdict(int)
    for e in rows:
        latest[e["dup_group"]] = max(latest[e["dup_group"]], e["meta_t"])
    assume(len(set(latest.values())) >= 3)
    made = divide(rows, TASK, Plan(*shares, by="time", column="t"))
    assert all(made.parts.values())
    unit_times = {name: {latest[e["dup_group"]] for e in part} for name, part in made.parts.items()}
    assert max(unit_times["train"]) < min(unit_times["val"])  # so equal times are together, too
    assert max(unit_times["val"]) < min(unit_times["test"])
    assert max(e["meta_t"] for e in made.parts["train"]) < min(unit_times["val"])  # no single example is later
    for group in latest:
        assert len({where(made)[e["id"]] for e in rows if e["dup_group"] == group}) == 1
    assert judged(made)["no_example_is_later_than_the_next_split"].verdict == "pass"
    again = divide(rows[::-1], TASK, Plan(*shares, seed=7, by="time", column="meta_t"))
    assert again.parts == made.parts  # neither order nor seed plays a part


def test_distinct_times_give_the_requested_shares():
    start = datetime(2021, 12, 1)
    rows = [example(n, n % 2, when=(start + timedelta(days=(37 * n) % 100)).date().isoformat()) for n in range(100)]
    made = divide(rows, OF_TWO, Plan(0.25, 0.15, by="time", column="when"))
    assert {name: len(part) for name, part in made.parts.items()} == {"train": 60, "val": 25, "test": 15}
    assert split_captions.sentences(made) == [
        "The split is by time (`when`): train from 2021-12-01 to 2022-01-29, val from 2022-01-30 to 2022-02-23, test "
        "from 2022-02-24 to 2022-03-10. Examples of one time are in one split, and examples that stay together count "
        "as late as the latest of them."
    ]
    assert closed(made) == {}
    assert judged(made)["sizes_are_as_asked"].value == 0


def test_val_is_taken_out_of_a_given_train_by_time():
    rows = [example(n, n % 2, "train" if n < 80 else "test", t=n) for n in range(100)]
    made = divide(rows, OF_TWO, Plan(0.25, 0.2, by="time", column="t"))
    assert [e["meta_t"] for e in made.parts["val"]] == list(range(60, 80))
    assert closed(made) == {}


def test_given_splits_that_are_not_in_the_order_of_time_close_a_gate():
    rows = [example(n, n % 2, "test" if n < 20 else "train", t=n) for n in range(100)]
    made = divide(rows, OF_TWO, Plan(0.25, 0.2, by="time", column="t"))
    assert closed(made) == {"no_example_is_later_than_the_next_split": "20"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2024-05-01", "soon"], r"`when` of t\.csv, line 3 is `soon`; every example needs a number, or a date"),
        (["2024-05-01", ""], r"`when` of t\.csv, line 3 is ``; every example needs"),
        ([1.0, float("nan")], r"`when` of t\.csv, line 3 is `nan`; every example needs"),
        ([1.0, None], r"`when` of t\.csv, line 3 is `None`"),
        (["31/05/2024", "2024-05-01"], r"`when` of t\.csv, line 2 is `31/05/2024`"),
        (["2024-05-01T10:00:00Z", "2024-05-01T10:00:00"], r"line 3 is .*either all times have an offset from UTC"),
        (
            ["2024-05-01", 20240502],
            r"line 3 is `20240502`, and that of t\.csv, line 2 `2024-05-01`: write all in one form",
        ),
        (["2024-05-01", "2024-05-01"], r"1 distinct time\(s\) cannot be cut into 3 splits"),
    ],
)
def test_a_moment_that_is_none_is_named_with_its_row(values, message):
    rows = [example(n, 0, when=value) for n, value in enumerate(values)]
    with pytest.raises(RecipeError, match=message):
        divide(rows, TASK, Plan(0.2, 0.2, by="time", column="when"))


@given(st.lists(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=20), st.booleans())
def test_iso_times_have_their_order_whatever_their_offset(moments, aware):
    offsets = ["+00:00", "-09:30", "Z", "+14:00"]
    texts = []
    for n, moment in enumerate(moments):
        offset = offsets[n % len(offsets)]
        hours = {"+00:00": 0, "-09:30": -9.5, "Z": 0, "+14:00": 14}[offset]
        texts.append((moment + timedelta(hours=hours)).isoformat() + offset if aware else moment.isoformat(sep=" "))
    parsed = timeline.moments(texts, [str(n) for n in range(len(texts))], "t")
    assert [m.replace(tzinfo=None) for m in parsed] == moments


def test_by_time_needs_a_column_that_exists():
    rows = [example(n, when=n, site="x") for n in range(9)]
    with pytest.raises(
        RecipeError,
        match=r"no metadata column has the name `date`; the metadata columns are: when, site.*metadata: \[date\]",
    ):
        divide(rows, TASK, Plan(0.2, 0.2, by="time", column="date"))
    with pytest.raises(RecipeError, match=r"`by: time` needs `column`.*params.yaml, `split: \{by: time, column"):
        divide(rows, TASK, Plan(0.2, 0.2, by="time"))
    with pytest.raises(RecipeError, match="`column: when` has no effect with `by: random`"):
        divide(rows, TASK, Plan(0.2, 0.2, column="when"))
    with pytest.raises(RecipeError, match="`rare: train` would put examples into train that are later"):
        divide(rows, TASK, Plan(0.2, 0.2, by="time", column="when", rare="train"))


@pytest.mark.parametrize(
    ("values", "name", "dates"),
    [
        (["2024-03-01", "2023-01-31", None, "2024-02-01 12:00"], "visit", ("2023-01-31", "2024-03-01")),
        ([2019, 2001, 2024, 2000], "model_year", ("2000", "2024")),
        ([1.7e9, 1.6e9, 1.65e9, 1.6e9], "timestamp", ("1600000000.0", "1700000000.0")),
        ([2019, 2001, 2024, 2000], "lot", None),  # numbers without a word of time
        ([3, 12, 7, 5], "time", None),
        (["2024-03-01", "soon", "2024-03-01", "2024-02-01"], "visit", None),
        (["2024-03-01"] * 4, "visit", None),
    ],
)
def test_dates_in_the_metadata_of_a_random_split_are_noted_with_the_line_that_changes_it(values, name, dates):
    rows = [example(n, n % 2, site=f"s{n}", **{name: values[n % 4]}) for n in range(40)]
    verdict = judged(divide(rows, OF_TWO, Plan(0.2, 0.2)))["no_dates_in_a_random_split"]
    if dates is None:
        assert verdict.verdict == "skip"
    else:
        assert (verdict.verdict, verdict.closes) == ("fail", False)
        assert verdict.value == f"`{name}`, {dates[0]} to {dates[1]}"
        assert verdict.bound == f"split: {{by: time, column: {name}}}"


def test_dates_among_the_features_of_a_table_are_noted_too(tmp_path):
    lines = [f"2024-0{1 + n % 9}-1{n % 7},{n * 7 % 13},{'ab'[n % 2]}" for n in range(40)]
    put(tmp_path, "t.csv", content="\n".join(["bought,size,label", *lines]).encode())
    _, store = stored(Table(tmp_path / "t.csv", label="label"), tmp_path / "out")
    made = divide([example(n, n % 2) for n in range(40)], OF_TWO, Plan(0.2, 0.2))
    verdict = CHECKS["no_dates_in_a_random_split"](claims.Written(made.parts, made, store.dates()))
    assert (verdict.verdict, verdict.value) == ("fail", "`bought`, among the features")
    assert verdict.bound == "metadata: [bought] for the data, and split: {by: time, column: bought}"


# ---- groups ----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(labels, st.integers(0, 9), st.sampled_from(["", "w", "x", "y"])), min_size=12, max_size=80))
def test_by_group_keeps_the_column_the_sources_groups_and_copies_whole(drawn):
    rows = [
        example(n, label, site=f"s{site}", group=group, copy=n // 2) for n, (label, site, group) in enumerate(drawn)
    ]
    made = divide(rows, TASK, Plan(0.2, 0.2, by="group", column="site"))
    got = where(made)
    for key in ("meta_site", "group", "dup_group"):
        splits = defaultdict(set)
        for e in rows:
            if e[key]:
                splits[e[key]].add(got[e["id"]])
        assert all(len(s) == 1 for s in splits.values()), key
    assert judged(made)["no_group_across_splits"].verdict == "pass"


def test_by_group_without_groups_is_refused():
    rows = [example(n, site=f"s{n}", day=n // 3) for n in range(9)]
    with pytest.raises(RecipeError, match="`by: group` needs groups, but the source has none"):
        divide(rows, TASK, Plan(0.2, 0.2, by="group"))
    with pytest.raises(RecipeError, match="no two examples have the same `site`, so it does not group them"):
        divide(rows, TASK, Plan(0.2, 0.2, by="group", column="site"))
    assert divide(rows, TASK, Plan(0.2, 0.2, by="group", column="day")).parts


def test_a_group_that_given_splits_divide_is_named():
    rows = [example(n, n % 2, "train" if n < 40 else "val" if n < 50 else "test", site=f"s{n // 4}") for n in range(60)]
    made = divide(rows, OF_TWO, Plan(0.2, 0.2, by="group", column="site"))
    assert closed(made) == {"no_group_across_splits": "1: site s12 in val, test"}


# ---- rare classes ----------------------------------------------------------------------------------------------------


RARE = [example(n, n % 2) for n in range(60)] + [example(60, 2), example(61, 2)]


def test_a_class_of_two_examples_is_named_with_what_it_lacks():
    (value,) = closed(divide(RARE, TASK, Plan(0.2, 0.2))).values()
    assert value.startswith("1: c (2 examples) is not in t")
    hint = CHECKS["every_class_is_in_every_split"].fixed["hint"]
    assert all(way in hint for way in ("rare: drop", "rare: train", "relabel", "given: ignore"))


def test_rare_classes_are_left_out_and_the_labels_renumbered():
    rows = [e | {"label": (e["label"] + 1) % 3, "class": "bca"[e["label"]]} for e in RARE]  # `a` is the rare one
    made = divide(rows, TASK, Plan(0.2, 0.2, rare="drop"))
    assert list(made.task.classes) == ["b", "c"]
    assert Counter((e["label"], e["class"]) for e in made.kept) == {(0, "b"): 30, (1, "c"): 30}
    assert closed(made) == {}
    assert split_captions.sentences(made) == [
        "The 2 examples of classes with fewer than 3 examples (copies and groups count once) are left out, and their "
        "classes are removed, because of `rare: drop`: a (2)."
    ]


def test_a_rare_class_that_the_source_gives_to_test_is_not_reported_as_only_in_train():
    rows = [example(n, given="test" if n % 2 else "train") for n in range(40)]
    rows += [example(40, label=1, given="train"), example(41, label=1, given="test")]
    made = divide(rows, OF_TWO, Plan(0.2, 0.2, rare="train"))
    assert (where(made)["i40"], where(made)["i41"]) == ("train", "test")
    text = " ".join(split_captions.sentences(made))
    assert "are in train, except those that the source gives to another split" in text


def test_rare_classes_are_kept_only_in_train():
    made = divide(RARE, TASK, Plan(0.2, 0.2, rare="train"))
    assert [where(made)[e["id"]] for e in RARE[-2:]] == ["train", "train"]
    assert closed(made) == {}
    assert "are only in train, so no validation or test score includes them" in split_captions.sentences(made)[0]


@pytest.mark.parametrize("action", ["drop", "relabel"])
def test_a_class_that_decisions_empty_is_removed(action):
    label = "a" if action == "relabel" else ""
    lines = "\n".join(f"i{n},{action},{label},too few of them" for n in (60, 61))
    decided = parse(lines, "decisions.csv", {e["id"] for e in RARE}, ClassNumbers(["c", "a", "b"]))
    classes = ["c", "a", "b"]
    rows = [e | {"label": classes.index(e["class"])} for e in RARE]
    made = divide(decide(rows, decided, ClassNumbers(classes)), Classification(tuple(classes)), Plan(0.2, 0.2))
    assert list(made.task.classes) == ["a", "b"]
    assert Counter(e["label"] for e in made.kept) == {0: 32 if action == "relabel" else 30, 1: 30}
    assert closed(made) == {}
    assert split_captions.sentences(made) == ["Classes without an example after decisions.csv were removed: c."]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(labels, st.integers(0, 12)), min_size=1, max_size=40), st.sampled_from(["drop", "train"]))
def test_a_class_is_rare_by_the_sets_that_stay_together(drawn, rare):
    rows = [example(n, label, copy=(label, copy)) for n, (label, copy) in enumerate(drawn)]
    sets = defaultdict(set)
    for e in rows:
        sets[e["class"]].add(e["dup_group"])
    made = divide(rows, TASK, Plan(0.2, 0.2, rare=rare))
    assert set(made.rare) == {name for name, members in sets.items() if len(members) < 3}
    assert closed(made) == {}
