"""A replica that is behind says so within its caller's deadline: what comes later is no answer."""

import grpc
import pytest

from tests.support.patience import PATIENCE
from tests.support.rpc import Refused, question


async def test_a_revision_that_does_not_come_is_told_before_the_deadline(app, wire):
    app.replica._longest_wait = PATIENCE
    with pytest.raises(Refused) as refused:
        await wire("Check", question("mia", "dr-a", "claim:view", min_revision=9_999), patient=False, timeout=4.0)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "REVISION_NOT_REACHED")
