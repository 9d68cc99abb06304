# SPDX-License-Identifier: MIT
"""What rows of the benchmark table are made of, whatever they measure.

Measuring gives a list of rounds; a round maps each server's name to what was read from it.
Within a round the servers take turns (A B C, A B C, ...), so that what disturbs the machine for
some seconds disturbs all of them. Every server is started anew for every round, since where its
code and data happen to lie in memory would otherwise be measured as if it were a property of it.
"""

import os
import resource
import sys


class Skipped(Exception):
    """This machine or build cannot measure this row."""


class Settings:
    def __init__(self, rounds, seconds, quick):
        self.rounds = rounds
        self.seconds = seconds
        self.quick = quick


class Row:
    """What rows have in common; README.md says what one is."""

    form = '.1f'  # of the cost
    columns = ()
    servers = ()

    @staticmethod
    def has(programs, name):
        """Whether one of the servers can take part."""
        return programs.has(name)

    @staticmethod
    def absence(programs, name):
        """Why a server cannot take part that `has` denies."""
        del programs, name
        return 'not built or installed'


class Figure:
    """A bar for Rota: its value, its ratio to or its difference from a peer, at most `limit`.

    Of kind `least` it is a ratio of at least that, of kind `reached` a value. Beside several peers, it is the ratio to the
    best of them. `server` is Rota's name in the row, where it has several. What it is about is the
    row's cost, or what `column` holds.
    """

    def __init__(self, kind, limit, peer=None, text=None, server='rota', column=None):
        self.kind = kind
        self.limit = limit
        self.server = server
        self.key = column.key if column else None
        several = isinstance(peer, tuple)
        self.peers = peer if several else (peer,)
        told = peer
        if several:
            best = 'better' if len(peer) == 2 else 'best'
            told = f'the {best} of {", ".join(peer[:-1])} and {peer[-1]}'
        self.text = text or {'ratio': f'at most {limit:.2f} x {told}',
                             'least': f'at least {limit:.2f} x {told}',
                             'below': f'below {limit:.2f} x {told}',
                             'difference': f'at most {limit} over {told}',
                             'reached': f'at least {limit}',
                             'value': f'at most {limit}'}[kind]
        if column:
            self.text = f'{column.title}: {self.text}'
        if server != 'rota':
            self.text = f'{server} {self.text}'

    def is_met(self, value):
        if self.kind in ('least', 'reached'):
            return value >= self.limit
        return value < self.limit if self.kind == 'below' else value <= self.limit


class Column:
    def __init__(self, key, title, form='.0f'):
        self.key = key
        self.title = title
        self.form = form


# What tells whether a cost can be believed.
TRUST = (Column('busy_percent', 'busy %'), Column('waited_percent', 'robbed %', '.1f'))


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


def cost(server, load):
    """Lets a load at its gate go on; returns what that cost the server, whole and per count."""
    before = server.usage_at_rest()
    result = load.measure()
    after = server.usage_at_rest()
    used = {key: after[key] - before[key] for key in after}
    window = result['seconds'] * 1e9
    return {
        'cpu_ns': used['cpu'] / result['count'],
        'cpu_ns_per_byte': used['cpu'] / result['bytes'],
        'rate': result['count'] / result['seconds'],
        'p50_us': result['p50_us'],
        'p99_us': result['p99_us'],
        'p999_us': result['p999_us'],
        'count': result['count'],
        'busy_percent': 100 * used['cpu'] / window,
        'waited_percent': 100 * used['waited'] / window,
        'sleeps_per_1000': 1000 * used['switches'] / result['count'],
        'truncated_percent': 100 * result['truncated'] / max(result['finished'], 1),
    }


def memory_per_connection(start, begin_load, kept, counted):
    """Returns private bytes that each of `counted` silent connections adds to `kept` ones."""
    if not os.path.exists('/proc/self/smaps_rollup'):
        raise Skipped('this kernel has no smaps_rollup')
    with start() as server:
        with begin_load(server, kept):
            before = server.private_memory()
            with begin_load(server, counted) as load:
                after = server.private_memory()
                load.measure()  # Finds all of them still open and nothing unread.
    return (after - before) / counted


def need_descriptors(connections):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < connections + 100:
        raise Skipped(f'RLIMIT_NOFILE is {limit}, too low for {connections} connections')
