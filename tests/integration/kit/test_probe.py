"""The health checks of containers: by the settings of the process that they ask."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from driftloop.kit import probe, rpc
from driftloop.kit.config import read_common
from driftloop.kit.health import WHOLE, Health


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """Both sides have one certificate, for `serving` alone, and ask each other for it."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    named = ["-subj", "/CN=serving", "-addext", "subjectAltName=DNS:serving", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([tool, *words, *named, *files], check=True, capture_output=True, timeout=20)
    return {
        "DRIFTLOOP_TLS_CERTIFICATE": str(certificate),
        "DRIFTLOOP_TLS_KEY": str(key),
        "DRIFTLOOP_TLS_AUTHORITY": str(certificate),
        "DRIFTLOOP_ADVERTISE": "serving",
    }


@pytest.fixture
def address(environ: Mapping[str, str]) -> Iterator[str]:
    health = Health()
    health.set(WHOLE, serving=True)
    server = rpc.serve([health.add], "127.0.0.1", 0, read_common(environ).tls)
    yield f"127.0.0.1:{server.port}"
    server.stop(0)


def test_a_process_that_speaks_tls_is_asked_by_tls(
    environ: Mapping[str, str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe.by_grpc(address, environ) == ""
    assert probe.by_grpc(address, {}) == "UNAVAILABLE"
    assert probe.by_grpc(address, {**environ, "DRIFTLOOP_ADVERTISE": "another"}) == "UNAVAILABLE"
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert probe.main(["grpc", address]) == 0


def test_settings_that_are_wrong_are_said_in_words() -> None:
    said = probe.by_grpc("127.0.0.1:1", {"DRIFTLOOP_TLS_CERTIFICATE": "a.pem"})
    assert "DRIFTLOOP_TLS_KEY" in said
