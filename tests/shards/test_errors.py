"""Errors that a user sees."""

import errno

import pytest

from shards.errors import REMEDIES, unreadable


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ESTALE, errno.ENOMEM])
def test_a_disk_at_fault_is_not_the_fault_of_a_list(number: int) -> None:
    error = unreadable("questions.txt: cannot be read", OSError(number, "it failed"), "mend it")
    assert error.exit_code == 3
    assert error.hint == REMEDIES[number]


def test_a_missing_file_is_the_fault_of_its_name() -> None:
    missing = FileNotFoundError(errno.ENOENT, "not there")
    error = unreadable("list: cannot be read", missing, "check the path")
    assert (error.what, error.hint, error.exit_code) == (
        "list: cannot be read: No such file or directory",
        "check the path",
        2,
    )
    assert unreadable("list", OSError("of a bucket"), "look").what == "list: of a bucket"
