"""Renew the vendored LiteRT.js files from its npm package: `python -m rac_unet.page.refresh_runtime PACKAGE.tgz`.

    npm pack @litertjs/core@2.5.3
    python -m rac_unet.page.refresh_runtime litertjs-core-2.5.3.tgz --output rac_unet/page/vendor

The scripts are copied as they are. The WebAssembly file is compressed, and the build for browsers without relaxed SIMD
is stored as a patch of it. `files.json` then has the package's version and the SHA-256 of every file, packed and
unpacked, which the tests check. After a new version: compare its licence, and run the tests of the page.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import tarfile
from pathlib import Path

from rac_unet.page.patching import apply_patch, make_patch

SCRIPTS = ("litert_wasm_internal.js", "litert_wasm_compat_internal.js")
FAST, COMPATIBLE = "litert_wasm_internal.wasm", "litert_wasm_compat_internal.wasm"
PACKED_FAST, PACKED_COMPATIBLE = f"{FAST}.gz", "litert_wasm_compat_internal.patch.gz"


def main(argv: list[str] | None = None) -> int:
    """Unpack the files that the page needs, and write them with their hashes."""
    parser = argparse.ArgumentParser(prog="python -m rac_unet.page.refresh_runtime", description=main.__doc__)
    parser.add_argument("package", type=Path, help="file of `npm pack @litertjs/core@VERSION`")
    parser.add_argument("--output", type=Path, required=True, help="folder of the vendored files")
    args = parser.parse_args(argv)
    with tarfile.open(args.package) as archive:
        package = json.load(archive.extractfile("package/package.json"))
        found = {name: archive.extractfile(f"package/wasm/{name}").read() for name in (*SCRIPTS, FAST, COMPATIBLE)}
    patch = make_patch(found[FAST], found[COMPATIBLE])
    if apply_patch(found[FAST], patch) != found[COMPATIBLE]:
        raise SystemExit("the patch does not give the compatible build")
    files = {name: found[name] for name in SCRIPTS}
    # Without a time, so that the same package gives the same bytes.
    files |= {PACKED_FAST: gzip.compress(found[FAST], 9, mtime=0), PACKED_COMPATIBLE: gzip.compress(patch, 9, mtime=0)}
    for name, content in files.items():
        (args.output / name).write_bytes(content)
    facts = {
        "package": f"{package['name']} {package['version']}",
        "licence": package["license"],
        "package_sha256": _digest(args.package.read_bytes()),
        "files": {name: _digest(content) for name, content in files.items()},
        "unpacked": {name: _digest(found[name]) for name in (FAST, COMPATIBLE)},
    }
    (args.output / "files.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"wrote    {args.output}: {facts['package']}, {sum(map(len, files.values())):,} bytes")
    return 0


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
