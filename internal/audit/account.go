package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// The chain of records that concern no single secret: evaluations, refused requests, requests for secrets without a contract.
// One for all of them, so that made-up names cannot fill the bucket with chains.
const (
	NoSecret      = "events"
	NoEnvironment = "account"
)

// Response names the chain of one execution of mayfly-respond, NoSecret/<32 hex digits of its ARN's SHA-256>, and its
// beginning, behind which the first record goes. What happens in the world comes in bursts, and the record that says what is
// done about it stands between a leaked credential and its end. So it waits for no other event's record, and nobody has to
// look for the end of its chain: all who may write to it are attempts of its states, and for all of them the execution began
// at the same time, which fixes the first partition. ADR 10.
func Response(execution string, began time.Time) (chain string, beginning Head) {
	sum := sha256.Sum256([]byte(execution))
	return NoSecret + "/" + hex.EncodeToString(sum[:16]), Head{Date: dateOf(Stamp(began))}
}

// OfEvent tells whether a chain is that of one execution of mayfly-respond.
func OfEvent(c Chain) bool {
	return c.Environment == NoEnvironment && strings.HasPrefix(c.Secret, contract.Slug(NoSecret+"/"))
}
