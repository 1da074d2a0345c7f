"""The replayer as a process: its end by Ctrl-C."""

from __future__ import annotations

import pytest

from infra.demo import replay


def test_ctrl_c_ends_the_replayer_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(replay, "prepare", interrupted)
    monkeypatch.setattr("sys.argv", ["replay", "127.0.0.1:1"])

    with pytest.raises(SystemExit) as ended:
        replay.main()

    assert (ended.value.code, ended.value.__suppress_context__) == (130, True)
