package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// local is what up and demo have in common: where the built things lie, and what is put under contract.
type local struct {
	Contracts string `help:"Folder of contracts." default:"contracts" type:"existingdir"`
	Assembly  string `help:"Synthesized template with functions built for this machine (make synth-local)." default:".mayfly/cdk.out"`
}

// options loads the contracts and looks for the template.
func (l local) options() (playground.Options, error) {
	bundle, problems, err := load(l.Contracts)
	if err != nil {
		return playground.Options{}, err
	}
	if len(problems) > 0 {
		return playground.Options{}, fmt.Errorf("the contracts in %s have %d problem(s), the first: %s; run mayfly lint %s", l.Contracts, len(problems), problems[0].Message, l.Contracts)
	}
	if _, err := os.Stat(filepath.Join(l.Assembly, "manifest.json")); err != nil {
		return playground.Options{}, fmt.Errorf("no synthesized template in %s: run make synth-local first", l.Assembly)
	}
	return playground.Options{Assembly: l.Assembly, Bundle: bundle}, nil
}

// up runs the local stack in the foreground.
type up struct {
	local
	Port      int    `help:"Port of the endpoint on 127.0.0.1." default:"4566"`
	Env       string `help:"File to write the environment into." default:".mayfly/local.env"`
	RealWaits bool   `help:"Wait as long as the contracts' policies say, instead of seconds."`
}

// Help is shown by --help.
func (up) Help() string {
	return `Starts the local stack, a throw-away PostgreSQL server and the deployed template, and stays until Ctrl-C.
The overlap of old and new credential is cut to seconds (quiet_period 2s, max_overlap 10s), unless --real-waits.

Examples:
  mayfly up
  mayfly up --contracts ./my-contracts --port 4600

In another terminal:
  set -a; . .mayfly/local.env; set +a
  aws secretsmanager get-secret-value --secret-id prod/orders-db      # AccessDenied: only its services' roles read
  aws sts assume-role --role-arn arn:aws:iam::000000000000:role/prod-orders-service --role-session-name me
  aws stepfunctions start-execution --state-machine-arn arn:aws:states:us-east-1:000000000000:stateMachine:mayfly-rotate \
    --input '{"secret":"prod/orders-db","trigger":{"type":"manual","id":"1","reason":"try it"}}'
  curl -d '{"advance":"24h"}' $AWS_ENDPOINT_URL/_local/clock
  psql "$MAYFLY_DEMO_PG_DSN" -c '\du'`
}

// Run brings everything up and waits for the signal.
func (u up) Run(out output, ctx context.Context) (err error) {
	o, err := u.options()
	if err != nil {
		return err
	}
	o.Listen = "127.0.0.1:" + strconv.Itoa(u.Port)
	o.Step = func(what string) { fmt.Fprintf(out.Err, "mayfly: %s\n", what) }
	if !u.RealWaits {
		o.Policy = map[string]string{"quiet_period": "2s", "max_overlap": "10s"}
	}
	p, err := playground.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := u.write(p); err != nil {
		return err
	}
	defer os.Remove(u.Env)
	fmt.Fprintf(out.Out, "%s\n%s", u.hint(p), "ready\n")
	alarms := time.NewTicker(time.Minute) // CloudWatch looks at alarms once a minute
	defer alarms.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(out.Err, "mayfly: stopping")
			return nil
		case <-alarms.C:
			p.Stack.Metrics.Evaluate()
		}
	}
}

// write writes the environment by which the AWS CLI, the SDKs and psql reach what is up. No value of a secret is in it: the
// server's superuser is whoever started it, through the unix socket.
func (u up) write(p *playground.Playground) error {
	if err := os.MkdirAll(filepath.Dir(u.Env), 0o755); err != nil {
		return err
	}
	lines := []string{
		"AWS_ENDPOINT_URL=" + p.Stack.URL,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=" + stack.Region, "AWS_DEFAULT_REGION=" + stack.Region,
	}
	if database := database(p.Bundle); database != "" {
		authority := filepath.Join(filepath.Dir(u.Env), "postgres-ca.pem")
		if err := os.WriteFile(authority, []byte(p.Server.RootCert), 0o644); err != nil {
			return err
		}
		absolute, err := filepath.Abs(authority)
		if err != nil {
			return err
		}
		lines = append(lines,
			"MAYFLY_DEMO_PG_DSN='"+p.Server.Superuser(database)+"'",
			fmt.Sprintf("MAYFLY_DEMO_PG_SERVICE='host=127.0.0.1 port=%d dbname=%s sslmode=verify-full sslrootcert=%s'", p.Server.Port, database, absolute))
	}
	return os.WriteFile(u.Env, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// database is the first database under contract, "" where there is none.
func database(b contract.Bundle) string {
	for _, c := range b.Contracts {
		if c.Target != nil {
			return c.Target.Database
		}
	}
	return ""
}

func (u up) hint(p *playground.Playground) string {
	return fmt.Sprintf(`
  The local stack answers at %s, PostgreSQL on port %d. In another terminal:

    set -a; . %s; set +a
    aws secretsmanager list-secret-version-ids --secret-id prod/orders-db
    aws stepfunctions list-executions --state-machine-arn %s
    psql "$MAYFLY_DEMO_PG_DSN" -c '\du'                       # the server's superuser, through the unix socket
    psql "$MAYFLY_DEMO_PG_SERVICE user=orders_app_a"          # a login, with the password in prod/orders-db
    curl -d '{"advance":"24h"}' %s/_local/clock      # let a day pass

  Ctrl-C ends everything.
`, p.Stack.URL, p.Server.Port, u.Env, playground.RotateMachine, p.Stack.URL)
}
