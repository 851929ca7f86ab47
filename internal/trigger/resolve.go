package trigger

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// MaxEvent is the largest event that is read: what Step Functions carries at most, 256 KiB. EventBridge carries a megabyte;
// what may be large of that is narrowed to what Reads lists.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const MaxEvent = 256 << 10

// Keys that are no lookup keys of contracts.
const (
	KeyDue    = "due"     // everything that the registry's index of due dates gives
	KeySecret = "secret:" // followed by a secret id: that secret alone
	// KeyFingerprint is followed by a fingerprint of 64 hex digits: the secrets of which a version that somebody could still
	// use has that value. Runs write it and not contracts: see registry.Fingerprint.
	KeyFingerprint = "fingerprint:"
)

// Resolution is what an event means. With Ignored set, nothing is affected, Keys is empty and Mode is None.
type Resolution struct {
	Trigger Trigger  `json:"trigger"`
	Mode    Mode     `json:"mode"`
	Keys    []string `json:"keys"`    // by which the registry finds what is affected, sorted: see contract.Keys, KeyDue, KeySecret
	Ignored string   `json:"ignored"` // why nothing is affected, one sentence

	// What Affected holds against each contract that the keys lead to.
	Changes     *Changes `json:"changes,omitempty"`     // of a commit
	Environment string   `json:"environment,omitempty"` // of a deployment, as the deploy tool calls it; "" if it does not say
}

// Changes are the files that a commit touched, as paths from the repository's root.
type Changes struct {
	Files   []string `json:"files"`
	Unknown string   `json:"unknown,omitempty"` // why Files is not everything, so that any file may have changed
}

// MaxKeys is how many keys one event may come to. Each costs a query; who names more is no documented source.
const MaxKeys = 1000

