# SPDX-License-Identifier: MIT
"""The rows about echo servers, and the one about a turn of the loop."""

import os
import subprocess
import tempfile
import time
from contextlib import ExitStack

from harness import HOSTED, SERVERS, BenchError, Load, echo_server
from row import (TRUST, Column, Figure, Row, Skipped, cost, in_rounds, memory_per_connection,
                 need_descriptors)

ACTIVE = 64

# How an echo server is written for each host by who has no Rota.
IDIOM_OF = {'rota-in-glib': 'gsocket', 'rota-in-libuv': 'libuv-write',
            'rota-in-libevent': 'libevent'}


def exchange(programs, cores, name, seconds, **options):
    """Starts a server and a load; returns what the server used for the measured messages."""
    with echo_server(programs, name, cores) as server:
        with Load(programs, cores, server, active=ACTIVE, seconds=seconds, **options) as load:
            return cost(server, load)


class EchoRow(Row):
    servers = tuple(SERVERS)
    ratios = ('libev', 'libevent', 'libuv-write')


class Echo(EchoRow):
    """CPU time of the server per echoed message."""

    rounds = 15
    key = 'cpu_ns'
    unit = 'ns of CPU per message'
    columns = (Column('rate', 'messages/s'), Column('p50_us', 'p50 us'), Column('p99_us', 'p99 us'),
               Column('p999_us', 'p999 us'), *TRUST,
               Column('sleeps_per_1000', 'sleeps/1000', '.1f'))

    def __init__(self, title, figures, warmup, **options):
        self.title = title
        self.figures = figures
        self.warmup = warmup
        self.options = options

    def measure(self, programs, cores, servers, settings):
        warmup = self.warmup // (10 if settings.quick else 1)
        return in_rounds(settings.rounds, servers, lambda name: exchange(
            programs, cores, name, settings.seconds, warmup=warmup, **self.options))


class Hosts(Echo):
    """The same under the hosts that can take a context's turns, beside what is usual in each."""

    title = 'echo of 64 B, 64 connections, under each host and in its own idiom'
    servers = ('rota', *HOSTED, *IDIOM_OF.values())
    ratios = ('rota-native', *IDIOM_OF.values())
    figures = (
        *(Figure('ratio', 1.15, 'rota-native', server=host) for host in HOSTED
          if host != 'rota-native'),
        *(Figure('below', 1.00, idiom, server=host) for host, idiom in IDIOM_OF.items()))

    def __init__(self):
        super().__init__(self.title, self.figures, warmup=30000, size=64, depth=1)


class IdleHosts(Row):
    """How often a program wakes up that has nothing to do. All of them are silent at once.

    A stream's handshake timeout of 10 s is not taken back when it is open, so a context wakes up
    for it once: that is shown, and over when what is judged begins.
    """

    rounds = 2
    title = 'wake-ups in 10 s of silence, 64 connections open after one echo'
    key = 'wakeups'
    unit = 'voluntary switches'
    form = '.0f'
    servers = Hosts.servers
    ratios = ()
    columns = (Column('cpu_us', 'us of CPU'), Column('earlier', 'in the 12 s before'))
    figures = tuple(Figure('value', 0, server=host) for host in HOSTED)
    settling, silence = 12, 10  # seconds; turns have a timeout of 30

    def measure(self, programs, cores, servers, settings):
        return [self.one(programs, cores, servers, settings) for _ in range(settings.rounds)]

    def one(self, programs, cores, servers, settings):
        with ExitStack() as stack:
            running = {name: stack.enter_context(echo_server(programs, name, cores))
                       for name in servers}
            loads = [stack.enter_context(Load(programs, cores, server, idle=ACTIVE, active=0,
                                              size=64)) for server in running.values()]
            shorter = 10 if settings.quick else 1
            opened = {name: server.usage_at_rest() for name, server in running.items()}
            time.sleep(self.settling / shorter)
            before = {name: server.usage() for name, server in running.items()}
            time.sleep(self.silence / shorter)
            after = {name: server.usage() for name, server in running.items()}
            for load in loads:
                load.measure()  # Finds all of them still open and nothing unread.
        return {name: {'wakeups': after[name]['switches'] - before[name]['switches'],
                       'cpu_us': (after[name]['cpu'] - before[name]['cpu']) / 1000,
                       'earlier': before[name]['switches'] - opened[name]['switches']}
                for name in servers}


