package stepfunctions_test

import "testing"

// An execution that the local stack's end interrupts has no end of its own: nobody is told that it ended.
func TestCloseInterruptsWithoutAnEnd(t *testing.T) {
	b := start(t)
	b.begin(b.machine("m", "W", `"W":{"Type":"Wait","Seconds":60,"End":true}`), "", `{}`)
	b.idle()
	b.service.Close()
	if len(b.emitted) != 1 || b.emitted[0] != "RUNNING" {
		t.Errorf("emitted %q, want only RUNNING", b.emitted)
	}
	if _, err := b.service.Start(t.Context(), machines+"m", "", nil); err == nil {
		t.Error("a closed service started an execution")
	}
}
