# SPDX-License-Identifier: MIT
"""The rows about TLS: rota-proxy with a certificate beside four proxies that do the same.

Clients speak TLS, the origin gets plain text. What stands in tls-link.c is true of each
connection, or there is no figure.
"""

from proxy_rows import ACTIVE, Bulk, IdlePairs, Messages, ProxyRow
from row import TRUST, Column, Figure, Skipped
from tls_proxies import TLS_PROXIES, TlsProxy, has_certificates, program_of

PEERS = ('nginx', 'haproxy', 'hitch', 'stunnel')


class TlsRow(ProxyRow):
    servers = TLS_PROXIES
    ratios = PEERS
    figures = (Figure('ratio', 1.00, PEERS),)
    load_program = 'tls-load'
    buffers = {}  # of those for whom `buffer` is not the best

    @staticmethod
    def has(programs, name):
        return program_of(programs, name) is not None

    @staticmethod
    def absence(programs, name):
        if name == 'rota' and ProxyRow.has(programs, name):
            return f'{programs.rota_proxy} --help knows no --tls-cert'
        return ProxyRow.absence(programs, name)

    def start(self, programs, cores, name):
        return TlsProxy(programs, name, cores, self.buffers.get(name, self.buffer))

    def measure(self, programs, cores, servers, settings):
        if not programs.is_built(self.load_program):
            raise Skipped('bench/tls-load is not built')
        if not has_certificates():
            raise Skipped('there is no openssl to make a certificate (Debian: openssl)')
        return super().measure(programs, cores, servers, settings)


class Handshakes(TlsRow):
    """CPU time of the proxy per connection: connect, handshake, a message each way, close."""

    rounds = 7
    key = 'cpu_us'
    unit = 'us of CPU per connection'
    columns = (Column('rate', 'connections/s'), Column('p50_us', 'p50 us'),
               Column('p99_us', 'p99 us'), *TRUST, Column('truncated_percent', 'truncated %'))

    connections = 1200  # Each leaves two TIME_WAITs, see Connections.

    def __init__(self, title, handshake):
        self.title = title
        self.handshake = handshake

    def one(self, programs, cores, name, settings):
        shorter = 10 if settings.quick else 1
        found = self.run(programs, cores, name, mode='connections', active=ACTIVE, size=64,
                         messages=self.connections // shorter, warmup=200,
                         handshake=self.handshake)
        return {'cpu_us': found['cpu_ns'] / 1000, **found}


class TlsMessages(TlsRow, Messages):
    """CPU time of the proxy per message, which comes and returns as a record of its own."""

    title = 'messages of 64 B over TLS to a plain echo and back, 64 connections, one in flight'
    figures = TlsRow.figures


class TlsBulk(TlsRow, Bulk):
    """CPU time of the proxy per byte of a few fast streams from TLS to plain; and back, to see."""

    servers = TLS_PROXIES
    ratios = PEERS
    title = 'bulk over TLS: 4 streams to a plain origin; the column download: 4 from it'
    key = 'upload'
    columns = (Column('download', 'download', '.3f'), Column('gb_per_s', 'GB/s', '.2f'), *TRUST)
    figures = TlsRow.figures


class TlsIdlePairs(TlsRow, IdlePairs):
    """Private memory per pair, of TLS and of TCP, that has carried one message each way."""

    title = 'private memory of an idle pair, TLS to plain, after one message each way, 2,000 pairs'
    figures = (Figure('ratio', 0.75, PEERS),)
    form = '.0f'
    buffers = {'nginx': 1024}  # It has two for each pair, all the time.
