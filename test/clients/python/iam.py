"""What boto3 does with IAM beyond users and groups: roles, identity providers,
MFA devices, passwords, the simulator and what an account tells of itself."""

import base64
import csv
import hashlib
import hmac
import io
import json
import os
import struct
import time

import boto3
from botocore.exceptions import ClientError

prefix = os.environ["PREFIX"]
iam = boto3.client("iam")
account = boto3.client("sts").get_caller_identity()["Account"]


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == (code, status), e
    else:
        raise AssertionError(f"{call.__name__} was not refused with {code}")


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def trust(principal, action="sts:AssumeRole"):
    return document({"Effect": "Allow", "Principal": principal, "Action": action})


def code(seed, step):
    digest = hmac.new(seed, struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06}"


user = iam.create_user(UserName=prefix, Path="/py/")["User"]
key = iam.create_access_key(UserName=prefix)["AccessKey"]
as_user = boto3.client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])


def providers():
    url = f"https://issuer.example.com:8443/{prefix}"
    made = iam.create_open_id_connect_provider(Url=url, ClientIDList=["a"], Tags=[{"Key": "k", "Value": "v"}])
    arn = made["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{account}:oidc-provider/{url[8:]}" and made["Tags"], made
    refused("EntityAlreadyExists", 409, iam.create_open_id_connect_provider, Url=url)
    refused("ValidationError", 400, iam.create_open_id_connect_provider, Url="http://issuer.example.com")
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["a" * 40])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["k"])
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (got["Url"], got["ClientIDList"], got["ThumbprintList"]) == (url, ["b"], ["a" * 40]), got
    assert {"Arn": arn} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return arn


def roles(provider):
    name = prefix
    policy = trust({"AWS": user["Arn"]})
    policy["Statement"].append(trust({"Federated": provider}, "sts:AssumeRoleWithWebIdentity")["Statement"][0])
    refused("MalformedPolicyDocument", 400, iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(trust({"AWS": user["Arn"] + "x"})))
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy), Description="a role", MaxSessionDuration=7200)["Role"]
    assert made["AssumeRolePolicyDocument"] == policy and "MaxSessionDuration" not in made, made
    got = iam.get_role(RoleName=name)["Role"]
    assert got["MaxSessionDuration"] == 7200 and got["RoleLastUsed"] == {} and got["Description"] == "a role", got
    iam.update_role(RoleName=name)
    assert iam.get_role(RoleName=name)["Role"]["MaxSessionDuration"] == 3600
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust({"AWS": account})))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document(allow("kms:Decrypt"))))
    assert name in [r["RoleName"] for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1}) for r in page["Roles"]]
    refused("DeleteConflict", 409, iam.delete_role, RoleName=name)
    assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    return got["Arn"]


