"""The figures of `make test-compose`: what is put down to which blow, what breaks a limit, what
Docker's words mean.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from driftloop.contracts.model_pb2 import ModelReleased
from driftloop.contracts.retrain_pb2 import RetrainResolved, ServingAcknowledged
from infra.compose import load, words
from infra.compose.engine import Engine, Trouble
from infra.compose.kills import Fallen, put_down
from infra.compose.load import Judged
from infra.compose.trial import beyond, redeployed_ms
from infra.demo.figures import Log
from infra.demo.read import Said

GOOD: dict[str, Any] = {
    "demo": True,
    "first_redeploy_s": 120.0,
    "rss_mb": {"kafka": 500.0},
    "images_mb": 3_000.0,
    "stop_s": 6.0,
    "ended": {"kafka": 0},
    "kills": [{"service": "kafka", "completed": True, "lost": 0, "doubled": 0}],
}


def rows(*times: int) -> pl.DataFrame:
    return pl.DataFrame({"event_id": [str(t) for t in times], "time_us": list(times)})


def test_a_loss_is_put_down_to_the_blow_in_whose_time_it_was_sent() -> None:
    fallen = [Fallen(name, True, 1.0, start) for name, start in (("a", 10), ("b", 20), ("c", 30))]

    put_down(fallen, Judged(9, lost=rows(5, 19, 20), doubled=rows(30, 99)))

    assert [(each.lost, each.doubled) for each in fallen] == [(2, 0), (1, 0), (0, 2)]


def test_figures_within_their_limits_break_none() -> None:
    assert beyond(GOOD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_redeploy_s": 301.0},
        {"first_redeploy_s": None},
        {"demo": False},
        {"rss_mb": {"kafka": 3_500.0, "training": 2_600.0}},
        {"images_mb": 4_001.0},
        {"stop_s": 10.5},
        {"ended": {"kafka": 137}},
        {"kills": [{"service": "kafka", "completed": True, "lost": 1, "doubled": 0}]},
        {"kills": [{"service": "kafka", "completed": True, "lost": 0, "doubled": 1}]},
        {"scaled": [{"service": "serving", "completed": False, "lost": 0, "doubled": 0}]},
    ],
)
def test_a_figure_beyond_its_limit_is_named(wrong: dict[str, Any]) -> None:
    assert len(beyond({**GOOD, **wrong})) == 1


def test_the_first_redeploy_is_the_first_answer_of_all_partitions_that_a_drift_led_to() -> None:
    def resolved(run_id: str, trigger: str) -> Said[RetrainResolved]:
        message = RetrainResolved(run_id=run_id, trigger=trigger, outcome="accepted")
        return Said(f"resolved-{run_id}", 5, message)

    def released(run_id: str, version: int, ms: int) -> Said[ModelReleased]:
        return Said(f"released-{run_id}", ms, ModelReleased(run_id=run_id, version=version))

    def answered(version: int, ms: int, *partitions: int) -> Said[ServingAcknowledged]:
        message = ServingAcknowledged(version=version, partitions=partitions)
        return Said(f"answered-{ms}", ms, message)

    log = Log(
        drifts=[],
        requests=[],
        resolved=[resolved("one", "first"), resolved("two", "drift")],
        trained=[],
        evaluated=[],
        released=[released("one", 1, 10), released("two", 2, 30)],
        finished=[],
        acknowledged=[answered(1, 11, 0, 1), answered(2, 31, 0), answered(2, 35, 1)],
    )

    assert redeployed_ms(log, partitions=2) == 35
    assert redeployed_ms(log, partitions=3) == 0


def test_the_load_has_a_pipeline_and_topics_of_its_own() -> None:
    text = load.declaration("kills")

    assert "name: kills\n" in text
    assert "topic: kills.schedule" in text
    assert "flights." not in "\n".join(
        line for line in text.splitlines() if not line.startswith("#")
    )


class TestEngine:
    """Docker stood in for by a program that answers as it did on 26.1 with compose 2.26."""

    @pytest.fixture
    def answers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        """Words of a command → what it says; whatever is not here fails."""
        file = tmp_path / "answers.json"

        class Answers(dict[str, str]):
            def __setitem__(self, key: str, value: str) -> None:
                super().__setitem__(key, value)
                file.write_text(json.dumps(self))

        program = tmp_path / "docker"
        program.write_text(
            "#!/usr/bin/env python3\nimport json, sys\n"
            f"answers = json.load(open({str(file)!r}))\n"
            "words = ' '.join(sys.argv[1:])\n"
            "found = [said for asked, said in answers.items() if asked in words]\n"
            "print(found[0]) if found else sys.exit('not known: ' + words)\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return Answers()

    def test_an_old_compose_is_refused(self, answers: dict[str, str]) -> None:
        answers["compose version"] = "2.17.3"

        with pytest.raises(Trouble, match=r"2\.17\.3, wanted 2\.24"):
            Engine().check()

    def test_no_docker_is_said_with_what_does_without(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "")

        with pytest.raises(Trouble, match="make run"):
            Engine().check()

    def test_all_ports_of_a_range_are_where_a_replica_may_be(self, answers: dict[str, str]) -> None:
        answers["ps --all"] = "one\ntwo"
        answers["HostConfig"] = json.dumps(
            {"17103/tcp": [{"HostIp": "127.0.0.1", "HostPort": "17130-17131"}]}
        )

        found = Engine().addresses("serving", 17103)

        assert found == ["127.0.0.1:17130", "127.0.0.1:17131"]

    def test_a_layer_that_two_images_share_counts_once(self, answers: dict[str, str]) -> None:
        def layer(made: str, size: int) -> str:
            return json.dumps({"CreatedAt": made, "CreatedBy": "RUN", "Size": str(size)})

        answers["config --images"] = "one:1\ntwo:1"
        answers["{{json .}} one:1"] = "\n".join([layer("b", 2_000_000), layer("a", 5_000_000)])
        answers["{{json .}} two:1"] = "\n".join([layer("c", 3_000_000), layer("a", 5_000_000)])

        assert Engine().images_mb() == 10.0

    def test_what_a_container_holds_is_read_in_its_unit(self, answers: dict[str, str]) -> None:
        answers["ps --all"] = "one"
        answers["stats"] = json.dumps({"Name": "kafka", "MemUsage": "512MiB / 1GiB"})

        assert Engine().resident_mb() == {"kafka": pytest.approx(536.9, abs=0.1)}

    def test_a_folder_of_ours_is_written_to_by_us(self, tmp_path: Path) -> None:
        owner = words.owner(tmp_path / "report")

        assert (tmp_path / "report").is_dir()
        assert not owner.startswith("0:")
