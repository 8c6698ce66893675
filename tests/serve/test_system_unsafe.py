"""A system's folder may come from anyone: what it names is not run, no path leaves it, and damage is noticed."""

import os
import pickle
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from systems import CFG, digits, random_model
from torch import nn

from recipe.cli import main
from recipe.config.changes import change
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.serve import allowed_targets, system
from recipe.serve.allowed_targets import refused_targets
from recipe.serve.integrity import sha256, write_description
from recipe.serve.system import load


class Exploit:
    """Its pickle makes a file."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return os.mkdir, (self.file,)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made.system, tmp_path / "system")


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A folder with a pickle `e.pt` that makes `done`, and a module `trap` whose import makes it too."""
    monkeypatch.chdir(tmp_path)
    done = tmp_path / "done"
    (tmp_path / "e.pt").write_bytes(pickle.dumps(Exploit(done)))
    (tmp_path / "trap.py").write_text(f"import os\nos.mkdir({str(done)!r})\ndef net(**kw): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TRAP_SECRET", "S3CRET")
    yield done
    sys.modules.pop("trap", None)


def facts(folder) -> dict:
    held = yaml.safe_load((folder / "system.yaml").read_text())
    del held["sha256"]
    return held


def forge(folder, **changes) -> None:
    """As an attacker would: with hashes that hold."""
    write_description(folder / "system.yaml", facts(folder) | changes)


def forge_model(folder, model) -> None:
    members = facts(folder)["members"]
    members[0]["model"] = model
    forge(folder, members=members)


MLP = "recipe.models.plain.mlp"
LOAD = {"_target_": "torch.load", "f": "e.pt", "weights_only": False}


def mlp(**arguments) -> dict:
    return {"_target_": MLP, "width": 8, "depth": 1, "dropout": 0.0} | arguments


def test_the_pickle_of_the_issue_is_real(trap):
    """Hydra alone runs it, or the other tests show nothing."""
    with open("e.pt", "rb") as file:
        pickle.load(file)
    assert trap.is_dir()


