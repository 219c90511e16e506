"""Host keys and the public half of ours, held to what ssh-keygen says of the same keys."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.simulators.running import RunningWorld
from workspaces.providers import host_keys
from workspaces.providers.errors import Permanent, Temporary


def keygen(file: Path, *options: str) -> str:
    """A new private key."""
    subprocess.run(["ssh-keygen", "-q", "-f", str(file), *options], check=True, capture_output=True)
    return file.read_text()


@pytest.mark.parametrize(
    "options",
    [
        ("-t", "ed25519", "-N", ""),
        ("-t", "rsa", "-b", "2048", "-N", ""),
        ("-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"),
        ("-t", "ecdsa", "-N", ""),
    ],
)
def test_the_public_half_and_its_fingerprint_are_those_of_ssh_keygen(tmp_path: Path, options: tuple[str, ...]) -> None:
    private = keygen(tmp_path / "key", *options)
    public = host_keys.public_half(private)
    assert public.split() == (tmp_path / "key.pub").read_text().split()[:2]
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")], capture_output=True, text=True)
    assert host_keys.fingerprint(public) == told.stdout.split()[1]


def test_the_ends_of_lines_and_files_do_not_matter(tmp_path: Path) -> None:
    private = keygen(tmp_path / "key", "-t", "ed25519", "-N", "")
    assert host_keys.public_half(f"\n{private.strip()}") == host_keys.public_half(private)


def test_a_key_with_a_passphrase_or_none_at_all_is_refused_without_a_quote_of_it(tmp_path: Path) -> None:
    private = keygen(tmp_path / "key", "-t", "ed25519", "-N", "secret")
    for text in (private, private[:200], "", "hunter2"):
        with pytest.raises(Permanent) as caught:
            host_keys.public_half(text)
        assert caught.value.code == "credential"
        assert str(caught.value) == "The stored SSH key cannot be read, or it has a passphrase."
        assert caught.value.__cause__ is None


def test_the_key_that_a_machine_shows_is_scanned(world: RunningWorld) -> None:
    ready = world.add({"hosts": [{"name": "shows-its-key"}]})
    host = next(one for one in ready["hosts"] if one["name"] == "shows-its-key")
    assert host_keys.scan(host["address"], host["port"]).split() == host["host_key"].split()[:2]


def test_a_machine_that_shows_none_is_unreachable_for_now() -> None:
    started = time.monotonic()
    with pytest.raises(Temporary) as caught:
        host_keys.scan("127.0.0.1", 9, timeout=1)
    assert caught.value.code == "unreachable"
    assert caught.value.message == "The machine at 127.0.0.1, port 9, has not shown its host key yet."
    assert time.monotonic() - started < 5


def test_an_address_is_never_taken_for_an_option(tmp_path: Path) -> None:
    with pytest.raises(Temporary):
        host_keys.scan(f"-f{tmp_path}/other", 22, timeout=1)


def test_without_ssh_keyscan_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Permanent, match="openssh-client") as caught:
        host_keys.scan("127.0.0.1", 22)
    assert caught.value.code == "configuration"
