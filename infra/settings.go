package infra

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// Settings is what a deployment may choose, from CDK context (`cdk deploy -c retentionDays=730`) and from what the
// build left in the folder of functions.
type Settings struct {
	Environment        string          // context "environment", default prod: where the auditor's queries look first
	RetentionDays      int             // context "retentionDays", default 400: days that an audit record cannot be deleted
	Region             string          // context "region": empty means the one that the CLI deploys to
	AlarmEmail         string          // context "alarmEmail": subscribed to the alarms; empty means nobody is, yet
	GitHubKeys         string          // context "githubKeys": a file with GitHub's public keys for secret scanning; here its text
	PagerDutyBus       string          // context "pagerDutyBus": the event bus of PagerDuty's partner source, named like it; empty: none
	DeletionProtection bool            // context "deletionProtection", default true: tables refuse to be deleted
	VPC                *VPC            // context "vpc": where the functions run that talk to targets; nil: in no VPC
	Functions          string          // context "functions", default build/functions: one folder with a bootstrap per function
	StateMachines      string          // context "stateMachines", default statemachines: the folder of *.asl.json
	Commit             string          // Git commit of the compiled contracts, "unknown" where the build did not say
	ContractsDigest    string          // SHA-256 of the compiled contracts in hex: a changed one applies them again
	ServiceRoles       []string        // ARNs of the roles of every declared service in every environment, sorted, but for Mayfly's own
	Environments       []string        // every environment that a secret under contract lives in, sorted, Environment included
	Keyed              []KeyedContract // contracts with kms_key, by secret
	Ports              []int           // of the targets of contracts, sorted
}

// ContractsFile is the name of the compiled contracts beside apply-contracts' bootstrap.
const ContractsFile = "contracts.json"

// GuardrailsFile is the name of the organisation's rules beside admit-rotation's bootstrap.
const GuardrailsFile = "guardrails.cedar"

// ReadSettings reads the context of the app. Its error names the context key or the file, and what to do.
func ReadSettings(node constructs.Node) (Settings, error) {
	s := Settings{
		Environment:   contextText(node, "environment", "prod"),
		Region:        contextText(node, "region", ""),
		AlarmEmail:    contextText(node, "alarmEmail", ""),
		PagerDutyBus:  contextText(node, "pagerDutyBus", ""),
		Functions:     contextText(node, "functions", filepath.Join("build", "functions")),
		StateMachines: contextText(node, "stateMachines", "statemachines"),
	}
	var err error
	if s.RetentionDays, err = strconv.Atoi(contextText(node, "retentionDays", "400")); err != nil || s.RetentionDays < 1 {
		return Settings{}, fmt.Errorf("context retentionDays: %q is not a number of days above 0", contextText(node, "retentionDays", ""))
	}
	if s.DeletionProtection, err = strconv.ParseBool(contextText(node, "deletionProtection", "true")); err != nil {
		return Settings{}, fmt.Errorf("context deletionProtection: want true or false: %w", err)
	}
	if s.VPC, err = readVPC(node.TryGetContext(jsii.String("vpc"))); err != nil {
		return Settings{}, fmt.Errorf("context vpc: %w; docs/operations.md#a-vpc says what it takes", err)
	}
	if file := contextText(node, "githubKeys", ""); file != "" {
		if s.GitHubKeys, err = readKeys(file); err != nil {
			return Settings{}, fmt.Errorf("context githubKeys: %w; save https://api.github.com/meta/public_keys/secret_scanning there", err)
		}
	}
	return s, s.readContracts()
}

// readKeys reads public keys, without the spaces: Lambda gives a function 4 KB for all of its environment.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func readKeys(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return "", err
	}
	return b.String(), nil
}

// contextText reads a context value: the command line gives text, cdk.json may hold numbers and booleans.
func contextText(node constructs.Node, key, absent string) string {
	v := node.TryGetContext(&key)
	if v == nil {
		return absent
	}
	return fmt.Sprint(v)
}

// readContracts takes from the compiled contracts what the template depends on.
func (s *Settings) readContracts() error {
	path := filepath.Join(s.Functions, functionName("ApplyContracts"), ContractsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("compiled contracts: %w; run `make build` (or `make build-local`) first", err)
	}
	rules := filepath.Join(s.Functions, functionName("AdmitRotation"), GuardrailsFile)
	if _, err := os.Stat(rules); err != nil {
		return fmt.Errorf("guardrails: %w; run `make build` (or `make build-local`) first", err)
	}
	var bundle struct {
		Commit    string
		Contracts []struct {
			Name, Environment string
			Services          []string
			Target            struct {
				Admin string
				Port  int
			}
			KMSKey string `json:"kms_key"`
		}
		Services []contract.Service
	}
	if err := json.Unmarshal(text, &bundle); err != nil {
		return fmt.Errorf("compiled contracts %s: %w; run `make build` again", path, err)
	}
	s.Environments = []string{s.Environment}
	for _, c := range bundle.Contracts {
		s.Environments = append(s.Environments, c.Environment)
		if c.Target.Port != 0 {
			s.Ports = append(s.Ports, c.Target.Port)
		}
		// The credential that rotates another may live in an environment that has no contract of its own.
		if environment, _, ok := strings.Cut(c.Target.Admin, "/"); ok {
			s.Environments = append(s.Environments, environment)
		}
		if c.KMSKey == "" {
			continue
		}
		keyed := contract.Contract{Name: c.Name, Environment: c.Environment, Services: c.Services}
		readers, err := blastradius.DeclaredRoles(keyed, bundle.Services)
		if err != nil {
			return fmt.Errorf("compiled contracts %s: %w", path, err)
		}
		s.Keyed = append(s.Keyed, KeyedContract{Secret: keyed.ID(), Key: c.KMSKey, Readers: readers})
	}
	s.ServiceRoles = serviceRoles(bundle.Services)
	slices.Sort(s.Environments)
	s.Environments, s.Ports = slices.Compact(s.Environments), ports(s.Ports)
	if s.Commit = bundle.Commit; s.Commit == "" {
		s.Commit = "unknown"
	}
	sum := sha256.Sum256(text)
	s.ContractsDigest = hex.EncodeToString(sum[:])
	return nil
}

// serviceRoles are the roles that declared services have anywhere. Those of Mayfly's functions, which Lambda alone takes, are
// left out.
func serviceRoles(services []contract.Service) []string {
	var roles []string
	for _, s := range services {
		for _, p := range s.Environments {
			if !strings.HasPrefix(contract.RoleName(p.Role), "mayfly-") {
				roles = append(roles, p.Role)
			}
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}
