"""python -m services.monitor"""

from driftloop.service import main
from services.monitor.app import build
from services.monitor.config import Config

if __name__ == "__main__":
    main("monitor", Config, build)
