"""An examination as one HTML page: its closed gates, what was understood of the training, what entered the network."""

import base64
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from torch import Tensor

from recipe.checks.measurements.batch_capture import captured_batches
from recipe.checks.measurements.short_run import short_run
from recipe.checks.parts import Rows, main_or_first
from recipe.checks.setup import Setup
from recipe.files import write_text
from recipe.plots import sheets
from recipe.plots.style import drawing
from recipe.plots.text_lines import text_lines
from recipe.verdict import PASS, SKIP, UNDECIDED, DoesNotApply, Verdict, cause

SHOWN = 24  # examples
COLUMNS = 40  # of a table or a signal
KINDS = {
    "classification": "one class of several for each example",
    "binary": "yes or no for each example or column",
    "regression": "quantities",
    "sequence": "a class for each place of an example",
}


def write_page(path: Path | str, name: str, setup: Setup, verdicts: Sequence[Verdict]) -> None:
    """Writes a page that needs no network.

    name: MODULE:NAME. setup: as it was examined; what the checks measured is not measured again.
    """
    groups: list[tuple[str, list[Verdict]]] = [
        ("Closed gates", [v for v in verdicts if v.closes]),
        ("Notes that do not hold", [v for v in verdicts if v.broken and not v.closes and not v.waived]),
        ("Waived", [v for v in verdicts if v.waived]),
        ("Undecided", [v for v in verdicts if v.verdict == UNDECIDED and not v.waived]),
        ("Holds", [v for v in verdicts if v.verdict == PASS and not v.waived]),
        ("Does not apply", [v for v in verdicts if v.verdict == SKIP and not v.waived]),
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    context = {
        "name": name,
        "closed": len(groups[0][1]),
        "ran": sum(v.verdict != SKIP for v in verdicts),
        "understood": _tried(lambda: _understood(setup)),
        "pictures": [(title, _tried(partial(_picture, draw, setup))) for title, draw in PICTURES],
        "groups": [(title, group) for title, group in groups if group],
    }
    write_text(path, environment.get_template("page.html").render(context))


def _tried(give: Callable[[], Any]) -> Any:
    """The reason in place of what cannot be shown: the page is about trainings that may be broken."""
    try:
        return give()
    except DoesNotApply as reason:
        return f"There is nothing to show: {reason}."
    except Exception as error:  # the code under examination may fail in any way
        return f"Cannot be shown: {cause(error)}"


def _understood(s: Setup) -> list[tuple[str, str, str]]:
    """(what, as it was understood, what corrects it)."""
    x, y = s.batch(2)
    entered = main_or_first(x)
    parameters = sum(p.numel() for p in s.new_model().parameters())
    return [
        ("task", f"{s.kind}: {KINDS.get(s.kind, '')}".rstrip(": "), "Setup(task=...)"),
        ("one input", _form(entered), "Setup(unpack=...)"),
        ("one target", _form(main_or_first(y)), "Setup(unpack=...)"),
        ("outputs for one example", " x ".join(map(str, s.output_shape)) or "a number", "Setup(output=...)"),
        ("parameters", f"{parameters:,}", ""),
        ("examples", f"{len(s.train):,} to train on, {len(s.val):,} to validate", ""),
        ("batch size, passes", f"{s.batch_size}, {s.epochs}", ""),
    ]


def _form(rows: Tensor) -> str:
    shape = " x ".join(map(str, rows.shape[1:])) or "a number"
    return f"{shape}, {str(rows.dtype).removeprefix('torch.')}"


def _picture(draw: Callable[[Path, Setup], str], s: Setup) -> tuple[str, str]:
    """(PNG as base64, caption)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.png")
        caption = draw(path, s)
        return base64.b64encode(path.read_bytes()).decode(), caption


def _entered(path: Path, s: Setup) -> str:
    """The first batch, after the loader, the augmentation and whatever the training step does to it."""
    capture = captured_batches(s)
    x = capture.entered[0][:SHOWN].detach().float().cpu()
    titles = _titles(capture.loaded[0][1], len(x))
    low, high = x.min().item(), x.max().item()
    caption = f"The first batch as it entered the network, from {low:.4g} to {high:.4g}"
    tokens = not capture.entered[0].is_floating_point()
    if tokens and s.tokenizer is not None and hasattr(s.tokenizer, "decode"):
        text_lines(path, [s.tokenizer.decode([int(i) for i in row]) for row in x.flatten(1)], titles)
    elif tokens:
        text_lines(path, [" ".join(f"{int(i)}" for i in row) for row in x.flatten(1)], titles)
    elif x.ndim == 4 and x.shape[1] <= 4:
        sheets.pictures(path, (x - low) / max(high - low, 1e-9), titles, columns=8)
        caption += "; black is the lowest value, white the highest"
    else:
        _values(path, x.flatten(1)[:, :COLUMNS], titles)
        caption += f"; the first {COLUMNS} of {x[0].numel():,} values" if x[0].numel() > COLUMNS else ""
    return f"{caption}."


def _titles(targets: Rows, n: int) -> list[str]:
    rows = main_or_first(targets)[:n].cpu()
    return [_short(row.tolist()) for row in rows]


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) < 14 else f"{text[:11]}..."


def _values(path: Path, rows: Tensor, titles: list[str]) -> None:
    """Rows (B, F) as a heat map, white at zero."""
    most = max(rows.abs().max().item(), 1e-9)
    with drawing(path, width=9.0, height=1.0 + 0.2 * len(rows)) as (figure, axis):
        picture = axis.imshow(
            rows.numpy(), aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest"
        )
        axis.set_yticks(range(len(titles)), titles, fontsize=7)
        axis.set(xlabel="value of the input, by its place", ylabel="target")
        figure.colorbar(picture, ax=axis, pad=0.02)


def _losses(path: Path, s: Setup) -> str:
    """Of the short training that the checks look at."""
    if not any(key[0] is short_run.__wrapped__ for key in s.measured):  # type: ignore[attr-defined]  # set by `wraps`
        raise DoesNotApply("none of the checks that ran has trained")
    losses = short_run(s).losses
    with drawing(path, width=9.0, height=3.0) as (_, axis):
        axis.plot(range(1, len(losses) + 1), losses, lw=1.2)
        axis.set(xlabel="step", ylabel="training loss of the step")
    return f"The short training that the checks look at: {len(losses):,} steps."


PICTURES: tuple[tuple[str, Callable[[Path, Setup], str]], ...] = (
    ("What entered the network", _entered),
    ("The training", _losses),
)
