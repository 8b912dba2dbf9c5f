"""linode_api4 against the sandbox: every Linode kind is made, listed, read, changed and deleted.

Argument: the sandbox's URL.
"""

import sys

from checks import certificate, expect, later, refused, say, until
from linode_api4 import (
    ApiError,
    Domain,
    DomainRecord,
    Firewall,
    Instance,
    LinodeClient,
    NodeBalancer,
    NodeBalancerConfig,
    NodeBalancerNode,
    SSHKey,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBx0JmEu3c6nZ1vXkS2uQ0h8jZ5l9T3u7b8m2s4d5f6g api4"


def main(url):
    client = LinodeClient("sandbox", base_url=f"{url}/v4", retry=False)
    expect("its regions", "us-east" in [it.id for it in client.regions()], True)

    key = client.profile.ssh_key_upload(KEY, "api4-key")
    life(client, "ssh key", key, SSHKey, client.profile.ssh_keys, "label", "api4-key-2")

    web = client.linode.instance_create(
        "g6-nanode-1",
        "us-east",
        image="linode/debian12",
        label="api4-web",
        private_ip=True,
        tags=["api4"],
        authorized_keys=[KEY],
    )
    life(client, "instance", web, Instance, client.linode.instances, "label", "api4-web-2")
    until("it runs", lambda: client.load(Instance, web.id).status == "running")
    later("it reboots", web.reboot, "Linode busy")
    until("it runs again", lambda: client.load(Instance, web.id).status == "running")
    later("it is to be resized", lambda: web.resize("g6-standard-1"), "Linode busy")
    until("it is resized", lambda: client.load(Instance, web.id).type.id == "g6-standard-1")
    until("and runs", lambda: client.load(Instance, web.id).status == "running")
    private = [it for it in client.load(Instance, web.id).ipv4 if it.startswith("192.168.")]

    rules = {"inbound": [], "inbound_policy": "DROP", "outbound": [], "outbound_policy": "ACCEPT"}
    wall = client.networking.firewall_create("api4-wall", rules)
    life(client, "firewall", wall, Firewall, client.networking.firewalls, "status", "disabled")
    rule = {
        "action": "ACCEPT",
        "label": "web",
        "protocol": "TCP",
        "ports": "80",
        "addresses": {"ipv4": ["192.168.255.0/24"]},
    }
    wall.update_rules({**rules, "inbound": [rule]})
    expect("its rules", client.load(Firewall, wall.id).rules.inbound[0].ports, "80")
    device = wall.device_create(web.id)
    devices = client.load(Firewall, wall.id).devices
    expect("its device", [it.entity.id for it in devices], [web.id])
    device.delete()
    expect("its device gone", len(client.load(Firewall, wall.id).devices), 0)

    lb = client.nodebalancer_create("us-east", label="api4-lb")
    life(client, "nodebalancer", lb, NodeBalancer, client.nodebalancers, "label", "api4-lb-2")
    pem, secret = certificate("api4.example.com")
    configs = []
    for port, protocol, more in [
        (80, "http", {"check": "http", "check_path": "/up"}),
        (443, "https", {"ssl_cert": pem, "ssl_key": secret}),
        (9000, "tcp", {"check": "connection"}),
    ]:
        config = lb.config_create(
            port=port, protocol=protocol, check_interval=15, check_timeout=5, **more
        )
        if protocol == "https":
            expect("its name", config.ssl_commonname, "api4.example.com")
            # linode_api4 sends back all that it read, and what it read of these is `<REDACTED>`.
            config.ssl_cert, config.ssl_key = pem, secret
        listed = lambda: client.load(NodeBalancer, lb.id).configs
        what = f"config {protocol}"
        life(client, what, config, NodeBalancerConfig, listed, "algorithm", "leastconn", lb.id)
        configs.append(config)
    http = configs[0]
    node = http.node_create("api4-node", f"{private[0]}:80", weight=60)
    say("node")
    expect("listed", [it.id for it in http.nodes], [node.id])
    node.weight = 70
    node.save()
    again = NodeBalancerNode(client, node.id, (http.id, lb.id))
    expect("weight read back", again.weight, 70)

    zone = client.domain_create("api4.example.com", soa_email="ops@example.com")
    life(client, "domain", zone, Domain, client.domains, "ttl_sec", 300)
    record = zone.record_create("A", name="shop", target="192.0.2.10", ttl_sec=200)
    expect("its TTL is rounded up", record.ttl_sec, 300)
    listed = lambda: client.load(Domain, zone.id).records
    life(client, "record", record, DomainRecord, listed, "target", "192.0.2.11", zone.id)

    say("refusals")
    why = refused(
        "an instance that is not there", lambda: client.load(Instance, 4), ApiError, "Not found"
    )
    expect("its status", why.status, 404)
    why = refused(
        "a plan that is not there",
        lambda: client.linode.instance_create("nope", "us-east"),
        ApiError,
    )
    expect("its status", why.status, 400)

    say("and away again")
    for thing in [node, *configs, lb, record, zone, web, wall, key]:
        thing.delete()
    for name, left in [
        ("instances", client.linode.instances()),
        ("nodebalancers", client.nodebalancers()),
        ("firewalls", client.networking.firewalls()),
        ("domains", client.domains()),
        ("ssh keys", client.profile.ssh_keys()),
    ]:
        expect(f"no {name} are left", len(left), 0)


def life(client, name, thing, kind, listing, field, wanted, parent=None):
    """One object: listed, read by id, changed, read back."""
    say(name)
    expect("listed", thing.id in [it.id for it in listing()], True)

    def read():
        return kind(client, thing.id, parent) if parent else client.load(kind, thing.id)

    expect("read by id", read().id, thing.id)
    setattr(thing, field, wanted)
    expect("saved", bool(thing.save()), True)
    expect(f"{field} read back", getattr(read(), field), wanted)


main(sys.argv[1])
