"""A column of texts: what cannot be one is a message, and a text that cannot be used is named by its line."""

import pandas
import pytest
from sources import CONFIG

from recipe.errors import RecipeError
from recipe.files import read_csv
from recipe.sources.tables import Text
from recipe.sources.text_layout import LONGEST
from recipe.stages.prepare.write_store import prepare


def source(folder, texts, name="t.csv") -> Text:
    frame = pandas.DataFrame({"comment": texts, "label": ["a", "b"] * (len(texts) // 2)})
    if name.endswith("parquet"):
        frame.to_parquet(folder / name)
    else:
        frame.to_csv(folder / name, index=False)
    return Text(str(folder / name), text="comment", label="label")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            [1.5 * n for n in range(20)],
            "column `comment` holds numbers, not texts.*the others are `label`.*data: table",
        ),
        ([None] * 20, "column `comment`: every text is empty"),
    ],
)
def test_a_column_without_texts_is_a_message(tmp_path, name, texts, message):
    with pytest.raises(RecipeError, match=message):
        source(tmp_path, texts, name)


def test_a_few_numbers_among_texts_are_texts(tmp_path):
    texts = ["call me", "42", "ok", "7", "see you", "yes"]
    assert [source(tmp_path, texts)[i][0] for i in range(6)] == texts


def test_an_empty_text_and_one_of_a_megabyte_are_named_by_their_line(tmp_path):
    made = source(tmp_path, ["fine", "", "   ", "so so", "a " * (LONGEST // 2 + 1), "bad"])
    prepare(made, CONFIG, tmp_path / "store")
    problems = {row["name"]: row["detail"] for row in read_csv(tmp_path / "store/problems.csv")}
    assert problems == {
        "t.csv, line 3": "the text is empty",
        "t.csv, line 4": "the text is empty",
        "t.csv, line 6": "the text has 1,000,002 characters, 1,000,000 at most: divide or cut it",
    }
