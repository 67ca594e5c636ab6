"""A disk of a few megabytes, which others can fill."""

import os
import subprocess

from harness import temp_folder


class SmallDisk:
    """Mounted for as long as `test` runs; skips it where only root could do that."""

    def __init__(self, test):
        self.folder = temp_folder("disk")
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", self.folder],
                               capture_output=True, check=False)
        if mount.returncode != 0:
            test.skipTest("only root can mount a small disk")
        test.addCleanup(subprocess.run, ["umount", self.folder], check=True)
        self.state = os.path.join(self.folder, "crossfade.db")
        self._others = os.path.join(self.folder, "others")

    def fill(self):
        """Up to the last block."""
        with open(self._others, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def make_room(self):
        os.remove(self._others)