def service_roles():
    service = "replication.secretsmanager.amazonaws.com"
    role = iam.create_service_linked_role(AWSServiceName=service)["Role"]
    refused("UnmodifiableEntity", 400, iam.delete_role, RoleName=role["RoleName"])
    task = iam.delete_service_linked_role(RoleName=role["RoleName"])["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    refused("NoSuchEntity", 404, iam.get_role, RoleName=role["RoleName"])


def devices():
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=prefix)["VirtualMFADevice"]
    assert device["QRCodePNG"].startswith(b"\x89PNG"), device["QRCodePNG"][:8]
    seed, serial, step = base64.b32decode(device["Base32StringSeed"]), device["SerialNumber"], int(time.time()) // 30
    codes = {"AuthenticationCode1": code(seed, step - 1), "AuthenticationCode2": code(seed, step)}
    refused("InvalidAuthenticationCode", 403, iam.enable_mfa_device, UserName=prefix, SerialNumber=serial, AuthenticationCode1=code(seed, step + 9), AuthenticationCode2=code(seed, step + 10))
    iam.enable_mfa_device(UserName=prefix, SerialNumber=serial, **codes)
    refused("InvalidAuthenticationCode", 403, iam.resync_mfa_device, UserName=prefix, SerialNumber=serial, **codes)
    assert [d["SerialNumber"] for d in iam.list_mfa_devices(UserName=prefix)["MFADevices"]] == [serial]
    listed = [d for d in iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] if d["SerialNumber"] == serial]
    assert listed[0]["User"]["UserName"] == prefix, listed
    # A session that a device has confirmed; the code is good for one.
    sts = boto3.client("sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    session = sts.get_session_token(SerialNumber=serial, TokenCode=code(seed, step + 1))["Credentials"]
    refused("AccessDenied", 403, sts.get_session_token, SerialNumber=serial, TokenCode=code(seed, step + 1))
    with_session = boto3.client("sts", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"], aws_session_token=session["SessionToken"])
    assert with_session.get_caller_identity()["Arn"] == user["Arn"]
    iam.deactivate_mfa_device(UserName=prefix, SerialNumber=serial)
    iam.delete_virtual_mfa_device(SerialNumber=serial)


def passwords():
    refused("PasswordPolicyViolation", 400, iam.create_login_profile, UserName=prefix, Password="password")
    iam.create_login_profile(UserName=prefix, Password="Correct-1-horse", PasswordResetRequired=True)
    new = "Battery-2-staple"
    refused("AccessDenied", 403, as_user.change_password, OldPassword="Correct-1-horse", NewPassword=new)
    iam.update_account_password_policy(MinimumPasswordLength=12, AllowUsersToChangePassword=True, MaxPasswordAge=90)
    refused("AccessDenied", 403, as_user.change_password, OldPassword="Correct-2-horse", NewPassword=new)
    as_user.change_password(OldPassword="Correct-1-horse", NewPassword=new)
    assert as_user.get_account_password_policy()["PasswordPolicy"]["ExpirePasswords"] is True
    assert iam.get_login_profile(UserName=prefix)["LoginProfile"]["PasswordResetRequired"] is False
    iam.delete_account_password_policy()
    refused("NoSuchEntity", 404, iam.get_account_password_policy)


def account_wide():
    iam.create_account_alias(AccountAlias="tests-of-boto3")
    assert iam.list_account_aliases()["AccountAliases"] == ["tests-of-boto3"]
    iam.delete_account_alias(AccountAlias="tests-of-boto3")
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["Users"] >= 2 and summary["UsersQuota"] == 5000, summary
    seen = set()
    for page in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 2}):
        seen |= {("user", u["UserName"]) for u in page["UserDetailList"]}
        seen |= {("role", r["RoleName"], json.dumps(r["RolePolicyList"])) for r in page["RoleDetailList"]}
    want = json.dumps([{"PolicyName": "p", "PolicyDocument": document(allow("kms:Decrypt"))}])
    assert {("user", prefix), ("role", prefix, want)} <= seen, seen
    while iam.generate_credential_report()["State"] != "COMPLETE":
        pass
    report = iam.get_credential_report()
    lines = list(csv.DictReader(io.StringIO(report["Content"].decode())))
    mine = [line for line in lines if line["user"] == prefix]
    assert lines[0]["user"] == "<root_account>" and (not mine or mine[0]["arn"] == user["Arn"]), lines


def simulations(role):
    keys = iam.get_context_keys_for_custom_policy(PolicyInputList=[json.dumps(document(allow("*", "arn:aws:s3:::${aws:username}/*")))])
    assert keys["ContextKeyNames"] == ["aws:username"], keys
    results = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["kms:Decrypt", "kms:Encrypt"], PolicyInputList=[json.dumps(document({**allow("kms:Encrypt"), "Effect": "Deny"}))]
    )["EvaluationResults"]
    assert [(r["EvalActionName"], r["EvalDecision"], r["MatchedStatements"][0]["SourcePolicyId"]) for r in results] == [
        ("kms:Decrypt", "allowed", f"role_{prefix}_p"), ("kms:Encrypt", "explicitDeny", "PolicyInputList.1"),
    ], results
    refused("InvalidInput", 400, iam.simulate_principal_policy, PolicySourceArn=f"arn:aws:sts::{account}:assumed-role/{prefix}/s", ActionNames=["kms:Decrypt"])


def clean(provider):
    iam.delete_role_policy(RoleName=prefix, PolicyName="p")
    iam.delete_role(RoleName=prefix)
    for _ in range(2):
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    refused("NoSuchEntity", 404, iam.get_open_id_connect_provider, OpenIDConnectProviderArn=provider)
    refused("DeleteConflict", 409, iam.delete_user, UserName=prefix)
    # What Terraform looks at before it deletes a user.
    assert iam.list_ssh_public_keys(UserName=prefix)["SSHPublicKeys"] == []
    assert iam.list_signing_certificates(UserName=prefix)["Certificates"] == []
    assert iam.list_service_specific_credentials(UserName=prefix)["ServiceSpecificCredentials"] == []
    iam.delete_login_profile(UserName=prefix)
    iam.delete_access_key(UserName=prefix, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=prefix)


provider = providers()
role = roles(provider)
service_roles()
devices()
passwords()
account_wide()
simulations(role)
clean(provider)
print("ok")
