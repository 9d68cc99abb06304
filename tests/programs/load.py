# SPDX-License-Identifier: MIT
"""Load for programs that are tested while they have some: connections with a question each."""

import socket
import threading

from harness import check, check_equal, connect, poll, receive, receive_all


class Load:
    """Connections one after the other, each with one question, until it is stopped."""

    def __init__(self, scene, address, talk=None, threads=4):
        self.address, self.talk = address, talk or ask
        self.count, self.errors, self.is_over = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()
        scene.stack.callback(self.stop)

    def run(self):
        while not self.is_over:
            try:
                self.talk(self.address)
            except Exception as error:
                self.errors.append(repr(error))
            with self.lock:
                self.count += 1

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()

    def moves(self, further=8):
        """Waits until it has got so many connections further."""
        wanted = self.count + further
        poll(lambda: self.count >= wanted or self.errors, "the load goes on")

    def check(self, least):
        self.stop()
        check_equal(self.errors[:3], [], f"errors, of {self.count} connections")
        check(self.count >= least, f"only {self.count} connections")


def ask(address):
    """A question, its answer and the end."""
    with connect(address) as peer:
        peer.sendall(b"question")
        check_equal(receive(peer, 8), b"question", "the answer")
        peer.shutdown(socket.SHUT_WR)
        check_equal(receive_all(peer), b"", "what came behind it")
