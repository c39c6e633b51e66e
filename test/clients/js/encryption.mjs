// Encrypts with the AWS Encryption SDK for JavaScript under keys of KMS.
//
// It reads nothing but the SDK's own environment variables and PREFIX. It prints "ok" last and exits with 0, or prints what
// was expected and exits with 1; it never prints a credential.

import * as kms from "@aws-sdk/client-kms";
import { KmsKeyringNode, buildClient, CommitmentPolicy } from "@aws-crypto/client-node";
import { holds } from "./expect.mjs";

const client = new kms.KMSClient({});
const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const text = Buffer.from("a text that nobody else may read".repeat(1000));
const context = { app: process.env.PREFIX };

async function newKey() {
  return (await client.send(new kms.CreateKeyCommand({}))).KeyMetadata.Arn;
}

async function refusedWith(name, call) {
  const error = await call.then(() => null, (e) => e);
  holds(error?.name === name, `${name}, got ${error?.name ?? "no error"}`);
}

try {
  const key = await newKey();
  const keyring = new KmsKeyringNode({ generatorKeyId: key });
  const { result } = await encrypt(keyring, text, { encryptionContext: context });
  const { plaintext, messageHeader } = await decrypt(keyring, result);
  holds(plaintext.equals(text), "the text");
  holds(messageHeader.encryptionContext.app === context.app, "the context");
  await client.send(new kms.DisableKeyCommand({ KeyId: key }));
  const opened = await decrypt(keyring, result).then(() => true, () => false);
  holds(!opened, "a disabled key opens nothing");

  const made = await client.send(new kms.GenerateDataKeyCommand({ KeyId: await newKey(), KeySpec: "AES_256", EncryptionContext: context }));
  const back = await client.send(new kms.DecryptCommand({ CiphertextBlob: made.CiphertextBlob, EncryptionContext: context }));
  holds(Buffer.from(back.Plaintext).equals(Buffer.from(made.Plaintext)), "the data key");
  await refusedWith("InvalidCiphertextException", client.send(new kms.DecryptCommand({ CiphertextBlob: made.CiphertextBlob })));
  console.log("ok");
} catch (error) {
  console.log(error.message);
  process.exitCode = 1;
}
