"""``window="auto"``: the same tuning for several window families, and the best of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adaptstft import windows
from adaptstft.common.progress import Progress
from adaptstft.criteria import Criterion, UserLoss
from adaptstft.tuning.descent.objective import STOPPED
from adaptstft.windows import Window

if TYPE_CHECKING:
    from adaptstft.tuning.request import Request
    from adaptstft.tuning.result.result import TuningResult

#: Families without high side lobes, from the narrowest main lobe to the window of least area. Entropies of high order
#: hardly see side lobes: among windows that have them (Tukey's, the sine) they choose the narrowest main lobe, which
#: hides weak components beside strong ones. Windows that jump at their ends (Hamming's) have no derivative there.
AUTO: tuple[Any, ...] = ("hann", "blackman", ("kaiser", 8.6), ("gaussian", 6.0))


def families(
    criterion: Criterion,
    *,
    tune_shape: bool,
    window_mode: str,
    scale_to: str | None,
    hop: Any,
    mfft: Any,
) -> tuple[Window, ...]:
    """Families that ``window="auto"`` compares, those with shape parameters if these are tuned.

    Raises
    ------
    ValueError
        If values of different families could not be compared.
    """
    if window_mode == "fixed":
        raise ValueError(f"window='auto' compares tuned windows: {window_mode=} must be another one")
    if scale_to != "psd":
        raise ValueError(f"window='auto' compares windows of unit energy: {scale_to=} must be 'psd'")
    if isinstance(criterion, UserLoss) and (hop is None or mfft is None):
        raise ValueError(
            f"window='auto' with a callable criterion needs hop and mfft, without which its values cannot be compared, "
            f"got {hop=}, {mfft=}"
        )
    compared = [windows.resolve(spec) for spec in AUTO]
    return tuple(window for window in compared if window.shape or not tune_shape)


class _Part(Progress):
    """One family's share of a bar."""

    def __init__(self, whole: Progress, index: int, count: int, name: str) -> None:
        self._whole, self._index, self._count, self._name = whole, index, count, name

    def update(self, fraction: float, text: str) -> None:
        """Redraw the whole bar."""
        self._whole.update((self._index + fraction) / self._count, f"{self._name}: {text}")


def best_family(request: Request, bar: Progress, tune: Callable[[Request, Progress], TuningResult]) -> TuningResult:
    """Tune every family and return the best result, with the starts of all.

    Values are compared as integrals over time and frequency, with windows of unit energy. Where neighbourhoods follow
    from the window length, all families take those of the first.
    """
    found: list[TuningResult] = []
    for index, window in enumerate(request.families):
        part = _Part(bar, index, len(request.families), window.name)
        found.append(tune(replace(request, window=window, families=(window,)), part))
        first = found[0].criterion
        if request.criterion.width is None and first.width is not None and first.scope == "local":
            request = replace(request, criterion=replace(request.criterion, scope="local", width=first.width))
        if found[-1].status == STOPPED["status"]:
            break
    best = min(found, key=lambda result: result.area_fun + result.prices)
    best.starts = [start for result in found for start in result.starts]
    best.nfev = sum(result.nfev for result in found)
    if found[-1].status == STOPPED["status"]:
        best.update(STOPPED)
    return best
