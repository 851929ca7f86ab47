package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/inspection"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// The secret that others try to read, and the service that reads it.
const (
	triedSecret  = "prod/payment-api-key"
	triedService = "billing-service"
)

// access has others try to read, each with the permission of its own policies to do so: only the declared service succeeds, and
// when the life of the value is over, with everything of Mayfly stopped, not even that. What was seen is kept as evidence.
func (s *scenes) access(ctx context.Context) error {
	prod, err := s.Role(triedService, "prod")
	if err != nil {
		return err
	}
	staging, err := s.Role(triedService, "staging")
	if err != nil {
		return err
	}
	who := []asker{
		{"analytics, which is not declared,", playground.Analytics, false},
		{triedService + " in prod", prod, true},
		{"the same service's staging role", staging, false},
		{"the account's root", "", false},
	}
	if err := s.try(ctx, "", who); err != nil {
		return err
	}
	if err := s.Halt(ctx); err != nil {
		return err
	}
	s.service.Stop()
	s.service = nil
	s.Stack.Endpoint.ResetCalls()
	c, _ := s.Bundle.Find(triedSecret)
	s.line("every schedule is switched off, so that nothing of Mayfly runs; the clock moves on by a day")
	s.Stack.Clock.Advance(max(24*time.Hour, c.TTL.Std()) + time.Minute)
	for i := range who {
		who[i].reads = false
	}
	if err := s.try(ctx, "a day later, with everything stopped, ", who); err != nil {
		return err
	}
	if worked := s.Worked(); len(worked) > 0 {
		return fmt.Errorf("everything is stopped, and %s worked", strings.Join(worked, ", "))
	}
	return s.Resume(ctx)
}

// asker is somebody who tries to read, and whether he may.
type asker struct {
	who, role string
	reads     bool
}

// try makes the attempts, compares what comes of them with what must, and keeps it as a record in the chain of the secret.
func (s *scenes) try(ctx context.Context, when string, attempts []asker) error {
	var seen []string
	for _, a := range attempts {
		reads, err := s.Reads(ctx, playground.Ask{Role: a.role, Secret: triedSecret})
		if err != nil {
			return err
		}
		if reads != a.reads {
			return fmt.Errorf("%s%s reads %s: %t, want %t", when, a.who, triedSecret, reads, a.reads)
		}
		answer := map[bool]string{true: "reads", false: "gets AccessDenied"}[reads]
		s.proven("%s%s %s", when, a.who, answer)
		role := "root"
		if a.role != "" {
			role = contract.RoleName(a.role)
		}
		seen = append(seen, role+" "+answer)
	}
	return s.evidence(ctx, when+strings.Join(seen, ", "))
}

// evidence is a record of what the demo tried, written as whoever runs it.
func (s *scenes) evidence(ctx context.Context, seen string) error {
	log := &audit.Log{S3: s3.NewFromConfig(s.AWS), Bucket: playground.AuditBucket, Retention: 400 * 24 * time.Hour,
		Account: stack.Account, Region: stack.Region, Lines: io.Discard}
	c, _ := s.Bundle.Find(triedSecret)
	now := s.Stack.Clock.Now()
	sum := sha256.Sum256([]byte(audit.Stamp(now) + seen))
	_, err := log.Append(ctx, audit.Head{}, audit.Record{
		ID: hex.EncodeToString(sum[:16]), Time: audit.Stamp(now), Environment: c.Environment, Secret: triedSecret, Owner: c.Owner,
		Services: strings.Join(c.Services, ","), Event: inspection.EventProbed, Step: "Demo", Actor: "arn:aws:iam::" + stack.Account + ":root", Attempt: 1,
		Outcome: "passed", Reason: seen,
	})
	if err == nil {
		s.proven("kept as evidence in the chain of %s", triedSecret)
	}
	return err
}
