"""A check is a claim, measured. `@check` turns a function into one; `run` runs a file's checks on a subject.

A check may give a `finding`: one sentence for the reader that says what was compared, the effect with its unit and
interval, n, and what to do. It is written for the case that the claim does not hold (a verdict that passes drops it),
and terminal, report and MLflow show it in place of the claim and the bare bound:

    return below(gain.mean, 0.0, finding=f"Four times the steps lower validation loss by {gain.mean:.3f} (95 % CI ...")
"""

import functools
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Protocol, cast

from recipe.addresses import masked
from recipe.errors import RecipeError

PASS, FAIL, ERROR, SKIP, UNDECIDED = "pass", "fail", "error", "skip", "undecided"


class DoesNotApply(Exception):
    """Raised by what a check measures where the subject has no such thing; the check is skipped with this reason."""


@dataclass(frozen=True)
class Verdict:
    """What one check measured. `gate`: a failure means something is broken, so no later stage may run.

    verdict: pass, fail, error (the check itself crashed: never a pass), skip (it does not apply) or undecided (the data
    agree with the claim and with its opposite, so nothing is closed).
    """

    verdict: str
    value: float | int | str | None = None
    bound: str = ""
    check: str = ""
    claim: str = ""
    source: str = ""
    gate: bool = True
    hint: str = ""
    evidence: tuple[str, ...] = ()  # files in the stage's folder
    waived: str = ""  # the reason, where conf waives this gate
    needed: str = ""  # of an undecided check: how many examples, or which features, would decide it
    finding: str = ""  # a sentence that the check gives where its claim does not hold: see the module's docstring

    @property
    def ok(self) -> bool:
        return self.verdict in (PASS, SKIP)

    @property
    def broken(self) -> bool:
        """The claim was shown not to hold, or the check crashed."""
        return self.verdict in (FAIL, ERROR)

    @property
    def closes(self) -> bool:
        """True where this verdict stops the pipeline."""
        return self.gate and self.broken and not self.waived

    @property
    def mark(self) -> str:
        """The verdict as a table shows it: capitals where it stops the pipeline."""
        return "waived" if self.waived else self.verdict.upper() if self.closes else self.verdict

    @property
    def shown(self) -> str:
        """The measured value, short."""
        return f"{self.value:.4g}" if isinstance(self.value, float) else "" if self.value is None else str(self.value)

    @property
    def statement(self) -> str:
        return statement(self.verdict, self.claim, self.finding)

    @property
    def measurement(self) -> str:
        return measurement(self.verdict, self.shown, self.bound)


def near(value: float, expected: float, tolerance: float, *, finding: str = "") -> Verdict:
    return _judge(abs(value - expected) <= tolerance, value, f"{expected:.4g} ± {tolerance:.4g}", finding)


def below(value: float, limit: float, *, finding: str = "") -> Verdict:
    return _judge(value < limit, value, f"< {limit:.4g}", finding)


def above(value: float, limit: float, *, finding: str = "") -> Verdict:
    return _judge(value > limit, value, f"> {limit:.4g}", finding)


def exactly(value: float | int | str, expected: float | int | str, *, finding: str = "") -> Verdict:
    return _judge(value == expected, value, f"= {expected}", finding)


def skip(reason: str) -> Verdict:
    return Verdict(SKIP, value=None, bound=reason)


