package main

import (
	"fmt"
	"runtime/debug"
)

// version says what was built.
type version struct {
	JSON bool `name:"json" help:"Write JSON."`
}

// Help is shown below the flags.
func (version) Help() string { return "Examples:\n  mayfly version --json" }

// Run writes the module's version and the commit it was built from, where the Go tool recorded them.
func (v version) Run(out output) error {
	answer := struct {
		Version string `json:"version"`
		Commit  string `json:"commit"`
	}{Version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		answer.Version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				answer.Commit = s.Value
			}
		}
	}
	if v.JSON {
		return out.json(answer)
	}
	_, err := fmt.Fprintln(out.Out, "mayfly", answer.Version, answer.Commit)
	return err
}
