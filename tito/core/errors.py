"""What can go wrong, said in one sentence, with the cure and the exit code."""

from __future__ import annotations

OK, CHECKS_FAILED, USAGE, ENVIRONMENT, NOT_FOUND, INTERRUPTED = 0, 1, 2, 3, 4, 130


class TitoError(Exception):
    """A problem the person at the keyboard can understand; only the edge of the program prints it."""

    code = ENVIRONMENT

    def __init__(self, message: str, cure: str = ""):
        super().__init__(message)
        self.message, self.cure = message, cure


class ChecksFailed(TitoError):
    code = CHECKS_FAILED


class UsageProblem(TitoError):
    code = USAGE


class EnvironmentProblem(TitoError):
    code = ENVIRONMENT


class NotFound(TitoError):
    code = NOT_FOUND


class Locked(TitoError):
    """Something that exists, but not yet for this learner."""

    code = NOT_FOUND
