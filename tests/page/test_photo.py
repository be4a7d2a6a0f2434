"""A person opens a photo in the page, changes emotion and map, looks at the sheet and saves the result."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from rac_unet.core.emotions import EMOTIONS
from rac_unet.page.portrait import draw_portrait
from rac_unet.photos.metadata import SOURCE_TYPE, has_mark
from rac_unet.photos.png_encoding import encode_png
from tests.drawn_masks import drawn_photo
from tests.page.conftest import TEXT, give, until


@pytest.fixture
def portrait(page):
    """The page with its drawn portrait open, as it is at first."""
    before = page.get_attribute("body", "data-opened") or "0"
    page.click("#try")
    until(page, f"document.body.dataset.opened > {before}")
    return page


def shown(page):
    """Pixels of the view with the painted picture alone, (H, W, 3)."""
    page.evaluate('document.getElementById("divider").value = 0; divider.dispatchEvent(new Event("input"))')
    address = page.evaluate('document.getElementById("view").toDataURL()')
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))


def repainted(page, act):
    """Do something and wait until the page has painted again."""
    before = int(page.get_attribute("body", "data-painted"))
    act()
    until(page, f"document.body.dataset.painted > {before}")


def test_a_masked_portrait_is_painted_with_a_reading_of_its_emotion(portrait):
    assert portrait.inner_text("#status") == TEXT["one_face"].format(masked=1)
    line = portrait.inner_text("#faces li")
    assert any(TEXT[name] in line for name in EMOTIONS) and "%" in line
    portrait.evaluate('document.getElementById("divider").value = 50')
    assert portrait.input_value("#divider") == "50"


def test_another_emotion_paints_another_face_and_none_changes_the_rest(portrait):
    first = shown(portrait)
    repainted(portrait, lambda: portrait.check("input[name=emotion][value=happiness]", force=True))
    second = shown(portrait)
    assert TEXT["happiness"] in portrait.inner_text("#faces li")
    changed = (first != second).any(-1)
    assert changed.any() and not changed[: len(changed) // 4].any()


def test_the_view_is_the_painted_photo_and_an_emotion_chosen_again_paints_the_same(portrait):
    views = []
    for emotion in ("happiness", "fear", "happiness"):
        chosen = portrait.locator(f"input[name=emotion][value={emotion}]")
        repainted(portrait, lambda chosen=chosen: chosen.check(force=True))
        views.append(shown(portrait))
    assert (views[0] == views[2]).all() and (views[0] != views[1]).any()
    painted = portrait.evaluate(
        "askWorker('pixels').then(({ data, width, height }) => [width, height, btoa(Array.from(data, (value) => "
        "String.fromCharCode(value)).join(''))])"
    )
    whole = np.frombuffer(base64.b64decode(painted[2]), np.uint8).reshape(painted[1], painted[0], 4)
    assert (views[2] == whole[..., :3]).all()


def test_brush_removes_and_adds_and_strokes_can_be_taken_back(portrait):
    found = shown(portrait)
    box = portrait.locator("#view").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + 0.75 * box["height"]
    portrait.check("input[name=brush][value=remove]", force=True)
    repainted(portrait, lambda: portrait.mouse.click(*middle))
    assert TEXT["face_edited"] in portrait.inner_text("#faces li")
    portrait.check('input[name=brush][value=""]', force=True)
    removed = shown(portrait)
    assert (removed != found).any()
    portrait.check("input[name=brush][value=add]", force=True)
    # With the keyboard: the brush starts in the middle of the picture, on the nose.
    portrait.focus("#view")
    repainted(portrait, lambda: portrait.keyboard.press("Space"))
    portrait.keyboard.press("ArrowUp")
    portrait.check('input[name=brush][value=""]', force=True)
    added = shown(portrait)
    nose = np.s_[len(added) // 2 - 4 : len(added) // 2 + 4, added.shape[1] // 2 - 4 : added.shape[1] // 2 + 4]
    assert (removed[nose] == found[nose]).all() and (added[nose] != removed[nose]).any()
    repainted(portrait, lambda: portrait.click("#brush-reset"))
    assert (shown(portrait) == found).all()


def test_sheet_has_the_photo_and_seven_different_faces(portrait):
    portrait.click("#show-sheet")
    portrait.wait_for_selector("#sheet figure:nth-child(8)")
    names = portrait.locator("#sheet figcaption").all_inner_texts()
    assert names == [TEXT["sheet_photo"], *(TEXT[name] for name in EMOTIONS)]
    pictures = portrait.evaluate('[...document.querySelectorAll("#sheet canvas")].map((each) => each.toDataURL())')
    assert len(set(pictures)) == 8


def test_download_is_the_photo_with_the_mark(page):
    photo = drawn_photo(people=1)
    # Photos of drawn people without a mask that the published network finds are left as they are.
    give(page, encode_png(photo), "Ann & <b>.png")
    with page.expect_download() as waiting:
        page.click("#download")
    download = waiting.value
    # Browsers replace what a file system refuses in a name.
    assert download.suggested_filename.startswith("Ann &") and download.suggested_filename.endswith(".unmasked.png")
    saved = Image.open(download.path())
    assert saved.size == photo.shape[1::-1] and has_mark(saved)
    assert page.locator("b").count() == 0


@pytest.mark.parametrize("visibly", [False, True])
def test_painted_file_says_that_it_is_synthetic(portrait, visibly):
    if visibly:
        portrait.check("#mark")
    with portrait.expect_download() as waiting:
        portrait.click("#download")
    saved = Image.open(waiting.value.path())
    portrait.uncheck("#mark")
    assert saved.info["Comment"].startswith("synthetic") and has_mark(saved)
    assert SOURCE_TYPE in saved.info["XML:com.adobe.xmp"]
    corner = np.asarray(saved.convert("RGB"))[-6:, :4]
    assert (corner.mean() < 90) == visibly


def test_ten_faces_are_found(page):
    photo = np.vstack([drawn_photo(people=5, side=140, edge=40)] * 2)
    give(page, encode_png(photo))
    assert page.locator("#faces li").count() == 10


def test_face_at_the_border_is_painted_inside_the_picture(page):
    # The chin is cut off.
    photo = np.asarray(Image.open(io.BytesIO(draw_portrait())))
    cut = np.ascontiguousarray(photo[: len(photo) * 4 // 5])
    give(page, encode_png(cut))
    painted = shown(page)
    assert page.locator("#faces li").count() == 1 and painted.shape == cut.shape and (painted != cut).any()


def animation():
    pictures = [Image.fromarray(drawn_photo(masked=False)), Image.new("RGB", (320, 320), "red")]
    stream = io.BytesIO()
    pictures[0].save(stream, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    return stream.getvalue()


def cmyk():
    stream = io.BytesIO()
    Image.fromarray(drawn_photo(masked=False)).convert("CMYK").save(stream, "JPEG")
    return stream.getvalue()


def huge():
    stream = io.BytesIO()
    Image.new("1", (9000, 8000)).save(stream, "PNG")
    return stream.getvalue()


PLAIN = encode_png(np.full((64, 64, 3), 128, np.uint8))


@pytest.mark.parametrize(
    ("content", "name", "key"),
    [
        (b"", "empty.jpg", "emptyFile"),
        (b"not a picture, but long enough to be read as one", "notes.txt", "unknownFormat"),
        (PLAIN[:60], "half.png", "broken"),
        (huge(), "huge.png", "tooLarge"),
        (PLAIN, "grey.png", "no_face"),
        (encode_png(drawn_photo(masked=False)), "bare.png", "no_mask"),
        (cmyk(), "cmyk.jpg", "no_mask"),
        (animation(), "moving.gif", "animated"),
    ],
)
def test_unusual_files_end_in_one_sentence(page, content, name, key):
    assert TEXT[key] in give(page, content, name)


def test_drop_and_paste_take_pictures(page):
    for event, holder in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        before = page.get_attribute("body", "data-opened") or "0"
        page.evaluate(
            """([event, holder, bytes]) => {
              const carried = new DataTransfer();
              carried.items.add(new File([Uint8Array.from(bytes)], "dropped.png", { type: "image/png" }));
              const kind = event === "drop" ? DragEvent : ClipboardEvent;
              document.dispatchEvent(new kind(event, { [holder]: carried, bubbles: true }));
            }""",
            [event, holder, list(PLAIN)],
        )
        until(page, f"document.body.dataset.opened > {before}")
    page.evaluate('document.dispatchEvent(new DragEvent("drop", { dataTransfer: new DataTransfer() }))')
    assert page.inner_text("#status") == TEXT["noPicture"]


def test_everything_can_be_reached_by_keyboard_and_has_a_name(portrait):
    nameless = portrait.evaluate(
        """[...document.querySelectorAll("button, input, canvas")].filter((each) => !(each.ariaLabel ||
          each.textContent.trim() || each.labels?.[0]?.textContent.trim())).map((each) => each.outerHTML)"""
    )
    assert nameless == []
    portrait.focus("input[name=emotion]:checked")
    repainted(portrait, lambda: portrait.keyboard.press("ArrowRight"))
    assert portrait.evaluate('document.querySelector("input[name=emotion]:checked").value') == "surprise"
