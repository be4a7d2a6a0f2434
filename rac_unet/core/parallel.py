"""Run work in several processes that use little memory, end with their parent, and never block it.

A plain `multiprocessing.Pool` never returns when a worker is killed (out of memory), shows a traceback per
worker on Ctrl-C, and leaves orphans when the parent dies. Workers here are spawned, so they inherit neither
TensorFlow nor locks, and each gets `work` once: a small picklable callable that loads what it needs on its
first call.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess

from rac_unet.core.errors import UserError

# Items sent to a worker at a time: enough to hide the cost of sending, few enough to stop within a second.
CHUNK = 8

_work: Callable | None = None


def run_parallel(
    work: Callable, items: Sequence, indices: Sequence[int], workers: int
) -> Iterator[list[tuple[int, object]]]:
    """Yield lists of `(index, work(items[index]))` as they are finished, in no fixed order.

    With `workers` = 1 the work is done in this process. After an error or Ctrl-C no new items are started, and
    the error is raised once the workers have ended.

    Args:
        work: picklable callable of one item; called in the workers.
        indices: the items to process.
    Raises: what `work` raised; UserError when a worker died: killed, crashed, or ended before its first task, for
        example because the calling script lacks `if __name__ == "__main__":`.
    """
    chunks = [list(indices[start : start + CHUNK]) for start in range(0, len(indices), CHUNK)]
    workers = min(workers, len(chunks))
    if workers <= 1:
        for chunk in chunks:
            yield [(index, work(items[index])) for index in chunk]
        return
    context = _RememberingContext()
    at_work = context.Event()
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(work, at_work))
    waiting: set = set()
    try:
        queue = iter(chunks)
        with _interrupt_ignored():
            # One task per worker starts all workers, which inherit "ignore Ctrl-C"; more tasks keep them busy.
            _submit(executor, queue, items, waiting, 3 * workers)
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            _submit(executor, queue, items, waiting, 3 * workers)
            for future in finished:
                yield future.result()
    except BrokenProcessPool:
        # This ends the other workers with SIGTERM; then all exit codes are known.
        executor.shutdown(wait=True, cancel_futures=True)
        codes = [process.exitcode for process in context.processes]
        raise _lost_worker(
            next((code for code in codes if code not in (None, 0, -signal.SIGTERM)), None), at_work.is_set()
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _RememberingContext(SpawnContext):
    """A spawn context that keeps its processes, since a broken pool drops the process that died."""

    def __init__(self):
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *args, **options):  # noqa: N802  the name that pools look for
        self.processes.append(SpawnProcess(*args, **options))
        return self.processes[-1]


def _lost_worker(code: int | None, began: bool) -> UserError:
    """Return the error for a broken pool.

    Args:
        code: exit code of the process that died, negative for a signal; None if unknown.
        began: whether any worker reached its first task.
    """
    if code is not None and code > 0 and not began:
        return UserError(
            f"worker processes ended with exit code {code} before their first task; their message is above. They "
            'import the calling script again: put its code under `if __name__ == "__main__":`, or use one worker',
            "usage",
        )
    kept = "finished work is kept"
    if code in (None, -signal.SIGKILL):
        how = "died" if code is None else "was killed (SIGKILL)"
        return UserError(
            f"a worker process {how}, most likely for lack of memory; try again with fewer --workers: {kept}", "device"
        )
    how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    return UserError(f"a worker process ended with {how}; use --workers 1 to see its messages; {kept}", "device")


def _submit(executor, queue: Iterator[list[int]], items: Sequence, waiting: set, limit: int) -> None:
    while len(waiting) < limit and (chunk := next(queue, None)) is not None:
        waiting.add(executor.submit(_run_chunk, [(index, items[index]) for index in chunk]))


def _run_chunk(chunk: list[tuple[int, object]]) -> list[tuple[int, object]]:
    return [(index, _work(item)) for index, item in chunk]


def _start_worker(work: Callable, at_work) -> None:
    import cv2

    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The workers use all cores already; OpenCV's threads would compete with them.
    cv2.setNumThreads(1)
    # libpng and libjpeg print every damaged photo to stderr; skipped.csv has the reason.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    at_work.set()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _interrupt_ignored() -> Iterator[None]:
    """Ignore Ctrl-C within the block, also in processes that are started in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
