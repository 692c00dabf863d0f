"""Every error that a user can cause or mend.

KunError                 one line for the terminal, exit code 2
├── ConfigError          params.yaml: unknown key, wrong type, value out of range
├── InputError           a file or row that cannot be used
├── ModelError           a base model or adapter that cannot be found, fetched or loaded
├── ConservationError    rows in != kept + dropped + failed: a defect of kun, never of the data
├── OutOfMemory          a batch does not fit; the work loop halves it
├── Busy                 another process is at the same work
├── WorkerDied           a process that helped was killed
├── Stopped              asked to end, after the batch under way
├── ServerError          a model server that refuses, is gone, or has cost what it may
└── TooManyFailed        more rows failed than `max_failed_share` allows
GateFailed               a dataset broke its expectations, exit code 1
"""


class KunError(Exception):
    """An expected mistake; its message names the file, row or key, and the fix."""

    exit_code = 2


class ConfigError(KunError):
    """params.yaml holds something that the stage cannot use."""


class InputError(KunError):
    """An input file or folder is missing, empty or unreadable as a whole."""


class ModelError(KunError):
    """A model cannot be resolved or loaded."""


class ConservationError(KunError):
    """Rows appeared or vanished inside a stage."""


class OutOfMemory(KunError):
    """A batch does not fit into the device's memory."""


class Busy(KunError):
    """The same work is already under way in another process."""


class WorkerDied(KunError):
    """A process that computed a piece of the work was killed."""


class Stopped(KunError):
    """SIGTERM came, or the launcher is gone; the batch under way was finished."""


class ServerError(KunError):
    """A model server cannot be asked any further; finished rows are kept."""


class TooManyFailed(KunError):
    """The share of failed rows is over the limit."""


class GateFailed(KunError):
    """A dataset broke its expectations."""

    exit_code = 1
