"""What a model gives, as the user's loss takes it, and as the checks see it: one tensor with classes last."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from recipe.checks.parts import Rows, given, outputs_of
from recipe.errors import RecipeError

LOGITS = ("logits", "prediction_logits", "pred", "preds", "prediction", "predictions", "output", "outputs", "out")

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class OutputForm:
    """key: of the part that is learned, in a mapping, a tuple or an object; a function of the whole; None where there
    is no single one. whole: the user's loss takes all of it, and depends on that part alone.

    classes_second: outputs are (B, C, ...), of targets (B, ...), as of a tagger or of a segmentation. example: what the
    model gave for some examples.
    """

    key: str | int | Callable[[Any], Any] | None = None
    whole: bool = False
    classes_second: bool = False
    example: Any = None

    def part(self, raw: Any) -> Any:
        if self.key is None:
            return raw
        if callable(self.key):
            return self.key(raw)
        return getattr(raw, self.key) if isinstance(self.key, str) and hasattr(raw, self.key) else raw[self.key]

    def for_loss(self, raw: Any) -> Any:
        """What the user's loss takes of what the model gives."""
        return raw if self.whole else self.part(raw)

    def seen(self, raw: Any, size: int) -> Any:
        """Of `size` examples, as the checks see it: a tensor with classes last; Parts where the loss needs several."""
        outputs: Rows = outputs_of(self.part(raw), size)
        return outputs.movedim(1, -1) if self.classes_second and isinstance(outputs, Tensor) else outputs

    def of_user(self, outputs: Any) -> Any:
        """As the user's loss takes it, from what the checks see."""
        return self.as_given(outputs) if self.whole else self._in_order(outputs)

    def as_given(self, outputs: Any) -> Any:
        """As the model would give it. Raises TypeError where that is not known."""
        value = self._in_order(outputs)
        if self.key is None:
            return value
        if callable(self.key):
            raise TypeError("outputs are taken by a function")
        if hasattr(self.example, "_replace"):  # a named tuple
            name = self.key if isinstance(self.key, str) else self.example._fields[self.key]
            return self.example._replace(**{name: value})
        if isinstance(self.example, tuple):
            return tuple(value if i == self.key else part for i, part in enumerate(self.example))
        whole = copy.copy(self.example)
        if isinstance(whole, Mapping | list):
            whole[self.key] = value  # type: ignore[index]  # a dict, or transformers' ModelOutput
        else:
            setattr(whole, str(self.key), value)
        return whole

    def _in_order(self, outputs: Any) -> Any:
        return outputs.movedim(-1, 1) if self.classes_second else given(outputs)


def infer(raw: Any, y: Any, loss: Loss, key: Any = None) -> OutputForm:
    """The form of what a model gave for a batch with these targets.

    key: as the user says; else what the loss takes: the whole, or the part that is called `logits` or the like, or the
    first of floating-point numbers.
    """
    if isinstance(raw, Tensor):
        return OutputForm(classes_second=_classes_second(raw, y, loss))
    example, whole = tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, raw), False
    if key is None:
        places: list[Any] = [*(k for k in LOGITS if _has(raw, k)), *_places(raw)]
        if _accepts(loss, raw, y):
            key, whole = next((k for k in places if _depends_on_it_alone(loss, example, k, y)), None), True
        else:
            key = next((k for k in places if _accepts(loss, OutputForm(k).part(raw), y)), None)
    form = OutputForm(key, whole and key is not None, False, example)
    second = _classes_second(form.part(example), y, lambda z, y: loss(form.as_given(z) if form.whole else z, y))
    return replace(form, classes_second=second)


def _depends_on_it_alone(loss: Loss, example: Any, key: Any, y: Any) -> bool:
    form = OutputForm(key, True, False, example)
    leaves, spec = tree_flatten(example)
    free = [t.clone().requires_grad_() if isinstance(t, Tensor) and t.is_floating_point() else t for t in leaves]
    wanted = [t for t in free if isinstance(t, Tensor) and t.requires_grad]
    whole = tree_unflatten(free, spec)
    try:
        with torch.enable_grad():
            gradients = torch.autograd.grad(loss(whole, y), wanted, allow_unused=True)
    except RuntimeError:  # a loss that the model computed itself has no graph here
        return False
    used = [t for t, g in zip(wanted, gradients, strict=True) if g is not None]
    return len(used) == 1 and used[0] is form.part(whole)


def likely(raw: Any) -> str | int:
    """The key of what is learned, by its name; else of the first tensor of floating-point numbers with a dimension."""
    keys = [*(k for k in LOGITS if _has(raw, k)), *_places(raw)]
    if not keys:
        raise RecipeError(f"Setup: the model gives a {type(raw).__name__}; say what is learned, as in output='logits'.")
    return keys[0]


def _has(raw: Any, key: str) -> bool:
    value = raw.get(key) if isinstance(raw, Mapping) else getattr(raw, key, None)
    return isinstance(value, Tensor)


def _places(raw: Any) -> list[Any]:
    """Of the entries that are tensors of floating-point numbers."""
    entries = raw.items() if isinstance(raw, Mapping) else enumerate(raw) if isinstance(raw, tuple | list) else ()
    return [k for k, v in entries if isinstance(v, Tensor) and v.is_floating_point() and v.ndim]


def _accepts(loss: Loss, outputs: Any, y: Any) -> bool:
    try:
        value = loss(outputs, y)
    except RecipeError:
        raise
    except Exception:  # any loss may refuse in its own way
        return False
    return isinstance(value, Tensor) and value.ndim == 0


def _classes_second(z: Any, y: Any, loss: Loss) -> bool:
    """Outputs (B, C, ...) of targets (B, ...) that are class indices; where both orders fit, the one in which right
    outputs have the lower loss."""
    if not isinstance(z, Tensor) or not isinstance(y, Tensor) or y.is_floating_point() or y.ndim < 2:
        return False
    if z.ndim != y.ndim + 1 or z.shape[2:] != y.shape[1:] or z.shape[1] < 2:
        return False
    if z.shape[1:-1] != y.shape[1:]:
        return True
    right = 8.0 * torch.nn.functional.one_hot(y.clamp(0, z.shape[-1] - 1), z.shape[-1]).to(z)
    last, second = (_loss_of(loss, outputs, y) for outputs in (right, right.movedim(-1, 1)))
    return second < last


def _loss_of(loss: Loss, outputs: Tensor, y: Tensor) -> float:
    try:
        return float(loss(outputs, y))
    except Exception:  # any loss may refuse in its own way
        return float("inf")
