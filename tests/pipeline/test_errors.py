"""A mistake ends in one message with the valid names and what to do, in exit code 1, and in nothing half-written.

Names and types in params.yaml and conf/ are in test_compose.py; here is what a person sees who types a command.
"""

import shutil

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(whole, tmp_path_factory):
    return whole.copy(tmp_path_factory.mktemp("errors") / "clone")


@pytest.fixture
def tree(house):
    """A clone to make mistakes in; git must find nothing that a mistake wrote."""
    yield house
    house.git("checkout", "--quiet", "--", ".")
    house.git("clean", "--quiet", "-fd")


def one_message(said, *words: str) -> None:
    assert said.code not in (0, None)
    assert "Traceback" not in said.text
    assert len(said.text.strip().splitlines()) <= 8, said.text
    for word in words:
        assert word in said.text, said.text


ON_THE_COMMAND_LINE = {
    "model=convnte": ("conf/model/ has no `convnte`", "did you mean `convnet`?", "linear, mlp"),
    "seeed=1": ("overfit has no `seeed`", "did you mean `seed`?", "optimizer, runtime, sampler, seed, stage"),
    "train.epohcs=3": ("overfit has no `train.epohcs`", "did you mean `train.epochs`?"),
    "train.epochs=-1": ("overfit: `train.epochs: -1` must be above 0",),
    "seed=many": ("overfit: `seed: 'many'` is text, it must be a whole number",),
    "seed=[1": ("the command line", "key=value"),
}


def test_a_mistake_on_the_command_line(tree):
    runs = len(tree.runs())
    said = tree.by_hand_each("overfit", *ON_THE_COMMAND_LINE)
    for text, words in zip(said, ON_THE_COMMAND_LINE.values(), strict=True):
        one_message(text, *words)
    assert len(tree.runs()) == runs, "a run was logged for nothing"
    assert tree.git("status", "--porcelain") == ""


def test_the_options_of_a_choice_on_the_command_line(tree):
    nowhere = tree.by_hand("prepare", "data=folder", "data.root=data/nowhere", code=1)
    one_message(
        nowhere, "prepare: params.yaml or conf/data: data/nowhere is not a folder", "Put a folder per class there"
    )
    typo = tree.by_hand("prepare", "data=folder", "data.rooot=x", code=1)
    one_message(typo, "prepare has no `data.rooot`; did you mean `data.root`?")
    one_message(tree.by_hand("prepare", "data.root=x", code=1), "prepare has no `data.root`")  # of the digits


def test_a_mistake_in_params_stops_repro_before_anything_runs(tree):
    lock = tree.read("dvc.lock")
    tree.choose(regularise={"seeds": 3})
    said = tree.repro(code=None)
    one_message(said, "params.yaml: no stage has `regularise`; did you mean `regularize`?", "baseline", "tune")
    assert said.stages == ["compose"]
    assert tree.read("dvc.lock") == lock
    assert tree.git("status", "--porcelain").split() == ["M", "params.yaml"]


def test_a_mistake_in_params_stops_a_stage_by_hand_too(tree):
    tree.choose(overfit={"enuogh": 0.1})
    one_message(tree.by_hand("overfit", code=1), "overfit has no `enuogh`; did you mean `enough`?")


def test_a_file_that_is_no_yaml(tree):
    tree.edit("conf/data/digits.yaml", "_target_: ", "_target_: {")
    one_message(tree.run("python", "pipeline/compose.py", code=1), "conf/data/digits.yaml", "line")
    tree.write("params.yaml", "model: {convnet\n")
    one_message(tree.run("python", "pipeline/compose.py", code=1), "params.yaml is not valid YAML", "line")
    assert tree.git("status", "--porcelain", "--", "resolved") == ""


def test_a_range_upside_down(tree):
    tree.put("conf/space/default.yaml", **{"model.dropout": {"low": 0.5, "high": 0.1}})
    said = tree.by_hand("tune", code=1)
    one_message(said, "conf/space: `model.dropout`: low (0.5) and high (0.1)", "low below high")


def test_a_search_that_failed_is_begun_anew(tree):
    """What failed may have been short of memory, or what was mended outside: no rerun tells old failures again."""
    tree.write("conf/space/mad.yaml", "optimizer.lr: {low: 1.0e+20, high: 1.0e+30, log: true}\n")
    words = ("space=mad", "samplers=[random]", "repeats=1", "train.epochs=1.2", "train.eval_every=0.6")
    for _ in range(2):
        said = tree.by_hand("tune", *words, code=1).text
        assert "Traceback" not in said
        assert "trials of indices 0 to 3: 4 failed" in said
        assert "4 of 4 random trials failed, more than `failures: 0.5` allows" in said
        assert "The next run begins a new search." in said


def test_a_target_that_is_not_there(tree):
    tree.write("conf/data/mine.yaml", "_target_: own.mine.Data\n")
    one_message(tree.by_hand("prepare", "data=mine", code=1), "conf/data: `own.mine.Data` cannot be built", "own.mine")


def test_a_check_that_is_not_there(tree):
    tree.choose(split={"waive": {"sizes_agree": "why not"}})
    said = tree.by_hand("split", code=1)
    one_message(said, "params.yaml: no check called sizes_agree", "class_shares_agree", "sizes_are_as_asked")


def test_a_missing_file(tree):
    (tree.root / "runs/baseline/report.json").unlink()
    one_message(tree.by_hand("overfit", code=1), "runs/baseline/report.json is missing", "dvc repro baseline")
    (tree.root / "conf/tune.yaml").unlink()
    one_message(tree.run("python", "pipeline/compose.py", code=1), "conf/tune.yaml")
    (tree.root / "params.yaml").unlink()
    one_message(tree.run("python", "pipeline/compose.py", code=1), "has a params.yaml and a dvc.yaml", "clone")
    one_message(tree.repro(code=None), "params.yaml")


def test_a_script_run_from_elsewhere(tree, tmp_path):
    script = tree.root / "pipeline/split.py"
    said = tree.run("bash", "-c", f"cd {tmp_path} && python {script}", code=1)
    one_message(said, str(tmp_path), "Run this from a clone")


def test_no_git_repository(tree, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(tree.root, bare, ignore=shutil.ignore_patterns(".git", "mlruns"))
    bare = type(tree)(bare)
    one_message(bare.repro(code=None), "is not a git repository")
    if shutil.which("make"):
        (bare.root / ".venv").mkdir()
        (bare.root / ".venv/installed").touch()  # an environment that is there
        said = bare.run("make", "repro", code=2)
        one_message(said, "this folder is not a git repository", "git init")
    bare.by_hand("split")  # a stage by hand needs no git


DEAD = "http://127.0.0.1:9"


def test_an_mlflow_server_that_does_not_answer(tree):
    tree.put("conf/runtime/local.yaml", mlflow={"uri": DEAD})
    lock, evidence = tree.read("dvc.lock"), tree.outputs("split")
    said = tree.repro("--force", "--single-item", "split", code=None)
    one_message(said, f"the MLflow server {DEAD} does not answer", "conf/runtime/local.yaml", "Nothing has been run")
    assert tree.read("dvc.lock") == lock
    said = tree.by_hand("split", "-m", "seed=0,1", code=1)
    one_message(said, DEAD)
    assert said.text.count("does not answer") == 1, said.text
    tree.dvc("checkout", "split")
    assert set(evidence) - set(tree.outputs("split")) <= {"runs/split/report.json"}
