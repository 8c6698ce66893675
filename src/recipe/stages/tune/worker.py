"""A worker: takes cohorts of trials from the storage, trains them and writes their results, until no trial is left.

A sampler's trials come in generations: ranges of indices, of all repeats. A generation of a sampler that looks at
results has `generation` trials of each repeat; the other samplers have one generation. The next generation is proposed
when the present one is finished, so that proposals never depend on which worker was faster. A generation is cut into
cohorts of at most `together` trials, with like architectures side by side. One worker trains a cohort side by side, and
halving judges its trials against each other.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from recipe.config.instantiate import plain_all
from recipe.data.batches import Data
from recipe.errors import RecipeError
from recipe.files import fingerprint
from recipe.stages.tune.samplers import MODELS, check_samplers, propose
from recipe.stages.tune.space import Range, Space, read_space
from recipe.stages.tune.storage import open_storage, storage_address
from recipe.stages.tune.study import ClaimLost, SamplerStudy, is_over, open_studies
from recipe.stages.tune.train_trials import train_cohort
from recipe.stages.tune.trials import Key, Trial, TrialSetup
from recipe.stages.tune.within_budget import within_budget

POLL = 0.5  # seconds between two readings of the storage while other workers train


class NoSearch(RecipeError):
    """No search of this configuration, code and data is going on."""


class NothingFound(RecipeError):
    """The search has ended without a result."""


@dataclass
class Search:
    """The searches of several samplers with the same budget: what a worker needs."""

    setup: TrialSetup
    studies: dict[str, SamplerStudy]
    key: str
    checkpoints: Path

    def close(self) -> None:
        """This process no longer takes part."""
        next(iter(self.studies.values())).liveness.close()

    def set_aside(self) -> None:
        """The stage is done: its next run begins a new search. Until then, a run resumes the one that was killed."""
        for study in self.studies.values():
            study.optuna_study.set_user_attr("done", True)
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self.close()


@contextlib.contextmanager
def kept_until_done(search: Search) -> Iterator[None]:
    """Sets the search aside when the block ends, or finds nothing. After another error, the next run resumes it."""
    try:
        yield
    except NothingFound:
        search.set_aside()
        raise
    search.set_aside()


def key_of(cfg: DictConfig, data: Data, start: dict, code: dict[str, str]) -> str:
    """The name of a search, made of all that it depends on: workers of one key share its trials."""
    return fingerprint({"config": plain_all(cfg), "start": start, "data": data.fingerprint, "code": code})


def open_search(
    cfg: DictConfig, data: Data, start: dict, code: dict[str, str], home: Path, say: Callable[[str], None], *,
    create: bool = True,
) -> Search:  # fmt: skip
    """The search of this configuration: resumed where its workers left it, or begun.

    code: {file: hash} that it depends on. Raises RecipeError where the configuration is wrong or the storage cannot be
    used; NoSearch, without `create`, where there is no search to resume.
    """
    space = read_space(cfg, start)
    cfg, space, budget = within_budget(cfg, data, start, space)
    samplers = list(cfg.samplers)
    check_samplers(samplers, space, cfg.trials)
    setup = TrialSetup(cfg, data, start, space, say, budget)
    setup.lanes({})  # the accepted recipe must be buildable, or trials would fail for a reason that is not their own
    key, folder = key_of(cfg, data, start, code), home / ".recipe" / "tune"
    journal, place = folder / f"{key}.log", cfg.runtime.storage
    absent = NoSearch(
        f"no search of this configuration, code and data ({key}) is going on. Start it: dvc repro tune; or join one "
        "that was started by hand: recipe worker KEY=VALUE ..., with the words of its command line"
    )
    finished = NoSearch(
        f"the search of this configuration, code and data ({key}) is over. To begin the next: dvc repro -f tune, or "
        "python pipeline/tune.py KEY=VALUE ..."
    )
    if not create and place == "journal" and not journal.is_file():
        raise absent
    storage, liveness = open_storage(place, journal)
    studies = open_studies(storage, liveness, key, samplers, space, data.objective, create=create)
    if not studies:
        liveness.close()
        raise finished if is_over(storage, key) else absent
    name = next(iter(studies.values())).optuna_study.study_name
    say(f"the search can be watched: optuna-dashboard {storage_address(place, journal)}")
    return Search(setup, studies, key, folder / f"{name}.lanes")


# ---- generations and cohorts -------------------------------------------------------------------------------------


def generations(cfg: DictConfig, sampler: str) -> list[range]:
    """Indices of each generation."""
    size = cfg.generation if sampler in MODELS else cfg.trials
    return [range(first, min(first + size, cfg.trials)) for first in range(0, cfg.trials, size)]


def proposals(cfg: DictConfig, study: SamplerStudy, indices: range) -> dict[Key, dict]:
    """The values of a generation's trials; those that the storage has are not proposed again."""
    params: dict[Key, dict] = {}
    for repeat in range(cfg.repeats):
        past: list[Trial | dict] = [study.finished[repeat, i] for i in range(indices.start)]
        for index in indices:
            key = repeat, index
            if key not in study.params:
                study.params[key] = propose(study.sampler, study.space, cfg.seed, repeat, index, cfg.trials, past)
            params[key] = study.params[key]
            past.append(params[key])
    return params


