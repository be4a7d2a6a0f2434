"""Where pictures are read from and kept: shards opened once, caches found, held and removed."""

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rac_unet.cache import main as command
from rac_unet.core.config import RunConfig
from rac_unet.data import caches, pairs, pictures
from rac_unet.data.pictures import Pictures
from rac_unet.data.record_places import Records
from rac_unet.pairing import opening
from rac_unet.pairing import toy_pairs as toy_pairs_module
from tests.refusals import refused


def test_threads_that_read_one_shard_open_it_once(tmp_path, monkeypatch):
    shard = tmp_path / "pairs.tfrecord"
    shard.write_bytes(b"0123456789")
    zero, two = np.zeros(1, np.int64), np.full(1, 2)
    reader = pictures._RecordFiles(SimpleNamespace(records=Records((str(shard),), two, zero, two, two)))
    opened, really_open = [], os.open

    def slow_open(*args):
        opened.append(args[0])
        time.sleep(0.02)
        return really_open(*args)

    monkeypatch.setattr(os, "open", slow_open)
    contents, together = [], threading.Barrier(4)

    def read():
        together.wait()
        contents.append(reader._content(0))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents == [b"23"] * 4 and opened == [str(shard)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of this test's own."""
    monkeypatch.setenv("RAC_UNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def few(toy_pairs):
    return pairs.read(toy_pairs).take(np.arange(3))


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_decoded_pictures_in_use_stay_and_others_make_room(few, cache, monkeypatch):
    first = Path(Pictures(few, 64, "disk")._folder)
    assert not caches.remove(caches.find_caches()[0]) and _names(first.parent) == [first.name]
    caches.release(first)
    second = Path(Pictures(few.take([0, 1]), 64, "disk")._folder)
    # Room for another is there only once the first, which no process uses any more, has gone.
    monkeypatch.setattr(caches.shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if first.exists() else 1 << 40))
    third = Path(Pictures(few, 32, "disk")._folder)
    assert _names(first.parent) == sorted([second.name, third.name])
    monkeypatch.setattr(caches.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with refused("unwritable", third.parent, "RAC_UNET_CACHE"):
        Pictures(few.take([0]), 64, "disk")
    assert _names(first.parent) == sorted([second.name, third.name])


def test_what_is_old_or_was_left_over_goes(few, cache):
    old, used = (caches.pictures_folder(name) for name in ("0a", "0b"))
    left_over, toys = caches.pictures_folder("0c.4711.tmp"), caches.toy_folder("natural", 64, 70, "0d")
    for folder in (old, used, left_over, toys):
        folder.mkdir(parents=True)
    (old.parent / "notes").touch()
    assert caches.hold(used)
    for folder in (old, used, toys):
        os.utime(folder, (0, 0))
    assert caches.make_room(0) > 0
    assert _names(old.parent) == ["0b", "notes"] and toys.exists()
    assert not caches.hold(old)


def test_the_command_lists_sizes_and_clears(few, cache, capsys):
    kept = Path(Pictures(few, 64, "disk")._folder)
    toys = caches.toy_folder("natural", 64, 70, "0d")
    toys.mkdir()
    (toys / "x.png").write_bytes(b"x" * 2_500_000)
    assert command([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("2.5 MB" in line and "toys" in line and str(toys) in line and "older" in line for line in lines)
    assert any("0.1 MB" in line and "pictures" in line and str(kept) in line for line in lines)
    assert "2.6 MB" in lines[-1] and str(cache) in lines[-1]
    assert command(["--clear"]) == 1
    assert not toys.exists() and kept.exists() and str(kept) in capsys.readouterr().out
    caches.release(kept)
    assert command(["--clear", "toys"]) == 0 and kept.exists()
    assert command(["--clear", "pictures"]) == 0 and not kept.exists()
    with refused("usage", "--clear", "photos"):
        command(["--clear", "photos"])


def test_toys_drawn_by_other_code_are_not_taken_for_those_asked_for(cache, monkeypatch):
    drawn = []

    def draw(folder, count, size, mode, workers):
        drawn.append(folder)
        folder.mkdir(parents=True)
        (folder / "pairs.csv").touch()

    monkeypatch.setattr(toy_pairs_module, "write_toy_pairs", draw)
    monkeypatch.setattr(opening.pairs, "read", lambda folder: folder)
    first = opening.open_pairs(RunConfig())
    assert opening.open_pairs(RunConfig()) == first and drawn == [first]
    # One line of a file that draws is changed.
    changed = cache / "light.py"
    changed.write_text("LIGHT = 2")
    files = [changed if file.name == changed.name else file for file in toy_pairs_module.drawing_sources()]
    assert changed in files
    monkeypatch.setattr(toy_pairs_module, "drawing_sources", lambda: files)
    assert opening.open_pairs(RunConfig()) != first and len(drawn) == 2
