"""Search space -> trials, random and Bayesian side by side. The only importer of optuna.

The study lives outside DVC's outputs, so that a killed search goes on where it stopped: trials that were finished
stay, and the sampler is seeded by their number, which makes the resumed search the same, trial by trial, as one that
was never killed. Its name is a hash of everything that the search depends on.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from recipe import build
from recipe.ablation import Gain, gain, train_arm
from recipe.config import KNOBS, NAMED, RUNTIME, change, leaves, nearest
from recipe.data.batches import Data
from recipe.errors import RecipeError
from recipe.files import fingerprint
from recipe.parts import plain_all

SAMPLERS = ("random", "tpe")


@dataclass(frozen=True)
class Trial:
    """One finished trial; value is the validation loss, None where training diverged."""

    sampler: str
    number: int
    params: dict
    value: float | None
    accuracy: float | None
    cause: str

    def row(self) -> dict:
        return {
            "sampler": self.sampler, "trial": self.number, **self.params,
            "val_loss": self.value, "val_accuracy": self.accuracy, "cause": self.cause,
        }  # fmt: skip


def read_space(cfg: DictConfig) -> dict[str, dict]:
    """{dotted config key: range}, checked: {low, high, log} or {choices}.

    Raises RecipeError that names the key and what is wrong with it.
    """
    space = OmegaConf.to_container(cfg.space, resolve=True)
    if not space:
        raise RecipeError("conf/space: the space is empty; name at least one key and its range.")
    known = [key for key in leaves(cfg) if key.split(".")[0] not in (RUNTIME, "stage", *NAMED)]
    for key, range_ in space.items():
        if key not in known:
            raise RecipeError(f"conf/space: no `{key}` in this configuration; {nearest(key, known)}")
        where = f"conf/space: `{key}`"
        if not isinstance(range_, dict) or set(range_) not in (
            {"choices"},
            {"low", "high"},
            {"low", "high", "log"},
        ):
            raise RecipeError(f"{where} must be {{low, high}}, {{low, high, log: true}} or {{choices: [...]}}.")
        if "choices" in range_:
            if not isinstance(range_["choices"], list) or not range_["choices"]:
                raise RecipeError(f"{where}: choices must be a list that is not empty.")
            continue
        low, high = range_["low"], range_["high"]
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (low, high)) or low >= high:
            raise RecipeError(f"{where}: low ({low}) and high ({high}) must be numbers, low below high.")
        if range_.get("log") and low <= 0:
            raise RecipeError(f"{where}: a log scale needs low above 0, it is {low}.")
    return space


def _suggest(trial, key: str, range_: dict):
    if "choices" in range_:
        return trial.suggest_categorical(key, range_["choices"])
    whole = KNOBS.get(key.rsplit(".", 1)[-1], (None,))[0] is int
    suggest = trial.suggest_int if whole else trial.suggest_float
    return suggest(key, range_["low"], range_["high"], log=bool(range_.get("log")))


def _sampler(name: str, seed: int):
    import optuna

    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # a third of a small budget at random, then the model; Optuna's own default of 10 suits studies of 100 trials
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=4)


def open_study(storage: Path, name: str):
    """A study in a journal file that several processes can read; taken up again where an earlier run was killed."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    journal = JournalStorage(JournalFileBackend(str(storage)))
    return optuna.create_study(study_name=name, storage=journal, load_if_exists=True, direction="minimize")


def search(cfg: DictConfig, data: Data, start: dict, sampler: str, storage: Path, run) -> list[Trial]:
    """`cfg.trials` trials of one sampler on top of the accepted changes `start`; every lane from the same seed."""
    import optuna
    from optuna.trial import TrialState

    space = read_space(cfg)
    study = open_study(storage, sampler)
    for orphan in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # of a killed run
        optuna.trial.Trial(study, orphan._trial_id).set_user_attr("killed", True)
        study.tell(orphan.number, state=TrialState.FAIL)

    def finished() -> list:
        """Trials that came to their end, diverged ones too; a killed or interrupted one is asked again."""
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
        return [t for t in trials if "cause" in t.user_attrs and "killed" not in t.user_attrs]

    while (count := len(finished())) < cfg.trials:
        study.sampler = _sampler(sampler, seed=1000 * cfg.seed + count)
        trial = study.ask()
        params = {key: _suggest(trial, key, range_) for key, range_ in space.items()}
        value, accuracy, trained = run_trial(cfg, data, start | params, run, f"{sampler} trial {count}")
        trial.set_user_attr("accuracy", accuracy)
        trial.set_user_attr("cause", trained.ended)
        study.tell(trial, *([value] if math.isfinite(value) else [None, TrialState.FAIL]))
        # only now: a trial whose line was seen is never run again, whenever the process is killed
        run.lane(
            f"{sampler} trial {count}", trained, {**params, "sampler": sampler},
            early_stopping=_stops(cfg, start),
        )  # fmt: skip
    trials = [_trial(sampler, i, t) for i, t in enumerate(finished()[: cfg.trials])]
    failed = sum(t.value is None for t in trials)
    if failed > cfg.failures * len(trials):
        raise RecipeError(f"{failed} of {len(trials)} {sampler} trials diverged; the search space reaches too far.")
    return trials


