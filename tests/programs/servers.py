# SPDX-License-Identifier: MIT
"""Servers that people use, for the tests that are their clients: each on a unix socket in the
scene's folder, and gone with the scene."""

import glob
import os
import shutil

from harness import Skip, is_served, needs, poll


def redis(scene):
    """A redis server without files; returns its address."""
    needs("redis-server")
    path = os.path.join(scene.folder(), "redis")
    server = scene.start("redis-server", "--port", "0", "--unixsocket", path, "--save", "",
                         "--appendonly", "no", "--daemonize", "no", "--dir", scene.folder())
    # The path is there before it listens.
    poll(lambda: is_served(f"unix:{path}"), f"redis listens: {server.out}")
    return f"unix:{path}"


def postgres(scene):
    """A cluster of PostgreSQL of its own; returns its address and the folder of its programs."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not folders or not os.path.exists(f"{folders[-1]}/pgbench"):
        raise Skip("there is no PostgreSQL with pgbench")
    programs, folder, prefix = folders[-1], scene.folder(), []
    if os.geteuid() == 0:
        # It refuses to run as root.
        needs("runuser")
        prefix = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    scene.run(*prefix, f"{programs}/initdb", "-D", f"{folder}/data", "-A", "trust", "-N", "-U",
              "rota", seconds=120)
    server = scene.start(*prefix, f"{programs}/postgres", "-D", f"{folder}/data", "-k", folder,
                         "-c", "listen_addresses=", "-c", "fsync=off", cwd=folder)
    # runuser passes no SIGKILL on, so the server is told itself.
    scene.stack.callback(stop_postgres, f"{folder}/data/postmaster.pid", server)
    server.said(r"ready to accept connections")
    return f"unix:{folder}/.s.PGSQL.5432", programs


def stop_postgres(path, server):
    with open(path, encoding="ascii") as file:
        os.kill(int(file.readline()), 2)  # SIGINT: fast
    server.popen.wait()
