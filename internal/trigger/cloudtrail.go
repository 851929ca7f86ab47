package trigger

import (
	"encoding/json"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// call is a record of CloudTrail, as EventBridge delivers it with detail-type "AWS API Call via CloudTrail":
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
type call struct {
	ID        string     `json:"eventID"`
	Service   string     `json:"eventSource"` // secretsmanager.amazonaws.com
	Name      string     `json:"eventName"`
	ErrorCode string     `json:"errorCode"`
	ReadOnly  bool       `json:"readOnly"`
	Caller    caller     `json:"userIdentity"`
	Resources []resource `json:"resources"`
	Request   parameters `json:"requestParameters"`
	Response  parameters `json:"responseElements"`
}

type caller struct {
	ARN       string `json:"arn"`
	UserName  string `json:"userName"`
	InvokedBy string `json:"invokedBy"` // an AWS service that called for itself
	Session   struct {
		Issuer struct {
			Type     string `json:"type"`
			UserName string `json:"userName"`
		} `json:"sessionIssuer"`
	} `json:"sessionContext"`
}

type resource struct {
	ARN string `json:"ARN"`
}

// parameters are the members of requests and answers that sources read. A call that has others, or the same of another
// type, is not thereby malformed: every service spells them as it likes.
type parameters map[string]json.RawMessage

func (p parameters) text(name string) string {
	var text string
	_ = json.Unmarshal(p[name], &text) // anything but text is no name
	return text
}

func (p parameters) texts(name string) []string {
	var texts []string
	_ = json.Unmarshal(p[name], &texts)
	return texts
}

// effect is what a kind of call means.
type effect func(call, Trigger) (Resolution, error)

// effects are the calls that concern a secret, by service and name. Every other call is one that concerns none.
func effects() map[string]map[string]effect {
	secret, people, key := map[string]effect{}, map[string]effect{}, map[string]effect{}
	for _, name := range []string{"PutResourcePolicy", "DeleteResourcePolicy"} {
		secret[name] = accessOfSecret
	}
	for _, name := range []string{"TagResource", "UntagResource"} {
		secret[name] = tagged
	}
	for _, name := range []string{"PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage"} {
		secret[name] = outOfBand
	}
	for _, name := range []string{
		"PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "UpdateAssumeRolePolicy",
		"PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary", "DeleteRole", "AddRoleToInstanceProfile",
		"PutUserPolicy", "DeleteUserPolicy", "AttachUserPolicy", "DetachUserPolicy", "PutUserPermissionsBoundary",
		"DeleteUserPermissionsBoundary", "CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile", "DeleteUser",
		"PutGroupPolicy", "DeleteGroupPolicy", "AttachGroupPolicy", "DetachGroupPolicy", "AddUserToGroup", "RemoveUserFromGroup",
		"CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicy",
	} {
		people[name] = accessOfPrincipal
	}
	for _, name := range []string{"CreateGrant", "RetireGrant", "RevokeGrant", "PutKeyPolicy"} {
		key[name] = accessOfKey
	}
	return map[string]map[string]effect{"secretsmanager.amazonaws.com": secret, "iam.amazonaws.com": people, "kms.amazonaws.com": key}
}

// cloudTrail reads the API calls of Secrets Manager, IAM and KMS.
func cloudTrail(e envelope) (Resolution, error) {
	var c call
	if err := detail(e, &c); err != nil {
		return Resolution{}, err
	}
	if c.ID == "" || c.Service == "" || c.Name == "" {
		return Resolution{}, fault.New(fault.InputMalformed, "CloudTrail event %q lacks eventID, eventSource or eventName", clip(e.ID, 64))
	}
	t := Trigger{ID: identity(c.ID), Source: e.Source, Actor: c.Caller.name()}
	read, concerns := effects()[c.Service][c.Name]
	if !concerns {
		read, concerns = readings()[c.Service][c.Name]
	}
	if !concerns {
		why := clip(c.Name, 64) + " changes neither a secret of Secrets Manager nor who can read one"
		if c.ReadOnly {
			why = clip(c.Name, 64) + " only reads"
		}
		return ignore(t, why), nil
	}
	if e.Source != "aws."+strings.TrimSuffix(c.Service, ".amazonaws.com") {
		return ignore(t, "the event does not come from the service whose call it reports"), nil
	}
	t.Reason = c.Name + " by " + t.Actor
	r, err := read(c, t)
	switch {
	case err != nil:
		return Resolution{}, err
	case r.Ignored != "":
	case c.ErrorCode != "":
		return ignore(r.Trigger, "the call "+c.Name+" was refused and changed nothing"), nil
	case c.Caller.mayfly():
		return ignore(r.Trigger, "Mayfly itself made the call "+c.Name), nil
	}
	return r, nil
}

// name of the caller: the ARN that every identity but an AWS service has.
func (c caller) name() string {
	for _, name := range []string{c.ARN, c.UserName, c.InvokedBy} {
		if name != "" {
			return clip(name, 256)
		}
	}
	return "somebody whom CloudTrail does not name"
}

// mayfly tells whether one of Mayfly's functions made the call: a session of the role that is named like the function (the
// stack sees to that), under the function's name (Lambda sees to that). Who may create roles could pretend to it; a session's
// name alone anybody may choose.
func (c caller) mayfly() bool {
	_, assumed, _ := strings.Cut(c.ARN, ":assumed-role/")
	role, session, _ := strings.Cut(assumed, "/")
	return role != "" && c.Session.Issuer.Type == "Role" && c.Session.Issuer.UserName == role &&
		strings.HasPrefix(role, "mayfly-") && role != BreakGlass && session == role // people name their sessions as they like
}

// secret gives the keys of the secret that a call of Secrets Manager names. The answer holds the whole ARN or the name;
// the request holds whatever the caller called it by. Older records spell the answer's key aRN.
func (c call) secret() []string {
	for _, known := range []string{c.Response.text("arn"), c.Response.text("aRN"), c.Response.text("ARN"), c.Response.text("name")} {
		if keys := secretKeys(known); len(keys) > 0 {
			return keys[:1]
		}
	}
	return secretKeys(c.Request.text("secretId"))
}

// serviceEvent reads "AWS Service Event via CloudTrail" of Secrets Manager: how its own rotation goes.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieve-ct-entries.html
func serviceEvent(e envelope) (Resolution, error) {
	var c call
	if err := detail(e, &c); err != nil {
		return Resolution{}, err
	}
	return ignore(Trigger{Type: Upstream, ID: identity(c.ID), Source: e.Source},
		clip(c.Name, 64)+" is about the rotation by Secrets Manager itself; a new value is announced by its label"), nil
}
