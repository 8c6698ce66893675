"""Pretrained networks: their weights, whole and of the right network, and images prepared as for their training."""

import pytest
import torch
from backbones import REAL, SMALL, random_weights, real_weights, timm
from safetensors.torch import save_file

from recipe.errors import RecipeError
from recipe.models.backbone import AT_ONCE, load_backbone, restored, state_of
from recipe.models.pretrained import pretrained


def images(count: int = 6, side: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def backbone(weights):
    return load_backbone(SMALL, str(weights))


def test_features_are_those_of_the_network_with_its_own_mean_and_std(backbone, weights):
    net = timm().create_model(SMALL, num_classes=10)
    net.load_state_dict(torch.load(weights, weights_only=True))
    config = net.pretrained_cfg
    mean, std = (torch.tensor(config[name]).view(-1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = net.eval().forward_head(net.forward_features((images() / 255 - mean) / std), pre_logits=True)
    torch.testing.assert_close(backbone.features(images()), expected, rtol=1e-4, atol=1e-5)
    assert (backbone.mean, backbone.std, backbone.size) == (config["mean"], config["std"], config["input_size"][1:])


def test_the_features_of_an_image_do_not_depend_on_the_others(backbone):
    together = backbone.features(images(2 * AT_ONCE["cpu"] + 1))
    alone = [backbone.features(image[None])[0] for image in images(2 * AT_ONCE["cpu"] + 1)]
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


def test_it_is_frozen_and_in_evaluation_mode(backbone):
    before = {name: value.clone() for name, value in backbone.net.state_dict().items()}
    backbone.features(images())
    assert not backbone.net.training
    assert not any(p.requires_grad for p in backbone.net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in backbone.net.state_dict().items())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 70)])
def test_grey_images_and_windows_of_larger_ones_enter(backbone, height, width):
    grey = images()[:, :1]
    torch.testing.assert_close(backbone.features(grey), backbone.features(grey.expand(-1, 3, -1, -1)))
    large = images(4, 80)
    top, left = (80 - height) // 2, (80 - width) // 2
    middle = large[:, :, top : top + height, left : left + width]
    assert torch.equal(backbone.features(large, (height, width)), backbone.features(middle))
    shown = backbone.pictures(backbone.prepared(large, (height, width)))
    torch.testing.assert_close(shown, middle / 255)


def test_a_network_for_one_size_alone_gets_images_of_that_size(tmp_path):
    fixed = load_backbone("test_vit", str(random_fixed(tmp_path)))
    assert fixed.fixed
    assert fixed.prepared(images(2, 64)).shape == (2, 3, *fixed.size)
    assert fixed.features(images(2, 64)).shape[0] == 2


def random_fixed(folder):
    net = timm().create_model("test_vit", num_classes=10)
    save_file(net.state_dict(), folder / "model.safetensors")
    return folder


# ---- weights ---------------------------------------------------------------------------------------------------


def test_the_classifier_alone_is_left_out(backbone):
    assert backbone.left_out
    assert all(name.startswith(timm().create_model(SMALL).pretrained_cfg["classifier"]) for name in backbone.left_out)
    assert backbone.notes == ()


def test_files_and_folders_give_the_same_weights(weights, tmp_path, backbone):
    state = torch.load(weights, weights_only=True)
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "ckpt.pth")
    places = tmp_path, tmp_path / "model.safetensors", tmp_path / "ckpt.pth"
    assert {load_backbone(SMALL, str(place)).weights for place in places} == {backbone.weights}


def test_half_precision_is_read(weights, tmp_path, backbone):
    half = {name: value.half() for name, value in torch.load(weights, weights_only=True).items()}
    save_file(half, tmp_path / "half.safetensors")
    features = load_backbone(SMALL, str(tmp_path / "half.safetensors")).features(images())
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, backbone.features(images()), rtol=0.05, atol=0.05)


