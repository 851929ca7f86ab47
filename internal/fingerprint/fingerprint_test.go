package fingerprint_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	server := stacktest.Start(t, clock, service)
	key := func(id string) string {
		made, err := service.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: id, Type: "AWS::KMS::Key",
			Properties: []byte(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`)})
		if err != nil {
			t.Fatal(err)
		}
		return made.Ref
	}
	one := key("one")
	maker := fingerprint.New(server.Config, one)
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
	sum := sha256.Sum256([]byte(password))
	want, err := sdk.NewFromConfig(server.Config).GenerateMac(t.Context(), &sdk.GenerateMacInput{KeyId: aws.String(one), MacAlgorithm: "HMAC_SHA_256", Message: sum[:]})
	if err != nil || hex.EncodeToString(want.Mac) != first {
		t.Errorf("the SDK's client comes to another fingerprint, %v", err)
	}
	for value, same := range map[string]bool{
		password: true, `{"username":"a","password":"a password"}`: true, `{"username":"b","host":"h","password":"a password"}`: true,
		`{"username":"a","password":""}`: false, `{"token":"a password"}`: false, "a password ": false, `"a password"`: false,
	} {
		if got := of(maker, value); (got == first) != same {
			t.Errorf("%s: same fingerprint %t, want %t", value, got == first, same)
		}
	}
	if of(fingerprint.New(server.Config, key("two")), password) == first {
		t.Error("another key makes the same fingerprint")
	}
	if first == hex.EncodeToString(sum[:]) {
		t.Error("the fingerprint is a hash that anybody can make")
	}
	if _, err := fingerprint.New(server.Config, "alias/none").Of(t.Context(), credential.Parse(password)); fault.CodeOf(err) != fault.KeyUnavailable || strings.Contains(err.Error(), password) {
		t.Errorf("without a key: %v", err)
	}
}

// What may pass is tried again, three times in all; what does not is not.
func TestAttempts(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	service := kms.New(clock)
	server := stacktest.Start(t, clock, service)
	made, err := service.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: "one", Type: "AWS::KMS::Key",
		Properties: []byte(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		fault        stack.Fault
		calls        int
		makes, named bool // a fingerprint; the error's name in the message
	}{
		"nothing fails":           {calls: 1, makes: true},
		"no answer, twice":        {stack.Fault{Mode: "drop", Count: 2}, 3, true, false},
		"no answer at all":        {stack.Fault{Mode: "drop", Count: 9}, 3, false, false},
		"throttled once":          {stack.Fault{Mode: "fail", Code: "ThrottlingException", Status: 400, Count: 1}, 2, true, false},
		"a failure of KMS's":      {stack.Fault{Mode: "fail", Code: "KMSInternalException", Status: 500, Count: 9}, 3, false, true},
		"the key is disabled":     {stack.Fault{Mode: "fail", Code: "DisabledException", Status: 400, Count: 9}, 1, false, true},
		"access is denied for it": {stack.Fault{Mode: "fail", Code: "AccessDeniedException", Status: 400, Count: 9}, 1, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			server.Endpoint.ResetCalls()
			server.Endpoint.ClearFaults()
			if c.fault.Mode != "" {
				c.fault.Service, c.fault.Operation = "kms", "GenerateMac"
				if err := server.Endpoint.AddFault(c.fault); err != nil {
					t.Fatal(err)
				}
			}
			print, err := fingerprint.New(server.Config, made.Ref).Of(t.Context(), credential.Parse("a value"))
			if (err == nil) != c.makes || (print != "") != c.makes || err != nil && fault.CodeOf(err) != fault.KeyUnavailable {
				t.Errorf("%q, %v", print, err)
			}
			if n := len(server.Endpoint.Calls()); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
			if c.named && !strings.Contains(err.Error(), c.fault.Code) {
				t.Errorf("the error is %v, want it to name %s", err, c.fault.Code)
			}
		})
	}
}
