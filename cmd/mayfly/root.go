package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes, the same for every command.
const (
	exitOK       = 0
	exitFindings = 1 // the command worked, and what it found is not as it should be
	exitUsage    = 2
	exitCouldNot = 3 // the command could not do its work
)

// commands is every command; each has its own file and a Run method that takes what it needs of output and context.
type commands struct {
	Lint        lint        `cmd:"" group:"Contracts" help:"Check contracts and services; say everything that is wrong, with its place."`
	BlastRadius blastRadius `cmd:"" group:"Contracts" help:"Say how far a leak of a secret reaches, and draw it."`
	Plan        plan        `cmd:"" group:"Contracts" help:"Show what applying the contracts would do."`
	Apply       apply       `cmd:"" group:"Contracts" help:"Bring the contracts into force, and withdraw those that are gone."`
	Compile     compile     `cmd:"" group:"Contracts" help:"Write the files that functions read of contracts: make build does."`
	Status      status      `cmd:"" group:"Secrets" help:"Show how the secrets under contract stand."`
	History     history     `cmd:"" group:"Secrets" help:"Show the runs of a secret, newest first."`
	Rotate      rotate      `cmd:"" group:"Secrets" help:"Rotate a secret now, or every secret of a service or environment."`
	Report      reporting   `cmd:"" group:"Evidence" help:"Write one page for auditors: every secret, its readers, its life, its runs and their proof."`
	Audit       auditing    `cmd:"" group:"Evidence" help:"Verify and question the audit records."`
	Explain     explain     `cmd:"" group:"Events" help:"Say what an event would rotate, and why."`
	Send        send        `cmd:"" group:"Events" help:"Put an event on the event bus."`
	Redrive     redrive     `cmd:"" group:"Events" help:"Hand events that could not be delivered to mayfly-respond."`
	Demo        demo        `cmd:"" group:"This machine" help:"Show the main job, start to end, on a local stack."`
	Up          up          `cmd:"" group:"This machine" help:"Run the local stack, PostgreSQL and the deployed template in the foreground."`
	Version     version     `cmd:"" group:"This machine" help:"Say which version this is."`
}

// output is where a command writes: results to Out, everything else to Err.
type output struct{ Out, Err io.Writer }

// json writes a result as indented JSON.
func (o output) json(v any) error {
	e := json.NewEncoder(o.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// errFindings ends a command whose findings have been written already.
var errFindings = errors.New("findings")

// usageError is a mistake in the arguments that only the command can see.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

// exited carries the exit code that kong asks for after --help.
type exited int

// run does one command and gives its exit code.
func run(args []string, stdout, stderr io.Writer) (code int) {
	defer func() { // kong calls Exit in the middle of parsing; this brings it back here, so that nothing else exits
		r := recover()
		if e, ok := r.(exited); ok {
			code = int(e)
		} else if r != nil {
			panic(r)
		}
	}()
	var c commands
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	out := output{Out: stdout, Err: stderr}
	parser, err := kong.New(&c, kong.Name("mayfly"), kong.Description(about), kong.UsageOnError(),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Bind(out), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fmt.Fprintf(stderr, "mayfly: %v\n", err)
		return exitCouldNot
	}
	k, err := parser.Parse(args)
	if err == nil {
		err = k.Run()
	} else {
		err = usageError{err.Error()}
	}
	return exitCode(err, stderr)
}

// exitCode writes the error, if it has not been written, and gives the exit code for it.
func exitCode(err error, stderr io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "mayfly: %v\nRun mayfly --help, or mayfly <command> --help, for usage and examples.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "mayfly: %v\n", err)
		return exitCouldNot
	}
}

const about = `Secrets that expire by design.

Commands find the AWS account where the AWS CLI finds it. All that answer something take --json.
Exit codes: 0 ok, 1 findings, 2 usage, 3 could not run.

Examples:
  mayfly lint                                        # before a commit
  mayfly status                                      # what is under contract, and how it stands
  mayfly rotate prod/orders-db --reason "a drill" --wait
  mayfly report                                      # one page for auditors`
