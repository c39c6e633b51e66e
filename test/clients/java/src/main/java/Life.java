import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.secretsmanager.SecretsManagerClient;
import software.amazon.awssdk.services.secretsmanager.model.DescribeSecretResponse;
import software.amazon.awssdk.services.secretsmanager.model.FilterNameStringType;
import software.amazon.awssdk.services.secretsmanager.model.GetSecretValueResponse;
import software.amazon.awssdk.services.secretsmanager.model.InvalidParameterException;
import software.amazon.awssdk.services.secretsmanager.model.InvalidRequestException;
import software.amazon.awssdk.services.secretsmanager.model.MalformedPolicyDocumentException;
import software.amazon.awssdk.services.secretsmanager.model.ResourceExistsException;
import software.amazon.awssdk.services.secretsmanager.model.ResourceNotFoundException;
import software.amazon.awssdk.services.secretsmanager.model.SecretListEntry;
import software.amazon.awssdk.services.secretsmanager.model.SecretValueEntry;
import software.amazon.awssdk.services.secretsmanager.model.SecretsManagerException;
import software.amazon.awssdk.services.secretsmanager.model.Tag;

/**
 * Takes secrets through their whole life with the AWS SDK for Java 2.x.
 *
 * <p>It reads nothing but the SDK's own environment variables and PREFIX, with which the name of every secret begins. It
 * prints "ok" last and exits with 0, or prints what was expected and exits with 1; it never prints a credential.
 */
public final class Life {
    private static final String FIRST_VALUE = "{\"username\":\"app\",\"password\":\"pa55\"}";
    private static final String SECOND_VALUE = "{\"username\":\"app\",\"password\":\"pa56\"}";
    private static final String WRONG_SECRET_KEY = "x".repeat(40);

    private final SecretsManagerClient client = SecretsManagerClient.create();
    private final String prefix;
    private final String name;

    /** The versions of the secret, in the order of their making: later steps use what earlier ones put here. */
    private String first;

    private final String second = UUID.randomUUID().toString();

    private Life(String prefix) {
        this.prefix = prefix;
        this.name = prefix + "/test01";
    }

    public static void main(String[] args) {
        try {
            String prefix = System.getenv("PREFIX");
            Expect.holds(prefix != null && !prefix.isEmpty(), "PREFIX to be set");
            new Life(prefix).run();
        } catch (Expect.Failure e) {
            System.out.println(e.getMessage());
            System.exit(1);
        }
        System.out.println("ok");
    }

    private void run() {
        Map<String, Runnable> steps = new LinkedHashMap<>();
        steps.put("create", this::create);
        steps.put("get", this::get);
        steps.put("put", this::put);
        steps.put("put again", this::putAgain);
        steps.put("describe", this::describe);
        steps.put("list", this::list);
        steps.put("batch get", this::batchGet);
        steps.put("binary", this::binary);
        steps.put("unicode", this::unicode);
        steps.put("longest value", this::longest);
        steps.put("tags", this::tags);
        steps.put("update the description", this::updateDescription);
        steps.put("move a label", this::moveLabel);
        steps.put("list versions", this::listVersions);
        steps.put("random password", this::randomPassword);
        steps.put("resource policy", this::resourcePolicy);
        steps.put("delete and restore", this::deleteAndRestore);
        steps.put("force delete", this::forceDelete);
        steps.put("empty name", this::emptyName);
        steps.put("wrong secret key", this::wrongSecretKey);
        steps.put("unknown access key", this::unknownAccessKey);
        steps.put("region not served", this::regionNotServed);
        steps.forEach((what, step) -> {
            try {
                step.run();
            } catch (SdkException | Expect.Failure e) {
                throw new Expect.Failure(what + ": " + e.getMessage());
            }
            System.out.println("passed: " + what);
        });
    }

