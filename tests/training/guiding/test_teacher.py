"""The teacher of a guided training: its painting enlarged, the loss for it, refused teachers, its own readers."""

import json

import numpy as np
import pytest
import tensorflow as tf

from rac_unet.core import rundir
from rac_unet.core.config import PUBLISHED, GuidanceConfig, LossConfig, ModelConfig, RunConfig, from_dict
from rac_unet.data import pairs
from rac_unet.models import build_configured
from rac_unet.objectives.guidance import low_pass_colour, teacher_distance
from rac_unet.runtime.published import PUBLISHED_WEIGHTS
from rac_unet.training import resuming
from rac_unet.training.guiding.counterfactuals import Guidance, Labels, guidance_lines
from rac_unet.training.guiding.teacher import Teacher, check_teacher, load_teacher
from rac_unet.training.warm_start import guides_of, teacher_facts
from tests.refusals import refused
from tests.training.guiding.test_counterfactuals import batch, draws, guidance, reader


class Echo:
    """A network that paints its input, darker by the index of the requested emotion."""

    def __call__(self, inputs, training):
        assert training is False
        dark = tf.cast(tf.argmax(inputs["emotion"], axis=1), tf.float32)[:, None, None, None]
        return {"inpainted_image": inputs["masked_image"] - 0.01 * dark}


def config(teacher="runs/T", model=None, **settings):
    guided = GuidanceConfig(readers=["a"], teacher=str(teacher), teaching=2.0, **settings)
    return RunConfig(guidance=guided, model=model or ModelConfig(name="rac_unet_lite", image_size=64))


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """A run of 32 px, guided by a reader."""
    found = RunConfig(model=ModelConfig(name="rac_unet_lite", image_size=32, filters=2))
    facts = {"guidance": {"readers": [{"name": "r", "weights_sha256": "a" * 64, "data_fingerprint": None}]}}
    run = rundir.create(tmp_path_factory.mktemp("teacher"), "small", found, facts)
    run.best_weights.parent.mkdir()
    build_configured(found.model).save_weights(run.best_weights)
    return run


def test_a_painting_is_that_of_the_small_picture_enlarged():
    image = np.zeros((2, 8, 8, 3), np.float32)
    image[:, 2:4, 2:4] = np.float32([0, 1])[:, None]
    image[:, :, 4:] = 0.5
    emotion = tf.one_hot([0, 5], 7)
    painted = Teacher("t", Echo(), 4).paint({"masked_image": tf.constant(image), "emotion": emotion}).numpy()
    small = image.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4)) - np.float32([0, 0.05])[:, None, None, None]
    np.testing.assert_allclose(painted, tf.image.resize(small, (8, 8)), atol=1e-6)
    same = Teacher("t", Echo(), 8).paint({"masked_image": tf.constant(image), "emotion": emotion})
    np.testing.assert_allclose(same[0], image[0], atol=1e-6)


def test_shading_counts_and_detail_does_not():
    occlusion = np.zeros((2, 128, 128, 1), np.float32)
    occlusion[0, 60:110, 30:90] = 1
    taught = tf.fill((2, 128, 128, 3), 0.5)
    shaded = tf.fill((2, 128, 128, 3), 0.7)
    np.testing.assert_allclose(
        teacher_distance({"occlusion": occlusion}, {"inpainted_image": shaded}, taught), [0.2, 0], atol=1e-5
    )
    grain = 0.5 + 0.2 * (-1.0) ** np.add.outer(np.arange(128), np.arange(128))[None, :, :, None] * np.ones((2, 1, 1, 3))
    fine = teacher_distance({"occlusion": occlusion}, {"inpainted_image": tf.constant(grain, tf.float32)}, taught)
    assert 0 < fine[0] < 0.02


def test_only_requests_of_other_emotions_keep_to_the_teacher(toy_pairs):
    teacher = Teacher("t", Echo(), 8)
    plain, taught = guidance(toy_pairs), guidance(toy_pairs, teacher=teacher, teaching=3.0)
    targets, outputs = batch(4)
    inputs = {"masked_image": targets["unmasked_image"], "emotion": targets["emotion"]}
    chance = draws(taught, 4)
    asked = tf.constant([1.0, 0.0, 1.0, 0.0])
    labels = Labels(tf.one_hot([6, 6, 0, 6], 7), None, None, asked)
    terms = {name: tf.ones(4) for name in ("l1", "hole_l1", "visible_emotion")}
    before, _ = plain.loss(targets, outputs, terms, labels, chance)
    to_paint = taught.with_teacher(inputs, targets)
    after, values = taught.loss(to_paint, outputs, terms, labels, chance)
    distance = teacher_distance(targets, outputs, teacher.paint(inputs))
    np.testing.assert_allclose(values["teacher"], distance * asked, rtol=1e-5)
    np.testing.assert_allclose(after - before, 3 * distance * asked, rtol=1e-3, atol=1e-5)
    assert taught.means_where_applied({"teacher": 0.1}, 0.5, terms) == {"teacher": 0.2}
    assert "teacher" in taught.names and "teacher" not in plain.names


