"""Commands run as steps: what they end with, and how they are asked to stop."""

import subprocess
import textwrap
import time
from types import SimpleNamespace

import pytest

from rac_unet.errors import UserError
from rac_unet.training import steps
from rac_unet.training.steps import Steps, TimeIsUp


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module that a step can run, in a folder where Python finds it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name, code):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    return make


@pytest.fixture
def hour(tmp_path, monkeypatch):
    """A budget of an hour, over as soon as a step has written the file `ready`, however long that takes it here."""
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
    assert "$ python -m greet --name 5" in (said := capfd.readouterr().out) and "hello --name 5" in said
    with pytest.raises(UserError, match="python -m fail ended with exit code 2"):
        Steps().run(module("fail", "raise SystemExit(2)"))


def test_at_the_end_of_its_time_a_step_saves_and_stops(module, hour, tmp_path, monkeypatch):
    """As `train` does: SIGTERM is taken as a request, answered with exit code 130."""
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


def test_other_steps_may_end_beyond_it(module, hour, tmp_path):
    hour.run(module("scores", "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()"), tmp_path / "ready")
    with pytest.raises(TimeIsUp):
        hour.run("scores")
