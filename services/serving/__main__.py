"""Serving as a process: `python -m services.serving`."""

from driftloop.service import main
from services.serving.app import build
from services.serving.config import Config

if __name__ == "__main__":
    main("serving", Config, build)