    private void create() {
        first = client.createSecret(r -> r.name(name)
                        .description("first description")
                        .secretString(FIRST_VALUE)
                        .tags(tag("stage", "test")))
                .versionId();
        Map<String, JsonNode> fields = JsonNode.parser().parse(currentValue(name)).asObject();
        Expect.holds(fields.get("username").text().equals("app") && fields.get("password").text().equals("pa55"),
                "both fields as they were put");
        Expect.fails(ResourceExistsException.class, () -> client.createSecret(r -> r.name(name).secretString(SECOND_VALUE)));
    }

    private void get() {
        GetSecretValueResponse out = client.getSecretValue(r -> r.secretId(name));
        Expect.equal("name", out.name(), name);
        Expect.equal("version id", out.versionId(), first);
        Expect.equal("stages", out.versionStages(), List.of("AWSCURRENT"));
        Expect.holds(out.arn().matches("arn:aws:secretsmanager:[a-z0-9-]+:\\d{12}:secret:" + Pattern.quote(name) + "-[A-Za-z0-9]{6}"),
                "an ARN that ends in -XXXXXX, got " + out.arn());
        Expect.holds(near(out.createdDate(), Instant.now()), "a date of creation within a minute of now, got " + out.createdDate());
        Expect.holds(out.secretBinary() == null, "no binary value");
    }

    private void put() {
        var out = client.putSecretValue(r -> r.secretId(name).secretString(SECOND_VALUE).clientRequestToken(second));
        Expect.equal("version id", out.versionId(), second);
        Expect.equal("stages", out.versionStages(), List.of("AWSCURRENT"));
        expectValue(null, null, SECOND_VALUE);
        expectValue(null, "AWSCURRENT", SECOND_VALUE);
        expectValue(null, "AWSPREVIOUS", FIRST_VALUE);
        expectValue(first, null, FIRST_VALUE);
        expectValue(second, "AWSCURRENT", SECOND_VALUE);
    }

    private void expectValue(String versionId, String label, String want) {
        var out = client.getSecretValue(r -> r.secretId(name).versionId(versionId).versionStage(label));
        Expect.holds(out.secretString().equals(want), "the value of version " + versionId + ", label " + label + " as it was put");
    }

    private void putAgain() {
        var out = client.putSecretValue(r -> r.secretId(name).secretString(SECOND_VALUE).clientRequestToken(second));
        Expect.equal("version id", out.versionId(), second);
        Expect.fails(ResourceExistsException.class,
                () -> client.putSecretValue(r -> r.secretId(name).secretString(FIRST_VALUE).clientRequestToken(second)));
    }

    private void describe() {
        DescribeSecretResponse out = describeSecret();
        Expect.equal("description", out.description(), "first description");
        Expect.equal("stages", out.versionIdsToStages(), Map.of(first, List.of("AWSPREVIOUS"), second, List.of("AWSCURRENT")));
        Expect.equal("tags", out.tags(), List.of(tag("stage", "test")));
        // The service keeps the day of the last access, not the time of it.
        Duration accessed = Duration.between(out.lastAccessedDate(), Instant.now());
        Expect.holds(accessed.toMinutes() > -1 && accessed.toHours() < 25, "to have been accessed today, got " + out.lastAccessedDate());
        Expect.holds(out.deletedDate() == null, "no date of deletion");
    }

    private void list() {
        List<String> want = IntStream.range(0, 25).mapToObj(this::listed).toList();
        for (int i = 0; i < want.size(); i++) {
            String id = want.get(i);
            String value = "value " + i;
            client.createSecret(r -> r.name(id).secretString(value));
        }
        var pages = client.listSecretsPaginator(
                r -> r.maxResults(10).filters(f -> f.key(FilterNameStringType.NAME).values(prefix + "/list/")));
        List<Integer> sizes = new ArrayList<>();
        List<String> got = new ArrayList<>();
        pages.forEach(page -> {
            sizes.add(page.secretList().size());
            page.secretList().stream().map(SecretListEntry::name).forEach(got::add);
        });
        Expect.equal("sizes of the pages", sizes, List.of(10, 10, 5));
        Expect.equal("names", got.stream().sorted().toList(), want);
    }

