"""Never stale, never more than needed: what reruns after which edit, and that no code can change unseen."""

import contextlib
from pathlib import Path

import pytest
import yaml
from clone import ROOT, UP_TO_DATE, Clone

from recipe.config.code_manifest import read_manifest
from recipe.config.compose import STAGES
from recipe.config.resolve import resolve_all

GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
LEARNING = {"baseline", "overfit", "regularize", "tune", "ensemble"}
EVERY = set(STAGES)


# ---- code ----------------------------------------------------------------------------------------------------


def deps(stage: str) -> set[str]:
    return set(GRAPH[stage].get("deps", []))


def test_each_stage_depends_on_its_config_and_code_and_compose_on_all_of_it():
    assert [stage for stage in ("source", *STAGES) if f"resolved/{stage}.code" not in deps(stage)] == []
    assert [stage for stage in STAGES if f"resolved/{stage}.yaml" not in deps(stage)] == []
    assert {"src", "pipeline", "conf", "params.yaml"} <= deps("compose")


def test_every_file_among_the_deps_is_there():
    outs = [out for s in GRAPH.values() for out in s.get("outs", [])]
    made = {path for out in outs for path in (out if isinstance(out, dict) else [out])}
    made |= {next(iter(m)) for s in GRAPH.values() for m in s.get("metrics", [])}
    assert not [d for stage in GRAPH for d in deps(stage) - made if not (ROOT / d).exists()]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_imports_while_it_runs_is_in_its_manifest(rerun, stage):
    root = rerun.clone.root
    ran = {file for file in (rerun.imports / stage).read_text().splitlines() if file.startswith(f"{root}/src/")}
    ran = {str(Path(file).relative_to(root)) for file in ran}
    assert f"src/recipe/{'stages/report/render' if stage == 'report' else 'stages/runner'}.py" in ran
    assert ran - set(read_manifest(root / f"resolved/{stage}.code")) == set()


# ---- configuration -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(whole, tmp_path_factory) -> Clone:
    return whole.copy(tmp_path_factory.mktemp("stale") / "clone")


@pytest.fixture
def edited(house):
    """The clone to edit, and `must_rerun()`; everything is put back afterwards."""
    yield house
    house.git("checkout", "--quiet", "--", ".")
    house.git("clean", "--quiet", "-fd")


def must_rerun(clone: Clone) -> set[str]:
    """The stages whose composed config or code differs from what they ran with, which is what git has.

    Composed in this process: what pipeline/compose.py does, without its imports. DVC reruns a stage whose dependencies
    have other contents: test_repro_and_an_experiment_agree.
    """
    with contextlib.chdir(clone.root):
        resolve_all()
    return {Path(file).stem for file in clone.git("diff", "--name-only", "--", "resolved").split()}


def append(clone: Clone, file: str, text: str) -> None:
    clone.write(file, clone.read(file).decode() + text)


def reverse(clone: Clone, file: str) -> None:
    """The same mapping with its keys in the opposite order."""
    content = yaml.safe_load(clone.read(file))
    clone.write(file, yaml.safe_dump(dict(reversed(content.items())), sort_keys=False))


def comment(clone: Clone, file: str) -> None:
    append(clone, file, "\n# a comment\n")


EDITS = {
    "a choice": (lambda c: c.choose(model="mlp"), LEARNING),
    "the data": (lambda c: c.choose(data="mnist"), EVERY),
    "the seed": (lambda c: c.choose(seed=1), EVERY),
    "a value on top of a choice": (lambda c: c.choose(optimizer={"lr": 0.002}), LEARNING),
    "a chosen file": (lambda c: c.put("conf/model/convnet.yaml", width=12), LEARNING),
    "a chosen file, where params.yaml overrides it": (lambda c: c.put("conf/optimizer/adam.yaml", lr=1e-4), set()),
    "a nested default": (lambda c: c.put("conf/learn.yaml", train={"batch_size": 16}), LEARNING),
    "the nested default's own": (lambda c: c.put("conf/base.yaml", declare={"frozen": []}), EVERY - LEARNING),
    "a file that a stage's defaults name": (lambda c: c.put("conf/model/linear.yaml", _convert_="none"), {"baseline"}),
    "a stage's section of params.yaml": (lambda c: c.choose(tune={"trials": 3}), {"tune"}),
    "a stage's own file": (lambda c: c.put("conf/regularize.yaml", confidence=0.9), {"regularize"}),
    "a script": (lambda c: comment(c, "pipeline/audit.py"), {"audit"}),
    "the source's module": (lambda c: comment(c, "src/recipe/sources/digits.py"), {"prepare"}),
    "the module of a source that nobody chose": (lambda c: comment(c, "src/recipe/sources/digits_flawed.py"), set()),
    "a module of one stage": (lambda c: comment(c, "src/recipe/stages/regularize/learning_curve.py"), {"regularize"}),
    "a module of the page": (lambda c: append(c, "src/recipe/stages/report/report.css", "/* more */\n"), {"report"}),
    "a part of the user's that nobody chose": (lambda c: c.write("src/own/mine.py", ""), set()),
    "a search space": (lambda c: c.put("conf/space/default.yaml", **{"model.dropout": {"high": 0.4}}), {"tune"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_the_stages_whose_config_it_changes(edited, edit):
    change, stages = EDITS[edit]
    change(edited)
    assert must_rerun(edited) == stages


@pytest.mark.slow
def test_what_changes_no_config_reruns_nothing(edited):
    append(edited, "params.yaml", "# a comment at the end\n")
    reverse(edited, "params.yaml")
    append(edited, "conf/model/convnet.yaml", "# a comment in a chosen file\n")
    reverse(edited, "conf/optimizer/adam.yaml")
    edited.put("conf/optimizer/sgd.yaml", lr=0.5)  # an option that nobody chose
    edited.write("conf/model/mine.yaml", "_target_: own.mine.Net\n")
    edited.put("conf/runtime/local.yaml", threads=2)  # where it runs, not what it computes
    edited.repro("compose")
    assert edited.dvc("status").text.strip() == UP_TO_DATE


@pytest.mark.slow
def test_repro_and_an_experiment_agree(clone):
    """`dvc repro` after an edit runs what the edit changed; `dvc exp run -S` with the same choice gives the same."""
    clone.choose(ensemble={"members": 3})
    assert clone.repro().stages == ["compose", "ensemble", "report"]
    assert clone.repro().stages == []
    outputs, lock = clone.outputs("ensemble", "report"), clone.read("dvc.lock")
    clone.git("checkout", "--quiet", "--", ".")
    clone.dvc("checkout")
    assert clone.outputs("ensemble") != outputs

    said = clone.dvc("exp", "run", "--set-param", "ensemble.members=3")
    assert set(said.stages) <= {"compose", "ensemble", "report"}
    assert clone.repro().stages == []
    assert clone.outputs("ensemble", "report") == outputs
    assert yaml.safe_load(clone.read("dvc.lock"))["stages"]["ensemble"] == yaml.safe_load(lock)["stages"]["ensemble"]
