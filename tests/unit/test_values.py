"""What the pure side passes around is a value: nobody can change it once it is made."""

from dataclasses import is_dataclass
from importlib import import_module
from pkgutil import walk_packages

import pytest
from pydantic import BaseModel

import agents.core
import protocol

MODULES = [
    import_module(found.name)
    for package in (protocol, agents.core)
    for found in walk_packages(package.__path__, f"{package.__name__}.")
]
CLASSES = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and kind.__module__ == module.__name__
]

VALUES = [kind for kind in CLASSES if is_dataclass(kind)]
MODELS = [kind for kind in CLASSES if issubclass(kind, BaseModel)]


def full_name(kind):
    return f"{kind.__module__}.{kind.__name__}"


@pytest.mark.parametrize("kind", VALUES, ids=full_name)
def test_a_value_is_frozen_and_takes_no_other_attributes(kind):
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


@pytest.mark.parametrize("model", MODELS, ids=full_name)
def test_a_model_is_frozen_strict_and_closed(model):
    config = model.model_config
    assert (config["frozen"], config["strict"], config["extra"]) == (True, True, "forbid")
