"""The pods that resources lead to, and what the rules of Pod Security `restricted` and our own say of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.deploy.kubernetes_build import Resource

HARMLESS_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
TEMPLATE = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
NOT_OF_A_POD = {"model", "minReplicas", "maxReplicas"}
"""Fields of a KServe predictor that stand beside those of its pod."""


@dataclass(frozen=True)
class Pod:
    """What a workload makes.

    Attributes:
        owner: the workload's kind and name.
    """

    owner: str
    labels: Mapping[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """By name."""
        return {port["name"]: port["containerPort"] for each in self.containers for port in each.get("ports", ())}


def pods(resources: Sequence[Resource]) -> list[Pod]:
    """One pod for each workload; KServe's is made of its InferenceService and the runtime that this names."""
    found = []
    for each in resources:
        owner = f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] in TEMPLATE:
            template: Any = each
            for step in TEMPLATE[each["kind"]]:
                template = template[step]
            found.append(Pod(owner, template["metadata"]["labels"], template["spec"]))
        elif each["kind"] == "InferenceService":
            found.append(_predictor(owner, each["spec"]["predictor"], resources))
    return found


def _predictor(owner: str, predictor: Mapping[str, Any], resources: Sequence[Resource]) -> Pod:
    runtime = next(
        each["spec"]
        for each in resources
        if each["kind"] == "ServingRuntime" and each["metadata"]["name"] == predictor["model"]["runtime"]
    )
    own = {name: value for name, value in predictor.items() if name not in NOT_OF_A_POD}
    return Pod(owner, runtime["labels"], own | {name: runtime[name] for name in ("containers", "volumes")})


def violations(pod: Pod) -> list[str]:
    """What Pod Security `restricted` (Kubernetes 1.34), and we, would not let a pod do."""
    return [*_of_the_pod(pod.spec), *(fault for each in pod.containers for fault in _of_a_container(pod.spec, each))]


def _of_the_pod(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    context = spec.get("securityContext", {})
    if context.get("sysctls"):
        yield "sysctls"
    if spec.get("automountServiceAccountToken") is not False:
        yield "it mounts a token of the API server"
    if spec.get("enableServiceLinks") is not False:
        yield "it gets environment variables of every Service"
    if not spec.get("serviceAccountName"):
        yield "it has no service account of its own"
    for volume in spec.get("volumes", ()):
        yield from (f"a volume of type {name}" for name in volume.keys() - HARMLESS_VOLUMES - {"name"})


def _of_a_container(spec: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    context = spec.get("securityContext", {}) | own
    capabilities = own.get("capabilities", {})
    checks = {
        "it may be root": context.get("runAsNonRoot") is True and context.get("runAsUser") != 0,
        "any system call": context.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
        "privileged": not own.get("privileged"),
        "privileges may grow": own.get("allowPrivilegeEscalation") is False,
        "capabilities": capabilities.get("drop") == ["ALL"] and not capabilities.get("add"),
        "procMount": own.get("procMount", "Default") == "Default",
        "SELinux": "seLinuxOptions" not in context,
        "AppArmor": "appArmorProfile" not in context,
        "ports of the node": not any("hostPort" in port for port in container.get("ports", ())),
        "its root is writable": own.get("readOnlyRootFilesystem") is True,
        "no memory limit": "memory" in container.get("resources", {}).get("limits", {}),
        "no /tmp": any(mount["mountPath"] == "/tmp" for mount in container.get("volumeMounts", ())),  # noqa: S108
    }
    yield from (f"{container['name']}: {fault}" for fault, holds in checks.items() if not holds)
