# SPDX-License-Identifier: MIT
"""The rows about events between two processes, each of which has a core."""

import json
import os
import subprocess
import sys

from harness import BenchError
from row import Column, Figure, Row, in_rounds

PATIENCE = 120
HERE = os.path.dirname(os.path.abspath(__file__))

RATE = Column('rate', 'events/s')


class Events(Row):
    """Time per event, from the first to the end of who receives."""

    rounds = 11
    key = 'event_ns'
    unit = 'ns per event'
    columns = (RATE,)
    programs = {'rota': 'events-rota', 'pair': os.path.join('peers', 'events-pair'),
                'zmq': os.path.join('peers', 'events-zmq')}

    def __init__(self, title, mode, per_second, peers, figures):
        self.title = title
        self.mode = mode
        self.per_second = {'rota': per_second, **peers}
        self.servers = tuple(self.per_second)
        self.ratios = tuple(peers)
        self.figures = figures

    @classmethod
    def has(cls, programs, name):
        return name == 'queue' or programs.is_built(cls.programs[name])

    def command(self, programs, name):
        if name == 'queue':
            return [sys.executable, os.path.join(HERE, 'peers', 'events-queue.py')]
        return [programs.bench(self.programs[name])]

    def measure(self, programs, cores, servers, settings):
        return in_rounds(settings.rounds, servers,
                         lambda name: self.one(programs, cores, name, settings))

    def one(self, programs, cores, name, settings):
        count = int(self.per_second[name] * settings.seconds)
        command = [*self.command(programs, name), self.mode, str(count), str(cores.load),
                   str(cores.server)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f'{command[0]} {self.mode} did not end') from None
        if done.returncode != 0:
            raise BenchError(f'{command[0]} {self.mode}: {done.stderr.strip()}')
        result = json.loads(done.stdout)
        # There and back are two events.
        events = result['count'] * (2 if self.mode == 'wake' else 1)
        return {'event_ns': 1e9 * result['seconds'] / events, 'rate': events / result['seconds']}


ROWS = {
    'channel-64': Events(
        'named events of 64 B to one receiver, batched by turns', 'batch', 6000000,
        {'zmq': 3000000, 'queue': 60000},
        (Figure('least', 2.0, 'zmq', column=RATE), Figure('least', 50.0, 'queue', column=RATE))),
    'channel-single': Events(
        'named events of 64 B, each in a packet of its own', 'single', 500000, {'pair': 500000},
        (Figure('least', 0.8, 'pair', column=RATE),)),
    'channel-wake': Events(
        'one event of 64 B at a time, there and back: each wakes who receives', 'wake', 30000,
        {'pair': 30000}, (Figure('ratio', 1.2, 'pair'),)),
}
