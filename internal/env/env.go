// Package env holds the names of the environment variables that infra sets and functions read, so that neither can
// misspell them.
package env

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The names. None of them ever holds a secret value.
const (
	ContractsTable = "MAYFLY_CONTRACTS_TABLE"  // name of the DynamoDB table with contracts and leases
	RunsTable      = "MAYFLY_RUNS_TABLE"       // name of the DynamoDB table with the run history
	Account        = "MAYFLY_ACCOUNT"          // AWS account id, for audit records
	AuditBucket    = "MAYFLY_AUDIT_BUCKET"     // name of the Object Lock bucket
	DispatchBucket = "MAYFLY_DISPATCH_BUCKET"  // name of the bucket with the lists of fleets and the deliveries of webhooks
	RetentionDays  = "MAYFLY_RETENTION_DAYS"   // days that an audit record is locked
	ContractsFile  = "MAYFLY_CONTRACTS_FILE"   // path of the compiled contracts beside the function's binary
	GuardrailsFile = "MAYFLY_GUARDRAILS_FILE"  // path of the rules beside the function's binary
	ContractCommit = "MAYFLY_CONTRACT_COMMIT"  // Git commit of the contracts in force, as far as known
	Environment    = "MAYFLY_ENVIRONMENT"      // environment that Mayfly's own secrets are in, such as prod
	Bus            = "MAYFLY_BUS"              // name of the event bus that webhooks are put on
	ReaderRoles    = "MAYFLY_READER_ROLES"     // ARNs of the roles of Mayfly's functions that read values, comma-separated
	BreakGlassRole = "MAYFLY_BREAK_GLASS_ROLE" // ARN of the role with which people read values in an emergency
	FingerprintKey = "MAYFLY_FINGERPRINT_KEY"  // ARN of the KMS key that fingerprints of values are made with
	StrangerRole   = "MAYFLY_STRANGER_ROLE"    // ARN of the role that probes read as and no contract declares
	GitHubKeys     = "MAYFLY_GITHUB_KEYS"      // GitHub's public keys for secret scanning, as GitHub publishes them; may be missing
)

// Must reads a variable that infra always sets; without it the function cannot work and says so at start.
func Must(name string) string {
	v := os.Getenv(name)
	if v == "" {
		panic(fmt.Sprintf("environment variable %s is not set: the function was deployed without its construct", name))
	}
	return v
}

// May reads a variable that need not be there: then it is empty.
func May(name string) string { return os.Getenv(name) }

// MustList reads a list, comma-separated.
func MustList(name string) []string { return strings.Split(Must(name), ",") }

// MustInt reads a number.
func MustInt(name string) int {
	n, err := strconv.Atoi(Must(name))
	if err != nil {
		panic(fmt.Sprintf("environment variable %s: %v", name, err))
	}
	return n
}
