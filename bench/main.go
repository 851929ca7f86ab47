// Command bench measures Mayfly on the local stack and holds it to its limits: calls of a rotation, size and start of the
// functions, the time from a finding to a refused credential, rotations per minute. Run it with `make bench`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/contract/source"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// secret is the one that is measured: a PostgreSQL login of strategy dual.
const secret = "prod/orders-db"

func main() {
	out := flag.String("json", "", "also write the `file` with everything that was measured")
	runs := flag.Int("runs", 10, "findings to contain")
	rounds := flag.Int("rounds", 20, "starts of each function")
	secrets := flag.Int("secrets", 10, "secrets to rotate at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := measure(ctx, *runs, *rounds, *secrets)
	if err == nil {
		err = errors.Join(report.print(os.Stdout), write(*out, report))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(3)
	}
	if len(report.Broken) > 0 {
		fmt.Println("\nbench: limits are broken")
		for _, b := range report.Broken {
			fmt.Println("  " + b)
		}
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
	fmt.Println("\nbench: all limits hold")
}

// measure runs one part after the other, so that none disturbs another.
func measure(ctx context.Context, runs, rounds, secrets int) (*Report, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	assembly, local, packed := filepath.Join(root, ".mayfly", "cdk.out"), filepath.Join(root, "build", "local"), filepath.Join(root, "build", "functions")
	bundle, problems := source.Load(os.DirFS(filepath.Join(root, "contracts")))
	if len(problems) > 0 {
		return nil, fmt.Errorf("contracts: %v", problems)
	}
	r := &Report{Broken: []string{}}
	for range 2 { // once more, in case the machine had something better to do
		say("starting every function %d times", rounds)
		r.Empty, r.Functions, err = measureFunctions(ctx, root, local, packed, filepath.Join(assembly, "Mayfly.template.json"), rounds)
		if err != nil {
			return nil, err
		}
		if len(breachesOfFunctions(r.Functions, 1)) == 0 {
			break
		}
	}
	say("counting the calls of a rotation, containing %d findings", runs)
	err = with(ctx, playground.Options{Assembly: assembly, Bundle: bundle}, func(p *playground.Playground) (err error) {
		if r.Rotation, err = measureRotation(ctx, p); err != nil {
			return err
		}
		r.Containment, err = measureContainment(ctx, p, root, runs)
		return err
	})
	if err != nil {
		return nil, err
	}
	say("counting the calls from a finding to the bar")
	err = with(ctx, playground.Options{Assembly: assembly, Bundle: bundle, Cut: true}, func(p *playground.Playground) error {
		return countContainment(ctx, p, root, &r.Containment)
	})
	if err != nil {
		return nil, err
	}
	say("rotating %d secrets at once", secrets)
	many, ids, err := manifold(bundle, secrets)
	if err != nil {
		return nil, err
	}
	err = with(ctx, playground.Options{Assembly: assembly, Bundle: many}, func(p *playground.Playground) (err error) {
		r.Throughput, err = measureThroughput(ctx, p, ids, 3)
		return err
	})
	r.Broken = append(r.Broken, r.breaches()...)
	return r, err
}

// with brings a playground up, in which waits take a second, rotates the secret once to take it over from its owner, and
// closes it behind f.
func with(ctx context.Context, o playground.Options, f func(*playground.Playground) error) error {
	o.Policy = map[string]string{"quiet_period": "1s", "max_overlap": "20s"}
	p, err := playground.Start(ctx, o)
	if err != nil {
		return err
	}
	if err := onboard(ctx, p, o.Bundle); err != nil {
		return errors.Join(err, p.Close())
	}
	return errors.Join(f(p), p.Close())
}

func onboard(ctx context.Context, p *playground.Playground, b contract.Bundle) error {
	if _, there := b.Find(secret); !there {
		return nil
	}
	_, _, err := rotateAll(ctx, p, []string{secret}, "onboard")
	return err
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

func write(file string, r *Report) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
