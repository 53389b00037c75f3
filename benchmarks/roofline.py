"""The inner loops of a value with its gradient beside what the machine can do: ``python -m benchmarks.roofline``.

It measures one block of frames in the cache of one core, and then whole evaluations, and writes ``roofline.rst`` beside
this file. The machine has three limits: SciPy's FFT, the copy of an array that is in the cache, and products with sums
in registers. The bound of a loop is the larger of the times that its bytes and its products take at these limits.
Products and bytes are counted from the source of the kernels. A division or a square root counts as one product. What
is read again from the first-level cache, such as the window of a frame, does not count as bytes. The loops for windows
that differ from bin to bin read everything from there. For them a sample is one of the window of a bin, and two samples
at the same distance from a centre on a sample are one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numba import njit
from scipy import fft

from adaptstft import kernels, windows
from adaptstft.engine.frames import make_frames
from adaptstft.kernels.halves import Halves
from adaptstft.kernels.terms import LOG1P
from benchmarks.differentiable import Problem
from benchmarks.harness import SETTLE, Settings, interleaved, sound
from benchmarks.report import environment

_PAGE = Path(__file__).with_suffix(".rst")
_FRAMES, _MFFT, _HOP = 64, 1024, 256
_RUNS, _TURNS = 40, 25
_N = _FRAMES * _MFFT
#: New samples of the signal in each sample of a frame.
_REUSE = _HOP / _MFFT
#: Products with a sum of a logarithm in single and double precision, see `adaptstft.kernels.cpu.logarithm`.
_LOGARITHM = {4: 12, 8: 18}
_TERMS = 16


@dataclass(frozen=True)
class Loop:
    """A loop to measure.

    Attributes
    ----------
    name : str
        Its kernel.
    call : callable
        Runs it for all samples of the block.
    numbers : float
        Numbers of the signal, the frames and the spectra that it reads or writes for each sample of a frame.
    products : float
        Products with a sum for each sample of a frame.
    samples : float
        Number of samples of a call.
    """

    name: str
    call: Callable[[], Any]
    numbers: float
    products: float
    samples: float = _N


@njit(fastmath=True, error_model="numpy")
def _products(x, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do ``4 * _TERMS`` products with a sum for each element; LLVM unrolls the inner and vectorises the outer loop."""
    for i in range(x.size):
        a, b, c, d = x[i], x[i] + x[i], x[i] * x[i], x[i] - x[i] * x[i]
        for _ in range(_TERMS):
            a, b, c, d = a * x[i] + x[i], b * x[i] + x[i], c * x[i] + x[i], d * x[i] + x[i]
        out[i] = (a + b) + (c + d)


