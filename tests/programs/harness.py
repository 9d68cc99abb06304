# SPDX-License-Identifier: MIT
"""What the tests of the programs share: running them, talking to them, and telling results.

A test is a function marked with @test; its docstring says what holds. It fails by any exception,
and check() is the usual one. Nothing sleeps to be in time for something: it polls, to a deadline.
Programs are looked for below $ROTA_BUILD, or the current directory.
"""

import contextlib
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BUILD = os.path.abspath(os.environ.get("ROTA_BUILD", "."))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Every wait's end; generous, since it is only met by a failure, or under valgrind.
PATIENCE = 30
# script/test --full: as much of everything as its users would have.
FULL = bool(os.environ.get("ROTA_FULL"))

tests = []


class Failure(Exception):
    """What a test says when something does not hold."""


class Skip(Exception):
    """What a test says when the machine lacks what it needs."""


def test(function):
    tests.append(function)
    return function


def check(condition, message):
    if not condition:
        raise Failure(message)


def check_equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {shorten(found)} instead of {shorten(wanted)}")


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"


def main():
    """Runs the tests named by arguments, or all; exits 0, 1, or 77 when all were skipped."""
    selected = [t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]
    outcomes = [run(t) for t in selected]
    if "not ok" in outcomes:
        sys.exit(1)
    sys.exit(0 if "ok" in outcomes else 77)


def run(function):
    what = " ".join(function.__doc__.split()).rstrip(".")
    outcome = "ok"
    try:
        with contextlib.ExitStack() as stack:
            function(Scene(stack))
    except Skip as reason:
        outcome, what = "skip", f"{what}: {reason}"
    except Exception as error:
        outcome = "not ok"
        print(f"{function.__name__}: {error}")
        if not isinstance(error, Failure):
            traceback.print_exc(file=sys.stdout)
    print(f"{outcome} - {what}", flush=True)
    return outcome


def poll(condition, what, seconds=PATIENCE):
    """Waits until condition() holds, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.005)


def program(name):
    return os.path.join(BUILD, "examples", name)


def needs(command):
    if not shutil.which(command):
        raise Skip(f"there is no {command}")


class Process:
    """A program that runs in the background, and what it has printed so far."""

    def __init__(self, arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        self.arguments = arguments
        self.texts = {"stdout": b"", "stderr": b""}
        self.popen = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.threads = [threading.Thread(target=self._collect, args=(name,), daemon=True)
                        for name in self.texts]
        for thread in self.threads:
            thread.start()

    def _collect(self, name):
        stream = getattr(self.popen, name)
        for part in iter(lambda: os.read(stream.fileno(), 65536), b""):
            self.texts[name] += part

    @property
    def out(self):
        return self.texts["stdout"].decode(errors="replace")

    @property
    def err(self):
        return self.texts["stderr"].decode(errors="replace")

    def said(self, pattern):
        """Waits until it has printed a whole line with the pattern on stderr; returns the match."""
        def found():
            # First whether more can come: it may print the line and end between two looks.
            is_over = self.popen.poll() is not None and not self._is_read()
            complete = self.err[:self.err.rfind("\n") + 1]
            match = re.search(pattern, complete, re.MULTILINE)
            if not match and is_over:
                raise Failure(f"{self} ended with {self.popen.returncode}: {self.err}")
            return match
        return poll(found, f"{self} says '{pattern}'")

    def logged(self, count):
        """Waits until rota-proxy has told of so many connections on stdout; returns what of each."""
        def lines():
            found = self.out[:self.out.rfind("\n") + 1].splitlines()
            return found if len(found) >= count else None
        try:
            found = poll(lines, "")
        except Failure:
            raise Failure(f"{self} logs {self.out.count(chr(10))} lines instead of {count}; "
                          f"stderr: {shorten(self.err)}") from None
        check_equal(len(found), count, "lines in the log")
        return [dict(word.split("=", 1) for word in line.split(" ")) for line in found]

    def _is_read(self):
        return any(thread.is_alive() for thread in self.threads)

    def signal(self, number):
        self.popen.send_signal(number)

    def ended(self, status, seconds=PATIENCE):
        """Waits for its end, which should have this exit status (negative: by this signal)."""
        try:
            found = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self} has not ended within {seconds} s; stderr: {self.err}") from None
        for thread in self.threads:
            thread.join()
        check(found == status,
              f"{self} ended with {found} instead of {status}; stderr: {self.err}")
        return self

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.popen.pid}/fd"))

    def becomes(self, name):
        """Waits until it is this program: in a build tree it is a script at first."""
        def has_become():
            try:
                return name in os.path.basename(os.readlink(f"/proc/{self.popen.pid}/exe"))
            except OSError:
                return True  # It has ended.
        poll(has_become, f"{self} is {name}")
        return self

    def memory(self):
        """Bytes of its resident memory that are not in files."""
        with open(f"/proc/{self.popen.pid}/status", encoding="ascii") as status:
            return int(re.search(r"RssAnon:\s+(\d+) kB", status.read())[1]) * 1024

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for thread in self.threads:
            thread.join()
        self.popen.stdout.close()
        self.popen.stderr.close()

    def __str__(self):
        return " ".join([os.path.basename(self.arguments[0]), *self.arguments[1:]])


class Scene:
    """One test's processes, sockets and files; they end with it."""

    def __init__(self, stack):
        self.stack = stack
        self._folder = None

    def start(self, *arguments, **options):
        process = Process(list(arguments), **options)
        self.stack.callback(process.kill)
        return process

    def run(self, *arguments, status=0, seconds=PATIENCE):
        """Runs a program to its end, and returns it."""
        return self.start(*arguments).ended(status, seconds)

    def folder(self):
        if not self._folder:
            self._folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="rota-"))
        return self._folder

    def unix(self, name="socket"):
        return f"unix:{self.folder()}/{name}"

    def listening(self, *arguments, **options):
        """Starts a program that tells its addresses; returns the process and the first of them."""
        process = self.start(*arguments, **options)
        others = (arguments.count("--listen") - 1) * r"(?s:.*)^listening on \S+$"
        return process, process.said(r"^listening on (\S+)$" + others)[1]

    def echo(self, *arguments, **options):
        return self.listening(program("rota-echo"), "server", "--listen", "127.0.0.1:0",
                              *arguments, **options)

    def proxy(self, target, *arguments, **options):
        """rota-proxy on a port of its own, before one target, or several (a list)."""
        targets = [target] if isinstance(target, str) else target
        words = [word for each in targets for word in ("--target", each)]
        return self.listening(program("rota-proxy"), "--listen", "127.0.0.1:0", *words, *arguments,
                              **options)

    def own(self, thing):
        return self.stack.enter_context(thing)

    def connect(self, address):
        return self.own(connect(address))

    def refusing_address(self):
        """An address that nobody listens on, and nobody else can get."""
        holder = self.own(socket.socket())
        holder.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % holder.getsockname()[1]

    def serve(self, handler):
        """A server in Python: handler(connection) for each; returns its address."""
        listener = self.own(socket.create_server(("127.0.0.1", 0), backlog=100))
        self.accept(listener, handler)
        return "127.0.0.1:%d" % listener.getsockname()[1]

    def accept(self, listener, handler):
        threading.Thread(target=self._accept, args=(listener, handler), daemon=True).start()
        # Closing alone would not wake up the thread.
        self.stack.callback(listener.shutdown, socket.SHUT_RDWR)

    def _accept(self, listener, handler):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            connection.settimeout(PATIENCE)
            threading.Thread(target=self._handle, args=(connection, handler), daemon=True).start()

    @staticmethod
    def _handle(connection, handler):
        # What the peer does to the connection is for the test to judge, at the other end.
        with connection, contextlib.suppress(OSError):
            handler(connection)


