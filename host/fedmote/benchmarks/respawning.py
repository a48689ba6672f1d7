"""Processes that somebody starts again, as a service manager would. It knows nothing of what they do."""

import asyncio
import signal
import sys
from collections.abc import Callable
from random import Random

# A process ends when the one that started it does, however that ends.
_LEASH = (
    "import os, sys, threading\n"
    "threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()\n"
)


class Respawning:
    """A Python program in a process of its own, started again until it ends with 0.

    script: its text. words: called before every start, returns its arguments. pause_s: the longest time until
    it is started again. log(name, line): takes what it writes to stderr, and other ends than by ``kill``.
    """

    def __init__(
        self,
        name: str,
        script: str,
        words: Callable[[], list[str]],
        log: Callable[[str, str], None],
        random: Random,
        pause_s: float,
    ) -> None:
        self._name, self._script, self._words, self._log = name, _LEASH + script, words, log
        self._random, self._pause_s = random, pause_s
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Run it; returns when it has ended with 0. A cancellation ends the process."""
        while True:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", self._script, *self._words()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                assert process.stderr is not None
                async for line in process.stderr:
                    self._log(self._name, line.decode(errors="replace"))
                code = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if code == 0:
                return
            if code != -signal.SIGKILL:
                self._log(self._name, f"ended with {code}\n")
            await asyncio.sleep(self._random.uniform(0, self._pause_s))

    def kill(self) -> bool:
        """Kill it as kill -9 does; return False where it does not run."""
        if self._process is None or self._process.returncode is not None:
            return False
        self._process.kill()
        return True
