"""Functions for the notebooks of kaggle_kernels, whose cells run the ordinary commands.

Nothing here imports TensorFlow, which would occupy the GPU's memory that the commands need.
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
from rac_unet.notebook.commands import NotebookError, run
from rac_unet.notebook.machine import describe_machine
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
