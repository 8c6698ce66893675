"""A pretrained network of texts without a head, frozen, as a source of features; texts prepared as for its training.

transformers builds the network from its own configuration (Wolf et al. 2020), and the tokenizer is the one that lies
beside its weights: casing, special tokens and length are those of its pretraining. The features of a text are the mean
of its last layer over the tokens (Reimers and Gurevych 2019, Sentence-BERT), or the first token's where the folder says
so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from recipe.errors import RecipeError
from recipe.inputs.embeddings import NOTHING
from recipe.models.backbone import HUB, sha256_of

HEADS = ("cls.", "lm_head.", "classifier.", "qa_outputs.", "pooler.")  # entries of a file that are not part of it
STEP = 16  # tokens: texts are filled up to a multiple
# Texts at a time, always as many and of one length: what is lacking is filled up, so that the bits of a text's features
# do not depend on the others. On a core a MiniLM takes 11 ms for a text of 25 tokens, and alone 25.
AT_ONCE = {"cpu": 8, "cuda": 256}
LONGEST = 512  # tokens, where the folder names no length
TOKENIZER, CONFIG = "tokenizer.json", "config.json"
INSTALL = "pip install -c constraints.txt -e '.[text]'"


@dataclass(frozen=True)
class Encoder:
    """What turns texts into features, with the facts of its pretraining.

    tokenizer: of the package tokenizers. length: tokens that are read of a text. pooling: mean or first. config: of
    transformers, from which the network is built. weights: SHA-256 of its numbers.
    """

    name: str
    net: nn.Module
    tokenizer: Any
    length: int
    pooling: str
    config: dict[str, Any]
    weights: str
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.net.parameters())

    @property
    def width(self) -> int:
        """Numbers of a text's features."""
        return int(self.config["hidden_size"])

    @property
    def facts(self) -> dict[str, Any]:
        """All but the network, as JSON and YAML have it."""
        return {
            "name": self.name, "length": self.length, "pooling": self.pooling, "config": self.config,
            "tokenizer": self.tokenizer.to_str(), "weights": self.weights, "left_out": list(self.left_out),
            "notes": list(self.notes),
        }  # fmt: skip

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text's tokens with its special ones, cut at `length`."""
        return [encoded.ids for encoded in self.tokenizer.encode_batch(list(texts))]

    def cut(self, texts: Sequence[str]) -> int:
        """How many texts have more tokens than are read."""
        return sum(bool(encoded.overflowing) for encoded in self.tokenizer.encode_batch(list(texts)))

    def features(self, texts: Sequence[str]) -> Tensor:
        """(N, D) float32; on a GPU computed in bfloat16."""
        device = next(self.net.parameters()).device
        count, tokens = AT_ONCE.get(device.type, AT_ONCE["cpu"]), self.tokens(texts)
        of_length: dict[int, list[int]] = {}
        for i, ids in enumerate(tokens):
            of_length.setdefault(min(-(-max(1, len(ids)) // STEP) * STEP, self.length), []).append(i)
        rows: list[Tensor] = [torch.empty(0)] * len(tokens)
        for length, members in of_length.items():
            for at in range(0, len(members), count):
                chosen = members[at : at + count]
                for i, row in zip(
                    chosen, self._of_batch([tokens[i] for i in chosen], length, count, device), strict=True
                ):
                    rows[i] = row
        return torch.stack(rows)

    def _of_batch(self, tokens: list[list[int]], length: int, count: int, device: torch.device) -> Tensor:
        filled = [*tokens, *([tokens[0]] * (count - len(tokens)))]
        ids = torch.tensor([[*each, *([0] * (length - len(each)))] for each in filled], device=device)
        mask = torch.tensor([[1] * len(each) + [0] * (length - len(each)) for each in filled], device=device)
        on_gpu = device.type == "cuda"
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            return self._pooled(mask, input_ids=ids)[: len(tokens)]

    def _pooled(self, mask: Tensor, **inputs: Tensor) -> Tensor:
        last = self.net(attention_mask=mask, **inputs).last_hidden_state.float()
        if self.pooling == "first":
            return last[:, 0]
        shares = mask[..., None] / mask.sum(1).clamp_min(1)[:, None, None]
        return (last * shares).sum(1)

    def outputs(self, tokens: Tensor) -> Tensor:
        """(N, D) float32, with gradients where the network has them. tokens: (N, L) ids, NOTHING after the end of a
        text. Texts of like lengths are computed together, a few at a time, as far as the longest of them goes."""
        mask, words = (tokens != NOTHING).long(), tokens.clamp_min(0)
        lengths = mask.sum(1).clamp_min(1)
        order = lengths.argsort(stable=True)
        name, table = "input_ids", self.net.get_input_embeddings()  # type: ignore[operator]  # of transformers
        if torch.is_grad_enabled() and table.weight.requires_grad:
            # looked up once: each look-up has a gradient as large as the table, half of a MiniLM's weights
            name, words = "inputs_embeds", table(words)
        parts = []
        for rows in order.split(AT_ONCE.get(tokens.device.type, AT_ONCE["cpu"])):
            longest = int(lengths[rows[-1]])
            parts.append(self._pooled(mask[rows, :longest], **{name: words[rows, :longest]}))
        return torch.cat(parts)[order.argsort()]


def load_encoder(backbone: str, weights: str, device: str = "cpu") -> Encoder:
    """An encoder from a folder as transformers writes it, which `backbone` or `weights` names; or, where weights is
    `hub`, by the name that it has on the hub.

    Raises RecipeError where transformers or the folder is missing, or the weights are not those of its configuration.
    """
    transformers, name = _transformers(), backbone.rstrip("/").rsplit("/", 1)[-1]
    folder = next((Path(p).expanduser() for p in (backbone, weights) if Path(p).expanduser().is_dir()), None)
    if folder is None and weights != HUB:
        raise RecipeError(
            f"`weights: {weights}` is not a folder. Name one that holds {CONFIG}, {TOKENIZER} and the weights, or "
            f"write `weights: {HUB}` to fetch `{backbone}`."
        )
    source = str(folder or backbone)
    try:
        net, loading = transformers.AutoModel.from_pretrained(
            source, local_files_only=folder is not None, output_loading_info=True, dtype=torch.float32,
            attn_implementation="sdpa", trust_remote_code=False,
        )  # fmt: skip
        files = folder or Path(_fetched(transformers, backbone))
    except Exception as error:  # a missing file, no network, a damaged one
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecipeError(f"{source} cannot be read as a network of texts: {reason}") from None
    _require_whole(source, loading)
    left_out = tuple(sorted(loading["unexpected_keys"]))
    tokenizer, length = _tokenizer(files, _length(files, net.config))
    net.eval().requires_grad_(False)
    config = _plain(net.config.to_dict())
    return Encoder(
        name, net.to(device), tokenizer, length, _pooling(files), config, sha256_of(net.state_dict()), left_out
    )


def restored(facts: Mapping[str, Any], file: Path, device: str = "cpu") -> Encoder:
    """An encoder from what `Encoder.facts` and `state_of` gave; nothing but numbers is read, and no network is asked.

    Raises RecipeError, and ValueError, TypeError or LookupError for facts that are none.
    """
    from safetensors.torch import load_file

    transformers, config, length = _transformers(), _plain(facts["config"]), int(facts["length"])
    if not 0 < length <= 2**16 or facts["pooling"] not in ("mean", "first"):
        raise ValueError("the length or the pooling of an encoder")
    try:
        settings = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
        build = partial(
            transformers.AutoModel.from_config, settings, attn_implementation="sdpa", trust_remote_code=False
        )
        state = load_file(file)
        with torch.device("meta"):  # without memory: a description may ask for any size
            build().load_state_dict(state, strict=True, assign=True)
        net = build()
        net.load_state_dict(state, strict=True)
        tokenizer = _package("tokenizers").Tokenizer.from_str(str(facts["tokenizer"]))
    except Exception as error:  # of a forged or damaged description
        raise ValueError(f"it cannot be built: {str(error).splitlines()[0]}") from None
    net.eval().requires_grad_(False)
    return Encoder(
        str(facts["name"]), net.to(device), tokenizer, length, facts["pooling"], _plain(facts["config"]),
        sha256_of(net.state_dict()),
    )  # fmt: skip


# ---- reading ----------------------------------------------------------------------------------------------------


def _transformers() -> ModuleType:
    return _package("transformers")


def _package(name: str) -> ModuleType:
    try:
        import tokenizers  # here: they are optional, and take seconds to import
        import transformers
    except ImportError as error:
        raise RecipeError(f"a pretrained network of texts needs transformers ({error}): {INSTALL}") from None
    transformers.utils.logging.disable_progress_bar()
    return transformers if name == "transformers" else tokenizers


def _fetched(transformers: ModuleType, name: str) -> str:
    """The folder in which the hub's files of the tokenizer lie."""
    path = transformers.utils.hub.cached_file(name, TOKENIZER)
    for optional in ("tokenizer_config.json", "sentence_bert_config.json", "1_Pooling/config.json"):
        transformers.utils.hub.cached_file(name, optional, _raise_exceptions_for_missing_entries=False)
    return str(Path(path).parent)


def _require_whole(source: str, loading: Mapping[str, Any]) -> None:
    """Nothing may be missing but a pooler, which the features do not need, and nothing be left over but heads."""
    missing = sorted(key for key in loading["missing_keys"] if not key.startswith("pooler."))
    unknown = sorted(key for key in loading["unexpected_keys"] if not key.startswith(HEADS))
    wrong = sorted(str(key) for key in loading["mismatched_keys"])
    named = ("missing", missing), ("unknown", unknown), ("of another shape", wrong)
    if parts := [f"{len(keys)} are {word}, as `{keys[0]}`" for word, keys in named if keys]:
        raise RecipeError(
            f"{source}: of the weights, {' and '.join(parts)}: they are not those of the network that its {CONFIG} "
            "describes."
        )


def _tokenizer(folder: Path, length: int) -> tuple[Any, int]:
    """(the tokenizer of the folder, which cuts at `length` and fills up nothing, that length)"""
    if not (folder / TOKENIZER).is_file():
        raise RecipeError(f"{folder} has no {TOKENIZER}: save the tokenizer as transformers' fast ones are saved.")
    tokenizer = _package("tokenizers").Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return tokenizer, length


def _length(folder: Path, config: Any) -> int:
    """The least of the lengths that the files name: of the positions, the tokenizer and sentence-transformers."""
    known = [getattr(config, "max_position_embeddings", None)]
    for file, key in (("tokenizer_config.json", "model_max_length"), ("sentence_bert_config.json", "max_seq_length")):
        known.append(_json(folder / file).get(key))
    lengths = [int(n) for n in known if isinstance(n, int | float) and 0 < n < 2**16]
    return min([LONGEST, *lengths])


def _pooling(folder: Path) -> str:
    return "first" if _json(folder / "1_Pooling/config.json").get("pooling_mode_cls_token") else "mean"


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, texts and lists of a configuration, without paths, code and versions."""
    left_out = ("auto_map", "transformers_version", "dtype", "torch_dtype", "quantization_config", "architectures")
    kept = {str(k): v for k, v in config.items() if not str(k).startswith("_") and k not in left_out}
    return {k: v for k, v in kept.items() if v is None or isinstance(v, bool | int | float | str | list)}
