"""Free memory: the machine's, or less where a control group of version 1 or 2 has a limit."""

import pytest

from rac_unet.data.memory import ASSUMED_FREE, free_memory

GB = 1 << 30


@pytest.fixture
def machine(tmp_path):
    """A function that writes the files of a machine with 8 GB free, and others given by path and content."""

    def make(**files):
        files = {"proc/meminfo": f"MemTotal: 16 kB\nMemAvailable: {8 * GB // 1024} kB\n", **files}
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(str(text))
        return tmp_path

    return make


def _v2(folder, limit, usage, inactive=0):
    folder = f"sys/fs/cgroup{folder}"
    stat = f"anon 5\ninactive_file {inactive}\n"
    return {f"{folder}/memory.max": limit, f"{folder}/memory.current": usage, f"{folder}/memory.stat": stat}


def _v1(folder, limit, usage, inactive=0):
    folder = f"sys/fs/cgroup/memory{folder}"
    return {
        f"{folder}/memory.limit_in_bytes": limit,
        f"{folder}/memory.usage_in_bytes": usage,
        f"{folder}/memory.stat": f"inactive_file 0\ntotal_inactive_file {inactive}\n",
    }


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8 * GB),
        # A container with its own namespace has its group as the root.
        ({"proc/self/cgroup": "0::/\n", **_v2("", 2 * GB, GB)}, GB),
        # Cached files count as used but can be freed.
        ({"proc/self/cgroup": "0::/\n", **_v2("", 2 * GB, 2 * GB, GB)}, GB),
        ({"proc/self/cgroup": "0::/\n", **_v2("", "max", GB)}, 8 * GB),
        # The limit may be that of a group further up.
        ({"proc/self/cgroup": "0::/job/step\n", **_v2("/job", 3 * GB, GB), **_v2("/job/step", "max", GB)}, 2 * GB),
        ({"proc/self/cgroup": "5:cpu:/\n4:memory:/a/b\n0::/\n", **_v1("/a/b", 3 * GB, 2 * GB, GB)}, 2 * GB),
        # Mounted as the root, while the process's cgroup file has the path of the host.
        ({"proc/self/cgroup": "4:cpu,memory:/docker/0a\n", **_v1("", 3 * GB, 2 * GB)}, GB),
        ({"proc/self/cgroup": "4:memory:/\n", **_v1("", 2**63 - 4096, GB)}, 8 * GB),
        ({"proc/self/cgroup": "0::/../x\n", **_v2("", GB, 2 * GB)}, 0),
    ],
)
def test_the_smallest_of_all_limits(machine, files, free):
    assert free_memory(machine(**files)) == free


def test_a_system_without_these_files(tmp_path):
    assert free_memory(tmp_path) == ASSUMED_FREE
