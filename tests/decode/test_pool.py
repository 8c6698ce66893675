"""Every odd file gets its verdict, no file ends the run, and healthy files are left in peace."""

import hashlib
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo import exif, photograph, saved, zoo

from recipe.decode.metadata import FILE_METADATA, TEXTS
from recipe.decode.pool import PROBLEMS, Decoded, DecodingLimits, decode
from recipe.errors import RecipeError

PHOTO = photograph(7, 48, 64)
JPEG = saved(photograph(), "JPEG")  # decoded it is larger than a pipe's buffer: no answer is out before it is read
SEEDS = [
    *(saved(PHOTO, kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO")),
    saved(PHOTO, "JPEG", progressive=True, exif=exif(6)),
    saved(PHOTO, "TIFF", compression="tiff_lzw"),
    saved(PHOTO, "PNG", exif=exif(6)),
]


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """{name: (what is expected, what was decoded)}."""
    expected = zoo(tmp_path_factory.mktemp("zoo"))
    results = decode([odd.file for odd in expected.values()])
    return {name: (odd, next(results)) for name, odd in expected.items()}


def sound(decoded: Decoded) -> None:
    """What holds of everything that decode yields."""
    assert list(decoded.file_metadata) == list(FILE_METADATA)
    for column, value in decoded.file_metadata.items():
        assert isinstance(value, str if column in TEXTS else (int, float))
    assert (decoded.image is None) == (decoded.problem in PROBLEMS)
    assert bool(decoded.problem) == bool(decoded.detail)
    assert not re.search(r"0x7f[0-9a-f]{6}", decoded.detail)  # an address in memory; 0x7f alone may be a marker of JPEG
    if decoded.image is None:
        return
    height, width, channels = decoded.image.shape
    assert (width, height) == (decoded.file_metadata["width"], decoded.file_metadata["height"])
    assert channels in (1, 3)
    assert decoded.image.dtype in (np.uint8, np.float32)
    if decoded.image.dtype == np.float32:
        assert 0 <= decoded.image.min() <= decoded.image.max() <= 1
    assert 0 <= decoded.file_metadata["alpha_share"] <= 1


def same(a: Decoded, b: Decoded) -> bool:
    pairs = zip(a.file_metadata.values(), b.file_metadata.values(), strict=True)
    metadata = all(x == y or (x != x and y != y) for x, y in pairs)
    images = a.image is b.image is None or np.array_equal(a.image, b.image)
    return metadata and images and (a.problem, a.detail, a.notes) == (b.problem, b.detail, b.notes)


@pytest.mark.slow
def test_every_animal_of_the_zoo_gets_its_verdict(animals):
    wrong = [
        f"{name}: {decoded.problem or decoded.notes}, not {odd.problem or odd.notes}; {decoded.detail}"
        for name, (odd, decoded) in animals.items()
        if decoded.problem != odd.problem or (not odd.problem and decoded.notes != odd.notes)
    ]
    assert not wrong
    assert len(animals) > 100


def test_the_pixels_are_those_of_the_upright_picture(animals):
    known = [(odd, decoded) for odd, decoded in animals.values() if odd.pixels is not None]
    assert len(known) > 30
    for odd, decoded in known:
        assert decoded.image.shape == odd.pixels.shape
        np.testing.assert_allclose(decoded.image, odd.pixels, atol=1e-6)


def test_orientations_of_a_jpeg_are_undone(animals):
    upright = animals["JPEG, EXIF orientation 1"][1].image.astype(float)
    for orientation in range(2, 9):
        result = animals[f"JPEG, EXIF orientation {orientation}"][1]
        assert result.file_metadata["orientation"] == orientation
        assert np.abs(result.image - upright).mean() < 1  # the blocks of a JPEG turn with it, hence not 0


def test_what_is_yielded_is_sound_and_names_no_path(animals, tmp_path):
    for _, decoded in animals.values():
        sound(decoded)
        assert str(tmp_path.parents[1]) not in decoded.detail
    assert {odd.problem for odd, _ in animals.values()} >= set(PROBLEMS) - {
        "too slow", "out of memory", "decoder crashed"
    }  # fmt: skip


def test_metadata_of_a_photograph(animals):
    odd, result = animals["JPEG"]
    content = odd.file[1]
    assert result.file_metadata == {
        "file_bytes": len(content),
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "format": "JPEG",
        "format_by_name": "JPEG",
        "mode": "RGB",
        "bits": 8,
        "width": 320,
        "height": 240,
        "aspect": 320 / 240,
        "orientation": 1,
        "alpha_share": 0,
        "frames": 1,
        "jpeg_quality": 90,
        "trailing_bytes": 0,
        "bytes_per_pixel": len(content) / (320 * 240),
        "decoder": "",
    }
    metadata = {name: result.file_metadata for name, (_, result) in animals.items()}
    assert metadata["palette with transparency"]["alpha_share"] > 0
    assert metadata["RGBA"]["alpha_share"] == 0.5
    assert metadata["16 bit RGB PNG"]["bits"] == metadata["16 bit grey TIFF"]["bits"] == 16
    assert metadata["1 bit"]["bits"] == 1
    assert metadata["animated WebP"]["frames"] == 3
    assert metadata["JPEG with bytes behind"]["trailing_bytes"] == 36
    assert metadata["400 million pixels in 48 kB"]["width"] == 20_000
    assert metadata["bytes without a name"]["format_by_name"] == ""
    assert math.isnan(metadata["no such file"]["file_bytes"])


@pytest.mark.parametrize("quality", [1, 10, 35, 50, 75, 92, 100])
def test_the_quality_of_a_jpeg(quality):
    (results,) = decode([saved(PHOTO, "JPEG", quality=quality)])
    assert abs(results.file_metadata["jpeg_quality"] - quality) <= 1


def test_a_cut_file_says_how_much_is_missing(animals):
    assert "about 5" in animals["JPEG cut at half"][1].detail
    assert "about 5" in animals["PNG cut at half"][1].detail


@pytest.mark.slow
def test_healthy_files_are_left_in_peace():
    rng = np.random.default_rng(3)
    kinds = [("JPEG", {"quality": q, "subsampling": s}) for q, s in ((30, 2), (60, 1), (75, 2), (90, 0), (99, 2))]
    kinds += [("JPEG", {"progressive": True}), ("JPEG", {"optimize": True}), ("PNG", {}), ("WEBP", {}), ("BMP", {})]
    files = []
    for index in range(200):
        height, width = rng.integers(24, 200, 2)
        kind, options = kinds[index % len(kinds)]
        picture = photograph(index, int(height), int(width))
        files.append((f"{index}.{kind.lower()}", saved(picture if index % 3 else picture[..., 0], kind, **options)))
    for (name, content), decoded in zip(files, decode(files), strict=True):
        assert (decoded.problem, decoded.notes) == ("", ()), name
        sound(decoded)
        assert decoded.file_metadata["file_bytes"] == len(content)


@pytest.mark.slow
def test_zeroed_blocks_are_reported_where_pillow_reports_none():
    rng = np.random.default_rng(4)
    contents = [saved(photograph(seed), "JPEG", quality=90) for seed in range(40)]
    damaged = []
    for content in contents:
        at = int(rng.integers(800, len(content) - 4100))
        damaged.append(content[:at] + bytes(4096) + content[at + 4096 :])
    assert {decoded.problem for decoded in decode(damaged)} <= {"damaged", "truncated"}
    assert {decoded.problem for decoded in decode(contents)} == {""}


@pytest.mark.slow
def test_the_order_is_kept_and_workers_change_nothing(animals):
    files = [odd.file for odd, _ in animals.values()]
    for decoded, (_, before) in zip(decode(files, workers=3), animals.values(), strict=True):
        assert same(decoded, before)


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="/proc lists the worker processes")


@needs_proc
def test_files_are_read_as_they_are_needed():
    requested = itertools.count()
    results = decode((JPEG for _ in requested), workers=2)
    assert all(not next(results).problem for _ in range(5))
    assert next(requested) <= 5 + 3
    assert len(children()) == 2
    results.close()
    assert not children()


def children() -> list[int]:
    """The decoding processes of this one; other tests may have started servers that live as long as it does."""
    pids = [pid for tasks in Path("/proc/self/task").iterdir() for pid in (tasks / "children").read_text().split()]
    return [int(pid) for pid in pids if b"recipe.decode.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@needs_proc
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_decoder_that_crashes_is_a_problem_of_its_file(name):
    def files():
        yield "before.jpg", JPEG
        yield "killer.jpg", JPEG
        # the worker has been given the last file, and cannot have handed back what it made of it
        os.kill(*children(), getattr(signal, name))
        yield "after.jpg", JPEG

    before, killer, after = decode(files())
    assert killer.problem == "decoder crashed"
    assert name in killer.detail
    assert killer.file_metadata["format_by_name"] == "JPEG"
    sound(killer)
    assert same(before, after)
    assert before.image.shape == (240, 320, 3)


@pytest.mark.slow
@needs_proc
def test_a_decoder_that_crashes_changes_nothing_about_other_files():
    def files():
        for index in range(9):
            yield saved(photograph(index), "PNG")
            if index == 4:
                os.kill(max(children()), signal.SIGSEGV)

    results = list(decode(files(), workers=2))
    assert [d.problem for d in results].count("decoder crashed") == 1
    for index, decoded in enumerate(results):
        if not decoded.problem:
            np.testing.assert_array_equal(decoded.image, photograph(index))


def slow(height: int) -> bytes:
    """JPEG 2000 of noise: about 0.9 CPU seconds of work for the decoder at a height of 1200."""
    return saved(np.random.default_rng(0).integers(0, 256, (height, 1600, 3), np.uint8), "JPEG2000")


@pytest.mark.slow
def test_a_file_that_takes_too_long_is_stopped():
    results = list(decode([JPEG, slow(800), JPEG], DecodingLimits(seconds=0.25)))
    assert [d.problem for d in results] == ["", "too slow", ""]
    assert "0.25 CPU seconds" in results[1].detail
    sound(results[1])


@pytest.mark.slow
@needs_proc
def test_a_file_that_only_waits_is_stopped_too():
    def files():
        yield slow(250)
        (worker,) = children()
        start = spent(worker)
        while spent(worker) < start + 5:  # hundredths of a second: it is at the file now
            time.sleep(0.01)
        os.kill(worker, signal.SIGSTOP)
        threading.Timer(5.5, os.kill, (worker, signal.SIGCONT)).start()
        yield JPEG

    results = list(decode(files(), DecodingLimits(seconds=0.5)))  # enough for it, and 5 seconds of elapsed time
    assert [d.problem for d in results] == ["too slow", ""]
    assert "5 seconds" in results[0].detail
    assert next(decode([slow(250)], DecodingLimits(seconds=0.5))).problem == ""


def spent(pid: int) -> int:
    """CPU time of a process in clock ticks."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not enforce a limit of memory")
def test_a_file_that_needs_too_much_memory_is_refused():
    large = saved(np.zeros((7000, 7000, 3), np.uint8), "PNG")
    results = list(decode([JPEG, large, JPEG], DecodingLimits(memory=400 << 20)))
    assert [d.problem for d in results] == ["", "out of memory", ""]
    sound(results[1])


def test_the_limit_of_pixels_is_one_of_limits():
    results = list(decode([JPEG], DecodingLimits(pixels=320 * 240 - 1))) + list(
        decode([JPEG], DecodingLimits(pixels=320 * 240))
    )
    assert [d.problem for d in results] == ["too large", ""]
    assert "320 x 240" in results[0].detail


def test_a_system_that_refuses_limits_decodes_without_them(tmp_path, monkeypatch):
    """macOS has RLIMIT_AS, and setrlimit raises ValueError for it."""
    refusal = "def setrlimit(*given):\n    raise ValueError('current limit exceeds maximum limit')\n"
    (tmp_path / "resource.py").write_text(f"RLIMIT_AS, RLIMIT_CORE = 5, 4\n\n{refusal}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    picture, limits = saved(np.zeros((1500, 1500, 3), np.uint8), "PNG"), DecodingLimits(memory=1)
    assert next(decode([picture], limits)).problem == ""
    monkeypatch.delenv("PYTHONPATH")
    if sys.platform == "linux":
        assert next(decode([picture], limits)).problem == "out of memory"


@needs_proc
def test_a_worker_that_cannot_start_is_reported(tmp_path, monkeypatch, capfd):
    (tmp_path / "simplejpeg.py").write_text("raise ImportError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RecipeError, match="did not start"):
        next(decode([JPEG]))
    assert not children()
    assert "a broken installation" in capfd.readouterr().err


def test_no_files_no_worker():
    assert list(decode([])) == []


def test_a_worker_imports_little():
    code = "import sys, recipe.decode.worker; print(*{'torch', 'pandas', 'sklearn', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@st.composite
def broken(draw) -> bytes:
    """A file of some format with some of its bytes changed, cut out, doubled or appended."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)) | st.integers(0, min(len(content), 60)))
        piece = draw(
            st.binary(max_size=12) | st.sampled_from([bytes(64), b"\xff" * 8, b"\xff\xd9", b"\x7f\xff\xff\xff"])
        )
        until = at + draw(st.sampled_from([0, len(piece), 1, 40, len(content)]))
        content[at:until] = piece
    return bytes(content)


# few examples of many files: to start a worker takes longer than to decode all of them
@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(broken() | st.binary(max_size=200), min_size=40, max_size=60))
def test_no_bytes_crash_the_audit(files):
    results = list(decode(files))
    assert len(results) == len(files)
    for content, decoded in zip(files, results, strict=True):
        sound(decoded)
        assert decoded.problem not in ("decoder crashed", "too slow")
        assert decoded.file_metadata["file_bytes"] == len(content)
        assert decoded.file_metadata["file_sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(max_size=30), min_size=60, max_size=90))
def test_any_name_is_taken(names):
    results = list(decode([(name, JPEG) for name in names]))
    assert [d.problem for d in results] == [""] * len(names)
    paths = list(decode([Path(name) for name in names]))
    assert {d.problem for d in paths} <= {"missing", "not a file", "unreadable", "not an image"}
