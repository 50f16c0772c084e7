#!/usr/bin/env python3
"""Lints and renders helm/tocsin with every values file, validates each object against the Kubernetes schemas, and checks what the chart
promises: no secret in an object, no token, no privilege, stable names for the roles that need them. Wrong values must be refused, and those of
the chart before taken.
"""

import copy
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

import helm_python
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/tocsin"
KUBERNETES = ("1.29", "1.33", "1.37")
# Custom resources have no schema in Kubernetes itself.
CUSTOM = {"ServiceMonitor"}
ROLES = {"gateway": "Deployment", "intake": "StatefulSet", "detector": "StatefulSet", "dispatcher": "Deployment", "query": "Deployment"}

# Each takes valid values and makes them wrong; the name says how.
WRONG = {
    "an unknown key": lambda v: v.update(replicas=3),
    "an unknown role": lambda v: v["roles"].update(console={"replicas": 1}),
    "no replicas": lambda v: v["roles"]["gateway"].update(replicas=0),
    "replicas as text": lambda v: v["roles"]["gateway"].update(replicas="2"),
    "no image": lambda v: v["image"].update(repository=""),
    "the tag latest": lambda v: v["image"].update(tag="latest"),
    "a broken digest": lambda v: v["image"].update(digest="sha256:12"),
    "no deployment key": lambda v: v["secrets"]["deploymentKey"].update(name=""),
    "a secret's value": lambda v: v["secrets"]["postgres"].update(value="postgres://u:p@h/d"),
    "no Kafka": lambda v: v["config"]["log"].update(bootstrap=""),
    "too many partitions": lambda v: v["config"]["topics"].update(sightings_partitions=257),
    "the embedded log": lambda v: v["config"]["log"].update(kind="embedded"),
    "a password in the configuration": lambda v: v["config"]["log"]["properties"].update({"sasl.password": "p"}),
    "a key in the configuration": lambda v: v["config"].update(keys={"deployment_key": "ab" * 32}),
    "a port out of range": lambda v: v.setdefault("networkPolicy", {}).update(egressPorts=[70000]),
    "a cache of text": lambda v: v["roles"]["detector"].update(cache="yes"),
    "a cache for another role": lambda v: v["roles"]["query"].update(cache={"enabled": True}),
    "a quantity that is none": lambda v: v["roles"]["query"].update(resources={"requests": {"cpu": "lots"}}),
    "authorities of two places": lambda v: v.setdefault("authorities", {}).update(secret="other"),
    "authorities of no place": lambda v: v.setdefault("authorities", {}).update(configMap="", systemKey="house.crt"),
    "authorities of no place by their keys": lambda v: v.update(authorities={"keys": ["house.crt"]}),
    "a whole Secret of authorities": lambda v: v.update(authorities={"secret": "house-tls"}),
    "a Secret of authorities and none of its keys": lambda v: v.update(authorities={"secret": "house-tls", "keys": []}),
    "a key of authorities that leads elsewhere": lambda v: v["authorities"].update(keys=["../tls.key"], systemKey=""),
    "authorities beside the mail password": lambda v: v["secrets"]["mail"].update(authoritiesKey="relay.crt"),
    "a switch as text": lambda v: v.setdefault("topicsJob", {}).update(enabled="yes"),
}


def check(condition: bool, message: str) -> None:
    """Fails the run with a message."""
    if not condition:
        raise SystemExit(f"chart: {message}")


def rendered(chart: helm_python.Chart, values: dict) -> list[dict]:
    """The objects the chart makes of these values."""
    chart.validate_schema(values)
    manifests = chart.render(values, name="bell", namespace="tocsin")
    objects = []
    for name, text in manifests.items():
        if name.endswith((".yaml", ".yml")):
            objects += [document for document in yaml.safe_load_all(text) if document]
    return objects


