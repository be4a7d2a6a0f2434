"""An output folder that one process owns, that remembers its settings, and that a killed run can continue.

Inside, besides what is being made: `prep.json`, the settings; while at work also `.lock`, `.unfinished/` for
files not yet whole, and `.journal.jsonl`, one line per finished item. A line is written only after the item's
files are in place, and an item without a line is made again: whatever moment a run is killed at, the next one
ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import write_file

try:
    import fcntl
except ImportError:  # Windows has no flock; there two runs on one folder are not told apart.
    fcntl = None

SETTINGS_FILE = "prep.json"
JOURNAL_FILE = ".journal.jsonl"
LOCK_FILE = ".lock"
UNFINISHED_FOLDER = ".unfinished"


class OutputFolder:
    """Claim a folder for one run; use as a context manager.

    Args:
        path: a new folder, an empty one, or one begun earlier with the same settings.
        settings: JSON-able dict of everything that decides the result; stored, and compared on the next run.
        result_file: name of the file written last of all; where it stands without a journal, all is done.
    Raises: UserError when the folder is in use, holds something else, or was begun with other settings.
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
            raise UserError(f"--output {self.path} is a file; name a folder", "wrong_type")
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
        """Whether an earlier run made everything that was asked for."""
        return (self.path / self._result_file).exists() and not (self.path / JOURNAL_FILE).exists()

    @property
    def unfinished(self) -> Path:
        """Folder for files not yet whole."""
        return self.path / UNFINISHED_FOLDER

    def finished_items(self) -> set[int]:
        """Indices of the items whose results are in place."""
        return set(self._places)

    def record(self, index: int, result: dict) -> None:
        """Remember the result of one item whose files are in place.

        Args:
            result: JSON-able; its entry "files" says relative path -> size in bytes.
        """
        self._places[index] = self._journal.seek(0, os.SEEK_END)
        self._journal.write(json.dumps({"index": index, **result}, ensure_ascii=True).encode() + b"\n")

    def flush(self) -> None:
        """Hand the recorded results to the operating system, so that a killed process keeps them."""
        self._journal.flush()

    def result(self, index: int) -> dict:
        """The recorded result of one item, read back from disk: a large run keeps nothing in memory."""
        self._journal.seek(self._places[index])
        return json.loads(self._journal.readline())

    def finish(self) -> None:
        """Drop the journal: everything that was asked for is in place, the result file too."""
        self._journal.close()
        self._journal = None
        (self.path / JOURNAL_FILE).unlink()

    def _refuse_foreign(self) -> None:
        if self.path.is_dir() and not (self.path / SETTINGS_FILE).exists():
            strangers = sorted(set(os.listdir(self.path)) - {LOCK_FILE, UNFINISHED_FOLDER})
            # A run killed before its settings were stored leaves only its own temporary names.
            strangers = [name for name in strangers if not name.startswith(f".{SETTINGS_FILE}.")]
            if strangers:
                raise UserError(
                    f"--output {self.path} already holds {strangers[0]!r}, which this command did not make; "
                    "name a new or an empty folder",
                    "exists",
                )

    def _take_lock(self) -> None:
        if fcntl is None:
            return
        path = self.path / LOCK_FILE
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                # The kernel drops this lock when its owner dies, however it dies: no lock is ever stale.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
                os.close(lock)
                raise UserError(
                    f"--output {self.path} is in use by another running process (pid {owner}); "
                    "wait for it to end, stop it, or name another folder",
                    "exists",
                ) from None
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    os.close(lock)
                    raise
                # This file system has no locks: go on without.
            # The owner before us may have removed the file between our opening and our locking it.
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
            raise UserError(f"{path} cannot be read as settings; name another --output", "unreadable") from None
        differences = [
            f"{name}: {_shown(stored, name)} there, {_shown(self._settings, name)} now"
            for name in dict.fromkeys([*stored, *self._settings])
            if stored.get(name) != self._settings.get(name)
        ]
        if differences:
            raise UserError(
                f"--output {self.path} was made with other settings: {'; '.join(differences)}. Use the same settings "
                "to continue it, or name another folder",
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
        # Whatever follows the last whole line was cut off when the run was killed.
        self._journal.truncate(good)

    def _files_in_place(self, files: dict[str, int]) -> bool:
        try:
            return all(os.stat(self.path / name).st_size == size for name, size in files.items())
        except FileNotFoundError:
            return False


def _shown(settings: dict, name: str) -> str:
    return json.dumps(settings[name], ensure_ascii=False) if name in settings else "(absent)"
