"""An output folder with a lock, stored settings and a journal, so that an interrupted command can be continued.

Besides its results it contains `prep.json`, the settings; while a command runs also `.lock`, `.unfinished/` for
incomplete files, and `.journal.jsonl`, one line per finished item. A line is written only after the item's
files are in place, and an item without a line is made again: a command can be killed at any moment, and the next
run gives the same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

from rac_unet.core.errors import UserError
from rac_unet.core.files.locking import lock_alone
from rac_unet.core.files.whole import write_file

SETTINGS_FILE = "prep.json"
JOURNAL_FILE = ".journal.jsonl"
LOCK_FILE = ".lock"
UNFINISHED_FOLDER = ".unfinished"


class OutputFolder:
    """An output folder locked by this process; use as a context manager.

    Args:
        path: a new folder, an empty one, or one started earlier with the same settings.
        settings: JSON-serialisable dict of everything that determines the result; stored, and compared on the next run.
        result_file: name of the file that is written last; if it exists without a journal, the folder is finished.
    Raises: UserError when the folder is in use, has other content, or was started with other settings.
    """

    def __init__(self, path: str | os.PathLike, settings: dict, result_file: str):
        self.path = Path(path)
        self._result_file = result_file
        self._settings = settings
        self._lock: int | None = None
        self._journal = None
        self._places: dict[int, int] = {}

    def __enter__(self) -> OutputFolder:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--output {self.path} is a file; give a folder", "wrong_type")
        self._refuse_foreign()
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._compare_settings()
            if not self.finished:
                shutil.rmtree(self.unfinished, ignore_errors=True)
                self.unfinished.mkdir()
                self._open_journal()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception) -> None:
        if self._journal is not None:
            self._journal.close()
        shutil.rmtree(self.unfinished, ignore_errors=True)
        if self._lock is not None:
            with contextlib.suppress(OSError):
                (self.path / LOCK_FILE).unlink()
            os.close(self._lock)
            self._lock = None

    @property
    def finished(self) -> bool:
        """Whether an earlier run has finished everything."""
        return (self.path / self._result_file).exists() and not (self.path / JOURNAL_FILE).exists()

    @property
    def unfinished(self) -> Path:
        """Folder for incomplete files."""
        return self.path / UNFINISHED_FOLDER

    def finished_items(self) -> set[int]:
        """Return the indices of the items whose results are in place."""
        return set(self._places)

    def record(self, index: int, result: dict) -> None:
        """Record the result of one item whose files are in place.

        Args:
            result: JSON-serialisable; its entry "files" maps relative paths to sizes in bytes.
        """
        self._places[index] = self._journal.seek(0, os.SEEK_END)
        self._journal.write(json.dumps({"index": index, **result}, ensure_ascii=True).encode() + b"\n")

    def flush(self) -> None:
        """Flush recorded results to the operating system, so that they are kept if the process is killed."""
        self._journal.flush()

    def result(self, index: int) -> dict:
        """Return the recorded result of one item, read from disk to save memory in large runs."""
        self._journal.seek(self._places[index])
        return json.loads(self._journal.readline())

    def finish(self) -> None:
        """Remove the journal; call it when all results and the result file are in place."""
        self._journal.close()
        self._journal = None
        (self.path / JOURNAL_FILE).unlink()

    def _refuse_foreign(self) -> None:
        if self.path.is_dir() and not (self.path / SETTINGS_FILE).exists():
            foreign = sorted(set(os.listdir(self.path)) - {LOCK_FILE, UNFINISHED_FOLDER})
            # A run killed before its settings were stored leaves only temporary names of the settings file.
            foreign = [name for name in foreign if not name.startswith(f".{SETTINGS_FILE}.")]
            if foreign:
                raise UserError(
                    f"--output {self.path} already contains {foreign[0]!r}, which this command did not make; "
                    "give a new or an empty folder",
                    "exists",
                )

    def _take_lock(self) -> None:
        path = self.path / LOCK_FILE
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                lock_alone(lock)
            except BlockingIOError:
                owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
                os.close(lock)
                raise UserError(
                    f"--output {self.path} is in use by another running process (pid {owner}); "
                    "wait for it to end, stop it, or give another folder",
                    "exists",
                ) from None
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    os.close(lock)
                    raise
                # This file system has no locks: continue without one.
            # The previous owner may have removed the file after it was opened here and before it was locked.
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(lock).st_ino == os.stat(path).st_ino:
                    break
            os.close(lock)
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def _compare_settings(self) -> None:
        path = self.path / SETTINGS_FILE
        if not path.exists():
            text = json.dumps(self._settings, indent=2, ensure_ascii=False) + "\n"
            write_file(path, text.encode())
            return
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(stored, dict):
                raise ValueError
        except ValueError:
            raise UserError(f"{path} cannot be read as settings; give another --output", "unreadable") from None
        differences = [
            f"{name}: {_shown(stored, name)} there, {_shown(self._settings, name)} now"
            for name in dict.fromkeys([*stored, *self._settings])
            if stored.get(name) != self._settings.get(name)
        ]
        if differences:
            raise UserError(
                f"--output {self.path} was made with other settings: {'; '.join(differences)}. Use the same settings "
                "to continue it, or give another folder",
                "changed",
            )

    def _open_journal(self) -> None:
        path = self.path / JOURNAL_FILE
        self._journal = open(path, "a+b")  # noqa: SIM115  closed in __exit__
        self._journal.seek(0)
        good = 0
        for line in self._journal:
            try:
                entry = json.loads(line)
                if not line.endswith(b"\n"):
                    break
            except ValueError:
                break
            if self._files_in_place(entry["files"]):
                self._places[entry["index"]] = good
            good += len(line)
        # Anything after the last complete line was cut off when the run was killed.
        self._journal.truncate(good)

    def _files_in_place(self, files: dict[str, int]) -> bool:
        try:
            return all(os.stat(self.path / name).st_size == size for name, size in files.items())
        except FileNotFoundError:
            return False


def _shown(settings: dict, name: str) -> str:
    return json.dumps(settings[name], ensure_ascii=False) if name in settings else "(absent)"
