"""Whose picture is examined next at /v1/verify."""

from __future__ import annotations

import asyncio

import pytest
from anyio import CapacityLimiter

from limner.server import verify
from limner.server.problems import Refusal


def test_an_account_waits_for_its_own_picture_and_no_other_account_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "WAIT", 0.02)

    async def act() -> None:
        places, ann, bob = CapacityLimiter(2), CapacityLimiter(1), CapacityLimiter(1)
        release = asyncio.Event()

        async def hold() -> None:
            async with verify.turn(ann, places):
                await release.wait()

        task = asyncio.create_task(hold())
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="other pictures are being examined; try again soon") as refused:
            async with verify.turn(ann, places):
                pass
        assert refused.value.status == 503 and refused.value.headers == {"Retry-After": "30"}
        async with verify.turn(bob, places):
            assert places.borrowed_tokens == 2
        release.set()
        await task
        assert (places.borrowed_tokens, ann.borrowed_tokens) == (0, 0)
        async with verify.turn(ann, places):
            pass

    asyncio.run(act())
