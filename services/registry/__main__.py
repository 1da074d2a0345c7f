"""The registry as a process: `python -m services.registry`."""

from driftloop.service import main
from services.registry.app import build
from services.registry.config import Config

if __name__ == "__main__":
    main("registry", Config, build)
