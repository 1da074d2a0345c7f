"""An installable folder for a learner of one's own, begun: it learns, exports and is tested as it
stands. Text out; `driftloop plugin new` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{package}"
version = "0.1.0"
dependencies = ["driftloop", "numpy", "onnx"]

[project.entry-points."driftloop.learners"]
{name} = "{module}:{cls}"

[tool.setuptools]
py-modules = ["{module}"]
"""
MODULE = '''\
"""A learner for pipeline files: `learners: [{{name: mine, kind: {name}}}]`. It says each class's
share of the rows, whatever the row: put your own fit and graph in its place.
"""

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h


class {cls}:
    def fit(self, examples, params, seed):
        """`examples`: times [n], vectors [n, k] float32 with NaN, target [n]."""
        shares = np.bincount(examples.target.astype(int), minlength=examples.classes)
        return Fitted((shares / shares.sum()).astype(np.float32), examples.vectors.shape[1])


class Fitted:
    def __init__(self, shares, width):
        self.shares, self.width = shares, width

    def answers(self, vectors):
        return np.tile(self.shares.astype(np.float64), (len(vectors), 1))

    def onnx(self, metadata):
        """Input `features`, outputs `probability`, `label`; same state, same bytes."""
        nodes = [
            h.make_node("Shape", ["features"], ["shape"], end=1),
            h.make_node("Concat", ["shape", "one"], ["wanted"], axis=0),
            h.make_node("Expand", ["shares", "wanted"], ["probability"]),
            h.make_node("ArgMax", ["probability"], ["label"], axis=1, keepdims=0),
        ]
        features = h.make_tensor_value_info("features", T.FLOAT, [None, self.width])
        said = h.make_tensor_value_info("probability", T.FLOAT, [None, len(self.shares)])
        label = h.make_tensor_value_info("label", T.INT64, [None])
        kept = [
            h.make_tensor("shares", T.FLOAT, [1, len(self.shares)], self.shares),
            h.make_tensor("one", T.INT64, [1], [1]),
        ]
        graph = h.make_graph(nodes, "{name}", [features], [said, label], kept)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 15)], ir_version=9)
        h.set_model_props(model, dict(metadata))
        return model.SerializeToString(deterministic=True)
'''
TEST = '''\
"""What Driftloop asks of a learner: its export answers as it does, in the same bytes twice."""

import numpy as np
import onnxruntime
from driftloop.plugins import LEARNERS, Examples, find, names
from {module} import {cls}


def the_examples(rows=500, width=3):
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(rows, width)).astype(np.float32)
    vectors[rng.random((rows, width)) < 0.1] = np.nan
    target = (np.nan_to_num(vectors[:, 0]) > 0.3).astype(np.float64)
    return Examples(np.arange(rows), vectors, target, tuple("abc"))


def test_the_export_answers_as_the_learner_does():
    examples = the_examples()
    learnt = {cls}().fit(examples, {{}}, 1)
    model = learnt.onnx({{"made": "by a test"}})
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    said, label = session.run(["probability", "label"], {{"features": examples.vectors}})
    expected = learnt.answers(examples.vectors)
    assert np.abs(said - expected).max() <= 1e-5
    assert (label == expected.argmax(axis=1)).all()
    assert model == {cls}().fit(examples, {{}}, 1).onnx({{"made": "by a test"}})


def test_it_is_found_once_it_is_installed():
    assert "{name}" in names(LEARNERS, {{}})
    assert find(LEARNERS, "{name}", {{}}) is {cls}
'''
README = """\
# {package}

A learner for Driftloop: `kind: {name}` in a pipeline file. `pip install -e .` beside Driftloop, or
put this folder into `plugins/` of a clone: `make run` then installs it. `pytest` runs its test.
"""


def learner(name: str) -> Mapping[str, str]:
    """Path within the folder → text. `name`: of the kind, as in a pipeline file; letters, digits,
    - and _.
    """
    module = f"driftloop_{name.replace('-', '_').lower()}"
    cls = "".join(part.capitalize() for part in name.replace("_", "-").split("-"))
    said = {"name": name, "package": module.replace("_", "-"), "module": module, "cls": cls}
    texts = {
        "pyproject.toml": PROJECT,
        f"{module}.py": MODULE,
        f"test_{module}.py": TEST,
        "README.md": README,
    }
    return {path: text.format(**said) for path, text in texts.items()}
