"""`dvc exp run` as DVC's own documentation writes it, in a real clone with the shipped params.yaml."""

import json
import re
import shutil

import pytest
import yaml
from clone import ROOT, Clone, fresh
from dvc.utils.hydra import apply_overrides

from recipe.config import resolve
from recipe.config.compose import compose
from recipe.config.options import Predicted
from recipe.config.resolve import resolve_all
from recipe.config.type_check import fields_of
from recipe.errors import RecipeError

LEARNING = ("baseline", "overfit", "regularize", "tune", "ensemble")
GROUPS = ("model", "loss", "augment", "optimizer")  # those of a training


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Clone:
    """A clone with the shipped params.yaml, its configs composed and committed."""
    made = fresh(tmp_path_factory.mktemp("experiments") / "clone")
    made.write("params.yaml", (ROOT / "params.yaml").read_text())
    made.repro("compose")
    made.commit()
    return made


@pytest.fixture
def house(shipped):
    """That clone; everything is put back afterwards."""
    yield shipped
    shipped.git("checkout", "--quiet", "--", ".")
    shipped.git("clean", "--quiet", "-fd")


def resolved(clone: Clone, stage: str = "baseline") -> dict:
    return yaml.safe_load(clone.read(f"resolved/{stage}.yaml"))


def is_mlp(config: dict) -> bool:
    return config["model"]["_target_"] == "recipe.models.plain.mlp"


# {form: what is then true of the config}: those that set different parameters are set in one experiment, which takes
# seconds
EXPERIMENTS = [
    {
        "model=mlp": is_mlp,
        "optimizer.lr=0.01": lambda c: (
            c["optimizer"]["lr"] == 0.01 and c["optimizer"]["_target_"] == "torch.optim.AdamW"
        ),
        "seed=3": lambda c: c["seed"] == 3,
    },
    {
        "model.name=mlp": is_mlp,
        "train.batch_size=64": lambda c: c["train"]["batch_size"] == 64,
        "+baseline.seeds=2": lambda c: c["seeds"] == 2,
    },
    {
        "model.width=8": lambda c: (
            c["model"] == {"_target_": "recipe.models.plain.convnet", "width": 8} | {"dropout": 0.0, "dropout2d": 0.0}
        ),
    },
]


@pytest.mark.slow
@pytest.mark.parametrize("forms", EXPERIMENTS, ids=" ".join)
def test_an_experiment_sets_a_parameter_in_the_form_of_dvcs_documentation(house, forms):
    before = resolved(house)
    house.dvc("exp", "run", *(word for form in forms for word in ("--set-param", form)), "compose")
    after = resolved(house)
    for form, holds in forms.items():
        assert not holds(before), form
        assert holds(after), form
    assert house.repro("compose").stages == []  # params.yaml and resolved/ agree


@pytest.mark.slow
def test_an_experiment_cannot_set_a_parameter_that_conf_does_not_have(house):
    said = house.dvc("exp", "run", "--set-param", "+optimizer.eps=1.0e-6", "compose", code=None)
    assert said.code != 0
    assert "baseline has no `optimizer.eps`" in said.text


@pytest.mark.slow
def test_several_parameters_and_stages_own_sections_are_set_at_once(house):
    house.dvc("exp", "run", "-S", "tune.trials=4", "-S", "model.name=mlp", "-S", "model.depth=3", "compose")
    assert resolved(house, "tune")["trials"] == 4
    assert {stage: resolved(house, stage)["model"]["depth"] for stage in LEARNING} == dict.fromkeys(LEARNING, 3)
    assert house.repro("compose").stages == []


