package trigger

import (
	"encoding/json"
	"strings"
)

// Narrow leaves of an event what Reads lists, as the rules do: for whoever hands an event over without a rule that is larger
// than MaxEvent. What comes whole, and what is no event, stays as it is.
func Narrow(event []byte) []byte { return narrow(event, nil) }

// narrow lays otherwise in the place of what the event does not have; nil leaves that out.
func narrow(event []byte, otherwise json.RawMessage) []byte {
	var e map[string]json.RawMessage
	if json.Unmarshal(event, &e) != nil {
		return event
	}
	var kind string
	_ = json.Unmarshal(e["detail-type"], &kind) // anything but a text is no kind
	reads := Reads(kind)
	if reads == nil {
		return event
	}
	narrowed := map[string]any{}
	for _, path := range reads {
		place(narrowed, strings.Split(path, "."), at(e["detail"], strings.Split(path, ".")), otherwise)
	}
	detail, err := json.Marshal(narrowed)
	if err != nil {
		return event
	}
	e["detail"] = detail
	delete(e, "resources")
	small, err := json.Marshal(e)
	if err != nil {
		return event
	}
	return small
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

// place lays a value at a path, and what leads there around it.
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
