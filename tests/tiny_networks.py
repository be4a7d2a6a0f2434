"""Networks and a classifier of a few layers under the names of real ones, for tests of resuming, backups and options.

These do not depend on the network, and in a training of a few steps most of the time is spent on tracing and saving a
hundred layers. Each has the relevant parts: an emotion input, convolutions, batch norm.
"""

import keras
from keras import layers

from rac_unet.core.emotions import EMOTIONS

NETWORKS = {
    "rac_unet": "tests.tiny_networks:build_tiny",
    "rac_unet_lite": "tests.tiny_networks:build_tiny_lite",
}
CLASSIFIERS = {"resnet18": "tests.tiny_networks:build_tiny_classifier"}


def build_tiny(filters=2, image_size=32, conditioned=True):
    """A network with the interface of `rac_unet.models.rac_unet.build_rac_unet`."""
    inputs, x = _features(filters, image_size, conditioned)
    painted = layers.Conv2D(3, 3, padding="same", dtype="float32", name="inpainted_image")(x)
    return keras.Model(inputs, {"inpainted_image": painted}, name="rac_unet")


def build_tiny_lite(filters=2, image_size=32, conditioned=True):
    """A network with the interface of `rac_unet.models.rac_unet_lite.build_rac_unet_lite`."""
    inputs, x = _features(filters, image_size, conditioned)
    heads = {"painted_image": 3, "occlusion": 1}
    outputs = {
        name: layers.Conv2D(count, 3, padding="same", activation="sigmoid", dtype="float32", name=name)(x)
        for name, count in heads.items()
    }
    rest = layers.Rescaling(-1.0, 1.0, dtype="float32", name="kept")(outputs["occlusion"])
    parts = [
        layers.Multiply(dtype="float32")([outputs["painted_image"], outputs["occlusion"]]),
        layers.Multiply(dtype="float32")([inputs["masked_image"], rest]),
    ]
    seen = layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="visible_emotion")(
        layers.GlobalAveragePooling2D(name="seen")(x)
    )
    outputs |= {"inpainted_image": layers.Add(dtype="float32", name="inpainted_image")(parts), "visible_emotion": seen}
    return keras.Model(inputs, outputs, name="rac_unet_lite")


def build_tiny_classifier(image_size=128, classes=7, preprocessing="none", filters=4):
    """A network with the interface of `rac_unet.models.classifiers.resnet18.build_resnet18`, without preprocessing."""
    image = keras.Input((image_size, image_size, 3), name="image")
    x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(image)
    x = layers.ReLU(name="stem_act")(layers.BatchNormalization(momentum=0.9, name="stem_bn")(x))
    x = layers.Flatten(name="flat")(layers.AveragePooling2D(image_size // 8, name="pool")(x))
    return keras.Model({"image": image}, {"logits": layers.Dense(classes, dtype="float32", name="logits")(x)})


def _features(filters, image_size, conditioned):
    image = keras.Input((image_size, image_size, 3), name="masked_image")
    inputs = {"masked_image": image}
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="first_conv")(image)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="first_bn")(x)
    if conditioned:
        inputs["emotion"] = keras.Input((len(EMOTIONS),), name="emotion")
        shift = layers.Dense(filters, use_bias=False, name="emotion_shift")(inputs["emotion"])
        x = layers.Add(name="labelled")([x, layers.Reshape((1, 1, filters), name="emotion_plane")(shift)])
    x = layers.ReLU(name="first_act")(x)
    # No bias before a batch norm: its gradient would be only rounding, which Adam turns into full steps.
    x = layers.Conv2D(2 * filters, 3, padding="same", use_bias=False, name="second_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="second_bn")(x)
    return inputs, layers.ReLU(name="second_act")(x)
