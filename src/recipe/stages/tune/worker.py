"""A worker: takes cohorts of trials from the storage, trains them, writes what came of them, until none is left.

A sampler's trials come in generations: ranges of indices, of all repeats. Those of samplers that look at results hold
`generation` trials of each repeat, the others all. The next generation is asked for when all of the present one are
finished, so that what is asked never depends on who was faster. A generation is cut into cohorts of at most `together`
trials, those of like architecture beside each other; one cohort is one worker's, is trained side by side, and its
trials are judged against each other by halving.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from recipe.config.instantiate import plain_all
from recipe.data.batches import Data
from recipe.errors import RecipeError
from recipe.files import fingerprint
from recipe.stages.tune.samplers import MODELS, ask, check_samplers
from recipe.stages.tune.space import Space, read_space
from recipe.stages.tune.study import Study, Taken, open_storage, open_studies, over, shown
from recipe.stages.tune.trials import Key, Trial, Work, train_cohort

POLL = 0.5  # seconds between looks at the storage while other workers are at work


class NoSearch(RecipeError):
    """None of this configuration, code and data is going on."""


class NothingFound(RecipeError):
    """The search has come to its end without a result."""


@dataclass
class Search:
    """Several samplers' searches, with the same budget: what a worker needs."""

    work: Work
    studies: dict[str, Study]
    key: str
    checkpoints: Path

    def close(self) -> None:
        """This process is at work no longer."""
        next(iter(self.studies.values())).workers.close()

    def set_aside(self) -> None:
        """The stage is done: its next run searches anew. Before, a killed one goes on with the trials that it has."""
        for study in self.studies.values():
            study.optuna.set_user_attr("done", True)
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self.close()


def key_of(cfg: DictConfig, data: Data, start: dict, code: dict[str, str]) -> str:
    """Names a search by all that it depends on: workers of one key share its trials."""
    return fingerprint({"config": plain_all(cfg), "start": start, "data": data.fingerprint, "code": code})


def open_search(
    cfg: DictConfig, data: Data, start: dict, code: dict[str, str], home: Path, say: Callable[[str], None], *,
    create: bool = True,
) -> Search:  # fmt: skip
    """The search of this configuration, taken up where its workers left it, or begun.

    code: {file: hash} that it depends on. Raises RecipeError where the configuration is wrong, the storage cannot be
    used; NoSearch, without `create`, where there is none.
    """
    space = read_space(cfg, start)
    samplers = list(cfg.samplers)
    check_samplers(samplers, space, cfg.trials)
    work = Work(cfg, data, start, space, say)
    work.lanes({})  # what was accepted can be built here: else trials would fail of what is no fault of theirs
    key, folder = key_of(cfg, data, start, code), home / ".recipe" / "tune"
    journal, place = folder / f"{key}.log", cfg.runtime.storage
    nothing = NoSearch(
        f"no search of this configuration, code and data ({key}) is going on. Start it: dvc repro tune; or join one "
        "that was started by hand: recipe worker KEY=VALUE ..., with the words of its command line"
    )
    finished = NoSearch(
        f"the search of this configuration, code and data ({key}) is over. To begin the next: dvc repro -f tune, or "
        "python pipeline/tune.py KEY=VALUE ..."
    )
    if not create and place == "journal" and not journal.is_file():
        raise nothing
    storage, workers = open_storage(place, journal)
    studies = open_studies(storage, workers, key, samplers, space, create=create)
    if not studies:
        workers.close()
        raise finished if over(storage, key) else nothing
    name = next(iter(studies.values())).optuna.study_name
    say(f"the search can be watched: optuna-dashboard {shown(place, journal)}")
    return Search(work, studies, key, folder / f"{name}.lanes")


# ---- generations and cohorts -------------------------------------------------------------------------------------


def generations(cfg: DictConfig, sampler: str) -> list[range]:
    """Indices of each generation."""
    size = cfg.generation if sampler in MODELS else cfg.trials
    return [range(first, min(first + size, cfg.trials)) for first in range(0, cfg.trials, size)]


def asked(cfg: DictConfig, study: Study, indices: range) -> dict[Key, dict]:
    """The values of a generation's trials; what the storage knows of is not asked for again."""
    params: dict[Key, dict] = {}
    for repeat in range(cfg.repeats):
        past: list = [study.finished[repeat, i] for i in range(indices.start)]
        for index in indices:
            key = repeat, index
            if key not in study.known:
                study.known[key] = ask(study.sampler, study.space, cfg.seed, repeat, index, cfg.trials, past)
            params[key] = study.known[key]
            past.append(params[key])
    return params


