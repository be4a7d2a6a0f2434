"""The emotion reader of masked faces: written from a classifier, loaded without TensorFlow, used for `auto`."""

import cv2
import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.frames import picture_in_crop
from rac_unet.exporting.reader_writing import CROP, reader_model, write_reader
from rac_unet.runtime.classifier import ClassifierConfig, build_classifier
from rac_unet.runtime.emotion_reader import load_emotion_reader
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_READER
from rac_unet.unmasking import networks
from rac_unet.unmasking import photo as photo_module
from rac_unet.unmasking.photo import Unmasker
from tests.drawn_masks import drawn_photo, green_runner
from tests.refusals import refused

FER = (0.764, 0.5, 0.43)
BIAS = np.array([0.1, 0, -0.1, 0, 0.05, 0, 0])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a reader file of random weights, crops, their logits (mean with the mirror image) and the file's error."""
    import keras

    keras.utils.set_random_seed(0)
    config = ClassifierConfig(EMOTIONS[::-1], "small_reader", 4, 48, "grey", frame=FER)
    model = build_classifier(config)
    pictures = np.random.default_rng(0).random((6, 12, 12, 3)).astype(np.float32)
    pictures = np.stack([cv2.resize(picture, (48, 48)) for picture in pictures])
    looks = (pictures, pictures[:, :, ::-1])
    logits = np.mean([model({"image": look}, training=False)["logits"].numpy() for look in looks], axis=0)
    crops = np.stack([picture_in_crop(picture, FER, CROP) for picture in pictures])
    path = tmp_path_factory.mktemp("reader") / "reader.tflite"
    difference = write_reader(reader_model(model, config, 0.1, BIAS), path, crops)
    return path, crops, logits, difference


def test_it_equals_the_classifier_on_the_frame(written):
    path, crops, logits, difference = written
    reader = load_emotion_reader(path, 1)
    read = reader(crops)
    # From the classifier's order of classes to ours, with the bias, divided by the temperature.
    powers = np.exp(10 * (logits[:, ::-1] + BIAS))
    expected = powers / powers.sum(1, keepdims=True)
    assert reader.image_size == 128 and expected.std() > 0.02
    np.testing.assert_allclose(read, expected, atol=0.03)
    np.testing.assert_allclose(read.sum(1), 1, atol=1e-5)
    assert 0 <= difference < 0.01


def test_pixels_outside_the_frame_do_not_count(written):
    path, crops, _, _ = written
    reader, others = load_emotion_reader(path), crops.copy()
    others[:, :6], others[:, 104:], others[:, :, :15], others[:, :, 113:] = 0, 1, 0.5, 0
    np.testing.assert_array_equal(reader(crops), reader(others))


def test_a_file_with_other_probabilities_is_not_kept(tmp_path, monkeypatch):
    from rac_unet.exporting import reader_writing

    config = ClassifierConfig(EMOTIONS, "small_reader", 2, 48, "grey")
    model = reader_model(build_classifier(config), config)
    wrong = np.eye(7, dtype=np.float32)[[3]]
    monkeypatch.setattr(reader_writing, "write_lite_weights8", lambda model, path: path.write_bytes(b""))
    monkeypatch.setattr(reader_writing, "load_emotion_reader", lambda path: lambda crops: wrong)
    with refused("failed_check"):
        write_reader(model, tmp_path / "r.tflite", np.zeros((1, 128, 128, 3), np.float32))
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(tmp_path):
    with refused("missing", "none.tflite"):
        load_emotion_reader(tmp_path / "none.tflite")
    with refused("wrong_type", PUBLISHED_NETWORK.name):
        load_emotion_reader(PUBLISHED_NETWORK)
    (tmp_path / "text.tflite").write_text("hello, I am text")
    with refused("unreadable", "text.tflite"):
        load_emotion_reader(tmp_path / "text.tflite")


@pytest.fixture
def reader(monkeypatch, tmp_path):
    """Replace the published reader by one that always reads fear; return a list of its inputs."""
    given, opened = [], []

    def read(crops):
        given.append(crops)
        return np.tile(np.float32([0, 0.9, 0, 0, 0, 0.1, 0]), (len(crops), 1))

    monkeypatch.setattr(networks, "load_runner", lambda path, threads=None: green_runner())
    monkeypatch.setattr(photo_module, "load_emotion_reader", lambda path, threads: opened.append(path) or read)
    file = tmp_path / "visible_emotion.tflite"
    file.write_bytes(b"")
    monkeypatch.setattr(networks, "PUBLISHED_READER", file)
    monkeypatch.setattr(networks, "PUBLISHED_PORTRAIT", file.with_name("none.tflite"))
    return given, opened


def test_auto_uses_the_published_reader_only_with_the_published_network(reader, monkeypatch):
    given, opened = reader
    photo, unmasker = drawn_photo(people=2), Unmasker()
    named = unmasker.unmask(photo, "anger")
    assert {face.emotion for face in named.faces} == {"anger"} and not opened
    for _ in range(2):
        faces = unmasker.unmask(photo).faces
        assert [(face.emotion, face.confidence) for face in faces] == [("fear", pytest.approx(0.9))] * 2
    assert len(opened) == 1 and given[0].shape == (2, 128, 128, 3)
    assert Unmasker("green.tflite").unmask(photo).faces[0].emotion == "happiness"
    monkeypatch.setattr(networks, "PUBLISHED_READER", opened[0].with_name("none.tflite"))
    assert Unmasker().unmask(photo).faces[0].emotion == "happiness" and len(opened) == 1


def test_the_emotion_is_read_in_the_usual_crop_when_a_wider_crop_is_painted(reader):
    given, _ = reader
    photo, unmasker = drawn_photo(edge=120), Unmasker()
    (usual,) = unmasker.find_faces(photo)
    tip, low = (cv2.invertAffineTransform(usual.matrix) @ (64, y, 1) for y in (129, 70))
    cv2.line(photo, np.rint(low).astype(int).tolist(), np.rint(tip).astype(int).tolist(), (0, 255, 0), 24)
    (cut,) = unmasker.find_faces(photo)
    assert np.hypot(*cut.matrix[0, :2]) < 0.95 * np.hypot(*usual.matrix[0, :2])
    unmasker.unmask(photo)
    np.testing.assert_array_equal(given[-1], cut.usual[None])
    top = slice(0, 60)
    assert 2 * np.abs(cut.usual - usual.crop)[top].mean() < np.abs(cut.crop - usual.crop)[top].mean()


@pytest.mark.skipif(not PUBLISHED_READER.is_file(), reason="no published reader")
def test_the_published_reader_reads():
    read = load_emotion_reader(PUBLISHED_READER)(np.full((2, 128, 128, 3), 0.5, np.float32))
    assert read.shape == (2, 7) and PUBLISHED_READER.stat().st_size < 1_000_000
    np.testing.assert_allclose(read.sum(1), 1, atol=1e-5)
