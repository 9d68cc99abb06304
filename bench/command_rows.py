# SPDX-License-Identifier: MIT
"""The row about commands, one for each line: rota-pool beside xargs and GNU parallel."""

import os
import resource
import shutil
import subprocess
import tempfile
import time

from harness import BenchError
from row import Column, Figure, Row, in_rounds

PATIENCE = 600
LINES = 10000


def children_cpu():
    """Returns the CPU ns of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e9


class Commands(Row):
    """Time per command, and the CPU time of all processes, the commands included."""

    rounds = 5
    title = f'{LINES:,} x /bin/true, two at a time'
    key = 'wall_us'
    unit = 'us per command'
    servers = ('rota', 'xargs', 'parallel')
    ratios = ('xargs', 'parallel')
    rate = Column('rate', 'commands/s')
    columns = (rate, Column('cpu_us', 'us of CPU per command', '.1f'))
    figures = (Figure('least', 1.00, 'xargs', column=rate),
               Figure('least', 5.00, 'parallel', column=rate))
    options = {'rota': ['-j2'], 'xargs': ['-P2', '-n1'], 'parallel': ['--will-cite', '-j2']}

    @staticmethod
    def program(programs, name):
        if name != 'rota':
            return shutil.which(name)
        return programs.rota_pool if os.access(programs.rota_pool, os.X_OK) else None

    @classmethod
    def has(cls, programs, name):
        return cls.program(programs, name) is not None

    def measure(self, programs, cores, servers, settings):
        del cores  # There are two, and all that runs shares them.
        count = 200 if settings.quick else LINES
        with tempfile.TemporaryFile() as lines:
            lines.write(b''.join(b'%d\n' % number for number in range(count)))
            return in_rounds(settings.rounds, servers,
                             lambda name: self.one(programs, name, lines, count))

    def one(self, programs, name, lines, count):
        command = [self.program(programs, name), *self.options[name], '/bin/true']
        lines.seek(0)
        cpu = children_cpu()
        begun = time.monotonic_ns()
        try:
            done = subprocess.run(command, stdin=lines, capture_output=True, timeout=PATIENCE,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f'{" ".join(command)} did not end') from None
        wall = time.monotonic_ns() - begun
        if done.returncode != 0:
            told = done.stderr.decode(errors='replace').strip()
            raise BenchError(f'{" ".join(command)}: status {done.returncode}: {told}')
        return {'wall_us': wall / count / 1e3, 'rate': count / (wall / 1e9),
                'cpu_us': (children_cpu() - cpu) / count / 1e3}