@pytest.mark.parametrize("group", GROUPS)
def test_every_number_of_a_shipped_part_is_a_key_that_an_experiment_can_set(group):
    listed = set(yaml.safe_load((ROOT / "params.yaml").read_text())[group])
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text())[group]["name"]
    numbers = {
        key
        for key, value in yaml.safe_load((ROOT / "conf" / group / f"{chosen}.yaml").read_text()).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert numbers <= listed


def test_every_word_that_says_what_a_column_is_is_a_key_that_an_experiment_can_set():
    """For any shipped source: what is to be predicted, groups, splits, metadata; and the folds of a small table."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    sources = [yaml.safe_load(file.read_text()) for file in (ROOT / "conf/data").glob("*.yaml")]
    words = {*fields_of(Predicted), "group", "split", "metadata", "file"} - {"_target_"}
    assert {key for source in sources for key in source if key in words} <= set(params["data"])
    assert "folds" in params["split"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["data.target=age", "data.unit=years"], {"target": "age", "unit": "years"}),
        (["data.target=[a,b]", "data.split=part"], {"target": ["a", "b"], "split": "part"}),
        (["data.labels={column: tags, separator: '|'}"], {"labels": {"column": "tags", "separator": "|"}}),
    ],
)
def test_an_experiment_says_what_the_columns_of_a_table_are(tmp_path, monkeypatch, words, expected):
    for name in ("conf", "pipeline"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    apply_overrides("params.yaml", ["data.name=table", *words, "split.folds=5"])  # as `dvc exp run -S` does
    data = compose("prepare").data
    assert {key: data[key] for key in expected} == expected
    assert compose("split").folds == 5


@pytest.mark.slow
def test_a_queued_grid_makes_an_experiment_of_each_value(house):
    said = house.dvc(
        "exp", "run", "--queue", "-S", "optimizer.lr=0.01,0.001", "-S", "model.width=choice(4,8)", "compose"
    )
    assert said.text.count("Queued experiment") == 4
    baseline = json.loads(house.dvc("exp", "show", "--json").text)[1]
    params = [e["revs"][0]["data"]["params"]["params.yaml"]["data"] for e in baseline["experiments"]]
    asked = [(p["optimizer"]["lr"], p["model"]["width"]) for p in params if isinstance(p["model"], dict)]
    assert {(lr, width) for lr in (0.01, 0.001) for width in (4, 8)} <= set(asked)
    house.dvc("queue", "remove", "--all")


@pytest.mark.slow
def test_an_experiment_trains_with_what_it_sets(clone):
    """With small numbers, where all else has run; afterwards `dvc repro` has nothing to do."""
    words = {"optimizer.lr": "0.01", "model.name": "mlp", "+baseline.seed": "3"}
    said = clone.dvc("exp", "run", *(word for kv in words.items() for word in ("-S", "=".join(kv))), "baseline")
    assert said.stages == ["compose", "baseline"], said.text
    params = clone.last_run("baseline").data.params
    assert {k: params[k] for k in ("model", "optimizer.lr", "seed")} == {
        "model": "mlp",
        "optimizer.lr": "0.01",
        "seed": "3",
    }
    assert clone.repro("baseline").stages == []


# ---- in a checkout: --temp and --queue -----------------------------------------------------------------------

# what params.yaml names, what that names, and what that imports
OWN = {
    "conf/model/mine.yaml": "defaults: [base, _self_]\n_target_: own.mine.net\n",
    "conf/model/base.yaml": "width: 3\n",
    "src/own/mine.py": "from own.layers import net\n",
    "src/own/layers.py": "def net(num_classes, width): ...\n",
}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The folder of an experiment in a checkout, as the working directory, and the workspace that DVC names to it."""
    workspace, here = tmp_path / "workspace", tmp_path / "workspace/.dvc/tmp/exps/tmp1"
    for folder in (workspace, here):
        for name in ("conf", "pipeline", "src"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(ROOT / name, folder / name)
    monkeypatch.chdir(here)
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.setattr(resolve, "STAGES", ["prepare", "baseline"])  # one that reads the data, and one with a model
    return here, workspace


def write(folder, file: str, text: str = "") -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)


def choose(folder, text: str) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | yaml.safe_load(text)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


@pytest.mark.slow
def test_a_config_or_code_that_git_lacks_is_named_with_git_add(checkout):
    (here, workspace), (chosen, inherited, module, helper) = checkout, OWN
    choose(here, "model: mine")
    for file, text in OWN.items():  # one after the other, as a person adds them
        write(workspace, file, text)
    for files in ([chosen], [inherited], [helper, module]):
        first = f"{', '.join(files)} {'is' if len(files) == 1 else 'are'} not in git, and "
        with pytest.raises(RecipeError, match=rf"(?m)^{first}.*: git add {' '.join(files)}, or run without"):
            resolve_all()
        for file in files:
            write(here, file, OWN[file])
    resolve_all()


@pytest.mark.slow
def test_data_that_dvc_lacks_are_named_with_dvc_add(checkout):
    here, workspace = checkout
    choose(here, "data: folder")
    write(workspace, "data/images/cat/1.png")
    with pytest.raises(RecipeError, match=r"^data/images is not in DVC or git, .*: dvc add data/images, and git add"):
        resolve_all()
    write(here, "data/images.dvc")
    with pytest.raises(RecipeError, match=r"^data/images is in DVC, which checks out .*: leave the target out"):
        resolve_all()
    write(here, "data/images/cat/1.png")
    resolve_all()


@pytest.mark.slow
def test_a_file_that_is_missing_in_the_workspace_too_is_not_said_to_be_left_behind(checkout):
    here, _ = checkout
    choose(here, "data: folder")
    resolve_all()  # prepare says that there is no such folder
    choose(here, "model: mine")
    with pytest.raises(RecipeError, match=r"conf/model/ has no `mine`"):
        resolve_all()


@pytest.mark.slow
def test_in_the_workspace_nothing_is_left_behind(checkout, monkeypatch):
    _, workspace = checkout
    monkeypatch.chdir(workspace)
    for file, text in OWN.items():
        write(workspace, file, text)
    choose(workspace, "model: mine")
    resolve_all()


@pytest.mark.slow
def test_an_experiment_in_a_checkout_says_what_git_lacks(house):
    for file, text in OWN.items():
        house.write(file, text)
    *added, lacking = OWN  # test_a_config_or_code_that_git_lacks_is_named_with_git_add has each of them
    house.git("add", *added)
    said = house.dvc("exp", "run", "--temp", "-S", "model=mine", "compose", code=None)
    assert said.code != 0
    assert re.search(rf"(?m)^.*{lacking}.* not in git, and ", said.text)
    assert "Traceback" not in said.text
    house.git("add", lacking)
    house.dvc("exp", "run", "--temp", "-S", "model=mine", "compose")
    house.git("reset", "--quiet")


@pytest.mark.slow
def test_what_dvc_add_versions_below_data_is_seen_by_dvc(house):
    """With `/data/*` in the project's own .gitignore DVC took the folder itself for ignored, and saw no .dvc file."""
    house.write("data/images/cat/1.txt", "a cat")
    house.dvc("add", "data/images")
    assert house.git("status", "--porcelain", "data").split() == ["??", "data/images.dvc"]
    shutil.rmtree(house.root / "data/images")
    house.dvc("checkout", "--allow-missing")
    assert house.read("data/images/cat/1.txt") == b"a cat"
    shutil.rmtree(house.root / "data/images")
