"""Selection of the pairs that are scored, by their ground truth and hidden pixels."""

from dataclasses import replace

import cv2
import numpy as np

from rac_unet.data import pairs
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.selection import has_mask, masked_pairs, select_pairs
from rac_unet.scoring.unscored import claims_on_bare_faces, describe_bare_faces
from tests.refusals import refused


def mixed_set(toy_pairs, tmp_path):
    """Return the toy test split with, in turn, a drawn mask, no mask, a real mask, and one hidden pixel."""
    found = pairs.read(toy_pairs).split("test")
    cv2.imwrite(str(tmp_path / "nothing.png"), np.zeros((64, 64), np.uint8))
    one = np.zeros((64, 64), np.uint8)
    one[40, 30] = 1
    cv2.imwrite(str(tmp_path / "one.png"), one)
    (tmp_path / "pairs").symlink_to(toy_pairs)
    rows = []
    for number, pair in enumerate(found):
        row = replace(pair, **{column: f"pairs/{getattr(pair, column)}" for column in pairs.IMAGE_COLUMNS})
        if number % 4 == 1:
            # Its mask style still names a mask.
            row = replace(row, masked=row.unmasked, occlusion="nothing.png")
        elif number % 4 == 2:
            row = replace(row, unmasked="", occlusion="", mask_style=pairs.REAL_MASK)
        elif number % 4 == 3:
            row = replace(row, occlusion="one.png", mask_style="none")
        rows.append(row)
    pairs.write(tmp_path, rows)
    return pairs.read(tmp_path)


def test_hidden_pixels_and_not_the_mask_style_decide(toy_pairs, tmp_path):
    found = mixed_set(toy_pairs, tmp_path)
    expected = [number % 4 != 1 for number in range(len(found))]
    assert has_mask(found).tolist() == expected
    assert masked_pairs(found).keys.tolist() == found.keys[expected].tolist()
    selection = select_pairs(found, "test")
    assert selection.pairs is found
    assert selection.scored.keys.tolist() == [key for n, key in enumerate(found.keys) if n % 4 in (0, 3)]
    assert selection.bare.keys.tolist() == found.keys[1::4].tolist()
    assert selection.real_masks.keys.tolist() == found.keys[2::4].tolist()
    toys = select_pairs(pairs.read(toy_pairs), "test")
    assert not len(toys.bare) and not len(toys.real_masks)


def test_a_split_with_nothing_to_score_is_refused(toy_pairs, tmp_path):
    found = mixed_set(toy_pairs, tmp_path)
    with refused("empty", tmp_path, "real masks"):
        select_pairs(found.take(np.arange(2, len(found), 4)), "test")
    with refused("empty", tmp_path, "'test'", "--split"):
        select_pairs(found.take(np.arange(1, len(found), 4)), "test")


def test_map_claims_on_faces_without_a_mask_are_a_metric_of_their_own(toy_pairs, tmp_path):
    bare = select_pairs(mixed_set(toy_pairs, tmp_path), "test").bare

    def claim_a_quarter(inputs):
        image = inputs["masked_image"]
        found = np.zeros((*image.shape[:3], 1), np.float32)
        found[:, :32, :32] = 1
        return {"inpainted_image": image, "occlusion": found}

    plain = Runner("plain", "run", 64, False, lambda inputs: {"inpainted_image": inputs["masked_image"]})
    aware = Runner("aware", "run", 64, False, claim_a_quarter, outputs=("inpainted_image", "occlusion"))
    assert claims_on_bare_faces(plain, bare, 2) == {"n": len(bare)}
    claims = claims_on_bare_faces(aware, bare, 2)
    assert claims["n"] == claims["map_claims"]["n"] == len(bare) and claims["map_claims"]["mean"] == 0.25
    line = describe_bare_faces(claims)
    assert f"{len(bare)} faces" in line and "25.00 %" in line
    assert claims_on_bare_faces(aware, bare.take(np.arange(0)), 2) == {}
