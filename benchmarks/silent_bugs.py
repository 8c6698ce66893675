"""Which silent bugs the gates notice, and which healthy trainings they hold up. Prints Markdown tables.

    python benchmarks/silent_bugs.py                    # every bug and healthy set-up, three seeds, 60 fuzzed
    python benchmarks/silent_bugs.py --seeds 0 --fuzz 0 --only B01 R40 --rivals

The corpus is tests/bugs. A bug is caught where a gate closes; in the right place where the first gate to close is one
that the corpus names, for its name or hint points at the cause, and it did not merely crash. CPU seconds of this
process, one thread; processes that load data are left out.

--rivals puts other checkers beside: each through the calls that its README recommends, with all that it can take of the
same set-up: model, training batch or loaders, loss, optimizer. torchtest2 trains on one batch; guardtower and
torch-audit watch STEPS real training steps with an evaluation halfway. `fail` is an error or failure level, `warn` a
warning alone (what is only informative counts for nothing), `crash` means that it raised. What a checker also reports,
at the same level, on the healthy reference set-up of the same task (on_digits, on_colour, ...) is taken off, failures
as well as warnings: a constant report is not a detection. Their row of false alarms is counted so too, and once more as
reported, with nothing taken off. Over several seeds the strongest mark is shown.
"""

import argparse
import contextlib
import functools
import importlib.metadata
import io
import json
import logging
import os
import random
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
import torch
from bugs import CATALOGUE, HEALTHY, Bug, reference
from bugs.variation import variation

from recipe.checks.examine import examine
from recipe.checks.setup import Setup
from recipe.verdict import ERROR, FAIL, Verdict, cause

STEPS = 20
SHOWN = 3  # further gates of a bug that the table names
MARKS = ("fail", "warn", "crash", "-")  # the strongest first
TASKS = ("on_digits", "on_colour", "on_tumours", "on_diabetes", "on_echoes")

Finding = tuple[str, str]  # one of MARKS, name of the check
Maker = Callable[[int], Setup]


@dataclass(frozen=True)
class Closed:
    check: str
    verdict: str
    value: str
    bound: str

    def __str__(self) -> str:
        return self.check if self.verdict == FAIL else f"{self.check} ({self.verdict})"


@dataclass(frozen=True)
class Case:
    """One set-up with one seed. closed: the gates, in the order in which they ran; notes: the notes that failed."""

    kind: str  # bug, healthy or fuzz
    name: str
    seed: int
    seconds: float
    closed: list[Closed]
    notes: list[str]
    rivals: dict[str, str] = field(default_factory=dict)  # the mark of each
    reported: dict[str, list[Finding]] = field(default_factory=dict)  # what each reports, with nothing taken off

    def noticed(self, bug: Bug) -> list[str]:
        """Closed gates, else the notes that the corpus names for this bug."""
        return [str(c) for c in self.closed] or [f"{n} (note)" for n in self.notes if n in bug.gates]

    def in_place(self, bug: Bug) -> bool:
        first = self.noticed(bug)[:1]
        return bool(first) and first[0].removesuffix(" (note)") in bug.gates


