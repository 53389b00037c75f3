"""The study of criteria runs, and its oracles and readers are right."""

import bz2
import gzip
import importlib
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample

from adaptstft import criteria

ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(monkeypatch):
    """Import a module of the study, which no installation contains."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.mark.slow
def test_a_quick_run_prints_a_line_for_each_criterion(study):
    command = [sys.executable, "-m", "benchmarks.criteria", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in study("criteria_measures").CRITERIA:
        assert f"\n{name}  " in done.stdout


def test_a_plane_and_its_distribution_hold_the_energy_of_the_signal(study):
    measures = study("criteria_measures")
    x = np.random.default_rng(0).standard_normal(1000)
    for length in (16.0, 77.3, 500.0):
        p = measures.plane(x, length)
        assert np.sum(p.power @ p.area) == pytest.approx(x @ x, rel=2e-4)  # a quarter of a Hann window as hop
        d = measures.Distribution.of(p, x.size)
        assert d.total(d.power) == pytest.approx(x @ x, rel=2e-3)


def test_the_floor_is_the_level_of_white_noise_below_a_tone(study):
    noise = 0.3 * np.random.default_rng(1).standard_normal(8000)
    for amplitude in (0.0, 5.0):
        x = noise + amplitude * np.cos(0.3 * np.arange(8000))
        assert study("criteria_measures").noise_floor(x) == pytest.approx(0.09, rel=0.1)


def test_the_floor_does_not_depend_on_empty_parts_of_the_plane(study):
    measures = study("criteria_measures")
    noise = np.random.default_rng(6).standard_normal(8000)
    zeros = np.zeros(4000)
    padded = measures.noise_floor(np.concatenate([zeros, noise, zeros]))
    assert padded == pytest.approx(1.0, rel=0.2)  # some frames reach over the ends of the noise
    # twice the sampling rate: half of the plane is empty, and the power of the rest has twice the density
    assert measures.noise_floor(resample(noise, 16000)) == pytest.approx(2.0, rel=0.2)


def test_the_minimum_of_a_parabola_is_found_between_the_lengths(study):
    lengths = 16 * 2 ** np.arange(0, 5, 0.25)
    values = (np.log(lengths) - np.log(100)) ** 2
    assert study("criteria_measures").minimum(lengths, values) == pytest.approx(100)
    assert study("criteria_measures").minimum(lengths, lengths) == 16


def test_denoising_without_noise_changes_nothing(study):
    x = np.random.default_rng(2).standard_normal(700)
    assert study("criteria_oracles").denoised(x, 61.0, 0.0) == pytest.approx(x, abs=1e-9)


@pytest.mark.parametrize("half", [8, 50])
def test_the_mdct_is_orthonormal_and_resolves_tones(study, half):
    oracles = study("criteria_oracles")
    x = np.random.default_rng(3).standard_normal(950)
    # its rows, the transforms of unit impulses, have unit norm and are orthogonal
    rows = np.array([oracles.mdct(e, half).ravel() for e in np.eye(300)])
    assert rows @ rows.T == pytest.approx(np.eye(300), abs=1e-12)
    tone = oracles.mdct(np.cos(np.pi * (3.5 / half) * np.arange(950)), half) ** 2
    assert tone[:, 2:5].sum() > 0.9 * tone.sum()
    assert np.sum(oracles.mdct(x, half) ** 2) == pytest.approx(x @ x)


def test_bits_of_laplace_numbers_are_near_their_entropy(study):
    rng = np.random.default_rng(4)
    q = np.rint(rng.laplace(scale=3.0, size=(100, 60)))
    half = 0.5 / 3.0
    k = np.arange(1, 200)
    p = np.concatenate([[1 - np.exp(-half)], np.repeat(np.exp(-k / 3.0) * np.sinh(half), 2)])
    bits = study("criteria_oracles")._laplace_bits(np.abs(q), 3.0) / q.size
    assert p.sum() == pytest.approx(1)
    assert bits == pytest.approx(-np.sum(p * np.log2(p)), rel=0.02)


def test_a_ridge_of_a_clean_tone_has_no_error_and_a_late_onset_is_found(study):
    oracles = study("criteria_oracles")
    n = np.arange(1000)
    law = oracles.Law("tone", np.cos(2 * np.pi * 0.1234 * n), np.full((1, 1000), 0.1234))
    assert oracles.ridge_loss(law, law.x, [200.0]) == pytest.approx(0, abs=3e-5)
    x, times = oracles.onset_signal("pulses", 0)
    assert oracles.onset_loss(x, times, [32.0]) == pytest.approx(0, abs=0.2)


def test_distances_to_a_practice_are_octaves(study):
    practice = study("criteria_recordings").Practice("speech", 0.02, 0.04, "")
    assert [practice.distance(s) for s in (0.01, 0.03, 0.08)] == pytest.approx([-1, 0, 1])


def test_tables_of_held_out_recordings_and_of_lengths_outside_the_practice(study):
    report = study("criteria_report")
    package, cases = report.PACKAGE, {"practice": {"arctic": 0.1, "linus": -0.7}, "held out": {"austen": 0.2}}
    items = [
        report.Measurement(oracle, case, name, octaves, seconds=0.03)
        for oracle, of_cases in cases.items()
        for case, octaves in of_cases.items()
        for name in ("Shannon", package)
    ]
    for case in ("arctic", "linus", "austen"):
        items += [report.Measurement(o, case, package, v) for o, v in (("excess", 0.0123), ("excess bits", 0.045))]
    results = report.Results(items)
    assert report.held_out(results)[1:] == [
        ("Shannon", "1 of 1", "0.20", "1 of 2", "0.40"),
        (package, "1 of 1", "0.20", "1 of 2", "0.40"),
    ]
    assert report.excess(results)[1:] == [("linus", "-0.7", "1.2", "0.0450")]
    held_out = study("criteria_recordings").HELD_OUT
    assert [line[0] for line in report.lengths(results, held_out)[1:]] == ["austen"]


def test_the_excess_is_that_of_the_best_length_within_the_practice(study):
    import adaptstft

    records = study("criteria_recordings")
    signal = adaptstft.datasets.linear_chirp(duration=1.0)
    result = adaptstft.optimize(signal.x, signal.fs, progress=False)
    best = result.win_length / signal.fs
    for usual, expected in (((best / 2, best), 0.0), ((4 * best, 5 * best), None)):
        recording = records.Recording(records.RECORDINGS[0].source, records.Practice("speech", *usual, ""))
        share, bits = study("criteria").excess(recording, signal.fs, result)
        if expected is None:  # the nearest length within half an octave of the practice
            nearest = np.log(4 * best * signal.fs / 2**0.5)
            value = np.interp(nearest, np.log(result.survey.lengths), result.survey.values)
            expected = value / result.survey.values.min() - 1
            assert expected > 0.1
        assert share.value == pytest.approx(expected, abs=1e-3)
        assert bits.value == pytest.approx(share.value * result.score)


def test_held_out_recordings_are_others_and_are_compared_with_practice_only(study, monkeypatch):
    module, records = study("criteria"), study("criteria_recordings")
    assert not {r.name for r in records.RECORDINGS} & {r.name for r in records.HELD_OUT}
    monkeypatch.setattr(module.recordings, "fetch", lambda **_: {})
    monkeypatch.setattr(records.Recording, "load", lambda _: (100.0, np.random.default_rng(7).standard_normal(400)))
    cases = {name: {item.oracle for item in module.measure(name, 1, quick=False).items} for name in ("linus", "austen")}
    assert cases["austen"] == {"held out", "excess", "excess bits"}
    assert cases["linus"] >= {"practice", "excess", "denoising 0", "coding 15", "drift"}


def test_samples_of_16_bits_are_read(study):
    fs, x = study("recording_formats").raw(8000.0)(struct.pack("<3h", 1, -2, 300))
    assert (fs, x.tolist()) == (8000.0, [1.0, -2.0, 300.0])


def test_sac_files_of_both_byte_orders_are_read(study):
    for order in "<>":
        content = bytearray(632)
        struct.pack_into(f"{order}f", content, 0, 0.01)
        struct.pack_into(f"{order}i", content, 304, 6)
        struct.pack_into(f"{order}i", content, 316, 3)
        fs, x = study("recording_formats").sac(bytes(content) + np.array([1, -2, 3], f"{order}f4").tobytes())
        assert fs == pytest.approx(100)
        assert x == pytest.approx([1, -2, 3])


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_a_column_of_text_is_read_compressed_or_not(study, compress):
    fs, x = study("recording_formats").text(5.0, column=1, delimiter="\t")(compress(b"1\t2\n3\t4\n"))
    assert (fs, x.tolist()) == (5.0, [2.0, 4.0])


def test_heart_rates_of_a_pulse_follow_the_true_ones(study):
    module = study("tracking_heart")
    t = np.arange(60 * 128) / 128
    phase = 1.1 * t + 0.3 * np.sin(2 * np.pi * t / 20)
    peaks = np.interp(np.arange(1, 60), phase, t)  # at phase 0, where the pulse has its maximum
    x = sum(np.cos(2 * np.pi * k * phase) / k for k in (1, 2, 3))
    heart = module.Heart(x, 128.0, peaks[:-1])
    assert heart.time == pytest.approx((peaks[1:-1] + peaks[:-2]) / 2, abs=0.02)
    found = module.tracked(heart, heart.noisy(10, 0))
    assert module.errors(heart, found.rate)[0] < 1.0
    assert found.coverage(heart) > 0.8
    assert found.half_width() == pytest.approx(np.median(found.high - found.low) / 2)
    assert module.errors(heart, module.strongest_bin(heart, x))[0] < 5.0


def test_failures_of_heartpy_are_counted_and_it_must_be_installed(study, monkeypatch):
    module = study("tracking_heart")
    heart = module.Heart(np.sin(np.arange(1280) / 20), 128.0, np.arange(1.0, 9.0))

    class NoBeats:
        @staticmethod
        def process(x, fs, **options):
            return {"peaklist": [100, 200], "binary_peaklist": [1, 0]}, {}

    class Failing:
        @staticmethod
        def process(x, fs, **options):
            raise RuntimeError

    rates = [module.beats(tool, heart, heart.x, False) for tool in (NoBeats, Failing)]
    assert rates == [None, None]
    found = module.Measured(coverage=[0.5, 0.7], half_width=[1.0, 2.0])
    for tool in module.TOOLS:
        found.errors[tool] = [(3.0, 2.0), module.errors(heart, None)]
    assert found.failures("HeartPy") == 1
    assert found.cell("HeartPy") == "inf (inf), 3.0 to inf"
    assert "60 %" in module.table({10: found})
    monkeypatch.setitem(sys.modules, "heartpy", None)
    monkeypatch.setattr(sys, "argv", ["tracking_heart"])
    monkeypatch.setattr(module, "load", lambda: pytest.fail("measured without HeartPy"))
    with pytest.raises(SystemExit, match="pip install heartpy"):
        module.main()


def test_simulated_heart_rates_oscillate_with_respiration(study, monkeypatch):
    module = study("tracking_respiration")
    x, middle, rate = module.simulated(15, 8.0, 0)
    assert x.shape == (3840,)
    angle = 2 * np.pi * 0.25 * middle
    waves = np.stack([np.sin(angle), np.cos(angle), np.ones_like(angle)], axis=1)
    sine, cosine, mean = 60 * np.linalg.lstsq(waves, rate)[0]
    # the drift has a standard deviation of 2 beats a minute
    assert np.hypot(sine, cosine) == pytest.approx(8, rel=0.2)
    assert mean == pytest.approx(70, rel=0.1)
    monkeypatch.setattr(module, "SEEDS", 1)
    error, coverage, length = module.measure(15, 3.6, 24)
    assert error < 2.0
    assert coverage > 0.9
    assert 2 < length < 8


def test_pickled_arrays_are_read_and_pickled_functions_are_refused(study):
    read = study("recording_formats").pickled(10.0, column=1, key="x")
    fs, x = read(pickle.dumps({"x": np.arange(6.0).reshape(3, 2)}, protocol=4))
    assert fs == 10
    assert x == pytest.approx([1, 3, 5])
    fs, x = study("recording_formats").pickled(10.0, key="x")(pickle.dumps({"x": np.arange(3.0)}, protocol=4))
    assert x == pytest.approx([0, 1, 2])
    with pytest.raises(pickle.UnpicklingError, match="is not an array"):
        read(pickle.dumps({"x": print}))


def test_the_same_measures_under_other_names():
    power = np.random.default_rng(5).exponential(size=(40, 30)) ** 3
    total = power.sum()

    def renyi(alpha):
        return np.log(np.sum(power**alpha) / total**alpha) / (1 - alpha)

    magnitudes = np.sqrt(power)
    assert -np.log(np.sum(power**2) / total**2) == pytest.approx(renyi(2))
    for r in (1.5, 2.0, 4.0):
        assert np.log(np.sum(power ** (1 / r)) ** r / total) == pytest.approx((r - 1) * renyi(1 / r))
    for k in (0.5, 1.0, 1.5):
        assert np.log(np.sum(magnitudes**k)) - k / 2 * np.log(total) == pytest.approx((1 - k / 2) * renyi(k / 2))
    assert np.sum(magnitudes) / np.sqrt(total) == pytest.approx(np.exp(renyi(0.5) / 2))


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("Rényi 3", criteria.Renyi(alpha=3.0)),
        ("Shannon", criteria.Shannon()),
        ("kurtosis (Rényi 2)", criteria.Kurtosis()),
    ],
)
def test_criteria_pick_nearly_the_length_that_the_package_picks(study, name, ours):
    import adaptstft

    signal = adaptstft.datasets.linear_chirp(60.0)
    result = adaptstft.optimize(signal.x, signal.fs, window="hann", criterion=ours)
    picked = study("criteria_measures").choices(signal.x)[name]
    assert picked == pytest.approx(result.win_length, rel=0.06)
