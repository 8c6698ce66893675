"""`recipe predict` on a person's files: the numbers of the report, a reason for every odd file, clear errors."""

import csv
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from systems import KINDS, folder, project

from recipe.cli import main
from recipe.files import read_csv
from recipe.serve.inputs import example_request
from recipe.serve.predict import prediction_frame
from recipe.serve.system import load
from recipe.sources.folder import Folder


@pytest.fixture(scope="module", params=list(KINDS))
def made(request, tmp_path_factory):
    make, name = KINDS[request.param]
    found = make(tmp_path_factory.mktemp(request.param))
    return found, found.root / name


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return KINDS["table"][0](tmp_path_factory.mktemp("people"))


def predict(made, path, *options) -> int:
    return main(["predict", str(path), "--system", str(made.system), *map(str, options)])


@pytest.mark.slow
def test_the_test_examples_files_give_the_probabilities_of_the_report(made, tmp_path):
    project, path = made
    assert predict(project, path, "--out", tmp_path / "all.parquet") == 0
    rows = {row["name"]: row for row in parquet.read_table(tmp_path / "all.parquet").to_pylist()}
    assert len(rows) == len(project.store.inputs)
    assert len(project.test) == len(project.unseen)
    for name, expected in project.test.items():
        p = [rows[name][f"p_{c}"] for c in project.data.task.names]
        assert p == pytest.approx(expected, abs=1e-6)
        assert rows[name]["confidence"] == max(p)
        assert rows[name]["predicted"] == project.data.task.names[int(np.argmax(p))]
        assert rows[name]["problem"] == rows[name]["unlike"] == ""


@pytest.mark.slow
def test_csv_and_parquet_hold_the_same(made, tmp_path, capsys):
    project, path = made
    predict(project, path, "--out", tmp_path / "all.csv")
    predict(project, path, "--out", tmp_path / "all.parquet")
    capsys.readouterr()
    predict(project, path)
    assert capsys.readouterr().out == (tmp_path / "all.csv").read_text()
    held = parquet.read_table(tmp_path / "all.parquet").to_pylist()
    for row, same in zip(read_csv(tmp_path / "all.csv"), held, strict=True):
        assert {k: v if isinstance(v, str) else repr(v) for k, v in same.items()} == row


