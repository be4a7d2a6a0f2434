"""Commands run as steps: exit codes, signals and the time limit."""

import contextlib
import os
import signal
import subprocess
import textwrap
import time
from types import SimpleNamespace

import pytest

from rac_unet.studies import steps
from rac_unet.studies.steps import Steps, Terminated, TimeIsUp
from tests.refusals import refused


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Function that writes a module for a step to run, in a folder where Python finds it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name, code):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    return make


@pytest.fixture
def hour(tmp_path, monkeypatch):
    """Steps with a time limit that is reached as soon as a step has written the file `ready`."""
    now = [0.0]

    class Process(subprocess.Popen):
        def wait(self, timeout=None):
            if timeout is None:
                return super().wait()
            while not (tmp_path / "ready").exists() and self.poll() is None:
                time.sleep(0.01)
            now[0] = 3600.0
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(steps, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(steps.subprocess, "Popen", Process)
    return Steps(minutes=60)


def test_output_and_exit_codes_come_through(module, capfd):
    Steps().run(module("greet", "import sys; print('hello', *sys.argv[1:])"), "--name", 5)
    assert "$ python -m greet --name 5" in (printed := capfd.readouterr().out) and "hello --name 5" in printed
    with refused("failed_step", "python -m fail", "exit code 2"):
        Steps().run(module("fail", "raise SystemExit(2)"))


def test_at_the_time_limit_a_step_saves_and_stops(module, hour, tmp_path, monkeypatch):
    """As `train` does: on SIGTERM it saves and exits with code 130."""
    name = module(
        "trains",
        """
        import pathlib, signal, sys, time
        def save(*_):
            pathlib.Path(sys.argv[1], "saved").touch()
            sys.exit(130)
        signal.signal(signal.SIGTERM, save)
        pathlib.Path(sys.argv[1], "ready").touch()
        time.sleep(600)
        """,
    )
    monkeypatch.setattr(steps, "STOPPABLE", (name,))
    with pytest.raises(TimeIsUp):
        hour.run(name, tmp_path)
    assert (tmp_path / "saved").exists()
    with pytest.raises(TimeIsUp):
        hour.run(name)
    hour.run(module("short", "print('after')"), timed=False)


@contextlib.contextmanager
def not_ended_by(number):
    """Fail if this process gets the signal, and check that the signal handler is restored."""

    def fail(*_):
        raise AssertionError("not passed on to the step")

    before = signal.signal(number, fail)
    try:
        yield
        assert signal.getsignal(number) == fail
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_step_saves_before_the_process_that_started_it_ends(module, tmp_path, name):
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


def test_an_ignored_signal_stays_ignored(module):
    """As under nohup, when the terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        Steps().run(module("goes_on", "import os, signal; os.kill(os.getppid(), signal.SIGHUP)"))
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_before_the_step_has_started(module, monkeypatch):
    start = steps.subprocess.Popen

    def started_too_late(*words, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return start(*words, **options)

    monkeypatch.setattr(steps.subprocess, "Popen", started_too_late)
    with not_ended_by(signal.SIGTERM), pytest.raises(Terminated):
        Steps().run(module("sleeps", "import time; time.sleep(60)"))


def test_other_steps_may_finish_after_the_time_limit(module, hour, tmp_path):
    hour.run(module("scores", "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()"), tmp_path / "ready")
    with pytest.raises(TimeIsUp):
        hour.run("scores")
