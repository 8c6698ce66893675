"""The command line: `recipe examine my_module:setup` runs the checks of a training, `recipe decide` adds decisions,
`recipe worker` takes part in a running search, `recipe predict photo.jpg` predicts with the final system.
"""

import argparse
import importlib
import inspect
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from recipe.addresses import masked, masking
from recipe.errors import RecipeError

if TYPE_CHECKING:  # these import torch
    from recipe.checks.setup import Setup
    from recipe.serve.predict import Prediction
    from recipe.tasks.answers import Answers
    from recipe.verdict import Verdict

DECISIONS = "decisions.csv"
SYSTEM = "runs/ensemble/system"
MAX_WORKERS = 4  # processes that decode images: the network keeps no more of them busy


def main(words: list[str] | None = None) -> int:
    """Gives 0 where all is well, 1 where a gate is closed or an input has no answer, 2 where nothing was done.

    130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="recipe", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("examine", help="run every check on a training", allow_abbrev=False)
    command.add_argument("setup", metavar="MODULE:NAME", help="a recipe.Setup, or a function that gives one")
    command.add_argument("--only", action="append", default=[], metavar="CHECK,...", help="run these checks alone")
    command.add_argument("--skip", action="append", default=[], metavar="CHECK,...", help="leave these checks out")
    command.add_argument("--list", action="store_true", help="list the checks and what each claims, and stop")
    command.add_argument("--json", metavar="FILE", help="also write the verdicts as JSON")
    command.add_argument("--junit", metavar="FILE", help="also write them as JUnit's XML, a test per check")
    command.add_argument("--html", metavar="FILE", help="also write a page, with pictures of what entered the network")
    command.add_argument("--github", action="store_true", help="also print annotations for a workflow of GitHub")
    command.set_defaults(does=lambda given: _list_checks() if given.list else _examine(given))
    command = commands.add_parser("decide", help="check lines for decisions.csv, and add them", allow_abbrev=False)
    command.add_argument(
        "lines", nargs="?", default="-", metavar="FILE", help="id,action,label,reason; - reads what is typed or piped"
    )
    command.add_argument("--replace", action="store_true", help="also where decisions.csv says something else")
    command.set_defaults(does=_decide)
    command = commands.add_parser("worker", help="take part in the search of the tune stage", allow_abbrev=False)
    command.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="those that pipeline/tune.py was started with, by hand"
    )
    command.set_defaults(does=lambda given: _take_part(given.overrides))
    command = commands.add_parser("predict", help="predict with the final system", allow_abbrev=False)
    command.add_argument(
        "input", metavar="PATH", help="an image, a folder of images, a table, or an array (.npy, .npz)"
    )
    command.add_argument("--system", default=SYSTEM, metavar="FOLDER", help=f"the saved system; default: {SYSTEM}")
    command.add_argument("--out", metavar="FILE", help="a .csv or .parquet to write; default: csv on the terminal")
    command.add_argument(
        "--trust", action="append", default=[], metavar="NAME",
        help="the exact dotted name of code, as own.nets.wide, that the system may run; repeat it for more",
    )  # fmt: skip
    command.set_defaults(does=_predict)
    given = parser.parse_args(words)
    try:
        return int(given.does(given))
    except RecipeError as error:
        print(f"recipe {given.command}: {_printable(masked(str(error)))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nrecipe {given.command}: interrupted", file=sys.stderr)
        return 130


def _decide(given: argparse.Namespace) -> int:
    from recipe.data.decisions import add, parse, read_decisions
    from recipe.files import read_json, read_table
    from recipe.tasks.read import task_of

    ids = {example["id"] for example in read_table("runs/audit/examples.parquet")}
    form = task_of(read_json("runs/prepare/store.json")["task"]).labels
    known = read_decisions(DECISIONS, ids, form)
    try:
        text = sys.stdin.read() if given.lines == "-" else Path(given.lines).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{given.lines} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    place = "the lines given" if given.lines == "-" else given.lines
    new = parse(text, place, ids, form)
    added, changed = add(DECISIONS, known, new, given.replace)
    same = len(new) - added - changed
    print(f"{DECISIONS}: {added} added, {changed} changed, {same} as they were. Next: dvc repro")
    return 0


def _take_part(overrides: list[str]) -> int:
    from recipe.config.compose import resolved, root
    from recipe.config.hydra_app import compose_cli
    from recipe.stages.tune.worker import NoSearch
    from recipe.stages.tune.worker_process import run_worker

    os.chdir(root())
    with masking():
        if overrides or not Path("resolved/tune.yaml").is_file():
            run_worker(compose_cli("tune", overrides))
            return 0
        try:
            run_worker(resolved("tune", root()))
        except NoSearch:  # of dvc repro: one that was started by hand, after an edit of params.yaml
            run_worker(compose_cli("tune", []))
    return 0


def _predict(given: argparse.Namespace) -> int:
    import torch

    from recipe.serve import predict
    from recipe.serve.inputs import ARRAYS, TABLES, read_inputs
    from recipe.serve.system import load as load_system

    path, out = Path(given.input).expanduser(), given.out and Path(given.out).expanduser()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    system = load_system(Path(given.system).expanduser(), device, given.trust)
    single = path.is_file() and path.suffix.lower() not in TABLES | ARRAYS
    workers = 1 if single else min(MAX_WORKERS, _cores())
    predictions = predict.predict_inputs(system, read_inputs(path, system.form, workers))
    if single and not out:
        return _show_prediction(next(predictions), system.answers)
    try:
        counts = predict.write_predictions(predictions, system.answers, out or sys.stdout)
    except BrokenPipeError:  # `recipe predict photos | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    place = f"{out}: " if out else ""
    predicted = counts.total - counts.failed
    print(f"{place}{predicted:,} of {counts.total:,} predicted", file=sys.stdout if out else sys.stderr)
    if counts.drifted:
        print(
            f"recipe predict: {counts.drifted:,} of {counts.total:,} inputs are unlike the training examples, and "
            "their predictions may be wrong; the column `unlike` says how they differ",
            file=sys.stderr,
        )
    if counts.failed:
        print(
            f"recipe predict: {counts.failed:,} could not be predicted; the column `problem` says why", file=sys.stderr
        )
    return 1 if counts.failed else 0


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # Linux alone


def _show_prediction(prediction: "Prediction", answers: "Answers") -> int:
    """A few lines on one image."""
    if prediction.p is None:
        print(f"recipe predict: {prediction.name}: {prediction.problem}", file=sys.stderr)
        return 1
    for line in answers.lines(prediction.p):
        print(_printable(line))
    if prediction.drift:
        print(f"recipe predict: {prediction.name} is unlike the training examples: {prediction.drift}", file=sys.stderr)
    return 0


def _printable(text: str) -> str:
    """Without control characters: a terminal obeys them, and anyone may have chosen a system's names."""
    from recipe.problems import shown

    return "\n".join(map(shown, text.split("\n")))


