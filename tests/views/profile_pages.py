"""Reading the page of compute profiles in tests: its rows, its save bar, and what is hidden in it."""

import re

HTMX = {"HX-Request": "true"}
# How a mark says that a profile can be had.
CHECK = 'data-tone="ok"><svg class="icon" aria-hidden="true"><use href="#i-check"/>'


def url(workspace) -> str:
    return f"/workspaces/{workspace.pk}/profiles"


def row(answer, name: str) -> str:
    """The markup of one profile's row."""
    rows = re.findall(r"<tr[^>]*>(?:(?!</tr>).)*?</tr>", answer.content.decode(), re.DOTALL)
    (found,) = [one for one in rows if f'<span class="name mono">{name}</span>' in one]
    return found


def words(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup)).strip()


def names(answer) -> list[str]:
    return re.findall(r'<span class="name mono">([a-z0-9]+)</span>', answer.content.decode())


def bar(answer) -> str:
    return answer.content.decode().partition('id="order"')[2].partition("</form>")[0]


def hidden(answer, name: str) -> str:
    return re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', bar(answer))[1]


def compare(client, workspace, *profiles, **more):
    return client.get(f"{url(workspace)}/compare", {"profile": [one.pk for one in profiles]} | more)
