import os
import signal
import sys
import time

import numpy as np
import pytest

from adaptstft.common.child_process import in_child


def double(x):
    print("not the answer")
    return 2 * x


def fail(text):
    raise ValueError(text)


def divide(x):
    return x / 0


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    os._exit(3)


def allocate(size):
    return np.ones(size, np.uint8).sum()


def prepare():
    """What is allocated here is not limited."""
    np.ones(1 << 29, np.uint8)


def call(function, *arguments, memory=1 << 28, seconds=60.0):
    return in_child(function, *arguments, prepare=prepare, memory=memory, seconds=seconds)


def test_result():
    np.testing.assert_array_equal(call(double, np.arange(3)), [0, 2, 4])


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (fail, ("a reason",), "^a reason$"),
        (divide, (1,), "^ZeroDivisionError: division by zero$"),
        (crash, (), r"^the reader crashed \(SIGSEGV\)$"),
        (leave, (), "^the reader ended with code 3$"),
        (time.sleep, (60,), "^reading takes more than 0.5 s$"),
    ],
    ids=["error", "other error", "crash", "exit", "time"],
)
def test_errors(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        call(function, *arguments, seconds=0.5 if function is time.sleep else 60.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of a process")
def test_memory():
    assert call(allocate, 1 << 20) == 1 << 20
    with pytest.raises(ValueError, match=r"^reading takes more than 256 MiB$"):
        call(allocate, 1 << 30)
