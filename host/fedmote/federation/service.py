"""Runs an aggregator on an MQTT broker until it has finished or is
told to stop. What messages mean is aggregator.py's."""

import asyncio
import sqlite3

from fedmote.errors import FedmoteError
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.link import Link
from fedmote.federation.protocol import filters

_BATCH = 2000  # messages in a transaction: waiting for the disk is what costs
_TICK_S = 0.2


async def serve(aggregator: Aggregator, address: BrokerAddress, stop: asyncio.Event) -> None:
    """Return when the plan is done and published, or soon after ``stop`` is set.

    A message is acknowledged after the transaction that took it, so one that came
    while nobody served, or whose transaction was lost, comes again. Raises
    FedmoteError where the broker cannot be used or the store fails.
    """
    name = aggregator.federation
    link = Link(address, f"fedmote-{name}-aggregator", filters(name, aggregator.plan.pieces))
    await link.open()
    try:
        while not stop.is_set():
            batch = await link.receive(_BATCH, _TICK_S)
            outgoing = aggregator.start() if link.renewed() else []
            if batch:
                outgoing += aggregator.handle([(message.topic, message.payload) for message in batch])
                link.acknowledge(batch)
            outgoing += aggregator.tick()
            link.publish(outgoing)
            if aggregator.finished and link.connected:
                break
        aggregator.rest()
    except sqlite3.Error as error:
        raise FedmoteError(
            f"the store {aggregator.store.path} cannot be written ({error}): make room, then start again"
        ) from None
    finally:
        await link.close()
