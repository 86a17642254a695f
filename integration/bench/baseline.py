"""The three steps in Python, as they would be written with boto3, requests and docker-py: what `make bench` compares with.

    baseline.py extract OUT          token from ECR, checked at its registry
    baseline.py update IN OUT        checked again, published in Airflow's connection
    baseline.py test IN              compared with the connection that tasks see, Docker Engine logs in

Equal work on the same peers, and nothing is slowed down: each command imports only what it uses, one requests.Session
keeps Airflow's connection open, and documents are written as ours are (private, synced, renamed).

Both trust the system's certificates, and the sandbox's among them, as both do in use (certifi's bundle is as long).

Not equal, each time to Python's advantage: the token is not encrypted but stands in clear in OUT; nothing is retried; the
answers and the document are hardly checked. To ours: HTTP/2, which these libraries do not speak.
"""

import json
import os
import sys
from datetime import datetime, timedelta, timezone

CONNECTION_ID = "docker_default"
TIMEOUT = 10  # seconds, of each call


def extract(out):
    import base64

    import boto3
    import requests

    account = os.environ["AIRFLOW_VAR_ECR_AWS_ACCOUNT"]
    region = os.environ["AIRFLOW_VAR_ECR_AWS_REGION_NAME"]
    issued = datetime.now(timezone.utc)
    ecr = boto3.client("ecr", region_name=region)
    data = ecr.get_authorization_token()["authorizationData"][0]
    username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    if username != "AWS" or not password:
        raise SystemExit("ECR's token cannot be used")
    registry = data["proxyEndpoint"].removeprefix("https://").rstrip("/")
    registry = account + registry[len(account):]  # the token is good for every account of its region
    check_registry(requests, registry, username, password)
    write(out, {
        "registry": registry,
        "username": username,
        "password": password,
        "issued_at": issued.isoformat(),
        "expires_at": data["expiresAt"].isoformat(),
    })


def update(document, out):
    import requests

    token = read(document)
    if datetime.now(timezone.utc) - datetime.fromisoformat(token["issued_at"]) > timedelta(hours=1):
        raise SystemExit("the document is older than an hour")
    check_registry(requests, token["registry"], token["username"], token["password"])
    with requests.Session() as session:
        published = publish(session, token)
    write(out, published)


def publish(session, token):
    env = {name: os.environ["ECR_REFRESH_AIRFLOW_" + name] for name in ("SCHEMA", "HOST", "PORT", "LOGIN", "PASSWORD")}
    airflow = "{SCHEMA}://{HOST}:{PORT}".format(**env)
    login = {"username": env["LOGIN"], "password": env["PASSWORD"]}
    jwt = call(session, "POST", airflow + "/auth/token", json=login)["access_token"]
    session.headers["Authorization"] = "Bearer " + jwt
    connection = call(session, "GET", f"{airflow}/api/v2/connections/{CONNECTION_ID}")
    if connection["host"] != token["registry"]:
        raise SystemExit(f"host of {CONNECTION_ID} is {connection['host']!r}, and the token is for {token['registry']!r}")
    entity = {"connection_id": CONNECTION_ID, "conn_type": connection["conn_type"], "password": token["password"]}
    if connection["login"] != token["username"]:
        entity["login"] = token["username"]
    action = {"action": "update", "action_on_non_existence": "skip", "entities": [entity]}
    result = call(session, "PATCH", airflow + "/api/v2/connections", json={"actions": [action]})["update"]
    session.get(airflow + "/api/v2/auth/logout", timeout=TIMEOUT, allow_redirects=False)
    if result["errors"] or result["success"] != [CONNECTION_ID]:
        raise SystemExit(f"{CONNECTION_ID} was not updated")
    return {
        "registry": token["registry"],
        "username": token["username"],
        "fingerprint": fingerprint(token["password"]),
        "expires_at": token["expires_at"],
        "published_at": datetime.now(timezone.utc).isoformat(),
    }


def test(document):
    import docker

    published = read(document)
    conn = {name: os.environ["ECR_REFRESH_DOCKER_" + name] for name in ("HOST", "LOGIN", "PASSWORD")}
    if (conn["HOST"], conn["LOGIN"]) != (published["registry"], published["username"]):
        raise SystemExit("tasks see another host or login than was published")
    if fingerprint(conn["PASSWORD"]) != published["fingerprint"]:
        raise SystemExit("tasks see another password than was published")
    engine = docker.from_env(timeout=35)  # asks the Engine once, to agree on an API version
    version = engine.version()["Version"]
    answer = engine.login(username=conn["LOGIN"], password=conn["PASSWORD"], registry=conn["HOST"], reauth=True)
    if answer["Status"] != "Login Succeeded":
        raise SystemExit("the Engine could not log in")
    print(json.dumps({"engine": version, "login": answer["Status"]}))


def check_registry(requests, host, username, password):
    response = requests.get(f"https://{host}/v2/", auth=(username, password), timeout=TIMEOUT, allow_redirects=False)
    if response.status_code != 200:
        raise SystemExit(f"{host} answered {response.status_code} to the token")


def call(session, method, url, **body):
    response = session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **body)
    response.raise_for_status()
    return response.json()


def fingerprint(password):
    import hashlib

    return hashlib.sha256(password.encode()).hexdigest()[:12]


def read(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def write(path, document):
    import tempfile

    fd, draft = tempfile.mkstemp(dir=os.path.dirname(path) or ".")  # 0600
    with open(fd, "w", encoding="utf-8") as f:
        json.dump(document, f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(draft, path)


if __name__ == "__main__":
    {"extract": extract, "update": update, "test": test}[sys.argv[1]](*sys.argv[2:])
