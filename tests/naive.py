"""Reference implementation for the tests: the sums of the definitions, O(N L), in double precision.

It does not import the package under test, and ``test_naive.py`` compares it with SciPy.
All functions are for one-dimensional signals and slow on purpose, so that they look like their formulas.
"""

import itertools
import math

import numpy as np
from scipy.special import i0


def label(value):
    """Return a name of a test parameter that is the same in each process, also for functions."""
    return getattr(value, "__name__", None) or str(value)


# --- window families: omega(u) on [-1/2, 1/2), 1 at the centre ------------------------------------

COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.50, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "boxcar": (1.0,),
}


def cosine_sum(u, coefficients):
    """sum_k a_k cos(2 pi k u)"""
    return sum(a * np.cos(2 * np.pi * k * u) for k, a in enumerate(coefficients))


def tukey(u, alpha):
    """Flat in the middle 1 - alpha of the support, raised-cosine tapers of length alpha/2 on both sides."""
    distance = 0.5 - np.abs(u)  # from the nearer end
    if alpha <= 0:
        return np.ones_like(u)
    taper = 0.5 * (1 - np.cos(2 * np.pi * distance / alpha))
    return np.where(distance < alpha / 2, taper, 1.0)


def evaluate_family(window, u):
    """omega(u) for u in the support; `window` is a name, (name, shape), (name, (a0, a1, ...)) or a function."""
    if callable(window):
        return np.asarray(window(u), dtype=float)
    name, shape = (window, ()) if isinstance(window, str) else (window[0], np.ravel(window[1]))
    if name in COSINE_SUMS:
        return cosine_sum(u, COSINE_SUMS[name])
    if name == "general_cosine":
        return cosine_sum(u, shape)
    if name == "general_hamming":
        return cosine_sum(u, (shape[0], 1 - shape[0]))
    if name == "cosine":
        return np.cos(np.pi * u)
    if name == "gaussian":  # shape: length / sigma
        return np.exp(-0.5 * (shape[0] * u) ** 2)
    if name == "kaiser":
        return i0(shape[0] * np.sqrt(np.maximum(1 - 4 * u**2, 0))) / i0(shape[0])
    if name == "tukey":
        return tukey(u, shape[0])
    raise ValueError(f"no family {name!r}")


def window_samples(window, theta, distance):
    """omega(distance/theta) for -theta/2 <= distance < theta/2, otherwise 0; both arguments broadcast."""
    theta, distance = np.broadcast_arrays(np.asarray(theta, dtype=float), np.asarray(distance, dtype=float))
    inside = (distance >= -theta / 2) & (distance < theta / 2)
    values = np.zeros(distance.shape)
    values[inside] = evaluate_family(window, distance[inside] / theta[inside])
    return values


def scale_factor(window, theta, scale_to, fs=1.0, window_offset=0.0):
    """c(theta) for an array of lengths, from the window samples of a frame at time 0."""
    theta = np.asarray(theta, dtype=float)
    n = support(theta.max(), window_offset)
    w = window_samples(window, theta[..., None], n - window_offset)
    if scale_to is None:
        return np.ones(theta.shape)
    if scale_to == "magnitude":
        return 1 / abs(w.sum(axis=-1))
    if scale_to == "psd":
        return np.sqrt(1 / fs / (w**2).sum(axis=-1))
    raise ValueError(f"no scaling {scale_to!r}")


def scaled_window(window, theta, t, n, scale_to=None, fs=1.0, window_offset=0.0):
    """w(n; t, theta); the last axis of the result is n, the axes before are those of t and theta."""
    t, theta = np.asarray(t, dtype=float)[..., None], np.asarray(theta, dtype=float)
    c = scale_factor(window, theta, scale_to, fs, window_offset)
    return c[..., None] * window_samples(window, theta[..., None], n - t - window_offset)


# --- the signal outside its samples ---------------------------------------------------------------


