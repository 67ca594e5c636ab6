"""The requests that the mission's documents print, and what they print as the answer to each.

    tests/integration/mission_requests.py FOLDER    takes them from the documents in FOLDER, and writes
                                                    mission_requests.json, which mission_test.py sends

A request is a curl command; its answer is the JSON that follows it under "Response" before the next request.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
KEPT = HERE / "mission_requests.json"
DOCUMENTS = ("migrations-api-reference.txt", "migrations-guide.txt")


def commands(text):
    """(where it begins, where it ends, command) of each curl command: it goes on while a line ends with a
    backslash or its quotes are open."""
    for match in re.finditer(r"^curl ", text, re.M):
        end = match.start()
        while True:
            end = text.index("\n", end) + 1
            command = text[match.start():end].rstrip("\n")
            if not command.endswith("\\") and command.count("'") % 2 == 0:
                break
        yield match.start(), end, command


def answer_in(text):
    """The first JSON object under a line that says "Response"; None where there is none."""
    found = re.search(r"^Response:?$.*?^(\{$.*?^\})$", text, re.M | re.S)
    if found is None:
        return None
    whole = re.sub(r"\{\.\.\.\}", "{}", re.sub(r"\[\.\.\.\]", "[]", found[1]))
    return json.loads(whole)


def requests_of(text):
    found = list(commands(text))
    following = [start for start, _, _ in found[1:]] + [len(text)]
    return [{"request": command, "answer": answer_in(text[end:until])}
            for (_, end, command), until in zip(found, following)]


def taken_from(folder):
    return {name: requests_of((pathlib.Path(folder) / name).read_text(encoding="utf-8"))
            for name in DOCUMENTS}


def kept():
    return json.loads(KEPT.read_text(encoding="utf-8"))


def printed(document):
    """The commands of that document, in its order."""
    return [one["request"] for one in kept()[document]]


def main():
    KEPT.write_text(json.dumps(taken_from(sys.argv[1]), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