def renamed(state: dict) -> dict:
    return {f"other{i}.{name.rsplit('.', 1)[-1]}": value for i, (name, value) in enumerate(state.items())}


def test_other_names_in_the_same_order_are_matched_and_noted(weights, tmp_path, backbone):
    net, published = timm().create_model(SMALL), torch.load(weights, weights_only=True)
    own = net.state_dict()  # its classifier is of more classes
    net.load_state_dict({k: v for k, v in published.items() if v.shape == own[k].shape}, strict=False)
    torch.save(renamed(net.state_dict()), tmp_path / "renamed.pth")
    loaded = load_backbone(SMALL, str(tmp_path / "renamed.pth"))
    assert loaded.weights == backbone.weights
    assert "matched by their order" in loaded.notes[0]


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


WRONG = {
    "an entry is missing": (lambda s: without(s, next(iter(s))), "1 are missing"),
    "an entry is unknown": (lambda s: s | {"more.weight": torch.zeros(3)}, "1 are unknown, as `more.weight`"),
    "another shape": (lambda s: s | {next(iter(s)): torch.zeros(3, 3)}, "is (3, 3), and in"),
    "no mapping": (lambda s: list(s), "holds no weights by name"),
    "numbers": (lambda s: {"epoch": 3}, "holds no weights by name"),
    "a pickled network": (lambda s: torch.nn.Linear(2, 2), "cannot be read as weights"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_weights_that_are_not_the_networks_are_refused(weights, tmp_path, name):
    change, message = WRONG[name]
    torch.save(change(torch.load(weights, weights_only=True)), tmp_path / "wrong.pth")
    with pytest.raises(RecipeError) as error:
        load_backbone(SMALL, str(tmp_path / "wrong.pth"))
    assert message in str(error.value)


def test_weights_of_another_network_are_refused(weights):
    with pytest.raises(RecipeError, match="weights of another network"):
        load_backbone("resnet18", str(weights))


@pytest.mark.parametrize("name", ["resnet_18", "hf-hub:timm/resnet18", "local-dir:here", "../resnet18"])
def test_only_names_of_timm_are_networks(weights, name):
    with pytest.raises(RecipeError, match="timm has no network"):
        load_backbone(name, str(weights))


def test_a_missing_file_is_a_message(tmp_path):
    timm()
    with pytest.raises(RecipeError, match="neither a file nor a folder"):
        load_backbone(SMALL, str(tmp_path / "gone.pth"))
    with pytest.raises(RecipeError, match="holds 0 files"):
        load_backbone(SMALL, str(tmp_path))


def test_without_timm_the_message_has_the_command(weights, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(RecipeError, match=r"pip install -c constraints.txt -e '.\[images\]'"):
        load_backbone(SMALL, str(weights))


def test_it_is_restored_from_its_facts_and_its_numbers(backbone, tmp_path):
    save_file(state_of(backbone.net), tmp_path / "backbone.safetensors")
    again = restored(backbone.facts, tmp_path / "backbone.safetensors")
    assert torch.equal(again.features(images()), backbone.features(images()))
    assert again.facts == backbone.facts | {"left_out": [], "notes": []}


@pytest.mark.slow
def test_real_weights_with_other_names_are_read():
    """The package names the entries otherwise than timm, in the same order."""
    real = load_backbone(REAL, real_weights())
    assert (real.mean, real.parameters, len(real.left_out)) == ((0.5, 0.5, 0.5), 3_371_008, 2)
    assert real.features(images(1, 96)).shape == (1, 1280)


# ---- heads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "matrices"), [(0, 1), (2, 3)])
def test_a_head_is_a_matrix_behind_hidden_layers(depth, matrices):
    head = pretrained(5, "any", "any", width=7, depth=depth, dropout=0.5)
    assert head(torch.zeros(2, 11)).shape == (2, 5)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in head.modules()) == matrices
    assert isinstance(head[0], torch.nn.Dropout)  # of the features
