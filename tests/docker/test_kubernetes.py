"""The manifests: a schema validator accepts each, and they fit each other and the server."""

import copy
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dockerfile import read_dockerfile
from drain import longest_stop

ROOT = Path(__file__).resolve().parent.parent.parent
BASE = ROOT / "docker" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((BASE / "kustomization.yaml").read_text())
PROBES = {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
APART = {"kustomization.yaml", "secret.example.yaml"}
VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The oldest that the manifests promise to fit, and the newest that the validator knows."""


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((BASE / name).read_text()))


RESOURCES = [document for name in KUSTOMIZATION["resources"] for document in documents(name)]
EVERY = [*RESOURCES, *documents("secret.example.yaml")]


def title(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


def the(kind: str, name: str = "potluck-server") -> dict[str, Any]:
    (found,) = [each for each in RESOURCES if title(each) == f"{kind}-{name}"]
    return found


def pod_templates() -> Iterator[dict[str, Any]]:
    for document in RESOURCES:
        spec = document["spec"]
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield template


def settings() -> dict[str, str]:
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generated["literals"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", EVERY, ids=title)
def test_a_schema_validator_accepts_it(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_refuses_a_field_that_does_not_exist() -> None:
    wrong = copy.deepcopy(the("Deployment"))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_file_is_listed_but_for_the_example_of_a_secret() -> None:
    assert {path.name for path in BASE.iterdir()} == set(KUSTOMIZATION["resources"]) | APART


def test_kustomize_builds_what_the_validator_accepts_and_every_name_is_found() -> None:
    kubectl = shutil.which("kubectl")  # no package of Debian's brings it, so CI does not ask for it
    if kubectl is None:
        pytest.skip("expected kubectl on this machine, found none; install it")
    command = [kubectl, "kustomize", str(BASE)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    made = list(yaml.safe_load_all(built.stdout))
    for document in made:
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)
    assert len(made) == len(RESOURCES) + 1
    (settings_map,) = [each["metadata"]["name"] for each in made if each["kind"] == "ConfigMap"]
    assert built.stdout.count(f"name: {settings_map}\n") == 1 + len(list(pod_templates()))
    images = {f"potluck-{each}:{version()}" for each in IMAGES}
    assert set(re.findall(r"image: (\S+)", built.stdout)) == images


IMAGES = ("serving", "batch")


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_images_are_those_of_the_dockerfile_in_this_version() -> None:
    assert {each["name"]: each["newTag"] for each in KUSTOMIZATION["images"]} == {
        f"potluck-{image}": version() for image in IMAGES
    }
    assert set(IMAGES) < set(read_dockerfile(ROOT / "docker" / "Dockerfile"))
    containers = [template["spec"]["containers"] for template in pod_templates()]
    used = {container["image"] for (container,) in containers}
    assert used == {f"potluck-{image}" for image in IMAGES}


def component(template: dict[str, Any]) -> str:
    return str(template["metadata"]["labels"]["app.kubernetes.io/component"])


@pytest.mark.parametrize("template", pod_templates(), ids=component)
def test_a_pod_runs_without_root_and_writes_where_it_may(template: dict[str, Any]) -> None:
    pod = template["spec"]
    (container,) = pod["containers"]
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"home": settings()["POTLUCK_HOME"], "tmp": "/tmp"}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)
    assert pod["automountServiceAccountToken"] is False
    # Kubernetes would set POTLUCK_SERVER_PORT and the like, which look like settings.
    assert pod["enableServiceLinks"] is False
    assert container["resources"]["limits"]["memory"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_what_pods_refer_to_is_there() -> None:
    (secret,) = documents("secret.example.yaml")
    for template in pod_templates():
        (container,) = template["spec"]["containers"]
        names = [(kind, ref["name"]) for each in container["envFrom"] for kind, ref in each.items()]
        assert ("configMapRef", "potluck-settings") in names
        assert {name for kind, name in names if kind == "secretRef"} <= {secret["metadata"]["name"]}
        for variable in container.get("env", []):
            assert variable["valueFrom"]["secretKeyRef"]["key"] in secret["stringData"]
        claims = [volume.get("persistentVolumeClaim") for volume in template["spec"]["volumes"]]
        assert {"claimName": "potluck-home"} in claims
    assert the("PersistentVolumeClaim", "potluck-home")["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_server_gets_no_password_but_that_of_redis() -> None:
    (server,) = the("Deployment")["spec"]["template"]["spec"]["containers"]
    assert server["envFrom"] == [{"configMapRef": {"name": "potluck-settings"}}]
    assert [variable["name"] for variable in server["env"]] == ["REDIS_URL"]


def test_all_that_speaks_of_the_server_means_the_same_pods() -> None:
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert the("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert the("Service")["spec"]["selector"] == labels
    assert the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    nobody = the("NetworkPolicy", "potluck-nobody-calls")["spec"]["podSelector"]["matchLabels"]
    for template in pod_templates():
        assert nobody.items() <= template["metadata"]["labels"].items()
    watcher = the("Deployment", "potluck-watcher")["spec"]
    assert watcher["selector"]["matchLabels"] == watcher["template"]["metadata"]["labels"] != labels


def test_the_port_is_the_image_s_under_one_name() -> None:
    (server,) = the("Deployment")["spec"]["template"]["spec"]["containers"]
    (port,) = server["ports"]
    assert f"EXPOSE {port['containerPort']}\n" in (ROOT / "docker" / "Dockerfile").read_text()
    (offered,) = the("Service")["spec"]["ports"]
    (allowed,) = the("NetworkPolicy")["spec"]["ingress"][0]["ports"]
    probes = [server[f"{probe}Probe"]["httpGet"]["port"] for probe in PROBES]
    assert {port["name"], offered["targetPort"], allowed["port"], *probes} == {"http"}
    scraped = the("Deployment")["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"]
    assert int(scraped) == port["containerPort"]


def test_alive_and_ready_are_asked_apart_and_answered(iris: Any) -> None:
    (server,) = the("Deployment")["spec"]["template"]["spec"]["containers"]
    paths = {probe: server[f"{probe}Probe"]["httpGet"]["path"] for probe in PROBES}
    assert paths == PROBES
    assert [iris.get(path).status_code for path in paths.values()] == [200, 200, 200]


def test_a_pod_may_answer_what_it_began_before_it_is_killed() -> None:
    pod = the("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > longest_stop(settings())
    readiness = pod["containers"][0]["readinessProbe"]
    noticed = readiness["periodSeconds"] * readiness["failureThreshold"]
    assert float(settings()["POTLUCK_DRAIN_PAUSE_SECONDS"]) > noticed


def test_an_update_and_a_drain_leave_somebody_who_answers() -> None:
    spec = the("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    least = the("HorizontalPodAutoscaler")["spec"]["minReplicas"]
    assert least > the("PodDisruptionBudget")["spec"]["maxUnavailable"]
    assert "replicas" not in spec, "each `apply` would undo what the autoscaler did"


def test_the_autoscaler_goes_by_a_metric_that_the_server_exports(iris: Any) -> None:
    spec = the("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "potluck-server",
    }
    (pods,) = [each["pods"] for each in spec["metrics"] if each["type"] == "Pods"]
    metric = pods["metric"]["name"]
    assert re.search(rf"^{metric} \d", iris.get("/metrics").text, re.MULTILINE)
    assert f"seriesQuery: '{metric}{{" in (BASE / "server-autoscaler.yaml").read_text()
