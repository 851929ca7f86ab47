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

// narrow leaves of an event what Reads lists.
func narrow(event []byte, otherwise json.RawMessage) ([]byte, error) {
	var e map[string]json.RawMessage
	if json.Unmarshal(event, &e) != nil {
		return event, nil
	}
	var kind string
	_ = json.Unmarshal(e["detail-type"], &kind) // anything but a text is no kind
	reads := Reads(kind)
	if reads == nil {
		return event, nil
	}
	narrowed := map[string]any{}
	for _, path := range reads {
		place(narrowed, strings.Split(path, "."), at(e["detail"], strings.Split(path, ".")), otherwise)
	}
	detail, err := json.Marshal(narrowed)
	e["detail"] = detail
	delete(e, "resources")
	if err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

// at is what lies at a path, nil where nothing does.
func at(value json.RawMessage, path []string) json.RawMessage {
	if len(path) == 0 {
		return value
	}
	name, first := strings.CutSuffix(path[0], "[0]")
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil {
		return nil
	}
	next := members[name]
	if first {
		var list []json.RawMessage
		if json.Unmarshal(next, &list) != nil || len(list) == 0 {
			return nil
		}
		next = list[0]
	}
	return at(next, path[1:])
}

func place(into map[string]any, path []string, value, otherwise json.RawMessage) {
	if value == nil {
		value = otherwise
	}
	name, first := strings.CutSuffix(path[0], "[0]")
	if len(path) == 1 {
		if value != nil {
			into[name] = value
		}
		return
	}
	inner, _ := into[name].(map[string]any)
	if list, ok := into[name].([]any); ok {
		inner = list[0].(map[string]any)
	}
	if inner == nil {
		inner = map[string]any{}
	}
	if into[name] = any(inner); first {
		into[name] = []any{inner}
	}
	place(inner, path[1:], value, otherwise)
}

// sameNarrowed checks that an event means the same when all is left out that Reads does not list.
func sameNarrowed(t *testing.T, event []byte) {
	t.Helper()
	want, err := Resolve(event)
	if err != nil {
		return // what is malformed may lose the part that is
	}
	for how, otherwise := range missing {
		narrowed, err := narrow(event, otherwise)
		if err != nil {
			t.Fatal(err)
		}
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
		if small, err := narrow(event, nil); err == nil && len(small) < len(event)/2 {
			narrowed++
		}
	}
	if narrowed < 10 {
		t.Errorf("only %d samples became smaller", narrowed)
	}
}
