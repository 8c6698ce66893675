"""A pretrained network without its classifier, frozen, as a source of features; images prepared as for its training.

timm builds the network (Wightman 2019, PyTorch image models), and its own configuration says how its images must be
prepared: mean, std, size, interpolation. With ImageNet's usual mean and std instead of these, the top-1 accuracy of
an EfficientNet-lite0 falls from 85.4 to 67.3 %, and nothing raises an error.
"""

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipe.errors import RecipeError
from recipe.models.plain import Centre

HUB = "hub"  # in place of a file: the only word for which the network is asked
PICKLED = (".pth", ".pt", ".bin")  # read with weights_only=True, which runs no code
NESTED = ("state_dict", "model")  # under which a checkpoint of a training may hold its weights
# Images at a time, always as many: what is lacking is filled up, so that the bits of an image's features do not depend
# on how many others there are. On a core an EfficientNet-lite0 is fastest with 4: 20 ms for an image of 192 pixels.
AT_ONCE = {"cpu": 4, "cuda": 64}
LARGEST = 2048  # pixels of a side for which a network was trained
INSTALL = "pip install -c constraints.txt -e '.[images]'"


@dataclass(frozen=True)
class Backbone:
    """What turns images into features, with the facts of its pretraining.

    mean, std: per channel, of images in 0..1. size: height and width of its pretraining; fixed: it takes no other one.
    crop: the share of an image's side that it was evaluated on. weights: SHA-256 of its numbers. left_out: entries of
    the file that are not part of it, its classifier. notes: what reading the weights found odd.
    """

    name: str
    net: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    fixed: bool
    interpolation: str
    crop: float
    weights: str
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.net.parameters())

    @property
    def width(self) -> int:
        """Numbers of an image's features."""
        side = next(self.net.parameters()).new_zeros(1, 3, *self.size)
        with torch.no_grad():
            return self.net(side).shape[1]

    @property
    def facts(self) -> dict[str, Any]:
        """All but the network, as JSON and YAML have it."""
        names = ("name", "mean", "std", "size", "fixed", "interpolation", "crop", "weights", "left_out", "notes")
        values = {name: getattr(self, name) for name in names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def prepared(self, images: Tensor, window: tuple[int, int] | None = None) -> Tensor:
        """(N, 3, H, W) float32, standardised as in its pretraining.

        images: (N, C, H, W) as they are stored, bytes or 0..1, in grey or colour. window: height and width of the
        middle part that enters. Of a network for one size alone, they are brought to it.
        """
        x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        x = Centre(*window)(x) if window else x
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if self.fixed and tuple(x.shape[2:]) != self.size:
            x = F.interpolate(x, self.size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(v, device=x.device).view(-1, 1, 1) for v in (self.mean, self.std))
        return (x - mean) / std

    def pictures(self, prepared: Tensor) -> Tensor:
        """What `prepared` gives, back in 0..1, to be looked at."""
        mean, std = (torch.tensor(v, device=prepared.device).view(-1, 1, 1) for v in (self.mean, self.std))
        return (prepared * std + mean).clamp(0, 1)

    def features(self, images: Tensor, window: tuple[int, int] | None = None) -> Tensor:
        """(N, D) float32 of images as `prepared` takes them; on a GPU computed in bfloat16."""
        device = images.device.type
        count = AT_ONCE.get(device, AT_ONCE["cpu"])
        parts = [self._of_batch(part, count, window, device) for part in images.split(count)]
        return torch.cat(parts)

    def outputs(self, images: Tensor, window: tuple[int, int] | None = None) -> Tensor:
        """As `features`, with gradients where the network has them."""
        parts = images.split(AT_ONCE.get(images.device.type, AT_ONCE["cpu"]))
        prepared = (self.prepared(part, window).contiguous(memory_format=torch.channels_last) for part in parts)
        return torch.cat([self.net(x).float() for x in prepared])

    def _of_batch(self, images: Tensor, count: int, window: tuple[int, int] | None, device: str) -> Tensor:
        lacking = count - len(images)
        filled = torch.cat([images, images[:1].expand(lacking, -1, -1, -1)]) if lacking else images
        x = self.prepared(filled, window).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            return self.net(x).float()[: len(images)]


def load_backbone(name: str, weights: str, device: str = "cpu") -> Backbone:
    """A backbone by its timm name. weights: a .safetensors or .pth file, a folder that holds one, or `hub`.

    Nothing may be missing, and nothing be left over but the classifier. Raises RecipeError where timm or the file is
    missing, the name is unknown, or the file holds the weights of another network.
    """
    timm = _timm()
    _require_name(timm, name)
    if weights == HUB:
        return _of(timm, name, _from_hub(timm, name), device)
    file = weights_file(weights)
    return _of(timm, name, _read(file), device, f"{file}: ")


def restored(facts: Mapping[str, Any], file: Path, device: str = "cpu") -> Backbone:
    """A backbone from what `Backbone.facts` and `state_of` gave; nothing but numbers is read, and no network is asked.

    Raises RecipeError, and ValueError, TypeError or LookupError for facts that are none.
    """
    timm, name = _timm(), str(facts["name"])
    _require_name(timm, name)
    mean, std = (tuple(map(float, facts[key])) for key in ("mean", "std"))
    height, width = map(int, facts["size"])
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or not 0 < min(height, width) <= max(height, width) <= LARGEST:
        raise ValueError(f"mean and std are three numbers each, and a size is at most {LARGEST} pixels")
    made = _of(timm, name, _read(file), device, f"{file}: ")
    return Backbone(
        name, made.net, mean, std, (height, width), bool(facts["fixed"]), str(facts["interpolation"]),
        float(facts["crop"]), made.weights,
    )  # fmt: skip


def state_of(net: nn.Module) -> dict[str, Tensor]:
    """Its weights, on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}


def weights_file(path: str) -> Path:
    """The file of weights that a path names: itself, or in a folder model.safetensors, else the only one."""
    place = Path(path).expanduser()
    if place.is_file():
        return place
    if not place.is_dir():
        raise RecipeError(
            f"`weights: {path}` is neither a file nor a folder. Name a .safetensors or .pth file, or write "
            f"`weights: {HUB}` to fetch those that timm has for this backbone."
        )
    if (usual := place / "model.safetensors").is_file():
        return usual
    files = sorted(f for f in place.iterdir() if f.suffix in (".safetensors", *PICKLED))
    if len(files) != 1:
        raise RecipeError(f"`weights: {path}` holds {len(files)} files of weights; name one of them.")
    return files[0]


# ---- reading weights ---------------------------------------------------------------------------------------------


def _timm() -> ModuleType:
    try:
        import timm  # here: it is optional, and takes seconds to import
    except ImportError as error:
        raise RecipeError(f"a pretrained backbone needs timm ({error}): {INSTALL}") from None
    return timm


def _require_name(timm: ModuleType, name: str) -> None:
    """Only names of networks that timm builds itself: it would take an address on a hub, or a folder, as well."""
    if ":" not in name and "/" not in name and timm.is_model(name):
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3)
    advice = "timm.list_models() lists them."
    if near:
        advice = f"did you mean {' or '.join(f'`{one}`' for one in near)}?"
    raise RecipeError(f"timm has no network `{name[:80]}`; {advice}")


def _from_hub(timm: ModuleType, name: str) -> dict[str, Tensor]:
    try:
        return dict(timm.create_model(name, pretrained=True).state_dict())
    except Exception as error:  # no network, no such weights, a full disk
        raise RecipeError(
            f"`weights: {HUB}`: the weights of `{name}` cannot be fetched ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}). Fetch them elsewhere, and name the file: "
            f"`weights: model.safetensors`."
        ) from None


def _read(file: Path) -> dict[str, Tensor]:
    """{name: numbers} of a file of weights. Raises RecipeError where it holds anything else."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        if file.suffix not in PICKLED:
            raise ValueError("its name must end in .safetensors or .pth")
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise RecipeError(f"{file} cannot be read as weights: {str(error).splitlines()[0]}") from None
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise RecipeError(f"{file} holds no weights by name, as torch.save(net.state_dict(), file) writes them.")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _of(timm: ModuleType, name: str, state: dict[str, Tensor], device: str, where: str = "") -> Backbone:
    net: Any = timm.create_model(name, pretrained=False, num_classes=0)
    config = net.pretrained_cfg
    state, left_out, notes = _matched(timm, name, net, state, where)
    net.load_state_dict(state, strict=True)
    net.eval().requires_grad_(False)
    _, height, width = config["input_size"]
    fixed = bool(config.get("fixed_input_size"))
    return Backbone(
        name, net.to(device, memory_format=torch.channels_last), tuple(config["mean"]), tuple(config["std"]),
        (height, width), fixed, config.get("interpolation", "bilinear"), config.get("crop_pct", 1.0), sha256_of(state),
        left_out, notes,
    )  # fmt: skip


def _matched(
    timm: ModuleType, name: str, net: Any, state: dict[str, Tensor], where: str
) -> tuple[dict[str, Tensor], tuple[str, ...], tuple[str, ...]]:
    """(the weights of `net`, names of the classifier's entries, notes)

    Where the names differ, entries are matched by their order, if count, shapes and the last word of each name agree:
    one who published weights may have named the modules otherwise.
    """
    own = net.state_dict()
    heads = net.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    left_out = tuple(key for key in state if key not in own and key.startswith(tuple(f"{head}." for head in heads)))
    body = {key: value for key, value in state.items() if key not in left_out}
    notes: tuple[str, ...] = ()
    if body.keys() != own.keys():
        whole = timm.create_model(name, pretrained=False).state_dict()
        names = next((list(keys) for keys in (whole, own) if _same_order(keys, state)), None)
        if names is None:
            raise RecipeError(f"{where}{_difference(name, own, body)}")
        renamed = dict(zip(names, state.values(), strict=True))
        body = {key: value for key, value in renamed.items() if key in own}
        left_out = tuple(key for key in renamed if key not in own)
        theirs, ours = next((a, b) for a, b in zip(state, names, strict=True) if a != b)
        notes = (
            f"its {len(state)} weights have other names than timm's (`{theirs}` for `{ours}`): they were matched by "
            "their order, in which all shapes agree",
        )
    if wrong := [key for key, value in body.items() if value.shape != own[key].shape]:
        raise RecipeError(
            f"{where}`{wrong[0]}` is {tuple(body[wrong[0]].shape)}, and in `{name}` {tuple(own[wrong[0]].shape)}: "
            "these are the weights of another network."
        )
    return {key: body[key].to(own[key].dtype) for key in own}, left_out, notes


def _same_order(known: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    if len(known) != len(state):
        return False
    pairs = zip(known.items(), state.items(), strict=True)
    return all(
        a.shape == b.shape and key.rsplit(".", 1)[-1] == other.rsplit(".", 1)[-1] for (key, a), (other, b) in pairs
    )


def _difference(name: str, own: Mapping[str, Tensor], body: Mapping[str, Tensor]) -> str:
    missing, unknown = ([k for k in a if k not in b] for a, b in ((own, body), (body, own)))
    named = ("missing", missing), ("unknown", unknown)
    parts = [f"{len(keys)} are {word}, as `{keys[0]}`" for word, keys in named if keys]
    return (
        f"of the {len(own)} weights of `{name}`, {' and '.join(parts)}: these are the weights of another network. Name "
        "the one that they belong to as `backbone`."
    )


def sha256_of(state: Mapping[str, Tensor]) -> str:
    """Of names, types, shapes and numbers."""
    content = hashlib.sha256()
    for name, value in state.items():
        content.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return content.hexdigest()
