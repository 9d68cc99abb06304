# SPDX-License-Identifier: MIT
"""What is measured: the rows of the benchmark table, and the figures they have to reach."""

import event_rows
from command_rows import Commands
import task_rows
import pipeline_rows
from echo_rows import Echo, Hosts, IdleHosts, IdleMemory, Scale, Turn
from proxy_rows import Bulk, Connections, IdlePairs, Messages
from row import Figure, Settings
from service_rows import Calls, Gathered, IdleSessions, Stored
from tls_rows import Handshakes, TlsBulk, TlsIdlePairs, TlsMessages

ROWS = {
    'echo-64': Echo(
        'echo of 64 B, 64 connections, one message in flight on each',
        (Figure('ratio', 1.05, 'libev'), Figure('ratio', 0.75, 'libevent'),
         Figure('ratio', 0.60, 'libuv-write')),
        warmup=30000, size=64, depth=1),
    'echo-64-depth16': Echo(
        'echo of 64 B, 64 connections, 16 messages in flight on each',
        (Figure('ratio', 1.10, 'libev'),), warmup=400000, size=64, depth=16),
    'echo-16k': Echo(
        'echo of 16 KiB, 64 connections, one message in flight on each',
        (Figure('ratio', 1.10, 'libev'),), warmup=10000, size=16384, depth=1),
    'idle-memory': IdleMemory(),
    'scale': Scale(),
    'turn': Turn(),
    'hosts-64': Hosts(),
    'hosts-idle': IdleHosts(),
    'proxy-64': Messages(),
    'proxy-connections': Connections(),
    'proxy-bulk': Bulk(),
    'proxy-idle-memory': IdlePairs(),
    'tls-handshake': Handshakes(
        'connections over TLS: full handshake, 64 B each way, close; 64 at a time', 'full'),
    'tls-resumed': Handshakes(
        'connections over TLS: resumed handshake, 64 B each way, close; 64 at a time', 'resumed'),
    'tls-bulk': TlsBulk(),
    'tls-64': TlsMessages(),
    'tls-idle-memory': TlsIdlePairs(),
    'kv-50': Stored('keys and values: SET and GET of redis-benchmark, 50 clients',
                    depth=1, per_second=100000, cpu_limit=0.95),
    'kv-50-p16': Stored('keys and values: SET and GET of redis-benchmark, 50 clients, -P 16',
                        depth=16, per_second=800000, cpu_limit=0.80),
    'rpc-64': Calls(),
    'service-idle': IdleSessions(),
    **event_rows.ROWS,
    'rota-pool': Commands(),
    'gather': Gathered(),
    **task_rows.ROWS,
    **pipeline_rows.ROWS,
}

# Names for several rows.
GROUPS = {
    'all': list(ROWS),
    'channel': list(event_rows.ROWS),
    'hosts': [name for name in ROWS if name.startswith('hosts-')],
    'pool': list(task_rows.ROWS),
    'pipeline': list(pipeline_rows.ROWS),
    'proxy': [name for name in ROWS if name.startswith('proxy-')],
    'service': ['kv-50', 'kv-50-p16', 'rpc-64', 'service-idle', 'rota-pool', 'gather'],
    'tls': [name for name in ROWS if name.startswith('tls-')],
}


def settings_for(name, arguments):
    rounds = arguments.rounds or (1 if arguments.quick else ROWS[name].rounds)
    seconds = arguments.seconds or (0.1 if arguments.quick else 1.0)
    return Settings(rounds, seconds, arguments.quick)
