"""Transparency by difference under TLS: the scripts of difference_test.py through a sidecar that speaks TLS
with its clients and with its server, against a server that is met in plain text.
"""

import unittest

from certificates import Authority, TlsRedisServer
from difference import Target
from difference_test import SERVER_CONFIG, Mode, add_tests
from harness import Sidecar

TIME_LIMIT_S = 300


class PassThroughTls(Mode):
    """No migration, TLS on both hops."""

    @classmethod
    def set_up(cls):
        ca = Authority()
        cert, key = ca.issue("localhost", "127.0.0.1")
        old = cls.started(TlsRedisServer(ca, **SERVER_CONFIG))
        sidecar = cls.started(Sidecar())
        sidecar.add_endpoint("old", old.tls_port, tls={"ca_cert": ca.cert})
        port = sidecar.add_interlay("redis", "old", tls={"server_cert": cert, "server_key": key})
        return Target(cls.__name__, port, [old], tls=ca.context())


add_tests(PassThroughTls)


def load_tests(loader, _standard, _pattern):
    return loader.loadTestsFromTestCase(PassThroughTls)


if __name__ == "__main__":
    unittest.main()
