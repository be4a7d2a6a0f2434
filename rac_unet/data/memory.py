"""Free memory available to this process: the machine's, or less where a container or job has a limit."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

# Assumed where the system does not report it.
ASSUMED_FREE = 4 << 30
# (folder below /sys/fs/cgroup, limit, usage, entry of memory.stat that can be freed immediately) of cgroup v2, mounted
# alone or together with v1, and of v1.
_VERSIONS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("unified", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory(root: Path = Path("/")) -> int:
    """Return the bytes that can be allocated without swapping or being killed; 4 GiB where the system reports none.

    Args:
        root: the folder of proc/ and sys/.
    """
    found = [*_free_of_machine(root / "proc/meminfo"), *_free_of_cgroups(root)]
    return max(0, min(found, default=ASSUMED_FREE))


def _free_of_machine(meminfo: Path) -> list[int]:
    lines = (line.split() for line in _text(meminfo).splitlines())
    return [int(words[1]) * 1024 for words in lines if words[:1] == ["MemAvailable:"]]


def _free_of_cgroups(root: Path) -> list[int]:
    """Return the free bytes below each limit of this process's control groups and of their parents."""
    own = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        # Version 2 names no controllers.
        if not controllers or "memory" in controllers.split(","):
            own["memory" if controllers else ""] = PurePosixPath(path.lstrip("/"))
    free = []
    for mount, *files in _VERSIONS:
        path = own.get("memory" if mount == "memory" else "")
        if path is None or ".." in path.parts:
            path = PurePosixPath(".")
        # In a container the group may be mounted as the root; then only that folder exists.
        for group in (path, *path.parents):
            free += _free_of_group(root / "sys/fs/cgroup" / mount / group, *files)
    return free


def _free_of_group(folder: Path, limit: str, usage: str, dropped: str) -> list[int]:
    most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
    if not (most.isdigit() and used.isdigit()):
        # No such group, or "max": no limit.
        return []
    stat = dict(line.split(maxsplit=1) for line in _text(folder / "memory.stat").splitlines() if " " in line)
    return [int(most) - int(used) + int(stat.get(dropped, 0))]


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
