"""Examples of several tensors: inputs, targets or outputs that are tuples, lists or mappings, indexed like a tensor."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from recipe.verdict import DoesNotApply

# of the inputs of transformers' models, those that hold the example
MAIN = ("input_ids", "pixel_values", "input_values", "input_features", "inputs_embeds")


class Parts:
    """Rows of several tensors, in any structure of tuples, lists and mappings; indexed, split and moved together.

    A part that has no row per example, as a number or None, is passed on as it is. place: of the part that checks may
    compute with, among `leaves`; None where none stands for the example. name: of the whole, for reports.
    """

    def __init__(self, structure: Any, place: int | None, name: str, size: int | None = None):
        self.leaves, self.spec = tree_flatten(structure)
        self.place, self.name = place, name
        rows = [len(t) for t in self.leaves if isinstance(t, Tensor) and t.ndim]
        self.size = size if size is not None else max(rows, key=rows.count, default=0)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> "Parts":
        """Some of the rows: an index of a tensor's first dimension that keeps it."""
        return self.changed(lambda t: t[index])

    @property
    def given(self) -> Any:
        """The structure, as user code gets it."""
        return tree_unflatten(self.leaves, self.spec)

    @property
    def tensors(self) -> list[Tensor]:
        """The parts that have a row per example."""
        return [t for t in self.leaves if self._is_rows(t)]

    @property
    def main(self) -> Tensor:
        if self.place is None:
            raise DoesNotApply(f"the {self.name} have several parts")
        part: Tensor = self.leaves[self.place]
        return part

    @property
    def device(self) -> torch.device:
        return self.tensors[0].device

    def with_main(self, value: Tensor) -> "Parts":
        """The same with another main part."""
        _ = self.main
        return self._of([value if i == self.place else leaf for i, leaf in enumerate(self.leaves)])

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Parts":
        """Each part that has rows, after `change`."""
        return self._of([change(leaf) if self._is_rows(leaf) else leaf for leaf in self.leaves])

    def split(self, size: int) -> list["Parts"]:
        return [self[i : i + size] for i in range(0, len(self), size)]

    def to(self, device: torch.device) -> "Parts":
        return self.changed(lambda t: t.to(device))

    def flip(self, dim: int) -> "Parts":
        return self.changed(lambda t: t.flip(dim))

    def clone(self) -> "Parts":
        return self.changed(torch.clone)

    def _is_rows(self, leaf: Any) -> bool:
        return isinstance(leaf, Tensor) and leaf.ndim > 0 and len(leaf) == self.size

    def _of(self, leaves: list[Any]) -> "Parts":
        return Parts(tree_unflatten(leaves, self.spec), self.place, self.name)


Rows = Tensor | Parts  # one tensor, or several; the first dimension is that of the examples


def inputs_of(structure: Any) -> Rows:
    """The inputs of a batch; the main part is the one that transformers calls so, else the only tensor of features or
    of indices: masks, lengths and other numbers per example are left out."""
    if isinstance(structure, Tensor):
        return structure
    structure = _plain(structure)
    leaves = tree_flatten(structure)[0]
    features = [i for i, t in enumerate(leaves) if isinstance(t, Tensor) and t.ndim > 1 and not _is_mask(t)]
    if len(features) > 1:
        features = [i for i in features if not bool(((leaves[i] == 0) | (leaves[i] == 1)).all())]
    if isinstance(structure, dict) and (named := [structure[k] for k in MAIN if k in structure]):
        features = [i for i, t in enumerate(leaves) if t is named[0]]
    return Parts(structure, _only(features), "inputs")


def targets_of(structure: Any, first: bool = False) -> Rows:
    """The targets of a batch; the main part is the only tensor, or the first one, as before a weight per example."""
    if isinstance(structure, Tensor):
        return structure
    places = [i for i, t in enumerate(tree_flatten(_plain(structure))[0]) if isinstance(t, Tensor)]
    return Parts(_plain(structure), places[0] if first and places else _only(places), "targets")


def outputs_of(structure: Any, size: int) -> Rows:
    """The outputs for `size` examples; the main part is the first of floating-point numbers that has a row for each."""
    if isinstance(structure, Tensor):
        return structure
    leaves = tree_flatten(structure)[0]
    rows = [
        i for i, t in enumerate(leaves)
        if isinstance(t, Tensor) and t.is_floating_point() and t.ndim and len(t) == size
    ]  # fmt: skip
    return Parts(structure, rows[0] if rows else None, "outputs", size)


