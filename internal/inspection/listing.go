package inspection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

// PerBatch is how many secrets one child of the Map inspects: few enough that every step ends well within its timeout, and so
// many that a child is worth its start.
const PerBatch = 20

// ListSecrets parts the secrets under contract into batches: the first state of mayfly-inspect. It reads the registry's index
// and nothing of the secrets themselves.
type ListSecrets struct {
	Log      rotation.Log
	Registry interface {
		InForce(ctx context.Context) ([]string, error)
	}
	Lists *rotation.Lists
}

// Order is the input of mayfly-inspect, as it came, and where it came.
type Order struct {
	Order   json.RawMessage  `json:"order"`
	Context rotation.Context `json:"context"`
}

// order is what the input of mayfly-inspect may say. Other members are passed over.
type order struct {
	Access  bool     `json:"access"`  // also try to read as others, and to log in with values that were revoked long ago
	Secrets []string `json:"secrets"` // only these, of those under contract; none: all
	Reason  string   `json:"reason"`
	Actor   string   `json:"actor"`
}

// Listing is the batches, in the dispatch bucket.
type Listing struct {
	Count    int                `json:"count"` // of batches
	Access   bool               `json:"access"`
	Dispatch *rotation.Dispatch `json:"dispatch,omitempty"`
}

// Part is one batch in the list.
type Part struct {
	Secrets []string `json:"secrets"`
}

// Handle writes the list before the record that counts it, as ResolveTrigger does: nobody reads it until Handle has returned.
func (s *ListSecrets) Handle(ctx context.Context, in Order) (Listing, error) {
	var asked order
	if json.Unmarshal(in.Order, &asked) != nil || in.Context.Execution.Name == "" {
		return Listing{}, fault.New(fault.InputMalformed, `the input is not {"access": true or false, "secrets": ["<environment>/<name>", …]}, where both may be left out`)
	}
	secrets, err := s.Registry.InForce(ctx)
	if err != nil {
		return Listing{}, err
	}
	if len(asked.Secrets) > 0 {
		secrets = slices.DeleteFunc(secrets, func(id string) bool { return !slices.Contains(asked.Secrets, id) })
	}
	slices.Sort(secrets)
	var parts []Part
	for part := range slices.Chunk(secrets, PerBatch) {
		parts = append(parts, Part{slices.Clone(part)})
	}
	done := Listing{Access: asked.Access}
	if len(parts) > 0 {
		kept, at, err := rotation.Keep(ctx, s.Lists, in.Context.Execution.Name, "batches.json", parts)
		if err != nil {
			return Listing{}, err
		}
		parts, done.Dispatch = kept, &at
	}
	done.Count = len(parts)
	return done, s.note(ctx, in.Context, asked, len(secrets), len(parts))
}

// note puts the inspection on record, in the chain of what concerns no single secret.
func (s *ListSecrets) note(ctx context.Context, c rotation.Context, asked order, secrets, batches int) error {
	sum := sha256.Sum256([]byte(c.Execution.ID + "\x00" + EventInspecting))
	reason := fmt.Sprintf("%d secrets in %d batches", secrets, batches)
	if asked.Access {
		reason += ", with probes of access"
	}
	if asked.Reason != "" {
		reason = clip(asked.Reason, 400) + " (" + reason + ")"
	}
	_, err := s.Log.Append(ctx, audit.Head{}, audit.Record{
		ID: hex.EncodeToString(sum[:16]), Time: audit.Stamp(c.Now()), Environment: audit.NoEnvironment, Secret: audit.NoSecret,
		Event: EventInspecting, Step: c.State.Name, Reason: reason, Actor: clip(asked.Actor, 256), ExecutionARN: c.Execution.ID, Attempt: c.State.RetryCount + 1,
	})
	return err
}
