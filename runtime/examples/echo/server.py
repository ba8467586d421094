"""A small model: answers each POST with the body, its BLAKE3 digest and the Torch that it runs on."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import blake3
import msgspec
import torch


class Answer(msgspec.Struct):
    """The answer to a POST."""

    text: str
    digest: str
    torch: str


class Echo(BaseHTTPRequestHandler):
    """Answers requests."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name is that of http.server
        """Answer a probe."""
        self._answer(b"ok\n", "text/plain")

    def do_POST(self) -> None:
        """Answer with what was sent."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        digest = blake3.blake3(body).hexdigest()
        answer = Answer(body.decode(errors="replace"), digest, torch.__version__)
        self._answer(msgspec.json.encode(answer), "application/json")

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve until the process is ended."""
    with ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Echo) as server:
        print(f"serving at port {server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
