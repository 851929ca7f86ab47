// Package audit writes the records that an auditor reads: one immutable JSON object per event, chained per secret, in an
// S3 bucket with Object Lock, and one line to the function's log.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// Schema names the shape of a record; it changes when a column changes its meaning.
const Schema = "mayfly.audit.v1"

// Record is one event. All columns are flat text or numbers, so that Athena reads them without a serde of its own.
// The order of the fields is the order in the object, and the hash is last: see Seal.
type Record struct {
	Schema         string `json:"schema"`
	ID             string `json:"id"`   // the same for the same attempt of the same state, so that a repeated write is recognised
	Time           string `json:"time"` // RFC 3339, UTC, milliseconds
	Account        string `json:"account"`
	Region         string `json:"region"`
	Environment    string `json:"environment"`
	Secret         string `json:"secret"`
	Owner          string `json:"owner"`
	Services       string `json:"services"` // comma-separated
	Event          string `json:"event"`
	Step           string `json:"step"` // the state's name
	Outcome        string `json:"outcome"`
	ReasonCode     string `json:"reason_code"`
	Reason         string `json:"reason"`
	TriggerType    string `json:"trigger_type"`
	TriggerID      string `json:"trigger_id"`
	TriggerSource  string `json:"trigger_source"`
	Actor          string `json:"actor"`
	RunID          string `json:"run_id"`
	ExecutionARN   string `json:"execution_arn"`
	Attempt        int    `json:"attempt"` // 1 for the first
	VersionFrom    string `json:"version_from"`
	VersionTo      string `json:"version_to"`
	ContractDigest string `json:"contract_digest"`
	ContractCommit string `json:"contract_commit"`
	PolicyDigest   string `json:"policy_digest"`
	Compliance     string `json:"compliance"` // "iso_27001=A.9.2;pci_dss=3.6"
	Seq            int64  `json:"seq"`        // 1 for the first record of a secret
	PrevHash       string `json:"prev_hash"`  // hash of the record before, empty for the first
	Hash           string `json:"hash"`
}

// The events that the chain itself gives meaning to. All others are named by the steps.
const (
	EventSealed = "sealed" // last record of a day's partition: the chain goes on under the date of this record's time
)

// Outcomes, in records, tags and run history.
const (
	Rotated     = "rotated"
	Skipped     = "skipped"
	FailedClean = "failed_clean"
	FailedDirty = "failed_dirty"
)

const hashMember = `,"hash":"`

// Seal gives the record its hash, the SHA-256 (hex) of the object's bytes as they would stand without the hash member,
// and returns those bytes with it. A reader in any language checks it by cutting the object at `,"hash":"`.
func (r *Record) Seal() ([]byte, error) {
	r.Hash = ""
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	body, ok := bytes.CutSuffix(b, []byte(hashMember+`"}`))
	if !ok {
		return nil, errors.New("audit record: hash is not the last member")
	}
	sum := sha256.Sum256(append(bytes.Clone(body), '}'))
	r.Hash = hex.EncodeToString(sum[:])
	return append(body, hashMember+r.Hash+`"}`...), nil
}

// Read parses an object of the bucket and checks that its hash is the hash of its bytes.
func Read(object []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(object, &r); err != nil {
		return r, fmt.Errorf("not an audit record: %w", err)
	}
	i := bytes.LastIndex(object, []byte(hashMember))
	if i < 0 {
		return r, errors.New("audit record without a hash")
	}
	sum := sha256.Sum256(append(bytes.Clone(object[:i]), '}'))
	if got := hex.EncodeToString(sum[:]); got != r.Hash {
		return r, fmt.Errorf("audit record %s seq %d was altered: its bytes hash to %s, it says %s", r.Secret, r.Seq, got, r.Hash)
	}
	return r, nil
}

// Head is the end of a secret's chain: what the next record needs to know. The zero Head means "not known".
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
	Date string `json:"date"` // YYYY-MM-DD: the partition of the record that follows
}

// headOf makes a head of the last record and the partition that it lies in. Partitions never go back, even where a writer's
// clock does.
func headOf(r Record, partition string) Head {
	return Head{Seq: r.Seq, Hash: r.Hash, Date: max(partition, dateOf(r.Time))}
}

func dateOf(rfc3339 string) string { date, _, _ := strings.Cut(rfc3339, "T"); return date }

// Key is where record seq of a secret lies.
func Key(environment, date, secret string, seq int64) string {
	return fmt.Sprintf("%s%s/%012d.json", partition(environment, date), contract.Slug(secret), seq)
}

func partition(environment, date string) string {
	return fmt.Sprintf("audit/environment=%s/date=%s/", environment, date)
}

// Stamp writes a time as records hold it.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
