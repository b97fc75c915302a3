"""The Makefile: what of its variables, of the shell's and of an earlier command reaches a program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.paths import REPOSITORY

PROGRAM = f"""#!{sys.executable} -E
import json, os, sys
kept = {{name: value for name, value in os.environ.items() if name.startswith("INGEST_")}}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], kept]) + "\\n")
if sys.argv[1:5] == ["-E", "-s", "-m", "jobs.example"]:
    os.makedirs(sys.argv[5])
    open(sys.argv[5] + "/truth.npz", "w")
sys.exit(int(os.environ.get("CODE", 0)))
"""
"""Stands for Python, gcloud and terraform: keeps how it was called."""


@dataclass
class Made:
    """What make did: its exit code, what it said, and each call as (program, arguments, INGEST_*)."""

    code: int
    text: str
    calls: list[tuple[str, list[str], dict[str, str]]]

    @property
    def arguments(self) -> list[str]:
        """Those of the one call of the command line, from the command's name on."""
        ((_, arguments, _),) = [call for call in self.calls if "jobs.cli" in call[1]]
        assert arguments[:4] == ["-E", "-s", "-m", "jobs.cli"]
        return arguments[4:]

    @property
    def ingest(self) -> dict[str, str]:
        """The variables of that call."""
        return next(kept for _, arguments, kept in self.calls if "jobs.cli" in arguments)


@dataclass
class Checkout:
    """A checkout whose Python only says how it was called."""

    folder: Path

    def __call__(self, *arguments: str, **environ: str) -> Made:
        """Runs make with an environment of these variables alone."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        path = f"{self.folder}/programs:{os.environ['PATH']}"
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={"PATH": path, "CALLS": str(calls), **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = calls.read_text().splitlines() if calls.exists() else []
        return Made(done.returncode, done.stdout + done.stderr, [tuple(json.loads(line)) for line in lines])


@pytest.fixture
def make(tmp_path: Path) -> Checkout:
    """The Makefile and what it looks at, with an environment that is up to date."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "programs").mkdir()
    (folder / "terraform").mkdir()
    shutil.copytree(REPOSITORY / "jobs", folder / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    requirements = ("requirements.txt", "requirements-look.txt", "requirements-dev.txt", "constraints.txt")
    for name in ("Makefile", "Dockerfile", *requirements):
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / "shared").mkdir()
    for program in (".venv/bin/python", "programs/gcloud", "programs/terraform"):
        (folder / program).write_text(PROGRAM)
        (folder / program).chmod(0o755)
    for stamp in ("run.stamp", "look.stamp", "dev.stamp"):
        (folder / ".venv" / stamp).touch()
    return Checkout(folder)


RUN = {
    "status": [],
    "verify": [],
    "repair": [],
    "resume": [],
    "reset": [],
    "upgrade": [],
    "failed": [],
    "logs": ["CHUNK=2 0 0 0"],
    "replay": [],
    "discard": ["LAYER=2"],
    "pause": [],
    "show": ["NODE=1"],
    "view": [],
    "layer": ["N=3"],
    "chunk": ["CHUNK=2 0 0 0"],
    "chunk-local": ["CHUNK=2 0 0 0"],
}
"""Targets that are about a run, with what they need besides its graph."""

HOSTILE = {
    name: "1"
    for name in (
        *("DATASET", "GRAPH", "PROJECT", "INSTANCE", "DATABASE", "SCRATCH", "PREFIX", "WORKERS", "MEMORY_MIB"),
        *(
            "TRUTH",
            "TEST",
            "RESUME",
            "SCHEMA",
            "JSON",
            "NODE",
            "N",
            "CHUNK",
            "LAYER",
            "DRY",
            "YES",
            "ALL",
            "REPLACE",
            "SAMPLE",
            "VERIFY",
            "QUEUE",
            "PORT",
        ),
        *(
            "REGION",
            "IMAGE",
            "CLI",
            "PYTHON",
            "EXAMPLE",
            "TRUE",
            "MADE",
            "NAME",
            "TAG",
            "VARS",
            "HERE",
            "PHASE",
            "CDPATH",
        ),
    )
}
"""Variables of other programs in a shell."""


@pytest.mark.parametrize("target", RUN)
def test_nothing_of_the_shell_or_the_example(make: Checkout, target: str) -> None:
    """A run is told its graph and nothing else: no truth, no dataset, nothing that stands in the shell."""
    made = make(target, "GRAPH=x", *RUN[target], **HOSTILE)
    expected = [value.partition("=")[2] for value in RUN[target]]
    assert (made.code, made.arguments) == (0, [target, *expected]), made
    assert made.ingest == {"INGEST_GRAPH": "x"}


