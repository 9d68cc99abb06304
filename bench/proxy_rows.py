# SPDX-License-Identifier: MIT
"""The rows about proxies: rota-proxy beside nginx, HAProxy and a proxy without any library."""

from harness import Load
from proxies import PROXIES, Proxy, program_of
from row import (TRUST, Column, Figure, Row, cost, in_rounds, memory_per_connection,
                 need_descriptors)

ACTIVE = 64


class ProxyRow(Row):
    servers = PROXIES
    ratios = ('nginx', 'haproxy')
    buffer = 16384  # of nginx and HAProxy
    load_program = 'load'

    @staticmethod
    def has(programs, name):
        return program_of(programs, name) is not None

    def start(self, programs, cores, name):
        return Proxy(programs, name, cores, self.buffer)

    def load(self, programs, cores, proxy, **options):
        return Load(programs, cores, proxy, proxy.origin, self.load_program, **options)

    def run(self, programs, cores, name, **options):
        """Returns what a proxy, freshly started, used for the measured part of a load."""
        with self.start(programs, cores, name) as proxy:
            with self.load(programs, cores, proxy, **options) as load:
                return cost(proxy, load)

    def measure(self, programs, cores, servers, settings):
        return in_rounds(settings.rounds, servers,
                         lambda name: self.one(programs, cores, name, settings))


class Messages(ProxyRow):
    """CPU time of the proxy per message, which goes to the origin and comes back."""

    rounds = 11
    title = 'messages of 64 B through a proxy and back, 64 connections, one in flight on each'
    key = 'cpu_ns'
    unit = 'ns of CPU per message'
    columns = (Column('rate', 'messages/s'), Column('p50_us', 'p50 us'), Column('p99_us', 'p99 us'),
               *TRUST, Column('sleeps_per_1000', 'sleeps/1000', '.1f'))
    figures = (Figure('ratio', 1.00, 'nginx'), Figure('ratio', 0.80, 'haproxy'))

    def one(self, programs, cores, name, settings):
        return self.run(programs, cores, name, active=ACTIVE, size=64, depth=1,
                        seconds=settings.seconds, warmup=2000 if settings.quick else 20000)


class Connections(ProxyRow):
    """CPU time of the proxy per connection: connect, a message each way, close."""

    rounds = 7
    title = 'connections through a proxy: connect, 64 B each way, close; 64 at a time'
    key = 'cpu_us'
    unit = 'us of CPU per connection'
    columns = (Column('rate', 'connections/s'), Column('p50_us', 'p50 us'),
               Column('p99_us', 'p99 us'), *TRUST)
    figures = (Figure('ratio', 1.00, ('nginx', 'haproxy')),)

    # Each leaves two TIME_WAITs for a minute; all of the row fit into the kernel's table.
    connections = 2000

    def one(self, programs, cores, name, settings):
        shorter = 10 if settings.quick else 1
        found = self.run(programs, cores, name, mode='connections', active=ACTIVE, size=64,
                         messages=self.connections // shorter, warmup=200 // shorter)
        return {'cpu_us': found['cpu_ns'] / 1000, **found}


class Bulk(ProxyRow):
    """CPU time of the proxy per byte of a few fast streams, up and then down."""

    rounds = 9
    servers = (*PROXIES, 'haproxy-splice')
    ratios = ('nginx', 'haproxy', 'haproxy-splice')
    title = 'bulk through a proxy: 4 streams to the origin, then 4 from it'
    key = 'both'
    unit = 's of CPU per GB'
    form = '.3f'
    columns = (Column('upload', 'upload', '.3f'), Column('download', 'download', '.3f'),
               Column('gb_per_s', 'GB/s', '.2f'), *TRUST)
    figures = (Figure('ratio', 1.00, 'haproxy-splice'),)
    buffer = 65536

    def one(self, programs, cores, name, settings):
        found = {mode: self.run(programs, cores, name, mode=mode, active=4, size=262144,
                                seconds=settings.seconds / 2, warmup=200 if settings.quick else 800)
                 for mode in ('upload', 'download')}
        up, down = found.values()
        return {
            'upload': up['cpu_ns_per_byte'], 'download': down['cpu_ns_per_byte'],
            'both': (up['cpu_ns_per_byte'] + down['cpu_ns_per_byte']) / 2,
            'gb_per_s': (up['rate'] + down['rate']) / 2 * 262144 / 1e9,
            'busy_percent': (up['busy_percent'] + down['busy_percent']) / 2,
            'waited_percent': (up['waited_percent'] + down['waited_percent']) / 2,
        }


class IdlePairs(ProxyRow):
    """Private memory of the proxy per pair that has carried one message each way and is silent."""

    rounds = 3
    title = 'private memory of an idle pair after one message each way, 2,000 of them'
    key = 'bytes'
    unit = 'B per pair'
    figures = (Figure('value', 1000),)
    kept = 300
    counted = 2000

    def one(self, programs, cores, name, settings):
        del settings
        need_descriptors(2 * (self.kept + self.counted))
        return {'bytes': memory_per_connection(
            lambda: self.start(programs, cores, name),
            lambda proxy, idle: self.load(programs, cores, proxy, idle=idle, active=0, size=64),
            self.kept, self.counted)}
