"""What `kubectl kustomize` makes of a directory, for the few things that deploy/kubernetes uses of it.

CI has no kustomize: no wheel carries one. Anything else in a kustomization is refused here, so that the files stay
within what this understands; where a real one is installed a test compares the two.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
KNOWN = {"apiVersion", "kind", "resources", "components", "patches", "namespace", "images"}
OF_THE_CLUSTER = {"Namespace"}
"""Kinds that lie in no namespace."""


class NotUnderstood(ValueError):
    """A kustomization uses what this does not know, or names what is not there."""


def build(directory: Path, found: Sequence[Resource] = ()) -> list[Resource]:
    """The resources that a directory with a kustomization.yaml makes; of a component, those `found` so far too.

    Raises:
        NotUnderstood: it is not of the kind that this knows.
    """
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    if unknown := kustomization.keys() - KNOWN:
        raise NotUnderstood(f"{directory}: {sorted(unknown)}")
    made = [*found, *_resources(directory, kustomization)]
    for component in kustomization.get("components", ()):
        made = build(directory / component, made)
    for patch in kustomization.get("patches", ()):
        made = _patched(made, patch)
    for resource in made:
        _place(resource, kustomization.get("namespace"))
        _name_images(resource, kustomization.get("images", ()))
    return made


def _resources(directory: Path, kustomization: Mapping[str, Any]) -> Iterator[Resource]:
    for name in kustomization.get("resources", ()):
        path = directory / name
        if path.is_dir():
            yield from build(path)
        elif directory.resolve() not in path.resolve().parents:
            raise NotUnderstood(f"{path} is a file outside of its kustomization")
        else:
            yield from yaml.safe_load_all(path.read_text())


def _place(resource: Resource, namespace: str | None) -> None:
    if namespace and resource["kind"] not in OF_THE_CLUSTER:
        resource["metadata"]["namespace"] = namespace


def _name_images(node: Any, images: Sequence[Mapping[str, str]]) -> None:  # noqa: ANN401 - any part of a document
    """Gives each container the image that its name stands for, wherever in the document it is."""
    if isinstance(node, list):
        for each in node:
            _name_images(each, images)
    elif isinstance(node, dict):
        for container in node.get("containers", ()) if isinstance(node.get("containers"), list) else ():
            container["image"] = _image(container["image"], images)
        for each in node.values():
            _name_images(each, images)


def _image(image: str, images: Sequence[Mapping[str, str]]) -> str:
    name, _, tag = image.rpartition(":")
    for entry in images:
        if unknown := entry.keys() - {"name", "newName", "newTag"}:
            raise NotUnderstood(f"images: {sorted(unknown)}")
        if entry["name"] == name:
            return f"{entry.get('newName', name)}:{entry.get('newTag', tag)}"
    return image


def _patched(resources: Sequence[Resource], patch: Mapping[str, Any]) -> list[Resource]:
    change = yaml.safe_load(patch["patch"])
    target = patch.get("target") or {"kind": change["kind"], "name": change["metadata"]["name"]}
    hit = [each for each in resources if _matches(each, target)]
    if len(hit) != 1:
        raise NotUnderstood(f"a patch for {target}, of which there are {len(hit)}")
    if isinstance(change, list):
        changed = deepcopy(hit[0])
        for operation in change:
            _operate(changed, operation)
        return [changed if each is hit[0] else each for each in resources]
    if change.get("$patch") != "delete":
        raise NotUnderstood("a patch that is neither a list of operations nor a deletion")
    return [each for each in resources if each is not hit[0]]


def _matches(resource: Resource, target: Mapping[str, str]) -> bool:
    return (resource["kind"], resource["metadata"]["name"]) == (target["kind"], target["name"])


def _operate(resource: Resource, operation: Mapping[str, Any]) -> None:
    """One operation of RFC 6902 on a mapping."""
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
    node: Any = resource
    for part in way:
        node = node[int(part) if isinstance(node, list) else part]
    _OPERATIONS[operation["op"]](node, last, operation.get("value"))


def _replace(node: dict[str, Any], key: str, value: object) -> None:
    del node[key]
    node[key] = value


def _remove(node: dict[str, Any], key: str, _: object) -> None:
    del node[key]


_OPERATIONS: Mapping[str, Callable[[dict[str, Any], str, object], None]] = {
    "add": dict.__setitem__,
    "replace": _replace,
    "remove": _remove,
}
