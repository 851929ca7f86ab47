package main

import (
	"io"
	"os"
	"strings"
	"time"
)

// Colours have codes of one length, so that a column in which every cell has one stays aligned.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	normal = "\x1b[39m"
)

// painter colours text, or leaves it alone.
type painter bool

// paints tells whether colours are wanted: only on a terminal, and not against NO_COLOR (https://no-color.org).
func paints(w io.Writer) painter {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return painter(err == nil && info.Mode()&os.ModeCharDevice != 0)
}

func (p painter) in(colour, text string) string {
	if !p {
		return text
	}
	return colour + text + "\x1b[0m"
}

// outcome is the colour of how a run ended.
func outcomeColour(outcome string) string {
	switch {
	case outcome == "rotated":
		return green
	case strings.HasPrefix(outcome, "failed"):
		return red
	default:
		return normal
	}
}

// minutes writes a time for people: to the minute, in UTC; "-" where there is none.
func minutes(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// brief shortens a version id that Mayfly made, mayfly-<slot>-<40 hex digits>, as Git shortens a commit's.
func brief(version string) string {
	if rest, ours := strings.CutPrefix(version, "mayfly-"); ours && len(rest) > 10 {
		return "mayfly-" + rest[:10]
	}
	return dash(version)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
