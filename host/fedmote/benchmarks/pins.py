"""Writes the cycles that native kernels take now, for later ones to be compared with: ``make pins``."""

import json
import sys

from fedmote.benchmarks import kernels


def main() -> None:
    """Measure and write the file; what cannot be measured here keeps its figure."""
    pins = json.loads(kernels.PINS.read_text(encoding="utf-8"))
    found = kernels.run(None, 1, lambda done, total: None)
    for measured in found.measured:
        for one in filter(None, (measured, measured.viper, measured.both)):
            if one.differing:
                sys.exit(f"{one.kernel}, {one.name}: {one.differing} values differ from the reference")
            pins.setdefault(one.kernel, {})[one.name] = one.cycles
    kernels.PINS.write_text(json.dumps(pins, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
