"""Why a service can't be asked, as told of real addresses."""

from __future__ import annotations

from contextlib import closing

import pytest

from driftloop.client.calls import Calls
from driftloop.kit import rpc
from driftloop.kit.config import Common
from tests.integration.client.test_doctor import stranger
from tests.integration.running import a_free_port


@pytest.mark.parametrize("first", ["127.0.0.1:{free}, {strange}", "{strange},127.0.0.1:{free}"])
def test_of_several_addresses_one_at_which_something_listens_is_told(first: str) -> None:
    with stranger() as strange:
        address = first.format(free=a_free_port(), strange=strange)
        calls = Calls(Common(driftloop_serving=address), rpc.channel)
        with closing(calls):
            said = calls.trouble("serving", 0.5)
    assert said == f"what listens at {address} is none of ours, or hangs: it speaks no gRPC"


def test_where_nothing_listens_at_any_of_several_it_says_so() -> None:
    address = f"127.0.0.1:{a_free_port()},127.0.0.1:{a_free_port()}"
    with closing(Calls(Common(driftloop_serving=address), rpc.channel)) as calls:
        assert calls.trouble("serving", 0.5) == f"nothing listens at {address}"
