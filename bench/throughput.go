package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// Throughput is how many secrets can be rotated at once on this machine, function processes and database included.
type Throughput struct {
	Secrets   int     `json:"secrets"` // rotated at the same time
	Rotations int     `json:"rotations"`
	PerMinute float64 `json:"rotations_per_minute"`
	RunP50    float64 `json:"run_ms_p50"` // of one run, its waits included
	RunP95    float64 `json:"run_ms_p95"`
}

// measureThroughput rotates all secrets at once, rounds times, after a first time that takes them over from their owners.
func measureThroughput(ctx context.Context, p *playground.Playground, secrets []string, rounds int) (Throughput, error) {
	t := Throughput{Secrets: len(secrets)}
	if _, _, err := rotateAll(ctx, p, secrets, "onboard"); err != nil {
		return t, err
	}
	var all time.Duration
	var runs []float64
	for i := range rounds {
		took, each, err := rotateAll(ctx, p, secrets, fmt.Sprint("round-", i))
		if err != nil {
			return t, err
		}
		all += took
		runs = append(runs, each...)
	}
	t.Rotations = len(runs)
	t.PerMinute = float64(t.Rotations) / all.Minutes()
	t.RunP50, t.RunP95 = quantile(runs, 0.5), quantile(runs, 0.95)
	return t, nil
}

// rotateAll rotates every secret and returns when the last has ended.
func rotateAll(ctx context.Context, p *playground.Playground, secrets []string, id string) (took time.Duration, each []float64, err error) {
	began := time.Now()
	each, errs := make([]float64, len(secrets)), make([]error, len(secrets))
	var wg sync.WaitGroup
	for i, s := range secrets {
		wg.Go(func() {
			execution, err := p.Rotate(ctx, s, id, "bench")
			if err != nil {
				errs[i] = err
				return
			}
			out, err := p.Wait(ctx, execution)
			if err == nil && out.Status != "SUCCEEDED" {
				err = fmt.Errorf("%s: the run ended %s", s, out.Status)
			}
			each[i], errs[i] = milliseconds(time.Since(began)), err
		})
	}
	wg.Wait()
	return time.Since(began), each, errors.Join(errs...)
}

// manifold is a bundle of n databases like the one of secret, each with an admin of its own, and the ids of their secrets.
func manifold(b contract.Bundle, n int) (contract.Bundle, []string, error) {
	like, ok := b.Find(secret)
	if !ok {
		return b, nil, fmt.Errorf("the contracts have no %s", secret)
	}
	admin, ok := b.Find(like.Target.Admin)
	if !ok {
		return b, nil, fmt.Errorf("the contracts have no %s", like.Target.Admin)
	}
	copied := func(c contract.Contract, name, database, owner, adminID string) contract.Contract {
		t := *c.Target
		t.Database, t.Owner, t.Admin = database, owner, adminID
		c.Name, c.Target = name, &t
		return c
	}
	many := contract.Bundle{Commit: b.Commit, Services: b.Services}
	var ids []string
	for i := range n {
		database := fmt.Sprintf("bench_%02d", i)
		a := copied(admin, fmt.Sprintf("bench-%02d-admin", i), database, fmt.Sprintf("bench_admin_%02d", i), "")
		c := copied(like, fmt.Sprintf("bench-%02d", i), database, database, a.ID())
		many.Contracts = append(many.Contracts, c, a)
		ids = append(ids, c.ID())
	}
	return many, ids, nil
}
