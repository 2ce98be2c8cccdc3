"""What Prometheus may ask: counts and times, never a name, a path or a text that came from a client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._requests = Counter("maskrcnn_requests", "answers, by status", ["status"], registry=own)
        self._request_seconds = _seconds("request", "from the header of a request to the end of its answer", own)
        self._queue_seconds = _seconds("queue", "that a decoded picture waits for the compute thread", own)
        self._compute_seconds = _seconds("compute", "of a batch in the network", own)
        self._batch_size = Histogram("maskrcnn_batch_size", "pictures", buckets=(1, 2, 4, 8, 16), registry=own)
        self._objects = Counter("maskrcnn_objects", "objects found", registry=own)
        self._rejected = Counter("maskrcnn_rejected", "requests not admitted, by reason", ["reason"], registry=own)
        self._admitted = Gauge("maskrcnn_requests_in_progress", "admitted requests without an answer", registry=own)
        ProcessCollector(registry=own)

    def watch(self, admitted: Callable[[], float]) -> None:
        """Ask this for the number of admitted requests."""
        self._admitted.set_function(admitted)

    def answered(self, status: int, seconds: float) -> None:
        """An answer has been sent."""
        self._requests.labels(str(status)).inc()
        self._request_seconds.observe(seconds)

    def rejected(self, reason: str) -> None:
        """A request was not admitted."""
        self._rejected.labels(reason).inc()

    def computed(self, waits: Sequence[float], seconds: float, num_objects: int) -> None:
        """A batch has been computed, whose pictures had waited so long."""
        for wait in waits:
            self._queue_seconds.observe(wait)
        self._compute_seconds.observe(seconds)
        self._batch_size.observe(len(waits))
        self._objects.inc(num_objects)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


def _seconds(name: str, meaning: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"maskrcnn_{name}_seconds", f"seconds {meaning}", buckets=_SECONDS, registry=registry)
