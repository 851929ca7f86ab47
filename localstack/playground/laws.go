package playground

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Names that the template gives.
const (
	RotateMachine  = "arn:aws:states:" + stack.Region + ":" + stack.Account + ":stateMachine:mayfly-rotate"
	RespondMachine = "arn:aws:states:" + stack.Region + ":" + stack.Account + ":stateMachine:mayfly-respond"
	InspectMachine = "arn:aws:states:" + stack.Region + ":" + stack.Account + ":stateMachine:mayfly-inspect"
	ContractsTable = "mayfly-contracts"
	RunsTable      = "mayfly-runs"
	AuditBucket    = "mayfly-audit-" + stack.Account + "-" + stack.Region
	AuditGroup     = "/mayfly/audit"
)

// CheckLaws looks, between runs, whether the laws hold for a secret that has a target: the value labelled AWSCURRENT logs
// in, the versions before it are refused, nothing is left pending, nobody holds the lease. The error names every breach.
func (p *Playground) CheckLaws(ctx context.Context, secret string) error {
	var breaches []error
	breach := func(format string, a ...any) { breaches = append(breaches, fmt.Errorf(format, a...)) }
	target := p.direct(secret)
	versions, err := p.versions(ctx, secret)
	if err != nil {
		return err
	}
	for i, v := range versions[:min(len(versions), 6)] {
		value, _, err := p.Value(ctx, secret, aws.ToString(v.VersionId))
		if err != nil {
			return err
		}
		login := Login(ctx, target, value)
		switch current := slices.Contains(v.VersionStages, "AWSCURRENT"); {
		case current && login != nil:
			breach("law 1: AWSCURRENT (%s) does not log in: %w", aws.ToString(v.VersionId), login)
		case !current && login == nil:
			breach("version %s, number %d from the newest, labels %v, still logs in", aws.ToString(v.VersionId), i, v.VersionStages)
		case !current && !Refused(login):
			return login
		}
		if slices.Contains(v.VersionStages, "AWSPENDING") {
			breach("AWSPENDING was left on %s, labels %v", aws.ToString(v.VersionId), v.VersionStages)
		}
	}
	item, err := dynamodb.NewFromConfig(p.AWS).GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(ContractsTable), Key: map[string]types.AttributeValue{
			"secret": &types.AttributeValueMemberS{Value: secret}, "item": &types.AttributeValueMemberS{Value: "contract"}},
	})
	if err != nil {
		return err
	}
	if item.Item["lease"] != nil {
		breach("law 3: the lease of %s is still held: %v", secret, item.Item["lease"])
	}
	return errors.Join(breaches...)
}

// versions lists all versions of a secret, the newest first.
func (p *Playground) versions(ctx context.Context, secret string) ([]smtypes.SecretVersionsListEntry, error) {
	var all []smtypes.SecretVersionsListEntry
	pages := secretsmanager.NewListSecretVersionIdsPaginator(p.Secrets(), &secretsmanager.ListSecretVersionIdsInput{
		SecretId: &secret, IncludeDeprecated: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Versions...)
	}
	slices.SortStableFunc(all, func(a, b smtypes.SecretVersionsListEntry) int {
		return cmp.Compare(aws.ToTime(b.CreatedDate).UnixMilli(), aws.ToTime(a.CreatedDate).UnixMilli())
	})
	return all, nil
}

// CheckAudit verifies every chain in the bucket and returns the number of records.
func (p *Playground) CheckAudit(ctx context.Context) (int, error) {
	client := s3.NewFromConfig(p.AWS)
	log := &audit.Log{S3: client, Bucket: AuditBucket}
	environments, err := log.Environments(ctx)
	if err != nil {
		return 0, err
	}
	records, problems := 0, []error{}
	for _, e := range environments {
		chains, err := log.Verify(ctx, client, e, p.Stack.Clock.Now(), nil)
		if err != nil {
			return records, err
		}
		for _, c := range chains {
			records += c.Records
			for _, problem := range c.Problems {
				problems = append(problems, errors.New(problem))
			}
		}
	}
	return records, errors.Join(problems...)
}

// Rotate starts a run by hand, as `aws stepfunctions start-execution` does.
func (p *Playground) Rotate(ctx context.Context, secret, id, reason string) (execution string, err error) {
	return p.Start(ctx, RotateMachine, map[string]any{"secret": secret,
		"trigger": map[string]any{"type": "manual", "id": id, "source": "aws.states", "actor": "on-call", "reason": reason}})
}

// Start starts an execution.
func (p *Playground) Start(ctx context.Context, machine string, input any) (execution string, err error) {
	text, err := json.Marshal(input)
	if err != nil {
		return "", err
	}
	out, err := sfn.NewFromConfig(p.AWS).StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Input: aws.String(string(text))})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ExecutionArn), nil
}

