"""The final system as a folder: all that leads from a user's file to predictions.

system.yaml             the task, the form of an input and how a file becomes one, its scale, the range of the training
                        examples, the members, their calibration, the half-widths of the intervals of quantities
members/*.safetensors   their weights
backbone.safetensors    the weights of the frozen network of whose features the members are heads, where there is one; a
                        member whose config says `unfreeze` holds the whole network as it was trained

The same system is the same bytes, and system.yaml has the SHA-256 of every file. Weights are numbers and never run.
The Python that the members are built of (`_target_`) is named by system.yaml, so a folder may come from anywhere: what
is built is limited to recipe.serve.allowed_targets, and everything else needs the user's consent (`trust`).
"""

import math
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from recipe.config.changes import change
from recipe.config.instantiate import backbone_of, place, plain
from recipe.data.batches import Data
from recipe.data.streaming import Standardization
from recipe.data.tokens import Tokenizer, tokens_of
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.files import present, read_json
from recipe.metrics.scores import weighted
from recipe.models import backbone as of_images
from recipe.models import encoder as of_texts
from recipe.models.backbone import Backbone
from recipe.models.encoder import Encoder
from recipe.models.fine_tuned import NONE, FineTuned
from recipe.serve import saved_tokenizer
from recipe.serve.allowed_targets import VARIABLE, consent_message, refused_targets
from recipe.serve.input_drift import TrainingRange, drift, drift_of_texts, training_range
from recipe.serve.inputs import FACTS, InputForm
from recipe.serve.integrity import ANEW, checked_name, read_description, sha256, verified, write_description
from recipe.tasks.answers import Answers
from recipe.tasks.read import task_of
from recipe.tasks.task import Task
from recipe.train.checkpoint import load_weights, save_weights
from recipe.verdict import cause

FORMAT = 9
BACKBONE = "backbone.safetensors"
BATCH = 1000  # inputs at a time
CHOSEN = "calibration", "half_widths", "thresholds"  # on validation


