"""RAC-UNET: paint back the half of a face that a mask hides, showing a given emotion."""

import os

# TensorFlow reads these when it is first imported. Without the first it keeps its slow convolutions on processors that
# lack AVX-512 (training is 1.6 times as fast with it here); without the second it fills every log with hardware notes.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
