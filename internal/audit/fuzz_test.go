package audit_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
)

// FuzzRead reads whatever lies in the bucket. What passes for a record is one, to the byte.
func FuzzRead(f *testing.F) {
	rec := record("a", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	sealed, err := rec.Seal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(bytes.Replace(sealed, []byte("setting"), []byte("settinG"), 1))
	f.Add([]byte(`{"hash":""}`))
	f.Add([]byte(`,"hash":"`))
	f.Fuzz(func(t *testing.T, object []byte) {
		got, err := audit.Read(object)
		if err == nil && !bytes.Contains(object, []byte(got.Hash)) {
			t.Errorf("%q passes with hash %q", object, got.Hash)
		}
		if err == nil && bytes.Equal(object, sealed) != (got.Hash == rec.Hash) {
			t.Errorf("%q passes for the record", object)
		}
	})
}
