"""Replays recorded exchanges (tests/contracts/kubernetes) against the simulated clusters and says how the answers
differ.

The comparison follows the README beside the recordings: status, named headers, `equal`, `absent`, `contains`, and
placeholders that stand for the same value within a file. Nothing here knows what a simulator does.
"""

import json
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from .comparison import MISSING, Comparison, present, read, restricted, tokens

CONTRACTS = Path(__file__).parent.parent / "contracts" / "kubernetes"
HASTE = 0.2
"""Watches are replayed faster than they were recorded: each lasts a second, those that wait for bookmarks two."""
USER_AGENT = "OpenAPI-Generator/37.0.2/python"


@dataclass
class Recorded:
    """An answer of the simulator."""

    status: int
    headers: Any
    text: str
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def body(self) -> Any:
        try:
            return without_managed_fields(json.loads(self.text))
        except ValueError:
            return self.text


def without_managed_fields(value: Any) -> Any:
    """The answer as the recordings keep it: they leave managedFields out, but where an exchange is about them."""
    if isinstance(value, dict):
        return {k: without_managed_fields(v) for k, v in value.items() if k != "managedFields"}
    return [without_managed_fields(v) for v in value] if isinstance(value, list) else value


class Client:
    """Raw HTTP with the recordings' credentials. `servers` maps names to (url, CA file), `admins` to certificate
    files."""

    def __init__(self, servers: dict[str, tuple[str, Path]], admins: dict[str, tuple[Path, Path]]) -> None:
        self._servers, self._admins = servers, admins
        self.tokens: dict[str, str] = {"invalid-token": "not-a-token", "bootstrap-token": "abcdef.0123456789abcdef"}
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    def _pool(self, server: str, credentials: str) -> urllib3.PoolManager:
        key = (server, "admin" if credentials == "admin" else credentials)
        if key not in self._pools:
            options: dict[str, Any] = {"ca_certs": str(self._servers[server][1]), "retries": False}
            if credentials in ("admin", "foreign-certificate"):
                owner = server if credentials == "admin" else next(s for s in self._admins if s != server)
                options |= {"cert_file": str(self._admins[owner][0]), "key_file": str(self._admins[owner][1])}
            self._pools[key] = urllib3.PoolManager(**options)
        return self._pools[key]

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    def send(self, server: str, request: dict[str, Any], body: str | None = None) -> Recorded:
        credentials = request.get("credentials", "admin")
        headers = {"User-Agent": USER_AGENT, **request.get("headers", {})}
        if credentials in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[credentials]}"
        pool = self._pool(server, credentials)
        url = self._servers[server][0] + request["path"]
        timeout = urllib3.Timeout(connect=5, read=30)
        response = pool.request(
            request["method"], url, body=body, headers=headers, timeout=timeout, preload_content=True
        )
        return Recorded(response.status, response.headers, response.data.decode())


