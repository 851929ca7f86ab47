package blastradius_test

import (
	"fmt"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// world is a small organisation in order: an API key, a database login with the credential that rotates it, and a secret in
// staging; a service with prod and staging, one that reads nothing, and Mayfly itself. Tests disturb it.
type world struct {
	api, db, admin, staging    *contract.Contract
	billing, analytics, mayfly *contract.Service
	more                       []contract.Service
}

func newWorld() *world {
	secret := func(environment, name, level string) *contract.Contract {
		return &contract.Contract{
			Name: name, Owner: "payments-team", Environment: environment, Services: []string{"billing"}, TTL: days(1),
			RotateOn: []string{"incident", "commit"}, BlastRadius: level,
		}
	}
	w := &world{
		api: secret("prod", "api", "minimal"), db: secret("prod", "db", "minimal"),
		admin: secret("prod", "db-admin", "limited"), staging: secret("staging", "api", "minimal"),
		billing: &contract.Service{Name: "billing", Environments: map[string]contract.Placement{
			"prod": placed("prod-billing"), "staging": placed("staging-billing")}},
		analytics: &contract.Service{Name: "analytics", Environments: map[string]contract.Placement{"prod": placed("prod-analytics")}},
		mayfly:    &contract.Service{Name: "mayfly", Environments: map[string]contract.Placement{"prod": placed("mayfly")}},
	}
	w.db.Kind, w.db.Target = contract.Postgres, at("prod-db", "app")
	w.db.Target.Admin = w.admin.ID()
	w.admin.Kind, w.admin.Target, w.admin.Services = contract.Postgres, at("prod-db", "chief"), []string{"mayfly"}
	return w
}

func (w *world) bundle() contract.Bundle {
	return contract.Bundle{
		Contracts: []contract.Contract{*w.api, *w.db, *w.admin, *w.staging},
		Services:  append([]contract.Service{*w.billing, *w.analytics, *w.mayfly}, w.more...),
	}
}

func placed(role string) contract.Placement {
	return contract.Placement{Role: arn(role), Delivery: contract.Delivery{Kind: "external"}}
}

func arn(role string) string { return "arn:aws:iam::111122223333:role/" + role }

func at(host, owner string) *contract.Target {
	return &contract.Target{Host: host, Port: 5432, Database: "main", Owner: owner, TLS: "verify-full"}
}

func days(n int) contract.Duration { return contract.Duration(time.Duration(n) * 24 * time.Hour) }

// crowd declares so many services for the API key.
func (w *world) crowd(n int) {
	w.api.Services, w.api.BlastRadius, w.more = nil, "broad", nil
	for i := range n {
		name := fmt.Sprintf("service-%03d", i)
		w.api.Services = append(w.api.Services, name)
		w.more = append(w.more, contract.Service{Name: name, Environments: map[string]contract.Placement{"prod": placed("prod-" + name)}})
	}
}
