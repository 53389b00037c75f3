"""Reference code for the tests: plain sums of the definitions, O(N L), in double precision.

It imports nothing of the package under test and is itself compared with SciPy in ``test_naive.py``.
Everything is one-dimensional and slow on purpose: each function should be readable next to its formula.
"""

import itertools
import math

import numpy as np
from scipy.special import i0


def label(value):
    """The same name for a test parameter in every process, also for functions."""
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
    """Flat over the middle 1 - alpha of the support, raised-cosine tapers of alpha/2 on each side."""
    distance = 0.5 - np.abs(u)  # from the nearer end
    if alpha <= 0:
        return np.ones_like(u)
    taper = 0.5 * (1 - np.cos(2 * np.pi * distance / alpha))
    return np.where(distance < alpha / 2, taper, 1.0)


def evaluate_family(window, u):
    """omega(u) of a name, (name, shape), (name, (a0, a1, ...)) or callable, for u inside the support."""
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
    """omega(distance/theta) where -theta/2 <= distance < theta/2, otherwise 0."""
    distance = np.asarray(distance, dtype=float)
    inside = (distance >= -theta / 2) & (distance < theta / 2)
    values = np.zeros(distance.shape)
    values[inside] = evaluate_family(window, distance[inside] / theta)
    return values


def scale_factor(window, theta, scale_to, fs=1.0, window_offset=0.0):
    """c(theta), from the samples of a frame at time 0."""
    w = window_samples(window, theta, support(theta, window_offset) - window_offset)
    if scale_to is None:
        return 1.0
    if scale_to == "magnitude":
        return 1 / abs(w.sum())
    if scale_to == "psd":
        return math.sqrt(1 / fs / (w**2).sum())
    raise ValueError(f"no scaling {scale_to!r}")


def scaled_window(window, theta, t, n, scale_to=None, fs=1.0, window_offset=0.0):
    """w(n; t, theta) for samples n of a frame at the real time t."""
    c = scale_factor(window, theta, scale_to, fs, window_offset)
    return c * window_samples(window, theta, n - t - window_offset)


# --- the signal outside its samples ---------------------------------------------------------------


def sample_padded(x, n, padding):
    """x[n] for any integer n, extended one sample at a time."""
    last = len(x) - 1
    if 0 <= n <= last:
        return x[n]
    if padding == "zeros":
        return 0.0
    edge = 0 if n < 0 else last
    if padding == "edge" or last == 0:  # there is nothing to reflect in a single sample
        return x[edge]
    mirrored = sample_padded(x, 2 * edge - n, padding)
    if padding == "even":
        return mirrored
    if padding == "odd":
        return 2 * x[edge] - mirrored
    raise ValueError(f"no padding {padding!r}")


FFT_MODES = ("onesided", "onesided2X", "twosided", "centered")
SCALINGS = (None, "magnitude", "psd")
#: Every fft_mode with every scaling that it allows: SciPy refuses onesided2X without one.
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
    """What 'onesided2X' multiplies each stored bin by."""
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
    """A range of integers that contains every n with -theta/2 <= n - centre < theta/2."""
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
    """S[q, p] for one channel; `theta` broadcasts to (f_pts, p_num), `centres` are real, in samples."""
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
        lengths, bins = np.unique(theta[:, p], return_inverse=True)
        w = [scaled_window(window, th, t, n, scale_to, fs, window_offset) for th in lengths]
        rows = np.array(w)[bins]
        S[:, p] = factors * (rows * phasors * padded).sum(axis=1)
    return S


def slice_range(window, theta, hop, n, window_offset=0.0):
    """(p_min, p_max): slices whose nonzero samples touch 0 ... n-1, walking outwards from 0 and n//hop."""

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
    """What ``transform.stft(x, ...)`` should be, from the settings that its attributes state."""
    first, stop = transform.p_range(np.shape(x)[-1], p0, p1)
    centres = np.arange(first, stop) * transform.hop if transform.positions is None else transform.positions[first:stop]
    theta = transform.win_length
    if np.ndim(theta):
        theta = theta[first - transform.p_min : stop - transform.p_min]
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