@dataclass(frozen=True)
class System:
    """Members whose predictions are averaged. counts: how often each of them counts. calibration: parameters of
    `Task.calibrated`. half_widths: of the 90 % intervals of quantities; thresholds: from which labels, or one of two
    classes, are predicted; each empty of other tasks.

    scales, tasks: of each fold of a cross-validation, what standardises the inputs and turns outputs into predictions;
    without folds one of each. tokenizers: of texts, in place of scales. folds: of each member, which of them it was
    trained in. backbone: what the inputs go through first, once for all members that are heads.
    """

    form: InputForm
    scales: list[Standardization]
    tasks: list[Task]
    training_range: TrainingRange
    members: list[nn.Module]
    folds: list[int]
    counts: list[int]
    calibration: tuple[float, ...]
    half_widths: tuple[float, ...]
    thresholds: tuple[float, ...]
    device: str
    tokenizers: list[Tokenizer] = field(default_factory=list)
    backbone: Backbone | Encoder | None = None

    @property
    def task(self) -> Task:
        return self.tasks[0]

    @property
    def scale(self) -> Standardization:
        return self.scales[0]

    def of_fold(self, fold: int) -> "System":
        """The members of one fold, none of which was trained on its validation part; without folds 0 has them all."""
        its = [i for i, of in enumerate(self.folds) if of == fold]
        return replace(
            self, members=[self.members[i] for i in its], counts=[self.counts[i] for i in its], folds=[0] * len(its),
            scales=self.scales[fold : fold + 1], tasks=[self.tasks[fold]], tokenizers=self.tokenizers[fold : fold + 1],
        )  # fmt: skip

    @property
    def answers(self) -> Answers:
        return self.task.answers(self.half_widths, self.thresholds)

    def predict(self, inputs: np.ndarray) -> Tensor:
        """Predictions (N, K), float64, of inputs (N, C, H, W) or (N, F) as `prepare` stores them: not standardised.

        inputs may be a memory map: `BATCH` of them are read at a time; of texts it is an array of strings (N,). Raises
        RecipeError for another shape or type.
        """
        if self.form.kind.axes and (tuple(inputs.shape[1:]), inputs.dtype.name) != (self.form.shape, self.form.dtype):
            raise RecipeError(f"inputs {inputs.dtype} {inputs.shape}: the model was trained on {self.form} each.")
        parts = (np.array(inputs[at : at + BATCH]) for at in range(0, len(inputs), BATCH))
        batches = [self.average(self._of_stored(part)) for part in parts]
        return torch.cat(batches) if batches else torch.empty(0, self.task.width, dtype=torch.float64)

    def drift(self, inputs: np.ndarray) -> list[str]:
        """How each of these inputs differs from the training examples (serve.input_drift); empty where it does not."""
        if isinstance(self.backbone, Encoder):
            return [""] * len(inputs)
        if self.tokenizers:
            return drift_of_texts(self.training_range, self.tokenizers[0].encode(inputs.tolist()))
        return drift(self.training_range, torch.from_numpy(inputs).float() / _top(self.form), self.form.columns)

    @property
    def fine_tuned(self) -> bool:
        """Whether a member holds a fine-tuned body, and needs the inputs in place of features."""
        return any(isinstance(member, FineTuned) for member in self.members)

    def member_predictions(self, *x: Tensor, raw: Tensor | None = None) -> Tensor:
        """Each member's predictions (M, N, K), float64. x: the inputs as they enter the nets, standardised like each
        fold. raw: images in 0..1 or tokens, for members that hold a fine-tuned body."""
        with torch.no_grad():
            outputs = [
                member(raw if isinstance(member, FineTuned) else x[fold])
                for member, fold in zip(self.members, self.folds, strict=True)
            ]
        each = zip(outputs, self.folds, strict=True)
        return torch.stack([self.tasks[fold].predict(out).cpu() for out, fold in each])

    def average(self, p: Tensor) -> Tensor:
        """The system's predictions (N, K) from the members' p (M, N, K)."""
        return self.task.calibrated(weighted(p, self.counts), self.calibration)

    def _of_stored(self, stored: np.ndarray) -> Tensor:
        """Each member's predictions (M, N, K) of inputs as `predict` takes them."""
        if not self.fine_tuned:
            return self.member_predictions(*self._entering(stored))
        if isinstance(self.backbone, Encoder):
            raw = tokens_of(self.backbone.facts, stored.tolist()).to(self.device)
        else:
            raw = torch.from_numpy(stored).to(self.device).float().div_(_top(self.form).to(self.device))
        heads = not all(isinstance(member, FineTuned) for member in self.members)
        return self.member_predictions(*(self._entering(stored) if heads else ()), raw=raw)

    def _entering(self, raw: np.ndarray) -> list[Tensor]:
        """Like each fold."""
        if self.tokenizers:
            return [tokenizer.encode(raw.tolist()).to(self.device) for tokenizer in self.tokenizers]
        if isinstance(self.backbone, Encoder):
            return [scale(self.backbone.features(raw.tolist())) for scale in self.scales]
        x = torch.from_numpy(raw).to(self.device)
        x = self.backbone.features(x, self.form.window) if self.backbone else x
        return [scale(x.clone()) for scale in self.scales]


# ---- to a folder and back --------------------------------------------------------------------------------------


