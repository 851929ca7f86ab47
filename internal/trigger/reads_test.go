package trigger

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever the readers' types have a place for is in the list, or below something that is.
func TestReadsIsAllThatIsRead(t *testing.T) {
	for kind, of := range map[string]any{
		"GuardDuty Finding": finding{}, "Security Hub Findings - Imported": imported{}, "AWS Health Event": healthEvent{}, "AWS API Call via CloudTrail": call{},
	} {
		for _, path := range members(reflect.TypeOf(of), "") {
			path = strings.TrimPrefix(path, ".")
			if path == "requestParameters" || path == "responseElements" { // maps: what is read of them, the samples say
				continue
			}
			covered := false
			for _, read := range Reads(kind) {
				covered = covered || path == read || strings.HasPrefix(path, read+".") || strings.HasPrefix(path, read+"[")
			}
			if !covered {
				t.Errorf("%s: %s is read, and not in the list", kind, path)
			}
		}
	}
}

// members are the paths to all that a type holds, the first element of a list for all of them.
func members(of reflect.Type, at string) []string {
	switch of.Kind() {
	case reflect.Pointer:
		return members(of.Elem(), at)
	case reflect.Struct:
		var all []string
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			all = append(all, members(of.Field(i).Type, at+"."+name)...)
		}
		return all
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Struct {
			return members(of.Elem(), at+"[0]")
		}
	}
	return []string{at}
}

// missing is what a member that the event does not have may come as.
var missing = map[string]json.RawMessage{"empty text": json.RawMessage(`""`), "null": json.RawMessage("null"), "not at all": nil}

// sameNarrowed checks that an event means the same when all is left out that Reads does not list.
func sameNarrowed(t *testing.T, event []byte) {
	t.Helper()
	want, err := Resolve(event)
	if err != nil {
		return // what is malformed may lose the part that is
	}
	for how, otherwise := range missing {
		narrowed := narrow(event, otherwise)
		got, err := Resolve(narrowed)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("with %s for what is missing it means something else (- whole, + narrowed): %s %v\n%s", how, diff, err, narrowed)
		}
	}
}

func TestNarrowedEventsMeanTheSame(t *testing.T) {
	files, err := filepath.Glob("../../events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	narrowed := 0
	for _, file := range files {
		event, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) { sameNarrowed(t, event) })
		if len(Narrow(event)) < len(event)/2 {
			narrowed++
		}
	}
	if narrowed < 10 {
		t.Errorf("only %d samples became smaller", narrowed)
	}
}