def _list_checks() -> int:
    from recipe.checks.examine import CHECKS

    for name, check in CHECKS.items():
        print(f"{name:<36} {'gate' if check.fixed['gate'] else 'note'}  {check.fixed['claim']}")
    return 0


def _examine(given: argparse.Namespace) -> int:
    for file in filter(None, (given.json, given.junit, given.html)):  # before minutes of work
        _require_writable(Path(file))
    setup = load(given.setup)
    from recipe import verdict
    from recipe.checks.examine import examine

    started = ended = time.monotonic()
    seconds: dict[str, float] = {}

    def progress(v: verdict.Verdict) -> None:
        nonlocal ended
        seconds[v.check], ended = time.monotonic() - ended, time.monotonic()
        print(f"  {v.mark:<9}  {v.check:<36} {v.shown[:24]:>24}  {v.bound[:60]}".rstrip(), flush=True)

    only, skip = (tuple(n for part in words for n in part.split(",") if n) for words in (given.only, given.skip))
    report = examine(setup, only=only, skip=skip, progress=progress)
    for v in report.verdicts:
        if v.closes:
            print(f"\n{verdict.explained(v)}")
        elif v.needed:
            print(f"\n{v.check} is undecided: {f'{v.finding} {v.needed}'.strip()}")
        elif v.finding:
            print(f"\n{v.check}: {v.finding}")
    held = sum(v.verdict == "pass" for v in report.verdicts)
    ran = sum(v.verdict != "skip" for v in report.verdicts)
    print(f"\n{held} of {ran} checks hold, {len(report.failed)} gate(s) closed, {time.monotonic() - started:.0f} s")
    try:
        _write_reports(given, setup, report.verdicts, seconds)
    except OSError as error:  # a disk that is full
        raise RecipeError(f"{error.filename} cannot be written: {error.strerror}") from None
    return 1 if report.failed else 0


