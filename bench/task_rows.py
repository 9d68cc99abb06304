# SPDX-License-Identifier: MIT
"""The rows about empty tasks for two worker processes, which share the cores with their master."""

import json
import os
import subprocess
import sys

from harness import BenchError
from row import Column, Figure, Row, in_rounds

PATIENCE = 120
HERE = os.path.dirname(os.path.abspath(__file__))

RATE = Column('rate', 'tasks/s')


class Tasks(Row):
    """Time per task, from the submit of the first to the result of the last."""

    rounds = 11
    key = 'task_ns'
    unit = 'ns per task'
    columns = (RATE,)
    programs = {'rota': 'tasks-rota', 'pair': os.path.join('peers', 'tasks-pair')}

    def __init__(self, title, mode, per_second, peers, figures):
        self.title = title
        self.mode = mode
        self.per_second = {'rota': per_second, **peers}
        self.servers = tuple(self.per_second)
        self.ratios = tuple(peers)
        self.figures = figures

    @classmethod
    def has(cls, programs, name):
        return name not in cls.programs or programs.is_built(cls.programs[name])

    def command(self, programs, name):
        if name in self.programs:
            return [programs.bench(self.programs[name]), self.mode]
        return [sys.executable, os.path.join(HERE, 'peers', 'tasks-python.py'), name]

    def measure(self, programs, cores, servers, settings):
        del cores
        return in_rounds(settings.rounds, servers,
                         lambda name: self.one(programs, name, settings))

    def one(self, programs, name, settings):
        command = [*self.command(programs, name),
                   str(int(self.per_second[name] * settings.seconds))]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f'{" ".join(command)} did not end') from None
        if done.returncode != 0:
            raise BenchError(f'{" ".join(command)}: {done.stderr.strip()}')
        result = json.loads(done.stdout)
        return {'task_ns': 1e9 * result['seconds'] / result['count'],
                'rate': result['count'] / result['seconds']}


ROWS = {
    'pool-1': Tasks(
        'empty tasks for two workers, one at a time each', 'single', 150000, {'pair': 150000},
        (Figure('least', 0.85, 'pair', column=RATE),)),
    'pool-32': Tasks(
        'empty tasks for two workers, 32 at a time each, several a packet', 'many', 1500000,
        {'pool': 40000, 'executor': 8000}, (Figure('least', 10.0, 'pool', column=RATE),)),
}
