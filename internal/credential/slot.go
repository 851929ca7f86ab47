package credential

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// A slot is which of a target's logins a version stands for. With strategy dual two logins take turns, so that setting
// the new one never touches the one in use. The slot is written into the version id, where it cannot come apart from
// the version, and where an on-call engineer reads it in `list-secret-version-ids`.
const (
	SlotA      = "a"
	SlotB      = "b"
	SlotSingle = "s" // strategy single, and kinds without a target
	SlotOwner  = "o" // the login that was there before Mayfly, which owns the objects
)

const (
	prefix     = "mayfly-"
	hashLength = 20 // bytes
)

// Token is the version id (ClientRequestToken, 32 to 64 characters) under which the execution brings its new value:
// derived, so that every retry of the execution means the same version.
func Token(execution, slot string) string {
	sum := sha256.Sum256([]byte(execution + "\x00" + slot))
	return prefix + slot + "-" + hex.EncodeToString(sum[:hashLength])
}

// SlotOf reads the slot from a version id; ok is false for a version that Mayfly did not make.
func SlotOf(version string) (slot string, ok bool) {
	rest, ours := strings.CutPrefix(version, prefix)
	slot, hash, cut := strings.Cut(rest, "-")
	sum, err := hex.DecodeString(hash)
	if !ours || !cut || err != nil || len(sum) != hashLength {
		return "", false
	}
	switch slot {
	case SlotA, SlotB, SlotSingle:
		return slot, true
	default:
		return "", false
	}
}

// NextSlot is the slot of the version that follows one in slot from.
func NextSlot(strategy, from string) string {
	switch {
	case strategy == contract.Single:
		return SlotSingle
	case from == SlotA:
		return SlotB
	default:
		return SlotA
	}
}

// User is the login name of a slot at the target. For dual it is the owner's name with the slot behind it; for single,
// and for the login that was there before, it is the owner itself. A nil target has no logins.
func User(t *contract.Target, slot string) string {
	switch {
	case t == nil:
		return ""
	case slot == SlotA, slot == SlotB:
		return t.Owner + "_" + slot
	default:
		return t.Owner
	}
}

// SlotOfUser is the slot of a login name, "" for one that is none of this target's.
func SlotOfUser(t *contract.Target, strategy, user string) string {
	if t == nil {
		return SlotSingle // without logins there is one slot, and nothing to tell apart
	}
	if strategy == contract.Single {
		if user == t.Owner {
			return SlotSingle
		}
		return ""
	}
	for _, slot := range []string{SlotA, SlotB, SlotOwner} {
		if User(t, slot) == user {
			return slot
		}
	}
	return ""
}
