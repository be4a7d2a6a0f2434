"""Parallel work: errors of the work, workers that die, and scripts without a main guard."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rac_unet.core.parallel import _lost_worker, run_parallel
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bad_work(tmp_path_factory):
    """A module of work that fails, where workers find it."""
    folder = tmp_path_factory.mktemp("bad_work")
    (folder / "bad_work.py").write_text(
        "import errno, os, signal\n"
        "def full(item):\n    raise OSError(errno.ENOSPC, 'full', 'x.png')\n"
        "def is_killed(item):\n    os.kill(os.getpid(), signal.SIGKILL) if item == 20 else None\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import bad_work

        yield bad_work


def test_errors_of_the_work_reach_the_caller(bad_work):
    with pytest.raises(OSError, match="full") as error:
        list(run_parallel(bad_work.full, range(40), range(40), 2))
    assert error.value.errno == errno.ENOSPC


def test_a_worker_that_was_killed(bad_work):
    with refused("device", "SIGKILL", "memory", "--workers"):
        list(run_parallel(bad_work.is_killed, range(40), range(40), 2))


@pytest.mark.parametrize(("code", "named"), [(-signal.SIGSEGV, "SIGSEGV"), (3, "exit code 3")])
def test_a_crashed_worker_is_not_reported_as_lack_of_memory(code, named):
    error = _lost_worker(code, began=True)
    assert error.kind == "device" and named in str(error) and "memory" not in str(error)


def test_a_missing_main_guard_is_reported_as_the_cause(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from rac_unet.core.parallel import _lost_worker, run_parallel\n"
        "from rac_unet.core.errors import UserError\n"
        "try:\n    list(run_parallel(abs, range(40), range(40), 2))\n"
        "except UserError as error:\n    print(error.kind, error)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "usage" in done.stdout and "__main__" in done.stdout and "memory" not in done.stdout, done.stdout
