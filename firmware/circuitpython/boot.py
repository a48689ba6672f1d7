"""Lets the program write to the drive where the settings say OTA = true; a computer on USB then only reads.

It imports nothing that an update over the air may change: without it no update could be taken back.
"""

import storage


def _wanted():
    try:
        with open("settings.toml") as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() == "OTA":
                    return value.split("#")[0].strip() == "true"
    except OSError:
        pass
    return False


if _wanted():
    storage.remount("/", readonly=False)
