"""The code of a stage: what its script and its config's targets can import, read from the source."""

import hashlib

import pytest

from recipe.config.code_manifest import code, code_files, manifest, read_manifest, targets
from recipe.errors import RecipeError


@pytest.fixture
def base(tmp_path):
    """A small project: a script, a package of two rooms, and a package of the user's."""
    files = {
        "pipeline/prepare.py": "from recipe import store\n",
        "pipeline/audit.py": "def main():\n    from recipe.stages.report import page\n",
        "src/recipe/__init__.py": "",
        "src/recipe/store.py": "import recipe.files as files\n",
        "src/recipe/files.py": "import json\n",
        "src/recipe/unused.py": "",
        "src/recipe/stages/report/__init__.py": "",
        "src/recipe/stages/report/page.py": "from ...files import write\nHERE = __file__\n",
        "src/recipe/stages/report/page.html": "<p>",
        "src/recipe/data/__init__.py": "",
        "src/recipe/sources/__init__.py": "",
        "src/recipe/stages/__init__.py": "",
        "src/recipe/sources/folder.py": "from recipe.data import reading\n",
        "src/recipe/data/reading.py": "",
        "src/own/__init__.py": "",
        "src/own/birds.py": "from .blocks import Block\n",
        "src/own/blocks.py": "",
        "src/own/notes.txt": "not read by code",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_through_modules_and_the_packages_that_hold_them(base):
    assert code_files("prepare", {}, base) == [
        "pipeline/prepare.py", "src/recipe/__init__.py", "src/recipe/files.py", "src/recipe/store.py",
    ]  # fmt: skip


def test_an_import_in_a_function_a_relative_one_and_templates_count(base):
    files = set(code_files("audit", {}, base))
    assert files >= {"src/recipe/stages/report/page.py", "src/recipe/files.py", "src/recipe/stages/report/page.html"}
    assert "src/recipe/unused.py" not in files


def test_a_target_counts_at_any_depth_with_what_it_imports(base):
    files = code_files("audit", {"model": {"parts": [{"_target_": "own.birds.Net"}]}}, base)
    assert {"src/own/birds.py", "src/own/blocks.py", "src/own/__init__.py"} <= set(files)
    assert "src/own/notes.txt" not in files
    assert list(targets({"a": [{"b": {"_target_": "x.y", "c": {"_target_": "z"}}}]})) == ["x.y", "z"]


def test_the_source_of_the_data_is_the_code_of_prepare_alone(base):
    cfg = {"data": {"_target_": "recipe.sources.folder.Folder"}}
    assert {"src/recipe/sources/folder.py", "src/recipe/data/reading.py"} <= set(code_files("prepare", cfg, base))
    assert not [
        file for file in code_files("audit", cfg, base) if file.startswith(("src/recipe/data", "src/recipe/sources"))
    ]


def test_a_target_from_elsewhere_is_no_file_of_the_project(base):
    assert code_files("prepare", {"m": {"_target_": "torch.nn.Linear"}}, base) == code_files("prepare", {}, base)


def test_an_edit_is_seen_in_the_same_process(base):
    before = code("prepare", {}, base)
    (base / "src/recipe/store.py").write_text("import recipe.files, recipe.unused\n")
    after = code("prepare", {}, base)
    assert set(after) - set(before) == {"src/recipe/unused.py"}
    assert after["src/recipe/store.py"] != before["src/recipe/store.py"]


def test_a_manifest_is_read_back_and_is_that_of_md5sum(base, tmp_path):
    hashes = code("prepare", {}, base)
    (tmp_path / "prepare.code").write_text(manifest(hashes))
    assert read_manifest(tmp_path / "prepare.code") == hashes
    line = f"{hashlib.md5((base / 'pipeline/prepare.py').read_bytes()).hexdigest()}  pipeline/prepare.py"
    assert line in manifest(hashes).splitlines()


def write(base, name, text):
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    (base / name).write_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "from importlib import import_module\nimport_module('own.blocks')\n",
        "from importlib.util import find_spec\nprint(find_spec('own.blocks').origin)\n",
        "import importlib\nimportlib.import_module('.blocks', 'own')\n",
        "__import__('own.blocks')\n",
        "import hydra\nhydra.utils.get_class('own.blocks.Block')\n",
    ],
)
def test_an_import_by_a_name_in_quotes_counts(base, text):
    write(base, "src/own/birds.py", text)
    assert "src/own/blocks.py" in code_files("audit", {"model": {"_target_": "own.birds.Net"}}, base)


def test_a_name_in_a_config_counts_also_where_it_is_no_target(base):
    assert "src/own/blocks.py" in code_files("audit", {"model": {"blocks": ["own.blocks.Block"]}}, base)


def test_a_module_beside_the_script_counts(base):
    write(base, "pipeline/helper.py", "import own.blocks\n")
    write(base, "pipeline/audit.py", "import helper\n")
    assert {"pipeline/helper.py", "src/own/blocks.py"} <= set(code_files("audit", {}, base))


@pytest.mark.parametrize("text", ["HERE = __file__\n", "from importlib.resources import files\n", "import pkgutil\n"])
def test_the_files_of_a_package_count_where_its_code_may_read_them(base, text):
    write(base, "src/own/tables/deep/weights.csv", "1")
    write(base, "src/own/birds.py", text)
    files = code_files("audit", {"model": {"_target_": "own.birds.Net"}}, base)
    assert {"src/own/notes.txt", "src/own/tables/deep/weights.csv"} <= set(files)
    assert "src/own/blocks.py" not in files


def test_code_of_the_project_outside_of_src_is_refused(base, monkeypatch):
    monkeypatch.syspath_prepend(base)
    write(base, "outside_of_src/net.py", "")
    with pytest.raises(RecipeError, match=r"`_target_: outside_of_src\.net\.Net` is code in outside_of_src, .*Move it"):
        code_files("audit", {"model": {"_target_": "outside_of_src.net.Net"}}, base)


def test_code_that_is_no_python_is_named_with_its_line(base):
    write(base, "src/own/birds.py", "import os\ndef net(:\n")
    with pytest.raises(RecipeError, match=r"^src/own/birds\.py, line 2: invalid syntax"):
        code_files("audit", {"model": {"_target_": "own.birds.Net"}}, base)
    (base / "src/own/birds.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\nimport own.blocks\n")
    assert "src/own/blocks.py" in code_files("audit", {"model": {"_target_": "own.birds.Net"}}, base)
