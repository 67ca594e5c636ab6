"""Certificate authorities of a test, made by the openssl command, and the contexts of its clients.

    ca = Authority("servers")
    cert, key = ca.issue("localhost", "127.0.0.1")
    with RawConn(port, tls=ca.context()) as client: ...
"""

import ipaddress
import os
import ssl
import subprocess

from harness import RedisServer, free_port, temp_folder

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Authority:
    """A CA in a folder of its own: `cert` is the path of its certificate."""

    def __init__(self, name="tests"):
        self.folder = temp_folder("ca")
        self.cert = os.path.join(self.folder, "ca.pem")
        self._key = os.path.join(self.folder, "ca.key")
        openssl("req", "-x509", *KEY, "-keyout", self._key, "-out", self.cert, "-days", "2",
                "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, *names, days=2, into=None):
        """Paths of a certificate for these names and addresses, and of its key. `into`: another path
        without its ending, for files that replace others at once."""
        base = os.path.join(self.folder, f"leaf-{len(os.listdir(self.folder))}")
        listed = ",".join(("IP:" if is_address(name) else "DNS:") + name for name in names)
        openssl("req", "-new", *KEY, "-keyout", base + ".key", "-out", base + ".csr",
                "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={listed}")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.cert, "-CAkey", self._key,
                "-days", str(days), "-copy_extensions", "copy", "-out", base + ".pem")
        if into:
            os.replace(base + ".key", into + ".key")
            os.replace(base + ".pem", into + ".pem")
        return (into or base) + ".pem", (into or base) + ".key"

    def context(self, own=None, version=None):
        """For a client that believes this authority; `own`: its certificate and key."""
        context = ssl.create_default_context(cafile=self.cert)
        if own:
            context.load_cert_chain(*own)
        if version:
            context.minimum_version = context.maximum_version = version
        return context


def is_address(name):
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        return False


class TlsRedisServer(RedisServer):
    """A redis-server with a TLS port beside its plain one, for `authority`'s clients."""

    def __init__(self, authority, names=("localhost", "127.0.0.1"), days=2, clients=None, **config):
        self.tls_port = free_port()
        cert, key = authority.issue(*names, days=days)
        super().__init__(tls_port=self.tls_port, tls_cert_file=cert, tls_key_file=key,
                         tls_ca_cert_file=(clients or authority).cert,
                         tls_auth_clients="yes" if clients else "no", **config)
