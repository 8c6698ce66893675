"""The command line of a stage before anything runs: which jobs a multirun has, what is refused, and the folder."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.config.compose import checked
from recipe.config.hydra_app import _jobs, check_command_line, new_folder
from recipe.errors import RecipeError

ROOT = Path(__file__).resolve().parents[2]
KEYS = st.sampled_from(["seed", "val", "model", "+own", "++train.epochs"])
VALUE = st.sampled_from(["-3", "0", "2", "0.5", "true", "word", "'a,b'", "[1,2]", "{a: 1}"])
CHOICES = st.lists(VALUE, min_size=1, max_size=3)
VALUES = st.one_of(
    VALUE | st.just("null"),
    CHOICES.map(",".join),
    CHOICES.map(lambda values: f"choice({','.join(values)})"),
    st.integers(1, 3).map(lambda end: f"range(0,{end})"),
)


@settings(deadline=None, max_examples=60)  # a machine that is shared takes its time
@given(st.lists(st.tuples(KEYS, VALUES), max_size=4))
def test_the_jobs_are_those_of_hydras_own_sweeper(words):
    """In its order, which is that of the jobs' numbers."""
    overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in words])
    (theirs,) = BasicSweeper.split_arguments(overrides, None)
    again = [OverridesParser.create().parse_overrides(list(job.values())) for job in _jobs(overrides)]
    assert [[(o.key_or_group, o.value()) for o in job] for job in again] == [
        [(o.key_or_group, o.value()) for o in OverridesParser.create().parse_overrides(job)] for job in theirs
    ]


REFUSED = {
    "val=0.2,abc": r"1 of 2 jobs cannot be composed, so none was run\.\n  #1 val=abc: `val: 'abc'` is text",
    "val=abc,no": r"2 of 2 jobs cannot be composed, so none was run\.\n  #0 val=abc: .+\n  #1 val=no: ",
    "val=range(0.5,1.5,0.5)": r"1 of 2 jobs.+\n  #1 val=1\.0: `val: 1\.0` must be at least 0 and below 1",
    "val=0.1,${nope}": r"1 of 2 jobs.+\n  #1 .+Interpolation key 'nope' not found",
    "vla=0.1,0.2": r"split has no `vla`; did you mean `val`\?",
    "+vla=0.1,0.2": r"split has no `vla`; did you mean `val`\?",
    "+val=0.1,0.2": r"2 of 2 jobs.+\n  #0 \+val=0\.1: .*An item is already at 'val'",
    "data=digits,nope": r"conf/data/ has no `nope`; .*known: .*digits",
    "data=glob(nope*)": r"`data=glob\(nope\*\)` gives no value, so it makes no job",
    "val=glob(*)": r"`val=glob\(\*\)` gives no value",
    "val=range(1,1)": r"`val=range\(1,1\)` gives no value",
    "val=choice(": r"`val=choice\(` cannot be read \(no viable alternative.*key=1,2",
    "val=choice()": r"`val=choice\(\)` cannot be read \(.*empty choice is not legal",
    "val=range(0.1,0.3": r"`val=range\(0\.1,0\.3` cannot be read",
    "val=range(a,b)": r"`val=range\(a,b\)` cannot be read \(.*str is incompatible",
    "val=0.1,": r"`val=0\.1,` cannot be read \(mismatched input '<EOF>'\);",
    "val=interval(0.1,0.2)": r"`val=interval\(0\.1,0\.2\)` is a range to search in.*hydra/sweeper=optuna",
    "hydra/sweeper=nope": r"Could not find 'hydra/sweeper/nope' Available options in 'hydra/sweeper': basic",
    "hydra.sweeper.nope=1": r"Could not override 'hydra\.sweeper\.nope'",
    "seed=1 val=0.1,0.2 test=0.1,x": r"2 of 4 jobs.+\n  #1 val=0\.1 test=x: .+\n  #3 val=0\.2 test=x: ",
}


@pytest.mark.slow
@pytest.mark.parametrize("words", REFUSED)
def test_a_multirun_that_cannot_be_composed_is_refused_with_every_job_that_is_wrong(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(RecipeError, match=REFUSED[words]) as refused:
        check_command_line("split", words.split(), ROOT, multirun=True)
    assert "Config search path" not in str(refused.value)
    assert "HYDRA_FULL_ERROR" not in str(refused.value)


@pytest.mark.slow
def test_a_long_list_of_wrong_jobs_is_cut(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(RecipeError, match="30 of 30 jobs") as refused:
        check_command_line("split", ["val=range(1,31)"], ROOT, multirun=True)
    assert len(str(refused.value).splitlines()) == 12
    assert str(refused.value).endswith("and 20 more")


@pytest.mark.slow
def test_a_group_may_be_swept_by_a_pattern(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert check_command_line("baseline", ["model=glob(*)", "seed=0,1"], ROOT, multirun=True)[1]


def test_a_search_of_another_sweeper_is_left_to_it(monkeypatch):
    """Which jobs it makes is known to it alone; the names are checked all the same."""
    monkeypatch.chdir(ROOT)
    other = "hydra.sweeper._target_=mine.Sweeper"
    check_command_line("split", [other, "val=interval(0.1,0.2)"], ROOT, multirun=True)
    with pytest.raises(RecipeError, match="split has no `vla`"):
        check_command_line("split", [other, "vla=interval(0.1,0.2)"], ROOT, multirun=True)


def test_several_values_without_m_are_refused_with_the_ways_out(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(RecipeError, match=r"`seed=0,1` gives several values.*add -m.*key=\[a,b\]"):
        check_command_line("split", ["seed=0,1"], ROOT)


def test_hydras_mode_makes_a_multirun_too(monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg, multirun = check_command_line("split", ["hydra.mode=MULTIRUN", "val=0.1,0.2"], ROOT)
    assert multirun
    assert "hydra" not in checked(cfg)


@pytest.mark.slow
def test_jobs_that_would_share_a_folder_or_leave_no_words_are_refused(monkeypatch):
    """The first one's failure would be overwritten by the second one, and the multirun would count one job."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(RecipeError, match=r"hydra\.sweep\.subdir is `same` for every job"):
        check_command_line("split", ["seed=0,1", "hydra.sweep.subdir=same"], ROOT, multirun=True)
    with pytest.raises(RecipeError, match=r"hydra\.output_subdir is null"):
        check_command_line("split", ["seed=0,1", "hydra.output_subdir=null"], ROOT, multirun=True)
    check_command_line("split", ["hydra.output_subdir=null", "hydra.sweep.subdir=same"], ROOT)
    check_command_line("split", ["seed=0,1", "hydra.sweep.subdir='${hydra.job.num}/a'"], ROOT, multirun=True)


def test_each_run_gets_a_folder_of_its_own_under_parallel_starts(tmp_path):
    (tmp_path / "model=linear").mkdir()  # of another version
    (tmp_path / "7").mkdir()
    with ThreadPoolExecutor(16) as pool:
        folders = list(pool.map(new_folder, [tmp_path] * 200))
    assert sorted(int(f.name) for f in folders) == list(range(8, 208))
