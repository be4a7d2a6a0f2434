"""The files to upload: which wheels are downloaded, the content of the folder, and clean failures."""

import json
import subprocess
import sys
import zipfile

import pytest

from kaggle_kernels import gather_wheels
from rac_unet.core.errors import UserError
from tests.refusals import refused

NAMES = ("compare", "export", "prepare-data", "quickstart", "train", "train-classifier")


def fake_wheel(folder, name, version="1.0", needs=()):
    """A wheel with only its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {need}" for need in needs),
    ]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
    return path


@pytest.fixture
def index(monkeypatch):
    """A fake package index, name -> requirements; its downloads are listed in `asked`."""

    class Index(dict):
        asked = []

    index = Index()
    index.asked = []

    def download(need, folder, python):
        index.asked.append(need.name)
        if need.name not in index:
            raise UserError(f"no wheel of {need.name} for Python {python}", "download")
        return fake_wheel(folder, need.name.replace("-", "_"), needs=index[need.name])

    monkeypatch.setattr(gather_wheels, "_download", download)
    return index


def test_only_missing_packages_are_downloaded_with_their_requirements(index, tmp_path):
    index |= {"new-one": ["numpy>=1.20", "Deep_Er>=1; python_version >= '3.12'", "windows; sys_platform == 'win32'"]}
    index |= {"deep-er": [], "Deep_Er": []}
    needs = ["numpy>=1.26", "new-one>=1", "tensorflow>=2.19,<2.22; extra == 'train'", "other; extra == 'brisque'"]
    project = fake_wheel(tmp_path / "project", "rac_unet", needs=needs)
    folder = tmp_path / "wheels"
    folder.mkdir()
    gather_wheels.download_needs(project, folder, "3.12")
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"new_one", "Deep_Er"}


@pytest.mark.parametrize("need", ["keras>=99", "keras>=99; extra == 'train'", "new-one"])
def test_an_incompatible_version_on_kaggle_is_refused(index, tmp_path, need):
    index["new-one"] = ["keras>=99"]
    project = fake_wheel(tmp_path, "rac_unet", needs=[need])
    with refused("mismatch", "keras>=99", "kaggle_packages.txt", "3.13.2"):
        gather_wheels.download_needs(project, tmp_path, "3.12")


def test_what_training_needs_is_kaggles_own(index, tmp_path):
    """The notebooks install the core alone; nothing else that they import would be there."""
    index["new-one"] = []
    project = fake_wheel(tmp_path, "rac_unet", needs=["new-one; extra == 'train'"])
    with refused("mismatch", "new-one", "kaggle_packages.txt"):
        gather_wheels.download_needs(project, tmp_path, "3.12")
    assert index.asked == []


def test_all_requirements_of_the_project_are_listed_or_downloaded(index, tmp_path):
    """With the real wheel and list: TensorFlow and Kaggle's other packages are not downloaded."""
    index["ai-edge-litert"] = []
    project = gather_wheels.build_wheel(tmp_path)
    gather_wheels.download_needs(project, tmp_path, "3.12")
    assert index.asked == ["ai-edge-litert"]


def test_metadata_of_the_data_set(tmp_path):
    """As documented by Kaggle/kaggle-cli: title of 6 to 50 characters, slug of 3 to 50, one licence."""
    gather_wheels.write_dataset_metadata(tmp_path, "someone")
    values = json.loads((tmp_path / "dataset-metadata.json").read_text())
    assert set(values) <= {"title", "subtitle", "description", "id", "licenses", "resources", "keywords"}
    owner, slug = values["id"].split("/")
    assert owner == "someone" and 3 <= len(slug) <= 50 and 6 <= len(values["title"]) <= 50
    assert values["licenses"] == [{"name": "other"}]
    assert values["title"].lower().replace(" ", "-") == slug


def test_the_owner_is_written_into_every_notebook(tmp_path):
    assert tuple(gather_wheels.copy_kernels(tmp_path, "someone")) == NAMES
    for name in NAMES:
        text = (tmp_path / name / "kernel-metadata.json").read_text()
        assert gather_wheels.PLACEHOLDER not in text and json.loads(text)["id"] == f"someone/rac-unet-{name}"
        assert (tmp_path / name / f"{name}.ipynb").is_file()


def test_nothing_remains_after_an_error(index, tmp_path):
    with refused("download", "3.12"):
        gather_wheels.main(["--output", str(tmp_path / "upload")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--output"),
        (["--output", "."], "exists already"),
        (["--output", "README.md/x"], "is not a folder"),
        (["--output", "x", "--python", "three"], "not a Python version"),
        (["--output", "x", "--owner", "a/b"], "not a Kaggle user name"),
    ],
)
def test_mistakes_are_refused_with_one_line(words, message):
    done = subprocess.run(
        [sys.executable, "-m", "kaggle_kernels.gather_wheels", *words],
        cwd=gather_wheels.HERE.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ") and message in done.stderr
