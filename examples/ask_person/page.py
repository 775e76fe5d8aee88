"""The page on which a person decides."""

import contextlib
import hmac
import html
import json
import secrets
import threading
from asyncio import get_running_loop, run_coroutine_threadsafe
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from waiting import Decision, Waiting

# What a container wrote stands on the page: it may be no script, and no frame around it may hide the buttons.
SAFE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer", "cache-control": "no-store", "x-content-type-options": "nosniff"}


class Page:
    """GET /KEY/           the page; GET /KEY/questions   the same as JSON
    POST /KEY/NUMBER/allow, /remember, /deny

    Served on threads; what is shared is touched on the event loop alone.
    """

    def __init__(self, waiting: Waiting, listen: str, remember: float) -> None:
        self._waiting = waiting
        self._listen = listen
        self._remember = remember
        # In the path, so that no other page can send a form here.
        self._key = secrets.token_urlsafe(24)

    async def start(self, closers: contextlib.AsyncExitStack) -> str:
        """Its address."""
        host, _, port = self._listen.rpartition(":")
        page, loop = self, get_running_loop()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(*run_coroutine_threadsafe(page.show(self.path), loop).result())

            def do_POST(self) -> None:
                self.reply(*run_coroutine_threadsafe(page.decide(self.path), loop).result())

            def reply(self, status: int, kind: str, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                for name, value in {**SAFE, "content-type": kind, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                if status == 303:
                    self.send_header("location", "../")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass  # The path has the key.

        server = ThreadingHTTPServer((host, int(port)), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        closers.callback(server.server_close)
        closers.callback(server.shutdown)
        return f"http://{host}:{server.server_port}/{self._key}/"

    def _below_key(self, path: str) -> list[str]:
        """What follows the key; empty: it is not there."""
        _, key, *rest = path.split("/") if path.startswith("/") else ("", "")
        return rest if hmac.compare_digest(key.encode(), self._key.encode()) else []

    async def show(self, path: str) -> tuple[int, str, str]:
        texts = {number: question.text for number, question in self._waiting.questions.items()}
        match self._below_key(path):
            case ["questions"]:
                return 200, "application/json", json.dumps(texts)
            case [""]:
                return 200, "text/html; charset=utf-8", self._html(texts)
        return 404, "text/plain", "not found\n"

    async def decide(self, path: str) -> tuple[int, str, str]:
        match self._below_key(path):
            case [number, "allow" | "remember" | "deny" as word]:
                there = self._waiting.decide(number, Decision(word))
                return (303, "text/plain", "decided\n") if there else (410, "text/plain", "nobody waits for that any more\n")
        return 404, "text/plain", "not found\n"

    def _html(self, texts: dict[str, str]) -> str:
        rows = "".join(
            f'<li><code>{html.escape(text)}</code><form method="post">'
            f'<button formaction="{number}/allow">Allow once</button> '
            f'<button formaction="{number}/remember">Allow for {self._remember / 60:g} minutes</button> '
            f'<button formaction="{number}/deny">Refuse</button></form></li>' for number, text in texts.items())
        return ('<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Sallyport asks</title>'
                "<style>body{font:1rem sans-serif;margin:2rem}code{overflow-wrap:anywhere}li{margin:1rem 0}</style>"
                f"<h1>May it?</h1><ul>{rows or '<li>Nothing waits.</li>'}</ul>")
