"""Files that replace others."""

import pytest

from adaptstft.common.files import replacing


def test_the_new_file_has_the_name_only_at_the_end(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old")
    with replacing(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_old_file_stays_alone(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="no space"), replacing(path) as stream:
        stream.write(b"half")
        raise OSError("no space")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_the_name_that_it_has_until_then_is_kept(tmp_path):
    other = tmp_path / "rows.csv.part"
    other.write_bytes(b"theirs")
    with pytest.raises(FileExistsError, match="part"), replacing(tmp_path / "rows.csv", ".part"):
        pass
    assert other.read_bytes() == b"theirs"