def _require_writable(file: Path) -> None:
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if file.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise RecipeError(f"{file} cannot be written: it must be a file in a folder that you may write to.")


def _write_reports(
    given: argparse.Namespace, setup: "Setup", verdicts: "list[Verdict]", seconds: dict[str, float]
) -> None:
    from recipe.checks import reports
    from recipe.files import write_text

    if given.json:
        write_text(given.json, reports.as_json(verdicts, given.setup))
    if given.junit:
        write_text(given.junit, reports.as_junit(verdicts, given.setup, seconds))
    if given.html:
        from recipe.checks.page import write_page

        write_page(given.html, given.setup, setup, verdicts)
    if given.github:
        print(*reports.as_annotations(verdicts, *_place(given.setup)), sep="\n")


def _place(setup: str) -> tuple[str, int]:
    """(file, line) of what `module:name` names; of an object, of the line that first assigns to it."""
    module_name, _, name = setup.partition(":")
    module = sys.modules[module_name]
    file = os.path.relpath(module.__file__ or "")
    code = getattr(inspect.unwrap(getattr(module, name)), "__code__", None)
    if code is not None:
        return file, code.co_firstlineno
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return file, next((i for i, line in enumerate(lines, 1) if re.match(rf"{re.escape(name)}\s*[:=]", line)), 1)


def load(place: str) -> "Setup":
    """The Setup that `module:name` names, with the working folder on the path.

    Raises RecipeError that says which part of it is wrong.
    """
    from recipe.checks.setup import Setup
    from recipe.verdict import cause

    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise RecipeError(f"`{place}`: write MODULE:NAME, as in my_module:setup.")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0] and error.name != module_name:
            raise RecipeError(f"{module_name}: {cause(error)}") from None
        raise RecipeError(f"no module called {module_name} in {os.getcwd()} or among the installed ones.") from None
    except Exception as error:  # a user's module may fail in any way
        raise RecipeError(f"{module_name} cannot be imported: {cause(error)}") from None
    if not hasattr(module, name):
        names = [n for n, v in vars(module).items() if isinstance(v, Setup) or (callable(v) and not n.startswith("_"))]
        raise RecipeError(f"{module_name} has no `{name}`; it has {', '.join(sorted(names)) or 'no such name'}.")
    setup = getattr(module, name)
    if callable(setup) and not isinstance(setup, Setup):
        try:
            setup = setup()
        except RecipeError:
            raise
        except Exception as error:
            raise RecipeError(f"{place}() fails: {cause(error)}") from None
    if not isinstance(setup, Setup):
        raise RecipeError(
            f"{place} is a {type(setup).__name__}, it must be a recipe.Setup or a function that gives one."
        )
    return setup


if __name__ == "__main__":
    sys.exit(main())
