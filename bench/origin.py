"""Where a bench's figures come from: commit, command, machine, versions, date."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

from targets import ROOT


def first_line(*command):
    """What a program says first, as of its version."""
    return output(*command).partition("\n")[0]


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def origin(options, page, versions):
    """Lines of a list in Markdown.

    options    command, rounds, seconds; load: the load average as the bench began
    page       the page that is written: its own changes do not count
    versions   of the programs that were measured
    """
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    changed = output("git", "status", "--porcelain", "-uno", "--", ".", f":!{page.relative_to(ROOT)}")
    changed = " with uncommitted changes" if changed else ""
    return [
        f"- commit `{output('git', 'rev-parse', '--short=12', 'HEAD')}`{changed}",
        f"- command `{options.command}`, {options.rounds} rounds of about {options.seconds:g} s",
        f"- machine: {len(os.sched_getaffinity(0))} cores, "
        f"{model.group(1) if model else platform.machine()}, "
        f"Linux {platform.release()}; load client, proxy and servers share them; "
        f"other work on the machine as it began: load average {options.load:.1f}",
        f"- {'; '.join(versions)}",
        f"- date {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}",
    ]
