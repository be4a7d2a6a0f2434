"""Guidance in a step: for which images another emotion is requested, the loss of each image, refused readers."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from rac_unet.core import config as configs
from rac_unet.core import rundir
from rac_unet.core.config import GuidanceConfig, LossConfig, RunConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.data import pairs
from rac_unet.data.draws import AUGMENTATION, READER, REQUEST
from rac_unet.objectives.guidance import low_pass_colour, neighbours, transplanted
from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, write_classifier
from rac_unet.train import main
from rac_unet.training import resuming
from rac_unet.training.arguments import parse
from rac_unet.training.guiding.adversary import Adversary
from rac_unet.training.guiding.counterfactuals import Guidance, Labels, guidance_lines, read_emotion
from rac_unet.training.guiding.donors import Donors
from rac_unet.training.guiding.readers import Reader, check_readers, emotion_frequencies, load_readers
from tests.refusals import refused

SIDE = 8


class Brightness:
    """A reader that takes bright faces for its last class: its logit is four times their mean."""

    def __call__(self, inputs, training):
        assert training is False
        mean = tf.reduce_mean(inputs["image"], axis=[1, 2, 3])
        return {"logits": tf.concat([tf.zeros((tf.shape(mean)[0], 6)), 4 * mean[:, None]], axis=1)}


def reader(classes=EMOTIONS):
    return Reader("brightness", Brightness(), tuple(classes), SIDE)


def guidance(toy_pairs, readers=None, faces=None, teacher=None, **settings):
    readers = readers or [reader()]
    settings |= {"teacher": "t"} if teacher else {}
    settings = {"readers": ["a"] * len(readers), "weight": 0.5, "colour": 2.0, "margin": 0.1} | settings
    config = RunConfig(
        loss=LossConfig({"l1": 1.0, "hole_l1": 3.0, "visible_emotion": 0.25}),
        guidance=GuidanceConfig(**settings),
        model=configs.ModelConfig(name="rac_unet_lite"),
    )
    return Guidance(config, readers, pairs.read(toy_pairs).split("train"), faces, teacher)


def batch(count=6, seed=0):
    """Targets and outputs; the last picture is a bare face."""
    rng = np.random.default_rng(seed)
    occlusion = np.zeros((count, SIDE, SIDE, 1), np.float32)
    occlusion[:-1, 4:, 2:6] = 1
    truth, painted = (rng.random((count, SIDE, SIDE, 3)).astype(np.float32) for _ in range(2))
    emotion = np.eye(7, dtype=np.float32)[np.arange(count) % 7]
    targets = {"unmasked_image": truth, "occlusion": occlusion, "emotion": emotion}
    return {name: tf.constant(value) for name, value in targets.items()}, {"inpainted_image": tf.constant(painted)}


def draws(guide, count, **columns):
    """Random numbers in the layout of the pipeline, 0.5 except for the given parts of `REQUEST`."""
    made = np.full((count, AUGMENTATION.count + guide.draws), 0.5, np.float32)
    for name, values in columns.items():
        REQUEST.part(made[:, AUGMENTATION.count :], name)[:] = values
    return tf.constant(made)


def test_another_emotion_is_requested_for_a_share_of_the_masked_faces(toy_pairs):
    guide = guidance(toy_pairs, asked=0.6)
    targets, _ = batch()
    withheld = targets["emotion"] * np.array([1, 1, 0, 0, 1, 1], np.float32)[:, None]
    inputs = {"masked_image": "as it was", "emotion": withheld}
    chance = draws(guide, 6, chosen=[0.0, 0.59, 0.59, 0.61, 0.99, 0.0], emotion=[0, 0.2, 0.9, 0, 0, 0])
    given, wanted, labels = guide.request_emotions(inputs, targets, chance)
    np.testing.assert_array_equal(labels.counterfactual, [1, 1, 1, 0, 0, 0])  # the last one has no mask
    assert given["masked_image"] == "as it was"
    own, painted = targets["emotion"].numpy(), given["emotion"].numpy()
    np.testing.assert_array_equal(painted, labels.painted)
    assert (painted[:3].sum(axis=1) == 1).all() and ((painted * own).sum(axis=1)[:3] == 0).all()
    np.testing.assert_array_equal(painted[3:], withheld[3:])
    # A real face keeps its label, unless it was withheld from what is painted; wrong ones are wrong.
    np.testing.assert_array_equal(labels.own, np.where([[1], [1], [1], [0], [1], [1]], own, 0))
    wrong = labels.wrong.numpy()
    assert (wrong.sum(axis=1) == 1).all() and (wrong * own).sum() == 0


def test_donors_are_neighbours_whose_emotion_is_requested(toy_pairs):
    guide = guidance(toy_pairs, asked=0.6, donors=0.5)
    targets, _ = batch(7)
    targets["emotion"] = tf.constant(np.eye(7, dtype=np.float32)[[0, 1, 2, 2, 4, 5, 6]] * 0.9 + 0.1 / 7)
    chance = draws(guide, 7, chosen=[0, 0, 0, 0, 0.7, 0, 0], emotion=[0.2, 0.7, 0, 0, 0, 0, 0])
    given, wanted, labels = guide.request_emotions({"emotion": targets["emotion"]}, targets, chance)
    # 2 and 3 show the same, 4 is left as it is by chance, 6 has no neighbour.
    np.testing.assert_array_equal(labels.counterfactual, [1, 1, 0, 0, 0, 1, 0])
    own = targets["emotion"].numpy()
    np.testing.assert_allclose(given["emotion"], [np.eye(7)[1], own[0], own[2], own[3], own[4], np.eye(7)[4], own[6]])
    truth, face = targets["unmasked_image"].numpy(), wanted["unmasked_image"].numpy()
    changed = (face != truth).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, [1, 1, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(face[0], transplanted(targets, neighbours(targets["unmasked_image"]))[0])
    assert "donors" in guide.names


def test_a_composite_is_labelled_with_the_emotion_that_the_readers_read(toy_pairs):
    """The reader takes faces for surprise unless they are bright; then for neutral."""
    images = np.repeat(np.uint8([0, 255] * 3 + [255])[:, None, None, None], SIDE, 1).repeat(SIDE, 2).repeat(3, 3)
    donors = Donors(images, np.ones(7, np.int32), np.zeros((7, 128), np.float32))
    guide = guidance(
        toy_pairs, faces=donors, asked=1.0, donors=0.5, donor_faces="a", emotion_weights={"fear": 1.0, "disgust": 1.0}
    )
    targets, _ = batch(4)
    given, wanted, labels = guide.request_emotions(
        {"emotion": targets["emotion"]}, targets, draws(guide, 4, chosen=0.0)
    )
    np.testing.assert_array_equal(labels.counterfactual, [1, 1, 1, 0])
    faces, truth = wanted["unmasked_image"].numpy(), targets["unmasked_image"].numpy()
    read = tf.argmax(read_emotion(reader(), faces), axis=1).numpy()
    np.testing.assert_array_equal(given["emotion"].numpy().argmax(axis=1)[:3], read[:3])
    assert (faces[:3] != truth[:3]).any() and (faces[3] == truth[3]).all()


def test_the_best_of_several_donors_is_the_ground_truth(toy_pairs):
    faces = np.random.default_rng(3).integers(0, 256, (14, SIDE, SIDE, 3), np.uint8)
    donors = Donors(faces, np.full(7, 2, np.int32), np.zeros((14, 128), np.float32))
    targets, _ = batch(7)
    request = np.eye(7, dtype=np.float32)[[0, 1, 2, 3, 6, 6, 6]]
    draw = np.linspace(0, 0.99, 7, dtype=np.float32)
    read, every = {}, []
    for tries in (1, 4):
        guide = guidance(toy_pairs, faces=donors, donors=0.5, donor_faces="a", donor_tries=tries)
        composite, probabilities = guide._best_composite(targets, request, draw)
        np.testing.assert_allclose(tf.nn.softmax(read_emotion(reader(), composite)), probabilities, atol=1e-5)
        read[tries] = (request * probabilities).numpy().sum(axis=1)
    for shift in (0, 0.25, 0.5, 0.75):  # two donors of each emotion, and their mirror images
        donor = donors.pick(request, (draw + shift) % 1.0, targets["occlusion"])
        seen = tf.nn.softmax(read_emotion(reader(), transplanted(targets, donor)))
        every.append((request * seen).numpy().sum(axis=1))
    np.testing.assert_allclose(read[1], every[0], atol=1e-5)
    np.testing.assert_allclose(read[4], np.max(every, axis=0), atol=1e-5)
    assert (read[4] - read[1]).max() > 0.001


def test_donors_turned_like_the_face_are_tried(toy_pairs):
    faces = np.random.default_rng(3).integers(0, 256, (14, SIDE, SIDE, 3), np.uint8)
    turns = np.random.default_rng(4).normal(size=(14, 128)).astype(np.float32)
    donors = Donors(faces, np.full(7, 2, np.int32), turns)
    targets, _ = batch(7)
    request, draw = np.eye(7, dtype=np.float32), np.full(7, 0.9, np.float32)
    guide = guidance(toy_pairs, faces=donors, donors=0.5, donor_faces="a", donor_nearest=0.25)
    nearest = donors.pick(request, draw, targets["occlusion"], 0.25)
    composite, _ = guide._best_composite(targets, request, draw)
    np.testing.assert_allclose(composite, transplanted(targets, nearest), atol=1e-6)
    assert np.abs(nearest - donors.pick(request, draw, targets["occlusion"])).max() > 0.1


def test_likeness_to_donors_has_a_weight_of_its_own(toy_pairs):
    targets, outputs = batch(4)
    request = np.eye(7, dtype=np.float32)[[6, 6, 0, 6]]
    labels = Labels(request, None, None, tf.constant([1.0, 0.0, 1.0, 0.0]))
    terms = {name: tf.fill(4, value) for name, value in (("l1", 1.0), ("hole_l1", 10.0), ("visible_emotion", 100.0))}
    totals = []
    for donors in (0.0, 0.5):
        guide = guidance(toy_pairs, donors=donors)
        total, values = guide.loss(targets, outputs, terms, labels, draws(guide, 4))
        totals.append(total.numpy())
    np.testing.assert_allclose(totals[1] - totals[0], [0.5 * 31, 0, 0.5 * 31, 0], rtol=1e-4)
    np.testing.assert_allclose(values["donors"], [31, 0, 31, 0])


def test_the_loss_of_each_image(toy_pairs):
    readers = [reader(), reader(sorted(EMOTIONS))]
    guide = guidance(toy_pairs, readers)
    targets, outputs = batch(4)
    request = np.eye(7, dtype=np.float32)[[6, 6, 0, 6]]
    labels = Labels(request, None, None, tf.constant([1.0, 0.0, 1.0, 0.0]))
    terms = {
        name: tf.constant([1.0, 2.0, 3.0, 4.0]) * f
        for name, f in (("l1", 1), ("hole_l1", 10), ("visible_emotion", 100))
    }
    # 0.5 neither moves nor relights a crop; 0 does not blur it.
    chance = draws(guide, 4).numpy()
    for i in range(len(readers)):
        READER.part(chance[:, AUGMENTATION.count + REQUEST.count + READER.count * i :], "blur")[:] = 0
    total, values = guide.loss(targets, outputs, terms, labels, tf.constant(chance))

    hidden = targets["occlusion"].numpy()
    faces = hidden * outputs["inpainted_image"].numpy() + (1 - hidden) * targets["unmasked_image"].numpy()
    likely = np.exp(4 * faces.mean(axis=(1, 2, 3)))
    read = likely / (6 + likely)
    # The first calls bright faces by the last of EMOTIONS, neutral; the second by the last of the alphabet, surprise.
    assert EMOTIONS[6] == "neutral" and EMOTIONS[0] == sorted(EMOTIONS)[6] == "surprise"
    for i, picture in ((0, 0), (2, 2)):
        hinges = [max(-np.log(p) - 0.1, 0) for p in (read[picture], 1 / (6 + likely[picture]))]
        np.testing.assert_allclose(values["readers"][i], np.mean(hinges), rtol=1e-4)
        assert values["readers_accuracy"][i] == 0.5
    colour = low_pass_colour(targets, outputs).numpy()
    np.testing.assert_allclose(values["colour"], colour * [1, 0, 1, 0], rtol=1e-5)
    asked = 0.5 * values["readers"].numpy() + 2 * colour
    np.testing.assert_allclose(total, [25 + asked[0], 2 + 60 + 50, 75 + asked[2], 4 + 120 + 100], rtol=1e-5)
    np.testing.assert_allclose(values["l1"], [0, 2, 0, 4])
    np.testing.assert_allclose(values["visible_emotion"], [100, 200, 300, 400])
    # The means over those that a term applies to: two of four pictures.
    means = {name: float(tf.reduce_mean(value)) for name, value in values.items()} | {"val_l1": 5.0}
    shown = guide.means_where_applied(means, 0.5, terms)
    assert shown["l1"] == 3 and shown["visible_emotion"] == 250 and shown["readers_accuracy"] == 0.5
    assert shown["val_l1"] == 5
    assert guide.means_where_applied({"l1": 0.0, "readers": 2.0}, 1.0, terms) == {"l1": 0.0, "readers": 2.0}


def test_gradients_of_readers_and_discriminators_reach_only_the_hole(toy_pairs):
    guide = guidance(toy_pairs, conditional=True)
    settings = RunConfig(
        loss=LossConfig({"l1": 1.0}, adversarial=1.0),
        guidance=GuidanceConfig(readers=["a"]),
        model=configs.ModelConfig(image_size=32),
    )
    adversary = Adversary(settings, 1)
    rng = np.random.default_rng(0)
    occlusion = np.zeros((2, 32, 32, 1), np.float32)
    occlusion[0, 16:30, 6:26] = 1
    targets = {
        "unmasked_image": tf.constant(rng.random((2, 32, 32, 3)), tf.float32),
        "occlusion": tf.constant(occlusion),
    }
    painted = tf.constant(rng.random((2, 32, 32, 3)), tf.float32)
    label = np.eye(7, dtype=np.float32)[[1, 1]]
    labels = Labels(label, label, label, tf.ones(2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(painted)
        outputs = {"inpainted_image": painted}
        nothing = {name: tf.zeros(2) for name in ("l1", "hole_l1", "visible_emotion")}
        read, _ = guide.loss(targets, outputs, nothing, labels, draws(guide, 2))
        judged = adversary.generator_loss(targets, outputs, labels)
    for loss in (read, judged):
        reached = np.abs(tape.gradient(loss, painted).numpy()).sum(axis=-1, keepdims=True) > 0
        assert reached[0].sum() > 0.9 * occlusion[0].sum()
        assert not (reached & (occlusion == 0)).any()


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_discriminators_learn_to_distinguish_right_from_wrong_labels(precision):
    """Faces are bright for fear and dark for disgust, painted ones too, so that wrong labels alone teach anything."""
    keras.utils.set_random_seed(0)
    settings = RunConfig(
        loss=LossConfig({"l1": 1.0}, adversarial=1.0),
        guidance=GuidanceConfig(readers=["a"]),
        model=configs.ModelConfig(image_size=32),
        optimizer=configs.OptimizerConfig(learning_rate=5e-3),
    )
    adversary = Adversary(settings, 1, precision)
    fear, disgust = np.eye(7, dtype=np.float32)[[1, 2]]
    own = tf.constant([fear, disgust] * 2)
    bright = tf.constant([0.9, 0.1, 0.9, 0.1])[:, None, None, None] * tf.ones((4, 32, 32, 3))
    targets = {"unmasked_image": bright, "occlusion": tf.ones((4, 32, 32, 1))}
    outputs = {"inpainted_image": bright}
    labels = Labels(own, own, own[::-1], tf.zeros(4))

    @tf.function
    def learn():
        loss, gradients = adversary.discriminator_gradients(targets, outputs, 1, labels)
        adversary.apply(gradients)
        return loss

    losses = [float(tf.reduce_mean(learn())) for _ in range(60)]
    np.testing.assert_allclose(losses[0], 2.0, atol=0.4)
    assert losses[-1] < 0.8 * losses[0]
    grey = tf.fill((4, 32, 32, 3), 0.5)
    with tf.GradientTape() as tape:
        tape.watch(grey)
        judged = adversary.generator_loss(targets, {"inpainted_image": grey}, labels)
    wanted = -tf.reduce_mean(tape.gradient(judged, grey), axis=[1, 2, 3]).numpy()
    assert wanted[0] > wanted[1], "fear is to become brighter than disgust"


def test_plain_discriminators_see_no_label():
    for settings, shapes in (
        ({}, [(1, 4, 4, 1)]),
        ({"readers": ["a"], "conditional": False, "two_scales": False}, [(1, 4, 4, 1)]),
        ({"readers": ["a"], "two_scales": False}, [(1, 4, 4, 8)]),
        ({"readers": ["a"]}, [(1, 4, 4, 8), (1, 1, 1, 8)]),
    ):
        config = RunConfig(
            loss=LossConfig(adversarial=1.0),
            guidance=GuidanceConfig(**settings),
            model=configs.ModelConfig(image_size=32),
        )
        assert [(1, *model.output_shape[1:]) for model in Adversary(config, 1).models] == shapes


def test_validation_asks_each_picture_for_the_same_and_weighs_as_training_does(toy_pairs):
    guide = guidance(toy_pairs, asked=0.6)
    targets, outputs = batch(7)
    request = guide.validation_request(targets).numpy()
    assert (request.sum(axis=1) == 1).all() and (request * targets["emotion"]).numpy().sum() == 0
    backwards = guide.validation_request({name: value[::-1] for name, value in targets.items()}).numpy()
    np.testing.assert_array_equal(backwards[::-1], request)
    terms = {"l1": tf.ones(7), "hole_l1": tf.zeros(7), "visible_emotion": tf.zeros(7)}
    total, guided = guide.validation_loss(targets, terms, outputs, request)
    expected = 0.4 + 0.6 * (0.5 * guided["readers"] + 2 * guided["colour"])
    np.testing.assert_allclose(total[:6], expected[:6], rtol=1e-5)
    assert total[6] == 1 and guided["readers"][6] == 0  # no mask, no request


def test_readers_are_read_by_name():
    image = tf.ones((1, SIDE, SIDE, 3))
    assert EMOTIONS[int(tf.argmax(read_emotion(reader(), image)[0]))] == "neutral"
    assert EMOTIONS[int(tf.argmax(read_emotion(reader(sorted(EMOTIONS)), image)[0]))] == "surprise"


@pytest.fixture(scope="module")
def reader_run(tmp_path_factory):
    """A reader's run directory, whose classes are in alphabetical order."""
    config = ClassifierConfig(tuple(sorted(EMOTIONS)), image_size=32, filters=2)
    keras.utils.set_random_seed(0)
    model, path = build_classifier(config), tmp_path_factory.mktemp("readers") / "reader"
    return write_classifier(path, model, config, {"data_fingerprint": "f" * 64}), model


