"""An examination in the forms that other programs read: JSON, JUnit's XML, annotations of GitHub's workflows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from xml.etree import ElementTree

from recipe.verdict import ERROR, FAIL, SKIP, UNDECIDED, Verdict, explained


def as_json(verdicts: Sequence[Verdict], setup: str) -> str:
    """setup: MODULE:NAME. Each verdict has the fields of `Verdict`."""
    closed = [v.check for v in verdicts if v.closes]
    return json.dumps({"setup": setup, "closed": closed, "verdicts": [asdict(v) for v in verdicts]}, indent=1) + "\n"


def as_junit(verdicts: Sequence[Verdict], setup: str, seconds: Mapping[str, float]) -> str:
    """A test suite with a test per check. seconds: of each check. A note never fails; undecided is skipped."""
    suite = ElementTree.Element("testsuite", name=f"recipe examine {setup}", tests=str(len(verdicts)))
    counts = {"failures": 0, "errors": 0, "skipped": 0}
    for v in verdicts:
        test = ElementTree.SubElement(
            suite, "testcase", classname=setup, name=v.check, time=f"{seconds.get(v.check, 0.0):.3f}"
        )
        kind, tag = _outcome(v)
        if tag:
            counts[kind] += 1
            ElementTree.SubElement(test, tag, message=_clean(_reason(v))).text = _clean(explained(v))
        elif v.broken:
            ElementTree.SubElement(test, "system-out").text = _clean(explained(v))
    suite.attrib.update({name: str(n) for name, n in counts.items()}, time=f"{sum(seconds.values()):.3f}")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, "unicode", xml_declaration=True) + "\n"


def _outcome(v: Verdict) -> tuple[str, str]:
    """(the count of a suite, the element of a test); empty where it passes."""
    if v.closes:
        return ("errors", "error") if v.verdict == ERROR else ("failures", "failure")
    return ("skipped", "skipped") if v.verdict in (SKIP, UNDECIDED) or v.waived else ("", "")


def _reason(v: Verdict) -> str:
    if v.waived:
        return f"waived: {v.waived}"
    return f"undecided: {v.needed}" if v.verdict == UNDECIDED else v.measurement


def as_annotations(verdicts: Sequence[Verdict], file: str, line: int) -> list[str]:
    """A line for each closed gate, and a warning for each note that does not hold, at the place of the Setup."""
    place = f"file={_property(file)},line={line}"
    lines = []
    for v in verdicts:
        if v.closes or (v.verdict == FAIL and not v.waived):
            level = "error" if v.closes else "warning"
            text = f"{v.statement} ({v.measurement})\n{v.hint}"
            lines.append(f"::{level} {place},title={_property(v.check)}::{_data(text)}")
    return lines


def _data(text: str) -> str:
    """As GitHub wants it: its own documentation names no escapes, its toolkit uses these."""
    return _clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _clean(text: str) -> str:
    """Without control characters, which XML does not allow: an error of the user's may hold them."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
