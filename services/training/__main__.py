"""Training as a process: `python -m services.training`."""

import sys

from driftloop.service import main
from services.training.app import build
from services.training.config import Config

if __name__ == "__main__":
    sys.exit(main("training", Config, build))
