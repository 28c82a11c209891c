"""What a gateway does, in figures for Prometheus: nothing in them names a person or a bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from ..audit import DecisionLog
from ..errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..store import Store
    from .core import Gateway, Passage

__all__ = ["Metrics"]

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The figures of one gateway; make it, and the gateway is watched."""

    def __init__(self, gateway: Gateway, store: Store) -> None:
        """Watch ``gateway``, whose log is in ``store``."""
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "automation_rules_decisions",
            "Answers given: allowed, denied, or undecided when nothing could be decided.",
            ["verdict"],
            registry=self._registry,
        )
        self._failures = Counter(
            "automation_rules_failures",
            "Failed checks of the answers given, several of one answer included.",
            ["check", "code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "automation_rules_decision_seconds",
            "How long answers took, from being asked to being durable.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._lag = Histogram(
            "automation_rules_log_lag_seconds",
            "How long decisions waited for their commit to the log.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        shadow = Gauge(
            "automation_rules_shadow",
            "1 when denials are recorded but not enforced.",
            registry=self._registry,
        )
        shadow.set(gateway.shadow)
        for verdict in ("allowed", "denied", "undecided"):
            self._decisions.labels(verdict)
        self._registry.register(_LogSize(DecisionLog(store)))
        gateway.watch = self

    def passed(self, passage: Passage, seconds: float) -> None:
        """Take note of an answer, and of how long it took."""
        self.count(passage)
        self._seconds.observe(seconds)

    def count(self, passage: Passage) -> None:
        """Take note of an answer that took no deciding."""
        decision = passage.decision
        if decision is None:
            verdict, failures = "undecided", passage.findings
        else:
            verdict, failures = "allowed" if decision.allowed else "denied", decision.failures
        self._decisions.labels(verdict).inc()
        for finding in failures:
            self._failures.labels(finding.check, finding.code or "").inc()

    def recorded(self, seconds: float) -> None:
        """Take note of how long a decision waited for its commit, which may have failed."""
        self._lag.observe(seconds)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return the figures and their media type, in the form that ``accept`` prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _LogSize:
    """The size of the log, read whenever it is asked for; left out when it cannot be read."""

    def __init__(self, log: DecisionLog) -> None:
        self._log = log

    def describe(self) -> Iterable[Any]:
        return [GaugeMetricFamily("automation_rules_log_entries", _LOG_SIZE)]

    def collect(self) -> Iterable[Any]:
        try:
            size = self._log.head().size
        except StoreError:
            return []
        return [GaugeMetricFamily("automation_rules_log_entries", _LOG_SIZE, value=size)]


_LOG_SIZE: Final = "Entries of the decision log at its head, those of other gateways included."
