# SPDX-License-Identifier: MIT
"""Starts proxies that speak TLS with their clients and pass the plain text on.

The peers are the distribution's; their configurations are templates in peers/. nginx and HAProxy
inherit a listener. hitch and stunnel take a port only, so they get one that was free just now.
"""

import functools
import os
import shutil
import subprocess
import tempfile
import time

import proxies
from harness import PATIENCE, BenchError, Server
from proxies import address_of, fill_template, listen, system_program

TLS_PROXIES = ('rota', 'epoll', 'nginx', 'haproxy', 'hitch', 'stunnel')
INHERITING = ('nginx', 'haproxy')
TEMPLATES = {'nginx': 'tls-nginx.conf.in', 'haproxy': 'tls-haproxy.cfg.in',
             'hitch': 'tls-hitch.conf.in', 'stunnel': 'tls-stunnel.conf.in'}
CPUCLOCK_SCHED = 2  # how the C library makes the number of a process's clock
LISTENS = '0A'  # a state of /proc/net/tcp


@functools.cache
def rota_speaks_tls(path):
    said = subprocess.run([path, '--help'], capture_output=True, text=True, check=False,
                          timeout=PATIENCE)
    return '--tls-cert' in said.stdout + said.stderr


def has_certificates():
    return shutil.which('openssl') is not None


def program_of(programs, name):
    """Returns the path of a proxy's program, or None if there is none."""
    if name == 'rota':
        path = proxies.program_of(programs, name)
        return path if path and rota_speaks_tls(path) else None
    if name == 'epoll':
        path = programs.bench('peers/proxy-tls-epoll')
        return path if os.access(path, os.X_OK) else None
    if name == 'nginx':
        return proxies.program_of(programs, name)
    return system_program(name)


class Certificate:
    """One that signs itself, with a key on P-256; made when the first proxy needs it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='rota-bench-')
        self.certificate = os.path.join(self.folder.name, 'certificate.pem')
        self.key = os.path.join(self.folder.name, 'key.pem')
        self.both = os.path.join(self.folder.name, 'both.pem')
        made = subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
             '-sha256', '-nodes', '-days', '7', '-subj', '/CN=localhost',
             '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
             '-keyout', self.key, '-out', self.certificate],
            capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise BenchError(f'openssl makes no certificate: {made.stderr}')
        with open(self.both, 'w', encoding='ascii') as both:
            for part in (self.key, self.certificate):
                with open(part, encoding='ascii') as text:
                    both.write(text.read())


@functools.cache
def certificate():
    return Certificate()


def is_listening(port):
    with open('/proc/net/tcp', encoding='ascii') as table:
        rows = [line.split() for line in list(table)[1:]]
    return any(row[3] == LISTENS and int(row[1].split(':')[1], 16) == port for row in rows)


class TlsProxy(proxies.Proxy):
    """A running proxy; `origin` is the listener that it passes on to."""

    def __init__(self, programs, name, cores, buffer):
        self.name = name
        self.origin = listen()
        self.given = listen() if name in TEMPLATES else None
        self.folder = tempfile.TemporaryDirectory(prefix='rota-bench-')
        inherited = [self.given.fileno()] if name in INHERITING else []
        environment = {'NGINX': f'{inherited[0]};'} if name == 'nginx' else {}
        command = self.command_of(program_of(programs, name), buffer)
        if self.given and not inherited:
            self.port = self.given.getsockname()[1]
            self.given.close()
        # Not Proxy's, which knows its own programs only.
        Server.__init__(self, command, cores, environment, inherited)

    def command_of(self, program, buffer):
        files = certificate()
        target = address_of(self.origin)
        if self.name == 'rota':
            return [program, '--listen', '127.0.0.1:0', '--target', target,
                    '--tls-cert', files.certificate, '--tls-key', files.key]
        if self.name == 'epoll':
            return [program, '0', target.split(':')[1], files.certificate, files.key]
        path = fill_template(TEMPLATES[self.name], self.folder.name, {
            'BUFFER': str(buffer), 'LISTENER': str(self.given.fileno()),
            'LISTEN': address_of(self.given), 'PORT': address_of(self.given).split(':')[1],
            'TARGET': target, 'TARGET_PORT': target.split(':')[1],
            'USER': '' if os.geteuid() else 'user = "nobody"',  # It does not want to be root.
            'CERTIFICATE': files.certificate, 'KEY': files.key, 'BOTH': files.both})
        return {'nginx': [program, '-e', 'stderr', '-c', path],
                'haproxy': [program, '-db', '-f', path],
                'hitch': [program, f'--config={path}'],
                'stunnel': [program, path]}[self.name]

    def usage(self):
        """The kernel's clock of a process counts threads that have ended too; stunnel's do."""
        cpu = sum(time.clock_gettime_ns(~int(pid) << 3 | CPUCLOCK_SCHED)
                  for pid in self.processes())
        return {**super().usage(), 'cpu': cpu}

    def wait_for_address(self):
        if self.name not in TEMPLATES or self.name in INHERITING:
            return super().wait_for_address()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            if is_listening(self.port):
                return f'127.0.0.1:{self.port}'
            time.sleep(0.005)
        raise BenchError(f'{self.command[0]} does not listen: {self.said().strip() or "silent"}')
