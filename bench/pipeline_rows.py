# SPDX-License-Identifier: MIT
"""The row about pipelines: an access log, counted by status, by rota-pipeline and by mawk."""

import os
import shutil
import subprocess
import tempfile
import threading
import time

from harness import BenchError
from row import Column, Figure, Row, in_rounds

PATIENCE = 600
HERE = os.path.dirname(os.path.abspath(__file__))

RATE = Column('rate', 'MB/s')
MEMORY = Column('memory_mib', 'MiB of the largest process', '.1f')
PIPELINE = ('read {log} | parse combined | stats count by status | sort status | '
            'output format=csv')
COUNT = '{ n[$9]++ } END { for (s in n) print s "," n[s] }'
ADD = 'BEGIN { FS = "," } { n[$1] += $2 } END { for (s in n) print s "," n[s] }'


def largest(pid, known):
    """VmHWM in KiB of a process and its children, beside what was known before."""
    pids = [pid]
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as children:
            pids += children.read().split()
    except OSError:
        pass
    for each in pids:
        try:
            with open(f'/proc/{each}/status', encoding='ascii') as status:
                known = max([known, *(int(line.split()[1]) for line in status
                                      if line.startswith('VmHWM'))])
        except OSError:
            pass
    return known


class AccessLog(Row):
    """Time from start to end of counting the lines of a log that is in memory, by their status."""

    rounds = 5
    title = 'an access log in the combined format: lines counted by status, 2 cores'
    key = 'seconds'
    unit = 's'
    form = '.3f'
    servers = ('rota', 'rota-local', 'mawk', 'parallel')
    ratios = ('rota-local', 'mawk', 'parallel')
    columns = (RATE, MEMORY)
    figures = (Figure('least', 1.8, 'rota-local', column=RATE),
               Figure('least', 1.0, 'parallel', column=RATE),
               Figure('least', 1.0, 'mawk', server='rota-local', column=RATE),
               Figure('value', 64, column=MEMORY))

    @staticmethod
    def program(programs):
        """Not libtool's script, whose beginning would be measured, too."""
        folder = os.path.join(programs.build, 'examples')
        program = os.path.join(folder, '.libs', 'rota-pipeline')
        return program if os.path.exists(program) else os.path.join(folder, 'rota-pipeline')

    @classmethod
    def has(cls, programs, name):
        if name in ('rota', 'rota-local'):
            return os.access(cls.program(programs), os.X_OK)
        return shutil.which('mawk') is not None and (
            name == 'mawk' or shutil.which('parallel') is not None)

    def measure(self, programs, cores, servers, settings):
        with tempfile.TemporaryDirectory(prefix='rota-log-') as folder:
            log = os.path.join(folder, 'access.log')
            subprocess.run([os.path.join(HERE, 'make-log'), log, '50' if settings.quick else '1000'],
                           check=True)
            wanted = self.once(self.command(programs, servers[0], log), folder)[1]
            return in_rounds(settings.rounds, servers,
                             lambda name: self.one(programs, name, log, folder, wanted))

    def command(self, programs, name, log):
        if name == 'mawk':
            return f"mawk '{COUNT}' {log} | sort"
        if name == 'parallel':
            return (f"parallel -q -j2 --pipepart --block -1 -a {log} mawk '{COUNT}' | "
                    f"mawk '{ADD}' | sort")
        dispatcher = 'multiproc' if name == 'rota' else 'local'
        libraries = os.path.join(programs.build, '.libs')
        return (f'LD_LIBRARY_PATH={libraries} {self.program(programs)} run -d {dispatcher} '
                f"'{PIPELINE.format(log=log)}' | tail -n +2")

    @staticmethod
    def once(command, folder):
        """Returns seconds, and what came out."""
        environment = dict(os.environ, LC_ALL='C', HOME=folder)
        begin = time.monotonic()
        with subprocess.Popen(['bash', '-c', command], stdin=subprocess.DEVNULL, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shell:
            kill = threading.Timer(PATIENCE, shell.kill)
            kill.start()
            out, error = shell.communicate()
            kill.cancel()
            seconds = time.monotonic() - begin
        if shell.returncode != 0 or not out:
            raise BenchError(f'{command}: {error.strip()}')
        return seconds, out

    def one(self, programs, name, log, folder, wanted):
        command = self.command(programs, name, log)
        seconds, out = self.once(command, folder)
        if out != wanted:
            raise BenchError(f'{name} counts otherwise: {out}')
        return {'seconds': seconds, 'rate': os.path.getsize(log) / seconds / 1e6,
                'memory_mib': self.memory(command, folder)}

    def memory(self, command, folder):
        """Of a second run, in which the processes are looked at; a pipe is looked at in part."""
        known = 0
        with subprocess.Popen(['bash', '-c', f'exec env {command.split(" | tail")[0]}'],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              env=dict(os.environ, LC_ALL='C', HOME=folder)) as process:
            while process.poll() is None:
                known = largest(process.pid, known)
                time.sleep(0.005)
        return known / 1024


ROWS = {'pipeline-log': AccessLog()}