def made(make: Maker, seed: int) -> Setup:
    """A set-up that depends on the seed alone, not on what ran before."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return make(seed)


def examined(kind: str, name: str, make: Maker, seed: int, rivals: Iterable[str]) -> Case:
    s = made(make, seed)
    began = time.process_time()
    try:
        verdicts = examine(s).verdicts
    except Exception as error:  # an examination that cannot be made is a result too, and the others still run
        verdicts = [Verdict(ERROR, cause(error), "the set-up is examined", check="examine")]
    seconds = time.process_time() - began
    closed = [Closed(v.check, v.verdict, v.shown, v.bound) for v in verdicts if v.closes]
    notes = [v.check for v in verdicts if not v.closes and not v.ok]
    reported = {r: findings_of(r, make, seed) for r in rivals}
    marks = {r: mark(found - chatter(r, make, seed)) for r, found in reported.items()}
    return Case(kind, name, seed, seconds, closed, notes, marks, {r: sorted(f) for r, f in reported.items()})


# ---- what a user has today ---------------------------------------------------------------------------------------


def torchtest2(s: Setup) -> set[Finding]:
    from torchtest2 import check_model

    model, optimizer = training(s)
    x, y = first_batch(s)
    report = check_model(model, x, y, loss_fn=s.loss, optimizer=optimizer, frozen=s.declare.frozen)
    return {("fail", r.name) for r in report.failures} | {("warn", r.name) for r in report.warnings}


def guardtower(s: Setup) -> set[Finding]:
    import guardtower as tower

    model, optimizer = training(s)
    x, y = first_batch(s)
    report = tower.audit(model, lambda: s.loss(model(x), y), optimizer=optimizer, inputs=x)
    found = {("fail", f.check) for f in report.errors} | {("warn", f.check) for f in report.warnings}
    model, optimizer = training(s)
    try:
        with tower.monitor(model, on_nonfinite="raise"):
            some_steps(s, model, optimizer)
    except tower.NonFiniteActivation:
        found.add(("fail", "monitor"))
    return found


def torch_audit(s: Setup) -> set[Finding]:
    """Patched into the user's own step, then wrapped around a plain one: only there does it see the backward pass."""
    from torch_audit import audit_dynamic, autopatch

    model, optimizer = training(s)
    patched = autopatch(model, optimizer=optimizer, every_n_steps=1)
    some_steps(s, model, optimizer)
    patched.unpatch()
    model, optimizer = training(s)
    with audit_dynamic(model, optimizer=optimizer, every_n_steps=1) as wrapped:
        for _, (x, y) in zip(range(STEPS), s.batches(s.seed), strict=False):
            optimizer.zero_grad(set_to_none=True)
            wrapped.backward(s.loss(wrapped.forward(x), y))
            wrapped.optimizer_step()
    levels = {"WARN": "warn", "ERROR": "fail", "FATAL": "fail"}
    findings = [*patched.finish().findings, *wrapped.finish().findings]
    return {(levels[f.severity.value], f.rule_id) for f in findings if f.severity.value in levels}


def preflight(s: Setup) -> set[Finding]:
    from preflight import run_checks

    config = {"val_dataloader": s.loader(s.val, shuffle=False)}
    results = run_checks(s.loader(s.training_set()), model=s.new_model(), loss_fn=s.loss, config=config)
    levels = {"fatal": "fail", "warn": "warn"}
    return {(levels[r.severity.value], r.name) for r in results if not r.passed and r.severity.value in levels}


RIVALS = {"torchtest2": torchtest2, "guardtower": guardtower, "torch-audit": torch_audit, "preflight-ml": preflight}


def training(s: Setup) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = s.new_model()
    return model, s.optimizer_for(model)


def first_batch(s: Setup) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = next(s.batches(s.seed))
    return x.clone(), y.clone()  # guardtower asks the inputs for a gradient


def some_steps(s: Setup, model, optimizer) -> None:
    """The user's step and evaluation, as the first minutes of a training run them."""
    val = s.loader(s.val, shuffle=False)
    for i, (x, y) in zip(range(STEPS), s.batches(s.seed), strict=False):
        s.train_step(model, optimizer, x, y, s.loss)
        if i == STEPS // 2:
            s.evaluate(model, val)


@functools.cache
def findings_of(rival: str, make: Maker, seed: int) -> frozenset[Finding]:
    s = made(make, seed)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return frozenset(RIVALS[rival](s))
        except Exception as error:  # whatever it raises, that is its result
            return frozenset({("crash", type(error).__name__)})


def chatter(rival: str, make: Maker, seed: int) -> set[Finding]:
    """What it says of the healthy set-up that this one changes: the function of bugs.reference that `make` calls."""
    called = [make.__name__, *make.__code__.co_names]
    healthy = getattr(reference, next(name for name in called if name in TASKS))
    return {finding for finding in findings_of(rival, healthy, seed) if finding[0] != "crash"}


def mark(found: Iterable[Finding]) -> str:
    return strongest(level for level, _ in found)


def strongest(marks: Iterable[str]) -> str:
    return min(marks, key=MARKS.index, default="-")


def installed() -> dict[str, str]:
    """{rival: version}; says what is missing."""
    found = {}
    for name in RIVALS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            say(f"{name} is not installed and is left out: pip install -e '.[rivals]'")
    return found


# ---- tables ------------------------------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)


def by_name(cases: Iterable[Case]) -> dict[str, list[Case]]:
    groups = {}
    for case in cases:
        groups.setdefault(case.name, []).append(case)
    return groups


