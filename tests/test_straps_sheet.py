"""The sheets for counting straps by eye: which photos, the table to fill in, and the shares of a filled one."""

import cv2
import pandas as pd

from rac_unet.photos.png_encoding import encode_png
from rac_unet.unmasking import photo as photo_module
from rac_unet.unmasking.photo import Unmasker
from tests.drawn_masks import drawn_photo, green_runner
from tests.refusals import refused
from tests.straps_sheet import COLUMNS, evenly, main, read_counted, shares, views


def filled(path, *rows):
    """Write rows of number, photo, painted, the five answers and a remark."""
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, index=False)
    return path


def test_items_are_chosen_evenly_from_the_first_to_the_last():
    assert evenly("abcdefg", 3) == ["a", "d", "g"] and evenly("ab", 5) == ["a", "b"] and evenly("", 3) == []


def test_pages_show_painted_faces_and_photos_without_one_and_a_filled_table_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_module, "load_mask_aware", lambda *_: green_runner())
    photos, out = tmp_path / "photos", tmp_path / "sheet"
    photos.mkdir()
    masked, empty = drawn_photo(), drawn_photo()[:20]
    for name, picture in (("a", masked), ("b", empty)):
        (photos / f"{name}.png").write_bytes(encode_png(picture))
    assert main([str(photos), "--output", str(out), "--side", "64"]) == 0
    table = pd.read_csv(out / "straps.csv")
    assert list(table) == COLUMNS and table.painted.tolist() == ["yes", "no"] and table.straps_before.isna().all()
    assert cv2.imread(str(out / "page1.png")).shape[1] > 3 * 2 * 64 and not (out / "page2.png").exists()
    with refused("exists", "straps.csv"):
        main([str(photos), "--output", str(out)])
    before, after, _ = views(Unmasker("lite"), masked, 64)
    green = [(view[..., 1] > 200) & (view[..., 0] < 60) for view in (before, after)]
    assert green[0].mean() > 0.05 and not green[1].any()


def test_shares_are_of_photos_with_straps_and_of_painted_faces(tmp_path):
    path = filled(
        tmp_path / "straps.csv",
        (1, "a", "yes", "yes", "gone", "no", "yes", "no", "grey, pale"),
        (2, "b", "yes", "yes", "partly", "no", "no", "no", ""),
        (3, "c", "no", "yes", "left", "no", "no", "no", ""),
        (4, "d", "yes", "no", "", "yes", "no", "no", ""),
    )
    found = {what: share.split(",")[0] for what, share in shares(read_counted(path))}
    assert found["photos with visible straps"] == "3 of 4"
    assert found["straps gone"] == "1 of 3" and found["straps gone, painted faces"] == "1 of 2"
    assert found["rim_left, painted faces"] == found["tint, painted faces"] == "1 of 3"


def test_wrong_answers_and_missing_columns_are_refused(tmp_path):
    path = filled(tmp_path / "straps.csv", (7, "a", "yes", "no", "gone", "no", "no", "no", ""))
    with refused("bad_row", path.name, 7, "straps_after"):
        read_counted(path)
    with refused("bad_row", path.name, 8, "tint", "maybe"):
        read_counted(filled(path, (8, "a", "yes", "no", "", "no", "maybe", "no", "")))
    path.write_text("number,photo\n1,a\n")
    with refused("bad_layout", path.name, "straps_before"):
        read_counted(path)
