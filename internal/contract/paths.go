package contract

import (
	"fmt"
	"path"
	"strings"
)

// Covers tells whether a commit that changed the file counts, and by which of commit_paths. Patterns and file are paths
// from the repository's root, and capitals matter. A segment ** stands for any number of folders, none included; within
// one segment *, ? and [a-z] mean what they mean to path.Match.
func (c *Contract) Covers(file string) (pattern string, ok bool) {
	segments := split(file)
	for _, p := range c.CommitPaths {
		if matches(split(p), segments) {
			return p, true
		}
	}
	return "", false
}

func split(p string) []string {
	return strings.Split(strings.TrimPrefix(strings.TrimPrefix(p, "./"), "/"), "/")
}

// matches goes through the pattern once, keeping which beginnings of the file it covers so far, so that no pattern takes
// longer than pattern times file.
func matches(pattern, file []string) bool {
	covered := make([]bool, len(file)+1) // covered[i]: the pattern so far matches the file's first i segments
	covered[0] = true
	for _, p := range pattern {
		next := make([]bool, len(file)+1)
		for i := range covered {
			switch {
			case p == "**":
				next[i] = covered[i] || i > 0 && next[i-1]
			case i > 0 && covered[i-1]:
				next[i], _ = path.Match(p, file[i-1]) // a pattern that Validate refused matches nothing
			}
		}
		covered = next
	}
	return covered[len(file)]
}

// globs says which of commit_paths are no patterns.
func globs(c Contract) []Problem {
	var ps []Problem
	for i, p := range c.CommitPaths {
		if _, err := path.Match(p, ""); err != nil || strings.Trim(p, "/ ") == "" {
			ps = append(ps, Problem{fmt.Sprintf("/commit_paths/%d", i), "bad-value", fmt.Sprintf("%q is no pattern of paths", p),
				"write a path from the repository's root, with * within a folder and ** across folders, such as db/migrations/**"})
		}
	}
	return ps
}