def test_a_run_directory_becomes_a_reader(reader_run):
    run, model = reader_run
    (facts,) = check_readers([run.path])
    assert facts["name"] == "reader" and facts["data_fingerprint"] == "f" * 64 and len(facts["weights_sha256"]) == 64
    (opened,) = load_readers([run.path], tf.distribute.get_strategy())
    image = tf.random.stateless_uniform((2, 32, 32, 3), (1, 2))
    expected = model({"image": image}, training=False)["logits"].numpy()
    expected = expected[:, [sorted(EMOTIONS).index(name) for name in EMOTIONS]]
    np.testing.assert_allclose(read_emotion(opened, image), expected, atol=1e-4)
    assert opened.model.trainable_variables == []


def test_readers_that_cannot_guide(reader_run, tmp_path):
    run, _ = reader_run
    with pytest.raises(UserError) as caught:
        check_readers([tmp_path / "nowhere"])
    assert "guidance.readers" in str(caught.value) and str(tmp_path / "nowhere") in str(caught.value)
    painter = rundir.create(tmp_path, "painter", RunConfig(), {})
    with pytest.raises(UserError) as caught:
        check_readers([run.path, painter.path])
    assert "guidance.readers" in str(caught.value) and str(painter.path) in str(caught.value)
    with refused("usage", "guidance.readers", "copy"):
        check_readers([run.path, shutil.copytree(run.path, tmp_path / "copy")])
    spoiled = rundir.RunDir(tmp_path / "copy")
    text = spoiled.config_file.read_text()
    spoiled.config_file.write_text(text.replace("head: trained", "head: untrained"))
    with refused("mismatch", "guidance.readers", spoiled.path):
        check_readers([spoiled.path])
    spoiled.config_file.write_text(text.replace("- anger", "- contempt"))
    with pytest.raises(UserError) as caught:
        check_readers([spoiled.path])
    assert "contempt" in str(caught.value) and str(spoiled.path) in str(caught.value)


