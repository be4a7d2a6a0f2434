"""Clips are read as they are shown: each frame with its time, upright, in the right colours; or refused in one line."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av", reason="clips need PyAV")

from rac_unet.clips import decoded  # noqa: E402
from rac_unet.clips.decoded import UnreadableClip  # noqa: E402
from rac_unet.clips.reading import open_clip  # noqa: E402
from tests.clips.clip_files import SIZE, Make, even_times, picture, write  # noqa: E402
from tests.refusals import refused  # noqa: E402


def read(path, **options):
    clip = open_clip(path, **options)
    return clip, list(clip.frames())


def differ(one, other):
    """Mean difference in grey levels."""
    return np.abs(one.astype(int) - other.astype(int)).mean()


def seconds(times):
    """Exact times as a `Frame` has them."""
    return [float(time) for time in times]


def near(frames, count=None, by=3):
    """Whether the frames show the pictures from the first on, up to compression."""
    assert count is None or len(frames) == count
    return all(differ(frame.pixels, picture(index)) < by for index, frame in enumerate(frames))


def test_every_frame_has_its_time_and_can_be_read_again_from_anywhere(tmp_path):
    rng = np.random.default_rng(1)
    times = [0, *np.cumsum(rng.integers(100, 1500, 69)).tolist()]
    wanted = write(tmp_path / "a.mp4", Make(times=times, options={"crf": "8", "preset": "ultrafast", "g": "9"}))
    clip, frames = read(tmp_path / "a.mp4")
    assert [frame.time for frame in frames] == seconds(wanted) and near(frames, 70)
    assert [frame.pts * clip.facts.time_base for frame in frames] == wanted
    assert [frame.index for frame in frames] == list(range(70))
    assert (clip.width, clip.height, clip.frame_count_estimate) == (*SIZE, 70) and clip.remarks() == []
    targets = []
    pictures = clip._source.pictures
    clip._source.pictures = lambda target, damage: targets.append(target) or pictures(target, damage)
    for first in (1, 33, 69):
        again = list(clip.frames(first))
        assert [(frame.index, frame.pts) for frame in again] == [(i, times[i]) for i in range(first, 70)]
        assert all((one.pixels == other.pixels).all() for one, other in zip(again, frames[first:], strict=True))
    # By seeking, not by decoding all.
    assert targets == [times[1], times[33], times[69]]
    assert list(clip.frames(70)) == []


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("levels", [1, 2])
def test_colours_follow_matrix_and_range(tmp_path, matrix, levels):
    path = tmp_path / "a.mkv"
    write(path, Make(count=2, codec="ffv1", options={}, pixel_format="yuv444p", matrix=matrix, range=levels))
    clip, frames = read(path)
    assert differ(frames[1].pixels, picture(1)) < 2
    assert (clip.facts.colours.matrix, clip.facts.colours.range) == (matrix, levels)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_frames_are_upright(tmp_path, angle):
    write(tmp_path / "a.mp4", count=2, rotation=angle)
    clip, frames = read(tmp_path / "a.mp4")
    # As `ffmpeg` and `np.rot90`, FFmpeg's angle is counterclockwise.
    upright = np.rot90(picture(0), angle // 90)
    assert frames[0].pixels.shape == upright.shape == (clip.height, clip.width, 3)
    assert differ(frames[0].pixels, upright) < 3
    assert frames[0].planes[0].shape == upright.shape[:2]


def test_a_part_is_read(tmp_path):
    wanted = write(tmp_path / "a.mp4", count=25)
    clip, frames = read(tmp_path / "a.mp4", start=Fraction("0.39"), end=Fraction("0.6"))
    assert [frame.time for frame in frames] == seconds(wanted[10:15]) and frames[0].index == 0
    assert differ(frames[0].pixels, picture(10)) < 3
    assert [frame.time for frame in clip.frames(3)] == seconds(wanted[13:15])
    with refused("empty", "--start"):
        read(tmp_path / "a.mp4", start=Fraction(5))


def test_files_without_pictures_are_refused(tmp_path):
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    with refused("unsupported", "only sound"):
        open_clip(tmp_path / "sound.m4a")
    with av.open(str(tmp_path / "zero.avi"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height = SIZE
        out.start_encoding()
    with refused("unreadable"):
        open_clip(tmp_path / "zero.avi")
    for content in (b"", b"no video at all" * 99):
        (tmp_path / "bad.mp4").write_bytes(content)
        with refused("unreadable", "not a video"):
            open_clip(tmp_path / "bad.mp4")
    with refused("unreadable", "No such file"):
        open_clip(tmp_path / "gone.mp4")


def test_an_unknown_codec_is_refused(tmp_path):
    write(tmp_path / "a.mp4", count=2)
    content = (tmp_path / "a.mp4").read_bytes()
    place = content.rindex(b"avc1")
    (tmp_path / "a.mp4").write_bytes(content[:place] + b"zzzz" + content[place + 4 :])
    with refused("unsupported", "codec"):
        open_clip(tmp_path / "a.mp4")


def test_too_large_frames_are_refused(tmp_path, monkeypatch):
    assert decoded.MAX_PIXELS >= 7680 * 4320
    write(tmp_path / "a.mp4", count=2)
    monkeypatch.setattr(decoded, "MAX_PIXELS", 96 * 64 - 1)
    with refused("unsupported", "96 x 64", "8K"):
        open_clip(tmp_path / "a.mp4")


def test_damage_costs_the_damaged_frames_and_is_reported(tmp_path):
    write(tmp_path / "a.mkv", Make(count=60, options={"crf": "8", "g": "10", "bf": "0"}))
    content = bytearray((tmp_path / "a.mkv").read_bytes())
    rng, middle = np.random.default_rng(1), len(content) // 2
    content[middle : middle + 6000] = rng.integers(0, 256, 6000).astype(np.uint8).tobytes()
    (tmp_path / "a.mkv").write_bytes(content)
    clip, frames = read(tmp_path / "a.mkv")
    assert 20 < len(frames) <= 60 and clip.remarks()
    assert sum(differ(frame.pixels, picture(round(frame.time * 25))) < 3 for frame in frames) > 20
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_a_file_that_ends_early_gives_what_there_is(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    # Two seconds and more, so that a missing second is worth a remark.
    options = {"crf": "8", "g": "10", **({"movflags": "faststart"} if ending == ".mp4" else {})}
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height = SIZE
        for index in range(60):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index))))
        out.mux(stream.encode(None))
    whole, _ = read(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip, frames = read(path)
    assert 15 < len(frames) < 45
    shown = [differ(frame.pixels, picture(index)) for index, frame in enumerate(frames)]
    assert max(shown[:-4]) < 4
    # A transport stream has no header that says how long it is.
    assert whole.remarks() == [] and (clip.remarks() or ending == ".ts")
    if ending != ".ts":
        assert "6.0 s" in clip.remarks()[0]


def test_a_wrong_duration_in_the_header_changes_no_frame(tmp_path):
    path = tmp_path / "a.mkv"
    wanted = write(path, count=20, time_base=Fraction(1, 1000))
    content = bytearray(path.read_bytes())
    # The element Duration: its identifier, a length of 8 bytes, milliseconds.
    struct.pack_into(">d", content, content.index(b"\x44\x89\x88") + 3, 40_000)
    path.write_bytes(content)
    clip = open_clip(path)
    assert clip.duration == 40 and clip.frame_count_estimate == 1000
    assert [frame.time for frame in clip.frames()] == seconds(wanted) and clip.frame_count_estimate == 20
    assert "40.0 s" in clip.remarks()[0]


def test_frames_of_another_size_are_scaled(tmp_path):
    path, parts = tmp_path / "a.ts", []
    for size in ((96, 64), (128, 96)):
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = *size, "yuv420p"
        context.time_base, context.options = Fraction(1, 25), {"crf": "8", "bf": "0"}
        for index in range(5):
            number = index + 5 * (size != SIZE)
            frame = av.VideoFrame.from_ndarray(picture(number, size))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            parts += context.encode(frame.reformat(format="yuv420p"))
        parts += context.encode(None)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height = SIZE
        for number, packet in enumerate(parts):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 25), stream
            out.mux(packet)
    clip, frames = read(path)
    assert len(frames) == 10 and {frame.pixels.shape for frame in frames} == {(64, 96, 3)}
    assert any("5 frames" in remark and "size" in remark for remark in clip.remarks())


def hdr(path, transfer):
    write(path, Make(count=2, pixel_format="yuv420p10le", matrix=9, primaries=9, transfer=transfer))
    return open_clip(path)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_recognised(tmp_path, transfer, name):
    clip = hdr(tmp_path / "a.mp4", transfer)
    assert name in clip.remarks()[0]
    found = clip.facts.colours
    assert (found.format, found.matrix, found.transfer, found.primaries) == ("yuv420p", 1, 1, 1)


@pytest.mark.slow  # FFmpeg makes a table of colours for several seconds.
def test_hdr_is_converted(tmp_path):
    frames = list(hdr(tmp_path / "a.mp4", 16).frames())
    # Not black, not white, not the values as they were.
    assert len(frames) == 2 and 30 < frames[0].pixels.mean() < 225 and differ(frames[0].pixels, picture(0)) > 5


def test_ten_bits_are_reduced_to_eight(tmp_path):
    write(tmp_path / "a.mp4", Make(count=3, pixel_format="yuv420p10le"))
    clip, frames = read(tmp_path / "a.mp4")
    assert near(frames, 3) and "8 bits" in clip.remarks()[0] and frames[0].planes[0].dtype == np.uint8


def test_interlaced_frames_are_deinterlaced(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "4", "flags": "+ilme+ildct"})
        stream.width, stream.height = SIZE
        for index in range(8):
            woven = np.full((64, 96, 3), 40, np.uint8)
            # A bar that moves 4 pixels from field to field.
            for field in (0, 1):
                woven[field::2, 8 * index + 4 * field : 8 * index + 4 * field + 16] = 220
            out.mux(stream.encode(av.VideoFrame.from_ndarray(woven)))
        out.mux(stream.encode(None))
    clip, frames = read(path)
    assert len(frames) == 8 and any("interlaced" in remark for remark in clip.remarks())
    assert [frame.time for frame in frames] == [index / 25 for index in range(8)]
    with av.open(str(path)) as container:
        combed = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    comb = [np.abs(np.diff(each[8:56].astype(int), axis=0)).mean() for each in combed]
    smooth = [np.abs(np.diff(each.planes[0][8:56].astype(int), axis=0)).mean() for each in frames]
    assert np.mean(smooth) < 0.5 * np.mean(comb)
    # From within, as after a kill.
    assert all((one.pixels == frames[5 + i].pixels).all() for i, one in enumerate(clip.frames(5)))


def test_frames_without_increasing_times_are_kept(tmp_path):
    path = tmp_path / "a.mkv"
    wanted = even_times(10, base=Fraction(1, 1000))
    write(
        path, Make(count=10, codec="mjpeg", options={}, pixel_format="yuvj420p", range=2, time_base=Fraction(1, 1000))
    )
    clip = open_clip(path)
    pictures = clip._source.pictures

    def repeated(target, damage):
        for number, each in enumerate(pictures(target, damage)):
            yield decoded.Picture(each.planes, each.pixels, None if number == 4 else each.pts - 40 * (number == 6), 0)

    clip._source.pictures = repeated
    times = [frame.pts for frame in clip.frames()]
    assert times[:4] == wanted[:4] and len(times) == 10 and times == sorted(set(times))
    assert any("2 frames" in remark and "time" in remark for remark in clip.remarks())


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_animations_are_clips(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    pictures = [Image.fromarray(picture(index)) for index in range(4)]
    lossless = {"lossless": True} if kind == "webp" else {}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[50, 200, 100, 40], **lossless)
    clip, frames = read(path, lossless=True)
    assert [frame.time for frame in frames] == [0, 0.05, 0.25, 0.35] and near(frames, 4, 12 if kind == "gif" else 1)
    clip, frames = read(path)
    assert frames[0].planes[0].shape == (64, 96) and frames[0].planes[1].shape == (32, 48)
    (tmp_path / f"cut.{kind}").write_bytes(path.read_bytes()[: 3 * path.stat().st_size // 5])
    try:
        clip, frames = read(tmp_path / f"cut.{kind}")
    except UnreadableClip as error:
        assert error.kind == "unreadable"
    else:
        assert 1 <= len(frames) < 4 and clip.remarks()
