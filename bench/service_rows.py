# SPDX-License-Identifier: MIT
"""The rows about services: keys and values, calls by correlation id, an idle session,
requests that are gathered."""

import os

from harness import BenchError, Load, Server
from row import TRUST, Column, Figure, Row, in_rounds, memory_per_connection, need_descriptors
from services import CLIENTS, KEY, STORES, Store, program_of, put_load

CPU = {command: Column(f'{command}_ns', f'ns per {command.upper()}') for command in ('set', 'get')}
RATES = {command: Column(f'{command}_rate', f'{command.upper()}/s') for command in ('set', 'get')}


class Stored(Row):
    """CPU time of the server per request, of redis-benchmark's SET and then of its GET."""

    rounds = 11
    key = 'cpu_ns'
    unit = 'ns of CPU per request'
    servers = STORES
    ratios = ('redis',)
    columns = (*CPU.values(), *RATES.values(), Column('client_ns', 'ns of the client'), *TRUST,
               Column('sleeps_per_1000', 'sleeps/1000', '.1f'))

    def __init__(self, title, depth, per_second, cpu_limit):
        self.title = title
        self.depth = depth
        self.per_second = per_second
        self.figures = (*(Figure('least', 1.00, 'redis', column=rate) for rate in RATES.values()),
                        *(Figure('ratio', cpu_limit, 'redis', column=cpu) for cpu in CPU.values()))

    @staticmethod
    def has(programs, name):
        return program_of(programs, name) is not None

    def measure(self, programs, cores, servers, settings):
        requests = int(self.per_second * settings.seconds / 2)
        return in_rounds(settings.rounds, servers,
                         lambda name: self.one(programs, cores, name, requests))

    def one(self, programs, cores, name, requests):
        with Store(programs, name, cores) as store:
            found = {command: self.cost(store, cores, command, requests) for command in CPU}
            if len(store.ask(f'GET {KEY}')) != 3:
                raise BenchError(f'{name} has not kept what was set')
        both = list(found.values())
        return {
            'cpu_ns': sum(one['cpu_ns'] for one in both) / 2,
            **{CPU[command].key: one['cpu_ns'] for command, one in found.items()},
            **{RATES[command].key: one['rate'] for command, one in found.items()},
            **{key: sum(one[key] for one in both) / 2
               for key in ('client_ns', 'busy_percent', 'waited_percent', 'sleeps_per_1000')},
        }

    def cost(self, store, cores, command, requests):
        put_load(store, cores, command, max(requests // 10, CLIENTS * self.depth), self.depth)
        counted = store.commands()
        before = store.usage_at_rest()
        rate, client = put_load(store, cores, command, requests, self.depth)
        after = store.usage_at_rest()
        # redis-benchmark counts replies, whatever they say.
        if store.commands() - counted < requests:
            raise BenchError(f'{store.command[0]} has not done what was asked of it')
        used = {key: after[key] - before[key] for key in after}
        window = requests / rate * 1e9
        return {'rate': rate, 'cpu_ns': used['cpu'] / requests, 'client_ns': client / requests,
                'busy_percent': 100 * used['cpu'] / window,
                'waited_percent': 100 * used['waited'] / window,
                'sleeps_per_1000': 1000 * used['switches'] / requests}


class Calls(Row):
    """Calls per second and CPU time of both ends per call, over one connection."""

    rounds = 11
    title = 'calls by correlation id: 64 B each way, 64 in flight on one connection'
    key = 'cpu_ns'
    unit = 'ns of CPU per call, both ends'
    servers = ('rota', 'nng')
    ratios = ('nng',)
    rate = Column('rate', 'calls/s')
    columns = (rate, Column('server_ns', 'ns of server'), Column('client_ns', 'of client'), *TRUST,
               Column('sleeps_per_1000', 'sleeps/1000', '.1f'))
    figures = (Figure('least', 3.00, 'nng', column=rate), Figure('ratio', 0.33, 'nng'))
    programs = {'rota': 'rpc-rota', 'nng': os.path.join('peers', 'rpc-nng')}

    @classmethod
    def has(cls, programs, name):
        return programs.is_built(cls.programs[name])

    def measure(self, programs, cores, servers, settings):
        return in_rounds(settings.rounds, servers,
                         lambda name: self.one(programs, cores, name, settings))

    def one(self, programs, cores, name, settings):
        program = self.programs[name]
        with Server([programs.bench(program), '0'], cores, {}) as server:
            with Load(programs, cores, server, program=program, size=64, depth=64,
                      seconds=settings.seconds,
                      warmup=2000 if settings.quick else 20000) as client:
                return self.cost(server, client)

    @staticmethod
    def cost(server, client):
        before = [end.usage_at_rest() for end in (server, client)]
        result = client.measure()
        after = [end.usage_at_rest() for end in (server, client)]
        used = [{key: after[i][key] - before[i][key] for key in after[i]} for i in range(2)]
        both = {key: used[0][key] + used[1][key] for key in used[0]}
        window = 2 * result['seconds'] * 1e9
        return {
            'cpu_ns': both['cpu'] / result['count'],
            'server_ns': used[0]['cpu'] / result['count'],
            'client_ns': used[1]['cpu'] / result['count'],
            'rate': result['count'] / result['seconds'],
            'busy_percent': 100 * both['cpu'] / window,
            'waited_percent': 100 * both['waited'] / window,
            'sleeps_per_1000': 1000 * both['switches'] / result['count'],
        }


class IdleSessions(Row):
    """Private memory per idle session of a service, and per idle stream, with as many own bytes."""

    rounds = 5
    title = 'private memory of an idle session with 64 B of its own, after one echo, 10,000 of them'
    key = 'bytes'
    unit = 'B per connection'
    servers = ('rota', 'rota-stream')
    ratios = ()
    figures = (Figure('difference', 64.5, 'rota-stream',
                      'at most 64 over rota-stream, to the nearest byte'),)
    kept, counted = 300, 10000  # as IdleMemory's; more, as a page is much beside the bar

    @staticmethod
    def has(programs, name):
        del name
        return programs.is_built('idle-service')

    def measure(self, programs, cores, servers, settings):
        need_descriptors(self.kept + self.counted)
        kinds = {'rota': 'service', 'rota-stream': 'stream'}
        return in_rounds(settings.rounds, servers, lambda name: {'bytes': memory_per_connection(
            lambda: Server([programs.bench('idle-service'), kinds[name], '0'], cores, {}),
            lambda server, idle: Load(programs, cores, server, idle=idle, active=0, size=64),
            self.kept, self.counted)})


class Gathered(Row):
    """Requests per second and CPU time of one, in one process that connects to nobody."""

    rounds = 11
    title = 'requests to 4 producers that answer at once, with 2 listeners: 64 B each way'
    key = 'cpu_ns'
    unit = 'ns of CPU per request'
    servers = ('rota', 'nng', 'rota-64')
    ratios = ('nng',)
    rate = Column('rate', 'requests/s')
    columns = (rate, *TRUST)
    figures = (Figure('reached', 500000, column=rate), Figure('least', 5.00, 'nng', column=rate))
    programs = {'rota': ('gather-rota', 4), 'rota-64': ('gather-rota', 64),
                'nng': (os.path.join('peers', 'gather-nng'), 4)}

    class Nobody:
        """Whom a load is given that has no server."""

        address = '127.0.0.1:9'

        @staticmethod
        def check():
            """It has not ended."""

    @classmethod
    def has(cls, programs, name):
        return programs.is_built(cls.programs[name][0])

    def measure(self, programs, cores, servers, settings):
        return in_rounds(settings.rounds, servers,
                         lambda name: self.one(programs, cores, name, settings))

    def one(self, programs, cores, name, settings):
        program, depth = self.programs[name]
        with Load(programs, cores, self.Nobody(), program=program, size=64, depth=depth,
                  seconds=settings.seconds, warmup=2000 if settings.quick else 20000) as load:
            before = load.usage_at_rest()
            result = load.measure()
            after = load.usage_at_rest()
        used = {key: after[key] - before[key] for key in after}
        window = result['seconds'] * 1e9
        return {'cpu_ns': used['cpu'] / result['count'],
                'rate': result['count'] / result['seconds'],
                'busy_percent': 100 * used['cpu'] / window,
                'waited_percent': 100 * used['waited'] / window}
