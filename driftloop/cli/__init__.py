"""The people's door: `driftloop`, Typer and Rich over driftloop.client. It decides nothing and
knows no wire.
"""

from __future__ import annotations


def main() -> None:
    """The console script. Typer and the client are imported only here, so that `import
    driftloop.cli` stays light.
    """
    from driftloop.cli.app import app

    app()
