"""A server's messages for people: one line for each, that tells all of its content.

    >>> line_of(b"Z\\0\\0\\0\\5I")
    'Z ReadyForQuery idle'
"""

import struct

from pg_messages import body_of, columns_of, fields_of, kind_of, row_of, strings_of

NAMES = {
    "R": "Authentication", "K": "BackendKeyData", "2": "BindComplete", "3": "CloseComplete",
    "C": "CommandComplete", "d": "CopyData", "c": "CopyDone", "G": "CopyInResponse",
    "H": "CopyOutResponse", "W": "CopyBothResponse", "D": "DataRow", "I": "EmptyQueryResponse",
    "E": "ErrorResponse", "V": "FunctionCallResponse", "v": "NegotiateProtocolVersion",
    "n": "NoData", "N": "NoticeResponse", "A": "NotificationResponse", "t": "ParameterDescription",
    "S": "ParameterStatus", "1": "ParseComplete", "s": "PortalSuspended", "Z": "ReadyForQuery",
    "T": "RowDescription",
}
STATES = {"I": "idle", "T": "in a transaction", "E": "in a failed transaction"}
LOGINS = {0: "Ok", 3: "CleartextPassword", 5: "MD5Password", 10: "SASL", 11: "SASLContinue",
          12: "SASLFinal"}
SHOWN_MAX = 120  # bytes of a value


def value_text(data):
    """Bytes as text where they are text, shortened."""
    if data is None:
        return "NULL"
    if len(data) > SHOWN_MAX:
        return f"{data[:SHOWN_MAX]!r}… ({len(data)} bytes)"
    return repr(data)[1:]


def error_text(raw):
    fields = fields_of(raw)
    rest = " ".join(f"{letter}={value!r}" for letter, value in fields.items() if letter not in "SVCM")
    return f"{fields.get('V') or fields.get('S')} {fields.get('C')} {fields.get('M')!r} {rest}"


def column_text(column):
    name, table, number, kind, size, modifier, form = column
    return f"{name}({table}.{number} type {kind} size {size} modifier {modifier} format {form})"


def login_text(body):
    method = struct.unpack_from("!I", body)[0]
    return f"{LOGINS.get(method, method)} {value_text(body[4:])}"


def copy_text(body):
    overall, count = struct.unpack_from("!bH", body)
    return f"format {overall}, columns {list(struct.unpack_from(f'!{count}H', body, 3))}"


def negotiate_text(body):
    minor, count = struct.unpack_from("!II", body)
    return f"minor {minor & 0xffff}, {count} unknown: {strings_of(body[8:])}"


def function_text(body):
    size = struct.unpack_from("!i", body)[0]
    return value_text(None if size < 0 else body[4:])


def types_text(body):
    count = struct.unpack_from("!H", body)[0]
    return str(list(struct.unpack_from(f"!{count}I", body, 2)))


def notification_text(body):
    return f"from {struct.unpack_from('!I', body)[0]}: {strings_of(body[4:])}"


READERS = {
    "Z": lambda body: STATES.get(body.decode("latin-1"), repr(body)),
    "R": login_text, "G": copy_text, "H": copy_text, "W": copy_text, "v": negotiate_text,
    "V": function_text, "t": types_text, "A": notification_text,
    "K": lambda body: f"pid {struct.unpack_from('!I', body)[0]}, key of {len(body) - 4} bytes",
    "S": lambda body: " = ".join(strings_of(body)),
}


def line_of(raw):
    """One line; bytes that are no message are shown as they are."""
    if len(raw) < 5 or kind_of(raw) not in NAMES:
        return f"bytes {raw[:200]!r}"
    kind, body = kind_of(raw), body_of(raw)
    try:
        if kind in "EN":
            detail = error_text(raw)
        elif kind == "D":
            detail = f"[{', '.join(value_text(one) for one in row_of(raw))}]"
        elif body[:1] == b"<":  # made normal by pg_normal.py
            detail = value_text(body)
        elif kind == "T":
            detail = ", ".join(column_text(one) for one in columns_of(raw))
        else:
            detail = READERS.get(kind, value_text)(body) if body else ""
    except (struct.error, ValueError, IndexError):
        detail = f"not well-formed: {value_text(body)}"
    return f"{kind} {NAMES[kind]} {detail}".rstrip()


def lines_of(messages):
    return "\n".join(line_of(raw) for raw in messages)