// envelope is what EventBridge puts around every event:
// https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
type envelope struct {
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Time       string          `json:"time"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// source reads the events of one kind. An empty name takes every source, one that ends with a slash all that begin with
// it; an empty detailType takes every event of the source.
type source struct {
	name, detailType string
	read             func(envelope) (Resolution, error)
}

func (s source) takes(e envelope) bool {
	named := s.name == "" || s.name == e.Source || strings.HasSuffix(s.name, "/") && strings.HasPrefix(e.Source, s.name)
	return named && (s.detailType == "" || s.detailType == e.DetailType)
}

func sources() []source {
	return []source{
		{"mayfly.schedule", "", evaluation},
		{"mayfly.manual", "", manualEvent},
		{InspectionSource, TypeSecretDrift, read[InspectionFinding]()},
		{"aws.codedeploy", "CodeDeploy Deployment State-change Notification", codeDeploy},
		{"aws.codepipeline", "CodePipeline Pipeline Execution State Change", codePipeline},
		{"aws.ecs", "ECS Deployment State Change", ecs},
		{"aws.codecommit", "CodeCommit Repository State Change", codeCommit},
		{"aws.guardduty", "GuardDuty Finding", guardDuty},
		{"aws.securityhub", "Security Hub Findings - Imported", securityHub},
		{"aws.health", "AWS Health Event", health},
		{"aws.access-analyzer", "Access Analyzer Finding", accessAnalyzer},
		{"aws.access-analyzer", "Internal Access Finding", accessAnalyzer},
		{"aws.access-analyzer", "Unused Access Finding for IAM entities", accessAnalyzer},
		{"aws.partner/pagerduty.com/", "", partner},
		{"aws.secretsmanager", "Secret Label Updated", labelUpdated},
		{"aws.secretsmanager", "AWS Service Event via CloudTrail", serviceEvent},
		{"aws.kms", "KMS CMK Rotation", keyRotated},
		{"", "AWS API Call via CloudTrail", cloudTrail},
		{WebhookSource, TypeGitHubPush, read[GitHubPush]()},
		{WebhookSource, TypeGitHubDeployment, read[GitHubDeployment]()},
		{WebhookSource, TypeSecretScanning, read[SecretScanning]()},
		{WebhookSource, TypePagerDuty, read[PagerDutyIncident]()},
		{WebhookSource, TypeSIEMAlert, read[SIEMAlert]()},
		{WebhookSource, TypeProviderChange, read[ProviderChange]()},
	}
}

// Kind is a kind of event that Resolve reads. Source "" is any, one that ends with a slash any that begins with it, and
// DetailType "" any of the source.
type Kind struct{ Source, DetailType string }

// Read lists the kinds of events that Resolve reads. Of any other it says why not.
func Read() []Kind {
	var all []Kind
	for _, s := range sources() {
		all = append(all, Kind{s.name, s.detailType})
	}
	return all
}

// Takes tells whether an event of a source and detail-type is of this kind.
func (k Kind) Takes(name, detailType string) bool {
	return source{name: k.Source, detailType: k.DetailType}.takes(envelope{Source: name, DetailType: detailType})
}

// Resolve says what any event means, from the event alone. Text that is no JSON object, and an event of a known kind that
// lacks what its documentation promises, is InputMalformed; an event of an unknown kind affects nothing, and says so.
// No error and no reason repeats members of an unknown event: some carry live tokens.
func Resolve(event []byte) (Resolution, error) {
	if len(event) > MaxEvent {
		return Resolution{}, fault.New(fault.InputMalformed, "the event has %d bytes; more than %d are not read", len(event), MaxEvent)
	}
	if !json.Valid(event) {
		return Resolution{}, fault.New(fault.InputMalformed, "the event is no JSON; send one JSON object")
	}
	trimmed := bytes.TrimSpace(event)
	if trimmed[0] != '{' {
		return ignore(Trigger{}, "the event is no JSON object, so it names no source; GitHub's lists of found tokens are for the webhook receiver alone"), nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(event, &members); err != nil {
		return Resolution{}, fault.New(fault.InputMalformed, "the event is no JSON object")
	}
	if _, enveloped := members["source"]; !enveloped {
		return bare(event, members)
	}
	var e envelope
	if err := json.Unmarshal(event, &e); err != nil {
		return Resolution{}, fault.New(fault.InputMalformed, "the event's envelope is not EventBridge's: id, source, detail-type and time are texts, resources a list of them")
	}
	for _, s := range sources() {
		if s.takes(e) {
			return s.read(e)
		}
	}
	return unread(e), nil
}

// found makes a resolution of a trigger and the keys that it names, at least one.
func found(t Trigger, keys ...string) (Resolution, error) {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if len(keys) > MaxKeys {
		return Resolution{}, fault.New(fault.InputMalformed, "event %q from %s names %d principals and services; more than %d are not looked up, send several events",
			clip(t.ID, 64), clip(t.Source, 64), len(keys), MaxKeys)
	}
	return Resolution{Trigger: t, Mode: t.Mode(), Keys: keys}, nil
}

func ignore(t Trigger, why string) Resolution {
	return Resolution{Trigger: t, Mode: None, Keys: []string{}, Ignored: why}
}

// evaluation is Mayfly's own schedule. Its time is the scheduled one, not the one of delivery, so that an evaluation that
// is delivered twice is one trigger: EventBridge Scheduler delivers at least once
// (https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html).
func evaluation(e envelope) (Resolution, error) {
	at, err := time.Parse(time.RFC3339, e.Time)
	if err != nil {
		return Resolution{}, fault.New(fault.InputMalformed, "the evaluation's time %q is no RFC 3339 time; give the scheduled time", clip(e.Time, 40))
	}
	return found(Trigger{
		Type: Schedule, ID: at.UTC().Format(time.RFC3339), Source: e.Source, Reason: "evaluation of what is due",
	}, KeyDue)
}

// detail reads an event's detail; members that Mayfly does not use are passed over, because AWS adds some all the time.
func detail(e envelope, into any) error {
	if err := json.Unmarshal(present(e.Detail), into); err != nil {
		return fault.New(fault.InputMalformed, "the detail of event %q from %s is not as documented", clip(e.ID, 64), e.Source)
	}
	return nil
}

// clip makes text from outside fit for one line of a record: no control characters, and at most so many bytes.
func clip(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
