"""Limit of image examinations: one at a time for each account, and two in all."""

from __future__ import annotations

import asyncio

import pytest

from limner.server import limits
from limner.server.limits import ExaminationLimit
from limner.server.problems import HTTPError

REFUSED = "the server is examining other images; try again in 30 seconds"


def test_an_account_waits_for_its_own_examination_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXAMINATION_WAIT", 0.02)

    async def act() -> None:
        examinations, release = ExaminationLimit(), asyncio.Event()

        async def hold(account: str) -> None:
            async with examinations.slot(account):
                await release.wait()

        async def try_slot(account: str) -> None:
            async with examinations.slot(account):
                pass

        async def refused(account: str) -> None:
            with pytest.raises(HTTPError, match=REFUSED) as caught:
                await asyncio.create_task(try_slot(account))
            assert caught.value.status == 503 and caught.value.headers == {"Retry-After": "30"}

        first = asyncio.create_task(hold("ann"))
        await asyncio.sleep(0)
        await refused("ann")
        await asyncio.create_task(try_slot("bob"))
        second = asyncio.create_task(hold("eve"))
        await asyncio.sleep(0)
        await refused("bob")
        release.set()
        await asyncio.gather(first, second)
        for account in ("ann", "bob", "eve"):
            await asyncio.create_task(try_slot(account))

    asyncio.run(act())
