# SPDX-License-Identifier: MIT
"""Starts proxies, each with the listener of an origin behind it.

nginx and HAProxy are the distribution's; their configurations are templates in peers/. Neither
tells which port it was given, so they inherit a listener.
"""

import os
import shutil
import signal
import socket
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
    """Returns a listener on any free port. Who connects waits until somebody accepts."""
    listener = socket.create_server(('127.0.0.1', 0), backlog=4096)
    listener.setblocking(False)
    return listener


def address_of(listener):
    return f'127.0.0.1:{listener.getsockname()[1]}'


def fill_template(template, folder, values):
    """Makes a configuration in `folder` of what stands in peers/; returns its path."""
    path = os.path.join(folder, template.removesuffix('.in'))
    with open(os.path.join(HERE, 'peers', template), encoding='utf-8') as file:
        text = file.read()
    for key, value in {'FOLDER': folder, **values}.items():
        text = text.replace(f'%{key}%', value)
    with open(path, 'w', encoding='utf-8') as out:
        out.write(text)
    return path


class Proxy(Server):
    """A running proxy; `origin` is the listener that it passes on to."""

    last_signal = signal.SIGTERM  # nginx's worker would outlive its master's SIGKILL

    def __init__(self, programs, name, cores, buffer):
        self.origin = listen()
        self.given = listen() if name in TEMPLATES else None
        self.folder = tempfile.TemporaryDirectory(prefix='rota-bench-')
        program = program_of(programs, name)
        target = self.origin.getsockname()[1]
        if name == 'rota':
            command = [program, '--listen', '127.0.0.1:0', '--target', f'127.0.0.1:{target}']
        elif name == 'epoll':
            command = [program, '0', str(target)]
        elif name == 'nginx':
            command = [program, '-e', 'stderr', '-c', self.configure(name, buffer)]
        else:
            command = [program, '-db', '-f', self.configure(name, buffer)]
        # A variable by which one nginx hands its listeners to the next that replaces it.
        super().__init__(command, cores, {'NGINX': f'{self.given.fileno()};'} if self.given else {},
                         [self.given.fileno()] if self.given else [])

    def configure(self, name, buffer):
        """Returns the path of a configuration."""
        return fill_template(TEMPLATES[name], self.folder.name, {
            'BUFFER': str(buffer), 'SPLICE': SPLICING.get(name, ''),
            'LISTENER': str(self.given.fileno()), 'LISTEN': address_of(self.given),
            'TARGET': address_of(self.origin)})

    def wait_for_address(self):
        if not self.given:
            return super().wait_for_address()
        address = address_of(self.given)
        self.given.close()  # Should it not start, a connection fails instead of waiting.
        return address

    def end(self):
        try:
            super().end()
        finally:
            self.origin.close()
            self.folder.cleanup()