def istft(S, window, theta, centres, n, *, mfft, fft_mode="onesided", scale_to=None, **options):
    """The signal of n samples whose two-sided transform is nearest to S, by dense least squares.

    A one-sided spectrum stands for the two-sided one of a real signal, so that its paired bins count twice.
    """
    # The map is real-linear for one-sided modes: a unit impulse a column, real and imaginary parts as rows.
    onesided = fft_mode in ("onesided", "onesided2X")
    factors = bin_factors(fft_mode, mfft, scale_to)
    weights = np.ones(len(factors))
    if onesided:
        weights[1 : -1 if mfft % 2 == 0 else None] = math.sqrt(2)
    weights = (weights / factors)[:, None]
    settings = {"mfft": mfft, "fft_mode": fft_mode, "scale_to": scale_to, **options}
    columns = [(weights * stft(e, window, theta, centres, **settings)).ravel() for e in np.eye(n)]
    A, b = np.array(columns).T, (weights * S).ravel()
    if onesided:
        A, b = np.concatenate([A.real, A.imag]), np.concatenate([b.real, b.imag])
    return np.linalg.lstsq(A, b, rcond=None)[0]


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

    Weights of a neighbourhood are scaled to add up to the number of frames that they effectively spread over.
    """
    if np.ndim(g):
        g = g * (g.sum() / (g**2).sum())
    root = math.sqrt((g * np.ones(P.shape)).sum())
    return -(root - (g * magnitude).sum() / math.sqrt((g * magnitude**2).sum())) / (root - 1)


def gini(P, g, magnitude):
    """Minus the Gini index: half the relative mean absolute difference of all pairs, each with its weight."""
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
    """The criterion of S (..., f_pts, p_num); channels and bins count alike.

    Frames and neighbourhoods without energy have no normalised distribution: the average is over the others.
    ``scope="local"`` needs the neighbourhood weights `g` (r_num, p_num) and their shares `e` (r_num,).
    """
    magnitude = np.abs(np.asarray(S))
    P = magnitude**power
    measure = MEASURES[name]
    if scope == "global":
        return measure(P, 1.0, magnitude, **parameters)
    if scope == "frame":
        sounding = [p for p in range(P.shape[-1]) if P[..., p].any()]
        if name == "kurtosis":
            return 1 / np.mean([np.mean(P[..., p] ** 2) / np.mean(P[..., p]) ** 2 for p in sounding])
        return np.mean([measure(P[..., p], 1.0, magnitude[..., p], **parameters) for p in sounding])
    energies = (g * P.reshape(-1, P.shape[-1]).sum(axis=0)).sum(axis=1)
    heard = [r for r in range(len(e)) if e[r] > 0 and energies[r] > 0]
    values = [measure(P, g[r], magnitude, **parameters) for r in heard]
    return np.average(values, weights=[e[r] for r in heard])


def neighbourhoods(x, centres, width):
    """(g, e) of the local scope: raised cosines of support `width`, a quarter of it apart from sample 0 on.

    `g` weighs the frames, (r_num, p_num); `e` is the share of the signal's energy in each, (r_num,).
    """
    x = np.reshape(x, (-1, np.shape(x)[-1]))
    n = x.shape[1]
    middles = np.arange(math.ceil((n - 1) / (width / 4)) + 1) * width / 4

    def weights(times):
        distance = (np.asarray(times) - middles[:, None]) / width
        return np.where(np.abs(distance) < 0.5, np.cos(np.pi * distance) ** 2, 0.0)

    e = weights(np.arange(n)) @ (np.abs(x) ** 2).sum(axis=0)
    return weights(centres), e / e.sum()


# --- differences ----------------------------------------------------------------------------------


def derivative(fun, step, levels=6):
    """(d/ds fun(s) at 0, error estimate): central differences at halved steps, Richardson-extrapolated.

    The table removes odd and even powers of the step, so that it also holds where fun is only C1 at 0 with
    smooth sides, as a Hann window is when a sample sits on the edge of its support.
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


