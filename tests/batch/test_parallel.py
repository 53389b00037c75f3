"""Engines: each task has one outcome, few tasks are in memory, and a dead process costs one task."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from adaptstft.batch import parallel


def square(number):
    return number**2


def square_or_die(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def slow_square(number):
    time.sleep(0.01)
    return number**2


def counted(count, taken):
    for number in range(count):
        taken.append(number)
        yield number


class NotSent:
    def __reduce__(self):
        raise RuntimeError("this stays here")


@pytest.fixture
def joblib():
    return pytest.importorskip("joblib", reason="processes need joblib, of the extra 'many'")


def outcomes(*args, **engine):
    return dict(parallel.run(*args, **engine))


def test_this_process_takes_one_task_at_a_time():
    taken = []
    for number, outcome in parallel.run(square, counted(5, taken)):
        assert outcome == number**2 and taken[-1] == number
    assert taken == list(range(5))


@pytest.mark.parametrize("most", [1, 3])
def test_pre_dispatch_limits_the_tasks_of_an_executor(most):
    taken, done = [], 0
    with ThreadPoolExecutor(2) as executor:
        for number, outcome in parallel.run(slow_square, counted(20, taken), executor=executor, pre_dispatch=most):
            assert outcome == number**2 and len(taken) <= done + most
            done += 1
    assert done == 20


def test_an_executor_gets_two_tasks_for_each_worker():
    taken = []
    with ThreadPoolExecutor(3) as executor:
        run = parallel.run(slow_square, counted(50, taken), executor=executor)
        next(run)
        assert len(taken) == 6
        run.close()


def test_joblib_does_not_take_all_tasks_at_once(joblib):
    taken = []
    run = parallel.run(slow_square, counted(30, taken), n_jobs=2)
    found = dict([next(run)])
    assert len(taken) < 30
    assert found | dict(run) == {number: number**2 for number in range(30)}


@pytest.mark.skipif(os.name != "posix", reason="the test sends POSIX signals")
def test_a_process_of_joblib_that_dies_is_one_outcome(joblib):
    found = outcomes(square_or_die, range(8), n_jobs=2)
    lost = found.pop(3)
    assert isinstance(lost, parallel.Lost) and "terminated" in str(lost.error)
    assert found == {n: n**2 for n in range(8) if n != 3}


def test_a_task_that_cannot_be_sent_is_one_outcome(joblib):
    stays = NotSent()
    found = outcomes(type, [1, stays, "a", 2.0], n_jobs=2)
    assert isinstance(found.pop(stays), parallel.Lost)
    assert found == {1: int, "a": str, 2.0: float}


@pytest.mark.skipif(os.name != "posix", reason="the test sends POSIX signals")
def test_an_executor_that_breaks_ends_the_run():
    with ProcessPoolExecutor(1) as executor, pytest.raises(BrokenProcessPool):
        outcomes(square_or_die, [3], executor=executor)


def test_what_an_executor_raises_is_the_outcome_of_its_task():
    with ThreadPoolExecutor(1) as executor:
        found = outcomes(len, ["ab", 3], executor=executor)
    assert found["ab"] == 2 and isinstance(found[3].error, TypeError)


@pytest.mark.parametrize("engine", ["here", "executor", "joblib"])
def test_an_error_of_the_iterator_comes_after_the_outcomes(engine, request):
    def tasks():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    if engine == "joblib":
        request.getfixturevalue("joblib")
    with ThreadPoolExecutor(1) as executor:
        run = parallel.run(
            square, tasks(), **{"here": {}, "executor": {"executor": executor}, "joblib": {"n_jobs": 2}}[engine]
        )
        assert dict([next(run), next(run)]) == {1: 1, 2: 4}
        with pytest.raises(OSError, match="the disk is gone"):
            next(run)


@pytest.mark.parametrize(
    ("engine", "error", "message"),
    [
        ({"n_jobs": 0}, ValueError, r"n_jobs=0 must be a positive number"),
        ({"n_jobs": 1.5}, TypeError, r"n_jobs=1\.5 must be an integer"),
        ({"n_jobs": 2, "executor": 3}, ValueError, r"n_jobs=2 is the number of joblib's processes"),
        ({"executor": "cluster"}, TypeError, r"executor='cluster' must be a dask\.distributed\.Client or"),
        ({"pre_dispatch": 4}, ValueError, r"pre_dispatch=4 needs n_jobs other than 1 or an executor"),
        ({"pre_dispatch": 0, "n_jobs": 2}, ValueError, r"pre_dispatch=0 must be at least 1"),
    ],
    ids=["zero", "float", "both", "executor", "here", "room"],
)
def test_bad_engine(engine, error, message):
    with pytest.raises(error, match=message):
        next(parallel.run(square, [1], **engine))


def test_without_joblib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ImportError, match=r"pip install .*\[many\]"):
        parallel.check_engine(2, None, None)


def test_no_engine_is_imported_before_its_use():
    code = "import sys, adaptstft.batch.many\n"
    code += "print([m for m in ('joblib', 'dask', 'pandas', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def _folder(task):
    return os.getcwd()


def test_reused_processes_follow_a_change_of_folder(tmp_path, monkeypatch):
    pytest.importorskip("joblib", reason="processes need joblib, of the extra 'many'")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found = {outcome for _, outcome in parallel.run(_folder, range(4), n_jobs=2)}
        assert found == {str(tmp_path / name)}
