"""Bad input of block processing: the call checks its arguments, and the iterator checks each chunk or block."""

import numpy as np
import pytest
from test_streaming import GAPS, SLICES, TRANSFORMS, N, adaptive, assert_same, draw, joined, split


@pytest.mark.parametrize("source", [None, 3.0, "recording.wav", b"abc", {}, np.float64(3.0)], ids=repr)
@pytest.mark.parametrize("name", ["fractional hop", "scipy"])
def test_wrong_types(name, source):
    transform = TRANSFORMS[name]
    with pytest.raises(TypeError, match=r"^source"):
        transform.stft_blocks(source)
    with pytest.raises(TypeError, match=r"^blocks"):
        transform.istft_blocks(source)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"block": 0}, ValueError, "block=0 must be at least 1"),
        ({"block": 2.5}, TypeError, "block=2.5 must be an integer"),
        ({"axis": 1}, ValueError, r"axis=1 must lie in \[-1, 0\]"),
        ({"axis": None}, TypeError, "axis=None must be an integer"),
        ({"source": np.zeros((2, 0))}, ValueError, r"source is empty: its shape is \(2, 0\)"),
        ({"source": np.array(1.0)}, ValueError, "source must have at least one dimension"),
        ({"source": np.array(["a"])}, TypeError, "source must be numeric"),
        ({"source": np.ones(30, complex)}, ValueError, r"source is complex, .* 'twosided' or 'centered'"),
    ],
    ids=["block too low", "block no integer", "axis", "axis no integer", "empty", "scalar", "text", "complex"],
)
@pytest.mark.parametrize("name", ["fractional hop", "scipy"])
def test_bad_analysis_arguments_are_refused_at_once(name, options, error, message):
    with pytest.raises(error, match=message):
        TRANSFORMS[name].stft_blocks(**{"source": np.ones(30)} | options)


@pytest.mark.parametrize(
    ("chunks", "error", "message"),
    [
        ([], ValueError, "source is empty"),
        ([np.zeros(0)], ValueError, "source is empty"),
        ([1.0, 2.0], ValueError, "chunk 0 of source is the scalar"),
        ([np.zeros((2, 5)), np.zeros((3, 5))], ValueError, r"chunk 1 of source has the shape \(3,\)"),
        ([np.zeros((2, 5)), np.zeros(5)], ValueError, r"chunk 1 of source has the shape \(\) beside time"),
        ([np.zeros((0, 5))], ValueError, r"chunk 0 of source has the shape \(0,\) .* without a 0"),
        ([np.zeros(5), np.zeros(5, complex)], ValueError, "chunk 1 of source is complex"),
        ([np.zeros(5), ["a"]], TypeError, "chunk 1 of source must be numeric"),
        ([np.zeros(5), np.ma.masked_array([1.0, 2.0], [0, 1])], ValueError, "chunk 1 of source has 1 masked"),
    ],
    ids=[
        "none",
        "no samples",
        "scalars",
        "channels",
        "dimensions",
        "no channels",
        "complex",
        "text",
        "masked",
    ],
)
def test_bad_chunks(chunks, error, message):
    blocks = TRANSFORMS["fractional hop"].stft_blocks(iter(chunks))
    with pytest.raises(error, match=message):
        list(blocks)


@pytest.mark.parametrize("name", ["fractional hop", "scipy"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_named(name, bad, rng):
    x = draw(rng, (2, N))
    x[1, 37] = x[0, 38] = bad
    for source in (x, split(x, [10])):
        blocks = TRANSFORMS[name].stft_blocks(source, block=10)
        with pytest.raises(
            ValueError, match=r"source has 2 NaN or infinite .* samples 30 to 39, the first at sample 37"
        ):
            list(blocks)


def test_number_of_lengths():
    transform = TRANSFORMS["length per slice"]
    with pytest.raises(ValueError, match=f"win_length has {SLICES} entries, but a signal of 30 samples"):
        transform.stft_blocks(np.zeros(30))
    with pytest.raises(ValueError, match="but a signal of 30 samples"):
        list(transform.stft_blocks([np.zeros(30)]))
    n_chunks = 0

    def endless():
        nonlocal n_chunks
        while True:
            n_chunks += 1
            yield np.zeros(1)

    with pytest.raises(ValueError, match=f"win_length has {SLICES} entries"):
        list(transform.stft_blocks(endless()))
    assert transform.p_num(n_chunks - 1) == SLICES
    assert transform.p_num(n_chunks) == SLICES + 1


def test_signals_too_short_for_scipy(rng):
    transform = TRANSFORMS["scipy"]
    assert_same(joined(transform.stft_blocks([np.ones(8)])), transform.stft(np.ones(8)))
    with pytest.raises(ValueError, match="source has 7 samples, at least half a window is needed: 8"):
        transform.stft_blocks(np.ones(7))
    with pytest.raises(ValueError, match="source has 7 samples"):
        list(transform.stft_blocks([np.ones(7)]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"blocks": np.zeros((9, 4))}, TypeError, "blocks must be an iterable of arrays, got an array"),
        (
            {"k0": 9, "k1": 9},
            ValueError,
            "k0=9(, k1=9: .* (<= k0 < k1|must be in order)| must be at least .* and less than k1=9)",
        ),
        ({"k0": -500}, ValueError, "k0=-500"),
        ({"k0": 1.5}, TypeError, "k0=1.5 must be an integer"),
        ({"k1": "end"}, TypeError, "k1='end' must be an integer"),
        ({"f_axis": 0.5}, TypeError, "f_axis=0.5"),
    ],
    ids=["array", "no samples", "k0 too low", "k0 no integer", "k1 no integer", "f_axis no integer"],
)
@pytest.mark.parametrize("name", ["fractional hop", "positions", "scipy"])
def test_bad_synthesis_arguments_are_refused_at_once(name, options, error, message):
    with pytest.raises(error, match=message):
        TRANSFORMS[name].istft_blocks(**{"blocks": []} | options)


