"""A whole clip: what is kept, what is written, and going on after a kill; a box is inverted instead of a face."""

import errno
import json
import weakref
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av", reason="clips need PyAV")

from rac_unet.clips import decoded, films, working  # noqa: E402
from rac_unet.clips.encoding import SegmentEncoder  # noqa: E402
from rac_unet.clips.reading import open_clip  # noqa: E402
from rac_unet.clips.settings import ClipSettings  # noqa: E402
from rac_unet.clips.working import PlannedClip, unmask_clip, work_folder  # noqa: E402
from rac_unet.clips.writing import choose_container, has_video_mark, write_clip  # noqa: E402
from rac_unet.photos.reading import read_photo  # noqa: E402
from rac_unet.photos.writing import is_signed  # noqa: E402
from tests.clips.clip_files import BOX, TEXT, Inverter, Make, frame_times, inverting, packets, picture, write  # noqa: E402
from tests.refusals import refused  # noqa: E402

NO_MARK = ClipSettings(mark=False)


def unmask(path, name="result", settings=NO_MARK, passes=None, **options):
    """Unmask a clip next to it; return the outcome and the path of the result."""
    plan = PlannedClip(path, path.with_name("out") / name, choose_container(str(path), settings.lossless))
    outcome = unmask_clip(plan, passes or inverting(), settings, show=False, **options)
    return outcome, plan.base.with_name(outcome.results[0])


def frames_of(path, **options):
    return list(open_clip(path, **options).frames())


def outside(frame):
    """Pixels that are not near the box."""
    known = np.ones(frame.shape[:2], bool)
    x0, y0, x1, y1 = BOX
    known[y0 - 2 : y1 + 2, x0 - 2 : x1 + 2] = False
    return frame[known].astype(int)


def inside(frame):
    x0, y0, x1, y1 = BOX
    return frame[y0:y1, x0:x1].astype(int)


def test_sound_subtitles_times_colours_and_metadata_are_kept(tmp_path):
    path = tmp_path / "a.mp4"
    times = [0, 300, 1500, 1600, 4000, 4001, *range(5000, 11000, 500)]
    colours = {"matrix": 9, "range": 2, "transfer": 14, "primaries": 9}
    metadata = {"title": "A walk", "comment": "with a friend"}
    make = Make(times=times, sound="aac", subtitles="mov_text", metadata=metadata, pixel_format="yuv420p", **colours)
    wanted = write(path, make)
    outcome, result = unmask(path)
    assert result.name == "result.mp4" and outcome.remarks == []
    assert frame_times(result) == wanted
    for kind in ("audio", "subtitle"):
        assert len(packets(path, kind)) > 0 and packets(result, kind) == packets(path, kind)
    with av.open(str(result)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.colorspace, context.color_range, context.color_trc, context.color_primaries)
        assert tags == tuple(colours[name] for name in ("matrix", "range", "transfer", "primaries"))
        assert (context.name, context.width, context.height) == ("h264", 96, 64)
        assert container.metadata["title"] == "A walk" and "with a friend" in container.metadata["comment"]
    assert has_video_mark(result) and not has_video_mark(path)
    assert b"compositeWithTrainedAlgorithmicMedia" in result.read_bytes()
    for before, after in zip(frames_of(path), frames_of(result), strict=True):
        assert np.abs(outside(before.pixels) - outside(after.pixels)).mean() < 4
        assert np.abs(inside(before.pixels) - inside(after.pixels)).mean() > 20


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p"])
def test_a_lossless_result_changes_nothing_outside_the_painted_pixels(tmp_path, form):
    path = tmp_path / "a.mkv"
    wanted = write(path, Make(pixel_format=form, time_base=Fraction(1, 1000), sound="flac"))
    outcome, result = unmask(path, settings=ClipSettings(mark=False, lossless=True))
    assert result.suffix == ".mkv" and frame_times(result) == wanted and outcome.remarks == []
    assert [content for _, content in packets(result, "audio")] == [content for _, content in packets(path, "audio")]
    with av.open(str(result)) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
        assert container.streams.video[0].codec_context.pix_fmt == form
    before, after = frames_of(path, lossless=True), frames_of(result, lossless=True)
    for one, other in zip(before, after, strict=True):
        assert (outside(one.planes[0]) == outside(other.planes[0])).all()
        assert (outside(one.pixels) == outside(other.pixels)).all()
    # The painter's own pixels, up to the rounding of the planes.
    painted = list(Inverter(inverting().find(before)).paint(iter(before), 0, len(before) - 1))
    off = [np.abs(inside(pixels) - inside(frame.pixels)).mean() for pixels, frame in zip(painted, after, strict=True)]
    assert max(off) < (2 if form == "yuv444p" else 7)
    assert has_video_mark(result)


