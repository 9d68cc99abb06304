# SPDX-License-Identifier: MIT
"""Starts servers of redis' protocol, and redis-benchmark, which is the load of both."""

import csv
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time

from harness import PATIENCE, BenchError, Server

STORES = ('rota', 'redis')
CLIENTS = 50
KEY = 'key:__rand_int__'  # the one that redis-benchmark uses without -r


def program_of(programs, name):
    """Returns the path of a store's program, or None if there is none, or no load for it."""
    if not shutil.which('redis-benchmark'):
        return None
    if name == 'redis':
        return shutil.which('redis-server')
    return programs.rota_kv if os.access(programs.rota_kv, os.X_OK) else None


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


class Store(Server):
    """A running server of keys and values in memory, empty at first."""

    def __init__(self, programs, name, cores):
        self.folder = tempfile.TemporaryDirectory(prefix='rota-bench-')
        self.port = 0 if name == 'rota' else free_port()
        command = [program_of(programs, name)]
        if name == 'rota':
            command += ['--listen', '127.0.0.1:0']
        else:
            command += ['--bind', '127.0.0.1', '--port', str(self.port), '--save', '',
                        '--appendonly', 'no', '--daemonize', 'no', '--dir', self.folder.name,
                        '--logfile', '/dev/stderr']
        super().__init__(command, cores, {})

    def wait_for_address(self):
        """redis-server takes no port 0. If somebody was faster, it says so and ends."""
        if not self.port:
            return super().wait_for_address()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            if 'Ready to accept connections' in self.said():
                return f'127.0.0.1:{self.port}'
            time.sleep(0.005)
        raise BenchError(f'{self.command[0]} does not listen: {self.said().strip()}')

    def ask(self, command):
        """Returns what a command without blanks in its words is replied with, a bulk string."""
        host, port = self.address.split(':')
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(command.encode() + b'\r\n')
            with connection.makefile('rb') as reply:
                head = reply.readline()
                if not head.startswith(b'$') or head.startswith(b'$-'):
                    raise BenchError(f'{self.command[0]}: {command}: {head.decode().strip()}')
                return reply.read(int(head[1:])).decode()

    def commands(self):
        """Returns how many commands it has done, by its own count."""
        for line in self.ask('INFO').splitlines():
            if line.startswith('total_commands_processed:'):
                return int(line.partition(':')[2])
        raise BenchError(f'{self.command[0]} does not tell how many commands it has done')

    def end(self):
        try:
            super().end()
        finally:
            self.folder.cleanup()


def children_cpu():
    """Returns the CPU ns of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e9


def put_load(store, cores, command, requests, depth):
    """Runs redis-benchmark; returns the requests per second that it tells, and its CPU ns."""
    host, port = store.address.split(':')
    arguments = ['redis-benchmark', '-h', host, '-p', port, '-c', str(CLIENTS), '-P', str(depth),
                 '-n', str(requests), '-t', command, '--csv']
    before = children_cpu()
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE + requests / 10000, check=False,
                              preexec_fn=cores.preparation(cores.load))
    except subprocess.TimeoutExpired:
        raise BenchError(f'{" ".join(arguments)} did not end') from None
    for line in csv.DictReader(done.stdout.splitlines()):
        if done.returncode == 0 and line['test'] == command.upper():
            return float(line['rps']), children_cpu() - before
    raise BenchError(f'{" ".join(arguments)}: status {done.returncode}: {done.stderr.strip()}')