    private void batchGet() {
        String missing = prefix + "/missing";
        var out = client.batchGetSecretValue(r -> r.secretIdList(listed(0), listed(1), missing, listed(2)));
        Map<String, String> got = out.secretValues().stream()
                .collect(Collectors.toMap(SecretValueEntry::name, SecretValueEntry::secretString));
        Expect.holds(got.equals(Map.of(listed(0), "value 0", listed(1), "value 1", listed(2), "value 2")),
                "the three values that exist, got those of " + got.keySet());
        Expect.equal("number of errors", out.errors().size(), 1);
        Expect.equal("secret of the error", out.errors().get(0).secretId(), missing);
        Expect.equal("code of the error", out.errors().get(0).errorCode(), "ResourceNotFoundException");
    }

    private void binary() {
        String id = prefix + "/binary";
        byte[] bytes = new byte[256];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        SdkBytes value = SdkBytes.fromByteArray(bytes);
        client.createSecret(r -> r.name(id).secretBinary(value));
        var out = client.getSecretValue(r -> r.secretId(id));
        Expect.holds(value.equals(out.secretBinary()), "the 256 bytes as they were put");
        Expect.holds(out.secretString() == null, "no text beside the binary value");
        remove(id);
    }

    private void unicode() {
        String controls = IntStream.range(1, ' ').mapToObj(Character::toString).collect(Collectors.joining());
        roundTrip(prefix + "/unicode", "🔑 秘密の値 é \u2028\u2029\u007f \"\\/<>& " + controls);
    }

    private void longest() {
        roundTrip(prefix + "/longest", "0123456789abcdef".repeat(65_536 / 16));
    }

    private void roundTrip(String id, String value) {
        client.createSecret(r -> r.name(id).secretString(value));
        Expect.holds(currentValue(id).equals(value), "the " + value.length() + " characters as they were put");
        remove(id);
    }

    private void tags() {
        client.tagResource(r -> r.secretId(name).tags(tag("team", "支払い"), tag("stage", "changed")));
        Expect.equal("tags", Set.copyOf(describeSecret().tags()), Set.of(tag("team", "支払い"), tag("stage", "changed")));
        client.untagResource(r -> r.secretId(name).tagKeys("stage", "never set"));
        Expect.equal("tags", describeSecret().tags(), List.of(tag("team", "支払い")));
    }

    private void updateDescription() {
        client.updateSecret(r -> r.secretId(name).description("second description"));
        DescribeSecretResponse out = describeSecret();
        Expect.equal("description", out.description(), "second description");
        Expect.equal("number of versions", out.versionIdsToStages().size(), 2);
    }

    private void moveLabel() {
        move("approved", null, first);
        Expect.fails(InvalidParameterException.class, () -> move("approved", null, second));
        move("approved", first, second);
        move("AWSCURRENT", second, first);
        Map<String, Set<String>> stages = new HashMap<>();
        describeSecret().versionIdsToStages().forEach((id, labels) -> stages.put(id, new TreeSet<>(labels)));
        Expect.equal("stages", stages, Map.of(first, Set.of("AWSCURRENT"), second, Set.of("AWSPREVIOUS", "approved")));
    }

    private void move(String label, String from, String to) {
        client.updateSecretVersionStage(r -> r.secretId(name).versionStage(label).removeFromVersionId(from).moveToVersionId(to));
    }

    private void listVersions() {
        client.putSecretValue(r -> r.secretId(name).secretString("third"));
        client.putSecretValue(r -> r.secretId(name).secretString("fourth"));
        List<String> labelled = versions(null);
        List<String> all = versions(true);
        Expect.equal("number of versions with a label", labelled.size(), 3);
        Expect.equal("number of versions", all.size(), 4);
        Expect.holds(!labelled.contains(first) && all.contains(first), "the first version only among the deprecated");
    }

    private List<String> versions(Boolean deprecated) {
        List<String> ids = new ArrayList<>();
        client.listSecretVersionIdsPaginator(r -> r.secretId(name).includeDeprecated(deprecated).maxResults(2))
                .forEach(page -> page.versions().forEach(v -> ids.add(v.versionId())));
        return ids;
    }

