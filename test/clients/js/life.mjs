// Takes secrets through their whole life with the AWS SDK for JavaScript v3.
//
// It reads nothing but the SDK's own environment variables and PREFIX, with which the name of every secret begins. It
// prints "ok" last and exits with 0, or prints what was expected and exits with 1; it never prints a credential.

import * as sm from "@aws-sdk/client-secrets-manager";
import { equal, fails, failsWith, holds } from "./expect.mjs";

const prefix = process.env.PREFIX;
const name = `${prefix}/test01`;
const client = new sm.SecretsManagerClient({});

const firstValue = JSON.stringify({ username: "app", password: "pa55" });
const secondValue = JSON.stringify({ username: "app", password: "pa56" });

// The versions of the secret, in the order of their making: later steps use what earlier ones put here.
let first;
const second = crypto.randomUUID();

const day = 24 * 60 * 60 * 1000;

const listed = (i) => `${prefix}/list/${String(i + 1).padStart(2, "0")}`;
const describeSecret = () => client.send(new sm.DescribeSecretCommand({ SecretId: name }));
const getSecret = (input) => client.send(new sm.GetSecretValueCommand({ SecretId: name, ...input }));
const putSecret = (input) => client.send(new sm.PutSecretValueCommand({ SecretId: name, ...input }));
const remove = (id) => client.send(new sm.DeleteSecretCommand({ SecretId: id, ForceDeleteWithoutRecovery: true }));
const pairs = (tags) => (tags ?? []).map((t) => `${t.Key}=${t.Value}`).sort();

async function create() {
  const made = await client.send(new sm.CreateSecretCommand({
    Name: name,
    Description: "first description",
    SecretString: firstValue,
    Tags: [{ Key: "stage", Value: "test" }],
  }));
  first = made.VersionId;
  const fields = JSON.parse((await getSecret()).SecretString);
  holds(fields.username === "app" && fields.password === "pa55", "both fields as they were put");
  await fails(sm.ResourceExistsException, client.send(new sm.CreateSecretCommand({ Name: name, SecretString: secondValue })));
}

async function get() {
  const out = await getSecret();
  equal("name", out.Name, name);
  equal("version id", out.VersionId, first);
  equal("stages", out.VersionStages, ["AWSCURRENT"]);
  const [start, end] = out.ARN.split(name);
  holds(/^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:$/.test(start) && /^-[A-Za-z0-9]{6}$/.test(end), `an ARN that ends in -XXXXXX, got ${out.ARN}`);
  holds(out.CreatedDate instanceof Date && Math.abs(Date.now() - out.CreatedDate) < 60_000, `a date of creation within a minute of now, got ${out.CreatedDate}`);
  holds(out.SecretBinary === undefined, "no binary value");
}

async function put() {
  const out = await putSecret({ SecretString: secondValue, ClientRequestToken: second });
  equal("version id", out.VersionId, second);
  equal("stages", out.VersionStages, ["AWSCURRENT"]);
  for (const [input, want] of [
    [{}, secondValue],
    [{ VersionStage: "AWSCURRENT" }, secondValue],
    [{ VersionStage: "AWSPREVIOUS" }, firstValue],
    [{ VersionId: first }, firstValue],
    [{ VersionId: second, VersionStage: "AWSCURRENT" }, secondValue],
  ]) {
    const got = await getSecret(input);
    holds(got.SecretString === want, `the value of ${JSON.stringify(input)} as it was put`);
  }
}

async function putAgain() {
  const out = await putSecret({ SecretString: secondValue, ClientRequestToken: second });
  equal("version id", out.VersionId, second);
  await fails(sm.ResourceExistsException, putSecret({ SecretString: firstValue, ClientRequestToken: second }));
}

async function describe() {
  const out = await describeSecret();
  equal("description", out.Description, "first description");
  equal("stages", out.VersionIdsToStages, { [first]: ["AWSPREVIOUS"], [second]: ["AWSCURRENT"] });
  equal("tags", pairs(out.Tags), ["stage=test"]);
  // The service keeps the day of the last access, not the time of it.
  const accessed = Date.now() - out.LastAccessedDate;
  holds(accessed > -60_000 && accessed < day + 60_000, `to have been accessed today, got ${out.LastAccessedDate}`);
  holds(out.DeletedDate === undefined, "no date of deletion");
}

