package fingerprint_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/fingerprint"
	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

// Which values have one fingerprint, and that it tells nothing without the key.
func TestOf(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	service := kms.New(clock)
	client := sdk.NewFromConfig(stacktest.Start(t, clock, service).Config)
	key := func(id string) string {
		made, err := service.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: id, Type: "AWS::KMS::Key",
			Properties: []byte(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`)})
		if err != nil {
			t.Fatal(err)
		}
		return made.Ref
	}
	maker := fingerprint.Maker{KMS: client, Key: key("one")}
	of := func(m fingerprint.Maker, value string) string {
		t.Helper()
		print, err := m.Of(t.Context(), credential.Parse(value))
		if err != nil {
			t.Fatal(err)
		}
		if len(print) != 64 || strings.Trim(print, "0123456789abcdef") != "" {
			t.Errorf("%q is no fingerprint", print)
		}
		return print
	}
	const password = "a password"
	first := of(maker, password)
	for value, same := range map[string]bool{
		password: true, `{"username":"a","password":"a password"}`: true, `{"username":"b","host":"h","password":"a password"}`: true,
		`{"username":"a","password":""}`: false, `{"token":"a password"}`: false, "a password ": false, `"a password"`: false,
	} {
		if got := of(maker, value); (got == first) != same {
			t.Errorf("%s: same fingerprint %t, want %t", value, got == first, same)
		}
	}
	if of(fingerprint.Maker{KMS: client, Key: key("two")}, password) == first {
		t.Error("another key makes the same fingerprint")
	}
	if sum := sha256.Sum256([]byte(password)); first == hex.EncodeToString(sum[:]) {
		t.Error("the fingerprint is a hash that anybody can make")
	}
	if _, err := (fingerprint.Maker{KMS: client, Key: "alias/none"}).Of(t.Context(), credential.Parse(password)); fault.CodeOf(err) != fault.KeyUnavailable || strings.Contains(err.Error(), password) {
		t.Errorf("without a key: %v", err)
	}
}
