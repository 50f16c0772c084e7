// The program makes the pseudonyms of the shared vectors and the bytes of the golden event.
package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/avro"
)

const schemas = "../../../schemas/"

func read(t *testing.T, name string) []byte {
	t.Helper()
	bytes, err := os.ReadFile(schemas + name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func raw(t *testing.T, text string) []byte {
	t.Helper()
	bytes, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func TestPseudonymsAreThoseOfTheVectors(t *testing.T) {
	var vectors struct {
		Pseudonyms []struct {
			Key       string `json:"epoch_key"`
			Account   string `json:"account_id"`
			Pseudonym string
		} `json:"account_pseudonyms"`
	}
	if err := json.Unmarshal(read(t, "vectors/identifiers.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Pseudonyms) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, vector := range vectors.Pseudonyms {
		made := Pseudonym(raw(t, vector.Key), vector.Account)
		if hex.EncodeToString(made[:]) != vector.Pseudonym {
			t.Errorf("%q: %x, not %s", vector.Account, made, vector.Pseudonym)
		}
	}
}

type goldenHash struct {
	Algorithm, Value string
	Quality          *int32
}

func TestAnEventHasTheGoldenBytes(t *testing.T) {
	var golden struct {
		EventID                          string       `json:"event_id"`
		OccurredAt                       int64        `json:"occurred_at"`
		SameAs                           []goldenHash `json:"same_as"`
		AccountEpoch                     uint32       `json:"account_epoch"`
		Platform, Kind, Surface, Sharing string
		Account                          string
		Content                          []goldenHash
		Region, Language                 *string
		Audience                         *uint32
		Labels                           []Label
	}
	if err := json.Unmarshal(read(t, "avro/event/1.json"), &golden); err != nil {
		t.Fatal(err)
	}
	hashes := func(golden []goldenHash) (made []Hash) {
		for _, hash := range golden {
			made = append(made, Hash{hash.Algorithm, raw(t, hash.Value), hash.Quality})
		}
		return made
	}
	account := [16]byte(raw(t, golden.Account))
	event := Event{
		EventID: uuid.UUID(raw(t, golden.EventID)), Platform: golden.Platform, Kind: golden.Kind,
		OccurredAt: time.UnixMilli(golden.OccurredAt), Content: hashes(golden.Content), SameAs: hashes(golden.SameAs),
		Account: &account, AccountEpoch: golden.AccountEpoch, Region: golden.Region, Language: golden.Language,
		Audience: golden.Audience, Surface: golden.Surface, Labels: golden.Labels, Sharing: golden.Sharing,
	}
	schema, err := avro.Parse(string(read(t, "avro/event/1.avsc")))
	if err != nil {
		t.Fatal(err)
	}
	made, err := schema.AppendSingleObject(nil, &event)
	if err != nil {
		t.Fatal(err)
	}
	if expected := strings.TrimSpace(string(read(t, "avro/event/1.golden"))); hex.EncodeToString(made) != expected {
		t.Errorf("%x, not %s", made, expected)
	}
}
