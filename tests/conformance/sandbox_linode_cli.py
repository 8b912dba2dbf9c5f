"""linode-cli against the sandbox: every Linode kind is made, listed, read, changed and deleted.

Arguments: the sandbox's host and port, and a folder that linode-cli may use as its home.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from checks import certificate, expect, say, until

CLI = str(Path(sys.executable).parent / "linode-cli")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBx0JmEu3c6nZ1vXkS2uQ0h8jZ5l9T3u7b8m2s4d5f6g cli"


def environment(address, home):
    return {
        "PATH": os.environ["PATH"],
        "HOME": home,
        "LANG": "C.UTF-8",
        "LINODE_CLI_TOKEN": "x",
        "LINODE_CLI_API_HOST": address,
        "LINODE_CLI_API_SCHEME": "http",
    }


def main(address, home):
    env = environment(address, home)

    def run(*words):
        """Runs one command; returns its exit code, its JSON, and what it said."""
        ran = subprocess.run(
            [CLI, "--suppress-warnings", "--json", *map(str, words)],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        data = json.loads(ran.stdout) if ran.stdout.strip().startswith(("[", "{")) else None
        return ran.returncode, data, ran.stdout + ran.stderr

    def do(*words):
        code, data, said = run(*words)
        if code != 0:
            sys.exit(f"linode-cli {' '.join(map(str, words))}: exit {code}\n{said}")
        return data

    def one(*words):
        data = do(*words)
        if not isinstance(data, list) or len(data) != 1:
            sys.exit(f"linode-cli {' '.join(map(str, words))}: not one object: {data!r}")
        return data[0]

    def life(name, made, view, change, listing, delete):
        """The rest of one object's life: read, listed, changed, deleted, gone."""
        say(name)
        read = one(*view)
        expect("read by id", read["id"], made["id"])
        expect("listed", made["id"] in [it["id"] for it in do(*listing)], True)
        words, field, wanted = change
        expect(f"{field} changed", one(*words)[field], wanted)
        expect(f"{field} read back", one(*view)[field], wanted)
        return lambda: gone(name, delete, view)

    def gone(name, delete, view):
        do(*delete)
        code, _, said = run(*view)
        if code == 0 or "404" not in said:
            sys.exit(f"{name} is still there after delete: {code} {said}")
        say(f"  {name} deleted")

    key = one("sshkeys", "create", "--label", "cli-key", "--ssh_key", KEY)
    end_key = life(
        "ssh key",
        key,
        ["sshkeys", "view", key["id"]],
        (["sshkeys", "update", key["id"], "--label", "cli-key-2"], "label", "cli-key-2"),
        ["sshkeys", "list"],
        ["sshkeys", "delete", key["id"]],
    )

    web = one(
        *["linodes", "create", "--region", "us-east", "--type", "g6-nanode-1"],
        *["--image", "linode/debian12", "--label", "cli-web", "--private_ip", "true"],
        *["--root_pass", "Correct-Horse-9-Battery", "--tags", "cli"],
    )
    end_web = life(
        "instance",
        web,
        ["linodes", "view", web["id"]],
        (["linodes", "update", web["id"], "--label", "cli-web-2"], "label", "cli-web-2"),
        ["linodes", "list"],
        ["linodes", "delete", web["id"]],
    )
    until("it runs", lambda: one("linodes", "view", web["id"])["status"] == "running")
    do("linodes", "shutdown", web["id"])
    until("it is off", lambda: one("linodes", "view", web["id"])["status"] == "offline")
    do("linodes", "boot", web["id"])
    until("it runs again", lambda: one("linodes", "view", web["id"])["status"] == "running")
    private = [it for it in one("linodes", "view", web["id"])["ipv4"] if it.startswith("192.168.")]
    expect("it has one private address", len(private), 1)

    wall = one(
        *["firewalls", "create", "--label", "cli-wall"],
        *["--rules.inbound_policy", "DROP", "--rules.outbound_policy", "ACCEPT"],
    )
    end_wall = life(
        "firewall",
        wall,
        ["firewalls", "view", wall["id"]],
        (["firewalls", "update", wall["id"], "--status", "disabled"], "status", "disabled"),
        ["firewalls", "list"],
        ["firewalls", "delete", wall["id"]],
    )
    rule = {
        "action": "ACCEPT",
        "label": "web",
        "protocol": "TCP",
        "ports": "80",
        "addresses": {"ipv4": ["0.0.0.0/0"]},
    }
    policies = ["--inbound_policy", "DROP", "--outbound_policy", "ACCEPT"]
    rules = ["--inbound", json.dumps([rule]), "--outbound", "[]"]
    do("firewalls", "rules-update", wall["id"], *policies, *rules)
    rules = one("firewalls", "rules-list", wall["id"])
    expect("its rules", rules["inbound"][0]["ports"], "80")
    device = one("firewalls", "device-create", wall["id"], "--id", web["id"], "--type", "linode")
    devices = do("firewalls", "devices-list", wall["id"])
    expect("its device", [it["entity"]["id"] for it in devices], [web["id"]])
    do("firewalls", "device-delete", wall["id"], device["id"])
    expect("its device gone", do("firewalls", "devices-list", wall["id"]), [])

    lb = one("nodebalancers", "create", "--region", "us-east", "--label", "cli-lb")
    end_lb = life(
        "nodebalancer",
        lb,
        ["nodebalancers", "view", lb["id"]],
        (
            ["nodebalancers", "update", lb["id"], "--client_conn_throttle", 7],
            "client_conn_throttle",
            7,
        ),
        ["nodebalancers", "list"],
        ["nodebalancers", "delete", lb["id"]],
    )
    pem, secret = certificate("shop.example.com")
    ends = []
    nodes = None
    for port, protocol, more in [
        (80, "http", ["--check", "http", "--check_path", "/up"]),
        (443, "https", ["--ssl_cert", pem, "--ssl_key", secret]),
        (9000, "tcp", ["--check", "connection"]),
    ]:
        config = one(
            *["nodebalancers", "config-create", lb["id"], "--port", port, "--protocol", protocol],
            *["--check_interval", 15, "--check_timeout", 5, *more],
        )
        expect("its protocol", config["protocol"], protocol)
        if protocol == "https":
            expect("its name", config["ssl_commonname"], "shop.example.com")
            expect("its key is not told", secret in json.dumps(config), False)
        at = [lb["id"], config["id"]]
        ends.append(
            life(
                f"config {protocol}",
                config,
                ["nodebalancers", "config-view", *at],
                (
                    ["nodebalancers", "config-update", *at, "--algorithm", "leastconn"],
                    "algorithm",
                    "leastconn",
                ),
                ["nodebalancers", "configs-list", lb["id"]],
                ["nodebalancers", "config-delete", *at],
            )
        )
        nodes = nodes or config
    node_of = ["nodebalancers", "node-create", lb["id"], nodes["id"], "--label", "cli-node"]
    node = one(*node_of, "--address", f"{private[0]}:80", "--weight", 60)
    at = [lb["id"], nodes["id"], node["id"]]
    end_node = life(
        "node",
        node,
        ["nodebalancers", "node-view", *at],
        (["nodebalancers", "node-update", *at, "--mode", "drain"], "mode", "drain"),
        ["nodebalancers", "nodes-list", lb["id"], nodes["id"]],
        ["nodebalancers", "node-delete", *at],
    )

    zone = one(
        *["domains", "create", "--domain", "cli.example.com", "--type", "master"],
        *["--soa_email", "ops@example.com"],
    )
    end_zone = life(
        "domain",
        zone,
        ["domains", "view", zone["id"]],
        (["domains", "update", zone["id"], "--ttl_sec", 300], "ttl_sec", 300),
        ["domains", "list"],
        ["domains", "delete", zone["id"]],
    )
    record = one(
        *["domains", "records-create", zone["id"], "--type", "A", "--name", "shop"],
        *["--target", "192.0.2.10", "--ttl_sec", 200],
    )
    expect("its TTL is rounded up", record["ttl_sec"], 300)
    end_record = life(
        "record",
        record,
        ["domains", "records-view", zone["id"], record["id"]],
        (
            ["domains", "records-update", zone["id"], record["id"], "--target", "192.0.2.11"],
            "target",
            "192.0.2.11",
        ),
        ["domains", "records-list", zone["id"]],
        ["domains", "records-delete", zone["id"], record["id"]],
    )

    say("refusals")
    code, _, said = run("linodes", "create", "--region", "nowhere", "--type", "g6-nanode-1")
    expect("a region that is not there", (code, "400" in said, "region" in said), (2, True, True))
    code, _, said = run("linodes", "view", 4)
    expect("an instance that is not there", (code, "404" in said), (2, True))

    say("and away again")
    for end in [end_node, *ends, end_lb, end_record, end_zone, end_web, end_wall, end_key]:
        end()


main(sys.argv[1], sys.argv[2])
