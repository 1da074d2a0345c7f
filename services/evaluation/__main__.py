"""Evaluation as a process: `python -m services.evaluation`."""

import sys

from driftloop.service import main
from services.evaluation.app import build
from services.evaluation.config import Config

if __name__ == "__main__":
    sys.exit(main("evaluation", Config, build))
