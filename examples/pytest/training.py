"""A training as one writes it in plain PyTorch: handwritten digits, a small network, clipping and a warm-up."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 8
BATCH_SIZE = 32
LOSS = nn.CrossEntropyLoss(label_smoothing=0.05)


def data() -> tuple[TensorDataset, TensorDataset]:
    """Training and validation examples: (64,) standardised features, and a digit."""
    x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order].float(), y[order]
    x = (x - x[:1200].mean()) / x[:1200].std()
    return TensorDataset(x[:1200], y[:1200]), TensorDataset(x[1200:], y[1200:])


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))


def optimizer(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)


def schedule(optimizer, steps_per_epoch: int, epochs: int):
    """Warm-up over the first 5 % of the steps, then a linear decay to zero."""
    steps = steps_per_epoch * epochs
    warm = max(1, steps // 20)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / (steps - warm))
    )


def train_step(net, optimizer, inputs, targets, loss) -> torch.Tensor:
    optimizer.zero_grad()
    value = loss(net(inputs), targets)
    value.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimizer.step()
    return value.detach()


@torch.no_grad()
def evaluate(net, loader) -> float:
    """Mean loss over all examples, independent of the batch size."""
    was_training = net.training
    net.eval()
    total = sum(LOSS(net(x), y).item() * len(y) for x, y in loader)
    net.train(was_training)
    return total / len(loader.dataset)


def main() -> None:
    torch.manual_seed(0)
    train, val = data()
    loader = DataLoader(train, BATCH_SIZE, shuffle=True)
    net = model()
    steps = optimizer(net)
    rate = schedule(steps, len(loader), EPOCHS)
    for epoch in range(EPOCHS):
        for inputs, targets in loader:
            train_step(net, steps, inputs, targets, LOSS)
            rate.step()
        print(f"epoch {epoch + 1}: validation loss {evaluate(net, DataLoader(val, 256)):.3f}")


if __name__ == "__main__":
    main()
