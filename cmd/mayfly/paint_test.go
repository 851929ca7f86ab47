package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"
)

func TestColourOnlyOnATerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if paints(file) || paints(&bytes.Buffer{}) {
		t.Error("colour in a file or a buffer")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer terminal.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !paints(terminal) {
		t.Error("no colour on a terminal")
	}
	t.Setenv("NO_COLOR", "1")
	if paints(terminal) {
		t.Error("colour against NO_COLOR")
	}
}

// Columns stay aligned under colours: without the codes, a coloured table is the plain one.
func TestColourKeepsColumns(t *testing.T) {
	tables := map[painter]*bytes.Buffer{true: {}, false: {}}
	for p, w := range tables {
		table(w, [][]string{
			{p.in(normal, "OUTCOME"), "NEXT"}, {p.in(outcomeColour("rotated"), "rotated"), "x"},
			{p.in(outcomeColour("failed_clean"), "failed_clean"), "y"}, {p.in(outcomeColour("-"), "-"), "z"},
		})
	}
	stripped := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(tables[true].String(), "")
	if stripped != tables[false].String() {
		t.Errorf("coloured:\n%s\nplain:\n%s", stripped, tables[false])
	}
}