class IdleMemory(EchoRow):
    """Private memory of the server per connection that has echoed one message and is silent."""

    rounds = 3
    title = 'private memory of an idle connection after one echo, 5,000 of them'
    key = 'bytes'
    unit = 'B per connection'
    figures = (Figure('value', 250),)
    kept = 300  # opened first, so that what a server allocates once is not divided by the others
    counted = 5000

    def measure(self, programs, cores, servers, settings):
        need_descriptors(self.kept + self.counted)
        return in_rounds(settings.rounds, servers, lambda name: {'bytes': memory_per_connection(
            lambda: echo_server(programs, name, cores),
            lambda server, idle: Load(programs, cores, server, idle=idle, active=0, size=64),
            self.kept, self.counted)})


class Scale(EchoRow):
    """What 8,936 connections that are open and silent add to the cost of the 64 others."""

    rounds = 9
    title = 'echo of 64 B: 64 active of 64 open against 64 active of 9,000 open'
    key = 'growth'
    unit = 'x CPU per message'
    form = '.3f'
    ratios = ()
    columns = (Column('few_ns', 'ns of 64'), Column('many_ns', 'ns of 9,000'),
               Column('few_sleeps', 'sleeps/1000 of 64', '.1f'),
               Column('many_sleeps', 'of 9,000', '.1f'))
    figures = (Figure('value', 1.10, text='within 10 %'),)
    open = 9000

    def measure(self, programs, cores, servers, settings):
        need_descriptors(self.open)
        return in_rounds(settings.rounds, servers,
                         lambda name: self.one(programs, cores, name, settings))

    def one(self, programs, cores, name, settings):
        options = {'size': 64, 'depth': 1, 'warmup': 3000 if settings.quick else 30000}
        few = exchange(programs, cores, name, settings.seconds, **options)
        many = exchange(programs, cores, name, settings.seconds, idle=self.open - ACTIVE, **options)
        return {'growth': many['cpu_ns'] / few['cpu_ns'],
                'few_ns': few['cpu_ns'], 'many_ns': many['cpu_ns'],
                'few_sleeps': few['sleeps_per_1000'], 'many_sleeps': many['sleeps_per_1000']}


class Turn(Row):
    """User-space instructions of a turn. Two runs of different length, so that start-up cancels."""

    rounds = 1
    title = 'a turn: one ready target, both hooks, no meter, 30 s timeout'
    key = 'instructions'
    unit = 'user-space instructions'
    ratios = ()
    figures = (Figure('difference', 150, 'libev', 'at most 150 over bare ev_run(EVRUN_ONCE)'),)
    turns = (10000, 60000)

    def measure(self, programs, cores, servers, settings):
        del cores, servers
        names = [name for name in ('rota', 'libev')
                 if os.access(programs.bench(f'turn-{name}'), os.X_OK)]
        if not names:
            raise Skipped('turn-libev and turn-rota are not built')
        return in_rounds(settings.rounds, names, lambda name: self.one(programs, name))

    def one(self, programs, name):
        few, many = self.turns
        instructions = self.count(programs, name, many) - self.count(programs, name, few)
        return {'instructions': instructions / (many - few)}

    def count(self, programs, name, turns):
        # A program that libtool links is a script until it is installed; libtool knows its way.
        libtool = os.path.join(programs.build, 'libtool')
        prefix = [libtool, '--mode=execute'] if os.path.exists(libtool) else []
        with tempfile.TemporaryDirectory() as folder:
            profile = os.path.join(folder, 'callgrind')
            command = prefix + ['valgrind', '-q', '--tool=callgrind',
                                f'--callgrind-out-file={profile}',
                                programs.bench(f'turn-{name}'), str(turns)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=120,
                                      check=False)
            except FileNotFoundError:
                raise Skipped('valgrind is not installed') from None
            except subprocess.TimeoutExpired:
                raise BenchError(f'turn-{name} {turns} did not end') from None
            if done.returncode != 0:
                raise BenchError(f'turn-{name} {turns}: status {done.returncode}: {done.stderr}')
            with open(profile, encoding='utf-8') as text:
                for line in text:
                    if line.startswith('totals:'):
                        return int(line.split()[1])
        raise BenchError(f'turn-{name}: callgrind told no total')
