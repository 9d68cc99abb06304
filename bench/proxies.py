# SPDX-License-Identifier: MIT
"""Starts proxies, each with the listener of an origin behind it.

nginx and HAProxy are the distribution's; their configurations are templates in peers/. Neither
tells which port it was given, so they are given one that was free a moment ago.
"""

import os
import shutil
import socket
import string
import tempfile

from harness import Server

PROXIES = ('rota', 'epoll', 'nginx', 'haproxy')

# HAProxy's own choice of when to splice, and splicing always. The first was never seen to splice
# anything; the second costs a third more per short message.
SPLICING = {
    'haproxy': 'option splice-auto',
    'haproxy-splice': 'option splice-request\n\toption splice-response',
}

TEMPLATES = {'nginx': 'nginx.conf.in', 'haproxy': 'haproxy.cfg.in',
             'haproxy-splice': 'haproxy.cfg.in'}

HERE = os.path.dirname(os.path.abspath(__file__))
NGINX_STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so'
LISTENING = '0A'  # in /proc/net/tcp


def system_program(name):
    """Daemons stand in directories that a user's PATH may lack."""
    return shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/local/sbin:/usr/sbin')


def program_of(programs, name):
    """Returns the path of a proxy's program, or None if there is none."""
    if name == 'nginx':
        return system_program('nginx') if os.path.exists(NGINX_STREAM) else None
    if name in SPLICING:
        return system_program('haproxy')
    path = programs.rota_proxy if name == 'rota' else programs.bench('peers/proxy-epoll')
    return path if os.access(path, os.X_OK) else None


def listen():
    """Returns a listener on a free port, for the origin. Nobody accepts until a load does."""
    listener = socket.create_server(('127.0.0.1', 0), backlog=4096)
    listener.setblocking(False)
    return listener


def free_port():
    with listen() as listener:
        return listener.getsockname()[1]


class Template(string.Template):
    """A text in which @NAME@ is filled in."""

    delimiter = '@'
    pattern = r'@(?:(?P<named>[A-Z]+)@|(?P<escaped>@)|(?P<braced>\0)|(?P<invalid>\0))'


class Proxy(Server):
    """A running proxy; `origin` is the listener that it passes on to."""

    def __init__(self, programs, name, cores, buffer):
        self.origin = listen()
        self.port = None  # of a proxy that does not tell it
        with tempfile.TemporaryDirectory(prefix='rota-bench-') as folder:
            command = self.command_of(programs, name, folder, buffer)
            try:
                super().__init__(command, cores, {})
            except BaseException:
                self.origin.close()
                raise

    def command_of(self, programs, name, folder, buffer):
        program = program_of(programs, name)
        target = self.origin.getsockname()[1]
        if name == 'rota':
            return [program, '--listen', '127.0.0.1:0', '--target', f'127.0.0.1:{target}']
        if name == 'epoll':
            return [program, '0', str(target)]
        self.port = free_port()
        template = TEMPLATES[name]
        config = os.path.join(folder, template.removesuffix('.in'))
        with open(os.path.join(HERE, 'peers', template), encoding='utf-8') as text:
            filled = Template(text.read()).substitute(
                FOLDER=folder, BUFFER=buffer, SPLICE=SPLICING.get(name),
                LISTEN=f'127.0.0.1:{self.port}', TARGET=f'127.0.0.1:{target}')
        with open(config, 'w', encoding='utf-8') as out:
            out.write(filled)
        if name == 'nginx':
            return [program, '-e', os.path.join(folder, 'nginx.log'), '-c', config]
        return [program, '-db', '-f', config]

    def find_address(self):
        if self.port is None:
            return super().find_address()
        # The kernel's list has listeners first. A connection to try it would reach the origin.
        wanted = f'0100007F:{self.port:04X}'
        with open('/proc/net/tcp', encoding='ascii') as table:
            next(table)
            for line in table:
                fields = line.split()
                if fields[3] != LISTENING:
                    return None
                if fields[1] == wanted:
                    return f'127.0.0.1:{self.port}'
        return None

    def end(self):
        self.origin.close()
        super().end()