@pytest.mark.slow
def test_an_images_best_classes_are_told(photos, capsys):
    assert predict(photos, photos.root / "photos/cat/0.jpg") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    shares = [float(line.split()[-1].rstrip("%")) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert {line.rsplit(maxsplit=1)[0] for line in lines} == set(photos.data.task.names)


@pytest.mark.slow
def test_a_folder_is_searched_and_its_odd_files_have_a_reason(photos, tmp_path, capsys):
    new = tmp_path / "new"
    (new / "deep/er").mkdir(parents=True)
    Image.new("RGB", (33, 44), "red").save(new / "deep/er/a.png")
    Image.new("L", (5, 5), 9).save(new / "b.gif")
    (new / "notes.txt").write_text("hello")
    (new / "cut.jpg").write_bytes((photos.root / "photos/cat/0.jpg").read_bytes()[:300])
    (new / "dangling.png").symlink_to("nowhere")
    (new / ".hidden.png").write_bytes(b"")
    assert predict(photos, new, "--out", tmp_path / "out.csv") == 1
    said = capsys.readouterr()
    assert "2 of 5 predicted" in said.out
    assert "3 could not be predicted" in said.err
    rows = {row["name"]: row for row in read_csv(tmp_path / "out.csv")}
    assert list(rows) == ["b.gif", "cut.jpg", "dangling.png", "notes.txt", "deep/er/a.png"]
    problems = {name: row["problem"].partition(":")[0] for name, row in rows.items()}
    odd = {"cut.jpg": "truncated", "dangling.png": "missing", "notes.txt": "not an image"}
    assert problems == {"b.gif": "", "deep/er/a.png": ""} | odd
    assert all((row["predicted"] == "") == bool(row["problem"]) for row in rows.values())


def test_what_is_on_another_scale_is_answered_and_said(photos, people, tmp_path, capsys):
    """Right shape, right type, wrong numbers: nothing throws, and the answers are just wrong."""
    dark = photos.store.inputs[:5] // 16
    np.save(tmp_path / "dark.npy", np.concatenate([photos.store.inputs[5:7], dark]))
    assert predict(photos, tmp_path / "dark.npy", "--out", tmp_path / "dark.csv") == 0
    assert (
        "5 of 7 inputs are unlike the training examples, and their predictions may be wrong" in capsys.readouterr().err
    )
    told = [row["unlike"] for row in read_csv(tmp_path / "dark.csv")]
    assert told[:2] == ["", ""]
    assert all(text.startswith("its contrast is 0.0") for text in told[2:])

    lines = ["age,colour,weight", "40,red,70", "40,red,70000", ",green,", "480,red,70000"]
    (tmp_path / "grams.csv").write_text("\n".join(lines) + "\n")
    assert predict(people, tmp_path / "grams.csv", "--out", tmp_path / "grams.parquet") == 0
    assert "2 of 4 inputs are unlike" in capsys.readouterr().err
    plain, grams, gaps, both = [row["unlike"] for row in parquet.read_table(tmp_path / "grams.parquet").to_pylist()]
    assert plain == gaps == ""
    assert re.fullmatch(r"`weight` is 70000, in training [56]\d\.\d+ to [78]\d\.\d+", grams)
    assert both.startswith("`age` is 480, in training ")
    assert both.endswith("; and 1 more")


def test_an_image_alone_that_is_unlike_the_training_images_says_so(photos, tmp_path, capsys):
    Image.new("RGB", (40, 30), "white").save(tmp_path / "white.png")
    assert predict(photos, tmp_path / "white.png") == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 3
    assert said.err.startswith("recipe predict: white.png is unlike the training examples: its contrast is 0, in ")


def test_an_odd_image_alone_says_why(photos, tmp_path, capsys):
    (tmp_path / "page.jpg").write_text("<html>")
    assert predict(photos, tmp_path / "page.jpg") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("recipe predict: page.jpg: not an image: ")


def test_rows_that_cannot_be_meant_stand_in_their_place(people, tmp_path, capsys):
    lines = [
        ["age", "colour", "weight", "new"],
        ["30", "red", "70", "x"],
        ["thirty", "red", "70", "x"],
        ["30", "purple", "70", "x"],
        ["30", "red"],
        ["", "", "", ""],
        ["?", "green", "", "x"],
    ]
    with open(tmp_path / "new.csv", "w", newline="") as file:
        csv.writer(file).writerows(lines)
    assert predict(people, tmp_path / "new.csv", "--out", tmp_path / "out.csv") == 1
    rows = read_csv(tmp_path / "out.csv")
    assert [row["name"] for row in rows] == [f"new.csv, line {n}" for n in (2, 3, 4, 5, 7)]
    problems = [row["problem"] for row in rows]
    assert problems[0] == problems[4] == ""
    assert problems[1] == "`age` is 'thirty', most cells are numbers"
    assert problems[2] == "`colour` is 'purple'; known are blue, dark, green, red"
    assert problems[3].startswith("ragged row: 2 cells, there must be 4: no cell for `weight`, `new`")


def test_an_answer_does_not_depend_on_the_rows_beside_it(people, tmp_path):
    """Gaps, names and scale are those that were learned, not those of the new file."""
    text = (people.root / "people.csv").read_text().splitlines()
    (tmp_path / "one.csv").write_text("\n".join([text[0], text[8]]) + "\n")
    predict(people, people.root / "people.csv", "--out", tmp_path / "all.csv")
    predict(people, tmp_path / "one.csv", "--out", tmp_path / "one_out.csv")
    (one,) = read_csv(tmp_path / "one_out.csv")
    same = next(row for row in read_csv(tmp_path / "all.csv") if row["name"] == "people.csv, line 9")
    assert float(one["p_ill"]) == pytest.approx(float(same["p_ill"]), abs=1e-6)


def said(capsys, code: int) -> str:
    assert code == 2
    text = capsys.readouterr().err
    assert text.startswith("recipe predict: ")
    assert "Traceback" not in text
    return text


def test_mistakes_end_in_one_message(photos, people, tmp_path, capsys):
    (tmp_path / "short.csv").write_text("age,weight\n3,4\n")
    assert "no column `colour`, and the model needs it; there are age, weight" in said(
        capsys, predict(people, tmp_path / "short.csv")
    )
    (tmp_path / "none.csv").write_text("a,b\n3,4\n")
    assert "no column `age` and 2 more" in said(capsys, predict(people, tmp_path / "none.csv"))
    assert "is missing. Name an image" in said(capsys, predict(people, tmp_path / "nowhere.csv"))
    assert "the model reads rows of features" in said(capsys, predict(people, photos.root / "photos"))
    assert "the model reads images" in said(capsys, predict(photos, people.root / "people.csv"))
    (tmp_path / "empty").mkdir()
    assert "there is no file below this folder" in said(capsys, predict(photos, tmp_path / "empty"))
    out = tmp_path / "out.txt"
    assert "ends in .csv or .parquet" in said(capsys, predict(photos, photos.root / "photos", "--out", out))
    assert not out.exists()
    assert "dvc repro ensemble" in said(capsys, main(["predict", "x.png", "--system", str(tmp_path / "runs/no")]))


def test_arrays_of_another_shape_or_type_are_refused_one_by_one(photos, tmp_path, capsys):
    good = np.asarray(photos.store.inputs[:2])
    np.save(tmp_path / "good.npy", good)
    assert predict(photos, tmp_path / "good.npy") == 0
    np.save(tmp_path / "large.npy", np.zeros((2, 3, 24, 32), np.uint8))
    assert predict(photos, tmp_path / "large.npy") == 1
    assert "odd shape: it is uint8 3 x 24 x 32, the model was trained on uint8 3 x 12 x 16" in capsys.readouterr().out
    np.save(tmp_path / "floats.npy", good.astype(np.float32) / 255)
    assert predict(photos, tmp_path / "floats.npy") == 1
    capsys.readouterr()
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    assert "cannot be read as a NumPy array" in said(capsys, predict(photos, tmp_path / "objects.npy"))


def test_images_files_of_a_system_of_arrays_need_its_shape(tmp_path, capsys):
    project = KINDS["digits"][0](tmp_path)
    image = project.store.inputs[project.store.rows([project.unseen.ids[0]])[0]][0]
    Image.fromarray(image).save(tmp_path / "digit.png")
    assert predict(project, tmp_path / "digit.png", "--out", tmp_path / "out.csv") == 0
    (row,) = read_csv(tmp_path / "out.csv")
    expected = next(iter(project.test.values()))
    assert [float(row[f"p_{c}"]) for c in project.data.task.names] == pytest.approx(expected, abs=1e-6)
    Image.fromarray(image).resize((16, 16)).save(tmp_path / "large.png")
    assert predict(project, tmp_path / "large.png") == 1
    assert "the model was trained on uint8 1 x 8 x 8" in capsys.readouterr().err


@pytest.mark.slow
def test_a_system_of_16_bit_images_has_an_example_too(tmp_path):
    for k in range(20):
        at = tmp_path / "scans" / "ab"[k % 2]
        at.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9), 3000 * k, np.uint16)).save(at / f"{k}.png")
    made = project(tmp_path, Folder(str(tmp_path / "scans"), size=8, channels=1))
    final = load(made.system)
    answer = prediction_frame(final, example_request(final.form, made.store))
    assert answer["problem"].tolist() == ["", ""]
    assert predict(made, tmp_path / "scans", "--out", tmp_path / "out.csv") == 0


@pytest.mark.slow
def test_predicting_needs_little_more_than_torch():
    heavy = "{'mlflow', 'matplotlib', 'optuna', 'sklearn', 'scipy', 'pandas', 'pyarrow', 'torchvision', 'dvc'}"
    code = f"import sys; from recipe.serve import inputs, predict, system; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
