"""Where pictures are read from and kept: shards opened once, caches found, held and removed."""

import os
import threading
import time
from types import SimpleNamespace

import numpy as np

from rac_unet.data import pictures
from rac_unet.data.records import Records


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
