r"""A criterion of many pieces of signal, as a function of sums over them.

An additive criterion is :math:`C = F(s_1, \dots, s_K)` with sums :math:`s_k = \sum_i s_{ki}` over pieces of signal.
Parameters that all pieces share therefore have the derivative

.. math:: \frac{dC}{d\theta} = \sum_k \frac{\partial F}{\partial s_k} \sum_i \frac{ds_{ki}}{d\theta} ,

and a piece only has to be asked for its sums and the derivative of each (`answer`), in one round and in any order, on
any machine: a question is a few parameters, an answer a few numbers for each parameter. What a piece is, the signals of
a corpus or the stretches of a long one, and who answers, is up to `Pieces`.

Frames are those of `adaptstft.optimize`, at ``p * hop`` for ``p = 0 ... ceil((n - 1) / hop)``, in every signal.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.evaluate import comparable_view
from adaptstft.criteria.scopes import FrameView, reduce_sums
from adaptstft.engine.bins import BinFrames, bin_forward, bin_gradients
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames, durations, frame_count, make_frames
from adaptstft.engine.operator import energies
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics

#: Bins of a block of frames whose spectra are held, with all channels.
_BLOCK_BINS = 1 << 18
#: Frames of a block of which only sums are held.
_BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class Stretch:
    """Samples of one signal, and the times whose frames are evaluated on them.

    Attributes
    ----------
    channels : ndarray, shape (channels, m)
        The samples, with as many more on both sides of the times as the longest window takes.
    n : int
        Number of samples of the whole signal.
    first : int
        Index of the first of `channels` in it.
    start, stop : float
        Range of the times ``start <= t < stop``.
    weight : float
        How often the signal counts.
    """

    channels: AnyArray
    n: int
    first: int = 0
    start: float = 0.0
    stop: float = np.inf
    weight: float = 1.0

    def frames(self, hop: float) -> tuple[int, int]:
        """Range of the numbers of the frames at these times."""
        count = frame_count(self.n, hop)
        low = int(np.ceil(self.start / hop))
        return low, count if self.stop == np.inf else min(int(np.ceil(self.stop / hop)), count)


@dataclass(frozen=True)
class Question:
    """What every piece is asked.

    Attributes
    ----------
    plan : Transform
        The transform.
    win_length : ndarray, shape (1,) or (f_pts,)
        Window length of all frames, or one for each frequency.
    hop : float
        Time between frames.
    criterion : Additive
        The criterion, of scope ``"global"`` or ``"frame"``.
    comparable : bool
        Whether frames count for the time and bins for the frequency that they stand for.
    gradient, shape : bool
        Whether derivatives are wanted, and those in the shape parameters among them.
    single : bool
        Whether single precision will do.
    spectrum : bool
        Whether the energy of every frequency is wanted.
    """

    plan: FramePlan
    win_length: Float64Array
    hop: float
    criterion: Additive
    comparable: bool = False
    gradient: bool = False
    shape: bool = False
    single: bool = False
    spectrum: bool = False

    def __getstate__(self) -> dict[str, Any]:
        # a module is sent by its name
        return {**self.__dict__, "plan": replace(self.plan, kernels=self.plan.kernels.__name__)}  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        plan = state["plan"]
        self.__dict__.update(state | {"plan": replace(plan, kernels=importlib.import_module(plan.kernels))})

    @property
    def per_bin(self) -> bool:
        """Whether there is a window length for each frequency."""
        return self.win_length.size > 1

    @property
    def by_frame(self) -> bool:
        """Whether the criterion is the mean of one for each frame."""
        return self.criterion.scope == "frame"

    @property
    def reach(self) -> float:
        """How far the longest window reaches from its centre, in samples."""
        return float(self.win_length.max()) / 2

    @property
    def cell(self) -> float:
        """Size of a bin."""
        if not self.comparable:
            return 1.0
        return comparable_view(self.criterion, np.zeros(1), np.ones(1), self.plan.mfft, None).cell

    def view(self, low: int, high: int, n: int) -> FrameView:
        """Return times and weights of frames ``low <= p < high`` of a signal of `n` samples.

        Where weights are to be divided by their mean, they are not yet.
        """
        if not self.comparable:
            return FrameView(np.arange(low, high) * self.hop, np.ones(high - low), self.cell)
        # what a frame stands for depends on its neighbours
        first = max(low - 1, 0)
        wide = np.arange(first, min(high + 1, frame_count(n, self.hop))) * self.hop
        part = slice(low - first, high - first)
        return FrameView(wide[part], durations(wide, n)[part], self.cell)


@dataclass(frozen=True)
class Answer:
    """Sums over frames, and their derivatives; answers of pieces add up.

    Attributes
    ----------
    sums : ndarray, shape (statistics,)
        The statistics of the criterion with the weights of the frames; in scope ``"frame"`` the criterion of the
        frames and their number instead.
    count : float
        Number of bins with those weights.
    frames, time : float
        Number of frames, and the sum of their weights.
    win_length : ndarray, shape (statistics, lengths)
        Derivatives of the sums in the window lengths.
    shape : ndarray, shape (statistics, n_shape)
        In the shape parameters.
    spectrum : ndarray, shape (f_pts,) or (0,)
        Energy of every frequency.
    """

    sums: Float64Array
    count: float
    frames: float
    time: float
    win_length: Float64Array
    shape: Float64Array
    spectrum: Float64Array

    @classmethod
    def zero(cls, question: Question) -> Answer:
        """Answer of a piece without frames."""
        rows = 2 if question.by_frame else len(question.criterion.statistics)
        n_shape = len(question.plan.window.shape) if question.shape else 0
        win_length = np.zeros((rows, question.win_length.size if question.gradient else 0))
        spectrum = np.zeros(question.plan.f_pts if question.spectrum else 0)
        return cls(np.zeros(rows), 0.0, 0.0, 0.0, win_length, np.zeros((rows, n_shape)), spectrum)

    def __add__(self, other: Answer) -> Answer:
        return Answer(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def scaled(self, weight: float) -> Answer:
        """Answer of a piece that counts `weight` times."""
        return Answer(*(getattr(self, name) * weight for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Found:
    """Value of a criterion, and its slopes in the window lengths and shape parameters."""

    value: float
    win_length: Float64Array
    shape: Float64Array


def conclude(question: Question, total: Answer) -> Found:
    """Value and slopes of the criterion for the sums over all pieces."""
    weight = total.frames / total.time if question.comparable and question.criterion.spread else 1.0
    value, gradients = conclude_sums(question.criterion, total.sums, total.count, weight, question.cell)
    return Found(value, gradients @ total.win_length, gradients @ total.shape)


def conclude_sums(
    criterion: Additive, sums: Float64Array, count: float, weight: float, cell: float
) -> tuple[float, Float64Array]:
    """Value of the criterion for sums over all frames and their number of bins, and its slopes in the sums.

    `weight` is what sums and number are still to be multiplied by, `cell` the size of a bin.
    """
    if criterion.scope == "frame":
        if not sums[1] > 0:
            raise ValueError("the spectrogram is silent: no frame's window reaches any energy of the signals")
        value, gradient = criterion.of_mean(float(sums[0] / sums[1]))
        return value, np.array([gradient / sums[1], 0.0])
    # all sums as those of one frame
    view = FrameView(np.zeros(1), np.array([weight]), cell)
    reduced = criterion.reduce(sums[:, np.newaxis], np.array([count]), view)
    return reduced.value, np.asarray(reduced.totals[:, 0])


# ---------------------------------------------------------------------------------------
# One piece


def answer(stretch: Stretch, questions: Sequence[Question]) -> list[Answer]:
    """Answer questions for one piece."""
    return [_answer(stretch, question).scaled(stretch.weight) for question in questions]


def _answer(stretch: Stretch, question: Question) -> Answer:
    low, high = stretch.frames(question.hop)
    x = stretch.channels
    if question.single:
        x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
    x = question.plan.kernels.asarray(x)
    size = _BLOCK_FRAMES
    if question.per_bin or question.spectrum:
        size = max(1, _BLOCK_BINS // (question.plan.f_pts * len(x)))
    total = Answer.zero(question)
    for p in range(low, high, size):
        view = question.view(p, min(p + size, high), stretch.n)
        make = _spectrum if question.spectrum else _bin_sums if question.per_bin else _frame_sums
        total = total + make(question, x, stretch.first, view)
    return total


@dataclass(frozen=True)
class Rows:
    """Sums over frames of what a criterion adds up, and its slopes in each frame's statistics.

    `sums` has shape (rows,), `gradients` (rows, statistics, frames).
    """

    sums: Float64Array
    gradients: Float64Array


def frame_rows(criterion: Additive, totals: Float64Array, counts: Float64Array, view: FrameView) -> Rows:
    """Add up frames' statistics, shape (statistics, frames), or in scope ``"frame"`` what the mean is taken of."""
    n_stats, n_frames = totals.shape
    if criterion.scope != "frame":
        gradients = np.eye(n_stats)[:, :, np.newaxis] * view.weights
        return Rows(totals @ view.weights, gradients)
    gradients = np.zeros((2, n_stats, n_frames))
    alive = (totals[0] > 0) & (view.weights > 0)
    if not alive.any():
        return Rows(np.zeros(2), gradients)
    mean = reduce_sums(criterion.each_frame, "frame", totals, counts, view)
    weight = float(view.weights[alive].sum())
    gradients[0] = mean.totals * weight
    return Rows(np.array([mean.value * weight, weight]), gradients)


