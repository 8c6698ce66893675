"""The page of an examination: its closed gates, what was understood, and pictures of what entered the network."""

import base64
import errno
import io
import re
import sys
from html import unescape

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from recipe import Setup, cli, examine
from recipe.checks.page import write_page
from recipe.verdict import Verdict


def setup(x: torch.Tensor, network=lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), **more) -> Setup:
    y = torch.arange(len(x)) % 3
    parts = {
        "model": network,
        "loss": nn.CrossEntropyLoss(),
        "optimizer": lambda m: torch.optim.SGD(m.parameters(), 0.1),
    }
    return Setup(**parts | more, train=TensorDataset(x[:60], y[:60]), val=TensorDataset(x[60:], y[60:]), epochs=2)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(90, *shape, generator=torch.Generator().manual_seed(0))


def written(tmp_path, examined: Setup, verdicts) -> tuple[str, list[Image.Image]]:
    """(the page's text, its pictures)."""
    write_page(tmp_path / "page.html", "mine:setup", examined, verdicts)
    page = (tmp_path / "page.html").read_text()
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    text = unescape(re.sub(r"<[^>]+>", " ", page))
    return " ".join(text.split()), [Image.open(io.BytesIO(base64.b64decode(each))) for each in found]


TOKENS = (noise(12) * 3).abs().long()


@pytest.mark.parametrize(
    ("x", "network", "form"),
    [
        (noise(1, 8, 8), None, "1 x 8 x 8, float32"),
        (noise(3, 6, 9), None, "3 x 6 x 9, float32"),
        (noise(50), None, "50, float32"),
        (noise(20, 4), None, "20 x 4, float32"),
        (TOKENS, lambda: nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.LazyLinear(3)), "12, int64"),
    ],
)
def test_it_shows_what_was_understood_and_what_entered(tmp_path, x, network, form):
    examined = setup(x, **({"network": network} if network else {}))
    report = examine(examined, only=("inputs_are_finite",))
    text, pictures = written(tmp_path, examined, report.verdicts)
    assert text.startswith("No gate is closed: mine:setup")
    assert f"one input {form} Setup(unpack=...)" in text
    assert "task classification: one class of several for each example Setup(task=...)" in text
    assert re.search(r"entered the network, from -?[\d.]+ to [\d.]+[.;]", text)
    assert len(pictures) == 1
    assert len(pictures[0].convert("L").getcolors(65536)) > 5  # more than a white page
    assert "There is nothing to show: none of the checks that ran has trained." in text


def test_a_training_that_was_run_is_drawn_and_closed_gates_come_first(tmp_path):
    broken = setup(noise(4), lambda: nn.Sequential(nn.LazyLinear(3), nn.Softmax(1)))
    report = examine(broken, only=("outputs_are_not_squashed", "training_loss_falls"))
    text, pictures = written(tmp_path, broken, report.verdicts)
    assert "are closed" in text[:60] or "One gate is closed" in text[:60]
    gate = report["outputs_are_not_squashed"]
    for words in (gate.check, gate.statement, gate.measurement, gate.hint, gate.source):
        assert " ".join(words.split()) in text
    assert text.index(gate.check) < text.index("What the checks understood")
    assert len(pictures) == 2


def test_a_training_that_cannot_run_still_has_its_page_and_foreign_words_stay_text(tmp_path):
    def fails():
        raise ValueError("<script>alert(1)</script>")

    verdicts = [Verdict("fail", "<b>2", "< 1", "closed", "It is small.", "a paper", hint="Look & see.")]
    write_page(tmp_path / "page.html", "<i>mine", setup(noise(4), fails), verdicts)
    page = (tmp_path / "page.html").read_text()
    assert "Cannot be shown: ValueError" in page
    assert "One gate is closed" in page
    assert not {"<script", "<b>2", "<i>"} & set(re.findall(r"<script|<b>2|<i>", page))


def test_the_command_writes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "load", lambda place: setup(noise(4)))
    monkeypatch.setattr(sys, "path", sys.path.copy())
    command = ["examine", "mine:setup", "--only", "inputs_are_finite", "--html"]
    assert cli.main([*command, "out/page.html"]) == 0
    assert "No gate is closed" in (tmp_path / "out/page.html").read_text()
    for place in ("out", "out/page.html/page.html"):
        capsys.readouterr()
        assert cli.main([*command, place]) == 2
        said = capsys.readouterr()
        assert f"{place} cannot be written" in said.err
        assert "inputs_are_finite" not in said.out  # said before the work


def test_a_full_disk_is_one_message(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "page.html")

    monkeypatch.setattr(cli, "load", lambda place: setup(noise(4)))
    monkeypatch.setattr("recipe.files.os.replace", full)
    page = tmp_path / "page.html"
    assert cli.main(["examine", "mine:setup", "--only", "inputs_are_finite", "--html", str(page)]) == 2
    said = capsys.readouterr()
    assert said.err == "recipe examine: page.html cannot be written: No space left on device\n"
    assert "0 gate(s) closed" in said.out
    assert list(tmp_path.iterdir()) == []