def connect(address, receive_buffer=None):
    if address.startswith("unix:@"):
        family, where = socket.AF_UNIX, "\0" + address[6:]
    elif address.startswith("unix:"):
        family, where = socket.AF_UNIX, address[5:]
    else:
        host, port = address.rsplit(":", 1)
        family, where = socket.AF_INET, (host, int(port))
    connection = socket.socket(family)
    connection.settimeout(PATIENCE)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(where)
    return connection


def has_been_read(connection):
    """Whether the other end, a TCP socket on this machine, has read all that was sent."""
    here, there = connection.getsockname()[1], connection.getpeername()[1]
    queues = {}
    with open("/proc/net/tcp", encoding="ascii") as table:
        for fields in (line.split() for line in list(table)[1:]):
            ports = tuple(int(field.split(":")[1], 16) for field in fields[1:3])
            queues[ports] = tuple(int(queue, 16) for queue in fields[4].split(":"))
    # An end's queues: what it sent that is not acknowledged, and what it got that is not read.
    return queues[here, there][0] == 0 and queues[there, here][1] == 0


def receive(connection, size):
    """Exactly size bytes."""
    found = bytearray()
    while len(found) < size:
        part = connection.recv(min(65536, size - len(found)))
        check(part, f"the connection ended after {len(found)} of {size} bytes")
        found += part
    return bytes(found)


def receive_all(connection):
    found = bytearray()
    for part in iter(lambda: connection.recv(65536), b""):
        found += part
    return bytes(found)


def check_echo(address, data=b"canary"):
    with connect(address) as canary:
        canary.sendall(data)
        check_equal(receive(canary, len(data)), data, "the canary's echo")


def check_cut_off(address):
    # The reset may be there before the connection is, as far as connect can tell.
    with contextlib.suppress(ConnectionResetError, BrokenPipeError), connect(address) as peer:
        peer.sendall(b"hello")
        check_equal(receive_all(peer), b"", "what came")


def send_behind(connection, data, then=None):
    """Sends in a thread of its own, so that the caller can receive meanwhile."""
    def send():
        connection.sendall(data)
        if then is not None:
            connection.shutdown(then)
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def is_served(address):
    try:
        connect(address).close()
    # Reset: it was in the backlog when the listener closed.
    except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError):
        return False
    return True


def noise(size, seed=1):
    """Bytes that do not repeat, and are the same each time."""
    import random
    return random.Random(seed).randbytes(size)


def limit_descriptors(most):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
