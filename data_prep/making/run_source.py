"""Common part of all commands that prepare photographs: report the source, make the pairs, report the result."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from data_prep.sources.source import Source
from rac_unet.core.errors import UserError
from rac_unet.data.pairs import hash_share
from rac_unet.pairing.closing_report import closing_report
from rac_unet.pairing.mask_policy import MaskPolicy
from rac_unet.pairing.preparing import prepare

# Raised when the same settings give other pairs than before.
FORMAT = 2


def source_folder(option: str, path: str) -> Path:
    """Return the path of a source folder; raises UserError when it is missing, not a folder, or empty."""
    folder = Path(path)
    if not folder.is_dir():
        there = folder.exists()
        raise UserError(
            f"{option} {folder} {'is not a folder' if there else 'not found'}", "wrong_type" if there else "missing"
        )
    if not any(folder.iterdir()):
        raise UserError(f"{option} {folder} is an empty folder", "empty")
    return folder


def run_source(
    options: argparse.Namespace,
    made_by: str,
    source: Source,
    maker: Callable,
    policy: MaskPolicy | None,
    name: str,
    **settings,
) -> int:
    """Prepare the photos of a source to `options.output` with the common options.

    Args:
        made_by: the command's name.
        maker: see `rac_unet.pairing.preparing.prepare`.
        name: value of the column source.
        settings: other settings that determine the result.
    Raises: UserError as `prepare` does, and when no photo can be used, with the reasons.
    """
    source.account()
    low, high = options.hash_range
    if (low, high) != (0, 1):
        # After splits are assigned, which must not depend on the range.
        total = len(source.photos)
        source.photos = [photo for photo in source.photos if low <= hash_share(f"part:{photo.key}") < high]
        source.remarks.append(f"--hash_range {low:g},{high:g} keeps {len(source.photos):,} of {total:,} photos")
        settings["hash_range"] = [low, high]
        if total and not source.photos:
            raise UserError(f"--hash_range {low:g},{high:g} keeps none of {total:,} photos; make it wider", "empty")
    print(f"found {source.layout}: {len(source.photos):,} photos to prepare", flush=True)
    for remark in source.remarks:
        # A file name may contain bytes that are not text; these are escaped.
        print(f"note: {remark.encode(errors='backslashreplace').decode()}", flush=True)
    if not source.photos:
        reasons = Counter(reason for _, reason in source.rejected).most_common(5)
        why = "; ".join(f"{count:,} x {reason}" for reason, count in reasons) or "there was none"
        raise UserError(f"no photo can be used: {why}", "empty")
    settings = {
        "made_by": made_by,
        "format": FORMAT,
        "source": name,
        "source_sha256": source.fingerprint(),
        "size": options.size,
        "seed": options.seed,
        **(policy.as_settings() if policy else {}),
        **settings,
    }
    summary = prepare(options.output, source.photos, maker, settings, options.workers, rejected=source.rejected)
    print(closing_report(summary))
    return 0
