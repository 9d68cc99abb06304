# SPDX-License-Identifier: MIT
"""Starts servers and load generators on their cores, and reads what they cost from /proc.

Nothing here knows what is being measured. All waiting is bounded, and a program that does not
do its part is a BenchError with what it said on stderr.
"""

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import tempfile
import time

PATIENCE = 30  # seconds for a server to listen or to end, and for a load to open connections

# Names as they stand in tables, with the program each is. Rota's place is given by --rota.
SERVERS = {
    'rota': None,
    'epoll': 'echo-epoll',
    'libev': 'echo-libev',
    'libevent': 'echo-libevent',
    'libevent-changelist': 'echo-libevent',
    'libuv-write': 'echo-uv-write',
    'libuv-write-pool': 'echo-uv-write-pool',
    'libuv-try-write': 'echo-uv-try-write',
}

# What grafts are measured against: the same program on Rota's own loop, then under each host, with
# the argument by which it is told, and the way in which programs of GLib are written.
HOSTED = {
    'rota-native': 'native',
    'rota-in-poll': 'poll',
    'rota-in-glib': 'glib',
    'rota-in-libuv': 'uv',
    'rota-in-libevent': 'event',
}
IDIOMS = {'gsocket': 'echo-gsocket'}

# libevent is told by a variable to collect changes of interest before it gives them to epoll.
ENVIRONMENT = {'libevent-changelist': {'EVENT_EPOLL_USE_CHANGELIST': '1'}}

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """Something that was to be measured did not run."""


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Cores:
    """Which core the server and which the load runs on; a machine of one core shares it."""

    def __init__(self, server, load):
        allowed = os.sched_getaffinity(0)
        if server not in allowed or load not in allowed:
            server = min(allowed)
            load = max(allowed)
        self.server = server
        self.load = load

    def preparation(self, core, last_signal=signal.SIGKILL):
        """What a child does before exec: go to its core, and die when this process dies."""
        def prepare():
            os.sched_setaffinity(0, {core})
            LIBC.prctl(PR_SET_PDEATHSIG, last_signal)
        return prepare


class Programs:
    """Where the programs are that a build made."""

    def __init__(self, build, rota=None, rota_proxy=None, rota_kv=None,
                 rota_pool=None):
        self.build = os.path.abspath(build)
        self.rota = os.path.abspath(rota or os.path.join(build, 'examples', 'rota-echo'))
        self.rota_proxy = os.path.abspath(
            rota_proxy or os.path.join(build, 'examples', 'rota-proxy'))
        self.rota_kv = os.path.abspath(rota_kv or os.path.join(build, 'examples', 'rota-kv'))
        self.rota_pool = os.path.abspath(
            rota_pool or os.path.join(build, 'examples', 'rota-pool'))
        if not self.is_built('load'):
            raise BenchError(f'{self.bench("load")} is not built: see `make bench` and --build')

    def bench(self, name):
        return os.path.join(self.build, 'bench', name)

    def is_built(self, name):
        return os.access(self.bench(name), os.X_OK)

    def server(self, name):
        """Returns the command of a server that listens on any free port of 127.0.0.1."""
        if name == 'rota':
            return [self.rota, 'server', '--listen', '127.0.0.1:0']
        if name in HOSTED:
            return [self.bench('hosted-echo'), HOSTED[name], '0']
        return [self.bench(os.path.join('peers', {**SERVERS, **IDIOMS}[name])), '0']

    def has(self, name):
        host = HOSTED.get(name, 'native')
        library = os.path.join(self.build, f'librota-{host}.la')
        is_there = host in ('native', 'poll') or os.path.exists(library)
        return is_there and os.access(self.server(name)[0], os.X_OK)

    def refuse_instrumented(self):
        """Sanitizers and coverage change what is measured, so figures of such a build lie."""
        try:
            with open(os.path.join(self.build, 'Makefile'), encoding='utf-8') as makefile:
                flags = [line for line in makefile if line.split('=')[0].strip().endswith('CFLAGS')]
        except OSError:
            return
        text = ''.join(flags)
        if '-fsanitize=address' in text or '--coverage' in text:
            raise BenchError(f'{self.build} is a build with sanitizers or coverage')


def echo_server(programs, name, cores):
    return Server(programs.server(name), cores, ENVIRONMENT.get(name, {}))


