"""What nobody must read is left out, whichever way it comes."""

from __future__ import annotations

import json

import pytest

from driftloop.kit.config import Common, read_common
from driftloop.kit.errors import Refused
from driftloop.kit.secret import Properties, Redactor, is_secret, secrets_of

PASSWORD = 'hun"ter/2 & co'


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "KAFKA_SASL_PASSWORD",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.jaas.config",
        "DRIFTLOOP_WEB_TOKEN",
        "OTEL_EXPORTER_OTLP_HEADERS",
    ],
)
def test_a_setting_that_holds_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "ssl.key.location",
        "DRIFTLOOP_TLS_KEY",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.username",
        "bootstrap.servers",
        "key",
        "pipeline",
    ],
)
def test_others_are_shown(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        f"login failed for {PASSWORD}",
        json.dumps({"why": PASSWORD}),
        repr({"why": PASSWORD}),
        "http://me:hun%22ter%2F2%20%26%20co@host/x",
    ],
)
def test_a_known_secret_is_left_out_however_it_is_quoted(text: str) -> None:
    clean = Redactor([PASSWORD]).text(text)

    assert "***" in clean
    assert "hun" not in clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:hunter22@host/x", "https://me:***@host/x"),
        ("sasl.password=hunter22, retry", "sasl.password=***, retry"),
        ('{"token": "hunter22"}', '{"token": "***"}'),
        ("Authorization: Bearer hunter22xyz", "Authorization: Bearer ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "***"),
        ("http://127.0.0.1:17300/x at 12:30", "http://127.0.0.1:17300/x at 12:30"),
        ("basic facts of tokens", "basic facts of tokens"),
    ],
)
def test_what_looks_like_a_secret_is_left_out_unknown(text: str, clean: str) -> None:
    assert Redactor().text(text) == clean


def test_a_word_too_short_to_be_a_secret_hides_nothing() -> None:
    assert Redactor(["a", "abc"]).text("a cab, abc") == "a cab, abc"


def test_secrets_are_taken_from_settings_and_from_urls() -> None:
    settings = {
        "KAFKA_SASL_PASSWORD": "hunter22",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cr3t-1,x=s3cr3t-2",
        "DRIFTLOOP_SCHEMAS": "https://me:inside-url@host",
        "KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    }

    assert {"hunter22", "s3cr3t-1", "s3cr3t-2", "inside-url"} <= secrets_of(settings)
    assert "127.0.0.1:9092" not in secrets_of(settings)


def test_the_keys_of_object_stores_are_secrets_and_their_names_are_not() -> None:
    secret = {
        "AWS_SECRET_ACCESS_KEY": "aws-1",
        "AWS_SESSION_TOKEN": "aws-2",
        "AWS_SSE_CUSTOMER_KEY_BASE64": "aws-3",
        "AZURE_STORAGE_ACCOUNT_KEY": "azure-1",
        "AZURE_STORAGE_SAS_KEY": "azure-2",
        "AZURE_CLIENT_SECRET": "azure-3",
        "GOOGLE_SERVICE_ACCOUNT_KEY": '{"private_key": "google-1"}',
    }
    open_ = {"AWS_ACCESS_KEY_ID": "minioadmin", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}

    assert secrets_of({**secret, **open_}) == set(secret.values())


def test_secrets_of_headers_are_known_as_they_are_sent_and_without_their_scheme() -> None:
    secrets = secrets_of({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cr3t%2Bkey,x=y"})

    assert {"Bearer%20s3cr3t%2Bkey", "Bearer s3cr3t+key", "s3cr3t+key"} <= secrets
    assert "s3cr3t" not in Redactor(secrets).text("failed to send s3cr3t+key (Bearer s3cr3t+key)")


def test_settings_show_no_secret_and_still_hold_it() -> None:
    common = read_common({"KAFKA_SASL_PASSWORD": "hunter22", "KAFKA_SASL_USERNAME": "ann"})

    assert common.kafka["sasl.password"] == "hunter22"
    assert "hunter22" not in repr(common) + str(common.kafka) + f"{common.kafka}"
    assert "'sasl.username': 'ann'" in repr(common)
    assert isinstance(Common().kafka, Properties)


def test_a_mistake_in_a_setting_does_not_show_a_url_s_password() -> None:
    with pytest.raises(Refused) as refused:
        read_common({"DRIFTLOOP_PARENT": "https://me:hunter22@host"})

    assert "https://me:***@host" in str(refused.value)
    assert "hunter22" not in str(refused.value)


def test_nested_fields_are_cleaned_by_name_and_by_value() -> None:
    fields = {"a": [{"password": "hunter22", "rows": 7}], "b": ("hunter22",), "c": None}

    assert Redactor(["hunter22"]).value(fields) == {
        "a": [{"password": "***", "rows": 7}],
        "b": ["***"],
        "c": None,
    }
