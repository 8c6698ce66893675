"""Gates: a failed check that is a gate stops the pipeline until it is mended or waived."""

from pathlib import Path
from typing import Any

from recipe.config.compose import STAGES
from recipe.errors import RecipeError
from recipe.files import read_json
from recipe.verdict import Verdict, explained


def is_closed(check: dict[str, Any]) -> bool:
    """Whether a check of a report.json stops the pipeline."""
    return bool(check["gate"] and check["verdict"] in ("fail", "error") and not check.get("waived"))


def require_open_gates(stage: str) -> None:
    """The recipe's order: no stage runs behind a closed gate, whoever starts it; else RecipeError."""
    for earlier in STAGES[: STAGES.index(stage)] if stage != "report" else ():
        path = Path("runs", earlier, "report.json")
        if not path.is_file():
            raise RecipeError(f"{path} is missing: the {earlier} stage has not run. Run: dvc repro {earlier}")
        closed = [check["check"] for check in read_json(path)["checks"] if is_closed(check)]
        if closed:
            raise RecipeError(f"the gate {closed[0]} of the {earlier} stage is closed. Mend it, then: dvc repro")


def message(stage: str, closed: list[Verdict], out: Path, *, page: bool) -> str:
    """What the terminal shows where gates closed. page: whether runs/report.html shows them too."""
    lines = [f"{stage}: {len(closed)} gate(s) closed, so no later stage will run."]
    lines += [explained(verdict, "  ") for verdict in closed]
    lines.append(f"  Every check of this stage: {out / 'report.json'}")
    if page:
        lines.append("  The report, with this gate and its evidence: runs/report.html")
    waiver = f"{stage}: {{waive: {{{closed[0].check}: why}}}}"
    lines.append(f"  Mend it, or waive it with a reason:  {waiver}  in params.yaml")
    return "\n".join(lines)
