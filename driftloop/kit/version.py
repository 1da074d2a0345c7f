"""The product's version, as pyproject.toml has it: what a process says of itself, also where it
runs from a folder and is not installed."""

VERSION = "0.1.0"
