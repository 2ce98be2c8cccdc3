"""Admission, deadlines and order, with a model that waits for a gate."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from .asgi import Client, Reply


async def crowd(client: Client, size: int, picture: bytes) -> list[asyncio.Task[Reply]]:
    """So many requests, none of which is computed yet; those without a place have their answers."""
    client.model.gate.clear()
    tasks = [asyncio.create_task(client.request("POST", "/predict", picture)) for _ in range(size)]
    most = client.service.settings.max_queue + client.service.compute.max_batch
    await client.until(
        lambda: client.service.admitted == min(most, size) and sum(t.done() for t in tasks) == size - min(most, size)
    )
    return tasks


def test_a_full_queue(client_of: Callable[..., Client], picture: bytes) -> None:
    """One is computed and three wait; the others are refused before a byte of their body is read."""
    client = client_of(max_queue=3)

    async def scenario() -> list[Reply]:
        tasks = await crowd(client, 10, picture)
        unread = await client.request("POST", "/predict", 30.0, content_length="500")
        client.model.gate.set()
        return [unread, *[await task for task in tasks]]

    unread, *replies = asyncio.run(scenario())
    assert Counter(reply.status for reply in replies) == {200: 4, 429: 6} and unread.status == 429
    assert unread.headers["retry-after"] == "2"  # four pictures of half a second each
    assert client.service.admitted == 0 and client.service.total == 4
    assert b'maskrcnn_rejected_total{reason="full"} 7.0' in client("GET", "/metrics").body


def test_too_late(client_of: Callable[..., Client], picture: bytes) -> None:
    """A request that is not done in time gets an answer, and its picture is not computed any more."""
    client = client_of(timeout=0.2)

    async def scenario() -> list[Reply]:
        tasks = await crowd(client, 3, picture)
        return [await task for task in tasks]

    replies = asyncio.run(scenario())
    assert [reply.status for reply in replies] == [503] * 3 and replies[0].headers["retry-after"] == "2"
    client.model.gate.set()
    client.service.compute.close(20)
    assert client.model.batches in ([1], [1, 1])  # the picture of the start, and at most the one that was begun


def test_batches_are_of_one_kind(client_of: Callable[..., Client], picture: bytes) -> None:
    """While a picture is computed others come in: the next pass takes those of its own size and options."""
    client = client_of(max_batch=2)

    async def scenario() -> list[int]:
        client.model.gate.clear()
        first = asyncio.create_task(client.request("POST", "/predict", picture))
        await client.until(lambda: client.model.begun == 2)
        targets = ("/predict", "/predict?score_threshold=0.7", "/predict")
        others = []
        for waiting, target in enumerate(targets, 1):  # one by one: bodies are decoded in several threads
            others.append(asyncio.create_task(client.request("POST", target, picture)))
            await client.until(lambda waiting=waiting: client.service.compute.num_waiting == waiting)
        client.model.gate.set()
        return [len((await task).json["objects"]) for task in (first, *others)]

    assert asyncio.run(scenario()) == [2, 2, 1, 2]
    assert client.model.batches == [1, 1, 2, 1]


def test_a_failed_batch_answers_all_of_it(client_of: Callable[..., Client], picture: bytes) -> None:
    client = client_of()
    client.model.error = ValueError("odd")

    async def scenario() -> list[int]:
        tasks = await crowd(client, 3, picture)
        client.model.gate.set()
        return [(await task).status for task in tasks]

    assert asyncio.run(scenario()) == [500] * 3
