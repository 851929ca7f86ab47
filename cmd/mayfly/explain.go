package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// explain says what an event means, without an account.
type explain struct {
	File      string `arg:"" help:"File with one event; - for standard input."`
	Contracts string `default:"contracts" help:"Folder of contracts."`
	JSON      bool   `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (explain) Help() string {
	return `The file is what EventBridge delivers, what a person sends (secret and trigger), or the body of a webhook of GitHub or
PagerDuty. An event that affects nothing is no error: the answer says why.

Examples:
  mayfly explain events/codedeploy-success.json
  mayfly explain events/github-push.json --contracts contracts
  mayfly explain - --json < event.json`
}

// explanation is the answer; scripts read it. Either something is affected, or Ignored says why nothing is. Mode is none
// then, but for the schedule: what is due is a matter of the registry.
type explanation struct {
	Trigger  explainedTrigger `json:"trigger"`
	Mode     trigger.Mode     `json:"mode"`
	Affected []trigger.Match  `json:"affected"`
	Ignored  string           `json:"ignored_because"`
	spared   []trigger.Match  // for people only
}

type explainedTrigger struct {
	Type   trigger.Type `json:"type"`
	ID     string       `json:"id"`
	Source string       `json:"source"`
}

// Run reads the event and the contracts and writes the answer.
func (e explain) Run(out output) error {
	event, err := read(e.File)
	if err != nil {
		return err
	}
	bundle, problems, err := load(e.Contracts)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		written(output{Out: out.Err, Err: out.Err}, bundle, problems)
		return errFindings
	}
	r, err := trigger.Resolve(handedOver(event))
	if err != nil {
		return err
	}
	answer := explanation{
		Trigger: explainedTrigger{r.Trigger.Type, r.Trigger.ID, r.Trigger.Source}, Mode: r.Mode,
		Affected: []trigger.Match{}, Ignored: r.Ignored,
	}
	affected, spared := trigger.Affected(r, trigger.Candidates(r, bundle))
	answer.Affected, answer.spared = append(answer.Affected, affected...), spared
	if len(affected) == 0 && r.Ignored == "" {
		answer.Mode, answer.Ignored = nothing(r, spared)
	}
	if e.JSON {
		return out.json(answer)
	}
	answer.write(out.Out)
	return nil
}

// handedOver is an event as it gets to mayfly-respond: of one that is too large, what is read of it.
func handedOver(event []byte) []byte {
	if len(event) <= trigger.MaxEvent {
		return event
	}
	return trigger.Narrow(event)
}

// nothing says why an event that is read affects no contract, and what mode is left.
func nothing(r trigger.Resolution, spared []trigger.Match) (trigger.Mode, string) {
	if slices.Contains(r.Keys, trigger.KeyDue) {
		return r.Mode, "it affects what is due, and that only the registry knows"
	}
	if len(spared) == 0 {
		return trigger.None, "no contract has what it names"
	}
	var why []string
	for _, m := range spared[:min(len(spared), 5)] {
		why = append(why, m.Secret+": "+m.Because)
	}
	if more := len(spared) - len(why); more > 0 {
		why = append(why, fmt.Sprintf("and %d more", more))
	}
	return trigger.None, strings.Join(why, "; ")
}

func (x explanation) write(w io.Writer) {
	fmt.Fprintf(w, "trigger  %s %s (%s)\nmode     %s\n", x.Trigger.Type, x.Trigger.ID, x.Trigger.Source, x.Mode)
	for _, m := range x.Affected {
		fmt.Fprintf(w, "rotates  %s: %s\n", m.Secret, m.Because)
	}
	for _, m := range x.spared {
		fmt.Fprintf(w, "spares   %s: %s\n", m.Secret, m.Because)
	}
	if x.Ignored != "" {
		fmt.Fprintf(w, "nothing  %s\n", x.Ignored)
	}
}

func read(file string) ([]byte, error) {
	from := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the event: %w", err)
		}
		defer f.Close()
		from = f
	}
	return io.ReadAll(io.LimitReader(from, trigger.MaxEvent+1))
}
