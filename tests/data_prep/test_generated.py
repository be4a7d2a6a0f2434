"""Generated faces are checked and listed, and interrupted runs continue; here with a fake network."""

import csv
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest

from data_prep import generated
from data_prep.making import face_generator, turning
from data_prep.making.face_generator import face_fault
from data_prep.sources.labels import read_labels
from tests.refusals import refused


@dataclass(frozen=True)
class FakeGenerator:
    """Toy faces at the place of the real network's faces; every fourth picture is empty.

    Attributes:
        stop_at: number of the face at which KeyboardInterrupt is raised.
    """

    face: object
    drawn: list
    stop_at: int = -1
    sha256: str = "0"

    def __call__(self, noise, truncation, yaw):
        number = len(self.drawn)
        if number == self.stop_at:
            raise KeyboardInterrupt
        self.drawn.append((noise, truncation, yaw))
        seed = int(abs(noise[0]) * 1e4)
        return np.full((200, 200, 3), 90, np.uint8) if number % 4 == 3 else self.face(seed, size=200)


@pytest.fixture
def draw(trees, tmp_path, monkeypatch):
    monkeypatch.setattr(face_generator, "face_fault", lambda faces, size: None if faces else "no face found")

    def run(name, *more, stop_at=-1):
        fake = FakeGenerator(trees.face, [], stop_at)
        monkeypatch.setattr(face_generator, "open_generator", lambda wheel: fake)
        words = ["--wheel", "w.whl", "--output", str(tmp_path / name), "--workers", "1", "--size", "160"]
        assert generated.main([*words, "--count", "5", *more]) == 0
        return tmp_path / name, fake.drawn

    return run


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_faces_are_listed_and_determined_by_seed_and_number(draw, capsys):
    folder, drawn = draw("first")
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [set(row) for row in rows] == [{"path", "identity", "emotion", "split"}] * 4
    assert all((folder / row["path"]).is_file() and row["emotion"] == "" for row in rows)
    assert len({row["identity"] for row in rows}) == 4
    assert "000003" in (folder / "skipped.csv").read_text() and "no face found" in (folder / "skipped.csv").read_text()
    said = capsys.readouterr().out
    assert "4 faces of 5" in said and "FFHQ" in said and "non-commercial" in said
    assert all(0.7 <= truncation <= 1 for _, truncation, _ in drawn) and len({t for _, t, _ in drawn}) == 5
    # With labels filled in, data_prep.folder reads it.
    text = (folder / "labels.csv").read_text().replace(",,", ",neutral,")
    assert [photo.path for photo in read_labels("labels.csv", text.encode(), 0).photos] == [r["path"] for r in rows]
    with refused("changed", folder, "seed: 0 there, 1 now"):
        draw("first", "--seed", "1")
    other, _ = draw("other", "--seed", "1", "--format", "png")
    assert not {row["identity"] for row in rows} & {path.stem for path in (other / "faces").iterdir()}


def test_a_run_stopped_at_any_face_continues_to_the_same_files(draw, tmp_path):
    whole, drawn = draw("whole")
    with pytest.raises(KeyboardInterrupt):
        draw("stopped", stop_at=3)
    assert not (tmp_path / "stopped/labels.csv").exists()
    stopped, again = draw("stopped")
    assert contents(stopped) == contents(whole)
    assert draw("whole")[1] == []


def test_heads_of_a_share_of_the_same_people_are_turned(draw):
    _, straight = draw("straight")
    _, turned = draw("turned", "--turned", "1")
    assert [yaw for *_, yaw in straight] == [None] * 5
    yaws = np.array([yaw for *_, yaw in turned])
    assert np.abs(yaws).max() <= turning.MOST and yaws.min() < 0 < yaws.max()
    for (noise, truncation, _), (same, equal, _) in zip(straight, turned, strict=True):
        np.testing.assert_array_equal(noise, same)
        assert truncation == equal
    with refused("changed", "turned"):
        draw("straight", "--turned", "0.5")
    with refused("usage", "--turned", "1.5"):
        draw("other", "--turned", "1.5")


def test_only_pictures_with_one_face_in_place_are_kept():
    points = np.zeros((68, 2))
    points[:] = (50, 60)
    points[36:42], points[42:48], points[48:68] = (38, 47), (62, 47), (50, 72)
    assert face_fault([points], 100) is None
    assert "no face" in face_fault([], 100) and "2 faces" in face_fault([points, points], 100)
    for change, word in (((48, 68, 50, 50), "mouth"), ((42, 48, 40, 47), "eyes"), ((0, 17, 130, 60), "outside")):
        broken = points.copy()
        broken[change[0] : change[1]] = change[2:]
        assert word in face_fault([broken], 100)
    assert "eyes" in face_fault([points + 20], 100)


def test_files_that_are_not_the_wheel_are_refused(tmp_path, monkeypatch):
    with refused("missing", tmp_path / "none.whl"):
        face_generator.open_generator(str(tmp_path / "none.whl"))
    (tmp_path / "text.whl").write_text("no wheel")
    with refused("unreadable", tmp_path / "text.whl"):
        face_generator.open_generator(str(tmp_path / "text.whl"))
    names = [
        f"random_face/data/{name}.{end}" for name in ("MappingNetwork", "SynthesisNetwork") for end in ("xml", "bin")
    ]
    for count, kind, word in ((3, "wrong_type", names[3]), (4, "missing_extra", "rac_unet[generated]")):
        with zipfile.ZipFile(tmp_path / "some.whl", "w") as wheel:
            for name in names[:count]:
                wheel.writestr(name, b"")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with refused(kind, word):
            face_generator.open_generator(str(tmp_path / "some.whl"))
    for text in ("0.9,0.5", "-1", "a", "1,2"):
        with refused("usage", "--truncation", text):
            generated.main(["--wheel", "w", "--output", "o", "--count", "1", f"--truncation={text}"])
