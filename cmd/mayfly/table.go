package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table writes rows in aligned columns; the first row is the head.
func table(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // a terminal that went away is nobody's to tell
}
