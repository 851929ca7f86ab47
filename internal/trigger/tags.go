package trigger

import (
	"encoding/json"
	"slices"
	"strings"
)

// Tags by which a secret carries its policy, as package policy writes them.
const (
	tagPrefix      = "mayfly:"
	tagCompromised = tagPrefix + "compromised"
)

// tagged is a change of a secret's tags. A person who sets mayfly:compromised asks for containment; any other mayfly:*
// tag is policy, or what Mayfly wrote down about the secret and somebody else overwrote. Values are not repeated.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html
func tagged(c call, t Trigger) (Resolution, error) {
	var set []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	_ = json.Unmarshal(c.Request["tags"], &set) // UntagResource has tagKeys instead
	var names []string
	compromised := false
	for _, tag := range set {
		names = append(names, tag.Key)
		// The mark is what package policy takes for one: any text but "false".
		compromised = compromised || tag.Key == tagCompromised && tag.Value != "" && tag.Value != "false"
	}
	names = append(names, c.Request.texts("tagKeys")...)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, tagPrefix) })
	slices.Sort(names)
	names = slices.Compact(names)
	t.Type = PolicyChange
	switch {
	case compromised:
		t.Type, t.Reason = Annotation, tagCompromised+" was set by "+t.Actor
	case len(names) == 0:
		return ignore(t, "no tag of Mayfly's changed"), nil
	case len(names) == 1 && names[0] == tagCompromised:
		return ignore(t, "the mark "+tagCompromised+" was taken away"), nil
	default:
		t.Reason = "tags changed by " + t.Actor + ": " + clip(strings.Join(names, ", "), 200)
	}
	return naming(t, c.secret(), "a secret that a contract could name")
}