class Killed(BaseException):
    """As if the process were killed."""


def killing(after_frames, passes):
    """The passes, whose painter dies after some frames; and how often each pass ran."""
    ran = {"find": 0, "paint": 0}

    class Mortal(Inverter):
        def paint(self, frames, first, last):
            for pixels in super().paint(frames, first, last):
                if ran["paint"] == after_frames:
                    raise Killed
                ran["paint"] += 1
                yield pixels

    def find(frames):
        ran["find"] += 1
        return passes.find(frames)

    return working.Passes(find, passes.load, Mortal), ran


@pytest.mark.parametrize("after_frames", [0, 7, 21])
def test_a_killed_clip_goes_on_and_becomes_the_same(tmp_path, monkeypatch, after_frames):
    monkeypatch.setattr(working, "SEGMENT_FRAMES", 8)
    path = tmp_path / "a.mp4"
    write(path, Make(count=30, options={"crf": "8", "g": "6"}, sound="aac"))
    settings = ClipSettings(side_by_side=True)
    whole, wanted = unmask(path, "whole", settings)
    passes, ran = killing(after_frames, inverting())
    with pytest.raises(Killed):
        unmask(path, settings=settings, passes=passes)
    assert not list(tmp_path.glob("out/result*")) and work_folder(tmp_path / "out/result").is_dir()
    passes, ran = killing(99, inverting())
    again, result = unmask(path, settings=settings, passes=passes)
    # Neither the first pass nor finished segments are repeated.
    assert ran["find"] == 0 and ran["paint"] == 30 - after_frames // 8 * 8
    for name in ("", ".side_by_side"):
        one, other = (wanted.with_stem(stem + name) for stem in ("whole", "result"))
        assert packets(one, "video") == packets(other, "video") and packets(one, "audio") == packets(other, "audio")
    assert again.report == whole.report
    assert (read_photo(tmp_path / "out/whole.sheet.jpg") == read_photo(tmp_path / "out/result.sheet.jpg")).all()
    assert {each.name for each in (tmp_path / "out").iterdir()} == {*whole.results, *again.results}


def test_an_unfinished_clip_goes_on_with_the_same_settings_alone(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, count=6)
    for when in (None, 3):
        with pytest.raises(Killed):
            unmask(path, passes=killing(when or 2, inverting())[0])
        with refused("changed", ".result.unfinished", "a.mp4", "--overwrite"):
            unmask(path, settings=ClipSettings(quality=30, mark=False))
    outcome, _ = unmask(path, settings=ClipSettings(quality=30, mark=False), overwrite=True)
    assert outcome.frames == 6 and not work_folder(tmp_path / "out/result").exists()


def test_a_clip_that_cannot_be_used_leaves_nothing(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, count=4)
    with refused("empty", "--start"):
        unmask(path, settings=ClipSettings(start=Fraction(9)))
    frames = working.Clip.frames
    with pytest.MonkeyPatch.context() as patch, refused("unreadable", "1 frames from 3 on"):
        # The second time, the file ends earlier.
        patch.setattr(working.Clip, "frames", lambda self, first=0: frames(self) if not self.times else few(self))
        few = lambda self: [frame for frame in frames(self) if frame.index < 3]  # noqa: E731
        unmask(path)
    assert not list((tmp_path / "out").iterdir())


def test_a_box_outside_of_the_clip_is_an_error_of_this_clip_alone(tmp_path):
    write(tmp_path / "a.mp4", count=2)
    passes = working.two_passes(None, ClipSettings(box="500,0,600,50"))
    with refused("bad_value", "500,0,600,50", "96 x 64") as caught:
        passes.find(open_clip(tmp_path / "a.mp4").frames())
    assert isinstance(caught.value, decoded.UnreadableClip)