def test_ranges_of_listed_slices_are_checked_at_once():
    with pytest.raises(ValueError, match=r"k1=1000: the 18 slices of S reach the samples"):
        TRANSFORMS["positions"].istft_blocks([], k1=1000)


def test_ranges_of_scipy_are_checked_at_once():
    with pytest.raises(ValueError, match="at least half a window must lie between them, 8 samples"):
        TRANSFORMS["scipy"].istft_blocks([], k1=7)
    with pytest.raises(ValueError, match="not invertible"):
        GAPS["scipy, hop beyond the window"].istft_blocks([])


def invalid_blocks(S, change):
    blocks = list(split(S, [4]))
    if change == "not finite":
        blocks[2][0, 1] = np.nan
    elif change == "frequencies":
        blocks[2] = blocks[2][:-1]
    elif change == "channels":
        blocks[2] = np.stack([blocks[2]] * 2)
    elif change == "precision":
        blocks[:2] = [block.astype(np.complex64) for block in blocks[:2]]
    elif change == "none":
        blocks = []
    elif change == "too few":
        blocks = blocks[:-2]
    return blocks


@pytest.mark.parametrize("name", ["fractional hop", "positions", "length per slice", "scipy"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("not finite", r"block 2 of blocks, which begins with slice \d+, has 1 NaN"),
        ("frequencies", "f_pts"),
        ("channels", "block 2 of blocks has shape"),
        ("precision", "block 2 of blocks is complex128, which does not fit in the complex64"),
        ("none", "blocks is empty"),
        ("too few", "slices"),
    ],
    ids=["not finite", "frequencies", "channels", "precision", "none", "too few"],
)
def test_bad_blocks(name, change, message, rng):
    transform = TRANSFORMS[name]
    blocks = transform.istft_blocks(iter(invalid_blocks(transform.stft(draw(rng, N)), change)), k1=N)
    with pytest.raises(ValueError, match=message):
        list(blocks)


@pytest.mark.parametrize("name", ["positions", "length per slice"])
def test_more_slices_than_the_transform_has(name, rng):
    transform = TRANSFORMS[name]
    S = transform.stft(draw(rng, N))
    with pytest.raises(ValueError, match=rf"blocks have {S.shape[1] + 4} slices, but the transform has {S.shape[1]}"):
        list(transform.istft_blocks([S[:, :10], S[:, 10:], S[:, :4], S], k1=N))


def test_blocks_are_read_to_the_end(rng):
    transform = TRANSFORMS["fractional hop"]
    S = transform.stft(draw(rng, N))
    S[0, -1] = np.nan
    pieces = transform.istft_blocks(split(S, [1]), k1=20)
    with pytest.raises(ValueError, match="NaN"):
        list(pieces)


@pytest.mark.parametrize("sizes", [[1], [3], [100]], ids=str)
def test_uncovered_samples_are_named(sizes, rng):
    """Windows have 6 samples and a hop of 10: the first samples without a window are 3 to 6."""
    transform = adaptive(window="hamming", win_length=6.0, hop=10.0)
    S = transform.stft(draw(rng, 40))
    pieces = []
    with pytest.raises(ValueError, match=r"the transform is not invertible.*\b3\b.*\b6\b"):
        pieces.extend(transform.istft_blocks(split(S, sizes), k1=40))
    assert sum(piece.size for piece in pieces) <= 3
    covered = joined(transform.istft_blocks(split(S, sizes), 7, 13))
    assert_same(covered, transform.istft(S, 7, 13))
