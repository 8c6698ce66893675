"""decisions.csv: read, refused and obeyed."""

import pytest

from recipe.data.decisions import Decision, decide, read_decisions
from recipe.errors import RecipeError
from recipe.tasks.labels import ClassNumbers


@pytest.fixture
def decisions(tmp_path):
    def write(*lines, header="id,action,label,reason"):
        path = tmp_path / "decisions.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return read_decisions(path, {"x1", "x2"}, ClassNumbers(["cat", "dog"]))

    return write


def test_decisions_are_read(decisions):
    result = decisions('x1,relabel,dog,"looked twice, is a dog"', "", "x2,drop,,blank")
    assert result["x1"] == Decision("x1", "relabel", "dog", "looked twice, is a dog")
    assert result["x2"].action == "drop"
    assert decisions() == {}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x9,drop,,r"], r"line 2: no example `x9`"),
        (["x1,drop,,r", "", "x2,delete,,r"], r"line 4: no action `delete`; there are drop, relabel, keep"),
        (["x1,relabel,cow,r"], r"line 2: relabel to `cow`: no such class; there are cat, dog"),
        (["x1,relabel,,r"], r"line 2: relabel to ``"),
        (["x1,keep,dog,r"], r"line 2: `keep` takes no label.*is `relabel` meant"),
        (["x1,drop,,"], r"line 2: a decision needs a reason"),
        (["x1,drop,,r", "x1,keep,,r"], r"line 3: `x1` is decided twice"),
        (["x1,drop,,blank, or nearly"], r"line 2: 5 cells, there must be 4.*double quotes"),
        (["x1,drop,r"], r"line 2: 3 cells"),
    ],
)
def test_a_wrong_decision_is_named_by_its_line(decisions, lines, message):
    with pytest.raises(RecipeError, match=message):
        decisions(*lines)


def test_a_wrong_header_is_named_even_without_decisions(decisions):
    with pytest.raises(
        RecipeError, match="its first line must be id,action,label,reason, it is id;action;label;reason"
    ):
        decisions(header="id;action;label;reason")


def test_missing_decisions_say_what_to_write(tmp_path):
    with pytest.raises(RecipeError, match=r"decisions.csv is missing.*one line: id,action,label,reason"):
        read_decisions(tmp_path / "decisions.csv", set(), ClassNumbers([]))


def test_decisions_are_obeyed():
    examples = [{"id": i, "label": 0, "class": "cat"} for i in ("a", "b", "c")]
    results = {"a": Decision("a", "drop", "", "r"), "b": Decision("b", "relabel", "dog", "r")}
    results["c"] = Decision("c", "keep", "", "r")
    assert decide(examples, results, ClassNumbers(["cat", "dog"])) == [
        {"id": "b", "label": 1, "class": "dog"},
        {"id": "c", "label": 0, "class": "cat"},
    ]
