package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// leak is one member of the list that GitHub sends. It carries the live token: it is asked about and then let go, and no
// error, event or record has room for it.
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
type leak struct {
	Token  string `json:"token"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	Source string `json:"source"`
}

// longestToken is what a token may have; no system that Mayfly rotates has longer ones.
const longestToken = 4096

// asking is how many tokens are looked up at a time.
const asking = 8

// readScanning reads a list of leaks. Each token is matched by its fingerprint; those that no secret under contract has are
// counted and forgotten. There is no delivery id: the body is known by its hash.
func (r *Receiver) readScanning(ctx context.Context, in *Request) (reading, error) {
	var leaks []leak
	if err := json.Unmarshal(in.Body, &leaks); err != nil || len(leaks) == 0 {
		return reading{}, malformed(fault.New(fault.InputMalformed, "the body is no list of leaked tokens"))
	}
	id := in.bodyID()
	said := reading{id: id, replay: []string{id}}
	found, err := r.owners(ctx, leaks)
	if err != nil {
		return reading{}, err
	}
	known := map[string]bool{}
	for i, l := range leaks {
		o := found[i]
		if o.Secret == "" || known[o.Secret+o.ID] {
			continue
		}
		known[o.Secret+o.ID] = true
		place, _, _ := strings.Cut(l.URL, "?")
		said.events = append(said.events, trigger.SecretScanning{
			ID: o.ID, Secret: o.Secret, Kind: without(leaks, l.Type), Where: without(leaks, l.Source), Location: without(leaks, place),
		})
	}
	if len(said.events) == 0 {
		said.ignored = fmt.Sprintf("none of %d tokens that were found is one that Mayfly keeps", len(leaks))
	}
	return said, nil
}

// owners asks for every token, several at a time.
func (r *Receiver) owners(ctx context.Context, leaks []leak) ([]Owner, error) {
	found, errs := make([]Owner, len(leaks)), make([]error, len(leaks))
	free := make(chan struct{}, asking)
	var wg sync.WaitGroup
	for i, l := range leaks {
		if l.Token == "" || len(l.Token) > longestToken {
			return nil, malformed(fault.New(fault.InputMalformed, "leak %d has no token of 1 to %d bytes", i, longestToken))
		}
	}
	for i, l := range leaks {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			found[i], errs[i] = r.Tokens.Owner(ctx, l.Token)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// without is text that GitHub wrote beside a token, or nothing if one of the tokens stands in it.
func without(leaks []leak, text string) string {
	if slices.ContainsFunc(leaks, func(l leak) bool { return strings.Contains(text, l.Token) }) {
		return ""
	}
	return line(text)
}
