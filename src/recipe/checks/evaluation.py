"""The evaluation: one number for one model, whatever the order and the batches; nothing left out, nothing changed."""

import torch
from torch import Tensor

from recipe.checks.measurements.batch_capture import (
    captured_batches,
    flattened,
    has_numeric_inputs,
    on_entry,
)
from recipe.checks.measurements.evaluate import (
    FixedOutputs,
    evaluate_on,
    evaluate_on_val,
    outputs_of_known_accuracy,
    passes_of_evaluation,
    relative_difference,
    scores_of_known_outputs,
    slightly_trained,
)
from recipe.checks.parts import main, together
from recipe.checks.setup import Setup
from recipe.checks.verdicts import none_listed
from recipe.rng import generator
from recipe.verdict import FAIL, PASS, DoesNotApply, Verdict, below, check, exactly, skip


def _needs_more(error: Exception) -> Verdict:
    """The user's evaluation uses more of a model than a call. Raises what says that a check does not apply."""
    if isinstance(error, DoesNotApply):
        raise error
    return skip(f"the evaluation needs more than a callable model: {type(error).__name__}")


@check(source="Recipe 2, add significant digits")
def everything_is_counted(s: Setup) -> Verdict:
    """The evaluation runs every validation example through the model equally often.

    `drop_last=True`, a `break` left from debugging, a sampler that draws with replacement. Several views of each
    example, as in test-time augmentation, are a whole multiple. The value counts examples that went through the model.
    """
    model = slightly_trained(s)
    counts: list[int] = []
    hook = on_entry(s, model, lambda x: counts.append(len(x)))
    evaluate_on_val(s, model)
    hook.remove()
    total, n = sum(counts), len(s.val_tensors[1])
    return exactly(total if total % n or not total else n, n)


@check(source="mlcommons/training#89; udacity/deep-learning-v2-pytorch#74; Nota-NetsPresso/netspresso-trainer#360")
def evaluation_ignores_batches(s: Setup, limit: float = 1e-5) -> Verdict:
    """The metric does not depend on the batch size or on the order of the examples.

    A mean of batch means weighs a short last batch too much; a division by batches times batch size; or the model mixes
    examples of a batch. The value is the largest relative difference.
    """
    model = slightly_trained(s)
    first = evaluate_on_val(s, model)
    model.eval()
    others = []
    for size, reverse in ((50, False), (7, False), (64, True)):
        others.append(evaluate_on_val(s, model.eval(), size, reverse))
    return below(max(relative_difference(first, other) for other in others), limit)


@check(source="Recipe 2, add significant digits")
def evaluation_repeats(s: Setup, limit: float = 1e-6) -> Verdict:
    """A second evaluation of the same model gives the same score.

    Counts or sums that are not reset, a random sample or crop of val, dropout that is still on. The value is the
    largest relative difference.
    """
    model = slightly_trained(s)
    first = evaluate_on_val(s, model.eval())
    second = evaluate_on_val(s, model.eval())
    evaluate_on_val(s, s.new_model().eval())  # another model in between must not change the score
    return below(max(relative_difference(first, value) for value in (second, evaluate_on_val(s, model.eval()))), limit)


@check(source="Karpathy, most common neural net mistakes, no. 2; ipolharvard/ethos-ares#20; pytorch/pytorch#76383")
def evaluation_leaves_the_model_alone(s: Setup) -> Verdict:
    """The evaluation uses eval mode and changes no weight and no statistic.

    `model.eval()` is forgotten: dropout is on and batch norm learns from val. A step of the optimizer or a gradient is
    left in the evaluation. The value counts what differs.
    """
    in_eval_mode = evaluate_on_val(s, slightly_trained(s).eval())
    model = slightly_trained(s).train()
    model.zero_grad(set_to_none=True)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    in_train_mode = evaluate_on_val(s, model)
    changed = sum(not t.equal(before[n]) for n, t in model.state_dict().items())
    has_gradient = any(p.grad is not None and p.grad.any() for p in model.parameters())
    differs = relative_difference(in_eval_mode, in_train_mode) > 1e-6
    return exactly(changed + int(differs) + int(has_gradient), 0)


@check(source="Recipe 2, set up the end-to-end evaluation skeleton")
def evaluation_tells_right_from_wrong(s: Setup, span: float = 0.5) -> Verdict:
    """The score follows the share of right answers, from a model that is always right to one that is always wrong.

    Labels shifted or permuted in the evaluation, an argmax over the wrong dimension, targets compared with themselves.
    The value is the range of the scores.
    """
    try:
        scores = [metric for _, metric, _ in scores_of_known_outputs(s)]
    except Exception as error:  # the user's evaluation may fail in any way
        return _needs_more(error)
    ordered = scores == sorted(scores) or scores == sorted(scores, reverse=True)
    if not ordered:
        return Verdict(FAIL, " ".join(f"{v:.3g}" for v in scores), "in order")
    least = span * (max(abs(scores[0]), abs(scores[-1])) if s.kind == "regression" else 1.0)
    scores_span = abs(scores[0] - scores[-1])
    return Verdict(PASS if scores_span >= least else FAIL, scores_span, f">= {least:.4g}")


