"""Offers a release to devices at a broker, and withdraws offers. It does not look at what becomes of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.offers import Offers
from fedmote.federation.protocol import Outgoing
from fedmote.federation.release import Release, clearing_messages, withdrawal

_ANSWER_S = 10
_ACKNOWLEDGE_S = 30
_BATCH = 50  # messages that wait for their acknowledgement

Progress = Callable[[int], None]


def choose(store: Offers, devices: Sequence[str], board: str, runtime: str) -> list[str]:
    """Return the devices that a release for this board goes to: those named, or where none is, all that are
    such a board.

    What a device is, its status told the aggregator. Raises FedmoteError for a device that is unknown,
    revoked or another board, and where none is left.
    """
    known = {one.device: one for one in store.devices() if not one.revoked}
    if not devices:
        found = [name for name, one in known.items() if one.board == board and _runs(one.runtime, runtime)]
        if not found:
            raise FedmoteError(
                f"no device of {store.path} has told that it is a {board} with {runtime}: "
                "name the devices with --device"
            )
        return found
    for name in devices:
        if name not in known:
            raise FedmoteError(f"device {name!r} is not known here: see fedmote provision --list")
        one = known[name]
        if one.board not in (None, "unknown", board) or not _runs(one.runtime or runtime, runtime):
            raise FedmoteError(
                f"device {name} is a {one.board} with {one.runtime}, the release for {board} with {runtime}: "
                "choose another --board, --runtime or --device"
            )
    return sorted(set(devices))


def push(
    store: Offers,
    address: BrokerAddress,
    federation: str,
    release: Release,
    devices: Sequence[str],
    told: Progress,
) -> None:
    """Publish a release and offer it to the devices, which must be known. Releases that nobody is offered any
    more are cleared. told(count): called as messages arrive at the broker.

    Raises FedmoteError where the broker cannot be used; it can be done again.
    """
    keys = {device: store.key(device) for device in devices}
    with _connected(address) as client:
        store.publish(release.id, len(release.body), release.name)
        _publish(client, address, release.messages(federation), told)
        offers = []
        for device, key in keys.items():
            assert key is not None
            offers.append(release.offer(federation, device, key, store.offer(device, release.id)))
        _publish(client, address, offers, told)
        _clear(client, address, store, federation)


def withdraw(store: Offers, address: BrokerAddress, federation: str, devices: Sequence[str]) -> None:
    """Withdraw the offers to the devices, and clear releases that nobody is offered any more.

    Raises FedmoteError where the broker cannot be used.
    """
    with _connected(address) as client:
        _publish(client, address, [withdrawal(federation, device) for device in devices])
        for device in devices:
            store.withdraw(device)
        _clear(client, address, store, federation)


def _clear(client: mqtt.Client, address: BrokerAddress, store: Offers, federation: str) -> None:
    for release, total in store.forgotten():
        _publish(client, address, clearing_messages(federation, release, total))
        store.clear(release)


def _publish(
    client: mqtt.Client,
    address: BrokerAddress,
    messages: Iterable[Outgoing],
    told: Progress = lambda count: None,
) -> None:
    """Return when the broker has acknowledged all messages."""
    remaining = iter(messages)
    while batch := list(islice(remaining, _BATCH)):
        sent = [client.publish(one.topic, one.payload, 1, one.retained) for one in batch]
        for info in sent:
            with suppress(RuntimeError, ValueError):  # told below
                info.wait_for_publish(_ACKNOWLEDGE_S)
            if not info.is_published():
                raise FedmoteError(
                    f"{address} does not take our messages: check its access rules and its limits"
                )
        told(len(batch))


@contextmanager
def _connected(address: BrokerAddress) -> Iterator[mqtt.Client]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    address.prepare(client)
    answered: list[Any] = []
    client.on_connect = lambda _, __, ___, reason, ____: answered.append(reason)
    try:
        client.connect(address.host, address.port)
        for _ in range(10 * _ANSWER_S):
            client.loop(0.1)
            if answered:
                break
    except OSError as error:
        raise address.unreachable(error) from None
    if not answered:
        raise address.silent()
    if answered[0].is_failure:
        raise address.refused(answered[0])
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _runs(told: str | None, runtime: str) -> bool:
    return told is not None and told.partition(" ")[0] == runtime
