package blastradius

import (
	"slices"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// RolesElsewhere are the roles that the contract's services have in other environments and not in its own, sorted; never nil:
// they do what the service does, and must not read the secret.
func RolesElsewhere(c contract.Contract, services []contract.Service) []string {
	here, err := DeclaredRoles(c, services)
	if err != nil {
		return []string{} // said where the contract is compiled
	}
	var roles []string
	for _, s := range services {
		if s.Name == Self || !slices.Contains(c.Services, s.Name) {
			continue
		}
		for environment, p := range s.Environments {
			if environment != c.Environment && !slices.Contains(here, p.Role) {
				roles = append(roles, p.Role)
			}
		}
	}
	return distinct(roles)
}
