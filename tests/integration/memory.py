"""What a process keeps in memory and how many descriptors a test may use.

Limits on memory mean nothing in a sanitizer's build, which keeps what was freed: there `grew_less`
checks nothing.
"""

import re
import resource

from harness import binary

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def sanitized():
    with open(binary(), "rb") as program:
        content = program.read()
    return b"__asan_init" in content or b"__tsan_init" in content


def peak_rss(process):
    """The most resident memory it ever had, in bytes, since reset_peak()."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * KIB


def reset_peak(process):
    """Forgets the peak; returns what is resident now."""
    with open(f"/proc/{process.pid}/clear_refs", "w", encoding="ascii") as refs:
        refs.write("5")
    return process.rss()


def grew_less(test, process, before, limit):
    """Fails `test` when the peak is `limit` bytes or more above `before`; returns the growth."""
    grown = peak_rss(process) - before
    if not sanitized():
        test.assertLess(grown, limit, f"grew by {grown / MIB:.1f} MiB")
    return grown


def raise_descriptor_limit():
    """As many descriptors as the system lets this process and its children have; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
