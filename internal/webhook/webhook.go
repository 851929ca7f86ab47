// Package webhook takes in what the outside world signs, and puts a small normalised event of it on the bus.
//
// The receiver is open to the internet: the signature over the raw body is the authentication, and nothing of a body is
// parsed before it holds. What a refused request may cost is bounded: it is answered from memory, but for one read of the
// keys every few seconds and one audit record a minute for each route and reason.
//
//	/github                  X-Hub-Signature-256: push, deployment_status, ping
//	/pagerduty               x-pagerduty-signature: incidents
//	/github-secret-scanning  GitHub's own key (ECDSA): live tokens that GitHub found in public
//	/siem                    X-Mayfly-Timestamp and X-Mayfly-Signature: findings of any other tool
//	/provider                the same: a provider says that its side of a credential changed
package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Receiver answers requests to the function's URL. It may be used concurrently.
type Receiver struct {
	Keys         *Keys
	GitHub       PublicKeys
	Memory       Memory
	Bus          Bus
	Log          Log
	Fingerprints Fingerprints

	mu      sync.Mutex
	refused map[string]tally // by route and reason code; as many as there are routes times codes
}

// Log is the audit. Append returns once the record is durable.
type Log interface {
	Append(ctx context.Context, head audit.Head, rec audit.Record) (audit.Head, error)
}

// Memory keeps the ids of deliveries. Both calls are safe to repeat; errors are RegistryUnavailable.
type Memory interface {
	// Seen says whether one of the ids is known.
	Seen(ctx context.Context, ids []string) (bool, error)
	// Remember keeps the ids, in their order, up to one that was known already: then first is false. It is durable once it
	// returns. After an error some of the ids may be kept; what they stand for is on the bus.
	Remember(ctx context.Context, d Delivery) (first bool, err error)
}

// Fingerprints makes the fingerprint of a value, 64 hex digits: the same for equal values. Of changes nothing and may be
// called concurrently.
type Fingerprints interface {
	Of(ctx context.Context, v credential.Value) (string, error)
}

// Bus takes normalised events. An event that Put has returned for is on the bus; one that it failed for may be.
type Bus interface {
	Put(ctx context.Context, in *Request, es []trigger.Normalised) error
}

// route is one path: whose signature it wants, and what its bodies say.
type route struct {
	name   string
	verify func(ctx context.Context, in *Request) error
	read   func(ctx context.Context, in *Request) (reading, error)
}

// reading is what a signed body says. Without events it says nothing to Mayfly, and ignored says why.
type reading struct {
	id      string   // of the delivery, as its sender names it
	replay  []string // what makes a second delivery a replay: see deliveryID
	events  []trigger.Normalised
	ignored string
}

func (r *Receiver) route(path string) (route, bool) {
	switch path {
	case "/github":
		return route{"github", r.shared("github", gitHubClaim), readGitHub}, true
	case "/pagerduty":
		return route{"pagerduty", r.shared("pagerduty", pagerDutyClaim), readPagerDuty}, true
	case "/github-secret-scanning":
		return route{"github-secret-scanning", r.GitHub.verify, r.readScanning}, true
	case "/siem":
		return route{"siem", r.shared("siem", timestampedClaim), readSIEM}, true
	case "/provider":
		return route{"provider", r.shared("provider", timestampedClaim), readProvider}, true
	}
	return route{name: "unknown"}, false
}

// Handle answers one request. An error means that something Mayfly needs did not answer: Lambda turns it into a 502, and the
// sender tries again.
func (r *Receiver) Handle(ctx context.Context, event events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	in := newRequest(&event)
	way, known := r.route(event.RawPath)
	in.Route = way.name
	told, err := r.receive(ctx, way, known, in)
	var no *Refusal
	if errors.As(err, &no) {
		if err := r.refuse(ctx, in, no); err != nil {
			return events.LambdaFunctionURLResponse{}, err
		}
		return answer(no.Status, "refused", no.Code), nil
	}
	if err != nil {
		return events.LambdaFunctionURLResponse{}, err
	}
	return answer(http.StatusAccepted, "accepted", told), nil
}

func answer(status int, name, value string) events.LambdaFunctionURLResponse {
	return events.LambdaFunctionURLResponse{
		StatusCode: status, Headers: map[string]string{"Content-Type": "application/json"},
		Body: fmt.Sprintf("{%q:%q}\n", name, value), // both are words of this package
	}
}

// receive goes from the cheapest check to the dearest. The delivery is remembered after its events are on the bus: a crash
// in between makes a second event with the same trigger id, which joins the run of the first, while the other order would
// lose the event. EventBridge delivers more than once anyway.
func (r *Receiver) receive(ctx context.Context, way route, known bool, in *Request) (string, error) {
	if !known {
		return "", &Refusal{http.StatusNotFound, UnknownRoute, "no such path"}
	}
	if err := in.open(); err != nil {
		return "", err
	}
	if err := way.verify(ctx, in); err != nil {
		return "", err
	}
	// From here on the sender is known.
	said, err := way.read(ctx, in)
	if err != nil {
		return "", err
	}
	delivery := Delivery{Source: way.name, At: in.At}
	for _, id := range said.replay {
		delivery.IDs = append(delivery.IDs, deliveryID(way.name, id))
	}
	replayed := &Refusal{http.StatusConflict, Replayed, "delivery " + clip(said.id) + " was taken in before"}
	if seen, err := r.Memory.Seen(ctx, delivery.IDs); err != nil || seen {
		if err == nil {
			err = replayed
		}
		return "", err
	}
	if len(said.events) == 0 {
		if err := r.ignore(ctx, in, said); err != nil {
			return "", err
		}
	} else if err := r.Bus.Put(ctx, in, said.events); err != nil {
		return "", err
	}
	first, err := r.Memory.Remember(ctx, delivery)
	switch {
	case err != nil:
		return "", err
	case !first:
		return "", replayed
	case len(said.events) == 0:
		return "ignored", nil
	}
	return "sent", nil
}

// deliveryID is the SHA-256 of a delivery's route and id, in hex: ids come from outside, keys of fixed length do not.
func deliveryID(route, id string) string {
	sum := sha256.Sum256([]byte(route + "\x00" + id))
	return hex.EncodeToString(sum[:])
}
