"""Bugs in the training step, the optimizer, the schedule and the loop."""

import copy

import torch
from torch import nn

from bugs.reference import Net, adam, digits, fit, on_diabetes, on_digits, on_tumours, split, train_step
from bugs.registry import bug
from recipe.checks.declare import Declare


def step(before=lambda model, optimizer: None, loss_of=lambda value: value, after=lambda model, optimizer: None):
    """A plain training step with something added."""

    def one(model, optimizer, x, y, loss):
        model.train()
        before(model, optimizer)
        value = loss_of(loss(model(x), y))
        value.backward()
        after(model, optimizer)
        optimizer.step()
        return value.detach()

    return one


def clear(model, optimizer):
    optimizer.zero_grad()


@bug("B21", "Karpathy, no. 3; wenet-e2e/wekws#72", "gradients_are_fresh")
def never_cleared(seed):
    """zero_grad is forgotten"""
    return on_digits(seed, train_step=step())


@bug("B22", "facebookresearch/mmf#104; microsoft/nni#4521", "optimizer_holds_the_model", "every_parameter_moves")
def head_replaced(seed):
    """the optimizer is built before the head is replaced"""

    def optimizer(model):
        built = torch.optim.Adam(model.parameters(), lr=1e-3)
        model.head = nn.Linear(128, 10)
        return built

    return on_digits(seed, optimizer=optimizer)


@bug("B23", "AutoTrainer; DeepFD", "updates_are_in_proportion", "overfit_one_batch")
def rate_too_high(seed):
    """the learning rate is a thousand times too high"""
    return on_digits(seed, optimizer=adam(1.0))


@bug("B24", "AutoTrainer; DeepFD", "overfit_one_batch", "training_loss_falls")
def rate_too_low(seed):
    """the learning rate is a thousand times too low"""
    return on_digits(seed, optimizer=adam(1e-6))


@bug("B26", "Karpathy, no. 2; optuna/optuna#1725", "training_is_in_train_mode")
def never_back_to_train(seed):
    """eval() in the evaluation, train() never restored"""

    def one(model, optimizer, x, y, loss):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.detach()

    return on_digits(seed, train_step=one)


@bug("B28", "ivadomed/ivadomed#55; automl/Auto-PyTorch#210", "learning_rate_lasts")
def stepped_per_batch(seed):
    """a scheduler made for epochs is stepped per batch"""
    return on_digits(seed, schedule=lambda optimizer, steps, epochs: torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5))


@bug("B29", "sacmehta/EdgeNets#14; huggingface/accelerate#1299", "every_parameter_moves", "overfit_one_batch")
def cleared_before_the_step(seed):
    """zero_grad between backward and step"""
    return on_digits(seed, train_step=step(after=clear))


@bug("R40", "clipping the loss for the gradient", "every_parameter_moves", "overfit_one_batch")
def loss_clipped(seed):
    """the loss is clipped instead of the gradient"""
    return on_digits(seed, train_step=step(before=clear, loss_of=lambda value: value.clamp(max=1.0)))


@bug("R41", "labels rolled inside the step", "overfit_one_batch")
def labels_rolled(seed):
    """labels are paired with the wrong inputs inside the step"""

    def one(model, optimizer, x, y, loss):
        return train_step(model, optimizer, x, y.roll(1), loss)

    return on_digits(seed, train_step=one)


@bug("R42", "an optimizer made in the step", "the_optimizer_steps")
def new_optimizer_each_step(seed):
    """a new optimizer is made in each step"""

    def one(model, optimizer, x, y, loss):
        return train_step(model, torch.optim.Adam(model.parameters(), lr=1e-3), x, y, loss)

    return on_digits(seed, train_step=one)


@bug("R43", "step() twice", "the_optimizer_steps")
def steps_twice(seed):
    """optimizer.step() is called twice"""
    return on_digits(seed, train_step=step(before=clear, after=lambda model, optimizer: optimizer.step()))


@bug("R44", "Loshchilov and Hutter 2019", "weight_decay_is_in_scale", "overfit_one_batch")
def decay_of_ten(seed):
    """a weight decay of 10 in AdamW"""
    return on_digits(seed, optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=10.0))


@bug("R45", "warm-up in the wrong unit", "learning_rate_peaks_early")
def warm_up_for_ever(seed):
    """warm-up is longer than the training"""
    return on_digits(
        seed,
        schedule=lambda optimizer, steps, epochs: torch.optim.lr_scheduler.LinearLR(
            optimizer, 0.01, 1.0, total_iters=100 * steps
        ),
    )


@bug("R46", "a cosine in epochs, stepped per batch", "learning_rate_follows_its_schedule")
def swinging(seed):
    """a cosine over the epochs is stepped per batch"""
    return on_digits(
        seed, schedule=lambda optimizer, steps, epochs: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    )


@bug("R47", "state_dict() is a reference", "best_weights_are_a_copy")
def best_is_a_reference(seed):
    """the best weights are kept by reference"""

    def loop(s, model, *parts):
        history = fit(s, model, *parts)
        return history | {"best_state": model.state_dict()}

    return on_digits(seed, fit=loop)


