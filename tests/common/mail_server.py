"""A mail server for tests: real sockets, scripted answers, and a record of what it took."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

Answers = Mapping[str, bytes]


@dataclass
class MailServer:
    """What a test asks of the server and what came in."""

    answers: Answers = field(default_factory=dict)
    """Verb (`RCPT`, `DATA`, `.`, `QUIT`, …) → the reply instead of the usual one; b"" hangs up."""
    extensions: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """Every command, with `TLS ` before those that came encrypted."""
    logins: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serving(server: MailServer) -> Iterator[MailServer]:
    """The server, listening on a free port of this machine while the block runs."""

    class Handler(_Dialogue):
        record = server

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


class _Dialogue(socketserver.StreamRequestHandler):
    record: MailServer
    secure = False

    def handle(self) -> None:
        try:
            if self.record.implicit_tls:
                self._secure()
            self._answer("CONNECT", b"220 ready")
            while line := self.rfile.readline():
                self._command(line.decode().rstrip("\r\n"))
        except (_HangUp, OSError, ValueError):
            pass  # the client went away, or was meant to see the connection break
        finally:
            self.rfile.close()
            self.wfile.close()
            self.connection.close()

    def _command(self, line: str) -> None:
        self.record.lines.append(f"TLS {line}" if self.secure else line)
        verb = line.split(" ")[0].upper()
        getattr(self, f"_{verb.lower()}", self._ok)(verb, line)

    def _ok(self, verb: str, line: str) -> None:
        self._answer(verb, b"250 fine")

    def _ehlo(self, verb: str, line: str) -> None:
        names = ("test", *self.record.extensions)
        last = len(names) - 1
        reply = [f"250{' ' if at == last else '-'}{name}" for at, name in enumerate(names)]
        self._answer(verb, "\r\n".join(reply).encode())

    def _starttls(self, verb: str, line: str) -> None:
        self._answer(verb, b"220 go ahead")
        self._secure()

    def _auth(self, verb: str, line: str) -> None:
        _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        self.record.logins.append((user, password))
        self._answer(verb, b"235 welcome")

    def _rcpt(self, verb: str, line: str) -> None:
        self._answer(verb, b"250 fine")
        self.record.recipients.append(line.partition("<")[2].partition(">")[0])

    def _data(self, verb: str, line: str) -> None:
        self._answer(verb, b"354 go on")
        body = b""
        while (part := self.rfile.readline()) != b".\r\n":
            body += part.removeprefix(b".")
        mail: Any = message_from_bytes(body, policy=default)
        self.record.mails.append(mail)
        self._answer(".", b"250 accepted")

    def _quit(self, verb: str, line: str) -> None:
        self._answer(verb, b"221 bye")
        raise _HangUp

    def _answer(self, verb: str, usual: bytes) -> None:
        reply = self.record.answers.get(verb, usual)
        if not reply:
            raise _HangUp
        self.wfile.write(reply + b"\r\n")
        if reply != usual and reply[:1] in b"45" and verb == "DATA":
            raise _HangUp

    def _secure(self) -> None:
        assert self.record.tls is not None
        self.connection = self.record.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.secure = True


class _HangUp(Exception):
    """End the connection here."""