ATTACKS = {
    "a pickle as an argument": mlp(width=LOAD),
    "a pickle as the model": LOAD,
    "deep inside": mlp(dropout={"a": [1, {"b": [LOAD]}]}),
    "in positional arguments": {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Flatten"}, LOAD]},
    "in a partial": {"_target_": MLP, "_partial_": True, "width": LOAD},
    "a partial of it": mlp(width=LOAD | {"_partial_": True}),
    "not built by Hydra, but handed on": mlp(_recursive_=False, width=LOAD),
    "through a module that torch.nn imports": {"_target_": "torch.nn.modules.module.torch.load", "f": "e.pt"},
    "through sys.modules": {"_target_": "torch.nn.modules.module.sys.modules.os.system", "command": "mkdir done"},
    "a function that torch.nn imports": {"_target_": "torch.nn.modules.module.overload", "func": "x"},
    "a module that our models import": {"_target_": "recipe.models.plain.torch.load", "f": "e.pt"},
    "our own code elsewhere": {"_target_": "recipe.files.write_text", "path": "done", "text": ""},
    "a package of like name": {"_target_": "recipe.models_evil.net"},
    "a backbone from a file": {"_target_": "recipe.models.backbone.load_backbone", "name": "a", "weights": "e.pt"},
    "a backbone from a hub": {"_target_": "recipe.models.backbone.load_backbone", "name": "a", "weights": "hub"},
    "torch.hub": {"_target_": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"},
    "the shell": {"_target_": "os.system", "command": "mkdir done"},
    "a process": {"_target_": "subprocess.run", "args": ["mkdir", "done"]},
    "builtins": {"_target_": "builtins.exec", "_args_": ["import os; os.mkdir('done')"]},
    "Hydra's own way around": {"_target_": "hydra.utils.instantiate", "config": LOAD},
    "a name looked up by Hydra": mlp(width={"_target_": "hydra.utils.get_method", "path": "os.system"}),
    "a module whose import runs code": {"_target_": "trap.net"},
    "a class method": {"_target_": "torch.nn.Embedding.from_pretrained", "embeddings": LOAD},
    "a dunder": {"_target_": "torch.nn.Linear.__init__.__globals__.get", "_args_": ["os"]},
    "no layer but in torch.nn": {"_target_": "torch.nn.utils.vector_to_parameters"},
    "processes that talk": {"_target_": "torch.nn.parallel.DistributedDataParallel", "module": mlp()},
    "weights that are downloaded": {"_target_": "torchvision.models.resnet18", "weights": "DEFAULT"},
    "weights by position": {"_target_": "torchvision.models.resnet18", "_args_": ["DEFAULT"]},
    "weights by their old name": {"_target_": "torchvision.models.resnet18", "pretrained": True},
    "weights by another builder": {"_target_": "torchvision.models.get_model", "name": "vgg11", "weights": "DEFAULT"},
    "weights by default": {"_target_": "torchvision.models.segmentation.fcn_resnet50"},
    "weights alone": {"_target_": "torchvision.models.get_weight", "name": "ResNet18_Weights.DEFAULT"},
    "weights of an enumeration": {"_target_": "torchvision.models.ResNet18_Weights.verify", "_args_": ["DEFAULT"]},
    "a download": {"_target_": "torchvision.models.resnet.load_state_dict_from_url", "url": "http://127.0.0.1:1/x"},
    "an interpolation": mlp(width="${oc.env:TRAP_SECRET}"),
    "an interpolated target": {"_target_": "${oc.env:TRAP_SECRET}"},
    "an interpolation in a name": mlp(**{"${oc.env:TRAP_SECRET}": 1}),
    "a target that is a list": {"_target_": ["torch.load"]},
    "a target that is nothing": {"_target_": None},
    "no target": {"width": LOAD},
    "a text": "torch.load",
    "a list": [LOAD],
    "a date": mlp(width=__import__("datetime").date(2026, 1, 1)),
    "endless nesting": mlp(width=__import__("functools").reduce(lambda inner, _: [inner], range(200), LOAD)),
    "another special key": mlp(_mode_="x"),
}  # fmt: skip


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_what_a_system_names_is_not_run(attack, folder, trap, monkeypatch):
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *a, **k: pytest.fail("a download"))
    forge_model(folder, ATTACKS[attack])
    with pytest.raises(RecipeError) as failed:
        load(folder)
    assert not trap.exists()
    assert "trap" not in sys.modules
    assert "S3CRET" not in str(failed.value)
    assert "system.yaml" in str(failed.value) or "members.0" in str(failed.value)


ODD = {
    "a missing value": {"width": "???"},
    "a key that is a number": {3: 4},
    "a key that is true": {True: 4},
    "a special key of another type": {"_recursive_": "no"},
    "half a partial": {"_partial_": "no"},
}


@pytest.mark.parametrize("odd", list(ODD))
def test_a_model_that_hydra_cannot_read_is_refused_in_a_message(odd, folder):
    forge_model(folder, mlp() | ODD[odd])
    with pytest.raises(RecipeError, match=r"system\.yaml: a member is a `recipe\.models\.plain\.mlp`, which cannot"):
        load(folder)


@pytest.mark.parametrize("shape", [[], [1, -8, 8], [1, 10**6, 10**7]], ids=str)
def test_a_shape_that_no_input_has_is_refused_in_a_message(shape, folder):
    forge(folder, inputs=facts(folder)["inputs"] | {"shape": shape})
    with pytest.raises(RecipeError, match=r"system\.yaml"):
        load(folder)


def test_the_command_line_says_which_name_would_need_trust(folder, trap, capsys):
    forge_model(folder, mlp(width=LOAD, dropout={"_target_": "trap.net"}))
    assert main(["predict", "x.png", "--system", str(folder)]) == 2
    message = capsys.readouterr().err
    assert "members.0.model.width builds `torch.load`" in message
    assert "recipe predict --trust torch.load --trust trap.net " in message
    assert "Traceback" not in message
    assert not trap.exists()


def test_trust_is_of_exact_names_and_of_no_others(folder, trap):
    forge_model(folder, mlp(width={"_target_": "trap.net"}))
    for other in ("trap", "trap.", "trap.ne", "trap.net.more", "net", "*", ""):
        with pytest.raises(RecipeError, match=r"--trust trap\.net"):
            load(folder, trust=[other])
    assert not trap.exists()
    with pytest.raises(RecipeError, match="cannot be built"):  # it runs, and gives no width
        load(folder, trust=["trap.net"])
    assert trap.is_dir()


leaves = st.sampled_from([1, 0.5, "relu", None, True, {"_target_": MLP}, {"_target_": "torch.nn.ReLU"}])
nested = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "_args_"]), inner, max_size=3),
        st.builds(lambda more: {"_target_": "torch.nn.Sequential"} | more, st.dictionaries(st.just("c"), inner)),
    ),
    max_leaves=10,
)
harmful = st.sampled_from(["torch.load", "os.system", "torch.nn.modules.module.torch.load", "own.nets.wide", "a.b"])