async function list() {
  const want = Array.from({ length: 25 }, (_, i) => listed(i));
  for (const [i, Name] of want.entries()) {
    await client.send(new sm.CreateSecretCommand({ Name, SecretString: `value ${i}` }));
  }
  const sizes = [];
  const got = [];
  const filters = [{ Key: "name", Values: [`${prefix}/list/`] }];
  for await (const page of sm.paginateListSecrets({ client, pageSize: 10 }, { Filters: filters })) {
    sizes.push(page.SecretList.length);
    got.push(...page.SecretList.map((s) => s.Name));
  }
  equal("sizes of the pages", sizes, [10, 10, 5]);
  equal("names", got.sort(), want);
}

async function batchGet() {
  const missing = `${prefix}/missing`;
  const out = await client.send(new sm.BatchGetSecretValueCommand({ SecretIdList: [listed(0), listed(1), missing, listed(2)] }));
  equal("names", out.SecretValues.map((v) => v.Name).sort(), [listed(0), listed(1), listed(2)]);
  for (const v of out.SecretValues) {
    holds([0, 1, 2].some((i) => v.Name === listed(i) && v.SecretString === `value ${i}`), `the value of ${v.Name}`);
  }
  equal("errors", out.Errors.map((e) => [e.SecretId, e.ErrorCode]), [[missing, "ResourceNotFoundException"]]);
}

async function binary() {
  const id = `${prefix}/binary`;
  const value = Uint8Array.from({ length: 256 }, (_, i) => i);
  await client.send(new sm.CreateSecretCommand({ Name: id, SecretBinary: value }));
  const out = await getSecret({ SecretId: id });
  holds(Buffer.from(out.SecretBinary).equals(value), "the 256 bytes as they were put");
  holds(out.SecretString === undefined, "no text beside the binary value");
  await remove(id);
}

async function unicode() {
  const controls = String.fromCharCode(...Array.from({ length: 31 }, (_, i) => i + 1));
  await roundTrip(`${prefix}/unicode`, `🔑 秘密の値 é \u2028\u2029\u007f "\\/<>& ${controls}`);
}

async function longest() {
  await roundTrip(`${prefix}/longest`, "0123456789abcdef".repeat(65_536 / 16));
}

async function roundTrip(id, value) {
  await client.send(new sm.CreateSecretCommand({ Name: id, SecretString: value }));
  const out = await getSecret({ SecretId: id });
  holds(out.SecretString === value, `the ${value.length} characters as they were put`);
  await remove(id);
}

async function tags() {
  await client.send(new sm.TagResourceCommand({
    SecretId: name,
    Tags: [{ Key: "team", Value: "支払い" }, { Key: "stage", Value: "changed" }],
  }));
  equal("tags", pairs((await describeSecret()).Tags), ["stage=changed", "team=支払い"]);
  await client.send(new sm.UntagResourceCommand({ SecretId: name, TagKeys: ["stage", "never set"] }));
  equal("tags", pairs((await describeSecret()).Tags), ["team=支払い"]);
}

async function updateDescription() {
  await client.send(new sm.UpdateSecretCommand({ SecretId: name, Description: "second description" }));
  const out = await describeSecret();
  equal("description", out.Description, "second description");
  equal("versions", Object.keys(out.VersionIdsToStages).length, 2);
}

async function moveLabel() {
  const move = (VersionStage, RemoveFromVersionId, MoveToVersionId) =>
    client.send(new sm.UpdateSecretVersionStageCommand({ SecretId: name, VersionStage, RemoveFromVersionId, MoveToVersionId }));
  await move("approved", undefined, first);
  await fails(sm.InvalidParameterException, move("approved", undefined, second));
  await move("approved", first, second);
  await move("AWSCURRENT", second, first);
  const stages = (await describeSecret()).VersionIdsToStages;
  stages[second].sort();
  equal("stages", stages, { [first]: ["AWSCURRENT"], [second]: ["AWSPREVIOUS", "approved"] });
}

async function listVersions() {
  await putSecret({ SecretString: "third" });
  await putSecret({ SecretString: "fourth" });
  const labelled = await versions({});
  const all = await versions({ IncludeDeprecated: true });
  equal("versions with a label", labelled.length, 3);
  equal("versions", all.length, 4);
  holds(!labelled.includes(first) && all.includes(first), "the first version only among the deprecated");
}

