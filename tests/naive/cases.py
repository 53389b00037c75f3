"""Random signals and frames, with spectra and losses as functions of all parameters."""

import itertools

import numpy as np

from naive.criteria import criterion, neighbourhoods, tiles
from naive.differences import inner
from naive.transform import frequencies, slice_range, stft


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
        options = self.case.options

        def value(s):
            # the shares of energy are those of the signal
            x = self.case.x + s * self.v if self.name == "x" else self.case.x
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