def paths(node, at=()):
    yield at
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key != "_target_":
            yield from paths(inner, (*at, key))


def planted(node, path, what):
    if not path:
        return what
    key, *rest = path
    copied = dict(node) if isinstance(node, dict) else list(node)
    copied[key] = planted(node[key], rest, what)
    return copied


@given(nested, harmful, st.data())
def test_a_target_is_seen_wherever_it_stands(tree, target, data):
    model = {"_target_": MLP, "width": tree}
    assert refused_targets(model, "model") == []
    path = data.draw(st.sampled_from([p for p in paths(model) if p]))
    (found,) = refused_targets(planted(model, path, {"_target_": target}), "model")
    assert found.target == target
    assert found.where == ".".join(map(str, ("model", *path)))
    assert refused_targets(planted(model, path, {"_target_": target}), "model", [target]) == []


@given(st.lists(st.sampled_from(["torch", "nn", "modules", "recipe", "models", "plain", "os", "system", "load", "F"]),
                min_size=1, max_size=6))  # fmt: skip
def test_what_is_built_is_defined_in_an_allowed_package(parts):
    target = ".".join(parts)
    if not refused_targets({"_target_": target}, "model"):
        from hydra.utils import get_object

        assert get_object(target).__module__.startswith(("recipe.models.", "torch.nn.", "torchvision.models."))


# ---- what systems really need ------------------------------------------------------------------------------------

HEALTHY = [
    mlp(),
    {"_target_": "recipe.models.plain.convnet", "width": 4},
    {"_target_": "recipe.models.plain.linear"},
    {"_target_": "torchvision.models.resnet18", "weights": None},
    {"_target_": "torchvision.models.resnet18"},
    {"_target_": "torchvision.models.resnet.ResNet", "block": None, "layers": [2, 2, 2, 2]},
    {"_target_": "torchvision.models.get_model", "name": "resnet18"},
    {"_target_": "torchvision.models.segmentation.fcn_resnet50", "weights_backbone": None},
    {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.Flatten"}, {"_target_": "torch.nn.LazyLinear",
                                                                                     "out_features": 3}]},
    {"_target_": "torch.nn.modules.linear.Linear", "in_features": 3, "out_features": 3},
]  # fmt: skip


@pytest.mark.parametrize("model", HEALTHY, ids=lambda model: model["_target_"])
def test_networks_of_the_allowed_packages_are_built(model):
    assert refused_targets(model, "model") == []


def test_every_model_that_conf_ships_can_be_loaded():
    from pathlib import Path

    shipped = sorted((Path(__file__).resolve().parents[2] / "conf/model").glob("*.yaml"))
    assert shipped
    for file in shipped:
        assert refused_targets(yaml.safe_load(file.read_text()), file.stem) == []


