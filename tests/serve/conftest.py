"""Servers with a fake model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from maskrcnn.serve.service import Service
from maskrcnn.serve.settings import ServeSettings

from .asgi import Client
from .fake import FakeModel, png


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """Makes clients with the settings given."""
    clients: list[Client] = []

    def make(load: Callable[[], FakeModel] | None = None, **settings: Any) -> Client:
        model = FakeModel()
        client = Client(Service(load or (lambda: model), replace(ServeSettings(), **settings)), model)
        clients.append(client)
        if load is None:
            client.service.compute.model.result(20)
        return client

    yield make
    for client in clients:
        client.model.gate.set()
        assert client.service.close()


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of()


@pytest.fixture
def image() -> np.ndarray:
    """(6, 8, 3): three bright pixels at the left, one at the right."""
    image = np.zeros((6, 8, 3), np.uint8)
    image[1:4, 2] = image[2, 6] = 255
    return image


@pytest.fixture
def picture(image: np.ndarray) -> bytes:
    return png(image)
