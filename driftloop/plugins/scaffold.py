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
"""A learner, `kind: {name}`: each class's share of the rows. Put your own fit and graph here."""

import numpy as np
from onnx import helper, numpy_helper, parser

GRAPH = """<ir_version: 9, opset_import: ["": 15]>
shares (float[n, %d] features) => (float[n, %d] probability, int64[n] label) {{
    rows = Shape <end = 1> (features)
    one = Constant <value = int64[1] {{1}}> ()
    wanted = Concat <axis = 0> (rows, one)
    probability = Expand (shares, wanted)
    label = ArgMax <axis = 1, keepdims = 0> (probability)
}}"""


class {cls}:
    def fit(self, examples, params, seed):
        """`examples`: vectors [n, k] float32 with NaN, target [n]; gives what was learnt."""
        counts = np.bincount(examples.target.astype(int), minlength=examples.classes)
        self.shares, self.width = counts / counts.sum(), examples.vectors.shape[1]
        return self

    def answers(self, vectors):
        return np.tile(self.shares, (len(vectors), 1))

    def onnx(self, metadata):
        model = parser.parse_model(GRAPH % (self.width, len(self.shares)))
        shares = self.shares[None].astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(shares, "shares"))
        helper.set_model_props(model, dict(metadata))
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
