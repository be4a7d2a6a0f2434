"""List or clear the cache folder: `python -m rac_unet.cache [--clear]`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rac_unet.core.errors import CommandParser, UserError, run_command

if TYPE_CHECKING:
    from rac_unet.data.caches import Cache

CLEARABLE = ("toys", "pictures", "all")


def main(argv: list[str] | None = None) -> int:
    """List every cache with its size, or remove the selected ones; return exit code 1 if some are in use."""
    args = _parser().parse_args(argv)
    from rac_unet.data.caches import TOYS, cache_folder, find_caches
    from rac_unet.pairing.toy_pairs import drawing_version

    caches = find_caches()
    if args.clear:
        return _clear([cache for cache in caches if args.clear == "all" or cache.kind == args.clear])
    total, version = 0, drawing_version()
    for cache in caches:
        size = cache.size()
        total += size
        older = "  (an older drawing, not used any more)" * (
            cache.kind == TOYS and not cache.path.name.endswith(version)
        )
        print(f"{_megabytes(size)}  {cache.kind:<9}  used {_day(cache.used)}  {cache.path}{older}")
    print(f"{_megabytes(total)}  in total   in {cache_folder()}; --clear removes it, it is made again when needed")
    return 0


def _clear(caches: list[Cache]) -> int:
    from rac_unet.data.caches import cache_folder, remove

    freed, kept = 0, 0
    for cache in caches:
        size = cache.size()
        try:
            removed = remove(cache)
        except OSError as error:
            raise UserError(f"{cache.path} cannot be removed: {error.strerror}", "unwritable") from error
        if removed:
            freed += size
            print(f"removed  {cache.path} ({_megabytes(size).strip()})")
        else:
            kept += 1
            print(f"kept     {cache.path}: a running process uses it, or the disk does not support file locks")
    print(f"freed    {_megabytes(freed).strip()} in {cache_folder()}")
    return 1 if kept else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10,.1f} MB"


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.cache",
        description="List the caches, which save time and are made again when needed: toy faces (the default data set) "
        "and decoded pictures (--data.cache disk), in ~/.cache/rac_unet or the folder RAC_UNET_CACHE. Decoded pictures "
        "are removed automatically when they were not used for 30 days or others need the space. Weights that Keras "
        "downloads are in Keras's own folder.",
        epilog="example: python -m rac_unet.cache --clear pictures",
    )
    parser.add_argument(
        "--clear",
        nargs="?",
        const="all",
        choices=CLEARABLE,
        metavar="KIND",
        help="remove toys, pictures or all (default: all), except caches that a running process uses",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