def test_a_folder_of_others_is_not_touched(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, count=3)
    work = work_folder(tmp_path / "out/result")
    work.mkdir(parents=True)
    (work / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with refused("exists", work.name, "notes.txt"):
            unmask(path, overwrite=overwrite)
    assert (work / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("where", ["segment", "result"])
def test_a_full_disk_is_an_error_and_nothing_is_lost(tmp_path, monkeypatch, where):
    monkeypatch.setattr(working, "SEGMENT_FRAMES", 4)
    path = tmp_path / "a.mp4"
    write(path, count=12, sound="aac")
    with monkeypatch.context() as patch:
        if where == "segment":
            add = SegmentEncoder.add

            def full(self, planes, pts, duration):
                if pts > 4000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                add(self, planes, pts, duration)

            patch.setattr(SegmentEncoder, "add", full)
        else:
            patch.setattr(working, "write_clip", lambda file, *rest: write_clip(Full(file), *rest))
        with refused("unwritable", "a.mp4", "full", ".result.unfinished"):
            unmask(path)
    assert not list(tmp_path.glob("out/result*"))
    passes, ran = killing(99, inverting())
    outcome, result = unmask(path, passes=passes)
    assert ran == {"find": 0, "paint": 4 if where == "segment" else 0}
    assert len(frame_times(result)) == 12


class Full:
    """A file on a disk that is full after 2000 bytes."""

    def __init__(self, file):
        self._file, self._left = file, 2000

    def write(self, content):
        self._left -= len(content)
        if self._left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(content)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_few_frames_are_in_memory_at_a_time(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    write(path, count=80)
    alive, most = set(), [0]
    frames = working.Clip.frames

    def counted(self, first=0):
        for frame in frames(self, first):
            key = id(frame)
            alive.add(key)
            weakref.finalize(frame, alive.discard, key)
            most[0] = max(most[0], len(alive))
            yield frame

    monkeypatch.setattr(working.Clip, "frames", counted)
    unmask(path, settings=ClipSettings(side_by_side=True))
    assert 2 * Inverter.context < most[0] <= 2 * Inverter.context + 5


def test_a_clip_without_a_masked_face_is_copied(tmp_path):
    path = tmp_path / "a.mov"
    write(path, count=4)
    outcome, result = unmask(path, passes=inverting(count=0))
    assert result.name == "result.mov" and result.read_bytes() == path.read_bytes()
    assert outcome.results == ["result.mov"] and outcome.painted == 0 and not has_video_mark(result)
    assert [each.name for each in result.parent.iterdir()] == ["result.mov"]


def test_a_part_of_a_clip(tmp_path):
    path = tmp_path / "a.mp4"
    wanted = write(path, Make(count=50, sound="aac"))
    settings = ClipSettings(mark=False, start=Fraction(1, 2), end=Fraction(3, 2))
    outcome, result = unmask(path, settings=settings)
    first = wanted[13]
    assert frame_times(result) == [time - first for time in wanted[13:38]] and outcome.frames == 25
    sound = [(time, content) for time, content in packets(path, "audio") if first <= time < wanted[38]]
    found = packets(result, "audio")
    assert [content for _, content in found] == [content for _, content in sound]
    assert max(abs(time - first - other) for (time, _), (other, _) in zip(sound, found, strict=True)) < 1 / 20000
    # Also without a masked face, and then it is not called synthetic.
    outcome, result = unmask(path, "bare", settings, inverting(count=0))
    assert len(frame_times(result)) == 25 and has_video_mark(result)
    assert b"compositeWithTrained" not in result.read_bytes()


def test_the_mark_side_by_side_sheet_and_report(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, count=40)
    outcome, result = unmask(path, settings=ClipSettings(side_by_side=True), passes=inverting(10))
    assert outcome.results == ["result.mp4", "result.side_by_side.mp4", "result.sheet.jpg"]
    before, after, both = (frames_of(each) for each in (path, result, result.with_stem("result.side_by_side")))
    for index in (0, 20):
        pair = both[index].pixels
        assert pair.shape == (64, 192, 3)
        assert np.abs(pair[:, :96].astype(int) - before[index].pixels).mean() < 3
        assert np.abs(pair[:, 96:].astype(int) - after[index].pixels).mean() < 3
        # The word is in every frame, whether or not a face is painted there.
        assert np.abs(after[index].pixels[-10:, :40].astype(int) - before[index].pixels[-10:, :40]).mean() > 20
    assert not np.abs(inside(after[0].pixels) - inside(before[0].pixels)).mean() > 3
    assert all(has_video_mark(result.with_name(name)) for name in outcome.results[:2])
    sheet = result.with_name("result.sheet.jpg")
    assert is_signed(sheet) and read_photo(sheet).shape == (3 * (2 * 64 + 24), 4 * 96, 3)
    assert (outcome.faces, outcome.painted, outcome.frames, outcome.painted_frames) == (1, 1, 40, 30)
    track = outcome.report["tracks"][0]
    assert (track["first_frame"], track["last_frame"], track["seconds"]) == (10, 39, [0.4, 1.56])
    assert track["votes"]["happiness"] == 3 and outcome.report["painted_share"] == 0.75
    json.dumps(outcome.report)


def test_without_the_mark_the_corner_stays(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, count=3)
    _, result = unmask(path)
    before, after = frames_of(path)[1].pixels, frames_of(result)[1].pixels
    assert np.abs(after[-10:, :40].astype(int) - before[-10:, :40]).mean() < 3


def test_pixels_that_are_not_square_and_a_wrong_rate_in_the_header(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    wanted = write(path, Make(count=4, aspect=Fraction(16, 11)))
    # As of DV files, which give the unit of their clock instead.
    monkeypatch.setattr(films, "_MOST_RATE", 1)
    assert open_clip(path).rate == 25
    _, result = unmask(path)
    with av.open(str(result)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)
    assert frame_times(result) == wanted


def test_a_rotated_clip_is_stored_upright(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, count=3, rotation=90)
    _, result = unmask(path)
    with av.open(str(result)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (64, 96, 0)
    assert np.abs(outside(frames_of(path)[0].pixels) - outside(frames_of(result)[0].pixels)).mean() < 2


@pytest.mark.parametrize("lossless", [False, True])
def test_odd_sizes(tmp_path, lossless):
    pictures = [Image.fromarray(picture(index, (67, 51))) for index in range(3)]
    path = tmp_path / "a.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80, lossless=True)
    settings = ClipSettings(mark=False, lossless=lossless, side_by_side=True)
    outcome, result = unmask(path, settings=settings)
    frames = frames_of(result, lossless=lossless)
    assert [frame.time for frame in frames] == [0, 0.08, 0.16]
    assert frames[0].pixels.shape == ((51, 67, 3) if lossless else (52, 68, 3))
    off = np.abs(outside(frames[1].pixels[:51, :67]) - outside(np.array(pictures[1]))).mean()
    assert off == 0 if lossless else off < 6
    assert any("odd" in remark for remark in outcome.remarks) == (not lossless)
    pair = frames_of(result.with_stem("result.side_by_side"), lossless=lossless)
    assert len(pair) == 3 and pair[0].pixels.shape[1] == (134 if lossless else 132)


@pytest.mark.parametrize(
    ("sound", "subtitles", "source", "ending", "remarks"),
    [
        ("pcm_s16le", None, ".mov", ".mov", 1),
        ("aac", "subrip", ".mkv", ".mkv", 1),
        ("libopus", None, ".webm", ".mp4", 0),
    ],
)
def test_the_container_can_store_sound_and_subtitles(tmp_path, sound, subtitles, source, ending, remarks):
    path = tmp_path / f"a{source}"
    codec = {"codec": "libvpx", "options": {"deadline": "realtime"}} if source == ".webm" else {}
    wanted = write(path, Make(count=6, sound=sound, subtitles=subtitles, time_base=Fraction(1, 1000), **codec))
    outcome, result = unmask(path)
    assert result.suffix == ending and len(outcome.remarks) == remarks
    assert [content for _, content in packets(result, "audio")] == [content for _, content in packets(path, "audio")]
    assert frame_times(result) == wanted
    if subtitles:
        assert [content for _, content in packets(result, "subtitle")] == [TEXT]


def test_subtitles_that_cannot_be_stored_are_named(tmp_path):
    path = tmp_path / "a.mp4"
    write(path, Make(count=3, subtitles="mov_text"))
    outcome, result = unmask(path, settings=ClipSettings(lossless=True))
    assert any("mov_text" in remark for remark in outcome.remarks)
