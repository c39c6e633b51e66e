"""What is taken away through one of two nodes is gone on both, with boto3. Prints ok at the end."""

import json
import os
import sys

import boto3
import botocore.exceptions

PREFIX = os.environ["PREFIX"]
NODES = sys.argv[1:]
iams = [boto3.client("iam", endpoint_url=url) for url in NODES]
name = PREFIX + "-r"


def policy(effect):
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": "secretsmanager:*", "Resource": "*"}})


def clients(credentials):
    return [boto3.client("secretsmanager", endpoint_url=url, aws_access_key_id=credentials["AccessKeyId"],
                         aws_secret_access_key=credentials["SecretAccessKey"],
                         aws_session_token=credentials.get("SessionToken")) for url in NODES]


def expect(after, code, of):
    """Asks both nodes, which both have let the caller in before."""
    for node, client in enumerate(of):
        try:
            client.get_secret_value(SecretId=PREFIX)
            got = None
        except botocore.exceptions.ClientError as e:
            got = e.response["Error"]["Code"]
        if got != code:
            sys.exit(f"expected: {code} after {after} through node {node}, got {got}")


def assume(node):
    sts = boto3.client("sts", endpoint_url=NODES[node])
    return sts.assume_role(RoleArn=f"arn:aws:iam::111111111111:role/{name}", RoleSessionName="s1")["Credentials"]


def make_role():
    iams[0].create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}}))
    iams[1].put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy("Allow"))


boto3.client("secretsmanager", endpoint_url=NODES[0]).create_secret(Name=PREFIX, SecretString="hunter2")
iams[0].create_user(UserName=name)
iams[1].put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy("Allow"))
key = iams[0].create_access_key(UserName=name)["AccessKey"]
make_role()
user, session = clients(key), clients(assume(1))
expect("nothing", None, user)
expect("nothing", None, session)

for node, effect, code in ((0, "Deny", "AccessDeniedException"), (1, "Allow", None)):
    iams[node].put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(effect))
    iams[1 - node].put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(effect))
    expect(f"a policy that has {effect}", code, user)
    expect(f"a policy that has {effect}", code, session)

for node, status, code in ((0, "Inactive", "UnrecognizedClientException"), (1, "Active", None)):
    iams[node].update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status=status)
    expect(f"making the key {status}", code, user)

iams[0].delete_role_policy(RoleName=name, PolicyName="p")
iams[1].delete_role(RoleName=name)
expect("deleting the role", "UnrecognizedClientException", session)
make_role()
expect("making another of that name", "UnrecognizedClientException", session)
expect("making another of that name", None, clients(assume(0)))
print("ok")
