"""River's online learners as ONNX, exact: what the graph answers is what the learner would, to
1e-9 before the last cast, and the same class.

All arithmetic is float64 in River's own order of operations where a branch or a class could hang on
the last bit. A value that is NaN in the graph's input is a feature that the row's dict lacks.
"""

from driftloop.river_onnx.answers import Unsupported
from driftloop.river_onnx.export import export, supported

__all__ = ["Unsupported", "export", "supported"]
