"""Bugs in the data, the split, the preprocessing and the augmentation."""

import numpy as np
import torch
from torch.utils.data import TensorDataset

from bugs.reference import (
    Augmented,
    Net,
    colour,
    digits,
    echoes,
    on_colour,
    on_digits,
    on_echoes,
    on_tumours,
    split,
    tumours,
)
from bugs.registry import bug


def generator(seed):
    return torch.Generator().manual_seed(seed)


@bug(
    "B01",
    "Zhang et al. 2017; Kapoor and Narayanan 2023",
    "labels_fit_inputs",
    "beats_a_blind_model",
    "predictions_settle",
)
def shuffled_apart(seed):
    """features and labels are shuffled separately"""
    x, y = digits()
    return on_digits(seed, **split(x, y[torch.randperm(len(y), generator=generator(seed))], 1000))


@bug("B02", "open-edge-platform/geti#2736; pyg-team/pytorch_geometric#441", "labels_are_in_range")
def from_one(seed):
    """labels 1..C with a head of C+1, class 0 never occurs"""
    x, y = digits()
    return on_digits(seed, model=lambda: Net(classes=11), **split(x, y + 1, 1000))


@bug("B03", "Northcutt et al. 2021", "labels_are_clean")
def wrong_labels(seed):
    """20 % of the training labels are flipped at random (a note)"""
    x, y = digits()
    y = y.clone()
    pick = torch.randperm(1000, generator=generator(seed))[:200]
    y[pick] = (y[pick] + torch.randint(1, 10, (200,), generator=generator(seed))) % 10
    return on_digits(seed, **split(x, y, 1000))


@bug("B04", "Islam et al. 2019; Humbatova et al. 2020", "inputs_are_not_constant", "inputs_are_not_repeated")
def blank_images(seed):
    """4 % blank images kept with their labels"""
    x, y = digits()
    x = x.clone()
    x[torch.randperm(1000, generator=generator(seed))[:40]] = x.min()
    return on_digits(seed, **split(x, y, 1000))


@bug("B05", "zalandoresearch/fashion-mnist#44; Barz and Denzler 2020", "val_is_not_in_train")
def val_in_train(seed):
    """30 % of the validation examples are copied into train"""
    x, y = digits()
    leaked = 1000 + torch.randperm(len(x) - 1000, generator=generator(seed))[:240]
    both = torch.cat([torch.arange(1000), leaked])
    return on_digits(seed, train=TensorDataset(x[both], y[both]))


@bug("B06", "Humbatova et al. 2020", "batches_are_mixed")
def sorted_by_label(seed):
    """the data is sorted by label, and shuffle=False"""
    x, y = digits()
    order = torch.argsort(y[:1000], stable=True)
    return on_digits(seed, train=TensorDataset(x[:1000][order], y[:1000][order]), shuffle=False)


@bug("B07", "Karpathy 2019; Humbatova et al. 2020, missing normalisation", "inputs_are_scaled")
def raw_pixels(seed):
    """inputs are 0..255 instead of 0..1"""
    x, y = digits()
    x = (x - x.min()) / (x.max() - x.min()) * 255
    return on_digits(seed, **split(x, y, 1000))


@bug("B08", "4uiiurz1/pytorch-nested-unet#62; pkmital/pycadl#5", "inputs_are_scaled", "eval_mode_knows_it_too")
def scaled_twice(seed):
    """inputs are divided by 255 twice"""
    x, y = digits()
    x = (x - x.min()) / (x.max() - x.min()) / 255
    return on_digits(seed, **split(x, y, 1000))


@bug("B09", "PolymathicAI/the_well#68; nttcslab/byol-a#5", "val_is_prepared_like_train")
def val_not_normalised(seed):
    """validation images are not normalised like training"""
    x, y = digits()
    raw = (x - x.min()) / (x.max() - x.min())
    return on_digits(seed, val=TensorDataset(raw[1000:], y[1000:]))


@bug("B10", "Karpathy, most common mistakes, no. 6; zhouhaoyi/Informer2020#59", "pixels_are_in_place")
def reshaped_to_channels_first(seed):
    """an (H, W, C) buffer is reshaped to (C, H, W) instead of permuted"""
    x, y = colour()
    scrambled = x.permute(0, 2, 3, 1).contiguous().reshape(x.shape)
    return on_colour(seed, **split(scrambled, y, 1000))


@bug("B30", "robertklee/COCO-Human-Pose#29; zllrunning/face-parsing.PyTorch#26", "augmentation_keeps_the_label")
def turned_digits(seed):
    """half of the digits are turned by 180 degrees as augmentation: 6 becomes 9"""
    return on_digits(seed, augment=lambda x: x.flip(-1, -2) if torch.rand(()) < 0.5 else x)


def noise_from(rng):
    return lambda x: x + 0.1 * torch.tensor(rng.standard_normal(x.shape)).float()


@bug("B31", "Pärnamaa 2021; pytorch/pytorch#56488", "workers_draw_their_own")
def generator_in_the_data_set(seed):
    """the augmentation draws from a generator that the data set holds, with 2 workers"""
    data = TensorDataset(*(t[:1000] for t in digits()))
    return on_digits(seed, train_augmented=Augmented(data, noise_from(np.random.default_rng(seed))), workers=2)


# ---- of the same families ------------------------------------------------------------------------------------------


@bug("R01", "Kapoor and Narayanan 2023, target among the features", "targets_are_not_in_the_inputs")
def target_in_features(seed):
    """the target column is still among the features"""
    x, y = tumours()
    x = x.clone()
    x[:, 7] = y
    return on_tumours(seed, **split(x, y, 400))


