"""Who may talk to whom, as the network policies of a namespace say it: what a network plugin would do with them."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.kubernetes_build import Resource

HERE = "fraud"


@dataclass(frozen=True)
class Party:
    """A pod, or an address outside of the cluster.

    Attributes:
        ports: where it listens.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str | None = HERE
    address: str | None = None
    ports: Sequence[int] = ()


def reach(resources: Sequence[Resource], parties: Sequence[Party]) -> set[tuple[str, str, int]]:
    """Each way (from, to, port) that is open, by TCP, among parties of which one at least is in our namespace."""
    policies = [each["spec"] for each in resources if each["kind"] == "NetworkPolicy"]
    return {
        (source.name, target.name, port)
        for source in parties
        for target in parties
        for port in target.ports
        if source is not target
        and HERE in (source.namespace, target.namespace)
        and _may(policies, "Egress", source, target, port)
        and _may(policies, "Ingress", target, source, port)
    }


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects; an empty one selects all."""
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    return equal and all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert expression["operator"] == "In", "no other one is used"
    return labels.get(expression["key"]) in expression["values"]


def _may(policies: Sequence[Mapping[str, Any]], way: str, own: Party, other: Party, port: int) -> bool:
    """Whether the policies on one end let a connection pass; where none selects it, all may."""
    if own.namespace != HERE:
        return True
    about = [each for each in policies if way in each["policyTypes"] and selects(each["podSelector"], own.labels)]
    rules = [rule for each in about for rule in each.get(way.lower(), ())]
    return not about or any(_passes(rule, way, other, port) for rule in rules)


def _passes(rule: Mapping[str, Any], way: str, other: Party, port: int) -> bool:
    peers = rule.get("from" if way == "Ingress" else "to")
    ports = rule.get("ports")
    right_port = ports is None or any(each["protocol"] == "TCP" and each["port"] == port for each in ports)
    return right_port and (peers is None or any(_is(peer, other) for peer in peers))


def _is(peer: Mapping[str, Any], other: Party) -> bool:
    if "ipBlock" in peer:
        return other.address is not None and _within(peer["ipBlock"], other.address)
    if other.namespace is None:
        return False
    if "namespaceSelector" in peer:
        right = selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    else:
        right = other.namespace == HERE
    return right and selects(peer.get("podSelector", {}), other.labels)


def _within(block: Mapping[str, Any], address: str) -> bool:
    networks = [ipaddress.ip_network(text) for text in (block["cidr"], *block.get("except", ()))]
    found = [ipaddress.ip_address(address) in network for network in networks]
    return found[0] and not any(found[1:])
