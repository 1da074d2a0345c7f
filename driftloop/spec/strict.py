"""What all parts of a pipeline file are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=60)]
Text = Annotated[str, Field(max_length=1_000)]


class Strict(BaseModel):
    """Frozen, of exactly these keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
