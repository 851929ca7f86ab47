package stack

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
)

// Credentials are what a caller signs requests with.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// Identities knows whose access keys are whose. An access key that it never issued belongs to the account's root, so
// that the dummy credentials of a developer's shell work.
type Identities struct {
	mu    sync.Mutex
	byKey map[string]*issued
}

type issued struct {
	identity Identity
	secret   string
	token    string
	revoked  bool
}

// NewIdentities makes an empty book.
func NewIdentities() *Identities { return &Identities{byKey: map[string]*issued{}} }

// Issue makes temporary credentials for an identity.
func (b *Identities) Issue(id Identity) Credentials {
	c := Credentials{AccessKeyID: "ASIA" + strings.ToUpper(random(8)), SecretAccessKey: random(20), SessionToken: random(32)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byKey[c.AccessKeyID] = &issued{identity: id, secret: c.SecretAccessKey, token: c.SessionToken}
	return c
}

// Lookup says whose key this is.
func (b *Identities) Lookup(accessKeyID string) Identity {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.byKey[accessKeyID]; ok {
		return i.identity
	}
	return Identity{ARN: fmt.Sprintf("arn:aws:iam::%s:root", Account)}
}

// Work notes for which execution the holder of a key works from now on ("" for none). A function's process serves one
// invocation at a time, so the note is exact.
func (b *Identities) Work(accessKeyID, execution string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.byKey[accessKeyID]; ok {
		i.identity.Execution = execution
	}
}

// Revoke ends a key: whoever uses it afterwards is refused.
func (b *Identities) Revoke(accessKeyID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.byKey[accessKeyID]; ok {
		i.revoked = true
	}
}

// resolve returns a copy of what was issued under a key, or false for a key that was never issued.
func (b *Identities) resolve(accessKeyID string) (issued, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := b.byKey[accessKeyID]
	if !ok {
		return issued{}, false
	}
	return *i, true
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read aborts the program instead
	return hex.EncodeToString(b)
}
