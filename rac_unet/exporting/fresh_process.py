"""Run Python lines in a new process that cannot import this package, to check an export."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError

CHECK_SECONDS = 600

_FRESH_PROCESS = """
import sys
sys.modules["rac_unet"] = None  # importing it fails from here on, wherever it is installed
import ast
import numpy as np
lines, given, made = sys.argv[1:]
batches, results = {}, {}
with np.load(given, allow_pickle=False) as file:
    for key in file.files:
        i, name = key.split("/", 1)
        batches.setdefault(i, {})[name] = file[key]
inputs = set(next(iter(batches.values())))
body = ast.parse(lines).body
uses_input = [any(isinstance(node, ast.Name) and node.id in inputs for node in ast.walk(line)) for line in body]
first = uses_input.index(True) if True in uses_input else len(body)
once, each = (compile(ast.Module(part, []), "<loading lines>", "exec") for part in (body[:first], body[first:]))
names = {}
exec(once, names)
for i, batch in batches.items():
    names.update(batch)
    exec(each, names)
    results.update({f"{i}/{name}": np.asarray(value) for name, value in names["outputs"].items()})
np.savez(made, **results)
"""


def run_fresh(lines: list[str], batches: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Run loading lines on each batch in a new Python process that cannot import `rac_unet`.

    Args:
        lines: Python code that reads the inputs as variables and sets `outputs`, a dict of tensors. The lines before
            the first that uses an input load the network and are run once.
    Returns: per batch, output name -> array.
    Raises: UserError with the reason when the process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.npz"), Path(folder, "made.npz")
        np.savez(given, **{f"{i}/{name}": value for i, batch in enumerate(batches) for name, value in batch.items()})
        # No accelerator: this process may hold all its memory, and its reduced precision would disturb the comparison.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        # -P: import nothing from the working directory.
        command = [sys.executable, "-P", "-c", _FRESH_PROCESS, "\n".join(lines), str(given), str(made)]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=CHECK_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"a fresh process did not finish within {CHECK_SECONDS} seconds", "failed_check") from None
        if done.returncode < 0:
            raise UserError(
                f"a fresh process was killed by signal {-done.returncode}; is there enough memory?", "failed_check"
            )
        if done.returncode:
            raise UserError(f"a fresh process could not load or run it: {_reason(done.stderr)}", "failed_check")
        with np.load(made, allow_pickle=False) as file:
            results: list[dict[str, np.ndarray]] = [{} for _ in batches]
            for key in file.files:
                i, name = key.split("/", 1)
                results[int(i)][name] = file[key]
    return results


def _reason(stderr: str) -> str:
    """Return the line of a traceback that names the error; the last line if there is no traceback."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    if not lines:
        return "it printed no error"
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback")]
    named = [line for line in lines[starts[-1] + 1 :] if not line[0].isspace()] if starts else lines[-1:]
    return (named or lines[-1:])[0][:300]