def cohorts(params: dict[Key, dict], space: Space, together: int) -> Iterator[dict[Key, dict]]:
    """At most `together` trials each, cut evenly."""

    def kin(key: Key) -> list:
        """What makes architectures differ is mostly chosen or whole; numbers differ from lane to lane of a batch."""
        mine = [(range_, params[key].get(range_.key)) for range_ in space.values() if range_.key in params[key]]
        return [(r.key, r.choices.index(v) if r.choices else v) for r, v in mine if r.choices or r.whole]

    ordered = sorted(params, key=lambda key: (kin(key), key))
    parts = -(-len(ordered) // together)
    for n in range(parts):
        mine = ordered[len(ordered) * n // parts : len(ordered) * (n + 1) // parts]
        yield {key: params[key] for key in sorted(mine)}


# ---- the work ----------------------------------------------------------------------------------------------------


def take_part(search: Search, seen: Callable[[list[Trial]], None] = lambda trials: None) -> int:
    """Works until every trial of every sampler is finished, by whomever; how many this process finished.

    seen: is given the trials of each generation when all of them are finished, in order.
    Raises NothingFound where more than the share `failures` of a sampler's trials failed, or none of all is complete.
    """
    cfg, done, told = search.work.cfg, 0, set()
    while True:
        open_, worked = False, False
        for sampler, study in search.studies.items():
            study.look()
            _check_failures(cfg, sampler, list(study.finished.values()))
            for n, indices in enumerate(generations(cfg, sampler)):
                keys = [(repeat, index) for repeat in range(cfg.repeats) for index in indices]
                if not all(key in study.finished for key in keys):
                    open_ = True
                    mine = _work_on(search, study, indices)
                    worked, done = worked or mine > 0, done + mine
                    break
                if (sampler, n) not in told:
                    told.add((sampler, n))
                    seen([study.finished[key] for key in keys])
        if not open_:
            _check_complete(search)
            return done
        if not worked:
            time.sleep(POLL)


def _work_on(search: Search, study: Study, indices: range) -> int:
    """Takes one cohort of a generation, if one is free; how many trials came of it."""
    cfg = search.work.cfg
    params = asked(cfg, study, indices)
    for cohort in cohorts(params, study.space, cfg.together):
        if all(key in study.finished for key in cohort):
            continue
        rows = study.claim(cohort)
        if rows is None:
            continue
        past = {key: trial for key, trial in study.finished.items() if key[1] < indices.start}
        leader = next(iter(cohort))
        folder = search.checkpoints / f"{study.sampler}-{leader[0]}-{leader[1]}"
        with study.workers.working(list(rows.values())):
            trials = {trial.key: trial for trial in train_cohort(search.work, study.sampler, cohort, past, folder)}
            try:
                for key, row in rows.items():
                    study.tell(row, trials[key])
            except Taken:
                search.work.say(f"{study.sampler}: another worker has finished what this one was at")
                return 0
        shutil.rmtree(folder, ignore_errors=True)
        states = [trials[key].state for key in rows]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        search.work.say(f"{study.sampler}: trials of indices {indices.start} to {indices.stop - 1}: {counts}")
        return len(rows)
    return 0


def _check_failures(cfg: DictConfig, sampler: str, trials: list[Trial]) -> None:
    failed = sorted((t for t in trials if t.state == "failed"), key=lambda t: (t.index, t.repeat))
    total, causes = cfg.trials * cfg.repeats, {t.cause for t in failed}
    if len(failed) > cfg.failures * total:
        others = f", and {len(causes) - 1} other causes" if len(causes) > 1 else ""
        raise NothingFound(
            f"{len(failed)} of {total} {sampler} trials failed, more than `failures: {cfg.failures}` allows; the "
            f"search space reaches too far. {failed[0].name}: {failed[0].cause}{others}. The next run searches anew."
        )


def _check_complete(search: Search) -> None:
    every = [trial for mine in trials_of(search).values() for trial in mine]
    if not any(trial.state == "complete" for trial in every):
        failed = next((t for t in every if t.state == "failed"), None)
        told = f" {failed.name}: {failed.cause}." if failed else ""
        raise NothingFound(f"none of {len(every)} trials trained to its end.{told} The next run searches anew.")


def trials_of(search: Search) -> dict[str, list[Trial]]:
    """{sampler: its trials by repeat and index}."""
    return {name: [study.finished[key] for key in sorted(study.finished)] for name, study in search.studies.items()}