def _stops(cfg: DictConfig, changes: dict) -> bool:
    return bool(changes.get("train.early_stopping", cfg.train.early_stopping))


def run_trial(cfg: DictConfig, data: Data, changes: dict, run, name: str):
    """(validation loss, accuracy, Trained) of one training; the loss is NaN where it diverged."""
    (trained,) = build.train(cfg, data, [build.lane(cfg, data, 100 * cfg.seed, changes)], run, name)
    row = trained.row(_stops(cfg, changes))
    return (math.nan if trained.lost else row["val_loss"]), row["val_accuracy"], trained


def _trial(sampler: str, number: int, frozen) -> Trial:
    value = frozen.value if frozen.value is not None and math.isfinite(frozen.value) else None
    attrs = frozen.user_attrs
    return Trial(sampler, number, dict(frozen.params), value, attrs.get("accuracy"), attrs.get("cause", ""))


def best(trials: list[Trial]) -> Trial:
    return min((t for t in trials if t.value is not None), key=lambda t: t.value)


def best_so_far(trials: list[Trial]) -> list[float]:
    lowest, curve = math.inf, []
    for trial in trials:
        lowest = min(lowest, trial.value if trial.value is not None else math.inf)
        curve.append(lowest)
    return curve


def importances(storage: Path, sampler: str) -> dict[str, float]:
    """Optuna's PED-ANOVA: what matters among the better trials (not the share of variance); {} where it has too few."""
    import optuna

    study = open_study(storage, sampler)
    try:
        return dict(optuna.importance.get_param_importances(study))
    except (RuntimeError, ValueError):
        return {}


def at_edges(trial: Trial, space: dict, share: float = 0.05) -> list[str]:
    """Keys whose best value lies within 5 % of an end of its range, on the range's own scale."""
    found = []
    for key, range_ in space.items():
        if "choices" in range_:
            continue
        scale = math.log if range_.get("log") else float
        low, high, value = scale(range_["low"]), scale(range_["high"]), scale(trial.params[key])
        if min(value - low, high - value) < share * (high - low):
            found.append(key)
    return found


# ---- the stage's two questions -------------------------------------------------------------------------------


def journal_of(cfg: DictConfig, data: Data, start: dict, run) -> Path:
    """The studies' file under .recipe/tune/, open to optuna-dashboard, named by all that the search depends on."""
    name = fingerprint({"config": plain_all(cfg), "start": start, "data": data.fingerprint, "code": run.inputs})
    return run.home / ".recipe" / "tune" / f"{name}.log" if run.in_dvc else run.out / "study.log"


def set_aside(journal: Path) -> None:
    """The stage is done: its next run searches anew. Before, a killed one goes on with the trials that it has."""
    journal.replace(journal.with_suffix(".done.log"))


def studies(cfg: DictConfig, data: Data, start: dict, storage: Path, run) -> tuple[dict, dict[str, float]]:
    """({sampler: trials}, importances over the random trials), every sampler with the same budget."""
    trials = {sampler: search(cfg, data, start, sampler, storage, run) for sampler in SAMPLERS}
    return trials, importances(storage, "random")


@dataclass(frozen=True)
class Comparison:
    """The best trial against the accepted recipe, over seeds that neither of them was chosen on."""

    best: Trial
    again: float
    reference: float  # the accepted recipe at the trials' own seed
    gain: Gain
    edges: list[str]
    handed_on: dict
    score: dict
    prediction: dict


def compare(cfg: DictConfig, data: Data, start: dict, trials: dict[str, list[Trial]], run) -> Comparison:
    """The best of many trials always looks good on its own seed: it meets the accepted recipe on fresh ones."""
    top = best([t for mine in trials.values() for t in mine])
    again, reference = (
        run_trial(cfg, data, changes, run, name)[0]
        for name, changes in (("best trial again", start | top.params), ("accepted recipe, same seed", start))
    )
    fresh = change(cfg, {"seed": cfg.seed + 1000})
    accepted = train_arm(fresh, data, "accepted recipe", start, run)
    found = train_arm(fresh, data, "best trial", start | top.params, run, main=True)
    difference = gain(accepted, found, cfg.confidence)
    winner = found if difference.real else accepted
    measured = f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}], n = {difference.n}"
    prediction = {
        "change": f"best of {sum(map(len, trials.values()))} trials",
        "expected": "val_loss lower than the accepted recipe's",
        "measured": measured,
        "outcome": "confirmed" if difference.real else "refuted",
    }
    row = winner.score() | {"system": "tuned" if difference.real else "tuned (the accepted recipe)"}
    edges = at_edges(top, read_space(cfg))
    return Comparison(top, again, reference, difference, edges, winner.changes, row, prediction)
