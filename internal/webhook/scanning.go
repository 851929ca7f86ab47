package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// leak is one member of the list that GitHub sends. It carries the live token: a fingerprint is made of it, and no
// error, event or record has room for it.
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
type leak struct {
	Token  string `json:"token"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	Source string `json:"source"`
}

// Bounds of a delivery.
const (
	longestToken = 4096 // bytes; no system that Mayfly rotates has longer tokens
	mostTokens   = 500  // that differ: each costs a call to KMS
	atOnce       = 8    // calls to KMS that are under way
)

// place is what GitHub writes beside a token.
type place struct{ kind, where, location string }

// readScanning reads a list of leaks. The tokens that were found in one place go on as their fingerprints, in one event, or
// as many as they need; whose they are, ResolveTrigger finds in the registry. There is no delivery id: the body is known by
// its hash. Errors: *Refusal, KeyUnavailable, so that GitHub sends again what could not be matched.
func (r *Receiver) readScanning(ctx context.Context, in *Request) (reading, error) {
	var leaks []leak
	if err := json.Unmarshal(in.Body, &leaks); err != nil || len(leaks) == 0 {
		return reading{}, malformed(fault.New(fault.InputMalformed, "the body is no list of leaked tokens"))
	}
	for i, l := range leaks {
		if l.Token == "" || len(l.Token) > longestToken {
			return reading{}, malformed(fault.New(fault.InputMalformed, "leak %d has no token of 1 to %d bytes", i, longestToken))
		}
	}
	prints, err := r.fingerprints(ctx, leaks)
	if err != nil {
		return reading{}, err
	}
	var places []place
	found := map[place][]string{}
	for _, l := range leaks {
		url, _, _ := strings.Cut(l.URL, "?")
		at := place{without(leaks, l.Type), without(leaks, l.Source), without(leaks, url)}
		if found[at] == nil {
			places = append(places, at)
		}
		found[at] = append(found[at], prints[l.Token])
	}
	id := in.bodyID()
	said := reading{id: id, replay: []string{id}}
	for _, at := range places {
		slices.Sort(found[at])
		for part := range slices.Chunk(slices.Compact(found[at]), trigger.MaxFingerprints) {
			said.events = append(said.events, trigger.SecretScanning{
				ID: leakID(part), Fingerprints: part, Kind: at.kind, Where: at.where, Location: at.location,
			})
		}
	}
	return said, nil
}

// fingerprints makes the fingerprint of each token.
func (r *Receiver) fingerprints(ctx context.Context, leaks []leak) (map[string]string, error) {
	prints := map[string]string{}
	for _, l := range leaks {
		prints[l.Token] = ""
	}
	if len(prints) > mostTokens {
		return nil, &Refusal{http.StatusRequestEntityTooLarge, TooLarge, fmt.Sprintf("the list has %d different tokens; more than %d are not looked up", len(prints), mostTokens)}
	}
	var (
		mu    sync.Mutex
		errs  []error
		wg    sync.WaitGroup
		turns = make(chan struct{}, atOnce)
	)
	for _, token := range slices.Collect(maps.Keys(prints)) {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			print, err := r.Fingerprints.Of(ctx, credential.Parse(token))
			mu.Lock()
			defer mu.Unlock()
			prints[token] = print
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return prints, errors.Join(errs...)
}

// leakID is the same whenever the same tokens are found, so that a leak that is reported twice is one trigger.
func leakID(fingerprints []string) string {
	sum := sha256.Sum256([]byte(strings.Join(fingerprints, " ")))
	return "leak " + hex.EncodeToString(sum[:16])
}

// without is text that GitHub wrote beside a token, or nothing if one of the tokens stands in it.
func without(leaks []leak, text string) string {
	if slices.ContainsFunc(leaks, func(l leak) bool { return strings.Contains(text, l.Token) }) {
		return ""
	}
	return line(text)
}
