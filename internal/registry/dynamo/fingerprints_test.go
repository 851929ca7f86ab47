package dynamo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Prints of three values.
var one, two, three = strings.Repeat("1", 64), strings.Repeat("2", 64), strings.Repeat("3", 64)

// prints are what the registry knows of a secret: "<version> <first digit>", and "ended" where it ended.
func (b book) prints(id string) []string {
	b.Helper()
	found, err := b.Fingerprints(b.Context(), id)
	b.must(err)
	lines := []string{}
	for _, f := range found {
		if f.Secret != id {
			b.Errorf("a print of %s among those of %s", f.Secret, id)
		}
		line := f.Version + " " + f.Print[:1]
		if !f.Ended.IsZero() {
			line += " ended " + f.Ended.Format("15:04")
		}
		lines = append(lines, line)
	}
	return lines
}

// holders are the versions that hold a value and could be used.
func (b book) holders(print string) []string {
	b.Helper()
	found, err := b.Holders(b.Context(), print)
	b.must(err)
	lines := []string{}
	for _, f := range found {
		if f.Print != print || !f.Ended.IsZero() {
			b.Errorf("a holder of %.8s is %+v", print, f)
		}
		lines = append(lines, f.Secret+" "+f.Version)
	}
	slices.Sort(lines)
	return lines
}

func (b book) same(what string, want, got []string) {
	b.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Values that people set are noted by whoever reads them, and lead to all that hold them, through the key that events name.
func TestFingerprints(t *testing.T) {
	const other = "prod/payment-api-key"
	b := newBook(t)
	b.apply(secret, now, "environment:prod")
	b.apply(other, now, "environment:prod")
	for range 2 {
		b.must(b.SetFingerprint(t.Context(), secret, "v1", one))
		b.must(b.SetFingerprint(t.Context(), secret, "v2", two))
		b.must(b.SetFingerprint(t.Context(), other, "v9", one))
	}
	b.same("prints", []string{"v1 1", "v2 2"}, b.prints(secret))
	b.same("holders", []string{secret + " v1", other + " v9"}, b.holders(one))
	b.same("holders of nobody's value", []string{}, b.holders(three))
	found, err := b.Lookup(t.Context(), []string{"fingerprint:" + one})
	b.must(err)
	b.same("an event's lookup", []string{secret, other}, slices.Sorted(slices.Values(found)))

	shared, err := b.Sharing(t.Context(), []string{secret})
	b.must(err)
	var lines []string
	for _, f := range shared {
		lines = append(lines, f.Secret+" "+f.Version+" "+f.Print[:1])
	}
	slices.Sort(lines)
	b.same("who shares", []string{secret + " v1 1", secret + " v2 2", other + " v9 1"}, lines)

	b.apply(secret, now, "service:prod/orders") // rewrites the lookup keys
	b.same("prints after another contract", []string{"v1 1", "v2 2"}, b.prints(secret))
	b.must(b.Withdraw(t.Context(), secret))
	b.same("prints after its withdrawal", []string{}, b.prints(secret))
	b.same("holders after its withdrawal", []string{other + " v9"}, b.holders(one))
}

// What a run brings is noted and what it saw refused is taken out in the transaction that closes it, however often its answer
// is lost; the value of what ended is still known for a week, and nobody brings it back.
func TestCloseNotesFingerprints(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	b.must(b.SetFingerprint(t.Context(), secret, "v1", one))
	b.mustAcquire(claim("run"))
	b.must(b.Open(t.Context(), opened("run")))
	c := closing("run")
	c.VersionTo, c.Fingerprint, c.Revoked = "v2", two, []string{"v1", "v0"} // of v0 nobody knew the value
	b.must(b.server.Endpoint.AddFault(stack.Fault{Service: "dynamodb", Operation: "TransactWriteItems", Mode: "drop", When: "before"}))
	if b.Close(t.Context(), c) == nil {
		t.Fatal("the fault did not strike")
	}
	b.same("prints after a failure", []string{"v1 1"}, b.prints(secret))
	b.must(b.server.Endpoint.AddFault(stack.Fault{Service: "dynamodb", Operation: "TransactWriteItems", Mode: "drop", When: "after"}))
	if b.Close(t.Context(), c) == nil {
		t.Fatal("the fault did not strike")
	}
	for range 2 {
		b.same("prints", []string{"v1 1 ended " + c.Ended.Format("15:04"), "v2 2"}, b.prints(secret))
		b.same("holders of the old value", []string{}, b.holders(one))
		b.same("holders of the new value", []string{secret + " v2"}, b.holders(two))
		b.must(b.Close(t.Context(), c))
		b.must(b.SetFingerprint(t.Context(), secret, "v1", one)) // by somebody who read v1 before it ended
	}
	for version, want := range map[string]string{"v1": fmt.Sprint(c.Ended.Add(7 * 24 * time.Hour).Unix()), "v2": ""} {
		out, err := b.db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("contracts"), Key: map[string]types.AttributeValue{
			"secret": &types.AttributeValueMemberS{Value: secret}, "item": &types.AttributeValueMemberS{Value: "fingerprint#" + version}}})
		b.must(err)
		got := ""
		if n, ok := out.Item["expires"].(*types.AttributeValueMemberN); ok {
			got = n.Value
		}
		if got != want {
			t.Errorf("DynamoDB deletes the item of %s at %q, want %q", version, got, want)
		}
	}
}

// A run that another one overtook says nothing about versions: the other one does.
func TestOvertakenRunNotesNoFingerprint(t *testing.T) {
	b := newBook(t)
	b.apply(secret, now)
	b.must(b.SetFingerprint(t.Context(), secret, "v1", one))
	b.mustAcquire(claim("one"))
	over := claim("two")
	over.Over = "one"
	b.mustAcquire(over)
	late := closing("one")
	late.VersionTo, late.Fingerprint, late.Revoked = "v2", two, []string{"v1"}
	b.must(b.Close(t.Context(), late))
	b.same("prints", []string{"v1 1"}, b.prints(secret))
}
