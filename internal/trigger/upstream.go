package trigger

import (
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// current is the label of the version in use.
const current = "AWSCURRENT"

// outOfBand is a value or a label that somebody but Mayfly changed. The label's own event follows most of these and is
// another trigger: the secret's lease and cool-down make one rotation of the two.
func outOfBand(c call, t Trigger) (Resolution, error) {
	t.Type, t.Reason = Upstream, c.Name+" by "+t.Actor+", past Mayfly"
	return naming(t, c.secret(), "a secret that a contract could name")
}

// labelUpdated reads "Secret Label Updated": a version became current, and nobody says by whom. A version of Mayfly's own
// making is known by its id; when somebody moves the label back to an older one of these, CloudTrail tells.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/event-detail-secret-label-updated-secretsmanager.html
func labelUpdated(e envelope) (Resolution, error) {
	var d struct {
		Name    string `json:"name"`
		Label   string `json:"labelUpdated"`
		Version string `json:"versionId"`
	}
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	if e.ID == "" || d.Name == "" || d.Label == "" || d.Version == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "Secrets Manager event %q lacks id, name, labelUpdated or versionId", clip(e.ID, 64))
	}
	t := Trigger{Type: Upstream, ID: identity(e.ID), Source: e.Source}
	if d.Label != current {
		return ignore(t, "label "+clip(d.Label, 64)+" does not say which value is in use"), nil
	}
	if _, ours := credential.SlotOf(d.Version); ours {
		return ignore(t, "Mayfly itself made the version"), nil
	}
	t.Reason = "version " + clip(d.Version, 64) + " became current, past Mayfly"
	return naming(t, secretKeys(d.Name), "a secret that a contract could name")
}

// keyRotated reads "KMS CMK Rotation": https://docs.aws.amazon.com/kms/latest/developerguide/kms-events.html
func keyRotated(e envelope) (Resolution, error) {
	var d struct {
		Key      string `json:"key-id"`
		Material string `json:"current-key-material-id"`
	}
	if err := detail(e, &d); err != nil {
		return Resolution{}, err
	}
	id := d.Material
	if id == "" {
		id = e.ID
	}
	if d.Key == "" || id == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "KMS event %q lacks key-id", clip(e.ID, 64))
	}
	return found(Trigger{
		Type: Upstream, ID: identity(d.Key + "@" + id), Source: e.Source, Reason: "KMS rotated key " + clip(d.Key, 100),
	}, key("kms", lastOf(d.Key, "/"))...)
}