def _plain(structure: Any) -> Any:
    """A mapping of another class as a dict, whose entries are parts; transformers' BatchEncoding is one."""
    return dict(structure) if isinstance(structure, Mapping) and type(structure) is not dict else structure


def _only(places: list[int]) -> int | None:
    return places[0] if len(places) == 1 else None


def _is_mask(t: Tensor) -> bool:
    return not t.is_floating_point() and bool(((t == 0) | (t == 1)).all())


def main(x: Rows) -> Tensor:
    """The tensor that a check computes with. Raises DoesNotApply where several parts make the example."""
    return x if isinstance(x, Tensor) else x.main


def together(x: Rows) -> Tensor:
    """All of the outputs: a tensor as it is; of several, the floating-point numbers as columns (N, all of them)."""
    if isinstance(x, Tensor):
        return x
    return torch.cat([t.reshape(len(x), -1) for t in x.tensors if t.is_floating_point()], 1)


def main_or_first(x: Rows) -> Tensor:
    """The main tensor; where several make the example, the first."""
    return x if isinstance(x, Tensor) else x.tensors[0] if x.place is None else x.main


def with_main(x: Rows, value: Tensor) -> Rows:
    return value if isinstance(x, Tensor) else x.with_main(value)


def given(x: Any) -> Any:
    """As user code gets it: a tensor, or a structure of tensors."""
    return x.given if isinstance(x, Parts) else x


def tensors(x: Rows) -> list[Tensor]:
    """Every part that has a row per example."""
    return [x] if isinstance(x, Tensor) else x.tensors


def joined(pieces: Sequence[Rows]) -> Any:
    """Rows of several batches as one. Raises RuntimeError where their other dimensions differ."""
    first = pieces[0]
    if isinstance(first, Tensor):
        return torch.cat(list(pieces))  # type: ignore[arg-type]  # all are tensors where the first is
    columns = zip(*(p.leaves for p in pieces), strict=True)  # type: ignore[union-attr]
    leaves = [torch.cat(list(c)) if first._is_rows(c[0]) else c[0] for c in columns]
    return Parts(tree_unflatten(leaves, first.spec), first.place, first.name, sum(len(p) for p in pieces))


def blind(x: Rows) -> Any:
    """Inputs that say nothing of their example: zeros; masks, lengths and other parts are those of the first one."""
    if isinstance(x, Tensor):
        return torch.zeros_like(x)
    leaves = [
        leaf if not x._is_rows(leaf)
        else torch.zeros_like(leaf) if i == x.place or leaf.is_floating_point()
        else leaf[:1].expand_as(leaf).clone()
        for i, leaf in enumerate(x.leaves)
    ]  # fmt: skip
    return x._of(leaves)


def without_last(x: Rows, count: int) -> Any:
    """Without the last positions of a sequence, in each part that has as many positions."""
    if isinstance(x, Tensor):
        return x[:, :-count]
    length = x.main.shape[1]
    return x.changed(lambda t: t[:, :-count] if t.ndim > 1 and t.shape[1] == length else t)


def with_gradients(x: Rows) -> tuple[Any, list[Tensor]]:
    """A copy, and those of its tensors that get a gradient: the floating-point ones."""
    copied = x.clone()
    return copied, [t.requires_grad_() for t in tensors(copied) if t.is_floating_point()]


def call(model: nn.Module, x: Rows) -> Any:
    """What the model gives: a tuple becomes its arguments, a mapping its keywords, where its forward takes them.

    Keys that forward does not name are left out, as transformers' Trainer leaves out columns.
    """
    if isinstance(x, Tensor):
        return model(x)
    structure = x.given
    signature = inspect.signature(model.forward)
    if isinstance(structure, Mapping):
        kinds = {p.kind for p in signature.parameters.values()}
        known = structure if inspect.Parameter.VAR_KEYWORD in kinds else structure.keys() & signature.parameters.keys()
        if known:
            return model(**{k: structure[k] for k in structure if k in known})
        return model(next(iter(structure.values())) if len(structure) == 1 else structure)
    if isinstance(structure, tuple | list):
        try:
            signature.bind(*structure)
        except TypeError:  # one argument that holds them
            return model(structure)
        return model(*structure)
    return model(structure)
