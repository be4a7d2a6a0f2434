"""What is scored: pictures with a truth in which something is hidden."""

from dataclasses import replace

import cv2
import numpy as np

from rac_unet.data import pairs
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.selection import scored_pairs, wears_mask
from rac_unet.scoring.unscored import claims_on_bare_faces, describe_bare_faces
from tests.refusals import refused


def mixed_set(toy_pairs, tmp_path):
    """The test split of the toy faces in turn masked, without a mask under any name of style, and with a real mask."""
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
            row = replace(row, masked=row.unmasked, occlusion="nothing.png")
        elif number % 4 == 2:
            row = replace(row, unmasked="", occlusion="", mask_style=pairs.REAL_MASK)
        elif number % 4 == 3:
            # Hardly anything is hidden, and that is something.
            row = replace(row, occlusion="one.png", mask_style="none")
        rows.append(row)
    pairs.write(tmp_path, rows)
    return pairs.read(tmp_path)


def test_pixels_say_what_wears_a_mask(toy_pairs, tmp_path):
    found = mixed_set(toy_pairs, tmp_path)
    expected = [number % 4 != 1 for number in range(len(found))]
    assert wears_mask(found).tolist() == expected
    scored, bare = scored_pairs(found, "test")
    assert scored.keys.tolist() == [key for n, key in enumerate(found.keys) if n % 4 in (0, 3)]
    assert bare.keys.tolist() == found.keys[1::4].tolist()
    assert not len(scored_pairs(pairs.read(toy_pairs), "test")[1])


def test_nothing_to_score_says_why(toy_pairs, tmp_path):
    found = mixed_set(toy_pairs, tmp_path)
    with refused("empty", tmp_path, "real masks"):
        scored_pairs(found.take(np.arange(2, len(found), 4)), "test")
    with refused("empty", tmp_path, "'test'", "--split"):
        scored_pairs(found.take(np.arange(1, len(found), 4)), "test")


def test_what_is_claimed_on_faces_without_a_mask_is_told_apart(toy_pairs, tmp_path):
    _, bare = scored_pairs(mixed_set(toy_pairs, tmp_path), "test")

    def claim_a_quarter(inputs):
        image = inputs["masked_image"]
        found = np.zeros((*image.shape[:3], 1), np.float32)
        found[:, :32, :32] = 1
        return {"inpainted_image": image, "occlusion": found}

    blind = Runner("blind", "run", 64, False, lambda inputs: {"inpainted_image": inputs["masked_image"]})
    aware = Runner("aware", "run", 64, False, claim_a_quarter, outputs=("inpainted_image", "occlusion"))
    assert claims_on_bare_faces(blind, bare, 2) == {"n": len(bare)}
    claims = claims_on_bare_faces(aware, bare, 2)
    assert claims["n"] == claims["map_claims"]["n"] == len(bare) and claims["map_claims"]["mean"] == 0.25
    assert "25.00 %" in describe_bare_faces(claims) and claims_on_bare_faces(aware, bare.take(np.arange(0)), 2) == {}
