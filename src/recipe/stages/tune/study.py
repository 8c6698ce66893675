"""One sampler's trials in a storage that several workers share.

A trial is identified by its repeat and index, which are stored with its rows; a row is a claim to a trial. A worker
claims a cohort of trials by its first one, the leader: it writes a row, and the lowest number of a running row holds
the cohort. Results are written trial by trial, the leader's last, so that a finished leader means a finished cohort.
The row of a worker that died is set to FAIL, and its trial is free again. So no finished trial is lost, and none is
trained twice.
"""

import contextlib
from dataclasses import dataclass, field

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from recipe.metrics.objective import LOSS, Objective
from recipe.stages.tune.samplers import distributions
from recipe.stages.tune.space import Space
from recipe.stages.tune.storage import Liveness, running_trials, trial_id
from recipe.stages.tune.trials import Key, Trial, result_of

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class ClaimLost(Exception):
    """Another worker took this one for dead, and has finished its trial."""


@dataclass
class SamplerStudy:
    """One sampler's trials in the storage.

    objective: its values are what the storage has of a trial, where optuna-dashboard shows them. finished: as of the
    last `refresh`. params: the values of every trial for which a row was ever written.
    """

    sampler: str
    optuna_study: optuna.Study
    storage: BaseStorage
    space: Space
    liveness: Liveness
    objective: Objective = LOSS
    finished: dict[Key, Trial] = field(default_factory=dict)
    params: dict[Key, dict] = field(default_factory=dict)

    def refresh(self) -> list[FrozenTrial]:
        """Frees the trials of workers that died, and reads the storage; gives all rows as of that moment."""
        for orphan in self.liveness.orphans(self.optuna_study):
            self._free(trial_id(self.storage, self.optuna_study, orphan), "killed")
        rows = self.optuna_study.get_trials(deepcopy=False)
        for row in rows:
            key = key_of_row(row)
            self.params.setdefault(key, dict(row.params))
            if key not in self.finished and (result := _finished_result(row)):
                self.finished[key] = Trial(self.sampler, *key, self.params[key], **result)
        return rows

    def is_held(self, key: Key) -> bool:
        """Whether a worker trains this trial now."""
        return bool(_running(running_trials(self.optuna_study), key))

    def claim(self, cohort: dict[Key, dict]) -> dict[Key, int] | None:
        """{trial: id of its row} of the unfinished ones, the leader last; None where another worker holds them."""
        leader = next(iter(cohort))
        if self.is_held(leader):
            return None
        leading = self._write(leader, cohort[leader])
        number = self.storage.get_trial_number_from_id(leading)
        # In one reading: between two, the holder of a lower number could finish, and be seen neither at work nor done.
        rows = self.refresh()
        if leader in self.finished or any(row.number < number for row in _running(rows, leader)):
            self._free(leading, "surplus")
            return None
        claimed = {}
        for key, params in list(cohort.items())[1:]:
            for row in _running(
                running_trials(self.optuna_study), key
            ):  # its worker has lost the leader, and will notice
                self._free(trial_id(self.storage, self.optuna_study, row), "killed")
            self.refresh()
            if key not in self.finished:
                claimed[key] = self._write(key, params)
        return claimed | {leader: leading}

    def write_result(self, row: int, trial: Trial) -> None:
        """Raises ClaimLost where the row no longer belongs to this worker."""
        try:
            for rung, cost in trial.rungs.items():
                self.storage.set_trial_intermediate_value(row, int(rung), self.objective.turned(cost))
            self.storage.set_trial_user_attr(row, "result", result_of(trial))
            values = None if trial.cost is None else [self.objective.turned(trial.cost)]
            self.storage.set_trial_state_values(row, STATES[trial.state], values)
        except UpdateFinishedTrialError:
            raise ClaimLost from None

    def _write(self, key: Key, params: dict) -> int:
        """The id of a new running row, in one write."""
        template = create_trial(
            state=TrialState.RUNNING, params=params, distributions=distributions(self.space, params),
            user_attrs={"repeat": key[0], "index": key[1], "worker": self.liveness.name},
        )  # fmt: skip
        study_id = self.storage.get_study_id_from_name(self.optuna_study.study_name)
        return self.storage.create_new_trial(study_id, template)

    def _free(self, row: int, reason: str) -> None:
        """Another worker may have freed or finished it first."""
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(row, reason, True)
            self.storage.set_trial_state_values(row, TrialState.FAIL)


def key_of_row(row: FrozenTrial) -> Key:
    return row.user_attrs["repeat"], row.user_attrs["index"]


def _running(rows: list[FrozenTrial], key: Key) -> list[FrozenTrial]:
    return [row for row in rows if row.state == TrialState.RUNNING and key_of_row(row) == key]


def _finished_result(row: FrozenTrial) -> dict | None:
    """The result of a row whose trial came to its end; None where its worker died or lost it."""
    result = row.user_attrs.get("result")
    if row.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return result
    return result if row.state == TrialState.FAIL and result and result["state"] == "failed" else None


# ---- all samplers ------------------------------------------------------------------------------------------------


def is_over(storage: BaseStorage, key: str) -> bool:
    """Whether a search `key` was begun, and each one that was begun is done."""
    names = [name for name in optuna.get_all_study_names(storage) if name.startswith(f"{key}-")]
    done = ["done" in optuna.load_study(study_name=name, storage=storage).user_attrs for name in names]
    return bool(done) and all(done)


def open_studies(
    storage: BaseStorage,
    liveness: Liveness,
    key: str,
    samplers: list[str],
    space: Space,
    objective: Objective,
    *,
    create: bool,
) -> dict[str, SamplerStudy] | None:
    """{sampler: its study} of the search `key` that is going on; None where there is none and none is to be created.

    A search whose stage is done stays as it is; the studies of the next one of the same key get the next number.
    """
    names, studies = set(optuna.get_all_study_names(storage)), {}
    for sampler in samplers:
        study = _open_study(storage, names, f"{key}-{sampler}", objective, create)
        if study is None:
            return None
        studies[sampler] = SamplerStudy(sampler, study, storage, space, liveness, objective)
    return studies


def _open_study(
    storage: BaseStorage, names: set[str], base: str, objective: Objective, create: bool
) -> optuna.Study | None:
    name, number = base, 1
    while name in names:
        study = optuna.load_study(study_name=name, storage=storage)
        if "done" not in study.user_attrs:
            return study
        number += 1
        name = f"{base}-{number}"
    if not create:
        return None
    direction = StudyDirection.MAXIMIZE if objective.higher_is_better else StudyDirection.MINIMIZE
    return optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