@pytest.mark.parametrize("target", ["verify", "resume", "upgrade"])
@pytest.mark.parametrize("given", [[], ["DATASET=example"], ["DATASET=fly", "GRAPH=example"]])
def test_the_truth_is_the_runs(make: Checkout, target: str, given: list[str]) -> None:
    """Only a truth that is named is handed over, whatever dataset and graph are."""
    assert make(target, *given).arguments == [target]
    assert make(target, *given, "TRUTH=my truth.npz").arguments == [target, "--truth", "my truth.npz"]


def test_the_example_has_its_truth(make: Checkout) -> None:
    """The example's ingest gets its truth, after it is made; another dataset's gets none."""
    made = make("ingest", "DATASET=example")
    assert made.arguments == ["ingest", "example", "--truth", "build/example/truth.npz"]
    assert made.calls[0][1][3:5] == ["jobs.example", "build/example.part"]
    assert (make.folder / "build" / "example" / "truth.npz").exists()
    assert len(make("ingest", "DATASET=example").calls) == 1
    assert make("ingest", "DATASET=fly").arguments == ["ingest", "fly"]
    assert make("ingest", "DATASET=an example").arguments == ["ingest", "an example"]


def test_examples_of_segmentations(make: Checkout) -> None:
    """Both are made as one, below one folder; labels of objects alone have no other truth."""
    made = make("ingest", "DATASET=flat")
    assert made.calls[0][1][3:6] == ["jobs.example", "build/segmentation.part", "--segmentation"]
    assert made.arguments == ["ingest", "flat"]
    made = make("ingest", "DATASET=segmentation")
    assert made.arguments == ["ingest", "segmentation", "--truth", "build/segmentation/truth.npz"]


def test_half_an_example_is_made_anew(make: Checkout) -> None:
    """What an interrupted make left is not taken for the example, and is in nobody's way."""
    for name in ("example", "example.part"):
        (make.folder / "build" / name / "ws").mkdir(parents=True)
    assert make("example").code == 0
    assert [path.name for path in (make.folder / "build" / "example").iterdir()] == ["truth.npz"]
    assert make("example").calls == []


@pytest.mark.parametrize("word", ["0", "no", "No", "NO", "false", "FALSE", "off", "", " "])
def test_no_means_no(make: Checkout, word: str) -> None:
    """0, no, false and nothing switch nothing on."""
    assert make("ingest", "DATASET=fly", f"TEST={word}", f"RESUME={word}").arguments == ["ingest", "fly"]
    assert make("reset", "GRAPH=x", f"YES={word}").arguments == ["reset"]
    assert make("status", "GRAPH=x", f"JSON={word}").arguments == ["status"]
    assert make("replay", "GRAPH=x", f"DRY={word}").arguments == ["replay"]


@pytest.mark.parametrize("word", ["1", "yes", "true", "y"])
def test_yes_means_yes(make: Checkout, word: str) -> None:
    """Anything else does."""
    assert make("ingest", "DATASET=fly", f"TEST={word}").arguments == ["ingest", "fly", "--test"]
    assert make("reset", "GRAPH=x", f"YES={word}").arguments == ["reset", "--yes"]


@pytest.mark.parametrize(
    ("name", "graph"),
    [
        ("fly", "fly"),
        ("/a b/fly.yml", "fly"),
        ("my fly.yaml", "my fly"),
        ("a;touch x&&b|c.yml", "a;touch x&&b|c"),
        ('it\'s "quoted".yml', 'it\'s "quoted"'),
        ("`touch x`.yml", "`touch x`"),
        ("a\\b.yml", "a\\b"),
        ("*", "*"),
        ("fly.v2", "fly.v2"),
        ("#fly", "#fly"),
        ("../up/fly.yml", "fly"),
    ],
)
@pytest.mark.parametrize("target", ["ingest", "plan"])
def test_a_name_is_one_name(make: Checkout, target: str, name: str, graph: str) -> None:
    """Whatever a dataset is called, the program gets just that; its graph has its name, whatever the shell's is."""
    made = make(target, f"DATASET={name}", INGEST_GRAPH="other")
    assert (made.code, made.arguments) == (0, [target, name]), made
    assert made.ingest["INGEST_GRAPH"] == graph.replace("|", " ")
    assert not (make.folder / "x").exists()


@pytest.mark.parametrize("value", ["a$$b", "$$(touch x)", "a\nb", "$(shell touch x)"])
@pytest.mark.parametrize("name", ["DATASET", "GRAPH", "NODE", "CHUNK", "TRUTH", "PROJECT", "IMAGE"])
def test_what_cannot_be_safe(make: Checkout, name: str, value: str) -> None:
    """A value that make itself would take apart is refused with its variable, and nothing is started."""
    made = make("status", f"{name}={value}")
    assert made.code == 2 and f"{name} has a $" in made.text and made.calls == []
    assert not (make.folder / "x").exists()


