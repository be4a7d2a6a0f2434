"""Commands run from a notebook: their output is shown, and a failure is one message."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from rac_unet import notebook
from tests.refusals import refused


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes a module to run as a command and returns its name: `module(source)`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(source):
        (tmp_path / "example.py").write_text(textwrap.dedent(source))
        return "example"

    return write


def test_the_output_of_a_command_is_shown(module, capsys):
    name = module("import sys; print('one', *sys.argv[1:]); print('two', file=sys.stderr)")
    notebook.run(name, "--size", 64, "a b")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "$ python -m example --size 64 'a b'" and set(said[1:]) == {"one --size 64 a b", "two"}


def test_a_failure_is_one_message(module):
    name = module("import sys; sys.exit('error: no file at x; give another')")
    with refused("failed_step") as caught:
        notebook.run(name, "--data", "x")
    assert str(caught.value) == "python -m example ended with exit code 1: no file at x; give another"
    # What IPython shows instead of a traceback.
    assert caught.value._render_traceback_() == [f"error: {caught.value}"]


def test_the_error_of_a_real_command_is_raised(capsys):
    with refused("failed_step", "rac_unet.train", "exit code 2", "nonsense"):
        notebook.run("rac_unet.train", "--preset", "nonsense")


def test_an_interrupted_cell_interrupts_the_command_once_and_waits_for_it(module, tmp_path):
    """As in Jupyter, where the interrupt is sent to the notebook's process or to its group."""
    module("""
        import signal, sys, time
        count = 0
        def note(*_):
            global count
            count += 1
        signal.signal(signal.SIGINT, note)
        print("ready", flush=True)
        while not count:
            time.sleep(0.01)
        time.sleep(0.3)
        print("saved after", count, flush=True)
    """)
    # A shell that runs the tests in the background makes its children ignore the interrupt; Jupyter does not.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from rac_unet import notebook\n"
    code += "try: notebook.run('example')\nexcept KeyboardInterrupt: print('interrupted')"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    said = [process.stdout.readline(), process.stdout.readline()]
    assert said[1] == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "saved after 1\ninterrupted\n"
