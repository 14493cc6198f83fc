"""What one board holds of a run, and its records as they come in.

Owns: the batches on the board; the way of a record, which is judged, then stored or its item queued
again; and what the board's records say of the board itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgeprof.boards.batch import Item
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.session import Collected
from edgeprof.records.campaign_samples import LINK_PREFIX
from edgeprof.records.store import REFERENCE_KIND, further_signature, network_key
from edgeprof.runs.context import RunContext
from edgeprof.runs.queue import Verdict, verdict_of
from edgeprof.runs.summary import BoardProgress, temperature_of
from edgeprof.runs.workload import REFERENCES

_STALLS_PER_ITEM = 3


@dataclass
class Trouble:
    """What has gone wrong with a board lately.

    Attributes:
        lost_connections: in a row, without a useful record between them.
        busy_since_s: since when another owner measures there.
        silences: deadlines in a row that passed without an answer.
        failed_items: in a row, that may be the board's own fault.
        last_failure: message of the last of them.
    """

    lost_connections: int = 0
    busy_since_s: float | None = None
    silences: int = 0
    failed_items: int = 0
    last_failure: str = ""


class Intake:
    """The batches of one board.

    Attributes:
        held: items by batch on the board whose records have not been taken in.
        stored: batches whose records are stored, to be deleted on the board.
    """

    def __init__(
        self, spec: BoardSpec, progress: BoardProgress, trouble: Trouble, context: RunContext
    ) -> None:
        self.held: dict[str, dict[str, Item]] = {}
        self.stored: list[str] = []
        self._spec, self._progress, self._trouble = spec, progress, trouble
        self._context = context
        self._stalls: dict[str, int] = {}

    @property
    def is_failing(self) -> bool:
        """Whether too many models in a row have failed here."""
        return self._trouble.failed_items >= self._context.options.policy.failed_in_a_row

    def hold(self, name: str, items: Iterable[Item]) -> None:
        """Note that a batch with these items is on the board, or on its way."""
        self.held[name] = {item.key: item for item in items}

    def take_in(self, name: str, collected: Collected) -> bool:
        """Take in what is new of a batch; returns whether all its items have their record.

        Raises:
            BoardSetupError: too many models in a row have failed here.
            StoreError: a record cannot be stored.
        """
        n_new = self.keep(name, collected)
        self._stalls[name] = 0 if n_new else self._stalls.get(name, 0) + 1
        if self.is_failing:
            raise self._spec.error(
                f"{self._trouble.failed_items} models in a row failed "
                f"there, the last so: {self._trouble.last_failure}"
            )
        if self._stalls[name] >= _STALLS_PER_ITEM and self.held[name]:
            self._give_up_first(name, collected)
            return True
        return not (collected.is_there and self.held[name])

    def keep(self, name: str, collected: Collected) -> int:
        """Take in what is new of a batch, whatever it says of the board; returns how much."""
        items = self.held.get(name, {})
        n_new = 0
        for key, record in collected.records.items():
            if "campaign" in record:
                record["campaign"]["id"] = name
            if key in REFERENCES or key.startswith(LINK_PREFIX):
                self._enter_beside(name, record)
            elif key in items and not self.is_failing:
                self._enter(items[key], record)
                del items[key]
                n_new += 1
        return n_new

    def finish(self, name: str) -> None:
        """Let go of a batch whose records are stored; what is left of it is queued again."""
        self._put_back(self.held.pop(name, {}).values())
        self.stored.append(name)
        self._stalls.pop(name, None)

    def give_back(self) -> None:
        """Let the other boards have what this one holds."""
        for name in list(self.held):
            self.forget(name)

    def forget(self, name: str) -> None:
        """Queue the items of a batch again."""
        self._put_back(self.held.pop(name).values())

    def _put_back(self, items: Iterable[Item]) -> None:
        self._context.results.queue(self._spec.device).put_back(items)
        self._context.results.changed.set()

    def _give_up_first(self, name: str, collected: Collected) -> None:
        """Blame the item that the worker was at each time it died."""
        key, item = next(iter(self.held[name].items()))
        words = f": {collected.last_words}" if collected.last_words else ""
        error = {
            "kind": "HarnessCrashed",
            "message": f"the board program ended {_STALLS_PER_ITEM} times at this model{words}",
            "transient": True,
        }
        del self.held[name][key]
        self._enter(item, {"record_version": 1, "job_id": key, "error": error})

    def _enter(self, item: Item, record: dict[str, Any]) -> None:
        """Store the record of an item, or queue the item again.

        Raises:
            StoreError: it cannot be stored; it is still on the board then.
        """
        results, progress, trouble = self._context.results, self._progress, self._trouble
        if "model" in record and item.model is not None:
            record["model"]["path"] = item.name or item.model.name
            if shapes := item.job.get("shapes"):
                record["model"]["shapes"] = shapes
        record["board"] = self._spec.name
        progress.temp_mdegc = temperature_of(record) or progress.temp_mdegc
        if self._comes_again(item, record):
            progress.retried += 1
            results.changed.set()
            trouble.failed_items += 1
            trouble.last_failure = str(record["error"]["message"])
            return
        trouble.lost_connections = 0
        queue, device = results.queue(self._spec.device), self._spec.device
        if "error" in record:  # a failure for good says nothing of the board
            results.store.append_failure(
                record, job_key=item.key, device=device, subnet=item.subnet
            )
            results.failures.append(record)
            progress.failed += queue.finish(item)
            return
        trouble.failed_items = 0
        is_of_model = "sha256" in record["model"]  # the null runtime has none
        if item.network is not None and is_of_model and further_signature(record) is None:
            results.store.append_network(network_key(record), item.network)
        results.duplicates += not results.store.append(
            record,
            job_key=item.key,
            device=device,
            subnet=item.subnet,
            model_kind=item.model_kind,
        )
        progress.measured += queue.finish(item)

    def _comes_again(self, item: Item, record: Mapping[str, Any]) -> bool:
        queue, now_s = self._context.results.queue(self._spec.device), time.monotonic()
        verdict, reason = verdict_of(record), str(record.get("error", {}).get("kind", ""))
        if verdict is Verdict.DOUBTFUL:
            return queue.doubt(item, self._spec.name, now_s, reason)
        return verdict is Verdict.PASSING and queue.retry(item, now_s, reason)

    def _enter_beside(self, campaign: str, record: dict[str, Any]) -> None:
        """Store the record of a reference model or a link, which no item waits for."""
        key = record["job_id"]
        if "error" in record:
            self._context.results.queue(self._spec.device).drop_link(key)
            return
        record["board"] = self._spec.name
        self._context.results.store.append(
            record,
            job_key=f"{key}@{campaign}",
            device=self._spec.device,
            model_kind=REFERENCE_KIND,
        )
