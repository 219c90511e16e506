"""Carry one command of a simulated host to the simulator and its answer back.

Request: host, working directory, standard input, program and arguments joined by NUL. Answer: exit code, standard
output, standard error joined by NUL. Of standard input only a program that reads it gets any: others leave it be.
Runs without site-packages for every command on every host, so it imports next to nothing.
"""

import itertools
import os
import socket
import sys


def _directory() -> str:
    return os.getcwd()  # noqa: PTH109  (pathlib is a big import)


def _stdin(command: list[str]) -> str:
    """gpg reads what it is to convert unless a file is named, besides that of -o."""
    if command[0] != "gpg":
        return ""
    named = [one for before, one in itertools.pairwise(command) if before not in ("-o", "--output")]
    return "" if any(not one.startswith("-") for one in named) else sys.stdin.read().replace("\0", "")


def main() -> int:
    request = "\0".join([os.environ["HOST_KEY"], _directory(), _stdin(sys.argv[1:]), *sys.argv[1:]])
    with socket.create_connection(("127.0.0.1", int(os.environ["HOST_CONTROL_PORT"]))) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    code, output, errors = answer.split("\0")
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
