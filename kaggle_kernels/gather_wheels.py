"""Collect the files to upload to Kaggle: the wheels its image lacks, and the notebooks with your user name.

    python -m kaggle_kernels.gather_wheels --owner NAME --output upload

upload/wheels         this project and the packages of its core that Kaggle lacks: `kaggle datasets create`
upload/<notebook>     each notebook with its metadata: `kaggle kernels push`

Packages in `kaggle_packages.txt`, such as TensorFlow and NumPy, are not downloaded, so they cannot be replaced.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, one_line, run_command
from rac_unet.core.files.whole import new_folder

HERE = Path(__file__).resolve().parent
PLACEHOLDER = "INSERT_USERNAME_HERE"
METADATA_FILE = "kernel-metadata.json"
PACKAGES_FILE = HERE / "kaggle_packages.txt"
# Extras that the notebooks use; Kaggle has all their packages.
EXTRAS = ("train", "tfds")
# Kaggle's image is Ubuntu 22.04, whose C library is 2.35; older wheels run on it, too.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(35, 16, -1)] + ["manylinux2014_x86_64", "linux_x86_64"]


def main(arguments: list[str] | None = None) -> int:
    """Build and download the wheels, and write the folder; nothing remains after an error."""
    options = _parser().parse_args(arguments)
    output = Path(options.output)
    with new_folder(output) as folder:
        wheels = folder / "wheels"
        wheels.mkdir()
        project = build_wheel(wheels)
        download_needs(project, wheels, options.python)
        write_dataset_metadata(wheels, options.owner)
        kernels = copy_kernels(folder, options.owner)
    for wheel in sorted((output / "wheels").glob("*.whl")):
        print(f"wheel    {wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB)")
    if options.owner == PLACEHOLDER:
        print(f"note: no --owner given; replace {PLACEHOLDER} by your Kaggle user name in all metadata files")
    print(f"wrote    {output / 'wheels'}")
    for name in kernels:
        print(f"wrote    {output / name}")
    print(f"next     kaggle datasets create -p {output / 'wheels'}")
    return 0


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout in `folder`; raises UserError with the last message of a failed build."""
    root = HERE.parent
    with tempfile.TemporaryDirectory(prefix="rac_unet_wheel_") as scratch:
        # In a copy: setuptools leaves a build folder whose old files would get into the next wheel.
        source = Path(scratch) / "source"
        source.mkdir()
        for name in ("rac_unet", "data_prep"):
            shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(root / name, source)
        build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
        done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    if done.returncode:
        raise UserError(
            f"the wheel of rac_unet could not be built: {_last_line(done.stderr)}; pip install 'setuptools>=70.1'",
            "failed_step",
        )
    return next(folder.glob("rac_unet-*.whl"))


def download_needs(project: Path, folder: Path, python: str) -> None:
    """Download the requirements of `project` that Kaggle lacks into `folder`, including indirect ones.

    Args:
        project: a wheel.
        python: version of Kaggle's Python, such as 3.12.
    Raises: UserError when a package has no compatible wheel, or Kaggle lacks a package of an extra that the notebooks
        use, or has it in a version that is not compatible.
    """
    present, core = read_packages(), _needs(project, python)
    others = [need for need in _needs(project, python, *EXTRAS) if need not in core]
    if lacking := [str(need) for need in others if _normal(need.name) not in present]:
        raise UserError(f"{lacking[0]} is needed, but Kaggle does not have it ({PACKAGES_FILE.name})", "mismatch")
    todo = core + others
    while todo:
        need = todo.pop()
        name = _normal(need.name)
        if name in present:
            if not need.specifier.contains(present[name], prereleases=True):
                raise UserError(f"{need} is needed, but Kaggle has {present[name]} ({PACKAGES_FILE.name})", "mismatch")
        elif not any(_normal(wheel.name.split("-")[0]) == name for wheel in folder.glob("*.whl")):
            todo += _needs(_download(need, folder, python), python, *need.extras)


def read_packages() -> dict[str, str]:
    """Return normalised name -> version of the packages in Kaggle's image."""
    lines = PACKAGES_FILE.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {_normal(name): version for name, version in pairs}


def write_dataset_metadata(folder: Path, owner: str) -> None:
    """Write the metadata for `kaggle datasets create` (Kaggle/kaggle-cli, docs/datasets_metadata.md)."""
    values = {"title": "RAC UNET wheels", "id": f"{owner}/rac-unet-wheels", "licenses": [{"name": "other"}]}
    values["description"] = "rac_unet (MIT) and the packages it needs that Kaggle lacks, each under its own licence"
    (folder / "dataset-metadata.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def copy_kernels(folder: Path, owner: str) -> list[str]:
    """Copy every notebook and its metadata with the owner's name into a subfolder; return the names."""
    names = sorted(path.parent.name for path in HERE.glob(f"*/{METADATA_FILE}"))
    for name in names:
        text = (HERE / name / METADATA_FILE).read_text(encoding="utf-8")
        (folder / name).mkdir()
        (folder / name / METADATA_FILE).write_text(text.replace(PLACEHOLDER, owner), encoding="utf-8")
        shutil.copy(HERE / name / json.loads(text)["code_file"], folder / name)
    return names


def _download(need, folder: Path, python: str) -> Path:
    before = set(folder.glob("*.whl"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python, "--dest", str(folder)]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run([*command, f"{need.name}{need.specifier}"], capture_output=True, text=True)
    if done.returncode:
        need = f"{need.name}{need.specifier}"
        raise UserError(
            f"no wheel of {need} for Python {python} could be downloaded: {_last_line(done.stderr)}", "download"
        )
    return (set(folder.glob("*.whl")) - before).pop()


def _needs(wheel: Path, python: str, *extras: str) -> list:
    """Return the requirements of a wheel on Kaggle's machine, with those of the extras."""
    from packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as file:
        name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        required = HeaderParser().parsestr(file.read(name).decode("utf-8")).get_all("Requires-Dist") or []
    machine = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    machine |= {"platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
    needs = (Requirement(text) for text in required)
    return [
        need
        for need in needs
        if not need.marker or any(need.marker.evaluate({**machine, "extra": extra}) for extra in ("", *extras))
    ]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return one_line(Exception(lines[-1].removeprefix("ERROR: "))) if lines else "no message"


def _owner(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a Kaggle user name; it is the last part of your profile's address"
        )
    return text


def _python_version(text: str) -> str:
    if not re.fullmatch(r"3\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a Python version; use, for example, 3.12")
    return text


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m kaggle_kernels.gather_wheels",
        description="Collect the files to upload to Kaggle: the wheels its image lacks, and the notebooks.",
        epilog="example: python -m kaggle_kernels.gather_wheels --owner NAME --output upload",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", required=True, metavar="DIR", default=argparse.SUPPRESS, help="output folder")
    parser.add_argument("--owner", type=_owner, default=PLACEHOLDER, metavar="NAME", help="your Kaggle user name")
    parser.add_argument(
        "--python", type=_python_version, default="3.12", metavar="X.Y", help="version of Kaggle's Python"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
