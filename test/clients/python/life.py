"""The life of a secret, and whose it is, with boto3. Prints ok at the end."""

import datetime
import json
import os
import re
import sys
import urllib.request
import uuid

import boto3
import botocore.auth
import botocore.config
import botocore.exceptions

PREFIX = os.environ["PREFIX"]
secrets = boto3.client("secretsmanager")


def check(what, true):
    if not true:
        sys.exit(f"expected: {what}")


def refused(error, text, call, **arguments):
    """Calls an operation that must be refused with a typed error."""
    try:
        call(**arguments)
    except error as e:
        check(f"{text} in {e}", text in str(e))
        return
    sys.exit(f"expected: {call.__name__} is refused: {text}")


def values():
    name = PREFIX + "/test01"
    made = secrets.create_secret(Name=name, SecretString='{"username":"app","password":"pa55"}')
    got = secrets.get_secret_value(SecretId=name)
    fields = json.loads(got["SecretString"])
    check("username and password as fields", (fields["username"], fields["password"]) == ("app", "pa55"))
    check("an ARN with a suffix", re.search(r":secret:" + name + r"-[A-Za-z0-9]{6}$", got["ARN"]))
    check("the version that was made", got["VersionId"] == made["VersionId"] and got["VersionStages"] == ["AWSCURRENT"])
    age = datetime.datetime.now(datetime.timezone.utc) - got["CreatedDate"]
    check("a date of now", abs(age.total_seconds()) < 60)

    token = str(uuid.uuid4())
    for _ in range(2):
        put = secrets.put_secret_value(SecretId=got["ARN"], SecretString="second", ClientRequestToken=token)
        check("a repeated put is the same version", put["VersionId"] == token)
    refused(secrets.exceptions.ResourceExistsException, "already in use for a version", secrets.put_secret_value,
            SecretId=name, SecretString="other", ClientRequestToken=token)
    check("the first version by label", secrets.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["VersionId"] == made["VersionId"])

    every_byte = bytes(range(256))
    secrets.put_secret_value(SecretId=name, SecretBinary=every_byte)
    check("bytes come back", secrets.get_secret_value(SecretId=name)["SecretBinary"] == every_byte)
    for text in ("日本語 😀 \u0001 \t\" \\ \u2028", "x" * 65536, "あ" * 65536):
        secrets.put_secret_value(SecretId=name, SecretString=text)
        check("the text comes back", secrets.get_secret_value(SecretId=name)["SecretString"] == text)
    refused(botocore.exceptions.ClientError, "ValidationException", secrets.put_secret_value, SecretId=name, SecretString="x" * 65537)


def labels():
    name = PREFIX + "/labels"
    first = secrets.create_secret(Name=name, SecretString="first")["VersionId"]
    second = secrets.put_secret_value(SecretId=name, SecretString="second", VersionStages=["AWSPENDING"])["VersionId"]
    move = {"SecretId": name, "VersionStage": "AWSCURRENT", "MoveToVersionId": second}
    refused(secrets.exceptions.InvalidParameterException, "RemoveFromVersionId can't be empty",
            secrets.update_secret_version_stage, **move)
    secrets.update_secret_version_stage(**move, RemoveFromVersionId=first)
    stages = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    check("the labels after the move", {version: sorted(on) for version, on in stages.items()} ==
          {first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]})
    secrets.put_secret_value(SecretId=name, SecretString="third")
    listed = {v["VersionId"]: v for v in secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]}
    check("a deprecated version without labels", len(listed) == 3 and "VersionStages" not in listed[first])
    refused(secrets.exceptions.ResourceNotFoundException, "for staging label: missing",
            secrets.get_secret_value, SecretId=name, VersionStage="missing")