// Wait waits for the end of an execution.
func (p *Playground) Wait(ctx context.Context, execution string) (*sfn.DescribeExecutionOutput, error) {
	machines := sfn.NewFromConfig(p.AWS)
	for {
		out, err := machines.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &execution})
		if err != nil || out.Status != sfntypes.ExecutionStatusRunning {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Leaks looks for every value ever generated, and every password that was there before, in each place where none may be:
// execution histories, logs, tables, the audit bucket, the database server's log, the environments of function processes.
// A hash that anybody can make of a value is as bad, for whoever guesses can try. It returns where it found one, never what.
func (p *Playground) Leaks(ctx context.Context) ([]string, error) {
	needles := slices.Clone(p.given)
	for _, v := range p.Stack.Secrets.Values() {
		needles = append(needles, v)
		var members map[string]string
		if json.Unmarshal([]byte(v), &members) == nil {
			needles = append(needles, members["password"])
		}
	}
	needles = slices.DeleteFunc(needles, func(s string) bool { return len(s) < 8 })
	if len(needles) == 0 {
		return nil, errors.New("no value was ever generated: there is nothing to look for")
	}
	for _, n := range slices.Clone(needles) {
		sum := sha256.Sum256([]byte(n))
		needles = append(needles, hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]))
	}
	var found []string
	err := p.places(ctx, func(place, text string) {
		if slices.ContainsFunc(needles, func(n string) bool { return strings.Contains(text, n) || strings.Contains(text, quoted(n)) }) {
			found = append(found, place)
		}
	})
	return found, err
}

// quoted is a value as it looks inside a JSON text.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

func (p *Playground) places(ctx context.Context, look func(place, text string)) error {
	for _, group := range p.Stack.Logs.Groups() {
		for _, l := range p.Stack.Logs.Lines(group) {
			look("log group "+group, l.Text)
		}
	}
	for _, bucket := range p.Stack.Buckets.Buckets() {
		for _, o := range p.Stack.Buckets.Objects(bucket) {
			look("bucket "+bucket+" key "+o.Key, string(o.Body))
		}
	}
	for _, proc := range p.Stack.Functions.Processes() {
		look("environment of "+proc.Function, strings.Join(proc.Environ, "\n"))
		// What the kernel knows of the process: arguments and environment as they are now.
		for _, file := range []string{"cmdline", "environ"} {
			if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", proc.PID, file)); err == nil {
				look(file+" of "+proc.Function, string(text))
			}
		}
	}
	log, err := p.Server.Log()
	if err != nil {
		return err
	}
	look("the database server's log", log)
	return errors.Join(p.tables(ctx, look), p.histories(ctx, look))
}

func (p *Playground) tables(ctx context.Context, look func(place, text string)) error {
	db := dynamodb.NewFromConfig(p.AWS)
	for _, table := range []string{ContractsTable, RunsTable} {
		pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &table})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, item := range page.Items {
				look("table "+table, fmt.Sprint(flat(&types.AttributeValueMemberM{Value: item})))
			}
		}
	}
	return nil
}

// flat gives every text in an attribute value.
func flat(v types.AttributeValue) []string {
	var texts []string
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		texts = append(texts, v.Value)
	case *types.AttributeValueMemberSS:
		texts = append(texts, v.Value...)
	case *types.AttributeValueMemberM:
		for _, member := range v.Value {
			texts = append(texts, flat(member)...)
		}
	case *types.AttributeValueMemberL:
		for _, member := range v.Value {
			texts = append(texts, flat(member)...)
		}
	}
	return texts
}

func (p *Playground) histories(ctx context.Context, look func(place, text string)) error {
	for _, machine := range []string{RotateMachine, RespondMachine, InspectMachine} {
		if err := p.historiesOf(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine}, look); err != nil {
			return err
		}
	}
	return nil
}

// historiesOf looks through the histories of executions, and of the children of their Map Runs.
func (p *Playground) historiesOf(ctx context.Context, list *sfn.ListExecutionsInput, look func(place, text string)) error {
	machines := sfn.NewFromConfig(p.AWS)
	executions := sfn.NewListExecutionsPaginator(machines, list)
	for executions.HasMorePages() {
		page, err := executions.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, x := range page.Executions {
			events := sfn.NewGetExecutionHistoryPaginator(machines, &sfn.GetExecutionHistoryInput{ExecutionArn: x.ExecutionArn, IncludeExecutionData: aws.Bool(true)})
			for events.HasMorePages() {
				page, err := events.NextPage(ctx)
				if err != nil {
					return err
				}
				for _, e := range page.Events {
					text, err := json.Marshal(e)
					if err != nil {
						return err
					}
					look("history of "+aws.ToString(x.Name), string(text))
					if e.MapRunStartedEventDetails == nil {
						continue
					}
					if err := p.historiesOf(ctx, &sfn.ListExecutionsInput{MapRunArn: e.MapRunStartedEventDetails.MapRunArn}, look); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
