"""The Adafruit libraries that a sensor needs on CircuitPython, from the packages installed here."""

from importlib.metadata import PackageNotFoundError, distribution

from fedmote.errors import FedmoteError

_PREFIX = "adafruit-circuitpython-"
#: sensor -> packages without the prefix, those that they need included
PACKAGES = {
    "lsm6ds": ("lsm6ds", "register", "busdevice"),
    "mpu6050": ("mpu6050", "register", "busdevice"),
    "lis3dh": ("lis3dh", "busdevice"),
    "bme280": ("bme280", "busdevice"),
    "sht4x": ("sht4x", "busdevice"),
}


def libraries(sensor: str) -> dict[str, bytes]:
    """Return the files that a sensor's driver needs: path on the board -> content.

    Raises FedmoteError with the command that installs what is missing.
    """
    files: dict[str, bytes] = {}
    missing = []
    for name in PACKAGES.get(sensor, ()):
        try:
            found = distribution(_PREFIX + name)
        except PackageNotFoundError:
            missing.append(_PREFIX + name)
            continue
        for file in found.files or ():
            if file.suffix == ".py" and file.parts[0].startswith("adafruit_"):
                files[f"lib/{file.as_posix()}"] = file.read_binary()
    if missing:  # their dependency Blinka, which is for computers, is no use here
        raise FedmoteError(
            f"the sensor {sensor} needs Adafruit's driver on CircuitPython: "
            f"pip install --no-deps {' '.join(missing)}"
        )
    return files
