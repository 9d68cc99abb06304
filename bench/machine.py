# SPDX-License-Identifier: MIT
"""Tells where and on what a result was measured, so that it can be judged and repeated."""

import datetime
import os
import platform
import subprocess
import sys

PACKAGES = ('libc6', 'libev4', 'libevent-2.1-7', 'libglib2.0-0', 'libuv1', 'gcc', 'valgrind', 'nginx',
            'libnginx-mod-stream', 'haproxy', 'hitch', 'stunnel4', 'libssl3', 'redis-server',
            'redis-tools', 'libnng1')


def output(*command):
    """Returns what a command prints, or nothing when there is no such command or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


def first_line(path, prefix=''):
    try:
        with open(path, encoding='utf-8') as text:
            for line in text:
                if line.startswith(prefix):
                    return line.strip()
    except OSError:
        pass
    return ''


def packages():
    versions = {}
    for name in PACKAGES:
        version = output('dpkg-query', '-W', '-f', '${Version}', name)
        if version:
            versions[name] = version
    return versions


def revision(source):
    """Names the commit; `-dirty` when a tracked file outside bench/results differs from it."""
    commit = output('git', '-C', source, 'rev-parse', '--short=12', 'HEAD')
    changed = output('git', '-C', source, 'status', '--porcelain', '--untracked-files=no', '--',
                     '.', ':(exclude)bench/results')
    return commit + ('-dirty' if commit and changed else '')


def facts(source, build, cores):
    cpu = first_line('/proc/cpuinfo', 'model name').partition(':')[2].strip()
    flags = first_line(os.path.join(build, 'Makefile'), 'CFLAGS =')
    return {
        'date': datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
        'revision': revision(source) or 'unknown',
        'command': ' '.join(['bench/run', *sys.argv[1:]]),
        'system': ' '.join(platform.uname()[i] for i in (0, 2, 3, 4)),
        'distribution': first_line('/etc/os-release', 'PRETTY_NAME=').partition('=')[2].strip('"'),
        'cpu': f'{os.cpu_count()} x {cpu or "unknown"}',
        'cores': f'server {cores.server}, load {cores.load}',
        'congestion_control': first_line('/proc/sys/net/ipv4/tcp_congestion_control'),
        'load_average': ' '.join(f'{value:.2f}' for value in os.getloadavg()),
        'compiler_flags': flags.partition('= ')[2],
        'packages': packages(),
    }
