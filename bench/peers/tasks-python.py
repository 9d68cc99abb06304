#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Empty tasks for two workers of Python's own: tasks-python.py pool|executor COUNT."""

import concurrent.futures
import json
import multiprocessing
import sys
import time

WORKERS = 2


def nothing(_):
    return None


def by_pool(count):
    with multiprocessing.Pool(WORKERS) as pool:
        list(pool.imap_unordered(nothing, range(1000), chunksize=1))
        start = time.monotonic()
        for _ in pool.imap_unordered(nothing, range(count), chunksize=1):
            pass
        return time.monotonic() - start


def by_executor(count):
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as executor:
        list(executor.map(nothing, range(100)))
        start = time.monotonic()
        for _ in executor.map(nothing, range(count)):
            pass
        return time.monotonic() - start


def main():
    _, kind, count = sys.argv
    run = by_pool if kind == 'pool' else by_executor
    print(json.dumps({'count': int(count), 'seconds': run(int(count))}))


if __name__ == '__main__':
    main()
