package blastradius_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
)

func TestRolesElsewhere(t *testing.T) {
	service := func(name string, roles map[string]string) contract.Service {
		s := contract.Service{Name: name, Environments: map[string]contract.Placement{}}
		for environment, role := range roles {
			s.Environments[environment] = contract.Placement{Role: role}
		}
		return s
	}
	services := []contract.Service{
		service("billing", map[string]string{"prod": "prod-billing", "staging": "staging-billing", "dev": "shared"}),
		service("worker", map[string]string{"prod": "shared", "staging": "staging-billing"}),
		service("other", map[string]string{"staging": "staging-other"}),
		service(blastradius.Self, map[string]string{"prod": "mayfly", "staging": "mayfly-staging"}),
	}
	for name, c := range map[string]struct {
		services []string
		want     []string
	}{
		"one":                         {[]string{"billing"}, []string{"shared", "staging-billing"}},
		"a role that also reads here": {[]string{"billing", "worker"}, []string{"staging-billing"}},
		"Mayfly itself":               {[]string{blastradius.Self}, []string{}},
		"not in this environment":     {[]string{"other"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := blastradius.RolesElsewhere(contract.Contract{Name: "x", Environment: "prod", Services: c.services}, services)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
