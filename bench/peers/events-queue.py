#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Messages over Python's multiprocessing.Queue: events-queue.py MODE COUNT SENDERS-CORE RECEIVERS-CORE."""

import json
import multiprocessing
import os
import sys
import time


def receive(queue, count, core):
    os.sched_setaffinity(0, {core})
    for _ in range(count):
        queue.get()


def main():
    _, _, count, sender, receiver = sys.argv
    count = int(count)
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=receive, args=(queue, count, int(receiver)))
    process.start()
    os.sched_setaffinity(0, {int(sender)})
    payload = b'x' * 64
    start = time.monotonic()
    for _ in range(count):
        queue.put(payload)
    process.join()
    print(json.dumps({'count': count, 'seconds': time.monotonic() - start}))


main()
