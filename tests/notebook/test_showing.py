"""Training curves, picture sheets and the machine in a notebook."""

import importlib.metadata

import cv2
import numpy as np
import pytest

from rac_unet import notebook
from tests.refusals import refused


@pytest.fixture
def shown(monkeypatch):
    """Pictures passed to IPython's display, decoded."""
    pictures = []
    decode = lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # noqa: E731
    monkeypatch.setattr("IPython.display.display", lambda image: pictures.append(decode(image.data)))
    return pictures


def test_pictures(tmp_path, shown, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 9, 3), 7, np.uint8))
    notebook.show_pictures(tmp_path / "a.png", tmp_path / "b.png")
    assert [picture.shape for picture in shown] == [(8, 9, 3)]
    assert capsys.readouterr().out == f"{tmp_path / 'a.png'}\n{tmp_path / 'b.png'}: not found\n"
    notebook.show_pictures()
    assert "no pictures yet" in capsys.readouterr().out


NETWORK = "step,epoch,loss,val_loss,val_psnr_composite,val_psnr_hole\n4,0.5,90,80,20,15\n8,1,50,60,22,17\n"
CLASSIFIER = "epoch,loss,val_loss,val_accuracy,val_mean_class_accuracy\n1,2.0,1.9,0.3,0.2\n"
# As if resumed by a version of rac_unet that measures the hole and no longer the composite.
CONTINUED = "step,epoch,loss,val_psnr_composite,val_psnr_hole\n4,0.5,90,20,\n8,1,50,22,\n12,2,40,,17\n16,3,30,,18\n"


@pytest.mark.parametrize("text", [NETWORK, CLASSIFIER, CONTINUED])
def test_curves(tmp_path, shown, text):
    (tmp_path / "history.csv").write_text(text)
    notebook.show_curve(tmp_path / "history.csv")
    (picture,) = shown
    # Both plots contain a coloured line.
    colourful = np.ptp(picture.astype(int), axis=2) > 60
    half = picture.shape[1] // 2
    assert colourful[:, :half].any() and colourful[:, half:].any()


def test_a_curve_before_the_first_validation(tmp_path, shown, capsys):
    notebook.show_curve(tmp_path / "history.csv")
    assert "does not exist yet" in capsys.readouterr().out and not shown


def test_pairs(toy_pairs, tmp_path, shown):
    notebook.show_pairs(toy_pairs, tmp_path / "pairs.png")
    # A row for each emotion.
    assert shown[0].shape[0] > 2 * shown[0].shape[1] * 0.6 and (tmp_path / "pairs.png").exists()


def test_the_machine(capsys):
    notebook.describe_machine()
    said = capsys.readouterr().out
    assert f"tensorflow {importlib.metadata.version('tensorflow')}" in said and "processors" in said
    assert "warning" not in said


def test_packages_of_another_version_or_none(monkeypatch, capsys):
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "requires",
        lambda _: ["keras>=99; extra == 'train'", "numpy", "opencv-python-headless", "x; extra == 'y'"],
    )
    notebook.describe_machine()
    assert f"warning: keras {real('keras')} is installed, but rac_unet needs >=99" in capsys.readouterr().out
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["no_such_package>=1", "numpy"])
    with refused("missing_extra", "no_such_package;"):
        notebook.describe_machine()