def check_pod(where: str, pod: dict) -> None:
    """What holds for every pod."""
    check(pod["automountServiceAccountToken"] is False, f"{where} mounts a token")
    check(pod["securityContext"]["runAsNonRoot"] is True, f"{where} may run as root")
    check(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", f"{where} has no seccomp profile")
    for container in pod["containers"]:
        security = container["securityContext"]
        check(security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"], f"{where} may write or escalate")
        check(security["capabilities"]["drop"] == ["ALL"], f"{where} keeps capabilities")
        check("memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"], f"{where} has no bounds")
        for variable in container["env"]:
            # The path of a file of a mounted Secret.
            if variable["name"] == "TOCSIN_HTTP__TLS__KEY":
                continue
            secret = any(word in variable["name"] for word in ("KEY", "PASSWORD", "URL", "USERNAME"))
            check(not secret or "secretKeyRef" in variable.get("valueFrom", {}), f"{where} holds {variable['name']} in the open")


def check_config(text: str, wanted: dict) -> None:
    """The configuration file says what the values say, with the same types."""
    config = tomllib.loads(text)

    def compare(path: str, want: object, got: object) -> None:
        if isinstance(want, dict):
            check(isinstance(got, dict), f"the configuration lost {path}")
            for key, value in want.items():
                compare(f"{path}.{key}", value, got.get(key))
        elif isinstance(want, list) and any(isinstance(item, dict) for item in want):
            check(isinstance(got, list) and len(got) == len(want), f"the configuration lost some of {path}")
            for place, (one, other) in enumerate(zip(want, got)):
                compare(f"{path}[{place}]", one, other)
        else:
            check(type(want) is type(got) and want == got, f"the configuration says {path} = {got!r}, not {want!r}")

    compare("config", wanted, config)


def check_secret_files(role: str, pod: dict, secrets: dict) -> None:
    """Files of secrets stand in the pods of the roles that read them."""
    for value, owners in (("ospreyMappings", ("intake", "dispatcher")), ("followCredentials", ("dispatcher",))):
        name = secrets.get(value, {}).get("name")
        mounted = [volume["name"] for volume in pod["volumes"] if name and volume.get("secret", {}).get("secretName") == name]
        check(len(mounted) == (1 if name and role in owners else 0), f"{role}: {value} is not where it is read, or elsewhere")
        for volume in mounted:
            mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == volume]
            check(len(mounts) == 1 and mounts[0]["readOnly"], f"{role}: {value} is not mounted to be read")


def check_dispatcher_secrets(role: str, pod: dict, secrets: dict) -> None:
    """The secret of the OpenID provider and the password of the mail relay are told to the one role that signs people in and sends mail."""
    for value, name in (("signIn", "TOCSIN_DISPATCHER__SIGN_IN__CLIENT_SECRET"), ("mail", "TOCSIN_DISPATCHER__MAIL__PASSWORD")):
        wanted = secrets.get(value, {})
        told = [variable for variable in pod["containers"][0]["env"] if variable["name"] == name]
        check(len(told) == (1 if wanted.get("name") and role == "dispatcher" else 0), f"{role}: {name} is not where it is read, or elsewhere")
        for variable in told:
            secret = {key: wanted[key] for key in ("name", "key")}
            check(variable["valueFrom"].get("secretKeyRef") == secret, f"{role}: {name} is of another secret")


def check_authorities(where: str, pod: dict, values: dict) -> None:
    """The authorities of those that are called lie, to be read, where the configuration and the system's libraries look for them."""
    wanted = values.get("authorities", {})
    sources = {"configMap": ("name", wanted.get("configMap", "")), "secret": ("secretName", wanted.get("secret", ""))}
    found = [(volume["name"], volume[kind]) for volume in pod["volumes"] for kind, (field, name) in sources.items() if name and volume.get(kind, {}).get(field) == name]
    volumes = [volume for volume, _ in found]
    named = any(name for _, name in sources.values())
    check(len(volumes) == (1 if named else 0), f"{where}: the authorities are not mounted, or there are none")
    keys = wanted.get("keys", [])
    check(bool(keys) or not wanted.get("secret"), f"{where} mounts a whole Secret for its authorities")
    items = [{"key": key, "path": key} for key in keys] or None
    for volume, source in found:
        check(source.get("items") == items, f"{where} mounts {source.get('items', 'everything')} as {volume}, and not {keys} alone")
    container = pod["containers"][0]
    places = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in volumes and mount["readOnly"]]
    check(len(places) == len(volumes), f"{where}: the authorities are not mounted to be read")
    told = [variable["value"] for variable in container["env"] if variable["name"] == "SSL_CERT_FILE"]
    system = wanted.get("systemKey", "")
    check(told == [f"{place}/{system}" for place in places if system], f"{where} looks for the system's authorities elsewhere: {told}")
    config = values["config"]
    paths = [config["log"].get("properties", {}).get("ssl.ca.location"), config.get("dispatcher", {}).get("mail", {}).get("authorities")]
    for path in filter(None, paths):
        check(str(Path(path).parent) in places, f"{where} mounts nothing where {path} is looked for")
        check(not keys or Path(path).name in keys, f"{where} does not mount {path}")


