"""How the work stands: what is counted for those who watch over a service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from limner.core.runs import Status
from limner.store.tables import ArtifactRow, DeliveryRow, RunRow


@dataclass(frozen=True, slots=True)
class QueueStats:
    """runs: by kind and status. oldest: seconds that the oldest waiting run waits. deliveries: those that wait."""

    runs: dict[tuple[str, str], int]
    artifacts: int
    oldest: float
    workers: int
    deliveries: int


def queue_stats(session: Session) -> QueueStats:
    """The state of the queues; runs of the command line are not counted."""
    queued, now = RunRow.queue.is_not(None), datetime.now(UTC)
    counted = select(RunRow.kind, RunRow.status, func.count()).where(queued).group_by(RunRow.kind, RunRow.status)
    oldest = session.scalar(select(func.min(RunRow.created)).where(queued, RunRow.status == Status.QUEUED))
    made = select(func.count()).select_from(ArtifactRow).join(RunRow, RunRow.id == ArtifactRow.run).where(queued)
    busy = select(func.count(RunRow.worker.distinct())).where(queued, RunRow.status == Status.RUNNING)
    waiting = select(func.count()).select_from(DeliveryRow).where(DeliveryRow.due.is_not(None))
    return QueueStats(
        runs={(kind, status): count for kind, status, count in session.execute(counted)},
        artifacts=session.scalar(made) or 0,
        oldest=0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()),
        workers=session.scalar(busy) or 0,
        deliveries=session.scalar(waiting) or 0,
    )