def bounded(outcome: str, value: float | int | str | None, bound: str, *, finding: str = "") -> Verdict:
    """A verdict on a value; JSON has no NaN and no infinity, hence the text for one that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    return Verdict(outcome, value=value, bound=bound, finding="" if outcome in (PASS, SKIP) else finding)


def undecided(value: float | str | None, bound: str, needed: str, *, finding: str = "") -> Verdict:
    """The interval of `value` holds both answers, or an effect of the size looked for could not have been seen.

    needed: a sentence that says how many examples, or which features, would decide.
    """
    return replace(bounded(UNDECIDED, value, bound, finding=finding), needed=needed)


def _judge(holds: bool, value: float | int | str, bound: str, finding: str) -> Verdict:
    # a comparison with NaN is False, so NaN fails as it must
    return bounded(PASS if holds else FAIL, value, bound, finding=finding)


class Check(Protocol):
    """A claim that can be measured: what `@check` makes of a function."""

    __name__: str
    __module__: str
    fixed: dict[str, Any]  # what is known of its verdict before it runs: check, claim, source, gate, hint

    def __call__(self, subject: Any, **limits: Any) -> Verdict: ...


def check(*, source: str, gate: bool = True) -> Callable[[Callable[..., Verdict]], Check]:
    """Turns `f(subject, **limits) -> Verdict` into a check.

    Its name is the function's, its claim the docstring's first line, its hint the rest of the docstring. `gate=False`
    makes it a note: shown, but the pipeline goes on.
    """

    def wrap(function: Callable[..., Verdict]) -> Check:
        claim, _, hint = (inspect.getdoc(function) or "").partition("\n")
        fixed: dict[str, Any] = {
            "check": function.__name__,
            "claim": claim.strip(),
            "source": source,
            "gate": gate,
            "hint": " ".join(hint.split()),
        }

        @functools.wraps(function)
        def measured(subject: Any, **limits: Any) -> Verdict:
            try:
                verdict = function(subject, **limits)
            except DoesNotApply as reason:
                verdict = skip(str(reason))
            return replace(verdict, **fixed)

        made = cast(Check, measured)
        made.fixed = fixed  # what marks a check
        return made

    return wrap


def checks_of(*modules: ModuleType) -> dict[str, Check]:
    """{name: check} of the checks that these modules define, in their order in the file."""
    return {
        name: f
        for module in modules
        for name, f in vars(module).items()
        if hasattr(f, "fixed") and f.__module__ == module.__name__
    }


def run(
    checks: Mapping[str, Check],
    subject: Any,
    *,
    limits: Mapping[str, Mapping] | None = None,
    waive: Mapping[str, str] | None = None,
    where: str = "",
    known: Mapping[str, Check] | None = None,
    progress: Callable[[Verdict], None] = lambda verdict: None,
) -> list[Verdict]:
    """Runs each check on `subject`; one that crashes becomes an `error` verdict and the others still run.

    known: all checks of the stage, where these are a part: `limits` and `waive` may name any of them.
    """
    limits, waive = dict(limits or {}), dict(waive or {})
    validate(known or checks, limits, waive, where)
    verdicts = []
    for name, function in checks.items():
        verdict = _run_one(function, subject, limits.get(name) or {})
        if verdict.broken and name in waive:
            verdict = replace(verdict, waived=str(waive[name]))
        progress(verdict)
        verdicts.append(verdict)
    return verdicts


def validate(checks: Mapping[str, Check], limits: Mapping[str, Mapping], waive: Mapping[str, str], where: str) -> None:
    """Raises RecipeError for a name that is not a check's, an unknown limit, or a waiver without a reason."""
    for name in (*limits, *waive):
        if name not in checks:
            raise RecipeError(f"{where}: no check called {name}; this stage's checks are {', '.join(sorted(checks))}.")
    for name, given in limits.items():
        known = [p.name for p in inspect.signature(checks[name]).parameters.values() if p.default is not p.empty]
        if unknown := sorted(set(given or {}) - set(known)):
            raise RecipeError(f"{where}: {name} has no limit `{unknown[0]}`; it has {', '.join(known) or 'none'}.")
    for name, reason in waive.items():
        if not reason:
            raise RecipeError(f"{where}: {name} is waived without a reason; write `waive: {{{name}: why}}`.")


def _run_one(function: Check, subject: Any, limits: Mapping) -> Verdict:
    try:
        return function(subject, **limits)
    except Exception as error:  # the code under examination may fail in any way; that is a verdict
        return Verdict(ERROR, value=cause(error), bound="the check runs to its end", **function.fixed)


def statement(outcome: str, claim: str, finding: str) -> str:
    """A verdict as a sentence: the finding that the check gives, else its claim with the outcome."""
    if finding:
        return finding
    prefix = {FAIL: "Does not hold: ", UNDECIDED: "Undecided: ", ERROR: "Could not be checked: ", SKIP: "Skipped: "}
    return prefix.get(outcome, "") + claim


def measurement(outcome: str, value: str, bound: str) -> str:
    """What was measured and which bound the claim needs, in a phrase: `measured 0.551, required < 0.02`."""
    if outcome == SKIP:
        return bound
    if outcome == ERROR:
        return f"the check itself crashed: {value}"
    return f"{f'measured {value}' if value else 'nothing measured'}, required {bound}"


def table(verdicts: list[Verdict]) -> str:
    """One row per check: verdict, gate or note, name, measured value, bound.

    Below a check that does not hold follow its finding, the reason where it is waived, and what would decide it.
    """
    width = max((len(v.check) for v in verdicts), default=0)
    marks = max((len(v.mark) for v in verdicts), default=0)
    rows = []
    for v in verdicts:
        kind = "gate" if v.gate else "note"
        rows.append(f"  {v.mark:<{marks}}  {kind}  {v.check:<{width}}  {v.shown[:40]:>10}  {v.bound}".rstrip())
        below_row = (v.finding, f"waived: {v.waived}" if v.waived else "", v.needed)
        rows += [f"          {text}" for text in below_row if text]
    return "\n".join(rows)


def explained(v: Verdict, indent: str = "") -> str:
    """A closed gate in full: what was found, measured value, bound, source, and where to look."""
    inner = f"{indent}  "
    lines = [f"{indent}{v.check}: {v.statement}", f"{inner}{v.measurement}  [{v.source}]"]
    if v.finding:
        lines.insert(1, f"{inner}Claim: {v.claim}")
    return "\n".join([*lines, *textwrap.wrap(v.hint, 112, initial_indent=inner, subsequent_indent=inner)])


def cause(error: BaseException) -> str:
    """`ValueError: ... (file.py:12)`: the cause of a crash and the innermost place of it."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno})" if trace else ""
    message = masked(" ".join(str(error).split()))[:300]
    return f"{type(error).__name__}: {message}{place}"
