"""KMS, with boto3 and the AWS Encryption SDK for Python. Prints ok at the end."""

import os
import sys

import aws_encryption_sdk
import boto3
import botocore.exceptions

PREFIX = os.environ["PREFIX"]
kms = boto3.client("kms")


def check(what, true):
    if not true:
        sys.exit(f"expected: {what}")


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as e:
        check(f"{code}, got {e}", e.response["Error"]["Code"] == code)
        return
    sys.exit(f"expected: {call.__name__} is refused with {code}")


def direct():
    """What a context binds: the same pairs in whatever order open, others do not."""
    key = kms.create_key()["KeyMetadata"]["Arn"]
    context = {"app": "shop", "stage": "prod"}
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"stage": "prod", "app": "shop"})
    check("the data key", opened["Plaintext"] == made["Plaintext"] and opened["KeyId"] == key)
    for other in ({}, {"app": "shop"}, {**context, "more": ""}, {"app": "prod", "stage": "shop"}):
        refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=made["CiphertextBlob"], EncryptionContext=other)
    try:
        kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context, DryRun=True)
        sys.exit("expected: a dry run")
    except kms.exceptions.DryRunOperationException:
        pass
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    try:
        kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
        sys.exit("expected: a key that is pending deletion")
    except kms.exceptions.KMSInvalidStateException:
        pass


def sdk():
    """The SDK's messages, under two keys of which either opens."""
    one, two = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    client = aws_encryption_sdk.EncryptionSDKClient()
    both = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[one, two])
    text, context = b"a text that nobody else may read" * 1000, {"app": PREFIX}
    message, _ = client.encrypt(source=text, key_provider=both, encryption_context=context)
    kms.disable_key(KeyId=one)
    opened, header = client.decrypt(source=message, key_provider=aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[two]))
    check("the text", opened == text)
    check("the context", context.items() <= header.encryption_context.items())
    kms.disable_key(KeyId=two)
    try:
        client.decrypt(source=message, key_provider=both)
        sys.exit("expected: no key opens the message")
    except aws_encryption_sdk.exceptions.DecryptKeyError:
        pass


direct()
sdk()
print("ok")
