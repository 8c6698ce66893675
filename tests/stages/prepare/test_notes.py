"""Whatever was converted, or is odd without closing a gate, is listed in problems.csv at the level of a note."""

import io

import numpy as np
import pytest
from PIL import Image
from sources import CONFIG, Set, encoded, put, stored
from zoo import zoo

from recipe.data.images import Fit
from recipe.decode.pool import decode
from recipe.files import read_csv
from recipe.problems import Problem
from recipe.sources.folder import Folder
from recipe.stages.prepare import checks as claims
from recipe.stages.prepare.notes import NOTES, kind_of, problem_row_of
from recipe.stages.prepare.write_store import HINTS, prepare
from recipe.verdict import checks_of


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def notes_of(folder) -> dict[str, list[str]]:
    """{name: what was noted of it}"""
    results = {}
    for line in read_csv(folder / "problems.csv"):
        if line["level"] == "note":
            results.setdefault(line["name"], []).append(line["problem"])
    return results


@pytest.mark.slow
def test_every_note_on_a_file_says_what_was_done_and_what_to_do(tmp_path):
    animals = zoo(tmp_path)
    seen = {note for prepared in decode([odd.file for odd in animals.values()]) for note in prepared.notes}
    for fit in (Fit(900), Fit(900, channels=1)):
        seen |= {note for channels in (1, 2, 3, 4) for note in fit(np.zeros((9, 9, channels), np.uint8))[1]}
    assert len(seen) > 20
    for note in seen:
        assert kind_of(note) in NOTES, note
        line = problem_row_of(note, "a.jpg", 3)
        assert (line["level"], line["source"], line["problem"]) == ("note", 3, kind_of(note))
        assert line["detail"].endswith(".")
        assert line["hint"].endswith((".", "?"))


@pytest.mark.slow
def test_a_folder_of_many_kinds_lists_what_was_converted(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    picture = Image.fromarray(colours)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "cmyk.jpg": saved(picture.convert("CMYK"), "JPEG"),
        "turned.jpg": saved(picture, "JPEG", exif=exif),
        "palette.gif": saved(picture.convert("P"), "GIF"),
        "alpha.png": saved(Image.fromarray(np.dstack([colours, colours[..., 0]])), "PNG"),
        "bit.png": saved(picture.convert("1"), "PNG"),
        "really_png.jpg": saved(picture, "PNG"),
        "deep.png": saved(Image.fromarray(colours[..., 0].astype(np.uint16) * 257), "PNG"),
        "small.png": saved(picture.resize((9, 9)), "PNG"),
        "plain.png": saved(picture, "PNG"),
    }
    for name, content in files.items():
        put(tmp_path / "images", f"a/{name}", content=content)
    put(tmp_path / "images", "b/1.png", "b/2.png", "b/cut.png", "Thumbs.db", content=saved(picture, "PNG"))
    (tmp_path / "images/b/cut.png").write_bytes(saved(picture, "PNG")[:-40])
    prepared, _ = stored(Folder(str(tmp_path / "images"), size=32), tmp_path)
    assert notes_of(tmp_path) == {
        "Thumbs.db": ["stray file"],
        "a/alpha.png": ["alpha composited on white"],
        "a/bit.png": ["1 bit to grey", "grey as three equal channels"],
        "a/cmyk.jpg": ["CMYK to RGB"],
        "a/deep.png": ["16 bit grey to 0..1", "grey as three equal channels"],
        "a/palette.gif": ["palette to RGB"],
        "a/really_png.jpg": ["wrong ending"],
        "a/small.png": ["enlarged"],
        "a/turned.jpg": ["rotated by EXIF"],
    }
    lines = read_csv(tmp_path / "problems.csv")
    levels = [line["level"] for line in lines]
    assert levels == sorted(levels, reverse=True)  # problems first
    kinds = [line["problem"] for line in lines if line["level"] == "note"]
    often = [kinds.count(kind) for kind in kinds]
    assert often == sorted(often)  # then what is rare
    assert {line["name"]: line["problem"] for line in lines if line["level"] == "problem"} == {
        "a/deep.png": "odd shape", "b/cut.png": "truncated",
    }  # fmt: skip
    ending = next(line for line in lines if line["problem"] == "wrong ending")
    assert ending["detail"] == "PNG named .jpg. It was read by its content."
    assert prepared.metrics()["problems"] == 2
    verdict = claims.examples_are_read_as_stored(claims.Reading(prepared.counts, prepared.converted, 0))
    assert verdict.value == "grey as three equal channels: 2, 1 bit to grey: 1, 16 bit grey to 0..1: 1, ..."
    before = (tmp_path / "problems.csv").read_bytes()
    stored(Folder(str(tmp_path / "images"), size=32), tmp_path, workers=2)
    assert (tmp_path / "problems.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("image", "notes"),
    [
        (Image.new("P", (4, 4)), ["palette to RGB"]),
        (Image.new("CMYK", (4, 4)), ["CMYK to RGB"]),
        (Image.new("1", (4, 4)), ["1 bit to grey"]),
        (np.ones((4, 4), bool), ["true and false to grey"]),
        (np.ones((4, 4, 3), np.uint16), ["16 bit colour to 0..1"]),
        (np.ones((4, 4), np.uint8), []),
        (np.ones((4, 4), np.float32), []),
    ],
)
def test_images_that_a_data_set_gives_are_listed_as_files_are(tmp_path, image, notes):
    source = Set([(image, 0), (image, 1)])
    source.names = ["one", "two"]
    prepare(source, CONFIG, tmp_path)
    assert notes_of(tmp_path) == ({"one": notes, "two": notes} if notes else {})
    assert all(kind in NOTES for kind in notes)


def test_a_user_defined_function_may_note_anything(tmp_path):
    class Own(Set):
        targets, fit = [0, 1], staticmethod(lambda image: (image, ("sharpened", "turned: by 3 degrees")))

        def encoded(self, index):
            return "a.png", encoded()

    prepare(Own([None, None]), CONFIG, tmp_path)
    lines = read_csv(tmp_path / "problems.csv")
    assert [line["problem"] for line in lines if line["source"] == "0"] == ["flat", "sharpened", "turned"]
    assert lines[-1]["detail"].startswith("by 3 degrees. ")


def test_a_problem_closes_a_gate_and_a_note_does_not():
    for kind in HINTS:
        failed = [f.fixed["gate"] for f in checks_of(claims).values() if not f(claims.Reading({kind: 1}, {}, 0)).ok]
        assert failed == [Problem(kind, "", "").level == "problem"], kind
