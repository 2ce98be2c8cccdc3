"""The routes: what each address answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from importlib import metadata
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from maskrcnn.serve import label_studio, open_inference
from maskrcnn.serve.answers import Answer, json_answer, png
from maskrcnn.serve.bodies import decode, media_type, picture_in, read_body
from maskrcnn.serve.compute import Options
from maskrcnn.serve.guard import Guard
from maskrcnn.serve.page import FILES
from maskrcnn.serve.parameters import format_of, options_of, query_of
from maskrcnn.serve.problems import ClientGone, Problem, json_response
from maskrcnn.serve.service import Service
from maskrcnn.structures.masks import ByteArray

JSON_LENGTH = "inference-header-content-length"

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
            Route("/v2", routes.v2),
            Route("/v2/health/live", routes.live),
            Route("/v2/health/ready", routes.ready),
            Route("/v2/models/{name}", routes.v2_model),
            Route("/v2/models/{name}/ready", routes.v2_model_ready),
            Route("/v2/models/{name}/infer", routes.v2_infer, methods=["POST"]),
            Route("/health", routes.health),
            Route("/setup", routes.setup, methods=["POST"]),
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
        """The objects in the picture that is the body, or a part of it; or Label Studio's message."""
        if media_type(request)[0] == "application/json":
            return await self._label_studio(request)
        query = query_of(request, "format")
        options, encode = options_of(query), format_of(request, query)
        with self._service.admission():
            read = await self._picture(request)
            return await self._answered(request, self._service.answer(read, options, encode))

    async def picture(self, request: Request) -> Response:
        """The picture as the model sees it, for browsers that cannot read its format."""
        query_of(request)
        with self._service.admission():
            channels = self._service.channels
            read = await self._picture(request)
            return await self._answered(request, self._service.in_thread(lambda: png(channels.picture(read()))))

    async def _picture(self, request: Request) -> Callable[[], ByteArray]:
        """What decodes the picture of a request whose body has been read."""
        kind, boundary = media_type(request)
        settings = self._service.settings
        picture = picture_in(await read_body(request, settings), kind, boundary)
        return lambda: decode(picture, settings.max_pixels, self._service.channels)

    async def _answered(self, request: Request, work: Coroutine[Any, Any, Answer]) -> Response:
        answer = await unless_gone(request, work)
        return Response(answer.content, media_type=answer.media_type, headers=dict(answer.headers))

    async def model(self, request: Request) -> Response:
        """What the model knows, and what the server takes."""
        model, settings = self._service.model, self._service.settings
        limits = {"max_bytes": settings.max_body, "max_pixels": settings.max_pixels, "max_queue": settings.max_queue}
        return json_response(
            {
                "name": self._service.name,
                "categories": model.categories.to_coco(),
                "score_threshold": model.score_threshold,
                "channels": self._service.channels.count,
                "version": metadata.version("maskrcnn"),
                "limits": limits,
            }
        )

    async def v2(self, request: Request) -> Response:
        """The server, as the Open Inference Protocol describes it."""
        version = metadata.version("maskrcnn")
        return json_response({"name": "maskrcnn", "version": version, "extensions": ["binary_tensor_data"]})

    async def v2_model(self, request: Request) -> Response:
        """What the model takes and gives."""
        return json_response(open_inference.metadata(self._named(request), self._service.channels))

    async def v2_model_ready(self, request: Request) -> Response:
        """Whether it is ready."""
        self._named(request)
        return await self.ready(request)

    async def v2_infer(self, request: Request) -> Response:
        """The objects in a picture that is a tensor."""
        name, limit = self._named(request), self._service.settings.max_pixels
        with self._service.admission():
            body, length = await read_body(request, self._service.settings), request.headers.get(JSON_LENGTH)
            channels = self._service.channels
            asked = await self._service.in_thread(lambda: open_inference.read_request(body, length, limit, channels))
            work = self._service.answer(
                lambda: asked.pixels(limit, channels),
                asked.options,
                lambda found: open_inference.answer(found, asked, name),
            )
            return await self._answered(request, work)

    def _named(self, request: Request) -> str:
        """The name of the model in the address, which must be that of the one there is."""
        if request.path_params["name"] != self._service.name:
            raise Problem(404, "there is no model of this name; /model tells the name of the one there is")
        return self._service.name

    async def health(self, request: Request) -> Response:
        """Label Studio asks whether the server is there."""
        return json_response({"status": "UP", "model_class": self._service.name})

    async def setup(self, request: Request) -> Response:
        """A project of Label Studio introduces itself; its address is not trusted, see `label_studio`."""
        with self._service.admission():
            label_studio.check_setup(await read_body(request, self._service.settings), self._service.class_names)
            return json_response({"model_version": self._service.name})

    async def _label_studio(self, request: Request) -> Response:
        """The predictions of several tasks, one after the other."""
        options = options_of(query_of(request))
        with self._service.admission():
            body = await read_body(request, self._service.settings)
            labelling, addresses = await self._service.in_thread(lambda: label_studio.read_tasks(body))
            labelling.require_any(self._service.class_names)
            work = self._label_tasks(labelling, addresses, options)
            return await self._answered(request, work)

    async def _label_tasks(self, labelling: label_studio.Labelling, addresses: list[str], options: Options) -> Answer:
        settings, name = self._service.settings, self._service.name
        results = []
        for address in addresses:
            picture = await self._service.in_thread(partial(label_studio.fetch, address, settings))
            read = partial(decode, picture, settings.max_pixels, self._service.channels)
            encode = partial(label_studio.result_of, labelling=labelling, version=name)
            results.append(await self._service.answer(read, options, encode))
        return json_answer({"results": results, "model_version": name})

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
