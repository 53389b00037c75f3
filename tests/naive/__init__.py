"""Reference implementation for the tests: the sums of the definitions, O(N L), in double precision.

It does not import the package under test, and ``test_naive.py`` compares it with SciPy.
All functions are for one-dimensional signals and slow on purpose, so that they look like their formulas.
"""

# ruff: noqa: F401

from naive.cases import Case, Path
from naive.criteria import bands, criterion, neighbourhoods
from naive.differences import derivative, gradient, inner
from naive.inverse import frame_bounds, frame_windows, istft, matrix
from naive.transform import FFT_MODES, MODE_SCALINGS, SCALINGS, frequencies, sample_padded, slice_range, stft, stft_of
from naive.windows import evaluate_family, scale_factor, scaled_window, window_samples


def label(value):
    """Return a name of a test parameter that is the same in each process, also for functions."""
    return getattr(value, "__name__", None) or str(value)