def save(
    folder: Path, cfg: DictConfig, data: Data, members: Iterable[tuple[dict, Path | dict, int]],
    calibration: Sequence[float] = (), half_widths: Sequence[float] = (), prepared: Path = Path("runs/prepare"),
    folds: Sequence[int] = (), thresholds: Sequence[float] = (),
) -> list[str]:  # fmt: skip
    """Writes the system anew; gives the names of user-defined code that must be trusted to load it.

    members: (changes of cfg, weights or a safetensors file of them, how often the member counts). calibration: by
    default none. half_widths: of the intervals of quantities; thresholds: of labels, or of one of two classes.
    prepared: the folder of the store that `data` was read from. folds: of each member, the fold of `data` that it was
    trained in, where there are any.
    """
    shutil.rmtree(folder / "members", ignore_errors=True)
    entries, hashes = [], {}
    for i, (changes, weights, count) in enumerate(members):
        file = f"members/{i}.safetensors"
        save_weights(weights if isinstance(weights, dict) else load_file(present(weights)), folder / file)
        hashes[file] = sha256(folder / file)
        changed = change(cfg, changes)
        model = plain(changed, "model")
        model |= dict.fromkeys(backbone_of(model).keys() - {"_target_"}, "")  # `backbone` below says which
        front = {key: changed.train[key] for key in ("input_size", "quantiles")}
        entry = {"weights": file, "count": count, "model": model, **front}
        entries.append(entry | ({"fold": folds[i]} if folds else {}))
    (folder / BACKBONE).unlink(missing_ok=True)
    if data.features:
        shutil.copyfile(data.features.weights, folder / BACKBONE)
        hashes[BACKBONE] = sha256(folder / BACKBONE)
    facts = read_json(prepared / "store.json")
    write_description(
        folder / "system.yaml",
        {
            "format": FORMAT,
            "recipe": _version(),
            "task": data.task.facts(),
            "inputs": {name: facts[name] for name in FACTS},
            **({"backbone": data.features.facts} if data.features else {}),
            **_entering(data),
            **({"further_folds": [_scaling(fold) for fold in data.folds[1:]]} if data.folds else {}),
            "seen": asdict(training_range(data)),
            "members": entries,
            "files": hashes,
            "calibration": [float(v) for v in calibration or [1.0] * len(data.task.calibration_names)],
            "half_widths": [float(v) for v in half_widths],
            "thresholds": [float(v) for v in thresholds],
        },
    )
    return sorted({one.target for entry in entries for one in refused_targets(entry["model"], "model")})


def _scaling(data: Data) -> dict:
    """What the system has of the first fold, of another one."""
    return {"task": data.task.facts(), **_entering(data)}


def _entering(data: Data) -> dict:
    """What makes the inputs of networks of stored ones: a scale, or of texts a tokenizer."""
    if data.tokenizer:
        return {"tokenizer": saved_tokenizer.described(data.tokenizer)}
    limits = {} if data.limits is None else {"limits": data.limits.tolist()}
    return {"mean": data.mean.flatten().tolist(), "std": data.std.flatten().tolist(), **limits}


def _version() -> str:
    try:
        return version("recipe")
    except PackageNotFoundError:  # run from the source
        return ""


