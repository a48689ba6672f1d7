"""Runs a bridge between two brokers until it is told to stop, and keeps its state in a file."""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedmote.bridges.chirpstack import events
from fedmote.bridges.chirpstack.bridge import Bridge, Turn, federation_filters
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.link import Link

logger = logging.getLogger(__name__)

STATE_NAME = "chirpstack.json"

_BATCH = 256
_TICK_S = 0.2
_SAVE_S = 5.0


async def serve(
    bridge: Bridge, network: BrokerAddress, broker: BrokerAddress, path: Path, stop: asyncio.Event
) -> None:
    """Return soon after ``stop`` is set.

    network: ChirpStack's broker. broker: the federation's. path: file of the state, read at the start. Raises
    FedmoteError where a broker cannot be used or the file not be read or written.
    """
    if path.exists():
        bridge.restore(load(path))
    name = f"fedmote-{bridge.federation}-chirpstack"
    rounds, models = federation_filters(bridge.federation)
    links = (
        Link(network, name, [events.filters(bridge.application)]),
        Link(broker, f"{name}-rounds", [rounds]),
        Link(broker, f"{name}-models", [models]),
    )

    def publish(turn: Turn) -> None:
        links[0].publish(turn.network)
        links[1].publish(turn.federation)

    try:
        for link in links:
            await link.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry(links[0], bridge.from_network, publish, stop))
            for link in links[1:]:
                group.create_task(_carry(link, bridge.from_federation, publish, stop))
            group.create_task(_keep(bridge, links[1], publish, path, stop))
    except* FedmoteError as errors:
        raise errors.exceptions[0] from None
    finally:
        for link in links:
            await link.close()


async def _carry(
    link: Link, handle: Callable[[str, bytes], Turn], publish: Callable[[Turn], None], stop: asyncio.Event
) -> None:
    while not stop.is_set():
        batch = await link.receive(_BATCH, _TICK_S)
        for message in batch:
            publish(handle(message.topic, message.payload))
        link.acknowledge(batch)


async def _keep(
    bridge: Bridge, link: Link, publish: Callable[[Turn], None], path: Path, stop: asyncio.Event
) -> None:
    """Look at the clock and save what changed."""
    loop = asyncio.get_running_loop()
    saved, saved_at = "", loop.time()
    while not stop.is_set():
        if link.renewed():
            publish(bridge.renewed())
        publish(bridge.tick())
        if loop.time() - saved_at > _SAVE_S:
            saved, saved_at = _save(bridge, path, saved), loop.time()
        await asyncio.sleep(_TICK_S)
    _save(bridge, path, saved)


def load(path: Path) -> dict[str, Any]:
    """Return the state that a bridge keeps in a file. Raises FedmoteError where it cannot be read."""
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FedmoteError(f"{path} cannot be read ({error}): move it away to begin anew") from None
    return state


def _save(bridge: Bridge, path: Path, saved: str) -> str:
    text = json.dumps(bridge.state())
    if text == saved:
        return saved
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text)
        os.replace(new, path)
    except OSError as error:
        raise FedmoteError(f"{path} cannot be written ({error}): make room, then start again") from None
    return text
