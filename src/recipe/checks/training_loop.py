"""The loop around the steps: what it reads, what it trains on, and which weights it keeps."""

import copy

from recipe.checks.dependencies import named
from recipe.checks.evaluation import apart, known_answers, measure
from recipe.checks.measurements.short_run import moody, seeing
from recipe.checks.setup import Setup
from recipe.verdict import FAIL, PASS, Verdict, check, exactly, skip

PLAIN = "the loop is the plain one"


@check(source="Karpathy, most common neural net mistakes, no. 2; Lightning-AI/pytorch-lightning#20573")
def training_is_in_train_mode(s: Setup) -> Verdict:
    """While training, dropout and batch norm are in train mode, after an evaluation too.

    `model.eval()` in the evaluation and no `model.train()` after it; or in the step itself. A frozen part may stay in
    eval mode: write `declare: {frozen: [body]}` in params.yaml. The value counts layers that were in eval mode.
    """
    every = moody(s, s.fresh())
    if not every:
        return skip("no layer acts otherwise in eval mode")
    return named(sorted(seeing(s).asleep), len(every))


@check(source="Kaufman et al. 2012, leakage in data mining")
def val_is_not_trained_on(s: Setup) -> Verdict:
    """No step of the optimizer follows a batch of val.

    The loaders are exchanged or concatenated, or the evaluation goes through the training step. The value counts steps.
    """
    if not s.own_fit:
        return skip(PLAIN)
    run = seeing(s)
    return exactly(run.stepped_on.count("val"), 0)


@check(source="Recipe 2, set up the end-to-end training skeleton")
def every_epoch_reads_all_of_train(s: Setup, different: float = 0.5) -> Verdict:
    """Each epoch reads the whole of the training loader, and each batch leads to a step.

    A `break` left from debugging, `next(iter(loader))` that gives the first batch for ever, a loop over range() of a
    wrong length. The value is the smallest share of train that an epoch read.
    """
    if not s.own_fit:
        return skip(PLAIN)
    run, total = seeing(s), len(s.training_set())
    passes = run.loaded.get("train", [])
    whole = sum(p >= total for p in passes)
    least = min(passes, default=0) / total
    if len(run.fed) < different * total / s.batch_size:
        return Verdict(FAIL, f"{len(run.fed)} different batches entered the net", "all of them")
    holds = whole >= run.epochs and len(passes) <= whole + 1 and run.stepped_on
    stopped_early = 0 < len(passes) == whole < run.epochs and len(run.val) == len(passes)
    return Verdict(PASS if holds or stopped_early else FAIL, least, "= 1, once per epoch")


@check(source="Recipe 2, set up the end-to-end evaluation skeleton")
def every_evaluation_reads_all_of_val(s: Setup) -> Verdict:
    """Each evaluation during the training reads the whole of val, and nothing but val.

    The training loader is evaluated, so that the score is the training score; or only the first batches are.
    """
    if not s.own_fit:
        return skip(PLAIN)
    run, total = seeing(s), len(s.validation_set())
    passes = run.loaded.get("val", [])
    if not run.val and not passes:
        return skip("no evaluation while training")
    return Verdict(PASS if passes and min(passes) >= total else FAIL, min(passes, default=0), f"= {total}")


@check(source="PyTorch documentation, saving and loading models: state_dict() returns a reference")
def best_weights_are_a_copy(s: Setup) -> Verdict:
    """What is kept of the best epoch does not go on changing with the model.

    `best = model.state_dict()` keeps references: deepcopy it, or clone each tensor. The value counts tensors that share
    memory with the model.
    """
    if not s.own_fit or not seeing(s).best_state:
        return skip("no best weights are kept")
    run = seeing(s)
    live = {t.data_ptr() for t in run.model.state_dict().values() if t.numel()}
    return exactly(sum(t.numel() > 0 and t.data_ptr() in live for t in run.best_state.values()), 0)


@check(source="Recipe 2, early stopping keeps the best; Prechelt 1998, early stopping, but when?")
def best_weights_are_the_best(s: Setup, limit: float = 1e-4) -> Verdict:
    """The kept weights have the best validation score of all epochs, in the direction in which the metric is good.

    A `<` where `>` was meant, the score of another epoch, weights of the last epoch instead of the best, or kept before
    the step instead of after it.
    """
    run = seeing(s) if s.own_fit else None
    if run is None or not run.best_state or len(run.val) < 2:
        return skip("no best weights are kept")
    try:
        (_, perfect, _), *_, (_, wrong, _) = known_answers(s)
    except Exception as error:
        return skip(f"which direction is better cannot be told: {type(error).__name__}")
    best = max(run.val) if perfect > wrong else min(run.val)
    model = s.fresh()
    model.load_state_dict({n: t.detach().clone() for n, t in run.best_state.items()})
    kept = measure(s, model.eval())
    if min(apart(kept, value) for value in run.val) > limit:
        if len(s.unseen[1]) < len(s.val):
            return skip("val was looked at in part")
        return Verdict(FAIL, kept, f"one of the epochs' scores, best {best:.4g}")
    return Verdict(PASS if apart(best, kept) <= limit else FAIL, kept, f"= {best:.4g}")


@check(source="Recipe 2, set up the end-to-end evaluation skeleton")
def scores_are_of_this_model(s: Setup, limit: float = 1e-4) -> Verdict:
    """The validation scores of the training are scores of the model that it trained.

    A copy is evaluated that nobody updates, the model is replaced or loaded again behind the loop's back, the score
    of an
    earlier epoch is repeated. The value is the score of the final weights, or of the best ones where these are nearer.
    """
    run = seeing(s) if s.own_fit else None
    if run is None or not run.val or len(s.unseen[1]) < len(s.val):
        return skip("the person's own loop is needed, and a val that is looked at whole")
    model = s.fresh()
    scores = [measure(s, copy.deepcopy(run.model).eval())]
    if run.best_state:
        model.load_state_dict({n: t.detach().clone() for n, t in run.best_state.items()})
        scores.append(measure(s, model.eval()))
    distance, value = min((apart(score, told), score) for score in scores for told in run.val)
    return Verdict(PASS if distance <= limit else FAIL, value, f"one of the epochs' scores, last {run.val[-1]:.4g}")


@check(source="Recipe 2, set up the end-to-end training skeleton")
def training_goes_on(s: Setup) -> Verdict:
    """No step after the first starts from the weights that the model was made with.

    The model is made or loaded again in each epoch, so that all but the last epoch is lost. The value counts
    such steps.
    """
    return exactly(seeing(s).returned, 0)
