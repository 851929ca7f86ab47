package postgres_test

import (
	"crypto/rand"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/rotator"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres"
	local "github.com/mayfly-secrets/mayfly/localstack/postgres"
)

// The server's certificate names 127.0.0.1 only, and it takes plaintext too: whoever falls back is let in.
func TestTLSModes(t *testing.T) {
	s, other := start(t, local.Options{TLS: true}), start(t, local.Options{TLS: true})
	c, current, demo := s.secret(t, contract.Dual, false)
	proxy, err := local.NewProxy(s.Port) // has no TLS
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	for _, test := range []struct {
		mode, host, root string
		want             fault.Code // "": logs in
		encrypted        bool
	}{
		{"disable", "127.0.0.1", "", "", false},
		{"require", "127.0.0.1", "", "", true},
		{"require", "127.0.0.1", s.RootCert, "", true},
		{"require", "127.0.0.1", other.RootCert, fault.TargetUnavailable, true},
		{"verify-ca", "localhost", s.RootCert, "", true},
		{"verify-ca", "127.0.0.1", other.RootCert, fault.TargetUnavailable, true},
		{"verify-ca", "127.0.0.1", "", fault.TargetUnavailable, true}, // the system's roots do not know this CA
		{"verify-full", "127.0.0.1", s.RootCert, "", true},
		{"", "127.0.0.1", s.RootCert, "", true},
		{"verify-full", "localhost", s.RootCert, fault.TargetUnavailable, true},
		{"verify-full", "127.0.0.1", other.RootCert, fault.TargetUnavailable, true},
		{"verify-full", "127.0.0.1", "not PEM", fault.ContractInvalid, true},
		{"allow", "127.0.0.1", "", fault.ContractInvalid, true},
		{"prefer", "127.0.0.1", "", fault.ContractInvalid, true},
		{"REQUIRE", "127.0.0.1", "", fault.ContractInvalid, true},
	} {
		name := test.mode + " at " + test.host
		target := *c.Target
		target.TLS, target.Host, target.RootCert = test.mode, test.host, test.root
		with := c
		with.Target = &target
		got, err := postgres.New(rand.Reader).Probe(t.Context(), with, current)
		switch {
		case test.want == "" && (err != nil || got != rotator.Honoured):
			t.Errorf("%s: %s, %v", name, got, err)
		case test.want != "":
			code(t, err, test.want, name)
		default:
			target.Must = []string{"SELECT ssl = " + map[bool]string{true: "true", false: "false"}[test.encrypted] + " FROM pg_stat_ssl WHERE pid = pg_backend_pid()"}
			with.From, with.To = rotator.Version{}, rotator.Version{ID: "x", Slot: credential.SlotOwner, User: demo.Owner}
			with.New = current
			if err := postgres.New(rand.Reader).Test(t.Context(), with); err != nil {
				t.Errorf("%s: encrypted should be %t: %v", name, test.encrypted, err)
			}
		}
		if test.encrypted {
			// The same, where the server has no TLS to offer: nothing may be sent.
			target.Port, target.Host = proxy.Port(), "127.0.0.1"
			if _, err := postgres.New(rand.Reader).Probe(t.Context(), with, current); err == nil {
				t.Errorf("%s: logs in where there is no TLS", name)
			}
		}
	}
	if got := proxy.Logins(""); got != (local.Logins{}) {
		t.Errorf("somebody fell back to plaintext: %+v", got)
	}
}
