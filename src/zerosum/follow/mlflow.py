"""MLflow: a run that goes on under the same identity, in the store that the user has configured.

Of a run that was rewound what was sent of later steps stays in a metric's history, with the new values after it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from mlflow import MlflowClient  # pyrefly: ignore [missing-import] - each user installs the tracker of their choice
from mlflow.entities import Metric, Param  # pyrefly: ignore [missing-import]
from mlflow.exceptions import MlflowException  # pyrefly: ignore [missing-import]

from zerosum import files
from zerosum.errors import UserError
from zerosum.follow.items import Config, Item, Numbers, Pictures, Place, Rewound, Words
from zerosum.follow.sheets import opened

IDENTITY = "zerosum.id"


def start(place: Place) -> Mlflow:
    """Open the run, in a database below ``place.out`` or where MLflow is set to.

    Raises:
        UserError: MLflow refuses it.
    """
    try:
        client = MlflowClient(None if place.out is None else _database(place.out))
        found = client.get_experiment_by_name(place.project)
        where = None if place.out is None else (place.out.resolve() / "artifacts").as_uri()
        experiment = client.create_experiment(place.project, where) if found is None else found.experiment_id
        known = client.search_runs([experiment], f"tags.`{IDENTITY}` = '{place.id}'")
        run = known[0] if known else client.create_run(experiment, tags={IDENTITY: place.id}, run_name=place.name)
        client.update_run(run.info.run_id, status="RUNNING")
    except MlflowException as error:
        raise UserError(f"MLflow does not take the run ({error}): see MLFLOW_TRACKING_URI and --project.") from None
    place.say(f"To see it: mlflow ui --backend-store-uri {client.tracking_uri}")
    return Mlflow(client, run.info.run_id, frozenset(run.data.params))


def _database(out: Path) -> str:
    with files.in_words(out):
        out.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{out.resolve() / 'mlflow.db'}"


@dataclass
class Mlflow:
    """An open run. Of the configuration, which cannot be changed there, parameters are sent once, and all as a file."""

    client: Any
    run: str
    params: frozenset[str]

    def send(self, item: Item) -> None:
        """Send, and return when the store has it."""
        match item:
            case Config(values):
                self.client.log_dict(self.run, values, "recipe.json")
                new = {key: value for key, value in parameters(values) if key not in self.params}
                self.client.log_batch(self.run, params=[Param(key, value) for key, value in new.items()])
                self.params |= new.keys()
            case Numbers(step, values):
                now = int(time() * 1000)
                named = {allowed(name): value for name, value in values.items()}
                metrics = [Metric(name, value, now, step) for name, value in named.items()]
                self.client.log_batch(self.run, metrics=metrics)
            case Pictures(step, name, png):
                self.client.log_image(self.run, opened(png), key=name, step=step)
            case Words(step, text):
                own = hashlib.sha256(text.encode()).hexdigest()[:8]
                self.client.log_text(self.run, text, f"diagnosis/{step:012d}-{own}.txt")
            case Rewound(_):
                pass

    def flush(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Mark the run as finished; it is running again when it is followed again."""
        self.client.set_terminated(self.run)


def allowed(name: str) -> str:
    """A name of the letters that MLflow takes: ``kernel track400 ema``."""
    parts = [re.sub(r"[^\w\-. ]", "", part).strip(" .") for part in name.split("/")]
    return "/".join(filter(None, parts)) or "unnamed"


def parameters(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a run was asked for, by name: recipe, seed, dials, settings, data, budget."""
    for key in ("recipe", "seed", "dials", "set", "data", "budget"):
        value = config.get(key)
        own = value if isinstance(value, dict) else {"": value}
        for part, each in own.items():
            if each is not None:
                yield allowed(f"{key}.{part}" if part else key), str(each)
