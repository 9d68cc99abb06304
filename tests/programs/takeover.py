# SPDX-License-Identifier: MIT
"""What the tests of rota-proxy --takeover share: processes that take over one from the other, and
connections to the path where they offer."""

import array
import contextlib
import os
import socket

from harness import check_equal, poll, program
from load import Load, ask

PROXY = program("rota-proxy")
ASK = b"rota-takeover 1 ask"


class Line:
    """Processes of rota-proxy, each of which takes over from the one before."""

    def __init__(self, scene, target, *arguments, listen="127.0.0.1:0"):
        self.scene = scene
        self.path = os.path.join(private(scene), "takeover")
        self.arguments = [PROXY, "--listen", listen, "--target", target, "--takeover", self.path,
                          *arguments]
        self.current, self.address = self.next()
        self.arguments[2] = self.address
        self.offers(self.current)

    def next(self, *arguments):
        process = self.scene.start(*self.arguments, *arguments)
        return process, process.said(r"^listening on (\S+)$")[1]

    def take(self):
        """The next one takes over; returns the one before, which drains."""
        before, (self.current, address) = self.current, self.next()
        check_equal(address, self.address, "the address")
        before.said(r"process \d+ has taken over$")
        # Only who offers itself can be taken over.
        self.offers(self.current)
        return before

    def offers(self, process):
        poll(lambda: offering(self.path) == process.popen.pid, "it offers in its turn")


def private(scene):
    folder = os.path.join(scene.folder(), "private")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def packets(path):
    """A connection to who offers at path, as another new process would have it."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(path)
    connection.settimeout(30)
    return connection


def offering(path):
    """The process that offers at path, or None."""
    with contextlib.suppress(ConnectionRefusedError, FileNotFoundError), packets(path) as peer:
        found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return array.array("i", found)[0]
    return None


def receive_handed(peer):
    text, descriptors, _, _ = socket.recv_fds(peer, 65536, 64)
    for fd in descriptors:
        os.close(fd)
    return text


def hand_over_under_load(scene, line, times, talk=ask):
    """Hands over so often while there is load: none fails. How many connections that were."""
    load = Load(scene, line.address, talk)
    before = []
    for _ in range(times):
        load.moves()
        before.append(line.take())
    load.moves()
    load.check(times)
    for process in before:
        process.ended(0)
    return load.count