@bug(
    "R02", "torchvision ImageFolder: classes are numbered per folder", "val_is_labelled_like_train", "val_follows_train"
)
def own_class_numbers(seed):
    """val numbers its classes in another order than train"""
    x, y = digits()
    return on_digits(seed, val=TensorDataset(x[1000:], 9 - y[1000:]))


@bug("R03", "OpenCV reads BGR, PIL reads RGB", "val_is_prepared_like_train")
def other_channel_order(seed):
    """val has its channels in another order"""
    x, y = colour()
    x = x * torch.tensor([1.0, 0.6, 0.3])[:, None, None]
    return on_colour(seed, train=TensorDataset(x[:1000], y[:1000]), val=TensorDataset(x[1000:].flip(1), y[1000:]))


@bug("R04", "numpy row/column order", "val_is_prepared_like_train")
def transposed_val(seed):
    """val images are transposed"""
    x, y = digits()
    return on_digits(seed, val=TensorDataset(x[1000:].transpose(2, 3), y[1000:]))


@bug("R05", "a missing value that became NaN", "inputs_are_finite")
def one_nan(seed):
    """one column has a missing value"""
    x, y = tumours()
    x = x.clone()
    x[17, 3] = torch.nan
    return on_tumours(seed, **split(x, y, 400))


@bug("R06", "near copies: Barz and Denzler 2020", "val_is_not_in_train")
def near_copies(seed):
    """a tenth of val is in train as well, recompressed"""
    x, y = digits()
    copies = x[1000:1080] + 0.02 * torch.randn(x[1000:1080].shape, generator=generator(seed))
    return on_digits(seed, train=TensorDataset(torch.cat([x[:1000], copies]), torch.cat([y[:1000], y[1000:1080]])))


@bug("R07", "train transform used for val", "val_is_not_augmented")
def augmented_val(seed):
    """the training transform is applied to val too"""
    data = TensorDataset(*(t[1000:] for t in digits()))
    return on_digits(seed, val=Augmented(data, lambda x: torch.roll(x, int(torch.randint(-1, 2, ())), -1)))


@bug("R08", "cutout larger than the image", "augmentation_keeps_the_input", "inputs_are_not_constant")
def erased(seed):
    """random erasing wipes out a fifth of the images"""
    return on_digits(seed, augment=lambda x: torch.zeros_like(x) if torch.rand(()) < 0.2 else x)


@bug("R09", "parameters drawn when the transform was built", "augmentation_is_random")
def drawn_once(seed):
    """the shift of the augmentation is drawn once for all"""
    shift = seed % 2 + 1
    return on_digits(seed, augment=lambda x: torch.roll(x, shift, -1))


@bug("R10", "Kapoor and Narayanan 2023, groups in both splits", "groups_do_not_meet")
def groups_meet(seed):
    """the same writers are in train and in val"""
    return on_digits(seed, groups=(list(range(40)), list(range(35, 60))))


@bug(
    "R11",
    "a filter on one list and not on the other",
    "labels_fit_inputs",
    "beats_a_blind_model",
)
def off_by_one_row(seed):
    """train labels are shifted by one row"""
    x, y = digits()
    return on_digits(seed, train=TensorDataset(x[:1000], y[:1000].roll(1)))


@bug("R12", "a class that the split lost", "label_shares_agree")
def class_missing_from_val(seed):
    """val has no example of one class"""
    x, y = digits()
    keep = y[1000:] != 3
    return on_digits(seed, val=TensorDataset(x[1000:][keep], y[1000:][keep]))


@bug("R13", "collate that sorts only the inputs", "labels_fit_inputs", "beats_a_blind_model", "training_loss_falls")
def sorting_collate(seed):
    """collate sorts the inputs by brightness, and not their labels"""

    def collate(items):
        x, y = torch.utils.data.default_collate(items)
        return x[x.flatten(1).mean(1).argsort()], y

    return on_digits(seed, collate=collate)


@bug("R14", "inputs that were not shifted", "targets_are_not_in_the_inputs")
def not_shifted(seed):
    """the targets of a next-token task are the inputs themselves"""
    x, _ = echoes()
    return on_echoes(seed, **split(x, x, 900))


@bug("R15", "duplicates made before the split", "inputs_are_not_repeated", "val_is_not_in_train")
def oversampled_before_the_split(seed):
    """examples are oversampled before the split is drawn"""
    x, y = digits()
    order = torch.randperm(2 * 900, generator=generator(seed)) % 900
    return on_digits(seed, **split(x[order], y[order], 1300))


@bug("R16", "a channel filled with a constant", "channels_vary")
def lost_channel(seed):
    """the third of three channels is zero"""
    x, y = colour()
    return on_colour(seed, **split(x * torch.tensor([1.0, 1.0, 0.0])[:, None, None], y, 1000))


@bug("R17", "a list shuffled in one of two data sets", "augmentation_pairs_inputs_with_labels")
def other_order(seed):
    """the augmented data set holds its labels in another order"""
    x, y = (t[:1000] for t in digits())
    return on_digits(
        seed, train_augmented=Augmented(TensorDataset(x, y.flip(0)), lambda x: x + 0.1 * torch.randn(x.shape))
    )


@bug("R18", "an index drawn at random", "targets_stay")
def random_label(seed):
    """the label is read at another, random index"""
    x, y = (t[:1000] for t in digits())

    class Wrong(torch.utils.data.Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, i):
            return x[i], y[int(torch.randint(1000, ()))]

    return on_digits(seed, train=Wrong())
