"""Augmentation of whole batches beside a DataLoader that applies torchvision v2 per example. Prints a Markdown table.

    python benchmarks/augmentation.py                     # 7 rounds, about 3 minutes
    python benchmarks/augmentation.py --rounds 3 --batch 32

Both give shuffled batches of augmented, standardised images in random order: crop and flip, or affine and flip. Ours
gathers a batch from images that lie standardised in memory and augments it at once; `lanes` does so for 16 trainings in
one call. The DataLoader has no workers, as their CPU time would count too; its data set holds PIL images, or tensors in
0..1. CPU time of the process, one thread, medians over rounds; in a round all take turns, and each ratio is of a round:
its median, and the lowest and highest. On shared cores only the ratios mean much.
"""

import argparse
import os
import statistics
import time
from collections import defaultdict

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # read when torch is imported: waiting threads cost no CPU time
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from recipe import rng
from recipe.train.augment import Affine, Compose, Crop, Flip, apply, apply_lanes, on_pictures, stack

SHAPES = {"1x8x8": (1, 8, 8), "3x32x32": (3, 32, 32)}
LANES = 16


def ours(changes: str, pixels: int, mean, std):
    first = Crop(pixels) if changes == "crop" else Affine(5, 0.05, pixels)
    return on_pictures(Compose([first, Flip()]), mean, std)


def theirs(changes: str, pixels: int, side: int, mean, std, pil: bool) -> v2.Compose:
    """The same, as one writes it for torchvision. Its affine fills with black, and rounds shifts to whole pixels."""
    affine = v2.RandomAffine(
        5, (pixels / side, pixels / side), (0.95, 1.05), interpolation=v2.InterpolationMode.BILINEAR
    )
    first = v2.RandomCrop(side, padding=pixels) if changes == "crop" else affine
    begin = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)] if pil else []
    return v2.Compose([*begin, first, v2.RandomHorizontalFlip(), v2.Normalize(mean.flatten(), std.flatten())])


class Examples(Dataset):
    def __init__(self, images: list, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.transform(self.images[i]), self.labels[i]


def rivals(changes: str, shape: tuple[int, int, int], count: int, batch: int) -> dict:
    """name -> a pass over `count` images, or over as many as it says. Gives the images it has augmented."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (count, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (count,), generator=generator)
    x = pictures / 255
    mean, std = x.mean((0, 2, 3))[:, None, None], x.std((0, 2, 3))[:, None, None]
    standardised, pixels, side = (x - mean) / std, max(1, shape[1] // 8), shape[1]
    augment, key = ours(changes, pixels, mean, std), rng.keys([0], "augment")[0]
    stacked, keys = stack([augment] * LANES, batch), rng.keys(list(range(LANES)), "augment")
    pil = [v2.functional.to_pil_image(p) for p in pictures]

    def batches():
        done = 0
        for step, index in enumerate(torch.randperm(count).split(batch)):
            done += len(apply(augment, standardised.index_select(0, index), rng.fold(key, step)))
            labels[index]
        return done

    def lanes():
        done = 0
        orders = torch.stack([torch.randperm(count) for _ in range(LANES)])
        for step, index in enumerate(orders.split(batch, 1)):
            if index.shape[1] == batch:
                x = standardised.index_select(0, index.flatten()).unflatten(0, index.shape)
                seen = apply_lanes(stacked, x, rng.fold(keys, step))
                done += seen.shape[:2].numel()
                labels[index]
        return done

    def loader(images, is_pil):
        transform = theirs(changes, pixels, side, mean, std, is_pil)
        load = DataLoader(Examples(images, labels, transform), batch, shuffle=True, num_workers=0)
        return lambda: sum(len(seen) for seen, _ in load)

    return {"batches": batches, "lanes": lanes, "tensors": loader(list(x), False), "pil": loader(pil, True)}


def cost(work) -> float:
    """CPU microseconds per image, over at least a fifth of a second."""
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < 0.2:
        done += work()
    return spent / done * 1e6


def spread(over: list[float], under: list[float]) -> str:
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, nargs="*", default=[32, 128])
    parser.add_argument("--count", type=int, default=1024, help="images in the data set")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cases = {
        (name, changes, batch): rivals(changes, shape, args.count, batch)
        for name, shape in SHAPES.items()
        for changes in ("crop", "affine")
        for batch in args.batch
    }
    times = defaultdict(list)
    for i in range(args.rounds + 1):
        for case, each in cases.items():
            for who, work in each.items():
                spent = cost(work)
                if i:  # the first round warms up
                    times[case, who].append(spent)
    head = ["images", "and flip", "batch", "recipe, us", f"{LANES} lanes, us", "v2 of tensors, us", "v2 of PIL, us",
            "tensors / recipe", "PIL / recipe", "tensors / lanes", "PIL / lanes"]  # fmt: skip
    print("| " + " | ".join(head) + " |\n|---|---|" + "---:|" * (len(head) - 2))
    for case in cases:
        of = {who: times[case, who] for who in cases[case]}
        middle = [f"{statistics.median(of[who]):.2f}" for who in of]
        ratios = [spread(of[a], of[b]) for b in ("batches", "lanes") for a in ("tensors", "pil")]
        print("| " + " | ".join(map(str, [*case, *middle, *ratios])) + " |")


if __name__ == "__main__":
    main()