def _add_up(question: Question, view: FrameView, rows: Rows, channels: int, **derivatives: Any) -> Answer:
    time = float(view.weights.sum())
    count = float(question.plan.f_pts * channels) * time
    found = replace(Answer.zero(question), sums=rows.sums, count=count, frames=float(view.weights.size), time=time)
    return replace(found, **derivatives)


def _constant_frames(question: Question, first: int, positions: Float64Array) -> Frames:
    """Frames with one window length, in the indices of samples from `first` on."""
    win_length = np.full(positions.size, question.win_length[0])
    return make_frames(win_length, positions, mfft=question.plan.mfft).moved(-first)


def _frame_sums(question: Question, x: AnyArray, first: int, view: FrameView) -> Answer:
    """Add up frames with one window length for all frames."""
    plan, positions = question.plan, view.positions
    frames = _constant_frames(question, first, positions)
    wanted = {"gradient": question.gradient, "positions": False, "shape": question.shape}
    totals, d = statistics(plan, x, frames, question.criterion.statistics, **wanted)
    rows = frame_rows(question.criterion, totals, np.full(positions.size, float(plan.f_pts * len(x))), view)
    if d is None:
        return _add_up(question, view, rows, len(x))
    d_win_length = np.einsum("jkp,kp->j", rows.gradients, d.win_length)[:, np.newaxis]
    return _add_up(
        question, view, rows, len(x), win_length=d_win_length, shape=np.einsum("jkp,skp->js", rows.gradients, d.shape)
    )


