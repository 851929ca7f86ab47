package fault_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

func TestEveryCodeHasAClass(t *testing.T) {
	classes := []fault.Class{fault.StopClean, fault.Retry, fault.Verify, fault.Undo, fault.Dirty}
	for _, c := range fault.Codes() {
		if !slices.Contains(classes, c.Class()) {
			t.Errorf("%s has class %q", c, c.Class())
		}
	}
	if got := fault.Code("NoSuchCode").Class(); got != "" {
		t.Errorf("a code outside the table has class %q", got)
	}
}

func TestWrapKeepsTheInnermostCode(t *testing.T) {
	innermost := fault.New(fault.LeaseLost, "run %d no longer owns %s", 7, "prod/orders-db")
	err := fault.Wrap(fmt.Errorf("while renewing: %w", innermost), fault.RegistryUnavailable, "finish %s", "prod/orders-db")
	err = fmt.Errorf("step: %w", fault.Wrap(err, fault.Internal, "again"))
	if got := fault.CodeOf(err); got != fault.LeaseLost {
		t.Errorf("CodeOf is %s, want %s", got, fault.LeaseLost)
	}
	if !errors.Is(err, innermost) {
		t.Error("the innermost error is not in the chain any more")
	}
	want := "step: LeaseLost: again: LeaseLost: finish prod/orders-db: while renewing: LeaseLost: run 7 no longer owns prod/orders-db"
	if err.Error() != want {
		t.Errorf("the message is\n%s, want\n%s", err, want)
	}
}

func TestWrap(t *testing.T) {
	if err := fault.Wrap(nil, fault.Internal, "nothing happened"); err != nil {
		t.Errorf("wrapping no error gives %v", err)
	}
	err := fault.Wrap(io.ErrUnexpectedEOF, fault.TargetUnavailable, "read from %s", "db.example.test")
	if got := fault.CodeOf(err); got != fault.TargetUnavailable {
		t.Errorf("an error without a code gets %s, want the wrapper's %s", got, fault.TargetUnavailable)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is not in the chain")
	}
}

func TestCodeOf(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want fault.Code
	}{
		"a plain error":         {io.EOF, fault.Internal},
		"a fault":               {fault.New(fault.Fenced, "a newer run"), fault.Fenced},
		"a fault that others":   {fmt.Errorf("a: %w", fmt.Errorf("b: %w", fault.New(fault.Fenced, "a newer run"))), fault.Fenced},
		"one of several errors": {errors.Join(io.EOF, fault.New(fault.TestRefused, "no login")), fault.TestRefused},
	} {
		if got := fault.CodeOf(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
