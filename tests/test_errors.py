"""How commands fail: one message, the right exit code, no traceback."""

import errno

import pytest

from rac_unet.errors import CommandParser, UserError, run_command


def _run(main, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command(main)
    return stop.value.code, capsys.readouterr().err


def test_exit_codes(capsys):
    assert _run(lambda: None, capsys) == (0, "")
    assert _run(lambda: 130, capsys) == (130, "")


def test_user_error_is_one_line_and_2(capsys):
    def main():
        raise UserError("row 3: bad; use a good one")

    assert _run(main, capsys) == (2, "error: row 3: bad; use a good one\n")


def test_full_disk_is_2_and_names_the_file(capsys):
    def main():
        raise OSError(errno.ENOSPC, "No space left on device", "out/pairs.csv")

    code, message = _run(main, capsys)
    assert code == 2 and "No space left on device" in message and "out/pairs.csv" in message


def test_ctrl_c_is_130(capsys):
    def main():
        raise KeyboardInterrupt

    assert _run(main, capsys)[0] == 130


def test_a_bug_keeps_its_traceback():
    def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(main)


def test_parser_takes_no_abbreviation():
    parser = CommandParser(prog="x")
    parser.add_argument("--split", choices=("a", "b"))
    with pytest.raises(UserError, match="unrecognized arguments: --spl"):
        parser.parse_args(["--spl", "a"])
    with pytest.raises(UserError, match="choose from"):
        parser.parse_args(["--split", "c"])
