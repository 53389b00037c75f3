"""The file of rows: whole lines only, back to the last bit, and nothing of anybody else's is touched."""

import csv

import pytest

from adaptstft.batch import rows
from adaptstft.batch.rows import COLUMNS, RowFile


def row(name, **values):
    fixed = {"name": name, "status": "ok", "settings": "{}", "version": "1"}
    return dict.fromkeys(COLUMNS) | fixed | values


AWKWARD = row(
    'a "b", c.wav',
    fs=0.1 + 0.2,
    n=2**60 + 1,
    fun=float("-inf"),
    success=False,
    message="é; ß",
    error=None,
    win_length=1e-300,
)


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path):
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    return tmp_path / f"out.{request.param}"


def lines_of(path):
    """The file that lines are appended to."""
    return path if path.suffix == ".csv" else path.with_name(path.name + ".rows")


def killed(path, *more):
    """Leave what a run leaves that was killed after writing rows."""
    file = RowFile(path)
    for one in more:
        file.append(one)
    file._stream.close()


def test_rows_are_read_without_loss_of_a_bit(path):
    with RowFile(path) as file:
        file.append(AWKWARD)
        file.append(row("plain"))
    with RowFile(path) as file:
        assert list(file.rows.values()) == [AWKWARD, row("plain")]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_rows_of_a_killed_run_are_there(path):
    killed(path, row("a"), row("b"))
    with RowFile(path) as file:
        assert list(file.rows) == ["a", "b"]
        file.append(row("c"))
    with RowFile(path) as file:
        assert list(file.rows) == ["a", "b", "c"]


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_an_incomplete_line_is_dropped(path, cut):
    killed(path, row("a"), AWKWARD)
    lines = lines_of(path)
    lines.write_bytes(lines.read_bytes()[:-cut])
    with RowFile(path) as file:
        assert list(file.rows) == ["a"]
        file.append(AWKWARD)
    with RowFile(path) as file:
        assert file.rows == {"a": row("a"), AWKWARD["name"]: AWKWARD}


def test_an_incomplete_header_is_written_again(path):
    killed(path)
    lines = lines_of(path)
    for size in (0, 1, 20):
        lines.write_bytes(lines.read_bytes()[:size])
        killed(path, row("a"))
        with RowFile(path) as file:
            assert list(file.rows) == ["a"]
        path.unlink()
        killed(path)


def test_killed_between_the_parquet_file_and_its_lines(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    path = tmp_path / "out.parquet"
    killed(path, row("a"), row("b"))
    lines = lines_of(path).read_bytes()
    with RowFile(path):
        pass
    lines_of(path).write_bytes(lines)
    with RowFile(path) as file:
        assert list(file.rows) == ["a", "b"]


def test_retry_removes_only_errors(path):
    bad = row("bad") | rows.describe_error(ValueError("two\nlines"))
    assert bad["error"] == "two lines" and bad["error_type"] == "ValueError"
    with RowFile(path) as file:
        for one in (row("a"), bad, row("b")):
            file.append(one)
    with RowFile(path, retry=True) as file:
        assert list(file.rows) == ["a", "b"]
        file.append(row("bad"))
    with RowFile(path) as file:
        assert {name: r["status"] for name, r in file.rows.items()} == {"a": "ok", "b": "ok", "bad": "ok"}


def test_retry_of_a_killed_parquet_run(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    path = tmp_path / "out.parquet"
    killed(path, row("a"), row("bad", status="error"))
    with RowFile(path, retry=True) as file:
        file._stream.close()  # killed at once
        assert list(file.rows) == ["a"]
        assert list(rows._read_parquet(path)) == ["a"]
        file._stream = rows._open_locked(lines_of(path))


@pytest.mark.parametrize(
    "content",
    [b"time,x\n0,1\n", b"my notes", b"\x89PNG\r\n\x1a\n", b"name,status\n"],
    ids=["csv", "text", "png", "columns"],
)
def test_a_file_of_another_kind_stays_as_it_is(tmp_path, content):
    path = tmp_path / "out.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"out='.*out\.csv': out\.csv does not begin with the columns"):
        RowFile(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    ["1,2,3\n", "x" + "," * (len(COLUMNS) - 2) + "\n", "a,ok,,,abc" + "," * (len(COLUMNS) - 5) + "\n"],
)
def test_a_line_that_is_no_row_is_an_error(tmp_path, line):
    path = tmp_path / "out.csv"
    killed(path, row("a"))
    before = path.read_bytes() + line.encode()
    path.write_bytes(before)
    with pytest.raises(ValueError, match=r"out\.csv has a line that is no row"):
        RowFile(path)
    assert path.read_bytes() == before


def test_a_parquet_file_of_another_kind_stays_as_it_is(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    path = tmp_path / "out.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"out='.*out\.parquet' is not a Parquet file"):
        RowFile(path)
    pytest.importorskip("pyarrow.parquet", reason="Parquet needs the extra 'files'").write_table(
        pyarrow.table({"name": ["a"]}), path
    )
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"out='.*out\.parquet' does not have the columns"):
        RowFile(path)
    assert path.read_bytes() == before


def test_two_runs_do_not_write_to_one_file(path):
    pytest.importorskip("fcntl", reason="files are locked on POSIX systems only")
    with (
        RowFile(path) as file,
        pytest.raises(ValueError, match=r"out='.*' is being written by another run"),
    ):
        RowFile(file.path)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("out.xlsx", ValueError, r"out='out\.xlsx' must end in one of \.csv, \.parquet"),
        ("no/such/out.csv", ValueError, r"out='no/such/out\.csv': there is no folder no/such"),
        (3, TypeError, r"out=3 must be the path of a file"),
    ],
    ids=["ending", "folder", "type"],
)
def test_bad_path(path, error, message):
    with pytest.raises(error, match=message):
        rows.check_path(path)


def test_without_pyarrow_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"pip install .*\[many\]"):
        rows.check_path(tmp_path / "out.parquet")


def test_other_readers_can_read_the_csv_file(tmp_path):
    with RowFile(tmp_path / "out.csv") as file:
        file.append(AWKWARD)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        (read,) = csv.DictReader(stream)
    assert list(read) == list(COLUMNS)
    assert read["name"] == AWKWARD["name"] and float(read["fs"]) == AWKWARD["fs"] and read["error"] == ""


def test_the_file_that_replaces_the_rows_is_new(path):
    """A file or a link with its name belongs to somebody else."""
    killed(path, row("a"), row("a", n=3))
    other = path.with_name(path.name + ".new")
    target = path.with_name("target")
    target.write_text("precious")
    other.symlink_to(target)
    with pytest.raises(ValueError, match=r"out=.*: out\.\w+\.new exists already; move it away"), RowFile(path) as file:
        file.append(row("a", n=4))
    assert target.read_text() == "precious"
    other.unlink()
    with RowFile(path) as file:
        file.append(row("a", n=5))
        assert [one["n"] for one in file.rows.values()] == [5]
    assert not other.exists()


def test_a_replacement_that_fails_leaves_the_rows(path, monkeypatch):
    killed(path, row("a"), row("a", n=3))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adaptstft.common.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"), RowFile(path):
        pass
    monkeypatch.undo()
    assert not path.with_name(path.name + ".new").exists()
    with RowFile(path) as file:
        assert [one["n"] for one in file.rows.values()] == [3]
