"""Commands and networks work with closed standard streams."""

import subprocess
import sys

import pytest

from rac_unet.runtime.published import PUBLISHED_NETWORK

# The start of a command, without importing TensorFlow; a file is opened while the streams are closed.
_COMMAND = """
import os, sys
from rac_unet.core.errors import UserError, run_command

def main():
    with open(sys.argv[1], "w") as file:
        os.write(2, b"a library's note")
        print("said")
        print("said", file=sys.stderr)
        sys.stdin.read()
        file.write("kept")
    raise UserError("bad", "bad_value")

for descriptor in (0, 1, 2):
    os.close(descriptor)
sys.stdin = sys.stdout = sys.stderr = None
run_command(main)
"""
_LIBRARY = f"""
import os
from rac_unet.runtime.runners import load_runner

os.close(2)
runner = load_runner({str(PUBLISHED_NETWORK)!r}, 1)
try:
    os.fstat(2)
except OSError:
    print(runner.image_size)
"""


def test_a_command_with_all_streams_closed_ends_normally_and_its_files_stay_clean(tmp_path):
    written = tmp_path / "out.txt"
    done = subprocess.run([sys.executable, "-c", _COMMAND, str(written)], timeout=60)
    assert done.returncode == 2 and written.read_text() == "kept"


@pytest.mark.skipif(sys.platform == "win32", reason="closes a POSIX descriptor")
def test_a_model_file_opens_with_standard_error_closed(tmp_path):
    done = subprocess.run([sys.executable, "-c", _LIBRARY], stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.stdout.split() == ["128"]