def sample_padded(x, n, padding):
    """x[n] for any integer n, extended by `padding`."""
    last = len(x) - 1
    if 0 <= n <= last:
        return x[n]
    if padding == "zeros":
        return 0.0
    edge = 0 if n < 0 else last
    if padding == "edge" or last == 0:  # a single sample has no reflection
        return x[edge]
    mirrored = sample_padded(x, 2 * edge - n, padding)
    if padding == "even":
        return mirrored
    if padding == "odd":
        return 2 * x[edge] - mirrored
    raise ValueError(f"no padding {padding!r}")


FFT_MODES = ("onesided", "onesided2X", "twosided", "centered")
SCALINGS = (None, "magnitude", "psd")
#: All legal pairs of fft_mode and scaling; in SciPy onesided2X needs a scaling.
MODE_SCALINGS = [(m, s) for m in FFT_MODES for s in SCALINGS if (m, s) != ("onesided2X", None)]

# --- the transform --------------------------------------------------------------------------------


def frequencies(fft_mode, mfft, fs=1.0):
    """f_q in Hz."""
    if fft_mode in ("onesided", "onesided2X"):
        bins = np.arange(mfft // 2 + 1)
    elif fft_mode == "centered":
        bins = np.arange(-(mfft // 2), mfft - mfft // 2)
    else:
        bins = np.array([q if q < (mfft + 1) // 2 else q - mfft for q in range(mfft)])
    return bins * fs / mfft


def bin_factors(fft_mode, mfft, scale_to):
    """Factor of each stored bin in the mode 'onesided2X'."""
    factors = np.ones(len(frequencies(fft_mode, mfft)))
    if fft_mode == "onesided2X":
        paired = slice(1, -1 if mfft % 2 == 0 else None)
        factors[paired] = {"psd": math.sqrt(2), "magnitude": 2.0}[scale_to]
    return factors


def phase_origin(phase_shift, max_length):
    """Samples added to n - t_p in the phase: SciPy rolls by (phase_shift + m_num//2) modulo m_num."""
    if phase_shift is None:
        return max_length // 2
    return max_length // 2 - (phase_shift + max_length // 2) % max_length


def support(theta, centre):
    """Integers that include all n with -theta/2 <= n - centre < theta/2."""
    return np.arange(math.floor(centre - theta / 2), math.ceil(centre + theta / 2) + 1)


def stft(
    x,
    window,
    theta,
    centres,
    *,
    mfft,
    fs=1.0,
    fft_mode="onesided",
    scale_to=None,
    phase_shift=0,
    max_length=None,
    window_offset=0.0,
    padding="zeros",
):
    """S[q, p] for one channel; `theta` broadcasts to (f_pts, p_num), `centres` are real numbers in samples."""
    x = np.asarray(x)
    x = x.astype(complex if np.iscomplexobj(x) else float)
    f = frequencies(fft_mode, mfft, fs)
    factors = bin_factors(fft_mode, mfft, scale_to)
    theta = np.broadcast_to(np.asarray(theta, dtype=float), (len(f), len(centres)))
    max_length = math.ceil(theta.max()) if max_length is None else max_length
    origin = phase_origin(phase_shift, max_length)
    S = np.zeros((len(f), len(centres)), dtype=complex)
    for p, t in enumerate(centres):
        n = support(theta[:, p].max(), t + window_offset)
        padded = np.array([sample_padded(x, int(i), padding) for i in n])
        phasors = np.exp(-2j * np.pi * np.outer(f / fs, n - t + origin))
        w = scaled_window(window, theta[:, p], t, n, scale_to, fs, window_offset)
        S[:, p] = factors * (w * phasors * padded).sum(axis=1)
    return S


def slice_range(window, theta, hop, n, window_offset=0.0):
    """(p_min, p_max) of the frames with nonzero window samples in 0 ... n-1, by steps outwards from 0 and n//hop."""

    def touches(p):
        m = support(theta, p * hop + window_offset)
        w = window_samples(window, theta, m - p * hop - window_offset)
        return bool(np.any(w[(m >= 0) & (m < n)] != 0))

    p_min, p_last = 0, math.floor(n / hop)
    while touches(p_min - 1):
        p_min -= 1
    while touches(p_last + 1):
        p_last += 1
    return p_min, p_last + 1


def stft_of(transform, window, x, p0=None, p1=None, *, k_offset=0, padding="zeros"):
    """Expected result of ``transform.stft(x, ...)``, from the attributes of the transform."""
    first, stop = transform.p_range(np.shape(x)[-1], p0, p1)
    centres = np.arange(first, stop) * transform.hop if transform.positions is None else transform.positions[first:stop]
    theta = np.asarray(transform.win_length)
    if theta.ndim == 1 or (theta.ndim == 2 and theta.shape[1] > 1):
        theta = theta[..., first - transform.p_min : stop - transform.p_min]
    settings = {name: getattr(transform, name) for name in ("mfft", "fs", "fft_mode", "phase_shift", "window_offset")}
    settings |= {"scale_to": transform.scaling, "max_length": transform.m_num, "padding": padding}
    channels = np.reshape(x, (-1, np.shape(x)[-1]))
    S = np.array([stft(channel, window, theta, centres + k_offset, **settings) for channel in channels])
    return S.reshape(*np.shape(x)[:-1], *S.shape[1:])


# --- frames and the inverse -----------------------------------------------------------------------


def frame_windows(window, theta, centres, n, *, scale_to=None, fs=1.0, window_offset=0.0):
    """w(n; t_p, theta_p) for n = 0 ... n-1, shape (p_num, n)."""
    theta = np.broadcast_to(np.asarray(theta, dtype=float), (len(centres),))
    frames = zip(theta, centres, strict=True)
    return np.array([scaled_window(window, th, t, np.arange(n), scale_to, fs, window_offset) for th, t in frames])


def matrix(window, theta, centres, samples, *, mfft, fft_mode="onesided", scale_to=None, fs=1.0, **options):
    """A[q, p, n] with S = A x, for signals that are zero outside `samples`."""
    f, centres = frequencies(fft_mode, mfft, fs), np.asarray(centres, dtype=float)
    theta = np.broadcast_to(np.asarray(theta, dtype=float), (len(f), len(centres)))
    max_length = options.get("max_length") or math.ceil(theta.max())
    origin = phase_origin(options.get("phase_shift", 0), max_length)
    w = scaled_window(window, theta, centres, samples, scale_to, fs, options.get("window_offset", 0.0))
    phases = (f / fs)[:, None, None] * (samples - centres[:, None] + origin)
    return bin_factors(fft_mode, mfft, scale_to)[:, None, None] * w * np.exp(-2j * np.pi * phases)


def multiplicity(fft_mode, mfft, scale_to):
    """Square root of the number of two-sided bins that each stored bin represents, divided by its factor."""
    weights = np.ones(len(frequencies(fft_mode, mfft)))
    if fft_mode in ("onesided", "onesided2X"):
        weights[1 : -1 if mfft % 2 == 0 else None] = math.sqrt(2)
    return weights / bin_factors(fft_mode, mfft, scale_to)


def twosided_matrix(window, theta, centres, samples, *, mfft, fft_mode="onesided", scale_to=None, **options):
    """Matrix whose product with a signal has the energy of the two-sided spectrum.

    For one-sided modes the rows are the real and imaginary parts, because the map is linear over the real numbers.
    """
    settings = {"mfft": mfft, "fft_mode": fft_mode, "scale_to": scale_to, **options}
    A = multiplicity(fft_mode, mfft, scale_to)[:, None, None] * matrix(window, theta, centres, samples, **settings)
    A = A.reshape(-1, len(samples))
    return np.concatenate([A.real, A.imag]) if fft_mode in ("onesided", "onesided2X") else A


def istft(S, window, theta, centres, n, *, mfft, fft_mode="onesided", scale_to=None, **options):
    """Signal of n samples whose two-sided transform is nearest to S, by dense least squares.

    A one-sided spectrum represents the two-sided spectrum of a real signal, so its paired bins count twice.
    """
    settings = {"mfft": mfft, "fft_mode": fft_mode, "scale_to": scale_to, **options}
    A = twosided_matrix(window, theta, centres, np.arange(n), **settings)
    b = (multiplicity(fft_mode, mfft, scale_to)[:, None] * S).ravel()
    if fft_mode in ("onesided", "onesided2X"):
        b = np.concatenate([b.real, b.imag])
    return np.linalg.lstsq(A, b, rcond=None)[0]


def frame_bounds(window, theta, centres, n, **settings):
    """Smallest and largest eigenvalue of the frame operator of the two-sided transform."""
    values = np.linalg.svd(twosided_matrix(window, theta, centres, np.arange(n), **settings), compute_uv=False)
    return (values[-1] ** 2 if len(values) == n else 0.0), values[0] ** 2


# --- criteria -------------------------------------------------------------------------------------


def shannon(P, g, magnitude):
    """log Z - sum P log P / Z, with 0 log 0 = 0."""
    Z = (g * P).sum()
    return math.log(Z) - (g * P * np.log(np.where(P > 0, P, 1))).sum() / Z


def renyi(P, g, magnitude, alpha=3):
    """log(sum (P/Z)**alpha) / (1 - alpha)"""
    return math.log((g * P**alpha).sum() / (g * P).sum() ** alpha) / (1 - alpha)


def jones_parks(P, g, magnitude):
    """-log(sum P**2 / (sum P)**2)"""
    return -math.log((g * P**2).sum() / (g * P).sum() ** 2)


def stankovic(P, g, magnitude, r=2):
    """log((sum P**(1/r))**r / sum P)"""
    return math.log((g * P ** (1 / r)).sum() ** r / (g * P).sum())


def lp(P, g, magnitude, k=1):
    """log(sum P**(k/2)) - (k/2) log(sum P)"""
    return math.log((g * P ** (k / 2)).sum()) - k / 2 * math.log((g * P).sum())


def hoyer(P, g, magnitude):
    """-(sqrt(M) - sum|S| / sqrt(sum |S|**2)) / (sqrt(M) - 1)

    The weights of a neighbourhood are scaled so that their sum is the effective number of frames.
    """
    if np.ndim(g):
        g = g * (g.sum() / (g**2).sum())
    root = math.sqrt((g * np.ones(P.shape)).sum())
    return -(root - (g * magnitude).sum() / math.sqrt((g * magnitude**2).sum())) / (root - 1)


def gini(P, g, magnitude):
    """Minus the Gini index: half the relative mean absolute difference of all pairs, weighted."""
    w = np.broadcast_to(g, P.shape)
    p, w = P[w > 0], w[w > 0]
    differences = w[:, None] * w[None, :] * np.abs(p[:, None] - p[None, :])
    return -differences.sum() / (2 * w.sum() * (w * p).sum())


MEASURES = {
    "shannon": shannon,
    "renyi": renyi,
    "kurtosis": jones_parks,
    "stankovic": stankovic,
    "lp": lp,
    "hoyer": hoyer,
    "gini": gini,
}


def criterion(name, S, scope="global", *, power=2, g=None, e=None, **parameters):
    """Criterion of S (..., f_pts, p_num), over all channels and bins.

    Frames and neighbourhoods without energy are left out of the average.
    ``scope="local"`` needs the neighbourhood weights `g` (r_num, p_num), or (r_num, f_pts, p_num) for tiles,
    and their energy shares `e` (r_num,).
    """
    magnitude = np.abs(np.asarray(S))
    P = magnitude**power
    measure = MEASURES[name]
    if scope == "global":
        return measure(P, 1.0, magnitude, **parameters)
    if scope == "frame":
        audible = [p for p in range(P.shape[-1]) if P[..., p].any()]
        if name == "kurtosis":
            return 1 / np.mean([np.mean(P[..., p] ** 2) / np.mean(P[..., p]) ** 2 for p in audible])
        return np.mean([measure(P[..., p], 1.0, magnitude[..., p], **parameters) for p in audible])
    audible = [r for r in range(len(e)) if e[r] > 0 and (g[r] * P).sum() > 0]
    values = [measure(P, g[r], magnitude, **parameters) for r in audible]
    return np.average(values, weights=[e[r] for r in audible])


def neighbourhoods(x, centres, width):
    """(g, e) of the local scope: raised cosines of support `width` at intervals of width/4, from sample 0 on.

    `g` are the weights of the frames, (r_num, p_num); `e` is the share of the signal energy in each neighbourhood,
    (r_num,).
    """
    x = np.reshape(x, (-1, np.shape(x)[-1]))
    n = x.shape[1]
    middles = np.arange(math.ceil((n - 1) / (width / 4)) + 1) * width / 4

    def weights(times):
        distance = (np.asarray(times) - middles[:, None]) / width
        return np.where(np.abs(distance) < 0.5, np.cos(np.pi * distance) ** 2, 0.0)

    e = weights(np.arange(n)) @ (np.abs(x) ** 2).sum(axis=0)
    return weights(centres), e / e.sum()


def bands(fft_mode, mfft, count):
    """Weights (count, f_pts) of smooth bands: raised cosines, evenly spaced on a warped frequency scale.

    The scale is log(1 + 64 |k|/mfft) with the sign of the bin k; the interval of bands is a quarter of their support.
    """
    k = frequencies(fft_mode, mfft) * mfft
    places = np.sign(k) * np.log(1 + 64 * np.abs(k) / mfft)
    if count == 1:
        return np.full((1, len(k)), 2.0)
    middles = np.linspace(places.min(), places.max(), count)
    distance = (places - middles[:, None]) / (4 * (middles[1] - middles[0]))
    return np.where(np.abs(distance) < 0.5, np.cos(np.pi * distance) ** 2, 0.0)


def tiles(x, centres, width, count, *, mfft, fft_mode, fs=1.0):
    """(g, e) of the local scope with bands: weights (tiles, f_pts, p_num) and shares (tiles,), band by band.

    The shares are energies of a spectrogram with Hann windows of length width/4, limited to 2 ... mfft samples, and
    a hop of a quarter of that length.
    """
    x = np.reshape(x, (-1, np.shape(x)[-1]))
    length = min(max(width / 4, 2.0), mfft)
    times = np.arange(math.ceil((x.shape[1] - 1) / (length / 4)) + 1) * length / 4
    scale_to = "psd"  # windows of unit energy
    S = np.array([stft(c, "hann", length, times, mfft=mfft, fft_mode=fft_mode, fs=fs, scale_to=scale_to) for c in x])
    b = bands(fft_mode, mfft, count)[:, None, :, None]
    e = (b * neighbourhoods(x, times, width)[0][:, None] * (np.abs(S) ** 2).sum(axis=0)).sum(axis=(2, 3))
    g = b * neighbourhoods(x, centres, width)[0][:, None]
    return g.reshape(-1, *g.shape[2:]), e.ravel() / e.sum()


# --- differences ----------------------------------------------------------------------------------


def derivative(fun, step, levels=6):
    """(d/ds fun(s) at 0, error estimate): central differences at halved steps, Richardson-extrapolated.

    The extrapolation removes odd and even powers of the step. It is therefore also accurate if fun is only C1 at 0
    and smooth on both sides, as for a Hann window with a sample on the edge of its support.
    """
    table, best, error = [], 0.0, math.inf
    for level in range(levels):
        h = step / 2**level
        row = [(fun(h) - fun(-h)) / (2 * h)]
        for j, previous in enumerate(table):
            row.append(row[j] + (row[j] - previous) / (2 ** (j + 1) - 1))
            change = max(abs(row[-1] - row[-2]), abs(row[-1] - previous))
            if change < error:
                best, error = row[-1], change
        table = row
    return best, error


def gradient(fun, point, step):
    """(gradient of fun at `point`, largest error estimate), one component at a time; real parameters."""
    point = np.asarray(point, dtype=float)
    parts = []
    for index in np.ndindex(point.shape):
        direction = np.zeros(point.shape)
        direction[index] = 1.0
        parts.append(derivative(lambda s, d=direction: fun(point + s * d), step))
    values, errors = np.array(parts).reshape(-1, 2).T
    return values.reshape(point.shape), errors.max(initial=0.0)


# --- spectra as a function of all parameters ------------------------------------------------


class Case:
    """A random signal with random frames, and its reference spectra as a function of all parameters.

    `framing` is "<lengths>, <positions>". Lengths are "constant", or vary with "time", "frequency" or both ("bin").
    Positions are those of a "hop", or arbitrary "positions".
    """

    def __init__(self, window, framing, rng, *, n=37, channels=1, x=None, padding="zeros", k_offset=0, **options):
        self.window, self.padding, self.k_offset = window, padding, k_offset
        options = {
            "fs": 8.0,
            "fft_mode": "onesided",
            "scale_to": "psd",
            "mfft": 20,
            "max_length": 17,
        } | options
        self.options = options
        if x is None:
            x = rng.standard_normal((channels, n))
            if options["fft_mode"] in ("twosided", "centered"):
                x = x + 1j * rng.standard_normal((channels, n))
        self.x, self.n = x, x.shape[-1]
        self.window_offset = options.get("window_offset", 0.0)
        self.draw_frames(framing, rng)
        while not self.clear():
            self.draw_frames(framing, rng)

    def draw_frames(self, framing, rng):
        length, placed = framing.split(", ")
        self.win_length, self.slices = rng.uniform(11.5, 12.5), None
        if placed == "positions":
            self.hop, self.centres = None, np.sort(np.linspace(-2, self.n + 2, 9) + rng.uniform(-1.2, 1.2, 9))
        else:
            self.hop = rng.uniform(3.5, 5)
            longest = self.win_length if length == "constant" else 17.0
            self.slices = slice_range(self.window, longest, self.hop, self.n, self.window_offset)
            self.centres = self.hop * np.arange(*self.slices)
        f_pts = len(frequencies(self.options["fft_mode"], self.options["mfft"]))
        if length == "time":
            self.win_length = rng.uniform(6, 16.5, len(self.centres))
        elif length != "constant":
            self.win_length = rng.uniform(6, 16.5, (f_pts, len(self.centres) if length == "bin" else 1))
            while not self.clear():  # there are many lengths: only those too close to a sample are drawn again
                close = ~np.broadcast_to(self.clear_lengths(), (f_pts, len(self.centres)))
                close = close if length == "bin" else close.any(axis=1, keepdims=True)
                self.win_length[close] = rng.uniform(6, 16.5, close.sum())

    def clear(self):
        """Return True if no edge of a support is close to a sample."""
        return np.all(self.clear_lengths())

    def clear_lengths(self):
        """Return which lengths have no sample close to an edge of their support, in the signal or in the scale sums.

        For Tukey windows also the corners of the plateau count, where the second derivative jumps.
        """
        half = np.asarray(self.win_length) / 2
        corners = [1.0, 1 - self.shape[0]] if not callable(self.window) and self.window[0] == "tukey" else [1.0]
        edges = [
            middle + self.window_offset + sign * corner * half
            for middle, sign, corner in itertools.product((self.centres, 0.0), (-1, 1), corners)
        ]
        return np.logical_and.reduce([np.abs(edge - np.round(edge)) > 0.008 for edge in np.broadcast_arrays(*edges)])

    @property
    def shape(self):
        if isinstance(self.window, str) or callable(self.window):
            return np.zeros(0)
        return np.ravel(np.asarray(self.window[1], dtype=float))

    def settings(self):
        """Keyword arguments of the transform under test, without `window` and `win_length`."""
        placed = {"hop": self.hop} if self.hop is not None else {"hop": None, "positions": self.centres}
        return self.options | placed

    def parameters(self):
        names = ["win_length", "positions", "x"]
        names += ["hop"] if self.hop is not None else []
        return names + (["shape"] if self.shape.size else [])

    def value_of(self, name):
        base = {
            "win_length": self.win_length,
            "positions": self.centres,
            "hop": self.hop,
            "shape": self.shape,
            "x": self.x,
        }
        return base[name]

    def direction(self, name, rng):
        """Random direction in parameter `name`.

        A unit step moves the edges of supports by at most one sample, and a thousandth of it by less than the
        distance of `clear`. Steps in signal and shape are smaller, so that no bin passes through zero.
        """
        value = np.asarray(self.value_of(name))
        if name == "hop":
            return 1 / max(1, np.abs(np.arange(*self.slices)).max())
        size = {"shape": 0.1, "x": 0.05}.get(name, 1.0)
        v = rng.uniform(-size, size, value.shape)
        return v + 1j * rng.uniform(-size, size, value.shape) if np.iscomplexobj(value) else v

    def spectra(self, name=None, move=0.0):
        """Reference spectra S with `move` added to parameter `name`."""
        theta, centres, x, window = self.win_length, self.centres, self.x, self.window
        if name == "win_length":
            theta = theta + move
        elif name == "positions":
            centres = centres + move
        elif name == "hop":
            centres = centres + np.arange(*self.slices) * move
        elif name == "x":
            x = x + move
        elif name == "shape":
            window = (window[0], self.shape + move)
        settings = {k: v for k, v in self.options.items() if k != "hop"}
        channels = x.reshape(-1, self.n)
        S = [stft(c, window, theta, centres + self.k_offset, padding=self.padding, **settings) for c in channels]
        return np.array(S).reshape(*x.shape[:-1], *S[0].shape)

    def call(self):
        return {"padding": self.padding, "k_offset": self.k_offset}


class Path:
    """A line through a case along one parameter; its spectra are cached for the difference quotients of many losses."""

    def __init__(self, case, name, v):
        self.case, self.name, self.v, self.kept = case, name, v, {}

    def spectra(self, s):
        if s not in self.kept:
            self.kept[s] = self.case.spectra(self.name, s * self.v)
        return self.kept[s]

    def centres(self, s):
        case = self.case
        if self.name == "positions":
            return case.centres + s * self.v
        return case.centres + s * self.v * np.arange(*case.slices) if self.name == "hop" else case.centres

    def criterion(self, name, scope, width, bands=None, **parameters):
        """Criterion as a function of the step s along the line; `width` of the neighbourhoods in samples."""
        x, options = self.case.x, self.case.options

        def value(s):
            # The energy shares are constants: they come from the signal without the step.
            if scope == "local" and bands is not None:
                settings = {"mfft": options["mfft"], "fft_mode": options["fft_mode"]}
                parameters["g"], parameters["e"] = tiles(x, self.centres(s), width, bands, **settings)
            elif scope == "local":
                parameters["g"], parameters["e"] = neighbourhoods(x, self.centres(s), width)
            return criterion(name, self.spectra(s), scope, **parameters)

        return value

    def product(self, G):
        """Linear loss with cotangent G."""
        return lambda s: inner(G, self.spectra(s))


def inner(gradient, v):
    """Real inner product: the derivative along v according to `gradient`."""
    return float(np.sum(np.real(np.conj(gradient) * v)))
