"""python -m services.ingestion"""

from driftloop.service import main
from services.ingestion.app import build
from services.ingestion.config import Config

if __name__ == "__main__":
    main("ingestion", Config, build)
