"""Sets of examples that must stay together."""

from collections.abc import Iterable


def linked_groups(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """{name: the smallest name it is linked to, directly or through others}; no order matters."""
    parent = {name: name for name in names}  # union-find

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for a, b in pairs:
        a, b = sorted((root(a), root(b)))
        parent[b] = a
    return {name: root(name) for name in parent}