def test_every_layer_of_torch_is_allowed_and_nothing_else_in_its_module():
    for name in dir(nn):
        kind = getattr(nn, name)
        is_layer = isinstance(kind, type) and issubclass(kind, nn.Module) and ".modules." in kind.__module__
        assert (refused_targets({"_target_": f"torch.nn.{name}"}, "model") == []) == is_layer, name


def test_a_persons_model_is_saved_with_the_names_it_needs(made, tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text("from recipe.models.plain import mlp\ndef wide(num_classes, width): "
                                      "return mlp(num_classes, width)\n")  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    changes = {"model": {"_target_": "nets.wide", "width": 8}}
    net = build.model(change(CFG, changes), made.data, 0)
    members = [(changes, net.state_dict(), 1), ({}, random_model(made.data, {}, 0).state_dict(), 1)]
    named = system.save(tmp_path / "system", CFG, made.data, members, prepared=made.root / "runs/prepare")
    assert named == ["nets.wide"]
    with pytest.raises(RecipeError, match=r"RECIPE_TRUST=nets\.wide"):
        load(tmp_path / "system")
    assert len(load(tmp_path / "system", trust=named).members) == 2
    sys.modules.pop("nets", None)


def test_hydra_is_asked_to_build_in_one_place_alone():
    """What is loaded reaches it through recipe.serve.system, which asks recipe.serve.allowed_targets first."""
    from pathlib import Path

    source = Path(allowed_targets.__file__).parents[1]
    users = {f.name for f in source.rglob("*.py") if "instantiate(" in f.read_text()}
    assert users == {"instantiate.py"}


# ---- paths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../w.safetensors", "members/../../w.safetensors", "/tmp/w.safetensors", "members/a/b.safetensors", "~/w", "",
     "members/0.pt", "members\\..\\w.safetensors", "members/0.safetensors\0", "members/\n.safetensors", 3, None, ["a"],
     "file:///etc/passwd", "members/..safetensors/", "system.yaml", "members/.safetensors"],
)  # fmt: skip
@pytest.mark.parametrize("listed", [True, False])
def test_no_path_leaves_the_folder(folder, name, listed):
    shutil.copy(folder / "members/0.safetensors", folder.parent / "w.safetensors")
    held = facts(folder)
    held["members"][0]["weights"] = name
    if listed and isinstance(name, str):
        held["files"][name] = sha256(folder.parent / "w.safetensors")
    write_description(folder / "system.yaml", held)
    with pytest.raises(RecipeError, match="names the file"):
        load(folder)


@pytest.mark.parametrize("part", ["members/0.safetensors", "members", "system.yaml"])
def test_a_link_out_of_the_folder_is_refused(folder, part):
    shutil.move(folder / part, folder.parent / "elsewhere")
    (folder / part).symlink_to(folder.parent / "elsewhere")
    with pytest.raises(RecipeError, match=r"is a link.*cp -rL"):
        load(folder)


def test_the_folder_itself_may_be_a_link(made, tmp_path):
    (tmp_path / "link").symlink_to(made.system)
    load(tmp_path / "link")


def test_what_is_not_a_regular_file_is_refused(folder):
    (folder / "members/0.safetensors").unlink()
    os.mkfifo(folder / "members/0.safetensors")
    with pytest.raises(RecipeError, match="is missing"):
        load(folder)


# ---- damage --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["system.yaml", "members/0.safetensors", "members/1.safetensors"]), st.integers(0, 2**40),
       st.integers(0, 7))  # fmt: skip
def test_a_flipped_bit_anywhere_gives_one_message(made, tmp_path, name, place, bit):
    folder = tmp_path / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made.system, folder)
    content = bytearray((folder / name).read_bytes())
    content[place % len(content)] ^= 1 << bit
    (folder / name).write_bytes(content)
    with pytest.raises(RecipeError, match=r"damaged|has the format"):
        load(folder)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
