"""The house: arrows point one way, the public names and the options are these and no others, importing is cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zerosum
from zerosum.options.parsing import parse

HOUSE = Path(zerosum.__file__).parent
ORDER = [  # a room may import only rooms above it
    "errors",
    "files",
    "tail",
    "streams",
    "allocator",
    "kept",
    "machine",
    "game",
    "networks",
    "data",
    "metrics",
    "composition",
    "recipe",
    "settings",
    "recipes",
    "run",
    "again",
    "diagnose",
    "training",
    "conformance",
    "generate",
    "interrupt",
    "advice",
    "plan",
    "listing",
    "doctor",
    "tracking",
    "probing",
    "amending",
    "watching",
    "judging",
    "looking",
    "evaluate",
    "compare",
    "diagnosing",
    "report",
    "follow",
    "resuming",
    "launch",
    "preview",
    "progress",
    "options",
    "commands",
    "cli",
    "__main__",
]
APART = {("generate", "training"), ("report", "training")}  # neither needs a trainer
BUDGETS = {"training/trainer.py": 300, "cli.py": 250}
LINES = 320


def room(file: Path) -> str:
    relative = file.relative_to(HOUSE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(file: Path) -> set[str]:
    """Rooms that a file imports, also inside functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: imports are absolute"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name.split(".")[1] for name in names if name.startswith("zerosum.")}
    return found & set(ORDER)


FILES = sorted(file for file in HOUSE.rglob("*.py") if file != HOUSE / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_arrows_point_one_way(file: Path) -> None:
    own = room(file)
    assert own in ORDER, f"{own} has no place in the order"
    for other in imports(file):
        assert ORDER.index(other) <= ORDER.index(own), f"{own} must not import {other}"
        assert (own, other) not in APART


def test_the_order_is_not_idle() -> None:
    """The reader of imports sees them: the trainer is known to import the game, the game knows torch alone."""
    assert "game" in imports(HOUSE / "training" / "trainer.py")
    for file in (HOUSE / "game").glob("*.py"):
        assert imports(file) <= {"game"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_files_stay_short(file: Path) -> None:
    limit = BUDGETS.get(str(file.relative_to(HOUSE)), LINES)
    assert len(file.read_text().splitlines()) <= limit


def test_public_names() -> None:
    assert zerosum.__all__ == [
        "Game",
        "Generator",
        "Recipe",
        "Run",
        "Stopped",
        "UserError",
        "__version__",
        "augment",
        "conformance",
        "load",
        "losses",
        "metrics",
        "networks",
        "penalties",
        "recipes",
        "schedules",
        "terms",
        "train",
    ]
    for name in zerosum.__all__:
        assert getattr(zerosum, name) is not None
    assert set(dir(zerosum)) == set(zerosum.__all__)
    with pytest.raises(AttributeError):
        _ = zerosum.nonsense


OPTIONS = {
    "train": "data recipe out images time resolution batch seed device engine fit broken data_root set fork amendments "
    "act dry_run",
    "sample": "run seeds out label truncation",
    "evaluate": "target against metrics draws weights which device json data_root",
    "compare": "runs plot out",
    "diagnose": "target against json data_root",
    "report": "runs out",
    "watch": "folder port host",
    "track": "run to out project once",
    "recipes": "name",
    "doctor": "resolution device",
    "data check": "data json out data_root",
    "data prepare": "data resolution channels fit broken out data_root",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_the_options_are_these(command: str) -> None:
    """The command line does not grow by accident: adding an option means changing this list on purpose."""
    needed = {"doctor": [], "track": ["x", "--to", "tensorboard"]}.get(command, ["x"])
    assert " ".join(vars(parse([*command.split(), *needed]))) == OPTIONS[command]


def test_importing_and_help_import_no_torch() -> None:
    code = (
        "import sys, zerosum, zerosum.cli\n"
        "try: zerosum.cli.main(['train', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_leaves_the_allocator_alone() -> None:
    """Only the command line changes settings of the whole process."""
    callers = [file for file in FILES if "tune_allocator" in file.read_text()]
    assert {room(file) for file in callers} == {"allocator", "commands"}


def test_the_changelog_knows_this_version() -> None:
    changelog = Path(__file__).parents[1] / "CHANGELOG.md"
    assert f"## {zerosum.__version__}" in changelog.read_text()


def test_links_in_the_documents_lead_somewhere() -> None:
    top = Path(__file__).parents[1]
    for page in [top / "README.md", *top.glob("docs/**/*.md"), *top.glob("results/*.md"), *top.glob("bench/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
