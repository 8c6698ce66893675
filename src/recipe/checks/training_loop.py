"""The loop around the steps: what it reads, what it trains on, and which weights it keeps."""

from recipe.checks.copies import copied
from recipe.checks.measurements.evaluate import evaluate_on_val, relative_difference, scores_of_known_outputs
from recipe.checks.measurements.short_run import mode_dependent_layers, short_run
from recipe.checks.setup import Setup
from recipe.checks.verdicts import none_listed
from recipe.verdict import FAIL, PASS, Verdict, check, exactly, skip

DEFAULT_LOOP = "no user-defined loop"
NO_BEST_WEIGHTS = "no best weights are kept"


@check(source="Karpathy, most common neural net mistakes, no. 2; Lightning-AI/pytorch-lightning#20573")
def training_is_in_train_mode(s: Setup) -> Verdict:
    """While training, dropout and batch norm are in train mode, after an evaluation too.

    `model.eval()` in the evaluation and no `model.train()` after it; or in the step itself. A frozen part may stay in
    eval mode: write `declare: {frozen: [body]}` in params.yaml. The value counts layers that were in eval mode.
    """
    layers = mode_dependent_layers(s, s.new_model())
    if not layers:
        return skip("no layer behaves differently in eval mode")
    return none_listed(sorted(short_run(s).in_eval_mode), len(layers))


@check(source="Kaufman et al. 2012, leakage in data mining")
def val_is_not_trained_on(s: Setup) -> Verdict:
    """The optimizer never steps after a validation batch.

    The loaders are exchanged or concatenated, or the evaluation goes through the training step. The value counts steps.
    """
    if s.fit is None:
        return skip(DEFAULT_LOOP)
    return exactly(short_run(s).loader_before_step.count("val"), 0)


@check(source="Recipe 2, set up the end-to-end training skeleton")
def every_epoch_reads_all_of_train(s: Setup, different: float = 0.5) -> Verdict:
    """Each epoch reads the whole training loader, and each batch leads to a step.

    A `break` left from debugging, `next(iter(loader))` that gives the first batch for ever, a loop over range() of a
    wrong length. The value is the smallest share of train that an epoch read.
    """
    if s.fit is None:
        return skip(DEFAULT_LOOP)
    run, total = short_run(s), len(s.training_set())
    passes = run.examples_per_pass.get("train", [])
    whole = sum(p >= total for p in passes)
    least = min(passes, default=0) / total
    if len(run.batches) < different * total / s.batch_size:
        return Verdict(FAIL, f"{len(run.batches)} different batches entered the net", "all of them")
    holds = whole >= run.epochs and len(passes) <= whole + 1 and run.loader_before_step
    stopped_early = 0 < len(passes) == whole < run.epochs and len(run.val) == len(passes)
    return Verdict(PASS if holds or stopped_early else FAIL, least, "= 1, once per epoch")


@check(source="Recipe 2, set up the end-to-end evaluation skeleton")
def every_evaluation_reads_all_of_val(s: Setup) -> Verdict:
    """Each evaluation during the training reads the whole of val and nothing else.

    The training loader is evaluated, so that the score is the training score; or only the first batches are. The value
    is the smallest number of examples that an evaluation read.
    """
    if s.fit is None:
        return skip(DEFAULT_LOOP)
    run, total = short_run(s), len(s.validation_set())
    passes = run.examples_per_pass.get("val", [])
    if not run.val and not passes:
        return skip("no evaluation while training")
    return Verdict(PASS if passes and min(passes) >= total else FAIL, min(passes, default=0), f"= {total}")


@check(source="PyTorch documentation, saving and loading models: state_dict() returns a reference")
def best_weights_are_a_copy(s: Setup) -> Verdict:
    """The weights kept of the best epoch do not change with the model afterwards.

    `best = model.state_dict()` keeps references: deepcopy it, or clone each tensor. The value counts tensors that share
    memory with the model.
    """
    best = short_run(s).best_state if s.fit is not None else None
    if not best:
        return skip(NO_BEST_WEIGHTS)
    live = {t.data_ptr() for t in short_run(s).model.state_dict().values() if t.numel()}
    return exactly(sum(t.numel() > 0 and t.data_ptr() in live for t in best.values()), 0)


@check(source="Recipe 2, early stopping keeps the best; Prechelt 1998, early stopping, but when?")
def best_weights_are_the_best(s: Setup, limit: float = 1e-4) -> Verdict:
    """The kept weights have the best validation score of all epochs, in the direction in which the metric is good.

    A `<` where `>` was meant, the score of another epoch, weights of the last epoch instead of the best, or kept before
    the step instead of after it. The value is the score of the kept weights.
    """
    run = short_run(s) if s.fit is not None else None
    if run is None or not run.best_state or len(run.val) < 2:
        return skip(NO_BEST_WEIGHTS)
    try:
        (_, all_right, _), *_, (_, all_wrong, _) = scores_of_known_outputs(s)
    except Exception as error:  # the user's evaluation may fail in any way
        return skip(f"it is unknown which scores are better: {type(error).__name__}")
    best = max(run.val) if all_right > all_wrong else min(run.val)
    model = s.new_model()
    model.load_state_dict({n: t.detach().clone() for n, t in run.best_state.items()})
    kept = evaluate_on_val(s, model.eval())
    if min(relative_difference(kept, value) for value in run.val) > limit:
        if len(s.val_tensors[1]) < len(s.val):
            return skip("only a part of val was examined")
        return Verdict(FAIL, kept, f"one of the epochs' scores, best {best:.4g}")
    return Verdict(PASS if relative_difference(best, kept) <= limit else FAIL, kept, f"= {best:.4g}")


@check(source="Recipe 2, set up the end-to-end evaluation skeleton")
def scores_are_of_this_model(s: Setup, limit: float = 1e-4) -> Verdict:
    """The validation scores of the training are scores of the model that it trained.

    A copy is evaluated that is never updated, the model is replaced or loaded again during the loop, the score of an
    earlier epoch is repeated. The value is the score of the final weights, or of the best ones where these are closer.
    """
    run = short_run(s) if s.fit is not None else None
    if run is None or not run.val or len(s.val_tensors[1]) < len(s.val):
        return skip("a user-defined loop is needed, and a val that is examined as a whole")
    model = s.new_model()
    scores = [evaluate_on_val(s, copied(run.model).eval())]
    if run.best_state:
        model.load_state_dict({n: t.detach().clone() for n, t in run.best_state.items()})
        scores.append(evaluate_on_val(s, model.eval()))
    distance, value = min((relative_difference(score, epoch), score) for score in scores for epoch in run.val)
    return Verdict(PASS if distance <= limit else FAIL, value, f"one of the epochs' scores, last {run.val[-1]:.4g}")


@check(source="Recipe 2, set up the end-to-end training skeleton")
def training_goes_on(s: Setup) -> Verdict:
    """Only the first step starts from the initial weights of the model.

    The model is made or loaded again in each epoch, so that all but the last epoch is lost. The value counts later
    steps that start from the initial weights.
    """
    return exactly(short_run(s).restarts, 0)
