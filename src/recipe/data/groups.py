"""Sets of examples that must stay together."""

from collections.abc import Iterable


def linked_groups(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """{name: the smallest name it is linked to, directly or through others}; independent of every order."""
    above = {name: name for name in names}

    def top(name: str) -> str:
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for a, b in pairs:
        a, b = sorted((top(a), top(b)))
        above[b] = a
    return {name: top(name) for name in above}
