package tocsin.producer;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.util.ClassSecurityValidator;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.security.scram.ScramLoginModule;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import tocsin.AccountPseudonym;
import tocsin.Algorithm;
import tocsin.ContentHash;
import tocsin.Event;
import tocsin.EventId;
import tocsin.Kind;
import tocsin.Sharing;
import tocsin.Surface;

/**
 * Publishes one upload to Tocsin by Kafka: {@code Upload FILE|SHA256 ACCOUNT [SURFACE]}.
 *
 * <p>ACCOUNT is the platform's own id of the account; it is not sent. The settings stand in the environment, as the producers' README says.
 * Prints the event's id once the brokers have the event. Anything else is said on standard error, with status 1.
 */
public final class Upload {
    private static final Duration DELIVERY_MAX = Duration.ofSeconds(30);

    /** Who can guess the key can try all accounts. */
    private static final int KEY_BYTES_MIN = 32;

    /** How many bytes stand before the datum in single-object encoding. */
    private static final int HEADER = 10;

    static {
        // Avro makes objects only of classes that it was told to trust.
        ClassSecurityValidator.setGlobal(ClassSecurityValidator.composite(
            ClassSecurityValidator.getGlobal(), type -> type.getPackageName().equals(Event.class.getPackageName())));
    }

    private Upload() {}

