# SPDX-License-Identifier: MIT
"""Certificates for the tests of TLS: an authority, what it signs, and who talks by them.

The keys are made by the openssl program, and last for one test.
"""

import contextlib
import os
import re
import socket
import ssl
import subprocess

from harness import PATIENCE, Failure, check, check_equal, needs, noise, receive


class Authority:
    """An authority with files below a folder: its own certificate is the file ca."""

    def __init__(self, scene, name="authority"):
        needs("openssl")
        self.folder = os.path.join(scene.folder(), name)
        os.makedirs(self.folder)
        self.ca = os.path.join(self.folder, "ca.pem")
        self._key = os.path.join(self.folder, "ca-key.pem")
        self._openssl("req", "-x509", *self._new_key(self._key), "-subj", f"/CN={name}", "-days",
                      "2", "-addext", "basicConstraints=critical,CA:TRUE", "-out", self.ca)

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]

    @staticmethod
    def _openssl(*arguments):
        said = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False,
                              timeout=PATIENCE)
        if said.returncode != 0:
            raise Failure(f"openssl {' '.join(arguments)}: {said.stderr}")

    def sign(self, file, *names, days=2):
        """A certificate for names like DNS:db.example; returns its file and that of its key."""
        stem = os.path.join(self.folder, file)
        request, extensions = stem + ".csr", stem + ".ext"
        with open(extensions, "w", encoding="ascii") as text:
            text.write(f"subjectAltName={','.join(names)}\n")
        self._openssl("req", "-new", *self._new_key(stem + "-key.pem"), "-subj", f"/CN={file}",
                      "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-days",
                      str(days), "-extfile", extensions, "-CAcreateserial", "-out", stem + ".pem")
        os.chmod(stem + "-key.pem", 0o600)
        return stem + ".pem", stem + "-key.pem"

    def local(self, file="server"):
        """The same for this machine: localhost, 127.0.0.1."""
        return self.sign(file, "DNS:localhost", "IP:127.0.0.1")


def pair(certificate, option="tls"):
    """The options for what sign returned."""
    return [f"--{option}-cert", certificate[0], f"--{option}-key", certificate[1]]


def client(authority, certificate=None, alpn=(), highest=None):
    """Python's client; authority None believes anybody."""
    context = ssl.create_default_context(cafile=authority.ca if authority else None)
    if not authority:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(*certificate)
    if alpn:
        context.set_alpn_protocols(alpn)
    if highest:
        context.maximum_version = highest
    return context


def server(certificate, authority=None, alpn=()):
    """Python's server; with an authority it asks for certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if authority:
        context.load_verify_locations(authority.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def open_tls(address, context, name="localhost", session=None, before=b""):
    """A connection that has shaken hands; before goes out first, as it is."""
    host, port = address.rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), timeout=PATIENCE)
    try:
        plain.sendall(before)
        return context.wrap_socket(plain, server_hostname=name, session=session)
    except BaseException:
        plain.close()
        raise


def say(connection, data=b"hello"):
    connection.sendall(data)
    check_equal(receive(connection, len(data)), data, "the echo")


def say_much(connection, size):
    """Bytes that do not repeat, in parts: Python's TLS must not send and receive at once."""
    data = noise(size)
    for at in range(0, size, 1 << 18):
        part = data[at:at + (1 << 18)]
        connection.sendall(part)
        check(receive(connection, len(part)) == part, "other bytes came back")


def end(connection):
    """Ends TLS and TCP in order."""
    connection.unwrap().close()


def cut(connection):
    """Ends TCP without the end of TLS."""
    socket.socket.shutdown(connection, socket.SHUT_WR)


def serial(certificate):
    """The serial number in a file, as getpeercert tells it."""
    said = subprocess.run(["openssl", "x509", "-in", certificate[0], "-noout", "-serial"],
                          capture_output=True, text=True, check=True, timeout=PATIENCE)
    return re.sub(r"serial=", "", said.stdout).strip()


def check_shown(connection, certificate):
    found = connection.getpeercert()["serialNumber"]
    check(found == serial(certificate), f"another certificate was shown than {certificate[0]}")


def front(scene, *arguments):
    """An authority, and a proxy with TLS before an echo."""
    authority = Authority(scene)
    _, target = scene.echo()
    proxy, address = scene.proxy(target, *pair(authority.local()), *arguments)
    return authority, proxy, address


def serve_tls(scene, certificate, handler):
    """A server of TLS in Python: handler(connection) for each; returns its address."""
    context = server(certificate)

    def handle(connection):
        with contextlib.suppress(ssl.SSLError, OSError), \
                context.wrap_socket(connection, server_side=True) as secure:
            handler(secure)
    return scene.serve(handle)