def bugs_table(bugs: list[Case], healthy: list[Case], rivals: dict[str, str]) -> str:
    rows = []
    for name, cases in by_name(bugs).items():
        bug = CATALOGUE[name]
        noticed = [case.noticed(bug) for case in cases]
        first = dict.fromkeys(n[0] for n in noticed if n)
        others = [g for g in dict.fromkeys(g for n in noticed for g in n[1:]) if g not in first]
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        rows.append([
            name, bug.what, ", ".join(first) or "**missed**", ", ".join(others[:SHOWN]) + more,
            f"{sum(map(bool, noticed))} of {len(cases)}", f"{sum(c.in_place(bug) for c in cases)} of {len(cases)}",
            f"{statistics.median(c.seconds for c in cases):.1f}",
            *(strongest(c.rivals[r] for c in cases) for r in rivals),
        ])  # fmt: skip
    if rivals and healthy:
        groups = by_name(healthy).values()
        for what, of in (("", lambda c, r: c.rivals[r]), (", as reported", lambda c, r: mark(c.reported[r]))):
            marks = {r: Counter(strongest(of(c, r) for c in cases) for cases in groups) for r in rivals}
            ours = f"{sum(any(c.closed for c in cases) for cases in groups)} fail" if not what else ""
            cells = [", ".join(f"{m[k]} {k}" for k in MARKS[:3] if m[k]) or "0" for m in marks.values()]
            rows.append(["", f"false alarms on {len(groups)} healthy set-ups{what}", ours, "", "", "", "", *cells])
    head = ("bug", "what", "first gate", "others", "caught (of seeds)", "right place", "CPU s")
    return table([*head, *(f"{r} {v}" for r, v in rivals.items())], rows)


def alarms_table(cases: list[Case]) -> str:
    rows = [(c.name, c.seed, g, g.value, g.bound) for c in cases for g in c.closed]
    if not rows:
        return f"none of {len(cases)} closed a gate"
    return table(("healthy set-up", "seed", "gate", "value", "bound"), rows)


def summary(cases: list[Case], rivals: dict[str, str]) -> str:
    bugs, healthy, fuzz = ([c for c in cases if c.kind == kind] for kind in ("bug", "healthy", "fuzz"))
    seconds = [c.seconds for c in cases]
    caught = sum(bool(c.noticed(CATALOGUE[c.name])) for c in bugs)
    lines = [
        f"caught {caught} of {len(bugs)}, in the right place {sum(c.in_place(CATALOGUE[c.name]) for c in bugs)}",
        f"false alarms: {sum(bool(c.closed) for c in healthy)} of {len(healthy)} healthy, "
        f"{sum(bool(c.closed) for c in fuzz)} of {len(fuzz)} fuzzed",
        f"CPU seconds of an examination: median {statistics.median(seconds):.1f}, worst {max(seconds):.1f} "
        f"({max(cases, key=lambda c: c.seconds).name})",
    ]
    for rival in rivals:
        count = Counter(strongest(c.rivals[rival] for c in group) for group in by_name(bugs).values())
        lines.append(f"{rival}: {', '.join(f'{count[m]} {m}' for m in MARKS[:3])} of {count.total()} bugs")
    return "\n".join(f"- {line}" for line in lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fuzz", type=int, default=60, help="healthy variations to draw, seeds from 0")
    parser.add_argument("--only", nargs="+", choices=CATALOGUE, metavar="BUG", help="these bugs and nothing healthy")
    parser.add_argument("--rivals", action="store_true", help="other checkers beside; pip install -e '.[rivals]'")
    parser.add_argument("--out", type=Path, help="every case as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable()
    rivals = installed() if args.rivals else {}

    todo = [("bug", name, CATALOGUE[name].setup, s) for name in args.only or CATALOGUE for s in args.seeds]
    if not args.only:
        todo += [("healthy", name, make, s) for name, make in HEALTHY.items() for s in args.seeds]
        todo += [("fuzz", f"variation {s}", variation, s) for s in range(args.fuzz)]
    cases = []
    for i, (kind, name, make, seed) in enumerate(todo, 1):
        case = examined(kind, name, make, seed, () if kind == "fuzz" else rivals)
        cases.append(case)
        closed, theirs = ", ".join(map(str, case.closed)), ", ".join(f"{r} {m}" for r, m in case.rivals.items())
        say(f"{i}/{len(todo)} {kind} {name} seed {seed}: {closed or '-'}; {case.seconds:.1f} s; {theirs}")
        if args.out:
            args.out.write_text(json.dumps([asdict(c) for c in cases], indent=1))
    bugs, healthy = [c for c in cases if c.kind == "bug"], [c for c in cases if c.kind == "healthy"]
    print(bugs_table(bugs, healthy, rivals) + "\n")
    if not args.only:
        print(alarms_table([c for c in cases if c.kind != "bug"]) + "\n")
    print(summary(cases, rivals))


if __name__ == "__main__":
    main()
