"""A saved system is all one needs, the same bytes each time, and says what is wrong with it."""

import shutil
from types import SimpleNamespace

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from systems import CFG, KINDS, MEMBERS, digits, random_model, save, table

from recipe.errors import RecipeError
from recipe.metrics.calibration import tempered
from recipe.metrics.scores import weighted
from recipe.serve import system
from recipe.serve.integrity import sha256, write_description
from recipe.serve.system import load
from recipe.stages.ensemble.checks import predictions_are_the_models


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the saved system, to damage."""
    return shutil.copytree(made.system, tmp_path / "runs/ensemble/system")


def contents(folder) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_same_system_is_the_same_bytes_and_names_no_place(kind, tmp_path):
    made = KINDS[kind][0](tmp_path)
    save(made, folder=tmp_path / "again")
    assert contents(made.system) == contents(tmp_path / "again")
    assert sorted(contents(made.system)) == ["members/0.safetensors", "members/1.safetensors", "system.yaml"]
    assert str(tmp_path).encode() not in b"".join(contents(made.system).values())


def test_a_moved_system_needs_nothing_else(made, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)  # no runs/prepare, no conf/
    expected = load(made.system).predict(made.store.inputs)
    assert torch.equal(load("system").predict(made.store.inputs), expected)


def test_what_is_in_memory_and_what_is_on_disk_answer_alike(made):
    final = load(made.system)
    p = final.predict(made.store.inputs[made.store.rows(made.unseen.ids)])
    assert torch.allclose(p, torch.tensor(list(made.test.values()), dtype=torch.float64), atol=1e-9)
    assert torch.allclose(p.sum(1), torch.ones(len(p), dtype=torch.float64))


def test_members_that_are_gone_leave_no_file_behind(made, folder):
    net = random_model(made.data, {}, 0)
    system.save(folder, CFG, made.data, [({}, net.state_dict(), 1)], prepared=made.root / "runs/prepare")
    assert sorted(contents(folder)) == ["members/0.safetensors", "system.yaml"]
    assert load(folder).calibration == (1.0,)


def test_weights_may_come_from_a_file_and_a_member_may_see_smaller_images(made, tmp_path):
    changes = {"train.input_size": 4, "model.width": 3}
    net = random_model(made.data, changes, 5)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    members = [(changes, tmp_path / "w.safetensors", 1)]
    system.save(tmp_path / "system", CFG, made.data, members, prepared=made.root / "runs/prepare")
    with torch.no_grad():
        expected = net(made.unseen.x).double().softmax(1)
    p = load(tmp_path / "system").predict(made.store.inputs[made.store.rows(made.unseen.ids)])
    assert torch.allclose(p, expected, atol=1e-9)


def test_a_member_keeps_the_quantiles_of_its_training_columns(tmp_path):
    made = table(tmp_path)
    changes = {"train.quantiles": True}
    net = random_model(made.data, changes, 5)
    members = [(changes, net.state_dict(), 1)]
    system.save(tmp_path / "system", CFG, made.data, members, prepared=made.root / "runs/prepare")
    with torch.no_grad():
        expected = net(made.unseen.x).double().softmax(1)
    p = load(tmp_path / "system").predict(made.store.inputs[made.store.rows(made.unseen.ids)])
    assert torch.allclose(p, expected, atol=1e-9)
    assert not torch.allclose(p, random_model(made.data, {}, 5)(made.unseen.x).double().softmax(1), atol=1e-3)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(2, 5), st.floats(0.1, 10), st.integers(0, 99))
def test_together_is_a_mean_with_its_logarithm_over_the_temperature(members, n, classes, temperature, seed):
    p = torch.randn(members, n, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).softmax(2)
    counts = [1 + (seed + k) % 3 for k in range(members)]
    repeated = torch.cat([p[k : k + 1].repeat(count, 1, 1) for k, count in enumerate(counts)])
    mean = repeated.mean(0)
    assert torch.allclose(tempered(weighted(p, counts), 1.0), mean)
    powers = mean ** (1 / temperature)
    assert torch.allclose(tempered(weighted(p, counts), temperature), powers / powers.sum(1, keepdim=True))


def test_inputs_of_another_shape_or_type_are_refused(made):
    final = load(made.system)
    with pytest.raises(RecipeError, match=r"uint8 \(2, 1, 4, 4\): the model was trained on uint8 1 x 8 x 8 each"):
        final.predict(made.store.inputs[:2, :, :4, :4])
    with pytest.raises(RecipeError, match="float32"):
        final.predict(made.store.inputs[:2].astype("float32"))
    assert final.predict(made.store.inputs[:0]).shape == (0, 3)


PLANTED = {
    "another scale": lambda facts: facts.update(mean=[facts["mean"][0] * 1.01]),
    "no temperature": lambda facts: facts.update(calibration=[1.0]),
    "members swapped": lambda facts: facts["members"][0].update(count=2) or facts["members"][1].update(count=1),
    "a member left out": lambda facts: facts["members"].pop(),
}


@pytest.mark.parametrize("bug", list(PLANTED))
def test_a_system_that_is_not_what_was_measured_closes_the_gate(made, folder, bug):
    def verdict() -> str:
        reloaded = load(folder).predict(made.store.inputs[made.store.rows(made.unseen.ids)])
        saved = torch.tensor(list(made.test.values()), dtype=torch.float64)
        evidence = SimpleNamespace(saved=saved, reloaded=reloaded, scale=torch.ones(3))
        return predictions_are_the_models(evidence).verdict

    assert verdict() == "pass"
    facts = yaml.safe_load((folder / "system.yaml").read_text())
    PLANTED[bug](facts)
    put(folder, **facts)
    assert verdict() == "fail"


# ---- what is wrong with a folder ---------------------------------------------------------------------------------


def put(folder, **facts) -> None:
    """As someone who knows how: the hashes are those of the files as they are now."""
    held = yaml.safe_load((folder / "system.yaml").read_text()) | facts
    del held["sha256"]
    held["files"] = {name: sha256(folder / name) for name in held["files"] if (folder / name).is_file()}
    write_description(folder / "system.yaml", held)


def test_a_newer_format(folder):
    put(folder, format=system.FORMAT + 1, recipe="9.0")
    with pytest.raises(RecipeError, match=r"has the format 10, written by recipe 9\.0; this one reads up to 9"):
        load(folder)


def test_an_older_format(folder):
    """It had no hashes."""
    facts = yaml.safe_load((folder / "system.yaml").read_text())
    del facts["files"], facts["sha256"]
    (folder / "system.yaml").write_text(yaml.safe_dump(facts | {"format": 2}))
    with pytest.raises(RecipeError, match=r"has the format 2, written by an older recipe.*dvc repro ensemble"):
        load(folder)


def test_the_format_before_tasks(folder):
    """It knew classes and one temperature alone."""
    facts = yaml.safe_load((folder / "system.yaml").read_text())
    old = {k: v for k, v in facts.items() if k not in ("task", "calibration", "half_widths", "sha256")}
    write_description(folder / "system.yaml", old | {"format": 3, "classes": ["a", "b", "c"], "temperature": 1.5})
    with pytest.raises(RecipeError, match=r"has the format 3, written by an older recipe.*dvc repro ensemble"):
        load(folder)


def test_a_missing_file(folder):
    (folder / "members/1.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"members/1\.safetensors is missing.*dvc repro ensemble"):
        load(folder)
    (folder / "system.yaml").unlink()
    with pytest.raises(RecipeError, match=r"system\.yaml is missing.*dvc repro ensemble"):
        load(folder)


def test_something_else_under_its_name(folder):
    (folder / "system.yaml").write_text("- 1\n")
    with pytest.raises(RecipeError, match="is not the description of a system"):
        load(folder)


def test_damaged_weights_and_weights_of_another_shape(folder):
    file = folder / "members/0.safetensors"
    weights = load_file(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RecipeError, match=r"0\.safetensors is damaged.*dvc checkout"):
        load(folder)
    save_file({name: tensor[..., :-1].contiguous() for name, tensor in weights.items()}, file)
    put(folder)
    with pytest.raises(RecipeError, match=r"0\.safetensors does not fit `recipe\.models\.plain\.mlp`"):
        load(folder)


def test_a_pickle_under_the_name_of_weights_is_never_loaded(folder):
    torch.save({"x": torch.zeros(1)}, folder / "members/0.safetensors")
    put(folder)
    with pytest.raises(RecipeError, match="is damaged"):
        load(folder)


def test_a_persons_model_must_be_importable(folder, tmp_path, monkeypatch):
    facts = yaml.safe_load((folder / "system.yaml").read_text())
    for member in facts["members"]:
        member["model"]["_target_"] = "elsewhere.nets.mlp"
    put(folder, **facts)
    with pytest.raises(RecipeError, match=r"builds `elsewhere\.nets\.mlp`.*predict --trust elsewhere\.nets\.mlp "):
        load(folder)
    with pytest.raises(RecipeError, match=r"a member is a `elsewhere\.nets\.mlp`.*PYTHONPATH"):
        load(folder, trust=["elsewhere.nets.mlp"])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/nets.py").write_text("from recipe.models.plain import mlp\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(load(folder, trust=["elsewhere.nets.mlp"]).members) == len(MEMBERS)
    monkeypatch.setenv("RECIPE_TRUST", "other.name, elsewhere.nets.mlp")
    assert len(load(folder).members) == len(MEMBERS)
