"""python -m services.features"""

from driftloop.service import main
from services.features.app import build
from services.features.config import Config

if __name__ == "__main__":
    main("features", Config, build)
