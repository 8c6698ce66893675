"""A training that is killed goes on to the same bits; a checkpoint of other lanes is not taken for theirs."""

import multiprocessing

import pytest
from killed import train, train_and_die
from lanes import lane, parts, same

from recipe.train import checkpoint, engine


@pytest.fixture(scope="module")
def forks():
    """Processes that are forked from one that has imported torch and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "killed"])
    return context


def killed(forks, *args) -> int:
    """The exit code of a training that dies."""
    process = forks.Process(target=train_and_die, args=args)
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "batched"])
def test_killed_at_several_points_and_rerun_gives_the_same_bits(tmp_path, forks, mode):
    for at in (3, 8, 9):
        assert killed(forks, tmp_path, mode, at) == -9
        assert any(tmp_path.glob("*.safetensors"))
    again = train(tmp_path, mode)
    whole = train(None, mode)
    assert all(same(a, b) for a, b in zip(again, whole, strict=True))
    assert len({r.ended for r in whole}) == 2  # done, and lost


def test_what_was_finished_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "EVERY", 0.0)
    first = train(tmp_path, "batched")
    monkeypatch.setattr(engine._GroupTraining, "_evaluate", None)
    assert all(same(a, b) for a, b in zip(train(tmp_path, "batched"), first, strict=True))


def test_the_checkpoint_of_other_lanes_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "EVERY", 0.0)
    engine.train([lane(seed=0, steps=30)], *parts(), eval_every=10, folder=tmp_path)
    (other,) = engine.train([lane(seed=1, steps=30)], *parts(), eval_every=10, folder=tmp_path)
    (alone,) = engine.train([lane(seed=1, steps=30)], *parts(), eval_every=10)
    assert same(other, alone)


def test_a_broken_checkpoint_is_none(tmp_path):
    path = tmp_path / "0.safetensors"
    path.write_bytes(b"half a file")
    assert checkpoint.load_progress(path, [], "cpu") is None
    (result,) = engine.train([lane(steps=30)], *parts(), eval_every=10, folder=tmp_path)
    assert same(result, engine.train([lane(steps=30)], *parts(), eval_every=10)[0])