@bug("R48", "a < for a >", "best_weights_are_the_best")
def worst_is_kept(seed):
    """the worst epoch's weights are kept"""

    def loop(s, model, optimizer, scheduler, train_loader, val_loader, epochs):
        history, worst, kept = {"train_loss": [], "lr": [], "val": []}, 2.0, None
        for _ in range(epochs):
            for x, y in train_loader:
                history["train_loss"].append(s.train_step(model, optimizer, x, y, s.loss).item())
                history["lr"].append(optimizer.param_groups[0]["lr"])
            history["val"].append(s.evaluate(model, val_loader))
            if history["val"][-1] < worst:
                worst, kept = history["val"][-1], {n: t.clone() for n, t in model.state_dict().items()}
        return history | {"best_state": kept}

    return on_digits(seed, fit=loop)


@bug("R49", "loaders exchanged", "val_is_not_trained_on", "every_epoch_reads_all_of_train")
def trains_on_val(seed):
    """the loop trains on val"""
    return on_digits(seed, fit=lambda s, m, o, sch, train, val, epochs: fit(s, m, o, sch, val, val, epochs))


@bug("R50", "the training loader is evaluated", "every_evaluation_reads_all_of_val")
def evaluates_on_train(seed):
    """the loop evaluates on train"""
    return on_digits(seed, fit=lambda s, m, o, sch, train, val, epochs: fit(s, m, o, sch, train, train, epochs))


@bug("R51", "next(iter(loader))", "every_epoch_reads_all_of_train")
def one_batch_for_ever(seed):
    """only the first batch of each epoch is trained on"""

    def loop(s, model, optimizer, scheduler, train_loader, val_loader, epochs):
        history = {"train_loss": [], "lr": [], "val": []}
        for _ in range(epochs):
            for _ in range(len(train_loader)):
                x, y = next(iter(train_loader))
                history["train_loss"].append(s.train_step(model, optimizer, x, y, s.loss).item())
                history["lr"].append(optimizer.param_groups[0]["lr"])
            history["val"].append(s.evaluate(model, val_loader))
        return history

    return on_digits(seed, fit=loop)


@bug("R55", "half of the batch", "the_whole_batch_is_trained_on")
def half_the_batch(seed):
    """only half of each batch is trained on"""

    def one(model, optimizer, x, y, loss):
        return train_step(model, optimizer, x[: len(x) // 2], y[: len(y) // 2], loss)

    return on_digits(seed, train_step=one)


@bug("R56", "a gradient clipped to nothing", "updates_are_in_proportion", "overfit_one_batch", "training_loss_falls")
def clipped_to_nothing(seed):
    """the gradient is clipped to a norm of 1e-4, with SGD"""

    def small(model, optimizer):
        nn.utils.clip_grad_norm_(model.parameters(), 1e-4)

    return on_digits(
        seed, train_step=step(before=clear, after=small), optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.05)
    )


@bug("R57", "the seed inside the model", "other_seed_other_bits")
def seed_inside(seed):
    """the model sets the seed"""

    def net():
        torch.manual_seed(7)
        return Net(dropout=0.0)

    x, y = digits()
    return on_digits(seed, model=net, shuffle=False, **split(x, y, 1000))


@bug("R58", "randomness outside the seeds", "same_seed_same_bits")
def unseeded(seed):
    """the weights are drawn from a generator without a seed"""
    random = torch.Generator()
    random.seed()

    def net():
        model = Net()
        with torch.no_grad():
            model.head.weight.add_(0.01 * torch.randn(model.head.weight.shape, generator=random))
        return model

    return on_digits(seed, model=net)


@bug("R60", "normalised only in the step", "evaluation_feeds_what_training_feeds")
def normalised_in_the_step(seed):
    """the training step normalises its batch, the evaluation does not"""
    x, y = digits()

    def one(model, optimizer, x, y, loss):
        return train_step(model, optimizer, (x - x.mean()) / x.std(), y, loss)

    return on_digits(seed, train_step=one, **split((x - x.min()) / (x.max() - x.min()) * 16, y, 1000))


@bug("R61", "Zhang et al. 2018, mixup", "labels_are_mixed_as_inputs_are")
def mixed_inputs_alone(seed):
    """inputs are mixed, labels are not"""

    def one(model, optimizer, x, y, loss):
        return train_step(model, optimizer, 0.3 * x + 0.7 * x[torch.randperm(len(x))], y, loss)

    return on_digits(seed, train_step=one)


@bug("R62", "a stale copy is evaluated", "scores_are_of_this_model")
def stale_copy(seed):
    """the loop evaluates a copy that is never updated"""

    def loop(s, model, optimizer, scheduler, train_loader, val_loader, epochs):
        frozen = copy.deepcopy(model)
        history = {"train_loss": [], "lr": [], "val": []}
        for _ in range(epochs):
            for x, y in train_loader:
                history["train_loss"].append(s.train_step(model, optimizer, x, y, s.loss).item())
                history["lr"].append(optimizer.param_groups[0]["lr"])
            history["val"].append(s.evaluate(frozen, val_loader))
        return history

    return on_digits(seed, fit=loop)


@bug("R63", "zero_grad in every call of an accumulating step", "every_batch_of_a_step_counts")
def cleared_in_every_call(seed):
    """gradients are accumulated over 4 batches, and cleared before each"""
    calls = [0]

    def one(model, optimizer, x, y, loss):
        model.train()
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        calls[0] += 1
        if calls[0] % 4 == 0:
            optimizer.step()
        return value.detach()

    return on_digits(seed, train_step=one, declare=Declare(accumulate=4))


@bug("R64", "the model is loaded again in each epoch", "training_goes_on")
def starts_again(seed):
    """each epoch starts from the first weights again"""

    def loop(s, model, optimizer, scheduler, train_loader, val_loader, epochs):
        first = {n: t.clone() for n, t in model.state_dict().items()}
        history = {"train_loss": [], "lr": [], "val": []}
        for _ in range(epochs):
            model.load_state_dict(first)
            for x, y in train_loader:
                history["train_loss"].append(s.train_step(model, optimizer, x, y, s.loss).item())
                history["lr"].append(optimizer.param_groups[0]["lr"])
            history["val"].append(s.evaluate(model, val_loader))
        return history

    return on_digits(seed, fit=loop)


@bug("R65", "the scheduler is never stepped", "learning_rate_follows_its_schedule")
def schedule_ignored(seed):
    """the user's loop never steps the scheduler"""

    def loop(s, model, optimizer, scheduler, *loaders):
        return fit(s, model, optimizer, None, *loaders)

    return on_digits(
        seed, fit=loop,
        schedule=lambda o, steps, epochs: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps * epochs),
    )  # fmt: skip


