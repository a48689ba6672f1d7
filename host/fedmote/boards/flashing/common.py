"""The steps that every way of flashing has: getting the image, checking it, seeing the board again."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fedmote.boards import images
from fedmote.boards.flashing import usb
from fedmote.boards.flashing.contents import TITLES, examine
from fedmote.boards.flashing.plan import Job, Order, Step
from fedmote.boards.repl import Identity, Repl
from fedmote.errors import FedmoteError

PATIENCE_S = 30.0  # until a board shows up on USB, and until it answers


def fetch(order: Order, image: images.Image) -> Step:
    """Return the step that gets the image: from a file, the cache or the download site."""

    def run(job: Job) -> None:
        if order.firmware:
            fetched = images.check(order.firmware, order.sha256)
        else:
            fetched = images.fetch(image, order.sha256, job.watcher.progress)
        job.watcher.note(f"SHA-256 {fetched.sha256}: {images.TRUST[fetched.trust]}")
        job.data, job.file = fetched.path.read_bytes(), fetched.path.name

    if order.firmware:
        text = f"take the image {order.firmware}"
    elif image.place.is_file():
        text = f"take the image from {image.place}"
    else:
        text = f"download {image.url} to {image.place}"
    known = order.sha256 or (None if order.firmware else image.sha256)
    return Step("image", f"{text}, check its SHA-256" + (f" {known}" if known else ""), run)


def check(order: Order) -> Step:
    """Return the step that makes sure that the image is whole and right for the board."""

    def run(job: Job) -> None:
        job.contents = contents = examine(job.data, order.board, order.runtime, job.file)
        named = contents.image or "a build without a name"
        job.watcher.note(f"{TITLES[contents.runtime]} {contents.version}, {named}, {contents.size} bytes")

    title = TITLES[order.runtime]
    return Step(
        "check", f"check that it is whole and {title} for {order.board.title} ({order.board.chip})", run
    )


def greet(order: Order) -> Step:
    """Return the step that waits for the board and asks it what it runs."""

    def run(job: Job) -> None:
        heard: list[str] = []

        def look() -> Iterable[Identity]:
            for device in _candidates(job):
                try:
                    with Repl.open(device) as repl:
                        identity = repl.identify()
                        repl.resume()
                except FedmoteError as error:
                    heard.append(str(error))
                    continue
                if identity.runtime == order.runtime:
                    job.port = device
                    yield identity
                heard.append(f"{device}: {TITLES.get(identity.runtime, identity.runtime)} {identity.version}")

        job.identity = usb.await_first(look, PATIENCE_S)
        if job.identity is None:
            last = heard[-1] if heard else "no port of such a board has come up"
            raise FedmoteError(
                f"the image was sent, but the board has not answered within {PATIENCE_S:.0f} s ({last}): "
                "press its reset button or connect it again; `fedmote devices` shows what it runs"
            )

    return Step("greet", f"wait for the board to start, ask it for its {TITLES[order.runtime]} version", run)


def remember_others(job: Job) -> None:
    """Note the ports of other boards, while ours is in its boot loader."""
    own = job.port
    job.others = frozenset((port.device, port.usb) for port in usb.ports() if port.device != own)


def choose(found: Sequence[tuple[str, str]], nothing: str) -> str:
    """Return the only one of (name, description); raises FedmoteError where there are several, or none."""
    if not found:
        raise FedmoteError(nothing)
    if len(found) > 1:
        listing = "".join(f"\n  --port {name}    {description}" for name, description in found)
        raise FedmoteError(f"{len(found)} boards may be meant, choose one:{listing}")
    return found[0][0]


def _candidates(job: Job) -> list[str]:
    """Return the ports at which our board may answer."""
    fresh = [
        port.device for port in usb.with_ids(job.order.board.usb) if (port.device, port.usb) not in job.others
    ]
    bare = job.port is not None and usb.id_of(job.port) is None and Path(job.port).exists()
    return [*fresh, *([job.port] if bare and job.port else [])]