def test_a_teacher_needs_no_readers(toy_pairs):
    settings = GuidanceConfig(teacher="t", teaching=3.0, colour=2.0)
    teacher = Teacher("t", Echo(), 8)
    losses = LossConfig({"l1": 1.0})
    train = pairs.read(toy_pairs).split("train")
    model = ModelConfig(name="rac_unet_lite")
    guide = Guidance(RunConfig(loss=losses, guidance=settings, model=model), [], train, None, teacher)
    assert settings.is_on and guide.names == ("colour", "donors", "teacher")
    targets, outputs = batch(4)
    inputs = {"masked_image": targets["unmasked_image"], "emotion": targets["emotion"]}
    labels = Labels(tf.one_hot([6, 6, 0, 6], 7), None, None, tf.constant([1.0, 0.0, 1.0, 0.0]))
    to_paint = guide.with_teacher(inputs, targets)
    total, _ = guide.loss(to_paint, outputs, {"l1": tf.fill(4, 5.0)}, labels, draws(guide, 4))
    distance = teacher_distance(targets, outputs, to_paint["taught_image"])
    asked = 3 * distance + 2 * low_pass_colour(targets, outputs)
    np.testing.assert_allclose(total, [asked[0], 5, asked[2], 5], rtol=1e-5)


def test_the_teacher_paints_what_is_requested(toy_pairs):
    taught = guidance(toy_pairs, teacher=Teacher("t", Echo(), 8), teaching=3.0, asked=1.0)
    targets, _ = batch(4)
    inputs = {"masked_image": targets["unmasked_image"], "emotion": targets["emotion"]}
    inputs, to_paint, labels = taught.request_emotions(inputs, targets, draws(taught, 4))
    requested = np.argmax(labels.painted, axis=1)
    assert (requested[:3] != np.argmax(targets["emotion"], axis=1)[:3]).all()
    darker = (targets["unmasked_image"] - to_paint["taught_image"]).numpy().mean(axis=(1, 2, 3))
    np.testing.assert_allclose(darker, 0.01 * requested, atol=1e-5)


def test_a_run_directory_becomes_a_teacher(small_run):
    facts = check_teacher(config(small_run.path))
    assert facts["run"] == small_run.path.name and len(facts["weights_sha256"]) == 64
    teacher = load_teacher(config(small_run.path), tf.distribute.get_strategy())
    assert teacher.image_size == 32 and not teacher.model.trainable_variables
    image = tf.fill((1, 64, 64, 3), 0.5)
    assert teacher.paint({"masked_image": image, "emotion": tf.one_hot([3], 7)}).shape == (1, 64, 64, 3)
    line = guidance_lines(config(small_run.path), [reader()], None, teacher)[1]
    assert small_run.path.name in line and "32 px" in line


def test_without_guidance_there_is_no_teacher():
    assert check_teacher(RunConfig()) == {} and load_teacher(RunConfig(), None) is None


@pytest.mark.skipif(not PUBLISHED_WEIGHTS.is_file(), reason="the float weights are in the repository only")
def test_the_published_network_teaches():
    facts = teacher_facts(config(PUBLISHED, ModelConfig(name="rac_unet_lite", image_size=256)))
    assert facts["run"] == PUBLISHED and facts["guides"]


def test_an_installation_without_the_published_weights_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("rac_unet.runtime.published.PUBLISHED_WEIGHTS", tmp_path / "gone.weights.h5")
    with refused("missing", "guidance.teacher", "gone.weights.h5"):
        check_teacher(config(PUBLISHED))


def test_the_readers_of_a_teacher_are_recorded(small_run, tmp_path):
    facts = teacher_facts(config(small_run.path))
    assert [guide["name"] for guide in facts["guides"]] == ["r"]
    student = rundir.create(tmp_path, "student", RunConfig(), {"guidance": {"readers": [], "teacher": facts}})
    assert [guide["weights_sha256"] for guide in guides_of(student)] == ["a" * 64]


def test_teachers_that_cannot_teach(small_run, tmp_path):
    with refused("missing", "guidance.teacher", "nowhere"):
        check_teacher(config(tmp_path / "nowhere"))
    with refused("mismatch", "guidance.teacher", "32", "48"):
        check_teacher(config(small_run.path, ModelConfig(name="rac_unet_lite", image_size=48)))
    plain = RunConfig(model=ModelConfig(name="rac_unet_lite", image_size=32, filters=2, conditioned=False))
    run = rundir.create(tmp_path, "plain", plain, {})
    run.best_weights.parent.mkdir()
    run.best_weights.write_bytes(b"weights")
    with refused("mismatch", "guidance.teacher", str(run.path)):
        check_teacher(config(run.path))


@pytest.mark.parametrize("values", [{"teacher": "runs/T"}, {"teaching": 1.0}, {"teacher": "runs/T", "teaching": -1}])
def test_settings_out_of_range(values):
    with refused("bad_value", "guidance.teaching"):
        from_dict({"guidance": values})


def test_a_run_goes_on_with_the_same_teacher_only(small_run, tmp_path):
    facts = check_teacher(config(small_run.path))
    run = rundir.RunDir(tmp_path)
    run.provenance_file.write_text(json.dumps({"guidance": {"teacher": {"weights_sha256": "e" * 64}}}))
    for now in (facts, {}):
        with refused("changed", "guidance.teacher", "e" * 12):
            resuming.refuse_changed_teacher(run, now)
    run.provenance_file.write_text(json.dumps({"guidance": {"teacher": facts}}))
    resuming.refuse_changed_teacher(run, facts)
