"""python -m driftloop.cli"""

from driftloop.cli import main

if __name__ == "__main__":
    main()
