package postgres_test

import (
	"crypto/rand"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/internal/rotator/postgres"
	local "github.com/mayfly-secrets/mayfly/localstack/postgres"
)

func BenchmarkRotator(b *testing.B) {
	var s *server
	ok := b.Run("start", func(b *testing.B) {
		for b.Loop() {
			c, err := local.Start(b.Context(), local.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if s != nil {
				s.Stop()
			}
			s = &server{Cluster: c}
		}
	})
	if !ok {
		return
	}
	defer s.Stop()
	c, _, _ := s.secret(b, contract.Dual, false)
	c = to(b, c, credential.SlotA, 1)
	r := postgres.New(rand.Reader)
	for name, call := range map[string]func() error{
		"Set":    func() error { return r.Set(b.Context(), c) },
		"Test":   func() error { return r.Test(b.Context(), c) },
		"Probe":  func() error { _, err := r.Probe(b.Context(), c, c.New); return err },
		"Revoke": func() error { return r.Revoke(b.Context(), c) },
	} {
		b.Run(name, func(b *testing.B) {
			if err := r.Set(b.Context(), c); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
