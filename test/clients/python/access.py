"""Who may do what, with boto3 and the policies of docs/access.md. Prints ok at the end."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import struct
import sys
import time

import boto3
import botocore.exceptions

PREFIX = os.environ["PREFIX"]
ACCOUNT = "111111111111"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
admin = boto3.Session()
iam, secrets, sts, organizations, kms = (admin.client(name) for name in ("iam", "secretsmanager", "sts", "organizations", "kms"))


def check(what, true):
    if not true:
        sys.exit(f"expected: {what}")


def refused(code, text, call, **arguments):
    """Calls an operation that must be refused with a code, and a text that has this part."""
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as e:
        check(f"{code} {text!r}, got {e}", e.response["Error"]["Code"] == code and text in str(e))
        return
    sys.exit(f"expected: {call.__name__} is refused: {code} {text}")


def because(action, why="identity-based"):
    return f"because no {why} policy allows the {action} action"


def explicit(why):
    return f"with an explicit deny in {why} policy"


def documented(name, **replacements):
    text = pathlib.Path(os.environ["POLICIES"], name + ".json").read_text()
    for old, new in replacements.items():
        check(f"{old} in {name}", old in text)
        text = text.replace(old, new)
    return text


def allow(*actions, resource="*", effect="Allow"):
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": actions, "Resource": resource}})


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["sts:AssumeRole", "sts:TagSession"]}})


def user(name, policy, tags=(), made_by=iam):
    """A user's own session, with a long-lived key."""
    name = f"{PREFIX}-{name}"
    made_by.create_user(UserName=name, Tags=[{"Key": k, "Value": v} for k, v in dict(tags).items()])
    if policy:
        made_by.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
    key = made_by.create_access_key(UserName=name)["AccessKey"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])


def role(name, policy, trusted=ACCOUNT, made_by=iam):
    """A role's ARN."""
    made = made_by.create_role(RoleName=f"{PREFIX}-{name}", AssumeRolePolicyDocument=trust(trusted))
    made_by.put_role_policy(RoleName=f"{PREFIX}-{name}", PolicyName="own", PolicyDocument=policy)
    return made["Role"]["Arn"]


def assume(arn, by=admin, **more):
    made = by.client("sts").assume_role(RoleArn=arn, RoleSessionName="s1", **more)["Credentials"]
    return boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def secret(name, **more):
    return secrets.create_secret(Name=f"{PREFIX}/{name}", SecretString="hunter2", **more)["ARN"]


def value(session, arn):
    return session.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]


def refuse_value(session, arn, text):
    refused("AccessDeniedException", text, session.client("secretsmanager").get_secret_value, SecretId=arn)


def developer():
    arn = secret("developer")
    ann = user("developer", documented("a-developer-who-sees-what-there-is-and-reads-nothing"))
    own = ann.client("secretsmanager")
    listed = own.list_secrets(Filters=[{"Key": "name", "Values": [PREFIX + "/developer"]}])["SecretList"]
    check("a developer lists", [s["ARN"] for s in listed] == [arn])
    check("a developer sees", own.describe_secret(SecretId=arn)["Name"] == PREFIX + "/developer")
    refuse_value(ann, arn, f"{PREFIX}-developer is not authorized to perform: secretsmanager:GetSecretValue on resource: {arn} "
                 + because("secretsmanager:GetSecretValue"))
    refused("AccessDeniedException", because("secretsmanager:BatchGetSecretValue"), own.batch_get_secret_value, SecretIdList=[arn])
    refused("AccessDeniedException", because("secretsmanager:UpdateSecret"), own.update_secret, SecretId=arn, Description="mine")
    refused("AccessDeniedException", because("secretsmanager:PutResourcePolicy"), own.put_resource_policy, SecretId=arn,
            ResourcePolicy=documented("a-secret-that-only-one-role-reads-whatever-else-is-allowed"))
    refused("AccessDenied", because("iam:PutUserPolicy"), ann.client("iam").put_user_policy,
            UserName=f"{PREFIX}-developer", PolicyName="more", PolicyDocument=allow("*"))


