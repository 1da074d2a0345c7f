"""`make help`: the Makefile's words and what stands beside them. Standard library only, any Python
3.
"""

import re
import sys
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
WORD = re.compile(r"^([a-z-]+):.*?##\s*(.+)$", re.MULTILINE)

if __name__ == "__main__":
    found = WORD.findall(MAKEFILE.read_text())
    sys.stdout.writelines(f"  make {word:<13} {what}\n" for word, what in found)