def metadata():
    name = PREFIX + "/metadata"
    secrets.create_secret(Name=name)
    described = secrets.describe_secret(SecretId=name)
    check("nothing said of what was never set", not {"Tags", "Description", "LastAccessedDate", "VersionIdsToStages"} & described.keys())
    secrets.update_secret(SecretId=name, Description="説明")
    secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    secrets.untag_resource(SecretId=name, TagKeys=["a"])
    described = secrets.describe_secret(SecretId=name)
    check("the description and the tag", (described["Description"], described["Tags"]) == ("説明", [{"Key": "b", "Value": "2"}]))
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": described["ARN"].split(":")[4]},
        "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]})
    secrets.put_resource_policy(SecretId=name, ResourcePolicy=policy, BlockPublicPolicy=True)
    check("a policy", "ResourcePolicy" in secrets.get_resource_policy(SecretId=name))
    refused(secrets.exceptions.MalformedPolicyDocumentException, "syntax error", secrets.put_resource_policy, SecretId=name, ResourcePolicy="{")
    secrets.delete_resource_policy(SecretId=name)
    check("no policy", "ResourcePolicy" not in secrets.get_resource_policy(SecretId=name))
    password = secrets.get_random_password(PasswordLength=20, ExcludePunctuation=True)["RandomPassword"]
    check("20 letters and digits", re.fullmatch("[A-Za-z0-9]{20}", password))


def lists():
    names = [f"{PREFIX}/list/{n:02}" for n in range(25)]
    for name in names:
        secrets.create_secret(Name=name, SecretString=name)
    pages = secrets.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "name", "Values": [PREFIX + "/list/"]}], PaginationConfig={"PageSize": 10})
    found = [s["Name"] for page in pages for s in page["SecretList"]]
    check("25 secrets over pages of 10", found == names)
    batch = secrets.batch_get_secret_value(SecretIdList=names[:3] + [PREFIX + "/missing"])
    check("three values", [v["SecretString"] for v in batch["SecretValues"]] == names[:3])
    check("one error", [e["ErrorCode"] for e in batch["Errors"]] == ["ResourceNotFoundException"])


def deletion():
    name = PREFIX + "/doomed"
    secrets.create_secret(Name=name, SecretString="x", Tags=[{"Key": "k", "Value": "v"}])
    secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    refused(secrets.exceptions.InvalidRequestException, "was marked for deletion", secrets.get_secret_value, SecretId=name)
    secrets.restore_secret(SecretId=name)
    check("tags are still there", secrets.describe_secret(SecretId=name)["Tags"] == [{"Key": "k", "Value": "v"}])
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    refused(secrets.exceptions.ResourceNotFoundException, "can't find the specified secret", secrets.get_secret_value, SecretId=name)


def error_code(client):
    try:
        client.list_secrets()
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return None


def identity():
    """Asks who it is, also by a URL that somebody else may fetch, as EKS and Vault have it."""
    sts = boto3.client("sts")
    me = sts.get_caller_identity()
    check("the administrator's ARN", me["Arn"] == f"arn:aws:iam::{me['Account']}:user/admin")
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:
        check("its ARN by a URL", f"<Arn>{me['Arn']}</Arn>" in answer.read().decode())
    as_json = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(as_json) as answer:
        told = json.load(answer)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
        check("its user id in JSON", told["UserId"] == me["UserId"])
    unsigned = boto3.client("sts", config=botocore.config.Config(signature_version=botocore.UNSIGNED))
    refused(botocore.exceptions.ClientError, "MissingAuthenticationToken", unsigned.get_caller_identity)


def strangers():
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    wrong = boto3.client("secretsmanager", aws_access_key_id=key, aws_secret_access_key="wrong" * 8)
    check("a wrong key is refused", error_code(wrong) == "InvalidSignatureException")
    unknown = boto3.client("secretsmanager", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=secret)
    check("an unknown key is refused", error_code(unknown) == "UnrecognizedClientException")
    token = boto3.client("secretsmanager", aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token="made-up")
    check("a made-up session is refused", error_code(token) == "UnrecognizedClientException")
    elsewhere = boto3.client("secretsmanager", region_name="eu-west-3")
    refused(botocore.exceptions.ClientError, "Credential should be scoped to a valid region", elsewhere.list_secrets)
    unsigned = boto3.client("secretsmanager", config=botocore.config.Config(signature_version=botocore.UNSIGNED))
    check("an unsigned call is refused", error_code(unsigned) == "MissingAuthenticationTokenException")


def clock_skew():
    """Signs with a clock that is wrong, as far as botocore lets one."""
    for minutes, text in ((-6, "Signature expired"), (6, "Signature not yet current")):
        moved = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(minutes=minutes)
        real = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: moved
        try:
            refused(botocore.exceptions.ClientError, text, boto3.client("secretsmanager").list_secrets)
        finally:
            botocore.auth.get_current_datetime = real


for step in (values, labels, metadata, lists, deletion, identity, strangers, clock_skew):
    step()
print("ok")
