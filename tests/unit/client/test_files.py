"""Files to messages, samples to pipeline files, dead letters back to where they came from, and
where the stack is.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from driftloop import spec
from driftloop.client import Refused, Unavailable
from driftloop.client.addresses import find, last_report, reachable
from driftloop.client.producing import BATCH_ROWS, emits
from driftloop.client.sampling import draft, fields
from driftloop.kit.topic import Emit
from tests.unit.client.world import a_client, a_dead_letter, a_log, score

ROWS = [
    {
        "id": f"o{n}",
        "at": f"2026-01-01T00:{n:02}:00Z",
        "customer_id": n % 3,
        "amount": n * 1.5,
        "country": "NZ",
        "note": None if n else "x",
        "label": n % 2 == 0,
    }
    for n in range(20)
]


def test_json_lines_are_sent_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "n": 1}\n\n{"id": "b", "n": null}\n')

    sent = [emit for emit, _ in emits(path, "small.rows", "id")]

    assert [(emit.key, json.loads(emit.value or b"")) for emit in sent] == [
        (b"a", {"id": "a", "n": 1}),
        (b"b", {"id": "b", "n": None}),
    ]


def test_csv_cells_become_numbers_where_they_are_exactly_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,c,d,e\n1,007,1.5,,true\n")

    ((emit, size),) = emits(path, "small.rows")

    assert json.loads(emit.value or b"") == {"a": 1, "b": "007", "c": 1.5, "d": None, "e": True}
    assert size > 0


def test_the_mark_that_spreadsheets_write_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("id,city\na,Zürich\n".encode("utf-8-sig"))

    ((emit, _),) = emits(path, "small.rows", "id")

    assert (emit.key, json.loads(emit.value or b"")) == (b"a", {"id": "a", "city": "Zürich"})


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("id,city\na,Zürich\n".encode("latin-1"), "not UTF-8 after line"),
        (b'id,city\na,"' + b"x" * 200_000 + b'"\n', "rows.csv:2: field larger than"),
    ],
)
def test_what_is_no_csv_is_refused_in_one_line(tmp_path: Path, data: bytes, named: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(data)

    with pytest.raises(Refused, match=named):
        list(emits(path, "small.rows", "id"))


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("a.jsonl", "{]", "a.jsonl:1: not JSON"),
        ("a.jsonl", '{"id": 1}\n[1]', "a.jsonl:2: found list"),
        ("a.csv", "a,b\n1\n", "another number of cells"),
        ("a.jsonl", '{"b": 1}', "--key id"),
    ],
)
def test_a_bad_line_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, named: str
) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(Refused, match=named):
        list(emits(path, "small.rows", "id"))


def test_a_file_is_produced_in_acknowledged_batches(tmp_path: Path) -> None:
    broker = a_log()
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a"}\n' * (BATCH_ROWS + 1))
    told: list[int] = []

    sent = a_client(broker).produce(path, "small.rows", "", lambda size, rows: told.append(rows))

    assert (sent, told) == (BATCH_ROWS + 1, [BATCH_ROWS, 1])
    with pytest.raises(Refused, match="no topic nowhere"):
        a_client(broker).produce(path, "nowhere", "", lambda size, rows: None)


def test_a_sample_shows_types_and_what_may_be_missing() -> None:
    found = {field.name: field.type for field in fields(ROWS)}

    assert found == {
        "id": "string",
        "at": "time",
        "customer_id": "int",
        "amount": "float",
        "country": "string",
        "note": "string?",
        "label": "bool",
    }


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1_767_225_600, "time[s]"),
        (1_767_225_600_000, "time[ms]"),
        (1_767_225_600_000_000, "time[us]"),
        (12, "int"),
        ("2026-01-01T00:00:00Z", "time"),
        ("2026-01-01", "string"),
        (1.5, "float"),
        (True, "bool"),
    ],
)
def test_times_are_known_by_name_and_size(value: object, kind: str) -> None:
    assert fields([{"created_at": value}])[0].type == kind


def test_a_drafted_file_is_a_good_pipeline() -> None:
    pipeline = spec.parse(draft("orders.placed", ROWS))

    assert pipeline.name == "orders"
    assert pipeline.sources[0].roles == ("predict", "label")
    assert "amount" in pipeline.feature_names()


def test_a_draft_without_a_label_says_what_is_missing() -> None:
    text = draft("orders", [{"id": "a", "at": "2026-01-01T00:00:00Z", "amount": 1.0}])

    with pytest.raises(spec.Mistakes) as wrong:
        spec.parse(text)
    assert "target" in str(wrong.value)


def test_a_topic_is_sampled_for_a_draft() -> None:
    broker = a_log()
    broker.append([Emit("small.rows", json.dumps(row).encode()) for row in ROWS])

    assert "customer_id: int" in a_client(broker).draft("small.rows")
    with pytest.raises(Refused, match="no topic nowhere on the broker"):
        a_client(broker).draft("nowhere")


def test_a_redriven_letter_is_the_record_as_it_was() -> None:
    broker = a_log()
    broker.append([a_dead_letter()])
    client = a_client(broker)

    client.redrive("small", [0])

    sent = [
        record
        for partition in (0, 1)
        for record in broker.read(
            "small.rows", partition, 0, broker.bounds("small.rows", partition)[1]
        )
    ]
    assert [(record.key, record.value, dict(record.headers)) for record in sent] == [
        (b"k", b"oops", {"driftloop-redriven": b"0"})
    ]
    with pytest.raises(Refused, match="no dead letter 9"):
        client.redrive("small", [0, 9])


def test_any_of_our_topics_is_tailed_decoded() -> None:
    broker = a_log()
    broker.append([score(0), score(1), a_dead_letter()])
    client = a_client(broker)

    assert [row["event_id"] for row in client.tail("small.scores", 1)] == ["e1"]
    assert [row["value"] for row in client.tail("small.dead", 5)] == ["oops"]
    assert [row["name"] for row in client.tail("driftloop.pipelines", 5)] == ["small"]
    with pytest.raises(Refused, match="no topic nowhere"):
        list(client.tail("nowhere", 1))


def test_the_newest_stack_that_answers_is_found(tmp_path: Path) -> None:
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        broker.listen()
        address = f"127.0.0.1:{broker.getsockname()[1]}"
        (tmp_path / "var" / "demo").mkdir(parents=True)
        (tmp_path / "var" / "demo" / "stack.json").write_text(
            json.dumps(
                {
                    "environ": {
                        "KAFKA_BOOTSTRAP": address,
                        "DRIFTLOOP_REGISTRY": "127.0.0.1:1",
                        "DRIFTLOOP_WEB": "http://127.0.0.1:2",
                        "PATH": "/evil",
                    }
                }
            )
        )
        (tmp_path / "deep").mkdir()

        place = find({}, tmp_path / "deep")

    assert (place.common.kafka_bootstrap, place.common.driftloop_registry) == (
        address,
        "127.0.0.1:1",
    )
    assert place.folder == tmp_path / "var" / "demo"
    assert place.web == "http://127.0.0.1:2"


def test_the_environment_comes_first_and_a_dead_stack_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "var" / "demo").mkdir(parents=True)
    (tmp_path / "var" / "demo" / "stack.json").write_text(
        '{"environ": {"KAFKA_BOOTSTRAP": "127.0.0.1:1"}}'
    )

    assert find({"KAFKA_BOOTSTRAP": "there:9092"}, tmp_path).common.kafka_bootstrap == "there:9092"
    assert find({"KAFKA_BOOTSTRAP": "there:9092"}, tmp_path).web == ""
    assert find({}, tmp_path).found == "the fixed ports"
    assert find({}, tmp_path).web == "http://127.0.0.1:17300"


def test_no_broker_is_one_line_with_the_mend() -> None:
    with pytest.raises(Unavailable, match=r"no broker answers at 127\.0\.0\.1:1: `make run`"):
        reachable("127.0.0.1:1")


def test_the_last_report_is_found(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="make demo"):
        last_report(tmp_path)
    (tmp_path / "var" / "demo").mkdir(parents=True)
    (tmp_path / "var" / "demo" / "report.html").write_text("")

    assert last_report(tmp_path) == tmp_path / "var" / "demo" / "report.html"
