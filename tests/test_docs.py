"""The README and docs/ tell the truth: links resolve, code runs, configurations compose, commands are understood."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from clone import warm

from recipe import cli
from recipe.config.compose import STAGES, compose
from recipe.config.hydra_app import check_command_line

ROOT = Path(__file__).resolve().parents[1]
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]


@dataclass(frozen=True)
class Block:
    """A fenced block. `name` is the file that its first line names, as in `# params.yaml`, or empty."""

    file: str
    line: int
    language: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def _blocks(file: Path) -> list[Block]:
    text, blocks = file.read_text(), []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        named = re.match(r"# ([\w./-]+\.\w+)(?:,[^\n]*)?\n", match[2])
        line = text[: match.start()].count("\n") + 1
        blocks.append(Block(str(file.relative_to(ROOT)), line, match[1], named[1] if named else "", match[2]))
    return blocks


BLOCKS = [block for file in FILES for block in _blocks(file)]


def _of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


# ---- links -------------------------------------------------------------------------------------------------------


def _anchors(file: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_link_resolves(file):
    text = re.sub(r"^```.*?^```$", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        there = (file.parent / path).resolve() if path else file
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(target)
    assert broken == []


def test_every_page_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text()
    assert [f.name for f in (ROOT / "docs").glob("*.md") if f"(docs/{f.name}" not in text] == []
    assert [f.name for f in (ROOT / "docs").glob("*.png") if not any(f.name in p.read_text() for p in FILES)] == []


def test_the_readme_can_be_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_paths_in_code_font_exist():
    """`src/recipe/data/source.py` and the like; what a run writes, and examples in angle brackets, are left out."""
    roots = ("src/recipe", "conf/", "pipeline/", "tests/", "benchmarks/", ".dvc/")
    missing = []
    for file in FILES:
        for word in re.findall(r"`([\w./-]+)`", file.read_text()):
            if word.startswith(roots) and "mine" not in word and not (ROOT / word).exists():
                missing.append(f"{file.name}: {word}")
    assert missing == []


# ---- Python ------------------------------------------------------------------------------------------------------

RUN = {
    "test_training.py": ["-m", "pytest", "-q", "-p", "no:cacheprovider"],
    "lanes.py": [],
    "train.py": [],
    "test_gates.py": ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "recipe.pytest_plugin"],
}  # name -> arguments
OWN_PARTS = ROOT / "examples/own_parts"  # run by the pipeline in tests/pipeline/test_plugin.py


def _run(block: Block, folder: Path, code: int = 0) -> str:
    (folder / block.name).write_text(block.text)
    command = [warm().shims / "python", *RUN[block.name], block.name]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + (done.stderr if code else "")


def _named(name: str) -> Block:
    (block,) = (block for block in BLOCKS if block.name == name)
    return block


def test_no_python_block_is_left_out():
    shown = {block.name for block in _of("python")}
    assert shown == {*RUN, "src/own/stripes.py"}


@pytest.mark.slow
def test_the_documented_pytest_passes(tmp_path):
    assert "1 passed" in _run(_named("test_training.py"), tmp_path)


@pytest.mark.slow
def test_the_documented_training_is_a_test_per_check(tmp_path):
    assert re.search(r"^\d\d passed, \d\d skipped", _run(_named("test_gates.py"), tmp_path), re.MULTILINE)


@pytest.mark.slow
def test_the_documented_lanes_train_together(tmp_path):
    first, *rows = _run(_named("lanes.py"), tmp_path).splitlines()
    assert first == "24 lanes together"
    assert len(rows) == 24
    assert all(row.endswith("all steps done") for row in rows)


@pytest.mark.slow
def test_the_documented_watch_warns_as_documented(tmp_path):
    said = " ".join(_run(_named("train.py"), tmp_path, code=1).split())
    (shown,) = re.findall(
        r"^```\n(train\.py:\d+: .*?)^```", (ROOT / "docs/gates.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert " ".join(shown.split()) in said
    assert "1 gate(s) closed" in said


def test_the_documented_own_parts_are_those_of_the_example():
    shown = {b.name: b.text.split("\n", 1)[1] for b in BLOCKS if b.file == "docs/own-parts.md" and b.name}
    files = [f for f in OWN_PARTS.rglob("*") if f.suffix in (".py", ".yaml")]
    assert shown == {str(f.relative_to(OWN_PARTS)): f.read_text() for f in files}


# ---- YAML --------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path, monkeypatch) -> Path:
    """The project's configuration, with the parts of the examples added; the working directory."""
    for name in ("conf", "pipeline", "src/own"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("conf", "src"):
        shutil.copytree(OWN_PARTS / name, tmp_path / name, dirs_exist_ok=True)
    for block in _of("yaml"):
        if block.name.startswith("conf/") and not (tmp_path / block.name).exists():
            (tmp_path / block.name).write_text(block.text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _choices(block: Block) -> list[dict]:
    """What a block of params.yaml chooses; under `one of these`, every line is another choice."""
    head, text = block.text.split("\n", 1)
    return [yaml.safe_load(part) for part in (text.splitlines() if "one of these" in head else [text])]


PARAMS = [(str(block), choice) for block in _of("yaml") if block.name == "params.yaml" for choice in _choices(block)]


@pytest.mark.parametrize(
    "choice", [choice for _, choice in PARAMS], ids=[f"{w}-{i}" for i, (w, _) in enumerate(PARAMS)]
)
def test_documented_choices_compose(house, choice):
    params = yaml.safe_load((house / "params.yaml").read_text())
    (house / "params.yaml").write_text(yaml.safe_dump(params | choice))
    for stage in {key if key in STAGES else "baseline" for key in choice}:  # `baseline` has every group
        compose(stage)


def test_no_yaml_block_is_left_out(house):
    """A block is a choice of params.yaml, or a file of conf/: one that the project has holds these keys."""
    for block in _of("yaml"):
        assert block.name == "params.yaml" or (house / block.name).is_file(), str(block)
        if (ROOT / block.name).is_file() and block.name != "params.yaml":
            assert set(yaml.safe_load(block.text)) <= set(yaml.safe_load((ROOT / block.name).read_text())), str(block)


# ---- commands ----------------------------------------------------------------------------------------------------


def _commands() -> list[tuple[str, list[str]]]:
    """(place, words) of every command, without comments and leading assignments."""
    commands = []
    for block in _of("sh"):
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words and words[0] != "export":
                commands.append((str(block), words))
    return commands


def _options(words: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def _python(words: list[str]) -> None:
    script, *rest = words
    assert (ROOT / script).is_file(), script
    if not script.startswith("pipeline/"):
        text = (ROOT / script).read_text()
        assert [option for option in _options(rest) if f'"{option}"' not in text] == []
    elif "hydra/sweeper=optuna" not in rest:  # a plugin, which tests/tracking/test_hydra_sweep.py installs
        overrides = [word for word in rest if word != "-m"]
        check_command_line(Path(script).stem, overrides, Path.cwd(), multirun="-m" in rest)


def _dvc(words: list[str]) -> None:
    from dvc.cli.parser import get_main_parser

    parsed = get_main_parser().parse_args(words)
    if words[0] == "repro":
        assert set(parsed.targets) <= set(STAGES)


def _mlflow(words: list[str]) -> None:
    import click
    from mlflow.cli import cli as command

    while (
        isinstance(command, click.Group) and words and (below := command.get_command(click.Context(command), words[0]))
    ):
        command, words = below, words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert [option for option in _options(words) if option not in known] == []


def _recipe(words: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([words[0], "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert [option for option in _options(words) if option not in text] == []


def _pip(words: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert words[0] == "install"
    for extra in re.findall(r"\.\[(\w+)\]", " ".join(words)):
        assert extra in extras
    if "-c" in words:
        assert (ROOT / words[words.index("-c") + 1]).is_file()


def _make(words: list[str]) -> None:
    assert words[0] in re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()


def _files(words: list[str]) -> None:
    """Every word that looks like a path of the project is one."""
    paths = [w.partition("::")[0] for w in words if w.startswith(("examples/", "tests/", "src/", "pipeline/"))]
    assert [path for path in paths if not (ROOT / path).exists()] == []


PLAIN = {
    "pytest",
    "git",
    "curl",
    "sh",
    "cp",
    "cat",
    "ruff",
    "lint-imports",
    "mypy",
    "pre-commit",
    "optuna-dashboard",
    "cd",
}


@pytest.mark.slow
def test_documented_commands_are_understood(house, capsys):
    """Programs of the project parse their arguments; of the others, named files must exist."""
    check = {"python": _python, "dvc": _dvc, "mlflow": _mlflow, "pip": _pip, "make": _make}
    wrong = []
    for place, (program, *words) in _commands():
        try:
            if program == "recipe":
                _recipe(words, capsys)
            elif program in check:
                check[program](words)
            else:
                assert program in PLAIN, f"{program}: no such program is known here"
                _files(words)
        except (Exception, SystemExit) as error:
            wrong.append(f"{place}: {program} {shlex.join(words)}: {error}")
    assert wrong == []
