// Upload publishes one upload to Tocsin by Kafka.
//
//	upload FILE|SHA256 ACCOUNT [SURFACE]
//
// ACCOUNT is the platform's own id of the account; it is not sent. The settings stand in the environment, as ../README.md says.
// Prints the event's id once the brokers have the event. Anything else is said on standard error, with status 1.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/pkg/sr"
)

const (
	deliveryMax = 30 * time.Second
	// Who can guess the key can try all accounts.
	keyBytesMin = 32
)

// Event is schemas/avro/event/1.avsc. What is left out takes the schema's default.
type Event struct {
	EventID      uuid.UUID `avro:"event_id"`
	Platform     string    `avro:"platform"`
	Kind         string    `avro:"kind"`
	OccurredAt   time.Time `avro:"occurred_at"`
	Content      []Hash    `avro:"content"`
	SameAs       []Hash    `avro:"same_as"`
	Account      *[16]byte `avro:"account"`
	AccountEpoch uint32    `avro:"account_epoch"`
	Region       *string   `avro:"region"`
	Language     *string   `avro:"language"`
	Audience     *uint32   `avro:"audience"`
	Surface      string    `avro:"surface,omitzero"`
	Labels       []Label   `avro:"labels"`
	Sharing      string    `avro:"sharing,omitzero"`
}

// Hash is one hash of a content, raw.
type Hash struct {
	Algorithm string `avro:"algorithm"`
	Value     []byte `avro:"value"`
	Quality   *int32 `avro:"quality"`
}

// Label is the platform's own classification.
type Label struct {
	Name       string  `avro:"name"`
	Confidence float32 `avro:"confidence"`
}

// Pseudonym is what Tocsin may know of an account: the first 16 bytes of HMAC-SHA-256 (RFC 2104) of its id under the epoch's key.
func Pseudonym(key []byte, account string) [16]byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(account))
	return [16]byte(mac.Sum(nil))
}

// FileHash is the SHA-256 of a file. One in hexadecimal stands for a file that is elsewhere.
func FileHash(given string) (Hash, error) {
	if value, err := hex.DecodeString(given); err == nil && len(value) == sha256.Size {
		return Hash{Algorithm: "sha256", Value: value}, nil
	}
	file, err := os.Open(given)
	if err != nil {
		return Hash{}, err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return Hash{Algorithm: "sha256", Value: hash.Sum(nil)}, err
}

// Registered is Confluent's framing with the id that the registry gave the schema. It registers nothing: intake must know the id beforehand.
func Registered(ctx context.Context, url, topic, text string, schema *avro.Schema, event *Event) ([]byte, error) {
	registry, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		return nil, err
	}
	found, err := registry.LookupSchema(ctx, topic+"-value", sr.Schema{Schema: text, Type: sr.TypeAvro})
	if err != nil {
		return nil, fmt.Errorf("look up the schema: %w", err)
	}
	framed, err := new(sr.ConfluentHeader).AppendEncode(nil, found.ID, nil)
	if err != nil {
		return nil, err
	}
	return schema.AppendEncode(framed, event)
}

// Publish appends a record once, however often it has to be sent, and waits until it is on all in-sync replicas.
func Publish(ctx context.Context, brokers, topic string, value []byte, security ...kgo.Opt) error {
	// Idempotent is what this client is, unless it is told otherwise.
	client, err := kgo.NewClient(append(security,
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// What the client goes through: the error at the end may say no more than that time is up.
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelWarn, nil)),
	)...)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).FirstErr()
}

// check gives a value back, or ends the program with what went wrong.
func check[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "upload:", err)
		os.Exit(1)
	}
	return value
}

// setting is one of the environment, or what stands for it where it is absent or empty.
func setting(name string, otherwise ...string) string {
	value := os.Getenv(name)
	if value == "" && len(otherwise) == 0 {
		check(0, fmt.Errorf("%s is not set", name))
	}
	if value == "" {
		return otherwise[0]
	}
	return value
}

// security is TLS and SASL, where there is a user; plain text is for a broker on the same machine.
func security() []kgo.Opt {
	user := setting("TOCSIN_KAFKA_USER", "")
	if user == "" {
		return nil
	}
	config := &tls.Config{}
	if authority := setting("TOCSIN_KAFKA_CA_FILE", ""); authority != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(check(os.ReadFile(authority))) {
			check(0, fmt.Errorf("%s holds no certificate", authority))
		}
	}
	password := strings.TrimSpace(string(check(os.ReadFile(setting("TOCSIN_KAFKA_PASSWORD_FILE")))))
	login := scram.Auth{User: user, Pass: password}
	return []kgo.Opt{kgo.DialTLSConfig(config), kgo.SASL(login.AsSha512Mechanism())}
}

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		check(0, errors.New("usage: upload FILE|SHA256 ACCOUNT [SURFACE]"))
	}
	keyText := check(os.ReadFile(setting("TOCSIN_ACCOUNT_KEY_FILE")))
	key := check(hex.DecodeString(strings.TrimSpace(string(keyText))))
	if len(key) < keyBytesMin {
		check(0, fmt.Errorf("the key of pseudonyms has fewer than %d bytes", keyBytesMin))
	}
	account := Pseudonym(key, os.Args[2])
	event := &Event{
		EventID:      check(uuid.Parse(setting("TOCSIN_EVENT_ID", check(uuid.NewV7()).String()))),
		Platform:     setting("TOCSIN_PLATFORM"),
		Kind:         "upload",
		OccurredAt:   time.Now(),
		Content:      []Hash{check(FileHash(os.Args[1]))},
		Account:      &account,
		AccountEpoch: uint32(check(strconv.ParseUint(setting("TOCSIN_ACCOUNT_EPOCH"), 10, 32))),
		Surface:      strings.Join(os.Args[3:], ""),
		Sharing:      setting("TOCSIN_SHARING", "party"),
	}
	topic := "tocsin.ingest." + setting("TOCSIN_PARTY")
	text := string(check(os.ReadFile(setting("TOCSIN_SCHEMA", "../../../schemas/avro/event/1.avsc"))))
	schema := check(avro.Parse(text))

	ctx, cancel := context.WithTimeout(context.Background(), deliveryMax)
	defer cancel()
	var value []byte
	if registry := setting("TOCSIN_REGISTRY", ""); registry != "" {
		value = check(Registered(ctx, registry, topic, text, schema, event))
	} else {
		value = check(schema.AppendSingleObject(nil, event))
	}
	if err := Publish(ctx, setting("TOCSIN_BROKERS"), topic, value, security()...); err != nil {
		check(0, fmt.Errorf("event %s: %w", event.EventID, err))
	}
	fmt.Println(event.EventID)
}
