"""Train, score and compare the systems of a plan, as far as time allows: `python -m rac_unet.study PLAN --output DIR`.

Each step is one of the other commands, in a process of its own, printed as it is run. What is there is not made again:
a system whose evaluation folder is in DIR is finished, whether its weights still exist or not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

from rac_unet.core.config import RunConfig, differences, to_dict, write_yaml
from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.rundir import CLASSIFIER, RunDir, open_run
from rac_unet.objectives.extractor_files import find_extractor_file
from rac_unet.runtime.classifier import classifier_facts
from rac_unet.studies.plan import Plan, options, read_plan, slug
from rac_unet.studies.steps import Steps, Terminated, TimeIsUp

# What `compare` reads, scores.csv last: it is what says that the folder is whole. And sheets to look at, smaller.
KEPT = ("metrics.json", "provenance.json", "history.csv", "faces.jpg", "scores.csv")
SHEETS = ("samples.png", "emotions.jpg")


def main(argv: list[str] | None = None) -> int:
    """Run what the plan still lacks, then compare; exit code 3 when the time was up before everything was done.

    After SIGTERM or SIGHUP the exit code is 130, as that of `train`, once what was running has saved its state.
    """
    args = _parser().parse_args(argv)
    plan = read_plan(args.plan, args.features, args.feature_weights)
    if bool(args.data) == bool(plan.toys):
        raise UserError(
            f"{args.plan} draws its own faces (toys); leave out --data"
            if args.data
            else f"{args.plan} draws no faces of its own; give the pairs with --data D",
            "usage",
        )
    if args.data:
        from rac_unet.pairing.opening import read_pairs

        # Said here, it is one message; said by the first step, it would be two.
        read_pairs(args.data)
    find_extractor_file(plan.features, plan.feature_weights)
    if plan.brisque:
        from rac_unet.scoring.brisque import require_brisque

        require_brisque()
    study = _Study(plan, args.data, args.output, args.runs / args.output.resolve().name, args.max_minutes)
    study.refuse_other_settings()
    try:
        code = 0
        try:
            study.make_everything()
        except TimeIsUp:
            print(
                f"stopped  the {args.max_minutes:g} minutes are up; everything is saved. Run the same command to go on"
            )
            code = 3
        study.compare()
        return code
    except Terminated as name:
        print(f"stopped  by {name}; everything is saved. Run the same command to go on")
        return 130


class _Study:
    def __init__(self, plan: Plan, data: Path | None, output: Path, runs: Path, minutes: float):
        self.plan, self.output, self.runs = plan, output, runs
        self.pairs = data or runs / "pairs"
        self._steps = Steps(minutes)

    def make_everything(self) -> None:
        """Every step whose product is not there yet, in order. Raises: TimeIsUp, UserError."""
        missing = [name for name in self.plan.systems if not self._scored(name)]
        done = len(self.plan.systems) - len(missing)
        print(f"study    {self.plan.title}: {done} of {len(self.plan.systems)} systems are there")
        needs_masked = self.plan.masked_classifier and not self._emotions("masked").is_file()
        if not missing and not needs_masked:
            return
        if self.plan.toys:
            self._steps.run("data_prep.toy", "--output", self.pairs, *options(self.plan.toys))
        judge = self._classifier("unmasked") if missing else None
        if judge:
            self._refuse_another_judge(judge)
        if needs_masked:
            self._classifier("masked")
        for number_, name in enumerate(missing, done + 1):
            print(f"system   {number_} of {len(self.plan.systems)}: {name}")
            self._system(name, judge)

    def compare(self) -> None:
        """The report, of those that are finished; none when there is nothing to compare."""
        scored = [name for name in self.plan.systems if self._scored(name)]
        if scored:
            words = [f"{self._folder(name)}={name}" for name in scored]
            self._steps.run(
                "rac_unet.compare", *words, "--output", self.output, "--title", self.plan.title, timed=False
            )

    def refuse_other_settings(self) -> None:
        """Raise UserError where a finished system or a begun run was made by other settings than the plan's."""
        for name, config in self.plan.systems.items():
            folder, run = self._folder(name), self._run(name)
            found = {}
            if self._scored(name):
                found[folder] = json.loads((folder / "provenance.json").read_text(encoding="utf-8")).get("config", {})
            elif run:
                found[run.path] = to_dict(run.config())
            for path, settings in found.items():
                if changed := differences(settings, to_dict(config)):
                    raise UserError(
                        f"{path} was made with other settings than the plan's {name} ({'; '.join(changed)}); remove it "
                        "to make it again, or give another --output",
                        "changed",
                    )

    def _refuse_another_judge(self, judge: RunDir) -> None:
        """Raise UserError where the finished systems were judged by other weights, before hours are spent."""
        here = classifier_facts(judge.path)["weights_sha256"]
        for name in filter(self._scored, self.plan.systems):
            metrics = json.loads((self._folder(name) / "metrics.json").read_text(encoding="utf-8"))
            if metrics.get("emotion", {}).get("classifier", {}).get("weights_sha256") != here:
                raise UserError(
                    f"{self._folder(name)} was judged by another classifier than {judge.path}, so the two cannot be "
                    f"compared; bring back the runs it was made with as {self.runs}, or remove the finished systems",
                    "mismatch",
                )

    def _system(self, name: str, judge: RunDir) -> None:
        run = self._run(name)
        if run is None or not _finished(run, self.plan.systems[name]):
            self._train(name, run)
            run = self._run(name)
        extras = ["--control"] * self.plan.systems[name].model.conditioned + ["--brisque"] * self.plan.brisque
        self._steps.run(
            "rac_unet.evaluate",
            run.path,
            "--classifier",
            judge.path,
            "--features",
            self.plan.features,
            *(["--feature_weights", self.plan.feature_weights] * self._published()),
            *extras,
        )
        made, folder = run.evaluation("test"), self._folder(name)
        for file in SHEETS:
            if file.endswith(".jpg") and (made / file).is_file():
                self._copy(made / file, folder / file)
            elif (made / file).is_file():
                _as_jpeg(made / file, (folder / file).with_suffix(".jpg"))
        for file in KEPT:
            self._copy(made / file, folder / file)
        print(f"kept     {folder}")

    def _train(self, name: str, run: RunDir | None) -> None:
        if run:
            self._steps.run("rac_unet.train", "--resume", run.path)
            return
        config = self.plan.systems[name]
        config = replace(config, data=replace(config.data, path=str(self.pairs.absolute())))
        file = self.runs / "plans" / f"{slug(name)}.yaml"
        write_text(file, write_yaml(config))
        self._steps.run("rac_unet.train", "--config", file, "--runs", self._home(name))

    def _classifier(self, view: str) -> RunDir:
        """Train a classifier that is not there yet, and keep what it reads of the test split."""
        # Named after its settings, so that a plan with others has another.
        asked = json.dumps([self.plan.classifier, self.plan.classifier_toys], sort_keys=True).encode()
        home = self.runs / f"classifier-{view}-{hashlib.blake2b(asked, digest_size=4).hexdigest()}"
        data = self.pairs
        if view == "unmasked" and self.plan.classifier_toys:
            data = self.runs / "classifier-pairs"
            self._steps.run("data_prep.toy", "--output", data, *options(self.plan.classifier_toys))
        run = _newest(home)
        if run is None or not (run.evaluation("test") / "emotions.json").is_file():
            begin = ["--data.path", data, "--view", view, "--runs", home, *options(self.plan.classifier)]
            self._steps.run("rac_unet.train_classifier", *(["--resume", run.path] if run else begin))
        run = open_run(_newest(home).path, kind=CLASSIFIER)
        self._copy(run.evaluation("test") / "emotions.json", self._emotions(view))
        return run

    def _published(self) -> bool:
        return not self.plan.features.endswith(".keras")

    def _folder(self, name: str) -> Path:
        return self.output / slug(name)

    def _home(self, name: str) -> Path:
        return self.runs / slug(name)

    def _emotions(self, view: str) -> Path:
        return self.output / f"classifier-{view}" / "emotions.json"

    def _scored(self, name: str) -> bool:
        return (self._folder(name) / "scores.csv").is_file()

    def _run(self, name: str) -> RunDir | None:
        return _newest(self._home(name))

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _as_jpeg(source: Path, target: Path) -> None:
    import cv2

    content = cv2.imencode(".jpg", cv2.imread(str(source)), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    replace_file(target, lambda temporary: temporary.write_bytes(content))


def _newest(home: Path) -> RunDir | None:
    runs = sorted(path.parent for path in home.glob("*/config.yaml"))
    return RunDir(runs[-1]) if runs else None


def _finished(run: RunDir, config: RunConfig) -> bool:
    """Whether the last of the epochs asked for has been validated."""
    history = run.history()
    return bool(history) and history[-1]["epoch"] >= config.training.epochs - 1e-3


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.study",
        description="Train, score and compare the systems of a plan; what is there already is not made again.",
        epilog="example: python -m rac_unet.study results/toy_ambiguous/plan.yaml --output results/toy_ambiguous",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="YAML file; results/*/plan.yaml are examples")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", default=argparse.SUPPRESS, help="where results are kept"
    )
    parser.add_argument("--data", type=Path, metavar="D", help="pairs, where the plan draws no faces of its own")
    parser.add_argument(
        "--features", metavar="NAME", help="instead of the plan's extractor: vgg19, vgg16, a .keras file"
    )
    parser.add_argument("--feature_weights", metavar="W", help="of vgg19 and vgg16: imagenet, none, or a file")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run directories go")
    parser.add_argument(
        "--max_minutes",
        type=number(float, 0),
        default=0.0,
        metavar="X",
        help="stop, resumably, after this long; 0 for no limit",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
