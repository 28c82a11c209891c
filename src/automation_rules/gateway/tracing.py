"""Which trace a request belongs to: OpenTelemetry's active span, else W3C Trace Context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["trace_id_of"]

_PROPAGATOR: Final = TraceContextTextMapPropagator()


def trace_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the id of the trace that a request belongs to, 32 hexadecimal digits, or None.

    ``headers`` have lower-case names. A ``traceparent`` that cannot be read belongs to no trace.
    """
    active = trace.get_current_span().get_span_context()
    if not active.is_valid and "traceparent" in headers:
        remote = _PROPAGATOR.extract(headers, Context())
        active = trace.get_current_span(remote).get_span_context()
    return trace.format_trace_id(active.trace_id) if active.is_valid else None