def load(folder: Path | str, device: str = "cpu", trust: Collection[str] = ()) -> System:
    """The system that `save` wrote, ready to predict.

    trust: exact dotted names of code outside of recipe.serve.allowed_targets that the members may be built of; the
    environment variable RECIPE_TRUST adds to them. Raises RecipeError where a file is missing, damaged, a link or of
    another format, where a member needs code that is not trusted, cannot be built, or its weights are of another shape.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RecipeError(f"{folder} is not a folder. A system is written by the ensemble stage: dvc repro ensemble")
    facts = _facts(folder / "system.yaml")
    trust = {*trust, *os.environ.get(VARIABLE, "").replace(",", " ").split()}
    try:
        form = InputForm.of_facts(facts["inputs"])
        described, expected = [facts, *facts.get("further_folds", ())], TrainingRange(**facts["seen"])
        frozen = facts.get("backbone")
        tasks, texts = [task_of(one["task"]) for one in described], not form.kind.axes and frozen is None
        scales = [] if texts else [_scale(one, form, frozen is not None, device) for one in described]
        words = [one["tokenizer"] for one in described] if texts else []
        entries = facts["members"]
        folds = [int(entry.get("fold", 0)) for entry in entries]
        calibration, half_widths, thresholds = (tuple(map(float, facts[name])) for name in CHOSEN)
        counts = [int(entry["count"]) for entry in entries]
        named = [(f"members.{i}.model", entry["model"], entry["weights"]) for i, entry in enumerate(entries)]
        fronts = [_front(entry) for entry in entries]
        sound = all(_sound(task, calibration, half_widths, thresholds) for task in tasks) and min(counts) > 0
        sound = sound and set(folds) <= set(range(len(described))) and len({task.names for task in tasks}) == 1
        sound = sound and all(isinstance(facts[name], list) for name in CHOSEN)
        sound = sound and all(isinstance(model, dict) and "_target_" in model for _, model, _ in named)
        channels = form.shape[0] if form.kind.axes else 0
        widths = {len(one[name]) for one in described for name in ("mean", "std")} if scales else {channels}
        sound = sound and (len(widths) == 1 if frozen else widths == {channels})
        sound = sound and (frozen is None or (isinstance(frozen, dict) and not form.kind.has_columns))
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, RecipeError) as error:
        raise RecipeError(f"{folder / 'system.yaml'} is not the description of a system: {cause(error)}") from None
    if not sound:
        raise RecipeError(f"{folder / 'system.yaml'} is not the description of a system.")
    files = verified(folder, facts.get("files"))
    if unlisted := [name for _, _, name in named if checked_name(folder, name) not in files]:
        raise RecipeError(f"{folder / 'system.yaml'} lists no SHA-256 of {unlisted[0]}. {ANEW}")
    where = f"{folder / 'system.yaml'}, tokenizer"
    refused = [one for place, model, _ in named for one in refused_targets(model, place, trust)]
    if refused := refused + [one for each in words[:1] for one in saved_tokenizer.refused(each, "tokenizer", trust)]:
        raise RecipeError(consent_message(refused, folder / "system.yaml"))
    tokenizers = [saved_tokenizer.built(each, where) for each in words]
    restored = of_images.restored if form.kind.has_pixels else of_texts.restored
    backbone = _backbone(folder, restored, frozen, files, device) if frozen else None
    example = partial(_example, form, tokenizers, widths.pop() if frozen else None)
    members = [
        _member(
            folder, model, front, files[name], partial(example, fold, device, _own(model, backbone)), tasks[0].width
        )
        for (_, model, name), front, fold in zip(named, fronts, folds, strict=True)
    ]
    return System(
        form=form, scales=scales, tasks=tasks, training_range=expected, members=members, folds=folds, counts=counts,
        calibration=calibration, half_widths=half_widths, thresholds=thresholds, device=device, tokenizers=tokenizers,
        backbone=backbone,
    )  # fmt: skip


def _backbone(
    folder: Path, restored: Callable, facts: dict, files: dict[str, Path], device: str
) -> Backbone | Encoder:  # fmt: skip
    if BACKBONE not in files:
        raise RecipeError(f"{folder / 'system.yaml'} lists no SHA-256 of {BACKBONE}. {ANEW}")
    try:
        return cast(Backbone | Encoder, restored(facts, files[BACKBONE], device))
    except (LookupError, TypeError, ValueError) as error:
        raise RecipeError(f"{folder / 'system.yaml'}, backbone: {cause(error)}. {ANEW}") from None


def _example(
    form: InputForm, tokenizers: list[Tokenizer], features: int | None, fold: int, device: str,
    body: Backbone | Encoder | None,
) -> tuple[Tensor, dict]:  # fmt: skip
    """(two inputs of a member, what else `build.network` asks about them). features: of a backbone, how many. body: of
    a member that holds a fine-tuned one."""
    if body:
        size, number = ((2, 1), torch.long) if isinstance(body, Encoder) else ((2, *form.shape), torch.float32)
        return torch.zeros(size, dtype=number, device=device), {"window": form.window, "body": body}
    if features:
        return torch.zeros(2, features, device=device), {}
    if not tokenizers:
        return torch.zeros(2, *form.shape, device=device), {"window": form.window}
    return tokenizers[fold].encode(["", ""]).to(device), {"vocabulary": tokenizers[fold].size}


def _sound(
    task: Task, calibration: tuple[float, ...], half_widths: tuple[float, ...], thresholds: tuple[float, ...]
) -> bool:
    """Names and numbers of a task's description that it can predict with."""
    named = len(task.names) > 0 and all(isinstance(name, str) for name in task.names)
    return (
        named
        and all(math.isfinite(v) and v > 0 for v in (*calibration, *task.scale.tolist()))
        and all(math.isfinite(v) and v >= 0 for v in half_widths)
        and len(calibration) == len(task.calibration_names)
        and len(half_widths) in (0, len(task.names))
        and all(0 <= v <= 1 for v in thresholds)
        and len(thresholds) in (0, task.choose(classes=1, labels=len(task.names), quantities=0))
        and bool(task.predict(torch.zeros(1, task.width)).isfinite().all())
    )


