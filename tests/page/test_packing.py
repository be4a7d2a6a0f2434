"""The page's files: complete, small, unchanged from their source, and made the same each time."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import rac_unet.page
from rac_unet.page.bundling import bundle
from rac_unet.page.dense_text import dense_text
from rac_unet.page.packing import page_files, single_page
from rac_unet.page.patching import apply_patch, make_patch
from rac_unet.page.refresh_runtime import COMPATIBLE, FAST, PACKED_COMPATIBLE, PACKED_FAST, SCRIPTS
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_READER
from rac_unet.unmasking import mask_evidence

PAGE = Path(rac_unet.page.__file__).parent
VENDOR, STATIC = PAGE / "vendor", PAGE / "static"


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def files():
    return page_files(PUBLISHED_NETWORK, PUBLISHED_READER)


def test_vendored_files_are_those_of_the_pinned_package():
    facts = json.loads((VENDOR / "files.json").read_text(encoding="utf-8"))
    assert facts["licence"] == "Apache-2.0" and facts["package"] in (VENDOR / "NOTICE").read_text(encoding="utf-8")
    assert set(facts["files"]) == {*SCRIPTS, PACKED_FAST, PACKED_COMPATIBLE}
    for name, expected in facts["files"].items():
        assert digest((VENDOR / name).read_bytes()) == expected
    fast = gzip.decompress((VENDOR / PACKED_FAST).read_bytes())
    compatible = apply_patch(fast, gzip.decompress((VENDOR / PACKED_COMPATIBLE).read_bytes()))
    assert {FAST: digest(fast), COMPATIBLE: digest(compatible)} == facts["unpacked"]
    assert "Apache License" in (VENDOR / "LICENSE").read_text(encoding="utf-8")


def test_page_is_small_enough(files):
    assert sum(map(len, files.values())) <= 8e6
    assert len(single_page(PUBLISHED_NETWORK, PUBLISHED_READER)) <= 10e6


def test_page_adds_at_most_four_megabytes_to_the_wheel():
    packed = [gzip.compress(path.read_bytes()) for path in PAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(map(len, packed)) <= 4e6


def test_same_files_each_time(files):
    from rac_unet.page.packing import _packed

    _packed.cache_clear()
    assert page_files(PUBLISHED_NETWORK, PUBLISHED_READER) == files


def test_page_names_no_other_place(files):
    own = b"".join(files[name] for name in ("index.html", "style.css", "page.js"))
    assert re.findall(rb"https?://[^\s\"'<)]+", own) == []


def test_every_text_is_used_and_every_used_text_exists():
    texts = json.loads((STATIC / "text.json").read_text(encoding="utf-8"))
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
    in_html = set(re.findall(r"\{\{text (\w+)\}\}", html))
    in_scripts = {key for key in texts if re.search(rf'"{key}"', scripts)}
    assert in_html <= set(texts) and set(re.findall(r'\b(?:text|Refusal)\("(\w+)"', scripts)) <= set(texts)
    assert set(texts) - in_html - in_scripts == set()


def test_patch_restores_a_file():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, 20_000, np.uint8)
    target = np.concatenate([base[:7000], rng.integers(0, 256, 333, np.uint8), base[9000:], base[100:400]])
    target[2000:9000:500] += 1
    patch = make_patch(base.tobytes(), target.tobytes())
    assert apply_patch(base.tobytes(), patch) == target.tobytes()
    assert len(gzip.compress(patch)) < len(target) / 4
    assert apply_patch(b"", make_patch(b"", b"abc")) == b"abc"


@pytest.mark.parametrize("size", [0, 1, 12, 13, 14, 1000])
def test_dense_text_is_printable_and_holds_13_bits_in_two_characters(size):
    content = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    count, _, written = dense_text(content).partition(" ")
    assert int(count) == size and len(written) == 2 * -(-8 * size // 13) and not set(written) & set("<>& ")


def test_bundle_puts_imported_modules_first(tmp_path):
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n\nexport const a = b;\n')
    (tmp_path / "b.js").write_text("export const b = 1;\n")
    script = bundle(tmp_path, "a.js")
    assert (
        script.index("const b = 1") < script.index("const a = b") and "import" not in script and "export" not in script
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("export const b = 1;\n", "both declare b"),
        ('import { a } from "./a.js";\nexport const c = a;\n', "import each other"),
        ('export * from "./d.js";\n', "unsupported"),
    ],
)
def test_bundle_refuses_what_it_cannot_join(tmp_path, text, reason):
    (tmp_path / "a.js").write_text('import { c } from "./c.js";\nconst b = c;\nexport const a = b;\n')
    (tmp_path / "c.js").write_text(text)
    with pytest.raises(ValueError, match=reason):
        bundle(tmp_path, "a.js")


def test_thresholds_of_the_page_are_pythons():
    script = (STATIC / "evidence.js").read_text(encoding="utf-8")
    values = re.findall(r"^const (\w+) = ([\d./ ]+);$", script, re.M)
    assert len(values) == 10
    for name, text in values:
        number, _, divisor = text.partition("/")
        own = getattr(mask_evidence, f"_{name}")
        assert float(number) / float(divisor or 1) == own, name
