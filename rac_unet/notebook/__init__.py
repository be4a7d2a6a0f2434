"""What the notebooks of kaggle_kernels share; a notebook's cells call the same commands as everybody.

Nothing here imports TensorFlow: a notebook that did would hold the GPU's memory, which its commands need.
"""

from rac_unet.notebook.attached import (
    find_pairs,
    find_previous,
    find_run,
    find_runs,
    find_source,
    guided_options,
    plain_names,
    take_over,
)
from rac_unet.notebook.machine import describe_machine
from rac_unet.notebook.running import NotebookError, run
from rac_unet.notebook.showing import show_curve, show_pairs, show_pictures

__all__ = [
    "NotebookError",
    "describe_machine",
    "find_pairs",
    "find_previous",
    "find_run",
    "find_runs",
    "find_source",
    "guided_options",
    "plain_names",
    "run",
    "show_curve",
    "show_pairs",
    "show_pictures",
    "take_over",
]