async function versions(input) {
  const ids = [];
  for await (const page of sm.paginateListSecretVersionIds({ client, pageSize: 2 }, { SecretId: name, ...input })) {
    ids.push(...page.Versions.map((v) => v.VersionId));
  }
  return ids;
}

async function randomPassword() {
  const out = await client.send(new sm.GetRandomPasswordCommand({ PasswordLength: 20, ExcludePunctuation: true }));
  holds(/^[A-Za-z0-9]{20}$/.test(out.RandomPassword), "20 letters and digits");
}

async function resourcePolicy() {
  const account = (await describeSecret()).ARN.split(":")[4];
  const ResourcePolicy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${account}:root` },
      Action: "secretsmanager:GetSecretValue",
      Resource: "*",
    }],
  });
  const kept = () => client.send(new sm.GetResourcePolicyCommand({ SecretId: name }));
  const valid = await client.send(new sm.ValidateResourcePolicyCommand({ SecretId: name, ResourcePolicy }));
  equal("policy is valid", valid.PolicyValidationPassed, true);
  await client.send(new sm.PutResourcePolicyCommand({ SecretId: name, ResourcePolicy, BlockPublicPolicy: true }));
  equal("policy", JSON.parse((await kept()).ResourcePolicy), JSON.parse(ResourcePolicy));
  const malformed = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Perhaps" }] });
  await fails(sm.MalformedPolicyDocumentException, client.send(new sm.PutResourcePolicyCommand({ SecretId: name, ResourcePolicy: malformed })));
  await client.send(new sm.DeleteResourcePolicyCommand({ SecretId: name }));
  equal("policy after its deletion", (await kept()).ResourcePolicy, undefined);
}

async function deleteAndRestore() {
  const out = await client.send(new sm.DeleteSecretCommand({ SecretId: name, RecoveryWindowInDays: 7 }));
  holds(Math.abs(out.DeletionDate - Date.now() - 7 * day) < 60_000, `a date of deletion in 7 days, got ${out.DeletionDate}`);
  const error = await fails(sm.InvalidRequestException, getSecret());
  holds(error.message.includes("marked for deletion"), `an error that says marked for deletion, got ${error.message}`);
  await client.send(new sm.RestoreSecretCommand({ SecretId: name }));
  holds((await getSecret()).SecretString === "fourth", "the current value after the restore");
}

async function forceDelete() {
  await remove(name);
  await fails(sm.ResourceNotFoundException, getSecret());
  for (let i = 0; i < 25; i++) {
    await remove(listed(i));
  }
}

async function emptyName() {
  await failsWith("ValidationException", client.send(new sm.CreateSecretCommand({ Name: "", SecretString: "value" })));
}

const listWith = (config) => new sm.SecretsManagerClient(config).send(new sm.ListSecretsCommand({}));

async function wrongSecretKey() {
  const accessKeyId = process.env.AWS_ACCESS_KEY_ID;
  await failsWith("InvalidSignatureException", listWith({ credentials: { accessKeyId, secretAccessKey: "x".repeat(40) } }));
}

async function unknownAccessKey() {
  const credentials = { accessKeyId: "AKIAAAAAAAAAAAAAAAAA", secretAccessKey: "x".repeat(40) };
  await failsWith("UnrecognizedClientException", listWith({ credentials }));
}

async function regionNotServed() {
  const error = await fails(sm.SecretsManagerServiceException, listWith({ region: "eu-west-3" }));
  holds(error.message.includes("Credential should be scoped to a valid region"), `an error that says the region is not valid, got ${error.message}`);
}

const steps = {
  create, get, put, putAgain, describe, list, batchGet, binary, unicode, longest, tags, updateDescription, moveLabel,
  listVersions, randomPassword, resourcePolicy, deleteAndRestore, forceDelete, emptyName, wrongSecretKey,
  unknownAccessKey, regionNotServed,
};

async function main() {
  holds(prefix, "PREFIX to be set");
  for (const [what, step] of Object.entries(steps)) {
    try {
      await step();
    } catch (error) {
      throw new Error(`${what}: ${error.name}: ${error.message}`);
    }
    console.log(`passed: ${what}`);
  }
}

try {
  await main();
  console.log("ok");
} catch (error) {
  console.log(error.message);
  process.exitCode = 1;
}
