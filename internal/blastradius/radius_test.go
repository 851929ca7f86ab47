package blastradius_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/source"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// shown are the contracts that the golden files show: one of each sort. The others need no file to be right.
func shown() []string {
	return []string{"prod/orders-db", "prod/orders-db-admin", "prod/payment-api-key"}
}

// ours are the contracts that this project ships.
func ours(t *testing.T) contract.Bundle {
	t.Helper()
	b, problems := source.Load(os.DirFS("../../contracts"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return b
}

func TestOurContractsDerive(t *testing.T) {
	b := ours(t)
	if problems := blastradius.Problems(b); len(problems) > 0 {
		t.Error(problems)
	}
	var sentences strings.Builder
	for _, secret := range shown() {
		r, err := blastradius.Derive(b, secret)
		if err != nil {
			t.Fatal(err)
		}
		sentences.WriteString(r.Sentence + "\n")
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, contract.Slug(secret)+".json", append(text, '\n'))
		golden(t, contract.Slug(secret)+".svg", blastradius.Picture(r))
	}
	golden(t, "sentences.txt", []byte(sentences.String()))
}
