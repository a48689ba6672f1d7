"""Which round comes next by the plan, and its manifest. It opens none."""

from dataclasses import replace

from fedmote.federation.manifests import Manifest
from fedmote.federation.plan import EVALUATE, IDLE, TRAIN, Plan
from fedmote.federation.store import Model, Store


class Course:
    """The way through a plan, as far as the store tells it."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self._store, self._plan = store, plan

    def next_phase(self, newest: int) -> str | None:
        """Return the phase of the round after the last one, None where the plan is done: the newest version
        is measured."""
        if not self._plan.rounds or self._store.count_rounds(TRAIN) < self._plan.rounds:
            return TRAIN
        last = self._store.last_round()
        measured = last is not None and last[1:] == (EVALUATE, newest)
        return None if measured else EVALUATE

    def next_manifest(self, phase: str, model: Model) -> Manifest:
        """Return the manifest of the round after the last one."""
        return self._manifest(self._store.last_number() + 1, self._store.next_edition(), phase, model)

    def current(self, opened: Manifest | None) -> Manifest:
        """Return the manifest of the open round, or of rest where there is none, under the last edition."""
        edition = self._store.edition()
        if opened is not None:
            return replace(opened, edition=edition)
        return self._manifest(self._store.last_number(), edition, IDLE, self._store.model())

    def _manifest(self, number: int, edition: int, phase: str, model: Model) -> Manifest:
        plan = self._plan
        return Manifest(
            run=self._store.run,
            round=number,
            edition=edition,
            version=model.version,
            phase=phase,
            layout=plan.layout,
            size=len(model.body),
            sha256=model.sha256,
            codec=plan.codec,
            epochs=plan.epochs,
            batch=plan.batch,
            rate=plan.rate,
            decay=plan.decay,
            deadline_ms=round(plan.deadline_s * 1000),
        )
