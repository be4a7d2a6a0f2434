"""The random numbers of a pair keep their positions, on which published and interrupted runs depend."""

import numpy as np

from rac_unet.data.draws import AUGMENTATION, READER, REQUEST, guidance_count, split_draws


def places(layout, draws, *names):
    return {name: layout.part(draws, name).ravel().tolist() for name in names}


def test_each_number_is_where_published_runs_have_it():
    draws = split_draws(np.arange(30)[None], readers=2)
    names = ("flip", "relight", "label_dropout", "jitter", "mixup", "recolour")
    assert places(AUGMENTATION, draws.augmentation, *names) == {
        "flip": [0],
        "relight": [1, 2, 3, 4, 5],
        "label_dropout": [6],
        "jitter": [7, 8, 9, 10],
        "mixup": [11],
        "recolour": [12, 13, 14, 15],
    }
    assert places(REQUEST, draws.request, "chosen", "emotion", "wrong_label", "donor") == {
        "chosen": [16],
        "emotion": [17],
        "wrong_label": [18],
        "donor": [19],
    }
    second = places(READER, draws.readers[1], "shift", "zoom", "blur", "gain")
    assert second == {"shift": [25, 26], "zoom": [27], "blur": [28], "gain": [29]}
    assert (AUGMENTATION.count, guidance_count(2)) == (16, 14)