def test_changed_readers_are_refused(reader_run):
    facts = check_readers([reader_run[0].path])
    other = {**facts[0], "weights_sha256": "0" * 64}

    class Run:
        path = "runs/x"

        def provenance(self):
            return {"guidance": {"readers": facts}}

    resuming.refuse_changed_readers(Run(), [{**facts[0], "name": "moved"}])
    for now in ([other], [facts[0], other], []):
        with refused("changed", "runs/x", facts[0]["weights_sha256"][:12]):
            resuming.refuse_changed_readers(Run(), now)


def test_mistakes_are_refused_before_anything_is_made(reader_run, toy_pairs, tmp_path):
    words = ["--preset", "smoke", "--data.path", str(toy_pairs), "--runs", str(tmp_path / "runs")]
    guided = [*words, "--guidance.readers", f"[{reader_run[0].path}]"]
    with refused("mismatch", "guidance.readers", "model.conditioned"):
        main([*guided, "--model.conditioned", "false"])
    with refused("usage", "training.freeze_batch_norm", "--init_from"):
        main([*words, "--training.freeze_batch_norm", "true"])
    rows = [row for row in pairs.read(toy_pairs) if row.emotion == "fear" or row.split != "train"]
    columns = pairs.IMAGE_COLUMNS
    rows = [replace(row, **{c: f"{toy_pairs.name}/{getattr(row, c)}" for c in columns}) for row in rows]
    table = toy_pairs.parent / "fear_alone.csv"
    pairs.write(table, rows)
    with refused("mismatch", "guidance.readers", "'fear'"):
        main([*guided, "--data.path", str(table)])
    assert not (tmp_path / "runs").exists()