# --- a transform as a function of all its parameters ------------------------------------------------


class Case:
    """A random signal and framing, and the spectra of the reference as a function of all parameters.

    `framing` is "constant, hop", "time, hop", "constant, positions" or "time, positions".
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
        self.theta, self.slices = rng.uniform(11.5, 12.5), None
        if placed == "positions":
            self.hop, self.centres = None, np.sort(np.linspace(-2, self.n + 2, 9) + rng.uniform(-1.2, 1.2, 9))
        else:
            self.hop = rng.uniform(3.5, 5)
            longest = 17.0 if length == "time" else self.theta
            self.slices = slice_range(self.window, longest, self.hop, self.n, self.window_offset)
            self.centres = self.hop * np.arange(*self.slices)
        if length == "time":
            self.theta = rng.uniform(6, 16.5, len(self.centres))

    def clear(self):
        """Whether no sample is close to the edge of a support, in the signal or in the sums of the scale.

        Nor may one be close to a corner of a Tukey window's plateau, where its second derivative jumps.
        """
        half = np.broadcast_to(self.theta, self.centres.shape) / 2
        corners = [1.0, 1 - self.shape[0]] if not callable(self.window) and self.window[0] == "tukey" else [1.0]
        edges = [
            middle + self.window_offset + sign * corner * half
            for middle, sign, corner in itertools.product((self.centres, 0.0), (-1, 1), corners)
        ]
        return np.all(np.abs(edges - np.round(edges)) > 0.008)

    @property
    def shape(self):
        if isinstance(self.window, str) or callable(self.window):
            return np.zeros(0)
        return np.ravel(np.asarray(self.window[1], dtype=float))

    def settings(self):
        """Keyword arguments that make the transform under test from `window` and `theta`."""
        placed = {"hop": self.hop} if self.hop is not None else {"hop": None, "positions": self.centres}
        return self.options | placed

    def parameters(self):
        names = ["win_length", "positions", "x"]
        names += ["hop"] if self.hop is not None else []
        return names + (["shape"] if self.shape.size else [])

    def value_of(self, name):
        base = {
            "win_length": self.theta,
            "positions": self.centres,
            "hop": self.hop,
            "shape": self.shape,
            "x": self.x,
        }
        return base[name]

    def direction(self, name, rng):
        """Unit steps move edges of supports by a sample at the most; a thousandth is less than `clear` keeps.

        The signal and the shape move less, lest bins pass through zero.
        """
        value = np.asarray(self.value_of(name))
        if name == "hop":
            return 1 / max(1, np.abs(np.arange(*self.slices)).max())
        size = {"shape": 0.1, "x": 0.05}.get(name, 1.0)
        v = rng.uniform(-size, size, value.shape)
        return v + 1j * rng.uniform(-size, size, value.shape) if np.iscomplexobj(value) else v

    def spectra(self, name=None, move=0.0):
        """S with parameter `name` moved by the array `move`, from the reference."""
        theta, centres, x, window = self.theta, self.centres, self.x, self.window
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
    """A line through a case along one parameter; spectra are kept, so that many losses can be differenced."""

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

    def criterion(self, name, scope, width, **parameters):
        """A criterion as a function of the place on the line; `width` of neighbourhoods in samples."""

        def value(s):
            if scope == "local":
                # The shares of energy belong to the signal as given: they are constants of the criterion.
                parameters["g"], parameters["e"] = neighbourhoods(self.case.x, self.centres(s), width)
            return criterion(name, self.spectra(s), scope, **parameters)

        return value

    def product(self, G):
        """The linear loss with cotangent G."""
        return lambda s: inner(G, self.spectra(s))


def inner(gradient, v):
    """Real inner product: the slope along v that a gradient claims."""
    return float(np.sum(np.real(np.conj(gradient) * v)))
