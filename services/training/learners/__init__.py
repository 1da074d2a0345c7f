"""The learners that come with Driftloop, declared as any package would declare its own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "lightgbm": "services.training.learners.gbm:LightGBM",
        "xgboost": "services.training.learners.xgb:XGBoost",
        "sklearn": "services.training.learners.sklearn:ScikitLearn",
        "torch": "services.training.learners.network:TorchMLP",
        "river": "services.training.learners.incremental:River",
    }
)