def _facts(file: Path) -> dict:
    """The content of system.yaml, if it has this format and is undamaged."""
    facts, sealed = read_description(file)
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise RecipeError(f"{file} is not the description of a system.")
    if facts["format"] > FORMAT:
        raise RecipeError(
            f"{file} has the format {facts['format']}, written by recipe {facts.get('recipe')}; this "
            f"one reads up to {FORMAT}. Install the newer one."
        )
    if facts["format"] < FORMAT:
        raise RecipeError(
            f"{file} has the format {facts['format']}, written by an older recipe; this one reads "
            f"{FORMAT}. Write it anew: dvc repro ensemble"
        )
    if not sealed:
        raise RecipeError(f"{file} is damaged: its last line is not a SHA-256. {ANEW}")
    return facts


def _scale(facts: dict, form: InputForm, frozen: bool, device: str) -> Standardization:
    """The same as in recipe.data.batches, to the bit. frozen: it is of the features of a frozen network."""
    features = form.kind.has_columns or frozen
    top = torch.tensor(1.0) if frozen else _top(form)
    mean, std = (torch.tensor(facts[name], dtype=torch.float32) for name in ("mean", "std"))
    shape = (-1,) if features else (-1, 1, 1)
    limits = torch.tensor(facts["limits"], dtype=torch.float32).view(2, len(mean)) if features else None
    return Standardization(top, mean.view(shape), std.view(shape), limits).to(device)


def _top(form: InputForm) -> Tensor:
    """The stored value of an input that is 1 to all that computes with it."""
    return torch.tensor(255.0 if form.dtype == "uint8" else 1.0)


def _front(entry: dict) -> dict:
    """What `build.network` puts before the model of a member."""
    size = entry["input_size"]
    return {"input_size": None if size is None else int(size), "quantiles": bool(entry["quantiles"])}


def _own(model: dict, backbone: Backbone | Encoder | None) -> Backbone | Encoder | None:
    """The network of which a member has its own weights; None of a member that is a head."""
    return backbone if model.get("unfreeze", NONE) != NONE else None


def _member(
    folder: Path, model: dict, front: dict, weights: Path, example: Callable[[], tuple[Tensor, dict]], width: int
) -> nn.Module:
    """model: a description without refused targets."""
    target = model["_target_"]
    try:
        cfg = OmegaConf.create({"model": model, "train": front})
        inputs, more = example()  # may ask for more memory than there is
        net = build.network(cfg, width, inputs, seed=0, **more)
    except Exception as error:  # a description may cause any error in Hydra, torch or trusted code
        reason = f"{cause(error)}."
        if isinstance(error, RecipeError):
            reason = str(error).removeprefix(place("model")).removeprefix("conf/model: ")
        raise RecipeError(
            f"{folder / 'system.yaml'}: a member is a `{target}`, which cannot be built here: "
            f"{reason} A user-defined model must be importable: run from the project, "
            "or put the folder that holds it (src) on PYTHONPATH."
        ) from None
    try:
        return load_weights(net, weights).eval()
    except SafetensorError as error:
        raise RecipeError(f"{weights} is damaged ({error}). {ANEW}") from None
    except RuntimeError as error:
        raise RecipeError(f"{weights} does not fit `{target}` as system.yaml describes it: {cause(error)}") from None
