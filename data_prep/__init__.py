"""Commands that turn a source of faces into a data set of pairs on disk.

From a command to a pair, for example of `rafdb.py`: `sources/rafdb_layouts.py` lists the photos as a `Source`,
`making/run_source.py` prepares them in parallel, `sources/loading.py` loads each photo, and `making/photo_maker.py`
crops the face and paints masks on it.
"""
