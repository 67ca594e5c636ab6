"""What `kubectl kustomize` makes of deploy/k8s, as data, and a container of it as the kubelet sees it."""

import base64
import os
import shutil
import subprocess

import yaml

from harness import TREE

K8S = os.path.join(TREE, "deploy", "k8s")
OVERLAYS = sorted(os.listdir(os.path.join(K8S, "overlays")))


def kubectl():
    """Its path, or None: then nothing can be said of manifests, and tests that ask for them are skipped."""
    return shutil.which("kubectl")


def kustomize(folder):
    """The documents of an overlay (or of `base`)."""
    path = os.path.join(K8S, folder if folder == "base" else os.path.join("overlays", folder))
    done = subprocess.run([kubectl(), "kustomize", path], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=60)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"kubectl kustomize {folder}: {done.returncode} {done.stdout}{done.stderr}")
    return list(yaml.safe_load_all(done.stdout))


def find(documents, kind, name=None):
    found = [one for one in documents
             if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} documents of kind {kind}, name {name}")
    return found[0]


def pod_templates(documents):
    return [one["spec"]["template"] for one in documents if one["kind"] in ("StatefulSet", "Deployment")]


class SidecarSpec:
    """The sidecar's container in pod 0 of the StatefulSet."""

    def __init__(self, documents, labels=()):
        workload = find(documents, "StatefulSet")
        template = workload["spec"]["template"]
        self.documents = documents
        self.pod = template["spec"]
        self.pod_name = workload["metadata"]["name"] + "-0"
        self.labels = {**template["metadata"]["labels"], **dict(labels)}
        self.container = next(one for one in self.pod["initContainers"] if one["name"] == "crossfade")

    def env(self):
        """Variables, those of the downward API resolved."""
        return {one["name"]: one["value"] if "value" in one else self._field(one["valueFrom"]["fieldRef"])
                for one in self.container["env"]}

    def _field(self, reference):
        path = reference["fieldPath"]
        if path == "metadata.name":
            return self.pod_name
        if path.startswith("metadata.labels['"):
            return self.labels.get(path[len("metadata.labels['"):-len("']")], "")
        raise AssertionError(f"{path}: not known here")

    def files(self):
        """{absolute path: bytes} of the ConfigMaps and Secrets that it mounts."""
        found = {}
        for mount in self.container["volumeMounts"]:
            for name, content in self._volume(mount["name"]).items():
                found[os.path.join(mount["mountPath"], name)] = content
        return found

    def _volume(self, name):
        for volume in self.pod["volumes"]:
            if volume["name"] != name:
                continue
            if "configMap" in volume:
                data = find(self.documents, "ConfigMap", volume["configMap"]["name"])["data"]
                return {key: text.encode() for key, text in data.items()}
            data = find(self.documents, "Secret", volume["secret"]["secretName"])["data"]
            return {key: base64.b64decode(text) for key, text in data.items()}
        return {}

    def writable(self):
        """Where volumes are mounted that it may write to."""
        return [mount["mountPath"] for mount in self.container["volumeMounts"] if not mount.get("readOnly")]

    def port(self, name):
        return next(one["containerPort"] for one in self.container["ports"] if one["name"] == name)