def check_that_more_is_found(objects: list[dict], values: dict) -> int:
    """That more, or less, of the authorities' Secret or ConfigMap than its named keys would be found, in every pod: in how many ways it was."""
    mutations = {
        "everything": lambda source: source.pop("items"),
        "a private key": lambda source: source["items"].append({"key": "tls.key", "path": "tls.key"}),
        "a private key under the name of an authority": lambda source: source["items"][0].update(key="tls.key"),
        "one fewer": lambda source: source["items"].pop(),
    }
    ways = 0
    for place, item in enumerate(objects):
        if not values.get("authorities", {}).get("keys") or "template" not in item.get("spec", {}):
            continue
        for name, mutate in mutations.items():
            spoiled = copy.deepcopy(objects)
            volumes = spoiled[place]["spec"]["template"]["spec"]["volumes"]
            source = next(volume for volume in volumes if volume["name"] == "authorities")
            mutate(source.get("secret") or source["configMap"])
            try:
                check_objects(spoiled, values)
            except SystemExit as found:
                check("authorities" in str(found), f"{name} in {item['metadata']['name']} is found as {found}")
                ways += 1
                continue
            check(False, f"{item['metadata']['name']} may mount {name} with the authorities")
    return ways


def check_values_of_before(values: dict) -> None:
    """Values of the chart before 0.2.0, used again with the defaults that it had (`--reuse-values`), are taken where they named no authorities."""
    values = {key: value for key, value in values.items() if key != "authorities"}
    values["config"] = {key: value for key, value in values["config"].items() if key != "dispatcher"}
    with tempfile.TemporaryDirectory() as folder:
        before = Path(shutil.copytree(CHART, Path(folder) / "tocsin"))
        defaults = yaml.safe_load((before / "values.yaml").read_text())
        del defaults["authorities"]
        defaults["secrets"]["mail"]["authoritiesKey"] = ""
        (before / "values.yaml").write_text(yaml.safe_dump(defaults))
        with helm_python.Chart.load(before) as chart:
            check_objects(rendered(chart, values), values)
            values["authorities"] = {"secret": "relay-tls", "keys": ["ca.crt"]}
            check_objects(rendered(chart, values), values)


