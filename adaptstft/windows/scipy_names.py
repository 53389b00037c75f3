"""SciPy's names and values of windows: other names of the families, and suffixes for their sampling."""

from __future__ import annotations

from collections.abc import Container

#: Other names that `scipy.signal.get_window` has for the families.
_ALIASES = {
    alias: name
    for name, aliases in {
        "blackman": ("black", "blk"),
        "blackmanharris": ("blackharr", "bkh"),
        "boxcar": ("box", "ones", "rect", "rectangular"),
        "flattop": ("flat", "flt"),
        "gaussian": ("gauss", "gss"),
        "general_cosine": ("general cosine",),
        "general_hamming": ("general hamming",),
        "hamming": ("hamm", "ham"),
        "hann": ("han",),
        "kaiser": ("ksr",),
        "nuttall": ("nutl", "nut"),
        "tukey": ("tuk",),
    }.items()
    for alias in aliases
}
#: Largest ratio of the length of a Gaussian window to its standard deviation that is taken for one: its ends are then
#: at ``exp(-50)`` of the peak. SciPy's parameter, the standard deviation in samples, is mostly larger.
MOST_RATIO = 20.0


def family_name(name: str, known: Container[str], *, symmetric: bool = False) -> str:
    """Return the name of the family for a name of `scipy.signal.get_window`.

    With `symmetric`, a name that ends in ``_symmetric`` is allowed, because the samples are known otherwise.
    """
    if name in known:  # also a registered one
        return name
    base, _, suffix = name.rpartition("_")
    if suffix not in ("periodic", "symmetric"):
        return _ALIASES.get(name, name)
    base = _ALIASES.get(base, base)
    if suffix == "symmetric" and base in known and not symmetric:
        raise ValueError(
            f"window {name!r}: a symmetric window of M samples is {base!r} with the length M - 1 here, because the "
            "first and the last sample are at its ends; AdaptiveShortTimeFFT.from_scipy makes this conversion"
        )
    return base


def check_ratio(window: object, ratio: float) -> None:
    """Refuse a shape of a Gaussian that can only be SciPy's standard deviation in samples."""
    if ratio > MOST_RATIO:
        raise ValueError(
            f"window={window!r}: the shape of a Gaussian is the ratio length/sigma, at most {MOST_RATIO:g}, and not "
            f"SciPy's standard deviation in samples; for a standard deviation of {ratio:g} samples and a window of M "
            f"samples give ('gaussian', M / {ratio:g}), or convert a transform with AdaptiveShortTimeFFT.from_scipy"
        )