def pipeline():
    arn = secret("pipeline")
    ci = user("pipeline", documented("a-pipeline-that-writes-and-never-reads", **{"secret:ci/*": f"secret:{PREFIX}/*"}))
    ci.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="next")
    refuse_value(ci, arn, explicit("an identity-based"))
    check("the pipeline wrote", value(admin, arn) == "next")


def session_policy():
    one, two = secret("session/one"), secret("session/two")
    wide = role("wide", allow("secretsmanager:*"))
    narrow = assume(wide, Policy=allow("secretsmanager:GetSecretValue", resource=one))
    check("what both allow", value(narrow, one) == "hunter2")
    check("what the role has without", value(assume(wide), two) == "hunter2")
    refuse_value(narrow, two, because("secretsmanager:GetSecretValue", "session"))
    refused("AccessDeniedException", because("secretsmanager:DescribeSecret", "session"),
            narrow.client("secretsmanager").describe_secret, SecretId=one)
    more = assume(wide, Policy=allow("*"))
    refused("AccessDenied", because("iam:ListUsers"), more.client("iam").list_users)
    readonly = assume(wide, PolicyArns=[{"arn": "arn:aws:iam::aws:policy/SecurityAudit"}])
    refuse_value(readonly, one, because("secretsmanager:GetSecretValue", "session"))
    refuse_value(assume(wide, Policy=allow("*", effect="Deny")), one, explicit("a session"))


def deny():
    arn, app = secret("deny"), role("only", allow("secretsmanager:*"))
    policy = documented("a-secret-that-only-one-role-reads-whatever-else-is-allowed", **{f"arn:aws:iam::{ACCOUNT}:role/app": app})
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=policy, BlockPublicPolicy=True)
    check("the one role reads", value(assume(app), arn) == "hunter2")
    refuse_value(admin, arn, explicit("a resource-based"))
    secrets.delete_resource_policy(SecretId=arn)
    check("nobody is denied any more", value(admin, arn) == "hunter2")
    bob, group = user("denied", allow("*")), PREFIX + "-denied"
    iam.create_group(GroupName=group)
    iam.put_group_policy(GroupName=group, PolicyName="no", PolicyDocument=allow("secretsmanager:Get*", effect="Deny"))
    check("allowed before", value(bob, arn) == "hunter2")
    iam.add_user_to_group(GroupName=group, UserName=PREFIX + "-denied")
    refuse_value(bob, arn, explicit("an identity-based"))


def boundary():
    arn, name = secret("boundary"), PREFIX + "-bounded"
    bob = user("bounded", allow("*"))
    check("allowed before", value(bob, arn) == "hunter2")
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary="arn:aws:iam::aws:policy/SecurityAudit")
    bob.client("secretsmanager").describe_secret(SecretId=arn)
    refuse_value(bob, arn, because("secretsmanager:GetSecretValue", "permissions boundary").replace("boundary policy", "boundary"))
    refused("AccessDenied", "permissions boundary", bob.client("iam").delete_user_permissions_boundary, UserName=name)


def team_administrator():
    edge = iam.create_policy(PolicyName=PREFIX + "-edge", PolicyDocument=allow("secretsmanager:*"))["Policy"]["Arn"]
    lead = user("lead", documented("administrators-of-a-team-who-cannot-make-themselves-more",
                                   **{f"arn:aws:iam::{ACCOUNT}:policy/team-boundary": edge, "role/team/*": f"role/team/{PREFIX}-*"}))
    own, name, made = lead.client("iam"), PREFIX + "-made", {"Path": "/team/", "AssumeRolePolicyDocument": trust(ACCOUNT)}
    refused("AccessDenied", because("iam:CreateRole"), own.create_role, RoleName=name, **made)
    refused("AccessDenied", because("iam:CreateRole"), own.create_role, RoleName=name, PermissionsBoundary=ADMINISTRATOR, **made)
    own.create_role(RoleName=name, PermissionsBoundary=edge, **made)
    own.attach_role_policy(RoleName=name, PolicyArn=ADMINISTRATOR)
    refused("AccessDenied", because("iam:DeleteRolePermissionsBoundary"), own.delete_role_permissions_boundary, RoleName=name)
    refused("AccessDenied", because("iam:UpdateAssumeRolePolicy"), own.update_assume_role_policy, RoleName=name, PolicyDocument=trust("*"))
    refused("AccessDenied", because("iam:CreatePolicyVersion"), own.create_policy_version, PolicyArn=edge,
            PolicyDocument=allow("*"), SetAsDefault=True)
    made = assume(f"arn:aws:iam::{ACCOUNT}:role/team/{name}")
    made.client("secretsmanager").list_secrets(MaxResults=1)
    refused("AccessDenied", "no permissions boundary allows the iam:ListUsers action", made.client("iam").list_users)


