"""YAML through libyaml where it is there: a world writes hundreds of kubeconfigs, and Python's own emitter is slow."""

from typing import Any

import yaml

Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def dump(document: Any, *, sort_keys: bool = True) -> str:
    text: str = yaml.dump(document, Dumper=Dumper, sort_keys=sort_keys)
    return text


def load(text: str) -> Any:
    return yaml.load(text, Loader=Loader)
