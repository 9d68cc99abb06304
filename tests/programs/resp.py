# SPDX-License-Identifier: MIT
"""What the tests of rota-kv share: saying commands, and reading answers byte by byte as they are."""

import os

from harness import check, connect, program

KV = program("rota-kv")


def command(*words):
    """An array of bulk strings."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def kv(scene, *arguments, **options):
    """rota-kv on a port of its own: the process and the address."""
    # What is freed is free with a sanitizer too, so that its memory can be looked at.
    asan = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    options.setdefault("env", dict(os.environ, ASAN_OPTIONS=asan))
    return scene.listening(KV, "--listen", "127.0.0.1:0", *arguments, **options)


class Client:
    """A connection to a server; it is the scene's."""

    def __init__(self, scene, address, **options):
        self.socket = scene.own(connect(address, **options))
        self.file = scene.own(self.socket.makefile("rb"))

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.file.close()
        self.socket.close()

    def answer(self):
        """The bytes of the next answer; none at the end."""
        try:
            line = self.file.readline()
        except ConnectionResetError:
            return b""
        if line[:1] == b"$" and line != b"$-1\r\n":
            return line + self.file.read(int(line[1:]) + 2)
        if line[:1] == b"*":
            return line + b"".join(self.answer() for _ in range(int(line[1:])))
        return line

    def say(self, *words):
        """A command's answer."""
        self.send(command(*words))
        return self.answer()

    def says_all(self, *words):
        """What is said to a command that has more than one answer: all that comes until a PING's."""
        self.send(command(*words) + command("PING", "that is all"))
        found = []
        while not found or b"that is all" not in found[-1]:
            found.append(self.answer())
            check(found[-1], f"the connection ended after {found}")
        return found[:-1]

    def info(self, name):
        for line in self.say("INFO").decode().splitlines():
            if line.startswith(name + ":"):
                return int(line.split(":")[1])
        raise KeyError(name)
