"""conf/ + params.yaml -> one config per stage, with every mistake named."""

import math
import re
import shutil
from dataclasses import asdict, fields, make_dataclass
from pathlib import Path

import pytest
import yaml
from clone import remember
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from recipe.checks.declare import Declare
from recipe.checks.examine import CHECKS
from recipe.config.changes import change, leaves, nearest
from recipe.config.compose import STAGES, compose, root
from recipe.config.hydra_app import compose_cli
from recipe.config.options import option
from recipe.config.remembered import Remembered
from recipe.config.resolve import resolve_all
from recipe.config.schema import BY_STAGE, NAMED, Base, Decoding, Flags, Halving, Learn, Part, Runtime, Split, Train
from recipe.config.type_check import check_types, fields_of, forms
from recipe.errors import RecipeError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A folder with the project's conf/ and scripts, a plain params.yaml, and a dvc.yaml; the working directory."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text(PARAMS)
    remember(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


PARAMS = """
data: digits
model: convnet
loss: cross_entropy
augment: affine
optimizer: adam
seed: 3
"""


def ask(house: Path, text: str) -> None:
    (house / "params.yaml").write_text(PARAMS + text)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_composes_with_the_committed_choices(stage, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert compose(stage).stage == stage


@pytest.mark.slow
@pytest.mark.parametrize("group", ["data", "model", "optimizer", "augment"])
def test_every_option_of_a_group_composes(house, group):
    for file in sorted((ROOT / "conf" / group).glob("*.yaml")):
        (house / "params.yaml").write_text(PARAMS.replace(_line(group), f"{group}: {file.stem}\n"))
        target = OmegaConf.load(file)._target_
        assert compose("regularize")[group]._target_ == target


def test_an_empty_mapping_takes_the_names_that_a_person_gives(house):
    wanted = 'data: {name: table, dates: {birth: "%d/%m/%Y"}}\n'
    (house / "params.yaml").write_text(PARAMS.replace("data: digits\n", wanted))
    assert compose("prepare").data.dates == {"birth": "%d/%m/%Y"}
    (house / "params.yaml").write_text(PARAMS.replace("data: digits\n", wanted.replace("dates", "date")))
    with pytest.raises(RecipeError, match=r"no `data\.date`; did you mean `data\.dates`"):
        compose("prepare")


def test_a_mapping_may_take_the_place_of_null(house):
    wanted = "data: {name: table, labels: {column: tags, separator: '|'}}\n"
    (house / "params.yaml").write_text(PARAMS.replace("data: digits\n", wanted))
    assert compose("prepare").data.labels == {"column": "tags", "separator": "|"}
    assert compose_cli("prepare", ["data.labels={column: words}"]).data.labels.column == "words"
    (house / "params.yaml").write_text(PARAMS.replace("data: digits\n", wanted.replace("labels", "label")))
    with pytest.raises(RecipeError, match=r"`data\.label: \{'column': 'tags'.*it must be text or a whole number"):
        compose("prepare")


def _line(group: str) -> str:
    return next(line for line in PARAMS.splitlines(keepends=True) if line.startswith(f"{group}:"))


@pytest.mark.slow
def test_a_top_level_key_goes_to_every_stage_that_has_it(house):
    assert {stage: compose(stage).seed for stage in STAGES} == dict.fromkeys(STAGES, 3)


def test_a_section_is_its_stages_own(house):
    ask(house, "tune: {seed: 9, model: mlp}\n")
    assert compose("tune").seed == 9
    assert compose("tune").model._target_.endswith("mlp")
    assert compose("baseline").seed == 3


def test_a_section_sets_values_on_top_of_the_shared_choice(house):
    (house / "params.yaml").write_text(PARAMS.replace("optimizer: adam", "optimizer: {name: sgd, momentum: 0.5}"))
    ask_more = (house / "params.yaml").read_text() + "baseline: {optimizer: {lr: 0.7}}\ntune: {optimizer: adam}\n"
    (house / "params.yaml").write_text(ask_more)
    assert compose("baseline").optimizer.momentum == 0.5
    assert compose("baseline").optimizer.lr == 0.7
    assert compose("tune").optimizer._target_.endswith("AdamW")


@pytest.mark.slow
def test_a_mapping_sets_values_on_top_of_a_choice(house):
    ask(house, "baseline: {optimizer: {name: sgd, lr: 0.5}}\n")
    assert compose("baseline").optimizer.lr == 0.5
    assert compose("baseline").optimizer.momentum == 0.9


def test_a_section_adds_to_a_mapping_that_every_stage_gets(house):
    ask(house, "train: {batch_size: 64}\nbaseline: {train: {epochs: 1.5}}\n")
    assert (compose("baseline").train.batch_size, compose("baseline").train.epochs) == (64, 1.5)
    assert compose("overfit").train.batch_size == 64


@pytest.mark.slow
def test_a_value_may_be_left_to_conf(house):
    """The key is there for `dvc exp run -S`; what it says follows the file that is chosen."""
    plain = {stage: compose(stage) for stage in STAGES}
    ask(
        house,
        "train: {epochs: from_conf}\ntune: {trials: from_conf, optimizer: {lr: from_conf, momentum: from_conf}}\n",
    )
    assert {stage: compose(stage) for stage in STAGES} == plain
    left = "model: {name: mlp, width: from_conf, depth: 3, dropout2d: from_conf}"
    (house / "params.yaml").write_text(PARAMS.replace("model: convnet", left))
    assert compose("baseline").model == {"_target_": "recipe.models.plain.mlp", "width": 64, "depth": 3, "dropout": 0.0}


def test_a_section_may_go_back_to_what_conf_says(house):
    (house / "params.yaml").write_text(PARAMS.replace("optimizer: adam", "optimizer: {name: adam, lr: 0.5}"))
    ask_more = (house / "params.yaml").read_text() + "tune: {optimizer: {lr: from_conf}}\n"
    (house / "params.yaml").write_text(ask_more)
    assert (compose("baseline").optimizer.lr, compose("tune").optimizer.lr) == (0.5, 0.0003)


def test_a_misspelt_key_lists_the_keys_beside_the_nearest_one_and_not_all():
    known = ["seed", "model.width", "optimizer.lr", "optimizer.momentum", "checks.lr_is_low.share"]
    assert nearest("optimizer.lrr", known) == "did you mean `optimizer.lr`? Known: optimizer.lr, optimizer.momentum."
    assert nearest("sed", known) == "did you mean `seed`? Known: seed."
    assert nearest("zzz", ["b", "a"]) == "known: a, b."


MISTAKES = {
    "a choice that is not there": ("baseline: {model: convnte}\n", ["conf/model/", "`convnte`", "convnet", "linear"]),
    "a misspelt key": ("overfit: {enuogh: 0.1}\n", ["overfit", "enuogh", "did you mean `enough`"]),
    "a misspelt key in a mapping": ("tune: {optimizer: {lrr: 0.1}}\n", ["optimizer.lrr", "optimizer.lr"]),
    "a leftover of another choice": ("tune: {optimizer: {name: adam, momentum: 0.9}}\n", ["optimizer.momentum"]),
    "text for a number": ("tune: {trials: many}\n", ["trials", "'many'", "whole number"]),
    "a fraction for a whole number": ("tune: {trials: 2.5}\n", ["trials", "2.5", "whole number"]),
    "a negative number of passes": ("tune: {train: {epochs: -1}}\n", ["train.epochs", "-1", "above 0"]),
    "a share above all": ("tune: {failures: 1.5}\n", ["failures", "1.5", "at least 0 and at most 1"]),
    "an interval that is certain": ("regularize: {confidence: 1}\n", ["confidence", "at least 0.5 and below 1"]),
    "a share of nothing": ("regularize: {shares: [0.5, -1]}\n", ["shares[1]: -1", "above 0 and at most 1"]),
    "an interval of one": ("tune: {seeds: 1}\n", ["seeds: 1", "no interval", "at least 2"]),
    "more dropped than there is": ("tune: {model: {dropout: 2}}\n", ["model.dropout: 2", "at most 1"]),
    "a switch for a mapping": ("tune: {halving: true}\n", ["halving: True", "must be a mapping"]),
    "halving at the end": ("tune: {halving: {first: 1}}\n", ["halving.first: 1", "above 0 and below 1"]),
    "halving that halves nothing": ("tune: {halving: {factor: 1}}\n", ["halving.factor: 1", "above 1"]),
    "a word for a list": ("tune: {samplers: random}\n", ["samplers: 'random'", "must be a list"]),
    "nothing for a number": ("tune: {trials: null}\n", ["trials: null", "whole number"]),
    "a section that is no mapping": ("tune: 3\n", ["tune", "mapping"]),
    "a list at a group's place": ("tune: {model: [linear]}\n", ["model", "conf/model/"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place(house, mistake):
    text, words = MISTAKES[mistake]
    ask(house, text)
    with pytest.raises(RecipeError) as caught:
        compose(text.partition(":")[0])
    for word in words:
        assert word in str(caught.value)


def test_a_key_that_no_stage_has_is_refused(house):
    ask(house, "sead: 1\n")
    with pytest.raises(RecipeError, match="no stage has `sead`; did you mean `seed`"):
        resolve_all()
    assert not (house / "resolved").exists()


@pytest.mark.slow
def test_nothing_is_written_where_one_stage_does_not_compose(house):
    resolve_all()
    before = {p.name: p.read_text() for p in (house / "resolved").iterdir()}
    ask(house, "report: {nothing: 1}\nbaseline: {seeds: 7}\n")
    with pytest.raises(RecipeError, match="nothing"):
        resolve_all()
    assert {p.name: p.read_text() for p in (house / "resolved").iterdir()} == before


@pytest.mark.slow
def test_the_order_of_keys_alone_changes_no_resolved_file(house):
    resolve_all()
    before = {p.name: p.read_text() for p in (house / "resolved").iterdir()}
    for file in ("params.yaml", "conf/learn.yaml", "conf/optimizer/adam.yaml"):
        content = yaml.safe_load((house / file).read_text())
        (house / file).write_text(yaml.safe_dump(dict(reversed(content.items())), sort_keys=False))
    resolve_all()
    assert {p.name: p.read_text() for p in (house / "resolved").iterdir()} == before


def test_broken_yaml_is_a_message(house):
    ask(house, "tune: {trials: 3\n")
    with pytest.raises(RecipeError, match=r"params\.yaml is not valid YAML"):
        compose("tune")


def test_a_folder_that_is_no_clone_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="clone of the recipe"):
        root()


@pytest.mark.slow
def test_where_it_runs_is_not_in_resolved(house):
    resolve_all()
    text = (house / "resolved" / "tune.yaml").read_text()
    assert "threads" not in text
    assert "runtime: local" in text
    assert str(house) not in text


@pytest.mark.slow
@pytest.mark.parametrize("text", ["runtime: {threads: 3}", "runtime: local", "tune: {runtime: {processes: 4}}"])
def test_where_it_runs_is_refused_in_params_where_dvcs_runs_would_not_see_it(house, text):
    ask(house, text)
    with pytest.raises(RecipeError, match=r"params\.yaml: `runtime` .* conf/runtime/local\.yaml"):
        resolve_all()
    with pytest.raises(RecipeError, match=r"params\.yaml: `runtime` "):
        compose_cli("tune", [])
    (house / "params.yaml").write_text(PARAMS)
    assert compose_cli("tune", ["runtime.processes=4"]).runtime.processes == 4


def test_change_refuses_a_key_that_is_not_there(house):
    cfg = compose("tune")
    assert change(cfg, {"model.width": 4}).model.width == 4
    inside = change(cfg, {"train": {"mixup": 0.2}}).train  # a mapping without a target sets what it names
    assert inside == {**cfg.train, "mixup": 0.2}
    with pytest.raises(RecipeError, match=r"no `train\.mixpu` in this configuration"):
        change(cfg, {"train": {"mixpu": 0.2}})
    assert cfg.model.width == 16
    with pytest.raises(RecipeError, match=r"no `model.widht`.*did you mean `model.width`"):
        change(cfg, {"model.widht": 4})


def test_leaves_are_plain_values(house):
    flat = leaves(compose("tune"))
    assert flat["model.dropout"] == 0.0
    assert not flat["train.augment"]
    assert flat["declare.frozen"] == []


OWN = {
    "_target_": "mine.Net", "first": 8, "factor": 0.5, "halving": True, "width": [64, 128], "depth": 1.5, "top": 0.5,
    "dropout": None, "head": {"dropout": None, "test": "x"}, "lr": {"from": 1},
}  # fmt: skip


def test_what_a_persons_own_part_takes_is_its_own_affair():
    """A name of ours may mean something else there; its constructor says what it cannot take."""
    check_types(OmegaConf.create({"model": OWN, "data": OWN | {"_target_": "mine.Set"}}), schema=Learn)
    ours = {"_target_": "recipe.models.plain.mlp", "width": 2.5}
    with pytest.raises(RecipeError, match=r"`model\.inner\.width: 2\.5`.*whole number"):
        check_types(OmegaConf.create({"model": OWN | {"inner": ours}}), schema=Learn)
    with pytest.raises(RecipeError, match=r"`optimizer\.lr: null` is nothing, it must be a number"):
        check_types(OmegaConf.create({"optimizer": {"_target_": "torch.optim.SGD", "lr": None}}), schema=Learn)


def test_a_bound_refuses_what_is_no_number():
    for value in (math.nan, math.inf):
        with pytest.raises(RecipeError, match=r"`val: (nan|inf)` must be at least 0 and below 1"):
            check_types(OmegaConf.create({"val": value}), "here", Split)


def keys_without_a_field(node, schema, at: str = "") -> list[str]:
    """The keys of a file of conf/ of which no class knows type and bounds."""
    lacking = []
    for key, value in node.items():
        path = f"{at}.{key}".lstrip(".")
        if (key == "defaults" and not at) or path in ("hydra", *NAMED):
            continue
        if key not in fields_of(schema):
            lacking.append(path)
        elif isinstance(value, dict) and "_target_" in value:
            lacking += keys_without_a_field(value, option(value["_target_"]) or Part, path)
        elif isinstance(value, dict):
            inner = next((form.keys for form in forms(fields_of(schema)[key]) if form.keys), None)
            lacking += keys_without_a_field(value, inner, path) if inner else []
    return lacking


@pytest.mark.parametrize("file", [*STAGES, "base", "learn", "runtime/local"])
def test_every_key_of_a_stages_config_has_a_type(file):
    """A key of which the type is not known would be checked by nobody."""
    schema = {"base": Base, "learn": Learn, "runtime/local": Runtime}.get(file) or BY_STAGE[file]
    assert keys_without_a_field(yaml.safe_load((ROOT / "conf" / f"{file}.yaml").read_text()), schema) == []


@pytest.mark.parametrize("group", ["data", "model", "loss", "optimizer", "augment", "step"])
def test_every_key_of_an_option_has_a_type(group):
    for file in (ROOT / "conf" / group).glob("*.yaml"):
        content = yaml.safe_load(file.read_text())
        assert keys_without_a_field(content, option(content["_target_"]) or Part) == [], file


def test_a_missing_line_of_conf_is_named(house):
    text = (house / "conf/tune.yaml").read_text()
    (house / "conf/tune.yaml").write_text(text.replace("trials: ${", "trails: ${"))
    with pytest.raises(RecipeError, match=r"tune, in .*: `trials` is missing.*did you mean it by `trails`\?"):
        compose("tune")
    (house / "conf/tune.yaml").write_text(text.replace("  first: 0.1 ", "  frist: 0.1 "))
    with pytest.raises(RecipeError, match=r"`halving\.first` is missing"):
        compose("tune")


@pytest.mark.slow
@settings(deadline=None)
@given(st.data())
def test_a_value_within_the_bounds_of_its_type_passes(data):
    """hypothesis reads the same annotations."""
    schema = data.draw(st.sampled_from([Decoding, Flags, Halving, Train]))
    value = data.draw(st.from_type(schema))
    check_types(OmegaConf.create({"x": asdict(value)}), schema=make_dataclass("Holder", [("x", schema)]))


@pytest.mark.parametrize(("word", "expected"), [("off", True), ("'off'", False)])
def test_a_word_that_yaml_takes_for_a_switch_is_explained(house, word, expected):
    file = house / "conf/runtime/local.yaml"
    file.write_text(file.read_text().replace("deterministic: warn ", f"deterministic: {word} "))
    if expected:
        with pytest.raises(RecipeError, match=r"`runtime\.deterministic: False` .* write it in quotes"):
            compose("tune")
    else:
        assert compose("tune").runtime.deterministic == "off"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model=null", r"the command line: conf/model/ has no `null`"),
        ("optimizer=3", r"conf/optimizer/ has no `3`; known: adam, "),
        ("@x=1", r"`@x=1` names no key; write key=value"),
        ("train.early_stopping={a: 1}", r"`train.early_stopping: {'a': 1}` is a mapping, it must be true or false"),
        ("train=1", r"`train: 1` is a whole number, it must be a mapping"),
        ("waive=null", r"`waive: null` is nothing, it must be a mapping"),
        ("trials=???", r"`trials` has no value yet"),
        ("train.epochs=${oc.env:HOME}", r"`train.epochs: '.+'` is text, it must be a number"),
        ("samplers=[1]", r"`samplers\[0\]: 1` is a whole number, it must be text"),
        ("train.share=0", r"`train.share: 0` must be above 0 and at most 1"),
        ("train.epochs={a: 1}", r"`train.epochs: {'a': 1}` is a mapping, it must be a number"),
        ("trails=3", r"tune has no `trails`; did you mean `trials`\?"),
    ],
)
def test_a_mistake_among_overrides_is_named(word, message):
    with pytest.raises(RecipeError, match=message):
        compose_cli("tune", [word])


@pytest.mark.slow
def test_what_is_composed_by_hand_is_what_the_overrides_say():
    assert compose_cli("tune", []) == compose("tune")
    cfg = compose_cli("tune", ["space=wide", "trials=7", "optimizer=sgd", "optimizer.momentum=0.5"])
    assert (cfg.trials, cfg.optimizer.momentum) == (7, 0.5)
    assert set(cfg.space) > set(compose("tune").space)


# ---- declared ------------------------------------------------------------------------------------------------------

DECLARED = {
    f.name: {"frozen": ["body"], "pretrained": ["body"], "accumulate": 4}.get(f.name, True) for f in fields(Declare)
}
HINTS = {name: check.fixed["hint"] for name, check in CHECKS.items()}


@pytest.mark.parametrize("stage", ["baseline", "tune", "ensemble"])
def test_every_field_of_declare_can_be_set_once_for_all_stages(house, stage):
    assert list(compose(stage).declare) == [f.name for f in fields(Declare)]
    assert Declare(**_tuple(compose(stage))) == Declare()
    ask(house, yaml.safe_dump({"declare": DECLARED}))
    assert Declare(**_tuple(compose(stage))) == Declare(**DECLARED | {"frozen": ("body",), "pretrained": ("body",)})


def _tuple(cfg) -> dict:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in OmegaConf.to_container(cfg.declare).items()}


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_has_a_type(house, name):
    ask(house, f"declare: {{{name}: perhaps}}\n")
    with pytest.raises(RecipeError, match=f"declare.{name}"):
        check_types(compose("baseline"))


def test_what_cannot_be_declared_is_named(house):
    ask(house, "declare: {resampled: true}\n")
    with pytest.raises(RecipeError, match="resampled_train"):
        compose("baseline")


@pytest.mark.parametrize("name", DECLARED)
def test_a_hint_names_the_line_of_conf_that_declares_it(house, name):
    lines = {line for hint in HINTS.values() for line in re.findall(rf"`(declare: {{{name}: .+?}})` in params", hint)}
    assert lines
    for line in lines:
        ask(house, line + "\n")
        assert Declare(**_tuple(compose("baseline"))) != Declare()


@pytest.mark.parametrize("name", HINTS)
def test_no_hint_asks_to_declare_without_saying_where(name):
    spoken = re.sub(r"`declare: {.+?}`", "", HINTS[name])
    assert not re.search(r"\bdeclare\b", spoken, re.IGNORECASE)


def test_a_list_in_place_of_a_mapping_is_one_message(house):
    ask(house, "train: [batch_size, 64]\n")
    with pytest.raises(
        RecipeError, match=r"in params\.yaml: `train: \['batch_size', 64\]` is a list, it must be a mapping"
    ):
        compose("baseline")


def test_what_is_remembered_is_what_hydra_composes(house):
    known = [compose(stage) for stage in STAGES]
    shutil.rmtree(house / ".recipe")
    elsewhere = house / "elsewhere"  # this process remembers for each folder
    shutil.copytree(house, elsewhere, ignore=shutil.ignore_patterns("elsewhere"))
    assert [compose(stage, elsewhere) for stage in STAGES] == known


def test_an_edit_of_conf_is_seen_in_the_same_process_and_in_the_next(house):
    before = compose("tune").trials
    text = (house / "conf/effort/normal.yaml").read_text()
    (house / "conf/effort/normal.yaml").write_text(text.replace("trials: ", "trials: 1"))
    assert compose("tune").trials == int(f"1{before}")
    (house / "conf/effort/normal.yaml").write_text(text)
    assert compose("tune").trials == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": "", "known": 3}'])
def test_a_damaged_memory_is_as_good_as_none(tmp_path, content):
    (tmp_path / ".recipe").mkdir()
    (tmp_path / ".recipe/some.json").write_text(content)
    remembered = Remembered("some.json", tmp_path, version="1", most=2)
    assert remembered.get("a") is None
    remembered.add("a", [1])
    remembered.save()
    assert Remembered("some.json", tmp_path, version="1", most=2).get("a") == [1]
    assert Remembered("some.json", tmp_path, version="2", most=2).get("a") is None


def test_a_full_memory_keeps_what_this_process_used(tmp_path):
    remembered = Remembered("some.json", tmp_path, version="1", most=2)
    for key in "abc":
        remembered.add(key, key)
    remembered.get("c")
    remembered.save()
    assert Remembered("some.json", tmp_path, version="1", most=2).known == {"c": "c"}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / ".recipe").write_text("a file")
    remembered = Remembered("some.json", tmp_path, version="1", most=2)
    remembered.add("a", 1)
    remembered.save()
    assert remembered.get("a") == 1
