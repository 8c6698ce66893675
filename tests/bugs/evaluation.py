"""Bugs in the evaluation."""

import torch

from bugs.reference import accuracy, on_digits, on_padded, on_tumours
from bugs.registry import bug


@bug(
    "B27",
    "Karpathy, no. 2; ipolharvard/ethos-ares#20",
    "evaluation_leaves_the_model_alone",
)
def eval_forgotten(seed):
    """eval() is forgotten in the evaluation"""

    def evaluate(model, loader):
        right = count = 0
        with torch.no_grad():
            for x, y in loader:
                right, count = right + (model(x).argmax(1) == y).sum().item(), count + len(y)
        return right / count

    return on_digits(seed, evaluate=evaluate)


@bug(
    "B32",
    "mlcommons/training#89; udacity/deep-learning-v2-pytorch#74",
    "evaluation_ignores_batches",
    "evaluation_equals_ours",
)
def mean_of_means(seed):
    """the metric is a mean of batch means"""

    def evaluate(model, loader):
        model.eval()
        with torch.no_grad():
            scores = [(model(x).argmax(1) == y).float().mean().item() for x, y in loader]
        return sum(scores) / len(scores)

    return on_digits(seed, evaluate=evaluate)


@bug("R52", "drop_last in validation", "everything_is_counted", "evaluation_ignores_batches")
def last_batch_dropped(seed):
    """the evaluation leaves out the last batch"""

    def evaluate(model, loader):
        batches = list(loader)
        return accuracy(model, batches[:-1])

    return on_digits(seed, evaluate=evaluate)


@bug(
    "R53",
    "counts kept between evaluations",
    "evaluation_repeats",
    "evaluation_leaves_the_model_alone",
)
def never_reset(seed):
    """the counts of the evaluation are never reset"""
    total = {"right": 0, "count": 0}

    def evaluate(model, loader):
        model.eval()
        with torch.no_grad():
            for x, y in loader:
                total["right"] += (model(x).argmax(1) == y).sum().item()
                total["count"] += len(y)
        return total["right"] / total["count"]

    return on_digits(seed, evaluate=evaluate)


@bug("R54", "labels from one in the evaluation", "evaluation_tells_right_from_wrong")
def shifted_in_evaluation(seed):
    """the evaluation compares with the labels plus one"""

    def evaluate(model, loader):
        model.eval()
        right = count = 0
        with torch.no_grad():
            for x, y in loader:
                right, count = right + (model(x).argmax(1) == y + 1).sum().item(), count + len(y)
        return right / count

    return on_digits(seed, evaluate=evaluate)


@bug("R59", "logits for probabilities", "evaluation_equals_ours")
def half_on_logits(seed):
    """a threshold of 0.5 on logits"""

    def evaluate(model, loader):
        model.eval()
        right = count = 0
        with torch.no_grad():
            for x, y in loader:
                right, count = right + ((model(x) > 0.5) == (y > 0.5)).sum().item(), count + len(y)
        return right / count

    return on_tumours(seed, evaluate=evaluate)


@bug("R72", "padding in an accuracy over tokens", "evaluation_ignores_padding")
def padding_counted(seed):
    """the accuracy over tokens counts padding as wrong"""
    return on_padded(seed, evaluate=accuracy)