    /** The 16 bytes that Tocsin may know of an account: HMAC-SHA-256 (RFC 2104) of its id as UTF-8 under the epoch's key, truncated. */
    public static byte[] pseudonym(byte[] key, String account) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, mac.getAlgorithm()));
        return Arrays.copyOf(mac.doFinal(account.getBytes(StandardCharsets.UTF_8)), 16);
    }

    /** The SHA-256 of a file. One in hexadecimal stands for a file that is elsewhere. */
    public static ContentHash fileHash(String given) throws IOException, GeneralSecurityException {
        byte[] value;
        if (given.matches("[0-9a-f]{64}")) {
            value = HexFormat.of().parseHex(given);
        } else {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            try (InputStream file = new DigestInputStream(Files.newInputStream(Path.of(given)), digest)) {
                file.transferTo(ByteArrayOutputStream.nullOutputStream());
            }
            value = digest.digest();
        }
        return ContentHash.newBuilder().setAlgorithm(Algorithm.sha256).setValue(ByteBuffer.wrap(value)).build();
    }

    /** Avro single-object encoding: a mark, the CRC-64-AVRO fingerprint of the schema's canonical form, the datum. */
    public static byte[] singleObject(Event event) throws IOException {
        ByteBuffer bytes = event.toByteBuffer();
        return Arrays.copyOfRange(bytes.array(), bytes.arrayOffset(), bytes.arrayOffset() + bytes.limit());
    }

    /** Confluent's framing with the id that the registry gave the schema. Registers nothing: intake must know the id beforehand. */
    public static byte[] registered(String url, String topic, Event event) throws IOException, InterruptedException {
        ObjectMapper json = new ObjectMapper();
        String schema;
        try (InputStream resource = Upload.class.getResourceAsStream("/1.avsc")) {
            schema = new String(resource.readAllBytes(), StandardCharsets.UTF_8);
        }
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/subjects/" + topic + "-value"))
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .timeout(DELIVERY_MAX)
            .POST(HttpRequest.BodyPublishers.ofString(json.writeValueAsString(Map.of("schema", schema))))
            .build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException("the registry answers " + answer.statusCode() + ": " + answer.body());
        }
        int id = json.readTree(answer.body()).required("id").intValue();
        byte[] single = singleObject(event);
        return ByteBuffer.allocate(5 + single.length - HEADER)
            .put((byte) 0)
            .putInt(id)
            .put(single, HEADER, single.length - HEADER)
            .array();
    }

    /** The client's settings for TLS and SASL, where there is a user; plain text is for a broker on the same machine. */
    private static Map<String, Object> security() throws IOException {
        Map<String, Object> settings = new HashMap<>();
        Optional<String> user = setting("TOCSIN_KAFKA_USER");
        if (user.isPresent()) {
            String password = Files.readString(Path.of(required("TOCSIN_KAFKA_PASSWORD_FILE"))).strip();
            settings.put("security.protocol", "SASL_SSL");
            settings.put("sasl.mechanism", "SCRAM-SHA-512");
            settings.put("sasl.jaas.config", ScramLoginModule.class.getName() + " required username=" + quoted(user.get())
                + " password=" + quoted(password) + ";");
        }
        setting("TOCSIN_KAFKA_CA_FILE").ifPresent(authority -> {
            settings.put("ssl.truststore.type", "PEM");
            settings.put("ssl.truststore.location", authority);
        });
        return settings;
    }

    private static String quoted(String value) {
        return '"' + value.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    /** Appends a record once, however often it has to be sent, and waits until it is on all in-sync replicas. */
    public static void publish(String brokers, String topic, byte[] value) throws Exception {
        Map<String, Object> settings = security();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        settings.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, (int) DELIVERY_MAX.toMillis());
        settings.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, (int) DELIVERY_MAX.toMillis() / 3);
        // A party's topic is there before the party has its key: one that is not is a wrong name.
        settings.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, DELIVERY_MAX.toMillis() / 3);
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.send(new ProducerRecord<>(topic, value)).get();
        }
    }

    private static Optional<String> setting(String name) {
        return Optional.ofNullable(System.getenv(name)).filter(value -> !value.isEmpty());
    }

    private static String required(String name) {
        return setting(name).orElseThrow(() -> new IllegalArgumentException(name + " is not set"));
    }

    private static UUID run(String[] arguments) throws Exception {
        if (arguments.length < 2 || arguments.length > 3) {
            throw new IllegalArgumentException("usage: Upload FILE|SHA256 ACCOUNT [SURFACE]");
        }
        String account = arguments[1];
        // Java reads arguments by the locale: in another one two accounts could come out as the same question marks.
        if (!account.chars().allMatch(letter -> letter < 0x80) && !"UTF-8".equals(System.getProperty("sun.jnu.encoding"))) {
            throw new IllegalArgumentException("ACCOUNT has letters that this locale does not read: use one of UTF-8, as LC_ALL=C.UTF-8");
        }
        byte[] key = HexFormat.of().parseHex(Files.readString(Path.of(required("TOCSIN_ACCOUNT_KEY_FILE"))).strip());
        if (key.length < KEY_BYTES_MIN) {
            throw new IllegalArgumentException("the key of pseudonyms has fewer than " + KEY_BYTES_MIN + " bytes");
        }
        UUID id = setting("TOCSIN_EVENT_ID").map(UUID::fromString).orElseGet(UUID::randomUUID);
        ByteBuffer idBytes = ByteBuffer.allocate(16).putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits());
        Event event = Event.newBuilder()
            .setEventId(new EventId(idBytes.array()))
            .setPlatform(required("TOCSIN_PLATFORM"))
            .setKind(Kind.upload)
            .setOccurredAt(Instant.now())
            .setContent(List.of(fileHash(arguments[0])))
            .setAccount(new AccountPseudonym(pseudonym(key, account)))
            .setAccountEpoch(Long.parseLong(required("TOCSIN_ACCOUNT_EPOCH")))
            .setSurface(arguments.length == 3 ? Surface.valueOf(arguments[2]) : Surface.unknown)
            .setSharing(Sharing.valueOf(setting("TOCSIN_SHARING").orElse("party")))
            .build();
        String topic = "tocsin.ingest." + required("TOCSIN_PARTY");
        Optional<String> registry = setting("TOCSIN_REGISTRY");
        byte[] value = registry.isPresent() ? registered(registry.get(), topic, event) : singleObject(event);
        try {
            publish(required("TOCSIN_BROKERS"), topic, value);
        } catch (ExecutionException failed) {
            throw new IOException("event " + id + ": " + failed.getCause(), failed);
        }
        return id;
    }

    /** Runs the program. */
    public static void main(String[] arguments) {
        try {
            System.out.println(run(arguments));
        } catch (Exception error) {
            System.err.println("Upload: " + error);
            System.exit(1);
        }
    }
}