def test_shares_of_emotions_count_what_is_shown(toy_pairs):
    train = pairs.read(toy_pairs).split("train")
    np.testing.assert_allclose(emotion_frequencies(train), np.full(7, 1 / 7), atol=1e-6)
    weights = np.where(train.frame["emotion"] == "fear", 8.0, 1.0)
    weighted = replace(train, frame=train.frame.assign(weight=weights))
    np.testing.assert_allclose(emotion_frequencies(weighted)[EMOTIONS.index("fear")], 8 / 14, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"asked": 0}, "guidance.asked"),
        ({"asked": 1.1}, "guidance.asked"),
        ({"margin": -0.1}, "guidance.margin"),
        ({"weight": -1}, "guidance.weight"),
        ({"colour": "much"}, "guidance.colour"),
        ({"readers": "runs/A"}, "guidance.readers"),
        ({"readers": [3]}, "guidance.readers"),
        ({"emotion_weights": {"joy": 2}}, "guidance.emotion_weights"),
        ({"donors": 0.5, "donor_faces": "a", "donor_tries": 0}, "guidance.donor_tries"),
        ({"donors": 0.5, "donor_tries": 2}, "guidance.donor_tries"),
        ({"donors": 0.5, "donor_faces": "a", "donor_nearest": 0}, "guidance.donor_nearest"),
        ({"donors": 0.5, "donor_nearest": 0.5}, "guidance.donor_nearest"),
        ({"donors": 0.5, "donor_faces": "a", "teacher": "t", "teaching": 1}, "guidance.donor_faces"),
        ({"emotion_weights": {"fear": -2}}, "guidance.emotion_weights.fear"),
        ({"emotion_weights": dict.fromkeys(EMOTIONS[1:], 0)}, "guidance.emotion_weights"),
    ],
)
def test_settings_out_of_range(values, name):
    with pytest.raises(UserError) as caught:
        configs.from_dict({"guidance": values})
    assert name in str(caught.value)


