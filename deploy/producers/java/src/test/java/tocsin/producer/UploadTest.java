package tocsin.producer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import tocsin.AccountPseudonym;
import tocsin.Algorithm;
import tocsin.ContentHash;
import tocsin.Event;
import tocsin.EventId;
import tocsin.Kind;
import tocsin.Label;
import tocsin.Sharing;
import tocsin.Surface;

/** The program makes the pseudonyms of the shared vectors and the bytes of the golden event. */
class UploadTest {
    private static final Path SCHEMAS = Path.of(System.getProperty("schemas"));
    private static final HexFormat HEX = HexFormat.of();

    private static JsonNode read(String name) throws Exception {
        return new ObjectMapper().readTree(SCHEMAS.resolve(name).toFile());
    }

    private static byte[] raw(JsonNode text) {
        return HEX.parseHex(text.asText());
    }

    private static List<ContentHash> hashes(JsonNode list) {
        List<ContentHash> made = new ArrayList<>();
        for (JsonNode hash : list) {
            Integer quality = hash.get("quality").isNull() ? null : hash.get("quality").intValue();
            made.add(new ContentHash(Algorithm.valueOf(hash.get("algorithm").asText()), ByteBuffer.wrap(raw(hash.get("value"))), quality));
        }
        return made;
    }

    @Test
    void pseudonymsAreThoseOfTheVectors() throws Exception {
        JsonNode vectors = read("vectors/identifiers.json").get("account_pseudonyms");
        assertTrue(vectors.size() > 0);
        for (JsonNode vector : vectors) {
            byte[] made = Upload.pseudonym(raw(vector.get("epoch_key")), vector.get("account_id").asText());
            assertEquals(vector.get("pseudonym").asText(), HEX.formatHex(made), vector.toString());
        }
    }

    @Test
    void anEventHasTheGoldenBytes() throws Exception {
        JsonNode golden = read("avro/event/1.json");
        List<Label> labels = new ArrayList<>();
        for (JsonNode label : golden.get("labels")) {
            labels.add(new Label(label.get("name").asText(), label.get("confidence").floatValue()));
        }
        Event event = Event.newBuilder()
            .setEventId(new EventId(raw(golden.get("event_id"))))
            .setPlatform(golden.get("platform").asText())
            .setKind(Kind.valueOf(golden.get("kind").asText()))
            .setOccurredAt(Instant.ofEpochMilli(golden.get("occurred_at").asLong()))
            .setContent(hashes(golden.get("content")))
            .setSameAs(hashes(golden.get("same_as")))
            .setAccount(new AccountPseudonym(raw(golden.get("account"))))
            .setAccountEpoch(golden.get("account_epoch").asLong())
            .setRegion(golden.get("region").asText())
            .setLanguage(golden.get("language").asText())
            .setAudience(golden.get("audience").asLong())
            .setSurface(Surface.valueOf(golden.get("surface").asText()))
            .setLabels(labels)
            .setSharing(Sharing.valueOf(golden.get("sharing").asText()))
            .build();
        String expected = Files.readString(SCHEMAS.resolve("avro/event/1.golden")).strip();
        assertEquals(expected, HEX.formatHex(Upload.singleObject(event)));
    }

    @Test
    void whatIsLeftOutTakesTheSchemasDefault() throws Exception {
        Event event = Event.newBuilder()
            .setEventId(new EventId(new byte[16]))
            .setPlatform("north-video")
            .setKind(Kind.upload)
            .setOccurredAt(Instant.EPOCH)
            .setContent(List.of(Upload.fileHash("00".repeat(32))))
            .build();
        Event read = Event.fromByteBuffer(ByteBuffer.wrap(Upload.singleObject(event)));
        assertEquals(event, read);
        assertEquals(List.of(), read.getSameAs());
        assertEquals(Sharing.party, read.getSharing());
    }
}
