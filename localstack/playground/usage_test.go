package playground_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack"
	"github.com/mayfly-secrets/mayfly/localstack/iam/authorization"
)

// Least privilege is measured over all scenarios of this package together: each permission that the template grants to a
// role must have allowed something, and must have been the only one that did. What remains is not needed, or no scenario
// needs it.

// usage is one permission of the template and the tests that needed it, with the seconds that each takes.
type usage struct {
	authorization.Permission
	Index  int                // of the resource in its statement
	Used   bool               // something was allowed by it, though something else would have allowed that as well
	Needed map[string]float64 // by name of the test
}

var usages = struct {
	sync.Mutex
	byPermission map[authorization.Permission]*usage
}{byPermission: map[authorization.Permission]*usage{}}

// keyID is the id of a KMS key, which is another one in every stack.
var keyID = regexp.MustCompile(`key/[0-9a-f-]{36}$`)

// observe notes, at the end of a test, by which permissions the roles of its stack did what they did, of those that the stack
// has now: a test may deploy another template later.
func observe(t *testing.T, s *localstack.Stack) {
	began, all := time.Now(), granted(s)
	t.Cleanup(func() {
		used := s.Access.Used()
		usages.Lock()
		defer usages.Unlock()
		for _, g := range all {
			alone, is := used[g.Permission]
			g.Resource = keyID.ReplaceAllString(g.Resource, "key/…")
			u := usages.byPermission[g.Permission]
			if u == nil {
				u = &g
				usages.byPermission[g.Permission] = u
			}
			if u.Used = u.Used || is; alone {
				u.Needed[t.Name()] = time.Since(began).Seconds()
			}
		}
	})
}

// granted are the permissions of all roles of the template.
func granted(s *localstack.Stack) []usage {
	var all []usage
	for _, role := range s.Roles() {
		index := map[authorization.Permission]int{} // next one, by what a statement's permissions on one action have in common
		for _, p := range s.Access.Granted(role) {
			same := p
			same.Resource = ""
			all = append(all, usage{Permission: p, Index: index[same], Needed: map[string]float64{}})
			index[same]++
		}
	}
	return all
}

// unmodelled are permissions that AWS asks for and the local stack does not, by statement and action, each with AWS's word
// for it.
var unmodelled = map[string]string{
	"EstablishKeys kms:Encrypt":                "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html",
	"WatchBatches states:DescribeExecution":    distributedMap,
	"WatchBatches states:StopExecution":        distributedMap,
	"WatchFleet states:DescribeExecution":      distributedMap,
	"WatchFleet states:StopExecution":          distributedMap,
	"WriteResults s3:AbortMultipartUpload":     resultWriter,
	"WriteResults s3:GetObject":                resultWriter,
	"WriteResults s3:ListMultipartUploadParts": resultWriter,
}

const (
	distributedMap = "https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html"
	resultWriter   = "https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html#resultwriter-iam-policies"
)

// unneeded lists the permissions that no scenario needed. It means something after a full run only.
func unneeded() []string {
	var found []string
	met := map[string]bool{}
	for p, u := range usages.byPermission {
		name := fmt.Sprintf("%s of role %s (%s)", p.Action, p.Role, p.Sid)
		if key := p.Sid + " " + p.Action; unmodelled[key] != "" {
			met[key], name = true, ""
		}
		switch {
		case name == "":
		case !u.Used:
			found = append(found, fmt.Sprintf("%s on %s: never used", name, p.Resource))
		case len(u.Needed) == 0:
			found = append(found, fmt.Sprintf("%s on %s: something else always allowed the same", name, p.Resource))
		}
	}
	for accepted := range unmodelled {
		if !met[accepted] {
			found = append(found, accepted+" is accepted and not granted any more: take it off the list")
		}
	}
	slices.Sort(found)
	return found
}

// leastPrivilege says what a full run of this package has found.
func leastPrivilege() error {
	if found := unneeded(); len(found) > 0 {
		return fmt.Errorf("%d permissions are granted and no scenario needs them; take them away, or try what needs them:\n  %s",
			len(found), strings.Join(found, "\n  "))
	}
	if len(usages.byPermission) < 100 {
		return fmt.Errorf("only %d permissions were looked at: this looks at the wrong thing", len(usages.byPermission))
	}
	return nil
}

// saveUsages writes who needed what, for the mutations to choose the test that must fail.
func saveUsages(file string) error {
	all := make([]*usage, 0, len(usages.byPermission))
	for _, u := range usages.byPermission {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *usage) int {
		return strings.Compare(fmt.Sprint(a.Permission), fmt.Sprint(b.Permission))
	})
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
