# SPDX-License-Identifier: GPL-2.0-or-later
"""A bus with a systemd that does as a test wants: it answers, or dies, or never does what it was asked for; and
one that stands between davit and the real bus."""
import contextlib
import os
import socket
import struct
import threading

from host import Skip

DRIVER, SYSTEMD = "org.freedesktop.DBus", "org.freedesktop.systemd1"
JOB = "/org/freedesktop/systemd1/job/7"
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = range(1, 9)
TYPES = {PATH: "o", REPLY_SERIAL: "u", SIGNATURE: "g"}


def align(data, to):
    return data + b"\0" * (-len(data) % to)


def text(data, value, short=False):
    """A string at the end of what there is; a signature has a short length."""
    raw = value.encode()
    if short:
        return data + bytes([len(raw)]) + raw + b"\0"
    return align(data, 4) + struct.pack("<I", len(raw)) + raw + b"\0"


def message(kind, serial, fields, body=b""):
    inner = b""
    for code, value in fields.items():
        sign = TYPES.get(code, "s")
        inner = align(inner, 8) + bytes([code]) + text(b"", sign, short=True)
        if sign == "u":
            inner = align(inner, 4) + struct.pack("<I", value)
        else:
            inner = text(inner, value, short=sign == "g")
    head = struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), serial, len(inner))
    return align(head + inner, 8) + body


def fields_of(data):
    """The header fields of a message that are strings; data begins after the array's length."""
    found, at = {}, 0
    while at < len(data):
        at += -at % 8
        code, sign, at = data[at], chr(data[at + 2]), at + 4
        if sign == "g":
            size, at = data[at], at + 1
        else:
            at += -at % 4
            size, at = struct.unpack_from("<I", data, at)[0], at + 4
            if sign == "u":
                continue
        found[code] = data[at:at + size].decode()
        at += size + 1
    return found


def read_message(stream):
    """The next one: its kind, serial number, fields and bytes; None at the end."""
    head = stream.read(16)
    if len(head) < 16:
        return None
    _, kind, _, _, length, serial, size = struct.unpack("<cBBBIII", head)
    fields = stream.read(size)
    return kind, serial, fields_of(fields), head + fields + stream.read(-size % 8 + length)


def first_string(data):
    """What the body of a message begins with."""
    length, _, size = struct.unpack_from("<III", data, 4)
    at = 16 + size + -size % 8
    found, = struct.unpack_from("<I", data, at)
    return data[at + 4:at + 4 + found].decode() if length else ""


