"""Manifests and PromQL against what their makers publish: schemas/validate.mjs, with packages of npm."""

import json
import os
import shutil
import subprocess

import npm_packages

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK_FOLDER = os.path.join(HERE, "schemas")
MODULES_FOLDER = os.path.join(npm_packages.BUILD, "deploy-schemas")


def complaints(documents=(), expressions=()):
    """What is wrong with them, as sentences."""
    modules = npm_packages.install(LOCK_FOLDER, MODULES_FOLDER)
    command = [shutil.which("node") or "node", os.path.join(LOCK_FOLDER, "validate.mjs"), modules]
    done = subprocess.run(command, input=json.dumps({"documents": [unfolded(one) for one in documents],
                                                     "expressions": list(expressions)}),
                          capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def unfolded(document):
    """A Secret's base64 may be broken into lines; the schema knows it in one only."""
    if document.get("kind") != "Secret":
        return document
    return {**document, "data": {name: "".join(text.split()) for name, text in document["data"].items()}}
