"""Which topics the registry makes: as `driftloop.topology` says, which the client checks them
by."""

from driftloop.topology import control, pipeline

__all__ = ["control", "pipeline"]