@bug("R67", "the loader is read, and the first batch is trained on", "every_epoch_reads_all_of_train")
def first_batch_kept(seed):
    """each batch is loaded, and the first one is trained on"""

    def loop(s, model, optimizer, scheduler, train_loader, val_loader, epochs):
        history, kept = {"train_loss": [], "lr": [], "val": []}, None
        for _ in range(epochs):
            for batch in train_loader:
                kept = kept or batch
                history["train_loss"].append(s.train_step(model, optimizer, *kept, s.loss).item())
                history["lr"].append(optimizer.param_groups[0]["lr"])
            history["val"].append(s.evaluate(model, val_loader))
        return history

    return on_digits(seed, fit=loop)


@bug("R68", "the sign of the step", "steps_follow_the_gradient", "overfit_one_batch")
def climbs_in_the_step(seed):
    """the training step climbs: backward runs on minus the loss"""
    return on_digits(seed, train_step=step(before=clear, loss_of=lambda value: -value))


@bug("R70", "gradient clipping that comes too early", "clipping_comes_after_backward")
def clipped_before_backward(seed):
    """the gradient is clipped before backward"""

    def early(model, optimizer):
        optimizer.zero_grad()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    return on_digits(seed, train_step=step(before=early))


@bug("R103", "huggingface/accelerate#641", "clipping_comes_after_backward")
def sums_clipped_in_each_batch(seed):
    """while gradients accumulate, each batch clips the sum so far"""
    calls = [0]

    def one(model, optimizer, x, y, loss):
        model.train()
        value = loss(model(x), y) / 2
        value.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.01)
        calls[0] += 1
        if calls[0] % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return 2 * value.detach()

    return on_tumours(seed, train_step=one)


@bug("R71", "PyTorch documentation, automatic mixed precision, gradient clipping", "clipping_comes_after_backward")
def clipped_while_scaled(seed):
    """mixed precision clips the gradient before its scale is taken out"""
    return on_digits(seed, train_step=scaled(unscale=False))


def scaled(unscale: bool):
    """A step of mixed precision that clips."""
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def one(model, optimizer, x, y, loss):
        model.train()
        optimizer.zero_grad()
        value = loss(model(x), y)
        scaler.scale(value).backward()
        if unscale:
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return value.detach()

    return one


@bug("R101", "facebookresearch/mae#216", "settings_of_groups_are_read")
def decay_under_another_name(seed):
    """the groups' shares of the weight decay are under a name that the optimizer does not know"""

    def optimizer(model):
        first, last = model.net[0], model.net[2]
        groups = [{"params": p.parameters(), "decay_share": share} for p, share in ((first, 0.25), (last, 1.0))]
        return torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=1e-3)

    return on_tumours(seed, optimizer=optimizer)


@bug("R102", "PaulRitsche/DeepACSA#36", "a_plateau_lowers_the_rate")
def plateau_below_its_eps(seed):
    """the schedule takes every change of the rate for none: eps is larger than the rate"""

    def schedule(optimizer, steps, epochs):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, eps=1e-2)

    return on_diabetes(seed, schedule=schedule, schedule_per="epoch")
