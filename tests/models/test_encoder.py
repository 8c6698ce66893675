"""Pretrained networks of texts: their weights, whole; and texts cut into their own tokens."""

import json

import pytest
import torch
from backbones import random_encoder
from safetensors.torch import load_file, save_file

from recipe.errors import RecipeError
from recipe.models.backbone import state_of
from recipe.models.encoder import AT_ONCE, load_encoder, restored

WORDS = ["the", "plot", "is", "thin", "and", "good", "film", "bad", "actors"]
TEXTS = ["The plot is thin", "good film!", "", "bad " * 60, "bad actors and a good film, and a thin plot"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_encoder(tmp_path_factory.mktemp("encoders") / "small", WORDS)


@pytest.fixture(scope="module")
def encoder(folder):
    return load_encoder(str(folder), "hub")


def expected(folder, texts) -> torch.Tensor:
    """As sentence-transformers: the mean over the tokens of the last layer, text by text."""
    import tokenizers
    import transformers

    net = transformers.BertModel.from_pretrained(folder).eval()
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(48)
    with torch.no_grad():
        return torch.cat(
            [net(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state.mean(1) for text in texts]
        )  # fmt: skip


def test_features_are_the_mean_over_a_texts_own_tokens(encoder, folder):
    torch.testing.assert_close(encoder.features(TEXTS), expected(folder, TEXTS), atol=1e-5, rtol=1e-4)
    assert (encoder.name, encoder.length, encoder.pooling) == ("small", 48, "mean")


def test_the_features_of_a_text_do_not_depend_on_the_others(encoder):
    texts = TEXTS * AT_ONCE["cpu"]
    together = encoder.features(texts)
    assert all(torch.equal(row, encoder.features([text])[0]) for row, text in zip(together, texts, strict=True))


def test_casing_is_that_of_the_tokenizer_and_long_texts_are_cut(encoder):
    assert torch.equal(*encoder.features(["THE PLOT", "the plot"]))
    assert max(map(len, encoder.tokens(TEXTS))) == 48
    assert encoder.cut(TEXTS) == 1


def test_the_folder_says_which_token_stands_for_the_text(folder, tmp_path):
    import shutil

    first = tmp_path / "first"
    shutil.copytree(folder, first)
    (first / "1_Pooling").mkdir()
    (first / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (first / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}))
    encoder = load_encoder("any name", str(first))
    assert (encoder.name, encoder.length, encoder.pooling) == ("any name", 20, "first")


def spoilt(folder, to, change):
    import shutil

    shutil.copytree(folder, to)
    change(to, load_file(to / "model.safetensors"))
    return to


def without_a_layer(folder, state):
    kept = {name: value for name, value in state.items() if "layer.1.attention" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def another_depth(folder, state):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))


def no_tokenizer(folder, state):
    (folder / "tokenizer.json").unlink()


WRONG = {
    "a layer is missing": (without_a_layer, "are missing, as `encoder.layer.1.attention"),
    "a layer is unknown": (another_depth, "are unknown, as `encoder.layer.1"),
    "no tokenizer": (no_tokenizer, "has no tokenizer.json"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_whole_is_refused(folder, tmp_path, name):
    change, message = WRONG[name]
    with pytest.raises(RecipeError) as error:
        load_encoder(str(spoilt(folder, tmp_path / "spoilt", change)), "hub")
    assert message in str(error.value)


def test_a_missing_folder_is_a_message(folder):
    with pytest.raises(RecipeError, match="is not a folder"):
        load_encoder("small", "/nowhere/at/all")


def test_a_head_that_was_trained_with_it_is_left_out_and_counted(folder, tmp_path):
    def with_a_head(to, state):
        save_file(
            state | {"classifier.weight": torch.zeros(2, 16)}, to / "model.safetensors", metadata={"format": "pt"}
        )

    encoder = load_encoder(str(spoilt(folder, tmp_path / "head", with_a_head)), "hub")
    assert encoder.left_out == ("classifier.weight",)


def test_it_is_restored_from_its_facts_and_its_numbers(encoder, tmp_path):
    save_file(state_of(encoder.net), tmp_path / "backbone.safetensors")
    facts = json.loads(json.dumps(encoder.facts))
    again = restored(facts, tmp_path / "backbone.safetensors")
    assert torch.equal(again.features(TEXTS), encoder.features(TEXTS))
    assert again.facts == facts
    assert "/" not in facts["name"]
    assert not [key for key in facts["config"] if key.startswith("_") or key == "auto_map"]


FORGED = {
    "another size": {"hidden_size": 2**20},
    "code of a hub": {"model_type": "no-such-type", "auto_map": {"AutoModel": "evil--model.Net"}},
    "more layers than numbers": {"num_hidden_layers": 10},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_description_is_refused(encoder, tmp_path, name):
    save_file(state_of(encoder.net), tmp_path / "backbone.safetensors")
    facts = encoder.facts | {"config": encoder.facts["config"] | FORGED[name]}
    with pytest.raises(ValueError, match="cannot be built"):
        restored(facts, tmp_path / "backbone.safetensors")
