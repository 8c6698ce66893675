"""Bugs in the model and in the loss."""

import torch
from torch import nn
from torch.nn import functional as F

from bugs.reference import (
    Net,
    Reader,
    Scalar,
    adam,
    colour,
    diabetes,
    mlp,
    on_colour,
    on_diabetes,
    on_digits,
    on_echoes,
    on_padded,
    on_tumours,
    split,
    tumours,
)
from bugs.registry import bug


class Wrapped(nn.Module):
    """A healthy net with something done to what goes in or comes out."""

    def __init__(self, net=None, before=lambda x: x, after=lambda z: z):
        super().__init__()
        self.net, self.before, self.after = net or Net(), before, after

    def forward(self, x):
        return self.after(self.net(self.before(x)))


@bug("B11", "Karpathy, no. 4; shaoxiongji/federated-learning#9", "outputs_are_not_squashed", "overfit_one_batch")
def softmax_twice(seed):
    """softmax inside the model, then cross-entropy"""
    return on_digits(seed, model=lambda: Wrapped(after=lambda z: z.softmax(1)))


@bug("B12", "Humbatova et al. 2020, wrong API usage", "batch_is_independent", "loss_at_init")
def softmax_over_the_batch(seed):
    """log_softmax over dimension 0, with NLLLoss"""
    return on_digits(seed, model=lambda: Wrapped(after=lambda z: z.log_softmax(0)), loss=nn.NLLLoss())


@bug("B13", "Karpathy, no. 6; Jingkang50/OpenPSG#56", "batch_is_independent", "evaluation_ignores_batches")
def samples_mixed(seed):
    """permute(1, 0, 2, 3).reshape(B, -1) mixes the examples"""

    class Mixing(Net):
        def forward(self, x):
            h = self.body(x)
            return self.head(self.drop(h.permute(1, 0, 2, 3).reshape(len(x), -1)))

    return on_digits(seed, model=Mixing)


@bug("B14", "maruya24/pytorch_robotics_transformer#3", "parameters_are_registered")
def layers_in_a_list(seed):
    """hidden layers are kept in a plain list"""

    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(64, 64), nn.Linear(64, 64)]
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            x = x.flatten(1)
            for layer in self.layers:
                x = layer(x).relu()
            return self.head(x)

    return on_digits(seed, model=Listed)


@bug("B15", "huggingface/torchMoji#21", "every_parameter_moves", "outputs_depend_on_inputs", "every_input_is_used")
def detached(seed):
    """features are detached before the head"""

    class Detached(Net):
        def forward(self, x):
            return self.head(self.drop(self.body(x).flatten(1).detach()))

    return on_digits(seed, model=Detached)


@bug(
    "B16",
    "Lu et al. 2020, Dying ReLU",
    "units_are_alive",
    "outputs_depend_on_inputs",
    "every_parameter_moves",
)
def dead_layer(seed):
    """a whole ReLU layer is dead"""

    def net():
        model = mlp(64, 10)
        model[0].bias.data.fill_(-10)
        return nn.Sequential(nn.Flatten(), model)

    return on_digits(seed, model=net)


@bug("B17", "Humbatova et al. 2020, wrong weight initialisation", "loss_at_init")
def wild_weights(seed):
    """all weights are drawn from N(0, 1)"""

    def net():
        model = Net()
        for p in model.parameters():
            nn.init.normal_(p)
        return model

    return on_digits(seed, model=net)


class Column(nn.Module):
    """(B, 1) where (B,) was meant."""

    def __init__(self, inputs: int):
        super().__init__()
        self.net = mlp(inputs, 1)

    def forward(self, x):
        return self.net(x)


@bug("B18", "PyTorch's warning on mse_loss", "loss_wants_the_targets", "overfit_one_batch")
def broadcast(seed):
    """outputs (N, 1) against targets (N,) in MSE"""
    return on_diabetes(seed, model=lambda: Column(10))


@bug("B19", "itakurah/focal-loss-pytorch#5; yudi-mars/daisyRec#15", "outputs_are_not_squashed", "overfit_one_batch")
def sigmoid_twice(seed):
    """a sigmoid in the model and BCE with logits"""
    return on_tumours(seed, model=lambda: Wrapped(Scalar(30), after=torch.sigmoid))


