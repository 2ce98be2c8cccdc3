"""The routes: what each address answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from importlib import metadata
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from maskrcnn.serve.answers import png
from maskrcnn.serve.bodies import decode, media_type, picture_in, read_body
from maskrcnn.serve.guard import Guard
from maskrcnn.serve.page import FILES
from maskrcnn.serve.parameters import format_of, options_of, query_of
from maskrcnn.serve.problems import ClientGone, Problem, json_response
from maskrcnn.serve.service import Service

T = TypeVar("T")


def make_app(service: Service) -> Starlette:
    """The ASGI application of a service."""
    routes = _Routes(service)
    app = Starlette(
        routes=[
            Route("/predict", routes.predict, methods=["POST"]),
            Route("/picture", routes.picture, methods=["POST"]),
            Route("/model", routes.model),
            Route("/live", routes.live),
            Route("/ready", routes.ready),
            Route("/metrics", routes.metrics),
            *(Route(path, routes.file) for path in FILES),
        ],
        middleware=[Middleware(Guard, service=service)],
        exception_handlers={HTTPException: _unknown_route},
    )
    return app


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def predict(self, request: Request) -> Response:
        """The objects in the picture that is the body, or a part of it."""
        query = query_of(request, "format")
        options, encode = options_of(query), format_of(request, query)
        settings = self._service.settings
        with self._service.admission():
            kind, boundary = media_type(request)
            picture = picture_in(await read_body(request, settings), kind, boundary)
            work = self._service.answer(lambda: decode(picture, settings.max_pixels), options, encode)
            answer = await unless_gone(request, work)
        return Response(answer.content, media_type=answer.media_type)

    async def picture(self, request: Request) -> Response:
        """The picture as the model sees it, for browsers that cannot read its format."""
        query_of(request)
        settings = self._service.settings
        with self._service.admission():
            kind, boundary = media_type(request)
            picture = picture_in(await read_body(request, settings), kind, boundary)
            work = self._service.in_thread(lambda: png(decode(picture, settings.max_pixels)))
            answer = await unless_gone(request, work)
        return Response(answer.content, media_type=answer.media_type)

    async def model(self, request: Request) -> Response:
        """What the model knows, and what the server takes."""
        model, settings = self._service.model, self._service.settings
        limits = {"max_bytes": settings.max_body, "max_pixels": settings.max_pixels, "max_queue": settings.max_queue}
        return json_response(
            {
                "name": model.name,
                "categories": model.categories.to_coco(),
                "version": metadata.version("maskrcnn"),
                "limits": limits,
            }
        )

    async def live(self, request: Request) -> Response:
        """Whether the process is of any use; if not, it should be started anew."""
        if not self._service.compute.is_alive:
            raise Problem(503, "the compute thread has ended; start the server anew")
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether requests should be sent here."""
        if not self._service.is_ready:
            raise Problem(503, "the server is loading its model or ending", {"Retry-After": "1"})
        return json_response({"ready": True})

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def file(self, request: Request) -> Response:
        """A part of the page."""
        file = FILES[request.url.path]
        return Response(file.content(), media_type=file.media_type, headers={"Cache-Control": "no-cache"})


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; it is cancelled when the client closes the connection, whose body has been read."""
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _unknown_route(request: Request, error: Exception) -> Response | Awaitable[Response]:
    assert isinstance(error, HTTPException)
    details = {404: "there is nothing at this address; /openapi.json lists what there is"}
    return Problem(
        error.status_code, details.get(error.status_code, error.detail), dict(error.headers or {})
    ).response()
