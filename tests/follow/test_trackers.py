"""The other trackers: each as it is, offline, where its package is installed; and each against a stand-in of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from small_runs import png, small_run, stats

from zerosum.errors import UserError
from zerosum.follow.items import Config, Numbers, Pictures, Place, Rewound, Tracker, Words

ITEMS = [
    Config({"recipe": "dcgan", "seed": 1, "dials": {"width": 4, "loss": None}, "resolved": {"a": [1]}}),
    Numbers(100, {"critic.loss": 0.5, "kernel (track400, ema)": 0.25}),
    Pictures(100, "samples", png()),
    Words(100, "dead (act): <b>"),
    Rewound(50),
    Numbers(100, {"critic.loss": 0.75}),
]


class Heard:
    """Stands for anything: every call on it or below it is written down."""

    def __init__(self, calls: list[tuple[Any, ...]], name: str = "", **known: Any) -> None:
        self.__dict__.update(known, _calls=calls, _name=name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Heard(self._calls, f"{self._name}.{name}".lstrip("."))

    def __call__(self, *given: Any, **named: Any) -> Any:
        self._calls.append((self._name, *given, *named.items()))
        return self


Stand = tuple[dict[str, ModuleType | SimpleNamespace], list[tuple[Any, ...]]]


def stand_in_for_wandb() -> Stand:
    calls: list[tuple[Any, ...]] = []
    run = Heard(calls, "run", offline=True, settings=SimpleNamespace(sync_dir="DIR"))

    def init(**given: Any) -> Heard:
        calls.append(("init", given["mode"], given["id"], given["resume"], given["project"]))
        return run

    known = SimpleNamespace(settings=SimpleNamespace(api_key=None, mode="online", base_url="https://api.wandb.ai"))
    package = SimpleNamespace(
        Settings=dict,
        init=init,
        setup=lambda: known,
        errors=SimpleNamespace(Error=OSError),
        Image=lambda image: ("image", image.size),
        Html=lambda text, inject: ("html", text),
    )
    return {"wandb": package}, calls


def stand_in_for_trackio() -> Stand:
    calls: list[tuple[Any, ...]] = []

    def init(project: str, **given: Any) -> Heard:
        if project.startswith("registry-"):
            raise ValueError("reserved")
        calls.append(("init", given["name"], given["resume"], given["config"]["seed"]))
        return Heard(calls, "run")

    package = SimpleNamespace(
        init=init,
        finish=lambda: calls.append(("finish",)),
        Image=lambda image: ("image", image.size),
        Markdown=lambda text: ("markdown", text),
    )
    return {"trackio": package}, calls


def stand_in_for_mlflow() -> Stand:
    calls: list[tuple[Any, ...]] = []

    class Client(Heard):
        def __init__(self, uri: str | None) -> None:
            super().__init__(calls, "client", tracking_uri=uri)

        def get_experiment_by_name(self, name: str) -> None:
            return None

        def search_runs(self, experiments: list[Any], which: str) -> list[Any]:
            return [SimpleNamespace(info=SimpleNamespace(run_id="7"), data=SimpleNamespace(params={"seed": "1"}))]

    names = SimpleNamespace(
        Metric=lambda *parts: (parts[0], parts[1], parts[3]), Param=lambda *parts: parts, MlflowException=OSError
    )
    return {
        "mlflow": SimpleNamespace(MlflowClient=Client, entities=names, exceptions=names),
        "mlflow.entities": names,
        "mlflow.exceptions": names,
    }, calls


WANDB = [
    ("init", "offline", "id", "allow", "zerosum"),
    ("run.define_metric", "images"),
    ("run.define_metric", "*", ("step_metric", "images")),
    ("run.config.update", ITEMS[0].values, ("allow_val_change", True)),
    ("run.log", {"critic.loss": 0.5, "kernel (track400, ema)": 0.25, "images": 100}),
    ("run.log", {"samples": ("image", (30, 20)), "images": 100}),
    ("run.log", {"diagnosis": ("html", "<p>dead (act): &lt;b&gt;</p>"), "images": 100}),
    ("run.log", {"critic.loss": 0.75, "images": 100}),
    ("run.finish",),
]
TRACKIO = [
    ("init", "001-digits-id", "allow", 1),
    ("run.log", {"critic.loss": 0.5, "kernel (track400, ema)": 0.25}, ("step", 100)),
    ("run.log", {"samples": ("image", (30, 20))}, ("step", 100)),
    ("run.log", {"diagnosis": ("markdown", "dead (act): <b>")}, ("step", 100)),
    ("run.log", {"critic.loss": 0.75}, ("step", 100)),
    ("finish",),
]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def passed_on(to: str, stand: Stand, place: Place, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the package was told of one of everything."""
    packages, calls = stand
    monkeypatch.delitem(sys.modules, f"zerosum.follow.{to}", raising=False)
    for name, package in packages.items():
        monkeypatch.setitem(sys.modules, name, package)
    tracker: Tracker = import_module(f"zerosum.follow.{to}").start(place)
    for item in ITEMS:
        tracker.send(item)
    tracker.flush()
    tracker.close()
    monkeypatch.delitem(sys.modules, f"zerosum.follow.{to}")
    return calls


