"""The one exception that a user is meant to read; a defect of fedmote itself raises something else."""


class FedmoteError(Exception):
    """Says what was wrong, the value, and what to do. The command line prints it and exits with 1."""
