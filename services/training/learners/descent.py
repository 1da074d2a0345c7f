"""How a network learns: batches in an order that the seed decides, each shared out among the
workers that there are.

Every worker draws the same order, takes each n-th row of a batch, and divides by the weight of the
whole batch; so all together do what one does alone, up to the order of sums. In doubles: in single
precision that order alone moved the answers by .037 after 1,600 batches, in doubles by 1e-14.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
}


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learnt: tensors of doubles. `rows` [n, k] without NaN, `target` and `weights` [n]; in
    a regression, `classes` 0, the target is scaled already.
    """

    rows: Any
    target: Any
    weights: Any
    classes: int

    @property
    def outputs(self) -> int:
        """Two classes are told apart by one number."""
        return self.classes if self.classes > 2 else 1

    def on(self, device: Any) -> Lesson:
        rows, target, weights = (one.to(device) for one in (self.rows, self.target, self.weights))
        return Lesson(rows, target, weights, self.classes)


@dataclass(frozen=True, slots=True)
class Part:
    """Which worker this is, of how many."""

    rank: int = 0
    workers: int = 1


ALONE = Part()


def network(width: int, outputs: int, settings: Mapping[str, Any], seed: int) -> nn.Sequential:
    """In doubles; its first weights are drawn by `seed`. From here on torch counts on one thread
    and by deterministic means alone.
    """
    torch.set_num_threads(1)  # sums of several are taken in another order each time
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    sizes = [width, *settings["hidden_layer_sizes"]]
    modules: list[nn.Module] = []
    for given, gives in pairwise(sizes):
        modules += [nn.Linear(given, gives), ACTIVATIONS[settings["activation"]]()]
    return nn.Sequential(*modules, nn.Linear(sizes[-1], outputs)).double()


class Descent:
    """One network's way through all epochs, by Adam. It can be left at any batch and gone on with.

    `through`: what carries rows through `made` where that isn't `made` itself (torch's DDP, which
    takes the mean of all workers' gradients).
    """

    def __init__(
        self,
        made: nn.Sequential,
        lesson: Lesson,
        settings: Mapping[str, Any],
        part: Part = ALONE,
        through: nn.Module | None = None,
    ) -> None:
        self._made, self._lesson, self._part = made, lesson, part
        self._epochs, self._size = settings["epochs"], settings["batch_size"]
        self._through: Callable[[Any], Any] = through or made
        self._optimizer = torch.optim.Adam(
            made.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
        )
        self.epoch, self.batch = 0, 0  # those that come next
        self._chance = torch.get_rng_state()  # as it was when the epoch began

    def learn(self, after: Callable[[], None] | None = None) -> None:
        """What is left of the epochs, in place; `after` is called after each batch. ValueError: the
        loss left the numbers.
        """
        while self.epoch < self._epochs:
            torch.set_rng_state(self._chance)
            order = torch.randperm(len(self._lesson.rows))
            for batch in order.split(self._size)[self.batch :]:
                self._step(batch)
                self.batch += 1
                if after is not None:
                    after()
            self.epoch, self.batch = self.epoch + 1, 0
            self._chance = torch.get_rng_state()
            if not all(torch.isfinite(one).all() for one in self._made.parameters()):
                raise ValueError("the loss ran away to infinity; a smaller learning_rate holds it")

    def state(self) -> dict[str, Any]:
        """All that `resume` needs in another process."""
        return {
            "made": self._made.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "epoch": self.epoch,
            "batch": self.batch,
            "chance": self._chance,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        self._made.load_state_dict(state["made"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.batch, self._chance = state["epoch"], state["batch"], state["chance"]

    def _step(self, batch: Any) -> None:
        """A share without rows gives no gradient, and the others' count all the same."""
        lesson, workers = self._lesson, self._part.workers
        share = batch[self._part.rank :: workers]
        self._optimizer.zero_grad()
        loss = _loss(self._through(lesson.rows[share]), lesson.target[share], lesson.classes)
        # times the workers, since the mean of their gradients is taken
        total = (loss * lesson.weights[share]).sum() / lesson.weights[batch].sum() * workers
        total.backward()
        self._optimizer.step()


def _loss(raw: Any, target: Any, classes: int) -> Any:
    """Of each row."""
    if classes > 2:
        return functional.cross_entropy(raw, target.long(), reduction="none")
    if classes:
        return functional.binary_cross_entropy_with_logits(raw[:, 0], target, reduction="none")
    return functional.mse_loss(raw[:, 0], target, reduction="none")
