"""How commands fail: one message, the right exit code, no traceback."""

import errno
import pickle

import pytest

from rac_unet.core.errors import KINDS, TRACEBACK, CommandParser, UserError, run_command
from tests.refusals import refused


def _run(main, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command(main)
    return stop.value.code, capsys.readouterr().err


def test_exit_codes(capsys):
    assert _run(lambda: None, capsys) == (0, "")
    assert _run(lambda: 130, capsys) == (130, "")


def test_user_error_is_one_line_and_2(capsys):
    def main():
        raise UserError("row 3: bad; use a good one", "bad_row")

    assert _run(main, capsys) == (2, "error: row 3: bad; use a good one\n")


def test_a_missing_package_of_an_extra_is_2_and_names_the_install(capsys):
    def main():
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib.figure")

    code, said = _run(main, capsys)
    assert code == 2 and said.count("\n") == 1 and "pip install 'rac_unet[train]'" in said and "matplotlib" in said

    def broken():
        raise ModuleNotFoundError("No module named 'rac_unet.oops'", name="rac_unet.oops")

    # A fault of this package is none of the user's.
    with pytest.raises(ModuleNotFoundError):
        run_command(broken)


def test_a_command_checks_its_extras_after_its_options(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    parser = CommandParser(extras=("tfds", "torch"), prog="python -m rac_unet.x")
    parser.add_argument("--size", type=int)
    with refused("usage", "--size"):
        parser.parse_args(["--size", "big"])
    with refused("missing_extra", "rac_unet.x", "tensorflow_datasets", "torch", "pip install 'rac_unet[tfds,torch]'"):
        parser.parse_args(["--size", "1"])
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])


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
    with refused("usage", "--spl"):
        parser.parse_args(["--spl", "a"])
    with refused("usage", "'c'"):
        parser.parse_args(["--split", "c"])


def test_kinds_are_a_closed_list():
    with pytest.raises(ValueError, match="unheard_of"):
        UserError("x", "unheard_of")


def test_kind_and_message_survive_a_worker_process():
    back = pickle.loads(pickle.dumps(UserError("row 3: bad", "bad_row")))
    assert (str(back), back.kind) == ("row 3: bad", "bad_row") and back.kind in KINDS


@pytest.mark.parametrize("raised", [UserError("bad", "bad_value"), OSError(errno.EFBIG, "File too large", "out.png")])
def test_the_environment_variable_named_in_help_shows_the_traceback(raised, capsys, monkeypatch):
    def origin_of_the_error():
        raise raised

    assert "origin_of_the_error" not in _run(origin_of_the_error, capsys)[1]
    monkeypatch.setenv(TRACEBACK, "1")
    code, shown = _run(origin_of_the_error, capsys)
    assert code == 2 and "origin_of_the_error" in shown and shown.splitlines()[-1].startswith("error: ")
    assert TRACEBACK in CommandParser(prog="x").format_help()