def team_tags():
    policy = documented("a-team-s-secrets-by-tag")
    red, blue, none = (user(name, policy, tags) for name, tags in
                       (("red", {"team": "red"}), ("blue", {"team": "blue"}), ("teamless", {})))
    own = red.client("secretsmanager")
    arn = own.create_secret(Name=PREFIX + "/red", SecretString="red", Tags=[{"Key": "team", "Value": "red"}])["ARN"]
    check("the team reads", value(red, arn) == "red")
    for other in (blue, none):
        refuse_value(other, arn, because("secretsmanager:GetSecretValue"))
    refused("AccessDeniedException", because("secretsmanager:CreateSecret"), own.create_secret,
            Name=PREFIX + "/blue", SecretString="x", Tags=[{"Key": "team", "Value": "blue"}])
    refused("AccessDeniedException", because("secretsmanager:CreateSecret"), own.create_secret, Name=PREFIX + "/untagged", SecretString="x")
    refused("AccessDeniedException", explicit("an identity-based"), blue.client("secretsmanager").tag_resource,
            SecretId=arn, Tags=[{"Key": "team", "Value": "blue"}])
    tagged = role("tagged", policy)
    check("a session's tag counts", value(assume(tagged, Tags=[{"Key": "team", "Value": "red"}]), arn) == "red")
    refuse_value(assume(tagged, Tags=[{"Key": "team", "Value": "blue"}]), arn, because("secretsmanager:GetSecretValue"))


def network():
    arn = secret("network")
    far = user("far", allow("*"))
    iam.put_user_policy(UserName=PREFIX + "-far", PolicyName="network", PolicyDocument=documented("only-from-your-network-only-over-tls"))
    refuse_value(far, arn, explicit("an identity-based"))
    iam.put_user_policy(UserName=PREFIX + "-far", PolicyName="network",
                        PolicyDocument=documented("only-from-your-network-only-over-tls", **{"10.0.0.0/8": "127.0.0.0/8"}))
    check("from the network", value(far, arn) == "hunter2")
    iam.put_user_policy(UserName=PREFIX + "-far", PolicyName="network", PolicyDocument=documented("only-from-your-network-only-over-tls-2"))
    refuse_value(far, arn, explicit("an identity-based"))


def leak():
    arn, name = secret("leak"), PREFIX + "-leaked"
    session = assume(role("leaked", allow("secretsmanager:*")))
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    check("before", value(session, arn) == "hunter2")
    iam.put_role_policy(RoleName=name, PolicyName="revoke",
                        PolicyDocument=documented("when-a-key-or-a-token-has-leaked", **{"2026-11-25T12:00:00Z": later}))
    refuse_value(session, arn, explicit("an identity-based"))


def simulated():
    arn, app = secret("simulated"), role("simulated", allow("secretsmanager:GetSecretValue"))
    answer = iam.simulate_principal_policy(PolicySourceArn=app, ResourceArns=[arn],
                                           ActionNames=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"])
    check("what would be decided", [a["EvalDecision"] for a in answer["EvaluationResults"]] == ["allowed", "implicitDeny"])


def code(seed, step):
    mac = hmac.digest(base64.b32decode(seed), struct.pack(">Q", step), hashlib.sha1)
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06}"


