"""Sessions with boto3: its own providers, tags and typed errors. Prints ok at the end.

ISSUER is the URL of an issuer of web identities, TOKEN and OVER are tokens of it, of
which the second has expired."""

import json
import os
import sys
import tempfile

import boto3
import botocore.exceptions

PREFIX = os.environ["PREFIX"] + "-sessions"
ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}"
ISSUER = os.environ["ISSUER"]
iam, sts, secrets = (boto3.client(name) for name in ("iam", "sts", "secretsmanager"))


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


def policy(**statement):
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", **statement}})


def role(name, principal, action, **more):
    iam.create_role(RoleName=f"{PREFIX}-{name}", AssumeRolePolicyDocument=policy(Principal=principal, Action=action, **more))
    iam.put_role_policy(RoleName=f"{PREFIX}-{name}", PolicyName="team", PolicyDocument=policy(
        Action="secretsmanager:GetSecretValue", Resource="*",
        Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}))


def client(credentials, name="secretsmanager"):
    return boto3.client(name, aws_access_key_id=credentials["AccessKeyId"],
                        aws_secret_access_key=credentials["SecretAccessKey"], aws_session_token=credentials["SessionToken"])


def by_tag():
    """A session tag says whose secrets a session reads."""
    for team in "red", "blue":
        secrets.create_secret(Name=f"{PREFIX}-{team}", SecretString=team, Tags=[{"Key": "team", "Value": team}])
    role("tagged", {"AWS": ACCOUNT}, ["sts:AssumeRole", "sts:TagSession"])
    made = sts.assume_role(RoleArn=f"{ROLE}-tagged", RoleSessionName="s1", Tags=[{"Key": "Team", "Value": "red"}], TransitiveTagKeys=["team"])
    check("a part of what there is room for", 0 < made["PackedPolicySize"] < 100)
    session = client(made["Credentials"])
    check("its own team's secret", session.get_secret_value(SecretId=f"{PREFIX}-red")["SecretString"] == "red")
    refused(botocore.exceptions.ClientError, "AccessDeniedException", session.get_secret_value, SecretId=f"{PREFIX}-blue")


def typed_errors():
    ask = {"RoleArn": f"{ROLE}-tagged", "RoleSessionName": "s1"}
    refused(sts.exceptions.MalformedPolicyDocumentException, "invalid Json", sts.assume_role, Policy="{", **ask)
    refused(sts.exceptions.PackedPolicyTooLargeException, "allotted space", sts.assume_role, Policy=policy(Action="s3:*", Resource="*") + " " * 2048, **ask)
    refused(botocore.exceptions.ClientError, "(InvalidParameterValue)", sts.assume_role, Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}], **ask)
    iam.put_role_policy(RoleName=f"{PREFIX}-tagged", PolicyName="chain", PolicyDocument=policy(Action="sts:AssumeRole", Resource=f"{ROLE}-tagged"))
    refused(botocore.exceptions.ClientError, "1 hour session limit for roles assumed by role chaining",
            client(sts.assume_role(**ask)["Credentials"], "sts").assume_role, DurationSeconds=3601, **ask)
    refused(sts.exceptions.InvalidAuthorizationMessageException, "Message is not valid", sts.decode_authorization_message, EncodedMessage="x")


def web_identity():
    """A token in a file is all the credentials that a pod or a job has."""
    host = ISSUER.removeprefix("https://")
    provider = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["ci"])["OpenIDConnectProviderArn"]
    role("ci", {"Federated": provider}, "sts:AssumeRoleWithWebIdentity", Condition={"StringEquals": {host + ":sub": "repo:shop:main"}})
    iam.tag_role(RoleName=f"{PREFIX}-ci", Tags=[{"Key": "team", "Value": "blue"}])
    ask = {"RoleArn": f"{ROLE}-ci", "RoleSessionName": "job"}
    refused(sts.exceptions.ExpiredTokenException, "Token expired: current date/time", sts.assume_role_with_web_identity, WebIdentityToken=os.environ["OVER"], **ask)
    refused(sts.exceptions.InvalidIdentityTokenException, "not a valid JWT", sts.assume_role_with_web_identity, WebIdentityToken="ya29.x", **ask)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(os.environ["TOKEN"])
        file.flush()
        for name in "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY":
            del os.environ[name]
        os.environ.update(AWS_WEB_IDENTITY_TOKEN_FILE=file.name, AWS_ROLE_ARN=f"{ROLE}-ci", AWS_ROLE_SESSION_NAME="job")
        job = boto3.Session()
        check("the role's session", job.client("sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{PREFIX}-ci/job")
        check("its team's secret", job.client("secretsmanager").get_secret_value(SecretId=f"{PREFIX}-blue")["SecretString"] == "blue")


by_tag()
typed_errors()
web_identity()
print("ok")