def place(folder: Path, project: str = "zerosum") -> Place:
    return Place(folder, "001-digits", "id", project, ITEMS[0].values, None, lambda text: None)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("to", "stand", "expected"), [("wandb", stand_in_for_wandb, WANDB), ("trackio", stand_in_for_trackio, TRACKIO)]
)
def test_what_a_package_is_told(
    to: str, stand: Callable[[], Stand], expected: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert passed_on(to, stand(), place(tmp_path), monkeypatch) == expected


@pytest.mark.usefixtures("offline")
def test_what_mlflow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = passed_on("mlflow", stand_in_for_mlflow(), place(tmp_path), monkeypatch)
    told = {name: [rest for other, *rest in calls if other == name] for name, *_ in calls}
    metrics = [dict(rest[1:])["metrics"] for rest in told["client.log_batch"] if "metrics" in dict(rest[1:])]
    assert metrics == [[("critic.loss", 0.5, 100), ("kernel track400 ema", 0.25, 100)], [("critic.loss", 0.75, 100)]]
    params = [dict(rest[1:])["params"] for rest in told["client.log_batch"] if "params" in dict(rest[1:])]
    assert params == [[("recipe", "dcgan"), ("dials.width", "4")]]  # the seed is known there
    assert told["client.log_dict"] == [["7", ITEMS[0].values, "recipe.json"]]
    assert told["client.log_image"][0][2:] == [("key", "samples"), ("step", 100)]
    assert told["client.log_text"][0][1] == "dead (act): <b>"
    assert calls[-1] == ("client.set_terminated", "7")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("how", ["WANDB_MODE", "WANDB_API_KEY", "netrc"])
def test_runs_go_online_only_where_the_user_has_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "netrc":
        (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    else:
        monkeypatch.setenv(how, "online")
    assert passed_on("wandb", stand_in_for_wandb(), place(tmp_path), monkeypatch)[0][1] is None


def test_a_project_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="trackio does not take the run"):
        passed_on("trackio", stand_in_for_trackio(), place(tmp_path, "registry-x"), monkeypatch)


def test_names_that_mlflow_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, package in stand_in_for_mlflow()[0].items():
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.delitem(sys.modules, "zerosum.follow.mlflow", raising=False)
    allowed = import_module("zerosum.follow.mlflow").allowed
    monkeypatch.delitem(sys.modules, "zerosum.follow.mlflow")
    assert allowed("kernel (track400, ema)") == "kernel track400 ema"
    assert [allowed(name) for name in ("/../a//./b/", "..", "<>")] == ["a/b", "unnamed", "unnamed"]


FOLLOW = "import sys; from zerosum.follow import track; track(sys.argv[1], sys.argv[2], out=sys.argv[3], once=True)"
READ = {
    "mlflow": """
from mlflow import MlflowClient
client = MlflowClient(f"sqlite:///{sys.argv[1]}/mlflow.db")
(run,) = client.search_runs([client.get_experiment_by_name("zerosum").experiment_id])
print([(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "critic.loss")])
print(run.info.run_name, run.info.status, run.data.params["seed"])
print(sorted({file.path.split("+timestamp")[0] for file in client.list_artifacts(run.info.run_id, "images")}))
print(len(client.list_artifacts(run.info.run_id, "diagnosis")))
""",
    "trackio": """
import os
os.environ["TRACKIO_DIR"] = sys.argv[1]
from trackio import Api
from trackio.sqlite_storage import SQLiteStorage
(run,) = Api().runs("zerosum")
lines = SQLiteStorage.get_logs("zerosum", run.name, run_id=run.id)
print([(line["step"], round(line["critic.loss"], 3)) for line in lines if "critic.loss" in line])
print(run.name.rpartition("-")[0], run.config["seed"])
print(sorted((line["step"], key) for line in lines for key in ("samples", "real", "diagnosis") if key in line))
""",
    "wandb": """
from pathlib import Path
first, second = sorted(Path(sys.argv[1]).glob("wandb/offline-run-*"))
assert first.name.rpartition("-")[2] == second.name.rpartition("-")[2]  # one run, to be sent as one
for folder in (first, second):
    (log,) = folder.glob("*.wandb")
    print([text in log.read_bytes() for text in (b"critic.loss", b"kernel (track400, ema)")])
    print(sorted(path.name.split("_")[0] for path in folder.glob("files/media/*/*")))
""",
}
EXPECTED = {
    "mlflow": [
        "[(100, 0.6), (200, 0.7), (300, 0.8), (350, 0.5)]",
        "001-digits-dcgan FINISHED 1",
        "['images/real+step+0', 'images/samples+step+0', 'images/samples+step+300']",
        "1",
    ],
    "trackio": [
        "[(100, 0.6), (200, 0.7), (300, 0.8), (350, 0.5)]",
        "001-digits-dcgan 1",
        "[(0, 'real'), (0, 'samples'), (300, 'diagnosis'), (300, 'samples')]",
    ],
    "wandb": ["[True, True]", "['diagnosis', 'real', 'samples', 'samples']", "[True, False]", "[]"],
}


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("to", ["wandb", "trackio", "mlflow"])
def test_a_run_in_the_tracker_itself(tmp_path: Path, to: str) -> None:
    """Followed, grown, followed again, and read back, each in a process of its own."""
    pytest.importorskip(to, reason=f"{to} is not installed: each user installs the tracker of their choice")
    run = small_run(tmp_path / "001-digits-dcgan")
    home = {**os.environ, "HOME": str(tmp_path), "DO_NOT_TRACK": "true"}

    def python(*given: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, *given], capture_output=True, text=True, env=home, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    python("-c", FOLLOW, str(run.folder), to, str(tmp_path / "out"))
    stats(run, 350, loss=0.15)
    python("-c", FOLLOW, str(run.folder), to, str(tmp_path / "out"))
    assert python("-c", f"import sys\n{READ[to]}", str(tmp_path / "out")) == EXPECTED[to]
