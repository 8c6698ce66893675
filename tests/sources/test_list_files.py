"""What lies below a folder: each file once, whatever the links, and nothing that never ends."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import put

from recipe.problems import LINK, STRAY, UNREADABLE
from recipe.sources import list_files as walk_module
from recipe.sources.list_files import LEFT_OVER, LEFT_OVER_FILES, left_over, list_files


def names(below) -> list[str]:
    return [name for name, _ in below.files]


def listed(below) -> dict[str, tuple[str, str]]:
    return {problem.name: (problem.kind, problem.detail) for problem in below.problems}


def test_files_come_folder_by_folder_in_order(tmp_path):
    put(tmp_path, "b/1", "a/z", "a/b/1", "a/b/c/0", "a/a/1", "a/bb", "0", content=b"x")
    assert names(list_files(tmp_path)) == ["0", "a/bb", "a/z", "a/a/1", "a/b/1", "a/b/c/0", "b/1"]
    assert list_files(tmp_path).folders == ["a", "a/a", "a/b", "a/b/c", "b"]


def test_the_root_itself_may_be_a_link(tmp_path):
    put(tmp_path / "there", "a/1", content=b"x")
    (tmp_path / "here").symlink_to("there")
    assert list_files(tmp_path / "here").files == [("a/1", str(tmp_path / "there/a/1"))]


def test_links_to_elsewhere_are_followed(tmp_path):
    put(tmp_path / "elsewhere", "1", "deep/2", content=b"x")
    put(tmp_path / "root", "a/1", content=b"x")
    (tmp_path / "root/a/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/file").symlink_to(tmp_path / "elsewhere/1")
    (tmp_path / "root/a/again").symlink_to(tmp_path / "elsewhere/1")
    below = list_files(tmp_path / "root")
    assert names(below) == ["a/1", "a/linked/1", "a/linked/deep/2"]  # each file once
    assert set(listed(below)) == {"a/file", "a/again"}


def test_a_file_outside_may_be_linked_twice(tmp_path):
    """Two examples, then: their labels may differ, which is for the audit to notice."""
    put(tmp_path, "elsewhere/1", "root/a/0", "root/b/0", content=b"x")
    for name in ("a", "b"):
        (tmp_path / "root" / name / "1").symlink_to(tmp_path / "elsewhere/1")
    assert names(list_files(tmp_path / "root")) == ["a/0", "a/1", "b/0", "b/1"]


@pytest.mark.parametrize("target", ["..", "../..", "/", ".", "../../root", "{root}/a", "{above}"])
def test_no_link_leads_upwards(tmp_path, target):
    put(tmp_path / "above", "root/a/1", "root/b/1", "beside/1", content=b"x")
    root = tmp_path / "above/root"
    (root / "a/loop").symlink_to(target.format(root=root, above=tmp_path / "above"))
    below = list_files(root)
    assert names(below) == ["a/1", "b/1"]
    assert listed(below) == {"a/loop": (LINK, "a link to a folder above it")}


def test_no_link_in_a_linked_folder_leads_upwards(tmp_path):
    put(tmp_path, "root/a/1", "elsewhere/x/1", "elsewhere/y/1", content=b"x")
    (tmp_path / "root/a/linked").symlink_to(tmp_path / "elsewhere/x")
    (tmp_path / "elsewhere/x/up").symlink_to("..")
    (tmp_path / "elsewhere/x/back").symlink_to(tmp_path / "root")
    (tmp_path / "elsewhere/x/side").symlink_to("../y")
    below = list_files(tmp_path / "root")
    assert names(below) == ["a/1", "a/linked/1", "a/linked/side/1"]
    assert set(listed(below)) == {"a/linked/up", "a/linked/back"}


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin", "/proc/kmsg", "/proc", "/dev", "/sys/kernel"])
def test_what_never_ends_is_not_read(tmp_path, device):
    if not os.path.exists(device):
        pytest.skip(f"this system has no {device}")
    put(tmp_path, "a/1", content=b"x")
    (tmp_path / "a/device.png").symlink_to(device)
    below = list_files(tmp_path)
    assert names(below) == ["a/1"]
    assert listed(below)["a/device.png"][0] == UNREADABLE


def test_the_root_of_the_system_has_no_files_of_the_kernel(tmp_path, monkeypatch):
    """A root above /proc: its own folders, not links."""
    put(tmp_path, "a/1", "proc/kmsg", content=b"x")
    monkeypatch.setattr("recipe.sources.list_files._kernel", lambda: {-1})
    identity = walk_module._identity
    monkeypatch.setattr(walk_module, "_identity", lambda p: (-1, 0) if str(p).endswith("/proc") else identity(p))
    below = list_files(tmp_path)
    assert names(below) == ["a/1"]
    assert listed(below) == {"proc": (UNREADABLE, "a folder in which the kernel shows its state as files")}


def test_pipes_and_sockets_are_listed_also_behind_a_link(tmp_path):
    put(tmp_path, "root/a/1", content=b"x")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "root/a/pipe")
    (tmp_path / "root/a/linked").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "root/a/socket"))
    below = list_files(tmp_path / "root")
    assert names(below) == ["a/1"]
    assert {name: kind for name, (kind, _) in listed(below).items()} == dict.fromkeys(
        ("a/pipe", "a/linked", "a/socket"), UNREADABLE
    )


def test_a_link_to_nothing_is_a_file_that_its_reader_reports(tmp_path):
    put(tmp_path, "a/1", content=b"x")
    (tmp_path / "a/gone").symlink_to("nowhere")
    (tmp_path / "a/self").symlink_to("self")
    assert names(list_files(tmp_path)) == ["a/1", "a/gone", "a/self"]


def test_what_programs_leave_behind_is_known_in_any_case():
    for pattern in LEFT_OVER:
        name = pattern.replace("*", "x")
        assert all(left_over(form, folder) for form in (name, name.upper()) for folder in (True, False))
    for pattern in LEFT_OVER_FILES:
        assert left_over(pattern.replace("*", "x"), False)
    assert not any(
        left_over(name, folder) for name in ("a.png", "tmp", "thumbs", "~", "#1", "$5") for folder in (True,)
    )


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_links_end_and_read_each_file_of_the_root_once(tmp_path_factory, data):
    above = tmp_path_factory.mktemp("links")
    root, places = above / "root", ["root", "root/a", "root/a/c", "root/b", "other", "other/d"]
    put(above, *(f"{place}/file" for place in places), content=b"x")
    link = st.tuples(st.sampled_from(places), st.sampled_from([".", *places, *(f"{p}/file" for p in places)]))
    for n, (at, to) in enumerate(data.draw(st.lists(link, max_size=8))):
        (above / at / f"link{n}").symlink_to(Path(above, to))
    below = list_files(root)
    reached = [os.path.realpath(root / name) for name in names(below)]
    own = [path for path in reached if path.startswith(f"{root}/")]
    assert sorted(own) == sorted(str(above / place / "file") for place in places if place.startswith("root"))
    assert all(os.path.realpath(root / name) == real for name, real in below.files)
    folders = [os.path.realpath(root / folder) for folder in below.folders]
    assert len(folders) == len(set(folders))
    links = sum(path.is_symlink() for path in root.rglob("*"))
    followed = sum((root / name).is_symlink() for name in [*names(below), *below.folders])
    assert sum(p.kind == LINK for p in below.problems) >= links - followed  # each other is listed


def test_a_folder_that_may_not_be_read_is_listed(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read every folder")
    put(tmp_path, "a/1", "b/1", content=b"x")
    (tmp_path / "b").chmod(0)
    assert listed(list_files(tmp_path))["b"] == (UNREADABLE, "the folder cannot be read: Permission denied")
    (tmp_path / "b").chmod(0o700)


def test_a_hidden_folder_is_read_through_links_alone(tmp_path):
    put(tmp_path, ".pool/1", "a/0", content=b"x")
    (tmp_path / "a/1").symlink_to("../.pool/1")
    below = list_files(tmp_path)
    assert names(below) == ["a/0", "a/1"]
    assert listed(below) == {".pool": (STRAY, "hidden")}
