package credential

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

func TestTokensNameTheirSlot(t *testing.T) {
	seen := map[string]bool{}
	for _, slot := range []string{SlotA, SlotB, SlotSingle} {
		for _, execution := range []string{"arn:aws:states:…:1", "arn:aws:states:…:2"} {
			token := Token(execution, slot)
			if len(token) < 32 || len(token) > 64 { // ClientRequestToken
				t.Errorf("%s has %d characters", token, len(token))
			}
			if got, ok := SlotOf(token); !ok || got != slot {
				t.Errorf("SlotOf(%s) = %q, %t", token, got, ok)
			}
			if seen[token] || token != Token(execution, slot) {
				t.Errorf("%s is not the execution's own", token)
			}
			seen[token] = true
		}
	}
}

func TestForeignVersionsHaveNoSlot(t *testing.T) {
	hash := strings.Repeat("ab", 20)
	for _, version := range []string{
		"", "mayfly-", "mayfly-a", "mayfly-a-", "mayfly-a-" + hash[:38], "mayfly-a-" + strings.Repeat("zz", 20), "mayfly-o-" + hash,
		"mayfly--" + hash, "mayfly-ab-" + hash, "a-" + hash, "01234567-89ab-cdef-0123-456789abcdef", "mayfly-a-" + hash + "-x",
	} {
		if slot, ok := SlotOf(version); ok || slot != "" {
			t.Errorf("SlotOf(%q) = %q, %t", version, slot, ok)
		}
	}
	if slot, ok := SlotOf("mayfly-b-" + hash); !ok || slot != SlotB {
		t.Errorf("a version of ours: %q, %t", slot, ok)
	}
}

func TestSlotsTakeTurns(t *testing.T) {
	for from, want := range map[string]string{"": SlotA, SlotOwner: SlotA, SlotA: SlotB, SlotB: SlotA} {
		if got := NextSlot(contract.Dual, from); got != want {
			t.Errorf("dual: %q -> %q, want %q", from, got, want)
		}
		if got := NextSlot(contract.Single, from); got != SlotSingle {
			t.Errorf("single: %q -> %q", from, got)
		}
	}
}

func TestUsersAndSlotsAgree(t *testing.T) {
	for slot, user := range map[string]string{SlotA: "orders_app_a", SlotB: "orders_app_b", SlotOwner: "orders_app"} {
		if got := User(target, slot); got != user {
			t.Errorf("User(%s) = %s", slot, got)
		}
		if got := SlotOfUser(target, contract.Dual, user); got != slot {
			t.Errorf("SlotOfUser(%s) = %q", user, got)
		}
	}
	if got := SlotOfUser(target, contract.Single, User(target, SlotSingle)); got != SlotSingle {
		t.Errorf("single: %q", got)
	}
	for _, strategy := range []string{contract.Dual, contract.Single} {
		if got := SlotOfUser(target, strategy, "somebody"); got != "" {
			t.Errorf("%s: somebody has slot %q", strategy, got)
		}
	}
	if got := SlotOfUser(target, contract.Single, "orders_app_a"); got != "" {
		t.Errorf("single knows no logins beside the owner, got %q", got)
	}
	if User(nil, SlotA) != "" || SlotOfUser(nil, contract.Single, "") != SlotSingle {
		t.Error("without a target there are no logins and one slot")
	}
}
