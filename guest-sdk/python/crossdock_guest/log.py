"""Lines that stay with the document, for the developer and for whoever looks at it later. The host keeps up to 100 lines and
16 KiB of one call and records that it dropped the rest. They must not carry personal data."""

from wit_world.imports import log as host


def debug(message: object) -> None:
    """For developing; nobody reads it in production."""
    host.write(host.Level.DEBUG, str(message))


def info(message: object) -> None:
    """Worth knowing later: which branch was taken, and why."""
    host.write(host.Level.INFO, str(message))


def warn(message: object) -> None:
    """The document was mapped, and somebody should look at it."""
    host.write(host.Level.WARN, str(message))


def error(message: object) -> None:
    """The document cannot be right."""
    host.write(host.Level.ERROR, str(message))
