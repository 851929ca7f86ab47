package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// rotate asks for new values.
type rotate struct {
	Secret      string `arg:"" optional:"" help:"Secret id, <environment>/<name>."`
	Environment string `placeholder:"NAME" help:"Every secret of this environment instead, or of --service in it."`
	Service     string `placeholder:"NAME" help:"Every secret that this service uses in --environment."`
	All         bool   `help:"Every secret under contract, everywhere."`
	Yes         bool   `help:"Go ahead with more than one secret."`
	Reason      string `required:"" help:"Why, in one sentence: it stays in the audit records for as long as they are kept."`
	ID          string `name:"id" placeholder:"TEXT" help:"Id of the request, such as a change number: the same id asks for the same rotation, once. Otherwise random."`
	Wait        bool   `help:"Follow the runs to their end; exit 1 if one fails."`
	Machine     string `default:"mayfly-rotate" help:"State machine to start."`
	place
	tables
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (rotate) Help() string {
	return `Starts one execution of mayfly-rotate per secret, as every other trigger does: contract, policy and leases
decide there. Without --wait it returns once they are started.

Examples:
  mayfly rotate prod/orders-db --reason "on-call laptop lost" --wait
  mayfly rotate --environment prod --service billing-service --reason "vendor breach" --yes
  mayfly rotate prod/orders-db --reason "quarterly drill" --id CHANGE-4711 --json`
}

// started is one execution; scripts read it. What begins with outcome is only known after --wait.
type started struct {
	Secret     string   `json:"secret"`
	Execution  string   `json:"execution"`
	Repeated   bool     `json:"repeated"` // the same request came before: this is its execution
	Outcome    string   `json:"outcome,omitempty"`
	ReasonCode string   `json:"reason_code,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	States     []string `json:"states,omitempty"` // in the order in which they were entered
	Seconds    float64  `json:"seconds,omitempty"`
}

var secretID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*$`)

// Run starts the executions and follows them if asked to.
func (c rotate) Run(ctx context.Context, out output) error { return plain(c.run(ctx, out)) }

func (c rotate) run(ctx context.Context, out output) error {
	if err := c.check(); err != nil {
		return err
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	secrets, err := c.secrets(ctx, conn)
	if err != nil {
		return err
	}
	if len(secrets) > 1 && !c.Yes {
		return usageError{fmt.Sprintf("this rotates %d secrets: %s; add --yes to go ahead", len(secrets), strings.Join(secrets, ", "))}
	}
	is, err := conn.who(ctx)
	if err != nil {
		return err
	}
	asked := trigger.Trigger{Type: trigger.Manual, ID: c.ID, Source: "cli", Actor: is.ARN, Reason: c.Reason}
	if asked.ID == "" {
		asked.ID = "cli-" + randomID()
	}
	client, machine := sfn.NewFromConfig(conn.Config), conn.machineARN(c.Machine, is)
	var runs []started
	var failed error
	for _, secret := range secrets {
		var run started
		if run, failed = start(ctx, client, machine, secret, asked); failed != nil {
			failed = fmt.Errorf("%s was not started: %w", secret, plain(failed))
			break
		}
		runs = append(runs, run)
		if !c.JSON {
			fmt.Fprintln(out.Out, run.line())
		}
	}
	if c.Wait {
		if err := follow(ctx, client, runs, c.progress(out)); err != nil {
			return errors.Join(failed, err)
		}
	}
	if c.JSON {
		if err := out.json(runs); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return c.verdict(runs)
}

// check refuses what only looks like a request.
func (c rotate) check() error {
	ways := 0
	for _, chosen := range []bool{c.Secret != "", c.Environment != "", c.All} {
		if chosen {
			ways++
		}
	}
	switch {
	case c.Service != "" && c.Environment == "":
		return usageError{"--service needs --environment: a service uses other secrets in each"}
	case ways == 0:
		return usageError{"name a secret, or choose with --environment or --all"}
	case ways > 1:
		return usageError{"a secret, --environment and --all exclude each other; give one"}
	case c.Secret != "" && (!secretID.MatchString(c.Secret) || len(c.Secret) > 128):
		return usageError{fmt.Sprintf("%.128q is no secret id; write <environment>/<name>, such as prod/orders-db", c.Secret)}
	case strings.TrimSpace(c.Reason) == "" || len(c.Reason) > 512 || strings.ContainsAny(c.Reason, "\n\r"):
		return usageError{"--reason is one line of at most 512 bytes; an auditor will read it"}
	case len(c.ID) > 256:
		return usageError{"--id is at most 256 bytes"}
	}
	return nil
}

// secrets finds what is to be rotated, by the same lookup keys by which events find it.
func (c rotate) secrets(ctx context.Context, conn connection) ([]string, error) {
	if c.Secret != "" {
		return []string{c.Secret}, nil
	}
	reg := conn.registry(c.tables)
	if c.All {
		secrets, err := reg.InForce(ctx)
		if err == nil && len(secrets) == 0 {
			err = errors.New("no contract is in force; `mayfly apply` puts contracts in force")
		}
		return secrets, err
	}
	key := "environment:" + c.Environment
	if c.Service != "" {
		key = "service:" + c.Environment + "/" + c.Service
	}
	secrets, err := reg.Lookup(ctx, []string{key})
	if err == nil && len(secrets) == 0 {
		err = fmt.Errorf("no secret under contract belongs to %s; `mayfly status` lists those in force", key)
	}
	return secrets, err
}

// start starts the execution for one secret. Its name follows from secret and trigger, so that a repeated request finds the
// execution of the first: the same answer while that one runs, ExecutionAlreadyExists once it is over.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
func start(ctx context.Context, client *sfn.Client, machine, secret string, asked trigger.Trigger) (started, error) {
	input, err := json.Marshal(struct {
		Secret  string          `json:"secret"`
		Trigger trigger.Trigger `json:"trigger"`
	}{secret, asked})
	if err != nil {
		return started{}, err
	}
	name := trigger.ExecutionName(secret, asked)
	run := started{Secret: secret, Execution: strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":" + name}
	_, err = client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Name: &name, Input: aws.String(string(input))})
	var exists *types.ExecutionAlreadyExists
	if errors.As(err, &exists) {
		run.Repeated, err = true, nil
	}
	return run, err
}

// line is the line that says what was started.
func (s started) line() string {
	if s.Repeated {
		return fmt.Sprintf("%s  requested before: %s", s.Secret, s.Execution)
	}
	return fmt.Sprintf("%s  started: %s", s.Secret, s.Execution)
}

// verdict is findings where a run that was waited for has failed.
func (c rotate) verdict(runs []started) error {
	for _, r := range runs {
		if c.Wait && r.Outcome != "rotated" && r.Outcome != "skipped" {
			return errFindings
		}
	}
	return nil
}

// randomID is 16 hex digits: enough that no two requests share an id.
func randomID() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails: https://pkg.go.dev/crypto/rand#Read
	return hex.EncodeToString(b)
}
