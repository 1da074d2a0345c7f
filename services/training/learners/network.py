"""A network of full layers by PyTorch, on one thread, and our own export of it.

It learns in float32 and answers in doubles with the weights that it learnt. PyTorch is an extra:
nothing else of training imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from driftloop.plugins import Examples, Learnt
from driftloop.spec.learners import TORCH
from services.training.learners.dense import Activation, Layer, Scaler, layers, scaler
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
}
ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
}
UNITS_MAX = 65_536  # in a layer; more is a slip


class TorchMLP:
    """`params`: those of DEFAULTS; Adam, in batches whose order the seed decides."""

    def fit(self, examples: Examples, params: Mapping[str, Any], seed: int) -> Learnt:
        settings = _checked(params, examples.classes)
        torch.set_num_threads(1)  # sums of several are taken in another order each time
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(seed)
        scale, target = scaler(examples), examples.target
        units = (0.0, 1.0)
        if not examples.classes:
            units = float(target.mean()), float(target.std()) or 1.0
        outputs = examples.classes if examples.classes > 2 else 1
        made = _network(examples.vectors.shape[1], outputs, settings)
        _learn(
            made,
            torch.from_numpy(scale(examples.vectors).astype(np.float32)),
            torch.from_numpy((target - units[0]) / units[1]),
            _weights(examples),
            examples.classes,
            settings,
        )
        return Network(made.double(), scale, examples.classes, units, settings["activation"])


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


def _network(width: int, outputs: int, settings: Mapping[str, Any]) -> nn.Sequential:
    sizes = [width, *settings["hidden_layer_sizes"]]
    modules: list[nn.Module] = []
    for given, gives in pairwise(sizes):
        modules += [nn.Linear(given, gives), ACTIVATIONS[settings["activation"]]()]
    return nn.Sequential(*modules, nn.Linear(sizes[-1], outputs))


def _learn(
    made: nn.Sequential,
    rows: Any,
    target: Any,
    weights: Any,
    classes: int,
    settings: Mapping[str, Any],
) -> None:
    """All epochs, in place. ValueError: the loss left the numbers."""
    optimizer = torch.optim.Adam(
        made.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    size = settings["batch_size"]
    for _ in range(settings["epochs"]):
        order = torch.randperm(len(rows))
        for start in range(0, len(rows), size):
            batch = order[start : start + size]
            optimizer.zero_grad()
            loss = _loss(made(rows[batch]), target[batch], classes)
            total = (loss * weights[batch]).sum() / weights[batch].sum()
            total.backward()
            optimizer.step()
        if not torch.isfinite(total):
            raise ValueError("the loss ran away to infinity; a smaller learning_rate holds it")


def _loss(raw: Any, target: Any, classes: int) -> Any:
    """Of each row."""
    if classes > 2:
        return functional.cross_entropy(raw, target.long(), reduction="none")
    wanted = target.float()
    if classes:
        return functional.binary_cross_entropy_with_logits(raw[:, 0], wanted, reduction="none")
    return functional.mse_loss(raw[:, 0], wanted, reduction="none")


def _weights(examples: Examples) -> Any:
    given = np.ones(len(examples.target)) if examples.weights is None else examples.weights
    return torch.from_numpy(given.astype(np.float32))


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
        for name in ("epochs", "batch_size")
        if not (isinstance(settings[name], int) and settings[name] > 0)
    ]
    mistakes += [
        f"{name}: found {settings[name]!r}, wanted a number of at least 0"
        for name in ("learning_rate", "weight_decay")
        if not (isinstance(settings[name], int | float) and settings[name] >= 0)
    ]
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return {**settings, "hidden_layer_sizes": hidden}


def _sizes(text: str) -> tuple[int, ...]:
    """Empty where that is no list of sizes."""
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts):
        return ()
    sizes = tuple(int(part) for part in parts)
    return sizes if all(0 < size <= UNITS_MAX for size in sizes) else ()