@bug("B20", "Humbatova et al. 2020, wrong loss function", "loss_is_bounded")
def nll_on_logits(seed):
    """NLLLoss on raw logits"""
    return on_digits(seed, loss=nn.NLLLoss())


@bug("B25", "PyTorch forum 84911", "nothing_is_frozen_by_mistake")
def body_frozen(seed):
    """the body was left with requires_grad=False"""

    def net():
        model = Net()
        model.body.requires_grad_(False)
        return model

    return on_digits(seed, model=net)


# ---- of the same families ------------------------------------------------------------------------------------------


@bug("R20", "Goodfellow et al. 2016, symmetry", "units_differ")
def constant_weights(seed):
    """all weights start at one constant"""

    def net():
        model = nn.Sequential(nn.Flatten(), mlp(64, 10))
        for p in model.parameters():
            nn.init.constant_(p, 0.02)
        return model

    return on_digits(seed, model=net)


@bug("R21", "list multiplication", "layers_are_their_own")
def one_layer_thrice(seed):
    """[layer] * 3 is one layer three times"""
    return on_digits(
        seed, model=lambda: nn.Sequential(nn.Flatten(), *[nn.Linear(64, 64), nn.ReLU()] * 3, nn.Linear(64, 10))
    )


@bug("R22", "F.dropout's default is training=True", "eval_mode_is_still", "evaluation_repeats")
def dropout_for_ever(seed):
    """F.dropout without training=self.training"""

    class Dropping(Net):
        def forward(self, x):
            return self.head(F.dropout(self.body(x).flatten(1), 0.25))

    return on_digits(seed, model=Dropping)


@bug("R23", "Vaswani et al. 2017, masking", "the_future_is_hidden")
def no_mask(seed):
    """the causal mask is missing"""
    return on_echoes(seed, model=lambda: Reader(causal=False))


@bug("R24", "time first for batch first", "batch_is_independent")
def batch_as_time(seed):
    """attention runs over the batch: batch_first was forgotten"""

    class Mixed(Reader):
        def __init__(self):
            super().__init__(causal=False)
            self.attention = nn.MultiheadAttention(32, 4)

    return on_echoes(seed, model=Mixed)


@bug("R25", "a slice left from debugging", "every_input_is_used")
def one_channel_of_three(seed):
    """only the first of three channels is used"""
    return on_colour(seed, model=lambda: Wrapped(Net(), before=lambda x: x[:, :1]))


@bug("R26", "ignore_index of a real class", "loss_hears_every_example", "loss_wants_the_targets")
def class_ignored(seed):
    """ignore_index=0, where 0 is a class"""
    return on_digits(seed, loss=nn.CrossEntropyLoss(ignore_index=0))


@bug("R27", "torch.nn losses, reduction", "loss_is_a_mean")
def summed(seed):
    """the loss is summed over the batch"""
    return on_digits(seed, loss=nn.CrossEntropyLoss(reduction="sum"))


@bug("R28", "sign of the loss", "loss_is_bounded", "loss_wants_the_targets")
def climbs(seed):
    """the loss has the wrong sign"""
    return on_digits(seed, loss=lambda z, y: -F.cross_entropy(z, y))


@bug("R29", "ReLU after the last layer", "outputs_are_not_squashed", "overfit_one_batch")
def relu_at_the_end(seed):
    """a ReLU after the last layer of a regression"""
    return on_diabetes(seed, model=lambda: Wrapped(Scalar(10), after=torch.relu))


@bug("R30", "momentum in another library's sense", "statistics_move")
def statistics_stand_still(seed):
    """batch norm with momentum 0: its running statistics never move"""

    def net():
        model = Net()
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = 0.0
        return model

    return on_digits(seed, model=net)


@bug("R31", "a plain attribute instead of a buffer", "a_checkpoint_holds_the_model")
def statistics_not_saved(seed):
    """a running mean of the features is kept in an attribute"""

    class Centred(Net):
        mean = 0.0

        def forward(self, x):
            h = self.body(x).flatten(1)
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * h.detach().mean(0)
            return self.head(self.drop(h - self.mean))

    return on_digits(seed, model=Centred)


