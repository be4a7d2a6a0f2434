"""Run a study: train, score and compare the systems of a plan, each step in a new process, and skip what exists."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

from rac_unet.core.config import RunConfig, differences, to_dict, write_yaml
from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.rundir import CLASSIFIER, RunDir, open_run
from rac_unet.runtime.classifier import classifier_facts
from rac_unet.studies.plan import Plan, options, slug
from rac_unet.studies.steps import Steps

# Files of an evaluation that `compare` reads. scores.csv is copied last: it marks a system as finished.
KEPT = ("metrics.json", "provenance.json", "history.csv", "faces.jpg", "scores.csv")
# Sheets of an evaluation, kept as JPEG.
SHEETS = ("samples.png", "emotions.jpg")


class Study:
    """The systems of a plan, their runs and their evaluations.

    A system is finished if its evaluation is in `output`, whether its run still exists or not.

    Args:
        plan: what to train and score.
        data: pairs data set; None if the plan draws its own faces.
        output: folder of the report, with a folder per system.
        runs: folder for the run directories.
        minutes: time limit; 0 for none.
    """

    def __init__(self, plan: Plan, data: Path | None, output: Path, runs: Path, minutes: float):
        self._plan, self._output, self._runs = plan, output, runs
        self._pairs = data or runs / "pairs"
        self._steps = Steps(minutes)

    def check_settings(self) -> None:
        """Raise UserError if a finished system or an existing run has other settings than the plan."""
        for name, config in self._plan.systems.items():
            folder, run = self._folder(name), self._newest_run(name)
            if self._is_finished(name):
                where = folder
                settings = json.loads((folder / "provenance.json").read_text(encoding="utf-8")).get("config", {})
            elif run:
                where, settings = run.path, to_dict(run.config())
            else:
                continue
            if changed := differences(settings, to_dict(config)):
                raise UserError(
                    f"{where} has other settings than {name} in the plan ({'; '.join(changed)}); remove it to train "
                    "the system again, or choose another --output",
                    "changed",
                )

    def make_missing(self) -> None:
        """Train and score the systems that are not finished, in the plan's order. Raises: TimeIsUp, UserError."""
        missing = [name for name in self._plan.systems if not self._is_finished(name)]
        done = len(self._plan.systems) - len(missing)
        print(f"study    {self._plan.title}: {done} of {len(self._plan.systems)} systems are finished")
        needs_masked = self._plan.masked_classifier and not self._emotions("masked").is_file()
        if not missing and not needs_masked:
            return
        if self._plan.toys:
            self._steps.run("data_prep.toy", "--output", self._pairs, *options(self._plan.toys))
        judge = self._classifier("unmasked") if missing else None
        if judge:
            self._check_judge(judge)
        if needs_masked:
            self._classifier("masked")
        for number, name in enumerate(missing, done + 1):
            print(f"system   {number} of {len(self._plan.systems)}: {name}")
            run = self._trained(name)
            self._score(name, run, judge)
            self._keep(name, run)

    def compare(self) -> None:
        """Make the report of the finished systems, if there are any."""
        finished = [name for name in self._plan.systems if self._is_finished(name)]
        if finished:
            words = [f"{self._folder(name)}={name}" for name in finished]
            title = ("--title", self._plan.title)
            self._steps.run("rac_unet.compare", *words, "--output", self._output, *title, timed=False)

    def _classifier(self, view: str) -> RunDir:
        """Return the classifier of a view, trained if necessary, and keep its readings of the test split."""
        # Named after its settings, so that a plan with other settings trains another one.
        settings = json.dumps([self._plan.classifier, self._plan.classifier_toys], sort_keys=True).encode()
        home = self._runs / f"classifier-{view}-{hashlib.blake2b(settings, digest_size=4).hexdigest()}"
        data = self._pairs
        if view == "unmasked" and self._plan.classifier_toys:
            data = self._runs / "classifier-pairs"
            self._steps.run("data_prep.toy", "--output", data, *options(self._plan.classifier_toys))
        run = _newest(home)
        if run is None or not (run.evaluation("test") / "emotions.json").is_file():
            start = ["--data.path", data, "--view", view, "--runs", home, *options(self._plan.classifier)]
            self._steps.run("rac_unet.train_classifier", *(["--resume", run.path] if run else start))
        run = open_run(_newest(home).path, kind=CLASSIFIER)
        _copy(run.evaluation("test") / "emotions.json", self._emotions(view))
        return run

    def _check_judge(self, judge: RunDir) -> None:
        """Raise UserError if another classifier judged the finished systems, before hours of training."""
        here = classifier_facts(judge.path)["weights_sha256"]
        for name in filter(self._is_finished, self._plan.systems):
            metrics = json.loads((self._folder(name) / "metrics.json").read_text(encoding="utf-8"))
            if metrics.get("emotion", {}).get("classifier", {}).get("weights_sha256") != here:
                raise UserError(
                    f"{self._folder(name)} was judged by another classifier than {judge.path}, so the systems cannot "
                    f"be compared; restore the original runs as {self._runs}, or remove the finished systems",
                    "mismatch",
                )

    def _trained(self, name: str) -> RunDir:
        """Return the run of a system after its last epoch: trained, resumed, or as it is."""
        config, run = self._plan.systems[name], self._newest_run(name)
        if run and _is_trained(run, config):
            return run
        if run:
            self._steps.run("rac_unet.train", "--resume", run.path)
        else:
            config = replace(config, data=replace(config.data, path=str(self._pairs.absolute())))
            file = self._runs / "plans" / f"{slug(name)}.yaml"
            write_text(file, write_yaml(config))
            self._steps.run("rac_unet.train", "--config", file, "--runs", self._home(name))
        return self._newest_run(name)

    def _score(self, name: str, run: RunDir, judge: RunDir) -> None:
        plan = self._plan
        words = [run.path, "--classifier", judge.path, "--features", plan.features]
        if not plan.features.endswith(".keras"):
            words += ["--feature_weights", plan.feature_weights]
        if plan.systems[name].model.conditioned:
            words.append("--control")
        if plan.brisque:
            words.append("--brisque")
        self._steps.run("rac_unet.evaluate", *words)

    def _keep(self, name: str, run: RunDir) -> None:
        """Copy the evaluation of a run into the report."""
        evaluation, folder = run.evaluation("test"), self._folder(name)
        for sheet in SHEETS:
            if (evaluation / sheet).is_file():
                if sheet.endswith(".jpg"):
                    _copy(evaluation / sheet, folder / sheet)
                else:
                    _write_jpeg(evaluation / sheet, (folder / sheet).with_suffix(".jpg"))
        for file in KEPT:
            _copy(evaluation / file, folder / file)
        print(f"kept     {folder}")

    def _folder(self, name: str) -> Path:
        return self._output / slug(name)

    def _emotions(self, view: str) -> Path:
        return self._output / f"classifier-{view}" / "emotions.json"

    def _is_finished(self, name: str) -> bool:
        return (self._folder(name) / "scores.csv").is_file()

    def _home(self, name: str) -> Path:
        return self._runs / slug(name)

    def _newest_run(self, name: str) -> RunDir | None:
        return _newest(self._home(name))


def _newest(home: Path) -> RunDir | None:
    runs = sorted(path.parent for path in home.glob("*/config.yaml"))
    return RunDir(runs[-1]) if runs else None


def _is_trained(run: RunDir, config: RunConfig) -> bool:
    """Return whether the last of the config's epochs has been validated."""
    history = run.history()
    return bool(history) and history[-1]["epoch"] >= config.training.epochs - 1e-3


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write_jpeg(source: Path, target: Path) -> None:
    import cv2

    content = cv2.imencode(".jpg", cv2.imread(str(source)), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    replace_file(target, lambda temporary: temporary.write_bytes(content))
