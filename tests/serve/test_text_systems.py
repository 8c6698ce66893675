"""A saved system of texts: what it predicts for files, folders, arrays and requests, and what it says of others."""

import shutil
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
import pandas
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from recipe.data.batches import load, read_test
from recipe.data.store import Store
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.files import write_csv
from recipe.serve import system
from recipe.serve.inputs import example_request, read_inputs
from recipe.serve.integrity import write_description
from recipe.serve.predict import predict_inputs, prediction_frame
from recipe.sources.tables import Text
from recipe.stages.prepare.write_store import prepare

CONFIG = {"_target_": "somewhere.Texts"}
CFG = OmegaConf.create(
    {
        "model": {"_target_": "recipe.models.text.textcnn", "width": 4},
        "train": {"input_size": None, "quantiles": False},
    }
)
GOOD = ["a fine film", "fine acting and a fine plot", "what a fine evening", "fine , simply fine"]
BAD = ["a dull film", "dull acting and a dull plot", "what a dull evening", "dull , simply dull"]


class Made:
    """A project with its splits and a saved system of two networks with random weights."""

    def __init__(self, root):
        self.root = root
        lines = [f"{text}\t{label}" for label, texts in (("good", GOOD), ("bad", BAD)) for text in texts * 4]
        (root / "texts.tsv").write_text("review\tlabel\n" + "\n".join(lines))
        prepare(Text(str(root / "texts.tsv"), text="review", label="label"), CONFIG, root / "runs/prepare")
        self.store = Store.open(CONFIG, root / "runs/prepare")
        examples = self.store.examples()
        for name, rows in (("train", range(0, 32, 2)), ("val", range(1, 32, 4)), ("test", range(3, 32, 4))):
            listed = [{"id": examples[r]["id"], "row": r, "label": examples[r]["label"]} for r in rows]
            write_csv(root / f"runs/split/{name}.csv", listed)
        write_csv(root / "runs/split/classes.csv", [{"label": n, "class": c} for n, c in enumerate(("bad", "good"))])
        places = {"lists": root / "runs/split", "folder": root / "runs/prepare"}
        self.data = load(CONFIG, "cpu", **places)
        self.test = read_test(self.data, CONFIG, "cpu", **places)
        self.nets = [build.model(CFG, self.data, seed).eval() for seed in range(2)]
        members = [({}, net.state_dict(), 1) for net in self.nets]
        system.save(root / "system", CFG, self.data, members, prepared=root / "runs/prepare")
        self.system = system.load(root / "system")

    def expected(self, tokens) -> torch.Tensor:
        with torch.no_grad():
            return torch.stack([net(tokens).double().softmax(1) for net in self.nets]).mean(0)

    def predicted(self, path) -> list:
        return list(predict_inputs(self.system, read_inputs(path, self.system.form, 1)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("texts"))


def test_the_vocabulary_is_of_the_training_texts_and_test_has_the_same_numbers(made):
    assert made.data.tokenizer.words == made.system.tokenizers[0].words
    assert made.test.x.equal(made.data.tokenizer.encode(made.test.texts))
    assert made.data.kind.name == "text"


def test_a_loaded_system_predicts_as_the_networks_that_were_saved(made):
    p = made.system.predict(np.array(made.test.texts, object))
    assert torch.allclose(p, made.expected(made.test.x), atol=1e-9)


def test_texts_in_files_folders_tables_and_arrays_have_one_prediction(made, tmp_path):
    text = GOOD[1]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/one.txt").write_text(text)
    (tmp_path / "table.tsv").write_text(f"other\treview\n1\t{text}\n")
    np.save(tmp_path / "array.npy", np.array([text]))
    expected = made.expected(made.data.tokenizer.encode([text]))[0]
    for path in ("folder/one.txt", "folder", "table.tsv", "array.npy"):
        (prediction,) = made.predicted(tmp_path / path)
        assert torch.allclose(prediction.p, expected, atol=1e-9), path
        assert not prediction.problem


def test_a_request_is_a_table_with_the_column_or_a_list(made):
    request = example_request(made.system.form, made.store)
    assert list(request.columns) == ["review"]
    frame = prediction_frame(made.system, request)
    again = prediction_frame(made.system, np.array(request["review"].tolist(), object))
    assert frame["p_good"].tolist() == pytest.approx(again["p_good"].tolist())
    with pytest.raises(RecipeError, match="the request: no column `review`, which holds the texts; there are text"):
        prediction_frame(made.system, pandas.DataFrame({"text": ["a"]}))


def test_a_text_of_unknown_words_is_unlike_the_training_texts(made, tmp_path):
    (tmp_path / "t.tsv").write_text(f"review\n{GOOD[0]}\nein völlig anderer Satz\n")
    known, unknown = made.predicted(tmp_path / "t.tsv")
    assert not known.drift
    assert "100% of its words are in hardly any training text" in unknown.drift


def test_files_that_are_no_texts_are_named(made, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00 not utf-8 \xff")
    (prediction,) = made.predicted(tmp_path / "bad.txt")
    assert "unreadable" in prediction.problem
    (tmp_path / "large.txt").write_text("a " * 2_000_001)
    (prediction,) = made.predicted(tmp_path / "large.txt")
    assert "too large: 4,000,002 bytes; 1,000,000 characters at most" in prediction.problem
    (tmp_path / "long.txt").write_text("a " * 600_000)
    (prediction,) = made.predicted(tmp_path / "long.txt")
    assert "the text has 1,200,000 characters, 1,000,000 at most" in prediction.problem
    (tmp_path / "blank.txt").write_text(" \n")
    (prediction,) = made.predicted(tmp_path / "blank.txt")
    assert prediction.problem == "the text is empty"
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(RecipeError, match=r"the model reads texts: a \.txt file"):
        made.predicted(tmp_path / "photo.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=r"there is no \.txt file below this folder"):
        made.predicted(tmp_path / "empty")


def redescribed(made, folder, **tokenizer):
    """The saved system with another description of its tokenizer, and hashes that fit."""
    shutil.copytree(made.root / "system", folder)
    facts = yaml.safe_load((folder / "system.yaml").read_text())
    facts["tokenizer"] = facts["tokenizer"] | tokenizer
    write_description(folder / "system.yaml", facts)
    return folder


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ({"words": None}, "tokenizer: `recipe.data.tokens.Words` cannot be built"),
        ({"length": "long"}, "tokenizer: `recipe.data.tokens.Words` cannot be built: ValueError"),
        ({"_target_": "os.system"}, "tokenizer builds `os.system`, which .* needs your consent"),
        ({"_target_": 3}, "is not a dotted name"),
    ],
)
def test_a_damaged_or_foreign_tokenizer_is_a_message(made, tmp_path, tokenizer, message):
    folder = redescribed(made, tmp_path / "system", **tokenizer)
    with pytest.raises(RecipeError, match=message):
        system.load(folder)


@dataclass(frozen=True)
class Letters:
    """A user's tokenizer: the letters of a text."""

    size = 28
    length: int = 0

    def fit(self, texts):
        return Letters(max(map(len, texts)))

    def encode(self, texts):
        numbers = [[ord(c) - 95 if c in ascii_lowercase else 1 for c in text[: self.length]] for text in texts]
        return torch.tensor([row + [0] * (self.length - len(row)) for row in numbers])

    def decode(self, row):
        return "".join(chr(n + 95) if n > 1 else " " for n in row.tolist() if n)

    def facts(self):
        return {"length": self.length}

    @classmethod
    def of_facts(cls, facts):
        return cls(facts["length"])


def test_a_tokenizer_of_ones_own_is_saved_and_needs_consent(made, tmp_path):
    places = {"lists": made.root / "runs/split", "folder": made.root / "runs/prepare"}
    data = load(CONFIG, "cpu", tokenizer=Letters(), **places)
    net = build.model(CFG, data, 0).eval()
    system.save(tmp_path / "system", CFG, data, [({}, net.state_dict(), 1)], prepared=made.root / "runs/prepare")
    with pytest.raises(RecipeError, match=f"--trust {__name__}.Letters"):
        system.load(tmp_path / "system")
    loaded = system.load(tmp_path / "system", trust=[f"{__name__}.Letters"])
    with torch.no_grad():
        expected = net(data.val.x).double().softmax(1)
    assert torch.allclose(loaded.predict(np.array(data.val.texts, object)), expected, atol=1e-9)
