"""Leaves safe mode where a release on trial brought the board there, so that its starts are counted."""

import microcontroller
import starter
import supervisor

if (
    starter.journal.state == starter.journal.TRIAL
    and supervisor.runtime.safe_mode_reason != supervisor.SafeModeReason.USER
):
    microcontroller.reset()