    private void randomPassword() {
        var out = client.getRandomPassword(r -> r.passwordLength(20L).excludePunctuation(true));
        Expect.holds(out.randomPassword().matches("[A-Za-z0-9]{20}"), "20 letters and digits");
    }

    private void resourcePolicy() {
        String account = describeSecret().arn().split(":")[4];
        String policy = """
                {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},\
                "Action":"secretsmanager:GetSecretValue","Resource":"*"}]}""".formatted(account);
        var valid = client.validateResourcePolicy(r -> r.secretId(name).resourcePolicy(policy));
        Expect.equal("policy is valid", valid.policyValidationPassed(), true);
        client.putResourcePolicy(r -> r.secretId(name).resourcePolicy(policy).blockPublicPolicy(true));
        Expect.equal("policy", JsonNode.parser().parse(keptPolicy()), JsonNode.parser().parse(policy));
        String malformed = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Perhaps\"}]}";
        Expect.fails(MalformedPolicyDocumentException.class,
                () -> client.putResourcePolicy(r -> r.secretId(name).resourcePolicy(malformed)));
        client.deleteResourcePolicy(r -> r.secretId(name));
        Expect.equal("policy after its deletion", keptPolicy(), null);
    }

    private String keptPolicy() {
        return client.getResourcePolicy(r -> r.secretId(name)).resourcePolicy();
    }

    private void deleteAndRestore() {
        var out = client.deleteSecret(r -> r.secretId(name).recoveryWindowInDays(7L));
        Expect.holds(near(out.deletionDate(), Instant.now().plus(Duration.ofDays(7))), "a date of deletion in 7 days, got " + out.deletionDate());
        var error = Expect.fails(InvalidRequestException.class, () -> currentValue(name));
        Expect.holds(error.getMessage().contains("marked for deletion"), "an error that says marked for deletion, got " + error.getMessage());
        client.restoreSecret(r -> r.secretId(name));
        Expect.holds(currentValue(name).equals("fourth"), "the current value after the restore");
    }

    private void forceDelete() {
        remove(name);
        Expect.fails(ResourceNotFoundException.class, () -> currentValue(name));
        IntStream.range(0, 25).mapToObj(this::listed).forEach(this::remove);
    }

    private void emptyName() {
        Expect.failsWith("ValidationException", () -> client.createSecret(r -> r.name("").secretString("value")));
    }

    private void wrongSecretKey() {
        Expect.failsWith("InvalidSignatureException", () -> listAs(System.getenv("AWS_ACCESS_KEY_ID")));
    }

    private void unknownAccessKey() {
        Expect.failsWith("UnrecognizedClientException", () -> listAs("AKIAAAAAAAAAAAAAAAAA"));
    }

    private void listAs(String accessKeyId) {
        var credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create(accessKeyId, WRONG_SECRET_KEY));
        try (var other = SecretsManagerClient.builder().credentialsProvider(credentials).build()) {
            other.listSecrets();
        }
    }

    private void regionNotServed() {
        try (var other = SecretsManagerClient.builder().region(Region.EU_WEST_3).build()) {
            var error = Expect.fails(SecretsManagerException.class, other::listSecrets);
            Expect.holds(error.getMessage().contains("Credential should be scoped to a valid region"),
                    "an error that says the region is not valid, got " + error.getMessage());
        }
    }

    private String currentValue(String id) {
        return client.getSecretValue(r -> r.secretId(id)).secretString();
    }

    private DescribeSecretResponse describeSecret() {
        return client.describeSecret(r -> r.secretId(name));
    }

    private void remove(String id) {
        client.deleteSecret(r -> r.secretId(id).forceDeleteWithoutRecovery(true));
    }

    /** The name of the i-th of the secrets made to be listed. */
    private String listed(int i) {
        return "%s/list/%02d".formatted(prefix, i + 1);
    }

    private static Tag tag(String key, String value) {
        return Tag.builder().key(key).value(value).build();
    }

    private static boolean near(Instant a, Instant b) {
        return Duration.between(a, b).abs().compareTo(Duration.ofMinutes(1)) < 0;
    }
}