@pytest.mark.parametrize("name", ["GRAPH", "PROJECT", "PREFIX"])
def test_a_shells_own_dollar(make: Checkout, name: str) -> None:
    """So with what the shell says by a variable of ours."""
    made = make("status", **{f"INGEST_{name}": "$(shell touch x)"})
    assert made.code == 2 and f"INGEST_{name} has a $" in made.text
    assert not (make.folder / "x").exists()


def test_an_option_for_a_name(make: Checkout) -> None:
    """A name that begins like an option is no name."""
    made = make("ingest", "DATASET=--help")
    assert made.code == 2 and "begins with a hyphen" in made.text and made.calls == []


@pytest.mark.parametrize("target", ["ingest", "plan", "sample", "tfvars"])
def test_no_dataset(make: Checkout, target: str) -> None:
    """No dataset is a default: what is not said is asked for."""
    made = make(target, INGEST_GRAPH="g")
    assert made.code == 2 and "DATASET is not given" in made.text and made.calls == []


def test_settings(make: Checkout) -> None:
    """The command line's settings come before the shell's INGEST_*; an empty one is none."""
    shell = {"INGEST_PROJECT": "shell", "INGEST_PREFIX": "shell", "INGEST_GRAPH": "shell", "INGEST_SCRATCH": "/s"}
    assert make("status", **shell).ingest == shell
    assert make("status", "PROJECT=mine", "PREFIX=", **shell).ingest == shell | {
        "INGEST_PROJECT": "mine",
        "INGEST_PREFIX": "",
    }


def test_another_projects_installation(make: Checkout) -> None:
    """Region and prefix that a deployment left are those of its project alone."""
    kept = make.folder / "terraform" / "installation.auto.tfvars.json"
    kept.write_text('{\n "prefix": "lab-b",\n "project": "one",\n "region": "asia-east1"\n}\n')
    assert make("status", "GRAPH=x", "PROJECT=one").ingest["INGEST_PREFIX"] == "lab-b"
    for given in (["PROJECT=two"], []):
        assert "INGEST_PREFIX" not in make("status", "GRAPH=x", *given).ingest
    for project, region, one in (("one", "asia-east1", True), ("two", "us-central1", False)):
        made = make("image", f"PROJECT={project}")
        ((_, arguments, _),) = [call for call in made.calls if call[0] == "gcloud"]
        assert f"--region={region}" in arguments
        assert any("lab-b-source" in argument for argument in arguments) == one


def test_a_project_is_one_word(make: Checkout) -> None:
    """What goes to gcloud and Terraform is quoted too, and what was not said is not said there."""
    made = make("deploy", "DATASET=fly", "PROJECT=p; touch x", CDPATH="/tmp")
    assert made.code == 0, made.text
    assert not (make.folder / "x").exists() and not (make.folder / "terraform" / "x").exists()
    phases = [arguments for _, arguments, _ in made.calls if "jobs.deploy" in arguments]
    assert phases and all(arguments[-2:] == ["-var", "project=p; touch x"] for arguments in phases[-1:])


def test_codes(make: Checkout) -> None:
    """A program's own code is printed; make's is 2."""
    made = make("verify", "GRAPH=x", CODE="1")
    assert made.code == 2 and "Error 1" in made.text


def test_clean_needs_no_environment(make: Checkout) -> None:
    """Everything made is removed without Python; where emulators are recorded they are ended first."""
    shutil.rmtree(make.folder / ".venv")
    (make.folder / "build").mkdir()
    made = make("clean")
    assert made.code == 0 and made.calls == [] and not (make.folder / "build").exists()


@pytest.mark.parametrize("code", ["0", "74"])
def test_clean_ends_emulators(make: Checkout, code: str) -> None:
    """`down` comes first where there is something to end; clean goes on where that fails, and says so."""
    (make.folder / "build" / "local").mkdir(parents=True)
    (make.folder / "build" / "local" / "emulators.json").write_text("{}")
    made = make("clean", CODE=code)
    assert (made.code, made.arguments) == (0, ["down"])
    assert ("left to themselves" in made.text) == (code != "0")
    assert not (make.folder / ".venv").exists()


def test_clean_with_a_broken_environment(make: Checkout) -> None:
    """Nor does a Python that is gone keep anything from being removed."""
    (make.folder / "build" / "local").mkdir(parents=True)
    (make.folder / "build" / "local" / "emulators.json").write_text("{}")
    python = make.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/none/python3")
    assert make("clean").code == 0
    assert not (make.folder / ".venv").exists() and not (make.folder / "build").exists()


def test_an_unreadable_checkout(make: Checkout) -> None:
    """Where Python could not even begin, the code is not that of a violation."""
    (make.folder / "jobs" / "cli.py").unlink()
    made = make("status", "GRAPH=x")
    assert made.code == 2 and "Error 74" in made.text and "not all files of this checkout" in made.text
    assert made.calls == []
