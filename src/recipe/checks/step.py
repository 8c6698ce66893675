"""One training step: what moves, and what must not."""

from recipe.checks.setup import Setup
from recipe.checks.verdict import FAIL, PASS, Verdict, check
from recipe.train.chance import seeded


def _named(names: list[str], of: int) -> Verdict:
    """Passes where no name is on the list; else shows how many and the first."""
    shown = f"{len(names)} of {of}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
    return Verdict(FAIL if names else PASS, shown if names else 0, "= 0")


def _declared(s: Setup, name: str) -> bool:
    return any(name.startswith(prefix) for prefix in s.declare.frozen)


@check(source="facebookresearch/mmf#104; pytorch/pytorch#14467")
def optimizer_holds_the_model(s: Setup) -> Verdict:
    """The optimizer holds every trainable parameter of this model, and none of another.

    It was built before a layer was replaced or the model was copied, or it got a part of the parameters.
    """
    model = s.fresh()
    held = {id(p) for group in s.optimizer(model).param_groups for p in group["params"]}
    own = {n: id(p) for n, p in model.named_parameters()}
    missing = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    foreign = [f"a tensor of another model ({i})" for i, p in enumerate(held - set(own.values()))]
    return _named(missing + foreign, len(own))


@check(source="PyTorch forum 84911; sacmehta/EdgeNets#14")
def every_parameter_moves(s: Setup, steps: int = 4) -> Verdict:
    """After a few steps every parameter has moved, but for those declared frozen, which have not.

    `requires_grad=False` left from fine-tuning, a `.detach()`, a dead layer, gradients zeroed between backward and
    step, or a part that the optimizer does not hold. Meant? Declare it.
    """
    model = s.fresh()
    optimizer = s.optimizer(model)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    gradient = dict.fromkeys(before, 0.0)
    with seeded(s.seed, "train"):
        for _, (x, y) in zip(range(steps), s.batches(s.seed), strict=False):
            s.train_step(model, optimizer, x, y, s.loss)
            for n, p in model.named_parameters():
                gradient[n] = max(gradient[n], 0.0 if p.grad is None else p.grad.abs().max().item())
    wrong = []
    for n, p in model.named_parameters():
        moved = not p.detach().equal(before[n])
        # a bias before a norm layer has a gradient of rounding errors: it may stand still
        idle = n.endswith("bias") and 0 < gradient[n] < 1e-6
        if moved == _declared(s, n) and not idle:
            wrong.append(n)
    return _named(wrong, len(before))