def test_settings_on_the_command_line_and_in_yaml(tmp_path):
    words = ["--guidance.readers", "[runs/A, runs/B]", "--guidance.emotion_weights", "{fear: 2}"]
    made = parse(["--preset", "smoke", *words, "--guidance.asked", "0.5"]).config
    assert made.guidance.is_on and made.guidance.readers == ["runs/A", "runs/B"]
    assert made.guidance.emotion_weights == {"fear": 2.0} and made.guidance.asked == 0.5
    file = tmp_path / "config.yaml"
    file.write_text(configs.write_yaml(made))
    assert configs.from_dict(configs.read_yaml(file)) == made
    assert not configs.from_dict({}).guidance.is_on


def test_settings_that_paint_unnatural_faces_are_warned_of():
    def warnings(adversarial, asked):
        config = RunConfig(
            loss=LossConfig(adversarial=adversarial), guidance=GuidanceConfig(readers=["a"], asked=asked)
        )
        return [line for line in guidance_lines(config, [reader()]) if line.startswith("warning")]

    assert warnings(0.1, 0.6) == []
    assert len(warnings(0.0, 0.6)) == 1 and "loss.adversarial" in warnings(0.0, 0.6)[0]
    assert len(warnings(0.0, 1.0)) == 2 and "guidance.asked" in warnings(0.1, 1.0)[0]