class Bus:
    """Where davit finds a bus; a thread serves each connection."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(8)
        self.thread = None
        self.env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=" + path,
                        DBUS_SESSION_BUS_ADDRESS="unix:path=" + path)

    def __enter__(self):
        try:
            self.thread = threading.Thread(target=self.accept, daemon=True)
            self.thread.start()
        except RuntimeError as e:  # where clone3 is forbidden, with EPERM
            self.thread = None  # it has not started
            self.__exit__()
            raise Skip(f"the stub cannot run here: {e}") from None
        return self

    def __exit__(self, *exc):
        # Who accepts must have ended: the descriptor's number will be that of the next bus.
        self.socket.shutdown(socket.SHUT_RDWR)
        if self.thread:
            self.thread.join()
        self.socket.close()
        os.unlink(self.path)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self.connection, args=(client,), daemon=True).start()

    def connection(self, client):
        with contextlib.suppress(OSError, struct.error), client, client.makefile("rb") as stream:
            self.serve(client, stream)


class RelayBus(Bus):
    """Stands between davit and the bus at `real`; calls: the names of the methods that davit called. From the
    call of `deaf` on nothing is passed on: neither the call, nor (late) any answer to it."""

    def __init__(self, path, real, deaf=None, late=False):
        super().__init__(path)
        self.real, self.deaf, self.late, self.calls, self.silent = real, deaf, late, [], False

    def answers(self, bus, client):
        with contextlib.suppress(OSError):
            while data := bus.recv(65536):
                if not self.silent:
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def serve(self, client, stream):
        with socket.socket(socket.AF_UNIX) as bus:
            bus.connect(self.real)
            threading.Thread(target=self.answers, args=(bus, client), daemon=True).start()
            line = None
            while line != b"BEGIN\r\n":
                line = stream.readline()
                if not line:
                    return
                bus.sendall(line)
            while found := read_message(stream):
                self.message(bus, *found)

    def message(self, bus, kind, _, fields, data):
        if kind == CALL:
            self.calls.append(fields.get(MEMBER))
        if fields.get(MEMBER) == self.deaf:
            self.silent = True
        if not self.silent or self.late:
            bus.sendall(data)


class StubBus(Bus):
    """How: "answers" each job is done at once; "early" it is done before the answer; "forged" others on the bus say
    that it failed; "old" knows the unit already, as failed, and not all properties; "exists" has the unit, and calls
    `then` first; "refuses" with an error; "dies" when it is asked for a unit; "forgets" the job; "silent" does not
    even let anybody in. calls lists what was asked: (of whom, method); rules what davit wants to hear."""

    def __init__(self, path, how, then=None):
        super().__init__(path)
        self.how, self.then, self.calls, self.rules, self.serial = how, then, [], [], 0

    def accept(self):
        if self.how != "silent":
            super().accept()

    def serve(self, client, stream):
        self.welcome(client, stream)
        while self.one(client, stream):
            pass

    @staticmethod
    def welcome(client, stream):
        ok = b"OK " + b"0123456789abcdef" * 2 + b"\r\n"
        while True:
            line = stream.readline().lstrip(b"\0").split()
            if not line or line[0] == b"BEGIN":
                return
            if line[0] == b"NEGOTIATE_UNIX_FD":
                client.sendall(b"AGREE_UNIX_FD\r\n")
            else:  # without its argument, AUTH is to be asked for it
                client.sendall(b"DATA\r\n" if line == [b"AUTH", b"EXTERNAL"] else ok)

    def one(self, client, stream):
        """Takes and answers one message; False at the end."""
        found = read_message(stream)
        if not found or found[0] != CALL:
            return bool(found)
        _, serial, fields, data = found
        self.calls.append((fields[DESTINATION], fields[MEMBER]))
        if fields[DESTINATION] == DRIVER:
            if fields[MEMBER] == "AddMatch":
                self.rules.append(first_string(data))
            self.answer(client, serial, DRIVER, "s", text(b"", ":1.5") if fields[MEMBER] == "Hello" else None)
            return True
        unit = first_string(data)
        if self.how == "refuses":
            self.answer(client, serial, ":1.1", "s", text(b"", "not today"), "org.davit.Refused")
        if self.how == "early":
            self.removed(client, JOB + "1", unit)  # what another has asked for
            self.removed(client, JOB, unit)
            self.removed(client, JOB + "2", "other.scope")
        if self.how == "forged":
            self.removed(client, JOB, unit, "failed", {SENDER: ":1.66", DESTINATION: ":1.5"})
        refusal = self.refusal(fields[MEMBER], data)
        if refusal:
            self.answer(client, serial, ":1.1", "s", text(b"", "no"), refusal)
        elif self.how in ("answers", "early", "forgets", "forged", "old"):
            self.answer(client, serial, ":1.1", "o", text(b"", JOB))
        if self.how == "forged":
            self.removed(client, JOB, unit, "failed", {SENDER: ":1.66", DESTINATION: ":1.5"})
        if self.how in ("answers", "forged", "old") and not refusal:
            self.removed(client, JOB, unit)
        return self.how != "dies"

    def refusal(self, method, data):
        """The error that "old" and "exists" answer."""
        exists = SYSTEMD + ".UnitExists"
        if method != "StartTransientUnit":
            return None
        if self.how == "exists":
            if self.then:
                self.then()
            self.then = None
            return exists
        if self.how == "old":
            if (SYSTEMD, "ResetFailedUnit") not in self.calls:
                return exists
            if b"CPUQuotaPeriodUSec" in data:
                return "org.freedesktop.DBus.Error.PropertyReadOnly"
        return None

    def removed(self, client, job, unit, result="done", more=None):
        body = text(text(text(struct.pack("<I", 7), job), unit), result)
        self.send(client, SIGNAL, {PATH: "/org/freedesktop/systemd1", INTERFACE: SYSTEMD + ".Manager",
                                   MEMBER: "JobRemoved", SENDER: ":1.1", SIGNATURE: "uoss", **(more or {})}, body)

    def answer(self, client, serial, sender, sign, body, error=None):
        fields = {REPLY_SERIAL: serial, SENDER: sender, DESTINATION: ":1.5"}
        if error:
            fields[ERROR_NAME] = error
        if body is not None:
            fields[SIGNATURE] = sign
        self.send(client, ERROR if error else RETURN, fields, body or b"")

    def send(self, client, kind, fields, body):
        self.serial += 1
        client.sendall(message(kind, self.serial, fields, body))