def nanoseconds(calls: dict[str, Callable[[], Any]], samples: dict[str, float]) -> dict[str, float]:
    """Return the least time of calls for each sample, measured in turn: other programs only add to it."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(_TURNS):
        for name, call in calls.items():
            begin = time.perf_counter_ns()
            for _ in range(_RUNS):
                call()
            times[name].append((time.perf_counter_ns() - begin) / _RUNS / samples.get(name, _N))
    return {name: min(values) for name, values in times.items()}


def limits(dtype: Any) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """Return calls that reach the limits of the machine, and the numbers or products of each."""
    block = np.random.default_rng(0).standard_normal((_FRAMES, _MFFT)).astype(dtype)
    other, small, out = np.empty_like(block), np.full(512, 0.5, dtype), np.empty(512, dtype)
    calls = {
        "FFT": lambda: fft.rfft(block),
        "copy": lambda: np.copyto(other, block),
        "products": lambda: _products(small, out),
    }
    return calls, {"copy": 2 * _N, "products": 512.0 * 4 * _TERMS}


def loops(dtype: Any) -> Iterator[Loop]:
    """Yield the loops of a value with its gradient, for windows of different lengths and for one window."""
    _, cpu = kernels.resolve("numba")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(_FRAMES * _HOP + 2 * _MFFT).astype(dtype)
    positions = np.arange(_FRAMES) * _HOP + float(_MFFT)
    several, one = (make_frames(d, positions, mfft=_MFFT)[:] for d in (rng.uniform(990, 1020, _FRAMES), 1000.0))
    series = windows.resolve("hann").series_in(np.dtype(dtype))
    assert series is not None
    frames, y = np.empty((2, _FRAMES, _MFFT), dtype)
    spectra = fft.rfft(rng.standard_normal((_FRAMES, _MFFT)).astype(dtype))
    adjoint, signal = np.empty_like(spectra), np.zeros_like(x)
    w, dw = np.empty((2, 1, _MFFT), dtype)
    cpu.window_rows(
        series.value, series.derivative, series.plateau, one.win_length[:1], one.lead[:1], one.count[:1], w, dw
    )
    scales, energy, out = np.ones((2, _FRAMES)), np.zeros((2, _FRAMES)), np.zeros((2, _FRAMES))
    bins = (1.0, True, True, np.array([1.5]), np.array([LOG1P]), np.ones(_FRAMES))
    sums, growth = np.zeros((1, _FRAMES)), np.empty(_FRAMES)
    logarithm = _LOGARITHM[np.dtype(dtype).itemsize]
    terms, slopes = _polynomial_products(series.value), _polynomial_products(series.derivative)
    table = (series.value, series.derivative, series.plateau)
    place = (several.win_length, several.lead, *several.place)
    # a sample of a window: its argument (5), the polynomials, the derivative times u (2)
    yield Loop("load_frames", lambda: cpu.load_frames(x, w, scales[0], *one.place, frames), 1 + _REUSE, 2)
    yield Loop(
        "load_frames_and_energy_gradient",
        lambda: cpu.load_frames_and_energy_gradient(
            x, *table, *place, 2, 1.0, 1.0, 0.0, 2.0, True, frames, scales, energy
        ),
        1 + _REUSE,
        5 + terms + slopes + 2 + 2 + 2 + 9,
    )
    yield Loop("statistics", lambda: cpu.statistics(spectra, *bins, sums), 1, (4 + 2 + logarithm) / 2)
    yield Loop(
        "statistics_and_cotangent",
        lambda: cpu.statistics_and_cotangent(spectra, *bins, 0, sums, growth, adjoint),
        2,
        (4 + 2 + logarithm + 5 + 1 + 3) / 2,
    )
    yield Loop(
        "window_gradient",
        lambda: cpu.window_gradient(y, x, *table[1:], *place, scales, growth, out),
        1 + _REUSE,
        5 + slopes + 2 + 3,
    )
    yield Loop("overlap_add", lambda: cpu.overlap_add(y, w, scales[0], *one.place, 0, signal), 1 + 2 * _REUSE, 3)


def _polynomial_products(coefficients: Any) -> int:
    """Return the products with a sum of a polynomial; an odd or even one is a polynomial in the square."""
    count = int(np.count_nonzero(coefficients))
    return count if count < coefficients.size else count - 1


def bin_loops(dtype: Any) -> Iterator[Loop]:
    """Yield the loops for windows that differ from bin to bin, with the derivative in the length."""
    yield from _bin_loops(dtype, 360.0, 512)
    first, *_ = _bin_loops(dtype, 2880.0, 4096)
    yield replace(first, name=f"{first.name}, eight times as long")


def _bin_loops(dtype: Any, length: float, mfft: int) -> Iterator[Loop]:
    """Yield the loops for windows of about a length."""
    _, cpu = kernels.resolve("numba")
    rng = np.random.default_rng(0)
    frames, hop, window = 16, 64, windows.resolve("hann")
    series = window.series_in(np.dtype(dtype))
    assert series is not None
    x = rng.standard_normal((1, frames * hop + 2 * mfft)).astype(dtype)
    bins, place = np.arange(257), np.arange(frames) * hop + float(mfft)
    angle = 2 * np.pi * np.arange(mfft) / mfft
    table, unscaled = np.array([np.cos(angle), np.sin(angle)]), np.empty((0, 0, 0))
    own = length * rng.uniform(0.95, 1.05, (frames, bins.size))
    equal = np.full((frames, bins.size), length)
    out = np.empty((2, 1, frames, bins.size), complex)
    terms, slopes = _polynomial_products(series.value), _polynomial_products(series.derivative)
    pairs = 2 * 4  # for the window and its derivative: two products with a phasor, and two with the row

    def halves_at(centre: Any) -> tuple[Any, Any, Any]:
        halves = Halves.of(centre, centre, 1.05 * length)
        right, left = np.empty((2, 1, frames, halves.width), dtype)
        cpu.split_halves(x, halves, right, left)
        return right, left, halves

    folded, between = halves_at(place), halves_at(place + 0.37)
    size = frames * bins.size * length / 2  # samples on one side of the centre
    yield Loop(
        "bin_sums, windows of their own",
        lambda: cpu.bin_sums(window, *folded, own, bins, table, out, unscaled),
        0,
        5 + terms + slopes + 2 + pairs,
        size,
    )
    yield Loop(
        "bin_sums, equal windows between samples",
        lambda: cpu.bin_sums(window, *between, equal, bins, table, out, unscaled),
        0,
        pairs,
        2 * size,
    )
    if dtype == np.float64:
        right, left, halves = folded
        yield Loop(
            "bin_adjoint",
            lambda: cpu.bin_adjoint(window, out[0], halves, own, bins, table, right.copy(), left.copy()),
            0,
            5 + terms + 4,
            size,
        )


def measure(dtype: Any) -> tuple[str, list[tuple[str, ...]]]:
    """Return the limits and the rows of the table for a precision."""
    calls, counts = limits(dtype)
    all_loops = [*loops(dtype), *bin_loops(dtype)]
    counts |= {loop.name: loop.samples for loop in all_loops}
    found = nanoseconds(calls | {loop.name: loop.call for loop in all_loops}, counts)
    name, size, product = np.dtype(dtype).name, np.dtype(dtype).itemsize, found["products"]
    rows = [(name, "``scipy.fft.rfft``", f"{found['FFT']:.3f}", "", "", "", "")]
    for loop in all_loops:
        bound = max(loop.numbers * found["copy"], loop.products * product)
        share = f"{100 * bound / found[loop.name]:.0f} %"
        counted = f"{loop.numbers * size:.3g}" if loop.numbers else "", f"{loop.products:.3g}"
        kernel, *how = loop.name.split(", ")
        label = ", ".join([f"``{kernel}``", *how])
        rows.append((name, label, f"{found[loop.name]:.3f}", *counted, f"{bound:.3f}", share))
    return f"{name}: {size / found['copy']:.0f} GB/s and {1 / product:.0f} products with a sum in a ns", rows


#: Kernels whose time is the part "loops" of an evaluation.
_LOOPS = ("load_frames_and_energy_gradient", "statistics_and_cotangent", "window_gradient")


class Stopwatch:
    """Adds up the seconds of calls of some functions, in one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time is added under a name."""

        def call(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

        return call


def shares(dtype: Any) -> tuple[str, ...]:
    """Return the row of a precision: the parts of a value with its gradient, and the gain by a second thread."""
    problem = Problem.at_hop(sound(480_000, dtype), _MFFT, _HOP, "time")
    samples = problem.positions.size * _MFFT
    watch, (_, cpu) = Stopwatch(), kernels.resolve("numba")
    with ExitStack() as stack:
        for name in _LOOPS:
            stack.enter_context(mock.patch.object(cpu, name, watch.timed("loops", getattr(cpu, name))))
        for name in ("rfft", "irfft"):
            stack.enter_context(mock.patch.object(cpu.fft, name, watch.timed("FFTs", getattr(cpu.fft, name))))
        step, parts = problem.step(1), []
        for _ in range(_TURNS):
            watch.seconds.clear()
            begin = time.perf_counter()
            step()
            parts.append((time.perf_counter() - begin, dict(watch.seconds)))
    total, own = min(parts, key=lambda part: part[0])
    workers = {f"{count}": problem.step(count) for count in (1, 2)}
    found = interleaved(workers, _TURNS, settle=SETTLE)
    speed = statistics.median(found["1"]) / statistics.median(found["2"])
    rest = total - own["FFTs"] - own["loops"]
    each = [f"{1e9 * part / samples:.2f} ({100 * part / total:.0f} %)" for part in (own["FFTs"], own["loops"], rest)]
    return np.dtype(dtype).name, f"{1e9 * total / samples:.2f}", *each, f"{speed:.2f}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        print("  ".join(row))
        lines += [f"   {'  ' if k else '* '}- {cell}".rstrip() for k, cell in enumerate(row)]
    return lines


def main() -> None:
    """Measure and write the tables."""
    notes, rows = zip(*(measure(dtype) for dtype in (np.float32, np.float64)), strict=True)
    lines = [".. This file is written by benchmarks/roofline.py.", ""]
    machine = environment(Settings(workers=1))
    lines += [f"{machine['cpu']}, limits with one thread: {'; '.join(notes)}.", ""]
    head = ("precision", "loop", "ns per sample", "bytes", "products", "bound in ns", "bound / measured")
    lines += _table(head, [*rows[0], *rows[1]])
    lines += ["", "A whole evaluation in one thread, in ns per sample of a frame, and what a second thread gains:", ""]
    head = ("precision", "all", "FFTs", "loops", "the rest", "1 thread / 2 threads")
    lines += _table(head, [shares(dtype) for dtype in (np.float32, np.float64)])
    print("\n".join(notes))
    _PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