@bug("R32", "Karpathy, no. 6", "pixels_are_in_place")
def viewed_inside(seed):
    """the model views (B, H, W, C) as (B, C, H, W)"""
    x, y = colour()
    x = x.permute(0, 2, 3, 1).contiguous()
    model = lambda: Wrapped(Net(channels=3), before=lambda t: t.reshape(len(t), 3, 8, 8))  # noqa: E731
    return on_colour(seed, model=model, **split(x, y, 1000))


@bug("R33", "init of the final bias", "loss_at_init", "final_bias_fits")
def far_from_the_mean(seed):
    """a regression on raw targets, its head at zero"""
    x, y = diabetes()
    return on_diabetes(seed, optimizer=adam(0.1), **split(x, 150 + 75 * y, 320))


@bug("R34", "dropout after the last layer", "outputs_are_not_dropped")
def logits_dropped(seed):
    """a dropout after the last layer"""
    return on_digits(seed, model=lambda: nn.Sequential(Net(), nn.Dropout(0.3)))


@bug(
    "R35",
    "hidden state kept between batches",
    "eval_mode_is_still",
)
def state_carried_over(seed):
    """a recurrent net keeps its hidden state from one batch to the next"""

    class Carrying(nn.Module):
        state = None

        def __init__(self):
            super().__init__()
            self.read, self.head = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 10)

        def forward(self, x):
            if self.state is not None and self.state.shape[1] != len(x):
                self.state = None
            out, state = self.read(x[:, 0], self.state)
            self.state = state.detach()
            return self.head(out[:, -1])

    return on_digits(seed, model=Carrying)


@bug("R36", "labels of -1 and 1", "loss_is_bounded")
def signs_for_bce(seed):
    """labels -1 and 1 in a cross-entropy for 0 and 1"""
    x, y = tumours()
    return on_tumours(seed, **split(x, 2 * y - 1, 400))


@bug("R37", "Humbatova et al. 2020, wrong weight initialisation", "losses_are_finite", "training_loss_falls")
def log_of_zero(seed):
    """the loss takes the logarithm of a probability that can be zero"""

    def loss(z, y):
        return -torch.log(z.softmax(1)[torch.arange(len(y)), y]).mean()

    return on_digits(seed, loss=loss, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=30.0))


@bug(
    "R38",
    "inputs that never arrive",
    "inputs_are_scaled",
    "outputs_depend_on_inputs",
    "every_input_is_used",
    "beats_a_blind_model",
    "inputs_of_others_are_worse",
)
def blind(seed):
    """the inputs are multiplied by zero"""
    return on_digits(seed, model=lambda: Wrapped(before=lambda x: 0 * x))


@bug("R39", "a centring over the batch", "batch_is_independent_in_training")
def centred_by_the_batch(seed):
    """features are centred over the batch while training"""

    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = mlp(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            h = self.body(x.flatten(1))
            return self.head(h - h.mean(0) if self.training else h)

    return on_digits(seed, model=Centred)


@bug("R66", "the logarithm is forgotten", "loss_is_bounded")
def probabilities_for_nll(seed):
    """softmax and NLLLoss, without a logarithm"""
    return on_digits(seed, model=lambda: nn.Sequential(Net(), nn.Softmax(1)), loss=nn.NLLLoss())


@bug("R19", "Humbatova et al. 2020, wrong weight initialisation", "scale_is_kept")
def vanishing_weights(seed):
    """the hidden weights are drawn far too small, without a norm layer"""

    def net():
        layers = [nn.Linear(64, 64) for _ in range(3)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=1e-4)
            nn.init.zeros_(layer.bias)
        return nn.Sequential(nn.Flatten(), *[m for layer in layers for m in (layer, nn.ReLU())], nn.Linear(64, 10))

    return on_digits(seed, model=net)


@bug("R73", "PyTorch documentation, torch.nn.Embedding, padding_idx", "padding_is_no_token")
def word_for_padding(seed):
    """padding_idx is 0, and 0 is a word"""

    def reader():
        model = Reader(kinds=7)
        model.token.padding_idx = 0
        return model

    return on_padded(seed, model=reader)


@bug("R74", "Keras and PyTorch mean opposite things by momentum", "statistics_move")
def last_batch_only(seed):
    """batch norm with a momentum of 1: its running statistics are those of the last batch"""

    def net():
        model = Net()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        return model

    return on_digits(seed, model=net)
