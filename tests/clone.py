"""A real clone of this project in a folder of its own, and the commands that a person types there."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from warm import Warm

from recipe.config.code_manifest import code
from recipe.config.compose import STAGES, compose
from recipe.config.instantiate import plain_all
from recipe.files import digest

ROOT = Path(__file__).resolve().parents[1]
UP_TO_DATE = "source:\n\talways changed"  # what `dvc status` says where nothing else has changed
MADE = ("dvc.lock", "runs", "resolved")  # by `dvc repro`: a clone makes its own

# On top of the project's own choices: small enough for a test, large enough for every gate to open.
SMALL = {
    "optimizer": {"name": "adam", "lr": 0.003},
    "baseline": {"seeds": 1, "train": {"epochs": 1.8, "eval_every": 0.6}},
    "overfit": {
        "enough": 0.25,
        "ladder": {"values": [4, 16]},
        "train": {"epochs": 18, "eval_every": 1.5},
    },
    "regularize": {"seeds": 2},  # the passes of this stage and the next two come from overfit: 4.5
    "tune": {
        "trials": 4,
        "repeats": 2,
        "generation": 2,
        "trial_seeds": 1,
        "seeds": 2,
        "train": {"eval_every": 1.5},  # at 3, halving has nothing to compare before the end
    },
    "ensemble": {"members": 2, "top": 1, "longer": 2},
}


@functools.cache
def warm() -> Warm:
    return Warm()


# Several scripts one after the other in one process, for importing takes longer than most of them: what Python does
# with a script and with its exit, and a line between two of them. It fails where one of them does.
ONE_PROCESS = """
import json, os, runpy, sys
worst = 0
for command, env in json.loads(sys.argv[1]):
    os.environ.update(env)
    sys.argv = command
    try:
        runpy.run_path(command[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = 1 if isinstance(end.code, str) else end.code or 0
    print(f"= {code}", flush=True)
    worst = max(worst, code)
sys.exit(worst)
"""


@dataclass
class Said:
    """What a command left behind: its exit code, and stdout and stderr together."""

    code: int
    text: str

    @property
    def stages(self) -> list[str]:
        """The stages that DVC ran, in order; without `source`, which looks at the data's files each time."""
        return [stage for stage in re.findall(r"^Running stage '(\w+)'", self.text, re.MULTILINE) if stage != "source"]

    @property
    def folder(self) -> str:
        """Where a stage started by hand wrote, or all jobs of a multirun."""
        return re.findall(r"(?:^  folder  |writes to )(outputs/\S+)", self.text, re.MULTILINE)[-1]


def merged(old, new):
    """`new` on top of `old`, mapping by mapping."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: merged(old.get(key), value) for key, value in new.items()}


def environment(root: Path, **more: str) -> dict[str, str]:
    """That of a person who stands in `root` with the environment's bin first on PATH."""
    left_out = ("DVC_", "MLFLOW_", "GIT_", "PYTEST_", "PYTHONDONTWRITEBYTECODE")
    env = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    env |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(root / "src"),
        "DVC_SITE_CACHE_DIR": str(root / ".dvc" / "tmp" / "site"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    return env | more


@dataclass
class Clone:
    root: Path
    composed: dict[str, str] | None = field(default=None, repr=False, compare=False)  # what `stages` composed last

    # ---- commands

    def start(self, *command: str, cold: bool = False, **env: str) -> subprocess.Popen:
        """A command left running; text mode, stderr folded into stdout.

        cold: as for `run`; for one that is to be killed.
        """
        command, env = self._prepared(command, env, cold)
        return subprocess.Popen(
            command, cwd=self.root, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            # as in a terminal's foreground, also where the tests themselves run in the background, deaf to Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def run(self, *command: str, code: int | None = 0, cold: bool = False, **env: str) -> Said:
        """A command run to its end; `code` is the exit code it must have, None for any.

        cold: in a new interpreter, not in a fork of the warm one (tests/warm.py).
        """
        command, env = self._prepared(command, env, cold)
        done = subprocess.run(
            command, cwd=self.root, env=env, text=True, timeout=1800,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert code in (None, done.returncode), f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return Said(done.returncode, done.stdout)

    def _prepared(self, command: tuple[str, ...], env: dict[str, str], cold: bool) -> tuple[tuple[str, ...], dict]:
        """(command, environment) of a command."""
        env = environment(self.root, **env)
        if not cold:
            shims = warm().shims
            env["PATH"] = f"{shims}:{env['PATH']}"
            command = tuple(str(shims / "python") if word == sys.executable else word for word in command)
        return command, env

    def dvc(self, *args: str, code: int | None = 0) -> Said:
        return self.run("dvc", *args, code=code)

    def repro(self, *args: str, code: int | None = 0, cold: bool = False) -> Said:
        return self.run("dvc", "repro", *args, code=code, cold=cold)

    def by_hand(self, stage: str, *args: str, code: int | None = 0, **env: str) -> Said:
        return self.run(sys.executable, f"pipeline/{stage}.py", *args, code=code, **env)

    def as_dvc(self, *stages: str, code: int | None = 0, cold: bool = False, **env: str) -> Said:
        """What DVC runs for these stages, in one process."""
        forms = [([f"pipeline/{s}.py", "-cp", "../resolved", "-cn", s], {"DVC_STAGE": s}) for s in stages]
        return self.run(sys.executable, "-c", ONE_PROCESS, json.dumps(forms), code=code, cold=cold, **env)

    def stages(self, *stages: str, code: int | None = 0) -> Said:
        """What `dvc repro` does for these stages, but that they run in one process, which saves their imports.

        dvc.lock stays as it is.
        """
        known = [self.root / name for name in ("params.yaml", "conf", "pipeline", "src", "resolved")]
        if self.composed is None or self.composed != digest(known):  # DVC composes after an edit of these alone, too
            self.by_hand("compose")
            self.composed = digest(known)
        self.by_hand("source")
        return self.as_dvc(*stages, code=code)

    def run_all(self) -> None:
        """Every stage in one process; afterwards `dvc repro` has nothing to do."""
        self.stages(*STAGES)
        self.dvc("commit", "--force")

    def by_hand_each(self, stage: str, *overrides: str) -> list[Said]:
        """The stage by hand once per override, in one process."""
        forms = [([f"pipeline/{stage}.py", override], {}) for override in overrides]
        said = self.run(sys.executable, "-c", ONE_PROCESS, json.dumps(forms), code=None).text
        parts = re.split(r"^= (\d+)\n", said, flags=re.MULTILINE)
        return [Said(int(code), text) for text, code in zip(parts[::2], parts[1::2], strict=False)]

    def git(self, *args: str) -> str:
        return self.run("git", *args).text

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a commit")

    # ---- files

    def write(self, file: str, text: str) -> None:
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_text(text)

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        self.write(file, text.replace(old, new, 1))

    def put(self, file: str, **changes) -> None:
        """Keys of a YAML file, set on top of what stands there."""
        self.write(file, yaml.safe_dump(merged(yaml.safe_load(self.read(file)), changes), sort_keys=False))

    def choose(self, **changes) -> None:
        self.put("params.yaml", **changes)

    def choose_table(self, rows: int = 300) -> None:
        """Small data of two classes, for a test that is not about data: the audit takes a tenth of that of the digits.

        Git does not see the file.
        """
        x = np.random.default_rng(0).normal(size=(rows, 4)).round(4)
        labels = np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")
        lines = [",".join([*map(str, row), label]) for row, label in zip(x.tolist(), labels, strict=True)]
        self.write("data/table.csv", "\n".join(["a,b,c,d,label", *lines]) + "\n")
        self.choose(data="table")

    def read(self, file: str) -> bytes:
        return (self.root / file).read_bytes()

    def outputs(self, *stages: str) -> dict[str, bytes]:
        """{file: content} of all that these stages wrote."""
        folders = [self.root / "runs" / s for s in stages]
        files = [f for folder in folders for f in sorted(folder.rglob("*")) if f.is_file()]
        return {str(f.relative_to(self.root)): f.read_bytes() for f in files if f.name != ".gitignore"}

    def report(self, stage: str) -> dict:
        """The stage's evidence as git holds it; `metrics` as the mapping that it is."""
        content = json.loads(self.read(f"runs/{stage}/report.json"))
        return content | {"metrics": content["metrics"][0]}

    def verdict(self, stage: str, check: str) -> dict:
        return next(c for c in self.report(stage)["checks"] if c["check"] == check)

    # ---- MLflow

    def mlflow(self):
        import mlflow

        uri = f"sqlite:///{self.root / 'mlflow.db'}"
        mlflow.set_tracking_uri(uri)  # a client that lists a logged model's files asks the global store for them
        return mlflow.MlflowClient(uri)

    def runs(self, where: str = "") -> list:
        """Runs of the project, child runs included, newest first."""
        client = self.mlflow()
        found = map(client.get_experiment_by_name, ("recipe", "recipe child runs"))
        return list(client.search_runs([e.experiment_id for e in found if e], where, max_results=1000))

    def stage_runs(self, stage: str) -> list:
        """Executions of a stage, newest first: no lane, trial or member, no sweep."""
        runs = self.runs(f"tags.`recipe.stage` = '{stage}'")
        return [r for r in runs if not {"recipe.lane", "recipe.sweep"} & set(r.data.tags)]

    def last_run(self, stage: str):
        return self.stage_runs(stage)[0]

    def copy(self, to: Path) -> "Clone":
        """The same folder elsewhere, caches and runs included; MLflow's absolute paths follow."""
        shutil.copytree(self.root, to, symlinks=True)
        if not (to / "mlflow.db").exists():
            return Clone(to)
        with contextlib.closing(sqlite3.connect(to / "mlflow.db")) as store, store:
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(self.root), str(to)))
        return Clone(to)


@functools.cache
def _remembered() -> dict[str, bytes]:
    """{name: content} of what composing the working tree leaves in .recipe/: worked out once for all clones."""
    for stage in STAGES:
        code(stage, plain_all(compose(stage, ROOT)), ROOT)
    return {name: (ROOT / ".recipe" / name).read_bytes() for name in ("composed.json", "imports.json")}


def remember(to: Path) -> None:
    """Gives a clone, or a part of one, what composing the working tree has worked out."""
    (to / ".recipe").mkdir(exist_ok=True)
    for name, content in _remembered().items():
        (to / ".recipe" / name).write_bytes(content)


def fresh(to: Path) -> Clone:
    """The working tree's files, as a repository with one commit, with small numbers in params.yaml."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name.split("/")[0] not in MADE:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    clone = Clone(to)
    clone.choose(**SMALL)
    clone.git("init", "--quiet")
    clone.commit()
    remember(to)
    return clone
