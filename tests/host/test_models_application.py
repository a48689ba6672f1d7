"""Applications are folders with a model.toml; a mistake in one is named with its file, key and value."""

import copy
import tomllib
from typing import Any

import numpy as np
import pytest

from fedmote import assets
from fedmote.errors import FedmoteError
from fedmote.models.application import Application, names, parse
from fedmote.models.compiler import compile_mlp
from mote.model import Model


def table(name: str = "watch") -> dict[str, Any]:
    return tomllib.loads(assets.path("models", name, "model.toml").read_text())


@pytest.mark.parametrize("name", names())
def test_every_application_has_a_card_and_a_network_that_compiles(name: str) -> None:
    application = Application.load(name)
    assert assets.path("models", name, "README.md").stat().st_size > 500
    features = vars(application.features)
    model = Model(
        bytearray(compile_mlp(name, application.layers, application.labels, features, kernel="plain")),
        "plain",
    )
    assert len(model.input) == application.layers[0] and model.labels == list(application.labels)


@pytest.mark.parametrize("name", names())
def test_every_application_has_more_clients_than_it_holds_back(name: str) -> None:
    application = Application.load(name)
    recordings = application.recordings()
    assert len({recording.client for recording in recordings}) > application.data.unseen + 1
    present = np.unique(np.concatenate([recording.labels for recording in recordings]))
    assert present.tolist() == list(range(len(application.labels)))


def test_unknown_application_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FedmoteError, match="'wotch' is unknown, choose one of: digits, watch"):
        Application.load("wotch")


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("training", "rounds", 0, r"model.toml \[training\]: rounds = 0: must be 1 to 1e\+06"),
        ("training", "rounds", True, "rounds = True: must be a whole number"),
        ("training", "rounds", 2.5, "rounds = 2.5: must be a whole number"),
        ("training", "rate", "fast", "rate = 'fast': must be a number"),
        ("training", "rate", float("nan"), "rate = nan: must be a number"),
        ("training", "codec", "zip", "codec = 'zip': must be one of float32, int8"),
        ("training", "speed", 1, r"\[training\]: speed is unknown, there are: rounds"),
        ("network", "hidden", 24, "hidden = 24: must be a list"),
        ("network", "hidden", [24, 0], r"hidden = \[24, 0\]: must be 1 to 32768"),
        ("features", "kind", "magic", "kind = 'magic': must be one of"),
        ("data", "format", "xls", "format = 'xls': must be one of"),
        ("data", "options", {"series": "X"}, r"\[data.options\]: \w+ is missing"),
        ("data", "options", 3, r"\[data.options\]: 3 is not a table"),
        (None, "name", "Big Watch", "name = 'Big Watch': must be 1 to 32"),
        (None, "labels", [], r"labels = \[\]: must be a list, not empty"),
        (None, "trainig", {}, "model.toml: trainig is unknown"),
    ],
)
def test_mistake_is_named(section: str | None, key: str, value: Any, words: str) -> None:
    changed = copy.deepcopy(table())
    (changed[section] if section else changed)[key] = value
    with pytest.raises(FedmoteError, match=words):
        parse(changed, "models/watch/model.toml")


@pytest.mark.parametrize("section", ["data", "features", "network", "training", "board", "bar"])
def test_missing_key_is_named(section: str) -> None:
    changed = table()
    del changed[section]
    with pytest.raises(FedmoteError, match=rf"\[{section}\]: \w+ is missing"):
        parse(changed, "models/watch/model.toml")


def test_data_that_does_not_fit_the_settings_is_refused() -> None:
    changed = table()
    changed["features"]["channels"] = 5
    with pytest.raises(FedmoteError, match=r"has 6 channels, model\.toml says 5"):
        parse(changed, "model.toml").recordings()
    changed = table()
    changed["labels"] = ["PEN", "ABD"]
    with pytest.raises(FedmoteError, match=r"has label 6, model\.toml 2 labels"):
        parse(changed, "model.toml").recordings()