class Replay:
    """One file, from the top. `steps` maps the beginning of a step's text to what has to be done."""

    def __init__(self, file: str, client: Client, steps: dict[str, Any], aliases: dict[str, str]) -> None:
        self.document = json.loads((CONTRACTS / file).read_text())
        self._client, self._steps, self._aliases = client, steps, aliases
        self.comparison = Comparison()
        self.failures: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Every exchange that was not honoured, with what differed."""
        for request in self.document.get("setup", ()):
            self._step(request)
        for entry in self.document["exchanges"]:
            if "step" in entry:
                self._step(entry)
            else:
                self._exchange(entry)
        return self.failures

    def _step(self, entry: dict[str, Any]) -> None:
        if "request" in entry:
            answer = self.send(entry["server"], entry["request"])
            if answer.status != entry["status"]:
                self.failures[f"step: {entry.get('step', entry['request']['path'])}"] = (
                    f"{answer.status} {answer.text[:300]}"
                )
            if "response" in entry:
                self.comparison.bind(entry["response"].get("body"), answer.body)
            return
        action = next((a for text, a in self._steps.items() if entry["step"].startswith(text)), None)
        if action is None:
            self.failures[f"step: {entry['step']}"] = "nobody knows how to do this"
        else:
            action()

    def _exchange(self, entry: dict[str, Any]) -> None:
        name = entry["name"]
        server = self._aliases.get(entry["server"], entry["server"])
        if server == "":
            self.failures[name] = f"no server {entry['server']}"
            return
        limit = re.search(r"at most (\d+) s", entry.get("poll", ""))
        deadline = time.monotonic() + (min(float(limit[1]), 8.0) if limit else 0)
        while True:
            known = dict(self.comparison.known)
            differences = self._compare_once(entry, server)
            if not differences or time.monotonic() >= deadline:
                break
            self.comparison.known = known
            time.sleep(0.03)
        if differences:
            self.failures[name] = "; ".join(differences)[:1500]

    def _compare_once(self, entry: dict[str, Any], server: str) -> list[str]:
        try:
            answer, streamed = self._ask(entry, server)
        except urllib3.exceptions.HTTPError as error:
            return [f"no answer: {error}"]
        expected, match = entry["response"], entry["match"]
        if answer.status != expected["status"]:
            return [f"status {answer.status} instead of {expected['status']}: {answer.text[:400]}"]
        differences = self._headers(expected.get("headers", {}), answer.headers)
        wanted = expected.get("body", expected.get("text", expected.get("stream", MISSING)))
        got = streamed if "stream" in expected else answer.text if "text" in expected else answer.body
        if isinstance(wanted, str) and "/metrics" in entry["request"]["path"]:
            got = deprecated_lines(got) if answer.status == 200 else got
        if "managedFields" in json.dumps(wanted if wanted is not MISSING else None):
            got = json.loads(answer.text)
        skipped = [tokens(path) for path in match.get("volatile", ())]
        for path in match.get("equal", ()):
            at = tokens(path)
            differences += self._equal(read(wanted, at), read(got, at), at, skipped)
        differences += [
            f"{path}: should be absent" for path in match.get("absent", ()) if present(read(got, tokens(path)))
        ]
        for text in match.get("contains", ()):
            differences += self._contains(text, wanted, got)
        return differences + self.comparison.bind(wanted, got)

    def _equal(self, wanted: Any, got: Any, at: list[Any], skipped: list[list[Any]]) -> list[str]:
        return self.comparison.value(wanted, got, tuple(at), [s for s in skipped if s != at])

    def _contains(self, text: str, wanted: Any, got: Any) -> list[str]:
        path, _, key = text.partition(" by ")
        at, name = tokens(path), tokens("." + key)
        elements = read(got, at)
        held = {json.dumps(read(e, name)): e for e in elements} if isinstance(elements, list) else {}
        found = []
        for element in read(wanted, at):
            label = json.dumps(read(element, name))
            if label not in held:
                found.append(f"{path}: {label} is missing")
            else:
                subset = restricted(held[label], element)
                found += self.comparison.value(element, subset, (*at, label), [])
        return found

    def _headers(self, expected: dict[str, Any], actual: Any) -> list[str]:
        found = []
        wanted_type = expected.get("Content-Type", "").partition(";")[0]
        if wanted_type and actual.get("Content-Type", "").partition(";")[0] != wanted_type:
            found.append(f"Content-Type {actual.get('Content-Type')}")
        warnings = expected.get("Warning", [])
        warnings = [warnings] if isinstance(warnings, str) else warnings
        if list(actual.getlist("Warning")) != warnings:
            found.append(f"Warning {actual.getlist('Warning')} instead of {warnings}")
        if actual.get("Retry-After") != expected.get("Retry-After"):
            found.append(f"Retry-After {actual.get('Retry-After')}")
        return found

    def send(self, server: str, request: dict[str, Any]) -> Recorded:
        """Sends a recorded request with its placeholders filled in."""
        server = self._aliases.get(server, server)
        body = request.get("body_text")
        if body is None and "body" in request:
            body = json.dumps(request["body"])
        path = self.comparison.fill(request["path"])
        path = re.sub(
            r"timeoutSeconds=\d\d", "timeoutSeconds=2", re.sub(r"timeoutSeconds=\d\b", "timeoutSeconds=1", path)
        )
        filled = {**request, "path": path}
        answer = self._client.send(server, filled, self.comparison.fill(body) if body is not None else None)
        if request["path"].endswith("/token") and answer.status == 201:
            parts = request["path"].split("/")
            self._client.tokens[f"service-account {parts[4]}/{parts[6]}"] = answer.body["status"]["token"]
        return answer

    def _ask(self, entry: dict[str, Any], server: str) -> tuple[Recorded, list[dict[str, Any]]]:
        threads = [
            threading.Timer(action["at_s"] * HASTE, self.send, (server, action["request"]))
            for action in entry.get("while_open", ())
        ]
        for thread in threads:
            thread.start()
        answer = self.send(entry["server"], entry["request"])
        for thread in threads:
            thread.join()
        if "stream" in entry["response"] and answer.status == 200:
            return answer, [without_managed_fields(json.loads(line)) for line in answer.text.splitlines()]
        return answer, []


def deprecated_lines(text: str) -> str:
    """The lines the recordings keep of /metrics."""
    kept = [line for line in text.splitlines() if "apiserver_requested_deprecated_apis" in line]
    return "".join(f"{line}\n" for line in [*kept[:2], *sorted(kept[2:])])