def check_tls(role: str, pod: dict, secrets: dict) -> None:
    """A role that ends TLS itself finds its files in a mounted Secret, and is probed over TLS; no other is."""
    wanted = secrets.get("tls", {})
    container = pod["containers"][0]
    volumes = [volume["name"] for volume in pod["volumes"] if wanted.get("name") and volume.get("secret", {}).get("secretName") == wanted["name"]]
    check(len(volumes) == (1 if wanted.get("name") else 0), f"{role}: the certificates are not mounted, or there are none")
    paths = {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in volumes and mount["readOnly"]}
    keys = {"CERTIFICATE": wanted.get("certificateKey", "tls.crt"), "KEY": wanted.get("keyKey", "tls.key"), "CLIENT_CA": wanted.get("clientCaKey", "")}
    told = {variable["name"].removeprefix("TOCSIN_HTTP__TLS__"): variable["value"] for variable in container["env"] if variable["name"].startswith("TOCSIN_HTTP__TLS__")}
    check(told == {name: f"{path}/{key}" for name, key in keys.items() for path in paths if key}, f"{role} looks for its certificates elsewhere: {told}")
    schemes = {container[probe]["httpGet"]["scheme"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    check(schemes == {"HTTPS" if wanted.get("name") else "HTTP"}, f"{role} is probed by {schemes}")


def check_sealed_store(role: str, pod: dict, values: dict) -> None:
    """A dispatcher, nobody else, is told of the sealed store, and it lies on the claim."""
    claim = values.get("sealedStore", {}).get("claim", "")
    container = pod["containers"][0]
    told = [variable["value"] for variable in container["env"] if variable["name"] == "TOCSIN_DISPATCHER__SEALED_STORE"]
    volumes = [volume["name"] for volume in pod["volumes"] if volume.get("persistentVolumeClaim", {}).get("claimName", "") == claim != ""]
    check(len(told) == len(volumes) == (1 if claim and role == "dispatcher" else 0), f"{role}: the sealed store is not where it is used, or elsewhere")
    for place, volume in zip(told, volumes):
        mounts = [mount for mount in container["volumeMounts"] if mount["name"] == volume and not mount.get("readOnly")]
        check(len(mounts) == 1 and place.startswith(mounts[0]["mountPath"] + "/"), f"{role}: the sealed store does not lie on its claim")


def check_memory_and_cache(role: str, pod: dict, values: dict) -> None:
    """A process knows its limit of memory, and a detector, nobody else, has a place for copies of its state unless it is to have none."""
    container = pod["containers"][0]
    variables = {variable["name"]: variable for variable in container["env"]}
    told = variables.get("TOCSIN_MEMORY__LIMIT_BYTES", {}).get("valueFrom", {}).get("resourceFieldRef", {})
    check(told == {"resource": "limits.memory"}, f"{role} is not told its limit of memory")
    wanted = role == "detector" and values.get("roles", {}).get(role, {}).get("cache", {}).get("enabled", True)
    place = variables.get("TOCSIN_DETECTOR__CACHE_DIRECTORY", {}).get("value")
    mounts = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == place]
    volumes = [volume["name"] for volume in pod["volumes"] if "sizeLimit" in volume.get("emptyDir", {}) and volume["name"] in mounts]
    check(len(volumes) == (1 if wanted else 0) and (place is not None) == wanted, f"{role}: the place for copies of the state is wrong")


def check_objects(objects: list[dict], values: dict) -> None:
    """What holds for every installation."""
    for item in objects:
        where = f"{item['kind']} {item['metadata']['name']}"
        check(item["kind"] != "Secret", f"{where}: the chart makes no secrets")
        check(item["metadata"]["namespace"] == "tocsin", f"{where} is in another namespace")
        if item["kind"] not in CUSTOM:
            for version in KUBERNETES:
                kubernetes_validate.validate(item, version, strict=True)
        if "template" in item.get("spec", {}):
            check_pod(where, item["spec"]["template"]["spec"])
    kinds = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    check_config(kinds[("ConfigMap", "bell")]["data"]["tocsin.toml"], values["config"])
    for role, kind in ROLES.items():
        workload = kinds.get((kind, f"bell-{role}"))
        check(workload is not None, f"no {kind} for {role}")
        pod = workload["spec"]["template"]
        container = pod["spec"]["containers"][0]
        check(container["args"] == [role], f"{role} starts {container['args']}")
        for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            check(container[probe]["httpGet"]["path"] == path, f"{role}: {probe} does not ask {path}")
        selector = workload["spec"]["selector"]["matchLabels"].items()
        check(selector <= pod["metadata"]["labels"].items(), f"{role}: the selector misses its own pods")
        service = kinds[("Service", f"bell-{role}")]["spec"]
        check(service["selector"].items() <= pod["metadata"]["labels"].items(), f"{role}: the service misses its pods")
        if kind == "StatefulSet":
            check(workload["spec"]["serviceName"] == f"bell-{role}", f"{role}: no stable names")
        check_secret_files(role, pod["spec"], values["secrets"])
        check_dispatcher_secrets(role, pod["spec"], values["secrets"])
        check_authorities(role, pod["spec"], values)
        check_tls(role, pod["spec"], values["secrets"])
        check_memory_and_cache(role, pod["spec"], values)
        check_sealed_store(role, pod["spec"], values)
    for job in (item for item in objects if item["kind"] == "Job"):
        check_authorities("the topics job", job["spec"]["template"]["spec"], values)
    monitor = kinds.get(("ServiceMonitor", "bell"))
    if monitor is not None:
        scheme = "https" if values["secrets"].get("tls", {}).get("name") else None
        check(monitor["spec"]["endpoints"][0].get("scheme") == scheme, "the scraper asks by another scheme")
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    check(len(names) == len(set(names)), "two objects have one name")
    check(any(kind == "Job" for kind, _ in names) == values.get("topicsJob", {}).get("enabled", True), "the topics job is wrong")


def main() -> int:
    """Runs the check; stops at the first breach."""
    files = sorted((CHART / "ci").glob("*.yaml"))
    check(len(files) >= 3, "values files are missing")
    ways = 0
    with helm_python.Chart.load(CHART) as chart:
        check(chart.schema is not None, "no values schema")
        for path in files:
            values = yaml.safe_load(path.read_text())
            report = helm_python.lint(CHART, values, strict=True, namespace="tocsin", kube_version="v1.33.0")
            findings = [message for message in report["messages"] if message["severity"] >= 2] + report["errors"]
            check(not findings, f"{path.name}: lint says {findings}")
            objects = rendered(chart, values)
            check_objects(objects, values)
            ways += check_that_more_is_found(objects, values)
            print(f"{path.name}: {len(objects)} objects valid for Kubernetes {', '.join(KUBERNETES)}")
        good = yaml.safe_load((CHART / "ci/medium.yaml").read_text())
        for name, spoil in WRONG.items():
            values = copy.deepcopy(good)
            spoil(values)
            try:
                chart.validate_schema(values)
            except helm_python.HelmValuesError:
                continue
            check(False, f"accepts {name}")
        try:
            chart.validate_schema({})
            check(False, "accepts values that name no image, no Kafka and no secrets")
        except helm_python.HelmValuesError:
            pass
        try:
            values = copy.deepcopy(good)
            values["authorities"]["systemKey"] = "other.crt"
            rendered(chart, values)
            check(False, "renders a key of the system's authorities that is not mounted")
        except helm_python.HelmError as refused:
            check("authorities.systemKey" in str(refused), f"a key that is not mounted is refused as {refused}")
    # Two files name authorities, each for five roles and the topics job.
    check(ways == 48, f"{ways} of 48 ways to mount other keys were tried and found")
    check_values_of_before(yaml.safe_load((CHART / "ci/small.yaml").read_text()))
    print(f"{len(WRONG) + 2} kinds of wrong values refused, {ways} ways to mount other keys found, values of the chart before taken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
