"""The commands that the README and the first page of the documentation show do what they say."""

import json
import re
import shlex
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import scipy.io.wavfile

from adaptstft import cli, datasets

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/getting_started.rst")}
#: Markdown, and reStructuredText with its indented lines.
SHELL_BLOCK = re.compile(r"(?<=^```sh\n)[^`]+|(?<=^\.\. code-block:: sh\n)(?: .*\n|\n)+", re.MULTILINE)
COMMANDS = {
    f"{name}-{count}": line.partition("#")[0].strip()
    for name, text in PAGES.items()
    for count, line in enumerate(
        re.findall(r"^ *(adaptstft(?: .*)?)$", "".join(SHELL_BLOCK.findall(text)), re.MULTILINE)
    )
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make the files that the commands name."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    x = datasets.linear_chirp(100.0, duration=0.6).x
    for name in ("recording.wav", "a.wav"):
        scipy.io.wavfile.write(name, 1000, x)
    np.savetxt("b.csv", np.column_stack([np.arange(x.size) / 1000, x]), delimiter=",", header="time,x", comments="")
    yield tmp_path
    from matplotlib import pyplot

    pyplot.close("all")


def test_both_pages_show_commands():
    assert {name.rpartition("-")[0] for name in COMMANDS} == set(PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_command(name, folder, capsys):
    words = shlex.split(re.sub(r"--jobs \S+", "--jobs 1", COMMANDS[name]))[1:]
    words = [part for word in words for part in (sorted(str(p) for p in Path().glob(word)) if "*" in word else [word])]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    if "--json" in words:
        assert all(json.loads(line)["win_length"] for line in printed.splitlines())
    elif "--out" in words:
        assert len((folder / words[words.index("--out") + 1]).read_text().splitlines()) == 3
    else:
        assert "win_length" in printed
    if "--plot" in words:
        assert (folder / words[words.index("--plot") + 1]).stat().st_size > 1000
