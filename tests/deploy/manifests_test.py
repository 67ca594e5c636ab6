"""deploy/k8s as Kubernetes would read it: `kubectl kustomize` of every overlay, checked against published
schemas, the sidecar's own check of its configuration, and what each part says of the others."""

import json
import os
import re
import subprocess
import unittest

import yaml

import manifests
import schemas
from harness import TREE, binary, temp_folder

NOBODY = "0" * 64  # no token has this digest


def source(*path):
    with open(os.path.join(TREE, *path), encoding="utf-8") as file:
        return file.read()


@unittest.skipUnless(manifests.kubectl(), "kubectl is not installed: nothing is said of deploy/k8s")
class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.built = {name: manifests.kustomize(name) for name in ["base", *manifests.OVERLAYS]}

    def each(self):
        for name, documents in self.built.items():
            with self.subTest(name):
                yield documents

    def test_every_document_is_what_its_kind_may_be(self):
        for documents in self.each():
            self.assertEqual(schemas.complaints(documents), [])

    def test_that_check_finds_what_is_wrong(self):
        def spoilt(change):
            workload = json.loads(json.dumps(manifests.find(self.built["redis"], "StatefulSet")))
            change(workload, workload["spec"]["template"]["spec"]["initContainers"][0])
            return schemas.complaints([workload])
        self.assertEqual(spoilt(lambda workload, sidecar: None), [])
        for change in (lambda workload, sidecar: sidecar.update(restartPolice="Always"),
                       lambda workload, sidecar: sidecar["startupProbe"]["httpGet"].update(paths="/"),
                       lambda workload, sidecar: sidecar["startupProbe"].update(periodSeconds="1"),
                       lambda workload, sidecar: sidecar.pop("name"),
                       lambda workload, sidecar: workload["spec"].pop("selector"),
                       lambda workload, sidecar: workload.update(kind="StatefulSat")):
            self.assertEqual(len(spoilt(change)), 1)

    def test_the_sidecar_accepts_its_configuration(self):
        for documents in self.each():
            paths = {}
            for path, content in manifests.SidecarSpec(documents).files().items():
                paths[path] = os.path.join(temp_folder("config"), os.path.basename(path))
                with open(paths[path], "wb") as file:
                    file.write(content)
            env = manifests.SidecarSpec(documents).env()
            done = subprocess.run([binary(), "check", "--config", paths[env["CROSSFADE_CONFIG"]], "--secrets",
                                   paths[env["CROSSFADE_SECRETS"]]], capture_output=True, text=True,
                                  check=False, stdin=subprocess.DEVNULL, timeout=20)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_no_token_is_in_the_tree(self):
        for documents in self.each():
            for content in manifests.SidecarSpec(documents).files().values():
                for digest in re.findall(r'"sha256": *"([^"]*)"', content.decode()):
                    self.assertEqual(digest, NOBODY)

    def test_pods_run_without_rights(self):
        for documents in self.each():
            for template in manifests.pod_templates(documents):
                pod = template["spec"]
                self.assertIs(pod["automountServiceAccountToken"], False)
                self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
                self.assertGreater(pod["securityContext"]["runAsUser"], 0)
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                for one in pod["containers"] + pod.get("initContainers", []):
                    self.assertEqual(one["securityContext"], {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]}})
                    self.assertEqual(set(one["resources"]["requests"]), {"cpu", "memory"})
                    self.assertIn("memory", one["resources"]["limits"])

    def test_the_sidecar_is_a_native_one_with_probes_on_its_control_port(self):
        for documents in self.each():
            spec = manifests.SidecarSpec(documents)
            self.assertEqual(spec.container["restartPolicy"], "Always")
            for name, path in (("startupProbe", "/readyz"), ("readinessProbe", "/readyz"),
                               ("livenessProbe", "/healthz")):
                self.assertEqual(spec.container[name]["httpGet"], {"path": path, "port": "control"})
            self.assertEqual(spec.env()["CROSSFADE_CONTROL"], f"0.0.0.0:{spec.port('control')}")
            self.assertEqual(spec.writable(), [os.path.dirname(spec.env()["CROSSFADE_STATE"])])

    def test_there_is_time_to_drain(self):
        for documents in self.each():
            spec = manifests.SidecarSpec(documents)
            *_, pre_stop_s = spec.container["lifecycle"]["preStop"]["exec"]["command"]
            config = json.loads(spec.files()[spec.env()["CROSSFADE_CONFIG"]])
            drain_s = config["limits"]["drain_ms"] / 1000
            self.assertGreaterEqual(spec.pod["terminationGracePeriodSeconds"], int(pre_stop_s) + drain_s + 5)

    def test_names_and_labels_meet(self):
        for documents in self.each():
            workload = manifests.find(documents, "StatefulSet")
            spec = manifests.SidecarSpec(documents)
            control = manifests.find(documents, "Service", workload["spec"]["serviceName"])
            policy = manifests.find(documents, "NetworkPolicy")
            monitor = manifests.find(documents, "PodMonitor")
            for selector in (control["spec"]["selector"], policy["spec"]["podSelector"]["matchLabels"],
                             monitor["spec"]["selector"]["matchLabels"]):
                self.assertLessEqual(selector.items(), spec.labels.items())
            for port in (control["spec"]["ports"][0]["targetPort"],
                         monitor["spec"]["podMetricsEndpoints"][0]["port"],
                         policy["spec"]["ingress"][0]["ports"][0]["port"]):
                self.assertEqual(spec.port(port), control["spec"]["ports"][0]["port"])
            spec.files()  # every ConfigMap and Secret that is mounted is there
            namespaces = {one["metadata"].get("namespace") for one in documents if one["kind"] != "Namespace"}
            self.assertEqual(len(namespaces), 1)

    def test_services_of_the_example_are_the_servers_that_the_sidecar_is_told_of(self):
        documents = self.built["example"]
        spec = manifests.SidecarSpec(documents)
        config = json.loads(spec.files()[spec.env()["CROSSFADE_CONFIG"]])
        templates = [one["metadata"]["labels"] for one in manifests.pod_templates(documents)]
        for endpoint in config["endpoints"]:
            service = manifests.find(documents, "Service", endpoint["config"]["host"])
            self.assertEqual(service["spec"]["ports"][0]["port"], endpoint["config"]["port"])
            pods = [labels for labels in templates if service["spec"]["selector"].items() <= labels.items()]
            self.assertEqual(len(pods), 1)

    def test_the_app_is_told_of_an_interlay_and_not_of_its_server(self):
        url = "redis://127.0.0.1:{}"
        for overlay, variable, form in (("redis", "REDIS_URL", url), ("postgres", "PGPORT", "{}"),
                                        ("example", "REDIS_URL", url)):
            spec = manifests.SidecarSpec(self.built[overlay])
            config = json.loads(spec.files()[spec.env()["CROSSFADE_CONFIG"]])
            app, = spec.pod["containers"]
            told = {one["name"]: one["value"] for one in app["env"]}
            self.assertEqual(told[variable], form.format(config["interlays"][0]["port"]))

    def test_the_image_is_this_version(self):
        version = re.search(r"project\(crossfade VERSION ([\d.]+)", source("CMakeLists.txt"))[1]
        for documents in self.each():
            self.assertEqual(manifests.SidecarSpec(documents).container["image"], f"crossfade:{version}")


class Prometheus(unittest.TestCase):
    """What of the alerts and the dashboard can be said without a cluster; tests/tidy checks their metrics."""

    def test_the_rules_are_what_their_kind_may_be(self):
        self.assertEqual(schemas.complaints([yaml.safe_load(source("deploy/alerts/crossfade.yaml"))]), [])

    def test_every_expression_is_promql(self):
        rules = yaml.safe_load(source("deploy/alerts/crossfade.yaml"))
        expressions = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
        dashboard = json.loads(source("deploy/grafana/crossfade.json"))
        for panel in dashboard["panels"]:
            # Grafana fills its variables in before Prometheus sees them.
            expressions += [re.sub(r"\$__\w+", "5m", target["expr"]) for target in panel.get("targets", [])]
        self.assertGreater(len(expressions), 20)
        self.assertEqual(schemas.complaints(expressions=expressions), [])
        self.assertEqual(len(schemas.complaints(expressions=["rate(x[5m) > 1"])), 1)


if __name__ == "__main__":
    unittest.main()
