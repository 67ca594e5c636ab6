"""Certificates for tests, made by openssl when a test needs them: one authority, and what it signs.

    authority = Authority()
    authority.certificate                      # its file, for verify-ca and verify-full
    certificate, key = authority.sign("localhost", names=["DNS:localhost", "IP:127.0.0.1"])
"""

import os
import subprocess

from children import temp_folder

DAYS = "2"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
HERE = ("DNS:localhost", "IP:127.0.0.1")  # what every server of a test is called


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Authority:
    def __init__(self, name="crossfade-test-authority"):
        self.folder = temp_folder("certificates")
        self.certificate, self._key = self._files("authority")
        openssl("req", "-x509", *KEY, "-days", DAYS, "-subj", f"/CN={name}", "-keyout", self._key,
                "-out", self.certificate)

    def sign(self, common_name, names=HERE, stem=None):
        """(certificate file, key file), made anew at each call; `names` as subjectAltName has them."""
        certificate, key = self._files(stem or common_name)
        request, extensions = certificate + ".request", certificate + ".extensions"
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={','.join(names)}\n" if names else "")
        openssl("req", *KEY, "-subj", f"/CN={common_name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
                "-CAcreateserial", "-days", DAYS, "-extfile", extensions, "-out", certificate)
        return certificate, key

    def _files(self, stem):
        return (os.path.join(self.folder, f"{stem}.crt"), os.path.join(self.folder, f"{stem}.key"))