def second_factor():
    arn, name = secret("factor"), PREFIX + "-factor"
    ann = user("factor", documented("a-second-factor-for-what-cannot-be-undone"))
    iam.attach_user_policy(UserName=name, PolicyArn=ADMINISTRATOR)
    check("reading needs none", value(ann, arn) == "hunter2")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]
    now = int(time.time()) // 30
    iam.enable_mfa_device(UserName=name, SerialNumber=device["SerialNumber"],
                          AuthenticationCode1=code(device["Base32StringSeed"], now - 1), AuthenticationCode2=code(device["Base32StringSeed"], now))
    for factor in ({}, {"SerialNumber": device["SerialNumber"], "TokenCode": code(device["Base32StringSeed"], now + 1)}):
        made = ann.client("sts").get_session_token(**factor)["Credentials"]
        session = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]).client("secretsmanager")
        if not factor:
            for client in (session, ann.client("secretsmanager")):
                refused("AccessDeniedException", explicit("an identity-based"), client.delete_secret, SecretId=arn)
    session.delete_secret(SecretId=arn)
    refused("AccessDenied", "MultiFactorAuthentication failed", ann.client("sts").get_session_token, **factor)


def documented_key(other):
    return documented("a-key-that-another-account-uses", **{"222222222222": other})


def accounts():
    """What another account does with a secret of ours, once both sides allow it."""
    status = organizations.create_account(AccountName=PREFIX, Email=PREFIX.lower() + "@example.com")["CreateAccountStatus"]
    other = status["AccountId"]
    inside = assume(f"arn:aws:iam::{other}:role/OrganizationAccountAccessRole")
    key = kms.create_key(Policy=documented_key(other))["KeyMetadata"]["Arn"]
    arn = secrets.create_secret(Name=PREFIX + "/shared", SecretString="hunter2", KmsKeyId=key)["ARN"]
    theirs = role("reader", allow("iam:*"), trusted=other, made_by=inside.client("iam"))
    app = assume(theirs, by=inside)
    ask = app.client("secretsmanager").describe_secret
    refused("AccessDeniedException", "secretsmanager:DescribeSecret on resource: " + arn, ask, SecretId=arn)
    policy = documented("a-secret-that-another-account-reads", **{"arn:aws:iam::222222222222:role/app": theirs})
    policy = policy.replace('"secretsmanager:GetSecretValue"', '["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]')
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=policy, BlockPublicPolicy=True)
    refused("AccessDeniedException", because("secretsmanager:DescribeSecret"), ask, SecretId=arn)
    inside.client("iam").put_role_policy(RoleName=PREFIX + "-reader", PolicyName="own",
                                         PolicyDocument=allow("secretsmanager:*", resource=arn))
    check("both sides allow", ask(SecretId=arn)["ARN"] == arn)
    refused("AccessDeniedException", "Access to KMS is not allowed", app.client("secretsmanager").get_secret_value, SecretId=arn)
    inside.client("iam").put_role_policy(RoleName=PREFIX + "-reader", PolicyName="key", PolicyDocument=allow("kms:Decrypt", resource=key))
    check("the value, too", value(app, arn) == "hunter2")
    refused("ResourceNotFoundException", "can't find", inside.client("secretsmanager").describe_secret, SecretId=PREFIX + "/shared")
    refused("AccessDeniedException", because("secretsmanager:PutSecretValue", "resource-based"),
            app.client("secretsmanager").put_secret_value, SecretId=arn, SecretString="theirs")
    refused("AccessDeniedException", because("secretsmanager:DescribeSecret", "resource-based"),
            inside.client("secretsmanager").describe_secret, SecretId=arn)
    secrets.delete_resource_policy(SecretId=arn)
    refused("AccessDeniedException", because("secretsmanager:DescribeSecret", "resource-based"), ask, SecretId=arn)


for step in (developer, pipeline, session_policy, deny, boundary, team_administrator, team_tags, network, leak,
             simulated, second_factor, accounts):
    step()
print("ok")
