"""The modules of the page in one scope: what `bundle` joins, and what it refuses."""

import re

import pytest
from browser import CHROMIUM, MISSING

from recipe.explorer import PAGE
from recipe.explorer.bundle import bundle, declarations, read_modules

MODULES = {
    "main.js": 'import { double } from "./number.js";\nimport { half } from "./half.js";\n\ndouble(half(2));\n',
    "number.js": "// Numbers.\n\n/** @param {number} x */\nexport function double(x) {\n  return 2 * x;\n}\n",
    "half.js": 'import { double } from "./number.js";\n\n/**\n * A half.\n */\nexport const half = (x) => x / 2;\n',
}


def written(folder, **changes) -> str:
    """What `bundle` makes of MODULES with other texts for some of them."""
    for name, text in (MODULES | {f"{name}.js": text for name, text in changes.items()}).items():
        (folder / name).write_text(text, encoding="utf-8")
    return bundle(folder)


def test_modules_follow_those_that_they_import_without_import_export_and_types(tmp_path):
    assert written(tmp_path) == (
        "// ---- number.js\n// Numbers.\n\nfunction double(x) {\n  return 2 * x;\n}\n\n"
        "// ---- half.js\n\nconst half = (x) => x / 2;\n\n"
        "// ---- main.js\n\ndouble(half(2));\n"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"half": "export const half = 1;\nconst double = 2;\n"}, "number.js and half.js both declare double"),
        (
            {"number": 'import { half } from "./half.js";\nexport const double = half;\n'},
            "circle: main.js -> number.js -> half.js -> number.js",
        ),
        ({"half": "const half = 1;\n"}, "main.js imports half from half.js, which does not export it"),
        (
            {"half": 'import { x } from "./no.js";\nexport const half = x;\n'},
            "half.js imports no.js, which does not exist",
        ),
        ({"half": "export default 1;\nexport const half = 1;\n"}, "half.js: 'export default 1;' cannot be joined"),
        ({"half": 'import * as all from "./number.js";\nexport const half = 1;\n'}, "half.js: 'import [*] as all"),
        ({"half": 'import "./number.js";\nexport const half = 1;\n'}, "half.js: 'import \"./number.js\";' cannot be"),
        ({"half": "export const half = 1;\nconst { a, b } = half;\n"}, "half.js: 'const { a, b } = half;' cannot be"),
        ({"half": 'export const half = import("./number.js");\n'}, "cannot be joined"),
    ],
)
def test_what_cannot_be_joined_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path, **changes)


def test_every_module_of_the_folder_is_on_the_page():
    assert {file.name for file in PAGE.glob("*.js")} == set(read_modules(PAGE, "main.js"))


def test_the_page_declares_nothing_but_what_its_modules_declare():
    text = bundle(PAGE)
    names = [name for file in PAGE.glob("*.js") for name in declarations(file.read_text(encoding="utf-8"))]
    assert sorted(declarations(text)) == sorted(names)
    assert not re.search(r"^(import|export)\b", text, re.M)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason=MISSING)
def test_no_module_hides_a_name_of_the_browser(tab):
    """In one scope it would be hidden from all modules, and tsc, which checks one at a time, would not see it."""
    names = declarations(bundle(PAGE))
    assert len(names) > 200
    tab.open("about:blank")
    assert tab.run(f"{names}.filter(name => name in globalThis)") == []
    assert tab.run("['find', 'open', 'status'].filter(name => name in globalThis).length") == 3