def cohorts(params: dict[Key, dict], space: Space, together: int) -> Iterator[dict[Key, dict]]:
    """At most `together` trials each, cut evenly, like architectures side by side."""
    ordered = sorted(params, key=lambda key: (_architecture(params[key], space), key))
    count = -(-len(ordered) // together)
    for n in range(count):
        keys = ordered[len(ordered) * n // count : len(ordered) * (n + 1) // count]
        yield {key: params[key] for key in sorted(keys)}


def _architecture(params: dict, space: Space) -> list:
    """Architectures differ mostly by choices and whole numbers; other numbers may differ between lanes of a batch."""

    def place(range_: Range) -> int:
        value = params[range_.key]
        return range_.choices.index(value) if range_.choices else value

    return [(r.key, place(r)) for r in space.values() if r.key in params and (r.choices or r.whole)]


# ---- the work ----------------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """What one worker has done, and which generations it has reported."""

    on_generation: Callable[[list[Trial]], None]
    finished: int = 0
    reported: set[tuple[str, int]] = field(default_factory=set)  # sampler, number of the generation

    def report(self, sampler: str, number: int, trials: list[Trial]) -> None:
        if (sampler, number) not in self.reported:
            self.reported.add((sampler, number))
            self.on_generation(trials)


def take_part(search: Search, on_generation: Callable[[list[Trial]], None] = lambda trials: None) -> int:
    """Works until every trial of every sampler is finished, by whichever worker; gives how many this one finished.

    on_generation: is given the trials of each generation when all of them are finished, in order.
    Raises NothingFound where more than the share `failures` of a sampler's trials failed, or where none is complete.
    """
    progress = Progress(on_generation)
    while True:
        finished = progress.finished
        open_ = [study for study in search.studies.values() if not _advance(search, study, progress)]
        if not open_:
            _check_complete(search)
            return progress.finished
        if progress.finished == finished:
            time.sleep(POLL)


def _advance(search: Search, study: SamplerStudy, progress: Progress) -> bool:
    """Trains one cohort of the first generation that is not finished; whether there is no such generation."""
    cfg = search.setup.cfg
    study.refresh()
    _check_failures(cfg, study.sampler, list(study.finished.values()))
    for number, indices in enumerate(generations(cfg, study.sampler)):
        keys = [(repeat, index) for repeat in range(cfg.repeats) for index in indices]
        if not all(key in study.finished for key in keys):
            progress.finished += _train_free_cohort(search, study, indices)
            return False
        progress.report(study.sampler, number, [study.finished[key] for key in keys])
    return True


def _train_free_cohort(search: Search, study: SamplerStudy, indices: range) -> int:
    """Claims one cohort of a generation, if one is free, and trains it; gives how many trials were finished."""
    cfg = search.setup.cfg
    for cohort in cohorts(proposals(cfg, study, indices), study.space, cfg.together):
        if not all(key in study.finished for key in cohort) and (rows := study.claim(cohort)) is not None:
            return _train_claimed(search, study, indices, cohort, rows)
    return 0


def _train_claimed(
    search: Search, study: SamplerStudy, indices: range, cohort: dict[Key, dict], rows: dict[Key, int]
) -> int:  # fmt: skip
    say = search.setup.say
    past = {key: trial for key, trial in study.finished.items() if key[1] < indices.start}
    leader = next(iter(cohort))
    folder = search.checkpoints / f"{study.sampler}-{leader[0]}-{leader[1]}"
    with study.liveness.working(list(rows.values())):
        trials = {trial.key: trial for trial in train_cohort(search.setup, study.sampler, cohort, past, folder)}
        try:
            for key, row in rows.items():
                study.write_result(row, trials[key])
        except ClaimLost:
            say(f"{study.sampler}: another worker has finished the trials of this one")
            return 0
    shutil.rmtree(folder, ignore_errors=True)
    states = [trials[key].state for key in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    say(f"{study.sampler}: trials of indices {indices.start} to {indices.stop - 1}: {counts}")
    return len(rows)


def _check_failures(cfg: DictConfig, sampler: str, trials: list[Trial]) -> None:
    failed = sorted((t for t in trials if t.state == "failed"), key=lambda t: (t.index, t.repeat))
    total, causes = cfg.trials * cfg.repeats, {t.cause for t in failed}
    if len(failed) > cfg.failures * total:
        others = f", and {len(causes) - 1} other causes" if len(causes) > 1 else ""
        raise NothingFound(
            f"{len(failed)} of {total} {sampler} trials failed, more than `failures: {cfg.failures}` allows; the "
            f"search space is too wide. {failed[0].name}: {failed[0].cause}{others}. The next run begins a new search."
        )


def _check_complete(search: Search) -> None:
    trials = [trial for of_sampler in trials_of(search).values() for trial in of_sampler]
    if not any(trial.state == "complete" for trial in trials):
        failed = next((t for t in trials if t.state == "failed"), None)
        reason = f" {failed.name}: {failed.cause}." if failed else ""
        raise NothingFound(
            f"none of {len(trials)} trials trained to its end.{reason} The next run begins a new search."
        )


def trials_of(search: Search) -> dict[str, list[Trial]]:
    """{sampler: its trials by repeat and index}."""
    return {name: [study.finished[key] for key in sorted(study.finished)] for name, study in search.studies.items()}
