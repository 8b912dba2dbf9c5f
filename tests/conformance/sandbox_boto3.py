"""boto3 against the sandbox: tables, replicas, and items both ways. Argument: the sandbox's URL."""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from checks import expect, later, refused, say, until

HOME, AWAY = "us-east-1", "eu-west-1"
NAME = "conformance_items"


def client(url, region):
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
    )


def main(url):
    home, away = client(url, HOME), client(url, AWAY)

    say("tables")
    made = home.create_table(
        TableName=NAME,
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "at", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
        Tags=[{"Key": "made-by", "Value": "boto3"}],
    )["TableDescription"]
    expect("a table is made, not at once", made["TableStatus"], "CREATING")
    home.get_waiter("table_exists").wait(
        TableName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    table = home.describe_table(TableName=NAME)["Table"]
    expect("boto3's waiter sees it active", table["TableStatus"], "ACTIVE")
    expect("its key", [it["AttributeName"] for it in table["KeySchema"]], ["id", "at"])
    expect("its list", home.list_tables()["TableNames"], [NAME])
    expect("its list elsewhere", away.list_tables()["TableNames"], [])
    arn = table["TableArn"]
    expect("its region in its ARN", arn.split(":")[3], HOME)
    expect("its tags", tags_of(home, arn), [{"Key": "made-by", "Value": "boto3"}])
    refused(
        "the same table again",
        lambda: home.create_table(
            TableName=NAME,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        ),
        home.exceptions.ResourceInUseException,
    )
    refused(
        "a table that is not there",
        lambda: away.describe_table(TableName=NAME),
        away.exceptions.ResourceNotFoundException,
    )

    say("settings")
    home.update_table(TableName=NAME, DeletionProtectionEnabled=True)
    until("deletion protection", lambda: described(home)["DeletionProtectionEnabled"])
    refused(
        "a protected table is not deleted",
        lambda: home.delete_table(TableName=NAME),
        ClientError,
        "deletion",
    )
    settle(home)
    refused(
        "protection is not lifted so soon",
        lambda: home.update_table(TableName=NAME, DeletionProtectionEnabled=False),
        ClientError,
        "too recently",
    )
    lift = lambda: home.update_table(TableName=NAME, DeletionProtectionEnabled=False)
    later("but later", lift, "too recently")
    until("protection lifted", lambda: not described(home)["DeletionProtectionEnabled"])
    settle(home)
    home.update_continuous_backups(
        TableName=NAME, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    until("point-in-time recovery", lambda: recovery(home) == "ENABLED")
    home.update_time_to_live(
        TableName=NAME, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    until("time to live", lambda: to_live(home)["TimeToLiveStatus"] == "ENABLED")
    home.tag_resource(ResourceArn=arn, Tags=[{"Key": "more", "Value": "1"}])
    untag = lambda: home.untag_resource(ResourceArn=arn, TagKeys=["made-by"])
    later("a tag is set, then one is taken away", untag, "being updated")
    until("its tags again", lambda: tags_of(home, arn) == [{"Key": "more", "Value": "1"}])

    say("a replica")
    settle(home)
    streamed = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    home.update_table(TableName=NAME, StreamSpecification=streamed)
    settle(home)
    home.update_table(TableName=NAME, ReplicaUpdates=[{"Create": {"RegionName": AWAY}}])
    until("it is active", lambda: replicas(home).get(AWAY) == "ACTIVE")
    settle(home)
    until("each member names the other", lambda: replicas(away).get(HOME) == "ACTIVE")
    expect("it is a table there", away.list_tables()["TableNames"], [NAME])

    say("items")
    item = {
        "id": {"S": "größe"},
        "at": {"N": "1"},
        "price": {"N": "12.50"},
        "tags": {"SS": ["a", "b"]},
        "blob": {"B": b"\x00\xff"},
        "deep": {"M": {"list": {"L": [{"BOOL": True}, {"NULL": True}]}}},
    }
    home.put_item(TableName=NAME, Item=item)
    key = {"id": {"S": "größe"}, "at": {"N": "1"}}
    read = home.get_item(TableName=NAME, Key=key, ConsistentRead=True)["Item"]
    expect("an item as it was put", normal(read), normal({**item, "price": {"N": "12.5"}}))
    until("home's item arrives away", lambda: "Item" in away.get_item(TableName=NAME, Key=key))
    away.update_item(
        TableName=NAME,
        Key=key,
        UpdateExpression="SET price = :p ADD seen :one",
        ExpressionAttributeValues={":p": {"N": "13"}, ":one": {"N": "1"}},
    )
    until("away's change arrives at home", lambda: price(home, key) == "13")
    refused(
        "a condition that does not hold",
        lambda: home.put_item(
            TableName=NAME, Item=item, ConditionExpression="attribute_not_exists(id)"
        ),
        home.exceptions.ConditionalCheckFailedException,
    )
    away.batch_write_item(RequestItems={NAME: [put(n) for n in range(2, 7)]})
    until("five more arrive", lambda: home.scan(TableName=NAME, Select="COUNT")["Count"] == 6)
    page = home.query(
        TableName=NAME,
        KeyConditionExpression="id = :id AND #at > :n",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues={":id": {"S": "many"}, ":n": {"N": "3"}},
        ScanIndexForward=False,
        Limit=2,
    )
    expect("a query in order, one page", [it["at"]["N"] for it in page["Items"]], ["6", "5"])
    expect("and where the next begins", page["LastEvaluatedKey"]["at"], {"N": "5"})
    home.delete_item(TableName=NAME, Key=key)
    gone = lambda: "Item" not in away.get_item(TableName=NAME, Key=key)
    until("an item deleted at home goes away", gone)

    say("and away again")
    settle(home)
    home.update_table(TableName=NAME, ReplicaUpdates=[{"Delete": {"RegionName": AWAY}}])
    until("the replica is gone", lambda: AWAY not in replicas(home))
    until("and its table", lambda: away.list_tables()["TableNames"] == [])
    settle(home)
    home.delete_table(TableName=NAME)
    home.get_waiter("table_not_exists").wait(
        TableName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    expect("nothing is left", home.list_tables()["TableNames"], [])


def described(client):
    return client.describe_table(TableName=NAME)["Table"]


def tags_of(client, arn):
    return client.list_tags_of_resource(ResourceArn=arn)["Tags"]


def settle(client):
    until("(settled)", lambda: described(client)["TableStatus"] == "ACTIVE")


def replicas(client):
    found = described(client).get("Replicas", [])
    return {it["RegionName"]: it.get("ReplicaStatus") for it in found}


def recovery(client):
    found = client.describe_continuous_backups(TableName=NAME)["ContinuousBackupsDescription"]
    return found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]


def to_live(client):
    return client.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]


def price(client, key):
    return client.get_item(TableName=NAME, Key=key)["Item"]["price"]["N"]


def put(number):
    return {"PutRequest": {"Item": {"id": {"S": "many"}, "at": {"N": str(number)}}}}


def normal(item):
    return {
        name: {kind: sorted(value) if kind in ("SS", "NS", "BS") else value}
        for name, typed in item.items()
        for kind, value in typed.items()
    }


main(sys.argv[1])
