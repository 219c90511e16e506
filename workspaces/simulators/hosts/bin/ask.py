"""Carry one command of a simulated host to the simulator and its answer back.

Request: host, program and arguments joined by NUL. Answer: exit code, standard output, standard error joined by NUL.
Runs without site-packages for every command on every host, so it imports next to nothing.
"""

import os
import socket
import sys


def main() -> int:
    request = "\0".join([os.environ["HOST_NAME"], *sys.argv[1:]])
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
