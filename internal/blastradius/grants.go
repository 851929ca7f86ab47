package blastradius

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The encryption context under which Secrets Manager uses a key for a version of a secret: these two, and nothing else.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-encryption-context
const (
	contextSecret  = "SecretARN"
	contextVersion = "SecretVersionId"
)

// Decrypt is the operation of a key that reading a secret needs.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-using-cmk
const Decrypt = "Decrypt"

// Grant is a KMS grant on the key of a secret, as far as it says who may do what.
// Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantListEntry.html
type Grant struct {
	ID         string            `json:"id,omitempty"` // "" until it is made
	Name       string            `json:"name,omitempty"`
	Grantee    string            `json:"grantee"` // ARN, or the name of a service; of a role that was deleted whatever KMS says
	Operations []string          `json:"operations"`
	Equals     map[string]string `json:"equals,omitempty"` // the encryption context has to be this
	Subset     map[string]string `json:"subset,omitempty"` // the encryption context has to hold this
}

// GrantChanges are what lies between the grants that a contract compiles to and those in force.
type GrantChanges struct {
	Missing []Grant `json:"missing,omitempty"` // to be made
	Stale   []Grant `json:"stale,omitempty"`   // to be revoked: what Mayfly made for a service that is no longer declared
	Foreign []Grant `json:"foreign,omitempty"` // to be revoked: they name the secret, and Mayfly did not compile them
	Wide    []Grant `json:"wide,omitempty"`    // to be told: they reach every secret under the key, and may be there for something else
}

// None says that the grants in force are those that were compiled. Wide ones do not count: nothing is done about them.
func (g GrantChanges) None() bool { return len(g.Missing)+len(g.Stale)+len(g.Foreign) == 0 }

// Tell says in one sentence what changes, for the record. No value is in it.
func (g GrantChanges) Tell(key string) string {
	text := "grants on " + key + ":"
	for _, part := range []struct {
		what string
		list []Grant
	}{
		{"made for", g.Missing}, {"revoked, as no service of the contract has the role any more, of", g.Stale},
		{"revoked, as they name the secret and the contract does not have them, of", g.Foreign},
		{"left, though they reach whatever lies under the key, of", g.Wide},
	} {
		for i, one := range part.list {
			switch {
			case i == most:
				text += fmt.Sprintf(", and %d more", len(part.list)-most)
			case i > most:
			case i > 0:
				text += ", " + one.Grantee
			default:
				text += " " + part.what + " " + one.Grantee
			}
		}
		if len(part.list) > 0 {
			text += ";"
		}
	}
	return text[:len(text)-1]
}

const most = 10 // grants that a record names of a kind

// CompileGrants writes the grants on the key of a secret, by the secret's full ARN: each role of a declared service, see
// DeclaredRoles, may decrypt under the secret's encryption context, and nothing else. They are made whether the role has
// permissions of its own or not, so that the contract alone says who reads. Mayfly's own functions have theirs in their
// roles. The same input gives the same grants, sorted by role.
func CompileGrants(secretARN string, readers []string) []Grant {
	roles := distinct(readers)
	grants := make([]Grant, len(roles))
	for i, role := range roles {
		grants[i] = Grant{Name: grantName(secretARN, role), Grantee: role, Operations: []string{Decrypt}, Subset: map[string]string{contextSecret: secretARN}}
	}
	return grants
}

// grantName is the same whenever the same grant is made, which is how KMS knows a repeated request: with the same name and
// the same content it is the same grant. It has at most 256 of the characters that KMS takes.
// Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
func grantName(secretARN, role string) string {
	sum := sha256.Sum256([]byte(secretARN + "\x00" + role))
	return fmt.Sprintf("mayfly:%s:%s", secretName(secretARN), hex.EncodeToString(sum[:8]))
}

// CompareGrants says what has to become of the grants on a key so that of those that name the secret exactly the compiled
// ones are in force.
//
// A grant names the secret if its constraint holds the secret's ARN, or that of a secret of the same name that was there
// before: the six characters behind the name differ. One without any constraint on the secret reaches it all the same, but
// could be needed for something else under the key, and is for its owner to judge.
func CompareGrants(compiled, inForce []Grant, secretARN string) GrantChanges {
	var changes GrantChanges
	there := make([]bool, len(compiled))
	for _, g := range inForce {
		at := slices.IndexFunc(compiled, func(c Grant) bool { return c.same(g) })
		switch named, ok := g.secret(); {
		case at >= 0 && !there[at]:
			there[at] = true
		case ok && (named == secretARN || secretName(named) == secretName(secretARN)):
			if g.same(Grant{Name: grantName(named, g.Grantee), Grantee: g.Grantee, Operations: []string{Decrypt}, Subset: map[string]string{contextSecret: named}}) {
				changes.Stale = append(changes.Stale, g)
			} else {
				changes.Foreign = append(changes.Foreign, g)
			}
		case !ok && g.reaches():
			changes.Wide = append(changes.Wide, g)
		}
	}
	for i, c := range compiled {
		if !there[i] {
			changes.Missing = append(changes.Missing, c)
		}
	}
	return changes
}

// same says whether two grants differ in nothing but their ids.
func (g Grant) same(other Grant) bool {
	return g.Name == other.Name && g.Grantee == other.Grantee && slices.Equal(distinct(g.Operations), distinct(other.Operations)) &&
		maps.Equal(g.Equals, other.Equals) && maps.Equal(g.Subset, other.Subset)
}

// secret is the ARN of the secret that the constraint names.
func (g Grant) secret() (string, bool) {
	for _, c := range []map[string]string{g.Subset, g.Equals} {
		if arn, ok := c[contextSecret]; ok {
			return arn, true
		}
	}
	return "", false
}

// reaches says whether a grant that names no secret gives away what lies under the key all the same: by decrypting, by
// encrypting it anew for another key, or by further grants. A constraint on anything else than the version of a secret holds
// for none.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-grant-operations
func (g Grant) reaches() bool {
	opens := slices.ContainsFunc(g.Operations, func(op string) bool { return op == Decrypt || op == "ReEncryptFrom" || op == "CreateGrant" })
	if !opens || len(g.Equals) > 0 {
		return false
	}
	for key := range g.Subset {
		if key != contextVersion {
			return false
		}
	}
	return true
}

// secretName is the name in a secret's ARN, without the hyphen and six characters that Secrets Manager puts behind it.
// Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
func secretName(arn string) string {
	_, name, ok := strings.Cut(arn, ":secret:")
	if !ok {
		return arn
	}
	if at := len(name) - len("-a1b2c3"); at > 0 && name[at] == '-' {
		return name[:at]
	}
	return name
}
