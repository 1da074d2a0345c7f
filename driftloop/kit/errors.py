"""What can go wrong, named by what is to be done about it.

    DriftloopError ├── Malformed      the sender's fault: ingestion dead-letters the record, any
    other loop stops its pipeline ├── Unavailable    the world's fault: the transaction is aborted
    and the batch comes again, with back-off ├── Fenced         another owner has taken over: give
    everything up and rejoin └── Refused        the asker's fault: one line that says what, where
    and what to do (CLI, gRPC, settings)

Anything else that is raised, assertions above all, is our own bug and ends the process.
"""

from __future__ import annotations


class DriftloopError(Exception):
    """The root of all that we raise on purpose."""


class Malformed(DriftloopError):
    """A message that breaks its contract. `rule` is the short name that it is counted under."""

    def __init__(self, message: str, *, rule: str = "malformed") -> None:
        super().__init__(message)
        self.rule = rule


class Unavailable(DriftloopError):
    """Something outside does not answer; trying again later may help."""


class Fenced(Unavailable):
    """A newer owner holds the partitions or the transactional id; nothing of ours was committed."""


class Refused(DriftloopError):
    """A request, a setting or a file that can't be honoured; the message names the mend.

    `status` is the name of the gRPC status that a door answers with.
    """

    def __init__(self, message: str, *, status: str = "INVALID_ARGUMENT") -> None:
        super().__init__(message)
        self.status = status
