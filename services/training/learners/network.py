"""A network of full layers by PyTorch, on one thread or by several workers, and our own export of
it.

How it learns is in descent; several workers are started by ddp. PyTorch is an extra: nothing else
of training imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from driftloop.plugins import Examples, Learnt
from driftloop.spec.learners import TORCH
from services.training.learners.ddp import CHECKPOINT_S, together
from services.training.learners.dense import Activation, Layer, Scaler, layers, scaler
from services.training.learners.descent import ACTIVATIONS, Descent, Lesson, network
from services.training.learners.graph import Graph, Link
from services.training.learners.naming import checked

ESTIMATOR = "MLP"
# Those of scikit-learn's MLP where it has them
DEFAULTS: Mapping[str, Any] = {
    "hidden_layer_sizes": "64,32",
    "epochs": 20,
    "batch_size": 256,
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "activation": "relu",
    "workers": 1,
    "device": "cpu",
}
UNITS_MAX = 65_536  # in a layer; more is a slip
WORKERS_MAX = 64  # on one machine, each with a PyTorch of its own, about 400 MB
DEVICES = ("cpu", "cuda")


class TorchMLP:
    """`params`: those of DEFAULTS; Adam, in batches whose order the seed decides.

    `workers` share each batch, each in a process and on a thread of its own; on `device` cuda each
    has a GPU. What they learn together is what one learns alone, to 1e-5 and better.
    """

    def __init__(self, checkpoint_s: float = CHECKPOINT_S) -> None:
        """`checkpoint_s`: how often several workers keep what they have."""
        self._checkpoint_s = checkpoint_s

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        settings = _checked(params, examples.classes)
        scale, target = scaler(examples), examples.target
        units = (0.0, 1.0)
        if not examples.classes:
            units = float(target.mean()), float(target.std()) or 1.0
        lesson = Lesson(
            torch.from_numpy(scale(examples.vectors)),
            torch.from_numpy((target - units[0]) / units[1]),
            _weights(examples),
            examples.classes,
        )
        made = self._learnt(lesson, settings, seed)
        return Network(made, scale, examples.classes, units, settings["activation"])

    def _learnt(self, lesson: Lesson, settings: Mapping[str, Any], seed: int) -> nn.Sequential:
        if settings["workers"] > 1 or settings["device"] != "cpu":
            return together(lesson, settings, seed, self._checkpoint_s)
        made = network(lesson.rows.shape[1], lesson.outputs, settings, seed)
        Descent(made, lesson, settings).learn()
        return made


class Network:
    """A fitted network. `units`: what its values are to be multiplied by and added to."""

    def __init__(
        self,
        made: nn.Sequential,
        scale: Scaler,
        classes: int,
        units: tuple[float, float],
        activation: Activation,
    ) -> None:
        self._made, self._scale, self._classes = made, scale, classes
        self._units, self._activation = units, activation

    def answers(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        with torch.no_grad():
            raw = self._made(torch.from_numpy(self._scale(vectors)))
            if self._classes > 2:
                return np.asarray(functional.softmax(raw, dim=1).numpy())
            if self._classes:
                positive = torch.sigmoid(raw).numpy()
                return np.concatenate([1.0 - positive, positive], axis=1)
            middle, spread = self._units
            return np.asarray(raw.numpy() * spread + middle)

    def onnx(self, metadata: Mapping[str, str]) -> bytes:
        linear = [one for one in self._made if isinstance(one, nn.Linear)]
        each = [Layer(_array(one.weight).T, _array(one.bias)) for one in linear]
        middle, spread = self._units
        each[-1] = Layer(each[-1].weights * spread, each[-1].intercept * spread + middle)
        graph = Graph()
        raw = layers(graph, self._scale, each, self._activation)
        link: Link = "identity"
        if self._classes:
            link = "softmax" if self._classes > 2 else "logit"
        graph.answer(raw, link, self._classes)
        width = len(self._scale.mean)
        return graph.model(width=width, classes=self._classes, metadata=metadata)


def _weights(examples: Examples) -> Any:
    given = np.ones(len(examples.target)) if examples.weights is None else examples.weights
    return torch.from_numpy(given.astype(np.float64))


def _array(parameter: Any) -> npt.NDArray[np.float64]:
    return np.asarray(parameter.detach().numpy(), np.float64)


def _checked(params: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """All mistakes in one ValueError."""
    _, own = checked("torch", TORCH, {"estimator": ESTIMATOR, **params}, classes)
    settings = {**DEFAULTS, **own}
    said = settings["hidden_layer_sizes"]
    hidden = _sizes(str(said))
    mistakes = [] if hidden else [f"hidden_layer_sizes: found {said!r}, wanted as in 64,32"]
    if settings["activation"] not in ACTIVATIONS:
        wanted = ", ".join(ACTIVATIONS)
        mistakes.append(f"activation: found {settings['activation']!r}, wanted one of {wanted}")
    mistakes += [
        f"{name}: found {settings[name]!r}, wanted a whole number above 0"
        for name in ("epochs", "batch_size", "workers")
        if not (_whole(settings[name]) and settings[name] > 0)
    ]
    mistakes += [
        f"{name}: found {settings[name]!r}, wanted a number of at least 0"
        for name in ("learning_rate", "weight_decay")
        if not (isinstance(settings[name], int | float) and settings[name] >= 0)
    ]
    if mistakes := mistakes or _crowded(settings):
        raise ValueError("; ".join(mistakes))
    return {**settings, "hidden_layer_sizes": hidden}


def _crowded(settings: Mapping[str, Any]) -> list[str]:
    """What there is not enough of for so many workers."""
    workers, device = settings["workers"], settings["device"]
    mistakes = []
    if workers > WORKERS_MAX:
        mistakes.append(f"workers: found {workers}, wanted at most {WORKERS_MAX}")
    if workers > settings["batch_size"]:
        mistakes.append(
            f"workers: found {workers}, wanted at most one for each of the "
            f"{settings['batch_size']} rows of a batch (batch_size)"
        )
    if device not in DEVICES:
        mistakes.append(f"device: found {device!r}, wanted one of {', '.join(DEVICES)}")
    if device == "cuda" and (there := torch.cuda.device_count()) < workers:
        mistakes.append(
            f"device: found cuda with {workers} workers, wanted a GPU for each; here are {there}"
        )
    return mistakes


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _sizes(text: str) -> tuple[int, ...]:
    """Empty where that is no list of sizes."""
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts):
        return ()
    sizes = tuple(int(part) for part in parts)
    return sizes if all(0 < size <= UNITS_MAX for size in sizes) else ()