def _bin_sums(question: Question, x: AnyArray, first: int, view: FrameView) -> Answer:
    """Add up frames with a window length for each frequency."""
    plan, positions, stats = question.plan, view.positions, question.criterion.statistics
    win_length = np.ascontiguousarray(np.broadcast_to(question.win_length, (positions.size, question.win_length.size)))
    frames = BinFrames(win_length, positions, positions).moved(-first)
    # combinations of transforms with few lengths pay only where these are kept for the next question
    spectra = bin_forward(plan, x, frames, gradient=question.gradient, centre=False, shape=question.shape)
    energy = to_host(energies(spectra.S))
    terms = [stats.terms(k, energy) for k in range(len(stats))]
    totals = np.array([values.sum(axis=(0, 2)) for values, _ in terms])
    rows = frame_rows(question.criterion, totals, np.full(positions.size, float(plan.f_pts * len(x))), view)
    if not question.gradient:
        return _add_up(question, view, rows, len(x))
    zero = Answer.zero(question)
    d_win_length, d_shape = zero.win_length.copy(), zero.shape.copy()
    for j, gradients in enumerate(rows.gradients):
        if gradients.any():
            rate = sum(weight[:, np.newaxis] * gradient for weight, (_, gradient) in zip(gradients, terms, strict=True))
            found = bin_gradients(plan, spectra, plan.kernels.asarray(2 * rate) * spectra.S, phase=False)
            d_win_length[j] = found.win_length.sum(axis=0)
            d_shape[j] = found.shape if question.shape else d_shape[j]
    return _add_up(question, view, rows, len(x), win_length=d_win_length, shape=d_shape)


def _spectrum(question: Question, x: AnyArray, first: int, view: FrameView) -> Answer:
    """Energy of every frequency with one window length."""
    S = forward(question.plan, x, _constant_frames(question, first, view.positions))
    return replace(Answer.zero(question), spectrum=to_host(energies(S)).sum(axis=(0, 1)))


# ---------------------------------------------------------------------------------------
# All pieces


class Pieces(ABC):
    """What a criterion is summed over, and who answers for it.

    Attributes
    ----------
    n : int
        Samples of the longest signal.
    shortest : int
        Samples of the shortest.
    signals : int
        Number of signals.
    samples : int
        Samples of all signals.
    dtype : dtype
        Type of the samples, real or complex.
    """

    n: int
    shortest: int
    signals: int
    samples: int
    dtype: np.dtype[Any]

    @abstractmethod
    def measure(self, detrend: str | None) -> None:
        """Go through the signals once for what has to be known before any question.

        Raises
        ------
        ValueError
            For NaN or infinite samples, or signals that are all silent without their trend.
        """

    @abstractmethod
    def threads(self, workers: int | None) -> int:
        """Return the number of threads that work on one piece, for ``workers=`` of the user's."""

    @abstractmethod
    def ask(self, questions: Sequence[Question], report: Callable[[float], None] = lambda _: None) -> list[Answer]:
        """Ask all pieces and add up their answers; `report` is told the fraction that is done, if it is known."""

    def find(self, questions: Sequence[Question], report: Callable[[float], None] = lambda _: None) -> list[Found]:
        """Value and slopes of each question's criterion, in one pass over the pieces."""
        return [conclude(q, total) for q, total in zip(questions, self.ask(questions, report), strict=True)]


def add_up(answers: Sequence[list[Answer]]) -> list[Answer]:
    """Add the answers of several pieces to the same questions."""
    first, *others = answers
    total = list(first)
    for other in others:
        total = [a + b for a, b in zip(total, other, strict=True)]
    return total
