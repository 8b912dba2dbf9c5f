"""What boto3 finds at a peer after lifeboat made a table there, and items both ways.

Arguments: the peer's URL, the table's name, its home region, and the regions of its replicas.
"""

import sys

import boto3
from botocore.config import Config
from checks import expect, say, until


def main(url, name, home, *others):
    def client(region):
        return boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
        )

    at = {region: client(region) for region in (home, *others)}

    say("what lifeboat made")
    table = at[home].describe_table(TableName=name)["Table"]
    expect("it is active", table["TableStatus"], "ACTIVE")
    expect("its key", [it["AttributeName"] for it in table["KeySchema"]], ["id"])
    expect("its billing", table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
    tags = at[home].list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    tags = {it["Key"]: it["Value"] for it in tags}
    expect("its tag", tags.get("made-by"), "lifeboat")
    # Emulators list the asking member among its own replicas; the real API does not.
    members = {it["RegionName"] for it in table.get("Replicas", [])} - {home}
    expect("its replicas", members, set(others))

    say("items")
    for number, (region, here) in enumerate(at.items()):
        key = {"id": {"S": f"from-{region}"}}
        here.put_item(TableName=name, Item={**key, "number": {"N": str(number)}})
        for other, there in at.items():
            read = lambda: there.get_item(TableName=name, Key=key).get("Item", {}).get("number")
            until(f"{region} to {other}", lambda: read() == {"N": str(number)})


main(*sys.argv[1:])
