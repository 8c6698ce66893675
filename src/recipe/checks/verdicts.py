"""Verdicts that several checks share."""

from recipe.verdict import FAIL, PASS, Verdict


def none_listed(names: list[str], of: int) -> Verdict:
    """Passes where the list is empty; else shows its length and the first three names."""
    shown = f"{len(names)} of {of}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
    return Verdict(FAIL if names else PASS, shown if names else 0, "= 0")