class Observed:
    """A running program whose use of the machine can be read."""

    command = process = stderr = None

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors='replace')

    def check(self):
        if self.process.poll() is not None:
            raise BenchError(f'{self.command[0]} ended by itself: {self.said().strip()}')

    def processes(self):
        """Returns the ids of the server's process and of its children."""
        pid = self.process.pid
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as children:
            return [pid, *children.read().split()]

    def tasks(self, name):
        """Yields the text of a /proc file of each of the server's threads."""
        for pid in self.processes():
            for task in os.listdir(f'/proc/{pid}/task'):
                try:
                    with open(f'/proc/{pid}/task/{task}/{name}', encoding='ascii') as text:
                        yield text.read()
                except (FileNotFoundError, ProcessLookupError):
                    pass  # A thread that has ended meanwhile.

    def usage(self):
        """Returns CPU ns, ns waited for the core, and switches because there was nothing to do."""
        self.check()
        cpu = waited = switches = 0
        for text in self.tasks('schedstat'):
            fields = text.split()
            cpu += int(fields[0])
            waited += int(fields[1])
        for text in self.tasks('status'):
            for line in text.splitlines():
                if line.startswith('voluntary_ctxt_switches'):
                    switches += int(line.split()[1])
        return {'cpu': cpu, 'waited': waited, 'switches': switches}

    def usage_at_rest(self):
        """The kernel brings schedstat up to date when a thread sleeps: so wait until it does."""
        before = self.usage()
        for _ in range(100):
            time.sleep(0.02)
            now = self.usage()
            if now == before:
                return now
            before = now
        return now


class Server(Observed):
    """A running program that is measured, pinned; `with` ends it."""

    last_signal = signal.SIGKILL  # when the runner is killed

    def __init__(self, command, cores, environment, inherited=()):
        self.command = command
        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.stderr,
                                        env={**os.environ, **environment}, pass_fds=inherited,
                                        preexec_fn=cores.preparation(cores.server,
                                                                     self.last_signal))
        try:
            self.address = self.wait_for_address()
        except BaseException:
            self.end()
            raise

    def wait_for_address(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in self.said().splitlines(keepends=True):
                if line.startswith('listening on ') and line.endswith('\n'):
                    return line.split()[2]
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        raise BenchError(f'{self.command[0]} does not listen: {self.said().strip() or "silent"}')

    def private_memory(self):
        """Returns bytes that only one process holds, and that is the server's."""
        self.usage_at_rest()
        kib = 0
        for pid in self.processes():
            with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as rollup:
                for line in rollup:
                    if line.startswith(('Private_Clean:', 'Private_Dirty:')):
                        kib += int(line.split()[1])
        return kib * 1024

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise BenchError(f'{self.command[0]} does not end on SIGTERM') from None
        finally:
            self.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.end()
        except BenchError:
            # What went wrong first is what should be told.
            if kind is None:
                raise


class Load(Observed):
    """A load generator at its gate: connections open, warmed up; `with` closes them.

    With `origin`, a listening socket, it is also the server behind a proxy.
    """

    def __init__(self, programs, cores, server, origin=None, program='load', **options):
        self.server = server
        self.seconds = options.get('seconds') or 0
        self.command = [programs.bench(program), '--connect', server.address, '--gate']
        if origin:
            self.command += ['--origin', str(origin.fileno())]
        for name, value in options.items():
            self.command += [f'--{name}', str(value)]
        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.stderr, text=True,
                                        pass_fds=[origin.fileno()] if origin else [],
                                        preexec_fn=cores.preparation(cores.load))
        try:
            self.expect('ready\n')
        except BaseException:
            self.end()
            raise

    def line(self):
        """Returns the next line of output; each is flushed whole, so none is left in a buffer."""
        if select.select([self.process.stdout], [], [], PATIENCE + self.seconds)[0]:
            line = self.process.stdout.readline()
            if line.endswith('\n'):
                return line
        self.server.check()
        raise BenchError(self.said().strip() or f'{self.command[0]}: no answer')

    def expect(self, wanted):
        line = self.line()
        if line != wanted:
            raise BenchError(f'{self.command[0]}: {line.strip()}')

    def measure(self):
        """Lets it do what is measured; returns its result once all has come back."""
        try:
            self.process.stdin.write('go\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended; the missing line makes an error of it, with its reason.
        return json.loads(self.line())

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
