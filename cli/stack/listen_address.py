"""Where a server is to listen: looked at before anything starts."""

import errno
import socket

from potluck.contract.errors import PotluckError, UsageError


def check_address(host: str, port: int) -> None:
    """See that a server may listen there.

    Raises:
        UsageError: the host is not an address of this machine.
        PotluckError: the port is taken, or this user may not listen there.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as listening:
            # As servers do: connections of an earlier server that still close do not count.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
    except OSError as error:
        raise address_error(host, port, error) from None


def address_error(host: str, port: int, error: OSError) -> PotluckError:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"--host {host} is no address of this machine; "
            "expected one such as 127.0.0.1 or 0.0.0.0"
        )
    if error.errno == errno.EADDRINUSE:
        return PotluckError(
            f"port {port} of {host} is taken; stop what listens there, or give another with --port"
        )
    return PotluckError(
        f"can't listen on port {port} of {host}: {error.strerror}; give another with --port"
    )
