"""From an application to a federation and back: its plan, its
initial model, its store, and the model that came out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.plan import Plan
from fedmote.federation.store import STORE_NAME as STORE_NAME
from fedmote.federation.store import Model, Store
from fedmote.models.application import Application
from fedmote.models.compiler import compile_mlp, initial_values
from mote.model import Model as BoardModel
from mote.train import Learner


@dataclass(frozen=True)
class Overrides:
    """What a command line may say instead of the application; None leaves the application's value."""

    rounds: int | None = None
    minimum: int | None = None
    deadline_s: float | None = None
    maximum: int | None = None
    fraction: float | None = None
    spare: float | None = None
    late: str | None = None
    mode: str | None = None
    buffer: int | None = None


@dataclass(frozen=True)
class Files:
    """Where an exported model lies: ``weights`` an .npz of the
    float32 tensors, ``model`` a .mote for boards."""

    weights: Path
    model: Path


class Session:
    """An application's federation on a folder. A context manager that
    holds the store; ``aggregator`` is ready to serve.

    state: folder of the store, made where it is missing; what is in it goes on.
    seed: of the initial model. Raises FedmoteError where the folder belongs to
    another application or another aggregator is at work on it.
    """

    def __init__(
        self, application: Application, federation: str, state: Path, overrides: Overrides, seed: int = 0
    ) -> None:
        self.application, self.state = application, state
        plan = plan_of(application, overrides)
        self.store = Store(state / STORE_NAME)
        try:
            self.store.claim()
            self.store.found(application.name, plan.layout, initial_values(application.layers, seed))
            self.aggregator = Aggregator(self.store, federation, plan)
        except BaseException:
            self.store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.store.close()

    def export(self) -> Files:
        """Write the newest global model into the state folder, as
        .npz and as .mote, and return where it is."""
        return export_model(self.application, self.store, self.state)


def export_model(application: Application, store: Store, folder: Path, version: int | None = None) -> Files:
    """Write a version of the global model, the newest one when None, as .npz and as .mote, and return where.

    Raises FedmoteError for an unknown version and where the folder cannot be written.
    """
    try:
        model = store.model(version)
        folder.mkdir(parents=True, exist_ok=True)
        compiled = compile_model(application, model.values, model.ranges or store.newest_ranges())
        files = Files(*(folder / f"model-v{model.version}.{suffix}" for suffix in ("npz", "mote")))
        files.model.write_bytes(compiled)
        np.savez(files.weights, allow_pickle=False, **_tensors(compiled, model))
    except KeyError:
        raise FedmoteError(f"there is no version {version}, the newest is {store.model().version}") from None
    except OSError as error:
        raise FedmoteError(f"cannot export to {folder}: {error}") from None
    return files


def plan_of(application: Application, overrides: Overrides) -> Plan:
    """Return the plan that an application's model.toml asks for.
    Raises FedmoteError for values that cannot be."""
    learner = Learner(BoardModel(bytearray(compile_model(application)), "plain"))
    training = application.training
    chosen = {name: value for name, value in vars(overrides).items() if value is not None}
    settings: dict[str, Any] = {**vars(training), **chosen}
    return Plan(learner.layout, tuple(learner.sizes), len(learner.ranges), **settings)


def compile_model(
    application: Application,
    values: NDArray[np.float32] | None = None,
    ranges: Sequence[float] | None = None,
    kernel: str = "viper",
) -> bytes:
    """Return a .mote file of the application's network.

    values: float32 [D], zeros when None. ranges: largest activation
    of each layer, 1 when None. kernel: of the board.
    """
    return compile_mlp(
        application.name,
        application.layers,
        application.labels,
        vars(application.features),
        values,
        ranges,
        application.network.input_scale,
        kernel,
    )


def _tensors(compiled: bytes, model: Model) -> dict[str, np.ndarray]:
    """Return the float32 tensors of a model by name, as the trainable table of its file has them."""
    rows = BoardModel(bytearray(compiled), "plain").trainables
    return {row.name: model.values[row.start : row.start + row.count].reshape(row.shape) for row in rows}
