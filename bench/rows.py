# SPDX-License-Identifier: MIT
"""What is measured: the rows of the benchmark table, and the figures they have to reach.

Measuring gives a list of rounds; a round maps each server's name to what was read from it.
Within a round the servers take turns (A B C, A B C, ...), so that what disturbs the machine for
some seconds disturbs all of them. Every server is started anew for every round, since where its
code and data happen to lie in memory would otherwise be measured as if it were a property of it.
"""

import os
import resource
import subprocess
import sys
import tempfile

from harness import BenchError, Load, Server

ACTIVE = 64


class Skipped(Exception):
    """This machine or build cannot measure this row."""


class Settings:
    def __init__(self, rounds, seconds, quick):
        self.rounds = rounds
        self.seconds = seconds
        self.quick = quick


def settings_for(name, arguments):
    rounds = arguments.rounds or (1 if arguments.quick else ROWS[name].rounds)
    seconds = arguments.seconds or (0.1 if arguments.quick else 1.0)
    return Settings(rounds, seconds, arguments.quick)


class Figure:
    """A bar for Rota: its value, its ratio to or its difference from a peer, at most `limit`."""

    def __init__(self, kind, limit, peer=None, text=None):
        self.kind = kind
        self.limit = limit
        self.peer = peer
        self.text = text or {'ratio': f'at most {limit:.2f} x {peer}',
                             'difference': f'at most {limit} over {peer}',
                             'value': f'at most {limit}'}[kind]


class Column:
    def __init__(self, key, title, form='.0f'):
        self.key = key
        self.title = title
        self.form = form


def show_progress(text):
    if sys.stderr.isatty():
        print(f'\r\033[K{text}', end='', file=sys.stderr, flush=True)


def in_rounds(rounds, names, measure):
    """Returns `rounds` times {name: measure(name)}, and shows where it is on a terminal."""
    done = []
    for number in range(1, rounds + 1):
        found = {}
        for name in names:
            show_progress(f'round {number} of {rounds}: {name}')
            found[name] = measure(name)
        done.append(found)
    show_progress('')
    return done


def exchange(programs, cores, name, seconds, **options):
    """Starts a server and a load; returns what the server used for the measured messages."""
    with Server(programs, name, cores) as server:
        with Load(programs, cores, server, active=ACTIVE, seconds=seconds, **options) as load:
            before = server.usage_at_rest()
            result = load.measure()
            after = server.usage_at_rest()
    used = {key: after[key] - before[key] for key in after}
    window = result['seconds'] * 1e9
    return {
        'cpu_ns': used['cpu'] / result['messages'],
        'rate': result['messages'] / result['seconds'],
        'p50_us': result['p50_us'],
        'p99_us': result['p99_us'],
        'p999_us': result['p999_us'],
        'messages': result['messages'],
        'busy_percent': 100 * used['cpu'] / window,
        'waited_percent': 100 * used['waited'] / window,
        'sleeps_per_1000': 1000 * used['switches'] / result['messages'],
    }


class Echo:
    """CPU time of the server per echoed message."""

    rounds = 15
    key = 'cpu_ns'
    unit = 'ns of CPU per message'
    ratios = ('libev', 'libevent', 'libuv-write')
    columns = (Column('rate', 'messages/s'), Column('p50_us', 'p50 us'), Column('p99_us', 'p99 us'),
               Column('p999_us', 'p999 us'), Column('busy_percent', 'busy %'),
               Column('waited_percent', 'robbed %', '.1f'),
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


class IdleMemory:
    """Private memory of the server per connection that has echoed one message and is silent."""

    rounds = 3
    title = 'private memory of an idle connection after one echo, 5,000 of them'
    key = 'bytes'
    unit = 'B per connection'
    ratios = ('libev', 'libevent', 'libuv-write')
    columns = ()
    figures = (Figure('value', 250),)
    kept = 300  # opened first, so that what a server allocates once is not divided by the others
    counted = 5000

    def measure(self, programs, cores, servers, settings):
        if not os.path.exists('/proc/self/smaps_rollup'):
            raise Skipped('this kernel has no smaps_rollup')
        need_descriptors(self.kept + self.counted)
        return in_rounds(settings.rounds, servers, lambda name: self.one(programs, cores, name))

    def one(self, programs, cores, name):
        silent = {'active': 0, 'size': 64}
        with Server(programs, name, cores) as server:
            with Load(programs, cores, server, idle=self.kept, **silent):
                before = server.private_memory()
                with Load(programs, cores, server, idle=self.counted, **silent) as load:
                    after = server.private_memory()
                    load.measure()  # Finds all of them still open and nothing unread.
        return {'bytes': (after - before) / self.counted}


class Scale:
    """What 8,936 connections that are open and silent add to the cost of the 64 others."""

    rounds = 9
    title = 'echo of 64 B: 64 active of 64 open against 64 active of 9,000 open'
    key = 'growth'
    unit = 'x CPU per message'
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


class Turn:
    """User-space instructions of a turn. Two runs of different length, so that start-up cancels."""

    rounds = 1
    title = 'a turn: one ready target, both hooks, no meter, 30 s timeout'
    key = 'instructions'
    unit = 'user-space instructions'
    ratios = ()
    columns = ()
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


def need_descriptors(connections):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < connections + 100:
        raise Skipped(f'RLIMIT_NOFILE is {limit}, too low for {connections} connections')


ROWS = {
    'echo-64': Echo(
        'echo of 64 B, 64 connections, one message in flight on each',
        (Figure('ratio', 1.05, 'libev'), Figure('ratio', 0.75, 'libevent'),
         Figure('ratio', 0.60, 'libuv-write')),
        warmup=30000, size=64, depth=1),
    'echo-64-depth16': Echo(
        'echo of 64 B, 64 connections, 16 messages in flight on each',
        (Figure('ratio', 1.10, 'libev'),), warmup=400000, size=64, depth=16),
    'echo-16k': Echo(
        'echo of 16 KiB, 64 connections, one message in flight on each',
        (Figure('ratio', 1.10, 'libev'),), warmup=10000, size=16384, depth=1),
    'idle-memory': IdleMemory(),
    'scale': Scale(),
    'turn': Turn(),
}