@check(source="PyTorch documentation, torch.nn.CrossEntropyLoss, ignore_index")
def evaluation_ignores_padding(s: Setup, limit: float = 1e-6) -> Verdict:
    """Padding at positions that the loss ignores does not change the score of a sequence.

    Accuracy over all positions counts padding as wrong or, where it is easily predicted, as right. The value is the
    largest difference that padding makes to the score of known outputs.
    """
    y = main(s.val_tensors[1])
    if s.kind != "sequence" or s.shifts_targets:
        return skip("the loss shifts the targets" if s.kind == "sequence" else "the targets are not sequences")
    z = torch.randn((len(y), *s.output_shape), generator=generator(s.seed, "padding")).to(y.device).requires_grad_()
    (g,) = torch.autograd.grad(s.loss_of(s.last_operation.valid(z), y), z)
    ignored = y[(g == 0).all(-1)]
    if not len(ignored):
        return skip("the loss depends on every position")
    variants = _with_padding(s, int(ignored.mode().values))
    try:
        score, *others = [evaluate_on(s, FixedOutputs(s, rows), a, b, len(b)) for a, b, rows in variants]
    except Exception as error:  # the user's evaluation may fail in any way
        return _needs_more(error)
    return below(max(abs(other - score) for other in others), limit)


def _with_padding(s: Setup, label: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(inputs, targets, outputs) of val: as they are, and with padding that is predicted and that is not."""
    x, y = (main(part) for part in s.val_tensors)
    classes = s.output_shape[-1]
    rows, more = outputs_of_known_accuracy(s, 0.6), y.shape[1] // 2 + 1
    padding = torch.full_like(y[:, :1], label).expand(-1, more)
    predicted = 8 * torch.nn.functional.one_hot(padding.clamp(0, classes - 1).long(), classes).to(rows)
    longer = torch.cat([x, x[:, -1:].expand(-1, more, *x.shape[2:])], 1) if x.shape[1:2] == y.shape[1:2] else x
    targets = torch.cat([y, padding], 1)
    return [(x, y, rows), *((longer, targets, torch.cat([rows, part], 1)) for part in (predicted, -predicted))]


@check(source="PolymathicAI/the_well#68; Recipe 2, visualize just before the net")
def evaluation_feeds_what_training_feeds(s: Setup, shift: float = 0.5, ratio: float = 2.0) -> Verdict:
    """The inputs of the net have the same mean and scale in the evaluation and in the training step.

    The step normalises its batch and the evaluation does not, or the other way round; one of them divides by 255. The
    value is the distance of the means in standard deviations, or the ratio of the standard deviations.
    """
    if not has_numeric_inputs(s):
        return skip("the inputs are indices")
    model, capture = slightly_trained(s), captured_batches(s, False)
    entered: list[Tensor] = []
    hook = on_entry(s, model, lambda x: entered.append(x.detach()))
    # both get the same examples: val may hold different ones, as where a split keeps groups whole
    for x, y in capture.loaded:
        evaluate_on(s, model, x, y, len(y))
    hook.remove()
    a, b = flattened(capture.entered), flattened(entered)
    distance = ((a.mean() - b.mean()).abs() / a.std().clamp_min(1e-12)).item()
    scale = (a.std() / b.std().clamp_min(1e-12)).item()
    verdict = below(distance, shift)
    return below(max(scale, 1 / max(scale, 1e-12)), ratio) if verdict.ok else verdict


@check(source="mlcommons/training#89; Recipe 2, add significant digits")
def evaluation_equals_ours(s: Setup, limit: float = 1e-5) -> Verdict:
    """A metric that is plain accuracy (or R2) equals the one computed here, over ragged batches as well.

    A mean of batch means, a count of batches for a count of examples, rounding, examples dropped. Models with known
    outputs show whether the metric is plain accuracy. The value is the relative difference.
    """
    try:
        is_accuracy = all(abs(metric - score) < 1e-4 for _, metric, score in scores_of_known_outputs(s))
        if is_accuracy and s.discrete and s.output_shape[-1] > 2:
            is_accuracy = not _is_top_k(s)
    except Exception as error:  # the user's evaluation may fail in any way
        return _needs_more(error)
    if not is_accuracy:
        return skip("the metric is not accuracy or R2")
    if passes_of_evaluation(s) > 1:
        return skip("the evaluation shows an example to the model several times, as test-time augmentation does")
    model, (x, y) = slightly_trained(s), s.val_tensors
    return below(relative_difference(s.score(s.outputs(model, x), y), evaluate_on_val(s, model.eval())), limit)


def _is_top_k(s: Setup) -> bool:
    """The metric counts an answer as right whose right class comes second, as top-5 accuracy does."""
    rows, y = outputs_of_known_accuracy(s, 1.0), main(s.val_tensors[1])
    other = (rows.argmax(-1, keepdim=True) + 1) % s.output_shape[-1]
    second = rows.scatter(-1, other, rows.amax(-1, keepdim=True) + 1)
    return not abs(evaluate_on_val(s, FixedOutputs(s, second), len(rows)) - s.score(second, y)) < 1e-4


@check(source="PyTorch documentation, saving and loading models; maruya24/pytorch_robotics_transformer#3")
def a_checkpoint_holds_the_model(s: Setup, moved: float = 1e-5) -> Verdict:
    """A new model with the state_dict of the trained one gives the same outputs.

    Something that training changes is neither a parameter nor a buffer: a plain tensor, a layer in a plain list,
    statistics kept in an attribute. What is saved is then not what was evaluated. The value is the relative difference
    of the outputs.
    """
    trained, other = slightly_trained(s), s.new_model(s.seed + 1)
    try:
        other.load_state_dict({n: t.clone() for n, t in trained.state_dict().items()})
    except RuntimeError as error:
        return none_listed([str(error).splitlines()[-1].strip()[:80]], 1)
    x = s.val_tensors[0][:64]
    ours, theirs = (together(s.outputs(model, x)) for model in (trained, other))
    return below(((ours - theirs).abs().max() / ours.abs().max().clamp_min(1e-6)).item(), moved)