@pytest.mark.parametrize("name", ["system.yaml", "members/0.safetensors"])
def test_a_file_that_was_cut_or_grew_is_damaged(folder, name, kept):
    content = (folder / name).read_bytes()
    for changed in (content[:kept], content + b"\n", b""):
        (folder / name).write_bytes(changed)
        with pytest.raises(RecipeError, match=r"damaged|is not the description"):
            load(folder)


def test_a_member_without_a_hash_is_refused(folder):
    held = facts(folder)
    del held["files"]["members/1.safetensors"]
    write_description(folder / "system.yaml", held)
    with pytest.raises(RecipeError, match=r"lists no SHA-256 of members/1\.safetensors"):
        load(folder)
    forge(folder, files=None)
    with pytest.raises(RecipeError, match="lists no files"):
        load(folder)


def test_a_file_that_is_listed_must_be_there_even_where_no_member_uses_it(folder):
    forge(folder, files=facts(folder)["files"] | {"members/2.safetensors": "0" * 64})
    with pytest.raises(RecipeError, match=r"members/2\.safetensors is missing"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: &a [1]\nb: *a\n", "aliases"), ("a: !!python/object/apply:os.system ['mkdir done']\n", "python/object"),
     ("[" * 5000, "damaged"), ("a: " + "x" * (33 << 20), "at most"), ("\0", "damaged"), ("a: [", "damaged")],
    ids=["aliases", "python", "deep", "large", "nul", "open"],
)  # fmt: skip
def test_a_description_is_plain_and_small(folder, text, words, trap):
    (folder / "system.yaml").write_text(text)
    with pytest.raises(RecipeError, match=words):
        load(folder)
    assert not trap.exists()


@pytest.mark.parametrize("name", ["inputs", "task", "mean", "std", "seen", "members", "calibration", "half_widths"])
@pytest.mark.parametrize("value", [None, 0, -1, "x", [], {}, [None], {"a": 1}])
def test_a_description_that_makes_no_sense_ends_in_one_message(folder, name, value):
    if (name, value) == ("half_widths", []):
        pytest.skip("a system of classes has none")
    forge(folder, **{name: value})
    with pytest.raises(RecipeError):
        load(folder)


@pytest.mark.slow
def test_predicting_in_a_process_of_its_own_runs_nothing(folder, trap, tmp_path):
    forge_model(folder, mlp(width=LOAD))
    command = [sys.executable, "-m", "recipe.cli", "predict", "x.png", "--system", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--trust torch.load" in done.stderr
    assert not trap.exists()


@pytest.mark.slow
def test_the_mlflow_model_loads_by_the_same_door(folder, trap, monkeypatch):
    from recipe.serve.mlflow_model import ServedSystem

    context = SimpleNamespace(artifacts={"system": str(folder)})
    forge_model(folder, mlp(width={"_target_": "trap.net"}))
    with pytest.raises(RecipeError, match=r"RECIPE_TRUST=trap\.net"):
        ServedSystem().load_context(context)
    assert not trap.exists()
    monkeypatch.setenv("RECIPE_TRUST", "trap.net")
    with pytest.raises(RecipeError, match="cannot be built"):
        ServedSystem().load_context(context)
    assert trap.is_dir()


def test_no_control_character_of_a_system_reaches_the_terminal(folder, tmp_path, capsys):
    """A terminal obeys them."""
    digit = tmp_path / "digit.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(digit)
    forge(folder, task={"name": "classification", "classes": ["\x1b[2Ja", "\x1b]0;b\x07", "c"]})
    assert main(["predict", str(digit), "--system", str(folder)]) == 0
    forge_model(folder, mlp(**{"\x1b[2J": LOAD}))
    assert main(["predict", str(digit), "--system", str(folder)]) == 2
    forge(folder, format=9, recipe="\x1b[2J")
    assert main(["predict", str(digit), "--system", str(folder)]) == 2
    assert "\x1b" not in "".join(capsys.readouterr())
