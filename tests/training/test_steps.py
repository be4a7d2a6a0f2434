"""Commands run as steps: what they end with, and how they are asked to stop."""

import contextlib
import os
import signal
import textwrap

import pytest

from rac_unet.training import steps
from rac_unet.training.steps import Steps, Terminated, TimeIsUp
from tests.refusals import refused


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module that a step can run, in a folder where Python finds it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name, code):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    return make


def test_output_and_exit_codes_come_through(module, capfd):
    Steps().run(module("greet", "import sys; print('hello', *sys.argv[1:])"), "--name", 5)
    assert "$ python -m greet --name 5" in (said := capfd.readouterr().out) and "hello --name 5" in said
    with refused("failed_command", "python -m fail", "exit code 2"):
        Steps().run(module("fail", "raise SystemExit(2)"))


def test_at_the_end_of_its_time_a_step_saves_and_stops(module, tmp_path, monkeypatch):
    """As `train` does: SIGTERM is taken as a request, answered with exit code 130."""
    name = module(
        "trains",
        """
        import pathlib, signal, sys, time
        def save(*_):
            pathlib.Path(sys.argv[1]).write_text("saved")
            sys.exit(130)
        signal.signal(signal.SIGTERM, save)
        time.sleep(60)
        """,
    )
    monkeypatch.setattr(steps, "STOPPABLE", (name,))
    budget = Steps(minutes=2 / 60)
    with pytest.raises(TimeIsUp):
        budget.run(name, tmp_path / "state")
    assert (tmp_path / "state").read_text() == "saved"
    with pytest.raises(TimeIsUp):
        budget.run(name)
    budget.run(module("short", "print('after')"), timed=False)


@contextlib.contextmanager
def not_ended_by(number):
    """The tests' own process takes a signal that nobody else does for a failure; what was installed is there again."""

    def fail(*_):
        raise AssertionError("taken by nobody")

    before = signal.signal(number, fail)
    try:
        yield
        assert signal.getsignal(number) == fail
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_asked_to_end_a_step_is_not_left_behind(module, tmp_path, name):
    """It saves, as `train` does, before the process that started it ends."""
    trains = module(
        "trains",
        f"""
        import os, pathlib, signal, sys, time
        def save(*_):
            pathlib.Path(sys.argv[1]).write_text("saved")
            sys.exit(130)
        signal.signal(signal.SIGTERM, save)
        os.kill(os.getppid(), signal.{name})
        time.sleep(60)
        """,
    )
    with not_ended_by(getattr(signal, name)), pytest.raises(Terminated, match=name):
        Steps().run(trains, tmp_path / "state")
    assert (tmp_path / "state").read_text() == "saved"


def test_what_is_ignored_stays_ignored(module):
    """As after nohup, when the terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        Steps().run(module("goes_on", "import os, signal; os.kill(os.getppid(), signal.SIGHUP)"))
    finally:
        signal.signal(signal.SIGHUP, before)


def test_asked_to_end_before_the_step_has_started(module, monkeypatch):
    start = steps.subprocess.Popen

    def started_too_late(*words, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return start(*words, **options)

    monkeypatch.setattr(steps.subprocess, "Popen", started_too_late)
    with not_ended_by(signal.SIGTERM), pytest.raises(Terminated):
        Steps().run(module("sleeps", "import time; time.sleep(60)"))


def test_other_steps_may_end_beyond_it(module):
    budget = Steps(minutes=0.5 / 60)
    budget.run(module("scores", "import time; time.sleep(1)"))
    with pytest.raises(TimeIsUp):
        budget.run("scores")
