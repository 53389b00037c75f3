"""The stages of `optimize` where the criterion is a sum over pieces: the signals of a corpus, or a signal in chunks.

Search, descents and rules are those of `adaptstft.tuning.stages.frames`. Only what looks at samples is
another: questions to the
pieces, whose answers add up. All pieces share window length(s) and hop, so that of every signal's frames the first two
stand for all in a `State`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft.common.progress import Progress
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.evaluate import FrameLoss
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.bins import BinSpectra
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.tuning.descent.objective import Descent
from adaptstft.tuning.request import Request
from adaptstft.tuning.result.confidence import flat_notes
from adaptstft.tuning.result.report import Reporter
from adaptstft.tuning.result.result import TuningResult
from adaptstft.tuning.shared.pieces import Pieces, Question
from adaptstft.tuning.stages.bins import BinStage
from adaptstft.tuning.stages.frames import Run, Tuner
from adaptstft.tuning.tables.lowrank import BasisTransforms
from adaptstft.tuning.tables.survey import SURVEY_HOP, Survey
from adaptstft.tuning.variables.parameters import Parameters, State
from adaptstft.windows import Window


@dataclass
class PieceDescent(Descent):
    """Objective of one descent that pieces are asked for."""

    pieces: Pieces | None = None

    def regular_positions(self, hop: float) -> Float64Array:
        """Return the times of the first two frames of every signal."""
        return np.array([0.0, hop])

    def question(self, state: State, **wanted: Any) -> Question:
        """Ask for the criterion of a state."""
        win_length = state.win_length[0] if state.win_length.ndim == 2 else state.win_length[:1]
        hop = float(state.positions[1] - state.positions[0])
        plan = replace(self.plan, window=state.window)
        return Question(plan, win_length, hop, cast(Additive, self.criterion), **wanted)

    def _loss(self, parameters: Parameters, state: State, spectra: BinSpectra | None = None) -> FrameLoss:
        assert self.pieces is not None
        (found,) = self.pieces.find([self.question(state, gradient=True, shape=parameters.tune_shape)])
        d_win_length = np.zeros_like(state.win_length)
        d_win_length[0] = found.win_length if state.win_length.ndim == 2 else found.win_length[0]
        zero = np.zeros(state.positions.size)
        return FrameLoss(found.value, Gradients(d_win_length, zero, found.shape), zero)

    def keeps_ratio(self, state: State) -> bool:
        """Whether the frame bounds are within their limit: the bounds of the lengths see to that."""
        return True

    def value(self, state: State) -> float:
        """Criterion of a state."""
        assert self.pieces is not None
        return self.pieces.find([self.question(state)])[0].value

    def comparable_value(self, state: State) -> float:
        """Criterion as an integral over time and frequency, comparable between framings."""
        assert self.pieces is not None
        return self.pieces.find([self.question(state, comparable=True)])[0].value


class PieceTuner(Tuner):
    """One call of `optimize` on pieces."""

    def __init__(self, request: Request, bar: Progress) -> None:
        assert request.pieces is not None
        self.pieces = request.pieces
        super().__init__(request, bar)

    def search(
        self,
        lengths: Float64Array,
        criterion: Criterion | None = None,
        neighbourhoods: Neighbourhoods | None = None,
        fraction: float = SURVEY_HOP,
    ) -> Survey:
        """Evaluate the criterion at all of `lengths` in one pass over the pieces."""
        self.nfev += lengths.size
        rule = self.search_rule()
        questions = []
        for length in lengths:
            framing = rule.tied(float(length), fraction)
            plan = self.r.transform(framing.mfft)
            asked = cast(Additive, criterion or self.r.criterion)
            # of signals of order one: single precision is enough for a search
            questions.append(Question(plan, np.array([length]), framing.hop, asked, comparable=True, single=True))
        text = "searching a grid of window lengths"
        found = self.pieces.find(questions, lambda part: self.bar.update(0.4 * part, text))
        self.curve = Survey(lengths, np.array([f.value for f in found]), None)
        return self.curve

    def new_descent(
        self,
        label: str,
        plan: FramePlan,
        criterion: Criterion,
        neighbourhoods: Neighbourhoods | Tiles | None,
        basis: BasisTransforms | None = None,
    ) -> Descent:
        """Objective of one descent, with what the user asked for."""
        plain = super().new_descent(label, plan, criterion, neighbourhoods, basis)
        return PieceDescent(**plain.__dict__, pieces=self.pieces)

    def tune_bins(self, constant: Run) -> Run:
        """Tune a length for each frequency."""
        return _PieceBinStage(self, constant).run()


class PieceReporter(Reporter):
    """Makes the result of one call of `optimize` on pieces."""

    def result(self, best: Run) -> TuningResult:
        """Make the result of the best descent."""
        result = super().result(best)
        # they differ from signal to signal
        result.positions = None
        pieces = cast(Pieces, self.r.pieces)
        result.update(signal=None, signals=pieces.signals, samples=pieces.samples)
        return result

    def confidence_notes(self, state: State) -> list[str]:
        """Say if there was nothing to find."""
        return [] if self.tuner.curve is None else flat_notes(self.tuner.curve, self.r.criterion)

    def transform(self, window: Window, win_length: Any, positions: Float64Array, mfft: int) -> AdaptiveShortTimeFFT:
        """Make a transform for what was tuned."""
        r = self.r
        return AdaptiveShortTimeFFT(
            window,
            win_length,
            float(positions[1] - positions[0]),
            r.fs,
            fft_mode=r.fft_mode,
            mfft=mfft,
            scale_to=r.scale_to,
            workers=r.workers,
            backend=r.backend_asked,
        )

    def initial_value(self, best: Run, initial: AdaptiveShortTimeFFT) -> float:
        """Evaluate the transform before tuning, comparably."""
        positions = self.r.regular_positions(cast(float, initial.hop))
        win_length = np.asarray(initial.win_length, dtype=float).T
        win_length = np.broadcast_to(
            win_length, (positions.size, initial.f_pts) if win_length.ndim == 2 else positions.shape
        )
        at = replace(best.descent, plan=replace(best.descent.plan, mfft=initial.mfft))
        return at.comparable_value(State(win_length, positions, np.ones(positions.size), self.r.window))


class _PieceBinStage(BinStage):
    def __init__(self, tuner: Tuner, constant: Run) -> None:
        super().__init__(tuner, constant)
        self.exact = True  # a piece keeps no transforms

    def shares(self) -> Float64Array:
        """Share of the energy at every frequency, for both frames that stand for all."""
        length = np.array([min(self.base, float(self.plan.mfft))])
        criterion = cast(Additive, self.r.criterion)
        pieces = cast(Pieces, self.r.pieces)
        question = Question(self.plan, length, self.constant.hop, criterion, spectrum=True)
        (found,) = pieces.ask([question])
        share = found.spectrum / max(float(found.spectrum.sum()), np.finfo(float).tiny)
        return np.asarray(np.broadcast_to(share / self.positions.size, (self.positions.size, share.size)))
