"""A process that joins a search which is going on: `recipe worker` in a shell, or one that the stage starts itself."""

import contextlib
import os
import subprocess
import sys
import threading

from omegaconf import DictConfig, OmegaConf

from recipe.addresses import masking
from recipe.config.compose import home
from recipe.config.instantiate import plain
from recipe.data.batches import load
from recipe.errors import RecipeError
from recipe.files import read_yaml
from recipe.stages.runner import code_and_data, prepare_torch
from recipe.stages.tune.worker import open_search, take_part


def join(cfg: DictConfig) -> None:
    """Takes part in the search of this config of the tune stage until nothing is left of it.

    Raises NoSearch, a RecipeError, where there is none.
    """

    def say(text: str) -> None:
        print(f"worker     {text}", flush=True)

    device = prepare_torch(cfg)
    data = load(plain(cfg, "data"), device, memory=cfg.runtime.memory, workers=cfg.runtime.workers, say=say)
    accepted = read_yaml("runs/regularize/best.yaml")
    search = open_search(cfg, data, accepted, code_and_data("tune", cfg), home(), say, create=False)
    try:
        count = take_part(search)
    finally:
        search.close()
    say(f"nothing is left to do; {count} trial(s) finished here")


@contextlib.contextmanager
def helped(cfg: DictConfig, say):
    """Inside the block `runtime.processes` less one others take part. They end by themselves when nothing is left.

    Each reads the config from a pipe and ends when that is closed: whatever kills the stage, none stays behind. What
    one of them dies of is no failure: its trials are taken over.
    """
    helpers: list[subprocess.Popen] = []
    try:
        for _ in range(cfg.runtime.processes - 1):
            helpers.append(
                subprocess.Popen([sys.executable, "-m", "recipe.stages.tune.join"], stdin=subprocess.PIPE, text=True)
            )
            with contextlib.suppress(BrokenPipeError):  # it is dead already
                helpers[-1].stdin.write(f"{OmegaConf.to_yaml(cfg, resolve=True)}{END}")
                helpers[-1].stdin.flush()
        yield
        failed = sum(helper.wait() != 0 for helper in helpers)
    finally:
        for helper in helpers:
            helper.terminate()
        for helper in helpers:
            helper.wait()
            with contextlib.suppress(BrokenPipeError):
                helper.stdin.close()
    if failed:
        say(f"{failed} of {len(helpers)} helping processes failed; what they left was done by the others")


END = "...\n"  # of a document in YAML


def _helper() -> int:
    lines = []
    for line in sys.stdin:
        if line == END:
            break
        lines.append(line)
    else:  # the stage died while it wrote
        return 1
    threading.Thread(target=_end_with_the_stage, daemon=True).start()
    try:
        join(OmegaConf.create("".join(lines)))
    except RecipeError as error:
        print(f"worker     {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _end_with_the_stage() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    with masking():
        sys.exit(_helper())
