"""A real SMTP server for tests: `smtp_server.py DIR`. It takes mail over TLS from who signs in, and writes each message as Python's library reads it."""

import email
import email.policy
import json
import socket
import ssl
import sys
import threading
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = b"tocsin", b"a secret: with + and %"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=good)


class Taking:
    def __init__(self, file: Path):
        self.file = file

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        told = {
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "subject": message["subject"],
            "id": message["message-id"],
            "body": message.get_content(),
            "defects": [str(defect) for defect in message.defects],
        }
        with self.file.open("a") as file:
            file.write(json.dumps(told) + "\n")
        return "250 taken"


class Implicit(Controller):
    """TLS from the first byte: the library asks for STARTTLS before who signs in, of which there is no need here."""

    def factory(self):
        return SMTP(self.handler, auth_require_tls=False, authenticator=authenticate, auth_required=True)


class Upgraded(Controller):
    """TLS by STARTTLS, before anything else."""

    def factory(self):
        return SMTP(
            self.handler,
            tls_context=CONTEXT,
            require_starttls=True,
            authenticator=authenticate,
            auth_required=True,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


DIRECTORY = Path(sys.argv[1])
CONTEXT = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
CONTEXT.load_cert_chain(DIRECTORY / "server.pem", DIRECTORY / "server.key")
TAKING = Taking(DIRECTORY / "mail")

for name, controller in (
    ("starttls-port", Upgraded(TAKING, hostname="127.0.0.1", port=free_port())),
    ("implicit-port", Implicit(TAKING, hostname="127.0.0.1", port=free_port(), ssl_context=CONTEXT)),
):
    controller.start()
    (DIRECTORY / name).write_text(f"{controller.port}\n")
# Until it is ended.
threading.Event().wait()
